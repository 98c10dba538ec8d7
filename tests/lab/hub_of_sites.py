"""What a net of /etc/l2wg/sites costs at its hub, on a lab machine: whose sites are not there. Asserts nothing.

Site A of the reference case is the hub, on a wire of its own; bench.py runs this. Stars are isolated, as 1,000 sites have to be. The mesh
has as many sites as one may have, by the hub.
"""

import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP), str(TOP / "tests/unit"), str(TOP / "tests/bench")]
import nets
from growth_page import Row
from hub import ALL_DOWN, APPLY, EVENT, HOOK, LOOKS, STATUS, TIMER
from l2wg_hooks.config import card, own_wire, site_faults

STARS = (100, 1000)
MESH = site_faults.MOST_IN_MESH
SITES = ("l2wg", "sites")
# What is timed once all is there: what it is called, and the goal for the largest star.
SHOWN = {
    EVENT: ("an event, nothing to do", "< 2 s"),
    HOOK: ("ifupdown's hook after the watch has looked, nothing to do", ""),
    STATUS: ("`l2wg status`", ""),
    SITES: ("`l2wg sites`", ""),
}
WIRE = f"[Interface]\n{own_wire.MARK}\nPrivateKey = {{}}\nAddress = 198.18.0.1/32\nListenPort = 4900\n"
WIRES = """
set -e
ip -n A route add 100.64.0.0/16 via 203.0.113.20
ip -n B route add blackhole 100.64.0.0/16
ip -n A link add br0 type bridge
ip -n A link set br0 up
ip -n A link set enp3s0 up master br0
"""
# The most memory (MiB) that a command has together with all that it starts, by looks 20 ms apart. One that has just been forked has its
# parent's until it runs something else: to the page as much.
SAMPLER = """
import os, subprocess, sys, time
page = os.sysconf("SC_PAGE_SIZE") / 2**20
def of(pid, parent=-1):
    try:
        with open("/proc/%d/statm" % pid) as file: size = int(file.read().split()[1])
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file: more = sum(of(int(word), size) for word in file.read().split())
        return more + (size if size != parent else 0)
    except (OSError, ValueError, IndexError): return 0
command = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
most = 0
while command.poll() is None:
    most = max(most, of(command.pid))
    time.sleep(0.02)
print(most * page)
"""


def shape(count, mesh):
    return f"mesh of {count}, by the hub" if mesh else f"star of {count:,}"


class Hub:
    def __init__(self, pair, rounds, say):
        self.site, self.rounds, self.say = pair.a, rounds, say
        self.keys = pair.keys[0]
        self.memory, self.rows = {}, []

    def text(self, count, mesh):
        """The file: each site can be called, at an address of its own."""
        net = "shape=mesh encapsulation=vxlan hub=site0" if mesh else "shape=star hub=site0 isolated=yes"
        rows = [card.encode(nets.site(0, key=self.keys.public, endpoint="203.0.113.10:4900")) + "\n"]
        rows += [nets.line(number, endpoint="100.64.%d.%d:4900" % divmod(number, 250)) for number in range(1, count)]
        return f"net {net}\n" + "".join(rows)

    def timed(self, *argv):
        """Seconds that a command takes on the hub."""
        seconds, memory, code = self.site.run(["python3", "-c", TIMER, *argv], timeout=1800).stdout.split()
        self.say(f"{' '.join(argv)}: {float(seconds):.3f} s, {float(memory):.1f} MiB, exit code {code}")
        return float(seconds)

    def most(self, *argv):
        """MiB of memory that a command has, with all that it starts."""
        found = float(self.site.run(["python3", "-c", SAMPLER, *argv], timeout=1800).stdout)
        self.say(f"{' '.join(argv)}: {found:.1f} MiB, with all that it starts")
        return found

    def run(self, *argv):
        return self.site.run(argv, timeout=1800)

    def see(self, count, mesh):
        """That all of it is there: else a figure would be that of a failure."""
        ports = len(self.run("ls", "/sys/class/net/br0/brif").stdout.split()) - 1
        peers = len(self.run("l2wg", "exec", "wg", "show", "l2w0", "peers").stdout.split())
        if (ports, peers) != (1 if mesh else count - 1, count - 1):
            raise AssertionError(f"{shape(count, mesh)}: there are {ports} tunnels and {peers} peers")

    def work(self, nets):
        found = {argv: {net: [] for net in nets} for argv in (APPLY, *SHOWN)}
        memory = {argv: {net: [] for net in nets} for argv in (APPLY, EVENT)}
        self.site.write("/etc/wireguard/l2w0.conf", WIRE.format(self.keys.private), 0o600)
        for turn in range(self.rounds):
            for net in nets:
                self.run(*ALL_DOWN)
                self.site.write("/etc/l2wg/sites", self.text(*net))
                if not turn:
                    memory[APPLY][net].append(self.most(*APPLY))
                    memory[EVENT][net].append(self.most(*EVENT))
                    self.run(*ALL_DOWN)
                found[APPLY][net].append(self.timed(*APPLY))
                self.see(*net)
                self.run(*LOOKS)
                for argv in SHOWN:
                    found[argv][net].append(self.timed(*argv))
        self.run(*ALL_DOWN)
        first, *others = nets
        for argv, (what, goal) in {APPLY: ("`l2wg apply` from nothing, no site is there", "< 30 s"), **SHOWN}.items():
            for net in others:
                row = Row(f"{what}: {shape(*net)}", "s", found[argv][net], shape(*first), found[argv][first], goal if net[0] == STARS[-1] else "")
                self.rows.append(row)
        for argv, what in ((APPLY, "`l2wg apply` from nothing"), (EVENT, "an event, nothing to do")):
            for net in others:
                goal = "< 60 MiB" if net[0] == STARS[-1] else ""
                title = f"most memory at once, {what}, with all that it starts: {shape(*net)}"
                self.rows.append(Row(title, "MiB", memory[argv][net], shape(*first), memory[argv][first], goal))


def run(pair, rounds, say):
    """The Rows of all that is measured."""
    pair.vm.sh(WIRES)
    hub = Hub(pair, rounds, say)
    hub.work([(STARS[0], False), *((count, False) for count in STARS[1:]), (MESH, True)])
    say("; ".join(f"{row.title}: {statistics.median(row.figures):.2f} {row.unit}" for row in hub.rows))
    return hub.rows
