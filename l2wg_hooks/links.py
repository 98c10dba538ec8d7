"""What the kernel has: the links that `ip -json -details address show` tells of. Pure."""

import json
from dataclasses import dataclass
from typing import Optional, Tuple

from l2wg_hooks.errors import fail


@dataclass(frozen=True)
class Link:
    """One network interface. `addresses` leaves out IPv6 link-local ones, which come and go by themselves.

    `underlay` is the device that a tunnel is bound to; the kernel's "if5" says that it is bound to one that is gone.
    """

    name: str
    index: int
    kind: str = ""
    up: bool = False
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


def _key(data):
    """A GRE key as a number: ip(8) writes it as a dotted quad. The way out is what counts."""
    text = str(data.get("okey", data.get("key", "")))
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
        local=data.get("local", ""),
        remote=data.get("remote", ""),
        underlay=data.get("link") or "",
        key=_key(data),
        pmtudisc=bool(data.get("pmtudisc", False)),
        ignore_df=bool(data.get("ignore_df", False)),
    )


def parse(text):
    """{name: Link} of what `ip -json -details address show` printed. Raises L2wgError where that is no such thing.

    iproute2 4.20 (Debian 10) prints nothing for "no links", and {} where it leaves one out.
    """
    try:
        found = [_link(entry) for entry in json.loads(text or "[]") if entry]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fail(
            "`ip -json` printed what cannot be read: %s: %s" % (type(error).__name__, error),
            "is /sbin/ip that of the package iproute2 (4.20 or later)?",
        )
    return {link.name: link for link in found}
