"""The text of FRR for a site whose VXLANs have `control = evpn`. Pure: it reads nothing of FRR, and l2wg writes nothing there.

BGP runs between the addresses inside WireGuard. Reflectors, which are the hubs, take whoever calls from the prefix, so that a new
site needs no line there; each other site calls the reflectors.
"""

import ipaddress

from l2wg_hooks.typed import NamedTuple, Tuple

# For private use (RFC 6996). All sites of a net have the same one.
AS_NUMBER = 65000
AS_MAX = 2**32 - 2
# Of sites that call a reflector; FRR's own is 100, and who comes later is turned away.
LISTEN_LIMIT = 5000
# Seconds: between signs of life, and until a site that gives none is gone from all tables. FRR's own are 60 and 180.
KEEPALIVE, HOLD = 10, 30
# Seconds until a reflector that was away is called again. With FRR's own, 120, a LAN waits for two minutes more.
CONNECT = 10
GROUP = "SITES"


class Speaker(NamedTuple):
    """This site, as BGP has it: its address, the addresses of the reflectors, and the prefix of all sites.

    `names` are what people call those addresses, {address: name}; `tunnels` are the VXLANs that FRR is to fill.
    """

    address: str
    prefix: str
    reflectors: Tuple[str, ...]
    as_number: int = AS_NUMBER
    tunnels: Tuple[str, ...] = ()
    names: dict = {}

    @property
    def reflects(self):
        """Whether it is a reflector itself."""
        return self.address in self.reflectors

    def called(self):
        """The reflectors that it calls."""
        return tuple(address for address in self.reflectors if address != self.address)


def text(speaker, name=""):
    """What belongs into /etc/frr/frr.conf; what else there is to do stands there as comments."""
    return "".join(f"{line}\n" for line in _lines(speaker, name))


def _lines(speaker, name):
    who = f"{name}, " if name else ""
    yield f"! {who}{speaker.address}: " + ("a reflector, which tells each site of all others" if speaker.reflects else "a site")
    if speaker.tunnels:
        yield "! fills the tables of: " + ", ".join(speaker.tunnels)
    yield "! apt install frr; in /etc/frr/daemons: bgpd=yes"
    yield "! this into /etc/frr/frr.conf, owned by frr:frr, mode 640; then: systemctl restart frr"
    yield "! afterwards: l2wg check"
    yield "frr defaults traditional"
    yield "!"
    yield "router bgp %d" % speaker.as_number
    yield f" bgp router-id {router_id(speaker.address)}"
    yield " no bgp default ipv4-unicast"
    if speaker.reflects:
        yield " bgp listen limit %d" % LISTEN_LIMIT
    yield f" neighbor {GROUP} peer-group"
    yield f" neighbor {GROUP} remote-as %d" % speaker.as_number
    yield f" neighbor {GROUP} update-source {speaker.address}"
    yield f" neighbor {GROUP} timers %d %d" % (KEEPALIVE, HOLD)
    yield f" neighbor {GROUP} timers connect %d" % CONNECT
    for address in speaker.called():
        yield f" neighbor {address} peer-group {GROUP}"
        if address in speaker.names:
            yield f" neighbor {address} description {speaker.names[address]}"
    if speaker.reflects:
        yield f" bgp listen range {speaker.prefix} peer-group {GROUP}"
    yield " !"
    yield " address-family l2vpn evpn"
    yield f"  neighbor {GROUP} activate"
    if speaker.reflects:
        yield f"  neighbor {GROUP} route-reflector-client"
    yield "  advertise-all-vni"
    yield " exit-address-family"
    yield "exit"


def router_id(address):
    """32 bits as an IPv4 address, another one for each router: of IPv6, its last 32."""
    known = ipaddress.ip_address(address)
    return str(known) if known.version == 4 else str(ipaddress.IPv4Address(int(known) & 0xFFFFFFFF))
