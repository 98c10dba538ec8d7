"""Whoever sits at the terminal: shown what would change, asked, and given the time to decide."""

import contextlib
import sys
import time

from l2wg_hooks.apply import apply, preview, transaction
from l2wg_hooks.errors import fail
from l2wg_hooks.system import lock, log, terminal

# Characters of standard input at most: those that are looked at of a card, or of an invitation.
PASTED = 1 << 14


def pasted(prompt, whole, person):
    """A line from standard input, however it is wrapped: up to where it is `whole`, an empty line or the end."""
    if person:
        log.line(prompt)
    text = ""
    if hasattr(sys.stdin, "reconfigure"):
        # Not what was meant, perhaps, nor any text.
        sys.stdin.reconfigure(errors="surrogateescape")
    while True:
        line = sys.stdin.readline(PASTED - len(text))
        if not line:
            break
        text += line
        if whole(text) or (text.strip() and not line.strip()):
            break
    return text


def enact(found, options, person):
    """Show what a Pairing, or what else has its `shown`, `more` and `notes`, would change; ask, and do it.

    (whether there was anything to do, Problems, exit code).
    """
    from l2wg_hooks.pairing import pair  # `apply` has no use for it

    intent = preview.intend_moves(found.more.wish)
    for line in found.notes:
        log.say(line)
    if not found.changes() and not intent.changes() and not intent.problems:
        return False, (), 0
    show(intent._replace(texts=dict(found.shown, **intent.texts), steps=found.more.steps + intent.steps))
    if intent.problems:
        return True, intent.problems, 1
    if not options.yes and not consents("Write this? [y/N] ", person):
        return True, (), 1
    problems = pair.carry_out(found, options.confirm, (lambda moves: True) if options.move_address else agree, options.rehearsed)
    return True, problems, 1 if problems else 0


def enact_beside(found, options, person):
    """The same, with nothing of it on standard output: what stands there is one line for another router."""
    with contextlib.redirect_stdout(sys.stderr):
        return enact(found, options, person)


def put_out(found, intent, question, options, person, last=()):
    """Show what an Intent would take out, with the files of `found.more`; ask the question, and do it. (Problems, exit code)."""
    show(intent, last)
    if intent.problems:
        return intent.problems, 1
    if not options.yes and not consents(question, person):
        return (), 1
    problems = apply.apply(options.confirm, agree, found.more, options.rehearsed)
    return problems, 1 if problems else 0


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


def ended(seconds, found):
    """The end of a change of /etc/l2wg/sites: it is decided on, and `found.told` says what is to be done elsewhere.

    (Problems, exit code); the former are `found.left`, if it is kept.
    """
    code = confirmed(seconds)
    if code:
        return (), code
    if transaction.waits():
        log.say("once this is confirmed:")
    for line in found.told:
        log.say(line)
    return found.left, 1 if found.left else 0
