"""Wish + observed -> plan. Pure: it knows no process, no file and no clock.

Every event asks for the same plan, so the order of events does not matter: what cannot be done yet is said to wait,
and whichever event comes last finishes the work.
"""

import zlib
from dataclasses import dataclass
from typing import Tuple

from l2wg_hooks.errors import Problem

ALIAS = "l2wg"
# What may stand under the name of a tunnel and be re-made by us; anything else there belongs to somebody.
TUNNEL_KINDS = ("gretap", "ip6gretap", "vxlan")
# tun: WireGuard in user space (wireguard-go), for kernels without the module.
WIREGUARD_KINDS = ("wireguard", "tun")


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
class Plan:
    """Steps to run now, what waits for an event, and what is wrong."""

    steps: Tuple[Step, ...] = ()
    waiting: Tuple[str, ...] = ()
    problems: Tuple[Problem, ...] = ()


def mac(tunnel):
    """The Ethernet address of a tunnel: always the same, differing from its peer's.

    A bridge takes the lowest address of its ports for its own (br_stp_recalculate_bridge_id in net/bridge/br_stp_if.c),
    so ours starts with fe:ff, a locally administered address that sorts behind every network card's.
    """
    seed = "%s %s %s %s" % (tunnel.name, tunnel.local, tunnel.remote, tunnel.key)
    return "fe:ff:" + ":".join("%02x" % byte for byte in zlib.crc32(seed.encode()).to_bytes(4, "big"))


def plan(tunnels, links, leaving=(), broken=()):
    """The Plan that brings `links` ({name: Link}) to the wish `tunnels`.

    `leaving` names interfaces that are about to go, so they count as gone already. `broken` names tunnels whose
    files cannot be read: what is there of them stays as it is.
    """
    doomed = _doomed(tunnels, links, leaving, broken)
    rest = {name: link for name, link in links.items() if name not in doomed}
    steps, waiting, problems = list(doomed.values()), [], []
    for tunnel in tunnels:
        for result in _tunnel(tunnel, rest, leaving):
            found = {Step: steps, str: waiting, Problem: problems}[type(result)]
            if result not in found:
                found.append(result)
    return Plan(tuple(steps), tuple(waiting), tuple(problems))


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
        if underlay is None or tunnel.underlay in leaving:
            doomed[tunnel.name] = _delete(tunnel.name, "its underlay %s is gone" % tunnel.underlay)
        elif underlay.kind not in WIREGUARD_KINDS:
            doomed[tunnel.name] = _delete(tunnel.name, "its underlay %s is no WireGuard" % tunnel.underlay)
        else:
            wrong = _wrong(tunnel, link)
            if wrong:
                doomed[tunnel.name] = _delete(tunnel.name, "; ".join(wrong))
    return doomed


def removal(names, links):
    """The Plan that takes the tunnels of these names, and all others that are ours, out of the kernel."""
    return Plan(
        tuple(
            _delete(link.name, "all tunnels are to go")
            for link in links.values()
            if is_ours(link) or (link.name in names and link.kind in TUNNEL_KINDS)
        )
    )


def is_ours(link):
    """Whether l2wg made this link: it says so itself."""
    return link.alias == ALIAS and link.kind in TUNNEL_KINDS


def _delete(name, reason):
    return Step(("ip", "link", "delete", "dev", name), reason, name)


def _set(group, name, reason, *words):
    return Step(("ip", "link", "set", "dev", name) + words, reason, group)


def _wrong(tunnel, link):
    """What cannot be changed in place and differs from the wish, as "what it is, not what it should be"."""
    wish = (
        ("kind", link.kind, tunnel.encapsulation),
        ("local end", link.local, tunnel.local),
        ("remote end", link.remote, tunnel.remote),
        ("underlay", link.underlay or "none", tunnel.underlay),
        ("key", link.key, tunnel.key),
        ("pmtudisc", link.pmtudisc, False),
        ("ignore-df", link.ignore_df, True),
    )
    return ["%s is %s, not %s" % row for row in wish if row[1] != row[2]]


def _tunnel(tunnel, links, leaving):
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
    bridge = there.get(tunnel.bridge)
    if bridge is not None and bridge.kind != "bridge":
        yield tunnel.problem(
            "bridge", "%s is %s, not a bridge" % (tunnel.bridge, _what(bridge)), "name a bridge, such as br0"
        )
        bridge = None
    elif bridge is None:
        yield "%s waits for %s" % (tunnel.name, tunnel.bridge)
    if not any(tunnel.local == address.partition("/")[0] for other in there.values() for address in other.addresses):
        yield "%s waits for its address: no interface of this router has %s" % (tunnel.name, tunnel.local)
    if underlay is not None:
        yield from _make(tunnel, link, links, bridge)
    if bridge is not None:
        yield from _ports(tunnel, there)


def _make(tunnel, link, links, bridge):
    """The tunnel itself, from whatever is there of it to a port of the bridge that is up."""
    if link is None:
        for other in links.values():
            if other.name != tunnel.name and other.kind == tunnel.encapsulation and not _wrong(tunnel, other):
                yield tunnel.problem(
                    "remote",
                    "%s has the same ends, underlay and key: the kernel takes no second one" % other.name,
                    "if nothing needs it: ip link delete dev %s; else give this tunnel a `key` on both routers" % other.name,
                )
                return
        yield Step(_add(tunnel), "it is not there", tunnel.name)
        yield _set(tunnel.name, tunnel.name, "marks it as ours", "alias", ALIAS)
        if any(other.ipv6 for other in links.values()):
            yield _set(tunnel.name, tunnel.name, "a port has no IPv6 address of its own", "addrgenmode", "none")
    else:
        if link.alias != ALIAS:
            yield _set(tunnel.name, tunnel.name, "marks it as ours", "alias", ALIAS)
        if link.mac != mac(tunnel):
            yield _set(tunnel.name, tunnel.name, "the bridge must not take its address", "address", mac(tunnel))
        if link.mtu != tunnel.mtu:
            yield _set(tunnel.name, tunnel.name, "its MTU is %d" % link.mtu, "mtu", str(tunnel.mtu))
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
    if not up:
        yield _set(tunnel.name, tunnel.name, "it is down", "up")


def _add(tunnel):
    # ignore-df and nopmtudisc: a full-size frame is fragmented inside WireGuard, since a bridge cannot say "too big".
    # dev: nothing leaves by another route when the underlay goes.
    words = ["ip", "link", "add", "name", tunnel.name, "address", mac(tunnel), "mtu", str(tunnel.mtu)]
    words += ["type", tunnel.encapsulation, "local", tunnel.local, "remote", tunnel.remote, "dev", tunnel.underlay]
    if tunnel.key is not None:
        words += ["key", str(tunnel.key)]
    return tuple(words + ["nopmtudisc", "ignore-df"])


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


def carries(tunnel, port, address, where=""):
    """The Problem of a port with an address: somebody may be logged in by it, and would be cut off."""
    return tunnel.problem(
        "bridge-ports",
        "%s carries the address %s%s, and whoever uses it would be cut off" % (port, address, where),
        "name a port without address; or define %s with it in interfaces(5) yourself, and leave bridge-ports empty"
        % tunnel.bridge,
    )


def _what(link):
    return "an interface of kind %s" % link.kind if link.kind else "a network card"
