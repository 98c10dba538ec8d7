"""What `l2wg wall` would change, and what it refuses, on a router that is played as in test_pair.py."""

import errno

import pytest
from l2wg_hooks.apply import apply
from l2wg_hooks.config import card, staged, store, wg_quick
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Link
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.pairing import bootstrap, local_facts, pair, wall
from l2wg_hooks.reconcile import reconcile
from l2wg_hooks.status import status, survey
from l2wg_hooks.system import network_namespace
from test_pair import KEYS, fails, router  # noqa: F401 # a fixture

FILE = "underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nbridge = br0\nsite = site-b\n# mine\n"
WG0 = "[Interface]\nPrivateKey = secret\nAddress = 10.0.0.1/24\nPostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"
PEER = f"[Peer]\nPublicKey = {KEYS[2]}\nAllowedIPs = 10.0.0.2/32\n"
B = card.Card("site-b", KEYS[1], "203.0.113.20:4901", ("198.18.0.2",))
HERE = bootstrap.inner(KEYS[0])
CHANGES = {"wire": "own", "underlay": "l2w0", "local": HERE, "remote": "198.18.0.2"}


@pytest.fixture
def site(router, monkeypatch):
    router.conf(WG0 + PEER)
    (router.etc / "l2wg").mkdir()
    (router.etc / "l2wg/gretap1.conf").write_text(FILE)
    (router.etc / "l2wg/site").write_text("endpoint = 203.0.113.10:4900\n")
    router.link("br0", "bridge")
    router.link("wg0", "wireguard", addresses=("10.0.0.1/24",))
    live = wg_interfaces.Interface("X", 4900, (wg_interfaces.Peer(KEYS[2], "", ("10.0.0.2/32",), 1, 1, 1, None),))
    monkeypatch.setattr(wg_interfaces, "look", lambda name: live if name == "wg0" else None)
    monkeypatch.setattr(network_namespace, "alone", lambda work: work())
    monkeypatch.setattr(bootstrap, "is_free", lambda port: port != 4901)
    router.plans = []

    def plan(**_):
        router.plans.append(staged.names())
        router.links["l2w0"] = Link("l2w0", 9, "wireguard", up=True, namespace="l2wg")
        return ()

    monkeypatch.setattr(reconcile, "reconcile", plan)
    monkeypatch.setattr(apply, "settle", lambda: None)
    return router


def intend(other=B):
    tunnel = wall.find("gretap1")
    return wall.intend(tunnel, wall.facts(tunnel, wall.wire(tunnel)), card.encode(other))


def edit(site, text):
    (site.etc / "l2wg/gretap1.conf").write_text(text)


