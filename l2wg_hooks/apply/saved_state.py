"""What a change is undone from, as it is on disk: read without trust, written for root alone."""

import json
import os
import re
from typing import NamedTuple

from l2wg_hooks.config import bridge_switches, last_applied, wg_quick, wg_quick_peers
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.observe import addresses, link_table, wg_interfaces
from l2wg_hooks.plan import restore
from l2wg_hooks.system import files, ip_routes, json_fields, process

DIRECTORY = last_applied.DIRECTORY
OPEN = last_applied.TRANSACTION
# The last one that was committed, for `l2wg rollback`.
LAST = os.path.join(DIRECTORY, "last")
# Another one after each boot of the kernel.
BOOT = "/proc/sys/kernel/random/boot_id"


class Saved(NamedTuple):
    """A transaction as it is on disk.

    `old` and `new` are {path: text or None} before and after; `wished` is the wish that it applies, `applied` the one
    before it, both {tunnel: text}; `names` are the interfaces that it is about, `others` those that nobody may lose an
    address or a route of by it; `shown` and `routes` are what ip(8) said of all; `peers` are rows of a WireGuard interface
    and a wg_interfaces.Peer that is changed, as it was; `ways` are the words of routes that are added. `brought`
    says that the wish came with the change (`l2wg pair`), and was not somebody's edit before. `lost` are the words of
    routes that are taken away. `switches` is {bridge: what sysctls.of_bridge told of it};
    `sysctls` are rows of a bridge, a folder, a name and a value, as they were before it got a port's.
    """

    boot: str
    pid: int
    waiting: bool
    names: list
    others: list
    old: dict
    modes: dict
    new: dict
    wished: dict
    applied: dict
    shown: str
    routes: dict
    peers: tuple = ()
    ways: tuple = ()
    brought: bool = False
    switches: dict = {}
    sysctls: tuple = ()
    lost: tuple = ()


def boot():
    """What tells one boot from another; nothing where there is no /proc, as in a chroot that never boots."""
    return files.glance(BOOT).strip()


def load(path):
    """The Saved in a file; None where there is none."""
    text = files.text(path, None, files.OURS)
    if text is None:
        return None
    try:
        return _saved(text)
    except (ValueError, L2wgError) as error:
        why = error.problems[0].message if isinstance(error, L2wgError) else error
        at = re.search(r"line ([0-9]+) column", str(error))
        hint = f"look at it; delete it to forget that change: rm {path}"
        return fail(f"cannot be understood: {why}", hint, path=path, line=int(at.group(1)) if at else 1)


def _saved(text):
    """The Saved of a file's text. Raises Unfit, or L2wgError where ip(8) has not said what is in it."""
    found = json_fields.load(text)
    # One of an older version has not the fields that came later, which have defaults.
    needed = set(Saved._fields) - set(Saved._field_defaults)
    if not isinstance(found, dict) or not needed <= set(found) <= set(Saved._fields):
        raise json_fields.Unfit("it has not {}".format(", ".join(Saved._fields)))
    saved = Saved(**found)
    kinds = {str: (saved.boot, saved.shown), int: (saved.pid,), bool: (saved.waiting,), list: (saved.names, saved.others)}
    kinds[dict] = (saved.old, saved.modes, saved.new, saved.wished, saved.applied, saved.routes)
    if any(type(value) is not kind for kind, values in kinds.items() for value in values):
        raise json_fields.Unfit("a value in it is of another kind than ours")
    for key in ("names", "others"):
        for name in getattr(saved, key):
            json_fields.name({key: name}, key)
    for path, text in list(saved.old.items()) + list(saved.new.items()):
        if not path.startswith("/") or "\0" in path or (text is not None and not last_applied.is_text(text)):
            raise json_fields.Unfit(f"{path[:60]!a} in it is not a file")
    for path, text in saved.old.items():
        if text is not None and json_fields.number(saved.modes, path, None, 0o7777) is None:
            raise json_fields.Unfit(f"{path[:60]!a} has no mode")
    if not all(last_applied.is_config(config) for config in (saved.wished, saved.applied)) or not all(
        last_applied.is_text(listing) for listing in saved.routes.values()
    ):
        raise json_fields.Unfit("a text in it is none")
    ways = (saved.ways, saved.lost)
    if not isinstance(saved.brought, bool) or not all(_is_list(words) and all(map(_are_words, words)) for words in ways):
        raise json_fields.Unfit("a value in it is of another kind than ours")
    if not _are_switches(saved.switches):
        raise json_fields.Unfit("a switch in it is none")
    if not _is_list(saved.sysctls) or not all(_are_words(row) and len(row) == 4 for row in saved.sysctls):
        raise json_fields.Unfit("a value in it is of another kind than ours")
    if not _is_list(saved.peers) or not all(_is_list(row) and _is_peer(*row) for row in saved.peers):
        raise json_fields.Unfit("a peer in it is none")
    link_table.parse(saved.shown)
    addresses.parse(saved.shown, saved.routes)
    return saved


