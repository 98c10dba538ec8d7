"""Events: PostUp and PostDown of wg-quick, ifupdown's hooks. They carry no logic: each asks for the same plan.

Towards wg-quick and ifup an event never fails: a failing PostUp makes wg-quick delete wg0, a failing hook makes ifup
fail, and either can cut off an admin who is logged in through it. Errors are printed and go to the journal.
Nothing here imports jinja2, argparse or anything else that a hook can do without.
"""

from l2wg_hooks import files, lock, log, plan, probe, refusal, rules, run, seen, story, wish
from l2wg_hooks.errors import L2wgError, Problem

# The kernel's links can change while we work (a port comes, a bridge goes): look again, but not for ever.
ROUNDS = 3
# What waits, as it was told to the journal last: it is news once.
WAITING = "/run/l2wg.waiting"


def bring(leaving=(), may_skip=False, only=None):
    """Bring the kernel to the wish; the Problems that are left. Raises L2wgError where nothing could be tried.

    `only`, if given, names the tunnels that are wished for: the others' files count as not there.
    """
    with lock.working(may_skip) as ours:
        if not ours:
            return ()
        wished = wish.load()
        if only is not None:
            wished = wish.keep(wished, only)
        failed = ()
        for _ in range(ROUNDS):
            links, found = run.observe(), seen.look(wished.tunnels)
            todo = plan.plan(wished.tunnels, links, leaving, wished.broken, found)
            if not todo.steps:
                probe.send(wished.tunnels, links)
                break
            failed = carry_out(todo, links)
            if failed:
                break
        else:
            failed = tuple(
                Problem("`%s` had no effect: %s" % (step, step.reason), "is another manager at work on it?")
                for step in todo.steps
            )
        _waits(todo.waiting)
        return wished.problems + todo.problems + failed


def carry_out(todo, links):
    """Run the steps of a Plan; the Problems of that. Without a guard no tunnel is made, nor stays.

    Of what this router's nft(8) does not take, only the guard counts: a key that cannot be had is told of, and the rest stands.
    """
    if todo.rules is None:
        return run.apply(todo.steps)
    at = [step.group for step in todo.steps].index(plan.GUARD)
    failed = run.apply(todo.steps[:at])
    unguarded = rules.load(todo.rules, todo.steps[at])
    if not unguarded or not todo.rules.entries:
        return failed + unguarded + run.apply(todo.steps[at + 1 :])
    # What was in force before may be so no more: not only loading fails, somebody may also have flushed the tables meanwhile.
    left = rules.observe(needed=True)
    try:
        refused = refusal.find(todo.rules)
        told = tuple(refusal.problems(refused, wish.load().tunnels))
    except L2wgError:  # no nft(8), or no jinja2 to ask it by: `unguarded` says so, and nothing may stay open for that
        refused, told = refusal.Refusal(), ()
    if refused.keys:
        less = refusal.without(todo.rules, [feature for feature, _ in refused.keys])
        again = () if less == left else rules.load(less, todo.steps[at])
        if not again:
            # Its message is nft(8)'s of all the rules; what it means is told of each key.
            return failed + run.apply(todo.steps[at + 1 :]) + told
        left = rules.observe(needed=True)
    unguarded += told
    guarded = [one["name"] for one in left.entries] if left.intact else []
    gone = plan.removal([one["name"] for one in todo.rules.entries], links).steps
    return failed + run.apply([step for step in gone if step.group not in guarded]) + unguarded


def _waits(lines):
    """Print what waits for another event, and tell the journal where that was something else until now."""
    for line in lines:
        log.say(line)
    text = "".join(line + "\n" for line in lines)
    try:
        before = files.text(WAITING)
    except L2wgError:  # not as we have left it
        before = None
    try:
        if text != before:
            log.waits(lines)
            if text:
                files.write(WAITING, text)
            else:
                files.remove(WAITING)
    except L2wgError:  # then it is told once more
        pass


def clear():
    """Take every tunnel of ours out of the kernel, and all that came with it; the Problems of that."""
    with lock.working():
        links, found = run.observe(), seen.look(wish.load().tunnels)
        failed = carry_out(plan.removal(wish.names(), links, found), links)
        _waits(())
        return failed


def up(name):
    """wg-quick has brought up the WireGuard interface `name`."""
    return bring(may_skip=True)


def down(name):
    """wg-quick has taken down the WireGuard interface `name`, or somebody wants its tunnels gone until it comes back."""
    return bring(leaving=(name,))


def event(phase, interface):
    """ifupdown has brought `interface` up (phase "up"), or is about to take it down ("down"); or dhcpcd begins with it."""
    if phase == "dhcpcd":
        return _begins(interface)
    return down(interface) if phase == "down" else up(interface)


def _begins(interface):
    """dhcpcd waits for us. It has nothing to do with a tunnel, nor with a port of ours by whose address nobody is logged in."""
    from l2wg_hooks import dhcpcd

    link, tunnels = run.observe().get(interface), wish.load().tunnels
    if link is None:
        return ()
    tunnel = interface in wish.names() and link.kind in plan.TUNNEL_KINDS
    port = any(interface in one.bridge_ports and link.master == one.bridge for one in tunnels)
    problems = tuple(dhcpcd.mute(interface, link.mac)) if tunnel else ()
    if tunnel or (port and not link.addresses):
        dhcpcd.release(interface)
    return problems


HANDLERS = {"up": up, "down": down, "event": event}


def main(words, strict=False):
    """Run an event by its words, such as ["up", "wg0"]; exit code: 0, with `strict` 1 if something is wrong."""
    log.begin(" ".join(words), story.label(words))
    try:
        problems = clear() if words == ["down", "--all"] else HANDLERS[words[0]](*words[1:])
    except L2wgError as error:
        problems = error.problems
    except Exception as error:  # whatever it is, it must not cost anybody the VPN
        if strict:
            raise
        problems = (Problem("%s: %s" % (type(error).__name__, error), "a bug: run `l2wg %s --strict`" % " ".join(words)),)
    finally:
        log.tell()
    log.complain(problems)
    return 1 if problems and strict else 0
