"""What the datapath carries, on a lab machine: l2wg beside plain WireGuard, the hand-made recipe and OpenVPN. Asserts nothing.

All four machines are one: hosts and routers are network namespaces of it. QEMU counts its instructions (-icount): one is a
nanosecond of its clock, and its only CPU idles in no time. So where the CPU is the limit, a second is 10^9 instructions that all
four have spent together, however busy the machine below is; and where the link is, it is a second of the shaped link.

      device -- enp3s0  A  enp1s0 ------ enp1s0  B  enp2s0 -- hostB
      hostA --- enp2s0

The ways take turns, round by round. A ratio is to plain WireGuard's of the same round: routed, hostA to hostB.
"""

import argparse
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent))
import chart
import image
import topology
import vm as machines
import words
from hosts import NEEDS, eventually
from sites import Namespace, Pair

TOP = Path(__file__).resolve().parents[2]
PACKAGES = (*image.ROUTER_PACKAGES, "openvpn", "openssl", "iperf3", "ethtool")
TARGET4, TARGET6 = "192.168.92.10", "fd00:92::10"
CPU, LINK = "the CPU", "the link"
# What a TCP connection carries: about half a second of the CPU, and 0.8 s of the link.
CPU_MB, LINK_MB = 16, 8
# Payload of UDP in a frame of 1500, and in a small one.
FULL, SMALL = 1472, 64
# Bit/s of goodput that all ways but OpenVPN carry with the CPU to spare, and datagrams a second.
UDP_RATE, SMALL_RATE = 50e6, 5000
# For so long they are sent.
UDP_SECONDS = 0.6
# Parallel connections of TCP, beside the one.
CONNECTIONS = (4, 16)

MACHINE = """
set -e
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
# One CPU plays four machines. Whether a worker of WireGuard that is woken, for one packet, takes it from the sender at once is
# chance, and cost up to half of the goodput; on routers with CPUs of their own it does not.
for features in /sys/kernel/debug/sched/features /sys/kernel/debug/sched_features; do
    if [ -e $features ]; then echo NO_WAKEUP_PREEMPTION >$features; fi
done
for site in A B; do ip netns exec $site sysctl -qw net.ipv6.conf.all.forwarding=1; done
ip -n A address add fd00:178::1/64 dev enp2s0 nodad
ip -n B address add fd00:92::1/64 dev br0 nodad
ip -n hostA address add fd00:178::10/64 dev eth0 nodad
ip -n hostA route add default via fd00:178::1
ip -n device address add fd00:92::50/64 dev eth0 nodad
ip -n hostB address add fd00:92::10/64 dev eth0 nodad
ip -n hostB route add default via fd00:92::1
# What comes over a wire are frames of 1500 with their checksums in them, not 64 kB at once as between two ends of a veth.
for host in hostA device hostB; do
    ip netns exec $host ethtool -K eth0 tso off tx off >/dev/null
    ip netns exec $host sysctl -qw net.ipv4.tcp_no_metrics_save=1
done
# A network card's driver works by NAPI and GRO.
for port in "A enp1s0" "A enp2s0" "A enp3s0" "B enp1s0" "B enp2s0"; do set -- $port; ip netns exec $1 ethtool -K $2 gro on; done
ip netns exec hostB iperf3 -s -D
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=bench \
    -keyout /root/key -out /root/crt 2>/dev/null
"""
# The time, how much of it was idle, and datagrams that have arrived.
SAMPLE = (
    "awk '/^now at/ {now = $3} /idle_sleeptime/ {idle = $3} /^Udp: [0-9]/ {got = $2} END {printf \"%.0f %.0f %d\\n\", now, idle, got}' /proc/timer_list /proc/net/snmp"
)
UDP = f"iperf3 -c $1 -u -l $2 -b $3 -n $4 >/dev/null & sleep 0.2; {SAMPLE}; sleep 0.3; {SAMPLE}; wait"
SHAPE = "tc qdisc replace dev enp1s0 root tbf rate {rate:.0f} burst 16k latency 50ms"
HAND_MADE = """
set -e
modprobe br_netfilter
ip link add gretap1 type gretap local {local} remote {remote}
ip link set gretap1 up
ip link set gretap1 master br0
iptables -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
"""
OPENVPN = """
set -e
openvpn --daemon --writepid /run/openvpn.pid --dev tap0 --dev-type tap --proto udp --local {local} --remote {remote} --port 1194 \
    --{role} --dh none --ca /root/crt --cert /root/crt --key /root/key --data-ciphers AES-256-GCM --cipher AES-256-GCM \
    --keepalive 10 60 --log /var/log/openvpn.log
i=0
until ip link set tap0 master br0 2>/dev/null; do sleep 0.1; i=$((i + 1)); [ $i -lt 100 ]; done
ip link set tap0 up
"""
# The ends of a tunnel over a wire of l2wg's own, and its file.
INNER = {"A": "198.18.0.1", "B": "198.18.0.2"}
OWN = """\
[Interface]
PrivateKey = {private}
ListenPort = 4901
Address = {own}/32

[Peer]
PublicKey = {public}
AllowedIPs = {other}/32
Endpoint = {wan}:4901
PersistentKeepalive = 1
"""
# What wg0 takes of merged packets that are encapsulated.
OFFLOADS = "ethtool -k wg0 | grep -E 'tx-gre-segmentation|tx-udp_tnl-segmentation'"
VERSIONS = "uname -r; openvpn --version | awk 'NR == 1 {print $2}'; iperf3 --version | awk 'NR == 1 {print $2}'"


