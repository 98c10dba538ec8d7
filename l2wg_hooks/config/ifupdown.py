"""interfaces(5): what is defined there, and our own stanza. Reading follows `source` and `source-directory`."""

import fnmatch
import os
import re

from l2wg_hooks.config import ifupdown_stanzas
from l2wg_hooks.config.schema import SPACE
from l2wg_hooks.errors import Problem
from l2wg_hooks.typed import Dict, List, NamedTuple, Optional, Tuple

MAIN = "/etc/network/interfaces"


class Stanza(NamedTuple):
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
        return self._replace(options=self.options + tuple(options))

    def addresses(self):
        """What gives the interface an address: its `address` lines, or the method."""
        found = tuple(value for key, value in self.options if key == "address")
        return found or ((self.method,) if self.method not in ("manual", "loopback") else ())


class Defined(NamedTuple):
    """All stanzas, all files that they were read from, and their source lines: (word, pattern, folder of the file).

    `aside` are those that ifupdown_stanzas.py has set aside: commented out, since a bridge of ours has them now. `marked` are
    the files with such comments, `copies` what is kept of them beside, {port: text}, and `lost` the ports whose comments are
    not all there any more: then `aside` has the copy. `ifupdown` is false where there is none: on NixOS, whose own
    configuration
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
        others = tuple(stanza for stanza in self.aside if stanza.interface != port)
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
        words = tuple(ifupdown_stanzas.words_of(logical + line))
        if words:
            yield Line(start, words, (logical + line).strip(SPACE)[len(words[0]) :].strip(SPACE))
        logical, start = "", 0


def parse(text, path):
    """(stanzas, sources) of one file's text; sources are the (word, pattern) of its source lines. Pure."""
    stanzas: List[Tuple[Stanza, List[Tuple[str, str]]]] = []
    sources: List[Tuple[str, str]] = []
    current: Optional[List[Tuple[str, str]]] = None
    for line in lines_of(text):
        word = line.words[0]
        if word in ("source", "source-directory", "source-dir"):
            sources.extend((word, pattern) for pattern in line.words[1:])
            current = None
        elif ifupdown_stanzas.begins(word):
            current = None
            if word == "iface" and len(line.words) > 1:
                family, method = (line.words[2:4] + ("", ""))[:2]
                parent = line.words[line.words.index("inherits") + 1 :][:1] if "inherits" in line.words[2:] else ()
                current = []
                bare = Stanza(line.words[1], family, method, path, line.number, inherits="".join(parent))
                stanzas.append((bare, current))
        elif current is not None:
            # A command may mean its spaces.
            value = line.rest if word in ifupdown_stanzas.COMMANDS else " ".join(line.words[1:])
            current.append((word.replace("_", "-"), value))
    return [bare._replace(options=tuple(options)) for bare, options in stanzas], sources


def same_keys(stanzas, other, commands=True):
    """Whether two lists of Stanzas say the same things, whatever the values: it sees a line that is gone, and no change."""
    return keys_of(stanzas, commands) == keys_of(other, commands)


def keys_of(stanzas, commands):
    found = [(stanza.family, stanza.method) for stanza in stanzas]
    for stanza in stanzas:
        found += [
            ("", "" if key in ifupdown_stanzas.COMMANDS else key)
            for key, _ in stanza.options
            if commands or key not in ifupdown_stanzas.COMMANDS
        ]
    return sorted(found)


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
