"""Many tunnels in a picture: a row each, or groups of those of which there is the same to say. Pure."""

import re
from typing import Dict, List, NamedTuple, Tuple

from l2wg_hooks.observe.wg_interfaces import SESSION
from l2wg_hooks.status.render_text import count
from l2wg_hooks.status.status import State

_NUMBERS = re.compile("([0-9]+)")
# Up to so many tunnels of a bridge, each has a row or a box of its own.
ROWS = 24
UP, MISSING, DOWN, APART, PEERLESS = "up", "missing", "down", "not in the bridge", "no peer"
UNHEARD, SILENT, WRONG = "no handshake yet", "silent", "something is wrong"
# In this order: first what wants to be looked at, and last what is well.
WORDS = (MISSING, DOWN, APART, PEERLESS, UNHEARD, SILENT, WRONG, UP)
# Of those, a handshake's age is of interest.
HEARD = (SILENT, UP)


class Group(NamedTuple):
    """Tunnels of which one of WORDS is true; `fine` is whether they carry frames, as far as one can tell from here."""

    word: str
    fine: bool
    tunnels: Tuple[State, ...]

    @property
    def title(self):
        """Such as "73 sites"."""
        return count(len(self.tunnels), "site" if all(tunnel.wish.site for tunnel in self.tunnels) else "tunnel")

    @property
    def names(self):
        """Those of the sites, or of the tunnels, in their order."""
        return tuple(called(tunnel) for tunnel in self.tunnels)


def called(tunnel):
    """Who is at its other end, or its name."""
    return tunnel.wish.site or tunnel.name


def ordered(tunnels):
    """Some tunnels by who is at the other end, numbers in names as numbers: branch-2 before branch-10."""
    return sorted(tunnels, key=lambda tunnel: _parts(called(tunnel)))


def _parts(name):
    return [int(part) if number % 2 else part for number, part in enumerate(_NUMBERS.split(name))]


def word(status, tunnel):
    """The one of WORDS that is true of a tunnel: the first one, where several are."""
    far = tunnel.peer
    if not tunnel.there:
        return MISSING
    if not tunnel.up:
        return DOWN
    if tunnel.wish.bridge and not tunnel.joined:
        return APART
    if far is None:
        return PEERLESS
    if far.age is None:
        return UNHEARD
    if far.age > SESSION:
        return SILENT
    return UP if status.carries(tunnel) else WRONG


def groups(status, tunnels):
    """The Groups of some tunnels: by WORDS, and by whether they carry."""
    found: Dict[Tuple[str, bool], List[State]] = {}
    for tunnel in ordered(tunnels):
        found.setdefault((word(status, tunnel), status.carries(tunnel)), []).append(tunnel)
    order = sorted(found, key=lambda key: (key[1], WORDS.index(key[0])))
    return [Group(said, fine, tuple(found[said, fine])) for said, fine in order]


def common(tunnels):
    """What is the same of all of them, or which of each there are: such as "gretap through wg0, MTU 1500"."""
    kinds, underlays, sizes = (
        " and ".join(sorted({str(value) for value in values}))
        for values in zip(*((tunnel.wish.kind, tunnel.wish.underlay, tunnel.wish.mtu) for tunnel in tunnels))
    )
    return f"{kinds} through {underlays}, MTU {sizes}"
