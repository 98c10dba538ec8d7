"""A router with many tunnels: their rules are sets that all share, and each has its own counters, its fence, its limit, its clamp."""

import json
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module", params=["bridge", pytest.param("guard", marks=pytest.mark.long)])
def table(request, vm):
    return request.param, told(vm, request.param)


def told(vm, what):
    """What tests/lab/many_tunnels.py has seen in the machine."""
    for name in ("packets.py", "many_tunnels.py"):
        vm.put(f"/root/{name}", (LAB / name).read_bytes())
    return json.loads(vm.run(["unshare", "-n", "python3", "-B", "/root/many_tunnels.py", what], timeout=180).stdout)


ALL = ["gt1", "gt2", "gt3", "s1", "s2"]
FENCES = {
    "gt2's own, by the LAN": [{"loop gt2": 1}, []],
    "s1's own, by gt3": [{"loop s1": 1}, []],
    "the bridge's own": [{"loop gt1": 1}, []],
    "gt2's own, in a bridge without tunnels": [{}, []],
    "of the LAN": [{}, ALL],
    "DHCP of the LAN": [{"dhcp gt2": 1, "dhcp gt3": 1, "dhcp s2": 1}, ["gt1", "s1"]],
    "DHCP of gt2": [{"dhcp gt2": 1}, []],
    "DHCPv6 in a VLAN": [{"dhcp gt2": 1, "dhcp gt3": 1, "dhcp s2": 1}, ["gt1", "s1"]],
    "a router's advertisement of gt3": [{"dhcp gt3": 1}, []],
    "VLAN 10": [{}, ALL],
    "VLAN 20": [{"vlans gt3": 1}, ["gt1", "gt2", "s1", "s2"]],
    "VLAN 20 of gt3": [{"vlans gt3": 1}, []],
}
CLAMPS = {
    "MSS, IPv4": {"gt1": 1342, "gt2": 1260, "gt3": 1342, "s1": 1460, "s2": 1460},
    "MSS, IPv4 in a VLAN": {"gt1": 1338, "gt2": 1260, "gt3": 1338, "s1": 1460, "s2": 1460},
    "MSS, IPv6": {"gt1": 1322, "gt2": 1240, "gt3": 1322, "s1": 1440, "s2": 1440},
    "MSS, IPv6 in a VLAN": {"gt1": 1318, "gt2": 1240, "gt3": 1318, "s1": 1440, "s2": 1440},
    "MSS, from gt1": {"lan": 1342, "gt2": 1260, "gt3": 1342, "s1": 1342, "s2": 1342},
    "MSS, no SYN": dict.fromkeys(ALL, 1460),
}
# Reason and ends, as the guard counts them; no ends where any are meant.
GRE, KEYED, SIX, VX6 = "10.0.0.1 10.9.0.1", "10.0.0.1 10.9.0.2", "fd00::1 fd09::1", "fd00::1 fd09::2"
OUTSIDE = {
    "GRE": {f"injection {GRE}": 1},
    "GRE with a key": {f"injection {KEYED}": 1},
    "GRE in fragments": {f"injection {GRE}": 1},
    "GRE of nobody": {},
    "GRE over IPv6": {f"injection {SIX}": 1},
    "GRE over IPv6, extended": {f"injection {SIX}": 1},
    "VXLAN": {"injection  ": 1},
    "VXLAN with nobody's VNI": {},
    "VXLAN over IPv6": {"injection  ": 1},
}
# By its own WireGuard, too: the peer of one tunnel is none of the other's.
OTHERS = {what: {"injection  ": 1} for what in ("VXLAN with the other's VNI", "VXLAN of a stranger", "VXLAN over IPv6, its VNI in no fragment")}
GUARD = {
    **{f"{interface}: {what}": drops for interface in ("wan", "lan") for what, drops in {**OUTSIDE, **OTHERS}.items()},
    **{f"wg0: {what}": {} for what in OUTSIDE},
    **{f"wg0: {what}": drops for what, drops in OTHERS.items()},
    "forwarded: GRE": {f"forgery {GRE}": 1},
    "forwarded: GRE over IPv6": {f"forgery {SIX}": 1},
    "forwarded: VXLAN": {f"forgery {GRE}": 1},
    "forwarded: TCP": {},
    "out by wg0: GRE": {f"forgery {GRE}": 1},
    "out by wg0: GRE over IPv6": {f"forgery {SIX}": 1},
    "out by wg0: VXLAN": {f"forgery {KEYED}": 1},
    "out by wg0: VXLAN over IPv6": {f"forgery {VX6}": 1},
    "out by wg0: UDP": {},
    "out by wan: GRE": {f"leak {GRE}": 1},
    "out by wan: GRE over IPv6": {f"leak {SIX}": 1},
    "out by wan: VXLAN": {f"leak {KEYED}": 1},
    "out by wan: VXLAN over IPv6": {f"leak {VX6}": 1},
    "out by wan: UDP": {},
    "out: the admin's GRE, without Ethernet": {},
    "out: the admin's GRE, with a key": {},
    "out: the admin's VXLAN": {},
}


def test_what_is_dropped_is_counted_for_whose_it_is(table):
    name, found = table
    floods = {what: found.pop(what) for what in list(found) if what.startswith("flood: ")}
    assert found == ({**FENCES, **CLAMPS} if name == "bridge" else GUARD)
    if not floods:
        return
    limited = {"flood: s1 to all": ["storm s1"], "flood: the LAN to all": ["storm s1", "storm s2"], "flood: s1 to nobody": ["storm s1"]}
    limited["flood: s1 to its own"] = ["storm s1"]
    for what, (drops, heard) in floods.items():
        assert sorted(drops) == sorted(limited.get(what, [])), what
        # Of 40, and the limit is 5 a second: whatever is not known crosses for a moment, not for ever.
        assert all(count >= 20 for count in drops.values()), (what, drops)
    assert floods["flood: s1 to the LAN's station"][1] == {"lan": 40}
    assert floods["flood: s1 to that of s2"][1] == {"s2": 40}
    assert floods["flood: the LAN to that of s1"][1] == {"s1": 40}
    assert floods["flood: the LAN to all"][1]["gt1"] == 40, "a tunnel without a limit has none"
