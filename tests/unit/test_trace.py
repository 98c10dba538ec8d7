import json

import pytest
from l2wg_hooks.netfilter import trace
from l2wg_hooks.netfilter.trace import Packet

GRE = Packet("input", 4, "wg0", None, "192.168.92.1", "192.168.178.1", "gre", tracked=False)
VXLAN = Packet("input", 4, "wg0", None, "192.168.92.1", "192.168.178.1", "udp", 4789, tracked=False)
PASSING = Packet("forward", 4, "br0", "br0", protocol="tcp", port=9)
INPUT, FORWARD = "iptables: chain INPUT", "iptables: chain FORWARD"


def said(text, packet):
    found = trace.nft(trace.listing(text), packet) if text.startswith("{") else trace.xtables(trace.saved(text), packet)
    return [base.where for base in trace.drops(found)]


@pytest.mark.parametrize(
    "name, packet, wanted",
    [
        ("ufw.save", GRE, [INPUT]),
        ("ufw.save", VXLAN, [INPUT]),
        ("ufw.save", PASSING, [FORWARD]),
        ("ufw-cured.save", GRE, []),
        ("ufw-cured.save", VXLAN, [INPUT]),
        ("docker.save", GRE, []),
        ("docker.save", PASSING, [FORWARD]),
        ("docker-cured.save", PASSING, []),
        ("firewalld.json", GRE, ["nft: table inet firewalld chain filter_INPUT"]),
        ("firewalld.json", VXLAN, ["nft: table inet firewalld chain filter_INPUT"]),
        ("firewalld.json", PASSING, ["nft: table inet firewalld chain filter_FORWARD"]),
        ("firewalld-cured.json", GRE, []),
        ("firewalld-cured.json", VXLAN, ["nft: table inet firewalld chain filter_INPUT"]),
    ],
)
def test_firewalls_as_recorded(golden, name, packet, wanted):
    """Of Debian 12: what ufw, Docker and firewalld make, and what they make of the cure that l2wg tells."""
    assert said((golden / "firewalls" / name).read_text(), packet) == wanted


def save(*rules, policy="DROP", chains=()):
    lines = ["*nat", ":INPUT ACCEPT [0:0]", "COMMIT", "*filter", ":INPUT %s [0:0]" % policy] + [":%s - [0:0]" % name for name in chains]
    return "\n".join(lines + ["-A " + rule for rule in rules] + ["COMMIT", ""])


@pytest.mark.parametrize(
    "rule, dropped",
    [
        ("-i wg0 -j ACCEPT", False),
        ("-i wg+ -j ACCEPT", False),
        ("! -i eth0 -j ACCEPT", False),
        ("-i eth0 -j ACCEPT", True),
        ("! -i wg0 -j ACCEPT", True),
        ("-p gre -j ACCEPT", False),
        ("-p 47 -j ACCEPT", False),
        ("-p tcp -m tcp --dport 22 -j ACCEPT", True),
        ("-s 192.168.92.0/24 -j ACCEPT", False),
        ("-s 10.0.0.0/8 -j ACCEPT", True),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", True),
        ("-m conntrack --ctstate NEW -j ACCEPT", True),
        ("-m addrtype --dst-type LOCAL -j ACCEPT", False),
        ('-j LOG --log-prefix "a b -j ACCEPT"', True),
        ('-m comment --comment "it\'s" -j ACCEPT', False),
        ("-m set --match-set friends src -j ACCEPT", False),  # may be: then nothing is claimed
        ("-m set --match-set friends src -j DROP", True),  # or by the policy
        ("-j NFQUEUE --queue-num 0", False),
    ],
)
def test_a_rule_of_iptables_before_a_policy_of_drop(rule, dropped):
    assert bool(said(save("INPUT " + rule), GRE)) == dropped


