"""Nets of tests/golden/sites as `l2wg sites` shows them, of routers that are made up. Run as a program, it draws them anew.

Of the tunnels, every seventh site's has no handshake yet, every eleventh is not there.
"""

import json
import pathlib
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden" / "sites"
if __name__ == "__main__":
    sys.path.insert(0, str(TREE))

import many
import nets
from l2wg_hooks.config import site_file, site_tunnels, store, wire_peers
from l2wg_hooks.model import Destination, Peer, Tunnel
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import vteps
from l2wg_hooks.observe.interface_counters import Traffic, Way
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.status import render_diagram, render_sites, render_sites_json, sites, status, survey

NOW = 1_800_000_000
# {golden file: (the file of sites, which of them looks; None: somebody who is not root)}
CASES = {
    "star-3.screen": ("star-3", 0),
    "star-3.branch": ("star-3", 2),
    "star-3.anybody": ("star-3", None),
    "star-3.json": ("star-3", 0),
    "star-30.screen": ("star-30", 0),
    "star-30.branch": ("star-30", 29),
    "mesh-30.screen": ("mesh-30", 3),
    "faults.screen": ("faults", 0),
    "faults.json": ("faults", 0),
}
TWO_HUBS = "hub=site0,site1 hub-address=198.18.9.9"
BY_HUB = "shape=mesh encapsulation=vxlan hub=site0 network=198.18.0.0/15"
BY_BGP = "shape=mesh encapsulation=vxlan control=evpn hub=site0,site1 network=198.18.0.0/15"
# {golden file: (the line of the net, how many sites, which of them looks)}
PICTURES = {
    "star-3.diagram": ("hub=site0", 3, 0),
    "star-3-branch.diagram": ("hub=site0", 3, 2),
    "star-12.diagram": ("hub=site0", 12, 0),
    "star-12-branch.diagram": ("hub=site0 isolated=yes", 12, 5),
    "star-100.diagram": ("hub=site0", 100, 0),
    "star-100-branch.diagram": ("hub=site0", 100, 7),
    "mesh-12.diagram": ("shape=mesh", 12, 3),
    "mesh-30.diagram": ("shape=mesh", 30, 3),
    "two-hubs.diagram": (TWO_HUBS, 5, 2),
    "two-hubs-hub.diagram": (TWO_HUBS, 5, 0),
    "mesh-by-hub.diagram": (BY_HUB, 5, 2),
    "mesh-by-hub-hub.diagram": (BY_HUB, 5, 0),
    "evpn.diagram": (BY_BGP, 5, 2),
}
# The same of `l2wg sites`.
SCREENS = {case.replace(".diagram", ".screen"): row for case, row in PICTURES.items() if row[0] in (TWO_HUBS, BY_HUB, BY_BGP)}
# A net with all that can be told of one: who is out, a broken line, no card, a long name, long values, a tunnel with a file of its own.
FAULTS = "".join(
    (
        "net shape=star hub=site0\n",
        nets.line(0, lan="192.168.178.0/24"),
        nets.line(1, lan="10.1.0.0/16", joined=True),
        nets.line(2, "vlans=x mtu=1"),
        nets.line(3, "gone=2026-11-25"),
        nets.line(4, name="the-branch-in-the-old-town-hall"),
        nets.line(5, addresses=("198.18.0.6", "fd00::6"), lan="2001:db8:ffff:ffff:ffff:ffff:ffff:0/112"),
        "site6 mtu=1400\n",
        nets.line(7, "gone=2026-11-26"),
        nets.line(8),
        nets.line(9),
        nets.line(10, "address=198.18.0.10"),
    )
)
# Of that net: files in /etc/l2wg, of which one leads to a site that is out; and a site whose line has gone.
HAND = tuple(
    Tunnel(name, "wg0", "198.18.0.1", remote, "br0", path=f"/etc/l2wg/{name}.conf", lines={"remote": 3})
    for name, remote in (("gretap1", "198.18.0.8"), ("gretap2", "198.18.0.9"), ("gretap3", "10.9.9.9"))
)


