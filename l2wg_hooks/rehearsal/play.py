"""What is played on the stage: the next boot in its order, then what somebody may do to bridge and WireGuard afterwards."""

import glob
import json
import os
import re
import stat
import time
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks.config import ifupdown, ifupdown_files, ifupdown_stanzas, store, wg_quick
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import link_table
from l2wg_hooks.reconcile import events, ruleset
from l2wg_hooks.rehearsal import cast, outcome, tame
from l2wg_hooks.rehearsal.stage import NETWORK, Unavailable
from l2wg_hooks.system import files, process

# Here is what the stand-ins read and write. /run is new.
FOLDER = "/run/rehearsal"
RUNNER = FOLDER + "/line"
COMMAND = "/usr/bin/l2wg"
# Seconds for one command. The boot would wait longer, but its admin is waiting, too. On a slow machine it is as much more as one
# process takes longer there.
PATIENCE, LONGEST = 20, 150

HOOKS = ("if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d")
UNITS = ("/etc/systemd/system/*.wants/wg-quick@*.service", "/etc/systemd/system/*.requires/wg-quick@*.service")

# Runs the line of somebody's that has this number: what it says, and how it ends, is kept.
LINE = """#!/bin/sh
cd %(folder)s || exit 1
echo "$1 $(cat moment)" >>begun
case $(cat shell.$1) in bash) set -- "$1" bash ;; *) set -- "$1" sh ;; esac
(cd / && exec "$2" -c "$(cat %(folder)s/command.$1)") 2>said.$1
code=$?
cat said.$1 >&2
echo "$1 $code $(cat moment)" >>ended
exit $code
"""
# An event of l2wg's own goes to whoever has its code loaded already: Prompter.
EVENT = """#!/bin/sh
cd %(folder)s || exit 1
case $1 in up | down | event) ;; *) exec %(folder)s/l2wg "$@" ;; esac
echo "$$ $*" >ask
read -r code <answer
exit "$code"
"""
# Sets up a card, which is not here: only that it was called counts.
CARD = """#!/bin/sh
echo "%(name)s $*" >>%(folder)s/card
exit 0
"""
# Gives the interface what its DHCP server has given to the real one.
DHCP = """#!/bin/sh
for word; do
    case $word in
        -r | -x | -k) gone=1 ;;
        -6) exit 0 ;;
        -*) ;;
        *) [ ! -e "/sys/class/net/$word" ] || name=$word ;;
    esac
done
[ -n "$name" ] || exit 0
if [ -n "$gone" ]; then
    ip -4 address flush dev "$name"
    exit 0
fi
ip link set dev "$name" up
[ ! -e "%(folder)s/lease.$name" ] || ip -force -batch "%(folder)s/lease.$name" 2>/dev/null
exit 0
"""
# Talks to somebody who is not here, or waits for time to pass.
NOTHING = "#!/bin/sh\nexit 0\n"

STAND_INS = {
    DHCP: ("dhclient", "udhcpc", "dhcpcd", "dhcpcd5", "pump"),
    CARD: outcome.CARD,
    NOTHING: (
        "modprobe",
        "resolvconf",
        "resolvectl",
        "systemctl",
        "service",
        "invoke-rc.d",
        "logger",
        "udevadm",
        "networkctl",
        "nmcli",
        "sleep",
        "pon",
        "poff",
        "wvdial",
        "wvdialconf",
        "avahi-autoipd",
        "bootpc",
        "wpa_supplicant",
        "hostapd",
    ),
}
PLACES = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
# Of ifupdown, what asks a daemon or the world outside.
METHODS = ("ppp", "wvdial", "ipv4ll", "bootp")


class Part(NamedTuple):
    """What one rehearsal is given.

    `texts` are {path: text, or None where no such file is to be there}, `wish` {tunnel: text}; `nics` are cast.Nics, `leases`
    {interface: lines for ip -batch}, `given` such lines for all that ifupdown knows nothing of, `hosts` (name, address) of
    peers, `sysctls` {path below /proc/sys: value}. `hand` are the WireGuard interfaces that somebody has brought up by
    wg-quick, `again` the interfaces that are taken down and brought up once more. `told` is whether udev tells of interfaces:
    there is none on the stage.
    """

    texts: Dict[str, str]
    wish: Dict[str, str]
    nics: Tuple[cast.Nic, ...]
    leases: Dict[str, Tuple[str, ...]]
    given: Tuple[str, ...]
    hosts: Tuple[Tuple[str, str], ...]
    sysctls: Dict[str, str]
    hand: Tuple[str, ...]
    again: Tuple[str, ...]
    told: bool = False


