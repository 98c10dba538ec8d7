import itertools
import json

import pytest
from l2wg_hooks.config import conflicts
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import PolicyRoutes, Rules, Step, Tunnel
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import snapshot
from l2wg_hooks.plan import policy_routes
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import ip_routes, process

VX4 = Tunnel("vx4", "wg0", "10.9.0.1", "10.9.0.2", "br0", encapsulation="vxlan")
VX6 = Tunnel("vx6", "wg0", "fd09::1", "fd09::2", "br0", encapsulation="vxlan")
G6 = Tunnel("g6", "wg0", "fd09::1", "fd09::2", "br0")
GRETAP = Tunnel("gretap1", "wg0", "10.9.0.1", "10.9.0.2", "br0")
NOTHING = PolicyRoutes({}, {})

# `ip -json rule show` of Debian 11 and 13 (they print the same), both families, with our priority and tables put in;
# `ip route show table` of iproute2 6.1, as system/ip_routes.py reads it.
RULES = """[{"priority":0,"src":"all","table":"local"},
{"priority":4789,"src":"10.9.0.1","dst":"10.9.0.2","ipproto":"udp","dport":4789,"table":"%s","protocol":"76"},
{"priority":4789,"src":"fd09::1","dst":"fd09::2","ipproto":"gre","table":"%s"},
{"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]"""
RULES = RULES % (policy_routes.table("vx4"), policy_routes.table("g6"))
ROUTES4 = "unreachable default proto kernel metric 4294967295 \n10.9.0.2 dev wg0 proto kernel scope link linkdown mtu 1558 \n"
ROUTES6 = """fd09::2 dev wg0 proto kernel metric 1024 linkdown mtu 1566 pref medium
unreachable default dev lo proto kernel metric 4294967295 pref medium
"""


def steps(tunnel, found):
    return [" ".join(argv) for argv in policy_routes.steps(tunnel, found)]


def stale(tunnels, found):
    return [" ".join(argv) for argv in policy_routes.stale(tunnels, found)]


def by_table(rules):
    found = {}
    for rule in rules:
        found.setdefault(rule["table"], []).append(rule)
    return found


def observed():
    rules = [rule for rule in json.loads(RULES) if policy_routes.is_ours(rule)]
    return PolicyRoutes(by_table(rules), {policy_routes.table(VX4.name): ip_routes.read(ROUTES4), policy_routes.table(G6.name): ip_routes.read(ROUTES6)})


def test_only_what_cannot_fragment_has_a_way():
    assert [policy_routes.needed(tunnel.kind) for tunnel in (GRETAP, G6, VX4, VX6)] == [False, True, True, True]


def test_each_tunnel_has_a_table_of_its_own():
    numbers = [int(policy_routes.table(tunnel.name)) for tunnel in (G6, VX4, VX6)]
    assert len(set(numbers)) == 3
    assert all(0x6C320000 <= number <= 0x6C32FFFF for number in numbers)
    assert policy_routes.table(VX4.name) == policy_routes.table("vx4")


def test_a_rule_is_ours_by_its_priority_and_its_table():
    rules = json.loads(RULES)
    assert [policy_routes.is_ours(rule) for rule in rules] == [False, True, True, False, False]
    first, last = (dict(rules[1], table=str(number)) for number in (0x6C320000, 0x6C32FFFF))
    assert policy_routes.is_ours(first) and policy_routes.is_ours(last)
    for other in ({"priority": 4788}, {"table": "main"}, {"table": str(0x6C31FFFF)}, {"table": str(0x6C330000)}):
        assert not policy_routes.is_ours(dict(rules[1], **other))
    assert not policy_routes.is_ours({"priority": 4789})


