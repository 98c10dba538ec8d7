"""The timer that keeps where the tunnels' peers are heard: it runs as long as there are tunnels, unless it is disabled."""

import os

from l2wg_hooks.system import process, units

UNIT = "l2wg-watch.timer"
# What `systemctl enable` makes, and `systemctl disable` takes away.
ENABLED = "/etc/systemd/system/timers.target.wants/" + UNIT


def follow(tunnels):
    """Have it run, or not. At boot, and after an installation, systemd does the same by the unit's own condition."""
    if units.run_here() and os.path.lexists(ENABLED):
        process.output("systemctl", "--no-block", "start" if tunnels else "stop", UNIT)
