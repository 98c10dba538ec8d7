"""DHCP: the question for a server, and the offers that come. Pure. RFC 2131, options of RFC 2132."""

import ipaddress
import struct

from l2wg_hooks.probes import checksum
from l2wg_hooks.probes.arp import BROADCAST, packed
from l2wg_hooks.typed import NamedTuple

SERVER_PORT, CLIENT_PORT = 67, 68
MAGIC = bytes((99, 130, 83, 99))
DISCOVER, OFFER = 1, 2
# So that servers answer by broadcast, and we hear them whatever address they offer.
ANSWER_ALL = 0x8000
MESSAGE_TYPE, SERVER_ID, END, PAD = 53, 54, 255, 0


class Offer(NamedTuple):
    """What a server offers: its identifier, and its Ethernet address."""

    server: str
    mac: str


def question(mac, number):
    """A DHCPDISCOVER from `mac` with transaction `number`, as UDP carries it.

    Always for the same `mac`: so a server has always the same address reserved for it, for the seconds until it forgets.
    """
    body = struct.pack("!BBBBIHH16s", 1, 1, 6, 0, number, 0, ANSWER_ALL, bytes(16)) + packed(mac).ljust(16, b"\0") + bytes(192)
    body += MAGIC + bytes((MESSAGE_TYPE, 1, DISCOVER, END))
    return body.ljust(300, b"\0")  # BOOTP's size (RFC 1542, 2.1), below which some servers do not listen


def discover(mac, number):
    """The frame of a `question`: from 0.0.0.0, to everybody."""
    body = question(mac, number)
    udp = struct.pack("!HHHH", CLIENT_PORT, SERVER_PORT, 8 + len(body), 0)  # 0: no checksum (RFC 768)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(body), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    head = head[:10] + struct.pack("!H", checksum.internet(head)) + head[12:]
    return BROADCAST + packed(mac) + b"\x08\x00" + head + udp + body


def is_served(text):
    """Whether /proc/net/udp (proc(5)) says that somebody on this router listens to the servers' port."""
    return any(line.split()[1].endswith(f":{SERVER_PORT:04X}") for line in text.splitlines() if len(line.split()) > 2)


def payload(frame):
    """What the UDP datagram in an IPv4 frame carries; b"" where there is none."""
    if len(frame) < 14 + 20 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return b""
    return frame[14 + 4 * (frame[14] & 0xF) + 8 :]


def offer(frame, number):
    """The Offer in a frame that answers transaction `number`; None where it is no such thing."""
    body = payload(frame)
    if len(body) < 240 or body[0] != 2 or body[4:8] != struct.pack("!I", number) or body[236:240] != MAGIC:
        return None
    options = _options(body[240:])
    if options.get(MESSAGE_TYPE) != bytes((OFFER,)):
        return None
    server = options.get(SERVER_ID, frame[26:30])
    if len(server) != 4:
        return None
    return Offer(str(ipaddress.IPv4Address(server)), ":".join(f"{byte:02x}" for byte in frame[6:12]))


def _options(data):
    found, place = {}, 0
    while place < len(data) and data[place] != END:
        if data[place] == PAD:
            place += 1
            continue
        if place + 2 > len(data):
            break
        found[data[place]] = data[place + 2 : place + 2 + data[place + 1]]
        place += 2 + data[place + 1]
    return found
