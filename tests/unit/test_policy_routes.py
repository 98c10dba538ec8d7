import itertools
import json

import many
import pytest
import tools
from l2wg_hooks.config import conflicts
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Link, Observed, PolicyRoutes, Rules, Step, Tunnel
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.observe import snapshot
from l2wg_hooks.plan import planner, policy_routes
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import ip_routes, process

VX4 = Tunnel("vx4", "wg0", "10.9.0.1", "10.9.0.2", "br0", encapsulation="vxlan")
VX6 = Tunnel("vx6", "wg0", "fd09::1", "fd09::2", "br0", encapsulation="vxlan")
G6 = Tunnel("g6", "wg0", "fd09::1", "fd09::2", "br0")
GRETAP = Tunnel("gretap1", "wg0", "10.9.0.1", "10.9.0.2", "br0")
NOTHING = PolicyRoutes({}, {})

TABLE4, TABLE6 = policy_routes.Way("10.9.0.1", 4789).table, policy_routes.Way("fd09::1", None).table
# As an older version had it: by the tunnel's name.
OLD4 = "1815238001"

# `ip -json rule show` of Debian 11 and 13 (they print the same), both families, with our priority and tables put in;
# `ip route show table` of iproute2 6.1, as system/ip_routes.py reads it.
RULES = """[{"priority":0,"src":"all","table":"local"},
{"priority":4789,"src":"10.9.0.1","ipproto":"udp","dport":4789,"table":"%s","protocol":"76"},
{"priority":4789,"src":"fd09::1","ipproto":"gre","table":"%s"},
{"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]"""
RULES = RULES % (TABLE4, TABLE6)
ROUTES4 = "unreachable default proto kernel metric 4294967295 \n10.9.0.2 dev wg0 proto kernel scope link linkdown mtu 1558 \n"
ROUTES6 = """fd09::2 dev wg0 proto kernel metric 1024 linkdown mtu 1566 pref medium
unreachable default dev lo proto kernel metric 4294967295 pref medium
"""


def steps(tunnel, found, *others):
    return [" ".join(argv) for argv, _ in policy_routes.Ways((tunnel, *others), found).steps(tunnel)]


def stale(tunnels, found, links=()):
    return [" ".join(argv) for argv, _, _ in policy_routes.Ways(tunnels, found).stale(tunnels, links)]


def observed():
    rules = [rule for rule in json.loads(RULES) if policy_routes.is_ours(rule)]
    return policy_routes.by_table(rules, {TABLE4: ip_routes.read(ROUTES4), TABLE6: ip_routes.read(ROUTES6)})


def test_only_what_cannot_fragment_has_a_way():
    assert [policy_routes.needed(tunnel.kind) for tunnel in (GRETAP, G6, VX4, VX6)] == [False, True, True, True]
    assert [policy_routes.tables(tunnel) for tunnel in (GRETAP, G6, VX4)] == [[], [TABLE6], [TABLE4]]
    assert policy_routes.tables(VX4._replace(wire="own")) == []


def test_all_tunnels_that_send_from_one_address_have_one_rule_and_one_table():
    more = VX4._replace(name="vx5", remote="10.9.0.3", key=5)
    assert policy_routes.tables(more) == policy_routes.tables(VX4)
    (step,) = steps(more, observed(), VX4)
    assert step == f"ip route replace 10.9.0.3 dev wg0 table {TABLE4} mtu 1558 proto kernel"
    others = [VX4._replace(local="10.9.0.9"), VX4._replace(port=8472), VX6, G6]
    numbers = {policy_routes.tables(tunnel)[0] for tunnel in [VX4, *others]}
    assert len(numbers) == 5 and all(0x6C320000 <= int(number) <= 0x6C32FFFF for number in numbers)


