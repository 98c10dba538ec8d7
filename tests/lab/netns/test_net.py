"""Three sites by one file of sites, the same everywhere: a star, then a mesh. One story, in this order.

hostA -- enp3s0  A: the hub, wg0 by wg-quick, and a peer of somebody else's
hostB -- enp3s0  B: wg0 by wg-quick            all three with enp1s0 in one network, `wan`
hostC -- enp3s0  C: l2w0, which l2wg makes itself
"""

import concurrent.futures
import itertools
import json
import os
import sys
from pathlib import Path

import pytest
import topology
from hosts import eventually
from sites import END, NEW_SITE, Namespace, Site

LAB = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(LAB.parents[1]))
from l2wg_hooks.config import card, own_wire

NAMES = {"A": "hq", "B": "branch-b", "C": "branch-c"}
WAN = {"A": "203.0.113.1", "B": "203.0.113.2", "C": "203.0.113.3"}
INNER = {"A": "198.18.0.1", "B": "198.18.0.2", "C": "198.18.0.3"}
PORTS = {"A": 4900, "B": 4900, "C": 4901}
# By its name, which /etc/hosts has: wg(8) is never told it.
ENDPOINTS = {"A": "hq.lab.example:4900", "B": "203.0.113.2:4900", "C": "203.0.113.3:4901"}
HOSTS = {"A": "192.168.92.10", "B": "192.168.92.20", "C": "192.168.92.30"}
STRANGER = topology.new_keys().public
END_ALL = END + "umount -q -R -l /lab/C || :\n"
STAR, MESH = "net shape=star hub=hq\n", "net shape=mesh\n"


class Net:
    """The sites, their hosts, and the lines of the file."""

    inner = INNER

    def __init__(self, vm):
        self.vm = vm
        self.sites = {name: Site(vm, name) for name in NAMES}
        self.hosts = {name: Namespace(vm, f"host{name}") for name in NAMES}
        self.keys = {name: topology.new_keys() for name in NAMES}
        self.lines = {name: self.line(name) for name in NAMES}
        self.net = STAR
        self.lay()
        self.configure()

    def lay(self):
        """Routers, hosts and the wires between them, with nothing of WireGuard yet."""
        vm = self.vm
        vm.sh(END_ALL)
        script = ["set -e", "ip netns add wan", "ip -n wan link add lan type bridge", "ip -n wan link set lan up"]
        for name in NAMES:
            vm.run(["sh", "-c", NEW_SITE, "sh", name])
            host = f"host{name}"
            script += [
                f"ip link add enp1s0 netns {name} type veth peer name to{name} netns wan",
                f"ip -n wan link set to{name} master lan up",
                f"ip -n {name} address add {WAN[name]}/24 dev enp1s0; ip -n {name} link set enp1s0 up",
                f"ip netns add {host}; ip link add eth0 netns {host} type veth peer name enp3s0 netns {name}",
                f"ip -n {host} link set lo up; ip -n {host} link set eth0 up; ip -n {host} address add {HOSTS[name]}/24 dev eth0",
            ]
        vm.sh("\n".join(script))
        vm.put("/root/frames.py", (LAB / "frames.py").read_bytes())
        for name, site in self.sites.items():
            site.write("/etc/network/interfaces", "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n")
            site.write("/etc/hosts", f"127.0.0.1 localhost\n{WAN['A']} hq.lab.example\n")

    def configure(self):
        """WireGuard, as each of the three has it."""
        for name, site in self.sites.items():
            mark = own_wire.MARK + "\n" if name == "C" else ""
            # The hub's address has its network, from which its routes come; B's has none.
            text = f"[Interface]\n{mark}PrivateKey = {self.keys[name].private}\nListenPort = {PORTS[name]}\n"
            text += f"Address = {self.inner[name]}/{self.width(name)}\n"
            text += f"[Peer]\nPublicKey = {STRANGER}\nAllowedIPs = 10.77.0.0/24\n" if name == "A" else ""
            site.write(f"/etc/wireguard/{'l2w0' if name == 'C' else 'wg0'}.conf", text, 0o600)
            if name != "C":
                site.l2wg("attach", "wg0")
                site.run(["wg-quick", "up", "wg0"])

    def width(self, name):
        """The prefix length of its address inside WireGuard."""
        return 24 if name == "A" else 32

    def line(self, name, words="bridge-ports=enp3s0"):
        return f"{card.encode(card.Card(NAMES[name], self.keys[name].public, ENDPOINTS[name], (self.inner[name],)))} {words}\n"

    def write(self, *names):
        """The file as it is now, at these sites."""
        for name in names:
            self.sites[name].write("/etc/l2wg/sites", self.net + "".join(self.lines.values()))

    def apply(self, *names):
        self.write(*names)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for result in pool.map(lambda name: self.sites[name].l2wg("apply"), names):
                assert result.rc == 0

    def reach(self, here, there, size=1472):
        """Whether one of the hosts hears another one's answer, by packets of 1,500 bytes with DF."""
        return self.hosts[here].ping(HOSTS[there], timeout=1, size=size, fragment=False) == 1

    def all_reach_all(self, names="ABC"):
        for here, there in itertools.permutations(names, 2):
            eventually(lambda: self.reach(here, there), 60)  # it is called here

    def heard(self, source):
        """{site: how often its host has heard one ARP question of a host}, of those that ask and those that do not."""
        token, ready = os.urandom(8), "/root/ready"
        self.vm.sh(f"rm -f {ready}*")
        mac = bytes.fromhex(self.hosts[source].links()["eth0"]["address"].replace(":", ""))
        who, whom = (bytes(map(int, address.split("."))) for address in (HOSTS[source], "192.168.92.77"))
        frame = b"\xff" * 6 + mac + bytes.fromhex("08060001080006040001") + mac + who + bytes(6) + whom + token + bytes(10)
        ears = {name: host.start(["python3", "/root/frames.py", "listen", 6, ready + name], timeout=60, input=token.hex()) for name, host in self.hosts.items()}
        eventually(lambda: all(self.vm.run(["test", "-e", ready + name], check=False).rc == 0 for name in ears), 30)
        self.hosts[source].run(["python3", "/root/frames.py", "send", ready + source], input=frame.hex())
        return {name: len(json.loads(ear.wait().stdout)[token.hex()]) for name, ear in ears.items()}

    def tunnels(self, name):
        return {link for link, seen in self.sites[name].links().items() if seen.get("ifalias") == "l2wg"}

    def peers(self, name):
        return set(self.sites[name].run(["wg", "show", "wg0", "peers"]).stdout.split())


