"""The reference case: two routers as the admin has them before l2wg, and the hosts around them.

hostA ---- enp2s0  A  enp1s0 ~~ provider ~~ enp1s0  B  enp2s0 ---- hostB (DHCP server, router advertisements)
device --- enp3s0 (unused so far)                   br0 = {enp2s0}
"""

import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import hosts
import image
import vm
from hosts import Host

REFERENCE = Path(__file__).resolve().parent / "reference"
WAN = {"A": "203.0.113.10", "B": "203.0.113.20"}
SITES = {"A": "site-a", "B": "site-b"}
# The answers that the admin gives to debconf.
ANSWERS = {
    "A": {
        "underlay": "wg0",
        "local": "192.168.178.1",
        "remote": "192.168.92.1",
        "bridge": "br0",
        "bridge-ports": "enp3s0",
        "bridge-address": "",
        "attach": "true",
        "apply": "true",
        "ip-forward": "true",
    },
    "B": {
        "underlay": "wg0",
        "local": "192.168.92.1",
        "remote": "192.168.178.1",
        "bridge": "br0",
        "bridge-ports": "",
        "bridge-address": "",
        "attach": "true",
        "apply": "true",
        "ip-forward": "true",
    },
}
BOOLEANS = ("attach", "apply", "ip-forward", "move-address")


@dataclass(frozen=True)
class Keys:
    private: str
    public: str


def new_keys() -> Keys:
    def wg(word, given=None):
        return subprocess.run(["wg", word], input=given, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    private = wg("genkey")
    return Keys(private, wg("pubkey", private))


def wg_conf(site: str, a: Keys, b: Keys) -> str:
    """The reference's wg0.conf with this run's keys in it."""
    text = (REFERENCE / site / "wg0.conf").read_text()
    own, peer = (a, b) if site == "site-a" else (b, a)
    text = re.sub(r"^(PrivateKey = ).*", rf"\g<1>{own.private}", text, flags=re.M)
    return re.sub(r"^(PublicKey = ).*", rf"\g<1>{peer.public}", text, flags=re.M)


def preseed(site: str, **more: str) -> str:
    """What debconf-set-selections reads: the reference's answers, and others in their place."""
    answers = {**ANSWERS[site], **{name.replace("_", "-"): value for name, value in more.items()}}
    lines = [f"l2wg l2wg/{name} {'boolean' if name in BOOLEANS else 'string'} {value}" for name, value in answers.items()]
    return "\n".join(lines) + "\n"


class Reference:
    def __init__(self, suite: str, directory: Path, interfaces=None, wireguard=True) -> None:
        """`interfaces` gives a site another interfaces(5) than the reference's: {"B": text}. Without `wireguard`, none is set up."""
        self.interfaces = interfaces or {}
        self.wireguard = wireguard
        image.need([*vm.NEEDS, *hosts.NEEDS])
        disk = image.disk(suite)
        vm.accelerator(disk)  # probed once, before two machines want to know
        self.closing = []
        try:
            self._wire()
            a, b = new_keys(), new_keys()
            self.a = self._router("A", disk, directory, wg_conf("site-a", a, b), [self.wan_taps["A"], self.host_a.tap, self.device.tap])
            self.b = self._router("B", disk, directory, wg_conf("site-b", a, b), [self.wan_taps["B"], self.host_b.tap])
        except BaseException:
            self.close()
            raise

    def _host(self, *words) -> Host:
        host = Host(*words)
        self.closing.append(host)
        return host

    def _wire(self) -> None:
        self.wan = self._host("wan", "02:00:00:00:01:00")
        self.wan.run(["ip", "link", "add", "wan0", "type", "bridge", "forward_delay", "0"])
        self.wan.run(["ip", "address", "add", "203.0.113.1/24", "dev", "wan0"])
        self.wan.run(["ip", "link", "set", "wan0", "up"])
        self.wan_taps = {site: self.wan.wire(f"to{site}") for site in SITES}
        for site in SITES:
            self.wan.run(["ip", "link", "set", f"to{site}", "master", "wan0"])
        hosts.provider(self.wan, {self.mac(site, 1): WAN[site] for site in SITES}, {"MyRemoteServer.com": WAN["B"]})
        self.host_a = self._host("hostA", "02:00:00:00:0a:02", ["192.168.178.10/24"])
        self.host_a.run(["ip", "route", "add", "default", "via", "192.168.178.1"])
        self.device = self._host("device", "02:00:00:00:0a:03")
        self.host_b = self._host("hostB", "02:00:00:00:0b:02", ["192.168.92.10/24", "fd00:92::10/64"])
        self.host_b.run(["ip", "route", "add", "default", "via", "192.168.92.1"])
        hosts.dnsmasq(
            self.host_b,
            "eth0",
            "192.168.92.100,192.168.92.199,255.255.255.0",
            ["--dhcp-option=option:router,192.168.92.1", "--enable-ra", "--dhcp-range=fd00:92::,ra-only", "--ra-param=eth0,10,0"],
        )

    @staticmethod
    def mac(site: str, nic: int) -> str:
        return f"52:54:00:00:{ord(site):02x}:{nic:02x}"

    def _router(self, site: str, disk, directory: Path, wg0: str, taps) -> vm.VM:
        name = f"router-{site.lower()}"
        files = {
            "etc/hostname": f"{name}\n",
            # systemd derives the MAC of bridges and tunnels from this: two routers with the same one could not talk.
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
            # At boot, wg-quick may ask for the peer's name before the WAN has its lease; that is not what is tested here.
            "etc/hosts": f"127.0.0.1 localhost {name}\n::1 localhost\n{WAN['B']} MyRemoteServer.com\n",
            "etc/network/interfaces": self.interfaces.get(site) or (REFERENCE / SITES[site] / "interfaces").read_text(),
            "etc/wireguard/wg0.conf": wg0,
            "etc/sysctl.d/50-router.conf": "net.ipv4.ip_forward=1\n",
            "etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service": Path("/lib/systemd/system/wg-quick@.service"),
        }
        if not self.wireguard:
            files = {path: text for path, text in files.items() if "wg" not in path}
        nics = [vm.Nic(self.mac(site, number), tap) for number, tap in enumerate(taps, 1)]
        router = vm.VM(site, disk, directory, nics=nics, files=files)
        self.closing.insert(0, router)
        return router

    @property
    def routers(self):
        return {"A": self.a, "B": self.b}

    def wait(self) -> "Reference":
        """Until both are up as the admin knows them: WireGuard has shaken hands, where there is one."""
        for router in self.routers.values():
            router.wait()
        for router in self.routers.values():
            router.settle()
        if self.wireguard:
            hosts.eventually(self.wireguard_works, 60)
        return self

    def wireguard_works(self) -> bool:
        return self.a.run(["ping", "-n", "-q", "-c", "1", "-W", "2", "10.15.14.1"], check=False).rc == 0

    def close(self) -> None:
        for thing in self.closing:
            thing.close()
        self.closing = []
