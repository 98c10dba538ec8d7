"""What wg(8) is told: of an interface that l2wg makes its file, without the rest and without names; and tunnels' own peers.

And what nft(8) is told in the network namespace where such interfaces are.
"""

from l2wg_hooks.config import own_wire, wg_quick, wg_quick_peers
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.netfilter import inner_guard
from l2wg_hooks.plan import wire_steps
from l2wg_hooks.system import files
from l2wg_hooks.typed import List


def write(synced, peers, inside=""):
    """Write the files that the steps of a plan give to wg(8), and the rules `inside`; the Problems of that.

    `synced` names the WireGuard interfaces that are to be as in their files, `peers` are {interface: model.PeerWishes} beside.
    """
    problems: List[Problem] = []
    for name in dict.fromkeys((*synced, *peers)):
        try:
            text = ""
            more = peers.get(name, ())
            if name in synced:
                whole = files.read(wg_quick.path(name))
                known = {section.key for section in wg_quick_peers.sections(whole)}
                text, more = own_wire.stripped(whole), [peer for peer in more if peer.key not in known]
            files.write(wire_steps.FILE.format(name), text + own_wire.sections(more), 0o600)
        except L2wgError as error:
            problems += error.problems
    if inside:
        try:
            files.write(inner_guard.FILE, inside)
        except L2wgError as error:
            problems += error.problems
    return tuple(problems)


def clear(names, inside=""):
    """Take these files away again: those for wg(8) have WireGuard's keys in them."""
    if inside:
        files.remove(inner_guard.FILE)
    for name in names:
        files.remove(wire_steps.FILE.format(name))
