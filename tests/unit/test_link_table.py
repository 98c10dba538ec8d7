import json

import pytest
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.observe import link_table

SUITES = ("bullseye", "bookworm", "trixie")


@pytest.mark.parametrize("suite", SUITES)
def test_what_real_kernels_say(golden, suite):
    found = link_table.parse((golden / "links" / (suite + "-right.json")).read_text())
    tunnel = found["gretap1"]
    assert (tunnel.kind, tunnel.local, tunnel.remote) == ("gretap", "192.168.178.1", "192.168.92.1")
    assert (tunnel.underlay, tunnel.pmtudisc, tunnel.ignore_df, tunnel.key) == ("wg0", False, True, None)
    assert (tunnel.master, tunnel.up, tunnel.mtu, tunnel.alias) == ("br0", True, 1500, "l2wg")
    assert tunnel.mac == "fe:ff:ab:cc:78:53"
    hand = found["hand"]
    assert (hand.underlay, hand.pmtudisc, hand.ignore_df, hand.key, hand.up) == ("", True, False, 4294967295, False)
    assert (found["wg0"].kind, found["br0"].kind, found["br0"].mtu) == ("wireguard", "bridge", 1500)
    assert found["lo"].addresses == ("127.0.0.1/8", "::1/128")


@pytest.mark.parametrize("suite", SUITES)
def test_a_tunnel_whose_underlay_is_gone_says_so(golden, suite):
    found = link_table.parse((golden / "links" / (suite + "-dead.json")).read_text())
    assert "wg0" not in found
    assert found["gretap1"].underlay.startswith("if")


def test_link_local_addresses_do_not_count():
    text = '[{"ifname":"e","ifindex":2,"flags":[],"addr_info":[{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}]'
    assert link_table.parse(text)["e"].addresses == ()
    assert link_table.parse(text)["e"].ipv6


def test_iproute2_of_debian_10():
    assert link_table.parse("") == {}
    assert list(link_table.parse('[{},{"ifname":"lo","ifindex":1},{}]')) == ["lo"]


@pytest.mark.parametrize("text", ["{", "null garbage", '[{"ifname":"lo"}]', "[1]", '{"a":1}', '[{"ifname":"x","ifindex":1,"addr_info":[7]}]'])
def test_what_cannot_be_read_is_an_error_with_a_cure(text):
    with pytest.raises(L2wgError) as error:
        link_table.parse(text)
    assert "hint: " in str(error.value)


# `v6`, `g6` and the port `dx` are what was recorded of them, which is not all; the other links are whole.
KINDS = ("bullseye", "trixie")


def kinds(golden, suite, *changes):
    text = (golden / "links" / (suite + "-kinds.json")).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return link_table.parse(text)


@pytest.mark.parametrize("suite", KINDS)
@pytest.mark.parametrize(
    "name, wanted",
    [
        ("t0", ("vxlan", "10.9.0.1", "10.9.0.2", "", 1, 4789)),
        ("v6", ("vxlan", "fd09::1", "fd09::2", "", 5, 4789)),
        ("t1", ("ip6gretap", "fd09::1", "fd09::2", "wg0", None, None)),
        ("g6", ("ip6gretap", "fd09::1", "fd09::3", "", 7, None)),
    ],
)
def test_what_real_kernels_say_of_the_other_tunnels(golden, suite, name, wanted):
    found = kinds(golden, suite)[name]
    assert (found.kind, found.local, found.remote, found.underlay, found.key, found.port) == wanted


