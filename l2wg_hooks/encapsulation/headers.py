"""Header arithmetic: what the headers take of the underlay's MTU, and the MSS that is left. Pure. All in bytes."""

# RFC 791, RFC 8200, RFC 9293, RFC 768: headers without options.
IP = {4: 20, 6: 40}
TCP, UDP, ETHERNET = 20, 8, 14
# IEEE 802.1Q
VLAN_TAG = 4
# Hops that the outer packet may take, whatever the inner one says: frames with TTL 1 (OSPF, RIP, IGMP) cross a WireGuard hub.
TTL = 64


def mss(tunnel, underlay_mtu, tags=0):
    """(MSS over IPv4, over IPv6) of TCP segments that cross the tunnel in one packet, in a frame with so many VLAN tags."""
    payload = min(tunnel.mtu, underlay_mtu - tunnel.overhead - tags * VLAN_TAG)
    return tuple(payload - IP[family] - TCP for family in (4, 6))
