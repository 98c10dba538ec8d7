"""The state of all tunnels at one moment, and what is wrong with it: wish + Survey -> Status. Pure.

Whoever shows it (render_*.py) gets this and nothing else. What is wrong
here are the facts that cost nothing: what `l2wg apply` would do, and what the kernel says anyway. `l2wg check` looks for causes.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

from l2wg_hooks import model
from l2wg_hooks.config.allowed_ips import AllowedIPs
from l2wg_hooks.model import End, Observed, Tunnel
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import counter_growth, peer_answers
from l2wg_hooks.observe.fdb_table import Station
from l2wg_hooks.observe.interface_counters import Traffic
from l2wg_hooks.observe.wg_interfaces import SESSION
from l2wg_hooks.plan import planner, transit
from l2wg_hooks.status.terminal_text import duration

WRONG, NOTE = "wrong", "note"
# What our rules drop, in the order in which it is shown: frames in the bridge, packets of the tunnel.
FRAMES = ("loop", "storm", "dhcp", "vlans")
PACKETS = ("injection", "leak", "forgery")


class Fault(NamedTuple):
    """One thing that is not as it should be (WRONG), or worth a look (NOTE). `about` is a tunnel, a bridge, or "".

    `path`, `line` and `key` point at a file's mistake, `hint` is its cure; what has none is for `l2wg check`. A message that is
    `named` begins with the name of what it is about. `far` is the one of a tunnel's far ends that it is about, of several.
    """

    level: str
    about: str
    message: str
    hint: str = ""
    path: str = ""
    line: int = 0
    key: str = ""
    named: bool = False
    far: str = ""


class Underlay(NamedTuple):
    """The WireGuard interface of a tunnel. `port` is UDP's, `mtu` bytes; both 0 where it is not there."""

    name: str
    there: bool
    up: bool = False
    mtu: int = 0
    port: int = 0
    addresses: Tuple[str, ...] = ()


class Far(NamedTuple):
    """The peer whose AllowedIPs cover `remote`. `handshake` is seconds since the epoch (0: none yet), `age` from then to now.

    `rate` is None where nobody has looked before.
    """

    key: str
    endpoint: str
    handshake: int
    age: Optional[int]
    received: int
    sent: int
    rate: Optional[counter_growth.Rate] = None


class Port(NamedTuple):
    """One port of a bridge, or one that should be: then `joined` is false. `state` is STP's word, such as "forwarding".

    `crowd` is how many Ethernet addresses are behind it; `stations` are those that are listed.
    """

    name: str
    tunnel: bool
    there: bool
    joined: bool
    up: bool = False
    carrier: bool = False
    state: str = ""
    mtu: int = 0
    traffic: Traffic = Traffic()
    stations: Tuple[Station, ...] = ()
    crowd: int = 0

    @property
    def forwards(self):
        """Whether frames pass: it is plugged in, and STP lets them, or there is none."""
        return self.there and self.joined and self.up and self.carrier and self.state in ("", "forwarding")


class Bridge(NamedTuple):
    """A bridge that some tunnel is to be a port of."""

    name: str
    there: bool
    up: bool = False
    mtu: int = 0
    mac: str = ""
    addresses: Tuple[str, ...] = ()
    stp: bool = False
    ports: Tuple[Port, ...] = ()


class State(NamedTuple):
    """One tunnel. `whole` is the largest payload in bytes that crosses in one packet; up to `mtu` it crosses in fragments.

    `mss` are the values in force for IPv4 and IPv6, None where nothing clamps. `guarded` is None where nobody could be asked.
    `peers` are None where no AllowedIPs cover that end's address.
    `peer_down` is whether its peer is, None where nobody wants to know (peer-down = nothing).
    `age` is seconds since it was made, None where nobody knows. `dropped` is {one of FRAMES or PACKETS: count}.
    `behind` is {far end: how many Ethernet addresses are behind it} of one with several, where there are any.
    """

    wish: Tunnel
    there: bool
    up: bool
    joined: bool
    mtu: int
    whole: int
    mss: Optional[Tuple[int, int]]
    guarded: Optional[bool]
    underlay: Underlay
    peers: Dict[End, Optional[Far]]
    traffic: Traffic
    dropped: Dict[str, int]
    age: Optional[float]
    peer_down: Optional[bool] = None
    behind: Dict[str, int] = {}

    @property
    def name(self):
        """The tunnel's."""
        return self.wish.name

    @property
    def peer(self):
        """The one that there is; of several that with the latest handshake."""
        known = [far for far in self.peers.values() if far is not None]
        return max(known, key=lambda far: far.handshake, default=None)

    @property
    def listened(self):
        """The PeerWish of the one of two hubs that is listened to, by either of its keys; None where there is none."""
        if not self.wish.has_hubs or self.peer is None:
            return None
        return next((peer for peer in self.wish.peers if self.peer.key in (peer.key, peer.was)), None)

    @property
    def near(self):
        """{End: Far} as of `peers`, of those that are WireGuard's own: whoever is behind the hub has none."""
        ends = self.wish.near_ends
        return {end: self.peers[end] for end in ends} if len(ends) < len(self.peers) else self.peers

    @property
    def heard(self):
        """The number of peers that have a session by their handshakes."""
        return sum(far is not None and far.age is not None and far.age <= SESSION for far in self.near.values())


