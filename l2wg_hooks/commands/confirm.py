"""`l2wg confirm`."""

from l2wg_hooks.apply import transaction
from l2wg_hooks.commands import usage
from l2wg_hooks.system import lock

GROUP = usage.CAREFUL
HELP = "keep what `apply --confirm` has changed"
EXAMPLE = "l2wg confirm"


def add_arguments(_parser):
    pass


def run(_options):
    with lock.changing():
        transaction.confirm()
    return (), 0
