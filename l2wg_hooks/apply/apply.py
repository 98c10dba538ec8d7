"""`l2wg apply`: files and kernel to the wish, as one transaction. It checks everything before it changes anything."""

import contextlib
import os
import signal

from l2wg_hooks import errors, model
from l2wg_hooks.apply import preview, ring_probe, rollback, transaction, verify, watch_timer
from l2wg_hooks.config import (
    bridge_switches,
    device_events,
    ifupdown,
    ifupdown_bridge,
    ifupdown_files,
    last_applied,
    references,
    store,
    wire_peers,
)
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.managers import ifupdown_state
from l2wg_hooks.model import Step
from l2wg_hooks.netfilter import host_rules, inbound, nftables
from l2wg_hooks.observe import link_table, snapshot, sysctls
from l2wg_hooks.plan import transit
from l2wg_hooks.reconcile import executor, reconcile, ruleset
from l2wg_hooks.system import files, lock, log, network_namespace, process

UNCHANGED = "nothing was changed: all is as it was before"
# The first network namespace alone has it: whether rules log in the others, too.
LOGS_ALL = "/proc/sys/net/netfilter/nf_log_all_netns"
# Where `meet` is called.
READY, GO, DONE = "ready", "go", "done"


class Ended(L2wgError):
    """It was undone because a signal wants this process to end."""


def copy():
    """Copy what is set aside, where a version that made no copies has left it. Nothing else changes."""
    with lock.changing():
        defined = ifupdown_files.read()
        for path, (old, new) in preview.copies_of(defined, (), {stanza.interface for stanza in defined.aside}).items():
            if new != old:
                _write(path, old, new)


def settle():
    """Undo what a change that was killed has left, before anybody looks what there is to do. Raises L2wgError as apply does."""
    with lock.changing():
        rollback.clear()


def apply(confirm=0, agree=lambda moves: False, more=preview.NOTHING, rehearsed=True, meet=lambda point: None):
    """Bring files and kernel to the wish, whole or not at all; the Problems that are left.

    With `confirm`, all is undone so many seconds later, unless transaction.confirm comes before. `agree` is asked whether
    addresses may move from ports to their bridge. If `rehearsed`, a change of files is played on a copy first.
    `meet` is called at three points, for whoever changes something at the same moment, and raises L2wgError to end it: READY,
    nothing is changed; GO, the steps of the plan come next; DONE, all is done, and as good as before.
    Raises L2wgError, with nothing changed, for bad settings and failures.
    """
    with lock.changing():
        rollback.clear()
        intent = preview.intend(wished_too=more.wish)
        # Before anybody agrees to anything.
        log.complain(intent.told)
        if intent.moves and not intent.unasked() and agree(intent.moves):
            intent = preview.intend(moving=True, wished_too=more.wish)
        if intent.problems:
            raise L2wgError(*intent.problems)
        problems = _cut_off(intent)
        if problems:
            raise L2wgError(*problems)
        if intent.texts:
            log.complain([mention.problem() for mention in intent.named])
        if more == preview.NOTHING and not intent.changes() and last_applied.read() == store.texts():
            if confirm:
                log.say("all is as it is wished for: nothing waits for a confirmation")
            problems = unreached(intent) + _carry(intent)
            watch_timer.follow(intent.tunnels)
            return problems
        problems = _rehearse(intent, more) if rehearsed else ()
        if problems:
            raise L2wgError(*problems)
        return _transact(intent, confirm, more, meet)


def foresee(more, rehearsed=True):
    """Problems of a change that somebody makes later, as far as they can be seen now. Nothing is changed."""
    intent = preview.intend(wished_too=more.wish)
    return intent.problems or (_rehearse(intent, more) if rehearsed else ())


def _rehearse(intent, more):
    """Problems of the next start with the files as they are about to be; none where no file changes."""
    texts = {path: new for path, (_, new) in list(more.texts.items()) + list(intent.texts.items())}
    wished = more.wished()
    if not texts and wished == last_applied.read():
        return ()
    from l2wg_hooks.rehearsal import rehearse  # ctypes and all that comes with it, for a change of files only

    # What is somebody else's moves, or goes: how it has come until now has to be seen, too.
    both = bool(intent.moves) or any(path not in (ifupdown_bridge.OURS, references.DNSMASQ) for path in intent.texts)
    removed = more.removed()
    gone = rehearse.going(more.underlay, [peer for peer in more.peers if peer.key in removed], more.lost)
    return rehearse.of_change(texts, wished, both, gone)


def _cut_off(intent):
    """Problems of logins that no move can keep: the address that they use is the port's own."""
    ports = {move.port: move for move in intent.moves}
    for address, zone in verify.logins() if ports else ():
        if zone in ports:
            message = f"somebody is logged in from {address} by the link-local address of {zone}, and would be cut off"
            other = ports[zone].addresses[0].partition("/")[0]
            return (Problem(message, f"log in by another address of this router: {other}"),)
    return ()


