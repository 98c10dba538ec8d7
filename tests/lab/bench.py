"""What `wg-quick up` costs with and without us, and what a rehearsal does, on a lab machine; and what many tunnels do. Asserts nothing.

`start`: four in turn, round by round: the bare wg0.conf, one with our two lines, one with the hand-made recipe's; and `l2wg rehearse`
with ours. Prints ratios. `growth`: what hub.py measures, written into docs/bench.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import hub
import image
import topology
import vm as machines
import words
from hosts import NEEDS
from hub import growth_page
from sites import Pair

BY_HAND = (
    "PostUp = ip link add name gretap1 type gretap local 192.168.178.1 remote 192.168.92.1\n"
    "PostUp = ip link set gretap1 up\nPostUp = ip link set gretap1 master br0\nPostDown = ip link del gretap1\n"
)
OURS = "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"
WAYS = {"without": "", "with the hand-made recipe": BY_HAND, "with l2wg": OURS}
# The clock of the machine itself: the way there does not count.
TIMED = "start=$(date +%s%N); wg-quick up wg0 >/dev/null 2>&1; end=$(date +%s%N); echo $(((end - start) / 1000)); wg-quick down wg0 2>/dev/null"

# Of the reference case, while all of it is up: two starts of WireGuard and one of the whole network are in it.
REHEARSAL = """
wg-quick up wg0 2>/dev/null
start=$(date +%s%N); l2wg rehearse >/dev/null 2>&1 || exit; end=$(date +%s%N); echo $(((end - start) / 1000)); wg-quick down wg0 2>/dev/null
"""


def start(pair, rounds, how):
    pair.fresh()
    site = pair.a
    site.configure()
    plain = topology.wg_conf(topology.SITES["A"], *pair.keys)
    times = {way: [] for way in (*WAYS, "l2wg rehearse")}
    for turn in range(rounds + 1):
        for way, lines in WAYS.items():
            site.write("/etc/wireguard/wg0.conf", plain.replace("\n\n[Peer]", f"\n{lines}\n[Peer]", 1), 0o600)
            spent = int(site.sh(TIMED, timeout=120).stdout) / 1e6
            if turn:  # the first fills the caches
                times[way].append(spent)
        if turn:
            times["l2wg rehearse"].append(int(site.sh(REHEARSAL, timeout=900).stdout) / 1e6)
    base = statistics.median(times["without"])
    print(f"`wg-quick up wg0` in {how}, {rounds} interleaved rounds;")
    print("ratio of medians to the bare one [min .. max], median s")
    for way, found in times.items():
        middle = statistics.median(found)
        print(f"  {way:28s} {middle / base:5.2f}  [{min(found) / base:.2f} .. {max(found) / base:.2f}]  {middle:6.2f} s")


def growth(pair, rounds, how, docs):
    began = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    said = (
        f"{rounds} rounds (twice as many echoes, and one apply of {hub.MANY:,}) in {how}: seconds of a clock, and of a machine that is\n"
        "about ten times slower than a PC (tests/lab/hub.py). A hub whose far ends are not there: one wg0 with a peer for each tunnel, all tunnels ports of\n"
        "one bridge. An echo: the median of 300 pings between two hosts at that bridge; it meets the rules, and no tunnel."
    )
    title = "Many tunnels, on an emulated router"
    rows = hub.run(pair.fresh(), rounds, say)
    growth_page.write(docs, title, said, rows)
    print(growth_page.part(title, said, rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", default="bookworm", choices=image.SUITES)
    parser.add_argument("--deb", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--growth-rounds", type=int, default=5)
    parser.add_argument("--only", choices=("start", "growth"), help="one of the two")
    parser.add_argument("--docs", type=Path, default=hub.TOP / "docs/bench", help="where the page is written")
    options = parser.parse_args()
    image.need(NEEDS)
    with machines.machine(options.suite, cpus=2, memory=1536) as vm:
        vm.settle()
        vm.put(f"/root/{options.deb.name}", options.deb.read_bytes())
        vm.run(["dpkg", "-i", f"/root/{options.deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
        how = f"a {options.suite} machine (QEMU {machines.accelerator(image.disk(options.suite))[1]})"
        pair = Pair(vm)
        if options.only != "growth":
            start(pair, options.rounds, how)
        if options.only != "start":
            growth(pair, options.growth_rounds, how, options.docs)


if __name__ == "__main__":
    with words.of("bench"):
        main()
