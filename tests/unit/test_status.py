"""The state of all tunnels from recordings of real routers, and what is said to be wrong with it."""

import json
import os
import signal

import pytest
from l2wg_hooks import cli
from l2wg_hooks.config import store, tunnel_file
from l2wg_hooks.config.allowed_ips import AllowedIPs
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import counter_growth, fdb_table, interface_counters, wg_interfaces
from l2wg_hooks.observe.fdb_table import Station
from l2wg_hooks.status import render_json, render_text, status, survey, terminal_text
from l2wg_hooks.status.status import NOTE, WRONG
from l2wg_hooks.system import files, network_namespace, process, terminal
from recorded import CASES, SECOND, TREE, A, crowd, forms, seen, wished

MINE = CASES["right-a"]


def build(case="right-a", texts=None, **more):
    return status.build(seen(case, texts, **more))


def without(*names):
    """The links of the right router but these."""
    return {name: link for name, link in seen("right-a").links.items() if name not in names}


def but(name, **changes):
    found = seen("right-a").links
    return dict(found, **{name: found[name]._replace(**changes)})


def said(found, level=WRONG):
    return [(fault.about, fault.message) for fault in found.faults if fault.level == level]


@pytest.mark.parametrize("case", CASES)
def test_it_looks_as_it_should(golden, case):
    """tests/unit/recorded.py draws them anew; look at the difference."""
    for suffix, text in forms(build(case)).items():
        assert text == (golden / "status" / case / "out" / suffix).read_text(), suffix


def test_the_picture_in_the_docs_is_what_is_drawn():
    assert forms(build())["svg"] == (TREE / "docs" / "status.svg").read_text()


@pytest.mark.parametrize("case", ["right-a", "right-b"])
def test_nothing_is_wrong_with_a_wire_that_works(case):
    found = build(case)
    assert found.faults == () and found.carries(found.tunnels[0])


def test_what_is_known_of_a_tunnel():
    (tunnel,) = build().tunnels
    assert (tunnel.there, tunnel.up, tunnel.joined, tunnel.mtu, tunnel.whole, tunnel.mss, tunnel.guarded, tunnel.age) == (
        True,
        True,
        True,
        1500,
        1382,
        (1342, 1322),
        True,
        8040.5,
    )
    assert (tunnel.peer.endpoint, tunnel.peer.age, tunnel.underlay.mtu, tunnel.underlay.port) == ("203.0.113.20:4900", 29, 1420, 4900)
    assert tunnel.traffic.received[:2] == (8, 2088)


def test_stations_are_behind_their_ports_and_nobody_s_own_address_is_one():
    ports = {port.name: port for port in build("right-b").bridges[0].ports}
    assert list(ports) == ["enp2s0", "gretap1"], "cards before tunnels"
    assert [station.mac for station in ports["gretap1"].stations] == ["d2:7a:09:9c:b1:39", "16:0c:cf:60:b6:7e", "fe:ff:ab:cc:78:53"]
    assert [station.idle for station in ports["gretap1"].stations] == [0, 1, 7]


CASE = {"now": seen("right-a").time}
WRONGS = {
    "no tunnel": (dict(links=without("gretap1")), [("gretap1", "it is not there")]),
    "tunnel down": (dict(links=but("gretap1", up=False)), [("gretap1", "it is down")]),
    "not a port": (dict(links=but("gretap1", master="")), [("gretap1", "it is not a port of br0")]),
    "no bridge": (dict(links=without("br0")), None),
    "bridge down": (dict(links=but("br0", up=False)), [("br0", "br0 is down")]),
    "bridge shrunk": (dict(links=but("br0", mtu=1382)), [("br0", "the MTU of br0 is 1382, the tunnel's 1500: larger packets of its own get lost")]),
    "underlay down": (dict(links=but("wg0", up=False)), [("gretap1", "wg0 is down")]),
    "no port": (dict(links=without("enp3s0")), [("br0", "br0 waits for its port enp3s0")]),
    "port elsewhere": (dict(links=but("enp3s0", master="")), [("br0", "it is not a port of br0")]),
    "no wg": (dict(peers={}, blind=("the command wg is not there",)), [("", "the command wg is not there"), ("gretap1", "wg(8) says nothing of wg0")]),
    "handshake of old": (dict(time=CASE["now"] + 600), [("gretap1", "no handshake with the peer for 10 min: nothing has crossed since (it is away, or nobody sends)")]),
    "no handshake": (
        dict(peers={"wg0": wg_interfaces.Interface("k", 4900, (wg_interfaces.Peer("p", "", ("192.168.92.0/24",), 0, 0, 0, None),))}),
        [("gretap1", "no handshake with the peer since wg0 is there: nothing crosses")],
    ),
    "no peer covers it": (
        dict(peers={"wg0": wg_interfaces.Interface("k", 4900, (wg_interfaces.Peer("p", "", ("192.168.93.0/24", "fd00::/8"), CASE["now"], 0, 0, None),))}),
        [("gretap1", "AllowedIPs of no peer of wg0 cover 192.168.92.1: WireGuard drops what comes from there")],
    ),
    "no guard": (
        dict(report=nftables_state.Report(nftables_state.Rules(intact=False))),
        [("", "the rules are not in force: the tables l2wg are not as this version of l2wg loads them")],
    ),
    "no nft": (
        dict(report=nftables_state.Report(nftables_state.Rules(intact=False), unknown="the command nft is not there")),
        [("", "whether the guard stands is not known: the command nft is not there")],
    ),
    "loop": (
        dict(report=seen("right-a").report._replace(frames={("loop", "gretap1"): 7})),
        [("gretap1", "a loop: 7 frames of br0 came back to it; there is a second way between the sites")],
    ),
    "storm": (dict(report=seen("right-a").report._replace(frames={("storm", "gretap1"): 9})), [("gretap1", "9 frames were dropped, over 0 a second")]),
}


