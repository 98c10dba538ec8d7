"""Peers and routes that come with tunnels: made, left alone, taken away."""

import ipaddress
import re

import nets
import pytest
from l2wg_hooks.config import own_wire, site_tunnels
from l2wg_hooks.model import Link, Observed, Peer, Plan, Walls, Wire
from l2wg_hooks.observe import snapshot, walls
from l2wg_hooks.plan import endpoint_names, planner, site_peers
from l2wg_hooks.reconcile import look_record, wire_files
from l2wg_hooks.system import files, ip_routes

TEXT = nets.text("hub=site0", 3)
HUB = nets.part(TEXT, 0).tunnels
(BRANCH,) = nets.part(TEXT, 1).tunnels
WG0 = Link("wg0", 7, "wireguard", up=True, addresses=("198.18.0.1/32",))
LINKS = {"wg0": WG0, "br0": Link("br0", 8, "bridge", up=True)}
ONE, TWO = HUB[0].peers[0], HUB[1].peers[0]
WAYS = {"198.18.0.2": True, "198.18.0.3": True}


def peer(wish, **fields):
    return Peer(wish.key, "", wish.allowed, 0, 0, 0, None)._replace(**fields)


def seen(peers=(), told=(), ways=()):
    return Observed(peers={"wg0": tuple(peers)}, told=frozenset(("wg0", key) for key in told), ways_there={"wg0": dict(ways)})


def commands(tunnels, found, links=LINKS, leaving=()):
    steps, problems, more = site_peers.changes(tunnels, links, found, leaving)
    # Without the folder that stands for / here.
    return [re.sub("/[^ ]*/run/", "/run/", " ".join(step.argv)) for step in steps], problems, more


ADD = "wg addconf wg0 /run/l2wg.wg0.wg"


@pytest.mark.usefixtures("real_names")
def test_all_that_is_missing_comes_at_once():
    steps, problems, more = commands(HUB, seen())
    assert problems == () and more == {"wg0": (ONE, TWO)}
    assert steps == [ADD, "ip route add 198.18.0.2 dev wg0 proto 47", "ip route add 198.18.0.3 dev wg0 proto 47"]
    assert commands(HUB, seen((peer(ONE), peer(TWO)), (ONE.key, TWO.key), WAYS)) == ([], (), {})
    todo = planner.plan(HUB, LINKS, seen=seen())
    assert todo.peers == {"wg0": (ONE, TWO)} and todo.steps[0].argv[:2] == ("wg", "addconf")


def test_no_other_steps_where_no_tunnel_comes_with_its_peer():
    assert planner.plan((), LINKS, seen=Observed()) == Plan()
    assert commands((), Observed()) == ([], (), {})


def test_an_interface_that_is_not_there_goes_or_is_down():
    assert commands(HUB, seen(), {}) == ([], (), {}) == commands(HUB, seen(), LINKS, ("wg0",))
    down = dict(LINKS, wg0=WG0._replace(up=False))
    assert [step.split()[1] for step in commands(HUB, seen(), down)[0]] == ["addconf"]
    # What is no WireGuard is told of elsewhere.
    assert commands(HUB, seen(), dict(LINKS, wg0=WG0._replace(kind="dummy")))[0] == []


def test_a_route_that_leads_there_is_enough():
    for wide in ({"198.18.0.0/15": False}, {"default": False, "198.18.0.0/24": False}, {"198.18.0.2": False, "198.18.0.3": False}):
        assert not [step for step in commands(HUB, seen(ways=wide))[0] if " route " in step]
    assert len([step for step in commands(HUB, seen(ways={"default": False}))[0] if " route " in step]) == 2


def test_what_no_line_asks_for_goes_and_what_is_not_ours_never():
    foreign = Peer("F", "", ("0.0.0.0/0",), 1, 1, 1, None)
    there = (foreign, peer(ONE), peer(TWO))
    steps, problems, more = commands(HUB[:1], seen(there, (ONE.key, TWO.key), WAYS))
    assert steps == [f"wg set wg0 peer {TWO.key} remove", "ip route delete 198.18.0.3 dev wg0 proto 47"]
    assert problems == () and more == {}
    # Those of a file of WireGuard, or of somebody's hand.
    assert commands((), seen(there, (), {"198.18.0.2": False}))[0] == []
    assert commands(HUB, seen(there, (), dict.fromkeys(WAYS, False))) == ([], (), {})
    # When all tunnels are to go, ours do, too.
    gone = planner.removal((), LINKS, seen(there, (ONE.key,), {"198.18.0.2": True}))
    assert [" ".join(step.argv) for step in gone.steps] == [f"wg set wg0 peer {ONE.key} remove", "ip route delete 198.18.0.2 dev wg0 proto 47"]


