"""What apply intends, and in which order it goes; the kernel is played by a dict of links, ifup by a list."""

import contextlib
import stat
import time
import types

import pytest
from l2wg_hooks import cli, model
from l2wg_hooks.apply import apply, preview, rollback, saved_state, transaction, verify, watch_timer
from l2wg_hooks.check import watch
from l2wg_hooks.commands import dialogue, registry
from l2wg_hooks.commands import rollback as cli_rollback
from l2wg_hooks.config import ifupdown_files, last_applied, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.managers import bridge_makers, ifupdown_state
from l2wg_hooks.model import Addresses, Link, Observed, Peer, Step, Tunnel, Wait
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import link_table, snapshot, sysctls, wg_interfaces
from l2wg_hooks.pairing import pair
from l2wg_hooks.plan.restore import Snapshot
from l2wg_hooks.reconcile import executor, reconcile, ruleset
from l2wg_hooks.rehearsal import rehearse
from l2wg_hooks.system import lock, network_namespace, process, terminal, units

CONF = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\n"
MAIN = "source interfaces.d/*\nauto lo\niface lo inet loopback\niface enp2s0 inet static\n    address 192.168.178.1/24\n"
LINKS = [Link("wg0", 5, "wireguard"), Link("enp2s0", 2, addresses=("192.168.178.1/24",)), Link("enp3s0", 3)]


class Router:
    def __init__(self, root):
        self.root, self.etc, self.lib = root, root / "etc", root / "var/lib/l2wg"
        self.links, self.done = {link.name: link for link in LINKS}, []
        self.held, self.worse = {}, ()
        self.rehearsed, self.refused = [], ()
        self.main, self.ours, self.conf = (self.etc / name for name in ("network/interfaces", "network/interfaces.d/l2wg", "l2wg/gretap1.conf"))

    def rehearse(self, texts, wished, both, gone=()):
        self.rehearsed.append((texts, wished, both))
        self.gone = set(gone)
        return self.refused

    def picture(self, names):
        return Snapshot(dict(self.links), dict(self.held)), "[]", {}

    def run(self, argv, stdin="", environment=()):
        if argv[0] in ("iptables-save", "ip6tables-save", "nft") or argv[2:] == ("rule", "show"):
            return process.Result(0, "", "")
        self.done.append(" ".join(argv))
        self.done += stdin.splitlines()
        if argv[0] == "ifup":
            self.links["br0"] = Link("br0", 6, "bridge")
        return process.Result(0, "", "")


@pytest.fixture
def router(root, monkeypatch):
    here = Router(root)
    for folder in ("network/interfaces.d", "l2wg", "wireguard"):
        (here.etc / folder).mkdir(parents=True)
    here.main.write_text(MAIN)
    here.conf.write_text(CONF)
    monkeypatch.setattr(link_table, "read", lambda: dict(here.links))
    monkeypatch.setattr(process, "run", here.run)
    monkeypatch.setattr(snapshot, "look", lambda tunnels, links: Observed())
    monkeypatch.setattr(ruleset, "store", lambda entries: None)
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None, **_: here.done.append("the plan") or ())
    monkeypatch.setattr(saved_state, "picture", here.picture)
    monkeypatch.setattr(verify, "look", lambda tunnels, links, new=(), silent=(): verify.Health((), (), (), (), ()))
    monkeypatch.setattr(verify, "compare", lambda before, tunnels: here.worse)
    monkeypatch.setattr(verify, "logins", lambda: [])
    monkeypatch.setattr(rehearse, "of_change", here.rehearse)
    return here


def test_a_change_of_files_is_rehearsed_before_it_is_made_and_nothing_else_is(router):
    router.refused = (Problem("the next boot loses it"),)
    before = {path: path.read_bytes() for path in router.root.rglob("*") if path.is_file()}
    with pytest.raises(L2wgError, match="the next boot loses it"):
        apply.apply()
    assert router.done == [] and not last_applied.pending()
    assert {path: path.read_bytes() for path in router.root.rglob("*") if path.is_file() and path.name != "l2wg.files"} == before
    [(texts, wished, both)] = router.rehearsed
    assert "bridge_ports enp3s0" in texts[str(router.ours)] and wished == {"gretap1": CONF}
    assert not both, "nothing of the admin's changes"
    assert apply.apply(rehearsed=False) == (), "with --no-rehearsal"
    router.refused = ()
    # The kernel alone is not as it was wished for.
    router.links["br0"] = Link("br0", 6, "bridge")
    assert apply.apply() == ()
    assert len(router.rehearsed) == 1
    router.conf.write_text(CONF + "mtu = 1400\n")
    assert apply.apply() == ()
    assert len(router.rehearsed) == 2, "the wish is a file, too"


def test_the_watch_runs_as_long_as_there_are_tunnels_unless_it_is_disabled(router, monkeypatch):
    monkeypatch.setattr(network_namespace, "is_first", lambda: True)
    (router.root / "run/systemd/system").mkdir(parents=True)
    assert apply.apply() == () and not [line for line in router.done if "watch" in line], "disabled"
    enabled = router.etc / "systemd/system/timers.target.wants/l2wg-watch.timer"
    enabled.parent.mkdir(parents=True)
    enabled.symlink_to("/nowhere")
    assert apply.apply() == () and router.done[-1] == "systemctl --no-block start l2wg-watch.timer"
    router.conf.write_text(CONF + "mtu = 1400\n")
    del router.done[:]
    assert apply.apply() == () and "systemctl --no-block start l2wg-watch.timer" in router.done
    router.conf.unlink()
    assert apply.apply() == () and "systemctl --no-block stop l2wg-watch.timer" in router.done


