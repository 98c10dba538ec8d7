"""The reference case, end to end: apt install on two routers, and a device at site A is in the LAN of site B.

One story in the order of this file, since booting is what costs time: before, install, what crosses, reboots, restarts, remove, purge.
"""

import json
import re
import time

import pytest
import topology
from hosts import BROADCAST, crosses, eventually
from steps import WIREGUARD, admins_files, all_crosses, comes_back, links, loses_no_frame, waited, wired


@pytest.fixture(scope="module")
def notes():
    """What earlier chapters of the story found out."""
    return {}


@pytest.fixture(scope="module")
def installed(reference, deb, notes):
    """The package on both routers, by apt and preseeded answers, while a ping of 10 Hz runs through wg0."""
    for site, router in reference.routers.items():
        notes[site] = admins_files(router)
        notes[site, "links"] = links(router)
        router.put(f"/root/{deb.name}", deb.read_bytes())
        router.run(["debconf-set-selections"], input=topology.preseed(site))
    stop = "/tmp/ping-stops"
    pings = [
        router.start(["sh", "-c", f"ping -n -i 0.1 -W 5 {peer} >/tmp/ping.out & echo $! >{stop}; wait"], timeout=600)
        for router, peer in ((reference.a, "10.15.14.1"), (reference.b, "10.15.14.2"))
    ]
    try:
        for router in reference.routers.values():
            notes[router.name, "apt"] = router.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})
        notes["back"] = waited(lambda: reference.device.lease(patience=3), 120)
        # The probe's own proof: half a second of drops in B is seen as a loss by A.
        time.sleep(1)
        before = [last_number(router) for router in reference.routers.values()]
        reference.b.sh(
            "nft add table ip probe; nft 'add chain ip probe drops { type filter hook input priority 0; }';"
            " nft add rule ip probe drops icmp type echo-request drop; sleep 2; nft delete table ip probe"
        )
        time.sleep(1)
    finally:
        for router in reference.routers.values():
            router.sh(f"kill -INT $(cat {stop})", check=False)
    for ping in pings:
        ping.wait()
    for router, mark in zip(reference.routers.values(), before):
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+) ", router.get("/tmp/ping.out").decode())]
        notes[router.name, "lost"] = missing([number for number in numbers if number <= mark])
        notes[router.name, "lost on purpose"] = missing([number for number in numbers if number >= mark])
        notes[router.name, "pings"] = mark
    return reference


def last_number(router) -> int:
    return int(re.findall(r"icmp_seq=(\d+) ", router.get("/tmp/ping.out").decode())[-1])


def missing(numbers) -> int:
    return max(numbers) - min(numbers) + 1 - len(set(numbers))


# Before


def test_without_l2wg_nothing_crosses(reference):
    device, host_b = reference.device, reference.host_b
    assert reference.host_a.ping("192.168.92.10") == 3, "routed through WireGuard, as the admin has it"
    assert device.lease(patience=3) is None
    device.run(["ip", "address", "add", "192.168.92.50/24", "dev", "eth0"])
    assert device.ping("192.168.92.10", count=1) == 0
    assert not crosses(device, host_b, BROADCAST)
    # The probes of the other tests do see frames where a wire is: host B reaches router B's own port.
    assert host_b.ping("192.168.92.1") == 3


# Install


def test_install_loses_no_ping_through_wireguard(installed, notes):
    for site in installed.routers:
        assert notes[site, "lost on purpose"] >= 5 if site == "A" else True, "the probe would not see a loss"
        assert notes[site, "pings"] > 50
        assert notes[site, "lost"] == 0


def test_install_restarts_nothing(installed, notes):
    for site, router in installed.routers.items():
        now = links(router)
        for name, marks in notes[site, "links"].items():
            if name != "enp3s0":  # becomes a port
                assert now[name] == marks, f"{site}: {name}: index, MTU, address"


def test_install_wires_up(installed):
    all_crosses(installed)


def test_install_wrote_what_it_should(installed, notes):
    a, b = installed.a, installed.b
    assert "enp3s0" in a.get("/etc/network/interfaces.d/l2wg").decode()
    assert "etc/network/interfaces.d/l2wg" not in admins_files(b), "site B's bridge is the admin's"
    for site, router in installed.routers.items():
        now = admins_files(router)
        assert now["network/interfaces"] == notes[site]["network/interfaces"]
        conf = router.get("/etc/wireguard/wg0.conf").decode()
        assert "PostUp = l2wg up %i || :" in conf and "PostDown = l2wg down %i || :" in conf
        assert now["wireguard/wg0.conf"].startswith("600 0 0 regular file")
        assert router.run(["l2wg", "plan"], check=False).rc == 0


