import pytest
from l2wg_hooks.config import conflicts, wg_quick
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Link, Observed, PolicyRoutes, Rules, Tunnel, Walls, Wire
from l2wg_hooks.plan import planner, policy_routes, tunnel_steps, wire_steps
from l2wg_hooks.reconcile import executor, reconcile, ruleset

TUNNEL = Tunnel("gretap1", "l2w0", "198.18.0.1", "198.18.0.2", "br0", wire="own", path="/etc/l2wg/gretap1.conf", lines={"wire": 5})
VXLAN = TUNNEL._replace(name="vxlan1", encapsulation="vxlan", remote="198.18.0.3")
SHARED = Tunnel("gretap2", "wg0", "192.168.178.1", "192.168.92.1", "br0")
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420)
LAN = Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24",))
WIRE = Wire(("198.18.0.1/32",), 1420)
L2W0 = Link("l2w0", 2, "wireguard", up=True, mtu=1420, alias="l2wg", addresses=("198.18.0.1/32",), namespace="l2wg", link_netns="l2wg")
RIGHT = Link(
    "gretap1", 9, "gretap", up=True, mac=TUNNEL.mac, master="br0", alias="l2wg", local="198.18.0.1", remote="198.18.0.2", underlay="l2w0",
    pmtudisc=False, ignore_df=True, ttl=64, link_netns="l2wg",
)  # fmt: skip
NOTHING = Walls(wires={"l2w0": WIRE})
STANDING = Walls(there=True, routes={"198.18.0.2": ("l2w0", 0)}, wires={"l2w0": WIRE})
ADD = "gretap1 address %s mtu 1500 type gretap local 198.18.0.1 remote 198.18.0.2 dev l2w0 nopmtudisc ignore-df ttl 64" % TUNNEL.mac
MADE = [
    "ip netns add l2wg",
    "ip netns exec l2wg sysctl -qew net/ipv4/ip_forward=0 net/ipv6/conf/all/forwarding=0",
    "ip link add name l2w0 netns l2wg type wireguard",
    "ip -n l2wg link set dev l2w0 alias l2wg",
    "ip netns exec l2wg wg syncconf l2w0 /run/l2wg.l2w0.wg",
    "ip -n l2wg address add 198.18.0.1/32 dev l2w0",
    "ip -n l2wg link set dev l2w0 mtu 1420",
    "ip -n l2wg link set dev l2w0 up",
    "ip -n l2wg route replace 198.18.0.2 dev l2w0",
    f"ip -n l2wg link add name {ADD}",
    "ip -n l2wg link set dev gretap1 alias l2wg",
    "ip -n l2wg link set dev gretap1 netns 1",
    "ip link set dev gretap1 master br0",
    "ip link set dev gretap1 up",
]


def plan(walls, *links, tunnels=(TUNNEL,), **more):
    there = {link.name: link for link in links}
    wanted = planner.plan(tunnels, there, seen=Observed(walls=walls), **more).rules
    return planner.plan(tunnels, there, seen=Observed(wanted or Rules(), walls=walls), **more)


def shown(step):
    """As on a router: a test has its own /run."""
    return str(step).replace(wire_steps.FILE.format("l2w0"), "/run/l2wg.l2w0.wg")


def steps(walls, *links, **more):
    found = plan(walls, *links, **more)
    assert found.problems == ()
    return [shown(step) for step in found.steps]


def but(value, **changes):
    return value._replace(**changes)


def test_all_is_made_from_nothing_in_one_plan():
    assert steps(NOTHING, BR0) == MADE
    assert plan(NOTHING, BR0).synced == ("l2w0",)
    assert steps(but(NOTHING, home="4711"), BR0)[11] == "ip -n l2wg link set dev gretap1 netns 4711"


def test_nothing_is_done_when_all_is_right():
    found = plan(STANDING, BR0, L2W0, RIGHT)
    assert (found.steps, found.waiting, found.problems, found.synced) == ((), (), (), ())


