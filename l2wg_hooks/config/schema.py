"""The keys of /etc/l2wg/<tunnel>.conf: what each may be. Pure."""

import ipaddress
import re

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.system import json_fields
from l2wg_hooks.typed import Any, Callable, NamedTuple, Tuple

NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
# 32 bytes in Base64, as wg(8) writes a key.
PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=\Z")
# Devices that the kernel's modules make for themselves (net/ipv4/ip_gre.c, net/ipv6/ip6_gre.c and their kin).
KERNEL_NAMES = ("lo", "gre0", "gretap0", "erspan0", "ip6gre0", "ip6gretap0", "ip6tnl0", "tunl0", "sit0", "ip_vti0", "ip6_vti0")
# 576: what every IPv4 host takes (RFC 791). 9216: what network cards call jumbo.
MTU_MIN, MTU_MAX = 576, 9216
KEY_MAX = max(encapsulation.number_max for encapsulation in registry.ENCAPSULATIONS.values())
PORT_MAX = 2**16 - 1
VLAN_MIN, VLAN_MAX = 1, 4094
# What sh, in the C locale, takes for space. Python's str.strip() takes more, such as U+00A0.
SPACE = " \t\n\v\f\r"
UNTAGGED = "untagged"
# Each gets a copy of every broadcast of this site.
REMOTES_MAX = 100
# A site's name: as a host's label, so that it may stand in a comment, a card and a message.
SITE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?\Z")


class Refused(Exception):
    """A value that cannot be: args are what is wrong and the cure."""


def interface_name(value):
    """A name that the kernel, ip(8) and interfaces(5) all take."""
    if value in ("all", "default"):  # sysctl_dev_name_is_allowed in include/linux/inetdevice.h
        raise Refused(f"expected the name of an interface, not {value}", "the kernel keeps all and default for net.ipv4.conf")
    if not NAME.match(value) or value in (".", ".."):
        raise Refused(
            f"expected the name of an interface, not {shown(value)}", "letters, digits, '.', '_' and '-' only, as in wg0"
        )
    if len(value) > json_fields.NAME_BYTES:
        raise Refused(
            "%s has %d bytes, the kernel takes %d" % (shown(value), len(value), json_fields.NAME_BYTES), "choose a shorter name"
        )
    return value


def tunnel_name(value):
    """An interface name that is not one of the kernel's own."""
    if value in KERNEL_NAMES:
        raise Refused(f"{shown(value)} is a device of the kernel's own", "choose another name, such as gretap1")
    return interface_name(value)


def shown(value):
    """A value as it may stand in a message: on one line, and not for ever."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "...'"


def _no_octal(value):
    """Raise ValueError for 192.168.01.1, which Python before 3.9.5 takes and inet_aton(3) reads as octal."""
    if re.search(r"(?:^|[.:])0[0-9]+\.|\.0[0-9]", value):
        raise ValueError(value)


def _address(value):
    try:
        address = ipaddress.ip_address(value)
        _no_octal(value)
    except ValueError:
        raise Refused(f"expected an IP address, not {shown(value)}", "an address without prefix length, such as 192.168.178.1")
    if "%" in value:  # a zone, which Python before 3.9 does not know, and newer ones do not look at
        raise Refused(f"{shown(value)} cannot be an end of a tunnel", "an address that the peer's AllowedIPs cover")
    if address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local:
        raise Refused(f"{value} cannot be an end of a tunnel", "an address that the peer's AllowedIPs cover")
    if address.version == 4 and int(address) >= 0xF0000000:
        raise Refused(f"{value} cannot be an end of a tunnel", "an address that the peer's AllowedIPs cover")
    return str(address)


def _senders(value):
    """A prefix of addresses."""
    hint = "the prefix of all far ends, such as 198.18.0.0/15, beside control = evpn"
    if not re.match(r"[0-9a-fA-F.:]+/[0-9]{1,3}\Z", value):
        alone = re.search("[ \t,]", value)
        fact = (
            f"{shown(value)} has a prefix beside other addresses"
            if alone
            else f"expected an address, or a prefix, not {shown(value)}"
        )
        raise Refused(fact, "a prefix stands alone: " + hint if alone else hint)
    try:
        _no_octal(value)
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise Refused(f"expected an address, or a prefix, not {shown(value)}", hint)
    first = network.network_address
    if network.num_addresses < 2:
        raise Refused(f"{value} is one address, not a prefix of many", f"write it without the prefix length: {first}; or {hint}")
    if str(first) != value.partition("/")[0].lower():
        raise Refused(f"{value} is no prefix: there is something behind its {network.prefixlen} bits", f"write {network}")
    special = (first, network.broadcast_address)
    if not network.prefixlen or any(end.is_multicast or end.is_loopback or end.is_link_local for end in special):
        raise Refused(f"{value} cannot be where the ends of a tunnel are", "what the AllowedIPs of its peers cover")
    if network.version == 4 and int(special[1]) >= 0xE0000000:
        raise Refused(f"{value} cannot be where the ends of a tunnel are", "what the AllowedIPs of its peers cover")
    return str(network)


def _remote(value):
    """An address; of several, a tuple of them, which may be of one, with a comma behind it; or a prefix, with a slash in it."""
    if "/" in value:
        return _senders(value)
    found = tuple(_address(word) for word in re.split("[ \t,]+", value) if word)
    for number, address in enumerate(found):
        if address in found[:number]:
            raise Refused(f"{address} is named twice", "name each address once")
    if len(found) > REMOTES_MAX:
        raise Refused("%d addresses are too many" % len(found), "at most %d" % REMOTES_MAX)
    return found if found and (len(found) > 1 or "," in value) else found[0] if found else _address(value)


def _ports(value):
    names = tuple(interface_name(name) for name in re.split("[ \t,]+", value) if name)
    known = set()
    for name in names:
        if name in known:
            raise Refused(f"{name} is named twice", "name each port once")
        known.add(name)
    return names


def _prefix(value):
    if not value:
        return ""
    hint = "an address of this router with its prefix length, such as 192.168.92.1/24"
    if "/" not in value:
        raise Refused(f"{shown(value)} has no prefix length", hint)
    try:
        interface = ipaddress.ip_interface(value)
        _no_octal(value)
    except ValueError:
        raise Refused(f"expected an address with a prefix length, not {shown(value)}", hint)
    network = interface.network
    if not re.match(r"[0-9a-fA-F.:]+/(0|[1-9][0-9]{0,2})\Z", value):
        raise Refused(f"expected an address with a prefix length, not {shown(value)}", hint)
    if network.num_addresses > 2 and interface.ip == network.network_address:
        raise Refused(f"{value} is the network, not an address in it", hint)
    if interface.version == 4 and network.num_addresses > 2 and interface.ip == network.broadcast_address:
        raise Refused(f"{value} is the broadcast address", hint)
    if interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback:
        raise Refused(f"{value} cannot be an address of a bridge", hint)
    return str(interface)


def _number(low, high, unit):
    def parse(value):
        if not re.match(r"[0-9]{1,10}\Z", value) or not low <= int(value) <= high:
            raise Refused("expected a number from %d to %d, not %s" % (low, high, shown(value)), unit)
        return int(value)

    return parse


def _optional(parse):
    return lambda value: parse(value) if value else None


def _vlans(value):
    if value == "all":
        return value
    hint = "all, or `untagged`, numbers from 1 to 4094 and ranges, such as untagged,10,20,30-39"
    for part in value.split(","):
        if part.strip(SPACE) == UNTAGGED:
            continue
        match = re.match(r"([0-9]{1,4})(?:-([0-9]{1,4}))?\Z", part.strip(SPACE))
        first, last = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (0, 0)
        if not VLAN_MIN <= first <= last <= VLAN_MAX:
            raise Refused(f"expected a list of VLANs, not {shown(value)}", hint)
    return re.sub(f"[{SPACE}]", "", value)


def _storm(value):
    if value == "off":
        return None
    return _number(1, 10**9, "off, or frames a second")(value)


def site_name(value):
    """A site's name."""
    if not SITE.match(value):
        raise Refused(f"expected the name of a site, not {shown(value)}", "1 to 32 letters, digits and '-', as in site-b")
    return value