@pytest.fixture(scope="module")
def net(vm):
    made = Net(vm)
    yield made
    vm.sh(END_ALL)


def planned(site):
    """What `l2wg plan` would do; "" for nothing."""
    result = site.l2wg("plan", check=False)
    return (result.stdout + result.stderr) if result.rc else ""


def test_a_star_from_one_file(net):
    assert not net.reach("B", "A")
    net.apply(*NAMES)
    net.all_reach_all()
    assert net.tunnels("A") == {"branch-b", "branch-c"} and net.tunnels("B") == net.tunnels("C") == {"hq"}
    # By one file each finds its own part, and has nothing left to do.
    assert [planned(site) for site in net.sites.values()] == ["", "", ""]
    assert net.peers("A") == {STRANGER, net.keys["B"].public, net.keys["C"].public}
    routes = {name: net.sites[name].run(["ip", "route", "show", "proto", "47"]).stdout.split() for name in "AB"}
    assert routes == {"A": [], "B": ["198.18.0.1", "dev", "wg0", "scope", "link"]}


@pytest.mark.parametrize("source", NAMES)
def test_one_question_is_heard_once_everywhere(net, source):
    assert net.heard(source) == {name: int(name != source) for name in NAMES}


def test_a_broken_line_does_not_cut(net):
    hub = net.sites["A"]
    whole = hub.read("/etc/l2wg/sites")
    hub.write("/etc/l2wg/sites", whole.replace(net.lines["B"], net.lines["B"][:40] + "\n"))
    result = hub.l2wg("up", "wg0")
    assert "/etc/l2wg/sites:3: " in result.stderr and "hint: " in result.stderr
    for command in ("plan", "check", "status"):
        said = hub.l2wg(command, check=False)
        assert "sites:3: " in said.stdout + said.stderr, command
    assert hub.l2wg("apply", check=False).rc == 1
    assert net.tunnels("A") == {"branch-b", "branch-c"} and net.reach("A", "B") and net.reach("B", "C")
    # Whoever restarts WireGuard meanwhile has all of it back; the others call.
    hub.run(["wg-quick", "down", "wg0"])
    assert net.tunnels("A") == set()
    hub.run(["wg-quick", "up", "wg0"])
    assert net.tunnels("A") == {"branch-b", "branch-c"}
    net.all_reach_all()
    hub.write("/etc/l2wg/sites", whole)
    assert hub.l2wg("up", "wg0").stderr == "" and planned(hub) == ""


def test_the_middle_line_goes_and_comes_back(net):
    hub = net.sites["A"]
    gone = net.lines.pop("B")
    net.write("A")
    # An event does not know an older copy from a site that is to go.
    assert "no line has branch-b any longer" in hub.l2wg("up", "wg0").stderr
    assert net.tunnels("A") == {"branch-b", "branch-c"} and net.reach("B", "A")
    net.apply("A")
    assert net.tunnels("A") == {"branch-c"} and net.peers("A") == {STRANGER, net.keys["C"].public}
    assert net.reach("A", "C") and not net.reach("B", "A")
    net.lines = {"A": net.lines["A"], "B": gone, "C": net.lines["C"]}
    net.apply("A")
    net.all_reach_all()
    assert planned(hub) == ""