def test_no_rule_guards_what_is_walled_and_no_policy_route_leads_it():
    (entry,) = planner.plan((TUNNEL,), {"br0": BR0}, seen=Observed(walls=NOTHING)).rules.entries
    assert entry["walled"]
    text = __import__("l2wg_hooks.netfilter.nftables", fromlist=["render"]).render([entry])
    assert "198.18.0.1" not in text and "chain loop_1" in text


@pytest.mark.parametrize(
    "change, done",
    [
        (dict(up=False), ["ip -n l2wg link set dev l2w0 up"]),
        (dict(mtu=1380), ["ip -n l2wg link set dev l2w0 mtu 1420"]),
        (dict(addresses=()), ["ip -n l2wg address add 198.18.0.1/32 dev l2w0"]),
        (dict(addresses=("198.18.0.1/32", "10.0.0.1/8")), ["ip -n l2wg address delete 10.0.0.1/8 dev l2w0"]),
    ],
)
def test_what_somebody_has_changed_of_the_wire_is_mended_in_place(change, done):
    assert steps(STANDING, BR0, but(L2W0, **change), RIGHT) == done


def test_peers_are_changed_live():
    walls = but(STANDING, wires={"l2w0": but(WIRE, differs=("its peers", "its key"))})
    found = plan(walls, BR0, L2W0, RIGHT)
    assert [shown(step) for step in found.steps] == ["ip netns exec l2wg wg syncconf l2w0 /run/l2wg.l2w0.wg"]
    assert found.steps[0].reason == "its peers and its key differ from " + wg_quick.path("l2w0") and found.synced == ("l2w0",)


def test_routes_are_those_of_the_tunnels():
    routes = {"198.18.0.2": ("l2w0", 1300), "10.0.0.0/8": ("", 0)}
    assert steps(but(STANDING, routes=routes), BR0, L2W0, RIGHT) == ["ip -n l2wg route replace 198.18.0.2 dev l2w0", "ip -n l2wg route delete 10.0.0.0/8"]
    assert "ip -n l2wg route replace 198.18.0.3 dev l2w0 mtu lock 1558" in steps(STANDING, BR0, L2W0, RIGHT, tunnels=(TUNNEL, VXLAN))


def test_nobody_is_routed_through_the_namespace():
    assert steps(but(STANDING, routed=True), BR0, L2W0, RIGHT) == [MADE[1]]


def test_when_the_wire_has_gone_all_of_it_is_made_again():
    assert steps(but(STANDING, routes={}), BR0, RIGHT) == ["ip link delete dev gretap1"] + MADE[2:]


def test_when_the_namespace_has_gone_what_is_left_of_the_tunnel_goes_first():
    assert steps(NOTHING, BR0, but(RIGHT, underlay="", link_netns="4294967295")) == ["ip link delete dev gretap1"] + MADE
    assert steps(but(NOTHING, leftover=True), BR0)[0] == "ip netns delete l2wg"


def test_a_tunnel_whose_packets_are_elsewhere_is_made_anew():
    """It belongs to a namespace of that name that has gone."""
    assert steps(STANDING, BR0, L2W0, but(RIGHT, link_netns="7", underlay=""))[0] == "ip link delete dev gretap1"


NEW = tunnel_steps.newcomer("gretap1")
REPLACED = [
    f"ip -n l2wg link add name {NEW} {ADD.partition(' ')[2]}",
    f"ip -n l2wg link set dev {NEW} alias l2wg",
    f"ip -n l2wg link set dev {NEW} netns 1",
    "ip link delete dev gretap1",
    f"ip link set dev {NEW} name gretap1",
    "ip link set dev gretap1 master br0",
    "ip link set dev gretap1 up",
]


def test_one_that_was_shared_goes_when_its_successor_is_ready():
    """By one batch; and the rules that guard it stand until then."""
    before = but(RIGHT, link_netns="", underlay="wg0")
    assert steps(STANDING, BR0, L2W0, before) == REPLACED
    old = planner.plan((SHARED._replace(name="gretap1"),), {link.name: link for link in (BR0, WG0, LAN)}, seen=Observed()).rules
    found = planner.plan((TUNNEL,), {link.name: link for link in (BR0, WG0, L2W0, before)}, seen=Observed(old, walls=STANDING))
    assert [shown(step) for step in found.steps][:-1] == REPLACED and found.steps[-1].group == planner.GUARD
    # Where the wire is not there yet, and where the tunnel is told to go, it goes first.
    assert steps(NOTHING, BR0, before)[0] == "ip link delete dev gretap1"
    assert steps(STANDING, BR0, L2W0, before, leaving=("gretap1",))[0] == "ip link delete dev gretap1"


