"""Which of a plan's steps the watch carries out now, where something keeps undoing them. Pure.

A fault is a group of the plan, with its steps. One that comes again each time it was put right is put right less and less often.
"""

import zlib

from l2wg_hooks.typed import Dict, NamedTuple, Tuple

# Times in a row after which something is said to keep undoing it.
TIMES = 3
# Seconds from one time to the next that count as in a row.
ROW = 300
# Seconds from then on, until it is put right again: twice as many each time.
FIRST, LONGEST = 60, 3600


class Fault(NamedTuple):
    """How often in a row a fault was put right, and when that was last, in seconds since the boot."""

    times: int
    last: int


History = Dict[str, Fault]


def pause(fault):
    """Seconds after the last time in which a Fault is left as it is."""
    return min(FIRST << min(fault.times - TIMES, 10), LONGEST) if fault.times >= TIMES else 0


def keys(steps) -> Dict[str, str]:
    """{group of the steps: the key of that fault}."""
    texts: Dict[str, str] = {}
    for step in steps:
        texts[step.group] = f"{texts.get(step.group, '')}{step}\n"
    return {group: f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x} {group}" for group, text in texts.items()}


def is_due(history: History, key, now):
    """Whether it is time to put a fault right."""
    fault = history.get(key)
    return fault is None or not fault.last <= now < fault.last + pause(fault)


def next_time(history: History, found, now):
    """The second since the boot at which the first of these keys is due."""
    return min((history[key].last + pause(history[key]) for key in found if not is_due(history, key, now)), default=now)


def known(history: History, now) -> History:
    """Those that are in a row still; a clock that has gone back is another boot's."""
    return {key: fault for key, fault in history.items() if fault.last <= now <= fault.last + pause(fault) + ROW}


def after(history: History, done, now) -> History:
    """The same when the faults of the keys `done` were put right."""
    found = known(history, now)
    found.update((key, Fault(found[key].times + 1 if key in found else 1, now)) for key in done)
    return found


def new(history: History, done) -> Tuple[str, ...]:
    """Those of `done` of which it is said now that something keeps undoing them; `history` is that after it."""
    return tuple(key for key in done if history[key].times == TIMES)
