"""What is in the way of a tunnel that two cards make (config/terms.py), and what its admin has to know. Pure."""

import ipaddress
from typing import NamedTuple

from l2wg_hooks.config import store, wg_quick, wg_quick_peers
from l2wg_hooks.config.terms import KEEPALIVE
from l2wg_hooks.encapsulation import registry


def collision(agreed, other, underlay, links, sections):
    """(what is wrong, cure) where the other site's end is somebody else's here; None where it is not."""
    hint = f"give {other.name} another address inside WireGuard, and print its card anew"
    end = ipaddress.ip_address(agreed.remote)
    for link in links.values():
        for address in link.addresses:
            inside = ipaddress.ip_interface(address)
            if end == inside.ip:
                return f"{end}, the address of {other.name}, is this router's own ({link.name})", hint
            if end in inside.network and link.name != underlay:
                return f"{end}, the address of {other.name}, is in the network of {link.name} ({address})", hint
    for section in sections:
        if section.key != other.key and wg_quick_peers.owns(section.allowed, agreed.remote):
            who = "the peer {}{}".format(section.key, f" ({section.ours})" if section.ours else "")
            # Two sites may have the same name, and a card proves nothing: the old key goes by the admin's hand only.
            renewed = (
                f"wg set {underlay} peer {section.key} remove; sed -i 's|{section.key}|{other.key}|' "
                f"{wg_quick.path(underlay)} # if that is {other.name}, which has a new key; else "
            )
            return f"{who} has {agreed.remote} already", renewed + hint
    return None


class Needed(NamedTuple):
    """An address that this router has to reach outside the tunnel, and in words what for."""

    address: str
    reason: str


def misled(agreed, other, underlay, needed, sections, tunnels):
    """(what is wrong, cure) where what this router needs elsewhere would go into `underlay` with the other site's end.

    Its end is a route, and AllowedIPs, of that one address. None where nothing is wrong.
    """
    hint = f"give {other.name} another address inside WireGuard (Address in its wg0.conf), and print its card anew"
    end = ipaddress.ip_address(agreed.remote)
    for need in needed:
        if ipaddress.ip_address(need.address) == end:
            return f"{end}, the address of {other.name}, is {need.reason}, which would go into {underlay}", hint
    for tunnel in tunnels:
        is_there = tunnel.underlay == underlay and str(end) in tunnel.far_ends
        holder = wg_quick_peers.owner(sections, str(end)) if is_there else ""
        if holder not in ("", other.key):
            # Whoever has its AllowedIPs has the tunnel.
            message = "%s, the address of %s, is the far end of %s, which leads to the peer %s"
            return message % (end, other.name, tunnel.name, holder), hint
    return None


def unreachable(called, other, underlay, sections, links, way):
    """(what is wrong, cure) where WireGuard's own packets to `called`, the other site's endpoint, would go into it.

    `way` is {address: the interface by which such a packet goes now}. The kernel sends none over the interface that it comes
    from (wg_socket_send_skb_to_peer in drivers/net/wireguard/socket.c). None where nothing is wrong.
    """
    hint = f"l2wg card --endpoint HOST on {other.name}, with what it is called by from outside; then pair with that card"
    message = "%s, where %s is to be called, is reached through %s: WireGuard's own packets would go into the tunnel"
    for address in called:
        end = ipaddress.ip_address(address)
        networks = [(link.name, ipaddress.ip_interface(word)) for link in links.values() for word in link.addresses]
        own = [name for name, prefix in networks if prefix.ip == end]
        if own:
            return f"{end}, where {other.name} is to be called, is this router's own ({own[0]})", hint
        if way.get(address):
            if way[address] == underlay:
                return message % (end, other.name, underlay), hint
            continue
        # wg-quick(8) makes a route of each; that of 0.0.0.0/0 is not for WireGuard's own packets.
        led = wg_quick_peers.longest(sections, address)
        near = max(
            [prefix.network.prefixlen for name, prefix in networks if name != underlay and end in prefix.network], default=0
        )
        if led and led.network.prefixlen > near:
            reason = f"{underlay}, by AllowedIPs {led.network} of the peer {led.key}"
            remedy = f"take that network out of AllowedIPs of that peer in {wg_quick.path(underlay)}; or {hint}"
            return message % (end, other.name, reason), remedy
    return None


