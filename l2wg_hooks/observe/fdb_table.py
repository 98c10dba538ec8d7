"""What `bridge -json -statistics fdb show` tells: who is behind which port, and where a VXLAN sends to. Pure."""

import re

from l2wg_hooks.model import FLOOD, Destination
from l2wg_hooks.system import json_fields
from l2wg_hooks.typed import Dict, List, NamedTuple, Optional, Tuple


class Station(NamedTuple):
    """One Ethernet address. `idle` is seconds since it was last heard (None where nobody counts), `vlan` 0 where there is none.

    `fixed`: somebody has written it down; it was not learnt. `far` is the far end that it is behind, of a tunnel with several.
    """

    mac: str
    vlan: int
    idle: Optional[int]
    fixed: bool
    far: str = ""


# So many of a port are listed, those heard last; the others are counted. A host can make up any number of them.
MOST = 1000


class _Listing:
    """What is printed, piece by piece: each entry of it is given to `add`, a function that may raise Unfit."""

    def __init__(self, add):
        self._rows, self._unfit = json_fields.Rows(add), False

    def take(self, piece):
        """The next piece of what `bridge -json` prints. Of what is none of it, nothing counts."""
        try:
            if not self._unfit:
                self._rows.take(piece)
        except json_fields.Unfit:
            self._unfit = True

    def is_whole(self):
        """Whether all of it has come, and could be read."""
        return not self._unfit and self._rows.ended()


class Crowd(_Listing):
    """Who is behind which port, by the entries that are taken one after the other; of any number, a bounded one is kept.

    Left out are a port's own addresses (permanent) and those that a card listens to, or a VXLAN sends to (self). `updated` is
    when it was the source of a frame, `used` when a frame went there, too (fdb_fill_info in net/bridge/br_fdb.c).
    """

    def __init__(self, destinations=None):
        """`destinations`, if given, are Destinations, which get what is left out here."""
        self._destinations = destinations
        self._listed, self._totals, self._bounds = {}, {}, {}
        super().__init__(self._add)

    def found(self):
        """({port: Stations that are listed, the one heard last first}, {port: how many there are})."""
        if not self.is_whole():
            return {}, {}
        far = self._destinations.learnt if self._destinations is not None else {}
        return {port: tuple(_placed(rows, far.get(port))) for port, rows in self._listed.items()}, self._totals

    def _add(self, entry):
        if "dst" in entry and self._destinations is not None:
            self._destinations.add(entry)
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


def _placed(rows, far):
    """The Stations that are listed of a port, with where they are: `far` is {Ethernet address: far end}, or None."""
    for row in _last(rows):
        yield row[-1]._replace(far=far.get(row[1], "")) if far else row[-1]


def _last(rows):
    return sorted(rows, key=lambda row: row[:3])[:MOST]


# Of a device, so many entries that lead to nobody of its list are named; when these are gone, another look finds the next.
MOST_STRANGE = 200
# In the place of a list, of a device whose flood list is somebody else's: all that are in there, as far as so many.
EVERYBODY = None
MOST_FLOODED = 5000
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_DST = re.compile(r"[0-9a-f.:]+\Z")
# What else an entry may have of where it leads, as bridge(8) prints it and takes it.
_MORE = (("port", "port"), ("vni", "vni"), ("viaIf", "via"))


class Destinations(_Listing):
    """Of the own tables of VXLAN devices with flood lists: these, and what leads to far ends that are in none of them.

    `lists` are {device: the far ends that are to be in its list, or EVERYBODY: then only that list counts}. Of any number of
    stations that are learnt from these, none is kept, but of whom is to know them: `learnt` is {device: {Ethernet address: far
    end}}, of so many as are listed at most, and `behind` {device: {far end: how many are behind it}}. `only` is the device that
    everything is of, where bridge(8) was asked for one and so names none.
    """

    def __init__(self, lists, only="", learns=False):
        self._lists, self._only, self._learns = lists, only, learns
        self.learnt: Dict[str, Dict[str, str]] = {name: {} for name in lists}
        self.behind: Dict[str, Dict[str, int]] = {name: {} for name in lists}
        self._found: Dict[str, List[Destination]] = {name: [] for name in lists}
        super().__init__(self.add)

    def found(self) -> Optional[Dict[str, Tuple[Destination, ...]]]:
        """{device: its Destinations}; None where what was printed cannot be read."""
        return self.added() if self.is_whole() else None

    def added(self):
        """The same of entries that were added one by one."""
        return {name: tuple(rows) for name, rows in self._found.items()}

    def add(self, entry):
        """One entry of any device. Raises Unfit."""
        name = entry.get("ifname", self._only)
        if name not in self._lists or "master" in entry:
            return
        mac, dst = json_fields.word(entry, "mac"), json_fields.word(entry, "dst")
        rows = self._found[name]
        if self._lists[name] is EVERYBODY:
            if mac == FLOOD and len(rows) < MOST_FLOODED and _DST.match(dst):
                rows.append(Destination(mac, dst))
            return
        if self._learns and mac != FLOOD and dst in self._lists[name]:
            self.behind[name][dst] = self.behind[name].get(dst, 0) + 1
            if len(self.learnt[name]) < MOST:
                self.learnt[name][mac] = dst
        if (mac != FLOOD and dst in self._lists[name]) or len(rows) >= MOST_STRANGE or not _MAC.match(mac) or not _DST.match(dst):
            return
        words: Tuple[str, ...] = ()
        for key, word in _MORE:
            if entry.get(key) is not None:
                value = json_fields.name(entry, key) if word == "via" else str(json_fields.number(entry, key))
                words += (word, value)
        rows.append(Destination(mac, dst, words))