def test_a_watch_whose_timer_starts_nothing_is_told_of(router, capsys):
    (router.root / "run/systemd/system").mkdir(parents=True)
    timers = router.etc / "systemd/system/timers.target.wants"
    timers.mkdir(parents=True)
    service = timers.parent / "l2wg-watch.service"
    service.symlink_to(units.NOTHING)
    assert list(watch_timer.problems()) == [], "there is no watch"
    (timers / "l2wg-watch.timer").symlink_to("/nowhere")
    (problem,) = watch_timer.problems()
    assert problem.hint.startswith("systemctl unmask l2wg-watch.service;") and problem.id == "watch-masked"
    assert apply.apply() == () and "l2wg-watch.service is masked" in capsys.readouterr().err
    scene = types.SimpleNamespace(tunnels=(1,))
    assert list(watch._watch(scene)) == [problem] and list(watch._watch(types.SimpleNamespace(tunnels=()))) == []
    timer = timers.parent / "l2wg-watch.timer"
    timer.symlink_to(units.NOTHING)
    assert list(watch_timer.problems()) == [], "nobody wants a watch"
    timer.unlink()
    service.unlink()
    assert list(watch_timer.problems()) == []


def test_no_bridge_is_defined_where_another_manager_has_the_network(router, monkeypatch):
    monkeypatch.setattr(bridge_makers, "other", lambda: ("netplan", bridge_makers.by_netplan))
    with pytest.raises(L2wgError, match="this router's network is netplan's"):
        apply.apply()
    assert router.done == [] and not router.ours.exists()
    router.conf.write_text(CONF.replace("bridge-ports = enp3s0\n", ""))
    assert apply.apply() == ()


def test_what_comes_behind_ifup_is_shown_too(router):
    intent = preview.intend()
    steps = [str(step) for step in intent.all_steps()]
    assert intent.meant == ("enp3s0 here joins the LAN of the site of 192.168.92.1, by gretap1",)
    at = steps.index("ifup --force br0")
    assert "ip link set dev gretap1 master br0" in steps[at:] and "ip link set dev gretap1 up" in steps[at:]
    assert not [step for step in steps if "master br0" in step and "enp3s0" in step], "ifup itself does that"
    assert Wait("gretap1", "bridge", "br0") in intent.todo.waiting and Wait("gretap1", "bridge", "br0") not in intent.waiting()
    # Where the bridge is there, the plan says all.
    router.ours.write_text(intent.texts[str(router.ours)][1])
    router.links["br0"] = Link("br0", 6, "bridge", up=True)
    there = preview.intend()
    assert there.ifup == () and there.all_steps() == there.todo.steps


def test_a_bridge_of_ours_gets_another_name(router):
    apply.apply()
    router.links["enp3s0"] = Link("enp3s0", 3, master="br0", up=True)
    router.conf.write_text(CONF.replace("br0", "br7"))
    intent = preview.intend()
    assert intent.problems == ()
    steps = [str(step) for step in intent.all_steps()]
    assert steps[:2] == ["ip link set dev enp3s0 nomaster", "ifup --force br7"]
    assert "ip link set dev gretap1 master br7" in steps and "iface br7" in intent.texts[str(router.ours)][1]
    # Somebody else's bridge keeps its port.
    router.ours.write_text("")
    assert "enp3s0 is a port of br0" in str(preview.intend().problems[0])


def test_an_address_that_is_wished_for_no_more_is_told_of_and_stays(router, capsys):
    router.conf.write_text(CONF + "bridge-address = 192.168.93.7/24\n")
    apply.apply()
    router.links["br0"] = Link("br0", 6, "bridge", up=True, addresses=("192.168.93.7/24", "10.0.0.1/8"))
    router.conf.write_text(CONF + "bridge-address = 192.168.94.7/24\n")
    capsys.readouterr()
    router.done.clear()
    apply.apply()
    assert "ip address del 192.168.93.7/24 dev br0" in capsys.readouterr().err
    assert not [line for line in router.done if "address del" in line], "somebody may be logged in by it"
    router.conf.write_text(CONF + "bridge-address = 192.168.94.7/24\nmtu = 1400\n")
    apply.apply()
    assert "address del" not in capsys.readouterr().err


def test_what_a_tunnel_is_for_is_said_until_it_is_there(router):
    router.conf.write_text(CONF.replace("bridge-ports = enp3s0", "site = site-b"))
    router.links["br0"] = Link("br0", 6, "bridge", up=True)
    router.links["enp3s0"] = Link("enp3s0", 3, master="br0")
    assert preview.intend().meant == ("the LAN of br0 here, with enp3s0, is extended to site-b, by gretap1",)
    router.links["gretap1"] = Link("gretap1", 7, "gretap", master="br0", alias="l2wg")
    assert preview.intend().meant == ()


def at_a_terminal(monkeypatch, answer):
    monkeypatch.setattr(terminal, "attended", lambda: True)
    monkeypatch.setattr(terminal, "yes", lambda question: answer)


def test_a_rollback_says_what_it_takes_back_before_it_asks(router, monkeypatch, capsys):
    apply.apply()
    capsys.readouterr()
    at_a_terminal(monkeypatch, False)
    assert cli_rollback.run(registry.parser().parse(["rollback"])) == ((), 1)
    said = capsys.readouterr().out
    assert "-iface br0 inet manual" in said and "ip link delete dev br0" in said and str(nftables.STATIC) not in said
    assert router.ours.exists(), "it was not agreed to"
    at_a_terminal(monkeypatch, True)
    assert cli_rollback.run(registry.parser().parse(["rollback"])) == ((), 0)
    assert not router.ours.exists()
    with pytest.raises(L2wgError, match="there is nothing to undo"):
        cli_rollback.run(registry.parser().parse(["rollback"]))


def test_what_was_undone_unasked_is_told_until_the_next_change(router):
    apply.apply()
    assert rollback.unasked() is None
    rollback.rollback("asked for")
    assert rollback.unasked() is None, "who has asked knows it"
    router.links.pop("br0", None)
    router.conf.write_text(CONF)
    apply.apply()
    rollback.rollback("it was not confirmed", alarm=True)
    when, reason = rollback.unasked()
    assert reason == "it was not confirmed" and when > 1e9
    router.conf.write_text(CONF)
    apply.apply()
    assert rollback.unasked() is None


@pytest.mark.parametrize("ended, code", [(terminal.KEPT, 0), (terminal.OVER, 1), (terminal.LEFT, 0), (terminal.DECIDED, 0)])
def test_who_sits_there_decides_what_waits(monkeypatch, ended, code):
    confirmed = []
    at_a_terminal(monkeypatch, True)
    monkeypatch.setattr(transaction, "waits", lambda: True)
    monkeypatch.setattr(transaction, "confirm", lambda: confirmed.append(1))
    monkeypatch.setattr(lock, "changing", contextlib.nullcontext)
    monkeypatch.setattr(terminal, "count_down", lambda end, waits: ended)
    assert dialogue.confirmed(60) == code and bool(confirmed) == (ended == terminal.KEPT)
    assert dialogue.confirmed(0) == 0, "without --confirm nothing waits"


