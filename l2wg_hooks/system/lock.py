"""One worker at a time, and no queue of events that would all do the same."""

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
    # O_NONBLOCK, O_NOCTTY: nor does what is no regular file, whatever it is, keep us.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o600)


def _opened(path):
    """The descriptor of a lock. Raises L2wgError where there cannot be one."""
    try:
        return _open(path)
    except OSError as error:
        hint = "run it as root, with /run mounted"
        if os.path.lexists(path) and not os.geteuid():
            # Nothing is in it, so nothing is lost with it.
            hint = f"rm -r {path} # l2wg makes it anew"
        return fail(f"cannot be opened: {error.strerror}", hint, path=path)


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
            fail("%s is held by another l2wg for over %d s" % (path, PATIENCE), f"see who: fuser -v {path}")
        time.sleep(PAUSE)


class _Held:
    """What is held until `with` ends; gives whether it is. By hand, since an event has no other use for contextlib(3py)."""

    def __init__(self, *arguments):
        self._arguments, self._held = arguments, []

    def __enter__(self):
        try:
            return self._take(*self._arguments)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        while self._held:
            os.close(self._held.pop())

    def _open(self, path):
        self._held.append(_opened(path))
        return self._held[-1]

    def _take(self, *arguments):
        raise NotImplementedError


class changing(_Held):
    """Hold the lock of whoever changes files: two of us never work on the same one. Raises L2wgError where it is held."""

    def _take(self):
        _wait(self._open(FILES), FILES)
        return True


class working(_Held):
    """Hold the lock; gives True. With `may_skip`, gives False at once if somebody waits for it already.

    Who waits has observed nothing yet, so all that happened until now is in what they will see: an event that comes
    on top of a waiting one has nothing to add. flock(2) goes with the process, whatever becomes of it.
    """

    def __init__(self, may_skip=False):
        super().__init__(may_skip)

    def _take(self, may_skip):
        work, following = self._open(WORK), self._open(NEXT)
        if may_skip and not _try(following):
            return False
        _wait(work, WORK)
        if may_skip:
            os.close(self._held.pop())
        return True


class at_leisure(_Held):
    """Hold both locks; gives False where somebody has one of them. It waits for none, and takes nobody's place who waits."""

    def _take(self):
        return _try(self._open(FILES)) and _try(self._open(WORK))
