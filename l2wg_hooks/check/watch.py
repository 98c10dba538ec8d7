"""The watch: whether its timer has anything to start."""

from l2wg_hooks.apply import watch_timer
from l2wg_hooks.check.cause import QUIET, Cause
from l2wg_hooks.check.scene import Check

CAUSES = (
    Cause(
        "watch-masked",
        QUIET,
        "l2wg-watch.timer is enabled, and what it starts is masked: nothing is put right between events, and the names "
        "of peers' endpoints (dynamic DNS) are not asked for anew.",
        "`systemctl unmask l2wg-watch.service`. Who wants no watch disables the timer.",
    ),
)


def _watch(scene):
    if scene.tunnels:
        yield from watch_timer.problems()


CHECKS = (Check("the watch", _watch),)
