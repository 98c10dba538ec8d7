"""Which bridge of this router its new tunnels join: the one that is named or there, or one of ports that are named."""

from l2wg_hooks.config import ifupdown_files, schema
from l2wg_hooks.errors import fail
from l2wg_hooks.pairing import local_facts


def find(tunnels, wanted, links, ask_ports):
    """(bridge, ports) of new tunnels here, `wanted` being a pair.Wanted. Raises L2wgError where the admin has to say which.

    With `ask_ports`, a port may be proposed, since somebody will look.
    """
    defined = ifupdown_files.read()
    known = local_facts.bridges(links, defined, tunnels)
    if wanted.ports:
        number = 0
        while "br%d" % number in links or "br%d" % number in known:
            number += 1
        return wanted.bridge or "br%d" % number, wanted.ports
    there = set(known) | {link.name for link in links.values() if link.kind == "bridge"}
    free, used = local_facts.free_ports(links, defined)
    others = ", ".join("{} {}".format(*use) for use in sorted(used.items()))
    known_ports = "; free here: {}".format(" ".join(free)) if free else "; no Ethernet port of this router is free"
    known_ports += f" ({others})" if others and not free else ""
    hint = "name what the other site's network shall be plugged into: --bridge-ports PORT" + known_ports
    if wanted.bridge and wanted.bridge not in there:
        fail(f"there is no bridge {wanted.bridge}", hint)
    if wanted.bridge or len(known) == 1:
        name = wanted.bridge or known[0]
        # A bridge of ours goes with its last tunnel that names its ports.
        same = [tunnel for tunnel in tunnels if tunnel.bridge == name]
        return name, same[0].bridge_ports if same else ()
    if known:
        fail("this router has several bridges: {}".format(", ".join(known)), f"name one: --bridge {known[0]}")
    if ask_ports and len(free) == 1:
        return "br0", tuple(free)
    return fail("this router has no bridge", hint)


def refuse_missing(wanted, links):
    """Raise L2wgError for a port that is not there, and that nobody defines. What is no name at all, config/schema.py refuses."""
    defined = ifupdown_files.read()
    written = {stanza.interface for stanza in defined.stanzas}
    for name in wanted:
        if schema.NAME.match(name) and name not in links and name not in written:
            free = local_facts.free_ports(links, defined)[0]
            hint = "free here: {}".format(" ".join(free)) if free else "see which there are: ip -brief link"
            fail(f"this router has no port {name}", hint, key="--bridge-ports")
