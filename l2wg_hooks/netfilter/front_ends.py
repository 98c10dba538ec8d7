"""Who keeps the rules of this router's firewall, and the command that has each let something pass: FRONT_ENDS, a class each."""

from l2wg_hooks.netfilter import iptables
from l2wg_hooks.system import process

KEPT = "# and where your firewall keeps its rules"
XTABLES = tuple(name + back for name in iptables.COMMANDS.values() for back in ("", "-legacy", "-nft"))


class FrontEnd:
    """What keeps rules."""

    def keeps(self, base, chains):
        """Whether a trace.Base, in whose table there are these chains, is its."""
        raise NotImplementedError

    def let_in(self, base, packet):
        """The command that has it let in a trace.Packet of hook "input"; without `source`, from anybody."""
        raise NotImplementedError

    def let_pass(self, base, tunnel):
        """The command that has it let pass all that crosses the tunnel's bridge."""
        raise NotImplementedError

    def let_through(self, base, name):
        """The command that has it forward UDP from an interface to the same one. Fragments have no port."""
        raise NotImplementedError


class Nft(FrontEnd):
    """nft(8), by hand: what is nobody else's."""

    def keeps(self, base, chains):
        return True

    def let_in(self, base, packet):
        ip = "ip" if packet.family == 4 else "ip6"
        match = "udp dport %d" % packet.port if packet.port else "meta l4proto 47"
        ends = f"{ip} saddr {packet.source} {ip} daddr {packet.target} " if packet.source else ""
        rule = f'iifname "{packet.iif}" {ends}{match} accept'
        return f"nft 'insert rule {base.name} {rule}' {KEPT}"

    def let_pass(self, base, tunnel):
        rule = f'iifname "{tunnel.bridge}" oifname "{tunnel.bridge}" accept'
        return f"nft 'insert rule {base.name} {rule}' {KEPT}"

    def let_through(self, base, name):
        rule = f'iifname "{name}" oifname "{name}" meta l4proto udp accept'
        return f"nft 'insert rule {base.name} {rule}' {KEPT}"


class Iptables(FrontEnd):
    """iptables(8) with either back end, by hand or by a script."""

    def keeps(self, base, chains):
        return base.table in XTABLES

    def let_in(self, base, packet):
        match = "-p udp --dport %d" % packet.port if packet.port else "-p gre"
        ends = f"-s {packet.source} -d {packet.target} " if packet.source else ""
        rule = f"-i {packet.iif} {ends}{match} -j ACCEPT"
        return f"{base.table} -I INPUT {rule} {KEPT}"

    def let_pass(self, base, tunnel):
        if base.table in iptables.COMMANDS.values():
            return f"l2wg set {tunnel.name} forward=accept; l2wg apply"
        return f"{base.table} -I FORWARD -i {tunnel.bridge} -o {tunnel.bridge} -j ACCEPT {KEPT}"

    def let_through(self, base, name):
        return f"{base.table} -I FORWARD -i {name} -o {name} -p udp -j ACCEPT {KEPT}"


class Ufw(FrontEnd):
    """ufw(8), whose chains are another one's, and which has no word for what crosses a bridge."""

    def keeps(self, base, chains):
        return "ufw-user-input" in chains or "ufw6-user-input" in chains

    def let_in(self, base, packet):
        protocol, port = ("udp", " port %d" % packet.port) if packet.port else ("gre", "")
        ends = f"from {packet.source} to {packet.target}" if packet.source else "from any to any"
        return f"ufw allow in on {packet.iif} proto {protocol} {ends}{port}"

    def let_pass(self, base, tunnel):
        return of(base, ()).let_pass(base, tunnel)

    def let_through(self, base, name):
        return f"ufw route allow in on {name} out on {name} proto udp from any to any"


class Firewalld(FrontEnd):
    """firewalld(1), with its nftables back end."""

    def keeps(self, base, chains):
        return base.table == "inet firewalld"

    def let_in(self, base, packet):
        element = "port port=%d protocol=udp" % packet.port if packet.port else "protocol value=gre"
        source = f"source address={packet.source} " if packet.source else ""
        rule = "rule family=ipv%d %s%s accept" % (packet.family, source, element)
        zone = process.output("firewall-cmd", "--get-zone-of-interface=" + packet.iif).strip()
        zone = f"--zone={zone} " if zone else ""
        return f"firewall-cmd --permanent {zone}--add-rich-rule='{rule}'; firewall-cmd --reload"

    def let_pass(self, base, tunnel):
        return self._within(tunnel.bridge)

    @staticmethod
    def _within(name):
        """The command that has the interfaces of a zone, of which this one is, forward to each other, and to themselves."""
        words = (f"--permanent --add-interface={name}", "--permanent --add-forward", "--reload")
        return "; ".join("firewall-cmd " + word for word in words)

    def let_through(self, base, name):
        return self._within(name)


# The first that keeps a chain is asked.
FRONT_ENDS = (Ufw(), Firewalld(), Iptables(), Nft())


def of(base, chains):
    """Who keeps a trace.Base, in whose table there are these chains."""
    return next(front_end for front_end in FRONT_ENDS if front_end.keeps(base, chains))
