"""This router's part of /etc/l2wg/sites: its tunnels, each with its peers of WireGuard. Pure.

Each site works out its own part by the same lines, so what two of them come to is the same, with the ends exchanged.
"""

from l2wg_hooks.config import conflicts, schema, site_lines, site_names, terms, wg_quick_peers
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import PeerWish, Tunnel
from l2wg_hooks.typed import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

# Where a line says nothing of it.
BRIDGE = "br0"
# What is of one router alone, as Tunnel's fields.
_PLACE = tuple(schema.KEYS[key].field for key in site_lines.OF_A_ROUTER)


class Wire(NamedTuple):
    """A WireGuard interface of this router: `walled` is whether l2wg makes it itself (wire = own)."""

    underlay: str
    walled: bool = False


class ByHand(NamedTuple):
    """What has a file of its own in /etc/l2wg: it wins. `names` are those of all such tunnels, `ends` their far ends."""

    tunnels: Tuple[Tunnel, ...] = ()
    names: FrozenSet[str] = frozenset()
    ends: FrozenSet[str] = frozenset()


class Part(NamedTuple):
    """`own` is this router's line; None where there is none that counts, and then nothing is known of its tunnels."""

    tunnels: Tuple[Tunnel, ...] = ()
    problems: Tuple[Problem, ...] = ()
    own: Optional[site_lines.Site] = None


def find(lines, wires: Mapping[str, Wire], by_hand, path):
    """The Part of a router with these Wires, {public key: Wire}, of Lines without contradictions."""
    own, problems = _own(lines, wires, path)
    if own is None or lines.net is None:
        return Part((), problems, own)
    misnamed = tuple(_misnamed(lines.net, own, lines.living(), path))
    if misnamed:
        return Part((), problems + misnamed)
    found, more = between(lines.net, own, lines.living(), wires[own.key], by_hand, path)
    return Part(found, problems + more, own)


def _own(lines, wires, path):
    """(this router's Site or None, Problems)."""
    mine = [site for site in lines.living() if site.key in wires]
    if len(mine) > 1:
        message = "line %d is this router's, too (%s there, %s here)" % (
            mine[0].line, wires[mine[0].key].underlay, wires[mine[1].key].underlay
        )  # fmt: skip
        return None, (Problem(message, "a router is in the net once: take one of the two lines out", path, mine[1].line),)
    if mine:
        return mine[0], ()
    if any(site.key in wires for site in lines.faulty):
        return None, ()
    out = [site for site in lines.sites if site.key in wires]
    if out:
        message = f"this router is out of the net since {out[0].gone}; its tunnels stay as long as the file is here"
        return None, (Problem(message, f"rm {path}; l2wg apply", path, out[0].line),)
    keys = ", ".join(f"{key} ({wire.underlay})" for key, wire in list(wires.items())[:3])
    message = "no line is this router's" + (f": its public key is {keys}" if keys else ", and no WireGuard here has a key")
    hint = "add the line that `l2wg card` prints here, and copy the file to all sites" if keys else "make one: l2wg init"
    return None, (Problem(message, hint, path),)


def _misnamed(net, own, sites, path):
    """Problems of what the own line calls like a tunnel: nobody can tell which of the two is meant, so nothing of it counts."""
    names = {site_names.tunnel(site.name) for site in sites if site.key != own.key and meet(net, own, site)}
    whose = "a site, and of its tunnel"
    if len(net.hubs) > 1 and own.name not in net.hubs:
        names, whose = {site_names.HUBS}, "the tunnel to the two hubs"
    if net.is_one_tunnel:
        names, whose = {site_names.MESH}, "the tunnel to all sites"
    for key in own.said:
        words = own.values[schema.KEYS[key].field] if key in ("bridge", "bridge-ports") else ()
        for word in names & {words, *words}:
            yield Problem(f"{word} is the name of {whose}", "name another interface", path, own.line, key)


