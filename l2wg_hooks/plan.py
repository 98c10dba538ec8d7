"""Wish + observed -> plan. Pure: it knows no process, no file and no clock.

Every event asks for the same plan, so the order of events does not matter: what cannot be done yet is said to wait,
and whichever event comes last finishes the work.
"""

from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

from l2wg_hooks import guard, iptables, silence, ways
from l2wg_hooks.errors import Problem
from l2wg_hooks.iptables import Tables
from l2wg_hooks.links import holders
from l2wg_hooks.settings import TTL
from l2wg_hooks.silence import Heard
from l2wg_hooks.ways import Ways

ALIAS = "l2wg"
# The group of the step that loads rules: without it no tunnel may be made.
GUARD = "guard"
LAST_GOES = "the last tunnel goes"
# What may stand under the name of a tunnel and be re-made by us; anything else there belongs to somebody.
TUNNEL_KINDS = ("gretap", "ip6gretap", "vxlan")
# tun: WireGuard in user space (wireguard-go), for kernels without the module.
WIREGUARD_KINDS = ("wireguard", "tun")
# LLDP (IEEE 802.1AB, 01-80-C2-00-00-0E) and 802.1X (01-80-C2-00-00-03): bit N is the address that ends in N.
LINK_LOCAL = 1 << 0xE | 1 << 0x3


@dataclass(frozen=True)
class Step:
    """One command and why it is needed.

    `group` names the tunnel, or the bridge whose port it is about: when a step fails, the rest of its group is left out.
    """

    argv: Tuple[str, ...]
    reason: str
    group: str

    def __str__(self):
        return " ".join(self.argv)


@dataclass(frozen=True)
class Rules:
    """The nftables rules in force, as guard.py has them; `intact` is false where nft(8) has something else."""

    entries: list = field(default_factory=list)
    values: Dict[str, dict] = field(default_factory=dict)
    intact: bool = True


