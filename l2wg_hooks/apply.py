"""`l2wg apply`: files and kernel to the wish. It checks everything before it changes anything."""

import os
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks import files, guard, hook, interfaces, log, plan, rules, run, seen, settings, wish
from l2wg_hooks.errors import L2wgError, Problem


class Intent(NamedTuple):
    """What apply would do: our interfaces file (`old` -> `new`), the bridges in it, the plan for the kernel."""

    tunnels: Tuple[settings.Tunnel, ...]
    old: str
    new: str
    bridges: Dict[str, interfaces.Bridge]
    released: Tuple[plan.Step, ...]
    todo: plan.Plan
    problems: Tuple[Problem, ...]
    reached: bool


def intend():
    """The Intent of now; nothing is changed. Its `problems`, if any, forbid to go on."""
    wished = wish.load()
    defined = interfaces.read()
    links = run.observe()
    bridges = interfaces.ours(wished.tunnels, defined)
    old = files.read(interfaces.OURS) if os.path.exists(interfaces.OURS) else ""
    new = interfaces.render(bridges)
    todo = plan.plan(wished.tunnels, links, (), wished.broken, seen.look(wished.tunnels))
    problems = wished.problems + todo.problems
    problems += tuple(problem for problem in _unfit(wished.tunnels, defined, links) if problem not in problems)
    reached = not bridges or defined.reaches(interfaces.OURS)
    return Intent(wished.tunnels, old, new, bridges, _released(old, bridges, links), todo, problems, reached)


def _unfit(tunnels, defined, links):
    """Problems of wished ports, also of those that get their address only when interfaces(5) is followed.

    The plan says nothing about the ports of a bridge that is not there yet; here it is about to be made.
    """
    for tunnel in tunnels:
        for name in tunnel.bridge_ports:
            port = links.get(name)
            problem = plan.unfit(tunnel, port)
            if problem:
                yield problem
                continue
            for stanza in defined.stanzas:
                if stanza.interface == name and stanza.addresses():
                    where = " (%s:%d)" % (stanza.path, stanza.line)
                    yield plan.carries(tunnel, name, stanza.addresses()[0], where)
                    break


def _released(old, bridges, links):
    """Steps that let go of the ports that our file named and names no more."""
    steps = []
    for stanza in interfaces.parse(old, interfaces.OURS)[0]:
        ports = " ".join(value for key, value in stanza.options if key == "bridge-ports").split()
        keep = bridges[stanza.interface].ports if stanza.interface in bridges else ports
        for name in ports:
            if name not in keep and name in links and links[name].master == stanza.interface:
                argv = ("ip", "link", "set", "dev", name, "nomaster")
                steps.append(plan.Step(argv, "it is no port of %s any more" % stanza.interface, stanza.interface))
    return tuple(steps)


def apply():
    """Bring files and kernel to the wish; the Problems that are left. Raises L2wgError, with nothing changed, for bad ones."""
    intent = intend()
    if intent.problems:
        raise L2wgError(*intent.problems)
    warned = []
    if intent.tunnels:
        # Events load them later, without jinja2.
        rules.store([guard.entry(tunnel) for tunnel in intent.tunnels])
    if intent.new != intent.old:
        _write(intent.new)
    if not intent.reached:
        warned.append(
            Problem(
                "does not source %s: %s is gone after a reboot" % (interfaces.OURS, ", ".join(intent.bridges)),
                "add this line to it: source /etc/network/interfaces.d/*",
                interfaces.MAIN,
            )
        )
    failed = run.apply(intent.released)
    for bridge in intent.bridges:
        failed += _bring_up(bridge, intent)
    # ifup has run our own hooks meanwhile, which take the lock: so we take it only now.
    return tuple(warned) + failed + hook.bring()


def _write(text):
    if not text:
        files.remove(interfaces.OURS)
        log.say("%s: deleted, nothing is to be defined there; a bridge that is up stays up" % interfaces.OURS)
        return
    os.makedirs(os.path.dirname(interfaces.OURS), exist_ok=True)
    files.write(interfaces.OURS, text)
    log.say("%s: written" % interfaces.OURS)


def _bring_up(bridge, intent):
    """Have ifupdown bring up a bridge of ours that is not there; give one that is there the address that is wished."""
    link = run.observe().get(bridge)
    if link is None:
        source = () if intent.reached else ("--interfaces", interfaces.OURS)
        # --force: ifupdown may believe that it is up, if somebody deleted it behind its back.
        argv = ("ifup", "--force") + source + (bridge,)
        run.show(argv)
        result = run.run(argv)
        for line in result.err.splitlines():  # our own hooks' steps, too
            log.line(line)
        if result.code:
            said = "; ".join(result.err.split("\n")[-3:]).strip("; ")
            return (Problem("`%s` failed: %s" % (" ".join(argv), said), "ifup --verbose %s shows more" % bridge),)
        return ()
    address = intent.bridges[bridge].address
    if address and address not in link.addresses:
        step = plan.Step(("ip", "address", "add", address, "dev", bridge), "it is wished for", bridge)
        return run.apply((step,))
    return ()
