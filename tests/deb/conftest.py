"""Real dpkg and debconf, in boxes of the suite that the variable SUITE names (bookworm without it)."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from box import TOP, Box, layer

REFERENCE = TOP / "tests/lab/reference"


@pytest.fixture(scope="session")
def suite():
    return os.environ.get("SUITE", "bookworm")


@pytest.fixture(scope="session")
def deb(suite, tmp_path_factory):
    """The package, built by that suite's own tools (or the one that the variable DEB names)."""
    if os.environ.get("DEB"):
        return Path(os.environ["DEB"]).resolve()
    out = tmp_path_factory.mktemp("out")
    built = subprocess.run([TOP / "tests/deb/build", "--suite", suite, out], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.split()[-1])


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


ANSWERS_A = dict(local="192.168.178.1", remote="192.168.92.1", bridge_ports="enp3s0")
ANSWERS_B = dict(local="192.168.92.1", remote="192.168.178.1")
