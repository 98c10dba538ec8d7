"""`l2wg check` on a real wire that somebody has made faulty: it names the cause, its cure is run as it stands, and then it is silent.

Firewalls and other managers are the neighbours' tier; loops and storms are test_datapath's.
"""

import contextlib
import json
import re

import pytest

DNSMASQ = "dnsmasq --conf-file=/dev/null --user=root --no-resolv --no-hosts --port=0 --dhcp-authoritative --no-ping --except-interface=lo"


def looked(site, *words):
    """What `l2wg check --json` says."""
    done = site.l2wg("check", "--json", *words, check=False)
    found = json.loads(done.stdout)
    assert done.rc == (1 if found["problems"] else 0) and "Traceback" not in done.stderr
    return found


def problems(site, *words):
    """{id: problem}."""
    return {problem["id"]: problem for problem in looked(site, *words)["problems"]}


def ids(site, *words):
    return set(problems(site, *words))


def command(problem):
    """The cure as a command; what stands behind # is for people, but for what is to be done now."""
    head, _, tail = problem["hint"].partition(" # ")
    for text in (head, tail):
        found = re.search(r"(?:^|: )((?:ip|wg|wg-quick|l2wg|sysctl|sed|ifup|printf) .*)", text)
        if found:
            return found.group(1)
    return ""


def cure(site, *words, rounds=3):
    """Run all cures until nothing is wrong."""
    for _ in range(rounds):
        found = problems(site, *words)
        if not found:
            return
        for problem in found.values():
            assert command(problem), problem
            site.sh(command(problem), timeout=120)
    assert problems(site, *words) == {}


def wish(pair, a=None, b=None):
    """By an event: `apply` would see to it that nothing is worse afterwards."""
    for site, words in ((pair.a, a), (pair.b, b)):
        if words:
            site.l2wg("set", "gretap1", *words)
            site.l2wg("up", "wg0")


@pytest.fixture(scope="module")
def wire(wired):
    """Nobody asks for DHCP servers here, which takes 5 s each time; that has a test of its own."""
    wish(wired, ("dhcp=block",), ("dhcp=block",))
    return wired


@contextlib.contextmanager
def faulty(site, fault, undo):
    site.sh(fault)
    try:
        yield
    finally:
        site.sh(undo)


def test_nothing_is_wrong_with_the_reference(wired):
    """Site A's bridge has no address; nobody is asked in vain, but for what is not there."""
    for site, found in zip(wired.sites, wired.both(looked)):
        assert found["problems"] == [], site.name
        outcomes = {check["name"]: check for check in found["checks"]}
        assert {check["outcome"] for check in outcomes.values()} == {"ok"}, site.name
    said = wired.a.l2wg("check", "-v", "--passive").stderr
    assert "this router: Linux " in said and "has the guard's matches\n" in said and "has interfaces as JSON\n" in said
    assert "nothing is wrong" in said


def test_files_and_switches(wire):
    """Several at once: each is told of, and each cure cures."""
    site = wire.a
    conf, main = site.read("/etc/wireguard/wg0.conf"), site.read("/etc/network/interfaces")
    site.write("/etc/wireguard/wg0.conf", conf.replace("PostUp = l2wg up %i || :\n", "PostUp = l2wg up %i || :\n" * 2 + "PostUp = l2wg up wg7 || :\n"), 0o600)
    site.write("/etc/network/interfaces", re.sub(r"^source.*\n", "", main, flags=re.M))
    site.sh("ip link set br0 mtu 1382; sysctl -qw net.ipv4.ip_forward=0; nft flush ruleset")
    found = problems(site, "--passive")
    assert set(found) == {"postup-doubled", "postup-elsewhere", "not-sourced", "bridge-mtu", "forwarding", "guard"}
    assert found["not-sourced"]["path"] == "/etc/network/interfaces"
    site.write("/etc/network/interfaces", main)
    cure(site, "--passive")
    assert "1500" in site.sh("cat /sys/class/net/br0/mtu").stdout
    site.l2wg("detach", "wg0")
    assert ids(site, "--passive") == {"postup-missing"}
    cure(site, "--passive")
    assert site.read("/etc/wireguard/wg0.conf").count("l2wg up") == 1


