"""`l2wg status --diagram`: a Status drawn in text, at most 80 columns wide. Pure."""

from typing import Dict, List

from l2wg_hooks.config.store import EMPTY
from l2wg_hooks.status import sites, tunnel_groups
from l2wg_hooks.status.render_text import WHOLE, called, count, hubs, port_word
from l2wg_hooks.status.status import WRONG, State
from l2wg_hooks.status.terminal_text import WIDTH, cut, duration, key, readable, wrap

# Columns: the ports' names with their wire, the bridge's box, and the rest for tunnels.
LEFT, BOX, RIGHT = 19, 19, 37
# Lines of names below a group.
NAMED = 8
PLAIN = str.maketrans("─│┌┐└┘├┤═╳", "-|++++++=X")


def render(status, lines=True, table=None):
    """The text; without `lines` (of Unicode's box drawing) in ASCII only. `table` is the sites.Table, where there is one."""
    status, table = readable(status), readable(table)
    rows = [status.host]
    rows += wrap(sites.summary(table), WIDTH) if table else []
    hub, others = sites.beyond(table) if table else (None, ())
    by_bridge: Dict[str, List[State]] = {}
    for tunnel in status.tunnels:
        by_bridge.setdefault(tunnel.wish.bridge, []).append(tunnel)
    for bridge in status.bridges:
        tunnels = by_bridge.get(bridge.name, [])
        more = {hub.tunnel.name: list(_beyond(others, table.isolated))} if hub and others else {}
        rows += [""] + _segment(status, bridge, tunnels, more)
    if not status.bridges:
        rows.append(EMPTY)
    if status.wrong:
        rows += ["", "Not all is well: l2wg status says more."]
    text = "\n".join(row.rstrip() for row in rows) + "\n"
    return text if lines else text.translate(PLAIN)


def _segment(status, bridge, tunnels, more):
    """A bridge in the middle, cards to its left, tunnels to its right; `more` are {tunnel: rows behind it}."""
    left = [row for port in bridge.ports if not port.tunnel for row in _card(port)]
    right = []
    if len(tunnels) <= WHOLE:
        for tunnel in tunnels:
            right += ([("", "")] if right else []) + list(_tunnel(status, tunnel)) + more.get(tunnel.name, [])
    else:
        drawn = len(tunnels) <= tunnel_groups.ROWS
        right = list(_rows(status, tunnels) if drawn else _groups(tunnel_groups.groups(status, tunnels)))
        right += [("", "")] + [("", row) for row in wrap(tunnel_groups.common(tunnels), RIGHT)]
    inside = [bridge.name]
    inside += ["MTU %d%s" % (bridge.mtu, "" if bridge.up else ", down")] if bridge.there else ["missing"]
    inside += bridge.addresses or (["no address"] if bridge.there else [])
    height = max(len(left), len(right), len(inside))
    blank = (" " * LEFT, "│", "│", "")
    left += [("", False)] * (height - len(left))
    right += [("", "")] * (height - len(right))
    inside += [""] * (height - len(inside))
    rows = [blank[0] + "┌" + "─" * (BOX - 2) + "┐"]
    for (card, wired), text, (wire, words) in zip(left, inside, right):
        edges = ("┤" if wired else "│"), ("├" if wire else "│")
        rows.append("%-*s%s %-*s%s%-4s %s" % (LEFT, card, edges[0], BOX - 3, cut(text, BOX - 3), edges[1], wire, words))
    return rows + [blank[0] + "└" + "─" * (BOX - 2) + "┘"]


def _card(port):
    """Rows of a port: (text, whether the wire ends here)."""
    wire = "──" if port.joined and port.up and port.carrier else "╳─"
    head = port.name + " "
    yield head + "─" * (LEFT - len(head) - 2) + wire, True
    yield " " + port_word(port), False
    if port.joined:
        yield " %d MAC%s" % (port.crowd, "" if port.crowd == 1 else "s"), False


