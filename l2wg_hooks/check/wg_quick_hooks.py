"""PostUp and PostDown lines of a wg-quick file, judged: missing, doubled, for another interface, made by hand. Pure."""

import re

from l2wg_hooks import model
from l2wg_hooks.check.cause import REBOOT, Cause
from l2wg_hooks.config import wg_quick
from l2wg_hooks.errors import Problem

CAUSES = (
    Cause(
        "postup-missing",
        REBOOT,
        "wg0.conf has not both lines that tell l2wg when WireGuard comes and goes, and udev does not tell of it either, "
        "as in a container, or without systemd.",
        "`l2wg attach wg0`.",
    ),
    Cause(
        "postup-doubled",
        REBOOT,
        "wg0.conf has one of our lines more than once.",
        "`l2wg detach wg0; l2wg attach wg0`.",
    ),
    Cause(
        "postup-elsewhere",
        REBOOT,
        "A line in wg0.conf calls l2wg for another interface: it was copied from that one's file.",
        "Write `%i` in the place of the name.",
    ),
    Cause(
        "postup-by-hand",
        REBOOT,
        "wg0.conf has lines that make the same tunnel by hand; whichever comes second fails, and a failing PostUp costs the VPN.",
        "Delete these lines: l2wg looks after the tunnel.",
    ),
    Cause(
        "postup-unsafe",
        REBOOT,
        "A line of ours in wg0.conf has lost its `|| :`, so that it costs the VPN where l2wg is not installed.",
        "Write `|| :` at its end again.",
    ),
)
_ANY = re.compile(r"(?:^|[;&|]\s*)(?:/\S*/)?l2wg\s+(?:up|down)\s+(?P<name>[^\s;|&]+)")
# What the usual recipes make a layer 2 tunnel with.
_TUNNEL = re.compile(r"\bip\s+(?:-\S+\s+)*link\s+add\b.*\btype\s+(?:" + "|".join(model.TUNNEL_KINDS) + r")\b")


def is_rewritten(text):
    """Whether wg-quick(8) writes this file anew when it takes the interface down, with what `wg` has by then."""
    return any(row.key == "saveconfig" and row.value == "true" for row in wg_quick.rows_of(text) if row.section == "[interface]")


def judge(text, path, name, tunnels):
    """Problems of the file `path` of WireGuard interface `name`, which these tunnels (their names) have for their underlay."""
    counted = {key.lower(): [] for key, _ in wg_quick.LINES}
    for number, row in enumerate(wg_quick.rows_of(text), 1):
        if row.section != "[interface]" or row.key not in counted:
            continue
        where = {"path": path, "line": number, "key": row.text.partition("=")[0].strip()}
        match = _ANY.search(row.value)
        if match and match.group("name") in ("%i", name):
            counted[row.key].append((number, wg_quick.is_ours(row, name)))
        elif match:
            message = "calls l2wg for {}, and this is {}'s file".format(match.group("name"), name)
            hint = "sed -i '%ds/%s/%%i/' %s" % (number, re.escape(match.group("name")), path)
            yield Problem(message, hint, id="postup-elsewhere", **where)
        elif _TUNNEL.search(row.value) and not any(_names(row.value, tunnel) for tunnel in tunnels):
            hint = "if it is the same wire, delete that line and its companions: l2wg looks after it"
            yield Problem("makes a layer 2 tunnel by hand", hint, id="postup-by-hand", **where)
    yield from wg_quick.warnings(text, path, name, tunnels)
    lines = dict(wg_quick.LINES)
    missing = [key for key in lines if not counted[key.lower()]]
    if missing:
        said = " and ".join(f"`{key} = {lines[key]}`" for key in missing)
        yield Problem(f"has no {said}", f"l2wg attach {name}", path, id="postup-missing")
    for key in lines:
        found = counted[key.lower()]
        if len(found) > 1:
            message = "has `%s = %s` %d times" % (key, lines[key], len(found))
            yield Problem(message, _once(found, path, name), path, id="postup-doubled")


def _once(found, path, name):
    """What leaves one of the lines `found`, (number, whether `detach` knows it for ours) each, that all call l2wg."""
    others = ["%d" % number for number, ours in found if not ours]
    if not others:
        return f"l2wg detach {name}; l2wg attach {name}"
    plain = ["%dd" % number for number, ours in found if ours]
    if not plain:
        return "take the call out of all but one of the lines {}".format(", ".join(others))
    return "sed -i '{}' {} # line {} also calls it, among other things".format(";".join(plain), path, others[0])


def _names(text, tunnel):
    return re.search(rf"(?<![\w.-]){re.escape(tunnel)}(?![\w.-])", text)
