"""Nets of any size, made up: the text of their file of sites, and what it comes to at each site."""

import base64
import hashlib

from l2wg_hooks.config import card, site_faults, site_lines, site_tunnels

PATH = "/etc/l2wg/sites"
NO_HAND = site_tunnels.ByHand()


def key(number):
    """The public key of a site: nobody has the private one."""
    return base64.b64encode(hashlib.sha256(b"site %d" % number).digest()).decode()


def site(number, name="", **fields):
    """The Card of a site. Every third one cannot be called."""
    endpoint = "s%d.example.org:51820" % number if number % 3 == 0 else ""
    found = card.Card(name or "site%d" % number, key(number), endpoint, ("198.18.%d.%d" % divmod(number + 1, 256),))
    return found._replace(**fields)


def line(number, words="", name="", **fields):
    return f"{card.encode(site(number, name, **fields))} {words}".rstrip() + "\n"


def text(net, count, words=lambda number: ""):
    """A file of so many sites; the first one is site0."""
    return f"net {net}\n" + "".join(line(number, words(number)) for number in range(count))


def lines(text):
    return site_faults.between(site_lines.parse(text, PATH), PATH)


def part(found, number, wire=site_tunnels.Wire("wg0"), by_hand=NO_HAND):
    """The Part of a site, of its Lines or their text."""
    return site_tunnels.find(lines(found) if isinstance(found, str) else found, {key(number): wire}, by_hand, PATH)


def shown(tunnel):
    """A Tunnel as a line."""
    if tunnel.remotes:
        peers = "".join(f"    {peer.site} {' '.join(map(str, peer[:4]))}\n" for peer in tunnel.peers)
        return shown(tunnel._replace(remote=",".join(tunnel.remotes), remotes=(), peers=tunnel.peers[:1])) + peers
    if tunnel.has_hubs:
        rows = [shown(tunnel._replace(hub_address="", site=f"{peer.site} of {tunnel.hub_address}", peers=(peer,))) for peer in tunnel.peers]
        return "".join(rows)
    (peer,) = tunnel.peers
    words = [tunnel.name, tunnel.site, tunnel.underlay, tunnel.wire, tunnel.local, tunnel.remote, tunnel.bridge, ",".join(tunnel.bridge_ports) or "-"]
    words += [tunnel.encapsulation, tunnel.key, tunnel.mtu, tunnel.vlans, tunnel.dhcp, tunnel.storm_limit, "isolated" if tunnel.isolated else "open"]
    return " ".join(map(str, words + [peer.key, ",".join(peer.allowed), peer.endpoint or "-", peer.keepalive])) + "\n"