@pytest.mark.parametrize("what", WRONGS)
def test_what_is_wrong_is_said(what):
    changes, wanted = WRONGS[what]
    found = build(**changes)
    if wanted is None:
        assert ("gretap1", "gretap1 waits for br0") in said(found)
    else:
        assert said(found) == wanted
    for text in forms(found).values():
        assert text.endswith("\n")
    assert 'l2wg_faults{level="wrong"} 0' not in forms(found)["metrics"]
    assert json.loads(forms(found)["json"])["ok"] is False


def counted(what, since, clock):
    """A router whose rules have counted 7 frames, the last of them `since` then."""
    report = seen("right-a").report._replace(frames={(what, "gretap1"): 7})
    return build(report=report, notes={"%s gretap1" % what: counter_growth.Note(7, since)}, clock=clock)


@pytest.mark.parametrize("what, begins", [("loop", "a loop: 7 frames of br0 came back to it"), ("storm", "7 frames were dropped, over 0 a second")])
def test_a_loop_is_told_with_its_age_and_wrong_while_it_is_recent(what, begins):
    now = said(counted(what, 1000, 1000))
    assert len(now) == 1 and now[0][1].startswith(begins) and "none for" not in now[0][1]
    [(_, soon)] = said(counted(what, 1000, 1000 + counter_growth.RECENT - 1))
    assert soon.startswith(begins + ", none for 9 min")
    after = counted(what, 1000, 1000 + counter_growth.RECENT)
    assert said(after) == [] and ("gretap1", begins + ", none for 10 min: it is over") in said(after, NOTE)


def test_a_peer_that_does_not_answer_is_told_of_before_its_session_is_old():
    name, [peer] = "wg0", [peer for peer in seen("right-a").peers["wg0"].peers if "192.168.92" in str(peer.allowed)]
    key = counter_growth.peer(name, peer.key)
    assert said(build(notes={key: counter_growth.Note(peer.received, 100, 0, 200)}, clock=200 + counter_growth.ANSWER - 1)) == []
    [(about, message)] = said(build(notes={key: counter_growth.Note(peer.received, 100, 0, 200)}, clock=200 + counter_growth.ANSWER))
    assert about == "gretap1" and message.startswith("the peer does not answer: it was sent something 20 s ago")


def test_a_broken_file_is_compared_by_what_was_applied_last(monkeypatch, tmp_path):
    """It is told of, and nothing else is wrong: what runs is what was wished for."""
    right, wrong = CASES["right-a"]["gretap1"], "remote = 192.168.92\n"
    found = seen("right-a", {"gretap1": wrong})
    assert found.wished.tunnels == () and found.wished.broken == ("gretap1",)
    steady = store.steady(found.wished, {"gretap1": right})
    assert [tunnel.name for tunnel in steady.tunnels] == ["gretap1"] and steady.broken == () and steady.problems == found.wished.problems
    told = said(build(wished=steady))
    assert told == [("", problem.message) for problem in steady.problems] and told
    # Nothing was applied yet, or what was contradicts another file by now.
    assert store.steady(found.wished, {}) == found.wished
    other = tunnel_file.parse(right, store.path("other"), "other")[0]
    with_other = found.wished._replace(tunnels=(other,))
    assert store.steady(with_other, {"gretap1": right}).broken == ("gretap1",)


ENDS = ("192.168.178.1", "192.168.92.1")


