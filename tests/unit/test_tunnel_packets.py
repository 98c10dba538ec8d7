"""Packets of tunnels as the underlay carries them; built by hand from the RFCs."""

import ipaddress
import struct

import pytest
from l2wg_hooks.model import Tunnel
from l2wg_hooks.probes import tunnel_packets
from l2wg_hooks.probes.tunnel_packets import Carrier

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
SIX = ONE._replace(local="fd00:178::1", remote="fd00:92::1")
FRAME = bytes(60)


def ip(source, target, protocol, payload, offset=0):
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if a.version == 4:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, offset, 64, protocol, 0) + a.packed + b.packed + payload
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + a.packed + b.packed + payload


def gre(key=None, what=0x6558, checksum=False):
    flags = (0x2000 if key is not None else 0) | (0x8000 if checksum else 0)
    return struct.pack("!HH", flags, what) + bytes(4) * checksum + (b"" if key is None else struct.pack("!I", key)) + FRAME


def vxlan(vni, port=4789):
    return struct.pack("!HHHH", 40000, port, 16 + len(FRAME), 0) + struct.pack("!II", 0x08000000, vni << 8) + FRAME


IN = ("192.168.92.1", "192.168.178.1")
IN6 = ("fd00:92::1", "fd00:178::1")


@pytest.mark.parametrize(
    "packet, found",
    [
        (ip(*IN, 47, gre()), Carrier("gretap", *IN, None)),
        (ip(*IN, 47, gre(7)), Carrier("gretap", *IN, 7)),
        (ip(*IN, 47, gre(2**32 - 1, checksum=True)), Carrier("gretap", *IN, 2**32 - 1)),
        (ip(*IN, 17, vxlan(42)), Carrier("vxlan", *IN, 42, 4789)),
        (ip(*IN, 17, vxlan(42, port=8472)), Carrier("vxlan", *IN, 42, 8472)),
        (ip(*IN6, 47, gre(7)), Carrier("gretap", *IN6, 7)),
        (ip(*IN6, 60, bytes((47, 0, 4, 1, 4, 1, 1, 0)) + gre()), Carrier("gretap", *IN6, None)),
        (ip(*IN6, 17, vxlan(1)), Carrier("vxlan", *IN6, 1, 4789)),
        (ip(*IN, 47, gre(what=0x0800)), None),  # GRE of IP packets: somebody's, not ours to judge
        (ip(*IN, 47, gre(), offset=0x00B9), None),  # not the first fragment
        (ip(*IN, 47, gre(), offset=0x2000), Carrier("gretap", *IN, None)),  # the first one
        (ip(*IN, 17, vxlan(42, port=53)), None),
        (ip(*IN, 6, bytes(40)), None),
    ],
)
def test_what_carries_a_frame(packet, found):
    assert tunnel_packets.carrier(packet) == found


def test_no_packet_of_any_length_hurts():
    for packet in (ip(*IN, 47, gre(7, checksum=True)), ip(*IN, 17, vxlan(1)), ip(*IN6, 60, bytes((47, 9)) + gre()), ip(*IN6, 17, vxlan(1))):
        for length in range(len(packet)):
            tunnel_packets.carrier(packet[:length])
            tunnel_packets.refusal(packet[:length], ONE, *ONE.ends())
            tunnel_packets.refusal(packet[:length], SIX, *SIX.ends())


def judged(tunnel, *heard, known=()):
    (end,) = tunnel.ends()
    known = set(known) | {tunnel_packets.wished(tunnel, end)}
    stranger = tunnel_packets.stranger(tunnel, end, heard, known)
    return tunnel_packets.judge(tunnel, end, stranger) if stranger else None


def test_what_is_wished_for_is_no_stranger():
    assert judged(ONE, Carrier("gretap", *IN, None)) is None
    assert judged(SIX, Carrier("gretap", *IN6, None)) is None
    assert judged(ONE._replace(encapsulation="vxlan"), Carrier("vxlan", *IN, 1, 4789)) is None
    assert judged(ONE) is None


def test_somebody_elses_tunnels_are_no_strangers():
    other = Carrier("gretap", *IN, 99)
    assert judged(ONE, other, known=[other]) is None
    assert judged(ONE, Carrier("gretap", "192.168.93.1", "192.168.93.2", None)) is None, "neither end is one of this tunnel's"
    assert judged(ONE, Carrier("gretap", *IN, None), other) is None, "its own packets come, so nothing is wrong with it"


