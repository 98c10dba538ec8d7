"""A file of sites is from outside like a card: whatever is in it, it is understood or told of, and what stands stays."""

import json
import re
import sys

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from l2wg_hooks.config import (
    allowed_ips,
    card,
    changed_keys,
    next_key,
    own_sites,
    own_wire,
    site_edit,
    site_faults,
    site_file,
    site_keys,
    site_lines,
    site_mesh,
    site_record,
    site_tunnels,
    store,
    tunnel_file,
    wg_quick_peers,
    wire_peers,
)
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.status import render_sites, render_sites_json, site_export
from test_text import sound

sys.path.insert(0, str(hostile.TESTS / "unit"))
import nets
import site_tables

PATH = "/etc/l2wg/sites"
WIRE = {nets.key(0): site_tunnels.Wire("wg0")}
NAMES = {"star-3": 3, "star-30": 30, "mesh-30": 30, "vxlan-30": 30, "one-30": 30}
SEEDS = hostile.texts(*(f"golden/sites/{name}.sites" for name in ("star-3", "star-30", "mesh-30", "one-30", "hubs-5")))
# What a line of each form may look like: nothing that Nix, debconf or wg-quick(8) would take for more.
SHAPES = {
    "wg-quick": r"(#.*|\[(Interface|Peer)\]|(Address|ListenPort|PublicKey|AllowedIPs|Endpoint|PersistentKeepalive) = [][A-Za-z0-9_+/=.:, -]+|)\Z",
    "conf": r"(#.*|[a-z-]+ +=( [A-Za-z0-9_+/=.:, -]+)?|)\Z",
    "nix": r"[A-Za-z0-9_+/=.:,;<>#(){}\[\] \"-]+\Z",
    "preseed": r"l2wg l2wg/[a-z-]+ (string|boolean)( [A-Za-z0-9_+/=.:, -]+)?\Z",
}
# What may stand behind a card, and what may not.
KEYS = [*site_lines.OF_TUNNELS, *site_lines.OF_A_ROUTER, "key", "address", "gone", "was", "hub", "hub-address", "hubs-joined", "network"]
KEYS += ["shape", "isolated", "encapsulation", "control"]
RIGHT = ["yes", "no", "block", "off", "2026-11-25", "star", "mesh", "site0", "site0,site1", "vxlan", "evpn", "fd00::7", *map(nets.key, range(6))]
RIGHT += ["198.18.0.0/15", "198.18.0.0/30", "fd00::/64"]
HEADS = ["net shape=star hub=site0", "net shape=mesh encapsulation=vxlan", "net hub=site0,site1 hub-address=198.18.9.1"]
HEADS += [f"{HEADS[1]} hub=site{number}" + more for number in (0, 1) for more in ("", " network=198.18.0.0/15")]
values = st.one_of(hostile.junk, hostile.names, hostile.addresses, st.integers(0, 9999).map(str), st.sampled_from(RIGHT))
words = st.one_of(st.builds("{}={}".format, st.sampled_from(KEYS), values), hostile.junk)
cards = st.builds(lambda number, as_name: nets.line(number, name="site%d" % as_name).strip(), st.integers(0, 4), st.integers(0, 4))
lines = st.builds(lambda head, rest: " ".join([head, *rest]), st.one_of(cards, st.just("net"), hostile.junk), st.lists(words, max_size=4))
written = st.builds(lambda head, rows: "".join(row + "\n" for row in [head, *rows]), st.sampled_from(HEADS), st.lists(lines, max_size=8))
texts = st.one_of(written, hostile.mutated(SEEDS), hostile.anything)


def known(text):
    """The Lines of a text; what is wrong in it helps whoever has written it."""
    found = site_faults.between(site_lines.parse(text, PATH), PATH)
    for problem in found.problems:
        told(problem, text)
    return found


def told(problem, text):
    sound(problem._replace(path=PATH))
    assert problem.path == PATH and 0 <= problem.line <= text.count("\n") + 1


@given(texts)
def test_a_file_of_sites_is_understood_or_told_of(text):
    found = known(text)
    part = site_tunnels.find(found, WIRE, nets.NO_HAND, PATH)
    for problem in part.problems:
        told(problem, text)
    assert len({tunnel.name for tunnel in part.tunnels}) == len(part.tunnels)
    far = [end for tunnel in part.tunnels for end in tunnel.far_ends]
    assert len(set(far)) == len(far)
    for tunnel in part.tunnels:
        # By the same rules as a file of its own.
        again, problems = tunnel_file.parse(tunnel_file.of(tunnel), PATH, tunnel.name)
        assert problems == () and again == tunnel._replace(peers=(), transit=False, hub_address="", own_site="")
        allowed = [end for peer in tunnel.peers for end in peer.ends]
        if tunnel.has_hubs:
            # At one of them, and each at its own.
            assert allowed.count(tunnel.remote) == 1 and len(tunnel.peers) == 2 and len(set(allowed)) == 3
        else:
            assert allowed == list(tunnel.far_ends)
        for peer in tunnel.peers:
            assert card.public_key(peer.key) and (not peer.endpoint or card.endpoint(peer.endpoint))


