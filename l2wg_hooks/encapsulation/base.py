"""What l2wg has to know of an encapsulation: one class here, one module for each of them, and registry.py. Pure."""

from l2wg_hooks.encapsulation.headers import ETHERNET, IP
from l2wg_hooks.typed import Dict, NamedTuple, Optional, Tuple

# IANA's protocol numbers.
GRE, UDP = 47, 17


class LinkKind(NamedTuple):
    """What the kernel makes of an encapsulation for one family of ends.

    `name` is the word behind `ip link add type`, `module` makes it, `title` is what people call it, `without` is what cannot be
    had where there is none. `ttl` is ip-link(8)'s word for the TTL, or hop limit, of its packets. `own_route`: the kernel drops
    a frame that does not fit the route's MTU, so that its packets need a route with a larger one: plan/policy_routes.py.
    """

    name: str
    module: str
    title: str
    without: str
    ttl: str
    own_route: bool


class Encapsulation:
    """An encapsulation: what is the same for every tunnel that has it."""

    # The word of l2wg.conf(5).
    name = ""
    # The kernel's, by the family of the ends.
    kinds: Dict[int, LinkKind] = {}
    # The UDP port that IANA has for it, and all that peers may send to without being told; None: it is GRE.
    udp_port: Optional[int] = None
    peer_ports: Tuple[int, ...] = ()
    # What `key` is called, its largest value, and what it is where the file has none.
    number_word = ""
    number_max = 0
    number_default: Optional[int] = None
    # What no two tunnels may have in common, as exclusive() tells.
    exclusive_words = ""
    # Whether the device is bound to the underlay, by `dev`.
    bound = True
    # Whether the kernel takes its packets from any sender, so that nothing but the guard asks where they come from.
    from_anybody = False
    # Then: nft(8)'s expression for frames whose sender has an address of many, which is nobody's (IEEE 802.3, 3.2.3).
    from_many = ""
    # Whether one device may lead to several peers, with a flood list in the place of its `remote`.
    floods = False
    # What `ip -json -details` calls it -> the word that sets it, and what it is without that word. Keys that are left out, as by
    # older ones, stand for the latter.
    options: Dict[str, Tuple[str, tuple]] = {}

    @property
    def protocol(self):
        """Of IP."""
        return GRE if self.udp_port is None else UDP

    def header(self, key):
        """Bytes between the outer IP header and the frame; `key` is that of the file, or None."""
        raise NotImplementedError

    def overhead(self, tunnel):
        """Bytes from the payload of the largest frame to the packet that the underlay carries."""
        return IP[tunnel.family] + self.header(tunnel.key) + ETHERNET

    def exclusive(self, underlay, local, remote, number, port):
        """What the kernel has once only among links of one kind, of what a tunnel's packets have: `identity` in model.py."""
        raise NotImplementedError

    def link_words(self, tunnel):
        """The words behind `ip link add ... type KIND`, without the TTL."""
        raise NotImplementedError

    def fixed(self, tunnel, link):
        """(what, as it is, as it should be) of a Link: what cannot be changed in place."""
        return (
            ("local end", link.local, tunnel.local),
            ("remote end", link.remote or "none", tunnel.remote or "none"),
            ("key", link.key, tunnel.number),
            ("underlay", link.underlay or "none", tunnel.underlay if self.bound else "none"),
        )

    def wished(self, tunnel):
        """Words of `options` that a tunnel is made with all the same."""
        return ()

    def group(self, number, port):
        """A word that is the same for tunnels whose packets one `match` can tell from all others."""
        raise NotImplementedError

    def match(self, numbers, port):
        """nft(8)'s expression for the packets of tunnels of one group, with these numbers, but for their addresses.

        First @th, then its protocol: the other way round nft 1.0.6 aborts when it lists the rule.
        """
        raise NotImplementedError

    def number_match(self, port):
        """nft(8)'s expression for the number itself, of packets that have one: only where they are taken `from_anybody`."""
        raise NotImplementedError

    def decode(self, data):
        """(number,) of what is in an IP packet, of `protocol` and to the right port; None where it carries no frame.

        Raises struct.error for too little of it.
        """
        raise NotImplementedError
