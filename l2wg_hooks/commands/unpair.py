"""`l2wg unpair`."""

from l2wg_hooks.apply import apply, preview
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.pairing import unpair
from l2wg_hooks.system import log, terminal

GROUP = usage.NEW
HELP = "take out what `pair` has brought; revoke: a site of a file of sites"
EXAMPLE = "l2wg unpair site-b"


def add_arguments(parser):
    parser.add_argument("site", metavar="SITE", help="the other site, its tunnel, or its public key")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    common.add_confirm(parser)
    common.add_rehearsal(parser)


def run(options):
    person = terminal.attended()
    apply.settle()
    found = unpair.intend(options.site)
    intent = preview.intend(wished_too=found.more.wish)
    for line in found.notes:
        log.say(line)
    if not found.shown and not found.more.last and not intent.changes() and not intent.problems:
        log.say(f"nothing to do: no tunnel leads to {found.called}")
        return (), 0
    # In the order of what happens: the tunnel goes before the peer.
    intent = intent._replace(texts=dict(found.shown, **intent.texts))
    problems, code = dialogue.put_out(found, intent, "Take this out? [y/N] ", options, person, found.more.last)
    if code:
        return problems, code
    log.did(f"this router is no longer paired with {found.called}")
    log.say(f"on the other router, if that has not been done: l2wg unpair {unpair.own_name()}")
    return (), dialogue.confirmed(options.confirm)
