"""A rehearsal judged: what the next start would lose against today's start, the wish, and the router as it runs. Pure."""

import ipaddress
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks.config import wg_quick
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Tunnel, holders
from l2wg_hooks.rehearsal import outcome
from l2wg_hooks.rehearsal.outcome import BOOT, Fact

HINT = "mend that, then: l2wg rehearse"


class Scene(NamedTuple):
    """What rehearsals are judged by.

    `tunnels` are wished for, `live` is the Look of now, `names` are the interfaces that it is about, `nics` those that are
    cards, `moved` is {port: the bridge that it is part of}, `gone` are Facts that the wish takes away, `texts` are {path: text}
    of WireGuard's files as they will be, `applied` are the names of the tunnels that the start of today is to make.
    """

    tunnels: Tuple[Tunnel, ...]
    applied: Tuple[str, ...]
    live: outcome.Look
    names: Tuple[str, ...]
    nics: Tuple[str, ...]
    moved: Dict[str, str]
    gone: frozenset
    texts: Dict[str, str]


def worse(new, old, scene) -> Tuple[Problem, ...]:
    """Problems of what the start with the `new` files would lose against that with the `old` ones, or against the wish."""
    known = {(outcome.normal(failure.line.command, scene.moved), failure.code is None) for failure in old.failures}
    failures = [
        failure
        for failure in new.failures
        if (outcome.normal(failure.line.command, scene.moved), failure.code is None) not in known
    ]
    failed = {(step.argv, step.code is None) for step in old.steps if step.code != 0}
    steps = [step for step in new.steps if step.code != 0 and (step.argv, step.code is None) not in failed]
    lost = {}
    # Where today's start comes to no end, there is nothing to compare with.
    for moment, look in new.looks.items() if BOOT in old.looks else ():
        before = outcome.facts(_same(moment, old, scene), scene.names)
        lost[moment] = outcome.lost(before - scene.gone, outcome.facts(look, scene.names), scene.moved)
    down = [name for name in old.up if name not in new.up and scene.moved.get(name, name) not in new.up]
    down = [name for name in down if Fact("interface", name) not in scene.gone]
    found = list(_told(new, old, failures, steps, lost, down, scene))
    old_unmet = {problem.tunnel for problem in unmet(old, scene) if problem.tunnel in scene.applied}
    found += [problem for problem in unmet(new, scene) if problem.tunnel not in old_unmet]
    return tuple(found) + tuple(_out_of_reach(new, old, scene))


def differs(new, scene) -> Tuple[Problem, ...]:
    """Problems of what the start with the `new` files would not have that this router has now, or that is wished for."""
    lost = {BOOT: outcome.lost(outcome.facts(scene.live, scene.names) - scene.gone, _facts(new, BOOT, scene), scene.moved)}
    if BOOT not in new.looks:
        lost = {}
    for moment, look in new.looks.items():
        if moment != BOOT:
            # What others have put on it goes with it on every router.
            booted = _facts(new, BOOT, scene)
            mine = [fact for fact in booted if fact.value == moment or (fact.interface == moment and fact.kind != "route")]
            lost[moment] = outcome.lost(mine, outcome.facts(look, scene.names), scene.moved)
    steps = [step for step in new.steps if step.code != 0]
    return tuple(_told(new, new, new.failures, steps, lost, (), scene)) + tuple(unmet(new, scene))


def _facts(found, moment, scene):
    return outcome.facts(found.looks[moment], scene.names) if moment in found.looks else set()


def _same(moment, old, scene):
    """The Look of `old` to compare with this moment: that of a bridge with that of the port whose stanza it has now."""
    for name in [moment] + [port for port, bridge in scene.moved.items() if bridge == moment]:
        if name in old.looks:
            return old.looks[name]
    return old.looks[BOOT]


def _when(moment, found):
    """How a moment is called."""
    if moment == BOOT:
        return "at the next boot"
    return "by `{}`".format("; ".join(str(step) for step in found.steps if step.moment == moment))


def _told(new, old, failures, steps, lost, down, scene):
    """Problems: each command that fails with what is missing then, and what is missing without one that fails."""
    said, told, bad = set(), set(), set()
    for moment in [BOOT] + [later for later in new.looks if later != BOOT] + [step.moment for step in new.steps[-1:]]:
        if moment in said:
            continue
        said.add(moment)
        missing = [fact for fact in lost.get(moment, ()) if fact not in told]
        told.update(missing)
        behind = f"; missing then: {_listed(missing)}" if missing else ""
        # What has failed once fails again, by what it has left.
        broken = [failure for failure in failures if failure.moment == moment and failure.line.interface not in bad]
        stopped = [step for step in steps if step.moment == moment and (step.argv[0] == "wg-quick" or step.code is None)]
        stopped = [step for step in stopped if step.interface not in bad]
        # Who has failed because a line of somebody's did has no more to say.
        stopped = [step for step in stopped if not any(line.line.interface == step.interface for line in broken)]
        bad |= {failure.line.interface for failure in broken} | {step.interface for step in stopped}
        for failure in broken:
            line = failure.line
            how = _said(failure.said) if failure.code is not None else "it does not come to its end"
            message = "`{}` fails {}: {}{}".format(line.command, _when(moment, new), how or f"exit code {failure.code}", behind)
            yield Problem(message, HINT, line.path, line.line, line.key, subject=f"{moment} {line.command}")
            behind = ""
        for step in stopped:
            how = _said(step.said) if step.code is not None else "it does not come to its end"
            path = wg_quick.path(step.interface) if step.argv[0] == "wg-quick" else ""
            line, why = _culprit(scene.texts.get(path, ""), new, step.interface)
            message = f"`{step}` fails {_when(moment, new)}: {how}{why}{behind}"
            yield Problem(message, HINT, path, line, subject=f"{moment} {step}")
            behind = ""
        if moment == BOOT and down and not broken:
            path, line = _stanza(new, down[0]) or _stanza(old, down[0]) or ("", 0)
            message = f"`ifup {down[0]}` fails {_when(moment, new)}: {_ifup_said(new, down[0])}{behind}"
            yield Problem(message, HINT, path, line, subject=f"{moment} ifup {down[0]}")
            behind = ""
        if behind:
            path, line = _place(missing, new, old)
            when = "the next boot" if moment == BOOT else _when(moment, new)[3:]
            message = f"missing after {when}: {_listed(missing)}"
            yield Problem(message, HINT, path, line, subject=f"{moment} {_listed(missing)}")


