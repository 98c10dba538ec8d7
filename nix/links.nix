# Who in this NixOS configuration makes an interface, and who takes it for something of his own: by its name alone.
{ lib, config }:
let
  inherit (config) networking;
  netdevs = lib.filterAttrs (_: one: one.enable or true) config.systemd.network.netdevs;

  # NixOS' options that make an interface of that name.
  kinds = [
    "bonds"
    "bridges"
    "fooOverUDP"
    "greTunnels"
    "macvlans"
    "sits"
    "vlans"
    "vswitches"
    "wlanInterfaces"
  ];
  named = name: kind: lib.optional ((networking.${kind} or { }) ? ${name}) "networking.${kind}.${name}";
  switches = networking.vswitches or { };
  # NixOS itself writes netdevs of the options above, when networkd is to make them.
  generated = key: name: key == "40-${name}" && (networking.useNetworkd || networking.wireguard.useNetworkd or false);

  kindOf = kind: one: (one.netdevConfig.Kind or "") == kind;
  netdevsOf = name: lib.filterAttrs (_: one: (one.netdevConfig.Name or "") == name) netdevs;
in
rec {
  # The options that make an interface of that name.
  makers =
    name:
    lib.concatMap (named name) kinds
    ++ lib.optional (networking.wg-quick.interfaces ? ${name}) "networking.wg-quick.interfaces.${name}"
    ++ lib.optional (networking.wireguard.interfaces ? ${name}) "networking.wireguard.interfaces.${name}"
    ++ lib.optional (networking.interfaces.${name}.virtual or false) "networking.interfaces.${name}.virtual"
    ++ builtins.filter (path: path != "") (
      lib.mapAttrsToList (
        switch: one: lib.optionalString ((one.interfaces.${name}.type or null) == "internal") "networking.vswitches.${switch}.interfaces.${name}"
      ) switches
    )
    ++ map (key: "systemd.network.netdevs.${key}") (
      builtins.filter (key: !generated key name) (builtins.attrNames (netdevsOf name))
    );

  isBridge = name: networking.bridges ? ${name} || builtins.any (kindOf "bridge") (builtins.attrValues (netdevsOf name));

  isWireGuard =
    name:
    networking.wg-quick.interfaces ? ${name}
    || networking.wireguard.interfaces ? ${name}
    || builtins.any (kindOf "wireguard") (builtins.attrValues (netdevsOf name));

  # The options that have it for a port or for what they lie on, so that no bridge gets its frames.
  takers =
    name:
    let
      listed = kind: lib.mapAttrsToList (one: value: lib.optional (lib.elem name (value.interfaces or [ ])) "networking.${kind}.${one}") (networking.${kind} or { });
      switched = lib.mapAttrsToList (
        one: value: lib.optional ((value.interfaces or { }) ? ${name} && value.interfaces.${name}.type or null != "internal") "networking.vswitches.${one}"
      ) switches;
      below = lib.mapAttrsToList (one: value: lib.optional (value.interface or "" == name) "networking.macvlans.${one}") (networking.macvlans or { });
    in
    lib.concatLists (listed "bonds" ++ switched ++ below);

  # The bridges of networking.bridges that it is a port of, as often as it is named.
  bridgesOf =
    name:
    lib.concatLists (
      lib.mapAttrsToList (bridge: one: map (_: bridge) (builtins.filter (port: port == name) one.interfaces)) networking.bridges
    );

  # Interfaces for a VLAN's tagged frames.
  vlansOf = name: builtins.attrNames (lib.filterAttrs (_: one: one.interface or "" == name) (networking.vlans or { }));
}
