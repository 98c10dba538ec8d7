"""A thousand tunnels cost ten times what a hundred do: counted (many.py), since a time says something else on each machine."""

import json
import threading

import many
import pytest
import tools
from l2wg_hooks.apply import apply, preview, ring_probe, saved_state, verify
from l2wg_hooks.check import firewalls, lan, modules, permissions, runner
from l2wg_hooks.config import ifupdown, ifupdown_files, last_applied, store
from l2wg_hooks.config.store import Wish
from l2wg_hooks.errors import LONGEST, Problem
from l2wg_hooks.managers import networkd
from l2wg_hooks.model import Heard, Plan, Step, Tables, Walls
from l2wg_hooks.netfilter import trace
from l2wg_hooks.observe import link_table, needed_elsewhere, wg_interfaces
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.plan import planner
from l2wg_hooks.reconcile import event_summary, executor, look_record
from l2wg_hooks.status import render_diagram, render_json, render_prometheus, render_svg, render_text, status, terminal_text
from l2wg_hooks.system import ip_routes, process

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


@pytest.mark.parametrize("clash", [False, True], ids=["right", "all the same"])
def test_the_files(clash):
    def work(count):
        replaced = dict.fromkeys(many.texts(count), many.TEXT % (0, 0)) if clash else many.texts(count)
        return lambda: store.load(replaced)

    assert grows(work) <= MOST


@pytest.mark.parametrize("clash", [False, True], ids=["right", "all the same"])
def test_the_files_that_stand_in_for_broken_ones(clash):
    def work(count):
        applied = dict.fromkeys(many.texts(count), many.TEXT % (0, 0)) if clash else many.texts(count)
        return lambda: store.steady(Wish((), tuple(applied), ()), applied)

    assert grows(work) <= MOST
    if clash:
        applied = dict.fromkeys(many.texts(3), many.TEXT % (0, 0))
        assert len(store.steady(Wish((), tuple(applied), ()), applied).tunnels) == 1


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
@pytest.mark.parametrize("state", STATES)
def test_a_status(state, apart):
    assert grows(lambda count: lambda found=many.looked(many.wish("gretap", count, apart), state): status.build(found)) <= MOST


DRAWN = {
    "screen": render_text.render,
    "each in whole": lambda found: render_text.render(found, names=[tunnel.name for tunnel in found.tunnels]),
    "metrics": render_prometheus.render,
    "json": render_json.document,
    "diagram": render_diagram.render,
    "picture": lambda found: render_svg.render(found),
}


@pytest.mark.parametrize("apart", [False, True], ids=["one bridge", "a bridge each"])
@pytest.mark.parametrize("state", [many.NOTHING, many.ALL])
@pytest.mark.parametrize("how", DRAWN)
def test_a_status_that_is_shown(how, state, apart):
    def work(count):
        found = status.build(many.looked(many.wish("gretap", count, apart), state))
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
    for module, name, value in ((last_applied, "pending", False), (permissions, "problems", [])):
        monkeypatch.setattr(module, name, lambda *_, value=value: value)
    monkeypatch.setattr(ifupdown_files, "read", lambda: ifupdown.Defined((), (), ifupdown=True))
    monkeypatch.setattr(lan, "_assigned", lambda name: "0")
    monkeypatch.setattr(modules, "sysctl", lambda *words: "1" if words[-1] == "ip_forward" else "0")
    monkeypatch.setattr(modules, "loadable", lambda name: True)
    # There is a systemd-networkd to be asked.
    monkeypatch.setattr(networkd.glob, "glob", lambda *_: ["2"])
    ran = []

    def run(argv, stdin="", **_):
        ran.append(argv)
        way = "192.0.2.9 via 192.0.2.1 dev e0\n"
        return process.Result(0, tools.batched(stdin, lambda asked: way) if "-batch" in argv else way if "get" in argv else "", "")

    monkeypatch.setattr(process, "run", run)

    def work(count):
        ran.clear()
        tunnels = many.wish("gretap", count, apart)
        links, found = many.router(tunnels, state)
        peers = {name: Interface("own", 51820, these) for name, these in many.peers(tunnels).items()}
        todo = planner.plan(tunnels, links, seen=found)
        told = tuple(Problem("x %d" % number) for number in range(count))
        intent = preview.Intent(tunnels, {}, {}, (), (), todo, told, True)
        monkeypatch.setattr(store, "load", lambda *_: Wish(tunnels, (), told))
        for word in ("names", "sources"):
            monkeypatch.setattr(store, word, lambda: [])
        monkeypatch.setattr(preview, "intend", lambda: intent)
        monkeypatch.setattr(link_table, "read", lambda: links)
        monkeypatch.setattr(wg_interfaces, "look", peers.get)
        return lambda: kept.append(runner.check(passive=True))

    kept = []
    assert grows(work) <= MOST
    broken = [outcome for outcome in kept[0].outcomes if "Error" in outcome.why]
    assert not broken, broken
    assert len(ran) < 20, "whatever it asks, it asks of all at once"


