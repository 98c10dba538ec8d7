"""No frame leaves in plaintext, none comes in from outside WireGuard, in whatever state the underlay is. Each lock is tried alone, and
every probe is seen to see with the locks taken out.

Site A is under test. Spoofed packets come to it from the WAN (B's end of that wire), from its LAN (hostA) and by the wire itself (device),
and over WireGuard from B's LAN (hostB); what comes in is heard by the device, what leaks by B's end of the WAN.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import packets
import pytest
from hosts import eventually
from packets import GRE, IP, IP6, OUTSIDER, UDP, Walk, ethernet, gre, ip4, ip6, overlapping, vxlan
from sites import Pair
from topology import ANSWERS

pytestmark = pytest.mark.two_cpus
ENDS = {4: ("192.168.178.1", "192.168.92.1"), 6: ("fd00:178::1", "fd00:92::1")}
WAN = {4: ("203.0.113.10", "203.0.113.20"), 6: ("fd00:203::10", "fd00:203::20")}
ASKED = ("underlay", "local", "remote", "bridge", "bridge-ports", "bridge-address")
HOST_A = {4: "192.168.178.10", 6: "fd00:178::10"}
EARS = {"device": ("device", "eth0"), "hostB": ("hostB", "eth0"), "wan": ("B", "enp1s0")}

# For the tunnels over IPv6. nodad: nobody else is there, and waiting for that costs a second.
ADDRESSES = """
sysctl -qw net.ipv6.conf.all.forwarding=1
ip address replace {0}/64 dev {1} nodad; ip address replace {2}/64 dev enp1s0 nodad
"""
# The admin's own tunnels between the same sites, by the WAN.
ADMINS = """
ip link add gre9 type gre local {local} remote {remote} && ip address add 10.99.1.{number}/24 dev gre9
ip link add vxlan9 type vxlan id 9 local {local} remote {remote} dstport 4789 && ip address add 10.99.2.{number}/24 dev vxlan9
ip link add vxlan96 type vxlan id 96 local {local6} remote {remote6} dstport 4789 && ip address add 10.99.3.{number}/24 dev vxlan96
for name in gre9 vxlan9 vxlan96; do ip link set $name up; done
nft -f - <<'END'
table inet l2wg-admin {{
    set peers {{ type ipv4_addr; elements = {{ 192.0.2.1, 192.0.2.7 }}; }}
    chain input {{ type filter hook input priority 0; policy accept; ip saddr @peers drop; }}
}}
END
"""
WIRED = ("hostB", "out ")
NO_GUARD = "nft delete table inet l2wg"
# A third lock, against what comes by a port of the bridge (config/bridge_switches.py): taken out, so that the guard stands alone. The next event puts it back.
NOT_SILENT = "sysctl -qw net.ipv4.conf.br0.rp_filter=0 net.ipv4.conf.br0.arp_ignore=0 net.ipv6.conf.br0.disable_ipv6=0"
NO_WG0 = "ip link del wg0"
WG_QUICK_UP = "wg-quick up wg0"
# From whatever state a walk has left the site in to one where an event has been told.
ANEW = {
    "A": f"{{ ip route del {ENDS[4][1]} dev enp1s0; ip route del {ENDS[6][1]} dev enp1s0; {NO_WG0}; }} 2>/dev/null; {WG_QUICK_UP}",
    "B": f"ip address replace {ENDS[4][1]}/24 dev br0; ip address replace {ENDS[6][1]}/64 dev br0 nodad; l2wg apply --no-rehearsal",
}
# WireGuard made anew with nobody told, so under another index.
REMAKE = """
ip link add lab-index type dummy; ip link add wg0 type wireguard; ip link del lab-index
wg-quick strip wg0 | wg setconf wg0 /dev/stdin; ip address add 10.15.14.2/24 dev wg0; ip link set wg0 mtu 1420 up
for network in 192.168.92.0/24 fd00:92::/64; do ip route add $network dev wg0; done
"""


@dataclass(frozen=True)
class Tunnel:
    encapsulation: str
    family: int
    key: int = None
    port: int = 4789
    thorough: bool = True  # else what another tunnel shows is left out

    @property
    def settings(self) -> tuple:
        return f"encapsulation={self.encapsulation}", f"key={'' if self.key is None else self.key}", f"port={self.port}"

    def by_hand(self, ends=ENDS) -> str:
        """As the blog has it: bound to nothing, and no rule or route of its own."""
        kind = {4: "gretap", 6: "ip6gretap"}[self.family] if self.encapsulation == "gretap" else "vxlan"
        words = f"type {kind} local {ends[self.family][0]} remote {ends[self.family][1]}"
        if kind == "vxlan":
            words += f" id {self.vni} dstport {self.port}"
        elif self.key is not None:
            words += f" key {self.key}"
        words += {"gretap": " nopmtudisc ignore-df", "ip6gretap": " encaplimit none", "vxlan": ""}[kind]
        return f"""
            ip link del gretap1
            for family in -4 -6; do
                for number in $(ip $family rule | cut -d: -f1 | grep -vxE '0|32766|32767'); do ip $family rule del priority $number; done
            done
            ip link add gretap1 address fe:ff:00:00:00:01 mtu 1500 {words} && ip link set gretap1 master br0 && ip link set gretap1 up"""

    @property
    def vni(self) -> int:
        return 1 if self.key is None else self.key


TUNNELS = {
    "gretap": Tunnel("gretap", 4),
    "gretap-key": Tunnel("gretap", 4, 77, thorough=False),
    "vxlan": Tunnel("vxlan", 4, 4711),
    "ip6gretap": Tunnel("gretap", 6, 78),
    "vxlan6": Tunnel("vxlan", 6, port=8472, thorough=False),
}


def tunnels(*quick):
    """TUNNELS as parameters: those that are not `quick` belong to `make long`."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.long) for name in TUNNELS]