def test_bridge_keeps_its_mtu(installed):
    for router in installed.routers.values():
        assert links(router)["br0"][1] == "1500"


def test_host_b_still_takes_full_size_packets_from_elsewhere(installed):
    """FACTS 1: a shrunk br0 at site B would answer with `Frag needed` to whoever sends to its LAN."""
    a_wan = installed.b.sh("ip link show br0").stdout
    assert "mtu 1500" in a_wan
    assert installed.host_b.ping("192.168.92.1", size=1472, fragment=False) == 3


# Reboots


@pytest.mark.parametrize("which", [pytest.param("A", marks=pytest.mark.long), pytest.param("B", marks=pytest.mark.long), "AB"])
def test_reboot(installed, which):
    assert wired(installed)
    for site in which:
        installed.routers[site].reboot(wait=False)
    eventually(lambda: not wired(installed), 60)
    for site in which:
        installed.routers[site].wait()
    for site in which:
        assert installed.routers[site].settle() == "running"
    comes_back(installed)
    for router in installed.routers.values():
        assert router.run(["l2wg", "plan"], check=False).rc == 0
        assert links(router)["br0"][1] == "1500"
    if which == "AB":
        all_crosses(installed)


def test_power_cut(installed):
    installed.a.pull_the_plug()
    installed.a.settle()
    comes_back(installed)


# Restarts

# Debian 11's networking.service leaves allow-hotplug interfaces down after a restart, the reference's WAN among them: with or
# without us, the admin has to do what the later ones do by themselves.
NETWORKING = "systemctl restart networking; systemctl cat networking | grep -q hotplug || ifup -a --allow=hotplug"

# Twenty events at once are netns/test_wire.py's, with two CPUs.
RESTARTS = {
    "wg-quick@wg0": "systemctl restart wg-quick@wg0",
    "networking": NETWORKING,
    "bridge": "ifdown br0; ifup br0",
    "wg0 deleted": "ip link del wg0; systemctl restart wg-quick@wg0",
    "wireguard while the bridge is down": "ifdown br0; systemctl restart wg-quick@wg0; ifup br0",
    "bridge while wireguard is down": "systemctl stop wg-quick@wg0; ifdown br0; ifup br0; systemctl start wg-quick@wg0",
    "all at once": f"({NETWORKING}) & systemctl restart wg-quick@wg0 & wait",
}


# What differs at site B: its bridge is the admin's, and its WireGuard waits to be called.
ON_B = ("wg-quick@wg0", "networking", "bridge", "bridge while wireguard is down", "all at once")


LONG = "wireguard while the bridge is down", "bridge while wireguard is down", "all at once"
CASES = [("A", name) for name in RESTARTS] + [("B", name) for name in ON_B]


@pytest.mark.parametrize("site, name", [pytest.param(*case, marks=[pytest.mark.long] if case[1] in LONG else []) for case in CASES])
def test_restart(installed, site, name):
    router = installed.routers[site]
    before = links(router)
    router.sh(RESTARTS[name], timeout=180)
    comes_back(installed)
    now = links(router)
    assert any(now[name][0] != before[name][0] for name in ("br0", "gretap1")), "nothing happened, so nothing was shown"
    assert now["br0"][1] == now["gretap1"][1] == "1500"
    assert router.sh("basename $(readlink /sys/class/net/gretap1/master)").stdout == "br0\n"
    assert router.run(["systemctl", "is-failed", "wg-quick@wg0", "networking"], check=False).stdout.split() == ["active", "active"]
    assert router.run(["l2wg", "plan"], check=False).rc == 0


NO_WATCH = 'systemctl stop l2wg-watch.timer; while [ "$(systemctl is-active l2wg-watch.service)" = activating ]; do sleep 0.2; done'


