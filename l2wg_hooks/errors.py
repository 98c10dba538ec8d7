"""What can be wrong, said in one form: where, what, and the cure."""

from l2wg_hooks.typed import NamedTuple

# Characters of a message, and of a hint: a list of AllowedIPs may be long.
LONGEST = 1000


def plain(text, most=LONGEST):
    """`text` for a terminal and the journal: one line, nothing that they would obey, and not for ever."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:most])
    return text if len(text) <= most else text[: most - 3] + "..."


def lines(text, kept="\n\t"):
    """`text` of several lines for a terminal, which obeys the characters `kept` in it, and no other."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(char if char in kept or char.isprintable() else ascii(char)[1:-1] for char in text)


def listed(names, most):
    """The first `most` names, and how many there are beside: as many as a line has room for."""
    return ", ".join(names[:most]) + (" and %d more" % (len(names) - most) if len(names) > most else "")


class Problem(NamedTuple):
    """One thing that is wrong. `path` and `line` (1-based) are empty and 0 where no file is to blame.

    `id` is that of its cause in check/catalog.py, `tunnel` the one that it is about, and `subject` what else: all empty where
    nobody asks for them.
    """

    message: str
    hint: str = ""
    path: str = ""
    line: int = 0
    key: str = ""
    id: str = ""
    tunnel: str = ""
    subject: str = ""

    def _said(self):
        return tuple(self)[: self._fields.index("id")]

    # By what it says, whoever has found it.
    def __eq__(self, other):
        return isinstance(other, Problem) and self._said() == other._said()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self._said())

    def __str__(self):
        where = ""
        if self.path:
            path = plain(self.path)
            where = "%s:%d: " % (path, self.line) if self.line else f"{path}: "
        if self.key:
            where += plain(self.key) + ": "
        text = where + plain(self.message)
        return text + "\n  hint: " + plain(self.hint) if self.hint else text


# Exit codes: something is wrong with what is wished for, or with how things are; or the machine did not let us work.
WRONG, REFUSED = 1, 3


class L2wgError(Exception):
    """Work that cannot go on, with every problem that is known by then, and the exit code for it."""

    def __init__(self, *problems, code=WRONG):
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.code = code


def fail(message, hint="", code=WRONG, **where):
    """Raise L2wgError with one problem."""
    raise L2wgError(Problem(message, hint, **where), code=code)
