"""A thousand tunnels cost ten times what a hundred do: counted (many.py), since a time says something else on each machine."""

import many
import pytest
from l2wg_hooks.apply import preview, saved_state
from l2wg_hooks.check import firewalls, lan, modules, permissions, runner
from l2wg_hooks.config import ifupdown, ifupdown_files, store
from l2wg_hooks.config.store import Wish
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Heard, Tables, Walls
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.observe.interface_counters import Traffic
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.plan import planner
from l2wg_hooks.reconcile import event_summary, look_record
from l2wg_hooks.status import render_json, render_prometheus, render_svg, render_text, status, survey
from l2wg_hooks.system import process

FEW, MANY = 100, 1000
# Ten times as many, and something for what is sorted, and for what costs as much for one.
MOST = 12
STATES = (many.NOTHING, many.HALF, many.ALL)


def grows(work):
    """How many times as much `work` costs with MANY as with FEW: it is given a number, and gives what is to be counted."""
    few, lots = (many.cost(work(count)) for count in (FEW, MANY))
    assert few > FEW, "it has done something for each"
    return lots / few


def planned(tunnels, state, seen=None, **more):
    links, found = many.router(tunnels, state)
    return lambda: planner.plan(tunnels, links, seen=found if seen is None else seen(found, links), **more)


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", many.KINDS)
def test_a_plan(kind, state, apart):
    assert grows(lambda count: planned(many.wish(kind, count, apart), state)) <= MOST


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("apart", [False, True], ids=["one wire", "a wire each"])
def test_a_plan_with_wires_of_our_own(apart, state):
    def work(count):
        tunnels = many.wish("vxlan", count, apart, wire="own")

        def seen(found, links):
            routes = {tunnel.remote: (tunnel.underlay, 1558) for tunnel in tunnels} if state != many.ALL else {}
            return found._replace(walls=Walls(True, False, routes, False, many.wires(tunnels, links)))

        return planned(tunnels, state, seen)

    assert grows(work) <= MOST


def test_a_plan_without_wires_that_were_there():
    def work(count):
        tunnels = many.wish("vxlan", count, True, wire="own")
        links, found = many.router(tunnels)
        walls = Walls(True, False, {tunnel.remote: (tunnel.underlay, 1558) for tunnel in tunnels}, False, many.wires(tunnels, links))
        return lambda: planner.plan((), links, seen=found._replace(walls=walls))

    assert grows(work) <= MOST


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
def test_a_plan_with_ports_that_go_down_with_their_peers(apart):
    def work(count):
        tunnels = many.wish("gretap", count, apart, peer_down="port")
        tunnels = tuple(tunnel._replace(bridge_ports=(many.Name(f"p{number}"),)) for number, tunnel in enumerate(tunnels))
        names = tuple(many.Name(tunnel.name) for tunnel in tunnels)

        def seen(found, links):
            return found._replace(silent=names, taken=tuple(many.Name(f"p{number}") for number in range(0, count, 2)))

        return planned(tunnels, many.NOTHING, seen)

    assert grows(work) <= MOST


@pytest.mark.parametrize("change", ["leaving", "broken", "managed", "iptables", "unheard"])
def test_a_plan_where_it_is_about_all_of_them(change):
    def work(count):
        keys = dict(mss_clamp="iptables", forward="accept") if change == "iptables" else {}
        tunnels = many.wish("vxlan", count, change == "iptables", **keys)
        names = tuple(many.Name(tunnel.name) for tunnel in tunnels)

        def seen(found, links):
            if change == "managed":
                return found._replace(managed=frozenset(names))
            if change == "iptables":
                lines = tuple(f"-A l2wg -i {tunnel.bridge}" for tunnel in tunnels)
                return found._replace(iptables=Tables(lines, lines, True), filter=Tables(lines, lines, True))
            if change == "unheard":
                peers = {name: tuple(peer._replace(endpoint="") for peer in these) for name, these in many.peers(tunnels).items()}
                heard = {(name, peer.key): Heard("192.0.2.1:51820", 1) for name, these in peers.items() for peer in these}
                return found._replace(peers=peers, heard=heard, now=2)
            return found

        more = {change: names} if change in ("leaving", "broken") else {}
        return planned(() if change == "broken" else tunnels, many.NOTHING, seen, **more) if change != "broken" else kept(tunnels, names)

    def kept(tunnels, names):
        links, found = many.router(tunnels)
        return lambda: planner.plan((), links, broken=names, seen=found)

    assert grows(work) <= MOST


def test_the_plan_that_takes_all_away():
    def work(count):
        tunnels = many.wish("vxlan", count)
        links, found = many.router(tunnels)
        names = [many.Name(tunnel.name) for tunnel in tunnels]
        return lambda: planner.removal(names, links, found)

    assert grows(work) <= MOST


TEXT = "underlay = wg0\nlocal = 10.1.0.0\nremote = 10.2.%d.%d\nbridge = br0\nbridge-ports =\n"


def texts(count):
    return {many.Name("l2w%04d" % number): TEXT % divmod(number, 256) for number in range(count)}


