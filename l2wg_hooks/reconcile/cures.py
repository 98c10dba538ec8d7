"""What helps when a step fails: by what was tried, then by what the program says that tried it. Pure.

The same words mean something else for each step: "Operation not supported" is a missing module where a tunnel is made, and
a wireless card where a port joins. So they are looked up among that step's only, and nothing is matched but what was said.
"""

from l2wg_hooks.encapsulation import registry
from l2wg_hooks.model import NAMESPACE
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.plan import commands
from l2wg_hooks.typed import Callable, NamedTuple, Tuple

UNKNOWN = "run that command by hand as root"
# Of what makes each kind of link.
MODULES = dict(registry.MODULES, bridge="bridge", wireguard="wireguard")
AGAIN = "it went while we worked; the next event, or `l2wg apply`, tries again"
AGAIN_THERE = "it came while we worked; the next event, or `l2wg apply`, tries again"
ROOT = "run it as root; in a container, one with CAP_NET_ADMIN"
KERNEL = ": the kernel of package linux-image-amd64 has that"
MODULE = "`modprobe {module}` must work" + KERNEL
OLD = "this ip(8) is older than l2wg needs: apt install iproute2 # 4.20 or later"
MEMORY = "the kernel has no memory for it: free -m"
# What any command of iproute2 may say, after what is said of the one that it was.
COMMON = (
    ("not permitted", ROOT),
    ("cannot find device", AGAIN),
    ("does not exist", AGAIN),
    ("no such device", AGAIN),
    ("no buffer space", MEMORY),
    ("cannot allocate memory", MEMORY),
    ("what is", OLD),
    ("garbage instead of arguments", OLD),
)
NO_IPV6 = "IPv6 is switched off here: sysctl net.ipv6.conf.all.disable_ipv6; or take IPv4 ends"
TUNNEL = (
    ("unknown device type", MODULE),
    ("operation not supported", MODULE),
    ("vni already exists", "another VXLAN has that number: l2wg set {name} key=NUMBER; l2wg apply # on both routers"),
    ("file exists", "who has that name, or the same ends and key: ip link show dev {name}; ip -details link show type {kind}"),
    ("address family not supported", NO_IPV6),
    ("cannot assign requested address", NO_IPV6),
)
BRIDGE = (
    ("unknown device type", MODULE),
    ("operation not supported", MODULE),
    ("file exists", "look what it is: ip -details link show dev {name}"),
)
UNFIT = "{name} cannot be a port of a bridge: ip -details link show dev {name}. Name an Ethernet port in bridge-ports"
WIRELESS = (
    "{name} is a wireless station, and its access point takes frames from its own address only: name an Ethernet port in "
    "bridge-ports; or make it an access point, by hostapd with `bridge={master}`; or, where that access point has WDS: "
    "iw dev {name} set 4addr on"
)
NESTED = "{name} is a bridge itself: name its ports in bridge-ports, or it in `bridge`"
JOIN = (
    ("does not allow enslaving", UNFIT),
    ("operation not supported", UNFIT),
    ("invalid argument", "{name} is no Ethernet: ip -details link show dev {name}. Name an Ethernet port in bridge-ports"),
    ("bridge to a bridge", NESTED),
    ("too many levels of symbolic links", NESTED),
    (
        "resource busy",
        "something else has {name}: a bond, Open vSwitch, a macvlan on it (ip -details link show); take it off, or name another",
    ),
    ("exchange full", "{master} has 1023 ports, and no bridge takes more: bridge link show; name another bridge"),
)
SIZES = "what it takes: ip -details link show dev {name} # minmtu, maxmtu; then `mtu` in its file, the same on both routers"
MTU = (("greater than device maximum", SIZES), ("less than device minimum", SIZES), ("invalid argument", SIZES))
SET = (
    ("rf-kill", "its radio is switched off: rfkill list; rfkill unblock all"),
    ("operation not supported", "the kernel (4.18 or later) must have that setting of {name}" + KERNEL),
)
VLAN = (("operation not supported", "the kernel must filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)" + KERNEL),)
SWITCHED_OFF = "IPv6 is switched off on it: sysctl -w net.ipv6.conf.{dots}.disable_ipv6=0"
ADDRESS = (
    ("permission denied", SWITCHED_OFF),
    ("ipv6 is disabled", SWITCHED_OFF),
    ("file exists", "it is there already: ip address show"),
    ("cannot assign requested address", "it was no longer there: ip address show"),
)
ROUTE = (
    ("file exists", "there is such a route already: ip route show; ip rule show"),
    ("network is unreachable", "its interface is down, or has no address: ip -brief address"),
    ("network is down", "its interface is down: ip -brief link"),
    ("invalid gateway", "its gateway is on no network of this router: ip -brief address"),
    ("operation not supported", "the kernel must have policy routing (CONFIG_IP_MULTIPLE_TABLES)" + KERNEL),
    ("no such process", "it was no longer there: ip route show table all"),
)
DELETE = (("operation not supported", "it is not a link that can be deleted: ip -details link show dev {name}"),)
NO_GUARD = "no tunnel is made without its guard: "
CHECK = f"nft --check --file {nftables.FILE} # shows what is wrong"
RENDER = NO_GUARD + "l2wg apply # writes these files anew"
NF_TABLES = NO_GUARD + "`modprobe nf_tables` must work" + KERNEL
NFT = (
    ("not permitted", NO_GUARD + ROOT),
    ("syntax error", NO_GUARD + "nft(8) here does not know a word of these rules (nft --version). " + CHECK),
    ("file not found", RENDER),
    ("cannot open", RENDER),
    ("protocol not supported", NF_TABLES),
    (
        "could not process rule",
        NO_GUARD + "modprobe -a nf_tables nft_ct nft_limit nft_log # must work, as with the kernel of package linux-image-amd64",
    ),
    ("operation not supported", NF_TABLES),
    ("cannot allocate memory", NO_GUARD + MEMORY),
    ("", NO_GUARD + CHECK),
)
SYSCTL = (
    ("read-only", "/proc/sys is read-only here, as in a container: whoever runs that has to set it"),
    ("permission denied", ROOT),
    ("not permitted", ROOT),
    ("no such file", AGAIN),
)
CLASSIC = "`modprobe %s` must work" + KERNEL + "; or mss-clamp = nftables"
IPTABLES = (
    ("must be root", ROOT),
    ("permission denied", ROOT),
    ("not permitted", ROOT),
    ("xtables lock", "another program is at it: the next event, or `l2wg apply`, tries again"),
    ("table does not exist", CLASSIC % "ip_tables"),
    ("couldn't load", "apt install --reinstall iptables; or mss-clamp = nftables"),
    ("no chain/target/match", CLASSIC % "xt_TCPMSS"),
)
MODPROBE = (
    ("not found", "the kernel that runs has no such module: reboot, if it was upgraded; else apt install linux-image-amd64"),
    ("key was rejected", "Secure Boot takes signed modules only: those of Debian's own kernel are"),
    ("not permitted", "run it as root; in a container, whoever runs that has to load the module"),
)
FORBIDDEN = "network namespaces cannot be had here, as in many a container"
NO_NAMESPACE = f"{FORBIDDEN}: l2wg set TUNNEL wire=shared underlay=WG; l2wg apply # with a WireGuard interface of wg-quick(8)"
NETNS = (
    ("file exists", AGAIN_THERE),
    ("not a directory", "/run/netns is no directory: rm /run/netns; l2wg apply"),
    ("", NO_NAMESPACE),
)
UNNAMED = (
    ("no such file", AGAIN),
    ("resource busy", "it is mounted more than once: umount /run/netns/{namespace}; l2wg apply"),
    ("is a directory", "rmdir /run/netns/{namespace}; l2wg apply"),
    ("read-only", "/run/netns is read-only here: mount -o remount,rw /run/netns; l2wg apply # in a container, whoever runs that"),
    ("permission denied", ROOT),
    ("not permitted", ROOT),
)
# What ip(8) says of any command for a namespace, before it is run there.
WITHIN = (
    ("cannot open network namespace", AGAIN),
    ("setting the network namespace", AGAIN),
    ("mount of /sys failed", NO_NAMESPACE),
    ("unshare failed", NO_NAMESPACE),
)
WIREGUARD = (
    ("unknown device type", MODULE),
    ("operation not supported", MODULE),
    ("file exists", "who has that name: ip -n l2wg link"),
)
NO_NAME = "its name is not found: is DNS at work here?"
WG_FILE = "wg(8) does not take what is in /etc/wireguard/{wire}.conf: wg-quick strip {wire} shows what it gets"
WG_PEERS = "wg(8) does not take a peer that comes of /etc/l2wg/sites: cat {file} # shows what it gets; l2wg sites, whose it is"
WG = (
    ("no such device", AGAIN),
    ("not permitted", ROOT),
    ("not known", NO_NAME),
    ("name resolution", NO_NAME),
    ("unable to", WG_FILE),
    ("parsing error", WG_FILE),
    ("unrecognized", WG_FILE),
)
NMCLI = (
    ("not running", "then nothing is to be let go of: the next event, or `l2wg apply`, tries again"),
    ("not authorized", ROOT),
)