class Play:
    """One rehearsal under way, on a Stage."""

    def __init__(self, part, stage):
        self.part, self.stage = part, stage
        self.lines, self.steps, self.looks, self.others = [], [], {}, []
        self.hung, self.moment = False, outcome.BOOT

    def outcome(self):
        """Play it; all that came of it, as JSON can have it."""
        begin = time.monotonic()
        process.run(("ip", "link", "show", "dev", "lo"))
        process.PATIENCE = min(LONGEST, PATIENCE + 500 * (time.monotonic() - begin))
        os.mkdir(FOLDER)
        self.write_files()
        defined = ifupdown_files.read()
        self.refuse(defined)
        self.tame(defined)
        self.stand_in()
        self.wire()
        before = _settings()
        self.begin(outcome.BOOT)
        boot, hand = self.boot(defined)
        self.look()
        settings = _settings()
        up = self.state()
        self.play_again(defined, boot + hand)
        return {
            "looks": self.looks,
            "steps": self.steps,
            "failures": self.failures(),
            "up": up,
            "skipped": [line for line in self.lines if line.stranger],
            "others": self.others,
            "card": [line.split() for line in files.glance(FOLDER + "/card").splitlines()],
            "settings": [before, settings],
            "stanzas": [[stanza.interface, stanza.path, stanza.line, stanza.addresses()] for stanza in defined.stanzas],
        }

    def write_files(self):
        """Have the files as they will be."""
        for name in store.sources():
            if name not in self.part.wish:
                os.unlink(store.path(name))
        texts = dict(self.part.texts)
        texts.update({store.path(name): text for name, text in self.part.wish.items()})
        for path, text in texts.items():
            if text is None:
                files.remove(path)
            elif files.text(path, None) != text:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                files.write(path, text, 0o600 if os.path.dirname(path) == wg_quick.DIRECTORY else 0o644)
        try:
            ruleset.store([nftables.entry(tunnel) for tunnel in store.load().tunnels])
        except L2wgError:
            pass  # an event says what is wrong

    def refuse(self, defined):
        """Raise Unavailable for what cannot be told without what is outside."""
        for path in defined.paths:
            for line in ifupdown.lines_of(files.read(path)):
                if line.words[0] == "mapping":
                    raise Unavailable("%s:%d: a mapping asks a script of yours which stanza it is to be" % (path, line.number))
        if os.path.isdir("/usr/share/ifupdown2"):
            self.others.append("what ifupdown2 says of single interfaces")
        for stanza in defined.stanzas:
            if stanza.method in METHODS:
                self.others.append("%s:%d: %s, by %s" % (stanza.path, stanza.line, stanza.interface, stanza.method))

    def tame(self, defined):
        """Have all commands of somebody's run by number, or not at all, and no hooks but those that are known."""
        for path in defined.paths:
            text, found = tame.interfaces_file(files.read(path), path, len(self.lines), RUNNER)
            self.keep(path, text, found, "sh")
        for name in wg_quick.names():
            path = wg_quick.path(name)
            text, found = tame.wireguard_file(files.read(path), path, name, len(self.lines), RUNNER)
            self.keep(path, text, found, "bash")
        listed = {}
        for package in tame.PACKAGES:
            for path in (f"/var/lib/dpkg/info/{package}.list", f"/var/lib/dpkg/info/{package}.conffiles"):
                listed.setdefault(package, set()).update(files.glance(path).split())
        folders = [os.path.join("/etc/network", folder) for folder in HOOKS]
        there = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in sorted(os.listdir(folder))]
        kept = tame.hooks(there, listed)
        for path in there:
            if path not in kept and not os.path.isdir(path):
                os.unlink(path)
                self.others.append(path)

    def keep(self, path, text, found, shell):
        for line in found:
            with open("%s/command.%d" % (FOLDER, line.number), "w", errors="surrogateescape") as file:
                file.write(line.command)
            with open("%s/shell.%d" % (FOLDER, line.number), "w") as file:
                file.write(shell)
        self.lines += found
        if found:
            files.write(path, text)

    def stand_in(self):
        """Put stand-ins where commands are that need somebody outside, and the names of peers where they are looked up."""
        _script(RUNNER, LINE % {"folder": FOLDER})
        if os.path.exists(COMMAND):
            _script(FOLDER + "/l2wg", files.read(COMMAND))
            _script(COMMAND, EVENT % {"folder": FOLDER})
            self.prompt()
        for text, names in STAND_INS.items():
            for name in names:
                for place in PLACES:
                    path = os.path.join(place, name)
                    if os.path.lexists(path) and not os.path.isdir(path):
                        # A link may lead to a program that has other names, too, such as busybox.
                        os.unlink(path)
                        _script(path, text.replace("%(folder)s", FOLDER).replace("%(name)s", name))
        for name, lines in self.part.leases.items():
            _write(f"{FOLDER}/lease.{name}", "".join(line + "\n" for line in lines))
        hosts = "".join(f"{address} {name}\n" for name, address in self.part.hosts)
        _write("/etc/hosts", hosts + files.text("/etc/hosts"))
        _write("/etc/nsswitch.conf", re.sub("(?m)^hosts:.*$", "hosts: files", files.text("/etc/nsswitch.conf") or "hosts:\n"))
        # Its ports forward at once, or would after half a minute; a port that is not there does not come here.
        if os.path.exists("/sbin/brctl"):
            text = files.text("/etc/default/bridge-utils")
            _write("/etc/default/bridge-utils", text + "\nIF_BRIDGE_MAXWAIT=0\nIF_BRIDGE_WAITPORT=\n")

    def prompt(self):
        """Have a process of its own run l2wg's events, by the code that this one has loaded: Python is slow to start."""
        for name in ("ask", "answer"):
            os.mkfifo(f"{FOLDER}/{name}", 0o600)
        if os.fork():
            return
        try:
            # Open for writing, too, so that it never ends.
            with open(FOLDER + "/ask", "r+b", buffering=0) as asked:
                for line in iter(asked.readline, b""):
                    _event(*line.decode("utf-8", "surrogateescape").split())
        finally:
            os._exit(1)

    def wire(self):
        """Have the network cards, each on a wire whose other end is behind the stage, so that they have a carrier."""
        for path, value in sorted(self.part.sysctls.items()):
            try:
                with open("/proc/sys/" + path, "w") as file:
                    file.write(value)
            except OSError:
                pass  # this kernel has no such thing
        self.batch(["link set dev lo up"])
        self.stage.enter(self.stage.behind)
        lines = []
        for number, nic in enumerate(self.part.nics):
            lines.append("link add name w%d type veth peer name %s address %s netns %s" % (number, nic.name, nic.mac, NETWORK))
            lines.append("link set dev w%d up" % number)
        self.batch(lines)
        self.stage.enter(self.stage.network)
        self.batch(self.part.given)
        for kind in ("bridge", "wireguard"):
            result = process.run(("ip", "link", "add", "name", "l2wg-try", "type", kind))
            if result.code:
                raise Unavailable(f"no interface of kind {kind} is to be had here: {result.err.strip()}")
            process.run(("ip", "link", "delete", "dev", "l2wg-try"))

    def batch(self, lines):
        if lines:
            result = process.run(("ip", "-force", "-batch", "-"), "".join(line + "\n" for line in lines))
            if result.code:
                self.others.append("`ip` says: {}".format("; ".join(result.err.split("\n")[:3])))

    def boot(self, defined):
        """networking.service, udev's hotplug, wg-quick@.service, l2wg.service.

        The WireGuard interfaces that come so, and those by hand.
        """
        if os.path.exists("/sbin/ifup"):
            names = [stanza.interface for stanza in defined.stanzas]
            self.step(("ifup", "-a") + self.excluded())
            there = sorted(name for name in os.listdir("/sys/class/net") if name != "lo" and name in names)
            if there:
                self.step(("ifup", "--allow=hotplug") + tuple(there))
        units = [os.path.basename(path) for pattern in UNITS for path in glob.glob(pattern)]
        boot = sorted({name[len("wg-quick@") : -len(".service")] for name in units})
        hand = [name for name in self.part.hand if name not in boot]
        for name in boot + hand:
            self.step(("wg-quick", "up", name), name)
        if os.path.lexists(events.ENABLED) and os.path.exists(COMMAND):
            self.step((COMMAND, "event", "up", "boot"))
        return boot, hand

    @staticmethod
    def excluded():
        """The words that networking.service leaves interfaces out by."""
        match = re.search(r"^\s*EXCLUDE_INTERFACES=(.*)$", files.glance("/etc/default/networking"), re.M)
        names = ifupdown_stanzas.words_of(match.group(1).strip("\"' ")) if match else ()
        return tuple(word for name in names for word in ("--exclude", name))

    def play_again(self, defined, quick):
        """Take each interface down and bring it up once more, and look."""
        names = [stanza.interface for stanza in defined.stanzas]
        for name in self.part.again:
            if self.hung or (not os.path.exists("/sys/class/net/" + name) and name not in names):
                continue
            if name in quick:
                argvs = (("wg-quick", "down", name), ("wg-quick", "up", name))
            elif name in names:
                argvs = (("ifdown", name), ("ifup", name))
            else:
                continue
            self.begin(name)
            for argv in argvs:
                self.step(argv, name)
            if self.part.told and os.path.exists(COMMAND):
                self.step((COMMAND, "event", "up", name))
            self.look()

    def begin(self, moment):
        """From now on it is another moment, of outcome.Outcome's."""
        self.moment = moment
        _write(FOLDER + "/moment", moment)

    def step(self, argv, interface=""):
        """Run a command of the boot, to its end or to that of our patience."""
        if self.hung:
            return
        try:
            result = process.run(argv, environment={"WG_ENDPOINT_RESOLUTION_RETRIES": "0"})
        except L2wgError as error:
            self.hung = True
            self.stage.clear()
            self.steps.append([list(argv), None, error.problems[0].message, interface, self.moment])
            return
        self.steps.append([list(argv), result.code, (result.out + result.err)[-4000:], interface, self.moment])

    def look(self):
        """Keep what there is now, without secrets."""
        if self.hung:
            return
        texts = [result.out for result in process.together(*LOOK)]
        self.looks[self.moment] = [texts[0], texts[1:3], keyless(texts[3])]

    def state(self):
        """The interfaces that ifupdown says it has brought up."""
        return [line.partition("=")[0] for line in process.output("ifquery", "--state").splitlines()]

    def failures(self):
        """[Line, exit code or None, what it said, moment] of the lines that failed, or came to no end."""
        begun = [line.partition(" ")[::2] for line in files.glance(FOLDER + "/begun").splitlines()]
        ended = [line.split(" ", 2) for line in files.glance(FOLDER + "/ended").splitlines()]
        failed = [(int(number), int(code), moment) for number, code, moment in ended if code != "0"]
        if self.hung:
            done = [(number, moment) for number, _, moment in ended]
            failed += [(int(number), None, moment) for number, moment in begun if (number, moment) not in done]
        said = f"{FOLDER}/said.%d"
        return [(self.lines[number], code, files.glance(said % number).strip(), moment) for number, code, moment in failed]


