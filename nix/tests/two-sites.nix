# Two routers and two hosts: the reference case of README.md. It boots NixOS in four virtual machines:
#   nix build .#checks.x86_64-linux.two-sites
#
#   portA --(vlan 2)-- routerA == wg0 over "the internet" (vlan 1) == routerB --(vlan 3)-- hostB, with a DHCP server
#
# default.nix has the ways in which WireGuard and the bridges are made, and the encapsulations.
{
  name ? "two-sites",
  backend ? "wg-quick", # or networking.wireguard, or networkd, which makes the bridges, too
  encapsulation ? "gretap",
  ipv6 ? false,
}:
let
  ends = {
    a = if ipv6 then "fd00:178::1" else "192.168.178.1";
    b = if ipv6 then "fd00:92::1" else "192.168.92.1";
  };
  # wg0 of a router, by the chosen way: its address, key and port, and its one peer, with the endpoint if it is to call.
  wireguard =
    {
      address,
      private,
      port ? null,
      public,
      allowed,
      endpoint ? null,
    }:
    { lib, pkgs, ... }:
    let
      keepalive = if endpoint == null then null else 15;
      peer = {
        publicKey = public;
        allowedIPs = allowed;
        inherit endpoint;
        persistentKeepalive = keepalive;
      };
      told = lib.filterAttrs (_: value: value != null);
    in
    {
      networking.wg-quick.interfaces = lib.mkIf (backend == "wg-quick") {
        wg0 = { address = [ address ]; privateKey = private; listenPort = port; peers = [ peer ]; };
      };
      networking.wireguard.interfaces = lib.mkIf (backend == "networking.wireguard") {
        wg0 = { ips = [ address ]; privateKey = private; listenPort = port; peers = [ peer ]; };
      };
      networking.useNetworkd = backend == "networkd";
      systemd.network = lib.mkIf (backend == "networkd") {
        netdevs."30-wg0" = {
          netdevConfig = { Name = "wg0"; Kind = "wireguard"; };
          wireguardConfig = told { PrivateKeyFile = pkgs.writeText "wg0.key" private; ListenPort = port; RouteTable = "main"; };
          wireguardPeers = [
            (told { PublicKey = public; AllowedIPs = allowed; Endpoint = endpoint; PersistentKeepalive = keepalive; })
          ];
        };
        networks."30-wg0" = { matchConfig.Name = "wg0"; address = [ address ]; linkConfig.RequiredForOnline = "no"; };
      };
    };
  # Made for this test by wg(8), of no use elsewhere: a Nix store can be read by everybody.
  keys = {
    a = {
      private = "yDE21KoZikAFV8FvWCyWN7jcB/VXd0YTUOlWfDT4NFk=";
      public = "/LBLG75ft5DWcXGafouLlkrO/4449nxjNCoksI39BjE=";
    };
    b = {
      private = "IL9UGewcQPn3FNgAh2q/20Y7jGCQbHDrRg2Kx+vEm3A=";
      public = "TCVdpKe0OnIeGZtLqGxjySsfsxaSEssNL2ElBfLhcis=";
    };
  };
  router =
    { lib, pkgs, ... }:
    {
      imports = [ ../module.nix ];
      networking.useDHCP = false;
      environment.systemPackages = [ pkgs.tcpdump ];
      services.l2wg.enable = true;
      services.l2wg.openFirewall = true;
    };
  # What makes wg0 and br0, and makes them again.
  byNetworkd = backend == "networkd";
  maker = { wg-quick = "wg-quick-wg0.service"; "networking.wireguard" = "wireguard-wg0.service"; }.${backend} or bridgeMaker;
  again = if byNetworkd then "networkctl up wg0" else "systemctl restart ${maker}";
  bridgeMaker = if byNetworkd then "systemd-networkd.service" else "br0-netdev.service";
  without = if byNetworkd then "ip link del br0" else "systemctl stop ${bridgeMaker}";
  bridgeAgain = if byNetworkd then "networkctl reload; systemctl restart ${bridgeMaker}" else "systemctl start ${bridgeMaker}";

  # What it has comes by DHCP, or is told here, and no more.
  host = {
    networking.useDHCP = false;
    networking.firewall.enable = false;
  };
