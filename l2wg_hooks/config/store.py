"""All of /etc/l2wg: every tunnel that is wished for, and all that is wrong in its files."""

import os

from l2wg_hooks.config import conflicts, tunnel_file
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.model import Tunnel
from l2wg_hooks.system import files
from l2wg_hooks.typed import NamedTuple, Tuple

DIRECTORY = "/etc/l2wg"
SUFFIX = ".conf"
# Bytes: a file of all keys, with a paragraph of comment for each, has a tenth of it. l2wg.conf(5) and judge.pl say so, too.
LARGEST = 1 << 16
# What a router without a tunnel is told: where to begin.
EMPTY = "there is no tunnel in /etc/l2wg; to begin: l2wg init, or l2wg.conf(5)"
# Mistakes that are told of one file: each is a line on the screen, and an entry of the journal.
MOST = 20


class Wish(NamedTuple):
    """`broken` names the tunnels whose files are no use."""

    tunnels: Tuple[Tunnel, ...]
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
    except OSError as error:
        fail(f"cannot be read: {error.strerror}", f"expected a directory: ls -ld {DIRECTORY}", path=DIRECTORY)
    return sorted(name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX) and not name.startswith("."))


def read(name):
    """The text of tunnel `name`'s file. Raises L2wgError where it is no regular file, or a very large one."""
    return files.read(path(name), LARGEST)


def texts():
    """{tunnel: text} of all files that can be read, as they are; `load` tells of the others."""
    found = {}
    for name in names():
        try:
            found[name] = read(name)
        except L2wgError:
            pass
    return found


def wires(underlay):
    """What the tunnels over a WireGuard interface say of `wire`; empty where there is none."""
    return {tunnel.wire for tunnel in load().tunnels if tunnel.underlay == underlay}


def load(replaced=None):
    """The Wish of all files. `replaced` maps a tunnel's name to a text that stands for its file's, or to None: it is gone."""
    replaced = replaced or {}
    tunnels, broken, problems = [], [], []
    for name in sorted(set(names()) | set(replaced)):
        if name in replaced and replaced[name] is None:
            continue
        try:
            text = replaced[name] if name in replaced else read(name)
            tunnel, found = tunnel_file.parse(text, path(name), name)
        except L2wgError as error:
            tunnel, found = None, error.problems
        problems.extend(_first(found, name))
        if tunnel is None:
            broken.append(name)
        else:
            tunnels.append(tunnel)
    clashes = tuple(conflicts.between(tunnels))
    # Of two files that contradict each other the later one, by name, is the one that waits.
    later = {problem.path for problem in clashes}
    broken.extend(tunnel.name for tunnel in tunnels if tunnel.path in later)
    tunnels = [tunnel for tunnel in tunnels if tunnel.path not in later]
    return Wish(tuple(tunnels), tuple(broken), tuple(problems) + clashes)


def parsed(found):
    """The Tunnels of {name: text}, by name; what is wrong in one, others tell."""
    tunnels = (tunnel_file.parse(text, path(name), name)[0] for name, text in sorted(found.items()))
    return [tunnel for tunnel in tunnels if tunnel is not None]


def steady(wished, applied):
    """The Wish where a tunnel whose file is no use is as it was `applied` last, {tunnel: text}, as far as it was.

    For whoever compares: what runs as it was wished for is not to be undone for a typing error. The Problems stay.
    """
    tunnels, broken = list(wished.tunnels), []
    accepted = conflicts.Accepted(tunnels)
    for name in wished.broken:
        tunnel = tunnel_file.parse(applied[name], path(name), name)[0] if name in applied else None
        if tunnel is not None and accepted.add(tunnel):
            tunnels.append(tunnel)
        else:
            broken.append(name)
    return Wish(tuple(sorted(tunnels, key=lambda tunnel: tunnel.name)), tuple(broken), wished.problems)


def _first(problems, name):
    """The first MOST Problems of a file, and how many more there are."""
    if len(problems) <= MOST:
        return problems
    return tuple(problems[:MOST]) + (Problem("%d more are wrong in it" % (len(problems) - MOST), "mend these first", path(name)),)


def keep(wished, names):
    """The Wish without the tunnels that are not among `names`."""
    names = set(names)
    paths = {path(name) for name in names}
    return Wish(
        tuple(tunnel for tunnel in wished.tunnels if tunnel.name in names),
        tuple(name for name in wished.broken if name in names),
        tuple(problem for problem in wished.problems if problem.path in paths),
    )
