"""`l2wg invite`."""

from l2wg_hooks.apply import apply
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.pairing import invite, pair
from l2wg_hooks.system import log, terminal

GROUP = usage.UNLISTED
HELP = "print what a new router needs to join the net of /etc/l2wg/sites, as one line"
EXAMPLE = "l2wg invite branch-d vlans=10"


def add_arguments(parser):
    parser.add_argument("name", metavar="NAME", help="what the new site is to be called")
    parser.add_argument("words", metavar="KEY=VALUE", nargs="*", help="for the new site's line; see l2wg-sites(5)")
    parser.add_argument("--address", metavar="ADDRESS", default="", help="the new site's inside WireGuard; without, a free one")
    common.add_consent(parser)
    common.add_place(parser)
    common.add_confirm(parser)
    common.add_rehearsal(parser)


def run(options):
    person = terminal.attended()
    apply.settle()
    wanted = pair.Wanted(**common.place(options))
    found = invite.intend(options.name, options.words, options.address, wanted, person and not options.yes)
    if found.changes():
        log.say("there is no file of sites yet: with this one, this router is the hub of a net")
        _, problems, code = dialogue.enact_beside(found, options, person)
        code = code or dialogue.confirmed(options.confirm)
        if code:
            return problems, code
    else:
        for line in found.notes:
            log.say(line)
    for line in facts_of(found.invited):
        log.line("  " + line)
    log.say(f"on the router that is to be {found.invited.name}: l2wg join INVITATION, which is this line")
    # Alone on standard output, so that it can go through a pipe.
    print(found.line, flush=True)
    return (), 0


def facts_of(invited):
    """An Invitation for people, one fact a line."""
    yield f"site           {invited.name}"
    yield f"address        {invited.address}"
    yield f"net            {invited.net}"
    yield f"hub            {invited.hub.name}"
    yield f"its key        {invited.hub.key}"
    yield "its endpoint   %s" % (invited.hub.endpoint or "none: it calls, and cannot be called")
    if invited.words:
        yield f"its line has   {invited.words}"
