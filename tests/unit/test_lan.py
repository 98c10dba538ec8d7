"""The bridge, its neighbours' addresses and its DHCP servers, judged."""

import pytest
from l2wg_hooks.check import lan, prober
from l2wg_hooks.check.prober import Answer
from l2wg_hooks.model import Link, Tunnel
from l2wg_hooks.plan import link_index

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
LINKS = {
    link.name: link
    for link in (
        Link("lo", 1, up=True, addresses=("127.0.0.1/8",)),
        Link("wg0", 3, "wireguard", up=True, mtu=1420, addresses=("10.15.14.2/24",)),
        Link("enp2s0", 4, up=True, addresses=("192.168.178.1/24",)),
        Link("enp3s0", 5, up=True, master="br0", mac="52:54:00:00:00:03"),
        Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:03"),
        Link("gretap1", 7, "gretap", up=True, master="br0", alias="l2wg", mac=ONE.mac, port_state="forwarding"),
    )
}


def shrunk(tunnel, links):
    return lan.shrunk(tunnel, links[tunnel.bridge], link_index.members(links).get(tunnel.bridge, ()))


def unpinned(tunnel, links, assigned):
    return lan.unpinned(tunnel, links[tunnel.bridge], link_index.members(links).get(tunnel.bridge, ()), assigned)


def overlapping(tunnel, end, links, allowed):
    return lan.overlapping(tunnel, end, links.get(tunnel.bridge), lan.subnets(links), allowed)


def having(**changes):
    return dict(LINKS, **{name: LINKS[name]._replace(**values) for name, values in changes.items()})


def test_a_healthy_bridge():
    assert shrunk(ONE, LINKS) is unpinned(ONE, LINKS, "0") is lan.down(ONE, LINKS) is lan.blocked(ONE, LINKS) is None


def test_bridge_mtu():
    found = shrunk(ONE, having(br0={"mtu": 1382}))
    assert (found.id, found.hint) == ("bridge-mtu", "ip link set dev br0 mtu 1499; ip link set dev br0 mtu 1500")
    small = ONE._replace(mtu=1400)
    assert shrunk(small, having(br0={"mtu": 1400}, enp3s0={"mtu": 1400})) is None, "its port has no more"
    assert shrunk(small, having(br0={"mtu": 1400}, enp3s0={"mtu": 1400}, gretap1={"mtu": 1300})) is None, "the tunnel does not count"
    alone = {name: link for name, link in having(br0={"mtu": 1382}).items() if name != "enp3s0"}
    assert "mtu = 1500 is wished for" in shrunk(ONE, alone).message


def test_a_port_that_is_too_small_for_the_tunnel():
    """`l2wg status` calls that wrong, too, and points here."""
    links = dict(having(br0={"mtu": 1400}), usb0=Link("usb0", 9, up=True, mtu=1400, master="br0"))
    found = shrunk(ONE, links)
    assert found.id == "bridge-mtu" and "its port usb0 has 1400" in found.message
    cure, _, other = found.hint.partition(" # ")
    assert cure == "ip link set dev usb0 mtu 1500; ip link set dev br0 mtu 1499; ip link set dev br0 mtu 1500"
    assert other.endswith("l2wg set gretap1 mtu=1400; l2wg apply")
    assert shrunk(ONE, dict(links, br0=LINKS["br0"])) is None, "somebody has set the bridge's"


def test_bridge_mac():
    links = having(br0={"mac": ONE.mac, "addresses": ("192.168.92.2/24",)})
    found = unpinned(ONE, links, "0")
    assert found.id == "bridge-mac" and found.hint.startswith("ip link set dev br0 address %s #" % ONE.mac)
    assert unpinned(ONE, links, lan.SET) is None, "somebody has pinned it"
    assert unpinned(ONE, having(br0={"mac": ONE.mac}), "0") is None, "nobody talks to it by IP"


def test_bridge_down():
    assert lan.down(ONE, having(br0={"up": False})).id == "bridge-down"


@pytest.mark.parametrize("state, cause", [("listening", "port-blocked"), ("disabled", "port-blocked"), ("forwarding", None), ("", None)])
def test_port_blocked(state, cause):
    stp = having(gretap1={"port_state": "blocking"}, br0={"stp": True})
    assert lan.blocked(ONE, stp) is None, "there is a second way, and STP is there for that"
    found = lan.blocked(ONE, having(gretap1={"port_state": state}))
    assert (found.id if found else None) == cause
    assert lan.blocked(ONE, having(gretap1={"port_state": state, "master": ""})) is None
    assert lan.blocked(ONE, having(gretap1={"port_state": state}, br0={"up": False})) is None, "bridge-down tells of it"


OWN = {"52:54:00:00:00:03"}
ASKED = {"192.168.92.1": True, "192.168.92.254": False}


