"""ifupdown: whether it is there, and its own books of what is up."""

import os

from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.system import files, log, process

# A definition for ifupdown's books only: it makes and takes down nothing.
BOOKS = "/run/l2wg.interfaces"
# ifupdown2 keeps no such books: it looks what is there, and would take away what a definition does not have.
IFUPDOWN2 = "/usr/share/ifupdown2"


def is_installed():
    """Whether there is an ifup, be it ifupdown's or ifupdown2's."""
    return any(os.path.exists(os.path.join(folder, "ifup")) for folder in process.ENVIRONMENT["PATH"].split(":"))


def enter(bridge, options=()):
    """Tell ifupdown that `bridge`, which we have made, is up, without having it do anything but its hooks. Problems of that."""
    lines = "".join("    {} {}\n".format(*option) for option in options if option[0].startswith("dns-"))
    return _books("ifup", bridge, lines)


def forget(bridge):
    """Tell ifupdown that `bridge` is gone."""
    _books("ifdown", bridge, "")


def _books(command, bridge, lines):
    if os.path.isdir(IFUPDOWN2):
        return ()
    files.write(BOOKS, f"iface {bridge} inet manual\n{lines}")
    try:
        result = process.run((command, "--force", "--interfaces", BOOKS, bridge))
    except L2wgError as error:
        return error.problems
    finally:
        files.remove(BOOKS)
    for line in result.err.splitlines():
        log.line(line)
    if result.code == 0:
        return ()
    return (Problem(f"`{command} {bridge}` failed", f"{command} --verbose {bridge} shows more"),)
