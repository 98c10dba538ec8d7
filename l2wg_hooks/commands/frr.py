"""`l2wg frr`."""

import argparse
import ipaddress
import sys

from l2wg_hooks.commands import usage
from l2wg_hooks.config import frr_speaker, frr_text, store

GROUP = usage.UNLISTED
HELP = "print FRR's text for the tunnels with control = evpn"
EXAMPLE = "l2wg frr --reflector 198.18.0.1 --reflector 198.18.0.2"
READ_ONLY = True


def add_arguments(parser):
    parser.add_argument("tunnel", metavar="TUNNEL", nargs="?", help="of several with different `local`: which")
    said = "a site that tells each other one of all (again for each; without: the hubs of /etc/l2wg/sites)"
    parser.add_argument("--reflector", metavar="ADDRESS", type=_address, action="append", default=[], help=said)
    said = "of BGP, the same at all sites (without: %d)" % frr_text.AS_NUMBER
    parser.add_argument("--as-number", metavar="N", type=_as_number, default=frr_text.AS_NUMBER, help=said)


def run(options):
    wished = store.load()
    speaker = frr_speaker.find(wished, options.tunnel, tuple(dict.fromkeys(options.reflector)), options.as_number)
    sys.stdout.write(frr_text.text(speaker))
    return (), 0


def _address(word):
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected the address of a site inside WireGuard, not {word!a}")


def _as_number(word):
    if not word.isdigit() or not 1 <= int(word) <= frr_text.AS_MAX:
        raise argparse.ArgumentTypeError(
            "expected a number from 1 to %d, such as %d, not %a" % (frr_text.AS_MAX, frr_text.AS_NUMBER, word)
        )
    return int(word)
