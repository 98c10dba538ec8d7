import dataclasses

import pytest

from l2wg_hooks import links as links_module
from l2wg_hooks.links import Link
from l2wg_hooks import plan as plan_module
from l2wg_hooks.plan import Rules, Seen, Step, removal
from l2wg_hooks.settings import Tunnel

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", path="/etc/l2wg/gretap1.conf", lines={"bridge": 4})
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420)
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
PORT = Link("enp3s0", 3, up=True, master="br0", mac="52:54:00:00:00:01")
RIGHT = Link(
    "gretap1", 9, "gretap", up=True, mtu=1500, mac=TUNNEL.mac, master="br0", alias="l2wg",
    local="192.168.178.1", remote="192.168.92.1", underlay="wg0", pmtudisc=False, ignore_df=True,
)  # fmt: skip
ADD = (
    "ip link add name gretap1 address %s mtu 1500 type gretap local 192.168.178.1 remote 192.168.92.1 dev wg0 nopmtudisc ignore-df"
    % TUNNEL.mac
)
DELETE = "ip link delete dev gretap1"
ALIAS = "ip link set dev gretap1 alias l2wg"
JOIN = "ip link set dev gretap1 master br0"
UP = "ip link set dev gretap1 up"
NEW = [ADD, ALIAS, JOIN, UP]


LAN = Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24",))


def plan(*words, **more):
    """The Plan where the rules that it wants are in force already; test_guard.py has those where they are not."""
    wanted = plan_module.plan(*words, **more).rules
    return plan_module.plan(*words, seen=Seen(wanted or Rules()), **more)


def of(*found):
    return {link.name: link for link in (LAN,) + found}


def steps(*found, tunnels=(TUNNEL,), **more):
    result = plan(tunnels, of(*found), **more)
    assert result.problems == ()
    return [str(step) for step in result.steps]


def complaint(*found, tunnels=(TUNNEL,)):
    (problem,) = plan(tunnels, of(*found)).problems
    return str(problem)


def but(link, **changes):
    return dataclasses.replace(link, **changes)


def test_all_is_made_from_nothing():
    assert steps(WG0, BR0) == NEW


def test_nothing_is_done_when_all_is_right():
    result = plan([TUNNEL], of(WG0, BR0, RIGHT))
    assert (result.steps, result.waiting, result.problems) == ((), (), ())


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_what_a_real_kernel_says_of_a_right_one_is_right(golden, suite):
    found = links_module.parse((golden / "links" / (suite + "-right.json")).read_text())
    tunnel = but(TUNNEL, bridge_ports=("enp3s0",))
    assert plan([tunnel], found).steps == ()
    dead = links_module.parse((golden / "links" / (suite + "-dead.json")).read_text())
    assert [str(step) for step in plan([tunnel], dead).steps] == [DELETE]


def test_a_key_is_a_part_of_the_tunnel():
    tunnel = but(TUNNEL, key=7)
    assert " dev wg0 key 7 nopmtudisc ignore-df" in steps(WG0, BR0, tunnels=[tunnel])[0]
    assert steps(WG0, BR0, but(RIGHT, key=7, mac=tunnel.mac), tunnels=[tunnel]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "vxlan"},
        {"local": "10.0.0.1"},
        {"remote": "10.0.0.1"},
        {"underlay": ""},
        {"underlay": "if5"},
        {"underlay": "wg1"},
        {"key": 7},
        {"pmtudisc": True},
        {"ignore_df": False},
    ],
)
def test_what_cannot_be_mended_is_made_again(wrong):
    assert steps(WG0, BR0, but(RIGHT, **wrong)) == [DELETE] + NEW


@pytest.mark.parametrize(
    "wrong, cure",
    [
        ({"mtu": 1382}, ["ip link set dev gretap1 mtu 1500"]),
        ({"mac": "02:00:00:00:00:01"}, ["ip link set dev gretap1 address " + TUNNEL.mac]),
        ({"alias": ""}, [ALIAS]),
        ({"master": ""}, [JOIN]),
        ({"master": "br1"}, [JOIN]),
        ({"up": False}, [UP]),
    ],
)
def test_what_can_be_mended_is_mended_in_place(wrong, cure):
    assert steps(WG0, BR0, but(RIGHT, **wrong)) == cure


