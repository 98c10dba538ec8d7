"""The cure is the failed step's: the same words of ip(8) mean another thing for another step. What was said is of real kernels and programs."""

import pytest
from l2wg_hooks.model import Step, Tunnel
from l2wg_hooks.plan import tunnel_steps
from l2wg_hooks.reconcile import cures, executor

GRETAP = "ip link add name gretap1 address fe:ff:00:00:00:01 mtu 1500 type gretap local 10.0.0.1 remote 10.0.0.2 dev wg0 nopmtudisc ignore-df"
VXLAN = "ip link add name vxlan1 address fe:ff:00:00:00:01 mtu 1500 type vxlan id 7 local 10.0.0.1 remote 10.0.0.2 dstport 4789 learning"
JOIN = "ip link set dev wlan0 master br0"
NFT = "nft -f /run/l2wg.nft"
REFUSED = "RTNETLINK answers: Operation not supported"


def of(command, said, is_wireless=lambda name: False):
    return cures.of(tuple(command.split()), said, is_wireless)


@pytest.mark.parametrize(
    "command, said, cure",
    [
        (GRETAP, "Error: Unknown device type.", "`modprobe ip_gre` must work"),
        (GRETAP, REFUSED, "`modprobe ip_gre` must work"),
        (GRETAP.replace("type gretap", "type ip6gretap"), REFUSED, "`modprobe ip6_gre` must work"),
        (VXLAN, REFUSED, "`modprobe vxlan` must work"),
        (VXLAN, "Error: vxlan: A VXLAN device with the specified VNI already exists.", "l2wg set vxlan1 key=NUMBER"),
        (GRETAP, "RTNETLINK answers: File exists", "ip -details link show type gretap"),
        (GRETAP, "RTNETLINK answers: Operation not permitted", "run it as root; in a container"),
        (GRETAP, 'What is "ignore-df"?', "iproute2 # 4.20 or later"),
        (GRETAP, 'Cannot find device "wg0"', "it went while we worked"),
        ("ip link add name br0 address 52:54:00:00:00:01 type bridge forward_delay 0", REFUSED, "`modprobe bridge` must work"),
        (JOIN, "Error: Device does not allow enslaving to a bridge.", "wlan0 cannot be a port of a bridge"),
        (JOIN, REFUSED, "wlan0 cannot be a port of a bridge"),
        ("ip link set dev enp3s0 master br0", "RTNETLINK answers: Device or resource busy", "something else has enp3s0: a bond"),
        ("ip link set dev enp3s0 master br0", "RTNETLINK answers: Exchange full", "br0 has 1023 ports"),
        ("ip link set dev lo master br0", "RTNETLINK answers: Invalid argument", "lo is no Ethernet"),
        ("ip link set dev br1 master br0", "Error: Can not enslave a bridge to a bridge.", "br1 is a bridge itself"),
        ("ip link set dev br1 master br0", "RTNETLINK answers: Too many levels of symbolic links", "br1 is a bridge itself"),
        ("ip link set dev gretap1 mtu 9000", "Error: mtu greater than device maximum.", "ip -details link show dev gretap1 # minmtu, maxmtu"),
        ("ip link set dev gretap1 type bridge_slave isolated on", REFUSED, "must have that setting of gretap1"),
        ("ip link set dev gretap1 up", 'Cannot find device "gretap1"', "it went while we worked"),
        ("bridge vlan add dev gretap1 vid 2-4094", REFUSED, "CONFIG_BRIDGE_VLAN_FILTERING"),
        ("ip address add fd00::1/64 dev br0.7", "RTNETLINK answers: Permission denied", "sysctl -w net.ipv6.conf.br0/7.disable_ipv6=0"),
        ("ip -6 route add fd00::1 dev wg0", "RTNETLINK answers: File exists", "there is such a route already"),
        ("ip -6 rule add from fd00::1 table 7", REFUSED, "CONFIG_IP_MULTIPLE_TABLES"),
        (NFT, "netlink: Error: cache initialization failed: Operation not permitted", "run it as root; in a container"),
        (NFT, "/var/lib/l2wg/rules.nft:9:3-9: Error: syntax error, unexpected string", "(nft --version). nft --check --file /run/l2wg.nft"),
        (NFT, "/var/lib/l2wg/rules.nft:9:3-9: Error: Could not process rule: No such file or directory", "nf_tables nft_ct"),
        (NFT, "/run/l2wg.nft:3:9-40: Error: File not found: /var/lib/l2wg/rules.nft", "l2wg apply # writes these files anew"),
        (NFT, "netlink.c: Unable to initialize Netlink socket: Protocol not supported", "`modprobe nf_tables` must work"),
        (NFT, "something else", "nft --check --file /run/l2wg.nft"),
        ("sysctl -qw net/ipv4/conf/br0/arp_ignore=1", 'sysctl: setting key "net/ipv4/conf/br0/arp_ignore": Read-only file system', "as in a container"),
        ("modprobe br_netfilter", "modprobe: FATAL: Module br_netfilter not found in directory /lib/modules/6.1.0", "reboot, if it was upgraded"),
        ("iptables -w -t mangle -A FORWARD", "iptables v1.8.9 (nf_tables): Could not fetch: Permission denied (you must be root)", "run it as root"),
        ("wg set wg0 peer x endpoint b.example.org:1", "Name or service not known: `b.example.org:1'", "is DNS at work here?"),
        ("nmcli device set br0 managed no", "Error: NetworkManager is not running.", "nothing is to be let go of"),
        ("true", REFUSED, "run that command by hand as root"),
        (JOIN, "", "run that command by hand as root"),
    ],
)
def test_the_cure_is_the_steps_own(command, said, cure):
    assert cure in of(command, said)
    assert ("ip_gre" in of(command, said)) == (cure == "`modprobe ip_gre` must work"), "only where a GRE tunnel was to be made"


