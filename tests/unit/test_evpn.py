"""`control = evpn`: FRR fills the table of the device; its prefix is the guard and the way, and no list of ours is kept."""

import base64
import ipaddress
import json
import types

import pytest
from conftest import GOLDEN
from l2wg_hooks.check import evpn, scene
from l2wg_hooks.commands import frr as command
from l2wg_hooks.config import card, edit, frr_speaker, frr_text, site_faults, site_lines, site_tunnels, store, tunnel_file, wg_quick_peers, wg_quick_routes, wire_peers
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import FLOOD, Destination, Link, Observed, Peer, PolicyRoutes, Rules
from l2wg_hooks.netfilter import inbound, nftables, nftables_state, rule_groups
from l2wg_hooks.observe import fdb_table, frr, link_table, snapshot, vteps
from l2wg_hooks.pairing import unpair
from l2wg_hooks.plan import peer_endpoints, planner, policy_routes, site_peers
from l2wg_hooks.status import render_diagram, render_json, render_prometheus, render_svg, render_text, site_export, status
from l2wg_hooks.system import json_fields, process
from recorded import seen

NET = "198.18.0.0/15"
TEXT = "underlay = wg0\nlocal = 198.18.0.1\nbridge = br0\nencapsulation = vxlan\ncontrol = evpn\n"
OTHERS = ("198.18.0.2", "198.18.0.3", "198.18.0.4")


def parse(text=TEXT, remote=NET, name="evpn0"):
    return tunnel_file.parse(f"{text}remote = {remote}\n", f"/etc/l2wg/{name}.conf", name)


def wish(text=TEXT, remote=NET, name="evpn0"):
    tunnel, problems = parse(text, remote, name)
    assert problems == ()
    return tunnel


VX = wish()
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420, addresses=("198.18.0.1/15",))
DEVICE = Link(
    "evpn0", 7, "vxlan", up=True, mac=VX.mac, master="br0", alias="l2wg", local="198.18.0.1", key=1, port=4789, ttl=64, odd=("nolearning",),
    port_learning=False, neigh_suppress=True,
)  # fmt: skip
SLAVE = "ip link set dev evpn0 type bridge_slave learning off neigh_suppress on"
TABLE = policy_routes.Way("198.18.0.1", 4789).table


# The file


def test_a_prefix_is_no_end():
    assert (VX.remote, VX.remotes, VX.senders, VX.control) == ("", (), NET, "evpn")
    assert VX.far_ends == () and VX.ends() == () and [end.remote for end in VX.reach()] == [NET] and VX.leads_to == NET
    again, _ = tunnel_file.parse(tunnel_file.of(VX), VX.path, "evpn0")
    assert again == VX
    assert not edit.differs(VX, "remote", NET) and edit.differs(VX, "remote", "198.18.0.0/16") and edit.differs(VX, "remote", "198.18.0.2")
    six = wish(TEXT.replace("198.18.0.1", "fd00::1"), "FD00::/8")
    assert six.senders == "fd00::/8" and six.family == 6