def test_what_is_for_all_is_done_once_and_they_need_it():
    more = VX4._replace(name="vx5", remote="10.9.0.3", key=5)
    links = {"lan": Link("lan", 2, up=True, addresses=("10.9.0.1/24",)), "wg0": Link("wg0", 3, "wireguard", up=True, mtu=1420), "br0": Link("br0", 4, "bridge", up=True)}
    found = [step for step in planner.plan([VX4, more], links, seen=Observed(ways=NOTHING)).steps if step.argv[0] == "ip"]
    assert len({step.argv for step in found}) == len(found)
    words = [(step.argv[1], step.group) for step in found if step.argv[1] != "link"]
    shared = "policy routes from 10.9.0.1"
    assert words == [("route", shared), ("route", "vx4"), ("rule", shared), ("route", "vx5")]
    assert [step.group for step in found if step.needs == shared] == ["vx4", "vx5"]


def test_of_two_tunnels_between_the_same_ends_the_larger_one_counts():
    small = VX4._replace(name="vx5", key=5, mtu=1400)
    assert steps(small, observed(), VX4) == steps(VX4, observed(), small) == []
    large = small._replace(mtu=2000)
    assert steps(VX4, observed(), large) == steps(large, observed(), VX4) == [
        f"ip route replace 10.9.0.2 dev wg0 table {TABLE4} mtu 2058 proto kernel"
    ]  # fmt: skip


def test_a_rule_is_ours_by_its_priority_and_its_table():
    rules = json.loads(RULES)
    assert [policy_routes.is_ours(rule) for rule in rules] == [False, True, True, False, False]
    first, last = (dict(rules[1], table=str(number)) for number in (0x6C320000, 0x6C32FFFF))
    assert policy_routes.is_ours(first) and policy_routes.is_ours(last)
    assert policy_routes.is_ours(dict(rules[1], dst="10.9.0.2")), "an older version's"
    for other in ({"priority": 4788}, {"table": "main"}, {"table": str(0x6C31FFFF)}, {"table": str(0x6C330000)}, {"dst": 7}):
        assert not policy_routes.is_ours(dict(rules[1], **other))
    assert not policy_routes.is_ours({"priority": 4789})


@pytest.mark.parametrize(
    "more, is_one",
    [
        ({}, True),
        ({"metrics": [{"mtu": 1558}]}, True),
        ({"type": "throw", "dev": None}, True),
        ({"type": "throw", "dst": 7}, False),
        ({"type": "unreachable", "dst": 7}, True),
        ({"dst": 7}, False),
        ({"dev": None}, False),
        ({"metrics": [1558]}, False),
        ({"metrics": [{"mtu": 1558}, 7]}, False),
        ({"metrics": {}}, False),
        ({"metrics": {"mtu": 1558}}, False),
        ({"type": "unreachable", "metrics": ""}, False),
    ],
)
def test_a_route_that_cannot_be_told_from_others_is_left_alone(more, is_one):
    assert policy_routes.is_route(dict({"dst": "10.9.0.2", "dev": "wg0"}, **more)) == is_one


@pytest.mark.parametrize(
    "tunnel, ip, everything, selector, size",
    [
        (VX4, "ip", "0.0.0.0/0", "from 10.9.0.1 ipproto udp dport 4789", 1558),
        (VX6, "ip -6", "::/0", "from fd09::1 ipproto udp dport 4789", 1578),
        (G6, "ip -6", "::/0", "from fd09::1 ipproto gre", 1566),
        (G6._replace(key=7), "ip -6", "::/0", "from fd09::1 ipproto gre", 1570),
    ],
)
def test_a_way_is_made_from_nothing_and_the_rule_comes_last(tunnel, ip, everything, selector, size):
    (table,) = policy_routes.tables(tunnel)
    assert steps(tunnel, NOTHING) == [
        "ip route replace unreachable %s table %s metric 4294967295 proto kernel" % (everything, table),
        "ip route replace %s dev wg0 table %s mtu %d proto kernel" % (tunnel.remote, table, size),
        "%s rule add priority 4789 %s table %s protocol kernel" % (ip, selector, table),  # without -6 ip(8) fails
    ]


def test_what_real_kernels_say_of_a_right_one_is_right():
    assert steps(VX4, observed()) == steps(G6, observed()) == []
    assert stale([VX4, G6], observed()) == []


