"""Wish + observed -> plan. Pure: it knows no process, no file and no clock.

Every event asks for the same plan, so the order of events does not matter: what cannot be done yet is said to wait,
and whichever event comes last finishes the work.
"""

from l2wg_hooks import model
from l2wg_hooks.config import bridge_switches
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Observed, PeerWish, Plan, Rules, Step, Wait
from l2wg_hooks.netfilter import iptables, nftables
from l2wg_hooks.plan import bridge_steps, commands, policy_routes, tunnel_steps
from l2wg_hooks.plan.link_index import LinkIndex
from l2wg_hooks.typed import Dict, List, Tuple

# The group of the step that loads rules: without it no tunnel may be made.
GUARD = "guard"
LAST_GOES = "the last tunnel goes"


def plan(tunnels, links, leaving=(), broken=(), seen=Observed()):
    """The Plan that brings `links` ({name: Link}) and what else is `seen` to the wish `tunnels`.

    `leaving` names interfaces that are about to go, tunnels among them, so they count as gone already. `broken` names
    tunnels whose files cannot be read: what is there of them stays as it is.
    """
    # Each is asked for every tunnel.
    leaving, broken = frozenset(leaving), frozenset(broken)
    doomed = tunnel_steps.doomed(tunnels, links, leaving, broken)
    # Those whose place another one takes go in that moment, and no sooner.
    replaced = tunnel_steps.replaced(tunnels, links, leaving, doomed)
    wires: Tuple[Step, ...] = ()
    problems: Dict[Problem, None] = {}
    synced: Tuple[str, ...] = ()
    inside = ""
    if seen.walls is not None:
        from l2wg_hooks.plan import wire_steps  # where there are some only

        walled = tuple(tunnels) + seen.walls.staged
        problems.update(dict.fromkeys(wire_steps.problems(walled, links, seen.walls)))
        wires = tuple(wire_steps.steps(walled, links, seen.walls, leaving, bool(broken)))
        synced = wire_steps.synced(wires)
        inside = wire_steps.loaded(tunnels, seen.walls, wires)
        links = wire_steps.after(walled, links, seen.walls, leaving)
    more: Dict[str, Tuple[PeerWish, ...]] = {}
    told: Tuple[Step, ...] = ()
    if seen.told is not None or synced:
        from l2wg_hooks.plan import site_peers  # where tunnels come with their peers, or l2wg makes WireGuard

        told, wrong, more = site_peers.changes(tunnels, links, seen, leaving)
        problems.update(dict.fromkeys(wrong))
        more.update({name: peers for name in synced for peers in (site_peers.own(tunnels, name, seen),) if peers})
    given: Tuple[Tuple[str, str], ...] = ()
    if seen.given or (seen.given is not None and any(tunnel.is_hubs for tunnel in tunnels)):
        from l2wg_hooks.plan import hub_address  # at one of two hubs only

        giving = hub_address.changes(tunnels, links, seen, leaving)
        told, links, given = told + giving.steps, giving.links, giving.given
        problems.update(dict.fromkeys(giving.problems))
    calls: Tuple[Step, ...] = ()
    if seen.heard and not all(peer.endpoint for these in seen.peers.values() for peer in these):
        from l2wg_hooks.plan import peer_endpoints

        rising = wire_steps.rising(wires) if wires else {}
        calls = tuple(peer_endpoints.steps(tunnels, links, seen, leaving, rising))
        wires = _told(wires, [step for step in calls if step.needs in rising], rising)
        calls = tuple(step for step in calls if step.needs not in rising)
    rest = {name: link for name, link in links.items() if name not in doomed}
    index = LinkIndex(rest, leaving)
    ways = None if seen.ways is None else policy_routes.Ways(tunnels, seen.ways)
    # Each once, in order. Dicts, since hundreds of tunnels have thousands of steps.
    steps: Dict[Step, None] = {}
    waiting: Dict[Wait, None] = {}
    # Where one tunnel is told to go, others may be about to: none is made then.
    parting = any(tunnel.name in leaving for tunnel in tunnels)
    for tunnel in tunnels:
        if tunnel.name in leaving or (parting and tunnel.name not in links):
            continue
        for result in tunnel_steps.changes(tunnel, index, seen, replaced.get(tunnel.name), ways):
            if isinstance(result, Step):
                if inside and tunnel.walled and result.needs == tunnel.underlay:
                    result = result._replace(needs=wire_steps.need(tunnel))
                steps[result] = None
            elif isinstance(result, Problem):
                problems[result] = None
            else:
                waiting[result] = None
    ports = None
    if seen.taken or any(tunnel.peer_down != "nothing" for tunnel in tunnels):
        from l2wg_hooks.plan import peer_down  # where somebody wants it only

        held = peer_down.held(tunnels, links, leaving, seen, bool(broken))
        steps.update(dict.fromkeys(held.steps))
        problems.update(dict.fromkeys(held.problems))
        ports = held.ports if set(held.ports) != set(seen.taken) else None
    there = {step.group for step in steps if commands.bare(step.argv)[:3] == ("ip", "link", "add")}
    wished = {tunnel.name for tunnel in tunnels}
    there |= {
        link.name for link in rest.values() if model.is_ours(link) or (link.name in wished and link.kind in model.TUNNEL_KINDS)
    }
    rules = _rules(tunnels, links, broken, seen.rules) if there else Rules()
    loads = () if rules == seen.rules else (_load(rules, seen.rules),)
    # First what must not be; whom WireGuard calls, as the answer takes its time; then the guard, and only then what it guards.
    aside = _passes(ways, links, wished) + _aside(tunnels, there, links, seen, broken) + _silence(links, leaving, seen)
    goes = tuple(step for name, step in doomed.items() if name not in replaced)
    # The rules that guard a tunnel which is to be replaced stand until it is gone; the one in its place needs none.
    swaps = _batched(step for step in steps if step.group in replaced)
    others = _batched(step for step in steps if step.group not in replaced)
    others += _stale([tunnel for tunnel in tunnels if tunnel.name in there], ways, links) if not broken else ()
    calls = told + calls
    whole = goes + (wires + swaps + loads + calls + aside if swaps else calls + loads + wires + aside) + others
    new = rules if loads else None
    return Plan(whole, tuple(waiting), tuple(problems), new, synced, tuple(replaced), ports, more, inside, given)


