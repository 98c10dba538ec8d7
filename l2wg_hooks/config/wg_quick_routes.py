"""The routes that the next start of WireGuard adds, and what has the same ones by then. The text part is pure.

wg-quick(8) makes a route of each AllowedIPs by `ip route add`, which fails where there is the same route already, and then it
deletes the interface again. It all works as long as nobody restarts it: so who gives an address to a bridge looks here first.
"""

import ipaddress
import re

from l2wg_hooks.config import schema, shell_words, wg_quick, wg_quick_peers, wg_quick_readers
from l2wg_hooks.config.allowed_ips import Network
from l2wg_hooks.errors import Problem
from l2wg_hooks.system import files, process
from l2wg_hooks.typed import Dict, List, NamedTuple, Set, Tuple

# What `ip route` prints before a prefix.
_KINDS = ("unicast", "local", "broadcast", "multicast", "anycast", "unreachable", "blackhole", "prohibit", "throw")
# The metric of a route that says none: two routes are the same where prefix, table and metric are (fib_table_insert in
# net/ipv4/fib_trie.c; fib6_add_rt2node in net/ipv6/ip6_fib.c). IPv6's connected routes have 256, so nothing is in their way.
METRIC = {4: 0, 6: 1024}


class Route(NamedTuple):
    """One route that is, or will be: its network, the interface that has it, and who says so."""

    network: Network
    device: str
    source: str


class Wanted(NamedTuple):
    """One route that is added when WireGuard starts, by `ip route add`; `line` of the file at `path` says so."""

    network: Network
    path: str
    line: int


def table_of(text):
    """The routing table of a wg-quick file: main, off, or the name or number that it says."""
    table = ([row.value for row in wg_quick.rows_of(text) if row.section == "[interface]" and row.key == "table"] or ["auto"])[-1]
    return "main" if table in ("", "auto", "main", "254") else table


def wanted(text, path):
    """The Wanted of a wg-quick file's text, as add_route of wg-quick(8) makes them: the longest prefixes first."""
    rows = wg_quick.rows_of(text)
    said = [row.value for row in rows if row.section == "[interface]" and row.key == "table"]
    if said[-1:] == ["off"]:
        return ()
    by_name = said[-1:] not in ([], [""], ["auto"])
    own = [_interface(word).network for word in wg_quick_peers.interface_values(text, "address") if _interface(word)]
    # The kernel makes no connected route for a single address of IPv4.
    covered = _Covered(prefix for prefix in own if prefix.version == 6 or prefix.prefixlen < 32)
    found, known = [], set()
    for number, row in enumerate(rows, 1):
        for word in row.value.split(",") if row.section == "[peer]" and row.key == "allowedips" else ():
            network = _interface(word.strip(schema.SPACE).lstrip("+"))
            if network and network.network not in known:
                known.add(network.network)
                found.append(Wanted(network.network, path, number))
    made = []
    for route in sorted(found, key=lambda route: -route.network.prefixlen):
        network = route.network
        if not by_name:
            # Default routes get a table of their own (add_default).
            if network.prefixlen == 0 or network in covered:
                continue
        covered.add(network)
        made.append(route)
    return tuple(made)


class _Covered:
    """Networks, and whether another one is in one of them: in a few steps, however many there are."""

    def __init__(self, networks):
        self._by: Dict[Tuple[int, int], Set[int]] = {}
        for network in networks:
            self.add(network)

    def add(self, network):
        self._by.setdefault((network.version, network.prefixlen), set()).add(int(network.network_address))

    def __contains__(self, network):
        number, bits = int(network.network_address), network.max_prefixlen
        return any(
            number >> (bits - length) << (bits - length) in starts
            for (version, length), starts in self._by.items()
            if version == network.version and length <= network.prefixlen
        )


def _interface(word):
    try:
        return ipaddress.ip_interface(word)
    except ValueError:
        return None  # a name, or what wg(8) refuses


