"""The wish: /etc/l2wg/<tunnel>.conf, one flat `key = value` file a tunnel. Pure: text in, Tunnel and Problems out.

The same format is read by POSIX sh in debian/l2wg.config and in the ifupdown hook: a `#` starts a comment wherever it
stands, space around key and value does not count, and no value contains quotes.
"""

import ipaddress
import re
import zlib
from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

from l2wg_hooks.errors import Problem

# IFNAMSIZ is 16 with the closing zero byte (include/uapi/linux/if.h).
NAME_BYTES = 15
NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
# Devices that the kernel's modules make for themselves (net/ipv4/ip_gre.c, net/ipv6/ip6_gre.c and their kin).
KERNEL_NAMES = ("lo", "gre0", "gretap0", "erspan0", "ip6gre0", "ip6gretap0", "ip6tnl0", "tunl0", "sit0", "ip_vti0", "ip6_vti0")
# 576: what every IPv4 host takes (RFC 791). 9216: what network cards call jumbo.
MTU_MIN, MTU_MAX = 576, 9216
KEY_MAX = 2 ** 32 - 1
# RFC 7348: the VXLAN network identifier has 24 bits. Empty `key`: a number that both routers come to by themselves.
VNI_MAX, VNI_DEFAULT = 2 ** 24 - 1, 1
# The UDP port that IANA has for VXLAN. The kernel's own default is 8472, from before (drivers/net/vxlan/vxlan_core.c).
VXLAN_PORT, PORT_MAX = 4789, 2 ** 16 - 1
# Hops that the outer packet may take, whatever the inner one says: frames with TTL 1 (OSPF, RIP, IGMP) cross a WireGuard hub.
TTL = 64
VLAN_MIN, VLAN_MAX = 1, 4094
# What sh, in the C locale, takes for space. Python's str.strip() takes more, such as U+00A0.
SPACE = " \t\n\v\f\r"
UNTAGGED = "untagged"
# A site's name: as a host's label, so that it may stand in a comment, a card and a message.
SITE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?\Z")


class Refused(Exception):
    """A value that cannot be: args are what is wrong and the cure."""


@dataclass(frozen=True)
class Tunnel:
    """What one configuration file wishes for. `lines` says where each key stands (1-based)."""

    name: str
    underlay: str
    local: str
    remote: str
    bridge: str
    bridge_ports: Tuple[str, ...] = ()
    bridge_address: str = ""
    encapsulation: str = "gretap"
    key: Optional[int] = None
    port: int = VXLAN_PORT
    mtu: int = 1500
    mss_clamp: str = "nftables"
    forward: str = "as-is"
    stp: bool = False
    dhcp: str = "pass"
    vlans: str = "all"
    isolated: bool = False
    storm_limit: Optional[int] = None
    link_local: bool = False
    site: str = ""
    path: str = field(default="", compare=False)
    lines: Dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def family(self):
        """Of the two ends: 4 or 6."""
        return 6 if ":" in self.local else 4

    @property
    def kind(self):
        """The kernel's word for the tunnel, as in `ip link add type`."""
        return "ip6gretap" if self.encapsulation == "gretap" and self.family == 6 else self.encapsulation

    @property
    def number(self):
        """What tells this tunnel's packets from those of others between the same ends: the GRE key (None: none), or the VNI."""
        return VNI_DEFAULT if self.encapsulation == "vxlan" and self.key is None else self.key

    @property
    def mac(self):
        """The Ethernet address of the tunnel: always the same, differing from its peer's.

        A bridge takes the lowest address of its ports for its own (br_stp_recalculate_bridge_id in net/bridge/br_stp_if.c),
        so ours starts with fe:ff, a locally administered address that sorts behind every network card's.
        """
        seed = "%s %s %s %s" % (self.name, self.local, self.remote, self.key)
        return "fe:ff:" + ":".join("%02x" % byte for byte in zlib.crc32(seed.encode()).to_bytes(4, "big"))

    @property
    def own(self):
        """The interfaces that are nobody else's: itself, and where l2wg defines the bridge, that and its ports."""
        return (self.name,) + ((self.bridge,) + self.bridge_ports if self.bridge_ports else ())

    def problem(self, key, message, hint="", id=""):
        """A Problem that points at the line of `key`, or at the file where the key is not written."""
        return Problem(message, hint, self.path, self.lines.get(key, 0), key, id, self.name)


def interface_name(value):
    """A name that the kernel, ip(8) and interfaces(5) all take."""
    if value in ("all", "default"):  # sysctl_dev_name_is_allowed in include/linux/inetdevice.h
        raise Refused("%s is no interface name" % value, "the kernel keeps all and default for net.ipv4.conf; choose another")
    if not NAME.match(value) or value in (".", ".."):
        raise Refused("%s is no interface name" % shown(value), "letters, digits, '.', '_' and '-' only, as in wg0")
    if len(value) > NAME_BYTES:
        raise Refused(
            "%s has %d bytes, the kernel takes %d" % (shown(value), len(value), NAME_BYTES), "choose a shorter name"
        )
    return value


