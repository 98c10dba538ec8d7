"""The firewall of this moment, asked by verdict.py's packets."""

from l2wg_hooks import run, verdict


class Firewall:
    """The rules of iptables and nft(8) at this moment."""

    def __init__(self):
        self.saved = {4: run.output("iptables-save", "-t", "filter"), 6: run.output("ip6tables-save", "-t", "filter")}
        self.listed = run.output("nft", "-j", "list", "ruleset")

    def texts(self):
        """All that they have said."""
        return tuple(self.saved.values()) + (self.listed,)

    def drops(self, packet):
        """(Base, chains) of those that drop a Packet for certain."""
        found = [verdict.xtables(self.saved[packet.family], packet)]
        # What iptables made is walked as such: nft(8) does not show all of its matches.
        skip = [("inet", "l2wg")] + [("ip" if packet.family == 4 else "ip6", "filter")] * bool(found[0].bases)
        found.append(verdict.nft(self.listed, packet, skip))
        return [(base, rules.chains) for rules in found for base in verdict.drops(rules)]
