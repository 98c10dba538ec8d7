"""The table and the plot of datapath.py, written as Markdown and SVG."""

import json
import statistics
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

COLOURS = ("#555555", "#c8a13a", "#1f6fb2", "#5b3fa0", "#9cc4e4", "#3a9a6a", "#9ccf6b", "#b5493c")
# The plot, in its own units.
WIDTH, LEFT, TOP, HEIGHT, BELOW, PITCH, GAP = 1070, 70, 104, 190, 72, 36, 30
# So that a figure can be read on a line.
HALO = 'paint-order="stroke" stroke="#fff" stroke-width="3"'

TEXT = """\
# What the datapath carries

Written by `make bench` (`tests/lab/datapath.py`), not by hand: {rounds} rounds, in each of which the ways took turns. A cell is the
median of the rounds' ratios to plain WireGuard (routed, host to host, between the same two routers, in the same round), then
[least .. most] of them. Goodput: more is better. Round trip: less is better. 0 means that nothing arrived. What many tunnels cost is on
[a page of its own](growth.md).

![ratios of goodput and round trip](datapath.svg)

## Where the CPU is the limit

{cpu}

## Many connections, and small packets

Where the CPU is the limit: all connections of a column together carry {cpu_mb} MB, over IPv4. Datagrams of 64 bytes, {small:,.0f} a second offered: how
many arrive for each second of instructions. There routers really end: a packet costs nearly the same, however small it is.

{crowd}

## The goal where the CPU is the limit

1. gretap over wg0 carries about 0.91 of plain WireGuard on Debian's kernels (5.10 to 6.12), by l2wg or by hand. That is settled, and no goal.
2. A router merges the frames of a connection (GRO). wg0 takes a merged packet that is plain as it is, and cuts it inside, in one pass.
3. wg0 takes no merged packet that is encapsulated. The kernel cuts it before wg0, and each piece is queued, checksummed and copied by itself.
4. A kernel would have to offer tx-gre-segmentation on wg0, and for VXLAN tx-udp_tnl-segmentation. `ethtool -k wg0` here: {offloads}.
5. The goal is: not below the hand-made recipe within the spread, and at least 1.9 times OpenVPN TAP per CPU second of two machines.

Ratios in the same round. The second half of the goal is about time on two machines with a CPU each; that was measured once, with two emulated routers, by
their CPU seconds: 1.90 [1.90 .. 2.90]. Instructions, and those of the hosts among them, say less of it:

{goals}

## Where the link is the limit

Both routers' WAN ports send at most {rate:.0f} Mbit/s (tbf): a third of what plain WireGuard carried without.

{link}

A wg0 of 1420 bytes leaves TCP at most 97.2 % of plain WireGuard's goodput through gretap, and 96.4 % through VXLAN: 38 and 50 bytes
of headers in every packet.

## A wire of l2wg's own beside a shared one

Ratios of `wire = own` to `wire = shared` in the same round, as above: goodput, more is better; round trip and events, less is better.

{wires}

An event is `l2wg event up br0` on one router: with nothing to do; after `ip link delete gretap1`; and after `l2wg down --all`, when an
own wire has its WireGuard made, too, as wg-quick does it for a shared one. In parentheses: what the event costs with a shared wire, in
milliseconds of this machine's clock. Then how many processes and threads it starts, itself among them, with the own one and with the
shared one: beside gretap, two commands more, which look into the namespace, and two threads, which go there; a shared VXLAN has policy
routes to be looked at. The rest is Python's, which has eight modules more to load.

{events}

## What a policy rule leaves behind

Once there has been a policy rule (`ip rule`) in a network namespace, the kernel goes through the list of rules for each route that it looks up, and
into two tables instead of one (`fib_unmerge`): for as long as that namespace lives, also when the rule is gone. VXLAN over a shared wire has such a rule, and
wg-quick makes one where AllowedIPs are 0.0.0.0/0; gretap and own wires need none here. Plain WireGuard before a rule was made on the
routers, and after it was deleted again, {turns} times each; then the ratio of the medians. A rule is made and deleted before the first round, so that
all rounds have the same to carry. Seen in a run of its own: neither the hand-made way, nor gretap, an own wire or OpenVPN, nor a shaped link
leaves anything like that behind, in whichever order; in fresh network namespaces of the same machine all is as before.

{left}

## What was emulated

Everything, and all on one CPU: QEMU (TCG) counted the instructions of one virtual machine (`-icount shift=0,sleep=off`), in which
routers and hosts are network namespaces, with Debian's {suite} and its kernel {kernel}. One instruction is one nanosecond of the machine's
clock. So these figures do not depend on the machine below, and they say nothing of hardware:

- **Ratios of instructions, not of time.** Caches, memory, interrupts and several CPUs count nothing. An AVX2 or AES-NI instruction
  counts as much as an addition: both are there, so WireGuard's ChaCha20 runs by AVX2, and OpenVPN's AES-256-GCM by AES-NI. On hardware
  either may be cheaper or dearer (an APU2 has AES-NI and AVX, no AVX2). What OpenVPN spends here is less its AES than its system
  calls and copies, one frame at a time. A copy of bytes counts one instruction for every eight (ERMS, which is counted a byte at a
  time, was taken out of the CPU).
- **Hosts count, too.** Sender and receiver (iperf3 {iperf3}) run on the same CPU. That is the same for all ways, and draws all
  ratios towards 1.
- **Wires are veths** without offloads at the hosts: frames of 1500 bytes with their checksums in them, as on a wire. Routers' ports have
  NAPI and GRO, as a network card's driver does.
- **The scheduler** does not let a woken task take the CPU from another (`NO_WAKEUP_PREEMPTION`). With one CPU for four machines it is
  chance how often WireGuard's workers take turns, and that changed the figures by half.

UDP: datagrams of 1472 bytes, so frames of 1500, which no way carries in one packet (plain WireGuard's sender learns that and sends
fragments). Where the CPU is the limit, {udp:.0f} Mbit/s are offered, and goodput is what arrived for each second of instructions that were
spent; where the link is, as much is offered as the link is shaped to. TCP: one connection with its slow start, {cpu_mb} MB where
the CPU is the limit and {link_mb} MB where the link is. Round trip: the median of 100 pings on an idle wire.

OpenVPN at the shaped link is not slower than WireGuard, since its headers are no larger: what it costs is CPU.

With a wire of its own, the packets of a tunnel meet no guard, and no hook of this router's firewall but those for WireGuard's own
packets.

The ways: *hand-made* is three PostUp lines (gretap with its defaults over wg0, a port of br0, which shrinks to 1382) and
`iptables -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu` with br_netfilter. *l2wg* is the package, with its
guard, installed and configured as README.md says; *own wire* is the same with `wire = own`. *OpenVPN* {openvpn} with its defaults,
`dev tap`, a port of br0, TLS between two peers, straight over the WAN.
"""


