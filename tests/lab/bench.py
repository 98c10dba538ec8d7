"""What `wg-quick up` costs with and without us, and what a rehearsal does, on a lab machine. Prints ratios, asserts nothing.

Four in turn, round by round: the bare wg0.conf, one with our two lines, one with the hand-made recipe's; and `l2wg rehearse` with ours.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import image
import topology
import vm as machines
import words
from hosts import NEEDS
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", default="bookworm", choices=image.SUITES)
    parser.add_argument("--deb", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    image.need(NEEDS)
    with machines.machine(options.suite, cpus=2, memory=1536) as vm:
        vm.settle()
        vm.put(f"/root/{options.deb.name}", options.deb.read_bytes())
        vm.run(["dpkg", "-i", f"/root/{options.deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
        pair = Pair(vm).fresh()
        site = pair.a
        site.configure()
        plain = topology.wg_conf(topology.SITES["A"], *pair.keys)
        times = {way: [] for way in (*WAYS, "l2wg rehearse")}
        for turn in range(options.rounds + 1):
            for way, lines in WAYS.items():
                site.write("/etc/wireguard/wg0.conf", plain.replace("\n\n[Peer]", f"\n{lines}\n[Peer]", 1), 0o600)
                spent = int(site.sh(TIMED, timeout=120).stdout) / 1e6
                if turn:  # the first fills the caches
                    times[way].append(spent)
            if turn:
                times["l2wg rehearse"].append(int(site.sh(REHEARSAL, timeout=900).stdout) / 1e6)
    how = machines.accelerator(image.disk(options.suite))[1]
    base = statistics.median(times["without"])
    print(f"`wg-quick up wg0` in a {options.suite} machine (QEMU {how}), {options.rounds} interleaved rounds;")
    print("ratio of medians to the bare one [min .. max], median s")
    for way, found in times.items():
        middle = statistics.median(found)
        print(f"  {way:28s} {middle / base:5.2f}  [{min(found) / base:.2f} .. {max(found) / base:.2f}]  {middle:6.2f} s")


if __name__ == "__main__":
    with words.of("bench"):
        main()
