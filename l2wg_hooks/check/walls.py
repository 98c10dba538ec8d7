"""The network namespace of l2wg (`wire = own`): who else is in it, and whether WireGuard's packets get there and back."""

import os
import time

from l2wg_hooks.check.cause import NOTHING, OPEN, REBOOT, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.config import ifupdown_files, own_wire, staged, wg_quick, wg_quick_readers
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import NAMESPACE
from l2wg_hooks.netfilter import front_ends
from l2wg_hooks.netfilter.host_rules import Firewall
from l2wg_hooks.netfilter.trace import Packet
from l2wg_hooks.observe import walls as namespace
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.reconcile import events
from l2wg_hooks.system import files, ip_routes, process, units

CAUSES = (
    Cause(
        "namespace-stranger",
        OPEN,
        "Somebody has put an interface into the network namespace that only the tunnels of `wire = own` are to be in: what comes "
        "in by it is taken for theirs.",
        "Move it out: the command is printed; and find out who put it there.",
    ),
    Cause(
        "wire-port",
        NOTHING,
        "This router's firewall drops what comes to the UDP port of a WireGuard interface of l2wg's, and a peer has to call.",
        "The firewall's own command, which is printed.",
    ),
    Cause(
        "wire-twice",
        REBOOT,
        "Something else brings up the WireGuard interface that l2wg makes itself (`wire = own`), by the same file: "
        "wg-quick@.service, interfaces(5), a script. At the next boot it may be outside of the namespace, where it is of no use.",
        "`systemctl disable wg-quick@l2w0`, or take it out of what is named.",
    ),
    Cause(
        "boot-unit",
        REBOOT,
        "The unit that makes the WireGuard interfaces of `wire = own` at boot is disabled, or that in which `l2wg wall` waits.",
        "`systemctl enable` of that unit, as printed.",
    ),
)


def strangers(tunnel, names):
    """The Problem of interfaces in the namespace that are not ours."""
    for name in names:
        yield tunnel.problem(
            "wire",
            f"somebody else's {name} is in the network namespace {NAMESPACE}: what comes in by it is taken for a tunnel's",
            f"ip -n {NAMESPACE} link set dev {name} netns 1 # and find out who put it there",
            "namespace-stranger",
        )


def others(name, readers):
    """The Problems of whoever else makes the interface: wg_quick_readers.Readers."""
    for reader in readers:
        unit = os.path.basename(reader.path)
        disable = f"systemctl disable {unit[: -len('.service')]}" if unit == f"wg-quick@{name}.service" else ""
        yield Problem(
            f"{reader.program} also brings up {name}, which l2wg makes itself (wire = own)",
            disable or f"take that out; or, for a shared wire: l2wg set TUNNEL wire=shared underlay={name}",
            reader.path,
            reader.line,
            id="wire-twice",
        )


def callers(wanted, interface, now):
    """The peers that have to call this router, or do not answer it: OwnWire, wg_interfaces.Interface, seconds since the epoch."""
    alive = {peer.key for peer in interface.peers if wg_interfaces.alive(peer, now)}
    return [key for key, peer in wanted.peers.items() if not peer.endpoint or key not in alive]


def _walled(scene):
    return [tunnel for tunnel in scene.tunnels if tunnel.walled] + list(staged.tunnels(scene.tunnels))


def _inside(scene):
    tunnels = _walled(scene)
    if not tunnels:
        return
    walls = namespace.look(tunnels, scene.links)
    yield from strangers(tunnels[0], walls.strangers if walls else ())
    defined = ifupdown_files.read()
    for name in sorted({tunnel.underlay for tunnel in tunnels}):
        yield from others(name, wg_quick_readers.find(name, defined))
    if units.run():
        yield from _disabled([tunnel.name for tunnel in staged.tunnels(scene.tunnels)])


def _disabled(waiting):
    """The Problems of units that the next boot would not start: of our own, and of the tunnels that wait for the other site."""
    needed = {events.UNIT: ("at boot, nothing makes WireGuard but an event of the bridge", f"systemctl enable {events.UNIT}")}
    for name in waiting:
        unit = staged.UNIT.format(name)
        hint = f"systemctl enable --now {unit}; or, to end it: l2wg wall --undo {name}"
        needed[unit] = (f"from the next boot on, {name} does not wait for the other site any longer", hint)
    for unit, (message, hint) in needed.items():
        if not os.path.lexists(os.path.join(os.path.dirname(events.ENABLED), unit)):
            yield Problem(f"{unit} is disabled: {message}", hint, id="boot-unit")


def _port(scene):
    """What the firewall says of the first packet of a peer that calls."""
    firewall = None
    for tunnel in {tunnel.underlay: tunnel for tunnel in _walled(scene)}.values():
        path = wg_quick.path(tunnel.underlay)
        interface = wg_interfaces.look(tunnel.underlay) if tunnel.underlay in scene.links else None
        try:
            wanted, _ = own_wire.parse(files.read(path), path)
        except L2wgError:  # told of by the plan
            continue
        calling = callers(wanted, interface, int(time.time())) if wanted is not None and interface is not None else ()
        if not calling:
            continue
        firewall = firewall or Firewall()
        endpoints = [peer.endpoint for peer in interface.peers if peer.key in calling]
        for option in process.families():
            for device in ways(option, endpoints):
                yield from _drops(tunnel, int(option[1:]), device, interface.port, firewall)


def ways(option, endpoints):
    """The interfaces by which callers come: those of the default routes, and of the ways back to where each was heard.

    `option` is ip(8)'s for the family, `endpoints` as wg(8) prints them.
    """
    routes = list(ip_routes.show(option, "route", "show", "default"))
    for address in (endpoint.rpartition(":")[0].strip("[]") for endpoint in endpoints):
        if address and "%" not in address and (":" in address) == (option == "-6"):
            routes += ip_routes.show(option, "route", "get", address)
    return list(dict.fromkeys(route["dev"] for route in routes if "dev" in route))


def _drops(tunnel, family, device, port, firewall):
    packet = Packet("input", family, device, protocol="udp", port=port)
    for base, chains in firewall.drops(packet):
        yield tunnel.problem(
            "underlay",
            "the firewall (%s) drops what comes by %s to UDP port %d, and a peer of %s has to call"
            % (base.where, packet.iif, port, tunnel.underlay),
            front_ends.of(base, chains).let_in(base, packet),
            "wire-port",
        )


CHECKS = (Check("network namespace", _inside), Check("UDP port of WireGuard", _port))