@pytest.mark.parametrize("lost", ["default", "10.9.0.2"])
def test_a_route_that_is_lost_comes_back(lost):
    found = observed()
    del found.routes[TABLE4][lost]
    (step,) = steps(VX4, found)
    assert (" unreachable " if lost == "default" else " 10.9.0.2 dev wg0 ") in step and step.startswith("ip route replace ")


def test_a_rule_that_is_lost_comes_back():
    found = observed()
    found.rules[TABLE4].clear()
    assert steps(VX4, found) == [f"ip rule add priority 4789 from 10.9.0.1 ipproto udp dport 4789 table {TABLE4} protocol kernel"]


@pytest.mark.parametrize("change", [{"underlay": "wg1"}, {"mtu": 1400}])
def test_a_route_that_is_no_longer_right_is_replaced(change):
    (step,) = steps(VX4._replace(**change), observed())
    assert step.startswith("ip route replace 10.9.0.2 dev ")
    assert stale([VX4._replace(**change), G6], observed()) == [], "not taken away on top of that"


def test_a_route_without_its_mtu_is_none():
    found = observed()
    del found.routes[TABLE4]["10.9.0.2"]["metrics"]
    assert steps(VX4, found) == [f"ip route replace 10.9.0.2 dev wg0 table {TABLE4} mtu 1558 proto kernel"]


def test_a_default_route_of_somebodys_is_no_lock_and_goes():
    found = policy_routes.by_table(observed().rules[TABLE4], {TABLE4: ip_routes.read("default dev eth0\n10.9.0.2 dev wg0 mtu 1558\n")})
    (step,) = steps(VX4, found)
    assert " unreachable " in step
    assert stale([VX4], found) == [f"ip route del default dev eth0 table {TABLE4}"]


def test_a_way_that_nobody_needs_goes():
    assert stale([GRETAP, G6], observed()) == [
        "ip rule del priority 4789 from 10.9.0.1 ipproto udp dport 4789 table " + TABLE4,
        "ip route del unreachable 0.0.0.0/0 table %s metric 4294967295" % TABLE4,
        "ip route del 10.9.0.2 dev wg0 table " + TABLE4,
    ]
    assert stale([VX4], observed()) == [
        "ip -6 rule del priority 4789 from fd09::1 ipproto gre table " + TABLE6,
        "ip route del fd09::2 dev wg0 table " + TABLE6,
        "ip route del unreachable ::/0 table %s metric 4294967295" % TABLE6,
    ]
    assert stale([], NOTHING) == []


def test_a_tunnel_that_goes_takes_its_route_along_and_leaves_the_others_theirs():
    found, more = observed(), VX4._replace(name="vx5", remote="10.9.0.3", key=5)
    found.routes[TABLE4]["10.9.0.3"] = {"dst": "10.9.0.3", "dev": "wg0", "metrics": [{"mtu": 1558}]}
    assert stale([VX4, G6], found) == [f"ip route del 10.9.0.3 dev wg0 table {TABLE4}"]
    assert stale([VX4, more, G6], found) == []


@pytest.mark.parametrize("change", [{"encapsulation": "vxlan"}, {"local": "fd09::5"}])
def test_a_way_from_another_address_goes_and_a_new_one_comes(change):
    changed = G6._replace(**change)
    assert len(stale([VX4, changed], observed())) == len(steps(changed, observed())) == 3


def test_a_way_to_another_end_goes_and_a_new_one_comes():
    changed = G6._replace(remote="fd09::5")
    assert stale([VX4, changed], observed()) == ["ip route del fd09::2 dev wg0 table " + TABLE6]
    assert len(steps(changed, observed())) == 1


# What an older version has left: a rule and a table a tunnel.
OLD_RULE = {"priority": 4789, "src": "10.9.0.1", "dst": "10.9.0.2", "ipproto": "udp", "dport": 4789, "table": OLD4}


