# What is wrong between options, each of which is right by itself, with its cure.
# The first half is _contradictions() and between() of l2wg_hooks/settings.py; tests/nix feeds both the same tunnels. The
# second half is what Debian's l2wg finds out on the router.
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
  unless = wrong: name: key: message: cure: {
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
      at = unless;
      goodName = builtins.match "[A-Za-z0-9_.-]+" name != null && name != "." && name != "..";
      taken = [ name underlay bridge "lo" ];
      wrongKeys = builtins.filter (key: lib.elem key file.keys) (builtins.attrNames tunnel.settings);
      line = value: builtins.match "[^#\n\r]*" (file.value value) != null;
      oddKeys = lib.filterAttrs (key: value: builtins.match "[a-z][a-z0-9-]*" key == null || !line value) tunnel.settings;
    in
    [
      (at (!goodName) name "" "this is no interface name" "letters, digits, '.', '_' and '-' only, such as gretap1")
      (at (
        builtins.stringLength name > 15
      ) name "" "this name has ${toString (builtins.stringLength name)} bytes, the kernel takes 15" "choose a shorter name")
      (at (lib.elem name kernelNames) name "" "this is a device of the kernel's own" "choose another name, such as gretap1")
      (at (
        ip.address tunnel.local == ip.address tunnel.remote
      ) name "remote" "${tunnel.remote} is local, too" "remote is the address of the other router")
      (at (
        family tunnel != ip.family (ip.address tunnel.remote)
      ) name "remote" "${tunnel.remote} is of another family than local" "both IPv4, or both IPv6")
      (at (
        tunnel.encapsulation == "vxlan" && tunnel.key != null && tunnel.key > 16777215
      ) name "key" "${toString tunnel.key} is no VNI" "with vxlan, a number from 0 to 16777215")
      (at (
        tunnel.stp == true && tunnel.bridgePorts == [ ]
      ) name "stp" "it needs bridgePorts: without them ${bridge} is defined elsewhere" "switch it on where ${bridge} is defined, such as networking.bridges.${bridge}.rstp, and leave stp out")
      (at (underlay == name) name "underlay" "${underlay} is the tunnel itself" "name the WireGuard interface, such as wg0")
      (at (bridge == name) name "bridge" "${bridge} is the tunnel itself" "name a bridge, such as br0")
      (at (bridge == underlay) name "bridge" "${bridge} is the underlay, too" "name a bridge, such as br0")
      (at (
        tunnel.bridgeAddress != null && tunnel.bridgePorts == [ ]
      ) name "bridgeAddress" "it needs bridgePorts: without them ${bridge} is defined elsewhere" "name the ports, or give ${bridge} its address where it is defined")
      (at (
        lib.unique tunnel.bridgePorts != tunnel.bridgePorts
      ) name "bridgePorts" "${toString tunnel.bridgePorts}: a port is named twice" "name each port once")
      (at (wrongKeys != [ ]) name "settings" "${toString wrongKeys} has an option of its own" "set ${
        lib.concatMapStringsSep ", " (key: option name (file.camelCase key)) wrongKeys
      } instead")
      (at (oddKeys != { }) name "settings" "${toString (builtins.attrNames oddKeys)}: no `key = value` of one line"
        "keys as in l2wg.conf(5), such as storm-limit; values without # and line breaks"
      )
    ]
    ++ map (
      port:
      at (lib.elem port taken) name "bridgePorts" "${port} cannot be a port of ${bridge}" "name Ethernet ports, such as enp3s0"
    ) tunnel.bridgePorts
    ++ lib.concatMap (port: [
      (at (lib.elem port names && port != name) name "bridgePorts" "${port} is a tunnel" "name Ethernet ports, such as enp3s0")
    ]) tunnel.bridgePorts
    ++ map (
      key:
      at (
        tunnel.${key} != name && lib.elem tunnel.${key} names
      ) name key "${tunnel.${key}} is a tunnel (${option tunnel.${key} ""})" "name another interface"
    ) [ "underlay" "bridge" ];

  pairs = lib.concatMap (
    first: map (second: { inherit first second; }) (builtins.filter (second: first < second) names)
  ) names;

  ofTwo =
    { first, second }:
    let
      one = tunnels.${first};
      two = tunnels.${second};
      also = option first "";
      sameNumber = number one == number two && one.encapsulation == two.encapsulation && family one == family two;
      same =
        sameNumber && (one.encapsulation == "vxlan" || (one.underlay == two.underlay && ends one == ends two));
      apart = key: one.bridge == two.bridge && one.bridgePorts != [ ] && two.bridgePorts != [ ] && clash one.${key} two.${key};
      clash = left: right: left != null && right != null && left != right;
      shared = builtins.filter (port: lib.elem port one.bridgePorts) two.bridgePorts;
    in
    [
      (unless same second "remote"
        "${also} has the same ${if one.encapsulation == "vxlan" then "VNI" else "ends and key"}"
        "give each its own key, the same on both routers"
      )
      (unless (
        !isGretap4 one
        && one.encapsulation == two.encapsulation
        && ends one == ends two
        && one.underlay != two.underlay
      ) second "underlay" "${also} has the same ends over ${one.underlay}" "give it other ends")
      (unless (one.bridge != two.bridge && shared != [ ]) second "bridgePorts"
        "${toString shared} is a port of ${one.bridge} already (${also})"
        "a port can be in one bridge only"
      )
      (unless (one.bridge == two.bridge && clash one.bridgeAddress two.bridgeAddress) second "bridgeAddress"
        "${two.bridge} has ${toString one.bridgeAddress} already (${also})"
        "write the same address in both, or in one only"
      )
    ]
    ++ map (key: unless (apart key) second key "${also} has it otherwise for ${two.bridge}" "write the same in both") [
      "stp"
      "linkLocal"
    ];

  ofSystem =
    name: tunnel:
    let
      inherit (tunnel) bridge underlay remote;
      below = backend underlay;
      isBridge = one: (one.netdevConfig.Name or "") == bridge && (one.netdevConfig.Kind or "") == "bridge";
      defined =
        networking.bridges ? ${bridge} || builtins.any isBridge (builtins.attrValues config.systemd.network.netdevs);
      seen = below.known && below.allowedIPs != null;
      nets = builtins.filter (net: net != null) (map ip.network below.allowedIPs);
      width = toString (ip.width (ip.address remote));
      addressed =
        port:
        let
          interface = networking.interfaces.${port} or null;
        in
        interface != null
        && (interface.ipv4.addresses != [ ] || interface.ipv6.addresses != [ ] || interface.useDHCP == true);
    in
    [
      (unless (!defined && !lib.elem "bridge" tunnel.external) name "bridge"
        "${bridge} is defined nowhere, and bridgePorts is empty"
        "name its Ethernet ports in bridgePorts; or define networking.bridges.${bridge}; or, if another program makes it, external = [ \"bridge\" ]"
      )
      (unless (!below.known && !lib.elem "underlay" tunnel.external) name "underlay"
        "${underlay} is in none of networking.wg-quick.interfaces, networking.wireguard.interfaces and systemd.network.netdevs (Kind = wireguard)"
        "define it there, or correct the name; or, if another program makes it, external = [ \"underlay\" ]"
      )
      (unless (seen && !builtins.any (net: ip.covers net (ip.address remote)) nets) name "remote"
        "AllowedIPs of no peer of ${underlay} cover ${remote} (they are: ${toString below.allowedIPs}): WireGuard drops what comes from there"
        "add \"${remote}/${width}\" to the allowedIPs of the peer that is the other router"
      )
    ]
    ++ map (
      port:
      unless (addressed port) name "bridgePorts"
        "${port} carries an address (networking.interfaces.${port}), and whoever uses it would be cut off"
        "name a port without address; or define networking.bridges.${bridge} with it and the address yourself, and leave bridgePorts empty"
    ) tunnel.bridgePorts;
in
lib.concatLists (
  lib.mapAttrsToList ofOne tunnels ++ map ofTwo pairs ++ lib.mapAttrsToList ofSystem tunnels
)
