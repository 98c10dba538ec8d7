"""Who makes bridges on a router without ifupdown, and that manager's own words for one with these ports.

l2wg defines a bridge for ifupdown only: it tells nobody else's network what to be.
"""

import glob
import os

from l2wg_hooks.managers import ifupdown_state, networkd, networkmanager
from l2wg_hooks.system import units
from l2wg_hooks.typed import NamedTuple, Tuple

NETPLAN = "/etc/netplan"
NETWORKD = ("/etc/systemd/network", "/run/systemd/network")
UNIT = "networking.service"


class Wanted(NamedTuple):
    """A bridge that is to be made: `address` has its prefix length, or is ""."""

    name: str
    ports: Tuple[str, ...]
    address: str = ""


def other():
    """(name, words) of the manager that has the network instead of ifupdown; None where ifupdown has it, or nobody."""
    if ifupdown_state.is_installed() and _is_enabled():
        return None
    if glob.glob(NETPLAN + "/*.yaml"):
        return "netplan", by_netplan
    files = [path for folder in NETWORKD for path in glob.glob(folder + "/*.network")]
    if files and os.path.isdir(networkd.NETWORKD):
        return "systemd-networkd", by_networkd
    if os.path.isdir(networkmanager.DEVICES):
        return "NetworkManager", by_networkmanager
    return ("systemd-networkd", by_networkd) if os.path.isdir(networkd.NETWORKD) else None


def _is_enabled():
    """Whether systemd starts ifupdown at boot."""
    return not units.is_masked(UNIT) and bool(glob.glob(os.path.join(units.ADMINS, "*.wants", UNIT)))


def by_networkd(bridge):
    address = rf"Address={bridge.address}\n" if bridge.address else r"LinkLocalAddressing=no\n"
    texts = {
        f"{bridge.name}.netdev": rf"[NetDev]\nName={bridge.name}\nKind=bridge\n",
        f"{bridge.name}.network": rf"[Match]\nName={bridge.name}\n\n[Network]\n{address}\n[Link]\nRequiredForOnline=no\n",
    }
    ports = r"[Match]\nName={}\n\n[Network]\nBridge={}\n\n[Link]\nRequiredForOnline=no\n"
    texts[f"10-{bridge.name}-ports.network"] = ports.format(" ".join(bridge.ports), bridge.name)
    written = [f"printf '{text}' >/etc/systemd/network/{name}" for name, text in texts.items()]
    return " && ".join(written + ["systemctl restart systemd-networkd"])


def by_networkmanager(bridge):
    family = "ipv6" if ":" in bridge.address else "ipv4"
    ways = {"ipv4": "disabled", "ipv6": "ignore"}
    methods = " ".join(f"{name}.method {way}" for name, way in ways.items() if not (bridge.address and name == family))
    address = f" {family}.method manual {family}.addresses {bridge.address}" if bridge.address else ""
    made = [f"nmcli connection add type bridge con-name {bridge.name} ifname {bridge.name} bridge.stp no {methods}{address}"]
    for port in bridge.ports:
        made.append(f"nmcli device set {port} managed yes")
        made.append(f"nmcli connection add type bridge-slave con-name {port} ifname {port} master {bridge.name}")
        made.append(f"nmcli connection up {port}")
    return " && ".join(made)


def by_netplan(bridge):
    ports = "".join(rf"    {port}: {{dhcp4: false, link-local: []}}\n" for port in bridge.ports)
    address = f"addresses: [{bridge.address}]" if bridge.address else "link-local: []"
    options = "interfaces: [{}], dhcp4: false, {}, optional: true".format(", ".join(bridge.ports), address)
    text = rf"network:\n  version: 2\n  ethernets:\n{ports}  bridges:\n    {bridge.name}: {{{options}}}\n"
    path = f"{NETPLAN}/60-{bridge.name}.yaml"
    return f"printf '{text}' >{path} && chmod 600 {path} && netplan apply"