@pytest.mark.parametrize("clash", [False, True], ids=["right", "all the same"])
def test_the_files(clash):
    def work(count):
        replaced = dict.fromkeys(texts(count), TEXT % (0, 0)) if clash else texts(count)
        return lambda: store.load(replaced)

    assert grows(work) <= MOST


@pytest.mark.parametrize("clash", [False, True], ids=["right", "all the same"])
def test_the_files_that_stand_in_for_broken_ones(clash):
    def work(count):
        applied = dict.fromkeys(texts(count), TEXT % (0, 0)) if clash else texts(count)
        return lambda: store.steady(Wish((), tuple(applied), ()), applied)

    assert grows(work) <= MOST
    if clash:
        applied = dict.fromkeys(texts(3), TEXT % (0, 0))
        assert len(store.steady(Wish((), tuple(applied), ()), applied).tunnels) == 1


def looked(tunnels, state=many.NOTHING):
    """The Survey of a router with these tunnels."""
    links, found = many.router(tunnels, state)
    peers = {name: Interface("own", 51820, these) for name, these in many.peers(tunnels).items()}
    frames = {("loop", tunnel.name): 3 for tunnel in tunnels}
    packets = {("leak", tunnel.local, tunnel.remote): 2 for tunnel in tunnels}
    report = nftables_state.Report(found.rules)._replace(frames=frames, packets=packets)
    traffic = dict.fromkeys(links, Traffic())
    names = tuple(many.Name(tunnel.name) for tunnel in tunnels)
    return survey.Survey(Wish(tunnels, (), ()), links, traffic, {}, {}, peers, report, time=5000, host="a", staged=names, silent=names)


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
@pytest.mark.parametrize("state", STATES)
def test_a_status(state, apart):
    assert grows(lambda count: lambda found=looked(many.wish("gretap", count, apart), state): status.build(found)) <= MOST


DRAWN = {
    "screen": render_text.render,
    "each in whole": lambda found: render_text.render(found, names=[tunnel.name for tunnel in found.tunnels]),
    "metrics": render_prometheus.render,
    "json": render_json.document,
    "picture": lambda found: render_svg.render(found),
}


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
@pytest.mark.parametrize("state", [many.NOTHING, many.ALL])
@pytest.mark.parametrize("how", DRAWN)
def test_a_status_that_is_shown(how, state, apart):
    def work(count):
        found = status.build(looked(many.wish("gretap", count, apart), state))
        return lambda: DRAWN[how](found)

    assert grows(work) <= MOST


def test_the_journal_entry_of_an_event():
    def work(count):
        tunnels = many.wish("gretap", count)
        links, found = many.router(tunnels, many.ALL)
        steps = planner.plan(tunnels, links, seen=found).steps
        summary = event_summary.EventSummary("l2wg up wg0", "up")
        summary.told = list(steps)
        names = [many.Name(tunnel.name) for tunnel in tunnels]
        return lambda: (summary.text(), list(summary.fields(names)))

    assert grows(work) <= MOST


def test_the_words_of_a_look():
    assert grows(lambda count: lambda tunnels=many.wish("vxlan", count), links=many.router(many.wish("vxlan", count))[0]: look_record.words(tunnels, links)) <= MOST


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
@pytest.mark.parametrize("state", [many.NOTHING, many.ALL])
def test_a_passive_check(monkeypatch, wireguard, state, apart):
    monkeypatch.setattr(runner.os, "geteuid", lambda: 0)
    for module, name, value in ((saved_state, "pending", False), (permissions, "problems", []), (firewalls, "managing", [])):
        monkeypatch.setattr(module, name, lambda *_, value=value: value)
    monkeypatch.setattr(firewalls, "filtering", lambda *_: [])
    monkeypatch.setattr(ifupdown_files, "read", lambda: ifupdown.Defined((), (), ifupdown=True))
    monkeypatch.setattr(lan, "_assigned", lambda name: "0")
    monkeypatch.setattr(modules, "sysctl", lambda *words: "1" if words[-1] == "ip_forward" else "0")
    monkeypatch.setattr(modules, "loadable", lambda name: True)
    monkeypatch.setattr(process, "run", lambda argv, *_, **__: process.Result(0, "", ""))

    def work(count):
        tunnels = many.wish("gretap", count, apart)
        links, found = many.router(tunnels, state)
        peers = {name: Interface("own", 51820, these) for name, these in many.peers(tunnels).items()}
        todo = planner.plan(tunnels, links, seen=found)
        told = tuple(Problem("x %d" % number) for number in range(count))
        intent = preview.Intent(tunnels, {}, {}, (), (), todo, told, True)
        monkeypatch.setattr(store, "load", lambda *_: Wish(tunnels, (), told))
        monkeypatch.setattr(store, "names", lambda: [])
        monkeypatch.setattr(preview, "intend", lambda: intent)
        monkeypatch.setattr(link_table, "read", lambda: links)
        monkeypatch.setattr(wg_interfaces, "look", peers.get)
        return lambda: kept.append(runner.check(passive=True))

    kept = []
    assert grows(work) <= MOST
    broken = [outcome for outcome in kept[0].outcomes if "Error" in outcome.why]
    assert not broken, broken
