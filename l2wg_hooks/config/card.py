"""A site's card: its public facts as one line, for the other router. Pure: Card to text and back.

    L2WG1:BODY:CHECKSUM

How such a line is made is in pasted.py: BODY has the fields of a Card.

A field that l2wg does not know is refused, so what came later, whether the LAN is in the tunnel's bridge, is told by a field that
every version reads as the same number: MTU with one zero byte before it (it is), with two (it is not), or with none (not told).

A card comes from outside: all in it is held against the rules of config/schema.py before anything is done with it.
"""

import base64
import ipaddress
import re

from l2wg_hooks.config import pasted, schema
from l2wg_hooks.config.schema import Refused, shown
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.typed import NamedTuple, Optional, Tuple

# cksum(1)'s, of any text.
checksum = pasted.checksum
VERSION = 1
# Characters. The largest card that can be made has some 700, and would still fit into a QR code.
LONGEST = 1024
# RFC 1123, 2.1; with the underscore that some dynamic DNS names have.
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
# RFC 1035 has 253; with a port behind it, the length has to fit into one byte.
HOST_BYTES = 249
PORT_MAX = 65535
ANOTHER = "print it anew on the other router: l2wg card"
WHOLE = "copy it again as a whole; `l2wg pair` without a card reads it from standard input, however it is wrapped"
KIND = pasted.Kind(
    "card",
    "a",
    "L2WG",
    VERSION,
    1,
    LONGEST,
    ANOTHER,
    WHOLE,
    "a card begins with L2WG%d: and is printed by `l2wg card`" % VERSION,
    (("L2WGJ", "that is an invitation; on the router that is invited: l2wg join INVITATION"),),
)

# How many bytes the field of the MTU has, by Card.joined.
MTU_BYTES = {None: 2, True: 3, False: 4}

_NAME, _KEY, _ENDPOINT, _ADDRESS, _LAN, _ENCAPSULATION, _NUMBER, _MTU = range(1, 9)


class Card(NamedTuple):
    """One site. `key` is WireGuard's public key, as wg(8) writes it; `endpoint` is HOST:PORT, or "" where nobody can call.

    `addresses` are this router's own inside WireGuard, at most one of each family. `lan` is the network of its bridge or
    LAN, or "". `encapsulation`, `number` (a GRE key or VNI) and `mtu` are what this site asks of the tunnel. `joined` is
    whether `lan` is that of the bridge which the tunnel joins; None where the card does not tell.
    """

    name: str
    key: str
    endpoint: str
    addresses: Tuple[str, ...]
    lan: str = ""
    encapsulation: str = registry.DEFAULT
    number: Optional[int] = None
    mtu: int = 1500
    joined: Optional[bool] = None


def encode(card):
    """The line of a Card. Raises Refused where a value cannot be in one."""
    return pasted.seal(KIND, [pack(card)])


def pack(card):
    """The bytes of a Card. Raises Refused where a value cannot be in one."""
    check(card)
    fields = [(_NAME, card.name.encode()), (_KEY, base64.b64decode(card.key))]
    if card.endpoint:
        fields.append((_ENDPOINT, card.endpoint.encode()))
    fields += [(_ADDRESS, ipaddress.ip_address(address).packed) for address in card.addresses]
    if card.lan:
        lan = ipaddress.ip_network(card.lan)
        fields.append((_LAN, bytes((lan.prefixlen,)) + lan.network_address.packed))
    if card.encapsulation != registry.DEFAULT:
        fields.append((_ENCAPSULATION, card.encapsulation.encode()))
    if card.number is not None:
        fields.append((_NUMBER, card.number.to_bytes(4, "big")))
    if card.mtu != 1500 or card.joined is not None:
        fields.append((_MTU, card.mtu.to_bytes(MTU_BYTES[card.joined], "big")))
    return pasted.pack(fields)


def decode(text):
    """The Card of what somebody has pasted: wrapped, in small letters or twice, but whole. Raises Refused."""
    return unpack(*pasted.unseal(KIND, text))


