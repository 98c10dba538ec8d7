"""The guard of own wires: which far end may send to which VXLAN, in the network namespace of l2wg, and to whom by it. Pure.

Nothing but WireGuard brings packets in there, and GRE's the kernel takes from the tunnel's far end only. A VXLAN takes frames
from all whom WireGuard lets in, such as a site that is in another tunnel's list, and learns from them where stations are. Where
this router is the hub of a net, the packets from one site to another are all that is forwarded in there (transit.py).
"""

import zlib

from l2wg_hooks.netfilter import nftables, rule_groups, transit

FILE = "/run/l2wg.inside.nft"
LIST = ("nft", "-s", "list", "table", "inet", "l2wg")
_EMPTY = "add table inet l2wg\ndelete table inet l2wg\n"


def needed(tunnel):
    """Whether a tunnel has to be guarded in there."""
    return tunnel.walled and tunnel.packing.from_anybody


def text(tunnels):
    """The rules, for nft(8), that guard those of the tunnels that need it; "" where none does."""
    entries = [nftables.entry(tunnel) for tunnel in tunnels if needed(tunnel)]
    if not entries:
        return ""
    chains, rows, ports = "", "", []
    for family in rule_groups.guard(entries):
        for group in family.groups:
            rows += "".join(f"\t\t{row}\n" for row in rule_groups.inward_rules(family, group))
            for number, ends in group.numbers():
                named = ", ".join(f'{pair} . "{name}"' for pair, name in group.under(ends))
                accept = f"{family.ip} daddr . {family.ip} saddr . iifname {{ {named} }} accept"
                chains += f"\tchain {group.name}_{number} {{\n\t\t{accept}\n\t}}\n"
        ports += sorted({end.entry["port"] for group in family.groups for end in group.ends} if family.digit == 6 else ())
    if ports:
        # As in the rules of the router itself: the VNI may not be in sight yet.
        rows += "\t\texthdr frag exists udp dport { %s } counter drop\n" % ", ".join(map(str, ports))
    sets, forwarded = transit.inside(entries)
    body = "%s\tchain from_outside {\n\t\ttype filter hook input priority 300; policy accept;\n%s\t}\n" % (chains, rows)
    body = sets + body + forwarded
    # An empty chain is the name of what was loaded.
    return "%stable inet l2wg {\n\tchain %s {\n\t}\n%s}\n" % (_EMPTY, _stamp(body), body)


def _stamp(body):
    return f"is_{zlib.crc32(body.encode()):08x}"


def stands(wanted, listing):
    """Whether what LIST prints is what `text` gave: no rule is missing, nor is there one more."""
    return nftables.shape(listing) == nftables.shape(wanted)
