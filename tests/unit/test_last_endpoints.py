"""Where peers were heard last: the file, what is kept of a look, and whom WireGuard is told of again."""

import os

import pytest
from l2wg_hooks.config import endpoint_lines, last_endpoints
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Heard, Link, Observed, Peer, Rules, Tunnel, Walls, Wire
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import link_table, walls
from l2wg_hooks.plan import peer_endpoints, planner
from l2wg_hooks.reconcile import event_summary, events, executor, reconcile, ruleset, taken_down, watch
from l2wg_hooks.system import process

KEY, OTHER = "A" * 43 + "=", "B" * 43 + "="
TUNNEL = Tunnel("gretap1", "wg0", "192.168.92.1", "192.168.178.1", "br0", path="/etc/l2wg/gretap1.conf")
OWN = TUNNEL._replace(name="gretap2", underlay="l2w0", local="198.18.0.2", remote="198.18.0.1", wire="own")
PEER = Peer(KEY, "", ("10.15.14.2/32", "192.168.178.0/24"), 0, 0, 0, None)
STRANGER = Peer(OTHER, "", ("10.15.14.3/32", "192.168.0.0/16"), 0, 0, 0, None)
NOW = 1764370000
WHERE = "203.0.113.10:20001"
HEARD = {("wg0", KEY): Heard(WHERE, NOW - 100)}
LINKS = {"wg0": Link("wg0", 1, "wireguard", up=True), "br0": Link("br0", 2, "bridge", up=True)}
CONF = "underlay = wg0\nlocal = 192.168.92.1\nremote = 192.168.178.1\nbridge = br0\n"
TELL = f"wg set wg0 peer {KEY} endpoint {WHERE}"
# WireGuard calls at once, and keeps no way open.
NOW_CALL = "persistent-keepalive 1 peer {} persistent-keepalive 0"


def calls(tunnels=(TUNNEL,), peers=(PEER, STRANGER), heard=HEARD, links=LINKS, leaving=(), now=NOW, name="wg0"):
    seen = Observed(peers={name: tuple(peers)}, heard=heard, now=now)
    return [str(step) for step in planner.plan(tunnels, links, leaving, seen=seen).steps if "wg" in step.argv]


def test_a_peer_without_endpoint_is_told():
    assert calls() == [f"{TELL} {NOW_CALL.format(KEY)}"]


def test_one_that_keeps_a_way_open_is_made_anew():
    """It has been called already, nowhere, and would be called again 5 s later."""
    kept = PEER._replace(keepalive=25)
    anew = f"wg set wg0 peer {KEY} remove peer {KEY} endpoint {WHERE} allowed-ips {','.join(PEER.allowed)} persistent-keepalive 25"
    assert calls(peers=[kept]) == [anew]
    # Not where a session would be lost, or the secret, which nobody has here.
    assert calls(peers=[kept._replace(handshake=NOW)]) == calls(peers=[kept._replace(secret=True)]) == [TELL]


def test_an_interface_that_is_down_calls_nobody_yet():
    assert calls(links=dict(LINKS, wg0=LINKS["wg0"]._replace(up=False))) == [TELL]


def test_never_over_one_that_is_there():
    assert calls(peers=[PEER._replace(endpoint="203.0.113.77:1"), STRANGER]) == []


def test_never_another_peer():
    """One that no tunnel leads to, though it has a wider network with the far end in it."""
    assert calls(heard={("wg0", OTHER): Heard(WHERE, NOW), ("wg1", KEY): Heard(WHERE, NOW)}) == []
    assert calls(tunnels=()) == []


def test_not_where_the_interface_is_about_to_go_or_gone():
    assert calls(leaving=("wg0",)) == [] and calls(links={"br0": LINKS["br0"]}) == []


@pytest.mark.parametrize("age, told", [(-(1 << 31), True), (0, True), (peer_endpoints.WEEK, True), (peer_endpoints.WEEK + 1, False)])
def test_of_a_week_at_most_and_a_clock_that_is_behind_counts_as_right(age, told):
    assert bool(calls(heard={("wg0", KEY): Heard(WHERE, NOW - age)})) == told


