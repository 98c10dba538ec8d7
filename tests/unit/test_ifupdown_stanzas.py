"""Stanzas set aside and put back, to the byte."""

import pytest
from l2wg_hooks.config import ifupdown, ifupdown_bridge, ifupdown_stanzas

pytestmark = pytest.mark.usefixtures("real_names")

TEXT = """source interfaces.d/*
auto enp2s0
# The LAN
iface enp2s0 inet static
\taddress   192.168.92.1/24
    # the router of the old days

    up ip route add 10.99.0.0/16 via 192.168.92.10 \\
        dev enp2s0
iface enp2s0 inet6 static
    address fd00:92::1/64
iface enp20s0 inet static
    address 10.0.0.1/8
"""
ASIDE = """source interfaces.d/*
auto enp2s0
# The LAN
#l2wg# iface enp2s0 inet static
#l2wg# \taddress   192.168.92.1/24
    # the router of the old days

#l2wg#     up ip route add 10.99.0.0/16 via 192.168.92.10 \\
#l2wg#         dev enp2s0
#l2wg# iface enp2s0 inet6 static
#l2wg#     address fd00:92::1/64
iface enp20s0 inet static
    address 10.0.0.1/8
"""


def test_only_the_ports_own_lines_are_set_aside():
    assert ifupdown_stanzas.set_aside(TEXT, ["enp2s0"]) == ASIDE
    assert ifupdown_stanzas.set_aside(TEXT, ["enp9s0"]) == TEXT
    assert ifupdown_stanzas.set_aside(ASIDE, ["enp2s0"]) == ASIDE, "a second time changes nothing"


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), TEXT.rstrip("\n"), "iface enp2s0 inet static\n address 1.2.3.4/8\n\n\n", ""])
def test_what_is_put_back_is_what_was(text):
    assert ifupdown_stanzas.put_back(ifupdown_stanzas.set_aside(text, ["enp2s0"]), ["enp2s0"]) == text


@pytest.mark.parametrize("text", [TEXT, "auto lo", "", "\n", "source /etc/network/interfaces.d/l2wg\r\n"])
def test_the_line_that_is_added_is_the_first_and_goes_to_the_byte(text):
    added = ifupdown_stanzas.with_source(text, ifupdown_bridge.OURS)
    assert added.endswith("source /etc/network/interfaces.d/l2wg\n" + text)
    assert ifupdown_stanzas.with_source(added, ifupdown_bridge.OURS) == added
    assert ifupdown_stanzas.without_source(added, ifupdown_bridge.OURS) == text == ifupdown_stanzas.without_source(text, ifupdown_bridge.OURS)


def test_only_the_port_that_leaves_gets_its_lines_back():
    both = ifupdown_stanzas.set_aside(TEXT, ["enp2s0", "enp20s0"])
    assert ifupdown_stanzas.put_back(both, ["enp20s0"]) == ASIDE
    assert ifupdown_stanzas.put_back(both, ["enp2s0", "enp20s0"]) == TEXT


def test_what_is_aside_is_read_where_it_stands_and_nothing_else_is():
    assert [(stanza.interface, stanza.family, stanza.line) for stanza in ifupdown.parse(ifupdown_stanzas.aside(ASIDE), "f")[0]] == [
        ("enp2s0", "inet", 4),
        ("enp2s0", "inet6", 10),
    ]
    assert [stanza.interface for stanza in ifupdown.parse(ASIDE, "f")[0]] == ["enp20s0"]


def test_addresses_go_to_the_bridge_and_the_card_keeps_its_own():
    options = (
        ("address", "192.168.92.1/24"),
        ("gateway", "192.168.92.254"),
        ("dns-nameservers", "192.168.92.10"),
        ("mtu", "1492"),
        ("hwaddress", "ether 02:00:00:00:00:01"),
        ("offload-tso", "off"),
        ("up", "ethtool -K enp2s0 gro off"),
        ("up", "/sbin/tc qdisc add dev $IFACE root fq_codel"),
        ("up", "ip route add 10.0.0.0/8 dev enp2s0"),
        ("pre-up", "iptables-restore /etc/iptables"),
        ("pre-up", "sysctl -w net.ipv4.conf.$IFACE.rp_filter=1"),
        ("down", "logger  'enp2s0  and enp2s0.10, enp2s01, xenp2s0, enp2s0:1'"),
        ("up", "ip address add 10.0.0.1/8 dev enp2s0 label enp2s0:1"),
        ("vlan-raw-device", "enp1s0"),
        ("bond-slaves", "enp1s0 enp3s0"),
        ("pre-up", "/sbin/ip -4 link set dev enp2s0 up"),
        ("pre-up", "ip l add link enp1s0 name enp2s0 type vlan id 7"),
        ("up", "ip link set enp2s0 up && ip address add 10.0.0.2/8 dev enp2s0"),
        ("up", "ip"),
    )
    theirs, its = ifupdown_stanzas.split(options, "enp2s0", "br0")
    assert theirs == (
        "address 192.168.92.1/24",
        "gateway 192.168.92.254",
        "dns-nameservers 192.168.92.10",
        "up ip route add 10.0.0.0/8 dev br0",
        "pre-up iptables-restore /etc/iptables",
        "up sysctl -w net.ipv4.conf.$IFACE.rp_filter=1",
        "down logger  'br0  and enp2s0.10, enp2s01, xenp2s0, br0:1'",
        "up ip address add 10.0.0.1/8 dev br0 label br0:1",
        "up ip link set br0 up && ip address add 10.0.0.2/8 dev br0",
        "up ip",
    )
    assert its == (
        "mtu 1492",
        "hwaddress ether 02:00:00:00:00:01",
        "offload-tso off",
        "up ethtool -K enp2s0 gro off",
        "up /sbin/tc qdisc add dev $IFACE root fq_codel",
        "vlan-raw-device enp1s0",
        "bond-slaves enp1s0 enp3s0",
        "pre-up /sbin/ip -4 link set dev enp2s0 up",
        "pre-up ip l add link enp1s0 name enp2s0 type vlan id 7",
    )


@pytest.mark.parametrize("line", ["auto enp3s0", "no-scripts enp3s0", "no-auto-down enp3s0", "rename enp3s0=lan", "source-dir more"])
def test_what_ends_a_stanza_is_none_of_its_options(line):
    """ifup(8) takes no file at all in which such a line is an option of the bridge."""
    text = "iface enp2s0 inet static\n    address 192.168.92.1/24\n%s\n" % line
    assert ifupdown.parse(text, "f")[0][0].options == (("address", "192.168.92.1/24"),)
    assert ifupdown_stanzas.set_aside(text, ["enp2s0"]).endswith("\n%s\n" % line)
