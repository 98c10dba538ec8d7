"""`l2wg down`, with options that the hot path of cli.py does not know."""

from l2wg_hooks.commands import usage
from l2wg_hooks.reconcile import events

GROUP = usage.UNLISTED
HELP = "take the tunnels on WG out; exits 0 whatever happens (PostDown)"
EXAMPLE = "l2wg down wg0"


def add_arguments(parser):
    parser.add_argument("underlay", metavar="WG", nargs="?")
    parser.add_argument("--all", action="store_true", help="take out every tunnel of ours")
    parser.add_argument("--strict", action="store_true", help="exit 1 if something is wrong")


def run(options):
    return (), events.main(["down", options.underlay or "--all"], options.strict)
