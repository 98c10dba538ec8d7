"""interfaces(5): what is defined there, and our own stanza. Reading follows `source` and `source-directory`."""

import fnmatch
import glob
import os
import re
from dataclasses import dataclass, replace
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks import files, silence, spoken, stanza
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.settings import NAME, SPACE

MAIN = "/etc/network/interfaces"
OURS = silence.FILE
# A copy of what was set aside for each port, under its name: comments in a file of the admin's are anybody's to take out.
COPIES = "/var/lib/l2wg/aside"
HEADER = "# Written by l2wg from /etc/l2wg/*.conf: edit those, then run `l2wg apply`.\n"


@dataclass(frozen=True)
class Stanza:
    """One `iface` stanza: `options` as (key, value) pairs, `line` 1-based. `inherits` is the stanza whose options it has, too."""

    interface: str
    family: str
    method: str
    path: str
    line: int
    options: Tuple[Tuple[str, str], ...] = ()
    inherits: str = ""

    def with_more(self, options):
        """The same with further options."""
        return replace(self, options=self.options + tuple(options))

    def addresses(self):
        """What gives the interface an address: its `address` lines, or the method."""
        found = tuple(value for key, value in self.options if key == "address")
        return found or ((self.method,) if self.method not in ("manual", "loopback") else ())


class Defined(NamedTuple):
    """All stanzas, all files that they were read from, and their source lines: (word, pattern, folder of the file).

    `aside` are those that stanza.py has set aside: commented out, since a bridge of ours has them now. `marked` are the files
    with such comments, `copies` what is kept of them beside, {port: text}, and `lost` the ports whose comments are not all
    there any more: then `aside` has the copy. `ifupdown` is false where there is none: on NixOS, whose own configuration
    defines the bridges.
    `unread` are Problems of what is no file that anybody could read: who defines what in there, nobody knows.
    """

    stanzas: Tuple[Stanza, ...]
    paths: Tuple[str, ...]
    sources: Tuple[Tuple[str, str, str], ...] = ()
    aside: Tuple[Stanza, ...] = ()
    ifupdown: bool = True
    unread: Tuple[Problem, ...] = ()
    marked: Tuple[str, ...] = ()
    copies: Dict[str, str] = {}
    lost: Tuple[str, ...] = ()

    def instead(self, port, copied):
        """The same, but that `copied` counts for what is set aside of `port`."""
        others = tuple(one for one in self.aside if one.interface != port)
        return self._replace(aside=others + tuple(copied), lost=self.lost + (port,))

    def reaches(self, path):
        """Whether the file `path` is read, or would be once it is there."""
        return path in self.paths or any(covers(*source, path=path) for source in self.sources)

    def reached_by_others(self, path):
        """Whether another line than ours, which names just that file, sources `path`."""
        return any(covers(*source, path=path) for source in self.sources if source[1] != path)


class Line(NamedTuple):
    """A logical line: backslashes joined, comments gone. `rest` is what is behind its first word, spaced as written."""

    number: int
    words: Tuple[str, ...]
    rest: str


def lines_of(text):
    """The logical Lines of one file. A comment starts with # at the start of a line only."""
    logical, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not logical and line.lstrip(SPACE).startswith("#"):
            continue
        start = start or number
        if line.endswith("\\"):
            logical += line[:-1] + " "
            continue
        words = tuple(stanza.words_of(logical + line))
        if words:
            yield Line(start, words, (logical + line).strip(SPACE)[len(words[0]) :].strip(SPACE))
        logical, start = "", 0


def parse(text, path):
    """(stanzas, sources) of one file's text; sources are the (word, pattern) of its source lines. Pure."""
    stanzas, sources, current = [], [], None
    for line in lines_of(text):
        word = line.words[0]
        if word in ("source", "source-directory", "source-dir"):
            sources.extend((word, pattern) for pattern in line.words[1:])
            current = None
        elif stanza.begins(word):
            current = None
            if word == "iface" and len(line.words) > 1:
                family, method = (line.words[2:4] + ("", ""))[:2]
                parent = line.words[line.words.index("inherits") + 1 :][:1] if "inherits" in line.words[2:] else ()
                stanzas.append([line.words[1], family, method, path, line.number, [], "".join(parent)])
                current = stanzas[-1][5]
        elif current is not None:
            # A command may mean its spaces.
            value = line.rest if word in stanza.COMMANDS else " ".join(line.words[1:])
            current.append((word.replace("_", "-"), value))
    return [Stanza(*row[:5], options=tuple(row[5]), inherits=row[6]) for row in stanzas], sources


