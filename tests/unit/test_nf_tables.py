"""Rules that nobody has changed are not listed again: what the kernel says of its transactions, and which processes that spares."""

import json
import os
import struct

import pytest
from l2wg_hooks.model import Rules
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.reconcile import ruleset
from l2wg_hooks.system import files, network_namespace, nf_tables, process
from test_rules import NFT, OTHER, TUNNEL, of, read, rule_added
from test_rules import nft as _nft

nft = _nft
LISTS = ["nft -s list table inet l2wg", "nft -s list table bridge l2wg"]
LOAD = f"nft -f {nftables.FILE}"
# Recorded of Linux 6.18: the answer to GETGEN of a network namespace without any transaction, whose first number is 1.
ANSWER = bytes.fromhex("300000000f0a000001000000db7e00000000000108000100000000010800020000007edb0c000300707974686f6e3300")


@pytest.fixture
def kernel(nft, monkeypatch):
    """A kernel that counts transactions: `number`, in the `namespace`; `tables` are the families of which it has a table l2wg."""
    state = {"number": 2**32 - 3, "namespace": "boot/7"}
    fake, alone = process.run, network_namespace.alone

    def run(argv, stdin=""):
        others = nft["after"]
        seen = []
        nft["after"] = lambda tables: (seen.append(dict(tables)), others(tables), seen.append(dict(tables)))
        try:
            result = fake(argv, stdin)
        finally:
            nft["after"] = others
        if argv[:2] == ("nft", "-f") and result.code == 0:
            somebody_changes(1 + (seen[0] != seen[1]))
        return result

    def somebody_changes(times=1):
        for _ in range(times):
            state["number"] = state["number"] % (2**32 - 1) + 1

    def elsewhere(work):
        number = state["number"]
        try:
            return alone(work)
        finally:
            state["number"] = number

    state["changes"] = somebody_changes
    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(network_namespace, "alone", elsewhere)
    monkeypatch.setattr(nf_tables, "generation", lambda: nf_tables.Generation(state["number"], state["namespace"]))
    monkeypatch.setattr(nf_tables, "has_table", lambda family, name: family in nft["tables"])
    monkeypatch.setattr(nftables_state, "_nft", lambda: state.get("nft", [1, 2, 3]))
    return state


def did(nft):
    found, nft["ran"] = nft["ran"], []
    return found


def observed():
    return nftables_state.observe(needed=True)


def test_rules_are_loaded_once_and_listed_once(nft, kernel):
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert did(nft) == [LOAD, *LISTS]


def test_what_was_listed_before_is_not_listed_again(nft, kernel):
    """wg-quick down, wg-quick up: one process, of nine that there were."""
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert ruleset.load(Rules(), NFT) == ()
    did(nft)
    assert observed() == Rules()
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert observed() == of(TUNNEL)
    assert did(nft) == [LOAD]
    # As good a baseline as any.
    kernel["changes"]()
    assert observed() == of(TUNNEL)
    nft["tables"]["inet"] += " "
    kernel["changes"]()
    assert observed() == of(TUNNEL, intact=False)


@pytest.mark.parametrize("tables, intact", [({}, True), ({"inet": "somebody's"}, False), ({"bridge": "somebody's"}, False)])
def test_the_kernel_says_whether_there_is_a_table(nft, kernel, tables, intact):
    nft["tables"] = tables
    assert observed() == Rules(intact=intact)
    assert did(nft) == LISTS * (not intact)


def test_where_nothing_has_changed_nobody_lists(nft, kernel):
    ruleset.load(of(TUNNEL), NFT)
    did(nft)
    assert [observed(), observed()] == [of(TUNNEL)] * 2
    assert did(nft) == []
    kernel["changes"]()
    assert [observed(), observed()] == [of(TUNNEL)] * 2
    assert did(nft) == LISTS


def test_what_somebody_has_changed_is_listed_until_it_is_mended(nft, kernel):
    ruleset.load(of(TUNNEL), NFT)
    rule_added(nft["tables"])
    kernel["changes"]()
    did(nft)
    assert [observed().intact, observed().intact] == [False, False]
    assert did(nft) == LISTS * 2


@pytest.mark.parametrize("what", ["namespace", "number", "loaded"])
def test_what_was_seen_is_of_this_namespace_and_of_this_note(nft, kernel, what):
    """A container that was started anew, with its old /run, has no rules, and may have the same number of transactions."""
    ruleset.load(of(TUNNEL), NFT)
    nft["tables"] = {}
    if what == "loaded":
        note = json.loads(read(nftables_state.LOADED))
        files.write(nftables_state.LOADED, json.dumps(note, indent=1))
    else:
        kernel[what] = {"namespace": "boot/8", "number": 5}[what]
    assert not observed().intact


def test_without_a_word_for_the_namespace_nothing_is_kept(nft, kernel):
    """Linux 5.10 has a number, and none for the namespace: it is of use while a process loads, and no longer."""
    kernel["namespace"] = ""
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert did(nft) == [LOAD, *LISTS]
    assert observed() == of(TUNNEL)
    assert did(nft) == LISTS
    assert not os.path.exists(nftables_state.SEEN)


