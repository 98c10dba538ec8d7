"""What crosses the wire, how large, and what the fences keep at home."""

import json
import os
import re
import struct
from pathlib import Path

import pytest
from hosts import BROADCAST, eventually, mac_bytes
from sites import Pair

FRAMES = Path(__file__).resolve().parents[1] / "frames.py"
LLDP, PAE = "01:80:c2:00:00:0e", "01:80:c2:00:00:03"
SOURCE = "02:00:00:00:99:01"


@pytest.fixture(scope="module")
def wired(vm):
    """As everywhere, with IPv6 inside WireGuard, too: fd00:15::1 and ::2 are wg0's addresses."""
    pair = Pair(vm).fresh()
    pair.wireguard()
    vm.put("/root/frames.py", FRAMES.read_bytes())
    pair.configure()
    for site, own, peer in ((pair.a, 2, 1), (pair.b, 1, 2)):
        site.sh(
            f"set -e; ip address add fd00:15::{own}/64 dev wg0 nodad;"
            f" peer=$(wg show wg0 peers); now=$(wg show wg0 allowed-ips | cut -f2 | tr ' ' ,); wg set wg0 peer $peer allowed-ips $now,fd00:15::{peer}/128;"
            " cp /etc/l2wg/gretap1.conf /root/good"
        )
    for host in (pair.device, pair.host_b):
        host.sh("sysctl -qw net.ipv4.tcp_timestamps=0; ethtool -K eth0 tx off 2>/dev/null; :")
    pair.device.sh("ip address add fd00:92::50/64 dev eth0 nodad")
    pair.host_b.sh("ip address add fd00:92::10/64 dev eth0 nodad")
    pair.comes_back()
    return pair


def wish(pair, *lines, a=(), b=(), ends=None):
    """The reference's wish with other lines on both sites, or on one; `ends` are A's and B's ends of the tunnel."""

    def work(site):
        more = lines + (a if site is pair.a else b)
        local, remote = (ends if site is pair.a else reversed(ends)) if ends else (None, None)
        change = f"s/^local.*/local = {local}/; s/^remote.*/remote = {remote}/" if ends else ""
        site.sh(f"sed '{change}' /root/good >/etc/l2wg/gretap1.conf; printf '%s\\n' {' '.join(repr(line) for line in more)} >>/etc/l2wg/gretap1.conf")
        site.l2wg("up", "wg0", "--strict")

    pair.both(work)


@pytest.fixture
def wire(wired):
    """Wired up, and after the test as the reference has it."""
    yield wired
    wish(wired)


def heard(source, listener, frames, seconds=2.5, over=0.0):
    """{name: [frames that `listener` got]} of {name: frame that `source` sends once}; a frame is known by its token.

    Where all have come, a second more is for what comes twice.
    """
    number = os.urandom(4).hex()
    ready = f"/tmp/ear-{number}"
    tokens = {name: token_of(frame) for name, frame in frames.items()}
    ear = listener.start(["python3", "/root/frames.py", "listen", 1.5 + seconds + over, ready, 1], timeout=60, input="\n".join(tokens.values()))
    source.run(["python3", "/root/frames.py", "send", ready, over], input="\n".join(frame.hex() for frame in frames.values()), timeout=60)
    got = json.loads(ear.wait().check().stdout)
    return {name: [bytes.fromhex(text) for text in got[token]] for name, token in tokens.items()}


def token_of(frame):
    """The last 8 bytes, which `payload` made unique."""
    return frame[-8:].hex()


def payload(size):
    return os.urandom(8).rjust(size, b"\xa5")


def tagged(target, *tags, size=1500, source=SOURCE):
    """An unknown kind of frame below so many (EtherType, VLAN) tags."""
    below = b"".join(struct.pack("!HH", kind, vlan) for kind, vlan in tags)
    return mac_bytes(target) + mac_bytes(source) + below + struct.pack("!H", 0x88B5) + payload(size)


def udp(port, size=60, version=4):
    inside = struct.pack("!HHHH", 40000, port, 8 + size, 0) + payload(size)
    return ip(17, inside, version)


def ip(protocol, inside, version):
    if version == 4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(inside), 1, 0, 64, protocol, 0, b"\x0a\0\0\1", b"\xff\xff\xff\xff")
        return mac_bytes(BROADCAST) + mac_bytes(SOURCE) + b"\x08\x00" + head + inside
    head = struct.pack("!IHBB16s16s", 6 << 28, len(inside), protocol, 255, b"\xfe\x80" + b"\0" * 13 + b"\1", b"\xff\x02" + b"\0" * 13 + b"\1")
    return mac_bytes("33:33:00:00:00:01") + mac_bytes(SOURCE) + b"\x86\xdd" + head + inside


