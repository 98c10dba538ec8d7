"""Which site this is to BGP: by its tunnels with `control = evpn`, and the hubs of /etc/l2wg/sites. Pure."""

import ipaddress

from l2wg_hooks.config import frr_text
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.typed import Dict


def find(wished, name, reflectors, as_number):
    """The Speaker of a Wish. `name` is a tunnel's, or None; `reflectors` are addresses, () for the hubs. Raises L2wgError."""
    every = [tunnel for tunnel in wished.tunnels if tunnel.senders]
    tunnels = [tunnel for tunnel in every if name in (None, tunnel.name)]
    if name is not None and not tunnels:
        others = ", ".join(tunnel.name for tunnel in every)
        fail(f"{name} is no tunnel with control = evpn", f"these are: {others}" if others else "l2wg.conf(5), control")
    if not tunnels:
        if wished.problems:
            raise L2wgError(*wished.problems)
        hint = "l2wg set TUNNEL encapsulation=vxlan control=evpn remote=198.18.0.0/15, or control=evpn in the line of the net"
        fail("no tunnel has control = evpn", hint)
    own = tunnels[0]
    other = next((tunnel for tunnel in tunnels if tunnel.local != own.local), None)
    if other is not None:
        hint = f"l2wg frr {own.name}, or l2wg frr {other.name}: FRR takes one of the two; or give both the same `local`"
        fail(f"{own.name} and {other.name} have different `local`, and BGP speaks from one address", hint)
    names: Dict[str, str] = {}
    if wished.net is not None and wished.net.lines.net is not None and any(tunnel.peers for tunnel in tunnels):
        names = hubs(wished.net.lines, own.family)
    chosen = reflectors or tuple(names)
    if not chosen:
        hint = "l2wg frr --reflector 198.18.0.1, for each, at all sites the same: one or two that all others reach"
        fail("which sites are the reflectors, nobody says", hint)
    return speaker(tunnels, chosen, names, as_number)


def hubs(lines, family):
    """{address: name} of the hubs that are not out."""
    found = {}
    for name in lines.net.hubs:
        for site in lines.living():
            if site.name == name:
                found.update(
                    {address: name for address in site.card.addresses if ipaddress.ip_address(address).version == family}
                )
    return found


def speaker(tunnels, reflectors, names, as_number=frr_text.AS_NUMBER):
    """The Speaker of tunnels with one `local`. Raises L2wgError for a reflector that nothing is taken from."""
    own = tunnels[0]
    prefix = ipaddress.ip_network(own.senders)
    for address in (own.local, *reflectors):
        if ipaddress.ip_address(address) not in prefix:
            whose = "its own address" if address == own.local else "a reflector"
            raise L2wgError(_outside(own, address, whose))
    return frr_text.Speaker(own.local, own.senders, tuple(reflectors), as_number, tuple(tunnel.name for tunnel in tunnels), names)


def _outside(tunnel, address, whose) -> Problem:
    hint = f"widen `remote`, at all sites the same; or is {address} a mistake?"
    return tunnel.problem(
        "remote", f"{address}, {whose}, is outside of {tunnel.senders}, which the others take packets from", hint
    )
