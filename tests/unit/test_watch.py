"""The screen of `l2wg status --watch`: what is wrong first, and never more than fits."""

import pytest
from l2wg_hooks.observe.interface_counters import Traffic, Way
from l2wg_hooks.status import status, watch
from l2wg_hooks.status.status import NOTE, WRONG, Fault
from recorded import CASES, seen

SIZE = 80, 24


def built(case="right-a"):
    return status.build(seen(case))


def later(found, seconds, **bytes_of):
    """The same Status so much later: {interface: bytes received more}."""
    tunnels = tuple(tunnel._replace(traffic=_more(tunnel.traffic, bytes_of.get(tunnel.name, 0))) for tunnel in found.tunnels)
    bridges = tuple(
        bridge._replace(ports=tuple(port._replace(traffic=_more(port.traffic, bytes_of.get(port.name, 0))) for port in bridge.ports)) for bridge in found.bridges
    )
    return found._replace(time=found.time + seconds, tunnels=tunnels, bridges=bridges)


def _more(traffic, number):
    return Traffic(Way(traffic.received.frames + number // 100, traffic.received.bytes + number), traffic.sent)


def lines(found, flows=(), trips=(), size=SIZE, **more):
    return watch.render(found, dict(flows), dict(trips), size, **more).split("\n")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [SIZE, (80, 10), (40, 6), (200, 60)])
def test_it_fits(case, size):
    found = lines(built(case), size=size)
    assert len(found) <= size[1] and max(len(line) for line in found) <= size[0]


def test_what_crosses_and_how_it_was():
    first = built()
    second = later(first, 2, gretap1=2500)
    flows = watch.rates({}, first, second)
    assert flows["gretap1"] == watch.Rates((12, 0), ((10000,), (0,)))
    third = later(second, 1, gretap1=2500)
    flows = watch.rates(flows, second, third)
    assert flows["gretap1"].bits == ((10000, 20000), (0, 0))
    text = "\n".join(lines(third, flows, {"gretap1": 12.34}))
    assert "gretap1 up, handshake 29 s ago, round trip 12.3 ms" in text
    assert "received   20.00 kbit/s  ▄█" in text and "25 frames/s" in text
    assert ":#" in "\n".join(lines(third, flows, drawn=False))
    for _ in range(2 * watch.HISTORY):
        third, second = later(third, 1), third
        flows = watch.rates(flows, second, third)
    assert [len(each) for each in flows["gretap1"].bits] == [watch.HISTORY] * 2
    # What was re-made counts from 0 again, and nobody knows how much there was.
    assert "gretap1" not in watch.rates(flows, third, later(third, 1, gretap1=-5000))
    assert watch.rates({}, None, first) == {} and watch.rates({}, first, first) == {}


@pytest.mark.parametrize(
    "number, said", [(0, "0 bit/s"), (999, "999 bit/s"), (1000, "1.00 kbit/s"), (1254321, "1.25 Mbit/s"), (10**9, "1.00 Gbit/s"), (10**12, "1000.00 Gbit/s")]
)
def test_bits(number, said):
    assert watch.bits(number) == said


def test_the_bar():
    assert watch.bar((0, 1, 1000, 500), True) == "▁▂█▄"
    assert watch.bar((), True) == "" and watch.bar((0, 0), False) == "__"


def test_an_echo_that_nobody_answers_is_said_and_one_that_nobody_sent_is_not():
    assert "no answer to an echo" in "\n".join(lines(built(), {}, {"gretap1": None}))
    assert "echo" not in "\n".join(lines(built()))


def having(found, faults, **more):
    return found._replace(faults=faults, by=status.grouped(faults), **more)


def test_what_is_wrong_comes_first_and_leaves_room_for_the_rest():
    found = built()
    faults = (Fault(NOTE, "gretap1", "noted"), Fault(WRONG, "br0", "broken"))
    said = lines(having(found, faults))
    assert said[1] == "WRONG br0: broken" and said[2] == "note  gretap1: noted"
    many = tuple(Fault(WRONG, "", "fault %d" % number) for number in range(50))
    said = lines(having(found, many))
    assert said[11].strip() == "and 40 more: l2wg status" and any(line.startswith("gretap1") for line in said)


def test_many_tunnels_have_a_line_each_with_those_that_are_wrong_on_top():
    found = built()
    tunnel = found.tunnels[0]
    some = tuple(tunnel._replace(wish=tunnel.wish._replace(name="t%02d" % number)) for number in range(40))
    said = lines(having(found, (Fault(WRONG, "t33", "broken"),), tunnels=some), {}, {"t33": 3.0})
    assert len(said) == SIZE[1] and said[-1] == "21 more lines: l2wg status"
    assert said[4].split()[:5] == ["t33", "WRONG", "-", "3.0", "ms"] and said[5].split()[:2] == ["t00", "up"]
    assert [line.split()[0] for line in lines(found._replace(tunnels=some), names=["t07"])[2:3]] == ["t07"]


def test_names_of_others_move_no_cursor():
    found = built()
    tunnel = found.tunnels[0]._replace(wish=found.tunnels[0].wish._replace(site="\x1b[2J"))
    assert "\x1b" not in "\n".join(lines(found._replace(tunnels=(tunnel,))))
    assert "\x1b[31m" in "\n".join(lines(having(found, (Fault(WRONG, "", "x"),)), colour=True))
