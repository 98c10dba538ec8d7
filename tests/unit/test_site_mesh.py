"""A mesh of VXLAN out of a file of sites: one tunnel at each, and all of them fit."""

import nets
import pytest
import site_tables
from l2wg_hooks.config import site_file, site_record, site_tunnels, store
from l2wg_hooks.model import Link, Observed, Peer, Tunnel
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.plan import site_peers
from l2wg_hooks.status import render_sites, sites, status
from test_site_lines import NETS

NET = "net shape=mesh encapsulation=vxlan\n"
THREE = NET + nets.line(0) + nets.line(1) + nets.line(2)
FIRST, SECOND, THIRD = ("198.18.0.%d" % number for number in (1, 2, 3))


def mesh(text, number=0, **more):
    part = nets.part(text, number, **more)
    (tunnel,) = part.tunnels
    return tunnel


def test_every_sites_part_fits_every_others():
    net, count, words = NETS["one-30"]
    found = nets.lines(nets.text(net, count, words))
    tunnels = [mesh(found, number) for number in range(count)]
    ends = [nets.site(number).addresses[0] for number in range(count)]
    for number, tunnel in enumerate(tunnels):
        assert (tunnel.name, tunnel.local, tunnel.site, tunnel.isolated) == ("mesh", ends[number], "", False)
        assert set(tunnel.remotes) == set(ends) - {ends[number]} and len(tunnel.remotes) == count - 1
        assert [peer.ends for peer in tunnel.peers] == [(remote,) for remote in tunnel.remotes]
        assert {peer.key for peer in tunnel.peers} == {nets.key(other) for other in range(count)} - {nets.key(number)}
        for field in ("encapsulation", "key", "mtu", "vlans", "dhcp", "storm_limit", "port"):
            assert getattr(tunnel, field) == getattr(tunnels[0], field)
        for peer in tunnel.peers:
            there = next(each for each in tunnels if each.local in peer.ends)
            back = next(each for each in there.peers if each.key == nets.key(number))
            assert bool(peer.keepalive) == bool(peer.endpoint and not back.endpoint)
    assert len({tunnel.mac for tunnel in tunnels}) == count


def test_the_order_of_the_lines_is_nothing():
    rows = THREE.splitlines(True)
    assert mesh(THREE) == mesh("".join([rows[0], rows[3], rows[1], rows[2]]))


def test_it_has_a_list_from_the_second_site_on():
    """So the third one is no reason to make the device anew."""
    two, three = mesh(NET + nets.line(0) + nets.line(1)), mesh(THREE)
    assert two.remote == three.remote == "" and two.remotes == (SECOND,) and two.mac == three.mac
    assert nets.part(NET + nets.line(0), 0).tunnels == (), "nobody to talk to"


def test_who_is_out_leaves_the_list_with_its_peer():
    tunnel = mesh(NET + nets.line(0) + nets.line(1) + nets.line(2, "gone=2026-11-29"))
    assert tunnel.remotes == (SECOND,) and [peer.key for peer in tunnel.peers] == [nets.key(1)]


@pytest.mark.parametrize("row", ["nonsense\n", nets.line(3, "mtu=7"), nets.line(3)[:-4] + "000\n"])
def test_a_broken_line_costs_nobody_else_anything(row):
    found = nets.lines(THREE + row)
    assert found.problems and mesh(found) == mesh(THREE)


def test_who_has_no_address_of_the_meshs_family_is_told_of_at_its_line():
    six = {"addresses": ("fd00::9",)}
    text = THREE + nets.line(3, **six)
    part = nets.part(text, 0)
    (problem,) = part.problems
    assert problem.line == 5 and "site3 has no IPv4 address" in problem.message and problem.hint
    assert part.tunnels == (mesh(THREE),)
    assert nets.part(text, 3).tunnels == () and len(nets.part(text, 3).problems) == 3
    most = NET + nets.line(0, addresses=(FIRST, "fd00::1")) + nets.line(1, **{"addresses": ("fd00::2",)}) + nets.line(2, **{"addresses": ("fd00::3",)})
    assert (mesh(most).local, mesh(most).remotes) == ("fd00::1", ("fd00::2", "fd00::3"))


