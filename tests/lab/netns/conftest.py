"""One machine for the whole tier, with the package installed and nothing configured. Every test gets its two sites."""

import image
import pytest
import vm as machines
from hosts import NEEDS
from sites import Pair


@pytest.fixture(scope="session")
def vm(suite, deb):
    image.need(NEEDS)
    with machines.machine(suite, cpus=2, memory=1536) as machine:
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
