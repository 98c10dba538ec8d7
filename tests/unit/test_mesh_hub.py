"""A mesh of VXLAN over a star of WireGuard: who is whose peer, what the hub forwards, and what its rules let pass."""

import nets
import pytest
import site_tables
from l2wg_hooks.config import card, own_sites, site_file, site_record, site_tunnels, store, wire_peers
from l2wg_hooks.model import Link, Observed, Peer, Walls, Wire
from l2wg_hooks.netfilter import inner_guard, nftables
from l2wg_hooks.observe.wg_interfaces import Interface
from l2wg_hooks.plan import site_peers, transit, wire_steps
from l2wg_hooks.status import render_diagram, render_prometheus, render_sites, render_sites_json, render_text, site_export, sites, status

NET = "net shape=mesh encapsulation=vxlan hub=site0\n"
WIDE = NET.replace("\n", " network=198.18.0.0/15\n")
ROWS = "".join(map(nets.line, range(4)))
ENDS = ["198.18.0.%d" % number for number in range(1, 5)]
HOSTS = [end + "/32" for end in ENDS]
OWN = site_tunnels.Wire("l2w0", True)


def mesh(text, number=0, **more):
    part = nets.part(text, number, **more)
    assert part.problems == ()
    (tunnel,) = part.tunnels
    return tunnel


def problems(text):
    return [problem for problem in nets.lines(text).problems]


def test_every_site_leads_to_all_others_as_without_a_hub():
    for number in range(4):
        by, direct = mesh(NET + ROWS, number), mesh(NET.replace(" hub=site0", "") + ROWS, number)
        assert by._replace(peers=(), transit=False) == direct._replace(peers=())
        assert [(peer.key, peer.site, peer.ends) for peer in by.peers] == [(peer.key, peer.site, peer.ends) for peer in direct.peers]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_sites_only_peer_is_the_hub(number):
    tunnel = mesh(NET + ROWS, number)
    (peer,) = wire_peers.of(tunnel)
    assert (peer.key, peer.endpoint) == (nets.key(0), nets.site(0).endpoint)
    assert set(peer.allowed) == set(HOSTS) - {HOSTS[number]} and bool(peer.keepalive) == (not nets.site(number).endpoint)
    assert not tunnel.transit and not tunnel.forwards


def test_the_hub_has_all_for_peers_and_forwards():
    tunnel = mesh(NET + ROWS)
    assert tunnel.forwards and wire_peers.of(tunnel) == tunnel.peers
    assert [peer.allowed for peer in tunnel.peers] == [(host,) for host in HOSTS[1:]]
    assert [peer.endpoint for peer in tunnel.peers] == [nets.site(number).endpoint for number in (1, 2, 3)]


def test_with_two_sites_there_is_nothing_to_forward():
    assert not mesh(NET + nets.line(0) + nets.line(1)).forwards


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_network_stands_for_all_addresses(number):
    """So a site more is no change at the others."""
    (peer,) = wire_peers.of(mesh(WIDE + ROWS, number))
    assert peer.allowed == ("198.18.0.0/15",)
    assert wire_peers.of(mesh(WIDE + ROWS + nets.line(4), number)) == (peer,)
    assert wire_peers.of(mesh(WIDE + ROWS)) == mesh(NET + ROWS).peers, "at the hub each has its own address and no more"


def test_who_is_outside_of_the_network_that_stood_before_is_led_to_all_the_same():
    tunnel = mesh(WIDE + ROWS, 1)
    odd = tunnel.peers[1]._replace(allowed=("10.0.0.9/32",))
    (peer,) = wire_peers.of(tunnel._replace(peers=(tunnel.peers[0], odd, tunnel.peers[2])))
    assert peer.allowed == ("198.18.0.0/15", "10.0.0.9/32")


def test_who_leaves_is_in_no_allowed_ips():
    gone = NET + nets.line(0) + nets.line(1) + nets.line(2, "gone=2026-11-29") + nets.line(3)
    (peer,) = wire_peers.of(mesh(gone, 1))
    assert set(peer.allowed) == {HOSTS[0], HOSTS[3]} and mesh(gone).remotes == (ENDS[1], ENDS[3])


# The line of the net, and addresses.


