"""`wire = own`: WireGuard and the tunnel's packets in a network namespace of their own. No rule guards them, and none has to.

Site A is under test, with the probes of test_guard.py. What lets them be heard is taken away at the end: the same tunnel made by hand
out in the router, where all comes in and all leaks.
"""

import json
import re

import pytest
import topology
from hosts import eventually
from sites import Pair
from test_guard import NOT_SILENT, TUNNELS, WAN, WIRED, Lab, Told, came_in, crossed, leaked, tunnels

pytestmark = pytest.mark.two_cpus
INNER = {"A": ("198.18.0.1", "fd00:198::1"), "B": ("198.18.0.2", "fd00:198::2")}
CONF = """\
[Interface]
PrivateKey = {private}
ListenPort = 4901
Address = {own[0]}/32, {own[1]}/128

[Peer]
PublicKey = {public}
AllowedIPs = {other[0]}/32, {other[1]}/128
Endpoint = {wan}:4901
PersistentKeepalive = 1
"""
INSIDE = "ip -n l2wg"
# How each is called: B by its name in /etc/hosts, which nobody can ask for in the namespace.
WANS = {"A": topology.WAN["A"], "B": "MyRemoteServer.com"}


def own(site, keys, *settings) -> None:
    """The files of `wire = own`, and `l2wg apply`."""
    other = "B" if site.name == "A" else "A"
    mine, peers = keys if site.name == "A" else keys[::-1]
    text = CONF.format(private=mine.private, public=peers.public, own=INNER[site.name], other=INNER[other], wan=WANS[other])
    site.write("/etc/wireguard/l2w0.conf", text, 0o600)
    ends = [f"local={INNER[site.name][0]}", f"remote={INNER[other][0]}"]
    ports = ["bridge-ports=enp3s0"] if site.name == "A" else []
    site.l2wg("set", "gretap1", "wire=own", "underlay=l2w0", "bridge=br0", *ends, *ports, *settings)
    site.l2wg("apply")


@pytest.fixture(scope="module")
def walled(vm):
    """Wired up once; a test leaves it wired."""
    pair = Pair(vm).fresh()
    pair.both(lambda site: own(site, pair.keys))
    pair.comes_back()
    return pair


def planned(site) -> str:
    """What `l2wg plan` would do; "" for nothing."""
    result = site.l2wg("plan", check=False)
    assert result.rc in (0, 2), result.stderr
    return result.stdout if result.rc else ""


def test_a_wire_from_nothing(walled):
    site = walled.a
    assert "gretap1" in site.links() and not {"l2w0", "wg0"} & set(site.links())
    assert "l2w0" in site.run(["ip", "-n", "l2wg", "-brief", "link"]).stdout
    assert ":4901 " in site.run(["ss", "-uln"]).stdout
    assert planned(site) == ""
    assert walled.device.ping("192.168.92.10", size=1472, fragment=False) == 1


@pytest.mark.parametrize(
    "lost",
    [
        "ip netns delete l2wg",
        f"{INSIDE} link delete l2w0",
        f"{INSIDE} link set l2w0 down",
        f"{INSIDE} address flush dev l2w0",
        f"{INSIDE} route flush proto boot",
        "ip netns exec l2wg wg set l2w0 peer $(ip netns exec l2wg wg show l2w0 peers) remove",
        "ip netns exec l2wg wg set l2w0 listen-port 5555",
        "ip netns exec l2wg sysctl -qw net.ipv4.ip_forward=1",
        "ip link delete gretap1",
        "ip link set gretap1 nomaster",
        # Half made: what an end at the wrong moment leaves.
        f"ip link delete gretap1; {INSIDE} link add gretap1 type gretap local 198.18.0.1 remote 198.18.0.2 dev l2w0; {INSIDE} link set gretap1 alias l2wg",
        "ip netns delete l2wg; touch /run/netns/l2wg",
        "ip netns delete l2wg; ip netns add l2wg",
    ],
)
def test_whatever_part_goes_is_made_again_by_the_next_event(walled, lost):
    site = walled.a
    site.sh(lost)
    assert planned(site) != ""
    said = site.l2wg("event", "up", "br0").stderr
    assert "hint:" not in said, said
    assert planned(site) == ""
    walled.comes_back()


