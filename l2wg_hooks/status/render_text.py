"""`l2wg status` as a screen of text: a Status -> lines of at most 80 characters. Pure."""

from l2wg_hooks.config.store import EMPTY
from l2wg_hooks.status.pen import Pen
from l2wg_hooks.status.status import FRAMES, PACKETS, WRONG
from l2wg_hooks.status.terminal_text import cut, duration, key, paint, readable, size, tie

# More tunnels than this, and each gets a line instead of a paragraph.
WHOLE = 3
# So many addresses a port; more are in --json.
STATIONS = 8
# So many far ends of a tunnel that FRR finds them of.
FAR_ENDS = 30
GUARD = {"injection": "injected", "leak": "leaking", "forgery": "forged"}
FENCES = {"loop": "looped", "storm": "over the storm limit", "dhcp": "of DHCP", "vlans": "of other VLANs"}


def render(status, colour=False, before=None, names=()):
    """The lines. `names` are the tunnels to be shown in whole; none: all, if they are not too many.

    `before` is the Status of some seconds ago, for what crosses each second.
    """
    pen, status, before, names = Pen(colour), readable(status), readable(before), set(names)
    shown = [tunnel for tunnel in status.tunnels if tunnel.name in names] if names else status.tunnels
    pen.line(headline(status), "red" if status.wrong else "green")
    pen.faults(status.of(""))
    if not names and len(shown) > WHOLE:
        _table(pen, status)
    else:
        rates = _rates(status, before)
        for tunnel in shown:
            pen.line("")
            _tunnel(pen, status, tunnel, rates.get(tunnel.name))
        shown_in = {tunnel.wish.bridge for tunnel in shown}
        wishes = {tunnel.name: tunnel.wish for tunnel in status.tunnels if tunnel.wish.remotes}
        for bridge in status.bridges:
            if bridge.name in shown_in:
                pen.line("")
                _bridge(pen, status, bridge, rates, wishes)
    if status.wrong:
        pen.line("")
        pen.line("What helps: l2wg check")
    return "\n".join(pen.lines) + "\n"


def count(number, word, plural=""):
    """Such as "1 MAC", "2 MACs"."""
    return "%d %s" % (number, word if number == 1 else plural or word + "s")


def headline(status):
    """How many tunnels there are, and how much is wrong."""
    tunnels = count(len(status.tunnels), "tunnel")
    if status.wrong:
        return "{}: {}, {} wrong".format(status.host, tunnels, count(len(status.wrong), "thing is", "things are"))
    if not status.tunnels:
        return f"{status.host}: {EMPTY}"
    return f"{status.host}: {tunnels}, nothing is wrong"


def state_word(tunnel):
    """A tunnel's state in a word."""
    if not tunnel.there:
        return "missing"
    return "up" if tunnel.up else "down"


