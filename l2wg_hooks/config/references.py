"""Who else names a port: files under /etc that have to speak of the bridge once the port's address has moved there."""

import os
import re

from l2wg_hooks.config import ifupdown_stanzas
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files
from l2wg_hooks.typed import NamedTuple

ROOT = "/etc"
# Ours, those that go by hardware, and those that configure nobody.
SKIPPED = ("network/interfaces.d/l2wg", "l2wg", "udev", "ssl", "alternatives", "apt", "systemd/network", "dnsmasq.d/l2wg")
# Of these, other stanzas' commands count only: what else names a port there is about the port.
INTERFACES = "network/interfaces"
# No configuration file is larger.
LARGEST = 1 << 18
# dnsmasq(8) takes further interfaces from a file of ours, so nothing of the admin's has to change.
DNSMASQ = "/etc/dnsmasq.d/l2wg"


class Mention(NamedTuple):
    """One line that names `port`, which has been, or will be, a port of `bridge`."""

    path: str
    line: int
    text: str
    port: str
    bridge: str

    def problem(self):
        """What to tell the admin of it."""
        hint = f"if it is about the network behind {self.port}, and not the card, write {self.bridge} instead"
        return Problem(f"names {self.port}, whose address is on {self.bridge}: {self.text}", hint, self.path, self.line)


def find(moved):
    """All Mentions of the ports in `moved`, {port: bridge}."""
    found = []
    words = re.compile(r"(?<![\w:-])({})(?![\w:-]|[./]\d)".format("|".join(re.escape(port) for port in sorted(moved))))
    for path in _paths() if moved else ():
        try:
            lines = _spoken(path, moved).split("\n")
        except L2wgError:
            continue
        for number, line in enumerate(lines, 1):
            match = words.search(line)
            if match and line.lstrip()[:1] not in ("#", ";", ""):
                found.append(Mention(path, number, line.strip(), match.group(1), moved[match.group(1)]))
    return found


def _spoken(path, moved):
    """The text of a file, as far as it can speak of the network behind a port: the other lines are empty."""
    text = files.read(path, LARGEST)
    if not os.path.relpath(path, ROOT).startswith(INTERFACES):
        return text
    rows = ifupdown_stanzas.set_aside(text, moved).split("\n")
    return "\n".join(row if "".join(ifupdown_stanzas.words_of(row)[:1]) in ifupdown_stanzas.COMMANDS else "" for row in rows)


def _paths():
    for folder, folders, names in sorted(os.walk(ROOT)):
        inside = os.path.relpath(folder, ROOT)
        folders[:] = [name for name in folders if os.path.normpath(os.path.join(inside, name)) not in SKIPPED]
        for name in sorted(names):
            path = os.path.join(folder, name)
            # As run-parts(8) and most others: copies that editors and dpkg leave are nobody's configuration.
            if re.search(r"(~|\.(dpkg-\w+|bak|old|orig|save|swp))\Z", name):
                continue
            if os.path.relpath(path, ROOT).startswith(SKIPPED) or not os.path.isfile(path) or os.path.islink(path):
                continue
            if os.path.getsize(path) <= LARGEST:
                yield path


def unserved(mentions):
    """The Mentions that somebody has to look at: all but those that `dnsmasq` deals with."""
    return [mention for mention in mentions if not _is_served(mention)]


def _is_served(mention):
    in_dnsmasq = mention.path.startswith(os.path.join(ROOT, "dnsmasq")) and os.path.isdir(os.path.dirname(DNSMASQ))
    return in_dnsmasq and re.match(r"interface\s*=", mention.text)


def dnsmasq(mentions):
    """The text of DNSMASQ for these Mentions: dnsmasq serves the bridge as it serves the port. Empty where it need not."""
    bridges = {mention.bridge for mention in mentions if _is_served(mention)}
    if not bridges:
        return ""
    lines = ["# Written by l2wg: the address of a port that dnsmasq serves has moved to its bridge."]
    return "\n".join(lines + [f"interface={bridge}" for bridge in sorted(bridges)]) + "\n"
