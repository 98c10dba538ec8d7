"""The steps of one tunnel: made, changed in place, or deleted. Pure."""

import zlib

from l2wg_hooks import model
from l2wg_hooks.encapsulation.headers import TTL
from l2wg_hooks.model import NAMESPACE, Step, Wait, Walls
from l2wg_hooks.plan import bridge_steps, commands, flood_list, policy_routes


def doomed(tunnels, links, leaving, broken):
    """{name: Step that deletes it} of the tunnels that nobody wishes for or that cannot be mended in place."""
    wished = {tunnel.name for tunnel in tunnels}
    doomed = {
        link.name: delete(link, "no file in /etc/l2wg asks for it any longer")
        for link in links.values()
        if model.is_ours(link) and link.name not in wished and link.name not in broken
    }
    for tunnel in tunnels:
        link, underlay = links.get(tunnel.name), links.get(tunnel.underlay)
        if link is None or link.kind not in model.TUNNEL_KINDS:
            continue
        if tunnel.name in leaving:
            doomed[tunnel.name] = delete(link, "it is to go")
        elif link.namespace:
            doomed[tunnel.name] = delete(link, "it was left half made")
        elif underlay is None or tunnel.underlay in leaving:
            doomed[tunnel.name] = delete(link, f"its underlay {tunnel.underlay} is gone")
        elif underlay.kind not in model.WIREGUARD_KINDS:
            doomed[tunnel.name] = delete(link, f"its underlay {tunnel.underlay} is no WireGuard")
        else:
            wrong = _wrong(tunnel, link)
            if wrong:
                doomed[tunnel.name] = delete(link, "; ".join(wrong))
    return doomed


def replaced(tunnels, links, leaving, doomed):
    """{name: Step that deletes it} of the `doomed` whose place one from the namespace can take, both in one `ip -batch`.

    The new one is made first, under another name: in another network namespace the kernel takes a second one.
    """
    found = {}
    for tunnel in tunnels:
        link, underlay = links.get(tunnel.name), links.get(tunnel.underlay)
        if tunnel.name not in doomed or tunnel.name in leaving or not tunnel.walled or link.namespace or link.link_netns:
            continue
        if underlay is not None and underlay.namespace == NAMESPACE and underlay.up and tunnel.underlay not in leaving:
            found[tunnel.name] = doomed[tunnel.name]
    return found


def newcomer(name):
    """The name of the one that is about to take the place of the tunnel `name`."""
    return f"l2wg-{zlib.crc32(name.encode()):08x}"


def delete(link, reason):
    ip = commands.INSIDE if link.namespace else ("ip",)
    return Step(ip + ("link", "delete", "dev", link.name), reason, link.name)


def _wrong(tunnel, link):
    """What cannot be changed in place and differs from the wish, as "what it is, not what it should be"."""
    namespace = (
        "network namespace of its packets",
        link.link_netns or "the router's",
        NAMESPACE if tunnel.walled else "the router's",
    )
    wish = (("kind", link.kind, tunnel.kind), namespace) + tunnel.packing.fixed(tunnel, link)
    return ["{} is {}, not {}".format(*row) for row in wish if row[1] != row[2]] + [
        f"it was made with {word}" for word in link.odd if word not in tunnel.packing.wished(tunnel)
    ]


