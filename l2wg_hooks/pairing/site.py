"""What this site tells others of itself and nothing else knows: its name, how it is called, what it asks of tunnels.

/etc/l2wg/site, in the format of the tunnels' files; not *.conf, since these are tunnels. The text part is pure.
"""

import os
import socket
from typing import NamedTuple, Optional

from l2wg_hooks.config import card, schema, store, tunnel_file
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files, log

FILE = "site"


class Site(NamedTuple):
    """`endpoint` is HOST[:PORT], "" where nothing is said of it, or "none"."""

    name: str = ""
    endpoint: str = ""
    encapsulation: str = registry.DEFAULT
    key: Optional[int] = None
    mtu: int = 1500


def _endpoint(value):
    if value in ("", "none"):
        return value
    try:
        card.endpoint(value)
    except Refused:
        card.endpoint(bracketed(value) + ":1")
        return bracketed(value)
    return value


def bracketed(host):
    """A host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


KEYS = {
    "name": schema.KEYS["site"].parse,
    "endpoint": _endpoint,
    "encapsulation": schema.KEYS["encapsulation"].parse,
    "key": schema.KEYS["key"].parse,
    "mtu": schema.KEYS["mtu"].parse,
}


def path():
    """Where it stands."""
    return os.path.join(store.DIRECTORY, FILE)


def parse(text, where):
    """(Site, problems) of the file's text."""
    values, problems = {}, []
    for number, line in enumerate(tunnel_file.lines_of(text), 1):
        key = ""
        try:
            found = tunnel_file.split(line)
            if found is None:
                continue
            key, value = found[:2]
            if key not in KEYS:
                raise Refused("no such key", "known keys: " + ", ".join(KEYS))
            values[key] = KEYS[key](value)
        except Refused as error:
            problems.append(Problem(error.args[0], error.args[1], where, number, key if schema.NAME.match(key) else ""))
    return Site(**values), tuple(problems)


def load():
    """The Site of this router. Raises L2wgError where its file has a mistake."""
    text = files.text(path(), most=store.LARGEST)
    found, problems = parse(text, path())
    if problems:
        raise L2wgError(*problems)
    return found._replace(name=found.name or default_name())


def default_name():
    """The host's name, as far as it can be a site's."""
    label = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in socket.gethostname().partition(".")[0])
    return label[:32].strip("-") or "site"


HEAD = "# What `l2wg card` tells of this site; see l2wg(8), PAIRING. Nothing here changes a tunnel.\n"


def save(changes):
    """Remember `changes` ({key: value}). Raises L2wgError, with nothing written, for a value that cannot be."""
    old, new = changed(changes)
    if new == old:
        return
    os.makedirs(store.DIRECTORY, exist_ok=True)
    files.write(path(), new, old=old)
    log.say(f"{path()}: written")


def changed(changes):
    """(old, new) of the file with `changes` ({key: value}). Raises L2wgError for a value that cannot be."""
    problems = []
    for key, value in changes.items():
        try:
            if "#" in value or not value.isprintable():
                raise Refused(f"{schema.shown(value)} cannot be a value", "one line, without #")
            KEYS[key](value)
        except Refused as error:
            problems.append(Problem(error.args[0], error.args[1], key=key))
    if problems:
        raise L2wgError(*problems)
    old = files.text(path(), most=store.LARGEST)
    new = tunnel_file.edit(old or HEAD, changes)
    return old, old if new == HEAD else new
