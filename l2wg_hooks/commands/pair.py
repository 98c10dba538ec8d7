"""`l2wg pair`."""

import sys

from l2wg_hooks.apply import apply, preview
from l2wg_hooks.commands import card as card_command
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import card
from l2wg_hooks.pairing import pair
from l2wg_hooks.system import log, terminal

GROUP = usage.NEW
HELP = "connect this site to the one whose card this is"
EXAMPLE = "l2wg pair CARD"
# Characters of standard input at most: those that card.decode looks at.
PASTED = 1 << 13


def add_arguments(parser):
    parser.add_argument("card", metavar="CARD", nargs="*", help="however it was wrapped; none: from standard input")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--move-address", action="store_true", help="let addresses of ports move to their bridge without asking")
    parser.add_argument("--underlay", metavar="WG", default="")
    parser.add_argument("--tunnel", metavar="NAME", default="")
    parser.add_argument("--bridge", metavar="BRIDGE", default="", help="the bridge to join; without, the one that there is")
    parser.add_argument("--bridge-ports", metavar="PORTS", default="", help="make a bridge of these Ethernet ports")
    parser.add_argument("--bridge-address", metavar="ADDRESS/PREFIX", default="")
    common.add_confirm(parser)
    common.add_rehearsal(parser)


def run(options):
    person = terminal.attended()
    text = " ".join(options.card) or _pasted(person)
    ports = tuple(options.bridge_ports.replace(",", " ").split())
    wanted = pair.Wanted(options.underlay, options.tunnel, options.bridge, ports, options.bridge_address)
    apply.settle()
    found = pair.intend(text, wanted, person and not options.yes)
    intent = preview.intend_moves(found.more.wish)
    for line in card_command.facts_of(found.other):
        log.line("  " + line)
    for line in found.notes:
        log.say(line)
    own = f"on the other router, if that has not been done: l2wg pair {card.encode(found.facts.card)}"
    if not found.changes() and not intent.changes() and not intent.problems:
        log.say(f"nothing to do: this router is paired with {found.other.name} by {found.tunnel}")
        if pair.waits(found):
            log.say(own)
        return (), 0
    dialogue.show(intent._replace(texts=dict(found.shown, **intent.texts), steps=found.more.steps + intent.steps))
    if intent.problems:
        return intent.problems, 1
    if not options.yes and not dialogue.consents("Write this? [y/N] ", person):
        return (), 1
    agree = (lambda moves: True) if options.move_address else dialogue.agree
    problems = pair.carry_out(found, options.confirm, agree, options.rehearsed)
    if problems:
        return problems, 1
    log.did(f"this router is paired with {found.other.name} by {found.tunnel}")
    if pair.answers(found):
        log.say(f"{found.other.name} answers: WireGuard's handshake is done")
    else:
        log.say(f"{found.other.name} has not answered yet: no handshake of WireGuard so far")
        log.say(own)
    return (), dialogue.confirmed(options.confirm)


def _pasted(person):
    """A card from standard input, however it is wrapped: up to its last character, an empty line or the end."""
    if person:
        log.line("Paste the other router's card, then Enter:")
    text = ""
    if hasattr(sys.stdin, "reconfigure"):
        # Not the card that was meant, perhaps, nor any text.
        sys.stdin.reconfigure(errors="surrogateescape")
    while True:
        line = sys.stdin.readline(PASTED - len(text))
        if not line:
            break
        text += line
        try:
            card.decode(text)
        except card.Refused:
            if line.strip() or not text.strip():
                continue
        break
    return text
