# What this NixOS configuration knows of a WireGuard interface, whichever of the three ways defines it.
{ lib, config }:
underlay:
let
  inherit (config) networking;
  quick = networking.wg-quick.interfaces.${underlay} or null;
  scripted = networking.wireguard.interfaces.${underlay} or null;
  isNetdev = one: (one.netdevConfig.Name or "") == underlay && (one.netdevConfig.Kind or "") == "wireguard";
  networkd = builtins.filter isNetdev (builtins.attrValues config.systemd.network.netdevs);

  words = text: builtins.filter (word: builtins.isString word && word != "") (builtins.split "[ ,]+" text);
  # Before NixOS 24.11 each peer of networkd had its section's name around it.
  networkdPeers = lib.concatMap (one: map (peer: peer.wireguardPeerConfig or peer) one.wireguardPeers) networkd;
in
{
  known = quick != null || scripted != null || networkd != [ ];

  # The networks of all peers; null where they are not to be seen from here.
  allowedIPs =
    if quick != null && quick.configFile != null then
      null
    else
      lib.concatMap words (
        lib.concatMap (peer: peer.allowedIPs) (
          lib.optionals (quick != null) quick.peers ++ lib.optionals (scripted != null) scripted.peers
        )
        ++ lib.concatMap (peer: lib.toList (peer.AllowedIPs or [ ])) networkdPeers
      );

  # The services that make and remake the interface. networkd keeps its interfaces when it is restarted.
  services =
    lib.optional (quick != null) "wg-quick-${underlay}.service"
    ++ lib.optional (scripted != null) "wireguard-${underlay}.service";

  # Whether it comes by itself at boot, so that something may wait for it.
  autostart = quick == null || quick.autostart;
}