# Those that the kernel refuses by itself.
REFUSED = ("overlapping fragments", "another key", "first fragment without UDP or GRE", "first fragment without its second header")
FEW = ("plain", "fragments")


def spoofed(tunnel: Tunnel, source: str, target: str) -> dict:
    """what -> function that makes, of a frame, the IP packets from `source` to `target` by which it would come out of the tunnel."""
    with_vxlan = tunnel.encapsulation == "vxlan"
    make, protocol = ip4 if tunnel.family == 4 else ip6, UDP if with_vxlan else GRE

    def datagram(frame, outer=source):
        return vxlan(outer, target, frame, tunnel.vni, tunnel.port) if with_vxlan else gre(frame, tunnel.key)

    def whole(**how):
        return lambda frame: make(source, target, protocol, datagram(frame), **how)

    found = {"plain": whole(), "fragments": whole(cuts=(8, 40)), "large fragments": whole(cuts=(64,))}
    found["fragments reversed"] = lambda frame: found["fragments"](frame)[::-1]
    if tunnel.family == 4:
        found["options"] = whole(options=b"\x01" * 4)
        found["overlapping fragments"] = lambda frame: overlapping(found["fragments"](frame))
    else:
        found["options"] = whole(headers=1)
        found["hop-by-hop"] = whole(headers=2, hop_by_hop=True)
        found["options in fragments"] = whole(headers=1, cuts=(24, 48))
        found["first fragment without UDP or GRE"] = whole(headers=1, cuts=(8, 48))
        found["first fragment without its second header"] = whole(headers=2, cuts=(8,))
    if with_vxlan:
        stranger = "198.51.100.7" if tunnel.family == 4 else "fd00:51::7"
        found["stranger"] = lambda frame: make(stranger, target, UDP, datagram(frame, stranger))
    else:
        found["sequence"] = lambda frame: make(source, target, GRE, gre(frame, tunnel.key, sequence=1))
        found["another key"] = lambda frame: make(source, target, GRE, gre(frame, 5 if tunnel.key is None else None))
    return found


