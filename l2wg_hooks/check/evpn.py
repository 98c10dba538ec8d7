"""FRR, where `control = evpn` has it fill tables: whether it runs, has its sessions, and has told the kernel what BGP knows.

It is read, never written: nobody of ours starts or stops FRR.
"""

import ipaddress
import time
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.check.cause import NOTHING, REACH, Cause
from l2wg_hooks.check.scene import Check, Unlooked
from l2wg_hooks.config import frr_text
from l2wg_hooks.errors import listed
from l2wg_hooks.observe import frr, vteps

CAUSES = (
    Cause(
        "frr-not-running",
        NOTHING,
        "`control = evpn`, and FRR's zebra or bgpd is not there or does not run: nobody fills the tunnel's table, or tells of "
        "this site.",
        "`apt install frr`, `bgpd=yes` in /etc/frr/daemons, the text of `l2wg frr` in /etc/frr/frr.conf, then "
        "`systemctl restart frr`.",
    ),
    Cause(
        "frr-no-bgp",
        NOTHING,
        "`control = evpn`, and bgpd has no BGP for EVPN: its file lacks the part that `l2wg frr` prints.",
        "`l2wg frr` prints it, for /etc/frr/frr.conf; then `systemctl restart frr`.",
    ),
    Cause(
        "evpn-session",
        NOTHING,
        "BGP has no session with a reflector: WireGuard's way there is cut, bgpd does not run there, or the AS numbers differ.",
        "`l2wg check` at that site; `vtysh -c 'show bgp l2vpn evpn summary'` at both.",
    ),
    Cause(
        "evpn-limit",
        NOTHING,
        "A reflector has as many sites that have called as its `bgp listen limit` takes (100 where nothing is said), and turns "
        "the next one away.",
        "`bgp listen limit 5000` in its /etc/frr/frr.conf, as `l2wg frr` prints it.",
    ),
    Cause(
        "evpn-flood",
        REACH,
        "BGP knows of sites, and zebra has not put them into the tunnel's flood list: they hear no broadcast from here, so no "
        "ARP (FRR issue 19121, seen with FRR 10.3; or its file says `flooding disable`).",
        "`systemctl restart frr`; `no flooding disable`.",
    ),
    Cause(
        "evpn-device",
        NOTHING,
        "zebra does not know the tunnel's device: bgpd's file lacks `advertise-all-vni`, or FRR runs in another network "
        "namespace.",
        "`l2wg frr` prints what it has to have; then `systemctl restart frr`.",
    ),
    Cause(
        "evpn-outside",
        REACH,
        "The table of a tunnel leads to an address outside of the prefix in `remote`. Nothing is sent there, nor taken from "
        "there.",
        "A site: give it an address within the prefix, or have a wider one at all sites. Else it was put there by hand: "
        "`bridge fdb delete`.",
    ),
)
# Seconds after which a site that has just come is in all tables.
SETTLED = 3
# Of many, so many are named.
NAMED = 5


class Answers(NamedTuple):
    """What FRR has said: `vnis` and `summary` are None where zebra or bgpd does not run; `limit` is that of those who call."""

    vnis: Optional[Dict[int, frr.Vni]] = None
    summary: Optional[frr.Summary] = None
    originators: Dict[str, Tuple[str, ...]] = {}
    limit: int = frr.LISTEN_LIMIT


def ask():
    """The Answers of now. Raises Unanswered."""
    zebra, bgpd = frr.ask(frr.ZEBRA, frr.VNIS), frr.ask(frr.BGPD, frr.SUMMARY)
    found = Answers()
    if zebra is not None:
        found = found._replace(vnis=frr.read(frr.vnis, zebra))
    if bgpd is not None:
        known = frr.read(frr.summary, bgpd)
        found = found._replace(summary=known)
        found = found._replace(originators=frr.read(frr.originators, frr.ask(frr.BGPD, frr.ROUTES) or ""))
        if known.dynamic:
            found = found._replace(limit=frr.listen_limit(frr.ask(frr.BGPD, frr.CONFIG) or ""))
    return found


