"""A site with two keys: which of them has its AllowedIPs, when the former one is out, and what an older copy of the file can do."""

import re
import time

import nets
import pytest
import site_tables
from l2wg_hooks.apply import apply, verify, watch_timer
from l2wg_hooks.config import changed_keys, own_wire, site_file, site_keys, site_record, site_tunnels, store
from l2wg_hooks.model import Heard, Link, Observed, Peer
from l2wg_hooks.observe import walls
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.plan import endpoint_names, key_changes, planner, site_peers
from l2wg_hooks.reconcile import endpoint_names as called_names
from l2wg_hooks.reconcile import look_record, reconcile
from l2wg_hooks.status import render_sites

OLD, NEW = nets.key(1), nets.key(91)
NOW = 2_000_000_000
CHANGING = f"{nets.line(91, 'was=' + OLD, name='site1', addresses=('198.18.0.2',))}"
STAR = "net hub=site0\n"
TEXT = STAR + nets.line(0) + CHANGING + nets.line(2)
HUB = nets.part(TEXT, 0).tunnels
WG0 = Link("wg0", 7, "wireguard", up=True, addresses=("198.18.0.1/32",))
LINKS = {"wg0": WG0, "br0": Link("br0", 8, "bridge", up=True)}
ADDRESS = ("198.18.0.2/32",)


def peer(key, handshake=0, allowed=()):
    return Peer(key, "", allowed, handshake, 0, 0, None)


def seen(*peers, told=None, heard=(), now=NOW):
    told = [one.key for one in peers] if told is None else told
    ways = {"198.18.0.2": True, "198.18.0.3": True}
    return Observed(peers={"wg0": peers}, told=frozenset(("wg0", key) for key in told), ways_there={"wg0": ways}, heard=dict(heard), now=now)


def wished(found):
    """{key: AllowedIPs} that the site is to have."""
    ((_, _, turn),) = key_changes.turns(HUB, found)
    return {one.key: one.allowed for one in turn.peers}


