"""All of /etc/l2wg: every tunnel that is wished for, and all that is wrong in its files."""

import os

from l2wg_hooks.config import conflicts, tunnel_file
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.model import Tunnel
from l2wg_hooks.system import files
from l2wg_hooks.typed import Any, NamedTuple, Tuple

DIRECTORY = "/etc/l2wg"
SUFFIX = ".conf"
# Bytes: a file of all keys, with a paragraph of comment for each, has a tenth of it. l2wg.conf(5) and judge.pl say so, too.
LARGEST = 1 << 16
# What stands for /etc/l2wg/sites where tunnels' files go by their names: no file there is one of a tunnel of that name.
SITES, SITES_NAME = ".:sites", "sites"
# What a router without a tunnel is told: where to begin.
EMPTY = "there is no tunnel in /etc/l2wg; to begin: l2wg init, or l2wg.conf(5)"
# Mistakes that are told of one file: each is a line on the screen, and an entry of the journal.
MOST = 20


class Wish(NamedTuple):
    """`broken` names the tunnels whose files are no use. `net` is a site_file.Net where there is a file of sites.

    Where that has faults, SITES is among the `broken`.
    """

    tunnels: Tuple[Tunnel, ...]
    broken: Tuple[str, ...]
    problems: Tuple[Problem, ...]
    net: Any = None


def path(name):
    """The file of tunnel `name`, or of SITES."""
    return os.path.join(DIRECTORY, SITES_NAME if name == SITES else name + SUFFIX)


def _listing():
    try:
        return os.listdir(DIRECTORY)
    except FileNotFoundError:
        return []
    except OSError as error:
        return fail(f"cannot be read: {error.strerror}", f"expected a directory: ls -ld {DIRECTORY}", path=DIRECTORY)


def _names(listing):
    return sorted(name[: -len(SUFFIX)] for name in listing if name.endswith(SUFFIX) and not name.startswith("."))


def names():
    """The names of all tunnels that have a file, sorted."""
    return _names(_listing())


def sources():
    """The names of all that tunnels come of: those that have a file, and SITES."""
    listing = _listing()
    return _names(listing) + [SITES] * (SITES_NAME in listing)


def is_empty():
    """Whether there is no file at all that a tunnel could come of."""
    return not sources()


def read(name):
    """The text of tunnel `name`'s file, or of SITES. Raises L2wgError where it is no regular file, or a very large one."""
    return files.read(path(name), files.LARGEST if name == SITES else LARGEST)


def texts():
    """{tunnel: text} of all files that can be read, as they are, SITES among them; `load` tells of the others."""
    found = {}
    for name in sources():
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
    sources_ = set(sources())
    for name in sorted((sources_ | set(replaced)) - {SITES}):
        if name in replaced and replaced[name] is None:
            continue
        try:
            text = replaced[name] if name in replaced else read(name)
            tunnel, found = tunnel_file.parse(text, path(name), name)
        except L2wgError as error:
            tunnel, found = None, error.problems
        problems.extend(first(found, name))
        if tunnel is None:
            broken.append(name)
        else:
            tunnels.append(tunnel)
    clashes = tuple(conflicts.between(tunnels))
    # Of two files that contradict each other the later one, by name, is the one that waits.
    later = {problem.path for problem in clashes}
    broken.extend(tunnel.name for tunnel in tunnels if tunnel.path in later)
    tunnels = [tunnel for tunnel in tunnels if tunnel.path not in later]
    wished = Wish(tuple(tunnels), tuple(broken), tuple(problems) + clashes)
    if SITES not in sources_ | set(replaced) or (SITES in replaced and replaced[SITES] is None):
        return wished
    from l2wg_hooks.config import site_file  # where there is such a file only

    net = site_file.load(replaced.get(SITES), tunnels, {name: _text(name, replaced) for name in broken})
    return wished._replace(
        tunnels=tuple(sorted(wished.tunnels + net.part.tunnels, key=lambda tunnel: tunnel.name)),
        broken=wished.broken + ((SITES,) if net.problems else ()),
        problems=wished.problems + net.problems,
        net=net,
    )


def _text(name, replaced):
    try:
        return replaced[name] if name in replaced else read(name)
    except L2wgError:
        return ""


def parsed(found):
    """The Tunnels of {name: text}, by name; what is wrong in one, others tell."""
    texts_ = {name: text for name, text in found.items() if name != SITES}
    rows = [(name, tunnel_file.parse(text, path(name), name)[0]) for name, text in sorted(texts_.items())]
    tunnels = [tunnel for _, tunnel in rows if tunnel is not None]
    if SITES not in found:
        return tunnels
    from l2wg_hooks.config import site_file

    net = site_file.load(found[SITES], tunnels, {name: texts_[name] for name, tunnel in rows if tunnel is None})
    return sorted(tunnels + list(net.part.tunnels), key=lambda tunnel: tunnel.name)


def steady(wished, applied):
    """The Wish where a tunnel whose file is no use is as it was `applied` last, {tunnel: text}, as far as it was.

    For whoever compares: what runs as it was wished for is not to be undone for a typing error. The Problems stay.
    """
    tunnels, broken = list(wished.tunnels), []
    accepted = conflicts.Accepted(tunnels)
    for name in wished.broken:
        known = name in applied and name != SITES
        tunnel = tunnel_file.parse(applied[name], path(name), name)[0] if known else None
        if tunnel is not None and accepted.add(tunnel):
            tunnels.append(tunnel)
        else:
            broken.append(name)
    return wished._replace(tunnels=tuple(sorted(tunnels, key=lambda tunnel: tunnel.name)), broken=tuple(broken))


def first(problems, name):
    """The first MOST Problems of tunnel `name`'s file, or of SITES, and how many more there are."""
    if len(problems) <= MOST:
        return problems
    return tuple(problems[:MOST]) + (Problem("%d more are wrong in it" % (len(problems) - MOST), "mend these first", path(name)),)


def keep(wished, names):
    """The Wish without the tunnels that are not among `names`."""
    names = set(names)
    paths = {path(name) for name in names}
    return Wish(
        tuple(tunnel for tunnel in wished.tunnels if (tunnel.path or path(tunnel.name)) in paths),
        tuple(name for name in wished.broken if name in names),
        tuple(problem for problem in wished.problems if problem.path in paths),
        wished.net if SITES in names else None,
    )
