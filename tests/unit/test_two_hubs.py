"""Two hubs of a star: what each site comes to, who is listened to, and what is done when a hub goes silent."""

import contextlib
import json
import types

import nets
import pytest
import site_tables
from l2wg_hooks.apply import ring_probe, verify
from l2wg_hooks.check import watch
from l2wg_hooks.config import hub_choice, hub_record, site_file, site_hubs, site_record, store
from l2wg_hooks.model import Link, Observed, Peer
from l2wg_hooks.observe import snapshot
from l2wg_hooks.plan import hub_address, planner, site_peers, wire_steps
from l2wg_hooks.probes import station_frames
from l2wg_hooks.reconcile import hub_watch, station_news
from l2wg_hooks.status import render_diagram, render_prometheus, render_sites, render_sites_json, render_svg, render_text, site_export, sites, status

ADDRESS = "198.18.9.1"
NET = f"hub=site0,site1 hub-address={ADDRESS}"
WALLED = nets.site_tunnels.Wire("l2w0", True)


def parts(net=NET, count=5, **more):
    return [nets.part(nets.text(net, count), number, **more) for number in range(count)]


@pytest.mark.parametrize("words", ["", " encapsulation=vxlan", " vlans=untagged,10 mtu=1400 storm-limit=100", " hubs-joined=no"])
def test_all_sites_come_to_the_same(words):
    found = parts(NET + words)
    assert [part.problems for part in found] == [()] * 5
    hubs = [{tunnel.name: tunnel for tunnel in part.tunnels} for part in found[:2]]
    joined = "no" not in words
    assert [set(by) for by in hubs] == [{"site2", "site3", "site4"} | ({other} if joined else set()) for other in ("site1", "site0")]
    for number in (2, 3, 4):
        (spoke,) = found[number].tunnels
        assert (spoke.name, spoke.remote, spoke.site) == ("hubs", ADDRESS, "") and spoke.has_hubs and not spoke.is_hubs
        own = f"198.18.0.{number + 1}"
        for by in hubs:
            there = by[f"site{number}"]
            assert (there.local, there.remote) == (spoke.remote, spoke.local) == (ADDRESS, own) and there.is_hubs and not there.has_hubs
            same = ("encapsulation", "number", "mtu", "vlans", "storm_limit")
            assert [getattr(there, field) for field in same] == [getattr(spoke, field) for field in same]
            assert [peer.allowed for peer in there.peers] == [(own + "/32",)]
        assert hubs[0][f"site{number}"].mac != hubs[1][f"site{number}"].mac, "a frame of one hub would be a loop at the other"
    if joined:
        first, second = hubs[0]["site1"], hubs[1]["site0"]
        assert (first.local, first.remote) == (second.remote, second.local) == ("198.18.0.1", "198.18.0.2")
        assert first.number == second.number and not (first.hub_address or second.hub_address)


def test_a_ring_of_two_hubs_in_one_lan_has_its_own_cure():
    tunnels = {tunnel.name: tunnel for tunnel in parts()[0].tunnels}
    asked = [ring_probe.Joining(tunnels[name], ("enp3s0",)) for name in ("site1", "site2")]
    between, other = ring_probe.judge(asked, {("site1", "enp3s0"), ("site2", "enp3s0")})
    assert "hubs-joined=no" in between.hint and "hubs-joined" not in other.hint and (between.path, between.line) == (nets.PATH, 2)


def test_a_hubs_other_key_changes_no_number():
    text = nets.text(NET + " encapsulation=vxlan", 3)
    (before,) = nets.part(text, 2).tunnels
    (after,) = nets.part(text.replace(nets.line(1), nets.line(1, key=nets.key(9))), 2).tunnels
    assert before.number == after.number and before.peers != after.peers


def test_the_smaller_packets_of_a_hub_are_those_of_all():
    text = nets.text(NET, 3).replace(nets.line(1), nets.line(1, mtu=1280))
    assert {tunnel.mtu for number in (0, 1, 2) for tunnel in nets.part(text, number).tunnels} == {1280}


