"""What wg(8) is told of a WireGuard interface that l2wg makes: its file without the rest, and names as addresses."""

import re
from functools import partial
from typing import List

from l2wg_hooks.config import own_wire, wg_quick
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.plan import wire_steps
from l2wg_hooks.system import files, resolver

# Seconds that a name server may take: whoever brings up an interface waits for us.
PATIENCE = 5


def write(names):
    """Write the files that the steps of a plan give to wg(8), for the WireGuard interfaces `names`; the Problems of that.

    In the namespace where wg(8) runs no name server can be asked, so that is done here.
    """
    problems: List[Problem] = []
    for name in names:
        path = wg_quick.path(name)
        resolve = partial(_told, path, problems)
        try:
            files.write(wire_steps.FILE.format(name), own_wire.stripped(files.read(path), resolve), 0o600)
        except L2wgError as error:
            problems += error.problems
    return tuple(problems)


def clear(names):
    """Take these files away again: they have WireGuard's keys in them."""
    for name in names:
        files.remove(wire_steps.FILE.format(name))


def _told(path, problems, endpoint):
    """`resolved`, and where that is nothing a Problem more."""
    address = resolved(endpoint)
    if not address:
        hint = "l2wg apply # when it is; until then the other site has to call"
        problems.append(Problem(f"the name in {endpoint} is not known now", hint, path, 0, "Endpoint"))
    return address


def resolved(endpoint):
    """ADDRESS:PORT of an endpoint as a file has it; "" where its name is not known. A number is asked of nobody."""
    host, _, port = endpoint.rpartition(":")
    if re.match(r"[0-9.]+\Z", host) or host.startswith("["):
        return endpoint
    # The first is the one that wg(8) would take.
    found = resolver.addresses(host, PATIENCE)
    if not found:
        return ""
    return f"[{found[0]}]:{port}" if ":" in found[0] else f"{found[0]}:{port}"
