"""Snapshot + now -> the steps back. Pure: it knows no process, no file and no clock.

A tunnel that was there before is not dealt with here: the plan of the old wish makes and mends it.
"""

from l2wg_hooks.model import Addresses, Link, Step, is_ours
from l2wg_hooks.plan import commands
from l2wg_hooks.typed import Dict, List, NamedTuple


class Snapshot(NamedTuple):
    """What the kernel has at one moment: Links and Layer3, by name."""

    links: Dict[str, Link]
    held: Dict[str, Addresses]


def steps(before, now, names, others=()):
    """Steps that bring the interfaces `names` from Picture `now` back to `before`; `others` get back what they have lost.

    An address is first given back and then taken away, so that none is ever gone.
    """
    back: List[Step] = []
    gone: List[Step] = []
    for name in names:
        old, new = before.links.get(name), now.links.get(name)
        if new is None:
            continue
        if old is None:
            if is_ours(new):  # first of all: a tunnel without its bridge would be a port of the router itself
                back.insert(0, Step(("ip", "link", "delete", "dev", name), "it was not there", name))
            elif new.kind == "bridge":
                gone.append(Step(("ip", "link", "delete", "dev", name), "it was not there", name))
            continue
        if is_ours(old):
            continue
        had, has = before.held.get(name, Addresses()), now.held.get(name, Addresses())
        back += _return(name, commands.missing(had, has), [Step(argv, "as it was", name) for argv in _link(old, new)])
        # After the others: what this one has too much may be what another one gets back.
        gone = [Step(argv, "it had no such address", name) for argv in commands.take(commands.missing(has, had), name)] + gone
    for name in others:
        if name in now.links:
            lost = commands.missing(before.held.get(name, Addresses()), now.held.get(name, Addresses()))
            back += _return(name, lost)
    return tuple(back + gone)


def _return(name, lost, between=()):
    """Steps that give an interface its Layer3 `lost` back: addresses, what comes `between`, and the routes that need both."""
    addresses = [Step(argv, "it had this address", name) for argv in commands.give(lost, name)]
    return addresses + list(between) + [Step(argv, "it had this route", name) for argv in commands.lead(lost, name)]


def _link(old, new):
    """ip(8) commands for what differs between two Links."""
    change = ("ip", "link", "set", "dev", old.name)
    if old.master != new.master:
        yield change + (("master", old.master) if old.master else ("nomaster",))
    # A bridge takes its ports' by itself; set, it would be pinned.
    if old.mac != new.mac and old.kind != "bridge":
        yield change + ("address", old.mac)
    if old.mtu != new.mtu:
        yield change + ("mtu", str(old.mtu))
    if old.kind == "bridge":
        kind = change + ("type", "bridge")
        if old.stp != new.stp:
            yield kind + ("stp_state", "%d" % old.stp)
        if old.group_forward != new.group_forward:
            yield kind + ("group_fwd_mask", str(old.group_forward))
        if old.bridge_iptables != new.bridge_iptables:
            yield kind + ("nf_call_iptables", "%d" % old.bridge_iptables, "nf_call_ip6tables", "%d" % old.bridge_iptables)
    if old.up != new.up:
        yield change + ("up" if old.up else "down",)
