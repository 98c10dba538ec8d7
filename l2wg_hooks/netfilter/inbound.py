"""What the firewall of this router says of the packets of a tunnel's peer: for `l2wg check`, and for apply."""

from l2wg_hooks.netfilter import iptables
from l2wg_hooks.netfilter.trace import Packet
from l2wg_hooks.system import process

KEPT = "# and where your firewall keeps its rules"
XTABLES = tuple(name + back for name in iptables.COMMANDS.values() for back in ("", "-legacy", "-nft"))


def problems(tunnel, firewall):
    """Yield a Problem for each chain of a Firewall that drops the packets of this tunnel's peer, and how to let them in."""
    for end in tunnel.ends():
        port = tunnel.udp_port
        protocol = "udp" if port else "gre"
        packet = Packet("input", tunnel.family, tunnel.underlay, None, end.remote, end.local, protocol, port, tracked=False)
        for base, chains in firewall.drops(packet):
            yield tunnel.problem(
                "underlay",
                f"the firewall ({base.where}) drops the tunnel's packets from {end.remote}; what lets established "
                f"or new connections in does not let"
                " them in, since they are of none (notrack)",
                _let_in(tunnel, end, base, chains, port),
                "firewall-input",
            )


def _let_in(tunnel, end, base, chains, port):
    ends = {"wg": tunnel.underlay, "from": end.remote, "to": end.local, "port": port}
    if "ufw-user-input" in chains or "ufw6-user-input" in chains:
        return (
            "ufw allow in on %(wg)s proto udp from %(from)s to %(to)s port %(port)d"
            if port
            else "ufw allow in on %(wg)s proto gre from %(from)s to %(to)s"
        ) % ends
    if base.table == "inet firewalld":
        what = "port port=%d protocol=udp" % port if port else "protocol value=gre"
        rule = "rule family=ipv%d source address=%s %s accept" % (tunnel.family, end.remote, what)
        zone = process.output("firewall-cmd", "--get-zone-of-interface=" + tunnel.underlay).strip()
        zone = f"--zone={zone} " if zone else ""
        return f"firewall-cmd --permanent {zone}--add-rich-rule='{rule}'; firewall-cmd --reload"
    if base.table in XTABLES:
        what = "-p udp --dport %d" % port if port else "-p gre"
        rule = f"-i {tunnel.underlay} -s {end.remote} -d {end.local} {what} -j ACCEPT"
        return f"{base.table} -I INPUT {rule} {KEPT}"
    ends.update(ip="ip" if tunnel.family == 4 else "ip6", what="udp dport %d" % port if port else "meta l4proto 47")
    rule = 'iifname "{wg}" {ip} saddr {from} {ip} daddr {to} {what} accept'.format(**ends)
    return f"nft 'insert rule {base.name} {rule}' {KEPT}"
