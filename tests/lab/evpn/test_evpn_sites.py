"""The same by one file of sites: WireGuard's peers and ways come of it, too. One story, in this order.

Addresses are single ones, as `l2wg init` gives them: what leads to the others, l2wg has made.
"""

import sys
from pathlib import Path

import pytest
from evpn_net import FIVE, FOUR, NET, Net, seconds
from hosts import eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from l2wg_hooks.config import card

NAMES = {1: "hq", 2: "dc", 3: "hut", 4: "barn", 5: "mill"}
HEAD = f"net shape=mesh encapsulation=vxlan control=evpn hub=hq,dc network={NET}\n"


class Sites(Net):
    device = "mesh"
    reflectors = ()

    def files(self, number, site):
        text = f"[Interface]\nPrivateKey = {self.keys[number].private}\nListenPort = 4900\nAddress = 198.18.0.{number}/32\n"
        site.write("/etc/wireguard/wg0.conf", text, 0o600)
        site.write("/etc/l2wg/sites", self.text(FOUR))

    def text(self, numbers, gone=()):
        rows = []
        for number in numbers:
            # One that nobody can call, behind whatever NAT.
            endpoint = f"203.0.113.{10 + number}:4900" if number < 3 else ""
            own = card.Card(NAMES[number], self.keys[number].public, endpoint, (f"198.18.0.{number}",))
            rows.append(f"{card.encode(own)} bridge-ports=enp3s0{' gone=2026-11-29' if number in gone else ''}\n")
        return HEAD + "".join(rows)


@pytest.fixture(scope="module")
def net(vm):
    return Sites(vm)


def test_four_sites_by_one_file(net):
    net.join(FOUR)
    print("all pairs: %.1f s after FRR has started" % seconds(lambda: net.all_pairs(FOUR)))
    for number in FOUR:
        assert net.found(number)[:2] == (set(), "ok")
        assert net.sites[number].l2wg("plan", check=False).rc == 0
    peers = {number: net.sites[number].run(["wg", "show", "wg0", "allowed-ips"]).stdout for number in FOUR}
    assert all(peers[number].split() == [net.keys[1].public, NET] for number in (2, 3, 4)) and len(peers[1].splitlines()) == 3


def test_a_fifth_is_a_line_at_the_hub_and_at_itself(net):
    for number in (1, 5):
        net.sites[number].write("/etc/l2wg/sites", net.text(FIVE))
    net.sites[1].l2wg("apply", "--yes")
    net.join([5])
    print("the fifth: %.1f s" % seconds(lambda: net.all_pairs(FIVE, 90)))
    assert all("mill" not in net.sites[number].run(["l2wg", "sites"], check=False).stdout for number in (2, 3, 4)), "no line of it there"
    # Who calls a reflector that has no line of it is answered through WireGuard.
    assert f"{NET} dev wg0 proto 47" in net.sites[2].run(["ip", "route", "show"]).stdout
    assert net.found(2)[:2] == (set(), "ok")


def test_the_table_of_sites_says_who_is_there(net):
    said = " ".join(net.sites[1].run(["l2wg", "sites"], check=False).stdout.split())
    assert "a mesh of 5 sites" in said and "WRONG" not in said
    net.frr(5, "stop")
    eventually(lambda: "198.18.0.5" not in net.flooded(1), 60, 1)
    said = " ".join(net.sites[1].run(["l2wg", "sites"], check=False).stdout.split())
    assert "FRR has not put it into the table" in said
    net.frr(5, "start")
    net.all_pairs(FIVE, 90)


def test_a_site_that_is_out_is_out_at_the_hub(net):
    net.sites[1].write("/etc/l2wg/sites", net.text(FIVE, gone=(5,)))
    net.sites[1].l2wg("apply", "--yes")
    assert net.keys[5].public not in net.sites[1].run(["wg", "show", "wg0", "peers"]).stdout
    assert not net.reach(5, 3) and net.pairs(FOUR) == 12
    eventually(lambda: all("198.18.0.5" not in net.flooded(number) for number in FOUR), 90, 1)


def test_nothing_has_left_in_the_clear(net):
    for number in FIVE:
        assert net.counted(number) == {"vxlan": 0, "bgp": 0, "outside": 0}
