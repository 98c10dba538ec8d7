"""`l2wg unpair`: what `l2wg pair` has brought goes again: tunnel, peer, route, our lines; whole or not at all.

A peer goes only where all of it is what `pair` writes, and nothing else needs it. What stays is told, with its reason.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.apply import preview
from l2wg_hooks.config import allowed_ips, schema, store, wg_quick, wg_quick_peers
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.model import Step, Tunnel
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import local_facts, site
from l2wg_hooks.system import files, process

# The keys that `pair` writes into a [Peer] section.
WRITTEN = ("[peer]", "publickey", "allowedips", "endpoint", "persistentkeepalive")
# What `ip route` prints of a route as wg-quick(8) and `pair` add them, beside its address: of IPv4 and of IPv6.
PLAIN = {"proto", "boot", "scope", "link", "metric", "1024", "pref", "medium"}


class Lead(NamedTuple):
    """A way to another site: a tunnel (None: only a peer is left of it), the peer's public key ("": none), its WireGuard."""

    tunnel: Optional[Tunnel]
    key: str
    underlay: str
    names: Tuple[str, ...]

    def __str__(self):
        return self.tunnel.name if self.tunnel else self.key


class Wires(NamedTuple):
    """A WireGuard interface: its wg-quick file ("": none), its sections, and its wg_interfaces.Interface (None: it is down)."""

    text: str
    sections: Tuple[wg_quick_peers.Section, ...]
    live: Optional[wg_interfaces.Interface]

    def holders(self):
        """The Sections of the file, and those of peers that are in no file."""
        return wg_quick_peers.holders(self.sections, self.live.peers if self.live else ())


class Unpairing(NamedTuple):
    """What would be done, as for pair.Pairing; `called` is what the other site is called in messages."""

    called: str
    shown: Dict[str, Tuple[str, str]]
    more: preview.ExtraChanges
    notes: Tuple[str, ...]


def intend(name):
    """The Unpairing from the site, the tunnel or the public key `name`; nothing is changed. Raises L2wgError."""
    if local_facts.is_nixos():
        hint = f"take services.l2wg.tunnels.NAME and the peer of {schema.shown(name)} out of it, then: nixos-rebuild switch"
        fail("this is NixOS: its configuration writes these files", hint)
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    links = link_table.read()
    underlays = sorted({tunnel.underlay for tunnel in wished.tunnels} | set(wg_quick.names()))
    wires = {underlay: _wires(underlay, links) for underlay in underlays}
    going = _meant(name, leads(wished.tunnels, wires))
    underlay, key = going[0].underlay, going[0].key
    gone = [lead.tunnel for lead in going if lead.tunnel]
    left = [tunnel for tunnel in wished.tunnels if tunnel not in gone]
    for tunnel in gone:
        if tunnel.peers:
            other = tunnel.site or next((peer.site for peer in tunnel.peers if peer.key == key), "NAME")
            hint = f"l2wg revoke {other}"
            fail(f"{tunnel.name} comes of this line, and goes by it", hint, path=tunnel.path, line=tunnel.lines.get("", 0))
        if tunnel.remotes:
            ends = [end for end in tunnel.far_ends if wg_quick_peers.owner(wires[underlay].holders(), end) != key]
            hint = f"l2wg set {tunnel.name} 'remote={' '.join(ends)}'; l2wg apply; then take its [Peer] out"
            message = f"{tunnel.name} leads to other sites, too, and stays"
            fail(message, hint if ends else f"rm {tunnel.path}; l2wg apply", path=tunnel.path, line=tunnel.lines.get("remote", 0))
    wire = wires[underlay]
    why = _needed(key, wire, gone, [tunnel for tunnel in left if tunnel.underlay == underlay], underlay)
    called = next((label for lead in going for label in lead.names), str(going[0]))
    notes, text = [], wire.text
    if why:
        notes.append(f"the peer {key} of {underlay} stays: {why}")
    elif any(section.key == key for section in wire.sections):
        text = wg_quick_peers.remove(text, key)
    if not any(tunnel.underlay == underlay for tunnel in left):
        text = wg_quick.detach(text, underlay)
    known = next((peer for peer in (wire.live.peers if wire.live else ()) if peer.key == key), None)
    steps, ways = [], ()
    walled = local_facts.is_walled(underlay, links, wire.text)
    if known and not why and not walled:
        steps.append(Step(("wg", "set", underlay, "peer", key, "remove"), "no tunnel leads to it any longer", underlay))
        ends = [end for tunnel in gone for end in tunnel.far_ends] or [network.partition("/")[0] for network in known.allowed]
        ways, told = _ways(ends, underlay, wire.text)
        notes += told
        steps += [Step(("ip", "route", "delete") + words, "it led to that peer only", underlay) for words in ways]
    texts = {store.path(tunnel.name): (store.read(tunnel.name), "") for tunnel in gone}
    if text != wire.text:
        texts[wg_quick.path(underlay)] = (wire.text, text)
    notes += _staying(gone, left, links)
    more = preview.ExtraChanges(
        {tunnel.name: None for tunnel in gone}, texts, (), underlay, (known,) if known and not why else (),
        last=tuple(steps), lost=ways, gone=(key,) if walled and not why else (),
    )  # fmt: skip
    return Unpairing(called, more.shown(), more, tuple(notes))


def own_name():
    """What this site is called by the other one."""
    return site.load().name