def _listed(facts):
    return ", ".join(str(fact) for fact in facts)


def _said(text):
    """The last lines of what a command has said, without the commands that it ran."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("[#]", "[l2wg]", "  hint:"))]
    return "; ".join(lines[-2:])


def _ifup_said(found, name):
    texts = [step.said for step in found.steps if step.argv[0] == "ifup" and step.code != 0]
    return _said("\n".join(texts)) or f"ifupdown does not count {name} among what is up"


def _stanza(found, name):
    return next(((path, line) for interface, path, line, _ in found.stanzas if interface == name), None)


def _place(missing, new, old):
    """(path, line) of the stanza that has today what is missing, or of the one that should have it."""
    for fact in missing:
        bare = fact.value.partition("/")[0]
        for found in (old, new):
            for _, path, line, addresses in found.stanzas:
                if fact.kind == "address" and any(address.partition("/")[0] == bare for address in addresses):
                    return path, line
    for fact in missing:
        place = _stanza(new, fact.interface) or _stanza(old, fact.interface)
        if place:
            return place
    return "", 0


def _culprit(text, found, name):
    """(line, why) of the AllowedIPs in wg-quick's file whose route another interface has already; (0, "") for none."""
    look = found.looks.get(BOOT)
    if look is None:
        return 0, ""
    taken = {}
    for link in look.links.values():
        for address in link.addresses if link.name != name else ():
            taken[ipaddress.ip_interface(address).network] = link.name
    for number, row in enumerate(wg_quick.rows_of(text), 1):
        for word in row.value.split(",") if row.section == "[peer]" and row.key == "allowedips" else ():
            try:
                network = ipaddress.ip_network(word.strip(), strict=False)
            except ValueError:
                continue
            if network in taken:
                return number, f" ({network} is also the network of {taken[network]})"
    return 0, ""


def unmet(found, scene):
    """Problems of tunnels that all is there for at a moment, and that are not there; of bridges without their wished address."""
    for tunnel in scene.tunnels:
        for moment, look in found.looks.items():
            if tunnel.underlay not in look.links or not holders(look.links, tunnel.local) or tunnel.bridge not in look.links:
                continue
            link = look.links.get(tunnel.name)
            if link is None or link.master != tunnel.bridge:
                state = "missing" if link is None else f"no port of {tunnel.bridge}"
                message = (
                    f"{tunnel.name} is {state} {_when(moment, found)}, and {tunnel.underlay}, {tunnel.local} and "
                    f"{tunnel.bridge} are there"
                )
                yield Problem(message, HINT, tunnel.path, tunnel=tunnel.name, subject=f"{moment} {tunnel.name}")
                break


def waiting(found, scene):
    """What would still be missing for a tunnel after the boot, a line each."""
    look = found.looks.get(BOOT)
    for tunnel in scene.tunnels if look else ():
        absent = [name for name in (tunnel.underlay, tunnel.bridge) if name not in look.links]
        if not absent and not holders(look.links, tunnel.local):
            absent = [tunnel.local]
        if absent:
            yield "{} waits after the next boot: nothing brings up {}".format(tunnel.name, " and ".join(absent))


def _out_of_reach(new, old, scene):
    """Problems of what set up a card, or the network of a port, and reaches it no more."""
    cards = outcome.cards(old, scene.nics) - outcome.cards(new, scene.nics)
    for fact in sorted(cards):
        path, line = _stanza(old, fact.interface) or ("", 0)
        message = f"{fact.interface} gets {fact.value} at a boot today, and would no longer get it"
        yield Problem(message, HINT, path, line, subject=str(fact))
    for port, bridge in scene.moved.items():
        for key, value in sorted(old.settings.get(port, {}).items()):
            there = [new.settings.get(name, {}).get(key) for name in (port, bridge)]
            if value not in there:
                path, line = _stanza(old, port) or ("", 0)
                fact = Fact("setting", port, f"{key} = {value}")
                message = f"{fact} is set at a boot today, and would be neither for it nor for {bridge}"
                yield Problem(message, HINT, path, line, subject=str(fact))
