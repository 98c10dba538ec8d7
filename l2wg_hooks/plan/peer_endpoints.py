"""Where the tunnels' peers were heard last is kept, and told to a WireGuard interface that knows no endpoint of one. Pure.

A peer without an endpoint in its file (it roams, or calls from behind a NAT) has none after a start of the interface. Until it
calls by itself nothing can be sent there; and it sends into its old session for 15 s before WireGuard begins anew
(KEEPALIVE_TIMEOUT and REKEY_TIMEOUT in drivers/net/wireguard/messages.h).
"""

from l2wg_hooks.config import endpoint_lines
from l2wg_hooks.config.allowed_ips import AllowedIPs, overlaps
from l2wg_hooks.model import Heard, Peer, Step
from l2wg_hooks.plan.commands import EXEC
from l2wg_hooks.typed import Dict, List, Tuple

Key = Tuple[str, str]
# Seconds. What is older is nobody's address any longer, or that of a stranger: a handshake that begins there tells them nothing,
# and gets no answer, but it is tried every 5 s as long as frames want to cross. Over a power cut or a holiday it may be right.
WEEK = 7 * 86400
# Seconds after which the time is written anew, where nothing else is: the disk may be flash.
DAY = 86400


def led(tunnels, peers) -> Dict[Key, Peer]:
    """{(WireGuard interface, public key): Peer} of the peers that have the tunnels' far ends, by AllowedIPs."""
    by = {name: AllowedIPs(these) for name, these in peers.items()}
    found: Dict[Key, Peer] = {}
    for tunnel in tunnels:
        if tunnel.underlay in by:
            for end in tunnel.reach():
                if tunnel.senders:
                    # Whoever may be one of them.
                    inside = [peer for peer in peers[tunnel.underlay] if overlaps(peer.allowed, tunnel.senders)]
                    found.update(((tunnel.underlay, peer.key), peer) for peer in inside)
                    continue
                for _, peer in by[tunnel.underlay].covering(end.remote):
                    found[tunnel.underlay, peer.key] = peer
                    break
    return found


def steps(tunnels, links, seen, leaving=(), rising=()):
    """A Step for each WireGuard interface with peers that have no endpoint, and were heard somewhere: it is told where.

    One that is up calls there at once, see _calling. One that is yet to come up, as those of `rising`, does so then if it is to
    keep a way open, and else with the first frame.
    """
    walled = {tunnel.underlay: tunnel.walled for tunnel in tunnels}
    there = {name for name, own in walled.items() if name in links and name not in leaving and bool(links[name].namespace) == own}
    found: Dict[str, List[str]] = {}
    for (name, key), peer in led(tunnels, seen.peers).items():
        last = seen.heard.get((name, key))
        if name in there and not peer.endpoint and last is not None and seen.now - last.when <= WEEK:
            is_up = links[name].up and name not in rising
            words = _calling(peer, last.endpoint) if is_up else ("peer", key, "endpoint", last.endpoint)
            found.setdefault(name, []).extend(words)
    for name, words in found.items():
        argv = (EXEC if walled[name] else ()) + ("wg", "set", name, *words)
        yield Step(argv, "called where they were heard last", f"peers of {name}", name if walled[name] else "")


def _calling(peer, endpoint):
    """Words of `wg set` for a Peer of an interface that is up: where it is, and WireGuard calls it there at once.

    It sends a packet to one that it is to keep a way open to from now on. Where it was told that before, it has called already,
    nowhere, and calls again 5 s later (last_sent_handshake in drivers/net/wireguard/send.c): such a peer is made anew, unless
    something would be lost.
    """
    words: Tuple[str, ...] = ("peer", peer.key, "endpoint", endpoint)
    if peer.keepalive is None:
        words += ("persistent-keepalive", "1", "peer", peer.key, "persistent-keepalive", "0")
    elif not peer.handshake and not peer.secret:
        words += ("allowed-ips", ",".join(peer.allowed), "persistent-keepalive", str(peer.keepalive))
        words = ("peer", peer.key, "remove") + words
    return words


def kept(tunnels, peers, heard, whole=True) -> Dict[Key, Heard]:
    """What is to be kept now, of what was `heard` until now and of `peers`; that itself where there is no reason to write it.

    Peers that no tunnel leads to are forgotten, unless not the `whole` wish is known.
    """
    lead, underlays = led(tunnels, peers), {tunnel.underlay for tunnel in tunnels}
    # Which peer it is of an interface that is not there, nobody can tell.
    found = {
        key: last for key, last in heard.items() if not whole or key in lead or (key[0] in underlays and key[0] not in peers)
    }
    news = {
        key: Heard(peer.endpoint, peer.handshake)
        for key, peer in lead.items()
        if peer.handshake and endpoint_lines.is_endpoint(peer.endpoint)
    }
    if len(found) == len(heard) and not any(_is_news(heard.get(key), last) for key, last in news.items()):
        return heard
    found.update(news)
    return found


def _is_news(before, now):
    return before is None or before.endpoint != now.endpoint or now.when - before.when > DAY