def guarded(case="right-a", received=0, texts=None, **packets):
    """A router whose guard has dropped so many packets, and whose tunnel has received so many frames."""
    known = seen(case, texts)
    report = known.report._replace(packets={(what,) + ENDS: count for what, count in packets.items()})
    counted = dict(known.traffic, gretap1=interface_counters.Traffic(interface_counters.Way(received, 90 * received), interface_counters.Way(7, 700)))
    return build(case, texts, report=report, traffic=counted)


@pytest.mark.parametrize(
    "what, message, hint",
    [
        ("injection", "9 packets of the tunnel did not come by wg0", "nft list table inet l2wg; ip -brief link"),
        ("leak", "9 packets of the tunnel were about to leave by another interface than wg0", "ip route get 192.168.92.1 from 192.168.178.1 #"),
        ("forgery", "9 packets of the tunnel were sent by somebody else, and not through wg0", "tcpdump -n -i any host 192.168.92.1"),
    ],
)
def test_a_guard_that_drops_all_there_is_is_told(what, message, hint):
    found = guarded(**{what: 9})
    assert said(found) == [("gretap1", "nothing has come by it yet, and the guard drops: " + message)]
    assert hint in found.faults[0].hint and not found.carries(found.tunnels[0])
    assert "nothing is wrong" not in forms(found)["screen"] and json.loads(forms(found)["json"])["ok"] is False


def test_a_guard_that_drops_what_strangers_send_is_no_fault():
    assert guarded(received=1, injection=9).faults == ()
    assert guarded().faults == (), "a new tunnel, and nobody has sent yet"
    away = build(
        report=seen("right-a").report._replace(packets={("injection",) + ENDS: 9}),
        time=CASE["now"] + 600,
        traffic=dict(seen("right-a").traffic, gretap1=interface_counters.Traffic()),
    )
    assert [message for _, message in said(away)] == ["no handshake with the peer for 10 min: nothing has crossed since (it is away, or nobody sends)"]


def test_what_the_guard_drops_of_any_vxlan_counts_for_each():
    text = A + "encapsulation = vxlan\n"
    known = seen("right-a", {"gretap1": text})
    links = dict(known.links, gretap1=known.links["gretap1"]._replace(kind="vxlan"))
    dropped = known.report._replace(packets={("injection", "", ""): 3})
    found = build(texts={"gretap1": text}, links=links, report=dropped, traffic=dict(known.traffic, gretap1=interface_counters.Traffic()))
    assert any("3 packets of the tunnel did not come by wg0" in message for _, message in said(found))


def test_a_note_makes_nothing_wrong():
    for changes, message in (
        (dict(links=but("enp3s0", carrier=False)), "nothing is plugged into enp3s0"),
        (dict(links=but("enp3s0", port_state="learning")), "enp3s0 is learning: spanning tree lets nothing pass"),
        (dict(pending=True), "a change waits for its confirmation, or came to no end"),
    ):
        found = build(**changes)
        assert not found.wrong and [fault.message for fault in found.faults] == [message] and found.faults[0].level == NOTE


def test_a_tunnel_whose_guard_is_another_ones_is_not_guarded():
    found = build(texts={"gretap1": A + "storm-limit = 5\n"})
    assert found.tunnels[0].guarded is False and found.intact and found.tunnels[0].mss is None
    assert said(found) == [("", "the rules are not in force: guard, clamp and fences of gretap1")]
    # Frames cross it; all the same it is not as it should be.
    assert found.carries(found.tunnels[0]) and not found.well(found.tunnels[0])
    assert 'l2wg_tunnel_healthy{tunnel="gretap1"} 0' in forms(found)["metrics"] and "1 wrong: see l2wg status" in forms(found)["svg"]


def test_what_is_about_nobody_that_is_wished_for_is_told_all_the_same():
    """A tunnel of ours without a file, a bridge's own setting."""
    found = build(texts={})
    assert ("", "gretap1: no file in /etc/l2wg asks for it any longer") in said(found)
    found = build(texts={"gretap1": A + "link-local = yes\n"})
    assert said(found) == [("br0", "LLDP and 802.1X pass")]


def test_a_broken_file_is_told_with_its_line():
    found = build(texts={"gretap1": A, "bad": "underlay = wg0\nlocal = 1.2.3\n"})
    assert [tunnel.name for tunnel in found.tunnels] == ["gretap1"]
    text = render_text.render(found)
    assert "/etc/l2wg/bad.conf:2: local: expected an IP address, not '1.2.3'" in text.replace("\n              ", " ")