def icmp(kind, version):
    return ip(1 if version == 4 else 58, struct.pack("!BBH", kind, 0, 0) + payload(32), version)


def in_vlan(frame, vlan):
    return frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:]


def full_size(target=BROADCAST):
    return {
        "unknown kind": tagged(target),
        "802.1Q": tagged(target, (0x8100, 42)),
        # The host's own socket takes no more; test_full_size_qinq_crosses does.
        "QinQ": tagged(target, (0x88A8, 7), (0x8100, 42), size=1492),
        "LLC": mac_bytes(target) + mac_bytes(SOURCE) + struct.pack("!H", 100) + payload(100),
    }


def all_crosses(pair):
    """Frames of full size, both ways: raw ones, IPv4 and IPv6 with DF and in fragments."""
    for source, listener in ((pair.device, pair.host_b), (pair.host_b, pair.device)):
        sent = full_size()
        got = heard(source, listener, sent)
        assert {name: [frame[: len(sent[name])] for frame in found] for name, found in got.items()} == {name: [frame] for name, frame in sent.items()}
    for words in (("-M", "do", "-s", "1472", "192.168.92.10"), ("-s", "4000", "192.168.92.10"), ("-M", "do", "-s", "1452", "fd00:92::10"), ("-s", "4000", "fd00:92::10")):

        def answers(words=words):
            return " 0% packet loss" in pair.device.run(["ping", "-n", "-q", "-c", "2", "-i", "0.3", "-W", "3", *words], check=False).stdout

        eventually(answers, 15)


def test_full_size_frames_cross_a_small_underlay(wire):
    all_crosses(wire)
    wire.both(lambda site: site.sh("ip link set wg0 mtu 1280; l2wg up wg0"))
    try:
        all_crosses(wire)
    finally:
        wire.both(lambda site: site.sh("ip link set wg0 mtu 1420; l2wg up wg0"))


def test_full_size_qinq_crosses(wire):
    """Two tags on top of 1500 bytes."""
    for host, last in ((wire.device, 50), (wire.host_b, 10)):
        host.sh(
            "ip link add link eth0 name outer type vlan proto 802.1ad id 7; ip link set outer up;"
            f" ip link add link outer name inner type vlan id 42; ip link set inner up; ip address add 10.7.0.{last}/24 dev inner"
        )
    try:
        eventually(lambda: wire.device.ping("10.7.0.10", size=1472, fragment=False), 15)
    finally:
        for host in (wire.device, wire.host_b):
            host.run(["ip", "link", "del", "outer"])


V6 = ("fd00:15::2", "fd00:15::1")


ENCAPSULATIONS = [
    pytest.param(("key = 4000000000",), None, id="gretap with a key", marks=pytest.mark.long),
    pytest.param(("encapsulation = vxlan",), None, id="vxlan"),
    pytest.param(("encapsulation = vxlan", "key = 77"), V6, id="vxlan over IPv6", marks=pytest.mark.long),
    pytest.param((), V6, id="ip6gretap"),
    pytest.param(("key = 5",), V6, id="ip6gretap with a key", marks=pytest.mark.long),
]


@pytest.mark.parametrize("lines, ends", ENCAPSULATIONS)
def test_every_encapsulation_carries_all(wire, lines, ends):
    wish(wire, *lines, ends=ends)
    assert wire.a.l2wg("plan", check=False).rc == 0
    all_crosses(wire)
    # The packets of no other encapsulation need a policy route.
    assert ("4789:" in wire.a.sh("ip rule; ip -6 rule").stdout) == ("vxlan" in str(lines) or ends is not None)
    wish(wire)
    assert "4789:" not in wire.a.sh("ip rule; ip -6 rule").stdout
    assert wire.a.sh("ip -6 route show table all; ip route show table all").stdout.count("18152") == 0


