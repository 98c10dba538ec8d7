"""Our two lines in a wg-quick file. The text part is pure: text in, text out, nothing but those lines changed.

Our lines are known by their command, never by a comment beside them: `SaveConfig = true` makes wg-quick rewrite the
file without comments, and leaves `%i` as it is.
"""

import os
import re

from l2wg_hooks.config import schema
from l2wg_hooks.errors import Problem, fail
from l2wg_hooks.typed import List, NamedTuple

DIRECTORY = "/etc/wireguard"
SUFFIX = ".conf"
# What people call an interface of wg-quick(8).
_USUAL = re.compile(r"wg[0-9]+\Z")
# `|| :`: a wg0.conf that has outlived l2wg, or was copied to another box, must still start.
LINES = (("PostUp", "l2wg up %i || :"), ("PostDown", "l2wg down %i || :"))

_COMMAND = r"(?:/\S*/)?l2wg\s+{verb}\s+(?:%i|{wg})(?P<safe>\s*\|\|\s*(?::|true))?\s*;?\Z"
_VERBS = {"postup": "up", "postdown": "down"}


class Row(NamedTuple):
    """One line: its text without the end, its end, the section that it is in, and key and value as wg-quick sees them."""

    text: str
    end: str
    section: str
    key: str
    value: str


def rows_of(text) -> List[Row]:
    """The lines of a wg-quick file, read as parse_options of wg-quick(8) reads them: case does not count in keys."""
    section, rows = "", []
    for whole in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        # A CR alone ends no line: at the end of the file it is a space behind the last value.
        bare = re.sub(r"\r?\n\Z", "", whole)
        # bash reads over a NUL.
        key, _, value = bare.replace("\0", "").partition("#")[0].partition("=")
        key = key.strip(schema.SPACE).lower()
        if key.startswith("["):
            section = key
        rows.append(Row(bare, whole[len(bare) :], section, key, value.strip(schema.SPACE)))
    return rows


def is_ours(row, name):
    """The match of a Row that is one of our lines and nothing else; None where it is not."""
    verb = _VERBS.get(row.key)
    if row.section != "[interface]" or verb is None:
        return None
    return re.match(_COMMAND.format(verb=verb, wg=re.escape(name)), row.value)


# What wg-quick(8) takes in [Interface], and wg(8) does not: `wg setconf` refuses the whole file for one of them.
QUICK_KEYS = ("address", "postup", "preup", "postdown", "predown", "dns", "mtu", "table", "saveconfig")


def is_wg_quick(text, name):
    """Whether wg-quick(8) is meant to read this file, by what is in it beside our own lines."""
    rows = (row for row in rows_of(text) if row.section == "[interface]" and not is_ours(row, name))
    return any(row.key in QUICK_KEYS for row in rows)


def attach(text, name):
    """`text` of `name`.conf with our lines in it, each once. None where there is no [Interface] section to put them in.

    They go behind the last setting of the section, so that PostUp lines made by hand run first.
    """
    rows = rows_of(text)
    there = {row.key for row in rows if is_ours(row, name)}
    missing = ["{} = {}".format(*line) for line in LINES if line[0].lower() not in there]
    settled = [index for index, row in enumerate(rows) if row.section == "[interface]" and row.key]
    if not settled:
        return None
    if not missing:
        return text
    last = settled[-1]
    end = rows[last].end
    # A CR that ends the file stays the last line's own.
    usual = "\r\n" if not end and rows[last].text.endswith("\r") else rows[0].end or "\n"
    before = "".join(row.text + row.end for row in rows[:last]) + rows[last].text + (end or usual)
    after = "".join(row.text + row.end for row in rows[last + 1 :])
    return before + (end or usual).join(missing) + end + after


def detach(text, name):
    """`text` without our lines: what `attach` made of a text becomes that text again, to the byte."""
    rows = rows_of(text)
    kept = [row for row in rows if not is_ours(row, name)]
    if kept and len(kept) < len(rows) and rows[-1] is not kept[-1] and not rows[-1].end:
        kept[-1] = kept[-1]._replace(end="")
    return "".join(row.text + row.end for row in kept)


def warnings(text, path, name, tunnels):
    """Problems of lines made by hand that work against ours: other PostUp lines about our tunnels, or unsafe ones."""
    for number, row in enumerate(rows_of(text), 1):
        ours = is_ours(row, name)
        if ours and not ours.group("safe"):
            hint = r"sed -i '%ds/[;[:space:]]*\(#.*\)*$/ || : \1/' %s" % (number, path)
            yield Problem(
                "without `|| :` it costs the VPN where l2wg is not installed", hint, path, number, row.key, "postup-unsafe"
            )
        if ours or row.key not in _VERBS:
            continue
        for tunnel in tunnels:
            if re.search(rf"(?<![\w.-]){re.escape(tunnel)}(?![\w.-])", row.value):
                hint = "sed -i '%ds/^/#/' %s # l2wg looks after %s now" % (number, path, tunnel)
                yield Problem(
                    f"handles {tunnel} by hand", hint, path, number, row.text.partition("=")[0].strip(), "postup-by-hand"
                )


def is_usual(name):
    """Whether people take an interface of that name for one of wg-quick(8)."""
    return bool(_USUAL.match(name))


def path(name):
    """The wg-quick file of a WireGuard interface."""
    try:
        return os.path.join(DIRECTORY, schema.interface_name(name) + SUFFIX)
    except schema.Refused as error:
        fail(*error.args)


def names():
    """The WireGuard interfaces that have a wg-quick file."""
    try:
        found = os.listdir(DIRECTORY)
    except OSError:
        return []
    return sorted(name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX) and schema.NAME.match(name))