def test_what_cannot_be_removed_has_a_cure(walled):
    site = walled.a
    site.sh("ip netns delete l2wg; mkdir /run/netns/l2wg")
    said = site.l2wg("event", "up", "br0").stderr
    cure = re.search(r"Cannot remove namespace file.*\n  hint: (.*)", said).group(1)
    # Without the rehearsal.
    site.sh(cure.replace("l2wg apply", "l2wg event up br0"))
    assert planned(site) == ""
    walled.comes_back()


# An ip(8) that ends l2wg when it has done so many commands.
LAST = """#!/bin/sh
/bin/ip "$@"
code=$?
left=$(cat /root/left)
echo $((left - 1)) >/root/left
[ "$left" != 1 ] || kill -9 $PPID
exit $code
"""


def test_killed_after_any_command_the_next_event_ends_it(walled):
    site, states = walled.a, []
    site.sh("rm /usr/sbin/ip")
    site.write("/usr/sbin/ip", LAST, 0o755)
    try:
        for number in range(1, 30):
            site.sh(f"/bin/ip netns delete l2wg; echo {number} >/root/left; l2wg event up br0 >/dev/null 2>&1; :")
            if int(site.read("/root/left")) > 0:
                break
            names = site.sh("/bin/ip netns list; /bin/ip -n l2wg -o link 2>/dev/null; /bin/ip -o link show dev gretap1 2>/dev/null; :").stdout
            states.append(("l2wg" in names, " l2w0:" in names, "gretap1" in names))
            said = site.l2wg("event", "up", "br0").stderr
            assert planned(site) == "", said
    finally:
        site.sh("ln -sf /bin/ip /usr/sbin/ip")
    # Nothing, the namespace alone, WireGuard in it, and all.
    assert {(False, False, False), (True, False, False), (True, True, False), (True, True, True)} <= set(states), states
    walled.comes_back()


def test_an_event_leaves_alone_what_is_right(walled):
    site = walled.a
    before = site.links()["gretap1"]["ifindex"], site.run(["ip", "netns", "exec", "l2wg", "wg", "show", "l2w0", "latest-handshakes"]).stdout
    assert site.l2wg("event", "up", "br0").stderr == ""
    assert before == (site.links()["gretap1"]["ifindex"], site.run(["ip", "netns", "exec", "l2wg", "wg", "show", "l2w0", "latest-handshakes"]).stdout)


def test_a_broken_file_takes_nothing_down(walled):
    site = walled.a
    text = site.read("/etc/wireguard/l2w0.conf")
    site.write("/etc/wireguard/l2w0.conf", text.replace("ListenPort", "Table = off\nListenPort"), 0o600)
    said = site.l2wg("event", "up", "br0").stderr
    assert "/etc/wireguard/l2w0.conf:3: table: has no meaning with `wire = own`" in said
    assert walled.wired()
    site.write("/etc/wireguard/l2w0.conf", text, 0o600)
    assert planned(site) == ""


def test_status_check_and_metrics_look_inside(walled):
    site = walled.a
    eventually(lambda: site.l2wg("check", check=False).rc == 0, 30)
    status = json.loads(site.l2wg("status", "--json").stdout)
    (tunnel,) = status["tunnels"]
    assert tunnel["underlay"]["name"] == "l2w0" and tunnel["underlay"]["up"] and tunnel["peer"]["handshake"]
    assert 'last_handshake_timestamp_seconds{underlay="l2w0"' in site.l2wg("metrics").stdout
    assert site.l2wg("exec", "wg", "show", "interfaces").stdout == "l2w0\n"
    assert site.l2wg("exec", "ping", "-c", "1", "198.18.0.2").rc == 0
    assert site.l2wg("exec", "sh", "-c", "exit 7", check=False).rc == 7


