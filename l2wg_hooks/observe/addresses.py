"""What an interface has at layer 3: addresses and routes, as the words with which ip(8) gives them to another one. Pure."""

import re

from l2wg_hooks.model import Addresses
from l2wg_hooks.observe import link_table
from l2wg_hooks.system import json_fields

# What `ip route` prints and does not take: the state of the moment. `expires` has a value behind it.
_FLAGS = ("linkdown", "dead", "pervasive", "offload", "offload_failed", "trap", "rt_offload", "rt_trap", "notify")
# The kernel makes and removes these by itself: with the address, or by router advertisements.
_KINDS = ("local", "broadcast", "multicast", "anycast")
_OWNERS = ("kernel", "ra", "redirect")
_FOREVER = 4294967295
# Addresses, scopes. Labels are names.
_WORD = re.compile(r"[A-Za-z0-9_.:-]+\Z")


def parse(text, routes):
    """{name: Layer3} of what `ip -json -details address show` printed; `routes` is {name: what `ip route` printed of it}.

    IPv6 link-local addresses, which every interface makes by itself, are left out. Raises L2wgError.
    """
    found = {}
    try:
        for entry in json_fields.table(text):
            name = json_fields.name(entry, "ifname")
            if not name:
                raise json_fields.Unfit("an interface without a name")
            addresses = (_address(name, record) for record in json_fields.rows(entry, "addr_info") if "local" in record)
            found[name] = Addresses(tuple(address for address in addresses if address), _routes(routes.get(name, "")))
    except json_fields.Unfit as error:
        link_table.refuse(error)
    return found


def _word(record, key, default=None):
    text = json_fields.word(record, key, default)
    if text is None or not _WORD.match(text):
        raise json_fields.Unfit(f"{key} is {ascii(text)[:60]}")
    return text


def _address(name, record):
    family, local, size = _word(record, "family"), _word(record, "local"), json_fields.number(record, "prefixlen", None, 128)
    if size is None:
        raise json_fields.Unfit(f"{local} has no prefix length")
    if record.get("scope") == "link" and family == "inet6":
        return None
    words = ["%s/%d" % (local, size)]
    if "address" in record:  # point to point
        words = [local, "peer", "%s/%d" % (_word(record, "address"), size)]
    if "broadcast" in record:
        words += ["broadcast", _word(record, "broadcast")]
    if family == "inet" and _word(record, "scope", "global") != "global":
        words += ["scope", record["scope"]]
    if json_fields.word(record, "label", name) != name:
        words += ["label", record["label"]]
    for key, word in (("valid_life_time", "valid_lft"), ("preferred_life_time", "preferred_lft")):
        if json_fields.number(record, key, _FOREVER) != _FOREVER:
            words += [word, str(record[key])]
    if record.get("noprefixroute"):
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
