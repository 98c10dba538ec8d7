"""What of /etc/l2wg/sites was carried out last: what stands by it stays, whatever becomes of the file.

Kept in /run: lines of the file as they were, and lines of ours, which no line of a file begins like:

    own WIREGUARD shared|own KEY      which site this router is
    peer WIREGUARD IFINDEX KEY        a peer that l2wg has told that interface of

Where there is none (after a boot), what was applied last is the same.
"""

from l2wg_hooks import errors
from l2wg_hooks.config import last_applied, schema, site_file, site_lines, site_tunnels, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files
from l2wg_hooks.typed import Dict, List, NamedTuple, Set, Tuple

PATH = "/run/l2wg.sites"
_OWN, _PEER = "own ", "peer "
# Names in a message.
NAMED = 5


class Record(NamedTuple):
    """`rows` are lines of the file, `wires` {public key: Wire} of the own one, `peers` (interface, its number, public key)."""

    rows: Tuple[str, ...] = ()
    wires: Dict[str, site_tunnels.Wire] = {}
    peers: Tuple[Tuple[str, int, str], ...] = ()


def read():
    """The Record; an empty one where there is none."""
    rows: List[str] = []
    wires: Dict[str, site_tunnels.Wire] = {}
    peers: List[Tuple[str, int, str]] = []
    for line in files.kept(PATH).splitlines():
        words = line.split(" ")
        if line.startswith(_OWN):
            if len(words) == 4 and schema.NAME.match(words[1]):
                wires[words[3]] = site_tunnels.Wire(words[1], words[2] == "own")
        elif line.startswith(_PEER):
            if len(words) == 4 and schema.NAME.match(words[1]) and words[2].isdigit() and len(words[2]) < 12:
                peers.append((words[1], int(words[2]), words[3]))
        else:
            rows.append(line)
    return Record(tuple(rows), wires, tuple(peers))


def write(rows, peers):
    """Keep these: rows of a Net, and those of peers. Raises L2wgError."""
    lines = list(rows) + ["peer %s %d %s" % row for row in sorted(peers)]
    text = "".join(line + "\n" for line in lines)
    if text != files.kept(PATH):
        files.keep(PATH, text)


def steady(wished, departs=False):
    """The Wish with what stands by earlier lines of the file, and is told of by none that counts now: it stays.

    A tunnel goes for a line that says that its site is out. One whose line has just gone may be missing in an older copy of the
    file: it goes where such a site `departs`, as by `l2wg apply`, unless there are faults in the file.
    """
    net = wished.net
    if net is None:
        return wished
    record = read()
    if departs and not net.problems:
        return wished._replace(net=net._replace(rows=_rows(net, wished, ())))
    kept, rows = _kept(net, wished, record if record.rows else _applied(wished))
    problems = wished.problems
    if kept and not net.problems:
        names = errors.listed(sorted(tunnel.site for tunnel in kept), NAMED)
        message = f"no line has {names} any longer, and none says that it is out: no event takes its tunnel down"
        hint = "is this an older copy? Copy the newer one. To take it out: gone=DAY in its line, or l2wg apply"
        problems += (Problem(message, hint, site_file.path()),)
    tunnels = tuple(sorted(wished.tunnels + tuple(kept), key=lambda tunnel: tunnel.name))
    return wished._replace(tunnels=tunnels, problems=problems, net=net._replace(rows=rows))


def last(wished):
    """The Wish where the part of the file is as it was carried out last: for whoever leaves alone what somebody edits."""
    tunnels = tuple(tunnel for tunnel in wished.tunnels if tunnel.path != site_file.path())
    record = read()
    by_hand = wished.net.by_hand if wished.net is not None else site_file.hand(tunnels, {name: "" for name in wished.broken})
    net = site_file.Net(site_lines.Lines(), site_tunnels.Part(), None, by_hand)
    bare = wished._replace(tunnels=tunnels, net=net)
    kept, rows = _kept(net, bare, record if record.rows else _applied(bare))
    every = tuple(sorted(tunnels + tuple(kept), key=lambda tunnel: tunnel.name))
    return bare._replace(tunnels=every, net=net._replace(rows=rows))


def _applied(wished):
    """The Record that would be of what was applied last."""
    text = last_applied.read().get(store.SITES)
    if text is None:
        return Record()
    by_hand = [tunnel for tunnel in wished.tunnels if tunnel.path != site_file.path()]
    net = site_file.net(text, by_hand, {})
    return Record(_texts(net.lines), {net.part.own.key: net.wire} if net.part.own else {})


def _texts(lines):
    return tuple(part.text for part in ((lines.net,) if lines.net else ()) + lines.sites)


def _kept(net, wished, record):
    """(Tunnels that stay, rows to keep): of the Record's sites those that no line of the Net says anything of."""
    old = site_lines.parse("".join(row + "\n" for row in record.rows), site_file.path())
    own = next((site for site in old.sites if site.key in record.wires), None)
    base, own, wire = (
        (net.lines.net, net.part.own, net.wire) if net.known else (old.net, own, record.wires[own.key] if own else None)
    )
    if base is None or own is None:
        return [], ()
    mine = {peer.key for tunnel in wished.tunnels for peer in tunnel.peers}
    out = net.lines.gone() | mine | {own.key}
    sites = [site for site in old.sites if not site.gone and site.key not in out]
    by_hand = net.by_hand
    by_hand = site_tunnels.ByHand(
        wished.tunnels,
        by_hand.names | {tunnel.name for tunnel in wished.tunnels},
        by_hand.ends | {end.remote for tunnel in wished.tunnels for end in tunnel.ends()},
    )
    tunnels = site_tunnels.between(base, own, sites, wire, by_hand, site_file.path())[0]
    kept = [tunnel._replace(lines={}) for tunnel in tunnels]
    staying = {peer.key for tunnel in kept for peer in tunnel.peers}
    rows = [site.text for site in sites if site.key in staying]
    if net.known:
        return kept, _rows(net, wished, rows)
    return kept, _head(base, own, wire) + tuple(rows)


def _head(net, own, wire):
    return ("own %s %s %s" % (wire.underlay, "own" if wire.walled else "shared", own.key), net.text, own.text)


def _rows(net, wished, kept):
    """What is to be kept of a Net whose part is known, and of the lines that are `kept` beside."""
    mine: Set[str] = {peer.key for tunnel in wished.tunnels for peer in tunnel.peers}
    rows = tuple(site.text for site in net.lines.living() if site.key in mine)
    return _head(net.lines.net, net.part.own, net.wire) + rows + tuple(kept)


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
    peers = {(name, links[name].ifindex, key) for name, key in seen.told or () if name in links}
    peers |= {(name, links[name].ifindex, peer.key) for name, these in more.items() if name in links for peer in these}
    rows = wished.net.rows if wished.net is not None else ()
    try:
        write(rows, peers)
    except L2wgError:  # a full /run
        pass
