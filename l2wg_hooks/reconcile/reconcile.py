"""The kernel is brought to the wish: observe, plan, execute, until nothing is left to do."""

from l2wg_hooks.config import last_endpoints, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import link_table, peer_answers, snapshot
from l2wg_hooks.plan import commands, planner
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import executor, taken_down
from l2wg_hooks.system import files, lock, log
from l2wg_hooks.typed import Set

# The kernel's links can change while we work (a port comes, a bridge goes): look again, but not for ever.
ROUNDS = 3
# What waits, as it was told to the journal last: it is news once.
WAITING = "/run/l2wg.waiting"


def reconcile(leaving=(), may_skip=False, only=None, meet=None, tell=None, spares=False, departs=False):
    """Bring the kernel to the wish; the Problems that are left. Raises L2wgError where nothing could be tried.

    `only`, if given, names the tunnels that are wished for: the others' files count as not there. `meet`, if given, is called
    once, when all is looked at and the first step comes next; what it raises ends it. `tell` is called with what waits, unless
    it is skipped, in the place of tell_what_waits. With `spares`, what was taken down on purpose stays so, unless it is made
    anew. A site `departs` where its line has gone from /etc/l2wg/sites, and no fault of that file may be why.
    """
    if not leaving and not spares:
        # Before the lock: whoever waits in our place, so that we are skipped, may be one that spares it.
        taken_down.clear()
    # The WireGuard interfaces that are told of their peers.
    synced: Set[str] = set()

    def noted(todo):
        synced.update(todo.synced, todo.peers)
        return todo

    with lock.working(may_skip) as ours:
        if not ours:
            return ()
        taken_down.add(leaving)
        wished = store.load()
        if only is not None:
            wished = store.keep(wished, only)
        wished = steady(wished, departs or only is not None)
        if spares:
            leaving = taken_down.still(taken_down.read(), wished.tunnels, link_table.read())
        todo, failed = bring(wished, leaving, only is None and not wished.broken, meet, noted)
        (tell or tell_what_waits)(todo.waiting)
    if synced:
        from l2wg_hooks.reconcile import endpoint_names  # where l2wg makes WireGuard only

        # Behind the lock, and by somebody for whom nobody waits.
        endpoint_names.soon(synced, wished.tunnels)
    return wished.problems + todo.problems + failed


def steady(wished, departs=False):
    """site_record.steady, where there is a file of sites."""
    if wished.net is None:
        return wished
    from l2wg_hooks.config import site_record

    return site_record.steady(wished, departs)


def bring(wished, leaving=(), whole=True, meet=None, chosen=lambda todo: todo):
    """Bring the kernel to the Wish; the last Plan and the Problems of its steps. Whoever calls holds the lock.

    `whole` is whether nobody else's peers are to be kept; `meet` is as of reconcile, `chosen` gives the Plan that is carried out.
    """
    failed = ()
    for _ in range(ROUNDS):
        links = link_table.read()
        found = snapshot.look(wished.tunnels, links)
        # Before anything of it goes.
        _remember(wished.tunnels, found, whole)
        todo = chosen(planner.plan(wished.tunnels, links, leaving, wished.broken, found))
        if any(peer.was for tunnel in wished.tunnels for peer in tunnel.peers):
            _settle(wished.tunnels, found)
        if wished.net is not None or found.told is not None:
            from l2wg_hooks.config import hub_record, site_record

            hub_record.keep(wished.tunnels)
            # Before: whoever is ended now leaves no peer that nobody takes for ours.
            site_record.keep(wished, links, found, todo.peers, todo.given)
        if meet:
            meet()
            meet = None
        if not todo.steps and todo.taken is None:
            # WireGuard begins its handshake for that, if it has none: by itself it waits for somebody's packet.
            loop_probe.send(wished.tunnels, links)
            break
        failed = execute(todo, links)
        if failed:
            break
    else:
        failed = tuple(
            Problem(f"`{step}` had no effect: {step.reason}", "is another manager at work on it?") for step in todo.steps
        )
    return todo, failed


def _settle(tunnels, found):
    """Keep which sites have changed their keys for good, before the former ones go: no start lets these in again."""
    from l2wg_hooks.config import changed_keys  # where a site changes its key only
    from l2wg_hooks.plan import key_changes

    for old, new in key_changes.done(tunnels, found):
        try:
            changed_keys.add(old, new)
        except L2wgError:  # a full disk, or one that is read only: the next look tries again
            pass


def remember():
    """Keep where the tunnels' peers are heard now, for the next start of their WireGuard interfaces. Changes nothing else."""
    wished = steady(store.load())
    _remember(wished.tunnels, snapshot.peers(wished.tunnels), not wished.broken)


