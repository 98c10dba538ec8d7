"""The net of /etc/l2wg/sites as this router sees it: its lines, each with the tunnel there is to that site. Pure.

render_sites.py and render_sites_json.py get this and nothing else.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

from l2wg_hooks.config import site_tunnels
from l2wg_hooks.errors import listed
from l2wg_hooks.status.status import NOTE, WRONG, Fault, State, of_problem

# Words for what there is between this router and a site, beside those for a tunnel's state.
HERE, GONE, NONE, UNKNOWN, STANDBY = "here", "gone", "none", "unknown", "standby"
CONTRADICTED, CHOOSE = "another line contradicts this one, so neither counts", "mend one of the two"
# How this router has the other sites of a star, by whether it is isolated from them.
BEYOND = {False: "by way of the hub", True: "at the hub, not seen from here"}
# Names in a message.
NAMED = 5


class Row(NamedTuple):
    """One site. `line` is that of its line, 0 where this has gone and the tunnel stands all the same.

    `by` is the site by which packets go there, the hub, or "": a handshake is seen with that one alone.
    `addresses` are those inside WireGuard, the one that its tunnel has first; `lan` is what its card says is behind it, `crowd`
    how many Ethernet addresses are heard behind it. `gone` is the day since which it is out, or "". `meets` is whether it
    is to have a tunnel with this router, None where nobody can tell. `by_hand`: its tunnel has a file of its own. `was` is its
    former key, while it changes that.
    """

    name: str
    key: str
    line: int = 0
    endpoint: str = ""
    addresses: Tuple[str, ...] = ()
    lan: str = ""
    gone: str = ""
    here: bool = False
    hub: bool = False
    meets: Optional[bool] = None
    tunnel: Optional[State] = None
    by_hand: bool = False
    crowd: int = 0
    faults: Tuple[Fault, ...] = ()
    by: str = ""
    was: str = ""

    @property
    def wrong(self):
        """The Faults that are no mere notes."""
        return tuple(fault for fault in self.faults if fault.level == WRONG)

    @property
    def peer(self):
        """The Far of this site; None where there is none, or it is the hub's."""
        if self.tunnel is None or self.by:
            return None
        if self.tunnel.wish.has_hubs:
            return self.tunnel.peer if self.listened else None
        return next((far for end, far in self.tunnel.peers.items() if end.remote in self.addresses), None)

    @property
    def listened(self):
        """Whether this is the one of two hubs that is listened to here; None where this router has no such choice."""
        if self.tunnel is None or not self.tunnel.wish.has_hubs or self.by_hand:
            return None
        return self.tunnel.peer is not None and self.tunnel.peer.key in (self.key, self.was)

    @property
    def ways(self):
        """(bytes received, bytes sent) of the site's tunnel, or, where that leads to others, too, of its peer."""
        if self.tunnel is None:
            return 0, 0
        if self.listened is False:
            return 0, 0
        if self.tunnel.wish.is_one_of_all:
            return (self.peer.received, self.peer.sent) if self.peer else (0, 0)
        return self.tunnel.traffic.received.bytes, self.tunnel.traffic.sent.bytes

    @property
    def word(self):
        """What is between it and this router, in a word."""
        if self.here:
            return HERE
        if self.tunnel is not None:
            if not self.tunnel.there:
                return "missing"
            if self.listened is False and self.tunnel.up and not self.wrong:
                return STANDBY
            return "down" if not self.tunnel.up else "WRONG" if self.wrong else "up"
        if self.gone:
            return GONE
        return {True: "missing", False: NONE, None: UNKNOWN}[self.meets]


class Table(NamedTuple):
    """All of it. `looked` is whether the kernel was asked, too.

    `shape` is "" where the net's line does not count, and then there are no `hubs`. `faults` are those of the file that are no
    site's, `elsewhere` how many things are wrong with what is no part of this net. `isolated` is whether this router's site does
    not see those that it has no tunnel to. `draft`: it is of another file than the one that holds here, so there is nothing to
    look at. `by_bgp`: the hubs are BGP's reflectors, of which the first is WireGuard's hub.
    """

    path: str
    rows: Tuple[Row, ...]
    looked: bool
    shape: str = ""
    hubs: Tuple[str, ...] = ()
    faults: Tuple[Fault, ...] = ()
    elsewhere: int = 0
    draft: bool = False
    isolated: bool = False
    by_bgp: bool = False

    @property
    def here(self):
        """The name of this router's site; "" where nobody can tell."""
        return next((row.name for row in self.rows if row.here), "")

    @property
    def wrong(self):
        """All Faults that are no mere notes."""
        every = [fault for fault in self.faults if fault.level == WRONG]
        # What is wrong with a tunnel to several sites is told at each of them, and counts once.
        return tuple(dict.fromkeys(every + [fault for row in self.rows for fault in row.wrong]))


