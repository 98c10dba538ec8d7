"""Routers with any number of tunnels, made up; and what something costs, counted: the same on every machine, unlike a time."""

import sys

from l2wg_hooks.config.store import Wish
from l2wg_hooks.model import Link, Observed, Peer, PolicyRoutes, Rules, Tunnel, Wire
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.observe.interface_counters import Traffic
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.plan import policy_routes
from l2wg_hooks.status import survey

KINDS = ("gretap", "vxlan", "ip6gretap")
# Of the tunnels, those that are there.
NOTHING, HALF, ALL = "nothing to do", "half to do", "all to do"


TEXT = "underlay = wg0\nlocal = 10.1.0.0\nremote = 10.2.%d.%d\nbridge = br0\nbridge-ports =\n"


class Name(str):
    """A name that counts how often it is compared with another one: a look-up in a dict compares once, one in a list, often."""

    compared = 0

    def __eq__(self, other):
        Name.compared += 1
        return str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def wish(kind, count, apart=False, **keys):
    """So many Tunnels: into one bridge, over one WireGuard interface, or each `apart` with its own."""
    found = []
    for number in range(count):
        place = number if apart else 0
        local, remote = "10.1.%d.%d" % divmod(place, 256), "10.2.%d.%d" % divmod(number, 256)
        if kind == "ip6gretap":
            local, remote = f"fd01::{place:x}", f"fd02::{number:x}"
        found.append(
            Tunnel(
                Name("l2w%04d" % number), Name("wg%d" % place), local, remote, Name("br%d" % place),
                encapsulation="vxlan" if kind == "vxlan" else "gretap", key=number + 1 if kind == "vxlan" else None,
                path="/etc/l2wg/l2w%04d.conf" % number, lines={"remote": 3}, **keys,
            )
        )  # fmt: skip
    return tuple(found)


def texts(count):
    """{tunnel: its file} of as many."""
    return {Name("l2w%04d" % number): TEXT % divmod(number, 256) for number in range(count)}


def rules(tunnels):
    """What nft(8) is to load for these tunnels, in one text."""
    links, _ = router(tunnels)
    entries = [nftables.entry(tunnel) for tunnel in tunnels]
    values = {tunnel.name: nftables.value(tunnel, links) for tunnel in tunnels}
    return nftables.load(entries, values).rpartition("include ")[0] + nftables_state.stamp(entries) + nftables.render(entries)


def router(tunnels, state=NOTHING, missing=()):
    """({name: Link}, Observed) of the router of these tunnels; no link is there whose name is among the `missing`."""
    links = {"lan": Link("lan", 2, up=True)}
    for tunnel in tunnels:
        own = dict.fromkeys(("namespace", "link_netns"), "l2wg") if tunnel.walled else {}
        below = links.get(tunnel.underlay, Link(Name(tunnel.underlay), len(links) + 2, "wireguard", up=True, mtu=1420, **own))
        word = tunnel.local + ("/32" if tunnel.family == 4 else "/128")
        links[tunnel.underlay] = below if word in below.addresses else below._replace(addresses=(*below.addresses, word), alias="l2wg" * bool(own))
        links.setdefault(tunnel.bridge, Link(Name(tunnel.bridge), len(links) + 2, "bridge", up=True, mac="52:54:00:00:00:01"))
        for name in tunnel.bridge_ports:
            links.setdefault(name, Link(Name(name), len(links) + 2, up=True, master=tunnel.bridge))
    there = {NOTHING: tunnels, HALF: tunnels[::2], ALL: ()}[state]
    for tunnel in there:
        links[tunnel.name] = link(tunnel, len(links) + 2)
    links = {name: found for name, found in links.items() if name not in set(missing)}
    values = {tunnel.name: nftables.value(tunnel, links) for tunnel in there}
    needed = any(policy_routes.needed(tunnel.kind) for tunnel in tunnels)
    return links, Observed(Rules([nftables.entry(tunnel) for tunnel in there], values), ways(there) if needed else None)


def link(tunnel, index):
    """The Link of a tunnel that is right."""
    return Link(
        Name(tunnel.name), index, tunnel.kind, up=True, mtu=tunnel.mtu, mac=tunnel.mac, master=tunnel.bridge, alias="l2wg",
        local=tunnel.local, remote=tunnel.remote, underlay=tunnel.underlay if tunnel.packing.bound else "", key=tunnel.number,
        pmtudisc=False, ignore_df=tunnel.kind == "gretap", port=tunnel.udp_port, ttl=64, isolated=tunnel.isolated,
        link_netns="l2wg" if tunnel.walled else "",
    )  # fmt: skip


def ways(tunnels):
    """The PolicyRoutes of tunnels whose ways are right, as the commands that make them say."""
    wanted = [tunnel for tunnel in tunnels if policy_routes.needed(tunnel.kind) and not tunnel.walled]
    rules, routes = {}, {}
    every = policy_routes.Ways(wanted, PolicyRoutes({}, {}))
    for argv in dict.fromkeys(argv for tunnel in wanted for argv, _ in every.steps(tunnel)):
        if argv:
            words = [word for word in argv[1:] if word != "-6"]
            if words[0] == "rule":
                keys = dict(zip(words[2::2], words[3::2]))
                rule = {"priority": int(keys["priority"]), "src": keys["from"], "table": keys["table"], "ipproto": keys["ipproto"]}
                rules.setdefault(keys["table"], []).append(dict(rule, dport=int(keys["dport"])) if "dport" in keys else rule)
            elif words[2] == "unreachable":
                routes.setdefault(words[words.index("table") + 1], []).append({"type": "unreachable", "dst": "default"})
            else:
                keys = dict(zip(words[3::2], words[4::2]))
                routes.setdefault(keys["table"], []).append({"dst": words[2], "dev": keys["dev"], "metrics": [{"mtu": int(keys["mtu"])}]})
    return policy_routes.by_table([rule for these in rules.values() for rule in these], routes)


def peers(tunnels):
    """{WireGuard interface: Peers}: one for each tunnel."""
    found = {}
    for tunnel in tunnels:
        word = tunnel.remote + ("/32" if tunnel.family == 4 else "/128")
        found.setdefault(tunnel.underlay, []).append(Peer(f"key of {tunnel.name}", "192.0.2.1:51820", (word,), 1000, 5000, 5000, None))
    return {name: tuple(these) for name, these in found.items()}


def wires(tunnels, links):
    """{WireGuard interface: Wire} of those that l2wg makes, as they are."""
    return {name: Wire(links[name].addresses, links[name].mtu, (), (), these) for name, these in peers(tunnels).items()}


def looked(tunnels, state=NOTHING):
    """The Survey of a router with these tunnels."""
    links, found = router(tunnels, state)
    interfaces = {name: Interface("own", 51820, these) for name, these in peers(tunnels).items()}
    frames = {("loop", tunnel.name): 3 for tunnel in tunnels}
    packets = {("leak", tunnel.local, tunnel.remote): 2 for tunnel in tunnels}
    report = nftables_state.Report(found.rules)._replace(frames=frames, packets=packets)
    traffic = dict.fromkeys(links, Traffic())
    names = tuple(Name(tunnel.name) for tunnel in tunnels)
    return survey.Survey(Wish(tunnels, (), ()), links, traffic, {}, {}, interfaces, report, time=5000, host="a", staged=names, silent=names)


def cost(work):
    """What `work` costs: lines of Python that ran, each round of a loop one at least, and names that were compared."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += 1
        return trace

    Name.compared = 0
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines + Name.compared
