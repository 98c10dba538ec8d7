"""The filters of the packet sockets, run by a small interpreter of classic BPF on packets built by hand; and what these packets say."""

import struct

import pytest
from l2wg_hooks.probes import arp, checksum, dhcp, packet_socket
from test_tunnel_packets import IN, IN6, gre, ip, vxlan

MAC = "fe:ff:00:00:00:01"


def taken(program, packet, kind=0):
    """How many bytes of a packet of that kind the kernel would hand over: linux/filter.h, with 0 for a load behind the end."""
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, index, line = 0, 0, 0
    while True:
        code, true, false, k = lines[line]
        line += 1
        if (code, k) == (packet_socket.LDB, packet_socket.PACKET_TYPE):
            accumulator = kind
        elif code in (packet_socket.LDH, packet_socket.LDH_X, packet_socket.LDB, packet_socket.LDX):
            at = k + (index if code == packet_socket.LDH_X else 0)
            part = packet[at : at + (2 if code in (packet_socket.LDH, packet_socket.LDH_X) else 1)]
            if len(part) < (2 if code in (packet_socket.LDH, packet_socket.LDH_X) else 1):
                return 0
            if code == packet_socket.LDX:
                index = 4 * (part[0] & 0xF)
            else:
                accumulator = int.from_bytes(part, "big")
        elif code == packet_socket.RSH:
            accumulator >>= k
        elif code in (packet_socket.JEQ, packet_socket.JSET):
            line += true if (accumulator == k if code == packet_socket.JEQ else accumulator & k) else false
        else:
            assert code == packet_socket.RET
            return k


def ethernet(kind, payload):
    return bytes(12) + struct.pack("!H", kind) + payload


def udp(target, payload=bytes(300), source=67):
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


REPLY = ethernet(0x0806, arp.HEAD + struct.pack("!H", 2) + bytes.fromhex("020000000009") + bytes((192, 168, 92, 1)) + bytes(10))


@pytest.mark.parametrize(
    "frame, heard",
    [
        (REPLY, True),
        (arp.probe("192.168.92.1", MAC), False),
        (ethernet(0x0800, ip("192.168.92.10", "255.255.255.255", 17, udp(68))), True),
        (ethernet(0x0800, ip("192.168.92.10", "255.255.255.255", 17, udp(53))), False),
        (ethernet(0x0800, ip("192.168.92.10", "255.255.255.255", 6, udp(68))), False),
        (ethernet(0x0800, ip("192.168.92.10", "255.255.255.255", 17, udp(68), offset=3)), False),
        (ethernet(0x86DD, ip(*IN6, 17, udp(68))), False),
        (ethernet(0x0806, b""), False),
        (b"", False),
    ],
)
def test_what_is_heard_of_a_lan(frame, heard):
    assert bool(taken(packet_socket.lan_filter(), frame)) == heard


@pytest.mark.parametrize(
    "packet, heard",
    [
        (ip(*IN, 47, gre()), True),
        (ip(*IN, 47, gre(), offset=5), False),
        (ip(*IN, 17, vxlan(1)), True),
        (ip(*IN, 17, vxlan(1, port=4790)), False),
        (ip(*IN, 17, vxlan(1), offset=5), False),
        (ip(*IN, 6, bytes(40)), False),
        (ip(*IN6, 47, gre()), True),
        (ip(*IN6, 60, bytes(8) + gre()), True),
        (ip(*IN6, 17, vxlan(1)), True),
        (ip(*IN6, 17, vxlan(1, port=53)), False),
        (ip(*IN6, 58, bytes(40)), False),
        (b"\x00" * 40, False),
        (b"", False),
    ],
)
def test_what_is_heard_of_an_underlay(packet, heard):
    assert bool(taken(packet_socket.wan_filter((4789, 8472)), packet)) == heard


def test_an_arp_probe_claims_no_address():
    frame = arp.probe("192.168.92.1", MAC)
    assert len(frame) == 60 and frame[:12] == b"\xff" * 6 + bytes.fromhex("feff00000001")
    assert frame[28:32] == bytes(4) and frame[38:42] == bytes((192, 168, 92, 1))
    assert arp.answer(frame) is None, "a question is no answer"


def test_an_arp_answer():
    assert arp.answer(REPLY) == ("192.168.92.1", "02:00:00:00:00:09")
    for length in range(42):
        assert arp.answer(REPLY[:length]) is None


def offer(number, options, op=2):
    body = bytearray(dhcp.question(MAC, number))[:236]
    body[0] = op
    return ethernet(0x0800, ip("192.168.92.10", "255.255.255.255", 17, udp(68, bytes(body) + dhcp.MAGIC + options)))


ID = bytes((54, 4, 192, 168, 92, 10))
OFFER = bytes((53, 1, 2))


@pytest.mark.parametrize(
    "frame, server",
    [
        (offer(7, OFFER + ID + b"\xff"), "192.168.92.10"),
        (offer(7, b"\0\0" + ID + bytes((3, 4, 10, 0, 0, 1)) + OFFER + b"\xff"), "192.168.92.10"),
        (offer(7, OFFER + b"\xff"), "192.168.92.10"),  # no identifier: the sender's address
        (offer(8, OFFER + ID), None),  # another client's
        (offer(7, bytes((53, 1, 5)) + ID), None),  # an ACK
        (offer(7, ID), None),
        (offer(7, OFFER + ID, op=1), None),
        (offer(7, OFFER + bytes((54, 2, 1, 2, 255))), None),
    ],
)
def test_offers(frame, server):
    found = dhcp.offer(frame, 7)
    assert (found.server if found else None) == server


def test_no_offer_of_any_length_hurts():
    frame = offer(7, OFFER + ID)
    for length in range(len(frame)):
        dhcp.offer(frame[:length], 7)


def test_the_question_is_a_whole_packet():
    frame = dhcp.discover(MAC, 0x01020304)
    assert struct.unpack_from("!H", frame, 16)[0] == len(frame) - 14 and checksum.internet(frame[14:34]) == 0
    assert struct.unpack_from("!HHH", frame, 34) == (68, 67, len(frame) - 34)
    body = dhcp.payload(frame)
    assert body == dhcp.question(MAC, 0x01020304) and len(body) == 300
    assert body[4:8] == bytes((1, 2, 3, 4)) and body[28:34] == bytes.fromhex("feff00000001") and body[10:12] == b"\x80\0"


def test_who_listens_to_the_servers_port():
    text = "  sl  local_address rem_address   st\n  41: 00000000:0044 00000000:0000 07\n"
    assert not dhcp.is_served(text)
    assert dhcp.is_served(text + "  42: 00000000:0043 00000000:0000 07\n")
