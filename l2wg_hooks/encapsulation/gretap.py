"""GRE with Ethernet in it (RFC 2784, RFC 2890): gretap, and between IPv6 addresses the kernel's ip6gretap."""

import struct

from l2wg_hooks.encapsulation import base

# Bytes: RFC 2784 and, for the key, RFC 2890.
HEADER, KEY = 4, 4
# Transparent Ethernet bridging: of GRE packets, those that carry frames. Bits of the 16 before it.
ETHERNET, KEYED, CHECKSUM = 0x6558, 0x2000, 0x8000


class Gretap(base.Encapsulation):
    name = "gretap"
    kinds = {
        # Only IPv4's has ignore-df: ip6_tnl_xmit in net/ipv6/ip6_tunnel.c drops or bounces what does not fit the route.
        4: base.LinkKind("gretap", "ip_gre", "GRE over IPv4", "no encapsulation = gretap", "ttl", False),
        6: base.LinkKind(
            "ip6gretap", "ip6_gre", "GRE over IPv6", "no encapsulation = gretap between IPv6 addresses", "hoplimit", True
        ),
    }
    number_word, number_max = "key", 2**32 - 1
    exclusive_words = "ends and key"
    # ip/link_gre.c, ip/link_gre6.c
    options = {
        "tos": ("tos", (0, "0", "0x0", "0x00")),
        "tclass": ("tclass", (0, "0", "0x0", "0x00")),
        "flowlabel": ("flowlabel", (0, "0", "0x0", "0x00000")),
        "iseq": ("iseq", (False,)),
        "oseq": ("oseq", (False,)),
        "icsum": ("icsum", (False,)),
        "ocsum": ("ocsum", (False,)),
        "encap_limit": ("encaplimit", ()),
        "ip6_tnl_f_use_orig_tclass": ("tclass inherit", (False,)),
        "ip6_tnl_f_use_orig_flowlabel": ("flowlabel inherit", (False,)),
        "ip6_tnl_f_rcv_dscp_copy": ("dscp inherit", (False,)),
        "ip6_tnl_f_use_orig_fwmark": ("fwmark inherit", (False,)),
        "fwmark": ("fwmark", (0, "0", "0x0")),
        "encap": ("encap", ({},)),
        "external": ("external", (False,)),
    }

    def header(self, key):
        return HEADER + (0 if key is None else KEY)

    def exclusive(self, underlay, local, remote, number, port):
        return (underlay, local, remote, number)  # ip_tunnel_find in net/ipv4/ip_tunnel.c

    def link_words(self, tunnel):
        # dev: nothing leaves by another route when the underlay goes.
        words = ["local", tunnel.local, "remote", tunnel.remote, "dev", tunnel.underlay]
        if tunnel.key is not None:
            words += ["key", str(tunnel.key)]
        # A full-size frame is fragmented, since a bridge cannot say "too big". GRE over IPv6 cannot: plan/policy_routes.py.
        return words + (["nopmtudisc", "ignore-df"] if tunnel.family == 4 else ["encaplimit", "none"])

    def fixed(self, tunnel, link):
        found = super().fixed(tunnel, link)
        return found + ((("pmtudisc", link.pmtudisc, False), ("ignore-df", link.ignore_df, True)) if tunnel.family == 4 else ())

    def group(self, number, port):
        return "gretap" if number is None else "gretap_keyed"

    def match(self, numbers, port):
        word = ETHERNET if None in numbers else KEYED << 16 | ETHERNET
        # The protocol is in bits 16 to 31, whether there is a key in bit 2.
        return "@th,0,32 & 0x%08x == 0x%08x meta l4proto %d" % (KEYED << 16 | 0xFFFF, word, base.GRE)

    def decode(self, data):
        flags, protocol = struct.unpack_from("!HH", data)
        if protocol != ETHERNET:
            return None
        place = 8 if flags & CHECKSUM else 4
        return (struct.unpack_from("!I", data, place)[0] if flags & KEYED else None,)


GRETAP = Gretap()
