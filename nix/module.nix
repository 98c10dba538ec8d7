# services.l2wg: the files of /etc/l2wg, a unit a tunnel and one for all sites, and what the rest of NixOS has to know of them.
# What is done to the network is decided by l2wg_hooks/plan/planner.py alone, as on Debian.
{ config, lib, pkgs, utils, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.l2wg;
  ip = import ./addresses.nix;
  encapsulations = import ./encapsulations.nix;
  file = import ./file.nix { inherit lib; };
  inherit (import ./options.nix { inherit lib; }) interfaceName options;
  misspelt = import ./misspelt.nix { inherit lib options; };
  backend = import ./backend.nix { inherit lib config; };
  links = import ./links.nix { inherit lib config; };
  networkd = import ./networkd.nix { inherit lib config; };
  routes = import ./routes.nix { inherit lib config backend networkd; };
  # A tunnel of that name is refused (assertions.nix), and not by two definitions of one unit.
  watched = (tunnels != { } || net != null) && !(tunnels ? watch);
  watch = import ./watch.nix {
    inherit lib;
    inherit (cfg) package;
    own = walled;
  };

  # A second look, where sites listen to one of two hubs.
  hubs = import ./hubs.nix {
    inherit watch;
    inherit (cfg) package;
  };
  twoHubs = watched && net != null && builtins.length net.hubs > 1 && !(tunnels ? hubs);

  # A tunnel with a key that is no option is refused; nobody else sees it, so that nothing stumbles over it before that is told.
  tunnels = lib.filterAttrs (_: tunnel: misspelt.keys tunnel == [ ] && tunnel.enable) cfg.tunnels;
  all = builtins.attrValues tunnels;
  names = builtins.attrNames tunnels;
  files = lib.mapAttrs (name: tunnel: pkgs.writeText "l2wg.conf" (file.text name tunnel)) tunnels;

  # The file of sites: its text, as far as it is known before anything is built.
  said =
    if cfg.sites == null || lib.isDerivation cfg.sites || (builtins.isString cfg.sites && builtins.hasContext cfg.sites) then
      null
    else if builtins.isPath cfg.sites || lib.hasPrefix "/" cfg.sites then
      builtins.readFile cfg.sites
    else
      lib.removeSuffix "\n" cfg.sites + "\n";
  told = import ./sites.nix { inherit lib; text = if said == null then "net\n" else said; };
  wires = links.wireguards;
  net =
    if cfg.sites == null then
      null
    else
      told
      // {
        underlay = if cfg.underlay == null && builtins.length wires == 1 then builtins.head wires else toString cfg.underlay;
        # A WireGuard that nobody here makes is l2wg's own, from /etc/wireguard.
        own = !(backend net.underlay).known;
        file = checked;
      };
  # By l2wg itself, with all of its rules; what is wrong stands in the build's log, each with its line and cure.
  checked = pkgs.runCommand "l2wg-sites" {
    sites = if said == null then cfg.sites else pkgs.writeText "sites" said;
    preferLocalBuild = true;
  } ''
    ${lib.getExe cfg.package} sites --file "$sites" >seen 2>&1 || { cat seen >&2; exit 1; }
    cp "$sites" "$out"
  '';

  own = builtins.filter (tunnel: tunnel.bridgePorts != [ ]) all;
  ownBridges = lib.unique (map (tunnel: tunnel.bridge) own);
  ownPorts = bridge: lib.unique (lib.concatMap (tunnel: lib.optionals (tunnel.bridge == bridge) tunnel.bridgePorts) own);
  isIPv6 = tunnel: encapsulations.family tunnel == 6;
  # Those whose packets are among this router's own.
  shared = builtins.filter (tunnel: tunnel.wire != "own") all;
  # l2wg_hooks/plan/policy_routes.py
  routed = builtins.any (tunnel: (encapsulations.kind tunnel).ownRoute) shared || (net != null && !net.own);
  classic = builtins.any (tunnel: tunnel.mssClamp == "iptables") all || (net != null && net.classic);
  walled = shared != all || (net != null && net.own);

  # A tunnel called like their unit is refused (assertions.nix), and not by two definitions of one file.
  netNames = lib.optionals (net != null && !(tunnels ? sites)) net.interfaces;

  # A bridge of the module's own that NixOS gives no address: this router is not to be there.
  bare =
    bridge:
    let
      interface = config.networking.interfaces.${bridge};
    in
    interface.useDHCP != true && interface.ipv4.addresses == [ ] && interface.ipv6.addresses == [ ];
  # ... nor networkd by a file of its own.
  absent =
    bridge:
    let
      says = networkd.says { Name = bridge; Type = "ether"; Kind = "bridge"; };
    in
    bare bridge && (says == null || says.unmanaged || !(says.dhcp || says.addresses != [ ]));

  # The other site's router advertisements would bring an address, and a default route, and an ARP request for any address of
  # this router an answer. udev has systemd-sysctl set these whenever the interface is made, as NixOS' own ones of an interface.
  sysctls =
    bridge:
    let
      name = builtins.replaceStrings [ "." ] [ "/" ];
      ofPort = port: { "net.ipv6.conf.${name port}.accept_ra" = lib.mkDefault 0; };
    in
    [
      (lib.mkIf (config.networking.interfaces.${bridge}.useDHCP != true) {
        "net.ipv6.conf.${name bridge}.accept_ra" = lib.mkDefault 0;
      })
      (lib.mkIf (absent bridge) {
        "net.ipv6.conf.${name bridge}.disable_ipv6" = lib.mkDefault 1;
        "net.ipv4.conf.${name bridge}.arp_ignore" = lib.mkDefault 1;
      })
    ]
    # Before it is a port, it must not get one either.
    ++ map ofPort (ownPorts bridge);

  # udev does so some time later, and in a container there is none: a tunnel may be a port by then.
  settled =
    bridge:
    let
      prefixes = map (family: "--prefix=/net/${family}/conf/${bridge}") [ "ipv6" "ipv4" ];
    in
    "${config.systemd.package}/lib/systemd/systemd-sysctl ${toString prefixes} || true\n";

  kernelModule = tunnel: (encapsulations.kind tunnel).module;
  # Of either family: the cards have the addresses.
  netModules = map (kind: kind.module) (builtins.attrValues encapsulations.all.${net.encapsulation}.kinds);

  nftablesRule =
    tunnel: remote:
    let
      family = if isIPv6 tunnel then "ip6" else "ip";
      port = encapsulations.udpPort tunnel;
      packets = if port == null then "meta l4proto gre" else "udp dport ${toString port}";
    in
    ''iifname "${tunnel.underlay}" ${family} saddr ${remote} ${family} daddr ${tunnel.local} ${packets} accept'';

  iptablesRule =
    tunnel: remote:
    let
      command = if isIPv6 tunnel then "ip6tables" else "iptables";
      port = encapsulations.udpPort tunnel;
      packets = if port == null then "-p gre" else "-p udp --dport ${toString port}";
    in
    "${command} -A nixos-fw -i ${tunnel.underlay} -s ${remote} -d ${tunnel.local} ${packets} -j nixos-fw-accept";

  lines =
    of: ofNet:
    lib.concatMapStrings (
      tunnel: lib.concatMapStrings (remote: of tunnel remote + "\n") (encapsulations.senders tunnel)
    ) shared
    + lib.optionalString (net != null && !net.own) ofNet;
  # Which peers there are, the file says; the guard lets in no others.
  netPort = encapsulations.all.${net.encapsulation}.udpPort;
  netNftables =
    let
      packets = if netPort == null then "meta l4proto gre" else "udp dport ${toString netPort}";
    in
    ''iifname "${net.underlay}" ${packets} accept'' + "\n";
  netIptables =
    let
      packets = if netPort == null then "-p gre" else "-p udp --dport ${toString netPort}";
      rule = command: "${command} -A nixos-fw -i ${net.underlay} ${packets} -j nixos-fw-accept\n";
    in
    rule "iptables" + lib.optionalString config.networking.enableIPv6 (rule "ip6tables");

  addresses =
    tunnel:
    let
      parts = lib.splitString "/" tunnel.bridgeAddress;
      one = {
        address = builtins.head parts;
        prefixLength = lib.toIntBase10 (builtins.elemAt parts 1);
      };
      is6 = ip.family (ip.address one.address) == 6;
    in
    lib.optionalAttrs (tunnel.bridgeAddress != null) {
      ipv4.addresses = lib.optional (!is6) one;
      ipv6.addresses = lib.optional is6 one;
    };
