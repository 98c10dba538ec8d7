#!/usr/bin/python3
"""The reference case before your eyes: two routers boot, l2wg is installed by apt, a device at site A gets its lease from site B.

    python3 tests/lab/demo.py [--suite bookworm] [--deb PATH] [--keep]

With --keep the routers stay up until Ctrl-C, to look around in.
"""

import argparse
import concurrent.futures
import os
import re
import time
from pathlib import Path

import hosts
import image
import topology
import vm as machines
import words

TOP = Path(__file__).resolve().parents[2]

PICTURE = """
  site A   LAN 192.168.178.0/24                              site B   LAN 192.168.92.0/24

  hostA 192.168.178.10                                       hostB 192.168.92.10 (DHCP server)
    |                                                          |
  enp2s0 192.168.178.1                                       enp2s0 -- br0 192.168.92.1
    |                                                                   |
  router A  enp1s0 {wan_a:<15} ~ provider ~  enp1s0 {wan_b:<13} router B
    |        `- wg0 10.15.14.2 ====== WireGuard ====== wg0 10.15.14.1 -'
    |               gretap1 ~~~~~~ Ethernet frames ~~~~~~ gretap1
  br0 -- enp3s0                                                 (in br0)
           |
         device {device:<18} <- leased by {server}, {ping}
         device {device6}
"""


class Story:
    """One line a phase: what is done, and how long it took."""

    def __init__(self) -> None:
        self.begin = time.monotonic()

    def tell(self, text: str) -> None:
        print(f"[{time.monotonic() - self.begin:5.1f} s] {text}", flush=True)

    def wait(self, text: str, work):
        """Show that time goes by while `work()` runs; what it gives."""
        self.tell(f"{text} ...")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            while True:
                try:
                    return future.result(10)
                except concurrent.futures.TimeoutError:
                    if future.done():
                        raise
                    self.tell("  ... still at it")


def show(result) -> None:
    for line in (result.stdout + result.stderr).splitlines():
        if line.startswith(("[l2wg]", "l2wg:", "  hint:")):
            print(f"          | {line}")


def install(router, deb: Path):
    router.put(f"/root/{deb.name}", deb.read_bytes())
    router.run(["debconf-set-selections"], input=topology.preseed(router.name))
    return router.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})


def both(work, things) -> list:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, things))


def tell_round_trip(host, target: str, *words) -> str:
    result = host.run(["ping", "-n", "-c", "3", "-i", "0.3", "-W", "3", *words, target], check=False)
    found = re.search(r"(\d+) packets transmitted, (\d+) received.*?(?:= [\d.]+/([\d.]+)/|$)", result.stdout, re.S)
    if not found or found.group(2) != "3":
        raise SystemExit(f"demo: ping {target} did not cross:\n{result.stdout}{result.stderr}")
    return f"{found.group(2)} of {found.group(1)} answers, {found.group(3)} ms"


def play(story: Story, reference: topology.Reference, deb: Path) -> None:
    device = reference.device
    routers = list(reference.routers.values())
    story.wait("two Debian routers boot (WireGuard between them, as the admin has it)", reference.wait)
    story.tell("up; a host of site A reaches one of site B by routing: " + tell_round_trip(reference.host_a, "192.168.92.10"))
    story.tell("before: the device at enp3s0 asks for a lease ...")
    before = device.lease(patience=2)
    story.tell("  nobody answers, that port leads nowhere yet" if before is None else f"  unexpected: {before}")
    for router, result in zip(
        routers, story.wait(f"apt install ./{deb.name} on both, with the answers preseeded", lambda: both(lambda router: install(router, deb), routers))
    ):
        print(f"          router {router.name}:")
        show(result)
    story.tell("the device asks again ...")
    if device.lease(patience=20) is None:
        raise SystemExit("demo: no lease")
    story.tell(f"  lease: {device.address} from {device.server}, the DHCP server of site B")
    ping = tell_round_trip(device, "192.168.92.10")
    story.tell(f"ping from the device to a host of site B: {ping}")
    story.tell(f"ping of 1500 bytes with DF: {tell_round_trip(device, '192.168.92.10', '-M', 'do', '-s', '1472')}")
    device6 = hosts.eventually(device.address6, 60)
    story.tell(f"ping by IPv6, address by router advertisement: {tell_round_trip(device, 'fd00:92::10')}")
    story.tell(
        "a broadcast, a multicast and a tagged (802.1Q) frame: "
        + ", ".join(
            "arrives" if hosts.crosses(device, reference.host_b, target, vlan=vlan) else "LOST"
            for target, vlan in ((hosts.BROADCAST, None), (hosts.MULTICAST, None), (reference.host_b.mac, 42))
        )
    )
    print(
        PICTURE.format(wan_a=topology.WAN["A"], wan_b=topology.WAN["B"], device=device.address, server=device.server, device6=device6, ping=f"ping {ping.split(', ')[1]}")
    )


LOOK = """\
Look around (in another terminal; root is without password, nothing here reaches the outside):
    tests/lab/sh A                                a shell in router A (or B)
    tests/lab/sh A ip -d link show gretap1        run a command in router A (or B)
    tests/lab/sh A 'l2wg plan; bridge link'       one word is a shell script
    tests/lab/sh A cat /etc/l2wg/gretap1.conf /etc/network/interfaces.d/l2wg /etc/wireguard/wg0.conf
    tests/lab/sh B systemctl restart networking   the wire comes back by itself
    ip netns exec {device} ping 192.168.92.10
Ctrl-C ends it all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default=os.environ.get("SUITE") or "bookworm", choices=image.SUITES)
    parser.add_argument("--deb", type=Path, default=os.environ.get("L2WG_DEB"))
    parser.add_argument("--keep", action="store_true", help="keep the routers up until Ctrl-C")
    args = parser.parse_args()
    found = [Path(args.deb)] if args.deb else sorted((TOP / "out").glob("l2wg_*.deb"), key=os.path.getmtime)
    if not found:
        raise SystemExit("demo: no package\n  hint: make deb, or --deb PATH")
    machines.stop_on_sigterm()
    story = Story()
    story.wait(f"the disk of {args.suite} (from Debian's packages at the first time, then from the cache)", lambda: image.disk(args.suite))
    with machines.scratch() as directory:
        story.tell("wires: a provider with DHCP between the routers, a host on each LAN, a device on enp3s0 of router A")
        reference = topology.Reference(args.suite, directory)
        try:
            play(story, reference, found[-1])
            if args.keep:
                keep(reference)
            else:
                print("Look around yourself: `make demo DEMO=--keep`, or python3 tests/lab/demo.py --keep")
        except KeyboardInterrupt:
            print()
        finally:
            reference.close()


def keep(reference: topology.Reference) -> None:
    print(LOOK.format(device=reference.device.namespace), flush=True)
    with machines.offered(reference.a, "A"), machines.offered(reference.b, "B"):
        while True:
            for router in reference.routers.values():
                if router.process.poll() is not None:  # somebody has typed reboot
                    router.off = True
                    router.wait()
            time.sleep(1)


if __name__ == "__main__":
    with words.of("demo"):
        main()
