"""The nftables rule set of the tunnels: guard, clamp, fences, storm limit, loop detection. Pure, but for the template's text.

It comes in two parts. The *entries*, one a tunnel that is wished for, are all that the template sees. The *values* are
what can change from one moment to the next (MSS, the bridge's address): nft(8) variables, so that an event that loads
rules needs no template. Both are plain values that survive JSON.
"""

import re

from l2wg_hooks.config.schema import UNTAGGED
from l2wg_hooks.encapsulation import headers, registry
from l2wg_hooks.encapsulation.vxlan import UDP_PORT
from l2wg_hooks.netfilter import rule_groups, transit

STATIC = "/var/lib/l2wg/rules.nft"
FILE = "/run/l2wg.nft"
# What wg-quick(8) gives a WireGuard interface on an ordinary WAN, for one that is not there at this moment.
UNDERLAY_MTU = 1420
# RFC 9293, 3.7.1: 536 is what one has to assume; an underlay of 576 bytes needs less.
MSS_MIN = 256
# What a string of an entry may be made of: names, addresses, words of l2wg.conf(5). Nothing that nft(8) would obey.
_WORD = re.compile(r"[A-Za-z0-9_.:-]*\Z")
# An address, or a prefix of addresses.
_END = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?\Z")
# Keys of an entry that may be missing, as in a file that an older version of l2wg has left, and what it meant without them.
_NEW = {"forward": "", "port": UDP_PORT, "walled": False, "mtu": 1500, "transit": False}
_STRINGS = ("name", "kind", "underlay", "mac", "bridge", "clamp", "forward")
_NUMBERS = ("number", "port", "mtu", "storm_limit")
_VALUES = ("mss4", "mss6", "tagged4", "tagged6")
# Sets with such a name and a number are filled by rules: their elements are stations.
FILLED = ("here", "there", "elsewhere")
EMPTY = "add table inet l2wg\ndelete table inet l2wg\nadd table bridge l2wg\ndelete table bridge l2wg\n"


def entry(tunnel):
    """What the template has to know of a tunnel."""
    return {
        "name": tunnel.name,
        "kind": tunnel.kind,
        "family": tunnel.family,
        "underlay": tunnel.underlay,
        "walled": tunnel.walled,
        "ends": [[end.local, end.remote] for end in tunnel.reach()],
        "number": tunnel.number,
        # Without a meaning for GRE; older versions have noted one all the same.
        "port": UDP_PORT if tunnel.udp_port is None else tunnel.udp_port,
        "mtu": tunnel.mtu,
        "mac": tunnel.mac,
        "bridge": tunnel.bridge,
        "clamp": tunnel.mss_clamp,
        "forward": tunnel.forward,
        "vlans": None if tunnel.vlans == "all" else ranges(tunnel.vlans),
        "untagged": tunnel.vlans == "all" or UNTAGGED in tunnel.vlans.split(","),
        "block_dhcp": tunnel.dhcp == "block",
        "storm_limit": tunnel.storm_limit,
        "transit": tunnel.forwards,
    }


def value(tunnel, links):
    """What the rules of a tunnel depend on at this moment: MSS in bytes, the bridge's Ethernet address."""
    underlay = links.get(tunnel.underlay)
    known = underlay.mtu if underlay else UNDERLAY_MTU
    mss4, mss6 = headers.mss(tunnel, known)
    tagged4, tagged6 = headers.mss(tunnel, known, tags=1)
    found = {"mss4": mss4, "mss6": mss6, "tagged4": tagged4, "tagged6": tagged6}
    found = {key: max(MSS_MIN, number) for key, number in found.items()}
    return dict(found, bridge=bridge_address({"bridge": tunnel.bridge, "mac": tunnel.mac}, links))


def bridge_address(entry, links):
    """The Ethernet address of an entry's bridge; its own where there is none: then nothing comes that this could match."""
    bridge = links.get(entry["bridge"])
    return bridge.mac if bridge and bridge.kind == "bridge" else entry["mac"]


def complete(entry):
    """An entry of a file that an older version may have written, with the keys that are new since."""
    found = dict(_NEW, **entry)
    local, remote = found.pop("local", None), found.pop("remote", None)
    return dict({"ends": [[local, remote]]}, **found)


def fits(entry, value):
    """Whether what a file says is an entry, and its value: of the right types, and of harmless characters."""
    if not isinstance(entry, dict) or not isinstance(value, dict):
        return False
    vlans = entry.get("vlans", False)
    return (
        all(_is_word(entry.get(key)) for key in _STRINGS)
        and all(key in entry and (entry[key] is None or _is_number(entry[key])) for key in _NUMBERS)
        and entry.get("family") in (4, 6)
        and _is_packed(entry)
        and _are_ends(entry.get("ends"))
        and all(isinstance(entry.get(key), bool) for key in ("untagged", "block_dhcp", "walled", "transit"))
        and (vlans is None or (isinstance(vlans, list) and all(_is_word(vlan) for vlan in vlans)))
        and set(value) == set(_VALUES) | {"bridge"}
        and all(_is_number(value[key]) for key in _VALUES)
        and _is_word(value["bridge"])
    )


