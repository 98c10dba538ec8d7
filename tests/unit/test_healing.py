"""The watch's Python: what is put right, what is left alone, what is told of it, and what is kept for its script."""

import fcntl
import json
import os
import stat

import pytest
from l2wg_hooks.config import last_applied, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link, Observed, Rules, Step, Tunnel
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import repeats
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import events, executor, healing, look_record, reconcile, ruleset, suspects, taken_down, watch
from l2wg_hooks.system import files, journal, lock

CONF = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"
ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
LAN = Link("enp2s0", 1, up=True, addresses=("192.168.178.1/24",))
WG0, BR0 = Link("wg0", 2, "wireguard", up=True), Link("br0", 3, "bridge", up=True)
RIGHT = Link(
    "gretap1", 4, "gretap", up=True, mac=ONE.mac, master="br0", alias="l2wg", local=ONE.local, remote=ONE.remote, underlay="wg0",
    pmtudisc=False, ignore_df=True, ttl=64,
)  # fmt: skip
MTU = "ip link set dev gretap1 mtu 1500"
LOOK = ["event", "watch", "timer"]


def of(*found):
    return {link.name: link for link in found}


class Router:
    """A kernel that does what it is told of MTUs and rules, and no more; and the journal."""

    def __init__(self):
        self.links, self.done, self.failed, self.told = of(LAN, WG0, BR0, RIGHT), [], (), []
        self.weights = []
        entry = nftables.entry(ONE)
        self.rules = Rules([entry], {"gretap1": nftables.value(ONE, self.links)})

    def apply(self, steps):
        for step in steps:
            if self.failed:
                return self.failed
            self.done.append(str(step))
            healing.log.ran(step)
            if str(step) == MTU:
                self.links = of(*self.links.values(), RIGHT)
            if str(step) == "ip link delete dev gretap1":
                self.links = of(LAN, WG0, BR0)
        return ()

    def load(self, wanted, step):
        failed = self.apply((step,))
        self.rules = wanted if not failed else self.rules
        return failed

    def send(self, text, severity, more=()):
        self.told.append((text, list(more)))
        self.weights.append(severity)

    def wrong(self, guard=False):
        self.links = of(*self.links.values(), RIGHT._replace(mtu=1400))
        if guard:
            self.rules = self.rules._replace(intact=False)

    def look(self):
        """The steps of one look."""
        self.done, self.told[:], self.weights[:] = [], [], []
        assert events.main(LOOK) == 0
        return self.done


@pytest.fixture
def router(etc, monkeypatch):
    (etc / "gretap1.conf").write_text(CONF)
    found = Router()
    monkeypatch.setattr(link_table, "read", lambda: found.links)
    monkeypatch.setattr(snapshot, "look", lambda tunnels, links: Observed(found.rules))
    monkeypatch.setattr(executor, "apply", found.apply)
    monkeypatch.setattr(ruleset, "load", found.load)
    monkeypatch.setattr(loop_probe, "send", lambda tunnels, links: None)
    monkeypatch.setattr(suspects, "ask", lambda: [])
    monkeypatch.setattr(watch, "PARTS", (healing.heal,))
    monkeypatch.setattr(journal, "send", found.send)
    monkeypatch.setattr(look_record, "now", lambda: found.now)
    found.now = 1000
    monkeypatch.setenv(look_record.FINGERPRINT, "123 456")
    assert found.look() == [] and found.told == []
    return found


def test_nothing_is_done_where_all_is_right_and_that_is_kept(router, root):
    path = root / "run/l2wg.look"
    assert path.read_text() == f"123 456\nevent probe=br0/{ONE.mac}/gretap1\n1600\n\n" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_wrong_is_put_right_and_told_in_a_line(router, root, monkeypatch):
    monkeypatch.setattr(suspects, "ask", lambda: [("nftables.service", 12, "active")])
    os.unlink(str(root / "run/l2wg.look"))
    router.wrong()
    assert router.look() == [MTU]
    ((text, more),) = router.told
    assert router.weights == [5], "its unit says LogLevelMax=notice"
    assert text == "the watch: gretap1: MTU 1500 (its MTU is 1400); likely by nftables.service (started 12 s before)"
    assert ("L2WG_LIKELY", "nftables.service") in more and ("L2WG_TUNNEL", "gretap1") in more
    assert not (root / "run/l2wg.look").exists(), "what the script saw was not right"
    assert router.look() == [] and router.told == [] and (root / "run/l2wg.look").exists()