def test_a_tombstone_takes_a_site_out_at_the_next_event(net):
    line, hub = net.lines["B"], net.sites["A"]
    net.lines["B"] = line.replace("\n", " gone=2026-11-29\n")
    net.write("A")
    hub.l2wg("up", "wg0")
    assert net.tunnels("A") == {"branch-c"} and net.peers("A") == {STRANGER, net.keys["C"].public}
    net.lines["B"] = line
    net.apply("A")
    net.all_reach_all()


def test_revoke_puts_a_site_out_and_rollback_takes_that_back(net):
    hub = net.sites["A"]
    text, guard = hub.read("/etc/l2wg/sites"), ["nft", "list", "table", "inet", "l2wg"]
    assert INNER["B"] in hub.run(guard).stdout
    said = hub.l2wg("revoke", "branch-b", "--yes").stderr
    assert "branch-b is out at once" in said and "copy it to branch-c" in said
    assert net.tunnels("A") == {"branch-c"} and net.peers("A") == {STRANGER, net.keys["C"].public}
    assert INNER["B"] not in hub.run(guard).stdout and not net.reach("B", "A") and net.reach("A", "C")
    assert "out since" in hub.l2wg("sites", check=False).stdout and planned(hub) == ""
    hub.l2wg("rollback", "--yes")
    assert hub.read("/etc/l2wg/sites") == text and net.tunnels("A") == {"branch-b", "branch-c"}
    net.all_reach_all()


def test_branches_may_be_isolated(net):
    net.net = STAR.replace("\n", " isolated=yes\n")
    net.apply(*NAMES)
    assert net.reach("A", "B") and net.reach("A", "C") and not net.reach("B", "C")
    assert net.heard("B") == {"A": 1, "B": 0, "C": 0}
    net.net = STAR
    net.apply(*NAMES)
    net.all_reach_all()


def test_a_file_of_its_own_wins(net):
    """With a peer in WireGuard's own file, which is the admin's, and is used as it is."""
    site = net.sites["B"]
    conf = site.read("/etc/wireguard/wg0.conf")
    peer = f"[Peer]\nPublicKey = {net.keys['A'].public}\nAllowedIPs = {INNER['A']}/32\nEndpoint = {WAN['A']}:4900\n"
    site.write("/etc/wireguard/wg0.conf", conf + peer, 0o600)
    site.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
    assert net.tunnels("B") == {"hq"} and site.run(["ip", "route", "show", "proto", "47"]).stdout == ""
    net.all_reach_all("AB")
    site.l2wg("set", "byhand", "underlay=wg0", f"local={INNER['B']}", f"remote={INNER['A']}", "bridge=br0", "bridge-ports=enp3s0")
    site.l2wg("apply")
    assert net.tunnels("B") == {"byhand"} and net.peers("B") == {net.keys["A"].public}
    net.all_reach_all("AB")
    site.sh("rm /etc/l2wg/byhand.conf")
    net.apply("B")
    assert net.tunnels("B") == {"hq"} and net.peers("B") == {net.keys["A"].public}
    site.write("/etc/wireguard/wg0.conf", conf, 0o600)
    site.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
    net.all_reach_all()


def test_a_mesh(net):
    net.net = MESH
    for name in NAMES:
        net.apply(name)
    assert {name: net.tunnels(name) for name in NAMES} == {name: {NAMES[other] for other in NAMES if other != name} for name in NAMES}
    net.all_reach_all()
    for source in NAMES:
        assert net.heard(source) == {name: int(name != source) for name in NAMES}
    # The hub's cut is nobody else's.
    net.sites["A"].run(["wg-quick", "down", "wg0"])
    assert net.reach("B", "C") and not net.reach("A", "B")
    net.sites["A"].run(["wg-quick", "up", "wg0"])
    net.all_reach_all()


@pytest.mark.parametrize("name", ["B", "C"])
def test_the_next_start_is_rehearsed(net, name):
    result = net.sites[name].run(["l2wg", "rehearse"], check=False, timeout=400)
    assert result.rc == 0, result.stdout + result.stderr


def test_without_the_file_all_of_it_goes(net):
    for name, site in net.sites.items():
        site.sh("rm /etc/l2wg/sites")
        site.l2wg("apply")
        assert net.tunnels(name) == set() and not site.exists("/run/l2wg.sites")
    assert net.peers("A") == {STRANGER} and net.peers("B") == set()
    assert net.sites["B"].run(["ip", "route", "show", "proto", "47"]).stdout == ""
    assert not net.sites["C"].exists("/run/netns/l2wg")
