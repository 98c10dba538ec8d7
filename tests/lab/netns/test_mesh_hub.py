"""A mesh of VXLAN over a star of WireGuard: of three sites two are behind NATs of their own, and cannot call each other.

hostA -- enp3s0  A: the hub, l2w0 of l2wg's own, then wg0 of wg-quick's
hostB -- enp3s0  B: wg0 by wg-quick                -- NATB --   all with `wan`
hostC -- enp3s0  C: l2w0, which l2wg makes itself  -- NATC --
"""

import itertools
import re
import struct

import packets
import pytest
from hosts import eventually
from test_mesh_vxlan import Mesh
from test_net import END_ALL, HOSTS, INNER, NAMES, WAN, planned

OWN = "net shape=mesh encapsulation=vxlan hub=hq\n"
WIDE = OWN.replace("\n", " network=198.18.0.0/15\n")
NAT = """
set -e
ip -n {name} link delete enp1s0
ip netns add NAT{name}
ip link add enp1s0 netns {name} type veth peer name eth0 netns NAT{name}
ip link add eth1 netns NAT{name} type veth peer name to{name} netns wan
ip -n wan link set to{name} master lan up
ip -n NAT{name} link set lo up; ip -n NAT{name} link set eth0 up; ip -n NAT{name} link set eth1 up
ip -n NAT{name} address add 10.7.{number}.1/24 dev eth0
ip -n NAT{name} address add {wan}/24 dev eth1
ip -n {name} address add 10.7.{number}.10/24 dev enp1s0; ip -n {name} link set enp1s0 up; ip -n {name} route add default via 10.7.{number}.1
ip netns exec NAT{name} sysctl -qw net.ipv4.ip_forward=1
ip netns exec NAT{name} nft -f - <<'END'
table ip nat {{
    chain translated {{ type nat hook postrouting priority 100; oifname eth1 masquerade random; }}
    chain inward {{ type filter hook forward priority 0; policy accept; iifname eth1 ct state new drop; }}
}}
END
"""
# What comes to B by its WireGuard from C's address, before anybody drops one: by what it is. And what B forwards never counts.
SEEN = {"vxlan": "udp dport 4789", "echo": "ip protocol icmp", "syn": "tcp dport 22", "other": "udp dport 4790"}
PROBE = "add table inet probe; add chain inet probe in { type filter hook prerouting priority -400; }" + "".join(
    f"; add counter inet probe {name}; add rule inet probe in iifname wg0 ip saddr {INNER['C']} {match} counter name {name}" for name, match in SEEN.items()
)
# On the way between all sites: anything with an address inside WireGuard, or of VXLAN.
CLEAR = """
add table bridge probe; add chain bridge probe pass { type filter hook prerouting priority -400; }
add counter bridge probe clear
add rule bridge probe pass ether type ip ip saddr 198.18.0.0/15 counter name clear
add rule bridge probe pass ether type ip ip daddr 198.18.0.0/15 counter name clear
add rule bridge probe pass ether type ip udp dport 4789 counter name clear
"""
# As l2wg's own rules are in force but let all pass.
OPEN = {"own": "l2wg exec nft insert rule inet l2wg transit accept", "shared": "nft flush chain inet l2wg transit_1"}


