"""What a new line of /etc/l2wg/sites takes, at whichever end it is written: by `l2wg invite`, `join` or `pair`."""

import ipaddress
import os

from l2wg_hooks.config import (
    last_applied,
    site_edit,
    site_file,
    site_tunnels,
    store,
    terms,
    wg_quick,
    wg_quick_peers,
    wg_quick_readers,
)
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.pairing import bridge_choice, local_facts, negotiate, pair

# What `l2wg join` and `l2wg invite` can say of this router beside the file: the fields of pair.Wanted, and the keys of a line.
_SAID = (("bridge", "bridge"), ("ports", "bridge-ports"), ("address", "bridge-address"))


def row(name, line):
    """A line with a comment, which is for people: a card shows nobody whose it is."""
    return f"{line}  # {name}"


def text():
    """The file as it is; None where there is none."""
    return store.read(store.SITES) if store.SITES in store.sources() else None


def refuse_nixos(words):
    """Raise L2wgError where a configuration of NixOS has written the file, or would: `words` are for that."""
    if local_facts.is_nixos() or os.path.realpath(site_file.path()).startswith(last_applied.NIX):
        fail("this is NixOS: its configuration writes this file", words, path=site_file.path())


def place(net_values, tunnels, wanted, links, ask_ports):
    """{key: value} of what a line says of this router's bridge: nothing where it is that of the net, and nobody makes it."""
    usual = net_values.get("bridge", site_tunnels.BRIDGE)
    bridge_choice.refuse_missing(wanted.ports, links)
    is_theirs = usual in links and all(name in links and links[name].master == usual for name in wanted.ports)
    if not wanted.bridge and (is_theirs or (usual not in links and wanted.ports)):
        # Without ports, one that there is; with ports, one that is new, or has these already, as of who has left and joins anew.
        wanted = wanted._replace(bridge=usual)
    bridge, ports = bridge_choice.find(tunnels, wanted, links, ask_ports)
    found = {"bridge": bridge if bridge != usual else "", "bridge-ports": ",".join(ports), "bridge-address": wanted.address}
    return {key: value for key, value in found.items() if value}


def differing(wanted, site):
    """The keys of what is `wanted` of this router that its Site's line says otherwise."""
    said = {"bridge": site.values.get("bridge", ""), "ports": site.values.get("bridge_ports", ())}
    said["address"] = site.values.get("bridge_address", "")
    return [key for field, key in _SAID if getattr(wanted, field) and getattr(wanted, field) != said[field]]


def with_line(old, text):
    """The file with a line more, and its Wish. Raises L2wgError for what would be wrong in it."""
    new = site_edit.with_line(old, text)
    wished = store.load({store.SITES: new})
    number = len(new.rstrip("\r\n").split("\n"))
    # That line is not there yet, but what is wrong in it is what was said just now.
    problems = [row._replace(path="", line=0) if row.line == number else row for row in wished.problems]
    if problems:
        raise L2wgError(*problems)
    return new, wished


def started(here):
    """{path: (old, new)} of WireGuard's own file, with the lines by which tunnels come back when it is restarted."""
    if here.walled or here.text is None or not wg_quick_readers.ask(here.underlay, here.text).quick:
        return {}
    path, new = wg_quick.path(here.underlay), wg_quick.attach(here.text, here.underlay)
    return {path: (here.text, new)} if new not in (None, here.text) else {}


def refuse_clashes(here, other, links, wished):
    """Raise L2wgError where the tunnel of two cards cannot be: here.card is this router's. See negotiate.py."""
    try:
        agreed = terms.find(here.card, other)
    except Refused as error:
        fail(*error.args)
    sections = wg_quick_peers.sections(here.text or "")
    live = wg_interfaces.look(here.underlay) if here.up else None
    holders = wg_quick_peers.holders(sections, live.peers if live else ())
    clash = negotiate.collision(agreed, other, here.underlay, {} if here.walled else links, holders)
    if clash:
        fail(*clash)
    called = pair.callable_at(here, other, sections, live)
    needed = [] if here.walled else local_facts.needed(other, called, live, sections)
    clash = negotiate.misled(agreed, other, here.underlay, needed, holders, wished.tunnels)
    if not clash:
        led = [] if here.walled else holders
        way = local_facts.way(called, here.underlay) if live and not here.walled else {}
        clash = negotiate.unreachable(called, other, here.underlay, led, links, way)
    if clash:
        fail(*clash)
    return agreed


def network(here, links):
    """The network of the addresses of WireGuard here, where it has one that others' may be in; else None."""
    words = links[here.underlay].addresses if here.up else wg_quick_peers.interface_values(here.text or "", "address")
    for word in words:
        try:
            found = ipaddress.ip_interface(word).network
        except ValueError:
            continue
        if found.version == 4 and 8 <= found.prefixlen <= 30:
            return found
    return None


def words_of(values):
    """KEY=VALUE words of a line, of {key: value}."""
    return " ".join(f"{key}={value}" for key, value in values.items())


def values_of(words):
    """{key: value} of KEY=VALUE words."""
    return {key: value for key, _, value in (word.partition("=") for word in words)}
