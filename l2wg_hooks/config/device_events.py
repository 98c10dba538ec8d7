"""Whether udev tells l2wg of network interfaces here (etc/l2wg/device), so that nobody else has to."""

import os

from l2wg_hooks.system import files, network_namespace, units

# As long as systemd-udevd runs; in a container it does not.
UDEV = "/run/udev/control"
# The first of them counts (udev(7)).
RULES = (
    "/etc/udev/rules.d/85-l2wg.rules",
    "/run/udev/rules.d/85-l2wg.rules",
    "/usr/lib/udev/rules.d/85-l2wg.rules",
    "/lib/udev/rules.d/85-l2wg.rules",
)
UNIT = "l2wg-device@.service"
# In the rule.
SCRIPT = "l2wg/device"


def missing():
    """Why it does not, in words; "" where it does."""
    if not units.run():
        return "systemd is not running"
    if not os.path.exists(UDEV):
        return "udev is not running"
    rule = next((path for path in RULES if os.path.lexists(path)), "")
    if SCRIPT not in files.glance(rule):
        return f"{rule} has no rule for it" if rule else f"{RULES[-1]} is not there"
    if units.is_masked(UNIT):
        return f"{UNIT} is masked"
    # A namespace's devices are not those that udev is told of.
    return "" if network_namespace.is_first() else "this is not the network of the machine's init"


def instead(name):
    """Why nobody has to call l2wg for an interface; "" where somebody has to."""
    return "" if missing() else f"udev tells l2wg of {name}, whoever makes it"