def problems(site) -> dict:
    return {problem["id"]: problem for problem in json.loads(site.l2wg("check", "--json", check=False).stdout)["problems"]}


def test_check_tells_who_else_is_in_there(walled):
    """And each cure cures."""
    site = walled.a
    site.sh(f"{INSIDE} link add eth7 type dummy; systemctl enable wg-quick@l2w0")
    found = problems(site)
    assert "eth7" in found["namespace-stranger"]["message"] and "wg-quick also brings up l2w0" in found["wire-twice"]["message"]
    site.sh(found["namespace-stranger"]["hint"].partition(" #")[0].replace("netns 1", "netns $$"))
    assert "eth7" in site.links()
    site.sh("ip link delete eth7; " + found["wire-twice"]["hint"])
    assert not {"namespace-stranger", "wire-twice"} & set(problems(site))


MINE = """
nft -f - <<'END'
table inet mine {
    chain input { type filter hook input priority 0; policy drop; ct state established accept; iifname lo accept; }
}
END
"""


def test_check_tells_of_a_firewall_that_drops_who_calls(walled):
    site = walled.a
    conf = site.read("/etc/wireguard/l2w0.conf")
    site.write("/etc/wireguard/l2w0.conf", re.sub("Endpoint.*\n", "", conf), 0o600)
    site.sh(MINE)
    site.sh("ip route replace default via 203.0.113.20 dev enp1s0")
    try:
        found = problems(site)
        assert "UDP port 4901" in found["wire-port"]["message"]
        site.sh(found["wire-port"]["hint"].partition(" #")[0])
        assert "wire-port" not in problems(site)
    finally:
        site.sh("nft delete table inet mine; ip route delete default")
        site.write("/etc/wireguard/l2w0.conf", conf, 0o600)


REHEARSED = "the next start gives what is wished"
HOOK, UNIT = "/etc/network/if-up.d/l2wg", "/etc/systemd/system/multi-user.target.wants/l2wg.service"


def rehearsed(site, script="") -> str:
    site.sh(script)
    result = site.run(["l2wg", "rehearse"], timeout=300, check=False)
    assert "cannot be had" not in result.stderr and result.rc == (REHEARSED not in result.stderr), result.stderr
    return result.stderr


def test_the_next_start_is_rehearsed(walled):
    """With a shared wire in its place; what takes the bridge's port away is found as ever."""
    assert REHEARSED in rehearsed(walled.a)


@pytest.mark.long
def test_whoever_makes_it_at_the_next_start_is_rehearsed_too(walled):
    """The unit alone, where no hook is called; nobody, where the unit is disabled, too; and a file that is refused."""
    site = walled.a
    conf = site.read("/etc/wireguard/l2w0.conf")
    try:
        said = rehearsed(site, f"mv {HOOK} /root/hook")
        assert "by `ifdown br0; ifup br0`" in said and "at the next boot" not in said
        assert "gretap1 is missing at the next boot" in rehearsed(site, f"mv {UNIT} /root/unit")
        site.write("/etc/wireguard/l2w0.conf", conf.replace("ListenPort", "Table = off\nListenPort"), 0o600)
        assert "gretap1 waits after the next boot: nothing brings up l2w0" in rehearsed(site, f"mv /root/hook {HOOK}; mv /root/unit {UNIT}")
    finally:
        site.sh(f"mv /root/hook {HOOK}; mv /root/unit {UNIT}", check=False)
        site.write("/etc/wireguard/l2w0.conf", conf, 0o600)


def test_all_goes_and_comes_back(walled):
    site = walled.a
    site.l2wg("down", "--all")
    assert "gretap1" not in site.links() and site.run(["ip", "netns", "list"]).stdout.strip() == ""
    site.l2wg("event", "up", "br0")
    walled.comes_back()


