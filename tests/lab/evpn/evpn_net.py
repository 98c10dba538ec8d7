"""Sites with FRR as network namespaces, and what is asked of them: see test_evpn.py."""

import concurrent.futures
import itertools
import json
import time

import topology
from hosts import eventually
from sites import END, NEW_SITE, Namespace, Site

FOUR, FIVE = (1, 2, 3, 4), (1, 2, 3, 4, 5)
NET, REFLECTORS = "198.18.0.0/15", ("198.18.0.1", "198.18.0.2")
FLOOD = "00:00:00:00:00:00"
# Counts what leaves by the WAN and is no WireGuard, by what it is.
PROBE = (
    "table netdev probe { counter vxlan {}; counter bgp {}; counter outside {}; chain out { type filter hook egress device enp1s0 priority 0; "
    "udp dport 4789 counter name vxlan; tcp dport 179 counter name bgp; ip daddr 203.0.113.9 counter name outside; }; }"
)
TUNNEL = """\
underlay = wg0
local = 198.18.0.{}
remote = 198.18.0.0/15
bridge = br0
bridge-ports = enp3s0
encapsulation = vxlan
control = evpn
"""


class Net:
    """The sites by their numbers, and a host behind each."""

    device = "evpn0"
    reflectors = tuple(word for address in REFLECTORS for word in ("--reflector", address))

    def __init__(self, vm):
        self.vm = vm
        vm.sh(END + "".join(f"umount -q -R -l /lab/s{number} || :\n" for number in FIVE))
        self.sites = {number: Site(vm, f"s{number}") for number in FIVE}
        self.hosts = {number: Namespace(vm, f"h{number}") for number in FIVE}
        self.keys = {number: topology.new_keys() for number in FIVE}
        script = ["set -e", "ip netns add wan", "ip -n wan link add lan type bridge", "ip -n wan link set lan up"]
        for number in FIVE:
            vm.run(["sh", "-c", NEW_SITE, "sh", f"s{number}"])
            script += [
                f"ip link add name enp1s0 netns s{number} type veth peer name to{number} netns wan",
                f"ip -n wan link set to{number} master lan up",
                f"ip -n s{number} address add 203.0.113.{10 + number}/24 dev enp1s0; ip -n s{number} link set enp1s0 up",
                f"ip netns add h{number}; ip link add name eth0 netns h{number} type veth peer name enp3s0 netns s{number}",
                f"ip -n h{number} link set lo up; ip -n h{number} link set eth0 up; ip -n h{number} address add 192.168.92.{10 * number}/24 dev eth0",
            ]
        vm.sh("\n".join(script))
        for number, site in self.sites.items():
            site.write("/etc/network/interfaces", "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n")
            self.files(number, site)
            site.run(["nft", PROBE])

    def files(self, number, site):
        """What its admin has written."""
        site.write("/etc/l2wg/evpn0.conf", TUNNEL.format(number))
        site.write("/etc/wireguard/wg0.conf", self.wireguard(number), 0o600)

    def wireguard(self, number):
        text = f"[Interface]\nPrivateKey = {self.keys[number].private}\nListenPort = 4900\nAddress = 198.18.0.{number}/15\n"
        if number == 1:
            return text + "".join(self.peer(other) for other in FOUR if other != 1)
        # Whoever joins changes nothing here: all of the net is behind the hub.
        return text + f"[Peer]\nPublicKey = {self.keys[1].public}\nAllowedIPs = {NET}\nEndpoint = 203.0.113.11:4900\nPersistentKeepalive = 5\n"

    def peer(self, number):
        return f"[Peer]\nPublicKey = {self.keys[number].public}\nAllowedIPs = 198.18.0.{number}/32\nEndpoint = 203.0.113.{10 + number}:4900\n"

    def each(self, numbers, work):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda number: work(number, self.sites[number]), numbers))

    def join(self, numbers):
        """The tunnel, and FRR by the text that `l2wg frr` prints: no other word is in its file."""

        def work(number, site):
            site.l2wg("attach", "wg0")
            site.run(["wg-quick", "up", "wg0"])
            site.l2wg("apply", "--yes")
            text = site.l2wg("frr", *self.reflectors).stdout
            site.write("/etc/frr/frr.conf", text, 0o640)
            site.sh("chown frr:frr /etc/frr/frr.conf; sed -i 's/^bgpd=no/bgpd=yes/' /etc/frr/daemons; mkdir -p /run/frr; chown frr:frr /run/frr")
            self.frr(number, "start")

        self.each(numbers, work)

    def frr(self, number, verb):
        """What frr.service does."""
        self.sites[number].sh(f"/usr/lib/frr/frrinit.sh {verb} </dev/null >/dev/null 2>&1", timeout=120)

    def kill(self, number, *names):
        for name in names:
            # watchfrr first: else it starts them again.
            self.sites[number].sh(f"kill -9 $(cat /run/frr/{name}.pid)")

    def flooded(self, number):
        said = self.sites[number].run(["bridge", "fdb", "show", "dev", self.device], check=False).stdout
        return {line.split(" dst ")[1].split()[0] for line in said.splitlines() if line.startswith(FLOOD)}

    def complete(self, numbers):
        return all(self.flooded(number) == {f"198.18.0.{other}" for other in numbers if other != number} for number in numbers)

    def reach(self, here, there):
        return self.hosts[here].ping(f"192.168.92.{10 * there}", timeout=1, size=1472, fragment=False) == 1

    def pairs(self, numbers):
        """How many of all pairs reach each other, by packets of 1,500 bytes with DF."""
        return sum(self.reach(*pair) for pair in itertools.permutations(numbers, 2))

    def all_pairs(self, numbers, seconds=60):
        eventually(lambda: self.complete(numbers), seconds, 1)
        eventually(lambda: self.pairs(numbers) == len(numbers) * (len(numbers) - 1), seconds, 1)

    def counted(self, number):
        """{what: packets} that have left by the WAN in the clear."""
        said = json.loads(self.sites[number].run(["nft", "-j", "list", "counters", "table", "netdev", "probe"]).stdout)
        return {row["counter"]["name"]: row["counter"]["packets"] for row in said["nftables"] if "counter" in row}

    def found(self, number):
        """The ids of what `l2wg check` tells of FRR."""
        said = json.loads(self.sites[number].run(["l2wg", "check", "--json", "--passive"], check=False, timeout=120).stdout)
        (outcome,) = [row for row in said["checks"] if row["name"] == "FRR"]
        return {row["id"] for row in said["problems"] if row["id"].startswith(("frr-", "evpn-"))}, outcome["outcome"], said["problems"]


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began