def test_without_underlay_nothing_is_made_and_what_is_dead_goes():
    result = plan([TUNNEL], of(BR0))
    assert (result.steps, result.problems) == ((), ())
    assert result.waiting == ("gretap1 waits for wg0",)
    assert steps(BR0, but(RIGHT, underlay="if5")) == [DELETE]


def test_a_tunnel_that_could_leak_goes_with_its_underlay():
    assert steps(BR0, but(RIGHT, underlay="")) == [DELETE]


def test_an_end_that_no_interface_has_is_told_of():
    for links in ({}, {"enp2s0": but(LAN, addresses=("192.168.178.10/24",))}):
        links.update({"wg0": WG0, "br0": BR0})
        result = plan([TUNNEL], links)
        assert [str(step) for step in result.steps] == NEW
        assert result.waiting == ("gretap1 waits for its address: no interface of this router has 192.168.178.1",)


def test_without_bridge_the_tunnel_waits_and_is_down():
    result = plan([TUNNEL], of(WG0))
    assert [str(step) for step in result.steps] == [ADD, ALIAS]
    assert result.waiting == ("gretap1 waits for br0",)
    assert steps(WG0, but(RIGHT, master="", up=True)) == ["ip link set dev gretap1 down"]


def test_what_is_leaving_counts_as_gone():
    assert steps(WG0, BR0, RIGHT, leaving=("wg0",)) == [DELETE]
    assert steps(WG0, BR0, RIGHT, leaving=("br0",)) == ["ip link set dev gretap1 nomaster", "ip link set dev gretap1 down"]


def test_a_bridge_with_a_larger_mtu_keeps_it():
    assert steps(WG0, but(BR0, mtu=9000)) == [
        ADD, ALIAS, "ip link set dev br0 mtu 8999", "ip link set dev br0 mtu 9000", JOIN, UP
    ]  # fmt: skip
    assert steps(WG0, but(BR0, mtu=1400)) == NEW


def test_the_tunnels_own_address_sorts_behind_any_card_and_differs_from_the_peers():
    peer = but(TUNNEL, local=TUNNEL.remote, remote=TUNNEL.local)
    assert TUNNEL.mac.startswith("fe:ff:")
    assert TUNNEL.mac != peer.mac
    assert TUNNEL.mac == but(TUNNEL).mac


def test_no_ipv6_address_on_a_port_where_there_is_ipv6():
    assert "ip link set dev gretap1 addrgenmode none" in steps(WG0, but(BR0, ipv6=True))


def test_ports_that_are_wished_for_join():
    tunnel = but(TUNNEL, bridge_ports=("enp3s0", "enp4s0"))
    free = but(PORT, master="", up=False)
    result = plan([tunnel], of(WG0, BR0, RIGHT, free))
    assert [str(step) for step in result.steps] == ["ip link set dev enp3s0 master br0", "ip link set dev enp3s0 up"]
    assert result.waiting == ("br0 waits for its port enp4s0",)
    assert steps(WG0, BR0, RIGHT, but(PORT, up=False), but(PORT, name="enp4s0"), tunnels=[tunnel]) == []


def test_a_port_with_an_address_is_never_touched():
    tunnel = but(TUNNEL, bridge_ports=("enp3s0",))
    result = plan([tunnel], of(WG0, BR0, RIGHT, but(PORT, master="", addresses=("192.168.1.1/24",))))
    assert result.steps == ()
    assert "enp3s0 carries the address 192.168.1.1/24" in str(result.problems[0])


def test_a_port_of_another_bridge_is_left_there():
    tunnel = but(TUNNEL, bridge_ports=("enp3s0",))
    result = plan([tunnel], of(WG0, BR0, RIGHT, but(PORT, master="br9")))
    assert result.steps == ()
    assert "enp3s0 is a port of br9" in str(result.problems[0])


def test_a_name_that_is_taken_is_left_to_whoever_has_it():
    assert "gretap1 is taken by an interface of kind dummy" in complaint(WG0, BR0, Link("gretap1", 3, "dummy"))
    assert "gretap1 is taken by a network card" in complaint(WG0, BR0, Link("gretap1", 3))


