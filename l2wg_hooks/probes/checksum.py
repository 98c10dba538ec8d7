"""The Internet checksum (RFC 1071) of IP and ICMP. Pure."""

import struct


def internet(data):
    """The checksum of bytes in which its own two are zero."""
    total = sum(struct.unpack("!%dH" % ((len(data) + 1) // 2), data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