@given(texts, st.integers(0, 4), st.integers(0, 4))
def test_what_two_sites_come_to_is_the_same(text, one, two):
    found = known(text)
    wires = [{nets.key(number): site_tunnels.Wire("wg0")} for number in (one, two)]
    parts = [site_tunnels.find(found, wire, nets.NO_HAND, PATH) for wire in wires]
    here, there = [{peer.key: tunnel for tunnel in part.tunnels for peer in tunnel.peers} for part in parts]
    if one != two and parts[0].own and parts[1].own and nets.key(two) in here and nets.key(one) in there:
        mine, theirs = here[nets.key(two)], there[nets.key(one)]
        assert mine.local in theirs.far_ends and theirs.local in mine.far_ends
        for field in ("encapsulation", "key", "mtu", "vlans", "dhcp", "storm_limit", "mss_clamp"):
            assert getattr(mine, field) == getattr(theirs, field)


@given(texts)
def test_wg_is_told_nothing_but_peers(text):
    found = site_tunnels.find(known(text), WIRE, nets.NO_HAND, PATH).tunnels
    ways = r"AllowedIPs = [0-9a-f.:]+/[0-9]+(, [0-9a-f.:]+/[0-9]+)*|Endpoint = [][0-9a-fA-F.:]+|PersistentKeepalive = (off|[0-9]+)"
    for row in own_wire.sections(peer for tunnel in found for peer in wire_peers.of(tunnel)).splitlines():
        assert re.match(r"(\[Peer\]|(PublicKey|PresharedKey) = [A-Za-z0-9+/]{43}=|%s)\Z" % ways, row)


@given(texts, st.integers(0, 4))
def test_wireguard_leads_to_every_far_end_by_one_peer_and_to_nobody_else(text, number):
    """But to the net's network, by the hub."""
    found = known(text)
    part = site_tunnels.find(found, {nets.key(number): site_tunnels.Wire("wg0")}, nets.NO_HAND, PATH)
    for tunnel in part.tunnels:
        peers = wire_peers.of(tunnel)
        allowed = [word for peer in peers for word in peer.allowed]
        assert len(set(allowed)) == len(allowed) and len({peer.key for peer in peers}) == len(peers)
        for end in tunnel.far_ends:
            assert len([peer for peer in peers if any(allowed_ips.AllowedIPs([peer]).covering(end))]) == 1
        network = found.net.network if not tunnel.transit else ""
        # A site asks each of two hubs at its own address, too.
        asked = {end for peer in tunnel.peers for end in peer.ends} if tunnel.has_hubs else set()
        assert {word.partition("/")[0] for word in allowed} - set(tunnel.far_ends) - asked <= {network.partition("/")[0]}
        assert not (tunnel.transit and tunnel.near_ends != tunnel.ends())


@hostile.few
@given(texts, st.sampled_from([0, 1, None]))
def test_whatever_is_in_it_the_table_shows_every_site(text, number):
    table = site_tables.table(text, number)
    screen = render_sites.render(table)
    assert screen.replace("\n", "").isprintable() and not screen.startswith("\n")
    found = site_lines.parse(text, PATH)
    shown = json.loads(json.dumps(render_sites_json.document(table, "a", 0)))["sites"]
    assert [site["line"] for site in shown] == sorted(site.line for site in found.sites + found.faulty)
    assert {problem.line for problem in found.problems} <= {fault.line for fault in table.wrong}


@given(texts, st.sampled_from(sorted(site_export.FORMS)), st.sampled_from(["site0", "site1"]))
def test_what_is_printed_for_another_tool_is_what_it_takes_or_a_mistake(text, form, name):
    """No word of the file means more there than it says: nothing but what these lines are made of, one a line."""
    try:
        found = site_export.export(known(text), name, form, "wg0", PATH)
    except L2wgError as error:
        for problem in error.problems:
            sound(problem._replace(path=PATH))
        return
    assert found.text.isascii() and found.text.replace("\n", "").isprintable() and found.text.endswith("\n")
    for row in found.text.splitlines():
        assert re.match(SHAPES[form], row), row
    for note in found.notes:
        assert note.hint


@hostile.few
@given(texts)
def test_a_tombstone_is_a_word_more_and_no_other_change(text):
    found = site_lines.parse(text, PATH)
    for site in found.living()[-2:]:
        after = site_edit.with_word(text, site.line, "gone=2026-11-29")
        rows, others = text.split("\n"), after.split("\n")
        assert [row for number, row in enumerate(rows, 1) if number != site.line] == [row for number, row in enumerate(others, 1) if number != site.line]
        row, other = rows[site.line - 1], others[site.line - 1]
        assert other.replace("gone=2026-11-29", "").split() == row.split() and other.partition("#")[2] == row.partition("#")[2]
        again = site_lines.parse(after, PATH)
        (out,) = [each for each in again.sites if each.line == site.line]
        assert out.gone == "2026-11-29" and out._replace(gone="", said=site.said, text=site.text) == site
        assert again.problems == found.problems


