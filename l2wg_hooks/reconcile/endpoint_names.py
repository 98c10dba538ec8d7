"""Names of the peers' endpoints, asked for anew where a peer does not answer for long: by the watch, so that no event waits."""

import os
import sys
import time

from l2wg_hooks.config import endpoint_names, staged, store, wg_quick
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import NAMESPACE
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import commands
from l2wg_hooks.plan import endpoint_names as calls
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.system import files, lock, log, network_namespace, process, resolver, units

# Seconds for all names together: the first name server of resolv.conf(5) may be silent for 5 before the second is asked.
PATIENCE = 10
# The names that nobody knew at the last look: that is news once.
UNKNOWN = "/run/l2wg.names"
WATCH = ("event", "watch", "names")


def wanted(tunnels):
    """{WireGuard interface: {public key: (name, port)}} of the tunnels' peers, by the files of wg-quick(8). No process.

    Those of `l2wg wall`, too: such a tunnel changes once the other site has been heard by its new wire.
    """
    texts = {}
    tunnels = tuple(tunnels) + staged.tunnels(tunnels)
    for name in sorted({tunnel.underlay for tunnel in tunnels}):
        try:
            texts[name] = files.text(wg_quick.path(name))
        except L2wgError:  # told of by `l2wg check`, and for an own wire by each event
            pass
    return calls.wanted(tunnels, texts)


def soon(wires, tunnels=()):
    """Have a look of the watch now, where one of these WireGuard interfaces, just told of its peers, has one with a name.

    Of the `tunnels`, those count that have come with their peers.
    """
    beside = (peer.endpoint for tunnel in tunnels if tunnel.underlay in wires for peer in tunnel.peers)
    if not any(endpoint_names.named(files.glance(wg_quick.path(name))) for name in wires) and not any(
        map(endpoint_names.is_name, beside)
    ):
        return
    look = (os.path.realpath(sys.argv[0]), *WATCH)
    if units.run_here():
        # What is begun inside of a unit ends with it. One of its own, since a look of the timer's may be past the names already.
        process.output(units.command("systemd-run"), "--quiet", "--no-block", "--collect", "--", *look)
    else:
        process.leave(look)


def look():
    """Ask for the names of peers that have not answered for long, and have them called there; the Problems that are news.

    No lock is held while a name server is waited for.
    """
    wished = store.load().tunnels
    names, tunnels = wanted(wished), wished + staged.tunnels(wished)
    late = calls.late(tunnels, snapshot.peers(tunnels).peers, names, time.time()) if names else []
    if not late:
        return _news({})
    answers = resolver.ask({call.name for call in late}, PATIENCE)
    where = {}
    for call in late:
        found = calls.targets(call, answers[call.name])
        where[call._replace(endpoint="")] = calls.chosen(call, [endpoint for endpoint in found if resolver.has_route(endpoint)])
    if any(where[call._replace(endpoint="")] not in ("", call.endpoint) for call in late):
        _move(tunnels, names, where)
    return _news({call.name: call for call in late if not calls.targets(call, answers[call.name])}, tunnels)


def _move(tunnels, names, where):
    """Have WireGuard call where `where` says, {Call without its endpoint: endpoint}, of the peers of which that is still true."""
    with lock.working():
        # wg(8) would add a peer that has gone meanwhile.
        moved = False
        for call in calls.late(tunnels, snapshot.peers(tunnels).peers, names, time.time()):
            target = where.get(call._replace(endpoint=""))
            if target and target != call.endpoint:
                moved |= _set(call, target, any(tunnel.walled and tunnel.underlay == call.underlay for tunnel in tunnels))
        if moved:
            # WireGuard waits for somebody's packet, and begins its handshake for that.
            loop_probe.send(tunnels, link_table.read())


def _set(call, target, walled):
    argv = ("wg", "set", call.underlay, "peer", call.key, "endpoint", target)
    process.show((commands.EXEC if walled else ()) + argv)
    try:
        # Not by ip(8), which would mount /sys anew for that.
        result = network_namespace.within(NAMESPACE, lambda: process.run(argv)) if walled else process.run(argv)
    except OSError:  # the namespace has gone this moment
        return False
    if result.code:
        return False  # as has the interface
    before = f"no longer at {call.endpoint}" if call.endpoint else "nobody knew where until now"
    log.news(f"{call.underlay}: the peer {call.name} is called at {target}, {before}")
    return True


def _news(unknown, tunnels=()):
    """The Problems of these names, {name: a Call}, of which nobody has been told yet."""
    before = files.kept(UNKNOWN)
    text = "".join(f"{name}\n" for name in sorted(unknown))
    if text == before:
        return ()
    try:
        files.keep(UNKNOWN, text)
    except L2wgError:  # rather never told than at each look: `l2wg check` says it, too
        return ()
    return tuple(_unknown(unknown[name], tunnels) for name in sorted(unknown) if name not in before.split("\n"))


def _unknown(call, tunnels):
    message = f"the name {call.name}, by which a silent peer is called, is not known now; each look of the watch asks again"
    hint = f"getent ahosts {files.quoted(call.name)} # mend DNS on this router, or the name in that file"
    for tunnel in tunnels:
        if any(call.key in (peer.key, peer.was) for peer in tunnel.peers) and tunnel.underlay == call.underlay:
            # By a card, if the file of WireGuard does not say it, too.
            return tunnel.problem("", message, hint, "endpoint-unresolved")
    return Problem(message, hint, wg_quick.path(call.underlay), 0, "Endpoint", "endpoint-unresolved")
