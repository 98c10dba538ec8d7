"""`l2wg pair`: from the other site's card and this router's own facts to a peer, a tunnel and a bridge.

Each site decides from both cards by the same rules, so the two come to the same tunnel without talking.
"""

import os
import socket
import time
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks.apply import apply, preview
from l2wg_hooks.config import (
    card,
    edit,
    ifupdown_files,
    store,
    terms,
    tunnel_file,
    wg_quick,
    wg_quick_peers,
    wg_quick_readers,
    wg_quick_routes,
)
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.model import Step
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import bridge_choice, local_facts, negotiate, ports
from l2wg_hooks.system import files, process

# How often it is looked whether the other site answers, and seconds between: WireGuard has asked it already.
LOOKS, PAUSE = 6, 0.5


class Wanted(NamedTuple):
    """What the admin says beside the card; "" and () where they do not."""

    underlay: str = ""
    tunnel: str = ""
    bridge: str = ""
    ports: Tuple[str, ...] = ()
    address: str = ""


class Pairing(NamedTuple):
    """What pairing would do. `shown` are {path: (old, new)} without secrets, `notes` are for the admin to know."""

    other: card.Card
    facts: local_facts.Facts
    tunnel: str
    shown: Dict[str, Tuple[str, str]]
    more: preview.ExtraChanges
    notes: Tuple[str, ...]

    def changes(self):
        """Whether there is anything to do, beside what `l2wg apply` would do."""
        return bool(self.shown or self.more.steps)


def intend(text, wanted, ask_ports=False):
    """The Pairing that a card asks for; nothing is changed. With `ask_ports`, a port may be proposed, since somebody will look.

    Raises L2wgError for all that is wrong.
    """
    try:
        other = card.decode(text)
    except Refused as error:
        fail(*error.args)
    if local_facts.is_nixos():
        _refuse_nixos(other)
    links = link_table.read()
    here = local_facts.look(local_facts.underlay(wanted.underlay), links)
    if here.text is None:
        words = (_conf(here), here.underlay, here.underlay)
        hint = "install -D -m 600 /dev/null {}; wg-quick save {}; systemctl enable wg-quick@{}".format(*words)
        hint += " # if it was made by hand; pair is for what wg-quick brings up, not networkd"
        fail(f"there is no such file, and {here.underlay} is up", hint, path=_conf(here))
    try:
        agreed = terms.find(here.card, other)
    except Refused as error:
        fail(*error.args)
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    sections = wg_quick_peers.sections(here.text)
    live = wg_interfaces.look(here.underlay) if here.up else None
    holders = wg_quick_peers.holders(sections, live.peers if live else ())
    # What is in a network namespace of its own is in nobody's way, and nobody in its.
    outside = {} if here.walled else links
    clash = negotiate.collision(agreed, other, here.underlay, outside, holders)
    if clash:
        fail(*clash)
    name, old = _tunnel(agreed, other, here, wished.tunnels, wanted, sections, links)
    leads = old
    if old and _is_outdated(old, agreed, other, here, sections, links):
        leads = old._replace(local=agreed.local, remote=agreed.remote)
    answer = None if here.walled else _reader(here)
    called = callable_at(here, other, sections, live)
    remote = leads.remote if leads else agreed.remote
    needed = [] if here.walled else local_facts.needed(other, called, live, sections)
    if wg_quick_peers.owner(holders, remote) == other.key:
        # It is there already, and all but WireGuard's own packets may well go through it.
        needed = [need for need in needed if need.address in called]
    clash = negotiate.misled(agreed._replace(remote=remote), other, here.underlay, needed, holders, wished.tunnels)
    if clash:
        fail(*clash)
    conf = with_peer(here.text, agreed, other, here, leads)
    if any(section.key == other.key and section.endpoint == other.endpoint for section in wg_quick_peers.sections(conf)):
        # Where the admin has written another one, that is what counts.
        led = [] if here.walled or wg_quick_peers.interface_values(here.text, "table")[-1:] == ["off"] else holders
        way = local_facts.way(called, here.underlay) if live and not here.walled else {}
        clash = negotiate.unreachable(called, other, here.underlay, led, links, way)
        if clash:
            fail(*clash)
    new = wg_quick.attach(conf, here.underlay) if answer and answer.quick else conf
    if new is None:
        fail("has no [Interface] section", "it must be a wg-quick(8) file", path=_conf(here))
    steps, changed, ways = _live(new, agreed, other, here, live, leads)
    files_ = _wish(name, agreed, other, here, wished.tunnels, wanted, (old, leads), links, ask_ports)
    tunnels = [tunnel for tunnel in store.load(files_).tunnels if tunnel.underlay == here.underlay]
    _startable(tunnels, {_conf(here): new})
    texts = {_conf(here): (here.text, new)} if new != here.text else {}
    more = preview.ExtraChanges(files_, texts, steps, here.underlay, changed, ways)
    wire = next((tunnel for tunnel in tunnels if tunnel.name == name), None)
    guests = ports.guests(links, ifupdown_files.read())
    notes = tuple(negotiate.notes(agreed, other, leads, links, wire, guests)) + tuple(_other_way(new, other))
    notes += tuple(negotiate.namesakes(other, here.underlay, sections, wished.tunnels))
    if answer:
        elsewhere = local_facts.elsewhere(remote, here.underlay)
        notes += tuple(negotiate.moved(agreed._replace(remote=remote), other, here.underlay, holders, elsewhere))
        notes += tuple(_by_hand(answer, here, ways))
    return Pairing(other, here, name, more.shown(), more, notes)


