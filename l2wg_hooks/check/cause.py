"""A cause of trouble, and the symptoms that an admin sees. Pure."""

from typing import NamedTuple


class Cause(NamedTuple):
    """One cause of trouble. `symptom` is what an admin sees of it, `cure` what helps, in general words."""

    id: str
    symptom: str
    cause: str
    cure: str


# The symptoms, as somebody would search for them; docs/troubleshooting.md has a chapter for each.
NOTHING = "There is no tunnel, or nothing at all crosses it"
QUIET = "It worked, and stopped; or it works for some minutes only"
LARGE = "Small packets pass, large ones hang: bulk TCP stalls, ssh freezes at the first long output"
LEASE = "A device gets no lease, or one of the wrong network"
STORM = "The LAN is slow or floods; lamps of the switches do not rest"
REACH = "Some addresses cannot be reached, or another machine answers"
REBOOT = "It is gone after a reboot, or after WireGuard was restarted"
WAITS = "A change has no effect"
OPEN = "The wire works, but it is not closed to others"
# In the order of the page.
ORDER = (NOTHING, QUIET, LARGE, LEASE, REACH, STORM, REBOOT, WAITS, OPEN)