def between(net, own, sites, wire, by_hand, path, hubs=None):
    """(Tunnels, Problems) of the site `own`, in a net of these sites: none of two that contradict each other.

    `hubs` are those of a net with two, where they are not among the `sites`.
    """
    if net.is_one_tunnel:
        from l2wg_hooks.config import site_mesh  # where there is one only

        return site_mesh.between(net, own, sites, wire, by_hand, path)
    found: List[Tunnel] = []
    problems: List[Problem] = []
    names: Dict[str, Tunnel] = {tunnel.name: tunnel for tunnel in by_hand.tunnels}
    known = conflicts.Known(names)
    for tunnel in by_hand.tunnels:
        for _ in known.judge(tunnel):
            pass  # told of by who has read those files
    named = {name for tunnel in by_hand.tunnels for name in (tunnel.underlay, tunnel.bridge, *tunnel.bridge_ports)}
    if hubs is None:
        hubs = list({site.key: site for site in (own, *sites) if site.name in net.hubs}.values())
    if len(net.hubs) > 1 and len(hubs) < len(net.hubs):
        return (), ()
    sites = [other for other in sites if other.key != own.key and meet(net, own, other)]
    if len(net.hubs) > 1 and own.name not in net.hubs:
        # One tunnel leads to both.
        sites = sites[:1]
    for other in sites:
        try:
            tunnel = _of_hubs(net, own, other, hubs, wire, path) or _tunnel(net, own, other, wire, path)
        except Refused as error:
            problems.append(Problem(error.args[0], error.args[1], path, other.line))
            continue
        if by_hand.ends.intersection(tunnel.far_ends):
            continue
        wrong: List[Problem] = []
        if tunnel.name in by_hand.names:
            message = f"{tunnel.name} has a file in /etc/l2wg that leads elsewhere"
            hint = f"give that file another name, or {other.name} another one: l2wg card --name NAME there"
            if tunnel.has_hubs:
                message, hint = f"{message}, and is the name of the tunnel to the two hubs", "give that file another name"
            wrong.append(Problem(message, hint, path, other.line, tunnel=tunnel.name))
        elif tunnel.name in named | {tunnel.underlay, tunnel.bridge, *tunnel.bridge_ports}:
            message = f"{tunnel.name}, the tunnel of that site, would have the name of another interface here"
            hint = f"give {other.name} another name: l2wg card --name NAME there"
            wrong.append(Problem(message, hint, path, other.line, tunnel=tunnel.name))
        wrong = wrong or list(conflicts.within(tunnel))
        if not wrong:
            names[tunnel.name] = tunnel
            wrong = list(known.judge(tunnel))
        problems += wrong
        if not wrong:
            found.append(tunnel)
    return tuple(found), tuple(problems)


def meet(net, own, other):
    """Whether two sites have a tunnel between them."""
    if len(net.hubs) > 1 and own.name in net.hubs and other.name in net.hubs:
        return net.hubs_joined
    return net.shape == site_lines.MESH or own.name in net.hubs or other.name in net.hubs


def _tunnel(net, own, other, wire, path):
    """The Tunnel from `own` to `other`. Raises Refused."""
    schema.tunnel_name(site_names.tunnel(other.name))
    # Of a star, the line of the site that is not the hub.
    line = of_line(net, own, other)
    values = dict(net.values)
    values.update(line.values)
    agreed = terms.find(*(asked(site.card, values) for site in (own, other)))
    isolated = net.shape == site_lines.MESH or (own.name in net.hubs and bool(values.get("isolated")))
    peer = peer_of(own, other, agreed.remote)
    return Tunnel(
        site_names.tunnel(other.name),
        wire.underlay,
        agreed.local,
        agreed.remote,
        encapsulation=agreed.encapsulation,
        key=agreed.number,
        mtu=agreed.mtu,
        isolated=isolated,
        wire="own" if wire.walled else "shared",
        site=other.name,
        peers=(peer,),
        own_site=own.name if len(net.hubs) > 1 else "",
        path=path,
        lines={"": other.line, **lines_of(own)},
        **alike(net, own, values),
    )


def _of_hubs(net, own, other, hubs, wire, path):
    if len(net.hubs) < 2:
        return None
    from l2wg_hooks.config import site_hubs  # where there are two only

    return site_hubs.tunnel(net, own, other, hubs, wire, path)


def of_line(net, own, other):
    """Which of the two lines tells of a star's tunnel: that of the site that is not the hub."""
    return other if own.name in net.hubs else own


def peer_of(own, other, remote):
    """The PeerWish of the site `own` for another one, whose address inside WireGuard is `remote`."""
    keepalive = terms.KEEPALIVE if other.card.endpoint and not own.card.endpoint else 0
    return PeerWish(other.key, (wg_quick_peers.host(remote),), other.card.endpoint, keepalive, was=other.was)


def alike(net, own, values):
    """{field of Tunnel: value} of what sites do for their tunnels alike, by `values`, and of what is this router's."""
    found = {key: values[key] for key in ("vlans", "dhcp", "storm_limit", "mss_clamp") if key in values}
    found["bridge"] = net.values.get("bridge", BRIDGE)
    found.update((key, own.values[key]) for key in _PLACE if key in own.values)
    return found


def lines_of(own):
    """{key: line} of what the own line tells of each tunnel."""
    return dict.fromkeys(("local",) + site_lines.OF_A_ROUTER, own.line)


def asked(card, values):
    """A site's card, as far as the lines leave it to the sites: its encapsulation is for pairs."""
    encapsulation = values.get("encapsulation", registry.DEFAULT)
    return card._replace(encapsulation=encapsulation, number=values.get("key"), mtu=values.get("mtu", card.mtu))