def build(net, path, status=None, problems=()):
    """The Table of a site_file.Net; `status` is a Status, None where nobody may look.

    `problems` are all that the wish has: those of the file that no line tells of count, too, such as that it is an older copy.
    """
    sites = sorted(net.lines.sites + net.lines.faulty, key=lambda site: site.line)
    found = _Tunnels(status, path)
    of_line: Dict[int, List[Fault]] = {}
    for problem in net.lines.problems + net.part.problems:
        of_line.setdefault(problem.line, []).append(of_problem(problem, ""))
    for site in net.lines.faulty:
        # Of lines that contradict each other, the last one is told of.
        of_line.setdefault(site.line, [Fault(WRONG, "", CONTRADICTED, CHOOSE, path, site.line)])
    rows = [_row(site, net, found, of_line.pop(site.line, []), path) for site in sites]
    rows += [_lineless(key, state, found) for key, state in found.left()]
    faults = [fault for line in sorted(of_line) for fault in of_line[line]]
    told = set(net.problems)
    faults += [of_problem(problem, "") for problem in problems if problem.path == path and problem not in told]
    shape, hubs = (net.lines.net.shape, net.lines.net.hubs) if net.lines.net else ("", ())
    alone = net.lines.net is not None and bool(_said(net, "isolated"))
    table = Table(path, tuple(rows), status is not None, shape, hubs, tuple(faults), isolated=alone)
    table = table._replace(by_bgp=net.lines.net is not None and net.lines.net.by_bgp)
    shown = set(table.wrong)
    # Of a file with many mistakes the wish has the first ones, and how many more there are.
    elsewhere = [fault for fault in status.wrong if fault not in shown and fault.path != path] if status else []
    return table._replace(elsewhere=len(elsewhere))


def _said(net, field):
    """What the own line says of a tunnel's field, or else that of the net."""
    own = net.part.own.values if net.part.own else {}
    return own.get(field, net.lines.net.values.get(field))


class _Tunnels:
    """The tunnels of a Status, by whom they lead to; each is some site's once."""

    def __init__(self, status, path):
        self.status = status
        tunnels = status.tunnels if status else ()
        self.by_key = {peer.key: tunnel for tunnel in tunnels for peer in tunnel.wish.peers if tunnel.wish.path == path}
        self.by_end = {end.remote: tunnel for tunnel in tunnels if tunnel.wish.path != path for end in tunnel.wish.ends()}
        self.crowds = {port.name: port.crowd for bridge in status.bridges for port in bridge.ports} if status else {}
        self.taken = set()

    def of(self, key, addresses):
        """(State or None, whether it has a file of its own) of a site."""
        if key in self.by_key:
            self.taken.add(key)
            return self.by_key[key], False
        tunnel = next((self.by_end[address] for address in addresses if address in self.by_end), None)
        return tunnel, tunnel is not None

    def left(self):
        """[(public key, State)] of those that come of a line which is there no more."""
        return [row for row in self.by_key.items() if row[0] not in self.taken]

    def crowd(self, tunnel, addresses):
        """How many Ethernet addresses are behind a site, or, where the tunnel leads to no other, behind that."""
        if tunnel.wish.remotes:
            return sum(tunnel.behind.get(address, 0) for address in addresses)
        return self.crowds.get(tunnel.name, 0)

    def faults(self, tunnel, addresses):
        """What is wrong with one, or worth a look; of one that leads to several sites, what is not with another one."""
        hubs = {peer.by for peer in tunnel.wish.peers if peer.by and set(peer.ends).intersection(addresses)}
        ways = [end for peer in tunnel.wish.peers if peer.key in hubs for end in peer.ends]
        return [fault for fault in self.status.of(tunnel.name) if fault.far in ("", *addresses, *ways)]