def _told(wires, calls, rising):
    """The steps that make wires; each is told whom to call before it comes up, or it calls those 5 s later."""
    found = list(wires)
    for call in sorted(calls, key=lambda step: rising[step.needs], reverse=True):
        found.insert(rising[call.needs], call)
    return tuple(found)


def _batched(steps):
    """The steps, those of a command together, so that each is one batch; those of each group stay in their order.

    What is done inside the namespace needs nothing of what is done out here; what others do, such as nmcli(1), is to let go of an
    interface.
    """
    parts: Tuple[List[Step], ...] = ([], [], [], [], [])
    inside, others, before, bridge, after = parts
    begun = set()
    for step in steps:
        if commands.is_inside(step.argv):
            inside.append(step)
        elif step.argv[0] == "bridge":
            begun.add(step.group)
            bridge.append(step)
        elif step.argv[0] != "ip":
            others.append(step)
        else:
            (after if step.group in begun else before).append(step)
    return tuple(step for part in parts for step in part)


def _rules(tunnels, links, broken, old):
    """The Rules that have to be in force, those of a tunnel whose file is broken as they were."""
    entries = [nftables.entry(tunnel) for tunnel in tunnels]
    values = {tunnel.name: nftables.value(tunnel, links) for tunnel in tunnels}
    for entry in old.entries:
        if entry["name"] in broken:
            entries.append(entry)
            # All tunnels of a bridge have one and the same address of it.
            values[entry["name"]] = dict(old.values[entry["name"]], bridge=nftables.bridge_address(entry, links))
    # As they are when no file is broken: else the same rules would be loaded in another order.
    entries.sort(key=lambda entry: entry["name"])
    return Rules(entries, values)


