"""A VXLAN with several remotes: the list of its file is its flood list, its way and its guard, and nobody else's."""

import json

import pytest
from l2wg_hooks.config import site_file, store, tunnel_file
from l2wg_hooks.model import FLOOD, Destination, Link, Observed, Peer, PolicyRoutes, Rules, Tunnel, Walls, Wire
from l2wg_hooks.netfilter import inner_guard, nftables
from l2wg_hooks.observe import fdb_table, peer_answers, snapshot
from l2wg_hooks.observe.peer_answers import LOOKS
from l2wg_hooks.plan import planner, policy_routes, wire_steps
from l2wg_hooks.probes import tunnel_packets
from l2wg_hooks.reconcile import look_record, wire_files
from l2wg_hooks.reconcile import peer_answers as answers
from l2wg_hooks.status import render_diagram, render_json, render_prometheus, render_svg, render_text, status
from l2wg_hooks.system import process
from recorded import seen

TEXT = "underlay = wg0\nlocal = 10.9.0.1\nbridge = br0\nencapsulation = vxlan\n"
A, B, C, STRANGER = "10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.99"


def parse(remote, text=TEXT):
    return tunnel_file.parse(f"{text}remote = {remote}\n", "/etc/l2wg/vx.conf", "vx")


def wish(remote, text=TEXT):
    tunnel, problems = parse(remote, text)
    assert problems == ()
    return tunnel


VX = wish(f"{A} {B}")
OWN = wish(f"{A} {B}", TEXT + "wire = own\n")
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420, addresses=("10.9.0.1/24",))
DEVICE = Link("vx", 7, "vxlan", up=True, mac=VX.mac, master="br0", alias="l2wg", local="10.9.0.1", key=1, port=4789, ttl=64)
LISTED = (Destination(FLOOD, A), Destination(FLOOD, B))
ADD_A, ADD_B = (f"bridge fdb append {FLOOD} dev vx dst {remote}" for remote in (A, B))


# The file


@pytest.mark.parametrize("value", ["{} {}", "{},{}", "{}, {}", "{}\t,{} ", ",{} {}"])
def test_a_list_is_by_space_or_comma(value):
    found = wish(value.format(A, B))
    assert (found.remote, found.remotes, found.far_ends) == ("", (A, B), (A, B))
    assert [end.remote for end in found.ends()] == [A, B]
    again, _ = tunnel_file.parse(tunnel_file.of(found), found.path, "vx")
    assert again == found


def test_a_list_may_be_of_one():
    """So that it can grow without a break."""
    found = wish(f"{A},")
    assert (found.remote, found.remotes) == ("", (A,)) and "remote" not in found.packing.link_words(found)
    assert tunnel_file.parse(tunnel_file.of(found), found.path, "vx")[0] == found


def test_one_is_as_ever():
    found = wish(A)
    assert (found.remote, found.remotes, found.far_ends) == (A, (), (A,))
    assert found.packing.link_words(found)[:6] == ["id", "1", "local", "10.9.0.1", "remote", A]


@pytest.mark.parametrize(
    "remote, text, said",
    [
        (f"{A} {B}", TEXT.replace("vxlan", "gretap"), "/etc/l2wg/vx.conf:5: remote: gretap takes one address, not a list"),
        (f"{A},", TEXT.replace("vxlan", "gretap"), "remote: gretap takes one address, not a list"),
        (f"{A} {A}", TEXT, f"{A} is named twice"),
        ("fd00::1 fd00:0::1", TEXT, "fd00::1 is named twice"),
        (f"{A} 10.9.0.1", TEXT, "10.9.0.1 is also local"),
        (f"{A} fd00::1", TEXT, "fd00::1 is of another family than local"),
        (f"{A} b.example", TEXT, "expected an IP address, not 'b.example'"),
        (",", TEXT, "expected an IP address, not ','"),
        (" ".join("10.8.0.%d" % number for number in range(1, 102)), TEXT, "101 addresses are too many"),
    ],
)
def test_what_is_no_list_is_told_with_its_line_and_a_cure(remote, text, said):
    tunnel, (problem,) = parse(remote, text)
    assert tunnel is None and said in str(problem) and problem.line == 5 and problem.hint


