"""The file of where each tunnel's peer was heard last, for a start of its WireGuard interface that knows no endpoint of it."""

import os

from l2wg_hooks.config import endpoint_lines, last_applied
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files

PATH = os.path.join(last_applied.DIRECTORY, "endpoints")


def read():
    """What is kept; nothing where that cannot be read."""
    try:
        return endpoint_lines.parse(files.text(PATH))
    except L2wgError:  # no file of ours: `write` says so
        return {}


def write(heard):
    """Keep this. Raises L2wgError."""
    if not heard:
        files.remove(PATH)
        return
    os.makedirs(last_applied.DIRECTORY, mode=0o755, exist_ok=True)
    files.write(PATH, endpoint_lines.render(heard), 0o600)
