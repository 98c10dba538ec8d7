"""What has crossed the interfaces: the counters that `ip -json -statistics` prints beside the links. Pure."""

from typing import NamedTuple


class Way(NamedTuple):
    """One direction of an interface since it was made: frames (packets, where it is no Ethernet), bytes, and what got lost."""

    frames: int = 0
    bytes: int = 0
    errors: int = 0
    dropped: int = 0


class Traffic(NamedTuple):
    """Both directions, seen from the router."""

    received: Way = Way()
    sent: Way = Way()


def read(entries):
    """{name: Traffic} of the entries of `ip -json -statistics address show`; kernels without 64 bits have `stats`."""
    found = {}
    for entry in entries:
        both = entry.get("stats64") or entry.get("stats") or {}
        found[entry["ifname"]] = Traffic(_way(both.get("rx") or {}), _way(both.get("tx") or {}))
    return found


def _way(counts):
    return Way(*(counts.get(name, 0) for name in ("packets", "bytes", "errors", "dropped")))
