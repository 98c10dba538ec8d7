"""The joined LAN as this router sees it: its bridge, who else has its addresses, and who hands out leases."""

import ipaddress
from functools import partial

from l2wg_hooks import model
from l2wg_hooks.check import modules, prober, underlay
from l2wg_hooks.check.cause import LARGE, LEASE, NOTHING, OPEN, QUIET, REACH, STORM, Cause
from l2wg_hooks.check.scene import Check, Idle, Unlooked, listed
from l2wg_hooks.config import bridge_switches, ifupdown_bridge, ifupdown_files
from l2wg_hooks.plan import link_index
from l2wg_hooks.system import files

CAUSES = (
    Cause(
        "bridge-answers",
        OPEN,
        "A bridge that you define has no address, but is an interface of this router: it answers ARP for all of the router's "
        "addresses, forwards, and is configured by router advertisements of either site.",
        "A file in /etc/sysctl.d, which udev has read whenever the bridge is made: the command is printed. A bridge that l2wg "
        "defines (`bridge-ports`) is kept from it.",
    ),
    Cause("bridge-down", NOTHING, "The bridge is there, but down: it passes no frames.", "`ip link set dev br0 up`."),
    Cause(
        "port-blocked",
        NOTHING,
        "The tunnel is a port of its bridge, but passes no frames yet: STP listens and learns; or it is disabled.",
        "Wait twice the bridge's forward delay, 30 s. A port that STP blocks is not a fault: `bridge link show dev gretap1`.",
    ),
    Cause(
        "bridge-mtu",
        LARGE,
        "The bridge has shrunk: a port with a small MTU has joined, and may have gone since.",
        "Give that port the LAN's MTU, or the tunnel the port's. Then set the bridge's, twice, since setting the value that it "
        "has does not count: `ip link set dev br0 mtu 1499; ip link set dev br0 mtu 1500`.",
    ),
    Cause(
        "bridge-mac",
        QUIET,
        "The bridge has its Ethernet address from a tunnel and gets another one as soon as a port joins: whoever talks "
        "to its IP address is "
        "cut off until ARP has forgotten the old one.",
        "Pin it: `ip link set dev br0 address ...`; for good, `hwaddress` in its stanza.",
    ),
    Cause(
        "dhcp-two-servers",
        LEASE,
        "Two DHCP servers answer on the joined LAN, one on either side of the tunnel, and a device takes whichever is quicker.",
        "Turn one off, or keep DHCP at home: `l2wg set gretap1 dhcp=block; l2wg apply`, on both routers.",
    ),
    Cause(
        "dhcp-twice",
        STORM,
        "One DHCP server's answer to one question arrives by two ports: there is a second way between the sites.",
        "Find and cut it, or have both bridges speak STP.",
    ),
    Cause(
        "duplicate-address",
        REACH,
        "Another machine on the joined LAN has an address of this router, or two have the gateway's.",
        "Give one of them another address; both sites' routers often are .1 when two LANs become one.",
    ),
    Cause(
        "subnet-twice",
        REACH,
        "Both sites use the same subnet, on different segments: this router has it on an interface that is not the bridge.",
        "Renumber one of them, or make that interface a port of the bridge.",
    ),
)
# net/core/net-sysfs.c, /sys/class/net/*/addr_assign_type: somebody has set it (NET_ADDR_SET).
SET = "3"


def shrunk(tunnel, bridge, members):
    """The Problem of a bridge whose MTU is below that of all its ports, or of the tunnel; None where it is not.

    `members` are the Links of its ports.
    """
    ports = [link for link in members if not model.is_ours(link)]
    others = [link.mtu for link in ports]
    want = min(others) if others else tunnel.mtu
    small = sorted(link.name for link in ports if link.mtu < tunnel.mtu)
    if small and bridge.mtu < tunnel.mtu:
        return _narrow(tunnel, bridge, small, min(others))
    if bridge.mtu >= want:
        return None
    expected = "its ports have %d" % want if others else "mtu = %d is wished for" % want
    return tunnel.problem(
        "bridge",
        "the MTU of %s has shrunk to %d, and %s: this router sends and takes no larger packets on it"
        % (bridge.name, bridge.mtu, expected),
        "ip link set dev %s mtu %d; ip link set dev %s mtu %d" % (bridge.name, want - 1, bridge.name, want),
        "bridge-mtu",
    )