class Status(NamedTuple):
    """All of it. `strays` is what the guard dropped that is no certain tunnel's: {one of PACKETS: count}.

    `by` are the `faults` by what they are about.
    """

    host: str
    time: float
    tunnels: Tuple[State, ...] = ()
    bridges: Tuple[Bridge, ...] = ()
    faults: Tuple[Fault, ...] = ()
    strays: Dict[str, int] = {}
    intact: Optional[bool] = None
    by: Dict[str, Tuple[Fault, ...]] = {}

    @property
    def wrong(self):
        """The Faults that are no mere notes."""
        return tuple(fault for fault in self.faults if fault.level == WRONG)

    def of(self, about):
        """The Faults of a tunnel or a bridge; of "": those that are about neither."""
        return self.by.get(about, ())

    def carries(self, tunnel):
        """Whether frames cross a tunnel, to one of its far ends at least, as far as one can tell from here."""
        wrong = [fault for fault in self.of(tunnel.name) + self.of(tunnel.wish.bridge) if fault.level == WRONG]
        # Whoever is behind a hub is cut off with it.
        cut = {end for far in {fault.far for fault in wrong} for end in (far, *tunnel.wish.behind(far))}
        return all(fault.far for fault in wrong) and (not wrong or cut != set(tunnel.wish.remotes))

    def well(self, tunnel):
        """Whether they do, to all of its far ends, and nothing is known to be wrong with its guard."""
        wrong = any(fault.level == WRONG for fault in self.of(tunnel.name) + self.of(tunnel.wish.bridge))
        return not wrong and tunnel.guarded is not False


def build(seen):
    """The Status that a Survey shows."""
    report = seen.report
    intact = None if report.unknown else report.rules.intact
    entries = {entry["name"]: entry for entry in report.rules.entries} if intact else {}
    covers = {name: AllowedIPs(interface.peers) for name, interface in seen.peers.items()}
    silent = frozenset(seen.silent)
    tunnels = tuple(_state(tunnel, seen, entries, intact, covers, silent) for tunnel in seen.wished.tunnels)
    bridges = _bridges(seen)
    known = {(end.local, end.remote) for tunnel in tunnels for end in tunnel.wish.reach()}
    strays = {reason: 0 for reason in PACKETS}
    for (reason, local, remote), count in report.packets.items():
        if (local, remote) not in known:
            strays[reason] += count
    faults = tuple(dict.fromkeys(_faults(seen, tunnels, bridges)))
    return Status(seen.host, seen.time, tunnels, bridges, faults, strays, intact, grouped(faults))


def grouped(faults):
    """{what they are about: these of the Faults}."""
    found: Dict[str, List[Fault]] = {}
    for fault in faults:
        found.setdefault(fault.about, []).append(fault)
    return {about: tuple(these) for about, these in found.items()}


def _state(tunnel, seen, entries, intact, covers, silent):
    link, below = seen.links.get(tunnel.name), seen.links.get(tunnel.underlay)
    interface = seen.peers.get(tunnel.underlay)
    underlay = Underlay(tunnel.underlay, False)
    if below is not None:
        underlay = Underlay(below.name, True, below.up, below.mtu, interface.port if interface else 0, below.addresses)
    there = link is not None and link.kind in model.TUNNEL_KINDS
    guarded = None if intact is None else entries.get(tunnel.name) == nftables.entry(tunnel)
    dropped = {reason: seen.report.frames.get((reason, tunnel.name), 0) for reason in FRAMES}
    packets = seen.report.packets
    dropped.update({reason: sum(packets.get((reason, end.local, end.remote), 0) for end in tunnel.reach()) for reason in PACKETS})
    return State(
        tunnel,
        there,
        there and link.up,
        there and bool(tunnel.bridge) and link.master == tunnel.bridge,
        link.mtu if there else 0,
        min(tunnel.mtu, (below.mtu if below else nftables.UNDERLAY_MTU) - tunnel.overhead),
        _mss(tunnel, seen, guarded),
        guarded,
        underlay,
        {end: _far(_peer(covers.get(tunnel.underlay), end.remote), tunnel.underlay, seen) for end in tunnel.ends()},
        seen.traffic.get(tunnel.name, Traffic()) if there else Traffic(),
        dropped,
        seen.ages.get(tunnel.name),
        tunnel.name in silent if tunnel.peer_down != "nothing" else None,
        seen.behind.get(tunnel.name, {}),
    )


