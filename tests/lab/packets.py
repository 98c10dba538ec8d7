"""Packets as somebody outside would build them, and the probe that sends them inside a lab machine and listens for what comes out.

As a program it walks: it reads phases (JSON, made by `Walk`) from stdin, runs the command of each, and sends frames meanwhile and once
more afterwards. It is one process, since starting Python takes a second there. A frame is known again by the marks in it, which tell
its phase and its name: encryption hides them, and nothing else does.
"""

import ctypes
import ipaddress
import json
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time

ARP, IP, IP6, LOCAL_EXPERIMENTAL, TRANSPARENT_ETHERNET = 0x0806, 0x0800, 0x86DD, 0x88B5, 0x6558
HOP_BY_HOP, UDP, FRAGMENT, GRE, ICMP6, DESTINATION = 0, 17, 44, 47, 58, 60
VXLAN_PORT = 4789
BROADCAST, OUTSIDER = "ff:ff:ff:ff:ff:ff", "02:00:00:00:66:66"
MARK = re.compile(rb"l2wg<([0-9]+):([^<>]+)>")

EVERY, SETTLE, PATIENCE = 0.12, 0.15, 60.0  # seconds between two rounds, after the last one, and for a phase


def ethernet(target: str, source: str, kind: int, payload: bytes) -> bytes:
    return bytes.fromhex(f"{target}{source}".replace(":", "")) + struct.pack("!H", kind) + payload


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def gre(payload: bytes, key=None, sequence=None, kind=TRANSPARENT_ETHERNET) -> bytes:
    flags = (0x2000 if key is not None else 0) | (0x1000 if sequence is not None else 0)
    return struct.pack("!HH", flags, kind) + b"".join(struct.pack("!I", field) for field in (key, sequence) if field is not None) + payload


def vxlan(source: str, target: str, frame: bytes, vni: int, port=VXLAN_PORT) -> bytes:
    """The UDP datagram."""
    data = struct.pack("!II", 0x08000000, vni << 8) + frame
    head = struct.pack("!HHH", random.randrange(32768, 61000), port, 8 + len(data))
    pseudo = packed(source) + packed(target) + struct.pack("!II", 8 + len(data), UDP)
    return head + struct.pack("!H", checksum(pseudo + head + b"\0\0" + data) or 0xFFFF) + data


def pieces(data: bytes, cuts) -> list:
    """(offset, part, whether more follows); a cut is a multiple of 8."""
    edges = [0, *cuts, len(data)]
    return [(start, data[start:end], end != len(data)) for start, end in zip(edges, edges[1:])]


def ip4(source: str, target: str, protocol: int, payload: bytes, options=b"", cuts=()) -> list:
    """The packet as a list of fragments, of which there is one without `cuts`."""
    number, packets = random.randrange(1, 1 << 16), []
    for start, part, more in pieces(payload, cuts):
        size, place = 20 + len(options), (0x2000 if more else 0) | start // 8
        head = bytearray(struct.pack("!BBHHHBBH", 0x40 + size // 4, 0, size + len(part), number, place, 64, protocol, 0))
        head += packed(source) + packed(target) + options
        struct.pack_into("!H", head, 10, checksum(bytes(head)))
        packets.append(bytes(head) + part)
    return packets


def options6(following: int) -> bytes:
    """An extension header of hop-by-hop or destination options: 8 bytes, all padding."""
    return struct.pack("!BBBB4x", following, 0, 1, 4)


def ip6(source: str, target: str, protocol: int, payload: bytes, headers=0, cuts=(), hop_by_hop=False) -> list:
    """The same for IPv6, with so many headers of destination options before the payload."""
    kinds = [DESTINATION] * headers + [protocol]
    rest = b"".join(options6(kind) for kind in kinds[1:]) + payload
    number, packets = random.randrange(1 << 32), []
    for start, part, more in pieces(rest, cuts):
        first = kinds[0]
        if cuts:
            part, first = struct.pack("!BBHI", first, 0, start | more, number) + part, FRAGMENT
        if hop_by_hop:
            part, first = options6(first) + part, HOP_BY_HOP
        packets.append(struct.pack("!IHBB", 6 << 28, len(part), first, 64) + packed(source) + packed(target) + part)
    return packets


def overlapping(packets: list) -> list:
    """Fragments of IPv4, each but the last made longer by 8 bytes of junk that the next one covers: the last fragment first."""
    longer = []
    for packet in packets[:-1]:
        head = bytearray(packet[:20])
        struct.pack_into("!H", head, 2, len(packet) + 8)
        struct.pack_into("!H", head, 10, 0)
        struct.pack_into("!H", head, 10, checksum(bytes(head)))
        longer.append(bytes(head) + packet[20:] + b"\xa5" * 8)
    return [*longer, packets[-1]][::-1]


# What one host says to its neighbours


def icmp6(source: str, target: str, body: bytes) -> bytes:
    """The packet of an ICMPv6 message (without its checksum in the bytes 2 and 3), as a neighbour sends it: hop limit 255."""
    pseudo = packed(source) + packed(target) + struct.pack("!II", len(body), ICMP6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), ICMP6, 255) + packed(source) + packed(target) + body


def link_local(mac: str) -> str:
    raw = bytearray.fromhex(mac.replace(":", ""))
    raw[0] ^= 2
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes(raw[:3]) + b"\xff\xfe" + bytes(raw[3:])))


