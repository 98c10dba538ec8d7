"""`l2wg status --svg`: a Status as a picture for a wiki page. Pure, but for the template's text.

Here is where everything goes, in SVG's user units (pixels); picture.j2 says what it looks like.
"""

import time
from typing import NamedTuple, Tuple

from l2wg_hooks.status import sites, tunnel_groups
from l2wg_hooks.status.render_text import WHOLE, called, count, hubs, port_word
from l2wg_hooks.status.status import WRONG
from l2wg_hooks.status.terminal_text import cut, duration, key, readable, wrap

# Text is set in a fixed-width font of 12, which is 0.6 as wide as high in all that are common; with some air.
# The title has 20, bold, in a font that is wider.
LETTER, TITLE, LINE, HEAD, PAD, GAP = 7.3, 12.5, 17, 26, 12, 16
EDGE, TOP = 20, 70
# Between the columns; the last gap is the pipe, with its own words over it, and at least so long.
WIRE, PIPE = 56, 150
# Characters a row of a card holds at most; an IPv6 address has up to 39.
ROW = 39
GOOD, BAD, IDLE, FAR = "good", "bad", "idle", "far"
# Of names in a group: columns, characters of each, and rows; a group of those that are well may leave some out.
NAMES, NAME, LINES = 5, 16, 30


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


class Row(NamedTuple):
    """What stands beside a bridge: a tunnel's card, or that of many, and the `far` ones that it leads to.

    Each is (name, rows, state, kind). One that is `behind` the first of these has its line from there. `over` and `under` are the
    words of the pipe to a single one.
    """

    tunnel: tuple
    far: tuple
    behind: tuple = ()
    over: str = ""
    under: str = ""


def render(status, table=None):
    """The text of the SVG file. `table` is the sites.Table, where there is one."""
    from l2wg_hooks import templates

    status, table = readable(status), readable(table)
    by_bridge = {}
    for tunnel in status.tunnels:
        by_bridge.setdefault(tunnel.wish.bridge, []).append(tunnel)
    columns = [_columns(status, bridge, by_bridge.get(bridge.name, []), table) for bridge in status.bridges]
    stacks = [[card for column in columns for card in column[index]] for index in range(2)]
    stacks.append([row.tunnel for column in columns for row in column[2]])
    stacks.append([card for column in columns for row in column[2] for card in row.far + row.behind])
    widths = [_width(cards) for cards in stacks]
    xs = [EDGE * 2]
    words = [text for column in columns for row in column[2] for text in (row.over, row.under)]
    pipe = EDGE * 2 + max([PIPE] + [len(text) * LETTER for text in words])
    for width, gap in zip(widths, (WIRE, WIRE, round(pipe))):
        xs.append(xs[-1] + width + gap)
    net = sites.summary(table) if table else ""
    top = TOP + (LINE if net else 0)
    cards, wires, y = [], [], top + EDGE
    for column in columns:
        y = _place(column, xs, widths, y, cards, wires) + GAP * 2
    bottom = max(y - GAP * 2 + EDGE, top + 60)
    return templates.render(
        "picture.j2",
        host=status.host,
        when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(status.time)),
        net=net,
        said=_said(status),
        wrong=len(status.wrong),
        cards=cards,
        wires=wires,
        frame=(EDGE, top, xs[2] + widths[2], bottom - top),
        # A long host name, over a router that has nothing yet.
        width=max(xs[3] + widths[3], EDGE + round(len(status.host) * TITLE), EDGE + round(len(net) * LETTER)) + EDGE,
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
            tunnel.wish.senders or ", ".join(tunnel.wish.far_ends),
            f" ({tunnel.wish.site})" if tunnel.wish.site else "",
            "well" if status.well(tunnel) else "not well",
        )
        for tunnel in status.tunnels
    ]
    return " ".join(words) or f"{status.host} has no tunnel."


