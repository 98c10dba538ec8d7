import pytest
from l2wg_hooks.config import bridge_switches, conflicts
from l2wg_hooks.model import Link, Observed, PolicyRoutes, Rules, Step, Switches, Tables, Tunnel, Wait
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import link_table
from l2wg_hooks.plan import planner, policy_routes
from l2wg_hooks.plan.planner import removal

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", path="/etc/l2wg/gretap1.conf", lines={"bridge": 4})
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420)
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
PORT = Link("enp3s0", 3, up=True, master="br0", mac="52:54:00:00:00:01")
RIGHT = Link(
    "gretap1", 9, "gretap", up=True, mtu=1500, mac=TUNNEL.mac, master="br0", alias="l2wg",
    local="192.168.178.1", remote="192.168.92.1", underlay="wg0", pmtudisc=False, ignore_df=True, ttl=64,
)  # fmt: skip
ADD = "ip link add name gretap1 address %s mtu 1500 type gretap local 192.168.178.1 remote 192.168.92.1 dev wg0 nopmtudisc ignore-df ttl 64" % TUNNEL.mac
DELETE = "ip link delete dev gretap1"
ALIAS = "ip link set dev gretap1 alias l2wg"
JOIN = "ip link set dev gretap1 master br0"
UP = "ip link set dev gretap1 up"
NEW = [ADD, ALIAS, JOIN, UP]


LAN = Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24",))


def plan(*words, seen=Observed(), **more):
    """The Plan where the rules that it wants are in force already; test_nftables.py has those where they are not.

    Whatever it does, each step says why, and what it is about: what fails with it is left out by that.
    """
    wanted = planner.plan(*words, seen=seen, **more).rules
    found = planner.plan(*words, seen=seen._replace(rules=wanted or Rules()), **more)
    assert all(step.reason and step.group for step in found.steps)
    return found


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
    return link._replace(**changes)


def test_all_is_made_from_nothing():
    assert steps(WG0, BR0) == NEW


def test_nothing_is_done_when_all_is_right():
    result = plan([TUNNEL], of(WG0, BR0, RIGHT))
    assert (result.steps, result.waiting, result.problems) == ((), (), ())


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_what_a_real_kernel_says_of_a_right_one_is_right(golden, suite):
    found = link_table.parse((golden / "links" / (suite + "-right.json")).read_text())
    tunnel = but(TUNNEL, bridge_ports=("enp3s0",))
    assert plan([tunnel], found).steps == ()
    dead = link_table.parse((golden / "links" / (suite + "-dead.json")).read_text())
    assert [str(step) for step in plan([tunnel], dead).steps] == [DELETE]


def test_a_key_is_a_part_of_the_tunnel():
    tunnel = but(TUNNEL, key=7)
    assert " dev wg0 key 7 nopmtudisc ignore-df ttl 64" in steps(WG0, BR0, tunnels=[tunnel])[0]
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
    assert [str(wait) for wait in result.waiting] == ["gretap1 waits for wg0"]
    assert steps(BR0, but(RIGHT, underlay="if5")) == [DELETE]


def test_a_tunnel_that_could_leak_goes_with_its_underlay():
    assert steps(BR0, but(RIGHT, underlay="")) == [DELETE]


def test_an_end_that_no_interface_has_is_told_of():
    for links in ({}, {"enp2s0": but(LAN, addresses=("192.168.178.10/24",))}):
        links.update({"wg0": WG0, "br0": BR0})
        result = plan([TUNNEL], links)
        assert [str(step) for step in result.steps] == NEW
        assert [str(wait) for wait in result.waiting] == ["gretap1 waits for its address: no interface of this router has 192.168.178.1"]


def test_without_bridge_the_tunnel_waits_and_is_down():
    result = plan([TUNNEL], of(WG0))
    assert [str(step) for step in result.steps] == [ADD, ALIAS]
    assert [str(wait) for wait in result.waiting] == ["gretap1 waits for br0"]
    assert steps(WG0, but(RIGHT, master="", up=True)) == ["ip link set dev gretap1 down"]


def test_what_is_leaving_counts_as_gone():
    assert steps(WG0, BR0, RIGHT, leaving=("wg0",)) == [DELETE]
    assert steps(WG0, BR0, RIGHT, leaving=("br0",)) == ["ip link set dev gretap1 nomaster", "ip link set dev gretap1 down"]


