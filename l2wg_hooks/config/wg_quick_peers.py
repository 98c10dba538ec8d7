"""The [Peer] sections of a wg-quick file: found, changed, added. Pure, and to the byte: what is not ours to change stays."""

import ipaddress
import re

from l2wg_hooks.config import schema, wg_quick
from l2wg_hooks.config.allowed_ips import AllowedIPs, Network, networks
from l2wg_hooks.typed import NamedTuple, Tuple

# Behind a site's name, in the comment of a section that we have written.
MARK = ", by `l2wg pair`"
SECRETS = ("privatekey", "presharedkey")


class Section(NamedTuple):
    """One [Peer]: `start` and `stop` are its rows (see wg_quick.rows_of), without what stands before the next section.

    `ours` is the name of the site that `l2wg pair` has written it for, "" where it has not.
    """

    key: str
    endpoint: str
    allowed: Tuple[str, ...]
    keepalive: str
    start: int
    stop: int
    ours: str = ""


def sections(text):
    """The Sections of a file's text, in its order."""
    rows = wg_quick.rows_of(text)
    starts = [index for index, row in enumerate(rows) if row.key.startswith("[")]
    found = []
    for start, after in zip(starts, starts[1:] + [len(rows)]):
        if rows[start].section != "[peer]":
            continue
        mine = rows[start:after]
        last = max(index for index, row in enumerate(mine) if row.key)
        values = {row.key: row.value for row in mine}
        allowed = [network.strip() for row in mine if row.key == "allowedips" for network in row.value.split(",")]
        key, endpoint, keepalive = (values.get(word, "") for word in ("publickey", "endpoint", "persistentkeepalive"))
        marks = [row.text for row in mine[: last + 1] if row.text.startswith("#") and row.text.endswith(MARK)]
        ours = marks[0][1 : -len(MARK)].strip(schema.SPACE) if marks else ""
        found.append(Section(key, endpoint, tuple(filter(None, allowed)), keepalive, start, start + last + 1, ours))
    return found


def holders(found, peers):
    """The Sections `found`, and those of the `peers` (model.Peer) that WireGuard has now: some may be in no file."""
    return list(found) + [Section(peer.key, peer.endpoint, peer.allowed, "", 0, 0) for peer in peers]


def interface_values(text, key):
    """The values of a key in [Interface], commas separating."""
    rows = [row for row in wg_quick.rows_of(text) if row.section == "[interface]" and row.key == key]
    return [value.strip() for row in rows for value in row.value.split(",") if value.strip()]


def host(address):
    """An address as AllowedIPs have one that stands for itself."""
    return "%s/%d" % (address, 128 if ":" in address else 32)


def covers(allowed, address):
    """Whether one of the AllowedIPs covers an address."""
    end = ipaddress.ip_address(address)
    return any(network.version == end.version and end in network for network in networks(allowed))


def owner(found, address):
    """The public key of the peer that WireGuard sends an address to, by the most specific of all AllowedIPs; "" for none."""
    found = longest(found, address, least=0)
    return found.key if found else ""


class Led(NamedTuple):
    """One of AllowedIPs, and the public key of its peer."""

    network: Network
    key: str


def longest(found, address, least=1):
    """The Led that has an address, the most specific of all with `least` bits at least; None where there is none."""
    rows = AllowedIPs(found).covering(address)
    return next((Led(network, peer.key) for network, peer in rows if network.prefixlen >= least), None)


def owns(allowed, address):
    """Whether one of the AllowedIPs is this very address and no more: another peer cannot have it, too."""
    host = ipaddress.ip_network(address)
    return any(network == host for network in networks(allowed))


def add(text, name, values):
    """`text` with a [Peer] section for site `name` behind it: `values` are its (key, value) pairs."""
    end = (re.findall(r"\r?\n", text) or ["\n"])[0]
    gap = "" if not text else end if text.endswith("\n") else end + end
    lines = ["[Peer]", "# " + name + MARK] + ["{} = {}".format(*pair) for pair in values]
    return text + gap + "".join(line + end for line in lines)


def change(text, key, values):
    """`text` with these values in the [Peer] section of public key `key`: {key: value}; one that is not there is added.

    The last line with a key gets the new value, and keeps its comment.
    """
    section = next(peer for peer in sections(text) if peer.key == key)
    rows = wg_quick.rows_of(text)
    end = rows[0].end or "\n"
    for name, value in values.items():
        mine = [index for index in range(section.start, section.stop) if rows[index].key == name.lower()]
        if not mine:
            last = rows[section.stop - 1]
            new = last._replace(text=f"{name} = {value}", end=last.end)
            rows[section.stop - 1] = last._replace(end=last.end or end)
            rows.insert(section.stop, new)
            section = section._replace(stop=section.stop + 1)
            continue
        row = rows[mine[-1]]
        code, hash_, comment = row.text.partition("#")
        name_of, sign, written = code.partition("=")
        head = name_of + sign + written[: len(written) - len(written.lstrip(" \t"))]
        tail = code[len(code.rstrip()) :] if code.rstrip() != head.rstrip() else " " if hash_ else ""
        rows[mine[-1]] = row._replace(text=head + value + tail + hash_ + comment)
    return "".join(row.text + row.end for row in rows)


def allow(text, key, address):
    """`text` with an address among the AllowedIPs of the peer `key`."""
    section = next(peer for peer in sections(text) if peer.key == key)
    rows = wg_quick.rows_of(text)[section.start : section.stop]
    there = [row.value for row in rows if row.key == "allowedips"]
    value = ", ".join(filter(None, there[-1:] + [address]))
    return change(text, key, {"AllowedIPs": value})


def remove(text, key):
    """`text` without the [Peer] section of `key`: what `add` made of a text becomes that text again. Comments of others stay."""
    section = next(peer for peer in sections(text) if peer.key == key)
    rows = wg_quick.rows_of(text)
    inside = rows[section.start : section.stop]
    others = [row for row in inside if not row.key and row.text.strip(schema.SPACE) and not row.text.endswith(MARK)]
    before, after = rows[: section.start], rows[section.stop :]
    if before and not before[-1].text.strip(schema.SPACE) and not others:
        before = before[:-1]  # the blank line that came with it
    return "".join(row.text + row.end for row in before + others + after)


def masked(text):
    """`text` without its secrets, to be shown."""
    rows = wg_quick.rows_of(text)
    return "".join((row.text.partition("=")[0] + "= (not shown)" if row.key in SECRETS else row.text) + row.end for row in rows)


def unmasked(text, source):
    """What `masked` made of a text, with the secrets that `source` has, in their order; None where these are others."""
    rows, known = wg_quick.rows_of(text), [row for row in wg_quick.rows_of(source) if row.key in SECRETS]
    if [row.key for row in rows if row.key in SECRETS] != [row.key for row in known]:
        return None
    return "".join((known.pop(0).text if row.key in SECRETS else row.text) + row.end for row in rows)