def test_what_cannot_have_one_is_refused(site, monkeypatch):
    fails(lambda: wall.find("gretap9"), "'gretap9' is not a tunnel")
    edit(site, FILE + "wire = own\n")
    fails(lambda: wall.find("gretap1"), "it has a wire of its own already: wg0")
    edit(site, FILE + "frob = 1\n")
    fails(lambda: wall.find("gretap1"), "no such key")
    edit(site, FILE)
    monkeypatch.setattr(network_namespace, "alone", lambda work: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
    fails(lambda: wall.find("gretap1"), "forbids: not permitted")
    monkeypatch.setattr(local_facts, "is_nixos", lambda: True)
    fails(lambda: wall.find("gretap1"), "this is NixOS")


def test_the_wire_is_made_once_with_the_next_free_port(site):
    tunnel = wall.find("gretap1")
    assert [wall.wire(tunnel), wall.wire(tunnel)] == ["l2w0", "l2w0"]
    text = (site.etc / "wireguard/l2w0.conf").read_text()
    assert "ListenPort = 4902\n" in text and sorted(wg_quick.names()) == ["l2w0", "wg0"]
    assert not any(argv[:1] == ("systemctl",) for argv, _ in site.ran), "nothing starts it"


def test_the_card_is_for_this_tunnel_and_has_the_new_port(site):
    edit(site, FILE + "encapsulation = vxlan\nkey = 7\nmtu = 1400\n")
    tunnel = wall.find("gretap1")
    mine = wall.facts(tunnel, wall.wire(tunnel)).card
    assert (mine.encapsulation, mine.number, mine.mtu) == ("vxlan", 7, 1400)
    assert mine.endpoint == "203.0.113.10:4902" and mine.addresses == (HERE,)


def test_what_is_to_be_changed(site):
    found = intend()
    assert found.changes == CHANGES
    ((path, (old, new)),) = found.texts.items()
    assert path == wg_quick.path("l2w0") and new.startswith(old) and f"PublicKey = {KEYS[1]}" in new
    assert "Endpoint = 203.0.113.20:4901" in new and "AllowedIPs = 198.18.0.2/32" in new
    assert any("UDP port 4902" in note for note in found.notes)
    assert intend(B._replace(mtu=1400)).changes == dict(CHANGES, mtu="1400")
    assert any("is it the right one?" in note for note in intend(B._replace(name="other")).notes)
    (site.etc / "l2wg/site").write_text("endpoint = none\n")
    fails(lambda: intend(B._replace(endpoint="")), "neither of the two sites says how it can be called")


@pytest.mark.parametrize("change", [{"encapsulation": "vxlan"}, {"number": 7}, {"key": KEYS[0]}, {"addresses": (HERE,)}])
def test_a_card_that_cannot_be_that_of_the_other_end(site, change):
    fails(lambda: intend(B._replace(**change)), "")


def test_what_is_staged_changes_only_what_it_is_about(site):
    found = intend()
    wall.stage(found)
    assert staged.read("gretap1") == CHANGES and site.plans == [["gretap1"]]
    assert ("systemctl", "--quiet", "enable", "l2wg-wall@gretap1.service") in [argv for argv, _ in site.ran]
    assert ("systemctl", "--quiet", "restart", "l2wg-wall@gretap1.service") in [argv for argv, _ in site.ran]
    assert (site.root / "var/lib/l2wg/wall/gretap1.conf").stat().st_mode & 0o777 == 0o600
    edit(site, FILE.replace("br0", "br1"))
    (new,) = staged.tunnels(store.load().tunnels)
    assert (new.walled, new.underlay, new.bridge) == (True, "l2w0", "br1")
    assert "# mine" in staged.text("gretap1")
    assert store.load().tunnels[0].wire == "shared"
    # Where the tunnel is gone, or is so already, its wire is not wanted for that.
    assert staged.tunnels(()) == staged.tunnels((new,)) == ()
    assert not intend().texts, "once more is nothing to do"


def test_two_that_wait_for_one_site_would_take_each_others_words(site):
    wall.stage(intend())
    (site.etc / "l2wg/gretap2.conf").write_text(FILE.replace("10.0.0.2", "10.0.0.3") + "key = 2\n")
    tunnel = wall.find("gretap2")
    there = card.encode(B._replace(number=2))
    fails(lambda: wall.intend(tunnel, wall.facts(tunnel, "l2w0"), there), "gretap1 waits for the same site")


def test_a_wire_that_does_not_stand_leaves_nothing(site, monkeypatch):
    found = intend()
    before = (site.etc / "wireguard/l2w0.conf").read_text()
    monkeypatch.setattr(reconcile, "reconcile", lambda: (Problem("no namespaces here", "wire=shared"),))
    fails(lambda: wall.stage(found), "no namespaces here")
    assert staged.names() == [] and (site.etc / "wireguard/l2w0.conf").read_text() == before
    assert not any("enable" in argv for argv, _ in site.ran)


def test_the_old_wires_lines_go_with_its_last_tunnel(site):
    wall.stage(intend())
    more = wall.more(wall.find("gretap1"))
    ((_, (old, new)),) = more.texts.items()
    assert old == WG0 + PEER and new == wg_quick.detach(old, "wg0") and "l2wg" not in new
    assert more.gone == (KEYS[2],), "its session is not missed"
    assert "wire = own" in more.wish["gretap1"] and more.underlay == "wg0" and not more.steps
    (site.etc / "l2wg/gretap2.conf").write_text(FILE.replace("10.0.0.2", "10.0.0.3"))
    assert wall.more(wall.find("gretap1")).texts == {}


def test_undo_takes_the_peer_and_keeps_the_key(site):
    tunnel = wall.find("gretap1")
    before = (site.etc / "wireguard" / (wall.wire(tunnel) + ".conf")).read_text()
    wall.stage(intend())
    assert wall.undo("gretap1") == ()
    assert staged.names() == [] and (site.etc / "wireguard/l2w0.conf").read_text() == before
    assert not (site.root / "var/lib/l2wg/wall").exists()
    assert ("systemctl", "--quiet", "disable", "--now", "l2wg-wall@gretap1.service") in [argv for argv, _ in site.ran]
    fails(lambda: wall.undo("gretap1"), "'gretap1' waits for no wire of its own")
    # Of one that has been changed already, only the waiting ends.
    wall.stage(intend())
    edit(site, staged.text("gretap1"))
    wall.undo("gretap1")
    assert KEYS[1] in (site.etc / "wireguard/l2w0.conf").read_text()


@pytest.mark.parametrize("text", ["frob = 1", "wire", "bridge = br1", "remote = here", "wire = own\nwire = own"])
def test_a_staged_file_that_is_not_as_we_write_it(site, text):
    wall.stage(intend())
    (site.root / "var/lib/l2wg/wall/gretap1.conf").write_text(text + "\n")
    fails(lambda: staged.read("gretap1"), "/var/lib/l2wg/wall/gretap1.conf:")
    # No event stops for it.
    assert staged.tunnels(store.load().tunnels) == ()
    assert wall.undo("gretap1") == ()


def test_status_says_who_waits(site):
    (tunnel,) = store.load().tunnels
    seen = survey.Survey(store.Wish((tunnel,), (), ()), site.links, staged=("gretap1",))
    assert any(fault.level == "note" and "waits for the other site" in fault.message for fault in status.build(seen).of("gretap1"))
    own = survey.Survey(store.Wish((tunnel._replace(wire="own"),), (), ()), site.links, staged=("gretap1",))
    assert any("has not said yet" in fault.message for fault in status.build(own).of("gretap1"))
    assert pair.forget_rejected({"gretap1": "x"}) is None


def test_the_old_one_is_never_taken_down(site):
    wall.stage(intend())
    wall.undo("gretap1")
    assert not any("wg0" in argv for argv, _ in site.ran if argv[0] in ("wg-quick", "systemctl", "ip"))
    assert "wg-quick@wg0" in wall.rest_of(wall.find("gretap1"))
    with pytest.raises(L2wgError):
        wall.find("wg0")
