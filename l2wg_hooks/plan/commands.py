"""Addresses, routes, links and sysctls as words for ip(8) and sysctl(8). Pure."""

from l2wg_hooks.model import NAMESPACE, Addresses, Step

# ip(8), for what is in the network namespace of l2wg, and any command there; what makes it, and the group of the steps for it.
INSIDE = ("ip", "-n", NAMESPACE)
EXEC = ("ip", "netns", "exec", NAMESPACE)
NEW_NAMESPACE = ("ip", "netns", "add", NAMESPACE)
OF_NAMESPACE = "namespace " + NAMESPACE
# What marks our routes of the table main (rtm_protocol in rtnetlink(7)): GRE's number in IP, which no routing daemon has there
# (/etc/iproute2/rt_protos).
PROTOCOL = "47"


def is_inside(argv):
    """Whether a command is one of ip(8) for the network namespace of l2wg."""
    return argv[: len(INSIDE)] == INSIDE


def is_executed(argv):
    """Whether a command is any other one in that network namespace."""
    return argv[: len(EXEC)] == EXEC


def bare(argv):
    """The command without the words that say in which network namespace."""
    if is_inside(argv):
        return ("ip",) + argv[len(INSIDE) :]
    return argv[len(EXEC) :] if is_executed(argv) else argv


def give(layer3, name, label=None):
    """ip(8) commands that give the addresses to interface `name`; `label` is the name in labels such as enp2s0:1."""
    for words in layer3.addresses:
        yield ("ip", "address", "add") + _labelled(words, label, name) + ("dev", name)


def lead(layer3, name):
    """ip(8) commands that lead the routes to interface `name`."""
    for words in layer3.routes:
        yield ("ip", "route", "replace") + words + ("dev", name)


def take(layer3, name):
    """ip(8) commands that take the addresses from interface `name`: the last first, since a primary one takes others along."""
    for words in reversed(layer3.addresses):
        yield ("ip", "address", "delete") + _bare(words) + ("dev", name)


def _bare(words):
    return words[:3] if words[1:2] == ("peer",) else words[:1]


def _labelled(words, old, new):
    if old is None or "label" not in words:
        return words
    at = words.index("label") + 1
    return words[:at] + (words[at].replace(old, new, 1)[:15],) + words[at + 1 :]


def missing(wanted, there):
    """The part of Layer3 `wanted` that `there` has not."""
    known = [_bare(words) for words in there.addresses]
    return Addresses(
        tuple(words for words in wanted.addresses if _bare(words) not in known),
        tuple(words for words in wanted.routes if words not in there.routes),
    )


def set_link(group, name, reason, *words):
    return Step(("ip", "link", "set", "dev", name) + words, reason, group)


def described(link):
    return f"an interface of kind {link.kind}" if link.kind else "a network card"


def sysctls(interface, values):
    """A sysctl(8) command that sets them. With slashes, since a name may have dots."""
    rows = ((folder, interface, name, value) for (folder, name), value in values.items())
    return ("sysctl", "-qew") + tuple("{}/{}/{}={}".format(*row) for row in rows)