def walls(count):
    """{command: what it prints} of a router with the rules of so many tunnels and a firewall of iptables that lets nothing in."""
    own = [{"rule": {"family": "inet", "table": "l2wg", "chain": "from_outside", "expr": []}}] * count
    here = {"family": "inet", "table": "mine", "name": "input", "hook": "input", "policy": "drop"}
    saved = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"
    return {"nft -j list ruleset": json.dumps({"nftables": own + [{"chain": here}]}), "iptables-save -t filter": saved}


def test_what_a_firewall_says_of_their_packets(monkeypatch):
    read = []
    for module, name in ((trace.json_fields, "load"), (trace.shlex, "split")):
        monkeypatch.setattr(module, name, lambda text, work=getattr(module, name): read.append(len(text)) or work(text))

    def work(count):
        tunnels, said = many.wish("vxlan", count), walls(count)
        links, _ = many.router(tunnels)
        monkeypatch.setattr(process, "run", lambda argv: process.Result(0, said.get(" ".join(argv), ""), ""))
        return lambda: told.append(list(firewalls.filtering(tunnels, links)))

    told = []
    assert grows(work) <= MOST
    assert [len(problems) for problems in told] == [2 * FEW, 2 * MANY], "both walls drop them"
    assert len(read) == 2 * 2, "the rules are read once, for all tunnels"


# Processes and waits: those of a thousand are those of ten.


