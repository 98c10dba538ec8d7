"""A tunnel with two peers, which no file can have yet: what means a peer is done for each, and known of each."""

import re

import pytest
from l2wg_hooks.check import lan, peer, routing, underlay
from l2wg_hooks.config import conflicts
from l2wg_hooks.model import ALIAS, End, Link, PolicyRoutes, Tunnel
from l2wg_hooks.netfilter import inbound, nftables, trace
from l2wg_hooks.observe.wg_interfaces import Interface, Peer
from l2wg_hooks.plan import policy_routes
from l2wg_hooks.plan.link_index import LinkIndex
from l2wg_hooks.probes import tunnel_packets
from l2wg_hooks.status import status
from recorded import seen
from test_check import heard

LOCAL, FIRST, SECOND = "10.9.0.1", "10.9.0.2", "10.9.0.3"


class Two(Tunnel):
    def ends(self):
        return (End(self.name, self.local, self.remote), End(self.name, self.local, SECOND))


MESH = Two("vx4", "wg0", LOCAL, FIRST, "br0", encapsulation="vxlan")
ONE_END = Tunnel("vx4", "wg0", LOCAL, FIRST, "br0", encapsulation="vxlan")
ENDS = MESH.ends()
TABLE = policy_routes.Way(LOCAL, 4789).table
ALLOWED = {FIRST: Peer("first", "", (FIRST + "/32",), 100, 0, 0, 0), SECOND: Peer("second", "", (SECOND + "/32",), 100, 0, 0, 0)}


RULE = {"priority": 4789, "src": LOCAL, "ipproto": "udp", "dport": 4789, "table": TABLE}


def way(remote):
    return {"dst": remote, "dev": "wg0", "metrics": [{"mtu": 1558}]}


NO_WAY = {"type": "unreachable", "dst": "default"}
WHOLE = policy_routes.by_table([RULE], {TABLE: [NO_WAY, way(FIRST), way(SECOND)]})


def targets(argvs):
    return [next((word for word in argv if word in (FIRST, SECOND, "unreachable")), "rule") for argv in argvs]


def steps(found):
    return [argv for argv, _ in policy_routes.Ways([MESH], found).steps(MESH)]


def stale(tunnels):
    return [argv for argv, _, _ in policy_routes.Ways(tunnels, WHOLE).stale(tunnels)]


def test_each_has_a_way_and_the_rule_comes_last():
    assert targets(steps(PolicyRoutes({}, {}))) == ["unreachable", FIRST, SECOND, "rule"]
    assert steps(WHOLE) == stale([MESH]) == []


@pytest.mark.parametrize("lost", [FIRST, SECOND])
def test_one_that_is_lost_comes_back_alone(lost):
    routes = {TABLE: {key: route for key, route in WHOLE.routes[TABLE].items() if key != lost}}
    assert targets(steps(PolicyRoutes(WHOLE.rules, routes))) == [lost]


def test_a_peer_that_goes_takes_along_what_was_for_it():
    argvs = stale([ONE_END])
    assert [argv[1:3] for argv in argvs] == [("route", "del")] and targets(argvs) == [SECOND]
    everything = stale([])
    assert len(everything) == len(set(everything)) == 4, "each once"


def test_the_guard_knows_both():
    entry = nftables.entry(MESH)
    assert nftables.fits(entry, nftables.value(MESH, {}))
    text = nftables.render([entry])
    assert f'ip daddr . ip saddr . iifname {{ {LOCAL} . {FIRST} . "wg0", {LOCAL} . {SECOND} . "wg0" }} accept' in text
    assert f'ip saddr {FIRST} ip daddr {LOCAL} iifname "wg0" accept' in nftables.render([nftables.entry(ONE_END)])
    for remote in (FIRST, SECOND):
        assert len(re.findall(rf'{re.escape(f"{LOCAL} . {remote} . 4789")} : "(leaked|forged)_\d"', text)) == 2
        assert f'{LOCAL} . {remote} . "vx4"' in text
    assert text.count("chain loop_") == 1, "it is one tunnel"


@pytest.mark.parametrize("ends", [[], "10.9.0.1", [["10.9.0.1"]], [["10.9.0.1", "10.9.0.2; drop"]], [[None, None]], None])
def test_ends_that_no_version_has_written_are_refused(ends):
    assert not nftables.fits(dict(nftables.entry(MESH), ends=ends), nftables.value(MESH, {}))


@pytest.mark.parametrize("change", [{"kind": "geneve"}, {"kind": ""}, {"number": None}, {"port": None}])
def test_what_no_rule_can_be_made_of_is_refused(change):
    """An encapsulation of a newer version's, say: its note is no reason to fail at each event."""
    assert not nftables.fits(dict(nftables.entry(MESH), **change), nftables.value(MESH, {}))


def test_an_older_version_has_one():
    new = nftables.entry(ONE_END)
    old = dict({key: value for key, value in new.items() if key != "ends"}, local=LOCAL, remote=FIRST)
    assert nftables.complete(old) == nftables.complete(new) == new


