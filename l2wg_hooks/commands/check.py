"""`l2wg check`."""

from l2wg_hooks.check import abilities, runner
from l2wg_hooks.commands import usage
from l2wg_hooks.config import store
from l2wg_hooks.system import log, terminal

GROUP = usage.MATTERS
HELP = "say what is wrong and what helps; exit 0 nothing, 1 something"
EXAMPLE = "l2wg check"
READ_ONLY = True


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="for programs; see l2wg(8)")
    said = "list all that was looked at, the outcome, and what this router's tools and kernel have"
    parser.add_argument("-v", "--verbose", action="store_true", help=said)
    parser.add_argument("--passive", action="store_true", help="send nothing: no probes, no DHCP question")


def run(options):
    with terminal.progress() as tell:
        report = runner.check(options.passive, tell)
    code = 1 if report.problems else 0
    if options.json:
        print(report.json())
        return (), code
    for check in report.outcomes:
        # --passive was asked for.
        hidden = check.outcome != runner.UNLOOKED or (options.passive and check.why.startswith("--passive"))
        if options.verbose or not hidden:
            log.line("l2wg: {}: {}".format(check.name, check.outcome + (": " + check.why if check.why else "")))
    for line in abilities.lines() if options.verbose else ():
        log.line("l2wg: " + line)
    if not report.problems:
        log.say(store.EMPTY if store.is_empty() else "nothing is wrong")
    return report.problems, code
