"""Addresses and routes as words for ip(8); the recorded text is of a 6.1 kernel with iproute2 6.1."""

import json

import pytest
import tools
from l2wg_hooks.apply import saved_state
from l2wg_hooks.model import Addresses, Link
from l2wg_hooks.observe import addresses, link_table
from l2wg_hooks.plan import commands, restore
from l2wg_hooks.plan.restore import Snapshot
from l2wg_hooks.system import process

FOREVER = 4294967295
SHOWN = json.dumps(
    [
        {},
        {
            "ifname": "p",
            "addr_info": [
                {"family": "inet", "local": "192.168.92.1", "prefixlen": 24, "broadcast": "192.168.92.255", "scope": "global",
                 "label": "p", "valid_life_time": FOREVER, "preferred_life_time": FOREVER},
                {"family": "inet", "local": "10.9.0.1", "prefixlen": 24, "scope": "global", "label": "p:1"},
                {"family": "inet", "local": "192.168.92.2", "prefixlen": 24, "scope": "link", "secondary": True, "label": "p"},
                {"family": "inet", "local": "10.8.0.1", "address": "10.8.0.2", "prefixlen": 32, "scope": "global", "label": "p"},
                {"family": "inet6", "local": "fd00::9", "prefixlen": 64, "scope": "global", "dynamic": True,
                 "valid_life_time": 4000, "preferred_life_time": 1000},
                {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
            ],
        },
    ]
)  # fmt: skip
ROUTES = """10.1.0.0/16 via 192.168.92.254 table 77 src 192.168.92.1 
default via 192.168.92.254 metric 50 linkdown 
10.3.0.0/16 via 192.168.92.33 onlink mtu 1400 
10.9.0.0/24 proto kernel scope link src 10.9.0.1 
local 10.9.0.1 table local proto kernel scope host src 10.9.0.1 
broadcast 10.9.0.255 table local proto kernel scope link src 10.9.0.1 
fd01::/64 via fd00::2 metric 1024 pref medium
default via fe80::9 proto ra metric 1024 expires 1790sec pref medium
default via fd00::2 metric 7 expires 99sec pref medium
multicast ff00::/8 table local proto kernel metric 256 pref medium
"""  # as ip(8) prints it


def words(commands):
    return [" ".join(argv) for argv in commands]


def test_addresses_and_routes_in_the_words_of_ip():
    held = addresses.parse(SHOWN, {"p": ROUTES})["p"]
    assert words(commands.give(held, "br0", "p")) == [
        "ip address add 192.168.92.1/24 broadcast 192.168.92.255 dev br0",
        "ip address add 10.9.0.1/24 label br0:1 dev br0",
        "ip address add 192.168.92.2/24 scope link dev br0",
        "ip address add 10.8.0.1 peer 10.8.0.2/32 dev br0",
        "ip address add fd00::9/64 valid_lft 4000 preferred_lft 1000 nodad dev br0",
    ]
    assert words(commands.lead(held, "br0")) == [
        "ip route replace 10.1.0.0/16 via 192.168.92.254 table 77 src 192.168.92.1 dev br0",
        "ip route replace default via 192.168.92.254 metric 50 dev br0",
        "ip route replace 10.3.0.0/16 via 192.168.92.33 onlink mtu 1400 dev br0",
        "ip route replace fd01::/64 via fd00::2 metric 1024 pref medium dev br0",
        "ip route replace ::/0 via fd00::2 metric 7 pref medium dev br0",
    ]
    assert words(commands.take(held, "p"))[-2:] == ["ip address delete 10.9.0.1/24 dev p", "ip address delete 192.168.92.1/24 dev p"]
    assert "ip address delete 10.8.0.1 peer 10.8.0.2/32 dev p" in words(commands.take(held, "p"))


def test_a_default_route_without_a_gateway_is_of_the_family_that_it_was_asked_of(monkeypatch):
    def ask(argv, stdin=""):
        text = "default scope link metric 9\n" if "-4" in argv else "default metric 1024 pref medium\n" if "-6" in argv else SHOWN
        return process.Result(0, tools.batched(stdin, lambda line: text) if stdin else text, "")

    monkeypatch.setattr(process, "run", ask)
    monkeypatch.setattr(link_table, "parse", lambda shown: {"p": None})
    held = saved_state.picture(["p"])[0].held["p"]
    assert words(commands.lead(held, "br0")) == ["ip route replace default scope link metric 9 dev br0", "ip route replace ::/0 metric 1024 pref medium dev br0"]


# Back

PORT = Addresses((("192.168.92.1/24",),), (("default", "via", "192.168.92.254"),))
BEFORE = Snapshot({"p": Link("p", 2, mac="02:00:00:00:00:02", up=True)}, {"p": PORT})


def test_a_move_is_undone_with_every_address_always_somewhere():
    now = Snapshot(
        {"p": Link("p", 2, mac="02:00:00:00:00:02", master="br0", up=True), "br0": Link("br0", 9, "bridge", up=True),
         "gretap1": Link("gretap1", 10, "gretap", alias="l2wg", master="br0")},
        {"br0": PORT},
    )  # fmt: skip
    assert [str(step) for step in restore.steps(BEFORE, now, ["br0", "gretap1", "p"])] == [
        "ip link delete dev gretap1",
        "ip address add 192.168.92.1/24 dev p",
        "ip link set dev p nomaster",
        "ip route replace default via 192.168.92.254 dev p",
        "ip link delete dev br0",
    ]


def test_others_get_back_what_they_lost_and_keep_what_they_got():
    now = Snapshot(BEFORE.links, {"p": Addresses((("10.0.0.1/8",),))})
    assert [str(step) for step in restore.steps(BEFORE, now, [], ["p", "gone"])] == [
        "ip address add 192.168.92.1/24 dev p",
        "ip route replace default via 192.168.92.254 dev p",
    ]


def test_nothing_has_changed_and_nothing_is_done():
    assert restore.steps(BEFORE, BEFORE, ["p", "br0"]) == ()
    bridge = Snapshot({"b": Link("b", 3, "bridge", stp=True, bridge_iptables=True, mtu=1400, up=True)}, {})
    assert restore.steps(bridge, bridge, ["b"]) == ()


def test_a_tunnel_that_was_there_is_the_plans_business():
    old = Snapshot({"gretap1": Link("gretap1", 10, "gretap", alias="l2wg", master="br0", mtu=1500)}, {})
    new = Snapshot({"gretap1": Link("gretap1", 12, "gretap", alias="l2wg", mtu=1400)}, {})
    assert restore.steps(old, new, ["gretap1"]) == ()


def test_what_is_nobodys_business_is_left_alone():
    assert restore.steps(BEFORE, Snapshot({"p": Link("p", 2, mtu=9000), "br0": Link("br0", 9, "bridge")}, {}), []) == ()
    assert restore.steps(BEFORE, Snapshot({"q": Link("q", 9, "dummy")}, {}), ["p", "q"]) == (), "gone, and not ours"


def test_each_attribute_comes_back():
    bridge = Link("b", 3, "bridge", mac="02:00:00:00:00:09", stp=True, group_forward=0x4008, bridge_iptables=True)
    old = Snapshot({"p": Link("p", 2, master="b", mac="02:00:00:00:00:02", mtu=1400), "b": bridge}, {})
    new = Snapshot(
        {"p": Link("p", 2, mac="02:00:00:00:00:03", up=True), "b": Link("b", 3, "bridge", mac="02:00:00:00:00:01", mtu=1400, up=True)},
        {"b": Addresses((("10.0.0.1/8", "scope", "link"),))},
    )
    assert [str(step) for step in restore.steps(old, new, ["b", "p"])] == [
        "ip link set dev b mtu 1500",
        "ip link set dev b type bridge stp_state 1",
        "ip link set dev b type bridge group_fwd_mask 16392",
        "ip link set dev b type bridge nf_call_iptables 1 nf_call_ip6tables 1",
        "ip link set dev b down",
        "ip link set dev p master b",
        "ip link set dev p address 02:00:00:00:00:02",
        "ip link set dev p mtu 1400",
        "ip link set dev p down",
        "ip address delete 10.0.0.1/8 dev b",
    ]


@pytest.mark.parametrize("line", ["", "   ", "\tnexthop via 192.0.2.1 dev p weight 1", "local 192.0.2.7", "broadcast 192.0.2.255", "192.0.2.0/24 proto kernel"])
def test_what_is_no_route_of_somebodys(line):
    there = "198.51.100.0/24 via 192.0.2.1"
    shown = json.dumps([{"ifname": "p", "ifindex": 2, "addr_info": []}])
    for text in (line + "\n" + there + "\n", there + "\n" + line + "\n"):
        assert addresses.parse(shown, {"p": text})["p"].routes == (("198.51.100.0/24", "via", "192.0.2.1"),)