def test_a_foreign_peer_with_that_key_is_told_of_and_left():
    there = (peer(ONE, allowed=("10.0.0.0/8",)), peer(TWO, allowed=("198.18.0.0/15",)))
    steps, (problem,), more = commands(HUB, seen(there, (), WAYS))
    assert steps == [] and more == {}
    assert f"the peer {ONE.key} of wg0 is not of l2wg's making, and its AllowedIPs lack 198.18.0.2/32" in problem.message
    assert (problem.path, problem.line) == (nets.PATH, 3)


def test_an_address_is_not_taken_from_a_foreign_peer():
    foreign = Peer("F", "", ("198.18.0.2/32",), 1, 1, 1, None)
    steps, (problem,), more = commands(HUB, seen((foreign,), (), WAYS))
    assert more == {"wg0": (TWO,)} and steps == [ADD]
    assert "198.18.0.2/32 is among the AllowedIPs of the peer F of wg0, which is not of l2wg's making" in problem.message


def test_a_site_with_another_key_or_address():
    old = Peer("O", "", ("198.18.0.2/32",), 1, 1, 1, None)
    steps, problems, more = commands(HUB[:1], seen((old,), ("O",), WAYS))
    assert steps[:2] == ["wg set wg0 peer O remove", ADD] and problems == () and more == {"wg0": (ONE,)}
    moved = peer(ONE, allowed=("198.18.9.9/32",))
    steps, problems, more = commands(HUB[:1], seen((moved,), (ONE.key,), {"198.18.0.2": True}))
    assert steps == [f"wg set wg0 peer {ONE.key} allowed-ips 198.18.0.2/32"] and problems == ()


@pytest.mark.parametrize(
    "links, peers, words",
    [
        ({"enp1s0": ("198.18.0.2/24",)}, (), "this router's own (enp1s0)"),
        ({"enp1s0": ("198.18.0.9/24",)}, (), "in the network of enp1s0 (198.18.0.9/24)"),
        ({}, (Peer("F", "198.18.0.2:4900", (), 1, 1, 1, None),), "where the peer F is called"),
    ],
)
def test_no_route_leads_into_wireguard_for_what_this_router_needs_elsewhere(links, peers, words):
    links = {name: Link(name, 9, up=True, addresses=these) for name, these in links.items()}
    steps, problems, more = commands(HUB[:1], seen(peers), dict(LINKS, **links))
    assert steps == [] and more == {} and words in problems[0].message and problems[0].line == 3
    # Not if that is elsewhere.
    assert commands(HUB[:1], seen(), dict(LINKS, enp1s0=Link("enp1s0", 9, addresses=("198.19.0.1/24",))))[1] == ()


def test_what_wg_is_told(root, wireguard):
    peers = BRANCH.peers
    assert peers[0].endpoint == "s0.example.org:51820" and peers[0].keepalive == 25
    assert wire_files.write((), {"wg0": peers + (ONE._replace(endpoint="[2001:db8::1]:7"),)}) == ()
    text = files.read(str(root / "run/l2wg.wg0.wg"))
    assert text.count("[Peer]") == 2 and "example.org" not in text and "Endpoint = [2001:db8::1]:7\n" in text
    assert f"PublicKey = {nets.key(0)}\n" in text and "AllowedIPs = 198.18.0.1/32\nPersistentKeepalive = 25\n" in text
    wire_files.clear(["wg0"])
    # With those of a file, which win.
    (wireguard / "l2w0.conf").write_text(f"[Interface]\nPrivateKey = k\n[Peer]\nPublicKey = {ONE.key}\nAllowedIPs = 10.0.0.0/8\n")
    assert wire_files.write(("l2w0",), {"l2w0": (ONE, TWO)}) == ()
    text = files.read(str(root / "run/l2wg.l2w0.wg"))
    assert text.count(ONE.key) == text.count(TWO.key) == 1 and "AllowedIPs = 10.0.0.0/8" in text


def walled(number):
    return nets.part(TEXT, number, site_tunnels.Wire("l2w0", True)).tunnels