def parse(text, version, apart):
    """The Routes that `ip -4 route` or `ip -6 route` printed and that a route without a metric cannot stand beside.

    Those of the interface `apart` are left out: they go with it.
    """
    found = []
    for line in text.splitlines():
        words = line.split()
        if not words or line[0].isspace():
            continue
        if words[0] in _KINDS:
            del words[0]
        named = dict(zip(words, words[1:]))
        network = _interface("{}/0".format(("0.0.0.0", "::")[version == 6]) if words[:1] == ["default"] else "".join(words[:1]))
        metric = named.get("metric", "%d" % METRIC[4]) if version == 4 else named.get("metric", "%d" % METRIC[6])
        if network is None or "tos" in named or named.get("dev") == apart or metric != "%d" % METRIC[version]:
            continue
        found.append(Route(network.network, named.get("dev", ""), "`{}`".format(" ".join(words))))
    return tuple(found)


def defined(stanzas, apart, table="main"):
    """The Routes that stanzas of interfaces(5) make, those of the interface `apart` left out: addresses and `up ip route add`."""
    for stanza in stanzas:
        if stanza.interface == apart:
            continue
        options = dict(stanza.options)
        where = "%s:%d" % (stanza.path, stanza.line)
        for word in stanza.addresses() if table == "main" and stanza.method == "static" else ():
            if "/" not in word and stanza.family == "inet" and "netmask" in options:
                word += "/" + options["netmask"]
            yield from _connected(word, stanza.interface, where)
        for key, value in stanza.options:
            if key in ("up", "post-up", "pre-up"):
                for network, kind, device in _added(_spoken(value, stanza.interface), table):
                    if device not in ("", apart) and kind == "address":
                        yield from _connected(str(network), device, f"{where}: `{value}`")
                    elif kind == "route" and device != apart:
                        yield Route(network.network, device or stanza.interface, f"{where}: `{value}`")


def _spoken(command, interface):
    return re.sub(r"\$(IFACE\b|\{IFACE\})", interface, command)


def _connected(word, device, source):
    address = _interface(word)
    if address and address.version == 4 and address.network.prefixlen < 32:
        yield Route(address.network, device, source)


def _added(text, table="main"):
    """(ip_interface, "route" or "address", device) of what a line of sh adds by ip(8) or route(8)."""
    for command in shell_words.commands(text):
        words = [word for word in command.words[1:] if not word.startswith("-") or word in ("-net", "-host")]
        named = dict(zip(words, words[1:]))
        verb = words[1] if len(words) > 2 else ""
        if command.name == "ip" and "route".startswith("".join(words[:1])) and verb in ("add", "append", "replace", "change"):
            network = _interface(next((word for word in words[2:] if word not in _KINDS), ""))
            metric = named.get("metric", named.get("preference", named.get("priority", "")))
            if network and named.get("table", "main") in (table, {"main": "254"}.get(table)):
                if metric in ("", "%d" % METRIC[network.version]):
                    yield network, "route", named.get("dev", "")
        elif command.name == "ip" and "address".startswith("".join(words[:1])) and verb in ("add", "replace", "change"):
            address = _interface(words[2])
            if address and table == "main":
                yield address, "address", named.get("dev", "")
        elif command.name == "route" and words[:1] == ["add"] and table == "main":
            target = words[2] if words[1:2] in (["-net"], ["-host"]) and len(words) > 2 else "".join(words[1:2])
            network = _interface(target + ("/" + named["netmask"] if "netmask" in named and "/" not in target else ""))
            if network and "metric" not in named:
                yield network, "route", named.get("dev", "")


def exclusive(stanzas, name):
    """The Wanted of an interface that ifupdown brings up: `ip route add` in its stanzas, after which nothing else is run."""
    for stanza in stanzas:
        for key, value in stanza.options if stanza.interface == name else ():
            if key in ("up", "post-up") and re.search(r"\badd\b", value) and "||" not in value:
                for network, kind, device in _added(_spoken(value, name)):
                    if kind == "route" and device in ("", name):
                        yield Wanted(network.network, stanza.path, stanza.line)


def wished(tunnels):
    """The Routes that tunnels' bridge-address will make."""
    for tunnel in tunnels:
        if tunnel.bridge_ports and tunnel.bridge_address:
            source = "%s:%d: bridge-address" % (tunnel.path, tunnel.lines.get("bridge-address", 0))
            yield from _connected(tunnel.bridge_address, tunnel.bridge, source)


def clashes(routes, present):
    """[(Wanted, Route)]: what cannot be added since it is there, each once."""
    first = {other.network: other for other in reversed(present)}
    return [(route, first[route.network]) for route in routes if route.network in first]