def test_exactly_one_hub_is_listened_to_whichever_was_chosen():
    (tunnel,) = parts()[2].tunnels
    for key, wanted in ((nets.key(0), "site0"), (nets.key(1), "site1"), (nets.key(7), "site0"), ("", "site0")):
        (found,) = site_hubs.chosen((tunnel,), key)
        assert site_hubs.listened(found).site == wanted
        assert [peer.allowed[0] for peer in found.peers] == ["198.18.0.1/32", "198.18.0.2/32"], "each is asked at its own"
        assert sum(ADDRESS + "/32" in peer.allowed for peer in found.peers) == 1
    other = nets.part(nets.text("hub=site0", 3), 2).tunnels
    assert site_hubs.chosen(other, nets.key(0)) == other


def test_a_line_of_this_router_cannot_name_something_like_the_tunnel():
    text = nets.text(NET, 3, lambda number: "bridge=hubs" if number == 2 else "")
    assert [problem.message for problem in nets.part(text, 2).problems] == ["hubs is the name of the tunnel to the two hubs"]
    by_hand = nets.site_tunnels.ByHand(names=frozenset({"hubs"}))
    (problem,) = nets.part(nets.text(NET, 3), 2, by_hand=by_hand).problems
    assert "is the name of the tunnel to the two hubs" in problem.message and problem.hint == "give that file another name"


@pytest.mark.parametrize("network, told", [("198.18.0.0/15", 0), ("198.18.0.0/24", 1), ("198.18.9.0/24", 0)])
def test_the_address_of_both_is_of_the_nets_network(network, told):
    found = nets.lines(nets.text(f"{NET} network={network}", 4))
    said = [problem for problem in found.problems if problem.key == "hub-address"]
    assert len(said) == told and all(problem.line == 1 and problem.hint for problem in said)
    assert not told or said[0].message == f"{ADDRESS} is not of {network}, the net's network"


def test_what_is_printed_for_other_tools():
    lines = nets.lines(nets.text(NET, 4))
    hub = site_export.export(lines, "site0", "wg-quick", "wg0", nets.PATH)
    assert f"Address = 198.18.0.1/32\nAddress = {ADDRESS}/32\n" in hub.text and len(hub.notes) == 2
    site = site_export.export(lines, "site2", "wg-quick", "wg0", nets.PATH)
    assert f"AllowedIPs = 198.18.0.1/32, {ADDRESS}/32\n" in site.text and "AllowedIPs = 198.18.0.2/32\n" in site.text
    assert site.notes[-1].message == "it listens to site0: to move to site1, without the file of sites, is up to you"
    nix = site_export.export(lines, "site0", "nix", "wg0", nets.PATH).text
    assert f'address = [ "198.18.0.1/32" "{ADDRESS}/32" ];' in nix
    assert "remote = 198.18.9.1\n" in site_export.export(lines, "site2", "conf", "wg0", nets.PATH).text.replace("  ", "")


def test_the_table_the_screen_and_the_metrics_say_who_is_listened_to():
    found = site_tables.net(nets.text(NET, 4), 2)
    for key, words in ((nets.key(0), ["up", "standby"]), (nets.key(1), ["standby", "up"])):
        seen = site_tables.looked(found._replace(part=found.part._replace(tunnels=site_hubs.chosen(found.part.tunnels, key))))
        seen.peers["wg0"] = seen.peers["wg0"]._replace(peers=(seen.peers["wg0"].peers[0]._replace(key=key),))
        now = status.build(seen)
        table = sites.build(found, nets.PATH, now)
        assert [row.word for row in table.rows[:2]] == words and [row.listened for row in table.rows] == [words[0] == "up", words[1] == "up", None, None]
        assert [row["listened"] for row in render_sites_json.document(table, "a", 0)["sites"][:2]] == [words[0] == "up", words[1] == "up"]
        name, other = ("site0", "site1") if words[0] == "up" else ("site1", "site0")
        said = render_sites.render(table)
        assert f"{name} is the hub that is listened to\n" in said and "The hubs have one tunnel here, hubs: l2wg status hubs\n" in said
        assert f"{name} is listened to, {other} is not" in render_text.render(now)
        metrics = render_prometheus.render(now)
        assert f'l2wg_hub_listened{{tunnel="hubs",site="{name}",public_key="{key}"}} 1\n' in metrics and f'site="{other}",public_key="' in metrics
    nobody = now._replace(tunnels=tuple(tunnel._replace(peers=dict.fromkeys(tunnel.peers)) for tunnel in now.tunnels))
    assert "neither site0 nor site1 is listened to" in render_text.render(nobody)
    hub = site_tables.net(nets.text(NET, 4), 0)
    at_hub = sites.build(hub, nets.PATH, status.build(site_tables.looked(hub)))
    assert {row.listened for row in at_hub.rows} == {None} and "listened" not in render_sites.render(at_hub)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    for module, name in ((hub_choice, "PATH"), (hub_choice, "KEPT"), (hub_record, "PATH"), (site_record, "PATH")):
        monkeypatch.setattr(module, name, str(tmp_path / getattr(module, name).replace("/", "_")))
    monkeypatch.setattr(hub_choice.last_applied, "DIRECTORY", str(tmp_path))
    return tmp_path


