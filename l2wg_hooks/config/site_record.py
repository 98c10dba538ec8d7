"""What of /etc/l2wg/sites was carried out last: what stands by it stays, whatever becomes of the file.

Kept in /run: lines of the file as they were, and lines of ours, which no line of a file begins like:

    own WIREGUARD shared|own KEY      which site this router is, by the lines below: that of the net, and those of sites
    peer WIREGUARD IFINDEX KEY        a peer that l2wg has told that interface of
    address WIREGUARD IFINDEX ADDRESS an address that l2wg has given that interface, of the hubs

What stays of an earlier file is below an `own` of its own, with the line of the net and that of this router which it stands by.
Where there is nothing (after a boot), what was applied last is the same.
"""

import re

from l2wg_hooks import errors
from l2wg_hooks.config import (
    changed_keys,
    last_applied,
    schema,
    site_file,
    site_keys,
    site_lines,
    site_mesh,
    site_tunnels,
    store,
)
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Tunnel
from l2wg_hooks.system import files
from l2wg_hooks.typed import Dict, List, NamedTuple, Set, Tuple

PATH = "/run/l2wg.sites"
_OWN, _PEER, _ADDRESS = "own ", "peer ", "address "
# In the line of a site that is changing its key.
_CHANGES = " was="
# Names in a message.
NAMED = 5


class Group(NamedTuple):
    """Lines of a file: `key` is this router's, `wire` where it is."""

    key: str
    wire: site_tunnels.Wire
    rows: Tuple[str, ...] = ()

    @property
    def head(self):
        """What comes before its rows."""
        return "own %s %s %s" % (self.wire.underlay, "own" if self.wire.walled else "shared", self.key)


class Record(NamedTuple):
    """`peers` are (interface, its number, public key), `addresses` (interface, its number, address)."""

    groups: Tuple[Group, ...] = ()
    peers: Tuple[Tuple[str, int, str], ...] = ()
    addresses: Tuple[Tuple[str, int, str], ...] = ()


def read():
    """The Record; an empty one where there is none."""
    return parse(files.kept(PATH))


def parse(text):
    """The Record of a text; a line that is not as we write it counts as not there."""
    groups: List[Tuple[str, site_tunnels.Wire, List[str]]] = []
    peers: List[Tuple[str, int, str]] = []
    addresses: List[Tuple[str, int, str]] = []
    for line in text.split("\n"):
        words = line.split(" ")
        if line.startswith(_OWN):
            if len(words) == 4 and schema.NAME.match(words[1]) and words[2] in ("own", "shared"):
                groups.append((words[3], site_tunnels.Wire(words[1], words[2] == "own"), []))
        elif line.startswith((_PEER, _ADDRESS)):
            if len(words) == 4 and schema.NAME.match(words[1]) and re.match("[0-9]{1,10}\\Z", words[2]):
                rows = peers if line.startswith(_PEER) else addresses
                rows.append((words[1], int(words[2]), words[3]))
        elif groups and line:
            groups[-1][2].append(line)
    return Record(tuple(Group(key, wire, tuple(rows)) for key, wire, rows in groups), tuple(peers), tuple(addresses))


def write(rows, peers, addresses=()):
    """Keep these: rows of a Net, those of peers, and those of addresses. Raises L2wgError."""
    lines = list(rows) + ["peer %s %d %s" % row for row in sorted(peers)]
    lines += ["address %s %d %s" % row for row in sorted(addresses)]
    text = "".join(line + "\n" for line in lines)
    if text != files.kept(PATH):
        files.keep(PATH, text)


def steady(wished, departs=False):
    """The Wish with what stands by earlier lines of the file, and is told of by none that counts now: it stays.

    A tunnel goes for a line that says that its site is out. One whose line has just gone may be missing in an older copy of the
    file: it goes where such a site `departs`, as by `l2wg apply`, unless there are faults in the file. Nor does a site come back
    that was out in the file as it was applied last. On NixOS the file is no copy: each one that is there was switched to.
    """
    net = wished.net
    if net is None:
        return wished
    record = read()
    if not net.problems and (departs or last_applied.is_nixos(store.SITES)):
        return wished._replace(net=net._replace(rows=_rows(_group(net, wished))))
    wished = _without_returned(wished, record)
    record = record if record.groups else _applied(wished)
    wished, older = _with_both_keys(wished, record)
    kept, groups = _kept(net, wished, record)
    groups = _with_rows(groups, older)
    problems = wished.problems
    for name, site in older.values():
        message = f"{name} is changing its key, by what was carried out last; this line is from before that"
        hint = "is this an older copy? Copy the newer one. If the change is off: l2wg apply"
        problems += (Problem(message, hint, site_file.path(), site.line),)
    if kept and not net.problems:
        names = errors.listed(sorted(site for tunnel in kept for site in _sites(tunnel)), NAMED)
        message = f"no line has {names} any longer, and none says that it is out: no event takes its tunnel down"
        hint = "is this an older copy? Copy the newer one. To take it out: gone=DAY in its line, or l2wg apply"
        problems += (Problem(message, hint, site_file.path()),)
    tunnels = site_mesh.joined(wished.tunnels, kept)
    return wished._replace(tunnels=tunnels, problems=problems, net=net._replace(rows=_rows(*groups)))


