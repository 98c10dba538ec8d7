"""When counters last grew: they count since the rules were loaded, and would be told as news for ever. Pure, but for `look`.

The kernel keeps no time with a counter, so whoever looks leaves a note for who looks next.
"""

import json

from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files, json_fields
from l2wg_hooks.typed import NamedTuple

NOTES = "/run/l2wg.growth"
# Seconds without one more frame after which a loop, or a storm, is over.
RECENT = 600
# Seconds after which a peer has answered whatever was sent: WireGuard itself answers after 10 (KEEPALIVE_TIMEOUT in
# drivers/net/wireguard/messages.h), and asks anew after 5 more (REKEY_TIMEOUT).
ANSWER = 20
# Bytes by which more was sent than keepalives: one of these has KEEPALIVE (a message without data), and wants no answer.
QUESTION, KEEPALIVE = 128, 32

# Seconds of which an average says something.
SHORTEST = 1


class Note(NamedTuple):
    """A counter: its `count`, and since when it is that, in seconds of the monotonic clock.

    Of a peer the count is what was received; `sent` is what had been sent by `since`, and `asked` when more had (0: not yet).
    """

    count: int
    since: float
    sent: int = 0
    asked: float = 0


class Rate(NamedTuple):
    """Bytes a second of a peer, on average since its note was made."""

    received: float
    sent: float


def after(notes, counts, sent, now):
    """{key: Note} of {key: count} as they are `now`; `notes` are those of before.

    `sent` is {key: (bytes, keepalive)} of peers, seconds or None where it is off.
    """
    found = {}
    for key, count in counts.items():
        old, (bytes_, keepalive) = notes.get(key), sent.get(key, (0, None))
        if old is None or old.count != count or old.since > now:
            old = Note(count, now, bytes_)
        idle = KEEPALIVE * (1 + int((now - old.since) // keepalive)) if keepalive else 0
        if not old.asked and bytes_ >= old.sent + QUESTION + idle:
            old = old._replace(asked=now)
        found[key] = old
    return found


def rates(notes, counts, sent, now):
    """{key: Rate} of peers, since the Notes that were made before; arguments as for `after`.

    What had been received and sent when a note was made is in it, so this is no less exact for looks in between.
    """
    found = {}
    for key, (bytes_, _) in sent.items():
        note, seconds = notes.get(key), now - notes[key].since if key in notes else 0
        # An interface that was made anew counts from 0.
        if seconds >= SHORTEST and counts[key] >= note.count and bytes_ >= note.sent:
            found[key] = Rate((counts[key] - note.count) / seconds, (bytes_ - note.sent) / seconds)
    return found


def recent(note, now):
    """Whether a counter that is not 0 has grown lately, or may have: who looks for the first time cannot tell."""
    return note is None or now - note.since < RECENT


def unanswered(note, now):
    """Seconds since which a peer has been sent something and has sent nothing back; 0 where it has, or may still do."""
    return now - note.asked if note is not None and note.asked and now - note.asked >= ANSWER else 0


def parse(text):
    """{key: Note} of a text of NOTES; none of one that is not ours."""
    try:
        rows = json_fields.load(text or "{}")
        return {key: Note(*row) for key, row in rows.items() if all(isinstance(number, (int, float)) for number in row)}
    except (json_fields.Unfit, AttributeError, TypeError):
        return {}


def read():
    """{key: Note} of those that were left."""
    try:
        return parse(files.text(NOTES))
    except L2wgError:
        return {}


def look(counts, sent, now):
    """{key: Note} of {key: count}: read, brought up to date and noted, as far as one may; rows that nobody asks for stay a day.

    `sent` is as for `after`, `now` the monotonic clock's.
    """
    try:
        text = files.text(NOTES)
    except L2wgError:
        text = ""
    notes = parse(text)
    found = after(notes, counts, sent, now)
    new = json.dumps(dict({key: note for key, note in notes.items() if now - note.since < 86400}, **found), sort_keys=True)
    if new != text:
        try:
            files.write(NOTES, new, 0o600)
        except L2wgError:
            pass  # nobody's but root's, and one can do without
    return found


def dropped(frames):
    """{key: count} of what nftables_state.counters gives: of each loop and storm that there has been."""
    return {"{} {}".format(*key): count for key, count in frames.items() if key[0] in ("loop", "storm") and count}


def peer(underlay, key):
    """The key of the peer `key` of a WireGuard interface."""
    return f"peer {underlay} {key}"


def pause(note, now):
    """How long ago a counter last grew, in words to be put behind a number; "" where it is a moment."""
    minutes = int(now - note.since) // 60 if note is not None else 0
    return ", none for %d min" % minutes if minutes else ""