def test_what_moves_is_rehearsed_as_it_was_too(router):
    router.conf.write_text(CONF.replace("enp3s0", "enp2s0"))
    router.held["enp2s0"] = Addresses((("192.168.178.1/24",),))
    assert apply.apply(agree=lambda moves: True) == ()
    [(texts, _, both)] = router.rehearsed
    assert both and "#l2wg#" in texts[str(router.main)]


def test_the_bridge_is_defined_brought_up_and_then_the_plan(router):
    assert apply.apply() == ()
    assert "bridge_ports enp3s0" in router.ours.read_text()
    assert router.done == ["ifup --force br0", "the plan"]
    before = router.ours.stat().st_ino
    assert apply.apply() == ()
    assert router.ours.stat().st_ino == before, "a second time nothing is written"
    assert router.done[2:] == ["the plan"]
    assert not last_applied.pending()


def test_a_bridge_that_is_to_have_an_address_speaks_again_before_it_gets_one(router, monkeypatch):
    apply.apply()
    now = {"ipv4/conf/%s/arp_ignore": "1", "ipv4/conf/%s/rp_filter": "1", "ipv6/conf/%s/accept_ra": "0", "ipv6/conf/%s/disable_ipv6": "1"}
    monkeypatch.setattr(sysctls, "of_bridge", lambda name: dict(now) if name != "default" else dict.fromkeys(now, "0"))
    router.conf.write_text(CONF + "bridge-address = fd00:92::2/64\n")
    del router.done[:]
    assert apply.apply() == ()
    assert router.done == [
        "sysctl -qw net/ipv4/conf/br0/rp_filter=0 net/ipv6/conf/br0/disable_ipv6=0", "ip -batch -", "address add fd00:92::2/64 dev br0", "the plan",
    ]  # fmt: skip
    # Ours no more: all of it is as a new interface has it.
    router.main.write_text(MAIN + "iface br0 inet manual\n    bridge_ports enp3s0\n")
    del router.done[:]
    now["ipv4/conf/%s/arp_announce"] = "2"
    assert apply.apply() == ()
    assert router.done == ["sysctl -qw net/ipv4/conf/br0/arp_ignore=0 net/ipv4/conf/br0/arp_announce=0", "the plan"]


def test_a_bridge_of_the_admins_is_used_as_it_is(router):
    router.main.write_text(MAIN + "iface br0 inet manual\n    bridge_ports enp3s0\n")
    assert apply.apply() == ()
    assert not router.ours.exists()
    assert router.done == ["the plan"]


@pytest.mark.parametrize(
    "links, main, complaint",
    [
        ([Link("enp3s0", 3, addresses=("10.0.0.1/8",))], "", "enp3s0 carries the address 10.0.0.1/8, and"),
        ([], "iface enp3s0 inet dhcp\n", "enp3s0 carries the address dhcp (%s:6), and"),
        ([], "iface enp3s0 inet static\n  address 10.0.0.1\n", "enp3s0 carries the address 10.0.0.1 (%s:6), and"),
        ([Link("enp3s0", 3, master="br9")], "", "enp3s0 is a port of br9"),
        ([Link("br0", 9, "bond")], "", "br0 is an interface of kind bond, not a bridge"),
        ([Link("gretap1", 9, "dummy")], "", "gretap1 is taken by"),
    ],
)
def test_what_must_not_be_done_changes_nothing(router, links, main, complaint):
    router.links.update({link.name: link for link in links})
    router.main.write_text(MAIN + main)
    with pytest.raises(L2wgError) as error:
        apply.apply()
    assert (complaint % router.main if "%s" in complaint else complaint) in str(error.value)
    assert "bridge" in str(error.value) or "gretap1" in str(error.value)
    assert len(error.value.problems) == 1
    assert (router.done, router.ours.exists()) == ([], False)


def test_a_mistake_in_one_file_changes_nothing(router):
    (router.etc / "l2wg/gretap2.conf").write_text("nonsense\n")
    with pytest.raises(L2wgError):
        apply.apply()
    assert (router.done, router.ours.exists()) == ([], False)


def test_a_file_that_nothing_sources_is_told_of(router):
    router.main.write_text(MAIN.replace("source", "# source"))
    (problem,) = apply.apply()
    assert "br0 is gone after a reboot" in str(problem) and "source /etc/network/interfaces.d/*" in str(problem)
    assert router.done == ["ifup --force --interfaces %s br0" % router.ours, "the plan"]


def test_a_folder_that_is_not_there_yet_is_reached_all_the_same(router):
    router.ours.parent.rmdir()
    assert apply.apply() == ()
    assert router.ours.exists()


def test_ports_that_are_named_no_more_are_let_go(router):
    apply.apply()
    router.links["enp3s0"] = Link("enp3s0", 3, master="br0")
    router.links["enp4s0"] = Link("enp4s0", 4)
    router.conf.write_text(CONF.replace("enp3s0", "enp4s0"))
    assert [str(step) for step in preview.intend().steps] == ["ip link set dev enp3s0 nomaster"]
    assert apply.apply() == ()
    assert "enp3s0" not in router.ours.read_text()


def test_a_bridge_that_is_up_gets_the_address_that_is_wished_for(router):
    router.links["br0"] = Link("br0", 6, "bridge")
    router.conf.write_text(CONF + "bridge-address = 192.168.92.9/24\n")
    apply.apply()
    assert router.done == ["ip -batch -", "address add 192.168.92.9/24 dev br0", "the plan"]
    router.links["br0"] = Link("br0", 6, "bridge", addresses=("192.168.92.9/24",))
    router.done.clear()
    apply.apply()
    assert router.done == ["the plan"]


def test_without_a_tunnel_our_file_goes(router):
    apply.apply()
    router.conf.unlink()
    assert apply.apply() == ()
    assert not router.ours.exists()


