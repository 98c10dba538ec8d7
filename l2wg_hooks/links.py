"""What the kernel has: the links that `ip -json -details address show` tells of. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Optional, Tuple

from l2wg_hooks.errors import fail

# Bridges that programs make for their own guests: no LAN is behind them. Docker, libvirt, LXD, LXC, CNI, Podman.
GUESTS = re.compile(r"(?:docker\d+|br-[0-9a-f]{12}|virbr\d+|lxdbr\d+|lxcbr\d+|cni\d+|cni-podman\d+|podman\d+)\Z")


@dataclass(frozen=True)
class Link:
    """One network interface. `addresses` leaves out IPv6 link-local ones, which come and go by themselves.

    `carrier` is false where the kernel says NO-CARRIER: up, and nothing is plugged in.
    Of a bridge's port: `port_state` is "forwarding" where frames pass.
    Of a bridge: `group_forward` is its group_fwd_mask, `pvid` the VLAN of a new port's untagged frames.
    `underlay` is the device that a tunnel is bound to; the kernel's "if5" says that it is bound to one that is gone.
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
    ipv6: bool = False
    local: str = ""
    remote: str = ""
    underlay: str = ""
    key: Optional[int] = None
    pmtudisc: bool = True
    ignore_df: bool = False
    port: Optional[int] = None
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
    if "." not in text:
        return int(text, 0)
    number = 0
    for part in text.split("."):
        number = number * 256 + int(part)
    return number


def _link(entry):
    info = entry.get("linkinfo") or {}
    data = info.get("info_data") or {}
    known = entry.get("addr_info") or []
    return Link(
        name=entry["ifname"],
        index=entry["ifindex"],
        kind=info.get("info_kind", ""),
        up="UP" in entry.get("flags", ()),
        carrier="NO-CARRIER" not in entry.get("flags", ()),
        mtu=entry.get("mtu", 0),
        mac=entry.get("address", ""),
        master=entry.get("master", ""),
        alias=entry.get("ifalias", ""),
        addresses=tuple(
            "%s/%s" % (address["local"], address.get("prefixlen", ""))
            for address in known
            if "local" in address and address.get("scope") != "link"
        ),
        ipv6=any(address.get("family") == "inet6" for address in known),
        local=data.get("local", data.get("local6", "")),
        remote=data.get("remote", data.get("remote6", "")),
        underlay=data.get("link") or "",
        key=_key(data),
        pmtudisc=bool(data.get("pmtudisc", False)),
        ignore_df=bool(data.get("ignore_df", False)),
        port=data.get("port"),
        isolated=bool((info.get("info_slave_data") or {}).get("isolated", False)),
        port_state=str((info.get("info_slave_data") or {}).get("state", "")),
        stp=bool(data.get("stp_state", 0)),
        group_forward=int(str(data.get("group_fwd_mask", "0")), 16),
        vlan_filtering=bool(data.get("vlan_filtering", 0)),
        pvid=data.get("vlan_default_pvid", 1),
        bridge_iptables=bool(data.get("nf_call_iptables", 0) and data.get("nf_call_ip6tables", 0)),
    )


def entries(text):
    """What `ip -json` and `bridge -json` printed, as a list. Raises ValueError where it is none.

    iproute2 4.20 (Debian 10) prints nothing for "no links", and {} where it leaves one out.
    """
    return [entry for entry in json.loads(text or "[]") if entry]


def parse(text):
    """{name: Link} of what `ip -json -details address show` printed. Raises L2wgError where that is no such thing."""
    try:
        found = [_link(entry) for entry in entries(text)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fail(
            "`ip -json` printed what cannot be read: %s: %s" % (type(error).__name__, error),
            "is /sbin/ip that of the package iproute2 (4.20 or later)?",
        )
    return {link.name: link for link in found}
