"""The look at two hubs, by dash and bash, with a wg(8) that prints what a router's would: when l2wg is called, and when not."""

import os
import subprocess

import pytest
from conftest import TOP

SCRIPT = TOP / "etc/l2wg/hubs"
HQ, DC = "H" * 43 + "=", "D" * 43 + "="


class Router:
    def __init__(self, path, shell, wire):
        self.path, self.shell, self.wire = path, shell, wire
        for name in ("bin", "run", "var/lib/l2wg"):
            (path / name).mkdir(parents=True)
        self.command("ping", 'echo "${{0##*/}} $*" >>{0}/asked')
        self.command("wg", "cat {0}/transfer")
        self.command("nsenter", 'echo "$1" >>{0}/entered; shift; exec "$@"')
        self.command("systemctl", 'echo "systemctl $*" >>{0}/calls')
        self.command("l2wg", 'echo "$*" >>{0}/calls')
        text = SCRIPT.read_text()
        for old in ("/run/", "/var/"):
            text = text.replace(old, f"{path}{old}")
        (path / "hubs").write_text(text.replace("/usr/bin/l2wg", f"{path}/bin/l2wg").replace("PATH=/usr/sbin", f"PATH={path}/bin:/usr/sbin"))
        self.bytes = {HQ: 100, DC: 50}
        self.listen(HQ)

    def command(self, name, script):
        (self.path / "bin" / name).write_text("#!/bin/sh\n" + script.format(self.path) + "\n")
        (self.path / "bin" / name).chmod(0o755)

    def listen(self, first):
        other = {HQ: DC, DC: HQ}[first]
        rows = [f"wg0 {self.wire} 198.18.0.7"] + [f"{key} 198.18.0.{1 + (key == DC)}" for key in (first, other)]
        (self.path / "run/l2wg.hubs").write_text("".join(row + "\n" for row in rows))

    def look(self, *answering):
        """What was called."""
        for key in answering:
            self.bytes[key] += 92
        (self.path / "transfer").write_text("".join(f"{key}\t{number}\t7\n" for key, number in self.bytes.items()))
        done = subprocess.run([self.shell, str(self.path / "hubs")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True)
        assert (done.returncode, done.stdout) == (0, "")
        calls = self.path / "calls"
        said = calls.read_text().splitlines() if calls.exists() else []
        if said:
            calls.unlink()
        return said

    def looks(self, times, *answering):
        return [call for _ in range(times) for call in self.look(*answering)]


@pytest.fixture(params=["dash", "bash"])
def router(request, tmp_path):
    return Router(tmp_path, request.param, "shared")


@pytest.mark.parametrize("wire", ["shared", "own"])
def test_both_are_asked_where_wireguard_is(tmp_path, wire):
    router = Router(tmp_path, "dash", wire)
    assert router.looks(3, HQ, DC) == []
    asked = (tmp_path / "asked").read_text()
    assert asked.count(" -I wg0 -I 198.18.0.7 198.18.0.1\n") == asked.count(" -I wg0 -I 198.18.0.7 198.18.0.2\n") == 3
    entered = tmp_path / "entered"
    assert entered.read_text().splitlines() == [f"--net={tmp_path}/run/netns/l2wg"] * 9 if wire == "own" else not entered.exists()


def test_one_that_is_silent_for_15_s_is_left_for_one_that_answers(router):
    assert router.looks(2, HQ, DC) == [] == router.looks(4, DC)
    assert router.look(DC) == [f"event hubs {DC}"]
    # Until l2wg has moved, it is called.
    assert router.look(DC) == [f"event hubs {DC}"]
    router.listen(DC)
    assert router.looks(9, DC) == []
    # It is back, and nobody moves.
    assert router.looks(9, HQ, DC) == []
    assert router.looks(5, HQ) == [f"event hubs {HQ}"]


def test_where_both_are_silent_it_is_not_the_hub(router):
    assert router.looks(2, HQ, DC) == [] == router.looks(20)
    assert router.looks(20, HQ) == []


def test_a_hub_that_changes_its_key_answers_by_either(router):
    new = "N" * 43 + "="
    record = router.path / "run/l2wg.hubs"
    record.write_text(record.read_text().replace(f"{HQ} ", f"{new},{HQ} "))
    router.bytes[new] = 0
    assert router.looks(4, HQ, DC) == [] == router.looks(9, new, DC)
    assert router.looks(5, DC) == [f"event hubs {DC}"]
    router.listen(DC)
    record.write_text(record.read_text().replace(f"{HQ} ", f"{new},{HQ} "))
    router.look(new, DC)
    assert router.looks(5, new) == [f"event hubs {new}"]


def test_a_lost_answer_is_no_silence(router):
    router.look(HQ, DC)
    for _ in range(5):
        assert router.looks(4, DC) == [] == router.look(HQ, DC)


def test_an_answer_every_10_s_is_one(router):
    """A firewall there drops what we ask by: WireGuard's own answer comes as late."""
    for _ in range(10):
        assert router.look(HQ) == router.looks(2) == router.look(DC) == []
    calls = [call for _ in range(4) for call in router.look() + router.looks(2) + router.look(DC)]
    assert calls == [f"event hubs {DC}"] * 4


def test_a_new_interface_counts_from_nothing(router):
    router.looks(2, HQ, DC)
    router.bytes = {HQ: 0, DC: 0}
    assert router.looks(9) == []
    assert router.look(DC) == [f"event hubs {DC}"]
    assert router.looks(2) == []
    router.bytes[DC] = 0
    assert router.look() == [], "that peer is made anew, and has said nothing"


def test_the_other_one_must_have_answered_since(router):
    """What nobody has looked at before is no answer."""
    router.bytes[DC] = 7
    seen = router.path / "run/l2wg.hubs.seen"
    assert router.look() == []
    seen.write_text(f"{HQ} 100 6\n")
    assert router.look() == [] and router.look(DC) == [f"event hubs {DC}"]


def test_without_ping_bash_asks(router):
    (router.path / "bin/ping").unlink()
    router.command("bash", 'echo "bash $3 $4" >>{0}/asked')
    text = (router.path / "hubs").read_text().replace("command -v ping", "command -v no-such-command").replace("sleep 1", "sleep 0")
    (router.path / "hubs").write_text(text)
    assert router.look(HQ, DC) == []
    assert sorted((router.path / "asked").read_text().splitlines()) == ["bash bash 198.18.0.1", "bash bash 198.18.0.2"]


def test_it_ends_its_timer_where_there_are_no_two_hubs(router):
    record = router.path / "run/l2wg.hubs"
    text = record.read_text()
    record.unlink()
    assert router.look() == ["systemctl --no-block stop l2wg-hubs.timer"] and not (router.path / "asked").exists()
    # Nobody's link leads anywhere.
    (router.path / "elsewhere").write_text(text)
    record.symlink_to(router.path / "elsewhere")
    assert router.look() == ["systemctl --no-block stop l2wg-hubs.timer"]


def test_what_waits_for_its_confirmation_is_left_alone(router):
    router.looks(2, HQ, DC)
    (router.path / "var/lib/l2wg/transaction").write_text("")
    assert router.looks(9, DC) == [] and os.path.exists(router.path / "run/l2wg.hubs.seen")
    (router.path / "var/lib/l2wg/transaction").unlink()
    assert router.looks(4, DC) == [] and router.look(DC) == [f"event hubs {DC}"]


def test_without_the_interface_nothing_happens(router):
    router.looks(2, HQ, DC)
    router.command("wg", "exit 1")
    assert router.looks(9, DC) == []
