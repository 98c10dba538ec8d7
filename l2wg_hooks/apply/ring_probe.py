"""Rings: a tunnel that is about to join its bridge, and another way by which its frames come back to that bridge.

What has no time to live goes round such a ring for ever, so it is found before the tunnel forwards: until then the tunnel is
a port of a bridge that is down, where the kernel passes nothing on (br_handle_frame in net/bridge/br_input.c), and only
packet sockets hear what comes.
"""

import contextlib
import os
import select
import socket
import time
from typing import NamedTuple, Tuple

from l2wg_hooks import errors, model
from l2wg_hooks.model import NAMESPACE, Tunnel
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import commands, link_index, planner, wire_steps
from l2wg_hooks.probes import loop_probe, packet_socket
from l2wg_hooks.reconcile import reconcile
from l2wg_hooks.system import ip_routes, log, network_namespace, process

# The bridge that is down, and an Ethernet address by which network managers leave it alone (debian/l2wg.udev).
ASIDE, MAC = "l2wg-aside", "fe:ff:00:00:00:00"
# Frames, and seconds between two: the first may wait for WireGuard's handshake, which is repeated only after 5 s
# (REKEY_TIMEOUT in drivers/net/wireguard/messages.h).
TIMES, PAUSE = 6, 0.25
# Of the other ports.
NAMED = 10


class Joining(NamedTuple):
    """A Tunnel that is about to forward, and the names of the bridge's other ports that a frame of it may come back by."""

    tunnel: Tunnel
    others: Tuple[str, ...]


def joining(tunnels, links, changed):
    """The Joinings of `tunnels`, of which those named `changed` are new, or are wished for otherwise than before. Pure.

    None where nothing else is in the bridge, or where STP cuts rings there.
    """
    found = []
    members = link_index.members(links)
    beside = model.by_bridge(tunnels)
    # In any bridge.
    isolated = {tunnel.name for tunnel in tunnels if tunnel.isolated}
    shown = {tunnel.name for tunnel in tunnels if not tunnel.isolated}
    changed, names_of = set(changed), {}
    for tunnel in tunnels:
        bridge, link = links.get(tunnel.bridge), links.get(tunnel.name)
        opens = link is not None and link.master == tunnel.bridge and link.isolated and not tunnel.isolated
        spoken = tunnel.stp or (bridge is not None and bridge.stp)
        if tunnel.name not in changed or spoken or not (opens or _comes(tunnel, links)):
            continue
        if tunnel.bridge not in names_of:
            ports = [port for port in members.get(tunnel.bridge, ()) if port.up]
            names = [port.name for port in ports] + [other.name for other in beside[tunnel.bridge] if _comes(other, links)]
            # From one isolated port to another one nothing passes (should_deliver in net/bridge/br_forward.c).
            alone = (isolated | {port.name for port in ports if port.isolated}) - shown
            names_of[tunnel.bridge] = (names, [name for name in names if name not in alone])
        others = [name for name in names_of[tunnel.bridge][tunnel.isolated] if name != tunnel.name]
        if others:
            found.append(Joining(tunnel, tuple(others)))
    return found


def _comes(tunnel, links):
    """Whether a tunnel can be made, and is no port of its bridge yet."""
    underlay, link = links.get(tunnel.underlay), links.get(tunnel.name)
    if underlay is None or not underlay.up or underlay.kind not in model.WIREGUARD_KINDS:
        return False
    return link is None or (link.kind in model.TUNNEL_KINDS and link.master != tunnel.bridge)


def problems(tunnels, changed, aside):
    """Problems of the `changed` among `tunnels` that would close a ring.

    Those that are to join are made, and wait in a bridge that is down, until `aside` ends (an ExitStack): whoever joins them to
    their own until then need not have them down in between. What cannot be made here is told by whoever makes it for good.
    """
    links = link_table.read()
    asked = joining(tunnels, links, changed)
    if not asked:
        return ()
    for newcomer in asked:
        words = (newcomer.tunnel.name, newcomer.tunnel.bridge, errors.listed(newcomer.others, NAMED))
        log.say("{} joins {} beside {}, which may close a ring: do its frames come back by another way?".format(*words))
    coming = [newcomer.tunnel for newcomer in asked if _comes(newcomer.tunnel, links)]
    names = {tunnel.name for tunnel in coming}
    aside.enter_context(_aside())
    links = link_table.read()
    seen = snapshot.look(tunnels, links)
    # Isolated, lest somebody's network manager brings that bridge up.
    there = [
        tunnel._replace(bridge=ASIDE, bridge_ports=(), isolated=True) if tunnel.name in names else tunnel for tunnel in tunnels
    ]
    todo = only(planner.plan(there, links, seen=seen), names, _wires(coming))
    reconcile.execute(with_rules(todo, planner.plan(tunnels, links, seen=seen)), links)
    found = tuple(judge(asked, _back(asked)))
    if not found:
        log.say("none came back; of a site whose router is not ready yet, that router will see it")
    return found


