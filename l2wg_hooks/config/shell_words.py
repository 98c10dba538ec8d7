"""A line of sh, taken apart: the simple commands in it, wherever they stand. Pure.

It is no shell: nothing is expanded but what the caller knows, and what cannot be read is one command of unknown words.
"""

import os
import re

from l2wg_hooks.typed import List, NamedTuple, Tuple

# Stand before a command, and are none.
_KEYWORDS = ("if", "then", "elif", "else", "while", "until", "do", "!", "{", "}", "fi", "done", "esac", "time")
# Run what stands behind them and their own options.
_WRAPPERS = ("command", "exec", "env", "nice", "ionice", "nohup", "sudo", "timeout", "busybox", "chronic", "setsid", "eval")
SHELLS = ("sh", "dash", "bash", "ash")
# Longer ones first.
_REDIRECTIONS = ("<<<", "<<-", "<<", "<>", "<&", ">>", ">|", ">&", ">", "<")
_ENDS = ("&&", "||", ";;", ";", "&", "|", "(", ")", "\n")
# How deep a line may be in itself: sh -c '...' in $(...) in ...
_DEEPEST = 5


class Command(NamedTuple):
    """One simple command: its words without quotation marks, and the files that it writes to and reads from."""

    words: Tuple[str, ...]
    targets: Tuple[str, ...] = ()
    sources: Tuple[str, ...] = ()

    @property
    def name(self):
        """The program, without its directory; "" where there is none."""
        return os.path.basename(self.words[0]) if self.words else ""


def commands(text, depth=0) -> List[Command]:
    """The Commands of a text of sh, those of substitutions and of `sh -c` behind the one that they are in."""
    found, current, inner = [], [], []
    for kind, word, parts in list(_tokens(text)) + [("end", ";", [])]:
        inner += parts
        if kind != "end":
            current.append((kind, word))
            continue
        command = _command(current)
        if command.words or command.targets or command.sources:
            found.append(command)
        if depth < _DEEPEST:
            if command.name in SHELLS and "-c" in command.words[:-1]:
                inner.append(command.words[command.words.index("-c") + 1])
            for part in inner:
                found += commands(part, depth + 1)
        current, inner = [], []
    return found


def _command(tokens):
    words: List[str] = []
    targets: List[str] = []
    sources: List[str] = []
    into = None
    for kind, word in tokens:
        if kind == "redirect":
            into = targets if ">" in word else sources
            continue
        if into is not None:
            into.append(word)
            into = None
        else:
            words.append(word)
    return Command(tuple(_bare(words)), tuple(targets), tuple(sources))


def _bare(words):
    """The words from the program on."""
    words = list(words)
    while words:
        name = os.path.basename(words[0])
        if words[0] in _KEYWORDS or (re.match(r"[A-Za-z_]\w*=", words[0]) and len(words) > 1):
            del words[0]
        elif name in _WRAPPERS and len(words) > 1 and not (name == "command" and words[1] in ("-v", "-V")):
            del words[0]
            while len(words) > 1 and re.match(r"-|[\d.]+[smhd]?\Z|[A-Za-z_]\w*=", words[0]):
                del words[0]
        else:
            break
    return words


def _tokens(text):
    """(kind, word, substitutions in it) of each token; kind is "word", "redirect" or "end"."""
    at, word, quoted = 0, "", False
    parts: List[str] = []

    def flush():
        if word or quoted:
            yield "word", word, parts

    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            word += "" if text[at + 1] == "\n" else text[at + 1]
            at += 2
        elif char == "'":
            end = text.find("'", at + 1)
            end = len(text) if end < 0 else end
            word, quoted, at = word + text[at + 1 : end], True, end + 1
        elif char == '"':
            end, more, inside = _double(text, at + 1)
            word, quoted, at = word + more, True, end
            parts = parts + inside
        elif char in "`" or (text.startswith("$(", at) and not text.startswith("$((", at)):
            end = _closing(text, at)
            parts = parts + [text[at:end].lstrip("$").strip("`()")]
            word, at = word + text[at:end], end
        elif text.startswith("${", at):
            end = text.find("}", at)
            end = len(text) if end < 0 else end + 1
            word, at = word + text[at:end], end
        elif char in "<>" and text.startswith("(", at + 1):
            end = _closing(text, at)
            parts = parts + [text[at + 2 : end - 1]]
            word, at = word + text[at:end], end
        elif char in "<>":
            if word.isdigit():
                word = ""  # the descriptor
            yield from flush()
            sign = next(operator for operator in _REDIRECTIONS if text.startswith(operator, at))
            word, parts, quoted, at = "", [], False, at + len(sign)
            yield "redirect", sign, []
        elif char in " \t\r\v\f":
            yield from flush()
            word, parts, quoted, at = "", [], False, at + 1
        elif char == "#" and not word:
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        else:
            end = next((operator for operator in _ENDS if text.startswith(operator, at)), None)
            if end is None:
                word, at = word + char, at + 1
                continue
            yield from flush()
            word, parts, quoted, at = "", [], False, at + len(end)
            yield "end", end, []
    yield from flush()


def _double(text, at):
    """(where it goes on, the words, substitutions) of what is between double quotation marks."""
    word, parts = "", []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and at + 1 < len(text):
            word, at = word + text[at + 1], at + 2
        elif text[at] == "`" or (text.startswith("$(", at) and not text.startswith("$((", at)):
            end = _closing(text, at)
            parts.append(text[at:end].lstrip("$").strip("`()"))
            word, at = word + text[at:end], end
        else:
            word, at = word + text[at], at + 1
    return at + 1, word, parts


def _closing(text, at):
    """Where what begins at `at`, with ` or $( or <(, is over."""
    if text[at] == "`":
        end = text.find("`", at + 1)
        return len(text) if end < 0 else end + 1
    depth, at = 0, text.index("(", at)
    while at < len(text):
        if text[at] == "'":
            at = text.find("'", at + 1)
            if at < 0:
                return len(text)
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return at
    return len(text)
