"""What of a file of sites stands stays, whatever becomes of the file: by events, the watch, and `l2wg apply`."""

import base64
import json
import os
import time

import nets
import pytest
from l2wg_hooks.config import card, last_applied, public_key, site_record, store
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Link, Observed, Peer
from l2wg_hooks.observe import snapshot
from l2wg_hooks.plan import planner
from l2wg_hooks.reconcile import healing, kept_by_hooks

PRIVATE = base64.b64encode(bytes(range(32))).decode()
OWN = card.encode(card.Card("hq", public_key.of(PRIVATE), "hq.example.org:51820", ("198.18.1.1",)))
NET = f"net hub=hq\n{OWN} bridge=br0\n"
B, C, D = (nets.line(number) for number in (1, 2, 3))
LINKS = {"wg0": Link("wg0", 7, "wireguard", up=True), "br0": Link("br0", 8, "bridge", up=True)}


@pytest.fixture
def net(etc, wireguard, monkeypatch):
    """A hub; gives what writes its file."""
    (wireguard / "wg0.conf").write_text(f"[Interface]\nPrivateKey = {PRIVATE}\nAddress = 198.18.1.1/24\n")
    monkeypatch.setattr("l2wg_hooks.system.process.output", lambda *argv: "")

    def write(text):
        (etc / "sites").write_text(text)

    return write


def event(departs=False, links=LINKS):
    """An event carries out what there is: the Wish of that."""
    wished = store.load()
    if wished.net is not None:
        wished = site_record.steady(wished, departs)
    site_record.keep(wished, links, Observed(told=site_record.told(links, lambda name: set())), {})
    return wished


def sites(wished):
    return [tunnel.site for tunnel in wished.tunnels]


def applied(text):
    os.makedirs(last_applied.DIRECTORY, exist_ok=True)
    with open(last_applied.APPLIED, "w") as file:
        json.dump({store.SITES: text}, file)