def test_one_tunnel_leaves_and_the_other_one_on_its_underlay_stays():
    second = TUNNEL._replace(name="gretap2", local="192.168.178.1", remote="192.168.93.1")
    two = but(RIGHT, name="gretap2", ifindex=10, remote="192.168.93.1", mac=second.mac)
    assert steps(WG0, BR0, RIGHT, two, tunnels=(TUNNEL, second), leaving=("gretap1",)) == [DELETE]
    assert steps(WG0, BR0, two, tunnels=(TUNNEL, second), leaving=("gretap1",)) == [], "it is not made again at once"
    assert steps(WG0, BR0, RIGHT, tunnels=(TUNNEL, second), leaving=("gretap1",)) == [DELETE], "nor is one that has left before"


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
    assert [str(wait) for wait in result.waiting] == ["br0 waits for its port enp4s0"]
    assert steps(WG0, BR0, RIGHT, but(PORT, up=False), but(PORT, name="enp4s0"), tunnels=[tunnel]) == []


def test_a_port_with_an_address_is_never_touched():
    tunnel = but(TUNNEL, bridge_ports=("enp3s0",))
    result = plan([tunnel], of(WG0, BR0, RIGHT, but(PORT, master="", addresses=("192.168.1.1/24",))))
    assert result.steps == ()
    assert "enp3s0 carries the address 192.168.1.1/24, and whoever uses it" in str(result.problems[0])


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

    choices = {"underlay": ["wg0", "if5", ""], "master": ["br0", "br1", ""], "up": [True, False], "mtu": [1500, 1382], "alias": ["l2wg", ""], "ignore_df": [True, False]}
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


# The other kinds of tunnel.

VX4 = Tunnel("vx4", "wg0", "192.168.178.1", "192.168.92.1", "br0", encapsulation="vxlan")
VX6 = Tunnel("vx6", "wg0", "fd00::1", "fd00::2", "br0", encapsulation="vxlan", key=5)
G6 = Tunnel("g6", "wg0", "fd00::1", "fd00::2", "br0")
LAN6 = Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24", "fd00::1/64"))
KINDS = [
    (VX4, "vxlan id 1 local 192.168.178.1 remote 192.168.92.1 dstport 4789 learning ttl 64"),
    (VX6, "vxlan id 5 local fd00::1 remote fd00::2 dstport 4789 learning ttl 64"),
    (G6, "ip6gretap local fd00::1 remote fd00::2 dev wg0 encaplimit none hoplimit 64"),
    (but(G6, key=0), "ip6gretap local fd00::1 remote fd00::2 dev wg0 key 0 encaplimit none hoplimit 64"),
    (but(G6, key=7), "ip6gretap local fd00::1 remote fd00::2 dev wg0 key 7 encaplimit none hoplimit 64"),
]


def right(tunnel, **more):
    """The link of a tunnel that is right."""
    vxlan = tunnel.kind == "vxlan"
    known = Link(
        tunnel.name, 9, tunnel.kind, up=True, mtu=1500, mac=tunnel.mac, master="br0", alias="l2wg", local=tunnel.local,
        remote=tunnel.remote, key=tunnel.number, underlay="" if vxlan else "wg0", port=4789 if vxlan else None, ttl=64,
    )  # fmt: skip
    return but(known, **more)


@pytest.mark.parametrize("tunnel, words", KINDS)
def test_each_kind_is_made_and_then_right(tunnel, words):
    name = tunnel.name
    new = [
        "ip link add name %s address %s mtu 1500 type %s" % (name, tunnel.mac, words),
        "ip link set dev %s alias l2wg" % name,
        "ip link set dev %s master br0" % name,
        "ip link set dev %s up" % name,
    ]
    assert steps(WG0, BR0, LAN6, tunnels=[tunnel]) == new
    assert steps(WG0, BR0, LAN6, right(tunnel), tunnels=[tunnel]) == []
    for kind in {"gretap", "ip6gretap", "vxlan"} - {tunnel.kind}:
        assert steps(WG0, BR0, LAN6, right(tunnel, kind=kind), tunnels=[tunnel]) == ["ip link delete dev " + name] + new


@pytest.mark.parametrize(
    "tunnel, wrong, reason",
    [
        (VX4, {"key": 2}, "key is 2, not 1"),
        (VX4, {"port": 8472}, "UDP port is 8472, not 4789"),
        (VX4, {"underlay": "wg0"}, "underlay is wg0, not none"),  # bound, it takes no full-size frame
        (VX6, {"remote": "fd00::3"}, "remote end is fd00::3, not fd00::2"),
        (VX6, {"local": "fd00::3"}, "local end is fd00::3, not fd00::1"),
        (G6, {"key": 7}, "key is 7, not None"),
        (G6, {"underlay": ""}, "underlay is none, not wg0"),
        (G6, {"kind": "gretap"}, "kind is gretap, not ip6gretap"),
    ],
)
def test_each_kind_is_made_again_when_it_is_wrong(tunnel, wrong, reason):
    step = plan([tunnel], of(WG0, BR0, LAN6, right(tunnel, **wrong))).steps[0]
    assert (str(step), step.reason) == ("ip link delete dev " + tunnel.name, reason)


