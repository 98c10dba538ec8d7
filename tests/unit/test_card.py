"""A card is hostile input: what comes out of one is right, or refused."""

import base64
import random
import zlib

import pytest
from l2wg_hooks.config import card
from l2wg_hooks.config.schema import Refused

KEY = base64.b64encode(bytes(range(1, 33))).decode()
SITE_B = card.Card("site-b", KEY, "b.example.org:51820", ("198.18.7.9",), "192.168.92.0/24")
FULL = card.Card("x" * 32, KEY, "[2001:db8::7]:65535", ("198.18.7.9", "fd00::1"), "fd00:92::/64", "vxlan", 2**24 - 1, 9216)
SMALL = card.Card("a", KEY, "", ("fd00::1",))
# As `printf %s WORDS | cksum` prints them (coreutils 9.1).
CKSUMS = {"": 4294967295, "a": 1220704766, "L2WG1:ABC": 2166634017, "123456789": 930766865}


JOINED, APART = SITE_B._replace(joined=True), FULL._replace(joined=False)


@pytest.mark.parametrize("original", [SITE_B, FULL, SMALL, JOINED, APART, SITE_B._replace(mtu=1400)])
def test_there_and_back(original):
    line = card.encode(original)
    assert card.decode(line) == original
    assert set(line) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:")


def test_the_format_stands():
    """A card that an older l2wg has printed is read for ever."""
    assert (
        card.decode("L2WG1:AEDHG2LUMUWWEARAAEBAGBAFAYDQQCIKBMGA2DQPCAIREEYUCULBOGAZDINRYHI6D4QAGE3CFZSXQYLNOBWGKLTPOJTTUNJRHAZDABAEYYJAOCIFAUMMBKC4AA:EFDB2CDF") == SITE_B
    )
    assert card.encode(SITE_B).endswith(":EFDB2CDF")


@pytest.mark.parametrize("original", [JOINED, APART, SITE_B._replace(joined=False)])
def test_an_older_l2wg_reads_what_it_knows_of_a_newer_card(original):
    """By its rules: no tag above 8, none twice but that of addresses, and the MTU a number, however long."""
    body = card.encode(original).split(":")[1]
    rest, fields = base64.b32decode(body + "=" * (-len(body) % 8)), []
    while rest:
        fields.append((rest[0], rest[2 : 2 + rest[1]]))
        rest = rest[2 + rest[1] :]
    tags = [tag for tag, _ in fields]
    assert tags == sorted(tags) and max(tags) <= 8 and all(tags.count(tag) == 1 or tag == 4 for tag in tags)
    assert int.from_bytes(dict(fields)[8], "big") == original.mtu
    assert card.encode(original).startswith("L2WG1:")


@pytest.mark.parametrize("text, value", CKSUMS.items())
def test_the_checksum_is_cksums(text, value):
    assert card.checksum(text) == value


LINE = card.encode(SITE_B)


@pytest.mark.parametrize(
    "pasted",
    [
        LINE + "\n",
        "\n  " + LINE[:40] + "\r\n  " + LINE[40:] + "\n",
        LINE.lower(),
        " ".join(LINE),
        "`" + LINE + "`",
        "> " + LINE[:60] + "\r\n>  " + LINE[60:] + "\r\n",
        "<" + LINE + ">",
        '"%s"' % LINE,
        LINE[:20] + "\u200b" + LINE[20:] + "\u00a0",
        LINE + LINE,
        LINE + "\n" + LINE.lower(),
    ],
)
def test_wrapped_quoted_and_pasted_twice(pasted):
    assert card.decode(pasted) == SITE_B


def told(text):
    with pytest.raises(Refused) as error:
        card.decode(text)
    assert all(isinstance(word, str) and word for word in error.value.args) and len(error.value.args) == 2
    return error.value.args[0]


@pytest.mark.parametrize("length", range(len(LINE)))
def test_a_cut_paste_is_told(length):
    said = told(LINE[:length])
    assert "cut off" in said if length > 6 else "card" in said
    if length:
        assert "expected a card" in told(LINE[length:]) or length < 6


