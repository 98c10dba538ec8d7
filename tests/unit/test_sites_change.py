"""`--sites FILE` of plan and apply: another file of sites, whole or not at all; and what apply tells programs."""

import base64
import io
import json
import types

import nets
import pytest
from l2wg_hooks import cli
from l2wg_hooks.apply import preview, ring_probe, rollback, saved_state, sites_change, transaction, verify, watch_timer
from l2wg_hooks.config import card, last_applied, public_key, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link, Observed
from l2wg_hooks.observe import link_table, snapshot, wg_interfaces
from l2wg_hooks.plan.restore import Snapshot
from l2wg_hooks.reconcile import executor, reconcile, ruleset
from l2wg_hooks.rehearsal import rehearse
from l2wg_hooks.system import files, process, units

PRIVATE = base64.b64encode(bytes(range(32))).decode()
OWN = card.encode(card.Card("hq", public_key.of(PRIVATE), "hq.example.org:51820", ("198.18.1.1",)))
OLD = f"net hub=hq\n{OWN} bridge=br0\n" + nets.line(1)
NEW = OLD + nets.line(2)
LINKS = [Link("wg0", 5, "wireguard", addresses=("198.18.1.1/24",), up=True), Link("br0", 6, "bridge", up=True)]


@pytest.fixture
def router(root, etc, wireguard, monkeypatch):
    """One that is site hq of OLD, which was applied. Its kernel stands still; `refused` are the Problems of a rehearsal."""
    here = types.SimpleNamespace(file=etc / "sites", source=root / "source", refused=(), worse=(), links={link.name: link for link in LINKS})
    (wireguard / "wg0.conf").write_text(f"[Interface]\nPrivateKey = {PRIVATE}\nAddress = 198.18.1.1/24\n")
    here.file.write_text(OLD)
    here.source.write_text(NEW)
    monkeypatch.setattr(link_table, "read", lambda: dict(here.links))
    monkeypatch.setattr(process, "run", lambda argv, stdin="", environment=(): process.Result(0, "", ""))
    monkeypatch.setattr(snapshot, "look", lambda tunnels, links: Observed())
    monkeypatch.setattr(wg_interfaces, "look", lambda name: None)
    monkeypatch.setattr(ruleset, "store", lambda entries: None)
    monkeypatch.setattr(executor, "apply", lambda steps: ())
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None, **_: ())
    monkeypatch.setattr(saved_state, "picture", lambda names: (Snapshot(dict(here.links), {}), "[]", {}))
    monkeypatch.setattr(ring_probe, "problems", lambda tunnels, names, aside: ())
    monkeypatch.setattr(verify, "look", lambda tunnels, links, new=(), silent=(): verify.Health((), (), (), (), ()))
    monkeypatch.setattr(verify, "compare", lambda before, tunnels: here.worse)
    monkeypatch.setattr(verify, "logins", lambda: [])
    monkeypatch.setattr(rehearse, "of_change", lambda *_: here.refused)
    monkeypatch.setattr(watch_timer, "follow", lambda tunnels: None)
    monkeypatch.setattr(watch_timer, "problems", lambda: ())
    monkeypatch.setattr(units, "run_here", lambda: True)
    monkeypatch.setattr(preview.Intent, "changes", lambda intent: bool(intent.texts))
    saved_state.store(last_applied.APPLIED, store.texts())
    return here


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_plan_goes_by_the_other_file_and_changes_nothing(router, root, capsys):
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert cli.main(["plan", "--sites", str(router.source)]) == 2
    said = capsys.readouterr().out
    assert "+" + nets.line(2) in said and "ip link add name site2" in said
    assert cli.main(["plan", "--sites", str(router.file)]) == 0
    router.source.write_text(NEW.replace("hub=hq", "hub=nobody"))
    assert cli.main(["plan", "--sites", str(router.source)]) == 1 and "/etc/l2wg/sites:1: hub: " in capsys.readouterr().err
    router.source.write_text(NEW)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_comment_is_a_change_of_the_file(router):
    router.source.write_text("# mine\n" + OLD)
    assert cli.main(["plan", "--sites", str(router.source)]) == 2