@pytest.mark.parametrize(
    "net, said, cure",
    [
        ("shape=mesh hub=site0", "such a mesh has none", "encapsulation=vxlan"),
        ("shape=mesh encapsulation=gretap hub=site0", "such a mesh has none", "encapsulation=vxlan"),
        ("shape=mesh encapsulation=vxlan hub=site0,site1", "a mesh goes by one hub", "hub=site0"),
        ("shape=mesh encapsulation=vxlan hub=nobody", "no site is called nobody", "site0, site1"),
        ("hub=site0 network=198.18.0.0", "no prefix length", "198.18.0.0/15"),
        ("hub=site0 network=198.18.1.0/15", "not how that network is written", "network=198.18.0.0/15"),
        ("hub=site0 network=198.18.0.0/31", "no room for two sites", "198.18.0.0/15"),
        ("hub=site0 network=0.0.0.0/0", "cannot be ends of a tunnel", "198.18.0.0/15"),
        ("hub=site0 network=::/0", "cannot be ends of a tunnel", "198.18.0.0/15"),
        ("hub=site0 network=224.0.0.0/8", "cannot be ends of a tunnel", "198.18.0.0/15"),
        ("hub=site0 network=FD00::/8", "not how that network is written", "network=fd00::/8"),
        ("hub=site0 network=198.18.0.0/255.254.0.0", "not how that network is written", "network=198.18.0.0/15"),
        ("hub=site0 network=x/15", "expected a network", "198.18.0.0/15"),
        ("hub=site0 network=198.18.0.0/33", "expected a network", "198.18.0.0/15"),
    ],
)
def test_a_net_line_that_cannot_be(net, said, cure):
    (problem,) = problems(f"net {net}\n" + ROWS)
    assert problem.line == 1 and said in problem.message and cure in problem.hint


@pytest.mark.parametrize("net", [NET, "net hub=site0\n", "net shape=mesh\n"])
def test_every_address_is_of_the_network(net):
    text = net.replace("\n", " network=198.18.0.0/24\n") + ROWS + nets.line(4, addresses=("10.9.9.9",))
    (problem,) = problems(text)
    assert problem.line == 6 and problem.key == "address" and "10.9.9.9" in problem.message and "198.18.0.0/24" in problem.message
    assert "address=" in problem.hint and problems(text.rstrip("\n") + " address=198.18.0.99\n") == []


def test_nobody_is_called_inside_of_it():
    (problem,) = problems(WIDE + ROWS + nets.line(4, endpoint="198.19.255.1:51820"))
    assert problem.line == 6 and "198.19.255.1" in problem.message and "--endpoint" in problem.hint


def test_of_several_addresses_those_of_the_network_count():
    """So all come to the same family, whatever else their WireGuard has."""
    text = WIDE + nets.line(0) + nets.line(1, addresses=("198.18.0.2", "fd00::2")) + nets.line(2, addresses=("fd00::3", "198.18.0.3"))
    text += nets.line(3, addresses=("10.0.0.4", "fd00::4"), words="address=198.18.0.4")
    assert problems(text) == [] and mesh(text).remotes == tuple(ENDS[1:])
    assert mesh(text, 1).local == ENDS[1] and mesh(text, 2).remotes == (ENDS[0], ENDS[1], ENDS[3])
    six = text.replace("198.18.0.0/15", "fd00::/64").replace("address=198.18.0.4", "").replace(nets.line(0), nets.line(0, addresses=("fd00::1",)))
    assert mesh(six).remotes == ("fd00::2", "fd00::3", "fd00::4"), "and IPv6 by it"
    star = text.replace("shape=mesh encapsulation=vxlan ", "")
    assert nets.part(star, 1).tunnels[0].local == ENDS[1]


# By hand, and what stays of an earlier file.


def test_a_file_for_the_hub_is_the_only_way_and_is_told_of():
    tunnel = mesh(NET + ROWS, 1)._replace(name="x", remotes=(), remote=ENDS[0], peers=(), isolated=True, path="/etc/l2wg/x.conf")
    part = nets.part(NET + ROWS, 1, by_hand=site_file.hand((tunnel,), {}))
    assert part.tunnels == ()
    (problem,) = part.problems
    assert problem.line == 2 and "the hub" in problem.message and "delete that file" in problem.hint


