"""This router as others need to know it: what goes into its card, and what it has for a tunnel. It looks and changes nothing."""

import ipaddress
import os
import re
from typing import NamedTuple, Tuple

from l2wg_hooks.config import card, ifupdown_files, own_wire, site_record, store, wg_quick, wg_quick_peers, wg_quick_readers
from l2wg_hooks.errors import Problem, fail
from l2wg_hooks.observe import needed_elsewhere, wg_interfaces
from l2wg_hooks.pairing import negotiate, ports, site
from l2wg_hooks.system import files, ip_routes, log, process, resolver

NIXOS = "/etc/NIXOS"
# Nobody is there (RFC 5737, RFC 3849); the kernel only says which way it would go.
ELSEWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}


class Facts(NamedTuple):
    """`underlay` is the WireGuard interface, `up` whether it is there now, `text` its wg-quick file or None.

    `port` is its UDP port, 0 where it takes another one at each start; `hints` say what would make the card better.
    `walled` is whether l2wg makes it.
    """

    card: card.Card
    underlay: str
    up: bool
    text: str
    port: int
    hints: Tuple[Problem, ...] = ()
    walled: bool = False


def is_nixos():
    """Whether files under /etc belong to a configuration that is elsewhere."""
    return os.path.exists(NIXOS)


def wireguards():
    """The names of all WireGuard interfaces of this router: those that have a file, and those that are there."""
    return sorted(set(wg_quick.names()) | set(process.output("wg", "show", "interfaces").split()))


def underlay(wanted=""):
    """The WireGuard interface that is meant. Raises L2wgError where there is none, or any of several may be.

    Of several, it is the one of l2wg's own, which carries nothing but tunnels, unless tunnels go by others, too.
    """
    if wanted:
        return wanted
    found = wireguards()
    if not found:
        fail("there is no WireGuard interface on this router", "make one: l2wg init")
    if len(found) > 1:
        own = [name for name in found if is_walled(name, {}, files.text(wg_quick.path(name), None))]
        if len(own) == 1 and {tunnel.underlay for tunnel in store.load().tunnels} <= set(own):
            log.say("of {}, {} is meant: it is for tunnels alone. Another one: --underlay WG".format(", ".join(found), own[0]))
            return own[0]
        fail("this router has several WireGuard interfaces: {}".format(", ".join(found)), f"name one: --underlay {found[0]}")
    return found[0]


def look(name, links):
    """The Facts of this router and its WireGuard interface `name`. Raises L2wgError where there is not enough for a card."""
    where = wg_quick.path(name)
    text = files.text(where, None)
    live = wg_interfaces.look(name) if name in links else None
    known = site.load()
    has = links[name].addresses if live else wg_quick_peers.interface_values(text or "", "address")
    addresses = [address.partition("/")[0] for address in has]
    shared = _of_hubs(name) if live else ()
    addresses = [address for address in addresses if address not in shared] or addresses
    port = live.port if live else 0
    written = wg_quick_peers.interface_values(text, "listenport") if text is not None else [str(port)]
    fixed = written[-1:] and written[-1].isdigit()
    port = int(written[-1]) if fixed else 0
    called, hints = endpoint(known.endpoint, port)
    network, joined = lan(name, links)
    found = card.Card(
        known.name,
        live.key if live else _public(name, text),
        called,
        tuple(_first_of_each_family(addresses)),
        network,
        known.encapsulation,
        known.key,
        known.mtu,
        joined,
    )
    if not found.addresses:
        answer = wg_quick_readers.ask(name, text)
        hint = "give it one: a line `Address = ...` in its [Interface] section"
        if not answer.quick:
            # wg(8) takes no such line.
            start = answer.start(name)
            hint = "bring it up first, or give it one where it is brought up%s" % (": " + start if start else "")
        fail(f"{name} has no address", hint, path=where)
    try:
        card.check(found)
    except card.Refused as error:
        fail(*error.args)
    return Facts(found, name, bool(live), text, port, hints, is_walled(name, links, text))


def _of_hubs(name):
    """The addresses of a WireGuard interface that two hubs have, beside its own: these are no site's."""
    found = {address for underlay, _, address in site_record.read().addresses if underlay == name}
    net = store.load().net
    return found | {net.lines.net.hub_address} if net is not None and net.lines.net is not None else found


def is_walled(name, links, text):
    """Whether l2wg makes this WireGuard interface: as a tunnel says, or where it is, or the `text` of its file, or None."""
    wires = store.wires(name)
    if wires or name in links:
        return "own" in wires or bool(not wires and links[name].namespace)
    return own_wire.is_marked(text)


def _public(name, text):
    """The public key of a file's private one, which goes by standard input: arguments are everybody's to read."""
    if text is None:
        how = "--shared " if wg_quick.is_usual(name) else ""
        fail(f"there is no WireGuard interface {name}, and no {wg_quick.path(name)}", f"make both: l2wg init {how}{name}")
    private = wg_quick_peers.interface_values(text, "privatekey")
    if not private:
        start = wg_quick_readers.ask(name, text).start(name)
        hint = "bring up {} first, if the key is set elsewhere{}".format(name, ": " + start if start else "")
        fail("has no PrivateKey", hint, path=wg_quick.path(name))
    result = process.run(("wg", "pubkey"), private[-1] + "\n")
    if result.code:
        fail("its PrivateKey is none", "wg genkey makes one", path=wg_quick.path(name))
    return result.out.strip()


def _first_of_each_family(addresses):
    seen = set()
    for address in addresses:
        try:
            family = ipaddress.ip_address(address).version
        except ValueError:
            continue
        if family not in seen:
            seen.add(family)
            yield address