def test_several_peers_and_the_longest_prefix():
    """As the kernel looks AllowedIPs up."""
    some = [("near", ("192.168.92.1/32",)), ("site", ("192.168.92.0/24",)), ("all", ("0.0.0.0/0", "::/0"))]
    interface = wg_interfaces.Interface("k", 1, tuple(wg_interfaces.Peer(key, "", allowed, 1, 0, 0, None) for key, allowed in some))
    cover = AllowedIPs(interface.peers)
    wanted = (("192.168.92.1", "near"), ("192.168.92.2", "site"), ("10.0.0.1", "all"), ("fd00::1", "all"))
    assert [status._peer(cover, remote).key for remote, _ in wanted] == [key for _, key in wanted]


def test_no_tunnel_at_all():
    found = build(texts={}, links={}, report=nftables_state.Report(nftables_state.Rules()))
    assert found.tunnels == found.bridges == found.faults == ()
    assert "there is no tunnel in /etc/l2wg" in render_text.render(found)
    for text in forms(found).values():
        assert text.endswith("\n")


def test_ipv6_ends_and_vxlan():
    six = "underlay = wg0\nlocal = fd00:1::1\nremote = fd00:2::1\nbridge = br0\nencapsulation = vxlan\nkey = 42\n"
    found = build(texts={"vx": six})
    texts = forms(found)
    assert "vxlan, VNI 42" in texts["screen"] and max(map(len, texts["screen"].splitlines())) <= 80
    assert found.tunnels[0].whole == 1420 - 70


def test_lines_are_short_whatever_the_names():
    long = "underlay = wg-very-long-na\nlocal = 2001:db8:1111:2222:3333:4444:5555:6666\nremote = 2001:db8:1111:2222:3333:4444:5555:7777\nbridge = bridge-of-names\n"
    peer = wg_interfaces.Peer("k" * 44, "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:51820", ("::/0",), 1, 2**50, 2**50, None)
    some = {"wg-very-long-na": wg_interfaces.Interface("k", 51820, (peer,))}
    linked = seen("right-a").links
    base = dict(linked, **{
        "wg-very-long-na": linked["wg0"]._replace(name="wg-very-long-na"),
        "bridge-of-names": linked["br0"]._replace(name="bridge-of-names", addresses=("2001:db8:1111:2222:3333:4444:5555:6666/64",)),
        "port-with-a-nam": linked["enp3s0"]._replace(name="port-with-a-nam", master="bridge-of-names"),
    })  # fmt: skip
    known = {"port-with-a-nam": tuple(Station("02:00:00:00:00:%02x" % n, 10, n, False) for n in range(30))}
    found = build(texts={"tunnel-of-lengt": long}, links=base, peers=some, stations=known, crowds={"port-with-a-nam": 30})
    for suffix in ("screen", "diagram"):
        wide = [line for line in forms(found)[suffix].splitlines() if len(line) > 80]
        assert wide == []
    text = render_text.render(found)
    assert "and 22 more" in text and ":07 (7 s ago, VLAN 10)" in text and ":08 (8" not in text
    drawn = forms(found)["diagram"].replace("\n", "")
    assert peer.endpoint in "".join(line[43:] for line in forms(found)["diagram"].splitlines()) and "30 MACs" in drawn


def test_many_tunnels_get_a_line_each():
    texts = {"gt%d" % n: A.replace(".92.1", ".92.%d" % (n + 1)).replace("bridge-ports = enp3s0\n", "") for n in range(6)}
    found = build(texts=texts)
    text = render_text.render(found)
    assert "tunnel          state" in text and "  ends  " not in text and max(map(len, text.splitlines())) <= 80
    shown = render_text.render(found, names=("gt2",))
    assert "  ends  " in shown and "\ngt2 missing" in shown and "\ngt3 missing" not in shown


def test_colours_say_nothing_that_words_do_not():
    import re

    for case in CASES:
        texts = forms(build(case))
        assert re.sub("\x1b\\[[0-9]*m", "", texts["colour"]) == texts["screen"]
        assert "\x1b" not in texts["screen"]


class Stream:
    def __init__(self, terminal):
        self.isatty = lambda: terminal


def test_colours_are_for_terminals():
    assert terminal_text.wants_colour(Stream(True), {"TERM": "xterm"})
    assert not terminal_text.wants_colour(Stream(False), {"TERM": "xterm"})
    assert not terminal_text.wants_colour(Stream(True), {"TERM": "xterm", "NO_COLOR": "1"})
    assert not terminal_text.wants_colour(Stream(True), {"TERM": "dumb"}) and not terminal_text.wants_colour(Stream(True), {})