def _narrow(tunnel, bridge, small, least):
    """The Problem of ports that take less than the tunnel: the bridge has got the MTU of the smallest one."""
    larger = "".join("ip link set dev %s mtu %d; " % (name, tunnel.mtu) for name in small)
    larger += "ip link set dev %s mtu %d; ip link set dev %s mtu %d" % (bridge.name, tunnel.mtu - 1, bridge.name, tunnel.mtu)
    return tunnel.problem(
        "bridge",
        "the MTU of %s has shrunk to %d, since its port %s has %d: this router sends no larger packets on it, larger frames "
        "do not leave by that port, and mtu = %d is wished for" % (bridge.name, bridge.mtu, ", ".join(small), least, tunnel.mtu),
        "%s # or, if that port has no more, on both routers: l2wg set %s mtu=%d; l2wg apply" % (larger, tunnel.name, least),
        "bridge-mtu",
    )


def unpinned(tunnel, bridge, members, assigned):
    """The Problem of a bridge with IP addresses that has its Ethernet address from a tunnel.

    `members` are the Links of its ports, `assigned` is its addr_assign_type.
    """
    given = [link.name for link in members if model.is_ours(link) and link.mac == bridge.mac]
    if not given or assigned == SET or not bridge.addresses:
        return None
    own = bridge.addresses[0].partition("/")[0]
    return tunnel.problem(
        "bridge",
        f"{bridge.name} has its Ethernet address {bridge.mac} from {given[0]}: with the next port it gets another one, and "
        f"whoever talks to {own} is cut off",
        f"ip link set dev {bridge.name} address {bridge.mac} # and for good, where it is defined: hwaddress {bridge.mac}",
        "bridge-mac",
    )


def heard(tunnel, links, value):
    """The Problem of a bridge of the admin's that has no address, and is an interface of this router all the same.

    `value` gives the number of a switch of it, such as ("ipv4", "arp_ignore"), None where the kernel has no such thing.
    """
    name = tunnel.bridge
    if [address for address in links[name].addresses if address not in links[name].autoconfigured]:
        return None
    facts = []
    if value("ipv4", "arp_ignore") == 0:
        facts.append("answers ARP for every address of this router")
    if not value("ipv4", "rp_filter") and value("ipv4", "forwarding"):
        facts.append("forwards what is sent to its Ethernet address")
    if links[name].autoconfigured:
        facts.append(f"has {links[name].autoconfigured[0]} from a router advertisement")
    elif value("ipv6", "disable_ipv6") == 0 and (value("ipv6", "accept_ra") or 0) > (value("ipv6", "forwarding") or 0):
        facts.append("takes an IPv6 address and a default route from any router advertisement")
    if not facts:
        return None
    words = "".join(f"net/{switch % name}={values[0]}\\n" for switch, values in bridge_switches.SILENT.items())
    path = f"/etc/sysctl.d/70-{name}.conf"
    return tunnel.problem(
        "bridge",
        "{} has no address, but is an interface of this router to the other site's hosts: it {}".format(
            name, ", and ".join(facts)
        ),
        # udev has systemd-sysctl(8) read it whenever the bridge is made anew.
        f"printf '{words}' >{path}; sysctl -e -p {path} # if it is to have no address",
        "bridge-answers",
    )


def down(tunnel, links):
    """The Problem of a bridge that is down."""
    if links[tunnel.bridge].up:
        return None
    return tunnel.problem("bridge", f"{tunnel.bridge} is down", f"ip link set dev {tunnel.bridge} up", "bridge-down")


def blocked(tunnel, links):
    """The Problem of a tunnel that is a port of its bridge, and passes no frames, though both are up.

    What STP blocks is none: there is a second way, and STP is there for that.
    """
    link, bridge = links.get(tunnel.name), links[tunnel.bridge]
    if link is None or link.master != bridge.name or not (link.up and bridge.up) or link.port_state in ("", "forwarding"):
        return None
    if bridge.stp and link.port_state == "blocking":
        return None
    message = f"{bridge.name} passes no frames to {link.name}: its state is {link.port_state}"
    hint = f"bridge link show dev {link.name} # who has changed it?"
    if bridge.stp:
        hint = f"wait: STP listens and learns for twice the forward delay, 30 s; then: bridge link show dev {link.name}"
    return tunnel.problem("bridge", message, hint, "port-blocked")


