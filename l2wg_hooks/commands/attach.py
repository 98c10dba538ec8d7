"""`l2wg attach`."""

from l2wg_hooks.commands import usage
from l2wg_hooks.config import postup, store
from l2wg_hooks.system import lock

GROUP = usage.NEW
HELP = "put our PostUp and PostDown lines into WG.conf; detach: out again"
EXAMPLE = "l2wg attach wg0"


def add_arguments(parser):
    parser.add_argument("underlay", metavar="WG")


def run(options):
    with lock.changing():
        return postup.attach_file(options.underlay, store.names()), 0