def test_a_wireless_station_as_a_port():
    for said in (REFUSED, "Error: Device does not allow enslaving to a bridge."):
        cure = of(JOIN, said, lambda name: name == "wlan0")
        assert cure.startswith("wlan0 is a wireless station") and "`bridge=br0`" in cure and "iw dev wlan0 set 4addr on" in cure


def test_every_cure_of_nft_says_what_it_costs():
    assert all(cure.startswith("no tunnel is made without its guard: ") for _, cure in cures.NFT)


def test_what_a_name_says_is_no_message():
    """A tunnel may well be called `syntax error`'s first word, or `busy`."""
    step = Step(tuple(JOIN.replace("wlan0", "not-supported").split()), "it is not a port of br0", "br0")
    assert executor._problem(step, "Error: whatever.\nCommand failed -:1").hint == cures.UNKNOWN
    assert executor._problem(step, "RTNETLINK answers: Exchange full\nCommand failed -:1").hint.startswith("br0 has 1023 ports")


def test_every_step_of_a_plan_is_of_a_kind_that_has_cures():
    for command in (GRETAP, VXLAN, JOIN, NFT, "ip link delete dev gretap1", "bridge vlan add dev gretap1 vid 1", "nmcli device set br0 managed no"):
        assert any(kind.is_one(tuple(command.split())) for kind in cures.KINDS)
    add = tunnel_steps._add(Tunnel("gretap1", "wg0", "10.0.0.1", "10.0.0.2", "br0"))
    assert next(kind for kind in cures.KINDS if kind.is_one(add)).cures == cures.TUNNEL + cures.COMMON


@pytest.mark.parametrize(
    "command, said, cure",
    [
        ("ip netns add l2wg", 'Cannot create namespace file "/run/netns/l2wg": Read-only file system', "wire=shared"),
        ("ip netns add l2wg", "mount --make-shared /run/netns failed: Operation not permitted", "wire=shared"),
        ("ip netns add l2wg", 'Cannot create namespace file "/run/netns/l2wg": File exists', "it came while we worked"),
        ("ip netns add l2wg", 'Cannot open netns runtime directory "/run/netns": Not a directory', "rm /run/netns; l2wg apply"),
        ("ip netns delete l2wg", 'Cannot remove namespace file "/run/netns/l2wg": No such file or directory', "it went while we worked"),
        ("ip netns delete l2wg", 'Cannot remove namespace file "/run/netns/l2wg": Device or resource busy', "umount /run/netns/l2wg; l2wg apply"),
        ("ip netns delete l2wg", 'Cannot remove namespace file "/run/netns/l2wg": Is a directory', "rmdir /run/netns/l2wg; l2wg apply"),
        ("ip netns delete l2wg", 'Cannot remove namespace file "/run/netns/l2wg": Read-only file system', "remount,rw /run/netns"),
        ("ip netns delete l2wg", 'Cannot remove namespace file "/run/netns/l2wg": Operation not permitted', "run it as root"),
        ("ip netns delete l2wg", "whatever", cures.UNKNOWN),
        ("ip -n l2wg link set dev l2w0 up", 'Cannot open network namespace "l2wg": No such file or directory', "it went while we worked"),
        ("ip netns exec l2wg sysctl -qew net/ipv4/ip_forward=0", 'setting the network namespace "l2wg" failed: Invalid argument', "it went while"),
        ("ip netns exec l2wg sysctl -qew net/ipv4/ip_forward=0", "mount of /sys failed: Operation not permitted", "wire=shared"),
        ("ip link add name l2w0 netns l2wg type wireguard", "Error: Unknown device type.", "`modprobe wireguard` must work"),
        ("ip link add name l2w0 netns l2wg type wireguard", "RTNETLINK answers: File exists", "ip -n l2wg link"),
        ("ip -n l2wg " + GRETAP[3:], REFUSED, "`modprobe ip_gre` must work"),
        ("ip -n l2wg route replace 198.18.0.2 dev l2w0", "Error: Device for nexthop is not up.", cures.UNKNOWN),
        ("ip netns exec l2wg wg syncconf l2w0 /run/l2wg.l2w0.wg", "Key is not the correct length or format", cures.UNKNOWN),
        ("ip netns exec l2wg wg syncconf l2w0 /run/l2wg.l2w0.wg", "Configuration parsing error", "/etc/wireguard/l2w0.conf"),
        ("wg addconf wg0 /run/l2wg.wg0.wg", "Configuration parsing error", "/etc/l2wg/sites: cat /run/l2wg.wg0.wg"),
        ("ip netns exec l2wg wg syncconf l2w0 /run/l2wg.l2w0.wg", "Unable to modify interface: No such device", "it went while we worked"),
    ],
)
def test_cures_in_a_namespace(command, said, cure):
    assert cure in of(command, said)
