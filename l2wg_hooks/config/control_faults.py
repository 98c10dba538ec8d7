"""What contradicts `control = evpn`, in one tunnel's file or between several. Pure."""

import ipaddress
import itertools

# Of the tunnels that lead to all who may send to them: beside one, a tunnel to one of these closes a ring.
_PREFIX = "prefix"


def within(tunnel):
    """Yield what is wrong between the keys of one file, each of which is right by itself."""
    if tunnel.control != "evpn":
        if tunnel.senders:
            message = f"{tunnel.senders} is a prefix, and only with control = evpn somebody else finds the far ends in it"
            hint = "name the address of each, such as remote = 10.9.0.2 10.9.0.3; or add control = evpn, and run FRR (l2wg frr)"
            yield tunnel.problem("remote", message, hint)
        return
    if not tunnel.packing.floods:
        hint = "write encapsulation = vxlan at all sites, or take this line out"
        yield tunnel.problem("control", f"evpn is for a VXLAN, whose table FRR fills, and this is a {tunnel.encapsulation}", hint)
    if tunnel.walled:
        message = "FRR has to see the device and the other sites in one network namespace, and wire = own has two"
        hint = "write wire = shared, with an underlay of wg-quick's, such as wg0; or control = learning, and a list in `remote`"
        yield tunnel.problem("control", message, hint)
    if not tunnel.senders:
        count = len(tunnel.far_ends)
        fact = f"a list of {count} addresses" if count > 1 else f"{tunnel.far_ends[0]}, one address"
        message = f"with evpn FRR finds the far ends, and `remote` says where these may be at all: a prefix, not {fact}"
        hint = "write remote = PREFIX, such as 198.18.0.0/15, which the AllowedIPs of the peers cover; or control = learning"
        yield tunnel.problem("remote", message, hint)
    elif (":" in tunnel.senders) != (":" in tunnel.local):
        message = f"{tunnel.senders} is of another family than local"
        yield tunnel.problem("remote", message, "both IPv4, or both IPv6")
    if tunnel.peer_down != "nothing":
        message = "with control = evpn nobody can tell who has to answer: only FRR knows who is there"
        yield tunnel.problem("peer-down", message, "take this line out")


def between(tunnel, first):
    """Yield what a tunnel cannot have beside those that were judged before it: `first` is that of conflicts.Known."""
    others = list(itertools.takewhile(bool, (first.get((_PREFIX, number)) for number in itertools.count())))
    if tunnel.senders:
        first[_PREFIX, len(others)] = tunnel
        own = ipaddress.ip_network(tunnel.senders)
        ends = [(key, other) for key, other in list(first.items()) if key[0] == "far end" and _within(key[2], own)]
        rows = [(other, key[2]) for key, other in ends]
        rows += [(other, other.senders) for other in others if ipaddress.ip_network(other.senders).overlaps(own)]
    else:
        rows = []
        for other in others:
            network = ipaddress.ip_network(other.senders)
            rows += [(other, remote) for remote in tunnel.far_ends if _within(remote, network)]
    for other, where in dict((other.name, (other, where)) for other, where in rows).values():
        if other.bridge == tunnel.bridge and not (other.isolated and tunnel.isolated):
            message = f"{other.name} leads to {where}, too ({other.path}), and both are in {tunnel.bridge}: that is a loop"
            yield tunnel.problem("remote", message, "another bridge, or isolated = yes in both; or do without one of the two")
        elif _way(other) == _way(tunnel) and other.underlay != tunnel.underlay:
            message = f"{other.name} leads to {where}, too, by {other.underlay} ({other.path}), from the same address and port"
            yield tunnel.problem("underlay", message, "give it another `local`, or another `port` at all its sites")


def _within(address, network):
    return ipaddress.ip_address(address) in network


def _way(tunnel):
    return tunnel.local, tunnel.udp_port