@pytest.fixture
def stands(monkeypatch):
    """What a router has by one file of sites, and then by another one: the last Wish."""
    kept = {"text": ""}
    monkeypatch.setattr(site_record, "read", lambda: site_record.parse(kept["text"]))

    def event(number, *texts):
        monkeypatch.setattr(own_sites, "wires", lambda tunnels, wanted: {nets.key(number): site_tunnels.Wire("wg0")})
        for text in texts:
            net = site_file.load(text, (), {})
            found = site_record.steady(store.Wish(net.part.tunnels, (), net.problems, net))
            kept["text"] = "".join(row + "\n" for row in found.net.rows)
        return found

    return event


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("net", [NET, WIDE])
def test_an_older_copy_costs_nobody_anything(stands, net, number):
    short = net + nets.line(0) + nets.line(1)
    found = stands(number, net + ROWS, short, short)
    (tunnel,), whole = found.tunnels, mesh(net + ROWS, number)
    assert tunnel.remotes == whole.remotes and tunnel.forwards == whole.forwards and wire_peers.of(tunnel) == wire_peers.of(whole)
    assert "no line has" in found.problems[-1].message


@pytest.mark.parametrize("broken", [NET.replace("site0", "nobody") + ROWS, NET + "".join(map(nets.line, (1, 2, 3)))])
def test_without_a_hub_all_of_it_stays(stands, broken):
    found = stands(1, NET + ROWS, broken, broken)
    assert wire_peers.of(found.tunnels[0]) == wire_peers.of(mesh(NET + ROWS, 1)) and found.problems


def test_of_a_hub_that_is_another_one_now_whoever_is_left_behind_is_reached_by_that(stands):
    other = NET.replace("site0", "site3") + "".join(nets.line(number) for number in (0, 1, 3))
    (tunnel,) = stands(1, NET + ROWS, other).tunnels
    (peer,) = wire_peers.of(tunnel)
    assert peer.key == nets.key(3) and set(peer.allowed) == {HOSTS[0], HOSTS[2], HOSTS[3]}


@pytest.mark.parametrize("net", [NET, "net hub=site0 isolated=yes\n"])
def test_an_event_reads_each_card_once(stands, monkeypatch, net):
    """Of a thousand sites, that is most of what an event does which has nothing to do."""
    text = net + "".join(map(nets.line, range(20)))
    stands(0, text)
    read, decode = [], card.decode
    monkeypatch.setattr(card, "decode", lambda text: read.append(text) or decode(text))
    assert stands(0, text).problems == () and len(read) == 20
    assert len(stands(0, net + "".join(map(nets.line, range(19)))).tunnels) == len(stands(0, text).tunnels), "and who has gone stays"


# Shared wires.

WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420)


def there(*rows):
    return Observed(peers={"wg0": tuple(Peer(key, "", tuple(allowed), 0, 0, 0, None) for key, allowed in rows)}, ways_there={"wg0": {}})


def changed(tunnels, seen, told=()):
    found = site_peers.changes(tunnels, {"wg0": WG0}, seen._replace(told=frozenset(("wg0", nets.key(number)) for number in told)))
    return [step.argv[:3] + step.argv[3:7] for step in found[0] if step.argv[0] == "wg"], found[1], found[2]


def test_on_a_shared_wire_it_adds_the_hub_and_a_route_to_each():
    tunnel = mesh(NET + ROWS, 1)
    seen = there()
    steps, wrong, more = site_peers.changes((tunnel,), {"wg0": WG0}, seen._replace(told=frozenset()))
    assert wrong == () and more == {"wg0": wire_peers.of(tunnel)}
    assert [step.argv[3] for step in steps if step.argv[:3] == ("ip", "route", "add")] == [ENDS[0], ENDS[2], ENDS[3]]


