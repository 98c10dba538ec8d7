"""The watch: whether its timer has anything to start, and whether anybody looks at two hubs."""

from l2wg_hooks.apply import watch_timer
from l2wg_hooks.check.cause import QUIET, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.system import process, units

HUBS = "l2wg-hubs.timer"

CAUSES = (
    Cause(
        "watch-masked",
        QUIET,
        "l2wg-watch.timer is enabled, and what it starts is masked: nothing is put right between events, and the names "
        "of peers' endpoints (dynamic DNS) are not asked for anew.",
        "`systemctl unmask l2wg-watch.service`. Who wants no watch disables the timer.",
    ),
    Cause(
        "hubs-unwatched",
        QUIET,
        "This site has two hubs, and l2wg-hubs.timer does not run: where the hub that is listened to goes silent, nobody "
        "listens to the other one.",
        "`systemctl enable --now l2wg-hubs.path`, which begins the timer; if it is masked, unmask it first.",
    ),
)


def _watch(scene):
    if scene.tunnels:
        yield from watch_timer.problems()


def _hubs(scene):
    tunnel = next((tunnel for tunnel in scene.tunnels if tunnel.has_hubs), None)
    if tunnel is not None and units.run_here() and process.run((units.command("systemctl"), "-q", "is-active", HUBS)).code:
        message = f"{HUBS} does not run: if the hub that is listened to goes silent, nobody moves to the other one"
        hint = "systemctl enable --now l2wg-hubs.path # which begins it"
        yield tunnel.problem("", message, hint, id="hubs-unwatched")


CHECKS = (Check("the watch", _watch), Check("the watch of the hubs", _hubs))