def test_what_an_older_version_made_goes_when_the_new_one_is_there_and_not_before():
    old = policy_routes.by_table([OLD_RULE], {OLD4: ip_routes.read(ROUTES4)})
    links = {
        "lan": Link("lan", 2, up=True, addresses=("10.9.0.1/24",)),
        "wg0": Link("wg0", 3, "wireguard", up=True, mtu=1420),
        "br0": Link("br0", 4, "bridge", up=True),
        "vx4": many.link(VX4, 5),
    }
    rules = Rules([nftables.entry(VX4)], {"vx4": nftables.value(VX4, links)})
    todo = planner.plan([VX4], links, seen=Observed(rules, old))
    words = [" ".join(step.argv[1:3]) for step in todo.steps]
    assert words == ["route replace", "route replace", "rule add", "rule del", "route del", "route del"]
    shared = "policy routes from 10.9.0.1"
    assert [step.group for step in todo.steps] == [shared, "vx4", shared] + ["vx4"] * 3
    assert [step.needs for step in todo.steps] == [""] * 3 + [shared] * 3, "where the new one cannot be made, the old one stays"
    assert f"to 10.9.0.2 ipproto udp dport 4789 table {OLD4}" in str(todo.steps[3])
    assert planner.plan([VX4], links, broken=("other",), seen=Observed(rules, old)).steps == todo.steps[:3], "nobody knows what that needs"
    assert [step.group for step in planner.plan([], links, seen=Observed(rules, old)).steps if step.argv[1] == "rule"] == ["ways"]


FOREIGN = Link("theirs", 9, "vxlan", local="10.9.0.1", remote="10.9.0.7", port=4789, key=9)


def test_somebody_elses_tunnel_from_the_same_address_goes_as_it_did():
    ways = policy_routes.Ways([VX4, G6], observed())

    def passes(*links, names=()):
        return [" ".join(argv) for argv in ways.passes({link.name: link for link in links}, names)]

    assert passes(FOREIGN) == [f"ip route replace throw 10.9.0.7 table {TABLE4} proto kernel"]
    assert passes(FOREIGN, names={"theirs"}) == [], "ours has a route"
    assert passes(FOREIGN._replace(alias="l2wg")) == [], "one of ours whose file is broken"
    for change in ({"remote": "10.9.0.2"}, {"local": "10.9.0.8"}, {"port": 8472}, {"kind": "gretap", "port": None}, {"remote": ""}, {"remote": "fd09::7"}):
        assert passes(FOREIGN._replace(**change)) == [], change
    six = Link("six", 10, "ip6gre", local="fd09::1", remote="fd09::7")
    assert passes(six) == [f"ip route replace throw fd09::7 table {TABLE6} proto kernel"]
    assert passes(six._replace(remote="any; reboot")) == []


def test_what_lets_somebody_elses_by_goes_with_it():
    found = observed()
    found.routes[TABLE4]["10.9.0.7"] = {"type": "throw", "dst": "10.9.0.7"}
    there = {"theirs": FOREIGN}
    assert stale([VX4, G6], found, there) == [] and list(policy_routes.Ways([VX4, G6], found).passes(there, ())) == []
    assert stale([VX4, G6], found) == [f"ip route del throw 10.9.0.7 table {TABLE4}"]
    assert steps(VX4._replace(remote="10.9.0.7"), found)[0] == f"ip route replace 10.9.0.7 dev wg0 table {TABLE4} mtu 1558 proto kernel"


def _do(argv, rules, routes):
    """What the kernel makes of one command; what it would refuse, fails here."""
    words = [word for word in argv[1:] if word != "-6"]
    if words[0] == "rule":
        keys = dict(zip(words[2::2], words[3::2]))
        assert (":" in keys["from"]) == ("-6" in argv)
        rule = {"priority": int(keys["priority"]), "src": keys["from"], "table": keys["table"]}
        rule.update({"dst": keys["to"]} if "to" in keys else {})
        rule["ipproto"] = keys["ipproto"]
        if "dport" in keys:
            rule["dport"] = int(keys["dport"])
        assert (rule in rules) == (words[1] == "del"), argv
        (rules.append if words[1] == "add" else rules.remove)(rule)
        return
    known = words[2] == "unreachable"
    what = words[3] if known else words[2]
    keys = dict(zip(words[4 if known else 3 :: 2], words[5 if known else 4 :: 2]))
    table = routes.setdefault(keys["table"], [])
    route = {"type": "unreachable", "dst": "default"} if known else {"dst": what, "dev": keys["dev"]}
    if words[1] == "del":
        table.remove(next(there for there in table if route.items() <= there.items()))
        return
    if "mtu" in keys:
        route["metrics"] = [{"mtu": int(keys["mtu"])}]
    table[:] = [there for there in table if there["dst"] != route["dst"]] + [route]