def test_what_is_down_or_gone(wire):
    site = wire.a
    again = "ip link set gretap1 down; ip link set gretap1 up"
    with faulty(
        site,
        f"ip link set br0 type bridge stp_state 1; ip link set br0 type bridge forward_delay 3000; {again};"
        "ip address del 192.168.178.1/24 dev enp2s0; ip link set enp3s0 down; ip link set enp3s0 name old",
        f"ip link set br0 type bridge stp_state 0; ip link set br0 type bridge forward_delay 0; {again};"
        "ip address add 192.168.178.1/24 dev enp2s0; ip link set old name enp3s0; ip link set enp3s0 up",
    ):
        found = problems(site, "--passive")
        assert set(found) == {"port-blocked", "local-absent", "port-absent"} and "its state is listening" in found["port-blocked"]["message"]
    site.l2wg("up", "wg0")
    site.sh("ip link set br0 down; ip link set wg0 down")
    assert ids(site, "--passive") == {"bridge-down", "underlay-down"}
    cure(site, "--passive")
    wire.comes_back()
    site.sh("wg-quick down wg0; ifdown br0", timeout=120)
    assert ids(site, "--passive") == {"underlay-absent", "bridge-absent"}
    cure(site)
    wire.comes_back()


def test_routes(wire):
    """The wire needs no route to the other site, but it is told of; with strict rp_filter it does."""
    site = wire.a
    route = site.sh("ip route show 192.168.92.0/24").stdout.strip()
    assert route.startswith("192.168.92.0/24 dev wg0")
    site.sh("ip route del 192.168.92.0/24 dev wg0; ip route add default dev enp1s0")
    assert wire.wired(), "the tunnel is bound to its underlay"
    assert ids(site) == {"route"}
    site.sh("sysctl -qw net.ipv4.conf.all.rp_filter=1")
    assert not wire.wired(), "else it should not be told"
    found = problems(site, "--passive")
    assert set(found) == {"route", "rp-filter"}
    site.sh(command(found["rp-filter"]))
    wire.comes_back()
    cure(site)
    site.sh(f"ip route replace {route}; ip route del 192.168.92.1/32; ip route del default; sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.wg0.rp_filter=0")
    wire.comes_back()


def test_allowed_ips_on_either_side(wire):
    site, other = wire.a, wire.b
    peer = "$(wg show wg0 peers)"
    was = [side.sh("wg show wg0 allowed-ips").stdout.split("\t")[1].split() for side in wire.sites]
    site.sh(f"wg set wg0 peer {peer} allowed-ips 10.15.14.0/24")
    assert ids(site) == {"allowed-ips"}
    cure(site)
    site.sh(f"wg set wg0 peer {peer} allowed-ips {','.join(was[0])}")
    with faulty(other, f"wg set wg0 peer {peer} allowed-ips 10.15.14.2/32", f"wg set wg0 peer {peer} allowed-ips {','.join(was[1])}"):
        found = problems(site)
        assert set(found) == {"peer-allowed-ips"} and "192.168.178.1/32" in found["peer-allowed-ips"]["hint"]
    wire.comes_back()


@pytest.mark.long
def test_the_peers_name_means_another_address(wire):
    """Site B is made to wait for a call, so that nothing but A's own endpoint counts."""
    own = wire.b.sh("wg show wg0 peers").stdout.strip()
    allowed = wire.b.sh("wg show wg0 allowed-ips").stdout.split("\t")[1].replace(" ", ",").strip()
    with faulty(
        wire.b, f"wg set wg0 peer {own} remove; wg set wg0 peer {own} allowed-ips {allowed}", f"wg set wg0 peer {own} endpoint 203.0.113.10:4900 persistent-keepalive 1"
    ):
        site = wire.a
        peer = site.sh("wg show wg0 peers").stdout.strip()
        allowed = site.sh("wg show wg0 allowed-ips").stdout.split("\t")[1].replace(" ", ",").strip()
        again = f"wg set wg0 peer {peer} remove; wg set wg0 peer {peer} allowed-ips {allowed} persistent-keepalive 1 endpoint"
        routes = "; ip route replace 192.168.92.0/24 dev wg0"
        site.sh(f"{again} 203.0.113.77:4900{routes}")
        assert ids(site) == {"endpoint-stale"}
        hosts = site.read("/etc/hosts")
        with faulty(site, "sed -i /MyRemote/d /etc/hosts", "true"):
            assert ids(site) == {"endpoint-unresolved"}
        site.write("/etc/hosts", hosts)
        cure(site)
        # No name is to blame where the address is right, and nobody answers.
        with faulty(wire.b, "ip link set wg0 down", "ip link set wg0 up; ip route replace 192.168.178.0/24 dev wg0"):
            site.sh(f"{again} 203.0.113.20:4900{routes}")
            assert ids(site) == {"no-handshake"}
    wire.comes_back()


