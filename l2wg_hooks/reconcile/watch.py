"""A look of l2wg-watch.timer, when its sh script (etc/l2wg/look) has seen that something differs: part by part."""

from l2wg_hooks.config import next_key
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.reconcile import endpoint_names, healing, peer_answers, reconcile
from l2wg_hooks.typed import Tuple


def _keys():
    """A change of this router's key that was not brought to its end."""
    if not next_key.names():
        return ()
    from l2wg_hooks.reconcile import key_switch  # where one waits only

    return key_switch.settle()


# Each returns Problems. One that fails does not keep the others from their work; an event tells of what is wrong with the files.
PARTS = (reconcile.remember, healing.heal, endpoint_names.look, peer_answers.look, _keys)


def look():
    """All parts; the Problems of those."""
    found: Tuple[Problem, ...] = ()
    for part in PARTS:
        try:
            found += tuple(part() or ())
        except L2wgError:
            pass
    return found
