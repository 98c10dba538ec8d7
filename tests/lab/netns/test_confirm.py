"""`apply --sites FILE --confirm`, and `join --confirm`: nobody confirms, and systemd's timer undoes all of it. And a purge.

The machine itself is the router, since a namespace has no systemd. One story, in this order.
"""

import sys
from pathlib import Path

import pytest
import topology
from hosts import eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from l2wg_hooks.config import card

SITES = "/etc/l2wg/sites"
STATE = """
cd /etc; for f in wireguard/*.conf l2wg/* network/interfaces.d/*; do [ ! -f $f ] || { stat -c '%n %a' $f; cat $f; }; done
ip -br link | sed 's/@.*//' | cut -d' ' -f1 | sort; ip netns list; ip netns exec l2wg wg show all allowed-ips 2>/dev/null
"""


class Router:
    def __init__(self, vm):
        self.vm = vm

    def l2wg(self, *words, check=True):
        hurry = ["--no-rehearsal"] if words[0] in ("apply", "pair", "invite", "join") else []
        return self.vm.run(["l2wg", *words, *hurry], check=check, timeout=180)

    def state(self):
        """Files to the byte, interfaces, WireGuard's peers."""
        return self.vm.run(["sh", "-c", STATE], check=False).stdout

    def links(self):
        return set(self.vm.run(["sh", "-c", "ip -br link | sed 's/[@ ].*//'"]).stdout.split())


def new_card(name, address):
    return card.encode(card.Card(name, topology.new_keys().public, "", (address,)))


@pytest.fixture(scope="module")
def router(vm, deb):
    made = Router(vm)
    vm.run(["sh", "-c", "for n in 3 4; do ip link add enp${n}s0 type veth peer name far$n; ip link set enp${n}s0 up; ip link set far$n up; done"])
    yield made
    # The other files' sites have the machine's root file system below their own: as it was before, with the package as installed first.
    vm.run(["sh", "-c", "ip link del enp3s0; ip link del enp4s0; apt-get purge -y -q l2wg; ip link del br0"], timeout=180, check=False)
    vm.run(["sh", "-c", "rm -rf /etc/l2wg /etc/wireguard/*.conf /root/newer; systemctl reset-failed"], check=False)
    vm.run(["apt-get", "install", "-y", "-q", f"/root/{deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})


def test_another_file_of_sites_that_nobody_confirms_is_undone(router):
    router.l2wg("init", "--name", "hq", "--endpoint", "203.0.113.1:51820")
    router.l2wg("invite", "branch-b", "--bridge-ports", "enp3s0", "--yes")
    router.l2wg("pair", "--yes", new_card("branch-b", "198.18.0.2"))
    before, text = router.state(), router.vm.get(SITES).decode()
    assert "branch-b" in router.links()
    router.vm.put("/root/newer", text + new_card("branch-c", "198.18.0.3") + "\n")
    router.l2wg("apply", "--sites", "/root/newer", "--yes", "--confirm", "15")
    assert "branch-c" in router.links()
    eventually(lambda: "branch-c" not in router.links(), 90)
    eventually(lambda: router.state() == before, 30)
    assert router.l2wg("plan", check=False).rc == 0
    assert "the last change was undone" in router.l2wg("status", check=False).stdout


@pytest.mark.long
def test_one_that_somebody_confirms_stays_until_it_is_rolled_back(router):
    before = router.state()
    router.l2wg("apply", "--sites", "/root/newer", "--yes", "--confirm", "30")
    router.l2wg("confirm")
    router.vm.run(["sleep", "35"])
    assert "branch-c" in router.links() and router.vm.get(SITES) == router.vm.get("/root/newer")
    router.l2wg("rollback", "--yes")
    assert router.state() == before


@pytest.mark.long
def test_who_joins_and_does_not_confirm_is_as_before(router):
    token = router.l2wg("invite", "branch-d").stdout.strip()
    router.l2wg("down", "--all")
    router.vm.run(["sh", "-c", f"rm {SITES} /etc/wireguard/*.conf"])
    router.l2wg("apply", "--yes")
    router.l2wg("init", "--name", "branch-d", "--endpoint", "none")
    before = router.state()
    router.l2wg("join", token, "--bridge-ports", "enp4s0", "--yes", "--confirm", "15")
    assert "hq" in router.links() and SITES[5:] not in before
    eventually(lambda: "hq" not in router.links(), 90)
    eventually(lambda: router.state() == before, 30)
    # The same once more, for good.
    router.l2wg("join", token, "--bridge-ports", "enp4s0", "--yes", "--confirm", "30")
    router.l2wg("confirm")
    assert "hq" in router.links()


@pytest.mark.long
def test_a_purge_leaves_nothing_however_slow_udev_is(router):
    """Each interface that goes is an event of udev's, and its hook has its turn when all of the package may be gone."""
    router.vm.run(["systemctl", "set-property", "--runtime", "systemd-udevd.service", "CPUQuota=2%"])
    try:
        # What the hooks keep of the files is to be read anew.
        router.vm.run(["touch", SITES])
        router.vm.run(["apt-get", "purge", "-y", "-q", "l2wg"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})
        for _ in range(10):
            assert router.vm.run(["sh", "-c", "ls /run/l2wg* /run/netns/l2wg 2>/dev/null"], check=False).stdout == ""
            router.vm.run(["sleep", "3"])
    finally:
        router.vm.run(["systemctl", "set-property", "--runtime", "systemd-udevd.service", "CPUQuota="])
    assert not {"hq", "l2w0"} & router.links()
    assert router.vm.run(["systemctl", "--failed", "--quiet", "list-units", "l2wg*"], check=False).stdout == ""
