"""`l2wg wall --wait`: waits for the other site on the new wire, and changes to it when both are ready. See rendezvous.py.

It sleeps in recv(2) but for a datagram every few seconds, which also has WireGuard make its handshake. It holds no lock then.
"""

import os
import socket
import time
from typing import Optional, Tuple

from l2wg_hooks.apply import apply
from l2wg_hooks.config import staged, store
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.model import NAMESPACE
from l2wg_hooks.pairing import pair, rendezvous, wall
from l2wg_hooks.pairing.rendezvous import DONE, GO, KEPT, LOST, MET, READY, RESTS, WAITS, Meeting
from l2wg_hooks.system import log, network_namespace

# Of UDP, in a network namespace where nobody else has any but VXLAN.
PORT = 4788
# Seconds between two datagrams while nothing happens, and at a meeting.
INTERVAL, PAUSE = 3, 0.2
# Seconds that the other site has at each meeting: what it looks at takes some; its steps come at once.
PATIENCE = {READY: 20, GO: 10, DONE: 20}
POINTS = {apply.READY: READY, apply.GO: GO, apply.DONE: DONE}
# Seconds after an attempt that failed: doubled each time, up to a limit.
REST, LONGEST_REST = 30, 600
# Seconds that one who has kept it stays where nobody listens at the other site any longer.
LINGER = 120
# How often the last word at a meeting is said.
TIMES = 3