def both(pair: Pair, script: str) -> None:
    """For A and B, with the words of each filled in."""
    for site, other in ((pair.a, pair.b), (pair.b, pair.a)):
        answers = topology.ANSWERS[site.name]
        site.sh(script.format(local=answers["local"], remote=answers["remote"]), timeout=600)


def l2wg(*words: str, own=False):
    """The package, with these keys set: over wg0, or over a WireGuard interface of l2wg's own, with the same keys."""
    files = {}

    def up(pair: Pair) -> None:
        for site in pair.sites:
            if site.name not in files:  # a start of Python costs as much as one of the transfers
                other = "B" if site.name == "A" else "A"
                answers = topology.ANSWERS[site.name]
                ends = [f"local={INNER[site.name]}", f"remote={INNER[other]}", "wire=own", "underlay=l2w0"]
                if own:
                    mine, peers = pair.keys if site.name == "A" else pair.keys[::-1]
                    words_of = dict(private=mine.private, public=peers.public, own=INNER[site.name], other=INNER[other], wan=topology.WAN[other])
                    site.write("/etc/wireguard/l2w0.conf", OWN.format(**words_of), 0o600)
                else:
                    ends = [f"local={answers['local']}", f"remote={answers['remote']}", "wire=shared", "underlay=wg0"]
                site.l2wg("set", "gretap1", *ends, *words)
                files[site.name] = site.read("/etc/l2wg/gretap1.conf")
            site.write("/etc/l2wg/gretap1.conf", files[site.name])
            site.l2wg("apply")

    return up


def l2wg_down(pair: Pair) -> None:
    """All of it goes: what is measured next shall not pay for our rules."""
    for site in pair.sites:
        site.l2wg("down", "--all")


def hand_made(pair: Pair) -> None:
    both(pair, HAND_MADE)


def hand_made_down(pair: Pair) -> None:
    # The empty chain of its table would still be asked of each packet.
    both(pair, "ip link del gretap1; iptables -F FORWARD; nft delete table ip filter")
    pair.vm.sh("rmmod br_netfilter")  # modprobe -r would take the bridges with it


def openvpn(pair: Pair) -> None:
    for site, other, role in ((pair.a, pair.b, "tls-server"), (pair.b, pair.a, "tls-client")):
        for name in ("crt", "key"):
            site.write(f"/root/{name}", pair.vm.get(f"/root/{name}").decode())
        site.sh(OPENVPN.format(local=topology.WAN[site.name], remote=topology.WAN[other.name], role=role), timeout=600)


