"""What contradicts itself in one tunnel's file, or between several. Pure."""

from collections import ChainMap

from l2wg_hooks.config import control_faults, schema
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.model import Tunnel
from l2wg_hooks.typed import Dict, Mapping, MutableMapping, Set

WITH_PORT = tuple(encapsulation.name for encapsulation in registry.ENCAPSULATIONS.values() if encapsulation.udp_port is not None)
# What a bridge takes: the kernel numbers its ports by ten bits (BR_PORT_BITS), and number 0 is none.
BRIDGE_PORTS = 1023
# As Nix, and many a file, has it for every tunnel.
DEFAULT_PORTS = tuple(registry.ENCAPSULATIONS[name].udp_port for name in WITH_PORT)


def within(tunnel):
    """What is wrong between the keys of one file, each of which is right by itself."""
    if tunnel.remotes and not tunnel.packing.floods:
        hint = "name one, or write encapsulation = vxlan in the files of all these sites"
        yield tunnel.problem("remote", f"{tunnel.encapsulation} takes one address, not a list", hint)
    for end in tunnel.ends():
        if end.local == end.remote:
            yield tunnel.problem("remote", f"{end.remote} is also local", "remote is the address of the other router")
        if (":" in end.local) != (":" in end.remote):
            yield tunnel.problem("remote", f"{end.remote} is of another family than local", "both IPv4, or both IPv6")
    yield from control_faults.within(tunnel)
    packing = tunnel.packing
    if (tunnel.key or 0) > packing.number_max:
        hint = "with %s, a number from 0 to %d" % (packing.name, packing.number_max)
        yield tunnel.problem("key", "%d is too large for a %s" % (tunnel.key, packing.number_word), hint)
    if tunnel.udp_port is None and tunnel.port not in (None, *DEFAULT_PORTS):
        message = f"{tunnel.encapsulation} has no UDP port"
        yield tunnel.problem("port", message, "take this line out, or write encapsulation = " + " or ".join(WITH_PORT))
    if tunnel.stp and not tunnel.bridge_ports:
        yield tunnel.problem(
            "stp",
            f"needs bridge-ports: without them {tunnel.bridge} is defined elsewhere",
            f"write `bridge_stp on` where {tunnel.bridge} is defined, and take this line out",
        )
    if tunnel.peer_down == "port" and not tunnel.bridge_ports:
        message = f"needs bridge-ports: without them {tunnel.bridge} is defined elsewhere, and its ports are others'"
        yield tunnel.problem("peer-down", message, "name the ports, or take this line out")
    names = {"underlay": tunnel.underlay, "bridge": tunnel.bridge}
    for key, name in names.items():
        if name == tunnel.name:
            yield tunnel.problem(key, f"{name} is the tunnel itself", "name another interface")
    if tunnel.bridge == tunnel.underlay:
        yield tunnel.problem("bridge", f"{tunnel.bridge} is also the underlay", "name a bridge, such as br0")
    for port in tunnel.bridge_ports:
        if port in (tunnel.name, tunnel.underlay, tunnel.bridge, "lo"):
            yield tunnel.problem(
                "bridge-ports", f"{port} cannot be a port of {tunnel.bridge}", "name Ethernet ports, such as enp3s0"
            )
    if tunnel.bridge_address and not tunnel.bridge_ports:
        yield tunnel.problem(
            "bridge-address",
            f"needs bridge-ports: without them {tunnel.bridge} is defined elsewhere and keeps its addresses",
            "name the ports, or leave bridge-address empty",
        )


def between(tunnels):
    """Problems between the files: what two tunnels cannot both have."""
    known = Known({tunnel.name: tunnel for tunnel in tunnels})
    for tunnel in tunnels:
        yield from known.judge(tunnel)


