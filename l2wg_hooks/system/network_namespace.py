"""An empty network namespace for a moment: what is done there concerns nobody, and nobody is there to change it."""

import ctypes
import os
import threading

# include/uapi/linux/sched.h
CLONE_NEWNET = 0x40000000


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
