"""The underlay as a tunnel needs it: WireGuard that is up, a peer whose AllowedIPs cover `remote`, a session."""

import time
from typing import List, Tuple

from l2wg_hooks.check import endpoint_dns, wg_quick_hooks
from l2wg_hooks.check.cause import LARGE, NOTHING, QUIET, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.config import endpoint_names, wg_quick
from l2wg_hooks.encapsulation import headers
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.probes import path_mtu
from l2wg_hooks.system import files, ip_routes

CAUSES = (
    Cause(
        "underlay-absent",
        NOTHING,
        "The WireGuard interface is not there.",
        "`wg-quick up wg0`, and `systemctl enable wg-quick@wg0` for the next boot.",
    ),
    Cause(
        "underlay-down",
        NOTHING,
        "The WireGuard interface is there, but down.",
        "`wg-quick down wg0; wg-quick up wg0`, which also brings back its routes.",
    ),
    Cause(
        "no-handshake",
        NOTHING,
        "WireGuard has never reached the peer: wrong public key on one side, wrong endpoint, a closed UDP port, or the "
        "peer is not up.",
        "Compare the public keys (`wg show`), the endpoint and the peer's ListenPort; let that UDP port in there.",
    ),
    Cause(
        "handshake-old",
        QUIET,
        "WireGuard reached the peer once, but gets no answer now: it is down, or has another address.",
        "See to the peer and its line; a side behind NAT needs `PersistentKeepalive = 25`.",
    ),
    Cause(
        "allowed-ips",
        NOTHING,
        "AllowedIPs of no peer cover `remote`: WireGuard drops the tunnel's packets, both ways.",
        "Add `remote` to the AllowedIPs of that peer; the line and the command are printed.",
    ),
    Cause(
        "wg-fragments",
        LARGE,
        "WireGuard's full-size packets do not fit the interface that they leave by, so each travels in two pieces: "
        "slow, and lost "
        "wherever fragments are dropped.",
        "`MTU = N` in [Interface] of its file, as printed; or, in one of wg-quick's, no such line: wg-quick computes it.",
    ),
)
# What WireGuard adds to a packet: its header and authentication tag (its paper, 5.4.6), UDP and IP.
WIREGUARD = 32 + headers.UDP
# Seconds after which a peer has answered: what it has got, by an empty packet after 10, KEEPALIVE_TIMEOUT of the paper; where it
# has restarted and knows the session no more, the handshake that this side begins REKEY_TIMEOUT later.
ANSWER = 15
# Seconds for WireGuard to shake hands once there is something to send; and for a peer to say anything at all, at the latest.
SESSION_PATIENCE, ANSWER_PATIENCE = 3, ANSWER + 1.5
# Bytes that the smallest question makes WireGuard send; empty packets, which nobody answers, have 32.
QUESTION = 128


def absent(tunnel, link, has_file):
    """The Problem of an underlay that is not there (`link` is None) or down; None where it is up."""
    name = tunnel.underlay
    if tunnel.walled and (link is None or not link.up):
        state = "is not there" if link is None else "is down"
        return tunnel.problem("underlay", f"the WireGuard interface {name} {state}", "l2wg apply", "underlay-absent")
    if link is None:
        hint = f"wg-quick up {name} # and for the next boot: systemctl enable wg-quick@{name}"
        if not has_file:
            hint = f"there is no /etc/wireguard/{name}.conf: make it, or name one that you have (wg show interfaces)"
        return tunnel.problem("underlay", f"the WireGuard interface {name} is not there", hint, "underlay-absent")
    if not link.up:
        # Down and up again by wg-quick: whoever took it down took its routes along.
        hint = f"wg-quick down {name}; wg-quick up {name}" if has_file else f"ip link set dev {name} up"
        return tunnel.problem("underlay", f"{name} is down", hint, "underlay-down")
    return None


def covering(interface, address):
    """[(prefix length, Peer)] of the peers whose AllowedIPs cover `address`, the one that gets its packets first."""
    found: List[Tuple[int, wg_interfaces.Peer]] = []
    for network, peer in interface.cover.covering(address):
        if not any(peer is known for _, known in found):
            found.append((network.prefixlen, peer))
    return found


