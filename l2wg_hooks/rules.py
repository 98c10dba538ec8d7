"""The rules that nft(8) has of us, and the files that they are loaded from."""

import json
import os
import re
import zlib

from l2wg_hooks import files, guard, record, run
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.plan import Rules

# What was loaded last, and how nft(8) lists that: whoever takes a rule away, an event notices.
LOADED = "/run/l2wg.loaded"
TEMPLATE = os.path.join(os.path.dirname(__file__), "templates", "rules.j2")


def observe(needed):
    """The Rules that are in force; `intact` is false where nft(8) has something else than what was loaded.

    Not `needed`, by any tunnel, and never loaded: nobody asks nft(8).
    """
    try:
        with open(LOADED) as file:
            entries, values, listing = _parse(file.read())
    except FileNotFoundError:
        if not needed:
            return Rules()
        entries, values, listing = [], {}, ""
    except (OSError, ValueError):  # not as we have left it: loaded once more
        return Rules(intact=False)
    return Rules(entries, values, intact=_listing() == listing)


def _parse(text):
    """(entries, values, listing) of LOADED. Its entries come to a template and to nft(8) again, so they are looked at.

    Raises ValueError.
    """
    loaded = record.load(text)
    if not isinstance(loaded, dict):
        raise record.Unfit("%s has not what we keep there" % LOADED)
    entries, values, listing = (loaded.get(key) for key in ("entries", "values", "listing"))
    if not isinstance(entries, list) or not isinstance(values, dict) or not isinstance(listing, (str, type(None))):
        raise record.Unfit("%s has not what we keep there" % LOADED)
    names = [one.get("name") if isinstance(one, dict) else None for one in entries]
    if not all(isinstance(name, str) and guard.fits(one, values.get(name)) for name, one in zip(names, entries)):
        raise record.Unfit("%s has not what we keep there" % LOADED)
    return entries, values, listing


def _listing():
    """How nft(8) lists our two tables, without counters; "" where there are none.

    Two calls: nft 1.1 refuses a second `list` in one. A set's elements, and their count, are stations that come and go.
    """
    found = ""
    for family in ("inet", "bridge"):
        try:
            result = run.run(("nft", "-s", "list", "table", family, "l2wg"))
        except L2wgError:  # told of by whoever wants to load
            return None
        found += result.out if result.code == 0 else ""
    return re.sub(r"\s*(elements = \{[^}]*\}|# count \d+)", "", found)


def store(entries):
    """Write the rules of `entries` where events find them, unless they are there. Raises L2wgError."""
    stamp = _stamp(entries)
    if os.path.exists(guard.STATIC):
        head, _, body = files.read(guard.STATIC).partition("\n")
        if head == "%s %08x" % (stamp, zlib.crc32(body.encode("utf-8", "surrogateescape"))):
            return
    body = guard.render(entries)
    os.makedirs(os.path.dirname(guard.STATIC), mode=0o755, exist_ok=True)
    files.write(guard.STATIC, "%s %08x\n%s" % (stamp, zlib.crc32(body.encode()), body))


def _stamp(entries):
    """One line that is another for other entries, and for another template."""
    return "# %s %08x" % (json.dumps(entries, sort_keys=True), zlib.crc32(files.read(TEMPLATE).encode()))


def load(wanted, step):
    """Bring the Rules `wanted` into force by `step`, all at once or not at all; the Problems of that."""
    try:
        if wanted.entries:
            store(wanted.entries)
        files.write(guard.FILE, guard.load(wanted.entries, wanted.values) if wanted.entries else guard.EMPTY)
        failed = run.apply((step,))
        if not failed:
            _remember(wanted)
    except L2wgError as error:
        return error.problems
    return failed


def _remember(wanted):
    """Keep how nft(8) lists what was loaded just now; of nothing, nothing is kept."""
    if wanted.entries:
        files.write(LOADED, json.dumps({"entries": wanted.entries, "values": wanted.values, "listing": _listing()}))
    else:
        files.remove(LOADED)
        files.remove(guard.FILE)


def counters():
    """{(what, tunnel): frames} that the rules of table bridge have dropped, what being "loop", "storm", "dhcp" or "vlans"."""
    found = {}
    for number, what, name in re.findall(
        r'counter packets (\d+) .*comment "(\w+) (\S+)"', run.run(("nft", "list", "table", "bridge", "l2wg")).out
    ):
        found[what, name] = found.get((what, name), 0) + int(number)
    return found
