"""One machine for the tier, with Debian's FRR beside the package; each file lays its own sites."""

import hosts
import image
import pytest
import vm as machines

PACKAGES = [*image.ROUTER_PACKAGES, "frr"]


@pytest.fixture(scope="session")
def vm(suite, deb):
    image.need([*machines.NEEDS, *hosts.NEEDS])
    with machines.scratch() as directory:
        vm = machines.VM("E", image.disk(suite, PACKAGES), directory, memory=2048, cpus=2)
        try:
            vm.wait()
            vm.settle()
            vm.sh("systemctl stop frr")
            vm.put(f"/root/{deb.name}", deb.read_bytes())
            vm.run(["apt-get", "install", "-y", "-q", f"/root/{deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
            yield vm
        finally:
            vm.close()
