"""A WireGuard interface of l2wg's own, in a network namespace where nothing else is but the tunnels' packets. Pure.

WireGuard keeps its UDP socket in the network namespace where it was made (drivers/net/wireguard/device.c, wg_newlink), so the
interface is made from outside into the namespace: what is encrypted leaves by the router, what is not never gets there. A tunnel
is made inside, so its packets stay there, and moves out to its bridge: an interface keeps the namespace of its packets.
Nobody but the tunnels sends into that namespace, and WireGuard alone brings packets in: no rule has to say so.
"""

from l2wg_hooks import model
from l2wg_hooks.config import wg_quick
from l2wg_hooks.model import NAMESPACE, Link, Step
from l2wg_hooks.netfilter import inner_guard
from l2wg_hooks.plan import policy_routes, transit
from l2wg_hooks.plan.commands import EXEC, INSIDE, NEW_NAMESPACE, OF_NAMESPACE, bare
from l2wg_hooks.typed import Dict, List, Tuple

# What wg(8) is told: there for that command only, and readable by root only.
FILE = "/run/l2wg.{}.wg"
# The group of the step that loads rules in there.
GUARD = "guard of " + OF_NAMESPACE


def wished(tunnels, leaving=()):
    """The names of the WireGuard interfaces that `tunnels` want of l2wg."""
    return sorted({tunnel.underlay for tunnel in tunnels if tunnel.walled and tunnel.underlay not in leaving})


def standing(links):
    """The Links of those that are there: l2wg has made them, as they say themselves."""
    wires = (link for link in links.values() if link.namespace == NAMESPACE and link.kind == "wireguard")
    return [link for link in wires if link.alias == model.ALIAS]


def problems(tunnels, links, walls):
    """What forbids to make a wire, as Problems of the first tunnel that wants it."""
    first = {tunnel.underlay: tunnel for tunnel in reversed(tunnels) if tunnel.walled}
    for name in wished(tunnels):
        wire, link = walls.wires.get(name), links.get(name)
        tunnel = first[name]
        if wire is not None and wire.problems:
            yield from wire.problems
        if link is not None and link.namespace != NAMESPACE:
            yield tunnel.problem(
                "wire",
                f"{name} is there already, outside of the network namespace {NAMESPACE}: with `wire = own` l2wg makes it",
                f"wg-quick down {name} # and have nobody else bring it up; or write wire = shared",
            )


def steps(tunnels, links, walls, leaving=(), kept=False):
    """The Steps that bring the namespace and the wires in it to the wish; what must not be there goes.

    `kept` is whether some tunnel's file cannot be read: nothing goes then, since it may need it.
    """
    names, there = wished(tunnels, leaving), standing(links)
    wanted = [name for name in names if _makeable(name, links, walls)]
    needed = set(names)
    gone = dict.fromkeys(link.name for link in there if link.name in leaving or (link.name not in needed and not kept))
    found: List[Step] = [
        Step(INSIDE + ("link", "delete", "dev", name), "no tunnel needs it, or it is to go", name) for name in gone
    ]
    if not wanted and len(gone) == len(there):
        # Nobody needs the namespace any longer. With an interface of somebody else's in it, or none of ours, it stays.
        if kept or not there:
            return []
        return found if walls.strangers else [alone()]
    if walls.leftover:
        found.append(Step(("ip", "netns", "delete", NAMESPACE), "what is left of it leads nowhere", OF_NAMESPACE))
    if not walls.there:
        found.append(Step(NEW_NAMESPACE, "WireGuard and its tunnels have a network namespace of their own", OF_NAMESPACE))
    if walls.routed or not walls.there:
        sysctl = ("sysctl", "-qew", "net/ipv4/ip_forward=0", "net/ipv6/conf/all/forwarding=0")
        found.append(Step(EXEC + sysctl, "nobody is routed through it", OF_NAMESPACE))
    needs = {name: value for name, value in transit.wanted(tunnels, wanted).items() if not (kept and value == transit.OFF)}
    # What it makes of the others when it is switched off for all of them.
    switches = {} if walls.routed else walls.switches
    closed = [name for name in needs if transit.is_closed(name, needs) and switches.get(name, transit.OFF) != transit.OFF]
    if closed:
        found.append(_switched(closed, needs, "nobody needs it"))
    for name in wanted:
        found += _wire(name, links.get(name), walls)
    # Those of an interface go with it.
    routes = {destination: way for destination, way in walls.routes.items() if way[0] not in gone}
    found += _routes(tunnels, wanted, routes, kept)
    rules = inner_guard.text(tunnels) if walls.guard is not None else ""
    # One whose file cannot be read is guarded as long as nothing is loaded.
    if rules and not inner_guard.stands(rules, walls.guard) and not (kept and walls.guard):
        load = EXEC + ("nft", "-f", inner_guard.FILE)
        found.append(Step(load, "who may send to which VXLAN", GUARD, wanted[0] if len(wanted) == 1 else OF_NAMESPACE))
    # With the rules that let nothing else through, and no sooner.
    opened = [name for name, value in needs.items() if name not in closed and switches.get(name, transit.made(name)) != value]
    if opened and walls.guard is not None:
        found.append(_switched(opened, needs, "sites reach each other by this router, the hub"))
    return found