class Known:
    """What each of some tunnels has that no other one can have: to judge one more takes as long however many these are."""

    def __init__(self, names: Mapping[str, Tunnel]):
        # {what it is: the first tunnel that has it}
        self.first: MutableMapping[tuple, Tunnel] = {}
        # {bridge: ports of it}, tunnels and others
        self.ports: Dict[str, Set[str]] = {}
        self.names = names

    def judge(self, tunnel):
        """Yield the Problems of a tunnel beside those that were judged; from now on it is one of these."""
        exclusive = tunnel.packing.exclusive(*tunnel.identity)
        same = self.first.setdefault(("exclusive", tunnel.wire, tunnel.kind, exclusive), tunnel)
        if same is not tunnel:
            message = f"{same.name} has the same {tunnel.packing.exclusive_words} ({same.path})"
            hint = "give each its own `key`"
            if tunnel.packing.floods and same.far_ends != tunnel.far_ends:
                hint += "; or, where all these sites are to be one LAN: one file, whose `remote` names all of them"
            yield tunnel.problem("remote", message, hint)
        if tunnel.link_kind.own_route:
            # The policy rules of plan/policy_routes.py tell them apart by nothing else.
            for end in tunnel.ends():
                same = self.first.setdefault(("ends", tunnel.wire, tunnel.kind, end.local, end.remote), tunnel)
                if same.underlay != tunnel.underlay:
                    message = f"{same.name} has the same ends over {same.underlay} ({same.path})"
                    yield tunnel.problem("underlay", message, "give it other ends")
        yield from self._ring(tunnel)
        yield from control_faults.between(tunnel, self.first)
        same = self.first.setdefault(("wire", tunnel.underlay), tunnel)
        if same.wire != tunnel.wire:
            message = f"{tunnel.underlay} is {same.wire} in {same.path}"
            yield tunnel.problem("wire", message, "write the same in both files, or name another underlay")
        yield from self._bridge(tunnel)
        for key in ("underlay", "bridge"):
            name = getattr(tunnel, key)
            if name in self.names and name != tunnel.name:
                yield tunnel.problem(key, f"{name} is a tunnel ({self.names[name].path})", "name another interface")
        yield from self._places(tunnel)

    def _ring(self, tunnel):
        """Of a list that grows, nobody can try beforehand whether frames come back: its tunnel forwards already."""
        for remote in tunnel.far_ends:
            same = self.first.setdefault(("far end", tunnel.bridge, remote), tunnel)
            several = same is not tunnel and (same.remotes or tunnel.remotes)
            if several and not (same.isolated and tunnel.isolated):
                message = f"{same.name} leads to {remote}, too ({same.path}), and both are in {tunnel.bridge}: that is a loop"
                yield tunnel.problem("remote", message, "take it out of one of the two; or have isolated = yes in both")

    def _places(self, tunnel):
        """Judged last, so that who adds a tunnel that was refused for something else has no place of it to give back."""
        ports = self.ports.setdefault(tunnel.bridge, set())
        more = {tunnel.name, *tunnel.bridge_ports} - ports
        if len(ports) + len(more) > BRIDGE_PORTS:
            fact = f"{tunnel.bridge} has {len(ports)} ports by the files before this one"
            message = f"{fact}, and no bridge takes more than {BRIDGE_PORTS}"
            yield tunnel.problem("bridge", message, "name another bridge in this file")
        else:
            ports.update(more)

    def _bridge(self, tunnel):
        for key in ("stp", "link-local"):
            if key in tunnel.lines and tunnel.bridge_ports:
                other = self.first.setdefault((key, tunnel.bridge), tunnel)
                if getattr(other, schema.KEYS[key].field) != getattr(tunnel, schema.KEYS[key].field):
                    message = f"{other.name} has it otherwise for {tunnel.bridge} ({other.path})"
                    yield tunnel.problem(key, message, "write the same in both files")
        for port in tunnel.bridge_ports:
            other = self.first.setdefault(("port", port), tunnel)
            if other.bridge != tunnel.bridge:
                yield tunnel.problem(
                    "bridge-ports",
                    f"{port} is a port of {other.bridge} already ({other.path})",
                    "a port can be in one bridge only",
                )
            if port in self.names:
                yield tunnel.problem("bridge-ports", f"{port} is a tunnel", "name Ethernet ports, such as enp3s0")
        if tunnel.bridge_address:
            other = self.first.setdefault(("address", tunnel.bridge), tunnel)
            if other.bridge_address != tunnel.bridge_address:
                yield tunnel.problem(
                    "bridge-address",
                    f"{tunnel.bridge} has {other.bridge_address} already ({other.path})",
                    "write the same address in both files, or in one only",
                )


class Accepted:
    """Tunnels of which none contradicts another one, to which more are added one by one."""

    def __init__(self, tunnels):
        self.names: Dict[str, Tunnel] = {}
        self.known = Known(self.names)
        # The interfaces that they name beside themselves.
        self.named: Set[str] = set()
        for tunnel in tunnels:
            self.add(tunnel)

    def add(self, tunnel):
        """Whether it could be added: it contradicts none."""
        before = self.known.first
        self.known.first = ChainMap({}, before)
        self.names[tunnel.name] = tunnel
        if tunnel.name in self.named or any(True for _ in self.known.judge(tunnel)):
            del self.names[tunnel.name]
            self.known.first = before
            return False
        before.update(self.known.first.maps[0])
        self.known.first = before
        self.named.update((tunnel.underlay, tunnel.bridge), tunnel.bridge_ports)
        return True