class Lab:
    """A pair, the admin's tunnels on it, and the tunnel that is under test."""

    ends = ENDS

    def __init__(self, vm) -> None:
        vm.put("/root/packets.py", Path(packets.__file__).read_bytes())
        self.pair = pair = Pair(vm).fresh()
        self.a, self.b, self.tunnel = pair.a, pair.b, TUNNELS["gretap"]
        for site, networks in ((self.a, "fd00:92::/64"), (self.b, "fd00:178::/64")):
            site.sh(f"sed -i 's|^AllowedIPs.*|&, {networks}|' /etc/wireguard/wg0.conf")
        self.macs = {site.name: {name: link["address"] for name, link in site.links().items()} for site in pair.sites}
        self.macs["hostB"] = pair.host_b.links()["eth0"]["address"]

    def addresses(self) -> None:
        """What is not in the reference's files, and goes with `ifdown`."""
        self.a.sh(ADDRESSES.format(self.ends[6][0], "enp2s0", WAN[6][0]))
        self.b.sh(ADDRESSES.format(self.ends[6][1], "br0", WAN[6][1]))
        # A's packets that find no other way go to B by the WAN: a leak is seen.
        self.a.sh(f"ip route replace default via {WAN[4][1]}; ip route replace default via {WAN[6][1]}")

    def admins_tunnels(self) -> None:
        self.before = []
        for number, (site, own, other) in enumerate(((self.a, 0, 1), (self.b, 1, 0)), 1):
            site.sh(ADMINS.format(number=number, local=WAN[4][own], remote=WAN[4][other], local6=WAN[6][own], remote6=WAN[6][other]))
            self.before.append(site.run(["nft", "list", "table", "inet", "l2wg-admin"]).stdout)

    def switch(self, tunnel: Tunnel) -> None:
        """To a wire of that kind, whatever state A is in."""
        self.tunnel = tunnel
        self.pair.both(self._switch)
        self.pair.comes_back()

    def _switch(self, site) -> None:
        local, remote = self.ends[self.tunnel.family][:: 1 if site is self.a else -1]
        site.l2wg("set", "gretap1", f"local={local}", f"remote={remote}", *self.tunnel.settings)
        site.sh(ANEW[site.name], timeout=120)

    def admins_answer(self) -> bool:
        """Whether the admin's own tunnels work."""
        return all(self.a.ping(f"10.99.{network}.2", count=2) for network in (1, 2, 3))

    def frames(self, mark) -> list:
        """All that is sent while a phase lasts: `mark` makes the contents."""
        local, remote = self.ends[self.tunnel.family]
        sent = [
            ("device", "eth0", ethernet(target, "02:00:00:00:0d:01", packets.LOCAL_EXPERIMENTAL, mark(f"out {what}", size)))
            for what, target, size in (("broadcast", packets.BROADCAST, 60), ("unicast", self.macs["hostB"], 60), ("full size", packets.BROADCAST, 1500))
        ]

        def send(namespace, interface, to, name, source, target, only=FEW, wrap=None):
            for what, make in spoofed(self.tunnel, source, target).items():
                if not only or what in only:
                    parts = make(ethernet(packets.BROADCAST, OUTSIDER, packets.LOCAL_EXPERIMENTAL, mark(f"{name}: {what}")))
                    ether = IP if wrap or self.tunnel.family == 4 else IP6
                    for part in parts:
                        sent.append((namespace, interface, ethernet(to, OUTSIDER, ether, wrap(part) if wrap else part)))

        def in_gre(packet):
            """By the admin's own tunnel, that carries no Ethernet."""
            return ip4(WAN[4][1], WAN[4][0], GRE, gre(packet, kind=IP if self.tunnel.family == 4 else IP6))[0]

        wan, lan, wire, far = (self.macs[site][port] for site, port in (("A", "enp1s0"), ("A", "enp2s0"), ("A", "enp3s0"), ("B", "br0")))
        send("B", "enp1s0", wan, "wan", remote, local, only=None)
        send("B", "enp1s0", wan, "in GRE", remote, local, wrap=in_gre)
        send("hostA", "eth0", lan, "lan", remote, local)
        send("device", "eth0", wire, "wire", remote, local)
        # What routers forward, through WireGuard: in the name of the other router, or (VXLAN) in one's own.
        send("hostB", "eth0", far, "LAN B", remote, local)
        if self.tunnel.encapsulation == "vxlan":
            send("B", "enp1s0", wan, "to the WAN's address", *WAN[self.tunnel.family][::-1])
            send("hostA", "eth0", lan, "to site B", HOST_A[self.tunnel.family], remote)
        return sent

    def sent(self) -> set:
        """Names of all that."""
        names = set()
        self.frames(lambda what, size=0: names.add(what) or b"")
        return names

    def walk(self) -> Walk:
        return Walk(self.pair.vm, self.frames, EARS)


