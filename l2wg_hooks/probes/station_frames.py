"""A frame from each of some stations, as a hypervisor sends when a machine has moved: bridges learn from it where they are. Pure.

RARP, a request for nobody (RFC 903), as QEMU sends it: hosts take no notice. It is a broadcast, so that every bridge hears it.
"""

from l2wg_hooks.typed import List

BROADCAST = b"\xff" * 6
# Without the frame check sequence (IEEE 802.3, 3.2.7).
FRAME_MIN = 60
RARP, TAG = b"\x80\x35", b"\x81\x00"
# Ethernet, IPv4, their lengths, "request reverse".
_HEAD = b"\x00\x01\x08\x00\x06\x04\x00\x03"
# VLANs in which a station is told of that nobody knows the VLAN of.
MOST_VLANS = 16


def frame(mac, vlan=0):
    """That of a station by its Ethernet address, 6 bytes; with a tag where `vlan` is not 0."""
    tag = TAG + vlan.to_bytes(2, "big") if vlan else b""
    return (BROADCAST + mac + tag + RARP + _HEAD + (mac + bytes(4)) * 2).ljust(FRAME_MIN, b"\0")


def vlans(said):
    """The VLANs, 0 for untagged, in which a bridge that keeps none apart tells of its stations: what `vlans` lets pass."""
    if said == "all":
        return (0,)
    found: List[int] = []
    for word in said.split(","):
        first, _, last = word.partition("-")
        found += [0] if word == "untagged" else range(int(first), int(last or first) + 1)
    return tuple(found[:MOST_VLANS])
