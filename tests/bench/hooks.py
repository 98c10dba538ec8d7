"""What a hook costs on this machine: real dpkg, ifupdown's own call, no emulation. Writes docs/bench/events.md, asserts nothing.

The package is installed in a throw-away root file system. Every round runs each command once, so that a machine that
slows down slows all of them. `--print` writes no file; another package than the newest of out/ may be named.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/deb"), str(TOP / "tests/lab")]
import box  # found by the path above
import right

ROUNDS = 100
PAGE = TOP / "docs/bench/events.md"
# Runs inside. The events change nothing.
INSIDE = """
import json, os, resource, subprocess, time
commands = %r
times = {name: [] for name in commands}
spent = {name: [] for name in commands}
for turn in range(%d + 1):
    for name, (argv, more) in commands.items():
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, env=dict(os.environ, **more), check=True, stderr=subprocess.DEVNULL)
        if turn:  # the first fills the caches
            times[name].append(time.perf_counter() - start)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[name].append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
print(json.dumps([times, spent]))
"""
EMPTY = "an empty sh hook"


def up(interface):
    """ifup's environment for its hooks."""
    return {"IFACE": interface, "MODE": "start", "PHASE": "post-up", "ADDRFAM": "inet", "METHOD": "manual", "LOGICAL": interface}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("deb", nargs="?", type=Path)
    options = parser.parse_args()
    deb = options.deb or max((TOP / "out").glob("l2wg_*_all.deb"), key=lambda path: path.stat().st_mtime)
    here = box.Box(box.layer("bookworm"))
    try:
        here.put(f"root/{deb.name}", "")
        (here.files / "root" / deb.name).write_bytes(deb.read_bytes())
        here.run("dpkg", "-i", f"/root/{deb.name}")
        right.make(here)
        here.run("mkdir", "-p", "/run/systemd/system")
        here.put("root/empty", "#!/bin/sh\nexit 0\n", 0o755)
        # The first leaves a record. There is nothing to do, as on a router where all is right.
        here.put("root/look", "#!/bin/sh\n[ -s /run/l2wg.look ] || /usr/lib/l2wg/look\nexec /usr/lib/l2wg/look\n", 0o755)
        hook = ["/etc/network/if-up.d/l2wg"]
        commands = {
            EMPTY: (["/root/empty"], up("enp2s0")),
            "our hook, foreign interface": (hook, up("enp2s0")),
            "udev's hook, foreign interface": (["/usr/lib/l2wg/device"], {"INTERFACE": "veth1", "ACTION": "add", "IFINDEX": "9"}),
            "a look of the watch, nothing differs": (["/root/look"], {}),
            "our hook, our interface, nothing differs": (hook, up("br0")),
            "l2wg up wg0, nothing to do": (["/usr/bin/l2wg", "up", "wg0"], {}),
            "l2wg event watch timer, nothing to do": (["/usr/bin/l2wg", "event", "watch", "timer"], {}),
            "l2wg status": (["sh", "-c", "l2wg status >/dev/null || :"], {}),
            "l2wg metrics": (["sh", "-c", "l2wg metrics >/dev/null"], {}),
            "python3 -I -S -c pass": (["/usr/bin/python3", "-I", "-S", "-c", "pass"], {}),
            "ip -json -details address show": (["sh", "-c", "ip -json -details address show >/dev/null"], {}),
        }
        times, spent = json.loads(here.run("python3", "-", input=INSIDE % (commands, options.rounds)).stdout)
    finally:
        here.close()
    text = page(times, spent, options.rounds)
    print(text)
    if not options.print:
        PAGE.write_text(text)


def page(times, spent, rounds):
    """The whole file. A ratio is the median of the rounds' own ratios."""
    rows = "".join(f"| {name} | {ratio(spent, name)} | {ratio(times, name)} | {median(spent, name)} | {median(times, name)} |\n" for name in times)
    return PAGE_TEXT.format(rounds=rounds, rows=rows, load=os.getloadavg()[1], cores=os.cpu_count())


def ratio(found, name):
    """To the empty hook of the same round, with the quartiles."""
    low, middle, high = statistics.quantiles([own / base for own, base in zip(found[name], found[EMPTY])], n=4)
    return f"**{middle:.2f}** [{low:.2f} .. {high:.2f}]"


def median(found, name):
    return f"{statistics.median(found[name]) * 1000:.2f} ms"


PAGE_TEXT = """# What events cost

Written by `make bench` (`tests/bench/hooks.py`), not by hand: {rounds} rounds, in each of which the commands took turns, on the machine that
builds, without emulation. A ratio is the median of the rounds' ratios to a hook that is empty, in the same round, then [quartiles].
CPU is that of all processes together. The machine has {cores} cores, and its load was {load:.1f}: the less, the less are milliseconds.

|  | CPU, ratio | time, ratio | CPU | time |
| --- | --- | --- | --- | --- |
{rows}
All is right on this router, so nothing is to be done. Its kernel has neither WireGuard nor GRE: ip(8) and nft(8) are run, and then what they
print is taken from the lab, which costs a sh and a cat more each time (`tests/bench/right.py`).
"""


if __name__ == "__main__":
    main()
