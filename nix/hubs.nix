# Every 3 seconds, whether the hub that is listened to answers, as long as this router listens to one of two.
# Off: systemd.paths.l2wg-hubs.enable = false; `watch` is watch.nix, of which it is as confined.
{ watch, package }:
{
  service = watch.service // {
    description = "Look whether the hub that is listened to answers, and listen to the other one where it does not";
    serviceConfig = watch.service.serviceConfig // {
      ExecStart = "${package}/lib/l2wg/hubs";
    };
  };
  timer = {
    description = "Look every 3 seconds whether l2wg's hubs answer";
    documentation = [ "man:l2wg(8)" ];
    timerConfig = {
      OnActiveSec = 3;
      OnUnitActiveSec = 3;
      AccuracySec = "100ms";
    };
  };
  path = {
    description = "Begin to look whether l2wg's hubs answer, where there are two";
    documentation = [ "man:l2wg(8)" ];
    wantedBy = [ "multi-user.target" ];
    pathConfig = {
      PathExists = "/run/l2wg.hubs";
      Unit = "l2wg-hubs.timer";
    };
  };
}
