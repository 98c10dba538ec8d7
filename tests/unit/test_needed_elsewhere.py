"""What this router uses by other ways than WireGuard is not taken from it by the route to a site."""

import json

import nets
import pytest
import tools
from l2wg_hooks.config import store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link, Observed
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
    return snapshot._elsewhere(HUB, LINKS, there)


def test_only_ways_that_would_be_new_are_looked_at(router, wireguard, etc):
    for there in ({end: True for end in ENDS}, {end: False for end in ENDS}, {"198.18.0.0/24": False}):
        assert look({"wg0": there}) == {}
    assert look({"wg1": {}}) == {} == snapshot._elsewhere((), LINKS, {"wg0": {}}) and router.asked == []
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