def tunnel_name(value):
    """An interface name that is not one of the kernel's own."""
    if value in KERNEL_NAMES:
        raise Refused("%s is a device of the kernel's own" % shown(value), "choose another name, such as gretap1")
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
        raise Refused("%s is no IP address" % shown(value), "an address without prefix length, such as 192.168.178.1")
    if "%" in value:  # a zone, which Python before 3.9 does not know, and newer ones do not look at
        raise Refused("%s cannot be an end of a tunnel" % shown(value), "an address that the peer's AllowedIPs cover")
    if address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local:
        raise Refused("%s cannot be an end of a tunnel" % value, "an address that the peer's AllowedIPs cover")
    if address.version == 4 and int(address) >= 0xF0000000:
        raise Refused("%s cannot be an end of a tunnel" % value, "an address that the peer's AllowedIPs cover")
    return str(address)


def _ports(value):
    names = tuple(interface_name(name) for name in re.split("[ \t,]+", value) if name)
    known = set()
    for name in names:
        if name in known:
            raise Refused("%s is named twice" % name, "name each port once")
        known.add(name)
    return names


def _prefix(value):
    if not value:
        return ""
    hint = "an address of this router with its prefix length, such as 192.168.92.1/24"
    if "/" not in value:
        raise Refused("%s has no prefix length" % shown(value), hint)
    try:
        interface = ipaddress.ip_interface(value)
        _no_octal(value)
    except ValueError:
        raise Refused("%s is no address with a prefix length" % shown(value), hint)
    network = interface.network
    if not re.match(r"[0-9a-fA-F.:]+/(0|[1-9][0-9]{0,2})\Z", value):
        raise Refused("%s is no address with a prefix length" % shown(value), hint)
    if network.num_addresses > 2 and interface.ip == network.network_address:
        raise Refused("%s is the network, not an address in it" % value, hint)
    if interface.version == 4 and network.num_addresses > 2 and interface.ip == network.broadcast_address:
        raise Refused("%s is the broadcast address" % value, hint)
    if interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback:
        raise Refused("%s cannot be an address of a bridge" % value, hint)
    return str(interface)


def _number(low, high, unit):
    def parse(value):
        if not re.match(r"[0-9]{1,10}\Z", value) or not low <= int(value) <= high:
            raise Refused("%s is no number from %d to %d" % (shown(value), low, high), unit)
        return int(value)

    return parse


def _key(value):
    return _number(0, KEY_MAX, "a GRE key or a VNI; leave it empty for none")(value) if value else None


def _choice(*words):
    def parse(value):
        if value not in words:
            raise Refused("%s is not known" % shown(value), "one of: " + ", ".join(words))
        return value

    parse.words = words
    return parse


def _yes_no(value):
    return _choice(*_yes_no.words)(value) == "yes"


_yes_no.words = ("yes", "no")


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
            raise Refused("%s is no list of VLANs" % shown(value), hint)
    return re.sub("[%s]" % SPACE, "", value)


def _storm(value):
    if value == "off":
        return None
    return _number(1, 10 ** 9, "off, or frames a second")(value)


def site_name(value):
    """A site's name."""
    if not SITE.match(value):
        raise Refused("%s is no name of a site" % shown(value), "1 to 32 letters, digits and '-', as in site-b")
    return value


def _site(value):
    return site_name(value) if value else ""


# key of the file -> (field of Tunnel, parser). The order is that of a new file.
KEYS = {
    "underlay": ("underlay", interface_name),
    "local": ("local", _address),
    "remote": ("remote", _address),
    "bridge": ("bridge", interface_name),
    "bridge-ports": ("bridge_ports", _ports),
    "bridge-address": ("bridge_address", _prefix),
    "encapsulation": ("encapsulation", _choice("gretap", "vxlan")),
    "key": ("key", _key),
    "port": ("port", _number(1, PORT_MAX, "the UDP port of a VXLAN, on both routers the same")),
    "mtu": ("mtu", _number(MTU_MIN, MTU_MAX, "bytes of a frame's payload, 1500 on an ordinary LAN")),
    "mss-clamp": ("mss_clamp", _choice("nftables", "iptables", "off")),
    "forward": ("forward", _choice("as-is", "accept")),
    "stp": ("stp", _yes_no),
    "dhcp": ("dhcp", _choice("pass", "block")),
    "vlans": ("vlans", _vlans),
    "isolated": ("isolated", _yes_no),
    "storm-limit": ("storm_limit", _storm),
    "link-local": ("link_local", _yes_no),
    "site": ("site", _site),
}
REQUIRED = ("underlay", "local", "remote", "bridge")
# Asked by debconf, hence always written into a new file, even when empty.
ASKED = ("underlay", "local", "remote", "bridge", "bridge-ports", "bridge-address")