class Hub(Mesh):
    """B and C are behind NATs; the hub's wire is `wire`."""

    wire = "own"

    def configure(self):
        self.wires = {"A": "l2w0", "B": "wg0", "C": "l2w0"}
        for number, name in enumerate("BC", 2):
            self.vm.sh(NAT.format(name=name, number=number, wan=WAN[name]))
            self.lines[name] = self.line(name, endpoint="")
        for name, site in self.sites.items():
            self.make(name, self.wires[name])

    def make(self, name, wire):
        site, mark = self.sites[name], "# Not for wg-quick(8): l2wg makes this interface itself (wire = own in l2wg.conf(5)).\n"
        text = f"[Interface]\n{mark if wire == 'l2w0' else ''}PrivateKey = {self.keys[name].private}\n"
        text += f"Address = {INNER[name]}/32\n" + ("ListenPort = 4900\n" if name == "A" else "")
        site.write(f"/etc/wireguard/{wire}.conf", text, 0o600)
        if wire == "wg0":
            site.l2wg("attach", "wg0")
            site.run(["wg-quick", "up", "wg0"])

    def line(self, name, words="bridge-ports=enp3s0", endpoint=None):
        from test_net import ENDPOINTS, card

        known = card.Card(NAMES[name], self.keys[name].public, ENDPOINTS[name] if endpoint is None else endpoint, (INNER[name],))
        return f"{card.encode(known)} {words}\n"

    def wg(self, name, *words):
        """What wg(8) says of a site's WireGuard."""
        wire = self.wires[name]
        inside = ["l2wg", "exec"] if wire == "l2w0" else []
        return self.sites[name].run([*inside, "wg", "show", wire, *words]).stdout

    def allowed(self, name):
        """{public key: its AllowedIPs}."""
        return {key: set(words.split()) for key, words in (row.split("\t") for row in self.wg(name, "allowed-ips").splitlines())}

    def switch(self, name, word):
        """A switch of the kernel where a site's WireGuard is."""
        inside = ["l2wg", "exec"] if self.wires[name] == "l2w0" else []
        return self.sites[name].run([*inside, "sysctl", "-n", word]).stdout.strip()

    def send(self, name, *whole):
        """Send IP packets from where a site's WireGuard is."""
        inside = "/run/netns/l2wg" if self.wires[name] == "l2w0" else ""
        script = "import socket, sys\ns = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)\ns.bind((sys.argv[1], 0x0800))\n"
        script += "for row in sys.stdin.read().split():\n    s.send(bytes.fromhex(row))\n"
        argv = (["nsenter", f"--net={inside}"] if inside else []) + ["python3", "-c", script, self.wires[name]]
        self.sites[name].run(argv, input="\n".join(packet.hex() for packet in whole))

    def counted(self, site, script):
        """{counter: packets} of a site's table inet probe, while `script` is called."""
        site.run(["nft", "reset", "counters", "table", "inet", "probe"])
        script()
        said = site.run(["nft", "list", "counters", "table", "inet", "probe"]).stdout
        return {name: int(count) for name, count in re.findall(r"counter (\w+) {\s*packets (\d+)", said)}


def udp(source, target, port, data=b"x" * 8):
    head = struct.pack("!HHHH", 40000, port, 8 + len(data), 0)
    return packets.ip4(source, target, 17, head + data)[0]


def others(source, target):
    """Packets of all sorts but VXLAN, from one site's address inside WireGuard to another's."""
    echo = b"\x08\x00" + struct.pack("!HHH", 0, 1, 1)
    echo = echo[:2] + struct.pack("!H", packets.checksum(echo)) + echo[4:]
    syn = struct.pack("!HHIIBBHHH", 40000, 22, 1, 0, 0x50, 0x02, 1024, 0, 0)
    return [packets.ip4(source, target, 1, echo)[0], packets.ip4(source, target, 6, syn)[0], udp(source, target, 4790)]


@pytest.fixture(scope="module")
def net(vm):
    made = Hub(vm)
    made.net = OWN
    made.sites["B"].run(["nft", PROBE])
    vm.sh("ip netns exec wan modprobe -q nf_tables; ip netns exec wan nft -f - <<'END'\n" + CLEAR + "END\n")
    assert not made.reach("B", "A"), "the probe sees a wire where none is"
    made.apply(*NAMES)
    yield made
    vm.sh(END_ALL)


def clear(net):
    """How many packets have crossed the wide area that are not WireGuard's, since the last time."""
    said = net.vm.sh("ip netns exec wan nft reset counters table bridge probe").stdout
    return int(re.search(r"packets (\d+)", said).group(1))


