"""The stage of a rehearsal: namespaces of its own, a copy of the file system, no device, no daemon. All system calls are here.

Whoever is on it can change nothing outside: mounts, processes, IPC, the host's name and the network are its own, what it writes
goes to a tmpfs over the root file system, /run and /dev are new, /proc and /sys take nothing but what is the network's, and no
capability is left that would reach further. All of it is gone with the process that has asked for it, however that ends.
"""

import ctypes
import errno
import json
import os
import re
import select
import signal
import time

from l2wg_hooks.system import files

# Names and numbers of sched.h, sys/mount.h, linux/prctl.h and linux/capability.h.
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 1, 24
CAP_LAST = 63
# chown, dac_override, dac_read_search, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_broadcast, net_admin,
# net_raw
CAPABILITIES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13)

DEVICES = ("null", "zero", "random", "urandom", "tty")
# What may be a file system of its own, and is copied along.
FOLDERS = re.compile(
    r"/(?:usr|usr/local|usr/lib|var|var/lib|var/lib/l2wg|etc|etc/network|etc/wireguard|etc/l2wg|opt|root|bin|sbin|lib\w*)\Z"
)
# Of /proc, what is not about processes and can be written to; net, of sys, is the network namespace's.
READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
SIZE = "mode=755,size=64m"
# A pipe's worth, and no more than that, of memory for what a rehearsal says.
MOST = 16 * 1024 * 1024

NETWORK = "/run/stage"
# Seconds for processes that were killed to be gone.
GRACE = 5

_LIBC = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """There is no stage to be had here; its text says why."""


def play(work, seconds):
    """What `work(stage)` gives on a stage, as JSON has it. Raises Unavailable where there is none, or after so many seconds."""
    read, write = os.pipe()
    here = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            _manage(here, write, work)
        finally:
            os._exit(1)
    os.close(write)
    try:
        text = _answer(read, time.monotonic() + seconds)
    finally:
        # With it dies the first process of the namespace, and with that all others. The pipe is closed when they are gone.
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        _answer(read, time.monotonic() + GRACE)
        os.close(read)
    if text is None:
        raise Unavailable("it did not come to its end within %d s" % seconds)
    try:
        found = json.loads(text)
    except ValueError:
        raise Unavailable("it ended before its time")
    if "why" in found:
        raise Unavailable(found["why"])
    return found["found"]


def _answer(read, end):
    """What comes through a pipe until it is closed; None where that takes too long."""
    parts = []
    while True:
        ready, _, _ = select.select([read], [], [], max(0, end - time.monotonic()))
        if not ready:
            return None
        part = os.read(read, 1 << 16)
        if not part:
            return b"".join(parts).decode("ascii", "replace")
        parts.append(part)
        if sum(map(len, parts)) > MOST:
            return None


def _say(write, **found):
    text = json.dumps(found).encode("ascii")
    while text:
        text = text[os.write(write, text) :]
    os.close(write)