def changes(tunnel, index, seen, old=None, ways=None):
    """Yield the Steps, the Waits and the Problems of one tunnel, in the order to do them.

    `index` is the LinkIndex of all links. `old` is the Step that deletes the one whose place it takes, which is not among these.
    `ways` are policy_routes.Ways; None where nobody has looked.
    """
    there = index.there
    link = index.links.get(tunnel.name)
    if link is not None and link.kind not in model.TUNNEL_KINDS:
        yield tunnel.problem(
            "",
            f"{tunnel.name} is taken by {commands.described(link)}",
            f"rename the file to another tunnel name, or delete that interface: ip link delete dev {tunnel.name}",
        )
        return
    underlay = there.get(tunnel.underlay)
    if underlay is not None and underlay.kind not in model.WIREGUARD_KINDS:
        yield tunnel.problem(
            "underlay",
            f"{tunnel.underlay} is {commands.described(underlay)}, not a WireGuard interface: frames would travel in the clear",
            "name the WireGuard interface, such as wg0",
        )
        underlay = None
    elif underlay is None:
        yield Wait(tunnel.name, "underlay", tunnel.underlay)
    elif underlay.master:
        # vrf_l3_rcv and vrf_l3_out in drivers/net/vrf.c: netfilter sees the VRF in the place of the interface.
        yield tunnel.problem(
            "underlay",
            f"{tunnel.underlay} is in the VRF {underlay.master}: the guard would take the tunnel's packets for a stranger's",
            f"take it out: ip link set dev {tunnel.underlay} nomaster # and where that is configured; "
            f"WireGuard's own packets may go by a VRF",
        )
        underlay = None
    bridge = there.get(tunnel.bridge)
    if bridge is not None and bridge.kind != "bridge":
        yield tunnel.problem(
            "bridge", f"{tunnel.bridge} is {commands.described(bridge)}, not a bridge", "name a bridge, such as br0"
        )
        bridge = None
    elif bridge is None:
        yield Wait(tunnel.name, "bridge", tunnel.bridge)
    if tunnel.walled and underlay is not None and underlay.namespace != NAMESPACE:
        underlay = None  # told of by wire_steps.py
    if not index.is_local(tunnel):
        yield Wait(tunnel.name, "address", tunnel.local)
    for name in tunnel.own:
        if name in seen.managed:
            # It would take a port out of the bridge when it finds no lease there, and all it has with `networking off`.
            argv = ("nmcli", "device", "set", name, "managed", "no")
            yield Step(argv, "NetworkManager manages it", "NetworkManager")
    if underlay is not None:
        made = _make(tunnel, link, index, bridge, seen, old, ways)
        yield from ((_needing(result, tunnel.underlay) for result in made) if tunnel.walled else made)
    if bridge is not None:
        yield from bridge_steps.settings(tunnel, bridge)
        yield from bridge_steps.ports(tunnel, there)


def _needing(result, group):
    return result._replace(needs=group) if isinstance(result, Step) else result


def _make(tunnel, link, index, bridge, seen, old, ways):
    """The tunnel itself, from whatever is there of it to a port of the bridge that is up."""
    other = index.excluding(tunnel) if link is None else None
    if other is not None:
        yield tunnel.problem(
            "remote",
            f"{other.name} has the same {tunnel.packing.exclusive_words}: the kernel takes no second one",
            f"if nothing needs it: ip link delete dev {other.name}; else give this tunnel a `key` on both routers",
        )
        return
    if ways is not None and policy_routes.needed(tunnel.kind) and not tunnel.walled:
        if index.links[tunnel.underlay].up:
            for argv, group in ways.steps(tunnel):
                reason = f"its packets, of any size, leave by {tunnel.underlay} only"
                yield Step(argv, reason if group == tunnel.name else "packets of tunnels leave by their underlay only", group)
        else:
            yield Wait(tunnel.name, "underlay-up", tunnel.underlay)
    if link is None:
        yield from _new(tunnel, seen, old, ways.group(tunnel) if ways is not None else "")
        if index.ipv6:
            yield commands.set_link(tunnel.name, tunnel.name, "a port has no IPv6 address of its own", "addrgenmode", "none")
    else:
        if link.alias != model.ALIAS:
            yield commands.set_link(tunnel.name, tunnel.name, "marks it as ours", "alias", model.ALIAS)
        if link.mac != tunnel.mac:
            yield commands.set_link(tunnel.name, tunnel.name, "the bridge must not take its address", "address", tunnel.mac)
        if link.mtu != tunnel.mtu:
            yield commands.set_link(tunnel.name, tunnel.name, "its MTU is %d" % link.mtu, "mtu", str(tunnel.mtu))
        if link.ttl != TTL:
            reason = "its packets' TTL is that of what they carry" if link.ttl == 0 else "its packets' TTL is %d" % link.ttl
            yield commands.set_link(tunnel.name, tunnel.name, reason, *_ttl(tunnel))
    if tunnel.remotes and not tunnel.senders and (link is None or seen.floods is not None):
        yield from flood_list.steps(tunnel, (seen.floods or {}).get(tunnel.name, ()) if link is not None else ())
    master, up = (link.master, link.up) if link else ("", False)
    if bridge is None:
        # Up without a bridge, it would be a port of the router itself, with the other site's router advertisements.
        if master:
            yield commands.set_link(tunnel.name, tunnel.name, f"lets go of {master}", "nomaster")
        if up:
            yield commands.set_link(tunnel.name, tunnel.name, "it has no bridge", "down")
        return
    if master != bridge.name:
        if bridge.mtu > tunnel.mtu:
            # Only a set MTU holds when a port with a smaller one joins, and setting the value that it has does not
            # count (br_mtu_auto_adjust in net/bridge/br_if.c).
            reason = f"{bridge.name} keeps its MTU"
            yield commands.set_link(tunnel.name, bridge.name, reason, "mtu", str(bridge.mtu - 1))
            yield commands.set_link(tunnel.name, bridge.name, reason, "mtu", str(bridge.mtu))
        yield commands.set_link(tunnel.name, tunnel.name, f"it is not a port of {bridge.name}", "master", bridge.name)
        if bridge.vlan_filtering:
            # The kernel gives a new port the bridge's own.
            has = ((bridge.pvid, bridge.pvid),)
            yield from _vlans(tunnel, bridge, has, f"{bridge.name} filters VLANs, and a new port has none")
    elif bridge.vlan_filtering and seen.vlans is not None:
        yield from _vlans(tunnel, bridge, seen.vlans.get(tunnel.name, ()), "it carries all VLANs, and does not have these")
    if tunnel.isolated != (master == bridge.name and link.isolated):
        word, reason = ("on", "isolated = yes") if tunnel.isolated else ("off", "isolated = no")
        yield commands.set_link(tunnel.name, tunnel.name, reason, "type", "bridge_slave", "isolated", word)
    if tunnel.senders and (master != bridge.name or link.port_learning or not link.neigh_suppress):
        # Before it is up: what the bridge learnt here by itself would stand against what FRR says.
        words = ("type", "bridge_slave", "learning", "off", "neigh_suppress", "on")
        yield commands.set_link(tunnel.name, tunnel.name, "the bridge learns there, where FRR is to tell of stations", *words)
    if not up:
        yield commands.set_link(tunnel.name, tunnel.name, "it is down", "up")


