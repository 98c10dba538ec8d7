"""The underlay as a tunnel needs it: WireGuard that is up, a peer whose AllowedIPs cover `remote`, a session. Pure."""

from typing import List, Tuple

from l2wg_hooks.config.allowed_ips import AllowedIPs
from l2wg_hooks.encapsulation import headers
from l2wg_hooks.observe import wg_interfaces

# What WireGuard adds to a packet: its header and authentication tag (its paper, 5.4.6), UDP and IP.
WIREGUARD = 32 + headers.UDP
# Seconds after which a peer has answered: what it has got, by an empty packet after 10, KEEPALIVE_TIMEOUT of the paper; where it
# has restarted and knows the session no more, the handshake that this side begins REKEY_TIMEOUT later.
ANSWER = 15
# Bytes that the smallest question makes WireGuard send; empty packets, which nobody answers, have 32.
QUESTION = 128


def absent(tunnel, link, has_file):
    """The Problem of an underlay that is not there (`link` is None) or down; None where it is up."""
    name = tunnel.underlay
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


def covering(peers, address):
    """[(prefix length, Peer)] of those whose AllowedIPs cover `address`, the one that gets its packets first."""
    found: List[Tuple[int, wg_interfaces.Peer]] = []
    for network, peer in AllowedIPs(peers).covering(address):
        if not any(peer is one for _, one in found):
            found.append((network.prefixlen, peer))
    return found


def uncovered(tunnel, interface):
    """The Problem of a tunnel whose packets WireGuard drops: it takes and sends only what AllowedIPs of a peer cover."""
    if covering(interface.peers, tunnel.remote):
        return None
    bits = 32 if tunnel.family == 4 else 128
    message = f"AllowedIPs of no peer of {tunnel.underlay} cover {tunnel.remote}: WireGuard drops what comes from there"
    if not interface.peers:
        hint = f"{tunnel.underlay} has no peer at all: write a [Peer] section into /etc/wireguard/{tunnel.underlay}.conf"
        return tunnel.problem("remote", message, hint, "allowed-ips")
    # Of several peers only the admin knows the right one.
    peer = interface.peers[0] if len(interface.peers) == 1 else None
    words = (list(peer.allowed) if peer else ["..."]) + ["%s/%d" % (tunnel.remote, bits)]
    which = "the [Peer] section" if peer else "the right [Peer] section"
    hint = "in {} of /etc/wireguard/{}.conf: AllowedIPs = {}".format(which, tunnel.underlay, ", ".join(words))
    if peer:
        hint += " # and now: wg set {} peer {} allowed-ips {}".format(tunnel.underlay, peer.key, ",".join(words))
    return tunnel.problem("remote", message, hint, "allowed-ips")


def silent(tunnel, interface, now):
    """The Problem of the peer at `remote` that WireGuard has no session with; None where it has one, or no such peer."""
    rows = covering(interface.peers, tunnel.remote)
    if not rows or wg_interfaces.alive(rows[0][1], now):
        return None
    length, peer = rows[0]
    who = f"the peer {peer.key} of {tunnel.underlay}"
    # Longest prefix wins, which is easily not the one that is meant.
    others = [other for _, other in rows[1:] if wg_interfaces.alive(other, now)]
    extra = ""
    if others:
        extra = "; %s has %s, too, in a shorter prefix than /%d, and is there" % (others[0].key, tunnel.remote, length)
    if not peer.handshake:
        hint = "compare public keys (wg show {}) and ports; its firewall has to let in the UDP port of {}".format(
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


def unanswered(tunnel, before, interface):
    """The Problem of the peer at `remote` that was asked something since `before`, an earlier Interface, and sent nothing back.

    Its session looks alive for three minutes after it has gone. WireGuard answers, whatever it is, within ANSWER seconds.
    """
    rows = covering(interface.peers, tunnel.remote)
    old = next((one for one in before.peers if rows and one.key == rows[0][1].key), None)
    if old is None:
        return None
    peer = rows[0][1]
    if peer.received != old.received or peer.sent < old.sent + QUESTION:
        return None
    message = f"the peer {peer.key} of {tunnel.underlay} does not answer any more: it was asked, and nothing has come"
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
        "ip link set dev %s mtu %d; l2wg apply # on both routers; and for good, in [Interface] of "
        "/etc/wireguard/%s.conf: MTU = %d" % (link.name, room - over, link.name, room - over),
        "wg-fragments",
    )
