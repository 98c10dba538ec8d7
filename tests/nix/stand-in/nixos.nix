# A stand-in for the options of NixOS that nix/module.nix reads and sets, with no more of a meaning than that: see lib.nix.
{ lib, config, ... }:
let
  option = type: default: lib.mkOption { inherit type default; };
  inherit (lib.types) anything attrsOf bool lines listOf nullOr str submodule;
  set = option anything { };
  list = option (listOf anything) [ ];
in
{
  options = {
    assertions = list;
    boot.isContainer = option bool false;
    boot.kernelModules = list;
    boot.kernel.sysctl = set;
    environment.etc = set;
    environment.systemPackages = list;
    networking.bridges = set;
    networking.dhcpcd.denyInterfaces = list;
    networking.firewall.allowedUDPPorts = list;
    networking.firewall.extraCommands = option lines "";
    networking.firewall.extraInputRules = option lines "";
    networking.interfaces = option (attrsOf (submodule {
      options = {
        ipv4.addresses = list;
        ipv6.addresses = list;
        useDHCP = option (nullOr bool) null;
      };
    })) { };
    networking.networkmanager.unmanaged = list;
    networking.nftables.enable = option bool false;
    networking.nftables.flushRuleset = option bool false;
    networking.useDHCP = option bool true;
    networking.useNetworkd = option bool false;
    networking.wg-quick.interfaces = option (attrsOf (submodule {
      options = {
        address = list;
        autostart = option bool true;
        configFile = option (nullOr str) null;
        listenPort = option anything null;
        peers = list;
        privateKeyFile = option (nullOr str) null;
      };
    })) { };
    networking.wireguard.interfaces = option (attrsOf (submodule {
      options = {
        ips = list;
        listenPort = option anything null;
        peers = list;
        privateKeyFile = option (nullOr str) null;
      };
    })) { };
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
    systemd.services = set;
  };
}