def _vlans(tunnel, bridge, has, reason):
    """Steps that give a tunnel the VLANs that are not among the ranges that it `has`."""
    start = 1
    for first, last in sorted(has) + [(4095, 4095)]:
        # That of untagged frames comes with two words more.
        cut = ((start, bridge.pvid - 1), (bridge.pvid, bridge.pvid), (bridge.pvid + 1, first - 1))
        for begin, end in cut if start <= bridge.pvid < first else ((start, first - 1),):
            if begin <= end:
                words = ("pvid", "untagged") if begin == end == bridge.pvid else ()
                vid = ("vid", "%d-%d" % (begin, end) if begin < end else str(begin))
                yield Step(("bridge", "vlan", "add", "dev", tunnel.name) + vid + words, reason, tunnel.name)
        start = max(start, last + 1)


def _new(tunnel, seen, old, needs):
    if not tunnel.walled:
        # What is there already is mended all the same, where somebody keeps taking its way.
        yield Step(_add(tunnel), "it is not there", tunnel.name, needs)
        yield commands.set_link(tunnel.name, tunnel.name, "marks it as ours", "alias", model.ALIAS)
        return
    name = newcomer(tunnel.name) if old else tunnel.name
    own = commands.INSIDE + ("link", "set", "dev", name)
    yield Step(commands.INSIDE + _add(tunnel, name)[1:], "it is not there", tunnel.name)
    yield Step(own + ("alias", model.ALIAS), "marks it as ours", tunnel.name)
    home = seen.walls.home if seen.walls else Walls().home
    yield Step(own + ("netns", home), "it is a port out here, and its packets stay in there", tunnel.name)
    if old:
        yield old
        yield commands.set_link(tunnel.name, name, "it takes the place of the one before", "name", tunnel.name)


def _add(tunnel, name=""):
    words = ["ip", "link", "add", "name", name or tunnel.name, "address", tunnel.mac, "mtu", str(tunnel.mtu), "type", tunnel.kind]
    return tuple(words + tunnel.packing.link_words(tunnel)) + _ttl(tunnel)[2:]


def _ttl(tunnel):
    """The words for ip(8) that give a tunnel's packets a TTL, or hop limit, of their own."""
    return ("type", tunnel.kind, tunnel.link_kind.ttl, str(TTL))
