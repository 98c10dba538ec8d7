"""`l2wg rollback`."""

from l2wg_hooks.apply import rollback, transaction
from l2wg_hooks.commands import usage
from l2wg_hooks.config import last_applied
from l2wg_hooks.system import lock, log, terminal

GROUP = usage.CAREFUL
HELP = "undo what the last `apply` has changed"
EXAMPLE = "l2wg rollback"


def add_arguments(parser):
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--unconfirmed", action="store_true", help=usage.HIDDEN)
    parser.add_argument("--boot", action="store_true", help=usage.HIDDEN)


def run(options):
    if options.boot:
        rollback.recover()
        return (), 0
    if options.unconfirmed:
        transaction.stop_worker()
    with lock.changing():
        if options.unconfirmed and not last_applied.pending():
            return (), 0
        if not options.unconfirmed and not options.yes and not _given_back():
            return (), 1
        why = "it was not confirmed" if options.unconfirmed else "asked for by `l2wg rollback`"
        problems = rollback.rollback(why, alarm=options.unconfirmed)
    return problems, 1 if problems else 0


def _given_back():
    """Show whoever sits there what a rollback takes back; whether they want it. Nobody there has asked for it already."""
    if not terminal.attended():
        return True
    texts, steps = rollback.undone()
    terminal.show(texts, steps)
    if terminal.yes("Take this back? [y/N] "):
        return True
    log.say("nothing was changed")
    return False
