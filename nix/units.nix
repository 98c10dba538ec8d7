# One service a tunnel, and one for all sites. It carries no logic: it asks l2wg for the same plan that wg-quick's PostUp asks for on Debian.
{ lib, utils, config, tunnels, package, files, backend, net, walled }:
let
  inherit (config) networking;
  # nftables.service takes our guard with it where it flushes all tables.
  flushes = networking.nftables.enable && networking.nftables.flushRuleset;
  device = name: "sys-subsystem-net-devices-${utils.escapeSystemdPath name}.device";
  l2wg = lib.getExe package;

  # What all of them are like: `below` is the backend of the WireGuard interface, `own` whether l2wg makes that itself, `bridges`
  # are those that the tunnels join, `file` is what they come of, and `stopped` what takes them down.
  service =
    { description, underlay, own, bridges, file, stopped }:
    let
      below = backend underlay;
      # Scripted networking re-makes a bridge by restarting its service; anybody else's comes and goes as a device.
      isScripted = bridge: networking.bridges ? ${bridge} && !networking.useNetworkd;
      scripted = builtins.filter isScripted bridges.all;
      bridgeServices = map (bridge: "${bridge}-netdev.service") scripted;
      # A container has no udev, hence no devices.
      devices = lib.optionals (!config.boot.isContainer) (
        map device (lib.optional (!own) underlay ++ builtins.filter (bridge: !isScripted bridge) bridges.certain)
      );
      firewall = lib.optional flushes "nftables.service";
    in
    {
      inherit description;
      documentation = [ "man:l2wg(8)" "man:l2wg.conf(5)" ];
      bindsTo = devices;
      after =
        devices
        ++ below.services
        ++ bridgeServices
        ++ [ "network-pre.target" "systemd-networkd.service" "systemd-modules-load.service" "systemd-sysctl.service" ]
        ++ firewall;
      # Restarted together with whatever re-makes what it stands on: the order is then certain, and no matter of udev.
      partOf = below.services ++ bridgeServices ++ firewall;
      wantedBy = devices ++ bridgeServices ++ firewall ++ lib.optional (own || below.autostart) "multi-user.target";

      # A switch to a new configuration asks for the plan, which leaves alone what is right.
      reloadIfChanged = true;
      restartTriggers = [ file ];
      unitConfig = {
        # It switches STP off; see networking.bridges.
        ReloadPropagatedFrom = bridgeServices ++ firewall;
        StartLimitIntervalSec = 0;
      };

      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${l2wg} up ${underlay} --strict";
        ExecReload = "${l2wg} up ${underlay} --strict";
        ExecStop = "${l2wg} down ${stopped}";
        Restart = "on-failure";
        RestartSec = 30;
        TimeoutStartSec = 180;
        UMask = "0022";
      }
      // confinement;
    };

  # Each event brings all of the plan about. A namespace has a name by a mount, which has to be seen by everybody; and it is made,
  # and entered, by CAP_SYS_ADMIN. The peers of sites have endpoints that are names: INET asks for these.
  confined = import ./confined.nix;
  families = confined.RestrictAddressFamilies ++ lib.optionals (net != null) [ "AF_INET" "AF_INET6" ];
  confinement = lib.optionalAttrs (!walled) (confined // { RestrictAddressFamilies = families; });

  unit =
    name: tunnel:
    lib.nameValuePair "l2wg-${name}" (service {
      inherit (tunnel) underlay;
      description = "Ethernet tunnel ${name} through ${tunnel.underlay}";
      # WireGuard in a network namespace of its own: nobody else makes it, or tells when it is there.
      own = tunnel.wire == "own";
      bridges = { all = [ tunnel.bridge ]; certain = [ tunnel.bridge ]; };
      file = files.${name};
      stopped = name;
    });

  # Its lines say which bridges there are at all sites, not which of them is this router's.
  ofNet = service {
    inherit (net) underlay own file;
    description = "Ethernet tunnels to the sites of /etc/l2wg/sites";
    bridges = { all = net.bridges; certain = [ ]; };
    stopped = "/etc/l2wg/sites";
  };
in
lib.mapAttrs' unit tunnels // lib.optionalAttrs (net != null) { l2wg-sites = ofNet; }