def test_lines_are_for_locales_of_utf_8():
    for environment, wanted in (
        ({"LANG": "de_DE.UTF-8"}, True), ({"LANG": "C.utf8"}, True), ({"LANG": "C"}, False), ({}, False), ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "C.UTF-8"}, False), ({"LC_CTYPE": "en_GB.UTF-8", "LANG": "C"}, True), ({"LANG": "sr_RS.UTF-8@latin"}, True), ({"LANG": "de_DE"}, False),
    ):  # fmt: skip
        assert terminal_text.wants_lines(environment) is wanted, environment
    assert forms(build())["ascii"].encode("ascii")


def test_rates_between_two_looks():
    before = build()
    counts = seen("right-a").traffic
    later = dict(counts, gretap1=interface_counters.Traffic(interface_counters.Way(108, 0, 0, 0), interface_counters.Way(30, 0, 0, 0)))
    text = render_text.render(build(traffic=later, time=seen("right-a").time + 2), before=before)
    assert "108 frames, 0 B, 0 errors, 0 dropped, 50 frames/s" in text.replace("\n              ", " ") and "10 frames/s" in text
    # Made again meanwhile: no rate below zero.
    for anew in (interface_counters.Traffic(), interface_counters.Traffic(interface_counters.Way(), interface_counters.Way(999))):
        text = render_text.render(build(traffic=dict(counts, gretap1=anew), time=seen("right-a").time + 2), before=before)
        assert "frames/s" not in text.partition("br0 up")[0]


def test_the_document_is_what_the_manual_says():
    """Every name, by the path to it, that can occur: a recording with all of them against the manual's list."""

    def paths(value, at=""):
        if isinstance(value, dict):
            for key, member in value.items():
                yield from paths(member, "%s.%s" % (at, key) if at else key)
        elif isinstance(value, list) and not at.endswith("addresses"):
            for member in value:
                yield from paths(member, at + "[]")
        else:
            yield at

    names = set()
    for case in CASES:
        names |= set(paths(render_json.document(build(case))))
    manual = (TREE / "docs" / "l2wg.8").read_text()
    table = manual.partition('.\\" schema begins')[2].partition('.\\" schema ends')[0]
    assert names == {line[7:] for line in table.splitlines() if line.startswith(".It Cm ")}


def test_stations_of_old_and_odd_tools():
    """iproute2 4.20 prints nothing where there is nothing, and {} for what it leaves out; without -statistics there is no age."""
    assert crowd("") == ({}, {})
    rows = (
        '[{},{"mac":"y","ifname":"v","master":"br0","dst":"10.0.0.1","flags":["self"],"state":""},{"mac":"x","ifname":"p","flags":["self"]},'
        '{"mac":"02:00:00:00:00:01","ifname":"p","master":"br0","flags":["offload"],"state":"static","vlan":5}]'
    )
    assert crowd(rows) == ({"p": (Station("02:00:00:00:00:01", 5, None, True),)}, {"p": 1})
    assert interface_counters.read([{"ifname": "a"}, {"ifname": "b", "stats": {"rx": {"packets": 3}}}]) == {
        "a": interface_counters.Traffic(), "b": interface_counters.Traffic(interface_counters.Way(3), interface_counters.Way())
    }  # fmt: skip


# A terminal's title, its colours, one byte that begins a sequence, a line of one's own, and text that runs backwards.
EVIL = "\x1b]0;\x07", "\x1b[31m", "\x9b2J", "\rlo", "a\nb", "\u202eevil", "\udcff", "\x7f\x85"


@pytest.mark.parametrize("evil", EVIL)
def test_no_name_is_obeyed_by_a_terminal(evil):
    """Of a port, a host, a bridge of others, an alias: all that is drawn."""
    right = seen("right-a")
    ports = dict(right.links, **{evil: right.links["enp3s0"]._replace(name=evil)})
    known = {evil: (Station(evil, 0, 1, False),)}
    fault = Problem("about " + evil, "cure " + evil, evil, 1, evil)
    wish = right.wished._replace(problems=(fault,))
    found = build(links=ports, stations=known, crowds={evil: 1}, host=evil, wished=wish, blind=(evil,))
    assert evil in [port.name for port in found.bridges[0].ports], "the probe shows it to nobody"
    texts = forms(found)
    for suffix in ("screen", "diagram", "svg"):
        assert all(line.isprintable() for line in texts[suffix].split("\n")), suffix
        assert ascii(evil)[1:-1] in texts[suffix] or suffix == "svg", suffix
    # Programs get the name itself, by the rules of the format.
    assert texts["json"].isascii() if hasattr(str, "isascii") else True
    assert all(" " <= letter <= "~" or letter == "\n" for letter in texts["json"])
    document = json.loads(texts["json"])
    assert evil in [port["name"] for port in document["bridges"][0]["ports"]] and document["host"] == evil
    for line in texts["metrics"].split("\n")[:-1]:
        assert line.startswith(("#", "l2wg_")), "a line of its own"
    table = render_text.render(build(texts={"gt%d" % n: A.replace(".92.1", ".92.%d" % (n + 1)) for n in range(6)}, links=ports, host=evil))
    assert all(line.isprintable() for line in table.split("\n"))