def endpoint(known, port):
    """(HOST:PORT or "", hints): how others call this router, from what the admin has said, or a global address on the way out."""
    if known == "none":
        return "", ()
    if known and not re.search(r":[0-9]{1,5}\Z", known):
        known = "%s:%d" % (known, port) if port else ""
        if not known:
            hint = "a line `ListenPort = 51820` in its [Interface] section, or l2wg card --endpoint HOST:PORT"
            return "", (Problem("WireGuard takes another port at each start, so nobody can call this router", hint),)
    if known:
        return known, ()
    for family in (4, 6) if port else ():
        source = _source(family)
        if source and ipaddress.ip_address(source).is_global:
            return "%s:%d" % (site.bracketed(source), port), ()
    hint = "if others can reach it: l2wg card --endpoint HOST. It is enough if the other site can be called"
    return "", (Problem("the card has no endpoint: this router does not know how it is called from outside", hint),)


def _source(family):
    """The address by which this router would go out; "" where it would not."""
    found = ip_routes.show("route", "get", ELSEWHERE[family])
    return found[0].get("prefsrc", "") if found else ""


def needed(other, called, live, sections):
    """[negotiate.Needed] of all that this router has to reach outside the tunnel.

    `called` are the addresses of the other site's endpoint, `live` is the wg_interfaces.Interface or None.
    """
    found = [(address, f"where {other.name} is to be called") for address in called]
    for peer in live.peers if live else ():
        found.append((peer.endpoint.rpartition(":")[0].strip("[]"), f"where the peer {peer.key} is called"))
    for section in sections:
        host = section.endpoint.rpartition(":")[0].strip("[]")
        # Of one that is up, WireGuard has the address itself.
        known = live and any(peer.key == section.key and peer.endpoint for peer in live.peers)
        found += [(address, f"where the peer {section.key} is called") for address in ([] if known else resolved(host))]
    found += [(address, needed_elsewhere.GATEWAY) for address in needed_elsewhere.gateways()]
    found += [(address, needed_elsewhere.LOGIN) for address, _ in needed_elsewhere.logins()]
    found += [(address, needed_elsewhere.RESOLVER) for address in needed_elsewhere.resolvers()]
    found = [(address.partition("%")[0], reason) for address, reason in found]
    return [negotiate.Needed(*row) for row in found if _is_address(row[0])]


def resolved(host):
    """The addresses of a host, or of an address itself; none where nobody knows it."""
    return sorted({address.partition("%")[0] for address in resolver.addresses(host)}) if host else []


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def way(addresses, underlay):
    """{address: the interface by which WireGuard's own packets to it go now}, with the mark that wg-quick(8) gives them."""
    mark = process.output("wg", "show", underlay, "fwmark").strip()
    words = ("mark", mark) if re.match(r"0x[0-9a-f]{1,8}\Z", mark) else ()
    found = {}
    for address in addresses:
        text = process.output("ip", "-6" if ":" in address else "-4", "route", "get", address, *words)
        found[address] = (re.findall(r" dev (\S+)", text) or [""])[0]
    return found


def elsewhere(address, underlay):
    """The routes to an address that are not by `underlay`, without default ones: lines of `ip route`."""
    lines = process.output("ip", "-6" if ":" in address else "-4", "route", "show", "match", address).splitlines()
    return [line.strip() for line in lines if not line.startswith("default") and f" dev {underlay} " not in line + " "]


def gates():
    """The interfaces by which a default route goes."""
    found = set()
    for family in ("-4", "-6"):
        for line in process.output("ip", family, "route", "show", "default").splitlines():
            words = line.split()
            if "dev" in words[:-1]:
                found.add(words[words.index("dev") + 1])
    return found


def lan(name, links):
    """(the network of this site's LAN, whether its bridge is one that tunnels join); ("", None) where there is none.

    None stands for what cannot be told. A tunnel's bridge comes before other bridges, and these before all else.
    """
    wished = store.load().tunnels
    joins = {tunnel.bridge for tunnel in wished}
    outside = gates() | ports.guests(links, ifupdown_files.read()) | {name, "lo"}
    inside = (link for link in links.values() if link.name not in outside)
    for link in sorted(inside, key=lambda link: (link.name not in joins, link.kind != "bridge", link.ifindex)):
        if link.kind == "wireguard":
            continue
        for address in link.addresses:
            network = ipaddress.ip_interface(address).network
            if network.version == 4 and not network.is_link_local and network.prefixlen < 32:
                # Before there is a tunnel, it would be a bridge that it joins, but which of several nobody knows.
                if wished or link.kind != "bridge":
                    return str(network), link.name in joins
                return str(network), None if len(bridges(links, ifupdown_files.read(), wished)) > 1 else True
    return "", None


def bridges(links, defined, tunnels):
    """The bridges that a LAN may be behind: those of tunnels, else of interfaces(5), else of the kernel."""
    by_wish = {tunnel.bridge for tunnel in tunnels}
    by_admin = {stanza.interface for stanza in defined.stanzas if any(key == "bridge-ports" for key, _ in stanza.options)}
    by_kernel = {link.name for link in links.values() if link.kind == "bridge"} - ports.guests(links, defined)
    return sorted(by_wish or by_admin or by_kernel)


def free_ports(links, defined):
    """(the Ethernet ports that nobody uses, {each other one: what it is used for})."""
    found = {name: ports.use(name, links[name].addresses, defined) for name in sorted(links) if ports.is_hardware(name)}
    return [name for name in found if not found[name]], {name: use for name, use in found.items() if use}