@pytest.mark.parametrize("lines, ends", [pytest.param(("encapsulation = vxlan",), None, id="vxlan", marks=pytest.mark.long), pytest.param((), V6, id="ip6gretap")])
def test_policy_routes_of_an_older_version_are_exchanged_while_frames_cross(wire, lines, ends):
    """It had a rule and a table for each tunnel: the new ones come first, and no frame is lost."""
    wish(wire, *lines, ends=ends)
    site = wire.a
    ip = "ip -6" if ends else "ip"
    local, remote = ends or ("192.168.178.1", "192.168.92.1")
    number = re.search(r"lookup (\d+)", site.sh(f"{ip} rule show priority 4789").stdout).group(1)
    proto, everything = ("ipproto gre", "::/0") if ends else ("ipproto udp dport 4789", "0.0.0.0/0")
    mtu = re.search(r"mtu (\d+)", site.sh(f"{ip} route show table {number}").stdout).group(1)
    site.sh(
        f"{ip} route add unreachable {everything} table 1815238001 metric 4294967295 proto kernel;"
        f"{ip} route add {remote} dev wg0 table 1815238001 mtu {mtu} proto kernel;"
        f"{ip} rule add priority 4789 from {local} to {remote} {proto} table 1815238001 protocol kernel;"
        f"{ip} rule del priority 4789 from {local} {proto} table {number}; {ip} route flush table {number}"
    )
    all_crosses(wire)
    wire.device.sh("ping -n -q -i 0.1 -w 120 -M do -s 1472 192.168.92.10 >/root/ping 2>&1 </dev/null & echo $! >/root/ping.pid; sleep 2")
    assert "rule del priority 4789" in site.l2wg("up", "wg0", "--strict").stderr
    wire.device.sh("sleep 2; kill -INT $(cat /root/ping.pid); while kill -0 $(cat /root/ping.pid) 2>/dev/null; do sleep 0.1; done")
    said = wire.device.sh("cat /root/ping").stdout
    assert " 0% packet loss" in said, said
    assert site.sh(f"{ip} rule show priority 4789").stdout.count("lookup") == 1 and "1815238001" not in site.sh(f"{ip} rule; {ip} route show table all").stdout
    assert site.l2wg("plan", check=False).rc == 0
    all_crosses(wire)


def test_a_change_makes_that_tunnel_again_and_no_other(wire):
    site = wire.a
    site.sh("sed 's/^bridge-ports.*//; s/^bridge-address.*//' /root/good >/etc/l2wg/other.conf; echo 'key = 9' >>/etc/l2wg/other.conf; l2wg up wg0 --strict")
    try:
        before = site.links()
        site.sh("echo 'encapsulation = vxlan' >>/etc/l2wg/other.conf; l2wg up wg0 --strict")
        after = site.links()
        assert after["gretap1"]["ifindex"] == before["gretap1"]["ifindex"]
        assert (before["other"]["linkinfo"]["info_kind"], after["other"]["linkinfo"]["info_kind"]) == ("gretap", "vxlan")
        assert wire.wired()
    finally:
        site.sh("rm /etc/l2wg/other.conf; l2wg up wg0")
    assert "other" not in site.links()


def test_link_local_frames_cross_on_request(wire):
    sent = {name: mac_bytes(target) + mac_bytes(SOURCE) + kind + payload(60) for name, target, kind in (("LLDP", LLDP, b"\x88\xcc"), ("802.1X", PAE, b"\x88\x8e"))}
    assert not any(heard(wire.device, wire.host_b, sent).values())
    wish(wire, "link-local = yes")
    for source, listener in ((wire.device, wire.host_b), (wire.host_b, wire.device)):
        assert all(heard(source, listener, sent).values())


SERVER = """
import socket
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("::", 5000)); s.listen(5)
open("/tmp/serves-%s", "w").close()
for _ in range(%d):
    c, a = s.accept(); c.send(b"%%d\\n" %% c.getsockopt(6, 2)); c.close()
"""
CLIENT = """
import socket, sys
for a in sys.argv[1:]:
    c = socket.create_connection((a, 5000), 10); seen = c.makefile().readline().strip(); print(seen, c.getsockopt(6, 2)); c.close()
"""


def mss(pair, listener, *addresses):
    """For each address of `listener`, what it and the device think to be the MSS of their connection (TCP_MAXSEG, tcp(7))."""
    number = os.urandom(4).hex()
    server = listener.start(["python3", "-c", SERVER % (number, len(addresses))], timeout=90)
    pair.vm.sh(f"until [ -e /tmp/serves-{number} ] || [ -e {getattr(listener, 'root', '')}/tmp/serves-{number} ]; do sleep 0.1; done")
    out = pair.device.run(["python3", "-c", CLIENT, *addresses], timeout=60).stdout
    server.wait().check()
    return [tuple(int(word) for word in line.split()) for line in out.splitlines()]