def _is_packed(entry):
    """Whether its encapsulation is one that we have, and what that needs is there."""
    packing, _ = registry.KINDS.get(entry["kind"], (None, None))
    return packing is not None and (packing.udp_port is None or None not in (entry["number"], entry["port"]))


def _are_ends(value):
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(end, list) and len(end) == 2 and all(isinstance(word, str) and _END.match(word) for word in end)
            for end in value
        )
    )


def _is_word(value):
    return isinstance(value, str) and bool(_WORD.match(value))


def _is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def ranges(text):
    """The VLANs of a list such as 10,20,30-39 as nft(8) takes them: sorted, no number in two of them."""
    wanted = []
    for part in text.split(","):
        # A tag with VLAN 0 tells a priority only: the frame is an untagged one (IEEE 802.1Q, 6.9).
        first, _, last = part.replace(UNTAGGED, "0").partition("-")
        wanted.append((int(first), int(last or first)))
    merged = []
    for first, last in sorted(wanted):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(last, merged[-1][1])
        else:
            merged.append([first, last])
    return ["%d" % first if first == last else "%d-%d" % (first, last) for first, last in merged]


def guarded(entries):
    """Those of the entries whose packets are among the router's own. What is in a network namespace of its own needs no guard."""
    return [entry for entry in entries if not entry["walled"]]


def render(entries):
    """The text of STATIC for these entries. It takes away all that was loaded before."""
    from l2wg_hooks import templates  # slow to start, and most events find their rules in force

    families = rule_groups.guard(guarded(entries))
    bridges, clamps, fences = (make(entries) for make in (rule_groups.bridges, rule_groups.clamps, rule_groups.fences))
    fence_of = {entry["name"]: "fence_%d" % fence.number for fence in fences for entry in fence.entries}
    numbers = {entry["name"]: number for number, entry in enumerate(entries, 1)}
    limited = [entry["name"] for entry in entries if entry["storm_limit"]]
    fenced = [(name, chain) for name, chain in fence_of.items() if name not in limited]
    return templates.render(
        "rules.j2",
        empty=EMPTY,
        families=families,
        counters=rule_groups.counters(families),
        inward_rules=rule_groups.inward_rules,
        transits=transit.of(guarded(entries)),
        ports6=sorted(_open_ports(families)),
        bridges=bridges,
        clamps=clamps,
        fences=fences,
        fence_of=fence_of,
        fenced=(
            ("vlans", [entry for entry in entries if entry["vlans"] is not None]),
            ("dhcp", [entry for entry in entries if entry["block_dhcp"]]),
        ),
        numbers=numbers,
        # (interface, the chain for its frames)
        of_bridges=[(bridge.name, "bridge_%d" % bridge.number) for bridge in bridges],
        arriving=[(name, "from_%d" % numbers[name]) for name in limited] + fenced,
        leaving=[(name, "to_%d" % numbers[name]) for name in limited] + fenced,
        clamped=[(entry["name"], "mss_%d" % clamp.number) for clamp in clamps for entry in clamp.entries],
    )


def _open_ports(families):
    """The UDP ports at which a tunnel between IPv6 addresses takes packets from any sender."""
    groups = [group for family in families if family.digit == 6 for group in family.groups]
    return {end.entry["port"] for group in groups if group.protocol.anybody for end in group.ends}


def load(entries, values):
    """The text of FILE that brings `entries`, whose rules are in STATIC, into force with `values` ({name: value})."""
    lines = []
    for bridge in rule_groups.bridges(entries):
        lines.append("define bridge_%d = %s\n" % (bridge.number, values[bridge.entries[0]["name"]]["bridge"]))
    for clamp in rule_groups.clamps(entries):
        for key in _VALUES:
            # One whose file cannot be read has those of the moment when it could; a smaller MSS is never wrong.
            number = min(values[entry["name"]][key] for entry in clamp.entries)
            lines.append("define %s_%d = %d\n" % (key, clamp.number, number))
    return "".join(lines) + f'include "{STATIC}"\n'


def shape(text):
    """{(family, chain or set): number of rules, or of elements} of our tables.

    In a text for nft(8) as the template makes it, or as nft(8) lists it: both have one rule a line.
    """
    found, family, chain = {}, "", None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            family = words[1]
        elif words[:1] == ["chain"]:
            chain = (family, words[1])
            found[chain] = 0
        elif words == ["}"]:
            chain = None
        elif chain and words and words[0] != "type" and not words[0].startswith("#"):
            found[chain] += 1
    for family, table in re.findall(r"^table (\w+) l2wg \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE):
        for name, elements in re.findall(r"\t(?:set|map) (\S+) \{[^}]*?\selements = \{([^}]*)\}", table):
            if name.partition("_")[0] not in FILLED:
                found[family, name] = elements.count(",") + 1
    return found
