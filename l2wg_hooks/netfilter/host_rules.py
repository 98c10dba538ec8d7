"""The firewall of this moment, asked by netfilter/trace.py's packets."""

import re

from l2wg_hooks.netfilter import trace
from l2wg_hooks.system import files, process

# The tables that iptables' older back end has in the kernel, one a line; nobody else fills it.
LEGACY = "/proc/net/%s_tables_names"

OWN = ("inet", "l2wg")


class Firewall:
    """The rules of iptables and nft(8) at this moment.

    `unread` are the lines of tables that cannot be walked, since this nft(8) was built without JSON, each with its table's name.
    """

    def __init__(self):
        self.saved = {4: _saved("iptables", LEGACY % "ip"), 6: _saved("ip6tables", LEGACY % "ip6")}
        self.listed, self.unread = process.output("nft", "-j", "list", "ruleset"), ()
        self._rules = trace.listing(self.listed, [OWN])
        if self._rules is None:
            # That of 0.9.0 prints text and says that all is well.
            text, self.listed = process.output("nft", "list", "ruleset"), ""
            known = ["ip filter"] * ("*filter" in _all(self.saved[4])) + ["ip6 filter"] * ("*filter" in _all(self.saved[6]))
            self.unread = tuple(_lines(text, known + [" ".join(OWN)]))
        self._filters = {
            family: [(command, trace.saved(text)) for command, text in these] for family, these in self.saved.items()
        }

    def texts(self):
        """All that they have said."""
        return tuple(text for found in self.saved.values() for _, text in found) + (self.listed,)

    def drops(self, packet):
        """(Base, chains) of those that drop a Packet for certain."""
        found = [trace.xtables(known, packet, command) for command, known in self._filters[packet.family]]
        # What iptables made is walked as such: nft(8) does not show all of its matches, and none of what -legacy made.
        skip = [("ip" if packet.family == 4 else "ip6", "filter")] * bool(found[0].bases)
        found.append(trace.nft(self._rules, packet, skip))
        return [(base, rules.chains) for rules in found for base in trace.drops(rules)]


def _all(saved):
    return "".join(text for _, text in saved)


def _lines(text, known):
    """(table, line) of what `nft list ruleset` printed of tables that filter IP packets, but for those that are `known`."""
    table = ""
    for line in text.splitlines():
        if line.startswith("table "):
            table = line[len("table ") :].rstrip(" {")
        elif line.strip(" \t}") and table.startswith(("inet ", "ip ", "ip6 ")) and table not in known:
            yield table, line.strip()


def _saved(command, names):
    """[(command, what its -save printed of table filter)]: first what nft(8) lists, too, then what it does not see.

    iptables has two back ends, whose rules all count, and of which each shows its own only. `names` is the older one's file.
    """
    usual = process.output(command + "-save", "-t", "filter")
    if "filter" not in files.glance(names).split():
        return [(command, usual)]
    legacy = process.output(command + "-legacy-save", "-t", "filter")
    if _rules(legacy) != _rules(usual):
        return [(command, usual), (command + "-legacy", legacy)]
    # The plain name is the older one's on this router.
    return [(command + "-nft", process.output(command + "-nft-save", "-t", "filter")), (command, usual)]


def _rules(saved):
    """Without what is another each time: the hour, counters."""
    return re.sub(r"#.*|\[\d+:\d+\]", "", saved).split()
