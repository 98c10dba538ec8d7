"""Loops between the sites, and storms: by what the kernel has counted."""

import time

from l2wg_hooks import model
from l2wg_hooks.apply import ring_probe
from l2wg_hooks.check.cause import STORM, Cause
from l2wg_hooks.check.scene import Check, Idle
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import counter_growth

CAUSES = (
    Cause(
        "loop",
        STORM,
        "Frames of this router come back to its bridge: there is a second way between the sites (a cable, a WLAN "
        "bridge, another VPN).",
        "Find and cut it, or have both bridges speak STP.",
    ),
    Cause(
        "storm",
        STORM,
        "More frames than `storm-limit` allows: a loop, a broken card, or too low a limit.",
        "See what sends them: `tcpdump -n -e -i gretap1`.",
    ),
)


def _loops(scene):
    scene.wait_for_probes()
    if not any(tunnel.name in scene.links for tunnel in scene.tunnels):
        raise Idle("there is no tunnel")
    frames, now = nftables_state.counters(), time.monotonic()
    notes = counter_growth.look(counter_growth.dropped(frames), {}, now)
    beside = model.by_bridge(scene.tunnels)
    for tunnel in scene.tunnels:
        keys = [f"{reason} {tunnel.name}" for reason in ("loop", "storm")]
        # The probes have shown whether it goes on: what is over is no fault any more.
        looped, stormed = (notes[key].count if key in notes and counter_growth.recent(notes[key], now) else 0 for key in keys)
        since = [counter_growth.pause(notes.get(key), now) for key in keys]
        if looped:
            message = "a loop: %d frames of %s came back to it%s: there is a second way between the sites"
            hint = "find and cut that way (journalctl -k -g 'l2wg: loop'), or have both bridges speak STP"
            others = [other.name for other in beside[tunnel.bridge] if other.name != tunnel.name]
            hint = ring_probe.choices(tunnel, others) if others else hint
            yield tunnel.problem("bridge", message % (looped, tunnel.bridge, since[0]), hint, "loop")
        if stormed:
            yield tunnel.problem(
                "storm-limit",
                "%d frames were dropped, over %d a second%s" % (stormed, tunnel.storm_limit or 0, since[1]),
                f"see what sends them (tcpdump -n -e -i {tunnel.name}); a loop, or too low a limit",
                "storm",
            )


CHECKS = (Check("loops and storms", _loops, asked=True),)