def moved(agreed, other, underlay, sections, elsewhere):
    """Sentences of who has had the other site's end until now: `elsewhere` are the routes to it that are not by `underlay`."""
    end = ipaddress.ip_address(agreed.remote)
    if wg_quick_peers.owner(sections, agreed.remote) == other.key:
        return
    led = wg_quick_peers.longest(sections, agreed.remote, least=0)
    if led:
        words = (end, led.network, led.key, other.name)
        yield "{} is also in AllowedIPs {} of the peer {}: the more specific one counts, so it goes to {}".format(*words)
    for route in elsewhere:
        yield f"this router has a route for {end} already ({route}): from now on {end} goes into {underlay}"
    if end.is_global:
        yield f"{end} is a public address: whoever has it on the internet can no longer be reached from this router"


def namesakes(other, underlay, sections, tunnels):
    """Sentences of peers with the other site's name that have another key: perhaps it had that one before."""
    for section in sections:
        if section.ours != other.name or section.key == other.key:
            continue
        theirs = [
            tunnel.name
            for tunnel in tunnels
            if tunnel.underlay == underlay and any(wg_quick_peers.covers(section.allowed, far) for far in tunnel.far_ends)
        ]
        files = " and ".join([f"its [Peer] in {wg_quick.path(underlay)}"] + [store.path(name) for name in theirs])
        yield (
            f"the peer {section.key} is also called {section.ours}. If that is its old key: delete {files}, then wg set "
            f"{underlay} peer {section.key} remove; l2wg apply"
        )


def notes(agreed, other, leads, links, tunnel=None, guests=()):
    """Sentences for the admin: what else there is between the two sites.

    `tunnel` is the one that there will be, `guests` are bridges that no LAN is behind.
    """
    if leads and (leads.local, leads.remote) != (agreed.local, agreed.remote):
        yield f"{leads.name} leads to {other.name} already, from {leads.local} to {leads.remote}; it stays as it is"
        theirs, ours = (agreed.encapsulation, agreed.number, agreed.mtu), (leads.encapsulation, leads.key, leads.mtu)
        for word, by_cards, here in zip(("encapsulation", "key", "mtu"), theirs, ours):
            if by_cards != here:
                yield f"its {word} is {here} here, and {by_cards} by the two cards: it has to be the same at both sites"
    if not other.lan:
        return
    lan = ipaddress.ip_network(other.lan)
    # Ports whose addresses move are the bridge's by then.
    joins = ((tunnel.bridge,) + tunnel.bridge_ports) if tunnel else ()
    for link in links.values():
        for address in link.addresses if link.name not in guests else ():
            mine = ipaddress.ip_interface(address).network
            if mine.version != lan.version:
                continue
            if link.name in joins:
                if mine != lan and other.joined is not False:
                    doubt = "" if other.joined else f"if {other.name} has that in its bridge, "
                    yield (
                        f"{link.name} has {mine}, and the LAN of {other.name} is {lan}: {doubt}both are on one wire, "
                        f"DHCP servers, too"
                    )
            elif mine.overlaps(lan):
                yield (
                    f"{link.name} has {mine}, as the LAN of {other.name}: no harm to the tunnel, but nobody can "
                    f"route between the two"
                )


def nix(agreed, other, underlay, called):
    """The same as options of NixOS; a card that was checked needs no escapes. `called`: whether others can call this site."""
    end = wg_quick_peers.host(agreed.remote)
    ways = f' endpoint = "{other.endpoint}";' if other.endpoint else ""
    ways += " persistentKeepalive = %d;" % KEEPALIVE if ways and not called else ""
    lines = [
        f"networking.wg-quick.interfaces.{underlay}.peers = [",
        f'  {{ publicKey = "{other.key}"; allowedIPs = [ "{end}" ];{ways} }} # {other.name}',
        "];",
        f"services.l2wg.tunnels.{agreed.encapsulation}1 = {{",
        f'  underlay = "{underlay}";',
        f'  local = "{agreed.local}";',
        f'  remote = "{agreed.remote}";',
        '  bridge = "br0"; # or which you have',
    ]
    lines += [f'  encapsulation = "{agreed.encapsulation}";'] if agreed.encapsulation != registry.DEFAULT else []
    lines += ["  key = %d;" % agreed.number] if agreed.number is not None else []
    lines += ["  mtu = %d;" % agreed.mtu] if agreed.mtu != 1500 else []
    return "\n".join(lines + ["};"])