@pytest.mark.parametrize("tunnel", [VX4, G6], ids=["vxlan", "ip6gretap"])
def test_what_only_a_gretap_can_be_is_asked_of_no_other(tunnel):
    assert steps(WG0, BR0, LAN6, right(tunnel, pmtudisc=True, ignore_df=False), tunnels=[tunnel]) == []


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_what_a_real_kernel_says_of_the_other_kinds_is_right(golden, suite):
    found = link_table.parse((golden / "links" / (suite + "-kinds.json")).read_text())
    wishes = [
        Tunnel("t0", "wg0", "10.9.0.1", "10.9.0.2", "br0", encapsulation="vxlan"),
        Tunnel("v6", "wg0", "fd09::1", "fd09::2", "br0", encapsulation="vxlan", key=5),
        Tunnel("t1", "wg0", "fd09::1", "fd09::2", "br0"),
    ]
    done = steps(WG0, BR0, *found.values(), tunnels=wishes)
    assert [step for step in done if "add" in step.split() or "delete" in step] == []


def test_a_vxlan_goes_with_its_underlay_though_it_is_not_bound():
    assert steps(BR0, right(VX4), tunnels=[VX4]) == ["ip link delete dev vx4"]
    assert steps(WG0, BR0, right(VX4), tunnels=[VX4], leaving=("wg0",)) == ["ip link delete dev vx4"]


# What a wish says of the port and of the bridge.

ISOLATED = "ip link set dev gretap1 type bridge_slave isolated "


def test_isolated_is_a_setting_of_the_port_before_it_is_up():
    tunnel = but(TUNNEL, isolated=True)
    assert steps(WG0, BR0, tunnels=[tunnel]) == [ADD, ALIAS, JOIN, ISOLATED + "on", UP]
    assert steps(WG0, BR0, RIGHT, tunnels=[tunnel]) == [ISOLATED + "on"]
    assert steps(WG0, BR0, but(RIGHT, isolated=True), tunnels=[tunnel]) == []
    assert steps(WG0, BR0, but(RIGHT, isolated=True)) == [ISOLATED + "off"]


def test_a_port_of_another_bridge_loses_its_settings_by_moving():
    moved = but(RIGHT, master="br1", isolated=True)
    assert steps(WG0, BR0, moved) == [JOIN]
    assert steps(WG0, BR0, moved, tunnels=[but(TUNNEL, isolated=True)]) == [JOIN, ISOLATED + "on"]


@pytest.mark.parametrize("pvid, vids", [(1, ["2-4094"]), (0, ["1-4094"]), (10, ["1-9", "11-4094"]), (4094, ["1-4093"]), (2, ["1", "3-4094"])])
def test_a_bridge_that_filters_vlans_lets_all_pass_the_tunnel(pvid, vids):
    bridge = but(BR0, vlan_filtering=True, pvid=pvid)
    assert steps(WG0, bridge) == [ADD, ALIAS, JOIN] + ["bridge vlan add dev gretap1 vid " + vid for vid in vids] + [UP]
    assert steps(WG0, bridge, RIGHT) == []


MASK = "ip link set dev br0 type bridge group_fwd_mask "


@pytest.mark.parametrize(
    "wish, lines, ports, mask, done",
    [
        (True, ["link-local"], (), 0, [MASK + "0x4008"]),
        (True, ["link-local"], (), 0x8, [MASK + "0x4008"]),
        (True, ["link-local"], (), 0x4, [MASK + "0x400c"]),
        (True, ["link-local"], (), 0x4008, []),
        (True, ["link-local"], (), 0xFFF8, []),
        (False, [], (), 0, []),
        (False, ["link-local"], ("enp3s0",), 0x4008, [MASK + "0x0"]),
        (False, ["link-local"], ("enp3s0",), 0x4000, []),  # somebody else's
        (False, ["link-local"], ("enp3s0",), 0xFFF8, []),
        (False, ["link-local"], (), 0x4008, []),  # defined elsewhere
        (False, [], ("enp3s0",), 0x4008, []),
    ],
)
def test_lldp_and_8021x_pass_where_it_is_wished(wish, lines, ports, mask, done):
    tunnel = but(TUNNEL, link_local=wish, bridge_ports=ports, lines=dict.fromkeys(lines, 9))
    assert steps(WG0, but(BR0, group_forward=mask), RIGHT, PORT, tunnels=[tunnel]) == done


