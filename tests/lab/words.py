"""What goes wrong in the lab, told in a line with a cure to who has typed a command: no traceback (but with L2WG_TRACEBACK=1)."""

import contextlib
import os
import subprocess
import sys

import vm

PRIVILEGES = "the lab makes network namespaces and taps: run it as root, and in a container with --privileged"


def told(error):
    """(fact, cure) of an exception that is the machine's doing, or None: then it is our mistake, and a traceback helps."""
    if isinstance(error, FileNotFoundError) and error.filename == "/dev/net/tun":
        return "there is no /dev/net/tun", "modprobe tun; mkdir -p /dev/net; mknod /dev/net/tun c 10 200"
    if isinstance(error, FileNotFoundError) and error.filename and "/" not in str(error.filename):
        where = "https://packages.debian.org/file:%s tells which package has it" % error.filename
        return "the command %s is not installed" % error.filename, where + "; the list NEEDS in tests/lab should name it"
    if isinstance(error, PermissionError):
        return "not allowed: %s" % error, PRIVILEGES
    if isinstance(error, subprocess.CalledProcessError):
        words = [str(word) for word in error.cmd] if isinstance(error.cmd, (list, tuple)) else [str(error.cmd)]
        fact = "%s has failed (exit status %s)" % (" ".join(words), error.returncode)
        if words[0].endswith("/tests/need"):
            return fact, "what it says above; it takes packages from your apt sources: apt-get update"
        return fact, PRIVILEGES if words[0] in ("ip", "unshare", "mount") else "what it says above"
    if isinstance(error, vm.BootFailed):
        return str(error), "try again when the machine is less busy; a full disk shows in df -h ~/.cache /tmp"
    if isinstance(error, (vm.CommandFailed, subprocess.TimeoutExpired, AssertionError)):
        return str(error).rstrip(), "the rest of what happened: L2WG_TRACEBACK=1"
    if isinstance(error, OSError):
        return str(error), "df -h ~/.cache /tmp shows whether there is room"
    return None


@contextlib.contextmanager
def of(name):
    """End the program by `name: fact` and a hint."""
    try:
        yield
    except Exception as error:
        words = None if os.environ.get("L2WG_TRACEBACK") else told(error)
        if not words:
            raise
        sys.stdout.flush()
        sys.stderr.write("%s: %s\n  hint: %s\n" % ((name,) + words))
        raise SystemExit(1) from None
