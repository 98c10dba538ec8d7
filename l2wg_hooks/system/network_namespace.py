"""Work in another network namespace: an empty one for a moment, or one that has a name."""

import _thread
import os

from l2wg_hooks.model import NAMESPACE

# include/uapi/linux/sched.h
CLONE_NEWNET = 0x40000000
# Where ip-netns(8) keeps the names.
NAMES = "/run/netns"
FIRST, OWN = "/proc/1/ns/net", "/proc/self/ns/net"
# include/uapi/linux/rtnetlink.h, include/uapi/linux/net_namespace.h
RTM_NEWNSID, RTM_GETNSID, NLM_F_REQUEST, NETNSA_NSID, NETNSA_FD = 88, 90, 1, 1, 3


def is_first():
    """Whether this is the network of the machine's init, whose udev and systemd are about it: no container's, nor a test's."""
    try:
        return os.readlink(FIRST) == os.readlink(OWN)
    except OSError:
        return False


def path(name):
    """The file of a network namespace that ip-netns(8) knows by name."""
    return os.path.join(NAMES, name)


def number(name):
    """What this network namespace calls the named one, as `ip -json link` prints it (link_netnsid); None where it knows it not.

    Raises OSError where there is none of that name.
    """
    import struct

    from l2wg_hooks.system import raw_socket

    descriptor = os.open(path(name), os.O_RDONLY)
    try:
        with raw_socket.Socket(raw_socket.AF_NETLINK, raw_socket.SOCK_RAW, raw_socket.NETLINK_ROUTE) as route:
            message = struct.pack("=B3xHHI", raw_socket.AF_UNSPEC, 8, NETNSA_FD, descriptor)
            route.send(struct.pack("=IHHII", 16 + len(message), RTM_GETNSID, NLM_F_REQUEST, 1, 0) + message)
            answer = route.recv(1 << 12)
    finally:
        os.close(descriptor)
    at = 20  # behind struct nlmsghdr and struct rtgenmsg, which is padded to 4 bytes
    if struct.unpack_from("=IH", answer)[1] != RTM_NEWNSID:
        raise OSError(f"{path(name)} is not a network namespace")
    while at + 8 <= len(answer):
        size, kind, value = struct.unpack_from("=HHi", answer, at)
        if kind == NETNSA_NSID:
            return value if value >= 0 else None
        at += max(4, size + 3 & ~3)
    return None


def of(device):
    """The name of the network namespace that a device is in: "" for the caller's, and where nobody has such a device."""
    import socket

    try:
        socket.if_nametoindex(device)
        return ""
    except OSError:
        return NAMESPACE if os.path.exists(path(NAMESPACE)) else ""


def by(device, work):
    """What `work()` returns, called in the network namespace that has the device: a socket stays where it was made."""
    try:
        return within(of(device), work) if of(device) else work()
    except FileNotFoundError:  # it has gone this moment
        return work()


def within(name, work):
    """What `work()` returns, called in the network namespace of that name, as are the commands that it starts.

    Raises OSError where there is none of that name; then `work` is not called. What `work` raises is raised here.
    """

    def enter():
        descriptor = os.open(path(name), os.O_RDONLY)
        try:
            _call("setns", descriptor, CLONE_NEWNET)
        finally:
            os.close(descriptor)

    return _elsewhere(enter, work)


def alone(work):
    """What `work()` returns, called in a network namespace of its own, as are the commands that it starts.

    The namespace goes with the last of them. Raises OSError where the kernel, or a container, forbids to make one; then
    `work` is not called. What `work` raises is raised here.
    """
    return _elsewhere(lambda: _call("unshare", CLONE_NEWNET), work)


def _call(function, *arguments):
    import ctypes  # slow to start, and most events have no use for it

    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        reason = ctypes.get_errno()
        raise OSError(reason, os.strerror(reason))


def _elsewhere(enter, work):
    """What `work()` returns, called when `enter()` has taken a thread to another network namespace."""
    found = {}
    done = _thread.allocate_lock()
    done.acquire()

    def run():
        # A thread of its own, since unshare(2) and setns(2) are about the calling thread, and it has no way back.
        try:
            enter()
            found["result"] = work()
        except BaseException as error:  # raised again by the caller's thread
            found["error"] = error
        finally:
            done.release()

    # Not by threading(3py), which would be loaded for that alone.
    _thread.start_new_thread(run, ())
    done.acquire()
    if "error" in found:
        raise found["error"]
    return found["result"]
