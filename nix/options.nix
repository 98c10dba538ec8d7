# The options of one tunnel: each key of l2wg.conf(5) under its own name in camelCase, and three more. What a type takes
# here is what l2wg_hooks/config/schema.py takes; tests/nix compares the two.
{ lib }:
let
  inherit (lib) mkOption types;
  ip = import ./addresses.nix;
  encapsulations = import ./encapsulations.nix;

  checked = description: check: types.addCheck types.str check // { inherit description; };

  interfaceName = checked "interface name (letters, digits, '.', '_' and '-', at most 15 bytes)" (
    value: builtins.match "[A-Za-z0-9_.-]{1,15}" value != null && !builtins.elem value [ "." ".." "all" "default" ]
  );

  siteName = checked "name of a site (1 to 32 letters, digits and `-`, as in site-b), or nothing" (
    value: value == "" || builtins.match "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?" value != null
  );

  special = [ "0.0.0.0" "127.0.0.0/8" "224.0.0.0/4" "::" "::1" "ff00::/8" ];
  notAnEnd = special ++ [ "169.254.0.0/16" "240.0.0.0/4" "fe80::/10" ];

  end = checked "IPv4 or IPv6 address without prefix length, which the peer's AllowedIPs can cover (such as 192.168.178.1)" (
    value:
    let
      address = ip.address value;
    in
    address != null && !ip.among notAnEnd address
  );

  ends = types.addCheck (types.listOf end) (list: list != [ ] && builtins.all end.check list);

  # Where all far ends are, with control = "evpn".
  prefix = checked "prefix of addresses, with control = \"evpn\" (such as 198.18.0.0/15)" (
    value:
    let
      net = ip.network value;
      last = ip.edge true net;
    in
    builtins.match "[0-9a-fA-F.:]+/[0-9]{1,3}" value != null
    && net != null
    && net.length > 0
    && net.length < ip.width net.address
    && net.address == ip.edge false net
    && !builtins.any (ip.among [ "127.0.0.0/8" "169.254.0.0/16" "224.0.0.0/3" "ff00::/8" "fe80::/10" ]) [ net.address last ]
  );

  hostAddress = checked "address of this router with its prefix length (such as 192.168.92.1/24), and not the network's own" (
    value:
    let
      net = ip.network value;
      several = net.length < ip.width net.address - 1;
    in
    builtins.match "[0-9a-fA-F.:]+/(0|[1-9][0-9]{0,2})" value != null
    && net != null
    && !(several && net.address == ip.edge false net)
    && !(several && ip.family net.address == 4 && net.address == ip.edge true net)
    && !ip.among special net.address
  );

  vlan = text: builtins.match "[0-9]{1,4}" text != null && lib.toIntBase10 text >= 1 && lib.toIntBase10 text <= 4094;
  vlans = checked "all, or `untagged`, numbers from 1 to 4094 and ranges (such as untagged,10,20,30-39)" (
    value:
    value == "all"
    || builtins.all (
      part:
      let
        range = builtins.match "([0-9]+)(-([0-9]+))?" part;
        first = builtins.head range;
        last = if builtins.elemAt range 2 == null then first else builtins.elemAt range 2;
      in
      part == "untagged"
      || (range != null && vlan first && vlan last && lib.toIntBase10 first <= lib.toIntBase10 last)
    ) (lib.splitString "," value)
  );
