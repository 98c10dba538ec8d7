"""Network namespaces: whether this is the first one, and an empty one for a moment, in which nobody is to change anything."""

import ctypes
import os
import threading

# include/uapi/linux/sched.h
CLONE_NEWNET = 0x40000000
FIRST, OWN = "/proc/1/ns/net", "/proc/self/ns/net"


def is_first():
    """Whether this is the network of the machine's init, whose udev and systemd are about it: no container's, nor a test's."""
    try:
        return os.readlink(FIRST) == os.readlink(OWN)
    except OSError:
        return False


def alone(work):
    """What `work()` returns, called in a network namespace of its own, as are the commands that it starts.

    The namespace goes with the last of them. Raises OSError where the kernel, or a container, forbids to make one; then
    `work` is not called. What `work` raises is raised here.
    """
    found = {}

    def enter():
        # A thread of its own, since unshare(2) is about the calling thread, and there is no way back that needs no file.
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            found["result"] = work()
        except BaseException as error:  # raised again by the caller's thread
            found["error"] = error

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if "error" in found:
        raise found["error"]
    return found["result"]
