"""Two sites that do not talk come to the same tunnel."""

import base64
import itertools

import pytest
from l2wg_hooks.config import card, terms, tunnel_file, wg_quick_peers
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.encapsulation.vxlan import VXLAN
from l2wg_hooks.model import Link, Tunnel
from l2wg_hooks.pairing import negotiate

pytestmark = pytest.mark.usefixtures("real_names")

KEYS = [base64.b64encode(bytes((number,)) * 32).decode() for number in (1, 2, 3)]
A = card.Card("a", KEYS[0], "", ("198.18.0.1", "fd00::1"), "192.168.178.0/24")
B = card.Card("b", KEYS[1], "b.example.org:51820", ("198.18.0.2",), "192.168.92.0/24")


def variants(site):
    return [
        site._replace(addresses=addresses, encapsulation=encapsulation, number=number, mtu=mtu)
        for addresses in (site.addresses[:1], site.addresses, (site.addresses[0], "fd00::%s" % site.name), ("fd00::%s" % site.name,))
        for encapsulation in ("gretap", "vxlan")
        for number in (None, 7)
        for mtu in (1400, 1500)
        if len({":" in address for address in addresses}) == len(addresses)
    ]


def test_both_sites_come_to_the_same():
    count = 0
    for left, right in itertools.product(variants(A), variants(B)):
        try:
            here = terms.find(left, right)
        except Refused as error:
            with pytest.raises(Refused) as other:
                terms.find(right, left)
            assert "no family" in error.args[0] and "no family" in other.value.args[0]
            continue
        there = terms.find(right, left)
        assert here == there._replace(local=there.remote, remote=there.local)
        assert here.local in left.addresses and here.remote in right.addresses
        text = tunnel_file.fresh(
            "t",
            {
                "underlay": "wg0",
                "local": here.local,
                "remote": here.remote,
                "bridge": "br0",
                "mtu": str(here.mtu),
                "encapsulation": here.encapsulation,
                "key": "" if here.number is None else str(here.number),
            },
        )
        assert tunnel_file.parse(text, "t.conf", "t")[1] == ()
        count += 1
    assert count > 500


def test_what_they_come_to():
    assert terms.find(A, B) == ("198.18.0.1", "198.18.0.2", "gretap", None, 1500)
    assert terms.find(A._replace(mtu=1400), B)[4] == 1400
    assert terms.find(A, B._replace(number=5))[3] == 5


def test_a_hub_with_vxlan_has_a_vni_for_each_site():
    cards = [card.Card(key[:2], key, "", ("198.18.1.%d" % number,), encapsulation="vxlan") for number, key in enumerate(KEYS, 1)]
    numbers = {terms.find(cards[0], other).number for other in cards[1:]}
    assert len(numbers) == 2 and all(1 <= number <= VXLAN.number_max for number in numbers)


@pytest.mark.parametrize(
    "other, said",
    [
        (A, "this router's own card"),
        (B._replace(endpoint="198.18.0.2:51820"), "198.18.0.2, where b is to be called, is an address inside WireGuard"),
        (B._replace(endpoint="[fd00::2]:51820", addresses=("198.18.0.2", "fd00::2")), "fd00::2, where b is to be called, is an address inside"),
        (B._replace(endpoint="198.18.0.1:51820"), "198.18.0.1, where b is to be called, is an address inside WireGuard"),
        (B._replace(addresses=("198.18.0.1",)), "also this router's address inside WireGuard"),
        (B._replace(number=6), "this site wants the key 5, the other one 6"),
    ],
)
def test_what_cannot_be(other, said):
    with pytest.raises(Refused) as error:
        terms.find(A._replace(number=5), other)
    assert said in error.value.args[0]


LINKS = {"wg0": Link("wg0", 1, "wireguard", addresses=("198.18.0.1/32",)), "enp2s0": Link("enp2s0", 2, addresses=("10.0.0.1/8",))}
PEERS = wg_quick_peers.sections("[Peer]\nPublicKey = %s\nAllowedIPs = 198.18.0.9/32\n[Peer]\nPublicKey = x\nAllowedIPs = 0.0.0.0/0\n" % KEYS[2])


@pytest.mark.parametrize(
    "remote, said",
    [("198.18.0.2", None), ("198.18.0.1", "is this router's own (wg0)"), ("10.7.7.7", "is in the network of enp2s0"), ("198.18.0.9", "has 198.18.0.9 already")],
)
def test_collisions(remote, said):
    agreed = terms.find(A, B)._replace(remote=remote)
    found = negotiate.collision(agreed, B, "wg0", LINKS, PEERS)
    assert said in found[0] if said else found is None


def test_both_sites_refuse_an_endpoint_inside():
    for left, right in ((A._replace(endpoint="198.18.0.2:1"), B), (A, B._replace(endpoint="198.18.0.1:1"))):
        for here, there in ((left, right), (right, left)):
            with pytest.raises(Refused) as error:
                terms.find(here, there)
            assert "inside WireGuard" in error.value.args[0] and "l2wg card --endpoint HOST on " in error.value.args[1]


