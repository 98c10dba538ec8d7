"""Nothing is decided by reading English back: with every message in other words, all is decided as before."""

import pytest
from l2wg_hooks import model
from l2wg_hooks.apply import apply, preview
from l2wg_hooks.check import runner
from l2wg_hooks.config import ifupdown
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Addresses, Link, Plan, Wait
from l2wg_hooks.plan import bridge_steps, planner
from l2wg_hooks.reconcile import event_summary
from l2wg_hooks.status import watch
from test_apply import MAIN, router  # noqa: F401 # fixtures
from test_check import LINKS, ONE, healthy, without  # noqa: F401
from test_status import WRONGS, build

# Not to be mistaken for any word of ours, the second time a message gets it neither.
MARK = "\u2021"


def reword(message):
    return message if message.startswith(MARK) else MARK + " " + message[::-1]


@pytest.fixture(params=["as they are", "reworded"])
def words(request, monkeypatch):
    """Each test runs twice, and says the same of both."""
    if request.param == "reworded":
        original = Problem.__new__
        monkeypatch.setattr(Problem, "__new__", lambda cls, message, *more, **named: original(cls, reword(message), *more, **named))
        monkeypatch.setattr(model, "WAITS", {kind: MARK + " " + kind + " {1} {0}" for kind in model.WAITS})
    return request.param


def test_the_messages_are_others(words):
    (problem,) = L2wgError(Problem("a message")).problems
    assert problem.message == ("a message" if words == "as they are" else MARK + " egassem a")
    assert str(Wait("gretap1", "underlay", "wg0")).startswith("gretap1 waits" if words == "as they are" else MARK)


def test_an_address_moves_only_with_consent(words, router):
    router.main.write_text(MAIN + "iface enp3s0 inet static\n    address 10.0.0.1/8\n")
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    router.held["enp3s0"] = Addresses((("10.0.0.1/8",),))
    intent = preview.intend()
    assert [(problem.id, problem.subject, problem.key) for problem in intent.problems] == [("port-address", "enp3s0", "bridge-ports")]
    assert "l2wg apply --yes" in intent.problems[0].hint and intent.unasked() == ()
    assert preview.intend(moving=True).problems == ()
    with pytest.raises(L2wgError):
        apply.apply()
    assert router.done == []
    assert apply.apply(agree=lambda moves: True) == () and router.done


def test_why_an_address_cannot_move_is_told_once(words, router):
    router.main.write_text(MAIN + "iface enp3s0 inet dhcp\n")
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    router.held["enp3s0"] = Addresses((("10.0.0.1/8",),))
    (problem,) = preview.intend().problems
    assert "it cannot be moved to br0 by itself" in problem.hint and preview.intend().unasked() == (problem,)


CASES = {
    "port-address": lambda state: state.intent._replace(problems=(bridge_steps.carries(ONE, "enp3s0", "10.0.0.1/8"),)),
    "settings": lambda state: state.intent._replace(problems=(ONE.problem("local", "is odd", "change it"),)),
    "underlay-absent": lambda state: without(state, "wg0", "gretap1") or state.intent._replace(todo=Plan(waiting=(Wait("gretap1", "underlay", "wg0"),))),
    "bridge-absent": lambda state: without(state, "br0") or state.intent._replace(todo=Plan(waiting=(Wait("gretap1", "bridge", "br0"),))),
    "port-absent": lambda state: without(state, "enp3s0") or state.intent._replace(todo=Plan(waiting=(Wait("br0", "port", "enp3s0"),))),
    "waiting": lambda state: state.intent._replace(todo=Plan(waiting=(Wait("gretap1", "bridge", "another"),))),
}


@pytest.mark.parametrize("cause", CASES)
def test_check_knows_a_cause_by_its_id(words, healthy, cause):
    healthy.intent = CASES[cause](healthy)
    assert [problem.id for problem in runner.check().problems] == [cause]


@pytest.mark.parametrize("line, cause", [("PostUp = l2wg up %i", "postup-unsafe"), ("PostUp = ip link set gretap1 up", "postup-by-hand")])
def test_check_knows_the_lines_of_wg_quick(words, healthy, line, cause):
    text = (healthy.tmp / "wg0.conf").read_text()
    ours = "" if cause == "postup-unsafe" else "PostUp = l2wg up %i || :\n"
    (healthy.tmp / "wg0.conf").write_text(text.replace("PostUp = l2wg up %i || :\n", ours + line + "\n"))
    assert {problem.id for problem in runner.check().problems} == {cause}


def test_a_stanza_is_what_brings_a_bridge(words, healthy):
    without(healthy, "br0")
    healthy.intent = CASES["bridge-absent"](healthy)
    healthy.stanzas = (ifupdown.Stanza("br0", "inet", "manual", "/etc/network/interfaces", 3),)
    assert runner.check().problems[0].hint == "ifup --force br0"


@pytest.mark.parametrize("what", WRONGS)
def test_status_knows_what_each_fault_is_about(words, what):
    found = build(**WRONGS[what][0])
    wanted = {"no bridge": {"gretap1", "br0", ""}}.get(what) or {about for about, _ in WRONGS[what][1]}
    assert {fault.about for fault in found.faults} <= wanted
    # What is one line about its tunnel, or its bridge, has that name once.
    lines = watch.render(found, {}, {}, (200, 60), names=()).split("\n")
    for fault in found.faults:
        if fault.about and fault.named and words == "as they are":
            assert sum(line.count(fault.about) for line in lines if fault.message in line) == fault.message.count(fault.about)


def test_the_journal_knows_whom_an_event_was_about(words):
    half = event_summary.EventSummary("up wg0", "wg0 is up")
    half.waiting = planner.plan((ONE._replace(bridge_ports=()),), {"wg0": LINKS["wg0"]}).waiting
    assert [value for name, value in half.fields(["gretap1", "gretap2"]) if name == "L2WG_TUNNEL"] == ["gretap1"]