def came_in(heard: dict) -> set:
    """Names of what was sent from outside the wire and came out of it."""
    return {name for ear in ("device", "hostB") for name in heard[ear] if not name.startswith("out ")}


def leaked(heard: dict) -> set:
    return {name for name in heard["wan"] if name.startswith("out ")}


def crossed(heard: dict) -> set:
    return {name for name in heard["hostB"] if name.startswith("out ")}


@pytest.fixture(scope="module")
def lab(vm):
    lab = Lab(vm)
    lab.addresses()
    lab.admins_tunnels()
    lab.b.configure()
    lab.b.run(["wg-quick", "up", "wg0"], timeout=120)
    return lab


@pytest.fixture(scope="module")
def events(lab):
    """What the probes saw from nothing to a wire, and through all that tells l2wg; site B stands."""
    site, walk = lab.a, lab.walk()
    answers = " ".join(f"{key}={ANSWERS['A'][key]}" for key in ASKED)
    walk.phase("configured, WireGuard not up yet", site, f"l2wg set gretap1 {answers} && l2wg attach wg0 && l2wg apply --no-rehearsal")
    walk.phase("wg-quick up", site, WG_QUICK_UP, WIRED)
    walk.phase("l2wg down --all", site, "l2wg down --all; ! nft list tables | grep -w 'l2wg$'")
    walk.phase("l2wg up", site, "l2wg up wg0", WIRED)
    walk.phase("shutdown: interfaces", site, "ifdown -a")
    walk.phase("shutdown: WireGuard", site, "wg-quick down wg0")
    walk.phase("boot: interfaces", site, f"ifup -a && ifup -a --allow=hotplug; ip route replace default via {WAN[4][1]}")
    walk.phase("boot: WireGuard", site, WG_QUICK_UP, WIRED)
    walk.phase(
        "wg-quick down fails half-way",
        site,
        """
        cp -a /etc/wireguard/wg0.conf /root/; sed -i '0,/^PostDown/s//PostDown = false\\n&/' /etc/wireguard/wg0.conf
        ! wg-quick down wg0 && ip link show gretap1 && ! ip link show wg0
    """,
    )
    walk.phase("wg-quick up after that", site, f"cp -a /root/wg0.conf /etc/wireguard/; {WG_QUICK_UP}", WIRED)
    walk.phase(
        "package gone",
        site,
        """
        mkdir /root/away; mv /usr/bin/l2wg /usr/lib/python3/dist-packages/l2wg_hooks /root/away/; wg-quick down wg0
    """,
    )
    walk.phase(
        "package back",
        site,
        f"""
        mv /root/away/l2wg /usr/bin/; mv /root/away/l2wg_hooks /usr/lib/python3/dist-packages/; {WG_QUICK_UP}
    """,
        WIRED,
    )
    heard = walk.run()
    lab.addresses()
    return heard


