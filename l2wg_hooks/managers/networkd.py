"""systemd-networkd: what it takes for its own, though it is l2wg's. For `l2wg check`."""

import glob
import re

from l2wg_hooks.system import process

NETWORKD = "/run/systemd/netif/links"


def networkd(names):
    """Those of `names` that systemd-networkd manages."""
    if not glob.glob(NETWORKD + "/*"):
        return ()
    states = {}
    for line in process.output("networkctl", "--no-pager", "--no-legend", "list").splitlines():
        words = re.sub(r"\x1b\[[0-9;]*m", "", line).replace("\u25cf", " ").split()
        if len(words) == 5:  # IDX LINK TYPE OPERATIONAL SETUP
            states[words[1]] = words[4]
    return tuple(name for name in names if states.get(name, "unmanaged") not in ("unmanaged", "n/a", "linger"))
