"""A router with everything installed that may get in the way of l2wg, each at rest until a test starts it.

Site A is the machine itself, since NetworkManager and its kind want a real systemd, udev and network cards. Site B is a
network namespace of the same machine, wired by hand: nobody but A has neighbours here.

      hostA ---- enp2s0  A  to-b ------ wan  B  lan ---- hostB (DHCP server)
      device --- enp3s0  |
      provider - enp1s0 -+

    python3 tests/lab/neighbours/neighbourhood.py --keep NAME     boots it and keeps it; then: tests/lab/sh NAME COMMAND...
"""

import contextlib
import io
import os
import re
import shutil
import socket
import sys
import tarfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import hosts
import image
import packets
import topology
import vm as machines
from sites import Namespace

NEIGHBOURS = "network-manager netplan.io docker.io ufw firewalld systemd-container".split()
# Its package with the service.
DHCPCD = {"bullseye": "dhcpcd5"}
# In the place of ifupdown, so not from the beginning.
LATER = ("ifupdown2",)
# systemd-networkd is masked in every lab machine (image.py), in /run.
AT_REST = "NetworkManager NetworkManager-wait-online dhcpcd docker containerd ufw firewalld".split()
WAN = {"A": "198.51.100.1", "B": "198.51.100.2"}

SITE_B = """
set -e
ip netns list | cut -d' ' -f1 | while read -r name; do ip netns del $name; done
# The kernel takes its time with a namespace that was deleted, and our end of its wire stays as long.
ip link del to-b 2>/dev/null || :
ip netns add B; ip netns add hostB
ip link add to-b type veth peer name wan netns B
ip address add {A}/30 dev to-b; ip link set to-b up
ip link add eth0 netns hostB type veth peer name lan netns B
ip -n B link set lo up
ip -n B address add {B}/30 dev wan; ip -n B link set wan up
ip -n B link add wg0 mtu 1420 type wireguard
ip -n B address add 10.15.14.1/24 dev wg0
ip netns exec B wg set wg0 private-key /root/b.key listen-port 4900 peer {peer} endpoint {A}:4900 allowed-ips 10.15.14.2/32,192.168.178.0/24
ip -n B link set wg0 up
ip -n B route add 192.168.178.0/24 dev wg0
ip -n B link add br0 type bridge forward_delay 0 mcast_snooping 0
ip -n B address add 192.168.92.1/24 dev br0
ip -n B link set lan up master br0
ip -n B link set br0 up
ip -n B link add gretap1 type gretap local 192.168.92.1 remote 192.168.178.1 dev wg0 nopmtudisc ignore-df
ip -n B link set gretap1 mtu 1500 up master br0
ip -n hostB link set lo up
ip -n hostB address add 192.168.92.10/24 dev eth0; ip -n hostB link set eth0 up
systemctl stop dhcp-b 2>/dev/null || :
systemd-run -q --collect --unit=dhcp-b nsenter --net=/run/netns/hostB dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root \
  --pid-file= --no-resolv --no-hosts --port=0 --dhcp-authoritative --no-ping --bind-interfaces --interface=eth0 --except-interface=lo \
  --dhcp-range=192.168.92.100,192.168.92.199,255.255.255.0,1h --dhcp-option=option:router,192.168.92.1 --dhcp-leasefile=/run/dhcp-b.leases
"""

