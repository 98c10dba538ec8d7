"""What this router uses by other ways than WireGuard is not taken from it by the route to a site."""

import json

import nets
import pytest
import tools
from l2wg_hooks.config import site_faults, site_lines, site_tunnels, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import InUse, Link, Observed, Peer
from l2wg_hooks.observe import needed_elsewhere, snapshot
from l2wg_hooks.plan import site_peers
from l2wg_hooks.system import process

TEXT = nets.text("hub=site0", 4)
HUB = nets.part(TEXT, 0).tunnels
ENDS = {"198.18.0.2", "198.18.0.3", "198.18.0.4"}
LINKS = {"wg0": Link("wg0", 7, "wireguard", up=True, addresses=("198.18.0.1/32",))}
TCP = '0 0 192.168.1.1:22 198.18.0.3:40022 users:(("sshd",pid=7,fd=4))\n0 0 192.168.1.1:179 198.18.0.4:179 users:(("bird",pid=9,fd=4))\n'


@pytest.fixture
def router(monkeypatch):
    """{command or line of `ip -batch`: what it prints}; whoever asks for anything else hears nothing."""
    said, asked = {}, []

    def run(argv, stdin="", environment=()):
        asked.append(" ".join(argv))
        if stdin:
            return process.Result(0, tools.batched(stdin, lambda line: said.get(line, "")), "")
        return process.Result(0, said.get(" ".join(argv), ""), "")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(process, "families", lambda: ("-4", "-6"))
    monkeypatch.setattr(needed_elsewhere.os, "environ", {})
    run.said, run.asked = said, asked
    return run


def found(named=None, links=LINKS):
    return needed_elsewhere.look(ENDS, {"wg0": set()} if named is None else named, links)


def test_who_is_used_by_nobody_is_free(router):
    router.said["ip -4 route show table all"] = "default via 10.0.0.1 dev e0\n198.18.0.2 dev wg0 proto 47 scope link\n"
    router.said["route get fibmatch 198.18.0.3"] = "default via 10.0.0.1 dev e0 \n"
    router.said["route get fibmatch 198.18.0.4"] = "198.18.0.0/15 via 10.0.0.2 dev e0 \n"
    assert found() == {}


@pytest.mark.parametrize(
    "command, text, reason",
    [
        ("ip -4 route show table all", "default via 198.18.0.3 dev e0 onlink\n", "a gateway of this router"),
        ("ip -4 route show table all", "10.0.0.0/8 proto bird\n\tnexthop via 10.0.0.1 dev e0\n\tnexthop via 198.18.0.3 dev e1\n", "a gateway of this router"),
        ("ip -6 route show table all", "default via inet 198.18.0.3 dev e0 table 7 metric 1024\n", "a gateway of this router"),
        ("ss -H -t -n -p state established", TCP, "where somebody is logged in from"),
        ("ss -H -u -n -p state established", "0 0 192.168.1.1:50123 198.18.0.3:123 \n", "at the other end of a connection with this router's 192.168.1.1"),
        ("route get fibmatch 198.18.0.3", "198.18.0.3 via 10.0.0.7 dev e1 \n", "where a route of its own leads, by e1"),
    ],
)
def test_who_is_used_by_another_way_is_told(router, command, text, reason):
    router.said[command] = text
    assert found()["198.18.0.3"] == reason
    (problem,) = (p for p in site_peers.changes(HUB, LINKS, Observed(told=frozenset(), ways_there={"wg0": {}}, elsewhere=found()))[1] if "198.18.0.3" in p.message)
    assert problem.message == f"198.18.0.3, the address of site2, is {reason}: it would go into wg0" and problem.line == 4 and problem.hint


def test_what_goes_by_the_interface_itself_is_no_other_way(router):
    router.said["ip -4 route show table all"] = "10.0.0.0/8 via 198.18.0.3 dev wg0\n"
    router.said["route get fibmatch 198.18.0.3"] = "198.18.0.3 dev wg0 \n"
    router.said["ss -H -t -n -p state established"] = TCP.replace("192.168.1.1:", "198.18.0.1:")
    needed_elsewhere.os.environ["SSH_CONNECTION"] = "198.18.0.3 50000 198.18.0.1 22"
    assert found() == {}
    # The same from anywhere else.
    assert set(found(links={})) == {"198.18.0.3", "198.18.0.4"}


def test_our_callers_address_is_one(router):
    needed_elsewhere.os.environ["SSH_CONNECTION"] = "198.18.0.2 50000 192.168.1.1 22"
    assert found() == {"198.18.0.2": "where somebody is logged in from"}
    needed_elsewhere.os.environ["SSH_CONNECTION"] = "UNKNOWN 65535 UNKNOWN 65535"
    assert found() == {} == found(links={})


