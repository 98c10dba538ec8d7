"""Sites as network namespaces inside one lab machine: real WireGuard, gretap, wg-quick, ifupdown and dpkg, one kernel.

A site is a network namespace with a root file system of its own: an overlay over the machine's, so that whatever a test does to
files, packages and ifupdown's state goes away with the site.

      device -- enp3s0  A  enp1s0 ------ enp1s0  B  enp2s0 -- hostB
"""

import concurrent.futures
import json
import re

import topology
from hosts import eventually
from vm import VM, Result, Running

WAN = topology.WAN
ADDRESSES = {"device": "192.168.92.50/24", "hostB": "192.168.92.10/24"}
# (host, site, the site's port)
WIRES = (("hostA", "A", "enp2s0"), ("device", "A", "enp3s0"), ("hostB", "B", "enp2s0"))

NEW_SITE = """
set -e
mkdir -p /lab/$1
mount -t tmpfs tmpfs /lab/$1
mkdir /lab/$1/upper /lab/$1/work /lab/$1/root
mount -t overlay overlay -o lowerdir=/,upperdir=/lab/$1/upper,workdir=/lab/$1/work /lab/$1/root
mount --rbind /dev /lab/$1/root/dev
# Else who unmounts the site's /dev/pts unmounts the machine's.
mount --make-rslave /lab/$1/root/dev
mount --bind /proc /lab/$1/root/proc
mount -t tmpfs -o mode=755 tmpfs /lab/$1/root/run
mkdir /lab/$1/root/run/network /lab/$1/root/run/lock
ip netns add $1
# sysfs shows the interfaces of the namespace that it was mounted in.
nsenter --net=/run/netns/$1 mount -t sysfs sysfs /lab/$1/root/sys
nsenter --net=/run/netns/$1 sh -c 'ip link set lo up; sysctl -qw net.ipv4.ip_forward=1'
"""

END = """
for name in $(ip netns list | cut -d' ' -f1); do
    for pid in $(ip netns pids $name); do kill -9 $pid; done
    ip netns del $name
done
for site in A B; do umount -q -R -l /lab/$site || :; done
"""


class Namespace:
    """A host inside the machine: one interface, eth0."""

    def __init__(self, vm: VM, name: str) -> None:
        self.vm, self.name = vm, name

    def argv(self, argv) -> list:
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *(str(word) for word in argv)]

    def run(self, argv, check=True, timeout=60.0, input="", env=None) -> Result:
        result = self.vm.agent.run(self.argv(argv), timeout, input, env)
        return result.check(f"{self.name}: ") if check else result

    def start(self, argv, timeout=60.0, input="", env=None) -> Running:
        return self.vm.start(self.argv(argv), timeout, input, env)

    def sh(self, script: str, check=True, timeout=60.0) -> Result:
        return self.run(["sh", "-c", script], check=check, timeout=timeout)

    def ping(self, target: str, count=1, size=56, fragment=True, timeout=2, interval=0.2) -> int:
        """How many answers come back. `fragment=False` sets DF: a size of 1472 makes an IPv4 packet of 1500."""
        words = [] if fragment else ["-M", "do"]
        return received(self.run(["ping", "-n", "-q", "-c", count, "-i", interval, "-W", timeout, "-s", size, *words, target], check=False, timeout=60 + 3 * count))

    def links(self) -> dict:
        """name -> what `ip -json -details link` says."""
        out = self.run(["ip", "-json", "-details", "-statistics", "link"]).stdout
        return {link["ifname"]: link for link in json.loads(out or "[]") if link}


def received(result: Result) -> int:
    found = re.search(r"(\d+) received", result.stdout)
    return int(found.group(1)) if found else 0


class Site(Namespace):
    """A router: everything runs in its own network namespace and its own root file system."""

    def __init__(self, vm: VM, name: str) -> None:
        super().__init__(vm, name)
        self.root = f"/lab/{name}/root"

    def argv(self, argv) -> list:
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", "chroot", self.root, *(str(word) for word in argv)]

    def write(self, path: str, text: str, mode=0o644) -> None:
        self.vm.put(self.root + path, text, mode)

    def read(self, path: str) -> str:
        return self.vm.get(self.root + path).decode()

    def exists(self, path: str) -> bool:
        return self.run(["test", "-e", path], check=False).rc == 0

    def ifup_all(self) -> None:
        """As networking.service and udev do at boot."""
        self.sh("ifup -a && ifup -a --allow=hotplug", timeout=120)

    def ifdown_all(self) -> None:
        self.sh("ifdown -a", timeout=120)

    def l2wg(self, *words, check=True) -> Result:
        """Without a rehearsal, which takes a minute under emulation: test_rehearsal.py has its own, and the routers' tests."""
        hurry = ["--no-rehearsal"] if words[0] in ("apply", "pair", "unpair", "invite", "join", "revoke") else []
        return self.run(["l2wg", *words, *hurry], check=check, timeout=120)

    def configure(self) -> Result:
        """What the package's configuration does with the reference's answers."""
        answers = topology.ANSWERS[self.name]
        keys = ("underlay", "local", "remote", "bridge", "bridge-ports", "bridge-address")
        self.l2wg("set", "gretap1", *(f"{key}={answers[key]}" for key in keys))
        self.l2wg("attach", "wg0")
        return self.l2wg("apply")


