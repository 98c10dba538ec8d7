"""A bridge of ours without an address is a switch, and no interface of router A: nobody in site B's LAN finds router A behind it.

hostB asks: it sends a router advertisement, asks by ARP for each address of router A, and sends packets to the Ethernet address of
A's bridge, which it knows from what the bridge sends. `open_up` makes the bridge what the kernel makes of each, to see that
all of this would be answered.
"""

import json
import os
from pathlib import Path

import packets
import pytest
from hosts import eventually
from sites import Pair

FRAMES = Path(__file__).resolve().parents[1] / "frames.py"
PREFIX, FAR = "2001:db8:b:", "192.168.178.10"
# Of router A: its LAN's, the WAN's, WireGuard's.
ADDRESSES = ("192.168.178.1", "203.0.113.10", "10.15.14.2")
OPEN = "net.ipv4.conf.br0.arp_ignore=0 net.ipv4.conf.br0.rp_filter=0 net.ipv6.conf.br0.disable_ipv6=0 net.ipv6.conf.br0.accept_ra=1"
SILENT = {"ipv4/conf/br0/arp_ignore": "1", "ipv4/conf/br0/rp_filter": "1", "ipv6/conf/br0/accept_ra": "0", "ipv6/conf/br0/disable_ipv6": "1"}


@pytest.fixture(scope="module")
def wire(vm):
    pair = Pair(vm).fresh()
    pair.wireguard()
    vm.put("/root/frames.py", FRAMES.read_bytes())
    pair.configure()
    pair.comes_back()
    return pair


def mac(namespace, name):
    return json.loads(namespace.run(["ip", "-json", "link", "show", name]).stdout)[0]["address"]


def found(wire, addresses=ADDRESSES):
    """What hostB finds of router A behind the bridge, by the names of what it tried."""
    own, bridge = mac(wire.host_b, "eth0"), mac(wire.a, "br0")
    token = os.urandom(8)
    frames = {f"{how} {address}": packets.arp_request(own, source, address) for address in addresses for how, source in (("arp", "192.168.92.10"), ("probe", "0.0.0.0"))}
    datagram = b"\x9c\x40\x00\x09\x00\x10\x00\x00" + token  # UDP from port 40000 to 9, no checksum
    for name, source in (("forwarded", "192.168.92.10"), ("forwarded for others", "10.9.9.9")):
        frames[name] = packets.ethernet(bridge, own, packets.IP, packets.ip4(source, FAR, packets.UDP, datagram)[0])
    frames["advertisement"] = packets.advertisement(own, PREFIX + ":")
    ears = []
    for number, (host, word) in enumerate(((wire.host_b, bytes.fromhex(bridge.replace(":", ""))), (wire.host_a, token))):
        ready = f"/tmp/silence-{token.hex()}-{number}"
        ears.append((ready, host.start(["python3", "/root/frames.py", "listen", 5, ready], timeout=60, input=word.hex())))
    eventually(lambda: all(wire.vm.agent.run(["test", "-e", ready], 10).rc == 0 for ready, _ in ears), 30)
    wire.host_b.run(["python3", "/root/frames.py", "send", ears[0][0], 1], input="\n".join(frame.hex() for frame in frames.values()), timeout=60)
    heard = [[bytes.fromhex(text) for some in json.loads(ear.wait().check().stdout).values() for text in some] for _, ear in ears]
    seen = {
        "arp %s" % packets.ipaddress.ip_address(frame[28:32])
        for frame in heard[0]
        if frame[6:12] == bytes.fromhex(bridge.replace(":", "")) and frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\x02"
    }
    seen |= {"forwarded"} if heard[1] else set()
    seen |= {"advertisement"} if addresses_of(wire) or "br0" in wire.a.run(["ip", "-6", "route", "show", "default"]).stdout else set()
    return seen


def addresses_of(wire):
    return wire.a.run(["ip", "-6", "-o", "address", "show", "dev", "br0"]).stdout


def switches(site):
    """Asked by a process of the site: /proc/sys/net is that of who reads it."""
    out = site.sh("; ".join(f"cat /proc/sys/net/{name}" for name in SILENT)).stdout.split()
    return dict(zip(SILENT, out))


ALL = {f"arp {address}" for address in ADDRESSES} | {"forwarded", "advertisement"}


