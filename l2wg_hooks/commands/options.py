"""Options that several commands have, and what a value of them may be."""

import argparse


def add_confirm(parser):
    said = "undo it after so long, unless `l2wg confirm` comes before"
    parser.add_argument("--confirm", metavar="SECONDS", type=_seconds, default=0, help=said)


def add_rehearsal(parser):
    said = "do not play the next start on a copy before files change"
    parser.add_argument("--no-rehearsal", dest="rehearsed", action="store_false", help=said)


def add_sites(parser):
    said = "with FILE in the place of /etc/l2wg/sites; `-` is standard input"
    parser.add_argument("--sites", metavar="FILE", default="", help=said)


def add_site(parser):
    parser.add_argument("--name", metavar="NAME", help="this site's name, remembered (without: the host's)")
    add_endpoint(parser)


def add_endpoint(parser):
    said = "how others call this router, remembered; `none`: they cannot"
    parser.add_argument("--endpoint", metavar="HOST[:PORT]", help=said)


def add_consent(parser):
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--move-address", action="store_true", help="let addresses of ports move to their bridge without asking")


def add_place(parser):
    """Where this router's end is: the fields of pair.Wanted."""
    parser.add_argument("--underlay", metavar="WG", default="")
    parser.add_argument("--bridge", metavar="BRIDGE", default="", help="the bridge to join; without, the one that there is")
    parser.add_argument("--bridge-ports", metavar="PORTS", default="", help="make a bridge of these Ethernet ports")
    parser.add_argument("--bridge-address", metavar="ADDRESS/PREFIX", default="")


def place(options):
    """{field of pair.Wanted: value} of `add_place`."""
    ports = tuple(options.bridge_ports.replace(",", " ").split())
    return {"underlay": options.underlay, "bridge": options.bridge, "ports": ports, "address": options.bridge_address}


def given(options, *words):
    """{word: value} of those of these options that the command line has."""
    return {word: getattr(options, word) for word in words if getattr(options, word) is not None}


def _seconds(word):
    if not word.isdigit() or not 5 <= int(word) <= 86400:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 5 to 86400, not {word!a}")
    return int(word)


def interval(word):
    """The type of an option that takes seconds, fractions of them, too."""
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0.1 to 86400, not {word!a}")
    return seconds


def interface(word):
    """The type of an option that takes the name of an interface, which may be another router's."""
    from l2wg_hooks.config import schema

    try:
        return schema.interface_name(word)
    except schema.Refused as error:
        raise argparse.ArgumentTypeError(f"{error.args[0]} ({error.args[1]})")
