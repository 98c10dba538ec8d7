"""`l2wg rekey`."""

import contextlib
import signal
import sys

from l2wg_hooks import errors
from l2wg_hooks.apply import apply
from l2wg_hooks.commands import dialogue, usage
from l2wg_hooks.config import next_key
from l2wg_hooks.errors import Problem
from l2wg_hooks.pairing import rekey, revoke
from l2wg_hooks.reconcile import key_switch
from l2wg_hooks.system import files, lock, log, terminal

GROUP = usage.UNLISTED
HELP = "change this router's WireGuard key: tell the others, then --commit"
EXAMPLE = "l2wg rekey"


def add_arguments(parser):
    parser.add_argument("--underlay", metavar="WG", default="")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--commit", action="store_true", help="take the new key; the old one is back if the others do not answer")
    which.add_argument("--cancel", action="store_true", help="throw the new key away")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    # What dialogue.enact asks for: no address moves, and no file changes by which this router starts.
    parser.set_defaults(move_address=False, rehearsed=False, confirm=0)


def run(options):
    person = terminal.attended()
    apply.settle()
    name = rekey.underlay(options.underlay)
    if options.commit:
        return _commit(name, options, person)
    if options.cancel:
        return _cancel(name, options, person)
    found = rekey.begin(name)
    with lock.changing():
        # Before its public key is anybody's.
        rekey.store_key(found)
    new, problems, code = dialogue.enact_beside(found, options, person)
    if code:
        return problems, code
    if new:
        log.did("this router's line has the next key; the one that it has stays until: l2wg rekey --commit")
    return _tell(found)


def _tell(found):
    """Print what is to be done, and the line alone on standard output, so that it can go through a pipe."""
    for line in found.told:
        log.say(line)
    if found.line:
        print(found.line, flush=True)
    return (), 0


def _cancel(name, options, person):
    found = rekey.cancel(name)
    _, problems, code = dialogue.enact_beside(found, options, person)
    if code:
        return problems, code
    with lock.changing():
        files.remove(next_key.path(name))
    log.did(f"{next_key.path(name)}: deleted; {name} keeps the key that it has")
    return _tell(found)


def _commit(name, options, person):
    found = rekey.switching(name)
    log.say(f"{name} changes its key: {found.former} -> {found.found.public}")
    called = errors.listed(found.called, revoke.ALL)
    log.say("%s must answer within %d s; else the old key is back" % (called, key_switch.PATIENCE))
    if not options.yes and not dialogue.consents("Switch? [y/N] ", person):
        return (), 1
    with lock.changing(), _kept_on():
        key_switch.quiet(name)
        silent = key_switch.attempt(name, found.found, found.peers)
    if silent:
        calls = rekey.caller(name)
        names = [calls(key) for key in silent]
        message = f"{errors.listed(names, revoke.ALL)} did not answer to the new key: {name} has its old one again"
        hint = "has it this router's new line? There: l2wg pair LINE, or the file and l2wg apply; then this again"
        return (Problem(message, hint),), 1
    log.did(f"{name} has the new key: {found.found.public}")
    seconds, deaf = rekey.carried(found)
    if not deaf:
        log.say("packets cross again, %.1f s after that" % seconds)
    problems = rekey.silence(found, seconds, deaf)
    return problems, 1 if problems else 0


@contextlib.contextmanager
def _kept_on():
    """Whoever was logged in through the tunnel may be so no more: that ends nothing. A signal has the old key put back first."""

    def end(number, _frame):
        sys.exit(errors.WRONG)

    known = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    known[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)
