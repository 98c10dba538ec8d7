"""An invitation is hostile input, as a card is: what comes out of one makes a file of sites without mistakes, or it is refused."""

import base64
import ipaddress
import random

import nets
import pytest
from l2wg_hooks.config import card, inner_addresses, invitation, pasted, site_faults, site_lines
from l2wg_hooks.config.invitation import Invitation
from l2wg_hooks.config.schema import Refused

HUB = card.Card("hq", nets.key(0), "hq.example.org:51820", ("198.18.0.1",), "192.168.92.0/24")
PLAIN = Invitation("branch-b", "198.18.0.2", "net shape=star hub=hq", HUB)
FULL = Invitation(
    "x" * 32,
    "198.19.255.254",
    "net shape=star hub=hq isolated=yes vlans=untagged,10,20-30 mtu=1400",
    HUB._replace(addresses=("198.18.0.1", "fd00::1"), endpoint="[2001:db8::7]:65535"),
    "address=10.9.9.1 bridge=lan bridge-ports=enp1s0,enp2s0",
    "vlans=10 storm-limit=100 bridge-ports=enp3s0",
)
LINE = invitation.encode(PLAIN)
STANDS = (
    "L2WGJ1:AEEGE4TBNZRWQLLCAICMMEQAAIBRK3TFOQQHG2DBOBST243UMFZCA2DVMI6WQ4I:AEBGQ4ICECYLH7ACJVGP3OMRZRAN4BL34MMH6MGOSP7B2K5IU"
    "G76P5A4TM6YWAYUNBYS4ZLYMFWXA3DFFZXXEZZ2GUYTQMRQAQCMMEQAAECQKGGAVBOAA:52B52E45"
)


@pytest.mark.parametrize("original", [PLAIN, FULL, PLAIN._replace(words="key=7"), PLAIN._replace(hub_words="bridge=lan")])
def test_there_and_back(original):
    line = invitation.encode(original)
    assert invitation.decode(line) == original
    assert set(line) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:") and len(line) <= invitation.LONGEST
    # The hub's card is in it as it is.
    assert line.split(":")[2] == card.encode(original.hub).split(":")[1]


def test_the_format_stands():
    """One that an older l2wg has printed is read for ever."""
    assert invitation.decode(STANDS) == PLAIN and LINE == STANDS


@pytest.mark.parametrize(
    "pasted_",
    [LINE + "\n", LINE.lower(), " ".join(LINE), "> " + LINE[:60] + "\r\n> " + LINE[60:] + "\r\n", f"`{LINE}`", LINE + "\n" + LINE, LINE[:9] + "\u200b" + LINE[9:]],
)
def test_wrapped_quoted_and_pasted_twice(pasted_):
    assert invitation.decode(pasted_) == PLAIN


def told(text):
    with pytest.raises(Refused) as error:
        invitation.decode(text)
    message, hint = error.value.args
    assert message and hint
    return f"{message}\n{hint}"


@pytest.mark.parametrize("length", range(len(LINE)))
def test_a_cut_paste_is_told(length):
    said = told(LINE[:length])
    assert "cut off" in said or (length <= 7 and "invitation" in said)