def test_two_tunnels_of_one_net_are_told_that_one_file_is_enough(etc):
    (etc / "vx.conf").write_text(TEXT + f"remote = {A}\n")
    (etc / "vy.conf").write_text(TEXT + f"remote = {B}\n")
    (problem,) = store.load().problems
    assert "vx has the same VNI and port" in problem.message and "one file, whose `remote` names all of them" in problem.hint


@pytest.mark.parametrize("more, said", [("", "vx leads to 10.9.0.3, too"), ("isolated = yes\n", "vx leads to"), ("bridge = br9\n", "")])
def test_a_second_tunnel_to_one_of_a_list_is_a_loop(etc, more, said):
    other = f"underlay = wg0\nlocal = 10.9.0.1\nremote = {B}\n{more or ''}" + ("" if "bridge" in more else "bridge = br0\n")
    (etc / "vx.conf").write_text(TEXT + f"remote = {A} {B}\n")
    (etc / "vy.conf").write_text(other)
    assert ["vx leads to" in problem.message for problem in store.load().problems] == [True] * bool(said)
    assert all(said in problem.message and problem.hint and problem.line for problem in store.load().problems)
    (etc / "vx.conf").write_text(TEXT + f"remote = {A} {B}\nisolated = yes\n")
    assert bool(store.load().problems) == (more == "")


def test_each_of_a_list_wins_over_a_site_of_the_file_of_sites():
    assert site_file.hand([VX], {"broken": f"remote = {C}, {STRANGER}\n"}).ends == {A, B, C, STRANGER}


def test_the_address_of_the_device_does_not_depend_on_the_list():
    """A site that comes or goes is no reason to make it anew."""
    assert VX.mac == wish(f"{A} {B} {C}").mac != wish(A).mac


# The plan


def plan(tunnel=VX, links=(BR0, WG0), floods=LISTED, **more):
    ways = policy_routes.by_table([], {})
    there = {link.name: link for link in links}
    found = Observed(ways=ways, floods={"vx": floods} if floods is not None and "vx" in there else {}, **more)
    return planner.plan((tunnel,), there, seen=found._replace(rules=Rules([nftables.entry(tunnel)], {tunnel.name: nftables.value(tunnel, there)})))


def said(todo, word="bridge"):
    return [str(step) for step in todo.steps if step.argv[0] == word]


def test_a_new_device_has_no_remote_and_all_of_the_list():
    todo = plan()
    (add,) = [step for step in todo.steps if step.argv[:3] == ("ip", "link", "add")]
    assert "remote" not in add.argv and "local 10.9.0.1 dstport 4789 learning" in str(add)
    assert said(todo) == [ADD_A, ADD_B]
    order = [str(step) for step in todo.steps]
    assert order.index(str(add)) < order.index(ADD_A) < order.index("ip link set dev vx up"), "one batch, before it is up"


def test_what_is_right_has_no_steps():
    assert said(plan(links=(BR0, WG0, DEVICE))) == []
    assert said(plan(links=(BR0, WG0, DEVICE), floods=LISTED[::-1])) == [], "in any order"


@pytest.mark.parametrize(
    "floods, steps",
    [
        ((), [ADD_A, ADD_B]),
        (LISTED[:1], [ADD_B]),
        (LISTED + (Destination(FLOOD, STRANGER),), [f"bridge fdb delete {FLOOD} dev vx dst {STRANGER}"]),
        (LISTED + (Destination("52:54:00:00:00:09", STRANGER),), [f"bridge fdb delete 52:54:00:00:00:09 dev vx dst {STRANGER}"]),
        (LISTED + (Destination("52:54:00:00:00:09", A),), []),
        (LISTED + (Destination(FLOOD, A, ("port", "8472")),), [f"bridge fdb delete {FLOOD} dev vx dst {A} port 8472"]),
    ],
)
def test_the_table_follows_the_list(floods, steps):
    todo = plan(links=(BR0, WG0, DEVICE), floods=floods)
    assert said(todo) == steps and all(step.reason and step.group == "vx" for step in todo.steps if step.argv[0] == "bridge")


