"""Whether the peers of tunnels with `peer-down = port` answer: a look of the watch, and what comes of it by the plan.

Of several peers of a tunnel, one that answers is enough.
"""

import select
import time

from l2wg_hooks.config import last_applied
from l2wg_hooks.config.allowed_ips import AllowedIPs
from l2wg_hooks.model import End
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
            log.news(_said(tunnel, tunnel.name in now))
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


def _said(tunnel, down):
    several = len(tunnel.far_ends) > 1
    if down:
        who = f"no peer of {tunnel.name} has answered anything" if several else f"the peer of {tunnel.name} has answered nothing"
        return "%s for %d looks" % (who, peer_answers.LOOKS)
    return f"a peer of {tunnel.name} answers again" if several else f"the peer of {tunnel.name} answers again"


def _peers(tunnels):
    """{tunnel: the Peer that its packets go to, or None}; of several one that has what all of them have, see _together."""
    known = {name: AllowedIPs(these) for name, these in snapshot.peers(tunnels).peers.items()}
    found = {}
    for tunnel in tunnels:
        ends = tunnel.ends() if tunnel.underlay in known else ()
        rows = [next((peer for _, peer in known[tunnel.underlay].covering(end.remote)), None) for end in ends]
        found[tunnel.name] = _together({peer.key: peer for peer in rows if peer is not None})
    return found


def _together(peers):
    """One Peer for all, {public key: Peer}: what is received from any of them is received, and the latest handshake counts."""
    if not peers:
        return None
    rows = list(peers.values())
    return rows[0]._replace(
        handshake=max(peer.handshake for peer in rows),
        received=sum(peer.received for peer in rows),
        sent=sum(peer.sent for peer in rows),
    )


def _echoed(tunnels):
    """The names of those of which one far end answers an echo through the underlay."""
    echoes: Dict[End, icmp_echo.Echo] = {}
    answered: Set[str] = set()
    for tunnel in tunnels:
        for end in tunnel.near_ends:
            try:
                echoes[end] = icmp_echo.Echo(tunnel.underlay, end.local, end.remote)
            except OSError:  # no such interface, or no such address here
                pass
    begin, asked = time.monotonic(), 0
    try:
        while len(answered) < len({end.tunnel for end in echoes}) and time.monotonic() < begin + PATIENCE:
            left = {end: echo for end, echo in echoes.items() if end.tunnel not in answered}
            if asked < len(ASKED) and time.monotonic() >= begin + ASKED[asked]:
                asked += 1
                for echo in left.values():
                    echo.ask(asked, SIZE)
            for echo in select.select(list(left.values()), (), (), 0.1)[0]:
                while echo.hear():
                    pass
            answered.update(end.tunnel for end, echo in left.items() if echo.answered)
    finally:
        for echo in echoes.values():
            echo.close()
    return answered
