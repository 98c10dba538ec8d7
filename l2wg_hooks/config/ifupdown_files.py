"""interfaces(5) as it is on this router: MAIN and all that it sources."""

import glob
import os
import re

from l2wg_hooks.config import ifupdown, ifupdown_stanzas
from l2wg_hooks.config.schema import NAME
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files
from l2wg_hooks.typed import List, Set, Tuple

# A copy of what was set aside for each port, under its name: comments in a file of the admin's are anybody's to take out.
COPIES = "/var/lib/l2wg/aside"


def read(main=None):
    """What interfaces(5) defines, all sourced files included. A file that cannot be read defines nothing."""
    stanzas: List[ifupdown.Stanza] = []
    aside: List[ifupdown.Stanza] = []
    paths: List[str] = []
    marked: List[str] = []
    lines: List[Tuple[str, str, str]] = []
    unread: List[Problem] = []
    visited: Set[str] = set()

    def visit(path):
        real = os.path.realpath(path)
        if real in visited:  # files may source each other, and `source-directory .` themselves
            return
        visited.add(real)
        try:
            text = files.read(path)
        except L2wgError as error:
            # A folder in a folder and a link that leads nowhere are nothing to ifupdown either.
            if os.path.exists(path) and not os.path.isdir(path):
                unread.extend(error.problems)
            return
        paths.append(path)
        found, sources = ifupdown.parse(text, path)
        stanzas.extend(found)
        aside.extend(ifupdown.parse(ifupdown_stanzas.aside(text), path)[0])
        marked.extend([path] if ifupdown_stanzas.MARK in text else [])
        for word, pattern in sources:
            lines.append((word, pattern, os.path.dirname(path)))
            for name in _sourced(*lines[-1]):
                visit(name)

    visit(main or ifupdown.MAIN)
    there = os.path.isdir(os.path.dirname(main or ifupdown.MAIN))
    found = ifupdown.Defined(
        tuple(stanzas), tuple(paths), tuple(lines), tuple(aside), there, tuple(unread), tuple(marked), _copies()
    )
    for port, text in found.copies.items():
        copied = [stanza for stanza in ifupdown.parse(text, os.path.join(COPIES, port))[0] if stanza.interface == port]
        if not ifupdown.same_keys(copied, [stanza for stanza in aside if stanza.interface == port]):
            found = found.instead(port, copied)
    return found


def _copies():
    found = {}
    try:
        for name in sorted(os.listdir(COPIES)):
            if NAME.match(name):
                found[name] = files.read(os.path.join(COPIES, name))
    except (OSError, L2wgError):
        pass  # then the comments count
    return found


def _sourced(word, pattern, base):
    pattern = os.path.join(base, pattern)
    try:
        found = sorted(os.path.normpath(name) for name in glob.glob(pattern))
    except (ValueError, re.error, RecursionError):  # a NUL, thousands of folders, or [z-a] before Python 3.9: no file is there
        return []
    if word == "source":
        # wordexp(3) gives a directory, too; ifupdown takes the files in it as for source-directory.
        return [name for name in found if not os.path.isdir(name)] + [
            name for directory in found if os.path.isdir(directory) for name in _inside(directory)
        ]
    return [name for directory in found for name in _inside(directory)]


def _inside(directory):
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    # The names that source-directory takes: interfaces(5), INCLUDING OTHER FILES.
    return [os.path.join(directory, name) for name in names if re.match(r"[A-Za-z0-9_-]+\Z", name)]
