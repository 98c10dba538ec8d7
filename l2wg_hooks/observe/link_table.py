"""What the kernel has: the links that `ip -json -details address show` tells of. Pure."""

import os
import re

from l2wg_hooks import model
from l2wg_hooks.config import schema
from l2wg_hooks.config.schema import KERNEL_NAMES
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import fail
from l2wg_hooks.model import NAMESPACE, Link
from l2wg_hooks.system import json_fields, network_namespace, process

# Ethernet addresses and those of other links, which may be IP addresses: a tunnel without Ethernet has such a one.
_MAC = re.compile(r"[0-9A-Fa-f:.]*\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+\Z")


def _key(data):
    """A GRE key, which ip(8) writes as a dotted quad, or a VNI as a number. Of two keys, the one on the way out counts."""
    text = str(data.get("okey", data.get("key", data.get("id", ""))))
    if not text:
        return None
    parts = text.split(".") if "." in text else [text]
    if not all(re.match(r"(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})\Z", part) for part in parts) or len(parts) not in (1, 4):
        raise json_fields.Unfit(f"key is {text[:60]!a}")
    number = 0
    for part in parts:
        number = number * 256 + int(part, 16 if part.startswith("0x") else 10)
    return number


def _netns(entry):
    """The number of the network namespace that a tunnel's packets are in; "" for its own."""
    found = entry.get("link_netnsid")
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else ""


def _parent(entry):
    """The interface that this one is on; "" where there is none, or ip(8) knows no name for it."""
    found = entry.get("link")
    return found if isinstance(found, str) and schema.NAME.match(found) else ""


def _link(entry):
    info = json_fields.inner(entry, "linkinfo")
    data = json_fields.inner(info, "info_data")
    slave = json_fields.inner(info, "info_slave_data")
    known = json_fields.rows(entry, "addr_info")
    name, index = json_fields.name(entry, "ifname"), json_fields.number(entry, "ifindex")
    if not name or not index:
        raise json_fields.Unfit("an interface without a name, or a number")
    return Link(
        name=name,
        ifindex=index,
        kind=json_fields.word(info, "info_kind"),
        up="UP" in json_fields.listed(entry, "flags"),
        carrier="NO-CARRIER" not in json_fields.listed(entry, "flags"),
        mtu=json_fields.number(entry, "mtu"),
        mac=_checked(_MAC, json_fields.word(entry, "address")),
        master=json_fields.name(entry, "master"),
        parent=_parent(entry),
        alias=json_fields.word(entry, "ifalias"),
        addresses=tuple(_prefixed(record) for record in known if "local" in record and record.get("scope") != "link"),
        # net/ipv6/addrconf.c marks them so, and its own privacy addresses; by hand, `mngtmpaddr` is seldom given.
        autoconfigured=tuple(
            _prefixed(record)
            for record in known
            if "local" in record and record.get("family") == "inet6" and (record.get("mngtmpaddr") or record.get("temporary"))
        ),
        ipv6=any(record.get("family") == "inet6" for record in known),
        local=json_fields.word(data, "local", json_fields.word(data, "local6")),
        remote=json_fields.word(data, "remote", json_fields.word(data, "remote6")),
        underlay=json_fields.word(data, "link", None) or "",
        key=_key(data),
        pmtudisc=bool(data.get("pmtudisc", False)),
        ignore_df=bool(data.get("ignore_df", False)),
        port=json_fields.number(data, "port", None),
        ttl=json_fields.number(data, "ttl"),
        odd=_odd(json_fields.word(info, "info_kind"), data),
        isolated=bool(slave.get("isolated", False)),
        port_state=str(slave.get("state", "")),
        port_learning=bool(slave.get("learning", True)),
        neigh_suppress=bool(slave.get("neigh_suppress", False)),
        stp=bool(data.get("stp_state", 0)),
        group_forward=_mask(data.get("group_fwd_mask", "0")),
        vlan_filtering=bool(data.get("vlan_filtering", 0)),
        pvid=json_fields.number(data, "vlan_default_pvid", 1, 4095),
        link_netns=_netns(entry),
        bridge_iptables=bool(data.get("nf_call_iptables", 0) and data.get("nf_call_ip6tables", 0)),
    )


