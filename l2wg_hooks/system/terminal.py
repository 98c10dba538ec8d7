"""Whoever sits at a terminal: shown what would change, asked, told how much time is left. Nobody there has agreed to nothing."""

import contextlib
import select
import sys
import time

from l2wg_hooks import errors
from l2wg_hooks.system import log, process

# Characters of a bar.
BAR = 40


def attended():
    """Whether somebody can be asked."""
    # Python has None in the place of one that was closed before it began.
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def out(text):
    """Print it as it is; on a terminal, without what that would obey in the names of others, and in files."""
    sys.stdout.write(errors.lines(text) if sys.stdout.isatty() else text)


def show(texts, steps):
    """Print what would change: {path: (old, new)} as a diff, then Steps with their reasons. It is out before anything is done."""
    import difflib

    # A file may have bytes that are no characters of this terminal's.
    sys.stdout.reconfigure(errors="backslashreplace")
    for path, sides in texts.items():
        lines = (text.splitlines(True) for text in sides)
        for line in difflib.unified_diff(*lines, fromfile=path, tofile=path):
            out(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    for step in steps:
        out("%-70s # %s\n" % (step, step.reason))
    sys.stdout.flush()


def yes(question):
    """Ask; Enter alone is no."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextlib.contextmanager
def progress():
    """Gives a function that shows at a terminal how far something is, each text in the place of the last; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    try:
        yield lambda text: _in_place(f"[l2wg] {text}")
    finally:
        _in_place("")


def _in_place(text):
    """Write a line over the last one. Whoever looked on may have gone: that must not end our work."""
    try:
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()
    except OSError:
        pass


@contextlib.contextmanager
def commands(count):
    """Gives a function that shows a command, a tuple, that has been run: for all `count` of them a terminal has a bar."""
    if not sys.stderr.isatty():
        yield process.show
        return
    done = 0

    def show(_):
        nonlocal done
        done += 1
        full = BAR * done // count
        tell("{}{} {} of {}".format("#" * full, "." * (BAR - full), done, count))

    with progress() as tell:
        yield show
    log.say(f"{done} of {count} commands were run; the journal has each: `journalctl -t l2wg -o verbose`")


# What ended a countdown: a key was pressed, the time, whoever sat there has gone, or it has been decided elsewhere.
KEPT, OVER, LEFT, DECIDED = "kept", "over", "left", "decided"


def count_down(end, waits):
    """Show the seconds until `end` (monotonic clock) until Enter is pressed, and say what ended it.

    `waits` is asked each second whether there still is something to decide.
    """
    import termios

    # What was typed before anybody could see the outcome is no answer.
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    while waits():
        left = end - time.monotonic()
        if left <= 0:
            return OVER
        try:
            sys.stderr.write("\r[l2wg] undone in %d s. Does all work? Enter keeps it. \x1b[K" % (left + 1))
            sys.stderr.flush()
            if select.select([sys.stdin], [], [], min(1, left))[0]:
                return KEPT if sys.stdin.readline() else LEFT
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            return LEFT
        except OSError:  # the terminal has gone
            return LEFT
    return DECIDED
