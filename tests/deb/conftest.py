"""Real dpkg and debconf, in boxes of the suite that --suite or the variable SUITE names (bookworm without)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from box import TOP, Box, layer

subprocess.run([TOP / "tests/need", "python3-pexpect", "python3-pyte"], check=True)

REFERENCE = TOP / "tests/lab/reference"


def pytest_addoption(parser):
    parser.addoption("--suite", default=os.environ.get("SUITE", "bookworm"), help="bullseye, bookworm or trixie")
    parser.addoption("--deb", help="test this package, rather than one built by the suite's own tools")


@pytest.fixture(scope="session")
def suite(request):
    return request.config.getoption("--suite")


@pytest.fixture(scope="session")
def built(suite, tmp_path_factory):
    """The directory with what a build by the suite's own tools makes."""
    out = tmp_path_factory.mktemp("out")
    subprocess.run([TOP / "tests/deb/build", "--suite", suite, out], stdout=subprocess.PIPE, check=True)
    return out


@pytest.fixture(scope="session")
def deb(request):
    given = request.config.getoption("--deb")
    return Path(given).resolve() if given else next(request.getfixturevalue("built").glob("*.deb"))


@pytest.fixture(scope="session")
def lower(suite):
    return layer(suite)


@pytest.fixture
def box(lower, deb):
    """A router without l2wg; the package lies in /tmp/l2wg.deb."""
    box = Box(lower)
    shutil.copy(deb, box.files / "tmp/l2wg.deb")
    yield box
    box.close()


def reference(box, site, interfaces="interfaces"):
    """Make the box one of the two routers of the reference case: their files, ports and addresses, as far as this kernel goes."""
    box.put("etc/network/interfaces", (REFERENCE / f"site-{site}" / interfaces).read_text())
    box.put("etc/wireguard/wg0.conf", (REFERENCE / f"site-{site}" / "wg0.conf").read_text(), 0o600)
    for port in ("enp1s0", "enp2s0", "enp3s0"):
        box.sh(f"ip link add {port} type veth peer name {port}-far; ip link set {port} up; ip link set {port}-far up")
    box.sh("ip addr add 203.0.113.7/24 dev enp1s0; ip route add default via 203.0.113.1")
    if site == "a":
        box.sh("ip addr add 192.168.178.1/24 dev enp2s0")
    elif interfaces == "interfaces":
        box.sh("ip link add br0 type bridge; ip link set enp2s0 master br0; ip addr add 192.168.92.1/24 dev br0; ip link set br0 up")
    else:
        box.sh("ip addr add 192.168.92.1/24 dev enp2s0")
    return box


@pytest.fixture
def site_a(box):
    return reference(box, "a")


@pytest.fixture
def site_b(box):
    return reference(box, "b")


@pytest.fixture
def site_b_fresh(box):
    return reference(box, "b", "interfaces.fresh")


# A wire of l2wg's own, beside the wg0 that is there: the files, as `l2wg init --own` and `l2wg pair` leave them.
L2W0, OWN = "etc/wireguard/l2w0.conf", "etc/l2wg/gretap1.conf"
KEYS = """\
# Not for wg-quick(8): l2wg makes this interface itself (wire = own in l2wg.conf(5)).
[Interface]
PrivateKey = MCMoFKOrOxYSMSyRi4XC+QzFJ3zTF+6GpTxtnQkTJWo=
ListenPort = 51821
Address = 198.18.0.1/32
"""
WISH = "wire = own\nunderlay = l2w0\nlocal = 198.18.0.1\nremote = 198.18.0.2\nbridge = br0\nbridge-ports = enp3s0\n"


@pytest.fixture
def site_own(site_a):
    """Site A with these files. This kernel has not what it takes, so `l2wg apply` refuses; tests/lab/router has the wire itself."""
    site_a.put(L2W0, KEYS, 0o600)
    site_a.put(OWN, WISH)
    return site_a


ANSWERS_A = dict(local="192.168.178.1", remote="192.168.92.1", bridge_ports="enp3s0")
ANSWERS_B = dict(local="192.168.92.1", remote="192.168.178.1")