def test_the_mtu_is_the_smallest_card_s_unless_the_net_says_one():
    text = NET + nets.line(0) + nets.line(1, mtu=1400) + nets.line(2)
    assert [mesh(text, number).mtu for number in range(3)] == [1400] * 3
    assert mesh(text.replace("vxlan", "vxlan mtu=1500"), 2).mtu == 1500


HAND = Tunnel("gretap1", "wg0", FIRST, SECOND, "br0", path="/etc/l2wg/gretap1.conf")


def by_hand(*tunnels, names=()):
    return site_tunnels.ByHand(tunnels, frozenset({tunnel.name for tunnel in tunnels} | set(names)), frozenset(end for tunnel in tunnels for end in tunnel.far_ends))


def test_a_tunnel_by_hand_beside_the_mesh_is_a_loop_unless_it_is_isolated():
    part = nets.part(THREE, 0, by_hand=by_hand(HAND))
    (problem,) = part.problems
    assert part.tunnels == () and problem.line == 3 and "gretap1 leads to site1 by a file of its own: beside the mesh it is a loop" in problem.message
    apart = mesh(THREE, by_hand=by_hand(HAND._replace(isolated=True)))
    assert apart.isolated and apart.remotes == (THIRD,) and [peer.site for peer in apart.peers] == ["site2"]
    elsewhere = mesh(THREE, by_hand=by_hand(HAND._replace(bridge="br9")))
    assert elsewhere.remotes == (THIRD,)


@pytest.mark.parametrize(
    "tunnels, said",
    [
        ((HAND._replace(name="mesh", remote="10.9.9.9"),), "mesh has a file in /etc/l2wg"),
        ((HAND._replace(name="x", remote="10.9.9.9", bridge="mesh"),), "would have the name of another interface here"),
        ((HAND._replace(name="x", remote="10.9.9.9", encapsulation="vxlan"),), "x has the same VNI and port"),
    ],
)
def test_what_stands_in_its_place_is_told_at_the_line_of_the_net(tunnels, said):
    part = nets.part(THREE, 0, by_hand=by_hand(*tunnels))
    (problem,) = part.problems
    assert part.tunnels == () and said in problem.message and problem.line == 1 and problem.hint
    if "VNI" in said:
        assert mesh(THREE.replace("vxlan", "vxlan key=2"), by_hand=by_hand(*tunnels)).number == 2


def test_an_own_bridge_of_that_name_is_told_at_its_line():
    part = nets.part(NET + nets.line(0, "bridge=mesh") + nets.line(1), 0)
    (problem,) = part.problems
    assert (problem.line, problem.key) == (2, "bridge") and "the name of the tunnel to all sites" in problem.message


# What stands


@pytest.fixture
def files(monkeypatch):
    """A router of site0's key, and what its record of sites has."""
    from l2wg_hooks.config import own_sites

    kept = {"text": ""}
    monkeypatch.setattr(own_sites, "wires", lambda tunnels, wanted: {nets.key(0): site_tunnels.Wire("wg0")})
    monkeypatch.setattr(site_record, "read", lambda: site_record.parse(kept["text"]))

    def event(text, departs=False):
        net = site_file.load(text, (), {})
        wished = store.Wish(net.part.tunnels, (), net.problems, net)
        found = site_record.steady(wished, departs)
        kept["text"] = "".join(row + "\n" for row in found.net.rows)
        return found

    return event


def ends(wished):
    return [tunnel.remotes for tunnel in wished.tunnels]


def test_a_site_whose_line_has_just_gone_stays_in_the_list(files):
    assert ends(files(THREE)) == [(SECOND, THIRD)]
    older = files(NET + nets.line(0) + nets.line(1))
    assert ends(older) == [(SECOND, THIRD)] and "no line has site2 any longer" in older.problems[-1].message
    assert [peer.site for peer in older.tunnels[0].peers] == ["site1", "site2"] and older.tunnels[0] == mesh(THREE)
    assert ends(files(NET + nets.line(0) + nets.line(1))) == [(SECOND, THIRD)], "and at the next event, too"
    new = files(NET + nets.line(0) + nets.line(1) + nets.line(3))
    assert ends(new) == [(SECOND, THIRD, "198.18.0.4")]
    assert ends(files(NET + nets.line(0) + nets.line(1) + nets.line(2, "gone=2026-11-29"))) == [(SECOND, "198.18.0.4")]
    assert ends(files(NET + nets.line(0) + nets.line(1), departs=True)) == [(SECOND,)]


