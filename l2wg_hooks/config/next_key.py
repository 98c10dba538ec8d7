"""The key that a WireGuard interface of this router is to have next: kept beside its file until `l2wg rekey --commit`.

/etc/wireguard/NAME.next-key, readable by root only. While the switch is tried it has the former key, too, and who has to answer:
whoever finds it then (a command, the watch's next look, also after a boot) brings that to its end. The text part is pure.
"""

import os

from l2wg_hooks.config import public_key, schema, wg_quick
from l2wg_hooks.errors import fail
from l2wg_hooks.system import files
from l2wg_hooks.typed import NamedTuple, Optional, Tuple

SUFFIX = ".next-key"
HEAD = "# Written by `l2wg rekey`: the next private key of %s. See CHANGING A KEY in l2wg(8).\n"
_NEXT, _FORMER, _PEERS = "Next", "Former", "Peers"


class NextKey(NamedTuple):
    """`private` is the next private key, `former` the one before it while the switch is tried, else "".

    `peers` are the public keys of those that had a session when that began: they have to answer.
    """

    private: str
    former: str = ""
    peers: Tuple[str, ...] = ()

    @property
    def public(self):
        """The public key of the next one."""
        return public_key.of(self.private)


def path(name):
    """Where that of a WireGuard interface stands."""
    return os.path.join(wg_quick.DIRECTORY, schema.interface_name(name) + SUFFIX)


def parse(text) -> Optional[NextKey]:
    """The NextKey of a text; None where there is none in it."""
    values = {}
    for line in text.split("\n"):
        key, equals, value = line.partition(" = ")
        if equals and key in (_NEXT, _FORMER, _PEERS):
            values[key] = value
    if not public_key.of(values.get(_NEXT, "")) or (_FORMER in values and not public_key.of(values[_FORMER])):
        return None
    if _FORMER not in values:
        return NextKey(values[_NEXT])
    return NextKey(values[_NEXT], values[_FORMER], tuple(values.get(_PEERS, "").split()))


def render(name, found):
    """The text of a NextKey."""
    rows = [(_NEXT, found.private)]
    if found.former:
        rows += [(_FORMER, found.former), (_PEERS, " ".join(found.peers))]
    return HEAD % name + "".join("%s = %s\n" % row for row in rows)


def names():
    """The WireGuard interfaces that have such a file."""
    try:
        found = os.listdir(wg_quick.DIRECTORY)
    except OSError:
        return []
    return sorted(name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX) and schema.NAME.match(name))


def read(name):
    """The NextKey of a WireGuard interface; None where it has none. Raises L2wgError for a file that is none."""
    text = files.text(path(name), None)
    if text is None:
        return None
    found = parse(text)
    if found is None:
        fail("there is no key in it", f"rm {path(name)}; then l2wg rekey makes another one", path=path(name))
    return found


def write(name, found):
    """Keep a NextKey. Raises L2wgError."""
    files.write(path(name), render(name, found), 0o600)


def since(name):
    """When the file was written, in seconds since the epoch."""
    return int(os.stat(path(name)).st_mtime)


def with_private(text, private):
    """A file of wg-quick(8) with this private key in the place of its own; None where it has none. Comments stay."""
    rows = wg_quick.rows_of(text)
    mine = [index for index, row in enumerate(rows) if row.section == "[interface]" and row.key == "privatekey"]
    if not mine:
        return None
    row = rows[mine[-1]]
    head, _, rest = row.text.partition("=")
    blanks = rest[: len(rest) - len(rest.lstrip(" \t"))]
    value, sign, comment = rest[len(blanks) :].partition("#")
    tail = value[len(value.rstrip()) :]
    rows[mine[-1]] = row._replace(text=f"{head}={blanks}{private}{tail}{sign}{comment}")
    return "".join(each.text + each.end for each in rows)
