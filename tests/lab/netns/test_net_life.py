"""What becomes of a mesh of VXLAN of three: sites leave, return and are put out, a change is undone; and one site that attacks.
One story, in this order.

The net is that of test_net.py: A, the hub, and B have a wg0 of wg-quick's, C a wire of its own.
"""

import json
import os
import socket
import struct

import pytest
from test_mesh_vxlan import MESH
from test_net import END_ALL, INNER, NAMES, Net, planned

SITES = "/etc/l2wg/sites"
WIRES = {"A": "wg0", "B": "wg0", "C": "l2w0"}


class Lived(Net):
    def __init__(self, vm):
        super().__init__(vm)
        self.net = MESH

    def whole(self):
        """All pairs, each with its tunnels and nothing left to do, and one question heard once."""
        self.all_reach_all()
        for name, site in self.sites.items():
            assert self.tunnels(name) == {"mesh"} and planned(site) == "", name
        assert self.heard("B") == {"A": 1, "B": 0, "C": 1}

    def without(self, name):
        """A site is out, and nobody else is."""
        left = [other for other in NAMES if other != name]
        self.all_reach_all(left)
        assert not any(self.reach(name, other) for other in left)
        assert self.heard(name) == {other: 0 for other in NAMES}
        assert self.keys[name].public not in self.peers("A")

    def up(self, name):
        return self.sites[name].l2wg("up", WIRES[name]).stderr

    def start(self, name):
        """As at boot: WireGuard, and for an own wire its unit."""
        if name == "C":
            self.sites[name].l2wg("up", "l2w0")
        else:
            self.sites[name].run(["wg-quick", "up", "wg0"])

    def stop(self, name):
        """As power that is lost: nothing is left in /run."""
        site = self.sites[name]
        if name == "C":
            site.l2wg("down", "--all")
        else:
            site.run(["wg-quick", "down", "wg0"])
        site.sh("ip link del br0 2>/dev/null; rm -f /run/l2wg.*; l2wg event up boot")
        assert self.tunnels(name) == set()


@pytest.fixture(scope="module")
def net(vm):
    made = Lived(vm)
    made.apply(*NAMES)
    yield made
    vm.sh(END_ALL)


@pytest.mark.long
def test_all_of_it(net):
    net.whole()


@pytest.mark.long
def test_a_line_goes_and_comes_back(net):
    line = net.lines.pop("B")
    net.write("A", "C")
    for name in "AC":
        assert "no line has branch-b any longer" in net.up(name), name
    net.all_reach_all()
    net.apply("A", "C")
    net.without("B")
    net.lines = {"A": net.lines["A"], "B": line, "C": net.lines["C"]}
    # Of a line that nobody has put out, an event makes what it says.
    net.write("A", "C")
    for name in "AC":
        net.up(name)
    net.whole()
    net.apply("A", "C")


@pytest.mark.long
def test_a_tombstone_comes_and_goes(net):
    line = net.lines["B"]
    net.lines["B"] = line.replace("\n", " gone=2026-11-29\n")
    net.write("A", "C")
    for name in "AC":
        net.up(name)
    net.without("B")
    net.apply("A", "C")
    net.lines["B"] = line
    net.write("A", "C")
    for name in "AC":
        assert "branch-b was put out on 2026-11-29, and this line says nothing of it" in net.up(name), name
    net.without("B")
    net.apply("A", "C")
    net.whole()


def test_one_is_revoked_and_an_older_copy_does_not_let_it_in(net):
    older = net.sites["A"].read(SITES)
    said = net.sites["A"].l2wg("revoke", "branch-b", "--yes").stderr
    net.sites["C"].write(SITES, net.sites["A"].read(SITES))
    net.up("C")
    net.without("B")
    assert "branch-c" in said and planned(net.sites["A"]) == ""
    net.sites["A"].write(SITES, older)
    assert "branch-b was put out on" in net.up("A") and "sites:3" in net.up("A")
    net.without("B")
    # Nor after a start.
    net.stop("A")
    net.start("A")
    assert "branch-b" not in net.tunnels("A") and net.keys["B"].public not in net.peers("A")
    net.apply("A", "C")
    net.whole()


@pytest.mark.long
def test_a_change_of_the_file_is_undone(net):
    """With systemd, which undoes it in time: test_confirm.py."""
    site, text = net.sites["A"], net.sites["A"].read(SITES)
    newer = net.net + net.lines["A"] + net.lines["B"]
    site.write("/root/newer", newer)
    site.l2wg("apply", "--sites", "/root/newer", "--yes")
    assert site.read(SITES) == newer and not net.reach("C", "A") and net.reach("B", "A")
    site.l2wg("rollback", "--yes")
    assert site.read(SITES) == text
    net.whole()


# B attacks. It does what it likes: what WireGuard and the others make of it counts.

SEND = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as out:
    out.bind(("wg0", 0x0800))
    for line in sys.stdin.read().split():
        out.sendto(bytes.fromhex(line), ("wg0", 0x0800))
"""


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(number, source, target, frame):
    """A packet of the tunnel as the kernel makes it: `number` is its VNI."""
    vxlan = struct.pack("!II", 0x08000000, number << 8) + frame
    inside = struct.pack("!HHHH", 49152, 4789, 8 + len(vxlan), 0) + vxlan
    ends = b"".join(bytes(map(int, address.split("."))) for address in (source, target))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inside), 7, 0, 64, socket.IPPROTO_UDP, 0)
    return head[:10] + struct.pack("!H", checksum(head + ends)) + ends + inside


def injected(net, sender, source, target, name):
    """How often the host of `name` hears a broadcast that `sender` puts into a packet of the tunnel, from wg0 itself."""
    token, ready = os.urandom(8), "/root/ready"
    net.vm.sh(f"rm -f {ready}*")
    number = net.sites["A"].links()["mesh"]["linkinfo"]["info_data"]["id"]
    frame = b"\xff" * 6 + bytes.fromhex("02000000000b88b5") + token + bytes(48)
    words = packet(number, source, target, frame)
    ear = net.hosts[name].start(["python3", "/root/frames.py", "listen", 4, ready], timeout=60, input=token.hex())
    net.vm.sh(f"until [ -e {ready} ]; do sleep 0.1; done")
    net.vm.run(["nsenter", f"--net=/run/netns/{sender}", "python3", "-c", SEND], input=words.hex())
    return len(json.loads(ear.wait().stdout)[token.hex()])


@pytest.mark.long
def test_nobody_sends_in_anothers_name(net):
    """WireGuard holds each site to its own address; as soon as it does not, the frame is there."""
    assert injected(net, "B", INNER["B"], INNER["A"], "A") == 1, "the probe sees nothing"
    assert injected(net, "B", INNER["C"], INNER["A"], "A") == 0
    assert injected(net, "B", "198.18.0.99", INNER["A"], "A") == 0
    assert injected(net, "B", INNER["A"], INNER["A"], "A") == 0
    before = net.sites["A"].run(["wg", "show", "wg0", "allowed-ips"]).stdout
    net.sites["A"].run(["wg", "set", "wg0", "peer", net.keys["B"].public, "allowed-ips", f"{INNER['B']}/32,{INNER['C']}/32"])
    assert injected(net, "B", INNER["C"], INNER["A"], "A") == 1, "the probe sees nothing"
    # The next event gives it back to whose it is.
    net.up("A")
    assert injected(net, "B", INNER["C"], INNER["A"], "A") == 0
    assert sorted(net.sites["A"].run(["wg", "show", "wg0", "allowed-ips"]).stdout.split()) == sorted(before.split())
    net.whole()
