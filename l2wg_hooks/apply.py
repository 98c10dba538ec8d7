"""`l2wg apply`: files and kernel to the wish, as one transaction. It checks everything before it changes anything."""

import contextlib
import os
import signal
from dataclasses import replace
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks import (
    byname,
    errors,
    files,
    firewall,
    guard,
    hook,
    inbound,
    interfaces,
    lock,
    log,
    mentions,
    move,
    peers,
    plan,
    refusal,
    ring,
    routed,
    rules,
    run,
    seen,
    settings,
    silence,
    stanza,
    sysctls,
    transaction,
    verify,
    wish,
)
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.links import Link


class Intent(NamedTuple):
    """What apply would do: `texts` are {path: (old, new)} of the files, `bridges` those of our own file, `todo` the plan.

    `moves` are the ports whose addresses would move to their bridge, or could if the admin agrees: then they are
    among the `problems`, which forbid to go on. `steps` are all for the kernel that come before the plan's. `named` are
    the lines of others that name a port whose address has moved, or would; `told` is what else the admin should know first.
    `behind` is the plan for when ifup has made our bridges that are not there, `ifup` the steps for that; `meant` says in
    a sentence each what the new tunnels are for.
    """

    tunnels: Tuple[settings.Tunnel, ...]
    texts: Dict[str, Tuple[str, str]]
    bridges: Dict[str, interfaces.Bridge]
    moves: Tuple[move.Move, ...]
    steps: Tuple[plan.Step, ...]
    todo: plan.Plan
    problems: Tuple[Problem, ...]
    reached: bool
    named: Tuple[mentions.Mention, ...] = ()
    told: Tuple[Problem, ...] = ()
    ifup: Tuple[plan.Step, ...] = ()
    behind: Optional[plan.Plan] = None
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
        ports = [one.port for one in self.moves]
        return tuple(one for one in self.problems if not any(_is_about(one, port) for port in ports))


class More(NamedTuple):
    """What is changed in the same transaction, before all else, for `l2wg pair` and `unpair`: whole or not at all with the rest.

    `wish` is {tunnel: text, or None where it goes}, `texts` {path: (old, new)}, `steps` are for the WireGuard interface
    `underlay`, and `peers` are the peers that these change, as they are: peers.Peer. `ways` are the words of the routes
    that these add. `last` are steps for what comes when all else is done, `lost` the words of the routes that these take away.
    """

    wish: Dict[str, Optional[str]]
    texts: Dict[str, Tuple[str, str]]
    steps: Tuple[plan.Step, ...]
    underlay: str
    peers: Tuple[peers.Peer, ...]
    ways: Tuple[Tuple[str, ...], ...] = ()
    last: Tuple[plan.Step, ...] = ()
    lost: Tuple[Tuple[str, ...], ...] = ()

    def wished(self):
        """{tunnel: text} of all files as they will be."""
        return {name: text for name, text in dict(wish.texts(), **self.wish).items() if text is not None}

    def removed(self):
        """The public keys of the peers that go."""
        return {step.argv[4] for step in self.last if step.argv[:2] == ("wg", "set") and step.argv[-1] == "remove"}


NOTHING = More({}, {}, (), "", ())


