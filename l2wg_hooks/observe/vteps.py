"""Which far ends FRR has put into the table of a VXLAN with control = evpn, at this moment."""

from l2wg_hooks.observe import fdb_table
from l2wg_hooks.system import process
from l2wg_hooks.typed import Dict, Optional, Tuple

LOOK = ("bridge", "-json", "fdb", "show")


def wanted(tunnels):
    """{device: EVERYBODY} of those tunnels whose far ends nobody but their tables knows: for fdb_table.Destinations."""
    return {tunnel.name: fdb_table.EVERYBODY for tunnel in tunnels if tunnel.senders}


def led(tunnels, floods):
    """The tunnels as they lead: those of FRR with the far ends in the flood lists `floods`, {device: Destinations}."""
    return tuple(tunnel._replace(remotes=_ends(floods.get(tunnel.name, ()))) if tunnel.senders else tunnel for tunnel in tunnels)


def _ends(rows):
    return tuple(dict.fromkeys(row.dst for row in rows))


def look(tunnels):
    """The same of now: one process where there is such a tunnel, none where there is none."""
    lists = wanted(tunnels)
    if not lists:
        return tuple(tunnels)
    found = fdb_table.Destinations(lists)
    result = process.feed(LOOK, found.take)
    floods: Optional[Dict[str, Tuple]] = None if result.code else found.found()
    return led(tunnels, floods or {})
