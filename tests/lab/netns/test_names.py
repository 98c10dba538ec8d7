"""Endpoints that are names: one that means another address now, and a name server that is silent.

    device -- A ------ 203.0.113.20, later .21  B -- hostB
                       203.0.113.53             name server

Only A calls. A peer that has never answered counts as one that has not for long, so nobody has to wait for a session to end.
"""

import re
import time

import pytest
import topology
from hosts import eventually
from sites import Pair
from test_own import INNER

NAME = "b.dyn.example"
# Answers each question with the addresses in /root/answer; with nothing at all where there is no such file.
SERVER = r"""
import ipaddress, socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("203.0.113.53", 53))
while True:
    query, whom = server.recvfrom(512)
    try:
        addresses = [ipaddress.ip_address(word) for word in open("/root/answer").read().split()]
    except OSError:
        continue
    end = query.index(b"\0", 12) + 5
    wanted = {1: 4, 28: 6}.get(struct.unpack(">H", query[end - 4 : end - 2])[0])
    found = [address.packed for address in addresses if address.version == wanted]
    rows = b"".join(b"\xc0\x0c" + query[end - 4 : end] + struct.pack(">IH", 0, len(packed)) + packed for packed in found)
    server.sendto(query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0) + query[12:end] + rows, whom)
"""
# B begins nothing by itself.
MUTE = """
nft -f - <<'END'
table inet mute { chain out { type filter hook output priority 0; udp sport 4900 ct direction original drop; }; }
END
"""
OWN = "[Interface]\nPrivateKey = {private}\n{port}Address = {own}/32\n\n[Peer]\nPublicKey = {public}\nAllowedIPs = {other}/32\n"


@pytest.fixture(scope="module")
def lab(vm):
    """Both sites wired up, `shared`; A calls B by its name."""
    pair = Pair(vm).fresh()
    vm.put("/root/dns.py", SERVER.encode())
    pair.b.sh("ip address add 203.0.113.53/24 dev enp1s0")
    vm.start(["nsenter", "--net=/run/netns/B", "python3", "/root/dns.py"], timeout=3000)
    answers(pair, "203.0.113.20")
    pair.a.write("/etc/resolv.conf", "nameserver 203.0.113.53\n")
    for site in pair.sites:
        conf = site.read("/etc/wireguard/wg0.conf")
        if site.name == "A":
            conf = re.sub("Endpoint.*", f"Endpoint = {NAME}:4900", conf)
        else:
            conf = re.sub("^(Endpoint|PersistentKeepalive).*\n", "", conf, flags=re.M)
        site.write("/etc/wireguard/wg0.conf", conf, 0o600)
    eventually(lambda: pair.a.run(["getent", "ahosts", NAME], check=False).rc == 0, 20)
    pair.wireguard()
    pair.configure()
    pair.comes_back(30)
    return pair


def answers(pair, *addresses):
    """What the name server says from now on; nothing at all for none."""
    pair.vm.sh("rm -f /root/answer" if not addresses else "echo {} >/root/answer".format(" ".join(addresses)))


def moves(pair, to):
    """B has another address."""
    pair.b.sh(f"ip address flush dev enp1s0; ip address add 203.0.113.53/24 dev enp1s0; ip address add 203.0.113.{to}/24 dev enp1s0")


def look(site):
    return site.l2wg("event", "watch", "timer").stderr


def endpoint(site, name="wg0"):
    inside = "ip netns exec l2wg " if name == "l2w0" else ""
    return site.sh(f"{inside}wg show {name} endpoints").stdout.split("\t")[1].strip()


def test_a_peer_that_answers_is_let_alone(lab):
    answers(lab, "203.0.113.77")
    assert look(lab.a) == "" and endpoint(lab.a) == "203.0.113.20:4900"
    answers(lab, "203.0.113.20")


