"""Which sites have changed their key for good: the former one is nobody's any longer, whatever a file says.

A site whose line says `was=FORMER` is let in by both keys until it has come with the new one; from then on it is so here, over
any number of starts, and an older copy of the file of sites is told from a newer one.
"""

import os

from l2wg_hooks.config import last_applied, schema
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files
from l2wg_hooks.typed import Dict

PATH = os.path.join(last_applied.DIRECTORY, "changed-keys")
HEAD = "# Written by l2wg: former public keys of sites, and what each was changed to. See FILES in l2wg(8).\n"


def parse(text) -> Dict[str, str]:
    """{former public key: the one that it was changed to} of the file's text. A line that is not as we write it is none."""
    rows = [line.split(" ") for line in text.split("\n")]
    rows = [row for row in rows if len(row) == 2 and row[0] != row[1]]
    return {old: new for old, new in rows if schema.PUBLIC_KEY.match(old) and schema.PUBLIC_KEY.match(new)}


def render(changed):
    """The file's text."""
    return HEAD + "".join(f"{old} {new}\n" for old, new in changed.items())


def read():
    """What is kept; nothing where that cannot be read."""
    try:
        return parse(files.text(PATH))
    except L2wgError:  # no file of ours: `add` says so
        return {}


def latest(key, changed):
    """The key that a site has by now which has had this one: over several changes, too."""
    seen = set()
    while key in changed and key not in seen:
        seen.add(key)
        key = changed[key]
    return key


def add(old, new):
    """Keep that a site has changed its key. Raises L2wgError."""
    changed = read()
    if changed.get(old) == new:
        return
    # Who has gone back to a former key has that one.
    changed.pop(new, None)
    changed[old] = new
    os.makedirs(last_applied.DIRECTORY, mode=0o755, exist_ok=True)
    files.write(PATH, render(changed), 0o600)