@dataclass(frozen=True)
class Seen:
    """What the kernel has beside links. `ways`, `iptables` (its table mangle) and `filter` (iptables' own table of that
    name) are None where nobody has looked, for want of a need; `managed` names what NetworkManager takes for its own;
    `bridges` are those that l2wg defines.
    """

    rules: Rules = Rules()
    ways: Optional[Ways] = None
    iptables: Optional[Tables] = None
    filter: Optional[Tables] = None
    managed: Tuple[str, ...] = ()
    bridges: Dict[str, Heard] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Steps to run now, what waits for an event, and what is wrong.

    `rules` are those that the one step of group GUARD brings into force; None where there is no such step.
    """

    steps: Tuple[Step, ...] = ()
    waiting: Tuple[str, ...] = ()
    problems: Tuple[Problem, ...] = ()
    rules: Optional[Rules] = None


def plan(tunnels, links, leaving=(), broken=(), seen=Seen()):
    """The Plan that brings `links` ({name: Link}) and what else is `seen` to the wish `tunnels`.

    `leaving` names interfaces that are about to go, tunnels among them, so they count as gone already. `broken` names
    tunnels whose files cannot be read: what is there of them stays as it is.
    """
    doomed = _doomed(tunnels, links, leaving, broken)
    rest = {name: link for name, link in links.items() if name not in doomed}
    # Each once, in order. Dicts, since hundreds of tunnels have thousands of steps.
    steps, waiting, problems = {}, {}, {}
    # Where one tunnel is told to go, others may be about to: none is made then.
    parting = any(tunnel.name in leaving for tunnel in tunnels)
    for tunnel in tunnels:
        if tunnel.name in leaving or (parting and tunnel.name not in links):
            continue
        for result in _tunnel(tunnel, rest, leaving, seen):
            {Step: steps, str: waiting, Problem: problems}[type(result)][result] = None
    there = {step.group for step in steps if step.argv[:3] == ("ip", "link", "add")}
    wished = [tunnel.name for tunnel in tunnels]
    there |= {link.name for link in rest.values() if is_ours(link) or (link.name in wished and link.kind in TUNNEL_KINDS)}
    rules = _rules(tunnels, links, broken, seen.rules) if there else Rules()
    loads = () if rules == seen.rules else (_load(rules, seen.rules),)
    # First what must not be, then the guard, and only then what it guards.
    aside = _aside(tunnels, there, links, seen, broken) + _silence(links, leaving, seen)
    steps = tuple(doomed.values()) + loads + aside + tuple(steps)
    return Plan(steps, tuple(waiting), tuple(problems), rules if loads else None)


def _rules(tunnels, links, broken, old):
    """The Rules that have to be in force, those of a tunnel whose file is broken as they were."""
    entries = [guard.entry(tunnel) for tunnel in tunnels]
    values = {tunnel.name: guard.value(tunnel, links) for tunnel in tunnels}
    for one in old.entries:
        if one["name"] in broken:
            entries.append(one)
            values[one["name"]] = old.values[one["name"]]
    return Rules(entries, values)


def _load(rules, old):
    if not rules.entries:
        reason = LAST_GOES
    elif not old.intact:
        reason = "the tables l2wg are not as this version of l2wg loads them"
    elif rules.entries == old.entries:
        reason = "the underlay's MTU or the bridge's address has changed"
    else:
        reason = "guard, clamp and fences of %s" % ", ".join(one["name"] for one in rules.entries)
    return Step(("nft", "-f", guard.FILE), reason, GUARD)


def _aside(tunnels, there, links, seen, broken=()):
    """Steps for what some tunnels need beside links and rules, and nothing else does: policy routes, iptables."""
    steps = []
    if seen.ways is not None:
        present = [tunnel for tunnel in tunnels if tunnel.name in there]
        steps += [Step(argv, "no tunnel needs it", "ways") for argv in ways.stale(present, seen.ways, broken)]
    classic = [one for one in seen.rules.entries if one["clamp"] == "iptables"]
    if seen.iptables is not None and not any(one["name"] in broken for one in classic):
        wished = [tunnel for tunnel in tunnels if tunnel.mss_clamp == "iptables"]
        clamped = [tunnel for tunnel in wished if tunnel.name in there]
        for bridge in sorted({one["bridge"] for one in classic}):
            if bridge in links and bridge not in [tunnel.bridge for tunnel in wished] and links[bridge].bridge_iptables:
                steps.append(_nf_call(bridge, "iptables need not see its frames any more", "0"))
        underlays = {name: link.mtu for name, link in links.items()}
        steps += [Step(argv, "MSS clamp by iptables", "iptables") for argv in iptables.steps(clamped, underlays, seen.iptables)]
    passing = [one["name"] for one in seen.rules.entries if one.get("forward") == "accept"]
    if seen.filter is not None and not set(passing) & set(broken):
        bridges = sorted({tunnel.bridge for tunnel in tunnels if tunnel.forward == "accept" and tunnel.name in there})
        reason = "iptables is to let pass what crosses %s" % ", ".join(bridges) if bridges else "forward = as-is"
        steps += [Step(argv, reason, "iptables") for argv in iptables.passes(bridges, seen.filter)]
    return tuple(steps)


def _silence(links, leaving, seen):
    """Steps for the bridges of ours that answer for this router: before a tunnel is a port of theirs."""
    # A group of its own: the ports of a bridge, and its tunnels, do not wait for this.
    return tuple(
        Step(argv, reason, "sysctl of %s" % bridge) for bridge, argv, reason in silence.changes(seen.bridges, links, leaving)
    )


def _doomed(tunnels, links, leaving, broken):
    """{name: Step that deletes it} of the tunnels that nobody wishes for or that cannot be mended in place."""
    wished = {tunnel.name for tunnel in tunnels}
    doomed = {
        link.name: _delete(link.name, "no file in /etc/l2wg wishes for it any more")
        for link in links.values()
        if is_ours(link) and link.name not in wished and link.name not in broken
    }
    for tunnel in tunnels:
        link, underlay = links.get(tunnel.name), links.get(tunnel.underlay)
        if link is None or link.kind not in TUNNEL_KINDS:
            continue
        if tunnel.name in leaving:
            doomed[tunnel.name] = _delete(tunnel.name, "it is to go")
        elif underlay is None or tunnel.underlay in leaving:
            doomed[tunnel.name] = _delete(tunnel.name, "its underlay %s is gone" % tunnel.underlay)
        elif underlay.kind not in WIREGUARD_KINDS:
            doomed[tunnel.name] = _delete(tunnel.name, "its underlay %s is no WireGuard" % tunnel.underlay)
        else:
            wrong = _wrong(tunnel, link)
            if wrong:
                doomed[tunnel.name] = _delete(tunnel.name, "; ".join(wrong))
    return doomed


def removal(names, links, seen=Seen()):
    """The Plan that takes the tunnels of these names, and all others that are ours, out of the kernel, with all of theirs."""
    steps = tuple(
        _delete(link.name, "all tunnels are to go")
        for link in links.values()
        if is_ours(link) or (link.name in names and link.kind in TUNNEL_KINDS)
    )
    loads = () if seen.rules == Rules() else (_load(Rules(), seen.rules),)
    return Plan(steps + loads + _aside((), (), links, seen), rules=Rules() if loads else None)


def is_ours(link):
    """Whether l2wg made this link: it says so itself."""
    return link.alias == ALIAS and link.kind in TUNNEL_KINDS


def _delete(name, reason):
    return Step(("ip", "link", "delete", "dev", name), reason, name)


def _set(group, name, reason, *words):
    return Step(("ip", "link", "set", "dev", name) + words, reason, group)


def _wrong(tunnel, link):
    """What cannot be changed in place and differs from the wish, as "what it is, not what it should be"."""
    # A VXLAN that is bound to its underlay takes no frames above that one's MTU.
    wish = _ends(tunnel, link) + (("underlay", link.underlay or "none", "none" if tunnel.kind == "vxlan" else tunnel.underlay),)
    if tunnel.kind == "gretap":
        wish += (("pmtudisc", link.pmtudisc, False), ("ignore-df", link.ignore_df, True))
    if tunnel.kind == "vxlan":
        wish += (("UDP port", link.port, tunnel.port),)
    return ["%s is %s, not %s" % row for row in wish if row[1] != row[2]] + ["it was made with %s" % word for word in link.odd]


def _ends(tunnel, link):
    return (
        ("kind", link.kind, tunnel.kind),
        ("local end", link.local, tunnel.local),
        ("remote end", link.remote, tunnel.remote),
        ("key", link.key, tunnel.number),
    )


def _excludes(link, tunnel):
    """Whether the kernel makes no `tunnel` beside this Link.

    See ip_tunnel_find in net/ipv4/ip_tunnel.c and vxlan_exists in drivers/net/vxlan/vxlan_core.c.
    """
    if link.name == tunnel.name or link.kind != tunnel.kind:
        return False
    if tunnel.kind == "vxlan":
        same_family = (":" in (link.local or link.remote)) == (tunnel.family == 6)
        return same_family and (link.key, link.port) == (tunnel.number, tunnel.port)
    return link.underlay == tunnel.underlay and not any(row[1] != row[2] for row in _ends(tunnel, link))


def _tunnel(tunnel, links, leaving, seen):
    """Yield the Steps, the strings (waits) and the Problems of one tunnel, in the order to do them."""
    there = {name: link for name, link in links.items() if name not in leaving}
    link = links.get(tunnel.name)
    if link is not None and link.kind not in TUNNEL_KINDS:
        yield tunnel.problem(
            "",
            "%s is taken by %s" % (tunnel.name, _what(link)),
            "rename the file to another tunnel name, or delete that interface: ip link delete dev %s" % tunnel.name,
        )
        return
    underlay = there.get(tunnel.underlay)
    if underlay is not None and underlay.kind not in WIREGUARD_KINDS:
        yield tunnel.problem(
            "underlay",
            "%s is %s, not a WireGuard interface: frames would travel in the clear" % (tunnel.underlay, _what(underlay)),
            "name the WireGuard interface, such as wg0",
        )
        underlay = None
    elif underlay is None:
        yield "%s waits for %s" % (tunnel.name, tunnel.underlay)
    elif underlay.master:
        # vrf_l3_rcv and vrf_l3_out in drivers/net/vrf.c: netfilter sees the VRF in the place of the interface.
        yield tunnel.problem(
            "underlay",
            "%s is in the VRF %s: the guard would take the tunnel's packets for a stranger's"
            % (tunnel.underlay, underlay.master),
            "take it out: ip link set dev %s nomaster # and where that is configured; WireGuard's own packets may go by a VRF"
            % tunnel.underlay,
        )
        underlay = None
    bridge = there.get(tunnel.bridge)
    if bridge is not None and bridge.kind != "bridge":
        yield tunnel.problem(
            "bridge", "%s is %s, not a bridge" % (tunnel.bridge, _what(bridge)), "name a bridge, such as br0"
        )
        bridge = None
    elif bridge is None:
        yield "%s waits for %s" % (tunnel.name, tunnel.bridge)
    if not holders(there, tunnel.local):
        yield "%s waits for its address: no interface of this router has %s" % (tunnel.name, tunnel.local)
    for name in tunnel.own:
        if name in seen.managed:
            # It would take a port out of the bridge when it finds no lease there, and all it has with `networking off`.
            argv = ("nmcli", "device", "set", name, "managed", "no")
            yield Step(argv, "NetworkManager manages it", "NetworkManager")
    if underlay is not None:
        yield from _make(tunnel, link, links, bridge, seen)
    if bridge is not None:
        yield from _bridge(tunnel, bridge)
        yield from _ports(tunnel, there)


def _make(tunnel, link, links, bridge, seen):
    """The tunnel itself, from whatever is there of it to a port of the bridge that is up."""
    if link is None:
        for other in links.values():
            if _excludes(other, tunnel):
                yield tunnel.problem(
                    "remote",
                    "%s has the same %s: the kernel takes no second one"
                    % (other.name, "VNI and port" if tunnel.kind == "vxlan" else "ends, underlay and key"),
                    "if nothing needs it: ip link delete dev %s; else give this tunnel a `key` on both routers" % other.name,
                )
                return
    if seen.ways is not None and ways.needed(tunnel.kind):
        if links[tunnel.underlay].up:
            for argv in ways.steps(tunnel, seen.ways):
                yield Step(argv, "its packets, of any size, leave by %s only" % tunnel.underlay, tunnel.name)
        else:
            yield "%s waits for %s: it is down" % (tunnel.name, tunnel.underlay)
    if link is None:
        yield Step(_add(tunnel), "it is not there", tunnel.name)
        yield _set(tunnel.name, tunnel.name, "marks it as ours", "alias", ALIAS)
        if any(other.ipv6 for other in links.values()):
            yield _set(tunnel.name, tunnel.name, "a port has no IPv6 address of its own", "addrgenmode", "none")
    else:
        if link.alias != ALIAS:
            yield _set(tunnel.name, tunnel.name, "marks it as ours", "alias", ALIAS)
        if link.mac != tunnel.mac:
            yield _set(tunnel.name, tunnel.name, "the bridge must not take its address", "address", tunnel.mac)
        if link.mtu != tunnel.mtu:
            yield _set(tunnel.name, tunnel.name, "its MTU is %d" % link.mtu, "mtu", str(tunnel.mtu))
        if link.ttl != TTL:
            reason = "its packets' TTL is that of what they carry" if link.ttl == 0 else "its packets' TTL is %d" % link.ttl
            yield _set(tunnel.name, tunnel.name, reason, *_ttl(tunnel))
    master, up = (link.master, link.up) if link else ("", False)
    if bridge is None:
        # Up without a bridge, it would be a port of the router itself, with the other site's router advertisements.
        if master:
            yield _set(tunnel.name, tunnel.name, "lets go of %s" % master, "nomaster")
        if up:
            yield _set(tunnel.name, tunnel.name, "it has no bridge", "down")
        return
    if master != bridge.name:
        if bridge.mtu > tunnel.mtu:
            # Only a set MTU holds when a port with a smaller one joins, and setting the value that it has does not
            # count (br_mtu_auto_adjust in net/bridge/br_if.c).
            reason = "%s keeps its MTU" % bridge.name
            yield _set(tunnel.name, bridge.name, reason, "mtu", str(bridge.mtu - 1))
            yield _set(tunnel.name, bridge.name, reason, "mtu", str(bridge.mtu))
        yield _set(tunnel.name, tunnel.name, "it is no port of %s" % bridge.name, "master", bridge.name)
        if bridge.vlan_filtering:
            for first, last in ((1, bridge.pvid - 1), (bridge.pvid + 1, 4094)):
                if first <= last:
                    vlans = ("bridge", "vlan", "add", "dev", tunnel.name, "vid", "%d-%d" % (first, last))
                    yield Step(vlans, "%s filters VLANs, and a new port has none" % bridge.name, tunnel.name)
    if tunnel.isolated != (master == bridge.name and link.isolated):
        word, reason = ("on", "isolated = yes") if tunnel.isolated else ("off", "isolated = no")
        yield _set(tunnel.name, tunnel.name, reason, "type", "bridge_slave", "isolated", word)
    if not up:
        yield _set(tunnel.name, tunnel.name, "it is down", "up")


def _add(tunnel):
    words = ["ip", "link", "add", "name", tunnel.name, "address", tunnel.mac, "mtu", str(tunnel.mtu), "type", tunnel.kind]
    ends = ["local", tunnel.local, "remote", tunnel.remote]
    if tunnel.kind == "vxlan":
        # Not bound by `dev`, which would cap its MTU: ways.py leads its packets instead.
        words += ["id", str(tunnel.number)] + ends + ["dstport", str(tunnel.port), "learning"]
        return tuple(words) + _ttl(tunnel)[2:]
    # dev: nothing leaves by another route when the underlay goes.
    words += ends + ["dev", tunnel.underlay]
    if tunnel.key is not None:
        words += ["key", str(tunnel.key)]
    # A full-size frame is fragmented, since a bridge cannot say "too big". GRE over IPv6 cannot: ways.py.
    words += ["nopmtudisc", "ignore-df"] if tunnel.kind == "gretap" else ["encaplimit", "none"]
    return tuple(words) + _ttl(tunnel)[2:]


def _ttl(tunnel):
    """The words for ip(8) that give a tunnel's packets a TTL, or hop limit, of their own."""
    return ("type", tunnel.kind, "hoplimit" if tunnel.kind == "ip6gretap" else "ttl", str(TTL))


