"""What a rehearsal runs, who stands in, and what is said of the outcome. That it works is the lab's: tests/lab/netns/test_rehearsal.py."""

import json

import pytest
from l2wg_hooks.config import ifupdown, ifupdown_bridge, wg_quick
from l2wg_hooks.model import Addresses, Link, Tunnel
from l2wg_hooks.observe.wg_interfaces import Interface, Peer
from l2wg_hooks.plan import restore
from l2wg_hooks.rehearsal import cast, harmless, judge, outcome, play, rehearse, stage, tame
from l2wg_hooks.rehearsal.outcome import BOOT, Fact, Failure, Look, Outcome, Step
from l2wg_hooks.rehearsal.tame import Line

MAIN, OURS = "/etc/network/interfaces", ifupdown_bridge.OURS


@pytest.mark.parametrize(
    "line",
    [
        "ip route add 10.0.0.0/8 via 192.0.2.1 dev $IFACE || true",
        "/sbin/ethtool -K $IFACE gro off gso off",
        '[ -x /usr/sbin/ethtool ] && ethtool -s "$IFACE" wol g',
        "test -e /etc/network/if-pre-up.d/bridge || ip link add $IFACE type bridge forward_delay 0",
        "for port in enp2s0 enp3s0; do ip link set $port up master $IFACE; done",
        "if ip link show wg0 >/dev/null 2>&1; then wg set wg0 fwmark 1; else ip link add wg0 type wireguard; fi",
        "echo 2 > /proc/sys/net/ipv6/conf/$IFACE/accept_ra",
        "echo 0 >/sys/class/net/br0/bridge/multicast_snooping",
        "wg syncconf wg0 <(wg-quick strip wg0)",
        "X=1 Y=2 ip link set dev $(cat /etc/port) up # the port; reboot",
        "sysctl -qew net/ipv6/conf/$IFACE/accept_ra=0 || true",
        "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.ip_forward=1",
        "iptables -t nat -A POSTROUTING -o enp1s0 -j MASQUERADE; ip6tables-restore </etc/rules.v6",
        "while ! ip link show wg0; do sleep 1; done",
        "l2wg up %i || :",
        "! ip link show x",
        "echo `ip -br link` 'logger; reboot'",
        "ip route add default via 192.0.2.1 table $((100 + 1))",
        "ip link set up dev wg0 &>/dev/null",
        "",
        "true",
    ],
)
def test_what_is_of_the_network_is_run(line):
    assert harmless.stranger(line) == ""