def test_the_choice_outlives_a_boot(paths):
    assert hub_choice.read() == ""
    hub_choice.write(nets.key(1))
    hub_choice.remember(nets.key(1))
    assert hub_choice.read() == nets.key(1)
    (tunnel,) = site_file.listening(parts()[2].tunnels)
    assert site_hubs.listened(tunnel).site == "site1"
    (paths / hub_choice.PATH).unlink()
    assert hub_choice.read() == nets.key(1), "the next boot begins with it"
    for text in ("rubbish\n", nets.key(1)[:-1], ""):
        (paths / hub_choice.KEPT).write_text(text)
        assert hub_choice.read() == ""


def test_the_script_is_told_of_both(paths):
    hub_record.keep(parts()[0].tunnels)
    assert list(paths.iterdir()) == []
    tunnels = site_hubs.chosen(parts(wire=WALLED)[2].tunnels, nets.key(1))
    hub_record.keep(tunnels)
    (file,) = paths.iterdir()
    assert file.read_text() == f"l2w0 own 198.18.0.3\n{nets.key(1)} 198.18.0.2\n{nets.key(0)} 198.18.0.1\n"
    hub_record.keep(())
    assert list(paths.iterdir()) == []


def links(*addresses, name="wg0", **more):
    return {name: Link(name, 3, kind="wireguard", up=True, addresses=("198.18.0.1/32",) + addresses, **more), "br0": Link("br0", 4, kind="bridge", up=True)}


def given(tunnels, there, ours=(), leaving=()):
    found = hub_address.changes(tunnels, there, Observed(given=frozenset(ours)), leaving)
    return [" ".join(step.argv) for step in found.steps], [problem.message for problem in found.problems], found.given


def test_a_hub_has_the_address_as_long_as_it_is_wished_for():
    hub, word = parts()[0].tunnels, f"{ADDRESS}/32"
    ours = {("wg0", ADDRESS)}
    assert given(hub, links()) == ([f"ip address add {word} dev wg0"], [], (("wg0", ADDRESS),))
    assert given(hub, links(word), ours) == ([], [], ())
    assert given((), links(word), ours) == ([f"ip address delete {word} dev wg0"], [], ())
    # Somebody else's stays.
    assert given((), links(word)) == given(hub, links(f"{ADDRESS}/24")) == ([], [], ())
    elsewhere = dict(links(), eth0=Link("eth0", 5, addresses=(word,)))
    assert given(hub, elsewhere) == ([], [f"{ADDRESS}, the address of both hubs, is that of eth0 here"], ())
    assert given(hub, {}) == given(hub, links(), leaving=("wg0",)) == ([], [], ())
    assert given(parts(wire=WALLED)[0].tunnels, links(name="l2w0", namespace="l2wg")) == ([], [], ())


def test_a_plan_gives_it_before_a_tunnel_is_made_and_then_has_nothing_to_wait_for():
    hub = parts()[0].tunnels
    seen = Observed(given=frozenset(), told=frozenset(), ways_there={})
    todo = planner.plan(hub, links(), seen=seen)
    commands = [" ".join(step.argv) for step in todo.steps]
    assert commands.index(f"ip address add {ADDRESS}/32 dev wg0") < min(at for at, text in enumerate(commands) if "type gretap" in text)
    assert todo.waiting == () and todo.given == (("wg0", ADDRESS),)
    gone = planner.removal(["site2"], links(f"{ADDRESS}/32"), seen._replace(given=frozenset({("wg0", ADDRESS)})))
    assert f"ip address delete {ADDRESS}/32 dev wg0" in [" ".join(step.argv) for step in gone.steps]


def test_what_was_given_is_known_by_the_interface_it_was_given(paths):
    site_record.write((), (), {("wg0", 3, ADDRESS)})
    word = f"{ADDRESS}/32"
    assert site_record.given(links(word)) == {("wg0", ADDRESS)}
    assert site_record.given(links()) == site_record.given({"wg0": links(word)["wg0"]._replace(ifindex=9)}) == frozenset()
    assert site_record.read().addresses == (("wg0", 3, ADDRESS),)


