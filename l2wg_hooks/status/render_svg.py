"""`l2wg status --svg`: a Status as a picture for a wiki page. Pure, but for the template's text.

Here is where everything goes, in SVG's user units (pixels); picture.j2 says what it looks like.
"""

import time
from typing import NamedTuple, Tuple

from l2wg_hooks.status.render_text import port_word
from l2wg_hooks.status.status import WRONG
from l2wg_hooks.status.terminal_text import key, readable, wrap

# Text is set in a fixed-width font of 12, which is 0.6 as wide as high in all that are common; with some air.
# The title has 20, bold, in a font that is wider.
LETTER, TITLE, LINE, HEAD, PAD, GAP = 7.3, 12.5, 17, 26, 12, 16
EDGE, TOP = 20, 70
# Between the columns; the last gap is the pipe, with its own words over it, and at least so long.
WIRE, PIPE = 56, 150
# Characters a row of a card holds at most; an IPv6 address has up to 39.
ROW = 39
GOOD, BAD, IDLE = "good", "bad", "idle"


class Card(NamedTuple):
    """A box: a name, rows of text below it, and its state for the edge."""

    x: float
    y: float
    width: float
    height: float
    name: str
    rows: Tuple[str, ...]
    state: str
    kind: str

    @property
    def middle(self):
        """Where lines end."""
        return self.y + self.height / 2

    @property
    def right(self):
        """Its right edge."""
        return self.x + self.width


class Wire(NamedTuple):
    """A line from one card to another; `words` stand over and under a pipe."""

    x1: float
    y1: float
    x2: float
    y2: float
    state: str
    over: str = ""
    under: str = ""


def render(status):
    """The text of the SVG file."""
    from l2wg_hooks import templates

    status = readable(status)
    by_bridge = {}
    for tunnel in status.tunnels:
        by_bridge.setdefault(tunnel.wish.bridge, []).append(tunnel)
    columns = [_columns(status, bridge, by_bridge.get(bridge.name, [])) for bridge in status.bridges]
    widths = [_width([card for column in columns for card in column[index]]) for index in range(4)]
    xs = [EDGE * 2]
    words = [text for column in columns for peer in column[3] for text in peer[4:]]
    pipe = EDGE * 2 + max([PIPE] + [len(text) * LETTER for text in words])
    for width, gap in zip(widths, (WIRE, WIRE, round(pipe))):
        xs.append(xs[-1] + width + gap)
    cards, wires, y = [], [], TOP + EDGE
    for column in columns:
        y = _place(column, xs, widths, y, cards, wires) + GAP * 2
    bottom = max(y - GAP * 2 + EDGE, TOP + 60)
    return templates.render(
        "picture.j2",
        host=status.host,
        when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(status.time)),
        said=_said(status),
        wrong=len(status.wrong),
        cards=cards,
        wires=wires,
        frame=(EDGE, TOP, xs[2] + widths[2], bottom - TOP),
        # A long host name, over a router that has nothing yet.
        width=max(xs[3] + widths[3], EDGE + round(len(status.host) * TITLE)) + EDGE,
        height=bottom + EDGE + 24,
        line=LINE,
        head=HEAD,
        pad=PAD,
    )


def _said(status):
    """For those who do not see it: one sentence a tunnel."""
    words = [
        "{}: tunnel {} of bridge {} leads through {} from {} to {}{}; it is {}.".format(
            status.host,
            tunnel.name,
            tunnel.wish.bridge,
            tunnel.wish.underlay,
            tunnel.wish.local,
            ", ".join(tunnel.wish.far_ends),
            f" ({tunnel.wish.site})" if tunnel.wish.site else "",
            "well" if status.well(tunnel) else "not well",
        )
        for tunnel in status.tunnels
    ]
    return " ".join(words) or f"{status.host} has no tunnel."


