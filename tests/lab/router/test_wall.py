"""`l2wg wall` on whole routers: a wire in use gets WireGuard of its own, hours and a reboot after its first site was ready for it.

One story, in this order. B can be called by its name; A cannot be called.
"""

import re

import pytest
import topology
from hosts import eventually
from steps import QUIET, Pings, all_crosses, comes_back, wired
from test_live import Login

pytestmark = pytest.mark.long

UNIT = "l2wg-wall@gretap1.service"
# Seconds of the issue.
SILENCE = 1.0


@pytest.fixture(scope="module")
def shared(reference, deb):
    for site, router in reference.routers.items():
        router.put(f"/root/{deb.name}", deb.read_bytes())
        router.run(["debconf-set-selections"], input=topology.preseed(site))
        router.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    l2wg(reference.b, "card", "--name", "site-b", "--endpoint", "MyRemoteServer.com")
    reference.device.run(["ip", "address", "add", "192.168.92.50/24", "dev", "eth0"])
    comes_back(reference)
    return reference


def l2wg(router, *words, check=True):
    done = router.run(["l2wg", *words], check=check, timeout=600)
    print(f"{router.name}$ l2wg {' '.join(words)}\n{done.stderr}{done.stdout}")
    return done


def card(router):
    return l2wg(router, "wall", "gretap1").stdout.strip()


def unit(router):
    return router.sh(f"systemctl is-enabled {UNIT}; systemctl is-active {UNIT}", check=False).stdout.split()


def walled(router):
    """By its file, and by the kernel."""
    found = "= own" in router.get("/etc/l2wg/gretap1.conf").decode(), "link-netns" in router.sh("ip -d link show gretap1").stdout
    assert found[0] == found[1], found
    return found[0]


def staged(router):
    return router.sh("ls /var/lib/l2wg/wall 2>/dev/null || :").stdout.split()


def test_the_first_site_waits_and_nothing_has_changed(shared):
    a, b = shared.a, shared.b
    said = l2wg(a, "wall", "gretap1", card(b), "--yes").stderr
    assert "the next start was rehearsed" in said and "l2wg wall TUNNEL L2WG1:" in said
    assert unit(a) == ["enabled", "active"] and staged(a) == ["gretap1.conf"] and not walled(a)
    assert "l2w0" in a.sh("ip -n l2wg -br link").stdout and wired(shared)
    # Ended in any way, it waits again.
    a.sh(f"systemctl kill -s KILL {UNIT}")
    eventually(lambda: unit(a) == ["enabled", "active"], 60)


def test_it_waits_after_a_reboot(shared):
    a = shared.a
    a.reboot()
    assert a.settle() == "running"
    comes_back(shared)
    assert unit(a) == ["enabled", "active"] and not walled(a)
    eventually(lambda: "l2w0" in a.sh("ip -n l2wg -br link", check=False).stdout, 60)
    assert l2wg(a, "plan", check=False).rc == 0


def test_both_change_and_nobody_notices(shared):
    a, b = shared.a, shared.b
    for router in (a, b):
        router.sh("ip link show wg0 | cut -d: -f1 >/root/wg0")
    # A person at site A's device, logged in at router B through the wire.
    login, pings = Login(shared.device, b), Pings(shared.device, "192.168.92.10")
    try:
        l2wg(b, "wall", "gretap1", card(a), "--yes")
        eventually(lambda: not staged(a) and not staged(b), 180)
    finally:
        login.end()
        gap = pings.end()
        for router in (a, b):
            print(router.sh(f"journalctl -o cat -u {UNIT} --no-pager; journalctl -o cat -t l2wg --no-pager | tail -20").stdout)
    print(f"longest silence {gap:.1f} s by pings, slowest answer to the login {login.worst:.2f} s of {login.lines}")
    assert login.error is None
    for router in (a, b):
        assert walled(router)
        eventually(lambda router=router: unit(router) == ["disabled", "inactive"], 60)
        assert "l2wg" not in router.get("/etc/wireguard/wg0.conf").decode()
        assert router.sh("ip link show wg0 | cut -d: -f1 | cmp - /root/wg0", check=False).rc == 0, "it is the admin's"
        assert l2wg(router, "plan", check=False).rc == 0
        assert router.sh("systemctl --failed --quiet --no-legend").stdout == ""
    assert shared.wireguard_works()
    assert gap <= SILENCE
    all_crosses(shared)


def test_it_comes_back_after_a_reboot_of_both(shared):
    for router in shared.routers.values():
        router.reboot(wait=False)
    eventually(lambda: not wired(shared), 60)
    for router in shared.routers.values():
        router.wait()
    for router in shared.routers.values():
        assert router.settle() == "running"
    eventually(lambda: wired(shared), 60)
    for router in shared.routers.values():
        assert walled(router) and unit(router) == ["disabled", "inactive"]


def test_undone_by_both(shared):
    for router in shared.routers.values():
        l2wg(router, "rollback", "--yes")
        assert not walled(router)
        assert len(re.findall("l2wg (up|down) %i", router.get("/etc/wireguard/wg0.conf").decode())) == 2
    eventually(lambda: wired(shared), 60)


def test_purge_takes_what_waits(shared):
    a, b = shared.a, shared.b
    l2wg(a, "wall", "gretap1", card(b), "--yes", "--no-rehearsal")
    assert unit(a) == ["enabled", "active"]
    a.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env=QUIET)
    left = "ls /var/lib/l2wg /etc/systemd/system/*/l2wg* /run/netns/l2wg 2>/dev/null; pgrep -f '[l]2wg wall'; :"
    assert a.sh(left).stdout == ""
    assert a.run(["systemctl", "--failed", "--quiet"], check=False).stdout == ""