def test_a_site_more_and_a_site_less_change_the_hubs_allowed_ips():
    tunnel = mesh(NET + ROWS, 1)
    for before in (HOSTS[:1], HOSTS[:1] + HOSTS[2:] + ["198.18.0.9/32"], ["198.18.0.0/15"]):
        ((*argv,), *_), wrong, more = changed((tunnel,), there((nets.key(0), before)), told=(0,))
        assert argv[:5] == ["wg", "set", "wg0", "peer", nets.key(0)] and argv[5] == "allowed-ips" and wrong == () and more == {}
        assert set(argv[6].split(",")) == set(HOSTS) - {HOSTS[1]}
    assert changed((tunnel,), there((nets.key(0), set(HOSTS) - {HOSTS[1]})), told=(0,)) == ([], (), {})


def test_from_a_mesh_to_a_hub_the_others_peers_go_first():
    tunnel = mesh(NET + ROWS, 1)
    seen = there(*((nets.key(number), [HOSTS[number]]) for number in (0, 2, 3)))
    steps, _, _ = changed((tunnel,), seen, told=(0, 2, 3))
    assert steps[0][5] == "remove" and steps[0][4] in (nets.key(2), nets.key(3)) and steps[1][4:6] == (nets.key(0), "allowed-ips")


def test_a_peer_that_somebody_has_made_keeps_its_address():
    """WireGuard would take it away from that peer: the hub goes without, and it is told at the site."""
    tunnel = mesh(NET + ROWS, 1)
    seen = there((nets.key(0), HOSTS[:1]), ("SOMEBODY=", [HOSTS[2]]))
    steps, (problem,), _ = changed((tunnel,), seen, told=(0,))
    assert set(steps[0][6].split(",")) == {HOSTS[0], HOSTS[3]}
    assert HOSTS[2] in problem.message and "SOMEBODY=" in problem.message and "site2" in problem.hint


def test_an_address_that_is_needed_elsewhere_bars_that_site_alone():
    tunnel = mesh(NET + ROWS, 1)
    lan = Link("enp2s0", 2, up=True, addresses=("198.18.0.3/32",))
    steps, wrong, more = site_peers.changes((tunnel,), {"wg0": WG0, "enp2s0": lan}, there()._replace(told=frozenset()))
    assert len(wrong) == 1 and "site2" in wrong[0].message and more["wg0"][0].key == nets.key(0)
    assert [step.argv[3] for step in steps if step.argv[:3] == ("ip", "route", "add")] == [ENDS[0], ENDS[3]]


@pytest.mark.parametrize("forwards, told", [(True, 0), (False, 1)])
def test_a_shared_hub_is_told_to_forward(forwards, told):
    tunnel = mesh(NET + ROWS)
    found = list(transit.problems((tunnel,), {"wg0": WG0}, {"wg0": forwards}))
    assert len(found) == told
    for problem in found:
        assert "net.ipv4.conf.wg0.forwarding = 0" in problem.message and problem.hint.startswith("sysctl -w net.ipv4.conf.wg0.forwarding=1")
        assert problem.id == "hub-forwarding" and problem.line == 1


def test_a_name_with_a_dot_is_one_word_of_its_sysctl():
    tunnel = mesh(NET + ROWS, wire=site_tunnels.Wire("wg.0"))
    (problem,) = transit.problems((tunnel,), {"wg.0": WG0._replace(name="wg.0")}, {"wg.0": False})
    assert problem.hint.startswith("sysctl -w net/ipv4/conf/wg.0/forwarding=1")


# Own wires.

L2W0 = Link("l2w0", 2, "wireguard", up=True, mtu=1420, alias="l2wg", addresses=("198.18.0.1/32",), namespace="l2wg", link_netns="l2wg")
CLOSED = {"net/ipv6/conf/all/forwarding": "0", "net/ipv4/conf/l2w0/forwarding": "0", "net/ipv4/conf/l2w0/send_redirects": "1"}
OPEN = dict(CLOSED, **{"net/ipv4/conf/l2w0/forwarding": "1", "net/ipv4/conf/l2w0/send_redirects": "0", "net/ipv4/conf/all/send_redirects": "0"})


def inside(tunnels, switches, guard=None, **more):
    """The steps for the namespace that are of forwarding or rules, as words."""
    walls = Walls(True, wires={"l2w0": Wire(("198.18.0.1/32",), 1420)}, guard=inner_guard.text(tunnels) if guard is None else guard, switches=switches, **more)
    steps = wire_steps.steps(tunnels, {"l2w0": L2W0}, walls)
    return [" ".join(step.argv[4:]) for step in steps if step.argv[4:5] in (("sysctl",), ("nft",))]


