"""What the firewall of this router says of the packets of a tunnel's peers, to it and to each other: for `check` and `apply`."""

import ipaddress

from l2wg_hooks.netfilter import front_ends
from l2wg_hooks.netfilter.trace import Packet


def problems(tunnel, firewall):
    """Yield a Problem for each chain of a Firewall that drops the packets of this tunnel's peer, and how to let them in."""
    for end in tunnel.reach():
        if tunnel.senders:
            end = end._replace(remote=_some(tunnel)[0])
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


def _some(tunnel):
    """Two of a prefix, for all of it: a firewall that lets in some only would have to name them."""
    network = ipaddress.ip_network(tunnel.senders)
    first = [str(network[number]) for number in range(min(4, network.num_addresses))]
    return [address for address in first if address != tunnel.local][-2:]


def between(tunnel, firewall):
    """Yield a Problem for each chain of a Firewall that drops what this router, as a hub, forwards, and how to let it pass."""
    name = tunnel.underlay
    source, target = _some(tunnel) if tunnel.senders else tunnel.far_ends[:2]
    packet = Packet("forward", tunnel.family, name, name, source, target, "udp", tunnel.udp_port, tracked=False)
    for base, chains in firewall.drops(packet):
        yield tunnel.problem(
            "",
            f"the firewall ({base.where}) drops what comes by {name} from one site for another: this router is the hub, by "
            "which they reach each other; what lets established or new connections pass does not let it pass, since it is "
            "of none (notrack)",
            front_ends.of(base, chains).let_through(base, name),
            "hub-firewall",
        )