def test_each_changed_letter_is_told():
    for index in range(6, len(LINE)):
        for letter in "A:":
            if LINE[index] != letter:
                told(LINE[:index] + letter + LINE[index + 1 :])


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "there is no card"),
        ("\n \n", "there is no card"),
        ("hello", "expected a card, not 'hello'"),
        ("$(reboot)" + LINE, "expected a card, not "),
        (LINE.replace("L2WG1", "L2WG2"), "of version 2, l2wg here knows 1"),
        (LINE.replace("L2WG1", "L2WG999"), "of version 999, l2wg here"),
        (LINE.replace("L2WG1", "L2WG0"), "no cards of version 0"),
        (LINE[:-1] + "\u0130", "cannot be in a card"),
        (LINE + "0", "more at its end"),
        (LINE + " # comment", "cannot be in a card"),
        (LINE + card.encode(FULL), "2 different cards"),
        (LINE[:30] + LINE, "2 different cards"),
        ("L2WG1:" + "A" * 100000 + ":00000000", "cut off"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    assert said in told(text)


def sealed(body, version=1):
    text = "L2WG%d:%s" % (version, base64.b32encode(body).decode().rstrip("="))
    return "%s:%08X" % (text, card.checksum(text))


def field(tag, value):
    return bytes((tag, len(value))) + value


NAME, PUBLIC, ADDRESS = field(1, b"site-b"), field(2, bytes(range(1, 33))), field(4, bytes((198, 18, 7, 9)))
GOOD = NAME + PUBLIC + ADDRESS


@pytest.mark.parametrize(
    "body, said",
    [
        (GOOD, None),
        (b"", "expected the name of a site"),
        (field(1, b"a\nb") + PUBLIC + ADDRESS, "expected the name of a site"),
        (field(1, b"a;reboot") + PUBLIC + ADDRESS, "expected the name of a site"),
        (field(1, b"\xff") + PUBLIC + ADDRESS, "a value that cannot be"),
        (NAME + field(2, b"\0" * 32) + ADDRESS, "nothing but zeros"),
        (NAME + field(2, b"\1" * 31) + ADDRESS, "expected a public key"),
        (NAME + PUBLIC, "no address"),
        (NAME + PUBLIC + field(4, b"\x7f\0\0\1"), "cannot be an end"),
        (NAME + PUBLIC + field(4, b"\xe0\0\0\1"), "cannot be an end"),
        (NAME + PUBLIC + field(4, b"\1\2\3"), "a value that cannot be"),
        (NAME + PUBLIC + ADDRESS + ADDRESS, "several of one family"),
        (NAME + NAME + PUBLIC + ADDRESS, "twice"),
        (PUBLIC + NAME + ADDRESS, "late"),
        (NAME + PUBLIC + field(3, b"b.example.org") + ADDRESS, "expected an endpoint"),
        (NAME + PUBLIC + field(3, b"b.example.org:0") + ADDRESS, "expected an endpoint"),
        (NAME + PUBLIC + field(3, b"b.example.org:65536") + ADDRESS, "expected an endpoint"),
        (NAME + PUBLIC + field(3, b"a b:51820") + ADDRESS, "expected the name of a host"),
        (NAME + PUBLIC + field(3, b"-a.b:51820") + ADDRESS, "expected the name of a host"),
        (NAME + PUBLIC + field(3, b"$(reboot):51820") + ADDRESS, "expected the name of a host"),
        (NAME + PUBLIC + field(3, b"b\nPostUp = reboot:51820") + ADDRESS, "expected the name of a host"),
        (NAME + PUBLIC + field(3, b"1.2.3:51820") + ADDRESS, "cannot be called"),
        (NAME + PUBLIC + field(3, b"127.0.0.1:51820") + ADDRESS, "cannot be called"),
        (NAME + PUBLIC + field(3, b"[1.2.3.4]:51820") + ADDRESS, "cannot be called"),
        (NAME + PUBLIC + field(3, b"[fe80::1%eth0]:51820") + ADDRESS, "cannot be called"),
        (GOOD + field(5, b"\x18\xc0\xa8\x5c\1"), "expected a network"),
        (GOOD + field(5, b"\x21\xc0\xa8\x5c\0"), "expected a network"),
        (GOOD + field(6, b"ipip"), "unknown value"),
        (GOOD + field(7, b"\xff" * 5), "from 0 to"),
        (GOOD + field(8, b"\0\1"), "from 576 to"),
        (GOOD + field(8, b"\0\0\0\5\xdc"), "an MTU that cannot be"),
        (GOOD + field(8, b"\1\5\xdc"), "from 576 to"),
        (GOOD + field(9, b"x"), "does not know (9)"),
        (GOOD + b"\x08", "not whole"),
        (GOOD + b"\x08\x05a", "not whole"),
    ],
)
def test_a_right_checksum_proves_nothing(body, said):
    if said is None:
        assert card.decode(sealed(body)).name == "site-b"
    else:
        assert said in told(sealed(body))


def test_noise_is_refused_or_right():
    """500 bodies with a right checksum, changed at random: a Card that `check` takes and that is its own text, or Refused."""
    dice = random.Random(5)
    body = base64.b32decode(LINE.split(":")[1] + "=" * (-len(LINE.split(":")[1]) % 8))
    taken = 0
    for _ in range(500):
        noisy = bytearray(body)
        for _ in range(dice.randint(1, 3)):
            where = dice.randrange(len(noisy))
            kind = dice.randrange(3)
            if kind == 0:
                noisy[where] = dice.randrange(256)
            elif kind == 1:
                del noisy[where]
            else:
                noisy.insert(where, dice.randrange(256))
        try:
            found = card.decode(sealed(bytes(noisy)))
        except Refused:
            continue
        taken += 1
        card.check(found)
        assert card.decode(card.encode(found)) == found
        text = "%s %s %s" % (found.name, found.endpoint, found.lan)
        assert text.isprintable() and not set(text) & set("\"'`$;|&<>()\\#{}*?! \t\n=") - {" "}
    assert taken, "nothing was taken, so nothing was shown"


def test_what_cannot_be_in_a_card_is_not_printed():
    for changes in ({"name": "a b"}, {"key": "x"}, {"endpoint": "x"}, {"addresses": ()}, {"mtu": 1}, {"number": -1}, {"lan": "x"}):
        with pytest.raises(Refused):
            card.encode(SITE_B._replace(**changes))


def test_the_checksum_is_not_zlibs():
    assert card.checksum("123456789") != zlib.crc32(b"123456789")
