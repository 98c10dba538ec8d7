"""What must be as good after a change as it was before: the ways to the internet, to who is logged in, and to the peers."""

import concurrent.futures
import socket
import time
from typing import Dict, List, NamedTuple, Tuple

from l2wg_hooks.config import site_record
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.observe.needed_elsewhere import logins
from l2wg_hooks.plan import endpoint_names
from l2wg_hooks.plan.link_index import LinkIndex
from l2wg_hooks.system import ip_routes, network_namespace, process

# Seconds for all of it to be as good again; a neighbour is asked three times, a second apart (ARP, ND).
PATIENCE = 10
PAUSE = 0.5
# Echoes, and neighbours' answers: all are asked at once, and have so many looks of so many seconds.
LOOKS, LOOK = 10, 0.1
# Neighbours that are waited for at the same time.
NEIGHBOURS = 32
# RFC 863; nobody listens there, but whoever is there resolves our address first, and WireGuard carries it.
DISCARD = 9
DEFAULT = "the default route"


class Way(NamedTuple):
    """How this router reaches `target`: `reason` says who needs that. `zone` is the interface of a link-local target.

    `answers` says whether the next hop, `hop`, told its Ethernet address when asked.
    """

    target: str
    reason: str
    zone: str
    device: str
    hop: str
    answers: bool


class Health(NamedTuple):
    """This router's addresses, the gateways of its default routes, ways, the (underlay, peer)s with a living session, and
    the (underlay, target)s that send something back.
    """

    addresses: Tuple[str, ...]
    gateways: Tuple[str, ...]
    ways: Tuple[Way, ...]
    sessions: Tuple[Tuple[str, str], ...]
    echoes: Tuple[Tuple[str, str], ...]


def look(tunnels, links, spared=(), silent=()):
    """The Health of now. It takes up to a second where a neighbour, or a far end, does not answer.

    What router advertisements have given to the `silent` bridges is to go; who is logged in by it, is not.
    Nobody is asked for an echo at the far end of the `spared` tunnels: it need not answer afterwards.
    Raises L2wgError where one of them cannot be looked at: who would be cut off then, nobody would notice.
    """
    try:
        return _look(tunnels, links, set(spared), silent)
    except L2wgError as error:
        why = "who needs this router to stay as it is cannot be seen, so nothing is changed"
        blind = Problem(why, "mend what is told next")
        raise L2wgError(blind, *error.problems, code=error.code)


def _look(tunnels, links, spared, silent):
    underlays = sorted({tunnel.underlay for tunnel in tunnels if tunnel.underlay in links})
    known = [tunnel for tunnel in tunnels if tunnel.underlay in links and tunnel.name not in spared]
    ends = {(tunnel.underlay, end.remote) for tunnel in known for end in tunnel.near_ends}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Far ends that do not answer take their second while all else is asked for.
        echoes = pool.submit(_echoes, ends - _by_others(known))
        targets = [target for target in _targets(underlays) if target[1] != DEFAULT or target[2] not in silent]
        ways = tuple(way for way in _ways([(*target, True) for target in targets], links) if way)
        # One that nobody renews any more may end by itself before anybody looks again.
        sessions = tuple((name, peer) for name in underlays for peer in _alive(name, endpoint_names.STALE))
        given = {address for name in silent if name in links for address in links[name].autoconfigured}
        # Nobody but a tunnel has use for an address in a namespace of its own.
        out_here = [link for link in links.values() if not link.namespace]
        # What both hubs have, l2wg gives and takes: nobody else can rely on it.
        ours = site_record.given(links)
        addresses = tuple(
            address
            for link in out_here
            for address in link.addresses
            if address not in given and (link.name, address.partition("/")[0]) not in ours
        )
        gateways = tuple(row[0] for row in _gateways() if row[2] not in silent)
        return Health(addresses, gateways, ways, sessions, tuple(sorted(echoes.result())))


def _by_others(tunnels):
    """The (underlay, target)s of meshes that packets still go to by another site's peer, such as the hub."""
    found = set()
    for tunnel in tunnels:
        if tunnel.remotes and tunnel.peers:
            cover = wg_interfaces.read(tunnel.underlay).cover
            for peer in tunnel.peers:
                for end in peer.ends:
                    first = next((there for _, there in cover.covering(end)), None)
                    if first is not None and first.key not in (peer.key, peer.was):
                        found.add((tunnel.underlay, end))
    return found


