"""One machine for the whole tier, with the package installed and nothing configured. Every test gets its two sites."""

import image
import pytest
import vm as machines
from hosts import NEEDS
from sites import Pair


def cpus(request) -> int:
    """Two for tests that are about what happens at the same time. With one, Linux takes the locked instructions out of itself, and the same
    work costs QEMU a third less."""
    return 2 if any(item.get_closest_marker("two_cpus") for item in request.session.items) else 1


@pytest.fixture(scope="session")
def vm(request, suite, deb):
    image.need(NEEDS)
    with machines.machine(suite, cpus=cpus(request), memory=1536) as machine:
        machine.settle()
        machine.put(f"/root/{deb.name}", deb.read_bytes())
        machine.run(["apt-get", "install", "-y", "-q", f"/root/{deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
        yield machine


@pytest.fixture
def pair(vm):
    """Fresh: interfaces up, WireGuard down, l2wg unconfigured."""
    return Pair(vm).fresh()


@pytest.fixture
def wireguard(pair):
    """Fresh, WireGuard up and working, l2wg unconfigured."""
    pair.wireguard()
    return pair


@pytest.fixture(scope="module")
def wired(vm):
    """Wired up once a module: a test leaves it wired."""
    pair = Pair(vm).fresh()
    pair.wireguard()
    assert not pair.wired(), "the probe sees a wire where none is"
    pair.before = pair.both(lambda site: site.links())
    pair.configure()
    pair.comes_back()
    return pair
