"""`l2wg metrics`."""

from l2wg_hooks.commands import usage
from l2wg_hooks.status import render_prometheus, status, survey
from l2wg_hooks.system import outlet, terminal

GROUP = usage.CALLED
HELP = "print the status for Prometheus, in its text format"
EXAMPLE = "l2wg metrics"
READ_ONLY = True


def add_arguments(parser):
    said = "into a file, in one move, as node_exporter's textfile collector wants it"
    parser.add_argument("--output", metavar="FILE", help=said)


def run(options):
    text = render_prometheus.render(status.build(survey.look()))
    if options.output:
        outlet.write(options.output, text)
    else:
        terminal.out(text)
    return (), 0
