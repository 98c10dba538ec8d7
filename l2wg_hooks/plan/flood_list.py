"""The flood list of a VXLAN with several remotes: who gets a copy of what is for everybody, or for nobody known. Pure.

The list is kept by the kernel, as entries of the device's own table. What else that table has of far ends that are in no list
goes, too: a station that was learnt there is looked for anew, and one that somebody has written down there is not sent to.
"""

from l2wg_hooks.model import FLOOD, Destination, Step


def steps(tunnel, found):
    """Yield the Steps that bring the table of a tunnel's device to the wish; `found` are its Destinations, () where it is new."""
    wanted = [Destination(FLOOD, remote) for remote in tunnel.remotes]
    there = set(found)
    for entry in wanted:
        if entry not in there:
            yield Step(_words("append", tunnel, entry), f"{entry.dst} is to hear what is for all", tunnel.name)
    known = set(wanted)
    for entry in found:
        if entry not in known and (entry.mac == FLOOD or entry.dst not in tunnel.remotes):
            reason = f"{entry.dst} is none of its remotes" if entry.dst not in tunnel.remotes else f"{entry.dst} hears it twice"
            yield Step(_words("delete", tunnel, entry), reason, tunnel.name)


def _words(verb, tunnel, entry):
    return ("bridge", "fdb", verb, entry.mac, "dev", tunnel.name, "dst", entry.dst) + entry.more
