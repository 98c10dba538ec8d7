"""What the versions of iproute2, nft(8) and the kernel have: one table of what l2wg uses, and what cannot be had without. Pure.

Debian 10 has iproute2 4.20 and nft 0.9.0, on Linux 5.10 of its backports (4.19 has no WireGuard); Debian 11 has 5.10, 0.9.8
and Linux 5.10; Debian 12 6.1, 1.0.6 and 6.1; Debian 13 6.15, 1.1.3 and 6.12. What a router has is not told by a version, it is
asked, but where a packet alone would show it.
"""

import json
import re

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

IP, NFT, KERNEL = "iproute2", "nft", "Linux"


class Feature(NamedTuple):
    """`since` is the first version of `tool` that has it, and `without` says what is not to be had where it is missing.

    It is asked for by `argv`, with `text` at its standard input; `json` where the answer must be that, too. Without `argv`
    nothing but a packet would show it, and a version has to do.
    `key` of l2wg.conf(5) needs it, and a tunnel's entry (netfilter/nftables.py) has `unused` where that key is not used.
    """

    name: str
    tool: str
    since: Tuple[int, ...]
    without: str
    argv: Tuple[str, ...]
    text: str = ""
    json: bool = False
    key: str = ""
    unused: Dict[str, object] = {}


# Loads nothing, and the kernel is asked, too. "-" is not a file to nft 0.9.0 in all of its builds.
CHECK = ("nft", "-c", "-f", "/dev/stdin")


def _block(kind, name, *lines):
    """A set, a map, a counter or a chain in a table."""
    return f"\t{kind} {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _chain(family, hook, *rules, sets=""):
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    head = f"table {family} l2wg_asks {{\n{sets}\tchain asks {{\n\t\ttype filter hook {hook} priority 0; policy accept;\n"
    return head + lines + "\t}\n}\n"


