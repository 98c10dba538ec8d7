"""Commands that are really run, by system/child.py: what comes back, what goes in, and what is ended."""

import os
import subprocess
import sys
import time

import pytest
from conftest import TOP

sys.path.insert(0, str(TOP))
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import child, process

ENV = {"PATH": "/nonexistent:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
WAYS = ["posix_spawn", "subprocess"]


@pytest.fixture(params=WAYS, autouse=True)
def way(request, monkeypatch):
    """By posix_spawn(3), and as by Python 3.7, which has none."""
    if request.param == "posix_spawn" and not child.SPAWNS:
        pytest.skip("this Python has none")
    monkeypatch.setattr(child, "SPAWNS", request.param == "posix_spawn")
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before, "every descriptor is closed"
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def sh(script, data=b"", patience=20):
    return child.run(["sh", "-c", script], data, ENV, patience)


def test_code_and_both_outputs():
    assert sh("echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n")
    assert sh("kill -15 $$")[0] == -15
    assert sh("cat; env | sort | grep -v PWD= | grep -v _=", b"in\n") == (0, b"in\nLC_ALL=C\nPATH=%s\n" % ENV["PATH"].encode(), b"")


def test_more_than_a_pipe_holds_both_ways_at_once():
    data = os.urandom(1 << 20)
    assert sh("cat; head -c 300000 /dev/zero >&2", data) == (0, data, bytes(300000))
    assert sh("exit 5", data) == (5, b"", b""), "it wants none of it"
    assert sh("head -c 3; exec <&-; sleep 0.2", data)[:2] == (0, data[:3])


def test_it_has_no_other_descriptor_and_the_usual_signals():
    held = os.open("/dev/null", os.O_RDONLY)
    # As by a caller that has left one open, such as debconf.
    os.set_inheritable(held, True)
    try:
        assert sh("for fd in 0 1 2 %d; do [ -e /proc/self/fd/$fd ] && echo $fd; done; :" % held)[1] == b"0\n1\n2\n"
    finally:
        os.close(held)
    # A pipe whose reader has gone ends whoever writes into it.
    assert sh("(yes; echo $? >&2) | head -n 1")[2] == b"" or sh("(yes; echo $? >&2) | head -n 1")[2] == b"141\n"
    assert int(sh("grep SigIgn /proc/self/status")[1].split()[1], 16) & (1 << 12 | 1 << 24) == 0


@pytest.mark.parametrize("script", ["sleep 30", "exec >&- 2>&-; exec sleep 30", "cat >/dev/null; exec sleep 30"])
def test_what_hangs_is_ended(script):
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        sh(script, b"x", 0.3)
    assert time.monotonic() - begin < 20


def test_what_is_not_there_and_what_is_no_command(tmp_path):
    for name in ("no-such-command", str(tmp_path / "none")):
        with pytest.raises(FileNotFoundError):
            child.run([name], b"", ENV, 5)
    (tmp_path / "ip").mkdir()
    assert child.run(["ip", "-V"], b"", dict(ENV, PATH=f"{tmp_path}:{ENV['PATH']}"), 20)[0] == 0, "a folder is no command"
    with pytest.raises(ValueError):
        child.run(["echo", "a\0b"], b"", ENV, 5)


def test_the_callers_path_counts_for_nothing(tmp_path, monkeypatch):
    (tmp_path / "true").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "true").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert child.run(["true"], b"", ENV, 20)[0] == 0


def test_text_is_as_subprocess_reads_it(monkeypatch):
    """Whatever ends a line, and bytes that are no text."""
    script = r"printf 'a\r\nb\rc\nd\377\303\266'"
    usual = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, encoding="utf-8", errors="surrogateescape")
    assert process.run(("sh", "-c", script)).out == usual.stdout == "a\nb\nc\nd\udcff\xf6"
    assert process.run(("cat",), "\udcff\n").out == "\udcff\n"
    for argv, said in ((("no-such-command",), "apt install no-such-command"), (("echo", "\0"), "is not a command"), (("echo", "\ud800"), "is not a command")):
        with pytest.raises(L2wgError, match=said):
            process.run(argv)
    monkeypatch.setattr(process, "PATIENCE", 0.2)
    with pytest.raises(L2wgError, match="did not end within"):
        process.run(("sleep", "30"))


COMMAND = [sys.executable, str(TOP / "l2wg_hooks/launcher/l2wg")]
PRINTED = {"up --help": (0, "usage: l2wg"), "up": (2, "l2wg up"), "--version": (0, "l2wg "), "event probe": (0, "")}


@pytest.mark.parametrize("words", PRINTED)
def test_what_an_event_has_said_is_out_before_it_ends(words):
    """Its process ends at once: what is still to be written must be."""
    done = subprocess.run(COMMAND + words.split(), env={"PYTHONPATH": str(TOP)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == PRINTED[words][0] and PRINTED[words][1] in done.stdout


def test_an_event_may_have_nowhere_to_say_anything():
    assert subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *COMMAND, "event", "probe"], env={"PYTHONPATH": str(TOP)}).returncode == 0