def advertisement(mac: str, prefix: str) -> bytes:
    """The frame with which a router advertises itself and a prefix of 64 bits to all (RFC 4861, 4.2; RFC 4862, 5.5.3)."""
    head = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    link = struct.pack("!BB", 1, 1) + bytes.fromhex(mac.replace(":", ""))
    info = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + packed(prefix)
    return ethernet("33:33:00:00:00:01", mac, IP6, icmp6(link_local(mac), "ff02::1", head + link + info))


def solicitation(mac: str, target: str) -> bytes:
    """The frame that asks who has an IPv6 address (RFC 4861, 4.3), sent to all, so that nobody misses it."""
    link = struct.pack("!BB", 1, 1) + bytes.fromhex(mac.replace(":", ""))
    body = struct.pack("!BBHI", 135, 0, 0, 0) + packed(target) + link
    return ethernet("33:33:00:00:00:01", mac, IP6, icmp6(link_local(mac), "ff02::1", body))


def arp_request(mac: str, source: str, target: str) -> bytes:
    """The frame that asks who has an IPv4 address (RFC 826); a `source` of 0.0.0.0 probes for it (RFC 5227)."""
    own = bytes.fromhex(mac.replace(":", ""))
    body = struct.pack("!HHBBH", 1, IP, 6, 4, 1) + own + packed(source) + bytes(6) + packed(target)
    return ethernet(BROADCAST, mac, ARP, body).ljust(60, b"\0")


# The walk, on the side of the tests


class Walk:
    """Phases, then run() of them all. `frames(mark)` gives the (namespace, interface, frame) to send; `mark(name, size)` makes the payload
    by which one is known again."""

    def __init__(self, vm, frames, ears: dict) -> None:
        self.vm, self.frames, self.ears, self.phases = vm, frames, ears, []

    def phase(self, name: str, host=None, script="", until=None) -> None:
        """`until`, an ear and the start of a name, is what has to be heard before the walk goes on."""
        number = len(self.phases)
        frames = self.frames(lambda what, size=50: (f"l2wg<{number}:{what}>".encode() * size)[:size])
        self.phases.append(
            {
                "name": name,
                "argv": host.argv(["sh", "-ec", script]) if script else [],
                "until": until,
                "frames": [(namespace, interface, frame.hex()) for namespace, interface, frame in frames],
            }
        )

    def run(self) -> dict:
        """name of the phase -> {ear: names that it heard}."""
        work = json.dumps({"ears": self.ears, "phases": self.phases})
        result = self.vm.run(["python3", "/root/packets.py"], input=work, timeout=60 + 20 * len(self.phases))
        print(result.stderr)  # what each took, for whom a test fails
        return {name: {ear: set(heard) for ear, heard in ears.items()} for name, ears in json.loads(result.stdout).items()}


# The walk, inside the machine


def port(namespace: str, interface: str, kind=0) -> socket.socket:
    with open(f"/run/netns/{namespace}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.bind((interface, kind))
    return opened


class Probe:
    def __init__(self, ears: dict) -> None:
        self.ears = {port(*where, 0x0003): name for name, where in ears.items()}  # ETH_P_ALL
        self.mouths = {}
        self.heard = {}  # (number of the phase, ear) -> names

    def listen(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select(list(self.ears), [], [], max(0, deadline - time.monotonic()))
            for ear in ready:
                frame, sender = ear.recvfrom(65536)
                if sender[2] != socket.PACKET_OUTGOING:
                    for number, name in set(MARK.findall(frame)):
                        self.heard.setdefault((int(number), self.ears[ear]), set()).add(name.decode())
            if time.monotonic() >= deadline:
                return

    def send(self, frames) -> None:
        for namespace, interface, frame in frames:
            try:
                if (namespace, interface) not in self.mouths:
                    self.mouths[namespace, interface] = port(namespace, interface)
                self.mouths[namespace, interface].send(bytes.fromhex(frame))
            except OSError:  # the interface is down, or not there: a state like others
                self.mouths.pop((namespace, interface), None)

    def hears(self, number: int, until) -> bool:
        return not until or any(name.startswith(until[1]) for name in self.heard.get((number, until[0]), ()))

    def walk(self, number: int, phase: dict) -> None:
        command = subprocess.Popen(phase["argv"] or ["true"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        deadline, over = time.monotonic() + PATIENCE, False
        while not over:
            over = command.poll() is not None and self.hears(number, phase["until"])  # after which comes one more round
            if time.monotonic() > deadline:
                command.kill()
                sys.exit(f"phase '{phase['name']}': no end within {PATIENCE:.0f} s\n{command.communicate()[0]}")
            self.send(phase["frames"])
            self.listen(EVERY)
        self.listen(SETTLE)
        if command.returncode:
            sys.exit(f"phase '{phase['name']}': rc {command.returncode}\n{command.communicate()[0]}")


def main() -> None:
    work = json.load(sys.stdin)
    probe = Probe(work["ears"])
    for number, phase in enumerate(work["phases"]):
        started = time.monotonic()
        probe.walk(number, phase)
        sys.stderr.write(f"{time.monotonic() - started:5.1f} s {phase['name']}\n")
    print(json.dumps({phase["name"]: {ear: sorted(probe.heard.get((number, ear), ())) for ear in work["ears"]} for number, phase in enumerate(work["phases"])}))


if __name__ == "__main__":
    main()
