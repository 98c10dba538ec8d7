"""Which Ethernet port nobody uses, and what is behind a bridge.

debconf asks before the package is unpacked, so debian/judge.pl has the same rules in perl: tests/ports.py has the cases that
both are fed. A rule is changed in both, with a case.
"""

import glob
import os
import re

from l2wg_hooks.config.schema import NAME
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files, process

ROOT = "/"
# Who may use a port that has no address, and need not be running now. interfaces(5) is beside these.
USERS = (
    "etc/ppp/peers/*",
    "etc/ppp/pppoe.conf",
    "etc/netplan/*.yaml",
    "etc/systemd/network/*.network",
    "etc/systemd/network/*.network.d/*.conf",
    "run/systemd/network/*.network",
    "etc/systemd/nspawn/*.nspawn",
    "etc/NetworkManager/system-connections/*",
    "etc/hostapd/*.conf",
    "etc/libvirt/qemu/*.xml",
    "etc/libvirt/qemu/networks/*.xml",
    "var/lib/lxc/*/config",
)
# 802.1X goes by the file's name.
SUPPLICANTS = ("etc/wpa_supplicant/wpa_supplicant-wired-%s.conf", "etc/systemd/system/*/wpa_supplicant-wired@%s.service")
_UNMANAGED = re.compile(r"^[ \t]*Unmanaged[ \t]*=[ \t]*(yes|true|on|1)[ \t]*$", re.M | re.I)
# ETH_P_ALL is for who listens to everything, 88cc for LLDP: both say nothing of a use.
_IDLE_PROTOCOLS = ("0003", "88cc")
# Routes that an interface has by being up.
_OWN_ROUTES = ("local ", "broadcast ", "multicast ", "anycast ", "fe80:", "ff00:")


def is_hardware(name):
    """Whether it is an Ethernet port that one can plug something into, not a radio or a modem."""
    if not NAME.match(name) or not os.path.exists(_device(name, "device")) or _glance(_device(name, "type")) != "1":
        return False
    radio = any(os.path.exists(_device(name, sign)) for sign in ("wireless", "phy80211"))
    return not radio and _type(name) not in ("wlan", "wwan")


def use(name, addresses, defined):
    """What an Ethernet port is used for, in words; "" where it is free. `addresses` are its own, `defined` is ifupdown.Defined.

    A port in use need not have an address: PPPoE, 802.1X, VLANs, macvlan, MACsec and bonds leave it without one.
    """
    if addresses:
        return "carries an address"
    for sign in _names(_device(name)):
        if sign == "master" or sign.startswith("upper_"):
            return f"carries {sign[6:]}" if sign != "master" else "is a port of another interface"
    return _kernels_use(name) or _written_use(name, defined)


def _kernels_use(name):
    for family in ("-4", "-6"):
        for line in process.output("ip", family, "route", "show", "table", "all", "dev", name).splitlines():
            if line.strip() and not line.startswith(_OWN_ROUTES):
                return "carries a route"
    if any(row.split()[2:] == [name] for row in _lines("proc/net/pppoe")):
        return "carries PPPoE"
    index = _glance(_device(name, "ifindex"))
    for row in _lines("proc/net/packet"):
        words = row.split()
        if words[4:5] == [index] and words[3].lower() not in _IDLE_PROTOCOLS:
            return f"carries packets of protocol {words[3]}"
    # A second unicast address is that of a macvlan or an ipvlan; of one in another network namespace nothing else is seen here.
    own = _glance(_device(name, "address"))
    for line in process.output("bridge", "fdb", "show", "dev", name).splitlines():
        mac = line.partition(" ")[0]
        if re.match(r"[0-9a-f][02468ace]:", mac) and mac != own and " self" in line:
            return f"carries a second Ethernet address, {mac}"
    return ""


def _written_use(name, defined):
    named = re.compile(rf"(?:^|[^A-Za-z0-9_.-]|nic-|-[a-z]){re.escape(name)}(?:$|[^A-Za-z0-9_-])", re.M)
    found = [path for pattern in USERS for path in sorted(glob.glob(os.path.join(ROOT, pattern)))]
    for path in list(defined.paths) + found:
        text = re.sub("#.*", "", _glance(path))
        if named.search(text) and not _UNMANAGED.search(text):
            return f"is named in {path}"
    for pattern in SUPPLICANTS:
        for path in glob.glob(os.path.join(ROOT, pattern % name)):
            return f"is named by {path}"
    return ""


def leads_out(name, depth=8):
    """Whether there is hardware behind an interface, or a bond, by VLANs and bridges perhaps; not veth, tap or a tunnel."""
    if os.path.exists(_device(name, "device")) or _type(name) in ("bond", "team"):
        return True
    if _type(name) == "vxlan" or not depth:
        return False  # the card below carries its packets, not its frames
    lower = [sign[6:] for sign in _names(_device(name)) if sign.startswith("lower_")]
    # A VLAN's card may be in another network namespace.
    return any(leads_out(below, depth - 1) for below in lower) or (not lower and _type(name) == "vlan")


def guests(links, defined):
    """The bridges that programs have made for their own guests: no LAN is behind them, and no stanza defines them."""
    written = {stanza.interface for stanza in defined.stanzas}
    bridges = {link.name for link in links.values() if link.kind == "bridge"}
    return {name for name in bridges - written if not leads_out(name)}


def _device(name, *below):
    return os.path.join(ROOT, "sys/class/net", name, *below)


def _type(name):
    found = re.search(r"^DEVTYPE=(\S+)$", _glance(_device(name, "uevent")), re.M)
    return found.group(1) if found else ""


def _names(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _lines(path):
    return files.glance(os.path.join(ROOT, path)).splitlines()


def _glance(path):
    """What a file says; "" where it is none that can be read."""
    try:
        return files.read(path).strip()
    except L2wgError:
        return ""
