"""Whoever sits at a terminal: shown what would change, asked, told how much time is left. Nobody there has agreed to nothing."""

import contextlib
import select
import sys
import time

from l2wg_hooks import errors


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
    """Gives a function that shows at a terminal what is being looked at, each in the place of the last; nothing elsewhere."""

    def tell(text):
        sys.stderr.write(f"\r[l2wg] {text}\x1b[K")
        sys.stderr.flush()

    if not sys.stderr.isatty():
        yield lambda text: None
        return
    try:
        yield tell
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


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
