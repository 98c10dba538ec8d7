import pytest

from l2wg_hooks import interfaces
from l2wg_hooks.settings import Tunnel

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
    stanzas, sources = interfaces.parse(TEXT, "f")
    assert sources == [("source", "/etc/network/interfaces.d/*"), ("source-directory", "more")]
    assert [(stanza.interface, stanza.family, stanza.line) for stanza in stanzas] == [
        ("lo", "inet", 6), ("br0", "inet", 8), ("br0", "inet6", 14), ("enp2s0", "inet", 16), ("enp5s0", "inet", 17),
        ("wlan0", "inet6", 20),
    ]  # fmt: skip
    assert ("bridge-ports", "enp2s0 enp4s0") in stanzas[1].options
    assert [stanza.addresses() != () for stanza in stanzas] == [False, True, False, False, True, True]


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setattr(interfaces, "MAIN", str(tmp_path / "interfaces"))
    (tmp_path / "interfaces.d").mkdir()
    return tmp_path


def read(network, text):
    (network / "interfaces").write_text(text)
    return interfaces.read(str(network / "interfaces"))


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
    assert interfaces.covers(word, pattern, str(network), str(network / "interfaces.d" / "l2wg")) == covered


def test_files_that_source_each_other_end(network):
    (network / "loop").write_text("source interfaces\nsource loop\n")
    assert read(network, "source loop\niface br0 inet manual\n").stanzas[0].interface == "br0"


def test_our_file_for_site_a():
    bridges = interfaces.ours([TUNNEL], interfaces.Defined((), ()))
    assert interfaces.render(bridges) == interfaces.HEADER + (
        "\nauto br0\niface br0 inet manual\n    bridge_ports enp3s0\n    bridge_stp off\n    bridge_fd 0\n    bridge_maxwait 0\n"
        "    pre-up ip link add $IFACE type bridge 2>/dev/null || true\n"
        "    pre-up sysctl -qew net/ipv4/conf/$IFACE/arp_ignore=1 net/ipv4/conf/$IFACE/rp_filter=1"
        " net/ipv6/conf/$IFACE/accept_ra=0 net/ipv6/conf/$IFACE/disable_ipv6=1 || true\n"
        "\nallow-hotplug enp3s0\niface enp3s0 inet manual\n"
        "    pre-up sysctl -qew net/ipv6/conf/$IFACE/accept_ra=0 || true\n"
        "    down sysctl -qew net/ipv6/conf/$IFACE/accept_ra=1 || true\n"
    )
    again = interfaces.parse(interfaces.render(bridges), interfaces.OURS)[0]
    assert interfaces.ours([TUNNEL], interfaces.Defined(tuple(again), ())) == bridges, "our own stanza is not `elsewhere`"


def test_without_ifupdown_somebody_else_defines_the_bridges(tmp_path, monkeypatch):
    monkeypatch.setattr(interfaces, "MAIN", str(tmp_path / "network" / "interfaces"))
    assert interfaces.ours([TUNNEL], interfaces.read()) == {}
    (tmp_path / "network").mkdir()
    assert list(interfaces.ours([TUNNEL], interfaces.read())) == ["br0"], "the file alone can be missing"


def test_a_port_that_the_admin_defined_is_not_defined_again():
    hers = interfaces.Stanza("enp3s0", "inet", "manual", "/etc/network/interfaces", 3)
    assert "iface enp3s0" not in interfaces.render(interfaces.ours([TUNNEL], interfaces.Defined((hers,), ())))


def test_our_file_with_an_address():
    import dataclasses

    for address, family in (("192.168.92.1/24", "inet"), ("fd00::1/64", "inet6")):
        text = interfaces.render(interfaces.ours([dataclasses.replace(TUNNEL, bridge_address=address)], interfaces.Defined((), ())))
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
    stanzas = tuple(interfaces.parse(text, "/etc/network/interfaces")[0])
    rendered = interfaces.render(interfaces.ours([TUNNEL], interfaces.Defined(stanzas, ()), ["enp3s0"]))
    bridge, port = rendered.split("allow-hotplug enp3s0\n")
    assert "iface br0 inet manual\n    up ip address add 10.0.0.1/8 dev br0\n    bridge_ports enp3s0\n" in bridge
    assert bridge.endswith("\niface br0 inet6 static\n    address fd00::1/64\n\n")
    assert port.endswith("\n    mtu 1400\n    up ethtool -K enp3s0 gro off\n    up ethtool -s enp3s0 wol g\n")


def test_a_bridge_that_the_admin_defined_is_used_as_it_is():
    hers = interfaces.Stanza("br0", "inet", "static", "/etc/network/interfaces", 3)
    assert interfaces.ours([TUNNEL], interfaces.Defined((hers,), ())) == {}
    assert interfaces.render({}) == ""


def test_without_ports_there_is_nothing_to_define():
    import dataclasses

    assert interfaces.ours([dataclasses.replace(TUNNEL, bridge_ports=())], interfaces.Defined((), ())) == {}