def test_the_wire_of_a_tunnel_that_is_staged_stands():
    staged = but(NOTHING, staged=(TUNNEL,))
    shared = SHARED._replace(name="gretap1")
    assert steps(staged, BR0, tunnels=(shared,)) == MADE[:9]
    right = plan(but(STANDING, staged=(TUNNEL,)), BR0, L2W0, tunnels=(shared,))
    assert (right.steps, right.problems) == ((), ())
    assert steps(STANDING, BR0, L2W0, tunnels=(shared,)) == ["ip netns delete l2wg"]
    back = but(TUNNEL, wire="shared", underlay="wg0")
    assert steps(STANDING, BR0, WG0, but(LAN, addresses=("198.18.0.1/32",)), L2W0, RIGHT, tunnels=(back,))[:2] == ["ip link delete dev gretap1", "ip netns delete l2wg"]


def test_what_was_left_half_made_is_made_anew():
    inside = but(RIGHT, namespace="l2wg", master="", up=False)
    assert steps(STANDING, BR0, L2W0, inside) == ["ip -n l2wg link delete dev gretap1"] + MADE[9:]


def test_the_last_tunnel_takes_the_namespace_along():
    assert steps(but(STANDING, wires={}), BR0, L2W0, RIGHT, tunnels=()) == ["ip link delete dev gretap1", "ip netns delete l2wg"]
    assert steps(STANDING, BR0, L2W0, RIGHT, leaving=("l2w0",)) == ["ip link delete dev gretap1", "ip netns delete l2wg"]
    # Somebody else's interface in there stays.
    walls = but(STANDING, wires={}, strangers=("eth7",))
    assert steps(walls, BR0, L2W0, RIGHT, tunnels=()) == ["ip link delete dev gretap1", "ip -n l2wg link delete dev l2w0"]


def test_a_namespace_of_that_name_that_is_somebody_elses_stays():
    """Empty, or with a WireGuard interface that l2wg has not made."""
    for links in ((), (but(L2W0, name="wg7", alias=""),)):
        walls = Walls(there=True, strangers=("wg7",) if links else ())
        assert steps(walls, BR0, *links, tunnels=()) == []
        assert [str(step) for step in planner.removal([], {link.name: link for link in (BR0, *links)}, Observed(walls=walls)).steps] == []


def test_what_was_made_and_not_marked_yet_is_marked():
    assert steps(STANDING, BR0, but(L2W0, alias=""), RIGHT) == ["ip -n l2wg link set dev l2w0 alias l2wg"]


def test_one_of_two_wires_goes_alone():
    other = but(L2W0, name="l2w1", ifindex=3, addresses=("198.18.0.9/32",))
    walls = but(STANDING, routes={"198.18.0.2": ("l2w0", 0), "198.18.0.8": ("l2w1", 0)})
    assert steps(walls, BR0, L2W0, other, RIGHT) == ["ip -n l2wg link delete dev l2w1"]


def test_a_broken_file_takes_nothing_down():
    broken = but(STANDING, wires={})
    assert steps(broken, BR0, L2W0, RIGHT, tunnels=(), broken=("gretap1",)) == []
    problem = Problem("no such key", "", "/etc/wireguard/l2w0.conf", 3, "colour")
    found = plan(but(STANDING, wires={"l2w0": Wire(problems=(problem,))}), BR0, L2W0, RIGHT)
    assert (found.steps, found.problems) == ((), (problem,))
    found = plan(but(NOTHING, wires={"l2w0": Wire(problems=(problem,))}), BR0)
    assert found.steps == () and found.problems == (problem,) and [str(wait) for wait in found.waiting][:1] == ["gretap1 waits for l2w0"]


