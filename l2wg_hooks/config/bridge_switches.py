"""What keeps a bridge that l2wg defines from being an interface of this router: the kernel's switches. Pure, but for `read`.

A bridge is also an interface, of a router that answers ARP for each of its addresses on all of them (RFC 1122, 3.3.4.2, the
weak host model), configures itself by any router advertisement, and forwards what is sent to its Ethernet address. One
without an address is meant as a switch: behind it are another site's hosts.
"""

from l2wg_hooks.typed import Dict, Tuple

# Our file of interfaces(5), which config/ifupdown.py makes.
FILE = "/etc/network/interfaces.d/l2wg"
# {switch: values that are right}, the first of which is set. Of those for IPv4 the larger of this one and conf/all counts.
SILENT = {
    # ARP only for an address of the bridge itself, also where somebody gives it one by hand.
    "ipv4/conf/%s/arp_ignore": ("1", "2", "3", "8"),
    # No sender is behind a bridge without address, so no IPv4 packet to its Ethernet address is taken, or forwarded.
    "ipv4/conf/%s/rp_filter": ("1", "2"),
    # Holds where somebody writes 0 to conf/all/disable_ipv6, which goes to all interfaces at once.
    "ipv6/conf/%s/accept_ra": ("0",),
    # No address by itself, no neighbour discovery or MLD, nothing taken or forwarded; what is there goes.
    "ipv6/conf/%s/disable_ipv6": ("1",),
}
# With `bridge-address`: the router has this one address there, and no other one, nor a router that others choose for it.
OWN = {
    "ipv4/conf/%s/arp_ignore": ("1", "2", "3", "8"),
    # Nor does it ask for somebody's Ethernet address in the name of another one, which all would learn.
    "ipv4/conf/%s/arp_announce": ("2",),
    "ipv6/conf/%s/accept_ra": ("0",),
}
# A bridge that has what was its port's, an admin's, or NixOS': what they make of it is theirs.
THEIRS: Dict[str, Tuple[str, ...]] = {}


def wanted(text):
    """{bridge: SILENT or OWN} of a text of FILE: what it says for the moment before a bridge is up holds ever after."""
    found, name = {}, ""
    for line in text.split("\n"):
        if line.startswith("iface "):
            name = "".join(line.split()[1:2])
        for switches in (SILENT, OWN):
            if line.strip() in lines(switches)[1:]:
                found[name] = switches
    return found


def changes(bridges, links, leaving=()):
    """Yield (bridge, command, reason) for what brings each of {name: Heard} to what is wanted."""
    for name, (switches, now) in sorted(bridges.items()):
        link = links.get(name)
        if link is None or link.kind != "bridge" or name in leaving:
            continue
        kept = [address for address in link.addresses if address not in link.autoconfigured]
        if switches is SILENT and kept:
            # Somebody has given it by hand, and may be logged in by it.
            switches = {switch: values for switch, values in SILENT.items() if switch in OWN}
        wrong = {switch: values[0] for switch, values in switches.items() if now.get(switch, values[0]) not in values}
        if wrong:
            reason = "without an address it is a switch, no interface of this router"
            if switches is not SILENT:
                reason = "it answers for its own addresses only, and gets none from a router"
            yield name, command(name, wrong), reason


def command(name, values):
    """The command that sets the switches of a bridge to {switch: value}. With slashes, a dot in the name is one."""
    return ("sysctl", "-qw") + tuple(f"net/{switch % name}={values[switch]}" for switch in values)


def undone(before, after, now, default):
    """{switch: value} that gives back the switches which were wanted `before` and are not `after`, as far as they are ours.

    `now` and `default` are {switch: value} of the bridge and of an interface that is new.
    """
    ours = [switch for switch in before if switch not in after and now.get(switch) == before[switch][0]]
    return {switch: default[switch] for switch in ours if default.get(switch, now[switch]) != now[switch]}


def lines(switches):
    """The lines of interfaces(5) that do the same before a bridge is up."""
    if not switches:
        return ()
    words = " ".join("net/{}={}".format(switch % "$IFACE", values[0]) for switch, values in switches.items())
    # Else bridge-utils makes the bridge and brings it up at once, after all lines of ours.
    return ("pre-up ip link add $IFACE type bridge 2>/dev/null || true", f"pre-up sysctl -qew {words} || true")
