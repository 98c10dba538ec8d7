"""What a router has at one moment, rehearsed or real, as facts that can be compared. Pure."""

import re
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.model import Addresses
from l2wg_hooks.observe import addresses, link_table, wg_interfaces
from l2wg_hooks.plan import restore
from l2wg_hooks.rehearsal.tame import Line

# Routes of other owners come with these, and not with a file that is rehearsed: ip-route(8), `proto`.
OWNERS = ("boot", "static")
# Commands whose only effect is one on the card, of which a stand-in has none.
CARD = ("ethtool", "mii-tool", "iw", "iwconfig")

# The moments of an Outcome: the boot, and by its name each interface that is taken down and brought up once more.
BOOT = ""


class Fact(NamedTuple):
    """One thing that is there: its `kind`, the interface, and what it has."""

    kind: str
    interface: str
    value: str = ""

    def __str__(self):
        form = {
            "interface": "{0}",
            "address": "{1}",
            "route": "the route {1}",
            "port": "{0} as a port of {1}",
            "peer": "{0}'s peer {1}",
            "allowed": "{1} for a peer of {0}",
            "card": "{1} on {0}",
            "setting": "{1} of {0}",
        }
        return form[self.kind].format(self.interface, self.value)


KINDS = ("interface", "address", "route", "port", "peer", "allowed", "card", "setting")


class Look(NamedTuple):
    """A moment: restore.Snapshot, and the WireGuard interfaces."""

    picture: restore.Snapshot
    wireguard: Dict[str, wg_interfaces.Interface]

    @property
    def links(self):
        return self.picture.links


class Step(NamedTuple):
    """A command of the boot, or of what comes later, and how it ended; `code` is None where it came to no end."""

    argv: Tuple[str, ...]
    code: Optional[int]
    said: str
    interface: str = ""
    moment: str = BOOT

    def __str__(self):
        return " ".join(self.argv)


class Failure(NamedTuple):
    """A command of somebody's stanza that failed: `code` is None where it came to no end."""

    line: Line
    code: Optional[int]
    said: str
    moment: str = BOOT


class Outcome(NamedTuple):
    """What came of one rehearsal. `looks` are {moment: Look}; `up` is what ifupdown says that it has brought up, at the boot.

    `card` are the facts that are no stand-in's: (interface, command) by which a card is set up. `skipped` are Lines that were
    not run, `others` what else was left out. `settings` is {interface: {key: value}} of what is not the kernel's default,
    `stanzas` are (interface, path, line, addresses) of interfaces(5).
    """

    looks: Dict[str, Look]
    steps: Tuple[Step, ...]
    failures: Tuple[Failure, ...]
    up: Tuple[str, ...]
    skipped: Tuple[Line, ...]
    others: Tuple[str, ...]
    card: Tuple[Tuple[str, str], ...]
    settings: Dict[str, Dict[str, str]]
    stanzas: Tuple[Tuple[str, str, int, Tuple[str, ...]], ...] = ()


def outcome(found, nics):
    """The Outcome of what play.Play.outcome has given, by way of JSON; `nics` are the names of the cards."""
    before, after = found["settings"]
    return Outcome(
        {moment: look(shown, routes, wireguard) for moment, (shown, routes, wireguard) in found["looks"].items()},
        tuple(Step(tuple(argv), *rest) for argv, *rest in found["steps"]),
        tuple(Failure(Line(*row), *rest) for row, *rest in found["failures"]),
        tuple(found["up"]),
        tuple(Line(*row) for row in found["skipped"]),
        tuple(found["others"]),
        tuple(command for command in (card_command(words, nics) for words in found["card"]) if command),
        changed(before, after),
        tuple((name, path, line, tuple(addresses)) for name, path, line, addresses in found["stanzas"]),
    )


