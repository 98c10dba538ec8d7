"""`l2wg set`: change values in /etc/l2wg/<tunnel>.conf, and leave everything else in it alone."""

import os

from l2wg_hooks import files, interfaces, log, routed, settings, wish
from l2wg_hooks.errors import L2wgError, Problem


def change(name, changes):
    """Write `changes` ({key: value}) into the file of tunnel `name`, or make it.

    Raises L2wgError, with nothing written, unless the outcome is right as a whole. Values that mean what is there
    already are left as they are spelled, and a file in which nothing changes is not written.
    """
    _check(name, changes)
    where = wish.path(name)
    there = os.path.exists(where)
    old = files.text(where, most=wish.LARGEST)
    before = settings.parse(old, where, name)[0]
    if before is not None:
        changes = {key: value for key, value in changes.items() if differs(before, key, value)}
    new = settings.edit(old, changes) if there else settings.fresh(name, changes)
    if new == old:
        return
    tunnel, problems = settings.parse(new, where, name)
    if tunnel is None:
        raise L2wgError(*problems)
    # Not for a change that has nothing to do with it.
    if {"bridge", "bridge-ports", "bridge-address", "underlay"} & set(changes):
        next_start = routed.ours(routed.look([tunnel], interfaces.read().stanzas), [tunnel])
        if next_start:
            raise L2wgError(*next_start)
    clashes = [problem for problem in wish.load({name: new}).problems if problem.path == where]
    if clashes:
        raise L2wgError(*clashes)
    os.makedirs(os.path.dirname(where), exist_ok=True)
    files.write(where, new, old=old)
    log.say("%s: written" % where)
    log.note("%s: %s" % (where, ", ".join("%s = %s" % change for change in changes.items())))


def _check(name, changes):
    problems = []
    try:
        settings.tunnel_name(name)
    except settings.Refused as error:
        problems.append(Problem(*error.args))
    for key, value in changes.items():
        if key not in settings.KEYS:
            problems.append(Problem("no such key: %s" % settings.shown(key), "known keys: " + ", ".join(settings.KEYS)))
        elif not value.isprintable() or "#" in value:
            problems.append(Problem("%s cannot be a value" % settings.shown(value), "one line, without #", key=key))
    if problems:
        raise L2wgError(*problems)


def differs(tunnel, key, value):
    """Whether a value means something else than what the Tunnel has; what cannot be a value does."""
    field, parser = settings.KEYS[key]
    try:
        return parser(value) != getattr(tunnel, field)
    except settings.Refused:
        return True