def _tunnel(status, tunnel):
    """Rows of a tunnel: (wire, text), from the bridge to the other site."""
    fine, far, below = status.carries(tunnel), tunnel.peer, tunnel.underlay
    wire = "{} {} {} {}".format(tunnel.name, "══" if fine else "╳═", below.name, "~~" if fine else "~╳")
    end = far.endpoint if far and far.endpoint else "?"
    several = len(tunnel.peers) > 1
    if len(tunnel.near) > 1:
        end = "%d of %d peers" % (tunnel.heard, len(tunnel.near))
    rows = [wire + " " + end] if len(wire + " " + end) <= RIGHT else [wire, end]
    rows += [f"to {tunnel.wish.site}"] if tunnel.wish.site else []
    rows += [hubs(tunnel)] if tunnel.wish.has_hubs else []
    ends = f"{tunnel.wish.local} ══ {tunnel.wish.senders or ', '.join(tunnel.wish.far_ends)}"
    there = [f"there {called(tunnel.wish, remote) if several else remote}" for remote in tunnel.wish.far_ends]
    if tunnel.wish.senders:
        there = ["there " + tunnel.wish.senders, "by FRR %d far ends" % len(tunnel.wish.remotes)]
    rows += [ends] if len(ends) <= RIGHT and not several else [f"here {tunnel.wish.local}", *there]
    rows.append(
        "{}, MTU {}{}".format(tunnel.wish.kind, tunnel.mtu or "none", ", MSS %d and %d" % tunnel.mss if tunnel.mss else "")
    )
    who = "" if len(tunnel.near) > 1 else f", peer {key(far.key)}" if far else ", no peer"
    rows.append("{} MTU {}{}".format(below.name, below.mtu or "none", who))
    if far is not None and len(tunnel.near) == 1:
        rows.append(f"handshake {duration(far.age)} ago" if far.age is not None else "no handshake yet")
    rows += ["WRONG: " + fault.message for fault in status.of(tunnel.name) if fault.level == WRONG]
    wire = "────" if tunnel.joined else "─╳──"
    for text in rows:
        for part in wrap(text, RIGHT):
            # An IPv6 address is longer than what is left.
            for start in range(0, len(part), RIGHT):
                yield wire, part[start : start + RIGHT]
                wire = ""


def _rows(status, tunnels):
    """A row for each tunnel: (wire, text)."""
    width = min(max(len(tunnel_groups.called(tunnel)) for tunnel in tunnels), RIGHT // 2)
    for tunnel in tunnel_groups.ordered(tunnels):
        fine, far, word = status.carries(tunnel), tunnel.peer, tunnel_groups.word(status, tunnel)
        said = word if word != tunnel_groups.UP else tunnel.wish.senders or tunnel.wish.remote
        if word in tunnel_groups.HEARD:
            said += f", {duration(far.age)}"
        text = "{} {} {}".format(cut(tunnel_groups.called(tunnel), width).ljust(width), "══" if fine else "╳═", said)
        yield "────" if tunnel.joined else "─╳──", cut(text, RIGHT)


def _groups(found):
    """Rows of Groups, each with the names of those that are in it."""
    for number, group in enumerate(found):
        if number:
            yield "", ""
        wire = "────" if all(tunnel.joined for tunnel in group.tunnels) else "─╳──"
        yield wire, "{} {} {}".format(group.title, "══" if group.fine else "╳═", group.word)
        yield from _names(group.names)


def _names(names):
    """Rows of names: as many as a picture has room for."""
    rows = wrap(" ".join(names), RIGHT)
    if len(rows) > NAMED:
        rows = rows[: NAMED - 1]
        left = len(names) - sum(len(row.split(" ")) for row in rows)
        rows.append("and %d more: l2wg sites" % left)
    for row in rows:
        yield "", row


def _beyond(names, isolated):
    """Rows of the sites that have the same hub, and no tunnel from here."""
    yield "", ""
    yield "", count(len(names), "more site")
    yield "", sites.BEYOND[isolated]
    yield from _names(names)
