"""`l2wg sites` as a screen of text: a Table -> lines of at most 80 characters. Pure."""

from l2wg_hooks.config import site_names
from l2wg_hooks.status import sites
from l2wg_hooks.status.pen import Pen
from l2wg_hooks.status.status import NOTE
from l2wg_hooks.status.terminal_text import WIDTH, cut, duration, paint, readable, size

TITLES = ("site", "address", "behind it", "tunnel", "handshake", "received", "sent")
# Behind these, where somebody has looked before.
RATE = ("a second",)
# So many of these can be cut, and to what at least: what --json has whole.
CUT, LEAST = 3, 8
# Characters of the name of a hub.
BY = 12
WHY_NONE = "none: in a star, the hub alone has a tunnel to each site"
WHY_NONE_OF_TWO = "none: in a star, the hubs alone have a tunnel to each site"
NOT_LOOKED = "Whether they are up, and when they were heard, is for root: sudo l2wg sites"


def render(table, colour=False):
    """The lines."""
    pen, table = Pen(colour), readable(table)
    pen.line(f"{table.path}: {sites.summary(table)}", "red" if table.wrong else "green" if table.looked else "")
    _faults(pen, "", table.faults)
    pen.line("")
    rated = any(row.peer and row.peer.rate for row in table.rows)
    titles = TITLES + RATE if rated else TITLES
    cells = [_cells(row, rated) for row in table.rows]
    widths = _widths(titles, cells)
    pen.lines.append(_line(titles, widths))
    for row, these in zip(table.rows, cells):
        text = _line(these, widths)
        pen.lines.append(paint(text, "red", colour) if row.wrong else text)
        if row.tunnel and row.tunnel.name != row.name and (row.by_hand or not _is_shared(row)):
            own = row.by_hand or row.tunnel.name != site_names.tunnel(row.name)
            pen.row("", f"its tunnel is {row.tunnel.name}" + (f", by {row.tunnel.wish.path}" if own else ""))
        if not row.line:
            pen.row("", "no line has it any longer; its tunnel stands until `l2wg apply`", "yellow")
        # The mistakes of the line each with its cure; of what is wrong with the tunnel the first one, as in `l2wg status`.
        _faults(pen, row.name, [fault for fault in row.faults if fault.path == table.path or fault.hint])
        rest = [fault for fault in row.wrong if fault.path != table.path and not fault.hint]
        for fault in rest[:1]:
            pen.row("", fault.message + (" (and %d more)" % (len(rest) - 1) if len(rest) > 1 else ""), "red")
    pen.line("")
    if any(row.word == sites.NONE for row in table.rows):
        pen.line(WHY_NONE if len(table.hubs) < 2 else WHY_NONE_OF_TWO)
    shared = [row.tunnel for row in table.rows if row.tunnel and _is_shared(row) and not row.by_hand]
    for tunnel in {tunnel.name: tunnel for tunnel in shared}.values():
        who = "The hubs" if tunnel.wish.has_hubs else "They"
        pen.line(f"{who} have one tunnel here, {tunnel.name}: l2wg status {tunnel.name}")
    listened = [row.name for row in table.rows if row.listened]
    if listened:
        pen.line(f"{listened[0]} is the hub that is listened to")
    if not table.looked and not table.draft:
        pen.line(NOT_LOOKED)
    if table.elsewhere:
        verb = "is" if table.elsewhere == 1 else "are"
        pen.line("%d more %s wrong, with what is no part of this net: l2wg status" % (table.elsewhere, verb))
    if any(row.wrong and row.tunnel for row in table.rows):
        pen.line("What helps: l2wg check")
    while not pen.lines[-1]:
        pen.lines.pop()
    return "\n".join(pen.lines) + "\n"


def _is_shared(row):
    """Whether the tunnel to a site is one to others, too."""
    return row.tunnel.wish.is_one_of_all or row.tunnel.wish.has_hubs


def _faults(pen, name, faults):
    pen.faults([fault for fault in faults if fault.level != NOTE or fault.path])


def _cells(row, rated):
    """A row's words; the last one of a site without a tunnel may be longer than its column."""
    place = (row.name, row.addresses[0] if row.addresses else "-", row.lan or "-")
    if row.tunnel is None:
        said = {sites.HERE: "this router", sites.GONE: f"out since {row.gone}"}
        return (*place, said.get(row.word, row.word))
    far, ways = row.peer, row.ways
    hand = duration(far.age) if far and far.age is not None else "none"
    rate = far.rate if far is not None else None
    cells = (*place, row.word, hand, size(ways[0]), size(ways[1]))
    if row.listened is False:
        # It is asked every few seconds all the same.
        cells = (*place, row.word, "-", "-", "-")
    if row.by:
        cells = (*place, row.word, cut(f"by {row.by}", BY), "-", "-")
    return cells + ((size(sum(rate)) if rate else "-",) if rated else ())


def _widths(titles, cells):
    """Of each column; what does not fit is taken from the widest of those that can be cut."""
    rows = [titles, *cells]
    whole = [row for row in rows if len(row) == len(titles)]
    widths = [max(len(row[column]) for row in rows) for column in range(CUT)]
    widths += [max(len(row[column]) for row in whole) for column in range(CUT, len(titles))]
    # The last word of a short row goes on over the columns behind it.
    longest = max([len(row[-1]) for row in rows if len(row) < len(titles)] or [0])
    tail = max(sum(widths[CUT:]) + len(widths[CUT:]) - 1, longest)
    while sum(widths[:CUT]) + CUT + tail > WIDTH and max(widths[:CUT]) > LEAST:
        widths[widths.index(max(widths[:CUT]))] -= 1
    return widths


def _line(cells, widths):
    words = [cut(word, width).ljust(width) for word, width in zip(cells, widths[:CUT])]
    rest = cells[CUT:]
    if len(rest) > 1:
        words += [rest[0].ljust(widths[CUT]), rest[1].ljust(widths[CUT + 1])]
        words += [word.rjust(width) for word, width in zip(rest[2:], widths[CUT + 2 :])]
    else:
        words += rest
    return " ".join(words).rstrip()
