"""Options of both tiers: --suite and --deb, or the environment's SUITE and L2WG_DEB."""

import os
import signal
import sys
from pathlib import Path

import hosts
import image
import pytest
import vm

TOP = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--suite", default=os.environ.get("SUITE") or "bookworm", choices=image.SUITES, help="Debian release of the lab machines")
    parser.addoption("--deb", default=os.environ.get("L2WG_DEB"), help="the package under test; default: the newest out/l2wg_*.deb")
    parser.addoption("--from", dest="first", metavar="FILE", help="leave out the files before this one, by its path from the top")


def pytest_configure(config):
    # At once, and whichever tests run: that all of it is named here can then be shown without a machine (make minimal).
    image.need([*image.NEEDS, *vm.NEEDS, *hosts.NEEDS])
    # Not sys.exit: inside a test, pytest takes that for a failure of the test and goes on.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


def pytest_collection_modifyitems(config, items):
    first = config.getoption("first")
    places = [item.nodeid.partition("::")[0] for item in items]
    if first in places:
        config.hook.pytest_deselected(items=items[: places.index(first)])
        del items[: places.index(first)]


# The file in which a machine died.
DEAD = pytest.StashKey[str]()


def pytest_exception_interact(node, call, report):
    """Nothing is learnt of a dead machine's other tests but how long nobody answers."""
    if call.excinfo.errisinstance(vm.MachineDead):
        node.session.shouldstop = str(call.excinfo.value)
        if node.session.testsfailed == 1 and not node.config.getoption("first"):
            node.config.stash[DEAD] = node.nodeid.partition("::")[0]


def pytest_unconfigure(config):
    """Go on once with a new machine, from the file in which one died: on the kernels and QEMUs that this runs on, some do.

    Not where anything else has failed, nor a second time, and never in silence.
    """
    if DEAD in config.stash:
        print(f"A machine died in {config.stash[DEAD]}: once more from there, with a new one.", flush=True)
        os.execv(sys.executable, [*sys.orig_argv, "--from", config.stash[DEAD]])


@pytest.fixture(scope="session")
def suite(request):
    return request.config.getoption("suite")


@pytest.fixture(scope="session")
def deb(request) -> Path:
    given = request.config.getoption("deb")
    found = [Path(given)] if given else sorted((TOP / "out").glob("l2wg_*.deb"), key=os.path.getmtime)
    if not found or not found[-1].exists():
        pytest.exit("no package to test\n  hint: make deb, or --deb PATH", returncode=2)
    return found[-1]