def _columns(status, bridge, tunnels):
    """What stands in the four columns: [(name, rows, state, kind)] of ports, bridge, tunnels, peers."""
    ports = [
        (port.name, (port_word(port),), GOOD if port.forwards and port.state else IDLE if port.joined else BAD, "port")
        for port in bridge.ports
        if not port.tunnel
    ]
    rows = ("MTU %d" % bridge.mtu,) + (bridge.addresses or ("no address",)) if bridge.there else ("missing",)
    rows += tuple(_wrong(status, bridge.name))
    middle = [(bridge.name, rows, GOOD if bridge.up else BAD, "bridge")]
    return ports, middle, [_tunnel(status, tunnel) for tunnel in tunnels], [_peer(status, tunnel) for tunnel in tunnels]


def _wrong(status, about):
    return [row for fault in status.of(about) if fault.level == WRONG for row in wrap("WRONG: " + fault.message, ROW - 8)]


def _tunnel(status, tunnel):
    rows = (tunnel.wish.local, "{}, MTU {}".format(tunnel.wish.kind, tunnel.mtu or "none"))
    rows += ("in one packet up to %d" % tunnel.whole,)
    rows += ("MSS %d (IPv4), %d (IPv6)" % tunnel.mss,) if tunnel.mss else ()
    return tunnel.name, rows + tuple(_wrong(status, tunnel.name)), GOOD if status.carries(tunnel) else BAD, "tunnel"


def _peer(status, tunnel):
    far, below = tunnel.peer, tunnel.underlay
    several = len(tunnel.peers) > 1
    rows = (tunnel.wish.remote,) if tunnel.wish.site else ()
    if several:
        rows = tuple(map(tunnel.wish.called, tunnel.wish.far_ends)) + (f"other ends of {tunnel.name}",)
    else:
        rows += (f"other end of {tunnel.name}", f"key {key(far.key)}" if far else "no peer")
    over = " ".join((below.name,) + below.addresses[:1]) + ", MTU %s" % (below.mtu or "none")
    under = far.endpoint if far and far.endpoint else "endpoint unknown"
    if several:
        title, under = "%d of %d peers" % (tunnel.heard, len(tunnel.peers)), ""
        return title, rows, GOOD if status.carries(tunnel) else BAD, "peer", over, under
    return tunnel.wish.site or tunnel.wish.far_ends[0], rows, GOOD if status.carries(tunnel) else BAD, "peer", over, under


def _width(cards):
    """Of a column: its longest row or name, which is set larger and bold."""
    rows = [len(row) for card in cards for row in card[1]] + [len(card[0]) * 1.3 for card in cards] + [10]
    return round(max(rows) * LETTER + 2 * PAD)


def _height(card):
    return HEAD + len(card[1]) * LINE + PAD


def _place(columns, xs, widths, y, cards, wires):
    """Put the cards and wires of one bridge below `y`; where they end."""
    ports, middle, tunnels, peers = columns
    rows = [max(_height(tunnel), _height(peer)) for tunnel, peer in zip(tunnels, peers)]
    total = max(
        sum(heights) + GAP * (len(heights) - 1) for heights in ([_height(card) for card in ports], rows, [_height(middle[0])])
    )
    bridge = Card(xs[1], y, widths[1], total, *middle[0])
    cards.append(bridge)
    at = y + (total - sum(_height(card) for card in ports) - GAP * (len(ports) - 1)) / 2
    for port in ports:
        card = Card(xs[0], at, widths[0], _height(port), *port)
        cards.append(card)
        wires.append(Wire(card.right, card.middle, bridge.x, card.middle, card.state))
        at += card.height + GAP
    at = y + (total - sum(rows) - GAP * (len(rows) - 1)) / 2
    for tunnel, peer, height in zip(tunnels, peers, rows):
        card = Card(xs[2], at, widths[2], height, *tunnel)
        far = Card(xs[3], at + (height - _height(peer)) / 2, widths[3], _height(peer), *peer[:4])
        cards += [card, far]
        wires.append(Wire(bridge.right, card.middle, card.x, card.middle, card.state))
        wires.append(Wire(card.right, card.middle, far.x, card.middle, card.state, peer[4], peer[5]))
        at += height + GAP
    return y + total