class Walled(Lab):
    """The same probes for the ends inside."""

    ends = {4: (INNER["A"][0], INNER["B"][0]), 6: (INNER["A"][1], INNER["B"][1])}

    def _switch(self, site) -> None:
        local, remote = self.ends[self.tunnel.family][:: 1 if site is self.a else -1]
        own(site, self.pair.keys, f"local={local}", f"remote={remote}", *self.tunnel.settings)


@pytest.fixture(scope="module")
def lab(vm):
    lab = Walled(vm)
    # The ends' addresses and ways out here, too, as a careless admin has them: so a packet that gets out here goes on.
    lab.addresses()
    lab.a.sh(f"ip address add {lab.ends[4][0]}/32 dev enp2s0")
    lab.b.sh(f"ip address add {lab.ends[4][1]}/32 dev br0")
    lab.admins_tunnels()
    return lab


FLUSHED = "nft flush ruleset"
HOSTILE = """
nft -f - <<'END'
table inet hostile {
    chain input { type filter hook input priority 0; policy drop; ct state established accept; udp dport 4901 accept; iifname lo accept; }
    chain forward { type filter hook forward priority 0; policy drop; }
    chain srcnat { type nat hook postrouting priority 100; masquerade; }
    chain dstnat { type nat hook prerouting priority -100; udp dport != 4901 redirect to :9; }
}
END
"""
# IPCTNL_MSG_CT_DELETE without a tuple: all of them (linux/netfilter/nfnetlink_conntrack.h).
FORGET = """python3 -c '
import socket, struct
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sender:
    sender.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
    error = struct.unpack_from("=i", sender.recv(4096), 16)[0]
    assert error == 0, error
'"""
FILTERS = "for name in all default enp1s0 enp2s0 br0; do sysctl -qw net.ipv4.conf.$name.rp_filter={}; done"
AGAIN = "l2wg event up br0; nft flush ruleset"


@pytest.fixture(scope="module", params=tunnels("gretap"))
def told(request, lab):
    """What the probes saw in every state, without any rule, and nobody told."""
    lab.switch(TUNNELS[request.param])
    admins_answer, family, a, b, walk = lab.admins_answer(), lab.tunnel.family, lab.a, lab.b, lab.walk()
    local, remote = lab.ends[family]
    walk.phase("B has no rule", b, FLUSHED, WIRED)
    walk.phase("no rule", a, f"{FLUSHED}; {NOT_SILENT}", WIRED)
    walk.phase("flushed in a loop", a, f"for i in 1 2 3 4 5 6 7 8 9 10; do {FLUSHED}; done", WIRED)
    walk.phase("a hostile firewall", a, HOSTILE, WIRED)
    walk.phase("conntrack flushed", a, FORGET, WIRED)
    walk.phase("strict rp_filter", a, FILTERS.format(1), WIRED)
    walk.phase("loose rp_filter", a, FILTERS.format(2), WIRED)
    walk.phase("no rule again", a, f"{FLUSHED}; {FILTERS.format(0)}", WIRED)
    walk.phase("a way by the WAN", a, f"ip route replace {remote} via {WAN[family][1]} dev enp1s0", WIRED)
    walk.phase("the LAN in a VRF", a, "ip link add blue type vrf table 10; ip link set blue up; ip link set enp2s0 master blue", WIRED)
    walk.phase("no VRF", a, f"ip link set enp2s0 nomaster; ip link delete blue; ip address replace {lab.ends[4][0]}/32 dev enp2s0", WIRED)
    walk.phase("l2w0 down", a, f"{INSIDE} link set l2w0 down")
    walk.phase("up by an event", a, AGAIN, WIRED)
    walk.phase("l2w0 deleted", a, f"{INSIDE} link delete l2w0")
    walk.phase("made by an event", a, AGAIN, WIRED)
    walk.phase("the namespace deleted", a, "ip netns delete l2wg")
    walk.phase("made by another event", a, AGAIN, WIRED)
    walk.phase("by hand", a, f"{lab.tunnel.by_hand(lab.ends)}; ip address replace {local} dev enp2s0 {'nodad' if family == 6 else ''}")
    walk.phase("by hand, and a way by the WAN", a, f"ip route replace {remote} via {WAN[family][1]} dev enp1s0")
    heard = walk.run()
    a.sh(f"ip route delete {remote}; ip link delete gretap1", check=False)
    return Told(lab.tunnel, lab.sent(), admins_answer, heard)


