#!/usr/bin/python3
"""A router with many tunnels, as its rules see it: inside a lab machine, in an empty network namespace, what they drop and count for whom.

    unshare -n python3 many_tunnels.py bridge|guard    prints JSON, {what was sent: what came of it}

The interfaces are veth(4) with the names of tunnels, WireGuard and LAN. packets.py is beside this file; l2wg is installed.
"""

import json
import socket
import struct
import subprocess
import sys
import time

from l2wg_hooks.model import Link, Tunnel
from l2wg_hooks.netfilter import nftables, nftables_state
from packets import BROADCAST, GRE, IP, IP6, LOCAL_EXPERIMENTAL, UDP, ethernet, gre, ip4, ip6, vxlan

BR0 = "52:54:00:00:00:01"
LAN, FIRST, SECOND, THIRD, NOBODY = ("02:00:00:00:00:%02x" % number for number in (1, 5, 6, 7, 99))
QUIET = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1"


def sh(script, given=""):
    return subprocess.run(["sh", "-ec", script], check=True, input=given, stdout=subprocess.PIPE, text=True).stdout


def load(tunnels, bridge=BR0):
    links = {"wg0": Link("wg0", 5, "wireguard", mtu=1420), "br0": Link("br0", 6, "bridge", mac=bridge)}
    entries = [nftables.entry(tunnel) for tunnel in tunnels]
    values = {tunnel.name: nftables.value(tunnel, links) for tunnel in tunnels}
    text = nftables.load(entries, values).rpartition("include ")[0] + nftables.render(entries)
    sh("nft -f /dev/stdin", text)


def grown(read, work):
    """What `work` returns, and {what: how much more `read` has of it afterwards}."""
    before = read()
    found = work()
    after = read()
    return found, {" ".join(key): count - before.get(key, 0) for key, count in after.items() if count != before.get(key, 0)}


# Table bridge

HUB = (
    Tunnel("gt1", "wg0", "10.0.0.1", "10.9.0.1", "br0"),
    Tunnel("gt2", "wg0", "10.0.0.1", "10.9.0.2", "br0", mtu=1300, dhcp="block"),
    Tunnel("gt3", "wg0", "10.0.0.1", "10.9.0.3", "br0", dhcp="block", vlans="untagged,10"),
    Tunnel("s1", "wg0", "10.0.0.1", "10.9.0.4", "br0", storm_limit=5, mss_clamp="off"),
    Tunnel("s2", "wg0", "10.0.0.1", "10.9.0.5", "br0", storm_limit=5, mss_clamp="off", dhcp="block"),
)
PORTS = [*(tunnel.name for tunnel in HUB), "lan"]


def tagged(frame, vlan, kind=0x8100):
    return frame[:12] + struct.pack("!HH", kind, vlan) + frame[12:]


def tcp(flags, mss):
    head = struct.pack("!HHIIBBHHH", 1000, 80, 1, 0, 6 << 4, flags, 1000, 0, 0)
    return head + struct.pack("!BBH", 2, 4, mss)


def datagram(port):
    return struct.pack("!HHHH", 1000, port, 48, 0) + b"x" * 40


class Bridge:
    def __init__(self):
        sh(f"{QUIET}; ip link add br0 address {BR0} type bridge; ip link set br0 up")
        sh("ip link add br9 type bridge; ip link set br9 up")
        for name in [*PORTS, "far"]:
            sh(f"ip link add {name} type veth peer name p{name}; ip link set {name} up; ip link set p{name} up")
            sh(f"ip link set {name} master {'br9' if name == 'far' else 'br0'}")
        load(HUB)
        self.ends = {}
        for name in [*PORTS, "far"]:
            self.ends[name] = end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            end.bind((f"p{name}", 0))
            end.setblocking(False)
        time.sleep(1)  # what the kernel says of links that have come up

    def heard(self):
        """{port: frames that came out of it}"""
        found = {}
        for name, end in self.ends.items():
            while True:
                try:
                    frame, sender = end.recvfrom(65536)
                except BlockingIOError:
                    break
                if sender[2] != socket.PACKET_OUTGOING:
                    found.setdefault(name, []).append(frame)
        return found

    def sent(self, source, *frames):
        self.heard()
        for frame in frames:
            self.ends[source].send(frame)
        time.sleep(0.3)
        return self.heard()

    def drops(self):
        return nftables_state.counters()

    def case(self, source, *frames):
        """[{reason and tunnel: frames dropped}, ports that have heard something]"""
        found, drops = grown(self.drops, lambda: self.sent(source, *frames))
        return [drops, sorted(found)]

    def clamped(self, source, frame):
        """{port: the MSS that came out of it}"""
        return {name: struct.unpack("!H", frames[0][-2:])[0] for name, frames in self.sent(source, frame).items()}

    def flood(self, source, target, own):
        """[frames dropped of 40, how many came out of each port]"""
        time.sleep(2)  # the limit has its burst again
        frame = ethernet(target, own, LOCAL_EXPERIMENTAL, b"\xa5" * 60)
        found, drops = grown(self.drops, lambda: self.sent(source, *[frame] * 40))
        return [drops, {name: len(frames) for name, frames in found.items()}]