def test_an_own_wire_has_them_with_those_of_its_file(wireguard):
    (wireguard / "l2w0.conf").write_text("[Interface]\nPrivateKey = k\nAddress = 198.18.0.1/32\n[Peer]\nPublicKey = F\nAllowedIPs = 10.0.0.2/32\n")
    tunnels = walled(0)
    wire = walls._wire("l2w0", None, walls._beside(tunnels, "l2w0"))
    assert {peer.key for peer in wire.peers} == {"F", ONE.key, TWO.key}
    rows = ["k\tpublic\t1\toff", "F\t(none)\t(none)\t10.0.0.2/32\t0\t0\t0\toff"]
    more = [f"{peer.key}\t(none)\t192.0.2.1:7\t{peer.allowed[0]}\t0\t0\t0\toff" for peer in (ONE, TWO)]
    assert walls._wire("l2w0", "\n".join(rows + more) + "\n", walls._beside(tunnels, "l2w0")).differs == ()
    assert walls._wire("l2w0", "\n".join(rows + more[:1]) + "\n", walls._beside(tunnels, "l2w0")).differs == ("its peers",)
    inside = Link("l2w0", 3, "wireguard", up=True, alias="l2wg", namespace="l2wg", addresses=("198.18.0.1/32",), mtu=1420)
    stale = Wire(("198.18.0.1/32",), 1420, ("its peers",))
    todo = planner.plan(tunnels, dict(LINKS, l2w0=inside), seen=Observed(walls=Walls(True, wires={"l2w0": stale})))
    assert todo.synced == ("l2w0",) and todo.peers == {"l2w0": (ONE, TWO)}
    assert not [step for step in todo.steps if step.argv[:2] == ("wg", "addconf")]


def test_names_of_endpoints_are_asked_for():
    assert endpoint_names.wanted((BRANCH,), {"wg0": ""}) == {"wg0": {nets.key(0): ("s0.example.org", "51820")}}
    # A file of WireGuard says it otherwise.
    text = f"[Peer]\nPublicKey = {nets.key(0)}\nAllowedIPs = 198.18.0.1/32\nEndpoint = 192.0.2.7:4900\n"
    assert endpoint_names.wanted((BRANCH,), {"wg0": text}) == {}


def test_the_watch_looks_at_the_routes(monkeypatch):
    monkeypatch.setattr(look_record.endpoint_names, "wanted", lambda tunnels: {})
    assert "sites4=wg0" in look_record.words(HUB, LINKS)
    six = HUB[0]._replace(local="fd00::1", remote="fd00::2", encapsulation="vxlan")
    assert {"sites6=wg0", "ways6"} <= set(look_record.words((six,), LINKS))
    assert not [word for word in look_record.words(walled(0), LINKS) if word.startswith("sites")]


def test_peers_and_routes_are_looked_at_where_tunnels_come_with_them(monkeypatch, wireguard, root):
    asked = []
    said = {"-4": [[{"dst": "198.18.0.2"}, {"dst": "default"}], [{"dst": "198.18.0.2"}]], "-6": [[{"dst": "default"}], []]}
    monkeypatch.setattr(ip_routes, "many", lambda lines, options: asked.append(lines) or said[options[0]])
    monkeypatch.setattr(snapshot.process, "families", lambda: ("-4", "-6"))
    assert snapshot._told((), LINKS) == (None, None) and asked == []
    assert snapshot._told(walled(0), LINKS) == (None, None) and asked == []
    assert snapshot._told(HUB, LINKS) == (frozenset(), {"wg0": {"198.18.0.2": True, "default": False}})
    assert asked[0] == ["route show dev wg0", "route show dev wg0 proto 47"]
    assert snapshot._told(HUB, {}) == (frozenset(), {})


def test_a_thousand_peers_cost_a_look_at_each(monkeypatch):
    tunnels = nets.part(nets.text("hub=site0 isolated=yes", 1000), 0).tunnels
    made = []
    real = ipaddress.ip_network
    monkeypatch.setattr(site_peers.ipaddress, "ip_network", lambda *words, **more: made.append(words) or real(*words, **more))
    there = [peer(tunnel.peers[0]) for tunnel in tunnels]
    ways = {tunnel.remote: True for tunnel in tunnels}
    assert commands(tunnels, seen(there, [peer.key for peer in there], ways)) == ([], (), {})
    assert made == []
    assert own_wire.sections(tunnel.peers[0] for tunnel in tunnels).count("[Peer]") == 999
