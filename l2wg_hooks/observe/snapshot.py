"""What the kernel has beside links, as far as there is a reason to look. The other half of link_table.read."""

import os
import time

from l2wg_hooks.config import bridge_switches, last_endpoints, staged
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.managers import networkmanager
from l2wg_hooks.model import NAMESPACE, TUNNEL_KINDS, WIREGUARD_KINDS, Observed, Switches, Tables
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import fdb_table, peer_answers, sysctls, wg_interfaces
from l2wg_hooks.plan import policy_routes
from l2wg_hooks.plan.commands import PROTOCOL
from l2wg_hooks.system import files, ip_routes, json_fields, network_namespace, process

# As config/site_record.py has it, which most routers have no use for.
SITES_RECORD = "/run/l2wg.sites"
# There as long as br_netfilter is loaded.
BR_NETFILTER = "/proc/sys/net/bridge"


def look(tunnels, links):
    """The Observed of now, beside `links`.

    Policy routes and iptables are looked at if a tunnel wants them, or wanted them until now.
    """
    found = nftables_state.observe(needed=bool(tunnels))
    kinds = [tunnel.kind for tunnel in tunnels if not tunnel.walled]
    kinds += [entry["kind"] for entry in found.entries if not entry.get("walled")]
    passes = [tunnel.forward for tunnel in tunnels] + [entry.get("forward", "") for entry in found.entries]
    clamps = [tunnel.mss_clamp for tunnel in tunnels] + [entry["clamp"] for entry in found.entries]
    heard = last_endpoints.read()
    walls = _walls(tunnels, links, heard)
    told, there = _told(tunnels, links)
    peers = _peers(tunnels, links, walls, {name for name, _ in told or ()})
    away, taken_ways = _elsewhere(tunnels, links, there, peers) if there else ({}, {})
    return Observed(
        found,
        _ways(tunnels) if any(policy_routes.needed(kind) for kind in kinds) else None,
        _tables("mangle") if "iptables" in clamps else None,
        _tables("filter") if "accept" in passes else None,
        frozenset(networkmanager.managed(sorted({name for tunnel in tunnels for name in tunnel.own}))),
        bridges(tunnels),
        walls,
        peers,
        heard,
        int(time.time()) if heard or any(peer.was for tunnel in tunnels for peer in tunnel.peers) else 0,
        _vlans(tunnels, links),
        peer_answers.down(peer_answers.read()),
        peer_answers.taken(),
        told,
        there,
        _floods(tunnels, links),
        away,
        None if told is None else _given(links),
        taken_ways,
    )


def transited(tunnels):
    """{WireGuard interface: whether the kernel forwards what comes by it} of the shared ones that sites reach each other by.

    A file for each, and no process.
    """
    if not any(tunnel.forwards for tunnel in tunnels):
        return {}
    from l2wg_hooks.plan import transit  # at a hub only

    values = {name: files.glance(path).strip() for name, path in transit_switches(tunnels)}
    return {name: value != transit.OFF for name, value in values.items() if value}


def transit_switches(tunnels):
    """[(WireGuard interface, the file that says whether what comes by it is forwarded)] of the shared ones of a hub."""
    from l2wg_hooks.plan import transit

    hubs = transit.hubs(tunnels).items()
    return [(name, os.path.join(sysctls.ROOT, transit.switch(name, tunnel.family))) for name, tunnel in hubs]


def peers(tunnels):
    """What Observed has of peers, and nothing else of it: a process for each network namespace that has tunnels' packets."""
    found = _shared(tunnels)
    own = {tunnel.underlay for tunnel in tunnels if tunnel.walled}
    if own and os.path.exists(network_namespace.path(NAMESPACE)):
        try:
            found.update(network_namespace.within(NAMESPACE, lambda: wg_interfaces.peers(own)))
        except OSError:  # it is none, or has gone this moment
            pass
    return Observed(peers=found, heard=last_endpoints.read(), now=int(time.time()))


def _peers(tunnels, links, walls, more):
    found = {name: wire.peers for name, wire in walls.wires.items() if wire.peers} if walls else {}
    underlays = {tunnel.underlay for tunnel in tunnels if not tunnel.walled} | more
    if any(links[name].kind in WIREGUARD_KINDS for name in underlays if name in links):
        found.update(wg_interfaces.peers(underlays))
    return found


def _shared(tunnels):
    names = {tunnel.underlay for tunnel in tunnels if not tunnel.walled}
    return wg_interfaces.peers(names) if names else {}


def _told(tunnels, links):
    """(Observed.told, Observed.ways_there): looked at where tunnels come with their peers, or have until now."""
    names = {tunnel.underlay for tunnel in tunnels if tunnel.peers and not tunnel.walled}
    if not names and not os.path.exists(SITES_RECORD):
        return None, None
    from l2wg_hooks.config import site_record, wg_quick, wg_quick_peers  # where there is a file of sites only

    def keys(name):
        return {section.key for section in wg_quick_peers.sections(files.glance(wg_quick.path(name)))}

    told = site_record.told(links, keys)
    names = sorted(name for name in names | {name for name, _ in told} if name in links and ip_routes.is_plain(name))
    ways = {name: {} for name in names}
    for family in process.families() if names else ():
        lines = [f"route show dev {name}{word}" for name in names for word in ("", f" proto {PROTOCOL}")]
        found = ip_routes.many(lines, (family,))
        for name, every, ours in zip(names, found[::2], found[1::2]):
            ways[name].update({route["dst"]: False for route in every if family == "-4" or route["dst"] != "default"})
            ways[name].update({route["dst"]: True for route in ours})
    return told, ways