def test_what_is_worse_afterwards_is_undone(router):
    router.worse = (Problem("the default route: there is no longer a way to 10.0.0.1"),)
    with pytest.raises(L2wgError, match="nothing was changed"):
        apply.apply()
    assert not router.ours.exists() and not last_applied.pending()
    assert not router.conf.exists(), "no event may try again what did harm"
    assert (router.etc / "l2wg/gretap1.conf.rejected").read_text() == CONF
    assert router.done[-2:] == ["ifdown --force --interfaces %s br0" % ifupdown_state.BOOKS, "the plan"]


@pytest.mark.parametrize("missed", ["", apply.READY, apply.GO, apply.DONE])
def test_who_changes_at_the_same_moment_is_met_three_times(router, monkeypatch, missed):
    """Before anything is changed, before the first step, and when all is as good as before; who is missed has it undone."""
    new, met, pending = {"gretap1": CONF + "mtu = 1400\n"}, [], []
    apply.apply()
    more = preview.ExtraChanges(new, {}, (), "wg0", ())
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None, **_: (meet() if meet else None, router.done.append("the plan")) and ())
    monkeypatch.setattr(verify, "compare", lambda before, tunnels: met.append("looked at") or ())
    del router.done[:]

    def meet(point):
        met.append(point)
        pending.append((last_applied.pending(), router.conf.read_text() == new["gretap1"], "the plan" in router.done))
        if point == missed:
            raise L2wgError(Problem("nobody came"))

    if missed:
        with pytest.raises(L2wgError, match="nobody came" if missed == apply.READY else apply.UNCHANGED):
            apply.apply(more=more, rehearsed=False, meet=meet)
        assert met[-1] == missed and router.conf.read_text() == CONF
    else:
        apply.apply(more=more, rehearsed=False, meet=meet)
        assert met == [apply.READY, apply.GO, "looked at", apply.DONE]
        assert pending == [(False, False, False), (True, True, False), (True, True, True)]
        assert router.conf.read_text() == new["gretap1"]
    assert not last_applied.pending()


def test_what_a_step_could_not_do_may_be_tried_again(router, monkeypatch):
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None, **_: () if only == [] else (Problem("a step failed"),))
    with pytest.raises(L2wgError, match="nothing was changed"):
        apply.apply()
    assert router.conf.exists() and not router.ours.exists() and not last_applied.pending()


def test_a_port_gives_its_address_only_to_who_agrees(router, capsys):
    static = "iface enp3s0 inet static\n    address 10.0.0.1/8\n"
    router.main.write_text(MAIN + static)
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    router.held["enp3s0"] = Addresses((("10.0.0.1/8",),))
    with pytest.raises(L2wgError, match="l2wg apply --yes"):
        apply.apply()
    assert (router.done, router.main.read_text()) == ([], MAIN + static)
    assert cli.main(["plan"]) == 1
    said = capsys.readouterr().out
    assert "+#l2wg# iface enp3s0 inet static" in said and "ip link set dev enp3s0 master br0" in said
    assert apply.apply(agree=lambda moves: [str(move) for move in moves] == ["10.0.0.1/8 moves from enp3s0 to br0"]) == ()
    assert "#l2wg# iface enp3s0" in router.main.read_text()
    assert "    address 10.0.0.1/8\n    bridge_ports enp3s0\n" in router.ours.read_text()
    assert "bridge_hw 02:00:00:00:00:03" in router.ours.read_text()
    assert router.done[0] == "ip -batch -" and router.done[-2:] == ["ifup --force --interfaces %s br0" % ifupdown_state.BOOKS, "the plan"]


def test_a_bridge_that_would_cost_wireguard_its_next_start_is_refused(router, monkeypatch, capsys):
    (router.etc / "wireguard/wg0.conf").write_text("[Interface]\nAddress = 10.15.14.2/24\n[Peer]\nPublicKey = K=\nAllowedIPs = 192.168.92.0/24\n")
    router.conf.write_text(CONF + "bridge-address = 192.168.92.2/24\n")
    with pytest.raises(L2wgError, match="wg-quick adds a route to 192.168.92.0/24 by wg0, which br0 has"):
        apply.apply()
    assert not router.ours.exists() and cli.main(["plan"]) == 1
    assert "sed -i '5s|" in capsys.readouterr().err
    (router.etc / "wireguard/wg0.conf").write_text((router.etc / "wireguard/wg0.conf").read_text().replace("[Peer]", "Table = off\n[Peer]"))
    assert apply.apply() == () and router.ours.exists()


def test_what_is_told_is_told_before_anybody_agrees(router, capsys):
    router.main.write_text(MAIN + "iface enp3s0 inet static\n    address 10.0.0.1/8\n    up /usr/local/sbin/tune $IFACE\n")
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    said = []
    assert cli.main(["plan"]) == 1
    assert "`up /usr/local/sbin/tune $IFACE` goes to br0" in capsys.readouterr().err
    with pytest.raises(L2wgError):
        apply.apply(agree=lambda moves: said.append(capsys.readouterr().err) or False)
    assert "`up /usr/local/sbin/tune $IFACE` goes to br0" in said[0] and router.done == []


def test_sysctls_of_the_bridge_are_as_they_were_after_a_rollback(router, monkeypatch):
    router.main.write_text(MAIN + "iface enp3s0 inet static\n    address 10.0.0.1/8\n")
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    router.links["br0"] = Link("br0", 9, "bridge", mac="02:00:00:00:00:03", up=True)
    monkeypatch.setattr(sysctls, "differing", lambda port: {("net/ipv4/conf", "rp_filter"): "2"})
    monkeypatch.setattr(sysctls, "now", lambda interface, keys: {("net/ipv4/conf", "rp_filter"): "1"})
    apply.apply(agree=lambda moves: True)
    assert "sysctl -qew net/ipv4/conf/br0/rp_filter=2" in router.done
    rollback.rollback("asked for")
    assert "sysctl -qew net/ipv4/conf/br0/rp_filter=1" in router.done


STATIC = "iface enp3s0 inet static\n    address 10.0.0.1/8\n"


