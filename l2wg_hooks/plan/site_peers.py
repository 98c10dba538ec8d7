"""WireGuard's peers that come with tunnels (/etc/l2wg/sites), and the ways to them. Pure.

On a `shared` interface l2wg adds what is missing, and takes away what it has added itself: any other peer there is somebody's.
On an `own` one they are told together with those of its file (plan/wire_steps.py).
"""

import ipaddress

from l2wg_hooks import errors
from l2wg_hooks.config import wire_peers
from l2wg_hooks.config.allowed_ips import networks
from l2wg_hooks.model import WIREGUARD_KINDS, PeerWish, Step, Tunnel
from l2wg_hooks.plan import key_changes
from l2wg_hooks.plan.commands import PROTOCOL
from l2wg_hooks.plan.wire_steps import FILE
from l2wg_hooks.typed import Dict, List, Set, Tuple

# What helps where the address that two hubs have is somebody else's.
OTHER = "another hub-address in the line of the net, at all sites"
# Sites that a reason names.
NAMED = 5


class Wanted:
    """What the tunnels over shared interfaces want of these: `peers` are {interface: {public key: (Tunnel, PeerWish)}}.

    `ends` are {interface: [(address, Tunnel, PeerWish of the site that has it)]}, `nets` {interface: [prefix of all far ends]}
    where FRR finds these: who calls a reflector from there is in no line. `wide` are {prefix: Tunnel that wants the way there}.
    `formers` are {public key that is out: name of the site that has changed it}, `twins` the keys of the sites that have two.
    """

    def __init__(self, tunnels, seen):
        self.peers: Dict[str, Dict[str, Tuple[Tunnel, PeerWish]]] = {}
        self.ends: Dict[str, List[Tuple[str, Tunnel, PeerWish]]] = {}
        self.formers: Dict[str, str] = {}
        self.twins: Set[str] = set()
        self.nets: Dict[str, List[str]] = {}
        self.wide: Dict[str, Tunnel] = {}
        for tunnel in tunnels:
            if not tunnel.peers or tunnel.walled:
                continue
            found = self.peers.setdefault(tunnel.underlay, {})
            for peer in wire_peers.of(tunnel):
                for one in key_changes.resolved(tunnel.underlay, (peer,), seen):
                    found[one.key] = (tunnel, one)
                if peer.was and peer.was not in found:
                    self.formers[peer.was] = peer.site or tunnel.site
                elif peer.was:
                    self.twins |= {peer.key, peer.was}
            ends = ((end, tunnel, peer) for peer in tunnel.peers for end in peer.ends)
            self.ends.setdefault(tunnel.underlay, []).extend(ends)
            if tunnel.senders:
                self.nets.setdefault(tunnel.underlay, []).append(tunnel.senders)
                self.wide[tunnel.senders] = tunnel


def own(tunnels, name, seen):
    """The PeerWishes of the tunnels over an interface."""
    peers = tuple(peer for tunnel in tunnels if tunnel.underlay == name for peer in wire_peers.of(tunnel))
    return key_changes.resolved(name, peers, seen)


def changes(tunnels, links, seen, leaving=()):
    """(Steps, Problems, {interface: PeerWishes that a step tells it of}) for the shared interfaces."""
    wanted = Wanted(tunnels, seen)
    steps: List[Step] = []
    problems: List = []
    more: Dict[str, Tuple[PeerWish, ...]] = {}
    for name in sorted({*wanted.peers, *(name for name, _ in seen.told or ()), *(seen.ways_there or {})}):
        link = links.get(name)
        if link is None or name in leaving or link.kind not in WIREGUARD_KINDS or link.namespace:
            continue
        these, ends = wanted.peers.get(name, {}), wanted.ends.get(name, [])
        there = {peer.key: peer for peer in seen.peers.get(name, ())}
        ours = {key for underlay, key in seen.told or () if underlay == name and key in there}
        found, wrong = _peers(name, these, there, ours, wanted)
        wrong += _misled(name, ends, links, seen)
        steps += found
        problems += dict.fromkeys(problem for _, problem in wrong)
        barred = {key for key, _ in wrong}
        shut = []
        for prefix in wanted.nets.get(name, ()):
            told = tuple(_overtaken(prefix, wanted.wide[prefix], name, links, seen))
            problems += told
            if told:
                # Without its way what goes to the sites would leave in the clear.
                shut.append(prefix)
                barred.update(key for key, (tunnel, _) in these.items() if tunnel.senders == prefix)
        missing = _missing(these, there, barred)
        if missing:
            more[name] = missing
            reason = f"it does not have {errors.listed([peer.site or these[peer.key][0].site for peer in missing], NAMED)}"
            steps.append(Step(("wg", "addconf", name, FILE.format(name)), reason, _group(name)))
        if link.up and seen.ways_there is not None:
            steps += _ways(name, ends, seen.ways_there.get(name, {}), barred, wanted.nets.get(name, ()), shut)
    return tuple(steps), tuple(problems), more