# A wire of l2wg's own at site A, and at site B by hand what answers it. A has no Endpoint: B calls.
INNER = {"A": "198.18.0.1", "B": "198.18.0.2"}
OWN = """\
[Interface]
PrivateKey = {private}
ListenPort = 4901
Address = 198.18.0.1/32

[Peer]
PublicKey = {peer}
AllowedIPs = 198.18.0.2/32
"""
OWN_B = """
set -e
ip -n B link del gretap1
ip -n B link del l2w0 2>/dev/null || :
ip -n B link add l2w0 mtu 1420 type wireguard
ip netns exec B wg set l2w0 private-key /root/b.key listen-port 4901 peer {peer} endpoint {A}:4901 allowed-ips 198.18.0.1/32
ip -n B address add 198.18.0.2/32 dev l2w0
ip -n B link set l2w0 up
ip -n B route add 198.18.0.1 dev l2w0 mtu lock 1600
ip -n B link add gretap1 type {kind}
ip -n B link set gretap1 mtu 1500 master br0 up
"""
KINDS = {"gretap": "gretap local {0} remote {1} ttl 64 nopmtudisc ignore-df", "vxlan": "vxlan local {0} remote {1} ttl 64 id 1 dstport 4789"}
# A packet with all of its headers, and the payload of a datagram.
SEND = {
    "packet": "import socket, sys; socket.socket(2, 3, 255).sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 0))",
    "datagram": "import socket, sys; socket.socket(2, 2).sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 4789))",
}
IMAGE = "guest"


def heard(ear, tokens: dict, seconds=1.0) -> set:
    """Names of the tokens that come within that time."""
    found, deadline = set(), time.monotonic() + seconds
    while len(found) < len(tokens) and time.monotonic() < deadline:
        ear.port.settimeout(max(0.01, deadline - time.monotonic()))
        with contextlib.suppress(TimeoutError, OSError):
            frame, sender = ear.port.recvfrom(65536)
            if sender[2] != socket.PACKET_OUTGOING:
                found |= {name for name, token in tokens.items() if token in frame}
    return found


