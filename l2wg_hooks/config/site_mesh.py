"""A mesh of VXLAN out of /etc/l2wg/sites: each site has one tunnel, whose remotes are all others. Pure.

What comes from one of them goes to none of the others again, so the mesh by itself is no loop. A tunnel by hand between two of
its sites would close one, unless it is isolated.

Where the net has a hub, WireGuard is a star: the hub is the only peer of every other site, and forwards from one to the other.
"""

import ipaddress

from l2wg_hooks.config import conflicts, site_names, site_tunnels, terms, wg_quick_peers
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import LEARNING, PeerWish, Tunnel
from l2wg_hooks.typed import Dict, List, Set, Tuple


def between(net, own, sites, wire, by_hand, path, stands=False, hub=None):
    """(Tunnels, Problems) as of site_tunnels.between: one tunnel, or none.

    One that `stands` is not taken down for a tunnel by hand beside it: its frames come twice, and do not go round for ever.
    `hub` is the hub's Site where that is not among `sites`.
    """
    others = [site for site in sites if site.key != own.key]
    if net.by_bgp and wire.walled:
        return (), (_apart(wire, own, path),)
    # Of several, which BGP's reflectors are, the first is WireGuard's.
    hub = hub or next((site for name in net.hubs for site in sites if site.name == name), None)
    by = hub.key if hub is not None and hub.key != own.key else ""
    family = _family([own] + others)
    problems: List[Problem] = []
    local, peers, beside = "", [], []
    for other in others:
        try:
            agreed = terms.find(*(_asked(site, net, family) for site in (own, other)))
        except Refused as error:
            problems.append(Problem(error.args[0], error.args[1], path, other.line))
            continue
        local = agreed.local
        if agreed.remote in by_hand.ends:
            beside.append((agreed.remote, other))
            continue
        if by and by != other.key:
            peers.append(PeerWish(other.key, (wg_quick_peers.host(agreed.remote),), site=other.name, by=by))
            continue
        peer = site_tunnels.peer_of(own, other, agreed.remote)._replace(site=other.name)
        peers.append(peer._replace(network=net.network) if by else peer)
    if by and peers and not stands and not any(peer.key == by for peer in peers):
        return (), tuple(problems or [_pathless(hub, path)])
    values = site_tunnels.alike(net, own, net.values)
    rings = [] if stands else list(_rings(by_hand.tunnels, values["bridge"], beside, path))
    if rings or not peers:
        return (), tuple(problems + rings)
    tunnel = Tunnel(
        site_names.MESH,
        wire.underlay,
        local,
        "",
        encapsulation=net.values["encapsulation"],
        key=net.values.get("key"),
        mtu=net.values.get("mtu", min(site.card.mtu for site in [own] + others)),
        isolated=bool(net.values.get("isolated")) or bool(beside),
        wire="own" if wire.walled else "shared",
        transit=hub is not None and not by,
        path=path,
        lines={"": net.line, **site_tunnels.lines_of(own)},
        control=net.values.get("control", LEARNING),
        senders=net.network if net.by_bgp else "",
        **_led(peers, net.by_bgp),
        **values,
    )
    wrong = list(_named(tunnel, by_hand))
    wrong = wrong or list(conflicts.within(tunnel))
    if not wrong:
        known = conflicts.Known({other.name: other for other in (*by_hand.tunnels, tunnel)})
        for other in by_hand.tunnels:
            for _ in known.judge(other):
                pass  # told of by who has read those files
        wrong = list(known.judge(tunnel))
    return () if wrong else (tunnel,), tuple(problems + wrong)


def _family(sites):
    """That of the addresses which most sites have; all of them come to the same, since a device has one. IPv4 of two."""
    counts = {family: sum(bool(_of_family(site.card.addresses, family)) for site in sites) for family in (4, 6)}
    return 6 if counts[6] > counts[4] else 4


def _of_family(addresses, family):
    return tuple(address for address in addresses if ipaddress.ip_address(address).version == family)


