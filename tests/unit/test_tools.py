"""Whatever version of ip(8) and nft(8) has printed it, we read the same: that of Debian 12 is what the lab shows to be right."""

import json
import re

import pytest
import tools
from l2wg_hooks.apply import saved_state, verify
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Addresses, Rules, Step, Tunnel
from l2wg_hooks.netfilter import host_rules, name_references, nftables_state, trace
from l2wg_hooks.observe import fdb_table, interface_counters, link_table, needed_elsewhere, snapshot
from l2wg_hooks.pairing import local_facts
from l2wg_hooks.plan import policy_routes
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import features, ip_routes, json_fields, process

NEWEST = tools.IPROUTE2[-1]
OLD = tools.IPROUTE2[:-1]
STATES = sorted(path.name for path in (tools.GOLDEN / NEWEST).iterdir())
OBSERVE = " ".join(link_table.OBSERVE)
VX4 = Tunnel("vx4", "wg0", "10.9.0.1", "10.9.0.2", "br0", encapsulation="vxlan")


def test_every_version_was_asked_the_same():
    for versions in (tools.IPROUTE2, tools.NFT):
        states = [sorted(path.name for path in (tools.GOLDEN / version).iterdir()) for version in versions]
        assert states.count(states[0]) == len(versions)
        for state in states[0]:
            asked = [list(tools.recorded(version, state)) for version in versions]
            assert asked.count(asked[0]) == len(versions)


def asked(version, what):
    """[(state, Result)] of all commands that begin so."""
    return [(state, result) for state in STATES for words, result in tools.recorded(version, state).items() if words.startswith(what)]


def _stations(text):
    crowd = fdb_table.Crowd()
    crowd.take(text)
    found = crowd.found()[0]
    return {port: sorted((station.mac, station.vlan, station.fixed) for station in some) for port, some in found.items()}


def _neighbours(text):
    return [neighbour.get("state") for neighbour in json_fields.table(text)]


def _rules(text):
    return [rule for rule in json_fields.table(text) if policy_routes.is_ours(rule)]


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize(
    "what, reader, least",
    [
        (OBSERVE, link_table.parse, 4),
        ("ip -json -details -statistics", lambda text: sorted(interface_counters.read(json_fields.table(text))), 1),
        ("bridge -json -statistics fdb show", _stations, 4),
        ("ip -4 route", ip_routes.read, 10),
        ("ip -6 route", ip_routes.read, 10),
        ("ip route get", ip_routes.read, 30),
        ("ip route show", ip_routes.read, 5),
        ("ip -json -4 rule show", _rules, 4),
        ("ip -json -6 rule show", _rules, 4),
        ("ip -json neighbour", _neighbours, 8),
    ],
)
def test_each_reader_reads_the_same(version, what, reader, least):
    # A table that is not there is an empty one to 4.20, and 2 later: ip_routes.show takes both for none.
    both = [[(state, {0: result.out, 2: ""}[result.code]) for state, result in asked(name, what)] for name in (version, NEWEST)]
    old, new = ([(state, reader(text)) for state, text in some] for some in both)
    assert len(new) >= least and any(found for _, found in new), "the probe reads something"
    assert old == new


def test_what_4_20_prints_as_json_is_none_for_routes():
    """Else nobody would need system/ip_routes.py; `l2wg check -v` tells it."""
    get, show = "ip -json route get 198.51.100.1", "ip -json -4 route show table 1815248896"
    (feature,) = [feature for feature in features.FEATURES if feature.argv[:4] == ("ip", "-json", "route", "get")]
    for version in tools.IPROUTE2:
        new = version != "iproute2-4.20"
        assert features.has(feature, 0, tools.recorded(version, "get")[get].out) == new
        assert features.has(feature, 0, tools.recorded(version, "ways")[show].out) == new