def test_the_file_comes_by_standard_input(router, monkeypatch):
    for text, code in ((NEW, 2), (OLD, 0)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert cli.main(["plan", "--sites", "-"]) == code


@pytest.mark.parametrize("data, said", [(b"", "there is nothing in the file"), (b"#" * (files.LARGEST + 1), "standard input is larger than 1 MiB")])
def test_what_is_no_file_of_sites_is_refused(router, monkeypatch, capsys, data, said):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert cli.main(["plan", "--sites", "-"]) == 1
    assert said in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", None)
    assert cli.main(["apply", "--sites", "-"]) == 1 and router.file.read_text() == OLD


def test_a_file_that_is_not_there_is_named(router, capsys):
    assert cli.main(["plan", "--sites", str(router.source) + "x"]) == 1
    assert "source" in capsys.readouterr().err


def test_nixos_writes_it_itself(router, monkeypatch):
    monkeypatch.setattr(last_applied, "NIX", str(router.file.parent))
    with pytest.raises(L2wgError, match="nixos-rebuild switch"):
        sites_change.of(str(router.source))
    assert sites_change.of(str(router.file)) is preview.NOTHING is sites_change.of("")


def test_apply_puts_it_there_and_tells_programs(router, capsys):
    assert cli.main(["apply", "--sites", str(router.source), "--json"]) == 0
    found = told(capsys)
    assert (found["version"], found["ok"], found["changed"], found["confirm"]) == (1, True, True, None)
    assert router.file.read_text() == NEW == last_applied.read()[store.SITES]
    # Once more: there is nothing to do, which is told by no word for people.
    assert cli.main(["apply", "--sites", str(router.source), "--confirm", "60", "--json"]) == 0
    found = told(capsys)
    assert (found["changed"], found["confirm"]) == (False, None) and not transaction.waits()


def test_what_waits_to_be_confirmed_is_told_and_stops_plan_and_apply(router, capsys):
    assert cli.main(["apply", "--sites", str(router.source), "--confirm", "60", "--json"]) == 0
    found = told(capsys)
    assert (found["changed"], found["confirm"]) == (True, 60) and transaction.waits()
    # All is as the file wants it, and in a minute it may not be.
    for words in (["plan"], ["plan", "--sites", str(router.source)], ["apply", "--json"]):
        assert cli.main(words) == 1
        said = capsys.readouterr()
        assert "still waits for its confirmation" in said.err and said.out == ""
    rollback.rollback("test")
    assert router.file.read_text() == OLD and not list(router.file.parent.glob("*.rejected"))
    assert cli.main(["plan", "--sites", str(router.source)]) == 2


@pytest.mark.parametrize("how", ["mistake", "rehearsal", "worse"])
def test_what_is_refused_or_undone_leaves_the_file_as_it_was(router, capsys, how):
    if how == "mistake":
        router.source.write_text(NEW + nets.line(3, "mtu=1"))
    elif how == "rehearsal":
        router.refused = (Problem("the next boot loses it"),)
    else:
        router.worse = (Problem("the default route is gone"),)
    assert cli.main(["apply", "--sites", str(router.source), "--confirm", "60", "--json"]) == 1
    assert capsys.readouterr().out == "" and router.file.read_text() == OLD
    assert [path.name for path in router.file.parent.iterdir()] == ["sites"] and not transaction.waits()


def test_the_first_file_of_a_router_goes_again_when_it_is_undone(router):
    router.file.unlink()
    saved_state.store(last_applied.APPLIED, {})
    assert cli.main(["apply", "--sites", str(router.source)]) == 0
    assert router.file.read_text() == NEW and router.file.stat().st_mode & 0o777 == 0o644
    rollback.rollback("test")
    assert not router.file.exists()
    assert last_applied.read() == {}