class Tools:
    """Commands that answer as a hub's would, whose peers are all behind one gateway: `ran` has them, `slept` how often one waited."""

    def __init__(self, monkeypatch, tunnels, received=()):
        self.ran, self.slept, self.tunnels = [], 0, tunnels
        # Bytes that came of these peers, once they were asked.
        self.received = set(received)
        monkeypatch.setattr(process, "run", self.run)
        monkeypatch.setattr(verify, "_nudge", lambda *_: None)
        monkeypatch.setattr(needed_elsewhere.os, "environ", {})
        monkeypatch.setattr(verify.time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.slept += 1

    def run(self, argv, stdin="", environment=()):
        line = " ".join(argv)
        self.ran.append(line)
        if line.startswith("wg show"):
            rows = ["private\tpublic\t51820\toff"]
            for number, tunnel in enumerate(self.tunnels):
                received = 100 + (self.slept if tunnel.name in self.received else 0)
                where = "192.0.%d.%d" % divmod(number, 256)
                rows.append(f"key {number}\t(none)\t{where}:51820\t{tunnel.remote}/32\t0\t{received}\t0\toff")
            return process.Result(0, "\n".join(rows) + "\n", "")
        said = {"ip -4 route show default": "default via 192.0.2.1 dev e0\n", "ip -json neighbour": '[{"dst":"192.0.2.1","state":["REACHABLE"]}]'}
        out = next((out for start, out in said.items() if line.startswith(start)), "")
        if stdin and "-force" in argv:
            out = tools.batched(stdin, lambda asked: "192.0.2.9 via 192.0.2.1 dev e0\n" if " get " in asked else "")
        return process.Result(0, out, "")


def asked(monkeypatch, count):
    tunnels = many.wish("gretap", count)
    links = dict(many.router(tunnels)[0], e0=many.Link("e0", 7, up=True, mac="52:54:00:00:00:07"))
    world = Tools(monkeypatch, tunnels)
    health = verify.look(tunnels, links)
    assert health.echoes == () and len(health.ways) >= count
    verify._echoes([("wg0", tunnel.remote) for tunnel in tunnels])
    return len(world.ran), world.slept


def test_far_ends_and_ways_are_asked_at_once(monkeypatch):
    processes, slept = asked(monkeypatch, 1000)
    assert (processes, slept) == asked(monkeypatch, 10)
    assert slept <= 2 * verify.LOOKS + 1, "a second for all of them, and one look for the neighbour"


def test_far_ends_are_waited_for_while_all_else_is_asked(monkeypatch):
    """They are dead, mostly: of a new site."""
    tunnels = many.wish("gretap", 3)
    Tools(monkeypatch, tunnels)
    waits, ways = threading.Event(), verify._ways
    monkeypatch.setattr(verify, "_echoes", lambda ends: waits.wait(30) and {("wg0", "answers")})
    monkeypatch.setattr(verify, "_ways", lambda *arguments: waits.set() or ways(*arguments))
    assert verify.look(tunnels, many.router(tunnels)[0]).echoes == (("wg0", "answers"),)


def test_an_answer_is_that_of_the_peer_who_was_asked(monkeypatch):
    tunnels = many.wish("gretap", 3)
    Tools(monkeypatch, tunnels, {"l2w0001"})
    ends = [("wg0", tunnel.remote) for tunnel in tunnels]
    assert verify._echoes(ends) == {ends[1]}
    assert verify._echoes([("wg0", "203.0.113.1")]) == set(), "no peer has it"


@pytest.mark.parametrize("count", [2, 500])
def test_a_picture_of_all_interfaces_takes_three_processes(monkeypatch, count):
    world = Tools(monkeypatch, ())
    names = [f"e{number}" for number in range(count)]
    odd = ["e'1", 'e"2', "e#3"]
    monkeypatch.setattr(link_table, "parse", lambda text: dict.fromkeys(names + odd))
    saved_state.picture(names)
    assert len(world.ran) == 3
    saved_state.picture(odd)
    assert world.ran[-1] == "ip -6 route show table all dev e#3", "a batch would take it for something else"


def test_of_what_is_not_there_nobody_asks_for_routes(monkeypatch):
    """As of a hundred tunnels that are about to be made: ip(8) would look for each, in each family."""
    lines = []
    monkeypatch.setattr(link_table, "parse", lambda text: dict.fromkeys(["e0"]))
    monkeypatch.setattr(process, "run", lambda argv, stdin="": lines.extend(stdin.splitlines()) or process.Result(0, tools.LO if stdin else "[]", ""))
    snapshot, _, routes = saved_state.picture(["e0", *(f"t{number}" for number in range(100))])
    assert [line for line in lines if "dev lo" not in line] == ["route show table all dev e0"] * 2, "in each family"
    assert len(routes) == 101 and set(routes.values()) == {""} and list(snapshot.links) == ["e0"]


@pytest.mark.parametrize("count", [2, 500])
def test_many_steps_are_three_batches(monkeypatch, count):
    tunnels = many.wish("gretap", count)
    links, found = many.router(tunnels, many.ALL)
    links["br0"] = links["br0"]._replace(vlan_filtering=True)
    steps = [step for step in planner.plan(tunnels, links, seen=found).steps if step.argv[0] != "nft"]
    ran = []
    monkeypatch.setattr(process, "run", lambda argv, stdin="": ran.append((" ".join(argv), stdin.count("\n"))) or process.Result(0, "", ""))
    assert executor.apply(steps) == ()
    assert [argv for argv, _ in ran] == ["ip -batch -", "bridge -batch -", "ip -batch -"]
    assert sum(lines for _, lines in ran) == len(steps) and ran[2][1] == count, "up comes last"


def test_a_bridge_command_that_fails_is_the_one_that_is_told_of(monkeypatch):
    steps = [Step(("bridge", "vlan", "add", "dev", name, "vid", "2"), "x", name) for name in ("a", "b", "c")] + [Step(("ip", "link", "set", "dev", "b", "up"), "x", "b")]
    ran = []

    def fake(argv, stdin=""):
        ran.append(stdin)
        return process.Result(1, "", "RTNETLINK answers: No such device\nCommand failed -:2\n") if "dev b vid" in stdin else process.Result(0, "", "")

    monkeypatch.setattr(process, "run", fake)
    (problem,) = executor.apply(steps)
    assert "`bridge vlan add dev b vid 2` failed" in problem.message
    assert ran[1:] == ["vlan add dev c vid 2\n"], "and b is not brought up"


def test_rings_are_looked_for_in_steps_that_do_not_grow():
    def work(count):
        tunnels = many.wish("gretap", count, True)
        links, _ = many.router(tunnels, many.ALL)
        return lambda: ring_probe.joining(tunnels, links, [many.Name(tunnel.name) for tunnel in tunnels])

    assert grows(work) <= MOST


def test_no_comment_of_the_rules_grows():
    """nft(8) reads a comment of a file again with every piece of it: in one line, that of a thousand tunnels took it 51 s."""
    few, lots = (many.rules(many.wish("gretap", count)).splitlines() for count in (1, MANY))
    assert len(lots) > MANY
    assert max(len(line) for line in lots if line.startswith("#")) <= max(150, *(len(line) for line in few if line.startswith("#")))
    assert sum(len(line) for line in lots if line.startswith("#")) < 2000, "in many lines, a quarter of the time"


@pytest.mark.parametrize("count", [2, 500])
def test_the_bridge_that_they_wait_in_goes_with_one_process(monkeypatch, count):
    ports = {tunnel.name: many.link(tunnel, 9)._replace(master=ring_probe.ASIDE) for tunnel in many.wish("gretap", count)}
    monkeypatch.setattr(link_table, "read", lambda: dict(many.router(())[0], **ports))
    ran = []
    monkeypatch.setattr(process, "output", lambda *argv: "")
    monkeypatch.setattr(process, "run", lambda argv, stdin="": ran.append(stdin.splitlines()) or process.Result(0, "", ""))
    with ring_probe._aside():
        ran.clear()
    (lines,) = ran
    assert lines == [f"link set dev {name} down" for name in ports] + ["link delete dev l2wg-aside"]


def test_who_is_spared(monkeypatch):
    """Whose file and WireGuard interface stay as they are; nobody, where an address moves."""
    tunnels = (*many.wish("gretap", 3), many.wish("gretap", 1)[0]._replace(name="own", underlay="l2w0"))
    monkeypatch.setattr(store, "texts", lambda: {"l2w0001": "new", "l2w0000": "as it was", "l2w0002": "as it was", "own": "as it was"})
    intent = preview.Intent(tunnels, {}, {}, (), (), Plan(), (), True)
    applied = dict.fromkeys(("l2w0000", "l2w0001", "l2w0002", "own"), "as it was")
    assert apply._spared(intent, preview.NOTHING, applied) == {"l2w0000", "l2w0002", "own"}
    told = intent._replace(todo=Plan((Step(("wg", "syncconf"), "x", "l2w0"),)))
    assert apply._spared(told, preview.NOTHING, applied) == {"l2w0000", "l2w0002"}
    assert apply._spared(intent._replace(texts={"/etc/x": ("", "y")}), preview.NOTHING, applied) == set()
    more = preview.NOTHING._replace(wish={"l2w0001": "newer"}, underlay="wg0")
    assert apply._spared(intent, more, applied) == {"l2w0001", "own"}


def test_what_can_be_read_is_shown_as_it_is(monkeypatch):
    """Nothing of it is made anew, and no text is asked twice whether a terminal would obey it."""
    asked = []
    monkeypatch.setattr(terminal_text, "plain", lambda text: asked.append(text) or text)
    known = tuple((f"t{number}", number, None, Problem("waits for wg0", "", "/etc/l2wg/t.conf", 3)) for number in range(20))
    assert terminal_text.readable(known) is known and asked == []
    terminal_text.readable(known + ("a\x1b[2J", "b" * 2000))
    assert asked == ["a\x1b[2J", "b" * 2000]
    monkeypatch.undo()
    found = terminal_text.readable((known, ("a\x1b[2J",), {"c\n": (None, 2.5, Problem("d\r"))}, "b" * 2000))
    assert found[:3] == (known, ("a\\x1b[2J",), {"c\\n": (None, 2.5, Problem("d\\r"))}) and len(found[3]) == LONGEST
    assert found[0] is known


def test_a_step_is_looked_at_once_for_its_batch(monkeypatch):
    """All words at once; and the first of a batch not again for each that follows."""
    steps = [Step(("ip", "link", "set", "dev", f"t{number}", "up"), "it is down", f"t{number}") for number in range(100)]
    asked = []
    is_plain = ip_routes.is_plain
    monkeypatch.setattr(ip_routes, "is_plain", lambda word: asked.append(word) or is_plain(word))
    monkeypatch.setattr(process, "run", lambda argv, stdin="": process.Result(0, "", ""))
    assert executor.apply(steps) == ()
    assert len(asked) <= len(steps) + 1
    for argv in (("ip", "link", "set", "dev", "", "up"), ("ip", "link", "set", "dev", "a b", "up"), ("ip", "link", "set", "dev", "a#", "up")):
        assert executor._batches(Step(argv, "", "a")) == ()


def test_of_addresses_that_were_never_given_nobody_asks(monkeypatch):
    """A list of all interfaces more, after each apply."""
    asked = []
    monkeypatch.setattr(link_table, "read", lambda: asked.append(1) or {})
    text = "underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nbridge = br0\n"
    given = text + "bridge-ports = e1\nbridge-address = 10.7.0.1/24\n"
    for applied, tunnels, reads in (({}, (), 0), ({"t": text}, (), 0), ({"t": given}, store.parsed({"t": given}), 0), ({"t": given}, (), 1)):
        asked.clear()
        apply._tell_of_addresses(applied, tunnels)
        assert len(asked) == reads
