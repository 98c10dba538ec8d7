"""A change is undone: kernel, files and wish as they were, but for what somebody has edited since."""

import os
import stat
import time

from l2wg_hooks.apply import rollback_timer, saved_state
from l2wg_hooks.config import bridge_switches, last_applied, references, revert, store, wg_quick, wg_quick_peers
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.managers import ifupdown_state
from l2wg_hooks.model import Step
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import addresses, link_table, sysctls, wg_interfaces
from l2wg_hooks.plan import commands, restore
from l2wg_hooks.reconcile import executor, reconcile
from l2wg_hooks.system import files, json_fields, log, process, units

# When a change was undone that nobody had asked to undo, and why; until the next one is kept.
UNDONE = os.path.join(saved_state.DIRECTORY, "undone")
# Files that somebody had edited when they were put back, as they were then.
REJECTED_FILES = os.path.join(saved_state.DIRECTORY, "rejected")
REJECTED = ".rejected"
# Which files of the wish a rollback leaves alone.
NONE, NEW, ALL = "none", "new", "all"


def undone():
    """What rollback would take back: ({path: (text now, text then)}, steps for the kernel). Nothing is changed.

    Raises L2wgError where there is nothing to undo.
    """
    _, saved, then, others = _change()
    before = dict(saved.old, **{store.path(name): text for name, text in saved.applied.items()})
    before.update({store.path(name): None for name in store.texts() if name not in saved.applied})
    texts = {path: (saved_state.unsecret(path) or "", text or "") for path, text in before.items() if path != nftables.STATIC}
    steps = restore.steps(then, saved_state.picture(saved.names + others)[0], saved.names, others)
    return {path: sides for path, sides in texts.items() if sides[0] != sides[1]}, steps


def _change():
    """What rollback undoes: (its file, Saved, the Picture of then, the names of `others` that count).

    Raises L2wgError where there is nothing to undo.
    """
    path = saved_state.OPEN if last_applied.pending() else saved_state.LAST
    saved = saved_state.load(path)
    if saved is None:
        fail("there is nothing to undo", "no `l2wg apply` has changed anything here")
    then = restore.Snapshot(link_table.parse(saved.shown), addresses.parse(saved.shown, saved.routes))
    # Of the last one, long ago perhaps, only what it was about.
    return path, saved, then, saved.others if path == saved_state.OPEN else []


def clear():
    """Make way for the next one: undo what an apply that was killed has left, but for the wish. The caller holds lock.changing.

    Raises L2wgError while there is a change that nobody has confirmed, and where not all can be undone.
    """
    problems = unconfirmed()
    if problems:
        raise L2wgError(*problems)
    saved = saved_state.load(saved_state.OPEN)
    if saved is None:
        return
    keep = NONE if saved.brought else ALL
    problems = rollback("the last `l2wg apply` did not come to its end", keep=keep, alarm=True)
    if problems:
        raise L2wgError(*problems)


def unconfirmed():
    """The Problem of a change that nobody has confirmed yet, which no other one gets past; none where there is no such change."""
    saved = saved_state.load(saved_state.OPEN)
    if saved is None or not saved.waiting:
        return ()
    return (Problem("the last `l2wg apply` still waits for its confirmation", "l2wg confirm keeps it, l2wg rollback undoes it"),)


def rollback(reason, keep=NONE, alarm=False):
    """Undo the change that is under way or, where there is none, the last one; the Problems of that.

    `keep` says which files in /etc/l2wg stay as they are, for their admin to mend: NONE, those of NEW tunnels, or ALL.
    `alarm` where nobody has asked for it, nor was told why.
    """
    path, saved, before, others = _change()
    (log.alarm if alarm else log.did)(f"undoing: {reason}")
    known = _put_back(saved, keep)
    serve([path for path in saved.old if saved.old[path] != saved.new.get(path)])
    _switch_back(saved.switches)
    now = saved_state.picture(saved.names + others)[0]
    for words in saved.ways:
        process.run(("ip", "route", "delete") + tuple(words))  # it may have gone with its interface
    problems = tuple(
        problem for name, *fields in saved.peers for problem in wg_interfaces.put_back(name, wg_interfaces.Peer(*fields))
    )
    problems += executor.apply(restore.steps(before, now, saved.names, others))
    for words in saved.lost:
        process.run(("ip", "route", "add") + tuple(words))  # it may be there by the pictures, or its interface may be gone
    for name, folder, key, value in saved.sysctls:
        process.run(commands.sysctls(name, {(folder, key): value}))
    for name in saved.names:
        if name not in before.links and name in now.links and now.links[name].kind == "bridge":
            ifupdown_state.forget(name)
    problems += reconcile.reconcile(only=known)
    if problems:
        return problems + (Problem("not all could be undone", "mend that, then: l2wg rollback"),)
    files.remove(path)
    rollback_timer.disarm()
    log.did("undone: all is as it was before")
    if alarm:
        _note(reason)
    return ()