def openvpn_down(pair: Pair) -> None:
    both(pair, "pid=$(cat /run/openvpn.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done")


@dataclass(frozen=True)
class Way:
    title: str
    up: Callable = lambda pair: None
    down: Callable = lambda pair: None
    bridged: bool = True
    # What an event of l2wg is measured with.
    events: bool = False


# Their titles with an own wire beside those with a shared one; and those that the goal is about.
WIRES = (("l2wg gretap, own wire", "l2wg gretap"), ("l2wg vxlan, own wire", "l2wg vxlan"))
GOALS = tuple((way, other) for other in ("hand-made gretap", "OpenVPN TAP, AES-256-GCM") for way in ("l2wg gretap", "l2wg gretap, own wire"))
WAYS = (
    Way("WireGuard, routed", bridged=False),
    Way("hand-made gretap", hand_made, hand_made_down),
    Way("l2wg gretap", l2wg("encapsulation=gretap", "mss-clamp=nftables"), l2wg_down, events=True),
    Way("l2wg gretap, own wire", l2wg("encapsulation=gretap", "mss-clamp=nftables", own=True), l2wg_down, events=True),
    Way("l2wg gretap, no clamp", l2wg("encapsulation=gretap", "mss-clamp=off"), l2wg_down),
    Way("l2wg vxlan", l2wg("encapsulation=vxlan", "mss-clamp=nftables"), l2wg_down, events=True),
    Way("l2wg vxlan, own wire", l2wg("encapsulation=vxlan", "mss-clamp=nftables", own=True), l2wg_down, events=True),
    Way("OpenVPN TAP, AES-256-GCM", openvpn, openvpn_down),
)


# What is measured: each gives a figure, 0 where nothing arrives


def tcp(host: Namespace, target: str, megabytes: int, connections=1) -> float:
    """Mbit/s that the receiver got, by all connections together."""
    words = ["iperf3", "-c", target, "-n", f"{megabytes}M", "-P", connections, "-J"]
    result = host.run(["timeout", "20", *words], check=False, timeout=900)
    if result.rc == 124:
        return 0.0
    return json.loads(result.check().stdout)["end"]["sum_received"]["bits_per_second"] / 1e6


def udp(host: Namespace, host_b: Namespace, size: int, rate: float, limit: str) -> float:
    """Datagrams that arrived in a second, or in one second's worth of instructions, of `rate` bit/s that were sent."""
    # The counters are hostB's, the sender is not in its namespace.
    sender = f"nsenter --net=/run/netns/{host.name} "
    words = ["sh", "-c", sender + UDP, "sh", TARGET4, size, f"{rate:.0f}", f"{rate / 8 * UDP_SECONDS:.0f}"]
    found = host_b.run(words, timeout=900).stdout.split()
    now, idle, got = (int(after) - int(before) for before, after in zip(found[:3], found[3:]))
    return got / ((now - idle if limit == CPU else now) / 1e9)


def full(host: Namespace, host_b: Namespace, rate: float, limit: str) -> float:
    """Mbit/s, in frames as large as there are."""
    return udp(host, host_b, FULL, rate, limit) * FULL * 8 / 1e6


def round_trip(host: Namespace) -> float:
    out = host.run(["ping", "-n", "-c", 100, "-i", "0.01", TARGET4], timeout=900).stdout
    return statistics.median(float(found) for found in re.findall(r"time=([\d.]+)", out))


# What happened, and an event that is told of it: as ifupdown's hook does when the bridge has come up, where nothing is to be
# done; and where the tunnel is not there, or nothing of l2wg's is.
EVENTS = {"nothing to do": ":", "the tunnel is gone": "ip link delete gretap1", "all of it is gone": "l2wg down --all 2>/dev/null"}
# The time without what was idle, and how many processes and threads were started.
SPENT = "awk '/^now at/ {now = $3} /idle_sleeptime/ {idle = $3} /^processes/ {started = $2} END {printf \"%.0f %d\\n\", now - idle, started}' /proc/timer_list /proc/stat"
# Three times, for the first one may find what nobody has in memory: the least counts.
EVENT = "for turn in 1 2 3; do %s; %s; l2wg event up br0 2>/dev/null; %s; done"


