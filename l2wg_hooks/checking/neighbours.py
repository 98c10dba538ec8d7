"""What else on this router is in the way of the wire: firewalls, and other managers of interfaces. For `l2wg check`."""

from l2wg_hooks import dhcpcd, files, iptables, run
from l2wg_hooks.checking import managers
from l2wg_hooks.firewall import Firewall
from l2wg_hooks.verdict import Packet

SWITCH = "/proc/sys/net/bridge/bridge-nf-call-%stables"
# What a firewall hardly has an opinion on: TCP's discard port.
DISCARD = 9
KEPT = "# and where your firewall keeps its rules"
XTABLES = tuple(name + back for name in iptables.COMMANDS.values() for back in ("", "-legacy", "-nft"))


def problems(tunnels, links):
    """The Problems that neighbours make, each with its cure."""
    return managing(tunnels, links) + filtering(tunnels, links)


def managing(tunnels, links):
    """Problems of other managers that take for theirs what is l2wg's."""
    return [problem for tunnel in tunnels for problem in _managed(tunnel, links)]


def filtering(tunnels, links):
    """Problems of firewalls."""
    found = []
    firewall = Firewall() if any(tunnel.underlay in links for tunnel in tunnels) else None
    for tunnel in tunnels:
        if tunnel.underlay in links:
            found += _input(tunnel, firewall)
    bridges = {tunnel.bridge: tunnel for tunnel in reversed(tunnels) if tunnel.bridge in links and firewall}
    for name in sorted(bridges):
        found += _forward(bridges[name], links[name], firewall)
    return found


def _managed(tunnel, links):
    names = [name for name in tunnel.own if name in links]
    taken = managers.networkd(names)
    if taken:
        text = "[Match]\\nName=%s\\n\\n[Link]\\nUnmanaged=yes\\n" % " ".join(taken)
        yield tunnel.problem(
            "",
            "systemd-networkd manages %s, too, and takes it out of %s" % (", ".join(taken), tunnel.bridge),
            "printf '%s' >/etc/systemd/network/00-l2wg.network; networkctl reload; l2wg apply" % text,
            "networkd",
        )
    taken = dhcpcd.managed([name for name in names if links[name].kind != "bridge"])
    if taken:
        yield tunnel.problem(
            "",
            "dhcpcd asks for leases on %s: an address of the other site, and its default route" % ", ".join(taken),
            "sed -i '1i denyinterfaces %s' %s; systemctl restart dhcpcd" % (" ".join(taken), dhcpcd.CONFIG),
            "dhcpcd",
        )
    link = links.get(tunnel.name)
    if link is not None and link.addresses:
        yield tunnel.problem(
            "",
            "%s carries the address %s: the other site's network is routed into it" % (tunnel.name, ", ".join(link.addresses)),
            "ip address flush dev %s # and find out which DHCP client gave it" % tunnel.name,
            "tunnel-address",
        )


def _input(tunnel, firewall):
    """A firewall that takes the tunnel's packets for a stranger's."""
    vxlan = tunnel.kind == "vxlan"
    port = tunnel.port if vxlan else None
    packet = Packet("input", tunnel.family, tunnel.underlay, None, tunnel.remote, tunnel.local, "udp" if vxlan else "gre", port, tracked=False)
    for base, chains in firewall.drops(packet):
        yield tunnel.problem(
            "underlay",
            "the firewall (%s) drops the tunnel's packets from %s; what lets established or new connections in does not let"
            " them in, since they are of none (notrack)" % (base.where, tunnel.remote),
            _let_in(tunnel, base, chains, port),
            "firewall-input",
        )


def _let_in(tunnel, base, chains, port):
    ends = {"wg": tunnel.underlay, "from": tunnel.remote, "to": tunnel.local, "port": port}
    if "ufw-user-input" in chains or "ufw6-user-input" in chains:
        return ("ufw allow in on %(wg)s proto udp from %(from)s to %(to)s port %(port)d" if port
                else "ufw allow in on %(wg)s proto gre from %(from)s to %(to)s") % ends
    if base.table == "inet firewalld":
        what = "port port=%d protocol=udp" % port if port else "protocol value=gre"
        rule = "rule family=ipv%d source address=%s %s accept" % (tunnel.family, tunnel.remote, what)
        zone = run.output("firewall-cmd", "--get-zone-of-interface=" + tunnel.underlay).strip()
        zone = "--zone=%s " % zone if zone else ""
        return "firewall-cmd --permanent %s--add-rich-rule='%s'; firewall-cmd --reload" % (zone, rule)
    if base.table in XTABLES:
        what = "-p udp --dport %d" % port if port else "-p gre"
        rule = "-i %s -s %s -d %s %s -j ACCEPT" % (tunnel.underlay, tunnel.remote, tunnel.local, what)
        return "%s -I INPUT %s %s" % (base.table, rule, KEPT)
    ends.update(ip="ip" if tunnel.family == 4 else "ip6", what="udp dport %d" % port if port else "meta l4proto gre")
    rule = 'iifname "%(wg)s" %(ip)s saddr %(from)s %(ip)s daddr %(to)s %(what)s accept' % ends
    return "nft 'insert rule %s %s' %s" % (base.name, rule, KEPT)


def _forward(tunnel, bridge, firewall):
    """br_netfilter has a firewall look at the frames that pass this bridge, and it drops them."""
    told = set()
    for family, word in ((4, "ip"), (6, "ip6")):
        if not bridge.bridge_iptables and _switch(word) != "1":
            continue
        for base, _ in firewall.drops(Packet("forward", family, bridge.name, bridge.name, protocol="tcp", port=DISCARD)):
            if base.where in told:
                continue
            told.add(base.where)
            yield tunnel.problem(
                "bridge",
                "the firewall (%s) drops frames that pass %s: br_netfilter, which Docker and others load, shows them to it"
                % (base.where, bridge.name),
                _let_pass(tunnel, base),
                "firewall-forward",
            )


def _let_pass(tunnel, base):
    if base.table == "inet firewalld":
        words = ("--permanent --add-interface=%s" % tunnel.bridge, "--permanent --add-forward", "--reload")
        return "; ".join("firewall-cmd " + word for word in words)
    if base.table in iptables.COMMANDS.values():
        return "l2wg set %s forward=accept; l2wg apply" % tunnel.name
    if base.table in XTABLES:
        return "%s -I FORWARD -i %s -o %s -j ACCEPT %s" % (base.table, tunnel.bridge, tunnel.bridge, KEPT)
    rule = 'iifname "%s" oifname "%s" accept' % (tunnel.bridge, tunnel.bridge)
    return "nft 'insert rule %s %s' %s" % (base.name, rule, KEPT)


def _switch(word):
    return files.glance(SWITCH % word).strip()