@pytest.mark.parametrize("path", ["etc/resolv.conf", "run/systemd/resolve/resolv.conf"])
def test_name_servers_are_unless_the_interface_itself_brings_them(router, root, path):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("search lan\nnameserver 198.18.0.3%wg0\nnameserver\n")
    assert found() == {"198.18.0.3": "a DNS server of this router"}
    assert found({"wg0": {"198.18.0.3"}}) == {}


def test_what_cannot_be_asked_is_as_if_it_were_not_there(router, monkeypatch):
    def missing(argv, stdin="", environment=()):
        raise L2wgError(Problem(f"the command {argv[0]} is not there", "apt install it"))

    monkeypatch.setattr(process, "run", missing)
    assert found() == {}


def look(there):
    return snapshot._elsewhere(HUB, LINKS, there, {})[0]


def test_only_ways_that_would_be_new_are_looked_at(router, wireguard, etc):
    for there in ({end: True for end in ENDS}, {end: False for end in ENDS}, {"198.18.0.0/24": False}):
        assert look({"wg0": there}) == {}
    assert look({"wg1": {}}) == {} and snapshot._elsewhere((), LINKS, {"wg0": {}}, {}) == ({}, {}) and router.asked == []
    router.said["ss -H -t -n -p state established"] = TCP
    assert set(look({"wg0": {"default": False, "198.18.0.3": True}})) == {"198.18.0.4"}
    assert set(look({"wg0": {}})) == {"198.18.0.3", "198.18.0.4"} and len(router.asked) == 10
    # Of an address that wg-quick(8) gives to the resolver, it is its own matter.
    (etc.parent / "resolv.conf").write_text("nameserver 198.18.0.2\n")
    assert "198.18.0.2" in look({"wg0": {}})
    wireguard.joinpath("wg0.conf").write_text("[Interface]\nDNS = 1.1.1.1, 198.18.0.2\n")
    assert "198.18.0.2" not in look({"wg0": {}})


def test_what_was_applied_is_not_judged_anew(router, root, etc):
    """Who is logged in from the far end is still there while WireGuard is made again, and cannot be told from anybody else."""
    router.said["ss -H -t -n -p state established"] = TCP
    applied = root / "var/lib/l2wg/applied"
    applied.parent.mkdir(parents=True, exist_ok=True)
    applied.write_text(json.dumps({store.SITES: nets.text("hub=site0", 3)}))
    assert set(look({"wg0": {}})) == {"198.18.0.4"}
    applied.write_text(json.dumps({store.SITES: TEXT}))
    router.asked.clear()
    assert look({"wg0": {}}) == {} and router.asked == [], "no process, as after each start"


def test_a_wire_of_its_own_has_no_such_routes():
    walled = tuple(tunnel._replace(wire="own") for tunnel in HUB)
    assert site_peers.unled(walled, {"wg0": {}}) == set()


# A prefix, where FRR finds the sites.

WIDE = "198.18.0.0/15"
BY_BGP = nets.text(f"shape=mesh encapsulation=vxlan control=evpn hub=site0 network={WIDE}", 3)
(MESH,) = site_tunnels.find(
    site_faults.between(site_lines.parse(BY_BGP, nets.PATH), nets.PATH), {nets.key(1): site_tunnels.Wire("wg0")}, site_tunnels.ByHand(), nets.PATH
).tunnels
AT_ONE = {"wg0": LINKS["wg0"]._replace(addresses=("198.18.0.2/32",)), "e0": Link("e0", 2, up=True, addresses=("10.0.0.2/24",))}
ADMIN = '0 0 10.0.0.2:22 198.19.7.7:40022 users:(("sshd",pid=7,fd=4))\n'
SHOWN = "ss -H -t -n -p state established"


def wide(there=None, peers=None, links=None):
    """(Observed.taken_ways, Problems, Steps) of a site whose sites FRR finds."""
    links, there = links or AT_ONE, there or {}
    away, taken = snapshot._elsewhere((MESH,), links, {"wg0": there}, peers or {})
    seen = Observed(told=frozenset(), ways_there={"wg0": there}, peers=peers or {"wg0": ()}, elsewhere=away, taken_ways=taken)
    steps, problems, more = site_peers.changes((MESH,), links, seen)
    return taken, problems, [str(step) for step in steps], more


def test_a_prefix_that_takes_nothing_away_gets_its_route(router, etc):
    taken, problems, steps, more = wide()
    assert (taken, problems) == ({}, ()) and more["wg0"] and f"ip route add {WIDE} dev wg0 proto 47" in steps


