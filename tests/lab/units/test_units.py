"""The units of nix/units.nix under a real systemd with a real kernel: Debian's, not NixOS'.

What stands in for NixOS: two services in the shape of its wg-quick-wg0 and br0-netdev, symbolic links for WantedBy, and the
package of Debian at /usr. What is real: the unit files, evaluated from nix/, with all their restrictions; and what they run.
"""

import json
import subprocess
import time
from pathlib import Path

import image
import pytest
import vm as machines
from hosts import NEEDS

TOP = Path(__file__).resolve().parents[3]
subprocess.run([str(TOP / "tests/need"), "nix-bin"], check=True)

CONF = "underlay = wg0\nlocal = 192.168.92.1\nremote = 192.168.178.1\nbridge = br0\n"
# nixos/modules/tasks/network-interfaces-scripted.nix makes a bridge so: deletes what is there, and its reload ends STP.
BRIDGE = """\
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/sh -c 'ip link add name br0 type bridge && ip link set br0 up && ip address add 192.168.92.1/24 dev br0'
ExecReload=/bin/sh -c 'echo 0 >/sys/class/net/br0/bridge/stp_state'
ExecStop=/bin/sh -c 'ip link set dev br0 down; ip link del dev br0'
"""
WG_QUICK = """\
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/usr/bin/wg-quick up wg0
ExecStop=/usr/bin/wg-quick down wg0
"""
WG0 = """\
[Interface]
PrivateKey = %s
Address = 10.15.14.1/24

[Peer]
PublicKey = %s
AllowedIPs = 10.15.14.2/32, 192.168.178.0/24, fd00::/16
"""
UNITS = ("l2wg-gretap1", "l2wg-gretap2")


ONE = dict(line.split(" = ") for line in CONF.splitlines())


def evaluated(directory, tunnels, bridges):
    """What tests/nix/evaluate.nix gives for these tunnels over one WireGuard interface."""
    quick = {"wg0": {"peers": [{"allowedIPs": ["0.0.0.0/0"]}]}}
    wish = {"networking": {"bridges": bridges, "wg-quick": {"interfaces": quick}}, "services": {"l2wg": {"enable": True, "tunnels": tunnels}}}
    (directory / "wish.json").write_text(json.dumps(wish))
    done = subprocess.run(
        ["nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", str(TOP / "tests/nix/evaluate.nix"),
         "--arg", "json", str(directory / "wish.json"), "--argstr", "package", "/usr"],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.decode())


def installable(got):
    """{unit: text} with what NixOS makes symbolic links of."""
    return {name: text + "[Install]\nWantedBy=%s\n" % " ".join(got["wantedBy"][name]) for name, text in got["units"].items()}


class Router:
    """A machine whose systemd has the units."""

    def __init__(self, vm):
        self.vm = vm

    def state(self):
        """(what systemd says of both units, the numbers of both tunnels or "-", ports of br0, our tables)."""
        out = self.vm.sh(
            "systemctl is-active %s; for one in gretap1 gretap2; do cat /sys/class/net/$one/ifindex 2>/dev/null || echo -; done;"
            "echo $(ls /sys/class/net/br0/brif 2>/dev/null); nft list tables | grep -c l2wg" % " ".join(UNITS),
            check=False,
        ).stdout.split("\n")
        return out[:2], out[2:4], out[4].split(), int(out[5])

    def becomes(self, wanted, patience=90):
        end = time.monotonic() + patience
        while True:
            state = self.state()
            if wanted(*state):
                return state
            assert time.monotonic() < end, (state, self.vm.sh("journalctl -b -n 60 --no-pager -u 'l2wg-*'", check=False).stdout)
            time.sleep(0.3)

    def wired(self):
        return self.becomes(lambda units, links, ports, tables: units == ["active"] * 2 and ports == ["gretap1", "gretap2"] and tables == 2)

    def gone(self):
        return self.becomes(lambda units, links, ports, tables: units == ["inactive"] * 2 and links == ["-", "-"] and not ports and not tables)

    def systemctl(self, *words):
        self.vm.run(["systemctl", *words], timeout=180)

    def second(self, lines):
        """Give gretap2 other lines, as a switch to a new configuration does."""
        self.vm.put("/etc/l2wg/gretap2.conf", (CONF + lines).encode())
        self.systemctl("reload", "l2wg-gretap2")


