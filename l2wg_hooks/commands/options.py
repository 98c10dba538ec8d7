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
    said = "how others call this router, remembered; `none`: they cannot"
    parser.add_argument("--endpoint", metavar="HOST[:PORT]", help=said)


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
