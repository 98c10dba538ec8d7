"""NetworkManager: what it takes for its own, though it is l2wg's."""

import os

from l2wg_hooks.system import files, process

# A file for each interface, by its index. Private to NetworkManager, so it only says whether to ask.
DEVICES = "/run/NetworkManager/devices"


def managed(names):
    """Those of `names` that NetworkManager manages. No process is started where it marks none of them."""
    if not any(_marked(name) for name in names):
        return ()
    states = dict(
        line.rpartition(":")[::2] for line in process.output("nmcli", "-t", "-f", "DEVICE,STATE", "device").splitlines()
    )
    return tuple(name for name in names if not states.get(name, "unmanaged").startswith("unmanaged"))


def _marked(name):
    index = files.of_link(name, "ifindex")
    return bool(index) and "managed=true" in files.glance(os.path.join(DEVICES, index)).splitlines()
