"""Two hubs of a star out of /etc/l2wg/sites: both have one more address inside WireGuard, and a site listens to one. Pure.

Which one says WireGuard itself: the hubs' common address is among the AllowedIPs of one peer, and never of two. What the other
hub sends in its name is dropped there, as is all that a peer sends whose address it is not.
"""

from l2wg_hooks.config import schema, site_names, site_tunnels, terms, wg_quick_peers
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.model import Tunnel
from l2wg_hooks.typed import Tuple


def tunnel(net, own, other, hubs, wire, path):
    """The Tunnel between a site and both hubs, as `own` has it; None between the hubs. Raises Refused."""
    at_hub = own.name in net.hubs
    if at_hub and other.name in net.hubs:
        return None
    name = site_names.tunnel(other.name) if at_hub else site_names.HUBS
    schema.tunnel_name(name)
    values = dict(net.values)
    values.update(site_tunnels.of_line(net, own, other).values)
    both = _both(net, hubs)
    ends = [both if site.name in net.hubs else site.card for site in (own, other)]
    agreed = terms.find(*(site_tunnels.asked(card, values) for card in ends))
    return Tunnel(
        name,
        wire.underlay,
        agreed.local,
        agreed.remote,
        encapsulation=agreed.encapsulation,
        key=agreed.number,
        mtu=agreed.mtu,
        wire="own" if wire.walled else "shared",
        site=other.name if at_hub else "",
        peers=(site_tunnels.peer_of(own, other, agreed.remote),) if at_hub else _peers(net, own, hubs),
        hub_address=net.hub_address,
        own_site=own.name if at_hub else "",
        path=path,
        lines={"": other.line if at_hub else net.line, **site_tunnels.lines_of(own)},
        **site_tunnels.alike(net, own, values),
    )


def _both(net, hubs):
    """A Card that stands for both hubs: each site, and each hub, comes to the same by it."""
    card = hubs[0].card
    # A number that follows from it stays when a hub's key changes.
    return card._replace(key=net.hub_address, endpoint="", addresses=(net.hub_address,), mtu=min(hub.card.mtu for hub in hubs))


def _peers(net, own, hubs):
    """PeerWishes of both hubs, in the order of the net's line; the first one is listened to."""
    found = []
    for hub in sorted(hubs, key=lambda site: net.hubs.index(site.name)):
        addresses = [word for word in hub.card.addresses if (":" in word) == (":" in net.hub_address)]
        if not addresses:
            raise Refused(f"{hub.name} has no address of the family of hub-address", "give it one inside WireGuard")
        peer = site_tunnels.peer_of(own, hub, addresses[0])
        found.append(peer._replace(site=hub.name))
    return listening(tuple(found), net.hub_address, found[0].key)


def listening(peers, address, key):
    """The PeerWishes of both hubs, of which the one with this public key, or former one, has their common address."""
    word = wg_quick_peers.host(address)
    bare = [peer._replace(allowed=tuple(own for own in peer.allowed if own != word)) for peer in peers]
    return tuple(peer._replace(allowed=peer.allowed + (word,)) if key in (peer.key, peer.was) else peer for peer in bare)


def chosen(tunnels: Tuple[Tunnel, ...], key):
    """The Tunnels, where the one to two hubs listens to the hub with this public key, if there is one."""
    return tuple(
        tunnel._replace(peers=listening(tunnel.peers, tunnel.hub_address, key))
        if key and tunnel.has_hubs and any(key in (peer.key, peer.was) for peer in tunnel.peers)
        else tunnel
        for tunnel in tunnels
    )


def listened(tunnel):
    """The PeerWish of the hub that a Tunnel listens to."""
    word = wg_quick_peers.host(tunnel.hub_address)
    return next(peer for peer in tunnel.peers if word in peer.allowed)
