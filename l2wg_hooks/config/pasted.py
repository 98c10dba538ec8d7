"""One line that people carry from router to router, by whatever they have: how it is made, and what may have become of it. Pure.

    HEADn:BODY:CHECKSUM

Capital letters, digits and colons: nothing that a shell, a chat's markup or a mail program changes, and what a QR code packs
densest (its alphanumeric mode, ISO/IEC 18004). A BODY, of which there may be several, is base32 (RFC 4648, without padding) of
fields, each a byte that says which, a byte with its length, and its value. CHECKSUM is what POSIX cksum(1) prints of all before
the last colon, as eight hexadecimal digits: the debconf script, which has essential packages only, looks at it, too. It finds a
paste that was cut or changed by accident; it proves nothing about who wrote it, and nothing in it is a secret.
"""

import base64
import re
import zlib

from l2wg_hooks.config.schema import Refused, shown
from l2wg_hooks.typed import List, NamedTuple, Tuple

# What programs put into or around a line that they wrap, or that somebody marks or quotes: zero-width and soft-hyphen
# characters, quotes, a mail's `> `.
INVISIBLE = re.compile("[\\s\u00ad\u200b-\u200d\u2060\ufeff\"'`<>]+")
NEWER = "upgrade l2wg on this router"
# Of a field: its length is one byte.
FIELD_BYTES = 255


class Kind(NamedTuple):
    """What is pasted: its `name` and `article` in sentences, its `head` and `version`, of how many `bodies` it is.

    `longest` is in characters. `another` and `whole` are the cures for one that is wrong and for one that was damaged on its way,
    `begins` is that for what is none at all; `mistaken` are (head, cure) of what people take for it.
    """

    name: str
    article: str
    head: str
    version: int
    bodies: int
    longest: int
    another: str
    whole: str
    begins: str
    mistaken: Tuple[Tuple[str, str], ...] = ()

    @property
    def one(self):
        """With its article."""
        return f"{self.article} {self.name}"


# Base32 has letters first, int() digits.
_DIGITS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")
_BEYOND = re.compile("[^\x00-\x7e]")
# Each byte with its bits in reverse: zlib's CRC-32 is that of cksum(1), read from the other end.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ONES = 0xFFFFFFFF


def checksum(text):
    """POSIX cksum(1) of an ASCII text: CRC-32 with the length behind the bytes (IEEE 1003.1, cksum)."""
    data = text.encode("ascii")
    length = len(data)
    whole = data + length.to_bytes((length.bit_length() + 7) // 8, "little")
    # It begins with zeros, zlib's with ones.
    found = zlib.crc32(whole.translate(_REVERSED), _ONES)
    return int.from_bytes(found.to_bytes(4, "little").translate(_REVERSED), "big")


def pack(fields):
    """The bytes of [(tag, value)]. No value is longer than FIELD_BYTES."""
    return b"".join(bytes((tag, len(value))) + value for tag, value in fields)


def seal(kind, bodies):
    """The line of a Kind, of the bytes of its bodies."""
    words = [base64.b32encode(body).decode().rstrip("=") for body in bodies]
    text = ":".join(["%s%d" % (kind.head, kind.version), *words])
    return f"{text}:{checksum(text):08X}"


def unseal(kind, text):
    """[bytes] of the bodies of what somebody has pasted: wrapped, in small letters or twice, but whole. Raises Refused."""
    text = _one(kind, INVISIBLE.sub("", text[: 8 * kind.longest]))
    version, _, rest = text[len(kind.head) :].partition(":")
    if int(version) > kind.version:
        raise Refused("the %s is of version %s, l2wg here knows %d" % (kind.name, version, kind.version), NEWER)
    if int(version) != kind.version:
        raise Refused(f"there are no {kind.name}s of version {version}", kind.another)
    words = rest.split(":", kind.bodies)
    bodies, check_digits = words[: kind.bodies], "".join(words[kind.bodies :])
    odd = re.search(r"[^A-Z2-7]", "".join(bodies)) or re.search(r"[^0-9A-F]", check_digits)
    if odd:
        raise Refused(f"{shown(odd.group())} cannot be in {kind.one}", kind.whole)
    if len(words) <= kind.bodies or len(check_digits) < 8:
        raise Refused(f"the {kind.name} is cut off at its end", kind.whole)
    if len(check_digits) > 8 or len(text) > kind.longest:
        raise Refused(f"the {kind.name} has more at its end than belongs to it", kind.whole)
    if int(check_digits, 16) != checksum(text[:-9]):
        raise Refused(f"the {kind.name}'s checksum is wrong: something in it is missing or has changed", kind.whole)
    if any(len(body) % 8 in (1, 3, 6) for body in bodies):
        raise Refused(f"the {kind.name} is not base32", kind.another)
    return [_bytes(body) for body in bodies]


def _bytes(body):
    """The bytes of base32 without padding: base64(3py) takes ten times as long, and a file of sites has a thousand."""
    bits = 5 * len(body)
    return (int(body.translate(_DIGITS) or "0", 32) >> bits % 8).to_bytes(bits // 8, "big")


def _one(kind, text):
    """The one line of a Kind in a text without blanks, in capital letters, from its head on."""
    if not text:
        raise Refused(f"there is no {kind.name}", kind.another)
    odd = _BEYOND.search(text)
    if odd:
        raise Refused(f"{shown(odd.group())} cannot be in {kind.one}", kind.whole)
    parts = re.split(rf"(?={kind.head}[0-9]{{1,4}}:)", " " + text.upper())
    found = set(parts[1:])
    if parts[0].strip() or not found:
        hints = [hint for head, hint in kind.mistaken if re.match(rf" {head}[0-9]{{1,4}}:", parts[0])]
        raise Refused(f"expected {kind.one}, not {shown(text)}", (hints + [kind.begins])[0])
    if len(found) > 1:
        raise Refused("these are %d different %ss, or one that was pasted into another" % (len(found), kind.name), kind.whole)
    return found.pop()


def fields(kind, packed, tags, several=()):
    """[(tag, value)] of a body, by rising `tags`, of which those of `several` may come again. Raises Refused."""
    found: List[Tuple[int, bytes]] = []
    rest = packed
    while rest:
        if len(rest) < 2 or len(rest) < 2 + rest[1]:
            raise Refused(f"the {kind.name}'s last field is not whole", kind.another)
        tag, value, rest = rest[0], rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        if tag not in tags:
            raise Refused("the %s has a field that l2wg here does not know (%d)" % (kind.name, tag), NEWER)
        if found and (tag < found[-1][0] or (tag == found[-1][0] and tag not in several)):
            raise Refused("the %s has its field %d twice, or late" % (kind.name, tag), kind.another)
        found.append((tag, value))
    return found
