"""What nobody should write, and somebody will: strategies that know the formats, so that they get past the first check."""

import json
import pathlib
import re

from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from l2wg_hooks.config import schema

TESTS = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden"
HOSTILE = GOLDEN / "hostile"
LARGE = 65536
# For properties that write files, and wait for the disk.
few = hypothesis(max_examples=max(10, hypothesis.default.max_examples // 4))

# For sh, ip -batch, nft(8), jinja2, printf, ifupdown, wg-quick, regular expressions, paths, terminals, and lines that are none.
TOKENS = [
    ";",
    "; touch /tmp/owned",
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    "&& reboot",
    "|",
    ">",
    "<",
    "${IFS}",
    "$IFACE",
    "!",
    "~",
    "*",
    "?",
    "[a]",
    "(",
    ")",
    "{",
    "}",
    "'",
    '"',
    "\\",
    "\\\n",
    "#",
    "=",
    "==",
    ",",
    "/",
    ":",
    "@",
    "+",
    "-",
    "--",
    "%",
    "%i",
    "%s",
    "%n",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "{#",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\v",
    "\f",
    "\0",
    "\x01",
    "\x1b[2J",
    "\x1c",
    "\x7f",
    "\x85",
    "\u00a0",
    "\u2028",
    "\u2029",
    "\u202e",
    "\ufeff",
    "\udcff",
    "\udc80",
    "\u0663",
    "\uff11",
    "\u00e4",
    "\u0131",
    "\U0001f480",
    "../../tmp/owned",
    "/etc/shadow",
    "-rf",
    "accept",
    "\niface owned inet manual\n    up touch /tmp/owned\n",
    "\nremote = 192.0.2.66\n",
    "\n[Interface]\n",
    "[Peer]",
    "link delete dev lo",
    '" } ; accept',
    "0",
    "-1",
    "00",
    "08",
    "0x10",
    "1e9",
    "1e999",
    "NaN",
    "None",
    "null",
    "4294967296",
    "9" * 5000,
    "a" * 16,
    "A" * LARGE,
    "\u00e4" * (LARGE // 2),
    "a," * (LARGE // 2),
    " " * LARGE,
    "10," * (LARGE // 3),
    "=" * LARGE,
    "[" * LARGE,
    "\n" * LARGE,
    "\\\n" * 3000,
]
token = st.sampled_from(TOKENS)
# Anything: what Python can have in a str of a file that is read with surrogateescape.
anything = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
junk = st.one_of(token, anything, st.text(max_size=20).filter(lambda text: not re.search("[\ud800-\udfff]", text)))
lines_ends = st.sampled_from(["\n", "\r\n", "", "\r", "\n\n"])


def texts(*patterns):
    """The texts of the files that match: recorded ones, and those of the corpus, whatever they were written for."""
    paths = [path for pattern in patterns for path in sorted(TESTS.glob(pattern))]
    assert len(paths) >= len(patterns), patterns
    return [path.read_bytes().decode("utf-8", "surrogateescape") for path in paths]


def corpus():
    """{name: text} of all hostile files."""
    return {path.name: path.read_bytes().decode("utf-8", "surrogateescape") for path in sorted(HOSTILE.iterdir())}


def _at(draw, text):
    return draw(st.integers(0, len(text))) if text else 0


def _insert(draw, text):
    at = _at(draw, text)
    return text[:at] + draw(junk) + text[at:]


def _flip(draw, text):
    raw = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(draw(st.integers(1, 3))):
        if raw:
            raw[draw(st.integers(0, len(raw) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(raw).decode("utf-8", "surrogateescape")


def _cut(draw, text):
    first, last = sorted((_at(draw, text), _at(draw, text)))
    return text[:first] + text[last:]


def _truncate(draw, text):
    return text[: _at(draw, text)]


def _line(draw, text):
    rows = text.split("\n")
    index, other = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, len(rows) - 1))
    what = draw(st.sampled_from(["twice", "moved", "swapped", "gone", "often"]))
    if what == "swapped":
        rows[index], rows[other] = rows[other], rows[index]
    elif what == "gone":
        del rows[index]
    elif what == "moved":
        rows.insert(other, rows.pop(index))
    else:
        rows[other:other] = [rows[index]] * (1 if what == "twice" else 3000)
    return "\n".join(rows)


def _value(draw, text):
    """Another value behind a `=`, a blank or a quotation mark."""
    places = [match.end() for match in re.finditer(r'=[ \t]*|[ \t"]', text)]
    if not places:
        return text + draw(junk)
    start = places[draw(st.integers(0, len(places) - 1))]
    end = re.compile(r"[\n\r\" \t#]|\Z").search(text, start).start()
    return text[:start] + draw(junk) + text[end:]


def _ends(draw, text):
    what = draw(st.sampled_from(["crlf", "cr", "bom", "none", "backslash"]))
    if what == "bom":
        return "\ufeff" + text
    if what == "none":
        return text.rstrip("\n")
    return text.replace("\n", {"crlf": "\r\n", "cr": "\r", "backslash": "\\\n"}[what])


@st.composite
def mutated(draw, seeds):
    """A recorded text with one to four things wrong with it."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from([_insert, _insert, _value, _value, _flip, _cut, _truncate, _line, _ends]))(draw, text)
        text = text[: 8 * LARGE]
    return text


# JSON


def nested(depth):
    """So deep that no parser that calls itself gets to the ground."""
    return "[" * depth + "]" * depth


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    junk,
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just([None]),
    st.just({"": None}),
    st.lists(junk, max_size=2),
    st.dictionaries(st.sampled_from(["set", "range", "prefix", "key", "target", "name"]), junk, max_size=2),
)


def _paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, path + (key,))


def _replaced(value, path, change):
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], change)
    return copy


@st.composite
def mutated_json(draw, seeds):
    """A recorded JSON text with a value of a wrong type, a key less or another one; now and then no JSON at all."""
    text = draw(st.sampled_from(seeds))
    if draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(mutated([text]), st.sampled_from([nested(100000), '{"a":' * 100000, "[1e999]", "[NaN]", "[" + "9" * 5000 + "]", "\ufeff" + text])))
    value = json.loads(text, strict=False)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(_paths(value))
        path = paths[draw(st.integers(0, len(paths) - 1))]
        what = draw(st.sampled_from(["value", "value", "value", "gone", "renamed", "wrapped"]))
        if what == "value":
            new = draw(values)
            value = _replaced(value, path, lambda old: new)
        elif what == "wrapped":
            value = _replaced(value, path, lambda old: [old])
        elif path:
            key = draw(st.sampled_from(["x", "", "name", "dev", "\n"]))

            def change(old, last=path[-1], key=key, what=what):
                if isinstance(old, list):
                    return old[:last] + old[last + 1 :]
                copy = dict(old)
                moved = copy.pop(last)
                if what == "renamed":
                    copy[key] = moved
                return copy

            value = _replaced(value, path[:-1], change)
    return json.dumps(value)


# l2wg.conf

names = st.from_regex(r"[A-Za-z0-9_.-]{1,15}", fullmatch=True)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
vlans = st.lists(
    st.one_of(st.just("untagged"), st.integers(1, 4094).map(str), st.tuples(st.integers(1, 2000), st.integers(2000, 4094)).map("%d-%d".__mod__)), min_size=1, max_size=5
).map(",".join)
RIGHT = {
    "underlay": st.one_of(st.just("wg0"), names),
    "local": st.one_of(st.sampled_from(["192.168.178.1", "fd00:1::1"]), addresses),
    "remote": st.one_of(st.sampled_from(["192.168.92.1", "fd00:2::1"]), addresses),
    "bridge": st.one_of(st.just("br0"), names),
    "bridge-ports": st.lists(names, max_size=4).map(" ".join),
    "bridge-address": st.one_of(
        st.just(""), st.tuples(st.ip_addresses(v=4), st.integers(1, 32)).map("%s/%d".__mod__), st.tuples(st.ip_addresses(v=6), st.integers(1, 128)).map("%s/%d".__mod__)
    ),
    "wire": st.sampled_from(["shared", "own"]),
    "encapsulation": st.sampled_from(["gretap", "vxlan"]),
    "control": st.just("learning"),  # `evpn` needs a prefix
    "key": st.one_of(st.just(""), st.integers(0, 2**32 - 1).map(str)),
    "port": st.just("4789"),  # another one is a vxlan's only
    "mtu": st.integers(576, 9216).map(str),
    "mss-clamp": st.sampled_from(["nftables", "iptables", "off"]),
    "forward": st.sampled_from(["as-is", "accept"]),
    "stp": st.sampled_from(["yes", "no"]),
    "dhcp": st.sampled_from(["pass", "block"]),
    "vlans": st.one_of(st.just("all"), vlans),
    "isolated": st.sampled_from(["yes", "no"]),
    "storm-limit": st.one_of(st.just("off"), st.integers(1, 10**9).map(str)),
    "link-local": st.sampled_from(["yes", "no"]),
    "peer-down": st.just("nothing"),  # `port` needs bridge-ports
    "site": st.sampled_from(["", "site-b", "a" * 32, "7"]),
}
assert set(RIGHT) == set(schema.KEYS), "a key without a strategy"
FIRM = {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0"}
space = st.sampled_from(["", " ", "\t", "   ", "\u00a0", "\u2028", "\v"])


@st.composite
def almost(draw, value):
    """A value that is right but for one thing in it."""
    text = draw(value)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(junk) + text[at:]


@st.composite
def wish(draw, wrong=True):
    """The text of an l2wg.conf by its grammar; with `wrong`, some of its values, keys and line ends are not right."""
    rows = []
    keys = list(FIRM) + draw(st.lists(st.sampled_from(sorted(set(schema.KEYS) - set(FIRM))), unique=True, max_size=8))
    for key in draw(st.permutations(keys)):
        kind = draw(st.integers(0, 9)) if wrong else 9
        value = draw(junk) if kind == 0 else draw(almost(RIGHT[key])) if kind == 1 else draw(RIGHT[key]) if kind < 8 or key not in FIRM else FIRM[key]
        key = draw(almost(st.just(key))) if kind == 2 else key
        blank = space if wrong else st.sampled_from(["", " ", "\t"])
        comment = draw(st.sampled_from(["", "", " # why", "#"] + ["# " + "x" * LARGE] * wrong))
        rows.append(draw(blank) + key + draw(blank) + "=" + draw(blank) + value + draw(blank) + comment + draw(lines_ends if wrong and kind < 5 else st.just("\n")))
    return "".join(rows)