def problem(name, clash, text, remotes):
    """The Problem of a clash at the start of `name`, whose file's text this is; `remotes` are the far ends of its tunnels."""
    route, there = clash
    words = (route.network, name, there.device or "this router", there.source)
    inside = sorted(set(_inside(remotes, route.network)))
    if wg_quick.path(name) != route.path:
        message = "the route to %s by %s is also on %s (%s): `ip route add` fails, and `ifup %s` ends there" % (words + (name,))
        end = ", ".join(inside) or "a network that is not here"
        return Problem(message, f"write there in its place: {end}", route.path, route.line, id="route-clash")
    message = "wg-quick adds a route to %s by %s, which %s has (%s): the next start says `File exists`, and %s is gone" % (
        words + (name,)
    )
    return Problem(message, _cure(name, route, text, inside), route.path, route.line, "AllowedIPs", id="route-clash")


def _inside(remotes, network):
    """Yield the words of AllowedIPs for those far ends, or narrower prefixes of such, that are in a network."""
    for end in map(ipaddress.ip_network, remotes):
        if end.version == network.version and end.subnet_of(network) and end != network:
            yield str(end)


def _cure(name, route, text, inside):
    """The commands that narrow AllowedIPs to the far ends in them, in the file and now."""
    section = next(part for part in wg_quick_peers.sections(text) if part.start < route.line <= part.stop)
    row = wg_quick.rows_of(text)[route.line - 1]
    rest = [word.strip(schema.SPACE) for word in row.value.split(",")]
    here = _narrowed(rest, route.network, inside)
    now = ",".join(_narrowed(section.allowed, route.network, inside))
    commands = [] if now == "" else [f"wg set {name} peer {section.key} allowed-ips {now}"]
    commands += [f"ip route replace {end} dev {name}" for end in inside]
    commands.append(f"ip route delete {route.network} dev {name}")
    rewritten = any(row.key == "saveconfig" and row.value == "true" for row in wg_quick.rows_of(text))
    if rewritten:  # by what `wg` has when it goes down
        return "; ".join(commands)
    space = " " if "#" in row.text else ""
    return "sed -i '%ds|=[^#]*|= %s%s|' %s # and now: %s" % (route.line, ", ".join(here), space, route.path, "; ".join(commands))


def _narrowed(words, network, inside):
    found = []
    for word in words:
        same = _interface(word.lstrip("+")) is not None and _interface(word.lstrip("+")).network == network
        for other in inside if same else [word]:
            if other and other not in found:
                found.append(other)
    return found


class Clash(NamedTuple):
    """A Problem of the next start of the WireGuard interface `underlay`, and the interface `device` that has the route."""

    underlay: str
    device: str
    problem: Problem


def look(tunnels, stanzas, texts=()) -> Tuple[Clash, ...]:
    """All Clashes of the next start of the tunnels' underlays. `texts` is {path: text} of files that are not written yet."""
    found: List[Clash] = []
    shown: Dict[str, List[str]] = {}
    far: Dict[str, List[str]] = {}
    for tunnel in tunnels:
        far.setdefault(tunnel.underlay, []).extend(end.remote for end in tunnel.reach())
    addresses = list(wished(tunnels))
    for name in sorted({tunnel.underlay for tunnel in tunnels if not tunnel.walled}):
        path = wg_quick.path(name)
        text = dict(texts).get(path, None) or files.text(path, None)
        routes: Tuple[Wanted, ...] = ()
        table = "main"
        if text is not None and wg_quick_readers.ask(name, text).quick:
            routes, table = wanted(text, path), table_of(text)
        routes = tuple(routes) + tuple(exclusive(stanzas, name))
        if not routes:
            continue
        if table not in shown:
            shown[table] = [process.output("ip", family, "route", "show", "table", table) for family in ("-4", "-6")]
        present = list(addresses) if table == "main" else []
        present += list(defined(stanzas, name, table))
        present += [route for version, out in zip((4, 6), shown[table]) for route in parse(out, version, name)]
        for clash in clashes(routes, present):
            found.append(Clash(name, clash[1].device, problem(name, clash, text or "", far[name])))
    return tuple(found)


def ours(found, tunnels, moves=()):
    """The Problems of those Clashes that a tunnel's bridge, its ports or a port that moves has a part in."""
    names = {name for tunnel in tunnels for name in (tunnel.bridge,) + tuple(tunnel.bridge_ports)} | {move.port for move in moves}
    return tuple(clash.problem for clash in found if clash.device in names)
