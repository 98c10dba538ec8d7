"""Loop probes: a frame that nobody else sends. If it comes back to its bridge, there is a second way between the sites.

The rules of netfilter/nftables.py drop, count and log it there; see also check/runner.py.
"""

from l2wg_hooks.system import raw_socket

# Local Experimental EtherType 1 (IEEE 802, 9.2.3).
ETHERTYPE = b"\x88\xb5"
BROADCAST = b"\xff" * 6
# Without the frame check sequence (IEEE 802.3, 3.2.7).
FRAME_MIN = 60


def frame(tunnel, source=None):
    """The probe of a tunnel, from its Ethernet address or `source` (6 bytes): broadcast, so that every bridge passes it on."""
    return _frame(tunnel.name, source or bytes.fromhex(tunnel.mac.replace(":", "")))


def _frame(name, source):
    text = (f"l2wg loop probe {name}").encode()
    return (BROADCAST + source + ETHERTYPE + text).ljust(FRAME_MIN, b"\0")


def send(tunnels, links):
    """Send one from each bridge that has a tunnel."""
    for tunnel in _wired(tunnels, links):
        _send(tunnel.bridge, frame(tunnel))


def words(tunnels, links):
    """What `again` needs to send the same: a word BRIDGE/MAC/NAME for each."""
    return tuple(f"{tunnel.bridge}/{tunnel.mac}/{tunnel.name}" for tunnel in _wired(tunnels, links))


def again(told):
    """Send what `words` told of."""
    for word in told:
        bridge, mac, name = word.split("/")
        _send(bridge, _frame(name, bytes.fromhex(mac.replace(":", ""))))


def _wired(tunnels, links):
    """The first tunnel of each bridge that is a port of it, and up.

    A bridge floods its probe to all of its ports: one of each tunnel would be a million packets with a thousand of them.
    """
    wired = [tunnel for tunnel in tunnels if _is_wired(tunnel, links.get(tunnel.name))]
    return {tunnel.bridge: tunnel for tunnel in reversed(wired)}.values()


def _is_wired(tunnel, link):
    return link is not None and link.up and link.master == tunnel.bridge


def _send(bridge, data):
    try:
        with raw_socket.Socket(raw_socket.AF_PACKET, raw_socket.SOCK_RAW) as port:
            port.bind((bridge, 0))
            port.send(data)
    except OSError:
        pass  # the bridge is down, or just gone: nothing can loop