def _asked(site, net, family):
    """A site's card as far as it counts here. Raises Refused."""
    addresses = _of_family(site.card.addresses, family)
    if not addresses:
        message = f"{site.name} has no IPv{family} address, and this mesh is of these: most of its sites have one"
        raise Refused(message, "give it one: Address in its WireGuard's file, and its new card, or address=, here")
    return site_tunnels.asked(site.card._replace(addresses=addresses), net.values)


def _pathless(hub, path):
    """The Problem of a tunnel with a file of its own to the hub: no line makes its peer, by which the others are reached."""
    message = f"a file in /etc/l2wg has a tunnel to {hub.name}, the hub, by which all other sites are reached"
    return Problem(message, "delete that file: then the mesh leads there", path, hub.line)


def _rings(tunnels, bridge, beside, path):
    """Problems of tunnels with files of their own that would close a ring with the mesh."""
    for remote, other in beside:
        for tunnel in tunnels:
            if remote in tunnel.far_ends and tunnel.bridge == bridge and not tunnel.isolated:
                message = f"{tunnel.name} leads to {other.name} by a file of its own: beside the mesh it is a loop"
                hint = f"l2wg set {tunnel.name} isolated=yes, at both sites; or delete that file: then the mesh leads there"
                yield Problem(message, hint, path, other.line, tunnel=tunnel.name)


def _named(tunnel, by_hand):
    named = {name for other in by_hand.tunnels for name in (other.underlay, other.bridge, *other.bridge_ports)}
    if tunnel.name in by_hand.names:
        message = f"{tunnel.name} has a file in /etc/l2wg, and is the name of the tunnel to all sites"
        yield tunnel.problem("", message, "give that file another name")
    elif tunnel.name in named | {tunnel.underlay, tunnel.bridge, *tunnel.bridge_ports}:
        message = f"{tunnel.name}, the tunnel to all sites, would have the name of another interface here"
        yield tunnel.problem("", message, "give that interface another name")


def _apart(wire, own, path):
    message = f"{wire.underlay} is in a network namespace of its own (wire = own), where FRR does not see the other sites"
    return Problem(message, "on that router: l2wg init --shared; and its new card in this line", path, own.line)


def _led(peers, by_bgp=False):
    """{field: value} of a Tunnel that leads to these, by their addresses: to sort the lines of the file changes nothing.

    Where FRR finds the far ends, no line of a site makes one.
    """
    rows: Dict[Tuple[int, str], PeerWish] = {}
    for peer in peers:
        rows.setdefault((int(ipaddress.ip_address(peer.ends[0])), peer.key), peer)
    ordered = tuple(rows[row] for row in sorted(rows))
    return {"peers": ordered, "remotes": () if by_bgp else tuple(peer.ends[0] for peer in ordered)}


def joined(tunnels, kept):
    """The tunnels with those that are `kept` beside; of two meshes one, that leads to all of both."""
    found = {tunnel.name: tunnel for tunnel in tunnels}
    for tunnel in kept:
        other = found.get(tunnel.name)
        if other is not None and all(one.remotes or one.senders for one in (tunnel, other)):
            ends = {end for peer in other.peers for end in peer.ends}
            known: Set[str] = {*ends, *(peer.key for peer in other.peers), other.local}
            more = [peer for peer in tunnel.peers if not known.intersection((peer.key, *peer.ends))]
            more = [peer for peer in more if (":" in peer.ends[0]) == (":" in other.local)]
            tunnel = other._replace(
                transit=other.transit or tunnel.transit, **_led([*other.peers, *_by(other, more)], bool(other.senders))
            )
        found[tunnel.name] = tunnel
    return tuple(sorted(found.values(), key=lambda tunnel: tunnel.name))


def _by(tunnel, more):
    """More PeerWishes for a tunnel: reached as its own are, by the hub or themselves."""
    known = {peer.key for peer in tunnel.peers if not peer.by}
    by = next((peer.by for peer in tunnel.peers if peer.by), "")
    return [peer if peer.by in known else peer._replace(by=by) for peer in more]


def apart(every, path):
    """Those of the tunnels by which a mesh of earlier lines is judged: not the one that it is joined with."""
    return tuple(tunnel for tunnel in every if not ((tunnel.remotes or tunnel.senders) and tunnel.path == path))