def intend(moving=False, wished_too=None):
    """The Intent of now; nothing is changed. With `moving`, addresses of ports may move to their bridges.

    `wished_too` is {tunnel: text} of files that are not written yet.
    """
    wished = transaction.standing(wished_too)
    defined = interfaces.read()
    ports = [name for tunnel in wished.tunnels for name in tunnel.bridge_ports]
    old = files.text(interfaces.OURS)
    former = [name for bridge, names in interfaces.bridges_in(old).items() for name in [bridge] + names]
    now = transaction.picture(sorted(set(ports + former)))[0]
    defined = interfaces.recovered(defined, old, now.links)
    moves, refused = move.find(wished.tunnels, defined, now.links, now.held)
    moved = moves if moving else ()
    bridges = interfaces.ours(wished.tunnels, defined, [one.port for one in moved], old, now.links)
    texts = {path: texts for path, texts in _aside(wished.tunnels, defined, moved, bridges).items() if texts[0] != texts[1]}
    named = mentions.find({port: bridge.name for bridge in bridges.values() for port in bridge.moved})
    for path, text in ((interfaces.OURS, interfaces.render(bridges)), (mentions.DNSMASQ, mentions.dnsmasq(named))):
        if text != files.text(path):
            texts[path] = (files.text(path), text)
    after = _let_go(old, bridges, move.after(now.links, moved), defined.aside)
    found = seen.look(wished.tunnels)
    todo = plan.plan(wished.tunnels, after, (), wished.broken, found)
    problems = wished.problems + todo.problems + defined.unread + _refused(wished.tunnels, after, found.rules, todo.rules)
    unfit = _unfit(wished.tunnels, defined, after, [one.port for one in moved])
    problems += tuple(problem for problem in unfit if problem not in problems)
    problems = _told_better(problems, () if moving else moves, refused) + byname.problems(moved, now.links)
    problems += routed.ours(routed.look(wished.tunnels, defined.stanzas), wished.tunnels, moves)
    settings_of = {one.port: sysctls.differing(one.port) for one in moved}
    steps = _speaking(old, bridges, now.links) + _released(old, bridges, now, defined.aside)
    steps += move.steps(moved, now.links, now.held, settings_of)
    reached = not bridges or defined.reaches(interfaces.OURS) or stanza.ADDED in texts.get(interfaces.MAIN, ("", ""))[1]
    told = tuple(_lost(port, defined) for bridge in bridges.values() for port in bridge.moved if port in defined.lost)
    told += tuple(move.doubtful(moves, defined))
    named = tuple(mentions.unserved(named))
    ifup, behind = _ifup(wished, bridges, after, found, reached)
    meant = tuple(_meaning(one, after) for one in wished.tunnels if one.name not in after or after[one.name].master != one.bridge)
    return Intent(wished.tunnels, texts, bridges, moves, steps, todo, problems, reached, named, told, ifup, behind, meant)


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
                later[port] = replace(links[port], master=name, up=True)
    steps = tuple(plan.Step(_ifup_words(name, reached), "it is not there", name) for name in sorted(missing))
    return steps, plan.plan(wished.tunnels, later, (), wished.broken, found)


def _ifup_words(name, reached):
    # --force: ifupdown may believe that it is up, if somebody deleted it behind its back.
    return ("ifup", "--force") + (() if reached else ("--interfaces", interfaces.OURS)) + (name,)


def _meaning(tunnel, links):
    """What a tunnel that is about to join its bridge is for, in one sentence."""
    site = tunnel.site or "the site of %s" % tunnel.remote
    if tunnel.bridge_ports:
        verb = "joins" if len(tunnel.bridge_ports) == 1 else "join"
        return "%s here %s the LAN of %s, by %s" % (" and ".join(tunnel.bridge_ports), verb, site, tunnel.name)
    ports = [link.name for link in links.values() if link.master == tunnel.bridge and not plan.is_ours(link)]
    what = "%s here%s" % (tunnel.bridge, ", with %s," % " and ".join(ports) if ports else "")
    return "the LAN of %s is extended to %s, by %s" % (what, site, tunnel.name)


def _refused(tunnels, links, now, loading):
    """Problems of what nft(8) does not take here: of a key always, of the guard only where it is to be loaded."""
    values = {tunnel.name: guard.value(tunnel, links) for tunnel in tunnels}
    wanted = plan.Rules([guard.entry(tunnel) for tunnel in tunnels], values)
    if wanted == now:
        return ()
    try:
        found = refusal.find(wanted)
    except L2wgError:
        if loading is None:  # there may be no nft(8), nor a need for it yet
            return ()
        raise
    return () if found.guard and loading is None else tuple(refusal.problems(found, tunnels))


