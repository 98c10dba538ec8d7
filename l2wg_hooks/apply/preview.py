"""What `l2wg apply` would do: files, moves, steps and what forbids them. Nothing is changed."""

import os
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks import model
from l2wg_hooks.apply import saved_state
from l2wg_hooks.config import (
    bridge_switches,
    ifupdown,
    ifupdown_bridge,
    ifupdown_files,
    ifupdown_stanzas,
    last_applied,
    references,
    store,
    wg_quick_routes,
)
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.managers import bridge_makers
from l2wg_hooks.model import Link, Plan, Rules, Step, Tunnel
from l2wg_hooks.netfilter import name_references, nftables, unsupported
from l2wg_hooks.observe import snapshot, sysctls, wg_interfaces
from l2wg_hooks.plan import address_move, bridge_steps, planner
from l2wg_hooks.system import files


class Intent(NamedTuple):
    """What apply would do: `texts` are {path: (old, new)} of the files, `bridges` those of our own file, `todo` the plan.

    `moves` are the ports whose addresses would move to their bridge, or could if the admin agrees: then they are
    among the `problems`, which forbid to go on. `steps` are all for the kernel that come before the plan's. `named` are
    the lines of others that name a port whose address has moved, or would; `told` is what else the admin should know first.
    `behind` is the plan for when ifup has made our bridges that are not there, `ifup` the steps for that; `meant` says in
    a sentence each what the new tunnels are for.
    """

    tunnels: Tuple[Tunnel, ...]
    texts: Dict[str, Tuple[str, str]]
    bridges: Dict[str, ifupdown_bridge.Bridge]
    moves: Tuple[address_move.Move, ...]
    steps: Tuple[Step, ...]
    todo: Plan
    problems: Tuple[Problem, ...]
    reached: bool
    named: Tuple[references.Mention, ...] = ()
    told: Tuple[Problem, ...] = ()
    ifup: Tuple[Step, ...] = ()
    behind: Optional[Plan] = None
    meant: Tuple[str, ...] = ()

    def all_steps(self):
        """Every Step for the kernel, those that ifup's hooks do included."""
        return self.steps + self.ifup + (self.behind or self.todo).steps

    def waiting(self):
        """What waits for other events when all of it is done."""
        return (self.behind or self.todo).waiting

    def changes(self):
        """Whether there is anything to do."""
        return bool(self.texts or self.steps or self.todo.steps)

    def unasked(self):
        """The problems that an agreement to the moves does not take away."""
        ports = [move.port for move in self.moves]
        return tuple(problem for problem in self.problems if not any(_is_about(problem, port) for port in ports))


class ExtraChanges(NamedTuple):
    """What `pair`, `unpair`, `revoke` and `wall` change in the same transaction, before all else: whole or not at all with it.

    `wish` is {tunnel: text, or None where it goes}, `texts` {path: (old, new)}, where a file of the wish may be, too. `steps` are
    for the WireGuard interface `underlay`, and `peers` are the peers that these change, as they are: wg_interfaces.Peer. `ways`
    are the words of the routes that these add. `last` are steps for what comes when all else is done, `lost` the words of the
    routes that these take away; `gone` are the public keys of peers that go with their lines in a file.
    """

    wish: Dict[str, Optional[str]]
    texts: Dict[str, Tuple[str, str]]
    steps: Tuple[Step, ...]
    underlay: str
    peers: Tuple[wg_interfaces.Peer, ...]
    ways: Tuple[Tuple[str, ...], ...] = ()
    last: Tuple[Step, ...] = ()
    lost: Tuple[Tuple[str, ...], ...] = ()
    gone: Tuple[str, ...] = ()

    def wished(self):
        """{tunnel: text} of all files as they will be."""
        return {name: text for name, text in dict(store.texts(), **self.wish).items() if text is not None}

    def shown(self):
        """{path: (old, new)} of all files that change, as people may see them: without secrets."""
        wish = {store.path(name): text for name, text in self.wish.items() if text is not None}
        texts = dict({path: (files.text(path), text) for path, text in wish.items()}, **self.texts)
        return {path: tuple(saved_state.masked(path, side) for side in sides) for path, sides in texts.items()}

    def removed(self):
        """The public keys of the peers that go."""
        steps = [step for step in self.last if step.argv[:2] == ("wg", "set") and step.argv[-1] == "remove"]
        return {step.argv[4] for step in steps} | set(self.gone)


NOTHING = ExtraChanges({}, {}, (), "", ())


