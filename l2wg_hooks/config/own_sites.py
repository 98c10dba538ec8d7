"""The WireGuard interfaces of this router by their public keys: by these it finds itself in a file of sites."""

from l2wg_hooks.config import own_wire, public_key, wg_quick, wg_quick_peers
from l2wg_hooks.config.site_tunnels import Wire
from l2wg_hooks.system import files, process
from l2wg_hooks.typed import Dict


def wires(tunnels, wanted):
    """{public key: Wire}; `tunnels` are those with a file of their own, which say whose wire is whose.

    By the files of wg-quick(8), so that it does not matter which of them is up. Where none of these has one of the keys that are
    `wanted`, somebody else makes WireGuard, and is asked for the keys of what is there: one process.
    """
    own = {tunnel.underlay for tunnel in tunnels if tunnel.walled}
    shared = {tunnel.underlay for tunnel in tunnels if not tunnel.walled}
    found: Dict[str, Wire] = {}
    for name in wg_quick.names():
        text = files.glance(wg_quick.path(name))
        private = wg_quick_peers.interface_values(text, "privatekey")
        key = public_key.of(private[-1]) if private else ""
        if key:
            walled = name in own or (name not in shared and own_wire.is_marked(text))
            found.setdefault(key, Wire(name, walled))
    if not set(found) & set(wanted):
        for line in process.output("wg", "show", "all", "public-key").splitlines():
            name, _, key = line.partition("\t")
            if key and key != "(none)":
                found.setdefault(key, Wire(name, name in own))
    return found