@pytest.mark.parametrize(
    "command, text, address, reason",
    [
        (SHOWN, ADMIN, "198.19.7.7", needed_elsewhere.LOGIN),
        (SHOWN, "0 0 10.0.0.2:50000 198.19.7.7:5432 \n", "198.19.7.7", "at the other end of a connection with this router's 10.0.0.2"),
        ("ss -H -u -n -p state established", "0 0 10.0.0.2:50123 198.19.7.7:123 \n", "198.19.7.7", "at the other end of a connection with this router's 10.0.0.2"),
        ("ip -4 route show table all", "10.9.0.0/16 via 198.19.7.7 dev e0 onlink\n", "198.19.7.7", needed_elsewhere.GATEWAY),
    ],
)
def test_what_a_prefix_would_take_is_told_with_what_keeps_it(router, etc, command, text, address, reason):
    router.said[command] = text
    router.said[f"route get fibmatch {address}"] = "default via 10.0.0.1 dev e0 \n"
    taken, (problem,), steps, more = wide()
    assert taken == {WIDE: (InUse(address, reason, "via 10.0.0.1 dev e0"),)} and (steps, more) == ([], {}), "neither route nor peer"
    assert (problem.path, problem.line, problem.key) == (nets.PATH, 1, "network")
    assert problem.message == f"the route to {WIDE}, where all sites are, would take from this router: {address}, {reason}"
    assert problem.hint.startswith(f"a route of its own, which wins: ip route add {address} via 10.0.0.1 dev e0; l2wg apply")


@pytest.mark.parametrize("way", ["198.19.7.7 via 10.0.0.1 dev e0 \n", "198.19.0.0/16 via 10.0.0.1 dev e0 \n", "local 198.19.7.7 dev lo table local \n"])
def test_a_more_specific_route_keeps_its_way(router, etc, way):
    router.said[SHOWN] = ADMIN
    router.said["route get fibmatch 198.19.7.7"] = way
    taken, problems, steps, _ = wide()
    assert (taken, problems) == ({}, ()) and f"ip route add {WIDE} dev wg0 proto 47" in steps


@pytest.mark.parametrize("way", ["198.18.0.0/15 via 10.0.0.1 dev e0 \n", "198.0.0.0/8 via 10.0.0.1 dev e0 \n", "default dev ppp0 \n", ""])
def test_an_equal_or_wider_one_does_not(router, etc, way):
    router.said[SHOWN] = ADMIN
    router.said["route get fibmatch 198.19.7.7"] = way
    taken, (problem,), steps, _ = wide()
    assert [row.address for row in taken[WIDE]] == ["198.19.7.7"] and steps == []
    assert ("ip route add" in problem.hint) == bool(way), "nobody knows its way: no command"


def test_a_name_server_a_called_peer_and_an_equal_route(router, etc):
    (etc.parent / "resolv.conf").write_text("nameserver 198.19.0.53\n")
    assert [(row.address, row.reason) for row in wide()[0][WIDE]] == [("198.19.0.53", needed_elsewhere.RESOLVER)]
    (etc.parent / "resolv.conf").write_text("nameserver fe80::1%e0\nnameserver 10.0.0.53\n")
    assert wide()[0] == {}
    taken, (problem,), steps, _ = wide(peers={"wg1": (Peer("F", "198.19.9.9:51820", ("10.0.0.0/8",), 1, 1, 1, None),)})
    assert [(row.address, row.reason) for row in taken[WIDE]] == [("198.19.9.9", "where the peer F is called")] and steps == []
    router.said[f"route show exact {WIDE}"] = f"{WIDE} via 10.0.0.1 dev e0 metric 100 \n"
    taken, (problem,), steps, _ = wide()
    assert "where a route of its own leads" in problem.message and problem.hint.startswith("another network=") and steps == []


def test_a_lan_that_has_the_prefix_in_it_is_told(router, etc):
    for network, told in (("198.18.0.9/15", 1), ("198.19.0.9/12", 1), ("198.19.0.9/24", 0)):
        links = dict(AT_ONE, e0=AT_ONE["e0"]._replace(addresses=(network,)))
        found = [problem for problem in wide(links=links)[1] if "where all sites are" in problem.message]
        assert len(found) == told and all("is in the network of e0" in problem.message and problem.hint for problem in found)


def test_a_prefix_that_stands_or_was_applied_is_not_judged_anew(router, root, etc):
    router.said[SHOWN] = ADMIN
    for there in ({WIDE: True}, {WIDE: False}, {"198.16.0.0/12": False}):
        assert wide(there)[:2] == ({}, ()) and router.asked == []
    applied = root / "var/lib/l2wg/applied"
    applied.parent.mkdir(parents=True, exist_ok=True)
    applied.write_text(json.dumps({store.SITES: BY_BGP.replace(WIDE, "198.16.0.0/12")}))
    assert wide()[0], "it was another one"
    applied.write_text(json.dumps({store.SITES: BY_BGP}))
    router.asked.clear()
    assert wide()[:2] == ({}, ()) and router.asked == []