def intend(moving=False, wished_too=None):
    """The Intent of now; nothing is changed. With `moving`, addresses of ports may move to their bridges.

    `wished_too` is {tunnel: text} of files that are not written yet.
    """
    wished = last_applied.standing(wished_too)
    defined = ifupdown_files.read()
    ports = [name for tunnel in wished.tunnels for name in tunnel.bridge_ports]
    old = files.text(ifupdown_bridge.OURS)
    former = [name for bridge, names in ifupdown_bridge.bridges_in(old).items() for name in [bridge] + names]
    now = saved_state.picture(sorted(set(ports + former)))[0]
    defined = ifupdown_bridge.recovered(defined, old, now.links)
    moves, refused = address_move.find(wished.tunnels, defined, now.links, now.held)
    moved = moves if moving else ()
    bridges = ifupdown_bridge.ours(wished.tunnels, defined, [move.port for move in moved], old, now.links)
    texts = {path: texts for path, texts in _aside(wished.tunnels, defined, moved, bridges).items() if texts[0] != texts[1]}
    named = references.find({port: bridge.name for bridge in bridges.values() for port in bridge.moved})
    for path, text in ((ifupdown_bridge.OURS, ifupdown_bridge.render(bridges)), (references.DNSMASQ, references.dnsmasq(named))):
        if text != files.text(path):
            texts[path] = (files.text(path), text)
    after = _let_go(old, bridges, address_move.after(now.links, moved), defined.aside)
    found = snapshot.look(wished.tunnels, now.links)
    todo = planner.plan(wished.tunnels, after, (), wished.broken, found)
    problems = wished.problems + todo.problems + defined.unread + _refused(wished.tunnels, after, found.rules, todo.rules)
    unfit = _unfit(wished.tunnels, defined, after, [move.port for move in moved])
    problems += tuple(problem for problem in unfit if problem not in problems)
    problems = _told_better(problems, () if moving else moves, refused) + name_references.problems(moved, now.links)
    problems += wg_quick_routes.ours(wg_quick_routes.look(wished.tunnels, defined.stanzas), wished.tunnels, moves)
    problems += tuple(_made_by_others(wished.tunnels, bridges, old))
    settings_of = {move.port: sysctls.differing(move.port) for move in moved}
    steps = _speaking(old, bridges, now.links) + _released(old, bridges, now, defined.aside)
    steps += address_move.steps(moved, now.links, now.held, settings_of)
    reached = (
        not bridges or defined.reaches(ifupdown_bridge.OURS) or ifupdown_stanzas.ADDED in texts.get(ifupdown.MAIN, ("", ""))[1]
    )
    told = tuple(_lost(port, defined) for bridge in bridges.values() for port in bridge.moved if port in defined.lost)
    told += tuple(address_move.doubtful(moves, defined))
    if wished.net is not None:
        # What has gone from the file of sites goes by this, and by nothing else.
        left = last_applied.standing(wished_too, departs=False).problems
        told += tuple(problem for problem in left if problem not in wished.problems)
    named = tuple(references.unserved(named))
    ifup, behind = _ifup(wished, bridges, after, found, reached)
    meant = tuple(
        _meaning(tunnel, after)
        for tunnel in wished.tunnels
        if tunnel.name not in after or after[tunnel.name].master != tunnel.bridge
    )
    return Intent(wished.tunnels, texts, bridges, moves, steps, todo, problems, reached, named, told, ifup, behind, meant)


def intend_moves(wished_too=None):
    """The Intent of now, with the moves of addresses for which nothing but the admin's agreement is missing."""
    intent = intend(wished_too=wished_too)
    return intend(moving=True, wished_too=wished_too) if intent.moves and not intent.unasked() else intent


def _ifup(wished, bridges, links, found, reached):
    """(Steps for our bridges that are not there, the Plan for when they are); nothing and None where there is none."""
    missing = {name: bridge for name, bridge in bridges.items() if name not in links}
    if not missing:
        return (), None
    later = dict(links)
    for name, bridge in missing.items():
        later[name] = Link(name, 0, "bridge", up=True, stp=bridge.stp)
        for port in bridge.ports:
            if port in links:
                later[port] = links[port]._replace(master=name, up=True)
    steps = tuple(Step(ifup_words(name, reached), "it is not there", name) for name in sorted(missing))
    return steps, planner.plan(wished.tunnels, later, (), wished.broken, found)


def ifup_words(name, reached):
    # --force: ifupdown may believe that it is up, if somebody deleted it behind its back.
    return ("ifup", "--force") + (() if reached else ("--interfaces", ifupdown_bridge.OURS)) + (name,)