@pytest.mark.parametrize(
    "line, word",
    [
        ("logger x && ethtool -K $IFACE gro off", "logger"),
        ("ip link set up dev x; systemctl restart dnsmasq", "systemctl"),
        ("ip link show | tee /var/log/links", "tee"),
        ("echo $(reboot)", "reboot"),
        ('echo "now $(reboot) `ls`"', "reboot"),
        ("echo `reboot`", "reboot"),
        ("cat <(curl http://192.0.2.1/)", "curl"),
        ("if true; then reboot; fi", "reboot"),
        ("for x in a; do $x; done", "$x"),
        ("X=1 reboot", "reboot"),
        ("(reboot)", "reboot"),
        ("{ reboot; }", "reboot"),
        ("true & reboot", "reboot"),
        ("\\reboot", "reboot"),
        ("r'e'boot", "reboot"),
        ("/usr/local/bin/ip link", "/usr/local/bin/ip"),
        ("./ip link", "./ip"),
        ("ip netns exec x reboot", "ip ... exec"),
        ("ip vrf exec x reboot", "ip ... exec"),
        ("sh -c 'reboot'", "sh"),
        ("eval reboot", "eval"),
        (". /etc/default/x", "."),
        ("case $IFACE in x) reboot;; esac", "case"),
        ("f() { reboot; }", "f"),
        ("sysctl -p", "sysctl -p"),
        ("sysctl --system", "sysctl --system"),
        ("sysctl -w vm.swappiness=1", "sysctl -w vm.swappiness=1"),
        ("echo 1 >/proc/sys/vm/swappiness", "> /proc/sys/vm/swappiness"),
        ("echo b > /proc/sysrq-trigger", "> /proc/sysrq-trigger"),
        ("echo x >/dev/ttyS0", "> /dev/ttyS0"),
        ("echo 'x", "'"),
        ('echo "x', '"'),
        ("echo $(x", "$("),
        ("wpa_supplicant -B -i wlan0", "wpa_supplicant"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_not_run(line, word):
    assert harmless.stranger(line) == word


INTERFACES = """auto br0
iface br0 inet static
    address 192.168.92.1/24
    # up reboot
    up ip route add 10.0.0.0/8 \\
        via 192.168.92.9
    post-up logger up

    bridge_ports enp2s0 \\
        enp3s0
auto wg0
iface wg0 inet manual
    pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf
"""


def test_commands_of_stanzas_are_run_by_number_and_no_line_moves():
    text, lines = tame.interfaces_file(INTERFACES, MAIN, 7, "/do")
    assert text.splitlines()[:10] == INTERFACES.splitlines()[:4] + ["    up /do 7", "", "    post-up :", ""] + INTERFACES.splitlines()[8:10]
    assert text.splitlines()[-1] == "    pre-up /do 9" and text.count("\n") == INTERFACES.count("\n")
    assert [(line.number, line.line, line.interface, line.key, line.stranger) for line in lines] == [
        (7, 5, "br0", "up", ""),
        (8, 7, "br0", "post-up", "logger"),
        (9, 13, "wg0", "pre-up", ""),
    ]
    assert lines[0].command.split() == "ip route add 10.0.0.0/8 via 192.168.92.9".split()


def test_commands_of_wg_quick_are_run_by_number_and_no_line_moves():
    conf = "[Interface]\nPrivateKey = x # y\nPreUp = echo %i\npostup=l2wg up %i || :\r\nPostDown = reboot\n[Peer]\nPostUp = no\n"
    text, lines = tame.wireguard_file(conf, "/etc/wireguard/wg0.conf", "wg0", 1, "/do")
    assert text == "[Interface]\nPrivateKey = x # y\nPreUp = /do 1\npostup = /do 2\r\nPostDown = :\n[Peer]\nPostUp = no\n"
    assert [(line.line, line.command, line.stranger) for line in lines] == [(3, "echo wg0", ""), (4, "l2wg up wg0 || :", ""), (5, "reboot", "reboot")]


def test_hooks_are_those_of_packages_that_are_known():
    listed = {"bridge-utils": {"/etc/network/if-pre-up.d/bridge"}, "l2wg": {"/etc/network/if-up.d/l2wg"}}
    there = ["/etc/network/if-pre-up.d/bridge", "/etc/network/if-up.d/l2wg", "/etc/network/if-up.d/bridge", "/etc/network/if-up.d/ssh"]
    assert tame.hooks(there, listed) == tuple(there[:2])


def test_the_name_of_a_peer_is_the_address_that_it_has():
    conf = "[Peer]\nPublicKey = %s\nEndpoint = %s\n"
    texts = [conf % pair for pair in (("a", "a.example:1"), ("b", "b.example:1"), ("c", "192.0.2.7:1"), ("d", "[2001:db8::1]:1"), ("e", "e.example:9"))]
    known = {"a": "203.0.113.9:4900", "e": "[2001:db8::7%eth0]:9"}
    assert tame.endpoints(texts, known) == (("a.example", "203.0.113.9"), ("b.example", "192.0.2.1"), ("e.example", "2001:db8::7"))


def test_keys_stay_inside():
    text = "wg0\tSECRET\tpublic\t51820\toff\nwg0\tpeer\tPSK\t192.0.2.1:1\t10.0.0.0/8\t0\t0\t0\toff\nodd\tSECRET\n"
    assert play.keyless(text) == "wg0\t(none)\tpublic\t51820\toff\nwg0\tpeer\t(none)\t192.0.2.1:1\t10.0.0.0/8\t0\t0\t0\toff\n"


# Who stands in.


def row(name, kind="", mac="52:54:00:00:00:01", **more):
    return dict({"ifname": name, "ifindex": 2, "link_type": "ether", "address": mac, "linkinfo": {"info_kind": kind} if kind else {}}, **more)


def test_cards_are_what_no_stanza_makes():
    rows = [
        row("enp1s0", permaddr="52:54:00:00:00:99"),
        row("lo", link_type="loopback"),
        row("br0", "bridge"),
        row("eth0", "veth"),
        row("veth1234", "veth"),
        row("dummy0", "dummy"),
        row("enp1s0.10", "vlan"),
        row("wg0", "wireguard", link_type="none"),
        row("port", "veth"),
    ]
    stanzas, _ = ifupdown.parse("iface eth0 inet dhcp\niface dummy0 inet manual\n pre-up ip link add dummy0 type dummy\n", MAIN)
    assert cast.nics(rows, stanzas, ["port"]) == (cast.Nic("enp1s0", "52:54:00:00:00:99"), cast.Nic("eth0", "52:54:00:00:00:01"), cast.Nic("port", "52:54:00:00:00:01"))


HELD = {
    "enp1s0": Addresses(
        (("203.0.113.9/24", "broadcast", "203.0.113.255", "valid_lft", "900", "preferred_lft", "900"), ("10.1.1.1/8", "label", "enp1s0:1")),
        (("default", "via", "203.0.113.1"), ("198.18.0.0/16", "via", "203.0.113.7")),
    ),
    "br0": Addresses((("192.168.92.7/24",),)),
}


def test_a_lease_is_what_dhcp_has_given_and_goes_with_the_stanza():
    found = cast.leases(HELD, {}, {"br1": ("enp1s0",)})
    given = "address add 203.0.113.9/24 broadcast 203.0.113.255 valid_lft 900 preferred_lft 900 dev enp1s0"
    assert found["enp1s0"] == (given, "route replace default via 203.0.113.1 dev enp1s0"), "no route that a stanza adds by itself"
    assert found["br0"] == ("address add 192.168.92.7/24 dev br0",)
    assert found["br1"][0] == given.replace("enp1s0", "br1")
    back = cast.leases(HELD, {"enp3s0": Link("enp3s0", 3, master="br0")}, {"br0": ("enp3s0", "enp4s0")})
    assert back["enp3s0"] == ("address add 192.168.92.7/24 dev enp3s0",) and "enp4s0" not in back


def test_what_ifupdown_does_not_know_is_there_from_the_start():
    nics = (cast.Nic("enp1s0", ""), cast.Nic("enp2s0", ""))
    assert cast.given(HELD, nics, {"enp1s0"}) == ()
    assert cast.given(HELD, nics, set())[0] == "link set dev enp1s0 up"


# What came out.

KEY = "2iKwjfxm"


def look(*rows, routes=(), wireguard=()):
    """rows are (Link, addresses), routes (interface, words)."""
    known = {device.name: device for device, _ in rows}
    held = {
        device.name: Addresses(tuple((word,) for word in given), tuple(tuple(words.split()) for name, words in routes if name == device.name)) for device, given in rows
    }
    return Look(restore.Snapshot({name: device for name, device in known.items()}, held), dict(wireguard))


def link(name, kind="", addresses=(), master=""):
    return Link(name, 2, kind, master=master, addresses=addresses), addresses


WG0 = {"wg0": Interface("x", 51820, (Peer(KEY, "", ("192.168.178.0/24", "10.15.14.2/32"), 0, 0, 0, None),))}
WHOLE = look(
    link("enp2s0", master="br0"),
    link("br0", "bridge", ("192.168.92.1/24",)),
    link("wg0", "wireguard", ("10.15.14.1/24",)),
    link("gretap1", "gretap", (), "br0"),
    routes=[("br0", "default via 192.168.92.254"), ("wg0", "192.168.178.0/24"), ("br0", "10.9.0.0/16 proto bird")],
    wireguard=WG0,
)
NAMES = ("br0", "enp2s0", "wg0")


def test_facts_are_what_is_there_and_not_what_comes_and_goes():
    found = outcome.facts(WHOLE, NAMES)
    assert {str(fact) for fact in found} == {
        "enp2s0",
        "br0",
        "wg0",
        "enp2s0 as a port of br0",
        "192.168.92.1/24",
        "10.15.14.1/24",
        "the route default via 192.168.92.254",
        "the route 192.168.178.0/24",
        "wg0's peer 2iKwjfxm",
        "192.168.178.0/24 for a peer of wg0",
        "10.15.14.2/32 for a peer of wg0",
    }
    passing = look(link("br0", "bridge"))
    passing.picture.held["br0"] = Addresses((("2001:db8::1/64", "valid_lft", "900"), ("2001:db8::2/64",)))
    assert {fact.value for fact in outcome.facts(passing, NAMES) if fact.kind == "address"} == {"2001:db8::2/64"}


def test_what_moves_is_not_lost_and_what_is_gone_as_a_whole_is_told_once():
    moved = {"enp2s0": "br0"}
    port = look(link("enp2s0", "", ("192.168.92.1/24",)), routes=[("enp2s0", "default via 192.168.92.254"), ("enp2s0", "10.0.0.0/8")])
    bridge = look(link("enp2s0", master="br0"), link("br0", "bridge", ("192.168.92.1/24",)), routes=[("br0", "default via 192.168.92.254"), ("br0", "10.0.0.0/8")])
    assert outcome.lost(outcome.facts(port, NAMES), outcome.facts(bridge, NAMES), moved) == ()
    assert [str(fact) for fact in outcome.lost(outcome.facts(WHOLE, NAMES), outcome.facts(bridge, NAMES), moved)] == [
        "wg0",
        "10.15.14.1/24",
        "the route 192.168.178.0/24",
    ]


def test_routes_are_read_by_the_interface_in_the_line():
    shown = json.dumps([{"ifname": "br0", "ifindex": 2, "flags": ["UP"], "addr_info": []}])
    four = "default via 192.0.2.1 dev br0 onlink \n10.0.0.0/8 dev br0 proto kernel scope link src 10.0.0.1\nlocal 10.0.0.1 dev br0 table local proto kernel\n"
    six = "default via 2001:db8::1 dev br0 metric 1024 pref medium\ndefault \n\tnexthop via fe80::1 dev br0 weight 1\n"
    found = outcome.facts(outcome.look(shown, (four, six), ""), ("br0",))
    assert {fact.value for fact in found if fact.kind == "route"} == {"default via 192.0.2.1", "default (IPv6) via 2001:db8::1"}


def test_settings_are_what_differs_from_the_start():
    before = {"default": {"accept_ra": "1", "mtu": "9"}, "enp2s0": {"accept_ra": "1", "tx_queue_len": "1000"}}
    after = {"enp2s0": {"accept_ra": "2", "tx_queue_len": "1000"}, "br0": {"accept_ra": "1"}, "br1": {"accept_ra": "0", "tx_queue_len": "5"}}
    assert outcome.changed(before, after) == {"enp2s0": {"accept_ra": "2"}, "br1": {"accept_ra": "0"}}


# What is said of it.

TUNNEL = Tunnel("gretap1", "wg0", "192.168.92.1", "192.168.178.1", "br0", path="/etc/l2wg/gretap1.conf")
CONF = "[Interface]\nAddress = 10.15.14.1/24\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.15.14.2/32,192.168.178.0/24\n" % KEY
STANZAS = ((("lo", MAIN, 1, ())), ("br0", MAIN, 4, ("192.168.92.1",)))
BOOTED = Step(("ifup", "-a"), 0, "")


def scene(**more):
    given = {"tunnels": (TUNNEL,), "applied": ("gretap1",), "live": WHOLE, "names": NAMES, "nics": ("enp2s0",), "moved": {"enp2s0": "br0"}}
    given.update(gone=frozenset(), texts={"/etc/wireguard/wg0.conf": CONF})
    return judge.Scene(**dict(given, **more))


def played(look=WHOLE, steps=(BOOTED,), failures=(), up=("lo", "br0"), **more):
    looks = look if isinstance(look, dict) else {BOOT: look}
    given = {"skipped": (), "others": (), "card": (), "settings": {}, "stanzas": STANZAS}
    return Outcome(looks, steps, failures, up, **dict(given, **more))


def without(name, look=WHOLE):
    kept = [{key: value for key, value in each.items() if key != name} for each in (look.links, look.picture.held, look.wireguard)]
    return Look(restore.Snapshot(*kept[:2]), kept[2])


def test_nothing_lost_nothing_said():
    assert judge.differs(played(), scene()) == () == judge.worse(played(), played(), scene())


def test_a_command_that_fails_is_told_with_its_line_and_what_is_missing():
    line = Line(3, MAIN, 12, "wg0", "pre-up", "wg setconf $IFACE /etc/wireguard/$IFACE.conf")
    new = played(without("wg0"), failures=(Failure(line, 1, "Line unrecognized: `PostUp=l2wg up %i || :'\nConfiguration parsing error"),))
    [problem] = judge.worse(new, played(), scene())
    assert str(problem).startswith(
        "/etc/network/interfaces:12: pre-up: `wg setconf $IFACE /etc/wireguard/$IFACE.conf` fails at the next boot: Line unrecognized: `PostUp=l2wg up "
        "%i || :'; Configuration parsing error; missing then: wg0, 10.15.14.1/24, the route 192.168.178.0/24\n  hint: "
    )
    # It failed before: no reason to refuse, but told.
    assert judge.worse(new, new, scene()) == () and len(judge.differs(new, scene())) == 1


def test_wg_quick_is_told_with_the_line_whose_route_is_taken(real_names):
    rows = without("wg0")
    rows.links["br0"] = Link("br0", 2, "bridge", addresses=("192.168.178.200/24",))
    step = Step(("wg-quick", "up", "wg0"), 2, "[#] ip link add wg0 type wireguard\nRTNETLINK answers: File exists\n[#] ip link delete dev wg0\n", "wg0")
    [problem] = judge.worse(played(rows, (BOOTED, step)), played(steps=(BOOTED, step._replace(code=0))), scene(tunnels=()))[:1]
    assert (problem.path, problem.line) == ("/etc/wireguard/wg0.conf", 5)
    assert "`wg-quick up wg0` fails at the next boot: RTNETLINK answers: File exists (192.168.178.0/24 is also the network of br0)" in problem.message
    assert judge.worse(played(rows, (BOOTED, step)), played(rows, (BOOTED, step)), scene(tunnels=())) == ()


def test_an_address_that_no_file_has_any_more_is_told_by_the_file_that_has_it():
    rows = [(device, () if device.name == "br0" else device.addresses) for device in WHOLE.links.values()]
    new = look(*rows, wireguard=WG0, routes=[("br0", "default via 192.168.92.254"), ("wg0", "192.168.178.0/24")])
    [problem] = judge.worse(played(new, stanzas=()), played(), scene())[:1]
    assert str(problem).startswith("/etc/network/interfaces:4: missing after the next boot: 192.168.92.1/24\n")


def test_what_the_wish_takes_away_is_not_lost():
    gone = frozenset({Fact("address", "br0", "192.168.92.1/24"), Fact("route", "br0", "default via 192.168.92.254")})
    new = look(*[(device, () if device.name == "br0" else device.addresses) for device in WHOLE.links.values()], wireguard=WG0, routes=[("wg0", "192.168.178.0/24")])
    assert judge.worse(played(new), played(), scene(tunnels=(), gone=gone)) == ()
    applied = [Tunnel("t", "wg0", "a", "b", "br0", ("enp2s0", "enp3s0"), "192.168.92.1/24"), Tunnel("u", "wg0", "a", "b", "br1", ("enp4s0",))]
    wished = [Tunnel("t", "wg0", "a", "b", "br0", ("enp2s0",))]
    assert set(rehearse._gone(applied, wished, WHOLE)) == {
        Fact("address", "br0", "192.168.92.1/24"),
        Fact("port", "enp3s0", "br0"),
        Fact("port", "enp4s0", "br1"),
        Fact("interface", "br1"),
    }


def test_a_bridge_that_the_wish_takes_away_need_not_come_up():
    new = played(without("br0"), up=("lo",))
    assert [problem.message for problem in judge.worse(new, played(), scene(tunnels=()))][0].startswith("`ifup br0` fails at the next boot")
    facts = outcome.facts(WHOLE, ("br0",)) | {Fact("interface", "br0")}
    assert judge.worse(new, played(), scene(tunnels=(), gone=frozenset(facts))) == ()


def test_what_a_change_is_for_is_not_lost():
    peer = Peer("KEY", "", ("198.18.20.100/32", "192.168.50.0/24"), 0, 0, 0, None)
    assert set(rehearse.going("wg0", [peer], [("198.18.20.100", "dev", "wg0"), ("fd00::7", "dev", "wg0", "table", "7")])) == {
        Fact("route", "wg0", "198.18.20.100"),
        Fact("route", "wg0", "fd00::7 table 7"),
        Fact("peer", "wg0", "KEY"),
        Fact("allowed", "wg0", "198.18.20.100/32"),
        Fact("allowed", "wg0", "192.168.50.0/24"),
    }
    assert rehearse.going("", (), ()) == ()


def test_only_what_comes_later_is_told_by_what_it_comes_with():
    steps = (BOOTED, Step(("ifdown", "br0"), 0, "", "br0", "br0"), Step(("ifup", "br0"), 1, "", "br0", "br0"))
    later = look(*[(device, () if device.name == "br0" else device.addresses) for device in WHOLE.links.values() if device.name != "gretap1"], wireguard=WG0)
    new = played({BOOT: WHOLE, "br0": later}, steps)
    [first, *_] = judge.differs(new, scene(tunnels=()))
    assert first.message == "missing after `ifdown br0; ifup br0`: 192.168.92.1/24", "routes of others go with a bridge on every router"
    # A port that has moved is compared by what the port's own stanza did.
    old = played({BOOT: WHOLE, "enp2s0": later})
    assert judge.worse(new, old, scene(tunnels=())) == ()


def test_a_tunnel_that_does_not_come_and_one_that_waits():
    [problem] = judge.worse(played(without("gretap1")), played(), scene(applied=()))
    assert problem.path == TUNNEL.path and problem.message == "gretap1 is missing at the next boot, and wg0, 192.168.92.1 and br0 are there"
    assert judge.worse(played(without("gretap1")), played(without("gretap1")), scene()) == (), "it did not come before, either"
    waits = played(without("gretap1", without("wg0")))
    assert judge.unmet(waits, scene()) is not None and list(judge.unmet(waits, scene())) == []
    assert list(judge.waiting(waits, scene())) == ["gretap1 waits after the next boot: nothing brings up wg0"]


def test_what_set_up_a_card_has_to_reach_it_still():
    old = played(card=(("enp2s0", "ethtool -K enp2s0 gro off"),), settings={"enp2s0": {"ipv6.accept_ra": "2", "ipv4.proxy_arp": "1"}})
    new = played(card=(("br0", "ethtool -K br0 gro off"),), settings={"br0": {"ipv4.proxy_arp": "1"}})
    assert [problem.message for problem in judge.worse(new, old, scene())] == [
        "enp2s0 gets `ethtool -K enp2s0 gro off` at a boot today, and would no longer get it",
        "ipv6.accept_ra = 2 of enp2s0 is set at a boot today, and would be neither for it nor for br0",
    ]
    assert judge.worse(old, old, scene()) == ()
    assert outcome.card_command(["ethtool", "-K", "br0"], ("enp2s0",)) is None


def test_a_line_that_has_moved_and_failed_before_is_the_same_line():
    old = played(failures=(Failure(Line(1, MAIN, 9, "enp2s0", "up", "ip route add x dev enp2s0"), 2, "no"),))
    new = played(failures=(Failure(Line(4, OURS, 3, "br0", "up", "ip route add x dev br0"), 2, "no"),))
    assert judge.worse(new, old, scene()) == ()
    assert judge.worse(played(without("wg0")), played(look={}), scene(tunnels=())) == (), "today's start came to no end: nobody can compare"
    hung = played(failures=(Failure(Line(4, OURS, 3, "br0", "up", "ip route add x dev br0"), None, ""),), look={})
    [problem] = judge.worse(hung, old, scene())
    assert "it does not come to its end" in problem.message


# The command, and apply's side.


@pytest.fixture
def conf(etc, wireguard):
    (etc / "gretap1.conf").write_text("underlay = wg0\nlocal = 192.168.92.1\nremote = 192.168.178.1\nbridge = br0\n")
    (wireguard / "wg0.conf").write_text("[Interface]\nPostUp = l2wg up %i || :\nListenPort = 1\n")
    return wireguard / "wg0.conf"


def test_todays_start_is_without_what_attach_has_put_in_a_moment_ago(conf):
    found = rehearse.today()
    assert found.texts == {str(conf): "[Interface]\nListenPort = 1\n"}
    assert found.wished == {}


def test_an_own_wire_is_on_the_stage_without_its_networks():
    """They are in a namespace of their own: another interface may have the same, and a route of wg-quick(8)'s be as long."""
    look = rehearse._Look.__new__(rehearse._Look)
    text = "[Interface]\nPrivateKey = x\nAddress = 198.18.0.1/24, fd00:198::1/64\nMTU = 1400\n"
    look.confs = {wg_quick.path("l2w0"): text, wg_quick.path("l2w1"): f"{text}Table = off\n"}
    tunnels = [Tunnel("gretap1", name, "198.18.0.1", "198.18.0.2", "br0", wire="own") for name in ("l2w0", "l2w1", "l2w0")]
    assert list(look._wires(tunnels)) == [
        "link add name l2w0 mtu 1400 type wireguard",
        "address add 198.18.0.1/32 dev l2w0",
        "address add fd00:198::1/128 dev l2w0",
        "link set dev l2w0 up",
    ], "a file that is refused makes none"


def test_where_nothing_can_be_rehearsed_apply_goes_on_and_says_so(conf, monkeypatch, capsys):
    def unavailable(new, old, both=False):
        raise stage.Unavailable("no namespaces are to be had here: Operation not permitted")

    monkeypatch.setattr(rehearse, "compare", unavailable)
    assert rehearse.of_change({}, {}, False) == ()
    assert capsys.readouterr().err == "[l2wg] the next start is not rehearsed: no namespaces are to be had here: Operation not permitted\n"


def test_what_forbids_the_change_ends_with_how_to_go_on(conf, monkeypatch, capsys):
    skipped = (Line(1, MAIN, 3, "br0", "up", "logger x", "logger"),)
    verdict = rehearse.Verdict(judge.differs(played(without("wg0")), scene()), ("a note",), played(skipped=skipped, others=("x", "y")))
    monkeypatch.setattr(rehearse, "compare", lambda new, old, both=False: verdict)
    found = rehearse.of_change({"/x": ""}, {}, False)
    assert found[:-1] == verdict.problems and "--no-rehearsal" in found[-1].hint
    assert capsys.readouterr().err == (
        "[l2wg] rehearsal: a note\n[l2wg] not rehearsed: /etc/network/interfaces:3: up logger x\n"
        "[l2wg] not rehearsed: 2 hooks and methods of others; `l2wg rehearse` lists them\n"
    )


def test_a_wire_of_its_own_is_no_loss_when_its_last_tunnel_goes():
    """It was refused on each router whose next start differs anyhow from what it has now, by an address of SLAAC, say."""
    walled = Tunnel("gretap1", "l2w0", "198.18.0.1", "198.18.0.2", "br0", wire="own")
    assert rehearse.judged({"lo", "br0", "wg0", "l2w0", "gretap1"}, [walled]) == {"br0", "wg0"}
    assert rehearse.judged({"wg0"}, [walled._replace(wire="shared", underlay="wg0")]) == {"wg0"}