STP = "ip link set dev br0 type bridge stp_state "


@pytest.mark.parametrize(
    "wish, lines, ports, now, done",
    [
        (True, ["stp"], ("enp3s0",), False, [STP + "1"]),
        (True, ["stp"], ("enp3s0",), True, []),
        (False, ["stp"], ("enp3s0",), True, [STP + "0"]),
        (False, ["stp"], ("enp3s0",), False, []),
        (False, [], ("enp3s0",), True, []),
        (False, ["stp"], (), True, []),
    ],
)
def test_stp_is_left_alone_unless_it_is_written_and_the_bridge_is_ours(wish, lines, ports, now, done):
    tunnel = but(TUNNEL, stp=wish, bridge_ports=ports, lines=dict.fromkeys(lines, 9))
    assert steps(WG0, but(BR0, stp=now), RIGHT, PORT, tunnels=[tunnel]) == done


@pytest.mark.parametrize("field, key", [("stp", "stp"), ("link_local", "link-local")])
def test_two_wishes_for_one_bridge_that_undo_each_other_are_refused(field, key):
    yes, no = (
        but(TUNNEL, name=name, remote=remote, bridge_ports=("enp3s0",), lines={key: 9}, path="/" + name, **{field: value})
        for name, remote, value in (("a", "10.0.0.1", True), ("b", "10.0.0.2", False))
    )
    (problem,) = conflicts.between([yes, no])
    assert str(problem).startswith("/b:9: %s: a has it otherwise for br0 (/a)\n  hint: " % key)
    for harmless in ({"lines": {}}, {"bridge_ports": ()}, {"bridge": "br1", "bridge_ports": ("enp4s0",)}, {field: True}):
        assert list(conflicts.between([yes, but(no, **harmless)])) == []


# Policy routes, and the clamp by iptables.


def way(tunnel):
    """Our rules and routes of a tunnel, as ip(8) tells of them."""
    (number,) = policy_routes.tables(tunnel)
    rule = {"priority": 4789, "src": tunnel.local, "table": number, "ipproto": "gre"}
    if tunnel.kind == "vxlan":
        rule.update(ipproto="udp", dport=4789)
    size = {"vx4": 1558, "vx6": 1578, "g6": 1566}[tunnel.name]
    routes = [{"type": "unreachable", "dst": "default"}, {"dst": tunnel.remote, "dev": "wg0", "metrics": [{"mtu": size}]}]
    return policy_routes.by_table([rule], {number: routes})


def seeing(tunnels, found, now, **more):
    """The Plan where the rules of `tunnels` are in force, and `now` is what else there is."""
    force = Rules([nftables.entry(tunnel) for tunnel in tunnels], {tunnel.name: nftables.value(tunnel, found) for tunnel in tunnels})
    return planner.plan(tunnels, found, seen=Observed(force, **now), **more)


@pytest.mark.parametrize("tunnel", [VX4, VX6, G6], ids=lambda tunnel: tunnel.name)
def test_the_way_is_there_before_the_tunnel(tunnel):
    result = seeing([tunnel], of(WG0, BR0, LAN6), {"ways": PolicyRoutes({}, {})})
    shared = f"policy routes from {tunnel.local}"
    assert [(step.argv[1], step.group) for step in result.steps][:4] == [
        ("route", shared), ("route", tunnel.name), ("rule" if tunnel is VX4 else "-6", shared), ("link", tunnel.name)
    ]  # fmt: skip
    assert [step.reason for step in result.steps][:2] == ["packets of tunnels leave by their underlay only", "its packets, of any size, leave by wg0 only"]
    assert {step.argv[1:3]: step.needs for step in result.steps if step.needs} == {("link", "add"): shared}, "without its way it is not made"
    assert seeing([tunnel], of(WG0, BR0, LAN6, right(tunnel)), {"ways": way(tunnel)}).steps == ()


def test_a_gretap_needs_no_way():
    assert seeing([TUNNEL], of(WG0, BR0, RIGHT), {"ways": PolicyRoutes({}, {})}).steps == ()


