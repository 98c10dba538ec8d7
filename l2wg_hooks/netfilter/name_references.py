"""What in the kernel goes by a port's name, and would not know the bridge that its address moves to: firewalls, policy rules.

A firewall is the admin's, and how it is kept, nobody knows: so nothing is copied. Who moves is told what is missing, and is not
cut off by a rule set that drops, from the next packet on, what comes by the bridge.
"""

import ipaddress
import re

from l2wg_hooks.errors import Problem
from l2wg_hooks.netfilter.host_rules import Firewall
from l2wg_hooks.netfilter.trace import Packet
from l2wg_hooks.system import process

# What a LAN asks of its router: anything, by which rules that name a port only are seen; a login; DNS; DHCP.
SERVICES = ((None, None), ("tcp", 22), ("udp", 53), ("udp", 67))


def problems(moves, links):
    """The Problems of Moves that a rule of the kernel forbids. Raises L2wgError where the rules cannot be looked at."""
    if not moves:
        return ()
    firewall, rules = (
        Firewall(),
        {family: "\n".join(process.lines("ip", family, "rule", "show")) for family in process.families()},
    )
    found = [problem for move in moves for problem in _walled(move, links, firewall)]
    found += [problem for move in moves for family, text in rules.items() for problem in _ruled(move, family, text)]
    return tuple(problem for index, problem in enumerate(found) if problem not in found[:index])


def _walled(move, links, firewall):
    """Problems of a firewall that lets pass what comes by the port, or goes there, and drops the same by the bridge."""
    yield from _unwalked(move, firewall.unread)
    # Walking thousands of rules takes its time; most name no port, nor all that begin as it does (enp+, "enp*").
    if not any(name in text for text in firewall.texts() for name in (move.port, "+ ", '*"')):
        return
    for before, after in zip(_packets(move, move.port, links), _packets(move, move.bridge, links)):
        known = [base.where for base, _ in firewall.drops(before)]
        for where in [base.where for base, _ in firewall.drops(after)] if not known else ():
            yield Problem(
                f"the firewall ({where}) lets pass what comes by {move.port}, or goes there, and would drop it by {move.bridge}",
                f"add its rules for {move.port} once more for {move.bridge}, now and where it keeps them; then: l2wg apply",
            )


def _unwalked(move, lines):
    """Problems of rules that nobody can walk, and that name the port without its bridge."""
    for table, line in lines:
        quoted = re.findall('"([^"]*)"', line)
        names = [name for name in quoted if _names(name, move.port) and not _names(name, move.bridge)]
        twin = line
        for name in names:
            twin = twin.replace(f'"{name}"', f'"{move.bridge}"')
        # Where a rule says "not by this port", one more that says "not by the bridge" is another thing.
        told = f'"{move.bridge}"' in line or ("!=" not in line and (table, twin) in lines)
        if names and not told:
            yield Problem(
                f"a rule in nft(8)'s table {table} names {move.port} and not {move.bridge}, and nft(8), built "
                f"without JSON, does not tell what it does: {line}",
                f'name both there, as in {{ "{names[0]}", "{move.bridge}" }}, now and where the firewall keeps '
                f"its rules; then: l2wg apply",
            )


def _names(name, port):
    return port.startswith(name[:-1]) if name.endswith("*") else name == port


def _packets(move, name, links):
    """Packets of the network behind a port, as they come by the interface `name`, or leave by it."""
    ways = sorted(link.name for link in links.values() if link.addresses and link.name not in ("lo", move.port, move.bridge))
    for own in _addresses(move):
        host = next((str(host) for host in _some_hosts(own.network) if host != own.ip), None)
        for protocol, port in SERVICES:
            yield Packet("input", own.version, name, None, host, str(own.ip), protocol, port)
        for way in ways:
            yield Packet("forward", own.version, name, way, source=host)
            yield Packet("forward", own.version, way, name, target=host)


def _addresses(move):
    for text in move.addresses:
        try:
            yield ipaddress.ip_interface(text)
        except ValueError:
            continue  # a name, or what ifupdown alone understands


def _some_hosts(network):
    return (network[number] for number in range(1, min(network.num_addresses, 4)))


def _ruled(move, family, text):
    """Problems of policy rules by the port's name that have none for the bridge beside them."""
    lines = [line.replace("[detached]", "").split() for line in text.splitlines()]
    for words in lines:
        there = [index for index, word in enumerate(words) if word == move.port and words[index - 1] in ("iif", "oif")]
        wanted = [move.bridge if index in there else word for index, word in enumerate(words)]
        if not there or wanted[1:] in [other[1:] for other in lines]:
            continue
        yield Problem(
            "the policy rule `{}` goes by the name of {}, not by {}".format(" ".join(words[1:]), move.port, move.bridge),
            "ip {} rule add priority {} {}; then: l2wg apply".format(family, words[0].rstrip(":"), " ".join(wanted[1:])),
        )