def vlan_42(pair):
    for host, last in ((pair.device, 50), (pair.host_b, 10)):
        host.sh(
            "ip link add link eth0 name eth0.42 type vlan id 42; ip link set eth0.42 up;"
            f" ip address add 10.42.0.{last}/24 dev eth0.42; ip address add fd00:42::{last}/64 dev eth0.42 nodad"
        )


def test_tcp_is_clamped_to_what_fits(wire):
    """FACTS, Arithmetic: wg0 1420 - 38 = 1382; with a tag or a key 4 less. IPv4 and IPv6, both directions."""
    vlan_42(wire)
    everywhere = ("192.168.92.10", "fd00:92::10", "10.42.0.10", "fd00:42::10")
    try:
        assert mss(wire, wire.host_b, *everywhere) == [(1342, 1342), (1322, 1322), (1338, 1338), (1318, 1318)]
        # The router's own TCP, which FORWARD of a bridge never sees.
        assert mss(wire, wire.b, "192.168.92.1") == [(1342, 1342)]
        wish(wire, "key = 3")
        assert mss(wire, wire.host_b, *everywhere[:2]) == [(1338, 1338), (1318, 1318)]
        wish(wire, "encapsulation = vxlan")
        assert mss(wire, wire.host_b, *everywhere[:2]) == [(1330, 1330), (1310, 1310)]
        wish(wire, ends=V6)
        assert mss(wire, wire.host_b, *everywhere[:2]) == [(1322, 1322), (1302, 1302)]
        wish(wire)
        wire.both(lambda site: site.sh("ip link set wg0 mtu 1280; l2wg up wg0"))
        assert mss(wire, wire.host_b, *everywhere[:2]) == [(1202, 1202), (1182, 1182)]
        wire.both(lambda site: site.sh("ip link set wg0 mtu 1420; l2wg up wg0"))
        # The guard taken out: the probe sees what hosts say to one another without it.
        wish(wire, "mss-clamp = off")
        assert mss(wire, wire.host_b, *everywhere) == [(1460, 1460), (1440, 1440), (1460, 1460), (1440, 1440)]
        assert not wire.a.exists("/proc/sys/net/bridge"), "br_netfilter is not needed"
    finally:
        for host in (wire.device, wire.host_b):
            host.run(["ip", "link", "del", "eth0.42"])
        wire.both(lambda site: site.sh("ip link set wg0 mtu 1420; l2wg up wg0"))


def test_one_clamping_router_is_enough(wire):
    wish(wire, b=("mss-clamp = off",))
    assert mss(wire, wire.host_b, "192.168.92.10", "fd00:92::10") == [(1342, 1342), (1322, 1322)]


def test_fences_against_dhcp(wire):
    home = {
        "DHCPv4 request": udp(67),
        "DHCPv4 answer": udp(68),
        "DHCPv6 request": udp(547, version=6),
        "DHCPv6 answer": udp(546, version=6),
        "router advertisement": icmp(134, 6),
        "redirect": icmp(137, 6),
        "IPv4 redirect": icmp(5, 4),
        "tagged DHCPv4": in_vlan(udp(67), 42),
        "tagged router advertisement": in_vlan(icmp(134, 6), 42),
    }
    away = {
        "DNS": udp(53),
        "DNS over IPv6": udp(53, version=6),
        "UDP 547 over IPv4": udp(547),
        "router solicitation": icmp(133, 6),
        "neighbour solicitation": icmp(135, 6),
        "echo": icmp(8, 4),
        "unknown kind": tagged(BROADCAST),
        "tagged DNS": in_vlan(udp(53), 42),
    }
    assert all(heard(wire.host_b, wire.device, {**home, **away}).values()), "without the fence all passes"
    wish(wire, a=("dhcp = block",))
    for source, listener in ((wire.host_b, wire.device), (wire.device, wire.host_b)):
        got = {name for name, found in heard(source, listener, {**home, **away}).items() if found}
        assert got == set(away)


@pytest.mark.long
def test_fences_of_vlans(wire):
    sent = {f"VLAN {vlan}": tagged(BROADCAST, (0x8100, vlan)) for vlan in (9, 10, 11, 30, 34, 39, 40)}
    sent["untagged"] = tagged(BROADCAST)
    assert all(heard(wire.host_b, wire.device, sent).values())
    for lines, passes in (
        ("vlans = 10,30-39", {"VLAN 10", "VLAN 30", "VLAN 34", "VLAN 39"}),
        ("vlans = untagged, 11", {"untagged", "VLAN 11"}),
        ("vlans = untagged", {"untagged"}),
    ):
        wish(wire, a=(lines,))
        for source, listener in ((wire.host_b, wire.device), (wire.device, wire.host_b)):
            assert {name for name, found in heard(source, listener, sent).items() if found} == passes
    assert wire.host_a.ping("192.168.178.1") == 1, "the LAN does not notice"


