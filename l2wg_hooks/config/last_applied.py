"""The wish as it was applied last: what the kernel is to have while somebody's edit cannot be read."""

import os
import re

from l2wg_hooks.config import store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files, json_fields, log

# Where l2wg keeps what has to outlive a boot.
DIRECTORY = "/var/lib/l2wg"
# The wish as it was applied last: {tunnel: text of its file}.
APPLIED = os.path.join(DIRECTORY, "applied")
# There as long as a change is under way, or waits to be confirmed: see apply/transaction.py.
TRANSACTION = os.path.join(DIRECTORY, "transaction")
# Whatever is in there is applied by the units of NixOS, without `l2wg apply`.
NIX = "/nix/"


def pending():
    """Whether a change is under way, or waits to be confirmed."""
    return os.path.exists(TRANSACTION)


def is_text(value):
    """Whether a value is what files.read can have read: bytes that are no UTF-8 are surrogates from U+DC80 on."""
    return isinstance(value, str) and not re.search("[\ud800-\udc7f\udd00-\udfff]", value)


def is_config(value):
    """Whether a value is {tunnel: text of its file}."""
    return isinstance(value, dict) and all(
        name and not re.search("[/\0]", name) and is_text(name) and is_text(text) for name, text in value.items()
    )


def read():
    """{tunnel: text} of the wish that was applied last. Where nobody can tell, that is today's: none of its files is to go."""
    try:
        text = files.text(APPLIED, None, files.OURS)
        if text is None:
            return {}
        return _parse(text)
    except json_fields.Unfit as error:
        hint = f"what is in {store.DIRECTORY} now counts as applied; rm {APPLIED}"
        log.complain([Problem(f"cannot be understood: {error}", hint, APPLIED, 1)])
    except L2wgError as error:
        log.complain(error.problems)
    return store.texts()


def _parse(text):
    found = json_fields.load(text)
    if not is_config(found):
        raise json_fields.Unfit("it has not {tunnel: text of its file}")
    return found


def edited(wished):
    """The names of the tunnels whose wish is another than the one applied last, or gone.

    SITES stands for the tunnels of that file. `wished` is the Wish of all files.

    Where nothing was ever applied, or nobody can tell what, all of it counts as applied.
    """
    try:
        text = files.text(APPLIED, None, files.OURS)
        if text is None:
            return set()
        before, now = _parse(text), store.texts()
    except (json_fields.Unfit, L2wgError):  # `read` tells of it
        return set()
    names = {name for name in set(before) | set(now) if before.get(name) != now.get(name)}
    sites = set()
    if store.SITES in names:
        names.discard(store.SITES)
        path = store.path(store.SITES)
        old_part, new_part = ([t for t in some if t.path == path] for some in (store.parsed(before), wished.tunnels))
        if old_part != new_part and not is_nixos(store.SITES):
            sites.add(store.SITES)
    old = {tunnel.name: tunnel for tunnel in store.parsed({name: before[name] for name in names if name in before})}
    new = {tunnel.name: tunnel for tunnel in wished.tunnels}
    return sites | {name for name in names if not is_nixos(name) and (name not in new or new[name] != old.get(name))}


def is_nixos(name):
    """Whether a tunnel's file, or SITES, is one of the Nix store: then whoever switches to it applies it."""
    return os.path.realpath(store.path(name)).startswith(NIX)


def standing(replaced=None, departs=True):
    """The Wish of all files as store.load gives it, steady where one is no use; `departs` as of site_record.steady."""
    wished = store.load(replaced)
    if wished.broken:
        wished = store.steady(wished, read())
    if wished.net is None:
        return wished
    from l2wg_hooks.config import site_record  # where there is a file of sites only

    return site_record.steady(wished, departs)
