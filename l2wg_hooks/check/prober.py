"""A sounding: everything that `l2wg check` sends, all at once, and what is heard of it within a few seconds.

For each tunnel an echo request to `remote`, small and of full size; for each bridge a loop probe, ARP probes for addresses of
this router and the gateway's, and one DHCPDISCOVER. None of it changes anything, but what a DHCP server reserves for some
seconds.
"""

import concurrent.futures
import ipaddress
import os
import selectors
import socket
import time
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.model import End
from l2wg_hooks.plan import link_index
from l2wg_hooks.probes import arp, dhcp, icmp_echo, loop_probe, packet_socket, path_mtu, tunnel_packets
from l2wg_hooks.system import files

# Seconds: for echoes and probes to come back; for DHCP servers, which first see whether an address is in use (dnsmasq: 4 s).
PATIENCE, DHCP_PATIENCE = 1.2, 5.0
# Echo requests: numbers by what they ask, sent so many times, seconds apart; small ones are this many bytes.
NEAR, SMALL, FULL = 100, 200, 300
TIMES, PAUSE, SMALL_SIZE = 3, 0.25, 100
# Packets that are looked at of each underlay, lest a busy one keep us from all else.
ENOUGH = 300
# Paths that are measured at the same time, each in up to three seconds.
SEARCHES = 8
# The kernel's sockets, and who is bound where.
UDP = "/proc/net/udp"


HERE = "this router"


class Answer(NamedTuple):
    """Who answered, an ARP probe for `address` or a DHCPDISCOVER: its Ethernet address, and the port that this came in by."""

    address: str
    mac: str
    port: str


class Heard(NamedTuple):
    """What a sounding brought. By End:

    `small`, `full`: whether an echo to `remote` came back, from `local`; `near`: the small one from the underlay's own
    address (None where that is none or the same); `refused`: what the peer's kernel said of the tunnel's packets;
    `path` where full-size ones got lost; `deaf`: why it could not be sounded.
    `carriers` are the tunnels' packets by underlay, `answers` and `offers` Answers by bridge; `mute` why a bridge could not be.
    """

    small: Dict[End, bool]
    full: Dict[End, bool]
    near: Dict[End, Optional[bool]]
    refused: Dict[End, str]
    path: Dict[End, path_mtu.Path]
    deaf: Dict[End, str]
    carriers: Dict[str, Tuple[tunnel_packets.Carrier, ...]]
    answers: Dict[str, list]
    offers: Dict[str, list]
    mute: Dict[str, str]


def sound(tunnels, links, gateways):
    """The Heard of these tunnels, as far as their underlays and bridges are there; `gateways` are {bridge: [address, ...]}."""
    sounding = _Sounding(tunnels, links, gateways)
    try:
        return sounding.run()
    finally:
        sounding.close()


def asked(bridge, gateways):
    """{address: whether it is this router's} to ask for on a bridge, a Link. IPv4 only: of IPv6, the kernel asks itself. Pure."""
    own = [word.partition("/")[0] for word in bridge.addresses if ":" not in word]
    return {
        address: address in own
        for address in own + [gateway for gateway in gateways if ":" not in gateway and gateway not in own]
    }


def offered(tunnels):
    """The bridges that are to be asked for DHCP servers: a tunnel of theirs lets DHCP pass. Pure."""
    return {tunnel.bridge for tunnel in tunnels if tunnel.dhcp == "pass"}