def events(site) -> list:
    """[(milliseconds' worth of instructions, processes and threads started)] of EVENTS, in their order."""
    found = []
    for script in EVENTS.values():
        rows = [[int(word) for word in line.split()] for line in site.sh(EVENT % (script, SPENT, SPENT), timeout=900).stdout.splitlines()]
        # Without the process that counts.
        found.append(min(((after[0] - before[0]) / 1e6, after[1] - before[1] - 1) for before, after in zip(rows[::2], rows[1::2])))
    return found


@dataclass(frozen=True)
class Measure:
    title: str
    limit: str
    unit: str
    take: Callable  # (host, host_b, rate of the shaped link)
    # In the table of what many senders, or small packets, cost.
    crowd: bool = False


def parallel(connections: int) -> Measure:
    return Measure(f"{connections} connections", CPU, "Mbit/s", lambda host, host_b, rate: tcp(host, TARGET4, CPU_MB, connections), True)


MEASURES = (
    Measure("TCP over IPv4", CPU, "Mbit/s", lambda host, host_b, rate: tcp(host, TARGET4, CPU_MB)),
    Measure("TCP over IPv6", CPU, "Mbit/s", lambda host, host_b, rate: tcp(host, TARGET6, CPU_MB)),
    Measure("UDP, full frames", CPU, "Mbit/s", lambda host, host_b, rate: full(host, host_b, UDP_RATE, CPU)),
    Measure("round trip", CPU, "ms", lambda host, host_b, rate: round_trip(host)),
    *map(parallel, CONNECTIONS),
    Measure("UDP of 64 bytes", CPU, "packets/s", lambda host, host_b, rate: udp(host, host_b, SMALL, SMALL_RATE * SMALL * 8, CPU), True),
    Measure("TCP over IPv4", LINK, "Mbit/s", lambda host, host_b, rate: tcp(host, TARGET4, LINK_MB)),
    Measure("TCP over IPv6", LINK, "Mbit/s", lambda host, host_b, rate: tcp(host, TARGET6, LINK_MB)),
    Measure("UDP, full frames", LINK, "Mbit/s", lambda host, host_b, rate: full(host, host_b, rate, LINK)),
    Measure("round trip", LINK, "ms", lambda host, host_b, rate: round_trip(host)),
)


# Whoever has once made a policy rule has the kernel look into two tables for each route, as long as that network namespace lives
# (fib_unmerge), and into the list of rules. VXLAN over a shared wire makes one: made before the first round, all rounds are alike.
POLICY_RULE = "ip rule add from 203.0.113.77 table 100; ip rule del from 203.0.113.77 table 100"
# Plain WireGuard before and after, so many times.
TURNS = 5
LEFT = tuple(measure for measure in MEASURES if measure.limit == CPU and measure.title in ("TCP over IPv4", "UDP, full frames", "round trip", "UDP of 64 bytes"))


def left_behind(pair: Pair, rate: float) -> dict:
    """{measure: (figures before a policy rule was made, figures when it is gone)} of plain WireGuard."""
    found = {measure: ([], []) for measure in LEFT}
    for state in range(2):
        for _ in range(TURNS):
            for measure in LEFT:
                found[measure][state].append(measure.take(pair.host_a, pair.host_b, rate))
        if state == 0:
            both(pair, POLICY_RULE)
    return found


