"""The timer that undoes a change which nobody has confirmed."""

import os
import sys

from l2wg_hooks.errors import fail
from l2wg_hooks.system import process, units

UNIT = "l2wg-rollback"
# Where systemd has it as long as it is armed (systemd-run(1), --collect).
ARMED = "/run/systemd/transient/" + UNIT + ".timer"


def arm(seconds, must):
    if not units.run_here():
        return
    if os.path.lexists(ARMED):
        disarm()
    argv = (
        "systemd-run",
        "--quiet",
        "--collect",
        "--unit=" + UNIT,
        "--description=l2wg: undo what nobody has confirmed",
        "--on-active=%d" % seconds,
        "--timer-property=AccuracySec=100ms",
        os.path.realpath(sys.argv[0]),
        "rollback",
        "--unconfirmed",
    )
    result = process.run(argv)
    if result.code and must:
        fail("`{}` failed: {}".format(" ".join(argv), result.err.strip()), "without a timer nothing was changed")


def disarm():
    if units.run_here():
        process.run(("systemctl", "stop", UNIT + ".timer"))
