"""What is done and what goes wrong: printed for whoever looks on, and told to the journal as one line an event.

The words of that line are the summary's, whom `begin` is given: an object like reconcile.event_summary.EventSummary.
"""

import os
import sys

from l2wg_hooks.errors import lines
from l2wg_hooks.system import files, journal

# The number of the user who has logged in, whoever has become root since.
LOGIN = "/proc/self/loginuid"


class Summary:
    """What an event, or a command, has done: `told` are steps and texts, `waiting` what waits for another event.

    `event` is the command line, `more` are further fields as pairs.
    This one has no words for any of it; reconcile.event_summary has one that does.
    """

    def __init__(self, event=""):
        self.event = event
        self.told = []
        self.more = []
        self.waiting = ()
        self.wrong = False
        self.unasked = False

    def again(self):
        """One of the same event, with nothing told yet."""
        return Summary(self.event)

    def entry(self):
        """(the line, or "" where there is nothing to tell; further fields as pairs)."""
        return "", ()

    def fields_of(self, problem):
        """A Problem as pairs for programs."""
        return (("L2WG_HINT", problem.hint),) if problem.hint else ()


# Of the event, or the command, that this process is; and whether that is one to be told of.
_summary, _quiet = Summary(), False
# Whether somebody at a terminal has called, who reads what is printed; and whether anything has been done for them.
_attended, _acted = False, False


def line(text):
    """Print a line for whoever started us. They may have gone: an ssh session that ends must not end our work."""
    # A name that the kernel takes may have bytes that a terminal obeys.
    try:
        print(lines(text, "\n"), file=sys.stderr, flush=True)
    except OSError:
        pass


def _print(text):
    """The same, unless it would end up in the journal beside what we tell it anyhow."""
    if _quiet or not journal.is_stderr():
        line(text)


def say(message):
    """Print what is done, in wg-quick's manner."""
    _print("[l2wg] " + message)


def begin(summary, quiet=False, attended=False):
    """Whatever follows is done by the event of this Summary.

    Of a `quiet` one the journal gets nothing. Of an `attended` one, called by a person at a terminal, it gets no problems until
    something has been done: what they mistyped is no news of this router.
    """
    global _summary, _quiet, _attended, _acted
    _summary, _quiet, _attended, _acted = summary, quiet, attended, False


def note(message):
    """For the journal's line."""
    global _acted
    _acted = True
    _summary.told.append(message)


def did(message):
    """Print what was done, and have it in the journal's line."""
    say(message)
    note(message)


def ran(step):
    """A step of the plan was done. It has been printed already."""
    note(step)


def news(message):
    """The same as did(), of what nobody has asked for, and what is no problem."""
    unasked()
    did(message)


def alarm(message):
    """The same as did(), of what nobody has asked for: the line is one of those that tell of a problem."""
    _summary.wrong = True
    did(message)


def add(key, value):
    """A field more, for programs."""
    _summary.more.append((key, value))


def unasked():
    """Nobody has asked for what is done: its line has more than the usual weight."""
    _summary.unasked = True


def has_told():
    """Whether there is anything to tell."""
    return bool(_summary.told)


def forget():
    """Of what was done until now the journal gets nothing."""
    global _summary
    _summary = _summary.again()


def waits(these):
    """What waits for another event, if that is news."""
    _summary.waiting = tuple(these)


def tell():
    """Leave the line in the journal, if there is anything to tell; further ones may follow."""
    global _summary
    summary, _summary = _summary, _summary.again()
    if _quiet:
        return
    text, fields = summary.entry()
    if text:
        more = list(fields) + [("MESSAGE_ID", journal.PROBLEM)] * summary.wrong
        usual = journal.NOTICE if summary.unasked else journal.INFO
        journal.send(text, journal.ERROR if summary.wrong else usual, more)


def complain(problems):
    """Every problem, with its cure, on stderr and in the journal, behind what was done until then."""
    tell()
    for problem in problems:
        _print(f"l2wg: {problem}")
        if _quiet or (_attended and not _acted):
            continue
        more = [("MESSAGE_ID", journal.PROBLEM), ("L2WG_EVENT", _summary.event)] + list(_summary.fields_of(problem))
        journal.send(str(problem), journal.ERROR, more)


def who():
    """Who has called, as far as the kernel (the login that all began with) or sudo(8) knows; "" where it was nobody."""
    import pwd

    try:
        return pwd.getpwuid(int(files.glance(LOGIN))).pw_name
    except (ValueError, KeyError, OverflowError):  # no audit in this kernel; nobody: 4294967295
        name = os.environ.get("SUDO_USER", "")
        return name if name.replace("-", "").replace("_", "").isalnum() else ""
