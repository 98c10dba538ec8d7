# One service a tunnel. It carries no logic: it asks l2wg for the same plan that wg-quick's PostUp asks for on Debian.
{ lib, utils, config, tunnels, package, files, backend }:
let
  inherit (config) networking;
  # nftables.service takes our guard with it where it flushes all tables.
  flushes = networking.nftables.enable && networking.nftables.flushRuleset;
  device = name: "sys-subsystem-net-devices-${utils.escapeSystemdPath name}.device";
  l2wg = lib.getExe package;

  unit =
    name: tunnel:
    let
      below = backend tunnel.underlay;
      # WireGuard in a network namespace of its own: nobody else makes it, or tells when it is there.
      own = tunnel.wire == "own";
      # Scripted networking re-makes a bridge by restarting its service; anybody else's comes and goes as a device.
      scripted = networking.bridges ? ${tunnel.bridge} && !networking.useNetworkd;
      bridgeService = lib.optional scripted "${tunnel.bridge}-netdev.service";
      # A container has no udev, hence no devices.
      devices = lib.optionals (!config.boot.isContainer) (
        map device (lib.optional (!own) tunnel.underlay ++ lib.optional (!scripted) tunnel.bridge)
      );
      firewall = lib.optional flushes "nftables.service";
    in
    lib.nameValuePair "l2wg-${name}" {
      description = "Ethernet tunnel ${name} through ${tunnel.underlay}";
      documentation = [ "man:l2wg(8)" "man:l2wg.conf(5)" ];
      bindsTo = devices;
      after =
        devices
        ++ below.services
        ++ bridgeService
        ++ [ "network-pre.target" "systemd-networkd.service" "systemd-modules-load.service" "systemd-sysctl.service" ]
        ++ firewall;
      # Restarted together with whatever re-makes what it stands on: the order is then certain, and no matter of udev.
      partOf = below.services ++ bridgeService ++ firewall;
      wantedBy = devices ++ bridgeService ++ firewall ++ lib.optional (own || below.autostart) "multi-user.target";

      # A switch to a new configuration asks for the plan, which leaves alone what is right.
      reloadIfChanged = true;
      restartTriggers = [ files.${name} ];
      unitConfig = {
        # It switches STP off; see networking.bridges.
        ReloadPropagatedFrom = bridgeService ++ firewall;
        StartLimitIntervalSec = 0;
      };

      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${l2wg} up ${tunnel.underlay} --strict";
        ExecReload = "${l2wg} up ${tunnel.underlay} --strict";
        ExecStop = "${l2wg} down ${name}";
        Restart = "on-failure";
        RestartSec = 30;
        TimeoutStartSec = 180;
        UMask = "0022";
      }
      # A namespace has a name by a mount, which has to be seen by everybody; and it is made, and entered, by CAP_SYS_ADMIN.
      // lib.optionalAttrs (!own) (import ./confined.nix);
    };
in
lib.mapAttrs' unit tunnels
