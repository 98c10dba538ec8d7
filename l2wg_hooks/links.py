"""What the kernel has: the links that `ip -json -details address show` tells of. Pure."""

import re
from dataclasses import dataclass
from typing import Optional, Tuple

from l2wg_hooks import record
from l2wg_hooks.errors import fail

# Ethernet addresses and those of other links, which may be IP addresses: a tunnel without Ethernet has such a one.
_MAC = re.compile(r"[0-9A-Fa-f:.]*\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+\Z")


@dataclass(frozen=True)
class Link:
    """One network interface. `addresses` leaves out IPv6 link-local ones, which come and go by themselves.

    `autoconfigured` are those of `addresses` that the kernel took from router advertisements.
    `carrier` is false where the kernel says NO-CARRIER: up, and nothing is plugged in.
    Of a bridge's port: `port_state` is "forwarding" where frames pass.
    Of a bridge: `group_forward` is its group_fwd_mask, `pvid` the VLAN of a new port's untagged frames.
    `underlay` is the device that a tunnel is bound to; the kernel's "if5" says that it is bound to one that is gone.
    Of a tunnel, `ttl` is its packets' TTL or hop limit (0: that of the packet in the frame, or the kernel's choice), `odd` are
    the words of ip-link(8) for what makes its packets other than those of a tunnel that was made without these words.
    """

    name: str
    index: int
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
    stp: bool = False
    group_forward: int = 0
    bridge_iptables: bool = False
    vlan_filtering: bool = False
    pvid: int = 1


def _key(data):
    """A GRE key, which ip(8) writes as a dotted quad, or a VNI as a number. Of two keys, the one on the way out counts."""
    text = str(data.get("okey", data.get("key", data.get("id", ""))))
    if not text:
        return None
    parts = text.split(".") if "." in text else [text]
    if not all(re.match(r"(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})\Z", part) for part in parts) or len(parts) not in (1, 4):
        raise record.Unfit("key is %s" % ascii(text[:60]))
    number = 0
    for part in parts:
        number = number * 256 + int(part, 16 if part.startswith("0x") else 10)
    return number


def _link(entry):
    info = record.inner(entry, "linkinfo")
    data = record.inner(info, "info_data")
    slave = record.inner(info, "info_slave_data")
    known = record.rows(entry, "addr_info")
    name, index = record.name(entry, "ifname"), record.number(entry, "ifindex")
    if not name or not index:
        raise record.Unfit("an interface without a name, or a number")
    return Link(
        name=name,
        index=index,
        kind=record.word(info, "info_kind"),
        up="UP" in record.listed(entry, "flags"),
        carrier="NO-CARRIER" not in record.listed(entry, "flags"),
        mtu=record.number(entry, "mtu"),
        mac=_checked(_MAC, record.word(entry, "address")),
        master=record.name(entry, "master"),
        alias=record.word(entry, "ifalias"),
        addresses=tuple(_prefixed(one) for one in known if "local" in one and one.get("scope") != "link"),
        # net/ipv6/addrconf.c marks them so, and its own privacy addresses; by hand, `mngtmpaddr` is seldom given.
        autoconfigured=tuple(
            _prefixed(one)
            for one in known
            if "local" in one and one.get("family") == "inet6" and (one.get("mngtmpaddr") or one.get("temporary"))
        ),
        ipv6=any(one.get("family") == "inet6" for one in known),
        local=record.word(data, "local", record.word(data, "local6")),
        remote=record.word(data, "remote", record.word(data, "remote6")),
        underlay=record.word(data, "link", None) or "",
        key=_key(data),
        pmtudisc=bool(data.get("pmtudisc", False)),
        ignore_df=bool(data.get("ignore_df", False)),
        port=record.number(data, "port", None),
        ttl=record.number(data, "ttl"),
        odd=_odd(data),
        isolated=bool(slave.get("isolated", False)),
        port_state=str(slave.get("state", "")),
        stp=bool(data.get("stp_state", 0)),
        group_forward=_mask(data.get("group_fwd_mask", "0")),
        vlan_filtering=bool(data.get("vlan_filtering", 0)),
        pvid=record.number(data, "vlan_default_pvid", 1, 4095),
        bridge_iptables=bool(data.get("nf_call_iptables", 0) and data.get("nf_call_ip6tables", 0)),
    )