def uncovered(tunnel, end, interface):
    """The Problem of an End whose packets WireGuard drops: it takes and sends only what AllowedIPs of a peer cover."""
    if covering(interface, end.remote):
        return None
    bits = 32 if tunnel.family == 4 else 128
    message = f"AllowedIPs of no peer of {tunnel.underlay} cover {end.remote}: WireGuard drops what comes from there"
    if not interface.peers:
        hint = f"{tunnel.underlay} has no peer at all: write a [Peer] section into /etc/wireguard/{tunnel.underlay}.conf"
        return tunnel.problem("remote", message, hint, "allowed-ips")
    # Of several peers only the admin knows the right one.
    peer = interface.peers[0] if len(interface.peers) == 1 else None
    words = (list(peer.allowed) if peer else ["..."]) + ["%s/%d" % (end.remote, bits)]
    which = "the [Peer] section" if peer else "the right [Peer] section"
    hint = "in {} of /etc/wireguard/{}.conf: AllowedIPs = {}".format(which, tunnel.underlay, ", ".join(words))
    if peer:
        now = "wg set {} peer {} allowed-ips {}".format(tunnel.underlay, peer.key, ",".join(words))
        now = "l2wg apply" if tunnel.walled else now
        hint += f" # and now: {now}"
    return tunnel.problem("remote", message, hint, "allowed-ips")


def silent(tunnel, end, interface, now):
    """The Problem of the peer that WireGuard has no session with; None where it has one, or no such peer."""
    rows = covering(interface, end.remote)
    if not rows or wg_interfaces.alive(rows[0][1], now):
        return None
    length, peer = rows[0]
    who = f"the peer {peer.key} of {tunnel.underlay}"
    # Longest prefix wins, which is easily not the one that is meant.
    others = [other for _, other in rows[1:] if wg_interfaces.alive(other, now)]
    extra = ""
    if others:
        extra = "; %s also has %s, in a shorter prefix than /%d, and is there" % (others[0].key, end.remote, length)
    if not peer.handshake:
        hint = "compare public keys ({}wg show {}) and ports; its firewall has to let in the UDP port of {}".format(
            "l2wg exec " if tunnel.walled else "",
            tunnel.underlay,
            peer.endpoint or "its ListenPort",
        )
        if not peer.endpoint:
            hint = "no Endpoint is known here, so it has to call; UDP port %d of this router has to be open" % interface.port
        return tunnel.problem("remote", f"{who} has never answered{extra}", hint, "no-handshake")
    minutes = max(0, now - peer.handshake) // 60
    message = "%s does not answer; it did %d minutes ago%s" % (who, minutes, extra)
    return tunnel.problem("remote", message, _still(peer), "handshake-old")


def _still(peer):
    return "is it up, and still at %s? A side behind NAT needs PersistentKeepalive = 25" % (peer.endpoint or "its endpoint")


def unanswered(tunnel, end, before, interface):
    """The Problem of the peer that was asked something since `before`, an earlier Interface, and sent nothing back.

    Its session looks alive for three minutes after it has gone. WireGuard answers, whatever it is, within ANSWER seconds.
    """
    rows = covering(interface, end.remote)
    old = before.by_key.get(rows[0][1].key) if rows else None
    if old is None:
        return None
    peer = rows[0][1]
    if peer.received != old.received or peer.sent < old.sent + QUESTION:
        return None
    message = f"the peer {peer.key} of {tunnel.underlay} no longer answers: it was asked, and nothing has come"
    return tunnel.problem("remote", message, _still(peer), "handshake-old")


def fragmented(tunnel, link, family, leaves, room):
    """The Problem of an underlay (a Link) whose full-size packets do not fit `room`, the MTU of the interface `leaves`.

    `family` is that of the endpoint's address.
    """
    over = headers.IP[family] + WIREGUARD
    if link.mtu + over <= room:
        return None
    return tunnel.problem(
        "underlay",
        "the MTU of %s is %d, and %s carries %d bytes: with WireGuard's %d, full-size packets leave in two pieces"
        % (link.name, link.mtu, leaves, room, over),
        path_mtu.cure(tunnel, room - over),
        "wg-fragments",
    )


def _wg_quick(name):
    """The text of a WireGuard interface's wg-quick file; "" where there is none, or it cannot be read, as _boot tells."""
    try:
        return files.text(wg_quick.path(name))
    except L2wgError:
        return ""


