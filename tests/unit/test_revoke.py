"""`l2wg revoke`: the line of a site that is out says so, nothing else of the file changes, and what else there is to do is said."""

import base64
import os
import re
import time

import nets
import pytest
from l2wg_hooks import cli
from l2wg_hooks.apply import apply, preview, transaction
from l2wg_hooks.commands import dialogue
from l2wg_hooks.config import card, public_key, site_edit, site_lines, site_record, store
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Link, Peer
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.pairing import revoke

PRIVATE = base64.b64encode(bytes(range(32))).decode()
OWN = card.encode(card.Card("hq", public_key.of(PRIVATE), "hq.example.org:51820", ("198.18.1.1",)))
STAR, MESH = "net hub=hq\n", "net shape=mesh\n"
LINES = f"{OWN} bridge=br0\n" + nets.line(1) + nets.line(2, "  # the old town hall") + nets.line(3)
OUT = nets.line(4, "gone=2026-11-25")
LONG = "the-branch-in-the-old-town-hall"
DAY = "2026-11-29"
CONF = f"[Interface]\nPrivateKey = {PRIVATE}\nAddress = 198.18.1.1/24\n"


class Router:
    """One whose own site is hq; `links` and `peers` are those of its kernel."""

    def __init__(self, etc, wireguard):
        self.file, self.conf = etc / "sites", wireguard / "wg0.conf"
        self.links, self.peers = {}, ()
        self.conf.write_text(CONF)

    def write(self, text):
        with open(self.file, "w", newline="") as file:
            file.write(text)

    def intend(self, name="site2"):
        return revoke.intend(name, DAY)

    def written(self, name="site2"):
        """What the file is to be."""
        found = self.intend(name)
        (old, new), wished = found.more.texts[str(self.file)], found.more.wish[store.SITES]
        assert wished == new and old == store.read(store.SITES) and found.more.removed() == {nets.key(int(found.called[-1]))}
        return new

    def fails(self, name, *words):
        """Refused: with the file and the line, what is wrong, and a cure."""
        with pytest.raises(L2wgError) as error:
            self.intend(name)
        (problem,) = error.value.problems
        # Without the folder that stands for /.
        said = re.sub("/[^ ]*(?=/etc/)", "", str(problem))
        assert all(word in said for word in words), said
        assert problem.path == str(self.file) and problem.hint


@pytest.fixture
def router(etc, wireguard, monkeypatch):
    found = Router(etc, wireguard)
    monkeypatch.setattr("l2wg_hooks.system.process.output", lambda *argv: "")
    monkeypatch.setattr(revoke.link_table, "read", lambda: found.links)
    monkeypatch.setattr(wg_interfaces, "look", lambda name: wg_interfaces.Interface("own", 51820, found.peers))
    return found


def test_its_line_gets_a_tombstone_and_nothing_else_changes(router):
    router.write("# mine\n\n" + STAR + LINES + OUT)
    new = router.written()
    assert new == router.file.read_text().replace("   # the old town hall", f" gone={DAY} # the old town hall")
    router.write(new)
    wished = store.load()
    assert wished.problems == () and [tunnel.site for tunnel in wished.tunnels] == ["site1", "site3"]
    assert site_record.steady(wished).tunnels == wished.tunnels, "an event takes it out, too"


@pytest.mark.parametrize(
    "line, after",
    [
        ("CARD\n", "CARD gone=D\n"),
        ("CARD vlans=10\r\n", "CARD vlans=10 gone=D\r\n"),
        ("CARD\t \n", "CARD gone=D\n"),
        ("CARD # x # y\n", "CARD gone=D # x # y\n"),
        ("CARD#x\n", "CARD gone=D #x\n"),
        ("CARD            # lined up\n", "CARD gone=D     # lined up\n"),
        ("CARD\t# tab\r\n", "CARD gone=D\t# tab\r\n"),
        ("\tCARD mtu=1400 \t # x\n", "\tCARD mtu=1400 gone=D \t # x\n"),
    ],
)
def test_the_line_otherwise_stays_as_it_is_spelled(line, after):
    assert site_edit.with_word("first\n" + line + "last\n", 2, "gone=D") == "first\n" + after + "last\n"