def _columns(status, bridge, tunnels, table):
    """What stands in the columns: [(name, rows, state, kind)] of ports and of the bridge, and Rows of tunnels."""
    ports = [
        (port.name, (port_word(port),), GOOD if port.forwards and port.state else IDLE if port.joined else BAD, "port")
        for port in bridge.ports
        if not port.tunnel
    ]
    rows = ("MTU %d" % bridge.mtu,) + (bridge.addresses or ("no address",)) if bridge.there else ("missing",)
    rows += tuple(_wrong(status, bridge.name))
    middle = [(bridge.name, rows, GOOD if bridge.up else BAD, "bridge")]
    if len(tunnels) > WHOLE:
        return ports, middle, [_many(status, tunnels)]
    hub, names = sites.beyond(table) if table else (None, ())
    found = []
    for tunnel in tunnels:
        *peer, over, under = _peer(status, tunnel)
        behind = ()
        if names and hub.tunnel.name == tunnel.name:
            rows = (sites.BEYOND[table.isolated],) + _names(names)
            behind = ((count(len(names), "more site"), rows, FAR, "sites"),)
        found.append(Row(_tunnel(status, tunnel), (tuple(peer),), behind, over, under))
    return ports, middle, found


def _many(status, tunnels):
    """The Row of many tunnels: a card of all, and one for each far end, or for each group of them."""
    rows = tuple(wrap(tunnel_groups.common(tunnels), ROW))
    below = tunnels[0].underlay
    rows += (f"{below.name}: " + ", ".join(below.addresses[:2] + (f"MTU {below.mtu or 'none'}",)),)
    rows += ("in one packet up to %d" % min(tunnel.whole for tunnel in tunnels),)
    carrying = sum(map(status.carries, tunnels))
    state = GOOD if carrying == len(tunnels) else IDLE if carrying else BAD
    if len(tunnels) <= tunnel_groups.ROWS:
        far = tuple(_site(status, tunnel) for tunnel in tunnel_groups.ordered(tunnels))
    else:
        far = tuple(
            (f"{group.title}: {group.word}", _names(group.names), GOOD if group.fine else BAD, "sites")
            for group in tunnel_groups.groups(status, tunnels)
        )
    return Row((count(len(tunnels), "tunnel"), rows, state, "tunnel"), far)


def _site(status, tunnel):
    word, fine = tunnel_groups.word(status, tunnel), status.carries(tunnel)
    said = f"{word}, {duration(tunnel.peer.age)}" if word in tunnel_groups.HEARD else word
    return tunnel_groups.called(tunnel), (f"{tunnel.wish.senders or tunnel.wish.remote}: {said}",), GOOD if fine else BAD, "peer"


def _names(names):
    """Rows of names in columns, as many as there is room for."""
    size = min(max(map(len, names)), NAME)
    # A space would be one of several, of which a picture keeps one.
    cells = [cut(name, NAME).ljust(size).replace(" ", "\u00a0") for name in names]
    rows = ["\u00a0\u00a0".join(cells[start : start + NAMES]) for start in range(0, len(cells), NAMES)]
    if len(rows) > LINES:
        rows = rows[: LINES - 1] + ["and %d more: l2wg sites" % (len(names) - NAMES * (LINES - 1))]
    return tuple(rows)


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
        rows = tuple(called(tunnel.wish, end) for end in tunnel.wish.far_ends) + (f"other ends of {tunnel.name}",)
        if len(rows) > LINES:
            rows = (tunnel.wish.leads_to, f"other ends of {tunnel.name}")
    else:
        rows += tuple(wrap(hubs(tunnel), ROW)) if tunnel.wish.has_hubs else ()
        rows += (f"other end of {tunnel.name}", f"key {key(far.key)}" if far else "no peer")
    over = " ".join((below.name,) + below.addresses[:1]) + ", MTU %s" % (below.mtu or "none")
    under = far.endpoint if far and far.endpoint else "endpoint unknown"
    if several and len(tunnel.near) > 1:
        title, under = "%d of %d peers" % (tunnel.heard, len(tunnel.near)), ""
        return title, rows, GOOD if status.carries(tunnel) else BAD, "peer", over, under
    title = tunnel.wish.site or tunnel.wish.leads_to
    if several:
        title = next((peer.site for peer in tunnel.wish.peers if not peer.by), title)
    elif tunnel.listened is not None:
        title = tunnel.listened.site
    return title, rows, GOOD if status.carries(tunnel) else BAD, "peer", over, under