@pytest.fixture
def moved(router):
    """A router whose port has given its address to a bridge, by a file of the admin's that did not read ours."""
    router.main.write_text("auto lo\n" + STATIC)
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    assert apply.apply(agree=lambda moves: True) == ()
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", master="br0", up=True)
    router.links["br0"] = Link("br0", 9, "bridge", mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    return router


def test_ifupdown2_is_told_nothing_or_it_would_take_the_address(router):
    (router.root / "usr/share/ifupdown2").mkdir(parents=True)
    router.main.write_text(MAIN + STATIC)
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    assert apply.apply(agree=lambda moves: True) == ()
    assert not any(line.startswith("ifup") for line in router.done) and router.done[-1] == "the plan"


def test_no_address_moves_where_a_firewall_would_not_know_the_bridge(router, monkeypatch, capsys):
    router.main.write_text(MAIN + STATIC)
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    fake = router.run
    rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i enp3s0 -j ACCEPT\nCOMMIT\n"
    monkeypatch.setattr(process, "run", lambda argv, *more: process.Result(0, rules, "") if argv[0] == "iptables-save" else fake(argv, *more))
    with pytest.raises(L2wgError, match="would drop it by br0"):
        apply.apply(agree=lambda moves: True)
    assert router.done == [] and router.main.read_text() == MAIN + STATIC
    assert cli.main(["plan"]) == 1
    assert "would drop it by br0" in capsys.readouterr().err


def test_an_address_that_moves_is_where_the_next_boot_finds_it(moved):
    assert ifupdown_files.read().reaches(str(moved.ours))
    text = moved.main.read_text()
    assert apply.apply() == () and moved.main.read_text() == text
    moved.main.write_text(text + "source interfaces.d/*\n")
    assert apply.apply() == ()
    assert moved.main.read_text().count("source") == 1, "read twice, ifup would give the address twice, and fail"
    moved.conf.write_text(CONF.replace("enp3s0", "enp4s0"))
    apply.apply()
    assert moved.main.read_text() == "auto lo\n" + STATIC + "source interfaces.d/*\n"


def test_the_line_that_we_added_goes_with_what_it_was_for(moved):
    moved.conf.write_text(CONF.replace("enp3s0", "enp4s0"))
    apply.apply()
    assert moved.main.read_text() == "auto lo\n" + STATIC


def test_an_admin_who_defines_the_bridge_herself_gets_no_second_address(moved):
    moved.main.write_text(moved.main.read_text() + STATIC.replace("enp3s0", "br0") + "    bridge_ports enp3s0\n")
    assert apply.apply() == ()
    assert not moved.ours.exists() and "\niface enp3s0" not in moved.main.read_text()


# What is set aside, and what becomes of the comments


def again(router):
    """Another apply, which may not lose the address: neither of the bridge, nor of the port once it leaves the bridge."""
    ours = router.ours.read_text()
    assert apply.apply() == ()
    assert router.ours.read_text() == ours and "    address 10.0.0.1/8\n" in ours
    return router.main.read_text()


def leaves(router):
    router.conf.write_text(CONF.replace("enp3s0", "enp4s0"))
    assert "ip address add 10.0.0.1/8 dev enp3s0" in [str(step) for step in preview.intend().steps], "live, too"
    apply.apply()
    assert "10.0.0.1" not in router.ours.read_text()
    return router.main.read_text()


def copy_of(router):
    return router.lib / "aside/enp3s0"


@pytest.fixture
def aside(moved):
    moved.held["br0"] = Addresses((("10.0.0.1/8",),))
    moved.links["enp4s0"] = Link("enp4s0", 4)
    moved.main.write_text(moved.main.read_text() + "# the end\n")
    assert copy_of(moved).read_text() == STATIC and "told" not in str(preview.intend().told)
    assert preview.intend().told == ()
    return moved


def tidy(text):
    """As a tool does that keeps no comments: Proxmox."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("#"))


def test_a_file_that_is_rewritten_without_comments_costs_nobody_the_address(aside, capsys):
    aside.main.write_text(tidy(aside.main.read_text()))
    assert again(aside) == tidy(aside.main.read_text())
    assert "nothing is lost" in capsys.readouterr().err
    (told,) = preview.intend().told
    assert (told.id, told.path) == ("aside-lost", str(aside.main)) and str(copy_of(aside)) in told.hint
    assert leaves(aside).endswith("auto lo\n" + STATIC)
    assert not copy_of(aside).exists()


@pytest.mark.parametrize("gone", ["address", "iface"])
def test_of_comments_that_are_not_all_there_the_copy_counts(aside, gone):
    text = "".join(line for line in aside.main.read_text().splitlines(True) if not (line.startswith("#l2wg# ") and gone in line))
    aside.main.write_text(text)
    at = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("#l2wg# ")]
    assert again(aside) == text and preview.intend().told[0].hint.startswith("sed -i '%dd' " % at[0])
    text = leaves(aside)
    assert text == "auto lo\n# the end\n" + STATIC


def test_a_value_that_is_changed_in_the_comments_is_followed(aside):
    aside.main.write_text(aside.main.read_text().replace("10.0.0.1/8", "10.0.0.2/8"))
    assert apply.apply() == () and preview.intend().told == ()
    assert "address 10.0.0.2/8" in aside.ours.read_text() and "10.0.0.2/8" in copy_of(aside).read_text()


def test_comments_that_were_moved_to_another_file_are_found_there(aside):
    lines = aside.main.read_text().splitlines(True)
    (aside.etc / "network/lan").write_text("".join(line for line in lines if line.startswith("#l2wg# ")))
    text = "".join(line for line in lines if not line.startswith("#l2wg# ")) + "source lan\n"
    aside.main.write_text(text)
    assert again(aside) == text and preview.intend().told == ()
    leaves(aside)
    assert (aside.etc / "network/lan").read_text() == STATIC and STATIC not in aside.main.read_text()


def test_our_file_alone_is_lost(aside):
    """And the comments, too: the copy has it all."""
    ours = aside.ours.read_text()
    for text in (aside.main.read_text(), tidy(aside.main.read_text())):
        aside.main.write_text(text)
        aside.ours.unlink()
        assert apply.apply() == ()
        assert aside.ours.read_text() == ours


def test_without_the_copy_the_comments_count_as_ever(aside):
    copy_of(aside).unlink()
    text = aside.main.read_text()
    assert again(aside) == text and copy_of(aside).read_text() == STATIC, "it is made anew"
    copy_of(aside).unlink()
    assert "auto lo\n" + STATIC + "# the end\n" == leaves(aside)


@pytest.mark.parametrize("gone", ["#", "#l2wg#     address"])
def test_without_copy_and_comments_our_own_file_has_it(aside, gone):
    """An upgrade from a version that made no copies, and a tidy admin; or somebody who has emptied /var/lib."""
    copy_of(aside).unlink()
    aside.main.write_text("".join(line for line in aside.main.read_text().splitlines(True) if not line.startswith(gone)))
    assert preview.intend().told[0].hint.startswith("l2wg apply")
    again(aside)
    assert copy_of(aside).read_text() == STATIC
    copy_of(aside).unlink()
    assert STATIC in leaves(aside)
    assert ifupdown_files.read().aside == ()


def test_what_our_own_file_has_goes_back_word_for_word(aside):
    more = "    gateway 10.0.0.254\n    up ip route add 10.9.0.0/16 dev enp3s0\n    up ethtool -K enp3s0 gro off\n    mtu 1400\n"
    aside.main.write_text(aside.main.read_text().replace("#l2wg#     address", "".join("#l2wg# %s\n" % line for line in more.splitlines()) + "#l2wg#     address"))
    copy_of(aside).unlink()
    apply.apply()
    ours = aside.ours.read_text()
    copy_of(aside).unlink()
    aside.main.write_text(tidy(aside.main.read_text()))
    apply.apply()
    assert sorted(aside.ours.read_text().splitlines()) == sorted(ours.splitlines())
    text = leaves(aside)
    assert "iface enp3s0 inet static\n" in text
    assert all(line + "\n" in text for line in more.splitlines()), text


def test_a_stanza_that_the_admin_writes_again_replaces_what_is_aside(aside):
    """Both would give the address twice."""
    mine = "iface enp3s0 inet static\n    address 10.0.0.7/8\n"
    aside.main.write_text(aside.main.read_text() + mine)
    aside.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", master="br0", addresses=("10.0.0.7/8",), up=True)
    with pytest.raises(L2wgError, match="l2wg apply --yes"):
        apply.apply()
    assert apply.apply(agree=lambda moves: True) == ()
    assert aside.ours.read_text().count("address") - aside.ours.read_text().count("address 02:") == 1
    assert "address 10.0.0.7/8" in aside.ours.read_text()
    assert "10.0.0.1" not in aside.main.read_text() and copy_of(aside).read_text() == mine
    aside.conf.write_text(CONF.replace("enp3s0", "enp4s0"))
    apply.apply()
    assert aside.main.read_text() == "auto lo\n# the end\n" + mine


def test_a_stanza_that_the_admin_writes_again_is_not_doubled_when_the_port_leaves(aside):
    aside.main.write_text(aside.main.read_text() + STATIC)
    aside.conf.write_text(CONF.replace("enp3s0", "enp4s0"))
    apply.apply()
    assert aside.main.read_text() == "auto lo\n# the end\n" + STATIC and not copy_of(aside).exists()


def test_the_cure_puts_the_comments_back(aside):
    """tests/shell runs it."""
    aside.main.write_text(tidy(aside.main.read_text()))
    assert preview.intend().told[0].hint == "{ echo; sed 's/^/#l2wg# /' %s; } >>%s # puts the comments back" % (copy_of(aside), aside.main)


def test_a_rollback_has_its_own_copy(aside):
    before = "auto lo\n" + STATIC
    aside.main.write_text(tidy(aside.main.read_text()))
    rollback.rollback("asked for")
    assert STATIC in aside.main.read_text() and not copy_of(aside).exists() and not aside.ours.exists()
    assert "source" not in aside.main.read_text() and aside.main.read_text().startswith(before)


def test_the_copy_is_made_at_an_upgrade(aside):
    copy_of(aside).unlink()
    text = aside.main.read_text()
    assert cli.main(["apply", "--copy"]) == 0
    assert copy_of(aside).read_text() == STATIC and aside.main.read_text() == text


def test_nobody_is_cut_off_who_is_logged_in_by_the_ports_own_address(router, monkeypatch):
    router.main.write_text(MAIN + "iface enp3s0 inet static\n    address 10.0.0.1/8\n")
    monkeypatch.setattr(verify, "logins", lambda: [("fe80::7", "enp3s0")])
    with pytest.raises(L2wgError, match="fe80::7 by the link-local address of enp3s0.*\n.*10.0.0.1"):
        apply.apply(agree=lambda moves: True)
    assert router.done == []


def test_plan_says_so_and_does_nothing(router, capsys):
    assert cli.main(["plan"]) == 2
    said = capsys.readouterr().out
    assert "+    bridge_ports enp3s0" in said and "ip link add name gretap1" in said and "# it is not there" in said
    assert (router.done, router.ours.exists()) == ([], False)
    router.conf.write_text("nonsense\n")
    assert cli.main(["plan"]) == 1
    router.conf.unlink()
    assert cli.main(["plan"]) == 0
    assert "there is no tunnel in /etc/l2wg" in capsys.readouterr().err


# With more in it: `l2wg pair`


@pytest.fixture
def more(router, monkeypatch):
    conf = router.etc / "wireguard/wg0.conf"
    conf.write_text("PrivateKey = secret\n")
    conf.chmod(0o600)
    step = Step(("wg", "set", "wg0", "peer", "K="), "it is told", "wg0")
    other = CONF.replace("178.1", "178.5")
    texts = {str(conf): (conf.read_text(), "PrivateKey = secret\n[Peer]\n")}
    return preview.ExtraChanges({"gretap2": other}, texts, (step,), "wg0", (wg_interfaces.unknown("K="),), (("10.0.0.9", "dev", "wg0"),))


def test_a_peer_comes_with_the_rest(router, more):
    apply.apply()
    assert apply.apply(more=more) == ()
    assert (router.etc / "wireguard/wg0.conf").read_text().endswith("[Peer]\n") and (router.etc / "l2wg/gretap2.conf").read_text() == more.wish["gretap2"]
    assert "wg set wg0 peer K=" in router.done
    assert last_applied.read() == store.texts()
    for path in router.lib.iterdir():
        assert "secret" not in path.read_text(), path


@pytest.mark.parametrize("where", ["its step", "the bridge", "health", "by hand", "killed"])
def test_a_peer_goes_with_the_rest(router, more, monkeypatch, where):
    apply.apply()
    before = {path: path.read_bytes() for path in router.etc.glob("*/*.conf*")}
    gone = []
    monkeypatch.setattr(wg_interfaces, "put_back", lambda name, peer: gone.append((name, peer._replace(allowed=tuple(peer.allowed)))) or ())
    real = executor.apply
    saved = []
    store = saved_state.store
    monkeypatch.setattr(saved_state, "store", lambda path, content: saved.append(str(content)) or store(path, content))
    if where == "its step":
        monkeypatch.setattr(executor, "apply", lambda steps: (Problem("no"),) if steps == more.steps else real(steps))
    if where == "the bridge":
        monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None, **_: (Problem("no"),) if only is None else ())
    if where == "health":
        router.worse = (Problem("no"),)
    found = pair.Pairing(None, None, "gretap2", {}, more, ())
    if where == "killed":
        monkeypatch.setattr(apply, "_carry_more", lambda more: [apply._write(path, *texts) for path, texts in more.texts.items()] and 1 / 0)
        monkeypatch.setattr(apply, "_undo", lambda problem, keep: ())
        with pytest.raises(ZeroDivisionError):
            pair.carry_out(found, 0, None)
        (router.etc / "l2wg/gretap2.conf").write_text(more.wish["gretap2"])
        assert last_applied.pending()
        apply.apply()
        (router.etc / "l2wg/gretap2.conf.rejected").unlink()
    elif where == "by hand":
        pair.carry_out(found, 0, None)
        rollback.rollback("asked for")
        (router.etc / "l2wg/gretap2.conf.rejected").unlink()
    else:
        with pytest.raises(L2wgError) as error:
            pair.carry_out(found, 0, None)
        assert "nothing was changed" in str(error.value)
    assert {path: path.read_bytes() for path in router.etc.glob("*/*.conf*")} == before
    assert not list(router.etc.glob("*/*.rejected")) and not last_applied.pending()
    assert saved and "secret" not in str(saved)
    assert gone == [("wg0", wg_interfaces.unknown("K="))]
    assert router.done.count("ip route delete 10.0.0.9 dev wg0") == 1
    assert stat.S_IMODE((router.etc / "wireguard/wg0.conf").stat().st_mode) == 0o600


def test_what_somebody_changed_meanwhile_is_not_lost(router, more, capsys):
    (router.etc / "wireguard/wg0.conf").write_text("PrivateKey = another\n")
    with pytest.raises(L2wgError) as error:
        apply.apply(more=more)
    assert "nothing was changed" in str(error.value) and "somebody has changed it just now" in capsys.readouterr().err
    assert router.conf.exists(), "never applied, and not ours to set aside"
    assert (router.etc / "wireguard/wg0.conf").read_text() == "PrivateKey = another\n" and not (router.etc / "l2wg/gretap2.conf").exists()


def test_nobody_is_asked_for_an_echo_by_a_tunnel_that_is_new(monkeypatch, router):
    """It need not answer afterwards."""
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(verify, "_echoes", lambda ends: asked.extend(target for _, target in ends) or ends)
    monkeypatch.setattr(process, "run", lambda argv, *more: process.Result(0, "private\tpublic\t51820\toff\n" if argv[-1] == "dump" else "", ""))
    monkeypatch.setattr(verify, "_alive", lambda *words: set())
    monkeypatch.setattr(verify, "_gateways", lambda: [])
    monkeypatch.setattr(verify, "logins", lambda: [])
    tunnels = [Tunnel(name, "wg0", "10.0.0.1", remote, "br0") for name, remote in (("old", "10.0.0.2"), ("new", "10.0.0.3"))]
    assert verify.look(tunnels, {"wg0": LINKS[0]}, ["new"]).echoes == (("wg0", "10.0.0.2"),) and asked == ["10.0.0.2"]


def test_a_key_that_is_new_since_stays(router, more, capsys):
    """A rollback takes the peer out of the file as it is now; where it cannot tell which key is which, it says so and leaves it."""
    conf = router.etc / "wireguard/wg0.conf"
    apply.apply(more=more)
    conf.write_text("PrivateKey = new\n[Peer]\n")
    rollback.rollback("asked for")
    assert conf.read_text() == "PrivateKey = new\n"
    apply.apply(more=more._replace(texts={str(conf): ("PrivateKey = new\n", "PrivateKey = new\n[Peer]\n")}))
    conf.write_text("[Peer]\nPresharedKey = psk\n")
    rollback.rollback("asked for")
    assert conf.read_text() == "[Peer]\nPresharedKey = psk\n" and "has other keys than it had" in capsys.readouterr().err
    assert not any("psk" in path.read_text() for path in router.lib.rglob("*") if path.is_file())


def test_what_a_router_advertisement_gave_to_a_switch_may_go(monkeypatch):
    """And nothing else: a login by it is what it was."""
    links = {"br0": Link("br0", 6, "bridge", addresses=("192.168.92.7/24", "2001:db8::1/64"), autoconfigured=("2001:db8::1/64",))}
    gateways = [("fe80::1", verify.DEFAULT, "br0"), ("203.0.113.1", verify.DEFAULT, "")]
    monkeypatch.setattr(verify, "_gateways", lambda: list(gateways))
    monkeypatch.setattr(verify, "logins", lambda: [("fe80::7", "br0")])
    monkeypatch.setattr(verify, "_ways", lambda rows, links: [verify.Way(*row[:3], "x", row[0], True) for row in rows])
    assert verify.look((), links).addresses == ("192.168.92.7/24", "2001:db8::1/64") and verify.look((), links).gateways == ("fe80::1", "203.0.113.1")
    found = verify.look((), links, silent=["br0"])
    assert found.addresses == ("192.168.92.7/24",) and found.gateways == ("203.0.113.1",)
    assert sorted(way.target for way in found.ways) == ["203.0.113.1", "fe80::7"]


@pytest.fixture
def unpaired(router):
    """What unpairing would do, on a router that is as it was wished for."""
    apply.apply()
    router.links["gretap1"] = Link("gretap1", 9, "gretap", alias=model.ALIAS)
    conf = router.etc / "wireguard/wg0.conf"
    conf.write_text("[Peer]\nPublicKey = K=\n")
    conf.chmod(0o600)
    router.conf.chmod(0o640)
    last = (
        Step(("wg", "set", "wg0", "peer", "K=", "remove"), "no tunnel leads to it any longer", "wg0"),
        Step(("ip", "route", "delete", "192.168.92.1", "dev", "wg0"), "it led to that peer only", "wg0"),
    )
    texts = {str(router.conf): (CONF, ""), str(conf): (conf.read_text(), "")}
    texts[str(conf)] = (conf.read_text(), "[Interface]\n")
    known = wg_interfaces.Peer("K=", "203.0.113.20:4900", ("192.168.92.1/32",), 7, 0, 0, 25)
    return preview.ExtraChanges({"gretap1": None}, texts, (), "wg0", (known,), last=last, lost=(("192.168.92.1", "dev", "wg0"),))


def everything(router):
    paths = [path for path in router.etc.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in paths}


def test_a_site_goes_whole_and_comes_back_whole(router, unpaired, monkeypatch):
    back = []
    monkeypatch.setattr(wg_interfaces, "put_back", lambda name, peer: back.append((name, peer.key)) or ())
    before = everything(router)
    router.done.clear()
    assert apply.apply(more=unpaired) == ()
    assert not router.conf.exists() and not router.ours.exists() and (router.etc / "wireguard/wg0.conf").read_text() == "[Interface]\n"
    told = {"the route 192.168.92.1", "wg0's peer K=", "192.168.92.1/32 for a peer of wg0"}
    assert {str(fact) for fact in router.gone} == told, "the rehearsal does not miss what is to go"
    # The tunnel first: without its route it would be kept in by the guard alone.
    assert router.done[-4:] == ["the plan", "wg set wg0 peer K= remove", "ip -batch -", "route delete 192.168.92.1 dev wg0"]
    assert rollback.rollback("asked for") == ()
    assert everything(router) == before and back == [("wg0", "K=")]
    assert "ip route add 192.168.92.1 dev wg0" in router.done


@pytest.mark.parametrize("where", ["the plan", "the peer", "the route", "health", "edited"])
def test_a_site_that_cannot_go_whole_stays_whole(router, unpaired, monkeypatch, where):
    monkeypatch.setattr(wg_interfaces, "put_back", lambda name, peer: ())
    fake = router.run
    if where == "the plan":
        monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None, **_: (Problem("no"),) if only is None else ())
    if where == "the peer":
        monkeypatch.setattr(process, "run", lambda argv, *more: process.Result(1, "", "no") if argv[:2] == ("wg", "set") else fake(argv, *more))
    if where == "the route":
        monkeypatch.setattr(
            process, "run", lambda argv, stdin="", *more: process.Result(1, "", "Command failed -:1") if "route delete" in stdin else fake(argv, stdin, *more)
        )
    if where == "health":
        router.worse = (Problem("the login from 192.168.92.7: there is no longer a way to it"),)
    if where == "edited":
        router.conf.write_text(CONF + "mtu = 1400\n")
    before = everything(router)
    with pytest.raises(L2wgError) as error:
        apply.apply(more=unpaired)
    assert "nothing was changed" in str(error.value)
    assert everything(router) == before and not last_applied.pending()


@pytest.mark.parametrize("age, missed", [(0, True), (134, True), (136, False), (179, False)])
def test_a_session_that_nobody_renews_may_end_meanwhile(age, missed, monkeypatch):
    """That of a router that was switched off, say: it would have ended without the change."""
    monkeypatch.undo()
    peer = Peer("K=", "", ("10.0.0.2/32",), int(time.time()) - age, 0, 0, None)
    monkeypatch.setattr(wg_interfaces, "read", lambda name: wg_interfaces.Interface("", 0, (peer,)))
    for name in ("_targets", "_gateways"):
        monkeypatch.setattr(verify, name, lambda *words: [])
    tunnels = [Tunnel("gretap1", "wg0", "10.0.0.1", "10.0.0.2", "br0")]
    assert verify.look(tunnels, {"wg0": LINKS[0]}, ["gretap1"]).sessions == ((("wg0", "K="),) if missed else ())


def test_the_session_of_a_peer_that_goes_is_not_missed(router, unpaired, monkeypatch):
    health = verify.Health((), (), (), (("wg0", "K="), ("wg0", "L=")), ())
    seen_by = []
    monkeypatch.setattr(verify, "look", lambda *words: health)
    monkeypatch.setattr(verify, "compare", lambda before, tunnels: seen_by.append(before.sessions) or ())
    apply.apply(more=unpaired)
    assert seen_by == [(("wg0", "L="),)]


def test_a_typing_error_costs_no_line_of_what_was_right(router):
    """The bridge of a file that is broken now stays defined, in what `plan` shows and `check` compares."""
    assert apply.apply() == ()
    ours = router.ours.read_text()
    router.conf.write_text(CONF.replace("remote = ", "remote = x"))
    intent = preview.intend()
    assert intent.texts == {} and [tunnel.name for tunnel in intent.tunnels] == ["gretap1"] and len(intent.problems) == 1
    with pytest.raises(L2wgError):
        apply.apply()
    assert router.ours.read_text() == ours


def test_moves_for_which_only_the_agreement_is_missing_are_in_the_intent(router):
    router.main.write_text(MAIN + "iface enp3s0 inet static\n    address 10.0.0.1/8\n")
    router.links["enp3s0"] = Link("enp3s0", 3, mac="02:00:00:00:00:03", addresses=("10.0.0.1/8",), up=True)
    router.held["enp3s0"] = Addresses((("10.0.0.1/8",),))
    assert preview.intend().problems and preview.intend_moves() == preview.intend(moving=True)
    assert preview.intend_moves().problems == () and [move.port for move in preview.intend_moves().moves] == ["enp3s0"]
    # Another fault is one that no agreement takes away: what would move is told of, and does not.
    (router.conf.parent / "gretap9.conf").write_text("nonsense\n")
    assert preview.intend().moves and preview.intend().unasked()
    assert preview.intend_moves() == preview.intend() != preview.intend(moving=True)