def is_event(router, root):
    """Whether the script is told that an event has nothing to do either."""
    (root / "run/l2wg.look").unlink()
    assert router.look() == []
    return "event" in (root / "run/l2wg.look").read_text().split()


def test_the_script_knows_when_an_event_has_nothing_to_do_either(router, root, etc, monkeypatch):
    """An event asks for all of the wish, brings back what was taken down, and tells of what waits."""
    assert is_event(router, root)
    taken_down.add(("br1",))
    assert not is_event(router, root), "an event counts on nothing that leaves"
    taken_down.clear()
    applied(root, gretap1=CONF + "mtu = 1400\n")
    assert not is_event(router, root), "edited"
    applied(root, gretap1=CONF)
    assert is_event(router, root)
    (etc / "gretap2.conf").write_text("nonsense\n")
    assert not is_event(router, root), "broken"
    (etc / "gretap2.conf").unlink()
    right = dict(router.links)
    router.links = of(LAN, WG0, RIGHT._replace(master="", up=False))
    router.rules = Rules(router.rules.entries, {"gretap1": nftables.value(ONE, router.links)})
    assert not is_event(router, root), "its bridge is waited for"
    router.links = right
    router.rules = Rules(router.rules.entries, {"gretap1": nftables.value(ONE, router.links)})
    assert is_event(router, root)


def test_called_by_hand_nothing_is_kept(router, root, monkeypatch):
    monkeypatch.delenv(look_record.FINGERPRINT)
    os.unlink(str(root / "run/l2wg.look"))
    assert router.look() == [] and not (root / "run/l2wg.look").exists()


