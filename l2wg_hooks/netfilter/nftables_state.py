"""The rules that nft(8) has of us, and the files that they are loaded from."""

import json
import os
import re
import sys
import zlib

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Rules
from l2wg_hooks.netfilter import nftables, rule_groups
from l2wg_hooks.system import files, json_fields, nf_tables, process
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

# What was loaded last, and how nft(8) lists that where nobody interferes: whoever takes a rule away, an event notices.
LOADED = "/run/l2wg.loaded"
# When nft(8) listed just that, or nothing where nothing is loaded: the Generation, and a number for what is in LOADED.
SEEN = "/run/l2wg.seen"
# The same as LOADED, which stays when the last tunnel goes, and `nft`: which nft(8) it was that lists these rules so.
LISTED = "/run/l2wg.listed"
TEMPLATE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "templates", "rules.j2")

# What fills it.
FILLERS = (
    nftables.__file__,
    rule_groups.__file__,
    *(sys.modules[type(encapsulation).__module__].__file__ for encapsulation in registry.ENCAPSULATIONS.values()),
)

# The order in which their listings are kept.
FAMILIES = ("inet", "bridge")
# What came from outside the underlay, was about to leave outside it, or was sent by somebody else in this router's name: by the
# first word of a counter's name.
REASONS = {"injected": "injection", "leaked": "leak", "forged": "forgery"}


class Report(NamedTuple):
    """What nft(8) says at one moment: the Rules, and what they have dropped.

    `frames` is {(reason, tunnel): frames} as `counters` has it, `packets` {(reason, local, remote): packets} of the guard, where
    a reason is one of REASONS' values. `unknown` says why nft(8) could not be asked; then nothing else is certain.
    """

    rules: Rules
    frames: Dict[Tuple[str, str], int] = {}
    packets: Dict[Tuple[str, str, str], int] = {}
    unknown: str = ""


def observe(needed):
    """The Rules that are in force; `intact` is false where nft(8) has something else than what was loaded.

    Not `needed`, by any tunnel, and never loaded: nobody asks nft(8).
    """
    text = _noted()
    if text is None and not needed:
        return Rules()
    loaded, generation = _understood(text), nf_tables.generation()
    before = loaded[2] if loaded else ""
    # Where no transaction has changed any rule since somebody has listed these, they are what they were.
    if before is not None and _is_seen(text, generation):
        return _rules(loaded, before)
    listed = "" if loaded is None and _is_bare() else listing(loaded[0] if loaded else ())
    if listed == before and loaded is not None:
        see(generation)
    return _rules(loaded, listed)


def see(generation):
    """Keep that all rules in force at this Generation, or None, are those of LOADED. No event fails for it."""
    try:
        if generation is not None and generation.namespace:
            files.keep(SEEN, f"{generation} {_checksum(_noted())}\n")
        else:
            files.remove(SEEN)
    except L2wgError:
        pass


def _is_seen(text, generation):
    return generation is not None and generation.namespace and files.kept(SEEN) == f"{generation} {_checksum(text)}\n"


def _checksum(text):
    return "none" if text is None else "{:08x}".format(zlib.crc32(text.encode("utf-8", "surrogateescape")))


def _is_bare():
    """Whether the kernel says that it has none of our tables."""
    return all(nf_tables.has_table(family, "l2wg") is False for family in FAMILIES)


def report(results):
    """The Report of how `LISTS` ended, one after the other."""
    failed = [result for result in results if isinstance(result, L2wgError)]
    if failed:
        return Report(_rules(_loaded(), None), unknown=failed[0].problems[0].message)
    texts = ["" if result.code else result.out for result in results]
    loaded, listed = _loaded(), _steady("".join(texts))
    rules = Rules() if loaded is None and not listed else _rules(loaded, listed)
    return Report(rules, _frames(texts[1]), _packets(texts[0]))


# Without -s, so with counters: for those who want to see all of it.
LISTS = tuple(("nft", "list", "table", family, "l2wg") for family in FAMILIES)


def _noted():
    """The text of LOADED; None where there is none, "" where that is not as we have left it."""
    try:
        return files.text(LOADED, None, files.OURS)
    except L2wgError:
        return ""


def _loaded():
    """What was loaded last, as (entries, values, listing); None where nothing was.

    The listing is None, which is no listing's equal, where another version's template made those rules.
    """
    return _understood(_noted())


def _understood(text):
    """The same by the text of LOADED."""
    try:
        return None if text is None else _parse(text)
    except ValueError:  # not as we have left it: loaded once more
        return [], {}, None


def keep(entries, values, listing):
    """Keep how nft(8) lists these rules where nothing has changed them. No event fails for it."""
    try:
        files.keep(LISTED, json.dumps(dict(note(entries, values, listing), nft=_nft())))
    except L2wgError:
        pass


def kept(entries, values):
    """How this nft(8) lists these rules; None where that is not known."""
    try:
        text, program = files.kept(LISTED), _nft()
        if not text or program is None or json_fields.load(text).get("nft") != program:
            return None
        known = _parse(text)
        return known[2] if known[:2] == (entries, values) else None
    except (ValueError, AttributeError):  # not as we have left it
        return None


def note(entries, values, listing):
    """What LOADED has of these rules."""
    return {"entries": entries, "values": values, "template": template(), "meant": listing}