in
{
  name = "l2wg-${name}";

  nodes = {
    routerA =
      { lib, ... }:
      {
        imports = [
          router
          (wireguard {
            address = "10.15.14.2/24";
            private = keys.a.private;
            public = keys.b.public;
            allowed = [ "192.168.92.0/24" "10.15.14.0/24" "fd00:92::/64" ];
            endpoint = "203.0.113.2:4900";
          })
        ];
        # eth1 is the WAN, eth2 the port; the LAN's address stands on a dummy, since nobody lives there.
        virtualisation.vlans = [ 1 2 ];
        boot.kernelModules = [ "dummy" ];
        networking.interfaces.eth1.ipv4.addresses = lib.mkForce [ { address = "203.0.113.1"; prefixLength = 24; } ];
        networking.interfaces.eth2.ipv4.addresses = lib.mkForce [ ];
        networking.interfaces.eth2.ipv6.addresses = lib.mkForce [ ];
        networking.localCommands = ''
          ip link add lan type dummy 2>/dev/null || true
          ip link set lan up
          ip address replace 192.168.178.1/24 dev lan
          ip address replace fd00:178::1/64 dev lan nodad
        '';
        services.l2wg.tunnels.gretap1 = {
          underlay = "wg0";
          local = ends.a;
          remote = ends.b;
          inherit encapsulation;
          bridge = "br0";
          bridgePorts = [ "eth2" ];
        };
        # A second configuration for `switch`: one key of the tunnel is another.
        specialisation.fenced.configuration.services.l2wg.tunnels.gretap1.stormLimit = 1000;
        # ... and one that does not concern it.
        specialisation.greeted.configuration.environment.etc.greeting.text = "hello";
      };

    routerB =
      { lib, ... }:
      {
        imports = [
          router
          (wireguard {
            address = "10.15.14.1/24";
            private = keys.b.private;
            port = 4900;
            public = keys.a.public;
            allowed = [ "10.15.14.2/32" "192.168.178.0/24" "fd00:178::/64" ];
          })
        ];
        virtualisation.vlans = [ 1 3 ];
        networking.nftables.enable = true;
        networking.interfaces.eth1.ipv4.addresses = lib.mkForce [ { address = "203.0.113.2"; prefixLength = 24; } ];
        networking.interfaces.eth2.ipv4.addresses = lib.mkForce [ ];
        networking.interfaces.eth2.ipv6.addresses = lib.mkForce [ ];
        networking.bridges.br0.interfaces = [ "eth2" ];
        networking.interfaces.br0.ipv4.addresses = [ { address = "192.168.92.1"; prefixLength = 24; } ];
        networking.interfaces.br0.ipv6.addresses = [ { address = "fd00:92::1"; prefixLength = 64; } ];
        networking.firewall.allowedUDPPorts = [ 4900 ];
        services.l2wg.tunnels.gretap1 = {
          underlay = "wg0";
          local = ends.b;
          remote = ends.a;
          inherit encapsulation;
          bridge = "br0";
        };
      };

    portA =
      { lib, ... }:
      {
        imports = [ host ];
        virtualisation.vlans = [ 2 ];
        networking.interfaces.eth1.ipv4.addresses = lib.mkForce [ ];
        networking.interfaces.eth1.useDHCP = true;
      };

    hostB =
      { lib, ... }:
      {
        imports = [ host ];
        virtualisation.vlans = [ 3 ];
        networking.interfaces.eth1.ipv4.addresses = lib.mkForce [ { address = "192.168.92.2"; prefixLength = 24; } ];
        services.dnsmasq.enable = true;
        services.dnsmasq.settings = {
          port = 0;
          interface = "eth1";
          dhcp-range = "192.168.92.100,192.168.92.150,1h";
        };
      };
  };

  testScript = ''
    LEASE = "ip -4 address show dev eth1 | grep -F 'inet 192.168.92.1'"
    # Full size: 20 bytes of IP and 8 of ICMP around it make 1500; -M do forbids to fragment on the way.
    PING = "ping -c 1 -W 2 -M do -s 1472 192.168.92.2"


    def index(router):
        """Which gretap1 it is: one that was made again has another number."""
        return router.succeed("cat /sys/class/net/gretap1/ifindex")


    start_all()
    for router in routerA, routerB:
        router.wait_for_unit("l2wg-gretap1.service")
    hostB.wait_for_unit("dnsmasq.service")

    with subtest("a lease and a frame of full size cross"):
        portA.wait_until_succeeds(LEASE, timeout=120)
        portA.wait_until_succeeds(PING, timeout=60)

    with subtest("the routers keep to themselves"):
        routerA.fail("ip address show dev br0 | grep inet")
        routerA.succeed("test $(cat /proc/sys/net/ipv6/conf/br0/accept_ra) = 0", "test $(cat /proc/sys/net/ipv4/conf/br0/arp_ignore) = 1")
        routerA.succeed("l2wg plan", "l2wg check")
        routerB.succeed("l2wg plan", "l2wg check")

    with subtest("nothing of the tunnel on the WAN, even while WireGuard is down"):
        routerB.execute("tcpdump -n -i eth1 -w /tmp/wan.pcap ip proto 47 or ip6 proto 47 or udp port 4789 >/dev/null 2>&1 & echo $! >/tmp/wan.pid; sleep 2")
        portA.succeed(PING)
        routerA.succeed("ip link set wg0 down")
        portA.fail(PING)
        routerA.succeed("${again}")
        portA.wait_until_succeeds(PING, timeout=60)
        routerB.succeed("kill $(cat /tmp/wan.pid); sleep 1")
        assert routerB.succeed("tcpdump -n -r /tmp/wan.pcap 2>/dev/null | wc -l").strip() == "0"

    with subtest("it comes back after a restart of each unit"):
        for router, unit in (
            (routerA, "${maker}"),
            (routerB, "${maker}"),
            (routerA, "${bridgeMaker}"),
            (routerB, "${bridgeMaker}"),
            (routerA, "firewall.service"),
            (routerB, "nftables.service"),
            (routerA, "l2wg-gretap1.service"),
            (routerB, "l2wg-gretap1.service"),
        ):
            router.succeed(f"systemctl restart {unit}")
            portA.wait_until_succeeds(PING, timeout=60)

    with subtest("without the bridge the tunnel is gone, and back with it"):
        routerA.succeed("${without}")
        routerA.wait_until_fails("test -e /sys/class/net/gretap1", timeout=30)
        routerA.succeed("${bridgeAgain}")
        portA.wait_until_succeeds(PING, timeout=60)

    with subtest("a switch leaves an unchanged tunnel alone, and mends a changed one in place"):
        before = index(routerA)
        switch = "/run/booted-system/specialisation/{}/bin/switch-to-configuration test"
        routerA.succeed(switch.format("greeted"))
        assert index(routerA) == before
        routerA.succeed(switch.format("fenced"))
        assert index(routerA) == before
        routerA.succeed("nft list table bridge l2wg | grep storm", "l2wg plan")
        portA.wait_until_succeeds(PING, timeout=60)

    with subtest("stopped, it is gone, and so are its rules"):
        routerA.succeed("systemctl stop l2wg-gretap1.service")
        routerA.fail("test -e /sys/class/net/gretap1", "nft list table inet l2wg")
        routerA.succeed("systemctl start l2wg-gretap1.service")
        portA.wait_until_succeeds(PING, timeout=60)
  '';
}
