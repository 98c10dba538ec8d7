"""Who stands in for what a copy does not have: network cards, and what DHCP servers and other programs have given. Pure."""

from typing import Dict, NamedTuple, Tuple

from l2wg_hooks.model import Addresses, Link
from l2wg_hooks.plan import commands
from l2wg_hooks.system import json_fields

# Cards of containers, and of sites in the lab. What makes them is outside, so the boot finds them, unless a stanza makes them.
LENT = ("veth", "macvlan", "ipvlan", "dummy")


class Nic(NamedTuple):
    """A stand-in for a network card."""

    name: str
    mac: str


def nics(rows, stanzas, wished) -> Tuple[Nic, ...]:
    """The Nics of this router by the records of `ip -json -details address show`; `wished` are the ports that tunnels name."""
    named = {stanza.interface for stanza in stanzas} | set(wished)
    commands = " ".join(value for stanza in stanzas for _, value in stanza.options if "link" in value and "add" in value)
    found = []
    for row in rows:
        name, kind = json_fields.name(row, "ifname"), json_fields.word(json_fields.inner(row, "linkinfo"), "info_kind")
        mac = json_fields.word(row, "permaddr") or json_fields.word(row, "address")
        if json_fields.word(row, "link_type") != "ether" or len(mac) != 17:
            continue
        if not kind or (kind in LENT and name in named and name not in commands.split()):
            found.append(Nic(name, mac))
    return tuple(found)


def leases(held, links, bridges) -> Dict[str, Tuple[str, ...]]:
    """{interface: lines for `ip -batch`}: what a DHCP server has given to each, as far as it can be told.

    `held` is {interface: Layer3} and `links` {interface: Link} of now; `bridges` is {bridge: its ports}: a lease goes from a port
    to its bridge, or back, with the stanza.
    """
    found = {}
    for name, layer3 in held.items():
        given = _given(layer3)
        if given.addresses:
            found[name] = given
    for bridge, ports in bridges.items():
        of_ports = [found[port] for port in ports if port in found]
        if bridge not in found and of_ports:
            found[bridge] = of_ports[0]
        for port in ports:
            if port not in found and bridge in found and links.get(port, Link(port, 0)).master == bridge:
                found[port] = found[bridge]
    return {name: lines(layer3, name) for name, layer3 in found.items()}


def _given(layer3):
    """The part of a Layer3 that is by DHCP: IPv4 addresses with a lifetime or, where none has one, all of IPv4; and ways out."""
    addresses = [words for words in layer3.addresses if ":" not in words[0]]
    dated = [words for words in addresses if "valid_lft" in words]
    routes = [words for words in layer3.routes if words[0] == "default" or ("proto", "dhcp") in zip(words, words[1:])]
    return Addresses(tuple(_without(words, "label") for words in dated or addresses), tuple(routes))


def _without(words, key):
    at = words.index(key) if key in words else len(words)
    return words[:at] + words[at + 2 :]


def lines(layer3, name) -> Tuple[str, ...]:
    """Lines for `ip -batch` that give a Layer3 to an interface."""
    argvs = list(commands.give(Addresses(tuple(_without(words, "label") for words in layer3.addresses)), name))
    argvs += list(commands.lead(layer3, name))
    return tuple(" ".join(argv[1:]) for argv in argvs)


def given(held, nics, defined) -> Tuple[str, ...]:
    """Lines for `ip -batch`: what the cards have by other programs than ifupdown; `defined` are the names that it knows."""
    found = []
    for nic in nics:
        if nic.name not in defined and nic.name in held:
            found.append(f"link set dev {nic.name} up")
            found += lines(held[nic.name], nic.name)
    return tuple(found)