def test_the_journal_reads_as_a_story(installed):
    """One line for an event that does something, by way of the real journald, and none for one that does not.

    wg-quick's PostUp and PostDown, or udev: whichever comes first does it. The watch may come before both, so it is told to wait.
    """
    for site, router in installed.routers.items():
        router.sh(NO_WATCH)
        since = len(journal(router))
        router.sh("systemctl restart wg-quick@wg0")
        told = journal(router, since)
        assert [entry["MESSAGE"].split(": ")[0] in (said, "wg0 has come or gone (udev)") for entry, said in zip(told, ("wg0 goes down", "wg0 is up"))] == [True] * 2, told
        assert len(told) == 2, told
        down, up = told
        assert "gretap1: deleted (it" in down["MESSAGE"] and "\n" not in down["MESSAGE"]
        assert down["L2WG_WAITING"].split("\n")[0] == "gretap1 waits for wg0"
        assert "gretap1: made, port of br0, up" in up["MESSAGE"]
        assert (up["L2WG_TUNNEL"], up["PRIORITY"]) == ("gretap1", "6") and re.match(r"up wg0$|event device wg0:\d+:add$", up["L2WG_EVENT"])
        assert up["MESSAGE"] in router.sh("journalctl -b -u wg-quick@wg0 -u 'l2wg-device@wg0:*' -o cat").stdout
        assert any(line.startswith("ip link add name gretap1 ") for line in up["L2WG_COMMANDS"].split("\n"))
        since = len(journal(router))
        router.sh("l2wg up wg0; l2wg event up br0; l2wg plan; l2wg apply")
        assert journal(router, since) == []
        # What was applied has begun it again.
        router.sh(f"{NO_WATCH}; ip link delete gretap1; l2wg set gretap1 mtu=1500; SUDO_USER=alice l2wg apply")
        apply = journal(router, since)[-1]
        assert "l2wg apply (alice): " in apply["MESSAGE"] and "gretap1: made, port of br0, up" in apply["MESSAGE"]
        everything = journal(router)
        assert {entry["_TRANSPORT"] for entry in everything} == {"journal"}, "what is printed came to it, too"
        key = re.search(r"PrivateKey *= *(\S+)", router.get("/etc/wireguard/wg0.conf").decode()).group(1)
        assert key not in str(everything)
    # Site B cannot call: it waits until A's WireGuard notices, which takes 15 s after something was sent.
    comes_back(installed)


def journal(router, since=0) -> list:
    """Our entries but for the first `since`: journalctl's own --after-cursor skips one too many if it has a match."""
    out = router.sh("journalctl --sync; journalctl -q -t l2wg -o json").stdout
    return [json.loads(line) for line in out.splitlines()][since:]


def test_all_crosses_after_the_restarts(installed):
    all_crosses(installed)


# Another version


# Of an own wire: test_pair.py.
@pytest.mark.parametrize("version", ["99", pytest.param("0.0.1", marks=pytest.mark.long)])
def test_upgrade_and_downgrade_lose_no_frame(installed, deb, tmp_path, version):
    loses_no_frame(installed, installed.routers.values(), deb, tmp_path, version)


# Removal


def test_remove(installed, notes):
    for site, router in installed.routers.items():
        before = links(router)
        router.run(["apt-get", "remove", "-y", "l2wg"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})
        now = links(router)
        assert "gretap1" not in now
        assert "l2wg" not in router.sh("nft list tables").stdout
        for name in ("wg0", "enp1s0", "enp2s0", "br0"):
            assert now[name] == before[name], f"{site}: {name}"
        files = admins_files(router)
        for name, marks in notes[site].items():
            assert files.get(name) == marks, f"{site}: {name}"
    assert not wired(installed)
    assert installed.host_a.ping("192.168.92.10") == 3
    assert installed.wireguard_works()


def test_install_again_after_remove(installed, deb):
    for router in installed.routers.values():
        router.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})
    comes_back(installed)


def test_purge(installed, notes):
    for site, router in installed.routers.items():
        before = links(router)
        router.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})
        now = links(router)
        assert "gretap1" not in now
        for name in ("wg0", "enp1s0", "enp2s0"):
            assert now[name] == before[name], f"{site}: {name}"
        assert admins_files(router) == notes[site], f"{site}: files are not as they were"
        leftovers = router.sh("find /etc /usr /var /run -xdev -name '*l2wg*' ! -path '/var/log/*' ! -path '/var/cache/*' 2>/dev/null").stdout
        assert not leftovers.strip(), leftovers
        assert "l2wg" not in router.sh("debconf-show l2wg").stdout
    assert "br0" in links(installed.b), "the admin's bridge"
    assert not wired(installed)
    assert installed.host_a.ping("192.168.92.10") == 3


@pytest.mark.long
def test_a_reboot_after_the_purge(installed):
    installed.b.reboot()
    assert installed.b.settle() == "running"
    eventually(installed.wireguard_works, WIREGUARD)
