"""The path's MTU: the largest packet that really comes through WireGuard to the peer, and back. RFC 4821's idea, by echoes.

An echo comes back in full size, so it measures both directions at once: the smaller of the two. (Unless the peer's underlay
has a smaller MTU than ours: then the answer comes in two pieces, and only the way there is measured.)
"""

import time

from l2wg_hooks.probes import icmp_echo
from l2wg_hooks.typed import NamedTuple, Optional

# Sizes that are tried at once, rounds of it, and seconds to wait for each: three rounds tell 1420 from 1419.
AT_ONCE, ROUNDS, WAIT = 16, 3, 1.0
# What passes everywhere: RFC 791, RFC 8200.
LOW = {4: 576, 6: 1280}


class Path(NamedTuple):
    """`size` is the largest packet that came back, in bytes; `there` whether one of full size came there: None "
    "where nobody said."""

    size: int
    there: Optional[bool]


def sizes(low, high):
    """At most AT_ONCE sizes between `low`, which passes, and `high`, which does not; the ends left out. Pure."""
    count = min(AT_ONCE, high - low - 1)
    return [low + (high - low) * index // (count + 1) for index in range(1, count + 1)] if count > 0 else []


def search(device, source, target, full, wait=WAIT):
    """The Path for packets of up to `full` bytes; None where those of `full` do come back after all. Raises OSError."""
    echo = icmp_echo.Echo(device, source, target)
    try:
        low, high, number = min(LOW[echo.family], full - 1), full, 0
        small, large = [], []
        for _ in range(ROUNDS):
            # Three times each direction alone, but seldom enough for the peer's limit (icmp_ratelimit).
            small += icmp_echo.tell(device, source, target, (low,))
            large += icmp_echo.tell(device, source, target, (full,))
            asked = {}
            # The largest ones again each time: a path that loses now this one, now that one, is not too narrow.
            for size in sizes(low, high) + [full]:
                for _ in range(2):
                    number += 1
                    asked[number] = size
                    echo.ask(number, size)
            _listen(echo, wait)
            passed = [asked[answer] for answer in echo.answered if answer in asked]
            if full in passed:
                return None
            low = max(passed + [low])
            high = min([size for size in asked.values() if size > low] + [high])
            if high - low < 2 and small:
                break
        said = icmp_echo.told(echo.packets, echo.family)
        there = None if not said & set(small) else bool(said & set(large))
        return Path(low, there)
    finally:
        echo.close()


def _listen(echo, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not echo.hear():
            time.sleep(0.01)


def judge(tunnel, end, full, path):
    """The Problem of a Path to this peer that takes less than the underlay's MTU, `full`. Pure."""
    where = {None: "", True: ": they come there, but not back", False: ": they do not come there"}[path.there]
    return tunnel.problem(
        "underlay",
        "packets of %d bytes get lost between %s and %s, %d bytes pass%s; the MTU of %s is too large for the path"
        % (full, end.local, end.remote, path.size, where, tunnel.underlay),
        cure(tunnel, path.size),
        "path-mtu",
    )


def cure(tunnel, size):
    """What gives a tunnel's underlay an MTU of `size` bytes, now and for good."""
    for_good = "in [Interface] of /etc/wireguard/%s.conf: MTU = %d" % (tunnel.underlay, size)
    if tunnel.walled:
        return f"{for_good}; then: l2wg apply # on both routers"
    return "ip link set dev %s mtu %d; l2wg apply # on both routers; and for good, %s" % (tunnel.underlay, size, for_good)
