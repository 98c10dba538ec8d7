"""`peer-down = port`: who counts as down, what becomes of the ports, and where it is refused."""

import os

import pytest
from l2wg_hooks.config import last_applied, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link, Observed, Peer, Plan, Step, Tunnel
from l2wg_hooks.observe import link_table, peer_answers, snapshot
from l2wg_hooks.observe.peer_answers import LOOKS, Row
from l2wg_hooks.plan import peer_down, planner
from l2wg_hooks.reconcile import executor, look_record, reconcile, taken_down
from l2wg_hooks.reconcile import peer_answers as answers
from l2wg_hooks.system import files

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", ("enp3s0",), peer_down="port", path="/etc/l2wg/gretap1.conf")
SECOND = TUNNEL._replace(name="gretap2", underlay="wg1", remote="192.168.93.1", bridge_ports=())
LINKS = {
    "br0": Link("br0", 1, "bridge", up=True),
    "enp3s0": Link("enp3s0", 2, up=True, master="br0"),
    "gretap1": Link("gretap1", 3, "gretap", up=True, master="br0", alias="l2wg"),
}
DOWN, UP = "ip link set dev enp3s0 down", "ip link set dev enp3s0 up"
PEER = Peer("k", "", ("192.168.92.0/24",), 1000, 500, 0, None)


def port(**changes):
    return dict(LINKS, enp3s0=LINKS["enp3s0"]._replace(**changes))


def held(silent=("gretap1",), taken=(), links=LINKS, tunnels=(TUNNEL,), leaving=(), kept=False):
    found = peer_down.held(tunnels, links, leaving, Observed(silent=silent, taken=taken), kept)
    return [str(step) for step in found.steps], found.ports, [problem.message for problem in found.problems]


# The ports


def test_they_go_with_the_peer_and_come_back_with_it():
    assert held() == ([DOWN], ("enp3s0",), [])
    assert held(taken=("enp3s0",), links=port(up=False)) == ([], ("enp3s0",), [])
    assert held(silent=(), taken=("enp3s0",), links=port(up=False)) == ([UP], ("enp3s0",), []), "written down until it is up"
    assert held(silent=(), taken=("enp3s0",)) == ([], (), [])
    assert held(silent=()) == ([], (), [])


def test_what_others_have_set_down_stays_down():
    assert held(silent=(), links=port(up=False)) == ([], (), [])
    assert held(links=port(up=False)) == ([], (), []), "so that it is not brought up when the peer answers"


def test_by_the_plan():
    seen = Observed(silent=("gretap1",))
    todo = planner.plan((TUNNEL,), LINKS, seen=seen)
    assert DOWN in map(str, todo.steps) and todo.taken == ("enp3s0",)
    assert planner.plan((TUNNEL,), LINKS, seen=Observed()).taken is None
    assert planner.plan((TUNNEL,), port(up=False), seen=Observed(silent=("gretap1",), taken=("enp3s0",))).taken is None
    back = TUNNEL._replace(peer_down="nothing")
    assert UP in map(str, planner.plan((back,), port(up=False), seen=Observed(silent=("gretap1",), taken=("enp3s0",))).steps)
    assert UP in map(str, planner.plan((), port(up=False), seen=Observed(taken=("enp3s0",))).steps), "its file is gone"
    assert UP in map(str, planner.removal((), port(up=False), Observed(taken=("enp3s0",))).steps)


def test_what_is_taken_down_gives_them_back():
    for name in ("wg0", "gretap1"):
        assert held(taken=("enp3s0",), links=port(up=False), leaving=(name,))[0] == [UP]


def test_a_bridge_that_goes_keeps_them_as_they_are():
    assert held(taken=("enp3s0",), links=port(up=False), leaving=("br0",)) == ([], ("enp3s0",), [])
    gone = {name: link for name, link in port(up=False, master="").items() if name != "br0"}
    assert held(silent=(), taken=("enp3s0",), links=gone) == ([], ("enp3s0",), [])


def test_beside_a_broken_file_nothing_is_given_back():
    assert held(tunnels=(), taken=("enp3s0",), links=port(up=False), kept=True) == ([], ("enp3s0",), [])


def test_a_port_that_is_no_longer_there_is_forgotten():
    gone = {name: link for name, link in LINKS.items() if name != "enp3s0"}
    assert held(taken=("enp3s0",), links=gone) == ([], (), [])


def test_of_two_tunnels_both_peers_have_to_be_down():
    both = (TUNNEL, SECOND)
    assert held(tunnels=both)[0] == [] and held(tunnels=both, silent=("gretap1", "gretap2"))[0] == [DOWN]


