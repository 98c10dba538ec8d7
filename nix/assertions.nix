# What is wrong between options, each of which is right by itself, with its cure.
# ofOne and ofTwo are _contradictions() and between() of l2wg_hooks/config/schema.py; tests/nix feeds both the same tunnels.
# ofSystem is what Debian's l2wg finds out on the router.
{ lib, config, tunnels, backend, links, networkd, net, wires }:
let
  inherit (config) networking;
  ip = import ./addresses.nix;
  encapsulations = import ./encapsulations.nix;
  file = import ./file.nix { inherit lib; };
  kernelNames = [
    "lo"
    "gre0"
    "gretap0"
    "erspan0"
    "ip6gre0"
    "ip6gretap0"
    "ip6tnl0"
    "tunl0"
    "sit0"
    "ip_vti0"
    "ip6_vti0"
  ];
  names = builtins.attrNames tunnels;
  option = name: key: "services.l2wg.tunnels.${name}" + lib.optionalString (key != "") ".${key}";

  refuse = name: key: wrong: message: cure: {
    assertion = !wrong;
    message = "${option name key}: ${message}\n  cure: ${cure}";
  };

  inherit (encapsulations) family isPrefix pairs remotes;

  ofOne =
    name: tunnel:
    let
      inherit (tunnel) bridge underlay;
      packing = encapsulations.of tunnel;
      at = refuse name;
      goodName = builtins.match "[A-Za-z0-9_.-]+" name != null && name != "." && name != "..";
      elsewhere = "it needs bridgePorts: without them ${bridge} is defined elsewhere";
      isOption = key: lib.elem key file.keys || lib.elem key (map file.camelCase file.keys);
      ownOption = builtins.filter isOption (builtins.attrNames tunnel.settings);
      isLine = key: value: builtins.match "[a-z][a-z0-9-]*" key != null && builtins.match "[^#\n\r]*" (file.value value) != null;
      odd = builtins.attrNames (lib.filterAttrs (key: value: !isOption key && !isLine key value) tunnel.settings);

      ofPort = port: [
        (at "bridgePorts" (lib.elem port [ name underlay bridge "lo" ])
          "${port} cannot be a port of ${bridge}"
          "name Ethernet ports, such as enp3s0"
        )
        (at "bridgePorts" (port != name && lib.elem port names)
          "${port} is a tunnel"
          "name Ethernet ports, such as enp3s0"
        )
      ];

      ofRemote = remote: [
        (at "remote" (ip.address tunnel.local == ip.address remote)
          "${remote} is also local"
          "remote is the address of the other router"
        )
        (at "remote" (family tunnel != ip.family (ip.address remote))
          "${remote} is of another family than local"
          "both IPv4, or both IPv6"
        )
      ];

      ofInterface =
        key:
        at key (tunnel.${key} != name && lib.elem tunnel.${key} names)
          "${tunnel.${key}} is a tunnel (${option tunnel.${key} ""})"
          "name another interface";
    in
    [
      (at "" (!goodName) "this is not the name of an interface" "letters, digits, '.', '_' and '-' only, such as gretap1")
      (at "" (builtins.stringLength name > 15)
        "this name has ${toString (builtins.stringLength name)} bytes, the kernel takes 15"
        "choose a shorter name"
      )
      (at "" (lib.elem name kernelNames) "this is a device of the kernel's own" "choose another name, such as gretap1")
      (at "remote" (builtins.isList tunnel.remote && tunnel.encapsulation != "vxlan")
        "${tunnel.encapsulation} takes one address, not a list"
        "name one, or set encapsulation to vxlan on all these routers"
      )
      (at "remote" (lib.unique (map ip.address (remotes tunnel)) != map ip.address (remotes tunnel))
        "${toString tunnel.remote}: an address is named twice"
        "name each address once"
      )
      (at "remote" (builtins.length (remotes tunnel) > 100)
        "${toString (builtins.length tunnel.remote)} addresses are too many"
        "at most 100"
      )
      (at "remote" (isPrefix tunnel && tunnel.control != "evpn")
        "${toString tunnel.remote} is a prefix, and only with control = \"evpn\" somebody else finds the far ends in it"
        "name the address of each; or set control to evpn, and run services.frr"
      )
      (at "remote" (!isPrefix tunnel && tunnel.control == "evpn")
        "with control = \"evpn\" FRR finds the far ends, and remote says where these may be: a prefix"
        "set it to a prefix that the AllowedIPs of the peers cover, such as 198.18.0.0/15"
      )
      (at "remote" (isPrefix tunnel && family tunnel != ip.family (ip.network tunnel.remote).address)
        "${toString tunnel.remote} is of another family than local"
        "both IPv4, or both IPv6"
      )
      (at "control" (tunnel.control == "evpn" && tunnel.encapsulation != "vxlan")
        "evpn is for a vxlan, whose table FRR fills"
        "set encapsulation to vxlan on all these routers"
      )
      (at "control" (tunnel.control == "evpn" && tunnel.wire == "own")
        "FRR has to see the device and the other sites in one network namespace, and wire = \"own\" has two"
        "leave wire out"
      )
      (at "peerDown" (tunnel.control == "evpn" && tunnel.peerDown != "nothing")
        "with control = \"evpn\" nobody can tell who has to answer"
        "leave peerDown out"
      )
      (at "port"
        (packing.udpPort == null && tunnel.port != null && !lib.elem tunnel.port encapsulations.defaultPorts)
        "${tunnel.encapsulation} has no UDP port"
        "take this option out, or set encapsulation to ${lib.concatStringsSep " or " encapsulations.withPort}"
      )
      (at "key" (tunnel.key != null && tunnel.key > packing.numberMax)
        "${toString tunnel.key} is too large for a ${packing.numberWord}"
        "with ${tunnel.encapsulation}, a number from 0 to ${toString packing.numberMax}"
      )
      (at "stp" (tunnel.stp == true && tunnel.bridgePorts == [ ])
        elsewhere
        "switch it on where ${bridge} is defined, such as networking.bridges.${bridge}.rstp, and leave stp out"
      )
      (at "underlay" (underlay == name) "${underlay} is the tunnel itself" "name the WireGuard interface, such as wg0")
      (at "bridge" (bridge == name) "${bridge} is the tunnel itself" "name a bridge, such as br0")
      (at "bridge" (bridge == underlay) "${bridge} is also the underlay" "name a bridge, such as br0")
      (at "bridgeAddress" (tunnel.bridgeAddress != null && tunnel.bridgePorts == [ ])
        elsewhere
        "name the ports, or give ${bridge} its address where it is defined"
      )
      (at "bridgePorts" (lib.unique tunnel.bridgePorts != tunnel.bridgePorts)
        "${toString tunnel.bridgePorts}: a port is named twice"
        "name each port once"
      )
      (at "settings" (ownOption != [ ])
        "${toString ownOption} has an option of its own"
        "set ${lib.concatMapStringsSep ", " (key: option name (file.camelCase key)) ownOption} instead"
      )
      (at "settings" (odd != [ ])
        "${toString odd}: no `key = value` of one line"
        "keys as in l2wg.conf(5), such as storm-limit; values without # and line breaks"
      )
    ]
    ++ lib.concatMap ofRemote (remotes tunnel)
    ++ lib.concatMap ofPort tunnel.bridgePorts
    ++ map ofInterface [ "underlay" "bridge" ];

  twos = lib.concatMap (
    first: map (second: { inherit first second; }) (builtins.filter (second: first < second) names)
  ) names;

  ofTwo =
    { first, second }:
    let
      one = tunnels.${first};
      two = tunnels.${second};
      at = refuse second;
      also = option first "";
      sameKind = one.encapsulation == two.encapsulation && family one == family two && one.wire == two.wire;
      packing = encapsulations.of one;
      both = builtins.filter (pair: lib.elem pair (pairs two)) (pairs one);
      listed = builtins.isList one.remote || builtins.isList two.remote;
      far = tunnel: map ip.address (remotes tunnel);
      sameFar = builtins.any (end: lib.elem end (far two)) (far one);
      apart = tunnel: tunnel.isolated == true;
      shared = builtins.filter (port: lib.elem port one.bridgePorts) two.bridgePorts;
      clash = key: one.${key} != null && two.${key} != null && one.${key} != two.${key};
      bothOwn = one.bridge == two.bridge && one.bridgePorts != [ ] && two.bridgePorts != [ ];
      ofBridge = key: at key (bothOwn && clash key) "${also} has it otherwise for ${two.bridge}" "write the same in both";
    in
    [
      (at "remote" (sameKind && packing.exclusive one == packing.exclusive two)
        "${also} has the same ${packing.exclusiveWords}"
        "give each its own key, the same on both routers"
      )
      (at "remote" (sameFar && one.bridge == two.bridge && listed && !(apart one && apart two))
        "${also} leads to one of them, too, and both are in ${two.bridge}: that is a loop"
        "take it out of one of the two; or have isolated = true in both"
      )
      (at "underlay" (sameKind && (encapsulations.kind one).ownRoute && both != [ ] && one.underlay != two.underlay)
        "${also} has the same ends over ${one.underlay}"
        "give it other ends"
      )
      (at "wire" (one.underlay == two.underlay && one.wire != two.wire)
        "${one.underlay} is ${one.wire} in ${also}"
        "write the same in both, or name another underlay"
      )
      (at "bridgePorts" (one.bridge != two.bridge && shared != [ ])
        "${toString shared} is a port of ${one.bridge} already (${also})"
        "a port can be in one bridge only"
      )
      (at "bridgeAddress" (one.bridge == two.bridge && clash "bridgeAddress")
        "${two.bridge} has ${toString one.bridgeAddress} already (${also})"
        "write the same address in both, or in one only"
      )
      (ofBridge "stp")
      (ofBridge "linkLocal")
    ];

  # As l2wg_hooks/config/conflicts.py counts: the ports of each bridge, by the tunnels before this one.
  portsOfBridge = 1023;
  withPlaces = builtins.foldl' (
    { ports, refused }:
    name:
    let
      tunnel = tunnels.${name};
      before = ports.${tunnel.bridge} or { };
      after = before // lib.genAttrs ([ name ] ++ tunnel.bridgePorts) (_: null);
      count = builtins.length (builtins.attrNames before);
      wrong = builtins.length (builtins.attrNames after) > portsOfBridge;
      message = "${tunnel.bridge} has ${toString count} ports by the tunnels before this one, and no bridge takes more than ${toString portsOfBridge}";
    in
    {
      ports = if wrong then ports else ports // { ${tunnel.bridge} = after; };
      refused = [ (refuse name "bridge" wrong message "name another bridge") ] ++ refused;
    }
  ) { ports = { }; refused = [ ]; } names;

  ofSystem =
    name: tunnel:
    let
      inherit (tunnel) bridge underlay;
      at = refuse name;
      external = one: lib.elem one tunnel.external;
      below = backend underlay;
      own = tunnel.bridgePorts != [ ];
      seen = below.known && below.allowedIPs != null;
      nets = builtins.filter (net: net != null) (map ip.network below.allowedIPs);

      ofRemote =
        remote:
        at "remote" (seen && !builtins.any (net: ip.covers net (ip.address remote)) nets)
          (
            "AllowedIPs of no peer of ${underlay} cover ${remote} (they are: ${toString below.allowedIPs}): "
            + "WireGuard drops what comes from there"
          )
          "add \"${remote}/${toString (ip.width (ip.address remote))}\" to the allowedIPs of the peer that is the other router";

      carries =
        interface:
        interface != null
        && (interface.ipv4.addresses != [ ] || interface.ipv6.addresses != [ ] || interface.useDHCP == true);
      listed = lib.concatStringsSep ", ";
      # Between tunnels it is told above.
      byTunnel =
        one: port: builtins.any (other: other.bridge == one && lib.elem port other.bridgePorts) (builtins.attrValues tunnels);
      foreignBridges = port: builtins.filter (one: !byTunnel one port) (links.bridgesOf port);

      # Two that make one interface: the second fails, or deletes what the first has made.
      others = links.makers name;
      bridgeMakers = builtins.filter (path: path != "networking.bridges.${bridge}") (links.makers bridge);
      underlayMakers = links.makers underlay;

      # networkd's file for the tunnel is ours, unless another one comes first.
      ofTunnel = networkd.says { Name = name; Type = "ether"; Kind = (encapsulations.kind tunnel).name; };

      ofPort =
        port:
        let
          says = networkd.says { Name = port; Type = "ether"; };
          # NixOS' own file has Bridge= for networking.bridges when networkd makes them.
          managed = says != null && !says.unmanaged;
          said = "${says.path} (${says.pattern})";
          addressed = managed && (says.dhcp || says.addresses != [ ]);
          elsewhere = builtins.filter (one: one != bridge) says.masters;
          released = !says.keepsMaster && says.masters == [ ];
          taken = links.takers port ++ map (one: "networking.bridges.${one}") (foreignBridges port);
          twice = builtins.length (builtins.filter (one: one == bridge) (links.bridgesOf port)) > 1;
        in
        [
          (at "bridgePorts" (carries (networking.interfaces.${port} or null))
            "${port} carries an address (networking.interfaces.${port}), and whoever uses it would be cut off"
            (
              "name a port without address; or define networking.bridges.${bridge} with it and the address yourself, "
              + "and leave bridgePorts empty"
            )
          )
          (at "bridgePorts" addressed
            "${port} carries an address, or asks for one (${said}), and whoever uses it would be cut off"
            "name another port; or have ${says.path} not match ${port}"
          )
          (at "bridgePorts" (managed && !addressed && elsewhere != [ ])
            "${said} makes ${port} a port of ${listed elsewhere}"
            "a port can be in one only: name another one, or take it out there"
          )
          (at "bridgePorts" (managed && !addressed && released)
            "${said} is networkd's file for ${port} and does not say Bridge = \"${bridge}\": networkd takes it out of ${bridge}"
            (
              if networking.useNetworkd && says.key + ".network" < "40-${port}.network" then
                "give it a name that sorts behind NixOS' own 40-${port}, such as 90-${says.key}; or have it not match ${port}"
              else
                "have it not match ${port}; or set networkConfig.KeepMaster = true there"
            )
          )
          (at "bridgePorts" (port != underlay && links.isWireGuard port)
            "${port} is a WireGuard interface, which carries no Ethernet"
            "name Ethernet ports, such as enp3s0"
          )
          (at "bridgePorts" (port != bridge && links.isBridge port)
            "${port} is a bridge, and a bridge cannot be a port of another one"
            "name its ports instead; or make ${port} the bridge of this tunnel"
          )
          (at "bridgePorts" (taken != [ ])
            "${port} belongs to ${listed taken} already"
            "a port can be in one only: name another one, or take it out there"
          )
          (at "bridgePorts" twice
            "${port} is also in networking.bridges.${bridge}.interfaces"
            "name it in one of the two"
          )
        ];
    in
    [
      (at "bridge" (!links.isBridge bridge && !external "bridge")
        "${bridge} is defined nowhere, and bridgePorts is empty"
        (
          "name its Ethernet ports in bridgePorts; or define networking.bridges.${bridge}; "
          + "or, if another program makes it, external = [ \"bridge\" ]"
        )
      )
      (at "bridge" (own && bridgeMakers != [ ])
        "${bridge} is made by ${listed bridgeMakers}, and bridgePorts would make it a second time"
        "name its ports there, and leave bridgePorts empty; or choose another name"
      )
      (at "wire" (tunnel.wire == "own" && (below.known || external "underlay"))
        "${underlay} is made by ${if below.known then listed underlayMakers else "another program"}, and with wire = \"own\" l2wg makes it"
        "name another underlay, with its file /etc/wireguard/NAME.conf; or leave wire out"
      )
      (at "underlay" (tunnel.wire != "own" && !below.known && !external "underlay")
        (
          "${underlay} is in none of networking.wg-quick.interfaces, networking.wireguard.interfaces "
          + "and systemd.network.netdevs (Kind = wireguard)"
        )
        "define it there, or correct the name; or, if another program makes it, external = [ \"underlay\" ]"
      )
      (at "underlay" (below.known && builtins.length underlayMakers > 1)
        "${underlay} is made by ${listed underlayMakers}: by more than one"
        "define it once"
      )
      (at "underlay" (below.namespace != null)
        "${underlay} is in the network namespace ${toString below.namespace} (interfaceNamespace), and ${bridge} is not"
        "leave interfaceNamespace out"
      )
      (at "" (name == "watch")
        "l2wg-watch.service, which looks after all tunnels, would be this one's unit, too"
        "choose another name, such as watch1"
      )
      (at "" (name == "hubs" && net != null && builtins.length net.hubs > 1)
        "hubs is the tunnel to the two hubs of services.l2wg.sites, and l2wg-hubs.service looks after it"
        "choose another name, such as hubs1"
      )
      (at "" (name == "sites" && net != null)
        "l2wg-sites.service, which is of services.l2wg.sites, would be this one's unit, too"
        "choose another name, such as sites1"
      )
      (at "" (others != [ ]) "${listed others} also makes an interface of this name" "give one of the two another name")
      (at "" (foreignBridges name != [ ])
        (
          "${listed (map (one: "networking.bridges.${one}.interfaces") (foreignBridges name))} names it: "
          + "the bridge would wait for it, and it waits for the bridge"
        )
        "take it out there: l2wg makes it a port of ${bridge}"
      )
      (at "" (links.takers name != [ ])
        "${listed (links.takers name)} has it for a port, and it is one of ${bridge}"
        "take it out there"
      )
      (at "" (carries (networking.interfaces.${name} or null))
        "it carries an address (networking.interfaces.${name}), but is a port of ${bridge}"
        "give the address to ${bridge}"
      )
      (at "" (ofTunnel != null && ofTunnel.key != "05-l2wg-${name}")
        "${ofTunnel.path} (${ofTunnel.pattern}) matches it first: networkd would take it out of ${bridge}"
        "give that file a name that sorts behind 05-l2wg-${name}, such as 10-${ofTunnel.key}; or have it not match ${name}"
      )
    ]
    ++ map ofRemote (remotes tunnel)
    ++ lib.concatMap ofPort tunnel.bridgePorts;

  ofNet = [
    {
      assertion = net.underlay != "";
      message =
        "services.l2wg.underlay: which WireGuard interface is this router's in the net of services.l2wg.sites? This configuration "
        + (if wires == [ ] then "defines none" else "defines ${lib.concatStringsSep ", " wires}")
        + "\n  cure: name one, such as underlay = \"wg0\"";
    }
    {
      assertion = net.underlay == "" || (backend net.underlay).namespace == null;
      message =
        "services.l2wg.underlay: ${net.underlay} is in the network namespace ${toString (backend net.underlay).namespace} "
        + "(interfaceNamespace), and the bridges are not\n  cure: leave interfaceNamespace out";
    }
  ];
in
lib.optionals (net != null) ofNet
++ lib.concatLists (
  lib.mapAttrsToList ofOne tunnels ++ map ofTwo twos ++ [ withPlaces.refused ] ++ lib.mapAttrsToList ofSystem tunnels
)
