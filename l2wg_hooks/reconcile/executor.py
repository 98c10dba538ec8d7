"""Steps of a plan, carried out: by one `ip -batch` and one `bridge -batch` for all that stand together, as far as that goes."""

import os

from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.plan import commands
from l2wg_hooks.system import files, ip_routes, log, process
from l2wg_hooks.typed import List, Tuple

# Above so many commands a terminal shows how far they are, in the place of each.
MANY = 20


def apply(steps) -> Tuple[Problem, ...]:
    """Run the steps, those of ip(8), or bridge(8), that stand together in one batch as long as none fails; the Problems of all.

    After a failure the rest of that step's group is left out and the other groups go on.
    """
    if len(steps) <= MANY:
        return _apply(steps, process.show)
    from l2wg_hooks.system import terminal  # most events have less to do

    with terminal.commands(len(steps)) as show:
        return _apply(steps, show)


def _apply(steps, show):
    left: List = list(steps)
    problems = []
    while left:
        batch, count = _batches(left[0]), 1
        while batch and count < len(left) and _batches(left[count]) == batch:
            count += 1
        done, problem = _run(left[:count], batch)
        for step in left[: min(done + 1, count)]:
            show(step.argv)
        for step in left[:done]:
            log.ran(step)
        if problem is None:
            left = left[count:]
            continue
        problems.append(problem)
        left = _without(left[done + 1 :], left[done].group)
    return tuple(problems)


def _without(steps, group):
    """The steps without those of a group that has failed, and of every group that needs it, whatever it is needed by."""
    lost, before = {group}, 0
    while len(lost) != before:
        before = len(lost)
        lost |= {step.group for step in steps if step.needs in lost}
    return [step for step in steps if step.group not in lost]


def _batches(step):
    """The command whose batch takes a step as a line, () for none: ip(8)'s takes no options such as -6, but for a namespace's.

    What has a word that is not plain goes alone, as words.
    """
    # Of all words at once, which is as good: there is none without a character.
    plain = all(step.argv) and ip_routes.is_plain("".join(step.argv))
    if plain and step.argv[0] == "bridge":
        return ("bridge",)
    # What older versions do behind a `netns exec` in a batch, they do in that namespace.
    if not plain or commands.is_executed(step.argv) or step.argv[0] != "ip" or commands.bare(step.argv)[1].startswith("-"):
        return ()
    return commands.INSIDE if commands.is_inside(step.argv) else ("ip",)


def _run(steps, batch):
    """(how many of these were done, the Problem of the one that failed or None): one step, or many of a `batch`."""
    try:
        if batch:
            lines = "".join(" ".join(commands.bare(step.argv)[1:]) + "\n" for step in steps)
            result = process.run(batch + ("-batch", "-"), lines)
        else:
            result = process.run(steps[0].argv)
    except L2wgError as error:
        return 0, error.problems[0]
    if result.code == 0:
        return len(steps), None
    done = _failed(result.err, len(steps))
    return done, _problem(steps[done], result.err)


def _failed(err, count):
    """Index of the step that failed: ip(8) and bridge(8) say `Command failed -:N`, N from 1. Where it does not, the first."""
    for line in reversed(err.splitlines()):
        if line.startswith("Command failed"):
            number = line.rpartition(":")[2]
            if number.isdigit() and 1 <= int(number) <= count:
                return int(number) - 1
    return 0


def _problem(step, err):
    said = "; ".join(line for line in err.splitlines() if line and not line.startswith("Command failed"))
    from l2wg_hooks.reconcile import cures

    hint = cures.of(step.argv, err, _is_wireless)
    return Problem("{}: `{}` failed: {}".format(step.group, step, said or "no reason given"), hint)


def _is_wireless(name):
    return os.path.exists(files.LINK % (name, "phy80211"))
