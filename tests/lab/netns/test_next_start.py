"""What the next `ifup`, or the next `wg-quick up`, makes of what l2wg leaves behind: the real ones, a second time."""

import json
import re

import pytest
from hosts import eventually

WG0 = "/etc/wireguard/wg0.conf"
OURS = "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"


def ids(site):
    return {problem["id"]: problem for problem in json.loads(site.l2wg("check", "--passive", "--json", check=False).stdout)["problems"]}


def there(site, name="wg0"):
    return name in site.links()


# A file that wg(8) reads

STANZA = """
auto wg0
iface wg0 inet static
    address 10.15.14.2/24
    pre-up ip link add $IFACE type wireguard
    pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf
    up ip route add 192.168.92.1/32 dev $IFACE
    post-down ip link delete $IFACE
"""


@pytest.fixture
def by_ifupdown(pair):
    """Site A's WireGuard is ifupdown's: wg(8) reads the same keys."""
    site = pair.a
    site.write(WG0, re.sub(r"^Address.*\n", "", site.read(WG0), flags=re.M), 0o600)
    site.write("/etc/network/interfaces", site.read("/etc/network/interfaces") + STANZA)
    site.sh("ifup wg0")
    return pair


def test_an_interface_of_ifupdown_comes_back_with_its_tunnel(by_ifupdown):
    site = by_ifupdown.a
    before = site.read(WG0)
    answers = "underlay=wg0 local=192.168.178.1 remote=192.168.92.1 bridge=br0 bridge-ports=enp3s0"
    site.l2wg("set", "gretap1", *answers.split())
    done = site.l2wg("attach", "wg0")
    assert "nothing is put in, since wg(8) reads it" in done.stderr and site.read(WG0) == before
    site.l2wg("apply")
    assert there(site, "gretap1")
    site.sh("ifdown wg0; ifup wg0")
    assert there(site) and there(site, "gretap1") and site.links()["gretap1"]["master"] == "br0"
    assert not {"postup-missing", "postup-unread"} & set(ids(site))
    # What an older version has put in, and what that does.
    site.write(WG0, before.replace("[Interface]\n", "[Interface]\n" + OURS), 0o600)
    told = ids(site)["postup-unread"]
    assert told["hint"] == "l2wg detach wg0"
    done = site.sh("ifdown wg0; ifup wg0", check=False)
    assert done.rc and "unrecognized" in done.stderr and "10.15.14.2" not in site.sh("ip address show dev wg0", check=False).stdout
    assert "has our PostUp and PostDown lines" in site.l2wg("attach", "wg0", check=False).stderr
    site.sh(told["hint"] + "; ip link delete wg0; ifup --force wg0")
    assert site.read(WG0) == before and there(site, "gretap1")


# Routes that wg-quick(8) cannot add

CASES = [
    # What another interface has, AllowedIPs, more of [Interface], whether wg-quick fails.
    ("ip address add 192.168.92.2/24 dev br9", "192.168.92.0/24", "", True),
    ("ip address add 192.168.92.2/24 dev br9", "192.168.92.77/24", "", True),
    ("ip address add 192.168.92.2/24 dev br9", "192.168.92.1/32, 192.168.0.0/16", "", False),
    ("ip address add 192.168.92.2/24 dev br9", "192.168.92.0/24", "Table = off", False),
    ("ip address add 192.168.92.2/24 dev br9", "192.168.92.0/24", "Table = 77", False),
    ("ip address add 192.168.92.2/24 dev br9", "192.168.92.0/24", "Address = 192.168.92.9/24", False),
    ("ip address add 192.168.92.2/24 dev br9 noprefixroute", "192.168.92.0/24", "", False),
    ("ip address add 192.168.92.2/24 dev br9", "10.9.0.0/16\n[Peer]\nPublicKey = %s\nAllowedIPs = 192.168.92.0/24", "", True),
    ("ip route add 10.9.0.0/16 dev br9", "10.9.0.0/16", "", True),
    ("ip route add 10.9.0.0/16 dev br9 metric 5", "10.9.0.0/16", "", False),
    ("ip route add unreachable 10.9.0.0/16", "10.9.0.0/16", "", True),
    ("ip route add 10.9.0.0/16 dev br9 table 77", "10.9.0.0/16", "Table = 77", True),
    ("ip address add fd00:92::2/64 dev br9", "fd00:92::/64", "Address = fd00:15::1/64", False),
    ("ip route add fd00:93::/64 dev br9", "fd00:93::/64", "Address = fd00:15::1/64", True),
    ("ip route add fd00:93::/64 dev br9 metric 256", "fd00:93::/64", "Address = fd00:15::1/64", False),
]