def test_each_reaches_all_others_by_the_hub(net):
    net.all_reach_all()
    for name, site in net.sites.items():
        assert net.tunnels(name) == {"mesh"} and net.flooded(name) == net.others(name)
        assert planned(site) == ""
    hub, every = net.keys["A"].public, {f"{address}/32" for address in INNER.values()}
    for name in "BC":
        assert net.allowed(name) == {hub: every - {f"{INNER[name]}/32"}}, "one peer"
    assert net.allowed("A") == {net.keys[name].public: {f"{INNER[name]}/32"} for name in "BC"}


def test_one_question_is_heard_once_everywhere(net):
    net.once_everywhere()


def test_forwarding_is_on_at_the_hub_and_nowhere_else(net):
    assert net.switch("A", "net.ipv4.conf.l2w0.forwarding") == "1"
    assert net.switch("A", "net.ipv4.conf.l2w0.send_redirects") == net.switch("A", "net.ipv4.conf.all.send_redirects") == "0"
    assert net.switch("A", "net.ipv4.ip_forward") == net.switch("A", "net.ipv6.conf.all.forwarding") == "0"
    assert net.switch("C", "net.ipv4.conf.l2w0.forwarding") == net.switch("C", "net.ipv4.ip_forward") == "0"
    net.event("A")
    assert net.event("A") == [] and net.switch("A", "net.ipv4.conf.l2w0.forwarding") == "1"


def nothing_else_is_forwarded(net):
    """From C to B, both by the hub; the probe is shown to see first."""
    hub, far = net.sites["A"], net.sites["B"]
    sent = others(INNER["C"], INNER["B"])
    hub.sh(OPEN[net.wire])
    assert min(net.counted(far, lambda: (net.send("C", *sent), net.reach("C", "B"))).values()) > 0, "the probe sees nothing"
    net.event("A")
    found = net.counted(far, lambda: (net.send("C", *sent), net.reach("C", "B")))
    assert found.pop("vxlan") > 0 and set(found.values()) == {0}, found


def test_nothing_else_is_forwarded(net):
    nothing_else_is_forwarded(net)


@pytest.mark.long
def test_nobody_sends_in_anothers_name(net):
    """WireGuard at the hub lets each site send as itself only."""

    def forged():
        net.send("C", udp(INNER["A"], INNER["B"], 4789), udp("198.18.0.99", INNER["B"], 4789))
        net.send("C", udp(INNER["C"], INNER["B"], 4789))

    site = net.sites["B"]
    match = "iifname wg0 ip saddr { 198.18.0.1, 198.18.0.99 } udp dport 4789 ip length 36"
    site.run(["nft", f"add counter inet probe forged; add rule inet probe in {match} counter name forged"])
    found = net.counted(site, forged)
    assert found["forged"] == 0 and found["vxlan"] == 1, "C's own comes"


@pytest.mark.long
def test_an_event_opens_what_somebody_has_closed_and_closes_what_somebody_has_opened(net):
    hub = net.sites["A"]
    inside = ["l2wg", "exec", "sysctl", "-qw"]
    hub.run([*inside, "net.ipv4.conf.l2w0.forwarding=0"])
    assert not net.reach("B", "C")
    net.event("A")
    assert net.reach("B", "C")
    hub.run([*inside, "net.ipv4.ip_forward=1", "net.ipv4.conf.l2w0.send_redirects=1"])
    net.event("A")
    assert net.switch("A", "net.ipv4.ip_forward") == "0" and net.switch("A", "net.ipv4.conf.l2w0.send_redirects") == "0" and net.reach("B", "C")
    site = net.sites["C"]
    site.run([*inside, "net.ipv4.conf.l2w0.forwarding=1"])
    site.run(["/usr/lib/l2wg/look"], timeout=120)
    assert net.switch("C", "net.ipv4.conf.l2w0.forwarding") == "0", "by the watch, too"


