"""Two sites that change to another wire at the same moment: what they tell each other, and what follows from it. Pure.

A datagram says how far its sender is, which attempt of its own that is, and whose attempt it has heard of last:

    l2wg-wall 1 PHASE MINE HEARD

It comes by the new wire, so WireGuard has seen to it that it is the other site's. Any of them may get lost, and is repeated
until the other one goes on, so what counts is only what was heard last. Whoever hears nothing goes back; whoever has kept
the change says so until the other one has kept it, too, who needs to wait for nobody then.
"""

import re
from typing import NamedTuple

# How far a site is. RESTS: after an attempt that failed. WAITS: it would begin at once. READY: all is looked at, nothing is
# changed. GO: its steps come next. DONE: they are done. KEPT: nobody here undoes them any more.
RESTS, WAITS, READY, GO, DONE, KEPT = range(6)
NOBODY = "0" * 16
_FORM = re.compile(rb"l2wg-wall 1 ([0-5]) ([0-9a-f]{16}) ([0-9a-f]{16})\Z")
# What a meeting came to: they wait for each other; they have met; the other one has gone back.
OPEN, MET, LOST = "open", "met", "lost"


class Message(NamedTuple):
    """What a site tells: its phase, its attempt, and the other one's attempt that it has heard of (NOBODY: none)."""

    phase: int
    mine: str
    heard: str = NOBODY


# Nothing was heard.
SILENCE = Message(RESTS, NOBODY)


class Meeting(NamedTuple):
    """This site: the phase that it is in, its attempt, the Message that came last, and the attempt that it does this one with."""

    phase: int
    mine: str
    last: Message = SILENCE
    partner: str = NOBODY

    def message(self):
        """What to tell. Within an attempt that is for the one with whom it began, not for one who was started anew since."""
        return Message(self.phase, self.mine, self.partner if self.phase in (READY, GO, DONE) else self.last.mine)

    def hears_us(self):
        """Whether the other site has heard of this attempt."""
        return self.last.heard == self.mine


def encode(message):
    """The bytes of a Message."""
    return b"l2wg-wall 1 %d %s %s" % (message.phase, message.mine.encode(), message.heard.encode())


def decode(data):
    """The Message of a datagram; None for any other."""
    found = _FORM.match(data)
    return Message(int(found.group(1)), found.group(2).decode(), found.group(3).decode()) if found else None


def wants_answer(meeting):
    """Whether the other site, who was heard just now, has to be told at once. Two who have kept it have nothing more to say."""
    return not meeting.hears_us() or (meeting.phase == KEPT and meeting.last.phase != KEPT)


def may_begin(meeting):
    """Whether an attempt makes sense: each has heard of the other, who is not about to go back."""
    return meeting.phase == WAITS and meeting.hears_us() and meeting.last.phase in (WAITS, READY, GO, KEPT)


def begun(meeting):
    """The Meeting of an attempt with the one who was heard last."""
    return meeting._replace(partner=meeting.last.mine)


def outcome(meeting):
    """What the meeting at this phase has come to, by what was heard last."""
    last = meeting.last
    if last.phase == KEPT:
        return MET  # also after a reboot there
    if last.mine != meeting.partner:
        return LOST
    return MET if meeting.hears_us() and last.phase >= meeting.phase else OPEN


def is_over(meeting):
    """Whether both have kept it, and know that."""
    return meeting.phase == KEPT and meeting.last.phase == KEPT and meeting.hears_us()
