"""The text of a file of sites, as l2wg-sites(5) has it, with the lines of some of its sites as they are to be. Pure.

The control node need not have l2wg: all that is known of a card here is where it has the site's name and its public key. What a
line means, and what of it contradicts what, each router says before it changes anything (`l2wg plan`).
"""

import base64
import binascii
import re

CARD = re.compile(r"L2WG1:([A-Z2-7]+):[0-9A-F]{8}\Z")
# The fields of a card's body: each has a byte that says which it is, one with its length, and its value.
NAME, KEY = 1, 2
KEY_BYTES = 32
WORD = re.compile(r"[a-z][a-z-]*\Z")
NET, GONE, WAS = "net", "gone", "was"


class Refused(Exception):
    """What cannot be done to the file, and what helps."""

    def __init__(self, message, hint):
        super().__init__("%s\n  hint: %s" % (message, hint))


def identity(card):
    """(name, public key in hexadecimal digits) of a card. Raises Refused."""
    found = CARD.match(card)
    if not found:
        if re.match(r"L2WG[0-9]+:", card):
            raise Refused("%.20r... is cut, or of another version" % card, "print it again: l2wg card")
        raise Refused("expected a card, not %.80r" % card, "a card begins with L2WG1: and is printed by `l2wg card`")
    fields = dict(_fields(found.group(1)))
    name, key = fields.get(NAME, b""), fields.get(KEY, b"")
    if not re.match(rb"[!-~]+\Z", name) or len(key) != KEY_BYTES:
        raise Refused("a card without a name and a key: %.20r..." % card, "print it again: l2wg card")
    return name.decode("ascii"), binascii.hexlify(key).decode("ascii")


def _hexadecimal(key):
    """A public key, as wg(8) writes it, in hexadecimal digits; "" for what is none."""
    try:
        return binascii.hexlify(base64.b64decode(key)).decode("ascii")
    except (binascii.Error, TypeError, ValueError):
        return ""


def _fields(body):
    try:
        packed = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        packed = b""
    while len(packed) > 1:
        size = 2 + ord(packed[1:2])
        yield ord(packed[:1]), packed[2:size]
        packed = packed[size:]


def spelled(value):
    """A value of YAML as one word of a file of sites. Raises Refused where it is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(spelled(part) for part in value)
    text = str(value)
    if re.search(r"[\s#]", text) or not text.isprintable():
        raise Refused("%r cannot be a value" % text, "one word, without blanks and #")
    return text


def updated(text, path, net=None, sites=()):
    """(the text as it is to be, the names of the sites whose lines are new or others, the names of those that are out).

    `net` are the words of the line of the net, {key: value}, or None; `sites` are dicts with `host`, `name`, `card` and `words`,
    which are like `net`. A word that is not given stays, one that is given as "" goes. A line stays where it is; those of other
    sites stay as they are, and so does that of one that is out. `path` is for messages. Raises Refused.

    A line that says `was=KEY` has the next card of its site, whose router still prints the one with that key: the card stays.
    """
    rows = text.split("\n")
    if rows.pop():
        message = "%s:%d: the last line has no end: is this all of the file?" % (path, len(rows) + 1)
        raise Refused(message, "if so: echo >>%s" % path)
    known, formers = {}, {}
    for number, row in enumerate(rows):
        words = _words(row)
        if words and words[0] != NET:
            try:
                name, key = identity(words[0].upper())
            except Refused:  # whose it is nobody can tell; each router names this line, and what is wrong with it
                continue
            known[key] = (number, name, any(word.startswith(GONE + "=") for word in words[1:]))
            formers.update((_hexadecimal(word[len(WAS) + 1 :]), key) for word in words[1:] if word.startswith(WAS + "="))
    changed, out = [], []
    added = []
    seen = {}
    for site in sites:
        name, key = identity(site["card"])
        # It is about to change its key, and its card is that of the one until now: the line has the next one.
        changes = key not in known and key in formers
        key = formers[key] if changes else key
        _is_whose(site, name, key, seen, known, path)
        number, _, gone = known.get(key, (None, name, False))
        if gone:
            out.append(name)
            continue
        if number is None:
            added.append("%s  # %s" % (" ".join(_changed([site["card"]], site["words"])), name))
            changed.append(name)
            continue
        words = _words(rows[number])
        row = _row(rows[number], words if changes else [site["card"]] + words[1:], site["words"])
        if row != rows[number]:
            rows[number] = row
            changed.append(name)
    _set_net(rows, net, path)
    return "".join(row + "\n" for row in rows + added), changed, out


def _is_whose(site, name, key, seen, known, path):
    """Raise Refused where a card is not one that this host may have: it would take another site's place."""
    host, wanted = site["host"], site["name"]
    if name != wanted:
        raise Refused(
            "the card of %s says that it is %s, not %s" % (host, name, wanted),
            "if so, a variable of %s: l2wg_name: %s" % (host, name),
        )
    for kind, value in (("key", key), ("name", name)):
        if value in seen:
            message = "%s and %s have one %s" % (seen[value], host, kind)
            raise Refused(message, "each router has its own: l2wg init makes a key, and takes --name")
        seen[value] = host
    for other, (number, called, gone) in known.items():
        where = "%s:%d" % (path, number + 1)
        if other == key and called != name:
            raise Refused("%s: %s has the key of %s" % (where, host, called), "if it was renamed, delete that line")
        if other != key and called == name and not gone:
            raise Refused("%s: %s has another key now" % (where, host), "if that was made anew, delete that line")


def _words(row):
    return row.partition("#")[0].split()


def _changed(words, given):
    """Words of a line, with those that are given in their places, and new ones at the end. Raises Refused."""
    words = list(words)
    places = {word.partition("=")[0]: place for place, word in enumerate(words) if place}
    gone = set()
    for key, value in given.items():
        if not WORD.match(key):
            raise Refused("%r is no word of a file of sites" % key, "l2wg-sites(5) has them all")
        value = spelled(value)
        if not value:
            gone.add(places.get(key))
        elif key in places:
            words[places[key]] = "%s=%s" % (key, value)
        else:
            words.append("%s=%s" % (key, value))
    return [word for place, word in enumerate(words) if place not in gone]


def _row(row, words, given):
    """A line with such words, or as it is where it has these already. A comment stays, in its column if there is room."""
    wanted = _changed(words, given)
    if wanted == _words(row):
        return row
    said, sign, comment = row.partition("#")
    text = " ".join(wanted)
    if not sign:
        return text + ("\r" if row.endswith("\r") else "")
    return text + " " * max(len(said) - len(text), 2) + sign + comment


def _set_net(rows, net, path):
    """Give the rows the line of the net. Raises Refused where there is none, and none is given."""
    for number, row in enumerate(rows):
        if _words(row)[:1] == [NET]:
            rows[number] = _row(row, _words(row), net or {})
            return
    if not net:
        hint = "l2wg_net: {shape: star, hub: NAME}, with the name of the site that all others call"
        raise Refused("%s has no line of the net" % path, hint)
    # Before the first site, and behind what is said of the file at its top.
    first = next((number for number, row in enumerate(rows) if _words(row)), len(rows))
    rows.insert(first, " ".join(_changed([NET], net)))
