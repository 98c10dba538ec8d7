"""Our own file of interfaces(5): the bridges that it defines. Pure."""

from l2wg_hooks.config import bridge_switches, ifupdown, ifupdown_commands, ifupdown_stanzas
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

OURS = bridge_switches.FILE
HEADER = "# Written by l2wg from /etc/l2wg/*.conf: edit those, then run `l2wg apply`.\n"
# What brings up a port of a bridge of ours.
PORT_UP = "ip link set dev {} up 2>/dev/null || true"


def recovered(defined, old, links):
    """`defined` with what our own file, `old`, has of ports whose comments are gone, and their copy, too.

    It is told by bridge-hw that a bridge has what its ports carried. Of several ports, the first with that address counts.
    """
    found = ifupdown.parse(old, OURS)[0]
    for bridge, ports in bridges_in(old).items():
        theirs = [stanza for stanza in found if stanza.interface == bridge]
        mac = next((value for stanza in theirs for key, value in stanza.options if key == "bridge-hw"), "")
        known = [stanza for stanza in defined.aside if stanza.interface in ports]
        if not mac or any(port in defined.copies for port in ports):
            continue
        port = next((name for name in ports if name in links and links[name].mac == mac), ports[0])
        port = known[0].interface if known else port
        had = _as_port(theirs, [stanza for stanza in found if stanza.interface in ports], bridge, port)
        # What another version has written may have other commands.
        if had and not _fewer(had, known):
            text = "".join(_text(stanza) for stanza in had)
            defined = defined._replace(copies=dict(defined.copies, **{port: text})).instead(port, had)
    return defined


def _fewer(had, known):
    """Whether all that `had` says, but for commands, is `known`."""
    left = [key for _, key in ifupdown.keys_of(known, False)]
    for _, key in ifupdown.keys_of(had, False):
        if key not in left:
            return False
        left.remove(key)
    return True


def _as_port(theirs, ports, bridge, port):
    """The Stanzas of a bridge of ours, and of its ports, as those of the port that the bridge has them from."""
    found = []
    names = " ".join(value for stanza in theirs for key, value in stanza.options if key == "bridge-ports").split()
    made = {PORT_UP.format(name) for name in names}
    for stanza in theirs:
        options = tuple(
            (key, ifupdown_commands.renamed(value, bridge, port) if key in ifupdown_stanzas.COMMANDS else value)
            for key, value in stanza.options
            if not key.startswith("bridge-") and "/etc/network/if-pre-up.d/bridge" not in value and value not in made
        )
        if options:
            found.append(ifupdown.Stanza(port, stanza.family, stanza.method, OURS, stanza.line, options))
    card = tuple(option for stanza in ports for option in stanza.options if "ipv6/conf/$IFACE/accept_ra=" not in option[1])
    return [found[0].with_more(card)] + found[1:] if found else []


def _text(stanza):
    return f"iface {stanza.interface} {stanza.family} {stanza.method}\n" + "".join(
        "    {} {}\n".format(*pair) for pair in stanza.options
    )


class Port(NamedTuple):
    """A port that our file has to define, since nobody else does, and the lines of its stanza."""

    name: str
    lines: Tuple[str, ...] = ()


class Bridge(NamedTuple):
    """A bridge that our file has to define. `own_ports` are those of its ports that nobody else defines.

    `stanzas` are (family, method, lines) of what the ports `moved` carried before they became ports, `mac` is the address that it
    keeps for those who knew the first of them. `switches` are those of config/bridge_switches.py.
    """

    name: str
    ports: Tuple[str, ...]
    own_ports: Tuple[Port, ...]
    address: str
    stp: bool
    stanzas: Tuple[Tuple[str, str, Tuple[str, ...]], ...] = ()
    mac: str = ""
    moved: Tuple[str, ...] = ()
    switches: Dict[str, Tuple[str, ...]] = bridge_switches.THEIRS


def ours(tunnels, defined, moving=(), old="", links=None):
    """{name: Bridge} of the bridges that our file has to define: their ports are wished for, and nobody else has them.

    `moving` are ports whose stanzas move to their bridge now, beside those that have moved before. Such a bridge has the
    Ethernet address that our file as it is (`old`) gives it, or that of the first of these ports in `links`.
    """
    if not defined.ifupdown:
        return {}
    macs = {
        stanza.interface: value for stanza in ifupdown.parse(old, OURS)[0] for key, value in stanza.options if key == "bridge-hw"
    }
    elsewhere = {stanza.interface for stanza in defined.stanzas if stanza.path != OURS and stanza.interface not in moving}
    # What was set aside before is of the past where its port has got a stanza again.
    moved = tuple(stanza for stanza in defined.stanzas if stanza.interface in moving and stanza.path != OURS)
    moved += tuple(stanza for stanza in defined.aside if stanza.interface not in moving)
    bridges: Dict[str, Bridge] = {}
    for tunnel in tunnels:
        if not tunnel.bridge_ports or tunnel.bridge in elsewhere:
            continue
        known = bridges.get(tunnel.bridge, Bridge(tunnel.bridge, (), (), "", False))
        ports = known.ports + tuple(port for port in tunnel.bridge_ports if port not in known.ports)
        theirs = [
            (stanza, ifupdown_stanzas.split(stanza.options, stanza.interface, tunnel.bridge))
            for stanza in moved
            if stanza.interface in ports
        ]
        bridges[tunnel.bridge] = known._replace(
            ports=ports,
            own_ports=tuple(
                Port(port, _once(line for stanza, lines in theirs if stanza.interface == port for line in lines[1]))
                for port in ports
                if port not in elsewhere
            ),
            address=known.address or tunnel.bridge_address,
            stp=known.stp or tunnel.stp,
            stanzas=tuple((stanza.family, stanza.method, lines[0]) for stanza, lines in theirs if lines[0]),
            moved=tuple(sorted({stanza.interface for stanza, _ in theirs if stanza.method == "static"})),
        )
        if theirs:
            first = (links or {}).get(theirs[0][0].interface)
            mac = macs.get(tunnel.bridge) or (first.mac if first else "")
            bridges[tunnel.bridge] = bridges[tunnel.bridge]._replace(mac=mac)
        switches = bridge_switches.OWN if bridges[tunnel.bridge].address else bridge_switches.SILENT
        # What has moved from a port goes on as it was there.
        bridges[tunnel.bridge] = bridges[tunnel.bridge]._replace(switches=bridge_switches.THEIRS if theirs else switches)
    return bridges


def _once(lines):
    """Lines of several stanzas as one stanza may have them: two values of one key would reach ip(8) as two commands."""
    found, keys = [], set()
    for line in lines:
        key = line.split(None, 1)[0]
        if line not in found and (key in ifupdown_stanzas.COMMANDS or key not in keys):
            found.append(line)
        keys.add(key)
    return tuple(found)


def bridges_in(text):
    """{bridge: its ports} that a text of our interfaces file defines."""
    found = {}
    for stanza in ifupdown.parse(text, OURS)[0]:
        ports = " ".join(value for key, value in stanza.options if key == "bridge-ports").split()
        if ports:
            found[stanza.interface] = ports
    return found


def render(bridges):
    """The text of our file for `bridges` as `ours` gives them; empty where there are none."""
    if not bridges:
        return ""
    from l2wg_hooks import templates  # jinja2 is slow to start, and only this needs it

    rows = [(bridges[name], bridge_switches.lines(bridges[name].switches)) for name in sorted(bridges)]
    return templates.render("interfaces.j2", header=HEADER, port_up=PORT_UP, bridges=rows)