def bridge():
    hub = Bridge()

    def unknown(source, target=BROADCAST):
        return ethernet(target, source, LOCAL_EXPERIMENTAL, b"\xa5" * 60)

    def dhcp(source):
        return ethernet(BROADCAST, source, IP, ip4("10.0.0.5", "255.255.255.255", UDP, datagram(67))[0])

    found = {
        "gt2's own, by the LAN": hub.case("lan", unknown(HUB[1].mac)),
        "s1's own, by gt3": hub.case("gt3", unknown(HUB[3].mac)),
        "the bridge's own": hub.case("gt1", unknown(BR0)),
        "gt2's own, in a bridge without tunnels": hub.case("far", unknown(HUB[1].mac)),
        "of the LAN": hub.case("lan", unknown(LAN)),
        "DHCP of the LAN": hub.case("lan", dhcp(LAN)),
        "DHCP of gt2": hub.case("gt2", dhcp(SECOND)),
        "DHCPv6 in a VLAN": hub.case("lan", tagged(ethernet(BROADCAST, LAN, IP6, ip6("fe80::1", "ff02::1", UDP, datagram(547))[0]), 10)),
        "a router's advertisement of gt3": hub.case("gt3", ethernet(BROADCAST, SECOND, IP6, ip6("fe80::1", "ff02::1", 58, b"\x86" + b"\0" * 23)[0])),
    }
    time.sleep(2)
    found["VLAN 10"] = hub.case("lan", tagged(unknown(LAN), 10))
    found["VLAN 20"] = hub.case("lan", tagged(unknown(LAN), 20))
    found["VLAN 20 of gt3"] = hub.case("gt3", tagged(unknown(SECOND), 20))
    for name, payload, kind in (("IPv4", ip4("10.0.0.5", "10.0.0.6", 6, tcp(2, 1460))[0], IP), ("IPv6", ip6("fd00::5", "fd00::6", 6, tcp(2, 1440))[0], IP6)):
        syn = ethernet(BROADCAST, LAN, kind, payload)
        time.sleep(2)
        found[f"MSS, {name}"] = hub.clamped("lan", syn)
        found[f"MSS, {name} in a VLAN"] = hub.clamped("lan", tagged(syn, 10))
    found["MSS, from gt1"] = hub.clamped("gt1", ethernet(BROADCAST, SECOND, IP, ip4("10.0.0.5", "10.0.0.6", 6, tcp(0x12, 1460))[0]))
    found["MSS, no SYN"] = hub.clamped("lan", ethernet(BROADCAST, LAN, IP, ip4("10.0.0.5", "10.0.0.6", 6, tcp(0x10, 1460))[0]))
    hub.sent("s1", unknown(FIRST))
    hub.sent("s2", unknown(THIRD))
    hub.sent("lan", unknown(LAN))
    found["flood: s1 to all"] = hub.flood("s1", BROADCAST, FIRST)
    found["flood: the LAN to all"] = hub.flood("lan", BROADCAST, LAN)
    found["flood: s1 to the LAN's station"] = hub.flood("s1", LAN, FIRST)
    found["flood: s1 to that of s2"] = hub.flood("s1", THIRD, FIRST)
    found["flood: the LAN to that of s1"] = hub.flood("lan", FIRST, LAN)
    found["flood: s1 to nobody"] = hub.flood("s1", NOBODY, FIRST)
    # As if the bridge had forgotten it: no station of its own lets a tunnel flood.
    sh("ip link set br0 type bridge ageing_time 0")
    found["flood: s1 to its own"] = hub.flood("s1", FIRST, NOBODY)
    return found


# Table inet

GUARDED = (
    Tunnel("gt1", "wg0", "10.0.0.1", "10.9.0.1", "br0"),
    Tunnel("gt2", "wg0", "10.0.0.1", "10.9.0.2", "br0", key=5),
    Tunnel("vx1", "wg0", "10.0.0.1", "10.9.0.1", "br0", encapsulation="vxlan", key=7),
    Tunnel("vx2", "wg0", "10.0.0.1", "10.9.0.2", "br0", encapsulation="vxlan", key=8),
    Tunnel("gt6", "wg0", "fd00::1", "fd09::1", "br0"),
    Tunnel("vx6", "wg0", "fd00::1", "fd09::2", "br0", encapsulation="vxlan", key=9),
)
ROUTER = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.accept_local=1
sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
ip link set lo up
for name in wg0 wan lan; do
    ip link add $name address 02:00:00:00:01:01 type veth peer name p$name
    ip link set $name up; ip link set p$name up