def wire_up(vm: machines.VM, deb: Path) -> Pair:
    vm.put(f"/root/{deb.name}", deb.read_bytes())
    vm.run(["dpkg", "-i", f"/root/{deb.name}"], timeout=900, env={"DEBIAN_FRONTEND": "noninteractive"})
    pair = Pair(vm).fresh()
    for site, lan in ((pair.a, "fd00:92::/64"), (pair.b, "fd00:178::/64")):
        conf = site.read("/etc/wireguard/wg0.conf")
        site.write("/etc/wireguard/wg0.conf", re.sub(r"^(AllowedIPs = .*)", rf"\1,{lan}", conf, flags=re.M), 0o600)
    pair.wireguard()
    pair.configure()  # site A has its bridge from now on
    l2wg_down(pair)
    vm.sh(MACHINE, timeout=600)
    return pair


def run(pair: Pair, rounds: int, ways, say):
    """After each round, ({(measure, way): figures, one a round}, {way: of `events`, one a round}, of `left_behind`, bit/s of the shaped link)."""
    tcp(pair.host_a, TARGET4, CPU_MB)  # the first fills the caches
    rate = tcp(pair.host_a, TARGET4, CPU_MB) * 1e6 / 3
    say(f"the link is shaped to {rate / 1e6:.0f} Mbit/s")
    left = left_behind(pair, rate)
    for measure, states in left.items():
        say(f"{measure.title}, before a policy rule: %s; when it is gone: %s" % tuple(" ".join(f"{figure:.4g}" for figure in state) for state in states))
    figures = {(measure, way): [] for measure in MEASURES for way in ways}
    spent = {way: [] for way in ways if way.events}
    for turn in range(1, rounds + 1):
        for way in ways:
            host = pair.device if way.bridged else pair.host_a
            way.up(pair)
            for router in (host, pair.host_b):  # what the last way's routers told of packets that are too large
                router.sh("ip route flush cache; ip -6 route flush cache")
            eventually(lambda: host.ping(TARGET4) == 1, 120)
            limit = CPU
            for measure in MEASURES:
                if measure.limit != limit:
                    limit = measure.limit
                    both(pair, SHAPE.format(rate=rate))
                figures[measure, way].append(measure.take(host, pair.host_b, rate))
            both(pair, "tc qdisc del dev enp1s0 root")
            if way.events:
                spent[way].append(events(pair.a))
            way.down(pair)
            say(f"{turn}: {way.title}: " + ", ".join(f"{figures[measure, way][-1]:.4g}" for measure in MEASURES))
            if way.events:
                say(f"{turn}: {way.title}: " + ", ".join("%.4g ms of %d processes" % event for event in spent[way][-1]))
        yield figures, spent, left, rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="bookworm", choices=image.SUITES)
    parser.add_argument("--deb", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a regular expression of ways, to be had beside the first one")
    parser.add_argument("--docs", type=Path, default=TOP / "docs/bench", help="where the table and the plot are written")
    options = parser.parse_args()
    machines.stop_on_sigterm()
    image.need(NEEDS)
    ways = [way for way in WAYS if way is WAYS[0] or re.search(options.only, way.title)]
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:4.0f} s] {text}", file=sys.stderr, flush=True)

    with machines.machine(options.suite, packages=PACKAGES, memory=1536, icount=True) as vm:
        vm.settle(600)
        with machines.offered(vm, "bench"):
            pair = wire_up(vm, options.deb)
            say("wired up")
            versions = vm.sh(VERSIONS).stdout.split()
            offloads = ", ".join(line.strip() for line in pair.a.sh(OFFLOADS).stdout.splitlines())
            for turn, (figures, spent, left, rate) in enumerate(run(pair, options.rounds, ways, say), 1):
                facts = dict(zip(("kernel", "openvpn", "iperf3"), versions), suite=options.suite, rounds=turn)
                facts.update(rate=rate / 1e6, udp=UDP_RATE / 1e6, cpu_mb=CPU_MB, link_mb=LINK_MB, small=SMALL_RATE, turns=TURNS, offloads=offloads)
                chart.write(options.docs, chart.Found(figures, spent, tuple(EVENTS), WIRES, GOALS, left), MEASURES, ways, facts)
    print((options.docs / "README.md").read_text())


if __name__ == "__main__":
    with words.of("datapath"):
        main()
