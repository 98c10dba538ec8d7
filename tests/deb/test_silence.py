"""A bridge of ours without an address, as real ifupdown, bridge-utils and the running kernel have it: no interface of the router.

`far`, the other end of the bridge's port, stands for whoever is on the joined LAN: it asks by ARP, and advertises itself as a router.
tests/lab/netns/test_silence.py has the same with two sites and a wire between them.
"""

import json
import shutil

import pytest
from box import TOP
from conftest import reference
from test_install import GRETAP1

SWITCHES = ("ipv4/conf/%s/arp_ignore", "ipv4/conf/%s/rp_filter", "ipv4/conf/%s/arp_announce", "ipv6/conf/%s/accept_ra", "ipv6/conf/%s/disable_ipv6")
SILENT, OWN, NEW = ["1", "1", "0", "0", "1"], ["1", "0", "2", "0", "0"], ["0", "0", "0", "1", "0"]
PREFIX = "2001:db8:b:"
ADDRESSES = ("192.168.178.1", "203.0.113.7", "192.168.92.2")
PROBE = """
import select, socket, sys, time
sys.path.insert(0, "/tmp")
import packets
mac = "02:00:00:00:0b:99"
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
ear.bind(("enp3s0-far", 3))
for address in sys.argv[1:]:
    for source in ("192.168.92.50", "0.0.0.0"):
        ear.send(packets.arp_request(mac, source, address))
ear.send(packets.advertisement(mac, "2001:db8:b::"))
found, end = set(), time.monotonic() + 2
while time.monotonic() < end:
    if select.select([ear], [], [], 0.2)[0]:
        frame, sender = ear.recvfrom(2000)
        if sender[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\\x08\\x06" and frame[20:22] == b"\\0\\2":
            found.add(socket.inet_ntoa(frame[28:32]))
print(" ".join(sorted(found)))
"""


@pytest.fixture
def router(site_a):
    """Site A, whose bridge l2wg has defined. There is no WireGuard here, so the tunnel waits."""
    shutil.copy(TOP / "tests/lab/packets.py", site_a.files / "tmp/packets.py")
    site_a.put("tmp/probe.py", PROBE)
    site_a.run("dpkg", "-i", "/tmp/l2wg.deb")
    keys = "underlay=wg0 local=192.168.178.1 remote=192.168.92.1 bridge=br0 bridge-ports=enp3s0"
    site_a.run("l2wg", "set", "gretap1", *keys.split())
    site_a.run("l2wg", "apply")
    return site_a


def switches(box, name="br0"):
    return box.sh("; ".join("cat /proc/sys/net/" + switch % name for switch in SWITCHES)).split()


def found(box):
    """The addresses that the bridge answers for, and what it takes from a router advertisement."""
    said = set(box.run("python3", "/tmp/probe.py", *ADDRESSES).stdout.split())
    taken = box.sh("ip -6 address show dev br0; ip -6 route show default")
    return said | ({"address"} if PREFIX in taken else set()) | ({"route"} if "default via" in taken else set())


def test_from_the_first_moment_and_again_when_somebody_opens_it(router):
    assert switches(router) == SILENT and found(router) == set()
    router.sh("sysctl -qw %s; sleep 3" % " ".join("net/%s=%s" % (switch % "br0", value) for switch, value in zip(SWITCHES, NEW)))
    assert found(router) == {"192.168.178.1", "203.0.113.7", "address", "route"}, "the probe sees it"
    assert "sysctl -qw net/ipv4/conf/br0/arp_ignore=1" in router.run("l2wg", "event", "up", "br0").stderr
    assert switches(router) == SILENT and found(router) == set(), "what was taken is gone, too"
    assert "sysctl" not in router.run("l2wg", "event", "up", "br0").stderr, "once is enough"
    # By interfaces(5) alone, as before any event.
    router.sh("mv /etc/network/if-up.d/l2wg /tmp/hook; ifdown br0 2>/dev/null; ifup br0 2>/dev/null; mv /tmp/hook /etc/network/if-up.d/l2wg")
    assert switches(router) == SILENT and found(router) == set()


@pytest.mark.parametrize("address, answers", [("192.168.92.2/24", {"192.168.92.2"}), ("fd00:92::2/64", set())])
def test_an_address_that_is_asked_for_and_a_rollback(router, address, answers):
    # The next start of WireGuard could not add the route that wg-quick makes of it.
    router.sh("sed -i 's|192.168.92.0/24|192.168.92.1/32|' /etc/wireguard/wg0.conf")
    router.run("l2wg", "set", "gretap1", "bridge-address=" + address)
    router.run("l2wg", "apply")
    assert address in router.sh("ip address show dev br0")
    assert switches(router) == OWN and found(router) == answers
    router.sh("ifdown br0 2>/dev/null; ifup br0 2>/dev/null")
    assert address in router.sh("ip address show dev br0") and switches(router) == OWN
    router.run("l2wg", "rollback")
    assert switches(router) == SILENT and address not in router.sh("ip address show dev br0")


def test_a_bridge_that_is_ours_no_more_and_what_check_says_of_it(router):
    router.run("l2wg", "set", "gretap1", "bridge-ports=")
    router.run("l2wg", "apply")
    assert switches(router) == NEW
    (told,) = [problem for problem in problems(router) if problem["id"] == "bridge-answers"]
    router.sh(told["hint"])
    assert switches(router) == SILENT and found(router) == set()
    assert "bridge-answers" not in [problem["id"] for problem in problems(router)]


def problems(box):
    return json.loads(box.run("l2wg", "check", "--json", "--passive", check=False).stdout)["problems"]


def test_a_bridge_that_took_over_its_ports_address_is_as_the_port_was(box):
    site_b = reference(box, "b", "interfaces.fresh")
    site_b.run("dpkg", "-i", "/tmp/l2wg.deb")
    keys = "underlay=wg0 local=192.168.92.1 remote=192.168.178.1 bridge=br0 bridge-ports=enp2s0"
    site_b.run("l2wg", "set", "gretap1", *keys.split())
    site_b.run("l2wg", "apply", "--yes")
    assert "192.168.92.1/24" in site_b.sh("ip address show dev br0")
    assert switches(site_b) == switches(site_b, "enp1s0") == NEW


def test_a_bridge_that_a_purge_leaves_is_as_any_other(router):
    router.sh("ip link set enp1s0-far master br0")
    assert "br0 has another port" in router.run("dpkg", "--purge", "l2wg").stderr
    assert not router.has(GRETAP1) and switches(router) == NEW