def _aside(tunnels, defined, moves, bridges):
    """{path: (old, new)} of the admin's files: stanzas of ports that move are set aside, those of former ports put back.

    Where nothing else reads our file, a line that sources it comes along: at the next boot the address would be nowhere.
    """
    # Also of a bridge that the admin defines by now, with the port's address, perhaps.
    ports = {port for tunnel in tunnels for port in tunnel.bridge_ports}
    moving = [one.port for one in moves]
    back = {one.interface for one in defined.aside} - ports
    # What the admin has written since is not doubled; of comments that are not all there, what is left goes, and the copy comes.
    again = {one.interface for one in defined.stanzas if one.path != interfaces.OURS}
    whole = back - again - set(defined.lost)
    found = {}
    for path in sorted({path for one in moves for path in one.paths} | set(defined.marked)):
        old = files.read(path)
        new = stanza.forget(stanza.put_back(old, whole), (back - whole) | set(moving)) if back or moving else old
        found[path] = (old, stanza.set_aside(new, moving))
    old = files.text(interfaces.MAIN)
    new = found.get(interfaces.MAIN, (old, old))[1]
    for port in sorted((back - whole) - again):
        new += ("" if new.endswith("\n") or not new else "\n") + defined.copies[port]
    if defined.reached_by_others(interfaces.OURS) or not any(bridge.moved for bridge in bridges.values()):
        new = stanza.without_source(new, interfaces.OURS)
    elif not defined.reaches(interfaces.OURS):
        new = stanza.with_source(new, interfaces.OURS)
    found[interfaces.MAIN] = (old, new)
    found.update(_copies(defined, moving, {one.interface for one in defined.aside} - back))
    return found


def _copies(defined, moving, staying):
    """{path: (old, new)} of the copies of what is set aside, for `moving` ports and those `staying` aside; others' go."""
    found = {}
    for port in sorted(set(defined.copies) | set(moving) | staying):
        if port in moving:
            new = "".join(stanza.lines_of(files.read(path), port) for path in defined.paths if path != interfaces.OURS)
        elif port not in staying:
            new = ""
        elif port in defined.lost:
            new = defined.copies[port]
        else:
            new = "".join(stanza.lines_set_aside(files.read(path), port) for path in defined.marked)
        path = os.path.join(interfaces.COPIES, port)
        found[path] = (files.text(path), new if new.endswith("\n") or not new else new + "\n")
    return found


def copy():
    """Copy what is set aside, where a version that made no copies has left it. Nothing else changes."""
    with lock.changing():
        defined = interfaces.read()
        for path, (old, new) in _copies(defined, (), {one.interface for one in defined.aside}).items():
            if new != old:
                _write(path, old, new)


def _lost(port, defined):
    """The Problem of comments that are not all there any more."""
    message = "what was set aside of %s is not all there any more: what counts is the copy, and nothing is lost" % port
    path = os.path.join(interfaces.COPIES, port)
    if not os.path.exists(path):
        message = "what was set aside of %s is gone, and its copy, too: what counts is %s" % (port, interfaces.OURS)
        return Problem(message, "l2wg apply # makes the copy anew", interfaces.MAIN, id="aside-lost")
    hint = ""
    for name in defined.marked:
        left = stanza.numbers_of(files.read(name), [port])
        hint += "sed -i '%s' %s; " % (";".join("%dd" % number for number in left), name) if left else ""
    hint += "{ echo; sed 's/^/%s/' %s; } >>%s # puts the comments back" % (stanza.MARK, path, interfaces.MAIN)
    return Problem(message, hint, interfaces.MAIN, id="aside-lost")


def _is_about(problem, port):
    return problem.key == "bridge-ports" and problem.message.startswith("%s carries the address" % port)


def _told_better(problems, moves, refused):
    """`problems`, where those of ports that carry addresses say what can be done about each."""
    found = []
    for problem in problems:
        port = problem.message.partition(" ")[0]
        if _is_about(problem, port):
            problem = next((other for other in refused if _is_about(other, port)), problem)
            for one in moves:
                if one.port == port:
                    hint = "`l2wg apply --yes` moves it to %s, with no connection lost; or name another port" % one.bridge
                    problem = replace(problem, hint=hint)
        if problem not in found:
            found.append(problem)
    return tuple(found)