# What ip(8) calls it -> the word that sets it, and what it is without that word (ip/link_gre.c, link_gre6.c, link_vxlan.c).
# Keys that it leaves out, as older ones do, stand for the latter.
_ODD = {
    "tos": ("tos", (0, "0", "0x0", "0x00")),
    "tclass": ("tclass", (0, "0", "0x0", "0x00")),
    "flowlabel": ("flowlabel", (0, "0", "0x0", "0x00000")),
    "label": ("flowlabel", (0, "0x0")),
    "iseq": ("iseq", (False,)),
    "oseq": ("oseq", (False,)),
    "icsum": ("icsum", (False,)),
    "ocsum": ("ocsum", (False,)),
    "encap_limit": ("encaplimit", ()),
    "ip6_tnl_f_use_orig_tclass": ("tclass inherit", (False,)),
    "ip6_tnl_f_use_orig_flowlabel": ("flowlabel inherit", (False,)),
    "ip6_tnl_f_rcv_dscp_copy": ("dscp inherit", (False,)),
    "ip6_tnl_f_use_orig_fwmark": ("fwmark inherit", (False,)),
    "fwmark": ("fwmark", (0, "0", "0x0")),
    "encap": ("encap", ({},)),
    "external": ("external", (False,)),
    "learning": ("nolearning", (True,)),
    "df": ("df", ("unset", 0)),
    "udp_csum": ("noudpcsum", (True,)),
    "udp_zero_csum6_tx": ("udp6zerocsumtx", (False,)),
    "udp_zero_csum6_rx": ("udp6zerocsumrx", (False,)),
    "remcsum_tx": ("remcsumtx", (False,)),
    "remcsum_rx": ("remcsumrx", (False,)),
    "gbp": ("gbp", (False,)),
    "gpe": ("gpe", (False,)),
    "limit": ("maxaddress", (0,)),
}


def _odd(data):
    words = [word for key, (word, usual) in _ODD.items() if key in data and data[key] is not None and data[key] not in usual]
    if data.get("ikey") != data.get("okey"):
        words.append("ikey %s okey %s" % tuple(ascii(data.get(key))[:20] for key in ("ikey", "okey")))
    return tuple(words)


def _prefixed(one):
    return "%s/%s" % (_checked(_ADDRESS, record.word(one, "local")), record.number(one, "prefixlen", "", 128))


def _mask(value):
    if not re.match(r"(0x)?[0-9a-fA-F]{1,8}\Z", str(value)):
        raise record.Unfit("group_fwd_mask is %s" % ascii(value)[:60])
    return int(str(value), 16)


def _checked(pattern, text):
    if not pattern.match(text):
        raise record.Unfit("%s is no address" % ascii(text[:60]))
    return text


def holders(links, address):
    """[(Link, the address with its prefix length)] of those of {name: Link} that have an IP address."""
    return [(link, word) for link in links.values() for word in link.addresses if word.partition("/")[0] == address]


def refuse(error):
    """Raise L2wgError for what ip(8) has printed and record.py does not take."""
    fail(
        "`ip -json` printed what cannot be read: %s" % error,
        "is /sbin/ip that of the package iproute2 (4.20 or later)?",
    )


def parse(text):
    """{name: Link} of what `ip -json -details address show` printed. Raises L2wgError where that is no such thing.

    iproute2 4.20 (Debian 10) prints nothing for "no links", and {} where it leaves one out.
    """
    try:
        found = [_link(entry) for entry in record.table(text)]
    except record.Unfit as error:
        refuse(error)
    return {link.name: link for link in found}
