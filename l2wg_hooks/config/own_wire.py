"""The file of a WireGuard interface that l2wg makes itself (`wire = own`): wg-quick(8)'s format, and less of it. Pure.

What wg-quick(8) does for such a file, and nobody does here, is refused: what it would do to this router (routes, name servers,
commands) has no meaning for an interface that nobody but the tunnels can reach.
"""

import ipaddress

from l2wg_hooks.config import allowed_ips, endpoint_names, schema, wg_quick, wg_quick_peers
from l2wg_hooks.errors import Problem
from l2wg_hooks.typed import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

# What WireGuard gives a new interface: 1500 less 80, its own overhead over IPv6 (drivers/net/wireguard/device.c).
MTU = 1420
# In a file that `l2wg init` has made so, for `l2wg pair` to know before a tunnel says so.
MARK = "# Not for wg-quick(8): l2wg makes this interface itself (wire = own in l2wg.conf(5))."
# Of nothing but zeros: there is none.
NO_KEY = "A" * 43 + "="
# What `wg show dump` prints for a peer without a preshared key.
NO_SECRET = "(none)"
# Of [Interface], what is read here, and what wg(8) reads.
_HERE, _OF_WG = ("address", "mtu"), ("privatekey", "listenport", "fwmark")
_REFUSED = {
    "dns": "nothing on this router asks name servers through it",
    "table": "it has a network namespace of its own, and the routes there are l2wg's",
    "saveconfig": "nobody writes this file but you, and `l2wg pair`",
    "preup": "l2wg makes the interface, and runs no commands of others",
    "postup": "l2wg makes the interface, and runs no commands of others",
    "predown": "l2wg makes the interface, and runs no commands of others",
    "postdown": "l2wg makes the interface, and runs no commands of others",
}


class PeerWish(NamedTuple):
    """One [Peer], as `wg show dump` would tell of it; `endpoint` is what the file has, "" for none."""

    preshared: str
    allowed: FrozenSet[str]
    keepalive: str
    endpoint: str


class OwnWire(NamedTuple):
    """What a file wants: `addresses` with their prefix lengths, `mtu` in bytes, and what wg(8) is to be told.

    `port` and `mark` are None where the file says nothing of them.
    """

    addresses: Tuple[str, ...]
    mtu: int
    private: str
    port: Optional[str]
    mark: Optional[str]
    peers: Dict[str, PeerWish]


def is_marked(text):
    """Whether `l2wg init` has made this text of a file, or None, for an interface of l2wg's own."""
    return MARK in (text or "").splitlines()


def parse(text, path):
    """(OwnWire or None, Problems) of a file's text: all that is wrong in it."""
    problems: List[Problem] = []
    interface: Dict[str, str] = {}
    addresses: List[str] = []
    for number, row in enumerate(wg_quick.rows_of(text), 1):
        if row.key.startswith("[") or not row.key or row.section == "[peer]":
            continue
        if row.section != "[interface]":
            problems.append(Problem("stands in no section", "it belongs below [Interface] or [Peer]", path, number, row.key))
        elif row.key in _REFUSED:
            hint = "take this line out" + (": l2wg makes it without" if wg_quick.is_ours(row, "%i") else "")
            problems.append(Problem(f"has no meaning with `wire = own`: {_REFUSED[row.key]}", hint, path, number, row.key))
        elif row.key == "address":
            addresses += _addresses(row.value, path, number, problems)
        elif row.key in _HERE + _OF_WG:
            interface[row.key] = row.value
        else:
            hint = "of [Interface], wg(8) knows PrivateKey, ListenPort and FwMark"
            problems.append(Problem("no such key", hint, path, number, row.key))
    mtu = _mtu(interface.get("mtu", ""), path, problems)
    if not interface.get("privatekey"):
        problems.append(Problem("has no PrivateKey", "wg genkey makes one; or let `l2wg init` make the file", path))
    if not addresses:
        hint = "add the tunnels' local address: Address = 198.18.0.1/32"
        problems.append(Problem("has no Address", hint, path))
    if problems:
        return None, tuple(problems)
    port, mark = interface.get("listenport"), interface.get("fwmark")
    return OwnWire(tuple(dict.fromkeys(addresses)), mtu, interface["privatekey"], port, mark, _peers(text)), ()


def _addresses(value, path, number, problems):
    found = []
    for word in [part.strip(schema.SPACE) for part in value.split(",") if part.strip(schema.SPACE)]:
        try:
            found.append(str(ipaddress.ip_interface(word)))
        except ValueError:
            message = f"expected an address, not {schema.shown(word)}"
            problems.append(Problem(message, "such as 198.18.0.1/32", path, number, "Address"))
    return found


def _mtu(value, path, problems):
    if not value:
        return MTU
    try:
        return schema.KEYS["mtu"].parse(value)
    except schema.Refused as error:
        problems.append(Problem(error.args[0], "bytes, 1420 on an ordinary WAN", path, 0, "MTU"))
        return MTU


def _peers(text):
    """{public key: PeerWish} of a file's text."""
    rows, found = wg_quick.rows_of(text), {}
    for section in wg_quick_peers.sections(text):
        preshared = [row.value for row in rows[section.start : section.stop] if row.key == "presharedkey"]
        allowed = frozenset(str(network) for network in allowed_ips.networks(section.allowed))
        keepalive = "off" if section.keepalive in ("", "0") else section.keepalive
        if section.key:
            shared = preshared[-1] if preshared and preshared[-1] != NO_KEY else NO_SECRET
            found[section.key] = PeerWish(shared, allowed, keepalive, section.endpoint)
    return found


def stripped(text):
    """The lines of a file's text that wg(8) takes, as `wg-quick strip` prints them, without endpoints that are names.

    wg(8) would ask for those, and try again for minutes; a peer keeps the endpoint that it has.
    """
    rows = wg_quick.rows_of(text)
    lines, ends = [], {section.stop: section for section in wg_quick_peers.sections(text)}
    for number, row in enumerate(rows, 1):
        if not (row.section == "[interface]" and row.key in _HERE):
            line = row.text.partition("#")[0].strip(schema.SPACE)
            if line and not (row.key == "endpoint" and endpoint_names.is_name(row.value)):
                lines.append(line)
        if number in ends:
            lines += _without(ends[number], rows)
    return "\n".join(lines) + "\n"


def sections(peers):
    """The lines of [Peer] for model.PeerWishes: all that wg(8) can know of them, but no endpoint that is a name."""
    lines = []
    for peer in peers:
        lines += ["[Peer]", f"PublicKey = {peer.key}", f"PresharedKey = {NO_KEY}"]
        # wg(8) takes no empty list, and without one has none.
        lines += ["AllowedIPs = " + ", ".join(peer.allowed)] if peer.allowed else []
        if peer.endpoint and not endpoint_names.is_name(peer.endpoint):
            lines.append(f"Endpoint = {peer.endpoint}")
        lines.append(f"PersistentKeepalive = {peer.keepalive or 'off'}")
    return "".join(line + "\n" for line in lines)


def _without(section, rows):
    """Lines for what a [Peer] does not have: `wg syncconf` leaves what the interface has of it."""
    said = {row.key for row in rows[section.start : section.stop]}
    found = [] if "presharedkey" in said else [f"PresharedKey = {NO_KEY}"]
    return found + ([] if "persistentkeepalive" in said else ["PersistentKeepalive = off"])