def test_before_all_else_and_all_of_an_interface_at_once():
    second = TUNNEL._replace(name="gretap9", remote="192.168.1.1", key=9)
    found = planner.plan((TUNNEL, second), LINKS, seen=Observed(peers={"wg0": (PEER, STRANGER)}, heard=dict(HEARD, **{}), now=NOW)).steps
    assert [step.group for step in found][:2] == ["peers of wg0", planner.GUARD] and found[2].group == "gretap1"
    both = dict(HEARD)
    both["wg0", OTHER] = Heard("[2001:db8::1]:7", NOW)
    assert calls(tunnels=(TUNNEL, second), heard=both) == [f"{TELL} {NOW_CALL.format(KEY)} peer {OTHER} endpoint [2001:db8::1]:7 {NOW_CALL.format(OTHER)}"]


WIRE = Link("l2w0", 3, "wireguard", up=True, namespace="l2wg", link_netns="l2wg", alias="l2wg", addresses=("198.18.0.2/32",), mtu=1420)
FAR = Peer(KEY, "", ("198.18.0.1/32",), 0, 0, 0, None)


def test_an_own_wire_is_told_as_it_is_made():
    nothing = Walls(wires={"l2w0": Wire(("198.18.0.2/32",), 1420, peers=(FAR,))})
    seen = Observed(walls=nothing, peers={"l2w0": (FAR,)}, heard={("l2w0", KEY): Heard(WHERE, NOW)}, now=NOW)
    steps = planner.plan((OWN,), {"br0": LINKS["br0"]}, seen=seen).steps
    words = [str(step) for step in steps]
    at = words.index(f"ip netns exec l2wg wg set l2w0 peer {KEY} endpoint {WHERE}")
    assert words[at - 1].startswith("ip netns exec l2wg wg syncconf l2w0 ") and steps[at].needs == "l2w0"
    # What it cannot call as it comes up, it calls 5 s later.
    assert at < words.index("ip -n l2wg link set dev l2w0 up")
    # Not where somebody else has that name out here.
    outside = {"br0": LINKS["br0"], "l2w0": WIRE._replace(namespace="", link_netns="")}
    assert [step for step in planner.plan((OWN,), outside, seen=seen).steps if "wg" in step.argv] == []


def test_the_journal_says_so():
    summary = event_summary.EventSummary("up wg0", "wg0 is up")
    seen = Observed(Rules(), peers={"wg0": (PEER,)}, heard=HEARD, now=NOW)
    summary.told = [step for step in planner.plan((TUNNEL,), LINKS, seen=seen).steps if step.argv[0] == "wg"]
    assert summary.text() == "wg0 is up: peers of wg0: called where they were heard last"


def test_a_call_that_fails_holds_up_no_rules(monkeypatch):
    """It comes first, and there may be nobody to call."""
    ran = []
    monkeypatch.setattr(executor, "apply", lambda steps: ran.extend(steps) or (Problem("wg has failed"),) * any("wg" in step.argv for step in steps))
    monkeypatch.setattr(ruleset, "load", lambda rules, step: ran.append(step) or ())
    todo = planner.plan((TUNNEL,), LINKS, seen=Observed(peers={"wg0": (PEER,)}, heard=HEARD, now=NOW))
    assert len(reconcile.execute(todo, LINKS)) == 1 and ran == list(todo.steps)


# A manager of interfaces has told WireGuard anew


def test_an_event_of_a_manager_tells_again_but_brings_nothing_back_that_was_taken_down(etc, monkeypatch):
    asked = []
    monkeypatch.setattr(reconcile, "reconcile", lambda **words: asked.append(words) or ())
    assert events.main(["event", "manager", "systemd-networkd"], strict=True) == 0
    assert asked[0]["spares"] and asked[0]["may_skip"] and events.label(["event", "manager", "systemd-networkd"]) == "systemd-networkd has started"
    taken_down.add((taken_down.ALL,))
    assert events.main(["event", "manager", "systemd-networkd"], strict=True) == 0 and len(asked) == 1


# What is kept


def kept(*peers, heard=(), tunnels=(TUNNEL,), whole=True):
    return peer_endpoints.kept(tunnels, {"wg0": peers} if peers else {}, dict(heard), whole)


def spoken(endpoint, when, peer=PEER):
    return peer._replace(endpoint=endpoint, handshake=when)


def test_where_a_peer_was_heard_is_kept():
    assert kept(spoken(WHERE, NOW), spoken(WHERE, NOW, STRANGER)) == {("wg0", KEY): Heard(WHERE, NOW)}
    assert kept(spoken(WHERE, 0)) == {}, "an endpoint that a file has, and nobody has answered"
    assert kept(spoken("[fe80::1%eth0]:7", NOW)) == {}


