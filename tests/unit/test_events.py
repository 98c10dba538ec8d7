"""Events from the lock to the exit code; the kernel is played by a dict of links."""

import fcntl
import os
import sys
import time

import pytest
import rooms
from l2wg_hooks import cli
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link, Observed, Step
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import events, executor, kept_by_hooks, reconcile, ruleset
from l2wg_hooks.system import lock, process

GOOD = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"


@pytest.fixture
def kernel(monkeypatch):
    """What `observe` answers, and the steps that `apply` was given."""
    state = {"links": {}, "done": [], "failed": (), "seen": Observed()}
    monkeypatch.setattr(link_table, "read", lambda: state["links"])

    def apply(steps):
        state["done"].extend(str(step) for step in steps)
        return state["failed"]

    monkeypatch.setattr(executor, "apply", apply)
    monkeypatch.setattr(snapshot, "look", lambda tunnels, links: state["seen"])
    monkeypatch.setattr(ruleset, "load", lambda wanted, step: apply((step,)))
    monkeypatch.setattr(loop_probe, "send", lambda tunnels, links: None)
    return state


def test_without_any_file_nothing_is_done(etc, kernel):
    assert events.main(["up", "wg0"], strict=True) == 0
    assert kernel["done"] == []


def test_a_broken_file_does_not_keep_the_others_from_working(etc, kernel, capsys, monkeypatch):
    (etc / "gretap1.conf").write_text(GOOD)
    (etc / "gretap2.conf").write_text("nonsense\n")
    kernel["links"] = {"wg0": Link("wg0", 1, "wireguard"), "br0": Link("br0", 2, "bridge")}
    kernel["failed"] = (Problem("stop after one round"),)
    monkeypatch.setattr(ruleset, "load", lambda wanted, step: ())
    assert events.main(["up", "wg0"]) == 0
    assert kernel["done"][0].startswith("ip link add name gretap1 ")
    said = capsys.readouterr().err
    assert "gretap2.conf:1: 'nonsense' is not" in said and "hint: " in said
    assert events.main(["up", "wg0"], strict=True) == 1


@pytest.mark.parametrize("error", [L2wgError(Problem("broken", "mend it")), ValueError("a bug"), OSError("a bug")])
def test_an_event_never_fails(etc, monkeypatch, capsys, error):
    def broken():
        raise error

    monkeypatch.setattr(link_table, "read", broken)
    for words in (["up", "wg0"], ["down", "wg0"], ["down", "--all"], ["event", "down", "br0"]):
        assert cli.main(words) == 0
        assert "l2wg: " in capsys.readouterr().err


def test_a_bug_is_told_as_one(etc, monkeypatch, capsys):
    monkeypatch.setattr(link_table, "read", lambda: 1 / 0)
    assert events.main(["up", "wg0"]) == 0
    assert "ZeroDivisionError: division by zero\n  hint: a bug: run `l2wg up wg0 --strict`" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        events.main(["up", "wg0"], strict=True)


def test_half_an_installation_fails_no_event(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "l2wg_hooks.reconcile.events", None)
    monkeypatch.delattr("l2wg_hooks.reconcile.events")
    assert cli.main(["up", "wg0"]) == 0
    assert "apt install --reinstall l2wg" in capsys.readouterr().err
    assert cli.main(["up", "--strict", "wg0"]) == 1


def test_a_terminal_that_is_gone_does_not_end_the_work(etc, kernel, monkeypatch):
    class Gone:
        def write(self, text):
            raise OSError(5, "Input/output error")

        flush = write

    (etc / "gretap1.conf").write_text(GOOD)
    kernel["links"] = {"wg0": Link("wg0", 1, "wireguard")}
    monkeypatch.setattr(sys, "stderr", Gone())
    assert events.main(["up", "wg0"]) == 0
    assert len([step for step in kernel["done"] if " add " in step]) == reconcile.ROUNDS


def test_strict_is_for_people(etc, monkeypatch):
    monkeypatch.setattr(link_table, "read", lambda: (_ for _ in ()).throw(L2wgError(Problem("broken"))))
    assert cli.main(["up", "--strict", "wg0"]) == 1


def test_steps_without_effect_end(etc, kernel):
    (etc / "gretap1.conf").write_text(GOOD)
    kernel["links"] = {"wg0": Link("wg0", 1, "wireguard"), "br0": Link("br0", 2, "bridge")}
    problems = reconcile.reconcile()
    assert "had no effect" in str(problems[0])
    assert len([line for line in kernel["done"] if " add " in line]) == reconcile.ROUNDS


def test_who_waits_already_works_for_who_comes_later(etc):
    with lock.working() as ours:
        assert ours
        waiting = os.open(lock.NEXT, os.O_RDWR)
        fcntl.flock(waiting, fcntl.LOCK_EX)
        with lock.working(may_skip=True) as skipped:
            assert not skipped
        os.close(waiting)


