"""Whose peers have answered at the last looks of the watch, and the ports that l2wg holds down for those that have not.

Both are in /run, for this boot. A line that is not as we write it counts as not there. What judges is pure.
"""

import re

from l2wg_hooks.config import schema
from l2wg_hooks.system import files
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

ANSWERS, TAKEN = "/run/l2wg.answers", "/run/l2wg.ports"
# Looks in a row without an answer after which a peer is down.
LOOKS = 3
_ROW = re.compile(r"([A-Za-z0-9_.-]{1,15}) ([0-9]{1,20}) ([0-9]{1,12}) ([0-9])\Z")


class Row(NamedTuple):
    """Of a tunnel's peer, at the last look: bytes received, its handshake, and for how many looks it was `silent`."""

    received: int
    handshake: int
    silent: int


def parse(text) -> Dict[str, Row]:
    """{tunnel: Row} of the file's text."""
    found = {}
    for match in map(_ROW.match, text.split("\n")):
        if match and int(match.group(4)) <= LOOKS:
            found[match.group(1)] = Row(*(int(word) for word in match.groups()[1:]))
    return found


def render(rows):
    """The file's text."""
    return "".join("{} {} {} {}\n".format(name, *row) for name, row in sorted(rows.items()))


def heard(before, peer):
    """Whether a Peer (None: there is none now) has sent anything since the Row `before` (None: nobody has looked yet)."""
    if before is None or peer is None:
        return False
    # A new interface counts from 0.
    grown = peer.received > before.received or 0 < peer.received < before.received
    return grown or peer.handshake not in (0, before.handshake)


def after(before, peer, answers):
    """The Row of a look at which a peer answered, or did not."""
    silent = 0 if answers else min(LOOKS, (before.silent if before else 0) + 1)
    return Row(peer.received if peer else 0, peer.handshake if peer else 0, silent)


def down(rows) -> Tuple[str, ...]:
    """The tunnels whose peers are down."""
    return tuple(name for name, row in sorted(rows.items()) if row.silent >= LOOKS)


def read() -> Dict[str, Row]:
    """{tunnel: Row} of the last look."""
    return parse(files.kept(ANSWERS))


def write(rows):
    """Keep this for the next look. Raises L2wgError."""
    files.keep(ANSWERS, render(rows))


def taken() -> Tuple[str, ...]:
    """The ports that l2wg holds down."""
    return tuple(name for name in files.kept(TAKEN).split("\n") if len(name) < 16 and schema.NAME.match(name))


def take(ports):
    """Keep which ports l2wg holds down. Raises L2wgError."""
    files.keep(TAKEN, "".join(f"{port}\n" for port in ports))
