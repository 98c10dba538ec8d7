# A stand-in for the options of NixOS that nix/module.nix reads and sets, with no more of a meaning than that: see lib.nix.
{ lib, config, ... }:
let
  option = type: default: lib.mkOption { inherit type default; };
  inherit (lib.types) anything attrsOf bool lines listOf nullOr str submodule unspecified;
  set = option anything { };
  list = option (listOf anything) [ ];
in
{
  options = {
    assertions = option (listOf unspecified) [ ];
    warnings = list;
    boot.isContainer = option bool false;
    boot.kernelModules = list;
    boot.kernel.sysctl = set;
    environment.etc = set;
    environment.systemPackages = list;
    networking.bonds = set;
    networking.bridges = set;
    networking.dhcpcd.denyInterfaces = list;
    networking.enableIPv6 = option bool true;
    networking.firewall.allowedUDPPorts = list;
    networking.firewall.checkReversePath = option anything true;
    networking.firewall.enable = option bool true;
    networking.firewall.extraCommands = option lines "";
    networking.firewall.extraInputRules = option lines "";
    networking.greTunnels = set;
    networking.interfaces = option (attrsOf (submodule {
      options = {
        ipv4.addresses = list;
        ipv4.routes = list;
        ipv6.addresses = list;
        ipv6.routes = list;
        useDHCP = option (nullOr bool) null;
        virtual = option bool false;
      };
    })) { };
    networking.localCommands = option lines "";
    networking.macvlans = set;
    networking.networkmanager.unmanaged = list;
    networking.nftables.enable = option bool false;
    networking.nftables.flushRuleset = option bool false;
    networking.useDHCP = option bool true;
    networking.sits = set;
    networking.useNetworkd = option bool false;
    networking.vlans = set;
    networking.vswitches = set;
    networking.wg-quick.interfaces = option (attrsOf (submodule {
      options = {
        address = list;
        autostart = option bool true;
        configFile = option (nullOr str) null;
        listenPort = option anything null;
        peers = list;
        privateKey = option (nullOr str) null;
        postUp = option lines "";
        preUp = option lines "";
        privateKeyFile = option (nullOr str) null;
        table = option (nullOr str) null;
      };
    })) { };
    networking.wireguard.interfaces = option (attrsOf (submodule {
      options = {
        allowedIPsAsRoutes = option bool true;
        interfaceNamespace = option (nullOr str) null;
        ips = list;
        privateKey = option (nullOr str) null;
        postSetup = option lines "";
        preSetup = option lines "";
        table = option str "main";
        listenPort = option anything null;
        peers = list;
        privateKeyFile = option (nullOr str) null;
      };
    })) { };
    services.dnsmasq = set;
    services.udev.packages = list;
    specialisation = set;
    systemd.network.config.networkConfig = set;
    systemd.network.enable = option bool false;
    systemd.network.netdevs = option (attrsOf (submodule {
      options = {
        netdevConfig = set;
        wireguardConfig = set;
        wireguardPeers = list;
      };
    })) { };
    systemd.network.networks = set;
    systemd.packages = list;
    systemd.package = option anything { outPath = "/usr"; };
    systemd.paths = set;
    systemd.services = set;
    systemd.timers = set;
    virtualisation = set;
  };

  # What networkd is told of bridges, as network-interfaces-systemd.nix does.
  config = lib.mkIf config.networking.useNetworkd {
    systemd.network.enable = true;
    systemd.network.netdevs = lib.mapAttrs' (
      name: _: lib.nameValuePair "40-${name}" { netdevConfig = { Name = name; Kind = "bridge"; }; }
    ) config.networking.bridges;
    systemd.network.networks = lib.mkMerge (
      lib.mapAttrsToList (name: one: {
        "40-${name}" = {
          matchConfig.Name = name;
          address = map (net: "${net.address}/${toString net.prefixLength}") (one.ipv4.addresses ++ one.ipv6.addresses);
        };
      }) config.networking.interfaces
      ++ lib.mapAttrsToList (
        name: one: lib.genAttrs (map (port: "40-${port}") one.interfaces) (key: {
          matchConfig.Name = lib.removePrefix "40-" key;
          networkConfig.Bridge = name;
        })
      ) config.networking.bridges
    );
  };
}