def test_a_far_end_that_leaves_the_list_leaves_all_of_it():
    """Flood list, what was learnt there, its way and its guard: by one plan."""
    both, one = wish(f"{A} {B}"), wish(f"{A} {C}")
    table = policy_routes.Way("10.9.0.1", 4789).table
    rule = {"priority": 4789, "src": "10.9.0.1", "ipproto": "udp", "dport": 4789, "table": table}
    routes = {end: {"dst": end, "dev": "wg0", "metrics": [{"mtu": 1558}]} for end in (A, B)}
    ways = PolicyRoutes({table: [rule]}, {table: dict(routes, default={"type": "unreachable", "dst": "default"})})
    there = {link.name: link for link in (BR0, WG0, DEVICE)}
    rules = Rules([nftables.entry(both)], {"vx": nftables.value(both, there)})
    learnt = Destination("52:54:00:00:00:09", B)
    found = Observed(rules, ways, floods={"vx": LISTED + (learnt,)})
    todo = planner.plan((one,), there, seen=found)
    words = [str(step) for step in todo.steps]
    assert f"bridge fdb delete {FLOOD} dev vx dst {B}" in words and f"bridge fdb delete {learnt.mac} dev vx dst {B}" in words
    assert f"ip route del {B} dev wg0 table {table}" in words and not [word for word in words if "link delete" in word]
    assert todo.rules.entries[0]["ends"] == [["10.9.0.1", A], ["10.9.0.1", C]]
    assert words.index("nft -f " + nftables.FILE) < words.index(f"bridge fdb append {FLOOD} dev vx dst {C}"), "guarded before it is called"


def test_where_nobody_can_tell_what_the_table_has_it_stays():
    there = {link.name: link for link in (BR0, WG0, DEVICE)}
    assert [step for step in planner.plan((VX,), there, seen=Observed(floods=None)).steps if step.argv[0] == "bridge"] == []


@pytest.mark.parametrize("tunnel, device", [(VX, DEVICE._replace(remote=A)), (wish(A), DEVICE)])
def test_a_device_with_a_remote_is_no_device_with_a_list(tunnel, device):
    todo = plan(tunnel, (BR0, WG0, device))
    (delete,) = [step for step in todo.steps if step.argv[:3] == ("ip", "link", "delete")]
    assert "remote end is" in delete.reason and said(todo) == ([ADD_A, ADD_B] if tunnel is VX else [])


def test_a_list_is_not_looked_at_where_there_is_none(monkeypatch):
    monkeypatch.setattr(process, "feed", lambda *_: 1 / 0)
    assert snapshot._floods((wish(A),), {"vx": DEVICE}) is None and snapshot._floods((VX,), {}) == {}


# The own wire


L2W0 = WG0._replace(alias="l2wg", namespace="l2wg", link_netns="l2wg")
WALLS = Walls(True, routes={A: ("wg0", 1558), B: ("wg0", 1558)}, wires={"wg0": Wire(("10.9.0.1/24",), 1420)}, guard="")
INSIDE = DEVICE._replace(mac=OWN.mac, link_netns="l2wg")


def own(guard, *links, tunnel=OWN, **more):
    return plan(tunnel, (BR0, L2W0, *links), walls=WALLS._replace(guard=guard), **more)


def test_an_own_wire_has_its_guard_before_its_vxlan():
    todo = own("")
    words = [str(step) for step in todo.steps]
    load = f"ip netns exec l2wg nft -f {inner_guard.FILE}"
    made = [step for step in todo.steps if step.group == "vx"]
    assert words[0] == load and made and {step.needs for step in made} == {wire_steps.GUARD}, "no guard, no tunnel"
    assert todo.inside == inner_guard.text([OWN]) and todo.steps[0].needs == "wg0"
    assert [word for word in words if word.startswith("bridge")] == [ADD_A, ADD_B]


def test_a_guard_that_stands_is_left_alone_and_one_that_does_not_is_loaded():
    text = inner_guard.text([OWN])
    listing = text[len(inner_guard._EMPTY) :]
    assert own(listing, INSIDE).steps == () and own(listing, INSIDE).inside == ""
    lost = "".join(line for line in listing.splitlines(True) if "vmap" not in line)
    for other in ("", lost, inner_guard.text([wish(f"{A} {C}", TEXT + "wire = own\n")])[len(inner_guard._EMPTY) :]):
        assert [step.group for step in own(other, INSIDE).steps] == [wire_steps.GUARD]
    assert own(None, INSIDE).steps == (), "nobody has looked"


