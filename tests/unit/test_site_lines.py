"""A file of sites: what its lines come to at each site, and all that is wrong in it."""

import base64
import pathlib
import time

import nets
import pytest
from l2wg_hooks.config import own_sites, public_key, site_faults, site_lines, site_names, site_tunnels
from l2wg_hooks.model import End, Tunnel

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "sites"
TWO = "hub=site0,site1 hub-address=198.18.9.1"
# {golden file: (net, sites, what stands in a site's line)}
NETS = {
    "star-3": ("shape=star hub=site0", 3, lambda number: "bridge-ports=enp3s0 vlans=untagged,10" if number == 2 else ""),
    "star-30": ("hub=site0 isolated=yes bridge=br1 storm-limit=100", 30, lambda number: "dhcp=block mtu=1400" if number % 7 == 1 else ""),
    "mesh-30": ("shape=mesh mtu=1400 dhcp=block", 30, lambda number: "bridge=br%d bridge-ports=enp2s0,enp3s0" % number),
    "vxlan-30": ("hub=site0 encapsulation=vxlan", 30, lambda number: "key=%d" % number if number % 5 == 1 else ""),
    "one-30": ("shape=mesh encapsulation=vxlan key=7 dhcp=block", 30, lambda number: "bridge-ports=enp2s0" if number == 3 else ""),
    "hubs-5": (TWO + " encapsulation=vxlan mtu=1400", 5, lambda number: "key=%d vlans=10" % number if number == 3 else ""),
    "star-1000": ("shape=star hub=site0 isolated=yes", 1000, lambda number: "vlans=%d" % number if number % 9 == 1 else ""),
}


@pytest.mark.parametrize("name", NETS)
def test_golden(name):
    """The file, and what it comes to at the hub, or the first site of a mesh, and at the last one."""
    net, count, words = NETS[name]
    text = nets.text(net, count, words)
    assert (GOLDEN / f"{name}.sites").read_text() == text
    found = nets.lines(text)
    assert found.problems == () and found.faulty == ()
    for number, suffix in ((0, "first"), (count - 1, "last")):
        part = nets.part(found, number)
        assert part.problems == ()
        assert "".join(map(nets.shown, part.tunnels)) == (GOLDEN / f"{name}.{suffix}").read_text()


@pytest.mark.parametrize("name", [name for name in NETS if name not in ("one-30", "hubs-5")])
def test_every_sites_part_fits_every_others(name):
    net, count, words = NETS[name]
    found = nets.lines(nets.text(net, count, words))
    parts = {}
    for number in range(count):
        part = nets.part(found, number)
        assert part.problems == () and part.own.key == nets.key(number)
        parts[nets.site(number).name] = {tunnel.site: tunnel for tunnel in part.tunnels}
    mesh = "mesh" in net
    pairs = {(name, other) for name, these in parts.items() for other in these}
    assert len(pairs) == (count * (count - 1) if mesh else 2 * (count - 1))
    for name, other in pairs:
        here, there = parts[name][other], parts[other][name]
        assert (here.local, here.remote) == (there.remote, there.local)
        assert here.peers[0].key != there.peers[0].key and here.peers[0].allowed == (f"{here.remote}/32",)
        for field in ("encapsulation", "key", "mtu", "vlans", "dhcp", "storm_limit", "port"):
            assert getattr(here, field) == getattr(there, field)
        # One at least can call, and who cannot be called keeps the way open.
        if here.peers[0].endpoint and not there.peers[0].endpoint:
            assert here.peers[0].keepalive == 25
        # No ring: of two tunnels of a site one at least does not forward to the other.
        assert here.isolated or name == "site0" or len(parts[name]) == 1
    for these in parts.values():
        assert len({tunnel.name for tunnel in these.values()}) == len(these)


def test_a_thousand_lines_take_less_than_a_third_of_a_second():
    text = nets.text(*NETS["star-1000"])
    begin = time.process_time()
    part = nets.part(text, 0)
    # Loose: of a machine that is busy. It is 0.1 s on a PC.
    assert len(part.tunnels) == 999 and time.process_time() - begin < 3