def unpack(packed):
    """The Card of its bytes. Raises Refused."""
    card = _card(pasted.fields(KIND, packed, range(_NAME, _MTU + 1), (_ADDRESS,)))
    check(card)
    return card


def _card(fields):
    known = dict(fields)
    if _MTU in known and len(known[_MTU]) not in MTU_BYTES.values():
        raise Refused("the card has an MTU that cannot be", ANOTHER)
    lan = known.get(_LAN, b"")
    try:
        return Card(
            known.get(_NAME, b"").decode("ascii"),
            base64.b64encode(known.get(_KEY, b"")).decode("ascii"),
            known.get(_ENDPOINT, b"").decode("ascii"),
            tuple(str(ipaddress.ip_address(value)) for tag, value in fields if tag == _ADDRESS),
            "%s/%d" % (ipaddress.ip_address(lan[1:]), lan[0]) if lan else "",
            known.get(_ENCAPSULATION, registry.DEFAULT.encode()).decode("ascii"),
            int.from_bytes(known[_NUMBER], "big") if _NUMBER in known else None,
            int.from_bytes(known.get(_MTU, b"\x05\xdc"), "big"),
            {size: joined for joined, size in MTU_BYTES.items()}.get(len(known.get(_MTU, b""))),
        )
    except ValueError:  # of bytes that are no ASCII, and of addresses that have neither 4 nor 16
        raise Refused("the card has a value that cannot be", ANOTHER)


def check(card):
    """Raise Refused for a Card in which anything is not as config/schema.py's rules want it."""
    schema.site_name(card.name)
    public_key(card.key)
    if card.endpoint:
        endpoint(card.endpoint)
    for address in card.addresses:
        if schema.KEYS["local"].parse(address) != address:
            raise Refused(f"{shown(address)} is not how that address is written", ANOTHER)
    if not 1 <= len(card.addresses) <= 2 or len({":" in address for address in card.addresses}) != len(card.addresses):
        raise Refused("the card has no address, or several of one family", ANOTHER)
    if card.lan:
        _network(card.lan)
    schema.KEYS["encapsulation"].parse(card.encapsulation)
    if card.number is not None:
        schema.KEYS["key"].parse(str(card.number))
    schema.KEYS["mtu"].parse(str(card.mtu))


def public_key(value):
    """A public key as wg(8) writes it. Raises Refused; also for a key of nothing but zeros, which is nobody's."""
    if not schema.PUBLIC_KEY.match(value) or base64.b64encode(base64.b64decode(value)).decode() != value:
        raise Refused(f"expected a public key of WireGuard, not {shown(value)}", ANOTHER)
    if not any(base64.b64decode(value)):
        raise Refused("the public key is nothing but zeros", ANOTHER)
    return value


def endpoint(value):
    """(host, port) of HOST:PORT: an IPv4 address, an IPv6 address in brackets, or a name. Raises Refused."""
    hint = "HOST:PORT, such as b.example.org:51820, 203.0.113.7:51820 or [2001:db8::7]:51820"
    host, colon, port = value.rpartition(":")
    if not colon or not re.match(r"[0-9]{1,5}\Z", port) or not 1 <= int(port) <= PORT_MAX or port[0] == "0":
        raise Refused(f"expected an endpoint, not {shown(value)}", hint)
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else ""
    if bare or re.match(r"[0-9.]+\Z", host):
        try:
            if ":" not in schema.KEYS["local"].parse(bare) if bare else not schema.KEYS["local"].parse(host):
                raise Refused("", "")
        except Refused:
            raise Refused(f"the address {shown(host)} cannot be called", hint)
        return bare or host, int(port)
    if len(host) > HOST_BYTES or not all(LABEL.match(label) for label in host.split(".")):
        raise Refused(f"expected the name of a host, not {shown(host)}", hint)
    return host, int(port)


def _network(value):
    try:
        if str(ipaddress.ip_network(value)) == value:
            return
    except ValueError:
        pass
    raise Refused(f"expected a network, not {shown(value)}", ANOTHER)
