"""One VXLAN with several remotes: three sites by one file of sites, then by files of their own. One story, in this order.

The net is that of test_net.py: A and B have a wg0 of wg-quick's, C a wire of its own.
"""

import json
import re

import pytest
from hosts import eventually
from test_net import END_ALL, INNER, NAMES, PORTS, WAN, Net, planned

FLOOD = "00:00:00:00:00:00"
MESH = "net shape=mesh encapsulation=vxlan\n"
WIRES = {"A": "wg0", "B": "wg0", "C": "l2w0"}
NOBODY = "198.18.0.99"
# Counts VXLAN's packets that come in by WireGuard, before anybody drops one: by who sends them.
PROBE = "add table inet probe; add chain inet probe seen { type filter hook prerouting priority -400; }" + "".join(
    f"; add counter inet probe from{name}; add rule inet probe seen ip saddr {address} udp dport 4789 counter name from{name}" for name, address in INNER.items()
)


class Mesh(Net):
    name = "mesh"

    def others(self, name):
        return {self.inner[other] for other in NAMES if other != name}

    def table(self, name):
        """[(Ethernet address, far end)] of the device's own table."""
        said = self.sites[name].run(["bridge", "fdb", "show", "dev", self.name]).stdout
        return re.findall(r"^(\S+).* dst (\S+)", said, re.MULTILINE)

    def flooded(self, name):
        found = [far for mac, far in self.table(name) if mac == FLOOD]
        assert len(set(found)) == len(found), "twice"
        return set(found)

    def number(self, name):
        """Of the device: another one, and it was made anew."""
        return self.sites[name].links()[self.name]["ifindex"]

    def ports(self, name):
        """Those of br0 that l2wg has made."""
        return [link for link, seen in self.sites[name].links().items() if seen.get("master") == "br0" and seen.get("ifalias") == "l2wg"]

    def event(self, name):
        """An event; the commands that it has run."""
        said = self.sites[name].run(["l2wg", "event", "up", "br0"], timeout=120)
        return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("[l2wg]")]

    def by_files(self):
        """Each site's tunnel by a file of its own, vx, and its peers in WireGuard's."""
        self.name = "vx"
        for name, site in self.sites.items():
            site.sh("rm /etc/l2wg/sites")
            wire = WIRES[name]
            path = f"/etc/wireguard/{wire}.conf"
            width = 128 if ":" in self.inner[name] else 32
            peers = "".join(
                f"[Peer]\nPublicKey = {self.keys[other].public}\nAllowedIPs = {self.inner[other]}/{width}\nEndpoint = {WAN[other]}:{PORTS[other]}\n"
                for other in NAMES
                if other != name
            )
            site.write(path, site.read(path) + peers, 0o600)
            remotes = " ".join(sorted(self.others(name)))
            values = [f"underlay={wire}", f"local={self.inner[name]}", f"remote={remotes}", "encapsulation=vxlan", "bridge=br0", "bridge-ports=enp3s0"]
            site.l2wg("set", "vx", *values, *(["wire=own"] if name == "C" else []))
            if name != "C":
                site.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
            site.l2wg("apply")
            assert self.tunnels(name) == {"vx"} and planned(site) == ""

    def once_everywhere(self):
        for source in NAMES:
            assert self.heard(source) == {name: int(name != source) for name in NAMES}


@pytest.fixture(scope="module")
def net(vm):
    made = Mesh(vm)
    made.net = MESH
    yield made
    vm.sh(END_ALL)


def test_each_has_one_tunnel_to_all_others(net):
    assert not net.reach("B", "A")
    net.apply(*NAMES)
    net.all_reach_all()
    for name, site in net.sites.items():
        assert net.tunnels(name) == {"mesh"} and net.ports(name) == ["mesh"], "one port, however many sites"
        assert net.flooded(name) == net.others(name)
        assert planned(site) == "" and "remote" not in site.links()["mesh"]["linkinfo"]["info_data"]


def test_one_question_is_heard_once_everywhere(net):
    net.once_everywhere()