def duplicates(*answers):
    return list(lan.duplicates(ONE, ASKED, [Answer(*row) for row in answers], OWN))


def test_duplicate_address():
    assert duplicates() == []
    (found,) = duplicates(("192.168.92.1", "02:00:00:00:00:09", "gretap1"))
    assert found.id == "duplicate-address" and "02:00:00:00:00:09 also has 192.168.92.1" in found.message and "by gretap1" in found.message
    assert duplicates(("192.168.92.1", "52:54:00:00:00:03", "gretap1")) == [], "ourselves, by a loop, which is told of"


def test_duplicate_address_of_the_gateway():
    answer = ("192.168.92.254", "02:00:00:00:00:0a", "enp3s0")
    assert duplicates(answer, answer) == []
    (found,) = duplicates(answer, ("192.168.92.254", "02:00:00:00:00:0b", "gretap1"))
    assert found.id == "duplicate-address" and "0a by enp3s0, 02:00:00:00:00:0b by gretap1" in found.message


def test_duplicate_address_of_ipv6():
    (found,) = lan.refused(ONE, ["fd00:92::1"])
    assert found.id == "duplicate-address" and "fd00:92::1" in found.message


def servers(*offers):
    return [(problem.id, problem.message, problem.hint) for problem in lan.servers(ONE, [Answer(*row) for row in offers], ["gretap1", "gretap2"])]


HERE, THERE = ("192.168.92.10", "02:00:00:00:00:0b", "enp3s0"), ("192.168.178.10", "02:00:00:00:00:0c", "gretap1")


def test_one_dhcp_server_on_either_side_is_as_it_should_be():
    for offers in ((), (HERE,), (THERE,), (HERE, HERE)):
        assert servers(*offers) == []


def test_a_pair_of_servers_on_one_side_is_its_admins():
    assert servers(HERE, ("192.168.92.11", "02:00:00:00:00:0d", "enp3s0")) == []
    assert servers(THERE, ("192.168.178.11", "02:00:00:00:00:0d", "gretap1")) == []
    assert servers(HERE, ("192.168.92.11", "02:00:00:00:00:0d", "enp4s0")) == []


def test_dhcp_two_servers():
    ((cause, message, hint),) = servers(HERE, THERE)
    assert cause == "dhcp-two-servers" and "192.168.178.10 by gretap1 and 192.168.92.10 by enp3s0" in message
    assert hint.startswith("l2wg set gretap1 dhcp=block; l2wg apply #")
    assert servers(THERE, ("192.168.92.1", "52:54:00:00:00:03", prober.HERE))[0][0] == "dhcp-two-servers", "one of them runs on this router"
    assert servers(THERE, ("10.0.0.1", "02:00:00:00:00:0d", "gretap2"))[0][0] == "dhcp-two-servers", "one at each spoke of a hub"


def test_dhcp_twice():
    ((cause, message, _),) = servers(HERE, HERE[:2] + ("gretap1",))
    assert cause == "dhcp-twice" and "192.168.92.10" in message and "enp3s0 and by gretap1" in message


BEHIND = ("192.168.92.0/24", "10.15.14.0/24")


def test_subnets_of_the_reference_do_not_overlap():
    assert overlapping(ONE, *ONE.ends(), LINKS, BEHIND) is None
    assert overlapping(ONE, *ONE.ends(), having(br0={"addresses": ("192.168.92.2/24",)}), BEHIND) is None, "an address in the joined LAN"
    assert overlapping(ONE, *ONE.ends(), LINKS, ("0.0.0.0/0", "192.168.0.0/16")) is None, "a larger network is no clash"
    assert overlapping(ONE, *ONE.ends(), having(enp2s0={"addresses": ("192.168.92.7/24",)}), ("192.168.92.1/32",)) is None, "one host of it, on purpose"
    assert overlapping(ONE, *ONE.ends(), LINKS, ("192.168.92.0/24", "192.168.178.0/24")) is None, "does not hold the tunnel's end"
    assert overlapping(ONE, *ONE.ends(), having(enp2s0={"addresses": ("fd00::1/64",)}), BEHIND) is None


def test_subnet_twice():
    found = overlapping(ONE, *ONE.ends(), having(enp2s0={"addresses": ("192.168.92.7/24",)}), BEHIND)
    assert found.id == "subnet-twice" and found.message.startswith("192.168.92.0/24 is on enp2s0, and also behind the peer")
    found = overlapping(ONE, *ONE.ends(), having(br0={"addresses": ("192.168.178.2/24",)}), BEHIND)
    assert found.id == "subnet-twice" and "192.168.178.0/24 is on enp2s0, and also on br0" in found.message
    assert overlapping(ONE, *ONE.ends(), having(enp2s0={"addresses": ("192.168.92.7/24",), "up": False}), BEHIND) is None
