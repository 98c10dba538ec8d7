"""What wg(8) is told of a WireGuard interface that l2wg makes: its file without the rest, and without names."""

from l2wg_hooks.config import own_wire, wg_quick
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.plan import wire_steps
from l2wg_hooks.system import files
from l2wg_hooks.typed import List


def write(names):
    """Write the files that the steps of a plan give to wg(8), for the WireGuard interfaces `names`; the Problems of that."""
    problems: List[Problem] = []
    for name in names:
        try:
            files.write(wire_steps.FILE.format(name), own_wire.stripped(files.read(wg_quick.path(name))), 0o600)
        except L2wgError as error:
            problems += error.problems
    return tuple(problems)


def clear(names):
    """Take these files away again: they have WireGuard's keys in them."""
    for name in names:
        files.remove(wire_steps.FILE.format(name))