def test_forwarding_is_switched_on_at_a_hub_behind_its_rules():
    tunnel = mesh(NET + ROWS, wire=OWN)
    load, switch = inside((tunnel,), CLOSED, guard="")
    assert load == f"nft -f {inner_guard.FILE}"
    assert set(switch.split()[2:]) == {f"{name}={value}" for name, value in OPEN.items()} - {"net/ipv6/conf/all/forwarding=0"}
    assert inside((tunnel,), OPEN) == []
    found = wire_steps.steps((tunnel,), {"l2w0": L2W0}, Walls(True, wires={"l2w0": Wire(("198.18.0.1/32",), 1420)}, guard="", switches=CLOSED))
    assert found[-1].needs == wire_steps.GUARD, "never without them"


@pytest.mark.parametrize("text, number", [(NET + ROWS, 1), (NET.replace(" hub=site0", "") + ROWS, 0), (NET + nets.line(0) + nets.line(1), 0)])
def test_nowhere_else(text, number):
    tunnel = mesh(text, number, wire=OWN)
    assert inside((tunnel,), CLOSED) == [] and "transit" not in inner_guard.text((tunnel,))
    assert inside((tunnel,), OPEN) == ["sysctl -qew net/ipv4/conf/l2w0/forwarding=0"], "off again when the wish goes"


def test_all_interfaces_forward_for_nobody():
    tunnel = mesh(NET + ROWS, wire=OWN)
    first, second = inside((tunnel,), OPEN, routed=True)
    assert "net/ipv4/ip_forward=0" in first and "net/ipv4/conf/l2w0/forwarding=1" in second, "that one goes with the switch for all"
    assert inside((tunnel,), dict(OPEN, **{transit.ALL6: "1"})) == ["sysctl -qew net/ipv6/conf/all/forwarding=0"]


def test_ipv6_takes_the_switch_for_all():
    rows = "".join(nets.line(number, addresses=("fd00::%d" % (number + 1),)) for number in range(3))
    tunnel = mesh(NET + rows, wire=OWN)
    assert inside((tunnel,), CLOSED) == ["sysctl -qew net/ipv6/conf/all/forwarding=1"]
    text = inner_guard.text((tunnel,))
    assert "frag frag-off != 0" in text and "ip6 saddr @beyond_1 ip6 daddr @beyond_1 udp dport 4789 accept" in text


def test_a_broken_file_closes_nothing():
    tunnel = mesh(NET + ROWS, wire=OWN)
    walls = Walls(True, wires={"l2w0": Wire(("198.18.0.1/32",), 1420)}, guard="x", switches=OPEN)
    assert not [step for step in wire_steps.steps((), {"l2w0": L2W0}, walls, kept=True) if "sysctl" in step.argv]
    assert not [step for step in wire_steps.steps((tunnel._replace(transit=False),), {"l2w0": L2W0}, walls, kept=True) if "sysctl" in step.argv]


def test_the_rules_let_pass_what_is_between_two_sites_and_nothing_else():
    text = inner_guard.text((mesh(NET + ROWS, wire=OWN),))
    chain = text[text.index("chain transit") :].split("}")[0]
    assert "policy drop" in chain and chain.count("accept") == 2
    for row in chain.split("\n")[2:4]:
        assert row.strip().startswith('iifname "l2w0" oifname "l2w0" ip saddr @beyond_1 ip daddr @beyond_1 ')
    assert text.count(ENDS[0]) == 3 and ENDS[0] not in text[text.index("set beyond_1") :].split("}")[0], "this router itself is no site beyond"
    assert nftables.shape(text)["inet", "beyond_1"] == 3


def test_the_rules_of_a_shared_hub():
    text = nftables.render([nftables.entry(mesh(NET + ROWS))])
    chain = text[text.index("chain transit_1") :].split("}")[0]
    assert 'iifname "wg0" oifname "wg0" accept' in chain and chain.count("counter drop") == 2
    assert 'iifname "wg0" ip saddr @beyond_1 ip daddr @beyond_1 udp dport 4789 notrack' in text
    assert "beyond" not in nftables.render([nftables.entry(mesh(NET + ROWS, 1))])