def test_no_event_lets_a_frame_out_or_in(events):
    for wired in ("wg-quick up", "l2wg up", "boot: WireGuard", "wg-quick up after that", "package back"):
        assert crossed(events[wired])
    assert {name: leaked(heard) for name, heard in events.items() if leaked(heard)} == {}
    assert {name: came_in(heard) for name, heard in events.items() if came_in(heard)} == {}


@pytest.fixture(scope="module", params=tunnels("gretap", "vxlan6"))
def told(request, lab, events):
    """What the probes saw in every state of the underlay, nobody told: with both locks, with either one alone, with none."""
    lab.switch(TUNNELS[request.param])
    admins_answer, family, a, b, walk = lab.admins_answer(), lab.tunnel.family, lab.a, lab.b, lab.walk()
    local, remote = ENDS[family]
    there = "/24" if family == 4 else "/64 nodad"
    b_gone, b_back = (f"ip address {verb} {remote}{there} dev br0" for verb in ("del", "add"))
    reroute, back = f"ip route replace {remote} via {WAN[family][1]} dev enp1s0", f"ip route del {remote}"
    lost = (("wg0 down", f"{back}; ip link set wg0 down"), ("wg0 deleted", NO_WG0), ("wg0 made anew", REMAKE))

    walk.phase("wired", until=WIRED)
    walk.phase("wired, the bridge answers", a, NOT_SILENT)
    # B, whose bridge lost its address, forwards what is sent in its name.
    walk.phase("B's address gone", b, b_gone)
    walk.phase("B's address back", b, b_back)
    walk.phase("address gone", a, f"ip address del {local}{there} dev enp2s0")
    walk.phase("address back", a, f"ip address add {local}{there} dev enp2s0", WIRED)
    walk.phase("route replaced", a, reroute)
    if lab.tunnel.thorough:
        for state, script in lost:
            walk.phase(state, a, script)
        walk.phase("wired again", a, f"{NO_WG0}; {WG_QUICK_UP}", WIRED)
    walk.phase("no guard at B", b, NO_GUARD)
    walk.phase("no guard", a, f"{NO_GUARD}; {NOT_SILENT}")
    walk.phase("no guard, B's address gone", b, b_gone)
    if lab.tunnel.thorough:
        walk.phase("no guard, route replaced", a, reroute)
        for state, script in lost:
            walk.phase(f"no guard, {state}", a, script)
        walk.phase("guard back at B", b, f"{b_back}; l2wg up wg0")
        walk.phase("guard back", a, f"{NO_WG0}; {WG_QUICK_UP}", WIRED)
        walk.phase("not bound, route replaced", a, f"{lab.tunnel.by_hand()}\n{reroute}")
        walk.phase("not bound, wg0 deleted", a, f"{back}; {NO_WG0}")
        walk.phase("neither", a, NO_GUARD)
    return Told(lab.tunnel, lab.sent(), admins_answer, walk.run())


@dataclass(frozen=True)
class Told:
    tunnel: Tunnel
    sent: set
    admins_answer: bool
    heard: dict

    def all(self, what, *starts) -> dict:
        """phase -> names, where `what` (came_in, leaked) finds any; of the phases with such names."""
        return {name: what(heard) for name, heard in self.heard.items() if name.startswith(starts) and what(heard)}


GUARDED = ("wired", "B's address", "address", "route", "wg0")


def test_the_probes_see(told):
    """With the guard taken out, all comes in but what the kernel refuses; with both locks taken out, all leaks."""
    came = set().union(*told.all(came_in, "no guard").values())
    assert {name for name in told.sent - came if not name.startswith("out ") and not name.endswith(REFUSED)} == set()
    if told.tunnel.thorough:
        assert leaked(told.heard["neither"]) >= {"out broadcast", "out unicast"}


def test_nothing_comes_in(told):
    assert told.all(came_in, *GUARDED) == {}


