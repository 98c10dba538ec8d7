"""WireGuard's public key of a private one: X25519 with the base point (RFC 7748, 5), as `wg pubkey` gives it. Pure.

A router finds itself in a file of sites by it, at each event: a process for each of WireGuard's files would take longer.
How long it takes depends on the key a little; whoever can measure a process of root's to the microsecond is root.
"""

import base64
import binascii

# Characters of a key: 32 bytes in Base64.
WRITTEN = 44
_PRIME = 2**255 - 19
_A24 = 121665
_BASE = 9


def of(private):
    """The public key, as wg(8) writes it, of a private one; "" where that is none."""
    if len(private) != WRITTEN:  # up to Python 3.10, padding too much is no fault to b64decode
        return ""
    try:
        packed = base64.b64decode(private, validate=True)
    except (binascii.Error, ValueError):
        return ""
    if len(packed) != 32:
        return ""
    return base64.b64encode(_multiplied(packed).to_bytes(32, "little")).decode("ascii")


def _multiplied(packed):
    """The base point times a scalar of 32 bytes, by the ladder of RFC 7748."""
    scalar = int.from_bytes(packed, "little") & (2**255 - 8) | 2**254
    x2, z2, x3, z3 = 1, 0, _BASE, 1
    swapped = 0
    for at in range(254, -1, -1):
        bit = scalar >> at & 1
        if bit != swapped:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = bit
        plus, minus = x2 + z2, x2 - z2
        square, other = plus * plus % _PRIME, minus * minus % _PRIME
        right, left = (x3 - z3) * plus % _PRIME, (x3 + z3) * minus % _PRIME
        both, apart = right + left, right - left
        x3, z3 = both * both % _PRIME, apart * apart * _BASE % _PRIME
        change = square - other
        x2, z2 = square * other % _PRIME, change * (square + _A24 * change) % _PRIME
    if swapped:
        x2, z2 = x3, z3
    return x2 * pow(z2, _PRIME - 2, _PRIME) % _PRIME
