"""The network namespace of l2wg, as it is, and what the files of its WireGuard interfaces want. See plan/wire_steps.py."""

import os
import time

from l2wg_hooks.config import endpoint_names, own_wire, staged, wg_quick, wg_quick_peers, wire_peers
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import ALIAS, NAMESPACE, Observed, Peer, Walls, Wire
from l2wg_hooks.netfilter import inner_guard
from l2wg_hooks.observe import link_table, sysctls, wg_interfaces
from l2wg_hooks.plan import key_changes, transit, wire_steps
from l2wg_hooks.system import files, ip_routes, network_namespace, process
from l2wg_hooks.typed import Any

# Of the calling thread's own network namespace.
_DEVICES = "/proc/thread-self/net/dev"
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"


def look(tunnels, links, heard=()):
    """The Walls of now; None where no tunnel has use for any, and there are none.

    `links` are those of link_table.read, `heard` is what last_endpoints.read gives.
    """
    waiting = staged.tunnels(tunnels)
    names = wire_steps.wished(tuple(tunnels) + waiting)
    there = os.path.exists(network_namespace.path(NAMESPACE))
    if not names and not there:
        return None
    guarded = any(inner_guard.needed(tunnel) for tunnel in tuple(tunnels) + waiting)
    nothing: Any = (({}, False, (), {}), "" if guarded else None, {})
    try:
        found = network_namespace.within(NAMESPACE, lambda: _look(links, guarded)) if there else nothing
        leftover = False
    except OSError:  # a file that is no namespace: what an end at the wrong moment has left
        found, leftover = nothing, there
    (routes, routed, devices, dumps), guard, switches = found
    ours = {link.name for link in links.values() if link.namespace and link.alias == ALIAS} | set(names)
    return Walls(
        there and not leftover,
        leftover,
        routes,
        routed,
        {
            name: _wire(name, dumps.get(name), _beside(tunnels, name, dumps.get(name), heard), _given(tunnels, name))
            for name in names
        },
        tuple(name for name in devices if name not in ours and not link_table.is_kernels(name)),
        home(),
        waiting,
        guard,
        switches,
    )


def home():
    """The process by which `ip link set netns` finds this router's own network namespace: 1, but in a namespace of others."""
    return "1" if network_namespace.is_first() else str(os.getpid())


# As ip(8) marks what it is told to add; those that come with an address are the kernel's. Both families, by one process.
_ROUTES = ("route", "show", "table", "all", "proto", "boot")


def _guard():
    result = process.run(inner_guard.LIST)
    return "" if result.code else result.out


def _look(links, guarded):
    return _inside(links), _guard() if guarded else None, _switches(links)


def _switches(links):
    wires = [link.name for link in links.values() if link.namespace and link.kind == "wireguard"]
    found = {name: files.glance(os.path.join(sysctls.ROOT, name)).strip() for name in transit.names(wires)}
    return {name: value for name, value in found.items() if value}


def _inside(links):
    routes = {}
    for route in ip_routes.show(*_ROUTES):
        if "table" not in route:
            sizes = [metric["mtu"] for metric in route.get("metrics", ())]
            # `default` says nothing of the family.
            destination = "::/0" if route["dst"] == "default" and "pref" in route else route["dst"]
            routes[destination] = (route.get("dev", ""), sizes[0] if sizes else 0)
    routed = files.glance(_FORWARDING).strip() not in ("", transit.OFF)
    devices = [line.partition(":")[0].strip() for line in files.glance(_DEVICES).splitlines() if ":" in line]
    wires = [link.name for link in links.values() if link.namespace and link.kind == "wireguard"]
    dumps = wg_interfaces.dumps(process.output("wg", "show", "all", "dump")) if wires else {}
    return routes, routed, devices, {name: dumps.get(name, "") for name in wires}


def _beside(tunnels, name, dump=None, heard=()):
    """The model.PeerWishes that come with tunnels, and not with the file of a wire."""
    these = [tunnel for tunnel in tunnels if tunnel.underlay == name]
    found = tuple(peer for tunnel in these for peer in wire_peers.of(tunnel))
    if not any(peer.was for peer in found):
        return found
    there = wg_interfaces.parse(dump) if dump is not None else None
    seen = Observed(peers={name: there.peers} if there else {}, heard=dict(heard), now=int(time.time()))
    return key_changes.resolved(name, found, seen)


def _told(peer):
    """The own_wire.PeerWish of such a peer."""
    return own_wire.PeerWish(own_wire.NO_SECRET, frozenset(peer.allowed), str(peer.keepalive or "off"), peer.endpoint)


def _given(tunnels, name):
    """The addresses that two hubs have, beside those of the file of a wire."""
    found = dict.fromkeys(tunnel.hub_address for tunnel in tunnels if tunnel.is_hubs and tunnel.underlay == name)
    return tuple(map(wg_quick_peers.host, found))


def _wire(name, dump, beside, given=()):
    path = wg_quick.path(name)
    try:
        wanted, problems = own_wire.parse(files.read(path), path)
    except L2wgError as error:
        if not os.path.lexists(path):
            how = "--own " if wg_quick.is_usual(name) else ""
            problem = Problem("there is no such file, and `wire = own` is made of it", f"l2wg init {how}{name}", path)
            return Wire(problems=(problem,))
        return Wire(problems=error.problems)
    if wanted is None:
        return Wire(problems=problems)
    # Who stands in the file is told as it says.
    taken = {network for peer in wanted.peers.values() for network in peer.allowed}
    beside = tuple(peer._replace(allowed=tuple(word for word in peer.allowed if word not in taken)) for peer in beside)
    wanted = wanted._replace(peers={**{peer.key: _told(peer) for peer in beside}, **wanted.peers})
    there = wg_interfaces.parse(dump) if dump is not None else None
    peers = there.peers if there is not None else tuple(_peer(*row) for row in wanted.peers.items())
    has = {word.partition("/")[0] for word in wanted.addresses}
    addresses = wanted.addresses + tuple(word for word in given if word.partition("/")[0] not in has)
    return Wire(addresses, wanted.mtu, differs(wanted, dump) if dump is not None else (), (), peers, beside)


def _peer(key, wish):
    # A name is none until somebody has asked for it.
    endpoint = "" if endpoint_names.is_name(wish.endpoint) else wish.endpoint
    return Peer(key, endpoint, tuple(sorted(wish.allowed)), 0, 0, 0, None)


def differs(wanted, dump):
    """What of an OwnWire the interface has otherwise, in words, by what `wg show WG dump` printed of it (wg(8)).

    Not a peer's endpoint: that is where it was heard last.
    """
    rows = wg_interfaces.fields(dump)
    if not rows:
        return ("all of it",)
    private, _, port, mark = rows[0]
    found = []
    if private != wanted.private:
        found.append("its key")
    if wanted.port is not None and port != wanted.port:
        found.append("its UDP port")
    if _mark(mark) != _mark(wanted.mark or "off"):
        found.append("its mark")
    there = {}
    for key, preshared, _, allowed, _, _, _, keepalive in rows[1:]:
        there[key] = own_wire.PeerWish(preshared, frozenset(allowed.split(",")) - {"(none)"}, keepalive, "")
    if there != {key: peer._replace(endpoint="") for key, peer in wanted.peers.items()}:
        found.append("its peers")
    return tuple(found)


def _mark(text):
    try:
        return int(text, 0)
    except ValueError:
        return 0