def test_nothing_leaks(told):
    """Whichever of the two locks is taken out."""
    assert told.all(leaked, *GUARDED) == {}
    assert told.all(leaked, "no guard") == {}
    assert told.all(leaked, "not bound") == {}


def test_what_is_ours_and_the_admins_passes(told):
    assert crossed(told.heard["wired"]) == {"out broadcast", "out unicast", "out full size"}
    assert told.admins_answer


@pytest.fixture(scope="module")
def reference(lab, events):
    """The reference's tunnel, whatever the tests before have made of it; a test leaves it wired."""
    lab.switch(TUNNELS["gretap"])
    return lab


def ours(site) -> set:
    return {line for line in site.run(["nft", "list", "tables"]).stdout.splitlines() if line.endswith(" l2wg")}


def rules(site) -> set:
    """The rule set without what was counted: tables may come in another order."""
    return set(re.sub(r"packets \d+ bytes \d+", "", site.run(["nft", "list", "ruleset"]).stdout).splitlines())


def admins(lab) -> None:
    """The admin's rules, after a flush."""
    lab.a.run(["nft", "-f", "-"], input=lab.before[0])


def test_the_guard_comes_back_after_a_flush(reference):
    """As nftables.service does it when it is reloaded."""
    site = reference.a
    before = rules(site)
    site.run(["nft", "flush", "ruleset"])
    admins(reference)
    assert site.l2wg("plan", check=False).rc == 2
    assert "Traceback" not in site.l2wg("up", "wg0").stderr
    assert ours(site) == {"table inet l2wg", "table bridge l2wg"}
    assert rules(site) == before
    assert site.l2wg("plan", check=False).rc == 0
    reference.pair.comes_back()


# An nft(8) after which somebody else has flushed: as often as the file says, or for ever.
FLUSHED = """#!/bin/sh
/root/nft "$@" || exit
left=$(cat /root/left)
if [ "$1" = -f ] && [ "$left" != 0 ]; then
    [ "$left" = ever ] || echo $((left - 1)) >/root/left
    /root/nft flush ruleset
fi
"""


EMPTIED = """
import json
with open("/run/l2wg.loaded") as file:
    note = json.load(file)
with open("/run/l2wg.loaded", "w") as file:
    json.dump(dict(note, meant="", listing=""), file)
"""


@pytest.mark.parametrize("left, comes", [("2", True), ("ever", False)])
def test_a_flush_beside_an_event(reference, left, comes):
    """What nft(8) lists then is nothing, which is never taken for what should be: loaded again, else no tunnel."""
    site = reference.a
    before = rules(site)
    site.sh("mv /usr/sbin/nft /root/nft; /root/nft flush ruleset")
    site.write("/usr/sbin/nft", FLUSHED, 0o755)
    site.write("/root/left", left)
    try:
        said = site.l2wg("up", "wg0").stderr
    finally:
        site.run(["mv", "/root/nft", "/usr/sbin/nft"])
    assert "Traceback" not in said
    assert ("gretap1" in site.links()) == comes
    assert ("each time something else had changed them" in said) != comes
    if comes:
        assert site.l2wg("plan", check=False).rc == 0
    # Whatever an older version has noted: an empty listing is none.
    site.sh(f"nft flush ruleset; python3 -c '{EMPTIED}'")
    assert site.l2wg("plan", check=False).rc == 2
    admins(reference)
    site.l2wg("up", "wg0")
    assert rules(site) == before
    reference.pair.comes_back()


def test_flushes_all_the_time(reference):
    """Ten events beside a loop of them; the one after it finds what is missing."""
    site = reference.a
    before = rules(site)
    site.sh(
        """
        (while [ ! -e /root/enough ]; do nft flush ruleset; done) &
        for i in 1 2 3 4 5 6 7 8 9 10; do l2wg up wg0 2>/dev/null; done
        touch /root/enough; wait; rm /root/enough
    """,
        timeout=300,
    )
    assert not ours(site)
    admins(reference)
    site.l2wg("up", "wg0")
    assert rules(site) == before
    assert site.l2wg("plan", check=False).rc == 0
    reference.pair.comes_back()