class Pair:
    """Both sites of the reference case, and the hosts."""

    def __init__(self, vm: VM) -> None:
        self.vm = vm
        self.a, self.b = Site(vm, "A"), Site(vm, "B")
        self.sites = (self.a, self.b)
        self.device, self.host_a, self.host_b = (Namespace(vm, name) for name in ("device", "hostA", "hostB"))
        self.keys = topology.new_keys(), topology.new_keys()

    def both(self, work) -> list:
        """Call `work(site)` for both at once: one core each."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(work, self.sites))

    def fresh(self) -> "Pair":
        """Two sites as the admin has them: WireGuard not up yet, interfaces up by ifupdown, l2wg installed and unconfigured."""
        self.vm.sh(END)
        self.both(lambda site: self.vm.run(["sh", "-c", NEW_SITE, "sh", site.name]))
        script = ["set -e", "ip link add enp1s0 netns A type veth peer name enp1s0 netns B"]
        for host, site, port in WIRES:
            script += [
                f"ip netns add {host}",
                f"ip link add eth0 netns {host} type veth peer name {port} netns {site}",
                f"ip -n {host} link set lo up",
                f"ip netns exec {host} sysctl -qw net.ipv6.conf.eth0.accept_dad=0",
                f"ip -n {host} link set eth0 up",
            ]
            if host in ADDRESSES:
                script.append(f"ip -n {host} address add {ADDRESSES[host]} dev eth0")
        script.append("ip -n hostA address add 192.168.178.10/24 dev eth0; ip -n hostA route add default via 192.168.178.1")
        script.append("ip -n hostB route add default via 192.168.92.1")
        self.vm.sh("\n".join(script))
        self.both(self._files)
        self.both(lambda site: site.ifup_all())
        return self

    def _files(self, site: Site) -> None:
        directory = topology.SITES[site.name]
        interfaces = (topology.REFERENCE / directory / "interfaces").read_text()
        # No provider in here: the address of the WAN is written down.
        site.write("/etc/network/interfaces", interfaces.replace("iface enp1s0 inet dhcp", f"iface enp1s0 inet static\n    address {WAN[site.name]}/24"))
        # Either side calls the other at once. As in the reference, where B knows no endpoint, WireGuard needs 15 s after a restart.
        conf = re.sub(r"^(Endpoint|PersistentKeepalive).*\n|\n+\Z", "", topology.wg_conf(directory, *self.keys), flags=re.M)
        conf = re.sub(r"^ListenPort.*\n", "", conf, flags=re.M).replace("[Interface]\n", "[Interface]\nListenPort = 4900\n")
        peer = {"A": "MyRemoteServer.com", "B": WAN["A"]}[site.name]
        site.write("/etc/wireguard/wg0.conf", f"{conf.rstrip()}\nEndpoint = {peer}:4900\nPersistentKeepalive = 1\n", 0o600)
        site.write("/etc/hosts", f"127.0.0.1 localhost\n{WAN['B']} MyRemoteServer.com\n")

    def wireguard(self) -> None:
        self.both(lambda site: site.run(["wg-quick", "up", "wg0"]))
        eventually(self.wireguard_works, 30)

    def wireguard_works(self) -> bool:
        return self.a.ping("10.15.14.1", timeout=1) == 1

    def configure(self) -> None:
        self.both(lambda site: site.configure())

    def wired(self) -> bool:
        """Whether the wire carries full-size frames at this moment."""
        return self.device.ping("192.168.92.10", timeout=1, size=1472, fragment=False) == 1

    def comes_back(self, seconds=20) -> None:
        """5 s on a real router; emulated on two busy cores, everything takes several times as long."""
        eventually(self.wired, seconds)