def test_each_is_let_in_by_the_firewall_or_told_of():
    class Firewall:
        def drops(self, packet):
            return [(trace.Base("nft: inet filter input", "inet filter", "inet filter input", "drop"), ())] if packet.source == SECOND else []

    (found,) = inbound.problems(MESH, Firewall())
    assert SECOND in found.message and f"ip saddr {SECOND} ip daddr {LOCAL} udp dport 4789 accept" in found.hint


def test_a_stranger_is_judged_by_the_end_that_it_comes_to():
    right = {tunnel_packets.wished(MESH, end) for end in ENDS}
    assert {carrier.source for carrier in right} == {FIRST, SECOND}
    stranger = tunnel_packets.Carrier("vxlan", SECOND, LOCAL, 99, 4789)
    came = [next(carrier for carrier in right if carrier.source == FIRST), stranger]
    assert tunnel_packets.stranger(MESH, ENDS[0], came, right) is None
    found = tunnel_packets.judge(MESH, ENDS[1], tunnel_packets.stranger(MESH, ENDS[1], came, right))
    assert found.id == "key-differs"


class Scene:
    """What check's judges look at: both peers are there."""

    passive, tunnels = True, (MESH,)
    links = {"wg0": Link("wg0", 5, "wireguard", True, mtu=1420, addresses=("10.15.14.2/24",))}

    def __init__(self, **changes):
        both = {key: {end: value for end in ENDS} for key, value in (("small", True), ("full", True), ("near", True), ("refused", ""))}
        self.heard = heard(**{**both, "carriers": {}, **changes})

    def peers(self):
        return [(MESH, end, Interface("key", 51820, tuple(ALLOWED.values()))) for end in ENDS]


def test_a_peer_that_refuses_is_told_by_its_address():
    (found,) = peer._peer(Scene(refused={ENDS[1]: "port unreachable"}))
    assert found.id == "peer-refuses" and f"local = {SECOND}, remote = {LOCAL}" in found.hint


@pytest.mark.parametrize("alias, causes", [(ALIAS, ["port-differs"]), ("", [])])
def test_a_device_of_ours_that_is_not_as_its_file_wants_it_hides_no_stranger(alias, causes):
    """A peer that sends to the old port; what somebody else's device takes is that one's."""
    scene = Scene(carriers={"wg0": (tunnel_packets.Carrier("vxlan", FIRST, LOCAL, 1, 4789),)})
    scene.tunnels = (ONE_END._replace(port=8472),)
    scene.peers = lambda: [(tunnel, end, None) for tunnel in scene.tunnels for end in tunnel.ends()]
    old = Link("vx4", 7, "vxlan", True, alias=alias, local=LOCAL, remote=FIRST, key=1, port=4789)
    scene.links = dict(Scene.links, vx4=old, br0=Link("br0", 8, "bridge", True, addresses=(LOCAL + "/24",)))
    assert [problem.id for problem in peer._peer(scene)] == causes


def test_wireguard_has_to_cover_each():
    found = [underlay.uncovered(MESH, end, Interface("key", 51820, (ALLOWED[FIRST],))) for end in ENDS]
    assert found[0] is None and SECOND in found[1].message
    assert [underlay.silent(MESH, end, Interface("key", 51820, tuple(ALLOWED.values())), 110) for end in ENDS] == [None, None]


def test_each_has_a_route_and_a_subnet_of_its_own():
    assert [problem.id for problem in routing.elsewhere(MESH, ENDS[1], "eth0", ["0", "0"])] == ["route"]
    assert SECOND in next(routing.elsewhere(MESH, ENDS[1], "eth0", ["0", "0"])).message
    twice = {"eth1": Link("eth1", 6, up=True, addresses=("10.8.0.1/24",))}
    assert lan.overlapping(MESH, ENDS[1], None, lan.subnets(twice), (SECOND + "/32", "10.8.0.0/24")) is None, "not behind that end"
    assert routing.taken(MESH, ENDS[1], LinkIndex({"eth1": twice["eth1"]._replace(addresses=(SECOND + "/24",))})).id == "duplicate-address"


def test_none_may_be_this_routers_own():
    own = Two("vx4", "wg0", SECOND, FIRST, "br0", encapsulation="vxlan")
    assert ["is also local" in problem.message for problem in conflicts.within(own)] == [True]


def test_status_has_a_session_with_each():
    """The recorded router, whose tunnel has a second peer that no AllowedIPs cover."""
    found = seen("right-a")
    (wish,) = found.wished.tunnels
    stranger = "172.16.0.9"

    class Second(type(wish)):
        def ends(self):
            return (End(self.name, self.local, self.remote), End(self.name, self.local, stranger))

    mesh = Second(**{name: getattr(wish, name) for name in wish._fields})
    built = status.build(found._replace(wished=found.wished._replace(tunnels=(mesh,))))
    (state,) = built.tunnels
    assert [bool(far) for far in state.peers.values()] == [True, False] and state.peer == state.peers[mesh.ends()[0]]
    (message,) = [fault.message for fault in built.faults if "peer" in fault.message]
    assert message == f"AllowedIPs of no peer of wg0 cover {stranger}: WireGuard drops what comes from there"