@pytest.mark.parametrize("words", ["ttl inherit", "csum", "seq", "tos inherit", "key 9", "ikey 9"])
def test_what_somebody_makes_of_the_tunnel_by_hand_is_undone(reference, words):
    """`seq` at one end: the wire is dead."""
    site = reference.a
    site.run(["ip", "link", "set", "dev", "gretap1", "type", "gretap", *words.split()])
    assert site.l2wg("plan", check=False).rc == 2
    site.l2wg("up", "wg0")
    made = site.links()["gretap1"]["linkinfo"]["info_data"]
    assert made["ttl"] == 64 and not {"iseq", "oseq", "icsum", "ocsum", "ikey", "okey", "tos"} & set(made)
    assert site.l2wg("plan", check=False).rc == 0
    reference.pair.comes_back()


def test_frames_of_packets_that_may_go_no_further_cross_a_hub(reference):
    """OSPF, RIP, IGMP, traceroute: TTL 1 inside. What comes to B could go on: its TTL is not that one."""
    site = reference.b
    site.sh("nft add table ip outer; nft 'add chain ip outer arrives { type filter hook input priority 0; }'")
    site.sh("nft add rule ip outer arrives iifname wg0 ip protocol gre ip ttl 1 counter; nft add rule ip outer arrives iifname wg0 ip protocol gre ip ttl 64 counter")
    assert reference.pair.device.run(["ping", "-c", "2", "-t", "1", "192.168.92.10"]).rc == 0
    counted = re.findall(r"ttl (\d+).* counter packets (\d+)", site.run(["nft", "list", "table", "ip", "outer"]).stdout)
    site.run(["nft", "delete", "table", "ip", "outer"])
    assert dict(counted)["1"] == "0" and int(dict(counted)["64"]) >= 2


def test_an_underlay_in_a_vrf_is_refused(reference):
    """There netfilter sees the VRF's name, and the guard would drop what is the tunnel's own."""
    site = reference.a
    site.sh("ip link add blue type vrf table 10; ip link set blue up; ip link set wg0 master blue")
    result = site.l2wg("plan", check=False)
    assert "wg0 is in the VRF blue" in result.stdout + result.stderr
    assert site.l2wg("apply", check=False).rc == 1
    assert site.l2wg("status", check=False).rc == 1
    site.sh(f"ip link set dev wg0 nomaster; ip link del blue; {NO_WG0}; {WG_QUICK_UP}", timeout=120)
    reference.pair.comes_back()


def test_without_nft_there_is_no_tunnel(reference):
    """Fail closed: what cannot be guarded is not there. WireGuard works all the same."""
    site = reference.a
    site.sh("mv /usr/sbin/nft /root/nft; /root/nft flush ruleset")
    try:
        for script in ("l2wg up wg0", f"{NO_WG0}; {WG_QUICK_UP}"):
            said = site.sh(script, timeout=120).stderr
            assert "nft" in said and "hint:" in said and "Traceback" not in said
            assert "gretap1" not in site.links()
        eventually(reference.pair.wireguard_works, 30)
    finally:
        site.run(["mv", "/root/nft", "/usr/sbin/nft"])
    admins(reference)
    site.l2wg("up", "wg0")
    assert len(ours(site)) == 2
    reference.pair.comes_back()


def test_nothing_of_ours_is_left(reference):
    """The last tunnel takes its rules with it; the admin's are as they were."""
    site = reference.a
    assert len(ours(site)) == 2
    site.l2wg("down", "--all")
    assert site.run(["nft", "list", "ruleset"]).stdout == reference.before[0]
    site.l2wg("up", "wg0")
    reference.pair.comes_back()