def test_a_shared_wire_goes_where_the_name_goes(lab):
    moves(lab, 21)
    lab.a.sh("wg-quick down wg0; wg-quick up wg0")
    assert look(lab.a) == "" and endpoint(lab.a) == "203.0.113.20:4900", "the name has not changed yet"
    # No way leads to the first: A has no IPv6 out there.
    answers(lab, "2001:db8::21", "203.0.113.21")
    said = look(lab.a)
    assert f"wg0: the peer {NAME} is called at 203.0.113.21:4900, no longer at 203.0.113.20:4900" in said, said
    lab.comes_back(30)
    assert look(lab.a) == ""


def test_an_address_in_the_file_stays(lab):
    conf = lab.a.read("/etc/wireguard/wg0.conf")
    lab.a.write("/etc/wireguard/wg0.conf", conf.replace(NAME, "203.0.113.20"), 0o600)
    lab.a.sh("wg-quick down wg0; wg-quick up wg0")
    assert look(lab.a) == "" and endpoint(lab.a) == "203.0.113.20:4900"
    lab.a.write("/etc/wireguard/wg0.conf", conf, 0o600)
    assert "203.0.113.21:4900" in look(lab.a)
    lab.comes_back(30)


@pytest.mark.long
def test_a_session_that_has_ended_is_noticed(lab):
    """REJECT_AFTER_TIME and all: nobody restarts WireGuard."""
    before = endpoint(lab.a)
    # WireGuard follows a peer that calls from elsewhere; this one only answers.
    lab.b.sh(MUTE)
    moves(lab, 22)
    answers(lab, "203.0.113.22")
    assert look(lab.a) == "" and endpoint(lab.a) == before, "its handshake is not old yet"
    time.sleep(140)
    assert "203.0.113.22:4900, no longer at" in look(lab.a)
    lab.comes_back(30)
    lab.b.sh("nft delete table inet mute")


def test_an_own_wire_is_made_at_once_though_the_name_server_is_silent(lab):
    answers(lab)
    for site in lab.sites:
        other = "B" if site.name == "A" else "A"
        mine, peers = lab.keys if site.name == "A" else lab.keys[::-1]
        words = {"private": mine.private, "public": peers.public, "own": INNER[site.name][0], "other": INNER[other][0]}
        text = OWN.format(port="ListenPort = 4901\n" if site.name == "B" else "", **words)
        text += f"Endpoint = {NAME}:4901\nPersistentKeepalive = 1\n" if site.name == "A" else ""
        site.write("/etc/wireguard/l2w0.conf", text, 0o600)
        site.l2wg("set", "gretap1", "wire=own", "underlay=l2w0", f"local={words['own']}", f"remote={words['other']}")
    lab.b.l2wg("apply")
    said = lab.a.l2wg("event", "up", "boot").stderr
    # Who asks the name server is still waiting for it, and nobody for them.
    assert lab.vm.sh("pgrep -f 'event watch name[s]'", check=False).rc == 0, said
    assert lab.a.sh("flock -n /run/l2wg.lock true && flock -n /run/l2wg.next true").rc == 0
    assert "hint:" not in said and endpoint(lab.a, "l2w0") == "(none)", said
    assert lab.a.links()["gretap1"]["master"] == "br0" and lab.a.l2wg("plan", check=False).rc == 0
    assert lab.a.l2wg("event", "up", "br0").stderr == ""


def test_the_name_is_missed_once_and_then_asked_for_in_silence(lab):
    eventually(lambda: lab.vm.sh("pgrep -f 'event watch name[s]'", check=False).rc, 60)
    # By whom the event has left.
    assert lab.a.read("/run/l2wg.names") == f"{NAME}\n"
    assert look(lab.a) == ""
    lab.a.sh("rm /run/l2wg.names")
    said = look(lab.a)
    assert f"the name {NAME}, by which a silent peer is called, is not known now" in said and f"hint: getent ahosts {NAME}" in said


def test_the_own_wire_is_called_as_soon_as_the_name_is_known(lab):
    answers(lab, re.search(r"203\.0\.113\.2\d", lab.b.sh("ip -o -4 address show dev enp1s0").stdout).group())
    assert f"l2w0: the peer {NAME} is called at" in look(lab.a)
    lab.comes_back(30)
    assert not lab.a.exists("/run/l2wg.names") and look(lab.a) == ""


