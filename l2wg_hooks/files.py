"""Files of /etc: read as they are, byte for byte, and replaced in one move."""

import os
import stat

from l2wg_hooks.errors import fail


def read(path):
    """The text of a file, line ends and odd bytes kept. Raises L2wgError where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        fail("cannot be read: %s" % error.strerror, "is it a file, and is this root?", path=path)


def write(path, text, mode=0o644):
    """Replace a file by `text`, so that any reader, even after a crash, finds the old or the new one whole.

    Mode and owner of an existing file are kept and a symbolic link goes on pointing at it; `mode` is a new file's.
    Raises L2wgError, with the old file untouched, where that fails (no space, read-only, immutable).
    """
    import tempfile  # events only read

    target = os.path.realpath(path)
    temporary = None
    try:
        try:
            old = os.stat(target)
        except FileNotFoundError:
            old = None
        # Same directory: rename(2) is atomic within one file system only. The leading dot hides it from `source *`.
        descriptor, temporary = tempfile.mkstemp(prefix=".l2wg-", dir=os.path.dirname(target))
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if old is not None:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode) if old else mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, target)
        temporary = None
        _sync_directory(os.path.dirname(target))
    except OSError as error:
        fail("cannot be written: %s; it is as it was" % error.strerror, _cure(error), path=path)
    finally:
        if temporary is not None:
            _remove(temporary)


def remove(path):
    """Delete a file; no error where it is gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        fail("cannot be deleted: %s" % error.strerror, _cure(error), path=path)


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass


def _sync_directory(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cure(error):
    import errno

    return {
        errno.ENOSPC: "make room on that file system (df -h), then try again",
        errno.EDQUOT: "make room on that file system (df -h), then try again",
        errno.EROFS: "mount it read-write, then try again",
        errno.EPERM: "is it immutable (lsattr), and is this root?",
        errno.EACCES: "run it as root",
    }.get(error.errno, "mend that, then try again")