def test_apply_does_not_mind_that_what_it_gave_goes(monkeypatch):
    for name, nothing in (("_targets", lambda names: []), ("_ways", lambda rows, there: []), ("_gateways", lambda: []), ("_echoes", lambda ends: [])):
        monkeypatch.setattr(verify, name, nothing)
    there = dict(links(f"{ADDRESS}/32"), eth0=Link("eth0", 5, addresses=(f"{ADDRESS}/24",)))
    monkeypatch.setattr(verify.site_record, "given", lambda links: frozenset({("wg0", ADDRESS)}))
    assert verify.look((), there).addresses == ("198.18.0.1/32", f"{ADDRESS}/24")
    monkeypatch.setattr(verify.site_record, "given", lambda links: frozenset())
    assert verify.look((), there).addresses == ("198.18.0.1/32", f"{ADDRESS}/32", f"{ADDRESS}/24"), "somebody else's must stay"


@pytest.mark.parametrize("limit, rate", [(None, 1000), (100, 50), (1, 1)])
def test_stations_are_told_of_within_the_storm_limit(monkeypatch, limit, rate):
    (tunnel,) = parts()[2].tunnels
    now, sent = [0.0], []

    class Port:
        def __init__(self, *kind):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def bind(self, where):
            assert where == ("hubs", 0)

        def send(self, data):
            sent.append(now[0])

    monkeypatch.setattr(station_news.raw_socket, "Socket", Port)
    monkeypatch.setattr(station_news.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(station_news.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(station_news, "stations", lambda tunnel: tuple(("02:00:00:00:%02x:%02x" % divmod(number, 256), 0) for number in range(500)))
    monkeypatch.setattr(station_news, "_pvid", lambda tunnel: 1)
    station_news.send(tunnel._replace(storm_limit=limit))
    assert len(sent) == min(500, station_news.PATIENCE * rate + min(rate, station_news.BURST)) and sent[-1] <= station_news.PATIENCE
    for second in range(11):
        # As nft(8) counts: a burst of the limit, and that many a second.
        assert sum(second <= at < second + 1 for at in sent) <= (limit or 1000) + 1


def test_a_site_asks_each_hub_at_its_own_address():
    (tunnel,) = parts(wire=WALLED)[2].tunnels
    assert wire_steps.routes((tunnel,), ["l2w0"]) == {address: ("l2w0", 0) for address in (ADDRESS, "198.18.0.1", "198.18.0.2")}
    (tunnel,) = parts()[2].tunnels
    seen = Observed(told=frozenset(), ways_there={"wg0": {}})
    there = {"wg0": links()["wg0"]._replace(addresses=("198.18.0.3/32",))}
    steps, problems, more = site_peers.changes((tunnel,), there, seen)
    assert problems == () and [peer.site for peer in more["wg0"]] == ["site0", "site1"]
    assert {step.argv[3] for step in steps if step.argv[:3] == ("ip", "route", "add")} == {ADDRESS, "198.18.0.1", "198.18.0.2"}


def test_a_kept_site_stays_by_both_hubs(paths, monkeypatch):
    """An older copy without a site: its tunnel at a hub stands, and that to two hubs is never joined by one to a single hub."""
    monkeypatch.setattr(site_file.own_sites, "wires", lambda tunnels, keys: {nets.key(number): nets.site_tunnels.Wire("wg0")})
    monkeypatch.setattr(site_file, "path", lambda: nets.PATH)

    def wish(text):
        net = site_file.net(text, (), {})
        found = site_record.store.Wish(net.part.tunnels, (), (), net=net)
        monkeypatch.setattr(site_record.last_applied, "is_nixos", lambda name: False)
        steady = site_record.steady(found)
        site_record.write(steady.net.rows, ())
        return {tunnel.name: tunnel for tunnel in steady.tunnels}

    number = 0
    whole = nets.text(NET, 4)
    before = wish(whole)
    less = wish(whole.replace(nets.line(3), ""))
    assert less["site3"].hub_address == ADDRESS and set(less) == set(before)
    assert set(wish(whole.replace(nets.line(3), ""))) == set(before), "and by what is kept of it, too"
    assert set(wish(whole.replace(nets.line(1), ""))) == set(before), "a hub's line is lost: nothing changes"
    number = 2
    (paths / site_record.PATH.rpartition("/")[2]).unlink()
    assert set(wish(whole)) == {"hubs"} == set(wish(whole.replace(nets.line(1), "")))
    one = f"net hub=site1\n{whole.partition(chr(10))[2]}".replace(nets.line(0), "")
    assert set(wish(one)) == {"site1"}, "two ways to one hub are a ring"


class Router:
    def __init__(self, monkeypatch, walled=False):
        self.done, self.told, self.sent = [], [], []
        self.tunnels = parts(wire=WALLED)[2].tunnels if walled else parts()[2].tunnels
        self.name = self.tunnels[0].underlay
        self.peers = [Peer(nets.key(number), "", (), 0, 0, 0, None) for number in (0, 1)]
        self.ours = {(self.name, nets.key(number)) for number in (0, 1)}
        self.file = ""
        wished = type("Wish", (), {})
        wished.tunnels = self.tunnels
        monkeypatch.setattr(hub_watch.lock, "working", lambda: contextlib.nullcontext(True))
        monkeypatch.setattr(hub_watch.last_applied, "pending", lambda: False)
        monkeypatch.setattr(hub_watch.healing, "applied", lambda: wished)
        monkeypatch.setattr(hub_watch.link_table, "read", dict)
        monkeypatch.setattr(hub_watch.snapshot, "peers", lambda tunnels: Observed(peers={self.name: tuple(self.peers)}))
        monkeypatch.setattr(hub_watch.site_record, "told", lambda there, names: frozenset(self.ours))
        monkeypatch.setattr(hub_watch.files, "glance", lambda path: self.file)
        monkeypatch.setattr(hub_watch.executor, "apply", lambda steps: self.done.extend(" ".join(step.argv) for step in steps) or ())
        monkeypatch.setattr(hub_watch.log, "alarm", self.told.append)
        monkeypatch.setattr(hub_watch.station_news, "send", self.sent.append)


@pytest.mark.parametrize("walled", [False, True])
def test_a_move_is_one_command_is_told_once_and_announced(paths, monkeypatch, walled):
    router = Router(monkeypatch, walled)
    assert hub_watch.move(nets.key(1)) == ()
    inside = "ip netns exec l2wg " if walled else ""
    assert router.done == [f"{inside}wg set {router.name} peer {nets.key(1)} allowed-ips 198.18.0.2/32,{ADDRESS}/32"]
    assert router.told == ["site0 answers no longer: site1 is the hub that is listened to now"] and len(router.sent) == 1
    assert hub_choice.read() == nets.key(1) and (paths / hub_choice.KEPT).read_text() == f"{nets.key(1)}\n"
    assert f"\n{nets.key(1)} 198.18.0.2\n" in (paths / hub_record.PATH).read_text()


def test_nothing_moves_where_there_is_no_reason_or_no_right(paths, monkeypatch):
    router = Router(monkeypatch)
    hub_watch.move(nets.key(0))
    hub_watch.move(nets.key(5))
    router.file = f"[Peer]\nPublicKey = {nets.key(1)}\nAllowedIPs = 198.18.0.2/32\n"
    hub_watch.move(nets.key(1))
    router.file = ""
    router.ours.discard(("wg0", nets.key(0)))
    hub_watch.move(nets.key(1))
    router.ours.add(("wg0", nets.key(0)))
    last = router.peers.pop()
    hub_watch.move(nets.key(1))
    router.peers.append(last)
    monkeypatch.setattr(hub_watch.last_applied, "pending", lambda: True)
    hub_watch.move(nets.key(1))
    assert router.done == router.told == router.sent == [] and hub_choice.read() == ""


def test_check_tells_where_nobody_looks(monkeypatch):
    asked, code = [], [3]
    monkeypatch.setattr(watch.units, "run_here", lambda: True)
    monkeypatch.setattr(watch.process, "run", lambda argv: asked.append(argv) or types.SimpleNamespace(code=code[0]))
    scene = types.SimpleNamespace(tunnels=parts()[2].tunnels)
    (problem,) = watch._hubs(scene)
    assert problem.id == "hubs-unwatched" and problem.hint.startswith("systemctl enable --now l2wg-hubs.path")
    assert asked == [(watch.units.command("systemctl"), "-q", "is-active", "l2wg-hubs.timer")]
    code[0] = 0
    assert list(watch._hubs(scene)) == []
    code[0] = 3
    assert list(watch._hubs(types.SimpleNamespace(tunnels=parts()[0].tunnels))) == [], "a hub listens to nobody"
    monkeypatch.setattr(watch.units, "run_here", lambda: False)
    assert list(watch._hubs(scene)) == []


def test_the_frames_of_stations():
    mac = bytes.fromhex("020000000001")
    plain, tagged = station_frames.frame(mac), station_frames.frame(mac, 10)
    assert plain == b"\xff" * 6 + mac + bytes.fromhex("80350001080006040003") + mac + bytes(4) + mac + bytes(22)
    assert tagged[:20] == b"\xff" * 6 + mac + bytes.fromhex("8100000a80350001") and len(plain) == len(tagged) == 60
    assert station_frames.vlans("all") == (0,) and station_frames.vlans("untagged,10,20-22") == (0, 10, 20, 21, 22)
    assert len(station_frames.vlans("1-4094")) == station_frames.MOST_VLANS


def test_only_who_is_here_is_told_of(monkeypatch):
    (tunnel,) = parts()[2].tunnels
    said = """[{"mac":"02:00:00:00:00:01","ifname":"enp3s0","master":"br0","flags":[],"state":"","updated":30},
{"mac":"02:00:00:00:00:02","ifname":"enp3s0","master":"br0","flags":[],"state":"","updated":3,"vlan":1},
{"mac":"02:00:00:00:00:03","ifname":"hubs","master":"br0","flags":[],"state":"","updated":1},
{"mac":"02:00:00:00:00:04","ifname":"enp3s0","master":"br0","flags":[],"state":"permanent"},
{"mac":"02:00:00:00:00:05","ifname":"enp4s0","master":"br0","flags":[],"state":"","updated":5,"vlan":20}]"""
    asked = []
    monkeypatch.setattr(station_news.process, "feed", lambda argv, take: asked.append(argv) or take(said))
    bridge = Link("br0", 4, kind="bridge", mac="02:00:00:00:00:99", addresses=("192.168.92.1/24",))
    monkeypatch.setattr(station_news.link_table, "read", lambda: {"br0": bridge})
    found = station_news.stations(tunnel)
    assert asked == [("bridge", "-json", "-statistics", "fdb", "show", "br", "br0")]
    assert [(mac[-2:], vlan) for mac, vlan in found] == [("99", 0), ("02", 1), ("05", 20), ("01", 0)]
    frames = list(station_news._frames(tunnel, found))
    assert [frame[12:16].hex() for frame in frames] == ["80350001", "80350001", "81000014", "80350001"]
    monkeypatch.setattr(station_news.link_table, "read", lambda: {"br0": bridge._replace(addresses=())})
    assert len(station_news.stations(tunnel)) == 3, "a bridge without an address is nobody"


# A hub that changes its key: 9 is the new one, 1 the one that it has had until now.
CHANGING = nets.text(NET, 5).replace(nets.line(1), nets.line(1, f"was={nets.key(1)}", key=nets.key(9)))


@pytest.mark.parametrize("key", [nets.key(1), nets.key(9)])
def test_a_hub_that_changes_its_key_stays_the_one_that_is_listened_to(key):
    (tunnel,) = site_hubs.chosen(nets.part(CHANGING, 2).tunnels, key)
    assert site_hubs.listened(tunnel).site == "site1"
    assert f"\n{nets.key(9)},{nets.key(1)} 198.18.0.2\n" in hub_record.text((tunnel,)), "an answer by either is one"


def test_the_choice_goes_on_with_the_new_key(paths, monkeypatch):
    hub_choice.write(nets.key(1))
    tunnels = nets.part(CHANGING.replace(f" was={nets.key(1)}", ""), 2).tunnels
    assert site_hubs.listened(*site_file.listening(tunnels)).site == "site0", "a key of nobody"
    monkeypatch.setattr(site_file.changed_keys, "read", lambda: {nets.key(1): nets.key(9)})
    assert site_hubs.listened(*site_file.listening(tunnels)).site == "site1"


@pytest.mark.parametrize("came_with", [1, 9])
def test_a_move_is_to_the_key_that_a_hub_came_with_last(paths, monkeypatch, came_with):
    router = Router(monkeypatch)
    router.tunnels = nets.part(CHANGING, 2).tunnels
    hub_watch.healing.applied().tunnels = router.tunnels
    router.peers = [Peer(nets.key(number), "", (), 100 if number == came_with else 0, 0, 0, None) for number in (0, 1, 9)]
    router.ours = {("wg0", peer.key) for peer in router.peers}
    monkeypatch.setattr(hub_watch.snapshot, "peers", lambda tunnels: Observed(peers={"wg0": tuple(router.peers)}, now=110))
    assert hub_watch.move(nets.key(9)) == ()
    assert router.done == [f"wg set wg0 peer {nets.key(came_with)} allowed-ips 198.18.0.2/32,{ADDRESS}/32"]


def test_a_hub_that_changes_its_key_is_shown_as_listened_to():
    found = site_tables.net(CHANGING, 2)
    seen = site_tables.looked(found._replace(part=found.part._replace(tunnels=site_hubs.chosen(found.part.tunnels, nets.key(1)))))
    for key in (nets.key(1), nets.key(9)):
        seen.peers["wg0"] = seen.peers["wg0"]._replace(peers=(seen.peers["wg0"].peers[0]._replace(key=key),))
        now = status.build(seen)
        table = sites.build(found, nets.PATH, now)
        assert [row.listened for row in table.rows[:2]] == [False, True]
        said = [fault.message for fault in table.rows[1].faults if fault.key == "was"]
        assert said and said[0].startswith("it has come with" if key == nets.key(9) else "it changes its key")
        assert ('site="site1",public_key="%s"} 1' % nets.key(9)).replace(",", ", ").replace(", ", ",") in render_prometheus.render(now)


@pytest.mark.parametrize("came_with", [0, 90])
def test_a_hub_that_changes_its_key_is_named_by_either(came_with):
    """On the screen, in both pictures and in the metrics."""
    new = nets.line(90, f"was={nets.key(0)}", name="site0", addresses=("198.18.0.1",), endpoint="s0.example.org:51820")
    found = site_tables.net(nets.text(NET, 4).replace(nets.line(0), new), 2)
    seen = site_tables.looked(found)
    peers = tuple(peer._replace(key=nets.key(came_with)) if peer.key == nets.key(90) else peer for peer in seen.peers["wg0"].peers)
    state = status.build(seen._replace(peers={"wg0": seen.peers["wg0"]._replace(peers=peers)}))
    assert "site0 is listened to, site1 is not" in render_text.render(state)
    row = render_sites_json.document(sites.build(found, nets.PATH, state), "router", 0)["sites"][0]
    assert (row["public_key"], row["was"], row["peer"]["public_key"], row["listened"]) == (nets.key(90), nets.key(0), nets.key(came_with), True)
    assert "site0 is listened to, site1 is not" in render_diagram.render(state) and ">site0</text>" in render_svg.render(state)
    listened = [row for row in render_prometheus.render(state).splitlines() if row.startswith("l2wg_hub_listened{")]
    assert [row.endswith(" 1") for row in listened] == [True, False] and 'site="site0"' in listened[0]


def test_the_address_of_both_is_told_as_what_it_is():
    (tunnel,) = parts()[2].tunnels
    seen = Observed(told=frozenset(), ways_there={"wg0": {}}, peers={"wg0": ()}, elsewhere={ADDRESS: "a DNS server of this router"})
    there = {"wg0": links()["wg0"]._replace(addresses=("198.18.0.3/32",))}
    steps, (problem,), _ = site_peers.changes((tunnel,), there, seen)
    assert problem.message == f"{ADDRESS}, the address of both hubs, is a DNS server of this router: it would go into wg0"
    assert problem.hint == "another hub-address in the line of the net, at all sites"
    foreign = Peer("FOREIGN", "", (f"{ADDRESS}/32",), 0, 0, 0, None)
    _, (problem,), _ = site_peers.changes((tunnel,), there, seen._replace(elsewhere={}, peers={"wg0": (foreign,)}))
    assert "is among the AllowedIPs of the peer FOREIGN" in problem.message and problem.hint.endswith("another hub-address in the line of the net, at all sites")


def test_the_address_of_both_is_not_judged_anew(root):
    """A hub that is logged in here by the tunnel still is while WireGuard is made again."""
    applied = root / "var/lib/l2wg/applied"
    applied.parent.mkdir(parents=True, exist_ok=True)
    applied.write_text(json.dumps({store.SITES: nets.text(NET, 5)}))
    ends, wide = snapshot._applied_ends()
    assert ADDRESS in ends and "198.18.0.1" in ends and wide == set()
