"""A command of a stanza of interfaces(5): does it speak of the network card, or of the network that the card carries? Pure.

When a port's address moves to its bridge, what is about the network goes along, and what is about the card stays with it:
ethtool(8) on a bridge does nothing, and an address, a route or a sysctl of the network on a port does nothing either.
"""

import re

from l2wg_hooks.config import shell_words
from l2wg_hooks.typed import Dict, NamedTuple, Optional

CARD, NETWORK, BOTH, UNKNOWN, NEITHER = "card", "network", "both", "unknown", "neither"
# Programs about the card.
_CARD = (
    "ethtool mii-tool iw iwconfig tc vconfig ifenslave wpa_supplicant wpa_cli hostapd mstflint devlink ifrename macchanger "
    "lspci setpci dcb lldptool rfkill"
).split()
# Programs about addresses, routes and who talks.
_NETWORK = (
    "iptables ip6tables iptables-restore ip6tables-restore iptables-nft iptables-legacy nft ipset arptables route arp arping "
    "ndsend ndisc6 dhclient dhcpcd udhcpc dnsmasq radvd resolvconf resolvectl ping ping6 avahi-autoipd igmpproxy smcroute "
    "smcroutectl pimd wg wg-quick ndppd parprouted shorewall ufw firewall-cmd conntrack ntpdate miniupnpd"
).split()
# Say nothing of any interface, whatever their words are: conditions, waiting, messages, printing files.
_NEITHER = [""] + (
    ": true false [ test echo printf logger sleep for case exit return set export unset cd read wait which type command date "
    "grep cut head tail tr wall mail touch mkdir rm umask break continue modprobe udevadm systemctl service invoke-rc.d local "
    "sort seq shift trap sync cat tee sed awk ls find xargs dd cp"
).split()
# `ip OBJECT`, as far as ip(8) lets it be shortened: the first that begins so counts (do_cmd in iproute2's ip.c).
_OBJECTS = (
    [(name, NETWORK) for name in "address addrlabel maddress route rule neighbor neighbour ntable".split()]
    + [("link", CARD), ("l2tp", UNKNOWN)]
    + [(name, NETWORK) for name in "tunnel tuntap token tcpmetrics".split()]
    + [("monitor", NEITHER)]
    + [(name, NETWORK) for name in "xfrm mroute mrule".split()]
    + [("netns", NEITHER), ("netconf", NEITHER), ("nexthop", NETWORK), ("macsec", CARD), ("vrf", NETWORK)]
)
_SYSCTL = r"(net[./](?:ipv4|ipv6)[./](?:conf|neigh)([./]))%s(?=\2)"
# What of /sys/class/net/NAME a bridge has, too.
_ANY_LINK = ("address", "carrier", "flags", "ifindex", "mtu", "operstate", "statistics")


class Judgement(NamedTuple):
    """Whose a command is: CARD, NETWORK, BOTH (it cannot be one line), UNKNOWN (nobody can tell) or NEITHER.

    `stays` says that it stays with the card, `part` is the simple command that made it so.
    """

    whose: str
    stays: bool = False
    part: str = ""


def judge(command, port):
    """The Judgement of a command line in a stanza of `port`."""
    known = [(_of(part, port), " ".join(part.words)) for part in shell_words.commands(command)]
    found: Dict[Optional[str], str] = {}
    for whose, part in known:
        found.setdefault(whose, part)
    if CARD in found and NETWORK in found:
        return Judgement(BOTH, False, found[CARD])
    if UNKNOWN in found:
        return Judgement(UNKNOWN, CARD in found, found[UNKNOWN])
    if NETWORK in found:
        return Judgement(NETWORK, False, found[NETWORK])
    # `ip link set ... up` alone is the card's; beside what is the network's, it does for that.
    said = found[CARD] if CARD in found else found.get("either")
    return Judgement(NEITHER) if said is None else Judgement(CARD, True, said)


def _of(command, port):
    """Whose a simple command is, or "either"."""
    files = [_of_file(path, port) for path in command.targets]
    if command.name in ("tee", "dd", "cp", "sed"):
        files += [_of_file(word[3:] if word.startswith("of=") else word, port) for word in command.words[1:]]
    for whose in (CARD, NETWORK):
        if whose in files:
            return whose
    whose = _of_program(command, port)
    if whose == NEITHER and CARD in [_of_file(word, port) for word in command.words[1:] + command.sources]:
        return CARD  # it asks the card
    return whose


def _of_file(path, port):
    """Whose a file of the kernel is."""
    name = rf"(?:{re.escape(port)}|\$IFACE|\$\{{IFACE\}})"
    if re.match(
        r"/sys/class/net/{}/(?!(?:{})(?:/|\Z))|/sys/devices/|/sys/bus/|/proc/irq/".format(name, "|".join(_ANY_LINK)), path
    ):
        return CARD
    return NETWORK if path.startswith("/proc/sys/net/") else NEITHER


def _of_program(command, port):
    name, words = command.name, command.words[1:]
    if name in _CARD:
        return CARD
    if name == "ip":
        return _of_ip(words)
    if name == "sysctl":
        about = any(re.search(_SYSCTL % r"[^./]+", word) for word in words)
        return NETWORK if about else NEITHER
    if name == "ifconfig":
        rest = [word for word in words[1:] if word not in ("up", "down")]
        hardware = "mtu promisc -promisc txqueuelen hw allmulti -allmulti media mem_start io_addr irq".split()
        return "either" if not rest else CARD if rest[0] in hardware else NETWORK
    if name in _NETWORK:
        return NETWORK
    if name in _NEITHER or re.match(r"[A-Za-z_]\w*=", command.words[0] if command.words else ""):
        return NEITHER
    if name in shell_words.SHELLS and "-c" in command.words:
        return NEITHER  # what it runs is looked at beside
    # A script: it may be told of the interface, or read $IFACE.
    return UNKNOWN


def _of_ip(words):
    objects = [word for word in words if not word.startswith("-")]
    if not objects:
        return NEITHER
    whose = next((whose for known, whose in _OBJECTS if known.startswith(objects[0])), UNKNOWN)
    if "link".startswith(objects[0]) and whose == CARD:
        rest = [word for word in objects[1:] if word not in ("dev", "set")]
        if objects[1:2] == ["set"] and len(rest) == 2 and rest[1] in ("up", "down"):
            return "either"
        if objects[1:2] in (["show"], ["list"], []):
            return NEITHER
    return whose


def speaks(command, port):
    """Whether a command names the interface `port`, or $IFACE."""
    return bool(pattern(port).search(command) or re.search(_SYSCTL % re.escape(port), command) or "IFACE" in command)


def renamed(command, old, new):
    """`command` about the interface `new` in the place of `old`, in names of sysctls, too."""
    dotted = re.compile(_SYSCTL % re.escape(old))
    # sysctl(8) takes a dot in an interface's name for a slash between dots.
    command = dotted.sub(lambda match: match.group(1) + (new.replace(".", "/") if match.group(2) == "." else new), command)
    return pattern(old).sub(new, command)


def pattern(name):
    """A pattern of an interface's name in a command: enp2s0:1 is a label of an address, and goes with it; enp2s0.10 is not it."""
    return re.compile(rf"(?<![\w.:-]){re.escape(name)}(?![\w.-])")
