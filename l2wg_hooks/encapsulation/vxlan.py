"""VXLAN (RFC 7348)."""

import struct

from l2wg_hooks.encapsulation import base
from l2wg_hooks.encapsulation.headers import UDP

# Bytes.
HEADER = 8
# The UDP port that IANA has for VXLAN.
UDP_PORT = 4789
# ip-link(8)'s word for a device whose table somebody else fills.
NOLEARNING = "nolearning"


class Vxlan(base.Encapsulation):
    name = "vxlan"
    # skb_tunnel_check_pmtu in net/ipv4/ip_tunnel_core.c drops or bounces what does not fit the route.
    kinds = dict.fromkeys((4, 6), base.LinkKind("vxlan", "vxlan", "VXLAN", "no encapsulation = vxlan", "ttl", True))
    udp_port = UDP_PORT
    # The kernel's own default, from before (drivers/net/vxlan/vxlan_core.c), which older systems and other software have.
    peer_ports = (UDP_PORT, 8472)
    # The VXLAN network identifier has 24 bits. Empty `key`: a number that both routers come to by themselves.
    number_word, number_max, number_default = "VNI", 2**24 - 1, 1
    exclusive_words = "VNI and port"
    # That would cap its MTU: plan/policy_routes.py leads its packets instead.
    bound = False
    from_anybody = True
    # 22 bytes into the UDP datagram; older kernels learn it (vxlan_snoop in drivers/net/vxlan/vxlan_core.c).
    from_many = "@th,176,8 & 0x01 == 0x01"
    floods = True
    # ip/link_vxlan.c
    options = {
        "tos": ("tos", (0, "0", "0x0", "0x00")),
        "label": ("flowlabel", (0, "0x0")),
        "external": ("external", (False,)),
        "learning": (NOLEARNING, (True,)),
        "df": ("df", ("unset", 0)),
        "udp_csum": ("noudpcsum", (True,)),
        "udp_zero_csum6_tx": ("udp6zerocsumtx", (False,)),
        "udp_zero_csum6_rx": ("udp6zerocsumrx", (False,)),
        "remcsum_tx": ("remcsumtx", (False,)),
        "remcsum_rx": ("remcsumrx", (False,)),
        "gbp": ("gbp", (False,)),
        "gpe": ("gpe", (False,)),
        "limit": ("maxaddress", (0,)),
    }

    def header(self, key):
        return UDP + HEADER

    def exclusive(self, underlay, local, remote, number, port):
        family = 6 if ":" in (local or remote) else 4
        return (family, number, port)  # vxlan_exists in drivers/net/vxlan/vxlan_core.c

    def link_words(self, tunnel):
        # With a `remote`, that would be the first of its flood list, and could not be taken out.
        ends = ["local", tunnel.local] + (["remote", tunnel.remote] if tunnel.remote else [])
        return ["id", str(tunnel.number)] + ends + ["dstport", str(tunnel.udp_port), NOLEARNING if tunnel.senders else "learning"]

    def fixed(self, tunnel, link):
        rows = super().fixed(tunnel, link) + (("UDP port", link.port, tunnel.udp_port),)
        learning = ("learning", "off" if NOLEARNING in link.odd else "on", "off")
        return rows + (learning,) if tunnel.senders else rows

    def wished(self, tunnel):
        return (NOLEARNING,) if tunnel.senders else ()

    def group(self, number, port):
        return "vxlan_%d" % port

    def match(self, numbers, port):
        return "%s { %s }" % (self.number_match(port), ", ".join("%d" % number for number in numbers))

    def number_match(self, port):
        # The VNI is 12 bytes into the UDP datagram.
        return "udp dport %d @th,96,24" % port

    def decode(self, data):
        return (struct.unpack_from("!I", data, UDP + 4)[0] >> 8,)


VXLAN = Vxlan()
