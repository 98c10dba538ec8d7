"""`l2wg wall`: a wire that people use gets WireGuard of its own, make before break. One story for each kind of tunnel.

There is no systemd in a site, so its waiter is started by hand; tests/lab/router has the unit.
"""

import json
import re
import time

import pytest
from hosts import eventually
from sites import WAN, Pair

pytestmark = pytest.mark.two_cpus
# The issue's own number. Both sites share two emulated cores here.
SILENCE = 1.0
PING = 0.05
# Sends a number each 0.05 s by TCP, and prints the longest time that an echo took; the far end echoes.
ECHO = r"""
import socket
with socket.socket() as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", 2222)); listener.listen()
    print("ready", flush=True)
    while True:
        session = listener.accept()[0]
        while True:
            data = session.recv(4096)
            if not data: break
            session.sendall(data)
"""
TALK = r"""
import socket, sys, time, os
worst = lines = 0
with socket.create_connection(("192.168.92.10", 2222), 10) as session:
    session.settimeout(60)
    while not os.path.exists(sys.argv[1]):
        start = time.monotonic()
        session.sendall(b"x" * 50)
        got = 0
        while got < 50: got += len(session.recv(100)) or sys.exit("closed")
        worst, lines = max(worst, time.monotonic() - start), lines + 1
        time.sleep(0.05)
print(worst, lines)
"""