def _tunnel(pen, status, tunnel, rates):
    wish, below = tunnel.wish, tunnel.underlay
    state = state_word(tunnel)
    since = f", made {duration(tunnel.age)} ago" if tunnel.age is not None else ""
    name = paint(tunnel.name, "bold", pen.colour) + (" to " + paint(wish.site, "bold", pen.colour) if wish.site else "")
    pen.lines.append("{} {}{}".format(name, paint(state, "green" if state == "up" else "red", pen.colour), since))
    pen.faults(status.of(tunnel.name))
    number = ", %s %d" % (wish.packing.number_word, wish.number) if wish.number is not None else ""
    pen.row("ends", f"{wish.local} here, {wish.senders or ', '.join(wish.far_ends)} there, {wish.kind}{number}")
    if wish.senders:
        pen.row("control", "FRR has put %d far ends into its table (l2wg check: how FRR is)" % len(wish.remotes))
    if below.there:
        port = ", UDP port %d" % below.port if below.port else ""
        word = "up" if below.up else "down"
        text = "%s %s, MTU %d%s" % (below.name, word, below.mtu, port)
        pen.row("underlay", ", ".join((text,) + below.addresses), up="green", down="red")
    else:
        pen.row("underlay", f"{below.name} missing", missing="red")
    shown = list(tunnel.peers.items())
    if wish.senders and len(shown) > FAR_ENDS:
        pen.row("peers", "%d, of which %d follow: l2wg status --json has all" % (len(shown), FAR_ENDS))
        shown = shown[:FAR_ENDS]
    for end, far in shown:
        called = f"{wish.called(end.remote)}: " if wish.remotes else ""
        by = wish.by(end.remote)
        if far is not None and by:
            pen.row("peer", f"{called}by {by}")
        elif far is not None:
            hand = f"handshake {duration(far.age)} ago" if far.age is not None else "no handshake yet"
            where = f"at {far.endpoint}" if far.endpoint else "endpoint not known yet"
            pen.row("peer", f"{called}{key(far.key)} {where}, {hand}")
            macs = ", " + count(tunnel.behind.get(end.remote, 0), "MAC") if wish.remotes else ""
            pen.row("", f"{size(far.received)} received, {size(far.sent)} sent{macs}")
        else:
            pen.row("peer", f"{called}none", none="red")
    if wish.has_hubs:
        pen.row("hubs", hubs(tunnel))
    pen.row("bridge", "{}{}".format(wish.bridge, "" if tunnel.joined else tie(" (not a port of it)")))
    pen.row("MTU", "%s, of these %d in one packet, more in fragments" % (tunnel.mtu if tunnel.there else "none", tunnel.whole))
    clamp = "not clamped" if wish.mss_clamp == "off" else "no clamp in force"
    if tunnel.mss is not None:
        clamp = "%d (IPv4), %d (IPv6), clamped by %s" % (tunnel.mss + (wish.mss_clamp,))
    pen.row("MSS", clamp)
    guards = {True: "in force", False: "MISSING", None: "unknown"}
    drops = ", ".join(tie("%d %s" % (tunnel.dropped[reason], GUARD[reason])) for reason in PACKETS)
    pen.row("guard", f"{guards[tunnel.guarded]}, dropped {drops}", MISSING="red", unknown="yellow")
    fenced = {"loop": True, "storm": wish.storm_limit is not None, "dhcp": wish.dhcp == "block", "vlans": wish.vlans != "all"}
    drops = ", ".join(
        tie("%d %s" % (tunnel.dropped[reason], FENCES[reason])) for reason in FRAMES if fenced[reason] or tunnel.dropped[reason]
    )
    pen.row("fences", "dropped " + drops)
    for number, label in enumerate(("received", "sent")):
        rate = ", %d frames/s" % rates[number] if rates else ""
        pen.row(label, _way(tunnel.traffic[number]) + rate)


def called(wish, remote):
    """Words for one of several far ends, and by which other site it is reached."""
    hub = wish.by(remote)
    return wish.called(remote) + (f" by {hub}" if hub else "")


def hubs(tunnel):
    """Which of two hubs a tunnel's router listens to."""
    names = [peer.site for peer in tunnel.wish.peers]
    if tunnel.listened is None:
        return "neither {} nor {} is listened to".format(*names)
    heard = tunnel.listened.site
    return "{} is listened to, {} is not".format(heard, " and ".join(name for name in names if name != heard))


def _way(way):
    return "%s, %s, %s, %d dropped" % (count(way.frames, "frame"), size(way.bytes), count(way.errors, "error"), way.dropped)


def _bridge(pen, status, bridge, rates, wishes):
    name = paint(bridge.name, "bold", pen.colour)
    if bridge.there:
        state = paint("up", "green", pen.colour) if bridge.up else paint("down", "red", pen.colour)
        pen.lines.append("%s %s, MTU %d, %s" % (name, state, bridge.mtu, bridge.mac))
    else:
        pen.lines.append("{} {}".format(name, paint("missing", "red", pen.colour)))
    pen.faults(status.of(bridge.name))
    if bridge.there:
        pen.row("addresses", "{}; STP {}".format(", ".join(bridge.addresses) or "none", "on" if bridge.stp else "off"))
    for port in bridge.ports:
        _port(pen, port, rates.get(port.name), wishes.get(port.name))


