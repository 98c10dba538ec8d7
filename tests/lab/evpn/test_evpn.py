"""EVPN: sites whose tables Debian's own FRR fills, over a star of WireGuard. One story, in this order.

A site is a network namespace with a root of its own, in which zebra, bgpd and watchfrr run. s1 is WireGuard's hub, which forwards
wg0 -> wg0; s1 and s2 are BGP's reflectors.

      h1 -- enp3s0  s1 (hub, reflector) -+
      h2 -- enp3s0  s2 (reflector)      -+- wan, 203.0.113.0/24
      h3 -- enp3s0  s3                  -+
      ...                                +- and where nobody is, 203.0.113.9
"""

import concurrent.futures
import itertools
import json
import time

import hosts
import image
import pytest
import topology
import vm as machines
from hosts import eventually
from sites import NEW_SITE, Namespace, Site

PACKAGES = [*image.ROUTER_PACKAGES, "frr"]
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

    def __init__(self, vm):
        self.vm = vm
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
            site.write("/etc/l2wg/evpn0.conf", TUNNEL.format(number))
            site.write("/etc/wireguard/wg0.conf", self.wireguard(number), 0o600)
            site.run(["nft", PROBE])

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
            text = site.l2wg("frr", *(word for address in REFLECTORS for word in ("--reflector", address))).stdout
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
        said = self.sites[number].run(["bridge", "fdb", "show", "dev", "evpn0"], check=False).stdout
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


@pytest.fixture(scope="module")
def net(suite, deb):
    image.need([*machines.NEEDS, *hosts.NEEDS])
    with machines.scratch() as directory:
        vm = machines.VM("E", image.disk(suite, PACKAGES), directory, memory=2048, cpus=2)
        try:
            vm.wait()
            vm.settle()
            vm.sh("systemctl stop frr")
            vm.put(f"/root/{deb.name}", deb.read_bytes())
            vm.run(["apt-get", "install", "-y", "-q", f"/root/{deb.name}"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
            yield Net(vm)
        finally:
            vm.close()


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_four_sites_by_what_l2wg_prints(net):
    net.join(FOUR)
    print("flood lists complete and all pairs: %.1f s after FRR has started" % seconds(lambda: net.all_pairs(FOUR)))
    assert net.sites[1].l2wg("plan", check=False).rc == 0
    for number in FOUR:
        ids, outcome, _ = net.found(number)
        assert (ids, outcome) == (set(), "ok")
    assert "FRR has put 3 far ends into its table" in " ".join(net.sites[3].run(["l2wg", "status"], check=False).stdout.split())


def test_events_and_the_watch_leave_the_table_alone(net):
    for number in (1, 3):
        for words in (("event", "up", "br0"), ("event", "watch", "timer")):
            said = net.sites[number].run(["l2wg", *words], timeout=120)
            assert "[l2wg]" not in said.stdout + said.stderr
    assert net.complete(FOUR)


def test_a_fifth_joins_with_no_change_at_the_others(net):
    """Its key at the hub, the hub's at it: two pastes."""
    before = {number: net.sites[number].sh("cat /etc/l2wg/* /etc/frr/frr.conf /etc/wireguard/wg0.conf | cksum").stdout for number in (2, 3, 4)}
    net.sites[1].run(["wg", "set", "wg0", "peer", net.keys[5].public, "allowed-ips", "198.18.0.5/32"])
    net.join([5])
    print("the fifth: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 90)))
    assert before == {number: net.sites[number].sh("cat /etc/l2wg/* /etc/frr/frr.conf /etc/wireguard/wg0.conf | cksum").stdout for number in before}


def test_nothing_goes_to_a_far_end_outside_of_the_net(net):
    """The probe is first shown to see."""
    site, before = net.sites[3], net.counted(3)
    site.sh("ip neighbour replace 203.0.113.9 lladdr 02:00:00:00:00:09 dev enp1s0")
    site.sh('python3 -c \'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * 50, ("203.0.113.9", 4789))\'')
    seen = net.counted(3)
    assert seen["vxlan"] > before["vxlan"] and seen["outside"] > before["outside"], "the probe is blind"
    site.run(["bridge", "fdb", "append", FLOOD, "dev", "evpn0", "dst", "203.0.113.9"])
    ask = "ip neighbour flush all; ping -c 3 -i 0.2 -W 1 192.168.92.99"
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen and net.reach(3, 4)
    # The way alone holds it, and so does the guard alone; without both it would leave.
    site.run(["nft", "flush", "chain", "inet", "l2wg", "to_outside"])
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen
    site.l2wg("event", "up", "br0")
    site.sh("ip rule del priority 4789")
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen
    site.run(["nft", "flush", "chain", "inet", "l2wg", "to_outside"])
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3)["outside"] > seen["outside"]
    site.l2wg("event", "up", "br0")
    seen = net.counted(3)
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen
    ids, _, problems = net.found(3)
    assert ids == {"evpn-outside"}
    site.run(["bridge", "fdb", "del", FLOOD, "dev", "evpn0", "dst", "203.0.113.9"])


def test_check_sees_a_flood_list_that_lacks_a_site(net):
    """As in FRR's issue 19121: BGP knows it, and the kernel does not. (An entry that is deleted by hand, zebra puts back.)"""
    words = ["configure terminal", "router bgp 65000", "address-family l2vpn evpn", "flooding disable"]
    net.sites[3].run(["vtysh", *(word for line in words for word in ("-c", line))])
    eventually(lambda: not net.flooded(3), 20)
    ids, _, problems = net.found(3)
    assert ids == {"evpn-flood"} and any("198.18.0.4" in row["message"] and "systemctl restart frr" in row["hint"] for row in problems)
    net.frr(3, "restart")
    print("FRR restarted at s3: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 90)))
    assert net.found(3)[0] == set()


def test_a_reflector_whose_bgpd_dies_is_off_and_the_others_go_on(net):
    net.kill(1, "watchfrr", "bgpd")
    eventually(lambda: net.flooded(3) == {f"198.18.0.{number}" for number in (2, 4, 5)}, 60, 1)
    assert net.flooded(1) == set() and net.pairs((2, 3, 4, 5)) == 12 and not net.reach(1, 3)
    assert net.found(1)[0] == {"frr-not-running"} and net.found(3)[0] == {"evpn-session"}


def test_without_any_reflector_there_is_no_lan(net):
    net.kill(2, "watchfrr", "bgpd")
    eventually(lambda: not net.flooded(3) and not net.flooded(4), 60, 1)
    assert net.pairs((3, 4, 5)) == 0 and "no far end" in net.sites[3].run(["l2wg", "status"], check=False).stdout
    assert net.found(3)[0] == {"evpn-session"}
    for number in (1, 2):
        net.frr(number, "restart")
    print("both reflectors back: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 120)))


def test_wg0_goes_and_comes(net):
    before = net.counted(3)
    net.sites[3].run(["wg-quick", "down", "wg0"])
    net.hosts[3].sh("ping -c 3 -i 0.2 -W 1 192.168.92.99", check=False)
    assert not net.reach(3, 4)
    net.sites[3].run(["wg-quick", "up", "wg0"])
    print("wg0 back at s3: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 120)))
    assert net.counted(3) == before, "in the clear"


def test_nothing_has_left_in_the_clear(net):
    assert all(net.counted(number)["vxlan"] == 0 for number in (1, 2, 4, 5))
    assert all(net.counted(number)["bgp"] == 0 for number in (1, 2, 3, 4, 5))