class Neighbourhood:
    def __init__(self, suite: str, directory: Path) -> None:
        image.need([*machines.NEEDS, *hosts.NEEDS])
        disk = image.disk(suite, [*image.ROUTER_PACKAGES, *NEIGHBOURS, DHCPCD.get(suite, "dhcpcd")], LATER)
        self.closing = []
        try:
            self.provider, host_a, self.device = (
                self._host("wan", "02:00:00:00:01:00"),
                self._host("hostA", "02:00:00:00:0a:02", ["192.168.178.10/24"]),
                self._host("device", "02:00:00:00:0a:03"),
            )
            self.provider.run(["ip", "address", "add", "203.0.113.1/24", "dev", "eth0"])
            hosts.dnsmasq(self.provider, "eth0", "203.0.113.200,static", [f"--dhcp-host={topology.Reference.mac('A', 1)},203.0.113.10"])
            self.keys = topology.new_keys(), topology.new_keys()
            taps = [host.tap for host in (self.provider, host_a, self.device)]
            nics = [machines.Nic(topology.Reference.mac("A", number), tap) for number, tap in enumerate(taps, 1)]
            self.vm = machines.VM("N", disk, directory, nics=nics, memory=1024, cpus=2, files=self._files())
            self.closing.insert(0, self.vm)
        except BaseException:
            self.close()
            raise
        self.host_b = Namespace(self.vm, "hostB")

    def _host(self, *words) -> hosts.Host:
        host = hosts.Host(*words)
        self.closing.append(host)
        return host

    def _files(self) -> dict:
        files = {
            "etc/hostname": "router-a\n",
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
            "etc/hosts": f"127.0.0.1 localhost router-a\n{WAN['B']} MyRemoteServer.com\n",
            "etc/network/interfaces": (topology.REFERENCE / "site-a/interfaces").read_text(),
            "etc/wireguard/wg0.conf": topology.wg_conf("site-a", *self.keys).replace("[Interface]\n", "[Interface]\nListenPort = 4900\n"),
            "etc/sysctl.d/50-router.conf": "net.ipv4.ip_forward=1\n",
            "etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service": Path("/lib/systemd/system/wg-quick@.service"),
        }
        return dict(files, **{f"etc/systemd/system/{name}.service": Path("/dev/null") for name in AT_REST})

    def wait(self) -> "Neighbourhood":
        self.vm.wait()
        self.vm.settle()
        # A quiet time of minutes, as conntrack sees it, is one of a second here.
        self.vm.sh("modprobe nf_conntrack; cd /proc/sys/net/netfilter; for i in nf_conntrack_gre_*; do echo 1 >$i; done")
        self.site_b()
        return self

    def site_b(self) -> None:
        """Site B goes with a reboot of A."""
        self.vm.put("/root/b.key", self.keys[1].private + "\n", 0o600)
        self.vm.sh(SITE_B.format(peer=self.keys[0].public, **WAN))

    def wireguard_works(self) -> bool:
        return self.vm.run(["ping", "-n", "-q", "-c", "1", "-W", "2", "10.15.14.1"], check=False).rc == 0

    def install(self, deb: Path) -> None:
        """With the answers of the reference, and what else answers to it on the wire."""
        self.vm.put(f"/root/{deb.name}", deb.read_bytes())
        self.vm.run(["debconf-set-selections"], input=topology.preseed("A"))
        self.vm.run(["apt-get", "install", "-y", "-q", f"/root/{deb.name}"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})

    def start(self, unit: str) -> None:
        units = ("docker.socket", "docker.service", "containerd.service") if unit == "docker" else (f"{unit}.service",)
        masks = " ".join(f"{folder}/systemd/system/{name}" for folder in ("/etc", "/run") for name in units)
        self.vm.sh(f"for mask in {masks}; do [ ! -L $mask ] || rm $mask; done; systemctl daemon-reload")
        self.vm.run(["systemctl", "start", unit], timeout=180)

    def stop(self, unit: str) -> None:
        self.vm.sh(f"systemctl stop {unit} $(systemctl show -P TriggeredBy {unit}); systemctl mask -q {unit}", timeout=180)

    def docker_rests(self) -> None:
        self.stop("docker.socket docker containerd")
        rules = "iptables -F; iptables -t nat -F; iptables -X; iptables -t nat -X; iptables -P FORWARD ACCEPT"
        self.vm.sh(f"ip link del docker0; {rules}; rmmod br_netfilter")

    def nm(self, name: str) -> str:
        """An interface's state in NetworkManager's eyes."""
        out = self.vm.run(["nmcli", "-t", "-f", "DEVICE,STATE", "device"], check=False).stdout
        return dict(line.partition(":")[::2] for line in out.splitlines()).get(name, "")

    def networkd(self, name: str) -> str:
        out = self.vm.run(["networkctl", "--no-legend", "--no-pager", "list", name], check=False).stdout
        return out.split()[-1] if out.split() else ""

    def cure(self, problem: str) -> None:
        """`l2wg check` tells of this problem, and its cure is a command. Whether it cures is for the caller to see."""
        said = self.check()
        found = re.search(rf"^.*{re.escape(problem)}.*\n  hint: (.*)$", said, re.M)
        assert found, said
        self.vm.sh(found.group(1), timeout=180)

    def check(self, *words) -> str:
        """What `l2wg check` finds wrong; "" where nothing."""
        done = self.vm.run(["l2wg", "check", *words], check=False, timeout=120)
        assert done.rc in (0, 1) and (done.rc == 1) == ("hint:" in done.stderr), done
        return done.stderr if done.rc else ""

    def wired(self) -> bool:
        return self.device.ping("192.168.92.10", count=1, timeout=1) == 1

    def comes_back(self, seconds=60) -> None:
        """The device may remember the Ethernet address that hostB had before it was made anew, for up to 45 s (ARP)."""
        hosts.eventually(self.wireguard_works, 60)
        hosts.eventually(self.wired, seconds)

    # A wire of l2wg's own

    def own(self, encapsulation: str, *words: str) -> None:
        """The tunnel over a wire of l2wg's own in the place of the shared one."""
        text = OWN.format(private=self.keys[0].private, peer=self.keys[1].public)
        self.vm.put("/etc/wireguard/l2w0.conf", text.encode(), 0o600)
        ends = ["wire=own", "underlay=l2w0", f"local={INNER['A']}", f"remote={INNER['B']}"]
        self.vm.run(["l2wg", "set", "gretap1", *ends, f"encapsulation={encapsulation}", *words])
        self.vm.run(["l2wg", "apply", "--no-rehearsal"], timeout=600)
        kind = KINDS[encapsulation].format(INNER["B"], INNER["A"])
        self.vm.sh(OWN_B.format(peer=self.keys[0].public, kind=kind, **WAN))

    def by_hand(self, encapsulation: str) -> str:
        """The command that makes such a tunnel with the same ends out in the router."""
        kind = KINDS[encapsulation].format(INNER["A"], INNER["B"])
        return f"ip link add hand9 mtu 1500 type {kind} && ip link set hand9 master br0 up"

    def guest(self) -> list:
        """The words that run a command in the network of a container of Docker's."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(shutil.which("busybox"), "bin/busybox")
        self.vm.put("/root/guest.tar", archive.getvalue())
        # Debian's Docker only recommends what loads its profile for AppArmor.
        options = f"--security-opt apparmor=unconfined --name {IMAGE}"
        self.vm.sh(f"docker import /root/guest.tar {IMAGE} && docker run -d {options} {IMAGE} /bin/busybox sleep 3600", timeout=300)
        pid = self.vm.run(["docker", "inspect", "-f", "{{.State.Pid}}", IMAGE], timeout=60).stdout.strip()
        return ["nsenter", "-n", "-t", pid]

    def passes(self, encapsulation: str, guest=()) -> set:
        """What gets through at this moment, of what is sent in the name of site B and of what the device sends: "in" by whom, "out" to the provider in plaintext.

        Forged packets come from a user of the router who is nobody (VXLAN only: it takes no rights), from the provider, and from `guest`.
        """
        tokens = {name: os.urandom(16) for name in ("user", "provider", "guest", "out")}
        with self.device.ear() as device, self.provider.ear() as provider:
            for name in ("user", "provider", "guest"):
                frame = packets.ethernet(packets.BROADCAST, packets.OUTSIDER, packets.LOCAL_EXPERIMENTAL, tokens[name].ljust(60, b"\0"))
                if encapsulation == "vxlan":
                    whole, protocol = packets.vxlan(INNER["B"], INNER["A"], frame, 1, 4789), packets.UDP
                else:
                    whole, protocol = packets.gre(frame, None), packets.GRE
                (packet,) = packets.ip4(INNER["B"], INNER["A"], protocol, whole)
                if name == "provider":
                    self.provider.send(packets.ethernet(topology.Reference.mac("A", 1), self.provider.mac, packets.IP, packet))
                elif name == "guest" and guest:
                    self.vm.run([*guest, "python3", "-c", SEND["packet"], INNER["A"], packet.hex()])
                elif name == "user" and encapsulation == "vxlan":
                    self.vm.run(["setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", SEND["datagram"], INNER["A"], whole[8:].hex()])
            self.device.send(packets.ethernet(packets.BROADCAST, self.device.mac, packets.LOCAL_EXPERIMENTAL, tokens["out"].ljust(60, b"\0")))
            inside = {name: token for name, token in tokens.items() if name != "out"}
            return heard(device, inside) | heard(provider, {"out": tokens["out"]})

    @contextlib.contextmanager
    def alive(self):
        """The wire carries frames meanwhile; a firewall that is loaded anew may drop all of the router's packets for a moment."""
        pings = self.device.start(["ping", "-n", "-q", "-i", "0.2", "192.168.92.10"], stdout=-1, text=True)
        yield
        pings.send_signal(2)
        text = pings.communicate(timeout=30)[0]
        hosts.eventually(self.wired, 20)
        sent, received = (int(number) for number in re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
        print(f"{received} of {sent} pings answered")
        assert sent > 5 and received > sent / 2, text

    def close(self) -> None:
        for thing in self.closing:
            thing.close()
        self.closing = []


def main() -> None:
    machines.stop_on_sigterm()
    with machines.scratch() as directory:
        lab = Neighbourhood(os.environ.get("SUITE") or "bookworm", directory)
        try:
            lab.wait()
            lab.device.run(["ip", "address", "add", "192.168.92.50/24", "dev", "eth0"])
            with machines.offered(lab.vm, sys.argv[2]):
                if len(sys.argv) > 3:
                    lab.install(Path(sys.argv[3]))
                    print("wired:", lab.comes_back())
                lab.vm.process.wait()
        finally:
            lab.close()


if __name__ == "__main__":
    main()
