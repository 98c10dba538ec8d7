"""What is done and what goes wrong: printed for whoever looks on, and told to the journal as one line an event."""

import os
import sys

from l2wg_hooks import files, journal, wish
from l2wg_hooks.errors import L2wgError, lines
from l2wg_hooks.story import Story

# Of the event, or the command, that this process is; and whether that is one to be told of.
_story, _quiet = Story(), False
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


def begin(event, label, quiet=False, attended=False):
    """Whatever follows is done by this event: `event` are its words, `label` says them as the journal is to have it.

    Of a `quiet` one the journal gets nothing. Of an `attended` one, called by a person at a terminal, it gets no problems until
    something has been done: what they mistyped is no news of this router.
    """
    global _story, _quiet, _attended, _acted
    _story, _quiet, _attended, _acted = Story(event, label), quiet, attended, False


def note(message):
    """For the journal's line."""
    global _acted
    _acted = True
    _story.told.append(message)


def did(message):
    """Print what was done, and have it in the journal's line."""
    say(message)
    note(message)


def ran(step):
    """A step of the plan was done. It has been printed already."""
    note(step)


def alarm(message):
    """The same as did(), of what nobody has asked for: the line is one of those that tell of a problem."""
    _story.wrong = True
    did(message)


def waits(lines):
    """What waits for another event, if that is news."""
    _story.waiting = tuple(lines)


def tell():
    """Leave the line in the journal, if there is anything to tell; further ones may follow."""
    global _story
    story, _story = _story, Story(_story.event, _story.label)
    # Most events have nothing to tell, and need to know nothing for that.
    sites = _sites() if story.told and not _quiet else {}
    text = story.text(sites)
    if text and not _quiet:
        more = list(story.fields(_tunnels(), sites)) + [("MESSAGE_ID", journal.PROBLEM)] * story.wrong
        journal.send(text, journal.ERROR if story.wrong else journal.INFO, more)


def _sites():
    """{tunnel: name of its other site}, of those whose files have one."""
    try:
        return {tunnel.name: tunnel.site for tunnel in wish.load().tunnels if tunnel.site}
    except L2wgError:
        return {}


def _tunnels():
    try:
        return wish.names()
    except L2wgError:
        return []


def complain(problems):
    """Every problem, with its cure, on stderr and in the journal, behind what was done until then."""
    tell()
    for problem in problems:
        _print("l2wg: %s" % problem)
        if _quiet or (_attended and not _acted):
            continue
        more = [("MESSAGE_ID", journal.PROBLEM), ("L2WG_EVENT", _story.event)]
        if problem.path:
            more.append(("L2WG_FILE", "%s:%d" % (problem.path, problem.line) if problem.line else problem.path))
            folder, name = os.path.split(problem.path)
            more += [("L2WG_TUNNEL", name.rpartition(".")[0])] * (folder == wish.DIRECTORY)
        more += [("L2WG_HINT", problem.hint)] * bool(problem.hint)
        journal.send(str(problem), journal.ERROR, more)


def who():
    """Who has called, as far as the kernel (the login that all began with) or sudo(8) knows; "" where it was nobody."""
    import pwd

    try:
        return pwd.getpwuid(int(files.glance("/proc/self/loginuid"))).pw_name
    except (ValueError, KeyError, OverflowError):  # no audit in this kernel; nobody: 4294967295
        name = os.environ.get("SUDO_USER", "")
        return name if name.replace("-", "").replace("_", "").isalnum() else ""
