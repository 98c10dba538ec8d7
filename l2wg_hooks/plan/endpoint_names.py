"""Peers that are called by a DNS name: whose name is asked for anew, and where they are called then. Pure.

WireGuard takes addresses; wg(8) resolves a name once, when it is told of it. So where the name has another address later, or had
none then, the peer is called in vain, or not at all. The rule is that of reresolve-dns.sh in wireguard-tools.
"""

from l2wg_hooks.config import endpoint_lines, endpoint_names, wg_quick_peers
from l2wg_hooks.plan import peer_endpoints
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

# Seconds: a peer that answers has a new handshake every 120, and tries for some more (REKEY_AFTER_TIME and REKEY_TIMEOUT in
# drivers/net/wireguard/messages.h).
STALE = 135


class Call(NamedTuple):
    """A peer that does not answer, and that its file calls by `name` and `port`; `endpoint` is where it is called now."""

    underlay: str
    key: str
    name: str
    port: str
    endpoint: str


def wanted(tunnels, texts):
    """{WireGuard interface: {public key: (name, port)}} of the peers that tunnels lead to; `texts` are wg-quick(8)'s files.

    Those that tunnels come with, too.
    """
    named = {underlay: endpoint_names.named(text) for underlay, text in texts.items()}
    peers = {underlay: wg_quick_peers.sections(texts[underlay]) for underlay, these in named.items() if these}
    found: Dict[str, Dict[str, Tuple[str, str]]] = {}
    for underlay, key in peer_endpoints.led(tunnels, peers):
        if key in named[underlay]:
            found.setdefault(underlay, {})[key] = named[underlay][key]
    for tunnel in tunnels:
        written = {section.key for section in wg_quick_peers.sections(texts.get(tunnel.underlay, ""))} if tunnel.peers else ()
        for peer in tunnel.peers:
            where = endpoint_names.split(peer.endpoint)
            # What is in a file is called as that says.
            for key in (peer.key, peer.was) if where[0] else ():
                if key and key not in written:
                    found.setdefault(tunnel.underlay, {})[key] = where
    return found


def late(tunnels, peers, names, now):
    """The Calls of the tunnels' peers whose handshake is older than STALE, or that never had one.

    `names` are {WireGuard interface: {public key: (name, port)}}. A handshake in the future is one of another clock.
    """
    found = []
    for (underlay, key), peer in peer_endpoints.led(tunnels, peers).items():
        name, port = names.get(underlay, {}).get(key, ("", ""))
        if name and abs(now - peer.handshake) > STALE:
            found.append(Call(underlay, key, name, port, peer.endpoint))
    return found


def targets(call, addresses):
    """The endpoints that a Call may go to, the one that wg(8) would take first: `addresses` are what its name means now."""
    found = [f"[{address}]:{call.port}" if ":" in address else f"{address}:{call.port}" for address in addresses]
    return [endpoint for endpoint in found if endpoint_lines.is_endpoint(endpoint)]


def chosen(call, reachable):
    """Where a Call is to go, of its targets that a route leads to: where it goes already, if it can. "" for nowhere."""
    if call.endpoint in reachable:
        return call.endpoint
    return reachable[0] if reachable else ""