def test_an_underlay_that_is_down_takes_no_routes():
    result = seeing([VX4], of(but(WG0, up=False), BR0, right(VX4)), {"ways": PolicyRoutes({}, {})})
    assert (result.steps, result.waiting) == ((), (Wait("vx4", "underlay-up", "wg0"),))
    assert seeing([TUNNEL], of(but(WG0, up=False), BR0, RIGHT), {"ways": PolicyRoutes({}, {})}).waiting == ()


@pytest.mark.parametrize("tunnels, links", [([VX4], of(BR0)), ([VX4], of(BR0, right(VX4))), ([TUNNEL], of(WG0, BR0, RIGHT))])
def test_a_way_goes_with_its_tunnel(tunnels, links):
    result = seeing(tunnels, links, {"ways": way(VX4)})
    assert [step.reason for step in result.steps if step.group == "ways"] == ["no tunnel needs it"] * 3
    assert seeing(tunnels, links, {"ways": PolicyRoutes({}, {})}).waiting == result.waiting


def test_a_way_of_a_broken_file_stays():
    found = of(WG0, BR0, LAN6, RIGHT, right(G6))
    assert seeing([TUNNEL], found, {"ways": way(G6)}, broken=("g6",)).steps == ()


def test_a_twin_gets_no_way():
    """Else one round would make it, and the next take it away."""
    twin = right(VX4, name="other", alias="")
    result = seeing([VX4], of(WG0, BR0, twin), {"ways": PolicyRoutes({}, {})})
    assert (len(result.problems), [step for step in result.steps if step.group != "guard"]) == (1, [])


CLAMPED = but(TUNNEL, mss_clamp="iptables")
NF_CALL = "ip link set dev br0 type bridge nf_call_iptables %d nf_call_ip6tables %d"
CHAIN = "-A l2wg -p tcp -m physdev --physdev-%s gretap1 --physdev-is-bridged -m tcp --tcp-flags SYN,RST SYN"
CHAIN += " -j TCPMSS --set-mss %d"
HEAD = (":l2wg - [0:0]", "-A FORWARD -j l2wg")
BARE = Tables((), (), True)
IN_FORCE = Tables(*[HEAD + tuple(CHAIN % (side, mss) for side in ("in", "out")) for mss in (1342, 1322)], br_netfilter=True)


def test_iptables_clamps_what_is_there_and_its_bridge_only():
    result = seeing([CLAMPED], of(WG0, BR0, RIGHT), {"iptables": BARE})
    assert [step.group for step in result.steps] == ["iptables"] * 10 + ["br0"]
    assert str(result.steps[-1]) == NF_CALL % (1, 1)
    assert seeing([CLAMPED], of(WG0, but(BR0, bridge_iptables=True), RIGHT), {"iptables": IN_FORCE}).steps == ()


def test_iptables_clamps_nothing_that_is_not_there():
    for found in (of(BR0), of(BR0, RIGHT), of(WG0, BR0, Link("gretap1", 3, "dummy"))):
        assert not [step for step in seeing([CLAMPED], found, {"iptables": BARE}).steps if step.group == "iptables"]
    made = [step.argv[0] for step in seeing([CLAMPED], of(WG0, BR0), {"iptables": BARE}).steps]
    assert made == ["iptables"] * 5 + ["ip6tables"] * 5 + ["ip"] * 5  # it is about to be there


def unclamped(tunnels, bridge, was=CLAMPED):
    """The steps where the rules of `was` are in force."""
    found = of(WG0, bridge, RIGHT)
    old = Rules([nftables.entry(was)], {was.name: nftables.value(was, found)})
    return [str(step) for step in planner.plan(tunnels, found, seen=Observed(old, iptables=IN_FORCE)).steps]


@pytest.mark.parametrize("tunnels", [[TUNNEL], [], [but(CLAMPED, bridge="br1")]], ids=["nftables", "deleted", "moved"])
def test_iptables_sees_no_more_frames_than_it_has_to(tunnels):
    assert (NF_CALL % (0, 0)) in unclamped(tunnels, but(BR0, bridge_iptables=True))
    assert (NF_CALL % (0, 0)) not in unclamped(tunnels, BR0)
    assert (NF_CALL % (0, 0)) not in unclamped(tunnels, but(BR0, bridge_iptables=True), was=TUNNEL)  # not ours


def test_a_clamp_of_a_broken_file_stays():
    found = of(WG0, but(BR0, bridge_iptables=True), RIGHT)
    old = Rules([nftables.entry(CLAMPED)], {"gretap1": nftables.value(CLAMPED, found)})
    assert planner.plan([], found, broken=("gretap1",), seen=Observed(old, iptables=IN_FORCE)).steps == ()


