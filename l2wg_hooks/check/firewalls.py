"""What else on this router is in the way of the wire: firewalls, and other managers of interfaces. For `l2wg check`."""

from l2wg_hooks.check.cause import LEASE, NOTHING, REACH, WAITS, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.errors import fail
from l2wg_hooks.managers import dhcpcd, networkd
from l2wg_hooks.netfilter import front_ends, inbound
from l2wg_hooks.netfilter.host_rules import Firewall
from l2wg_hooks.netfilter.trace import Packet
from l2wg_hooks.system import files

CAUSES = (
    Cause(
        "networkd",
        WAITS,
        "A .network file of systemd-networkd matches a port, the bridge or the tunnel.",
        "A file that sorts first, with `Unmanaged=yes`: the command is printed.",
    ),
    Cause(
        "dhcpcd",
        LEASE,
        "dhcpcd takes the tunnel or a port for a network card, and asks for a lease on it.",
        "`denyinterfaces` in /etc/dhcpcd.conf: the command is printed.",
    ),
    Cause(
        "tunnel-address",
        LEASE,
        "The tunnel interface has an IP address: the other site's network is routed into it.",
        "`ip address flush dev gretap1`, and find out which DHCP client gave it.",
    ),
    Cause(
        "firewall-input",
        NOTHING,
        "A firewall on this router drops the tunnel's packets. They belong to no connection (notrack), so a rule for "
        "established or new ones does not let them in.",
        "Let them in: the command for ufw, firewalld, iptables or nft is printed.",
    ),
    Cause(
        "firewall-forward",
        REACH,
        "br_netfilter shows bridged frames to a firewall whose policy for FORWARD is to drop (Docker sets it).",
        "`l2wg set gretap1 forward=accept; l2wg apply`, or the firewall's own command: it is printed.",
    ),
)
SWITCH = "/proc/sys/net/bridge/bridge-nf-call-%stables"
# What a firewall hardly has an opinion on: TCP's discard port.
DISCARD = 9


def problems(tunnels, links):
    """The Problems that neighbours make, each with its cure."""
    return managing(tunnels, links) + list(filtering(tunnels, links))


def managing(tunnels, links):
    """Problems of other managers that take for theirs what is l2wg's."""
    names = list(dict.fromkeys(name for tunnel in tunnels for name in tunnel.own if name in links))
    # They are asked once, of all names.
    by_networkd = set(networkd.networkd(names))
    by_dhcpcd = set(dhcpcd.managed([name for name in names if links[name].kind != "bridge"]))
    return [problem for tunnel in tunnels for problem in _managed(tunnel, links, by_networkd, by_dhcpcd)]


def filtering(tunnels, links):
    """Problems of firewalls. Raises L2wgError, after all others, where there are rules that cannot be walked."""
    firewall = Firewall() if any(tunnel.underlay in links for tunnel in tunnels) else None
    for tunnel in tunnels:
        if tunnel.underlay in links and not tunnel.walled:
            yield from inbound.problems(tunnel, firewall)
    bridges = {tunnel.bridge: tunnel for tunnel in reversed(tunnels) if tunnel.bridge in links and firewall}
    for name in sorted(bridges):
        yield from _forward(bridges[name], links[name], firewall)
    tables = sorted({table for table, _ in firewall.unread}) if firewall else ()
    if tables:
        fail("this nft(8) was built without JSON: what its tables ({}) drop cannot be told".format(", ".join(tables)))


def _managed(tunnel, links, by_networkd, by_dhcpcd):
    taken = [name for name in tunnel.own if name in by_networkd]
    if taken:
        text = "[Match]\\nName={}\\n\\n[Link]\\nUnmanaged=yes\\n".format(" ".join(taken))
        yield tunnel.problem(
            "",
            "systemd-networkd also manages {}, and takes it out of {}".format(", ".join(taken), tunnel.bridge),
            f"printf '{text}' >/etc/systemd/network/00-l2wg.network; networkctl reload; l2wg apply",
            "networkd",
        )
    taken = [name for name in tunnel.own if name in by_dhcpcd]
    if taken:
        yield tunnel.problem(
            "",
            "dhcpcd asks for leases on {}: an address of the other site, and its default route".format(", ".join(taken)),
            "sed -i '1i denyinterfaces {}' {}; systemctl restart dhcpcd".format(" ".join(taken), dhcpcd.CONFIG),
            "dhcpcd",
        )
    link = links.get(tunnel.name)
    if link is not None and link.addresses:
        yield tunnel.problem(
            "",
            "{} carries the address {}: the other site's network is routed into it".format(
                tunnel.name, ", ".join(link.addresses)
            ),
            f"ip address flush dev {tunnel.name} # and find out which DHCP client gave it",
            "tunnel-address",
        )


def _forward(tunnel, bridge, firewall):
    """br_netfilter has a firewall look at the frames that pass this bridge, and it drops them."""
    told = set()
    for family, word in ((4, "ip"), (6, "ip6")):
        if not bridge.bridge_iptables and _switch(word) != "1":
            continue
        for base, chains in firewall.drops(Packet("forward", family, bridge.name, bridge.name, protocol="tcp", port=DISCARD)):
            if base.where in told:
                continue
            told.add(base.where)
            yield tunnel.problem(
                "bridge",
                f"the firewall ({base.where}) drops frames that pass {bridge.name}: br_netfilter, which Docker "
                f"and others load, shows them to it",
                front_ends.of(base, chains).let_pass(base, tunnel),
                "firewall-forward",
            )


def _switch(word):
    return files.glance(SWITCH % word).strip()


def _managers(scene):
    return managing(scene.tunnels, scene.links)


def _firewalls(scene):
    return filtering(scene.tunnels, scene.links)


CHECKS = (Check("other managers", _managers), Check("firewalls", _firewalls))