in
{
  # One module, whoever imports it, and from whichever copy: as a path, from the flake, or both.
  key = "l2wg: services.l2wg";

  options.services.l2wg = {
    enable = lib.mkEnableOption "Ethernet tunnels through WireGuard";
    package = mkOption {
      type = types.package;
      default = pkgs.l2wg or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalExpression "pkgs.l2wg";
      example = lib.literalExpression "pkgs.l2wg.overrideAttrs (old: { doCheck = false; })";
      description = "The l2wg package.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether the firewall lets each tunnel in: GRE (for vxlan its UDP port) from `remote` to `local`, on the underlay only.
      '';
    };
    tunnels = mkOption {
      type = types.attrsOf (types.submodule { inherit options; freeformType = types.attrsOf types.anything; });
      default = { };
      example = {
        gretap1 = {
          underlay = "wg0";
          local = "192.168.178.1";
          remote = "192.168.92.1";
          bridge = "br0";
          bridgePorts = [ "enp3s0" ];
        };
      };
      description = "The tunnels, by the name of their interface (at most 15 bytes). See {manpage}`l2wg.conf(5)`.";
    };
    sites = mkOption {
      type = types.nullOr (types.either types.path types.lines);
      default = null;
      example = lib.literalExpression "./sites";
      description = ''
        The sites of a net, as a file or its lines: see {manpage}`l2wg-sites(5)`. It is the same on every router, and becomes
        /etc/l2wg/sites. The bridge that its tunnels join is defined elsewhere, such as in `networking.bridges`.
      '';
    };
    underlay = mkOption {
      type = types.nullOr interfaceName;
      default = null;
      example = "wg0";
      description = ''
        The WireGuard interface of this router in the net of `sites`. null: the only one that this configuration defines. One
        that it does not define is l2wg's own, made from /etc/wireguard/UNDERLAY.conf in a network namespace.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions =
      misspelt.assertions cfg.tunnels
      ++ import ./assertions.nix { inherit lib config tunnels backend links networkd net wires; }
      ++ lib.optionals (said != null) told.assertions;
    warnings = import ./warnings.nix { inherit lib config tunnels backend links networkd routes; };

    environment.systemPackages = [ cfg.package ];
    # What the tunnels' own units are not bound to: ports, and what gets its address later.
    services.udev.packages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    environment.etc =
      lib.mapAttrs' (name: source: lib.nameValuePair "l2wg/${name}.conf" { inherit source; }) files
      // lib.optionalAttrs (net != null) { "l2wg/sites".source = net.file; };

    systemd.services = lib.mkMerge (
      [
        (import ./units.nix {
          inherit lib utils config tunnels files backend net walled;
          inherit (cfg) package;
        })
        (lib.mkIf watched { l2wg-watch = watch.service; })
        (lib.mkIf twoHubs { l2wg-hubs = hubs.service; })
        # It tells WireGuard of all peers anew, and forgets where they were heard.
        (lib.mkIf networkd.running { systemd-networkd.wants = [ "l2wg-manager@systemd-networkd.service" ]; })
      ]
      ++ map (bridge: lib.mkIf (!config.networking.useNetworkd) { "${bridge}-netdev".postStart = settled bridge; }) ownBridges
    );

    systemd.timers = lib.mkMerge [
      (lib.mkIf watched { l2wg-watch = watch.timer; })
      (lib.mkIf twoHubs { l2wg-hubs = hubs.timer; })
    ];
    systemd.paths = lib.mkIf twoHubs { l2wg-hubs = hubs.path; };

    # The units load none.
    boot.kernelModules =
      lib.unique (map kernelModule all ++ lib.optionals (net != null) netModules)
      ++ lib.optional walled "wireguard"
      ++ lib.optional classic "br_netfilter";
    # The module begins with these on, and every bridge of this host filtered; l2wg switches on its own bridge only.
    boot.kernel.sysctl = lib.mkMerge (
      lib.concatMap sysctls ownBridges
      ++ lib.optional classic {
        "net.bridge.bridge-nf-call-iptables" = lib.mkDefault 0;
        "net.bridge.bridge-nf-call-ip6tables" = lib.mkDefault 0;
        "net.bridge.bridge-nf-call-arptables" = lib.mkDefault 0;
      }
    );

    networking.bridges = lib.genAttrs ownBridges (bridge: { interfaces = ownPorts bridge; });
    # A DHCP client there would take the other site's address and default route.
    networking.interfaces = lib.mkMerge (
      map (tunnel: { ${tunnel.bridge} = { useDHCP = lib.mkDefault false; } // addresses tunnel; }) own
    );

    networking.firewall.extraInputRules = lib.mkIf (cfg.openFirewall && config.networking.nftables.enable) (
      lines nftablesRule netNftables
    );
    networking.firewall.extraCommands = lib.mkIf (cfg.openFirewall && !config.networking.nftables.enable) (
      lines iptablesRule netIptables
    );

    networking.dhcpcd.denyInterfaces = names ++ netNames;
    networking.networkmanager.unmanaged = map (name: "interface-name:${name}") (
      netNames ++ lib.unique (names ++ lib.concatMap (tunnel: [ tunnel.bridge ] ++ tunnel.bridgePorts) own)
    );
    systemd.network.networks = lib.mkMerge (
      # First in order, so that no pattern of somebody's takes them.
      map (name: {
        "05-l2wg-${name}" = {
          matchConfig.Name = name;
          linkConfig.Unmanaged = true;
        };
      }) names
      ++ lib.optional (netNames != [ ]) {
        "05-l2wg-sites" = {
          matchConfig.Name = lib.concatStringsSep " " netNames;
          linkConfig.Unmanaged = true;
        };
      }
      # Nothing may be plugged in: boot does not wait for it.
      ++ map (
        bridge:
        lib.mkIf config.networking.useNetworkd (
          lib.genAttrs (map (name: "40-${name}") ([ bridge ] ++ ownPorts bridge)) (_: {
            linkConfig.RequiredForOnline = lib.mkDefault "no";
          })
        )
      ) ownBridges
      # networkd takes router advertisements itself, whatever the kernel is told.
      ++ map (
        bridge:
        lib.mkIf (config.networking.useNetworkd && config.networking.interfaces.${bridge}.useDHCP != true) {
          "40-${bridge}".networkConfig = {
            IPv6AcceptRA = lib.mkDefault false;
          } // lib.optionalAttrs (bare bridge) { LinkLocalAddressing = lib.mkDefault "no"; };
        }
      ) ownBridges
    );
    # networkd would delete the policy routes of the tunnels when it is restarted.
    systemd.network.config.networkConfig = lib.mkIf routed {
      ManageForeignRoutes = lib.mkDefault false;
      ManageForeignRoutingPolicyRules = lib.mkDefault false;
    };
  };
}