def test_a_site_is_named_by_its_name_its_tunnel_or_its_key(router):
    router.write(STAR + LINES + nets.line(5, name=LONG))
    assert router.written("site1") == router.written(nets.key(1))
    assert router.intend(LONG).more == router.intend("the-bran-d84f03").more


def test_a_site_that_is_out_with_an_old_key_and_in_with_a_new_one(router):
    router.write(STAR + LINES + nets.line(4, "gone=2026-11-25", name="site6") + nets.line(6))
    assert router.written("site6").count("gone=") == 2


def test_a_site_that_changes_its_key_is_out_by_both(router):
    router.write(STAR + LINES.replace(nets.line(1), nets.line(7, f"was={nets.key(1)}", name="site1", addresses=("198.18.0.2",))))
    for name in ("site1", nets.key(1), nets.key(7)):
        found = router.intend(name)
        assert found.called == "site1" and found.more.removed() == {nets.key(1), nets.key(7)}
    router.conf.write_text(CONF + "".join(f"[Peer]\nPublicKey = {nets.key(number)}\n" for number in (1, 7)))
    assert [problem.hint.split()[-2] for problem in router.intend("site1").left] == [nets.key(7), nets.key(1)]


def test_a_star_is_told_who_needs_the_file(router):
    router.write(STAR + LINES)
    said = " ".join(router.intend().told)
    assert "site2 is out at once" in said and "without hurry" in said and said.endswith("copy it to site1, site3")
    router.write(STAR + LINES.replace(nets.line(1), "").replace(nets.line(3), ""))
    assert router.intend().told == ("site2 is out at once: only this router, the hub, has had a tunnel to it",)


def test_a_branch_is_told_that_the_hub_has_not_heard_of_it(router):
    router.write("net hub=site1\n" + LINES)
    said = " ".join(router.intend().told)
    assert "site2 is still in: its tunnel leads to site1, the hub" in said and "on site1: l2wg apply" in said
    assert said.endswith("copy it to site3") and "at once" not in said


def test_a_mesh_is_told_of_all_its_sites(router):
    more = "".join(nets.line(number) for number in range(5, 30))
    router.write(MESH + LINES + more)
    said = " ".join(router.intend().told)
    assert "until it has this file, too: site1, site3, site5" in said and "site2," not in said and "more" not in said and "site29" in said
    router.write(MESH + f"{OWN}\n" + nets.line(2))
    assert router.intend().told == ()


def test_of_two_hubs_the_other_one_has_to_know_too(router):
    two = "net hub=hq,site1 hub-address=198.18.9.1\n"
    router.write(two + LINES)
    told = router.intend().told
    assert told[0].startswith("site2 is out here, and still in at site1, the other hub. Copy ") and "site1" not in told[1] and "site3" in told[1]
    router.fails("site1", "site1 is the hub", "first, in that line: hub=hq,NAME with another site; or hub=hq, and no hub-address")
    router.write("net hub=site3,site1 hub-address=198.18.9.1\n" + LINES)
    assert [said.partition(",")[0] for said in router.intend().told] == ["site2 is still in: its tunnel leads to site3", "site2 is still in: its tunnel leads to site1"]


