"""What can be wrong, said in one form: where, what, and the cure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `path` and `line` (1-based) are empty and 0 where no file is to blame."""

    message: str
    hint: str = ""
    path: str = ""
    line: int = 0
    key: str = ""

    def __str__(self):
        where = ""
        if self.path:
            where = "%s:%d: " % (self.path, self.line) if self.line else "%s: " % self.path
        if self.key:
            where += self.key + ": "
        text = where + self.message
        return text + "\n  hint: " + self.hint if self.hint else text


class L2wgError(Exception):
    """Work that cannot go on, with every problem that is known by then."""

    def __init__(self, *problems):
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def fail(message, hint="", **where):
    """Raise L2wgError with one problem."""
    raise L2wgError(Problem(message, hint, **where))