BROKEN = {
    "empty": "",
    "cut behind a line": NET,
    "cut in a line": NET + B[:60],
    "cut in the last one": NET + B + C[:-1],
    "without the net": NET.partition("\n")[2] + B + C,
    "without this router": f"net hub=hq\n{B}{C}",
    "this router's twice": NET + f"{OWN}\n" + B + C,
    "net that contradicts itself": NET.replace("net ", "net shape=mesh ") + B + C,
    "a hub that is gone": NET.replace("hub=hq", "hub=site9") + B + C,
    "a bad option": NET + B.replace("\n", " mtu=1\n") + C,
    "a bad option of the own line": NET.replace("bridge=br0", "bridge=/") + B + C,
    "an older copy": NET + B,
    "two lines with one address": NET + B + C + nets.line(3, "address=198.18.0.3"),
    "another one with its address above it": NET + nets.line(3, "address=198.18.0.3") + B + C,
    "two lines with one key": NET + B + C + nets.line(2, name="c", addresses=("198.18.7.7",)),
    "no text": "\0" * 100,
    "an own address of another family": NET.replace("bridge=br0", "bridge=br0 address=fd00::1") + B + C,
    "an own bridge that a site is called like": NET.replace("bridge=br0", "bridge=site2") + B + C,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_stands_stays(net, name):
    net(NET + B + C)
    before = event()
    assert sites(before) == ["site1", "site2"] and before.problems == () and before.broken == ()
    net(BROKEN[name])
    for _ in range(2):
        wished = event()
        assert sites(wished) == ["site1", "site2"] and wished.tunnels == before.tunnels
        assert wished.problems and all(problem.hint for problem in wished.problems)
    if store.load().problems:
        assert store.SITES in wished.broken
        # Nothing is applied of it.
        assert last_applied.standing().problems
    net(NET + B + C)
    assert event() == before._replace(net=event().net)


def test_what_cannot_be_read_is_told_of(net, etc):
    net(NET + B)
    event()
    (etc / "sites").unlink()
    (etc / "sites").mkdir()
    wished = event()
    assert sites(wished) == ["site1"] and "directory" in str(wished.problems[0])
    assert wished.broken == (store.SITES,)


def test_a_broken_line_takes_no_others_and_what_is_new_is_made(net):
    net(NET + B + C)
    event()
    net(NET + B.replace("\n", " vlans=x\n") + C + D)
    wished = event()
    assert sites(wished) == ["site1", "site2", "site3"] and [problem.line for problem in wished.problems] == [3]
    assert wished.tunnels[0].vlans == "all"


def test_a_tombstone_takes_it_down_and_so_does_apply_without_the_line(net):
    net(NET + B + C + D)
    event()
    net(NET + B + C.replace("\n", " gone=2026-11-25\n"))
    wished = event()
    assert sites(wished) == ["site1", "site3"]
    (problem,) = wished.problems
    assert "no line has site3 any longer" in problem.message and "older copy" in problem.hint
    assert sites(event(departs=True)) == ["site1"] and sites(event()) == ["site1"]
    assert "site3" not in str(site_record.read().groups)


def test_a_tombstone_counts_in_a_file_with_faults(net):
    net(NET + B + C)
    event()
    net("net shape=ring\n" + B + C.replace("\n", " gone=2026-11-25\n"))
    assert sites(event()) == ["site1"] and sites(event(departs=True)) == ["site1"]


def test_a_site_comes_back(net):
    net(NET + B + C)
    before = event().tunnels
    net(NET + B + C.replace("\n", " gone=2026-11-25\n"))
    event()
    net(NET + B + C)
    assert event().tunnels == before


def test_who_was_put_out_does_not_come_back_by_an_older_copy(net):
    """By an event; `l2wg apply` lets it in again, and then it stands, whatever was applied."""
    net(NET + B + C)
    event()
    out = NET + B + C.replace("\n", " gone=2026-11-25\n")
    applied(out)
    net(out)
    event()
    net(NET + B + C)
    for _ in range(2):
        wished = event()
        assert sites(wished) == ["site1"]
        (problem,) = wished.problems
        assert "site2 was put out on 2026-11-25" in problem.message and problem.line == 4 and "older copy" in problem.hint
        os.remove(site_record.PATH)
    assert sites(event(departs=True)) == ["site1", "site2"] and sites(event()) == ["site1", "site2"] and event().problems == ()
    # As it is applied.
    applied(NET + B + C)
    os.remove(site_record.PATH)
    assert sites(event()) == ["site1", "site2"]


def test_nor_into_a_mesh_of_one_tunnel(net):
    mesh = NET.replace("hub=hq", "shape=mesh encapsulation=vxlan")
    out = mesh + B + C.replace("\n", " gone=2026-11-25\n")
    applied(out)
    net(mesh + B + C)
    (tunnel,) = event().tunnels
    assert tunnel.remotes == ("198.18.0.2",) and [peer.site for peer in tunnel.peers] == ["site1"]
    applied(mesh + B.replace("\n", " gone=2026-11-25\n") + C.replace("\n", " gone=2026-11-25\n"))
    os.remove(site_record.PATH)
    assert event().tunnels == () and len(event().problems) == 2


def test_of_two_lines_that_a_site_is_out_by_and_in_by_neither_counts(net):
    net(NET + B + C)
    event()
    net(NET + B + C + C.replace("\n", " gone=2026-11-25\n"))
    assert sites(event()) == ["site1", "site2"]
    # Nor does it let in who is not there.
    os.remove(site_record.PATH)
    assert sites(event()) == ["site1"]


def test_after_a_boot_it_is_what_was_applied_last(net):
    applied(NET + B + C)
    net(NET + B)
    assert sites(event()) == ["site1", "site2"]
    net("rubbish\n")
    assert sites(event()) == ["site1", "site2"]


def test_the_key_of_the_router_has_gone(net, wireguard):
    net(NET + B)
    event()
    (wireguard / "wg0.conf").write_text("[Interface]\n")
    wished = event()
    assert sites(wished) == ["site1"] and "no WireGuard here has a key" in wished.problems[0].message


def test_without_the_file_its_tunnels_go(net, etc):
    net(NET + B)
    event()
    (etc / "sites").unlink()
    wished = event()
    assert wished == ((), (), (), None)
    assert not os.path.exists(site_record.PATH)


def test_a_file_of_its_own_takes_over(net, etc):
    net(NET + B + C)
    event()
    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = 198.18.1.1\nremote = 198.18.0.2\nbridge = br0\n")
    assert [tunnel.name for tunnel in event().tunnels] == ["gretap1", "site2"]
    # Also as long as it is broken, but says where it leads.
    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = \nremote = 198.18.0.2\nbridge = br0\n")
    assert [tunnel.name for tunnel in event().tunnels] == ["site2"]


def test_a_wire_of_its_own(net, wireguard):
    mark = "# Not for wg-quick(8): l2wg makes this interface itself (wire = own in l2wg.conf(5)).\n"
    (wireguard / "wg0.conf").write_text(f"[Interface]\n{mark}PrivateKey = {PRIVATE}\nAddress = 198.18.1.1/24\n")
    net(NET + B)
    assert [tunnel.wire for tunnel in event().tunnels] == ["own"]
    net("rubbish\n")
    assert [tunnel.wire for tunnel in event().tunnels] == ["own"]


def test_the_watch_leaves_alone_what_somebody_edits(net):
    net(NET + B + C)
    applied(NET + B + C)
    event()
    assert sites(healing.applied()) == ["site1", "site2"] and healing.applied().broken == ()
    for text in (NET + B + C + D, NET + B, NET + B + C.replace("\n", " gone=2026-11-25\n"), "rubbish\n"):
        net(text)
        wished = healing.applied()
        assert sites(wished) == ["site1", "site2"] and store.SITES in wished.broken
    net(NET + B + C + "# a comment\n")
    assert healing.applied().broken == ()


def test_the_watch_leaves_alone_what_goes_with_the_file(net, etc):
    net(NET + B)
    applied(NET + B)
    event()
    (etc / "sites").unlink()
    assert sites(healing.applied()) == ["site1"]


def test_what_is_kept_is_read_without_trust(net):
    net(NET + B)
    event()
    with open(site_record.PATH) as file:
        text = file.read()
    with open(site_record.PATH, "w") as file:
        file.write(text + "own ../x own K\nown wg0 shared\npeer wg0 x K\npeer wg0 7 K K\nrubbish\n\0\n")
    net("rubbish\n")
    assert sites(event()) == ["site1"]
    os.chmod(site_record.PATH, 0o666)
    assert site_record.read() == site_record.Record()


def test_peers_are_ours_as_long_as_the_interface_is_the_same_and_its_file_has_them_not(net):
    site_record.write((), {("wg0", 7, "K"), ("wg0", 7, "L"), ("wg1", 3, "M")})
    assert site_record.told(LINKS, lambda name: {"L"}) == {("wg0", "K")}
    assert site_record.told({"wg0": LINKS["wg0"]._replace(ifindex=9)}, lambda name: set()) == frozenset()


def test_a_peer_that_has_gone_is_no_longer_ours(net):
    net(NET + B)
    peer = Peer("K", "", (), 0, 0, 0, None)
    told = frozenset({("wg0", "K"), ("wg0", "L"), ("wg1", "M")})
    more = {"wg0": (store.load().tunnels[0].peers[0],)}
    site_record.keep(site_record.steady(store.load()), LINKS, Observed(told=told, peers={"wg0": (peer,)}), more)
    assert set(site_record.read().peers) == {("wg0", 7, "K"), ("wg0", 7, nets.key(1))}


def test_one_place_is_known_by_two_names():
    assert snapshot.SITES_RECORD == site_record.PATH


def test_hooks_read_again_when_the_file_has_changed(net, root):
    net(NET + B)
    time.sleep(0.05)
    with open(kept_by_hooks.PATH, "w") as file:
        file.write(" br0 /\n")
    kept_by_hooks.check()
    assert os.path.exists(kept_by_hooks.PATH)
    time.sleep(0.05)
    net(NET + C)
    kept_by_hooks.check()
    assert not os.path.exists(kept_by_hooks.PATH)


def test_a_tunnel_of_it_is_not_taken_for_one_with_a_file(net):
    net(NET + B)
    wished = event()
    assert store.names() == [] and store.sources() == [store.SITES] and not store.is_empty()
    assert store.texts() == {store.SITES: NET + B} and sorted(store.path(name) for name in store.sources()) == [store.path(store.SITES)]
    assert store.keep(wished, [store.SITES]).tunnels == wished.tunnels and store.keep(wished, ["site1"]).tunnels == ()
    assert [tunnel.name for tunnel in store.parsed(store.texts())] == ["site1"]
    assert store.load({store.SITES: None}) == ((), (), (), None) and sites(store.load({store.SITES: NET + C})) == ["site2"]


def test_the_plan_deletes_none_that_stands(net):
    net(NET + B + C)
    tunnels = event().tunnels
    same = Link("", 20, "gretap", up=True, alias="l2wg", underlay="wg0", master="br0", pmtudisc=False, ignore_df=True)
    ends = {tunnel.name: {"local": tunnel.local, "remote": tunnel.remote, "mac": tunnel.mac} for tunnel in tunnels}
    links = dict(LINKS, **{name: same._replace(name=name, **fields) for name, fields in ends.items()})
    net("rubbish\n")
    wished = event()
    todo = planner.plan(wished.tunnels, links, (), wished.broken)
    assert not [step for step in todo.steps if "delete" in step.argv]


def test_pairing_leaves_it_alone(net, monkeypatch):
    from l2wg_hooks.pairing import wall

    net(NET + B)
    with pytest.raises(L2wgError) as error:
        wall.find("site1")
    assert "comes of the file of sites" in str(error.value) and "sites:3" in str(error.value)


def test_on_nixos_each_file_is_what_was_switched_to(net, etc, tmp_path, monkeypatch):
    """A line that has gone is no older copy; a file with faults takes nothing away there either."""
    monkeypatch.setattr(last_applied, "NIX", f"{tmp_path}/store/")
    (tmp_path / "store").mkdir()
    (etc / "sites").symlink_to(tmp_path / "store" / "sites")
    net(NET + B + C)
    event()
    net(NET + B + "rubbish\n")
    assert sites(event()) == ["site1", "site2"]
    net(NET + B)
    wished = event()
    assert sites(wished) == ["site1"] and wished.problems == ()