def test_a_bridge_that_is_gone_is_no_matter():
    found = of(WG0, RIGHT)
    old = Rules([nftables.entry(CLAMPED)], {"gretap1": nftables.value(CLAMPED, found)})
    result = planner.plan([], found, seen=Observed(old, iptables=IN_FORCE))
    assert {step.group for step in result.steps} == {"gretap1", "guard", "iptables"}


def test_a_bridge_of_two_clamped_tunnels_keeps_its_setting():
    second = but(CLAMPED, name="gretap2", key=2)
    assert (NF_CALL % (0, 0)) not in unclamped([but(TUNNEL, lines={}), second], but(BR0, bridge_iptables=True))


def test_a_tunnel_that_waits_keeps_its_bridge_as_it_wants_it():
    """Else one round would undo what the other did."""
    waits = but(CLAMPED, name="gretap2", underlay="wg1")
    for now in (True, False):
        found = of(WG0, but(BR0, bridge_iptables=now), RIGHT)
        done = [str(step) for step in seeing([TUNNEL, waits], found, {"iptables": BARE}).steps]
        assert done == ([] if now else [NF_CALL % (1, 1)])


@pytest.mark.parametrize("tunnel", [TUNNEL, VX4, G6], ids=lambda tunnel: tunnel.kind)
def test_the_ttl_is_set_in_place_and_what_cannot_be_is_made_anew(tunnel):
    word = "hoplimit" if tunnel.kind == "ip6gretap" else "ttl"
    for ttl, reason in ((0, "its packets' TTL is that of what they carry"), (1, "its packets' TTL is 1")):
        (step,) = plan([tunnel], of(WG0, BR0, LAN6, right(tunnel, pmtudisc=False, ignore_df=True, ttl=ttl))).steps
        assert str(step) == "ip link set dev %s type %s %s 64" % (tunnel.name, tunnel.kind, word)
        assert step.reason == reason
    first = plan([tunnel], of(WG0, BR0, LAN6, right(tunnel, pmtudisc=False, ignore_df=True, odd=("iseq", "oseq")))).steps[0]
    assert (str(first), first.reason) == ("ip link delete dev " + tunnel.name, "it was made with iseq; it was made with oseq")


def test_an_underlay_in_a_vrf_is_refused():
    """Of whatever kind its master is: netfilter sees that one's name."""
    result = plan([TUNNEL], of(but(WG0, master="blue"), BR0, Link("blue", 9, "vrf", up=True)))
    (problem,) = result.problems
    assert problem.key == "underlay" and "wg0 is in the VRF blue" in problem.message
    assert "ip link set dev wg0 nomaster" in problem.hint
    assert not [step for step in result.steps if "add" in step.argv]


def test_a_vxlan_that_the_kernel_takes_no_second_one_beside():
    """VNI and port are what it tells them by, whatever their ends."""
    other = right(but(VX4, name="other"), remote="10.9.9.9", alias="")
    (problem,) = plan([VX4], of(WG0, BR0, LAN6, other)).problems
    assert "other has the same VNI and port: the kernel takes no second one" in problem.message
    assert plan([VX4], of(WG0, BR0, LAN6, but(other, port=8472))).problems == ()
    assert plan([VX6], of(WG0, BR0, LAN6, but(other, key=5))).problems == ()
    assert [str(step) for step in plan([but(VX4, port=8472)], of(WG0, BR0, LAN6, right(VX4))).steps][0] == "ip link delete dev vx4"


def test_one_that_leaves_keeps_no_other_from_being_looked_after():
    other = Tunnel("gretap2", "wg0", "192.168.178.1", "192.168.92.1", "br0", key=7)
    there = RIGHT._replace(name="gretap2", key=7, mac=other.mac, mtu=1400)
    for tunnels in ((TUNNEL, other), (other, TUNNEL)):
        assert steps(WG0, BR0, RIGHT, there, tunnels=tunnels, leaving=("gretap1",)) == [DELETE, "ip link set dev gretap2 mtu 1500"]


def test_what_is_done_to_others_is_no_reason_for_a_guard():
    """No tunnel is there, and none is made: only a port joins."""
    wish = TUNNEL._replace(bridge_ports=("enp3s0",))
    result = planner.plan([wish], of(BR0, but(PORT, master="")))
    assert [str(step) for step in result.steps] == ["ip link set dev enp3s0 master br0"] and result.rules is None


