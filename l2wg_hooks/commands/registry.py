"""The commands of l2wg. Each is a module of this folder under its own name, which has

`GROUP`, `HELP` and `EXAMPLE`: where it stands on the screen of `l2wg --help`, its line there, and how it may be called;
`READ_ONLY`, where it changes nothing: what it finds is for whoever has asked, not for the journal;
`FOR_ALL`, where others than root may call it;
`add_arguments(parser)`: its options, for argparse;
`run(options)`: (Problems, exit code). It may raise L2wgError.
"""

import importlib

from l2wg_hooks import __version__
from l2wg_hooks.commands import usage

# In the order of the screen, within the groups.
NAMES = (
    ("apply", "status", "sites", "check")
    + ("init", "card", "pair", "invite", "join", "unpair", "revoke", "rekey", "wall", "frr", "set", "attach", "detach")
    + ("plan", "rehearse", "confirm", "rollback")
    + ("up", "down", "metrics", "exec")
)


def module(name):
    """The module of a command."""
    return importlib.import_module("l2wg_hooks.commands." + name)


def parser(words=()):
    """The usage.Commands for a command line: of a command that it names, where nothing else is asked; else of all."""
    # The others' imports take several times as long as their options.
    names = words[:1] if words and words[0] in NAMES else NAMES
    return usage.Commands(__version__, {name: module(name) for name in names})
