"""All of /etc/l2wg: every tunnel that is wished for, and all that is wrong in its files."""

import os
from typing import NamedTuple, Tuple

from l2wg_hooks import files, settings
from l2wg_hooks.errors import L2wgError, Problem

DIRECTORY = "/etc/l2wg"
SUFFIX = ".conf"


class Wish(NamedTuple):
    """`broken` names the tunnels whose files are no use."""

    tunnels: Tuple[settings.Tunnel, ...]
    broken: Tuple[str, ...]
    problems: Tuple[Problem, ...]


def path(name):
    """The file of tunnel `name`."""
    return os.path.join(DIRECTORY, name + SUFFIX)


def names():
    """The names of all tunnels that have a file, sorted."""
    try:
        found = os.listdir(DIRECTORY)
    except FileNotFoundError:
        return []
    return sorted(name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX) and not name.startswith("."))


def texts():
    """{tunnel: text} of all files, as they are."""
    return {name: files.read(path(name)) for name in names()}


def load(replaced=None):
    """The Wish of all files. `replaced` maps a tunnel's name to a text that stands for its file's."""
    replaced = replaced or {}
    tunnels, broken, problems = [], [], []
    for name in sorted(set(names()) | set(replaced)):
        try:
            text = replaced[name] if name in replaced else files.read(path(name))
            tunnel, found = settings.parse(text, path(name), name)
        except L2wgError as error:
            tunnel, found = None, error.problems
        problems.extend(found)
        if tunnel is None:
            broken.append(name)
        else:
            tunnels.append(tunnel)
    clashes = tuple(settings.between(tunnels))
    # Of two files that contradict each other the later one, by name, is the one that waits.
    for problem in clashes:
        broken.extend(tunnel.name for tunnel in tunnels if tunnel.path == problem.path)
    tunnels = [tunnel for tunnel in tunnels if tunnel.name not in broken]
    return Wish(tuple(tunnels), tuple(broken), tuple(problems) + clashes)


def keep(wished, names):
    """The Wish without the tunnels that are not among `names`."""
    paths = [path(name) for name in names]
    return Wish(
        tuple(tunnel for tunnel in wished.tunnels if tunnel.name in names),
        tuple(name for name in wished.broken if name in names),
        tuple(problem for problem in wished.problems if problem.path in paths),
    )
