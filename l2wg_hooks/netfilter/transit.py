"""The packets that a hub forwards from one site to another: which are let pass, and which ones nobody may send. Pure.

They are those of a VXLAN whose far ends reach each other by this router, in by its WireGuard interface and out by the same one.
"""

from l2wg_hooks.typed import Any, Dict, List, NamedTuple, Tuple

# Behind the first fragment there is no UDP header, and without the first one nobody makes anything of the others.
_LATER = {4: "ip frag-off & 0x1fff != 0", 6: "frag frag-off != 0"}


class Transit(NamedTuple):
    """Of one tunnel's entry: `name` is that of the set of its far ends."""

    name: str
    entry: Dict[str, Any]

    @property
    def underlay(self):
        return self.entry["underlay"]

    @property
    def digit(self):
        """Of the family of its addresses."""
        return self.entry["family"]

    @property
    def ip(self):
        return "ip" if self.digit == 4 else "ip6"

    @property
    def ends(self):
        """The far ends, each once."""
        return tuple(dict.fromkeys(remote for _, remote in self.entry["ends"]))

    @property
    def is_prefix(self):
        """Whether it is for all of a prefix, and there is no set."""
        return any("/" in end for end in self.ends)

    def matches(self):
        """nft(8)'s expressions for the packets from one far end to another: whole ones, and all fragments but the first."""
        between = f"{self.ip} saddr @{self.name} {self.ip} daddr @{self.name}"
        if self.is_prefix:
            # This router's own address is in there, too, and what it sends or gets itself is for the other chains.
            (local, remote), *_ = self.entry["ends"]
            between = " ".join(f"{self.ip} {word} {remote} {self.ip} {word} != {local}" for word in ("saddr", "daddr"))
        yield f"{between} udp dport {self.entry['port']}"
        yield f"{between} meta l4proto udp {_LATER[self.digit]}"


def of(entries) -> Tuple[Transit, ...]:
    """The Transits of entries, as nftables.entry makes them."""
    some = [entry for entry in entries if entry["transit"]]
    return tuple(Transit("beyond_%d" % number, entry) for number, entry in enumerate(some, 1))


def inside(entries):
    """(sets, chain) of the text for nft(8) where nothing else is forwarded: the network namespace of l2wg. "" for none."""
    sets: List[str] = []
    rows: List[str] = []
    for transit in of(entries):
        sets.append(
            "\tset %s {\n\t\ttype ipv%d_addr\n\t\telements = { %s }\n\t}\n"
            % (transit.name, transit.digit, ",\n\t\t\t     ".join(transit.ends))
        )
        way = f'iifname "{transit.underlay}" oifname "{transit.underlay}"'
        rows += [f"\t\t{way} {match} accept\n" for match in transit.matches()]
    if not rows:
        return "", ""
    head = "\tchain transit {\n\t\ttype filter hook forward priority 0; policy drop;\n"
    return "".join(sets), head + "".join(rows) + "\t}\n"
