"""Echoes: ICMP packets of a given size that must not be fragmented, and what comes back. RFC 792, RFC 4443, icmp(7), ip(7).

A raw socket of our own, since a router may lack ping(8), whose words differ from one Debian to the next besides.
"""

import os
import socket
import struct
from functools import partial

from l2wg_hooks.encapsulation import headers
from l2wg_hooks.probes import checksum, tunnel_packets
from l2wg_hooks.system import network_namespace

# Of ICMP, without its IP header.
HEAD = 8
REQUEST, REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
ICMPV6 = 58
UNREACHABLE = {4: (3, 3), 6: (1, 4)}
# linux/in.h, linux/in6.h: DF, whatever the kernel believes of the path's MTU. Python has no names for them.
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PROBE = 10, 23, 3
# Nobody listens there: RFC 863.
DISCARD = 9


def _dont_fragment(sender, family):
    if family == 4:
        sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PROBE)
    else:
        sender.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PROBE)


def _bound(sender, device, source):
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    sender.bind((source, 0))


def request(family, ident, number, size):
    """The ICMP part of an echo request that makes an IP packet of `size` bytes; `number` (16 bits) tells it from others. Pure."""
    text = struct.pack("!BBHHH", REQUEST[family], 0, 0, ident, number).ljust(size - headers.IP[family], b"l")
    if family == 6:
        return text  # the kernel adds the checksum
    return text[:2] + struct.pack("!H", checksum.internet(text)) + text[4:]


def reply(packet, family, ident):
    """The number of the echo that a received packet answers; None where it is no such thing. Pure."""
    if family == 4:
        found = tunnel_packets.datagram(packet)
        packet = found.data if found else b""
    if len(packet) < HEAD or packet[0] != REPLY[family]:
        return None
    theirs, number = struct.unpack_from("!HH", packet, 4)
    return number if theirs == ident else None


class Echo:
    """Asks `target` from `source`, by the interface `device`; raises OSError where this router cannot.

    `answered` are the numbers of the requests that were answered, `packets` what else of ICMP came, as it came.
    """

    def __init__(self, device, source, target):
        self.family = 6 if ":" in target else 4
        self.target = target
        # 16 bits; another one for each, since every raw socket hears all answers.
        self.ident = (os.getpid() * 31 + id(self) // 64) & 0xFFFF
        self.answered, self.packets = set(), []
        kind = (socket.AF_INET, socket.IPPROTO_ICMP) if self.family == 4 else (socket.AF_INET6, ICMPV6)
        self.socket = network_namespace.by(device, partial(socket.socket, kind[0], socket.SOCK_RAW, kind[1]))
        try:
            _bound(self.socket, device, source)
            _dont_fragment(self.socket, self.family)
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise

    def fileno(self):
        return self.socket.fileno()

    def ask(self, number, size):
        """Send one of `size` bytes; one that this router itself cannot send is not answered either."""
        try:
            self.socket.sendto(request(self.family, self.ident, number, size), (self.target, 0))
        except OSError:
            pass

    def hear(self):
        """Take in one packet; False where there is none."""
        try:
            packet, sender = self.socket.recvfrom(512)
        except OSError:
            return False
        if sender[0].partition("%")[0] == self.target:
            number = reply(packet, self.family, self.ident)
            if number is None:
                self.packets.append(packet)
            else:
                self.answered.add(number)
        return True

    def close(self):
        self.socket.close()


def tell(device, source, target, sizes):
    """Send a datagram of each of `sizes` (bytes of the IP packet) to a closed port; the ports that they came from.

    By these the answers are known. An answer is small whatever the question's size: so it tells of one direction alone (`told`).
    """
    family = 6 if ":" in target else 4
    ports = []
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    for size in sizes:
        with network_namespace.by(device, partial(socket.socket, kind, socket.SOCK_DGRAM)) as sender:
            try:
                _bound(sender, device, source)
                _dont_fragment(sender, family)
                ports.append(sender.getsockname()[1])
                sender.sendto(bytes(size - headers.IP[family] - headers.UDP), (target, DISCARD))
            except OSError:
                pass
    return ports


def told(packets, family):
    """The ports of ours whose datagrams were answered by "port unreachable", among packets that an Echo has heard. Pure."""
    found = set()
    for packet in packets:
        if family == 4:
            outer = tunnel_packets.datagram(packet)
            packet = outer.data if outer else b""
        about = tunnel_packets.datagram(packet[HEAD:]) if tuple(packet[:2]) == UNREACHABLE[family] else None
        if about and about.protocol == tunnel_packets.UDP and len(about.data) >= 4:
            source, target = struct.unpack_from("!HH", about.data)
            if target == DISCARD:
                found.add(source)
    return found
