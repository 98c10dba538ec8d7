"""`l2wg init`."""

from l2wg_hooks import errors
from l2wg_hooks.commands import card, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import wg_quick
from l2wg_hooks.pairing import bootstrap
from l2wg_hooks.system import lock, log

GROUP = usage.NEW
HELP = "make WireGuard from nothing: a key, its file, an address"
EXAMPLE = "l2wg init"


def add_arguments(parser):
    named = "its name (l2w0; with --shared: wg0); one such as wg0 takes --shared or --own beside it"
    parser.add_argument("underlay", metavar="WG", nargs="?", default="", help=named)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--own", action="store_true", help="in a network namespace of its own, for tunnels alone (the default)")
    kind.add_argument("--shared", action="store_true", help="beside this router's other interfaces, by wg-quick(8)")
    parser.add_argument("--port", type=int, default=51820, help="the UDP port (51820)")
    parser.add_argument("--address", metavar="ADDRESS", default="", help="inside WireGuard; without, it follows from the key")
    common.add_site(parser)


def run(options):
    if not 1 <= options.port <= 65535:
        errors.fail("%d is no UDP port" % options.port, "a number from 1 to 65535", key="--port")
    name = options.underlay or ("wg0" if options.shared else "l2w0")
    if wg_quick.is_usual(name) and not options.shared and not options.own:
        message = f"everybody takes {name} for an interface of wg-quick(8), and l2wg would make one of its own"
        errors.fail(message, f"which is meant: l2wg init --shared {name} # or: l2wg init; or: l2wg init --own {name}")
    with lock.changing():
        bootstrap.init(name, options.port, options.address, common.given(options, "name", "endpoint"), not options.shared)
    log.say("now take this card to the other router: l2wg pair CARD")
    return card.tell(name, False)
