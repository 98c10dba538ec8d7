"""Files of /etc: read as they are, byte for byte, and replaced in one move."""

import os
import stat

from l2wg_hooks.errors import REFUSED, WRONG, fail


def read(path):
    """The text of a file, line ends and odd bytes kept. Raises L2wgError where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        fail("cannot be read: %s" % error.strerror, "is it a file, and is this root?", path=path)


def text(path, absent=""):
    """The text of a file; `absent` where there is none. Raises L2wgError as `read` does."""
    return read(path) if os.path.exists(path) else absent


def glance(path):
    """What a file says that one can do without, such as the kernel's; "" where it is not there, not to be read, or no text."""
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def write(path, text, mode=0o644, old=None):
    """Replace a file by `text`, so that any reader, even after a crash, finds the old or the new one whole.

    Mode, owner and extended attributes (ACL, SELinux) of an existing file are kept and a symbolic link goes on pointing
    at it; `mode` is a new file's. `old` is what the file had when `text` was made from it ("" where there was none):
    if somebody has changed it since, nothing is written, so that no line is lost.
    Raises L2wgError, with the file untouched, where that fails (no space, read-only, immutable, changed).
    """
    import tempfile  # events only read

    target = os.path.realpath(path)
    temporary = None
    try:
        try:
            there = os.stat(target)
        except FileNotFoundError:
            there = None
        # Same directory: rename(2) is atomic within one file system only. The leading dot hides it from `source *`.
        descriptor, temporary = tempfile.mkstemp(prefix=".l2wg-", dir=os.path.dirname(target))
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if there is not None:
                os.fchown(file.fileno(), there.st_uid, there.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode) if there else mode)
            if there is not None:
                _copy_attributes(target, file.fileno())
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if old is not None and old != (read(target) if os.path.exists(target) else ""):
            fail("somebody has changed it just now; it is as they left it", "look at it, then try again", path=path)
        os.rename(temporary, target)
        temporary = None
        _sync_directory(os.path.dirname(target))
    except OSError as error:
        fail("cannot be written: %s; it is as it was" % error.strerror, _cure(error), _code(error), path=path)
    finally:
        if temporary is not None:
            _remove(temporary)


def _copy_attributes(path, descriptor):
    """Extended attributes: POSIX ACLs, SELinux's label, an admin's own."""
    import errno

    for name in os.listxattr(path):
        try:
            os.setxattr(descriptor, name, os.getxattr(path, name))
        except OSError as error:
            # The same directory, so the same file system: what cannot be set here was given by its security module.
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
                raise


def remove(path):
    """Delete a file; no error where it is gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        fail("cannot be deleted: %s" % error.strerror, _cure(error), _code(error), path=path)


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


def _code(error):
    """REFUSED where the same will work once the machine is in order, so that dpkg tries again."""
    import errno

    return REFUSED if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO) else WRONG


def _cure(error):
    import errno

    return {
        errno.ENOSPC: "make room on that file system (df -h), then try again",
        errno.EDQUOT: "make room on that file system (df -h), then try again",
        errno.EROFS: "mount it read-write, then try again",
        errno.EPERM: "is it immutable (lsattr), and is this root?",
        errno.EACCES: "run it as root",
    }.get(error.errno, "mend that, then try again")
