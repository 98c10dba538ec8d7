# One configuration (a file of JSON: a NixOS module) evaluated with nix/module.nix, as what the tests look at.
# `nixpkgs` is a path to nixpkgs, or null for the stand-ins.
{ json, nixpkgs ? null, package ? null, imports ? [ ../../nix/module.nix ] }:
let
  wished = builtins.fromJSON (builtins.readFile json);
  real = {
    lib = import (nixpkgs + "/lib");
    evaluate =
      modules:
      import (nixpkgs + "/nixos/lib/eval-config.nix") {
        system = "x86_64-linux";
        modules = modules ++ [ { system.stateVersion = "24.05"; } ];
      };
    unitText = config: name: config.systemd.units."${name}.service".text;
  };
  base = if nixpkgs == null then import ./stand-in else real;
  inherit (base) lib;
  built = {
    type = "derivation";
    name = "l2wg";
    outPath = package;
    meta.mainProgram = "l2wg";
  };
  evaluated = base.evaluate [
    { inherit imports; }
    wished
    { services.l2wg = lib.mkIf (package != null) { package = built; }; }
  ];
  inherit (evaluated) config;
  # The units of tunnels.
  names = builtins.filter (name: builtins.match "l2wg-.*" name != null && name != "l2wg-watch" && name != "l2wg-hubs") (builtins.attrNames config.systemd.services);
  ours = builtins.filter (name: builtins.match "l2wg/.*" name != null) (builtins.attrNames config.environment.etc);
in
{
  failed = map (one: one.message) (
    builtins.filter (one: !one.assertion && builtins.match "services\\.l2wg.*" one.message != null) config.assertions
  );
  warnings = builtins.filter (text: builtins.match "services\\.l2wg.*" text != null) config.warnings;
  files = lib.genAttrs (builtins.filter (name: name != "l2wg/sites") ours) (name: config.environment.etc.${name}.source.text);
  # What builds it.
  sites = if builtins.elem "l2wg/sites" ours then config.environment.etc."l2wg/sites".source.drvPath else null;
  units = lib.genAttrs names (base.unitText config);
  wantedBy = lib.genAttrs names (name: config.systemd.services.${name}.wantedBy);
  restarted = (config.systemd.services.systemd-networkd or { }).wants or [ ];
  watch = lib.optionalAttrs (config.systemd.timers ? l2wg-watch) {
    service = base.unitText config "l2wg-watch";
    timer = { inherit (config.systemd.timers.l2wg-watch) wantedBy timerConfig; };
  };
  hubs = lib.optionalAttrs (config.systemd.timers ? l2wg-hubs) {
    service = base.unitText config "l2wg-hubs";
    timer = config.systemd.timers.l2wg-hubs.timerConfig;
    path = { inherit (config.systemd.paths.l2wg-hubs) wantedBy pathConfig; };
  };
  modules = config.boot.kernelModules;
  sysctl = lib.filterAttrs (name: _: builtins.match "net\\.bridge.*" name != null) config.boot.kernel.sysctl;
  # Of single interfaces, but what NixOS itself says.
  conf = lib.filterAttrs (
    name: _:
    builtins.match "net\\.ipv[46]\\.conf\\..*" name != null
    && builtins.match ".*\\.(all|default|lo)\\..*|.*\\.(proxy_arp|use_tempaddr)" name == null
  ) config.boot.kernel.sysctl;
  postStart = lib.mapAttrs (_: one: one.postStart or "") (
    lib.filterAttrs (name: _: builtins.match ".*-netdev" name != null) config.systemd.services
  );
  bridges = lib.mapAttrs (_: bridge: bridge.interfaces) config.networking.bridges;
  interfaces = lib.mapAttrs (_: one: { inherit (one) useDHCP ipv4 ipv6; }) config.networking.interfaces;
  firewall = { inherit (config.networking.firewall) extraInputRules extraCommands; };
  denied = config.networking.dhcpcd.denyInterfaces;
  inherit (config.networking.networkmanager) unmanaged;
  networks = lib.mapAttrs (_: one: {
    matchConfig = one.matchConfig or { };
    linkConfig = one.linkConfig or { };
    networkConfig = one.networkConfig or { };
  }) config.systemd.network.networks;
  inherit (config.systemd.network.config) networkConfig;
  packages = map (one: one.pname or one.name or "") config.environment.systemPackages;
  telling = map (list: builtins.any (one: (one.pname or one.name or "") == "l2wg") list) [ config.services.udev.packages config.systemd.packages ];
}
