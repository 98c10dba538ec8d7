"""`l2wg rehearse`."""

from l2wg_hooks.apply import preview
from l2wg_hooks.commands import usage
from l2wg_hooks.rehearsal import rehearse

GROUP = usage.CAREFUL
HELP = "play the next start on a copy; exit 0 well, 1 something is lost"
EXAMPLE = "l2wg rehearse"
READ_ONLY = True


def add_arguments(parser):
    parser.add_argument("-v", "--verbose", action="store_true", help="show all that was run, and what it said")


def run(options):
    return rehearse.report(preview.intend_moves(), options.verbose)