def _bridge(tunnel, bridge):
    """What the wish says of the bridge itself."""
    mask = bridge.group_forward
    if tunnel.link_local:
        mask |= LINK_LOCAL
    elif tunnel.bridge_ports and mask == LINK_LOCAL and "link-local" in tunnel.lines:
        mask = 0  # ours, from when the wish was another
    if mask != bridge.group_forward:
        reason = "LLDP and 802.1X %s" % ("pass" if tunnel.link_local else "stay at home")
        yield _set(bridge.name, bridge.name, reason, "type", "bridge", "group_fwd_mask", "0x%x" % mask)
    # Where it is not written, the bridge may be somebody's who has decided otherwise.
    if "stp" in tunnel.lines and tunnel.bridge_ports and tunnel.stp != bridge.stp:
        reason = "stp = %s" % ("yes" if tunnel.stp else "no")
        yield _set(bridge.name, bridge.name, reason, "type", "bridge", "stp_state", "1" if tunnel.stp else "0")
    if tunnel.mss_clamp == "iptables" and not bridge.bridge_iptables:
        # This bridge only: the global switch has every bridge of this host filtered.
        yield _nf_call(bridge.name, "iptables is to see its frames", "1")


def _nf_call(bridge, reason, value):
    return _set(bridge, bridge, reason, "type", "bridge", "nf_call_iptables", value, "nf_call_ip6tables", value)


