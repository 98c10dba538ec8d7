"""The links of a router, looked through once: what is asked for each tunnel takes one step, however many there are. Pure."""

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.model import NAMESPACE, Link
from l2wg_hooks.typed import Dict, List, Optional, Set, Tuple


class LinkIndex:
    """{name: Link} as `links`; `there` is the same without those that are `leaving`, which counts for addresses."""

    def __init__(self, links: Dict[str, Link], leaving=()):
        self.links = links
        self.there = {name: link for name, link in links.items() if name not in leaving} if leaving else links
        # Whether the kernel has IPv6.
        self.ipv6 = any(link.ipv6 for link in links.values())
        self._holders: Dict[str, List[Tuple[Link, str]]] = {}
        self._held: Set[Tuple[str, str]] = set()
        for link in self.there.values():
            for word in link.addresses:
                address = word.partition("/")[0]
                self._holders.setdefault(address, []).append((link, word))
                self._held.add((link.name, address))
                if not link.namespace:
                    self._held.add(("", address))
        self._inhabited: Optional[List[str]] = None
        self._once: Dict[tuple, Link] = {}
        for link in links.values():
            if link.kind in registry.KINDS:
                packing, _ = registry.KINDS[link.kind]
                self._once.setdefault((link.kind, link.link_netns, packing.exclusive(*link.identity)), link)

    def holders(self, address):
        """[(Link, the address with its prefix length)] of those that have an IP address."""
        return self._holders.get(address, [])

    def inhabited(self):
        """The names of the interfaces that have addresses, but for the loopback, sorted."""
        if self._inhabited is None:
            self._inhabited = sorted(link.name for link in self.there.values() if link.addresses and link.name != "lo")
        return self._inhabited

    def is_local(self, tunnel):
        """Whether this router has the address that the tunnel's packets come from, where they come from."""
        return (tunnel.underlay if tunnel.walled else "", tunnel.local) in self._held

    def excluding(self, tunnel):
        """The Link beside which the kernel does not make a tunnel that is not there; None where there is none."""
        netns = NAMESPACE if tunnel.walled else ""
        return self._once.get((tunnel.kind, netns, tunnel.packing.exclusive(*tunnel.identity)))


def members(links):
    """{bridge: [Link of each port]}."""
    found: Dict[str, List[Link]] = {}
    for link in links.values():
        if link.master:
            found.setdefault(link.master, []).append(link)
    return found