@pytest.mark.parametrize("broken, wanted", [((), ["iptables"]), (("other",), ["iptables"]), (("gretap1",), [])])
def test_what_passes_for_a_file_that_cannot_be_read_goes_on_passing(broken, wanted):
    entry = dict(nftables.entry(TUNNEL), forward="accept")
    values = {"gretap1": nftables.value(TUNNEL, of(WG0, BR0, RIGHT))}
    tables = Tables(("*filter", ":FORWARD DROP [0:0]", ":l2wg - [0:0]", "-A FORWARD -j l2wg", "-A l2wg -i br0 -o br0 -j ACCEPT"), (), True)
    found = planner.plan([], of(WG0, BR0, RIGHT), broken=broken, seen=Observed(Rules([entry], values), filter=tables))
    assert [step.group for step in found.steps if step.argv[0] == "iptables"][:1] == wanted


# As `iptables-save` has a table of its own, with the chain of a bridge that is let pass.
MANGLE, FILTER = ("*mangle", ":FORWARD ACCEPT [0:0]", "COMMIT"), ("*filter", ":FORWARD DROP [0:0]", "COMMIT")
PASSED = FILTER[:2] + (":l2wg - [0:0]", "-A FORWARD -j l2wg", "-A l2wg -i br0 -o br0 -j ACCEPT", "COMMIT")


def beside(tunnels, ipv4, leaving=()):
    """The steps of a plan on a router where all that stands beside links and rules is wrong."""
    gone = but(TUNNEL, name="gone", bridge="br9", mss_clamp="iptables")
    seen = Observed(
        Rules([nftables.entry(gone)], {"gone": nftables.value(gone, {})}),
        PolicyRoutes({"1815238001": [{"priority": 4789, "src": "10.9.0.1", "dst": "10.9.0.2"}]}, {}),
        Tables(MANGLE, MANGLE, True),
        Tables(ipv4, ipv4, True),
        bridges={"br0": Switches(bridge_switches.SILENT, {switch: "5" for switch in bridge_switches.SILENT})},
    )
    links = of(WG0, BR0, RIGHT, Link("br1", 7, "bridge", up=True), Link("br9", 8, "bridge", bridge_iptables=True))
    return planner.plan(tunnels, links, leaving, seen=seen).steps


def test_what_stands_beside_links_and_rules_is_in_one_plan_and_says_why():
    """Policy routes, the clamp and what iptables lets pass, the switches of a bridge: none of them hides another."""
    wish = but(TUNNEL, mss_clamp="iptables", forward="accept")
    other = but(TUNNEL, name="gretap2", remote="192.168.93.1", bridge="br1", forward="accept")
    found = beside([wish, other], FILTER)
    assert all(step.reason and step.group for step in found)
    told = dict.fromkeys((step.group, step.reason) for step in found if step.group not in ("gretap1", "gretap2", "br0"))
    assert list(told) == [
        (planner.GUARD, "guard, clamp and fences of gretap1, gretap2"),
        ("br9", "iptables no longer needs to see its frames"),
        ("iptables", "MSS clamp by iptables"),
        ("iptables", "iptables is to let pass what crosses br0, br1"),
        ("sysctl of br0", "without an address it is a switch, no interface of this router"),
        ("ways", "no tunnel needs it"),
    ]


def test_what_iptables_let_pass_goes_with_the_wish():
    assert [step.reason for step in beside([TUNNEL], PASSED) if "filter" in step.argv] == ["forward = as-is"] * 6


def test_a_bridge_that_is_about_to_go_is_not_silenced():
    assert not any("sysctl" in step.group for step in beside([TUNNEL], FILTER, leaving=("br0",)))


def test_what_is_taken_out_says_why():
    assert {step.reason for step in removal(["gretap1"], of(RIGHT)).steps} == {"all tunnels are to go"}


KEYS = {"bridge": 4, "bridge-ports": 5, "underlay": 6, "remote": 7}