def test_while_a_change_waits_or_somebody_works_nothing_is_done(router, root):
    router.wrong()
    (root / "var/lib/l2wg").mkdir(parents=True)
    (root / "var/lib/l2wg/transaction").write_text("")
    assert router.look() == []
    (root / "var/lib/l2wg/transaction").unlink()
    for path in (lock.FILES, lock.WORK):
        with open(path, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert router.look() == []
    assert router.look() == [MTU]


def test_who_begins_to_wait_while_it_looks_is_seen(router, root, monkeypatch):
    """Between the look without a lock and that with one."""
    answers = iter((False, True))
    monkeypatch.setattr(last_applied, "pending", lambda: next(answers))
    router.wrong()
    assert router.look() == []


def test_it_takes_no_place_in_the_queue_of_one(router, monkeypatch):
    """An event that comes while it works waits for it, and is not skipped."""
    seen = []

    def apply(steps):
        with open(lock.NEXT, "w") as following:
            fcntl.flock(following, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen.append(steps)
        return router.apply(steps)

    monkeypatch.setattr(executor, "apply", apply)
    router.wrong()
    assert router.look() == [MTU] and seen


def test_what_was_taken_down_stays_down(router):
    events.main(["down", "gretap1"])
    assert router.done == ["ip link delete dev gretap1", "nft -f " + nftables.FILE]
    assert router.look() == [] and router.told == []
    # An event asks for all of it.
    events.main(["up", "wg0"])
    assert not os.path.exists(taken_down.PATH)
    assert router.look() != []


def test_an_event_lifts_that_though_another_one_takes_its_place(router):
    """The one that waits may be of a device, which spares what was taken down."""
    taken_down.add((taken_down.ALL,))
    with open(lock.NEXT, "w") as following:
        fcntl.flock(following, fcntl.LOCK_EX)
        events.main(["up", "wg0"])
    assert router.done == [] and taken_down.read() == {}


def test_a_device_event_brings_nothing_back_that_was_taken_down(router):
    router.links, router.rules = of(LAN, WG0, BR0), Rules()
    taken_down.add(("gretap1",))
    reconcile.reconcile(may_skip=True, spares=True)
    assert router.done == [] and taken_down.read() == {"gretap1": 0}
    taken_down.clear()
    reconcile.reconcile(may_skip=True, spares=True)
    assert "ip link set dev gretap1 master br0" in router.done


def test_all_that_was_taken_down_stays_down(router, root):
    events.main(["down", "--all"])
    router.links, router.rules = of(LAN, WG0, BR0), Rules()
    assert router.look() == []
    assert "123 456" in (root / "run/l2wg.look").read_text()


def test_an_event_does_not_fail_for_the_record_of_it(router, root):
    (root / "run/l2wg.down").mkdir()
    assert events.main(["down", "wg0"], strict=True) == 0
    assert events.main(["up", "wg0"]) == 0


@pytest.mark.parametrize("known, links, left", [
    ({"wg0": 2}, of(LAN, WG0, BR0), ("wg0",)),
    ({"wg0": 2}, of(LAN, BR0), ("wg0",)),
    ({"wg0": 0}, of(LAN, WG0, BR0), ()),
    ({"wg0": 9}, of(LAN, WG0, BR0), ()),
    ({"wg0": 2}, of(LAN, WG0, BR0, RIGHT), ()),
    ({"br0": 3}, of(LAN, WG0, BR0, RIGHT._replace(master="")), ("br0",)),
    ({"br0": 3}, of(LAN, WG0, BR0, RIGHT), ()),
    ({"gretap1": 4}, of(LAN, WG0, BR0), ("gretap1",)),
    ({"gretap1": 4}, of(LAN, WG0, BR0, RIGHT), ()),
    ({"gretap1": 4, "gretap2": 5}, of(LAN, WG0, BR0, RIGHT), ("gretap2",)),
])  # fmt: skip
def test_how_long_it_is_down(known, links, left):
    assert taken_down.still(known, (ONE,), links) == left


def test_units_that_stop_one_after_the_other_are_all_kept(root):
    taken_down.add(("gretap1",))
    taken_down.add(("gretap2", "wg0"))
    assert taken_down.read() == {"gretap1": 0, "gretap2": 0, "wg0": 0}
    files.keep(taken_down.PATH, "nonsense\n7\nx wg1\n8 wg2\n99999999999999999999999 wg3\n")
    assert taken_down.read() == {"wg2": 8}


def applied(root, **texts):
    (root / "var/lib/l2wg").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/l2wg/applied").write_text(json.dumps(texts))


def test_what_is_edited_and_not_applied_is_left_alone(router, root, etc):
    applied(root, gretap1=CONF + "mtu = 1400\n")
    router.wrong()
    assert router.look() == [] and router.told == []
    applied(root, gretap1=CONF)
    assert router.look() == [MTU]


def test_a_comment_is_no_edit(router, root, etc):
    applied(root, gretap1="# as before\n" + CONF)
    router.wrong()
    assert router.look() == [MTU]


def test_what_is_edited_is_guarded_as_it_was(router, root):
    applied(root, gretap1=CONF + "mtu = 1400\n")
    router.wrong(guard=True)
    before = router.rules.entries
    assert router.look() == ["nft -f " + nftables.FILE] and router.rules.entries == before


def test_which_files_are_edited(root, etc, monkeypatch):
    (etc / "gretap1.conf").write_text(CONF)
    assert last_applied.edited(store.load()) == set(), "nothing was ever applied: as on NixOS"
    applied(root, gretap1=CONF, gone=CONF)
    assert last_applied.edited(store.load()) == {"gone"}
    (etc / "gretap2.conf").write_text(CONF + "key = 2\n")
    assert last_applied.edited(store.load()) == {"gone", "gretap2"}
    (etc / "gretap1.conf").write_text("nonsense\n")
    assert last_applied.edited(store.load()) == {"gone", "gretap1", "gretap2"}
    monkeypatch.setattr(last_applied, "NIX", str(root))
    assert last_applied.edited(store.load()) == set(), "its units have applied it"
    (root / "var/lib/l2wg/applied").write_text("{")
    assert last_applied.edited(store.load()) == set()


def test_what_something_keeps_undoing_is_told_once_and_done_less_often(router, root):
    said = []
    for now in range(1000, 1000 + 30 * 12, 30):
        router.now = now
        router.wrong()
        if router.look():
            said.append((now, [text for text, _ in router.told]))
    assert [now for now, _ in said] == [1000, 1030, 1060, 1120, 1240]
    often = [now for now, texts in said if "something keeps undoing this (gretap1)" in texts[0]]
    assert often == [1060] and all(len(texts) == 1 for _, texts in said)
    # The script need not call before it is time again.
    assert (root / "run/l2wg.look").read_text().split("\n")[2] == "1480"


def test_the_guard_is_put_back_at_once_all_the_same(router):
    told = []
    for now in range(1000, 1000 + 30 * 8, 30):
        router.now = now
        router.wrong(guard=True)
        assert "nft -f " + nftables.FILE in router.look()
        told.append(len(router.told))
    assert told == [1, 1, 1, 0, 1, 0, 0, 0]


def test_what_fails_each_time_is_told_three_times(router):
    router.failed = (Problem("no such thing", "get one"),)
    found = []
    for now in range(1000, 1000 + 30 * 5, 30):
        router.now = now
        router.wrong()
        router.look()
        found.append([text for text, _ in router.told])
    assert all("no such thing" in texts[-1] for texts in found[:3]) and found[3] == []
    assert any("this fails again and again (gretap1)" in text for text in found[2]) and not any("undoing" in text for text in found[2])


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}', '{"x": [1]}', '{"x": ["a", 2]}', '{"x": [true, 2]}', '{"x": [-1, 2]}', "\x00", "9" * 9000])
def test_a_history_that_is_not_ours_is_none(root, text):
    files.keep(healing.HISTORY, text)
    assert healing.read_history() == {}


def linked(path):
    os.symlink(path + ".target", path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, linked])