def test_encapsulation_differs():
    found = judged(ONE, Carrier("vxlan", *IN, 1, 4789))
    assert (found.id, found.key) == ("encapsulation-differs", "encapsulation") and "the peer sends vxlan, and here is gretap" in found.message
    assert "encapsulation=vxlan" in found.hint
    assert judged(ONE._replace(encapsulation="vxlan"), Carrier("gretap", *IN, None)).hint.endswith("encapsulation=gretap; l2wg apply")


def test_key_differs():
    found = judged(ONE, Carrier("gretap", *IN, 7))
    assert (found.id, found.key) == ("key-differs", "key") and "sends key 7, and here it is none" in found.message
    assert found.hint.endswith("l2wg set gretap1 key=7; l2wg apply")
    found = judged(ONE._replace(key=7), Carrier("gretap", *IN, None))
    assert "sends key none, and here it is 7" in found.message and found.hint.endswith("l2wg set gretap1 key=; l2wg apply")
    assert "VNI 5" in judged(ONE._replace(encapsulation="vxlan"), Carrier("vxlan", *IN, 5, 4789)).message


def test_port_differs():
    """With the port that is Linux' own default, or any that another tunnel has here."""
    vxlan = ONE._replace(encapsulation="vxlan")
    found = judged(vxlan, Carrier("vxlan", *IN, 1, 8472))
    assert (found.id, found.key) == ("port-differs", "port")
    assert found.message == "the peer sends to UDP port 8472, and here it is 4789"
    assert found.hint.endswith("l2wg set gretap1 port=8472; l2wg apply")
    assert sorted(tunnel_packets.ports([vxlan, vxlan._replace(port=5000), ONE])) == [4789, 5000, 8472]


def test_ends_differ():
    found = judged(ONE, Carrier("gretap", "10.15.14.1", "192.168.178.1", None))
    assert (found.id, found.key) == ("ends-differ", "remote") and found.hint.endswith("l2wg set gretap1 remote=10.15.14.1; l2wg apply")
    found = judged(ONE, Carrier("gretap", "192.168.92.1", "10.15.14.2", None))
    assert (found.id, found.key) == ("ends-differ", "local") and found.hint.endswith("l2wg set gretap1 local=10.15.14.2; l2wg apply")


OUT, OUT6 = IN[::-1], IN6[::-1]


@pytest.mark.parametrize(
    "tunnel, packet, said",
    [
        (ONE, ip(*IN, 1, bytes((3, 3)) + bytes(6) + ip(*OUT, 47, gre())), "port unreachable"),
        (ONE, ip(*IN, 1, bytes((3, 2)) + bytes(6) + ip(*OUT, 47, gre())[:28]), "protocol unreachable"),
        (ONE, ip(*IN, 1, bytes((3, 13)) + bytes(6) + ip(*OUT, 47, gre())), "prohibited"),
        (ONE, ip(*IN, 1, bytes((3, 4)) + bytes(6) + ip(*OUT, 47, gre())), ""),  # too big
        (ONE, ip("10.9.9.9", IN[1], 1, bytes((3, 3)) + bytes(6) + ip(*OUT, 47, gre())), ""),  # not the peer
        (ONE, ip(*IN, 1, bytes((3, 3)) + bytes(6) + ip(*OUT, 17, vxlan(1))), ""),  # about something else
        (ONE, ip(*IN, 1, bytes((3, 3)) + bytes(6) + ip("192.168.178.1", "192.168.92.9", 47, gre())), ""),
        (ONE, ip(*IN, 1, bytes((0, 0)) + bytes(40)), ""),
        (ONE._replace(encapsulation="vxlan"), ip(*IN, 1, bytes((3, 3)) + bytes(6) + ip(*OUT, 17, vxlan(1))), "port unreachable"),
        (ONE._replace(encapsulation="vxlan"), ip(*IN, 1, bytes((3, 3)) + bytes(6) + ip(*OUT, 17, vxlan(1, 9))), ""),
        (SIX, bytes((1, 4)) + bytes(6) + ip(*OUT6, 47, gre()), "port unreachable"),
        (SIX, bytes((4, 1)) + bytes(6) + ip(*OUT6, 47, gre()), "protocol unreachable"),
        (SIX, bytes((1, 0)) + bytes(6) + ip(*OUT6, 47, gre()), ""),
    ],
)
def test_peer_refuses(tunnel, packet, said):
    assert tunnel_packets.refusal(packet, tunnel, *tunnel.ends()) == said
