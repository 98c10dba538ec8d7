"""Addresses that this router uses now, by ways that are not WireGuard's: a route to such a one, or to a prefix that has it, would
take that way from it.
"""

import ipaddress
import os
import re

from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import InUse
from l2wg_hooks.system import files, ip_routes, process
from l2wg_hooks.typed import Dict, List, NamedTuple, Tuple

# resolv.conf(5), and what systemd-resolved asks in its turn.
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
GATEWAY = "a gateway of this router"
LOGIN = "where somebody is logged in from"
RESOLVER = "a DNS server of this router"
TCP, UDP = "-t", "-u"
_VIA = re.compile(r"\bvia (?:inet6? )?([0-9A-Fa-f.:]+)(?: dev (\S+))?")
_WHOLE = {4: "/32", 6: "/128"}


class Connection(NamedTuple):
    """An established one of this router's: IP addresses without ports, `zone` is the interface of a link-local `far` or ""."""

    near: str
    far: str
    zone: str
    is_login: bool


def connections(protocol):
    """The Connections of TCP or UDP (a socket that has a peer) as ss(8) has them. Raises L2wgError where it is not there."""
    found = []
    for line in process.lines("ss", "-H", protocol, "-n", "-p", "state", "established"):
        words = line.split()
        if len(words) > 3:
            (near, _), (far, zone) = (_address(word) for word in words[2:4])
            found.append(Connection(near, far, zone, bool(re.search(r'"(sshd[^"]*|dropbear)"', line))))
    return found


def _address(text):
    """(address, zone) of [fe80::1%eth0]:22, [::ffff:192.0.2.1]:22, 192.0.2.1:22."""
    address, _, zone = text.rpartition(":")[0].strip("[]").partition("%")
    return address[7:] if address.startswith("::ffff:") else address, zone


def caller():
    """[Connection] by which our caller is logged in, as sshd(8) tells it; empty where it did not come that way."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    # sshd itself says UNKNOWN where it was not asked over a network.
    if not words or not re.match("[0-9a-f.:]+\\Z", words[0].partition("%")[0]):
        return []
    far, _, zone = words[0].partition("%")
    return [Connection(words[2].partition("%")[0] if len(words) > 2 else "", far, zone, True)]


def logins():
    """(address, zone) of everybody who is logged in by ssh: sshd's connections, and where our caller says to come from."""
    return logins_among(connections(TCP) + caller())


def logins_among(known):
    """The same of Connections."""
    found = {(each.far, each.zone) for each in known if each.is_login}
    return sorted(login for login in found if re.match("[0-9a-f.:]+\\Z", login[0]) and not login[0].startswith(("127.", "::1")))


def resolvers():
    """The name servers, as they are written, each without its zone."""
    words = [line.split() for path in RESOLVERS for line in files.glance(path).splitlines()]
    return [row[1].partition("%")[0] for row in words if len(row) > 1 and row[0] == "nameserver"]


def gateways(without=()):
    """The next hops of all routes in all tables, but for those by the interfaces `without`."""
    found: Dict[str, None] = {}
    for family in process.families():
        said = process.output("ip", family, "route", "show", "table", "all")
        found.update({gate: None for gate, device in _VIA.findall(said) if device not in without})
    return list(found)


def uses(named, links):
    """{address: what for} of all that this router uses, but for what goes by WireGuard's own addresses.

    `named` are {WireGuard interface that leads to the sites: the name servers that its own file has}. What cannot be looked at
    counts as not there.
    """
    servers = {server for these in named.values() for server in these}
    own = {word.partition("/")[0] for name in named if name in links for word in links[name].addresses}
    found = {}
    for address in resolvers():
        if address not in servers:
            found[address] = RESOLVER
    known = caller()
    for protocol in (TCP, UDP):
        try:
            known += connections(protocol)
        except L2wgError:
            pass
    known = [each for each in known if each.near not in own]
    found.update({each.far: f"at the other end of a connection with this router's {each.near}" for each in known})
    found.update({address: GATEWAY for address in gateways(named)})
    found.update({address: LOGIN for address, _ in logins_among(known)})
    return found


def look(ends, named, links, used=None):
    """{address: what for} of those of the far ends `ends` that this router uses otherwise than by WireGuard.

    `used` are the uses of this router, where they are known.
    """
    found = dict(_routes(ends, named)) if ends else {}
    found.update(uses(named, links) if used is None else used)
    wanted = {str(ipaddress.ip_address(end)): end for end in ends}
    return {wanted[address]: reason for address, reason in found.items() if address in wanted}


def _routes(ends, named):
    """(far end, reason) of those that have a route of their own, by another interface. One process."""
    ends = sorted(ends)
    try:
        answers = ip_routes.many(f"route get fibmatch {end}" for end in ends)
    except L2wgError:
        return
    for end, routes in zip(ends, answers):
        for route in routes[:1]:
            whole = route["dst"] in (end, end + _WHOLE[ipaddress.ip_address(end).version])
            if whole and route.get("dev", "") not in named:
                yield end, "where a route of its own leads" + (f", by {route['dev']}" if route.get("dev") else "")


def within(prefixes, named, used):
    """{prefix: InUse} of what a route to it would take away: what has no route of its own that is more specific.

    `used` are {address: what for}.
    """
    nets = {prefix: ipaddress.ip_network(prefix) for prefix in prefixes}
    known = {address: reason for address, reason in used.items() if _inside(address, nets.values())}
    ways = _answers(f"route get fibmatch {address}" for address in known)
    there = _answers(f"route show exact {prefix}" for prefix in nets)
    found: Dict[str, Tuple[InUse, ...]] = {}
    for (prefix, net), same in zip(nets.items(), there):
        rows: List[InUse] = []
        for route in same:
            if route.get("dev", "") not in named:
                rows.append(InUse(prefix, "where a route of its own leads", _way(route)))
        for (address, reason), routes in zip(known.items(), ways):
            if _inside(address, [net]) and not any(_is_narrower(route, net) for route in routes[:1]):
                rows.append(InUse(address, reason, "".join(_way(route) for route in routes[:1])))
        found[prefix] = tuple(rows)
    return {prefix: rows for prefix, rows in found.items() if rows}


def _answers(lines):
    """The records of each line of ip(8); none where it cannot be asked."""
    lines = list(lines)
    try:
        return ip_routes.many(lines)
    except L2wgError:
        return [[] for _ in lines]


def _inside(address, nets):
    try:
        return any(ipaddress.ip_address(address) in net for net in nets)
    except ValueError:  # a zone, or what ss(8) writes for a socket that is bound to an interface
        return False


def _is_narrower(route, net):
    """Whether the route that an address has now wins over one to a network, which is one that it is in."""
    if route.get("type", "unicast") == "local":
        return True
    if route["dst"] == "default":
        return False
    own = ipaddress.ip_network(route["dst"])
    return own.prefixlen > net.prefixlen


def _way(route):
    words = ["via", route["gateway"]] if "gateway" in route else []
    return " ".join([*words, "dev", route["dev"]] if "dev" in route else words)
