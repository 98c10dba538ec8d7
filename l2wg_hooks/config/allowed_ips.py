"""Which peer has an address: WireGuard's AllowedIPs, of which the longest prefix counts (wg(8)). Pure."""

import ipaddress

from l2wg_hooks.typed import Any, Dict, List, Tuple, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def networks(words):
    """The networks of words of AllowedIPs, such as "192.168.92.0/24". What is none is left to wg(8), which says so."""
    for word in words:
        try:
            yield ipaddress.ip_network(word, strict=False)
        except ValueError:
            continue


def overlaps(words, prefix):
    """Whether one of the words of AllowedIPs has an address of a prefix in it."""
    inner = ipaddress.ip_network(prefix)
    return any(network.version == inner.version and network.overlaps(inner) for network in networks(words))


class AllowedIPs:
    """Peers, to be found by address in a few steps, however many there are. They may be of any class that has `allowed`."""

    def __init__(self, peers):
        # {IP version: [(prefix length, {network as a number: [(network, peer)]}), longest first]}
        found: Dict[int, Dict[int, Dict[int, List[Tuple[Network, Any]]]]] = {4: {}, 6: {}}
        for peer in peers:
            for network in networks(peer.allowed):
                rows = found[network.version].setdefault(network.prefixlen, {})
                rows.setdefault(int(network.network_address), []).append((network, peer))
        self._by = {version: sorted(by.items(), reverse=True) for version, by in found.items()}

    def covering(self, address):
        """Yield (network, peer) of all that have an address: the longest prefix first, and of equal ones the first."""
        end = ipaddress.ip_address(address)
        bits, number = end.max_prefixlen, int(end)
        for length, rows in self._by[end.version]:
            yield from rows.get(number >> (bits - length) << (bits - length), ())
