"""`l2wg pair`."""

from l2wg_hooks.apply import apply
from l2wg_hooks.commands import card as card_command
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import card
from l2wg_hooks.errors import fail
from l2wg_hooks.pairing import admit, new_key, pair
from l2wg_hooks.system import log, terminal

GROUP = usage.NEW
HELP = "connect with the site of a card; invite: one to a net; join: go in"
EXAMPLE = "l2wg pair CARD"
PASTED = dialogue.PASTED


def add_arguments(parser):
    said = "however it was wrapped, and the words that `join` prints before it; none: from standard input"
    parser.add_argument("card", metavar="CARD", nargs="*", help=said)
    common.add_consent(parser)
    parser.add_argument("--tunnel", metavar="NAME", default="")
    common.add_place(parser)
    common.add_confirm(parser)
    common.add_rehearsal(parser)


def run(options):
    person = terminal.attended()
    text = " ".join(options.card) or _pasted(person)
    wanted = pair.Wanted(tunnel=options.tunnel, **common.place(options))
    apply.settle()
    if admit.is_meant(text, wanted):
        return _admit(text, wanted, options, person)
    text, words = admit.split(text)
    if words:
        hint = "a net is begun by: l2wg invite NAME. Without one: the card alone"
        if any(word.startswith(f"{new_key.WAS}=") for word in words):
            hint = "of a tunnel with a file of its own, the key is changed by hand: CHANGING A KEY in l2wg(8)"
        fail(f"{words[0]} is for a line of /etc/l2wg/sites, which has none of this card", hint)
    found = pair.intend(text, wanted, person and not options.yes)
    for line in card_command.facts_of(found.other):
        log.line("  " + line)
    own = f"on the other router, if that has not been done: l2wg pair {card.encode(found.facts.card)}"
    new, problems, code = dialogue.enact(found, options, person)
    if not new:
        log.say(f"nothing to do: this router is paired with {found.other.name} by {found.tunnel}")
        if pair.waits(found):
            log.say(own)
        return (), 0
    if code:
        return problems, code
    log.did(f"this router is paired with {found.other.name} by {found.tunnel}")
    if not _answers(found):
        log.say(own)
    return (), dialogue.confirmed(options.confirm)


def _admit(text, wanted, options, person):
    """Give the card's site its line in the file of sites."""
    found = admit.intend(text, wanted)
    for line in card_command.facts_of(found.other):
        log.line("  " + line)
    new, problems, code = dialogue.enact(found, options, person)
    if code:
        return problems, code
    if not new:
        log.say("nothing to do: %s is in, by line %d" % (found.other.name, found.line))
        return found.left, 1 if found.left else 0
    log.did("%s is in, by line %d" % (found.other.name, found.line))
    if found.changed:
        for line in found.notes:
            log.say(line)
    else:
        _answers(found)
    return dialogue.ended(options.confirm, found)


def _answers(found):
    """Whether the other site answers; whoever sits there is told."""
    if pair.answers(found):
        log.say(f"{found.other.name} answers: WireGuard's handshake is done")
        return True
    log.say(f"{found.other.name} has not answered yet: no handshake of WireGuard so far")
    return False


def _pasted(person):
    """A card from standard input, and what stands before it."""
    return dialogue.pasted("Paste the other router's card, then Enter:", _is_whole, person)


def _is_whole(text):
    """Whether a text has a whole card in it."""
    try:
        card.decode(admit.split(text)[0])
    except card.Refused:
        return False
    return True
