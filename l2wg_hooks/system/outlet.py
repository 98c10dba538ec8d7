"""A file that the command line names, for root to write: in one move, and by no link that somebody else has put in the way.

fs.protected_symlinks would not do: it is about sticky directories only, and a file that is replaced as a whole is looked up by
realpath(3), which reads links and opens none.
"""

import os
import stat

from l2wg_hooks.errors import fail
from l2wg_hooks.system import files

# Of links on the way, as the kernel has it (MAXSYMLINKS in include/linux/namei.h).
LINKS = 40
# Our own descriptors: where /dev/stdout and /dev/fd/N lead.
DESCRIPTORS = "/proc/self/fd"


class _Way:
    """The way to a file: `folder`, a descriptor, its `name` in there, and what os.fstat says of it, None where it is new."""

    def __init__(self, path, folder):
        self.path, self.folder, self.name, self.there = path, folder, "", None

    def enter(self, folder):
        """Go on from another folder."""
        os.close(self.folder)
        self.folder = folder


def write(path, text):
    """Put `text` into the file `path`, or on the descriptor or device that it names.

    A link on the way is followed only if it is root's or the caller's, and nobody else can have moved it there. Mode and owner
    of a file of theirs are kept; else it is the caller's, 0644. Raises L2wgError, with nothing written.
    """
    data = text.encode("utf-8", "surrogateescape")
    try:
        way = _find(path)
        try:
            _put(way, data)
        finally:
            os.close(way.folder)
    except OSError as error:
        files.refused(path, error)


def _find(path):
    """The _Way to `path`, link by link. Each folder is held open, so nobody can put another one in its place meanwhile."""
    way = _Way(path, _root() if path.startswith("/") else os.open(".", os.O_PATH | os.O_DIRECTORY))
    try:
        rest, links = _parts(path), 0
        if not rest:
            fail("is a directory, expected a file", "name a file in it", path=path)
        while rest:
            way.name, way.there = rest.pop(0), None
            if not rest and _is_descriptor(way):
                break
            try:
                found = os.open(way.name, os.O_PATH | os.O_NOFOLLOW, dir_fd=way.folder)
            except FileNotFoundError:
                if rest:
                    raise
                break
            info = os.fstat(found)
            if stat.S_ISLNK(info.st_mode):
                try:
                    target = _followed(way, found, info)
                finally:
                    os.close(found)
                links += 1
                if links > LINKS:
                    fail("leads through more than %d symbolic links" % LINKS, "name the file itself", path=path)
                if target.startswith("/"):
                    way.enter(_root())
                rest = _parts(target) + rest
            elif rest:
                way.enter(found)  # where it is no directory, the next step says so
            else:
                way.there = info
                os.close(found)
        return way
    except BaseException:
        os.close(way.folder)
        raise


def _root():
    return os.open("/", os.O_PATH | os.O_DIRECTORY)


def _parts(path):
    """The steps of a path; that of a directory ends with one, which is no file's name."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return parts + ["."] if path.endswith(("/", "/.")) else parts


def _is_trusted(info):
    return info.st_uid in (0, os.geteuid())


def _is_shared(info):
    """Whether others than root and the caller may put something into a folder."""
    return not _is_trusted(info) or bool(info.st_mode & 0o022)


def _followed(way, found, info):
    """Where a link leads. Raises L2wgError for one of somebody else's, or whose name there is not the only one that it has."""
    target = os.readlink("", dir_fd=found)
    if not _is_trusted(info):
        why = "the user %d's" % info.st_uid
    elif info.st_nlink > 1 and _is_shared(os.fstat(way.folder)):
        why = "in a directory for others and has another name, too, so that they may have put it there"
    else:
        return target
    message = "the symbolic link %s on the way to it, which leads to %s, is not followed: it is %s; nothing was written"
    hint = "name a file in a directory that only root may write, such as /root; whose are the links? namei -l "
    hint += files.quoted(way.path)
    return fail(message % (way.name, target, why), hint, path=way.path)


def _is_descriptor(way):
    """Whether a way ends at one of our own descriptors: a link that only the kernel can follow."""
    try:
        ours, folder = os.stat(DESCRIPTORS), os.fstat(way.folder)
    except OSError:
        return False
    return way.name.isdigit() and (ours.st_dev, ours.st_ino) == (folder.st_dev, folder.st_ino)


def _put(way, data):
    there = way.there
    if there is None and _is_descriptor(way):
        _all(int(way.name), data)
        return
    if there is not None and not stat.S_ISREG(there.st_mode):
        _onto(way, data)
        return
    folder = os.fstat(way.folder)
    if there is not None and not _is_trusted(there) and folder.st_mode & stat.S_ISVTX and _is_shared(folder):
        # As with fs.protected_regular.
        message = "is a file of the user %d in a directory for everybody; nothing was written" % there.st_uid
        word = files.quoted(way.path)
        fail(message, f"see what it is: ls -l {word}; then delete it: rm {word}, or name another file", path=way.path)
    keep = there if there is not None and _is_trusted(there) and there.st_nlink == 1 else None
    _replace(way, data, keep)


def _replace(way, data, keep):
    """A file of a random name beside it, renamed when it is whole."""
    temporary = ".l2wg-" + os.urandom(6).hex()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600, dir_fd=way.folder)
    try:
        try:
            if keep is not None:
                os.fchown(descriptor, keep.st_uid, keep.st_gid)
            # No set-user-ID bit comes along.
            os.fchmod(descriptor, keep.st_mode & 0o777 if keep is not None else 0o644)
            _all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, way.name, src_dir_fd=way.folder, dst_dir_fd=way.folder)
    except BaseException:
        os.unlink(temporary, dir_fd=way.folder)
        raise


def _onto(way, data):
    """Write to what cannot be replaced: a device for characters of root's, such as /dev/null and /dev/tty."""
    info = way.there
    if not stat.S_ISCHR(info.st_mode) or not _is_trusted(info):
        hint = f"name a regular file, or leave the writing to the shell: l2wg ... >{files.quoted(way.path)}"
        fail(f"is {files.kind(info)}, expected a regular file; nothing was written", hint, path=way.path)
    descriptor = os.open(way.name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=way.folder)
    try:
        now = os.fstat(descriptor)
        if (now.st_mode, now.st_rdev) != (info.st_mode, info.st_rdev):
            fail("was replaced just now; nothing was written", "try again", path=way.path)
        os.set_blocking(descriptor, True)
        _all(descriptor, data)
    finally:
        os.close(descriptor)


def _all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]