@pytest.mark.parametrize(
    "rules, dropped",
    [
        (["INPUT -j one", "one -j DROP"], True),
        (["INPUT -j one", "one -j RETURN", "one -j DROP"], False),
        (["INPUT -j one", "one -m limit --limit 3/min -j RETURN", "one -j DROP"], False),
        (["INPUT -j one", "one -m limit --limit 3/min -j RETURN", "INPUT -j DROP"], True),
        (["INPUT -m limit --limit 3/min -j one", "one -j ACCEPT", "INPUT -j DROP"], False),
        (["INPUT -m limit --limit 3/min -j one", "one -j LOG", "INPUT -j DROP"], True),
        (["INPUT -g one", "one -j LOG", "INPUT -j DROP"], False),
        (["INPUT -j one", "one -j one", "INPUT -j DROP"], False),  # no end
    ],
)
def test_chains(rules, dropped):
    assert bool(said(save(*rules, policy="ACCEPT", chains=["one"]), GRE)) == dropped


def listing(*expressions, policy="drop", table="filter", family="inet"):
    chain = {"family": family, "table": table, "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": policy}
    rules = [{"rule": {"family": family, "table": table, "chain": "in", "expr": list(expression)}} for expression in expressions]
    return json.dumps({"nftables": [{"metainfo": {}}, {"chain": chain}] + rules})


def match(left, right, op="=="):
    return {"match": {"op": op, "left": left, "right": right}}


ACCEPT = {"accept": None}
META = {key: {"meta": {"key": key}} for key in ("iifname", "l4proto", "nfproto", "mark")}
SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}


@pytest.mark.parametrize(
    "rule, dropped",
    [
        ([match(META["iifname"], "wg0"), {"counter": {"packets": 0, "bytes": 0}}, ACCEPT], False),
        ([match(META["iifname"], "wg*"), ACCEPT], False),
        ([match(META["iifname"], {"set": ["lo", "wg0"]}), ACCEPT], False),
        ([match(META["iifname"], "eth0", "!="), ACCEPT], False),
        ([match(META["iifname"], "eth0"), ACCEPT], True),
        ([match(META["l4proto"], "gre"), ACCEPT], False),
        ([match(META["l4proto"], 47), ACCEPT], False),
        ([match(META["l4proto"], {"set": ["icmp", "ipv6-icmp"]}), ACCEPT], True),
        ([match(META["nfproto"], "ipv6"), ACCEPT], True),
        ([match(SOURCE, {"prefix": {"addr": "192.168.92.0", "len": 24}}), ACCEPT], False),
        ([match(SOURCE, "10.0.0.1"), ACCEPT], True),
        ([match({"payload": {"protocol": "ip6", "field": "saddr"}}, "fd00::1"), ACCEPT], True),
        ([match({"payload": {"protocol": "tcp", "field": "dport"}}, 22), ACCEPT], True),
        ([match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT], True),
        ([match({"ct": {"key": "state"}}, "new"), ACCEPT], True),  # the tunnel's packets are of no connection
        ([match({"ct": {"key": "state"}}, "untracked"), ACCEPT], False),
        ([match(META["mark"], 7), ACCEPT], False),  # may be: then nothing is claimed
        ([match(META["iifname"], "@lans"), ACCEPT], False),
        ([{"vmap": {"key": META["iifname"], "data": "@ways"}}], False),
        ([{"limit": {"rate": 1}}, {"drop": None}], True),
    ],
)
def test_a_rule_of_nft_before_a_policy_of_drop(rule, dropped):
    assert bool(said(listing(rule), GRE)) == dropped


def test_tables_of_another_family_and_skipped_ones_do_not_count():
    assert said(listing(), GRE)
    assert not said(listing(family="ip6"), GRE)
    assert not trace.nft(trace.listing(listing()), GRE, [("inet", "filter")]).bases


def test_nothing_is_claimed_of_nothing():
    assert said("", GRE) == []
    assert list(trace.drops(trace.nft(trace.listing(""), GRE))) == []
    assert list(trace.drops(trace.xtables(trace.saved("# Table `filter' is incompatible, use 'nft' tool.\n"), GRE))) == []