def _transact(intent, confirm, more, meet):
    known, applied = link_table.read(), last_applied.read()
    silent = [name for name, bridge in intent.bridges.items() if bridge.switches is bridge_switches.SILENT]
    before = verify.look(intent.tunnels, known, _spared(intent, more, applied), silent)
    gone = more.removed() | _departed(applied, intent.tunnels)
    before = before._replace(sessions=tuple(session for session in before.sessions if session[1] not in gone))
    old = intent.texts.get(ifupdown_bridge.OURS, ("", ""))[0]
    names = [name for bridge, ports in ifupdown_bridge.bridges_in(old).items() for name in [bridge] + ports]
    for tunnel in intent.tunnels:
        names += tunnel.bridge_ports + (tunnel.bridge, tunnel.name)
    names += [link.name for link in known.values() if model.is_ours(link)]
    others = {link.name for link in known.values() if link.addresses and not link.namespace} - set(names)
    paths = list(intent.texts) + list(more.texts) + [ifupdown_bridge.OURS]
    changed = [(more.underlay,) + tuple(peer) for peer in more.peers]
    wished = more.wished() if more != preview.NOTHING else None
    texts = {path: new for path, (_, new) in list(more.texts.items()) + list(intent.texts.items())}
    had = [row for move in intent.moves if move.bridge in known for row in _had(move)]
    names.append(ring_probe.ASIDE)
    meet(READY)
    transaction.begin(sorted(set(names)), sorted(others), paths, confirm, wished, changed, more.ways, texts, had, more.lost)
    code, worse = errors.WRONG, ()
    with _signals() as ended:
        try:
            failed = _carry_more(more)
            with contextlib.ExitStack() as aside:
                worse = () if failed else ring_probe.problems(intent.tunnels, _changed(applied), aside)
                failed = failed or worse or _carry(intent, lambda: meet(GO))
            failed = failed or executor.apply(more.last)
            worse = worse or (() if failed else verify.compare(before, intent.tunnels))
            if not failed and not worse:
                meet(DONE)
            if not failed and not worse and not ended:
                if confirm:
                    transaction.wait(confirm)
                else:
                    transaction.commit()
        except L2wgError as error:
            failed, code = error.problems, error.code
        except BaseException as error:
            _undo(Problem(f"{type(error).__name__}: {error}", "a bug, or somebody ended it"), rollback.NONE)
            raise
        failed = tuple(ended) or worse or failed
        if failed:
            log.complain(failed)
            # What a step could not do is tried again by events; what did harm, or may have, is not.
            keep = rollback.NONE if ended or worse or more != preview.NOTHING else rollback.NEW
            raise (Ended if ended else L2wgError)(*_undo(failed[0], keep), code=code)
    watch_timer.follow(intent.tunnels)
    log.complain(list(watch_timer.problems()) if intent.tunnels else [])
    _tell_of_firewalls(intent.tunnels)
    _tell_of_transit(intent.tunnels)
    _tell_of_devices(intent.tunnels)
    _tell_of_log(intent.tunnels)
    _tell_of_addresses(applied, intent.tunnels)
    return unreached(intent)


def _spared(intent, more, applied):
    """The names of the tunnels whose far ends need not answer afterwards as they do before: those that `more` brings, or changes.

    Where no address moves, nor a bridge, so are all whose file and WireGuard interface stay as they are: nothing that is done is
    about them, and to be asked has WireGuard call a peer that may be away.
    """
    if intent.texts or intent.steps:
        return set(more.wish)
    touched = {step.group for step in intent.todo.steps} | set(_changed(applied)) | {more.underlay}
    return set(more.wish) | {tunnel.name for tunnel in intent.tunnels if not touched & {tunnel.name, tunnel.underlay}}


def _changed(applied):
    """The names of the tunnels whose files are new, or others than those `applied`, which events follow already."""
    texts = store.texts()
    names = [name for name, text in texts.items() if text != applied.get(name)]
    if store.SITES in names:
        sites = store.path(store.SITES)
        old = {tunnel for tunnel in store.parsed(applied) if tunnel.path == sites}
        names += [tunnel.name for tunnel in store.parsed(texts) if tunnel.path == sites and tunnel not in old]
    return names


def _departed(applied, tunnels):
    """The public keys of the peers that go with the sites which are in the file no more, or may go any moment: former ones."""
    formers = {peer.was for tunnel in tunnels for peer in tunnel.peers if peer.was}
    if store.SITES not in applied:
        return formers
    there = {peer.key for tunnel in tunnels for peer in wire_peers.of(tunnel)}
    return formers | {peer.key for tunnel in store.parsed(applied) for peer in wire_peers.of(tunnel)} - there


def _tell_of_firewalls(tunnels):
    """Print what would drop the peer's packets: all is done here, and nothing will come in."""
    known = host_rules.Firewall() if tunnels else None
    shared = [tunnel for tunnel in tunnels if not tunnel.walled]
    log.complain([problem for tunnel in shared for problem in inbound.problems(tunnel, known)])
    log.complain([problem for tunnel in shared if tunnel.forwards for problem in inbound.between(tunnel, known)])


def _tell_of_transit(tunnels):
    """Print where this router, as a hub, does not forward: whether it does is its admin's to say."""
    forwarded = snapshot.transited(tunnels)
    if forwarded:
        log.complain(list(transit.problems(tunnels, link_table.read(), forwarded)))