def test_what_is_shown(net):
    said = " ".join(net.sites["B"].l2wg("sites", check=False).stdout.split())
    assert "by hq" in said and "nothing is wrong" in said, said
    said = " ".join(net.sites["A"].l2wg("sites", check=False).stdout.split())
    assert "by hq" not in said and "nothing is wrong" in said, said
    for name in NAMES:
        said = net.sites[name].l2wg("status", "--diagram", check=False).stdout
        assert "WRONG" not in said, said


@pytest.mark.long
def test_nothing_is_in_the_clear_when_the_hub_goes(net):
    assert clear(net) == 0 or clear(net) == 0
    net.sites["B"].sh(
        "ip address add 198.18.0.77/32 dev lo; ip route add 203.0.113.1 via 10.7.2.1 src 198.18.0.77; ping -c 1 -W 1 203.0.113.1 || :; "
        "ip route del 203.0.113.1; ip address del 198.18.0.77/32 dev lo"
    )
    net.vm.sh('ip netns exec NATC python3 -c \'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.1", 4789))\'')
    assert clear(net) > 0, "the probe sees nothing"
    beats = [net.hosts[name].start(["ping", "-n", "-q", "-i", "0.2", "-c", "40", HOSTS[other]], timeout=90) for name, other in itertools.permutations(NAMES, 2)]
    net.sites["A"].l2wg("down", "l2w0")
    net.sites["B"].run(["wg-quick", "down", "wg0"])
    net.sites["C"].l2wg("down", "l2w0")
    for beat in beats:
        beat.wait()
    assert clear(net) == 0
    net.sites["C"].l2wg("up", "l2w0")
    net.sites["B"].run(["wg-quick", "up", "wg0"])
    net.sites["A"].l2wg("up", "l2w0")
    net.all_reach_all()


@pytest.mark.long
def test_the_network_stands_for_all(net):
    net.net = WIDE
    net.apply(*NAMES)
    for name in "BC":
        assert net.allowed(name) == {net.keys["A"].public: {"198.18.0.0/15"}}
    net.all_reach_all()
    net.once_everywhere()


@pytest.mark.long
def test_a_site_is_out_by_the_hub_alone(net):
    line = net.lines["B"]
    net.lines["B"] = line.replace("\n", " gone=2026-11-29\n")
    net.write("A")
    net.event("A")
    assert net.heard("B") == {"A": 0, "B": 0, "C": 0} and not net.reach("C", "B") and net.reach("C", "A")
    assert net.switch("A", "net.ipv4.conf.l2w0.forwarding") == "0", "nobody is left whom it would forward for"
    net.lines["B"] = line
    net.apply("A")
    net.all_reach_all()


@pytest.mark.long
def test_without_the_hub_in_its_line_it_forwards_no_more(net):
    """Then A reaches both, and these two do not reach each other: that is what the hub is for."""
    net.net = OWN.replace(" hub=hq", "")
    net.apply(*NAMES)
    assert net.switch("A", "net.ipv4.conf.l2w0.forwarding") == "0"
    eventually(lambda: net.reach("A", "B") and net.reach("A", "C"), 60)
    assert not net.reach("B", "C") and not net.reach("C", "B")
    net.net = OWN
    net.apply(*NAMES)
    net.all_reach_all()


# The hub's WireGuard is wg-quick's, among all that the router has.


@pytest.mark.long
def test_a_shared_hub(net):
    net.wire, net.wires["A"] = "shared", "wg0"
    hub = net.sites["A"]
    hub.sh("sysctl -qw net.ipv4.ip_forward=0")
    hub.sh("mv /etc/l2wg/sites /etc/l2wg/away; l2wg apply --no-rehearsal; mv /etc/l2wg/away /etc/l2wg/sites; rm /etc/wireguard/l2w0.conf", timeout=120)
    net.make("A", "wg0")
    said = hub.l2wg("apply", check=False)
    assert "sysctl -w net.ipv4.conf.wg0.forwarding=1" in said.stdout + said.stderr
    eventually(lambda: net.reach("A", "B") and net.reach("A", "C"), 60)
    assert not net.reach("B", "C")
    for command in ("status", "sites", "check"):
        said = hub.l2wg(command, check=False)
        assert "net.ipv4.conf.wg0.forwarding" in " ".join((said.stdout + said.stderr).split()), command
    hub.sh("sysctl -qw net.ipv4.conf.wg0.forwarding=1")
    net.all_reach_all()
    assert planned(hub) == ""
    net.once_everywhere()