@pytest.mark.parametrize("version", tools.IPROUTE2)
def test_the_gateways_and_the_ways_are_known(monkeypatch, ipv6, version):
    tools.play(monkeypatch, version, "routes")
    found = [row[:1] + row[2:] for row in verify._gateways()]
    assert found == [("192.0.2.1", ""), ("192.0.2.2", ""), ("2001:db8::1", ""), ("fe80::1", "e0")]
    tools.play(monkeypatch, version, "get")
    seen_links = link_table.parse(tools.recorded(version, "reference")[OBSERVE].out)

    def way(target, zone=""):
        (found,) = verify._ways([(target, "", zone, False)], seen_links)
        return found and (found.device, found.hop)

    assert way("198.51.100.1") == ("e0", "192.0.2.1") and way("192.168.178.10") == ("br0", "192.168.178.10")
    assert way("2001:db8:9::1") == ("e0", "2001:db8::1") and way("fe80::5", "e0") == ("e0", "fe80::5")
    assert way("10.70.0.1") == ("e0", "fe80::1") and way("10.71.0.1") == ("wg0", "10.71.0.1")
    assert [way(target) for target in ("10.66.0.1", "10.67.0.1", "10.68.0.1", "fd66::1", "fd68::1")] == [None] * 5
    monkeypatch.setattr(local_facts, "ELSEWHERE", {4: "198.51.100.1", 6: "2001:db8:9::1"})
    assert [local_facts._source(family) for family in (4, 6)] == ["192.0.2.7", "2001:db8::7"]
    tools.play(monkeypatch, version, "closed")
    assert way("198.51.100.1") is None and verify._gateways() == []


@pytest.mark.parametrize("version", tools.IPROUTE2)
def test_what_is_asked_of_neighbours_and_of_logins(monkeypatch, version):
    tools.play(monkeypatch, version, "neighbours")
    answers = dict(tools.recorded(version, "neighbours"))
    change = process.Result(0, "", "")
    monkeypatch.setattr(process, "run", lambda argv: answers.get(" ".join(argv), change))
    monkeypatch.setattr(verify, "_nudge", lambda *_: None)
    monkeypatch.setattr(verify.time, "sleep", lambda _: None)
    assert all(verify._neighbour(address, "e0") for address in ("192.0.2.1", "2001:db8::1", "192.0.2.50"))
    # NOARP (51) is not listed by any version.
    assert not any(verify._neighbour(address, "e0") for address in ("192.0.2.99", "192.0.2.51", "192.0.2.52", "192.0.2.77"))
    tools.play(monkeypatch, version, "logins")
    monkeypatch.setattr(needed_elsewhere.os, "environ", {})
    assert verify.logins() == [("192.0.2.7", ""), ("2001:db8::7", "")]


@pytest.mark.parametrize("version", tools.IPROUTE2)
def test_a_tunnels_own_way_is_found(monkeypatch, ipv6, version):
    said = tools.play(monkeypatch, version, "ways")
    said["ip -4 route show table " + policy_routes.tables(VX4)[0]] = process.Result(2, "", "")
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules())
    found = snapshot.look([VX4], {}).ways
    assert list(found.rules) == ["1815248896", "1815248898", "1815248897"]
    numbers = {table: [(route.get("type"), route["dst"], route.get("metrics")) for route in some.values()] for table, some in found.routes.items()}
    assert numbers["1815248896"] == [("unreachable", "default", None), (None, "10.9.0.2", [{"mtu": 1558}])]
    assert numbers["1815248897"] == [(None, "fd09::2", [{"mtu": 1566}]), ("unreachable", "default", None)]
    assert numbers["1815248898"] == numbers[policy_routes.tables(VX4)[0]] == []


@pytest.mark.parametrize("version", OLD)
def test_a_picture_of_what_a_change_may_have_to_give_back(monkeypatch, version):
    found = []
    for release in (version, NEWEST):
        answers = dict(tools.recorded(release, "reference"), **{OBSERVE: tools.recorded(release, "kinds")[OBSERVE]})
        monkeypatch.setattr(process, "run", lambda argv, stdin="": tools.answer(answers, argv, stdin))
        found.append(saved_state.picture(["br0", "e0", "wg0", "e1"])[0])
    assert found[0] == found[1] and found[0].held["br0"].addresses and found[0].held["mv0"] != Addresses()