def carry_out(pairing, confirm, agree, rehearsed=True):
    """Do it, whole or not at all; the Problems that are left. Raises L2wgError, with nothing changed, where it failed."""
    try:
        return apply.apply(confirm, agree, pairing.more, rehearsed)
    except L2wgError:
        forget_rejected(pairing.more.wish)
        raise


def forget_rejected(wish):
    """Delete what a rollback has set aside of {tunnel: text}: it is a card's, not somebody's work."""
    from l2wg_hooks.apply import rollback

    for name, text in wish.items():
        aside = store.path(name) + rollback.REJECTED
        if os.path.exists(aside) and files.read(aside) == text:
            files.remove(aside)


def waits(pairing):
    """Whether the other site has not been heard of yet."""
    live = wg_interfaces.look(pairing.facts.underlay)
    return not any(peer.key == pairing.other.key and peer.handshake for peer in (live.peers if live else ()))


def answers(pairing):
    """Whether the other site has been heard of, or is within some seconds."""
    for _ in range(LOOKS):
        if not waits(pairing):
            return True
        time.sleep(PAUSE)
    return not waits(pairing)


def _conf(here):
    return wg_quick.path(here.underlay)


def _reader(here):
    """The wg_quick_readers.Answer for the file. Raises L2wgError where a peer in it would be nobody's at the next start."""
    answer = wg_quick_readers.ask(here.underlay, here.text)
    problem = answer.problem(_conf(here), here.underlay, here.text)
    if problem:
        raise L2wgError(problem)
    if answer.reader and answer.reader.program != "wg":
        fail(f"a peer that is written here would be lost: {answer.why}", answer.hint, path=_conf(here))
    return answer


def _startable(tunnels, texts):
    """Raise L2wgError where the next start of WireGuard could not add a route, by the file as it is, or by what is added now."""
    stanzas = ifupdown_files.read().stanzas
    found = wg_quick_routes.look(tunnels, stanzas)
    if found:
        raise L2wgError(*[clash.problem for clash in found])
    for clash in wg_quick_routes.look(tunnels, stanzas, texts):
        # Its line is not written yet.
        hint = "take that route away there; then pair again"
        raise L2wgError(clash.problem._replace(hint=hint, line=0))


def _by_hand(answer, here, ways):
    """What wg-quick(8) would do at the next start, and wg(8) does not."""
    if answer.quick:
        return
    instead = "the hook of ifupdown does the same" if answer.told else answer.hint
    yield f"{_conf(here)} gets no PostUp, since {answer.why}; {instead}"
    for words in ways:
        line = f"ip route add {words[0]} dev {here.underlay}"
        yield f"wg(8) makes no routes: for the next start, have `{line}` run where {here.underlay} is brought up"