def test_nothing_is_written_anew_for_a_later_time_alone():
    known = {("wg0", KEY): Heard(WHERE, NOW)}
    assert kept(spoken(WHERE, NOW + peer_endpoints.DAY), heard=known) == known
    assert kept(spoken(WHERE, NOW + peer_endpoints.DAY + 1), heard=known) == {("wg0", KEY): Heard(WHERE, NOW + peer_endpoints.DAY + 1)}
    assert kept(spoken("203.0.113.10:2", NOW + 1), heard=known) == {("wg0", KEY): Heard("203.0.113.10:2", NOW + 1)}
    assert kept(spoken(WHERE, NOW - 7), heard=known) == known, "a clock that was put back"


def test_what_is_kept_stays_while_nobody_can_tell():
    assert kept(heard=HEARD) == HEARD, "the interface is down"
    assert kept(PEER, heard=HEARD) == HEARD, "nobody has been heard since"
    assert kept(STRANGER, heard=HEARD, whole=False) == HEARD, "some file is broken"


def test_who_is_no_tunnels_peer_any_more_is_forgotten():
    assert kept(heard=HEARD, tunnels=()) == {}
    assert kept(STRANGER, heard=HEARD) == {}
    assert kept(heard={("wg7", KEY): HEARD["wg0", KEY]}) == {}


# The file

GOOD = f"wg0 {KEY} {WHERE} {NOW}"


def test_there_and_back():
    heard = {("wg0", KEY): Heard(WHERE, NOW), ("l2w0", OTHER): Heard("[2001:db8::7]:65535", 0)}
    assert endpoint_lines.parse(endpoint_lines.render(heard)) == heard


@pytest.mark.parametrize(
    "line",
    [
        "",
        GOOD + " more",
        GOOD.replace("wg0", "wg0;reboot"),
        GOOD.replace("wg0", "../wg0"),
        GOOD.replace(KEY, "A" * 44),
        GOOD.replace(KEY, "remove"),
        GOOD.replace(WHERE, "router.example:4900"),
        GOOD.replace(WHERE, "203.0.113.300:4900"),
        GOOD.replace(WHERE, "203.0.113.10:0"),
        GOOD.replace(WHERE, "203.0.113.10:65536"),
        GOOD.replace(WHERE, "203.0.113.10"),
        GOOD.replace(WHERE, "[203.0.113.10]:1"),
        GOOD.replace(WHERE, "0.0.0.0:1"),
        GOOD.replace(WHERE, "224.0.0.1:1"),
        GOOD.replace(WHERE, "[fe80::1]:1"),
        GOOD.replace(WHERE, "203.0.113.1٠:1"),
        GOOD.replace(str(NOW), "-1"),
        GOOD.replace(str(NOW), "9" * 13),
        GOOD.replace(str(NOW), "soon"),
        GOOD.replace(" ", "\t"),
        "\0",
    ],
)
def test_a_line_that_is_not_as_we_write_it_is_none_and_the_others_count(line):
    assert endpoint_lines.parse(f"{line}\n{GOOD.replace('wg0', 'wg1')}\n{line}") == {("wg1", KEY): Heard(WHERE, NOW)}


def test_the_file_is_roots_and_goes_with_the_last(root):
    last_endpoints.write(HEARD)
    path = root / "var/lib/l2wg/endpoints"
    assert path.stat().st_mode & 0o777 == 0o600 and last_endpoints.read() == HEARD
    last_endpoints.write({})
    assert not path.exists() and last_endpoints.read() == {}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: open(path, "wb").write(b"\xff\xfe" * 1000), lambda path: open(path, "w").truncate(1 << 40)])
def test_what_is_no_such_file_is_as_none(root, make):
    (root / "var/lib/l2wg").mkdir(parents=True)
    make(str(root / "var/lib/l2wg/endpoints"))
    assert last_endpoints.read() == {}


# The events

DUMP = f"wg0\tprivate\tpublic\t4900\toff\nwg0\t{KEY}\t(none)\t{WHERE}\t192.168.178.0/24\t{NOW}\t1\t1\toff\nwg9\tprivate\tpublic\t1\toff\n"


@pytest.fixture
def wg(monkeypatch):
    """What wg(8) answers, and what has been asked; of the timer's look only the part that remembers."""
    monkeypatch.setattr(watch, "PARTS", (reconcile.remember,))
    asked = []

    def run(argv, stdin="", environment=()):
        asked.append(" ".join(argv))
        return process.Result(0, DUMP if argv[0] == "wg" else "[]", "")

    monkeypatch.setattr(process, "run", run)
    return asked


