"""ARP: the probe for an address that somebody else may have, and its answer. Pure. RFC 826, RFC 5227."""

import ipaddress
import struct

ETHERTYPE, BROADCAST = b"\x08\x06", b"\xff" * 6
REQUEST, REPLY = 1, 2
# Hardware Ethernet, protocol IPv4, lengths of these two.
HEAD = struct.pack("!HHBB", 1, 0x0800, 6, 4)
# Without the frame check sequence (IEEE 802.3, 3.2.7).
FRAME_MIN = 60


def packed(mac):
    """The six bytes of fe:ff:00:00:00:01."""
    return bytes.fromhex(mac.replace(":", ""))


def probe(address, mac):
    """The frame that asks who has `address`, from `mac`; it claims no address itself, so it changes nobody's table."""
    text = HEAD + struct.pack("!H", REQUEST) + packed(mac) + bytes(4) + bytes(6) + ipaddress.IPv4Address(address).packed
    return (BROADCAST + packed(mac) + ETHERTYPE + text).ljust(FRAME_MIN, b"\0")


def answer(frame):
    """(address, its Ethernet address) of an ARP reply; None where the frame is none."""
    if len(frame) < 42 or frame[12:14] != ETHERTYPE or frame[14:22] != HEAD + struct.pack("!H", REPLY):
        return None
    return str(ipaddress.IPv4Address(frame[28:32])), ":".join(f"{byte:02x}" for byte in frame[22:28])
