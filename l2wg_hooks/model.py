"""The nouns: what is wished for, what there is, and what is to be done. Frozen values; no process, file or clock."""

import zlib

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import Problem
from l2wg_hooks.typed import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

# What an interface's alias says where l2wg has made it.
ALIAS = "l2wg"
# The network namespace of the WireGuard interfaces that l2wg makes.
NAMESPACE = "l2wg"
# What may stand under the name of a tunnel and be re-made by us; anything else there belongs to somebody.
TUNNEL_KINDS = tuple(registry.KINDS)
# Who fills the table of a VXLAN's device: the kernel, by what comes, or FRR, by BGP.
LEARNING, EVPN = "learning", "evpn"
# tun: WireGuard in user space (wireguard-go), for kernels without the module.
WIREGUARD_KINDS = ("wireguard", "tun")


class End(NamedTuple):
    """Of a tunnel, by its name, what is between this router and one peer: this router's address, and that peer's."""

    tunnel: str
    local: str
    remote: str


class PeerWish(NamedTuple):
    """A peer of WireGuard that comes with a tunnel: `endpoint` is HOST:PORT, "" for none; `keepalive` in seconds, 0 for off.

    `allowed` are its AllowedIPs, as wg(8) writes them. `site` is the name of its site where the tunnel leads to several.
    `by` is the public key of another peer of the tunnel, the hub, by which packets go there; "" where it is WireGuard's own peer.
    `network` is what the hub may have among its AllowedIPs in the place of all addresses in there.
    `was` is the key that it has had until now, "" where it does not change: see plan/key_changes.py.
    """

    key: str
    allowed: Tuple[str, ...]
    endpoint: str = ""
    keepalive: int = 0
    site: str = ""
    by: str = ""
    network: str = ""
    was: str = ""

    @property
    def ends(self):
        """The addresses of its AllowedIPs, which are the far ends of tunnels."""
        return tuple(word.partition("/")[0] for word in self.allowed)


