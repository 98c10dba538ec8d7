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
    let
      isInternal = one: (one.interfaces.${name}.type or null) == "internal";
      internal = builtins.attrNames (lib.filterAttrs (_: isInternal) switches);
      own = builtins.filter (key: !generated key name) (builtins.attrNames (netdevsOf name));
    in
    lib.concatMap (named name) kinds
    ++ lib.optional (networking.wg-quick.interfaces ? ${name}) "networking.wg-quick.interfaces.${name}"
    ++ lib.optional (networking.wireguard.interfaces ? ${name}) "networking.wireguard.interfaces.${name}"
    ++ lib.optional (networking.interfaces.${name}.virtual or false) "networking.interfaces.${name}.virtual"
    ++ map (switch: "networking.vswitches.${switch}.interfaces.${name}") internal
    ++ map (key: "systemd.network.netdevs.${key}") own;

  isBridge = name: networking.bridges ? ${name} || builtins.any (kindOf "bridge") (builtins.attrValues (netdevsOf name));

  isWireGuard =
    name:
    networking.wg-quick.interfaces ? ${name}
    || networking.wireguard.interfaces ? ${name}
    || builtins.any (kindOf "wireguard") (builtins.attrValues (netdevsOf name));

  # The WireGuard interfaces of this configuration.
  wireguards = builtins.attrNames (
    lib.genAttrs (
      builtins.attrNames networking.wg-quick.interfaces
      ++ builtins.attrNames networking.wireguard.interfaces
      ++ map (one: one.netdevConfig.Name) (builtins.filter (kindOf "wireguard") (builtins.attrValues netdevs))
    ) (_: null)
  );

  # The options that have it for a port or for what they lie on, so that no bridge gets its frames.
  takers =
    name:
    let
      having = kind: has: map (one: "networking.${kind}.${one}") (
        builtins.attrNames (lib.filterAttrs (_: has) (networking.${kind} or { }))
      );
      listed = one: lib.elem name (one.interfaces or [ ]);
      switched = one: (one.interfaces or { }) ? ${name} && (one.interfaces.${name}.type or null) != "internal";
      below = one: (one.interface or "") == name;
    in
    having "bonds" listed ++ having "vswitches" switched ++ having "macvlans" below;

  # The bridges of networking.bridges that it is a port of, as often as it is named.
  bridgesOf =
    name:
    lib.concatLists (
      lib.mapAttrsToList (bridge: one: map (_: bridge) (builtins.filter (port: port == name) one.interfaces)) networking.bridges
    );

  # Interfaces for a VLAN's tagged frames.
  vlansOf = name: builtins.attrNames (lib.filterAttrs (_: one: (one.interface or "") == name) (networking.vlans or { }));
}