@pytest.mark.parametrize(
    "more, is_one",
    [
        ({}, True),
        ({"metrics": [{"mtu": 1558}]}, True),
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
        (VX4, "ip", "0.0.0.0/0", "from 10.9.0.1 to 10.9.0.2 ipproto udp dport 4789", 1558),
        (VX6, "ip -6", "::/0", "from fd09::1 to fd09::2 ipproto udp dport 4789", 1578),
        (G6, "ip -6", "::/0", "from fd09::1 to fd09::2 ipproto gre", 1566),
        (G6._replace(key=7), "ip -6", "::/0", "from fd09::1 to fd09::2 ipproto gre", 1570),
    ],
)
def test_a_way_is_made_from_nothing_and_the_rule_comes_last(tunnel, ip, everything, selector, size):
    table = policy_routes.table(tunnel.name)
    assert steps(tunnel, NOTHING) == [
        "ip route replace unreachable %s table %s metric 4294967295 proto kernel" % (everything, table),
        "ip route replace %s dev wg0 table %s mtu %d proto kernel" % (tunnel.remote, table, size),
        "%s rule add priority 4789 %s table %s protocol kernel" % (ip, selector, table),  # without -6 ip(8) fails
    ]


def test_what_real_kernels_say_of_a_right_one_is_right():
    assert steps(VX4, observed()) == steps(G6, observed()) == []
    assert stale([VX4, G6], observed()) == []


@pytest.mark.parametrize("routes", ["unreachable", "wg0"])
def test_a_route_that_is_lost_comes_back(routes):
    found, table = observed(), policy_routes.table(VX4.name)
    found.routes[table] = [route for route in found.routes[table] if routes not in (route.get("type"), route.get("dev"))]
    (step,) = steps(VX4, found)
    assert " %s" % routes in step and step.startswith("ip route replace ")


@pytest.mark.parametrize("change", [{"underlay": "wg1"}, {"mtu": 1400}])
def test_a_route_that_is_no_longer_right_is_replaced(change):
    (step,) = steps(VX4._replace(**change), observed())
    assert step.startswith("ip route replace 10.9.0.2 dev ")


def test_a_route_to_another_end_is_none():
    found = observed()
    found.routes[policy_routes.table("vx4")][1]["dst"] = "10.9.0.3"
    assert steps(VX4, found) == ["ip route replace 10.9.0.2 dev wg0 table %s mtu 1558 proto kernel" % policy_routes.table("vx4")]


def test_a_rule_of_another_tunnel_is_none():
    """Two VNIs between the same ends: when one goes, its rule goes."""
    assert len(steps(VX4._replace(name="vx5", key=2), observed())) == 3


def test_a_route_without_its_mtu_is_none():
    found = observed()
    del found.routes[policy_routes.table(VX4.name)][1]["metrics"]
    assert steps(VX4, found) == ["ip route replace 10.9.0.2 dev wg0 table %s mtu 1558 proto kernel" % policy_routes.table(VX4.name)]


def test_a_way_that_nobody_needs_goes():
    table4, table6 = policy_routes.table(VX4.name), policy_routes.table(G6.name)
    assert stale([GRETAP, G6], observed()) == [
        "ip rule del priority 4789 from 10.9.0.1 to 10.9.0.2 ipproto udp dport 4789 table " + table4,
        "ip route del unreachable 0.0.0.0/0 table %s metric 4294967295" % table4,
        "ip route del 10.9.0.2 dev wg0 table " + table4,
    ]
    assert stale([VX4], observed()) == [
        "ip -6 rule del priority 4789 from fd09::1 to fd09::2 ipproto gre table " + table6,
        "ip route del fd09::2 dev wg0 table " + table6,
        "ip route del unreachable ::/0 table %s metric 4294967295" % table6,
    ]
    assert stale([], NOTHING) == []


def test_a_way_of_a_broken_file_stays():
    assert len(policy_routes.stale([], observed())) == 6
    assert [argv[1] for argv in policy_routes.stale([], observed(), ("vx4",))] == ["-6", "route", "route"]
    assert policy_routes.stale([], observed(), ("vx4", "g6", "other")) == []