def _nft():
    """Of the program nft(8), what is another for another one: each has its way to list."""
    try:
        info = os.stat(process.whole_path("nft"))
    except OSError:
        return None
    return [info.st_ino, info.st_size, info.st_mtime_ns]


def _rules(loaded, listing):
    entries, values, before = ([], {}, "") if loaded is None else loaded
    # Nothing is what is in force where nothing was meant to be; else what was meant is never empty.
    return Rules(entries, values, intact=listing is not None and listing == before and bool(listing) == bool(entries))


def _parse(text):
    """(entries, values, listing) of LOADED. Its entries come to a template and to nft(8) again, so they are looked at.

    Raises ValueError.
    """
    loaded = json_fields.load(text)
    if not isinstance(loaded, dict):
        raise json_fields.Unfit(f"{LOADED} has not what we keep there")
    entries, values, meant = (loaded.get(key) for key in ("entries", "values", "meant"))
    if not isinstance(entries, list) or not isinstance(values, dict) or not isinstance(meant, (str, type(None))):
        raise json_fields.Unfit(f"{LOADED} has not what we keep there")
    entries = [nftables.complete(entry) if isinstance(entry, dict) else entry for entry in entries]
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(name, str) and nftables.fits(entry, values.get(name)) for name, entry in zip(names, entries)):
        raise json_fields.Unfit(f"{LOADED} has not what we keep there")
    return entries, values, meant if loaded.get("template") == template() else None


def listing(entries=()):
    """How nft(8) lists our tables, without counters; "" where there are none, None where nobody can be asked.

    Two calls: nft 1.1 refuses a second `list` in one. Where all of the `entries` are in walls, there is no guard to be listed.
    """
    found = ""
    for family in _families(entries):
        try:
            result = process.run(("nft", "-s", "list", "table", family, "l2wg"))
        except L2wgError:  # told of by whoever wants to load
            return None
        found += result.out if result.code == 0 else ""
    return _steady(found)


def _families(entries):
    return FAMILIES if not entries or nftables.guarded(entries) else FAMILIES[1:]


def is_whole(text, entries):
    """Whether what `listing` gave has all tables of these entries: nft(8) may fail for one of them."""
    return text is not None and all(f"table {family} l2wg {{" in text for family in _families(entries))


def _steady(text):
    """Without what changes by itself: counts, which nft 0.9 lists in spite of -s, and the stations in sets that rules fill."""
    text = re.sub(r"(\tcounter \S+ \{)[^}]*\}", r"\1 }", text)
    text = re.sub(r"counter packets \d+ bytes \d+", "counter", text)
    text = re.sub(r"\s*# count \d+", "", text)
    return re.sub(r"(\tset (?:%s)_\d+ \{[^}]*?)\s*elements = \{[^}]*\}" % "|".join(nftables.FILLED), r"\1", text)


def stamp(entries):
    """A comment that is another one for other entries, and for another template.

    Not the entries themselves: to read those of a thousand tunnels took nft(8) a quarter of its time.
    """
    text = f"{json.dumps(entries, sort_keys=True)} {template():08x}"
    return f"# {_digest(text.encode('utf-8', 'surrogateescape'))}\n"


def _digest(data):
    try:
        # A built-in of Debian's Python; hashlib(3py) loads OpenSSL.
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    return blake2b(data, digest_size=32).hexdigest()


def template():
    """A number that is another for another template, or other code that fills it, as another version of l2wg may have."""
    number = 0
    for path in (TEMPLATE,) + FILLERS:
        number = zlib.crc32(files.read(path).encode(), number)
    return number


def counters():
    """{(reason, tunnel): frames} that the rules of table bridge have dropped, reason being "loop", "storm", "dhcp" or "vlans"."""
    return _frames(process.run(("nft", "list", "table", "bridge", "l2wg")).out)


def _frames(text):
    counters = re.findall(r"\tcounter (\w+)-(\S+) \{\s*packets (\d+)", text)
    found = {(reason, name): int(number) for reason, name, number in counters}
    for number, reason, name in re.findall(r'counter packets (\d+) .*comment "(\w+) (\S+)"', text):
        found[reason, name] = found.get((reason, name), 0) + int(number)
    return found


def _packets(text):
    """What the guard has dropped, by the tunnel's ends; both "" for a rule that is about any ends (a VNI, a fragment)."""
    # A map says whose a counter is: of GRE and of UDP between two ends it is one.
    elements = re.findall(r'([0-9a-f.:]+) \. ([0-9a-f.:]+)(?: \. \S+)? : "(\w+)"', text)
    # Where one end is a prefix, the rule itself says whose.
    forged = re.findall(r'ip6? saddr ([0-9a-f.:]+) ip6? daddr ([0-9a-f.:]+/[0-9]+) .*counter name "forged_(\w+)"', text)
    elements += [(local, remote, f"{word}_{number}") for local, remote, number in forged for word in REASONS]
    ends = {name: (local, remote) for local, remote, name in elements}
    found = {}
    for word, number, count in re.findall(r"\tcounter ([a-z]+)_(\d+) \{\s*packets (\d+)", text):
        if word in REASONS:
            found[(REASONS[word],) + ends.get(f"{word}_{number}", ("", ""))] = int(count)
    _, _, outside = text.partition("\tchain from_outside {")
    for count in re.findall(r" counter packets (\d+) ", outside.partition("\n\t}\n")[0]):
        found["injection", "", ""] = found.get(("injection", "", ""), 0) + int(count)
    return found
