"""The only look that `l2wg status` takes: five processes at once, whatever the number of tunnels, and a few files."""

import os
import time
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.apply import rollback
from l2wg_hooks.config import last_applied, staged, store
from l2wg_hooks.errors import REFUSED, L2wgError, fail
from l2wg_hooks.model import NAMESPACE, Destination, Link, Switches
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import (
    counter_growth,
    fdb_table,
    interface_counters,
    link_table,
    peer_answers,
    snapshot,
    vteps,
    wg_interfaces,
)
from l2wg_hooks.observe.fdb_table import Station
from l2wg_hooks.observe.interface_counters import Traffic
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.system import files, json_fields, network_namespace, process

LINKS = ("ip", "-json", "-details", "-statistics", "address", "show")
STATIONS = ("bridge", "-json", "-statistics", "fdb", "show")
PEERS = ("wg", "show", "all", "dump")
# udev's database has a file for each network interface, by its number, and keeps it when it hears of it again.
UDEV = "/run/udev/data/n%d"


class Survey(NamedTuple):
    """All that was seen at `time` (seconds since the epoch) on the router called `host`.

    `stations` are those that are listed of each port, `crowds` how many there are.
    `peers` are WireGuard's by the name of the interface, `ages` seconds since an interface was made, for those of which
    somebody knows. `pending`: an apply waits for its confirmation. `blind` says what could not be looked at, and why.
    `undone` is what rollback.unasked tells. `staged` names the tunnels that wait for the other site, to change to another wire.
    `silent`, `taken` and `floods` are as in Observed. `rates` are those of peers, by the keys of `notes`.
    `transit` is as snapshot.transited has it.
    `behind` is how many stations are behind each far end of a tunnel with several, {tunnel: {address: number}}.
    """

    wished: store.Wish
    links: Dict[str, Link] = {}
    traffic: Dict[str, Traffic] = {}
    stations: Dict[str, Tuple[Station, ...]] = {}
    crowds: Dict[str, int] = {}
    peers: Dict[str, Interface] = {}
    report: nftables_state.Report = nftables_state.Report(nftables_state.Rules())
    ages: Dict[str, float] = {}
    pending: bool = False
    blind: Tuple[str, ...] = ()
    time: float = 0
    host: str = ""
    bridges: Dict[str, Switches] = {}
    notes: Dict[str, counter_growth.Note] = {}
    clock: float = 0
    undone: Optional[Tuple[int, str]] = None
    staged: Tuple[str, ...] = ()
    silent: Tuple[str, ...] = ()
    taken: Tuple[str, ...] = ()
    floods: Optional[Dict[str, Tuple[Destination, ...]]] = None
    rates: Dict[str, counter_growth.Rate] = {}
    transit: Dict[str, bool] = {}
    behind: Dict[str, Dict[str, int]] = {}


def look():
    """The Survey of now. Raises L2wgError where it cannot be taken: without ip(8)."""
    wished = last_applied.standing(departs=False)
    lists = {tunnel.name: frozenset(tunnel.remotes) for tunnel in wished.tunnels if tunnel.remotes}
    lists.update(vteps.wanted(wished.tunnels))
    destinations = fdb_table.Destinations(lists, learns=True)
    crowd = fdb_table.Crowd(destinations)
    ip, bridge, wg, *nft = process.together(LINKS, STATIONS, PEERS, *nftables_state.LISTS, takes={STATIONS: crowd.take})
    if isinstance(ip, L2wgError):
        raise ip
    if ip.code:
        fail("`{}` failed: {}".format(" ".join(LINKS), ip.err.strip()), "is iproute2 4.20 or later installed?", REFUSED)
    found, inside = link_table.parse(ip.out), _inside()
    try:
        counted = interface_counters.read(json_fields.table(ip.out))
        if inside:
            text, _, number = inside
            found = link_table.joined(found, link_table.parse(text), number)
            walled = interface_counters.read(json_fields.table(text))
            counted.update({name: traffic for name, traffic in walled.items() if name in found and found[name].namespace})
    except json_fields.Unfit as error:
        link_table.refuse(error)
    blind = [_blind(argv, result) for argv, result in ((STATIONS, bridge), (PEERS, wg)) if _blind(argv, result)]
    known = {} if isinstance(wg, L2wgError) else wg_interfaces.parse_all(wg.out)
    if inside:
        known.update(wg_interfaces.parse_all(inside[1]))
    floods = destinations.added() if lists and crowd.is_whole() and not blind else None
    wished = wished._replace(tunnels=vteps.led(wished.tunnels, floods or {}))
    report, clock = nftables_state.report(nft), time.monotonic()
    notes, rates = _growth(known, report, clock)
    return Survey(
        wished,
        found,
        counted,
        *crowd.found(),
        known,
        report,
        _ages([found[tunnel.name] for tunnel in wished.tunnels if tunnel.name in found]),
        last_applied.pending(),
        tuple(blind),
        time.time(),
        os.uname().nodename,
        snapshot.bridges(wished.tunnels),
        notes,
        clock,
        rollback.unasked(),
        tuple(staged.names()),
        peer_answers.down(peer_answers.read()),
        peer_answers.taken(),
        floods,
        rates,
        snapshot.transited(wished.tunnels),
        destinations.behind if crowd.is_whole() else {},
    )


def _inside():
    """(what LINKS and PEERS print in the network namespace of l2wg, its number here); None where there is none."""
    if not os.path.exists(network_namespace.path(NAMESPACE)):
        return None
    try:
        results = network_namespace.within(NAMESPACE, lambda: process.together(LINKS, PEERS))
        number = network_namespace.number(NAMESPACE)
    except OSError:
        return None
    texts = ["" if isinstance(result, L2wgError) or result.code else result.out for result in results]
    return texts[0], texts[1], number


def _growth(known, report, clock):
    rows = {counter_growth.peer(name, peer.key): peer for name, interface in known.items() for peer in interface.peers}
    counts = dict(counter_growth.dropped(report.frames), **{key: peer.received for key, peer in rows.items()})
    sent = {key: (peer.sent, peer.keepalive) for key, peer in rows.items()}
    # Of what was noted before: looking makes new notes.
    rates = counter_growth.rates(counter_growth.read(), counts, sent, clock)
    return counter_growth.look(counts, sent, clock), rates


def _blind(argv, result):
    if isinstance(result, L2wgError):
        return result.problems[0].message
    return "`{}` failed: {}".format(" ".join(argv), result.err.strip()) if result.code else ""


def _ages(links):
    """{name: seconds} since udev first saw these Links; the kernel itself does not tell when it made one.

    udev lives in the first network namespace, and the numbers of interfaces are a namespace's own.
    """
    if not network_namespace.is_first():
        return {}
    found = {}
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    for link in links:
        try:
            seen = [int(line[2:]) for line in files.glance(UDEV % link.ifindex).splitlines() if line.startswith("I:")]
        except ValueError:
            continue
        if seen:
            found[link.name] = max(0.0, now - seen[0] / 1e6)
    return found
