"""Records: the JSON objects that other programs print and files of state hold, read without trust. Pure."""

import json
import re

# IFNAMSIZ is 16 with the closing zero byte (include/uapi/linux/if.h).
NAME_BYTES = 15
# What the kernel's dev_valid_name (net/core/dev.c) forbids: '/', ':' and its isspace(), which knows U+00A0 as a byte only.
_NO_NAME = re.compile(r"[/:\0 \t\n\v\f\r]")
NUMBER_MAX = 2**32 - 1


class Unfit(ValueError):
    """What was read is no such thing; args[0] says why."""


def load(text):
    """The value of a JSON text. Raises Unfit.

    ip(8) prints the bytes of an interface's name as they are, control characters, too, which JSON forbids.
    """
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise Unfit("nested too deep")
    except ValueError as error:
        raise Unfit(f"{type(error).__name__}: {error}")


def table(text):
    """The records of a JSON array of them, empty ones left out; iproute2 4.20 prints nothing for none. Raises Unfit."""
    found = load(text or "[]")
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise Unfit("it is not a list of objects")
    return [record for record in found if record]


class Rows:
    """A JSON array of objects, taken piece by piece: each object goes to `add`, and no more than one is kept."""

    # Characters of one object, so of what may wait for its end.
    LONGEST = 1 << 16

    def __init__(self, add):
        self._add, self._rest, self._began, self._ended = add, "", False, False
        self._decoder = json.JSONDecoder(strict=False)

    def take(self, piece):
        """The next piece of the text. Raises Unfit."""
        text, at, scan = self._rest + piece, 0, self._decoder.scan_once
        size = len(text)
        while at < size:
            sign = text[at]
            if sign == "{" and self._began and not self._ended:
                try:
                    found, at = scan(text, at)
                except RecursionError:
                    raise Unfit("nested too deep")
                except (StopIteration, ValueError) as error:
                    if size - at > self.LONGEST:
                        raise Unfit(f"{type(error).__name__}: {error}")
                    break  # its end is yet to come
                if found:
                    self._add(found)
            elif sign in ", \t\r\n":
                at += 1  # a comma too many is nobody's harm
            elif sign == ("]" if self._began else "[") and not self._ended:
                self._began, self._ended = True, self._began
                at += 1
            else:
                raise Unfit("it is not a list of objects")
        self._rest = text[at:]

    def ended(self):
        """Whether all of it has come. iproute2 4.20 prints nothing for none."""
        return not self._rest and self._began == self._ended


def word(record, key, default=""):
    """The string under `key`; as everywhere here, `null` counts as not there. Raises Unfit."""
    return _of(record, key, str, default)


def name(record, key, default=""):
    """The interface name under `key`, of characters that the kernel takes for one. Raises Unfit."""
    found = _of(record, key, str, default)
    try:
        size = len(found.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise Unfit(f"{key} is {found[:60]!a}, no interface")
    if found != default and (not found or size > NAME_BYTES or found in (".", "..") or _NO_NAME.search(found)):
        raise Unfit(f"{key} is {found[:60]!a}, no interface")
    return found


def number(record, key, default=0, most=NUMBER_MAX):
    """The number from 0 to `most` under `key`, or `default`, whatever that is. Raises Unfit."""
    found = record.get(key)
    if found is None:
        return default
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= most:
        raise Unfit("%s is not a number from 0 to %d" % (key, most))
    return found


def inner(record, key):
    """The record under `key`, an empty one where there is none. Raises Unfit."""
    return _of(record, key, dict, None) or {}


def listed(record, key):
    """The list under `key`, an empty one where there is none. Raises Unfit."""
    return _of(record, key, list, None) or []


def rows(record, key):
    """The records of the list under `key`, none where it is not there. Raises Unfit."""
    found = listed(record, key)
    if not all(isinstance(row, dict) for row in found):
        raise Unfit(f"{key} is not a list of objects")
    return found


def _of(record, key, kind, default):
    found = record.get(key)
    if found is None:
        return default
    if not isinstance(found, kind):
        raise Unfit("{} is no {}".format(key, {str: "string", dict: "object", list: "list"}[kind]))
    return found