class Use:
    """Pings at 20 a second and a TCP connection through the wire, from the device at A to a host at B."""

    def __init__(self, pair, label):
        self.pair, self.label, self.stop = pair, label, f"/tmp/stop-{time.monotonic()}"
        if not pair.host_b.sh("ss -Htln sport = :2222", check=False).stdout:
            self.server = pair.host_b.start(["python3", "-c", ECHO], timeout=3000)
            eventually(lambda: pair.host_b.sh("ss -Htln sport = :2222", check=False).stdout, 30)
        self.ping = pair.device.start(["ping", "-n", "-i", PING, "192.168.92.10"], timeout=1200)
        self.talk = pair.device.start(["python3", "-c", TALK, self.stop], timeout=1200)
        time.sleep(3)

    def end(self):
        """The longest silence in seconds, by the pings. The connection has to live."""
        time.sleep(2)
        self.pair.vm.sh(f"touch {self.stop}; for p in $(pgrep -x ping); do kill -INT $p; done")
        talked = self.talk.wait().stdout.split()
        assert len(talked) == 2 and int(talked[1]) > 20, talked
        numbers = sorted({int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", self.ping.wait().stdout)})
        assert len(numbers) > 50
        gap = max(after - before for before, after in zip(numbers, numbers[1:])) * PING
        print(f"\n{self.label}: longest silence {gap:.2f} s by pings, slowest answer by TCP {float(talked[0]):.2f} s of {talked[1]}")
        return gap


class Waiters:
    """`l2wg wall --wait` at each site, as systemd runs it."""

    def __init__(self, pair):
        self.pair, self.running = pair, {}

    def start(self, *sites):
        for site in sites:
            self.running[site.name] = site.start(["l2wg", "wall", "--wait", "gretap1"], timeout=1800)
        return self

    def kill(self, *sites):
        """What each had printed."""
        for site in sites:
            here = "[ $(readlink /proc/$p/ns/net) != $(readlink /proc/self/ns/net) ]"
            site.sh(f"for p in $(pgrep -f '[l]2wg wall --wait'); do {here} || kill -9 $p; done")
        return self.end(*sites)

    def end(self, *sites):
        """What each printed, when it has ended by itself."""
        return [self.running.pop(site.name).wait() for site in sites]


def wire(site):
    return site.read("/etc/l2wg/gretap1.conf").count("= own")


def inside(site):
    """Whether its tunnel's packets are in the namespace."""
    return "link_netnsid" in site.links().get("gretap1", {})


def card(site):
    out = site.l2wg("wall", "gretap1").stdout.strip()
    assert re.fullmatch(r"L2WG1:[A-Z2-7]+:[0-9A-F]{8}", out), out
    return out


def stage(site, other):
    return site.run(["l2wg", "wall", "gretap1", other, "--yes", "--no-rehearsal"], timeout=180)


def notes(site):
    return [fault["message"] for fault in json.loads(site.l2wg("status", "--json", check=False).stdout)["faults"] if fault["level"] == "note"]


def stands(site):
    return "l2w0" in site.run(["ip", "-n", "l2wg", "-brief", "link"], check=False).stdout


SETTINGS = {"gretap": (), "vxlan": ("encapsulation=vxlan", "key=77")}


@pytest.fixture(scope="module", params=["gretap", pytest.param("vxlan", marks=pytest.mark.long)])
def shared(vm, request):
    pair = Pair(vm).fresh()
    pair.wireguard()
    pair.both(lambda site: site.configure())
    if SETTINGS[request.param]:
        for site in pair.sites:
            site.l2wg("set", "gretap1", *SETTINGS[request.param])
        pair.both(lambda site: site.l2wg("apply"))
    for site in pair.sites:
        site.sh(f"printf 'endpoint = {WAN[site.name]}\\n' >/etc/l2wg/site")
    pair.comes_back()
    pair.kind = request.param
    pair.waiters = Waiters(pair)
    yield pair
    vm.sh("for p in $(pgrep -f '[l]2wg wall --wait'); do kill -9 $p; done")


def test_one_site_long_before_the_other(shared):
    """Its card, twice the same; then, with the other's, it waits, and all is as it was."""
    a, b = shared.sites
    refused = a.l2wg("wall", "gretap7", check=False)
    assert refused.rc == 1 and "'gretap7' is not a tunnel" in refused.stderr
    first = card(a)
    assert card(a) == first and not stands(a)
    b.said = card(b)
    conf = a.read("/etc/l2wg/gretap1.conf"), a.read("/etc/wireguard/wg0.conf"), a.links()["gretap1"]["ifindex"]
    assert "nobody is here to agree" in a.l2wg("wall", "gretap1", b.said, "--no-rehearsal", check=False).stderr
    assert not stands(a)
    done = stage(a, b.said)
    assert first in done.stderr, "what the other site needs"
    assert "+wire = own" in done.stdout and "-PostUp = l2wg up" in done.stdout
    assert stands(a) and a.sh("ss -uln").stdout.count(":4901 ") and not stands(b)
    assert conf == (a.read("/etc/l2wg/gretap1.conf"), a.read("/etc/wireguard/wg0.conf"), a.links()["gretap1"]["ifindex"])
    assert any("waits for the other site" in note for note in notes(a))
    assert "nothing to do" in stage(a, b.said).stderr
    # Whatever goes comes back by the next event, as after a boot.
    a.sh("ip netns delete l2wg; l2wg event up boot")
    assert stands(a) and a.l2wg("plan", check=False).rc == 0
    assert shared.wired()


def test_the_other_site_never_answers(shared):
    a, _ = shared.sites
    shared.waiters.start(a)
    time.sleep(15)
    assert wire(a) == 0 and not inside(a) and shared.wired()
    # No lock is held meanwhile.
    assert a.l2wg("apply").rc == 0
    shared.waiters.kill(a)


def test_undone_before_it_was_done(shared):
    a, b = shared.sites
    a.l2wg("wall", "--undo", "gretap1")
    assert not stands(a) and "[Peer]" not in a.read("/etc/wireguard/l2w0.conf") and not a.exists("/var/lib/l2wg/wall")
    assert a.l2wg("wall", "--undo", "gretap1", check=False).rc == 1
    stage(a, b.said)
    assert stands(a)


FORGED = """
import socket, sys
to, source = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
    out.bind((source, 4788))
    out.connect((to, 4788))
    out.settimeout(1)
    try:
        for phase in range(6):
            out.send(b"l2wg-wall 1 %d %s %s" % (phase, b"1" * 16, b"2" * 16))
        out.recv(100)
        print("answered")
    except OSError as error:
        print(type(error).__name__)
"""
COUNTED = "table inet seen { chain in { type filter hook input priority 0; udp dport 4788 counter; }; }"


def test_nobody_else_can_have_it_changed(shared):
    """Datagrams as the other site sends them, in its name from the WAN and the LAN; and from another peer of the same wire."""
    a, b = shared.sites
    inside_a = ["ip", "netns", "exec", "l2wg"]
    shared.waiters.start(a)
    local, remote = (re.search(rf"{key} = (\S+)", a.read("/var/lib/l2wg/wall/gretap1.conf")).group(1) for key in ("local", "remote"))
    eventually(lambda: ":4788" in a.run([*inside_a, "ss", "-Huan"]).stdout, 30)
    a.run([*inside_a, "nft", "-f", "-"], input=COUNTED)

    def seen():
        return re.search(r"counter packets (\d+)", a.run([*inside_a, "nft", "list", "ruleset"]).stdout).group(1)

    for host, router in ((b, WAN["A"]), (shared.host_a, "192.168.178.1")):
        host.sh(f"ip route add {local} via {router}; ip address add {remote}/32 dev lo")
        host.run(["python3", "-c", FORGED, local, remote])
        host.sh(f"ip route delete {local}; ip address delete {remote}/32 dev lo")
    assert seen() == "0"
    # WireGuard takes nobody's address from that peer but its own; here it is this site's own for once.
    a.sh("ip -n l2wg link set lo up; ip -n l2wg address add 198.18.77.77/32 dev l2w0")
    said = a.run([*inside_a, "python3", "-c", FORGED, local, "198.18.77.77"]).stdout.strip()
    assert int(seen()) > 0, "the probe is seen"
    assert said == "ConnectionRefusedError", "nobody listens to it"
    time.sleep(5)
    assert wire(a) == 0 and not inside(a) and shared.wired()
    a.sh("ip netns exec l2wg nft delete table inet seen; ip -n l2wg link set lo down; l2wg event up br0")
    shared.waiters.kill(a)


# An ip(8) that does not take the last step.
NO_LUCK = """#!/bin/sh
in=$(cat)
case "$in" in *" name gretap1"*)
    touch /root/failed
    echo no luck >&2
    exit 1 ;;
esac
printf '%s\n' "$in" | /bin/ip "$@"
"""


def test_the_step_of_one_site_fails_and_both_are_as_before(shared):
    a, b = shared.sites
    stage(b, card(a))
    b.sh("rm /usr/sbin/ip")
    b.write("/usr/sbin/ip", NO_LUCK, 0o755)
    try:
        shared.waiters.start(a, b)
        eventually(lambda: b.exists("/root/failed"), 150)
        eventually(lambda: not any(site.exists("/var/lib/l2wg/transaction") for site in (a, b)), 90)
        shared.comes_back(30)
    finally:
        b.sh("ln -sf /bin/ip /usr/sbin/ip")
        said = shared.waiters.kill(a, b)
    print(said[0].stderr, said[1].stderr)
    assert "the other site does not go on" in said[0].stderr and "no luck" in said[1].stderr
    for site in (a, b):
        assert wire(site) == 0 and not inside(site) and "l2wg up" in site.read("/etc/wireguard/wg0.conf")
        assert not site.exists("/etc/l2wg/gretap1.conf.rejected") and site.l2wg("plan", check=False).rc == 0


def test_a_waiter_that_was_killed_goes_on_and_nobody_notices_the_change(shared):
    a, b = shared.sites
    shared.waiters.start(a)
    time.sleep(5)
    shared.waiters.kill(a)
    shared.waiters.start(a)
    use = Use(shared, shared.kind)
    shared.waiters.start(b)
    for result in shared.waiters.end(a, b):
        print(result.stderr)
        assert result.rc == 0
    gap = use.end()
    for site in (a, b):
        assert wire(site) == 1 and inside(site) and "l2wg" not in site.read("/etc/wireguard/wg0.conf")
        assert "wg0" in site.links(), "it is the admin's"
        assert not site.exists("/var/lib/l2wg/wall") and site.l2wg("plan", check=False).rc == 0
    assert shared.device.ping("192.168.92.10", size=1472, fragment=False) == 1
    assert gap <= SILENCE


def test_undone_afterwards_by_both(shared):
    a, b = shared.sites
    shared.both(lambda site: site.l2wg("rollback"))
    shared.comes_back(30)
    for site in (a, b):
        assert wire(site) == 0 and not inside(site) and "l2wg up" in site.read("/etc/wireguard/wg0.conf")
        assert not stands(site)


@pytest.mark.long
def test_ended_in_the_middle_and_started_again(shared):
    """As by a power cut: what it had begun is undone, the other site goes back, and both try again."""
    a, b = shared.sites
    theirs = card(b)
    stage(b, card(a))
    stage(a, theirs)
    shared.waiters.start(a, b)
    eventually(lambda: a.exists("/var/lib/l2wg/transaction"), 90, every=0.05)
    shared.waiters.kill(a)
    before = wire(a), inside(a)
    shared.waiters.start(a)
    for result in shared.waiters.end(a, b):
        print(result.stderr)
        assert result.rc == 0
    print(f"it was ended with the file {'changed' if before[0] else 'as before'}, and the tunnel {'inside' if before[1] else 'outside'}")
    shared.comes_back()
    for site in (a, b):
        assert wire(site) == 1 and inside(site) and site.l2wg("plan", check=False).rc == 0
        assert not site.exists("/var/lib/l2wg/wall") and not site.exists("/etc/l2wg/gretap1.conf.rejected")
