"""Whether the peers of tunnels with `peer-down = port` answer: a look of the watch, and what comes of it by the plan."""

import select
import time

from l2wg_hooks.config import last_applied
from l2wg_hooks.config.allowed_ips import AllowedIPs
from l2wg_hooks.observe import link_table, peer_answers, snapshot
from l2wg_hooks.plan import peer_down
from l2wg_hooks.probes import icmp_echo
from l2wg_hooks.reconcile import healing, reconcile, taken_down
from l2wg_hooks.system import lock, log
from l2wg_hooks.typed import Dict, Set

# Seconds that an answer may take, and when it is asked for in them: one may get lost.
PATIENCE, ASKED = 3, (0, 1)
# Bytes of an echo request.
SIZE = 64


def look():
    """Count for each tunnel whether its peer answers, and have its ports follow where that is news; the Problems of that."""
    if last_applied.pending():
        return ()
    wished = healing.applied()
    tunnels = _asked(wished.tunnels)
    before = peer_answers.read()
    if not tunnels and not before:
        return ()
    rows = _count(tunnels, before)
    if rows != before:
        peer_answers.write(rows)
    was, now = peer_answers.down(before), peer_answers.down(rows)
    if was == now:
        return ()
    for tunnel in tunnels:
        if (tunnel.name in was) != (tunnel.name in now):
            log.news(f"the peer of {tunnel.name} {_said(tunnel.name in now)}")
    with lock.working():
        # Nothing but the ports: all else is for healing.py, which knows what is to stay down.
        todo, failed = reconcile.bring(wished, chosen=peer_down.only)
    return todo.problems + failed


def _asked(tunnels):
    """Those of the tunnels whose peers are asked for: not what was taken down on purpose."""
    found = [tunnel for tunnel in tunnels if tunnel.peer_down == peer_down.PORT]
    known = taken_down.read() if found else {}
    if taken_down.ALL in known:
        return []
    down = taken_down.still(known, found, link_table.read()) if known else ()
    return [tunnel for tunnel in found if not {tunnel.name, tunnel.underlay, tunnel.bridge} & set(down)]


def _count(tunnels, before):
    """{tunnel: peer_answers.Row} of this look."""
    peers = _peers(tunnels)
    quiet = [tunnel for tunnel in tunnels if not peer_answers.heard(before.get(tunnel.name), peers[tunnel.name])]
    echoed = _echoed(quiet)
    if quiet:
        # WireGuard itself may have answered.
        peers = _peers(tunnels)
    rows = {}
    for tunnel in tunnels:
        row, peer = before.get(tunnel.name), peers[tunnel.name]
        rows[tunnel.name] = peer_answers.after(row, peer, tunnel.name in echoed or peer_answers.heard(row, peer))
    return rows


def _said(down):
    return "has answered nothing for %d looks" % peer_answers.LOOKS if down else "answers again"


def _peers(tunnels):
    """{tunnel: the Peer that its packets go to, or None}."""
    known = {name: AllowedIPs(these) for name, these in snapshot.peers(tunnels).peers.items()}
    found = {}
    for tunnel in tunnels:
        covering = known[tunnel.underlay].covering(tunnel.remote) if tunnel.underlay in known else ()
        found[tunnel.name] = next((peer for _, peer in covering), None)
    return found


def _echoed(tunnels):
    """The names of those whose other router answers an echo through the underlay."""
    echoes: Dict[str, icmp_echo.Echo] = {}
    answered: Set[str] = set()
    for tunnel in tunnels:
        try:
            echoes[tunnel.name] = icmp_echo.Echo(tunnel.underlay, tunnel.local, tunnel.remote)
        except OSError:  # no such interface, or no such address here
            pass
    begin, asked = time.monotonic(), 0
    try:
        while len(answered) < len(echoes) and time.monotonic() < begin + PATIENCE:
            left = {name: echo for name, echo in echoes.items() if name not in answered}
            if asked < len(ASKED) and time.monotonic() >= begin + ASKED[asked]:
                asked += 1
                for echo in left.values():
                    echo.ask(asked, SIZE)
            for echo in select.select(list(left.values()), (), (), 0.1)[0]:
                while echo.hear():
                    pass
            answered.update(name for name, echo in left.items() if echo.answered)
    finally:
        for echo in echoes.values():
            echo.close()
    return answered
