"""The way of a tunnel's own packets: a policy route, for the encapsulations that need one. Pure.

For all but gretap over IPv4 the kernel drops or bounces a frame that does not fit the route's MTU: encapsulation/ says where.
A route with a larger MTU lets all through, and WireGuard's own packets are fragmented instead. It has a table of its own,
which only the tunnel's packets look into, and which says "unreachable" without the underlay: so nothing leaks, either.

All of it says that it is the kernel's, since systemd-networkd deletes other people's rules, and routes that are no
link's, whenever it starts (ManageForeignRoutingPolicyRules and ManageForeignRoutes in networkd.conf(5)).
"""

import re
import zlib
from typing import List, Tuple

from l2wg_hooks.encapsulation import headers, registry

# Before all rules that wg-quick(8) and people make, after the kernel's own (0).
PRIORITY = 4789
# "l2" in ASCII, then 16 bits of the tunnel's own.
TABLES = 0x6C320000
LAST = "4294967295"
OURS = ("proto", "kernel")


def needed(kind):
    """Whether a tunnel of this kind has a way of its own."""
    return registry.KINDS[kind][1].own_route


def table(name):
    """The number of a tunnel's routing table, as text."""
    return str(TABLES | zlib.crc32(name.encode()) & 0xFFFF)


def is_ours(rule):
    """Whether a rule of `ip -json rule` is one of l2wg."""
    name = str(rule.get("table", ""))
    ends = all(isinstance(rule.get(key), str) for key in ("src", "dst"))
    ours = re.match(r"[0-9]{1,10}\Z", name) and int(name) & ~0xFFFF == TABLES
    return bool(ends and rule.get("priority") == PRIORITY and ours)


def is_route(route):
    """Whether a route of `ip -json route` is one that can be told from others, and be taken away."""
    metrics = route.get("metrics", [])
    ends = route.get("type") == "unreachable" or all(isinstance(route.get(key), str) for key in ("dst", "dev"))
    return ends and isinstance(metrics, list) and all(isinstance(metric, dict) for metric in metrics)


def size(tunnel):
    """Bytes of its largest packet, with two VLAN tags in the frame."""
    return tunnel.mtu + tunnel.overhead + 2 * headers.VLAN_TAG


def _all(family):
    return "0.0.0.0/0" if family == 4 else "::/0"


def _rule(verb, local, remote, ipproto, number):
    words = ("from", local, "to", remote) + ipproto + ("table", number)
    if verb == "add":
        words += ("protocol", "kernel")
    # Without -6 ip(8) takes an IPv6 address for an error (iprule_modify).
    family = ("-6",) if ":" in local else ()
    return ("ip",) + family + ("rule", verb, "priority", str(PRIORITY)) + words


def steps(tunnel, found):
    """The commands that are missing of a tunnel's way."""
    number = table(tunnel.name)
    ruled = _ruled(tunnel, found)
    routes = found.routes.get(number, []) if ruled else []
    argvs: List[Tuple[str, ...]] = []
    if not any(route.get("type") == "unreachable" for route in routes):
        argvs.append(("ip", "route", "replace", "unreachable", _all(tunnel.family), "table", number, "metric", LAST) + OURS)
    for end in tunnel.ends():
        if not any(_leads(tunnel, end, route) for route in routes):
            mtu = ("mtu", str(size(tunnel)))
            argvs.append(("ip", "route", "replace", end.remote, "dev", tunnel.underlay, "table", number) + mtu + OURS)
    for end in tunnel.ends():
        if end not in ruled:
            proto = ("ipproto", "udp", "dport", str(tunnel.udp_port)) if tunnel.udp_port else ("ipproto", "gre")
            argvs.append(_rule("add", end.local, end.remote, proto, number))
    return argvs


def _ruled(tunnel, found):
    """Which ends of a tunnel have their rule."""
    known = {(rule.get("src"), rule.get("dst"), rule.get("dport")) for rule in found.rules.get(table(tunnel.name), ())}
    return {end for end in tunnel.ends() if (end.local, end.remote, tunnel.udp_port) in known}


def _matches(tunnel, end, rule):
    return (rule.get("src"), rule.get("dst"), rule.get("dport")) == (end.local, end.remote, tunnel.udp_port)


def _leads(tunnel, end, route):
    sizes = [metric.get("mtu") for metric in route.get("metrics", [])]
    return (route.get("dst"), route.get("dev"), sizes) == (end.remote, tunnel.underlay, [size(tunnel)])


def stale(tunnels, found, kept=()):
    """The commands that take away what no tunnel of `tunnels` needs; what those named in `kept` have stays."""
    wanted = {table(tunnel.name): tunnel for tunnel in tunnels if needed(tunnel.kind) and not tunnel.walled}
    argvs = []
    staying = {table(name) for name in kept}
    for number, rule in [(number, rule) for number, rules in found.rules.items() for rule in rules if number not in staying]:
        tunnel = wanted.get(number)
        ruled = _ruled(tunnel, found) if tunnel else set()
        if any(_matches(tunnel, end, rule) for end in ruled):
            continue
        proto = ("ipproto", str(rule["ipproto"])) if "ipproto" in rule else ()
        proto += ("dport", str(rule["dport"])) if "dport" in rule else ()
        argvs.append(_rule("del", rule["src"], rule["dst"], proto, number))
        # What another end of the tunnel needs stays, where its rule is there, so that what leads it is right.
        for route in found.routes.get(number, []):
            if ruled and (route.get("type") == "unreachable" or route["dst"] in [end.remote for end in ruled]):
                continue
            if route.get("type") == "unreachable":
                family = 6 if ":" in rule["src"] else 4
                argvs.append(("ip", "route", "del", "unreachable", _all(family), "table", number, "metric", LAST))
            else:
                argvs.append(("ip", "route", "del", route["dst"], "dev", route["dev"], "table", number))
    return list(dict.fromkeys(argvs))
