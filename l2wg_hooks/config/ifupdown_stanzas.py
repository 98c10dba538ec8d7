"""Stanzas of interfaces(5) that move from a port to its bridge: set aside in the admin's file, to the byte reversibly. Pure."""

import re

from l2wg_hooks.config import ifupdown_commands

# Stands before each line that was set aside. debian/l2wg.postrm knows it, too.
MARK = "#l2wg# "
# Stands above a line that we have added; both go together.
ADDED = "#l2wg+ Nothing else reads this file, which defines the bridge that has the address of its port.\n"
# What belongs to the network card, or makes the interface (a VLAN's, a bond), and stays; everything else is about addresses.
_CARD = re.compile(r"(hwaddress|mtu|slaves|(link|ethernet|hardware|offload|driver|vlan|bond|ovs|wpa|wireless)-.*)\Z")
COMMANDS = ("pre-up", "up", "post-up", "down", "pre-down", "post-down")


def words_of(line):
    """The words of a line as isspace(3) parts them, not as Unicode would."""
    return re.findall(r"[^ \t\n\v\f\r]+", line)


def begins(word):
    """Whether a line that starts with `word` ends the stanza before it."""
    return word in ("iface", "mapping", "auto", "rename", "template", "no-scripts") or bool(
        re.match(r"(source|source-directory|source-dir)\Z|(no-)?(auto|allow)-", word)
    )


def _lines(text):
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def set_aside(text, ports):
    """`text` with the `iface` stanzas of `ports` commented out; comments and empty lines between stay as they are."""
    done, moving, joined = [], False, False
    for line in _lines(text):
        words = words_of(line)
        if joined or (words and not words[0].startswith("#")):
            if not joined and begins(words[0]):
                moving = words[0] == "iface" and words[1:2] != [] and words[1] in ports
            joined = line.rstrip("\r\n").endswith("\\")
            line = MARK + line if moving else line
        done.append(line)
    return "".join(done)


def put_back(text, ports):
    """`text` with the lines that `set_aside` took for `ports` as they were."""
    done, moving, joined = [], False, False
    for line in _lines(text):
        if line.startswith(MARK):
            words = words_of(line[len(MARK) :])
            if not joined and words and begins(words[0]):
                moving = words[1:2] != [] and words[1] in ports
            joined = line.rstrip("\r\n").endswith("\\")
            line = line[len(MARK) :] if moving else line
        done.append(line)
    return "".join(done)


def lines_set_aside(text, port):
    """The lines of `text` that `put_back` would give back for `port`, as they were."""
    pairs = zip(_lines(text), _lines(put_back(text, [port])))
    return "".join(new for old, new in pairs if old != new)


def lines_of(text, port):
    """The lines of `text` that `set_aside` would take for `port`."""
    pairs = zip(_lines(text), _lines(set_aside(text, [port])))
    return "".join(old for old, new in pairs if old != new)


def numbers_of(text, ports):
    """The numbers of the lines that are set aside for `ports`, and of those that have lost the line that says whose they are."""
    found, whose, joined = [], "", False
    for number, line in enumerate(_lines(text), 1):
        if line.startswith(MARK):
            words = words_of(line[len(MARK) :])
            if not joined and words and begins(words[0]):
                whose = "".join(words[1:2])
            joined = line.rstrip("\r\n").endswith("\\")
            if whose in ports or not whose:
                found.append(number)
    return found


def forget(text, ports):
    """`text` without the lines of `numbers_of`."""
    gone = numbers_of(text, ports)
    return "".join(line for number, line in enumerate(_lines(text), 1) if number not in gone)


def with_source(text, path):
    """`text` with a line of ours that sources `path`: the first one, so that it is in nobody's stanza."""
    return text if ADDED in text else ADDED + f"source {path}\n" + text


def without_source(text, path):
    """`text` without what `with_source` has added."""
    return text.replace(ADDED + f"source {path}\n", "").replace(ADDED, "")


def aside(text):
    """The lines of `text` that are set aside, as they were; the others are empty, so that line numbers hold."""
    return "".join(line[len(MARK) :] if line.startswith(MARK) else "\n" for line in _lines(text))


def split(options, port, bridge):
    """(lines of the bridge's stanza, lines of the port's) of a port's `options`, as ifupdown.Stanza has them.

    Commands about the network speak of the bridge from now on (config/ifupdown_commands.py).
    Before it is up there is no bridge to speak of, so such a `pre-up` is an `up`.
    """
    theirs, its = [], []
    for key, value in options:
        if _CARD.match(key):
            its.append(f"{key} {value}")
        elif key not in COMMANDS:
            theirs.append(f"{key} {value}")
        elif ifupdown_commands.judge(value, port).stays:
            its.append(f"{key} {value}")
        else:
            speaks = ifupdown_commands.speaks(value, port)
            theirs.append(
                "{} {}".format("up" if key == "pre-up" and speaks else key, ifupdown_commands.renamed(value, port, bridge))
            )
    return tuple(theirs), tuple(its)