@pytest.mark.parametrize("version", OLD)
def test_policy_rules_by_name_are_seen(monkeypatch, version):
    move = type("Move", (), {"port": "e0", "bridge": "br0"})
    told = [
        list(name_references._ruled(move, family, tools.recorded(release, "policies")["ip %s rule show" % family].out))
        for release in (version, NEWEST)
        for family in ("-4", "-6")
    ]
    assert told[:2] == told[2:] and all(len(some) == 1 for some in told)


@pytest.mark.parametrize("version", tools.IPROUTE2)
def test_a_step_that_fails_is_the_one_that_is_told_of(monkeypatch, version):
    batches = {words.rpartition("# ")[2]: result for words, result in tools.recorded(version, "batch").items()}
    failed = {what: executor._failed(result.err, 20) for what, result in batches.items() if result.code}
    assert failed == {"exists": 1, "same-ends": 1, "gone": 2, "no-route": 0, "no-word": 0} and batches["right"].code == 0
    ends = ("local", "192.168.178.1", "remote", "192.168.92.1", "dev", "wg0", "nopmtudisc", "ignore-df")
    step = Step(("ip", "link", "add", "name", "g2", "type", "gretap") + ends, "", "g2")
    assert "ip -details link show type gretap" in executor._problem(step, batches["same-ends"].err).hint
    assert "the next event" in executor._problem(step, batches["gone"].err).hint


def test_what_cannot_be_looked_at_is_told_before_a_change(monkeypatch, ipv6):
    """Each of the commands that `verify` asks, one after the other broken."""
    tunnel = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
    here = link_table.parse(tools.recorded(NEWEST, "reference")[OBSERVE].out)
    usual = {
        "wg show": "private\tpublic\t51820\toff\n", "ss": tools.recorded(NEWEST, "logins")["ss -H -t -n -p state established"].out,
        "ip -force -batch": "192.0.2.7 dev e0 src 192.0.2.7 uid 0 \n", "ip -4 route": "default via 192.0.2.1 dev e0 \n", "ip -6 route": "",
        "ip -json neighbour": '[{"dst":"192.0.2.1","state":["REACHABLE"]}]', "ip neighbour change": "",
    }  # fmt: skip
    broken = []

    def fake(argv, stdin=""):
        words = " ".join(argv)
        code, out, err = broken[1] if broken and words.startswith(broken[0]) else (0, next(out for start, out in usual.items() if words.startswith(start)), "")
        return process.Result(code, tools.batched(stdin, lambda line: out) if stdin and not code else out, err)

    monkeypatch.setattr(process, "run", fake)
    monkeypatch.setattr(verify, "_nudge", lambda *_: None)
    monkeypatch.setattr(verify.time, "sleep", lambda _: None)
    assert [way.hop for way in verify.look([tunnel], here).ways] == ["192.0.2.1", "192.0.2.7", "2001:db8::7"]
    said = (1, "", 'Option "-json" is unknown, try "ip -help".\n')
    garbage = (0, '[{"unreachable",\n', "")
    for start in usual:
        for how in (said, garbage)[: 1 if start in ("ss", "wg show") else 2]:
            if start == "ip neighbour change":
                continue  # fails where there is no such entry yet
            broken[:] = [start, how]
            with pytest.raises(L2wgError) as error:
                verify.look([tunnel], here)
            assert "so nothing is changed\n  hint: mend what is told next\n`" + start.partition(" -force")[0] in str(error.value) and "hint: " in str(error.value)


# nft(8)


@pytest.mark.parametrize("version", tools.NFT)
def test_every_nft_has_the_forms_that_we_need(version):
    forms = {words.rpartition("# ")[2]: result for words, result in tools.recorded(version, "forms").items()}
    wanted = [feature for feature in features.FEATURES if feature.tool == features.NFT and feature.text]
    assert sorted(forms) == sorted(feature.name for feature in wanted)
    for feature in wanted:
        number = tuple(int(word) for word in re.search(r"[0-9.]+", version).group().split("."))
        assert features.has(feature, forms[feature.name].code, forms[feature.name].out) == (number >= feature.since), (feature.name, forms[feature.name])