def judge(tunnels, answers, ports):
    """Yield the Problems of tunnels with their far ends in `remotes`. Pure. `ports` names those that are up, in their bridges."""
    first = tunnels[0]
    cure = "l2wg frr # prints what /etc/frr/frr.conf has to have; bgpd=yes in /etc/frr/daemons; then: systemctl restart frr"
    for daemon, there in ((frr.ZEBRA, answers.vnis), (frr.BGPD, answers.summary)):
        if there is None:
            what = "nobody fills the table" if daemon == frr.ZEBRA else "nobody tells of this site, or hears of others"
            yield first.problem("control", f"{daemon} of FRR does not run: {what}", cure, "frr-not-running")
    known = answers.summary
    if known is not None and not known.as_number:
        yield first.problem("control", "bgpd of FRR has no BGP for EVPN", cure, "frr-no-bgp")
    elif known is not None:
        yield from _sessions(first, known, answers.limit)
    for tunnel in tunnels:
        # Without BGP, zebra has none.
        if known is not None and known.as_number:
            yield from _device(tunnel, answers.vnis, tunnel.name in ports)
        yield from _outside(tunnel)
        lacking = missing(tunnel, answers)
        if lacking:
            message = "BGP knows %d sites that the flood list of %s lacks: %s" % (
                len(lacking),
                tunnel.name,
                listed(lacking, NAMED),
            )
            message = message.replace(" 1 sites ", " a site ")
            yield tunnel.problem("control", message, "systemctl restart frr # FRR issue 19121", "evpn-flood")


def missing(tunnel, answers):
    """The addresses of sites that BGP knows to be in a tunnel, and that are not in its flood list."""
    if answers.vnis is None or answers.summary is None:
        return ()
    ends = {tunnel.local, *tunnel.remotes}
    rows = [end for end, targets in answers.originators.items() if frr.of_number(targets, tunnel.number) and end not in ends]
    return tuple(sorted(rows, key=ipaddress.ip_address))


def _sessions(tunnel, known, limit):
    called = [row for row in known.neighbors if not row.dynamic]
    away = [row for row in called if row.state != frr.ESTABLISHED]
    for row in away:
        rest = "" if len(away) < len(called) else ": no reflector tells of any other site"
        message = f"BGP has no session with {row.address} ({row.state or 'unknown'}){rest}"
        hint = f"ping -I {tunnel.local} {row.address}; there: l2wg check; the same AS number, {known.as_number}, at both"
        yield tunnel.problem("control", message, hint, "evpn-session")
    if known.dynamic >= limit:
        message = (
            "%d sites have called this reflector, as many as its `bgp listen limit`: the next one is turned away" % known.dynamic
        )
        hint = "vtysh -c 'configure terminal' -c 'router bgp %d' -c 'bgp listen limit %d' -c 'end' -c 'write memory'"
        yield tunnel.problem("control", message, hint % (known.as_number, max(frr_text.LISTEN_LIMIT, 2 * limit)), "evpn-limit")


def _device(tunnel, vnis, is_port):
    if vnis is None or not is_port:
        return
    row = vnis.get(tunnel.number)
    if row is None or row.device != tunnel.name:
        message = f"zebra of FRR does not know {tunnel.name}, which has VNI {tunnel.number}"
        if row is not None:
            message = f"zebra of FRR has {row.device or 'nothing'} for VNI {tunnel.number}, not {tunnel.name}"
        hint = "vtysh -c 'show running-config' # has it advertise-all-vni, as l2wg frr prints it? Then: systemctl restart frr"
        yield tunnel.problem("control", message, hint, "evpn-device")


def _outside(tunnel):
    network = ipaddress.ip_network(tunnel.senders)
    for end in tunnel.remotes:
        if ipaddress.ip_address(end) not in network:
            message = f"its table leads to {end}, outside of {tunnel.senders}: nothing is sent there"
            hint = "a site of yours? Give it an address within, or widen `remote` at all sites; "
            hint += f"else: bridge fdb delete 00:00:00:00:00:00 dev {tunnel.name} dst {end}"
            yield tunnel.problem("remote", message, hint, "evpn-outside")


def _evpn(scene):
    tunnels = [tunnel for tunnel in scene.tunnels if tunnel.senders]
    if not tunnels:
        return
    try:
        frr.program()
    except FileNotFoundError:
        message = "FRR, which is to fill its table, is not there: there is no vtysh(1)"
        yield tunnels[0].problem("control", message, "apt install frr; then: l2wg frr # says what else", "frr-not-running")
        return
    try:
        answers = ask()
        if any(missing(tunnel, answers) for tunnel in tunnels):
            # Or has it come this moment?
            time.sleep(SETTLED)
            tunnels, answers = [tunnel for tunnel in vteps.look(scene.wished.tunnels) if tunnel.senders], ask()
    except frr.Unanswered as error:
        raise Unlooked(f"FRR: {error}")
    links = scene.links
    ports = {name for name, link in links.items() if link.up and link.master}
    yield from judge(tunnels, answers, ports)


CHECKS = (Check("FRR", _evpn),)
