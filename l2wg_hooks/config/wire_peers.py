"""The peers that tunnels come with, as WireGuard is told of them. Pure.

A tunnel's peers are the sites that it leads to. Where the packets to some go by another one, the hub, WireGuard has a single
peer for all of these, and their addresses are among its AllowedIPs.
"""

from l2wg_hooks.config.allowed_ips import networks
from l2wg_hooks.typed import Dict, List


def of(tunnel):
    """PeerWishes: the `peers` of a Tunnel that have a peer of WireGuard each, with the AllowedIPs of those that they lead to."""
    beyond: Dict[str, List[str]] = {}
    for peer in tunnel.peers:
        if peer.by:
            beyond.setdefault(peer.by, []).extend(peer.allowed)
    if not beyond and not any(peer.network for peer in tunnel.peers):
        return tunnel.peers
    return tuple(peer._replace(allowed=_allowed(peer, beyond.get(peer.key, ()))) for peer in tunnel.peers if not peer.by)


def _allowed(peer, beyond):
    """The AllowedIPs of a peer that leads to addresses beyond it, by its network where there is one, and else one by one."""
    every = (*peer.allowed, *beyond)
    if not peer.network:
        return every
    (outer,) = networks([peer.network])
    inside = [network for network in networks(every) if network.version == outer.version and network.subnet_of(outer)]
    covered = set(map(str, inside))
    return (peer.network, *(word for word in every if word not in covered))
