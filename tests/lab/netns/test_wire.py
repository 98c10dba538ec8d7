"""The wire stands: what crosses it, what it leaves alone, and that it comes back by itself."""

import re

import pytest
from sites import received

pytestmark = pytest.mark.two_cpus


def gretap(site):
    return site.links()["gretap1"]


def test_nothing_is_left_to_do(wired):
    for site in wired.sites:
        assert site.l2wg("plan", check=False).rc == 0


def test_full_size_frames_cross(wired):
    assert wired.device.ping("192.168.92.10", size=1472, fragment=False) == 1
    assert wired.host_b.ping("192.168.92.50", size=1472, fragment=False) == 1


def test_ipv6_crosses(wired):
    address = wired.host_b.sh("ip -6 -o address show dev eth0 scope link | awk '{print $4}'").stdout.split("/")[0]
    assert wired.device.ping(f"{address}%eth0", count=2) >= 1


def test_tagged_frames_cross(wired):
    for host, address in ((wired.device, "10.42.0.1/24"), (wired.host_b, "10.42.0.2/24")):
        host.sh(f"ip link add link eth0 name eth0.42 type vlan id 42; ip address add {address} dev eth0.42; ip link set eth0.42 up")
    try:
        assert wired.device.ping("10.42.0.2", count=2) >= 1
        assert wired.device.ping("10.42.0.2", size=1472, fragment=False) == 1
    finally:
        for host in (wired.device, wired.host_b):
            host.run(["ip", "link", "del", "eth0.42"])


def test_the_admins_bridge_keeps_its_mtu_and_mac(wired):
    before, after = wired.before[1]["br0"], wired.b.links()["br0"]
    assert (after["mtu"], after["address"]) == (1500, before["address"])
    assert after["ifindex"] == before["ifindex"]
    assert wired.a.links()["br0"]["mtu"] == 1500


def test_wireguard_and_lan_were_not_restarted(wired):
    for before, site in zip(wired.before, wired.sites):
        after = site.links()
        for name in ("wg0", "enp1s0", "enp2s0"):
            assert after[name]["ifindex"] == before[name]["ifindex"]
    assert wired.host_a.ping("192.168.92.10", count=2) >= 1


def test_a_second_run_does_not_flap(wired):
    """Frames go on while events come, and the kernel tells of no link that went down, came, or left its bridge."""

    def watch(work):
        """(frames lost, what the kernel told of links that are not as they should be) while `work()` goes on."""
        for site in wired.sites:
            site.sh("ip monitor link >/tmp/changes 2>&1 & echo $! >/tmp/monitor")
        ping = wired.device.start(["ping", "-n", "-q", "-i", "0.05", "-c", "160", "-W", "2", "192.168.92.10"], timeout=120)
        work()
        lost = 160 - received(ping.wait())
        told = "".join(site.sh("kill $(cat /tmp/monitor); cat /tmp/changes").stdout for site in wired.sites)
        # The bridge repeats itself now and then about a port that is as it was.
        return lost, [line for line in told.splitlines() if not re.match(r" |\d+: \S+: <[^>]*\bUP,LOWER_UP> mtu 1(500|420) ", line)]

    def events():
        for site in wired.sites:
            for words in (("up", "wg0"), ("event", "up", "br0"), ("apply",)):
                assert "[l2wg] ip" not in site.l2wg(*words).stderr

    assert watch(events) == (0, [])
    # Such a probe does see a flap.
    lost, changes = watch(lambda: wired.b.sh("sleep 1; ip link set gretap1 down; sleep 1; ip link set gretap1 up"))
    assert lost > 5 and "gretap1" in "".join(changes)
    wired.comes_back()


RESTARTS = {
    "wg-quick": "wg-quick down wg0; wg-quick up wg0",
    "wg0 deleted": "ip link del wg0; wg-quick up wg0",
    "bridge": "ifdown br0; ifup br0",
    "all interfaces": "ifdown -a; ifup -a; ifup -a --allow=hotplug",
    "tunnel deleted": "ip link del gretap1; l2wg up wg0",
    "tunnel down": "ip link set gretap1 down; l2wg up wg0",
    "tunnel out of the bridge": "ip link set gretap1 nomaster; l2wg event up br0",
    "another tunnel in its place": "ip link del gretap1; ip link add gretap1 type gretap local 192.0.2.1 remote 192.0.2.2; l2wg up wg0",
    "tunnel with a small mtu": "ip link set gretap1 mtu 1382; l2wg up wg0",
    "bridge behind ifupdown's back": "ip link del br0; ip link add br0 type bridge; ip link set br0 up; l2wg event up br0",
}
# Site B's bridge is the admin's, who has to bring back its ports and address; and what is the same on both is not shown twice.
ON_B = ("wg-quick", "wg0 deleted", "bridge", "all interfaces")
# The same by systemd, on whole routers: router/test_router.py. Here they are for `make long`, and for the kernels.
BY_ROUTERS = [("A", "wg-quick"), ("A", "wg0 deleted"), ("A", "bridge"), ("A", "all interfaces"), ("B", "wg-quick"), ("B", "bridge"), ("B", "all interfaces")]
CASES = [("A", name) for name in RESTARTS] + [("B", name) for name in ON_B]


@pytest.mark.parametrize("which, name", [pytest.param(*case, marks=[pytest.mark.long] if case in BY_ROUTERS else []) for case in CASES])
def test_it_comes_back_after(wired, which, name):
    site = wired.a if which == "A" else wired.b
    fault, _, rest = RESTARTS[name].partition("; ")
    site.sh(fault, timeout=120)
    assert not wired.wired(), "the probe would not see a dead wire"
    site.sh(rest, timeout=180)
    wired.comes_back()
    assert gretap(site)["master"] == "br0"
    assert (gretap(site)["mtu"], site.links()["br0"]["mtu"]) == (1500, 1500)
    assert site.l2wg("plan", check=False).rc == 0


def test_twenty_events_at_once(wired):
    """As at boot, where hooks and wg-quick run in parallel: none fails, none hangs, and the wire stands in the end."""
    site = wired.a
    site.run(["ip", "link", "del", "gretap1"])
    words = ["up wg0", "event up br0", "event up enp3s0", "up wg0", "event up wg0"] * 4
    out = site.sh("\n".join(f"(l2wg {word}; echo rc $?) 2>&1 &" for word in words) + "\nwait", timeout=240).stdout
    assert out.count("rc 0\n") == len(words), out
    assert "Traceback" not in out and "File exists" not in out, out
    assert gretap(site)["master"] == "br0"
    assert site.l2wg("plan", check=False).rc == 0
    wired.comes_back()