def test_metrics_on_a_terminal(monkeypatch, capsys):
    text = 'l2wg_x{port="\x1b[2J"} 1\n\tx\n'
    terminal.out(text)
    monkeypatch.setattr(cli.sys.stdout, "isatty", lambda: True, raising=False)
    terminal.out(text)
    assert capsys.readouterr().out == text + 'l2wg_x{port="\\x1b[2J"} 1\n\tx\n'


def fdb(count, port="enp3s0"):
    """What `bridge -json` prints of so many stations, the last one heard last."""
    rows = (
        '{"mac":"02:00:%02x:%02x:%02x:%02x","ifname":"%s","flags":[],"master":"br0","used":9,"updated":%d,"state":""}'
        % (n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255, port, count - n)
        for n in range(count)
    )
    return "[" + ",".join(rows) + "]\n"


def test_of_a_crowd_some_are_listed_and_all_are_counted():
    count = 3 * fdb_table.MOST + 7
    listed, totals = crowd(fdb(count))
    assert totals == {"enp3s0": count} and [station.idle for station in listed["enp3s0"]] == list(range(1, fdb_table.MOST + 1))
    found = build(stations=listed, crowds=totals)
    texts = forms(found)
    (port,) = [port for port in json.loads(texts["json"])["bridges"][0]["ports"] if port["name"] == "enp3s0"]
    assert (port["stations_total"], port["stations_cut"], len(port["stations"])) == (count, True, fdb_table.MOST)
    assert 'l2wg_port_stations{bridge="br0",port="enp3s0"} %d\n' % count in texts["metrics"]
    assert "%d MACs" % count in texts["diagram"]
    assert "and %d more (--json has the %d heard last)" % (count - 8, fdb_table.MOST) in " ".join(texts["screen"].split())
    listed, totals = crowd(fdb(9))
    assert "and 1 more (--json has all)" in " ".join(forms(build(stations=listed, crowds=totals))["screen"].split())


def test_a_crowd_takes_no_more_room_than_a_few():
    """However many a host makes up."""
    some = fdb_table.Crowd()
    for n in range(5):
        some.take(("[" if not n else ",") + fdb(fdb_table.MOST).strip("[]\n"))
        assert len(some._listed["enp3s0"]) < 2 * fdb_table.MOST and len(some._rows._rest) < 200
    some.take("]")
    assert some.found()[1] == {"enp3s0": 5 * fdb_table.MOST}


@pytest.mark.parametrize("size", [1, 7, 64, 10**6])
def test_however_the_pieces_come(size):
    text = fdb(20) + fdb(0)[2:]
    some = fdb_table.Crowd()
    for at in range(0, len(text), size):
        some.take(text[at : at + size])
    assert some.found() == crowd(text) and some.found()[1] == {"enp3s0": 20}


NO_LIST = ["{}", "[{}", "[1]", "[{}]]", "[[{}]]", "x", '[{"a":}]', "[" + '{"a":' * 10**5, '[{"a":"' + "x" * 10**5, '[{"master":1,"ifname":[]}]']


@pytest.mark.parametrize("text", NO_LIST, ids=range(len(NO_LIST)))
def test_what_is_no_list_of_stations(text):
    assert crowd(text) == ({}, {})


def test_what_the_guard_drops_is_told_by_whose_packets_they_are():
    text = """table inet l2wg {
	counter injected_1 {
		packets 3 bytes 9
	}
	counter leaked_1 {
		packets 4 bytes 9	}
	counter forged_2 {
		packets 0 bytes 0
	}
	map injected_gre_v4 {
		type ipv4_addr . ipv4_addr : counter
		elements = { 10.0.0.1 . 10.0.0.2 : "injected_1" }
	}
	map leaked_udp_v4 {
		type ipv4_addr . ipv4_addr . inet_service : counter
		elements = { 10.0.0.1 . 10.0.0.2 . 4789 : "leaked_1" }
	}
	map forged_gre_v6 {
		type ipv6_addr . ipv6_addr : counter
		elements = { fd00::1 . fd00::2 : "forged_2" }
	}
	chain from_outside {
		meta nfproto ipv4 udp dport 4789 @th,96,24 vmap { 1 : jump vxlan_4789_v4_1 }
		meta nfproto ipv4 udp dport 4789 @th,96,24 0x1 counter packets 5 bytes 9 drop
		exthdr frag exists udp dport 4789 counter packets 1 bytes 9 drop
	}
}
"""
    ends = ("10.0.0.1", "10.0.0.2")
    wanted = {("injection",) + ends: 3, ("injection", "", ""): 6, ("leak",) + ends: 4, ("forgery", "fd00::1", "fd00::2"): 0}
    assert nftables_state._packets(text) == wanted
    strayed = build(report=seen("right-a").report._replace(packets=nftables_state._packets(text)))
    assert strayed.strays == {"injection": 9, "leak": 4, "forgery": 0} and strayed.tunnels[0].dropped["leak"] == 0


