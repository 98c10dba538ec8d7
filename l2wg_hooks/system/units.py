"""systemd's units: whether there is anybody who would start one, and who is asked."""

import os

from l2wg_hooks.system import network_namespace

# sd_booted(3)
SYSTEMD = "/run/systemd/system"
# The admin's own: what `systemctl enable` and `systemctl mask` write, and as what the latter does.
ADMINS, NOTHING = "/etc/systemd/system", "/dev/null"
# There the package has commands of its own, and systemd's is none of them.
NIXOS = "/run/current-system/sw/bin/"


def run():
    """Whether systemd runs here."""
    return os.path.isdir(SYSTEMD)


def run_here():
    """Whether systemd runs here, for this network."""
    return run() and network_namespace.is_first()


def is_masked(unit):
    """Whether nobody can start it; it may be enabled all the same."""
    return os.path.realpath(os.path.join(ADMINS, unit)) == NOTHING


def command(name):
    """A command of systemd's, by which it is asked."""
    path = NIXOS + name
    return path if os.path.exists(path) else name
