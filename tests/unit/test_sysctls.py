import os

import pytest
from l2wg_hooks.model import Link
from l2wg_hooks.observe import sysctls
from l2wg_hooks.plan import address_move
from test_address_move import HELD, LIVE, find


@pytest.fixture
def proc(root):
    top = root / "proc/sys"
    usual = {"rp_filter": "0", "arp_ignore": "0", "forwarding": "0", "mtu": "1500", "mc_forwarding": "0"}
    for name, values in (("default", usual), ("enp2s0", dict(usual, rp_filter="2", forwarding="1", mtu="1400", mc_forwarding="1")), ("br0", dict(usual, rp_filter="1"))):
        for folder in sysctls.FOLDERS:
            directory = top / folder / name
            directory.mkdir(parents=True)
            for key, value in values.items():
                (directory / key).write_text((value if folder == "net/ipv4/conf" else "0") + "\n")
    os.chmod(str(top / "net/ipv4/conf/enp2s0/arp_ignore"), 0o444)
    (top / "net/ipv4/conf/enp2s0/arp_ignore").write_text("7\n")
    return top


def test_what_somebody_has_set_for_the_port_alone(proc):
    found = sysctls.differing("enp2s0")
    assert list(found.items()) == [(("net/ipv4/conf", "forwarding"), "1"), (("net/ipv4/conf", "rp_filter"), "2")]
    assert sysctls.now("br0", found) == {("net/ipv4/conf", "forwarding"): "0", ("net/ipv4/conf", "rp_filter"): "1"}
    assert sysctls.differing("enp9s0") == {} and sysctls.now("br9", found) == {}


def test_the_bridge_has_it_before_it_is_up(proc):
    moves = find()[0]
    set_ = "sysctl -qew net/ipv4/conf/br0/forwarding=1 net/ipv4/conf/br0/rp_filter=2"
    steps = [str(step) for step in address_move.steps(moves, LIVE, HELD, {"enp2s0": sysctls.differing("enp2s0")})]
    assert steps[1:3] == [set_, "ip link set dev br0 up"]
    there = dict(LIVE, br0=Link("br0", 3, "bridge", up=True))
    assert str(address_move.steps(moves, there, HELD, {"enp2s0": sysctls.differing("enp2s0")})[0]) == set_