def test_the_bridge_is_a_switch_and_an_event_makes_it_one_again(wire):
    assert switches(wire.a) == SILENT and addresses_of(wire) == ""
    assert found(wire) == set()
    wire.a.sh("sysctl -qw " + OPEN)
    assert found(wire) == ALL, "the probe sees it"
    assert PREFIX in addresses_of(wire) and "default via fe80:" in wire.a.run(["ip", "-6", "route"]).stdout
    assert "without an address it is a switch" in wire.a.l2wg("status", check=False).stdout
    done = wire.a.l2wg("event", "up", "br0")
    assert "sysctl -qw net/ipv4/conf/br0/arp_ignore=1" in done.stderr
    assert switches(wire.a) == SILENT and found(wire) == set()
    assert "sysctl" not in wire.a.l2wg("event", "up", "br0").stderr, "once is enough"
    assert wire.wired()


def test_somebody_who_enables_ipv6_everywhere_gets_no_route_by_it(wire):
    wire.a.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0")
    assert found(wire) == {"advertisement"}, "a link-local address of its own, until the next event"
    assert PREFIX not in addresses_of(wire) and wire.a.run(["ip", "-6", "route", "show", "default"]).stdout == ""
    wire.a.l2wg("event", "up", "br0")
    assert switches(wire.a) == SILENT


def test_from_the_first_moment_and_when_it_is_made_anew(wire):
    """By interfaces(5) alone: the hook, which would mend it, is out of the way."""
    wire.a.sh("mv /etc/network/if-up.d/l2wg /root/hook; ifdown br0; ifup br0 >/dev/null; mv /root/hook /etc/network/if-up.d/l2wg")
    assert switches(wire.a) == SILENT and addresses_of(wire) == ""
    wire.a.sh("ip link del br0; ifup --force br0")
    assert switches(wire.a) == SILENT
    wire.comes_back()
    assert found(wire) == set()


def test_an_address_that_is_asked_for_and_a_rollback(wire):
    wire.a.l2wg("set", "gretap1", "bridge-address=192.168.92.2/25")
    wire.a.l2wg("apply")
    wire.comes_back()
    own = ADDRESSES + ("192.168.92.2",)
    assert found(wire, own) == {"arp 192.168.92.2", "forwarded", "advertisement"}, "a link-local address is its own"
    assert PREFIX not in addresses_of(wire) and wire.a.run(["ip", "-6", "route", "show", "default"]).stdout == ""
    wire.a.l2wg("rollback")
    assert switches(wire.a) == SILENT
    wire.comes_back()
    assert found(wire, own) == set()


def test_an_ipv6_address_that_is_asked_for(wire):
    wire.a.l2wg("set", "gretap1", "bridge-address=fd00:92::2/64")
    wire.a.l2wg("apply")
    assert "fd00:92::2/64" in addresses_of(wire)
    wire.a.l2wg("rollback")
    assert switches(wire.a) == SILENT and addresses_of(wire) == ""


def test_who_is_there_by_hand_is_not_cut_off(wire):
    wire.a.sh("sysctl -qw " + OPEN + "; ip -6 address add 2001:db8:77::7/64 dev br0 nodad")
    wire.a.l2wg("event", "up", "br0")
    assert "2001:db8:77::7" in addresses_of(wire) and switches(wire.a)["ipv4/conf/br0/arp_ignore"] == "1"
    wire.a.sh("ip -6 address del 2001:db8:77::7/64 dev br0")
    wire.a.l2wg("event", "up", "br0")
    assert switches(wire.a) == SILENT


def test_a_bridge_that_is_ours_no_more_is_as_any_other(wire):
    wire.a.sh("cp /etc/l2wg/gretap1.conf /root/kept; sed -i 's/^bridge-ports.*/bridge-ports =/' /etc/l2wg/gretap1.conf")
    wire.a.l2wg("apply")
    assert switches(wire.a) == {"ipv4/conf/br0/arp_ignore": "0", "ipv4/conf/br0/rp_filter": "0", "ipv6/conf/br0/accept_ra": "1", "ipv6/conf/br0/disable_ipv6": "0"}
    # It is the admin's now: check tells, and its cure, taken to the letter, is the end of it.
    said = json.loads(wire.a.l2wg("check", "--json", "--passive", check=False).stdout)["problems"]
    (told,) = [problem for problem in said if problem["id"] == "bridge-answers"]
    wire.a.sh(told["hint"])
    assert switches(wire.a) == SILENT and found(wire) == set()
    said = json.loads(wire.a.l2wg("check", "--json", "--passive", check=False).stdout)["problems"]
    assert "bridge-answers" not in [problem["id"] for problem in said]
    wire.a.sh("rm /etc/sysctl.d/70-br0.conf; mv /root/kept /etc/l2wg/gretap1.conf")
    wire.a.l2wg("apply")
    wire.comes_back()
