"""What an interface has at layer 3: addresses and routes, as the words with which ip(8) gives them to another one. Pure."""

import re
from typing import NamedTuple, Tuple

from l2wg_hooks import links, record

# What `ip route` prints and does not take: the state of the moment. `expires` has a value behind it.
_FLAGS = ("linkdown", "dead", "pervasive", "offload", "offload_failed", "trap", "rt_offload", "rt_trap", "notify")
# The kernel makes and removes these by itself: with the address, or by router advertisements.
_KINDS = ("local", "broadcast", "multicast", "anycast")
_OWNERS = ("kernel", "ra", "redirect")
_FOREVER = 4294967295
# Addresses, scopes. Labels are names.
_WORD = re.compile(r"[A-Za-z0-9_.:-]+\Z")


class Layer3(NamedTuple):
    """Words behind `ip address add` and `ip route replace`, without `dev`, in the order in which they have to be given."""

    addresses: Tuple[Tuple[str, ...], ...] = ()
    routes: Tuple[Tuple[str, ...], ...] = ()


def parse(text, routes):
    """{name: Layer3} of what `ip -json -details address show` printed; `routes` is {name: what `ip route` printed of it}.

    IPv6 link-local addresses, which every interface makes by itself, are left out. Raises L2wgError.
    """
    found = {}
    try:
        for entry in record.table(text):
            name = record.name(entry, "ifname")
            if not name:
                raise record.Unfit("an interface without a name")
            addresses = (_address(name, one) for one in record.rows(entry, "addr_info") if "local" in one)
            found[name] = Layer3(tuple(one for one in addresses if one), _routes(routes.get(name, "")))
    except record.Unfit as error:
        links.refuse(error)
    return found


def _word(one, key, default=None):
    text = record.word(one, key, default)
    if text is None or not _WORD.match(text):
        raise record.Unfit("%s is %s" % (key, ascii(text)[:60]))
    return text


def _address(name, one):
    family, local, size = _word(one, "family"), _word(one, "local"), record.number(one, "prefixlen", None, 128)
    if size is None:
        raise record.Unfit("%s has no prefix length" % local)
    if one.get("scope") == "link" and family == "inet6":
        return None
    words = ["%s/%d" % (local, size)]
    if "address" in one:  # point to point
        words = [local, "peer", "%s/%d" % (_word(one, "address"), size)]
    if "broadcast" in one:
        words += ["broadcast", _word(one, "broadcast")]
    if family == "inet" and _word(one, "scope", "global") != "global":
        words += ["scope", one["scope"]]
    if record.word(one, "label", name) != name:
        words += ["label", one["label"]]
    for key, word in (("valid_life_time", "valid_lft"), ("preferred_life_time", "preferred_lft")):
        if record.number(one, key, _FOREVER) != _FOREVER:
            words += [word, str(one[key])]
    if one.get("noprefixroute"):
        words.append("noprefixroute")
    # It is moved, not new: nobody else has it, and it must work at once.
    return tuple(words + ["nodad"]) if family == "inet6" else tuple(words)


def _routes(text):
    found = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in _KINDS or line[0].isspace():
            continue
        if any(pair[0] == "proto" and pair[1] in _OWNERS for pair in zip(words, words[1:])):
            continue
        if "expires" in words:
            at = words.index("expires")
            del words[at : at + 2]
        if words[0] == "default" and any(":" in word for word in words):
            words[0] = "::/0"
        found.append(tuple(word for word in words if word not in _FLAGS))
    return tuple(found)


def give(layer3, name, label=None):
    """ip(8) commands that give the addresses to interface `name`; `label` is the name in labels such as enp2s0:1."""
    for words in layer3.addresses:
        yield ("ip", "address", "add") + _labelled(words, label, name) + ("dev", name)


def lead(layer3, name):
    """ip(8) commands that lead the routes to interface `name`."""
    for words in layer3.routes:
        yield ("ip", "route", "replace") + words + ("dev", name)


def take(layer3, name):
    """ip(8) commands that take the addresses from interface `name`: the last first, since a primary one takes others along."""
    for words in reversed(layer3.addresses):
        yield ("ip", "address", "delete") + _bare(words) + ("dev", name)


def _bare(words):
    return words[:3] if words[1:2] == ("peer",) else words[:1]


def _labelled(words, old, new):
    if old is None or "label" not in words:
        return words
    at = words.index("label") + 1
    return words[:at] + (words[at].replace(old, new, 1)[:15],) + words[at + 1 :]


def missing(wanted, there):
    """The part of Layer3 `wanted` that `there` has not."""
    known = [_bare(words) for words in there.addresses]
    return Layer3(
        tuple(words for words in wanted.addresses if _bare(words) not in known),
        tuple(words for words in wanted.routes if words not in there.routes),
    )
