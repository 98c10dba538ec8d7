"""The files of /etc/l2wg, and whether files and kernel are as they ask for."""

import os

from l2wg_hooks.check.cause import LARGE, OPEN, REACH, WAITS, Cause
from l2wg_hooks.check.scene import Check, with_id
from l2wg_hooks.config import ifupdown_files, last_applied, store
from l2wg_hooks.errors import Problem
from l2wg_hooks.plan import planner, wire_steps

CAUSES = (
    Cause(
        "settings",
        WAITS,
        "A file in /etc/l2wg has a mistake, or asks for what cannot be: two tunnels with the same ends, an underlay "
        "that is no WireGuard, a line of `sites` that contradicts another one.",
        "Mend the line that is named. Nothing of that tunnel is touched until then.",
    ),
    Cause(
        "port-address",
        WAITS,
        "A port of `bridge-ports` carries an IP address, and a port of a bridge has none.",
        "`l2wg apply --yes` moves it to the bridge where that is possible; or name another port.",
    ),
    Cause(
        "unconfirmed",
        WAITS,
        "`l2wg apply --confirm` waits for its confirmation, or an `apply` was ended half-way.",
        "`l2wg confirm`, or `l2wg rollback`.",
    ),
    Cause(
        "files-differ",
        WAITS,
        "The files that l2wg writes are not what /etc/l2wg asks for: one was edited since.",
        "`l2wg apply`.",
    ),
    Cause(
        "not-applied",
        WAITS,
        "The kernel is not as it is wished for: /etc/l2wg was edited, or somebody has changed an interface by hand.",
        "`l2wg apply`; each event does the same.",
    ),
    Cause(
        "networkmanager",
        WAITS,
        "NetworkManager manages a port or the bridge, and takes it out of the bridge when it finds no lease.",
        "`l2wg apply` has it let go; after its next start it reads interfaces(5) and knows.",
    ),
    Cause(
        "names-port",
        REACH,
        "A port's address has moved to its bridge, and another program's file still names the port.",
        "Where it means the network and not the card, write the bridge's name.",
    ),
    Cause("guard", OPEN, "The guard, clamp or fences are not in force, or somebody has changed their rules.", "`l2wg apply`."),
    Cause(
        "clamp",
        LARGE,
        "The MSS clamp by iptables (`mss-clamp = iptables`) is gone: somebody has flushed the table mangle.",
        "`l2wg apply`; or `mss-clamp = nftables`, whose rules are nobody else's.",
    ),
    Cause(
        "policy-route",
        LARGE,
        "The policy route of a VXLAN or a GRE tunnel over IPv6 is missing: the kernel drops its full-size frames.",
        "`l2wg apply`.",
    ),
    Cause(
        "nft-form",
        WAITS,
        "A key asks for rules that this router's nft(8) or kernel does not take: an old nft(8), or a kernel without a module.",
        "`l2wg check -v` lists what both have, and since which version. Without that key the tunnel is made, guard and all; "
        "without the guard it is not.",
    ),
)


def _settings(scene):
    for problem in scene.wished.problems:
        name = os.path.basename(problem.path)
        yield with_id("settings", problem, name[: -len(store.SUFFIX)] if name.endswith(store.SUFFIX) else "")


def _change(scene):
    if last_applied.pending():
        message = "a change waits for its confirmation, or came to no end"
        yield Problem(message, "l2wg confirm, or l2wg rollback", id="unconfirmed")


STEPS = {
    planner.GUARD: "guard",
    wire_steps.GUARD: "guard",
    "iptables": "clamp",
    "ways": "policy-route",
    "NetworkManager": "networkmanager",
}


def _plan(scene):
    intent = scene.intent
    told = set(scene.wished.problems) | set(ifupdown_files.read().unread if intent.problems else ())
    for problem in intent.problems:
        if problem not in told:
            yield with_id("settings", problem)
    yield from intent.told
    for name in intent.texts:
        if os.path.dirname(name) == ifupdown_files.COPIES:
            continue  # the next apply makes it
        message = f"is not what the files in {store.DIRECTORY} ask for"
        yield Problem(message, "l2wg apply", name, id="files-differ")
    names = {tunnel.name for tunnel in intent.tunnels}
    for step in intent.steps + intent.todo.steps:
        # What the rules say comes first: it is the one that lets strangers in.
        fact = "guard, clamp and fences are not in force" if step.group == planner.GUARD else f"{step.group}: not as wished"
        cause = STEPS.get(step.group, "policy-route" if step.argv[1:2] in (("rule",), ("route",), ("-6",)) else "not-applied")
        name = step.group if step.group in names else ""
        yield Problem(f"{fact}: {step.reason} (`{step}`)", "l2wg apply", id=cause, tunnel=name)
    for mention in intent.named:
        yield with_id("names-port", mention.problem())


CHECKS = (Check("settings", _settings, False), Check("change under way", _change, False), Check("plan", _plan))