def words(key):
    """The values that a key takes, where these are a few words; else nothing."""
    return getattr(KEYS[key][1], "words", ())


def split(line):
    """(key, value, start, end) of one line, `start` and `end` those of the value in it; None where it says nothing.

    Raises Refused for a line that is neither a comment nor `key = value`.
    """
    code = line.split("#", 1)[0]
    if not code.strip(SPACE):
        return None
    key, equals, value = code.partition("=")
    if not equals:
        raise Refused("%s is not `key = value`" % shown(code.strip(SPACE)), "write key = value, or start the line with #")
    start = len(key) + 1 + len(value) - len(value.lstrip(SPACE))
    stripped = value.strip(SPACE)
    return key.strip(SPACE), stripped, start, start + len(stripped)


def lines_of(text):
    """The lines without their ends. Only LF ends a line (with CR before it, perhaps), as for sh; not U+2028 and its kin."""
    return [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]


def parse(text, path, name):
    """(Tunnel or None, problems) of one file's text: all that is wrong in it, not just the first."""
    problems = []
    lines, values = {}, {}
    try:
        tunnel_name(name)
    except Refused as error:
        problems.append(Problem(error.args[0], "the file's name is the tunnel's: " + error.args[1], path))
    for number, line in enumerate(lines_of(text), 1):
        key = ""
        try:
            found = split(line)
            if found is None:
                continue
            key, value = found[:2]
            if key not in KEYS:
                raise Refused("no such key", _nearest(key))
            if key in lines:
                raise Refused("stands on line %d already" % lines[key], "keep one of the two lines")
            lines[key] = number
            if key in REQUIRED and not value:
                raise Refused("is empty", "write %s = ..., or delete the file" % key)
            field_name, parser = KEYS[key]
            values[field_name] = parser(value)
        except Refused as error:
            label = key if NAME.match(key) and len(key) <= 30 else shown(key) if key else ""
            problems.append(Problem(error.args[0], error.args[1], path, number, label))
    for key in REQUIRED:
        if key not in lines:
            problems.append(Problem("is missing", "add a line: %s = ..." % key, path, 0, key))
    if problems:
        return None, tuple(problems)
    tunnel = Tunnel(name=name, path=path, lines=lines, **values)
    problems = tuple(_contradictions(tunnel))
    return (None if problems else tunnel), problems


def _nearest(key):
    import difflib

    near = difflib.get_close_matches(key, KEYS, 1)
    return "do you mean %s?" % near[0] if near else "known keys: " + ", ".join(KEYS)


def _contradictions(tunnel):
    """What is wrong between the keys of one file, each of which is right by itself."""
    if tunnel.local == tunnel.remote:
        yield tunnel.problem("remote", "%s is local, too" % tunnel.remote, "remote is the address of the other router")
    if (":" in tunnel.local) != (":" in tunnel.remote):
        yield tunnel.problem("remote", "%s is of another family than local" % tunnel.remote, "both IPv4, or both IPv6")
    if tunnel.encapsulation == "vxlan" and (tunnel.key or 0) > VNI_MAX:
        yield tunnel.problem("key", "%d is no VNI" % tunnel.key, "with vxlan, a number from 0 to %d" % VNI_MAX)
    if tunnel.port != VXLAN_PORT and tunnel.encapsulation != "vxlan":
        message = "%s has no UDP port" % tunnel.encapsulation
        yield tunnel.problem("port", message, "take this line out, or write encapsulation = vxlan")
    if tunnel.stp and not tunnel.bridge_ports:
        yield tunnel.problem(
            "stp",
            "needs bridge-ports: without them %s is defined elsewhere" % tunnel.bridge,
            "write `bridge_stp on` where %s is defined, and take this line out" % tunnel.bridge,
        )
    names = {"underlay": tunnel.underlay, "bridge": tunnel.bridge}
    for key, name in names.items():
        if name == tunnel.name:
            yield tunnel.problem(key, "%s is the tunnel itself" % name, "name another interface")
    if tunnel.bridge == tunnel.underlay:
        yield tunnel.problem("bridge", "%s is the underlay, too" % tunnel.bridge, "name a bridge, such as br0")
    for port in tunnel.bridge_ports:
        if port in (tunnel.name, tunnel.underlay, tunnel.bridge, "lo"):
            yield tunnel.problem(
                "bridge-ports", "%s cannot be a port of %s" % (port, tunnel.bridge), "name Ethernet ports, such as enp3s0"
            )
    if tunnel.bridge_address and not tunnel.bridge_ports:
        yield tunnel.problem(
            "bridge-address",
            "needs bridge-ports: without them %s is defined elsewhere and keeps its addresses" % tunnel.bridge,
            "name the ports, or leave bridge-address empty",
        )


