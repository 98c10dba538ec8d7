"""An invitation to a net of /etc/l2wg/sites, as one line for the new router. Pure: Invitation to text and back.

    L2WGJ1:BODY:CARD:CHECKSUM

How such a line is made is in pasted.py. BODY has the fields of an Invitation, CARD is the body of the hub's card. Nothing in it
is secret, and it gives no right: who is in the net, the hub's file says. It saves typing.

It comes from outside like a card: it counts only if the lines that it makes are a file of sites without mistakes.
"""

import base64
import ipaddress
import re

from l2wg_hooks.config import card, pasted, schema, site_faults, site_lines
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.typed import NamedTuple, Tuple

VERSION = 1
# Characters. The largest that can be made has some 2,000: four fields at most, and a card.
LONGEST = 2500
ANOTHER = "have the hub make another one there: l2wg invite NAME"
KIND = pasted.Kind(
    "invitation",
    "an",
    "L2WGJ",
    VERSION,
    2,
    LONGEST,
    ANOTHER,
    "copy it again as a whole; `l2wg join` without an invitation reads it from standard input, however it is wrapped",
    "an invitation begins with L2WGJ%d: and is printed by `l2wg invite NAME` at the hub" % VERSION,
    (("L2WG", "that is a card: l2wg pair CARD"),),
)
_NAME, _ADDRESS, _NET, _HUB, _OWN = range(1, 6)
# Words of a line: a blank between two of them, and no comment.
PLAIN = re.compile(r"(?:[!\"$-~]+(?: [!\"$-~]+)*)?\Z")
# Whoever is invited has no card yet.
_NOBODY = base64.b64encode(b"\xff" * 31 + b"\x7f").decode()


class Invitation(NamedTuple):
    """`name` and `address`, an IPv4 one inside WireGuard, are those of the new site.

    `net` is the line of the net, `hub` the Card of the hub, and `hub_words` what stands behind that in its line; `words` are to
    stand behind the new site's card.
    """

    name: str
    address: str
    net: str
    hub: card.Card
    hub_words: str = ""
    words: str = ""

    def hub_line(self):
        """The line of the hub."""
        return line(self.hub, self.hub_words)

    def mark(self):
        """What tells the net of this invitation from what has become of it since: eight hexadecimal digits of both lines."""
        return mark(self.net, self.hub_line())


def line(known, words):
    """The line of a site: its Card, and the words behind it."""
    return " ".join(filter(None, (card.encode(known), words)))


def mark(net, hub_line):
    """Invitation.mark, of lines as they are."""
    return f"{pasted.checksum(net + chr(10) + hub_line):08X}"


def encode(invitation):
    """The line of an Invitation. Raises Refused where a value cannot be in one."""
    check(invitation)
    fields = [(_NAME, invitation.name.encode()), (_ADDRESS, ipaddress.ip_address(invitation.address).packed)]
    texts = ((_NET, invitation.net), (_HUB, invitation.hub_words), (_OWN, invitation.words))
    fields += [(tag, text.encode()) for tag, text in texts if text]
    for _, value in fields:
        if len(value) > pasted.FIELD_BYTES:
            message = "these words are too long for an invitation, which takes %d bytes of each line" % pasted.FIELD_BYTES
            raise Refused(f"{message}: {schema.shown(value.decode())}", "copy the file of sites to the new router instead")
    return pasted.seal(KIND, [pasted.pack(fields), card.pack(invitation.hub)])


def decode(text):
    """The Invitation of what somebody has pasted: wrapped, in small letters or twice, but whole. Raises Refused."""
    body, hub = pasted.unseal(KIND, text)
    known = dict(pasted.fields(KIND, body, range(_NAME, _OWN + 1)))
    try:
        texts = [known.get(tag, b"").decode("ascii") for tag in (_NAME, _NET, _HUB, _OWN)]
        address = str(ipaddress.IPv4Address(known.get(_ADDRESS, b"")))
    except ValueError:
        raise Refused("the invitation has a value that cannot be", ANOTHER)
    found = Invitation(texts[0], address, texts[1], card.unpack(hub), texts[2], texts[3])
    try:
        check(found)
    except Refused as error:
        raise Refused(error.args[0], ANOTHER)
    return found


def check(invitation):
    """Raise Refused for an Invitation that does not make a file of sites without mistakes."""
    if schema.KEYS["local"].parse(invitation.address) != invitation.address or ":" in invitation.address:
        raise Refused(f"expected an IPv4 address, not {schema.shown(invitation.address)}", "such as 198.18.0.7")
    for text in (invitation.net, invitation.hub_words, invitation.words):
        if not PLAIN.match(text):
            raise Refused(f"expected words with a blank between two of them, not {schema.shown(text)}", "KEY=VALUE KEY=VALUE")
    lines = _lines(invitation)
    if lines.problems:
        problem = lines.problems[0]
        raise Refused(": ".join(filter(None, (problem.key, problem.message))), problem.hint)
    hub, own = lines.sites
    if lines.net.text != invitation.net or lines.net.hubs != (hub.name,):
        message = f"{schema.shown(invitation.net)} is no line of a star whose hub is {hub.name}, nor of a mesh by that"
        raise Refused(message, ANOTHER)
    for site, refused in ((hub, ("gone",)), (own, ("gone", "address"))):
        for key in set(site.said) & set(refused):
            raise Refused(f"{key} cannot stand here", "take this word out")


def _lines(invitation):
    """The Lines that it makes: that of the net, of the hub, and of the new site with a key that is nobody's."""
    stand_in = card.Card(invitation.name, _NOBODY, "", (invitation.address,))
    rows: Tuple[str, ...] = (invitation.net, invitation.hub_line(), line(stand_in, invitation.words))
    return site_faults.between(site_lines.parse("".join(row + "\n" for row in rows), ""), "")
