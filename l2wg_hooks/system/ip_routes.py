"""Routes as ip(8) prints them for people, the one form that all of its versions share: read into the records of `ip -json`. Pure.

With -json, iproute2 4.20 (Debian 10) prints this form for `route get` all the same, and for `route show` what is no JSON as
soon as one route is unreachable or has an MTU of its own.
"""

import re

from l2wg_hooks.errors import fail
from l2wg_hooks.system import json_fields, process

TYPES = "unicast local broadcast multicast anycast unreachable prohibit blackhole throw nat xresolve".split()
# Words with a value behind them (print_route in iproute2's ip/iproute.c); what is none of these, a flag, stands alone.
_VALUED = (
    "from tos proto scope metric mark realm realms uid iif oif expires error users age used weight nhid ttl-propagate "
    "advmss window rtt rttvar ssthresh cwnd reordering hoplimit initcwnd features rto_min initrwnd quickack congctl "
    "fastopen_no_cookie"
).split()
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+\Z")
_NETWORK = re.compile(r"(default|[0-9A-Fa-f:.]+(/[0-9]{1,3})?)\Z")
_NUMBER = re.compile(r"[0-9]{1,10}\Z")


def read(text):
    """[{"type", "dst", "gateway", "dev", "prefsrc", "table", "pref", "metrics": [{"mtu"}]}], each where it is said.

    Raises json_fields.Unfit.

    A route with several ways at once has neither gateway nor device.
    """
    found = []
    for line in text.split("\n"):
        # Not str.split(): a name may have characters that only Unicode takes for space.
        words = [word for word in re.split("[ \t]", line) if word]
        if not words:
            continue
        if line[0] not in " \t":
            found.append(_route(words))
        elif not found:
            raise json_fields.Unfit(f"{line[:60]!a} is not a route")
        elif words[0] != "nexthop":  # a cached one's: "cache expires 590sec mtu 1400"
            _details(found[-1], words)
    return found


def _route(words):
    route = {"type": words.pop(0)} if words[0] in TYPES else {}
    if not words or not _NETWORK.match(words[0]):
        raise json_fields.Unfit("{} is not a route".format(ascii(" ".join(words)[:60])))
    route["dst"] = words.pop(0)
    _details(route, words)
    return route


def _details(route, words):
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "encap":  # words of its own, up to the way
            while words and words[0] not in ("via", "dev"):
                words.pop(0)
        elif word == "via":
            if words[:1] in (["inet"], ["inet6"]):
                words.pop(0)
            route["gateway"] = _value(_ADDRESS, word, words)
        elif word == "dev":
            route["dev"] = json_fields.name({word: words.pop(0) if words else ""}, word, None)
        elif word == "src":
            route["prefsrc"] = _value(_ADDRESS, word, words)
        elif word == "mtu":
            if words[:1] == ["lock"]:
                words.pop(0)
            route["metrics"] = [{"mtu": int(_value(_NUMBER, word, words))}]
        elif word in ("table", "pref"):  # which main has not, and IPv4 has not
            route[word] = words.pop(0) if words else ""
        elif word in _VALUED:
            if words[:1] == ["lock"]:
                words.pop(0)
            del words[:1]


def _value(pattern, word, words):
    value = words.pop(0) if words else ""
    if not pattern.match(value):
        raise json_fields.Unfit(f"{word} is {value[:60]!a}")
    return value


# The kernel says no: no such way, no such table (ip(8), EXIT STATUS).
_NO = 2


def show(*words):
    """The records (system/ip_routes.py) of what `ip WORDS` listed, such as ("route", "get", "192.0.2.1"). Raises L2wgError."""
    return process.read(read, ("ip",) + words, _NO)


# What ip(8) is to print between two answers: the kernel's first interface, which is there always, and never a route.
_BETWEEN = "link show dev lo"
_MARK = re.compile(r"^1: lo: .*\n(?:[ \t].*\n)*", re.MULTILINE)


# `ip -batch` reads `#`, quotation marks and backslashes as it likes (getcmdline and makeargs in iproute2's lib/utils.c), and the
# kernel takes them in names.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+,=-]+\Z")


def is_plain(word):
    """Whether `ip -batch` takes a word for what it is."""
    return bool(_PLAIN.match(word))


def each(lines, options=()):
    """What ip(8) answers to each of these lines, such as "route get 192.0.2.1", by one process: the text of each, "" for a no.

    Raises L2wgError. Each word of a line has to be plain.
    """
    lines = list(lines)
    if not lines:
        return []
    argv = ("ip", *options, "-force", "-batch", "-")
    # Where it says no to one of them, the others are told all the same.
    result = process.run(argv, "".join(f"{line}\n{_BETWEEN}\n" for line in lines))
    parts = _MARK.split(result.out)
    if len(parts) != len(lines) + 1:
        fail("`{}` failed: {}".format(" ".join(argv), result.err.strip()), "is ip that of the package iproute2?")
    return parts[: len(lines)]


def many(lines, options=()):
    """The records of each of these lines, such as "route show table 7", by one process. Raises L2wgError."""
    lines = list(lines)
    return [process.understood(read, text, ("ip", line)) for line, text in zip(lines, each(lines, options))]
