"""What 100 tunnels of one router cost on a lab machine beside 10 and beside one: a hub whose far ends are not there. Asserts nothing.

Site A of the reference case is the hub: one wg0 with a peer for each branch, and a tunnel for each, all of them ports of br0. bench.py
runs this. In every round all numbers of tunnels take their turn.
"""

import base64
import os
import re
import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP), str(TOP / "tests/unit"), str(TOP / "tests/bench")]
import many
from growth_page import Row

COUNTS = (1, 10, 100)
MOST = 1000
KINDS = ("gretap", "vxlan")
OURS = "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"
INTERFACE = "[Interface]\nPrivateKey = {}\nAddress = 10.199.0.1/32\nListenPort = 4900\n"
# RFC 2544: each branch has an address of its own on the internet, where site B drops what is for them.
PEER = "\n[Peer]\nPublicKey = {key}\nAllowedIPs = 10.200.{high}.{low}/32\nEndpoint = 198.18.{high}.{low}:4900\n"
# Both ends of an echo are ports of the hub's bridge.
WIRES = """
set -e
ip -n A route add 198.18.0.0/15 via 203.0.113.20
ip -n B route add blackhole 198.18.0.0/15
ip -n A link add br0 type bridge
ip -n A link set br0 up
ip -n A link set enp3s0 up master br0
ip netns add other
ip -n A link add other type veth peer name eth0 netns other
ip -n A link set other up master br0
ip -n device address add 10.7.0.1/24 dev eth0
ip -n other link set eth0 up
ip -n other address add 10.7.0.2/24 dev eth0
"""
HOSTS = ("enp3s0", "other")
FILES = """
rm -f /etc/l2wg/t*.conf
i=0
while [ $i -lt $1 ]; do
    printf 'underlay = wg0\\nlocal = 10.199.0.1\\nremote = 10.200.%d.%d\\nbridge = br0\\nencapsulation = %s\\nkey = %d\\n' \
        $((i / 250)) $((i % 250)) $2 $((i + 1)) >/etc/l2wg/t$i.conf
    i=$((i + 1))
done
"""
# Seconds that a command takes, the most memory (MiB) of it or any process that it starts, and its exit code.
TIMER = """
import os, sys, time
null = os.open("/dev/null", os.O_WRONLY)
start = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)])
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - start, usage.ru_maxrss / 1024, os.WEXITSTATUS(status))
"""
UP, DOWN = ("wg-quick", "up", "wg0"), ("wg-quick", "down", "wg0")
APPLY = ("l2wg", "apply", "--no-rehearsal")
ALL_DOWN = ("l2wg", "down", "--all")
EVENT = ("l2wg", "event", "up", "br0")
# The watch leaves its record, by which ifupdown's hook sees that it has nothing to do; policy routes belong to the second one only.
LOOKS = ("sh", "-c", "/usr/lib/l2wg/look; /usr/lib/l2wg/look")
HOOK = ("env", "IFACE=br0", "MODE=start", "PHASE=post-up", "/etc/network/if-up.d/l2wg")
STATUS = ("l2wg", "status")
# What is timed once the tunnels are there, what it is called, and the goal for most of COUNTS.
SHOWN = {EVENT: ("an event, nothing to do", "< 1.5 s"), HOOK: ("ifupdown's hook after the watch has looked, nothing to do", ""), STATUS: ("`l2wg status`", "")}
RULES = "/root/rules.nft"
NO_RULES = "".join(f"add table {family} l2wg\ndelete table {family} l2wg\n" for family in ("inet", "bridge"))
LISTED = ("sh", "-c", "nft -s list table inet l2wg && nft -s list table bridge l2wg")
PINGS = 300


def tunnels(count):
    return f"{count:,} tunnel{'' if count == 1 else 's'}"