def _mss(tunnel, seen, guarded):
    if tunnel.mss_clamp == "off":
        return None
    if tunnel.mss_clamp == "nftables":
        values = seen.report.rules.values.get(tunnel.name) if guarded else None
    else:  # iptables' rules are computed from the same numbers; whether they stand is for `l2wg check`
        values = nftables.value(tunnel, seen.links)
    return (values["mss4"], values["mss6"]) if values else None


def _peer(cover, remote):
    """The peer that packets to `remote` go to; None where none has it, or nobody has told of the underlay."""
    return next((peer for _, peer in cover.covering(remote)), None) if cover else None


def _far(peer, underlay, seen):
    if peer is None:
        return None
    # A clock that was set back since makes no handshake of the future.
    age = max(0, int(seen.time) - peer.handshake) if peer.handshake else None
    rate = seen.rates.get(counter_growth.peer(underlay, peer.key))
    return Far(peer.key, peer.endpoint, peer.handshake, age, peer.received, peer.sent, rate)


def _bridges(seen):
    tunnels = seen.wished.tunnels
    names = {tunnel.name for tunnel in tunnels}
    members, wanted = {}, {}
    for link in seen.links.values():
        if link.master:
            members.setdefault(link.master, []).append(link.name)
    for tunnel in tunnels:
        wished = wanted.setdefault(tunnel.bridge, {})
        wished.update(dict.fromkeys(tunnel.bridge_ports + (tunnel.name,)))
    found = []
    for name, wished in sorted(wanted.items()):
        link = seen.links.get(name)
        there = link is not None and link.kind == "bridge"
        everybody = dict.fromkeys(sorted(members.get(name, ())) if there else ())
        everybody.update(wished)
        # Cards first, then tunnels: as the frames go.
        ports = tuple(
            _port(port, name, seen, port in names) for port in sorted(everybody, key=lambda member: (member in names, member))
        )
        if there:
            found.append(Bridge(name, True, link.up, link.mtu, link.mac, link.addresses, link.stp, ports))
        else:
            found.append(Bridge(name, False, ports=ports))
    return tuple(found)


def _port(name, bridge, seen, tunnel):
    link = seen.links.get(name)
    if link is None:
        return Port(name, tunnel, False, False)
    joined = link.master == bridge
    return Port(
        name,
        tunnel or model.is_ours(link),
        True,
        joined,
        link.up,
        link.carrier,
        link.port_state if joined else "",
        link.mtu,
        seen.traffic.get(name, Traffic()),
        seen.stations.get(name, ()) if joined else (),
        seen.crowds.get(name, 0) if joined else 0,
    )


def _faults(seen, tunnels, bridges):
    """Yield the Faults: files, what could not be seen, what `l2wg apply` would do, and what it cannot mend."""
    for problem in seen.wished.problems:
        yield of_problem(problem, "")
    if seen.pending:
        yield Fault(NOTE, "", "a change waits for its confirmation, or came to no end", "l2wg confirm, or l2wg rollback")
    elif seen.undone:
        when, reason = seen.undone
        message = f"the last change was undone {duration(max(0, seen.time - when))} ago: {reason}"
        yield Fault(NOTE, "", message, "l2wg plan; what was set aside: ls /etc/l2wg/*.rejected; the next apply ends this note")
    for line in seen.blind:
        yield Fault(WRONG, "", line)
    if seen.report.unknown and seen.wished.tunnels:
        yield Fault(WRONG, "", f"whether the guard stands is not known: {seen.report.unknown}")
    yield from _planned(seen, [bridge.name for bridge in bridges])
    for problem in transit.problems(seen.wished.tunnels, seen.links, seen.transit):
        yield of_problem(problem, problem.tunnel)
    staged, taken = frozenset(seen.staged), frozenset(seen.taken)
    for tunnel in tunnels:
        if tunnel.name in staged:
            yield _staged(tunnel.wish)
        if tunnel.peer_down:
            yield _peer_down(tunnel, taken)
        yield from _wire(tunnel, tunnel.underlay.name in seen.peers, seen)
        yield from _blocked(tunnel, seen.report.packets)
    mtus = {}
    for tunnel in seen.wished.tunnels:
        mtus[tunnel.bridge] = max(tunnel.mtu, mtus.get(tunnel.bridge, 0))
    for bridge in bridges:
        yield from _segment(bridge, mtus[bridge.name], taken)


