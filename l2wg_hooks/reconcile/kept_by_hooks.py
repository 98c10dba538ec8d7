"""The line of names that the hooks keep of the tunnels' files, and believe by their times (etc/l2wg/ours).

They see when a file was written, as it says. `cp -p` onto a file gives it an older time, and a clock that was put back gives all
that comes after one: sh cannot see that, so each event looks, and the look of the watch that has seen another file.
"""

import os
import time

from l2wg_hooks.config import store
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files

PATH = "/run/l2wg.ours"


def check():
    """Have the hooks read the files again where that line may be older than one of them. No event fails for it."""
    try:
        kept = os.lstat(PATH).st_mtime
    except OSError:
        return
    try:
        changed = [os.stat(store.path(name)).st_ctime for name in store.sources()] + [os.stat(store.DIRECTORY).st_ctime]
        if kept <= time.time() and kept > max(changed):
            return
        files.remove(PATH)
    except (OSError, L2wgError):  # a file that has gone this moment, or a link that leads nowhere: that the hooks see
        pass