class Kind(NamedTuple):
    """Steps of one kind: whether a command is one, and (what is said, in small letters; cure), the first that fits counting."""

    is_one: Callable
    cures: Tuple[Tuple[str, str], ...]


def _begins(*words):
    return lambda argv: tuple(argv[: len(words)]) == words


def _ip(thing, verb="", **more):
    """Commands of ip(8) about a `thing`, such as link, with a verb, and with each key of `more` before one of its values."""

    def is_one(argv):
        words = [word for word in argv[1:3] if not word.startswith("-")] + list(argv[3:])
        pairs = list(zip(words, words[1:]))
        said = all(any((key, value) in pairs for value in values) for key, values in more.items())
        return argv[0] == "ip" and words[:1] == [thing] and (not verb or words[1:2] == [verb]) and said

    return is_one


def _sets(key):
    return lambda argv: tuple(argv[:4]) == ("ip", "link", "set", "dev") and key in argv[5:6]


KINDS = (
    Kind(_begins("ip", "netns", "delete"), UNNAMED),
    Kind(_begins("ip", "netns"), NETNS),
    Kind(_ip("link", "add", type=("wireguard",)), WIREGUARD + COMMON),
    Kind(_ip("link", "add", type=tuple(registry.KINDS)), TUNNEL + COMMON),
    Kind(_ip("link", "add", type=("bridge",)), BRIDGE + COMMON),
    Kind(_sets("master"), JOIN + COMMON),
    Kind(_sets("mtu"), MTU + COMMON),
    Kind(_ip("link", "set"), SET + COMMON),
    Kind(_ip("link", "delete"), DELETE + COMMON),
    Kind(_ip("address"), ADDRESS + COMMON),
    Kind(_ip("route"), ROUTE + COMMON),
    Kind(_ip("rule"), ROUTE + COMMON),
    Kind(_begins("ip"), COMMON),
    Kind(_begins("bridge", "vlan"), VLAN + COMMON),
    Kind(_begins("bridge"), COMMON),
    Kind(_begins("tc"), COMMON),
    Kind(_begins("nft"), NFT),
    Kind(_begins("sysctl"), SYSCTL),
    Kind(_begins("iptables"), IPTABLES),
    Kind(_begins("ip6tables"), IPTABLES),
    Kind(_begins("modprobe"), MODPROBE),
    Kind(_begins("wg"), WG),
    Kind(_begins("nmcli"), NMCLI),
)


def of(argv, said, is_wireless=lambda name: False):
    """The cure for a command that has failed, and has `said` so. `is_wireless` tells of an interface whether it is."""
    plain = commands.bare(argv)
    kind = next((kind for kind in KINDS if kind.is_one(plain)), None)
    said, known = said.lower(), (() if plain == argv else WITHIN) + (kind.cures if kind else ())
    cure = next((cure for words, cure in known if words in said), UNKNOWN)
    argv = plain
    name = _behind(argv, "name") or _behind(argv, "dev")
    if cure is UNFIT and is_wireless(name):
        cure = WIRELESS
    elif cure is WG_FILE and "addconf" in argv:
        cure = WG_PEERS
    link = _behind(argv, "type")
    values = {"name": name, "dots": name.replace(".", "/"), "master": _behind(argv, "master"), "wire": _behind(argv, "syncconf")}
    values.update(namespace=NAMESPACE, file=argv[-1])
    return cure.format(kind=link, module=MODULES.get(link, link), **values)


def _behind(argv, key):
    """The word behind `key`; "" where there is none."""
    return dict(zip(argv, argv[1:])).get(key, "")
