"""A file of sites that takes the place of /etc/l2wg/sites, as part of the change that carries it out: whole or not at all."""

import os
import sys

from l2wg_hooks.apply import preview
from l2wg_hooks.config import last_applied, store
from l2wg_hooks.errors import fail
from l2wg_hooks.system import files

# What stands for standard input.
STDIN = "-"


def of(source):
    """The ExtraChanges of a file, or of STDIN; preview.NOTHING where /etc/l2wg/sites has that text already, or without a source.

    Nothing is changed, and nothing in the text is judged yet. Raises L2wgError where it cannot be read, or not be put there.
    """
    if not source:
        return preview.NOTHING
    new, path = _read(source), store.path(store.SITES)
    there = store.SITES in store.sources()
    old = store.read(store.SITES) if there else ""
    if there and new == old:
        return preview.NOTHING
    if os.path.realpath(path).startswith(last_applied.NIX):
        fail("a configuration of NixOS has written it", "change it where it comes from, then: nixos-rebuild switch", path=path)
    if not new:
        # As a pipe gives it whose other end has failed.
        fail("there is nothing in the file that should take its place", f"to do without: rm {path}; l2wg apply", path=path)
    return preview.ExtraChanges({store.SITES: new}, {path: (old, new)}, (), "", ())


def _read(source):
    if source != STDIN:
        return files.read(source)
    if sys.stdin is None:
        return ""
    data = sys.stdin.buffer.read(files.LARGEST + 1)
    if len(data) > files.LARGEST:
        fail("standard input is larger than %d MiB, and is not read" % (files.LARGEST >> 20), "give it a file of l2wg-sites(5)")
    return data.decode("utf-8", "surrogateescape")