class Tunnel(NamedTuple):
    """What one configuration file wishes for, or this router's part of /etc/l2wg/sites, which has `peers`, too.

    `remote` is what its device has as that: "" where it has a flood list instead, of these `remotes`. Whoever wants to know where
    a tunnel leads asks for its `ends()`, or for `far_ends`.
    `control` is who fills the table of its device. With EVPN `senders` is the prefix of all who may be in there; who that is at a
    moment, only that table says, so there are no `remotes` but for those who have looked (observe/vteps.py).
    `transit` is whether these reach each other by this router: it is the hub of WireGuard that all of them have for a peer.
    `hub_address` is an address that two hubs have, each beside its own: `local` at the hubs, `remote` at the sites that listen to
    one of them, which is the peer that has it. `own_site` is this router's site, where it is such a hub.
    `lines` says where each key stands (1-based), "" where all of it does.
    """

    name: str
    underlay: str
    local: str
    remote: str
    bridge: str
    bridge_ports: Tuple[str, ...] = ()
    bridge_address: str = ""
    encapsulation: str = registry.DEFAULT
    key: Optional[int] = None
    port: Optional[int] = None
    mtu: int = 1500
    mss_clamp: str = "nftables"
    forward: str = "as-is"
    stp: bool = False
    dhcp: str = "pass"
    vlans: str = "all"
    isolated: bool = False
    storm_limit: Optional[int] = None
    link_local: bool = False
    peer_down: str = "nothing"
    wire: str = "shared"
    site: str = ""
    peers: Tuple[PeerWish, ...] = ()
    remotes: Tuple[str, ...] = ()
    control: str = LEARNING
    senders: str = ""
    transit: bool = False
    hub_address: str = ""
    own_site: str = ""
    path: str = ""
    lines: Dict[str, int] = {}

    def _wished(self):
        return tuple(self)[: self._fields.index("path")]

    # Where it stands is nothing of what is wished for.
    def __eq__(self, other):
        return isinstance(other, Tunnel) and self._wished() == other._wished()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self._wished())

    def ends(self):
        """An End for each peer. Whatever means a peer, and not the tunnel, is kept by these."""
        return tuple(End(self.name, self.local, remote) for remote in self.far_ends)

    @property
    def near_ends(self):
        """Those of its ends() that have a peer of WireGuard's own. To others a hub forwards the tunnel's packets, and no more."""
        beyond = {end for peer in self.peers if peer.by for end in peer.ends}
        return tuple(end for end in self.ends() if end.remote not in beyond)

    def by(self, remote):
        """The name of the site by which packets go to one of the far ends, the hub; "" where they go there themselves."""
        hub = next((peer.by for peer in self.peers if peer.by and remote in peer.ends), "")
        return next((peer.site for peer in self.peers if hub and peer.key == hub), "")

    def behind(self, remote):
        """The far ends that packets go to by another one, the hub."""
        hub = next((peer.key for peer in self.peers if not peer.by and remote in peer.ends), "")
        return tuple(end for peer in self.peers if hub and peer.by == hub for end in peer.ends)

    @property
    def far_ends(self):
        """The addresses that it leads to: at least one, but where FRR finds them (EVPN)."""
        return self.remotes or ((self.remote,) if self.remote else ())

    def reach(self):
        """An End for each address, or prefix of addresses, that it takes packets from and sends to: for its guard and its way."""
        return (End(self.name, self.local, self.senders),) if self.senders else self.ends()

    @property
    def is_one_of_all(self):
        """Whether it is one tunnel to several: by a list of ours, or by FRR."""
        return bool(self.remotes or self.senders)

    @property
    def written(self):
        """What its `remote` is in a file: an address, a tuple of them, or a prefix."""
        return self.senders or self.remotes or self.remote

    def called(self, remote):
        """A word for whoever is at one of the far ends: the address, and the site's name where there is one."""
        return next((f"{peer.site} ({remote})" for peer in self.peers if peer.site and remote in peer.ends), remote)

    @property
    def forwards(self):
        """Whether packets from its far ends are to be forwarded to others of them."""
        return self.transit and (len(self.remotes) > 1 or bool(self.senders))

    @property
    def leads_to(self):
        """Words for where it leads to: the site's name, or those of several, or addresses."""
        names = [self.site] if self.site else [peer.site for peer in self.peers if peer.site]
        if self.senders:
            names = [self.senders]
        elif not names or (not self.site and len(names) < len(self.far_ends)):
            names = list(self.far_ends)
        return ", ".join(names)

    @property
    def walled(self):
        """Whether its packets, and their WireGuard, are in the network namespace of l2wg, where nothing else is."""
        return self.wire == "own"

    @property
    def has_hubs(self):
        """Whether it leads to two hubs, of which the one is listened to that has their address."""
        return bool(self.hub_address) and self.remote == self.hub_address

    @property
    def is_hubs(self):
        """Whether it is that of one of two hubs, to a site that listens to one of them."""
        return bool(self.hub_address) and self.local == self.hub_address

    @property
    def joins_hubs(self):
        """Whether it leads from one of two hubs to the other one."""
        return bool(self.own_site) and not self.hub_address

    @property
    def family(self):
        """Of its ends: 4 or 6."""
        return 6 if ":" in self.local else 4

    @property
    def packing(self):
        """The Encapsulation that `encapsulation` is the word for."""
        return registry.ENCAPSULATIONS[self.encapsulation]

    @property
    def link_kind(self):
        """The LinkKind that the kernel makes of it."""
        return self.packing.kinds[self.family]

    @property
    def kind(self):
        """The kernel's word for the tunnel, as in `ip link add type`."""
        return self.link_kind.name

    @property
    def number(self):
        """What tells this tunnel's packets from those of others between the same ends: the GRE key (None: none), or the VNI."""
        return self.packing.number_default if self.key is None else self.key

    @property
    def udp_port(self):
        """That its packets go to; None where they are not UDP."""
        if self.packing.udp_port is None:
            return None
        return self.packing.udp_port if self.port is None else self.port

    @property
    def overhead(self):
        """Bytes from the payload of the largest frame to the packet that the underlay carries."""
        return self.packing.overhead(self)

    @property
    def identity(self):
        """(underlay, local, remote, number, UDP port): what the kernel may tell it from other tunnels by."""
        return (self.underlay, self.local, self.remote, self.number, self.udp_port)

    @property
    def mac(self):
        """The Ethernet address of the tunnel: always the same, differing from its peer's.

        A bridge takes the lowest address of its ports for its own (br_stp_recalculate_bridge_id in net/bridge/br_stp_if.c),
        so ours starts with fe:ff, a locally administered address that sorts behind every network card's.
        """
        seed = f"{self.name} {self.local} {self.remote} {self.key}"
        # Of two hubs, each has a tunnel to the site, with the same ends.
        seed += f" {self.own_site}" if self.own_site else ""
        return "fe:ff:" + ":".join(f"{byte:02x}" for byte in zlib.crc32(seed.encode()).to_bytes(4, "big"))

    @property
    def own(self):
        """The interfaces that are nobody else's: itself, and where l2wg defines the bridge, that and its ports."""
        return (self.name,) + ((self.bridge,) + self.bridge_ports if self.bridge_ports else ())

    def problem(self, key, message, hint="", id=""):
        """A Problem that points at the line of `key`, or at the file where the key is not written."""
        line = self.lines.get(key, self.lines.get("", 0))
        return Problem(message, hint, self.path, line, key, id, self.name)