@pytest.mark.parametrize("change", [{"encapsulation": "vxlan"}, {"local": "fd09::5"}, {"remote": "fd09::5"}])
def test_a_way_to_other_ends_goes_and_a_new_one_comes(change):
    """One tunnel's name is one table: what `stale` takes away, `steps` does not count on."""
    changed = G6._replace(**change)
    assert len(stale([VX4, changed], observed())) == 3
    assert len(steps(changed, observed())) == 3


def _do(argv, rules, routes):
    """What the kernel makes of one command; what it would refuse, fails here."""
    words = [word for word in argv[1:] if word != "-6"]
    if words[0] == "rule":
        keys = dict(zip(words[2::2], words[3::2]))
        assert (":" in keys["from"]) == ("-6" in argv)
        rule = {"priority": int(keys["priority"]), "src": keys["from"], "dst": keys["to"], "table": keys["table"]}
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
    """Also from those of a wish that was another."""
    whole = [tunnel]
    whole += [tunnel._replace(**was) for was in ({"underlay": "wg9"}, {"mtu": 1400}, {"remote": tunnel.remote + "2"})]
    whole += [tunnel._replace(encapsulation="gretap" if tunnel.kind == "vxlan" and tunnel.family == 6 else "vxlan")]
    for was in whole:
        for left_out in itertools.product((True, False), repeat=3):
            rules, routes = [], {}
            for argv, out in zip(policy_routes.steps(was, NOTHING), left_out):
                if not out:
                    _do(argv, rules, routes)
            for wished in ([tunnel], []):
                after, table = list(rules), {number: list(found) for number, found in routes.items()}
                found = PolicyRoutes(by_table(rules), routes)
                for argv in policy_routes.stale(wished, found) + [argv for wish in wished for argv in policy_routes.steps(wish, found)]:
                    _do(argv, after, table)
                found = PolicyRoutes(by_table(after), table)
                assert policy_routes.stale(wished, found) == [argv for wish in wished for argv in policy_routes.steps(wish, found)] == []
                ideal = ([], {})
                for argv in [argv for wish in wished for argv in policy_routes.steps(wish, NOTHING)]:
                    _do(argv, *ideal)
                assert after == ideal[0]
                # A route to another end may be left where its rule was lost: no packet comes to look at it.
                assert all(route in table[number] for number in ideal[1] for route in ideal[1][number])


@pytest.fixture
def ip(monkeypatch, ipv6):
    """The commands that ran, and what each answered."""
    table4, table6 = policy_routes.table(VX4.name), policy_routes.table(G6.name)
    answers = {
        "ip -json -4 rule show": (0, json.dumps([rule for rule in json.loads(RULES) if ":" not in rule["src"]])),
        "ip -json -6 rule show": (0, json.dumps([rule for rule in json.loads(RULES) if ":" in rule["src"]])),
        "ip -4 route show table " + table4: (0, ROUTES4),
        "ip -6 route show table " + table6: (0, ROUTES6),
    }
    ran = []

    def fake(argv):
        ran.append(" ".join(argv))
        code, out = answers[" ".join(argv)]
        return process.Result(code, out, "")

    monkeypatch.setattr(process, "run", fake)
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules())
    return {"ran": ran, "answers": answers}


def test_what_is_there_is_observed(ip):
    assert snapshot.look([VX4], {}).ways == observed()


# From iproute2 5.1 on, the kernel says that there is no such table.
@pytest.mark.parametrize("code, said", [(2, ""), (0, "")])
def test_a_table_without_routes_is_empty(ip, code, said):
    ip["answers"]["ip -4 route show table " + policy_routes.table(VX4.name)] = (code, said)
    assert snapshot.look([VX4], {}).ways.routes[policy_routes.table(VX4.name)] == []


@pytest.mark.parametrize("said", ["", "[]", "[{},{}]"])
def test_where_there_are_no_rules_there_are_none_of_ours(ip, said):
    """iproute2 4.20 prints nothing for nothing, and {} for what it leaves out."""
    for family in "46":
        ip["answers"]["ip -json -%s rule show" % family] = (0, said)
    assert snapshot.look([VX4], {}).ways == NOTHING


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