def _tunnel(agreed, other, here, tunnels, wanted, sections, links):
    """(name, the Tunnel that leads to the other site already or None)."""
    mine = [tunnel for tunnel in tunnels if tunnel.underlay == here.underlay]
    leads = [
        tunnel
        for tunnel in mine
        if any(far == agreed.remote or wg_quick_peers.owner(sections, far) == other.key for far in tunnel.far_ends)
    ]
    if leads:
        first = next((tunnel for tunnel in leads if tunnel.name == wanted.tunnel), leads[0])
        if first.peers:
            hint = "nothing is to be paired: what is to be otherwise goes into that line, at all sites"
            fail(f"{first.name} leads to {other.name} already", hint, path=first.path, line=first.lines.get("", 0))
        if first.remotes:
            hint = "nothing is to be paired: what is to be otherwise of a tunnel to several goes into its file, at all sites"
            fail(f"{first.name} leads to {other.name} already", hint, path=first.path, line=first.lines.get("remote", 0))
        if wanted.tunnel and wanted.tunnel != first.name:
            fail(f"{first.name} leads to {other.name} already", "a second tunnel would be a loop", path=first.path)
        return first.name, first
    names = {tunnel.name for tunnel in tunnels}
    if wanted.tunnel:
        if wanted.tunnel in names:
            fail(f"{wanted.tunnel} leads elsewhere", "name another one, or none", path=store.path(wanted.tunnel))
        return wanted.tunnel, None
    number = 1
    while "%s%d" % (agreed.encapsulation, number) in names | set(links):
        number += 1
    return "%s%d" % (agreed.encapsulation, number), None


def _is_outdated(leads, agreed, other, here, sections, links):
    """Whether the ends of a tunnel that leads to the other site were two cards', of which one has another address now."""
    own = set(here.card.addresses) | {word.partition("/")[0] for link in links.values() for word in link.addresses}
    own |= {word.partition("/")[0] for stanza in ifupdown_files.read().stanzas for word in stanza.addresses()}
    # By hand, one of its ends may well be in a LAN: then the address of the card is among the peer's already.
    moved = any(
        section.key == other.key and section.ours and not wg_quick_peers.covers(section.allowed, agreed.remote)
        for section in sections
    )
    return (leads.remote == agreed.remote and leads.local not in own) or (moved and leads.local == agreed.local)


def callable_at(here, other, sections, live):
    """The addresses at which the other site is called. Raises L2wgError where neither could call the other, or by no name."""
    known = [section.endpoint for section in sections if section.key == other.key] + [
        peer.endpoint for peer in (live.peers if live else ()) if peer.key == other.key
    ]
    if not other.endpoint and not here.card.endpoint and not any(known):
        message = "neither of the two sites says how it can be called"
        fail(message, "on one that can be reached from outside: l2wg card --endpoint HOST. Then pair with that card")
    if other.endpoint:
        host, port = card.endpoint(other.endpoint)
        try:
            return sorted({row[4][0].partition("%")[0] for row in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)})
        except OSError as error:
            # wg-quick(8) does not bring up an interface with such a peer.
            hint = f"is DNS at work here? Or: l2wg card --endpoint HOST on {other.name}, and pair with that card"
            fail(f"{host}, where {other.name} is to be called, is not found: {error.args[-1]}", hint)
    return []


def _ways(here, other):
    """The lines of a [Peer] that say how the two find each other."""
    found = [("Endpoint", other.endpoint)] if other.endpoint else []
    return found + ([("PersistentKeepalive", str(terms.KEEPALIVE))] if other.endpoint and not here.card.endpoint else [])


def with_peer(text, agreed, other, here, leads=None):
    """The wg-quick file with the other site in it, as far as it is not."""
    known = [section for section in wg_quick_peers.sections(text) if section.key == other.key]
    if not known:
        end = wg_quick_peers.host(agreed.remote)
        values = [("PublicKey", other.key), ("AllowedIPs", end)] + _ways(here, other)
        return wg_quick_peers.add(text, other.name, values)
    now = {"Endpoint": known[-1].endpoint, "PersistentKeepalive": known[-1].keepalive}
    # How the admin has it called works, perhaps, while the card's way is new to this router.
    changed = {key: value for key, value in _ways(here, other) if now[key] != value and (known[-1].ours or not now[key])}
    text = wg_quick_peers.change(text, other.key, changed)
    remote = leads.remote if leads else agreed.remote
    if not wg_quick_peers.covers([network for section in known for network in section.allowed], remote):
        text = wg_quick_peers.allow(text, other.key, wg_quick_peers.host(remote))
    return text


def _other_way(text, other):
    for section in wg_quick_peers.sections(text):
        if section.key == other.key and other.endpoint and section.endpoint != other.endpoint:
            words = (other.name, section.endpoint or "no address", other.endpoint)
            yield "{} is called at {}, as its [Peer] has it, not at {}, as its card says".format(*words)