def test_beside_a_broken_file_an_unneeded_wire_stays_and_so_does_one_that_leaves():
    """It may be what the broken file asks for."""
    other = but(L2W0, name="l2w1", ifindex=3, addresses=("198.18.0.9/32",))
    assert steps(STANDING, BR0, L2W0, other, RIGHT, broken=("gretap2",)) == []
    assert [step for step in steps(STANDING, BR0, L2W0, RIGHT, broken=("gretap2",), leaving=("l2w0",)) if "l2wg" in step.split()] == []


def test_without_its_wire_no_step_of_a_tunnel_is_tried():
    found = plan(NOTHING, BR0).steps
    assert {step.needs for step in found if step.group == "gretap1"} == {"l2w0"}
    assert {step.needs for step in found if step.group == "l2w0"} == {"namespace l2wg"}


def test_one_underlay_is_one_wire():
    (problem,) = conflicts.between([TUNNEL, but(TUNNEL, name="gretap2", key=7, wire="shared", path="/etc/l2wg/gretap2.conf")])
    assert problem.key == "wire" and "l2w0 is own in /etc/l2wg/gretap1.conf" in problem.message


def test_the_policy_routes_of_a_tunnel_that_is_walled_now_go():
    rule = {"priority": 4789, "src": "198.18.0.1", "ipproto": "udp", "dport": 4789, "table": policy_routes.Way("198.18.0.1", 4789).table}
    ways = PolicyRoutes({rule["table"]: [rule]}, {})
    assert policy_routes.Ways((), ways).stale([but(VXLAN, wire="shared")]) == []
    assert [argv[1:3] for argv, _, _ in policy_routes.Ways((), ways).stale([VXLAN])] == [("rule", "del")]


def test_an_interface_of_that_name_outside_is_nobody_of_ours():
    found = plan(NOTHING, BR0, but(WG0, name="l2w0"))
    (problem,) = found.problems
    assert problem.key == "wire" and "outside of the network namespace l2wg" in problem.message and problem.line == 5
    assert [step for step in found.steps if step.group in ("l2w0", "gretap1")] == []


def test_beside_it_a_shared_one_is_as_ever():
    shared = Link(
        "gretap2", 10, "gretap", up=True, mac=SHARED.mac, master="br0", alias="l2wg", local=SHARED.local, remote=SHARED.remote, underlay="wg0",
        pmtudisc=False, ignore_df=True, ttl=64,
    )  # fmt: skip
    assert steps(STANDING, BR0, L2W0, RIGHT, WG0, LAN, shared, tunnels=(TUNNEL, SHARED)) == []


def test_an_address_out_here_is_none_in_there():
    found = plan(STANDING, BR0, L2W0, LAN, tunnels=(but(TUNNEL, local="192.168.178.1"),))
    assert "gretap1 waits for its address: no interface of this router has 192.168.178.1" in [str(wait) for wait in found.waiting]


def test_all_goes_with_down_all():
    found = planner.removal(["gretap1"], {link.name: link for link in (BR0, L2W0, RIGHT)}, Observed(walls=STANDING))
    assert [str(step) for step in found.steps] == ["ip link delete dev gretap1", "ip netns delete l2wg"]


@pytest.mark.parametrize("fails", [True, False])
def test_the_rules_of_one_that_could_not_be_replaced_stand(monkeypatch, fails):
    """It is there as before, so its guard has to be, too."""
    before, done = but(RIGHT, link_netns="", underlay="wg0"), []
    links = {link.name: link for link in (BR0, WG0, L2W0, before)}
    old = planner.plan((SHARED._replace(name="gretap1"),), {link.name: link for link in (BR0, WG0, LAN)}, seen=Observed()).rules
    todo = planner.plan((TUNNEL,), links, seen=Observed(old, walls=STANDING))
    assert todo.replaced == ("gretap1",) and todo.rules is not None

    def run(steps):
        done.extend(steps)
        return (Problem("no luck"),) * fails

    monkeypatch.setattr(executor, "apply", run)
    monkeypatch.setattr(ruleset, "load", lambda rules, step: done.append(step) or ())
    assert len(reconcile.execute(todo, links)) == fails
    assert (todo.steps[-1] in done) == (not fails)