def _wires(tunnels):
    """The WireGuard interfaces of l2wg's own that lead these tunnels: to a peer that is as new, perhaps."""
    return {tunnel.underlay for tunnel in tunnels if tunnel.walled}


def only(todo, names, wires=()):
    """Of a Plan what makes these tunnels, what guards them, and what leads them: the peers and routes of `wires`. Pure."""
    groups = {*names, *wires, planner.GUARD} | ({commands.OF_NAMESPACE, wire_steps.GUARD} if wires else set())
    return todo._replace(steps=tuple(step for step in todo.steps if step.group in groups))


def with_rules(todo, final):
    """The Plan `todo` with the rules of the `final` one, so that they are loaded once. Pure.

    They guard the tunnels whichever bridge these are in, and by the one that they wait in, which is down, nothing passes.
    """
    if final.rules is not None:
        return todo._replace(rules=final.rules)
    return todo._replace(rules=None, steps=tuple(step for step in todo.steps if step.group != planner.GUARD))


@contextlib.contextmanager
def _aside():
    """The bridge that is down; its ports are down, too, when it goes."""
    process.run(("ip", "link", "delete", "dev", ASIDE))  # of one that was killed
    process.output("ip", "link", "add", "name", ASIDE, "address", MAC, "type", "bridge")
    try:
        yield
    finally:
        ports = [link.name for link in link_table.read().values() if link.master == ASIDE and ip_routes.is_plain(link.name)]
        lines = [f"link set dev {name} down" for name in ports] + [f"link delete dev {ASIDE}"]
        process.run(("ip", "-force", "-batch", "-"), "".join(line + "\n" for line in lines))


def _back(asked):
    """{(tunnel, port)}: a frame that left by the tunnel came in by the port."""
    # Nobody has this address, so no bridge on the way takes its frames for a station's that it knows.
    sources = {newcomer.tunnel.name: b"\x02" + os.urandom(5) for newcomer in asked}
    by = {source: name for name, source in sources.items()}
    found = set()
    with contextlib.ExitStack() as stack:
        ears = []
        for ear, names in _ears({name for newcomer in asked for name in (newcomer.tunnel.name,) + newcomer.others}):
            stack.callback(ear.close)
            ears.append((ear, names))
        for _ in range(TIMES):
            for newcomer in asked:
                for ear, names in ears:
                    if newcomer.tunnel.name in names:
                        ear.send(newcomer.tunnel.name, loop_probe.frame(newcomer.tunnel, sources[newcomer.tunnel.name]))
            end = time.monotonic() + PAUSE
            while time.monotonic() < end:
                select.select([ear for ear, _ in ears], [], [], max(0, end - time.monotonic()))
                for ear, names in ears:
                    packet = ear.hear()
                    if packet is not None and not packet.out and packet.data[6:12] in by and packet.device in names:
                        found.add((by[packet.data[6:12]], packet.device))
            if found:
                break
    return found


def _ears(names):
    """Yield (OpenEar, those of these interfaces that it hears): a fixed number, one for each network namespace of l2wg's."""
    program = packet_socket.type_filter(loop_probe.ETHERTYPE)

    def here():
        return {name for _, name in socket.if_nameindex()} & names

    there = here()
    yield packet_socket.OpenEar(program), there
    # Where it just went, or was not made, nothing comes back by it.
    if names - there and os.path.exists(network_namespace.path(NAMESPACE)):
        try:
            yield network_namespace.within(NAMESPACE, lambda: (packet_socket.OpenEar(program), here() - there))
        except OSError:  # it is none, or has gone this moment
            pass


def judge(asked, back):
    """Problems of the tunnels whose frames came back, one a tunnel; `back` is {(tunnel, port)}. Pure."""
    for newcomer in asked:
        ports = [name for name in newcomer.others if (newcomer.tunnel.name, name) in back]
        if not ports:
            continue
        message = "it would close a ring: a frame that left by it came back by %s, so every broadcast would go round for ever"
        yield newcomer.tunnel.problem("bridge", message % ports[0], choices(newcomer.tunnel, ports))


def choices(tunnel, ports):
    """The cures of a ring that `tunnel` closes with these ports."""
    if tunnel.joins_hubs:
        both = "where both hubs are in one LAN already: hubs-joined=no in the line of the net, at all sites"
        return f"{both}; or, by {ports[0]}, find and cut the other way"
    leave = "leave this tunnel out, since the other site can be reached already"
    apart = "have `isolated = yes` in every tunnel of every site of the ring, where each two sites have a tunnel (l2wg.conf(5))"
    speak = "have each bridge of the ring speak STP, so that one way waits for the other to fail"
    return f"{leave}; or, by {ports[0]}, find and cut that way; or {apart}; or {speak}"
