"""`l2wg plan`."""

from l2wg_hooks.apply import preview, rollback, sites_change
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import store
from l2wg_hooks.system import log

GROUP = usage.CAREFUL
HELP = "say what `apply` would do and why; exit 0 nothing, 2 something"
EXAMPLE = "l2wg plan"
READ_ONLY = True


def add_arguments(parser):
    common.add_sites(parser)
    parser.add_argument("--yes", action="store_true", help="as if addresses of ports may move to their bridge")


def run(options):
    waiting = rollback.unconfirmed()
    if waiting:
        return waiting, 1
    more = sites_change.of(options.sites)
    intent = preview.intend_moves(more.wish) if options.yes else preview.intend(wished_too=more.wish)
    if intent.moves and not intent.unasked() and not options.yes:
        moving = preview.intend(moving=True, wished_too=more.wish)
        dialogue.show(_with(moving, more))
        return intent.problems + moving.problems, 1
    dialogue.show(_with(intent, more))
    if intent.problems:
        return intent.problems, 1
    if intent.changes() or more != preview.NOTHING:
        return (), 2
    log.say(store.EMPTY if store.is_empty() else "nothing to do")
    return (), 0


def _with(intent, more):
    return intent._replace(texts=dict(more.shown(), **intent.texts))
