"""sysctls of an interface that are about its network: what somebody has set for a port goes to its bridge with the address."""

import os
import stat

from l2wg_hooks.config import bridge_switches
from l2wg_hooks.system import files

ROOT = "/proc/sys"
# Where the switches of bridge_switches.py are.
SWITCHES = "/proc/sys/net"
FOLDERS = ("net/ipv4/conf", "net/ipv6/conf", "net/ipv4/neigh", "net/ipv6/neigh")
# The link's own; a secret, which only the kernel may make up; the same values in another unit; and what is no setting.
_APART = ("mtu", "stable_secret", "mc_forwarding", "base_reachable_time", "retrans_time", "hop_limit")
# These change others when they are set: first.
_FIRST = ("disable_ipv6", "forwarding")


def differing(port):
    """{(folder, name): value} of the port's sysctls that are not as `default` has them, in the order to set them in."""
    found = {}
    for folder in FOLDERS:
        names = _names(os.path.join(ROOT, folder, port))
        for name in sorted(names, key=lambda name: (name not in _FIRST, name)):
            value, usual = (files.glance(os.path.join(ROOT, folder, interface, name)).strip() for interface in (port, "default"))
            if name not in _APART and value and usual and value != usual:
                found[folder, name] = value
    return found


def now(interface, keys):
    """What an interface has of these (folder, name), as `differing` gives them; nothing of what it has not."""
    found = {(folder, name): files.glance(os.path.join(ROOT, folder, interface, name)).strip() for folder, name in keys}
    return {key: value for key, value in found.items() if value}


def _names(directory):
    try:
        found = os.listdir(directory)
        return [name for name in found if os.stat(os.path.join(directory, name)).st_mode & stat.S_IWUSR]
    except OSError:
        return []


def of_bridge(bridge):
    """{switch: value} of those of a bridge that the kernel has; none where it is not there."""
    # A kernel without IPv6 has not all of them.
    found = {
        switch: files.glance(os.path.join(SWITCHES, switch % bridge)).strip()
        for switch in dict(bridge_switches.SILENT, **bridge_switches.OWN)
    }
    return {switch: value for switch, value in found.items() if value}