def test_a_peer_that_has_just_gone(wire):
    """Its session looks alive for three minutes; who only drops echo requests is there. What counts is WireGuard's own answer."""
    site, other = wire.a, wire.b
    back = "ip link set wg0 up; ip route replace 192.168.178.0/24 dev wg0"
    deaf = "add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in iifname wg0 meta l4proto icmp drop"
    with faulty(other, f"nft '{deaf}'", "nft delete table inet deaf"):
        assert ids(site) == set()
    with faulty(other, "ip link set wg0 down", back):
        assert ids(site) == {"handshake-old"}
    wire.comes_back()


@pytest.mark.long
def test_a_peer_that_is_no_mirror(wire):
    """What differs there is told here, with a cure that makes it right."""
    site, other = wire.a, wire.b
    other.l2wg("down", "gretap1")
    found = problems(site)
    assert set(found) == {"peer-refuses"} and "port unreachable" in found["peer-refuses"]["message"]
    wish(wire, b=("key=7",))
    here, there = wire.both(problems)
    assert set(here) == {"key-differs"} and "sends key 7, and here it is none" in here["key-differs"]["message"]
    assert set(there) and set(there) <= {"peer-refuses", "key-differs"}
    cure(site)
    wire.comes_back()
    wish(wire, b=("key=", "remote=10.15.14.2"), a=("key=",))
    found = problems(site)
    assert set(found) == {"ends-differ"} and found["ends-differ"]["key"] == "local"
    assert command(found["ends-differ"]) == "l2wg set gretap1 local=10.15.14.2; l2wg apply"
    wish(wire, b=("remote=192.168.178.1", "encapsulation=vxlan"))
    found = problems(site)
    assert set(found) == {"encapsulation-differs"}
    assert command(found["encapsulation-differs"]) == "l2wg set gretap1 encapsulation=vxlan; l2wg apply"
    wish(wire, a=("encapsulation=vxlan", "key=5"))
    assert ids(site) == {"key-differs"}, "its VNI"
    wish(wire, a=("key=",), b=("port=8472",))
    found = problems(site)
    assert set(found) == {"port-differs"}
    assert command(found["port-differs"]) == "l2wg set gretap1 port=8472; l2wg apply"
    wish(wire, a=("port=8472",))
    wire.comes_back()
    assert wire.both(ids) == [set(), set()], "nothing is wrong with a VXLAN at another port"
    wish(wire, a=("port=4789",), b=("port=4789",))
    wire.comes_back()
    assert wire.both(ids) == [set(), set()], "nothing is wrong with a VXLAN"
    wish(wire, a=("encapsulation=gretap",), b=("encapsulation=gretap",))
    wire.comes_back()


@pytest.mark.parametrize("sender", [pytest.param("A", marks=pytest.mark.long), "B"])
def test_a_path_that_loses_large_packets(wire, sender):
    """WireGuard's packets above 1432 bytes vanish on the WAN, in one direction: 1432 - 60 leaves 1372 for wg0."""
    site = wire.a if sender == "A" else wire.b
    drop = "nft 'add table inet wan; add chain inet wan to_wan { type filter hook output priority 0; }; add rule inet wan to_wan oifname enp1s0 meta length > 1432 drop'"
    with faulty(site, drop, "nft delete table inet wan"):
        found = problems(wire.a)
        assert set(found) == {"path-mtu"}
        message, hint = found["path-mtu"]["message"], found["path-mtu"]["hint"]
        assert ("they do not come there" if sender == "A" else "they come there, but not back") in message
        size = int(hint.rpartition("MTU = ")[2])
        # WireGuard fills up to 16 bytes.
        assert 1372 - 16 < size <= 1372
        if sender == "A":
            for side in wire.sites:
                side.sh(command(found["path-mtu"]))
            assert wire.both(ids) == [set(), set()]
            assert wire.wired(), "full-size frames pass, in pieces that fit"
    wire.both(lambda side: side.sh("ip link set dev wg0 mtu 1420; l2wg up wg0"))
    wire.comes_back()