@pytest.mark.parametrize(
    "found, key, hint",
    [
        ((WG0, BR0, but(PORT, master="br7")), "bridge-ports", "take it out there, or name another port"),
        ((WG0, BR0, but(PORT, master="", addresses=("10.0.0.1/8",))), "bridge-ports", "name a port without address; or define br0 with it in interfaces(5)"),
        ((but(WG0, kind="dummy"), BR0), "underlay", "name the WireGuard interface"),
        ((but(WG0, master="vrf1"), BR0), "underlay", "take it out: ip link set dev wg0 nomaster"),
        ((WG0, but(BR0, kind="dummy")), "bridge", "name a bridge, such as br0"),
        ((WG0, BR0, but(RIGHT, kind="dummy")), "", "rename the file to another tunnel name, or delete that interface: ip link delete dev gretap1"),
        ((WG0, BR0, but(RIGHT, name="hers", alias="")), "remote", "if nothing needs it: ip link delete dev hers; else give this tunnel a `key`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_a_cure(found, key, hint):
    wish = but(TUNNEL, bridge_ports=("enp3s0",), lines=KEYS)
    (problem,) = plan([wish], of(*found)).problems
    assert (problem.path, problem.key, problem.line) == (wish.path, key, KEYS.get(key, 0)) and problem.hint.startswith(hint)


@pytest.mark.parametrize("stp, mask, reasons", [(True, True, {"stp = yes", "LLDP and 802.1X pass"}), (False, False, {"stp = no", "LLDP and 802.1X stay at home"})])
def test_what_a_bridge_is_told_says_which_wish_that_is(stp, mask, reasons):
    wish = but(TUNNEL, bridge_ports=("enp3s0",), stp=stp, link_local=mask, lines={"stp": 1, "link-local": 2})
    bridge = but(BR0, stp=not stp, group_forward=0 if mask else 0x4008)
    assert {step.reason for step in plan([wish], of(WG0, bridge, RIGHT, PORT)).steps if step.group == "br0"} == reasons


def test_a_port_that_joins_is_brought_up_and_both_are_the_bridges():
    found = plan([but(TUNNEL, bridge_ports=("enp3s0",))], of(WG0, BR0, RIGHT, but(PORT, master="", up=False))).steps
    assert [(str(step), step.reason, step.group) for step in found] == [
        ("ip link set dev enp3s0 master br0", "it is not a port of br0", "br0"),
        ("ip link set dev enp3s0 up", "it is down", "br0"),
    ]


@pytest.mark.parametrize(
    "wish, found, reason",
    [
        ({}, {"alias": ""}, "marks it as ours"),
        ({}, {"mac": "02:00:00:00:00:01"}, "the bridge must not take its address"),
        ({}, {"mtu": 1400}, "its MTU is 1400"),
        ({}, {"ttl": 0}, "its packets' TTL is that of what they carry"),
        ({}, {"ttl": 63}, "its packets' TTL is 63"),
        ({}, {"master": "br7"}, "it is not a port of br0"),
        ({}, {"isolated": True}, "isolated = no"),
        ({"isolated": True}, {}, "isolated = yes"),
        ({}, {"up": False}, "it is down"),
    ],
)
def test_what_is_changed_in_place_says_what_was_wrong(wish, found, reason):
    (step,) = plan([but(TUNNEL, **wish)], of(WG0, BR0, but(RIGHT, **found))).steps
    assert (step.reason, step.group) == (reason, "gretap1")


def test_a_new_tunnel_says_why_step_by_step():
    links = of(WG0, but(BR0, vlan_filtering=True, pvid=1), Link("eth9", 11, ipv6=True))
    assert [(step.reason, step.group) for step in plan([TUNNEL], links).steps] == [
        ("it is not there", "gretap1"),
        ("marks it as ours", "gretap1"),
        ("a port has no IPv6 address of its own", "gretap1"),
        ("it is not a port of br0", "gretap1"),
        ("br0 filters VLANs, and a new port has none", "gretap1"),
        ("it is down", "gretap1"),
    ]


VLANS = "bridge vlan add dev gretap1 vid "


@pytest.mark.parametrize("has, added", [
    (((1, 4094),), []),
    ((), ["1 pvid untagged", "2-4094"]),
    (((1, 1),), ["2-4094"]),
    (((2, 4094),), ["1 pvid untagged"]),
    (((1, 41), (43, 4094)), ["42"]),
    (((1, 41), (43, 99), (103, 4093)), ["42", "100-102", "4094"]),
])  # fmt: skip
def test_vlans_that_somebody_takes_from_the_tunnel_come_back(has, added):
    seen = Observed(vlans={"gretap1": has, "enp3s0": ((1, 1),)})
    assert steps(WG0, but(BR0, vlan_filtering=True), RIGHT, seen=seen) == [VLANS + words for words in added]


def test_a_port_without_any_is_not_listed():
    seen = Observed(vlans={"br0": ((1, 1),)})
    assert steps(WG0, but(BR0, vlan_filtering=True, pvid=0), RIGHT, seen=seen) == [VLANS + "1-4094"]


def test_vlans_of_a_bridge_that_does_not_filter_are_nobodys():
    assert steps(WG0, BR0, RIGHT, seen=Observed(vlans={"br0": ((1, 1),)})) == []