def read(main=None):
    """What interfaces(5) defines, all sourced files included. A file that cannot be read defines nothing."""
    stanzas, paths, lines, aside, marked, visited, unread = [], [], [], [], [], set(), []

    def visit(path):
        real = os.path.realpath(path)
        if real in visited:  # files may source each other, and `source-directory .` themselves
            return
        visited.add(real)
        try:
            text = files.read(path)
        except L2wgError as error:
            # A folder in a folder and a link that leads nowhere are nothing to ifupdown either.
            if os.path.exists(path) and not os.path.isdir(path):
                unread.extend(error.problems)
            return
        paths.append(path)
        found, sources = parse(text, path)
        stanzas.extend(found)
        aside.extend(parse(stanza.aside(text), path)[0])
        marked.extend([path] if stanza.MARK in text else [])
        for word, pattern in sources:
            lines.append((word, pattern, os.path.dirname(path)))
            for name in _sourced(*lines[-1]):
                visit(name)

    visit(main or MAIN)
    there = os.path.isdir(os.path.dirname(main or MAIN))
    found = Defined(tuple(stanzas), tuple(paths), tuple(lines), tuple(aside), there, tuple(unread), tuple(marked), _copies())
    for port, text in found.copies.items():
        copied = [one for one in parse(text, os.path.join(COPIES, port))[0] if one.interface == port]
        if not same_keys(copied, [one for one in aside if one.interface == port]):
            found = found.instead(port, copied)
    return found


def _copies():
    found = {}
    try:
        for name in sorted(os.listdir(COPIES)):
            if NAME.match(name):
                found[name] = files.read(os.path.join(COPIES, name))
    except (OSError, L2wgError):
        pass  # then the comments count
    return found


def same_keys(one, other, commands=True):
    """Whether two lists of Stanzas say the same things, whatever the values: it sees a line that is gone, and no change."""
    return _keys(one, commands) == _keys(other, commands)


def _keys(stanzas, commands):
    found = [(one.family, one.method) for one in stanzas]
    for one in stanzas:
        found += [("", "" if key in stanza.COMMANDS else key) for key, _ in one.options if commands or key not in stanza.COMMANDS]
    return sorted(found)


def recovered(defined, old, links):
    """`defined` with what our own file, `old`, has of ports whose comments are gone, and their copy, too.

    It is told by bridge-hw that a bridge has what its ports carried. Of several ports, the first with that address counts.
    """
    found = parse(old, OURS)[0]
    for bridge, ports in bridges_in(old).items():
        theirs = [one for one in found if one.interface == bridge]
        mac = next((value for one in theirs for key, value in one.options if key == "bridge-hw"), "")
        known = [one for one in defined.aside if one.interface in ports]
        if not mac or any(port in defined.copies for port in ports):
            continue
        port = next((name for name in ports if name in links and links[name].mac == mac), ports[0])
        port = known[0].interface if known else port
        had = _as_port(theirs, [one for one in found if one.interface in ports], bridge, port)
        # What another version has written may have other commands.
        if had and not _fewer(had, known):
            text = "".join(_text(one) for one in had)
            defined = defined._replace(copies=dict(defined.copies, **{port: text})).instead(port, had)
    return defined


def _fewer(had, known):
    """Whether all that `had` says, but for commands, is `known`."""
    left = [key for _, key in _keys(known, False)]
    for _, key in _keys(had, False):
        if key not in left:
            return False
        left.remove(key)
    return True


def _as_port(theirs, ports, bridge, port):
    """The Stanzas of a bridge of ours, and of its ports, as those of the port that the bridge has them from."""
    found = []
    for one in theirs:
        options = tuple(
            (key, spoken.renamed(value, bridge, port) if key in stanza.COMMANDS else value)
            for key, value in one.options
            if not key.startswith("bridge-") and "/etc/network/if-pre-up.d/bridge" not in value
        )
        if options:
            found.append(Stanza(port, one.family, one.method, OURS, one.line, options))
    card = tuple(option for one in ports for option in one.options if "ipv6/conf/$IFACE/accept_ra=" not in option[1])
    return [found[0].with_more(card)] + found[1:] if found else []


def _text(one):
    return "iface %s %s %s\n" % (one.interface, one.family, one.method) + "".join("    %s %s\n" % pair for pair in one.options)


def _sourced(word, pattern, base):
    pattern = os.path.join(base, pattern)
    try:
        found = sorted(os.path.normpath(name) for name in glob.glob(pattern))
    except (ValueError, re.error, RecursionError):  # a NUL, thousands of folders, or [z-a] before Python 3.9: no file is there
        return []
    if word == "source":
        # wordexp(3) gives a directory, too; ifupdown takes the files in it as for source-directory.
        return [name for name in found if not os.path.isdir(name)] + [
            name for directory in found if os.path.isdir(directory) for name in _inside(directory)
        ]
    return [name for directory in found for name in _inside(directory)]