in
rec {
  inherit interfaceName;

  # The order is that of KEYS in l2wg_hooks/config/schema.py.
  keys = [
    "underlay"
    "local"
    "remote"
    "bridge"
    "bridge-ports"
    "bridge-address"
    "wire"
    "encapsulation"
    "control"
    "key"
    "port"
    "mtu"
    "mss-clamp"
    "forward"
    "stp"
    "dhcp"
    "vlans"
    "isolated"
    "storm-limit"
    "link-local"
    "peer-down"
    "site"
  ];
  # Written even when empty, as debconf's answers are.
  asked = lib.take 6 keys;

  options = {
    underlay = mkOption {
      type = interfaceName;
      example = "wg0";
      description = "The WireGuard interface that carries the tunnel.";
    };
    local = mkOption {
      type = end;
      example = "192.168.178.1";
      description = "This router's end: an address of this router, IPv4 or IPv6, that the AllowedIPs of the peer cover.";
    };
    remote = mkOption {
      type = types.oneOf [ end prefix ends ] // { description = "${end.description}, a list of such, or a ${prefix.description}"; };
      example = "192.168.92.1";
      description = ''
        The other router's end; AllowedIPs of a peer here must cover it. The two routers have `local` and `remote` exchanged.
        With `encapsulation = "vxlan"`, it may be a list: of the ends of several routers, each of which has all others in its own, so
        that they are one LAN. See SEVERAL REMOTES in l2wg.conf(5). With `control = "evpn"`, it is the prefix of all of them.
      '';
    };
    bridge = mkOption {
      type = interfaceName;
      example = "br0";
      description = "The bridge that the tunnel is a port of.";
    };
    bridgePorts = mkOption {
      type = types.listOf interfaceName;
      default = [ ];
      example = [ "enp3s0" ];
      description = ''
        The Ethernet ports of that bridge: `networking.bridges` is defined with them. A port that carries an address is
        refused. Empty: the bridge is defined elsewhere and used as it is.
      '';
    };
    bridgeAddress = mkOption {
      type = types.nullOr hostAddress;
      default = null;
      example = "192.168.92.1/24";
      description = "An address with its prefix length for the bridge; only with `bridgePorts`.";
    };
    wire = mkOption {
      type = types.enum [ "shared" "own" ];
      default = "shared";
      example = "own";
      description = ''
        Whose the WireGuard interface is. shared: that of `underlay`, made by others. own: l2wg makes it, in a network
        namespace where nothing else is, from /etc/wireguard/UNDERLAY.conf: a secret, which does not belong in the store.
      '';
    };
    encapsulation = mkOption {
      type = types.enum (builtins.attrNames encapsulations.all);
      default = "gretap";
      example = "vxlan";
      description = "gretap (with IPv6 ends the kernel's ip6gretap), or vxlan: unicast, learning.";
    };
    control = mkOption {
      type = types.enum [ "learning" "evpn" ];
      default = "learning";
      example = "evpn";
      description = ''
        Who tells the interface of a vxlan where the others are. learning: the kernel, by what comes. evpn: FRR, by BGP; `remote` is
        a prefix then, and `services.frr` runs zebra and bgpd with what `l2wg frr` prints. See EVPN in l2wg.conf(5).
      '';
    };
    key = mkOption {
      type = types.nullOr (types.ints.between 0 4294967295);
      default = null;
      example = 7;
      description = ''
        A GRE key, or the VNI of vxlan (0 to 16777215); both routers have the same one. A second gretap between the same two
        ends needs one, as does a second vxlan between any. null: no GRE key, VNI 1.
      '';
    };
    port = mkOption {
      type = types.nullOr (types.ints.between 1 65535);
      default = null;
      example = 8472;
      description = ''
        The UDP port of vxlan; both routers have the same one. null: IANA's, 4789. 8472 is what Linux itself and flannel have.
      '';
    };
    mtu = mkOption {
      type = types.ints.between 576 9216;
      default = 1500;
      example = 9000;
      description = "The payload of the largest frames that must get through, in bytes, whatever the underlay's MTU is.";
    };
    mssClamp = mkOption {
      type = types.enum [ "nftables" "iptables" "off" ];
      default = "nftables";
      example = "off";
      description = ''
        What makes TCP choose segments that cross in one piece. iptables loads br_netfilter, and has this bridge pass through
        iptables.
      '';
    };
    forward = mkOption {
      type = types.enum [ "as-is" "accept" ];
      default = "as-is";
      example = "accept";
      description = ''
        accept: iptables lets pass what crosses the bridge, for hosts where something (Docker) has loaded br_netfilter and
        FORWARD drops what it does not know.
      '';
    };
    stp = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = "Whether the bridge that `bridgePorts` define takes part in the spanning tree protocol. null: not touched.";
    };
    dhcp = mkOption {
      type = types.enum [ "pass" "block" ];
      default = "pass";
      example = "block";
      description = "block: DHCP, router advertisements and ICMP redirects do not cross, so both sites keep their own.";
    };
    vlans = mkOption {
      type = vlans;
      default = "all";
      example = "untagged,10,20,30-39";
      description = "Which VLANs cross; frames without an 802.1Q tag cross only if `untagged` is in the list.";
    };
    isolated = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether nothing is forwarded between this tunnel and another isolated port of the bridge.";
    };
    stormLimit = mkOption {
      type = types.nullOr (types.ints.between 1 1000000000);
      default = null;
      example = 100;
      description = "Frames a second of broadcast, multicast and unknown unicast that cross, each way. null: no limit.";
    };
    linkLocal = mkOption {
      type = types.nullOr types.bool;
      default = null;
      example = true;
      description = "Whether LLDP and 802.1X cross, too. null: no, and the bridge is not touched for it.";
    };
    peerDown = mkOption {
      type = types.enum [
        "nothing"
        "port"
      ];
      default = "nothing";
      example = "port";
      description = "port: the bridge ports are held down as long as the peer does not answer, so that who is behind them notices.";
    };
    site = mkOption {
      type = siteName;
      default = "";
      example = "site-b";
      description = "The name of the other site, for `l2wg status` and its kin: 1 to 32 letters, digits and `-`.";
    };

    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether this tunnel is there.";
    };
    external = mkOption {
      type = types.listOf (types.enum [ "underlay" "bridge" "route" ]);
      default = [ ];
      example = [ "bridge" ];
      description = ''
        What another program makes, so that it is not looked for in this configuration: the underlay, the bridge, or the route
        to `remote`.
      '';
    };
    settings = mkOption {
      type = types.attrsOf (types.oneOf [ types.bool types.int types.str (types.listOf types.str) ]);
      default = { };
      example = { some-new-key = "value"; };
      description = ''
        Further keys of l2wg.conf(5), under the file's own names: for a package that knows more of them than this module.
      '';
    };
  };
}
