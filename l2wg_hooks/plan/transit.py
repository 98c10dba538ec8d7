"""What a hub forwards inside WireGuard: which switches of the kernel that takes, and what is wrong with them. Pure.

For IPv4 the one of the WireGuard interface is enough. For IPv6 the kernel asks for that of all interfaces first (ip6_forward in
net/ipv6/ip6_output.c). What a hub sends back by the interface that it has come by, others would call a detour, and tell the
sender of a better way (ICMP redirect): there is none.
"""

from l2wg_hooks.model import WIREGUARD_KINDS
from l2wg_hooks.typed import Dict

ALL6 = "net/ipv6/conf/all/forwarding"
REDIRECTS = "net/ipv4/conf/all/send_redirects"
ON, OFF = "1", "0"


def switch(name, family):
    """The name of what has packets of a family forwarded that come by a WireGuard interface, as sysctl(8) takes it."""
    return ALL6 if family == 6 else f"net/ipv4/conf/{name}/forwarding"


def redirects(name):
    """The name of the switch of an interface, beside REDIRECTS, that is for all."""
    return f"net/ipv4/conf/{name}/send_redirects"


def names(wires):
    """Those of all switches that matter in the network namespace of l2wg, where there are these WireGuard interfaces."""
    return (ALL6, REDIRECTS, *(word for name in wires for word in (switch(name, 4), redirects(name))))


def wanted(tunnels, wires) -> Dict[str, str]:
    """{name: value} in the network namespace of l2wg, with these WireGuard interfaces: what nobody needs is off."""
    found = {ALL6: OFF, **{switch(name, 4): OFF for name in wires}}
    for tunnel in tunnels:
        if tunnel.forwards and tunnel.walled and tunnel.underlay in wires:
            found[switch(tunnel.underlay, tunnel.family)] = ON
            if tunnel.family == 4:
                found.update({REDIRECTS: OFF, redirects(tunnel.underlay): OFF})
    return found


def is_forwarding(name):
    """Whether a switch has packets forwarded; the others are of what is sent about that."""
    return name.endswith("/forwarding")


def is_closed(name, values):
    """Whether a switch is one that has packets forwarded, and is to be off by {name: value}."""
    return is_forwarding(name) and values[name] == OFF


def made(name):
    """The value of a switch that nobody has touched."""
    return OFF if is_forwarding(name) else ON


def hubs(tunnels):
    """{WireGuard interface: the first of these tunnels that needs it to forward} of the shared ones."""
    return {tunnel.underlay: tunnel for tunnel in reversed(tunnels) if tunnel.forwards and not tunnel.walled}


def problems(tunnels, links, forwarded):
    """Yield a Problem for each shared WireGuard interface of a hub that does not forward: that is its admin's to say."""
    for name, tunnel in hubs(tunnels).items():
        if name in links and links[name].kind in WIREGUARD_KINDS and forwarded.get(name) is False:
            word = switch(name, tunnel.family)
            word = word if "." in name else word.replace("/", ".")
            message = f"this router is the hub, by which other sites reach each other, and does not forward what comes by {name}"
            hint = f"sysctl -w {word}=1 # and for good: echo {word}=1 >/etc/sysctl.d/60-l2wg-hub.conf; see l2wg-sites(5)"
            yield tunnel.problem("", message + f" ({word} = 0)", hint, "hub-forwarding")