def test_a_wan_that_is_too_narrow(wire):
    with faulty(wire.a, "ip link set enp1s0 mtu 1460", "ip link set enp1s0 mtu 1500; ip link set wg0 mtu 1420; l2wg up wg0"):
        assert ids(wire.a, "--passive") == {"wg-fragments"}
        cure(wire.a, "--passive")
        assert "1400" in wire.a.sh("cat /sys/class/net/wg0/mtu").stdout
    wire.comes_back()


def test_addresses_twice(wire):
    with faulty(wire.device, "ip address add 192.168.92.1/24 dev eth0", "ip address del 192.168.92.1/24 dev eth0"):
        found = problems(wire.b)
        assert set(found) == {"duplicate-address"} and "it answers by gretap1" in found["duplicate-address"]["message"]
    with faulty(wire.a, "ip address add 192.168.92.7/24 dev enp2s0 noprefixroute", "ip address del 192.168.92.7/24 dev enp2s0"):
        assert ids(wire.a, "--passive") == {"subnet-twice"}
    assert wire.both(ids) == [set(), set()]


@pytest.mark.long
def test_dhcp_servers(wired):
    """One is as it should be, wherever it is; a second one beyond the tunnel is not, even if it runs on the router itself."""

    def server(namespace, device, first):
        """Start one; what ends it."""
        files = f"--pid-file=/run/dhcp-{first}.pid --dhcp-leasefile=/run/dhcp-{first}.leases"
        namespace.sh(f"{DNSMASQ} {files} --interface={device} --dhcp-range=192.168.92.{first},192.168.92.{first + 9},255.255.255.0,1h")
        return lambda: namespace.sh(f"kill $(cat /run/dhcp-{first}.pid)")

    wish(wired, ("dhcp=pass",), ("dhcp=pass",))
    started = [server(wired.host_b, "eth0", 100)]
    try:
        assert wired.both(ids) == [set(), set()]
        started.append(server(wired.device, "eth0", 120))
        found = wired.both(problems)
        assert [set(wrong) for wrong in found] == [{"dhcp-two-servers"}] * 2
        assert "192.168.92.10 by gretap1" in found[0]["dhcp-two-servers"]["message"] and "192.168.92.50 by enp3s0" in found[0]["dhcp-two-servers"]["message"]
        for site, wrong in zip(wired.sites, found):
            site.sh(command(wrong["dhcp-two-servers"]))
        assert wired.both(ids) == [set(), set()]
        wish(wired, ("dhcp=pass",), ("dhcp=pass",))
        started.pop(0)()
        started.append(server(wired.b, "br0", 140))
        assert "192.168.92.1 by this router" in problems(wired.b)["dhcp-two-servers"]["message"]
    finally:
        for stop in started:
            stop()
        wish(wired, ("dhcp=block",), ("dhcp=block",))


@pytest.mark.long
def test_nothing_is_wrong_with_ipv6_and_with_two_tunnels(wire):
    ends = ("fd00:178::1", "fd00:92::1")
    for site, own, far in zip(wire.sites, ends, ends[::-1]):
        site.sh(
            f"ip -6 address add {own}/128 dev wg0 nodad; ip -6 route add {far}/128 dev wg0; "
            f"wg set wg0 peer $(wg show wg0 peers) allowed-ips $(wg show wg0 allowed-ips | cut -f2 | tr ' ' ,),{far}/128"
        )
        site.sh(f"ip link add br1 type bridge; ip link set br1 up; l2wg set six underlay=wg0 bridge=br1 dhcp=block local={own} remote={far}")
    try:
        wire.both(lambda site: site.l2wg("up", "wg0"))
        # A bridge of somebody's without an address answers in the name of the whole router.
        assert wire.both(ids) == [{"bridge-answers"}, {"bridge-answers"}]
        wire.both(cure)
        wire.b.sh("l2wg set six key=3; l2wg up wg0; ip address add 192.0.2.1/24 dev br1")
        found = problems(wire.a)
        # With its key, where B's bridge happens to say something.
        assert set(found) in ({"peer-refuses"}, {"key-differs"}) and {problem["tunnel"] for problem in found.values()} == {"six"}
        # A bridge that has no port but the tunnel, and an address.
        assert ids(wire.b, "--passive") == {"bridge-mac"}
        cure(wire.b, "--passive")
    finally:
        for site in wire.sites:
            site.sh("rm /etc/l2wg/six.conf; l2wg up wg0; ip link del br1")
    wire.comes_back()
