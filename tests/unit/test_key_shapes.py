"""A site's key changes, in each shape of a net: what stands stays, also by an older copy of the file and by one that is cut off."""

import base64

import nets
import pytest
from l2wg_hooks.apply import verify
from l2wg_hooks.config import card, public_key, site_record, store, wire_peers
from l2wg_hooks.model import Link, Observed, Peer
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.plan import site_peers

PRIVATE = base64.b64encode(bytes(range(32))).decode()
OWN = card.encode(card.Card("own", public_key.of(PRIVATE), "own.example.org:51820", ("198.18.1.1",))) + "\n"
HUB, SITE, OTHER = nets.line(0, name="hq"), nets.line(1), nets.line(2)
NEW_HUB = nets.line(90, f"was={nets.key(0)}", name="hq", addresses=("198.18.0.1",), endpoint="s0.example.org:51820")
NEW_SITE = nets.line(91, f"was={nets.key(1)}", name="site1", addresses=("198.18.0.2",))
LINKS = {"wg0": Link("wg0", 7, "wireguard", up=True), "br0": Link("br0", 8, "bridge", up=True)}
MESH = "shape=mesh encapsulation=vxlan"
NETS = {
    "the hub": "hub=own",
    "a site": "hub=hq",
    "a mesh": "shape=mesh",
    "a mesh of VXLAN": MESH,
    "a mesh by a hub": f"{MESH} hub=hq",
    "a mesh by a hub, of a network": f"{MESH} hub=hq network=198.18.0.0/15",
    "the hub of a mesh": f"{MESH} hub=own",
    "a mesh by BGP": f"{MESH} control=evpn hub=hq,site1 network=198.18.0.0/15",
    "the hub of a mesh by BGP": f"{MESH} control=evpn hub=own,hq network=198.18.0.0/15",
    "a site of two hubs": "hub=hq,site1 hub-address=198.18.9.9",
    "one of two hubs": "hub=own,site1 hub-address=198.18.9.9",
}
CHANGED = {"the hub's": NEW_HUB + SITE, "a site's": HUB + NEW_SITE, "both": NEW_HUB + NEW_SITE}


@pytest.fixture
def event(etc, wireguard, monkeypatch):
    """Gives what carries out a text: (the Problems, the tunnels without their lines)."""
    (wireguard / "wg0.conf").write_text(f"[Interface]\nPrivateKey = {PRIVATE}\nAddress = 198.18.1.1/24\n")
    monkeypatch.setattr("l2wg_hooks.system.process.output", lambda *argv: "")

    def carry_out(text, departs=False):
        (etc / "sites").write_text(text)
        wished = site_record.steady(store.load(), departs)
        site_record.keep(wished, LINKS, Observed(told=site_record.told(LINKS, lambda name: set())), {})
        return wished.problems, tuple(tunnel._replace(lines={}) for tunnel in wished.tunnels)

    return carry_out


@pytest.mark.parametrize("whose", CHANGED)
@pytest.mark.parametrize("shape", NETS)
def test_what_stands_stays(event, shape, whose):
    head = f"net {NETS[shape]}\n{OWN}"
    older, newer = head + HUB + SITE + OTHER, head + CHANGED[whose] + OTHER
    assert event(older, departs=True)[0] == ()
    problems, tunnels = event(newer)
    assert problems == (), "who changes its key is no site that is missing"
    for tunnel in tunnels:
        allowed = [word for peer in wire_peers.of(tunnel) for word in peer.allowed]
        if not tunnel.senders and "network=" not in head:
            assert {f"{end}/32" for end in tunnel.far_ends} <= set(allowed), "WireGuard leads to all of them"
    for copy in (older, older, "", newer[:-9], newer):
        assert event(copy)[1] == tunnels
    assert event(newer, departs=True) == ((), tunnels)


@pytest.mark.parametrize("words", ["", " vlans=x"])
@pytest.mark.parametrize("shape", [name for name in NETS if "hub=hq" in NETS[name]])
def test_a_hub_whose_line_has_a_fault_is_a_fault_of_the_net(event, shape, words):
    """Without it each site of a mesh would be a peer of its own, which nobody can call."""
    text = f"net {NETS[shape]}\n{OWN}" + HUB + SITE + OTHER
    _, tunnels = event(text, departs=True)
    wrong = text.replace(HUB, HUB.replace("\n", " vlans=x mtu=1\n") if words else HUB + nets.line(5, addresses=("198.18.0.1",)))
    problems, found = event(wrong)
    assert found == tunnels and problems
    if shape != "a site":
        assert [problem for problem in problems if problem.line == 1 and problem.key == "hub" and "has a fault" in problem.message]