def _row(site, net, found, faults, path):
    own = net.part.own
    tunnel, by_hand = found.of(site.key, site.card.addresses)
    here = own is not None and own.line == site.line
    if here:
        tunnel, by_hand = None, False
    if site.gone and by_hand:
        # Its address may be another one's by now.
        heirs = [other for other in net.lines.living() if set(other.card.addresses) & set(site.card.addresses)]
        tunnel = None if heirs else tunnel
    if site.gone and tunnel is not None:
        message = f"it is out since {site.gone}, and {tunnel.name} still leads to it"
        hint = f"its file is its own: l2wg unpair {tunnel.name}" if by_hand else "l2wg apply"
        faults = [*faults, Fault(WRONG, tunnel.name, message, hint)]
    # That by which there is a tunnel first.
    addresses = site.card.addresses
    if tunnel is not None and tunnel.wish.senders and tunnel.there and not set(addresses) & set(tunnel.wish.remotes):
        message = "FRR has not put it into the table: nothing goes there"
        hint = f"l2wg check here, and at {site.name}: does FRR run there, with what l2wg frr prints?"
        faults = [*faults, Fault(WRONG, tunnel.name, message, hint)]
    if tunnel is not None:
        addresses = tuple(sorted(addresses, key=lambda address: address not in tunnel.wish.far_ends))
    if tunnel is not None:
        faults = [*faults, *found.faults(tunnel, addresses)]
    # Who has no peer of it never hears of the end of that.
    if site.was and not site.gone and found.status is not None and (here or _is_peer(site, tunnel)):
        faults = [*faults, _changes(site, here, tunnel, addresses, path)]
    meets = None
    if own is not None and net.lines.net is not None:
        meets = not here and not site.gone and site_tunnels.meet(net.lines.net, own, site)
    return Row(
        site.name,
        site.key,
        site.line,
        site.card.endpoint,
        addresses,
        site.card.lan,
        site.gone,
        here,
        net.lines.net is not None and site.name in net.lines.net.hubs and not site.gone,
        meets,
        tunnel,
        tunnel is not None and by_hand,
        found.crowd(tunnel, addresses) if tunnel is not None else 0,
        tuple(faults),
        next(filter(None, map(tunnel.wish.by, addresses)), "") if tunnel is not None else "",
        site.was,
    )


def _is_peer(site, tunnel):
    return tunnel is not None and any(peer.key == site.key and peer.was for peer in tunnel.wish.peers)


def _changes(site, here, tunnel, addresses, path):
    """The Fault, a mere note, of a site that changes its key: how far it is."""
    fars = {end.remote: far for end, far in tunnel.peers.items()} if tunnel is not None else {}
    far = next((fars[address] for address in addresses if address in fars), None)
    if tunnel is not None and tunnel.wish.has_hubs:
        far = tunnel.peer
    if here:
        message, hint = "another key waits for this router", "l2wg rekey --commit, once the others have this line"
    elif far is not None and far.key == site.key:
        message, hint = "it has come with its new key", "in a minute the old one is out; until then it may go back"
    else:
        message, hint = "it changes its key, and has the old one until now", "there, once all have its line: l2wg rekey --commit"
    return Fault(NOTE, "", message, hint, path, site.line, "was")


def _lineless(key, tunnel, found):
    wish = tunnel.wish
    (peer,) = [peer for peer in wish.peers if peer.key == key]
    crowd, faults = found.crowd(tunnel, peer.ends), tuple(found.faults(tunnel, peer.ends))
    site = peer.site or wish.site
    by = wish.by(peer.ends[0])
    return Row(site, key, addresses=peer.ends, meets=True, tunnel=tunnel, crowd=crowd, faults=faults, by=by)


def beyond(table):
    """(the hub's Row, names of the sites in the same star that this router has no tunnel to); (None, ()) where it has all."""
    hubs = [row for row in table.rows if row.hub and row.tunnel is not None]
    hub = next((row for row in hubs if row.listened), hubs[0] if hubs else None)
    return (hub, tuple(row.name for row in table.rows if row.word == NONE)) if hub is not None else (None, ())


def _hubs(table):
    names = " and ".join(table.hubs)
    if table.by_bgp:
        reflect = "reflects" if len(table.hubs) == 1 else "reflect"
        return f", {table.hubs[0]} is the hub, {names} {reflect} BGP's routes"
    return f", {names} is the hub" if len(table.hubs) == 1 else f", {names} are the hubs" if names else ""


def summary(table):
    """How many sites there are, which one is here, and how much is wrong."""
    living = [row for row in table.rows if not row.gone]
    words = "{} site{}".format(len(living), "" if len(living) == 1 else "s")
    if table.shape:
        words = f"a {table.shape} of {words}" + _hubs(table)
    out = [row.name for row in table.rows if row.gone]
    if out:
        words += "; {} {} out".format(listed(out, NAMED), "is" if len(out) == 1 else "are")
    if table.here:
        words += f"; this router is {table.here}"
    number = len(table.wrong)
    if number:
        return words + "; {} wrong".format("1 thing is" if number == 1 else "%d things are" % number)
    return words + ("; nothing is wrong" if table.looked else "; nothing is wrong with the file" if table.draft else "")