LOOK = (
    link_table.OBSERVE,
    ("ip", "-4", "route", "show", "table", "all"),
    ("ip", "-6", "route", "show", "table", "all"),
    ("wg", "show", "all", "dump"),
)


def keyless(text):
    """What `wg show all dump` printed, without private and preshared keys."""
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") in (4, 8)]
    for row in rows:
        row[1 if len(row) == 5 else 2] = "(none)"
    return "".join("\t".join(row) + "\n" for row in rows)


def _event(pid, *words):
    """Run an event of l2wg's for the process `pid`, which waits for its end, and prints what is printed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for number in (1, 2):
                os.dup2(os.open("/proc/%s/fd/%d" % (pid, number), os.O_WRONLY), number)
            code = events.main(list(words))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    with open(FOLDER + "/answer", "w") as file:
        file.write("%d\n" % (status >> 8))


def _write(path, text):
    # What is at that place may be a link to something that is shared.
    if os.path.islink(path):
        os.unlink(path)
    with open(path, "w", errors="surrogateescape") as file:
        file.write(text)


def _script(path, text):
    _write(path, text)
    os.chmod(path, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)


def _settings():
    """{interface: {key: value}} of the network's sysctls, and what sysfs has of cards."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for path in glob.glob(f"/proc/sys/net/{family}/conf/*/*"):
            name, key = path.split("/")[-2:]
            found.setdefault(name, {})[f"{family}.{key}"] = files.glance(path).strip()
    for pattern in ("mtu", "tx_queue_len", "gro_flush_timeout", "napi_defer_hard_irqs", "threaded", "queues/*/?ps_cpus"):
        for path in glob.glob("/sys/class/net/*/" + pattern):
            name, key = path[len("/sys/class/net/") :].split("/", 1)
            found.setdefault(name, {})[key] = files.glance(path).strip()
    return found


def perform(part):
    """What stage.play is to do: play a Part."""
    return lambda stage: json.loads(json.dumps(Play(part, stage).outcome()))
