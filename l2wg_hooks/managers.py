"""systemd-networkd and dhcpcd: what they take for their own, though it is l2wg's. For `l2wg check`."""

import fnmatch
import glob
import re

from l2wg_hooks import run

NETWORKD = "/run/systemd/netif/links"
DHCPCD = "/etc/dhcpcd.conf"
# Of the one that looks after all interfaces; one that was started for an interface has its name in there.
DHCPCD_PIDS = ("/run/dhcpcd/pid", "/run/dhcpcd.pid")


def networkd(names):
    """Those of `names` that systemd-networkd manages."""
    if not glob.glob(NETWORKD + "/*"):
        return ()
    states = {}
    for line in run.output("networkctl", "--no-pager", "--no-legend", "list").splitlines():
        words = re.sub(r"\x1b\[[0-9;]*m", "", line).replace("\u25cf", " ").split()
        if len(words) == 5:  # IDX LINK TYPE OPERATIONAL SETUP
            states[words[1]] = words[4]
    return tuple(name for name in names if states.get(name, "unmanaged") not in ("unmanaged", "n/a", "linger"))


def dhcpcd(names):
    """Those of `names` that the dhcpcd of all interfaces asks for leases on."""
    for path in DHCPCD_PIDS:
        if _read("/proc/%s/comm" % _read(path).strip()).strip() == "dhcpcd":
            return tuple(name for name in names if dhcpcd_takes(_read(DHCPCD), name))
    return ()


def dhcpcd_takes(text, name):
    """Whether dhcpcd with this dhcpcd.conf(5) looks after an Ethernet interface: denied ones and bridges it leaves alone."""
    allowed, denied = [], []
    for line in text.splitlines():
        words = line.partition("#")[0].replace(",", " ").split()
        if words[:1] == ["interface"]:
            break  # what follows is for that one only
        if words[:1] in (["denyinterfaces"], ["allowinterfaces"]):
            (denied if words[0][0] == "d" else allowed).extend(words[1:])
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in denied):
        return False
    return not allowed or any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):
        return ""