def test_of_bgps_reflectors_one_alone_has_its_peer(router):
    net = "net shape=mesh encapsulation=vxlan control=evpn hub=%s network=198.18.0.0/15\n"
    router.write(net % "hq,site1,site3" + LINES)
    told = router.intend().told
    assert told[0] == "site2 is out at once: only this router, the hub, has had its WireGuard for a peer" and told[1].endswith("copy it to site1, site3")
    cure = "first, in that line: hub=hq,site3,NAME with another site; or hub=hq,site3; at all sites"
    router.fails("site1", "/etc/l2wg/sites:1: hub: site1 is a reflector of BGP, by which all sites know of each other", cure)
    router.fails("hq", "hq is the hub, by which all sites reach each other")
    router.write(net % "site3,hq" + LINES)
    told = router.intend().told
    assert told[0].startswith("site2 is still in: its WireGuard leads to site3, the hub. Copy ") and told[1].endswith("copy it to site1")
    # One that is out is told with what may stand in its place.
    text = net % "hq,site1,site3" + LINES.replace(nets.line(1), nets.line(1, "gone=2026-11-25"))
    (problem,) = nets.lines(text).problems
    assert problem.key == "hub" and problem.hint.endswith("or without it: hub=hq,site3")


def test_what_cannot_be_put_out_is_refused(router):
    router.write(STAR + LINES + OUT)
    router.fails("hq", "/etc/l2wg/sites:1: hub: hq is the hub", "hint: name another site as the hub first: hub=NAME")
    router.fails("site4", "/etc/l2wg/sites:6: gone: site4 is out since 2026-11-25 already", "hint:", "l2wg apply")
    router.fails("site22", "/etc/l2wg/sites: no site is called 'site22'", "hint: do you mean site2?")
    router.fails("\x1b[2J", "no site is called '\\x1b[2J'", "hint: l2wg sites shows them: hq, site1, site2, site3")
    router.write("net hub=site1\n" + LINES)
    router.fails("hq", "/etc/l2wg/sites:2: hq is this router: the others put it out", "such as at site1: l2wg revoke hq; then here: rm /etc/l2wg/sites; l2wg apply")
    router.write(MESH + LINES)
    router.fails("hq", "/etc/l2wg/sites:2: hq is this router", "such as at site1")


def test_no_file_and_a_tunnel_that_is_none_of_its(router):
    router.fails("site2", "/etc/l2wg/sites: there is no such file", "l2wg unpair SITE")
    router.write(STAR + LINES)
    (router.file.parent / "gretap1.conf").write_text("underlay = wg0\nlocal = 198.18.1.1\nremote = 10.9.9.9\nbridge = br0\nsite = elsewhere\n")
    for name in ("gretap1", "elsewhere"):
        router.fails(name, "is no site of it; gretap1 has a file of its own", "hint: l2wg unpair gretap1")


def test_nothing_is_done_to_a_file_with_mistakes(router):
    router.write(STAR + LINES + nets.line(5, "mtu=1"))
    router.fails("site2", "/etc/l2wg/sites:6: mtu: expected a number")
    router.write("net hub=site1\n" + nets.line(1) + nets.line(2))
    router.fails("site2", "no line is this router's")


def test_a_file_of_nixos_is_changed_where_it_comes_from(router, monkeypatch):
    router.write(STAR + LINES)
    monkeypatch.setattr(revoke.last_applied, "NIX", str(router.file.parent))
    router.fails("site2", "a configuration of NixOS has written it", f"gone={DAY}", "nixos-rebuild switch")


def test_a_tunnel_with_a_file_of_its_own_still_leads_there(router):
    router.write(STAR + LINES)
    (router.file.parent / "gretap1.conf").write_text("underlay = wg0\nlocal = 198.18.1.1\nremote = 198.18.0.3\nbridge = br0\n")
    (problem,) = router.intend().left
    assert problem.message == "gretap1 leads to site2 by a file of its own, and stays" and problem.hint == "l2wg unpair gretap1"
    assert router.intend("site1").left == ()