class Link(NamedTuple):
    """One network interface. `addresses` leaves out IPv6 link-local ones, which come and go by themselves.

    `autoconfigured` are those of `addresses` that the kernel took from router advertisements.
    `carrier` is false where the kernel says NO-CARRIER: up, and nothing is plugged in.
    Of a bridge's port: `port_state` is "forwarding" where frames pass, `port_learning` whether the bridge learns who is behind
    it, `neigh_suppress` whether it answers for those itself.
    Of a bridge: `group_forward` is its group_fwd_mask, `pvid` the VLAN of a new port's untagged frames.
    `underlay` is the device that a tunnel is bound to; the kernel's "if5" says that it is bound to one that is gone.
    Of a tunnel, `ttl` is its packets' TTL or hop limit (0: that of the packet in the frame, or the kernel's choice), `odd` are
    the words of ip-link(8) for what makes its packets other than those of a tunnel that was made without these words.
    `namespace` names the network namespace that the interface is in, `link_netns` the one that a tunnel's packets are in: both
    are "" for the router's own. `parent` is the interface that this one is on, such as a VLAN's.
    """

    name: str
    ifindex: int
    kind: str = ""
    up: bool = False
    carrier: bool = True
    mtu: int = 1500
    mac: str = ""
    master: str = ""
    alias: str = ""
    addresses: Tuple[str, ...] = ()
    autoconfigured: Tuple[str, ...] = ()
    ipv6: bool = False
    local: str = ""
    remote: str = ""
    underlay: str = ""
    key: Optional[int] = None
    pmtudisc: bool = True
    ignore_df: bool = False
    port: Optional[int] = None
    ttl: int = 0
    odd: Tuple[str, ...] = ()
    isolated: bool = False
    port_state: str = ""
    port_learning: bool = True
    neigh_suppress: bool = False
    stp: bool = False
    group_forward: int = 0
    bridge_iptables: bool = False
    vlan_filtering: bool = False
    pvid: int = 1
    namespace: str = ""
    link_netns: str = ""
    parent: str = ""

    @property
    def identity(self):
        """As of a Tunnel, where it is one."""
        return (self.underlay, self.local, self.remote, self.key, self.port)


def is_ours(link):
    """Whether l2wg made this link: it says so itself."""
    return link.alias == ALIAS and link.kind in TUNNEL_KINDS


def by_bridge(tunnels):
    """{bridge: [Tunnel of it]}."""
    found: Dict[str, List[Tunnel]] = {}
    for tunnel in tunnels:
        found.setdefault(tunnel.bridge, []).append(tunnel)
    return found


def holders(links, address):
    """[(Link, the address with its prefix length)] of those of {name: Link} that have an IP address."""
    return [(link, word) for link in links.values() for word in link.addresses if word.partition("/")[0] == address]


class Addresses(NamedTuple):
    """Words behind `ip address add` and `ip route replace`, without `dev`, in the order in which they have to be given."""

    addresses: Tuple[Tuple[str, ...], ...] = ()
    routes: Tuple[Tuple[str, ...], ...] = ()


class Rules(NamedTuple):
    """The nftables rules in force, as netfilter/nftables.py has them; `intact` is false where nft(8) has something else."""

    entries: list = []
    values: Dict[str, dict] = {}
    intact: bool = True