@pytest.fixture(scope="module", autouse=True)
def here():
    """A router whose WireGuard has site0's key."""
    patch = pytest.MonkeyPatch()
    patch.setattr(own_sites, "wires", lambda tunnels, wanted: WIRE)
    yield
    patch.undo()


def steady(text, record):
    """(Wish of an event that finds this text, the Record that it leaves)."""
    net = site_file.load(text, (), {})
    wished = store.Wish(net.part.tunnels, (), net.problems, net)
    kept, groups = site_record._kept(net, wished, record)
    left = site_record.parse("".join(row + "\n" for row in site_record._rows(*groups)))
    return wished._replace(tunnels=site_mesh.joined(wished.tunnels, kept)), left


def keys(wished):
    """{public key: (name, far end)}."""
    return {peer.key: (tunnel.name, *peer.ends) for tunnel in wished.tunnels for peer in tunnel.peers}


@given(texts, texts, st.sampled_from(["hub=site0", "shape=mesh encapsulation=vxlan"]))
def test_what_stands_stays_whatever_becomes_of_the_file(first, second, net):
    wished, record = steady(nets.text(net, 4), site_record.Record())
    assert len(keys(wished)) == 3
    for text in (first, second, first):
        before, found = keys(wished), known(text)
        wished, record = steady(text, record)
        own = next((site for site in found.living() if site.key == nets.key(0)), None)
        # But for who is out by a line of its own, or whose tunnel another one's has the name or the far end of,
        away = found.gone()
        places = {word for tunnel in wished.tunnels for word in (tunnel.name, *tunnel.far_ends)}
        one = any(tunnel.remotes for tunnel in wished.tunnels)
        for key, (name, end) in before.items():
            # or is not of the family that the mesh has now,
            if one and any((":" in tunnel.local) != (":" in end) for tunnel in wished.tunnels if tunnel.remotes):
                continue
            if key not in keys(wished) and key not in away and end not in places and (one or name not in places):
                # or to whom none leads, by a file that says so.
                assert own and found.net
                (site,) = [site for site in found.living() if site.key == key]
                assert not site_tunnels.meet(found.net, own, site)


OURS = st.sampled_from([f"own wg0 shared {nets.key(0)}", "own wg0 x K", "peer wg0 7 K", "peer wg0 -7 K"])


@given(hostile.anything, st.lists(st.one_of(lines, hostile.junk, OURS), max_size=6))
def test_a_record_is_read_without_trust(text, rows):
    record = site_record.parse("\n".join(rows))
    assert all(index >= 0 for _, index, _ in record.peers)
    wished, _ = steady(text, record)
    for tunnel in wished.tunnels:
        assert tunnel_file.parse(tunnel_file.of(tunnel), PATH, tunnel.name)[1] == ()


@given(st.one_of(hostile.mutated([next_key.render("wg0", next_key.NextKey(nets.key(1), nets.key(2), (nets.key(3),)))]), hostile.anything))
def test_a_next_key_is_one_or_none(text):
    found = next_key.parse(text)
    if found is not None:
        assert card.public_key(found.public) and next_key.parse(next_key.render("wg0", found)) == found


@given(st.one_of(hostile.mutated([changed_keys.render({nets.key(1): nets.key(2), nets.key(2): nets.key(3)})]), hostile.anything), texts)
def test_whoever_has_changed_a_key_every_site_is_still_there(changed, text):
    found = known(text)
    changes = {**changed_keys.parse(changed), nets.key(1): nets.key(5), nets.key(5): nets.key(1)}
    after = site_keys.settled(found, changes, PATH)
    assert [site.line for site in after.sites] == [site.line for site in found.sites]
    living = [site.key for site in after.living()]
    assert len(set(living)) == len(living)
    for problem in after.problems:
        told(problem, text)


@given(hostile.mutated([f"[Interface]\nPrivateKey = {nets.key(1)} # mine\nAddress = 198.18.0.1/32\n[Peer]\nPublicKey = {nets.key(2)}\n"]))
def test_another_private_key_changes_one_line(text):
    after = next_key.with_private(text, nets.key(9))
    if after is not None:
        rows = list(zip(re.findall(r"[^\n]*\n|[^\n]+\Z", text), re.findall(r"[^\n]*\n|[^\n]+\Z", after)))
        assert len(after.split("\n")) == len(text.split("\n")) and sum(old != new for old, new in rows) <= 1
        assert wg_quick_peers.interface_values(after, "privatekey")[-1] == nets.key(9)
