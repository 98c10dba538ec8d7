"""An invitation, and what is pasted back at the hub, are from outside: understood or refused, and of plain words."""

import re
import sys

import hostile
from hypothesis import given
from hypothesis import strategies as st
from l2wg_hooks.config import card, invitation, pasted, site_edit, site_faults, site_lines, site_tunnels, tunnel_file
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import Problem
from l2wg_hooks.pairing import admit, membership
from test_text import sound

sys.path.insert(0, str(hostile.TESTS / "unit"))
import nets

HUB = card.Card("hq", nets.key(0), "hq.example.org:51820", ("198.18.0.1",))
FULL = invitation.Invitation("branch-b", "198.18.0.2", "net shape=star hub=hq isolated=yes vlans=10", HUB, "bridge=lan", "storm-limit=100 bridge-ports=enp3s0")
LINE = invitation.encode(FULL)
# Values that get past the checksum: bytes of a field.
raw = st.one_of(hostile.junk.map(lambda text: text.encode("utf-8", "surrogateescape")[:255]), st.binary(max_size=20))
SAID = ["vlans=10", "key=7", "gone=2026-11-25", "address=10.0.0.1", "bridge-ports=enp3s0", "hub=hq", "mtu=1400", "isolated=yes", ""]
words = st.lists(st.sampled_from(SAID), max_size=4)
texts = st.one_of(words.map(lambda found: " ".join(found).encode()), raw)
FIELDS = {
    1: st.one_of(st.just(b"branch-b"), raw),
    2: st.one_of(st.just(bytes((198, 18, 0, 2))), raw),
    3: st.one_of(st.just(b"net shape=star hub=hq"), texts.map(lambda text: b"net hub=hq " + text[:200])),
    4: texts,
    5: texts,
    6: raw,
}
bodies = st.fixed_dictionaries({}, optional={tag: FIELDS[tag] for tag in FIELDS}).map(lambda found: pasted.pack(sorted(found.items())))
hubs = st.one_of(st.just(card.pack(HUB)), hostile.mutated([card.pack(HUB).decode("latin-1")]).map(lambda text: text.encode("latin-1", "replace")[:300]))
sealed = st.builds(lambda body, hub: pasted.seal(invitation.KIND, [body, hub]), bodies, hubs)
whole = st.fixed_dictionaries({tag: FIELDS[tag] for tag in (1, 2, 3)}, optional={tag: FIELDS[tag] for tag in (4, 5)})
likely = whole.map(lambda found: pasted.seal(invitation.KIND, [pasted.pack(sorted(found.items())), card.pack(HUB)]))


@given(st.one_of(sealed, likely, hostile.mutated([LINE]), hostile.anything, hostile.junk))
def test_an_invitation_is_understood_or_refused(text):
    try:
        found = invitation.decode(text)
    except Refused as error:
        message, hint = error.args
        sound(Problem(message, hint))
        return
    assert invitation.decode(invitation.encode(found)) == found
    plain(found)


def plain(found):
    """What it makes is a file of sites without mistakes, and each of its values a word that no shell would take for more."""
    own = invitation.line(card.Card(found.name, nets.key(9), "", (found.address,)), found.words)
    rows = (found.net, membership.row(found.hub.name, found.hub_line()), membership.row(found.name, own))
    text = "".join(row + "\n" for row in rows)
    assert text.isprintable() is False and text.replace("\n", "").isprintable() and text.isascii() and text.count("\n") == 3
    lines = site_faults.between(site_lines.parse(text, ""), "")
    assert lines.problems == () and [site.name for site in lines.sites] == [found.hub.name, found.name]
    for word in (found.name, found.address, *found.net.split(), *found.hub_line().split(), *own.split()):
        assert re.match(r"[A-Za-z0-9][A-Za-z0-9=,._:/-]*\Z", word), word
    # What this router's tunnel would be is by the same rules as one with a file of its own.
    part = site_tunnels.find(lines, {nets.key(9): site_tunnels.Wire("wg0")}, nets.NO_HAND, "/etc/l2wg/sites")
    for tunnel in part.tunnels:
        again, problems = tunnel_file.parse(tunnel_file.of(tunnel), "", tunnel.name)
        assert problems == () and again == tunnel._replace(peers=(), path="")


@given(st.lists(st.one_of(hostile.junk, st.just(nets.line(3).strip()), words.map(" ".join)), max_size=4).map(" ".join))
def test_what_is_pasted_at_the_hub_is_taken_apart_without_loss(text):
    known, said = admit.split(text)
    assert sorted((known.split() if said else text.split()) + said) == sorted(text.split())
    assert all("=" in word and word[0].islower() for word in said)
    for word in said:
        if invitation.PLAIN.match(word):
            assert word.isascii() and word.isprintable() and not re.search(r"[\s#]", word)
    try:
        card.decode(known)
    except Refused as error:
        sound(Problem(*error.args))


@given(st.lists(words, max_size=3), hostile.lines_ends)
def test_a_line_more_changes_no_other(rows, end):
    text = "net hub=site0\n" + "".join(nets.line(number, " ".join(row)) for number, row in enumerate(rows))
    text = text.replace("\n", "\r\n") if end == "\r\n" else text
    after = site_edit.with_line(text, nets.line(9).strip())
    assert after.startswith(text)
    before, found = site_lines.parse(text, ""), site_lines.parse(after, "")
    assert found.sites[:-1] == before.sites and found.sites[-1].card == nets.site(9) and found.problems == before.problems