def test_a_peer_of_somebody_elses_stays_and_is_told_of(router):
    router.write(STAR + LINES)
    router.conf.write_text(CONF + f"[Peer]\nPublicKey = {nets.key(2)}\nAllowedIPs = 198.18.0.3/32\n")
    (problem,) = router.intend().left
    assert f"the peer {nets.key(2)} of wg0" in problem.message and problem.path == str(router.conf) and "delete its [Peer]" in problem.hint
    # Or added by hand, which is not so of one that l2wg has added.
    router.conf.write_text(CONF)
    router.links = {"wg0": Link("wg0", 7, "wireguard", up=True)}
    router.peers = (Peer(nets.key(2), "", ("198.18.0.3/32",), 0, 0, 0, None),)
    (problem,) = router.intend().left
    assert problem.hint == f"if it is to go: wg set wg0 peer {nets.key(2)} remove" and problem.path == ""
    site_record.write((), {("wg0", 7, nets.key(2))})
    assert router.intend().left == () == router.intend("site1").left


# The command


@pytest.fixture
def applied(router, monkeypatch):
    """What is applied with which arguments; the file is written, as `apply` does."""
    calls = []

    def instead(confirm=0, agree=None, more=preview.NOTHING, rehearsed=True):
        calls.append((confirm, rehearsed))
        apply._carry_more(more)
        return ()

    monkeypatch.setattr(apply, "settle", lambda: None)
    monkeypatch.setattr(apply, "apply", instead)
    empty = preview.Intent((), {}, {}, (), (), None, (), True)
    monkeypatch.setattr(preview, "intend", lambda wished_too: empty)
    monkeypatch.setattr(dialogue, "show", lambda intent, last=(): calls.append(sorted(intent.texts)))
    monkeypatch.setattr(transaction, "waits", lambda: False)
    return calls


def test_the_command_writes_what_it_shows(router, applied, capsys):
    router.write(STAR + LINES)
    os.chmod(router.file, 0o640)
    assert cli.main(["revoke", "site2", "--yes", "--confirm", "60", "--no-rehearsal"]) == 0
    assert applied == [[str(router.file)], (60, False)]
    said = capsys.readouterr().err
    assert "site2 is out, by its line" in said and "copy it to site1, site3" in said and said.count("written") == 1
    assert f"gone={time.strftime('%Y-%m-%d')}" in router.file.read_text() and os.stat(router.file).st_mode & 0o777 == 0o640
    assert site_lines.parse(router.file.read_text(), "")[3] == ()
    assert cli.main(["revoke", "site2", "--yes"]) == 1 and "already" in capsys.readouterr().err


def test_a_link_goes_on_pointing_at_the_file(router, applied):
    real = router.file.with_name("net")
    real.write_text(STAR + LINES)
    router.file.symlink_to("net")
    assert cli.main(["revoke", "site2", "--yes"]) == 0
    assert os.readlink(router.file) == "net" and "gone=" in real.read_text()


def test_without_a_yes_nothing_changes(router, applied, capsys):
    router.write(STAR + LINES)
    assert cli.main(["revoke", "site2"]) == 1
    assert "nobody is here to agree" in capsys.readouterr().err and applied == [[str(router.file)]] and router.file.read_text() == STAR + LINES


def test_what_still_leads_there_is_an_exit_code_of_its_own(router, applied, capsys):
    router.write(STAR + LINES)
    (router.file.parent / "gretap1.conf").write_text("underlay = wg0\nlocal = 198.18.1.1\nremote = 198.18.0.3\nbridge = br0\n")
    assert cli.main(["revoke", "site2", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "site2 is out, by its line" in said and "gretap1 leads to site2" in said and "hint: l2wg unpair gretap1" in said


def test_where_the_file_has_to_go_is_said_for_when_it_is_confirmed(router, applied, capsys, monkeypatch):
    router.write(STAR + LINES)
    monkeypatch.setattr(transaction, "waits", lambda: True)
    assert cli.main(["revoke", "site2", "--yes", "--confirm", "60"]) == 0
    assert "once this is confirmed:" in capsys.readouterr().err


def test_who_has_changed_the_file_meanwhile_keeps_it(router):
    router.write(STAR + LINES)
    more = router.intend().more
    router.write(STAR + LINES + OUT)
    with pytest.raises(L2wgError) as error:
        apply._carry_more(more)
    assert "somebody has changed it just now" in str(error.value) and router.file.read_text() == STAR + LINES + OUT
