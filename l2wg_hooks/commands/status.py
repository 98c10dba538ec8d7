"""`l2wg status`."""

from l2wg_hooks.commands import options as common
from l2wg_hooks.commands import usage
from l2wg_hooks.status import show

GROUP = usage.MATTERS
HELP = "show tunnels, peers, bridges, counters and what is wrong"
EXAMPLE = "l2wg status --watch"
READ_ONLY = True


def add_arguments(parser):
    parser.add_argument("tunnels", metavar="TUNNEL", nargs="*", help="only these, in whole")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs; l2wg(8) tells the schema")
    form.add_argument("--diagram", action="store_true", help="draw it, in text")
    form.add_argument("--svg", metavar="FILE", help="draw it for a wiki page; - is standard output")
    said = "again and again, every so many seconds (2), until Ctrl-C"
    form.add_argument("--watch", metavar="SECONDS", nargs="?", const=2.0, type=common.interval, help=said)


def run(options):
    return (), show.show(options)
