# Every five minutes, where each tunnel's peer is heard, for the next start of WireGuard. Off: systemd.timers.l2wg-watch.enable = false;
{ lib, package }:
{
  service = {
    description = "Where the peers of l2wg's tunnels are heard, and where their names lead";
    documentation = [ "man:l2wg(8)" ];
    serviceConfig = import ./hardening.nix // {
      Type = "oneshot";
      ExecStart = "${lib.getExe package} event watch timer";
      TimeoutStartSec = 60;
      # Nothing about it in the journal, unless it goes wrong.
      LogLevelMax = "notice";
      # NET_ADMIN: WireGuard tells of its peers to nobody else. SYS_ADMIN: it enters the namespace of `wire = "own"`. NET_RAW: the
      # frame that lets a handshake begin. AF_INET, AF_INET6: peers that are called by a name. /run: l2wg's locks.
      CapabilityBoundingSet = [ "CAP_NET_ADMIN" "CAP_NET_RAW" "CAP_SYS_ADMIN" ];
      RestrictAddressFamilies = [ "AF_NETLINK" "AF_UNIX" "AF_INET" "AF_INET6" "AF_PACKET" ];
      ReadWritePaths = [ "/run" ];
      RestrictNamespaces = "net";
      SystemCallFilter = [ "@system-service" "setns" ];
      UMask = "0022";
    };
  };
  timer = {
    description = "Where the peers of l2wg's tunnels are heard, every five minutes";
    documentation = [ "man:l2wg(8)" ];
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnActiveSec = 30;
      OnUnitActiveSec = 300;
      AccuracySec = 5;
    };
  };
}