def _allowed(scene):
    for tunnel, end, interface in [(over[0], end, over[1]) for over in scene.over() for end in over[0].ends()]:
        problem = uncovered(tunnel, end, interface)
        if problem and wg_quick_hooks.is_rewritten(_wg_quick(tunnel.underlay)):
            hint = problem.hint + " # SaveConfig = true: the command alone, since wg-quick rewrites the file"
            problem = problem._replace(hint=hint)
        yield problem


def _outer(scene):
    """WireGuard's own packets."""
    asked = []
    for tunnel, end, interface in scene.peers():
        rows = covering(interface, end.remote)
        address = rows[0][1].endpoint.rpartition(":")[0].strip("[]") if rows else ""
        if address and "%" not in address:
            asked.append((tunnel, address))
    lines = {address: f"route get {address}" for _, address in asked}
    routes = dict(zip(lines, ip_routes.many(lines.values())))
    for tunnel, address in asked:
        family, found = 6 if ":" in address else 4, routes[address]
        device = scene.links.get(found[0].get("dev", "")) if found else None
        if device is None or device.name == tunnel.underlay:
            continue
        own = [metric["mtu"] for metric in found[0].get("metrics", []) if metric["mtu"]]
        yield fragmented(tunnel, scene.links[tunnel.underlay], family, device.name, min(own + [device.mtu]))


def _session(scene):
    """Read after the sounding, which gives WireGuard something to send."""
    if scene.thread is not None:
        scene.thread.join()
    late = time.monotonic() + SESSION_PATIENCE
    peers = [(tunnel, end) for tunnel, end, _ in scene.peers() if scene.links[tunnel.underlay].up]
    while True:
        known = {name: wg_interfaces.look(name) for name in {tunnel.underlay for tunnel, _ in peers}}
        now = int(time.time())
        found = [(tunnel, end, known[tunnel.underlay]) for tunnel, end in peers if known[tunnel.underlay]]
        quiet = [row + (silent(*row, now=now),) for row in found]
        quiet = [row for row in quiet if row[3]]
        if not quiet or scene.passive or time.monotonic() > late:
            break
        time.sleep(0.2)
    yield from _silent(quiet, scene)
    told = {row[1] for row in quiet}
    if not scene.passive:
        yield from _silent(_unanswered([row for row in peers if row[1] not in told], scene), scene)


def _silent(rows, scene):
    for tunnel, end, interface, problem in rows:
        peer = covering(interface, end.remote)[0][1]
        # By its name nobody has to guess why.
        yield _stale(tunnel, peer, scene) or problem


def _unanswered(peers, scene):
    """[(Tunnel, End, Interface, Problem)] of peers that look alive, but answer nothing, not even what no firewall forbids.

    `peers` are (Tunnel, End).
    """
    heard, before = scene.heard, scene.before
    asked = [(tunnel, end) for tunnel, end in peers if before.get(tunnel.underlay)]
    mute = [(tunnel, end) for tunnel, end in asked if heard.small.get(end) is False and not heard.near.get(end)]
    rows = []
    while mute:
        known = {name: wg_interfaces.look(name) for name in {tunnel.underlay for tunnel, _ in mute}}
        there = [(tunnel, end, known[tunnel.underlay]) for tunnel, end in mute if known[tunnel.underlay]]
        rows = [(tunnel, end, now, unanswered(tunnel, end, before[tunnel.underlay], now)) for tunnel, end, now in there]
        rows = [row for row in rows if row[3]]
        if not rows or time.monotonic() > scene.began + ANSWER_PATIENCE:
            break
        mute = [row[:2] for row in rows]
        time.sleep(0.2)
    return rows


def _stale(tunnel, peer, scene):
    if scene.passive:
        return None
    name, port = endpoint_names.named(_wg_quick(tunnel.underlay)).get(peer.key, ("", ""))
    if not name:
        return None
    addresses = scene.once(("dns", name), lambda: endpoint_dns.resolve(name))
    return endpoint_dns.judge(tunnel, peer, name, port, addresses)


CHECKS = (
    Check("AllowedIPs", _allowed),
    Check("WireGuard's packets", _outer),
    Check("WireGuard's session", _session, asked=True),
)
