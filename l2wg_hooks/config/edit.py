"""`l2wg set`: change values in /etc/l2wg/<tunnel>.conf, and leave everything else in it alone."""

import os

from l2wg_hooks.config import ifupdown_files, schema, store, tunnel_file, wg_quick_routes
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files, log


def change(name, changes):
    """Write `changes` ({key: value}) into the file of tunnel `name`, or make it.

    Raises L2wgError, with nothing written, unless the outcome is right as a whole. Values that mean what is there
    already are left as they are spelled, and a file in which nothing changes is not written.
    """
    _check(name, changes)
    where = store.path(name)
    there = os.path.exists(where)
    old = files.text(where, most=store.LARGEST)
    before = tunnel_file.parse(old, where, name)[0]
    if before is not None:
        changes = {key: value for key, value in changes.items() if differs(before, key, value)}
    new = tunnel_file.edit(old, changes) if there else tunnel_file.fresh(name, changes)
    if new == old:
        return
    tunnel, problems = tunnel_file.parse(new, where, name)
    if tunnel is None:
        raise L2wgError(*problems)
    # Not for a change that has nothing to do with it.
    if {"bridge", "bridge-ports", "bridge-address", "underlay"} & set(changes):
        next_start = wg_quick_routes.ours(wg_quick_routes.look([tunnel], ifupdown_files.read().stanzas), [tunnel])
        if next_start:
            raise L2wgError(*next_start)
    clashes = [problem for problem in store.load({name: new}).problems if problem.path == where]
    if clashes:
        raise L2wgError(*clashes)
    os.makedirs(os.path.dirname(where), exist_ok=True)
    files.write(where, new, old=old)
    log.say(f"{where}: written")
    log.note("{}: {}".format(where, ", ".join("{} = {}".format(*change) for change in changes.items())))


def _check(name, changes):
    problems = []
    try:
        schema.tunnel_name(name)
    except schema.Refused as error:
        problems.append(Problem(*error.args))
    for key, value in changes.items():
        if key not in schema.KEYS:
            problems.append(Problem(f"no such key: {schema.shown(key)}", "known keys: " + ", ".join(schema.KEYS)))
        elif not value.isprintable() or "#" in value:
            problems.append(Problem(f"{schema.shown(value)} cannot be a value", "one line, without #", key=key))
    if problems:
        raise L2wgError(*problems)


def differs(tunnel, key, value):
    """Whether a value means something else than what the Tunnel has; what cannot be a value does."""
    field, parser = schema.KEYS[key].field, schema.KEYS[key].parse
    try:
        return parser(value) != (tunnel.written if key == "remote" else getattr(tunnel, field))
    except schema.Refused:
        return True
