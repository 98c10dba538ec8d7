"""What the wish says of a bridge and of its Ethernet ports. Pure."""

from l2wg_hooks.model import Wait
from l2wg_hooks.plan import commands

# The id of the Problem of a port with an address.
PORT_ADDRESS = "port-address"
# LLDP (IEEE 802.1AB, 01-80-C2-00-00-0E) and 802.1X (01-80-C2-00-00-03): bit N is the address that ends in N.
LINK_LOCAL = 1 << 0xE | 1 << 0x3


def settings(tunnel, bridge):
    """What the wish says of the bridge itself."""
    mask = bridge.group_forward
    if tunnel.link_local:
        mask |= LINK_LOCAL
    elif tunnel.bridge_ports and mask == LINK_LOCAL and "link-local" in tunnel.lines:
        mask = 0  # ours, from when the wish was another
    if mask != bridge.group_forward:
        reason = "LLDP and 802.1X %s" % ("pass" if tunnel.link_local else "stay at home")
        yield commands.set_link(bridge.name, bridge.name, reason, "type", "bridge", "group_fwd_mask", f"0x{mask:x}")
    # Where it is not written, the bridge may be somebody's who has decided otherwise.
    if "stp" in tunnel.lines and tunnel.bridge_ports and tunnel.stp != bridge.stp:
        reason = "stp = %s" % ("yes" if tunnel.stp else "no")
        yield commands.set_link(bridge.name, bridge.name, reason, "type", "bridge", "stp_state", "1" if tunnel.stp else "0")
    if tunnel.mss_clamp == "iptables" and not bridge.bridge_iptables:
        # This bridge only: the global switch has every bridge of this host filtered.
        yield nf_call(bridge.name, "iptables is to see its frames", "1")


def nf_call(bridge, reason, value):
    return commands.set_link(bridge, bridge, reason, "type", "bridge", "nf_call_iptables", value, "nf_call_ip6tables", value)


def ports(tunnel, there):
    """The Ethernet ports that the wish names."""
    for name in tunnel.bridge_ports:
        port = there.get(name)
        problem = unfit(tunnel, port)
        if port is None:
            yield Wait(tunnel.bridge, "port", name)
        elif problem:
            yield problem
        elif port.master != tunnel.bridge:
            yield commands.set_link(tunnel.bridge, name, f"it is not a port of {tunnel.bridge}", "master", tunnel.bridge)
            if not port.up:
                yield commands.set_link(tunnel.bridge, name, "it is down", "up")


def unfit(tunnel, port):
    """The Problem of a Link (or None) that must not join the bridge of `tunnel`; None where it may, or has."""
    if port is None or port.master == tunnel.bridge:
        return None
    if port.master:
        message = f"{port.name} is a port of {port.master}"
        return tunnel.problem("bridge-ports", message, "take it out there, or name another port")
    return carries(tunnel, port.name, port.addresses[0]) if port.addresses else None


def carries(tunnel, port, address, where="", hint=""):
    """The Problem of a port with an address: somebody may be logged in by it, and would be cut off."""
    problem = tunnel.problem(
        "bridge-ports",
        f"{port} carries the address {address}{where}, and whoever uses it would be cut off",
        hint
        or f"name a port without address; or define {tunnel.bridge} with it in interfaces(5) yourself, and leave "
        f"bridge-ports empty",
        PORT_ADDRESS,
    )
    return problem._replace(subject=port)
