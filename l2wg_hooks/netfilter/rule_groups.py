"""The tunnels of a rule set, put together where one rule with a set does for all of them. Pure.

A frame passes as many rules with a thousand tunnels as with one. What has a rule, or a chain, of its own here is what an
admin has few of: the families of addresses, the encapsulations, UDP ports, bridges, kinds of fences and of clamps.
"""

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.typed import Any, Dict, List, NamedTuple, Tuple

# Of the tunnels of a bridge, so many are named where a frame of its own comes back: a prefix of the log has 127 characters.
NAMED = 3


class End(NamedTuple):
    """One end of a tunnel's entry. `pair` is the number of its two addresses, among all pairs that there are."""

    entry: Dict[str, Any]
    local: str
    remote: str
    pair: int

    @property
    def is_prefix(self):
        """Whether `remote` is a prefix: nft 0.9.0 has no sets of an address and a prefix, so that has rules of its own."""
        return "/" in self.remote

    @property
    def match(self):
        """The expression for this tunnel's packets, but for their addresses."""
        return _packing(self.entry).match([self.entry["number"]], self.entry["port"])


class Protocol(NamedTuple):
    """The ends of a family whose packets are of GRE, or of UDP: `field` is what is behind the addresses in the key of a set.

    `key_type` is nft(8)'s word for that. `anybody`: their tunnels take packets from any sender.
    """

    name: str
    match: str
    field: str
    key_type: str
    anybody: bool
    ends: Tuple[End, ...]

    def key(self, end):
        """How a set has an end: local and remote address, in this order whichever way a packet goes, and the UDP port."""
        return " . ".join([end.local, end.remote] + (["%d" % end.entry["port"]] if self.field else []))

    def pairs(self):
        """(key, number of the pair) of each that is there."""
        return tuple(dict((self.key(end), end.pair) for end in _addresses(self.ends)).items())

    def prefixes(self):
        """The Ends whose remote is a prefix, one of each pair and port."""
        return tuple({self.key(end): end for end in self.ends if end.is_prefix}.values())

    @property
    def underlay(self):
        """The underlay of all of them; "" where they have several."""
        return _only(self.ends)

    def under(self):
        """(key, underlay) of each that is there."""
        return _each((self.key(end), end.entry["underlay"]) for end in _addresses(self.ends))


class Group(NamedTuple):
    """The ends whose packets one expression `match` tells from others; `name` is that of their set."""

    name: str
    match: str
    protocol: Protocol
    ends: Tuple[End, ...]

    @property
    def underlay(self):
        """The underlay of all of them; "" where they have several."""
        return _only(self.ends)

    @property
    def prefixes(self):
        """The Ends whose remote is a prefix."""
        return tuple(end for end in self.ends if end.is_prefix)

    def pairs(self):
        return _each("%s . %s" % (end.local, end.remote) for end in _addresses(self.ends))

    def under(self, ends=()):
        """(pair, underlay) of each that is there, or of some of the ends."""
        return _each(("%s . %s" % (end.local, end.remote), end.entry["underlay"]) for end in _addresses(ends or self.ends))

    def tunnels(self):
        """(pair, the tunnel's name) of each that is there."""
        return _each(("%s . %s" % (end.local, end.remote), end.entry["name"]) for end in _addresses(self.ends))

    @property
    def carrier(self):
        """The expression for the same packets, and for those with other numbers."""
        return self.protocol.match.strip() or "udp dport %d" % self.ends[0].entry["port"]

    def numbers(self):
        """(number, the Ends that have it) of each that is there."""
        found: Dict[Any, List[End]] = {}
        for end in self.ends:
            found.setdefault(end.entry["number"], []).append(end)
        return tuple(found.items())

    @property
    def number_match(self):
        """The expression that a number is looked up by."""
        return _packing(self.ends[0].entry).number_match(self.ends[0].entry["port"])


class Family(NamedTuple):
    """The guard of the ends of one family."""

    digit: int
    protocols: Tuple[Protocol, ...]
    groups: Tuple[Group, ...]

    @property
    def ip(self):
        return "ip" if self.digit == 4 else "ip6"

    @property
    def key_type(self):
        return "ipv%d_addr . ipv%d_addr" % (self.digit, self.digit)


class Bridge(NamedTuple):
    """A bridge with tunnels. `limited` are those of its tunnels that have a storm limit; `number` is that of its chain."""

    number: int
    name: str
    entries: Tuple[Dict[str, Any], ...]

    @property
    def limited(self):
        return tuple(entry for entry in self.entries if entry["storm_limit"])

    @property
    def own(self):
        """(Ethernet address, the tunnel's name) of each that is there."""
        found: Dict[str, str] = {}
        for entry in self.entries:
            found.setdefault(entry["mac"], entry["name"])
        return tuple(found.items())

    @property
    def said(self):
        """Its tunnels, for the log."""
        names = [entry["name"] for entry in self.entries]
        return ", ".join(names) if len(names) <= NAMED else "%s and %d more" % (names[0], len(names) - 1)


