"""`l2wg status --watch` at a terminal: what is wrong first, then what crosses, in as many lines as there are. Pure.

Frames and bits are counted on the tunnel itself, so what WireGuard and the encapsulation add is not in them.
"""

from typing import NamedTuple, Tuple

from l2wg_hooks.status.render_text import COLOURS, WHOLE, count, counts, headline, port_word, state_word
from l2wg_hooks.status.status import WRONG
from l2wg_hooks.status.terminal_text import cut, duration, paint, readable

# Columns of the history, one a look.
HISTORY = 20
BARS = {True: "▁▂▃▄▅▆▇█", False: "_.-:=+*#"}
UNITS = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")


class Rates(NamedTuple):
    """What crosses an interface each second, received and sent: `frames`, and bits of the last HISTORY looks, the newest last."""

    frames: Tuple[int, int]
    bits: Tuple[Tuple[int, ...], Tuple[int, ...]]


def rates(before, old, now):
    """{interface: Rates} of the Status `now`, with those of `before` that the Status `old` had; what was re-made has none."""
    found = {}
    if old is None or now.time <= old.time:
        return found
    then, seconds = counts(old), now.time - old.time
    for name, new in counts(now).items():
        past = then.get(name)
        if past is None or any(one.frames < two.frames or one.bytes < two.bytes for one, two in zip(new, past)):
            continue
        frames = tuple(round((one.frames - two.frames) / seconds) for one, two in zip(new, past))
        bits = tuple(round(8 * (one.bytes - two.bytes) / seconds) for one, two in zip(new, past))
        known = before[name].bits if name in before else ((), ())
        found[name] = Rates(frames, tuple((one + (two,))[-HISTORY:] for one, two in zip(known, bits)))
    return found


def bits(number):
    """Bits a second, such as "980 bit/s" or "1.25 Mbit/s"."""
    size = float(number)
    for unit in UNITS[:-1]:
        if size < 1000:
            break
        size /= 1000
    else:
        unit = UNITS[-1]
    return ("%d %s" if unit == UNITS[0] else "%.2f %s") % (size, unit)


def bar(values, drawn):
    """A character a value, the highest of them full; `drawn`: with lines of Unicode, else in ASCII."""
    most, steps = max(values, default=0), BARS[drawn]
    # Who has something is told from who has nothing.
    return "".join(steps[0] if not one else steps[max(1, one * (len(steps) - 1) // most)] for one in values)


def render(status, flows, trips, size, colour=False, drawn=True, names=()):
    """The lines, at most as many as fit: `size` are columns and lines of the terminal.

    `flows` are Rates by interface, `trips` the milliseconds of an echo to each tunnel's remote, None where it was not answered.
    `names` are the tunnels to be shown; none: all.
    """
    width, height = size
    status = readable(status)
    some = [one for one in status.tunnels if not names or one.name in names]
    # Those with a fault first; else in their order.
    some.sort(key=lambda one: status.carries(one))
    lines = [(headline(status), "red" if status.wrong else "green")]
    for one in sorted(status.faults, key=lambda fault: fault.level != WRONG):
        about = f"{one.about}: " if one.about and not one.named else ""
        where = "%s:%d: " % (one.path, one.line) if one.line else ""
        lines.append(("%-6s%s%s%s" % ("WRONG" if one.level == WRONG else "note", about, where, one.message), COLOURS[one.level]))
    # What is wrong has half of the screen at most, and says how much more there is.
    most = max(3, height // 2)
    if len(lines) > most:
        lines = lines[: most - 1] + [("      and %d more: l2wg status" % (len(lines) - most + 1), "red")]
    if len(some) > WHOLE:
        lines += _table(status, some, flows, trips, drawn)
    else:
        for one in some:
            lines += [("", "")] + _tunnel(one, flows.get(one.name), trips, drawn)
        for bridge in status.bridges:
            if any(one.wish.bridge == bridge.name for one in some):
                lines += [("", "")] + list(_bridge(bridge, flows))
    left = len(lines) - height
    if left > 0:
        lines = lines[: height - 1] + [("%d more lines: l2wg status" % (left + 1), "yellow")]
    return "\n".join(paint(cut(text, width), one, colour and bool(one)) if one else cut(text, width) for text, one in lines)


def trip(milliseconds):
    """A round trip in words."""
    return "no answer to an echo" if milliseconds is None else f"round trip {milliseconds:.1f} ms"


def _tunnel(one, flow, trips, drawn):
    site = f" to {one.wish.site}" if one.wish.site else ""
    hand = "no peer"
    if one.peer is not None:
        hand = f"handshake {duration(one.peer.age)} ago" if one.peer.age is not None else "no handshake yet"
    words = [f"{one.name}{site} {state_word(one)}", hand] + ([trip(trips[one.name])] if one.name in trips else [])
    found = [(", ".join(words), "bold")]
    for number, word in enumerate(("received", "sent")):
        if flow is None:
            found.append(("  %-9s -" % word, ""))
            continue
        row = "  %-8s%15s  %-*s  %d frames/s"
        found.append((row % (word, bits(flow.bits[number][-1]), HISTORY, bar(flow.bits[number], drawn), flow.frames[number]), ""))
    return found


def _bridge(bridge, flows):
    yield (
        "{} {}".format(bridge.name, "missing" if not bridge.there else "up, MTU %d" % bridge.mtu if bridge.up else "down"),
        "bold",
    )
    for port in bridge.ports:
        flow = flows.get(port.name)
        words = [port_word(port)] + ([count(port.crowd, "MAC")] if port.joined else [])
        if flow is not None and not port.tunnel:
            words.append("{} in, {} out".format(*tuple(bits(one[-1]) for one in flow.bits)))
        yield "  %-15s %s" % (port.name, ", ".join(words)), ""


def _table(status, some, flows, trips, drawn):
    """A line a tunnel."""
    row = "%-15s %-9s %-12s %10s %12s %12s"
    yield "", ""
    yield row % ("tunnel", "state", "site", "round trip", "received", "sent"), "bold"
    for one in some:
        flow = flows.get(one.name)
        ways = [bits(each[-1]) for each in flow.bits] if flow else ["-", "-"]
        echo = "-" if trips.get(one.name) is None else f"{trips[one.name]:.1f} ms"
        well = status.carries(one)
        state = state_word(one) if well or not one.up else "WRONG"
        yield row % (one.name, state, cut(one.wish.site or "-", 12), echo, ways[0], ways[1]), "" if well else "red"
