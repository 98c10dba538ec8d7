"""Endpoints that are names: which are asked for, what is done with the answer, and what is told."""

import os
import socket
import threading
import time

import pytest
from l2wg_hooks.config import endpoint_names as files_names
from l2wg_hooks.config import staged
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Observed, Peer, Plan, Step, Tunnel
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import endpoint_names as calls
from l2wg_hooks.plan import planner, wire_steps
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import endpoint_names, events, executor, look_record, reconcile, watch, wire_files
from l2wg_hooks.system import lock, network_namespace, process, resolver, units

KEY, OTHER = "A" * 43 + "=", "B" * 43 + "="
NOW = 1764370000
TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", path="/etc/l2wg/gretap1.conf")
CONF = "underlay = {}\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"
WG = f"[Interface]\nPrivateKey = x=\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 192.168.92.0/24\nEndpoint = b.example.org:4900 # home\n"
PEER = Peer(KEY, "203.0.113.20:4900", ("192.168.92.0/24",), NOW - 200, 0, 0, None)
NAMES = {"wg0": {KEY: ("b.example.org", "4900")}}
TEXT = """[Interface]
PrivateKey = x=
[Peer]
PublicKey = a=
Endpoint = site-b.example.org:4900
[Peer]
Endpoint = 203.0.113.2:4900
PublicKey = b=
[Peer]
endpoint=[2001:db8::1]:4900
publickey=c=
[Peer]
PublicKey = d=
[Peer]
Endpoint = other.example.org:51820 # a comment
PublicKey = e=
"""


def test_the_names_in_a_file():
    assert files_names.named(TEXT) == {"a=": ("site-b.example.org", "4900"), "e=": ("other.example.org", "51820")}
    assert files_names.named("") == {}
    assert not files_names.is_name("[fe80::1%eth0]:1") and not files_names.is_name("") and files_names.is_name("b:1")


# Whose name is asked for


def late(peer=PEER, names=NAMES, tunnels=(TUNNEL,), now=NOW):
    return calls.late(tunnels, {"wg0": (peer,)}, names, now)


@pytest.mark.parametrize("age, asked", [(0, False), (135, False), (136, True), (NOW, True), (-60, False), (-136, True)])
def test_of_a_peer_that_has_not_answered_for_long(age, asked):
    assert bool(late(PEER._replace(handshake=NOW - age))) == asked


def test_of_nobody_else():
    assert late() == [calls.Call("wg0", KEY, "b.example.org", "4900", PEER.endpoint)]
    assert late(names={"wg0": {OTHER: ("b.example.org", "4900")}}) == [], "its file has an address"
    assert late(PEER._replace(allowed=("10.0.0.0/8",))) == [], "no tunnel leads there"
    assert late(tunnels=()) == []


def test_the_script_is_told_whose_silence_counts(etc, wireguard):
    (wireguard / "wg0.conf").write_text(WG + f"[Peer]\nPublicKey = {OTHER}\nEndpoint = c.example.org:1\nAllowedIPs = 10.0.0.0/8\n")
    assert look_record.words((TUNNEL,), {})[-2:] == ("names", f"peer={KEY}")
    (wireguard / "wg0.conf").write_text(WG.replace(KEY, "two answers"))
    assert look_record.words((TUNNEL,), {})[-1:] != ("peer=two answers",), "a word has no blanks"
    (wireguard / "wg0.conf").write_text(WG.replace("b.example.org", "203.0.113.9"))
    assert "names" not in look_record.words((TUNNEL,), {})


def test_the_first_address_that_a_route_leads_to():
    (call,) = late()
    found = calls.targets(call, ["2001:db8::20", "203.0.113.30", "0.0.0.0", "fe80::1%eth0", "203.0.113.31"])
    assert found == ["[2001:db8::20]:4900", "203.0.113.30:4900", "203.0.113.31:4900"]
    assert calls.chosen(call, found) == "[2001:db8::20]:4900" and calls.chosen(call, found[1:]) == "203.0.113.30:4900"
    assert calls.chosen(call, []) == ""


def test_one_of_many_that_is_called_already_is_left():
    (call,) = late()
    assert calls.chosen(call, ["203.0.113.30:4900", PEER.endpoint]) == PEER.endpoint


# A look


