"""What FRR says of itself, by vtysh(1), as JSON. Each daemon is asked by itself, so that one that does not run hides no other."""

import ipaddress
import os
import re

from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import json_fields, process
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

ZEBRA, BGPD = "zebra", "bgpd"
NIXOS = "/run/current-system/sw/bin/vtysh"
# Seconds. One that is stopped, or at a lock, answers nothing for ever.
PATIENCE = 10
# FRR's own, where its configuration says nothing (BGP_DYNAMIC_NEIGHBORS_LIMIT_DEFAULT in bgpd/bgpd.h).
LISTEN_LIMIT = 100
ESTABLISHED = "Established"
SUMMARY = "show bgp l2vpn evpn summary json"
ROUTES = "show bgp l2vpn evpn route type multicast json"
VNIS = "show evpn vni json"
CONFIG = "show running-config"


class Neighbor(NamedTuple):
    """One that BGP talks to: `state` is FRR's word, such as "Established", `dynamic` whether it has called a reflector."""

    address: str
    state: str
    dynamic: bool = False


class Summary(NamedTuple):
    """What bgpd says of its sessions for EVPN; `as_number` is 0 where it has no BGP at all."""

    as_number: int = 0
    neighbors: Tuple[Neighbor, ...] = ()

    @property
    def dynamic(self):
        """The number of those that have called."""
        return sum(neighbor.dynamic for neighbor in self.neighbors)


class Vni(NamedTuple):
    """A VNI that zebra knows: its device, and the far ends that it has put there."""

    number: int
    device: str
    remotes: Tuple[str, ...]


def program():
    """vtysh(1), as far as there is one: on NixOS it is of the system, and no package of ours has it. Raises FileNotFoundError."""
    try:
        process.whole_path("vtysh")
        return "vtysh"
    except FileNotFoundError:
        if not os.access(NIXOS, os.X_OK):
            raise
        return NIXOS


class Unanswered(Exception):
    """FRR could not be asked: why."""


def ask(daemon, command):
    """What a daemon answers; None where it does not run. Raises Unanswered."""
    try:
        result = process.run((program(), "-d", daemon, "-c", command), patience=PATIENCE)
    except FileNotFoundError:
        raise Unanswered("there is no vtysh(1)")
    except L2wgError as error:
        raise Unanswered(error.problems[0].message)
    # It connects to no daemon: 1. What one does not understand ends with 0, and is no JSON.
    return result.out if result.code == 0 else None


def summary(text):
    """The Summary of what SUMMARY prints. Raises Unfit."""
    found = _object(text)
    peers = found.get("peers", {})
    if not isinstance(peers, dict) or not all(isinstance(row, dict) for row in peers.values()):
        raise json_fields.Unfit("peers is no list of neighbours")
    rows = [Neighbor(_named(word), _state(row), bool(row.get("dynamicPeer"))) for word, row in peers.items()]
    return Summary(json_fields.number(found, "as"), tuple(rows))


def originators(text):
    """{address of a site: the route targets of its routes} that bgpd has valid routes of type 3 from, by ROUTES. Raises Unfit."""
    found: Dict[str, Tuple[str, ...]] = {}
    for routes in _object(text).values():
        for name, route in routes.items() if isinstance(routes, dict) else ():
            match = re.match(r"\[3\]:\[\d+\]:\[\d+\]:\[([0-9A-Fa-f.:]+)\]\Z", name)
            if match is None or not isinstance(route, dict):
                continue
            address = _address(match.group(1))
            for path in _paths(route.get("paths")):
                if path.get("valid") is True:
                    more = json_fields.inner(path, "extendedCommunity")
                    targets = re.findall(r"RT:(\S+)", json_fields.word(more, "string"))
                    found[address] = tuple(dict.fromkeys(found.get(address, ()) + tuple(targets)))
    return found


def _named(text):
    """A neighbour's address, or the interface by which it is one."""
    if not re.match(r"[0-9A-Za-z_.:-]{1,45}\Z", text):
        raise json_fields.Unfit(f"{text[:60]!a} is no neighbour")
    return text


def _state(row):
    found = json_fields.word(row, "state")
    return found if re.match(r"[A-Za-z() ]{0,30}\Z", found) else "unknown"


def _paths(value):
    """Those of a route, which FRR has in lists of lists, or in a list."""
    for part in value if isinstance(value, list) else ():
        for path in part if isinstance(part, list) else (part,):
            if isinstance(path, dict):
                yield path


def vnis(text):
    """{VNI: Vni} of what VNIS prints. Raises Unfit."""
    found = {}
    for name, row in _object(text).items():
        if re.match(r"[0-9]{1,8}\Z", name) and isinstance(row, dict):
            ends = tuple(_address(end) for end in json_fields.listed(row, "remoteVteps"))
            found[int(name)] = Vni(int(name), json_fields.name(row, "vxlanIf"), ends)
    return found


def listen_limit(text):
    """How many may call, by the configuration that CONFIG prints."""
    match = re.search(r"^ bgp listen limit ([0-9]{1,6})\s*$", text, re.MULTILINE)
    return int(match.group(1)) if match else LISTEN_LIMIT


def of_number(targets, number):
    """Whether a route with these targets is of this VNI: FRR makes them of AS number and VNI."""
    return not targets or any(target.rpartition(":")[2] == str(number) for target in targets)


def _object(text):
    found = json_fields.load(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise json_fields.Unfit("it is no object")
    return found


def _address(text):
    try:
        return str(ipaddress.ip_address(text))
    except (ValueError, TypeError):
        raise json_fields.Unfit(f"{str(text)[:60]!a} is not an address")


def read(parse, text):
    """What `parse` makes of an answer. Raises Unanswered where that is nothing which it knows."""
    try:
        return parse(text)
    except (json_fields.Unfit, ValueError) as error:
        raise Unanswered(f"vtysh(1) printed what cannot be read: {error}")