def covers(word, pattern, base, path):
    """Whether a source line would take in the file `path`, once it is there."""
    directory = os.path.dirname(path)
    pattern = os.path.join(base, pattern)
    try:
        if fnmatch.fnmatch(directory, os.path.normpath(pattern)):
            return True  # the directory as a whole
        return word == "source" and fnmatch.fnmatch(path, pattern)
    except re.error:
        return False


def _inside(directory):
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    # The names that source-directory takes: interfaces(5), INCLUDING OTHER FILES.
    return [os.path.join(directory, name) for name in names if re.match(r"[A-Za-z0-9_-]+\Z", name)]


class Port(NamedTuple):
    """A port that our file has to define, since nobody else does, and the lines of its stanza."""

    name: str
    lines: Tuple[str, ...] = ()


class Bridge(NamedTuple):
    """A bridge that our file has to define. `own_ports` are those of its ports that nobody else defines.

    `stanzas` are (family, method, lines) of what the ports `moved` carried before they became ports, `mac` is the address that it
    keeps for those who knew the first of them. `switches` are those of silence.py.
    """

    name: str
    ports: Tuple[str, ...]
    own_ports: Tuple[Port, ...]
    address: str
    stp: bool
    stanzas: Tuple[Tuple[str, str, Tuple[str, ...]], ...] = ()
    mac: str = ""
    moved: Tuple[str, ...] = ()
    switches: Dict[str, Tuple[str, ...]] = silence.THEIRS


def ours(tunnels, defined, moving=(), old="", links=None):
    """{name: Bridge} of the bridges that our file has to define: their ports are wished for, and nobody else has them.

    `moving` are ports whose stanzas move to their bridge now, beside those that have moved before. Such a bridge has the
    Ethernet address that our file as it is (`old`) gives it, or that of the first of these ports in `links`.
    """
    if not defined.ifupdown:
        return {}
    macs = {one.interface: value for one in parse(old, OURS)[0] for key, value in one.options if key == "bridge-hw"}
    elsewhere = {one.interface for one in defined.stanzas if one.path != OURS and one.interface not in moving}
    # What was set aside before is of the past where its port has got a stanza again.
    moved = tuple(one for one in defined.stanzas if one.interface in moving and one.path != OURS)
    moved += tuple(one for one in defined.aside if one.interface not in moving)
    bridges = {}
    for tunnel in tunnels:
        if not tunnel.bridge_ports or tunnel.bridge in elsewhere:
            continue
        known = bridges.get(tunnel.bridge, Bridge(tunnel.bridge, (), (), "", False))
        ports = known.ports + tuple(port for port in tunnel.bridge_ports if port not in known.ports)
        theirs = [(one, stanza.split(one.options, one.interface, tunnel.bridge)) for one in moved if one.interface in ports]
        bridges[tunnel.bridge] = known._replace(
            ports=ports,
            own_ports=tuple(
                Port(port, _once(line for one, lines in theirs if one.interface == port for line in lines[1]))
                for port in ports
                if port not in elsewhere
            ),
            address=known.address or tunnel.bridge_address,
            stp=known.stp or tunnel.stp,
            stanzas=tuple((one.family, one.method, lines[0]) for one, lines in theirs if lines[0]),
            moved=tuple(sorted({one.interface for one, _ in theirs if one.method == "static"})),
        )
        if theirs:
            first = (links or {}).get(theirs[0][0].interface)
            mac = macs.get(tunnel.bridge) or (first.mac if first else "")
            bridges[tunnel.bridge] = bridges[tunnel.bridge]._replace(mac=mac)
        switches = silence.OWN if bridges[tunnel.bridge].address else silence.SILENT
        # What has moved from a port goes on as it was there.
        bridges[tunnel.bridge] = bridges[tunnel.bridge]._replace(switches=silence.THEIRS if theirs else switches)
    return bridges


def _once(lines):
    """Lines of several stanzas as one stanza may have them: two values of one key would reach ip(8) as two commands."""
    found, keys = [], set()
    for line in lines:
        key = line.split(None, 1)[0]
        if line not in found and (key in stanza.COMMANDS or key not in keys):
            found.append(line)
        keys.add(key)
    return tuple(found)


def bridges_in(text):
    """{bridge: its ports} that a text of our interfaces file defines."""
    found = {}
    for one in parse(text, OURS)[0]:
        ports = " ".join(value for key, value in one.options if key == "bridge-ports").split()
        if ports:
            found[one.interface] = ports
    return found


def render(bridges):
    """The text of our file for `bridges` as `ours` gives them; empty where there are none."""
    if not bridges:
        return ""
    from l2wg_hooks import templates  # jinja2 is slow to start, and only this needs it

    rows = [(bridges[name], silence.lines(bridges[name].switches)) for name in sorted(bridges)]
    return templates.render("interfaces.j2", header=HEADER, bridges=rows)
