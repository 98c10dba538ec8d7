"""Options of both tiers: --suite and --deb, or the environment's SUITE and L2WG_DEB."""

import os
import signal
from pathlib import Path

import hosts
import image
import pytest
import vm

TOP = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--suite", default=os.environ.get("SUITE") or "bookworm", choices=image.SUITES, help="Debian release of the lab machines")
    parser.addoption("--deb", default=os.environ.get("L2WG_DEB"), help="the package under test; default: the newest out/l2wg_*.deb")


def pytest_configure(config):
    # At once, and whichever tests run: that all of it is named here can then be shown without a machine (make minimal).
    image.need([*image.NEEDS, *vm.NEEDS, *hosts.NEEDS])
    # Not sys.exit: inside a test, pytest takes that for a failure of the test and goes on.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


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