def test_rules_of_an_older_version_are_known():
    entry = nftables.entry(mesh(NET + ROWS, 1))
    del entry["transit"]
    assert nftables.complete(entry)["transit"] is False


# For other tools.


def test_as_wg_quicks_file_it_has_the_hub_alone():
    text = site_export.export(nets.lines(NET + ROWS), "site1", "wg-quick", "wg0", nets.PATH).text
    assert text.count("[Peer]") == 1 and "AllowedIPs = " + ", ".join(HOSTS[:1] + HOSTS[2:]) in text
    hub = site_export.export(nets.lines(NET + ROWS), "site0", "wg-quick", "wg0", nets.PATH)
    assert hub.text.count("[Peer]") == 3 and any("forward" in note.message for note in hub.notes)


# What is shown: of the sites behind the hub WireGuard says nothing.


def seen_by(number, age):
    """(the site_file.Net, the Status) of a site whose hub was heard so many seconds ago; 0 for never."""
    found = site_tables.net(NET + ROWS, number)
    (tunnel,) = found.part.tunnels
    peers = tuple(Peer(peer.key, "192.0.2.1:51820", peer.allowed, site_tables.NOW - age if age else 0, 7, 9, None) for peer in wire_peers.of(tunnel))
    return found, status.build(site_tables.looked(found)._replace(peers={"wg0": Interface("own", 51820, peers)}))


def test_a_site_behind_the_hub_is_said_to_be_by_it():
    found, now = seen_by(1, 5)
    table = sites.build(found, nets.PATH, now)
    rows = {row.name: row for row in table.rows}
    assert [row.by for row in table.rows] == ["", "", "site0", "site0"] and not table.wrong
    assert rows["site0"].peer.age == 5 and rows["site2"].peer is None and rows["site2"].ways == (0, 0)
    screen = render_sites.render(table)
    assert screen.count("by site0") == 2 and "one tunnel here, mesh" in screen
    document = render_sites_json.document(table, "router", site_tables.NOW)
    assert [row["by"] for row in document["sites"]] == [None, None, "site0", "site0"] and document["sites"][2]["peer"] is None


def test_a_silent_hub_is_told_once_and_cuts_all():
    found, now = seen_by(1, 1000)
    table = sites.build(found, nets.PATH, now)
    (fault,) = table.wrong
    assert "site0" in fault.message and [row.word for row in table.rows] == ["WRONG", "here", "WRONG", "WRONG"]
    (tunnel,) = now.tunnels
    assert not now.carries(tunnel) and (tunnel.heard, len(tunnel.near)) == (0, 1)


def test_at_the_hub_each_has_its_own_handshake():
    found, now = seen_by(0, 5)
    assert [row.by for row in sites.build(found, nets.PATH, now).rows] == [""] * 4 and now.tunnels[0].near == now.tunnels[0].peers


def test_a_shared_hub_that_forwards_nothing_is_told_of():
    found = site_tables.net(NET + ROWS, 0)
    now = status.build(site_tables.looked(found)._replace(transit={"wg0": False}))
    assert [fault.message for fault in now.of("mesh") if "does not forward" in fault.message]
    table = sites.build(found, nets.PATH, now)
    assert any("does not forward" in fault.message for fault in table.wrong)


def test_pictures_and_metrics_say_it():
    _, now = seen_by(1, 5)
    picture = render_diagram.render(now)
    assert picture.count("by site0") == 2 and "1 of" not in picture
    assert "site2 (198.18.0.3): by site0" in render_text.render(now)
    metrics = render_prometheus.render(now)
    rows = [row for row in metrics.splitlines() if row.startswith("l2wg_peer_receive_bytes_total{")]
    assert len(rows) == 1 and 'site="site0"' in rows[0], "bytes count once, and as the hub's"


def test_who_is_behind_the_hub_is_not_asked_for_an_echo():
    assert [end.remote for end in mesh(NET + ROWS, 1).near_ends] == [ENDS[0]]
    assert mesh(NET + ROWS).near_ends == mesh(NET + ROWS).ends()