def test_the_probes_see(told):
    """Out here, without walls, they come in, and all leaks."""
    by_hand = told.heard["by hand"], told.heard["by hand, and a way by the WAN"]
    assert {"wan: plain", "wan: fragments"} <= came_in(by_hand[0]) | came_in(by_hand[1])
    assert leaked(by_hand[1]) >= {"out broadcast", "out unicast"}


def test_nothing_comes_in_and_nothing_leaks(told):
    states = {name: heard for name, heard in told.heard.items() if not name.startswith("by hand")}
    assert len(states) == 17
    assert {name: came_in(heard) for name, heard in states.items() if came_in(heard)} == {}
    assert {name: leaked(heard) for name, heard in states.items() if leaked(heard)} == {}
    assert crossed(states["a hostile firewall"]) == {"out broadcast", "out unicast", "out full size"}
    assert told.admins_answer


def test_where_a_namespace_is_forbidden_nothing_half_made_stays(walled):
    """As in a container that may not mount."""
    site = walled.a
    site.l2wg("down", "--all")
    site.sh("mount -t tmpfs -o ro tmpfs /run/netns 2>/dev/null || { mkdir -p /run/netns; mount -t tmpfs -o ro tmpfs /run/netns; }")
    try:
        said = site.l2wg("event", "up", "br0").stderr
        assert "wire=shared" in said and "Traceback" not in said, said
        assert "gretap1" not in site.links()
        # And beforehand.
        done = site.l2wg("init", "l2w9", "--port", "51999", check=False)
        assert done.rc == 1 and "network namespaces cannot be had here" in done.stderr and "hint: l2wg init --shared" in done.stderr
        assert not site.exists("/etc/wireguard/l2w9.conf")
    finally:
        site.sh("umount /run/netns")
    site.l2wg("event", "up", "br0")
    walled.comes_back()
    eventually(lambda: planned(site) == "", 10)


@pytest.fixture(scope="module")
def paired(vm):
    """From nothing, by two cards."""
    pair = Pair(vm).fresh()
    for site in pair.sites:
        site.sh("rm /etc/wireguard/wg0.conf")
    made = {site.name: site.l2wg("init", "--name", f"site-{site.name.lower()}", "--endpoint", topology.WAN[site.name]) for site in pair.sites}
    pair.card = {name: result.stdout.split()[-1] for name, result in made.items()}
    pair.said = [pair.a.l2wg("pair", "--yes", "--bridge-ports", "enp3s0", pair.card["B"]), pair.b.l2wg("pair", "--yes", pair.card["A"])]
    pair.comes_back(30)
    return pair


def test_two_cards_make_a_wire_of_its_own(paired):
    for site in paired.sites:
        text = site.read("/etc/wireguard/l2w0.conf")
        assert "PostUp" not in text and text.count("[Peer]") == 1 and "wire           = own" in site.read("/etc/l2wg/gretap1.conf")
        assert "wg0" not in site.links() and "l2w0" not in site.links()
        assert planned(site) == ""
    assert "site-a answers" in paired.said[1].stderr
    # Once more is nothing to do.
    assert "nothing to do" in paired.a.l2wg("pair", "--yes", paired.card["B"]).stderr


def fragments(site) -> int:
    """How many of its packets the router has cut into fragments, out here."""
    rows = [line.split() for line in site.sh("cat /proc/net/snmp").stdout.splitlines() if line.startswith("Ip: ")]
    return int(dict(zip(*rows))["FragCreates"])


