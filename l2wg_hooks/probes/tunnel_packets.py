"""Packets of tunnels, as they come by the underlay, and whose they are. Pure: bytes in. RFC 2784, 2890, 7348."""

import ipaddress
import struct

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.encapsulation.base import UDP
from l2wg_hooks.typed import NamedTuple, Optional

DESTINATION, ICMP, ICMP6 = 60, 1, 58

# (type, code) of ICMP: RFC 792, RFC 1812; RFC 4443.
SAID4 = {(3, 2): "protocol unreachable", (3, 3): "port unreachable"}
SAID4.update({(3, code): "prohibited" for code in (9, 10, 13)})
SAID6 = {(1, 1): "prohibited", (1, 4): "port unreachable", (4, 1): "protocol unreachable"}

# The encapsulations that are no UDP.
OTHERS = {
    encapsulation.protocol: name for name, encapsulation in registry.ENCAPSULATIONS.items() if encapsulation.udp_port is None
}

BOTH = "the same on both sides, either there, or here: "


class Carrier(NamedTuple):
    """A packet that carries a frame: by which encapsulation, between whom; `number` is the key or the VNI.

    `port` is the UDP port that it is sent to.
    """

    encapsulation: str
    source: str
    target: str
    number: Optional[int]
    port: Optional[int] = None


class Datagram(NamedTuple):
    """An IP packet's ends, its payload's protocol, and the payload."""

    source: str
    target: str
    protocol: int
    data: bytes


def datagram(packet):
    """The Datagram of a packet, or of the start of one; None where it is none, or no first fragment."""
    try:
        if packet[0] >> 4 == 4:
            if struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
                return None
            ends = [str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16)]
            return Datagram(ends[0], ends[1], packet[9], packet[4 * (packet[0] & 0xF) :])
        if packet[0] >> 4 == 6:
            ends = [str(ipaddress.IPv6Address(packet[at : at + 16])) for at in (8, 24)]
            protocol, data = packet[6], packet[40:]
            if protocol == DESTINATION:
                protocol, data = data[0], data[8 * (1 + data[1]) :]
            return Datagram(ends[0], ends[1], protocol, data)
    except (IndexError, struct.error, ValueError):
        pass
    return None


def ports(tunnels):
    """{UDP port: encapsulation} of where packets of these tunnels, or of peers that have another port, may come."""
    own = {tunnel.udp_port: tunnel.encapsulation for tunnel in tunnels if tunnel.udp_port is not None}
    return {**registry.PEER_PORTS, **own}


def carrier(packet, ports=registry.PEER_PORTS):
    """The Carrier of a packet; None where it carries no frame, or too little of it is here to tell."""
    found = datagram(packet)
    if found is None:
        return None
    try:
        port = struct.unpack_from("!H", found.data, 2)[0] if found.protocol == UDP else None
        name = ports.get(port) if port is not None else OTHERS.get(found.protocol)
        number = registry.ENCAPSULATIONS[name].decode(found.data) if name else None
    except struct.error:
        return None
    return Carrier(name, found.source, found.target, number[0], port) if name and number else None


def wished(tunnel, end):
    """The Carrier of what this peer has to send."""
    return Carrier(tunnel.encapsulation, end.remote, end.local, tunnel.number, tunnel.udp_port)


def stranger(tunnel, end, heard, known):
    """The Carrier of `heard` that this peer may have meant for `tunnel`, though that takes none of them; None: no such one.

    `known` are those of all tunnels that are wished for, or that somebody else has here.
    """
    if wished(tunnel, end) in heard:
        return None
    for packet in heard:
        # Whom none of several is expected to be is `uninvited`.
        mine = packet.source == end.remote or (packet.target == end.local and not tunnel.remotes)
        if packet not in known and mine:
            return packet
    return None


def uninvited(tunnel, heard, known):
    """A Problem for each router that sends to a tunnel with several remotes and is none of them."""
    for end, packet in [(end, packet) for end in tunnel.ends()[:1] for packet in dict.fromkeys(heard)]:
        if packet not in known and wished(tunnel, end._replace(remote=packet.source)) == packet:
            message = f"{packet.source} sends to the tunnel, and is none of its remotes: what comes from there is dropped"
            ends = " ".join((*tunnel.far_ends, packet.source))
            hint = f"if it belongs here: l2wg set {tunnel.name} 'remote={ends}'; l2wg apply; else take {end.local} out there"
            if tunnel.peers:
                hint = "has it the newer copy of the file of sites? Copy that, then l2wg apply"
            yield tunnel.problem("remote", message, hint, "ends-differ")


def judge(tunnel, end, found):
    """The Problem of a Carrier that `stranger` has found."""
    want = wished(tunnel, end)
    if found.encapsulation != want.encapsulation:
        message = f"the peer sends {found.encapsulation}, and here is {want.encapsulation}"
        hint = BOTH + f"l2wg set {tunnel.name} encapsulation={found.encapsulation}; l2wg apply"
        return tunnel.problem("encapsulation", message, hint, "encapsulation-differs")
    if found.port != want.port:
        message = "the peer sends to UDP port %d, and here it is %d" % (found.port, want.port)
        hint = BOTH + "l2wg set %s port=%d; l2wg apply" % (tunnel.name, found.port)
        return tunnel.problem("port", message, hint, "port-differs")
    if (found.source, found.target) == (want.source, want.target):
        message = f"the peer sends {tunnel.packing.number_word} {_shown(found.number)}, and here it is {_shown(want.number)}"
        key = "" if found.number is None else "%d" % found.number
        hint = BOTH + f"l2wg set {tunnel.name} key={key}; l2wg apply"
        return tunnel.problem("key", message, hint, "key-differs")
    message = (
        f"the peer sends from {found.source} to {found.target}, and here it is from {want.source} to {want.target}: "
        f"the ends are not each other's mirror"
    )
    if found.source != want.source:
        hint = f"local = {want.source} there; or here: l2wg set {tunnel.name} remote={found.source}; l2wg apply"
        return tunnel.problem("remote", message, hint, "ends-differ")
    hint = f"remote = {want.target} there; or here: l2wg set {tunnel.name} local={found.target}; l2wg apply"
    return tunnel.problem("local", message, hint, "ends-differ")


def _shown(number):
    return "none" if number is None else str(number)


def refusal(packet, tunnel, end):
    """What this peer says of a packet that the tunnel has sent, "port unreachable" and its like; "" where it says no such thing.

    `packet` is ICMP's with what it is about: RFC 792, RFC 4443. IPv6's comes without its IP header (RFC 3542).
    """
    four = tunnel.family == 4
    if four:
        outer = datagram(packet)
        if outer is None or outer.protocol != ICMP or outer.source != end.remote:
            return ""
        packet = outer.data
    said = (SAID4 if four else SAID6).get(tuple(packet[:2]), "") if len(packet) >= 8 else ""
    about = datagram(packet[8:])
    if about is None or (about.source, about.target) != (end.local, end.remote):
        return ""
    ours = about.protocol == tunnel.packing.protocol
    ours = ours and (tunnel.udp_port is None or about.data[2:4] == struct.pack("!H", tunnel.udp_port))
    return said if ours else ""