def _odd(kind, data):
    packing, _ = registry.KINDS.get(kind, (None, None))
    options = packing.options if packing else {}
    words = [word for key, (word, usual) in options.items() if data.get(key) is not None and data[key] not in usual]
    if data.get("ikey") != data.get("okey"):
        words.append("ikey {} okey {}".format(*tuple(ascii(data.get(key))[:20] for key in ("ikey", "okey"))))
    return tuple(words)


def _prefixed(record):
    return "{}/{}".format(_checked(_ADDRESS, json_fields.word(record, "local")), json_fields.number(record, "prefixlen", "", 128))


def _mask(value):
    if not re.match(r"(0x)?[0-9a-fA-F]{1,8}\Z", str(value)):
        raise json_fields.Unfit(f"group_fwd_mask is {ascii(value)[:60]}")
    return int(str(value), 16)


def _checked(pattern, text):
    if not pattern.match(text):
        raise json_fields.Unfit(f"{text[:60]!a} is not an address")
    return text


def refuse(error):
    """Raise L2wgError for what ip(8) has printed and system/json_fields.py does not take."""
    fail(
        f"`ip -json` printed what cannot be read: {error}",
        "is /sbin/ip that of the package iproute2 (4.20 or later)?",
    )


def parse(text):
    """{name: Link} of what `ip -json -details address show` printed. Raises L2wgError where that is no such thing.

    iproute2 4.20 (Debian 10) prints nothing for "no links", and {} where it leaves one out.
    """
    try:
        found = [_link(entry) for entry in json_fields.table(text)]
    except json_fields.Unfit as error:
        refuse(error)
    return {link.name: link for link in found}


OBSERVE = ("ip", "-json", "-details", "address", "show")


def read():
    """{name: Link} of what the kernel has now: in the router's own network namespace, and what is ours in that of l2wg."""
    return completed(parse(_observed()))


def completed(links):
    """The {name: Link} of the router's own network namespace, and what is ours in that of l2wg."""
    if not os.path.exists(network_namespace.path(NAMESPACE)):
        return links
    try:
        number, text = network_namespace.number(NAMESPACE), network_namespace.within(NAMESPACE, _observed)
    except OSError:  # no namespace: plan/wire_steps.py makes one
        return links
    return joined(links, parse(text), number)


def _observed():
    result = process.run(OBSERVE)
    if result.code:
        fail("`{}` failed: {}".format(" ".join(OBSERVE), result.err.strip()), "is this root, and iproute2 4.20 or later?")
    return result.out


def is_kernels(name):
    """Whether the kernel's modules make a device of this name for themselves, in each network namespace."""
    return name in KERNEL_NAMES


def joined(links, inside, number):
    """One {name: Link} of both, without what is not ours `inside`: a name that both have is the router's own.

    `number` is what the router's network namespace calls that of l2wg. Where a tunnel's packets are there, the name of its
    underlay, which ip(8) takes from the wrong namespace, is mended.
    """
    names = {link.ifindex: link.name for link in inside.values()}
    found = {
        link.name: link._replace(namespace=NAMESPACE, link_netns=NAMESPACE)
        for link in inside.values()
        if (link.kind == "wireguard" or model.is_ours(link)) and not is_kernels(link.name)
    }
    for link in links.values():
        if link.link_netns and link.kind in model.TUNNEL_KINDS:
            netns = NAMESPACE if link.link_netns == str(number) else link.link_netns
            index = links[link.underlay].ifindex if link.underlay in links else _index(link.underlay)
            link = link._replace(link_netns=netns, underlay=names.get(index, "") if netns == NAMESPACE else link.underlay)
        found[link.name] = link
    return found


def _index(name):
    """The number in `if5`, as ip(8) calls what has no name for it; 0 for any other."""
    return int(name[2:]) if re.match(r"if[0-9]{1,9}\Z", name) else 0
