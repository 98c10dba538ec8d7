"""`peer-down = port`: whoever is plugged in sees its carrier go with the other router, and come back.

The reference case without an address on A's bridge. B's WireGuard goes, and its answers with it.
"""

import json

import pytest
from hosts import eventually

LOOK = ("event", "watch", "timer")


@pytest.fixture(scope="module")
def lab(wired):
    wired.a.l2wg("set", "gretap1", "peer-down=port")
    wired.a.l2wg("apply")
    return wired


def carrier(lab) -> bool:
    return "LOWER_UP" in lab.device.links()["eth0"]["flags"]


def look(lab) -> str:
    return lab.a.l2wg(*LOOK).stderr


def goes(lab) -> str:
    """B is gone, for three looks."""
    lab.b.sh("ip link set wg0 down")
    # What was under way has come.
    look(lab)
    return "".join(look(lab) for _ in range(3))


def counted(lab) -> None:
    """The third look, and no sooner, takes the carrier."""
    for number in range(3):
        assert carrier(lab), number
        look(lab)
    assert not carrier(lab)


def comes(lab) -> str:
    lab.b.sh("ip link set wg0 up; ip route replace 192.168.178.0/24 dev wg0; l2wg up wg0")
    eventually(lab.wireguard_works, 30)
    return look(lab)


def status(lab) -> dict:
    return json.loads(lab.a.l2wg("status", "--json", check=False).stdout)


def test_a_peer_that_answers_costs_nobody_the_carrier(lab):
    assert [look(lab) for _ in range(4)] == [""] * 4 and carrier(lab) and lab.wired()
    assert status(lab)["tunnels"][0]["peer_down"] is False
    # B's WireGuard is there; only echo requests are dropped.
    lab.b.sh("nft 'add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in iifname wg0 meta l4proto icmp drop'")
    assert [look(lab) for _ in range(4)] == [""] * 4 and carrier(lab)
    lab.b.sh("nft delete table inet deaf")


def test_the_carrier_goes_with_the_third_look(lab):
    said = goes(lab)
    assert said.count("the peer of gretap1 has answered nothing for 3 looks") == 1 and "ip link set dev enp3s0 down" in said
    assert not carrier(lab) and "gretap1" in lab.a.links()
    found = status(lab)
    assert found["tunnels"][0]["peer_down"] is True
    assert any("so enp3s0 is held down (peer-down = port)" in fault["message"] for fault in found["faults"])
    assert 'l2wg_peer_down{tunnel="gretap1"} 1' in lab.a.l2wg("metrics").stdout
    assert lab.a.run(["stat", "-c", "%a %U", "/run/l2wg.answers", "/run/l2wg.ports"]).stdout == "600 root\n" * 2


@pytest.mark.parametrize("script", ["l2wg up wg0", "ifdown br0; ifup br0", "l2wg event up boot", "ip link set enp3s0 up; l2wg event up br0", "l2wg event watch timer"])
def test_no_event_brings_it_up(lab, script):
    lab.a.sh(script, timeout=120)
    assert not carrier(lab) and "gretap1" in lab.a.links()
    assert lab.a.l2wg("plan", check=False).rc == 0


def test_it_comes_back_with_the_peer(lab):
    assert "the peer of gretap1 answers again" in comes(lab)
    assert carrier(lab) and lab.a.exists("/run/l2wg.answers") and not lab.a.exists("/run/l2wg.ports")
    lab.comes_back()
    assert look(lab) == ""


def test_where_an_address_is_on_the_bridge_the_port_stays_and_apply_refuses(lab):
    goes(lab)
    lab.a.sh("ip address add 10.77.0.1/24 dev br0")
    said = lab.a.l2wg("event", "up", "br0").stderr
    assert "br0 has the address 10.77.0.1/24: who is logged in by it would be cut off with the port" in said and carrier(lab)
    refused = lab.a.l2wg("apply", check=False)
    assert refused.rc and "peer-down: br0 has the address" in refused.stderr
    lab.a.sh("ip address delete 10.77.0.1/24 dev br0; l2wg event up br0")
    assert not carrier(lab)


def test_what_is_taken_down_gives_the_carrier_back(lab):
    lab.a.l2wg("down", "wg0")
    assert carrier(lab)
    for _ in range(4):
        look(lab)
    assert carrier(lab), "it was taken down on purpose"
    lab.a.l2wg("up", "wg0")
    counted(lab)
    lab.a.l2wg("down", "--all")
    assert carrier(lab) and not lab.a.exists("/run/l2wg.ports")


def test_who_no_longer_wants_it_has_the_carrier_back(lab):
    lab.a.l2wg("up", "wg0")
    assert not carrier(lab)
    lab.a.l2wg("set", "gretap1", "peer-down=nothing")
    lab.a.l2wg("apply", check=False)
    assert carrier(lab)
    comes(lab)
    lab.comes_back()


def test_after_a_start_it_is_counted_anew(lab):
    lab.a.l2wg("set", "gretap1", "peer-down=port")
    lab.a.l2wg("apply")
    goes(lab)
    assert not carrier(lab)
    lab.a.sh("rm -f /run/l2wg.*; ip link set enp3s0 up; l2wg event up boot")
    counted(lab)