def unled(tunnels, ways_there):
    """The far ends of tunnels with their peers, over shared interfaces, to which none of Observed.ways_there leads."""
    found: Set[str] = set()
    for tunnel in tunnels:
        if tunnel.peers and not tunnel.walled and tunnel.underlay in ways_there:
            there = ways_there[tunnel.underlay]
            nets = _networks(network for network, ours in there.items() if not ours or network == tunnel.senders)
            found.update(end for peer in tunnel.peers for end in peer.ends if end not in there and not _leads(end, nets))
    return found


def unled_prefixes(tunnels, ways_there):
    """The prefixes of all far ends of such tunnels, as FRR has them, to which none of Observed.ways_there leads."""
    found: Set[str] = set()
    for tunnel in tunnels:
        if tunnel.peers and not tunnel.walled and tunnel.senders and tunnel.underlay in ways_there:
            there = ways_there[tunnel.underlay]
            nets = _networks(network for network, ours in there.items() if not ours)
            if tunnel.senders not in there and not _within(ipaddress.ip_network(tunnel.senders), nets):
                found.add(tunnel.senders)
    return found


def _group(name):
    return f"peers of {name}"


def _peers(name, these, there, ours, known):
    """(Steps for the peers that are there, [(public key, Problem)] of those that are somebody's).

    Of `these`, one that leads to others, too, goes without the addresses of which somebody's peer has a longer prefix.
    """
    steps, problems = [], []
    formers, stale = known.formers, sorted(ours - set(these))
    changed = [key for key in stale if key in formers]
    for keys, reason in (
        ([key for key in stale if key not in formers], "no line of a site asks for it"),
        (changed, f"{errors.listed([formers[key] for key in changed], NAMED)} has come with another key since"),
    ):
        words = tuple(word for key in keys for word in ("peer", key, "remove"))
        steps += [Step(("wg", "set", name) + words, reason, _group(name))] if words else []
    holders = {network: peer.key for peer in there.values() if peer.key not in stale for network in peer.allowed}
    given: Tuple[str, ...] = ()
    reasons: Dict[str, None] = {}
    for key, (tunnel, peer) in list(these.items()):
        if key in known.twins and key in there and key not in ours:
            message = f"{peer.site or tunnel.site} changes its key, and its peer {key} of {name} is not of l2wg's making"
            hint = f"delete it where it is from (/etc/wireguard/{name}.conf?); then: wg set {name} peer {key} remove; l2wg apply"
            problems.append((key, tunnel.problem("", message, hint)))
            continue
        # By the former key of a site that changes it, too, it leads where the new one does.
        now = next((one.key for one in tunnel.peers if one.was == key), key)
        sites = {network: one for one in tunnel.peers if now in (one.key, one.by) for network in one.allowed}
        for network in peer.allowed:
            other = holders.get(network, key)
            if other != key and other not in ours:
                site = sites.get(network, peer)
                message = f"{network} is among the AllowedIPs of the peer {other} of {name}, which is not of l2wg's making"
                called = site.site or tunnel.site
                hint = f"is it that site with another key? Take it out there, or give {called} another address in its line"
                if network.partition("/")[0] == tunnel.hub_address:
                    hint = f"take it out there, or: {OTHER}"
                problem = tunnel.problem("", message, hint)
                problems += [(one, problem) for one in (site.key, site.was) if one]
                peer = peer._replace(allowed=tuple(word for word in peer.allowed if word != network))
        these[key] = tunnel, peer
        if key in ours:
            meant, told = set(peer.allowed), set(there[key].allowed)
            # What goes from one of a site's keys to the other one, the kernel takes from the first.
            if meant - told or (meant != told and key not in known.twins):
                given += ("peer", key, "allowed-ips", ",".join(peer.allowed))
                reasons["its site has come with that key" if key in known.twins else "its AllowedIPs are to be others"] = None
            continue
        missing = [network for network in peer.allowed if not _covered(network, there[key].allowed)] if key in there else ()
        if missing:
            lack = errors.listed(missing, NAMED)
            message = f"the peer {key} of {name} is not of l2wg's making, and its AllowedIPs lack {lack}"
            hint = f"add that where the peer is from, as in /etc/wireguard/{name}.conf"
            problems.append((key, tunnel.problem("", message, hint)))
    if given:
        steps.append(Step(("wg", "set", name) + given, ", or ".join(reasons), _group(name)))
    return steps, problems


