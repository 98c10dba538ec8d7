"""Loop probes: a frame that nobody else sends. If it comes back to its bridge, there is a second way between the sites.

The rules of netfilter/nftables.py drop, count and log it there; see also check/runner.py.
"""

import socket

# Local Experimental EtherType 1 (IEEE 802, 9.2.3).
ETHERTYPE = b"\x88\xb5"
BROADCAST = b"\xff" * 6
# Without the frame check sequence (IEEE 802.3, 3.2.7).
FRAME_MIN = 60


def frame(tunnel, source=None):
    """The probe of a tunnel, from its Ethernet address or `source` (6 bytes): broadcast, so that every bridge passes it on."""
    source = source or bytes.fromhex(tunnel.mac.replace(":", ""))
    text = (f"l2wg loop probe {tunnel.name}").encode()
    return (BROADCAST + source + ETHERTYPE + text).ljust(FRAME_MIN, b"\0")


def send(tunnels, links):
    """Send one from the bridge of each tunnel that is wired up."""
    for tunnel in tunnels:
        link = links.get(tunnel.name)
        if link is None or not link.up or link.master != tunnel.bridge:
            continue
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as port:
                port.bind((tunnel.bridge, 0))
                port.send(frame(tunnel))
        except OSError:
            pass  # the bridge is down, or just gone: nothing can loop