def net(text, number, hand=()):
    """The site_file.Net of a text, at a site; `hand` are tunnels with files of their own."""
    lines = nets.lines(text)
    by_hand = site_file.hand(hand, {})
    wire = site_tunnels.Wire("wg0")
    part = site_tunnels.Part() if number is None else site_tunnels.find(lines, {nets.key(number): wire}, by_hand, nets.PATH)
    return site_file.Net(lines, part, wire if part.own else None, by_hand)


def looked(found, hand=(), kept=()):
    """The Survey of a router with that Net, and with tunnels by hand and some that are kept."""
    tunnels = tuple(sorted(found.part.tunnels + tuple(hand) + tuple(kept), key=lambda tunnel: tunnel.name))
    wished = store.Wish(tunnels, (store.SITES,) if found.problems else (), found.problems, found)
    away = [tunnel.name for number, tunnel in enumerate(tunnels) if number % 11 == 10]
    links, observed = many.router(tunnels, missing=away)
    peers, traffic = [], {}
    for number, tunnel in enumerate(tunnels):
        beyond = f"{tunnel.remote}/32"
        rows = [(f"key of {tunnel.name}", (beyond,))]
        if tunnel.is_one_of_all:
            rows = [(peer.key, peer.allowed) for peer in wire_peers.of(tunnel)]
        elif tunnel.peers:
            # Of two hubs the one that is listened to.
            rows = [(tunnel.peers[0].key, (beyond,))] + [(peer.key, peer.allowed) for peer in tunnel.peers[1:]]
        for place, (key, allowed) in enumerate(rows, number):
            age = (place * place * 7) % 150 + 1
            peers.append(Peer(key, "192.0.2.1:51820", allowed, NOW - age if place % 7 != 6 else 0, 1 << place % 40, 5000, None))
        traffic[tunnel.name] = Traffic(Way(number, number << number % 30), Way(2 * number, 3 << number % 33))
        if tunnel.senders:
            # FRR has found all but the last one.
            (led,) = vteps.led((tunnel,), {tunnel.name: [Destination("", end) for peer in tunnel.peers[:-1] for end in peer.ends]})
            wished = wished._replace(tunnels=tuple(led if one == tunnel else one for one in wished.tunnels))
            link = links[tunnel.name]
            links[tunnel.name] = link._replace(odd=(*link.odd, "nolearning"), port_learning=False, neigh_suppress=True)
    report = nftables_state.Report(observed.rules)
    return survey.Survey(wished, links, traffic, {}, {}, {"wg0": Interface("own", 51820, tuple(peers))}, report, time=NOW, host="router")


def table(text, number, hand=(), kept=()):
    """The sites.Table of a text, at a site."""
    found = net(text, number, hand)
    if number is None:
        return sites.build(found, nets.PATH)
    kept = tuple(tunnel._replace(lines={}) for tunnel in kept)
    seen = looked(found, hand, kept)
    return sites.build(found, nets.PATH, status.build(seen), seen.wished.problems)


def drawn(case):
    """What a case of CASES looks like."""
    name, number = CASES[case]
    more = (HAND, net(nets.text("hub=site0", 13), 0).part.tunnels[-1:]) if name == "faults" else ()
    found = table((GOLDEN / f"{name}.sites").read_text(), number, *more)
    if case.endswith(".json"):
        return json.dumps(render_sites_json.document(found, "router", NOW), indent=2) + "\n"
    return render_sites.render(found)


def pictured(shape, count, number):
    """(Status, Table) of a net of so many sites, at one of them."""
    found = net(nets.text(shape, count), number)
    seen = looked(found)
    state = status.build(seen)
    return state, sites.build(found, nets.PATH, state, seen.wished.problems)


def diagram(case):
    """What a case of PICTURES looks like."""
    state, found = pictured(*PICTURES[case])
    return render_diagram.render(state, table=found)


def screen(case):
    """What a case of SCREENS looks like."""
    return render_sites.render(pictured(*SCREENS[case])[1])


if __name__ == "__main__":
    (GOLDEN / "faults.sites").write_text(FAULTS)
    for each in CASES:
        (GOLDEN / each).write_text(drawn(each))
    for each in PICTURES:
        (GOLDEN / each).write_text(diagram(each))
    for each in SCREENS:
        (GOLDEN / each).write_text(screen(each))
