"""Files that root follows, though others may write them. For `l2wg check`, which tells; nothing refuses to work with them.

A refusal (such as sshd's StrictModes) would take the wire, and whoever is logged in through it, for a `chmod` that nobody
meant: the harm that it is to prevent.
"""

import os
import stat

from l2wg_hooks.check.cause import OPEN, Cause
from l2wg_hooks.check.scene import Check, with_id
from l2wg_hooks.config import last_applied, store, wg_quick
from l2wg_hooks.errors import Problem

CAUSES = (
    Cause(
        "rights",
        OPEN,
        "Somebody else than root may write a file, or a directory, that decides what root does.",
        "`chown root: FILE; chmod go-w FILE`, and see what is in it.",
    ),
)


def problems(tunnels):
    """Problems of files and directories that decide what root does, and that somebody else than root may write."""
    files = [store.path(name) for name in store.sources()]
    files += [wg_quick.path(name) for name in sorted({tunnel.underlay for tunnel in tunnels})]
    directories = [store.DIRECTORY, wg_quick.DIRECTORY, last_applied.DIRECTORY]
    seen = set()
    for path, sticky_helps in [(path, False) for path in directories] + [(path, True) for path in _reached(files)]:
        found = None if path in seen else _writer(path, sticky_helps)
        seen.add(path)
        if found:
            hint = f"chown root: {path}; chmod go-w {path} # and see what is in it"
            yield Problem(f"{found} may write it, and root does what it says", hint, path, id="rights")


def _reached(paths):
    """These files, and where symbolic links lead from them: the directory counts, too, since a file in it can be replaced."""
    for path in paths:
        target = os.path.realpath(path)
        yield target
        yield os.path.dirname(target)


def _writer(path, sticky_helps):
    """Who else than root may write there, in words; "" for nobody. In a sticky directory a file of root's cannot be replaced."""
    try:
        info = os.stat(path)
    except OSError:
        return ""
    if info.st_uid not in (0, os.geteuid()):
        return "the user %d" % info.st_uid
    if stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX and sticky_helps:
        return ""
    if info.st_mode & stat.S_IWOTH:
        return "everybody"
    # The group's bits are the mask of an access control list, too.
    return "the group %d" % info.st_gid if info.st_mode & stat.S_IWGRP else ""


def _rights(scene):
    for problem in problems(scene.tunnels):
        yield with_id("rights", problem)


CHECKS = (Check("who may write the files", _rights),)
