"""What the tunnel between two sites is to be, by their cards: each comes to the same, so that they need not talk. Pure."""

import zlib

from l2wg_hooks.config import card
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.typed import NamedTuple, Optional

# Seconds, for a site that nobody can call: what wg(8) calls sensible. A NAT may forget a UDP flow after 2 minutes (RFC 4787).
KEEPALIVE = 25


class Terms(NamedTuple):
    """What both sites come to, as this one sees it."""

    local: str
    remote: str
    encapsulation: str
    number: Optional[int]
    mtu: int


def find(own, other):
    """The Terms of two Cards: the same for both sites, with the ends exchanged. Raises Refused."""
    if own.key == other.key:
        raise Refused("this is this router's own card", "paste it on the other router, and the other one's here")
    inside = own.addresses + other.addresses
    for side in (own, other):
        host = card.endpoint(side.endpoint)[0] if side.endpoint else ""
        if host in inside:
            raise Refused(
                f"{host}, where {side.name} is to be called, is an address inside WireGuard: its own packets "
                f"would go into the tunnel",
                f"l2wg card --endpoint HOST on {side.name}, with what it is called by from outside; then pair with that card",
            )
    ends = [(local, remote) for local in own.addresses for remote in other.addresses if (":" in local) == (":" in remote)]
    if not ends:
        both = "{} here, {} there".format(", ".join(own.addresses), ", ".join(other.addresses))
        raise Refused(f"the two sites have no family of addresses in common ({both})", "give both an IPv4 address in wg0.conf")
    local, remote = min(ends, key=lambda pair: ":" in pair[0])
    if local == remote:
        raise Refused(
            f"{remote} is also this router's address inside WireGuard",
            "give one of the two another one (Address in wg0.conf), restart its WireGuard, and print its card anew",
        )
    asked = {side.encapsulation for side in (own, other)} - {registry.DEFAULT}
    encapsulation = max(asked, default=registry.DEFAULT)  # the same at both sites
    numbers = {side.number for side in (own, other)} - {None}
    if len(numbers) > 1:
        raise Refused(
            "this site wants the key %d, the other one %d" % (own.number, other.number),
            "l2wg card --key NUMBER, the same on both",
        )
    number = numbers.pop() if numbers else None
    packing = registry.ENCAPSULATIONS[encapsulation]
    if number is None and packing.number_default is not None:
        # VNIs are the kernel's, not the ends': a hub needs a different one for each site.
        number = 1 + zlib.crc32("".join(sorted((own.key, other.key))).encode()) % packing.number_max
    return Terms(local, remote, encapsulation, number, min(own.mtu, other.mtu))
