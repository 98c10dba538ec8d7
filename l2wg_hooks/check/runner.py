"""`l2wg check`: what is wrong, as facts with cures. It changes nothing.

Every check is by itself: one that cannot look says why, and the others go on. Each stands beside its causes, in a module of this
folder that catalog.py knows.
"""

import json
import os
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks.check.catalog import CHECKS
from l2wg_hooks.check.scene import Idle, Scene, Unlooked
from l2wg_hooks.errors import L2wgError, Problem

# Of the form of `--json`: another number only where a key goes or changes its meaning.
VERSION = 1
OK, WRONG, IDLE, UNLOOKED = "ok", "wrong", "not applicable", "could not be looked at"


class Outcome(NamedTuple):
    """How one check ended: its name, one of the four words above, and why where it did not look."""

    name: str
    outcome: str
    why: str = ""


class Report(NamedTuple):
    """All Problems, each with the id of its cause, and the Outcome of every check."""

    problems: Tuple[Problem, ...]
    outcomes: Tuple[Outcome, ...]

    def json(self):
        """The report for programs: l2wg(8), JSON."""
        keys = ("id", "tunnel", "path", "line", "key", "message", "hint")
        return json.dumps(
            {
                "version": VERSION,
                "problems": [{key: getattr(problem, key) for key in keys} for problem in self.problems],
                "checks": [outcome._asdict() for outcome in self.outcomes],
            },
            indent=2,
        )


def check(passive=False, tell=lambda text: None):
    """The Report of now. With `passive`, nothing is sent. `tell` gets what is being looked at.

    It takes a second and a half, or five where DHCP is let pass, or seventeen where a peer answers nothing.
    """
    scene = Scene(passive)
    scene.begin()
    problems: Dict[Problem, None] = {}
    outcomes = []
    for number, row in enumerate(CHECKS, 1):
        tell("%s (%d of %d)" % (row.name, number, len(CHECKS)))
        found, outcome = _one(row.name, row.look, row.needs_root, scene)
        problems.update(dict.fromkeys(found))
        outcomes.append(outcome)
    return Report(tuple(problems), tuple(outcomes))


def _one(name, look, needs_root, scene):
    """(problems, Outcome) of one check; what it found before it failed counts."""
    found = []
    try:
        if needs_root and os.geteuid():
            raise Unlooked("only root can: sudo l2wg check")
        for problem in look(scene):
            if problem is not None:
                found.append(problem)
    except Idle as error:
        return found, Outcome(name, WRONG if found else IDLE, str(error))
    except Unlooked as error:
        return found, Outcome(name, UNLOOKED, str(error))
    except L2wgError as error:
        return found, Outcome(name, UNLOOKED, "; ".join(problem.message for problem in error.problems))
    except Exception as error:  # one broken check must not hide what the others find
        return found, Outcome(name, UNLOOKED, f"{type(error).__name__}: {error}")
    return found, Outcome(name, WRONG if found else OK)
