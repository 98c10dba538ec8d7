"""Whatever version of ip(8) and nft(8) has printed it, we read the same: that of Debian 12 is what the lab shows to be right."""
import pytest
import tools

from l2wg_hooks import byname, layer3, links, record, routes, rules, run, seen, settings, transaction, verify, ways
from l2wg_hooks.pairing import facts
from l2wg_hooks.plan import Rules
from l2wg_hooks.showing import stations, traffic

NEWEST = tools.IPROUTE2[-1]
OLD = tools.IPROUTE2[:-1]
STATES = sorted(path.name for path in (tools.GOLDEN / NEWEST).iterdir())
OBSERVE = " ".join(run.OBSERVE)
TUNNEL = settings.Tunnel("vx4", "wg0", "10.9.0.1", "10.9.0.2", "br0", encapsulation="vxlan")


def test_every_version_was_asked_the_same():
    for version in tools.IPROUTE2:
        assert sorted(path.name for path in (tools.GOLDEN / version).iterdir()) == STATES
        for state in STATES:
            assert list(tools.recorded(version, state)) == list(tools.recorded(NEWEST, state))


def asked(version, what):
    """[(state, Result)] of all states in which a command was asked for that begins so."""
    return [(state, one) for state in STATES for words, one in tools.recorded(version, state).items() if words.startswith(what)]


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize(
    "what, reader, least",
    [
        (OBSERVE, links.parse, 4),
        ("ip -json -details -statistics", lambda text: sorted(traffic.read(record.table(text))), 1),
        ("bridge -json -statistics fdb show", lambda text: sorted(stations.read(record.table(text))), 4),
        ("ip -4 route", routes.read, 10),
        ("ip -6 route", routes.read, 10),
        ("ip route get", routes.read, 30),
        ("ip -json -4 rule show", lambda text: [rule for rule in record.table(text) if ways.is_ours(rule)], 4),
        ("ip -json -6 rule show", lambda text: [rule for rule in record.table(text) if ways.is_ours(rule)], 4),
        ("ip -json neighbour", record.table, 8),
        ("ip -json -6 address show", record.table, 1),
    ],
)
def test_each_reader_reads_the_same(version, what, reader, least):
    new = [(state, one.code, reader(one.out) if not one.code else None) for state, one in asked(NEWEST, what)]
    old = [(state, one.code, reader(one.out) if not one.code else None) for state, one in asked(version, what)]
    assert len(new) >= least and any(found for _, _, found in new), "the probe reads something"
    for before, now in zip(old, new):
        # A table that is not there: an empty one to 4.20, an error later.
        assert before == now or {before[1:], now[1:]} if False else same(before, now), (before, now)
