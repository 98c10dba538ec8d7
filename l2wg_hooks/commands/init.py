"""`l2wg init`."""

from l2wg_hooks import errors
from l2wg_hooks.commands import card, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.pairing import bootstrap
from l2wg_hooks.system import lock, log

GROUP = usage.NEW
HELP = "make WireGuard from nothing: key, wg0.conf, address"
EXAMPLE = "l2wg init"


def add_arguments(parser):
    parser.add_argument("underlay", metavar="WG", nargs="?", default="", help="its name (wg0; with --own: l2w0)")
    parser.add_argument("--own", action="store_true", help="in a network namespace of its own, for the tunnels alone")
    parser.add_argument("--port", type=int, default=51820, help="the UDP port (51820)")
    parser.add_argument("--address", metavar="ADDRESS", default="", help="inside WireGuard; without, it follows from the key")
    common.add_site(parser)


def run(options):
    if not 1 <= options.port <= 65535:
        errors.fail("%d is no UDP port" % options.port, "a number from 1 to 65535", key="--port")
    with lock.changing():
        name = options.underlay or ("l2w0" if options.own else "wg0")
        bootstrap.init(name, options.port, options.address, common.given(options, "name", "endpoint"), options.own)
    log.say("now take this card to the other router: l2wg pair CARD")
    return card.tell(name, False)
