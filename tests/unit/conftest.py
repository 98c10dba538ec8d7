"""No process may run in a unit test, and nothing may reach the journal of the machine that runs it."""

import os
import pathlib
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden"
sys.path.insert(0, str(TREE))

from l2wg_hooks import cli
from l2wg_hooks.apply import rollback
from l2wg_hooks.commands import registry
from l2wg_hooks.config import ifupdown_files, wg_quick_readers
from l2wg_hooks.observe import counter_growth
from l2wg_hooks.reconcile import event_summary, reconcile
from l2wg_hooks.rehearsal import stage
from l2wg_hooks.system import journal, log


@pytest.fixture(autouse=True)
def no_process(monkeypatch, tmp_path):
    """Make every way to start a process an error."""

    def forbidden(*args, **kwargs):
        raise AssertionError("a unit test started a process: %r" % (args,))

    for module, name in ((subprocess, "Popen"), (os, "system"), (os, "fork"), (os, "posix_spawn"), (os, "execv")):
        monkeypatch.setattr(module, name, forbidden, raising=False)  # Python 3.7 has no posix_spawn
    for name in ("NATIVE", "SYSLOG"):
        monkeypatch.setattr(journal, name, "/nonexistent")
    log.begin(event_summary.EventSummary())
    monkeypatch.setattr(reconcile, "WAITING", str(tmp_path / "waiting"))
    monkeypatch.setattr(counter_growth, "NOTES", str(tmp_path / "growth"))
    monkeypatch.setattr(rollback, "UNDONE", str(tmp_path / "undone"))
    # Units and scripts of the machine that runs the tests.
    monkeypatch.setattr(wg_quick_readers, "ROOT", str(tmp_path / "root"))
    monkeypatch.setattr(ifupdown_files, "COPIES", str(tmp_path / "aside"))
    # Namespaces are the lab's.
    monkeypatch.setattr(stage, "play", lambda work, seconds: _no_stage())
    # A package is built by whoever builds it.
    monkeypatch.setattr(cli, "_is_root", lambda: True)


def _no_stage():
    raise stage.Unavailable("a unit test has none")


@pytest.fixture
def no_command(monkeypatch):
    """Whatever the command line says, nothing of it may run."""

    def forbidden(options):
        raise AssertionError("a command ran: %r" % (options,))

    for name in registry.NAMES:
        monkeypatch.setattr(registry.module(name), "run", forbidden)


@pytest.fixture
def golden():
    """The folder of recorded inputs and wanted outputs."""
    return GOLDEN