def _with_both_keys(wished, record):
    """(the Wish where who is changing its key has both, {new key: (name, the Site of the Record)}), by an older copy of the file.

    The site may have switched already, and the former key alone would be nobody's.
    """
    found = {}
    for group in record.groups:
        if not any(_CHANGES in row for row in group.rows):
            continue  # of a thousand lines hardly one, and to read them all takes its time
        found.update(site_keys.pending(site_keys.settled(_parsed(group), changed_keys.read(), "")))
    if not found:
        return wished, {}
    line_of = {site.key: site.line for site in wished.net.lines.living()}
    older: Dict[str, Tuple[str, site_lines.Site]] = {}
    tunnels = []
    for tunnel in wished.tunnels:
        peers = []
        for peer in tunnel.peers:
            site = found.get(peer.key)
            if site is not None and not peer.was:
                older[site.key] = (site.name, site._replace(line=line_of.get(peer.key, 0)))
                # One that is reached by the hub is no peer of WireGuard's here.
                peer = peer._replace(key=site.key, was="" if peer.by else site.was)
            if peer.by in found:
                peer = peer._replace(by=found[peer.by].key)
            peers.append(peer)
        tunnels.append(tunnel._replace(peers=tuple(peers)))
    return (wished._replace(tunnels=tuple(tunnels)) if older else wished), older


def _with_rows(groups, older):
    """The Groups, the first one with the lines that stand in the place of older ones."""
    if not groups or not older:
        return groups
    rows = tuple(site.text for _, site in older.values())
    return [groups[0]._replace(rows=groups[0].rows + rows), *groups[1:]]


def _without_returned(wished, record):
    """The Wish without the sites that were out in what was applied last, and are in by their lines: no event lets them."""
    out = _applied_out()
    found = [site for site in wished.net.lines.living() if site.key in out] if out else []
    if found:
        standing = {site.key for group in record.groups for site in _parsed(group).sites}
        found = [site for site in found if site.key not in standing]
    keys = {site.key for site in found}
    path = site_file.path()
    tunnels = [_without(tunnel, keys) if tunnel.path == path else tunnel for tunnel in wished.tunnels]
    return wished._replace(
        tunnels=tuple(tunnel for tunnel in tunnels if tunnel is not None),
        problems=wished.problems + tuple(_returned(site, out[site.key], path) for site in found),
    )


def _applied_out():
    """{public key: the day since which it is out} of the file as it was applied last."""
    text = last_applied.read().get(store.SITES, "")
    rows = "".join(row + "\n" for row in text.split("\n") if " gone=" in row)
    return {site.key: site.gone for site in site_lines.parse(rows, "").sites if site.gone} if rows else {}


def _returned(site, day, path):
    message = f"{site.name} was put out on {day}, and this line says nothing of it: no event lets it in again"
    return Problem(message, "is this an older copy? Copy the newer one. To let it in again: l2wg apply", path, site.line)


def _without(tunnel, keys):
    """A Tunnel without the sites of these keys; None where it leads to no other."""
    left = tuple(peer for peer in tunnel.peers if peer.key not in keys)
    if len(left) == len(tunnel.peers):
        return tunnel
    return tunnel._replace(peers=left, remotes=tuple(peer.ends[0] for peer in left)) if left else None


def _parsed(group):
    """The Lines of a Group."""
    return site_lines.parse("".join(row + "\n" for row in group.rows), site_file.path())


def last(wished):
    """The Wish where the part of the file is as it was carried out last: for whoever leaves alone what somebody edits."""
    tunnels = tuple(tunnel for tunnel in wished.tunnels if tunnel.path != site_file.path())
    record = read()
    by_hand = wished.net.by_hand if wished.net is not None else site_file.hand(tunnels, {name: "" for name in wished.broken})
    net = site_file.Net(site_lines.Lines(), site_tunnels.Part(), None, by_hand)
    bare = wished._replace(tunnels=tunnels, net=net)
    kept, groups = _kept(net, bare, record if record.groups else _applied(bare))
    every = site_mesh.joined(tunnels, kept)
    return bare._replace(tunnels=every, net=net._replace(rows=_rows(*groups)))


def _applied(wished):
    """The Record that would be of what was applied last."""
    text = last_applied.read().get(store.SITES)
    if text is None:
        return Record()
    by_hand = [tunnel for tunnel in wished.tunnels if tunnel.path != site_file.path()]
    net = site_file.net(text, by_hand, {})
    if not net.known:
        return Record()
    rows = [net.lines.net.text] + [site.text for site in net.lines.living()]
    return Record((Group(net.part.own.key, net.wire, tuple(rows)),))