def look(shown, routes, wireguard):
    """The Look of what `ip -json -details address`, `ip -4` and `ip -6 route show table all`, and `wg show all dump` printed."""
    by_name = {}
    for number, text in enumerate(routes):
        for line in text.splitlines():
            words = line.split()
            if "dev" not in words[1:-1] or line[0].isspace():
                continue
            at = words.index("dev")
            name = words[at + 1]
            del words[at : at + 2]
            if number and words[0] == "default":
                words[0] = "::/0"
            by_name.setdefault(name, []).append(" ".join(words))
    held = addresses.parse(shown, {name: "\n".join(lines) for name, lines in by_name.items()})
    return Look(restore.Snapshot(link_table.parse(shown), held), wg_interfaces.parse_all(wireguard))


def facts(look, names):
    """The Facts of the interfaces `names` in a Look: what they have, and not what comes and goes by itself."""
    found = set()
    for name in names:
        if name not in look.links:
            continue
        link, held = look.links[name], look.picture.held.get(name, Addresses())
        found.add(Fact("interface", name))
        if link.master in names:
            found.add(Fact("port", name, link.master))
        found.update(Fact("address", name, _bare(words)) for words in held.addresses if not _passes(words))
        found.update(Fact("route", name, way(words)) for words in held.routes if _owner(words) in OWNERS)
        for peer in look.wireguard[name].peers if name in look.wireguard else ():
            found.add(Fact("peer", name, peer.key))
            found.update(Fact("allowed", name, network) for network in peer.allowed)
    return found


def _bare(words):
    return words[2] if words[1:2] == ("peer",) else words[0]


def _passes(words):
    """Whether an address is one that router advertisements have given: IPv6 with a lifetime."""
    return ":" in words[0] and "valid_lft" in words


def _owner(words):
    return next((after for word, after in zip(words, words[1:]) if word == "proto"), "boot")


def way(words):
    """A route as it is the same by whichever interface it goes: where to, over whom, in which table."""
    kept = [words[0] if words[0] != "::/0" else "default (IPv6)"]
    for word, after in zip(words, words[1:]):
        if word in ("via", "table") and after != "main":
            kept += [word, after]
    return " ".join(kept)


def lost(before, after, moved):
    """The Facts of `before` that are not in `after`, the most important first; `moved` is {port: the bridge that it is part of}.

    An address is lost where no interface has it, and a route by a gateway where none leads there any more. What an interface had
    that is gone as a whole goes without saying, but for its addresses and routes.
    """
    there = {_moveable(fact, moved) for fact in after}
    gone = [fact for fact in before if _moveable(fact, moved) not in there]
    whole = {fact.interface for fact in gone if fact.kind == "interface"}
    told = [fact for fact in gone if fact.interface not in whole or fact.kind in ("interface", "address", "route")]
    return tuple(sorted(told, key=lambda fact: (KINDS.index(fact.kind), fact)))


def _moveable(fact, moved):
    if fact.kind == "address" or (fact.kind == "route" and " via " in fact.value):
        return fact._replace(interface="")
    return fact._replace(interface=moved.get(fact.interface, fact.interface)) if fact.kind == "route" else fact


def cards(outcome, nics):
    """The Facts of an Outcome about cards: each command that reached one of `nics`."""
    return {Fact("card", name, f"`{command}`") for name, command in outcome.card if name in nics}


def card_command(words, names):
    """(interface, command) of a command for the card that was called with `words`; None where it is about none of `names`."""
    about = [word for word in words[1:] if word in names]
    return (about[0], " ".join(words)) if about else None


def changed(before, after):
    """{interface: {key: value}} of the settings in `after` that are not as in `before`, which may not have the interface."""
    found = {}
    for name, values in after.items():
        usual = before.get(name, before.get("default", {}))
        differs = {key: value for key, value in values.items() if usual.get(key, value) != value}
        if differs:
            found[name] = differs
    return found


def normal(command, moved):
    """A command as it is the same on a port and on the bridge that has its stanza now; `moved` is {port: bridge}."""
    for port, bridge in moved.items():
        command = re.sub(rf"(?<![\w-]){re.escape(port)}(?![\w-])", bridge, command)
    return command