def _meaning(tunnel, links):
    """What a tunnel that is about to join its bridge is for, in one sentence."""
    several = len(tunnel.far_ends) > 1 or tunnel.senders
    site = tunnel.site or (f"the sites of {tunnel.leads_to}" if several else f"the site of {tunnel.leads_to}")
    if tunnel.bridge_ports:
        verb = "joins" if len(tunnel.bridge_ports) == 1 else "join"
        return "{} here {} the LAN of {}, by {}".format(" and ".join(tunnel.bridge_ports), verb, site, tunnel.name)
    ports = [link.name for link in links.values() if link.master == tunnel.bridge and not model.is_ours(link)]
    lan = "{} here{}".format(tunnel.bridge, ", with {},".format(" and ".join(ports)) if ports else "")
    return f"the LAN of {lan} is extended to {site}, by {tunnel.name}"


def _refused(tunnels, links, now, loading):
    """Problems of what nft(8) does not take here: of a key always, of the guard only where it is to be loaded."""
    values = {tunnel.name: nftables.value(tunnel, links) for tunnel in tunnels}
    wanted = Rules([nftables.entry(tunnel) for tunnel in tunnels], values)
    if wanted == now:
        return ()
    try:
        found = unsupported.find(wanted)
    except L2wgError:
        if loading is None:  # there may be no nft(8), nor a need for it yet
            return ()
        raise
    return () if found.guard and loading is None else tuple(unsupported.problems(found, tunnels))


def _aside(tunnels, defined, moves, bridges):
    """{path: (old, new)} of the admin's files: stanzas of ports that move are set aside, those of former ports put back.

    Where nothing else reads our file, a line that sources it comes along: at the next boot the address would be nowhere.
    """
    # Also of a bridge that the admin defines by now, with the port's address, perhaps.
    ports = {port for tunnel in tunnels for port in tunnel.bridge_ports}
    moving = [move.port for move in moves]
    back = {stanza.interface for stanza in defined.aside} - ports
    # What the admin has written since is not doubled; of comments that are not all there, what is left goes, and the copy comes.
    again = {stanza.interface for stanza in defined.stanzas if stanza.path != ifupdown_bridge.OURS}
    whole = back - again - set(defined.lost)
    found = {}
    for path in sorted({path for move in moves for path in move.paths} | set(defined.marked)):
        old = files.read(path)
        new = (
            ifupdown_stanzas.forget(ifupdown_stanzas.put_back(old, whole), (back - whole) | set(moving))
            if back or moving
            else old
        )
        found[path] = (old, ifupdown_stanzas.set_aside(new, moving))
    old = files.text(ifupdown.MAIN)
    new = found.get(ifupdown.MAIN, (old, old))[1]
    for port in sorted((back - whole) - again):
        new += ("" if new.endswith("\n") or not new else "\n") + defined.copies[port]
    if defined.reached_by_others(ifupdown_bridge.OURS) or not any(bridge.moved for bridge in bridges.values()):
        new = ifupdown_stanzas.without_source(new, ifupdown_bridge.OURS)
    elif not defined.reaches(ifupdown_bridge.OURS):
        new = ifupdown_stanzas.with_source(new, ifupdown_bridge.OURS)
    found[ifupdown.MAIN] = (old, new)
    found.update(copies_of(defined, moving, {stanza.interface for stanza in defined.aside} - back))
    return found


def copies_of(defined, moving, staying):
    """{path: (old, new)} of the copies of what is set aside, for `moving` ports and those `staying` aside; others' go."""
    found = {}
    for port in sorted(set(defined.copies) | set(moving) | staying):
        if port in moving:
            new = "".join(
                ifupdown_stanzas.lines_of(files.read(path), port) for path in defined.paths if path != ifupdown_bridge.OURS
            )
        elif port not in staying:
            new = ""
        elif port in defined.lost:
            new = defined.copies[port]
        else:
            new = "".join(ifupdown_stanzas.lines_set_aside(files.read(path), port) for path in defined.marked)
        path = os.path.join(ifupdown_files.COPIES, port)
        found[path] = (files.text(path), new if new.endswith("\n") or not new else new + "\n")
    return found


def _made_by_others(tunnels, bridges, old):
    """Problems of bridges that are new, on a router whose network is not ifupdown's: nobody would make them, at the next boot."""
    known = ifupdown_bridge.bridges_in(old)
    new = [bridge for name, bridge in sorted(bridges.items()) if name not in known]
    maker = bridge_makers.other() if new else None
    for bridge in new if maker else ():
        name, words = maker
        these = [tunnel for tunnel in tunnels if tunnel.bridge == bridge.name and tunnel.bridge_ports]
        clear = "; ".join(f"l2wg set {tunnel.name} bridge-ports= bridge-address=" for tunnel in these)
        done = words(bridge_makers.Wanted(bridge.name, bridge.ports, bridge.address))
        message = f"has ifupdown make {bridge.name}, and this router's network is {name}'s: it makes the bridge, with these ports"
        yield these[0].problem("bridge-ports", message, f"{done} && {{ {clear}; l2wg apply; }}")