class Hub:
    def __init__(self, pair, rounds, say):
        self.pair, self.site, self.rounds, self.say = pair, pair.a, rounds, say
        self.head = INTERFACE.format(pair.keys[0].private)
        keys = (base64.b64encode(os.urandom(32)).decode() for _ in range(COUNTS[-1]))
        self.peers = [PEER.format(key=key, high=number // 250, low=number % 250) for number, key in enumerate(keys)]
        self.memory = []
        self.rows = []

    def timed(self, *argv):
        """Seconds that a command takes on the hub."""
        seconds, memory, code = self.site.run(["python3", "-c", TIMER, *argv], timeout=1800).stdout.split()
        self.say(f"{' '.join(argv)}: {float(seconds):.3f} s, {float(memory):.1f} MiB, exit code {code}")
        self.memory.append(float(memory))
        return float(seconds)

    def run(self, *argv):
        return self.site.run(argv, timeout=1800)

    def see(self, count):
        """That so many tunnels are there: else a figure would be that of a failure."""
        ports = self.run("ls", "/sys/class/net/br0/brif").stdout.split()
        if len(ports) != count + len(HOSTS):
            raise AssertionError(f"{tunnels(count)} should be ports of br0, and there are: {' '.join(ports)}")

    def grown(self, what, unit, found, goal=""):
        """A Row for each number of tunnels but the first of `found`, {number of tunnels: figures, one a round}, beside that one."""
        first, *others = found
        for count in others:
            self.rows.append(Row(f"{what}: {tunnels(count)}", unit, found[count], tunnels(first), found[first], goal if count == others[-1] else ""))

    def wireguard(self, count, more=""):
        self.site.write("/etc/wireguard/wg0.conf", self.head + more + "".join(self.peers[:count]), 0o600)

    def echo(self):
        """A round trip between two hosts at br0 with the rules of no tunnel and of ever more: how they are loaded, listed and met."""
        texts = {0: NO_RULES, **{count: many.rules(many.wish("gretap", count)) for count in (1, COUNTS[-1], MOST)}}
        for count, text in texts.items():
            self.site.write(f"{RULES}.{count}", text)
        trips, loads, lists = ({count: [] for count in texts} for _ in range(3))
        for turn in range(2 * self.rounds + 1):
            for count in texts:
                load = self.timed("nft", "-f", f"{RULES}.{count}")
                out = self.pair.device.run(["ping", "-n", "-c", PINGS, "-i", "0.002", "10.7.0.2"], timeout=120).stdout
                trip = statistics.median(float(found) for found in re.findall(r"time=([\d.]+)", out))
                self.say(f"rules of {tunnels(count)}: an echo takes {trip * 1000:.0f} us")
                if turn:  # the first fills the caches
                    trips[count].append(trip * 1000)
                    loads[count].append(load)
                if turn and count:
                    lists[count].append(self.timed(*LISTED))
        self.run("nft", "-f", f"{RULES}.0")
        for count in list(texts)[1:]:
            self.rows.append(Row(f"an echo across br0, rules of {tunnels(count)}", "us", trips[count], "no rules", trips[0], "within the noise"))
        del loads[0], lists[0]
        self.grown("`nft -f`", "s", loads, "< 0.5 s")
        self.grown("`nft list`, both tables", "s", lists, "< 0.5 s")

    def work(self):
        """apply from nothing, and then what has nothing to do."""
        self.wireguard(COUNTS[-1])
        self.run(*UP)
        found = {(kind, argv): {count: [] for count in COUNTS} for kind in KINDS for argv in (APPLY, *SHOWN)}
        for _ in range(self.rounds):
            for kind in KINDS:
                for count in COUNTS:
                    self.run(*ALL_DOWN)
                    self.run("sh", "-ec", FILES, "sh", count, kind)
                    found[kind, APPLY][count].append(self.timed(*APPLY))
                    self.see(count)
                    self.run(*LOOKS)
                    for argv in SHOWN:
                        found[kind, argv][count].append(self.timed(*argv))
        self.run(*ALL_DOWN)
        self.run(*DOWN)
        for argv, (what, goal) in {APPLY: ("`l2wg apply` from nothing, no far end answers", "< 15 s"), **SHOWN}.items():
            for kind in KINDS:
                self.grown(f"{what}, {kind}", "s", found[kind, argv], goal)
        self.rows.append(Row(f"most memory of a process, up to {tunnels(COUNTS[-1])}", "MiB", [max(self.memory)], "", (), "< 40 MiB"))

    def start(self):
        """wg-quick up, without us and with us, where all has been applied before. What has been measured is shown each time."""
        rows = list(self.rows)
        found = {(count, more): [] for count in COUNTS for more in ("", OURS)}
        for count in COUNTS:
            self.run("sh", "-ec", FILES, "sh", count, "gretap")
            # Else the first event would render the rules, too.
            self.run(*APPLY)
            for _ in range(self.rounds):
                for more in ("", OURS):
                    self.wireguard(count, more)
                    seconds = self.timed(*UP)
                    self.see(count if more else 0)
                    found[count, more].append(seconds)
                    self.run(*DOWN)
                self.rows = rows + list(self.started(found))
                yield

    @staticmethod
    def started(found):
        for count in COUNTS:
            if found[count, OURS]:
                yield Row(f"`wg-quick up wg0` with our lines: {tunnels(count)}", "s", found[count, OURS], "without", found[count, ""])
        beyond = [ours - bare for ours, bare in zip(found[COUNTS[-1], OURS], found[COUNTS[-1], ""])]
        if beyond:
            yield Row(f"what our lines take of that: {tunnels(COUNTS[-1])}", "s", beyond, "", (), "< 3 s")


def run(pair, rounds, say):
    """Yield the Rows of all that has been measured so far."""
    pair.vm.sh(WIRES)
    hub = Hub(pair, rounds, say)
    hub.echo()
    yield hub.rows
    hub.memory.clear()
    hub.work()
    yield hub.rows
    for _ in hub.start():
        yield hub.rows
