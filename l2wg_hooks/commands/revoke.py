"""`l2wg revoke`."""

import time

from l2wg_hooks.apply import apply, preview
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.pairing import revoke
from l2wg_hooks.system import log, terminal

GROUP = usage.UNLISTED
HELP = "put a site of /etc/l2wg/sites out: its line says so, tunnel and peer go"
EXAMPLE = "l2wg revoke branch-c"


def add_arguments(parser):
    parser.add_argument("site", metavar="SITE", help="its name, its tunnel, or its public key")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    common.add_confirm(parser)
    common.add_rehearsal(parser)


def run(options):
    person = terminal.attended()
    apply.settle()
    found = revoke.intend(options.site, time.strftime("%Y-%m-%d"))
    intent = preview.intend(wished_too=found.more.wish)
    intent = intent._replace(texts=dict(found.more.shown(), **intent.texts))
    problems, code = dialogue.put_out(found, intent, "Put this site out? [y/N] ", options, person)
    if code:
        return problems, code
    log.did(f"{found.called} is out, by its line")
    return dialogue.ended(options.confirm, found)
