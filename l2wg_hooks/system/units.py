"""systemd's units: whether there is anybody who would start one."""

import os

from l2wg_hooks.system import network_namespace

# sd_booted(3)
SYSTEMD = "/run/systemd/system"


def run_here():
    """Whether systemd runs here, for this network."""
    return os.path.isdir(SYSTEMD) and network_namespace.is_first()
