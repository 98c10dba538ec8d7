"""Whoever sits at the terminal: shown what would change, asked, and given the time to decide."""

import time

from l2wg_hooks.apply import transaction
from l2wg_hooks.errors import fail
from l2wg_hooks.system import lock, log, terminal


def show(intent, last=()):
    """Print what an Intent would change: what that is for, files as a diff, commands with their reasons, `last` the last."""
    for line in intent.meant:
        log.say(line)
    terminal.show(intent.texts, intent.all_steps() + tuple(last))
    for wait in intent.waiting():
        log.say(str(wait))
    for note in intent.told + tuple(mention.problem() for mention in intent.named if intent.texts):
        log.line(f"l2wg: {note}")


def agree(moves):
    """Ask whoever sits there; nobody there has not agreed."""
    if not terminal.attended():
        return False
    for move in moves:
        log.line(f"{move}. Its stanzas also move: `l2wg plan` shows how.")
    return terminal.yes("Go on? Connections are kept. [y/N] ")


def consents(question, person):
    """Whether the `person` at the terminal says yes; else that nothing was changed. Raises L2wgError where there is none."""
    if not person:
        fail("nobody is here to agree, nothing was changed", "run it at a terminal, or with --yes")
    if terminal.yes(question):
        return True
    log.say("nothing was changed")
    return False


def confirmed(seconds):
    """Have whoever sits there decide on what waits for a confirmation; the exit code. Nobody there decides later."""
    if not seconds or not transaction.waits() or not terminal.attended():
        return 0
    ended = terminal.count_down(time.monotonic() + seconds, transaction.waits)
    if ended == terminal.KEPT:
        with lock.changing():
            transaction.confirm()
    elif ended == terminal.OVER:
        log.line("")
        log.say("the time is over: it is being undone")
    elif ended == terminal.DECIDED:
        log.line("")
        log.say("it has been confirmed or undone elsewhere meanwhile")
    return 1 if ended == terminal.OVER else 0
