"""Routes of the next start of WireGuard, and what has the same ones. The rules are wg-quick's own: tests/lab runs the real one."""

import ipaddress
import types

import pytest
from l2wg_hooks.config import edit, ifupdown, tunnel_file, wg_quick_routes
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import process

TUNNEL = "underlay = wg0\nlocal = 10.15.14.2\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\n"
CONF = """[Interface]
Address = 10.15.14.2/24
PrivateKey = y
%s
[Peer]
PublicKey = K=
AllowedIPs = %s
"""


def added(allowed, more=""):
    return [str(route.network) for route in wg_quick_routes.wanted(CONF % (more, allowed), "x")]


@pytest.mark.parametrize(
    "allowed, more, routes",
    [
        ("192.168.92.0/24, 10.15.14.0/24", "", ["192.168.92.0/24"]),
        ("192.168.92.7/24", "", ["192.168.92.0/24"]),
        ("10.15.14.1/32, 10.15.14.0/25", "", []),
        ("10.15.14.1, 10.15.0.0/16", "", ["10.15.0.0/16"]),
        ("10.0.0.0/8, 192.168.92.1, 192.168.92.0/24", "", ["192.168.92.1/32", "192.168.92.0/24", "10.0.0.0/8"]),
        ("0.0.0.0/0, ::/0", "", []),
        ("0.0.0.0/1, 128.0.0.0/1", "", ["0.0.0.0/1", "128.0.0.0/1"]),
        ("192.168.92.0/24", "Table = off", []),
        ("192.168.92.0/24", "Table = auto", ["192.168.92.0/24"]),
        ("192.168.92.0/24, 0.0.0.0/0, 10.15.14.0/24", "table=7", ["192.168.92.0/24", "10.15.14.0/24", "0.0.0.0/0"]),
        ("fd00:92::/64, 192.168.92.0/24", "", ["fd00:92::/64", "192.168.92.0/24"]),
        ("fd00:92::5/128", "Address = fd00:92::1/64", []),
        ("192.168.92.0/24, 192.168.92.0/24 # twice\n[Peer]\nPublicKey = L=\nAllowedIPs = 192.168.92.0/24,nonsense,", "", ["192.168.92.0/24"]),
        ("", "", []),
    ],
)
def test_what_wg_quick_adds(allowed, more, routes):
    assert added(allowed, more) == routes


def test_the_table():
    for said, table in (("", "main"), ("Table = off", "off"), ("Table = auto", "main"), ("Table = 254", "main"), ("Table = 7", "7")):
        assert wg_quick_routes.table_of(CONF % (said, "")) == table


MAIN4 = """default via 203.0.113.1 dev enp1s0
192.168.92.0/24 dev br0 proto kernel scope link src 192.168.92.2
192.168.92.0/24 dev wg0 scope link
10.1.0.0/16 dev enp2s0 proto dhcp scope link metric 100
10.2.0.0/16 dev enp2s0 tos 0x10 scope link
unreachable 10.3.0.0/16
10.4.0.9 via 192.168.92.9 dev br0 linkdown
10.5.0.0/16 proto static
\tnexthop via 192.168.92.9 dev br0 weight 1
"""
MAIN6 = """fd00:92::/64 dev br0 proto kernel metric 256 pref medium
fd00:93::/64 via fe80::1 dev br0 metric 1024 pref medium
unreachable fd00:94::/64 dev lo metric 1024 error -113
"""


def test_what_stands_in_the_way_is_what_the_kernel_takes_for_the_same():
    assert [(str(route.network), route.device) for route in wg_quick_routes.parse(MAIN4, 4, "wg0")] == [
        ("0.0.0.0/0", "enp1s0"), ("192.168.92.0/24", "br0"), ("10.3.0.0/16", ""), ("10.4.0.9/32", "br0"), ("10.5.0.0/16", ""),
    ]  # fmt: skip
    assert [(str(route.network), route.device) for route in wg_quick_routes.parse(MAIN6, 6, "wg0")] == [("fd00:93::/64", "br0"), ("fd00:94::/64", "lo")]


@pytest.mark.parametrize(
    "text, routes",
    [
        ("iface br0 inet static\n address 192.168.92.2\n netmask 255.255.255.0\n", [("192.168.92.0/24", "br0")]),
        ("iface br0 inet static\n address 192.168.92.2/24\n", [("192.168.92.0/24", "br0")]),
        ("iface br0 inet6 static\n address fd00:92::2/64\n", []),
        ("iface br0 inet static\n address 192.168.92.2/32\n", []),
        ("iface br0 inet manual\n up ip a add 192.168.92.2/24 dev $IFACE\n", [("192.168.92.0/24", "br0")]),
        ("iface br0 inet manual\n up ip route add 10.9.0.0/16 via 192.168.92.9\n", [("10.9.0.0/16", "br0")]),
        ("iface br0 inet manual\n post-up test -e /x && ip -6 r replace fd00:93::/64 dev br1 || :\n", [("fd00:93::/64", "br1")]),
        ("iface br0 inet manual\n up ip route add 10.9.0.0/16 dev br0 metric 5\n up ip route add 10.9.0.0/16 dev br0 table 7\n", []),
        ("iface br0 inet manual\n up route add -net 10.9.0.0 netmask 255.255.0.0 dev br0\n", [("10.9.0.0/16", "br0")]),
        ("iface wg0 inet static\n address 192.168.92.2/24\n", []),
        ("iface br0 inet dhcp\n", []),
        ("iface br0 inet static\n address none\n up ip route\n up ip route add\n", []),
    ],
)
def test_what_interfaces_will_make(text, routes):
    found = wg_quick_routes.defined(ifupdown.parse(text, "f")[0], "wg0")
    assert [(str(route.network), route.device) for route in found] == routes