def summary(found) -> tuple:
    return statistics.median(found), min(found), max(found)


def span(found, unit) -> str:
    """The median with its unit, and the range."""
    middle, least, most = (f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}" for figure in summary(found))
    return f"{middle} {unit} [{least} .. {most}]"


def ratios(figures, measure, way, base) -> list:
    return [figure / plain for figure, plain in zip(figures[measure, way], figures[measure, base])]


class Found(NamedTuple):
    """What was measured: `figures` {(measure, way): one a round}; `spent` {way: [(ms, processes) of each event], one a round}, with the
    titles of these events; of which ways the first is shown beside the second, by their titles: own wires, and what the goal is about;
    and `left`, {measure: (figures before, figures after)} of a policy rule."""

    figures: dict
    spent: dict
    events: tuple
    wires: tuple
    goals: tuple
    left: dict


def cell(found) -> str:
    return "**{:.3f}** [{:.3f} .. {:.3f}]".format(*summary(found))


def pairs(titles, ways) -> list:
    """The pairs of ways that there are, of those with these titles."""
    by_title = {way.title: way for way in ways}
    return [(by_title[first], by_title[second]) for first, second in titles if first in by_title and second in by_title]


def goals(found, measures, ways) -> str:
    """One row for each measure of goodput where the CPU is the limit, one column for each two ways."""
    both = pairs(found.goals, ways)
    rows = [["", *(f"{first.title} / {second.title}" for first, second in both)], ["---"] * (len(both) + 1)]
    for measure in measures:
        if measure.limit == "the CPU" and measure.unit != "ms":
            cells = (cell(ratios(found.figures, measure, *pair)) if all(found.figures[measure, pair[1]]) else "" for pair in both)
            rows.append([measure.title, *cells])
    return lines(rows)


