from l2wg_hooks.config import conflicts, schema
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Tunnel
from l2wg_hooks.typed import Any, Dict, List


def split(line):
    """(key, value, start, end) of one line, `start` and `end` those of the value in it; None where it says nothing.

    Raises Refused for a line that is neither a comment nor `key = value`.
    """
    code = line.split("#", 1)[0]
    if not code.strip(schema.SPACE):
        return None
    key, equals, value = code.partition("=")
    if not equals:
        raise schema.Refused(
            f"{schema.shown(code.strip(schema.SPACE))} is not `key = value`", "write key = value, or start the line with #"
        )
    start = len(key) + 1 + len(value) - len(value.lstrip(schema.SPACE))
    stripped = value.strip(schema.SPACE)
    return key.strip(schema.SPACE), stripped, start, start + len(stripped)


def lines_of(text):
    """The lines without their ends. Only LF ends a line (with CR before it, perhaps), as for sh; not U+2028 and its kin."""
    return [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]


def parse(text, path, name):
    """(Tunnel or None, problems) of one file's text: all that is wrong in it, not just the first."""
    problems: List[Problem] = []
    lines: Dict[str, int] = {}
    values: Dict[str, Any] = {}
    try:
        schema.tunnel_name(name)
    except schema.Refused as error:
        problems.append(Problem(error.args[0], "the file's name is the tunnel's: " + error.args[1], path))
    for number, line in enumerate(lines_of(text), 1):
        key = ""
        try:
            found = split(line)
            if found is None:
                continue
            key, value = found[:2]
            if key not in schema.KEYS:
                raise schema.Refused("no such key", _nearest(key))
            if key in lines:
                raise schema.Refused("stands on line %d already" % lines[key], "keep one of the two lines")
            lines[key] = number
            if key in schema.REQUIRED and not value:
                raise schema.Refused("is empty", f"write {key} = ..., or delete the file")
            known = schema.KEYS[key]
            values[known.field] = known.parse(value)
        except schema.Refused as error:
            label = key if schema.NAME.match(key) and len(key) <= 30 else schema.shown(key) if key else ""
            problems.append(Problem(error.args[0], error.args[1], path, number, label))
    for key in schema.REQUIRED:
        if key not in lines:
            problems.append(Problem("is missing", f"add a line: {key} = ...", path, 0, key))
    if problems:
        return None, tuple(problems)
    if isinstance(values["remote"], tuple):
        values.update(remote="", remotes=values["remote"])
    elif "/" in values["remote"]:
        values.update(remote="", senders=values["remote"])
    tunnel = Tunnel(name=name, path=path, lines=lines, **values)
    contradictions = tuple(conflicts.within(tunnel))
    return (None if contradictions else tunnel), contradictions


def _nearest(key):
    import difflib

    near = difflib.get_close_matches(key, schema.KEYS, 1)
    return f"do you mean {near[0]}?" if near else "known keys: " + ", ".join(schema.KEYS)


def edit(text, changes):
    """`text` with the values of `changes` ({key: value}) in it; all else stays: comments, order, spacing, line ends.

    A key that is not there is added at the end; one that is to be empty and is not there is left out.
    """
    rows = text.split("\n")
    end = "\r" if len(rows) > 1 and rows[0].endswith("\r") else ""
    left = dict(changes)
    for index, row in enumerate(rows):
        try:
            found = split(row[:-1] if row.endswith("\r") else row)
        except schema.Refused:
            continue
        if found is None or found[0] not in left:
            continue
        key, value, start, stop = found
        new = left.pop(key)
        if new == value:
            continue
        head = row[:start] if row[:start].endswith((" ", "\t")) or not new else row[:start] + " "
        bare = not new and not row[stop:].strip(schema.SPACE)
        rows[index] = head.rstrip(schema.SPACE) + row[stop:] if bare else head + new + row[stop:]
    added = [f"{key} = {value}{end}" for key, value in left.items() if value]
    if added:
        if rows[-1]:
            rows[-1] += end
            rows.append("")
        rows[-1:] = added + [""]
    return "\n".join(rows)


HEAD = """\
# %s: an Ethernet tunnel through WireGuard; see l2wg.conf(5). After an edit: l2wg apply
"""


def of(tunnel):
    """The text of a file that wishes for this Tunnel; what comes with it beside, such as peers, is in no such file."""
    values = {key.name: _written(getattr(tunnel, key.field)) for key in schema.KEYS.values()}
    if tunnel.remotes:
        values["remote"] = ",".join(tunnel.remotes) + "," * (len(tunnel.remotes) == 1)
    if tunnel.senders:
        values["remote"] = tunnel.senders
    return "".join(f"{key} = {value}\n" for key, value in values.items() if value)


def _written(value):
    """A value of a Tunnel, as its key's parser takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)


def fresh(name, values):
    """The text of a new file for tunnel `name`: the keys that debconf asks for, and any others in `values`."""
    rows = ["{} = {}".format(key.ljust(14), values.get(key, "")) for key in schema.KEYS if key in schema.ASKED or values.get(key)]
    return HEAD % name + "".join(row.rstrip() + "\n" for row in rows)