def _manage(caller, write, work):
    """In the child: make the namespaces, and stay to be killed with the caller."""
    # A key at the caller's terminal is for the caller.
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _control(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != caller:
        return
    asked, answered = os.pipe(), os.pipe()
    _keep_only(write, *asked, *answered)
    try:
        _call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
    except OSError as error:
        _say(write, why=f"no namespaces are to be had here: {error.strerror}")
        return
    first = os.fork()
    if first == 0:
        try:
            _control(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(asked[0])
            os.close(answered[1])
            # Where its parent still answers, the line above came in time.
            os.write(asked[1], b"?")
            if os.read(answered[0], 1) == b"!":
                _perform(write, work)
        finally:
            os._exit(1)
    os.close(asked[1])
    os.close(answered[0])
    # The pipe to the caller stays open here: it ends when all of the namespace has ended.
    if os.read(asked[0], 1):
        os.write(answered[1], b"!")
    os.waitpid(first, 0)


def _keep_only(*descriptors):
    """Close all others, so that no lock of the caller's is held by whoever is started; standard ones lead nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number > 2 and number not in descriptors:
            try:
                os.close(number)
            except OSError:  # that by which the folder was read
                pass


def _perform(write, work):
    """In the first process of the new namespace: the stage, then what is to be played on it."""
    try:
        stage = Stage()
    except OSError as error:
        _say(write, why="{}: {}".format(error.filename or "no copy of the file system is to be had here", error.strerror))
        return
    except Unavailable as error:
        _say(write, why=str(error))
        return
    try:
        found = work(stage)
    except Unavailable as error:
        _say(write, why=str(error))
    except Exception as error:  # a bug must not be taken for a fault of the router's
        _say(write, why=f"{type(error).__name__}: {error}")
    else:
        _say(write, found=found)
    os._exit(0)


class Stage:
    """The stage that this process stands on: `network` is its own network namespace, `behind` where the far ends of wires are."""

    def __init__(self):
        try:
            _mount("none", "/", None, MS_REC | MS_PRIVATE)
        except OSError as error:  # what is mounted from now on would be seen outside
            raise Unavailable(f"/ is not a mount of its own, as in a chroot: {error.strerror}")
        there = [name for name in _mounts() if FOLDERS.match(name)]
        # In this namespace only: nobody outside sees it, and nothing is left of it.
        _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, SIZE)
        for name in ("upper", "work", "root"):
            os.mkdir("/run/" + name)
        _copy("/", "/run/root", "/run/upper", "/run/work")
        for number, name in enumerate(sorted(there)):
            layer = "/run/%d" % number
            os.mkdir(layer)
            os.mkdir(layer + "/upper")
            os.mkdir(layer + "/work")
            _copy(name, "/run/root" + name, layer + "/upper", layer + "/work")
        os.chdir("/run/root")
        _devices()
        _mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        _mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        _mount("tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV, SIZE)
        _mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")
        for name in ("run/lock", "run/network"):
            os.mkdir(name)
        _bound("proc/sys/net")
        for name in READ_ONLY:
            if os.path.exists("proc/" + name):
                _bound("proc/" + name, MS_RDONLY, over=name != "sys")
        # These two show nothing but the network namespace's; bonds are made by a file in the first.
        _bound("sys/class/net")
        _bound("sys/devices/virtual/net")
        _mount("none", "sys", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        os.chroot(".")
        os.chdir("/")
        os.umask(0o022)
        self.network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        # A name of it for ip(8), who may not look into a process that has more rights.
        os.close(os.open(NETWORK, os.O_WRONLY | os.O_CREAT, 0o600))
        _mount("/proc/self/ns/net", NETWORK, None, MS_BIND)
        _call("unshare", CLONE_NEWNET)
        self.behind = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.enter(self.network)
        for number in range(CAP_LAST + 1):
            if number not in CAPABILITIES:
                try:
                    _control(PR_CAPBSET_DROP, number)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # the kernel knows fewer
                        raise

    @staticmethod
    def enter(network):
        """Go to a network namespace, with all commands that are run from now on."""
        _call("setns", network, CLONE_NEWNET)

    @staticmethod
    def clear():
        """End all that is still running here but this process."""
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            while os.waitpid(-1, 0):
                pass
        except ChildProcessError:
            pass


def _copy(path, target, upper, work):
    """Mount a copy of `path` at `target`: read from there, written to `upper`."""
    options = f"lowerdir={path},upperdir={upper},workdir={work}"
    try:
        _mount("overlay", target, "overlay", MS_NODEV, options)
    except OSError as error:
        raise Unavailable(f"no copy of {path} is to be had: overlay: {error.strerror}")


def _bound(path, flags=0, over=True):
    """Make `path` a mount of its own; with `over` False it is one that has others below it."""
    _mount(path, path, None, MS_BIND | (0 if over else MS_REC))
    if flags:
        _mount("none", path, None, MS_REMOUNT | MS_BIND | flags | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _devices():
    _mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k")
    for name in DEVICES:
        if os.path.exists("/dev/" + name):
            os.close(os.open("dev/" + name, os.O_WRONLY | os.O_CREAT, 0o666))
            _mount("/dev/" + name, "dev/" + name, None, MS_BIND)
    for name, to in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(to, "dev/" + name)


def _mounts():
    """Where file systems are mounted, as this process sees them."""
    rows = [line.split(" ") for line in files.glance("/proc/self/mountinfo").splitlines()]
    return {re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), row[4]) for row in rows if len(row) > 4}


def _mount(source, target, kind, flags, options=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    _call("mount", words[0], words[1], words[2], ctypes.c_ulong(flags), words[3], path=target)


def _control(option, value):
    _call("prctl", option, *(ctypes.c_ulong(number) for number in (value, 0, 0, 0)))


def _call(name, *arguments, path=None):
    if getattr(_LIBC, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path or name)