@pytest.mark.parametrize("suite", KINDS)
def test_what_real_kernels_say_of_a_bridge_and_its_port(golden, suite):
    found = kinds(golden, suite)
    assert (found["brx"].group_forward, found["brx"].stp, found["brx"].bridge_iptables) == (0x4008, False, False)
    assert (found["brx"].vlan_filtering, found["brx"].pvid) == (False, 1)
    assert (found["dx"].isolated, found["dx"].master) == (True, "brx")
    assert not found["t0"].isolated and found["t0"].group_forward == 0
    assert not kinds(golden, suite, ('"isolated":true', '"isolated":false'))["dx"].isolated
    assert kinds(golden, suite, ('"stp_state":0', '"stp_state":1'))["brx"].stp
    changes = (('"vlan_filtering":0', '"vlan_filtering":1'), ('"vlan_default_pvid":1', '"vlan_default_pvid":10'))
    filtering = kinds(golden, suite, *changes)["brx"]
    assert (filtering.vlan_filtering, filtering.pvid) == (True, 10)
    assert kinds(golden, suite, ('"group_fwd_mask":"0x4008"', '"group_fwd_mask":"0"'))["brx"].group_forward == 0


@pytest.mark.parametrize("suite", KINDS)
def test_iptables_sees_a_bridge_when_both_of_its_families_do(golden, suite):
    four, six = ('"nf_call_%s":0' % name for name in ("iptables", "ip6tables"))
    on = [(name, name[:-1] + "1") for name in (four, six)]
    assert kinds(golden, suite, *on)["brx"].bridge_iptables
    for change in on:
        assert not kinds(golden, suite, change)["brx"].bridge_iptables


@pytest.mark.parametrize(
    "data, key",
    [
        ({}, None),
        ({"ikey": "0.0.0.7", "okey": "0.0.0.9"}, 9),
        ({"okey": "1.2.3.4"}, 0x01020304),
        ({"okey": "255.255.255.255"}, 2**32 - 1),
        ({"okey": "0.0.0.0"}, 0),
        ({"key": "0x7"}, 7),
        ({"id": 0}, 0),
        ({"id": 16777215}, 16777215),
    ],
)
def test_keys_and_vnis_are_numbers(data, key):
    text = json.dumps([{"ifname": "t", "ifindex": 1, "linkinfo": {"info_kind": "t", "info_data": data}}])
    assert link_table.parse(text)["t"].key == key


@pytest.mark.parametrize(
    "data, ttl, odd",
    [
        ({"ttl": 64, "pmtudisc": False, "ignore_df": True}, 64, ()),
        ({"ttl": 0, "tos": "0x1"}, 0, ("tos",)),
        ({"ttl": 64, "ikey": "0.0.0.5", "okey": "0.0.0.5", "iseq": True, "oseq": True}, 64, ("iseq", "oseq")),
        ({"ttl": 64, "icsum": True, "ocsum": True}, 64, ("icsum", "ocsum")),
        ({"ttl": 64, "ikey": "0.0.0.5", "okey": "0.0.0.6"}, 64, ("ikey '0.0.0.5' okey '0.0.0.6'",)),
        ({"ttl": 64, "ip6_tnl_f_ign_encap_limit": True, "tclass": "0x00", "flowlabel": "0x00000"}, 64, ()),
        ({"ttl": 64, "encap_limit": 4, "ip6_tnl_f_use_orig_tclass": True, "flowlabel": "0x00000"}, 64, ("encaplimit", "tclass inherit")),
        ({"learning": True, "tos": 0, "ttl": 64, "df": "unset", "ageing": 300, "udp_csum": True, "udp_zero_csum6_tx": False}, 64, ()),
        ({"learning": False, "udp_csum": False, "udp_zero_csum6_tx": True}, 0, ("nolearning", "noudpcsum", "udp6zerocsumtx")),
        ({"encap": {"type": "fou"}, "ttl": 64}, 64, ("encap",)),
        ({"external": True}, 0, ("external",)),
    ],
)
def test_what_makes_a_tunnels_packets_other_ones(data, ttl, odd):
    entry = {"ifindex": 1, "ifname": "t", "linkinfo": {"info_kind": "vxlan" if "learning" in data else "gretap", "info_data": data}}
    found = link_table.parse(json.dumps([entry]))["t"]
    assert (found.ttl, found.odd) == (ttl, odd)