@pytest.mark.parametrize("name", NAMES)
def test_an_event_with_nothing_to_do_does_nothing(net, name):
    before = net.number(name), sorted(net.table(name))
    assert net.event(name) == [] == net.event(name)
    assert net.number(name) == before[0] and net.flooded(name) == net.others(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("by", ["event", "watch"])
def test_the_table_is_brought_back_to_the_list(net, name, by):
    site, lost = net.sites[name], sorted(net.others(name))[0]
    for _ in range(2):
        # It has seen that all is right.
        site.run(["/usr/lib/l2wg/look"], timeout=120)
    assert "flood=mesh" in site.read("/run/l2wg.look").split()
    number = net.number(name)
    site.sh(
        f"bridge fdb append {FLOOD} dev mesh dst {NOBODY}; bridge fdb add 02:00:00:00:00:99 dev mesh dst {NOBODY} static; "
        f"bridge fdb del {FLOOD} dev mesh dst {lost}; bridge fdb append {FLOOD} dev mesh dst {lost} port 8472"
    )
    assert NOBODY in net.flooded(name)
    if by == "event":
        assert net.event(name), "it says nothing of what it does"
    else:
        site.run(["/usr/lib/l2wg/look"], timeout=120)
    assert net.flooded(name) == net.others(name) and NOBODY not in {far for _, far in net.table(name)}
    assert "8472" not in site.run(["bridge", "fdb", "show", "dev", "mesh"]).stdout
    assert net.number(name) == number and planned(site) == ""


def test_wireguard_restarted_and_the_bridge_down_and_up(net):
    net.sites["A"].run(["wg-quick", "down", "wg0"])
    assert net.tunnels("A") == set() and net.reach("B", "C")
    net.sites["A"].run(["wg-quick", "up", "wg0"])
    net.all_reach_all()
    for name, site in net.sites.items():
        site.sh("ifdown br0; ifup br0", timeout=120)
        assert net.flooded(name) == net.others(name), name
    site = net.sites["C"]
    site.l2wg("down", "l2w0")
    assert net.tunnels("C") == set() and not net.reach("C", "A")
    site.l2wg("up", "l2w0")
    net.all_reach_all()
    net.once_everywhere()


def test_a_site_is_out_in_one_step_and_nobody_else_notices(net):
    line, numbers = net.lines["B"], {name: net.number(name) for name in "AC"}
    net.lines["B"] = line.replace("\n", " gone=2026-11-29\n")
    net.write("A", "C")
    for name in "AC":
        net.event(name)
        assert net.flooded(name) == net.others(name) - {INNER["B"]} and net.number(name) == numbers[name]
    assert net.keys["B"].public not in net.peers("A") and net.reach("A", "C")
    assert net.heard("B") == {"A": 0, "B": 0, "C": 0} and net.heard("A") == {"A": 0, "B": 0, "C": 1}
    net.lines["B"] = line
    net.apply("A", "C")
    assert {name: net.number(name) for name in "AC"} == numbers
    net.all_reach_all()


def test_an_older_copy_and_a_broken_line_cost_nobody_anything(net):
    site = net.sites["A"]
    whole = site.read("/etc/l2wg/sites")
    site.write("/etc/l2wg/sites", whole.replace(net.lines["C"], ""))
    assert "no line has branch-c any longer" in site.l2wg("up", "wg0").stderr and net.flooded("A") == net.others("A")
    site.write("/etc/l2wg/sites", whole.replace(net.lines["C"], net.lines["C"][:40] + "\n"))
    assert "/etc/l2wg/sites:4: " in site.l2wg("up", "wg0").stderr and net.flooded("A") == net.others("A")
    assert net.reach("A", "B") and net.reach("A", "C")
    site.write("/etc/l2wg/sites", whole)
    assert site.l2wg("up", "wg0").stderr == "" and planned(site) == ""


def test_what_is_shown(net):
    said = " ".join(net.sites["A"].l2wg("sites", check=False).stdout.split())
    assert "They have one tunnel here, mesh" in said and "nothing is wrong" in said, said
    said = " ".join(net.sites["A"].l2wg("status", check=False).stdout.split())
    assert "branch-b (198.18.0.2)" in said and "branch-c (198.18.0.3)" in said, said
    # Which host is where.
    net.all_reach_all()
    macs = {name: net.hosts[name].links()["eth0"]["address"] for name in "BC"}
    found = json.loads(net.sites["A"].l2wg("status", "--json", check=False).stdout)
    ports = [port for bridge in found["bridges"] for port in bridge["ports"] if port["name"] == "mesh"]
    where = {station["mac"]: station["remote"] for port in ports for station in port["stations"]}
    assert [where.get(macs[name]) for name in "BC"] == [INNER["B"], INNER["C"]], where
    found = json.loads(net.sites["A"].l2wg("sites", "--json", check=False).stdout)
    total = {row["name"]: row["tunnel"]["stations_total"] for row in found["sites"] if row["tunnel"]}
    # What else a router sends out of its bridge has an address of its own.
    assert sorted(total) == ["branch-b", "branch-c"] and min(total.values()) >= 1 and sum(total.values()) <= len(where), (total, where)


@pytest.mark.parametrize("name", ["B", "C"])
def test_the_next_start_is_rehearsed(net, name):
    result = net.sites[name].run(["l2wg", "rehearse"], check=False, timeout=400)
    assert result.rc == 0, result.stdout + result.stderr


# Files of their own: the peers are in WireGuard's, so that nothing but the list says who is in.


def test_the_same_by_files(net):
    net.by_files()
    net.all_reach_all()
    net.once_everywhere()


def sent_to_b(net):
    """{who: packets of VXLAN that have come to B from there}, while the hosts of A and C each ask something."""
    site = net.sites["B"]
    site.run(["nft", "reset", "counters", "table", "inet", "probe"])
    for name in "AC":
        net.heard(name)
        # To somebody whom it knows, perhaps.
        net.hosts[name].ping("192.168.92.20", timeout=1)
    said = site.run(["nft", "list", "counters", "table", "inet", "probe"]).stdout
    return {name: int(re.search(rf"counter from{name} {{\s*packets (\d+)", said).group(1)) for name in "AC"}


OPEN = {"A": ["nft", "flush", "chain", "inet", "l2wg", "from_outside"], "C": ["l2wg", "exec", "nft", "flush", "chain", "inet", "l2wg", "from_outside"]}


def test_who_is_taken_out_of_the_list_is_neither_heard_nor_sent_to(net):
    net.sites["B"].run(["nft", PROBE])
    assert min(sent_to_b(net).values()) > 0, "the probe sees nothing"
    numbers = {name: net.number(name) for name in "AC"}
    for name in "AC":
        (left,) = net.others(name) - {INNER["B"]}
        net.sites[name].l2wg("set", "vx", f"remote={left},")
        net.sites[name].l2wg("apply")
        assert net.flooded(name) == {left} and net.number(name) == numbers[name]
        assert INNER["B"] not in {far for _, far in net.table(name)}, "learnt before"
    # B has both still, and its WireGuard a session with them.
    assert net.flooded("B") == net.others("B")
    assert net.heard("B") == {"A": 0, "B": 0, "C": 0} and net.reach("A", "C")
    assert sent_to_b(net) == {"A": 0, "C": 0}


@pytest.mark.parametrize("name", ["A", "C"])
def test_it_is_the_guard_that_does_not_hear(net, name):
    """On the shared wire and on the own one: without it B is heard, learnt, and out again with the next event."""
    net.sites[name].run(OPEN[name])
    assert net.heard("B")[name] == 1, "the probe sees nothing"
    assert INNER["B"] in {far for _, far in net.table(name)}
    net.event(name)
    assert INNER["B"] not in {far for _, far in net.table(name)} and planned(net.sites[name]) == ""
    assert net.heard("B") == {"A": 0, "B": 0, "C": 0}


@pytest.mark.parametrize("name", ["A", "C"])
def test_there_is_no_way_to_who_is_not_in_the_list(net, name):
    net.sites[name].sh(f"bridge fdb append {FLOOD} dev vx dst {INNER['B']}")
    assert sent_to_b(net) == {"A": 0, "C": 0} and INNER["B"] in net.flooded(name)
    net.event(name)
    assert INNER["B"] not in net.flooded(name)


@pytest.mark.parametrize("name", ["A", "C"])
def test_check_names_who_is_in_no_list(net, name):
    site = net.sites[name]
    beat = net.hosts["B"].start(["ping", "-n", "-q", "-i", "0.5", "-c", "80", "192.168.92.77"], timeout=150)
    told = f"{INNER['B']} sends to the tunnel, and is none of its remotes"
    eventually(lambda: told in site.l2wg("check", "--json", check=False).stdout, 60)
    beat.wait()


def test_back_in_the_list(net):
    for name in "AC":
        net.sites[name].l2wg("set", "vx", f"remote={','.join(sorted(net.others(name)))}")
        net.sites[name].l2wg("apply")
    net.all_reach_all()
    net.once_everywhere()
    assert all(planned(site) == "" for site in net.sites.values())
