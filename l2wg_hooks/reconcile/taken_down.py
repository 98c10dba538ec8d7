"""What was taken down on purpose (`l2wg down`, ifdown, a unit that stops), lest the watch brings it back.

Kept in /run, a line each: the number of the interface (0 where there was none) and its name, "/all" for all. It holds until
an event asks for all of the plan again, the interface is made anew, or what was taken down is there again.
"""

from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files

PATH = "/run/l2wg.down"
# No interface has such a name (dev_valid_name in net/core/dev.c).
ALL = "/all"


def read():
    """{name: number} of what is kept; nothing where that cannot be read."""
    rows = [line.partition(" ")[::2] for line in files.kept(PATH).splitlines()]
    return {name: int(index) for index, name in rows if name and index.isdigit() and len(index) < 20}


def add(names):
    """Keep these, too. An event does not fail for it."""
    if not names:
        return
    known = read()
    known.update((name, _number(name)) for name in names)
    try:
        files.keep(PATH, "".join(f"{index} {name}\n" for name, index in sorted(known.items())))
    except L2wgError:
        pass


def _number(name):
    found = files.of_link(name, "ifindex")
    return int(found) if found.isdigit() else 0


def clear():
    """Forget all of it."""
    try:
        files.remove(PATH)
    except L2wgError:
        pass


def still(known, tunnels, links):
    """Those of {name: number} that are to stay down. Pure."""
    return tuple(
        name
        for name, index in known.items()
        if (name not in links or links[name].ifindex == index) and not any(_is_back(name, tunnel, links) for tunnel in tunnels)
    )


def _is_back(name, tunnel, links):
    """Whether a tunnel stands on it again: an event has asked for it."""
    link = links.get(tunnel.name)
    return link is not None and (name in (tunnel.name, tunnel.underlay) or (name == tunnel.bridge == link.master))
