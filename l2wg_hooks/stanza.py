"""Stanzas of interfaces(5) that move from a port to its bridge: set aside in the admin's file, to the byte reversibly. Pure."""

import os
import re

# Stands before each line that was set aside. debian/l2wg.postrm knows it, too.
MARK = "#l2wg# "
# Stands above a line that we have added; both go together.
ADDED = "#l2wg+ Nothing else reads this file, which defines the bridge that has the address of its port.\n"
# What belongs to the network card, or makes the interface (a VLAN's, a bond), and stays; everything else is about addresses.
_CARD = re.compile(r"(hwaddress|mtu|slaves|(link|ethernet|hardware|offload|driver|vlan|bond|ovs|wpa|wireless)-.*)\Z")
COMMANDS = ("pre-up", "up", "post-up", "down", "pre-down", "post-down")
# Commands about the card, not about what it carries.
_CARD_COMMANDS = ("ethtool", "mii-tool", "iw", "iwconfig", "tc", "vconfig", "ifenslave", "wpa_supplicant")


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


def with_source(text, path):
    """`text` with a line of ours that sources `path`: the first one, so that it is in nobody's stanza."""
    return text if ADDED in text else ADDED + "source %s\n" % path + text


def without_source(text, path):
    """`text` without what `with_source` has added."""
    return text.replace(ADDED + "source %s\n" % path, "").replace(ADDED, "")


def aside(text):
    """The lines of `text` that are set aside, as they were; the others are empty, so that line numbers hold."""
    return "".join(line[len(MARK) :] if line.startswith(MARK) else "\n" for line in _lines(text))


def _is_about_card(command):
    """Whether a command speaks of the interface itself, as `ip link` does, unless it goes on about addresses."""
    words = [os.path.basename(word) for word in words_of(command)]
    if words[:1] != ["ip"]:
        return words[:1] != [] and words[0] in _CARD_COMMANDS
    objects = [word for word in words[1:] if not word.startswith("-")]
    return objects != [] and "link".startswith(objects[0]) and "ip" not in objects


def split(options, port, bridge):
    """(lines of the bridge's stanza, lines of the port's) of a port's `options`, as interfaces.Stanza has them.

    Commands speak of the bridge from now on. Before it is up there is no bridge to speak of, so such a `pre-up` is an `up`.
    """
    theirs, its = [], []
    for key, value in options:
        if _CARD.match(key):
            its.append("%s %s" % (key, value))
        elif key not in COMMANDS:
            theirs.append("%s %s" % (key, value))
        elif _is_about_card(value):
            its.append("%s %s" % (key, value))
        else:
            # enp2s0:1 is a label of an address, and goes with it; enp2s0.10 is another interface.
            about = re.compile(r"(?<![\w.:-])%s(?![\w.-])" % re.escape(port))
            speaks = about.search(value) or "IFACE" in value
            theirs.append("%s %s" % ("up" if key == "pre-up" and speaks else key, about.sub(bridge, value)))
    return tuple(theirs), tuple(its)
