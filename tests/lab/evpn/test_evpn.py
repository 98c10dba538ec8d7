"""EVPN: sites whose tables Debian's own FRR fills, over a star of WireGuard. One story, in this order.

A site is a network namespace with a root of its own, in which zebra, bgpd and watchfrr run. s1 is WireGuard's hub, which forwards
wg0 -> wg0; s1 and s2 are BGP's reflectors.

      h1 -- enp3s0  s1 (hub, reflector) -+
      h2 -- enp3s0  s2 (reflector)      -+- wan, 203.0.113.0/24
      h3 -- enp3s0  s3                  -+
      ...                                +- and where nobody is, 203.0.113.9
"""

import pytest
from evpn_net import FIVE, FLOOD, FOUR, Net, seconds
from hosts import eventually


@pytest.fixture(scope="module")
def net(vm):
    return Net(vm)


def test_four_sites_by_what_l2wg_prints(net):
    net.join(FOUR)
    print("flood lists complete and all pairs: %.1f s after FRR has started" % seconds(lambda: net.all_pairs(FOUR)))
    assert net.sites[1].l2wg("plan", check=False).rc == 0
    for number in FOUR:
        ids, outcome, _ = net.found(number)
        assert (ids, outcome) == (set(), "ok")
    assert "FRR has put 3 far ends into its table" in " ".join(net.sites[3].run(["l2wg", "status"], check=False).stdout.split())


def test_events_and_the_watch_leave_the_table_alone(net):
    for number in (1, 3):
        for words in (("event", "up", "br0"), ("event", "watch", "timer")):
            said = net.sites[number].run(["l2wg", *words], timeout=120)
            assert "[l2wg]" not in said.stdout + said.stderr
    assert net.complete(FOUR)


def test_a_fifth_joins_with_no_change_at_the_others(net):
    """Its key at the hub, the hub's at it: two pastes."""
    before = {number: net.sites[number].sh("cat /etc/l2wg/* /etc/frr/frr.conf /etc/wireguard/wg0.conf | cksum").stdout for number in (2, 3, 4)}
    net.sites[1].run(["wg", "set", "wg0", "peer", net.keys[5].public, "allowed-ips", "198.18.0.5/32"])
    net.join([5])
    print("the fifth: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 90)))
    assert before == {number: net.sites[number].sh("cat /etc/l2wg/* /etc/frr/frr.conf /etc/wireguard/wg0.conf | cksum").stdout for number in before}


def test_nothing_goes_to_a_far_end_outside_of_the_net(net):
    """The probe is first shown to see."""
    site, before = net.sites[3], net.counted(3)
    site.sh("ip neighbour replace 203.0.113.9 lladdr 02:00:00:00:00:09 dev enp1s0")
    site.sh('python3 -c \'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * 50, ("203.0.113.9", 4789))\'')
    seen = net.counted(3)
    assert seen["vxlan"] > before["vxlan"] and seen["outside"] > before["outside"], "the probe is blind"
    site.run(["bridge", "fdb", "append", FLOOD, "dev", "evpn0", "dst", "203.0.113.9"])
    ask = "ip neighbour flush all; ping -c 3 -i 0.2 -W 1 192.168.92.99"
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen and net.reach(3, 4)
    # The way alone holds it, and so does the guard alone; without both it would leave.
    site.run(["nft", "flush", "chain", "inet", "l2wg", "to_outside"])
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen
    site.l2wg("event", "up", "br0")
    site.sh("ip rule del priority 4789")
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen
    site.run(["nft", "flush", "chain", "inet", "l2wg", "to_outside"])
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3)["outside"] > seen["outside"]
    site.l2wg("event", "up", "br0")
    seen = net.counted(3)
    net.hosts[3].sh(ask, check=False)
    assert net.counted(3) == seen
    ids, _, problems = net.found(3)
    assert ids == {"evpn-outside"}
    site.run(["bridge", "fdb", "del", FLOOD, "dev", "evpn0", "dst", "203.0.113.9"])


def test_check_sees_a_flood_list_that_lacks_a_site(net):
    """As in FRR's issue 19121: BGP knows it, and the kernel does not. (An entry that is deleted by hand, zebra puts back.)"""
    words = ["configure terminal", "router bgp 65000", "address-family l2vpn evpn", "flooding disable"]
    net.sites[3].run(["vtysh", *(word for line in words for word in ("-c", line))])
    eventually(lambda: not net.flooded(3), 20)
    ids, _, problems = net.found(3)
    assert ids == {"evpn-flood"} and any("198.18.0.4" in row["message"] and "systemctl restart frr" in row["hint"] for row in problems)
    net.frr(3, "restart")
    print("FRR restarted at s3: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 90)))
    assert net.found(3)[0] == set()


def test_a_reflector_whose_bgpd_dies_is_off_and_the_others_go_on(net):
    net.kill(1, "watchfrr", "bgpd")
    eventually(lambda: net.flooded(3) == {f"198.18.0.{number}" for number in (2, 4, 5)}, 60, 1)
    assert net.flooded(1) == set() and net.pairs((2, 3, 4, 5)) == 12 and not net.reach(1, 3)
    assert net.found(1)[0] == {"frr-not-running"} and net.found(3)[0] == {"evpn-session"}


def test_without_any_reflector_there_is_no_lan(net):
    net.kill(2, "watchfrr", "bgpd")
    eventually(lambda: not net.flooded(3) and not net.flooded(4), 60, 1)
    assert net.pairs((3, 4, 5)) == 0 and "no far end" in net.sites[3].run(["l2wg", "status"], check=False).stdout
    assert net.found(3)[0] == {"evpn-session"}
    for number in (1, 2):
        net.frr(number, "restart")
    print("both reflectors back: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 120)))


def test_wg0_goes_and_comes(net):
    before = net.counted(3)
    net.sites[3].run(["wg-quick", "down", "wg0"])
    net.hosts[3].sh("ping -c 3 -i 0.2 -W 1 192.168.92.99", check=False)
    assert not net.reach(3, 4)
    net.sites[3].run(["wg-quick", "up", "wg0"])
    print("wg0 back at s3: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 120)))
    assert net.counted(3) == before, "in the clear"


def test_nothing_has_left_in_the_clear(net):
    assert all(net.counted(number)["vxlan"] == 0 for number in (1, 2, 4, 5))
    assert all(net.counted(number)["bgp"] == 0 for number in (1, 2, 3, 4, 5))