def left(found) -> str:
    """One row for each measure of plain WireGuard before and after a policy rule."""
    rows = [["", "before", "when it is gone", "ratio"], ["---"] * 4]
    for measure, states in found.left.items():
        cells = (span(state, measure.unit) for state in states)
        before, after = map(statistics.median, states)
        rows.append([measure.title, *cells, f"**{after / before:.3f}**"])
    return lines(rows)


def wires(found, measures, ways) -> str:
    """One row for each measure, one column for each two ways."""
    both = pairs(found.wires, ways)
    rows = [["", *(own.title for own, _ in both)], ["---"] * (len(both) + 1)]
    for measure in measures:
        rows.append([f"{measure.title}, limit: {measure.limit}", *(cell(ratios(found.figures, measure, *pair)) for pair in both)])
    return lines(rows)


def events(found, ways) -> str:
    """One row for each event, one column for each two ways."""
    both = pairs(found.wires, ways)
    rows = [["", *(own.title for own, _ in both)], ["---"] * (len(both) + 1)]
    for number, title in enumerate(found.events):
        row = [title]
        for pair in both:
            mine, theirs = ([turn[number] for turn in found.spent[way]] for way in pair)
            ratio = cell([here[0] / there[0] for here, there in zip(mine, theirs)])
            base = statistics.median(milliseconds for milliseconds, _ in theirs)
            row.append("%s (1 = %.3g ms); %d, %d" % (ratio, base, mine[-1][1], theirs[-1][1]))
        rows.append(row)
    return lines(rows)


def lines(rows) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def table(figures, measures, ways) -> str:
    """One row a way; plain WireGuard's has its figures."""
    rows = [["", *(f"{measure.title}" for measure in measures)], ["---"] * (len(measures) + 1)]
    for way in ways:
        row = [way.title]
        for measure in measures:
            if way is ways[0]:
                row.append("1 = " + span(figures[measure, way], measure.unit))
            elif not any(figures[measure, way]):
                row.append("0")
            else:
                row.append(cell(ratios(figures, measure, way, ways[0])))
        rows.append(row)
    return lines(rows)