def test_metrics_escape_what_a_label_cannot_hold():
    from l2wg_hooks.status import render_prometheus

    assert render_prometheus._labels({"a": 'x"y\\z\n'}) == '{a="x\\"y\\\\z\\n"}'
    text = forms(build("fenced-a"))["metrics"]
    rows = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(rows) == len(set(rows)), "a sample twice makes node_exporter refuse the file"


def test_the_picture_is_xml_whatever_the_names():
    from xml.etree import ElementTree

    from l2wg_hooks.status import render_svg

    found = build()._replace(host="<script>&\x07\udcff")
    root = ElementTree.fromstring(render_svg.render(found))
    words = [item.text for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<script>&\\x07\\udcff" in words and "192.168.92.1" in words and "MTU 1500" in words
    assert root.find("{http://www.w3.org/2000/svg}title").text and "192.168.178.1" in root.find("{http://www.w3.org/2000/svg}desc").text
    assert not any("href" in key or "src" in key for item in root.iter() for key in item.attrib), "it needs nothing from elsewhere"


def test_long_names_stay_inside_the_picture():
    """Bold sans-serif of 14 has up to 9 pixels a letter in an IPv6 address, measured; what is wrong is red to its end."""
    from xml.etree import ElementTree

    from l2wg_hooks.status import render_svg

    def drawn(found):
        root = ElementTree.fromstring(render_svg.render(found))
        return root, list(root.iter("{http://www.w3.org/2000/svg}text"))

    (mine,) = seen("right-a").wished.tunnels
    six = mine._replace(name="six", remote="2001:db8:1234:5678:9abc:def0:1234:5678", path="/etc/l2wg/six.conf")
    root, _ = drawn(build(wished=store.Wish((six,), (), ()), host="h" * 64))
    boxes = [item for item in root.iter() if item.get("class", "").startswith("card ")]
    assert float(max(boxes, key=lambda item: float(item.get("x"))).get("width")) > 2 * 12 + 9 * len(six.remote)
    assert float(root.get("width")) > 64 * 12
    _, texts = drawn(build(links=but("br0", mtu=1382)))
    start = next(index for index, item in enumerate(texts) if item.text.startswith("WRONG"))
    assert [item.get("class") for item in texts[start : start + 3]] == ["wrong"] * 3 and texts[start + 2].text != "gretap1"


# What the eyes do: five processes, whatever comes of them.


@pytest.fixture
def machine(monkeypatch, etc, golden):
    """The commands answer as recorded; `broken` maps a command's name to what becomes of it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(nftables_state, "LOADED", str(golden / "status" / "right-a" / "in" / "loaded"))
    monkeypatch.setattr(nftables_state, "template", lambda: 0)
    monkeypatch.setattr(network_namespace, "is_first", lambda: True)
    (etc / "gretap1.conf").write_text(A)
    state = {"broken": {}, "ran": []}

    def fake(argv, stdin="", environment=()):
        state["ran"].append(argv)
        name = {"ip": "links", "bridge": "fdb", "wg": "wg"}.get(argv[0]) or argv[3]
        broken = state["broken"].get(argv[0])
        if isinstance(broken, Exception):
            raise broken
        return broken or process.Result(0, (golden / "status" / "right-a" / "in" / name).read_text(), "")

    def feed(argv, take):
        result = fake(argv)
        for start in range(0, len(result.out), 100):
            take(result.out[start : start + 100])
        return result._replace(out="")

    monkeypatch.setattr(process, "run", fake)
    monkeypatch.setattr(process, "feed", feed)
    return state


def test_a_look_costs_five_processes_however_many_tunnels_there_are(machine, etc):
    found = status.build(survey.look())
    assert [tunnel.name for tunnel in found.tunnels] == ["gretap1"] and len(machine["ran"]) == 5
    for number in range(20):
        (etc / ("more%d.conf" % number)).write_text(SECOND.replace("key = 7", "key = %d" % (number + 10)))
    del machine["ran"][:]
    assert len(status.build(survey.look()).tunnels) == 21 and len(machine["ran"]) == 5


@pytest.mark.parametrize("name", ["bridge", "wg", "nft"])
@pytest.mark.parametrize(
    "how",
    [L2wgError(Problem("the command is not there")), process.Result(1, "", "Operation not permitted\n"), process.Result(0, "", "")],
    ids=["gone", "fails", "silent"],
)
def test_a_tool_that_does_not_answer_is_no_end(machine, name, how):
    machine["broken"][name] = how
    found = status.build(survey.look())
    if name != "bridge" or how.__class__ is not process.Result or how.code:
        assert found.wrong
    for text in forms(found).values():
        assert text.endswith("\n")


def test_without_ip_nothing_is_said(machine):
    machine["broken"]["ip"] = process.Result(1, "", "no\n")
    with pytest.raises(L2wgError):
        survey.look()


def test_the_age_is_udevs(machine, root, monkeypatch):
    note = root / "run/udev/data" / ("n%d" % seen("right-a").links["gretap1"].ifindex)
    note.parent.mkdir(parents=True)
    note.write_text("I:5000000\nE:ID_PATH=l2wg\n")
    monkeypatch.setattr(survey.time, "clock_gettime", lambda clock: 65.0)
    assert survey.look().ages == {"gretap1": 60.0}
    note.write_text("E:x\n")
    assert survey.look().ages == {}


def test_the_command_and_its_exit_codes(machine, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(survey.time, "time", lambda: seen("right-a").time)
    assert cli.main(["status"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    assert cli.main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert cli.main(["status", "--svg", str(tmp_path / "x.svg")]) == 0
    assert "<svg" in files.read(str(tmp_path / "x.svg")) and capsys.readouterr().out == ""
    assert cli.main(["metrics", "--output", str(tmp_path / "x.prom")]) == 0
    assert os.stat(str(tmp_path / "x.prom")).st_mode & 0o777 == 0o644
    machine["broken"]["wg"] = process.Result(0, "", "")
    assert cli.main(["status"]) == 1 and cli.main(["status", "gretap1"]) == 1
    assert cli.main(["metrics"]) == 0
    capsys.readouterr()
    assert cli.main(["status", "gretap7"]) == 1
    assert "'gretap7' is not a tunnel" in capsys.readouterr().err


def test_watching_ends_by_ctrl_c(machine, capsys, monkeypatch):
    from l2wg_hooks.status import show

    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(survey.time, "time", lambda: seen("right-a").time + len(naps))
    monkeypatch.setattr(show.time, "sleep", nap)
    handled = []
    monkeypatch.setattr(show.signal, "signal", lambda *words: handled.append(words))
    assert cli.main(["status", "--watch", "0.5"]) == 0
    assert handled[-1] == (signal.SIGINT, signal.SIG_IGN), "a second Ctrl-C comes while Python ends"
    out = capsys.readouterr().out
    assert naps == [0.5] * 3 and out.count("nothing is wrong") == 3 and "0 frames/s" in out


def test_a_file_of_problems_only(machine, etc, capsys):
    (etc / "gretap1.conf").write_text("nonsense\n")
    assert cli.main(["status"]) == 1
    assert "gretap1.conf:1:" in capsys.readouterr().out
    assert wished({"a": "x"}).broken == ("a",)


def test_a_port_is_a_tunnel_by_what_it_is_or_by_what_is_wished():
    """A tunnel of ours whose file is gone is none of the wish, and no Ethernet port either."""
    ports = {port.name: port for port in build().bridges[0].ports}
    assert (ports["gretap1"].tunnel, ports["enp3s0"].tunnel) == (True, False)
    theirs = build(links=but("gretap1", alias=""))
    assert {port.name: port.tunnel for port in theirs.bridges[0].ports} == {"enp3s0": False, "gretap1": True}, "by the wish"
    orphan = seen("right-a").links["gretap1"]._replace(name="old", alias="l2wg")
    found = build(links=dict(seen("right-a").links, old=orphan))
    assert {port.name: port.tunnel for port in found.bridges[0].ports}["old"] is True, "by its alias"


@pytest.mark.parametrize("changes, word, forwards", [
    ({}, "up", True), ({"state": "forwarding"}, "forwarding", True), ({"state": "blocking"}, "blocking", False), ({"carrier": False}, "no carrier", False),
    ({"up": False}, "down", False), ({"joined": False}, "not a port", False), ({"there": False}, "missing", False),
])  # fmt: skip
def test_what_a_port_does(changes, word, forwards):
    port = status.Port("enp3s0", False, True, True, True, True)._replace(**changes)
    assert (render_text.port_word(port), port.forwards) == (word, forwards)