def compare(before, tunnels):
    """The Problems of now against the Health `before`; waits PATIENCE for them to go away by themselves."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            links = link_table.read()
            problems = tuple(_worse(before, links)) + tuple(_deaf(tunnels, links))
        except L2wgError as error:  # what cannot be looked at now has gone, perhaps, and comes back
            problems = error.problems
        if not problems or time.monotonic() > end:
            return problems
        time.sleep(PAUSE)


def _worse(before, links):
    gateways = {row[0] for row in _gateways()}
    for gateway in before.gateways:
        if gateway not in gateways:
            yield Problem(f"the default route by {gateway} is gone")
    held = LinkIndex(links)
    for address in before.addresses:
        if not held.holders(address.partition("/")[0]):
            yield Problem(f"this router has lost its address {address}")
    for old, now in zip(before.ways, _ways([(old.target, old.reason, old.zone, old.answers) for old in before.ways], links)):
        if now is None:
            yield Problem(f"{old.reason}: there is no longer a way to {old.target}")
        elif now.device != old.device and getattr(links.get(old.device), "master", "") != now.device:
            yield Problem(f"{old.reason}: the way to {old.target} is by {now.device} now, not by {old.device}")
        elif old.answers and not now.answers:
            yield Problem(f"{old.reason}: {now.hop} no longer answers on {now.device}")
    alive = {name: _alive(name) for name in {name for name, _ in before.sessions}}
    for name, peer in before.sessions:
        if peer not in alive[name]:
            yield Problem(f"{name} no longer has a session with its peer {peer}")
    back = _echoes(before.echoes)
    for name, target in before.echoes:
        if (name, target) not in back:
            yield Problem(f"nothing comes back through {name} from {target} any longer")


def _deaf(tunnels, links):
    """Problems of tunnels that are in their bridge and pass no frames. With STP they may, for good reason."""
    for tunnel in tunnels:
        link, bridge = links.get(tunnel.name), links.get(tunnel.bridge)
        if link and bridge and link.master == tunnel.bridge and not bridge.stp and link.port_state != "forwarding":
            message = f"{bridge.name} does not forward to {link.name}: its state is {link.port_state}"
            yield tunnel.problem("bridge", message, f"bridge link show dev {link.name}")


def _targets(underlays):
    """(address, reason, zone) of all that has to be reached."""
    found = _gateways()
    found += [(address, f"the login from {address}", zone) for address, zone in logins()]
    for name in underlays:
        for peer in wg_interfaces.read(name).peers:
            address = peer.endpoint.rpartition(":")[0].strip("[]")
            if address:
                found.append((address.partition("%")[0], f"WireGuard's {name}", address.partition("%")[2]))
    return sorted(set(found))


def _gateways():
    """(address, reason, zone) of the default routes' gateways."""
    found = []
    for family in process.families():
        for route in ip_routes.show(family, "route", "show", "default"):
            gateway, device = route.get("gateway"), route.get("dev")
            if gateway and device:  # several ways at once name none here
                found.append((gateway, DEFAULT, device if gateway.startswith("fe80:") else ""))
    return found


def _ways(rows, links):
    """The Ways to (target, reason, zone, whether to ask for the next hop) as the kernel would go now; None where there is none.

    One process for all routes, and all neighbours at once: behind a gateway there may be a thousand peers.
    """
    words = [("route", "get", target) + (("dev", _top(zone, links)) if zone else ()) for target, _, zone, _ in rows]
    lines = dict.fromkeys(" ".join(line) for line in words)
    routes = dict(zip(lines, ip_routes.many(lines)))
    found, asked = [], {}
    for (target, _, _, ask), line in zip(rows, words):
        route = next(iter(routes[" ".join(line)]), {})
        device, hop = route.get("dev"), route.get("gateway", target)
        # Only Ethernet has neighbours that can be asked.
        if ask and device in links and len(links[device].mac) == 17:
            asked[hop, device] = False
        found.append((device, hop))
    if asked:
        with concurrent.futures.ThreadPoolExecutor(NEIGHBOURS) as pool:
            asked = dict(zip(asked, pool.map(lambda neighbour: _neighbour(*neighbour), asked)))
    return [
        None if device is None else Way(target, reason, zone, device, hop, ask and asked.get((hop, device), False))
        for (target, reason, zone, ask), (device, hop) in zip(rows, found)
    ]


def _top(name, links):
    """The interface that has the addresses of a port: its bridge."""
    return getattr(links.get(name), "master", "") or name


def _neighbour(address, device):
    """Whether somebody answers to `address` on `device`, by ARP or ND: asked anew, whatever the kernel remembers."""
    _nudge(address, device)
    # Fails where there is no entry yet: then the datagram has made one, which is being asked for.
    process.run(("ip", "neighbour", "change", address, "dev", device, "nud", "probe"))
    for _ in range(LOOKS):
        time.sleep(LOOK)
        found = process.table("ip", "-json", "neighbour", "show", "to", address, "dev", device)
        state = str(found[0].get("state", "")) if found else ""
        if "REACHABLE" in state or "PERMANENT" in state or "NOARP" in state:
            return True
        if "FAILED" in state:
            return False
    return False


def knock(underlay, targets):
    """Send a datagram to each of these addresses through a WireGuard interface: who is there answers that nobody listens."""
    network_namespace.by(underlay, lambda: [_nudge(target) for target in targets])


def _nudge(address, device=""):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            if address.startswith("fe80:"):
                sender.sendto(b"", (address, DISCARD, 0, socket.if_nametoindex(device)))
            else:
                sender.sendto(b"", (address, DISCARD))
    except OSError:
        pass  # no way there: who asks will see


def _alive(underlay, seconds=wg_interfaces.SESSION):
    """Public keys of the peers with a session that is younger than that."""
    now = time.time()
    return {peer.key for peer in wg_interfaces.read(underlay).peers if wg_interfaces.alive(peer, now, seconds)}


def _echoes(ends):
    """Those of the (underlay, target)s whose peer sends anything within a second after something was sent there: all at once.

    The peer answers a datagram to a closed port by ICMP (RFC 1122, 4.1.3.1), unless its firewall minds.
    """
    waiting: Dict[Tuple[str, str], Tuple[str, int]] = {}
    by: Dict[str, List[str]] = {}
    for underlay, target in ends:
        by.setdefault(underlay, []).append(target)
    for underlay, targets in by.items():
        cover = wg_interfaces.read(underlay).cover
        for target in targets:
            # Of several peers that have the address, WireGuard takes this one.
            for _, peer in cover.covering(target):
                waiting[underlay, target] = (peer.key, peer.received)
                break
        knock(underlay, targets)
    found = set()
    for _ in range(LOOKS if waiting else 0):
        time.sleep(LOOK)
        now = {underlay: wg_interfaces.read(underlay).by_key for underlay in dict.fromkeys(end[0] for end in waiting)}
        for end, (key, received) in list(waiting.items()):
            if key in now[end[0]] and now[end[0]][key].received > received:
                found.add(end)
                del waiting[end]
        if not waiting:
            break
    return found