def test_no_event_takes_away_what_the_watch_gave(lab):
    before = endpoint(lab.a, "l2w0")
    answers(lab)
    conf = lab.a.read("/etc/wireguard/l2w0.conf")
    lab.a.write("/etc/wireguard/l2w0.conf", conf.replace("PersistentKeepalive = 1", "PersistentKeepalive = 2"), 0o600)
    assert "wg syncconf" in lab.a.l2wg("event", "up", "br0").stderr
    assert endpoint(lab.a, "l2w0") == before and lab.wired()


def test_without_the_name_it_is_called_where_it_was_heard_last(lab):
    before = endpoint(lab.a, "l2w0")
    lab.a.l2wg("down", "l2w0")
    lab.a.l2wg("event", "up", "boot")
    assert endpoint(lab.a, "l2w0") == before
    lab.comes_back(30)


def test_the_name_wins_over_where_it_was_heard_last(lab):
    # Before: whoever moves while they talk is heard at once at the new place, by any address that they have.
    lab.a.l2wg("down", "l2w0")
    moves(lab, 23)
    answers(lab, "203.0.113.23")
    lab.a.l2wg("event", "up", "boot")
    # Nobody calls the watch: the event has left somebody who does.
    eventually(lambda: endpoint(lab.a, "l2w0") == "203.0.113.23:4901", 60)
    lab.comes_back(30)


HERE = "127.0.0.53"


@pytest.fixture
def machine(vm):
    """The machine itself: systemd runs there, and starts the watch's unit. One own wire, whose peer is nobody."""
    vm.sh("mv /etc/resolv.conf /root/resolv.conf", check=False)
    mine, peers = topology.new_keys(), topology.new_keys()
    text = OWN.format(port="", private=mine.private, public=peers.public, own=INNER["A"][0], other=INNER["B"][0])
    vm.put("/etc/wireguard/l2w0.conf", f"{text}Endpoint = {NAME}:4901\n", 0o600)
    vm.put("/etc/resolv.conf", f"nameserver {HERE}\n")
    vm.put("/root/dns.py", SERVER.replace("203.0.113.53", HERE))
    vm.sh("ip link add br9 type bridge; ip link set br9 up; ip link add wan9 type dummy; ip link set wan9 up; ip address add 203.0.113.1/24 dev wan9")
    server = vm.start(["python3", "/root/dns.py"], timeout=600)
    vm.sh(f"l2wg set gretap9 wire=own underlay=l2w0 bridge=br9 local={INNER['A'][0]} remote={INNER['B'][0]}")
    yield vm
    vm.sh("l2wg down --all; rm -f /etc/l2wg/*.conf /etc/wireguard/l2w0.conf; ip link delete br9; ip link delete wan9; pkill -f dns.p[y]; :")
    server.wait()
    vm.sh("rm /etc/resolv.conf; mv /root/resolv.conf /etc/resolv.conf", check=False)


def test_where_systemd_runs_the_watchs_unit_asks(machine):
    """As its unit lets it; begun by an event, and by the timer's script."""

    def called():
        return machine.sh("ip netns exec l2wg wg show l2w0 endpoints").stdout.split("\t")[1].strip()

    machine.put("/root/answer", "203.0.113.77\n")
    machine.sh("l2wg event up boot")
    eventually(lambda: called() == "203.0.113.77:4901", 60)
    eventually(lambda: machine.sh("systemctl is-active l2wg-watch.service", check=False).stdout == "inactive\n", 60)
    machine.put("/root/answer", "203.0.113.78\n")
    machine.sh("systemctl start l2wg-watch.service")
    assert called() == "203.0.113.78:4901"
    said = machine.sh("journalctl -q -o cat -u l2wg-watch.service").stdout
    assert f"the peer {NAME} is called at 203.0.113.78:4901, no longer at 203.0.113.77:4901" in said, said
