"""`l2wg exec`."""

import argparse
import os
import shutil

from l2wg_hooks.commands import usage
from l2wg_hooks.errors import fail
from l2wg_hooks.model import NAMESPACE
from l2wg_hooks.system import network_namespace, process

GROUP = usage.CALLED
HELP = "run a command beside the tunnels' packets (wire = own)"
EXAMPLE = "l2wg exec ping 198.18.0.2"
READ_ONLY = True


def add_arguments(parser):
    parser.add_argument("words", metavar="COMMAND", nargs=argparse.REMAINDER, help="with its arguments, such as: wg show")


def run(options):
    """Ends in the command, so with its exit code. Raises L2wgError where it cannot begin."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        fail("expected a command", "l2wg exec wg show", usage.USAGE)
    if not os.path.exists(network_namespace.path(NAMESPACE)):
        fail(f"there is no network namespace {NAMESPACE}", "a tunnel with `wire = own` has one: l2wg status")
    # Where the command is, the caller's PATH says; where ip(8) is, ours.
    ip = shutil.which("ip", path=process.ENVIRONMENT["PATH"]) or fail("the command ip is not there", "apt install iproute2")
    os.execv(ip, [ip, "netns", "exec", NAMESPACE, *words])