def _live(text, agreed, other, here, live, leads):
    """(Steps, (Peer as it was,), words of routes) that bring the interface that is up to the file's peer, and touch no other."""
    if live is None or here.walled:
        return (), (), ()  # plan/wire_steps.py has it as the file has it
    section = next(peer for peer in wg_quick_peers.sections(text) if peer.key == other.key)
    remote = leads.remote if leads else agreed.remote
    now = next((peer for peer in live.peers if peer.key == other.key), wg_interfaces.unknown(other.key))
    before = [peer for peer in wg_quick_peers.sections(here.text) if peer.key == other.key]
    words = ()
    if section.endpoint and (now.handshake == wg_interfaces.NEVER or [peer.endpoint for peer in before] != [section.endpoint]):
        words += ("endpoint", section.endpoint)
    if section.keepalive.isdigit() and now.keepalive is None:
        words += ("persistent-keepalive", section.keepalive)
    if not wg_quick_peers.covers(now.allowed, remote):
        # What somebody has added by hand stays.
        rest = (
            [network for network in section.allowed if network not in now.allowed] if now.handshake == wg_interfaces.NEVER else []
        )
        end = wg_quick_peers.host(remote)
        words += ("allowed-ips", ",".join(now.allowed + tuple(rest) + (() if end in rest else (end,))))
    steps = []
    if words or now.handshake == wg_interfaces.NEVER:
        argv = ("wg", "set", here.underlay, "peer", other.key) + words
        steps.append(Step(argv, "it is told now, and no other peer notices", here.underlay))
    changed = (now,) if steps else ()
    ways = _route(remote, here)
    reason = "the way to the tunnel's far end"
    steps += [Step(("ip", "route", "add") + words, reason, here.underlay) for words in ways]
    return tuple(steps), changed, ways


def _route(remote, here):
    """The words of the route that wg-quick(8) would add at its next start (add_route), unless there is one."""
    table = ([value for value in wg_quick_peers.interface_values(here.text, "table")] or ["auto"])[-1]
    where = () if table in ("auto", "main") else ("table", table)
    if table == "off" or process.output("ip", "route", "show", "dev", here.underlay, "match", remote, *where).strip():
        return ()
    return ((remote, "dev", here.underlay) + where,)


def _wish(name, agreed, other, here, tunnels, wanted, before, links, ask_ports):
    """{tunnel: text} of the file to write; empty where it says all that already.

    `before` is the Tunnel that leads there as its file has it, and with the ends that it is to have; or twice None.
    """
    old, leads = before
    values = {
        "encapsulation": agreed.encapsulation,
        "key": "" if agreed.number is None else str(agreed.number),
        "mtu": str(agreed.mtu),
        "site": other.name,
    }
    path = store.path(name)
    bridge_choice.refuse_missing(wanted.ports, links)
    if leads and (leads.local, leads.remote) != (agreed.local, agreed.remote):
        return {}  # made by hand, with ends of its own: negotiate.notes tells what differs
    said = {"bridge": wanted.bridge, "bridge-ports": " ".join(wanted.ports), "bridge-address": wanted.address}
    if leads:
        values.update((key, value) for key, value in said.items() if value)
        values.update(local=leads.local, remote=leads.remote)
        changes = {key: value for key, value in values.items() if edit.differs(old, key, value)}
        text = tunnel_file.edit(files.read(path), changes)
    else:
        bridge, ports = bridge_choice.find(tunnels, wanted, links, ask_ports)
        unwritten = {"encapsulation": registry.DEFAULT, "mtu": "1500"}
        values["wire"] = "own" if here.walled else ""
        values = {key: value for key, value in values.items() if value != unwritten.get(key, "")}
        values.update({"underlay": here.underlay, "local": agreed.local, "remote": agreed.remote, "bridge": bridge})
        values.update({"bridge-ports": " ".join(ports), "bridge-address": wanted.address})
        text = tunnel_file.fresh(name, values)
    if text == files.text(path):
        return {}
    tunnel, problems = tunnel_file.parse(text, path, name)
    problems += store.load({name: text}).problems if tunnel else ()
    if problems:
        raise L2wgError(*problems)
    return {name: text}


def _refuse_nixos(other):
    """Raise L2wgError on NixOS, with what to write into its configuration."""
    here = local_facts.look(local_facts.underlay(), link_table.read())
    try:
        agreed = terms.find(here.card, other)
    except Refused as error:
        fail(*error.args)
    hint = "put this into it:\n" + negotiate.nix(agreed, other, here.underlay, bool(here.card.endpoint))
    fail("this is NixOS: its configuration writes these files", hint)