@pytest.mark.long
def test_a_shared_hub_lets_nobody_else_send_for_a_site(net):
    """From the wide area, by the hub, into the tunnel of B in the name of C: WireGuard there takes it, as the hub is its peer."""
    hub, far = net.sites["A"], net.sites["B"]
    hub.sh("sysctl -qw net.ipv4.conf.enp1s0.forwarding=1 net.ipv4.conf.enp1s0.rp_filter=0 net.ipv4.conf.all.rp_filter=0")
    frame = packets.ethernet(hub.links()["enp1s0"]["address"], "02:00:00:00:66:66", 0x0800, udp(INNER["C"], INNER["B"], 4789))
    later = packets.ip4(INNER["C"], INNER["B"], 17, bytes(64), cuts=(32,))[1]
    frames = "\n".join([frame.hex(), packets.ethernet(hub.links()["enp1s0"]["address"], "02:00:00:00:66:66", 0x0800, later).hex()])
    far.run(["nft", f"add counter inet probe later; add rule inet probe in iifname wg0 ip saddr {INNER['C']} ip frag-off & 0x1fff != 0 counter name later"])
    script = "import socket, sys\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('lan', 0))\n"
    script += "for row in sys.stdin.read().split():\n    s.send(bytes.fromhex(row))\n"
    inject = lambda: net.vm.run(["nsenter", "--net=/run/netns/wan", "python3", "-c", script], input=frames)  # noqa: E731
    hub.sh(OPEN["shared"])
    found = net.counted(far, inject)
    assert found["vxlan"] == 1, "the probe sees nothing"
    net.event("A")
    found = net.counted(far, inject)
    assert found["vxlan"] == 0 and found["later"] == 0
    assert net.reach("B", "C")


@pytest.mark.long
def test_a_shared_hub_that_masquerades(net):
    """What it forwards for sites is not translated, or B would learn C's stations behind the hub."""
    hub = net.sites["A"]
    hub.run(["nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname wg0 masquerade"])
    net.all_reach_all()
    net.once_everywhere()
    assert INNER["C"] in {far for mac, far in net.table("B") if mac != "00:00:00:00:00:00"}
    hub.run(["nft", "flush", "chain", "inet", "l2wg", "stateless_in"])
    eventually(lambda: not net.reach("B", "C"), 30)  # so it is that which has it work
    net.event("A")
    net.all_reach_all()
    hub.run(["nft", "delete table ip nat"])


@pytest.mark.long
def test_a_firewall_that_forwards_nothing_is_named(net):
    hub = net.sites["A"]
    hub.run(["nft", "add table inet wall; add chain inet wall forward { type filter hook forward priority 0; policy drop; }"])
    assert not net.reach("B", "C")
    said = hub.l2wg("check", "--json", check=False).stdout.replace('\\"', '"')
    assert "inet wall forward" in said and "hub-firewall" in said, said
    (cure,) = set(re.findall(r"nft 'insert rule inet wall forward [^']*'", said))
    hub.sh(cure)
    assert net.reach("B", "C")
    hub.run(["nft", "delete table inet wall"])


@pytest.mark.long
def test_no_redirect_leads_anybody_astray(net):
    """A shared hub tells of a way that there is not; routes by an interface without a gateway take no such advice."""
    net.sites["B"].run(["nft", "add counter inet probe advice; add rule inet probe in iifname wg0 icmp type redirect counter name advice"])
    net.all_reach_all()
    assert "redirected" not in net.sites["B"].sh(f"ip route get {INNER['C']}; ip route show cache").stdout
    net.all_reach_all()