def _elsewhere(tunnels, links, there, peers):
    """(Observed.elsewhere, Observed.taken_ways) of the far ends and the prefixes to which a route would be new.

    No process where there are none, as in most events. `peers` are {WireGuard interface: its Peers}.
    """
    from l2wg_hooks.plan import site_peers  # where there is a file of sites only

    ends, prefixes = site_peers.unled(tunnels, there), site_peers.unled_prefixes(tunnels, there)
    if ends or prefixes:
        stood, wide = _applied_ends()
        ends, prefixes = ends - stood, prefixes - wide
    if not ends and not prefixes:
        return {}, {}
    from l2wg_hooks.config import wg_quick, wg_quick_peers
    from l2wg_hooks.observe import needed_elsewhere

    servers = {name: wg_quick_peers.interface_values(files.glance(wg_quick.path(name)), "dns") for name in there}
    named = {name: {word for row in rows for word in row.replace(",", " ").split()} for name, rows in servers.items()}
    used = needed_elsewhere.uses(named, links)
    away = needed_elsewhere.look(ends, named, links, used) if ends else {}
    if not prefixes:
        return away, {}
    for peer in (peer for some in peers.values() for peer in some if peer.endpoint):
        used[peer.endpoint.rpartition(":")[0].strip("[]")] = f"where the peer {peer.key} is called"
    return away, needed_elsewhere.within(prefixes, named, used)


def _applied_ends():
    """(addresses of all sites and of both hubs, {the net's network}) of the file as it was applied last.

    What stood is not judged anew: who is logged in by such a tunnel is still there while it is made again.
    """
    from l2wg_hooks.config import last_applied, site_lines, store

    text = last_applied.read().get(store.SITES)
    lines = site_lines.parse(text, "") if text else site_lines.Lines()
    ends = {address for site in lines.sites for address in site.card.addresses}
    if lines.net is not None and lines.net.hub_address:
        ends.add(lines.net.hub_address)
    return ends, {lines.net.network} if lines.net is not None and lines.net.by_bgp else set()


def _given(links):
    """Observed.given."""
    from l2wg_hooks.config import site_record

    return site_record.given(links)


def bridges(tunnels):
    """{name: Switches} of the bridges that l2wg defines, for these tunnels. A few small files, and no process."""
    # A file that cannot be read is told of by whoever writes it.
    wanted = bridge_switches.wanted(files.glance(bridge_switches.FILE))
    names = {tunnel.bridge for tunnel in tunnels if tunnel.bridge_ports}
    return {name: Switches(switches, sysctls.of_bridge(name)) for name, switches in wanted.items() if name in names}


def _walls(tunnels, links, heard):
    wanted = any(tunnel.walled for tunnel in tunnels) or os.path.exists(staged.DIRECTORY)
    if not wanted and not os.path.exists(network_namespace.path(NAMESPACE)):
        return None
    from l2wg_hooks.observe import walls  # where there are some only

    return walls.look(tunnels, links, heard)


def _ways(tunnels):
    """The PolicyRoutes of now: two processes for each family, however many tunnels there are."""
    rules, routes = [], {}
    for family in process.families():
        ours = [rule for rule in process.table("ip", "-json", family, "rule", "show") if policy_routes.is_ours(rule)]
        rules += ours
        numbers = [str(rule["table"]) for rule in ours]
        numbers += [table for tunnel in tunnels if "-%d" % tunnel.family == family for table in policy_routes.tables(tunnel)]
        numbers = list(dict.fromkeys(numbers))
        # Never all tables: a router may have a million routes.
        for table, some in zip(numbers, ip_routes.many((f"route show table {number}" for number in numbers), (family,))):
            routes.setdefault(table, []).extend(route for route in some if policy_routes.is_route(route))
    return policy_routes.by_table(rules, routes)


def _vlans(tunnels, links):
    filtering = {link.name for link in links.values() if link.vlan_filtering}
    if not any(tunnel.bridge in filtering and tunnel.name in links for tunnel in tunnels):
        return None
    result = process.run(("bridge", "-json", "-compressvlans", "vlan", "show"))
    try:
        rows = json_fields.table(result.out) if result.code == 0 else []
        return {json_fields.name(row, "ifname"): tuple(_ranges(json_fields.rows(row, "vlans"))) for row in rows} or None
    except json_fields.Unfit:
        return None


def _floods(tunnels, links):
    """Observed.floods: one process, however many tunnels have such a list."""
    lists = flood_lists(tunnels, links)
    if not any(tunnel.remotes for tunnel in tunnels):
        return None
    if not lists:
        return {}
    # Of one device only its own entries: a bridge may know any number of stations.
    words, only = (("dev", *lists), next(iter(lists))) if len(lists) == 1 else ((), "")
    found = fdb_table.Destinations(lists, only)
    result = process.feed(("bridge", "-json", "fdb", "show") + words, found.take)
    # Where nobody knows what it has, nothing is done to it.
    return None if result.code else found.found()


def flood_lists(tunnels, links):
    """{device: the far ends that are to be in its flood list} of those that are there."""
    lists = {tunnel.name: frozenset(tunnel.remotes) for tunnel in tunnels if tunnel.remotes}
    return {name: ends for name, ends in lists.items() if name in links and links[name].kind in TUNNEL_KINDS}


def _ranges(rows):
    for row in rows:
        first = json_fields.number(row, "vlan")
        yield first, json_fields.number(row, "vlanEnd", first)


def _tables(table):
    lines = [_save(command, table) for command in ("iptables-save", "ip6tables-save")]
    return Tables(*lines, br_netfilter=os.path.isdir(BR_NETFILTER))


def _save(command, table):
    try:
        return tuple(process.run((command, "-t", table)).out.splitlines())
    except L2wgError:  # not installed: told of by the steps that want it
        return ()