def test_the_timer_keeps_where_they_are_heard_by_one_process(etc, wg):
    (etc / "gretap1.conf").write_text(CONF)
    assert events.main(["event", "watch", "timer"], strict=True) == 0
    assert wg == ["wg show all dump"] and last_endpoints.read() == {("wg0", KEY): Heard(WHERE, NOW)}
    before = os.stat(last_endpoints.PATH).st_ino
    events.main(["event", "watch", "timer"], strict=True)
    assert os.stat(last_endpoints.PATH).st_ino == before, "written once"


def test_without_a_tunnel_it_asks_nobody_and_forgets(etc, wg):
    last_endpoints.write(HEARD)
    events.main(["event", "watch", "timer"], strict=True)
    assert wg == [] and not os.path.exists(last_endpoints.PATH)


def test_beside_a_broken_file_nothing_is_forgotten(etc, wg):
    (etc / "gretap1.conf").write_text("nonsense\n")
    last_endpoints.write(HEARD)
    events.main(["event", "watch", "timer"], strict=True)
    assert last_endpoints.read() == HEARD


def test_the_timer_complains_of_nothing(root, wg, capsys):
    (root / "etc").mkdir()
    (root / "etc/l2wg").write_text("no directory\n")
    assert events.main(["event", "watch", "timer"], strict=True) == 0 and capsys.readouterr().err == ""


def test_a_disk_that_takes_nothing_costs_nothing(etc, wg, root):
    (etc / "gretap1.conf").write_text(CONF)
    (root / "var/lib/l2wg/endpoints").mkdir(parents=True)
    assert events.main(["event", "watch", "timer"], strict=True) == 0


def test_an_event_asks_once_more_where_wireguard_is_there_only(etc, wg):
    reconcile.reconcile()
    assert not [line for line in wg if line.startswith("wg")], "no tunnel"
    (etc / "gretap1.conf").write_text(CONF)
    reconcile.reconcile()
    assert not [line for line in wg if line.startswith("wg")], "no WireGuard"


@pytest.fixture
def kernel(etc, wg, monkeypatch):
    """A router with the tunnel's file, its WireGuard, and no rules."""
    (etc / "gretap1.conf").write_text(CONF)
    monkeypatch.setattr(link_table, "read", lambda: {"wg0": LINKS["wg0"]})
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules())
    return wg


@pytest.mark.parametrize("work", [lambda: reconcile.reconcile(leaving=("wg0",)), reconcile.remove_all])
def test_what_is_about_to_go_is_heard_of_before(kernel, work):
    assert work() == () and last_endpoints.read() == {("wg0", KEY): Heard(WHERE, NOW)}
    assert [line for line in kernel if line.startswith("wg ")] == ["wg show all dump"], "one process"


def test_a_disk_that_takes_nothing_costs_an_event_nothing(kernel, root):
    (root / "var/lib/l2wg/endpoints").mkdir(parents=True)
    assert reconcile.reconcile(leaving=("wg0",)) == ()


def test_a_rollback_forgets_nobody_whom_it_leaves_out(kernel, monkeypatch):
    heard = {("wg0", KEY): Heard(WHERE, NOW), ("wg7", OTHER): Heard(WHERE, NOW)}
    last_endpoints.write(heard)
    reconcile.reconcile(only=[])
    assert last_endpoints.read() == heard
    reconcile.reconcile(leaving=("wg0",))
    assert last_endpoints.read() == {("wg0", KEY): Heard(WHERE, NOW)}


OWN_CONF = f"[Interface]\nPrivateKey = k\nAddress = 198.18.0.2/32\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 198.18.0.1/32\n"


def test_peers_of_an_own_wire_are_the_interfaces_or_else_the_files(wireguard):
    (wireguard / "l2w0.conf").write_text(OWN_CONF)
    assert walls._wire("l2w0", None, {}).peers == (FAR,)
    dump = f"k\tpublic\t1\toff\n{KEY}\t(none)\t{WHERE}\t198.18.0.1/32\t{NOW}\t0\t0\toff\n"
    assert walls._wire("l2w0", dump, {}).peers == (spoken(WHERE, NOW, FAR),)
    (wireguard / "l2w0.conf").write_text(OWN_CONF + "Endpoint = router.example:4900\n")
    assert [peer.endpoint for peer in walls._wire("l2w0", None, {}).peers] == [""], "a name is none yet"
    (wireguard / "l2w0.conf").write_text(OWN_CONF + f"Endpoint = {WHERE}\n")
    assert [peer.endpoint for peer in walls._wire("l2w0", None, {}).peers] == [WHERE], "a file's"
