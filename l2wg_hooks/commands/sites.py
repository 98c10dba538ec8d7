"""`l2wg sites`."""

from l2wg_hooks.commands import usage
from l2wg_hooks.status import show

GROUP = usage.MATTERS
HELP = "show the net of /etc/l2wg/sites, a line a site"
EXAMPLE = "l2wg sites"
READ_ONLY = True
FOR_ALL = True


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="for programs; l2wg(8) tells the schema")


def run(options):
    return (), show.sites(options)
