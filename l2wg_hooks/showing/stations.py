"""Who is behind which port: the Ethernet addresses that bridges have learnt (`bridge -json -statistics fdb show`). Pure."""

from typing import NamedTuple, Optional

from l2wg_hooks import record


class Station(NamedTuple):
    """One Ethernet address. `idle` is seconds since it was last heard (None where nobody counts), `vlan` 0 where there is none.

    `fixed`: somebody has written it down; it was not learnt.
    """

    mac: str
    vlan: int
    idle: Optional[int]
    fixed: bool


def read(entries):
    """{port: Stations, the one heard last first} of the entries that were printed.

    Left out are a port's own addresses (permanent) and those that a card listens to, or a VXLAN sends to (self). `updated` is
    when it was the source of a frame, `used` when a frame went there, too (fdb_fill_info in net/bridge/br_fdb.c).
    Raises record.Unfit.
    """
    found = {}
    for entry in entries:
        if "master" not in entry or "self" in record.listed(entry, "flags") or entry.get("state") == "permanent":
            continue
        vlan, idle = record.number(entry, "vlan"), record.number(entry, "updated", None)
        one = Station(record.word(entry, "mac"), vlan, idle, entry.get("state") == "static")
        found.setdefault(record.name(entry, "ifname"), []).append(one)
    return {port: tuple(sorted(some, key=lambda one: (one.idle or 0, one.mac, one.vlan))) for port, some in found.items()}
