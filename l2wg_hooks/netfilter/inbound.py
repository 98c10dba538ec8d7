"""What the firewall of this router says of the packets of a tunnel's peer: for `l2wg check`, and for apply."""

import ipaddress

from l2wg_hooks.netfilter import front_ends
from l2wg_hooks.netfilter.trace import Packet


def problems(tunnel, firewall):
    """Yield a Problem for each chain of a Firewall that drops the packets of this tunnel's peer, and how to let them in."""
    for end in tunnel.reach():
        if tunnel.senders:
            # One for all: a firewall that lets in some of a prefix would have to name them.
            end = end._replace(remote=str(ipaddress.ip_network(tunnel.senders)[1]))
        port = tunnel.udp_port
        protocol = "udp" if port else "gre"
        packet = Packet("input", tunnel.family, tunnel.underlay, None, end.remote, end.local, protocol, port, tracked=False)
        for base, chains in firewall.drops(packet):
            yield tunnel.problem(
                "underlay",
                f"the firewall ({base.where}) drops the tunnel's packets from {end.remote}; what lets established "
                f"or new connections in does not let"
                " them in, since they are of none (notrack)",
                front_ends.of(base, chains).let_in(base, packet),
                "firewall-input",
            )