def test_without_the_own_line_all_of_it_stays(files):
    files(THREE)
    assert ends(files(NET + nets.line(1))) == [(SECOND, THIRD)]
    assert ends(files("net shape=ring\n" + nets.line(0) + nets.line(1))) == [(SECOND, THIRD)]


def test_a_ring_by_hand_takes_nothing_down(files):
    files(THREE)
    net = site_file.net(THREE, (HAND,), {})
    wished = store.Wish((HAND,), (store.SITES,), net.problems, net)
    found = site_record.steady(wished)
    assert THIRD in next(tunnel.far_ends for tunnel in found.tunnels if tunnel.name == "mesh"), "as it stands"


# WireGuard


def test_a_peer_that_is_somebodys_bars_no_other_peer_of_the_mesh():
    tunnel = mesh(THREE)
    there = Peer("stranger", "", (f"{SECOND}/32",), 0, 0, 0, None)
    links = {"wg0": Link("wg0", 5, "wireguard", True, addresses=(f"{FIRST}/32",))}
    seen = Observed(peers={"wg0": (there,)}, told=frozenset(), ways_there={"wg0": {}})
    steps, problems, more = site_peers.changes((tunnel,), links, seen)
    assert [peer.site for peer in more["wg0"]] == ["site2"] and [str(step) for step in steps if "route" in step.argv] == [f"ip route add {THIRD} dev wg0 proto 47"]
    (problem,) = problems
    assert f"{SECOND}/32" in problem.message and "give site1 another address" in problem.hint


def test_an_address_that_is_needed_elsewhere_is_told_by_its_site():
    links = {"wg0": Link("wg0", 5, "wireguard", True), "eth0": Link("eth0", 2, up=True, addresses=(f"{THIRD}/24",))}
    _, problems, more = site_peers.changes((mesh(THREE),), links, Observed(told=frozenset(), ways_there={"wg0": {}}))
    assert sorted(problem.message.partition(",")[2].split()[3] for problem in problems) == ["site1,", "site2,"] and not more


# What is shown


def test_each_site_has_its_own_peer_in_the_table():
    text = nets.text("shape=mesh encapsulation=vxlan", 4)
    found = site_tables.net(text, 0)
    (tunnel,) = found.part.tunnels
    ages = {"site1": 5, "site2": 0, "site3": 1000}
    peers = tuple(Peer(peer.key, "", peer.allowed, site_tables.NOW - ages[peer.site] if ages[peer.site] else 0, 7, 9, None) for peer in tunnel.peers)
    seen = site_tables.looked(found)._replace(peers={"wg0": Interface("own", 51820, peers)})
    table = sites.build(found, nets.PATH, status.build(seen), ())
    rows = {row.name: row for row in table.rows}
    assert [rows[name].word for name in ("site0", "site1", "site2", "site3")] == ["here", "up", "WRONG", "WRONG"]
    assert rows["site1"].peer.age == 5 and rows["site3"].ways == (7, 9)
    assert ["site2" in fault.message for fault in rows["site2"].wrong] == [True] and "site3" in rows["site3"].wrong[0].message
    assert len(table.wrong) == 2
    screen = render_sites.render(table)
    assert "They have one tunnel here, mesh: l2wg status mesh" in screen and screen.count("mesh:") == 1


def test_what_is_wrong_with_the_tunnel_counts_once():
    text = nets.text("shape=mesh encapsulation=vxlan", 4)
    found = site_tables.net(text, 0)
    seen = site_tables.looked(found)
    links = {name: link for name, link in seen.links.items() if name != "mesh"}
    table = sites.build(found, nets.PATH, status.build(seen._replace(links=links)), ())
    assert all(row.wrong for row in table.rows if row.tunnel)
    assert len(table.wrong) < sum(len(row.wrong) for row in table.rows)


def test_thirty_are_enough():
    assert "31 sites are too many for a mesh" in nets.lines(nets.text("shape=mesh encapsulation=vxlan", 31)).problems[0].message
