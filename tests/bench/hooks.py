"""What a hook costs on this machine: real dpkg, ifupdown's own call, no emulation. Prints ratios, asserts nothing.

The package is installed in a throw-away root file system. Every round runs each command once, so that a machine that
slows down slows all of them.
"""

import json
import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/deb"), str(TOP / "tests/lab")]
import box  # found by the path above

ROUNDS = 100
CONF = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\nbridge-address =\n"
# Runs inside. The events change nothing: there is no wg0 here.
INSIDE = """
import json, os, resource, subprocess, time
commands = %r
times = {name: [] for name in commands}
spent = dict.fromkeys(commands, 0)
for turn in range(%d + 1):
    for name, (argv, more) in commands.items():
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, env=dict(os.environ, **more), check=True, stderr=subprocess.DEVNULL)
        if turn:  # the first fills the caches
            times[name].append(time.perf_counter() - start)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[name] += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
print(json.dumps([times, spent]))
"""


def up(interface):
    """ifup's environment for its hooks."""
    return {"IFACE": interface, "MODE": "start", "PHASE": "post-up", "ADDRFAM": "inet", "METHOD": "manual", "LOGICAL": interface}


def main():
    deb = max((TOP / "out").glob("l2wg_*_all.deb"), key=lambda path: path.stat().st_mtime)
    here = box.Box(box.layer("bookworm"))
    try:
        here.put(f"root/{deb.name}", "")
        (here.files / "root" / deb.name).write_bytes(deb.read_bytes())
        here.run("dpkg", "-i", f"/root/{deb.name}")
        here.put("etc/l2wg/gretap1.conf", CONF)
        here.run("mkdir", "-p", "/run/systemd/system")
        here.put("root/empty", "#!/bin/sh\nexit 0\n", 0o755)
        # The first two leave a record. There is nothing to do, as on a router where all is right.
        here.put("root/look", "#!/bin/sh\n[ -e /run/l2wg.look ] || { /usr/lib/l2wg/look; /usr/lib/l2wg/look; }\nexec /usr/lib/l2wg/look\n", 0o755)
        hook = ["/etc/network/if-up.d/l2wg"]
        commands = {
            "an empty sh hook": (["/root/empty"], up("enp2s0")),
            "our hook, foreign interface": (hook, up("enp2s0")),
            "udev's hook, foreign interface": (["/usr/lib/l2wg/device"], {"INTERFACE": "veth1", "ACTION": "add", "IFINDEX": "9"}),
            "our hook, our interface, nothing to do": (hook, up("br0")),
            "l2wg up wg0, nothing to do": (["/usr/bin/l2wg", "up", "wg0"], {}),
            "a look of the watch, nothing differs": (["/root/look"], {}),
            "l2wg event watch timer, nothing to do": (["/usr/bin/l2wg", "event", "watch", "timer"], {}),
            "l2wg status": (["sh", "-c", "l2wg status >/dev/null || :"], {}),  # it says that there is no wg0
            "l2wg metrics": (["sh", "-c", "l2wg metrics >/dev/null"], {}),
            "python3 -I -c pass": (["/usr/bin/python3", "-I", "-c", "pass"], {}),
            "ip -json -details address show": (["sh", "-c", "ip -json -details address show >/dev/null"], {}),
        }
        times, spent = json.loads(here.run("python3", "-", input=INSIDE % (commands, ROUNDS)).stdout)
    finally:
        here.close()
    base = statistics.median(times["an empty sh hook"])
    print(f"Hooks on this machine (no emulation), {ROUNDS} interleaved rounds; ratio of medians to the empty hook [quartiles], median ms,")
    print("and the mean ms of CPU, all processes together")
    for name, found in times.items():
        low, middle, high = statistics.quantiles(found, n=4)
        print(f"  {name:40s} {middle / base:6.2f}  [{low / base:.2f} .. {high / base:.2f}]  {middle * 1000:7.2f} ms  {spent[name] / ROUNDS * 1000:7.2f} ms")


if __name__ == "__main__":
    main()