def leads(tunnels, wires):
    """Every Lead of this router, by its tunnels and by the peers that `pair` has written. `wires` is {WireGuard: Wires}."""
    found, held = [], set()
    for tunnel in tunnels:
        wire = wires[tunnel.underlay]
        keys = [wg_quick_peers.owner(wire.holders(), end) for end in tunnel.far_ends]
        for key in dict.fromkeys(keys):
            marks = [section.ours for section in wire.sections if section.key == key and section.ours and key]
            held.add((tunnel.underlay, key))
            sites = [tunnel.site] + [peer.site for peer in tunnel.peers if peer.key == key]
            found.append(Lead(tunnel, key, tunnel.underlay, tuple(dict.fromkeys(filter(None, sites + marks)))))
    for name, wire in sorted(wires.items()):
        for section in wire.sections:
            if section.ours and (name, section.key) not in held:
                held.add((name, section.key))
                found.append(Lead(None, section.key, name, (section.ours,)))
    return found


def _wires(name, links):
    text = files.text(wg_quick.path(name))
    return Wires(text, tuple(wg_quick_peers.sections(text)), wg_interfaces.look(name) if name in links else None)


def _meant(name, known):
    """The Leads that are called `name`: all to one peer. Raises L2wgError where there is none, or several are meant."""
    found = [lead for lead in known if name in lead.names + (lead.key,) or (lead.tunnel and lead.tunnel.name == name)]
    if not found:
        there = ", ".join(f"{lead.names[0]} ({lead})" if lead.names else str(lead) for lead in known)
        hint = f"there is: {there}" if there else f"there is no tunnel in {store.DIRECTORY}, and no peer of `l2wg pair`"
        fail(f"no other site and no tunnel is called {schema.shown(name)} here", hint)
    if len({(lead.underlay, lead.key) for lead in found}) > 1:
        meanings = ["{} {}".format(lead, f"to the peer {lead.key}" if lead.key else "to no peer") for lead in found]
        hint = (
            f"name one by its tunnel or by its key: l2wg unpair "
            f"{next((str(lead) for lead in found if not any(str(lead) in other.names for other in known)), found[0].key)}"
        )
        fail("{} may be each of these: {}".format(schema.shown(name), ", ".join(meanings)), hint)
    return found


def _needed(key, wire, gone, left, underlay):
    """Why a peer stays, in words; "" where it goes, or is gone."""
    mine = [section for section in wire.sections if section.key == key]
    live = next((peer for peer in (wire.live.peers if wire.live else ()) if peer.key == key), None)
    if not mine and not live:
        return ""
    for tunnel in left:
        if any(wg_quick_peers.owner(wire.holders(), end) == key for end in tunnel.far_ends):
            return f"{tunnel.name} also leads to it"
        if tunnel.senders and allowed_ips.overlaps([word for part in mine for word in part.allowed], tunnel.senders):
            return f"{tunnel.name} (control = evpn) takes packets from it, too"
    path = wg_quick.path(underlay)
    if not mine:
        return f"it is in no file, so somebody has added it by hand. If it is to go: wg set {underlay} peer {key} remove"
    if len(mine) > 1:
        return "it has %d [Peer] sections in %s" % (len(mine), path)
    rows = wg_quick.rows_of(wire.text)[mine[0].start : mine[0].stop]
    then = f", then wg set {underlay} peer {key} remove" if live else ""
    remedy = f"If it is to go: delete its [Peer] in {path}{then}"
    if not mine[0].ours:
        return f"its [Peer] was not written by `l2wg pair`. {remedy}"
    others = sorted({row.text.partition("=")[0].strip() for row in rows if row.key and row.key not in WRITTEN})
    if others or (live and _has_secret(underlay, key)):
        return "it has {}, which `l2wg pair` does not write. {}".format(" and ".join(others) or "a preshared key", remedy)
    allowed = set(mine[0].allowed) | set(live.allowed if live else ())
    # Of a tunnel that is gone already, the card's address was one and no more.
    ends = {wg_quick_peers.host(end) for tunnel in gone for end in tunnel.far_ends} or set(mine[0].allowed[:1])
    wider = sorted(allowed - ends) or [network for network in allowed if not network.endswith(("/32", "/128"))]
    if wider:
        return "its AllowedIPs are more than the tunnel's end: {}. {}".format(", ".join(wider), remedy)
    return ""


def _has_secret(underlay, key):
    """Whether WireGuard has a preshared key of that peer, which nobody could put back. It is not kept."""
    argv = wg_interfaces.command(underlay, "show", underlay, "preshared-keys")
    rows = [line.split("\t") for line in process.output(*argv).splitlines()]
    return any(row[0] == key and row[-1] != "(none)" for row in rows)


def _ways(ends, underlay, text):
    """(words of the routes that go, sentences of those that stay): those to `ends` that wg-quick(8), or `pair`, has added."""
    table = ([value for value in wg_quick_peers.interface_values(text, "table")] or ["auto"])[-1]
    where = () if table in ("auto", "main", "off") else ("table", table)
    found, told = [], []
    for end in ends:
        family = "-6" if ":" in end else "-4"
        for line in process.output("ip", family, "route", "show", "dev", underlay, "exact", end, *where).splitlines():
            if table == "off" or set(line.split()[1:]) - PLAIN:
                told.append(f"the route `{line.strip()}` of {underlay} stays: wg-quick(8) makes none like it")
            else:
                found.append((end, "dev", underlay) + where)
    return tuple(found), told


def _staying(gone, left, links):
    """What else the admin should know: bridges that nobody defines any more, and that are still there."""
    for name in sorted(
        {tunnel.bridge for tunnel in gone if tunnel.bridge_ports} - {tunnel.bridge for tunnel in left if tunnel.bridge_ports}
    ):
        if name in links:
            own = "" if links[name].addresses else f"; or now: ifdown --force {name}; ip link delete dev {name}"
            yield f"{name} is no longer defined, and stays up until the next boot{own}"
