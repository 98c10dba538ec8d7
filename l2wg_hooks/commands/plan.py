"""`l2wg plan`."""

from l2wg_hooks.apply import preview
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.config import store
from l2wg_hooks.system import log

GROUP = usage.CAREFUL
HELP = "say what `apply` would do and why; exit 0 nothing, 2 something"
EXAMPLE = "l2wg plan"
READ_ONLY = True


def add_arguments(_parser):
    pass


def run(_options):
    intent = preview.intend()
    if intent.moves and not intent.unasked():
        moving = preview.intend(moving=True)
        dialogue.show(moving)
        return intent.problems + moving.problems, 1
    dialogue.show(intent)
    if intent.problems:
        return intent.problems, 1
    if intent.changes():
        return (), 2
    log.say(store.EMPTY if store.is_empty() else "nothing to do")
    return (), 0