def test_each_mistyped_letter_is_told():
    for index in range(7, len(LINE)):
        for letter in "A2:":
            if LINE[index] != letter:
                told(LINE[:index] + letter + LINE[index + 1 :])
    assert "the invitation's checksum is wrong: something in it is missing or has changed" in told(LINE[:20] + "A" + LINE[21:])


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "there is no invitation"),
        ("hello", "expected an invitation, not 'hello'\nan invitation begins with L2WGJ1:"),
        (card.encode(HUB), "expected an invitation, not 'L2WG1:A"),
        (card.encode(HUB), "that is a card: l2wg pair CARD"),
        (LINE.replace("L2WGJ1", "L2WGJ2"), "the invitation is of version 2, l2wg here knows 1\nupgrade l2wg"),
        (LINE.replace("L2WGJ1", "L2WGJ0"), "there are no invitations of version 0"),
        (LINE + "0", "the invitation has more at its end"),
        (LINE + " # comment", "cannot be in an invitation"),
        (LINE + invitation.encode(FULL), "2 different invitations"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    assert said in told(text)


def test_who_takes_it_for_a_card_is_told():
    with pytest.raises(Refused) as error:
        card.decode(LINE)
    assert error.value.args[1] == "that is an invitation; on the router that is invited: l2wg join INVITATION"


def sealed(*fields, hub=HUB):
    return pasted.seal(invitation.KIND, [pasted.pack(fields), hub if isinstance(hub, bytes) else card.pack(hub)])


NAME, ADDRESS, NET = (1, b"branch-b"), (2, bytes((198, 18, 0, 2))), (3, b"net shape=star hub=hq")


@pytest.mark.parametrize(
    "fields, said",
    [
        ((NAME, ADDRESS, NET), None),
        ((), "that cannot be"),
        (((1, b"a b"), ADDRESS, NET), "expected the name of a site"),
        (((1, b"$(reboot)"), ADDRESS, NET), "expected the name of a site"),
        (((1, b"\xff"), ADDRESS, NET), "a value that cannot be"),
        (((1, b"hq"), ADDRESS, NET), "has the same name, hq"),
        ((NAME, (2, b"\1\2\3"), NET), "a value that cannot be"),
        ((NAME, (2, bytes(16)), NET), "a value that cannot be"),
        ((NAME, (2, b"\x7f\0\0\1"), NET), "cannot be an end"),
        ((NAME, (2, bytes((198, 18, 0, 1))), NET), "has the same address, 198.18.0.1"),
        ((NAME, ADDRESS), "there is no line of the net"),
        ((NAME, ADDRESS, (3, b"net hub=hq")), None),
        ((NAME, ADDRESS, (3, b"net shape=mesh")), "is no line of a star"),
        ((NAME, ADDRESS, (3, b"net hub=branch-b")), "is no line of a star"),
        ((NAME, ADDRESS, (3, b"net hub=dc")), "hub: no site is called dc"),
        ((NAME, ADDRESS, (3, b"net  hub=hq")), "expected words with a blank"),
        ((NAME, ADDRESS, (3, b"net hub=hq # x")), "expected words with a blank"),
        ((NAME, ADDRESS, (3, b"net hub=hq\nnet hub=hq")), "expected words with a blank"),
        ((NAME, ADDRESS, (3, b"net hub=hq colour=red")), "colour: cannot stand here"),
        ((NAME, ADDRESS, (3, b"net hub=hq control=evpn")), "control: evpn is for a mesh of VXLAN"),
        ((NAME, ADDRESS, NET, (4, b"gone=2026-11-25")), "hub: hq is out since 2026-11-25"),
        ((NAME, ADDRESS, NET, (4, b"vlans=10")), "hq is the hub"),
        ((NAME, ADDRESS, NET, (5, b"gone=2026-11-25")), "gone cannot stand here"),
        ((NAME, ADDRESS, NET, (5, b"address=198.18.0.9")), "address cannot stand here"),
        ((NAME, ADDRESS, NET, (5, b"bridge-ports=;reboot")), "expected the name of an interface"),
        ((NAME, ADDRESS, NET, (5, b"vlans=10 vlans=10")), "stands in this line twice"),
        ((NAME, ADDRESS, NET, (6, b"x")), "a field that l2wg here does not know (6)"),
        ((NAME, NAME, ADDRESS, NET), "its field 1 twice, or late"),
        ((ADDRESS, NAME, NET), "its field 1 twice, or late"),
    ],
)
def test_a_right_checksum_proves_nothing(fields, said):
    text = sealed(*fields)
    if said is None:
        assert invitation.decode(text).hub == HUB
    else:
        assert said in told(text)


def test_a_hub_that_is_none_is_refused():
    assert "nothing but zeros" in told(sealed(NAME, ADDRESS, NET, hub=card.pack(HUB).replace(base64.b64decode(HUB.key), bytes(32))))
    assert "the card's last field is not whole" in told(sealed(NAME, ADDRESS, NET, hub=card.pack(HUB)[:-1]))
    assert "is where hq is called" in told(sealed(NAME, ADDRESS, NET, hub=HUB._replace(endpoint="198.18.0.2:9")))


def test_random_bodies_are_understood_or_refused():
    dice = random.Random(7)
    body = bytearray(pasted.pack((NAME, ADDRESS, NET, (4, b"bridge=lan"), (5, b"vlans=10 key=7"))))
    for _ in range(300):
        copy = bytearray(body)
        for _ in range(dice.randrange(1, 4)):
            copy[dice.randrange(len(copy))] = dice.randrange(256)
        try:
            found = invitation.decode(pasted.seal(invitation.KIND, [bytes(copy), card.pack(HUB)]))
        except Refused as error:
            assert all(error.args)
            continue
        assert invitation.decode(invitation.encode(found)) == found
        plain(found)


def plain(found):
    """What it says makes a file without mistakes, in which every value is a plain word."""
    own = invitation.line(card.Card(found.name, nets.key(9), "", (found.address,)), found.words)
    text = "".join(row + "\n" for row in (found.net, found.hub_line(), own))
    lines = site_faults.between(site_lines.parse(text, ""), "")
    assert lines.problems == () and text.isascii() and "#" not in text and len(lines.sites) == 2


def test_what_is_too_long_is_told_with_what_helps():
    with pytest.raises(Refused) as error:
        invitation.encode(PLAIN._replace(words="bridge-ports=" + ",".join("enp%ds0" % number for number in range(60))))
    assert "too long for an invitation" in error.value.args[0] and error.value.args[1] == "copy the file of sites to the new router instead"


def test_the_mark_tells_another_net_or_hub():
    changed = [{"net": "net shape=star hub=hq isolated=yes"}, {"hub_words": "bridge=lan"}, {"hub": HUB._replace(endpoint="")}]
    assert len({PLAIN.mark(), *(PLAIN._replace(**fields).mark() for fields in changed)}) == 4
    assert PLAIN.mark() == PLAIN._replace(name="c", address="198.18.0.3", words="vlans=10").mark()


# Addresses


def test_an_address_follows_from_the_name():
    found = [inner_addresses.free("branch-%d" % number, inner_addresses.INNER, ()) for number in range(1000)]
    assert found == [inner_addresses.free("branch-%d" % number, inner_addresses.INNER, set()) for number in range(1000)]
    # Of 1,000 that nobody has written down yet, some four pairs are expected to meet.
    assert len(set(found)) >= 985 and all(ipaddress.ip_address(address) in inner_addresses.INNER for address in found)


def test_an_address_that_is_taken_gives_way_and_two_names_do_not_meet_again_beside_it():
    first = inner_addresses.free("a", inner_addresses.INNER, ())
    second = inner_addresses.free("a", inner_addresses.INNER, {first})
    assert second not in (first, str(ipaddress.ip_address(first) + 1))


def test_a_small_network_is_used_up_to_its_last_address():
    network, taken = ipaddress.ip_network("10.9.9.0/29"), set()
    for number in range(6):
        taken.add(inner_addresses.free("a%d" % number, network, taken))
    assert taken == {str(address) for address in network.hosts()}
    assert inner_addresses.free("b", network, taken) is None