@pytest.mark.parametrize("tunnel", [VX4, VX6, G6], ids=lambda tunnel: tunnel.name)
def test_from_every_partial_state_the_steps_lead_to_where_there_are_none(tunnel):
    """Also from those of a wish that was another, and of an older version."""
    whole = [tunnel]
    whole += [tunnel._replace(**was) for was in ({"underlay": "wg9"}, {"mtu": 1400}, {"remote": tunnel.remote + "2"})]
    whole += [tunnel._replace(encapsulation="gretap" if tunnel.kind == "vxlan" and tunnel.family == 6 else "vxlan")]
    begun = [[argv for argv, _ in policy_routes.Ways([was], NOTHING).steps(was)] for was in whole]
    begun.append([tuple(OLD4 if before == "table" else word for before, word in zip(("", *argv), argv)) for argv in begun[0]])
    begun[-1][2] = begun[-1][2][: begun[-1][2].index("from") + 2] + ("to", tunnel.remote) + begun[-1][2][begun[-1][2].index("from") + 2 :]
    for argvs in begun:
        for left_out in itertools.product((True, False), repeat=3):
            rules, routes = [], {}
            for argv, out in zip(argvs, left_out):
                if not out:
                    _do(argv, rules, routes)
            for wished in ([tunnel], []):
                after, table = list(rules), {number: list(found) for number, found in routes.items()}
                for argv in _todo(wished, rules, routes):
                    _do(argv, after, table)
                assert _todo(wished, after, table) == []
                ideal = ([], {})
                for argv in _todo(wished, [], {}):
                    _do(argv, *ideal)
                assert after == ideal[0]
                # A route to another end may be left where its rule was lost: no packet comes to look at it.
                assert all(route in table[number] for number in ideal[1] for route in ideal[1][number])


def _todo(wished, rules, routes):
    """What is done, in its order, where those routes are seen that a rule leads to, or should."""
    asked = {rule["table"] for rule in rules} | {number for wish in wished for number in policy_routes.tables(wish)}
    seen = {number: some for number, some in routes.items() if number in asked}
    ways = policy_routes.Ways(wished, policy_routes.by_table(rules, seen))
    return [argv for wish in wished for argv, _ in ways.steps(wish)] + [argv for argv, _, _ in ways.stale(wished)]


@pytest.fixture
def ip(monkeypatch, ipv6):
    """The commands that ran, and what each answered."""
    answers = {
        "ip -json -4 rule show": (0, json.dumps([rule for rule in json.loads(RULES) if ":" not in rule["src"]])),
        "ip -json -6 rule show": (0, json.dumps([rule for rule in json.loads(RULES) if ":" in rule["src"]])),
        "ip -4 -force -batch -": (0, {"route show table " + TABLE4: ROUTES4}),
        "ip -6 -force -batch -": (0, {"route show table " + TABLE6: ROUTES6}),
    }
    ran = []

    def fake(argv, stdin=""):
        ran.append((" ".join(argv), stdin))
        code, out = answers[" ".join(argv)]
        text = tools.batched(stdin, lambda line: out.get(line, "")) if isinstance(out, dict) else out
        return process.Result(code, text, "")

    monkeypatch.setattr(process, "run", fake)
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules())
    return {"ran": ran, "answers": answers}


def test_what_is_there_is_observed(ip):
    assert snapshot.look([VX4], {}).ways == observed()