def _peer_down(tunnel, taken):
    ports = [port for port in tunnel.wish.bridge_ports if port in taken]
    rest = "no port is held down for it"
    who, when = ("no peer", "one") if len(tunnel.wish.far_ends) > 1 else ("the peer", "the peer")
    if ports:
        rest = "so {} {} held down (peer-down = port)".format(", ".join(ports), "is" if len(ports) == 1 else "are")
    hint = "it comes up when %s answers; at once, and for good: l2wg set %s peer-down=nothing; l2wg apply" % (when, tunnel.name)
    what = "anything" if len(tunnel.wish.far_ends) > 1 else "nothing"
    return Fault(WRONG, tunnel.name, f"{who} has answered {what} for {peer_answers.LOOKS} looks, {rest}", hint)


def _staged(tunnel):
    if tunnel.walled:
        message = "it has its own wire now; the other site has not said yet that it has, too"
        return Fault(NOTE, tunnel.name, message, f"there: l2wg status; here: l2wg wall --undo {tunnel.name} ends this note")
    hint = f"there: l2wg wall TUNNEL CARD, with the card that l2wg wall {tunnel.name} prints here; l2wg wall --undo {tunnel.name}"
    return Fault(NOTE, tunnel.name, "it waits for the other site, to get a wire of its own", hint)


def of_problem(problem, about):
    """The Fault of a Problem."""
    return Fault(WRONG, about, problem.message, problem.hint, problem.path, problem.line, problem.key)


def _planned(seen, bridges):
    """What the plan would do, one Fault for each thing that it is about."""
    # Policy routes, iptables and NetworkManager take processes of their own to look at: `l2wg check` does.
    known_too = Observed(seen.report.rules, bridges=seen.bridges, silent=seen.silent, taken=seen.taken, floods=seen.floods)
    todo = planner.plan(seen.wished.tunnels, seen.links, (), seen.wished.broken, known_too)
    names = {tunnel.name for tunnel in seen.wished.tunnels}
    known = names | set(bridges)
    reasons: Dict[str, List[str]] = {}
    made = {step.group for step in todo.steps if step.argv[:3] == ("ip", "link", "add")}
    for step in todo.steps:
        if step.group == planner.GUARD and seen.report.unknown:
            continue
        reasons.setdefault(step.group, []).append(step.reason)
    for group, words in reasons.items():
        about = "the rules are not in force: " if group == planner.GUARD else ""
        if group not in known and not about:
            about = f"{group}: "
        rest = "; ".join(dict.fromkeys(words[:1] if group in made else words))
        yield Fault(WRONG, group if group in known else "", about + rest)
    for wait in todo.waiting:
        yield Fault(WRONG, wait.subject if wait.subject in known else "", str(wait), named=True)
    for problem in todo.problems:
        yield of_problem(problem, problem.tunnel if problem.tunnel in names else "")


def _wire(tunnel, answers, seen):
    """What is wrong between this router and the other one; `answers` is whether wg(8) has told of the underlay."""
    name, underlay = tunnel.name, tunnel.underlay
    if underlay.there:
        if not underlay.up:
            yield Fault(WRONG, name, f"{underlay.name} is down")
        if tunnel.wish.senders and tunnel.there and not tunnel.wish.remotes:
            message = "FRR has put no far end into its table: nothing crosses"
            yield Fault(WRONG, name, message, "l2wg check says how FRR is; l2wg frr prints what its file has to have")
        if not answers:
            yield Fault(WRONG, name, f"wg(8) says nothing of {underlay.name}")
        else:
            told, near = set(), tunnel.near
            for end, peer in tunnel.peers.items():
                # Far ends that FRR finds may be any number behind one hub.
                key = peer.key if peer is not None else ""
                if tunnel.wish.senders and key in told:
                    continue
                told.add(key)
                called = tunnel.wish.called(end.remote) if tunnel.wish.remotes else ""
                if peer is None or end in near:
                    yield from _session(end, called, peer, underlay.name, seen)
    for reason, message, last in (
        ("loop", "a loop: %d frames of %s came back to it%s", "there is a second way between the sites"),
        ("storm", "%d frames were dropped, over %d a second%s", ""),
    ):
        if tunnel.dropped[reason]:
            note = seen.notes.get(f"{reason} {name}")
            rest = tunnel.wish.bridge if reason == "loop" else tunnel.wish.storm_limit or 0
            said = message % (tunnel.dropped[reason], rest, counter_growth.pause(note, seen.clock))
            now = counter_growth.recent(note, seen.clock)
            yield Fault(WRONG if now else NOTE, name, said + ("; " + last if last and now else "" if now else ": it is over"))


