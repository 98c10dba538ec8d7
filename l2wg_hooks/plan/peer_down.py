"""`peer-down = port`: the ports of a bridge go down as long as the peers of its tunnels do not answer. Pure.

Link loss forwarding: whoever is plugged in there notices, and takes the other way that they have. The tunnel itself stays.
"""

from l2wg_hooks import model
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Link, Plan, Step
from l2wg_hooks.plan import link_index
from l2wg_hooks.typed import Dict, List, NamedTuple, Tuple

PORT = "port"
_GROUP = "port "


class Held(NamedTuple):
    """`ports` are those that l2wg holds down, or has until now and that are still down, when the `steps` begin."""

    ports: Tuple[str, ...] = ()
    steps: Tuple[Step, ...] = ()
    problems: Tuple[Problem, ...] = ()


def held(tunnels, links, leaving, seen, kept=False):
    """What is to become of the ports, as Held. `kept` is whether some tunnel's file cannot be read: it may want them down."""
    leaving = frozenset(leaving)
    # {port: the tunnels whose peers do not answer}; ports of a bridge that is not there: who brings it up brings them up, too.
    down, away, problems = {}, set(), []
    together = model.by_bridge(tunnels)
    silent, taken = set(seen.silent), set(seen.taken)
    members, inhabited = link_index.members(links), _inhabited_by(links)
    for bridge in dict.fromkeys(tunnel.bridge for tunnel in tunnels if tunnel.peer_down == PORT):
        mine = together[bridge]
        ports = list(dict.fromkeys(name for tunnel in mine for name in tunnel.bridge_ports))
        if bridge not in links or bridge in leaving:
            away.update(ports)
            continue
        refused = _refusal(mine, bridge, ports, members, inhabited)
        if refused:
            problems.append(refused)
        elif all(tunnel.name in silent and not leaving.intersection((tunnel.name, tunnel.underlay)) for tunnel in mine):
            names = ", ".join(tunnel.name for tunnel in mine)
            down.update({port: names for port in ports if _is_takeable(links.get(port), bridge, taken)})
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


def _is_takeable(port, bridge, taken):
    """Whether a Link (or None) may be held down: what somebody else has set down is not ours to bring up later."""
    return port is not None and port.master == bridge and (port.up or port.name in taken)


def _inhabited_by(links):
    """{interface: [Link with an address]} of the interfaces that these are, or are on."""
    found: Dict[str, List[Link]] = {}
    for link in links.values():
        for name in {link.name, link.parent} if link.addresses else ():
            found.setdefault(name, []).append(link)
    return found


def _refusal(mine, bridge, ports, members, inhabited):
    """The Problem of a bridge whose ports are not the tunnels' alone; None where they are. They stay up then.

    `members` are the Links of each bridge's ports, `inhabited` those with an address, by what they are on.
    """
    asking = next(tunnel for tunnel in mine if tunnel.peer_down == PORT)
    for tunnel in mine:
        if tunnel.peer_down != PORT:
            message = f"{tunnel.name} is in {bridge}, too, and would lose its ports: there they are to stay up"
            return asking.problem("peer-down", message, f"write it in the file of {tunnel.name}, too, or take it out here")
        if tunnel.bridge_address:
            return _inhabited(asking, bridge, tunnel.bridge_address)
    for name in (bridge, *ports):
        for link in inhabited.get(name, ()):
            return _inhabited(asking, link.name, link.addresses[0])
    known = {tunnel.name for tunnel in mine} | set(ports)
    for link in members.get(bridge, ()):
        if link.name not in known:
            message = f"{link.name} is a port of {bridge}, too, and what is behind it would lose the others"
            hint = f"take it out there, or name it in bridge-ports, or leave peer-down = {PORT} out"
            return asking.problem("peer-down", message, hint)
    return None


def _inhabited(tunnel, name, address):
    message = f"{name} has the address {address}: who is logged in by it would be cut off with the port"
    return tunnel.problem("peer-down", message, f"leave peer-down = {PORT} out, or give that address to another interface")
