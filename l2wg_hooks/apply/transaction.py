"""What `l2wg apply` changes, whole or not at all: saved before the first change, undone unless it is committed.

The state is one file, /var/lib/l2wg/transaction. While it is there, a change is under way or waits for `l2wg confirm`, and
whoever finds it can undo it: apply itself, a systemd timer that is armed before the first change, or, files only, the next boot.
"""

import os
import signal
import time

from l2wg_hooks.apply import rollback, rollback_timer, saved_state
from l2wg_hooks.config import last_applied, store
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import sysctls
from l2wg_hooks.system import files, log, units

# Seconds after which an apply that was killed half-way is undone. Each command may take process.PATIENCE.
DEADMAN = 180
# Seconds that an apply gets to stop by itself.
GRACE = 30
# The command line of a process.
COMMAND = "/proc/%d/cmdline"


def waits():
    """Whether a change waits to be confirmed."""
    saved = saved_state.load(saved_state.OPEN)
    return saved is not None and saved.waiting


def begin(names, others, paths, seconds=0, wished=None, changed=(), ways=(), texts=(), had=(), lost=()):
    """Save the interfaces `names` and `others`, the files `paths` and the wish, and arm the timer: `seconds`, or DEADMAN where 0.

    `texts` is {path: text} of what is about to be written: who is killed half-way can tell it from somebody's edit.
    `wished` is the wish that is about to be written, where that is not what the files say; `changed`, `ways`, `had`
    and `lost` are peers, ways, sysctls and lost of Saved.
    Raises L2wgError, with nothing changed, where that cannot be done.
    """
    if seconds and not units.run_here():
        fail("there is no systemd here to undo it in time", "run it without --confirm; `l2wg rollback` undoes it by hand")
    known, shown, routes = saved_state.picture(names + others)
    switches = {name: sysctls.of_bridge(name) for name in names if name in known.links and known.links[name].kind == "bridge"}
    paths = sorted(set(paths) | {nftables.STATIC})
    old = {path: saved_state.unsecret(path) for path in paths}
    modes = {path: os.stat(path).st_mode & 0o7777 for path in paths if old[path] is not None}
    # Who brings the new wish along leaves that of others alone, applied or not: it is what there was before.
    written = store.texts()
    brought = wished is not None
    wished, before = (wished, written) if brought else (written, last_applied.read())
    now = (saved_state.boot(), os.getpid(), False, names, others)
    new = {path: saved_state.masked(path, text) or None for path, text in dict(texts).items()}
    saved = saved_state.Saved(*now, old, modes, new, wished, before, shown, routes, changed, ways, brought, switches, had, lost)
    saved_state.store(saved_state.OPEN, saved._asdict())
    try:
        rollback_timer.arm(seconds or DEADMAN, must=bool(seconds))
    except L2wgError:
        files.remove(saved_state.OPEN)
        raise


def commit():
    """What was changed stays."""
    saved = saved_state.load(saved_state.OPEN)
    saved_state.store(last_applied.APPLIED, saved.wished)
    saved_state.store(
        saved_state.LAST, saved._replace(new={path: saved_state.unsecret(path) for path in saved.old}, waiting=False)._asdict()
    )
    files.remove(saved_state.OPEN)
    files.remove(rollback.UNDONE)
    rollback_timer.disarm()


def wait(seconds):
    """What was changed stays if it is confirmed within so many seconds from now."""
    saved = saved_state.load(saved_state.OPEN)
    saved_state.store(
        saved_state.OPEN, saved._replace(new={path: saved_state.unsecret(path) for path in saved.old}, waiting=True)._asdict()
    )
    rollback_timer.arm(seconds, must=True)
    log.did("now confirm it: l2wg confirm. Otherwise all of it is undone in %d s" % seconds)


def confirm():
    """Keep what waits for confirmation."""
    saved = saved_state.load(saved_state.OPEN)
    if saved is None or not saved.waiting:
        fail("nothing waits for a confirmation", "it may have been undone already: journalctl -t l2wg")
    commit()
    log.did("confirmed")


def stop_worker():
    """End an apply that hangs, so that its change can be undone. Its own answer to SIGTERM is to undo it."""
    saved = saved_state.load(saved_state.OPEN)
    if saved is None or saved.waiting or saved.pid == os.getpid() or saved.boot != saved_state.boot():
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + GRACE
        while _is_l2wg(saved.pid):
            os.kill(saved.pid, number)
            time.sleep(1)
            if time.monotonic() > end:
                break


def _is_l2wg(pid):
    return "l2wg" in files.glance(COMMAND % pid)