def test_a_bridge_that_filters_vlans(wire):
    """The admin's own: the tunnel is a port that carries all VLANs."""
    site = wire.b
    site.sh("ip link set br0 type bridge vlan_filtering 1; bridge vlan add dev enp2s0 vid 42")
    try:
        sent = {"untagged": tagged(BROADCAST), "VLAN 42": tagged(BROADCAST, (0x8100, 42))}
        assert not heard(wire.host_b, wire.device, sent)["VLAN 42"], "the bridge keeps it from a port that has no VLANs"
        site.sh("ip link set gretap1 nomaster; l2wg up wg0 --strict")
        assert all(heard(wire.host_b, wire.device, sent).values())
    finally:
        site.sh("ip link set br0 type bridge vlan_filtering 0; bridge vlan del dev enp2s0 vid 42")


def test_an_isolated_tunnel_does_not_feed_another_isolated_port(wire):
    """Two tunnels into one bridge, as in a hub with two branches; here the other one is a wire."""
    site = wire.b
    wire.vm.sh("ip netns add branch; ip link add eth0 netns branch type veth peer name branch0 netns B; ip -n branch link set eth0 up")
    site.sh("ip link set branch0 master br0 up; ip link set branch0 type bridge_slave isolated on")
    branch = type(wire.device)(wire.vm, "branch")
    try:
        assert heard(branch, wire.device, {"frame": tagged(BROADCAST)})["frame"]
        wish(wire, b=("isolated = yes",))
        assert not heard(branch, wire.device, {"frame": tagged(BROADCAST)})["frame"]
        assert wire.wired(), "ports that are not isolated go on"
    finally:
        wire.vm.sh("ip netns del branch")


def flood(count, target=BROADCAST):
    """`count` frames with the same token: {"frame": ...} for one is not enough."""
    frame = tagged(target, size=100)
    return {number: frame for number in range(count)}


def counted(source, listener, target, over=2.0, count=200):
    """How many of 200 frames arrive that are sent within two seconds."""
    return len(heard(source, listener, flood(count, target), over=over)[0])


@pytest.mark.long
def test_storms_are_limited_and_conversations_are_not(wire):
    known = address_of(wire.device)
    assert counted(wire.host_b, wire.device, BROADCAST) == 200, "the probe sees all of them"
    wish(wire, a=("storm-limit = 20",))
    assert wire.device.ping("192.168.92.10", count=2) == 2
    for target in (BROADCAST, "01:00:5e:00:00:fb", "02:00:00:00:77:77"):
        # 20 at once, and 20 a second for two seconds; the clocks of an emulated machine are not exact.
        assert 20 <= counted(wire.host_b, wire.device, target) <= 120
        assert 20 <= counted(wire.device, wire.host_b, target) <= 120
    assert counted(wire.host_b, wire.device, known) == 200
    assert wire.a.l2wg("plan", check=False).rc == 0, "stations that come and go are no change of the rules"
    assert "storm-limit" in wire.a.l2wg("check", check=False).stderr


def address_of(host):
    return re.search(r"link/ether (\S+)", host.run(["ip", "link", "show", "eth0"]).stdout).group(1)


def test_a_loop_is_seen_and_limited(wire):
    """FACTS 16: a second layer 2 path. One broadcast frame goes round for ever, as fast as the machine can."""

    def path(word):
        if word == "cut":
            wire.a.run(["ip", "link", "del", "loop0"])
        else:
            wire.vm.sh("ip link add loop0 netns A type veth peer name loop0 netns B")
            for site in wire.sites:
                site.sh("ip link set loop0 master br0 up")

    def rate():
        """Frames a second that leave A by the tunnel, of one broadcast that nobody repeats."""
        wire.device.run(["python3", "/root/frames.py", "send", "/root/frames.py"], input=tagged(BROADCAST, size=100).hex())
        look = "cat /sys/class/net/gretap1/statistics/tx_packets; cut -d' ' -f1 /proc/uptime"
        out = wire.a.sh(f"{look}; sleep 3; {look}").stdout.split()
        return (int(out[2]) - int(out[0])) / (float(out[3]) - float(out[1]))

    # A network namespace is not heard in the kernel's log otherwise.
    wire.vm.sh("sysctl -qw net.netfilter.nf_log_all_netns=1; dmesg -C")
    assert wire.a.l2wg("check", check=False).rc == 0, "no loop is reported where none is"
    assert rate() < 20
    path("made")
    try:
        assert rate() > 200, "the probe sees the storm"
        wish(wire, "storm-limit = 50")
        assert rate() < 150
        assert wire.a.ping("10.15.14.1", count=5) >= 4, "the routers are usable"
        said = wire.a.l2wg("check", check=False)
        assert said.rc == 1 and "a loop" in said.stderr and "hint:" in said.stderr
        assert "l2wg: loop: own frame of br0 (gretap1) came back" in wire.vm.sh("dmesg").stdout
        wish(wire)
    finally:
        path("cut")
    eventually(lambda: wire.a.l2wg("check", check=False).rc == 0 or wire.a.sh("nft flush ruleset; l2wg up wg0"), 60)