def _site(value):
    return site_name(value) if value else ""


class Key(NamedTuple):
    """One key of the file.

    `parse` gives a Tunnel's value of its text, or raises Refused; `choices` are the values that it takes, where these are a few
    words. Without a `required` one there is no tunnel. Debconf has `asked` for it, so a new file has it even where it is empty.
    `completion` says what the shells look up for its value.
    """

    name: str
    parse: Callable[[str], Any]
    choices: Tuple[str, ...] = ()
    required: bool = False
    asked: bool = False
    completion: str = ""

    @property
    def field(self):
        """Of Tunnel."""
        return self.name.replace("-", "_")


def _choice(name, *words):
    def parse(value):
        if value not in words:
            raise Refused(f"unknown value {shown(value)}", "one of: " + ", ".join(words))
        return value

    return Key(name, parse, words)


def _yes_no(name):
    words = _choice(name, "yes", "no")
    return words._replace(parse=lambda value: words.parse(value) == "yes")


# In the order of a new file.
_KEYS = (
    Key("underlay", interface_name, required=True, asked=True, completion="underlays"),
    Key("local", _address, required=True, asked=True),
    Key("remote", _remote, required=True, asked=True),
    Key("bridge", interface_name, required=True, asked=True, completion="bridges"),
    Key("bridge-ports", _ports, asked=True, completion="ports"),
    Key("bridge-address", _prefix, asked=True),
    _choice("wire", "shared", "own"),
    _choice("encapsulation", *registry.ENCAPSULATIONS),
    _choice("control", "learning", "evpn"),
    Key("key", _optional(_number(0, KEY_MAX, "a GRE key or a VNI; leave it empty for none"))),
    Key("port", _optional(_number(1, PORT_MAX, "the UDP port of a VXLAN, on both routers the same; leave it empty for 4789"))),
    Key("mtu", _number(MTU_MIN, MTU_MAX, "bytes of a frame's payload, 1500 on an ordinary LAN")),
    _choice("mss-clamp", "nftables", "iptables", "off"),
    _choice("forward", "as-is", "accept"),
    _yes_no("stp"),
    _choice("dhcp", "pass", "block"),
    Key("vlans", _vlans),
    _yes_no("isolated"),
    Key("storm-limit", _storm),
    _yes_no("link-local"),
    _choice("peer-down", "nothing", "port"),
    Key("site", _site),
)
KEYS = {key.name: key for key in _KEYS}
REQUIRED = tuple(key.name for key in _KEYS if key.required)
ASKED = tuple(key.name for key in _KEYS if key.asked)
