"""The files that the next boot, and the next start of WireGuard, read."""

import os
from typing import Dict, List

from l2wg_hooks.apply import apply
from l2wg_hooks.check import wg_quick_hooks
from l2wg_hooks.check.cause import REBOOT, WAITS, Cause
from l2wg_hooks.check.scene import Check, with_id
from l2wg_hooks.config import device_events, ifupdown_bridge, ifupdown_files, wg_quick, wg_quick_readers
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.managers import ifupdown_state
from l2wg_hooks.system import files

CAUSES = (
    Cause(
        "unreadable",
        WAITS,
        "A file of interfaces(5) or wg-quick(8) is a named pipe, a socket or a device, or larger than such files are. ifup(8) "
        "and wg-quick(8) may wait for it for ever; l2wg reads nothing of it.",
        "Put it aside: the command is printed.",
    ),
    Cause(
        "postup-unread",
        REBOOT,
        "wg0.conf has our PostUp and PostDown, but wg(8) reads it (`wg setconf` in interfaces(5), a unit or a script): wg(8) "
        "takes nothing of such a file, so WireGuard does not come up the next time.",
        "`l2wg detach wg0`. Where ifupdown brings it up, its own hook does what these lines would.",
    ),
    Cause(
        "route-clash",
        REBOOT,
        "wg-quick makes a route of an AllowedIPs by `ip route add`, and another interface has the same one: the bridge's own "
        "network, mostly. It works until WireGuard is started the next time: then it says `File exists`, and wg0 is gone.",
        "In AllowedIPs `remote`/32 (/128) in the place of that network: the commands are printed. Or `Table = off`.",
    ),
    Cause(
        "not-sourced",
        REBOOT,
        "/etc/network/interfaces does not source interfaces.d, so the bridge that l2wg defines there is gone after a reboot.",
        "`source /etc/network/interfaces.d/*` in it.",
    ),
    Cause(
        "aside-lost",
        REBOOT,
        "The comments in /etc/network/interfaces with what a port carried before it became one of the bridge are gone, or not "
        "all there: somebody has rewritten the file. The bridge keeps what it has, by a copy.",
        "Nothing is lost. The command that is printed puts the comments back, so that a purge leaves the file as it was.",
    ),
    Cause(
        "ifupdown-absent",
        REBOOT,
        "l2wg has defined the bridge in /etc/network/interfaces.d/l2wg, but there is no ifup that would read it.",
        "`apt install ifupdown`; or define the bridge in what you use instead, and leave `bridge-ports` empty.",
    ),
)


def _boot(scene):
    """Files that are read at the next boot."""
    tunnels = scene.tunnels
    defined = ifupdown_files.read()
    for problem in defined.unread:
        yield with_id("unreadable", problem)
    if defined.ifupdown:
        yield from apply.unreached(scene.intent)
        if os.path.exists(ifupdown_bridge.OURS) and not ifupdown_state.is_installed():
            yield Problem("there is no ifup that reads it", "apt install ifupdown", ifupdown_bridge.OURS, id="ifupdown-absent")
    over: Dict[str, List[str]] = {}
    for tunnel in tunnels:
        over.setdefault(tunnel.underlay, []).append(tunnel.name)
    for name in sorted({tunnel.underlay for tunnel in tunnels if not tunnel.walled}):
        where = wg_quick.path(name)
        try:
            text = files.text(where, None)
        except L2wgError as error:
            for problem in error.problems:
                yield with_id("unreadable", problem)
            continue
        if text is None:
            continue
        answer = wg_quick_readers.ask(name, text, defined)
        yield answer.problem(where, name, text)
        for clash in scene.clashes.get(name, ()):
            yield clash.problem
        # An interface that ifupdown brings up has its own hook, a file for wg(8) takes no such lines, and udev tells of any.
        by_others = any(stanza.interface == name for stanza in defined.stanzas) or not device_events.missing()
        for problem in wg_quick_hooks.judge(text, where, name, over[name]) if answer.quick else ():
            if not (by_others and problem.id == "postup-missing"):
                yield problem


CHECKS = (Check("files for the next boot", _boot),)