def _unfit(tunnels, defined, links, moving):
    """Problems of wished ports, also of those that get their address only when interfaces(5) is followed.

    The plan says nothing about the ports of a bridge that is not there yet; here it is about to be made.
    """
    for tunnel in tunnels:
        for name in tunnel.bridge_ports:
            problem = plan.unfit(tunnel, links.get(name))
            if problem:
                yield problem
                continue
            for one in defined.stanzas if name not in moving else ():
                if one.interface == name and one.addresses():
                    where = " (%s:%d)" % (one.path, one.line)
                    yield plan.carries(tunnel, name, one.addresses()[0], where)
                    break


def _speaking(old, bridges, links):
    """Steps for the bridges of our file that were no interfaces of this router, and are to be such, or not ours."""
    steps = []
    for name, before in sorted(silence.wanted(old).items()):
        after = bridges[name].switches if name in bridges else silence.THEIRS
        values = silence.undone(before, after, silence.read(name), silence.read("default")) if name in links else {}
        if values:
            steps.append(plan.Step(silence.command(name, values), "it is an interface of this router again", name))
    return tuple(steps)


def _leaving(old, bridges, links, aside):
    """Yield (bridge, port) of the ports that our file named and names no more, as far as they are ports of it.

    A bridge that is ours no more stays as it is, but for what another bridge of ours is to have; not a port whose
    address the old one has.
    """
    wanted = {port for one in bridges.values() for port in one.ports} - {one.interface for one in aside}
    for bridge, ports in interfaces.bridges_in(old).items():
        for name in ports:
            goes = name not in bridges[bridge].ports if bridge in bridges else name in wanted
            if goes and name in links and links[name].master == bridge:
                yield bridge, name


def _let_go(old, bridges, links, aside):
    """The Links as they are when _released has let go of ports that go from one bridge of ours to another one."""
    going = [name for bridge, name in _leaving(old, bridges, links, aside) if bridge not in bridges]
    return dict(links, **{name: replace(links[name], master="") for name in going})


def _released(old, bridges, now, aside):
    """Steps that let go of the ports that our file named and names no more; what such a port gave to the bridge, it gets back."""
    steps = []
    for bridge, name in _leaving(old, bridges, now.links, aside):
        given = [address for one in aside if one.interface == name for address in one.addresses()]
        rest = bridges[bridge].moved if bridge in bridges else ()
        for argv in move.back(name, bridge, given, now.held, routes=not rest):
            steps.append(plan.Step(argv, "it is no port of %s any more" % bridge, bridge))
    return tuple(steps)


def settle():
    """Undo what a change that was killed has left, before anybody looks what there is to do. Raises L2wgError as apply does."""
    with lock.changing():
        transaction.clear()


def apply(confirm=0, agree=lambda moves: False, more=NOTHING, rehearsed=True):
    """Bring files and kernel to the wish, whole or not at all; the Problems that are left.

    With `confirm`, all is undone so many seconds later, unless transaction.confirm comes before. `agree` is asked whether
    addresses may move from ports to their bridge. If `rehearsed`, a change of files is played on a copy first.
    Raises L2wgError, with nothing changed, for bad settings and failures.
    """
    with lock.changing():
        transaction.clear()
        intent = intend(wished_too=more.wish)
        # Before anybody agrees to anything.
        log.complain(intent.told)
        if intent.moves and not intent.unasked() and agree(intent.moves):
            intent = intend(moving=True, wished_too=more.wish)
        if intent.problems:
            raise L2wgError(*intent.problems)
        problems = _cut_off(intent)
        if problems:
            raise L2wgError(*problems)
        if intent.texts:
            log.complain([one.problem() for one in intent.named])
        if more == NOTHING and not intent.changes() and transaction.applied() == wish.texts():
            if confirm:
                log.say("all is as it is wished for: nothing waits for a confirmation")
            return unreached(intent) + _carry(intent)
        problems = _rehearse(intent, more) if rehearsed else ()
        if problems:
            raise L2wgError(*problems)
        return _transact(intent, confirm, more)