def _load(rules, old):
    if not rules.entries:
        reason = LAST_GOES
    elif not old.intact:
        reason = "the tables l2wg are not as this version of l2wg loads them"
    elif rules.entries == old.entries:
        reason = "the underlay's MTU or the bridge's address has changed"
    else:
        reason = "guard, clamp and fences of {}".format(", ".join(entry["name"] for entry in rules.entries))
    return Step(("nft", "-f", nftables.FILE), reason, GUARD)


def _passes(ways, links, wished):
    """Steps that let others' tunnels by a table of ours, before the rule that leads there."""
    argvs = ways.passes(links, wished) if ways is not None else ()
    return tuple(Step(argv, "the way of somebody else's tunnel", "ways") for argv in argvs)


def _stale(present, ways, links):
    """Steps that take policy routes away which none of these tunnels needs: after those that are made in their place."""
    found = ways.stale(present, links) if ways is not None else ()
    reasons = ("no tunnel needs it", "it has another way now")
    return tuple(Step(argv, reasons[bool(name)], name or "ways", needs) for argv, name, needs in found)


def _aside(tunnels, there, links, seen, broken=()):
    """Steps for what some tunnels need beside links and rules, and nothing else does: iptables."""
    steps = []
    classic = [entry for entry in seen.rules.entries if entry["clamp"] == "iptables"]
    if seen.iptables is not None and not any(entry["name"] in broken for entry in classic):
        wished = [tunnel for tunnel in tunnels if tunnel.mss_clamp == "iptables"]
        clamped = [tunnel for tunnel in wished if tunnel.name in there]
        bridges = {tunnel.bridge for tunnel in wished}
        for bridge in sorted({entry["bridge"] for entry in classic}):
            if bridge in links and bridge not in bridges and links[bridge].bridge_iptables:
                steps.append(bridge_steps.nf_call(bridge, "iptables no longer needs to see its frames", "0"))
        underlays = {name: link.mtu for name, link in links.items()}
        steps += [Step(argv, "MSS clamp by iptables", "iptables") for argv in iptables.steps(clamped, underlays, seen.iptables)]
    passing = [entry["name"] for entry in seen.rules.entries if entry.get("forward") == "accept"]
    if seen.filter is not None and not set(passing) & set(broken):
        crossed = sorted({tunnel.bridge for tunnel in tunnels if tunnel.forward == "accept" and tunnel.name in there})
        reason = "iptables is to let pass what crosses {}".format(", ".join(crossed)) if crossed else "forward = as-is"
        steps += [Step(argv, reason, "iptables") for argv in iptables.passes(crossed, seen.filter)]
    return tuple(steps)


def _silence(links, leaving, seen):
    """Steps for the bridges of ours that answer for this router: before a tunnel is a port of theirs."""
    # A group of its own: the ports of a bridge, and its tunnels, do not wait for this.
    return tuple(
        Step(argv, reason, f"sysctl of {bridge}")
        for bridge, argv, reason in bridge_switches.changes(seen.bridges, links, leaving)
    )


def removal(names, links, seen=Observed()):
    """The Plan that takes the tunnels of these names, and all others that are ours, out of the kernel, with all of theirs."""
    steps = tuple(
        tunnel_steps.delete(link, "all tunnels are to go")
        for link in links.values()
        if model.is_ours(link) or (link.name in names and link.kind in model.TUNNEL_KINDS)
    )
    loads = () if seen.rules == Rules() else (_load(Rules(), seen.rules),)
    wires: Tuple[Step, ...] = ()
    if seen.walls is not None:
        from l2wg_hooks.plan import wire_steps

        wires = tuple(wire_steps.steps((), links, seen.walls))
    ports: Tuple[Step, ...] = ()
    if seen.taken:
        from l2wg_hooks.plan import peer_down

        ports = peer_down.released(links, seen)
    ways = None if seen.ways is None else policy_routes.Ways((), seen.ways)
    aside = _stale((), ways, links) + _aside((), (), links, seen)
    if seen.told is not None:
        from l2wg_hooks.plan import site_peers

        aside += site_peers.changes((), links, seen)[0]
    if seen.given:
        from l2wg_hooks.plan import hub_address

        aside += hub_address.changes((), links, seen).steps
    return Plan(steps + loads + wires + aside + ports, rules=Rules() if loads else None)