def _kept(net, wished, record):
    """(Tunnels that stay, Groups to keep): of the Record's sites those of which nothing in the Net says that they are to go."""
    # Of a line that says that a site is out and one that says otherwise, neither counts.
    out = net.lines.gone() - {site.key for site in net.lines.faulty if not site.gone}
    mine = {peer.key for tunnel in wished.tunnels for peer in tunnel.peers}
    # By its former key, too, who changes it is no other site.
    out |= mine | {site.was for site in net.lines.living() if site.key in mine}
    if net.known:
        out |= {site.key for site in net.lines.living() if not site_tunnels.meet(net.lines.net, net.part.own, site)}
    groups = [_group(net, wished)] if net.known else []
    # These stand in the file as they did: of a thousand lines, none is read twice where none has changed.
    same = {site.text for site in net.lines.living() if site.key in out}
    found: List[Tunnel] = []
    for group in record.groups:
        if same.issuperset(group.rows[2:]):
            continue
        old = site_keys.settled(_parsed(group), changed_keys.read(), site_file.path())
        own = next((site for site in old.sites if site.key == group.key), None)
        if own is None or old.net is None:
            continue
        if net.known and old.net.hub_address and own.name not in old.net.hubs:
            continue  # to whom its one tunnel leads, the line of the net says, or it would be another way to one of them
        sites = [site for site in old.sites if not site.gone and site.key not in out]
        hubs = [site for site in old.sites if site.name in old.net.hubs]
        every = wished.tunnels + tuple(found)
        if old.net.is_one_tunnel:
            every = site_mesh.apart(every, site_file.path())
        by_hand = site_tunnels.ByHand(
            every,
            net.by_hand.names | {tunnel.name for tunnel in every},
            net.by_hand.ends.union(*(tunnel.far_ends for tunnel in every)),
        )
        if old.net.is_one_tunnel:
            # Of BGP's reflectors the first one that the net's line names.
            hub = next((site for name in old.net.hubs for site in old.sites if site.name == name), None)
            kept = site_mesh.between(old.net, own, sites, group.wire, by_hand, site_file.path(), stands=True, hub=hub)[0]
        else:
            kept = site_tunnels.between(old.net, own, sites, group.wire, by_hand, site_file.path(), hubs)[0]
            kept = site_file.listening(kept)
        # The lines that they stand by are no longer there.
        found += [tunnel._replace(lines={}) for tunnel in kept]
        staying = {peer.key for tunnel in kept for peer in tunnel.peers}
        out |= staying
        more = [site for site in hubs if len(hubs) > 1 and kept and site.key not in (own.key, *staying)]
        rows = tuple(dict.fromkeys(site.text for site in sites + more if site.key in staying or site in more))
        head = (old.net.text, own.text)
        if groups and groups[0].head == group.head and groups[0].rows[:2] == head:
            groups[0] = groups[0]._replace(rows=tuple(dict.fromkeys(groups[0].rows + rows)))
        elif rows:
            groups.append(group._replace(rows=head + rows))
    return found, groups


def _group(net, wished):
    """The Group of a Net that is known: the lines that this router's tunnels come of."""
    mine: Set[str] = {peer.key for tunnel in wished.tunnels for peer in tunnel.peers}
    rows = tuple(site.text for site in net.lines.living() if site.key in mine)
    return Group(net.part.own.key, net.wire, (net.lines.net.text, net.part.own.text) + rows)


def _sites(tunnel):
    return [tunnel.site] if tunnel.site else [peer.site for peer in tunnel.peers]


def _rows(*groups):
    return tuple(row for group in groups for row in (group.head, *group.rows))


def told(links, names):
    """{(WireGuard interface, public key)} of the peers that l2wg has told interfaces of, as far as these are still the same.

    `names` are {WireGuard interface: public keys in its own file}: who stands there is its admin's.
    """
    found = set()
    for name, index, key in read().peers:
        if name in links and links[name].ifindex == index and key not in names(name):
            found.add((name, key))
    return frozenset(found)


def given(links):
    """{(WireGuard interface, address)} of what l2wg has given interfaces, as far as these are still the same, and have it."""
    return frozenset(
        (name, address)
        for name, index, address in read().addresses
        if name in links and links[name].ifindex == index and link_has(links[name], address)
    )


def link_has(link, address):
    """Whether an interface has an IP address."""
    return address in {word.partition("/")[0] for word in link.addresses}


def keep(wished, links, seen, more, addresses=()):
    """Keep what is carried out now, before it is; `more` are {WireGuard interface: PeerWishes} that it is about to be told of.

    `addresses` are (WireGuard interface, address) that it is about to be given.
    """
    if seen.told is None and wished.net is None:
        return
    # One that is there no more, and comes back, is somebody's.
    there = {name: {peer.key for peer in these} for name, these in seen.peers.items()}
    peers = {(name, links[name].ifindex, key) for name, key in seen.told or () if name in links and key in there.get(name, ())}
    peers |= {(name, links[name].ifindex, peer.key) for name, these in more.items() if name in links for peer in these}
    rows = wished.net.rows if wished.net is not None else ()
    has = {(name, links[name].ifindex, address) for name, address in {*(seen.given or ()), *addresses} if name in links}
    try:
        write(rows, peers, has)
    except L2wgError:  # a full /run
        pass
