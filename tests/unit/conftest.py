"""No process may run in a unit test, and nothing may reach the journal of the machine that runs it."""

import os
import pathlib
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden"
sys.path.insert(0, str(TREE))

from l2wg_hooks.rehearsing import stage  # noqa: E402
from l2wg_hooks import cli, growth, hook, interfaces, journal, log, readers, transaction  # noqa: E402 # the tree must be found first


@pytest.fixture(autouse=True)
def no_process(monkeypatch, tmp_path):
    """Make every way to start a process an error."""

    def forbidden(*args, **kwargs):
        raise AssertionError("a unit test started a process: %r" % (args,))

    for module, name in ((subprocess, "Popen"), (os, "system"), (os, "fork"), (os, "posix_spawn"), (os, "execv")):
        monkeypatch.setattr(module, name, forbidden, raising=False)  # Python 3.7 has no posix_spawn
    for name in ("NATIVE", "SYSLOG"):
        monkeypatch.setattr(journal, name, "/nonexistent")
    log.begin("", "l2wg")
    monkeypatch.setattr(hook, "WAITING", str(tmp_path / "waiting"))
    monkeypatch.setattr(growth, "NOTES", str(tmp_path / "growth"))
    monkeypatch.setattr(transaction, "UNDONE", str(tmp_path / "undone"))
    # Units and scripts of the machine that runs the tests.
    monkeypatch.setattr(readers, "ROOT", str(tmp_path / "root"))
    monkeypatch.setattr(interfaces, "COPIES", str(tmp_path / "aside"))
    # Namespaces are the lab's.
    monkeypatch.setattr(stage, "play", lambda work, seconds: _no_stage())
    # A package is built by whoever builds it.
    monkeypatch.setattr(cli, "_is_root", lambda: True)


def _no_stage():
    raise stage.Unavailable("a unit test has none")


@pytest.fixture
def golden():
    """The folder of recorded inputs and wanted outputs."""
    return GOLDEN
