"""Whether a line of sh in somebody's stanza, or in wg0.conf, may be run in a rehearsal: what it would run is known. Pure."""

import os
import re

# Of the network, of which the rehearsal has a copy, or without any effect. All else may talk to a daemon, or wait for
# one, and whether it works where there is nothing but a network says nothing of the boot.
NETWORK = (
    "ip",
    "bridge",
    "tc",
    "brctl",
    "wg",
    "wg-quick",
    "sysctl",
    "ethtool",
    "nft",
    "iptables",
    "ip6tables",
    "iptables-save",
    "ip6tables-save",
    "iptables-restore",
    "ip6tables-restore",
    "ebtables",
    "arptables",
    "ipset",
    "vconfig",
    "ifenslave",
    "ifconfig",
    "route",
    "mii-tool",
    "iw",
    "iwconfig",
    "ifup",
    "ifdown",
    "ifquery",
    "l2wg",
)
PLAIN = (
    ":",
    "true",
    "false",
    "test",
    "[",
    "[[",
    "echo",
    "printf",
    "exit",
    "set",
    "export",
    "read",
    "shift",
    "break",
    "continue",
    "local",
    "cat",
    "grep",
    "egrep",
    "sed",
    "awk",
    "cut",
    "tr",
    "head",
    "tail",
    "sort",
    "uniq",
    "wc",
    "seq",
    "expr",
    "date",
    "basename",
    "dirname",
    "readlink",
    "sleep",
)
FOLDERS = ("", "/bin", "/sbin", "/usr/bin", "/usr/sbin")
# Words of sh behind which another command stands.
_LEADING = ("!", "if", "then", "elif", "else", "while", "until", "do", "{", "time", "exec", "command")
_CLOSING = ("fi", "done", "}", "]]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
# What is the whole machine's, and read-only in a rehearsal: a line that writes there would fail, and not at the boot.
_MACHINE = re.compile(r"/(?:proc/(?!sys/net/)|sys/(?!class/net/|devices/virtual/net/)|dev/(?!(?:null|stderr|stdout)\Z))")


def stranger(line):
    """What in a line of sh is not known to be harmless, as it is to be shown; "" where all of it is."""
    try:
        commands = list(_commands(line))
    except _Unclear as error:
        return str(error)
    for words in commands:
        folder, name = os.path.split(words[0])
        if folder not in FOLDERS or name not in NETWORK + PLAIN:
            return words[0]
        # These run what stands behind them, in a namespace or a context of its own.
        if name == "ip" and "exec" in words:
            return "ip ... exec"
        if name == "sysctl" and any(_is_foreign(word) for word in words[1:]):
            return " ".join(words)
    return ""


def _is_foreign(word):
    """Whether a word behind `sysctl` is a key outside of the network's, or an option that reads a file of such ones."""
    if word.startswith("-"):
        return word.startswith("--") or "p" in word or "f" in word
    return bool(re.match(r"[a-z]+[./]", word)) and not re.match(r"net[./]", word)


class _Unclear(Exception):
    """A line that this reads no further; its text is the word at which it stops."""


def _commands(text):
    """The simple commands of a line, as lists of words without their quotation marks, those of substitutions, too."""
    found, words = [], []
    expected, skip, listing = True, False, False

    def end():
        if words:
            found.append(list(words))
        del words[:]

    for kind, token in _tokens(text):
        if kind == "inner":
            found.extend(_commands(token))
            continue
        if kind == "end":
            end()
            expected, skip, listing = True, False, False
        elif kind == "redirection":
            skip = True
        elif skip:
            if _MACHINE.match(token):
                raise _Unclear("> " + token)
            skip = False
        elif listing:
            continue
        elif not expected:
            words.append(token)
        elif token == "for":
            listing = True  # its name and its list are no commands
        elif token in ("case", "function", "select"):
            raise _Unclear(token)
        elif token in _LEADING or token in _CLOSING or _ASSIGNMENT.match(token):
            continue
        else:
            words.append(token)
            expected = False
    end()
    return found


def _tokens(text):
    """(kind, text) of a line: "word", "end" of a command, "redirection", and the "inner" text of a substitution."""
    word, at, quoted = "", 0, False
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            word, at, quoted = word + text[at + 1], at + 2, True
        elif char == "'":
            stop = text.find("'", at + 1)
            if stop < 0:
                raise _Unclear("'")
            word, at, quoted = word + text[at + 1 : stop], stop + 1, True
        elif char == '"':
            inside, inner, at = _double(text, at + 1)
            for script in inner:
                yield "inner", script
            word, quoted = word + inside, True
        elif text.startswith("$((", at):
            stop = text.find("))", at)
            if stop < 0 or "`" in text[at:stop] or "$(" in text[at + 2 : stop]:
                raise _Unclear("$((")
            word, at = word + "0", stop + 2
        elif text.startswith(("$(", "<(", ">("), at) or char == "`":
            inner, at = _substituted(text, at)
            yield "inner", inner
            word = word + "$()"
        elif char in " \t":
            if word or quoted:
                yield "word", word
            word, quoted, at = "", False, at + 1
        elif char == "#" and not word and not quoted:
            break
        elif char in ";&|()\n":
            if char == "&" and text[at + 1 : at + 2] == ">":
                at += 1
                continue
            if word or quoted:
                yield "word", word
            yield "end", char
            word, quoted, at = "", False, at + 1
        elif char in "<>":
            if word and not word.isdigit():
                yield "word", word
            match = re.match(r"[<>|]+(?:&[0-9-]+)?&?", text[at:])
            word, quoted, at = "", False, at + match.end()
            if not re.search(r"&[0-9-]+\Z", match.group()):
                yield "redirection", match.group()
        else:
            word, at = word + char, at + 1
    if word or quoted:
        yield "word", word


def _double(text, at):
    """(what stands between double quotation marks, the inner texts of its substitutions, where it goes on)."""
    word, inner = "", []
    while at < len(text):
        char = text[at]
        if char == '"':
            return word, inner, at + 1
        if char == "\\" and at + 1 < len(text):
            word, at = word + text[at + 1], at + 2
        elif (text.startswith("$(", at) and not text.startswith("$((", at)) or char == "`":
            script, at = _substituted(text, at)
            inner.append(script)
            word += "$()"
        else:
            word, at = word + char, at + 1
    raise _Unclear('"')


def _substituted(text, at):
    """(the inner text of a command substitution that begins here, where it goes on)."""
    if text[at] == "`":
        stop = text.find("`", at + 1)
        if stop < 0:
            raise _Unclear("`")
        return text[at + 1 : stop], stop + 1
    depth, start, at, mark = 1, at + 2, at + 2, ""
    while at < len(text):
        char = text[at]
        if mark:
            mark = "" if char == mark else mark
        elif char in "'\"":
            mark = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if not depth:
                return text[start:at], at + 1
        at += 1
    raise _Unclear("$(")