def _tell_of_devices(tunnels):
    """Print what somebody has to do where udev tells of no interface, as in a container: its absence is no fault."""
    reason = device_events.missing()
    names = sorted({tunnel.underlay for tunnel in tunnels if not tunnel.walled})
    if names and reason and network_namespace.is_first():
        log.say(f"nobody tells l2wg of interfaces that others make ({reason}): ifupdown's hooks do, the lines of `l2wg attach`,")
        log.say("and the watch's next look; what else makes {} has to call `l2wg up {}`".format(" or ".join(names), names[0]))


def _tell_of_log(tunnels):
    """Print where the rules cannot log, as in a container: what they drop is counted all the same."""
    if tunnels and network_namespace.is_first() and not os.path.exists(LOGS_ALL):
        log.say("the rules' lines about loops and storms are not in the kernel's log, unless the host of this container has")
        log.say("net.netfilter.nf_log_all_netns=1; `l2wg status` and `l2wg metrics` count what is dropped")


def _tell_of_addresses(applied, tunnels):
    """Print which addresses bridges still have though nobody wishes for them any more: somebody may be logged in by one."""
    wished = {tunnel.bridge_address for tunnel in tunnels}
    had = {(tunnel.bridge, tunnel.bridge_address) for tunnel in store.parsed(applied) if tunnel.bridge_address}
    left = sorted(row for row in had if row[1] not in wished)
    links = link_table.read() if left else {}
    for bridge, address in left:
        if bridge in links and address in links[bridge].addresses:
            log.say(f"{bridge} has {address} until it goes down, lest somebody is cut off; to take it now:")
            log.say(f"ip address del {address} dev {bridge}")


def _had(move):
    """Rows for saved_state.Saved of what a bridge has of the sysctls that it gets by a Move."""
    values = sysctls.now(move.bridge, sysctls.differing(move.port))
    return [(move.bridge, folder, name, value) for (folder, name), value in values.items()]


def _undo(problem, keep):
    """Roll back for `problem`; the Problems to end with. `keep` is rollback.rollback's."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    left = rollback.rollback(problem.message, keep=keep)
    return left or (Problem(UNCHANGED, "mend what is said above, then: l2wg apply"),)


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
            "does not source {}: {} is gone after a reboot".format(ifupdown_bridge.OURS, ", ".join(intent.bridges)),
            # Its last line may have no end.
            f"printf '\\nsource /etc/network/interfaces.d/*\\n' >>{ifupdown.MAIN}",
            ifupdown.MAIN,
            id="not-sourced",
        ),
    )


def _carry_more(more):
    """Do what comes before; the Problems of the step that failed."""
    for path, (old, new) in more.texts.items():
        _write(path, old, new)
    for name, text in more.wish.items():
        if store.path(name) in more.texts:
            continue
        _write(store.path(name), files.text(store.path(name)), text)
    return executor.apply(more.steps)


def _carry(intent, meet=None):
    """Do all of it; the Problems of the first part that failed."""
    if intent.tunnels:
        # Events load them later, without jinja2.
        ruleset.store([nftables.entry(tunnel) for tunnel in intent.tunnels])
    for path, (old, new) in intent.texts.items():
        _write(path, old, new)
    failed = executor.apply(intent.steps)
    for bridge in intent.bridges:
        failed = failed or _bring_up(bridge, intent)
    # ifup has run our own hooks meanwhile, which take the lock: so we take it only now.
    rollback.serve(intent.texts)
    return failed or reconcile.reconcile(meet=meet, departs=True)


def _write(path, old, new):
    if not new:
        if files.text(path) != old:
            fail("somebody has changed it just now; it is as they left it", "look at it, then try again", path=path)
        files.remove(path)
        ours = path == ifupdown_bridge.OURS
        log.did("{}: deleted{}".format(path, ", nothing is to be defined there; a bridge that is up stays up" if ours else ""))
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    files.write(path, new, old=old)
    log.did(f"{path}: written")


def _bring_up(name, intent):
    """Have ifupdown bring up a bridge of ours that is not there; give one that is there the address that is wished."""
    link = link_table.read().get(name)
    bridge = intent.bridges[name]
    if any(step.argv[:5] == ("ip", "link", "add", "name", name) for step in intent.steps):
        options = [tuple(line.split(None, 1)) for *_, lines in bridge.stanzas for line in lines]
        return ifupdown_state.enter(name, options)
    if link is None:
        argv = preview.ifup_words(name, intent.reached)
        process.show(argv)
        result = process.run(argv)
        for line in result.err.splitlines():  # our own hooks' steps, too
            log.line(line)
        if result.code:
            said = "; ".join(result.err.split("\n")[-3:]).strip("; ")
            return (Problem("`{}` failed: {}".format(" ".join(argv), said), f"ifup --verbose {name} shows more"),)
        log.note(f"{name}: brought up by ifup")
        return ()
    if bridge.address and bridge.address not in link.addresses and not bridge.stanzas:
        step = Step(("ip", "address", "add", bridge.address, "dev", name), "it is wished for", name)
        return executor.apply((step,))
    return ()
