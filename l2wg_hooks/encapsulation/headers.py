"""Header arithmetic: what an encapsulation takes of the underlay's MTU, and the MSS that is left. Pure. All in bytes."""

# RFC 791, RFC 8200, RFC 9293, RFC 768: headers without options.
IP = {4: 20, 6: 40}
TCP, UDP, ETHERNET = 20, 8, 14
# RFC 2784 and, for the key, RFC 2890; RFC 7348.
GRE, GRE_KEY, VXLAN = 4, 4, 8
# IEEE 802.1Q
VLAN_TAG = 4
# Hops that the outer packet may take, whatever the inner one says: frames with TTL 1 (OSPF, RIP, IGMP) cross a WireGuard hub.
TTL = 64


def overhead(tunnel):
    """From the payload of the largest frame to the packet that the underlay carries."""
    if tunnel.encapsulation == "vxlan":
        return IP[tunnel.family] + UDP + VXLAN + ETHERNET
    return IP[tunnel.family] + GRE + (0 if tunnel.key is None else GRE_KEY) + ETHERNET


def mss(tunnel, underlay_mtu, tags=0):
    """(MSS over IPv4, over IPv6) of TCP segments that cross the tunnel in one packet, in a frame with so many VLAN tags."""
    payload = min(tunnel.mtu, underlay_mtu - overhead(tunnel) - tags * VLAN_TAG)
    return tuple(payload - IP[family] - TCP for family in (4, 6))