def _remember(tunnels, found, whole):
    if not found.peers and not found.heard:
        return
    from l2wg_hooks.plan import peer_endpoints

    heard = peer_endpoints.kept(tunnels, found.peers, found.heard, whole)
    if heard != found.heard:
        try:
            last_endpoints.write(heard)
        except L2wgError:  # a full disk, or one that is read only: the wire is no worse for it
            pass


def execute(todo, links):
    """Run the steps of a Plan; the Problems of that. Without a guard no tunnel is made, nor stays.

    Of what this router's nft(8) does not take, only the guard counts: a key that cannot be had is told of, and the rest stands.
    """
    if todo.taken is not None:
        # Before: whoever is ended now leaves no port down of which nobody knows why.
        try:
            peer_answers.take(todo.taken)
        except L2wgError as error:
            from l2wg_hooks.plan import peer_down  # where somebody wants it only

            return execute(peer_down.without(todo), links) + error.problems
    if todo.synced or todo.peers or todo.inside:
        from l2wg_hooks.reconcile import wire_files  # where l2wg makes WireGuard, or tells it of peers, only

        try:
            failed = wire_files.write(todo.synced, todo.peers, todo.inside) + _execute(todo, links)
        finally:
            wire_files.clear({*todo.synced, *todo.peers}, todo.inside)
    else:
        failed = _execute(todo, links)
    if failed and any(step.argv == commands.NEW_NAMESPACE for step in todo.steps):
        from l2wg_hooks.plan import wire_steps

        if not wire_steps.standing(link_table.read()):
            # As in a kernel without WireGuard: by itself it is of no use.
            executor.apply((wire_steps.alone(),))
    return failed


def _execute(todo, links):
    if todo.rules is None:
        return executor.apply(todo.steps)
    from l2wg_hooks.reconcile import ruleset  # most events have no rules to load

    at = [step.group for step in todo.steps].index(planner.GUARD)
    failed = executor.apply(todo.steps[:at])
    if failed and todo.replaced:
        return failed  # the one that was to go may still be there, and these rules do not guard it
    unguarded = ruleset.load(todo.rules, todo.steps[at])
    if not unguarded or not todo.rules.entries:
        return failed + unguarded + executor.apply(todo.steps[at + 1 :])
    from l2wg_hooks.netfilter import unsupported

    # What was in force before may be so no more: not only loading fails, somebody may also have flushed the tables meanwhile.
    left = nftables_state.observe(needed=True)
    try:
        refused = unsupported.find(todo.rules)
        told = tuple(unsupported.problems(refused, store.load().tunnels))
    except L2wgError:  # no nft(8), or no jinja2 to ask it by: `unguarded` says so, and nothing may stay open for that
        refused, told = unsupported.Refusal(), ()
    if refused.keys:
        less = unsupported.without(todo.rules, [feature for feature, _ in refused.keys])
        again = () if less == left else ruleset.load(less, todo.steps[at])
        if not again:
            # Its message is nft(8)'s of all the rules; what it means is told of each key.
            return failed + executor.apply(todo.steps[at + 1 :]) + told
        left = nftables_state.observe(needed=True)
    unguarded += told
    guarded = [entry["name"] for entry in left.entries] if left.intact else []
    gone = planner.removal([entry["name"] for entry in todo.rules.entries], links).steps
    return failed + executor.apply([step for step in gone if step.group not in guarded]) + unguarded


def tell_what_waits(waits):
    """Print what waits for another event, and tell the journal where that was something else until now."""
    for wait in waits:
        log.say(str(wait))
    text = "".join(f"{wait}\n" for wait in waits)
    try:
        before = files.text(WAITING)
    except L2wgError:  # not as we have left it
        before = None
    try:
        if text != before:
            log.waits(waits)
            if text:
                files.write(WAITING, text)
            else:
                files.remove(WAITING)
    except L2wgError:  # then it is told once more
        pass


def remove_all():
    """Take every tunnel of ours out of the kernel, and all that came with it; the Problems of that."""
    with lock.working():
        taken_down.add((taken_down.ALL,))
        links = link_table.read()
        wished = steady(store.load())
        found = snapshot.look(wished.tunnels, links)
        _remember(wished.tunnels, found, not wished.broken)
        names = [*store.names(), *(tunnel.name for tunnel in wished.tunnels)]
        failed = execute(planner.removal(names, links, found), links)
        if found.taken and not failed:
            try:
                peer_answers.take(())
            except L2wgError:  # the next plan sees that they are up
                pass
        tell_what_waits(())
        if wished.net is not None or found.told is not None:
            from l2wg_hooks.config import hub_record

            hub_record.keep(())
        return failed
