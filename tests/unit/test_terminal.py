"""Whoever sits at a terminal. It is a real one: a pseudo-terminal of the kernel."""

import os
import sys
import time

import pytest
from l2wg_hooks.model import Step
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import log, process, terminal


@pytest.fixture
def keyboard(monkeypatch):
    """The other end of the terminal that stdin is."""
    try:
        far, near = os.openpty()
    except OSError as error:
        pytest.skip("no pseudo-terminal, as in a build's chroot without /dev/pts: %s" % error)
    with os.fdopen(near, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield far
    os.close(far)


def soon():
    return time.monotonic() + 5


def test_enter_keeps_it_but_not_one_that_was_typed_before(keyboard, capsys):
    os.write(keyboard, b"\n\n")
    asked = []

    def waits():
        asked.append(1)
        if len(asked) == 2:
            os.write(keyboard, b"\n")
        return True

    assert terminal.count_down(soon(), waits) == terminal.KEPT
    assert len(asked) == 2, "what was typed before it was asked is no answer"
    assert "undone in 5 s" in capsys.readouterr().err


def test_the_time_is_over(keyboard):
    assert terminal.count_down(time.monotonic() - 1, lambda: True) == terminal.OVER


def test_decided_elsewhere(keyboard):
    left = [True, False]
    assert terminal.count_down(soon(), lambda: left.pop(0)) == terminal.DECIDED


def test_the_end_of_the_input_is_no_answer(keyboard):
    sent = []

    def waits():
        if not sent:
            sent.append(os.write(keyboard, b"\x04"))
        return True

    assert terminal.count_down(soon(), waits) == terminal.LEFT


def test_ctrl_c_leaves_it_waiting(keyboard, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal.select, "select", pressed)
    assert terminal.count_down(soon(), lambda: True) == terminal.LEFT


@pytest.mark.parametrize("typed, want", [(b"y\n", True), (b"Yes\n", True), (b"\n", False), (b"no\n", False), (b"\x04", False)])
def test_yes_is_said(keyboard, typed, want, capsys):
    os.write(keyboard, typed)
    assert terminal.yes("Go on? [y/N] ") is want


def test_what_is_shown_is_out_before_anything_is_done(capsys, monkeypatch):
    flushed = []
    monkeypatch.setattr(sys, "stdout", Stream(flushed))
    terminal.show({"/etc/x": ("a\n", "b\n")}, ())
    assert flushed[-1] == "flushed" and "-a\n" in flushed and "+b\n" in flushed


def test_progress_is_for_a_terminal(monkeypatch, capsys):
    with terminal.progress() as tell:
        tell("path MTU (18 of 22)")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with terminal.progress() as tell:
        tell("path MTU (18 of 22)")
    assert capsys.readouterr().err == "\r[l2wg] path MTU (18 of 22)\x1b[K\r\x1b[K"


@pytest.fixture
def ran(monkeypatch):
    """Commands are not run: `false` fails, and all else is right."""
    monkeypatch.setattr(process, "run", lambda argv, stdin="": process.Result(int(argv[0] == "false"), "", ""))


def test_of_many_commands_a_terminal_has_a_bar_and_all_else_each(monkeypatch, capsys, ran):
    steps = [Step(("true", str(number)), "because", f"e{number}") for number in range(executor.MANY + 1)]
    executor.apply(steps)
    assert capsys.readouterr().err.splitlines() == [f"[l2wg] {step}" for step in steps]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    executor.apply(steps[1:])
    assert "\r" not in capsys.readouterr().err, "few are read"
    log.begin(log.Summary())
    executor.apply(steps)
    shown = capsys.readouterr().err
    *bars, told = shown.split("\x1b[K")
    assert bars[0] == f"\r[l2wg] #{'.' * 39} 1 of 21" and bars[20] == f"\r[l2wg] {'#' * 40} 21 of 21" and "true" not in shown
    assert told == "[l2wg] 21 of 21 commands were run; the journal has each: `journalctl -t l2wg -o verbose`\n"
    assert len(log._summary.told) == 21


def test_a_command_that_fails_leaves_the_bar_and_is_told_of(monkeypatch, capsys, ran):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    steps = [Step(("false",), "because", "e0")] + [Step(("true", str(number)), "because", "e0") for number in range(executor.MANY)]
    (problem,) = executor.apply(steps)
    assert "`false` failed" in problem.message
    assert capsys.readouterr().err.endswith("\x1b[K[l2wg] 1 of 21 commands were run; the journal has each: `journalctl -t l2wg -o verbose`\n")


def test_who_has_gone_does_not_end_what_is_shown(monkeypatch, ran):
    class Gone:
        def isatty(self):
            return True

        def write(self, _):
            raise OSError(5, "Input/output error")

        flush = write

    monkeypatch.setattr(sys, "stderr", Gone())
    done = []
    monkeypatch.setattr(log, "ran", done.append)
    assert executor.apply([Step(("true", str(number)), "because", "e0") for number in range(executor.MANY + 1)]) == ()
    assert len(done) == executor.MANY + 1


def test_who_has_closed_their_end_is_not_there(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert terminal.attended() is False


class Stream:
    """Tells what was written, and that it was flushed."""

    def __init__(self, told):
        self.told = told
        self.write = told.append

    def reconfigure(self, **_):
        pass

    def flush(self):
        self.told.append("flushed")

    def isatty(self):
        return False