def _rehearse(intent, more):
    """Problems of the next start with the files as they are about to be; none where no file changes."""
    texts = {path: new for path, (_, new) in list(more.texts.items()) + list(intent.texts.items())}
    wished = more.wished()
    if not texts and wished == transaction.applied():
        return ()
    from l2wg_hooks.rehearsing import rehearse  # ctypes and all that comes with it, for a change of files only

    # What is somebody else's moves, or goes: how it has come until now has to be seen, too.
    both = bool(intent.moves) or any(path not in (interfaces.OURS, mentions.DNSMASQ) for path in intent.texts)
    removed = more.removed()
    gone = rehearse.going(more.underlay, [one for one in more.peers if one.key in removed], more.lost)
    return rehearse.of_change(texts, wished, both, gone)


def _cut_off(intent):
    """Problems of logins that no move can keep: the address that they use is the port's own."""
    ports = {one.port: one for one in intent.moves}
    for address, zone in verify.logins() if ports else ():
        if zone in ports:
            message = "somebody is logged in from %s by the link-local address of %s, and would be cut off" % (address, zone)
            other = ports[zone].addresses[0].partition("/")[0]
            return (Problem(message, "log in by another address of this router: %s" % other),)
    return ()


def _transact(intent, confirm, more):
    known, applied = run.observe(), transaction.applied()
    silent = [name for name, bridge in intent.bridges.items() if bridge.switches is silence.SILENT]
    before = verify.look(intent.tunnels, known, list(more.wish), silent)
    gone = more.removed()
    before = before._replace(sessions=tuple(one for one in before.sessions if one[1] not in gone))
    old = intent.texts.get(interfaces.OURS, ("", ""))[0]
    names = [name for bridge, ports in interfaces.bridges_in(old).items() for name in [bridge] + ports]
    for tunnel in intent.tunnels:
        names += tunnel.bridge_ports + (tunnel.bridge, tunnel.name)
    names += [link.name for link in known.values() if plan.is_ours(link)]
    others = {link.name for link in known.values() if link.addresses} - set(names)
    paths = list(intent.texts) + list(more.texts) + [interfaces.OURS]
    changed = [(more.underlay,) + tuple(one) for one in more.peers]
    wished = more.wished() if more != NOTHING else None
    texts = {path: new for path, (_, new) in list(more.texts.items()) + list(intent.texts.items())}
    had = [row for one in intent.moves if one.bridge in known for row in _had(one)]
    names.append(ring.ASIDE)
    transaction.begin(sorted(set(names)), sorted(others), paths, confirm, wished, changed, more.ways, texts, had, more.lost)
    code, worse = errors.WRONG, ()
    with _signals() as ended:
        try:
            failed = _carry_more(more)
            worse = () if failed else ring.problems(intent.tunnels, _changed(applied))
            failed = failed or worse or _carry(intent) or run.apply(more.last)
            worse = worse or (() if failed else verify.compare(before, intent.tunnels))
            if not failed and not worse and not ended:
                if confirm:
                    transaction.wait(confirm)
                else:
                    transaction.commit()
        except L2wgError as error:
            failed, code = error.problems, error.code
        except BaseException as error:
            _undo(Problem("%s: %s" % (type(error).__name__, error), "a bug, or somebody ended it"), transaction.NONE)
            raise
        failed = tuple(ended) or worse or failed
        if failed:
            log.complain(failed)
            # What a step could not do is tried again by events; what did harm, or may have, is not.
            keep = transaction.NONE if ended or worse or more != NOTHING else transaction.NEW
            raise L2wgError(*_undo(failed[0], keep), code=code)
    _tell_of_firewalls(intent.tunnels)
    _tell_of_addresses(applied, intent.tunnels)
    return unreached(intent)


def _changed(applied):
    """The names of the tunnels whose files are new, or others than those `applied`, which events follow already."""
    return [name for name, text in wish.texts().items() if text != applied.get(name)]


def _tell_of_firewalls(tunnels):
    """Print what would drop the peer's packets: all is done here, and nothing will come in."""
    known = firewall.Firewall() if tunnels else None
    log.complain([problem for tunnel in tunnels for problem in inbound.problems(tunnel, known)])


def _tell_of_addresses(applied, tunnels):
    """Print which addresses bridges still have though nobody wishes for them any more: somebody may be logged in by one."""
    links, wished = run.observe(), {one.bridge_address for one in tunnels}
    for bridge, address in sorted({(one.bridge, one.bridge_address) for one in wish.parsed(applied) if one.bridge_address}):
        if address not in wished and bridge in links and address in links[bridge].addresses:
            log.say("%s has %s until it goes down, lest somebody is cut off; to take it now:" % (bridge, address))
            log.say("ip address del %s dev %s" % (address, bridge))


