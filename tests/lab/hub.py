"""What many tunnels of one router cost on a lab machine: a hub whose far ends are not there. Asserts nothing; bench.py runs it.

Site A of the reference case is the hub: one wg0, a peer and a tunnel for each branch, all of them ports of br0.
"""

import base64
import os
import re
import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/unit"), str(TOP / "tests/bench")]
import many
from growth_page import Row

FEW, SOME, MANY = 1, 100, 1000
# Nobody has this address: no branch ever answers.
NOWHERE = "203.0.113.99"
INTERFACE = "[Interface]\nPrivateKey = {private}\nAddress = 10.199.0.1/32\nListenPort = 4900\n"
OURS = "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"
BRIDGE = """
set -e
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
FILES = """
set -e
rm -f /etc/l2wg/t*.conf
i=0
while [ $i -lt $1 ]; do
    printf 'underlay = wg0\\nlocal = 10.199.0.1\\nremote = 10.200.%d.%d\\nbridge = br0\\nencapsulation = %s\\nkey = %d\\n' \
        $((i / 250)) $((i % 250)) $2 $((i + 1)) >/etc/l2wg/t$i.conf
    i=$((i + 1))
done
"""
# Seconds, the most memory (MiB) of the command or any process that it starts, and its exit code.
TIMER = """
import os, sys, time
null = os.open("/dev/null", os.O_WRONLY)
start = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)])
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - start, usage.ru_maxrss / 1024, status >> 8)
"""
EVENT = ("l2wg", "event", "up", "br0")
STATUS = ("l2wg", "status")
APPLY = ("l2wg", "apply", "--no-rehearsal")
OTHERS = (("l2wg", "status", "--json"), ("l2wg", "metrics"), ("l2wg", "plan"))
RULES = "/root/rules.nft"
NO_RULES = "add table inet l2wg\ndelete table inet l2wg\nadd table bridge l2wg\ndelete table bridge l2wg\n"
LISTED = ("sh", "-c", "nft -s list table inet l2wg && nft -s list table bridge l2wg")


def peer(number) -> str:
    key = base64.b64encode(os.urandom(32)).decode()
    return f"\n[Peer]\nPublicKey = {key}\nAllowedIPs = 10.200.{number // 250}.{number % 250}/32\nEndpoint = {NOWHERE}:4900\n"


class Hub:
    def __init__(self, pair, rounds, say):
        self.pair, self.site, self.rounds, self.say = pair, pair.a, rounds, say
        self.head = INTERFACE.format(private=pair.keys[0].private)
        self.peers = [peer(number) for number in range(MANY)]
        self.memory = {}
        self.rows = []

    def timed(self, *argv):
        """Seconds that a command takes on the hub."""
        out = self.site.run(["python3", "-c", TIMER, *argv], timeout=1800).stdout.split()
        seconds, memory, code = float(out[0]), float(out[1]), int(out[2])
        self.say(f"{' '.join(argv)}: {seconds:.3f} s, {memory:.1f} MiB, exit code {code}")
        self.memory.setdefault(" ".join(argv), []).append(memory)
        return seconds

    def row(self, *words):
        self.rows.append(Row(*words))

    def files(self, count, kind):
        self.site.run(["sh", "-c", FILES, "sh", count, kind])

    def wireguard(self, count, more=""):
        self.site.write("/etc/wireguard/wg0.conf", self.head + more + "".join(self.peers[:count]), 0o600)

    def echo(self):
        """A round trip between two hosts at br0, with the rules of no tunnel, and of ever more."""
        texts = {0: NO_RULES, **{count: many.rules(many.wish("gretap", count)) for count in (FEW, SOME, MANY)}}
        for count, text in texts.items():
            self.site.write(f"{RULES}.{count}", text)
        trips = {count: [] for count in texts}
        loads, lists = [], []
        for turn in range(2 * self.rounds + 1):
            for count in texts:
                seconds = self.timed("nft", "-f", f"{RULES}.{count}")
                out = self.pair.device.run(["ping", "-n", "-c", 300, "-i", "0.002", "10.7.0.2"], timeout=120).stdout
                trip = statistics.median(float(found) for found in re.findall(r"time=([\d.]+)", out))
                if turn:
                    trips[count].append(trip * 1000)
                    if count == MANY and turn <= self.rounds:
                        loads.append(seconds)
                        lists.append(self.timed(*LISTED))
        for count in (FEW, SOME, MANY):
            self.row(f"echo across br0, rules of {count:,}", "us", trips[count], "no rules", trips[0], "within the noise")
        self.row(f"nft -f, {MANY:,}", "s", loads, "", (), "< 0.5 s")
        self.row(f"nft list, both tables, {MANY:,}", "s", lists, "", (), "< 0.5 s")
        self.site.run(["nft", "-f", f"{RULES}.0"])

    def start(self):
        """wg-quick up, without us and with us: what it costs beyond wg-quick's own."""
        self.files(SOME, "gretap")
        found = {"": [], OURS: []}
        for _ in range(self.rounds):
            for more, seconds in found.items():
                self.wireguard(SOME, more)
                seconds.append(self.timed("wg-quick", "up", "wg0"))
                self.site.run(["wg-quick", "down", "wg0"], timeout=600)
        beyond = [ours - alone for ours, alone in zip(found[OURS], found[""])]
        self.row(f"wg-quick up wg0, {SOME} tunnels", "s", found[OURS], "bare", found[""], "")
        self.row(f"wg-quick up wg0, {SOME} tunnels: beyond the bare one", "s", beyond, "", (), "< 3 s")

    def tunnels(self):
        """apply from nothing, and events with nothing to do."""
        self.wireguard(SOME)
        self.site.run(["wg-quick", "up", "wg0"], timeout=600)
        events, status, applied = {}, {}, {}
        for kind in ("gretap", "vxlan"):
            for count in (FEW, SOME):
                self.files(count, kind)
                applied[kind, count], events[kind, count], status[kind, count] = [], [], []
                for turn in range(self.rounds if count == SOME else 1):
                    self.site.run(["l2wg", "down", "--all"], timeout=600)
                    applied[kind, count].append(self.timed(*APPLY))
                for turn in range(self.rounds + 1):
                    seconds, shown = self.timed(*EVENT), self.timed(*STATUS)
                    if turn:  # the first one may find something left to do
                        events[kind, count].append(seconds)
                        status[kind, count].append(shown)
                self.site.run(["l2wg", "down", "--all"], timeout=600)
            self.row(f"apply, {SOME} {kind}s from nothing, no far end answers", "s", applied[kind, SOME], "", (), "< 15 s")
            self.row(f"event with nothing to do, {SOME} {kind}s", "s", events[kind, SOME], f"{FEW} tunnel", events[kind, FEW], "< 1.5 s")
            self.row(f"status, {SOME} {kind}s", "s", status[kind, SOME], f"{FEW} tunnel", status[kind, FEW], "")

    def thousand(self):
        """What is most: all tunnels that there are places for, nearly, and the memory that it takes."""
        self.files(MANY, "gretap")
        self.site.write("/root/peers.conf", "".join(self.peers), 0o600)
        self.site.sh("wg addconf wg0 /root/peers.conf; ip route add 10.200.0.0/16 dev wg0", timeout=600)
        self.memory.clear()
        self.row(f"apply, {MANY:,} gretaps from nothing, no far end answers", "s", [self.timed(*APPLY)], "", (), "")
        events, status = [], []
        for turn in range(self.rounds + 1):
            seconds, shown = self.timed(*EVENT), self.timed(*STATUS)
            if turn:
                events.append(seconds)
                status.append(shown)
        for argv in OTHERS:
            self.timed(*argv)
        self.row(f"event with nothing to do, {MANY:,} gretaps", "s", events, "", (), "")
        self.row(f"status, {MANY:,} gretaps", "s", status, "", (), "< 0.3 s, not emulated")
        for command, figures in self.memory.items():
            self.row(f"most memory of a process, {MANY:,} gretaps: {command}", "MiB", figures, "", (), "< 40 MiB")


def run(pair, rounds, say):
    """The Rows of all that was measured."""
    pair.vm.sh(BRIDGE)
    hub = Hub(pair, rounds, say)
    for work in (hub.echo, hub.start, hub.tunnels, hub.thousand):
        work()
    return hub.rows