@pytest.mark.parametrize(
    "tunnels, links, said",
    [
        ((TUNNEL, SECOND._replace(peer_down="nothing")), {}, "gretap2 is in br0, too"),
        ((TUNNEL._replace(bridge_address="192.168.92.1/24"),), {}, "br0 has the address 192.168.92.1/24"),
        ((TUNNEL,), {"br0": LINKS["br0"]._replace(addresses=("10.0.0.1/8",))}, "br0 has the address 10.0.0.1/8"),
        ((TUNNEL,), {"enp3s0": LINKS["enp3s0"]._replace(addresses=("10.0.0.1/8",))}, "enp3s0 has the address 10.0.0.1/8"),
        ((TUNNEL,), {"br0.10": Link("br0.10", 9, "vlan", parent="br0", addresses=("10.0.0.1/8",))}, "br0.10 has the address"),
        ((TUNNEL,), {"enp3s0.7": Link("enp3s0.7", 9, "vlan", parent="enp3s0", addresses=("10.0.0.1/8",))}, "enp3s0.7 has the address"),
        ((TUNNEL,), {"vnet0": Link("vnet0", 9, "tun", master="br0")}, "vnet0 is a port of br0, too"),
    ],
)
def test_where_others_need_them_they_stay_up(tunnels, links, said):
    steps, ports, (message,) = held(silent=("gretap1", "gretap2"), tunnels=tunnels, links=dict(LINKS, **links))
    assert steps == [] and ports == () and said in message
    # And come up again, if they were down before.
    down = dict(port(up=False), **links)
    down["enp3s0"] = down["enp3s0"]._replace(up=False)
    assert held(silent=("gretap1", "gretap2"), tunnels=tunnels, links=down, taken=("enp3s0",))[0] == [UP]


def test_others_elsewhere_do_not_matter():
    links = dict(LINKS, eth9=Link("eth9", 8, addresses=("10.0.0.1/8",)), vnet0=Link("vnet0", 9, "tun", master="br1"))
    assert held(links=links) == ([DOWN], ("enp3s0",), [])


def test_it_needs_ports(etc):
    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nbridge = br0\npeer-down = port\n")
    assert "needs bridge-ports" in str(store.load().problems[0])


# Whether a peer answers


@pytest.mark.parametrize(
    "before, peer, said",
    [
        (None, PEER, False),
        (Row(500, 1000, 0), None, False),
        (Row(500, 1000, 0), PEER, False),
        (Row(499, 1000, 2), PEER, True),
        (Row(500, 999, 2), PEER, True),
        (Row(900, 1000, 0), PEER, True),
        (Row(900, 1000, 0), PEER._replace(received=0, handshake=0), False),
        (Row(500, 2000, 0), PEER, True),
    ],
)
def test_signs_of_life(before, peer, said):
    assert peer_answers.heard(before, peer) == said


def test_three_looks_in_a_row():
    row, counts = None, []
    for answers_now in (False, False, True, False, False, False, False, True):
        row = peer_answers.after(row, PEER, answers_now)
        counts.append(row.silent)
    assert counts == [1, 2, 0, 1, 2, 3, 3, 0] and LOOKS == 3
    assert peer_answers.down({"a": Row(0, 0, 3), "b": Row(0, 0, 2)}) == ("a",)


@pytest.mark.parametrize("line", ["", "gretap1 1 2", "gretap1 1 2 4", "gretap1 1 2 -1", "../x 1 2 3", "gretap1 1 2 3 4", "a b 1 2 3", "\0", "gretap1 1 ٣ 3"])
def test_a_line_that_is_not_as_we_write_it_is_none(line):
    assert peer_answers.parse(f"{line}\ngretap7 5 6 3\n{line}") == {"gretap7": Row(5, 6, 3)}


def test_the_files_are_roots_and_go_when_nothing_is_in_them():
    peer_answers.write({"gretap1": Row(1, 2, 3)})
    peer_answers.take(("enp3s0",))
    assert peer_answers.read() == {"gretap1": Row(1, 2, 3)} and peer_answers.taken() == ("enp3s0",)
    assert {os.stat(path).st_mode & 0o777 for path in (peer_answers.ANSWERS, peer_answers.TAKEN)} == {0o600}
    peer_answers.write({})
    peer_answers.take(())
    assert not os.path.exists(peer_answers.ANSWERS) and not os.path.exists(peer_answers.TAKEN)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: open(path, "wb").write(b"\xff\xfe/\n" * 100)])