@pytest.fixture(scope="module")
def router(suite, deb, tmp_path_factory):
    tunnels = {"gretap1": ONE, "gretap2": dict(ONE, key=2)}
    units = installable(evaluated(tmp_path_factory.mktemp("units"), tunnels, {"br0": {"interfaces": []}}))
    image.need(NEEDS)
    with machines.machine(suite, cpus=2, memory=1024) as vm:
        vm.settle()
        vm.put(f"/root/{deb.name}", deb.read_bytes())
        vm.run(["apt-get", "install", "-y", "-q", f"/root/{deb.name}"], timeout=300, env={"DEBIAN_FRONTEND": "noninteractive"})
        keys = vm.sh("wg genkey; wg genkey | wg pubkey").stdout.split()
        vm.put("/etc/wireguard/wg0.conf", (WG0 % tuple(keys)).encode(), 0o600)
        vm.put("/etc/systemd/system/br0-netdev.service", BRIDGE.encode())
        vm.put("/etc/systemd/system/wg-quick-wg0.service", WG_QUICK.encode())
        for number, name in enumerate(UNITS, 1):
            vm.put(f"/etc/systemd/system/{name}.service", units[name].encode())
            vm.put(f"/etc/l2wg/gretap{number}.conf", (CONF + ("key = 2\n" if number == 2 else "")).encode())
        # As boot.kernelModules has it: the units load none.
        vm.sh("modprobe -a ip_gre ip6_gre vxlan; systemctl daemon-reload; systemctl enable %s" % " ".join(UNITS), timeout=120)
        vm.sh("systemctl start br0-netdev && systemctl start wg-quick-wg0", timeout=180)
        yield Router(vm)


def test_they_come_with_the_device(router):
    router.wired()
    router.vm.sh("l2wg plan", timeout=120)


def test_a_reload_changes_what_has_changed(router):
    first, second = router.wired()[1]
    router.second("key = 2\nmtu = 1400\n")
    assert router.wired()[1] == [first, second], "in place"
    assert router.vm.sh("cat /sys/class/net/gretap2/mtu").stdout == "1400\n"
    router.second("key = 3\n")
    again = router.wired()[1]
    assert again[0] == first and again[1] != second, "that one only is made again"


def test_a_stop_takes_its_own(router):
    first, _ = router.wired()[1]
    router.systemctl("stop", "l2wg-gretap2")
    assert router.becomes(lambda units, links, *_: units == ["active", "inactive"] and links[1] == "-")[1][0] == first
    router.systemctl("start", "l2wg-gretap2")
    assert router.wired()[1][0] == first


@pytest.mark.parametrize("unit", ["wg-quick-wg0", "br0-netdev"])
def test_they_follow_what_they_stand_on(router, unit):
    """Restarted, stopped, started. Both stop at once then: neither's stop makes the other's tunnel again."""
    router.wired()
    router.systemctl("restart", unit)
    router.wired()
    router.systemctl("stop", unit)
    router.gone()
    router.systemctl("start", unit)
    router.wired()


def test_a_device_that_goes_behind_their_back(router):
    router.wired()
    router.vm.sh("ip link del wg0")
    router.becomes(lambda units, links, *_: units == ["inactive"] * 2 and links == ["-", "-"])
    router.vm.sh("systemctl restart wg-quick-wg0", check=False, timeout=180)
    router.wired()


@pytest.mark.parametrize("lines", [
    "key = 9\nencapsulation = vxlan\n",
    "key = 4\nstorm-limit = 100\ndhcp = block\nvlans = untagged,10\n",
    "key = 5\nmss-clamp = iptables\n",
], ids=["vxlan", "fences", "iptables"])  # fmt: skip
def test_nothing_that_is_needed_is_forbidden(router, lines):
    if "iptables" in lines:  # as the module has it
        router.vm.sh("modprobe br_netfilter; for one in ip ip6 arp; do sysctl -qw net.bridge.bridge-nf-call-${one}tables=0; done")
    router.wired()
    router.second(lines)
    router.wired()
    router.vm.sh("l2wg plan", timeout=120)
    forbidden = "journalctl -b --no-pager -u 'l2wg-*' | grep -iE 'not permitted|read-only|SIGSYS|core-dump'"
    assert router.vm.sh(forbidden, check=False).stdout == ""


def test_stopped_they_leave_nothing(router):
    router.second("key = 9\nencapsulation = vxlan\n")
    router.wired()
    router.systemctl("stop", *UNITS)
    router.gone()
    assert "4789" not in router.vm.sh("ip rule").stdout


# A router of the other site in a namespace of its own, at the far end of a port: it advertises itself, and asks for an address here.
# Not by 192.168.92.1, which is br0's: the kernel drops what comes with an address of its own.
OTHER_SITE = """\
ip netns add other
ip link add port0 type veth peer name eth0 netns other
ip link set port0 up
ip address add 192.168.178.1/32 dev lo
ip netns exec other sh -c 'ip link set lo up; ip link set eth0 up; ip address add 192.168.92.7/24 dev eth0; ip address add fd00:92::1/64 dev eth0 nodad'
ip netns exec other dnsmasq --port=0 --interface=eth0 --enable-ra --dhcp-range=fd00:92::,ra-only --ra-param=eth0,4,1800 --pid-file=/run/other.pid
"""
OWN_BRIDGE = """\
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=/bin/sh -c 'ip link add name br1 type bridge && ip link set port0 master br1 && ip link set br1 up'
%s
ExecStop=/bin/sh -c 'ip link del dev br1'
"""