def test_another_nft_lists_in_its_own_way(nft, kernel):
    ruleset.load(of(TUNNEL), NFT)
    ruleset.load(Rules(), NFT)
    kernel["nft"] = [1, 2, 4]
    did(nft)
    ruleset.load(of(TUNNEL), NFT)
    assert did(nft) == [LOAD, *LISTS]


@pytest.mark.parametrize("wanted", [of(OTHER), of(TUNNEL, OTHER), of(TUNNEL)._replace(values={"gretap1": dict(of(TUNNEL).values["gretap1"], mss4=1300)})])
def test_other_rules_are_listed(nft, kernel, wanted):
    ruleset.load(of(TUNNEL), NFT)
    ruleset.load(Rules(), NFT)
    did(nft)
    assert ruleset.load(wanted, NFT) == ()
    assert did(nft) == [LOAD, *LISTS]


def test_what_seems_to_be_changed_is_not_taken_from_a_note(nft, kernel):
    """A note that is wrong mends itself: else the rules would be loaded by every event."""
    ruleset.load(of(TUNNEL), NFT)
    ruleset.load(Rules(), NFT)
    note = json.loads(read(nftables_state.LISTED))
    files.keep(nftables_state.LISTED, json.dumps(dict(note, meant=note["meant"].replace("drop", "accept"))))
    ruleset.load(of(TUNNEL), NFT)
    kernel["changes"]()
    assert not observed().intact
    assert ruleset.load(of(TUNNEL), NFT) == ()
    kernel["changes"]()
    assert observed().intact


@pytest.mark.parametrize("spaces", [True, False])
def test_what_somebody_changes_in_that_moment_is_loaded_again(nft, kernel, spaces):
    """The kernel tells of two transactions, where one was ours."""
    nft["spaces"] = spaces
    times = []

    def once(tables):
        if not times:
            rule_added(tables)
        times.append(1)

    nft["after"] = once
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert did(nft).count(LOAD) == 2
    assert observed() == of(TUNNEL)


def test_and_so_is_what_somebody_changes_before_it_is_listed(nft, kernel, monkeypatch):
    listing, times = nftables_state.listing, []

    def late(entries=()):
        if not times:
            rule_added(nft["tables"])
            kernel["changes"]()
        times.append(1)
        return listing(entries)

    monkeypatch.setattr(nftables_state, "listing", late)
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert did(nft).count(LOAD) == 2
    assert observed() == of(TUNNEL)


@pytest.mark.parametrize("family", ["inet", "bridge"])
def test_half_a_listing_is_no_baseline(nft, kernel, monkeypatch, family):
    """Where nft(8) fails for one table, as it may when memory is short."""
    run, failed = process.run, []

    def fails(argv, stdin=""):
        if argv[:5] == ("nft", "-s", "list", "table", family) and not failed:
            failed.append(1)
            return process.Result(1, "", "netlink: Error: cache initialization failed: Cannot allocate memory\n")
        return run(argv, stdin)

    monkeypatch.setattr(process, "run", fails)
    assert ruleset.load(of(TUNNEL), NFT) == ()
    kernel["changes"]()
    assert observed() == of(TUNNEL)


def test_somebody_who_keeps_changing_it_is_told_of(nft, kernel):
    nft["after"] = rule_added
    (problem,) = ruleset.load(of(TUNNEL), NFT)
    assert "something else had changed them" in problem.message
    assert not observed().intact


@pytest.mark.parametrize("text", ["", "[]", "{", '{"nft": [1, 2, 3]}', '{"nft": [1, 2, 3], "entries": 1, "values": 2, "meant": 3}'])
def test_a_note_that_is_not_ours_is_none(nft, kernel, text):
    files.keep(nftables_state.LISTED, text)
    files.keep(nftables_state.SEEN, text)
    assert nftables_state.kept(of(TUNNEL).entries, of(TUNNEL).values) is None
    assert ruleset.load(of(TUNNEL), NFT) == ()
    assert did(nft) == [LOAD, *LISTS]


def test_of_nothing_nothing_is_seen_but_that(nft, kernel):
    ruleset.load(of(TUNNEL), NFT)
    ruleset.load(Rules(), NFT)
    did(nft)
    assert observed() == Rules() and did(nft) == []
    nft["tables"]["inet"] = "somebody's"
    kernel["changes"]()
    assert observed() == Rules(intact=False)


def test_an_answer_of_the_kernel():
    assert nf_tables.parse(ANSWER) == 1
    error = struct.pack("=IHHIIi", 36, nf_tables.NLMSG_ERROR, 0, 1, 0, -1) + b"\0" * 16
    assert nf_tables.parse(error) is None
    for size in range(24, 28):
        with pytest.raises(struct.error):
            nf_tables.parse(ANSWER[:size])


def test_one_more_transaction():
    first = nf_tables.Generation(7, "x")
    assert nf_tables.Generation(8, "x").is_next(first)
    assert nf_tables.Generation(1, "x").is_next(nf_tables.Generation(2**32 - 1, "x"))
    for other in (first, nf_tables.Generation(9, "x"), nf_tables.Generation(8, "y"), nf_tables.Generation(0, "x")):
        assert not other.is_next(first)
    assert not first.is_next(None)