def test_only_the_list_is_let_in():
    text = inner_guard.text([OWN])
    assert f'10.9.0.1 . {A} . "wg0", 10.9.0.1 . {B} . "wg0"' in text and STRANGER not in text
    assert inner_guard.text([VX]) == "" and inner_guard.text([Tunnel("g", "wg0", "10.9.0.1", A, "br0", wire="own")]) == ""
    # Of one remote as of several: a branch that sends in another one's name is of both.
    assert "accept" in inner_guard.text([wish(A, TEXT + "wire = own\n")])


def test_a_tunnel_whose_file_is_broken_keeps_its_guard():
    listing = inner_guard.text([OWN, OWN._replace(name="vy", key=9)])
    there = {link.name: link for link in (BR0, L2W0, INSIDE)}
    assert not [step for step in planner.plan((OWN,), there, (), ("vy",), Observed(walls=WALLS._replace(guard=listing))).steps if "netns" in step.argv]


def test_the_rules_are_in_their_file_for_that_step_only(root):
    assert wire_files.write((), {}, "rules\n") == ()
    with open(inner_guard.FILE) as file:
        assert file.read() == "rules\n"
    wire_files.clear((), "rules\n")
    with pytest.raises(FileNotFoundError):
        open(inner_guard.FILE)


# What bridge(8) says

ROWS = [
    {"mac": "33:33:00:00:00:01", "ifname": "br0", "flags": ["self"], "state": "permanent"},
    {"mac": "52:54:00:00:00:05", "ifname": "vx", "master": "br0", "state": ""},
    {"mac": FLOOD, "ifname": "vx", "dst": A, "flags": ["self"], "state": "permanent"},
    {},
    {"mac": FLOOD, "ifname": "vx", "dst": STRANGER, "port": 8472, "vni": 9, "viaIf": "eth0", "flags": ["self"], "state": "permanent"},
    {"mac": "52:54:00:00:00:05", "ifname": "vx", "dst": A, "flags": ["self"], "state": ""},
    {"mac": "52:54:00:00:00:06", "ifname": "vx", "dst": STRANGER, "flags": ["self"], "state": ""},
    {"mac": FLOOD, "ifname": "other", "dst": A, "flags": ["self"], "state": "permanent"},
]
FOUND = (Destination(FLOOD, A), Destination(FLOOD, STRANGER, ("port", "8472", "vni", "9", "via", "eth0")), Destination("52:54:00:00:00:06", STRANGER))


def taken(rows, only=""):
    found = fdb_table.Destinations({"vx": {A, B}}, only)
    found.take(json.dumps(rows))
    return found.found()


def test_what_leads_to_others_is_seen_and_stations_behind_the_list_are_not():
    assert taken(ROWS) == {"vx": FOUND}
    bare = [{key: value for key, value in row.items() if key != "ifname"} for row in ROWS if row.get("ifname") == "vx"]
    assert taken(bare, "vx") == {"vx": FOUND}, "asked for one device, bridge(8) names none"


@pytest.mark.parametrize("change", [{"mac": "x; reboot"}, {"dst": "$(reboot)"}, {"dst": ""}, {"mac": ""}])
def test_what_is_no_address_is_no_word_of_a_command(change):
    assert taken([dict(ROWS[4], **change)]) == {"vx": ()}


def test_of_any_number_of_strangers_some_are_named():
    many = [dict(ROWS[6], mac="52:54:00:00:%02x:%02x" % divmod(number, 256)) for number in range(1000)]
    assert len(taken(many)["vx"]) == fdb_table.MOST_STRANGE


def test_what_cannot_be_read_is_not_taken_for_an_empty_list():
    found = fdb_table.Destinations({"vx": {A}})
    found.take("[{")
    assert found.found() is None
    found = fdb_table.Destinations({"vx": {A}})
    found.take('{"x": 1}')
    assert found.found() is None


def test_status_sees_it_by_the_same_process():
    found = fdb_table.Destinations({"vx": {A, B}})
    crowd = fdb_table.Crowd(found)
    crowd.take(json.dumps(ROWS))
    assert found.added() == {"vx": FOUND} and crowd.found()[1] == {"vx": 1} and crowd.is_whole()