def between(tunnels):
    """Problems between the files: what two tunnels cannot both have."""
    ends, ports, addresses, bridges, names = {}, {}, {}, {}, {tunnel.name: tunnel for tunnel in tunnels}
    for tunnel in tunnels:
        identity = (tunnel.kind, tunnel.underlay, tunnel.local, tunnel.remote, tunnel.number)
        if tunnel.encapsulation == "vxlan":
            identity = (tunnel.kind, tunnel.family, tunnel.number, tunnel.port)  # vxlan_exists in drivers/net/vxlan
        same = ends.setdefault(identity, tunnel)
        if same is not tunnel:
            what = "VNI and port" if tunnel.encapsulation == "vxlan" else "ends and key"
            yield tunnel.problem("remote", "%s has the same %s (%s)" % (same.name, what, same.path), "give each its own `key`")
        if tunnel.kind != "gretap":
            # The policy rules of ways.py tell them apart by nothing else.
            same = ends.setdefault((tunnel.kind, tunnel.local, tunnel.remote), tunnel)
            if same.underlay != tunnel.underlay:
                yield tunnel.problem(
                    "underlay", "%s has the same ends over %s (%s)" % (same.name, same.underlay, same.path), "give it other ends"
                )
        for key in ("stp", "link-local"):
            if key in tunnel.lines and tunnel.bridge_ports:
                other = bridges.setdefault((key, tunnel.bridge), tunnel)
                if getattr(other, KEYS[key][0]) != getattr(tunnel, KEYS[key][0]):
                    message = "%s has it otherwise for %s (%s)" % (other.name, tunnel.bridge, other.path)
                    yield tunnel.problem(key, message, "write the same in both files")
        for port in tunnel.bridge_ports:
            other = ports.setdefault(port, tunnel)
            if other.bridge != tunnel.bridge:
                yield tunnel.problem(
                    "bridge-ports",
                    "%s is a port of %s already (%s)" % (port, other.bridge, other.path),
                    "a port can be in one bridge only",
                )
            if port in names:
                yield tunnel.problem("bridge-ports", "%s is a tunnel" % port, "name Ethernet ports, such as enp3s0")
        for key in ("underlay", "bridge"):
            name = getattr(tunnel, key)
            if name in names and name != tunnel.name:
                yield tunnel.problem(key, "%s is a tunnel (%s)" % (name, names[name].path), "name another interface")
        if tunnel.bridge_address:
            other = addresses.setdefault(tunnel.bridge, tunnel)
            if other.bridge_address != tunnel.bridge_address:
                yield tunnel.problem(
                    "bridge-address",
                    "%s has %s already (%s)" % (tunnel.bridge, other.bridge_address, other.path),
                    "write the same address in both files, or in one only",
                )


def edit(text, changes):
    """`text` with the values of `changes` ({key: value}) in it; all else stays: comments, order, spacing, line ends.

    A key that is not there is added at the end; one that is to be empty and is not there is left out.
    """
    rows = text.split("\n")
    end = "\r" if len(rows) > 1 and rows[0].endswith("\r") else ""
    left = dict(changes)
    for index, row in enumerate(rows):
        try:
            found = split(row[:-1] if row.endswith("\r") else row)
        except Refused:
            continue
        if found is None or found[0] not in left:
            continue
        key, value, start, stop = found
        new = left.pop(key)
        if new == value:
            continue
        head = row[:start] if row[:start].endswith((" ", "\t")) or not new else row[:start] + " "
        bare = not new and not row[stop:].strip(SPACE)
        rows[index] = head.rstrip(SPACE) + row[stop:] if bare else head + new + row[stop:]
    added = ["%s = %s%s" % (key, value, end) for key, value in left.items() if value]
    if added:
        if rows[-1]:
            rows[-1] += end
            rows.append("")
        rows[-1:] = added + [""]
    return "\n".join(rows)


HEAD = """\
# %s: an Ethernet tunnel through WireGuard; see l2wg.conf(5). After an edit: l2wg apply
"""


def fresh(name, values):
    """The text of a new file for tunnel `name`: the keys that debconf asks for, and any others in `values`."""
    rows = ["%s = %s" % (key.ljust(14), values.get(key, "")) for key in KEYS if key in ASKED or values.get(key)]
    return HEAD % name + "".join(row.rstrip() + "\n" for row in rows)
