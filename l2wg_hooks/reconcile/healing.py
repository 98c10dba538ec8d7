"""The watch's plan: what nobody tells of is put right, and what is right, or meant so, is left alone.

First it looks without a lock. It works only where nobody else does, and waits for nobody, so that an event is never late for it.
"""

import json

from l2wg_hooks.config import last_applied, store
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Plan
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import planner, repeats, wire_steps
from l2wg_hooks.reconcile import event_summary, look_record, reconcile, suspects, taken_down
from l2wg_hooks.system import files, json_fields, lock, log

# What was put right, how often and when.
HISTORY = "/run/l2wg.healed"


def heal():
    """Put right what differs from the wish; the Problems of that."""
    if last_applied.pending():
        return ()
    wished = applied()
    links = link_table.read()
    leaving = _down(wished, links)
    if leaving is None:
        look_record.write(wished.tunnels, links)
        return ()
    seen = snapshot.look(wished.tunnels, links)
    todo = planner.plan(wished.tunnels, links, leaving, wished.broken, seen)
    choice = Choice(read_history(), look_record.now())
    if not choice(todo).steps:
        whole = not (wished.broken or leaving) and todo == Plan()
        look_record.write(wished.tunnels, links, choice.until if todo.steps else None, whole, seen)
        return ()
    with lock.at_leisure() as ours:
        # Whoever was at work a moment ago may have begun to wait for a confirmation.
        if not ours or last_applied.pending():
            return ()
        return _work()


def _work():
    wished = applied()
    leaving = _down(wished, link_table.read())
    if leaving is None:
        return ()
    choice = Choice(read_history(), look_record.now())
    todo, failed = reconcile.bring(wished, leaving, not wished.broken, chosen=choice)
    history = repeats.after(choice.history, choice.done, choice.now)
    write_history(history)
    if not choice.is_told():
        log.forget()
        return ()
    # Its unit keeps what is of less weight out of the journal.
    log.unasked()
    if log.has_told():
        _tell_who(suspects.ask())
    often = repeats.new(history, choice.done)
    if often:
        names = ", ".join(sorted({event_summary.subject(key.partition(" ")[2]) for key in often}))
        why = "this fails again and again" if failed else "something keeps undoing this"
        log.alarm(f"{why} ({names}): from now on it is put right, and told of, less often")
    if not leaving and log.has_told():
        reconcile.tell_what_waits(todo.waiting)
    return failed


def _tell_who(found):
    for unit, _, _ in found:
        log.add("L2WG_LIKELY", unit)
    if found:
        log.did(suspects.words(found))


class Choice:
    """What of a Plan is carried out at `now`, by the history of what was put right; it remembers what was chosen."""

    def __init__(self, history, now):
        self.history, self.now = history, now
        self.done = []
        self.until = now

    def __call__(self, todo):
        keys = repeats.keys(todo.steps)
        held = {group for group, key in keys.items() if not repeats.is_due(self.history, key, self.now)}
        self.until = repeats.next_time(self.history, [keys[group] for group in held], self.now)
        # Open is worse than busy.
        if todo.rules is not None and todo.rules.entries:
            held.discard(planner.GUARD)
        steps = tuple(step for step in todo.steps if step.group not in _with_needing(held, todo.steps))
        for step in steps:
            if keys[step.group] not in self.done:
                self.done.append(keys[step.group])
        loads = any(step.group == planner.GUARD for step in steps)
        return todo._replace(
            steps=steps,
            rules=todo.rules if loads else None,
            synced=wire_steps.synced(steps),
            replaced=tuple(name for name in todo.replaced if name in {step.group for step in steps}),
        )

    def is_told(self):
        """Whether any of what was done is to be told of."""
        return any(repeats.is_due(self.history, key, self.now) for key in self.done)


def _with_needing(groups, steps):
    """These groups, and every one that needs one of them."""
    found, before = set(groups), -1
    while len(found) != before:
        before = len(found)
        found |= {step.group for step in steps if step.needs in found}
    return found


def applied():
    """The Wish, as far as it is the one that was applied: what somebody edits is left as it is until they apply it."""
    wished = store.load()
    edited = last_applied.edited(wished)
    if store.SITES in edited:
        from l2wg_hooks.config import site_record  # where there is a file of sites only

        wished = site_record.last(wished)
    else:
        wished = reconcile.steady(wished)
    return wished._replace(
        tunnels=tuple(tunnel for tunnel in wished.tunnels if tunnel.name not in edited),
        broken=tuple(sorted(set(wished.broken) | edited)),
        problems=(),
    )


def _down(wished, links):
    """The names of what was taken down on purpose, and is to stay so; None where that is all."""
    known = taken_down.read()
    if taken_down.ALL in known:
        return None
    return taken_down.still(known, wished.tunnels, links)


def read_history():
    """What is kept; nothing where that is not as we have left it."""
    try:
        found = json_fields.load(files.kept(HISTORY) or "{}")
        if not isinstance(found, dict):
            return {}
        return {key: repeats.Fault(*row) for key, row in found.items() if _is_fault(row)}
    except json_fields.Unfit:
        return {}


def _is_fault(row):
    return isinstance(row, list) and len(row) == 2 and all(type(number) is int and 0 <= number < 1 << 40 for number in row)


def write_history(history):
    """Keep this; nobody is told where that fails."""
    try:
        files.keep(HISTORY, json.dumps(history) if history else "")
    except L2wgError:
        pass
