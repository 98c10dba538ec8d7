"""The way of the tunnels' own packets: policy routes, for the encapsulations that need them. Pure.

For all but gretap over IPv4 the kernel drops or bounces a frame that does not fit the route's MTU: encapsulation/ says where.
A route with a larger MTU lets all through, and WireGuard's own packets are fragmented instead. All tunnels that send from one
address share a table, and the one rule that leads to it: every packet of the router walks all rules. Only tunnels' packets look
into that table, and it says "unreachable" to whatever has no route there, so nothing leaks, either.

All of it says that it is the kernel's, since systemd-networkd deletes other people's rules, and routes that are no
link's, whenever it starts (ManageForeignRoutingPolicyRules and ManageForeignRoutes in networkd.conf(5)).
"""

import re
import zlib

from l2wg_hooks import model
from l2wg_hooks.encapsulation import headers, registry
from l2wg_hooks.model import PolicyRoutes
from l2wg_hooks.typed import Dict, NamedTuple, Optional, Tuple

# Before all rules that wg-quick(8) and people make, after the kernel's own (0).
PRIORITY = 4789
# "l2" in ASCII, then 16 bits of the way's own.
TABLES = 0x6C320000
LAST = "4294967295"
OURS = ("proto", "kernel")
# Types of routes that lead nowhere by themselves.
UNREACHABLE, THROW = "unreachable", "throw"
# The kernel's words for what else sends GRE over IPv6, or VXLAN: somebody's tunnel, with the same `local` as one of ours.
_GRE6 = ("ip6gre", "ip6gretap", "ip6erspan")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+\Z")


class Way(NamedTuple):
    """What the packets of some tunnels have in common: this router's address, and the UDP port that they go to (None: GRE)."""

    local: str
    port: Optional[int]

    @property
    def table(self):
        """The number of its routing table, as text."""
        return str(TABLES | zlib.crc32(f"{self.local} {self.port or 'gre'}".encode()) & 0xFFFF)

    @property
    def group(self):
        """Of the steps that are for all of these tunnels."""
        return f"policy routes from {self.local}"

    @property
    def selector(self):
        """The words that tell these packets from others, beside their address."""
        return ("ipproto", "udp", "dport", str(self.port)) if self.port else ("ipproto", "gre")


def needed(kind):
    """Whether tunnels of this kind have a way of their own."""
    return registry.KINDS[kind][1].own_route


def tables(tunnel):
    """The numbers of the routing tables that a tunnel's packets look into; none where it needs none."""
    return list(dict.fromkeys(Way(end.local, tunnel.udp_port).table for end in _ends(tunnel)))


def is_ours(rule):
    """Whether a rule of `ip -json rule` is one of l2wg: `dst` has only one of an older version, a rule for each remote."""
    name = str(rule.get("table", ""))
    ends = isinstance(rule.get("src"), str) and isinstance(rule.get("dst", ""), str)
    ours = re.match(r"[0-9]{1,10}\Z", name) and int(name) & ~0xFFFF == TABLES
    return bool(ends and rule.get("priority") == PRIORITY and ours)


def is_route(route):
    """Whether a route of `ip -json route` is one that can be told from others, and be taken away."""
    metrics, kind = route.get("metrics", []), route.get("type")
    ends = kind == UNREACHABLE or (isinstance(route.get("dst"), str) and (kind == THROW or isinstance(route.get("dev"), str)))
    return ends and isinstance(metrics, list) and all(isinstance(metric, dict) for metric in metrics)


def by_table(rules, routes):
    """The PolicyRoutes of rules as `ip -json rule` has them, and {table: routes} as `ip -json route` has them."""
    found: Dict[str, list] = {}
    for rule in rules:
        found.setdefault(str(rule["table"]), []).append(rule)
    return PolicyRoutes(found, {table: {_key(route): route for route in some} for table, some in routes.items()})


def _key(route):
    # Somebody's default route there is not to be taken for ours.
    return "default" if route.get("type") == UNREACHABLE else "via default" if route["dst"] == "default" else route["dst"]


def size(tunnel):
    """Bytes of its largest packet, with two VLAN tags in the frame."""
    return tunnel.mtu + tunnel.overhead + 2 * headers.VLAN_TAG


def _ends(tunnel):
    return tunnel.reach() if needed(tunnel.kind) and not tunnel.walled else ()


def _all(address):
    return "::/0" if ":" in address else "0.0.0.0/0"


def _rule(verb, local, remote, selector, number):
    words = ("from", local) + (("to", remote) if remote else ()) + selector + ("table", number)
    if verb == "add":
        words += ("protocol", "kernel")
    # Without -6 ip(8) takes an IPv6 address for an error (iprule_modify).
    family = ("-6",) if ":" in local else ()
    return ("ip",) + family + ("rule", verb, "priority", str(PRIORITY)) + words