@pytest.fixture
def look(etc, wireguard, monkeypatch):
    """A router with one tunnel over wg0, whose peer is called by a name: what it means, and what was done."""
    (etc / "gretap1.conf").write_text(CONF.format("wg0"))
    (wireguard / "wg0.conf").write_text(WG)

    class Router:
        peers, answers, asked, ran, code = {"wg0": (PEER,)}, {"b.example.org": ("203.0.113.30",)}, [], [], 0

        def __call__(self):
            return endpoint_names.look()

    router = Router()
    router.asked, router.ran = [], []

    def ask(names, patience):
        router.asked += sorted(names)
        with lock.working():  # raises where somebody holds it
            return {name: router.answers.get(name, ()) for name in names}

    def run(argv, stdin="", environment=()):
        router.ran.append(" ".join(argv))
        return process.Result(router.code, "", "")

    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(snapshot, "peers", lambda tunnels: Observed(peers=router.peers))
    monkeypatch.setattr(resolver, "ask", ask)
    monkeypatch.setattr(resolver, "has_route", lambda endpoint: not endpoint.startswith("["))
    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(link_table, "read", lambda: {})
    monkeypatch.setattr(loop_probe, "send", lambda tunnels, links: router.ran.append("probe"))
    return router


SET = f"wg set wg0 peer {KEY} endpoint 203.0.113.30:4900"


def test_the_peer_is_called_where_its_name_leads_now(look, capsys):
    assert look() == () and look.ran == [SET, "probe"]
    assert "wg0: the peer b.example.org is called at 203.0.113.30:4900, no longer at 203.0.113.20:4900" in capsys.readouterr().err


def test_where_all_is_as_it_was_nothing_is_done_and_nothing_told(look, capsys):
    look.answers = {"b.example.org": ("203.0.113.20",)}
    assert look() == () and look.ran == [] and capsys.readouterr().err == ""
    look.peers = {"wg0": (PEER._replace(handshake=NOW),)}
    look.asked.clear()
    assert look() == () and look.asked == [], "it answers"


def test_without_a_name_nobody_is_asked(look, wireguard):
    (wireguard / "wg0.conf").write_text(WG.replace("b.example.org", "203.0.113.9"))
    assert look() == () and look.asked == []
    (wireguard / "wg0.conf").unlink()
    assert look() == () and look.asked == []


def test_no_route_is_no_reason_to_call_elsewhere(look):
    look.answers = {"b.example.org": ("2001:db8::20",)}
    assert look() == () and look.ran == []


@pytest.mark.parametrize("peer", [PEER._replace(handshake=NOW), PEER._replace(key=OTHER)])
def test_what_has_changed_while_the_name_server_was_asked_counts(look, monkeypatch, peer):
    """wg(8) would add a peer that is no longer there."""
    real = resolver.ask

    def ask(names, patience):
        look.peers = {"wg0": (peer,)}
        return real(names, patience)

    monkeypatch.setattr(resolver, "ask", ask)
    assert look() == () and look.ran == []


def test_an_interface_that_has_just_gone(look, capsys):
    look.code = 1
    assert look() == () and look.ran == [SET]
    assert "is called at" not in capsys.readouterr().err


def test_an_own_wire_is_told_in_its_namespace(look, etc, wireguard, monkeypatch, capsys):
    inside = []
    (etc / "gretap1.conf").write_text(CONF.format("l2w0") + "wire = own\n")
    (wireguard / "l2w0.conf").write_text(WG)
    look.peers = {"l2w0": (PEER._replace(endpoint=""),)}
    monkeypatch.setattr(network_namespace, "within", lambda name, work: inside.append(name) or work())
    assert look() == () and inside == ["l2wg"] and look.ran == [SET.replace("wg0", "l2w0"), "probe"]
    said = capsys.readouterr().err
    assert f"[l2wg] ip netns exec l2wg {look.ran[0]}\n" in said and "nobody knew where until now" in said

    def gone(name, work):
        raise FileNotFoundError(name)

    monkeypatch.setattr(network_namespace, "within", gone)
    look.ran.clear()
    assert look() == () and look.ran == []


def test_a_name_that_nobody_knows_is_told_once_and_again_when_it_was_known_meanwhile(look):
    answers, look.answers = look.answers, {}
    (problem,) = look()
    assert "b.example.org" in problem.message and problem.hint.startswith("getent ahosts b.example.org #") and problem.path.endswith("wg0.conf")
    before = os.stat(endpoint_names.UNKNOWN)
    assert look() == () and before.st_mode & 0o777 == 0o600
    assert os.stat(endpoint_names.UNKNOWN).st_ino == before.st_ino, "written once"
    with open(endpoint_names.UNKNOWN, "a") as file:
        file.write("other.example.org\n")
    assert look() == (), "the other one is known again"
    look.answers = answers
    assert look() == () and not os.path.exists(endpoint_names.UNKNOWN)
    look.answers = {"b.example.org": ("0.0.0.0",)}
    assert len(look()) == 1, "what no peer can have is no answer"


def test_the_cure_can_be_pasted_whatever_the_file_has(look, wireguard):
    (wireguard / "wg0.conf").write_text(WG.replace("b.example.org", "$(reboot)"))
    (problem,) = look()
    assert problem.hint.startswith("getent ahosts '$(reboot)' #")


