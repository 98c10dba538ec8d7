"""Files of /etc: read as they are, byte for byte, and replaced in one move."""

import os
import stat

from l2wg_hooks.errors import REFUSED, WRONG, L2wgError, fail

# Bytes of the largest file that somebody writes by hand, and of what we keep ourselves, which has such files in it and all that
# ip(8) says of a router.
LARGEST, OURS = 1 << 20, 1 << 26
# Bytes that are read at once.
_PIECE = 1 << 18
# Of an interface, what it says of one thing.
LINK = "/sys/class/net/%s/%s"
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}


def read(path, most=LARGEST):
    """The text of a regular file of at most `most` bytes, line ends and odd bytes kept. Raises L2wgError for any other."""
    try:
        return _text(path, most)
    except OSError as error:
        return _unread(path, error)


def text(path, absent="", most=LARGEST):
    """The text of a file; `absent` where there is none. Raises L2wgError as `read` does."""
    try:
        return _text(path, most)
    except (FileNotFoundError, NotADirectoryError):
        return absent
    except OSError as error:
        return _unread(path, error)


def glance(path):
    """What a file says that one can do without, such as the kernel's; "" where it is not there, not to be read, or no text.

    Of a large one, such as a table of the kernel's sockets, the beginning.
    """
    try:
        return _bytes(path, LARGEST, cut=True).decode("utf-8")
    except (OSError, ValueError, L2wgError):
        return ""


def of_link(name, key):
    """What the kernel says of an interface; "" where it says nothing, or has no such interface."""
    return glance(LINK % (name, key)).strip()


def _text(path, most):
    return _bytes(path, most).decode("utf-8", "surrogateescape")


def _bytes(path, most, cut=False):
    """The bytes of a regular file of at most `most`; of a larger one the beginning, if it may be `cut`.

    Files in /proc are of size 0 until they are read, and some grow meanwhile, so what is read counts.
    """
    # Asked before, since a device may act on being opened (a watchdog); and after, since it may be another one by then.
    _only_regular(path, os.stat(path))
    # A named pipe does not wait for somebody at its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        info = os.fstat(descriptor)
        _only_regular(path, info)
        parts, left = [], most + 1
        while left and (cut or info.st_size <= most):
            parts.append(os.read(descriptor, min(left, _PIECE)))
            left -= len(parts[-1])
            if not parts[-1]:
                return b"".join(parts)
    finally:
        os.close(descriptor)
    if cut:
        return b"".join(parts)[:most]
    size = "%d MiB" % (most >> 20) if most >> 20 else "%d KiB" % (most >> 10)
    return fail(f"is larger than {size}, and is not read", _aside(path), path=path)


def _only_regular(path, info):
    if not stat.S_ISREG(info.st_mode):
        fail(f"is {kind(info)}, expected a regular file", _aside(path), path=path)


def kind(info):
    """What a file that is not a regular one is, in words."""
    return _KINDS.get(stat.S_IFMT(info.st_mode), "no file")


def _aside(path):
    word = quoted(path)
    return "see what it is: ls -ldL {}; then put it aside: mv {} {}".format(word, word, quoted(path + ".aside"))


def quoted(path):
    """A path as a word of sh."""
    import shlex  # where something is wrong only

    return shlex.quote(path)


def _unread(path, error):
    """Raise L2wgError of an OSError."""
    import errno

    word = quoted(path)
    if os.path.islink(path) and error.errno in (errno.ENOENT, errno.ELOOP):
        hint = f"see where to: namei -l {word}; make that, or delete the link: rm {word}"
        fail("is a symbolic link that leads nowhere", hint, path=path)
    hint = "is this root?" if error.errno in (errno.EACCES, errno.EPERM) else f"look at it: ls -ldL {word}"
    return fail(f"cannot be read: {error.strerror}", hint, path=path)


def write(path, text, mode=0o644, old=None):
    """Replace a file by `text`, so that any reader, even after a crash, finds the old or the new one whole.

    Mode, owner and extended attributes (ACL, SELinux) of an existing file are kept and a symbolic link goes on pointing
    at it; `mode` is a new file's. `old` is what the file had when `text` was made from it ("" where there was none):
    if somebody has changed it since, nothing is written, so that no line is lost.
    Raises L2wgError, with the file untouched, where that fails (no space, read-only, immutable, changed).
    """
    target = os.path.realpath(path)
    temporary = None
    try:
        try:
            there = os.stat(target)
        except FileNotFoundError:
            there = None
        if there is not None and not stat.S_ISREG(there.st_mode):
            if not (stat.S_ISFIFO(there.st_mode) or stat.S_ISSOCK(there.st_mode)):
                _only_regular(path, there)  # a rename would take the place of a device, too: /dev/null, by a link
            there = None  # nothing of it is kept
        # Same directory: rename(2) is atomic within one file system only. The leading dot hides it from `source *`.
        name = os.path.join(os.path.dirname(target), f".l2wg-{os.urandom(8).hex()}")
        # As tempfile(3py) does it, which costs an event as much to load as a command to run.
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        temporary = name
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if there is not None:
                os.fchown(file.fileno(), there.st_uid, there.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode) if there else mode)
            if there is not None:
                _copy_attributes(target, file.fileno())
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if old is not None and old != _now(target):
            fail("somebody has changed it just now; it is as they left it", "look at it, then try again", path=path)
        os.rename(temporary, target)
        temporary = None
        _sync_directory(os.path.dirname(target))
    except OSError as error:
        refused(path, error)
    finally:
        if temporary is not None:
            _remove(temporary)


def keep(path, text):
    """Write a file that nobody else reads, or have none where there is no text. Raises L2wgError.

    What is there and is not as we leave it, such as a link, goes.
    """
    try:
        if not text or not _is_kept(path):
            remove(path)
        if text:
            write(path, text, 0o600)
    except OSError as error:
        refused(path, error)


def kept(path):
    """What `keep` has written there; "" where that is something else."""
    try:
        return _text(path, OURS) if _is_kept(path) else ""
    except (OSError, L2wgError):
        return ""


def _is_kept(path):
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid() and stat.S_IMODE(info.st_mode) == 0o600


def refused(path, error):
    """Raise the L2wgError of an OSError that came while `path` was written."""
    fail(f"cannot be written: {error.strerror}; it is as it was", _cure(error), _code(error), path=path)


def _now(path):
    """`text` of a path, where that name means something else."""
    return text(path)


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
        fail(f"cannot be deleted: {error.strerror}", _cure(error), _code(error), path=path)


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