FEATURES = (
    Feature(
        "tables of the families inet and bridge",
        NFT,
        (0, 9, 0),
        "no tunnel is made: there is no guard",
        CHECK,
        "table inet l2wg_asks {\n}\ntable bridge l2wg_asks {\n}\n",
    ),
    Feature(
        "the guard's matches",
        NFT,
        (0, 9, 0),
        "no tunnel is made: there is no guard",
        CHECK,
        _chain(
            "inet",
            "input",
            'meta l4proto 47 ip daddr . ip saddr . iifname != { 192.0.2.1 . 192.0.2.2 . "wg0" }'
            " counter name ip daddr . ip saddr map @whose drop",
            "meta nfproto ipv4 udp dport 4789 @th,96,24 vmap { 5 : accept }",
            "meta nfproto ipv4 udp dport 4789 @th,96,24 { 5 } counter drop",
            "counter name ip saddr . ip daddr . udp dport map @at_port drop",
            "exthdr frag exists udp dport { 4789 } counter drop",
            sets=_block("counter", "forged_1")
            + _block("map", "whose", "type ipv4_addr . ipv4_addr : counter", 'elements = { 192.0.2.1 . 192.0.2.2 : "forged_1" }')
            + _block(
                "map",
                "at_port",
                "type ipv4_addr . ipv4_addr . inet_service : counter",
                'elements = { 192.0.2.1 . 192.0.2.2 . 4789 : "forged_1" }',
            ),
        ),
    ),
    Feature(
        "packets without a state",
        NFT,
        (0, 9, 0),
        "no tunnel is made: there is no guard",
        CHECK,
        _chain(
            "inet",
            "output",
            "@th,0,32 & 0x2000ffff == 0x00006558 meta l4proto 47 ip saddr . ip daddr @ends notrack",
            sets=_block("set", "ends", "type ipv4_addr . ipv4_addr", "elements = { 192.0.2.1 . 192.0.2.2 }"),
        ),
    ),
    Feature(
        "a frame's bridge",
        NFT,
        (0, 9, 0),
        "no tunnel is made: there is no loop detection",
        CHECK,
        _chain(
            "bridge",
            "prerouting",
            'meta ibrname vmap { "br0" : jump back }',
            sets=_block("counter", "loop-gretap1")
            + _block("map", "own", "type ether_addr : counter", 'elements = { 02:00:00:00:00:01 : "loop-gretap1" }')
            + _block("chain", "loop", "drop")
            + _block("chain", "back", "counter name ether saddr map @own jump loop"),
        ),
    ),
    Feature(
        "TCP's MSS set in frames",
        NFT,
        (0, 9, 0),
        "mss-clamp = nftables cannot be had (mss-clamp = iptables can)",
        CHECK,
        _chain(
            "bridge",
            "prerouting",
            "tcp flags & (syn | rst) == syn iifname vmap @clamped",
            sets=_block("chain", "clamp", "@nh,0,4 4 tcp option maxseg size set 1300")
            + _block("map", "clamped", "type ifname : verdict", 'elements = { "gretap1" : jump clamp }'),
        ),
        key="mss-clamp",
        unused={"clamp": "off"},
    ),
    Feature(
        "VLANs of frames",
        NFT,
        (0, 9, 0),
        "vlans cannot be had",
        CHECK,
        _chain(
            "bridge",
            "prerouting",
            "ether type 0x8100 vlan id != { 0, 10-19 } counter name iifname map @vlans drop",
            sets=_block("counter", "vlans-gretap1")
            + _block("map", "vlans", "type ifname : counter", 'elements = { "gretap1" : "vlans-gretap1" }'),
        ),
        key="vlans",
        unused={"vlans": None, "untagged": True},
    ),
    Feature(
        "ports and types in frames",
        NFT,
        (0, 9, 0),
        "dhcp = block cannot be had",
        CHECK,
        _chain("bridge", "prerouting", "@nh,0,4 4 udp dport 67-68 drop", "meta l4proto 58 @th,0,8 134 counter drop"),
        key="dhcp",
        unused={"block_dhcp": False},
    ),
    Feature(
        "sets that rules fill",
        NFT,
        (0, 9, 0),
        "storm-limit cannot be had",
        CHECK,
        _chain(
            "bridge",
            "prerouting",
            "update @stations { ether saddr }",
            "ether daddr != @stations limit rate over 100/second burst 100 packets counter drop",
            sets=_block("set", "stations", "type ether_addr", "size 65535", "timeout 300s"),
        ),
        key="storm-limit",
        unused={"storm_limit": None},
    ),
    Feature(
        "rules listed as JSON",
        NFT,
        (0, 9, 0),
        "a firewall of nft(8) is not walked: what names a port whose address moves must name its bridge, too",
        ("nft", "-j", "list", "ruleset"),
        json=True,
    ),
    Feature(
        "`ip route get` as JSON",
        IP,
        (5, 0),
        "nothing: the text, which all versions print, is read",
        ("ip", "-json", "route", "get", "127.0.0.1"),
        json=True,
    ),
    Feature("interfaces as JSON", IP, (4, 20), "nothing works", ("ip", "-json", "-details", "link", "show"), json=True),
    Feature(
        "policy rules by port",
        IP,
        (4, 17),
        "no VXLAN, and no GRE over IPv6: their packets would go without a way of their own",
        ("ip", "-json", "rule", "show", "ipproto", "udp", "dport", "4789"),
    ),
    Feature(
        "the interface that a packet comes from, after source NAT",
        KERNEL,
        (5, 7),
        "no tunnel is made: the guard would take its own packets for somebody else's",
        (),
    ),
) + tuple(
    Feature(name, KERNEL, since, without, ("modprobe", "-n", "-q", module))
    for name, since, without, module in (
        ("WireGuard", (5, 6), "no tunnel: Debian 10 needs the kernel of buster-backports", "wireguard"),
        *((kind.title, (4, 19), kind.without, kind.module) for _, kind in registry.KINDS.values()),
        ("iptables sees bridged frames", (4, 19), "no mss-clamp = iptables", "br_netfilter"),
    )
)


def is_old(feature, release):
    """Whether a kernel, as uname(2) calls it, is older than a Feature that nobody can be asked for."""
    found = re.match(r"([0-9]+)\.([0-9]+)", release)
    return bool(found and not feature.argv and tuple(map(int, found.groups())) < feature.since)


def has(feature, code, out):
    """Whether a router has a Feature that was asked for, by how that ended."""
    return code == 0 and (not feature.json or _is_json(out))


def _is_json(text):
    try:
        json.loads(text or "[]", strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def version(said):
    """The first number with dots in what `ip -V` or `nft --version` said; iproute2 had dates until 5.0."""
    found = re.search(r"[0-9]+(\.[0-9]+)+", said)
    date = re.search(r"iproute2-ss([0-9]{6})", said)
    return found.group() if found else f"of {date.group(1)}" if date else "?"


def since(feature):
    """Such as "nft 0.9.0"."""
    return "{} {}".format(feature.tool, ".".join(map(str, feature.since)))
