"""What WireGuard says of itself, judged."""

import pytest
from l2wg_hooks.check import underlay
from l2wg_hooks.model import Link, Tunnel
from l2wg_hooks.observe.wg_interfaces import Interface, Peer

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", path="/etc/l2wg/gretap1.conf", lines={"remote": 3})
SIX = ONE._replace(local="fd00:178::1", remote="fd00:92::1")
WG0 = Link("wg0", 3, "wireguard", up=True, mtu=1420)
NOW = 1700000000


def peer(key="far=", allowed=("192.168.92.0/24",), age=10, endpoint="203.0.113.20:4900"):
    return Peer(key, endpoint, allowed, NOW - age if age is not None else 0, 0, 0, None)


def interface(*peers):
    return Interface("own=", 4900, peers)


def test_an_underlay_that_is_up_is_no_problem():
    assert underlay.absent(ONE, WG0, True) is None


def test_underlay_absent():
    found = underlay.absent(ONE, None, True)
    assert found.id == "underlay-absent" and found.hint.startswith("wg-quick up wg0 #") and "systemctl enable wg-quick@wg0" in found.hint
    assert "no /etc/wireguard/wg0.conf" in underlay.absent(ONE, None, False).hint


def test_underlay_down():
    found = underlay.absent(ONE, WG0._replace(up=False), True)
    assert (found.id, found.hint) == ("underlay-down", "wg-quick down wg0; wg-quick up wg0")
    assert underlay.absent(ONE, WG0._replace(up=False), False).hint == "ip link set dev wg0 up"


def test_the_longest_prefix_is_the_one_that_counts():
    rows = underlay.covering(interface(peer("a", ("0.0.0.0/0", "::/0")), peer("b", ("192.168.92.1/32", "10.0.0.0/8")), peer("c", ("192.168.92.0/24",))), "192.168.92.1")
    assert [(length, holder.key) for length, holder in rows] == [(32, "b"), (24, "c"), (0, "a")]
    assert underlay.covering(interface(peer("a", ("0.0.0.0/0",))), "fd00::1") == []


def test_allowed_ips_that_cover_are_no_problem():
    assert underlay.uncovered(ONE, *ONE.ends(), interface(peer())) is None
    assert underlay.uncovered(SIX, *SIX.ends(), interface(peer(allowed=("fd00:92::/64",)))) is None


def test_allowed_ips_the_line_and_the_command():
    found = underlay.uncovered(ONE, *ONE.ends(), interface(peer(allowed=("10.15.14.0/24",))))
    assert (found.id, found.key, found.line, found.tunnel) == ("allowed-ips", "remote", 3, "gretap1")
    assert found.hint == (
        "in the [Peer] section of /etc/wireguard/wg0.conf: AllowedIPs = 10.15.14.0/24, 192.168.92.1/32"
        " # and now: wg set wg0 peer far= allowed-ips 10.15.14.0/24,192.168.92.1/32"
    )
    assert "AllowedIPs = 10.15.14.0/24, fd00:92::1/128" in underlay.uncovered(SIX, *SIX.ends(), interface(peer(allowed=("10.15.14.0/24",)))).hint


def test_of_several_peers_nobody_but_the_admin_knows_the_right_one():
    found = underlay.uncovered(ONE, *ONE.ends(), interface(peer(allowed=("10.1.0.0/24",)), peer(allowed=("10.2.0.0/24",))))
    assert "wg set" not in found.hint and "AllowedIPs = ..., 192.168.92.1/32" in found.hint
    assert "no peer at all" in underlay.uncovered(ONE, *ONE.ends(), interface()).hint


@pytest.mark.parametrize("age, cause", [(0, None), (179, None), (180, "handshake-old"), (86400, "handshake-old"), (None, "no-handshake")])
def test_sessions(age, cause):
    found = underlay.silent(ONE, *ONE.ends(), interface(peer(age=age)), NOW)
    assert (found.id if found else None) == cause


def test_no_handshake_says_who_has_to_call():
    assert "203.0.113.20:4900" in underlay.silent(ONE, *ONE.ends(), interface(peer(age=None)), NOW).hint
    assert "has to call" in underlay.silent(ONE, *ONE.ends(), interface(peer(age=None, endpoint="")), NOW).hint


def test_handshake_old_of_the_peer_that_gets_the_packets():
    found = underlay.silent(ONE, *ONE.ends(), interface(peer("there", age=5), peer("dead", ("192.168.92.1/32",), age=600)), NOW)
    assert "the peer dead of wg0 does not answer; it did 10 minutes ago" in found.message
    assert "there also has 192.168.92.1, in a shorter prefix than /32, and is there" in found.message
    assert underlay.silent(ONE, *ONE.ends(), interface(peer("there", age=5), peer("dead", ("192.168.93.1/32",), age=600)), NOW) is None
    assert underlay.silent(ONE, *ONE.ends(), interface(), NOW) is None, "allowed-ips tells of it"


@pytest.mark.parametrize(
    "mtu, family, room, fits",
    [(1420, 4, 1500, True), (1440, 4, 1500, True), (1441, 4, 1500, False), (1420, 6, 1500, True), (1421, 6, 1500, False), (1420, 6, 1492, False), (1420, 4, 1492, True)],
)
def test_wg_fragments(mtu, family, room, fits):
    found = underlay.fragmented(ONE, WG0._replace(mtu=mtu), family, "ppp0", room)
    assert (found is None) == fits
    if found:
        assert found.id == "wg-fragments" and "MTU = %d" % (room - (60 if family == 4 else 80)) in found.hint


def test_wireguard_has_had_its_time_before_it_is_said_to_be_mute():
    """KEEPALIVE_TIMEOUT + REKEY_TIMEOUT of the paper, until which a peer that has restarted drops all in silence."""
    assert underlay.ANSWER >= 10 + 5