def test_the_script_looks_at_it():
    assert "flood=vx" in look_record.words((VX,), {"vx": DEVICE}) and "inner" in look_record.words((OWN,), {})
    assert not {"flood=vx", "inner"} & set(look_record.words((wish(A),), {"vx": DEVICE}))


# Who answers


def peer(name, end, **more):
    return Peer(name, "", (end + "/32",), 0, 0, 0, None)._replace(**more)


def test_the_ports_go_when_all_peers_are_silent(monkeypatch):
    peers = {}
    monkeypatch.setattr(snapshot, "peers", lambda tunnels: Observed(peers={"wg0": tuple(peers.values())}))
    monkeypatch.setattr(answers, "_echoed", lambda tunnels: set())
    peers.update(a=peer("a", A), b=peer("b", B))
    rows = {}
    for number in range(LOOKS + 2):
        peers["b"] = peer("b", B, received=100 * (number + 1))
        rows = answers._count((VX,), rows)
    assert peer_answers.down(rows) == (), "one of them answers"
    for _ in range(LOOKS):
        rows = answers._count((VX,), rows)
    assert peer_answers.down(rows) == ("vx",)
    peers["a"] = peer("a", A, handshake=7)
    assert peer_answers.down(answers._count((VX,), rows)) == ()


# Status

PEERS = "private\tpublic\t51820\toff\nONE\t(none)\t192.0.2.9:1\t%s/32\t%d\t5\t6\toff\nTWO\t(none)\t(none)\t%s/32\t0\t0\t0\toff\n"


def built_peers(base):
    from l2wg_hooks.observe import wg_interfaces

    return {"wg0": wg_interfaces.parse(PEERS % (A, int(base.time) - 9, B))}


@pytest.fixture
def built():
    base = seen("right-a", {"gretap1": TEXT.replace("10.9.0.1", "192.168.178.1") + f"remote = {A} {B} {C}\n"})
    return status.build(base._replace(peers=built_peers(base)))


def test_each_peer_is_told_of_by_its_address(built):
    (state,) = built.tunnels
    about = [(fault.far, fault.message) for fault in built.of("gretap1") if fault.far]
    assert [far for far, _ in about] == [B, C] and f"the peer {B}" in about[0][1] and C in about[1][1]
    assert state.heard == 1 and state.peer.key == "ONE", "the one that was heard"
    document = render_json.document(built)["tunnels"][0]
    assert document["remote"] is None and document["peer"] is None
    assert [(row["address"], row["peer"] and row["peer"]["public_key"]) for row in document["remotes"]] == [(A, "ONE"), (B, "TWO"), (C, None)]
    metrics = render_prometheus.render(built)
    assert f'l2wg_tunnel_remote_info{{tunnel="gretap1",remote="{B}",site="",public_key="TWO"}} 1' in metrics
    assert metrics.count("l2wg_peer_last_handshake_timestamp_seconds{") == 2
    screen = render_text.render(built)
    assert f"{A}: ONE" in screen.replace("\n", " ") and f"{C}: none" in screen
    for text in (render_diagram.render(built), render_svg.render(built)):
        assert "1 of 3 peers" in text and all(far in text for far in (A, B, C))


LEARNT = [
    {"mac": "02:00:00:00:00:01", "ifname": "gretap1", "dst": A, "flags": ["self"], "state": "reachable"},
    {"mac": "02:00:00:00:00:02", "ifname": "gretap1", "dst": A, "flags": ["self"], "state": ""},
    {"mac": "02:00:00:00:00:03", "ifname": "gretap1", "dst": B, "flags": ["self"], "state": "stale"},
    {"mac": FLOOD, "ifname": "gretap1", "dst": A, "flags": ["self"], "state": "permanent"},
    {"mac": "02:00:00:00:00:09", "ifname": "gretap1", "dst": STRANGER, "flags": ["self"], "state": ""},
    {"mac": "02:00:00:00:00:01", "ifname": "gretap1", "master": "br0", "state": "", "updated": 5},
    {"mac": "02:00:00:00:00:03", "ifname": "gretap1", "master": "br0", "state": "", "updated": 7, "vlan": 9},
    {"mac": "02:00:00:00:00:08", "ifname": "gretap1", "master": "br0", "state": "", "updated": 9},
    {"mac": "02:00:00:00:00:01", "ifname": "enp3s0", "master": "br0", "state": "", "updated": 5},
]