class PolicyRoutes(NamedTuple):
    """By the number of each table: our rules as `ip -json rule` has them, and its routes as `ip -json route` has them, by `dst`.

    An unreachable one is "default" there.
    """

    rules: Dict[str, list]
    routes: Dict[str, Dict[str, dict]]


class Tables(NamedTuple):
    """What iptables-save and its IPv6 twin have in one table, and whether br_netfilter is there."""

    ipv4: Tuple[str, ...]
    ipv6: Tuple[str, ...]
    br_netfilter: bool


class Peer(NamedTuple):
    """One peer of WireGuard. `endpoint` is "" until one is known; `handshake` is seconds since the epoch, 0 where there was none.

    `received` and `sent` are bytes, `keepalive` seconds or None where it is off, `secret` is whether it has a preshared key.
    """

    key: str
    endpoint: str
    allowed: Tuple[str, ...]
    handshake: int
    received: int
    sent: int
    keepalive: Optional[int]
    secret: bool = False


class Heard(NamedTuple):
    """Where a peer was heard, ADDRESS:PORT as wg(8) takes it, and when, in seconds since the epoch."""

    endpoint: str
    when: int


class Wire(NamedTuple):
    """A WireGuard interface that l2wg makes, as its file wants it: `addresses` with their prefix lengths, `mtu` in bytes.

    `differs` says in words what the interface that is there has otherwise, of what wg(8) sets. `problems` are what is wrong with
    the file; then the rest says nothing. `peers` are those of the interface, or of the file as long as that is not there.
    `beside` are those that come with tunnels, as it is to have them now.
    """

    addresses: Tuple[str, ...] = ()
    mtu: int = 0
    differs: Tuple[str, ...] = ()
    problems: Tuple[Problem, ...] = ()
    peers: Tuple[Peer, ...] = ()
    beside: Tuple[PeerWish, ...] = ()


class Walls(NamedTuple):
    """The network namespace of l2wg. `there` is whether it is, `leftover` whether its name leads nowhere.

    `routes` are its own that somebody has made, {destination: (device, MTU in bytes or 0)}; `routed` is whether it forwards
    IPv4 packets whichever interface they come by, and `switches` have {name as of sysctl(8), with slashes: value} of the others,
    as plan/transit.py names them. `wires` are what the files want, {WireGuard interface: Wire}; `strangers` are the interfaces in
    there that are not ours; `home` is the process whose network namespace is the router's own, as `ip link set netns` takes it.
    `staged` are tunnels as they are to be (`l2wg wall`): their wires stand already, and nothing else of them. `guard` is how
    nft(8) lists the rules in there, None where nobody has looked, for want of a tunnel that needs some.
    """

    there: bool = False
    leftover: bool = False
    routes: Dict[str, Tuple[str, int]] = {}
    routed: bool = False
    wires: Dict[str, Wire] = {}
    strangers: Tuple[str, ...] = ()
    home: str = "1"
    staged: Tuple[Tunnel, ...] = ()
    guard: Optional[str] = None
    switches: Dict[str, str] = {}


class Switches(NamedTuple):
    """A bridge that l2wg defines: the switches that are `wanted` (SILENT, OWN or THEIRS), and {switch: value} as they are."""

    wanted: Dict[str, Tuple[str, ...]]
    now: Dict[str, str]


class Destination(NamedTuple):
    """An entry of a VXLAN's own table: frames to `mac` go to the address `dst`, the words `more` of bridge(8) say how.

    Those to FLOOD, which is nobody's address, are what is sent to everybody, and to whom nobody knows.
    """

    mac: str
    dst: str
    more: Tuple[str, ...] = ()


FLOOD = "00:00:00:00:00:00"


class InUse(NamedTuple):
    """An address that this router uses otherwise than by WireGuard: `reason` is what for, `way` is that of its route, such as
    "via 10.0.0.1 dev e0", "" where nothing is known of that.
    """

    address: str
    reason: str
    way: str = ""


