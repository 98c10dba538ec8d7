"""The timer that keeps where the tunnels' peers are heard: it runs as long as there are tunnels, unless it is disabled."""

import os

from l2wg_hooks.errors import Problem
from l2wg_hooks.system import process, units

UNIT, SERVICE = "l2wg-watch.timer", "l2wg-watch.service"
# What `systemctl enable` makes, and `systemctl disable` takes away.
ENABLED = "/etc/systemd/system/timers.target.wants/" + UNIT


def follow(tunnels):
    """Have it run, or not. At boot, and after an installation, systemd does the same by the unit's own condition."""
    if units.run_here() and os.path.lexists(ENABLED):
        # Whoever is about to come with another key is waited for from now on.
        more = (SERVICE,) if any(peer.was for tunnel in tunnels for peer in tunnel.peers) else ()
        process.output("systemctl", "--no-block", "start" if tunnels else "stop", UNIT, *more)


def problems():
    """The Problem of a timer that is enabled, and starts nothing."""
    if units.run() and os.path.lexists(ENABLED) and units.is_masked(SERVICE) and not units.is_masked(UNIT):
        message = f"{SERVICE} is masked: {UNIT} starts nothing, so nothing is put right, and no name is asked for anew"
        hint = f"systemctl unmask {SERVICE}; or, to do without the watch: systemctl disable --now {UNIT}"
        yield Problem(message, hint, id="watch-masked")