def test_what_is_no_such_file_is_as_none(make):
    for path in (peer_answers.ANSWERS, peer_answers.TAKEN):
        make(path)
    assert peer_answers.read() == {} and peer_answers.taken() == ()


# A look


@pytest.fixture
def look(etc, monkeypatch):
    """A router with one tunnel: `peer` is what WireGuard says, `echoes` who answers, `done` the steps."""
    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\npeer-down = port\n")

    class Router:
        def __init__(self):
            self.peer, self.echoes, self.done, self.links = PEER, set(), [], dict(LINKS)

        def __call__(self):
            return answers.look()

    router = Router()

    def apply(steps):
        router.done += [str(step) for step in steps]
        for step in steps:
            if step.argv[4:5] == ("enp3s0",):
                router.links = dict(router.links, enp3s0=router.links["enp3s0"]._replace(up=step.argv[-1] == "up"))
        return ()

    monkeypatch.setattr(last_applied, "edited", lambda wished: set())
    monkeypatch.setattr(snapshot, "peers", lambda tunnels: Observed(peers={"wg0": (router.peer,)} if router.peer else {}))
    monkeypatch.setattr(answers, "_echoed", lambda tunnels: router.echoes)
    monkeypatch.setattr(link_table, "read", lambda: router.links)
    monkeypatch.setattr(snapshot, "look", lambda tunnels, links: Observed(silent=peer_answers.down(peer_answers.read()), taken=peer_answers.taken()))
    monkeypatch.setattr(executor, "apply", apply)
    return router


def test_the_third_look_takes_the_port_and_an_answer_gives_it_back(look, capsys):
    assert look() == look() == () and look.done == []
    assert look() == () and look.done == [DOWN], "and nothing else of the plan"
    assert "the peer of gretap1 has answered nothing for 3 looks" in capsys.readouterr().err
    assert look() == () and look.done == [DOWN] and capsys.readouterr().err == ""
    look.peer = PEER._replace(received=501)
    assert look() == () and look.done == [DOWN, UP] and peer_answers.taken() == ()
    assert "the peer of gretap1 answers again" in capsys.readouterr().err


def test_an_echo_is_an_answer_and_a_peer_that_is_gone_is_none(look, monkeypatch):
    look.echoes = {"gretap1"}
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "bring", lambda *_, **__: 1 / 0)
        assert look() == (), "no plan"
    assert [look() for _ in range(4)] == [()] * 4 and look.done == []
    look.echoes, look.peer = set(), None
    assert [look() for _ in range(3)] == [()] * 3 and look.done == [DOWN]


def test_what_was_taken_down_on_purpose_is_not_asked_for(look):
    taken_down.add(("wg0",))
    del look.links["gretap1"]
    assert [look() for _ in range(4)] == [()] * 4 and look.done == [] and peer_answers.read() == {}
    taken_down.clear()
    taken_down.add((taken_down.ALL,))
    assert [look() for _ in range(4)] == [()] * 4 and look.done == []


def test_nothing_is_done_while_a_change_waits_for_its_confirmation(look, monkeypatch):
    monkeypatch.setattr(last_applied, "pending", lambda: True)
    assert [look() for _ in range(4)] == [()] * 4 and look.done == []


def test_where_nothing_can_be_kept_the_ports_stay_as_they_are(look, monkeypatch):
    os.mkdir(peer_answers.TAKEN)
    look(), look()
    problems = look()
    assert look.done == [] and problems and peer_answers.TAKEN in str(problems[0])


def test_where_nobody_wants_it_nobody_is_asked(look, etc, monkeypatch):
    monkeypatch.setattr(snapshot, "peers", lambda tunnels: 1 / 0)
    (etc / "gretap1.conf").unlink()
    assert look() == ()


def test_the_script_calls_at_every_look(look):
    assert "answers" in look_record.words((TUNNEL,), {}) and "answers" not in look_record.words((TUNNEL._replace(peer_down="nothing"),), {})


def test_whoever_cannot_write_it_down_does_the_rest(monkeypatch):
    done = []
    monkeypatch.setattr(executor, "apply", lambda steps: done.extend(map(str, steps)) or ())

    def full(path, text, mode):
        raise L2wgError(Problem("no space"))

    monkeypatch.setattr(files, "write", full)
    steps = (Step(("ip", "link", "set", "dev", "enp3s0", "down"), "", "port enp3s0"), Step(("true",), "", "gretap1"))
    (problem,) = reconcile.execute(Plan(steps, taken=("enp3s0",)), {})
    assert done == ["true"] and problem.message == "no space"