@pytest.mark.parametrize("version", tools.NFT)
@pytest.mark.parametrize("name", ["everything-on", "hub", "reference", "two-underlays", "vxlan"])
def test_every_nft_loads_and_lists_our_rules(version, name):
    found = tools.recorded(version, name)
    assert [result.code for result in found.values()] == [0] * 5
    steady = [found["nft -s list table %s l2wg" % family].out for family in ("inet", "bridge")]
    assert "chain from_outside" in steady[0] and "chain arrives" in steady[1] and "counter packets" not in "".join(steady)


@pytest.mark.parametrize("name", ["everything-on", "vxlan"])
def test_counters_are_read_of_every_nft(name):
    from l2wg_hooks.netfilter import nftables_state

    found = []
    for version in tools.NFT:
        lists = tools.recorded(version, name)
        inet, bridge = (lists["nft list table %s l2wg" % family].out for family in ("inet", "bridge"))
        found.append((nftables_state._packets(inet), nftables_state._frames(bridge)))
    assert found.count(found[0]) == len(found) and all(found[0])


def said(version, query):
    return tools.recorded(version, "hand-written")[query].out


@pytest.mark.parametrize("hook", ["input", "forward"])
def test_a_firewall_drops_no_more_by_an_old_nft(hook):
    """What 0.9.0 tells by a service's name is not known; all else is walked as it is now."""
    new, old = (trace.listing(said(version, "nft -j list ruleset")) for version in ("nft-1.0.6", "nft-0.9.0-json"))
    less = both = 0
    for iif in ("enp3s0", "br0", "wg0", "enp1s0", "lo"):
        for oif in (None,) if hook == "input" else ("enp3s0", "br0", "enp1s0"):
            for source in ("192.168.178.9", "10.0.0.5", None):
                for protocol, port in ((None, None), ("tcp", 22), ("tcp", 443), ("udp", 67), ("udp", 53), ("icmp", None), ("sctp", None), ("gre", None)):
                    packet = trace.Packet(hook, 4, iif, oif, source, None, protocol, port)
                    drops = [len(list(trace.drops(trace.nft(listed, packet)))) for listed in (new, old)]
                    assert drops[0] >= drops[1]
                    less, both = less + drops[0] - drops[1], both + drops[1]
                    assert drops[0] == drops[1] or port is not None
    assert hook == "forward" or both > less, "the old one is not just blind: %d, %d" % (both, less)


@pytest.mark.parametrize("version", ["nft-0.9.0", "nft-0.9.8"])
def test_a_firewall_that_cannot_be_walked_is_told_where_it_names_the_port(monkeypatch, version):
    """0.9.0 without JSON prints text for -j, and 0.9.8 fails."""
    answers = tools.recorded(version, "hand-written")
    monkeypatch.setattr(process, "run", lambda argv: answers.get(" ".join(argv), process.Result(1, "", "")))
    here = host_rules.Firewall()
    assert {table for table, _ in here.unread} == {"inet filter", "ip nat"}
    move = type("Move", (), {"port": "enp3s0", "bridge": "br0"})
    told = list(name_references._unwalked(move, here.unread))
    assert len(told) == 4 and all(("enp3s0 and not br0" in problem.message and '{ "enp3s0", "br0" }' in problem.hint) or "enp*" in problem.hint for problem in told)
    cured = [(table, line.replace('"enp3s0"', '"br0"').replace('"enp*"', '"br0"')) for table, line in here.unread]
    assert list(name_references._unwalked(move, here.unread + tuple(cured))) == []


def test_a_firewall_that_is_walked_is_not_read_as_text(monkeypatch):
    answers = tools.recorded("nft-1.0.6", "hand-written")
    monkeypatch.setattr(process, "run", lambda argv: answers.get(" ".join(argv), process.Result(1, "", "")))
    here = host_rules.Firewall()
    assert here.unread == () and json.loads(here.listed)["nftables"]
