"""What a thousand tunnels cost on this machine beside a hundred: planned, shown, their rules loaded and listed. Asserts nothing.

No emulation: routers are made up (tests/unit/many.py), and nft(8) works in a network namespace of its own. The package's commands run in
a throw-away root file system, where a bridge has so many VXLANs (the kernels of build machines have those, and no WireGuard). What needs
a whole router is in tests/lab/hub.py. Times are those of the CPU; every round does each thing once.
"""

import argparse
import ctypes
import gc
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP), *(str(TOP / "tests" / part) for part in ("unit", "bench", "deb", "lab"))]
import box
import growth_page
import many
from growth_page import Row
from l2wg_hooks.config import store
from l2wg_hooks.plan import planner
from l2wg_hooks.status import render_json, render_prometheus, render_text, status

TITLE = "A thousand tunnels, on this machine"
FEW, MANY = 100, 1000
NET = 0x40000000  # CLONE_NEWNET
# This machine's kernel may lack nft_meta_bridge: that one rule, and none that a tunnel has, is left out.
BRIDGES_NAME = re.compile(r"^\s*meta ibrname vmap \{[^}]*\}\n", re.M)
LISTS = [("nft", "-s", "list", "table", family, "l2wg") for family in ("inet", "bridge")]
PLAN_GOAL, GROWS = "< 80 ms", "ratio <= 12"


def spent(work) -> float:
    """Milliseconds of CPU, of this process and those that it has waited for."""
    gc.collect()

    def now():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    start = now()
    work()
    return (now() - start) * 1000


def rules(count) -> str:
    return BRIDGES_NAME.sub("", many.rules(many.wish("gretap", count)))


def load(text) -> None:
    """By a file, as l2wg does it: a pipe is read otherwise."""
    with tempfile.NamedTemporaryFile("w", suffix=".nft") as file:
        file.write(text)
        file.flush()
        subprocess.run(["nft", "-f", file.name], check=True)


def listed() -> None:
    for argv in LISTS:
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def works(count) -> dict:
    """{title: what is to be done}, in the order of a round: rules are listed as they were loaded before."""
    found = {}
    for kind in ("gretap", "vxlan"):
        tunnels = many.wish(kind, count)
        for state in (many.NOTHING, many.HALF, many.ALL):
            links, seen = many.router(tunnels, state)
            found[f"plan, {kind}, {state}"] = lambda tunnels=tunnels, links=links, seen=seen: planner.plan(tunnels, links, seen=seen)
    found["files are read"] = lambda files=many.texts(count): store.load(files)
    seen = many.looked(many.wish("gretap", count))
    known = status.build(seen)
    found["status: judged and drawn"] = lambda: render_text.render(status.build(seen))
    found["status as JSON, drawn"] = lambda: render_json.document(known)
    found["metrics, drawn"] = lambda: render_prometheus.render(known)
    found["rules are rendered"] = lambda: rules(count)
    text = rules(count)
    found["nft -f"] = lambda: load(text)
    found["nft list, both tables"] = listed
    return found


# Inside: milliseconds of CPU and MiB at most, of a command and all processes that it starts.
MEASURED = """
import os, sys
null = os.open("/dev/null", os.O_WRONLY)
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)])
_, _, usage = os.wait4(pid, 0)
print((usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024)
"""
# None that changes anything: without WireGuard, an event takes the tunnels away.
COMMANDS = ("l2wg status", "l2wg status --json", "l2wg metrics", "l2wg plan")
FILE = "underlay = wg0\nlocal = 10.1.0.0\nremote = 10.2.%d.%d\nbridge = br0\nencapsulation = vxlan\nkey = %d\n"
DEVICE = "link add {name} type vxlan id {number} local 10.1.0.0 remote 10.2.{high}.{low} dstport 4789\nlink set {name} alias l2wg master br0 up\n"


