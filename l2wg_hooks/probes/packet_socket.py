"""Ears: packet sockets that hear only what `l2wg check` asked for, by a filter in the kernel. See packet(7).

A busy LAN has more frames than Python can look at, so what is not asked for must not come this far.
"""

import ctypes
import socket
import struct

from l2wg_hooks.system import network_namespace
from l2wg_hooks.typed import NamedTuple

ETH_P_ALL = 3
# asm-generic/socket.h; Python has no name for it.
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
# linux/if_packet.h
PACKET_OUTGOING = 4
# Bytes of a packet that are kept: DHCP's (RFC 2131: 576) and more.
SNAP = 1024
# Bytes that may wait to be heard: a short frame counts as some 800.
ROOM = 1 << 22

# Classic BPF (linux/filter.h, linux/bpf_common.h): load half, byte, 4*(byte&0xf) into X; with X; jump; return.
LDH, LDB, LDX, LDH_X, RSH, JEQ, JSET, RET = 0x28, 0x30, 0xB1, 0x48, 0x74, 0x15, 0x45, 0x06
# Where a filter loads whether a packet is PACKET_OUTGOING (SKF_AD_OFF + SKF_AD_PKTTYPE in linux/filter.h).
PACKET_TYPE = 0xFFFFF000 + 4
TAKE, LEAVE = "take", "leave"


def assemble(lines):
    """The sock_filter array of (label, code, k, where to if true, where to if false): None is the next line. Pure."""
    places = {line[0]: index for index, line in enumerate(lines) if line[0]}
    places.update({TAKE: len(lines), LEAVE: len(lines) + 1})
    text = b""
    for index, (_, code, k, true, false) in enumerate(lines):
        jumps = [0 if word is None else places[word] - index - 1 for word in (true, false)]
        text += struct.pack("=HBBI", code, jumps[0], jumps[1], k)
    return text + struct.pack("=HBBI", RET, 0, 0, SNAP) + struct.pack("=HBBI", RET, 0, 0, 0)


def type_filter(ethertype):
    """Ethernet: frames of one EtherType (2 bytes) that come in; of what this router sends, there may be one a tunnel."""
    return assemble(
        (
            ("", LDB, PACKET_TYPE, None, None),
            ("", JEQ, PACKET_OUTGOING, LEAVE, None),
            ("", LDH, 12, None, None),
            ("", JEQ, int.from_bytes(ethertype, "big"), TAKE, LEAVE),
        )
    )


def lan_filter():
    """Ethernet: ARP replies, and what a DHCP server says to its clients (UDP to port 68)."""
    return assemble(
        (
            ("", LDH, 12, None, None),
            ("", JEQ, 0x0806, None, "ip"),
            ("", LDH, 20, None, None),
            ("", JEQ, 2, TAKE, LEAVE),
            ("ip", JEQ, 0x0800, None, LEAVE),
            ("", LDB, 23, None, None),
            ("", JEQ, socket.IPPROTO_UDP, None, LEAVE),
            ("", LDH, 20, None, None),
            ("", JSET, 0x1FFF, LEAVE, None),  # not the first fragment
            ("", LDX, 14, None, None),
            ("", LDH_X, 16, None, None),
            ("", JEQ, 68, TAKE, LEAVE),
        )
    )


def wan_filter(udp_ports):
    """IP without a link layer, as WireGuard has it: GRE, and UDP to some ports; heads of packets only."""
    *most, last = sorted(udp_ports)
    ports = tuple(("", JEQ, port, TAKE, None) for port in most) + (("", JEQ, last, TAKE, LEAVE),)
    return assemble(
        (
            ("", LDB, 0, None, None),
            ("", RSH, 4, None, None),
            ("", JEQ, 4, None, "six"),
            ("", LDH, 6, None, None),
            ("", JSET, 0x1FFF, LEAVE, None),
            ("", LDB, 9, None, None),
            ("", JEQ, 47, TAKE, None),
            ("", JEQ, socket.IPPROTO_UDP, None, LEAVE),
            ("", LDX, 0, None, None),
            ("", LDH_X, 2, None, None),
        )
        + ports
        + (
            ("six", JEQ, 6, None, LEAVE),
            ("", LDB, 6, None, None),
            ("", JEQ, 47, TAKE, None),
            ("", JEQ, 60, TAKE, None),  # destination options, as GRE over IPv6 has them without `encaplimit none`
            ("", JEQ, socket.IPPROTO_UDP, None, LEAVE),
            ("", LDH, 42, None, None),
        )
        + ports
    )


class Packet(NamedTuple):
    """What was heard on `device`; `out`: this router has sent it."""

    device: str
    data: bytes
    out: bool


def _attach(ear, program):
    array = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a short, and a pointer at its natural alignment.
    ear.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(array)))


class _Listener:
    """What both kinds of ears have, around an open socket. `device` is the interface, "" where it is not one only."""

    def __init__(self, opened, device=""):
        self.socket, self.device = opened, device

    def fileno(self):
        return self.socket.fileno()

    def hear(self):
        """The next Packet; None where there is none now."""
        try:
            data, address = self.socket.recvfrom(SNAP)
        except OSError:  # nothing left, or the interface went
            return None
        return Packet(self.device or address[0], data, address[2] == PACKET_OUTGOING)

    def close(self):
        self.socket.close()


class Ear(_Listener):
    """Hears on one interface what a filter lets through. Raises OSError where there is no such interface, or no root."""

    def __init__(self, device, program, kind=socket.SOCK_RAW):
        # Protocol 0: nothing comes before the filter is there.
        super().__init__(network_namespace.by(device, lambda: socket.socket(socket.AF_PACKET, kind, 0)), device)
        try:
            _attach(self.socket, program)
            self.socket.bind((device, ETH_P_ALL))
            self.socket.setblocking(False)
        except BaseException:
            self.socket.close()
            raise

    def send(self, frame):
        """Send an Ethernet frame out of this interface; whoever is not there any more hears nothing."""
        try:
            self.socket.send(frame)
        except OSError:
            pass


class OpenEar(_Listener):
    """Hears on all interfaces of the caller's network namespace what a filter lets through, and sends by each.

    One for all of them: processes have 1,024 descriptors, and to close each packet socket, the kernel waits until no CPU is at
    work on it (synchronize_net in net/packet/af_packet.c). Raises OSError where there is no root.
    """

    def __init__(self, program):
        # It hears from now on, as Python binds to names only: what comes before the filter is there is for the caller to leave.
        super().__init__(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        try:
            self.socket.setblocking(False)
            _attach(self.socket, program)
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        except BaseException:
            self.socket.close()
            raise

    def send(self, device, frame):
        """Send an Ethernet frame out of an interface; one that is not there any more sends nothing."""
        try:
            self.socket.sendto(frame, (device, 0))
        except OSError:
            pass
