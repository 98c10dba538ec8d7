"""The hub of a net, by which its sites reach each other: whether this router lets their packets through. For `l2wg check`."""

from l2wg_hooks.check.cause import REACH, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.netfilter import inbound
from l2wg_hooks.netfilter.host_rules import Firewall
from l2wg_hooks.observe import snapshot
from l2wg_hooks.plan import transit

CAUSES = (
    Cause(
        "hub-forwarding",
        REACH,
        "The sites of a mesh reach each other by this router, its hub, and its kernel does not forward what comes by the "
        "shared WireGuard interface.",
        "`sysctl -w net.ipv4.conf.wg0.forwarding=1`; for good: a file in /etc/sysctl.d. With `wire = own`, l2wg does that.",
    ),
    Cause(
        "hub-firewall",
        REACH,
        "The sites of a mesh reach each other by this router, its hub, and a firewall of it drops what is forwarded from the "
        "WireGuard interface to the same one.",
        "Let UDP pass there: the command for ufw, firewalld, iptables or nft is printed.",
    ),
)


def _hubs(scene):
    """The tunnels whose sites reach each other by a shared WireGuard interface that is there."""
    return [tunnel for tunnel in transit.hubs(scene.tunnels).values() if tunnel.underlay in scene.links]


def _forwarding(scene):
    return transit.problems(scene.tunnels, scene.links, snapshot.transited(scene.tunnels))


def _firewall(scene):
    hubs = _hubs(scene)
    known = Firewall() if hubs else None
    return [problem for tunnel in hubs for problem in inbound.between(tunnel, known)]


CHECKS = (Check("forwarding between sites", _forwarding, False), Check("firewalls between sites", _firewall))
