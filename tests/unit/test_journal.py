"""What the journal gets: one line an event, with fields, by the protocols of journald and of syslog."""

import os
import socket

import pytest
from l2wg_hooks import cli
from l2wg_hooks.commands import registry
from l2wg_hooks.config import store, wg_quick
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Link, Step, Wait
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.plan import planner
from l2wg_hooks.reconcile import event_summary, events, executor, reconcile
from l2wg_hooks.system import journal, log, process, terminal
from test_events import GOOD, kernel  # noqa: F401 # fixtures

SECRET = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="


def listen(path):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    server.setblocking(False)
    return server


def parse(data):
    """[(key, value)] of an entry in the native protocol, read by its rules."""
    found = []
    while data:
        head, _, rest = data.partition(b"\n")
        key, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, data = rest[8 : 8 + size], rest[8 + size :]
            assert data[:1] == b"\n"
            data = data[1:]
        else:
            data = rest
        found.append((key.decode(), value.decode()))
    return found


def entries(server):
    found = []
    while True:
        try:
            found.append(parse(server.recv(1 << 20)))
        except BlockingIOError:
            return found


@pytest.fixture
def journald(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "NATIVE", str(tmp_path / "native"))
    with listen(journal.NATIVE) as server:
        yield server


@pytest.fixture
def syslog(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SYSLOG", str(tmp_path / "log"))
    with listen(journal.SYSLOG) as server:
        yield server


# The protocols


def test_an_entry_to_the_byte():
    fields = [("MESSAGE", "an öl"), ("L2WG_COMMANDS", "a\nbc"), ("EMPTY", "")]
    assert journal.encode(fields) == b"MESSAGE=an \xc3\xb6l\nL2WG_COMMANDS\n\x04\0\0\0\0\0\0\0a\nbc\nEMPTY=\n"


def test_odd_bytes_are_shown_and_bear_no_field_of_their_own():
    odd = os.fsdecode(b"\xff\x1b[31m\x00\x9b") + "\x85"
    assert journal.encode([("MESSAGE", odd)]) == rb"MESSAGE=\udcff\x1b[31m\x00\udc9b\x85" + b"\n"
    assert parse(journal.encode([("MESSAGE", "x\nPRIORITY=0")])) == [("MESSAGE", "x\nPRIORITY=0")]


def test_a_value_has_an_end():
    (found,) = parse(journal.encode([("MESSAGE", "ö" * 100000)]))
    assert len(found[1].encode()) <= journal.LONGEST and found[1].endswith("ö...")


def test_the_largest_entry_fits_a_datagram(journald):
    more = [("L2WG_COMMANDS", "x\n" * 100000), ("L2WG_REASONS", "y\n" * 100000), ("L2WG_WAITING", "z\n" * 100000)]
    journal.send("m" * 100000, more=more + [("L2WG_TUNNEL", "t" * 15)] * event_summary.LISTED)
    assert len(entries(journald)) == 1


def test_syslog_is_for_those_without_journald(syslog):
    journal.send("line one\n  hint: two", journal.ERROR, [("L2WG_COMMANDS", "ip link\nip rule")])
    got = [syslog.recv(1000).decode() for _ in range(4)]
    assert [line[: line.index(">") + 1] for line in got] == ["<27>", "<27>", "<31>", "<31>"]
    assert [line.split("l2wg[%d]: " % os.getpid())[1] for line in got] == ["line one", "  hint: two", "ip link", "ip rule"]


def test_a_socket_file_that_nobody_listens_to_is_as_none(journald, syslog):
    journald.close()
    journal.send("hello")
    assert syslog.recv(1000).endswith(b": hello")


def test_a_full_socket_and_none_cost_nothing(journald, monkeypatch):
    for _ in range(5000):  # far more than net.unix.max_dgram_qlen; one that waited would never come back
        journal.send("hello")
    assert 0 < len(entries(journald)) < 5000
    monkeypatch.setattr(journal, "NATIVE", "/nonexistent")
    journal.send("hello")


@pytest.mark.parametrize(
    "rows, unit",
    [
        ("0::/system.slice/system-wg\\x2dquick.slice/wg-quick@wg0.service\n", "wg-quick@wg0.service"),
        ("2:cpu:/x.service\n1:name=systemd:/system.slice/networking.service\n0::/\n", "networking.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
    ],
)
def test_what_a_service_does_is_among_its_lines(journald, monkeypatch, root, rows, unit):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(rows)
    stream = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", "%d:%d" % (stream.st_dev, stream.st_ino))
    journal.send("hello")
    monkeypatch.delenv("JOURNAL_STREAM")
    journal.send("hello")
    assert [dict(entry).get("OBJECT_SYSTEMD_UNIT") for entry in entries(journald)] == [unit, None]


# The story


def did(tunnels, there, event=("up", "wg0")):
    done = planner.plan(tunnels, there)
    summary = event_summary.EventSummary(" ".join(event), events.label(list(event)))
    summary.told += done.steps
    summary.waiting = done.waiting
    return summary


def tunnel(name="gretap1", more=""):
    from l2wg_hooks.config import tunnel_file

    return tunnel_file.parse(GOOD + more, "/etc/l2wg/%s.conf" % name, name)[0]


WG0 = Link("wg0", 1, "wireguard", up=True, addresses=("192.168.178.1/24",))
BR0 = Link("br0", 2, "bridge", up=True)


def test_the_story_of_a_tunnel():
    made = did([tunnel()], {"wg0": WG0, "br0": BR0})
    assert made.text() == "wg0 is up: nftables rules: loaded (guard, clamp and fences of gretap1); gretap1: made, port of br0, up"
    fields = dict(made.fields(["gretap1", "gretap2"]))
    assert fields["L2WG_EVENT"] == "up wg0" and fields["L2WG_TUNNEL"] == "gretap1"
    assert fields["L2WG_COMMANDS"].split("\n")[0] == "nft -f " + nftables.FILE
    assert len(fields["L2WG_COMMANDS"].split("\n")) == len(fields["L2WG_REASONS"].split("\n")) == len(made.told)


def test_what_comes_with_a_new_tunnel_is_no_news():
    summary = event_summary.EventSummary()
    add = ("ip", "link", "add", "name", "gretap1", "type", "vxlan")
    summary.told += [Step(argv, "why", "gretap1") for argv in (add, ("ip", "rule", "add"), ("ip", "link", "set", "dev", "gretap1", "alias", "l2wg"))]
    assert summary.text() == "l2wg: gretap1: made"


def test_what_waits_is_in_the_line_and_in_a_field():
    half = did([tunnel()], {"wg0": WG0})
    assert half.text().endswith("gretap1: made; gretap1 waits for br0")
    assert dict(half.fields(["gretap1"]))["L2WG_WAITING"] == "gretap1 waits for br0"


def test_the_end_of_a_tunnel_and_of_many():
    gone = Link("gretap1", 9, "gretap", alias="l2wg")
    many = {"t%d" % number: Link("t%d" % number, number, "gretap", alias="l2wg") for number in range(200)}
    assert did([], {"gretap1": gone}).text() == "wg0 is up: gretap1: deleted (no file in /etc/l2wg asks for it any longer)"
    story_of_many = did([], many, ("event", "down", "br0"))
    assert story_of_many.text() == "br0 goes down (ifupdown): t0, t1, t2 and 197 more: deleted (no file in /etc/l2wg asks for it any longer)"
    assert len([key for key, _ in story_of_many.fields([]) if key == "L2WG_TUNNEL"]) == event_summary.LISTED


@pytest.mark.parametrize(
    "argv, reason, group, said",
    [
        ("nft -f /run/l2wg.nft", planner.LAST_GOES, planner.GUARD, "nftables rules: gone"),
        ("nft -f /run/l2wg.nft", "they were changed", planner.GUARD, "nftables rules: loaded (they were changed)"),
        ("ip link set dev gretap1 mtu 1500", "its MTU is 1400", "gretap1", "gretap1: MTU 1500 (its MTU is 1400)"),
        ("ip link set dev gretap1 down", "it has no bridge", "gretap1", "gretap1: down (it has no bridge)"),
        ("ip link set dev enp3s0 master br0", "it is not a port of br0", "br0", "enp3s0: port of br0"),
        ("ip link set dev gretap1 type bridge_slave isolated on", "isolated = yes", "gretap1", "gretap1: isolated = yes"),
        ("ip address add 192.0.2.1/24 dev br0", "the address moves", "br0", "br0: the address moves"),
        ("ip -6 rule del priority 1", "no tunnel needs it", "ways", "policy routes: no tunnel needs it"),
        ("nmcli device set br0 managed no", "NetworkManager manages it", "NetworkManager", "br0: let go by NetworkManager"),
    ],
)
def test_a_step_in_words(argv, reason, group, said):
    summary = event_summary.EventSummary()
    summary.told.append(Step(tuple(argv.split()), reason, group))
    assert summary.text() == "l2wg: " + said


@pytest.mark.parametrize(
    "words, said",
    [
        ("up wg0", "wg0 is up"),
        ("down wg0", "wg0 goes down"),
        ("down --all", "all tunnels are to go"),
        ("event up br0", "br0 is up (ifupdown)"),
        ("event down br0", "br0 goes down (ifupdown)"),
        ("event up nftables", "nftables was loaded anew"),
        ("event dhcpcd gretap1", "dhcpcd begins with gretap1"),
        ("event whatever br0", "br0 is up (ifupdown)"),  # of a newer hook: the plan harms nobody
    ],
)
def test_an_event_in_words(words, said):
    assert events.label(words.split()) == said


# Events


def test_an_event_leaves_one_line_and_a_second_one_none(etc, kernel, journald):
    (etc / "gretap1.conf").write_text(GOOD)
    kernel["links"] = {"br0": BR0}
    events.main(["up", "wg0"])
    ((first, *_),) = entries(journald)
    assert first == ("MESSAGE", "wg0 is up: gretap1 waits for wg0; gretap1 waits for its address: no interface of this router has 192.168.178.1")
    events.main(["event", "up", "br0"])
    assert entries(journald) == [], "what waits is news once"
    kernel["links"] = {}
    events.main(["event", "down", "br0"])
    assert "gretap1 waits for br0" in entries(journald)[0][0][1]
    (etc / "gretap1.conf").unlink()
    events.main(["up", "wg0"])
    assert entries(journald) == [] and not os.path.exists(reconcile.WAITING)


def test_what_was_done_is_told_and_what_was_not_is_not(journald, monkeypatch):
    steps = [Step(("ip", "link", "set", "dev", name, "up"), "it is down", name) for name in ("a", "b", "c")]
    answers = [process.Result(1, "", "what?\nCommand failed -:2"), process.Result(0, "", "")]
    monkeypatch.setattr(process, "run", lambda argv, stdin="": answers.pop(0))
    log.begin(event_summary.EventSummary("up wg0", "wg0 is up"))
    log.complain(executor.apply(steps))
    told, problem = entries(journald)
    assert told[0] == ("MESSAGE", "wg0 is up: a, c: up")
    assert dict(problem)["MESSAGE"].startswith("b: `ip link set dev b up` failed: what?\n  hint: ")


def test_a_bug_in_the_middle_does_not_hide_what_was_done(etc, journald, monkeypatch):
    def half():
        log.note("gretap1: made")
        raise ZeroDivisionError

    monkeypatch.setattr(reconcile, "remove_all", half)
    with pytest.raises(ZeroDivisionError):
        events.main(["down", "--all"], strict=True)
    assert entries(journald)[0][0] == ("MESSAGE", "all tunnels are to go: gretap1: made")


def test_a_problem_says_where_and_can_alarm(journald):
    path = store.path("gretap1")
    log.begin(event_summary.EventSummary("up wg0", "wg0 is up"))
    log.complain([Problem("is empty", "write it", path, 3, "remote"), Problem("odd")])
    first, second = [dict(entry) for entry in entries(journald)]
    assert first == {
        "MESSAGE": path + ":3: remote: is empty\n  hint: write it",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "l2wg",
        "SYSLOG_FACILITY": "3",
        "MESSAGE_ID": journal.PROBLEM,
        "L2WG_EVENT": "up wg0",
        "L2WG_FILE": path + ":3",
        "L2WG_TUNNEL": "gretap1",
        "L2WG_HINT": "write it",
    }
    assert second["MESSAGE"] == "odd" and "L2WG_FILE" not in second


def test_a_command_is_called_by_its_options(journald, monkeypatch):
    monkeypatch.setattr(log, "who", lambda: "")
    monkeypatch.setattr(registry.module("apply"), "run", lambda options: (log.did("something"), ((), 0))[1])
    assert cli.main(["apply", "--confirm=60", "--yes"]) == 0
    assert dict(entries(journald)[0])["MESSAGE"] == "l2wg apply --confirm --yes: something"


def test_commands_say_who_and_no_secret(etc, wireguard, journald, monkeypatch):
    monkeypatch.setattr(log, "who", lambda: "alice")
    with open(wg_quick.DIRECTORY + "/wg0.conf", "w") as file:
        file.write("[Interface]\nPrivateKey = %s\nPostUp = ip link add gretap1 # %s\n" % (SECRET, SECRET))
    assert cli.main(["set", "gretap1"] + GOOD.replace(" ", "").split()) == 0
    assert cli.main(["attach", "wg0"]) == 0
    assert cli.main(["attach", "wg0"]) == 0  # does nothing but complain of the line made by hand
    assert cli.main(["detach", "wg0"]) == 0
    told = [dict(entry) for entry in entries(journald)]
    lines = [entry["MESSAGE"] for entry in told]
    where = wg_quick.path("wg0")
    assert lines[0].startswith("l2wg set (alice): %s: underlay = wg0, local = 192.168.178.1" % store.path("gretap1"))
    assert lines[1].startswith("l2wg attach (alice): %s: added `PostUp = " % where)
    assert [line.split(": ")[1] for line in lines[2:4]] == ["PostUp"] * 2 and lines[4] == "l2wg detach (alice): %s: our lines are out" % where
    assert SECRET not in repr(told)


def test_who_looks_changes_nothing(etc, journald, monkeypatch, capsys, tmp_path):
    """And hears of it even where a timer of somebody's has called, whose output the journal has."""
    stream = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", "%d:%d" % (stream.st_dev, stream.st_ino))
    for words in (["check"], ["set", "x", "y=1"]):
        monkeypatch.setattr(registry.module(words[0]), "run", lambda options: ((Problem("broken"),), 1))
        assert cli.main(words) == 1
    assert capsys.readouterr().err == "l2wg: broken\n"
    assert [dict(entry)["L2WG_EVENT"] for entry in entries(journald)] == ["set"]
    looking = {name for name in registry.NAMES if getattr(registry.module(name), "READ_ONLY", False)}
    assert looking == {"plan", "rehearse", "check", "status", "sites", "metrics", "card", "frr", "exec"}


def test_what_a_person_mistyped_is_no_news_of_this_router(journald, monkeypatch, capsys):
    monkeypatch.setattr(terminal, "attended", lambda: True)
    monkeypatch.setattr(log, "who", lambda: "")
    assert cli.main(["set", "gretap1", "bridge"]) == 1
    assert "is not KEY=VALUE" in capsys.readouterr().err and entries(journald) == []
    # What has gone wrong half-way is.
    monkeypatch.setattr(registry.module("apply"), "run", lambda options: (log.did("half"), ((Problem("broken"),), 1))[1])
    assert cli.main(["apply"]) == 1
    assert [dict(entry)["MESSAGE"] for entry in entries(journald)] == ["l2wg apply: half", "broken"]
    # So is what nobody sees: a script's mistake.
    monkeypatch.setattr(terminal, "attended", lambda: False)
    assert cli.main(["set", "gretap1", "bridge"]) == 1
    assert "is not KEY=VALUE" in dict(entries(journald)[0])["MESSAGE"]


def test_who_calls(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "x\nPRIORITY=0")
    monkeypatch.setattr("builtins.open", lambda path: (_ for _ in ()).throw(OSError()))
    assert log.who() == ""
    monkeypatch.setenv("SUDO_USER", "alice-b_1")
    assert log.who() == "alice-b_1"


def test_what_the_journal_has_anyhow_is_not_printed_twice(monkeypatch, capsys, tmp_path):
    stream = os.fstat(2)
    log.say("one")
    monkeypatch.setenv("JOURNAL_STREAM", "%d:%d" % (stream.st_dev, stream.st_ino))
    monkeypatch.setattr(journal, "NATIVE", str(tmp_path))
    log.say("two")
    log.complain([Problem("three")])
    log.line("four")
    monkeypatch.setenv("JOURNAL_STREAM", "%d:%d" % (stream.st_dev, stream.st_ino + 1))
    log.say("five")
    assert capsys.readouterr().err == "[l2wg] one\nfour\n[l2wg] five\n"


@pytest.mark.parametrize("count, more", [(1, ""), (3, ""), (4, "; and 1 more wait"), (9, "; and 6 more wait")])
def test_of_many_that_wait_some_are_named(count, more):
    summary = event_summary.EventSummary("up wg0", "wg0 is up")
    summary.waiting = tuple(Wait("t%d" % number, "underlay", "wg0") for number in range(count))
    text = summary.text()
    assert text == "wg0 is up: " + "; ".join("t%d waits for wg0" % number for number in range(min(count, 3))) + more
    assert dict(summary.fields([]))["L2WG_WAITING"].count("\n") == count - 1


@pytest.mark.parametrize("count, names", [(2, "a, b"), (3, "a, b, c"), (4, "a, b, c and 1 more")])
def test_of_many_that_fared_alike_some_are_named(count, names):
    summary = event_summary.EventSummary("up wg0", "wg0 is up")
    summary.told += [Step(("ip", "link", "set", "dev", name, "up"), "it is down", name) for name in "abcd"[:count]]
    assert summary.text() == "wg0 is up: %s: up" % names
