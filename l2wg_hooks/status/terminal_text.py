"""Words for people: colours that say what a word says anyway, numbers with units, lines that fit. Pure."""

import operator
import os

from l2wg_hooks.errors import LONGEST, plain

# ECMA-48, 8.3.117
CODES = {"red": "31", "yellow": "33", "green": "32", "bold": "1"}
WIDTH = 80
TIE = "\u00a0"
# What has no text in it.
_BARE = frozenset((int, bool, float, type(None)))


def wants_colour(stream, environment=os.environ):
    """Whether a stream is a terminal whose owner has not said otherwise (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"


def wants_lines(environment=os.environ):
    """Whether the locale is one of UTF-8, so that what is drawn may be drawn with its lines (locale(7): which variable counts).

    Not LC_CTYPE=C.UTF-8, which Python itself sets where the locale is C (PEP 538).
    """
    character = environment.get("LC_CTYPE", "")
    name = environment.get("LC_ALL") or (character if character != "C.UTF-8" else "") or environment.get("LANG") or "C"
    return name.lower().replace("-", "").partition("@")[0].endswith("utf8")


def paint(text, colour, on):
    """`text` in a colour of CODES, if that is `on`."""
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if on else text


def wrap(text, width):
    """Lines of at most `width` characters, broken at spaces but those of `tie`; a longer word stays whole."""
    lines = []
    for word in filter(None, text.split(" ")):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return [line.replace(TIE, " ") for line in lines] or [""]


def cut(text, width):
    """`text` in so many characters at most, with dots where some are missing."""
    return text if len(text) <= width else text[: width - 3] + "..."


def tie(text):
    """`text` that `wrap` does not break."""
    return text.replace(" ", TIE)


def readable(value):
    """A Status, or what is in one, with every text in it as `plain` has it: what others have named, for a terminal or a picture.

    Who draws one takes this first, so that no name has to be thought of where it is drawn. What is so already is given back as it
    is: a thousand tunnels have a hundred thousand texts and numbers.
    """
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {readable(name): readable(item) for name, item in value.items()}
    if isinstance(value, tuple):
        items = [
            item if type(item) in _BARE or (type(item) is str and item.isprintable() and len(item) <= LONGEST) else readable(item)
            for item in value
        ]
        if all(map(operator.is_, items, value)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def duration(seconds):
    """Such as "142 s", "12 min", "3 h 12 min", "5 d 3 h"."""
    if seconds < 180:
        return "%d s" % seconds
    minutes = int(seconds) // 60
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return "%d d %d h" % (days, hours)
    if hours:
        return "%d h %d min" % (hours, minutes)
    return "%d min" % minutes


def size(number):
    """Bytes, such as "92 B" or "4.1 MiB"."""
    if number < 1024:
        return "%d B" % number
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024.0
        if number < 1024:
            return f"{number:.1f} {unit}"
    return "%.1f TiB" % (number / 1024.0)


def key(public):
    """The beginning of a public key, enough to tell peers apart."""
    return public[:8] + "..."