def router(count):
    """A Box with the package, and as many VXLANs as ports of br0."""
    deb = max((TOP / "out").glob("l2wg_*_all.deb"), key=lambda path: path.stat().st_mtime)
    here = box.Box(box.layer("bookworm"))
    here.put("root/l2wg.deb", "")
    (here.files / "root/l2wg.deb").write_bytes(deb.read_bytes())
    here.run("dpkg", "-i", "/root/l2wg.deb")
    batch = "link add br0 type bridge\nlink set br0 up\n"
    for number in range(count):
        high, low = divmod(number, 256)
        here.put(f"etc/l2wg/v{number:04}.conf", FILE % (high, low, number + 1))
        batch += DEVICE.format(name=f"v{number:04}", number=number + 1, high=high, low=low)
    here.run("ip", "-batch", "-", input=batch)
    return here


def commands(rounds):
    """{command: {count: (milliseconds, MiB) of each round}}"""
    found = {command: {FEW: [], MANY: []} for command in COMMANDS}
    routers = {}
    try:
        for count in (FEW, MANY):
            routers[count] = router(count)
        for turn in range(rounds + 1):
            for command in COMMANDS:
                for count, here in routers.items():
                    words = here.run("python3", "-c", MEASURED, *command.split()).stdout.split()
                    if turn:  # the first fills the caches
                        found[command][count].append(tuple(map(float, words)))
    finally:
        for here in routers.values():
            here.close()
    return found


def of_commands(found):
    """The Rows of what `commands` has found."""
    goals = {"l2wg status": "< 300 ms"}
    for command, counts in found.items():
        milliseconds = [[pair[0] for pair in counts[count]] for count in (MANY, FEW)]
        yield Row(f"`{command}`", "ms", milliseconds[0], f"{FEW} tunnels", milliseconds[1], goals.get(command, ""))
    for command, counts in found.items():
        mebibytes = [[pair[1] for pair in counts[count]] for count in (MANY, FEW)]
        yield Row(f"`{command}`, most memory of a process", "MiB", mebibytes[0], f"{FEW} tunnels", mebibytes[1], "< 40 MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--docs", type=Path, default=TOP / "docs/bench", help="where the page is written")
    options = parser.parse_args()
    many.Name = str  # which counts how often it is compared: not here
    if ctypes.CDLL(None, use_errno=True).unshare(NET) != 0:
        raise SystemExit("growth.py: a network namespace needs root")
    jobs = {count: works(count) for count in (FEW, MANY)}
    figures = {(count, title): [] for count, works_of in jobs.items() for title in works_of}
    for turn in range(options.rounds + 1):
        for title in jobs[FEW]:
            for count in jobs:
                if title == "nft list, both tables":
                    load(rules(count))
                cost = spent(jobs[count][title])
                if turn:  # the first fills the caches
                    figures[count, title].append(cost)
    goals = {"plan": f"{PLAN_GOAL}; {GROWS}", "nft": "< 500 ms, emulated"}
    rows = [Row(title, "ms", figures[MANY, title], f"{FEW} tunnels", figures[FEW, title], goals.get(title.split()[0].strip(","), "")) for title in jobs[FEW]]
    rows += of_commands(commands(options.rounds))
    python, nft = sys.version.split()[0], subprocess.run(["nft", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    said = (
        f"{options.rounds} rounds, each of {MANY:,} tunnels beside {FEW}, into one bridge: milliseconds of CPU, which change less than a clock's where the\n"
        f"machine does other things, too (tests/bench/growth.py; not emulated; Python {python}, nft {nft}). The routers are made up, as for the unit\n"
        "tests; the rules are in the kernel, in a network namespace. Commands, in backquotes, are the package's, whole, with all that they start, in a\n"
        "root file system of bookworm: VXLANs of the kernel are ports of a bridge; there is no WireGuard, and of each tunnel that is what is said, and planned for."
    )
    growth_page.write(options.docs, TITLE, said, rows)
    print(growth_page.part(TITLE, said, rows))


if __name__ == "__main__":
    main()
