"""A device event: udev tells of an interface that a tunnel's file names, whoever made it (etc/l2wg/device).

It comes when the interface does: that has no address by then, is down, and a bridge has no ports. So what is still waited for
is looked at again when the kernel tells that something has changed, for a minute at most. No lock is held meanwhile.
"""

import time

from l2wg_hooks.config import store
from l2wg_hooks.reconcile import reconcile, taken_down
from l2wg_hooks.system import files, link_changes, log

# Seconds for an interface to become what is waited for, and for a bridge to come up: whoever makes that puts its ports in
# first, and brctl(8) fails for one that somebody else has put in meanwhile.
PATIENCE, HALF_MADE = 60, 10
# Seconds until another event, which is about to look, has seen what we are here for.
PAUSE = 0.2
IFF_UP = 1


def follow(device):
    """Ask for the plan, until nothing of it waits for this device any longer; the Problems that are left.

    `device` is NAME, or NAME:NUMBER:ACTION: each is a process of its own, so that none is lost.
    """
    name = device.partition(":")[0]
    with link_changes.LinkChanges() as changes:
        index = files.of_link(name, "ifindex")
        end = time.monotonic() + PATIENCE
        _wait_for_bridges(changes)
        while True:
            problems, waits = _look()
            # What has come in its place has an event of its own.
            gone = not index or files.of_link(name, "ifindex") != index
            if waits is not None and (gone or not any(_is_about(wait, name) for wait in waits)):
                return problems
            log.tell()
            if waits is None:
                time.sleep(PAUSE)
            elif not changes.wait((name,), any(wait.kind == "address" for wait in waits), end):
                return problems
            if time.monotonic() > end:
                return problems


def once():
    """Ask for the plan once, as for a device; the Problems."""
    return _look()[0]


def _is_about(wait, name):
    """Whether this device, or any, may yet become what is waited for: what is not there has an event of its own when it comes."""
    return wait.name == name or wait.kind == "address"


def _look():
    """(Problems, what waits), or ((), None) where another event is about to look, which then sees the same."""
    found = []

    def tell(waits):
        found.append(waits)
        reconcile.tell_what_waits(waits)

    # An interface that comes or goes is nobody's wish for what they have taken down.
    if taken_down.ALL in taken_down.read():
        return (), ()
    problems = reconcile.reconcile(may_skip=True, tell=tell, spares=True)
    return problems, found[0] if found else None


def _wait_for_bridges(changes):
    bridges = {tunnel.bridge for tunnel in store.load().tunnels}
    end = time.monotonic() + HALF_MADE
    while any(_is_half_made(name) for name in bridges) and changes.wait(bridges, False, end):
        pass


def _is_half_made(bridge):
    flags = files.of_link(bridge, "flags")
    return bool(flags) and not int(flags, 16) & IFF_UP
