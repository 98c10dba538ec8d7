"""`l2wg status --watch` at a terminal: what is wrong first, then what crosses, in as many lines as there are. Pure.

Frames and bits are counted on the tunnel itself, so what WireGuard and the encapsulation add is not in them.
"""

from typing import NamedTuple, Tuple

from l2wg_hooks.status.pen import COLOURS
from l2wg_hooks.status.render_text import WHOLE, count, counts, headline, port_word, state_word
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
        if past is None or any(later.frames < earlier.frames or later.bytes < earlier.bytes for later, earlier in zip(new, past)):
            continue
        frames = tuple(round((later.frames - earlier.frames) / seconds) for later, earlier in zip(new, past))
        bits = tuple(round(8 * (later.bytes - earlier.bytes) / seconds) for later, earlier in zip(new, past))
        known = before[name].bits if name in before else ((), ())
        found[name] = Rates(frames, tuple((history + (rate,))[-HISTORY:] for history, rate in zip(known, bits)))
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
    return "".join(steps[0] if not value else steps[max(1, value * (len(steps) - 1) // most)] for value in values)


def render(status, flows, trips, size, colour=False, drawn=True, names=()):
    """The lines, at most as many as fit: `size` are columns and lines of the terminal.

    `flows` are Rates by interface, `trips` the milliseconds of an echo to each tunnel's remote, None where it was not answered.
    `names` are the tunnels to be shown; none: all.
    """
    width, height = size
    status = readable(status)
    shown = [tunnel for tunnel in status.tunnels if not names or tunnel.name in names]
    # Those with a fault first; else in their order.
    shown.sort(key=lambda tunnel: status.carries(tunnel))
    lines = [(headline(status), "red" if status.wrong else "green")]
    for fault in sorted(status.faults, key=lambda fault: fault.level != WRONG):
        about = f"{fault.about}: " if fault.about and not fault.named else ""
        where = "%s:%d: " % (fault.path, fault.line) if fault.line else ""
        level = "WRONG" if fault.level == WRONG else "note"
        lines.append(("%-6s%s%s%s" % (level, about, where, fault.message), COLOURS[fault.level]))
    # What is wrong has half of the screen at most, and says how much more there is.
    most = max(3, height // 2)
    if len(lines) > most:
        lines = lines[: most - 1] + [("      and %d more: l2wg status" % (len(lines) - most + 1), "red")]
    if len(shown) > WHOLE:
        lines += _table(status, shown, flows, trips, drawn)
    else:
        for tunnel in shown:
            lines += [("", "")] + _tunnel(tunnel, flows.get(tunnel.name), trips, drawn)
        for bridge in status.bridges:
            if any(tunnel.wish.bridge == bridge.name for tunnel in shown):
                lines += [("", "")] + list(_bridge(bridge, flows))
    left = len(lines) - height
    if left > 0:
        lines = lines[: height - 1] + [("%d more lines: l2wg status" % (left + 1), "yellow")]
    return "\n".join(paint(cut(text, width), tint, colour and bool(tint)) if tint else cut(text, width) for text, tint in lines)


def trip(milliseconds):
    """A round trip in words."""
    return "no answer to an echo" if milliseconds is None else f"round trip {milliseconds:.1f} ms"


def _tunnel(tunnel, flow, trips, drawn):
    site = f" to {tunnel.wish.site}" if tunnel.wish.site else ""
    hand = "no peer"
    if len(tunnel.near) > 1:
        hand = "%d of %d peers heard" % (tunnel.heard, len(tunnel.near))
    elif tunnel.peer is not None:
        hand = f"handshake {duration(tunnel.peer.age)} ago" if tunnel.peer.age is not None else "no handshake yet"
    words = [f"{tunnel.name}{site} {state_word(tunnel)}", hand] + ([trip(trips[tunnel.name])] if tunnel.name in trips else [])
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
            words.append("{} in, {} out".format(*tuple(bits(history[-1]) for history in flow.bits)))
        yield "  %-15s %s" % (port.name, ", ".join(words)), ""


def _table(status, tunnels, flows, trips, drawn):
    """A line a tunnel."""
    row = "%-15s %-9s %-12s %10s %12s %12s"
    yield "", ""
    yield row % ("tunnel", "state", "site", "round trip", "received", "sent"), "bold"
    for tunnel in tunnels:
        flow = flows.get(tunnel.name)
        ways = [bits(each[-1]) for each in flow.bits] if flow else ["-", "-"]
        echo = "-" if trips.get(tunnel.name) is None else f"{trips[tunnel.name]:.1f} ms"
        well = status.carries(tunnel)
        state = state_word(tunnel) if well or not tunnel.up else "WRONG"
        yield row % (tunnel.name, state, cut(tunnel.wish.site or "-", 12), echo, ways[0], ways[1]), "" if well else "red"
