"""The only place that runs commands. Each is a list, never a shell string, and is printed as wg-quick prints its own."""

import subprocess
from typing import List, NamedTuple, Tuple

from l2wg_hooks import links, log
from l2wg_hooks.errors import Problem, fail

# Seconds after which a command counts as hung. The kernel answers in milliseconds, under emulation in seconds.
PATIENCE = 60
# A caller's PATH is not to be trusted with root's commands, and ip prints numbers as we expect them in C only.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

OBSERVE = ("ip", "-json", "-details", "address", "show")

# What ip(8) says, and what helps.
CURES = (
    ("unknown device type", "modprobe ip_gre must work: the kernel of package linux-image-amd64 has that module"),
    ("not supported", "modprobe ip_gre must work: the kernel of package linux-image-amd64 has that module"),
    ("file exists", "another tunnel has the same ends and key: ip -details link show type gretap"),
    ("not permitted", "run it as root"),
    ("cannot find device", "it went while we worked; the next event, or `l2wg apply`, tries again"),
    ("does not exist", "it went while we worked; the next event, or `l2wg apply`, tries again"),
)


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def show(argv):
    """Print a command as wg-quick does."""
    log.say(" ".join(argv))


def run(argv, stdin="", environment=()):
    """Run a command to its end. Raises L2wgError if it is not there or hangs; its exit code is the caller's to judge."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            errors="surrogateescape",
            env=dict(ENVIRONMENT, **dict(environment)),
            timeout=PATIENCE,
        )
    except FileNotFoundError:
        fail("the command %s is not there" % argv[0], "apt install --reinstall %s" % _package(argv[0]))
    except subprocess.TimeoutExpired:
        fail("`%s` did not end within %d s" % (" ".join(argv), PATIENCE), "run it by hand to see what it waits for")
    return Result(done.returncode, done.stdout, done.stderr)


def _package(command):
    return {"ip": "iproute2", "ifup": "ifupdown", "ifquery": "ifupdown"}.get(command, command)


def observe():
    """{name: Link} of what the kernel has now."""
    result = run(OBSERVE)
    if result.code:
        fail("`%s` failed: %s" % (" ".join(OBSERVE), result.err.strip()), "is this root, and iproute2 4.20 or later?")
    return links.parse(result.out)


def apply(steps) -> Tuple[Problem, ...]:
    """Run the steps, all in one `ip -batch` as long as none fails; the Problems of those that did.

    After a failure the rest of that step's group is left out and the other groups go on.
    """
    left: List = list(steps)
    problems = []
    while left:
        result = run(("ip", "-batch", "-"), "".join(" ".join(step.argv[1:]) + "\n" for step in left))
        done = len(left) if result.code == 0 else _failed(result.err, len(left))
        for step in left[: done + 1]:
            show(step.argv)
        if done == len(left):
            break
        problems.append(_problem(left[done], result.err))
        group = left[done].group
        left = [step for step in left[done + 1 :] if step.group != group]
    return tuple(problems)


def _failed(err, count):
    """Index of the step that failed: ip(8) says `Command failed -:N`, N from 1. Where it does not, the first."""
    for line in reversed(err.splitlines()):
        if line.startswith("Command failed"):
            number = line.rpartition(":")[2]
            if number.isdigit() and 1 <= int(number) <= count:
                return int(number) - 1
    return 0


def _problem(step, err):
    said = "; ".join(line for line in err.splitlines() if line and not line.startswith("Command failed"))
    hint = next((cure for words, cure in CURES if words in said.lower()), "run that command by hand as root")
    return Problem("%s: `%s` failed: %s" % (step.group, step, said or "no reason given"), hint)