def port_word(port):
    """A port's state in a word or three: the first thing that keeps frames from passing."""
    if not port.there:
        return "missing"
    if not port.joined:
        return "not a port"
    if not port.up:
        return "down"
    if not port.carrier:
        return "no carrier"
    return port.state or "up"


def _port(pen, port, rates, wish=None):
    word = port_word(port)
    text = word
    if port.joined:
        text += ", %d frames/s in, %d out" % rates if rates and not port.tunnel else ""
        text += ", {}{}".format(count(port.crowd, "MAC"), ":" if port.stations else "")
        text += "".join(f" {tie(_station(station, wish))}," for station in port.stations[:STATIONS])
        text = text.rstrip(",")
        if port.crowd > STATIONS:
            known = "all" if port.crowd == len(port.stations) else "the %d heard last" % len(port.stations)
            text += ", and %d more (--json has %s)" % (port.crowd - STATIONS, known)
    colour = "green" if port.forwards else "yellow" if port.joined else "red"
    pen.row(port.name, text, **{word.split(" ")[0]: colour})


def _station(station, wish=None):
    """A Station in words; of a tunnel to several (`wish`) with whose it is."""
    idle = "fixed" if station.fixed else "" if station.idle is None else duration(station.idle) + " ago"
    where = f"at {_name(wish, station.far)}" if wish and station.far else ""
    words = ", ".join(filter(None, (where, idle, "VLAN %d" % station.vlan if station.vlan else "")))
    return f"{station.mac} ({words})" if words else station.mac


def _name(wish, remote):
    """Whose end that is, in a word: the site's name, or the address."""
    return next((peer.site for peer in wish.peers if peer.site and remote in peer.ends), remote)


def _table(pen, status):
    """A line a tunnel."""
    stations = {port.name: port.crowd for bridge in status.bridges for port in bridge.ports}
    pen.line("")
    # Where sites have names, these tell more than how they are reached.
    named = any(tunnel.wish.site for tunnel in status.tunnels)
    row = "%-15s %-8s %-10s %-11s %5s %9s %9s"
    pen.lines.append(row % ("tunnel", "state", "site" if named else "underlay", "handshake", "MACs", "received", "sent"))
    for tunnel in status.tunnels:
        wrong = [fault for fault in status.of(tunnel.name) if fault.level == WRONG]
        hand = duration(tunnel.peer.age) if tunnel.peer and tunnel.peer.age is not None else "none"
        if len(tunnel.near) > 1:
            hand = "%d of %d" % (tunnel.heard, len(tunnel.near))
        ways = [size(way.bytes) for way in tunnel.traffic]
        state = "WRONG" if wrong and tunnel.up else state_word(tunnel)
        place = cut(tunnel.wish.site or "-" if named else tunnel.underlay.name, 10)
        text = row % (tunnel.name, state, place, hand, stations.get(tunnel.name, 0), ways[0], ways[1])
        pen.lines.append(paint(text, "red", pen.colour) if wrong else text)
        for fault in wrong[:1]:
            pen.row("", fault.message + (" (and %d more)" % (len(wrong) - 1) if len(wrong) > 1 else ""), "red")
    for bridge in status.bridges:
        pen.faults(status.of(bridge.name))
    pen.line("")
    pen.line("Each in whole: l2wg status TUNNEL...")


def _rates(status, before):
    """{interface: (frames received, sent) each second} between two Statuses; what was re-made meanwhile has none."""
    if before is None or status.time <= before.time:
        return {}
    old, found = counts(before), {}
    for name, now in counts(status).items():
        then = old.get(name)
        if then is not None and now.received.frames >= then.received.frames and now.sent.frames >= then.sent.frames:
            seconds = status.time - before.time
            found[name] = tuple(round((new.frames - past.frames) / seconds) for new, past in zip(now, then))
    return found


def counts(status):
    """{interface: Traffic} of the tunnels and ports that are there."""
    found = {tunnel.name: tunnel.traffic for tunnel in status.tunnels if tunnel.there}
    found.update({port.name: port.traffic for bridge in status.bridges for port in bridge.ports if port.there})
    return found
