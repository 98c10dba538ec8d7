"""`l2wg apply`."""

from l2wg_hooks.apply import apply
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import store
from l2wg_hooks.system import log

GROUP = usage.MATTERS
HELP = "bring files and kernel to what is wished, or change nothing"
EXAMPLE = "l2wg apply --confirm 60"


def add_arguments(parser):
    common.add_confirm(parser)
    parser.add_argument("--yes", action="store_true", help="let addresses of ports move to their bridge without asking")
    parser.add_argument("--copy", action="store_true", help=usage.HIDDEN)
    common.add_rehearsal(parser)


def run(options):
    if options.copy:
        apply.copy()
        return (), 0
    problems = apply.apply(options.confirm, (lambda moves: True) if options.yes else dialogue.agree, rehearsed=options.rehearsed)
    if store.is_empty():
        log.say(store.EMPTY)
    return problems, 1 if problems else dialogue.confirmed(options.confirm)
