"""What the sh script of the watch, etc/l2wg/look, compares with: a look that found nothing to do.

A line each: the fingerprint, which only that script can make; words; the second since the boot until which it holds; files of
/proc/sys.
"""

import os
import time

from l2wg_hooks.errors import L2wgError
from l2wg_hooks.netfilter import inner_guard
from l2wg_hooks.observe import snapshot, sysctls
from l2wg_hooks.plan import key_changes, peer_down, policy_routes
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import endpoint_names
from l2wg_hooks.system import files, ip_routes

PATH = "/run/l2wg.look"
# The variable in which the script hands over the fingerprint.
FINGERPRINT = "L2WG_LOOK"
# Seconds until Python looks in any case: at what the fingerprint has not, and when peers were heard.
HOLDS = 600


def now():
    """Seconds since the boot, as /proc/uptime has them: other processes have the same."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def words(tunnels, links, whole=False, seen=None):
    """What the script has to know of the tunnels: words without blanks, each once. `seen` is an Observed, for its peers.

    ways4, table4=NUMBER, ways6, table6=NUMBER: policy routes; sites4=WG, sites6=WG: routes to sites; mangle, filter: tables of
    iptables; vlans: of bridges that filter them; flood=NAME: the flood list of a VXLAN; inner: rules in
    l2wg's namespace. With `names` it calls Python where a peer is silent that is named by peer=KEY,
    with `answers` at every look, and as soon as a peer has had a handshake at another time than turn=KEY/TIME says. `event` says
    that an event has nothing to do, either, but to send the probes probe=BRIDGE/MAC/NAME.
    """
    found = []
    for tunnel in tunnels:
        for table in policy_routes.tables(tunnel):
            found += ["ways%d" % tunnel.family, "table%d=%s" % (tunnel.family, table)]
        if tunnel.peers and not tunnel.walled and ip_routes.is_plain(tunnel.underlay):
            # Of IPv6 the script looks at nothing without that word.
            found += ["ways6"] * (tunnel.family == 6) + ["sites%d=%s" % (tunnel.family, tunnel.underlay)]
        if tunnel.remotes and tunnel.name in links and ip_routes.is_plain(tunnel.name):
            found.append(f"flood={tunnel.name}")
        if inner_guard.needed(tunnel):
            found.append("inner")
        if tunnel.mss_clamp == "iptables":
            found.append("mangle")
        if tunnel.forward == "accept":
            found.append("filter")
        if tunnel.bridge in links and links[tunnel.bridge].vlan_filtering:
            found.append("vlans")
    if any(tunnel.peer_down == peer_down.PORT for tunnel in tunnels):
        found.append("answers")
    for _, _, turn in key_changes.turns(tunnels, seen) if seen is not None else ():
        if turn.idle and turn.idle.split() == [turn.idle]:
            found.append("turn=%s/%d" % (turn.idle, turn.time))
        if turn.idle and turn.moved:
            found.append("answers")
    silent = [key for these in endpoint_names.wanted(tunnels).values() for key in these if key.split() == [key]]
    if silent:
        found += ["names"] + [f"peer={key}" for key in silent]
    if whole:
        found += ["event"] + [f"probe={word}" for word in loop_probe.words(tunnels, links)]
    return tuple(dict.fromkeys(found))


def switches(tunnels):
    """The files of /proc/sys that a plan for these tunnels looks at."""
    found = snapshot.bridges(tunnels)
    paths = [os.path.join(sysctls.SWITCHES, switch % name) for name in sorted(found) for switch in found[name].now]
    if any(tunnel.forwards for tunnel in tunnels):
        paths += [path for _, path in snapshot.transit_switches(tunnels)]
    # Names with such bytes would be something else to sh.
    return tuple(path for path in paths if not set(path) & set(" \t\n\\"))


def write(tunnels, links, until=None, whole=False, seen=None):
    """Keep that nothing was to be done, up to the second `until`, where the script has called; nobody is told where it fails.

    `whole` is whether that is so for an event, too, which asks for all of the wish and tells of what waits.
    """
    fingerprint = os.environ.get(FINGERPRINT, "")
    if not fingerprint or "\n" in fingerprint:
        return
    end = now() + HOLDS
    end = end if until is None else min(until, end)
    rows = (fingerprint, " ".join(words(tunnels, links, whole, seen)), str(end), " ".join(switches(tunnels)))
    try:
        files.keep(PATH, "".join(row + "\n" for row in rows))
    except L2wgError:  # a full /run: then each look is Python's
        pass
