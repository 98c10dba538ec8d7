"""What a tunnel waits for, and why that is not there."""

import os

from l2wg_hooks.check import routing, underlay
from l2wg_hooks.check.cause import NOTHING, WAITS, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.config import ifupdown_files, wg_quick, wg_quick_readers
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Wait
from l2wg_hooks.system import files

CAUSES = (
    Cause(
        "waiting",
        WAITS,
        "Something is not there yet that the tunnel needs.",
        "Bring up what is named; the event wires the rest.",
    ),
    Cause(
        "bridge-absent",
        NOTHING,
        "The bridge is not there: nobody has brought it up, or nobody defines it.",
        "`ifup br0` where interfaces(5) defines it; else name `bridge-ports`, and l2wg defines it.",
    ),
    Cause(
        "port-absent",
        NOTHING,
        "A port of `bridge-ports` is not there: it has another name now, or its card is out.",
        "`ip -brief link` tells which there are; `l2wg set gretap1 bridge-ports=...; l2wg apply`.",
    ),
)


def _waiting(scene):
    """What a tunnel waits for: the plan says what; here are the reasons that are known."""
    tunnels, links = scene.tunnels, scene.links
    said = set()
    for tunnel in tunnels:
        problem = underlay.absent(tunnel, links.get(tunnel.underlay), os.path.exists(wg_quick.path(tunnel.underlay)))
        if problem:
            problem = problem if tunnel.walled else _startable(problem, tunnel.underlay, links, scene)
            said |= {Wait(tunnel.name, kind, tunnel.underlay) for kind in ("underlay", "underlay-up")}
            yield problem
        if tunnel.bridge not in links:
            said.add(Wait(tunnel.name, "bridge", tunnel.bridge))
            yield tunnel.problem("bridge", f"{tunnel.bridge} is not there", _comes(tunnel), "bridge-absent")
        problem = routing.absent(tunnel, scene.index)
        if problem:
            said.add(Wait(tunnel.name, "address", tunnel.local))
            yield problem
        for name in tunnel.bridge_ports:
            if name not in links:
                said.add(Wait(tunnel.bridge, "port", name))
                hint = f"ip -brief link # which is it? then: l2wg set {tunnel.name} bridge-ports=...; l2wg apply"
                yield tunnel.problem("bridge-ports", f"the port {name} is not there", hint, "port-absent")
    for wait in scene.intent.todo.waiting:
        if wait not in said:
            yield Problem(str(wait), "l2wg tries again with every event", id="waiting")


def _startable(problem, name, links, scene):
    """The Problem of an underlay that is not up, with a cure that would not fail, nor cost what is left of it."""
    clash = next((route.problem for route in scene.clashes.get(name, ())), None)
    if clash:
        hint = "not yet, since it would fail: {}; then: {}".format(
            clash.hint.partition(" # ")[0], problem.hint.partition(" # ")[0]
        )
        return problem._replace(hint=hint)
    where = wg_quick.path(name)
    answer = wg_quick_readers.ask(name, files.read(where)) if os.path.exists(where) and name not in links else None
    if answer and not answer.quick:
        start = answer.start(name)
        return problem._replace(hint=start or f"bring it up by what does that: {answer.hint}")
    return problem


def _comes(tunnel):
    """What brings up a tunnel's bridge."""
    defined = ifupdown_files.read()
    if any(stanza.interface == tunnel.bridge for stanza in defined.stanzas):
        return f"ifup --force {tunnel.bridge}"
    if tunnel.bridge_ports:
        return "l2wg apply"
    return f"nobody defines it: l2wg set {tunnel.name} bridge-ports=...; l2wg apply; or bring it up by what does define it"


CHECKS = (Check("what is waited for", _waiting),)
