"""Commands of a stanza: about the card, or about the network behind it."""

import pytest
from l2wg_hooks.config import ifupdown_commands
from l2wg_hooks.config.ifupdown_commands import BOTH, CARD, NEITHER, NETWORK, UNKNOWN

CARDS = [
    "ethtool -K $IFACE gro off",
    "logger x && ethtool -K $IFACE gro off",
    "[ -x /sbin/ethtool ] && ethtool -K enp2s0 gro off || true",
    "test ! -x /sbin/ethtool || /sbin/ethtool -s enp2s0 wol g",
    "command -v ethtool >/dev/null && ethtool -s ${IFACE} wol g",
    "for f in gro gso tso; do ethtool -K $IFACE $f off; done",
    "if [ -d /sys/class/net/$IFACE ]; then ethtool -G $IFACE rx 4096; fi",
    "sh -c 'sleep 5; ethtool -K $IFACE gro off' &",
    "LC_ALL=C nice -n 5 ethtool -C $IFACE rx-usecs 0",
    "ethtool -i $IFACE | grep -q igb && ethtool -s $IFACE wol d",
    "echo 4 > /sys/class/net/enp2s0/queues/rx-0/rps_cpus",
    "for q in /sys/class/net/$IFACE/queues/rx-*; do echo f > $q/rps_cpus; done",
    "echo f >/sys/class/net/${IFACE}/queues/rx-0/rps_cpus 2>/dev/null || :",
    "echo enabled | tee /sys/class/net/enp2s0/device/power/wakeup",
    "cat /sys/class/net/enp2s0/device/vendor",
    "ip link set dev $IFACE txqueuelen 5000",
    "ip link set enp2s0 up",
    "logger up; ip -4 link set dev enp2s0 up",
    "tc qdisc replace dev $IFACE root fq_codel",
    "ifconfig $IFACE promisc",
    "ifconfig $IFACE up",
]
NETWORKS = [
    "ip route add 10.0.0.0/8 dev enp2s0",
    "ip link set enp2s0 up && ip address add 10.0.0.2/8 dev enp2s0",
    "sysctl -w net.ipv6.conf.enp2s0.accept_ra=2",
    "logger x; sysctl -qw net/ipv4/conf/$IFACE/proxy_arp=1 || true",
    "echo 1 > /proc/sys/net/ipv4/conf/enp2s0/proxy_arp",
    "[ -e /proc/sys/net/ipv6 ] && echo 2 >/proc/sys/net/ipv6/conf/$IFACE/accept_ra",
    "iptables -t nat -A POSTROUTING -o enp2s0 -j MASQUERADE",
    "for n in 1 2; do ip neigh add 10.0.0.$n lladdr 02:00:00:00:00:0$n dev $IFACE; done",
    "grep -q 1 /sys/class/net/$IFACE/carrier && ip route add 10.0.0.0/8 dev $IFACE",
    "iptables-restore </etc/iptables",
    "arping -c 1 -I $IFACE 10.0.0.1",
    "ifconfig $IFACE add 10.0.0.9",
]
BOTHS = [
    "ethtool -K $IFACE gro off; ip route add 10.0.0.0/8 dev $IFACE",
    "ip address add 10.0.0.2/8 dev enp2s0 && tc qdisc add dev enp2s0 root fq",
    "echo 4 > /sys/class/net/enp2s0/queues/rx-0/rps_cpus; sysctl -w net.ipv4.conf.enp2s0.rp_filter=0",
    "[ -e /sys/class/net/enp2s0/device ] && ip route add 10.0.0.0/8 dev enp2s0",
]
UNKNOWNS = ["/usr/local/sbin/tune $IFACE", "/etc/network/lan-up", "$ETHTOOL -K $IFACE gro off", "ip frob $IFACE", ". /etc/network/lan"]
NEITHERS = ["logger 'enp2s0 is up'", "true", "sleep 5", "sysctl -p", "systemctl restart x", "", "'", "ip -V", "sysctl -w kernel.x=1"]


@pytest.mark.parametrize(
    "command, whose",
    [(command, whose) for table, whose in ((CARDS, CARD), (NETWORKS, NETWORK), (BOTHS, BOTH), (UNKNOWNS, UNKNOWN), (NEITHERS, NEITHER)) for command in table],
)
def test_whose_a_command_is_wherever_it_stands_in_the_line(command, whose):
    assert ifupdown_commands.judge(command, "enp2s0").whose == whose
    assert ifupdown_commands.judge(command, "enp2s0").stays == (whose == CARD)


def test_what_nobody_knows_stays_with_what_is_known():
    assert ifupdown_commands.judge("/usr/local/sbin/tune $IFACE && ethtool -K $IFACE gro off", "enp2s0") == (UNKNOWN, True, "/usr/local/sbin/tune $IFACE")
    assert not ifupdown_commands.judge("/usr/local/sbin/tune $IFACE && ip route add 10.0.0.0/8 dev $IFACE", "enp2s0").stays


@pytest.mark.parametrize(
    "command, after",
    [
        ("sysctl -w net.ipv6.conf.enp2s0.accept_ra=2", "sysctl -w net.ipv6.conf.br0.accept_ra=2"),
        ("sysctl -w net.ipv4.neigh.enp2s0.gc_stale_time=9", "sysctl -w net.ipv4.neigh.br0.gc_stale_time=9"),
        ("sysctl net/ipv4/conf/enp2s0/x=1 net.ipv4.conf.all.x=1", "sysctl net/ipv4/conf/br0/x=1 net.ipv4.conf.all.x=1"),
        ("sysctl net.ipv4.conf.enp2s0/10.x=1 net.ipv4.conf.enp2s01.x=1", "sysctl net.ipv4.conf.enp2s0/10.x=1 net.ipv4.conf.enp2s01.x=1"),
        ("sysctl net/ipv4/conf/enp2s0.10/x=1", "sysctl net/ipv4/conf/enp2s0.10/x=1"),
        ("echo 1 >/proc/sys/net/ipv4/conf/enp2s0/x", "echo 1 >/proc/sys/net/ipv4/conf/br0/x"),
        ("ip a add 10.0.0.1/8 dev enp2s0 label enp2s0:1", "ip a add 10.0.0.1/8 dev br0 label br0:1"),
        ("ip route add 10.0.0.0/8 dev enp2s0.10", "ip route add 10.0.0.0/8 dev enp2s0.10"),
        ("sysctl -w net.ipv4.conf.$IFACE.x=1", "sysctl -w net.ipv4.conf.$IFACE.x=1"),
    ],
)
def test_the_name_in_a_command(command, after):
    assert ifupdown_commands.renamed(command, "enp2s0", "br0") == after


def test_a_dot_in_the_bridges_name():
    assert (
        ifupdown_commands.renamed("sysctl net.ipv4.conf.enp2s0.x=1 net/ipv4/conf/enp2s0/x=1", "enp2s0", "br.5") == "sysctl net.ipv4.conf.br/5.x=1 net/ipv4/conf/br.5/x=1"
    )
