# What this NixOS configuration knows of a WireGuard interface, whichever of the three ways defines it.
{ lib, config }:
underlay:
let
  inherit (config) networking;
  quick = networking.wg-quick.interfaces.${underlay} or null;
  scripted = networking.wireguard.interfaces.${underlay} or null;
  isNetdev = one: (one.netdevConfig.Name or "") == underlay && (one.netdevConfig.Kind or "") == "wireguard";
  netdevs = lib.filterAttrs (_: isNetdev) config.systemd.network.netdevs;
  # NixOS 25.05 and later can have networkd make what networking.wireguard describes.
  viaNetworkd = scripted != null && (networking.wireguard.useNetworkd or false);

  words = text: builtins.filter (word: builtins.isString word && word != "") (builtins.split "[ ,]+" text);
  table =
    value:
    if lib.elem value [ null "auto" "main" "254" 254 ] then
      "main"
    else if lib.elem value [ false "off" "no" "false" "0" 0 ] then
      "off"
    else
      toString value;

  # Each network of a peer's AllowedIPs with the table that its route goes into; "off": it gets none.
  ofPeers =
    peers: table: path: cure:
    lib.concatMap (peer: map (net: { inherit net table path cure; }) (lib.concatMap words peer.allowedIPs)) peers;
  quickPath = "networking.wg-quick.interfaces.${underlay}";
  scriptedPath = "networking.wireguard.interfaces.${underlay}";
  ofQuick = ofPeers quick.peers (table quick.table) "${quickPath}.table = \"${toString quick.table}\"" "leave table out";
  ofScripted =
    if scripted.allowedIPsAsRoutes then
      ofPeers scripted.peers (table scripted.table) "${scriptedPath}.table = \"${scripted.table}\"" "leave table out"
    else
      ofPeers scripted.peers "off" "${scriptedPath}.allowedIPsAsRoutes = false" "leave allowedIPsAsRoutes out";
  # networkd makes no route of AllowedIPs unless it is told a table.
  ofNetdev =
    key: one:
    let
      path = "systemd.network.netdevs.${key}.wireguardConfig";
      # Before NixOS 24.11 each peer had its section's name around it.
      ofPeer =
        section:
        let
          peer = section.wireguardPeerConfig or section;
          value = peer.RouteTable or one.wireguardConfig.RouteTable or false;
          isTold = peer ? RouteTable || one.wireguardConfig ? RouteTable;
        in
        map (net: {
          inherit net;
          table = table value;
          path = if isTold then "RouteTable = ${builtins.toJSON value}" else "${path} has no RouteTable";
          cure = "${path}.RouteTable = \"main\"";
        }) (lib.concatMap words (lib.toList (peer.AllowedIPs or [ ])));
    in
    lib.concatMap ofPeer one.wireguardPeers;
  routed =
    lib.optionals (quick != null) ofQuick
    ++ lib.optionals (scripted != null) ofScripted
    ++ lib.optionals (!viaNetworkd) (lib.concatLists (lib.mapAttrsToList ofNetdev netdevs));
in
{
  inherit routed;

  known = quick != null || scripted != null || netdevs != { };

  # The networks of all peers; null where they are not to be seen from here.
  allowedIPs = if quick != null && quick.configFile != null then null else map (one: one.net) routed;

  # What it has for addresses by the same definition.
  addresses = lib.optionals (quick != null) quick.address ++ lib.optionals (scripted != null) scripted.ips;

  # The admin's own commands, which may do anything.
  commands =
    lib.optionals (quick != null) [ quick.preUp quick.postUp ]
    ++ lib.optionals (scripted != null) [ scripted.preSetup scripted.postSetup ];

  # The network namespace that it is moved to, if it is another one.
  namespace =
    if scripted == null || lib.elem scripted.interfaceNamespace [ null "init" ] then null else scripted.interfaceNamespace;

  # The services that make and remake the interface. networkd keeps its interfaces when it is restarted.
  services =
    lib.optional (quick != null) "wg-quick-${underlay}.service"
    ++ lib.optional (scripted != null && !viaNetworkd) "wireguard-${underlay}.service";

  # Whether it comes by itself at boot, so that something may wait for it.
  autostart = quick == null || quick.autostart;
}