@pytest.fixture
def router(root, wireguard, monkeypatch):
    shown = {"-4": "", "-6": ""}
    monkeypatch.setattr(process, "run", lambda argv, *more: process.Result(0, shown[argv[1]] if argv[-1] == "main" else "", ""))
    (wireguard / "wg0.conf").write_text(CONF % ("", "10.15.14.0/24, 192.168.92.0/24"))
    return types.SimpleNamespace(etc=root / "etc", conf=wireguard / "wg0.conf", shown=shown)


def tunnel(more=""):
    return tunnel_file.parse(TUNNEL + more, "/etc/l2wg/gretap1.conf", "gretap1")[0]


def looked(wished=None, text=""):
    return wg_quick_routes.look([wished or tunnel()], ifupdown.parse(text, "/etc/network/interfaces")[0])


def test_nothing_is_in_the_way(router):
    router.shown["-4"] = "192.168.178.0/24 dev enp2s0 proto kernel scope link\n192.168.92.0/24 dev wg0 scope link\n"
    assert looked() == ()


def test_the_bridges_address_is_where_the_route_of_wireguard_is_to_be(router):
    (clash,) = looked(tunnel("bridge-address = 192.168.92.2/24\n"))
    assert clash.device == "br0" and clash.problem.line == 7 and "gretap1.conf:6: bridge-address" in clash.problem.message
    assert "the next start says `File exists`, and wg0 is gone" in clash.problem.message
    assert clash.problem.hint == (
        "sed -i '7s|=[^#]*|= 10.15.14.0/24, 192.168.92.1/32|' %s/wg0.conf # and now: wg set wg0 peer K= allowed-ips "
        "10.15.14.0/24,192.168.92.1/32; ip route replace 192.168.92.1/32 dev wg0; ip route delete 192.168.92.0/24 dev wg0" % router.conf.parent
    )
    for more in ("10.15.14.3/24", "192.168.92.2/25", "fd00:92::1/64"):
        assert looked(tunnel("bridge-address = %s\n" % more)) == (), "another network"


@pytest.mark.parametrize("shown", ["192.168.92.0/24 dev br0 proto kernel scope link src 192.168.92.2\n", "192.168.92.0/24 via 10.0.0.1 dev enp2s0\n"])
def test_what_the_kernel_has(router, shown):
    router.shown["-4"] = shown
    (clash,) = looked()
    assert bool(wg_quick_routes.ours([clash], [tunnel()])) == ("br0" in shown), "what is not of our making is for check to tell"


def test_table_off_adds_none_and_another_table_is_another_table(router):
    for said, count in (("Table = off", 0), ("Table = 7", 0), ("Table = 254", 1)):
        router.conf.write_text(CONF % (said, "192.168.92.0/24"))
        assert len(looked(tunnel("bridge-address = 192.168.92.2/24\n"))) == count, said


def test_a_file_that_wg_reads_makes_no_routes_but_ifupdown_may(router):
    router.conf.write_text("[Interface]\nPrivateKey = y\n[Peer]\nPublicKey = K=\nAllowedIPs = 192.168.92.0/24\n")
    wish = tunnel("bridge-address = 192.168.92.2/24\n")
    assert looked(wish) == ()
    (clash,) = looked(wish, "iface wg0 inet static\n address 10.15.14.2/24\n up ip route add 192.168.92.0/24 dev $IFACE\n")
    assert "`ifup wg0` ends there" in clash.problem.message and clash.problem.hint == "write there in its place: 192.168.92.1/32"
    assert looked(wish, "iface wg0 inet static\n up ip route replace 192.168.92.0/24 dev wg0\n up ip route add 192.168.92.0/24 dev wg0 || :\n") == ()


def test_set_writes_no_address_that_costs_wireguard_its_next_start(router):
    (router.etc / "l2wg").mkdir()
    values = dict(line.split(" = ") for line in TUNNEL.splitlines())
    edit.change("gretap1", values)
    before = (router.etc / "l2wg/gretap1.conf").read_text()
    with pytest.raises(L2wgError, match="wg0.conf:7: AllowedIPs: wg-quick adds a route to 192.168.92.0/24 by wg0, which br0 has"):
        edit.change("gretap1", {"bridge-address": "192.168.92.2/24"})
    assert (router.etc / "l2wg/gretap1.conf").read_text() == before
    edit.change("gretap1", {"bridge-address": "192.168.92.2/25"})


def test_a_peer_whose_end_is_elsewhere_only_loses_the_network(router):
    text = "[Interface]\nAddress = 10.15.14.2/24\n[Peer]\nPublicKey = K=\nAllowedIPs = 10.15.14.1, 192.168.92.0/24 # B\n"
    router.conf.write_text(text)
    wish = tunnel_file.parse((TUNNEL + "bridge-address = 192.168.92.2/24\n").replace("192.168.92.1", "10.15.14.1"), "x", "gretap1")[0]
    (clash,) = looked(wish)
    assert "'5s|=[^#]*|= 10.15.14.1 |'" in clash.problem.hint and "route replace" not in clash.problem.hint
    router.conf.write_text(text.replace("[Peer]", "SaveConfig = true\n[Peer]"))
    assert looked(wish)[0].problem.hint.startswith("wg set wg0 peer K= allowed-ips 10.15.14.1; ip route delete"), "wg-quick rewrites the file"


def test_networks_are_compared_as_networks():
    wanted = wg_quick_routes.Wanted(ipaddress.ip_network("fd00:93::/64"), "x", 1)
    assert wg_quick_routes.clashes([wanted], wg_quick_routes.parse(MAIN6, 6, "wg0")) and not wg_quick_routes.clashes([wanted], wg_quick_routes.parse(MAIN4, 4, "wg0"))
