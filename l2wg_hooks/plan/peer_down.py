"""`peer-down = port`: the ports of a bridge go down as long as the peers of its tunnels do not answer. Pure.

Link loss forwarding: whoever is plugged in there notices, and takes the other way that they have. The tunnel itself stays.
"""

from typing import NamedTuple, Tuple

from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Plan, Step

PORT = "port"
_GROUP = "port "


class Held(NamedTuple):
    """`ports` are those that l2wg holds down, or has until now and that are still down, when the `steps` begin."""

    ports: Tuple[str, ...] = ()
    steps: Tuple[Step, ...] = ()
    problems: Tuple[Problem, ...] = ()


def held(tunnels, links, leaving, seen, kept=False):
    """What is to become of the ports, as Held. `kept` is whether some tunnel's file cannot be read: it may want them down."""
    # {port: the tunnels whose peers do not answer}; ports of a bridge that is not there: who brings it up brings them up, too.
    down, away, problems = {}, set(), []
    for bridge in dict.fromkeys(tunnel.bridge for tunnel in tunnels if tunnel.peer_down == PORT):
        mine = [tunnel for tunnel in tunnels if tunnel.bridge == bridge]
        ports = [name for tunnel in mine for name in tunnel.bridge_ports]
        if bridge not in links or bridge in leaving:
            away.update(ports)
            continue
        refused = _refusal(mine, bridge, ports, links)
        if refused:
            problems.append(refused)
        elif all(_is_down(tunnel, leaving, seen) for tunnel in mine):
            names = ", ".join(tunnel.name for tunnel in mine)
            down.update({port: names for port in ports if _is_takeable(links.get(port), bridge, seen)})
    still = [port for port in seen.taken if port in links and not links[port].up]
    steps = [_set(port, "down", f"the peer of {names} does not answer") for port, names in down.items() if links[port].up]
    if not kept:
        steps += [_set(port, "up", "its carrier is to be there again") for port in still if port not in down and port not in away]
    return Held(tuple(sorted({*down, *still})), tuple(steps), tuple(problems))


def released(links, seen):
    """The Steps where no tunnel is to be left."""
    return tuple(_set(port, "up", "all tunnels are to go") for port in seen.taken if port in links and not links[port].up)


def only(todo):
    """Of a Plan what is about these ports."""
    steps = tuple(step for step in todo.steps if _is_ours(step))
    return Plan(steps, todo.waiting, todo.problems, taken=todo.taken)


def without(todo):
    """A Plan without what is about these ports."""
    return todo._replace(steps=tuple(step for step in todo.steps if not _is_ours(step)), taken=None)


def _is_ours(step):
    return step.group.startswith(_GROUP)


def _set(port, word, reason):
    # A group of its own: nothing else needs to wait for it.
    return Step(("ip", "link", "set", "dev", port, word), reason, _GROUP + port)


def _is_takeable(port, bridge, seen):
    """Whether a Link (or None) may be held down: what somebody else has set down is not ours to bring up later."""
    return port is not None and port.master == bridge and (port.up or port.name in seen.taken)


def _is_down(tunnel, leaving, seen):
    return tunnel.name in seen.silent and not {tunnel.name, tunnel.underlay} & set(leaving)


def _refusal(mine, bridge, ports, links):
    """The Problem of a bridge whose ports are not the tunnels' alone; None where they are. They stay up then."""
    asking = next(tunnel for tunnel in mine if tunnel.peer_down == PORT)
    for tunnel in mine:
        if tunnel.peer_down != PORT:
            message = f"{tunnel.name} is in {bridge}, too, and would lose its ports: there they are to stay up"
            return asking.problem("peer-down", message, f"write it in the file of {tunnel.name}, too, or take it out here")
        if tunnel.bridge_address:
            return _inhabited(asking, bridge, tunnel.bridge_address)
    for link in links.values():
        if link.addresses and {link.name, link.parent} & {bridge, *ports}:
            return _inhabited(asking, link.name, link.addresses[0])
    wired = [tunnel.name for tunnel in mine]
    for link in links.values():
        if link.master == bridge and link.name not in wired and link.name not in ports:
            message = f"{link.name} is a port of {bridge}, too, and what is behind it would lose the others"
            hint = f"take it out there, or name it in bridge-ports, or leave peer-down = {PORT} out"
            return asking.problem("peer-down", message, hint)
    return None


def _inhabited(tunnel, name, address):
    message = f"{name} has the address {address}: who is logged in by it would be cut off with the port"
    return tunnel.problem("peer-down", message, f"leave peer-down = {PORT} out, or give that address to another interface")