STAR = "net hub=site0\n"
THREE = STAR + nets.line(0) + nets.line(1) + nets.line(2)
FAULTS = {
    "no net": (nets.line(0), [(0, "net", "there is no line of the net")]),
    "two nets": (THREE + "net hub=site1\n", [(5, "net", "stands on line 1 already")]),
    "no hub": ("net shape=star\n" + nets.line(0), [(1, "hub", "a star has a hub")]),
    "hub that is none": ("net hub=hq\n" + nets.line(0), [(1, "hub", "no site is called hq")]),
    "hub that is gone": (STAR + nets.line(0, "gone=2026-11-25"), [(1, "hub", "site0 is out since 2026-11-25, by line 2")]),
    "hub in a mesh": ("net shape=mesh hub=site0\n" + nets.line(0), [(1, "hub", "a mesh has none")]),
    "two hubs without an address": ("net hub=site0,site1\n" + nets.line(0), [(1, "hub-address", "two hubs have one address")]),
    "an address of one hub": ("net hub=site0 hub-address=198.18.9.1\n" + nets.line(0), [(1, "hub-address", "there is one")]),
    "one hub, joined": ("net hub=site0 hubs-joined=no\n" + nets.line(0), [(1, "hubs-joined", "there is one")]),
    "three hubs": (nets.text("hub=site0,site1,site2 hub-address=198.18.9.1", 3), [(1, "hub", "3 hubs are too many")]),
    "one hub twice": (nets.text("hub=site0,site0 hub-address=198.18.9.1", 3), [(1, "hub", "a site stands there twice")]),
    "second hub that is none": (nets.text(TWO.replace("site1", "hq"), 3), [(1, "hub", "no site is called hq")]),
    "second hub that is gone": (nets.text(TWO, 3, lambda number: "gone=2026-11-25" if number == 1 else ""), [(1, "hub", "site1 is out since")]),
    "second hub with a fault": (nets.text(TWO, 3, lambda number: "mtu=1" if number == 1 else ""), [(3, "mtu", ""), (1, "hub", "the line of site1")]),
    "second hub by two lines": (
        nets.text(TWO, 3) + nets.line(3, name="site1"), [(5, "", "has the same name"), (1, "hub", "the line of site1")]
    ),
    "hubs' address is a site's": (nets.text(TWO.replace("198.18.9.1", "198.18.0.3"), 3), [(1, "hub-address", "is the address of site2 (line 4)")]),
    "hubs' address is called": (
        nets.text(TWO, 2) + nets.line(2, endpoint="198.18.9.1:4900"), [(1, "hub-address", "is where site2 is called (line 4)")]
    ),
    "hubs' address of another family": (nets.text(TWO.replace("198.18.9.1", "fd00::1"), 2), [(1, "hub-address", "has no IPv6"), (1, "hub-address", "has no IPv6")]),
    "two hubs, isolated": (nets.text(TWO + " isolated=yes", 3), [(1, "isolated", "would see each other")]),
    "two hubs, a site isolated": (nets.text(TWO, 3, lambda number: "isolated=yes" if number == 2 else ""), [(4, "isolated", "would see each other")]),
    "two hubs, options of one": (nets.text(TWO, 3, lambda number: "vlans=10" if number == 1 else ""), [(3, "vlans", "site1 is a hub"), (1, "hub", "the line of site1")]),
    "two hubs, and a site of that name": (nets.text(TWO, 2) + nets.line(2, name="hubs"), [(4, "", "hubs is what the tunnel")]),
    "hubs' address in a mesh": (nets.text("shape=mesh hub-address=198.18.9.1", 3), [(1, "hub-address", "of the two hubs of a star")]),
    "evpn": ("net hub=site0 control=evpn\n" + nets.line(0), [(1, "control", "evpn is for a mesh of VXLAN")]),
    "one key for a star": ("net hub=site0 encapsulation=vxlan key=7\n" + nets.line(0), [(1, "key", "one key would be all of these tunnels'")]),
    "one key for gretaps": ("net shape=mesh key=7\n" + nets.line(0), [(1, "key", "one key would be all of these tunnels'")]),
    "no VNI": ("net shape=mesh encapsulation=vxlan key=16777216\n" + nets.line(0), [(1, "key", "16777216 is too large for a VNI")]),
    "options in one VXLAN": ("net shape=mesh encapsulation=vxlan\n" + nets.line(0, "key=9"), [(2, "key", "in a mesh")]),
    "open mesh": ("net shape=mesh isolated=no\n" + nets.line(0), [(1, "isolated", "is a loop")]),
    "shape": ("net shape=ring\n" + nets.line(0), [(1, "shape", "unknown shape 'ring'")]),
    "former key that is none": (THREE + nets.line(3, "was=hq"), [(5, "was", "expected a public key of WireGuard, not 'hq'")]),
    "former key that is its own": (THREE + nets.line(3, f"was={nets.key(3)}"), [(5, "was", "is the one that it has by its card")]),
    "former key twice": (
        THREE + nets.line(3, f"was={nets.key(9)}") + nets.line(4, f"was={nets.key(9)}"),
        [(6, "was", "line 5 has changed from the same key")],
    ),
    "both lines of a site": (THREE + nets.line(9, f"was={nets.key(2)}", name="site2", addresses=("198.18.0.3",)), [(5, "was", "is the one that line 4 has")]),
    "both lines, the older one behind": (
        THREE + nets.line(9, f"was={nets.key(3)}", name="site3", addresses=("198.18.0.4",)) + nets.line(3),
        [(6, "", "is what line 5 has as its former one")],
    ),
    "former key of another site": (THREE + nets.line(9, f"was={nets.key(2)}"), [(5, "was", "is the one that line 4 has")]),
    "former key of one that is out": (
        THREE + nets.line(8, "gone=2026-11-25") + nets.line(3, f"was={nets.key(8)}"),
        [(6, "was", "the key that it has had until now is that of line 5, which says that the site is out")],
    ),
    "key of one that is out by both": (
        THREE + nets.line(8, f"was={nets.key(9)} gone=2026-11-25") + nets.line(9),
        [(6, "", "its key is that of line 5, which says that the site is out")],
    ),
    "key of the net": ("net hub=site0 local=10.0.0.1\n" + nets.line(0), [(1, "local", "cannot stand here")]),
    "no value": ("net hub=site0 mtu\n" + nets.line(0), [(1, "mtu", "is not KEY=VALUE")]),
    "empty": ("net hub=site0 mtu=\n" + nets.line(0), [(1, "mtu", "is empty")]),
    "twice": ("net hub=site0 mtu=1500 mtu=1400\n" + nets.line(0), [(1, "mtu", "stands in this line twice")]),
    "bad values": (THREE + nets.line(3, "mtu=7 vlans=x"), [(5, "mtu", "expected a number"), (5, "vlans", "expected a list of VLANs")]),
    "day": (THREE + nets.line(3, "gone=yesterday"), [(5, "gone", "expected a day")]),
    "no such day": (THREE + nets.line(3, "gone=2026-02-30"), [(5, "gone", "expected a day")]),
    "no card": (THREE + "site3 mtu=1400\n", [(5, "", "expected a card")]),
    "checksum": (THREE + nets.line(3)[:-3] + "00\n", [(5, "", "checksum")]),
    "cut": (THREE + nets.line(3, "vlans=10")[:-2], [(5, "", "the last line has no end")]),
    "one key": (THREE + nets.line(2, name="c", addresses=("198.18.9.9",)), [(5, "", "line 4 has the same key")]),
    "one name": (THREE + nets.line(3, name="site2"), [(5, "", "line 4 has the same name, site2")]),
    "one address": (THREE + nets.line(3, "address=198.18.0.3"), [(5, "", "line 4 has the same address, 198.18.0.3")]),
    "in and out": (THREE + nets.line(2, "gone=2026-11-25"), [(4, "", "its key is that of line 5, which says that the site is out")]),
    "where others are called": (
        STAR + nets.line(0, endpoint="203.0.113.9:4900") + nets.line(1, "address=203.0.113.9"),
        [(3, "", "203.0.113.9, its address inside WireGuard, is where site0 is called (line 2)")],
    ),
    "hub's options": (STAR + nets.line(0, "vlans=10") + nets.line(1), [(2, "vlans", "site0 is the hub")]),
    "options in a mesh": ("net shape=mesh\n" + nets.line(0, "mtu=1400"), [(2, "mtu", "in a mesh")]),
    "open": (nets.text("hub=site0", 101), [(1, "isolated", "101 sites are too many for a star where all see all, which takes 100")]),
    "isolated": (nets.text("hub=site0 isolated=yes", 1001), [(1, "isolated", "1001 sites are too many for a star, which takes 1000")]),
    "mesh": (nets.text("shape=mesh", 31), [(1, "shape", "31 sites are too many for a mesh")]),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    text, wanted = FAULTS[name]
    problems = nets.lines(text).problems
    assert [(problem.line, problem.key) for problem in problems] == [row[:2] for row in wanted]
    for problem, (_, _, words) in zip(problems, wanted):
        assert words in problem.message and problem.hint and problem.path == nets.PATH


def test_all_faults_at_once():
    text = "net hub=site0 mtu=1\n" + nets.line(0) + "nonsense\n" + nets.line(1, "mtu=1 dhcp=2") + nets.line(1)
    assert [problem.line for problem in nets.lines(text).problems] == [1, 3, 4, 4]


@pytest.mark.parametrize("name", ["no card", "bad values", "checksum", "cut", "day", "one key", "one name", "one address", "former key twice"])
def test_a_broken_line_takes_no_other_sites_tunnel(name):
    part = nets.part(FAULTS[name][0], 0)
    names = [tunnel.name for tunnel in part.tunnels]
    assert names == ["site1", "site2"] if not name.startswith("one") else ["site1"]


OWN = {
    "none": (THREE, {nets.key(9): site_tunnels.Wire("wg0")}, "no line is this router's: its public key is " + nets.key(9), 0),
    "no key": (THREE, {}, "no line is this router's, and no WireGuard here has a key", 0),
    "two": (THREE, {nets.key(1): site_tunnels.Wire("wg1"), nets.key(2): site_tunnels.Wire("wg2")}, "line 3 is this router's, too", 4),
    "out": (THREE + nets.line(3, "gone=2026-11-25"), {nets.key(3): site_tunnels.Wire("wg0")}, "this router is out of the net since 2026-11-25", 5),
}


@pytest.mark.parametrize("name", OWN)
def test_a_router_that_is_not_in_it(name):
    text, wires, words, line = OWN[name]
    part = site_tunnels.find(nets.lines(text), wires, nets.NO_HAND, nets.PATH)
    (problem,) = part.problems
    assert part.tunnels == () and part.own is None
    assert problem.message.startswith(words) and problem.hint and problem.line == line


def test_names():
    assert site_names.tunnel("a" * 15) == "a" * 15
    cut = site_names.tunnel("headquarters-of-all")
    assert len(cut) == 15 and cut.startswith("headquar-") and cut != site_names.tunnel("headquarters-of-alL")
    part = nets.part(STAR + nets.line(0) + nets.line(1, name="headquarters-of-all") + nets.line(2, name="gre0"), 0)
    assert [tunnel.name for tunnel in part.tunnels] == [cut]
    (problem,) = part.problems
    assert problem.line == 4 and "a device of the kernel's own" in problem.message


@pytest.mark.parametrize("name", ["wg0", "br0", "enp3s0"])
def test_a_site_with_the_name_of_an_interface(name):
    part = nets.part(STAR + nets.line(0, "bridge-ports=enp3s0") + nets.line(1, name=name) + nets.line(2), 0)
    # What the router's own line names is wrong there.
    assert [tunnel.name for tunnel in part.tunnels] == ([] if name == "enp3s0" else ["site2"])
    assert part.problems and all(problem.line == (2 if name == "enp3s0" else 3) and problem.hint for problem in part.problems)


def by_hand(name, remote, **fields):
    tunnel = Tunnel(name, "wg0", "198.18.0.1", remote, "br0", path=f"/etc/l2wg/{name}.conf", **fields)
    return site_tunnels.ByHand((tunnel,), frozenset((name,)), frozenset((remote,)))


def test_a_file_of_its_own_wins():
    part = nets.part(THREE, 0, by_hand=by_hand("gretap1", "198.18.0.2"))
    assert [tunnel.name for tunnel in part.tunnels] == ["site2"] and part.problems == ()
    # Whose name is taken by one that leads elsewhere.
    part = nets.part(THREE, 0, by_hand=by_hand("site1", "10.9.9.9"))
    assert [tunnel.name for tunnel in part.tunnels] == ["site2"]
    assert [problem.line for problem in part.problems] == [3] and "has a file in /etc/l2wg" in part.problems[0].message
    # And one that names a bridge like a site blames the site.
    other = by_hand("gretap1", "10.9.9.9")
    part = nets.part(THREE, 0, by_hand=other._replace(tunnels=(other.tunnels[0]._replace(bridge="site1"),)))
    assert [tunnel.name for tunnel in part.tunnels] == ["site2"]


def test_what_a_line_says_holds_at_both_ends():
    text = STAR + nets.line(0, "bridge=lan bridge-ports=enp2s0") + nets.line(1, "bridge-ports=enp3s0,enp4s0 vlans=10 isolated=yes mtu=1400") + nets.line(2)
    hub = {tunnel.site: tunnel for tunnel in nets.part(text, 0).tunnels}
    (branch,) = nets.part(text, 1).tunnels
    assert (hub["site1"].bridge, hub["site1"].bridge_ports) == ("lan", ("enp2s0",)) == (hub["site2"].bridge, hub["site2"].bridge_ports)
    assert (branch.bridge, branch.bridge_ports) == ("br0", ("enp3s0", "enp4s0"))
    assert branch.vlans == hub["site1"].vlans == "10" and branch.mtu == hub["site1"].mtu == 1400
    # The hub's ports must not forward to each other; a branch has one.
    assert hub["site1"].isolated and not branch.isolated and not hub["site2"].isolated
    assert hub["site1"].lines[""] == 3 and branch.problem("vlans", "no").line == 2 and branch.problem("bridge", "no").line == 3


def test_a_site_that_is_out_has_no_tunnel_and_its_address_may_be_anothers():
    text = THREE + nets.line(3, "gone=2026-11-25", addresses=("198.18.0.2",))
    assert nets.lines(text).problems == () and [tunnel.site for tunnel in nets.part(text, 0).tunnels] == ["site1", "site2"]


def test_what_means_nothing_in_a_line():
    text = "# ours\n\n  net   hub=site0\t# a star\n" + nets.line(0).replace("\n", " # hq\r\n") + nets.line(1)
    assert [tunnel.site for tunnel in nets.part(text, 0).tunnels] == ["site1"]


def test_both_families():
    six = ("198.18.0.1", "fd00::1")
    text = STAR + nets.line(0, addresses=six) + nets.line(1, addresses=("fd00::2",))
    (tunnel,) = nets.part(text, 0).tunnels
    assert tunnel.ends() == (End("site1", "fd00::1", "fd00::2"),) and tunnel.peers[0].allowed == ("fd00::2/128",)


def test_public_keys():
    """Alice's and Bob's of RFC 7748, 6.1."""
    private = base64.b64encode(bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")).decode()
    public = base64.b64encode(bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")).decode()
    assert public_key.of(private) == public
    private = base64.b64encode(bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")).decode()
    public = base64.b64encode(bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")).decode()
    assert public_key.of(private) == public
    for wrong in ("", "k", "secret", "A" * 43, "!" * 44, private + "="):
        assert public_key.of(wrong) == ""


def test_a_router_knows_its_keys_by_its_files(wireguard, monkeypatch):
    asked = []
    monkeypatch.setattr(own_sites.process, "output", lambda *argv: asked.append(argv) or "wg7\tX\nwg8\t(none)\n")
    private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
    public = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    (wireguard / "wg0.conf").write_text(f"[Interface]\nPrivateKey = {private}\n")
    assert own_sites.wires((), {public}) == {public: site_tunnels.Wire("wg0", False)} and asked == []
    mark = "# Not for wg-quick(8): l2wg makes this interface itself (wire = own in l2wg.conf(5)).\n"
    (wireguard / "wg0.conf").write_text(f"[Interface]\n{mark}PrivateKey = {private}\n")
    assert own_sites.wires((), {public}) == {public: site_tunnels.Wire("wg0", True)}
    tunnel = Tunnel("gretap1", "wg0", "10.0.0.1", "10.0.0.2", "br0")
    assert not own_sites.wires((tunnel,), {public})[public].walled
    assert own_sites.wires((tunnel._replace(wire="own"),), {public})[public].walled
    # Who makes WireGuard without such a file is asked.
    assert own_sites.wires((), {"X"})["X"] == site_tunnels.Wire("wg7", False) and len(asked) == 1


def test_nothing_of_it_is_loaded_without_the_file(etc, monkeypatch):
    import sys

    from l2wg_hooks.config import store

    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nbridge = br0\n")
    for name in ("site_file", "site_record", "site_lines"):
        monkeypatch.setitem(sys.modules, f"l2wg_hooks.config.{name}", None)
        monkeypatch.delattr(f"l2wg_hooks.config.{name}", raising=False)
    assert [tunnel.name for tunnel in store.load().tunnels] == ["gretap1"] and store.sources() == ["gretap1"]
    (etc / "sites").write_text(THREE)
    with pytest.raises(ImportError):
        store.load()


def test_limits_are_the_ones_that_are_told():
    assert (site_faults.MOST_OPEN, site_faults.MOST_ISOLATED, site_faults.MOST_IN_MESH) == (100, 1000, 30)
    assert site_lines.parse("", nets.PATH).problems[0].hint.startswith("add a line: net shape=star hub=NAME")