def heard_by(rows):
    destinations = fdb_table.Destinations({"gretap1": {A, B, C}}, learns=True)
    crowd = fdb_table.Crowd(destinations)
    crowd.take(json.dumps(rows))
    return destinations, crowd.found()


def test_who_is_behind_which_site_is_told(built, monkeypatch):
    for rows in (LEARNT, LEARNT[::-1]):
        destinations, (stations, totals) = heard_by(rows)
        assert destinations.behind == {"gretap1": {A: 2, B: 1}}
        assert [(station.mac[-2:], station.far) for station in stations["gretap1"]] == [("01", A), ("03", B), ("08", "")]
        assert stations["enp3s0"][0].far == "", "the same address at a card is there"
    base = seen("right-a", {"gretap1": TEXT.replace("10.9.0.1", "192.168.178.1") + f"remote = {A} {B} {C}\n"})
    found = status.build(base._replace(stations=stations, crowds=totals, behind=destinations.behind, peers=built_peers(base)))
    screen = " ".join(render_text.render(found).split())
    assert "02:00:00:00:00:01 (at 10.9.0.2, 5 s ago)" in screen.replace(A, "10.9.0.2") and f"(at {B}, 7 s ago, VLAN 9)" in screen
    assert ", 2 MACs" in screen and ", 1 MAC" in screen
    document = render_json.document(found)
    assert [row["stations_total"] for row in document["tunnels"][0]["remotes"]] == [2, 1, 0]
    (port,) = [port for bridge in document["bridges"] for port in bridge["ports"] if port["name"] == "gretap1"]
    assert [station["remote"] for station in port["stations"]] == [A, B, None]


def test_of_any_number_of_stations_so_many_are_placed_and_all_are_counted():
    rows = [{"mac": "02:00:%02x:%02x:%02x:01" % (n >> 16, n >> 8 & 255, n & 255), "ifname": "gretap1", "dst": B} for n in range(5000)]
    destinations, _ = heard_by(rows)
    assert destinations.behind == {"gretap1": {B: 5000}} and len(destinations.learnt["gretap1"]) == fdb_table.MOST
    # Nobody else asks.
    plain = fdb_table.Destinations({"gretap1": {B}})
    plain.take(json.dumps(rows))
    assert plain.behind == {"gretap1": {}} == plain.learnt


def test_it_carries_as_long_as_one_is_there():
    def judged(*fars):
        faults = tuple(status.Fault(status.WRONG, "vx", "x", far=far) for far in fars)
        state = status.State(VX, True, True, True, 1500, 1350, None, True, status.Underlay("wg0", True), {}, None, {}, None)
        found = status.Status("h", 0, (state,), (), faults, {}, True, status.grouped(faults))
        return found.carries(state), found.well(state)

    assert judged() == (True, True) and judged(A) == (True, False)
    assert judged(A, B) == judged("") == judged(A, "") == (False, False)


def test_a_flood_list_that_lacks_somebody_is_told():
    base = seen("right-a", {"vx": TEXT + f"remote = {A} {B}\n"})
    links = dict(base.links, vx=DEVICE)
    found = status.build(base._replace(links=links, floods={"vx": LISTED[:1]}))
    assert [fault.message for fault in found.of("vx") if B in fault.message and "hear" in fault.message] == [f"{B} is to hear what is for all"]


# Check


def test_who_sends_and_is_in_no_list_is_told_of_once():
    right = {tunnel_packets.wished(VX, end) for end in VX.ends()}
    other = tunnel_packets.Carrier("vxlan", STRANGER, "10.9.0.1", 1, 4789)
    came = [*right, other, other, other._replace(number=2), other._replace(target="10.9.0.7")]
    (problem,) = tunnel_packets.uninvited(VX, came, right)
    assert problem.id == "ends-differ" and STRANGER in problem.message
    assert f"l2wg set vx 'remote={A} {B} {STRANGER}'; l2wg apply" in problem.hint
    assert list(tunnel_packets.uninvited(VX, came, right | {other})) == [], "another tunnel's"
    assert tunnel_packets.stranger(VX, VX.ends()[0], [other], right) is None, "no reason to put it in the place of all"
    assert tunnel_packets.stranger(VX, VX.ends()[0], [other._replace(source=A, number=9)], right)
