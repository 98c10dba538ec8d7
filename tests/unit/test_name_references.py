"""Rules of the kernel that go by a port's name, and what is said of them before the port's address moves."""

import json

import pytest
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Link
from l2wg_hooks.netfilter import name_references
from l2wg_hooks.plan.address_move import Move
from l2wg_hooks.system import process
from l2wg_hooks.system.process import Result

MOVE = Move("enp2s0", "br0", ("192.168.92.1/24", "fd00:92::1/64"), ("/etc/network/interfaces",))
LINKS = {
    "lo": Link("lo", 1, addresses=("127.0.0.1/8",)),
    "enp1s0": Link("enp1s0", 2, addresses=("203.0.113.7/24",)),
    "enp2s0": Link("enp2s0", 3, addresses=MOVE.addresses),
    "wg0": Link("wg0", 4, "wireguard", addresses=("10.15.14.1/24",)),
}
OPEN = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n"


def told(monkeypatch, moves=(MOVE,), **said):
    monkeypatch.setattr(process, "run", lambda argv: Result(0, said.get("_".join(argv).replace("-", "_"), ""), ""))
    return name_references.problems(moves, LINKS)


def save(rules, policy="DROP", forward="ACCEPT"):
    return "*filter\n:INPUT %s [0:0]\n:FORWARD %s [0:0]\n%sCOMMIT\n" % (policy, forward, OPEN + rules)


def nft(*interfaces):
    match = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"set": ["lo"] + list(interfaces)}}}
    chain = {"family": "inet", "table": "filter", "name": "input", "hook": "input", "policy": "drop"}
    rule = {"family": "inet", "table": "filter", "chain": "input", "expr": [match, {"accept": None}]}
    return json.dumps({"nftables": [{"chain": chain}, {"rule": rule}]})


@pytest.mark.parametrize(
    "rules",
    [
        "-A INPUT -i enp2s0 -j ACCEPT\n",
        "-A INPUT -i enp2s0 -p tcp -m tcp --dport 22 -j ACCEPT\n",
        "-A INPUT -s 192.168.92.0/24 -i enp2s0 -j ACCEPT\n",
        "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -i enp2s0 -p udp -m udp --dport 67 -j ACCEPT\n",
    ],
)
def test_a_firewall_that_lets_in_by_the_ports_name_is_told_of_before(monkeypatch, rules):
    (problem,) = told(monkeypatch, iptables_save__t_filter=save(rules))
    assert "iptables: chain INPUT" in problem.message and "drop it by br0" in problem.message
    assert told(monkeypatch, iptables_save__t_filter=save(rules + rules.replace("enp2s0", "br0"))) == ()
    assert told(monkeypatch, (), iptables_save__t_filter=save(rules)) == ()


@pytest.mark.parametrize("rules", ["", "-A INPUT -s 192.168.92.0/24 -j ACCEPT\n", "-A INPUT -i enp+ -p icmp -j DROP\n-A INPUT -j ACCEPT\n"])
def test_a_firewall_that_knows_no_port_is_in_nobodys_way(monkeypatch, rules):
    assert told(monkeypatch, iptables_save__t_filter=save(rules)) == ()
    assert told(monkeypatch, iptables_save__t_filter=save(rules, "ACCEPT")) == ()


@pytest.mark.parametrize("rule", ["-i enp2s0 -o enp1s0", "-i wg0 -o enp2s0", "-d 192.168.92.0/24 -o enp2s0"])
def test_the_lans_way_through_is_looked_at_too(monkeypatch, rule):
    rules = "-A FORWARD %s -j ACCEPT\n" % rule
    (problem,) = told(monkeypatch, iptables_save__t_filter=save(rules, "ACCEPT", "DROP"))
    assert "chain FORWARD" in problem.message
    assert told(monkeypatch, iptables_save__t_filter=save(rules + rules.replace("enp2s0", "br0"), "ACCEPT", "DROP")) == ()


def test_nftables_for_both_families_is_said_once(monkeypatch):
    (problem,) = told(monkeypatch, nft__j_list_ruleset=nft("enp2s0"))
    assert "nft: table inet filter chain input" in problem.message
    assert told(monkeypatch, nft__j_list_ruleset=nft("enp2s0", "br0")) == ()


def test_policy_rules_by_the_ports_name(monkeypatch):
    rules = "0:\tfrom all lookup local\n100:\tfrom 10.7.0.0/16 iif enp2s0 lookup 7\n101:\tfrom all to 10.0.0.1 iif enp3s0 lookup 8\n"
    (problem,) = told(monkeypatch, ip__4_rule_show=rules)
    assert "`from 10.7.0.0/16 iif enp2s0 lookup 7`" in problem.message
    assert problem.hint == "ip -4 rule add priority 100 from 10.7.0.0/16 iif br0 lookup 7; then: l2wg apply"
    assert told(monkeypatch, ip__4_rule_show=rules + "100:\tfrom 10.7.0.0/16 iif br0 [detached] lookup 7\n") == ()


def test_an_address_that_only_ifupdown_understands_is_no_error(monkeypatch):
    odd = MOVE._replace(addresses=("router.example", "192.168.92.1", "192.168.92.1/255.255.255.255", "10.0.0.0/31"))
    assert len(told(monkeypatch, (odd,), iptables_save__t_filter=save("-A INPUT -i enp2s0 -j ACCEPT\n"))) == 1


def test_policy_rules_that_cannot_be_looked_at_forbid_the_move(monkeypatch):
    monkeypatch.setattr(process, "run", lambda argv: Result(1, "", "no\n") if argv[2:] == ("rule", "show") else Result(0, "", ""))
    with pytest.raises(L2wgError, match="`ip -4 rule show` failed: no"):
        name_references.problems((MOVE,), LINKS)