def test_many_tables_take_as_many_processes_as_one(ip):
    """And none is asked for the routes of any other: a router may have a million."""
    rules = [dict(json.loads(RULES)[1], src=f"10.9.1.{number}", table=str(1815240000 + number)) for number in range(200)]
    ip["answers"]["ip -json -4 rule show"] = (0, json.dumps(rules))
    ip["answers"]["ip -4 -force -batch -"] = (0, {f"route show table {1815240000 + number}": f"10.8.0.{number} dev wg0\n" for number in range(200)})
    found = snapshot.look([VX4], {}).ways
    assert found.routes["1815240007"] == {"10.8.0.7": {"dst": "10.8.0.7", "dev": "wg0"}} and len(found.rules) == 201 and found.routes[TABLE4] == {}
    assert [argv for argv, _ in ip["ran"]] == ["ip -json -4 rule show", "ip -4 -force -batch -", "ip -json -6 rule show", "ip -6 -force -batch -"]
    assert ip["ran"][1][1].splitlines()[:2] == ["route show table 1815240000", "link show dev lo"] and "all" not in ip["ran"][1][1]


# From iproute2 5.1 on, the kernel says that there is no such table.
@pytest.mark.parametrize("code", [2, 0])
def test_a_table_without_routes_is_empty(ip, code):
    ip["answers"]["ip -4 -force -batch -"] = (code, {})
    assert snapshot.look([VX4], {}).ways.routes[TABLE4] == {}


def test_what_is_no_answer_is_told_of(ip):
    ip["answers"]["ip -4 -force -batch -"] = (1, "")
    with pytest.raises(L2wgError) as error:
        snapshot.look([VX4], {})
    assert "`ip -4 -force -batch -` failed" in str(error.value)


@pytest.mark.parametrize("said", ["", "[]", "[{},{}]"])
def test_where_there_are_no_rules_there_are_none_of_ours(ip, said):
    """iproute2 4.20 prints nothing for nothing, and {} for what it leaves out."""
    for family in "46":
        ip["answers"]["ip -json -%s rule show" % family] = (0, said)
    found = snapshot.look([VX4], {}).ways
    assert (found.rules, list(found.routes)) == ({}, [TABLE4])


def test_what_cannot_be_read_is_told_of(ip):
    ip["answers"]["ip -json -4 rule show"] = (0, "Option -json is unknown")
    with pytest.raises(L2wgError) as error:
        snapshot.look([VX4], {})
    assert "`ip -json -4 rule show` printed what cannot be read: " in str(error.value)


def test_nobody_looks_without_a_need(ip, monkeypatch):
    assert (snapshot.look([GRETAP], {}).ways, snapshot.look([], {}).ways, ip["ran"]) == (None, None, [])
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules([{"kind": "vxlan", "clamp": "off"}]))
    assert snapshot.look([], {}).ways == observed()  # one has been there until now


def test_a_rule_of_ipv6_is_no_line_of_a_batch(monkeypatch):
    """`ip -batch` takes no -6."""
    ran = []

    def fake(argv, stdin=""):
        ran.append((" ".join(argv), stdin))
        return process.Result(0, "", "")

    monkeypatch.setattr(process, "run", fake)
    rows = ("ip link a", "ip route b", "ip -6 rule c", "ip -6 rule d", "nft e", "ip link f")
    assert executor.apply([Step(tuple(row.split()), "test", "test") for row in rows]) == ()
    alone = [(row, "") for row in rows[2:5]]
    assert ran == [("ip -batch -", "link a\nroute b\n")] + alone + [("ip -batch -", "link f\n")]


def test_ends_that_a_policy_rule_cannot_tell_apart_are_refused():
    for tunnel in (VX4, VX6, G6):
        other = tunnel._replace(name="other", underlay="wg1", key=99)
        (problem,) = conflicts.between([tunnel, other])
        assert "underlay: %s has the same ends over wg0" % tunnel.name in str(problem) and "hint: " in str(problem)
        assert list(conflicts.between([tunnel, other._replace(underlay="wg0")])) == []
        assert list(conflicts.between([tunnel, other._replace(remote="fd09::9", local="fd09::8")])) == []
    assert list(conflicts.between([GRETAP, GRETAP._replace(name="other", underlay="wg1")])) == []
    assert list(conflicts.between([VX6, G6._replace(underlay="wg1")])) == []


def test_a_vni_is_taken_once_in_each_family():
    """As the kernel has it (vxlan_exists in drivers/net/vxlan)."""
    assert list(conflicts.between([VX4, VX6])) == []
