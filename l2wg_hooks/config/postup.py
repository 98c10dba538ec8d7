"""Our two lines in a file of wg-quick(8): put in and taken out."""

import os

from l2wg_hooks.config import device_events, own_wire, store, wg_quick
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.system import files, log


def attach_file(name, tunnels=()):
    """Put our lines into /etc/wireguard/<name>.conf; the Problems to tell of. Raises L2wgError if it cannot be done.

    Where wg(8) reads that file, nothing is put in: it would take none of it from then on. Nor into that of a wire of l2wg's own,
    which takes no commands (config/own_wire.py).
    """
    from l2wg_hooks.config import wg_quick_readers  # which asks this module

    where = wg_quick.path(name)
    told = device_events.instead(name)
    if told and not os.path.lexists(where):
        log.say(f"{where}: there is no such file, and none is needed: {told}")
        return ()
    if not os.path.exists(where):
        hint = f"make it, or if {name} is not set up by wg-quick, call `l2wg up {name}` from there"
        fail("there is no such file", hint, path=where)
    old = files.read(where)
    wires = store.wires(name)
    if "own" in wires or (not wires and own_wire.is_marked(old)):
        fail(f"l2wg makes {name} itself, and refuses such lines", "none is needed: l2wg apply", path=where)
    answer = wg_quick_readers.ask(name, old)
    problem = answer.problem(where, name, old)
    if problem:
        raise L2wgError(problem)
    if answer.told or (told and not answer.quick):
        log.say("{}: nothing is put in, since {}; {}".format(where, answer.why, told or "the hook of ifupdown does the same"))
        return ()
    if not answer.quick:
        fail(f"nothing is put in, since {answer.why}", answer.hint, path=where)
    new = wg_quick.attach(old, name)
    if new is None:
        fail("has no [Interface] section", "it must be a wg-quick(8) file", path=where)
    if new != old:
        files.write(where, new, old=old)
        log.did("{}: added {}".format(where, " and ".join("`{} = {}`".format(*line) for line in wg_quick.LINES)))
    else:
        log.say(f"{where}: both lines are there")
    if told:
        log.say(f"{where}: these lines are not needed here, and do no harm: {told}")
    return tuple(wg_quick.warnings(new, where, name, tunnels))


def detach_file(name):
    """Take our lines out of /etc/wireguard/<name>.conf, if it is there."""
    where = wg_quick.path(name)
    old = files.text(where)
    new = wg_quick.detach(old, name)
    if new != old:
        files.write(where, new, old=old)
        log.did(f"{where}: our lines are out")