def duplicates(tunnel, asked, answers, own):
    """Problems of the addresses of `asked` that the Answers show in the wrong hands.

    `asked` maps an address to whether it is this router's; `own` are the Ethernet addresses of its interfaces.
    """
    for address, ours in asked.items():
        by = sorted({(answer.mac, answer.port) for answer in answers if answer.address == address and answer.mac not in own})
        machines = sorted({mac for mac, _ in by})
        if ours and by:
            mac, port = by[0]
            message = f"{mac} also has {address}, the address of this router's {tunnel.bridge}: it answers by {port}"
        elif len(machines) > 1:
            message = "two machines have the gateway's address {}: {}".format(
                address, ", ".join("{} by {}".format(*row) for row in by)
            )
        else:
            continue
        hint = "give one of them another address; who it is: ip neighbour, and the lists of both sites' DHCP servers"
        yield tunnel.problem("bridge", message, hint, "duplicate-address")


def refused(tunnel, addresses):
    """Problems of the IPv6 addresses that the kernel has not taken for the bridge, since somebody has them."""
    for address in addresses:
        message = f"another machine also has {address}: the kernel does not use it on {tunnel.bridge}"
        hint = f"give one of them another address; then: ip address del and add it on {tunnel.bridge}"
        yield tunnel.problem("bridge", message, hint, "duplicate-address")


def servers(tunnel, offers, tunnels):
    """Problems of the DHCP servers whose Offers are Answers: one a server and port. `tunnels` are the names of ours."""
    sides = {}
    for offer in offers:
        sides.setdefault(offer.address, set()).add(offer.port)
    for address in sorted(sides):
        if len(sides[address]) > 1:
            yield tunnel.problem(
                "bridge",
                "the DHCP server {} answers one question by {}: there is a second way between the sites".format(
                    address, " and by ".join(sorted(sides[address]))
                ),
                "find and cut that way, or have both bridges speak STP",
                "dhcp-twice",
            )
    by = {address: min(found) for address, found in sides.items()}
    # A pair of servers on one side is its admin's.
    if len(set(by.values())) > 1 and any(port in tunnels for port in by.values()):
        yield tunnel.problem(
            "dhcp",
            "%d DHCP servers answer on %s, %s: a device takes whichever is quicker"
            % (len(by), tunnel.bridge, " and ".join("{} by {}".format(*row) for row in sorted(by.items()))),
            f"l2wg set {tunnel.name} dhcp=block; l2wg apply # on both routers; or turn one of the servers off",
            "dhcp-two-servers",
        )


def subnets(links):
    """[(Link, [network])] of those that are up and have networks of more than one address: what `overlapping` looks at."""
    found = []
    for link in links.values():
        # A WireGuard's own network may well be a part of another one: so it is with every VPN of single addresses.
        if link.up and link.addresses and link.kind not in model.WIREGUARD_KINDS:
            networks = [ipaddress.ip_interface(word).network for word in link.addresses]
            found.append((link, [network for network in networks if network.prefixlen < network.max_prefixlen]))
    return found


def overlapping(tunnel, end, bridge, there, allowed):
    """The Problem of a subnet that is on the bridge or behind the peer, and on another interface.

    `bridge` is the Link of that or None, `there` what `subnets` gives, `allowed` are that peer's AllowedIPs.
    A tunnel's own subnet on its bridge is as it should be; so is a larger network behind the peer.
    """
    apart = (tunnel.bridge, tunnel.underlay, tunnel.name, "lo")
    remote = ipaddress.ip_address(end.remote)
    behind = [ipaddress.ip_network(word, strict=False) for word in allowed if "/" in word]
    behind = [
        prefix
        for prefix in behind
        if prefix.version == remote.version and remote in prefix and 0 < prefix.prefixlen < prefix.max_prefixlen
    ]
    joined = [ipaddress.ip_interface(word).network for word in (bridge.addresses if bridge else ())]
    if not joined and not behind:
        return None
    for link, networks in there:
        if link.name in apart or link.master == tunnel.bridge:
            continue
        for network in networks:
            same = [prefix for prefix in joined if prefix.version == network.version and prefix.overlaps(network)]
            same += [prefix for prefix in behind if prefix.version == network.version and prefix.subnet_of(network)]
            if same:
                where = f"on {tunnel.bridge}" if same[0] in joined else "behind the peer"
                message = f"{network} is on {link.name}, and also {where}"
                message += ": both sites use the same subnet, on different segments"
                hint = f"renumber one side; or, if they are to be one LAN, make {link.name} a port of {tunnel.bridge}"
                return tunnel.problem("bridge", message, hint, "subnet-twice")
    return None