class Ways:
    """The ways of all tunnels that are wished for, and what is `found` of them: PolicyRoutes."""

    def __init__(self, tunnels, found):
        self.found = found
        # {table: {remote: (device, MTU)}}. Of two tunnels between the same ends the larger one counts for both.
        self.routes: Dict[str, Dict[str, Tuple[str, int]]] = {}
        for tunnel in tunnels:
            for end in _ends(tunnel):
                routes = self.routes.setdefault(Way(end.local, tunnel.udp_port).table, {})
                device, mtu = routes.get(end.remote, (tunnel.underlay, 0))
                routes[end.remote] = (device, max(mtu, size(tunnel)))

    def steps(self, tunnel):
        """(command, group) of what is missing of a tunnel's way; the group is that of a Way where it is for others, too."""
        locks: Dict[Tuple[Tuple[str, ...], str], None] = {}
        routes: Dict[Tuple[Tuple[str, ...], str], None] = {}
        rules: Dict[Tuple[Tuple[str, ...], str], None] = {}
        for end in _ends(tunnel):
            way = Way(end.local, tunnel.udp_port)
            there = self.found.routes.get(way.table, {})
            if there.get("default", {}).get("type") != UNREACHABLE:
                lock = ("unreachable", _all(end.local), "table", way.table, "metric", LAST)
                locks[("ip", "route", "replace") + lock + OURS, way.group] = None
            device, mtu = self.routes[way.table][end.remote]
            if not _leads(there.get(end.remote, {}), device, mtu):
                words = ("dev", device, "table", way.table, "mtu", str(mtu))
                routes[("ip", "route", "replace", end.remote) + words + OURS, tunnel.name] = None
            if not any(_matches(way, rule) for rule in self.found.rules.get(way.table, ())):
                rules[_rule("add", way.local, "", way.selector, way.table), way.group] = None
        return [*locks, *routes, *rules]

    @staticmethod
    def group(tunnel):
        """The group that a tunnel's steps need; "" for none."""
        return next((Way(end.local, tunnel.udp_port).group for end in _ends(tunnel)), "")

    def passes(self, links, names):
        """The commands that let somebody else's tunnels by, which have the same `local` as one of ours: they go as they did.

        `links` are all, `names` those of our tunnels.
        """
        argvs = []
        for number, remotes in sorted(self._strangers(links, names).items()):
            there = self.found.routes.get(number, {})
            for remote in sorted(remotes):
                if there.get(remote, {}).get("type") != THROW:
                    argvs.append(("ip", "route", "replace", "throw", remote, "table", number) + OURS)
        return argvs

    def _strangers(self, links, names):
        """{table: the far ends of others' tunnels whose packets look into it, and that are none of ours}."""
        found: Dict[str, set] = {}
        for link in links.values():
            port = link.port if link.kind == "vxlan" else None
            # One of ours whose file is broken keeps its way.
            if link.name in names or model.is_ours(link) or not link.local:
                continue
            if not port and not (link.kind in _GRE6 and ":" in link.local):
                continue
            number = Way(link.local, port).table
            same = (":" in link.remote) == (":" in link.local)
            if number in self.routes and link.remote not in self.routes[number] and same and _ADDRESS.match(link.remote):
                found.setdefault(number, set()).add(link.remote)
        return found

    def stale(self, present, links=()):
        """(command, tunnel, group) of what takes away what none of the `present` tunnels needs, nor others' among `links`.

        `tunnel` names the one that has to have another way by then, `group` that of a Way, too; both are "" where none has.
        An older version of l2wg had a rule and a table for each: so the new ones come first, and no packet is without a way.
        """
        wanted: Dict[Way, Dict[str, None]] = {}
        owners: Dict[tuple, str] = {}
        for tunnel in present:
            for end in _ends(tunnel):
                wanted.setdefault(Way(end.local, tunnel.udp_port), {})[end.remote] = None
                owners[end.local, end.remote, tunnel.udp_port] = tunnel.name
        kept = {way.table: remotes for way, remotes in wanted.items()}
        senders = {way.table: way.local for way in wanted}
        others = self._strangers(dict(links), {tunnel.name for tunnel in present})
        argvs = []
        for number in dict.fromkeys([*self.found.rules, *self.found.routes]):
            owner, local = "", senders.get(number, "")
            for rule in self.found.rules.get(number, ()):
                local, remote, port = rule["src"], rule.get("dst"), rule.get("dport")
                way = Way(local, port)
                if remote is None and way in wanted and way.table == number:
                    continue
                owner = owners.get((local, remote, port), "")
                proto = ("ipproto", str(rule["ipproto"])) if "ipproto" in rule else ()
                proto += ("dport", str(port)) if "dport" in rule else ()
                argvs.append((_rule("del", local, remote, proto, number), owner, way.group if owner else ""))
            for key, route in self.found.routes.get(number, {}).items():
                stays = key == "default" or key in kept.get(number, ()) or key in others.get(number, ())
                if number not in kept or not stays:
                    argvs.append((_gone(route, number, local), owner, Way(local, None).group if owner else ""))
        return argvs


def _gone(route, number, local):
    """The command that takes a route out of a table; `local` tells the family of what says nothing of it."""
    if route.get("type") == UNREACHABLE:
        return ("ip", "route", "del", UNREACHABLE, _all(local), "table", number, "metric", LAST)
    if route.get("type") == THROW:
        return ("ip", "route", "del", THROW, route["dst"], "table", number)
    return ("ip", "route", "del", route["dst"], "dev", route["dev"], "table", number)


def _matches(way, rule):
    return (rule.get("src"), rule.get("dst"), rule.get("dport")) == (way.local, None, way.port)


def _leads(route, device, mtu):
    sizes = [metric.get("mtu") for metric in route.get("metrics", [])]
    return (route.get("type"), route.get("dev"), sizes) == (None, device, [mtu])