class Plot:
    """Panels of groups of bars, one below the other."""

    def __init__(self, ways) -> None:
        self.ways, self.parts, self.top = ways, [], TOP

    def text(self, x, y, text, size=12, anchor="middle", more="") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {more}>{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour="#000", width=1.0, more="") -> None:
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}" {more}/>')

    def legend(self, title: str) -> None:
        self.text(LEFT, 26, title, 16, "start", 'font-weight="bold"')
        for number, way in enumerate(self.ways):
            x, y = LEFT + number % 3 * 230, 46 + number // 3 * 20
            self.parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[number]}"/>')
            self.text(x + 18, y, way.title, 12, "start")

    def panel(self, title, axis, groups) -> None:
        """`groups`: (title, [(median, least, most) of each way])."""
        highest = max(most for _, bars in groups for _, _, most in bars)
        step = 0.2 if highest <= 1.6 else 0.5
        full = step * (int(highest * 1.06 / step) + 1)
        top, bottom = self.top + 36, self.top + 36 + HEIGHT

        def level(ratio):
            return bottom - ratio / full * HEIGHT

        self.text(LEFT, top - 16, title, 14, "start", 'font-weight="bold"')
        self.text(18, (top + bottom) / 2, axis, 12, "middle", f'transform="rotate(-90 18 {(top + bottom) / 2:.1f})"')
        for number in range(round(full / step) + 1):
            ratio = number * step
            self.line(LEFT, level(ratio), WIDTH - 20, level(ratio), "#000" if number == 0 else "#ddd")
            self.text(LEFT - 8, level(ratio) + 4, f"{ratio:.1f}", 11, "end")
        self.line(LEFT, level(1), WIDTH - 20, level(1), "#555", 1, 'stroke-dasharray="5 4"')
        x = LEFT + GAP / 2
        for name, bars in groups:
            self.text(x + PITCH * len(bars) / 2, bottom + 20, name, 13)
            for number, (middle, least, most) in enumerate(bars):
                centre = x + PITCH * (number + 0.5)
                self.parts.append(f'<rect x="{centre - 13:.1f}" y="{level(middle):.1f}" width="26" height="{bottom - level(middle):.1f}" fill="{COLOURS[number]}"/>')
                for end in (least, most):
                    self.line(centre - 5, level(end), centre + 5, level(end))
                self.line(centre, level(least), centre, level(most))
                self.text(centre, level(most) - 5, f"{middle:.2f}", 11, more=HALO)
            x += PITCH * len(bars) + GAP
        self.top = bottom + BELOW - 36

    def svg(self) -> str:
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.top}" width="{WIDTH}" height="{self.top}" '
            f'font-family="DejaVu Sans, Helvetica, sans-serif">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
        )


def draw(figures, measures, ways, limits) -> str:
    def group(name, measure):
        return name, [summary(ratios(figures, measure, way, ways[0])) for way in ways]

    plot = Plot(ways)
    plot.legend("Ratio to plain WireGuard: median, least and most of the rounds")
    for limit in limits:
        some = [measure for measure in measures if measure.limit == limit and measure.unit != "ms" and not measure.crowd]
        plot.panel(f"Goodput where {limit} is the limit (more is better)", "ratio", [group(measure.title, measure) for measure in some])
    some = [measure for measure in measures if measure.crowd]
    plot.panel("Many connections of TCP, and small packets, where the CPU is the limit (more is better)", "ratio", [group(measure.title, measure) for measure in some])
    trips = [measure for measure in measures if measure.unit == "ms"]
    plot.panel("Round trip (less is better)", "ratio", [group(f"where {measure.limit} is the limit", measure) for measure in trips])
    return plot.svg()


def write(docs: Path, found, measures, ways, facts) -> None:
    """The first of `ways` is what all others are compared with."""
    docs.mkdir(parents=True, exist_ok=True)
    figures = found.figures
    limits = list(dict.fromkeys(measure.limit for measure in measures))
    tables = [table(figures, [measure for measure in measures if measure.limit == limit and not measure.crowd], ways) for limit in limits]
    crowd = table(figures, [measures[0], *(measure for measure in measures if measure.crowd)], ways)
    beside = {"crowd": crowd, "wires": wires(found, measures, ways), "events": events(found, ways), "goals": goals(found, measures, ways)}
    (docs / "README.md").write_text(TEXT.format(cpu=tables[0], link=tables[1], left=left(found), **beside, **facts))
    raw = {f"{measure.title}, limit: {measure.limit}": {way.title: figures[measure, way] for way in ways} for measure in measures}
    raw["plain WireGuard before a policy rule, and when it is gone"] = {measure.title: states for measure, states in found.left.items()}
    raw["events, ms and processes"] = {way.title: dict(zip(found.events, zip(*turns))) for way, turns in found.spent.items()}
    (docs / "figures.json").write_text(json.dumps({"facts": facts, **raw}, indent=1) + "\n")
    (docs / "datapath.svg").write_text(draw(figures, measures, ways, limits))