@pytest.mark.parametrize(
    "text, remote, line, said, cure",
    [
        (TEXT.replace("control = evpn\n", ""), NET, 5, f"remote: {NET} is a prefix, and only with control = evpn", "add control = evpn"),
        (TEXT.replace("evpn\n", "learning\n"), NET, 6, f"remote: {NET} is a prefix, and only with", "name the address of each"),
        (TEXT.replace("vxlan", "gretap"), NET, 5, "control: evpn is for a VXLAN, whose table FRR fills, and this is a gretap", "write encapsulation = vxlan"),
        (TEXT + "wire = own\n", NET, 5, "control: FRR has to see the device and the other sites in one network namespace", "write wire = shared"),
        (TEXT, "198.18.0.2", 6, "remote: with evpn FRR finds the far ends, and `remote` says where these may be", "write remote = PREFIX"),
        (TEXT, "198.18.0.2 198.18.0.3", 6, "a prefix, not a list of 2 addresses", "198.18.0.0/15"),
        (TEXT, f"{NET} 10.9.0.2", 6, "has a prefix beside other addresses", "a prefix stands alone"),
        (TEXT, f"{NET},{NET}", 6, "has a prefix beside other addresses", "a prefix stands alone"),
        (TEXT, "fd00::/8", 6, "fd00::/8 is of another family than local", "both IPv4, or both IPv6"),
        (TEXT + "peer-down = port\nbridge-ports = enp3s0\n", NET, 6, "peer-down: with control = evpn nobody can tell who has to answer", "take this line out"),
        (TEXT, "198.18.0.1/15", 6, "198.18.0.1/15 is no prefix: there is something behind its 15 bits", "write 198.18.0.0/15"),
        (TEXT, "198.18.0.2/32", 6, "198.18.0.2/32 is one address", "198.18.0.2"),
        (TEXT, "0.0.0.0/0", 6, "0.0.0.0/0 cannot be where the ends of a tunnel are", "AllowedIPs"),
        (TEXT, "224.0.0.0/8", 6, "cannot be where the ends of a tunnel are", "AllowedIPs"),
        (TEXT, "198.18.0.0/33", 6, "expected an address, or a prefix", "198.18.0.0/15"),
        (TEXT, "198.018.0.0/15", 6, "expected an address, or a prefix", "198.18.0.0/15"),
        (TEXT, "a/15", 6, "expected an address, or a prefix, not 'a/15'", "198.18.0.0/15"),
        (TEXT.replace("evpn\n", "bgp\n"), NET, 5, "control: unknown value 'bgp'", "one of: learning, evpn"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_its_line_and_a_cure(text, remote, line, said, cure):
    tunnel, problems = parse(text, remote)
    (problem,) = [problem for problem in problems if said in str(problem)]
    assert tunnel is None and cure in problem.hint and problem.path == "/etc/l2wg/evpn0.conf"
    assert problem.line == line or "wire" in text or "peer-down" in text


@pytest.mark.parametrize(
    "more, said",
    [
        ("bridge = br0\nremote = 198.18.0.9\n", "evpn0 leads to"),
        ("bridge = br0\nremote = 198.18.0.9\nisolated = yes\n", "evpn0 leads to"),
        ("bridge = br9\nremote = 198.18.0.9\n", ""),
        ("bridge = br0\nremote = 10.9.0.9\n", ""),
    ],
)
@pytest.mark.parametrize("name", ["aa", "zz"])
def test_a_second_tunnel_to_one_of_the_prefix_is_a_loop(etc, more, said, name):
    """By whichever order the files have."""
    (etc / "evpn0.conf").write_text(f"{TEXT}remote = {NET}\n")
    (etc / f"{name}.conf").write_text("underlay = wg0\nlocal = 198.18.0.1\n" + more)
    found = store.load().problems
    assert len(found) == bool(said) and all("that is a loop" in problem.message and problem.hint and problem.line for problem in found)
    (etc / "evpn0.conf").write_text(f"{TEXT}remote = {NET}\nisolated = yes\n")
    assert bool(store.load().problems) == (bool(said) and "isolated" not in more)


def test_two_ways_from_one_address_are_refused(etc):
    (etc / "evpn0.conf").write_text(f"{TEXT}remote = {NET}\n")
    other = TEXT.replace("wg0", "wg1").replace("br0", "br1").replace("control = evpn\n", "key = 9\n")
    (etc / "vx.conf").write_text(other + "remote = 198.18.0.2\n")
    (problem,) = store.load().problems
    assert problem.key == "underlay" and "evpn0 leads to 198.18.0.2, too, by wg0" in problem.message and "port" in problem.hint
    (etc / "vx.conf").write_text(other + "remote = 198.18.0.2\nport = 8472\n")
    assert store.load().problems == ()


# The plan


def plan(*links, ways=PolicyRoutes({}, {}), tunnel=VX):
    there = {link.name: link for link in (BR0, WG0, *links)}
    rules = Rules([nftables.entry(tunnel)], {tunnel.name: nftables.value(tunnel, there)})
    return planner.plan((tunnel,), there, seen=Observed(rules, ways, floods={}))


def words(todo):
    return [str(step) for step in todo.steps]


def test_a_new_device_learns_nothing_and_gets_no_list():
    todo = words(plan())
    (add,) = [word for word in todo if word.startswith("ip link add")]
    assert add.endswith("type vxlan id 1 local 198.18.0.1 dstport 4789 nolearning ttl 64")
    assert not [word for word in todo if word.startswith("bridge")], "FRR's"
    assert todo.index(add) < todo.index("ip link set dev evpn0 master br0") < todo.index(SLAVE) < todo.index("ip link set dev evpn0 up")


def test_its_way_is_the_prefix_and_nothing_else():
    todo = words(plan())
    lock = f"ip route replace unreachable 0.0.0.0/0 table {TABLE} metric 4294967295 proto kernel"
    route = f"ip route replace {NET} dev wg0 table {TABLE} mtu 1558 proto kernel"
    rule = f"ip rule add priority 4789 from 198.18.0.1 ipproto udp dport 4789 table {TABLE} protocol kernel"
    assert [word for word in todo if word.startswith(("ip route", "ip rule"))] == [lock, route, rule]
    found = {"priority": 4789, "src": "198.18.0.1", "ipproto": "udp", "dport": 4789, "table": TABLE}
    routes = [{"dst": NET, "dev": "wg0", "metrics": [{"mtu": 1558}]}, {"type": "unreachable", "dst": "default"}]
    ways = policy_routes.by_table([found], {TABLE: routes})
    assert plan(DEVICE, ways=ways).steps == (), "what is right has no steps"
    assert policy_routes.Ways((VX,), ways).stale((VX,)) == []
    gone = [" ".join(argv) for argv, _, _ in policy_routes.Ways((), ways).stale(())]
    assert f"ip route del {NET} dev wg0 table {TABLE}" in gone and len(gone) == 3


@pytest.mark.parametrize("change", [{"port_learning": True}, {"neigh_suppress": False}])
def test_the_port_is_mended_in_place(change):
    todo = words(plan(DEVICE._replace(**change)))
    assert SLAVE in todo and not [word for word in todo if "link delete" in word]


@pytest.mark.parametrize(
    "tunnel, device, said",
    [
        (VX, DEVICE._replace(odd=()), "learning is on, not off"),
        (wish(TEXT.replace("control = evpn\n", ""), "198.18.0.2 198.18.0.3"), DEVICE, "it was made with nolearning"),
        (VX, DEVICE._replace(odd=("nolearning", "gbp")), "it was made with gbp"),
    ],
)
def test_a_device_that_learns_is_another_one(tunnel, device, said):
    (delete,) = [step for step in plan(device, tunnel=tunnel).steps if step.argv[:3] == ("ip", "link", "delete")]
    assert said in delete.reason


def test_what_frr_has_put_there_stays():
    floods = {"evpn0": tuple(Destination(FLOOD, end) for end in (*OTHERS, "203.0.113.9"))}
    (led,) = vteps.led((VX,), floods)
    there = {link.name: link for link in (BR0, WG0, DEVICE)}
    for tunnel, found in ((VX, floods), (led, floods), (led, {}), (led, {"evpn0": (*floods["evpn0"], Destination(FLOOD, "203.0.113.8"))})):
        todo = planner.plan((tunnel,), there, seen=Observed(floods=found))
        assert not [step for step in todo.steps if step.argv[0] == "bridge"]
    assert snapshot._floods((VX,), there) is None, "no event asks for it"


def test_the_port_says_what_it_does():
    entry = {"ifname": "evpn0", "ifindex": 7, "linkinfo": {"info_kind": "vxlan", "info_slave_data": {"learning": False, "neigh_suppress": True}}}
    found = link_table.parse(json.dumps([entry, {"ifname": "x", "ifindex": 8}]))
    assert (found["evpn0"].port_learning, found["evpn0"].neigh_suppress) == (False, True)
    assert (found["x"].port_learning, found["x"].neigh_suppress) == (True, False)


# The guard


def test_the_guard_takes_the_prefix_by_plain_rules():
    """Of sets: nft 0.9.0 has none of addresses and prefixes together."""
    text = nftables.render([nftables.entry(VX)])
    assert f'ip saddr {NET} ip daddr 198.18.0.1 iifname "wg0" accept' in text
    assert 'udp dport 4789 @th,96,24 { 1 } ip saddr 198.18.0.1 oifname != "wg0" counter name "leaked_1" drop' in text
    assert f'udp dport 4789 ip saddr 198.18.0.1 ip daddr {NET} iifname "evpn0" accept' in text
    assert "@vxlan" not in text and "@leaked" not in text and "elements = {  }" not in text
    mixed = [nftables.entry(tunnel) for tunnel in (VX, wish(TEXT.replace("control = evpn\n", "key = 9\n"), "198.18.0.2", "vx"))]
    both = nftables.render(mixed)
    assert "198.18.0.1 . 198.18.0.2" in both and f"198.18.0.1 . {NET}" not in both
    assert sorted(rule_groups.counters(rule_groups.guard(mixed))) == ["forged_1", "forged_2", "leaked_1", "leaked_2"]


@pytest.mark.parametrize("remote, right", [(NET, True), ("fd00::/8", True), ("198.18.0.0/15; drop", False), ("/", False), ("", False), ("a b/3", False)])
def test_what_is_kept_of_a_prefix_is_looked_at(remote, right):
    entry = dict(nftables.entry(VX), ends=[["198.18.0.1", remote]])
    assert nftables.fits(entry, nftables.value(VX, {})) == right


def test_what_it_drops_is_that_tunnels():
    listing = """table inet l2wg {
	counter leaked_1 {
		packets 3 bytes 5
	}
	counter forged_1 {
		packets 4 bytes 5
	}
	chain forged {
		ip saddr 198.18.0.1 ip daddr 198.18.0.0/15 udp dport 4789 counter name "forged_1" drop
	}
	chain to_outside {
		udp dport 4789 @th,96,24 0x1 ip saddr 198.18.0.1 oifname != "wg0" counter name "leaked_1" drop
	}
}
"""
    assert nftables_state._packets(listing) == {("leak", "198.18.0.1", NET): 3, ("forgery", "198.18.0.1", NET): 4}


# Who is there

ROWS = [{"mac": FLOOD, "ifname": "evpn0", "dst": end, "flags": ["self"], "state": "permanent"} for end in OTHERS]
ROWS += [{"mac": "52:54:00:00:00:%02x" % number, "ifname": "evpn0", "dst": OTHERS[0], "flags": ["self", "extern_learn"]} for number in range(250)]


def test_the_flood_list_says_who_is_there_however_many_stations():
    found = fdb_table.Destinations(vteps.wanted((VX,)))
    found.take(json.dumps(ROWS[3:] + ROWS[:3]))
    (led,) = vteps.led((VX,), found.found())
    assert led.remotes == OTHERS and led.senders == NET and led.far_ends == OTHERS
    assert nftables.entry(led) == nftables.entry(VX) and led.mac == VX.mac, "the guard is that of the prefix"


def test_nobody_asks_where_there_is_no_such_tunnel(monkeypatch):
    monkeypatch.setattr(process, "feed", lambda *_: 1 / 0)
    other = wish(TEXT.replace("control = evpn\n", ""), "198.18.0.2")
    assert vteps.look((other,)) == (other,)


@pytest.fixture
def built():
    def build(ends=OTHERS):
        base = seen("right-a", {"evpn0": f"{TEXT}remote = {NET}\n"})
        wished = base.wished._replace(tunnels=vteps.led(base.wished.tunnels, {"evpn0": tuple(Destination(FLOOD, end) for end in ends)}))
        return status.build(base._replace(wished=wished, links=dict(base.links, evpn0=DEVICE)))

    return build


def test_status_says_how_many(built):
    found = built()
    assert "FRR has put 3 far ends into its table" in " ".join(render_text.render(found).split())
    (document,) = render_json.document(found)["tunnels"]
    assert document["evpn"] == {"prefix": NET, "far_ends": 3} and [row["address"] for row in document["remotes"]] == list(OTHERS)
    assert 'l2wg_evpn_far_ends{tunnel="evpn0"} 3' in render_prometheus.render(found)
    assert f'remote="{NET}"' in render_prometheus.render(found)
    assert "by FRR 3 far ends" in render_diagram.render(found) and NET in render_svg.render(found)
    assert not [fault for fault in found.of("evpn0") if "no far end" in fault.message]


def test_status_says_that_there_is_nobody(built):
    found = built(())
    (fault,) = [fault for fault in found.of("evpn0") if "no far end" in fault.message]
    assert fault.level == status.WRONG and "l2wg check" in fault.hint
    for render in (render_text, render_diagram, render_svg, render_prometheus):
        assert NET in render.render(found)


def test_of_any_number_behind_one_hub_one_fault_is_told(built):
    ends = tuple("198.18.%d.%d" % divmod(number, 250) for number in range(300, 700))
    assert len([fault for fault in built(ends).of("evpn0") if fault.far]) <= 1


# FRR's text


def speaker(own, *reflectors, **more):
    return frr_speaker.speaker((VX._replace(local=own),), reflectors, {"198.18.0.1": "hq"}, **more)


@pytest.mark.parametrize("name, own", [("reflector", "198.18.0.1"), ("site", "198.18.0.7")])
def test_the_text_is_that_of_the_golden_file(name, own):
    assert frr_text.text(speaker(own, "198.18.0.1", "198.18.0.2")) == (GOLDEN / "frr" / f"{name}.conf").read_text()


def test_a_router_id_is_an_ipv4_address():
    assert frr_text.router_id("fd00::c612:7") == "198.18.0.7"


def test_the_command_takes_its_reflectors_by_name_or_from_the_net(etc, capsys):
    (etc / "evpn0.conf").write_text(f"{TEXT}remote = {NET}\n")
    options = types.SimpleNamespace(tunnel=None, reflector=["198.18.0.2", "198.18.0.2"], as_number=65001)
    assert command.run(options) == ((), 0)
    said = capsys.readouterr().out
    assert "router bgp 65001" in said and said.count("neighbor 198.18.0.2 ") == 1 and "route-reflector-client" not in said


@pytest.mark.parametrize(
    "files, more, said, cure",
    [
        ({}, {}, "no tunnel has control = evpn", "l2wg set TUNNEL encapsulation=vxlan control=evpn"),
        ({"evpn0": TEXT}, {"tunnel": "vx"}, "vx is no tunnel with control = evpn", "these are: evpn0"),
        ({"evpn0": TEXT}, {}, "which sites are the reflectors, nobody says", "l2wg frr --reflector"),
        ({"evpn0": TEXT}, {"reflector": ["10.0.0.1"]}, "10.0.0.1, a reflector, is outside of 198.18.0.0/15", "widen `remote`"),
        ({"evpn0": TEXT.replace("198.18.0.1", "10.1.1.1")}, {"reflector": ["198.18.0.2"]}, "10.1.1.1, its own address, is outside", "widen"),
        (
            {"a": TEXT, "b": TEXT.replace("198.18.0.1", "198.18.0.9").replace("br0", "br1") + "key = 2\n"},
            {"reflector": ["198.18.0.1"]},
            "a and b have different `local`",
            "l2wg frr a",
        ),
    ],
)
def test_what_it_cannot_print_it_says_with_a_cure(etc, files, more, said, cure):
    for name, text in files.items():
        (etc / f"{name}.conf").write_text(f"{text}remote = {NET}\n")
    options = types.SimpleNamespace(**dict({"tunnel": None, "reflector": [], "as_number": 65000}, **more))
    with pytest.raises(L2wgError) as error:
        command.run(options)
    (problem,) = error.value.problems
    assert said in problem.message and cure in problem.hint


# What FRR says: recorded from Debian 12's FRR 8.4.4, at a reflector of four sites


def golden(name):
    return (GOLDEN / "frr" / f"{name}.json").read_text()


def answers(**more):
    found = evpn.Answers(frr.vnis(golden("vnis")), frr.summary(golden("summary")), frr.originators(golden("routes")), 5000)
    return found._replace(**more)


LED = VX._replace(remotes=OTHERS)


def judged(found, tunnel=LED, ports=("evpn0",)):
    return [(problem.id, problem.message, problem.hint) for problem in evpn.judge((tunnel,), found, ports)]


def test_what_frr_prints_is_read():
    found = answers()
    assert found.vnis == {1: frr.Vni(1, "evpn0", ("198.18.0.4", "198.18.0.3", "198.18.0.2"))}
    assert found.summary.as_number == 65000 and found.summary.dynamic == 2
    assert [(row.address, row.state, row.dynamic) for row in found.summary.neighbors][0] == ("198.18.0.2", "Established", False)
    assert found.originators == {f"198.18.0.{number}": ("65000:1",) for number in (1, 2, 3, 4)}
    stale = frr.originators(golden("routes").replace('"valid":true', '"valid":false'))
    assert stale == {}, "what BGP itself does not use"
    assert frr.listen_limit((GOLDEN / "frr" / "running-config").read_text()) == 5000 and frr.listen_limit("router bgp 1\n") == 100


def test_what_is_right_is_no_problem():
    assert judged(answers()) == []


def test_daemons_that_do_not_run_are_told():
    (zebra,) = judged(answers(vnis=None))
    assert zebra[0] == "frr-not-running" and zebra[1].startswith("zebra") and "bgpd=yes" in zebra[2]
    (bgpd,) = judged(answers(summary=None, originators={}))
    assert bgpd[0] == "frr-not-running" and bgpd[1].startswith("bgpd")
    assert [row[0] for row in judged(answers(vnis={}, summary=None, originators={}))] == ["frr-not-running"], "zebra has no VNI without it"
    (bare,) = judged(answers(summary=frr.summary("{}"), originators={}))
    assert bare[0] == "frr-no-bgp" and "l2wg frr" in bare[2]


def test_a_reflector_that_is_away_is_told_and_a_site_is_not():
    rows = answers().summary.neighbors
    away = answers().summary._replace(neighbors=(rows[0]._replace(state="Active"), rows[1]._replace(state="Active"), rows[2]))
    (problem,) = judged(answers(summary=away))
    assert problem[0] == "evpn-session" and "198.18.0.2 (Active): no reflector tells of any other site" in problem[1] and "ping -I 198.18.0.1 198.18.0.2" in problem[2]
    one = away._replace(neighbors=(*away.neighbors, rows[0]._replace(address="198.18.0.8")))
    assert "no reflector" not in judged(answers(summary=one))[0][1]


def test_sites_that_bgp_knows_and_the_kernel_lacks_are_told():
    (problem,) = judged(answers(), LED._replace(remotes=OTHERS[:1]))
    assert problem == ("evpn-flood", "BGP knows 2 sites that the flood list of evpn0 lacks: 198.18.0.3, 198.18.0.4", "systemctl restart frr # FRR issue 19121")
    assert judged(answers(), LED._replace(key=7, remotes=()), ())[:1] == [], "of another VNI"


def test_the_limit_of_those_who_call_is_told():
    (problem,) = judged(answers(limit=2))
    assert problem[0] == "evpn-limit" and "2 sites have called" in problem[1] and "bgp listen limit 5000" in problem[2]
    assert judged(answers(limit=3)) == []


def test_a_device_that_zebra_does_not_know_is_told():
    assert judged(answers(vnis={}))[0][:2] == ("evpn-device", "zebra of FRR does not know evpn0, which has VNI 1")
    assert judged(answers(vnis={}), ports=()) == [], "it is down, and that is told of elsewhere"
    assert "has vx9 for VNI 1" in judged(answers(vnis={1: frr.Vni(1, "vx9", ())}))[0][1]


def test_a_far_end_outside_of_the_prefix_is_told():
    (problem,) = judged(answers(), LED._replace(remotes=(*OTHERS, "203.0.113.9")))
    assert problem[0] == "evpn-outside" and "bridge fdb delete 00:00:00:00:00:00 dev evpn0 dst 203.0.113.9" in problem[2]


@pytest.mark.parametrize("text", ["[]", "{", '{"peers": []}', '{"peers": {"x": 1}}', '{"as": "x"}', '{"peers": {"x": {"state": 1}}}'])
def test_what_is_no_summary_is_not_taken_for_one(text):
    with pytest.raises(frr.Unanswered):
        frr.read(frr.summary, text)


@pytest.mark.parametrize("parse", [frr.vnis, frr.originators, frr.summary])
def test_what_is_empty_or_odd_is_nothing(parse):
    assert not any(parse("{}")) and not any(parse(""))
    assert not any(parse('{"numPrefix": 4, "x": {"[3]:[0]:[32]:[1.2.3.4]": {"paths": 7}, "[2]:x": 1}}'))
    with pytest.raises(json_fields.Unfit):
        parse("% Unknown command")


@pytest.fixture
def asked(monkeypatch):
    """A router with FRR, whose vtysh(1) answers by `said`, {(daemon, command): (code, text)}."""
    said = {
        ("zebra", frr.VNIS): (0, golden("vnis")),
        ("bgpd", frr.SUMMARY): (0, golden("summary")),
        ("bgpd", frr.ROUTES): (0, golden("routes")),
        ("bgpd", frr.CONFIG): (0, (GOLDEN / "frr" / "running-config").read_text()),
    }

    def run(argv, patience):
        assert argv[:2] == ("vtysh", "-d") and argv[3] == "-c" and patience == frr.PATIENCE
        code, text = said[argv[2], argv[4]]
        if code is None:
            raise L2wgError(*text)
        return process.Result(code, text, "")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(process, "whole_path", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(evpn.time, "sleep", lambda seconds: None)
    return said


def looked(monkeypatch, ends=OTHERS):
    monkeypatch.setattr(vteps, "look", lambda tunnels: (VX._replace(remotes=ends),))
    there = scene.Scene(passive=True)
    there.known["wished"] = (store.Wish((VX,), (), ()), None)
    there.known["links"] = ({"evpn0": DEVICE}, None)
    return list(evpn._evpn(there))


def test_check_asks_each_daemon_by_itself(asked, monkeypatch):
    assert looked(monkeypatch) == []
    asked["bgpd", frr.SUMMARY] = (1, "")
    (problem,) = looked(monkeypatch)
    assert problem.id == "frr-not-running" and problem.tunnel == "evpn0"
    assert [problem.id for problem in looked(monkeypatch, OTHERS[:1])] == ["frr-not-running"], "nobody to compare with"


def test_check_sees_a_flood_list_that_lacks_somebody(asked, monkeypatch):
    assert [problem.id for problem in looked(monkeypatch, OTHERS[:2])] == ["evpn-flood"]


@pytest.mark.parametrize("code, text", [(None, [Problem("`vtysh` did not end within 10 s", "")]), (0, "% Unknown command"), (0, "[]")])
def test_a_vtysh_that_hangs_or_prints_another_thing_is_no_problem_of_a_tunnel(asked, monkeypatch, code, text):
    asked["zebra", frr.VNIS] = (code, text)
    with pytest.raises(scene.Unlooked, match="FRR: "):
        looked(monkeypatch)


def test_check_says_that_frr_is_not_there(asked, monkeypatch, root):
    def missing(name):
        raise FileNotFoundError(name)

    monkeypatch.setattr(process, "whole_path", missing)
    (problem,) = looked(monkeypatch)
    assert problem.id == "frr-not-running" and problem.hint.startswith("apt install frr")
    # Where it is the system's, NixOS has it elsewhere.
    path = root / "run/current-system/sw/bin/vtysh"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    assert frr.program() == frr.NIXOS == str(path)


def test_nobody_is_asked_without_such_a_tunnel(monkeypatch):
    monkeypatch.setattr(process, "run", lambda *_: 1 / 0)
    there = scene.Scene(passive=True)
    there.known["wished"] = (store.Wish((wish(TEXT.replace("control = evpn\n", ""), "198.18.0.2"),), (), ()), None)
    assert list(evpn._evpn(there)) == []


# The file of sites

HEAD = "net shape=mesh encapsulation=vxlan control=evpn hub=hq,dc network=198.18.0.0/15\n"
SITES = {"hq": "203.0.113.1:4900", "dc": "203.0.113.2:4900", "hut": "", "barn": ""}


def key(number):
    return base64.b64encode(bytes([number]) * 32).decode()


def net(head=HEAD, names=tuple(SITES)):
    rows = [card.Card(name, key(number), SITES[name], (f"198.18.0.{number}",)) for number, name in enumerate(names, 1)]
    text = head + "".join(f"{card.encode(row)} bridge-ports=enp3s0\n" for row in rows)
    return site_faults.between(site_lines.parse(text, "/etc/l2wg/sites"), "/etc/l2wg/sites")


def part(number, lines=None, walled=False):
    return site_tunnels.find(lines or net(), {key(number): site_tunnels.Wire("wg0", walled)}, site_tunnels.ByHand(), "/etc/l2wg/sites")


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_each_site_has_one_tunnel_to_the_whole_network(number):
    (tunnel,) = part(number).tunnels
    assert (tunnel.control, tunnel.senders, tunnel.remotes, tunnel.far_ends) == ("evpn", NET, (), ())
    allowed = {peer.key: peer.allowed for peer in wire_peers.of(tunnel)}
    hub = {key(1): (NET,)}
    assert allowed == (hub if number > 1 else {key(other): (f"198.18.0.{other}/32",) for other in (2, 3, 4)}), "WireGuard's hub is the first"
    assert tunnel.forwards == (number == 1)


def test_a_new_site_changes_nothing_at_the_others():
    """What they wish for stays; the names of sites that they may show are the only thing."""
    before, after = net(names=("hq", "dc", "hut")), net()
    for number in (2, 3):
        (old,), (new,) = part(number, before).tunnels, part(number, after).tunnels
        assert old._replace(peers=()) == new._replace(peers=()) and wire_peers.of(old) == wire_peers.of(new)
        assert nftables.entry(old) == nftables.entry(new)
    assert len(wire_peers.of(part(1, after).tunnels[0])) == len(wire_peers.of(part(1, before).tunnels[0])) + 1


def test_the_file_of_sites_knows_its_reflectors(capsys):
    found = site_export.export(net(), "dc", "frr", "wg0", "/etc/l2wg/sites")
    assert found.text.startswith("! dc, 198.18.0.2: a reflector") and " neighbor 198.18.0.1 peer-group SITES\n neighbor 198.18.0.1 description hq\n" in found.text
    assert "route-reflector-client" not in site_export.export(net(), "barn", "frr", "wg0", "/etc/l2wg/sites").text
    wished = store.Wish(part(4).tunnels, (), (), types.SimpleNamespace(lines=net()))
    assert frr_speaker.find(wished, None, (), 65000).reflectors == ("198.18.0.1", "198.18.0.2")
    with pytest.raises(L2wgError, match="FRR has nothing to do in this net"):
        site_export.export(net("net shape=mesh\n"), "hq", "frr", "wg0", "/etc/l2wg/sites")
    for form in site_export.FORMS:
        if form == "preseed":
            continue
        assert NET in site_export.export(net(), "barn", form, "wg0", "/etc/l2wg/sites").text


def test_the_hub_is_told_what_it_has_to_forward():
    (note,) = [note for note in site_export.export(net(), "hq", "wg-quick", "wg0", "/etc/l2wg/sites").notes if "has to forward" in note.message]
    assert note.hint.endswith("=1, and let the firewall pass UDP, and TCP to port 179") and "wire = own" not in note.hint


@pytest.mark.parametrize(
    "head, said, cure",
    [
        ("net shape=star hub=hq control=evpn\n", "control: evpn is for a mesh of VXLAN", "shape=mesh encapsulation=vxlan"),
        ("net shape=mesh control=evpn\n", "control: evpn is for a mesh of VXLAN", "take control out"),
        (HEAD.replace(" hub=hq,dc", ""), "hub: with control=evpn the hubs are BGP's reflectors, and there is none", "hub=NAME,NAME"),
        (HEAD.replace(" network=198.18.0.0/15", ""), "network: with control=evpn it is where all sites are", "network=198.18.0.0/15"),
        (HEAD.replace(" control=evpn", ""), "hub: a mesh goes by one hub", "hub=hq"),
        (HEAD.replace("evpn", "bgp"), "control: unknown value 'bgp'", "learning, evpn"),
        (HEAD.replace("hq,dc", "hq,nobody"), "hub: no site is called nobody", "the names are"),
        (HEAD.replace("198.18.0.0/15", "10.0.0.0/8"), "is not of 10.0.0.0/8, the net's network", "Address"),
    ],
)
def test_a_net_that_contradicts_itself_is_told_with_its_line(head, said, cure):
    problem = next(problem for problem in net(head).problems if said in str(problem))
    assert problem.line and cure in problem.hint


def test_a_wire_of_its_own_is_refused_at_its_line():
    found = part(3, walled=True)
    (problem,) = found.problems
    assert found.tunnels == () and problem.line == 4 and "where FRR does not see the other sites" in problem.message and "l2wg init --shared" in problem.hint


def test_a_reflector_has_a_way_to_sites_that_no_line_has():
    """They call it: without one its answers would take the default route, in the clear."""
    (tunnel,) = part(2).tunnels
    links = {"wg0": WG0._replace(addresses=("198.18.0.2/32",))}
    seen_ = Observed(told=frozenset(), ways_there={"wg0": {}}, peers={"wg0": ()})
    steps = [str(step) for step in site_peers.changes((tunnel,), links, seen_)[0]]
    assert [step for step in steps if step.startswith("ip route")] == [f"ip route add {NET} dev wg0 proto 47"]
    for there in ({NET: True}, {NET: False}, {"198.16.0.0/12": False}):
        steps = [str(step) for step in site_peers.changes((tunnel,), links, seen_._replace(ways_there={"wg0": there}))[0]]
        assert not [step for step in steps if step.startswith("ip route")]


def test_the_hub_forwards_for_all_of_the_prefix_but_itself():
    text = nftables.render([nftables.entry(part(1).tunnels[0])])
    between = f"ip saddr {NET} ip saddr != 198.18.0.1 ip daddr {NET} ip daddr != 198.18.0.1"
    assert f'iifname "wg0" {between} udp dport 4789 notrack' in text and f"{between} udp dport 4789 counter drop" in text
    assert "set beyond" not in text


def test_where_peers_were_heard_is_kept_for_all_of_the_prefix():
    near, far = (Peer(name, "", (word,), 0, 0, 0, None) for name, word in (("near", "198.18.0.7/32"), ("far", "10.0.0.0/8")))
    assert peer_endpoints.led((VX,), {"wg0": (near, far)}) == {("wg0", "near"): near}


def test_a_route_that_clashes_is_narrowed_to_the_prefix():
    wide = ipaddress.ip_network("198.16.0.0/12")
    assert list(wg_quick_routes._inside([NET, "198.18.0.9", "10.0.0.1", "fd00::/8"], wide)) == [NET, "198.18.0.9/32"]
    assert list(wg_quick_routes._inside([NET], ipaddress.ip_network(NET))) == [], "nothing is narrower"


@pytest.mark.parametrize("allowed, stays", [("198.18.0.9/32", True), ("10.0.0.9/32", False)])
def test_unpair_keeps_a_peer_that_may_be_one_of_the_prefix(allowed, stays):
    text = f"[Interface]\n[Peer]\n# l2wg: hut\nPublicKey = {key(9)}\nAllowedIPs = {allowed}\n"
    wire = types.SimpleNamespace(sections=wg_quick_peers.sections(text), live=None, text=text, holders=list)
    assert ("takes packets from it, too" in unpair._needed(key(9), wire, [], [VX], "wg0")) == stays


def test_a_firewall_is_asked_of_two_of_the_prefix():
    asked = []
    firewall = types.SimpleNamespace(drops=lambda packet: asked.append((packet.source, packet.target)) or [])
    (hub,) = part(1).tunnels
    for tunnel in (hub, hub._replace(remotes=("198.18.0.2",))):
        assert list(inbound.problems(tunnel, firewall)) == list(inbound.between(tunnel, firewall)) == []
    assert asked == [("198.18.0.2", "198.18.0.1"), ("198.18.0.2", "198.18.0.3")] * 2, "none is this router's own"
    asked.clear()
    assert list(inbound.between(hub._replace(local="198.18.0.3"), firewall)) == [] and "198.18.0.3" not in asked[0]
