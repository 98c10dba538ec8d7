"""Files for a rehearsal: each command of somebody's in them is run by number, so that who fails is known, or left out. Pure.

No line moves: what is said of the copy is true of the file.
"""

import re
from typing import NamedTuple, Tuple

from l2wg_hooks.config import card, endpoint_names, ifupdown, ifupdown_stanzas, schema, wg_quick
from l2wg_hooks.rehearsal import harmless

HOOKS = ("preup", "postup", "predown", "postdown")


class Line(NamedTuple):
    """A command of somebody's: where it stands, in whose stanza, and why it is left out ("": it is run)."""

    number: int
    path: str
    line: int
    interface: str
    key: str
    command: str
    stranger: str = ""


def interfaces_file(text, path, first, runner):
    """(text, Lines) of a file of interfaces(5); the Lines are numbered from `first`, `runner` is the command that runs one."""
    logical = {entry.number: entry for entry in ifupdown.lines_of(text)}
    rows, found, current, joined = [], [], None, False
    for number, whole in enumerate(re.findall(r"[^\n]*\n|[^\n]+\Z", text), 1):
        entry = logical.get(number)
        if entry is not None:
            joined = False
            if ifupdown_stanzas.begins(entry.words[0]):
                current = entry.words[1] if entry.words[0] == "iface" and len(entry.words) > 1 else None
            elif current is not None and entry.words[0] in ifupdown_stanzas.COMMANDS:
                line = Line(first + len(found), path, number, current, entry.words[0], entry.rest, harmless.stranger(entry.rest))
                found.append(line)
                rows.append(f"    {entry.words[0]} {_runs(line, runner)}\n")
                joined = True
                continue
        # The rest of a command that goes on behind a backslash is in the Line as a whole.
        rows.append("\n" if joined and not whole.lstrip(schema.SPACE).startswith("#") else whole)
    return "".join(rows), tuple(found)


def wireguard_file(text, path, name, first, runner):
    """(text, Lines) of a file of wg-quick(8) for interface `name`."""
    rows, found = [], []
    for number, row in enumerate(wg_quick.rows_of(text), 1):
        whole = row.text
        if row.section == "[interface]" and row.key in HOOKS and row.value:
            command = row.value.replace("%i", name)
            key = row.text.partition("=")[0].strip()
            line = Line(first + len(found), path, number, name, key, command, harmless.stranger(command))
            found.append(line)
            whole = f"{key} = {_runs(line, runner)}"
        rows.append(whole + row.end)
    return "".join(rows), tuple(found)


def _runs(line, runner):
    return ":" if line.stranger else "%s %d" % (runner, line.number)


def hooks(names, listed):
    """The scripts of ifupdown's folders that are run: those that make interfaces, and ours.

    `names` are their paths; `listed` is {package: the paths that dpkg has installed for it}.
    """
    return tuple(path for path in names if any(path in listed.get(package, ()) for package in PACKAGES))


# Their hooks make bridges, VLANs and bonds, or set up the card; all else is for daemons.
PACKAGES = ("bridge-utils", "vlan", "ifenslave", "ethtool", "l2wg")


def endpoints(texts, known) -> Tuple[Tuple[str, str], ...]:
    """(name, address) of each DNS name that a peer is called by, since nothing in a rehearsal can be asked for it.

    `texts` are those of WireGuard's files, `known` is {public key: the endpoint that the peer has now}. Where nobody knows, it is
    an address for documentation (RFC 5737).
    """
    from l2wg_hooks.config import wg_quick_peers

    found = {}
    for text in texts:
        for section in wg_quick_peers.sections(text):
            host = section.endpoint.rpartition(":")[0].strip("[]")
            if not host or ":" in host or re.match(r"[0-9.]+\Z", host):
                continue
            address = known.get(section.key, "").rpartition(":")[0].strip("[]").partition("%")[0]
            found.setdefault(host, address or NOWHERE)
    return tuple(sorted(found.items()))


NOWHERE = "192.0.2.1"


def sites(text):
    """The text of /etc/l2wg/sites without endpoints that are names: nobody is there who knows them."""
    rows = []
    for line in text.split("\n"):
        word = line.split(None, 1)[0] if line.strip() else ""
        try:
            known = card.decode(word)
        except card.Refused:
            rows.append(line)
            continue
        if endpoint_names.is_name(known.endpoint):
            line = line.replace(word, card.encode(known._replace(endpoint="")), 1)
        rows.append(line)
    return "\n".join(rows)