def test_what_this_router_needs_elsewhere():
    agreed = terms.find(A, B)
    tunnels = [Tunnel("gretap1", "wg0", "198.18.0.1", "198.18.0.2", "br0"), Tunnel("else", "wg1", "198.18.0.1", "198.18.0.2", "br0")]
    for reason in ("where the peer x is called", "a gateway of this router", "where somebody is logged in from", "a DNS server of this router"):
        needed = [negotiate.Needed("2001:db8::1", "another family"), negotiate.Needed("198.18.0.2", reason)]
        said, hint = negotiate.misled(agreed, B, "wg0", needed, [], [])
        assert said == "198.18.0.2, the address of b, is %s, which would go into wg0" % reason and hint
    assert negotiate.misled(agreed, B, "wg0", [negotiate.Needed("198.18.0.3", "x")], [], tunnels) is None
    held = wg_quick_peers.sections("[Peer]\nPublicKey = %s\nAllowedIPs = 198.18.0.0/24\n" % KEYS[2])
    said, _ = negotiate.misled(agreed, B, "wg0", [], held, tunnels)
    assert said == "198.18.0.2, the address of b, is the far end of gretap1, which leads to the peer %s" % KEYS[2]
    assert negotiate.misled(agreed, B._replace(key=KEYS[2]), "wg0", [], held, tunnels) is None
    assert negotiate.misled(agreed, B, "wg0", [], held, tunnels[1:]) is None


@pytest.mark.parametrize(
    "allowed, way, said",
    [
        ("198.18.0.9/32", {}, None),
        ("203.0.113.0/24", {}, "is reached through wg0, by AllowedIPs 203.0.113.0/24 of the peer"),
        ("203.0.113.0/24", {"203.0.113.20": "enp1s0"}, None),
        ("198.18.0.9/32", {"203.0.113.20": "wg0"}, "is reached through wg0: WireGuard's own packets would go into the tunnel"),
        ("0.0.0.0/0", {}, None),
        ("10.0.0.0/8", {}, None),
    ],
)
def test_an_endpoint_that_wireguard_would_lead_to_itself(allowed, way, said):
    held = wg_quick_peers.sections("[Peer]\nPublicKey = %s\nAllowedIPs = %s\n" % (KEYS[2], allowed))
    found = negotiate.unreachable(["203.0.113.20"], B, "wg0", held, LINKS, way)
    assert said in found[0] and found[1] if said else found is None


def test_an_endpoint_that_is_on_a_network_of_this_router_or_its_own():
    held = wg_quick_peers.sections("[Peer]\nPublicKey = %s\nAllowedIPs = 10.0.0.0/7\n" % KEYS[2])
    assert negotiate.unreachable(["10.0.0.9"], B, "wg0", held, LINKS, {}) is None, "the route to enp2s0 is more specific"
    assert "is this router's own (enp2s0)" in negotiate.unreachable(["10.0.0.1"], B, "wg0", held, LINKS, {})[0]


def test_whose_the_address_was():
    agreed = terms.find(A, B)
    held = wg_quick_peers.sections("[Peer]\nPublicKey = %s\nAllowedIPs = 198.18.0.0/24, 198.18.0.0/16\n" % KEYS[2])
    (note,) = negotiate.moved(agreed, B, "wg0", held, [])
    assert "198.18.0.2 is also in AllowedIPs 198.18.0.0/24 of the peer %s" % KEYS[2] in note
    assert not list(negotiate.moved(agreed, B._replace(key=KEYS[2]), "wg0", held, [])) and not list(negotiate.moved(agreed, B, "wg0", [], []))
    (note,) = negotiate.moved(agreed, B, "wg0", [], ["198.18.0.0/15 via 10.0.0.7 dev enp2s0"])
    assert "198.18.0.0/15 via 10.0.0.7 dev enp2s0" in note
    (note,) = negotiate.moved(agreed._replace(remote="9.9.9.9"), B, "wg0", [], [])
    assert note.startswith("9.9.9.9 is a public address")


def test_a_site_with_a_new_key_and_its_old_address():
    """Its old key goes by the admin's hand: names are not proof, and two sites may both be `debian`."""
    sections = wg_quick_peers.sections(wg_quick_peers.add("", "b", [("PublicKey", KEYS[2]), ("AllowedIPs", "198.18.0.2/32")]))
    said, hint = negotiate.collision(terms.find(A, B), B, "wg0", LINKS, sections)
    assert said == "the peer %s (b) has 198.18.0.2 already" % KEYS[2]
    assert hint.startswith("wg set wg0 peer %s remove; sed -i 's|%s|%s|' /etc/wireguard/wg0.conf # " % (KEYS[2], KEYS[2], B.key))


def test_a_site_with_a_new_key_and_another_address():
    tunnels = [Tunnel("gretap4", "wg0", "198.18.0.1", "198.18.0.7", "br0"), Tunnel("else", "wg1", "10.0.0.1", "198.18.0.7", "br0")]
    text = wg_quick_peers.add("", "b", [("PublicKey", KEYS[2]), ("AllowedIPs", "198.18.0.7/32")])
    (note,) = negotiate.namesakes(B, "wg0", wg_quick_peers.sections(text), tunnels)
    assert KEYS[2] in note and "/etc/l2wg/gretap4.conf" in note and "else" not in note and "wg set wg0 peer %s remove" % KEYS[2] in note
    assert not list(negotiate.namesakes(B._replace(name="c"), "wg0", wg_quick_peers.sections(text), tunnels))
    assert not list(negotiate.namesakes(B._replace(key=KEYS[2]), "wg0", wg_quick_peers.sections(text), tunnels))


