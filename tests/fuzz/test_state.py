"""Files of state that somebody has edited, cut, or restored from elsewhere: understood, or told of; none makes l2wg forget an admin's file."""

import json
import re

import hostile
import pytest
from hostile import few
from hypothesis import given
from hypothesis import strategies as st
from l2wg_hooks.apply import rollback, saved_state, transaction
from l2wg_hooks.config import endpoint_lines, endpoint_names, last_applied, last_endpoints, schema, tunnel_file
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Heard, Link, Observed, Peer
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.observe import peer_answers
from l2wg_hooks.plan import peer_down, peer_endpoints, planner
from l2wg_hooks.reconcile import executor, reconcile, ruleset
from l2wg_hooks.system import files, log, process
from test_said import ROUTES, SHOWN, refused
from test_text import printable

CORPUS = hostile.corpus()
WISH = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nvlans = 1-5\n"
TUNNEL = tunnel_file.parse(WISH, "x", "gretap1")[0]
LOADED = json.dumps({"entries": [nftables.entry(TUNNEL)], "values": {"gretap1": nftables.value(TUNNEL, {})}, "listing": "table inet l2wg {\n}\n"})


@pytest.fixture(scope="module")
def state(root):
    """The root, where nothing is run."""
    patch = pytest.MonkeyPatch()
    patch.setattr(process, "run", lambda argv, stdin="", environment=(): process.Result(0, SHOWN[0] if "-details" in argv else "", ""))
    patch.setattr(executor, "apply", lambda steps: ())
    patch.setattr(reconcile, "reconcile", lambda leaving=(), may_skip=False, only=None, meet=None: ())
    yield root
    patch.undo()


def fresh(top, **texts):
    """Nothing but the wish and these files."""
    for name in ("etc/l2wg", "var/lib/l2wg/rejected", "var/lib/l2wg"):
        (top / name).mkdir(parents=True, exist_ok=True)
        for path in (top / name).iterdir():
            if path.is_file():
                path.unlink()
    (top / "etc/l2wg/gretap1.conf").write_text(WISH)
    for name, text in texts.items():
        files.write(str(top / "var/lib/l2wg" / name), text)


def saved(top):
    """A transaction as begin() writes one."""
    old = {str(top / "one"): "old\n", str(top / "new"): None, nftables.STATIC: None}
    shown = SHOWN[0]
    return json.dumps(
        saved_state.Saved(
            "another",
            0,
            True,
            ["br0", "enp3s0"],
            ["enp2s0"],
            old,
            {str(top / "one"): 0o644},
            {str(top / "one"): "new\n"},
            {"gretap1": WISH},
            {"gretap1": WISH},
            shown,
            {"br0": ROUTES},
            [["wg0", "a2V5", "192.0.2.1:51820", ["10.0.0.0/8"], 1700000000, 1, 2, 25]],
            [["10.0.0.0/8"]],
            True,
        )._asdict()
    )


@given(st.data())
def test_a_transaction_that_cannot_be_read_changes_nothing(state, data):
    """Of a wrong file nothing is done; of one that still is one, all that is done is in the files that it names."""
    text = data.draw(hostile.mutated_json([saved(state)]))
    transaction_of(state, text)


def transaction_of(state, text):
    (state / "one").write_text("new\n")
    fresh(state, transaction=text)
    try:
        before = saved_state.load(saved_state.OPEN)
    except L2wgError as error:
        (problem,) = error.problems
        assert problem.path == saved_state.OPEN and problem.line > 0 and "rm " in problem.hint
        printable(problem)
        for call in (rollback.clear, rollback.recover, transaction.commit, transaction.confirm, lambda: rollback.rollback("x")):
            with pytest.raises(L2wgError):
                call()
        assert (state / "one").read_text() == "new\n" and (state / "etc/l2wg/gretap1.conf").read_text() == WISH
        assert files.read(saved_state.OPEN) == text
        return
    # What a rollback writes: nothing that was made up, where the paths are not its own.
    if all(path.startswith(str(state)) for path in list(before.old) + list(before.new)):
        refused(rollback.rollback, "for a test")
        refused(rollback.recover)
        kept = [path.name for path in (state / "etc/l2wg").iterdir()]
        assert "gretap1.conf" in kept or "gretap1.conf.rejected" in kept


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_as_a_transaction(state, name):
    transaction_of(state, CORPUS[name])
    applied_of(state, CORPUS[name])
    loaded_of(state, CORPUS[name])


@few
@given(hostile.mutated_json([json.dumps({"gretap1": WISH, "b": ""})]))
def test_what_was_applied_and_cannot_be_read_takes_no_file_away(state, text):
    applied_of(state, text)


def applied_of(state, text):
    fresh(state, applied=text)
    found = last_applied.read()
    assert all(isinstance(name, str) and "/" not in name and isinstance(config, str) for name, config in found.items())
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        assert found == {"gretap1": WISH}
    (state / "one").write_text("new\n")
    transaction.begin(["br0"], [], [str(state / "one")])
    rollback.rollback("for a test")
    assert (state / "etc/l2wg/gretap1.conf").exists() or (state / "etc/l2wg/gretap1.conf.rejected").exists()


@few
@given(hostile.mutated_json([LOADED]))
def test_what_was_loaded_reaches_no_template_unlooked_at(state, text):
    loaded_of(state, text)


