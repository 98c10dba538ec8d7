"""WireGuard's peers that come with tunnels (/etc/l2wg/sites), and the ways to them. Pure.

On a `shared` interface l2wg adds what is missing, and takes away what it has added itself: any other peer there is somebody's.
On an `own` one they are told together with those of its file (plan/wire_steps.py).
"""

import ipaddress

from l2wg_hooks import errors
from l2wg_hooks.config.allowed_ips import networks
from l2wg_hooks.model import WIREGUARD_KINDS, PeerWish, Step, Tunnel
from l2wg_hooks.plan.commands import PROTOCOL
from l2wg_hooks.plan.wire_steps import FILE
from l2wg_hooks.typed import Dict, List, Set, Tuple

# Sites that a reason names.
NAMED = 5


class Wanted:
    """What the tunnels over shared interfaces want of these: {interface: {public key: (Tunnel, PeerWish)}}."""

    def __init__(self, tunnels):
        self.peers: Dict[str, Dict[str, Tuple[Tunnel, PeerWish]]] = {}
        for tunnel in tunnels:
            for peer in () if tunnel.walled else tunnel.peers:
                self.peers.setdefault(tunnel.underlay, {})[peer.key] = (tunnel, peer)


def own(tunnels, name):
    """The PeerWishes of the tunnels over an interface."""
    return tuple(peer for tunnel in tunnels if tunnel.underlay == name for peer in tunnel.peers)


def changes(tunnels, links, seen, leaving=()):
    """(Steps, Problems, {interface: PeerWishes that a step tells it of}) for the shared interfaces."""
    wanted = Wanted(tunnels).peers
    steps: List[Step] = []
    problems: List = []
    more: Dict[str, Tuple[PeerWish, ...]] = {}
    for name in sorted({*wanted, *(name for name, _ in seen.told or ()), *(seen.ways_there or {})}):
        link = links.get(name)
        if link is None or name in leaving or link.kind not in WIREGUARD_KINDS or link.namespace:
            continue
        these = wanted.get(name, {})
        there = {peer.key: peer for peer in seen.peers.get(name, ())}
        ours = {key for underlay, key in seen.told or () if underlay == name and key in there}
        found, wrong = _peers(name, these, there, ours)
        wrong += _misled(name, these, links, seen)
        steps += found
        problems += [problem for _, problem in wrong]
        barred = {key for key, _ in wrong}
        missing = _missing(these, there, barred)
        if missing:
            more[name] = missing
            reason = f"it does not have {errors.listed([these[peer.key][0].site for peer in missing], NAMED)}"
            steps.append(Step(("wg", "addconf", name, FILE.format(name)), reason, _group(name)))
        if link.up and seen.ways_there is not None:
            steps += _ways(name, these, seen.ways_there.get(name, {}), barred)
    return tuple(steps), tuple(problems), more


def unled(tunnels, ways_there):
    """The far ends of tunnels with their peers, over shared interfaces, to which none of Observed.ways_there leads."""
    found: Set[str] = set()
    for tunnel in tunnels:
        if tunnel.peers and not tunnel.walled and tunnel.underlay in ways_there:
            there = ways_there[tunnel.underlay]
            nets = _networks(network for network, ours in there.items() if not ours)
            found.update(end for peer in tunnel.peers for end in peer.ends if end not in there and not _leads(end, nets))
    return found


def _group(name):
    return f"peers of {name}"


def _peers(name, these, there, ours):
    """(Steps for the peers that are there, [(public key, Problem)] of those that are somebody's)."""
    steps, problems = [], []
    stale = sorted(ours - set(these))
    if stale:
        words = tuple(word for key in stale for word in ("peer", key, "remove"))
        steps.append(Step(("wg", "set", name) + words, "no line of a site asks for it", _group(name)))
    holders = {network: peer.key for peer in there.values() if peer.key not in stale for network in peer.allowed}
    words = ()
    for key, (tunnel, peer) in these.items():
        if key in ours and set(peer.allowed) - set(there[key].allowed):
            words += ("peer", key, "allowed-ips", ",".join(peer.allowed))
        elif key in there and not all(_covered(network, there[key].allowed) for network in peer.allowed):
            message = f"the peer {key} of {name} is not of l2wg's making, and its AllowedIPs lack {', '.join(peer.allowed)}"
            hint = f"add that where the peer is from, as in /etc/wireguard/{name}.conf"
            problems.append((key, tunnel.problem("", message, hint)))
        for network in peer.allowed:
            other = holders.get(network, key)
            if other != key and other not in ours:
                message = f"{network} is among the AllowedIPs of the peer {other} of {name}, which is not of l2wg's making"
                called = peer.site or tunnel.site
                hint = f"is it that site with another key? Take it out there, or give {called} another address in its line"
                problems.append((key, tunnel.problem("", message, hint)))
    if words:
        steps.append(Step(("wg", "set", name) + words, "its address is another one", _group(name)))
    return steps, problems


def _misled(name, these, links, seen):
    """[(public key, Problem)] of far ends that this router has, or needs, elsewhere: the way to them would go into WireGuard."""
    found = []
    out_here = [link for link in links.values() if not link.namespace]
    others = [(link.name, ipaddress.ip_interface(word)) for link in out_here for word in link.addresses]
    peers = [peer for some in seen.peers.values() for peer in some if peer.endpoint]
    called = {peer.endpoint.rpartition(":")[0].strip("[]"): peer.key for peer in peers}
    for key, tunnel, peer, remote in ((key, *row, remote) for key, row in these.items() for remote in row[1].ends):
        end = ipaddress.ip_address(remote)
        why = f"where the peer {called[remote]} is called" if remote in called else seen.elsewhere.get(remote, "")
        for where, inside in others:
            if end == inside.ip:
                why = f"this router's own ({where})"
            elif where != name and end in inside.network:
                why = f"in the network of {where} ({inside})"
        if why:
            site = peer.site or tunnel.site
            message = f"{remote}, the address of {site}, is {why}: it would go into {name}"
            found.append((key, tunnel.problem("", message, f"give {site} another address inside WireGuard, and its line, too")))
    return found


def _missing(these, there, wrong):
    return tuple(peer for key, (_, peer) in these.items() if key not in there and key not in wrong)


def _covered(network, allowed):
    if network in allowed:
        return True
    inner = ipaddress.ip_network(network)
    return any(outer.version == inner.version and inner.subnet_of(outer) for outer in networks(allowed))


def _ways(name, these, there, barred):
    """Steps for the routes to far ends: made where no other one by this interface leads there; ours that nobody needs go."""
    ends = {end: None for _, peer in these.values() for end in peer.ends}
    shut = {end for key, (_, peer) in these.items() if key in barred for end in peer.ends}
    nets = _networks(network for network, ours in there.items() if not ours)
    argv = ("ip", "route")
    for end in ends:
        if end not in there and end not in shut and not _leads(end, nets):
            yield Step(argv + ("add", end, "dev", name, "proto", PROTOCOL), "the way to the tunnel's far end", _group(name))
    for end, is_ours in there.items():
        if is_ours and end not in ends:
            yield Step(argv + ("delete", end, "dev", name, "proto", PROTOCOL), "no tunnel's far end is there", _group(name))


def _networks(words):
    return [ipaddress.ip_network(word) for word in words if "/" in word]


def _leads(end, nets):
    address = ipaddress.ip_address(end)
    return any(address in network for network in nets)
