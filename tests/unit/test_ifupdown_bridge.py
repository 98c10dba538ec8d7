import pytest
from l2wg_hooks.config import ifupdown, ifupdown_bridge, ifupdown_files
from l2wg_hooks.model import Tunnel

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", bridge_ports=("enp3s0",))
TEXT = """\
# iface commented inet static
source /etc/network/interfaces.d/*
source-directory more

auto lo
iface lo inet loopback

iface br0 inet static
    address 192.168.92.1   \\
    netmask 255.255.255.0
    bridge_ports enp2s0 \\
       enp4s0
    # address 10.0.0.1
iface br0 inet6 manual
allow-hotplug enp2s0
iface enp2s0 inet manual
iface enp5s0 inet dhcp
mapping eth0
    script /bin/true
\tiface wlan0 inet6 static
\t\taddress 2001:db8::1/64
"""


def test_stanzas_and_sources():
    stanzas, sources = ifupdown.parse(TEXT, "f")
    assert sources == [("source", "/etc/network/interfaces.d/*"), ("source-directory", "more")]
    assert [(stanza.interface, stanza.family, stanza.line) for stanza in stanzas] == [
        ("lo", "inet", 6), ("br0", "inet", 8), ("br0", "inet6", 14), ("enp2s0", "inet", 16), ("enp5s0", "inet", 17),
        ("wlan0", "inet6", 20),
    ]  # fmt: skip
    assert ("bridge-ports", "enp2s0 enp4s0") in stanzas[1].options
    assert [stanza.addresses() != () for stanza in stanzas] == [False, True, False, False, True, True]


@pytest.fixture
def network(root):
    (root / "etc/network/interfaces.d").mkdir(parents=True)
    return root / "etc/network"


def read(network, text):
    (network / "interfaces").write_text(text)
    return ifupdown_files.read(str(network / "interfaces"))


@pytest.mark.parametrize("line", ["source %s/interfaces.d/*", "source interfaces.d/*", "source-directory interfaces.d", "source interfaces.d"])
def test_what_is_sourced_is_read(network, line):
    (network / "interfaces.d" / "lan").write_text("iface br0 inet manual\n")
    (network / "interfaces.d" / ".hidden").write_text("iface br9 inet manual\n")
    found = read(network, line.replace("%s", str(network)) + "\n")
    assert [stanza.interface for stanza in found.stanzas] == ["br0"]


@pytest.mark.parametrize(
    "line, covered",
    [
        ("source %s/interfaces.d/*", True),
        ("source interfaces.d/*", True),
        ("source interfaces.d/l*", True),
        ("source-directory %s/interfaces.d", True),
        ("source-directory interfaces.d/", True),
        ("source interfaces.d/*.cfg", False),
        ("source other.d/*", False),
        ("source-directory other.d", False),
    ],
)
def test_whether_a_line_would_reach_our_file(network, line, covered):
    word, pattern = line.replace("%s", str(network)).split()
    assert ifupdown.covers(word, pattern, str(network), str(network / "interfaces.d" / "l2wg")) == covered


def test_files_that_source_each_other_end(network):
    (network / "loop").write_text("source interfaces\nsource loop\n")
    assert read(network, "source loop\niface br0 inet manual\n").stanzas[0].interface == "br0"


def test_our_file_for_site_a():
    bridges = ifupdown_bridge.ours([TUNNEL], ifupdown.Defined((), ()))
    assert ifupdown_bridge.render(bridges) == ifupdown_bridge.HEADER + (
        "\nauto br0\niface br0 inet manual\n    bridge_ports enp3s0\n    bridge_stp off\n    bridge_fd 0\n    bridge_maxwait 0\n"
        "    pre-up ip link add $IFACE type bridge 2>/dev/null || true\n"
        "    pre-up sysctl -qew net/ipv4/conf/$IFACE/arp_ignore=1 net/ipv4/conf/$IFACE/rp_filter=1"
        " net/ipv6/conf/$IFACE/accept_ra=0 net/ipv6/conf/$IFACE/disable_ipv6=1 || true\n"
        "    up ip link set dev enp3s0 up 2>/dev/null || true\n"
        "\nallow-hotplug enp3s0\niface enp3s0 inet manual\n"
        "    pre-up sysctl -qew net/ipv6/conf/$IFACE/accept_ra=0 || true\n"
        "    down sysctl -qew net/ipv6/conf/$IFACE/accept_ra=1 || true\n"
    )
    again = ifupdown.parse(ifupdown_bridge.render(bridges), ifupdown_bridge.OURS)[0]
    assert ifupdown_bridge.ours([TUNNEL], ifupdown.Defined(tuple(again), ())) == bridges, "our own stanza is not `elsewhere`"


def test_without_ifupdown_somebody_else_defines_the_bridges(root):
    assert ifupdown_bridge.ours([TUNNEL], ifupdown_files.read()) == {}
    (root / "etc/network").mkdir(parents=True)
    assert list(ifupdown_bridge.ours([TUNNEL], ifupdown_files.read())) == ["br0"], "the file alone can be missing"


def test_a_port_that_the_admin_defined_is_not_defined_again():
    hers = ifupdown.Stanza("enp3s0", "inet", "manual", "/etc/network/interfaces", 3)
    assert "iface enp3s0" not in ifupdown_bridge.render(ifupdown_bridge.ours([TUNNEL], ifupdown.Defined((hers,), ())))


def test_our_file_with_an_address():

    for address, family in (("192.168.92.1/24", "inet"), ("fd00::1/64", "inet6")):
        text = ifupdown_bridge.render(ifupdown_bridge.ours([TUNNEL._replace(bridge_address=address)], ifupdown.Defined((), ())))
        assert "iface br0 %s static\n    address %s\n" % (family, address) in text


def test_all_that_a_port_carried_is_the_bridges_and_the_card_has_each_setting_once():
    text = """\
iface enp3s0 inet manual
    mtu 1400
    up ip address add 10.0.0.1/8 dev enp3s0
    up ethtool -K enp3s0 gro off
    up ethtool -s enp3s0 wol g
iface enp3s0 inet6 static
    address fd00::1/64
    mtu 1400
    up ethtool -K enp3s0 gro off
"""
    stanzas = tuple(ifupdown.parse(text, "/etc/network/interfaces")[0])
    rendered = ifupdown_bridge.render(ifupdown_bridge.ours([TUNNEL], ifupdown.Defined(stanzas, ()), ["enp3s0"]))
    bridge, port = rendered.split("allow-hotplug enp3s0\n")
    assert "iface br0 inet manual\n    up ip address add 10.0.0.1/8 dev br0\n    bridge_ports enp3s0\n" in bridge
    assert bridge.endswith("\niface br0 inet6 static\n    address fd00::1/64\n\n")
    assert port.endswith("\n    mtu 1400\n    up ethtool -K enp3s0 gro off\n    up ethtool -s enp3s0 wol g\n")


def test_a_bridge_that_the_admin_defined_is_used_as_it_is():
    hers = ifupdown.Stanza("br0", "inet", "static", "/etc/network/interfaces", 3)
    assert ifupdown_bridge.ours([TUNNEL], ifupdown.Defined((hers,), ())) == {}
    assert ifupdown_bridge.render({}) == ""


def test_without_ports_there_is_nothing_to_define():

    assert ifupdown_bridge.ours([TUNNEL._replace(bridge_ports=())], ifupdown.Defined((), ())) == {}