@pytest.mark.long
def test_what_is_foreseen_is_what_wg_quick_does(pair):
    """The rules in l2wg_hooks/config/wg_quick_routes.py are the kernel's and wg-quick's."""
    site = pair.a
    text = site.read(WG0)
    site.l2wg("set", "gretap1", *"underlay=wg0 local=192.168.178.1 remote=192.168.92.1 bridge=br0 bridge-ports=enp3s0".split())
    key = site.sh("wg genkey | wg pubkey").stdout.strip()
    wrong = []
    for command, allowed, more, fails in CASES:
        # Without PostUp lines: it is about routes.
        changed = re.sub(r"^AllowedIPs.*", lambda _: "AllowedIPs = " + allowed.replace("%s", key), text, flags=re.M)
        site.write(WG0, changed.replace("[Interface]\n", "[Interface]\n%s\n" % more), 0o600)
        site.sh("ip link add br9 type bridge; ip link set br9 up; " + command)
        foreseen = "route-clash" in ids(site)
        done = site.run(["wg-quick", "up", "wg0"], check=False)
        if (foreseen, bool(done.rc), not there(site)) != (fails,) * 3:
            wrong.append((command, allowed, more, foreseen, done.stderr))
        site.sh("wg-quick down wg0; ip link delete br9; ip route flush type unreachable; ip route flush table 77", check=False)
    assert wrong == []


@pytest.mark.long
def test_a_bridge_address_that_would_cost_wireguard_its_next_start(wireguard):
    site = wireguard.a
    values = "underlay=wg0 local=192.168.178.1 remote=192.168.92.1 bridge=br0 bridge-ports=enp3s0".split()
    done = site.l2wg("set", "gretap1", *values, "bridge-address=192.168.92.2/24", check=False)
    assert done.rc == 1 and "File exists" in done.stderr and not site.exists("/etc/l2wg/gretap1.conf")
    wireguard.configure()
    conf = site.read("/etc/l2wg/gretap1.conf")
    site.write("/etc/l2wg/gretap1.conf", re.sub(r"bridge-address.*", "bridge-address = 192.168.92.2/24", conf))
    before = site.sh("ip -4 address; ip -4 route; cat /etc/network/interfaces.d/l2wg").stdout
    for words in (("plan",), ("apply",)):
        done = site.l2wg(*words, check=False)
        assert done.rc == 1 and "192.168.92.0/24" in done.stderr and "sed -i" in done.stderr
    assert site.sh("ip -4 address; ip -4 route; cat /etc/network/interfaces.d/l2wg").stdout == before
    # The cure to the letter, in the file and now; then it works, and goes on working.
    cure = ids(site)["route-clash"]["hint"].replace(" # and now: ", "; ")
    site.sh(cure)
    site.l2wg("apply")
    for _ in range(2):
        site.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
        assert there(site) and there(site, "gretap1")
        assert "192.168.92.0/24 dev br0" in site.sh("ip -4 route").stdout
    eventually(lambda: site.ping("192.168.92.10", timeout=1) == 1, 30)
    assert "route-clash" not in ids(site)