class Clamp(NamedTuple):
    """Tunnels whose frames are clamped to the same MSS, at any moment; `number` is that of its chain."""

    number: int
    entries: Tuple[Dict[str, Any], ...]


class Fence(NamedTuple):
    """Tunnels that keep out the same; `number` is that of its chain."""

    number: int
    entries: Tuple[Dict[str, Any], ...]

    @property
    def vlans(self):
        return self.entries[0]["vlans"]

    @property
    def untagged(self):
        return self.entries[0]["untagged"]

    @property
    def block_dhcp(self):
        return self.entries[0]["block_dhcp"]


def guard(entries):
    """The Families of these entries, as far as there are ends of them."""
    numbers: Dict[Tuple[str, str], int] = {}
    ends = [
        End(entry, local, remote, numbers.setdefault((local, remote), len(numbers) + 1))
        for entry in entries
        for local, remote in entry["ends"]
    ]
    families = (_family(digit, [end for end in ends if end.entry["family"] == digit]) for digit in (4, 6))
    return tuple(family for family in families if family.protocols)


def counters(families):
    """The names of what counts for each pair of addresses: by GRE and UDP it is the same, and a VXLAN's senders have none."""
    protocols = [protocol for family in families for protocol in family.protocols]
    rows = [(pair, protocol.anybody) for protocol in protocols for _, pair in protocol.pairs()]
    rows += [(end.pair, protocol.anybody) for protocol in protocols for end in protocol.prefixes()]
    found = [("leaked_%d" % pair, "forged_%d" % pair) + (() if anybody else ("injected_%d" % pair,)) for pair, anybody in rows]
    return _each(name for names in found for name in names)


def _family(digit, ends):
    protocols = tuple(_protocol(digit, packing, own) for packing, own in _by(ends, lambda end: _packing(end.entry)))
    return Family(digit, protocols, tuple(group for protocol in protocols for group in _groups(digit, protocol)))


def _protocol(digit, packing, ends):
    """What is the same for all ends of an encapsulation."""
    if packing.udp_port is None:
        return Protocol("gre_v%d" % digit, "meta l4proto %d " % packing.protocol, "", "", packing.from_anybody, ends)
    return Protocol("udp_v%d" % digit, "", " . udp dport", " . inet_service", packing.from_anybody, ends)


def _groups(digit, protocol):
    for word, ends in _by(protocol.ends, lambda end: _packing(end.entry).group(end.entry["number"], end.entry["port"])):
        numbers = _each(end.entry["number"] for end in ends)
        match = _packing(ends[0].entry).match(numbers, ends[0].entry["port"])
        yield Group("%s_v%d" % (word, digit), match, protocol, ends)


def inward_rules(family, group):
    """nft(8)'s rules, one a line, by which packets of a Group that takes them from anybody come to the chains of its numbers."""
    protocol = f"meta nfproto ipv{family.digit} "
    chains = ", ".join(f"{number} : jump {group.name}_{number}" for number, _ in group.numbers())
    # From the address of many: a device that learnt that would send what is for everybody to the one site that it came from.
    yield f"{protocol}{group.match} {_packing(group.ends[0].entry).from_many} counter drop"
    yield f"{protocol}{group.number_match} vmap {{ {chains} }}"
    yield f"{protocol}{group.match} counter drop"


def bridges(entries):
    """The Bridges of these entries."""
    return tuple(Bridge(number, *row) for number, row in enumerate(_by(entries, lambda entry: entry["bridge"]), 1))


def clamps(entries):
    """The Clamps of these entries: by all that headers.mss() depends on."""
    some = [entry for entry in entries if entry["clamp"] == "nftables"]
    rows = _by(some, lambda entry: (entry["underlay"], entry["kind"], entry["family"], entry["number"] is None, entry["mtu"]))
    return tuple(Clamp(number, own) for number, (_, own) in enumerate(rows, 1))


def fences(entries):
    """The Fences of these entries."""
    some = [entry for entry in entries if entry["vlans"] is not None or entry["block_dhcp"]]
    rows = _by(some, lambda entry: (tuple(entry["vlans"] or ()), entry["vlans"] is None, entry["untagged"], entry["block_dhcp"]))
    return tuple(Fence(number, own) for number, (_, own) in enumerate(rows, 1))


def _addresses(ends):
    return [end for end in ends if not end.is_prefix]


def _packing(entry):
    return registry.KINDS[entry["kind"]][0]


def _by(things, key):
    """(key, those that have it) in the order of the first of each."""
    found: Dict[Any, List[Any]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return [(key, tuple(some)) for key, some in found.items()]


def _only(ends):
    underlay, *others = _each(end.entry["underlay"] for end in ends)
    return "" if others else underlay


def _each(things):
    """Each once, in order."""
    return tuple(dict.fromkeys(things))
