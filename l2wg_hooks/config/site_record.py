"""What of /etc/l2wg/sites was carried out last: what stands by it stays, whatever becomes of the file.

Kept in /run: lines of the file as they were, and lines of ours, which no line of a file begins like:

    own WIREGUARD shared|own KEY      which site this router is, by the lines below: that of the net, and those of sites
    peer WIREGUARD IFINDEX KEY        a peer that l2wg has told that interface of

What stays of an earlier file is below an `own` of its own, with the line of the net and that of this router which it stands by.
Where there is nothing (after a boot), what was applied last is the same.
"""

import re

from l2wg_hooks import errors
from l2wg_hooks.config import last_applied, schema, site_file, site_lines, site_mesh, site_tunnels, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Tunnel
from l2wg_hooks.system import files
from l2wg_hooks.typed import List, NamedTuple, Set, Tuple

PATH = "/run/l2wg.sites"
_OWN, _PEER = "own ", "peer "
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
    """`peers` are (interface, its number, public key)."""

    groups: Tuple[Group, ...] = ()
    peers: Tuple[Tuple[str, int, str], ...] = ()


def read():
    """The Record; an empty one where there is none."""
    return parse(files.kept(PATH))


def parse(text):
    """The Record of a text; a line that is not as we write it counts as not there."""
    groups: List[Tuple[str, site_tunnels.Wire, List[str]]] = []
    peers: List[Tuple[str, int, str]] = []
    for line in text.split("\n"):
        words = line.split(" ")
        if line.startswith(_OWN):
            if len(words) == 4 and schema.NAME.match(words[1]) and words[2] in ("own", "shared"):
                groups.append((words[3], site_tunnels.Wire(words[1], words[2] == "own"), []))
        elif line.startswith(_PEER):
            if len(words) == 4 and schema.NAME.match(words[1]) and re.match("[0-9]{1,10}\\Z", words[2]):
                peers.append((words[1], int(words[2]), words[3]))
        elif groups and line:
            groups[-1][2].append(line)
    return Record(tuple(Group(key, wire, tuple(rows)) for key, wire, rows in groups), tuple(peers))


def write(rows, peers):
    """Keep these: rows of a Net, and those of peers. Raises L2wgError."""
    lines = list(rows) + ["peer %s %d %s" % row for row in sorted(peers)]
    text = "".join(line + "\n" for line in lines)
    if text != files.kept(PATH):
        files.keep(PATH, text)


def steady(wished, departs=False):
    """The Wish with what stands by earlier lines of the file, and is told of by none that counts now: it stays.

    A tunnel goes for a line that says that its site is out. One whose line has just gone may be missing in an older copy of the
    file: it goes where such a site `departs`, as by `l2wg apply`, unless there are faults in the file. On NixOS the file is no
    copy: each one that is there was switched to.
    """
    net = wished.net
    if net is None:
        return wished
    record = read()
    if not net.problems and (departs or last_applied.is_nixos(store.SITES)):
        return wished._replace(net=net._replace(rows=_rows(_group(net, wished))))
    kept, groups = _kept(net, wished, record if record.groups else _applied(wished))
    problems = wished.problems
    if kept and not net.problems:
        names = errors.listed(sorted(site for tunnel in kept for site in _sites(tunnel)), NAMED)
        message = f"no line has {names} any longer, and none says that it is out: no event takes its tunnel down"
        hint = "is this an older copy? Copy the newer one. To take it out: gone=DAY in its line, or l2wg apply"
        problems += (Problem(message, hint, site_file.path()),)
    tunnels = site_mesh.joined(wished.tunnels, kept)
    return wished._replace(tunnels=tunnels, problems=problems, net=net._replace(rows=_rows(*groups)))


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
    out = net.lines.gone() | {peer.key for tunnel in wished.tunnels for peer in tunnel.peers}
    if net.known:
        out |= {site.key for site in net.lines.living() if not site_tunnels.meet(net.lines.net, net.part.own, site)}
    groups = [_group(net, wished)] if net.known else []
    # These stand in the file as they did: of a thousand lines, none is read twice where none has changed.
    same = {site.text for site in net.lines.living() if site.key in out}
    found: List[Tunnel] = []
    for group in record.groups:
        if same.issuperset(group.rows[2:]):
            continue
        old = site_lines.parse("".join(row + "\n" for row in group.rows), site_file.path())
        own = next((site for site in old.sites if site.key == group.key), None)
        if own is None or old.net is None:
            continue
        sites = [site for site in old.sites if not site.gone and site.key not in out]
        every = wished.tunnels + tuple(found)
        if old.net.is_one_tunnel:
            every = site_mesh.apart(every, site_file.path())
        by_hand = site_tunnels.ByHand(
            every,
            net.by_hand.names | {tunnel.name for tunnel in every},
            net.by_hand.ends.union(*(tunnel.far_ends for tunnel in every)),
        )
        if old.net.is_one_tunnel:
            hub = next((site for site in old.sites if site.name in old.net.hubs), None)
            kept = site_mesh.between(old.net, own, sites, group.wire, by_hand, site_file.path(), stands=True, hub=hub)[0]
        else:
            kept = site_tunnels.between(old.net, own, sites, group.wire, by_hand, site_file.path())[0]
        # The lines that they stand by are no longer there.
        found += [tunnel._replace(lines={}) for tunnel in kept]
        staying = {peer.key for tunnel in kept for peer in tunnel.peers}
        out |= staying
        rows = tuple(site.text for site in sites if site.key in staying)
        head = (old.net.text, own.text)
        if groups and groups[0].head == group.head and groups[0].rows[:2] == head:
            groups[0] = groups[0]._replace(rows=groups[0].rows + rows)
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


def keep(wished, links, seen, more):
    """Keep what is carried out now, before it is; `more` are {WireGuard interface: PeerWishes} that it is about to be told of."""
    if seen.told is None and wished.net is None:
        return
    # One that is there no more, and comes back, is somebody's.
    there = {name: {peer.key for peer in these} for name, these in seen.peers.items()}
    peers = {(name, links[name].ifindex, key) for name, key in seen.told or () if name in links and key in there.get(name, ())}
    peers |= {(name, links[name].ifindex, peer.key) for name, these in more.items() if name in links for peer in these}
    rows = wished.net.rows if wished.net is not None else ()
    try:
        write(rows, peers)
    except L2wgError:  # a full /run
        pass