def _lost(port, defined):
    """The Problem of comments that are not all there any more."""
    message = f"part of what was set aside of {port} is gone: what counts is the copy, and nothing is lost"
    path = os.path.join(ifupdown_files.COPIES, port)
    if not os.path.exists(path):
        message = f"what was set aside of {port} is gone, and so is its copy: what counts is {ifupdown_bridge.OURS}"
        return Problem(message, "l2wg apply # makes the copy anew", ifupdown.MAIN, id="aside-lost")
    hint = ""
    for name in defined.marked:
        left = ifupdown_stanzas.numbers_of(files.read(name), [port])
        hint += "sed -i '{}' {}; ".format(";".join("%dd" % number for number in left), name) if left else ""
    hint += f"{{ echo; sed 's/^/{ifupdown_stanzas.MARK}/' {path}; }} >>{ifupdown.MAIN} # puts the comments back"
    return Problem(message, hint, ifupdown.MAIN, id="aside-lost")


def _is_about(problem, port):
    return problem.id == bridge_steps.PORT_ADDRESS and problem.subject == port


def _told_better(problems, moves, refused):
    """`problems`, where those of ports that carry addresses say what can be done about each."""
    found = []
    for problem in problems:
        port = problem.subject
        if _is_about(problem, port):
            problem = next((other for other in refused if _is_about(other, port)), problem)
            for move in moves:
                if move.port == port:
                    hint = f"`l2wg apply --yes` moves it to {move.bridge}, with no connection lost; or name another port"
                    problem = problem._replace(hint=hint)
        if problem not in found:
            found.append(problem)
    return tuple(found)


def _unfit(tunnels, defined, links, moving):
    """Problems of wished ports, also of those that get their address only when interfaces(5) is followed.

    The plan says nothing about the ports of a bridge that is not there yet; here it is about to be made.
    """
    for tunnel in tunnels:
        for name in tunnel.bridge_ports:
            problem = bridge_steps.unfit(tunnel, links.get(name))
            if problem:
                yield problem
                continue
            for stanza in defined.stanzas if name not in moving else ():
                if stanza.interface == name and stanza.addresses():
                    where = " (%s:%d)" % (stanza.path, stanza.line)
                    yield bridge_steps.carries(tunnel, name, stanza.addresses()[0], where)
                    break


def _speaking(old, bridges, links):
    """Steps for the bridges of our file that were no interfaces of this router, and are to be such, or not ours."""
    steps = []
    for name, before in sorted(bridge_switches.wanted(old).items()):
        after = bridges[name].switches if name in bridges else bridge_switches.THEIRS
        values = (
            bridge_switches.undone(before, after, sysctls.of_bridge(name), sysctls.of_bridge("default")) if name in links else {}
        )
        if values:
            steps.append(Step(bridge_switches.command(name, values), "it is an interface of this router again", name))
    return tuple(steps)


def _leaving(old, bridges, links, aside):
    """Yield (bridge, port) of the ports that our file named and names no more, as far as they are ports of it.

    A bridge that is ours no more stays as it is, but for what another bridge of ours is to have; not a port whose
    address the old one has.
    """
    wanted = {port for bridge in bridges.values() for port in bridge.ports} - {stanza.interface for stanza in aside}
    for bridge, ports in ifupdown_bridge.bridges_in(old).items():
        for name in ports:
            goes = name not in bridges[bridge].ports if bridge in bridges else name in wanted
            if goes and name in links and links[name].master == bridge:
                yield bridge, name


def _let_go(old, bridges, links, aside):
    """The Links as they are when _released has let go of ports that go from one bridge of ours to another one."""
    going = [name for bridge, name in _leaving(old, bridges, links, aside) if bridge not in bridges]
    return dict(links, **{name: links[name]._replace(master="") for name in going})


def _released(old, bridges, now, aside):
    """Steps that let go of the ports that our file named and names no more; what such a port gave to the bridge, it gets back."""
    steps = []
    for bridge, name in _leaving(old, bridges, now.links, aside):
        given = [address for stanza in aside if stanza.interface == name for address in stanza.addresses()]
        rest = bridges[bridge].moved if bridge in bridges else ()
        for argv in address_move.back(name, bridge, given, now.held, routes=not rest):
            steps.append(Step(argv, f"it is no longer a port of {bridge}", bridge))
    return tuple(steps)
