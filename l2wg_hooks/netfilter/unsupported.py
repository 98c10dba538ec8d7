"""What this router's nft(8) or kernel does not take of the rules that are wished for, told by the key that wants it.

Nothing is read from what nft(8) says: rule sets that lack one key or another are tried, by `nft -c`, which loads nothing.
"""

import os

from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Rules
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.system import features, process
from l2wg_hooks.typed import NamedTuple, Tuple

OPTIONAL = tuple(feature for feature in features.FEATURES if feature.key)


class Refusal(NamedTuple):
    """(Feature, what nft(8) said) of each key that is refused; `guard` is what it said of all that no tunnel can do without."""

    keys: Tuple[tuple, ...] = ()
    guard: str = ""

    def __bool__(self):
        return bool(self.keys or self.guard)


def find(wanted):
    """The Refusal of Rules. Raises L2wgError where nft(8) is not there."""
    if not wanted.entries:
        return Refusal()
    for feature in features.FEATURES:
        if features.is_old(feature, os.uname().release):
            return Refusal(guard=f"Linux {os.uname().release} is older than {features.since(feature)}, which has {feature.name}")
    if _taken(wanted):
        return Refusal()
    used = [feature for feature in OPTIONAL if any(_uses(entry, feature) for entry in wanted.entries)]
    said = _ask(without(wanted, used))
    if said:
        return Refusal(guard=said)
    refused = [(feature, _ask(without(wanted, [other for other in used if other != feature]))) for feature in used]
    refused = [row for row in refused if row[1]]
    # Each can be had, and not all of them: then none is claimed to stand.
    return Refusal(tuple(refused) or tuple((feature, _ask(wanted)) for feature in used))


def _uses(entry, feature):
    if feature.key == "mss-clamp":
        return entry["clamp"] == "nftables"
    return any(entry[key] != value for key, value in feature.unused.items())


def without(wanted, refused):
    """Rules without what these Features are for."""
    entries = wanted.entries
    for feature in refused:
        entries = [dict(entry, **feature.unused) if _uses(entry, feature) else entry for entry in entries]
    return Rules(entries, wanted.values)


def _text(wanted):
    return nftables.load(wanted.entries, wanted.values).rpartition("include ")[0] + nftables.render(wanted.entries)


def _taken(wanted):
    return not _ask(wanted)


def _ask(wanted):
    """ "" where nft(8) and the kernel take it; else the first that is said of it."""
    result = process.run(features.CHECK, _text(wanted))
    return "" if result.code == 0 else result.err.strip().partition("\n")[0] or "code %d" % result.code


def problems(refusal, tunnels):
    """The Problems of a Refusal, at the tunnels' own lines."""
    if refusal.guard:
        what = "loop detection" if tunnels and all(tunnel.walled for tunnel in tunnels) else "the guard"
        message = f"{what}, without which no tunnel is made, cannot be had on this router: {refusal.guard}"
        yield Problem(message, _cure(), id="nft-form")
    for feature, said in refusal.keys:
        for tunnel in tunnels:
            if _uses(nftables.entry(tunnel), feature):
                yield tunnel.problem(
                    feature.key,
                    f"cannot be had on this router, which has no {feature.name}: nft(8) says: {said}",
                    f"l2wg set {tunnel.name} {feature.key}={OFF[feature.key]}; or what has it: "
                    f"{features.since(feature)} and its kernel's modules (l2wg check -v)",
                    "nft-form",
                )


# Of each key, the value that needs nothing.
OFF = {"mss-clamp": "iptables", "vlans": "all", "dhcp": "pass", "storm-limit": "off"}


def _cure():
    """By what can be tried: the kernel, the families, or only the rules."""
    if any(features.is_old(feature, os.uname().release) for feature in features.FEATURES):
        return "Debian 10: apt install -t buster-backports linux-image-amd64; then: reboot"
    families = features.FEATURES[0]
    if process.run(families.argv, families.text).code:
        return "modprobe nf_tables must work, as root: the kernel of package linux-image-amd64 has families inet and bridge"
    return "l2wg check -v # lists what this nft(8) and this kernel have, and what has the rest"