def test_a_look_that_can_keep_nothing_is_silent(look, root):
    look.answers = {}
    os.mkdir(endpoint_names.UNKNOWN)
    assert look() == ()


def test_one_part_of_the_watch_does_not_keep_the_other_from_its_work(look, monkeypatch):
    def broken():
        raise L2wgError(Problem("broken"))

    monkeypatch.setattr(watch, "PARTS", (broken, endpoint_names.look))
    assert events.main(["event", "watch", "timer"], strict=True) == 0 and look.ran == [SET, "probe"]


# The resolver


def test_many_names_by_one_deadline(monkeypatch):
    gone = threading.Event()

    def addresses(name, patience=None):
        if name.startswith("slow"):
            gone.wait(5)
        return ["203.0.113.1"]

    monkeypatch.setattr(resolver, "addresses", addresses)
    names = {"slow%d" % number for number in range(3)} | {"fast%d" % number for number in range(40)}
    found = resolver.ask(names, 0.3)
    gone.set()
    assert found == {name: () if name.startswith("slow") else ("203.0.113.1",) for name in names}
    assert resolver.ask(set(), 1) == {}


def test_a_route_is_looked_for_and_nothing_sent(monkeypatch):
    asked = []

    class Probe:
        def __init__(self, family, kind):
            self.family = family

        def __enter__(self):
            return self

        def __exit__(self, *_):
            asked.append("closed")

        def connect(self, where):
            asked.append((self.family, where))
            if self.family == socket.AF_INET6:
                raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "socket", Probe)
    assert resolver.has_route("203.0.113.1:7") and not resolver.has_route("[2001:db8::1]:7")
    assert asked == [(socket.AF_INET, ("203.0.113.1", 7)), "closed", (socket.AF_INET6, ("2001:db8::1", 7)), "closed"]


# An event


@pytest.mark.parametrize("systemd", [True, False])
def test_an_event_that_tells_an_own_wire_of_its_peers_has_the_names_asked_for_behind_its_lock(etc, wireguard, monkeypatch, systemd):
    plans = [Plan((Step(("wg", "syncconf"), "", "l2w0"),), synced=("l2w0",)), Plan()]
    began = []

    def begin(*argv):
        with lock.working():
            began.append(" ".join(argv if systemd else argv[0]))

    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    monkeypatch.setattr(planner, "plan", lambda *_: plans.pop(0))
    monkeypatch.setattr(link_table, "read", lambda: {})
    monkeypatch.setattr(snapshot, "look", lambda tunnels, links: Observed())
    monkeypatch.setattr(executor, "apply", lambda steps: ())
    monkeypatch.setattr(units, "run_here", lambda: systemd)
    monkeypatch.setattr(process, "output" if systemd else "leave", begin)
    (wireguard / "l2w0.conf").write_text(WG)
    assert reconcile.reconcile() == ()
    assert len(began) == 1 and began[0].startswith("systemd-run ") == systemd and (" event watch names" in began[0])
    plans[:], began[:] = [Plan((Step(("wg", "syncconf"), "", "l2w0"),), synced=("l2w0",)), Plan()], []
    (wireguard / "l2w0.conf").write_text(WG.replace("b.example.org", "203.0.113.9"))
    assert reconcile.reconcile() == () and began == []


def test_wg_is_told_no_name(wireguard):
    (wireguard / "l2w0.conf").write_text(WG)
    assert wire_files.write(["l2w0"], {}) == ()
    with open(wire_steps.FILE.format("l2w0")) as file:
        assert "example" not in file.read()
    (problem,) = wire_files.write(["l2w1"], {})
    assert "l2w1.conf" in str(problem)


def test_that_of_a_wire_which_waits_for_the_other_site_is_asked_for(look, wireguard, monkeypatch):
    """`l2wg wall`: no tunnel is over it yet, and none ever would be if nobody called the peer."""
    staged.write("gretap1", {"wire": "own", "underlay": "l2w0", "local": "198.18.0.1", "remote": "198.18.0.2"})
    (wireguard / "l2w0.conf").write_text(WG.replace(KEY, OTHER).replace("192.168.92.0/24", "198.18.0.2/32").replace("b.example", "c.example"))
    look.peers = {"l2w0": (Peer(OTHER, "", ("198.18.0.2/32",), 0, 0, 0, None),)}
    look.answers = {"c.example.org": ("203.0.113.40",)}
    monkeypatch.setattr(network_namespace, "within", lambda name, work: work())
    look()
    assert look.asked == ["c.example.org"]
    assert look.ran == [f"wg set l2w0 peer {OTHER} endpoint 203.0.113.40:4900", "probe"]
    assert f"peer={OTHER}" in look_record.words((TUNNEL,), {})