def _ports(tunnel, there):
    """The Ethernet ports that the wish names."""
    for name in tunnel.bridge_ports:
        port = there.get(name)
        problem = unfit(tunnel, port)
        if port is None:
            yield "%s waits for its port %s" % (tunnel.bridge, name)
        elif problem:
            yield problem
        elif port.master != tunnel.bridge:
            yield _set(tunnel.bridge, name, "it is no port of %s" % tunnel.bridge, "master", tunnel.bridge)
            if not port.up:
                yield _set(tunnel.bridge, name, "it is down", "up")


def unfit(tunnel, port):
    """The Problem of a Link (or None) that must not join the bridge of `tunnel`; None where it may, or has."""
    if port is None or port.master == tunnel.bridge:
        return None
    if port.master:
        message = "%s is a port of %s" % (port.name, port.master)
        return tunnel.problem("bridge-ports", message, "take it out there, or name another port")
    return carries(tunnel, port.name, port.addresses[0]) if port.addresses else None


def carries(tunnel, port, address, where="", hint=""):
    """The Problem of a port with an address: somebody may be logged in by it, and would be cut off."""
    return tunnel.problem(
        "bridge-ports",
        "%s carries the address %s%s, and whoever uses it would be cut off" % (port, address, where),
        hint
        or "name a port without address; or define %s with it in interfaces(5) yourself, and leave bridge-ports empty"
        % tunnel.bridge,
    )


def _what(link):
    return "an interface of kind %s" % link.kind if link.kind else "a network card"