@pytest.mark.parametrize("shape", [name for name in NETS if "hub=hq" in NETS[name]])
def test_a_hub_that_is_out_is_told_and_all_others_stay(event, shape):
    text = f"net {NETS[shape]}\n{OWN}" + HUB + SITE + OTHER
    _, tunnels = event(text, departs=True)
    problems, found = event(text.replace(HUB, HUB.replace("\n", " gone=2026-11-29\n")))
    if "hub-address" not in text:
        # Who is out is let in by nothing.
        left = [tunnel._replace(peers=tuple(peer for peer in tunnel.peers if peer.key != nets.key(0))) for tunnel in tunnels]
        tunnels = tuple(t._replace(remotes=tuple(end for end in t.remotes if end != "198.18.0.1")) for t in left if t.peers)
    assert found == tunnels
    (problem,) = [problem for problem in problems if problem.line == 1]
    assert problem.key == "hub" and problem.message == "hq is out since 2026-11-29, by line 3" and "name another site" in problem.hint
    assert ("hub-address" in problem.hint) == ("hub-address" in text)


def test_a_mesh_by_bgp_has_reflectors_and_no_address_of_both():
    rows = [nets.line(number, name=name, addresses=(f"fd00::{number + 1}",)) for number, name in enumerate(("hq", "dc", "hubs"))]
    found = nets.lines(f"net {MESH} control=evpn hub=hq,dc network=fd00::/8\n" + "".join(rows))
    assert found.problems == () and found.net


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("whose", ["SITE", "HUB"])
def test_an_address_is_not_taken_from_a_foreign_peer_by_either_key(whose, moved):
    """Of a mesh's hub, which others are reached by, that site alone is left out."""
    (tunnel,) = nets.part(f"net {NETS['a mesh by a hub']}\n" + NEW_HUB + SITE + OTHER, 2).tunnels
    old, new = nets.key(0), nets.key(90)
    taken = "198.18.0.2/32" if whose == "SITE" else "198.18.0.1/32"
    every = ["198.18.0.1/32", "198.18.0.2/32"]
    left = [word for word in every if word != taken]
    ours = [Peer(old, "", () if moved else tuple(left), 900, 0, 0, None), Peer(new, "", tuple(left) if moved else (), 950 if moved else 0, 0, 0, None)]
    foreign = Peer("FOREIGN", "", (taken,), 0, 0, 0, None)
    told = frozenset({("wg0", old), ("wg0", new)})
    seen = Observed(peers={"wg0": (*ours, foreign)}, told=told, ways_there={"wg0": {}}, now=960)
    steps, problems, _ = site_peers.changes((tunnel,), LINKS, seen)
    assert [str(step) for step in steps if step.argv[0] == "wg"] == [], "it stays the foreign peer's"
    assert len(problems) == 1 and f"{taken} is among the AllowedIPs of the peer FOREIGN" in problems[0].message
    called = "site1" if whose == "SITE" else "hq"
    assert f"give {called} another address" in problems[0].hint
    ends = [step.argv[3] for step in steps if step.argv[:3] == ("ip", "route", "add")]
    assert ends == ([] if whose == "HUB" else ["198.18.0.1"]), "no way leads there"
    _, _, more = site_peers.changes((tunnel,), LINKS, seen._replace(peers={"wg0": (foreign,)}, told=frozenset()))
    assert ("wg0" in more) == (whose == "SITE") and all(taken not in peer.allowed for peer in more.get("wg0", ()))


@pytest.mark.parametrize("came_with, told", [(0, set()), (90, set()), (7, {("wg0", "198.18.0.1")})])
def test_a_hub_is_asked_by_either_key(monkeypatch, came_with, told):
    """Before a change here; who is behind it is not asked, since it is the hub that would answer."""
    (tunnel,) = nets.part(f"net {NETS['a mesh by a hub']}\n" + NEW_HUB + SITE + OTHER, 2).tunnels
    peers = (Peer(nets.key(came_with), "", ("198.18.0.1/32", "198.18.0.2/32"), 0, 0, 0, None),)
    monkeypatch.setattr(wg_interfaces, "read", lambda name: wg_interfaces.Interface("own", 51820, peers))
    assert verify._by_others((tunnel,)) == told | {("wg0", "198.18.0.2")}
