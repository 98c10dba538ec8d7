# What is wrong between options, each of which is right by itself, with its cure.
# ofOne and ofTwo are _contradictions() and between() of l2wg_hooks/settings.py; tests/nix feeds both the same tunnels.
# ofSystem is what Debian's l2wg finds out on the router.
{ lib, config, tunnels, backend }:
let
  inherit (config) networking;
  ip = import ./addresses.nix;
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

  number = tunnel: if tunnel.encapsulation == "vxlan" && tunnel.key == null then 1 else tunnel.key;
  family = tunnel: ip.family (ip.address tunnel.local);
  ends = tunnel: map ip.address [ tunnel.local tunnel.remote ];
  isGretap4 = tunnel: tunnel.encapsulation == "gretap" && family tunnel == 4;

  ofOne =
    name: tunnel:
    let
      inherit (tunnel) bridge underlay;
      at = refuse name;
      goodName = builtins.match "[A-Za-z0-9_.-]+" name != null && name != "." && name != "..";
      elsewhere = "it needs bridgePorts: without them ${bridge} is defined elsewhere";
      ownOption = builtins.filter (key: lib.elem key file.keys) (builtins.attrNames tunnel.settings);
      isLine = key: value: builtins.match "[a-z][a-z0-9-]*" key != null && builtins.match "[^#\n\r]*" (file.value value) != null;
      odd = builtins.attrNames (lib.filterAttrs (key: value: !isLine key value) tunnel.settings);

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

      ofInterface =
        key:
        at key (tunnel.${key} != name && lib.elem tunnel.${key} names)
          "${tunnel.${key}} is a tunnel (${option tunnel.${key} ""})"
          "name another interface";
    in
    [
      (at "" (!goodName) "this is no interface name" "letters, digits, '.', '_' and '-' only, such as gretap1")
      (at "" (builtins.stringLength name > 15)
        "this name has ${toString (builtins.stringLength name)} bytes, the kernel takes 15"
        "choose a shorter name"
      )
      (at "" (lib.elem name kernelNames) "this is a device of the kernel's own" "choose another name, such as gretap1")
      (at "remote" (ip.address tunnel.local == ip.address tunnel.remote)
        "${tunnel.remote} is local, too"
        "remote is the address of the other router"
      )
      (at "remote" (family tunnel != ip.family (ip.address tunnel.remote))
        "${tunnel.remote} is of another family than local"
        "both IPv4, or both IPv6"
      )
      (at "key" (tunnel.encapsulation == "vxlan" && tunnel.key != null && tunnel.key > 16777215)
        "${toString tunnel.key} is no VNI"
        "with vxlan, a number from 0 to 16777215"
      )
      (at "stp" (tunnel.stp == true && tunnel.bridgePorts == [ ])
        elsewhere
        "switch it on where ${bridge} is defined, such as networking.bridges.${bridge}.rstp, and leave stp out"
      )
      (at "underlay" (underlay == name) "${underlay} is the tunnel itself" "name the WireGuard interface, such as wg0")
      (at "bridge" (bridge == name) "${bridge} is the tunnel itself" "name a bridge, such as br0")
      (at "bridge" (bridge == underlay) "${bridge} is the underlay, too" "name a bridge, such as br0")
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
    ++ lib.concatMap ofPort tunnel.bridgePorts
    ++ map ofInterface [ "underlay" "bridge" ];

  pairs = lib.concatMap (
    first: map (second: { inherit first second; }) (builtins.filter (second: first < second) names)
  ) names;

  ofTwo =
    { first, second }:
    let
      one = tunnels.${first};
      two = tunnels.${second};
      at = refuse second;
      also = option first "";
      sameKind = one.encapsulation == two.encapsulation && family one == family two;
      sameWay = one.encapsulation == "vxlan" || (one.underlay == two.underlay && ends one == ends two);
      what = if one.encapsulation == "vxlan" then "VNI" else "ends and key";
      shared = builtins.filter (port: lib.elem port one.bridgePorts) two.bridgePorts;
      clash = key: one.${key} != null && two.${key} != null && one.${key} != two.${key};
      bothOwn = one.bridge == two.bridge && one.bridgePorts != [ ] && two.bridgePorts != [ ];
      ofBridge = key: at key (bothOwn && clash key) "${also} has it otherwise for ${two.bridge}" "write the same in both";
    in
    [
      (at "remote" (sameKind && sameWay && number one == number two)
        "${also} has the same ${what}"
        "give each its own key, the same on both routers"
      )
      (at "underlay" (sameKind && !isGretap4 one && ends one == ends two && one.underlay != two.underlay)
        "${also} has the same ends over ${one.underlay}"
        "give it other ends"
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

  ofSystem =
    name: tunnel:
    let
      inherit (tunnel) bridge underlay remote;
      at = refuse name;
      external = one: lib.elem one tunnel.external;
      below = backend underlay;
      isBridge = one: (one.netdevConfig.Name or "") == bridge && (one.netdevConfig.Kind or "") == "bridge";
      netdevs = builtins.attrValues config.systemd.network.netdevs;
      defined = networking.bridges ? ${bridge} || builtins.any isBridge netdevs;
      seen = below.known && below.allowedIPs != null;
      nets = builtins.filter (net: net != null) (map ip.network below.allowedIPs);
      width = toString (ip.width (ip.address remote));

      carries =
        port:
        let
          interface = networking.interfaces.${port} or null;
        in
        interface != null
        && (interface.ipv4.addresses != [ ] || interface.ipv6.addresses != [ ] || interface.useDHCP == true);

      ofPort =
        port:
        at "bridgePorts" (carries port)
          "${port} carries an address (networking.interfaces.${port}), and whoever uses it would be cut off"
          (
            "name a port without address; or define networking.bridges.${bridge} with it and the address yourself, "
            + "and leave bridgePorts empty"
          );
    in
    [
      (at "bridge" (!defined && !external "bridge")
        "${bridge} is defined nowhere, and bridgePorts is empty"
        (
          "name its Ethernet ports in bridgePorts; or define networking.bridges.${bridge}; "
          + "or, if another program makes it, external = [ \"bridge\" ]"
        )
      )
      (at "underlay" (!below.known && !external "underlay")
        (
          "${underlay} is in none of networking.wg-quick.interfaces, networking.wireguard.interfaces "
          + "and systemd.network.netdevs (Kind = wireguard)"
        )
        "define it there, or correct the name; or, if another program makes it, external = [ \"underlay\" ]"
      )
      (at "remote" (seen && !builtins.any (net: ip.covers net (ip.address remote)) nets)
        (
          "AllowedIPs of no peer of ${underlay} cover ${remote} (they are: ${toString below.allowedIPs}): "
          + "WireGuard drops what comes from there"
        )
        "add \"${remote}/${width}\" to the allowedIPs of the peer that is the other router"
      )
    ]
    ++ map ofPort tunnel.bridgePorts;
in
lib.concatLists (
  lib.mapAttrsToList ofOne tunnels ++ map ofTwo pairs ++ lib.mapAttrsToList ofSystem tunnels
)
