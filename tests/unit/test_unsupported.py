"""A key that this router's nft(8) does not take is refused alone and by name; the guard and the tunnels stand."""

import pytest
import test_apply
import test_rules
from l2wg_hooks.apply import apply, preview
from l2wg_hooks.config import schema, store
from l2wg_hooks.config.store import Wish
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Rules
from l2wg_hooks.netfilter import unsupported
from l2wg_hooks.system import features, process
from test_rules import LINKS, OTHER, TUNNEL, carry_out, did, of, with_tunnels

nft, router = test_rules.nft, test_apply.router  # fixtures
FULL = OTHER._replace(vlans="untagged,10", dhcp="block", path="/etc/l2wg/gretap2.conf", lines={"storm-limit": 7, "vlans": 8})
# A word that only the rules of one key have.
WORDS = {"storm-limit": "timeout 300s", "vlans": "vlan id", "dhcp": "udp dport 67-68", "mss-clamp": "tcp option maxseg"}


def test_every_optional_feature_is_a_key_and_takes_its_words_along(nft):
    assert {feature.key for feature in unsupported.OPTIONAL} == set(WORDS) == set(unsupported.OFF) <= set(schema.KEYS)
    for feature in unsupported.OPTIONAL:
        with_it, without = (unsupported._text(wanted) for wanted in (of(FULL), unsupported.without(of(FULL), [feature])))
        assert WORDS[feature.key] in with_it and WORDS[feature.key] not in without
        assert all(word in without for key, word in WORDS.items() if key != feature.key)


@pytest.mark.parametrize("key", sorted(WORDS))
def test_one_key_is_told_by_trial(nft, key):
    nft["refuses"] = [WORDS[key]]
    found = unsupported.find(of(TUNNEL, FULL))
    assert [feature.key for feature, _ in found.keys] == [key] and found.guard == ""
    told = list(unsupported.problems(found, [TUNNEL, FULL]))
    assert {(problem.key, problem.tunnel) for problem in told} == {(key, "gretap2")} | ({(key, "gretap1")} if key == "mss-clamp" else set())
    where = {"storm-limit": "7: ", "vlans": "8: "}.get(key, " ")
    assert str(told[-1]).startswith("/etc/l2wg/gretap2.conf:%s%s: cannot be had on this router" % (where, key))
    assert "hint: l2wg set " in str(told[-1]) and told[-1].id == "nft-form"


def test_several_keys(nft):
    nft["refuses"] = [WORDS["storm-limit"], WORDS["dhcp"]]
    assert [feature.key for feature, _ in unsupported.find(of(FULL)).keys] == ["dhcp", "storm-limit"]


def test_what_is_taken_costs_one_question_and_what_there_is_none_costs_none(nft):
    assert not unsupported.find(of(FULL)) and len(nft["asked"]) == 1
    assert not unsupported.find(Rules()) and len(nft["asked"]) == 1


@pytest.mark.parametrize("word, cure", [("table inet", "modprobe nf_tables"), ("meta l4proto 47", "l2wg check -v")])
def test_the_guard_has_a_cure_of_its_own_cause(nft, word, cure):
    nft["refuses"] = [word]
    (problem,) = unsupported.problems(unsupported.find(of(FULL)), [FULL])
    assert "the guard, without which no tunnel is made, cannot be had" in problem.message and cure in problem.hint


def test_a_kernel_whose_guard_would_drop_the_tunnels_own_packets_gets_none(nft, monkeypatch):
    """Linux 4.19 with WireGuard built beside it: no interface is known after source NAT there."""
    usual = unsupported.os.uname()
    for release, old in (("4.19.0-27-amd64", True), ("5.6.0-1", True), ("5.7.0", False), ("5.10.0-0.deb10.28-amd64", False), ("6.12.1", False)):
        monkeypatch.setattr(unsupported.os, "uname", lambda: type("Uname", (), {"release": release}))
        found = unsupported.find(of(FULL))
        assert bool(found) == old and ("Linux 5.7" in found.guard) == old
        assert not old or "buster-backports" in next(unsupported.problems(found, [FULL])).hint
    assert usual.release


def test_an_event_makes_the_tunnels_without_what_is_refused(nft, monkeypatch):
    monkeypatch.setattr(store, "load", lambda: Wish((TUNNEL, FULL), (), ()))
    nft["refuses"] = [WORDS["storm-limit"]]
    (problem,) = carry_out(nft, [TUNNEL, FULL], LINKS, Rules())
    assert (problem.key, problem.tunnel) == ("storm-limit", "gretap2")
    assert did(nft)[:2] == ["nft -f FILE"] * 2 and "ip link add name gretap2" in "\n".join(did(nft))
    assert "vlan id" in nft["tables"]["bridge"] and "timeout 300s" not in nft["tables"]["bridge"]


def test_the_next_event_leaves_what_stands(nft, monkeypatch):
    monkeypatch.setattr(store, "load", lambda: Wish((FULL,), (), ()))
    nft["refuses"] = [WORDS["storm-limit"]]
    (less,) = [unsupported.without(of(FULL), [feature]) for feature in unsupported.OPTIONAL if feature.key == "storm-limit"]
    (problem,) = carry_out(nft, [FULL], with_tunnels(FULL), less)
    assert problem.key == "storm-limit" and did(nft) == ["nft -f FILE"], "the new ones are tried; the old ones are in force"


def test_apply_refuses_before_it_changes_anything(router, monkeypatch):
    """A syntax that nft(8) does not know: the key is named, with its line."""
    with router.conf.open("a") as file:
        file.write("storm-limit = 20\n")
    line = router.conf.read_text().count("\n")
    usual = router.run
    refused = process.Result(1, "", "/dev/stdin:9:9: Error: syntax error, unexpected string\n")
    monkeypatch.setattr(process, "run", lambda argv, stdin="", environment=(): refused if "timeout 300s" in stdin else usual(argv, stdin))
    with pytest.raises(L2wgError) as error:
        apply.apply()
    (problem,) = error.value.problems
    assert str(problem).startswith("%s:%d: storm-limit: cannot be had on this router, which has no sets that rules fill" % (router.conf, line))
    assert router.done == [] and not router.ours.exists()
    router.conf.write_text(router.conf.read_text().replace("storm-limit = 20\n", ""))
    assert apply.apply() == ()


def test_a_router_is_asked_for_all_that_the_rules_have():
    """The table's own rule sets are what the template makes, word for word where it matters."""
    texts = "".join(feature.text for feature in features.FEATURES)
    assert all(word.split(" =")[0] in texts for word in WORDS.values())


def test_a_guard_that_is_not_loaded_yet_is_not_refused(router, monkeypatch):
    """As while a Debian is installed in a chroot, by another kernel: wg0 is not there, so nothing is loaded."""
    usual, router.links = router.run, {name: link for name, link in router.links.items() if name != "wg0"}
    refused = process.Result(1, "", "/dev/stdin:9:9: Error: Could not process rule: Operation not supported\n")
    monkeypatch.setattr(process, "run", lambda argv, stdin="", environment=(): refused if argv[:2] == ("nft", "-c") else usual(argv, stdin))
    assert not [problem for problem in preview.intend().problems if problem.id == "nft-form"]
