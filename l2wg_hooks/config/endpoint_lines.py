"""Where each tunnel's peer was heard last, as lines: WireGuard interface, public key, endpoint, seconds since the epoch. Pure.

A line that is not as we write it counts as not there.
"""

import ipaddress
import re

from l2wg_hooks.config import schema
from l2wg_hooks.model import Heard
from l2wg_hooks.typed import Dict, Tuple

HEAD = "# Written by l2wg: where WireGuard heard the tunnels' peers last. See FILES in l2wg(8).\n"
_ENDPOINT = re.compile(r"(?:([0-9.]{7,15})|\[([0-9a-f:.]{2,45})\]):([0-9]{1,5})\Z")
_TIME = re.compile(r"[0-9]{1,12}\Z")


def is_endpoint(text):
    """Whether a text is ADDRESS:PORT as `wg show` prints it. A link-local address, which needs an interface, is left out."""
    match = _ENDPOINT.match(text)
    if match is None or not 0 < int(match.group(3)) < 1 << 16:
        return False
    try:
        address = ipaddress.IPv4Address(match.group(1)) if match.group(1) else ipaddress.IPv6Address(match.group(2))
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_link_local)


def parse(text) -> Dict[Tuple[str, str], Heard]:
    """{(WireGuard interface, public key): Heard} of the file's text."""
    found = {}
    for line in text.split("\n"):
        words = line.split(" ")
        if len(words) != 4:
            continue
        name, key, endpoint, when = words
        if schema.NAME.match(name) and schema.PUBLIC_KEY.match(key) and is_endpoint(endpoint) and _TIME.match(when):
            found[name, key] = Heard(endpoint, int(when))
    return found


def render(heard):
    """The file's text."""
    return HEAD + "".join(f"{name} {key} {endpoint} {when}\n" for (name, key), (endpoint, when) in sorted(heard.items()))