def _session(end, called, peer, underlay, seen):
    """What is wrong with WireGuard's session with one peer; `called` tells it from others of the tunnel, "" where it has none."""
    name, far = end.tunnel, called and end.remote
    who = f"the peer {called}" if called else "the peer"
    if peer is None:
        message = "AllowedIPs of no peer of %s cover %s: WireGuard drops what comes from there"
        yield Fault(WRONG, name, message % (underlay, end.remote), far=far)
    elif not peer.handshake:
        yield Fault(WRONG, name, f"no handshake with {who} since {underlay} is there: nothing crosses", far=far)
    elif peer.age > SESSION:
        message = "no handshake with %s for %d min: nothing has crossed since (it is away, or nobody sends)"
        yield Fault(WRONG, name, message % (who, peer.age // 60), far=far)
    else:
        # It looks alive for three minutes after the peer has gone.
        seconds = counter_growth.unanswered(seen.notes.get(counter_growth.peer(underlay, peer.key)), seen.clock)
        if seconds:
            message = "%s does not answer: it was sent something %d s ago or more, and nothing has come since"
            yield Fault(WRONG, name, message % (who, seconds), far=far)


# What the guard's counters mean where nothing arrives, and what shows why.
BLOCKED = {
    "injection": ("did not come by %s", "who sends them, and by which interface: nft list table inet l2wg; ip -brief link"),
    "leak": ("were about to leave by another interface than %s", "ip route get %(remote)s from %(local)s # names %(underlay)s?"),
    "forgery": ("were sent by somebody else, and not through %s", "who sends them: tcpdump -n -i any host %(remote)s"),
}


def _blocked(tunnel, packets):
    """What the guard has dropped of a tunnel whose peer is alive and by which nothing has ever come: somebody's, or its own."""
    alive = any(peer and peer.age is not None and peer.age <= SESSION for peer in tunnel.peers.values())
    if not tunnel.up or tunnel.traffic.received.frames or not alive:
        return
    for reason, (message, hint) in BLOCKED.items():
        # Without ends are the rules of a VXLAN's number, and of fragments.
        dropped = tunnel.dropped[reason] + (packets.get((reason, "", ""), 0) if tunnel.wish.packing.from_anybody else 0)
        if dropped:
            said = "nothing has come by it yet, and the guard drops: %d packets of the tunnel " % dropped
            said += message % tunnel.underlay.name
            # Of several the first that has dropped something, if that can be told.
            ends = [end for end in tunnel.wish.reach() if packets.get((reason, end.local, end.remote))] or tunnel.wish.reach()
            words = {"remote": ends[0].remote, "local": tunnel.wish.local, "underlay": tunnel.underlay.name}
            yield Fault(WRONG, tunnel.name, said, hint % words)


def _segment(bridge, wanted, held):
    """What is wrong with a bridge and its ports; `wanted` is the largest MTU of its tunnels, `held` are ports held down."""
    name = bridge.name
    if not bridge.there:
        return  # the plan says that it waits
    if not bridge.up:
        yield Fault(WRONG, name, f"{name} is down", named=True)
    if bridge.mtu < wanted:
        message = "the MTU of %s is %d, the tunnel's %d: larger packets of its own get lost"
        yield Fault(WRONG, name, message % (name, bridge.mtu, wanted))
    for port in bridge.ports:
        if not port.joined or (port.tunnel and not port.up) or port.name in held:
            continue  # the plan says so, or the tunnel
        if not port.up:
            yield Fault(NOTE, name, f"{port.name} is down")
        elif not port.carrier:
            yield Fault(NOTE, name, f"nothing is plugged into {port.name}")
        elif port.state not in ("", "forwarding", "disabled"):
            yield Fault(NOTE, name, f"{port.name} is {port.state}: spanning tree lets nothing pass")
    if not any(port.joined and not port.tunnel for port in bridge.ports) and not bridge.addresses:
        if sum(port.joined for port in bridge.ports) == 1:
            yield Fault(NOTE, name, f"{name} has no port but the tunnel, and no address: there is nobody to talk to", named=True)