def _bridge(scene):
    members = link_index.members(scene.links)
    for tunnel in scene.bridged():
        bridge, ports = scene.links[tunnel.bridge], members.get(tunnel.bridge, ())
        yield down(tunnel, scene.links)
        yield shrunk(tunnel, bridge, ports)
        yield unpinned(tunnel, bridge, ports, _assigned(tunnel.bridge))
    for tunnel in scene.tunnels:
        if tunnel.bridge in scene.links:
            yield blocked(tunnel, scene.links)


def _heard(scene):
    """Bridges that l2wg does not define; of its own, the plan says what they are to be."""
    defined = ifupdown_files.read()
    asked = {stanza.interface for stanza in defined.stanzas if stanza.addresses()} | set(
        ifupdown_bridge.ours(scene.tunnels, defined)
    )
    for tunnel in scene.bridged():
        if tunnel.bridge not in asked:
            yield heard(tunnel, scene.links, partial(_switch, tunnel.bridge))


def _switch(name, family, switch):
    """The number of a switch of an interface, of IPv4 the larger one of it and `all`; None where the kernel has no such thing."""
    names = (name, "all") if family == "ipv4" and switch != "forwarding" else (name,)
    found = [modules.sysctl("net", family, "conf", interface, switch) for interface in names]
    return max((int(value) for value in found if value.isdigit()), default=None)


def _assigned(name):
    return files.of_link(name, "addr_assign_type")


def _subnets(scene):
    there = subnets(scene.links)
    for tunnel, end, interface in scene.peers():
        rows = underlay.covering(interface, end.remote)
        yield overlapping(tunnel, end, scene.links.get(tunnel.bridge), there, rows[0][1].allowed if rows else ())


def _duplicates(scene):
    tunnels, heard = scene.bridged(), scene.heard
    own = {link.mac for link in scene.links.values()}
    for tunnel in tunnels:
        if tunnel.bridge in heard.mute:
            raise Unlooked(f"{tunnel.bridge}: {heard.mute[tunnel.bridge]}")
        asked = prober.asked(scene.links[tunnel.bridge], scene.gateways.get(tunnel.bridge, ()))
        yield from duplicates(tunnel, asked, heard.answers.get(tunnel.bridge, ()), own)
        yield from refused(tunnel, _failed(tunnel.bridge))


def _failed(name):
    """IPv6 addresses that the kernel gave up, since another machine has them (RFC 4862, 5.4)."""
    found = listed("-6", "address", "show", "dev", name, "dadfailed")
    return [address["local"] for link in found for address in link.get("addr_info", []) if address.get("dadfailed")]


def _dhcp(scene):
    tunnels = scene.bridged()
    asked, names = prober.offered(scene.tunnels), {tunnel.name for tunnel in scene.tunnels}
    if not any(tunnel.bridge in asked for tunnel in tunnels):
        raise Idle("dhcp = block")
    heard = scene.heard
    for tunnel in tunnels:
        if tunnel.bridge in asked:
            if tunnel.bridge in heard.mute:
                raise Unlooked(f"{tunnel.bridge}: {heard.mute[tunnel.bridge]}")
            yield from servers(tunnel, heard.offers.get(tunnel.bridge, ()), names)


CHECKS = (
    Check("bridge", _bridge, False),
    Check("bridge as an interface", _heard, False),
    Check("subnets", _subnets),
    Check("duplicate addresses", _duplicates, asked=True),
    Check("DHCP servers", _dhcp, asked=True),
)