done
ip address add 10.0.0.1/24 dev lan; ip address add fd00::1/64 dev lan nodad; ip address add 192.0.2.1/24 dev wan
"""
WAY = """
ip route replace 10.9.0.0/24 dev {0}; ip -6 route replace fd09::/64 dev {0}
for far in 10.9.0.1 10.9.0.2 fd09::1 fd09::2; do ip neighbour replace $far dev {0} lladdr 02:00:00:00:00:09; done
"""


def guard():
    sh(ROUTER + WAY.format("wg0"))
    # Among three hundred more, which change nothing of this.
    load(GUARDED + tuple(Tunnel("more%d" % number, "wg0", "10.0.0.1", "10.8.%d.%d" % (number // 200, number % 200 + 1), "br0") for number in range(300)))
    frame = ethernet(BROADCAST, LAN, LOCAL_EXPERIMENTAL, b"x" * 60)
    found = {}

    def drops():
        return nftables_state._packets(sh("nft list table inet l2wg"))

    def tell(what, work):
        found[what] = grown(drops, work)[1]

    def by(interface, make, source, target, protocol, data, **how):
        kind = IP if make is ip4 else IP6
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as end:
            end.bind((f"p{interface}", 0))
            for part in make(source, target, protocol, data, **how):
                end.send(ethernet("02:00:00:00:01:01", "02:00:00:00:00:09", kind, part))
        time.sleep(0.2)

    def from_here(source, target, data, protocol=None, port=0):
        """As a program of this router sends it: raw, or a datagram."""
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM if protocol is None else socket.SOCK_RAW, protocol or 0) as end:
            end.bind((source, 0))
            try:
                end.sendto(data, (target, port))
            except PermissionError:  # what a rule drops on the way out is told to the sender
                pass

    def datagram_of(source, target, vni):
        return vxlan(source, target, frame, vni)

    four, six = "10.0.0.1", "fd00::1"
    for interface in ("wan", "lan", "wg0"):
        for what, make, source, target, protocol, data, how in (
            ("GRE", ip4, "10.9.0.1", four, GRE, gre(frame), {}),
            ("GRE with a key", ip4, "10.9.0.2", four, GRE, gre(frame, 5), {}),
            ("GRE in fragments", ip4, "10.9.0.1", four, GRE, gre(frame), {"cuts": (8, 40)}),
            ("GRE of nobody", ip4, "10.9.0.3", four, GRE, gre(frame), {}),
            ("GRE over IPv6", ip6, "fd09::1", six, GRE, gre(frame), {}),
            ("GRE over IPv6, extended", ip6, "fd09::1", six, GRE, gre(frame), {"headers": 2, "hop_by_hop": True}),
            ("VXLAN", ip4, "10.9.0.1", four, UDP, datagram_of("10.9.0.1", four, 7), {}),
            ("VXLAN with the other's VNI", ip4, "10.9.0.1", four, UDP, datagram_of("10.9.0.1", four, 8), {}),
            ("VXLAN of a stranger", ip4, "10.9.0.77", four, UDP, datagram_of("10.9.0.77", four, 8), {}),
            ("VXLAN with nobody's VNI", ip4, "10.9.0.1", four, UDP, datagram_of("10.9.0.1", four, 99), {}),
            ("VXLAN over IPv6, its VNI in no fragment", ip6, "fd09::2", six, UDP, datagram_of("fd09::2", six, 9), {"cuts": (8,)}),
            ("VXLAN over IPv6", ip6, "fd09::2", six, UDP, datagram_of("fd09::2", six, 9), {"headers": 1}),
        ):
            tell(f"{interface}: {what}", lambda: by(interface, make, source, target, protocol, data, **how))  # called at once
    tell("forwarded: GRE", lambda: by("lan", ip4, four, "10.9.0.1", GRE, gre(frame)))
    tell("forwarded: GRE over IPv6", lambda: by("lan", ip6, six, "fd09::1", GRE, gre(frame)))
    tell("forwarded: VXLAN", lambda: by("lan", ip4, four, "10.9.0.1", UDP, datagram_of(four, "10.9.0.1", 7)))
    tell("forwarded: TCP", lambda: by("lan", ip4, four, "10.9.0.1", 6, tcp(2, 1460)))
    for way in ("wg0", "wan"):
        sh(WAY.format(way))
        tell(f"out by {way}: GRE", lambda: from_here(four, "10.9.0.1", gre(frame), GRE))
        tell(f"out by {way}: GRE over IPv6", lambda: from_here(six, "fd09::1", gre(frame), GRE))
        tell(f"out by {way}: VXLAN", lambda: from_here(four, "10.9.0.2", struct.pack("!II", 8 << 24, 8 << 8) + frame, port=4789))
        tell(f"out by {way}: VXLAN over IPv6", lambda: from_here(six, "fd09::2", struct.pack("!II", 8 << 24, 9 << 8) + frame, port=4789))
        tell(f"out by {way}: UDP", lambda: from_here(four, "10.9.0.2", b"x" * 60, port=53))
    sh(WAY.format("wg0"))
    tell("out: the admin's GRE, without Ethernet", lambda: from_here(four, "10.9.0.1", gre(b"x" * 40, kind=IP), GRE))
    tell("out: the admin's GRE, with a key", lambda: from_here(four, "10.9.0.1", gre(frame, 9), GRE))
    tell("out: the admin's VXLAN", lambda: from_here(four, "10.9.0.1", struct.pack("!II", 8 << 24, 99 << 8) + frame, port=4789))
    return found


if __name__ == "__main__":
    print(json.dumps({"bridge": bridge, "guard": guard}[sys.argv[1]]()))