@pytest.mark.parametrize("name", ["l2wg.healed", "l2wg.look", "l2wg.down"])
def test_what_is_no_file_keeps_it_from_nothing(router, root, make, name):
    path = root / "run" / name
    if path.exists():
        path.unlink()
    make(str(path))
    router.wrong()
    assert router.look() == [MTU]
    assert router.look() == []
    assert not os.path.exists(str(path) + ".target"), "nothing is written where a link leads"


def test_the_history_comes_back_as_it_was(root):
    healing.write_history({"0 gretap1": repeats.Fault(3, 1000)})
    assert healing.read_history() == {"0 gretap1": repeats.Fault(3, 1000)}
    assert stat.S_IMODE((root / "run/l2wg.healed").stat().st_mode) == 0o600
    healing.write_history({})
    assert not (root / "run/l2wg.healed").exists()


def test_a_record_of_somebody_elses_is_replaced(router, root):
    (root / "target").write_text("theirs")
    path = root / "run/l2wg.look"
    path.unlink()
    path.symlink_to(root / "target")
    router.look()
    assert (root / "target").read_text() == "theirs" and not path.is_symlink()
    path.chmod(0o666)
    router.look()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_words_for_the_script():
    vx = ONE._replace(name="vx1", encapsulation="vxlan", mss_clamp="iptables", forward="accept")
    six = vx._replace(name="vx2", local="fd00::1", remote="fd00::2")
    found = look_record.words((ONE, vx, six), of(BR0._replace(vlan_filtering=True)))
    assert [word.partition("=")[0] for word in found] == ["vlans", "ways4", "table4", "mangle", "filter", "ways6", "table6"]
    assert look_record.words((ONE, vx._replace(wire="own", mss_clamp="nftables", forward="as-is")), of(BR0)) == ("inner",), "its guard in there"


def test_one_part_that_fails_keeps_no_other(monkeypatch):
    def broken():
        raise L2wgError(Problem("broken"))

    called = []
    monkeypatch.setattr(watch, "PARTS", (broken, lambda: called.append(1)))
    assert watch.look() == () and called == [1]


SHOWN = """Id=nftables.service
ActiveState=active
StateChangeTimestampMonotonic=988000000

Id=docker.service
ActiveState=inactive
StateChangeTimestampMonotonic=970000000

Id=ufw.service
ActiveState=inactive
StateChangeTimestampMonotonic=0

Id=firewalld.service
ActiveState=active
StateChangeTimestampMonotonic=5000000

Id=cron.service
ActiveState=active
StateChangeTimestampMonotonic=999000000
"""


def test_who_was_started_or_stopped_just_before():
    found = suspects.recent(SHOWN, 1000 * 10**6)
    assert found == [("nftables.service", 12, "active"), ("docker.service", 30, "inactive")]
    assert suspects.words(found) == "likely by nftables.service (started 12 s before) or docker.service (stopped 30 s before)"
    assert suspects.words(suspects.recent("", 5)) == "" and suspects.recent("Id=nftables.service\nStateChangeTimestampMonotonic=x\n", 5) == []


def test_a_group_that_waits_has_those_wait_that_need_it():
    steps = (Step(("a",), "r", "l2w0"), Step(("b",), "r", "gretap1", "l2w0"), Step(("c",), "r", "gretap2", "gretap1"), Step(("d",), "r", "br0"))
    assert healing._with_needing({"l2w0"}, steps) == {"l2w0", "gretap1", "gretap2"}


def test_reconcile_and_the_watch_do_the_same(router):
    router.wrong(guard=True)
    found = router.look()
    router.wrong(guard=True)
    router.done = []
    reconcile.reconcile()
    assert router.done == found