def _misled(name, ends, links, seen):
    """[(public key, Problem)] of far ends that this router has, or needs, elsewhere: the way to them would go into WireGuard."""
    found = []
    out_here = [link for link in links.values() if not link.namespace]
    others = [(link.name, ipaddress.ip_interface(word)) for link in out_here for word in link.addresses]
    peers = [peer for some in seen.peers.values() for peer in some if peer.endpoint]
    called = {peer.endpoint.rpartition(":")[0].strip("[]"): peer.key for peer in peers}
    for remote, tunnel, peer in ends:
        end = ipaddress.ip_address(remote)
        why = f"where the peer {called[remote]} is called" if remote in called else seen.elsewhere.get(remote, "")
        for where, inside in others:
            if end == inside.ip:
                why = f"this router's own ({where})"
            elif where != name and end in inside.network:
                why = f"in the network of {where} ({inside})"
        if why:
            site = peer.site or tunnel.site
            whose, hint = f"the address of {site}", f"give {site} another address inside WireGuard, and its line, too"
            if remote == tunnel.hub_address:
                whose, hint = "the address of both hubs", OTHER
            message = f"{remote}, {whose}, is {why}: it would go into {name}"
            found.append((peer.key, tunnel.problem("", message, hint)))
    return found


def _overtaken(prefix, tunnel, name, links, seen):
    """Problems of a prefix: of what is reached by another way now, and would go into WireGuard by the route there.

    What has a more specific route keeps its way.
    """
    inner = ipaddress.ip_network(prefix)
    for link in links.values():
        for outer in networks(link.addresses) if link.name != name and not link.namespace else ():
            if outer.version == inner.version and inner.subnet_of(outer):
                message = f"{prefix}, where all sites are, is in the network of {link.name} ({outer}): it would go into {name}"
                hint = "network= another one, here and at all sites, of which they have their addresses inside WireGuard"
                yield tunnel.problem("network", message, hint)
    used = seen.taken_ways.get(prefix, ())
    if used:
        what = errors.listed([f"{one.address}, {one.reason}" if one.address != prefix else one.reason for one in used], NAMED)
        message = f"the route to {prefix}, where all sites are, would take from this router: {what}"
        kept = [one for one in used if one.way and one.address != prefix]
        again = "; ".join(f"ip route add {one.address} {one.way}" for one in kept[:NAMED])
        hint = "another network= of the net, which has none of them"
        if kept and len(kept) == len(used):
            hint = f"a route of its own, which wins: {again}; l2wg apply (and where routes are kept); or {hint}"
        yield tunnel.problem("network", message, hint)


def _missing(these, there, wrong):
    return tuple(peer for key, (_, peer) in these.items() if key not in there and key not in wrong)


def _covered(network, allowed):
    if network in allowed:
        return True
    inner = ipaddress.ip_network(network)
    return any(outer.version == inner.version and inner.subnet_of(outer) for outer in networks(allowed))


def _ways(name, far, there, barred, prefixes, closed):
    """Steps for the routes to far ends, and to `prefixes` of them: made where no other one by this interface leads there.

    Of these, none is made to those that are `closed`.
    Ours that nobody needs go.
    """
    around = [ipaddress.ip_network(prefix) for prefix in prefixes]
    ends = {end: None for end, *_ in far if not _leads(end, around)}
    shut = {end for end, _, peer in far if barred.intersection((peer.key, peer.was, peer.by))}
    nets = _networks(network for network, ours in there.items() if not ours)
    argv = ("ip", "route")
    for end in ends:
        if end not in there and end not in shut and not _leads(end, nets):
            yield Step(argv + ("add", end, "dev", name, "proto", PROTOCOL), "the way to the tunnel's far end", _group(name))
    for prefix, net in zip(prefixes, around):
        if prefix not in there and prefix not in closed and not _within(net, nets):
            yield Step(argv + ("add", prefix, "dev", name, "proto", PROTOCOL), "the way to all far ends", _group(name))
    for end, is_ours in there.items():
        if is_ours and end not in ends and end not in prefixes:
            yield Step(argv + ("delete", end, "dev", name, "proto", PROTOCOL), "no tunnel's far end is there", _group(name))


def _networks(words):
    return [ipaddress.ip_network(word) for word in words if "/" in word]


def _within(net, nets):
    return any(net.version == outer.version and net.subnet_of(outer) for outer in nets)


def _leads(end, nets):
    address = ipaddress.ip_address(end)
    return any(address in network for network in nets)
