"""`l2wg set`."""

from l2wg_hooks.commands import usage
from l2wg_hooks.config import edit
from l2wg_hooks.errors import fail
from l2wg_hooks.system import lock

GROUP = usage.NEW
HELP = "write settings into /etc/l2wg/TUNNEL.conf, or make it"
EXAMPLE = "l2wg set gretap1 bridge=br0 bridge-ports=enp3s0"


def add_arguments(parser):
    parser.add_argument("tunnel", metavar="TUNNEL")
    parser.add_argument("changes", metavar="KEY=VALUE", nargs="+", help="see l2wg.conf(5)")


def run(options):
    changes = {}
    for word in options.changes:
        key, equals, value = word.partition("=")
        if not equals:
            fail(f"{word!a} is not KEY=VALUE", "for example: l2wg set gretap1 bridge=br0")
        changes[key.strip()] = value.strip()
    with lock.changing():
        edit.change(options.tunnel, changes)
    return (), 0