def _note(reason):
    """Leave a note of what nobody has asked for: whoever comes next may wonder where the change has gone."""
    try:
        saved_state.store(UNDONE, {"time": int(time.time()), "reason": reason})
    except L2wgError as error:  # all else is done
        log.complain(error.problems)


def unasked():
    """(seconds since the epoch, reason) of the last change if it was undone without anybody asking; None where it was not."""
    try:
        found = json_fields.load(files.text(UNDONE) or "{}")
        return (found["time"], found["reason"]) if isinstance(found["time"], int) and isinstance(found["reason"], str) else None
    except (json_fields.Unfit, L2wgError, KeyError, TypeError):
        return None


def recover():
    """At boot, before any interface: put back the files of a change that nobody has confirmed before the machine went down."""
    saved = saved_state.load(saved_state.OPEN)
    if saved is None or saved.boot == saved_state.boot():
        return
    reason = "the machine went down before the last change was confirmed"
    log.alarm(f"{reason}: its files are put back")
    _put_back(saved, NONE)
    files.remove(saved_state.OPEN)
    _note(reason)


def _put_back(saved, keep):
    """Files and wish as they were; the names of the tunnels that are wished for then."""
    for path, text in saved.old.items():
        now = _found(path)
        if now == text:
            continue
        edited = now is not None and path in saved.new and now != saved.new[path]
        whole = kept = revert.back(now, saved.new[path] or "", text) if edited and text is not None else None
        if kept is None:
            whole = text
        if text is not None and os.path.dirname(path) == wg_quick.DIRECTORY:
            whole = wg_quick_peers.unmasked(whole, files.text(path, None) or "")
            if whole is None:
                log.complain([Problem("has other keys than it had: it stays as it is", "look at its [Peer] sections", path)])
                continue
        if edited and kept is None:
            _keep(path, now)
        if text is None:
            files.remove(path)
        else:
            files.write(path, whole, saved.modes[path])
        log.did("{}: as it was{}".format(path, "" if kept is None else ", but for what somebody has changed since"))
    there = store.texts()
    for name, now in there.items():
        if now != saved.applied.get(name) and not ((keep == NEW and name not in saved.applied) or keep == ALL):
            # The admin's own lines: beside, where nothing reads them.
            files.write(store.path(name) + REJECTED, now, os.stat(store.path(name)).st_mode & 0o777)
            if name not in saved.applied:
                files.remove(store.path(name))
            log.did(f"{store.path(name)}: set aside as {os.path.basename(store.path(name)) + REJECTED}")
    for name, text in saved.applied.items() if keep != ALL else ():
        if name not in there:
            _reject(store.path(name))
        if there.get(name) != text:
            files.write(store.path(name), text)
    saved_state.store(last_applied.APPLIED, saved.applied)
    return sorted(saved.applied)


def _switch_back(switches):
    """Give bridges their switches back, before their addresses: some need IPv6, which may be one of them."""
    for name, values in switches.items():
        now = sysctls.of_bridge(name)
        other = {switch: value for switch, value in values.items() if now.get(switch, value) != value}
        if other:
            log.complain(executor.apply((Step(bridge_switches.command(name, other), "as it was", name),)))


def _found(path):
    """What is to be put back is there as this text now, None where it is not; a named pipe or such goes, since it has none."""
    try:
        return saved_state.unsecret(path)
    except L2wgError as error:
        info = os.lstat(path)
        if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) or stat.S_ISLNK(info.st_mode):
            raise
        log.complain(error.problems)
        files.remove(path)
        log.did(f"{path}: was {files.kind(info)}, which is deleted")
        return None


def _reject(path):
    """Set aside what stands in the place of a tunnel's file and cannot be read."""
    try:
        os.rename(path, path + REJECTED)
    except FileNotFoundError:
        return
    except OSError as error:
        fail(f"cannot be set aside: {error.strerror}", f"mv {path} {path + REJECTED}", path=path)
    log.did(f"{path}: set aside as {os.path.basename(path) + REJECTED}")


def serve(paths):
    """Have dnsmasq read our file again, if that is among those that have changed. It may not be there, or not be systemd's."""
    if references.DNSMASQ in paths and units.run_here():
        argv = ("systemctl", "try-restart", "dnsmasq.service")
        process.show(argv)
        process.run(argv)


def _keep(path, text):
    """Keep what somebody has written since we did."""
    os.makedirs(REJECTED_FILES, mode=0o700, exist_ok=True)
    copy = os.path.join(REJECTED_FILES, path.strip("/").replace("/", "_"))
    files.write(copy, text, 0o600)
    log.complain([Problem("was edited meanwhile; it is put back", f"what was in it is kept: {copy}", path)])
