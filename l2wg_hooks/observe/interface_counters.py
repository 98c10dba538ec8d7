"""What has crossed the interfaces: the counters that `ip -json -statistics` prints beside the links. Pure."""

from l2wg_hooks.system import json_fields
from l2wg_hooks.typed import NamedTuple

# Counters have 64 bits (struct rtnl_link_stats64).
MOST = 2**64 - 1


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
    """{name: Traffic} of what `ip -json -statistics address show` listed; 32-bit kernels have `stats`. Raises Unfit."""
    found = {}
    for entry in entries:
        both = json_fields.inner(entry, "stats64") or json_fields.inner(entry, "stats")
        found[json_fields.name(entry, "ifname")] = Traffic(
            _way(json_fields.inner(both, "rx")), _way(json_fields.inner(both, "tx"))
        )
    return found


def _way(counts):
    return Way(*(json_fields.number(counts, name, 0, MOST) for name in ("packets", "bytes", "errors", "dropped")))
