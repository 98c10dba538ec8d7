"""One worker at a time, and no queue of events that would all do the same."""

import contextlib
import errno
import fcntl
import os
import time

from l2wg_hooks.errors import fail

WORK = "/run/l2wg.lock"
NEXT = "/run/l2wg.next"
# Held by whoever changes files: apply, roll back, set, attach, detach. Events do not take it.
FILES = "/run/l2wg.files"
# Seconds: a worker needs well under one; under emulation, and with a boot going on, ten.
PATIENCE = 30
PAUSE = 0.02


def _open(path):
    # O_NOFOLLOW: nobody's symbolic link makes root open something else. O_CLOEXEC is Python's default: commands that
    # we start do not hold the lock.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _try(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False


def _wait(descriptor, path):
    end = time.monotonic() + PATIENCE
    while not _try(descriptor):
        if time.monotonic() > end:
            fail("%s is held by another l2wg for over %d s" % (path, PATIENCE), "see who: fuser -v %s" % path)
        time.sleep(PAUSE)


@contextlib.contextmanager
def changing():
    """Hold the lock of whoever changes files: two of us never work on the same one. Raises L2wgError where it is held."""
    try:
        descriptor = _open(FILES)
    except OSError as error:
        fail("cannot be opened: %s" % error.strerror, "run it as root, with /run mounted", path=FILES)
    try:
        _wait(descriptor, FILES)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def working(may_skip=False):
    """Hold the lock; gives True. With `may_skip`, gives False at once if somebody waits for it already.

    Who waits has observed nothing yet, so all that happened until now is in what they will see: an event that comes
    on top of a waiting one has nothing to add. flock(2) goes with the process, whatever becomes of it.
    """
    try:
        work, following = _open(WORK), _open(NEXT)
    except OSError as error:
        fail("cannot be opened: %s" % error.strerror, "run it as root, with /run mounted", path=WORK)
    try:
        if may_skip:
            if not _try(following):
                yield False
                return
            _wait(work, WORK)
            os.close(following)
            following = None
        else:
            _wait(work, WORK)
        yield True
    finally:
        os.close(work)
        if following is not None:
            os.close(following)