class Waiter:
    """Of one tunnel: `meeting` is how far it is, `line` the socket to the other site or None, `place` the namespace of that."""

    def __init__(self, name):
        self.name = name
        self.meeting = Meeting(WAITS, _nonce())
        self.line: Optional[socket.socket] = None
        self.place: Optional[Tuple[int, int]] = None
        self.ends = ("", "")
        self.failures, self.rested = 0, 0.0
        self.heard, self.refused = time.monotonic(), False

    def run(self):
        """Return when both sites have changed, or when nobody wants it any longer. Raises apply.Ended for a signal."""
        try:
            apply.settle()
            # Of one that was killed.
            text = staged.text(self.name)
            pair.forget_rejected({self.name: text} if text else {})
        except L2wgError as error:
            log.complain(error.problems)
        while self._is_wanted():
            self._open()
            self._send()
            self._hear(INTERVAL, self._has_to_act)
            if rendezvous.is_over(self.meeting):
                for _ in range(TIMES):
                    self._send()
                return self._end("both sites have a wire of their own")
            if self.meeting.phase == KEPT and self.refused and time.monotonic() - self.heard > LINGER:
                return self._end("the other site waits no longer")
            if rendezvous.may_begin(self.meeting):
                self._try()
            elif self.meeting.phase == RESTS and time.monotonic() > self.rested:
                self.meeting = self.meeting._replace(phase=WAITS)
        return self._shut()

    def _end(self, why):
        wall.forget(self.name)
        log.did(f"{self.name}: {why}")
        self._shut()

    def _is_wanted(self):
        """Whether there is still something to wait for, by the files as they are now; and whether that is the end only."""
        changes = staged.read(self.name)
        if changes is None:
            return False
        self.ends = changes.get("local", ""), changes.get("remote", "")
        wished = store.load()
        tunnel = next((tunnel for tunnel in wished.tunnels if tunnel.name == self.name), None)
        if tunnel is None and self.name in wished.broken:
            return True
        changed = tunnel is not None and tunnel.walled
        gone_back = self.meeting.phase == KEPT and not changed
        if tunnel is None or gone_back or (changed and (tunnel.local, tunnel.remote) != self.ends):
            # Somebody has taken it back, or away, or made it otherwise.
            self._end("nothing is waited for any longer")
            return False
        if changed and self.meeting.phase != KEPT:
            self.meeting = self.meeting._replace(phase=KEPT)
        return True

    def _has_to_act(self):
        return rendezvous.may_begin(self.meeting) or rendezvous.is_over(self.meeting)

    def _open(self):
        """Have a socket in the namespace as it is now. Until that, and the wire in it, is there, there is none."""
        place = _place()
        if self.line is not None and place == self.place:
            return
        self._shut()
        if place is not None:
            try:
                self.line, self.place = network_namespace.within(NAMESPACE, lambda: _connected(*self.ends)), place
            except OSError:
                pass

    def _shut(self):
        if self.line is not None:
            self.line.close()
            self.line = None

    def _send(self):
        if self.line is None:
            return
        try:
            self.line.send(rendezvous.encode(self.meeting.message()))
        except ConnectionRefusedError:  # what came back for the one before: nobody waits there
            self.refused = True
        except OSError:  # no wire any more
            self._shut()

    def _hear(self, seconds, enough):
        """Listen for so many seconds, or until `enough()`; of what has come already, only the last counts."""
        end = time.monotonic() + seconds
        while not enough():
            left = end - time.monotonic()
            if left <= 0:
                return
            if self.line is None:
                time.sleep(left)
                return
            message = None
            for data in self._datagrams(left):
                message = rendezvous.decode(data) or message
            if message is not None:
                self.meeting = self.meeting._replace(last=message)
                self.heard, self.refused = time.monotonic(), False
                if rendezvous.wants_answer(self.meeting):
                    self._send()

    def _datagrams(self, seconds):
        """Yield what comes first within so many seconds, and all that is there by then."""
        flags = 0
        while self.line is not None:
            self.line.settimeout(0 if flags else seconds)
            try:
                yield self.line.recv(100, flags)
            except ConnectionRefusedError:
                self.refused = True
                return
            except (socket.timeout, BlockingIOError):
                return
            except OSError:
                self._shut()
                return
            flags = socket.MSG_DONTWAIT

    def _try(self):
        """Change to the new wire together with the other site, or not at all."""
        self.meeting = rendezvous.begun(self.meeting)
        self._send()
        changes = None
        try:
            tunnel = wall.find(self.name)
            changes = wall.more(tunnel)
            left = apply.apply(more=changes, rehearsed=False, meet=self._meet)
        except L2wgError as error:
            if changes:
                pair.forget_rejected(changes.wish)
            if isinstance(error, apply.Ended):
                raise
            log.complain(problem for problem in error.problems if problem.message != apply.UNCHANGED)
            log.did(f"{self.name}: tried again in a while; l2wg wall --undo {self.name} ends that")
            self.failures += 1
            self.rested = time.monotonic() + min(LONGEST_REST, REST * 2 ** (self.failures - 1))
            self.meeting = Meeting(RESTS, _nonce(), self.meeting.last)
            return
        self.meeting = self.meeting._replace(phase=KEPT)
        self._send()
        log.did(f"{self.name} has a wire of its own")
        log.did(wall.rest_of(tunnel))
        log.complain(left)

    def _meet(self, point):
        """Return when the other site is at this point, too. Raises L2wgError where it does not come, or has gone back."""
        phase = POINTS[point]
        self.meeting = self.meeting._replace(phase=phase)
        end = time.monotonic() + PATIENCE[phase]
        while True:
            self._send()
            self._hear(PAUSE, self._has_met)
            found = rendezvous.outcome(self.meeting)
            if found == MET:
                for _ in range(TIMES):
                    self._send()
                return
            if found == LOST or time.monotonic() > end:
                fail("the other site does not go on", "it is tried again; what is wrong there: journalctl -t l2wg")

    def _has_met(self):
        return rendezvous.outcome(self.meeting) != rendezvous.OPEN


def _nonce():
    return os.urandom(8).hex()


def _place():
    """What tells the namespace from the one of that name before it; None where there is none."""
    try:
        found = os.stat(network_namespace.path(NAMESPACE))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connected(local, remote):
    """A socket that hears of nobody but the other site: WireGuard takes a source address from its own peer only."""
    found = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        # Other tunnels may wait for other sites on the same wire.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((local, PORT))
        found.connect((remote, PORT))
    except OSError:
        found.close()
        raise
    return found