def _width(cards):
    """Of a column: its longest row or name, which is set larger and bold."""
    rows = [len(row) for card in cards for row in card[1]] + [len(card[0]) * 1.3 for card in cards] + [10]
    return round(max(rows) * LETTER + 2 * PAD)


def _height(card):
    return HEAD + len(card[1]) * LINE + PAD


def _stack(cards):
    """How high they are, one below the other."""
    return sum(map(_height, cards)) + GAP * (len(cards) - 1)


def _pair(row):
    """How high a tunnel's card and that of its one far end are, side by side."""
    return max(_height(row.tunnel), _height(row.far[0]))


def _row(row):
    """How high a Row is."""
    if len(row.far) > 1:
        return max(_height(row.tunnel), _stack(row.far))
    return _pair(row) + sum(GAP + _height(card) for card in row.behind)


def _place(columns, xs, widths, y, cards, wires):
    """Put the cards and wires of one bridge below `y`; where they end."""
    ports, middle, rows = columns
    heights = [_row(row) for row in rows]
    total = max(_stack(ports), sum(heights) + GAP * (len(heights) - 1), _height(middle[0]))
    bridge = Card(xs[1], y, widths[1], total, *middle[0])
    cards.append(bridge)
    at = y + (total - _stack(ports)) / 2
    for port in ports:
        card = Card(xs[0], at, widths[0], _height(port), *port)
        cards.append(card)
        wires.append(Wire(card.right, card.middle, bridge.x, card.middle, card.state))
        at += card.height + GAP
    at = y + (total - sum(heights) - GAP * (len(heights) - 1)) / 2
    for row, height in zip(rows, heights):
        place = _place_many if len(row.far) > 1 else _place_pair
        place(row, height, xs[2:], widths[2:], at, bridge, cards, wires)
        at += height + GAP
    return y + total


def _place_pair(row, _, xs, widths, y, bridge, cards, wires):
    """Put a tunnel and its far end side by side, and what is behind that below it."""
    card = Card(xs[0], y, widths[0], _pair(row), *row.tunnel)
    size = _height(row.far[0])
    far = Card(xs[1], y + (card.height - size) / 2, widths[1], size, *row.far[0])
    cards += [card, far]
    wires.append(Wire(bridge.right, card.middle, card.x, card.middle, card.state))
    wires.append(Wire(card.right, card.middle, far.x, card.middle, card.state, row.over, row.under))
    at = y + card.height + GAP
    for each in row.behind:
        below = Card(xs[1], at, widths[1], _height(each), *each)
        cards.append(below)
        middle = far.x + far.width / 2
        wires.append(Wire(middle, far.y + far.height, middle, below.y, below.state))
        at += below.height + GAP


def _place_many(row, height, xs, widths, y, bridge, cards, wires):
    """Put a card of many tunnels there, in the middle of `height`, and what they lead to as rays of it."""
    size = _height(row.tunnel)
    card = Card(xs[0], y + (height - size) / 2, widths[0], size, *row.tunnel)
    cards.append(card)
    wires.append(Wire(bridge.right, card.middle, card.x, card.middle, card.state))
    at = y + (height - _stack(row.far)) / 2
    for each in row.far:
        far = Card(xs[1], at, widths[1], _height(each), *each)
        cards.append(far)
        wires.append(Wire(card.right, card.middle, far.x, far.middle, far.state))
        at += far.height + GAP