def test_a_bridge_of_the_modules_own_is_not_there_for_the_other_site(router, tmp_path):
    """Its sysctls and the line that applies them are evaluated; sysctl.d, systemd-sysctl and the kernel are real. Seen first without."""
    wish = dict(ONE, bridge="br1", bridgePorts=["port0"])
    got = evaluated(tmp_path, {"gretap1": wish}, {})
    vm = router.vm
    vm.sh(OTHER_SITE, timeout=120)
    vm.put("/root/br1.sh", ("set -e\n" + got["postStart"]["br1-netdev"]).encode())
    seen = "ip -6 route show default dev br1; ip -6 -o address show dev br1"
    arping = "ip netns exec other arping -q -f -c 3 -w 6 -I eth0 192.168.178.1"

    vm.put("/etc/systemd/system/br1-netdev.service", (OWN_BRIDGE % "").encode())
    vm.sh("systemctl daemon-reload; systemctl start br1-netdev", timeout=120)
    vm.sh("i=0; until ip -6 route show default dev br1 | grep -q via; do i=$((i + 1)); [ $i -lt 60 ]; sleep 0.5; done", timeout=120)
    assert vm.sh(arping, check=False).rc == 0

    lines = "".join("%s = %s\n" % pair for pair in sorted(got["conf"].items()))
    vm.put("/etc/sysctl.d/60-nixos.conf", lines.encode())
    vm.put("/etc/systemd/system/br1-netdev.service", (OWN_BRIDGE % "ExecStartPost=/bin/sh /root/br1.sh").encode())
    # Twice: what is made again is so again.
    for _ in range(2):
        vm.sh("systemctl daemon-reload; systemctl restart br1-netdev", timeout=120)
        assert vm.sh("cat /proc/sys/net/ipv6/conf/br1/accept_ra /proc/sys/net/ipv4/conf/br1/arp_ignore").stdout == "0\n1\n"
        # One that is sent now: in its first minute dnsmasq(8) lets up to 20 s pass between two.
        vm.sh("ip netns exec other timeout 60 tcpdump -n -i eth0 -c 1 'icmp6 && ip6[40] == 134'", timeout=120)
        assert vm.sh(seen).stdout == ""
        assert vm.sh(arping, check=False).rc == 1
    vm.sh("kill $(cat /run/other.pid); systemctl stop br1-netdev; ip netns del other; rm /etc/sysctl.d/60-nixos.conf")


L2W0 = """\
[Interface]
PrivateKey = %s
Address = 198.18.0.1/32

[Peer]
PublicKey = %s
AllowedIPs = 198.18.0.2/32
"""


def test_a_wire_of_its_own(router, tmp_path):
    """Its unit is not locked in: the namespace that it makes is seen by a shell outside."""
    wish = {"underlay": "l2w0", "local": "198.18.0.1", "remote": "198.18.0.2", "bridge": "br0", "wire": "own"}
    unit = installable(evaluated(tmp_path, {"gretap3": wish}, {"br0": {"interfaces": []}}))["l2wg-gretap3"]
    router.vm.sh("systemctl start br0-netdev wg-quick-wg0", timeout=180)
    keys = router.vm.sh("wg genkey; wg genkey | wg pubkey").stdout.split()
    router.vm.put("/etc/wireguard/l2w0.conf", (L2W0 % tuple(keys)).encode(), 0o600)
    router.vm.put("/etc/l2wg/gretap3.conf", "".join(f"{key} = {value}\n" for key, value in wish.items()).encode())
    router.vm.put("/etc/systemd/system/l2wg-gretap3.service", unit.encode())
    router.vm.sh("systemctl daemon-reload; systemctl enable --now l2wg-gretap3", timeout=180)
    assert router.vm.sh("systemctl is-active l2wg-gretap3").stdout == "active\n"
    assert router.vm.sh("ip -n l2wg -o link show dev l2w0 | wc -l; cat /sys/class/net/gretap3/brport/state").stdout == "1\n3\n"
    assert not router.vm.run(["test", "-e", "/sys/class/net/l2w0"], check=False).rc == 0
    # Made again by the unit when it has gone, and gone with its file.
    router.vm.sh("ip netns delete l2wg; systemctl restart l2wg-gretap3", timeout=180)
    assert router.vm.sh("ip -n l2wg -o link show dev l2w0 | wc -l").stdout == "1\n"
    router.vm.sh("systemctl disable --now l2wg-gretap3; rm /etc/l2wg/gretap3.conf; l2wg event up br0", timeout=180)
    assert router.vm.sh("ip netns list; ls /sys/class/net | grep -c gretap3 || :").stdout == "0\n"


def test_what_is_wrong_fails_the_unit_and_says_why(router):
    router.vm.put("/etc/l2wg/gretap2.conf", b"nonsense\n")
    router.vm.sh("systemctl restart l2wg-gretap2", check=False, timeout=180)
    said = router.vm.sh("systemctl show -p Result l2wg-gretap2; journalctl -b -u l2wg-gretap2 -o cat --no-pager").stdout
    assert "Result=exit-code" in said and "/etc/l2wg/gretap2.conf:1: 'nonsense' is not `key = value`" in said