BOTH, MOVED = {OLD: ADDRESS, NEW: ()}, {NEW: ADDRESS, OLD: ()}
STATES = {
    "nobody has been heard": ((), {}, BOTH),
    "by the old one": ((peer(OLD, NOW - 9), peer(NEW)), {}, BOTH),
    "by the new one": ((peer(OLD, NOW - 9), peer(NEW, NOW - 1)), {}, MOVED),
    "just not a minute": ((peer(OLD, NOW - 99), peer(NEW, NOW - 59)), {}, MOVED),
    "for a minute": ((peer(OLD, NOW - 99), peer(NEW, NOW - 60)), {}, {NEW: ADDRESS}),
    "it has gone back": ((peer(OLD, NOW - 1), peer(NEW, NOW - 9)), {}, BOTH),
    "it went back long ago": ((peer(OLD, NOW - 70), peer(NEW, NOW - 99)), {}, BOTH),
    "a clock that was set back": ((peer(OLD, NOW - 9), peer(NEW, NOW + 500)), {}, MOVED),
    "heard before a start": ((peer(OLD), peer(NEW)), {("wg0", NEW): Heard("192.0.2.1:7", NOW - 9), ("wg0", OLD): Heard("192.0.2.1:7", NOW - 70)}, MOVED),
    "heard elsewhere": ((), {("wg1", NEW): Heard("192.0.2.1:7", NOW - 9)}, BOTH),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_who_has_the_addresses(state):
    peers, heard, wanted = STATES[state]
    assert wished(seen(*peers, heard=heard)) == wanted


def commands(found, tunnels=HUB):
    steps, problems, more = site_peers.changes(tunnels, LINKS, found)
    assert problems == ()
    return [" ".join(step.argv[:3] + step.argv[3:]) for step in steps], {one.key: one.allowed for one in more.get("wg0", ())}


OTHER = peer(nets.key(2), 0, ("198.18.0.3/32",))


@pytest.mark.usefixtures("real_names")
def test_the_steps_of_it():
    # The line has come: the new one beside the old one.
    steps, more = commands(seen(peer(OLD, NOW - 9, ADDRESS), OTHER))
    assert steps == ["wg addconf wg0 /run/l2wg.wg0.wg"] and more == {NEW: ()}
    # It is there: nothing to do.
    assert commands(seen(peer(OLD, NOW - 9, ADDRESS), peer(NEW), OTHER)) == ([], {})
    # The site has switched: the kernel takes the address from the old one with that.
    assert commands(seen(peer(OLD, NOW - 9, ADDRESS), peer(NEW, NOW - 1), OTHER))[0] == [f"wg set wg0 peer {NEW} allowed-ips 198.18.0.2/32"]
    assert commands(seen(peer(OLD, NOW - 9), peer(NEW, NOW - 1, ADDRESS), OTHER)) == ([], {})
    # It has gone back.
    assert commands(seen(peer(OLD, NOW - 1), peer(NEW, NOW - 5, ADDRESS), OTHER))[0] == [f"wg set wg0 peer {OLD} allowed-ips 198.18.0.2/32"]
    # It has stayed.
    found = seen(peer(OLD, NOW - 99), peer(NEW, NOW - 70, ADDRESS), OTHER)
    assert commands(found)[0] == [f"wg set wg0 peer {OLD} remove"]
    (step,) = site_peers.changes(HUB, LINKS, found)[0]
    assert step.reason == "site1 has come with another key since"


def test_a_peer_of_somebody_elses_with_the_old_key_is_told_of_before_the_switch():
    found = seen(peer(OLD, NOW - 9, ADDRESS), OTHER, told=(OTHER.key,))
    steps, (problem,), _ = site_peers.changes(HUB, LINKS, found)
    assert "site1 changes its key" in problem.message and f"wg set wg0 peer {OLD} remove" in problem.hint and problem.line == 3
    assert not [step for step in steps if OLD in step.argv]


def test_an_own_wire_has_both(wireguard):
    (wireguard / "l2w0.conf").write_text("[Interface]\nPrivateKey = k\nAddress = 198.18.0.1/32\n")
    tunnels = nets.part(TEXT, 0, site_tunnels.Wire("l2w0", True)).tunnels

    def wire(*rows):
        dump = "k\tpublic\t1\toff\n" + "".join(f"{key}\t(none)\t(none)\t{allowed or '(none)'}\t{time}\t0\t0\toff\n" for key, allowed, time in rows)
        return walls._wire("l2w0", dump, walls._beside(tunnels, "l2w0", dump))

    third, now = (nets.key(2), "198.18.0.3/32", 0), int(time.time())
    found = wire((OLD, ADDRESS[0], now - 9), third)
    assert found.differs == ("its peers",) and {one.key: one.allowed for one in found.beside if one.key in (OLD, NEW)} == BOTH
    assert wire((OLD, ADDRESS[0], now - 9), (NEW, "", 0), third).differs == ()
    assert wire((OLD, ADDRESS[0], now - 9), (NEW, "", now), third).differs == ("its peers",)
    assert wire((OLD, "", now - 9), (NEW, ADDRESS[0], now), third).differs == ()
    assert wire((OLD, "", now - 99), (NEW, ADDRESS[0], now - 70), third).differs == ("its peers",)
    assert wire((NEW, ADDRESS[0], now - 70), third).differs == ()
    # A [Peer] by hand keeps its address: nobody tells WireGuard something else at each event.
    (wireguard / "l2w0.conf").write_text(f"[Interface]\nPrivateKey = k\nAddress = 198.18.0.1/32\n[Peer]\nPublicKey = {OLD}\nAllowedIPs = {ADDRESS[0]}\n")
    assert wire((OLD, ADDRESS[0], now - 9), (NEW, "", now), third).differs == ()


def test_wg_is_told_of_no_empty_list():
    """It refuses the whole file for one: seen with wireguard-tools 1.0.20210914."""
    (peers,) = [turn.peers for _, _, turn in key_changes.turns(HUB, seen())]
    text = own_wire.sections(peers)
    assert text.count("[Peer]") == 2 and re.findall("AllowedIPs.*", text) == ["AllowedIPs = 198.18.0.2/32"]


def test_the_name_of_its_endpoint_is_asked_for_by_either_key():
    text = STAR + nets.line(93, "was=" + nets.key(0), name="site0", endpoint="hq.example.org:7", addresses=("198.18.0.1",)) + nets.line(1)
    found = endpoint_names.wanted(nets.part(text, 1).tunnels, {"wg0": ""})
    assert found == {"wg0": {nets.key(93): ("hq.example.org", "7"), nets.key(0): ("hq.example.org", "7")}}


def test_a_name_that_nobody_knows_is_told_at_its_line_by_either_key():
    text = STAR + nets.line(93, "was=" + nets.key(0), name="site0", endpoint="hq.example.org:7", addresses=("198.18.0.1",)) + nets.line(1)
    (tunnel,) = nets.part(text, 1).tunnels
    for key in (nets.key(93), nets.key(0)):
        problem = called_names._unknown(endpoint_names.Call(underlay="wg0", key=key, name="hq.example.org", port="7", endpoint=""), (tunnel,))
        assert (problem.path, problem.line) == (nets.PATH, 2)


def test_the_watch_waits_for_the_idle_one(monkeypatch):
    monkeypatch.setattr(look_record.endpoint_names, "wanted", lambda tunnels: {})
    pending = seen(peer(OLD, NOW - 9, ADDRESS), peer(NEW, 7))
    assert f"turn={NEW}/7" in look_record.words(HUB, LINKS, seen=pending) and "answers" not in look_record.words(HUB, LINKS, seen=pending)
    # It has come: the old one is to go in a minute, and may be back until then.
    words = look_record.words(HUB, LINKS, seen=seen(peer(OLD, NOW - 9), peer(NEW, NOW - 1, ADDRESS)))
    assert f"turn={OLD}/{NOW - 9}" in words and "answers" in words
    done = seen(peer(NEW, NOW - 70, ADDRESS))
    assert not [word for word in look_record.words(HUB, LINKS, seen=done) if word.startswith("turn=") or word == "answers"]


def test_who_has_changed_for_good_is_kept_before_the_old_one_goes():
    reconcile._settle(HUB, seen(peer(OLD, NOW - 9), peer(NEW, NOW - 1)))
    assert changed_keys.read() == {}
    reconcile._settle(HUB, seen(peer(OLD, NOW - 99), peer(NEW, NOW - 70)))
    assert changed_keys.read() == {OLD: NEW}


def test_what_is_kept_of_changed_keys(root):
    third = nets.key(7)
    changed_keys.add(OLD, NEW)
    changed_keys.add(NEW, third)
    assert changed_keys.latest(OLD, changed_keys.read()) == changed_keys.latest(third, changed_keys.read()) == third
    # Back to an earlier one: no way round for ever.
    changed_keys.add(third, OLD)
    assert changed_keys.read() == {NEW: third, third: OLD} and changed_keys.latest(NEW, changed_keys.read()) == OLD
    path = root / changed_keys.PATH.lstrip("/") if not str(changed_keys.PATH).startswith(str(root)) else changed_keys.PATH
    with open(path) as file:
        text = file.read()
    assert changed_keys.parse(text) == changed_keys.read() and changed_keys.parse(text + "x y\nz\n" + OLD + " " + OLD + "\n") == changed_keys.parse(text)
    assert changed_keys.latest("a", {"a": "b", "b": "a"}) in "ab"


def test_a_former_key_is_nobodys_once_it_is_changed():
    lines = site_keys.settled(nets.lines(TEXT), {OLD: NEW}, nets.PATH)
    assert lines.problems == () and [site.was for site in lines.living()] == ["", "", ""]
    part = site_tunnels.find(lines, {nets.key(0): site_tunnels.Wire("wg0")}, nets.NO_HAND, nets.PATH)
    assert [(one.key, one.was) for tunnel in part.tunnels for one in tunnel.peers] == [(NEW, ""), (nets.key(2), "")]


def test_an_older_copy_means_the_new_key():
    lines = site_keys.settled(nets.lines(STAR + nets.line(0) + nets.line(1)), {OLD: nets.key(50), nets.key(50): NEW}, nets.PATH)
    (problem,) = lines.problems
    assert problem.line == 3 and NEW in problem.message and "copy the newer file" in problem.hint
    assert [site.key for site in lines.living()] == [nets.key(0), NEW]
    # A tombstone stays one, of that key.
    lines = site_keys.settled(nets.lines(STAR + nets.line(0) + nets.line(1, "gone=2026-11-25")), {OLD: NEW}, nets.PATH)
    assert lines.problems == () and OLD in lines.gone()


def test_a_router_finds_itself_by_either_key():
    for key in (OLD, NEW):
        lines = nets.lines(TEXT)
        wires = site_keys.found_by(lines, {key: site_tunnels.Wire("wg0")})
        part = site_tunnels.find(lines, wires, nets.NO_HAND, nets.PATH)
        assert part.own.name == "site1" and [tunnel.name for tunnel in part.tunnels] == ["site0"] and wires[part.own.key].underlay == "wg0"


def test_the_old_ones_session_may_end_while_something_is_applied():
    assert apply._departed({}, HUB) == {OLD}


def test_a_tombstone_is_for_both_keys():
    assert nets.lines(STAR + nets.line(0) + CHANGING.replace("\n", " gone=2026-11-25\n")).gone() == {OLD, NEW}


@pytest.fixture
def hub(etc, monkeypatch):
    """Writes the file of sites at the hub, and gives the Wish."""
    monkeypatch.setattr(site_file.own_sites, "wires", lambda tunnels, wanted: {nets.key(0): site_tunnels.Wire("wg0")})

    def write(text):
        (etc / "sites").write_text(text)
        return store.load()

    return write


def test_an_older_copy_in_the_middle_keeps_both_keys_until_apply(hub):
    wished = site_record.steady(hub(TEXT))
    site_record.keep(wished, LINKS, seen(), {})
    older = site_record.steady(hub(STAR + nets.line(0) + nets.line(1) + nets.line(2)))
    assert [(one.key, one.was) for tunnel in older.tunnels for one in tunnel.peers] == [(NEW, OLD), (nets.key(2), "")]
    (problem,) = older.problems
    assert problem.line == 3 and "is changing its key" in problem.message and "older copy" in problem.hint
    # What is kept is what stands: the next event knows no less.
    site_record.keep(older, LINKS, seen(), {})
    again = site_record.steady(hub(STAR + nets.line(0) + nets.line(1) + nets.line(2)))
    assert again.tunnels == older.tunnels and again.problems == older.problems
    off = site_record.steady(store.load(), departs=True)
    assert [(one.key, one.was) for tunnel in off.tunnels for one in tunnel.peers] == [(OLD, ""), (nets.key(2), "")] and off.problems == ()


def test_a_broken_line_keeps_both_keys(hub):
    site_record.keep(site_record.steady(hub(TEXT)), LINKS, seen(), {})
    wished = site_record.steady(hub(TEXT.replace(CHANGING, CHANGING[:40] + "\n")))
    assert {(one.key, one.was) for tunnel in wished.tunnels for one in tunnel.peers} == {(NEW, OLD), (nets.key(2), "")}


def test_a_mesh_of_one_vxlan_changes_the_same():
    text = TEXT.replace(STAR, "net shape=mesh encapsulation=vxlan\n")
    (tunnel,) = nets.part(text, 0).tunnels
    assert [(one.key, one.was) for one in tunnel.peers] == [(NEW, OLD), (nets.key(2), "")] and tunnel.remotes == ("198.18.0.2", "198.18.0.3")
    assert commands(seen(peer(OLD, NOW - 9, ADDRESS), OTHER), (tunnel,))[1] == {NEW: ()}
    todo = planner.plan((tunnel,), LINKS, seen=seen(peer(OLD, NOW - 9), peer(NEW, NOW - 1, ADDRESS), OTHER))
    assert not [step for step in todo.steps if step.argv[0] == "wg"]


def test_from_the_moment_of_a_line_on_the_watch_waits_for_the_new_key(monkeypatch, root):
    asked = []
    monkeypatch.setattr(watch_timer.process, "output", lambda *argv: asked.append(argv[2:]) or "")
    monkeypatch.setattr(watch_timer.units, "run_here", lambda: True)
    monkeypatch.setattr(watch_timer.os.path, "lexists", lambda path: True)
    watch_timer.follow(HUB)
    watch_timer.follow(nets.part(STAR + nets.line(0) + nets.line(1), 0).tunnels)
    assert asked == [("start", watch_timer.UNIT, watch_timer.SERVICE), ("start", watch_timer.UNIT)]


BY_HUB = "net shape=mesh encapsulation=vxlan hub=site0\n"


def test_of_a_mesh_by_its_hub_who_is_no_peer_here_changes_nothing_here():
    (tunnel,) = nets.part(TEXT.replace(STAR, BY_HUB), 2).tunnels
    assert [(one.key, one.was) for one in tunnel.peers] == [(nets.key(0), ""), (NEW, "")]
    assert key_changes.turns((tunnel,), seen()) == []


def test_of_a_mesh_by_its_hub_the_hubs_next_key_takes_over_all_addresses():
    hub = nets.line(90, "was=" + nets.key(0), name="site0", addresses=("198.18.0.1",), endpoint="s0.example.org:51820")
    (tunnel,) = nets.part(BY_HUB + hub + nets.line(1) + nets.line(2), 1).tunnels
    every = {"198.18.0.1/32", "198.18.0.3/32"}
    for peers, leads, idle in (((), 0, 90), ((peer(nets.key(0), NOW - 9), peer(nets.key(90), NOW - 1)), 90, 0)):
        found = {one.key: set(one.allowed) for one in site_peers.own((tunnel,), "wg0", seen(*peers))}
        assert found == {nets.key(leads): every, nets.key(idle): set()}


def test_the_table_says_so_where_the_site_is_a_peer():
    for text in (TEXT, TEXT.replace(STAR, BY_HUB)):
        assert "sites:3: was: it has come with its new key" in " ".join(render_sites.render(site_tables.table(text, 0)).split())
        assert "key" not in render_sites.render(site_tables.table(text, 2))
    # Of oneself, too.
    assert "another key waits for this router" in " ".join(render_sites.render(site_tables.table(TEXT, 91)).split())


def test_a_site_is_asked_for_an_echo_by_either_key_and_not_by_the_hub(monkeypatch):
    """After a change here it must still answer; behind a hub, which has its address, it is the hub that would."""
    (tunnel,) = nets.part("net shape=mesh encapsulation=vxlan\n" + nets.line(0) + CHANGING, 0).tunnels
    for key, found in ((OLD, set()), (NEW, set()), (nets.key(7), {("wg0", "198.18.0.2")})):
        there = Interface("", 0, (peer(key, allowed=ADDRESS),))
        monkeypatch.setattr(verify.wg_interfaces, "read", lambda name, there=there: there)
        assert verify._by_others([tunnel]) == found