def test_a_lock_that_is_held_for_ever_is_told_of(etc, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    with lock.working():
        for may_skip in (True, False):
            with pytest.raises(L2wgError) as error, lock.working(may_skip):
                pass
            assert "fuser" in str(error.value)


def test_a_lock_file_is_no_way_into_another_file(etc):
    victim = etc / "victim"
    victim.write_text("mine")
    os.symlink(str(victim), lock.WORK)
    with pytest.raises(L2wgError), lock.working():
        pass
    assert victim.read_text() == "mine"


STEPS = [Step(("ip", "link", "set", "dev", name, "up"), "test", name) for name in ("a", "b", "a", "c")]


@pytest.mark.parametrize(
    "said, ran, complaint",
    [
        (['Cannot find device "a"\nCommand failed -:1'], [["a", "b", "a", "c"], ["b", "c"]], "`ip link set dev a up` failed: Cannot find"),
        (["Error: Unknown device type.\nCommand failed -:2"], [["a", "b", "a", "c"], ["a", "c"]], "Unknown device type"),
        (["what?"], [["a", "b", "a", "c"], ["b", "c"]], "what?"),
        (["RTNETLINK answers: File exists\nCommand failed -:4"], [["a", "b", "a", "c"]], "File exists"),
    ],
)
def test_a_step_that_fails_takes_its_group_and_no_other(monkeypatch, capsys, said, ran, complaint):
    batches, answers = [], list(said)

    def fake(argv, stdin=""):
        batches.append([line.split()[3] for line in stdin.splitlines()])
        return process.Result(1, "", answers.pop(0)) if answers else process.Result(0, "", "")

    monkeypatch.setattr(process, "run", fake)
    (problem,) = executor.apply(STEPS)
    assert batches == ran
    assert complaint in str(problem)
    assert "[l2wg] ip link set dev a up" in capsys.readouterr().err


def test_no_steps_no_process():
    assert executor.apply(()) == ()


def test_what_the_hooks_keep_goes_where_it_may_be_older_than_a_file(root, etc):
    """Times that sh cannot see: `cp -p` onto a file, and a clock that was put back."""
    kept, conf = root / "run/l2wg.ours", etc / "gretap1.conf"
    conf.write_text("")
    now = time.time()

    def stays(kept_at, conf_at):
        kept.write_text(" gretap1 /\n")
        os.utime(str(conf), (conf_at, conf_at))
        os.utime(str(kept), (kept_at, kept_at))
        kept_by_hooks.check()
        return kept.exists()

    kept_by_hooks.check()
    assert not stays(now - 50, now - 100), "the file was changed just now, whatever it says"
    assert not stays(now + 100, now - 100), "the clock was put back since"
    time.sleep(0.02)
    kept.write_text(" gretap1 /\n")
    kept_by_hooks.check()
    assert kept.exists()
    conf.unlink()
    conf.symlink_to("nowhere")
    kept_by_hooks.check()


def test_a_missing_command_names_its_package(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError("ip")

    monkeypatch.setattr(process.child, "run", missing)
    with pytest.raises(L2wgError) as error:
        link_table.read()
    assert "iproute2" in str(error.value)


def test_an_event_imports_nothing_slow():
    """In a Python of its own this would need a process; so: what the modules of the hot path import, read from them."""
    ours, outside = rooms.reached("cli", "reconcile.events")
    assert {"plan.planner", "observe.link_table", "config.schema", "system.process", "system.lock"} <= ours
    assert not outside & {"jinja2", "argparse", "tempfile", "logging", "difflib", "asyncio", "glob", "ctypes", "shutil"}
    # Each of these takes as long as a command that an event runs, or as several. typed.py has its own only for other Pythons.
    outside = set().union(*(rooms.read()[name].outside for name in ours - {"typed"}))
    assert not outside & {"typing", "subprocess", "socket", "signal", "threading", "contextlib", "dataclasses", "enum", "inspect"}
    # What is loaded when somebody wants it is no slower.
    rooms_of_events = ("reconcile", "observe", "plan", "netfilter", "managers", "config", "system", "model", "encapsulation", "errors")
    assert [name for name, found in rooms.read().items() if name.partition(".")[0] in rooms_of_events and "typing" in found.outside] == []
    assert not {module.partition(".")[0] for module in ours} & {"apply", "check", "commands", "pairing", "rehearsal", "status", "templates"}
    assert not ours & {"config.edit", "config.ifupdown_files"}


def test_the_file_of_sites_goes_down_as_a_whole(etc, kernel, monkeypatch):
    """By its path: its tunnels, and not those with files of their own."""
    import nets
    from l2wg_hooks.config import own_sites, site_tunnels, store

    monkeypatch.setattr(own_sites, "wires", lambda tunnels, wanted: {nets.key(0): site_tunnels.Wire("wg0")})
    (etc / "gretap1.conf").write_text(GOOD)
    (etc / "sites").write_text(nets.text("hub=site0", 3))
    asked = []
    monkeypatch.setattr(reconcile, "reconcile", lambda **words: asked.append(words) or ())
    assert events.main(["down", store.path(store.SITES)], strict=True) == 0
    assert events.main(["down", "wg0"], strict=True) == 0
    (etc / "sites").unlink()
    assert events.main(["down", store.path(store.SITES)], strict=True) == 0
    assert asked == [{"leaving": ("site1", "site2"), "spares": False}, {"leaving": ("wg0",)}, {"leaving": (), "spares": True}]
