"""`l2wg apply`."""

import json
import os
import sys
import time
from typing import List

from l2wg_hooks import __version__
from l2wg_hooks.apply import apply, sites_change, transaction
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import store
from l2wg_hooks.system import log

GROUP = usage.MATTERS
HELP = "bring files and kernel to what is wished, or change nothing"
EXAMPLE = "l2wg apply --confirm 60"
# Of --json: another number where a name goes, or means something else.
VERSION = 1


def add_arguments(parser):
    common.add_confirm(parser)
    common.add_sites(parser)
    parser.add_argument("--yes", action="store_true", help="let addresses of ports move to their bridge without asking")
    parser.add_argument("--json", action="store_true", help="for programs, whether anything changed; l2wg(8) tells the schema")
    parser.add_argument("--copy", action="store_true", help=usage.HIDDEN)
    common.add_rehearsal(parser)


def run(options):
    if options.copy:
        apply.copy()
        return (), 0
    if options.sites:
        apply.settle()
    points: List[str] = []
    agree = (lambda moves: True) if options.yes else dialogue.agree
    problems = apply.apply(options.confirm, agree, sites_change.of(options.sites), options.rehearsed, points.append)
    if store.is_empty():
        log.say(store.EMPTY)
    if options.json:
        json.dump(_document(apply.DONE in points, problems, options.confirm), sys.stdout, indent=2)
        print(flush=True)
    return problems, 1 if problems else dialogue.confirmed(options.confirm)


def _document(changed, problems, confirm):
    """What --json prints: whether a change was made, and for how many seconds it waits to be confirmed, or None."""
    return {
        "version": VERSION,
        "l2wg": __version__,
        "host": os.uname().nodename,
        "time": int(time.time()),
        "ok": not problems,
        "changed": changed,
        "confirm": confirm if transaction.waits() else None,
    }
