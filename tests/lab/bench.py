"""What one tunnel and many cost on a lab machine. Writes its parts of docs/bench/growth.md, asserts nothing.

`one`: `wg-quick up` with the bare wg0.conf, with the hand-made recipe's lines and with ours, in turn, round by round; and `l2wg rehearse`
with ours. `many`: what hub.py measures. `sites`: what hub_of_sites.py does.
"""

import argparse
import sys
import textwrap
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "bench")]
import growth_page
import hub
import hub_of_sites
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
BARE = "the bare wg0.conf"
WAYS = {BARE: "", "the hand-made recipe's lines": BY_HAND, "our lines": hub.OURS}
REHEARSE = "l2wg rehearse"
# The clock of the machine itself: the way there does not count.
TIMED = "start=$(date +%s%N); wg-quick up wg0 >/dev/null 2>&1; end=$(date +%s%N); echo $(((end - start) / 1000)); wg-quick down wg0 2>/dev/null"

# Of the reference case, while all of it is up: two starts of WireGuard and one of the whole network are in it.
REHEARSAL = """
wg-quick up wg0 2>/dev/null
start=$(date +%s%N); l2wg rehearse >/dev/null 2>&1 || exit; end=$(date +%s%N); echo $(((end - start) / 1000)); wg-quick down wg0 2>/dev/null
"""

# Of both parts: how, and where from.
SLOW = "seconds by its clock. It is about ten times slower than a PC, and shares two cores with whatever else the machine below does"
ONE = """{rounds} rounds in {how}, {slow} (tests/lab/bench.py). The reference case of README.md with one tunnel, and nobody at its far end.
The hand-made recipe: three PostUp lines that make a gretap1, a port of br0. A rehearsal plays two starts of WireGuard and one of the whole network."""
MANY = """{rounds} rounds, twice as many of echoes and rules, in {how}, {slow} (tests/lab/hub.py). One router whose far ends are not
there: one wg0 with a peer for each tunnel, all tunnels ports of one bridge. An echo, the median of {pings} pings between two hosts at that bridge,
meets the rules of so many tunnels, and no tunnel; so do `nft -f` and `nft list`. What has no spread was measured once."""

NET = """{rounds} rounds in {how}, {slow} (tests/lab/hub_of_sites.py). The hub of a net of /etc/l2wg/sites, whose sites are not
there: one WireGuard interface of l2wg's own with a peer for each, and for each site of a star, which is isolated, a tunnel; in a mesh, one for
all. Memory is what l2wg and all that it starts have at one moment, by looks 20 ms apart, once."""


def one(pair, rounds):
    """The Rows of the reference case."""
    site = pair.a
    site.configure()
    plain = topology.wg_conf(topology.SITES["A"], *pair.keys)
    times = {way: [] for way in (*WAYS, REHEARSE)}
    for turn in range(rounds + 1):
        for way, lines in WAYS.items():
            site.write("/etc/wireguard/wg0.conf", plain.replace("\n\n[Peer]", f"\n{lines}\n[Peer]", 1), 0o600)
            spent = int(site.sh(TIMED, timeout=120).stdout) / 1e6
            if turn:  # the first fills the caches
                times[way].append(spent)
        if turn:
            times[REHEARSE].append(int(site.sh(REHEARSAL, timeout=900).stdout) / 1e6)
    bare = times.pop(BARE)
    goals = {"our lines": "ratio <= 1.3"}
    for way, found in times.items():
        what = f"`{way}`" if way == REHEARSE else f"`wg-quick up wg0` with {way}"
        yield growth_page.Row(what, "s", found, BARE, bare, goals.get(way, ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", default="bookworm", choices=image.SUITES)
    parser.add_argument("--deb", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=9, help="of `one`")
    parser.add_argument("--growth-rounds", type=int, default=5, help="of `many`")
    parser.add_argument("--only", choices=("one", "many", "sites"))
    parser.add_argument("--docs", type=Path, default=hub.TOP / "docs/bench", help="where the page is written")
    options = parser.parse_args()
    machines.stop_on_sigterm()
    image.need(NEEDS)
    began = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    with machines.machine(options.suite, cpus=2, memory=1536) as vm:
        vm.settle()
        vm.put(f"/root/{options.deb.name}", options.deb.read_bytes())
        vm.run(["dpkg", "-i", f"/root/{options.deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
        how = f"a {options.suite} machine (QEMU {machines.accelerator(image.disk(options.suite))[1]})"
        if options.only in (None, "one"):
            measure_one(Pair(vm).fresh(), options.rounds, how, options.docs)
        if options.only in (None, "many"):
            measure_many(Pair(vm).fresh(), options.growth_rounds, how, options.docs, say)
        if options.only in (None, "sites"):
            measure_sites(Pair(vm).fresh(), options.growth_rounds, how, options.docs, say)


def measure_one(pair, rounds, how, docs):
    title, said = "One tunnel, on an emulated router", wrapped(ONE, rounds=rounds, how=how)
    rows = list(one(pair, rounds))
    growth_page.write(docs, title, said, rows)
    print(growth_page.part(title, said, rows))


def measure_many(pair, rounds, how, docs, say):
    title, said = "Many tunnels, on an emulated router", wrapped(MANY, rounds=rounds, how=how, pings=hub.PINGS)
    for rows in hub.run(pair, rounds, say):
        growth_page.write(docs, title, said, rows)
    print(growth_page.part(title, said, rows))


def measure_sites(pair, rounds, how, docs, say):
    title, said = "A net of many sites, at its hub, on an emulated router", wrapped(NET, rounds=rounds, how=how)
    rows = hub_of_sites.run(pair, rounds, say)
    growth_page.write(docs, title, said, rows)
    print(growth_page.part(title, said, rows))


def wrapped(text, **fields):
    return textwrap.fill(text.format(slow=SLOW, **fields), 140, break_on_hyphens=False)


if __name__ == "__main__":
    with words.of("bench"):
        main()
