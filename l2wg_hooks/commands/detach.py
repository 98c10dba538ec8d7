"""`l2wg detach`."""

from l2wg_hooks.commands import usage
from l2wg_hooks.config import postup, wg_quick
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import lock

GROUP = usage.UNLISTED
HELP = "take exactly the lines of `attach` out again"
EXAMPLE = "l2wg detach wg0"


def add_arguments(parser):
    parser.add_argument("underlay", metavar="WG", nargs="?")
    parser.add_argument("--all", action="store_true", help="out of every file in /etc/wireguard")


def run(options):
    problems = []
    with lock.changing():
        for name in wg_quick.names() if options.all else [options.underlay]:
            try:
                postup.detach_file(name)
            except L2wgError as error:  # the others' lines go all the same
                problems += error.problems
    return problems, 1 if problems else 0
