"""Which of two hubs this router listens to: by default the first one of the net's line. See site_hubs.py.

A line, the hub's public key. In /run for this boot, which can be written whatever becomes of the disk; and beside what was
applied last, so that the next boot begins with the hub that answered.
"""

import os

from l2wg_hooks.config import last_applied, schema
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files

PATH, KEPT = "/run/l2wg.hub", os.path.join(last_applied.DIRECTORY, "hub")


def read():
    """The public key; "" where nothing was chosen."""
    for text in (files.kept(PATH), files.glance(KEPT)):
        key = text.strip("\n")
        if schema.PUBLIC_KEY.match(key):
            return key
    return ""


def write(key):
    """Keep this one for this boot. Raises L2wgError."""
    files.keep(PATH, f"{key}\n")


def remember(key):
    """Keep it for the next boot, too; nobody waits for the disk."""
    try:
        os.makedirs(last_applied.DIRECTORY, mode=0o755, exist_ok=True)
        files.write(KEPT, f"{key}\n")
    except (L2wgError, OSError):  # a full disk, or one that is read only: the next boot begins with another one, and moves
        pass