class _Sounding:
    def __init__(self, tunnels, links, gateways):
        self.links, self.gateways = links, gateways
        self.tunnels = [tunnel for tunnel in tunnels if tunnel.underlay in links]
        self.ports = tunnel_packets.ports(tunnels)
        self.wired = [tunnel for tunnel in self.tunnels if links.get(tunnel.name) and links[tunnel.name].master == tunnel.bridge]
        self.offered = offered(self.wired)
        self.bridges = {
            tunnel.bridge: tunnel for tunnel in reversed(self.wired) if links.get(tunnel.bridge) and links[tunnel.bridge].up
        }
        self.echoes, self.near, self.ears, self.wan = {}, {}, {}, {}
        self.number = int.from_bytes(os.urandom(4), "big")
        self.heard = Heard(*({} for _ in Heard._fields))
        self.selector = selectors.DefaultSelector()
        self.ends = [(tunnel, end) for tunnel in self.tunnels for end in tunnel.near_ends]
        for tunnel, end in self.ends:
            self._open(tunnel, end)
        members = link_index.members(links)
        for bridge in self.bridges:
            self._listen(bridge, members.get(bridge, ()))

    def _open(self, tunnel, end):
        device = tunnel.underlay
        try:
            self.echoes[end] = self._select(icmp_echo.Echo(device, end.local, end.remote))
            inner = [word.partition("/")[0] for word in self.links[device].addresses]
            inner = [word for word in inner if (":" in word) == (tunnel.family == 6)]
            if inner and end.local not in inner:
                self.near[end] = self._select(icmp_echo.Echo(device, inner[0], end.remote))
            if device not in self.wan:
                self.wan[device] = self._select(
                    packet_socket.Ear(device, packet_socket.wan_filter(self.ports), kind=socket.SOCK_DGRAM)
                )
                self.heard.carriers[device] = set()
        except OSError as error:
            self.heard.deaf[end] = error.strerror or str(error)

    def _listen(self, bridge, members):
        names = [bridge] + [link.name for link in members]
        try:
            self.ears[bridge] = [self._select(packet_socket.Ear(name, packet_socket.lan_filter())) for name in names]
        except OSError as error:
            self.heard.mute[bridge] = error.strerror or str(error)
        self.heard.answers[bridge], self.heard.offers[bridge] = [], []

    def _select(self, listener):
        self.selector.register(listener, selectors.EVENT_READ)
        return listener

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def run(self):
        began = time.monotonic()
        loop_probe.send(self.tunnels, self.links)
        self._ask_lans()
        for index in range(TIMES):
            self._ask_peers(index)
            self._take(began + (index + 1) * PAUSE)
        self._take(began + PATIENCE)
        silent = [(tunnel, end) for tunnel in self.wired for end in tunnel.near_ends if not self._has_come(tunnel, end)]
        if silent:
            for tunnel, end in silent:
                _provoke(tunnel, end)
            self._take(time.monotonic() + PATIENCE)
        lossy = [row for row in self.ends if self._note(*row)]
        if lossy:
            with concurrent.futures.ThreadPoolExecutor(SEARCHES) as pool:
                list(pool.map(self._search, lossy))
        if self.offered.intersection(self.bridges, self.ears):
            self._take(began + DHCP_PATIENCE)
        self._sort()
        return self.heard

    def _ask_lans(self):
        for bridge, tunnel in self.bridges.items():
            if bridge not in self.ears:
                continue
            for address in asked(self.links[bridge], self.gateways.get(bridge, ())):
                self.ears[bridge][0].send(arp.probe(address, self.links[bridge].mac))
            if bridge in self.offered:
                self._discover(bridge, tunnel)

    def _discover(self, bridge, tunnel):
        """Ask once. A server on this router hears what leaves by IP, and no frame of a packet socket."""
        if not (dhcp.is_served(files.glance(UDP)) and any(":" not in word for word in self.links[bridge].addresses)):
            self.ears[bridge][0].send(dhcp.discover(tunnel.mac, self.number))
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            try:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.encode() + b"\0")
                sender.sendto(dhcp.question(tunnel.mac, self.number), ("255.255.255.255", dhcp.SERVER_PORT))
            except OSError as error:
                self.heard.mute[bridge] = error.strerror or str(error)

    def _ask_peers(self, index):
        for tunnel, end in self.ends:
            if end in self.echoes:
                self.echoes[end].ask(SMALL + index, SMALL_SIZE)
                self.echoes[end].ask(FULL + index, self.links[tunnel.underlay].mtu)
            if end in self.near:
                self.near[end].ask(NEAR + index, SMALL_SIZE)

    def _take(self, end):
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return
            for key, _ in self.selector.select(left):
                listener = key.fileobj
                if isinstance(listener, icmp_echo.Echo):
                    listener.hear()
                    continue
                packet = listener.hear()
                if packet is None:
                    continue
                if listener.device in self.wan and self.wan[listener.device] is listener:
                    self._carrier(listener, packet)
                else:
                    self._frame(packet)

    def _carrier(self, ear, packet):
        found = None if packet.out else tunnel_packets.carrier(packet.data, self.ports)
        if found:
            self.heard.carriers[ear.device].add(found)
        ear.count = getattr(ear, "count", 0) + 1
        if ear.count >= ENOUGH:
            self.selector.unregister(ear)
            ear.close()

    def _frame(self, packet):
        bridge = packet.device if packet.device in self.bridges else self.links[packet.device].master
        answer = arp.answer(packet.data)
        if answer and not packet.out and packet.device != bridge:
            self.heard.answers[bridge].append(Answer(answer[0], answer[1], packet.device))
        offer = dhcp.offer(packet.data, self.number)
        # What goes out of the bridge itself is a server's on this router; what goes out of a port has come in by another one.
        if offer and packet.out == (packet.device == bridge):
            port = HERE if packet.out else packet.device
            self.heard.offers[bridge].append(Answer(offer.server, offer.mac, port))

    def _has_come(self, tunnel, end):
        """Whether anything has ever come in by the tunnel, and this peer does not say that it has none."""
        come = files.of_link(tunnel.name, "statistics/rx_packets")
        return come != "0" and not self._refusal(tunnel, end)

    def _refusal(self, tunnel, end):
        packets = self.echoes[end].packets if end in self.echoes else ()
        return next((said for said in (tunnel_packets.refusal(packet, tunnel, end) for packet in packets) if said), "")

    def _note(self, tunnel, end):
        """Whether small packets come back from this peer, and large ones do not."""
        echo = self.echoes.get(end)
        if echo is None:
            return False
        self.heard.small[end] = any(number // 100 * 100 == SMALL for number in echo.answered)
        self.heard.full[end] = any(number // 100 * 100 == FULL for number in echo.answered)
        self.heard.near[end] = bool(self.near[end].answered) if end in self.near else None
        self.heard.refused[end] = self._refusal(tunnel, end)
        return self.heard.small[end] and not self.heard.full[end]

    def _search(self, row):
        tunnel, end = row
        full = self.links[tunnel.underlay].mtu
        try:
            found = path_mtu.search(tunnel.underlay, end.local, end.remote, full)
            if found:
                self.heard.path[end] = found
        except OSError as error:
            self.heard.deaf[end] = error.strerror or str(error)

    def _sort(self):
        for device, found in self.heard.carriers.items():
            self.heard.carriers[device] = tuple(sorted(found, key=str))


def candidate(end):
    """An address in the other site's subnet, as far as one can guess it: nobody's, it is hoped. IPv4 only, "" else. Pure."""
    if ":" in end.remote:
        return ""
    network = ipaddress.ip_network(f"{end.remote}/24", strict=False)
    return next(str(network[last]) for last in (254, 253, 252) if str(network[last]) not in (end.remote, end.local))


def _provoke(tunnel, end):
    """Have the peer's router ask its LAN for an address, which its tunnel carries: so we see what it would send us."""
    if candidate(end):
        icmp_echo.tell(tunnel.underlay, end.local, candidate(end), (SMALL_SIZE,))
