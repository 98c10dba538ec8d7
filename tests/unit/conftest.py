"""No process may run in a unit test, and nothing may reach the journal of the machine that runs it."""

import os
import pathlib
import subprocess
import sys

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests" / "golden"
sys.path.insert(0, str(TREE))

import roots
from l2wg_hooks import cli
from l2wg_hooks.commands import registry
from l2wg_hooks.reconcile import event_summary
from l2wg_hooks.rehearsal import stage
from l2wg_hooks.system import journal, log, nf_tables


@pytest.fixture(autouse=True)
def root(request, monkeypatch, tmp_path):
    """A folder that the code takes for /, so that no test sees what the machine has that runs it. There is /run in it."""
    folder = tmp_path.with_name(tmp_path.name + "-root")
    (folder / "run").mkdir(parents=True)
    if "real_names" not in request.fixturenames:
        roots.move(monkeypatch, folder)
    return folder


@pytest.fixture
def real_names():
    """For tests of texts that name a file: what they test is pure, so none is opened."""


@pytest.fixture
def ipv6(root):
    """A kernel that has it."""
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/if_inet6").write_text("")


@pytest.fixture
def etc(root):
    """The folder of the tunnels' files."""
    return _made(root / "etc/l2wg")


@pytest.fixture
def wireguard(root):
    """The folder of WireGuard's files."""
    return _made(root / "etc/wireguard")


def _made(folder):
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def no_process(monkeypatch):
    """Make every way to start a process an error."""

    def forbidden(*args, **kwargs):
        raise AssertionError("a unit test started a process: %r" % (args,))

    for module, name in ((subprocess, "Popen"), (os, "system"), (os, "fork"), (os, "posix_spawn"), (os, "execv")):
        monkeypatch.setattr(module, name, forbidden, raising=False)  # Python 3.7 has no posix_spawn
    for name in ("NATIVE", "SYSLOG"):
        monkeypatch.setattr(journal, name, "/nonexistent")
    log.begin(event_summary.EventSummary())
    # Namespaces are the lab's.
    monkeypatch.setattr(stage, "play", lambda work, seconds: _no_stage())
    # The kernel's rules are the machine's that runs the test.
    for name in ("generation", "has_table"):
        monkeypatch.setattr(nf_tables, name, lambda *_: None)
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
