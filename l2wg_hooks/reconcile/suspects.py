"""Who has likely undone what the watch puts right: services that were started, stopped or reloaded just before."""

import re
import time

from l2wg_hooks.system import process, units

# Whoever loads rules, or takes interfaces for theirs, when it does so.
UNITS = (
    "nftables.service",
    "firewalld.service",
    "ufw.service",
    "netfilter-persistent.service",
    "shorewall.service",
    "shorewall6.service",
    "ferm.service",
    "firewall.service",
    "docker.service",
    "libvirtd.service",
    "NetworkManager.service",
    "systemd-networkd.service",
    "networking.service",
    "systemd-sysctl.service",
)
ASK = ("show", "-p", "Id", "-p", "ActiveState", "-p", "StateChangeTimestampMonotonic") + UNITS
# Seconds: two looks, and what one takes.
RECENT = 75
STOPPED = ("inactive", "failed")


def recent(text, now):
    """[(unit, seconds ago, its state)] of what `systemctl show` printed, the latest first; `now` is microseconds. Pure."""
    found = {}
    for block in text.split("\n\n"):
        known = dict(line.partition("=")[::2] for line in block.splitlines())
        unit, since = known.get("Id", ""), known.get("StateChangeTimestampMonotonic", "")
        if unit in UNITS and re.match(r"[1-9][0-9]{0,17}\Z", since) and 0 <= now - int(since) <= RECENT * 10**6:
            found[unit] = ((now - int(since)) // 10**6, known.get("ActiveState", ""))
    return sorted(((unit, ago, state) for unit, (ago, state) in found.items()), key=lambda row: row[1])


def words(found):
    """The same in words; "" for none. Pure."""
    told = [f"{unit} ({'stopped' if state in STOPPED else 'started'} {ago} s before)" for unit, ago, state in found]
    return "likely by " + " or ".join(told) if told else ""


def ask():
    """Those of now; none where there is no systemd."""
    return recent(process.output(units.command("systemctl"), *ASK), time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
