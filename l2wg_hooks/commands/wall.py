"""`l2wg wall`."""

from l2wg_hooks.apply import apply
from l2wg_hooks.commands import card as card_command
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import card, staged
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.pairing import wall
from l2wg_hooks.system import lock, log, terminal

GROUP = usage.NEW
HELP = "give a shared tunnel a wire of its own, while it works"
EXAMPLE = "l2wg wall gretap1 CARD"


def add_arguments(parser):
    parser.add_argument("tunnel", metavar="TUNNEL")
    parser.add_argument("card", metavar="CARD", nargs="*", help="what the same command prints on the other router")
    parser.add_argument("--undo", action="store_true", help="take back what waits for the other site")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--wait", action="store_true", help=usage.HIDDEN)
    common.add_rehearsal(parser)


def run(options):
    if options.wait:
        from l2wg_hooks.pairing import waiter  # for who waits only

        waiter.Waiter(options.tunnel).run()
        return (), 0
    if options.undo:
        problems = wall.undo(options.tunnel)
        return problems, 1 if problems else 0
    apply.settle()
    tunnel = wall.find(options.tunnel)
    with lock.changing():
        name = wall.wire(tunnel)
    here = wall.facts(tunnel, name)
    if not options.card:
        return _tell(tunnel, here)
    found = wall.intend(tunnel, here, " ".join(options.card))
    own = f"on the other router, if that has not been done: l2wg wall TUNNEL {card.encode(here.card)}"
    if not found.texts and tunnel.name in staged.names() and staged.read(tunnel.name) == found.changes:
        log.say(f"nothing to do: {tunnel.name} waits for {found.other.name}")
        log.say(own)
        return (), 0
    for line in card_command.facts_of(found.other):
        log.line("  " + line)
    for line in found.notes:
        log.say(line)
    later = wall.more(tunnel, found.changes)
    log.say(f"when {found.other.name} is ready, too, a new {tunnel.name} takes the place of the old one, and these files change:")
    terminal.show(later.shown(), ())
    person = terminal.attended()
    if not options.yes and not dialogue.consents("Have it wait for that? [y/N] ", person):
        return (), 1
    problems = apply.foresee(later, options.rehearsed)
    if problems:
        raise L2wgError(*problems)
    wall.stage(found)
    log.did(f"{tunnel.name} waits for {found.other.name}, to change to {name} together; nothing is interrupted until then")
    log.say(own)
    log.say(f"how far it is: l2wg status {tunnel.name}")
    return (), 0


def _tell(tunnel, here):
    """Print this site's card for the other one, alone on standard output."""
    for line in card_command.facts_of(here.card):
        log.line("  " + line)
    if tunnel.name in staged.names():
        log.say(f"{tunnel.name} waits for the other site")
    log.say("now take this card to the other router: l2wg wall TUNNEL CARD, with the tunnel there that leads here")
    print(card.encode(here.card), flush=True)
    return here.hints, 0