def test_an_address_of_the_same_peer_is_none():
    agreed = terms.find(A, B)._replace(remote="198.18.0.9")
    assert negotiate.collision(agreed, B._replace(key=KEYS[2]), "wg0", LINKS, PEERS) is None


def test_notes():
    links = {"br0": Link("br0", 1, "bridge", addresses=("192.168.178.1/24",)), "enp2s0": Link("enp2s0", 2, addresses=("192.168.92.7/24",))}
    wire = tunnel_file.parse("underlay = wg0\nlocal = 198.18.0.1\nremote = 198.18.0.2\nbridge = br0\n", "", "gretap1")[0]
    first, second = negotiate.notes(terms.find(A, B), B, None, links, wire)
    assert first.startswith("br0 has 192.168.178.0/24, and the LAN of b is 192.168.92.0/24") and second.startswith("enp2s0 has 192.168.92.0/24")
    lead = Tunnel("gretap1", "wg0", "10.0.0.1", "10.0.0.2", "br0", mtu=1400)
    first, second = negotiate.notes(terms.find(A, B), B._replace(lan=""), lead, links)
    assert "stays as it is" in first and "its mtu is 1400 here, and 1500 by the two cards" in second


def test_nix():
    text = negotiate.nix(terms.find(A._replace(mtu=1400, number=5), B), B, "wg0", False)
    for line in (
        'allowedIPs = [ "198.18.0.2/32" ]; endpoint = "b.example.org:51820"; persistentKeepalive = 25; } # b',
        '  local = "198.18.0.1";',
        "  mtu = 1400;",
        "  key = 5;",
    ):
        assert line in text
    assert "persistentKeepalive" not in negotiate.nix(terms.find(A, B), B, "wg0", True)


def test_one_wire_is_what_joins_and_nothing_else():
    """A LAN that no bridge of either site joins is no false alarm; an older card does not tell, and gets an `if`."""

    def said(other, bridge="br0", ports="", **addresses):
        links = {name: Link(name, 3, "bridge" if name.startswith("br") else "", addresses=(address,)) for name, address in addresses.items()}
        text = "underlay = wg0\nlocal = 198.18.0.1\nremote = 198.18.0.2\nbridge = %s\nbridge-ports = %s\n" % (bridge, ports)
        return list(negotiate.notes(terms.find(A, other), other, None, links, tunnel_file.parse(text, "", "gretap1")[0]))

    joined, apart = B._replace(joined=True), B._replace(joined=False)
    (note,) = said(joined, br0="192.168.178.1/24")
    assert "br0 has 192.168.178.0/24, and the LAN of b is 192.168.92.0/24: both are on one wire" in note
    (note,) = said(B, br0="192.168.178.1/24")
    assert "if b has that in its bridge, both are on one wire" in note
    assert said(apart, br0="192.168.178.1/24") == [], "the LAN of b is not in the tunnel"
    assert said(joined, br0="192.168.92.2/24") == [], "that is what a bridge is for"
    assert said(joined, br1="192.168.178.1/24") == [], "another bridge of this router is not in the tunnel either"
    (note,) = said(joined, ports="enp2s0", enp2s0="192.168.178.1/24")
    assert "enp2s0 has 192.168.178.0/24" in note and "both are on one wire" in note, "its address is about to move"
    (note,) = said(apart, enp2s0="192.168.92.7/24")
    assert "nobody can route between the two" in note


@pytest.mark.parametrize("mine, theirs, ends", [
    (("198.18.0.1", "fd00::1"), ("fd00::2", "198.18.0.2"), ("198.18.0.1", "198.18.0.2")),
    (("fd00::1", "198.18.0.1"), ("198.18.0.2", "fd00::2"), ("198.18.0.1", "198.18.0.2")),
    (("fd00::1", "198.18.0.1"), ("fd00::2",), ("fd00::1", "fd00::2")),
])  # fmt: skip
def test_ends_are_ipv4_where_both_have_it(mine, theirs, ends):
    found = terms.find(A._replace(addresses=mine), B._replace(addresses=theirs))
    assert (found.local, found.remote) == ends


@pytest.mark.parametrize("who", [0, 1])
def test_nobody_is_called_by_an_address_that_only_the_tunnel_has(who):
    cards = [A, B]
    for host in A.addresses + B.addresses:
        cards[who] = (A, B)[who]._replace(endpoint=("[%s]:1" if ":" in host else "%s:1") % host)
        with pytest.raises(Refused, match="is an address inside WireGuard"):
            terms.find(*cards)
    cards[who] = (A, B)[who]._replace(endpoint="203.0.113.7:1")
    assert terms.find(*cards).remote == "198.18.0.2"