def _is_list(value):
    return isinstance(value, (list, tuple))


def _are_words(value):
    return _is_list(value) and all(last_applied.is_text(word) and "\0" not in word for word in value)


def _is_peer(*row):
    """Whether a row is an interface's name and what wg_interfaces.Peer has."""
    if len(row) != 1 + len(wg_interfaces.Peer._fields):
        return False
    peer = wg_interfaces.Peer(*row[1:])
    numbers = (peer.handshake, peer.received, peer.sent, peer.keepalive or 0)
    return (
        _are_words((row[0], peer.key, peer.endpoint))
        and _are_words(peer.allowed)
        and all(type(number) is int for number in numbers)
    )


def _are_switches(value):
    """Whether a value is {bridge: {switch: number}}, with the switches of config/bridge_switches.py."""
    known = set(bridge_switches.SILENT) | set(bridge_switches.OWN)
    if not isinstance(value, dict) or not all(
        isinstance(switches, dict) and set(switches) <= known for switches in value.values()
    ):
        return False
    for name in value:
        json_fields.name({name: name}, name)
    return all(
        isinstance(word, str) and re.match(r"-?[0-9]{1,9}\Z", word) for switches in value.values() for word in switches.values()
    )


def store(path, content):
    text = json.dumps(content, indent=1)
    if len(text) > files.OURS:
        # What is not read again would be no way back.
        message = "what is to be saved has %d MiB, and no more than %d are read" % (len(text) >> 20, files.OURS >> 20)
        fail(message, "are there so many links or routes? ip route show table all | wc -l", path=path)
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    files.write(path, text, 0o600)


def unsecret(path):
    """A file's text, without the keys of a wg-quick file: they are in that file only."""
    text = files.text(path, None)
    return text if text is None else masked(path, text)


def masked(path, text):
    return wg_quick_peers.masked(text) if os.path.dirname(path) == wg_quick.DIRECTORY else text


def picture(names):
    """(restore.Snapshot of now, what ip(8) said: addresses, {name: routes})."""
    shown = process.run(link_table.OBSERVE).out
    links = link_table.parse(shown)
    # What is about to be made has none, and there may be a thousand of those.
    there = [name for name in names if name in links]
    four, six = (_routes(there, family) for family in ("-4", "-6"))
    # Without a gateway nothing in the line of a default route says which family it is of.
    routes = {name: four[name] + re.sub("^default ", "::/0 ", six[name], flags=re.M) for name in there}
    routes = {name: routes.get(name, "") for name in names}
    return restore.Snapshot(link_table.completed(links), addresses.parse(shown, routes)), shown, routes


def _routes(names, family):
    """{name: what ip(8) printed of its routes}, by one process for all names that are plain."""
    show = ("route", "show", "table", "all", "dev")
    plain = [name for name in names if ip_routes.is_plain(name)]
    try:
        found = dict(zip(plain, ip_routes.each((" ".join((*show, name)) for name in plain), (family,))))
    except L2wgError:  # what is to be undone, is so in any case
        found = {}
    for name in names:
        if name not in found:
            result = process.run(("ip", family, *show, name))
            found[name] = "" if result.code else result.out
    return found