class Observed(NamedTuple):
    """What the kernel has beside links. `ways`, `iptables` (its table mangle) and `filter` (iptables' own table of that
    name) and `walls` are None where nobody has looked, for want of a need; `managed` names what NetworkManager takes for its own;
    `bridges` are those that l2wg defines.

    `vlans` are the ranges, first and last, that each port has of a bridge that filters them; None where no tunnel is in one.
    `peers` are those of each WireGuard interface that a tunnel is over, as far as it has any; `heard` is what is kept of
    earlier looks, {(WireGuard interface, public key): Heard}, and `now` the time at which it was read (0: there is none).
    `silent` names the tunnels whose peers are down, by the watch's last looks, `taken` the ports that l2wg holds down for that.
    `told` has (WireGuard interface, public key) of the peers that l2wg has told shared interfaces of, `ways_there` the routes by
    those interfaces, {interface: {destination: whether it is ours}}; both are None where no tunnel comes with its peer.
    `floods` are the entries of each tunnel's own table that is to have a flood list, as far as anything depends on them; None
    where nobody has looked, for want of such a tunnel.
    `elsewhere` has those far ends to which a route would be new and that are reached by another way now, {address: what for}.
    `given` has (WireGuard interface, address) of what l2wg has given shared interfaces; None where no tunnel comes with its peer.
    `taken_ways` has, of each prefix to which a route would be new, what that would take from another way, {prefix: InUse}.
    """

    rules: Rules = Rules()
    ways: Optional[PolicyRoutes] = None
    iptables: Optional[Tables] = None
    filter: Optional[Tables] = None
    managed: FrozenSet[str] = frozenset()
    bridges: Dict[str, Switches] = {}
    walls: Optional[Walls] = None
    peers: Dict[str, Tuple[Peer, ...]] = {}
    heard: Dict[Tuple[str, str], Heard] = {}
    now: int = 0
    vlans: Optional[Dict[str, Tuple[Tuple[int, int], ...]]] = None
    silent: Tuple[str, ...] = ()
    taken: Tuple[str, ...] = ()
    told: Optional[FrozenSet[Tuple[str, str]]] = None
    ways_there: Optional[Dict[str, Dict[str, bool]]] = None
    floods: Optional[Dict[str, Tuple[Destination, ...]]] = None
    elsewhere: Dict[str, str] = {}
    given: Optional[FrozenSet[Tuple[str, str]]] = None
    taken_ways: Dict[str, Tuple[InUse, ...]] = {}


class Step(NamedTuple):
    """One command and why it is needed.

    `group` names the tunnel, or the bridge whose port it is about: when a step fails, the rest of its group is left out, and so
    is every group that `needs` it.
    """

    argv: Tuple[str, ...]
    reason: str
    group: str
    needs: str = ""

    def __str__(self):
        return " ".join(self.argv)


class Wait(NamedTuple):
    """What has to come by another event. `subject` is the tunnel that waits, or the bridge; `name` is what it waits for.

    `kind` is "underlay", "underlay-up" (it is there, and down), "bridge", "address" (of the router) or "port".
    """

    subject: str
    kind: str
    name: str

    def __str__(self):
        return WAITS[self.kind].format(self.subject, self.name)


WAITS = {
    "underlay": "{} waits for {}",
    "underlay-up": "{} waits for {}: it is down",
    "bridge": "{} waits for {}",
    "address": "{} waits for its address: no interface of this router has {}",
    "port": "{} waits for its port {}",
}


class Plan(NamedTuple):
    """Steps to run now, what waits for an event, and what is wrong.

    `rules` are those that the one step of group GUARD brings into force; None where there is no such step. `synced` names the
    WireGuard interfaces that a step tells what is in their files, `replaced` the tunnels whose place another one takes.
    `taken` are the ports that l2wg holds down when all is done; None where these are the same as before. `peers` are what steps
    tell WireGuard interfaces of beside their files. `inside` are the rules that a step loads in the network namespace of l2wg.
    `given` has (WireGuard interface, address) of what steps give shared interfaces.
    """

    steps: Tuple[Step, ...] = ()
    waiting: Tuple[Wait, ...] = ()
    problems: Tuple[Problem, ...] = ()
    rules: Optional[Rules] = None
    synced: Tuple[str, ...] = ()
    replaced: Tuple[str, ...] = ()
    taken: Optional[Tuple[str, ...]] = None
    peers: Dict[str, Tuple[PeerWish, ...]] = {}
    inside: str = ""
    given: Tuple[Tuple[str, str], ...] = ()
