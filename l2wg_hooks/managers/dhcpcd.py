"""dhcpcd as the manager of all interfaces: what it takes for its own, though it is l2wg's, and how it lets go.

It has neither drop-ins nor a hook that can veto, and dhcpcd.conf is the admin's. But it reads commands from a socket, and
one that waits there when its hook comes back is done before the first packet goes out. Where it has stopped listening (as
9.4.1 has after any `dhcpcd -n NAME`), its questions do not leave the tunnel.
"""

import fnmatch
import re
import socket

from l2wg_hooks.errors import Problem
from l2wg_hooks.system import files, log, process

CONFIG = "/etc/dhcpcd.conf"
# Of the one that looks after all interfaces; one that was started for an interface has its name in there.
PIDS = ("/run/dhcpcd/pid", "/run/dhcpcd.pid")
# Since 9.0, and before (CONTROLSOCKET in its src/defs.h and src/control.c).
SOCKETS = ("/run/dhcpcd/sock", "/run/dhcpcd.sock")
# What a process runs.
PROGRAM = "/proc/%s/comm"
# Seconds to wait for a place in the socket's queue. Nobody reads it while a hook runs, so no answer is waited for.
PATIENCE = 2


def managed(names):
    """Those of `names` that the dhcpcd of all interfaces looks after at this moment."""
    for path in PIDS:
        if files.glance(PROGRAM % files.glance(path).strip()).strip() == "dhcpcd":
            text = files.glance(CONFIG)
            taken = [name for name in names if takes(text, name)]
            # All that it is at work with, in one answer: asked for one that it has let go of, 9.4.1 keeps the line.
            active = process.output("dhcpcd", "-U").split() if taken else ()
            return tuple(name for name in taken if "interface=" + name in active)
    return ()


def takes(text, name):
    """Whether dhcpcd with this dhcpcd.conf(5) looks after an Ethernet interface: denied ones and bridges it leaves alone."""
    allowed, denied = [], []
    for line in text.splitlines():
        words = line.partition("#")[0].replace(",", " ").split()
        if words[:1] == ["interface"]:
            break  # what follows is for that one only
        if words[:1] in (["denyinterfaces"], ["allowinterfaces"]):
            (denied if words[0][0] == "d" else allowed).extend(words[1:])
    if any(_fits(name, pattern) for pattern in denied):
        return False
    return not allowed or any(_fits(name, pattern) for pattern in allowed)


def _fits(name, pattern):
    try:
        return fnmatch.fnmatchcase(name, pattern)
    except re.error:  # before Python 3.9 a range such as [z-a], which nothing fits
        return False


def release(name):
    """Have dhcpcd let go of `name`, with what it may have leased. Nothing happens where it has not begun with it."""
    # By hand, since dhcpcd 9.4.1 looks for a process of that interface's own when `dhcpcd -k NAME` is run. And
    # followed by a question, since it keeps the line of a caller that gets no answer (privsep-control.c): whoever comes next
    # would be refused, as after its own `dhcpcd -n NAME`.
    message = b"dhcpcd\0--release\0%s\n\0--version\n\0" % name.encode()
    for path in SOCKETS:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(PATIENCE)
                line.connect(path)
                line.sendall(message)
        except OSError:  # none there, or another version's
            continue
        log.note("told to let go of it")


# What a DHCP server listens on (RFC 2131, RFC 8415), and the preference of our filter, of which the kernel keeps one a protocol.
SERVERS = (("ip", "67", "4788"), ("ipv6", "547", "4789"))


def mute(name, mac):
    """Have the kernel drop what a DHCP client on tunnel `name` itself, with its own address `mac`, asks; the Problems of that.

    What the bridge forwards has another source, so devices on the LAN get their leases through the tunnel as ever.
    """
    # It fails where it is there already; then the filters tell.
    process.run(("tc", "qdisc", "add", "dev", name, "clsact"))
    for protocol, port, number in SERVERS:
        place = ("dev", name, "egress", "pref", number, "handle", "1", "protocol", protocol)
        match = ("flower", "src_mac", mac, "ip_proto", "udp", "dst_port", port, "action", "drop")
        argv = ("tc", "filter", "replace") + place + match
        result = process.run(argv)
        if result.code:
            message = "{}: `{}` failed: {}".format(name, " ".join(argv), result.err.strip())
            yield Problem(message, f"deny it to dhcpcd: `denyinterfaces {name}` in {CONFIG}")