def _had(one):
    """Rows for transaction.Saved of what a bridge has of the sysctls that it gets by a Move."""
    values = sysctls.now(one.bridge, sysctls.differing(one.port))
    return [(one.bridge, folder, name, value) for (folder, name), value in values.items()]


def _undo(problem, keep):
    """Roll back for `problem`; the Problems to end with. `keep` is transaction.rollback's."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    left = transaction.rollback(problem.message, keep=keep)
    return left or (Problem("nothing was changed: all is as it was before", "mend what is said above, then: l2wg apply"),)


@contextlib.contextmanager
def _signals():
    """Whoever wants to end us gets it all undone first. Gives the list of Problems that such a signal adds to."""
    ended = []

    def end(number, _frame):
        # Raised, since we may be waiting for a command; kept, since who waits may take it for the command's failure.
        ended.append(Problem("ended by signal %d" % number, "run it again"))
        raise L2wgError(*ended)

    known = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


def unreached(intent):
    """The Problem of our interfaces file that nobody reads; none where it is read, or not needed."""
    if intent.reached:
        return ()
    return (
        Problem(
            "does not source %s: %s is gone after a reboot" % (interfaces.OURS, ", ".join(intent.bridges)),
            # Its last line may have no end.
            "printf '\\nsource /etc/network/interfaces.d/*\\n' >>%s" % interfaces.MAIN,
            interfaces.MAIN,
            id="not-sourced",
        ),
    )


def _carry_more(more):
    """Do what comes before; the Problems of the step that failed."""
    for path, (old, new) in more.texts.items():
        _write(path, old, new)
    for name, text in more.wish.items():
        if text is None:
            continue  # its file is one of the texts
        _write(wish.path(name), files.text(wish.path(name)), text)
    return run.apply(more.steps)


def _carry(intent):
    """Do all of it; the Problems of the first part that failed."""
    if intent.tunnels:
        # Events load them later, without jinja2.
        rules.store([guard.entry(tunnel) for tunnel in intent.tunnels])
    for path, (old, new) in intent.texts.items():
        _write(path, old, new)
    failed = run.apply(intent.steps)
    for bridge in intent.bridges:
        failed = failed or _bring_up(bridge, intent)
    # ifup has run our own hooks meanwhile, which take the lock: so we take it only now.
    transaction.serve(intent.texts)
    return failed or hook.bring()


def _write(path, old, new):
    if not new:
        if files.text(path) != old:
            fail("somebody has changed it just now; it is as they left it", "look at it, then try again", path=path)
        files.remove(path)
        ours = path == interfaces.OURS
        log.did("%s: deleted%s" % (path, ", nothing is to be defined there; a bridge that is up stays up" if ours else ""))
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    files.write(path, new, old=old)
    log.did("%s: written" % path)


def _bring_up(name, intent):
    """Have ifupdown bring up a bridge of ours that is not there; give one that is there the address that is wished."""
    link = run.observe().get(name)
    bridge = intent.bridges[name]
    if any(step.argv[:5] == ("ip", "link", "add", "name", name) for step in intent.steps):
        options = [tuple(line.split(None, 1)) for *_, lines in bridge.stanzas for line in lines]
        return transaction.enter(name, options)
    if link is None:
        argv = _ifup_words(name, intent.reached)
        run.show(argv)
        result = run.run(argv)
        for line in result.err.splitlines():  # our own hooks' steps, too
            log.line(line)
        if result.code:
            said = "; ".join(result.err.split("\n")[-3:]).strip("; ")
            return (Problem("`%s` failed: %s" % (" ".join(argv), said), "ifup --verbose %s shows more" % name),)
        log.note("%s: brought up by ifup" % name)
        return ()
    if bridge.address and bridge.address not in link.addresses and not bridge.stanzas:
        step = plan.Step(("ip", "address", "add", bridge.address, "dev", name), "it is wished for", name)
        return run.apply((step,))
    return ()
