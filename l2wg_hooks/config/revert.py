"""A change that is taken back out of a text which somebody has edited since. Pure."""

import difflib
import re

from l2wg_hooks.typed import Dict, Optional


def back(now, new, old):
    """`now` with the change from `old` to `new` taken back in it; None where the lines of that change have been edited."""
    lines, after, before = (re.findall(r"[^\n]*\n|[^\n]+\Z", text) for text in (now, new, old))
    place: Dict[int, int] = {}
    for start, there, size in difflib.SequenceMatcher(None, after, lines, False).get_matching_blocks():
        place.update(zip(range(start, start + size), range(there, there + size)))
    for tag, first, end, start, stop in reversed(difflib.SequenceMatcher(None, after, before, False).get_opcodes()):
        if tag == "equal":
            continue
        # What was only taken out belongs behind the line that it stood behind.
        at: Optional[int] = place.get(first) if first < end else place.get(first - 1, -2) + 1 if first else 0
        if at is None or at < 0 or [place.get(index) for index in range(first, end)] != list(range(at, at + end - first)):
            return None
        behind = at + end - first
        # What somebody has put right behind lines that go was about these, unless it begins something new.
        if start == stop and place.get(end) != behind and re.match(r"\s*[^\s[]", "".join(lines[behind : behind + 1])):
            return None
        lines[at:behind] = before[start:stop]
    # A last line without its end is last no more where something has come behind it.
    return "".join(line if line.endswith("\n") or line is lines[-1] else line + "\n" for line in lines)
