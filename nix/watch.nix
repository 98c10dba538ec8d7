# Every half a minute, whether all is as it is wished for. Off: systemd.timers.l2wg-watch.enable = false;
# `own` is whether some tunnel has a wire of its own.
{ lib, package, own }:
let
  # A namespace has a name by a mount that everybody has to see: so nothing that gives the service mounts of its own.
  unmounted = lib.filterAttrs (name: _: !(lib.hasPrefix "Protect" name || lib.hasPrefix "Private" name)) (import ./hardening.nix);
in
{
  service = {
    description = "Look whether l2wg's tunnels are as they are wished for, and put right what is not";
    documentation = [ "man:l2wg(8)" ];
    serviceConfig =
      (if own then unmounted else import ./confined.nix)
      // {
        Type = "oneshot";
        ExecStart = "${package}/lib/l2wg/look";
        # An event waits 30 s for whoever works (l2wg_hooks/system/lock.py): a command that hangs is ended before.
        TimeoutStartSec = 25;
        # Nothing about it in the journal, unless it goes wrong.
        LogLevelMax = "notice";
        # INET asks for the names of peers.
        RestrictAddressFamilies = [ "AF_NETLINK" "AF_UNIX" "AF_PACKET" "AF_INET" "AF_INET6" ];
        UMask = "0022";
      }
      # As on Debian: SYS_ADMIN makes and enters the namespace.
      // lib.optionalAttrs own {
        CapabilityBoundingSet = [ "CAP_NET_ADMIN" "CAP_NET_RAW" "CAP_SYS_ADMIN" "CAP_SYS_MODULE" ];
        RestrictNamespaces = "net mnt";
        SystemCallFilter = [ "@system-service" "@mount" "@module" "setns" "unshare" ];
      };
  };
  timer = {
    description = "Look every 30 seconds whether l2wg's tunnels are as they are wished for";
    documentation = [ "man:l2wg(8)" ];
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnActiveSec = 30;
      OnUnitActiveSec = 30;
      AccuracySec = 1;
    };
  };
}
