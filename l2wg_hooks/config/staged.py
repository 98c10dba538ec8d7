"""What `l2wg wall` will change in a tunnel's file once the other site is there, too: /var/lib/l2wg/wall/TUNNEL.conf.

Lines of that file only, so whatever else its admin changes until then stays.
"""

import os

from l2wg_hooks.config import last_applied, schema, store, tunnel_file
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.system import files

DIRECTORY = os.path.join(last_applied.DIRECTORY, "wall")
# The keys that it may have.
KEYS = ("wire", "underlay", "local", "remote", "mtu")
# The unit in which one waits for the other site.
UNIT = "l2wg-wall@{}.service"
HEAD = "# Of `l2wg wall`: how %s is to be. To take it back: l2wg wall --undo %s\n"


def path(name):
    """Where it is for tunnel `name`."""
    return os.path.join(DIRECTORY, name + store.SUFFIX)


def names():
    """The tunnels that have one, sorted."""
    try:
        found = os.listdir(DIRECTORY)
    except OSError:
        return []
    return sorted(name[: -len(store.SUFFIX)] for name in found if name.endswith(store.SUFFIX) and not name.startswith("."))


def read(name):
    """{key: value} for tunnel `name`; None where there is nothing. Raises L2wgError where it cannot be understood."""
    text = files.text(path(name), None, store.LARGEST)
    return None if text is None else parse(text, path(name), name)


def parse(text, where, name="TUNNEL"):
    """{key: value} of a file's text. Raises L2wgError. Pure."""
    found = {}
    for number, line in enumerate(tunnel_file.lines_of(text), 1):
        try:
            row = tunnel_file.split(line)
            if row is None:
                continue
            key, value = row[:2]
            if key not in KEYS or key in found:
                raise schema.Refused(f"{schema.shown(key)} does not belong here", "")
            schema.KEYS[key].parse(value)
            found[key] = value
        except schema.Refused as error:
            hint = f"l2wg wall --undo {name}; then begin again: l2wg wall {name}"
            fail(error.args[0], hint, path=where, line=number)
    return found


def write(name, changes):
    """Keep `changes`, {key: value}, for tunnel `name`. Raises L2wgError."""
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    rows = "".join("{} = {}\n".format(*change) for change in changes.items())
    files.write(path(name), HEAD % (name, name) + rows, 0o600)


def remove(name):
    """Forget it; so is the folder, with the last one."""
    files.remove(path(name))
    try:
        os.rmdir(DIRECTORY)
    except OSError:  # there are others, or there was none
        pass


def text(name):
    """The text of tunnel `name`'s file as it is to be; None where nothing is kept for it. Raises L2wgError."""
    changes = read(name)
    return None if changes is None else tunnel_file.edit(store.read(name), changes)


def tunnels(wished):
    """The Tunnels as they are to be, of those `wished` for that are not so yet. What cannot be read is told by `l2wg wall`."""
    found = []
    shared = [tunnel.name for tunnel in wished if not tunnel.walled]
    for name in names():
        if name in shared:
            try:
                new = tunnel_file.parse(text(name), path(name), name)[0]
            except (L2wgError, schema.Refused):
                continue
            if new is not None and new.walled:
                found.append(new)
    return tuple(found)