def test_an_underlay_that_is_no_wireguard_carries_nothing():
    card = Link("wg0", 2, "", up=True)
    assert "not a WireGuard interface" in complaint(card, BR0)
    result = plan([TUNNEL], of(card, BR0, RIGHT))
    assert [str(step) for step in result.steps] == [DELETE]
    assert steps(but(WG0, kind="tun"), BR0) == NEW


def test_a_bridge_that_is_none():
    text = complaint(WG0, Link("br0", 2, "bond"))
    assert text.startswith("/etc/l2wg/gretap1.conf:4: bridge: br0 is an interface of kind bond, not a bridge")


def test_a_twin_under_another_name():
    twin = but(RIGHT, name="gretap9", alias="", master="")
    assert "gretap9 has the same ends" in complaint(WG0, BR0, twin)
    assert steps(WG0, BR0, but(twin, remote="10.0.0.1")) == NEW
    assert steps(WG0, BR0, twin, RIGHT) == []


def test_a_tunnel_of_ours_that_nobody_wishes_for_goes():
    old = but(RIGHT, name="gretap0old")
    assert steps(WG0, BR0, old)[0] == "ip link delete dev gretap0old"
    assert steps(WG0, BR0, old)[1:] == NEW  # the renamed one is no twin of it
    assert steps(WG0, BR0, but(old, alias=""), tunnels=()) == []
    assert steps(WG0, BR0, old, tunnels=(), broken=("gretap0old",)) == []


def test_tunnels_that_swap_their_ends_are_no_twins():
    second = but(TUNNEL, name="gretap2", remote="10.0.0.9")
    there = but(RIGHT, name="gretap2")
    done = steps(WG0, BR0, there, tunnels=[TUNNEL, second])
    assert done[0] == "ip link delete dev gretap2"
    assert ADD in done


def test_a_port_that_two_tunnels_name_joins_once():
    tunnels = [but(TUNNEL, bridge_ports=("enp3s0",)), but(TUNNEL, name="gretap2", key=2, bridge_ports=("enp3s0",))]
    done = steps(WG0, BR0, but(PORT, master=""), tunnels=tunnels)
    assert done.count("ip link set dev enp3s0 master br0") == 1


def test_a_plan_carried_out_leaves_nothing_to_do():
    """All states of a tunnel and its surroundings: after the steps, as the kernel does them, the plan is empty."""
    import itertools

    choices = {
        "underlay": ["wg0", "if5", ""],
        "master": ["br0", "br1", ""],
        "up": [True, False],
        "mtu": [1500, 1382],
        "alias": ["l2wg", ""],
        "ignore_df": [True, False],
    }
    count = 0
    for values in itertools.product(*choices.values()):
        for bridge in (BR0, but(BR0, mtu=9000), None):
            for underlay in (WG0, None):
                found = of(*[link for link in (underlay, bridge, but(RIGHT, **dict(zip(choices, values)))) if link])
                after = dict(found)
                for step in plan([TUNNEL], found).steps:
                    _do(step, after)
                assert plan([TUNNEL], after).steps == (), (values, bridge, underlay)
                count += 1
    assert count == 144 * 6


def _do(step, found):
    """What the kernel makes of a step."""
    words = list(step.argv)
    if words[2] == "delete":
        del found[words[4]]
    elif words[2] == "add":
        found[words[4]] = but(RIGHT, up=False, master="", alias="")
    else:
        name, key = words[4], words[5]
        value = {"mtu": lambda: int(words[6]), "up": lambda: True, "down": lambda: False, "nomaster": lambda: ""}
        field = {"up": "up", "down": "up", "nomaster": "master", "address": "mac"}.get(key, key)
        found[name] = but(found[name], **{field: value.get(key, lambda: words[6])()})


def test_teardown_takes_ours_and_what_has_a_tunnels_name():
    result = removal(["gretap1"], of(WG0, BR0, RIGHT, but(RIGHT, name="old"), but(RIGHT, name="hers", alias="")))
    assert [step.argv[-1] for step in result.steps] == ["gretap1", "old"]
    assert removal(["gretap1"], of(Link("gretap1", 3, "dummy"))).steps == ()


def test_each_step_gives_its_reason():
    for step in plan([TUNNEL], of(WG0, but(BR0, mtu=9000))).steps:
        assert isinstance(step, Step) and step.reason and step.group == "gretap1"
