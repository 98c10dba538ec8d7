import pytest

from l2wg_hooks import links
from l2wg_hooks.errors import L2wgError

SUITES = ("bullseye", "bookworm", "trixie")


@pytest.mark.parametrize("suite", SUITES)
def test_what_real_kernels_say(golden, suite):
    found = links.parse((golden / "links" / (suite + "-right.json")).read_text())
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
    found = links.parse((golden / "links" / (suite + "-dead.json")).read_text())
    assert "wg0" not in found
    assert found["gretap1"].underlay.startswith("if")


def test_link_local_addresses_do_not_count():
    text = '[{"ifname":"e","ifindex":2,"flags":[],"addr_info":[{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}]'
    assert links.parse(text)["e"].addresses == ()
    assert links.parse(text)["e"].ipv6


def test_iproute2_of_debian_10():
    assert links.parse("") == {}
    assert list(links.parse('[{},{"ifname":"lo","ifindex":1},{}]')) == ["lo"]


@pytest.mark.parametrize("text", ["{", "null garbage", '[{"ifname":"lo"}]', "[1]", '{"a":1}', '[{"ifname":"x","ifindex":1,"addr_info":[7]}]'])
def test_what_cannot_be_read_is_an_error_with_a_cure(text):
    with pytest.raises(L2wgError) as error:
        links.parse(text)
    assert "hint: " in str(error.value)
