"""`l2wg join`."""

from l2wg_hooks.apply import apply
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.commands import invite as invite_command
from l2wg_hooks.commands import options as common
from l2wg_hooks.config import invitation
from l2wg_hooks.pairing import join, pair
from l2wg_hooks.system import lock, log, terminal

GROUP = usage.UNLISTED
HELP = "join the net that an invitation is to: WireGuard, file of sites, tunnel"
EXAMPLE = "l2wg join INVITATION --bridge-ports enp3s0"


def add_arguments(parser):
    said = "what `l2wg invite` has printed at the hub, however it was wrapped; none: from standard input"
    parser.add_argument("invitation", metavar="INVITATION", nargs="*", help=said)
    common.add_consent(parser)
    common.add_endpoint(parser)
    common.add_place(parser)
    common.add_confirm(parser)
    common.add_rehearsal(parser)


def run(options):
    person = terminal.attended()
    text = " ".join(options.invitation) or dialogue.pasted("Paste the invitation, then Enter:", _is_whole, person)
    wanted = pair.Wanted(**common.place(options))
    apply.settle()
    invited = join.read(text)
    for line in invite_command.facts_of(invited):
        log.line("  " + line)
    sight = join.look(invited, wanted, person and not options.yes)
    if join.needs_wireguard(wanted):
        log.say(f"there is no WireGuard on this router: {join.WIREGUARD} is made first, as by `l2wg init`, with a new key")
        if not options.yes and not dialogue.consents("Make it? [y/N] ", person):
            return (), 1
        with lock.changing():
            join.make_wireguard(invited, options.endpoint)
    found = join.intend(sight, wanted, options.endpoint)
    new, problems, code = dialogue.enact_beside(found, options, person)
    if code:
        return problems, code
    if new:
        log.did(f"this router is in the net of {invited.hub.name}, as {invited.name}")
        code = dialogue.confirmed(options.confirm)
        if code:
            return (), code
    else:
        log.say(f"nothing to do: this router is in the net of {invited.hub.name}, as {invited.name}")
    if pair.waits(found):
        log.say(f"at {invited.hub.name}, if that has not been done: l2wg pair, with this line:")
    # Alone on standard output, so that it can go through a pipe to the hub.
    print(found.for_hub(), flush=True)
    return (), 0


def _is_whole(text):
    try:
        invitation.decode(text)
    except invitation.Refused:
        return False
    return True
