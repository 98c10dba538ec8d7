"""`l2wg up`, with options that the hot path of cli.py does not know."""

from l2wg_hooks.commands import usage
from l2wg_hooks.reconcile import events

GROUP = usage.CALLED
HELP = "wire up what can be (PostUp); down: out again (PostDown); exit 0"
EXAMPLE = "l2wg up --strict wg0"


def add_arguments(parser):
    parser.add_argument("underlay", metavar="WG")
    parser.add_argument("--strict", action="store_true", help="exit 1 if something is wrong")


def run(options):
    return (), events.main(["up", options.underlay], options.strict)
