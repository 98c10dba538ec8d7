"""A fault that comes again and again: when it is put right, and when that is told."""

import pytest
from l2wg_hooks.model import Step
from l2wg_hooks.plan import repeats
from l2wg_hooks.plan.repeats import Fault

MTU = Step(("ip", "link", "set", "dev", "gretap1", "mtu", "1500"), "its MTU is 1400", "gretap1")
GUARD = Step(("nft", "-f", "/run/l2wg.nft"), "not as loaded", "guard")


def test_a_fault_is_a_group_with_its_steps():
    keys = repeats.keys((MTU, GUARD, MTU._replace(argv=("ip", "link", "set", "dev", "gretap1", "up"))))
    assert set(keys) == {"gretap1", "guard"} and keys["gretap1"].endswith(" gretap1")
    assert keys["gretap1"] != repeats.keys((MTU,))["gretap1"]
    # The reason may have a number in it.
    assert repeats.keys((MTU,)) == repeats.keys((MTU._replace(reason="its MTU is 1401"),))
    assert repeats.keys(()) == {}


def simulate(undone_again, looks=250, every=30):
    """The seconds at which it is put right, where that is undone so many seconds later; and when that was told."""
    history, wrong_from, done, told = {}, 0, [], []
    for now in range(0, looks * every, every):
        if now >= wrong_from and repeats.is_due(history, "x", now):
            history = repeats.after(history, ["x"], now)
            done.append(now)
            told += [now] * bool(repeats.new(history, ["x"]))
            wrong_from = now + undone_again
    return done, told


def test_what_is_undone_at_once_is_put_right_less_and_less_often():
    done, told = simulate(1)
    assert [later - sooner for sooner, later in zip(done, done[1:])] == [30, 30, 60, 120, 240, 480, 960, 1920, 3600]
    assert told == [60]


def test_what_is_undone_every_minute_is_in_a_row_too():
    done, told = simulate(45)
    assert done[:4] == [0, 60, 120, 180] and told == [120] and len(done) < 15


def test_what_is_undone_seldom_is_put_right_each_time():
    done, told = simulate(400)
    assert told == [] and {later - sooner for sooner, later in zip(done, done[1:])} == {420}


@pytest.mark.parametrize("times, seconds", [(0, 0), (2, 0), (3, 60), (4, 120), (8, 1920), (9, 3600), (10**9, 3600)])
def test_the_pause(times, seconds):
    assert repeats.pause(Fault(times, 0)) == seconds


def test_what_was_kept_at_another_boot_holds_up_nothing():
    history = {"x": Fault(9, 5000)}
    assert repeats.is_due(history, "x", 100) and repeats.known(history, 100) == {}
    assert repeats.after(history, ["x"], 100) == {"x": Fault(1, 100)}


def test_when_the_first_is_due():
    history = {"x": Fault(3, 1000), "y": Fault(4, 1000), "z": Fault(1, 1000)}
    assert repeats.next_time(history, ["x", "y"], 1030) == 1060
    assert repeats.next_time(history, [], 1030) == 1030
    assert not repeats.is_due(history, "y", 1119) and repeats.is_due(history, "y", 1120) and repeats.is_due(history, "z", 1000)
