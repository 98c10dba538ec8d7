"""Who is behind which port: the Ethernet addresses that bridges have learnt (`bridge -json -statistics fdb show`). Pure."""

from l2wg_hooks.system import json_fields
from l2wg_hooks.typed import NamedTuple, Optional


class Station(NamedTuple):
    """One Ethernet address. `idle` is seconds since it was last heard (None where nobody counts), `vlan` 0 where there is none.

    `fixed`: somebody has written it down; it was not learnt.
    """

    mac: str
    vlan: int
    idle: Optional[int]
    fixed: bool


# So many of a port are listed, those heard last; the others are counted. A host can make up any number of them.
MOST = 1000


class Crowd:
    """Who is behind which port, by the entries that are taken one after the other; of any number, a bounded one is kept.

    Left out are a port's own addresses (permanent) and those that a card listens to, or a VXLAN sends to (self). `updated` is
    when it was the source of a frame, `used` when a frame went there, too (fdb_fill_info in net/bridge/br_fdb.c).
    """

    def __init__(self):
        self._listed, self._totals, self._bounds, self._unfit = {}, {}, {}, False
        self._rows = json_fields.Rows(self._add)

    def take(self, piece):
        """The next piece of what `bridge -json` prints. Of what is none of it, nothing counts."""
        try:
            if not self._unfit:
                self._rows.take(piece)
        except json_fields.Unfit:
            self._unfit = True

    def found(self):
        """({port: Stations that are listed, the one heard last first}, {port: how many there are})."""
        if self._unfit or not self._rows.ended():
            return {}, {}
        return {port: tuple(row[-1] for row in _last(rows)) for port, rows in self._listed.items()}, self._totals

    def _add(self, entry):
        if "master" not in entry or entry.get("state") == "permanent":
            return
        if entry.get("flags") and "self" in json_fields.listed(entry, "flags"):
            return
        port, idle = entry.get("ifname"), entry.get("updated")
        if not isinstance(port, str) or port not in self._totals:
            port = json_fields.name(entry, "ifname")
            self._listed[port], self._totals[port], self._bounds[port] = [], 0, json_fields.NUMBER_MAX
        self._totals[port] += 1
        # Most of a crowd ends here: as many have been heard since.
        if type(idle) is int and idle > self._bounds[port]:
            return
        vlan, idle = json_fields.number(entry, "vlan"), json_fields.number(entry, "updated", None)
        station = Station(json_fields.word(entry, "mac"), vlan, idle, entry.get("state") == "static")
        rows = self._listed[port]
        rows.append((idle or 0, station.mac, vlan, station))
        if len(rows) >= 2 * MOST:
            rows[:] = _last(rows)
            self._bounds[port] = rows[-1][0]


def _last(rows):
    return sorted(rows, key=lambda row: row[:3])[:MOST]