def loaded_of(state, text):
    """The entries of a tunnel whose file is broken are loaded again: by a template and nft(8)."""
    files.write(nftables_state.LOADED, text)
    found = nftables_state.observe(needed=True)
    todo = planner.plan([], {}, (), ["gretap1", "x", ""], Observed(found))
    assert todo.rules is None or not todo.rules.entries
    kept = planner._rules([], {}, ["gretap1", "x", ""], found)
    made = nftables.render(kept.entries) + nftables.load(kept.entries, kept.values)
    wanted = nftables.render([nftables.entry(TUNNEL)]) + nftables.load([nftables.entry(TUNNEL)], {"gretap1": nftables.value(TUNNEL, {})})
    if kept.entries:
        # The same signs, as many of each, but for those that a name or a number can have.
        assert not set(made) - set(wanted) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-")
        for sign in "\"'{}$;\\":
            assert len(kept.entries) != 1 or kept.entries[0]["kind"] != "gretap" or made.count(sign) <= 3 * wanted.count(sign)


def test_no_word_of_what_was_loaded_may_be_hostile(state):
    right = json.loads(LOADED)
    files.write(nftables_state.LOADED, LOADED)
    assert nftables_state.observe(needed=True).entries == right["entries"]
    for key in right["entries"][0]:
        for token in ['" } ; accept', "{{ 7 * 7 }}", "\n", "$(touch /tmp/owned)", 1e400, -1, [], {}, ["1;"], [1]]:
            if key == "vlans" and token == []:
                continue
            files.write(nftables_state.LOADED, json.dumps(dict(right, entries=[dict(right["entries"][0], **{key: token})])))
            assert nftables_state.observe(needed=True).entries == [] and not nftables_state.observe(needed=True).intact, (key, token)
    for key in right["values"]["gretap1"]:
        for token in ["1 ; accept", "{{ 7 * 7 }}", "\n", 1e400, -1, [], {}, None]:
            files.write(nftables_state.LOADED, json.dumps(dict(right, values={"gretap1": dict(right["values"]["gretap1"], **{key: token})})))
            assert nftables_state.observe(needed=True).entries == [], (key, token)


@few
@given(st.one_of(hostile.mutated(["# [] 00000000\ntable inet l2wg {\n}\n"]), hostile.anything))
def test_a_rule_file_that_somebody_edited_is_written_anew(state, text):
    fresh(state)
    files.write(nftables.STATIC, text)
    ruleset.store([nftables.entry(TUNNEL)])
    written, stamp = files.read(nftables.STATIC), nftables_state.stamp([nftables.entry(TUNNEL)])
    assert written.startswith(stamp) and written[len(stamp) :].partition("\n")[2] == nftables.render([nftables.entry(TUNNEL)])


KEY = "A" * 43 + "="
HEARD = endpoint_lines.render({("wg0", KEY): Heard("203.0.113.10:4900", 1700000000), ("l2w0", KEY): Heard("[2001:db8::1]:1", 0)})


@few
@given(st.one_of(hostile.mutated([HEARD]), hostile.anything))
def test_where_peers_were_heard_is_an_address_or_nothing(state, text):
    fresh(state)
    files.write(last_endpoints.PATH, text)
    found = last_endpoints.read()
    assert endpoint_lines.parse(endpoint_lines.render(found)) == found
    tunnels = [TUNNEL._replace(underlay=name) for name, _ in found]
    links = {name: Link(name, 1, "wireguard") for name, _ in found}
    peers = {name: (Peer(key, "", ("0.0.0.0/0",), 0, 0, 0, None),) for name, key in found}
    for step in peer_endpoints.steps(tunnels, links, Observed(peers=peers, heard=found, now=0)):
        assert step.argv[:2] == ("wg", "set") and all(re.match(r"[A-Za-z0-9+/=_.:\[\]-]+\Z", word) for word in step.argv), step.argv
        assert [word for word in step.argv[3::4]] == ["peer"] * (len(step.argv) // 4)


ANSWERED = peer_answers.render({"gretap1": peer_answers.Row(5, 1700000000, 3), "wire": peer_answers.Row(0, 0, 0)}) + "enp3s0\nbr-lan\n"


@few
@given(st.one_of(hostile.mutated([ANSWERED]), hostile.anything))
def test_who_has_answered_and_which_ports_are_held_are_names_or_nothing(state, text):
    fresh(state)
    for path in (peer_answers.ANSWERS, peer_answers.TAKEN):
        files.write(path, text)
    rows = peer_answers.read()
    assert peer_answers.parse(peer_answers.render(rows)) == rows
    ports = peer_answers.taken()
    links = {port: Link(port, 1) for port in ports}
    for step in peer_down.released(links, Observed(taken=ports)):
        assert step.argv[:4] == ("ip", "link", "set", "dev") and schema.NAME.match(step.argv[4]), step.argv


@few
@given(st.one_of(hostile.mutated(["[Interface]\nPrivateKey = x\n[Peer]\nPublicKey = k\nEndpoint = b.example.org:4900\n"]), hostile.anything))
def test_a_name_is_told_from_an_address(text):
    for name, port in endpoint_names.named(text).values():
        assert name and endpoint_names.is_name(f"{name}:{port}")


def test_log_takes_any_text(capsys):
    for text in hostile.TOKENS:
        log.say(text)
        shown = capsys.readouterr().err
        assert all(line.isprintable() for line in shown.split("\n")) and len(shown) > len(text), text  # and nothing is cut