def test_a_way_out_that_takes_less(paired):
    """WireGuard's packets go in fragments, until the file has the MTU that `l2wg init` would have written."""
    site = paired.a
    conf = site.read("/etc/wireguard/l2w0.conf")
    paired.both(lambda site: site.sh("ip link set enp1s0 mtu 1400"))
    try:
        before = fragments(site)
        assert paired.device.ping("192.168.92.10", count=3, size=1472, fragment=False) == 3
        assert fragments(site) > before, "1420 bytes in WireGuard, and 60 more"
        site.sh("ip route add default dev enp1s0")
        said = site.l2wg("init", "l2w9", "--port", "51999").stderr
        assert "the way out takes packets of 1400 bytes: MTU = 1320" in said and site.read("/etc/wireguard/l2w9.conf").endswith("ListenPort = 51999\nMTU = 1320\n")
        paired.both(lambda site: site.sh("sed -i 's/^ListenPort/MTU = 1320\\n&/' /etc/wireguard/l2w0.conf; l2wg apply --no-rehearsal"))
        paired.comes_back()
        before = fragments(site)
        assert paired.device.ping("192.168.92.10", count=3, size=1472, fragment=False) == 3
        assert fragments(site) == before and planned(site) == ""
    finally:
        site.sh("rm -f /etc/wireguard/l2w9.conf; ip route delete default")
        paired.both(lambda site: site.sh("ip link set enp1s0 mtu 1500"))
        paired.both(lambda site: site.sh("sed -i '/^MTU/d' /etc/wireguard/l2w0.conf; l2wg apply --no-rehearsal"))
    assert site.read("/etc/wireguard/l2w0.conf") == conf


def test_beside_a_wireguard_of_others_it_is_the_one_that_is_meant(paired):
    site = paired.a
    site.write("/etc/wireguard/wg0.conf", "[Interface]\nListenPort = 51999\nAddress = 10.15.14.2/24\n", 0o600)
    try:
        done = site.l2wg("card")
        assert done.stdout.strip() == paired.card["A"] and "of l2w0, wg0, l2w0 is meant" in done.stderr
        assert "nothing to do" in site.l2wg("pair", "--yes", paired.card["B"]).stderr
        # Whose port is not taken, though nobody has it now.
        said = site.l2wg("init", "l2w9", "--port", "51999", check=False).stderr
        assert "has UDP port 51999, though it is down now" in said and not site.exists("/etc/wireguard/l2w9.conf")
        assert "l2wg makes l2w0 itself" in site.l2wg("attach", "l2w0", check=False).stderr
    finally:
        site.sh("rm /etc/wireguard/wg0.conf")


def test_unpair_takes_all_of_it_and_pair_brings_it_back(paired):
    site = paired.a
    site.l2wg("unpair", "--yes", "site-b")
    assert "gretap1" not in site.links() and site.run(["ip", "netns", "list"]).stdout.strip() == ""
    assert "[Peer]" not in site.read("/etc/wireguard/l2w0.conf")
    site.l2wg("pair", "--yes", "--bridge", "br0", "--bridge-ports", "enp3s0", paired.card["B"])
    paired.comes_back(30)


def test_another_peer_is_added_without_a_restart(paired):
    """And a change that is undone takes it out again."""
    site = paired.a
    before = site.run(["ip", "netns", "exec", "l2wg", "wg", "show", "l2w0", "latest-handshakes"]).stdout.split()
    third = "[Peer]\nPublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAllowedIPs = 198.18.0.9/32\n"
    text = site.read("/etc/wireguard/l2w0.conf")
    site.write("/etc/wireguard/l2w0.conf", f"{text}\n{third}", 0o600)
    site.l2wg("event", "up", "br0")
    after = site.run(["ip", "netns", "exec", "l2wg", "wg", "show", "l2w0", "latest-handshakes"]).stdout.split()
    assert set(before) < set(after) and paired.wired()
    site.write("/etc/wireguard/l2w0.conf", text, 0o600)
    site.l2wg("event", "up", "br0")
    assert site.run(["ip", "netns", "exec", "l2wg", "wg", "show", "l2w0", "latest-handshakes"]).stdout.split() == before