@pytest.mark.long
def test_stp_ends_a_loop(wire):
    """Site A's bridge is ours; site B's admin turns STP on where br0 is defined."""
    wire.b.sh("ip link set br0 type bridge stp_state 1")
    wish(wire, a=("stp = yes",))
    try:
        assert wire.a.links()["br0"]["linkinfo"]["info_data"]["stp_state"] == 1
        wire.vm.sh("ip link add loop0 netns A type veth peer name loop0 netns B")
        for site in wire.sites:
            site.sh("ip link set loop0 master br0 up")
        states = "for site in A B; do ip netns exec $site bridge link; done"
        eventually(lambda: "state blocking" in wire.vm.sh(states).stdout and "listening" not in wire.vm.sh(states).stdout, 90)
        eventually(wire.wired, 60)
    finally:
        wire.a.run(["ip", "link", "del", "loop0"])
        wire.b.sh("ip link set br0 type bridge stp_state 0")
        wish(wire, a=("stp = no",))
        eventually(wire.wired, 60)


@pytest.mark.long
def test_iptables_clamps_forwarded_tcp(wire):
    """The classic way, on this bridge only."""
    site = wire.a
    bystander = "ip link add bystander type bridge; ip link set bystander up"
    site.sh(bystander)
    site.sh("iptables -t mangle -A FORWARD -s 192.0.2.1 -j ACCEPT")
    wish(wire, a=("mss-clamp = iptables",), b=("mss-clamp = off",))
    try:
        assert mss(wire, wire.host_b, "192.168.92.10", "fd00:92::10") == [(1342, 1342), (1322, 1322)]
        assert site.l2wg("plan", check=False).rc == 0
        found = site.sh("sysctl -n net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables; iptables -t mangle -S").stdout
        assert found.split()[:2] == ["0", "0"]
        assert "-A FORWARD -s 192.0.2.1/32 -j ACCEPT" in found
        info = site.links()
        assert info["br0"]["linkinfo"]["info_data"]["nf_call_iptables"] == 1
        assert info["bystander"]["linkinfo"]["info_data"]["nf_call_iptables"] == 0
        # Rules that somebody flushed come back.
        site.sh("iptables -t mangle -F; ip6tables -t mangle -F; l2wg up wg0 --strict")
        assert mss(wire, wire.host_b, "192.168.92.10") == [(1342, 1342)]
    finally:
        wish(wire)
    assert "l2wg" not in site.sh("iptables -t mangle -S; ip6tables -t mangle -S").stdout
    assert site.links()["br0"]["linkinfo"]["info_data"]["nf_call_iptables"] == 0
    site.sh("ip link del bystander")


@pytest.mark.long
def test_allowed_ips_that_do_not_cover_the_remote_end_are_told_of(wire):
    assert wire.a.l2wg("check", check=False).rc == 0
    was = wire.a.sh("wg show wg0 allowed-ips").stdout.split("\t")[1].split()
    wire.a.sh("wg set wg0 peer $(wg show wg0 peers) allowed-ips 10.15.14.0/24")
    said = wire.a.l2wg("check", check=False)
    wire.a.sh(f"wg set wg0 peer $(wg show wg0 peers) allowed-ips {','.join(was)}")
    assert said.rc == 1
    assert "/etc/l2wg/gretap1.conf:" in said.stderr and "remote: AllowedIPs of no peer of wg0 cover 192.168.92.1" in said.stderr
    assert "AllowedIPs = 10.15.14.0/24, 192.168.92.1/32" in said.stderr
    wire.comes_back()
