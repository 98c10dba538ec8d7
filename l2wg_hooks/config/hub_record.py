"""What the sh script that looks whether hubs answer (etc/l2wg/hubs) has to know; there only where this router has two of them.

WIREGUARD shared|own ADDRESS    this router's own address, by which the hubs know it
KEY[,FORMER] ADDRESS            of the hub that is listened to, and its own address inside WireGuard
KEY[,FORMER] ADDRESS            of the other one; FORMER while it changes its key
"""

from l2wg_hooks.config import site_hubs
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files, ip_routes

PATH = "/run/l2wg.hubs"


def text(tunnels):
    """The file's text for these Tunnels; "" where none leads to two hubs."""
    for tunnel in tunnels:
        if tunnel.has_hubs and ip_routes.is_plain(tunnel.underlay):
            first = site_hubs.listened(tunnel)
            peers = [first] + [peer for peer in tunnel.peers if peer.key != first.key]
            rows = [f"{tunnel.underlay} {tunnel.wire} {tunnel.local}"]
            rows += [",".join(filter(None, (peer.key, peer.was))) + " " + own(peer, tunnel) for peer in peers]
            return "".join(row + "\n" for row in rows)
    return ""


def own(peer, tunnel):
    """The address of a hub that the other one has not."""
    return next(address for address in peer.ends if address != tunnel.hub_address)


def keep(tunnels):
    """Keep it; nobody is told where that fails."""
    wanted = text(tunnels)
    try:
        if wanted != files.kept(PATH):
            files.keep(PATH, wanted)
    except L2wgError:  # a full /run: then nobody looks
        pass