def _switched(names, values, reason):
    needs = GUARD if transit.ON in [values[name] for name in names] else OF_NAMESPACE
    words = tuple(f"{name}={values[name]}" for name in names)
    return Step(EXEC + ("sysctl", "-qew", *words), reason, "forwarding in " + OF_NAMESPACE, needs)


def loaded(tunnels, walls, steps):
    """The rules that a step of `steps` loads; "" where none does."""
    return inner_guard.text(tuple(tunnels) + walls.staged) if any(step.group == GUARD for step in steps) else ""


def need(tunnel):
    """The group that what is done for a walled tunnel needs, where rules are loaded in there."""
    return GUARD if inner_guard.needed(tunnel) else tunnel.underlay


def _makeable(name, links, walls):
    """Whether a wire is there, or may be made."""
    link, wire = links.get(name), walls.wires.get(name)
    if link is not None:
        return link.namespace == NAMESPACE
    return wire is not None and not wire.problems


def alone():
    """The Step that takes the namespace away when nothing is in it that anybody needs."""
    return Step(("ip", "netns", "delete", NAMESPACE), "no tunnel needs it", OF_NAMESPACE)


def _wire(name, link, walls):
    wire, source = walls.wires.get(name, model.Wire()), wg_quick.path(name)
    if wire.problems or not wire.addresses:
        return  # it stands, and stays as it is until its file can be read
    if link is None:
        # From out here, so that its UDP socket is out here.
        add = ("ip", "link", "add", "name", name, "netns", NAMESPACE, "type", "wireguard")
        yield Step(add, "it is not there", name, OF_NAMESPACE)
    if link is None or link.alias != model.ALIAS:
        yield Step(_set(name, "alias", model.ALIAS), "marks it as ours", name, OF_NAMESPACE)
    if link is None or wire.differs:
        reason = f"{' and '.join(wire.differs)} differ from {source}" if link else f"as {source} has it"
        yield Step(EXEC + ("wg", "syncconf", name, FILE.format(name)), reason, name, OF_NAMESPACE)
    has = dict.fromkeys(link.addresses if link else ())
    wants = set(wire.addresses)
    for address in wire.addresses:
        if address not in has:
            yield Step(INSIDE + ("address", "add", address, "dev", name), "it does not have it", name, OF_NAMESPACE)
    for address in has:
        if address not in wants:
            yield Step(INSIDE + ("address", "delete", address, "dev", name), f"{source} does not have it", name, OF_NAMESPACE)
    if (link.mtu if link else 0) != wire.mtu:
        yield Step(_set(name, "mtu", str(wire.mtu)), f"as {source} has it", name, OF_NAMESPACE)
    if link is None or not link.up:
        yield Step(_set(name, "up"), "it is down", name, OF_NAMESPACE)


def _set(name, *words):
    return INSIDE + ("link", "set", "dev", name) + words


def routes(tunnels, wanted):
    """{destination: (device, MTU in bytes, 0 for the device's own)} of the routes that the tunnels over `wanted` need."""
    found: Dict[str, Tuple[str, int]] = {}
    names = set(wanted)
    for tunnel in tunnels:
        if tunnel.walled and tunnel.underlay in names:
            size = policy_routes.size(tunnel) if policy_routes.needed(tunnel.kind) else 0
            for end in tunnel.ends():
                before = found.get(end.remote, ("", 0))
                found[end.remote] = (tunnel.underlay, max(size, before[1]))
            for address in (address for peer in tunnel.peers for address in peer.ends) if tunnel.has_hubs else ():
                # Each hub is asked at its own address whether it answers.
                found.setdefault(address, (tunnel.underlay, 0))
    return found


def _routes(tunnels, wanted, there, kept):
    needed = routes(tunnels, wanted)
    for destination, (device, size) in needed.items():
        if there.get(destination) != (device, size):
            words = ("route", "replace", destination, "dev", device) + (("mtu", "lock", str(size)) if size else ())
            yield Step(INSIDE + words, "the way of a tunnel's packets", device, OF_NAMESPACE)
    for destination, (device, _) in there.items():
        if destination not in needed and not kept:
            words = ("route", "delete", destination) + (("dev", device) if device else ())
            yield Step(INSIDE + words, "no tunnel needs it", OF_NAMESPACE)


def synced(steps):
    """The names of the wires that these steps tell what is in their files."""
    return tuple(step.group for step in steps if bare(step.argv)[:2] == ("wg", "syncconf"))


def rising(steps):
    """{name of a wire that these steps bring up: where the batch of ip(8) begins that does}."""
    found = {}
    for at, step in enumerate(steps):
        if step.argv == _set(step.group, "up"):
            while at and steps[at - 1].group == step.group and steps[at - 1].argv[: len(INSIDE)] == INSIDE:
                at -= 1
            found[step.group] = at
    return found


def after(tunnels, links, walls, leaving=()):
    """{name: Link} of `links` as they are when `steps` are done, as far as the tunnels' own steps ask for it."""
    found = {name: link for name, link in links.items() if link.namespace != NAMESPACE or name not in leaving}
    for name in wished(tunnels, leaving):
        if _makeable(name, links, walls):
            wire = walls.wires.get(name, model.Wire())
            link: Link = links.get(name, Link(name, 0, "wireguard", namespace=NAMESPACE, link_netns=NAMESPACE))
            if wire.addresses and not wire.problems:
                link = link._replace(addresses=wire.addresses, mtu=wire.mtu, up=True)
            found[name] = link
    return found
