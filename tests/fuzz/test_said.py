"""What commands print, and what lies under /run and /proc: another version, another kernel, a name that somebody chose."""

import json
import re
import time

import cases
import hostile
import pytest
from hostile import FIRM
from hypothesis import given
from hypothesis import strategies as st
from l2wg_hooks.apply import verify
from l2wg_hooks.check import evpn, firewalls, underlay
from l2wg_hooks.config import store, tunnel_file
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.managers import dhcpcd, networkd, networkmanager
from l2wg_hooks.model import Link
from l2wg_hooks.netfilter import nftables_state, trace
from l2wg_hooks.netfilter.trace import Packet
from l2wg_hooks.observe import addresses, fdb_table, frr, link_table, snapshot, wg_interfaces
from l2wg_hooks.plan import address_move, flood_list, planner, policy_routes, restore
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import ip_routes, json_fields, process
from test_text import printable

CORPUS = hostile.corpus()
SHOWN = hostile.texts("golden/links/bookworm-right.json", "golden/links/*.json")
SAVES = hostile.texts("golden/firewalls/*.save", "golden/hostile/*.save")
WALLS = hostile.texts("golden/firewalls/*.json") + [CORPUS["wall.json"]]
DUMP = "priv\tpub\t51820\toff\npeer\t(none)\t192.0.2.1:51820\t10.15.14.1/32,192.168.92.0/24\t1700000000\t100\t200\t25\nother\tpsk\t(none)\t(none)\t0\t0\t0\toff\n"
ROUTES = (
    "default via 192.168.178.1 proto static metric 100 onlink\n192.168.178.0/24 proto kernel scope link src 192.168.178.1 linkdown\n"
    "2001:db8::/64 proto ra expires 100sec pref medium\nnexthop via 1.2.3.4\nlocal 192.168.178.1 table local\n"
)
RULES = json.dumps(
    [
        {"priority": 4789, "src": "192.168.178.1", "dst": "192.168.92.1", "ipproto": "udp", "dport": 4789, "table": policy_routes.Way("192.168.178.1", 4789).table},
        {"priority": 0, "src": "all", "table": "local"},
    ]
)
LO = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536\n    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n"
TABLE = "unreachable default proto kernel metric 4294967295 \n192.168.92.1 dev wg0 proto kernel scope link mtu 1550 \n"
DEFAULT = "default via 192.0.2.1 dev eth0 proto dhcp metric 100 \ndefault metric 9 \n\tnexthop via 192.0.2.3 dev eth1 weight 1 \n"
GET = "192.0.2.1 from 192.0.2.9 via inet6 fe80::1 dev eth0 src 192.0.2.9 uid 0 \n    cache expires 9sec mtu lock 1400 \n"
NEIGHBOUR = json.dumps([{"dst": "192.0.2.1", "dev": "eth0", "lladdr": "52:54:00:00:00:01", "state": ["REACHABLE"]}])
SS = '0 0 192.168.178.1:22 192.168.178.50:50000 users:(("sshd",pid=1,fd=4))\n0 0 [fe80::1%eth0]:22 [fe80::2%eth0]:4 users:(("sshd-session",pid=1,fd=4))\n'

shown = hostile.mutated_json(SHOWN)
TUNNELS = [
    tunnel_file.parse("".join("%s = %s\n" % pair for pair in {**FIRM, **more}.items()), store.path(name), name)[0]
    for name, more in (
        ("gretap1", {"bridge-ports": "enp3s0", "stp": "yes", "link-local": "yes"}),
        ("gt", {}),
        ("vx", {"encapsulation": "vxlan", "mss-clamp": "iptables", "forward": "accept"}),
        ("ip6", {"local": "fd00::1", "remote": "fd00::2", "isolated": "yes"}),
    )
]
assert all(TUNNELS)


def refused(call, *words):
    """What `call` gives, or None where it raises L2wgError, whose problems can be shown."""
    try:
        return call(*words)
    except L2wgError as error:
        assert error.problems
        for problem in error.problems:
            printable(problem)
        return None


def of_ip(text):
    """All that comes of what `ip -json address show` printed: every step and every line of it can be shown and run."""
    found = refused(link_table.parse, text)
    held = refused(addresses.parse, text, {name: ROUTES for name in found} if found else {})
    if found is None:
        return
    for link in found.values():
        # What dev_valid_name says, and what a number is to the kernel.
        assert 0 < len(link.name.encode("utf-8", "surrogateescape")) <= 15 and not set(link.name) & set("/:\0 \t\n\v\f\r")
        assert all(type(number) is int and 0 <= number < 2**32 for number in (link.ifindex, link.mtu, link.pvid, link.group_forward, link.port or 0, link.key or 0))
        assert all(set(word) <= set("0123456789abcdefABCDEF.:/") for word in link.addresses + (link.mac,))
    for layer3 in (held or {}).values():
        assert all(re.match(r"[^\s#;'\"$`\\]+\Z", word) for words in layer3.addresses for word in words[: (words + ("label",)).index("label")])
    steps = ()
    for tunnels in ([tunnel] for tunnel in TUNNELS):
        todo = planner.plan(tunnels, found)
        for problem in todo.problems:
            printable(problem)
        steps += todo.steps
        steps += planner.removal([tunnel.name for tunnel in tunnels], found).steps
    if held is not None:
        here = restore.Snapshot(found, held)
        steps += restore.steps(here, restore.Snapshot({}, {}), list(found)) + restore.steps(restore.Snapshot({}, {}), here, list(found))
        steps += restore.steps(here, restore.Snapshot({name: Link(name, 1) for name in found}, {}), list(found), list(found))
        moves = [address_move.Move(name, "br0", ("192.0.2.1/24",), ()) for name in found]
        steps += address_move.steps(moves, found, held)
    for step in steps:
        # What subprocess takes: text that is bytes, and none of them NUL.
        assert all(isinstance(word, str) and b"\0" not in word.encode("utf-8", "surrogateescape") for word in step.argv), step
        assert step.reason and step.group
        if executor._batches(step):
            # ip(8) takes them apart at blanks, and knows quotes, comments and continued lines.
            line = " ".join(step.argv)
            assert len(line.split()) == len(step.argv) and not set(line) & set("#\"'\\\n;$`"), step


@given(shown)
def test_ip_address_show(text):
    of_ip(text)


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_as_ip_json(name):
    of_ip(CORPUS[name])


def positions(text, *names):
    """Each value of the named interfaces, in turn, one of another kind."""
    found = [entry for entry in json.loads(text) if entry.get("ifname") in names]
    assert len(found) == len(names)
    for path in hostile._paths(found):
        for value in (None, True, -1, 1e400, 2**40, "x y", "a#b", "", [], {}, [None], [[]]):
            yield json.dumps(hostile._replaced(found, path, lambda old, value=value: value))


# What an interface may have at layer 3, all at once.
ALL = json.dumps(
    [
        {
            "ifname": "eth0",
            "ifindex": 9,
            "flags": ["UP"],
            "addr_info": [
                {"family": "inet", "local": "192.0.2.1", "prefixlen": 24, "broadcast": "192.0.2.255", "scope": "site", "label": "eth0:1", "valid_life_time": 9},
                {"family": "inet", "local": "192.0.2.2", "address": "192.0.2.3", "prefixlen": 32, "noprefixroute": True},
                {"family": "inet6", "local": "2001:db8::1", "prefixlen": 64, "scope": "global", "preferred_life_time": 7},
            ],
        }
    ]
)


@pytest.mark.parametrize("name", ["br0", "gretap1", "wg0", "eth0"])
def test_a_wrong_value_at_every_position(name):
    for text in positions(ALL if name == "eth0" else SHOWN[0], name):
        of_ip(text)
        cases.count("test_said.py::test_a_wrong_value_at_every_position")


# dev_valid_name of the kernel: 1 to 15 bytes without '/', ':' and space.
kernel_names = st.binary(min_size=1, max_size=15).filter(lambda raw: not set(raw) & set(b"/:\0 \t\n\v\f\r\xa0") and raw not in (b".", b".."))


@given(kernel_names, st.sampled_from(["alias", "address", "master", "port"]))
def test_no_name_that_the_kernel_takes_is_two_words_to_anybody(raw, what):
    name = raw.decode("utf-8", "surrogateescape")
    entry = {"ifname": name, "ifindex": 7, "mtu": 1500, "flags": ["UP"], "addr_info": [{"family": "inet", "local": "192.0.2.1", "prefixlen": 24, "label": name}]}
    if what == "alias":
        entry.update(ifalias="l2wg", linkinfo={"info_kind": "gretap"})
    # iproute2 prints the bytes as they are, but for a quotation mark and a backslash.
    text = json.dumps([entry, {"ifname": "port0", "ifindex": 8, "master": name}]).replace(json.dumps(name), '"%s"' % name.replace("\\", "\\\\").replace('"', '\\"'))
    assert set(refused(link_table.parse, text)) == {name, "port0"}
    of_ip(text)


@given(st.one_of(hostile.mutated([ROUTES]), hostile.anything))
def test_ip_route_show(text):
    found = addresses.parse('[{"ifname": "eth0", "ifindex": 1}]', {"eth0": text})["eth0"]
    assert all(word and word == "".join(word.split()) for route in found.routes for word in route)


# As iproute2 6.1 lists a VXLAN's own table, asked for all devices and for one.
FDB = [
    {"mac": "00:00:00:00:00:00", "ifname": "vx", "dst": "10.9.0.2", "flags": ["self"], "state": "permanent"},
    {"mac": "00:00:00:00:00:00", "ifname": "vx", "dst": "10.9.0.9", "port": 8472, "vni": 9, "viaIf": "eth0", "flags": ["self"], "state": "permanent"},
    {"mac": "52:54:00:00:00:06", "ifname": "vx", "dst": "fd00::9", "flags": ["self"], "state": ""},
    {"mac": "52:54:00:00:00:05", "ifname": "vx", "master": "br0", "state": ""},
]
SEVERAL = tunnel_file.parse("underlay = wg0\nlocal = 10.9.0.1\nremote = 10.9.0.2 10.9.0.3\nbridge = br0\nencapsulation = vxlan\n", store.path("vx"), "vx")[0]
fdbs = [json.dumps(FDB), json.dumps([{key: value for key, value in row.items() if key != "ifname"} for row in FDB])]


@given(st.one_of(hostile.mutated_json(fdbs), hostile.mutated(fdbs), hostile.anything), st.sampled_from(["", "vx"]))
def test_bridge_fdb_show(text, only):
    found = fdb_table.Destinations({"vx": frozenset(SEVERAL.remotes)}, only)
    found.take(text)
    for step in flood_list.steps(SEVERAL, (found.found() or {}).get("vx", ())):
        assert step.argv[:2] == ("bridge", "fdb") and step.argv[2] in ("append", "delete") and step.argv[4:6] == ("dev", "vx")
        line = " ".join(step.argv)
        assert not executor._batches(step) or (len(line.split()) == len(step.argv) and not set(line) & set("#\"'\\\n;$`")), step
        assert re.match(r"[0-9a-f:]{17}\Z", step.argv[3]) and re.match(r"[0-9a-f.:]+\Z", step.argv[7])


BY_BGP = tunnel_file.parse("underlay = wg0\nlocal = 198.18.0.1\nremote = 198.18.0.0/15\nbridge = br0\nencapsulation = vxlan\ncontrol = evpn\n", store.path("vx"), "vx")[0]
FRR = {name: hostile.texts(f"golden/frr/{name}.json")[0] for name in ("vnis", "summary", "routes")}


@given(
    *(st.one_of(st.just(text), hostile.mutated_json([text]), hostile.mutated([text]), hostile.anything) for text in FRR.values()),
    st.one_of(hostile.mutated(hostile.texts("golden/frr/running-config")), hostile.anything),
)
def test_what_frr_says(vnis, summary, routes, config):
    try:
        found = evpn.Answers(frr.read(frr.vnis, vnis), frr.read(frr.summary, summary), frr.read(frr.originators, routes), frr.listen_limit(config))
    except frr.Unanswered as error:
        assert str(error).isprintable()
        return
    for problem in evpn.judge((BY_BGP._replace(remotes=("198.18.0.9",)),), found, ("vx",)):
        printable(problem)
        assert problem.id and problem.hint and problem.path
        assert not set(problem.hint) & set("`$|<>\n"), "to be pasted"


@given(st.one_of(hostile.mutated([DUMP, CORPUS["peers.dump"]]), hostile.anything))
def test_wg_show_dump(text):
    found = wg_interfaces.parse(text)
    assert found is None or all(peer.handshake >= 0 and peer.received >= 0 for peer in found.peers)


@pytest.mark.parametrize("old, new", [("1700000000", "-1"), ("1700000000", "\u0663"), ("51820\t", "1e3\t"), ("\t25", "\t2 5"), ("\t100", "\t" + "9" * 5000), ("\t", " ")])
def test_wg_show_dump_with_no_numbers_is_none(old, new):
    assert wg_interfaces.parse(DUMP) and wg_interfaces.parse(DUMP.replace(old, new)) is None


PACKETS = [
    Packet("input", 4, "wg0", None, "192.168.92.1", "192.168.178.1", "gre", None),
    Packet("input", 6, "wg0", None, "fd00::2", "fd00::1", "udp", 4789),
    Packet("forward", 4, "br0", "br0", protocol="tcp", port=9),
]


def walked(filter_of, read):
    for packet in PACKETS:
        for base in trace.drops(filter_of(read, packet)):
            assert isinstance(base.where, str) and isinstance(base.table, str)


@given(st.one_of(hostile.mutated(SAVES), hostile.anything))
def test_iptables_save(text):
    walked(trace.xtables, trace.saved(text))


@given(hostile.mutated_json(WALLS))
def test_nft_list_ruleset(text):
    walked(trace.nft, trace.listing(text))


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_file_of_the_corpus_as_a_firewall(name):
    walked(trace.xtables, trace.saved(CORPUS[name]))
    walked(trace.nft, trace.listing(CORPUS[name]))


@given(st.one_of(hostile.mutated(["interface eth0\ndenyinterfaces gretap* br[0-9]\nallowinterfaces en*, wg0\n"]), hostile.anything), hostile.junk)
def test_dhcpcd_conf(text, name):
    assert dhcpcd.takes(text, name) in (True, False)


@given(st.one_of(hostile.mutated([ROUTES, TABLE, DEFAULT, GET]), hostile.anything))
def test_routes(text):
    try:
        found = ip_routes.read(text)
    except json_fields.Unfit as error:
        printable(Problem(str(error), "is ip that of iproute2?"))
        return
    for route in found:
        assert re.match(r"(default|[0-9A-Fa-f:./]+)\Z", route["dst"]) and route.get("type", "unicast") in ip_routes.TYPES
        assert all(re.match(r"[0-9A-Fa-f:.]+\Z", route[key]) for key in ("gateway", "prefsrc") if key in route)
        assert "dev" not in route or 0 < len(route["dev"].encode("utf-8", "surrogateescape")) <= 15
        assert all(type(metric["mtu"]) is int for metric in route.get("metrics", []))


# All of them at once: whole events and a whole `l2wg check` on a machine whose tools have gone mad.

ANSWERS = {
    "ip -json -details": SHOWN[0],
    "ip -json -4 rule": RULES,
    "ip -json -6 rule": RULES.replace("192.168.178.1", "fd00::1").replace("192.168.92.1", "fd00::2"),
    "ip -4 -force -batch": TABLE,
    "ip -6 -force -batch": TABLE,
    "ip -force -batch": GET,
    "ip -4 route": ROUTES,
    "ip -6 route": ROUTES,
    "ip -4 route show default": DEFAULT,
    "ip -6 route show default": DEFAULT,
    "ip -json neighbour": NEIGHBOUR,
    "iptables-save": SAVES[0],
    "ip6tables-save": SAVES[0],
    "nft -j": WALLS[0],
    "nft list": 'counter packets 7 bytes 1 drop comment "loop gretap1"\n',
    "nft -s list": "table inet l2wg {\n}\n",
    "nmcli": "gretap1:connected\nbr0:unmanaged\n",
    "networkctl": "1 lo loopback carrier unmanaged\n2 gretap1 ether routable configured\n",
    "wg show wg0 dump": DUMP,
    "ss": SS,
    "firewall-cmd": "public\n",
}
JSON = [key for key in ANSWERS if "-json" in key or "-j" in key]


@pytest.fixture
def mad(monkeypatch):
    """Every command answers with what is in the dictionary, the longest that its words start with."""
    answers = {}

    def ran(argv, stdin="", environment=()):
        line = " ".join(argv)
        keys = [key for key in answers if line.startswith(key)]
        out = answers[max(keys, key=len)] if keys else ""
        if "-batch" in argv:
            out = "".join(LO if asked == "link show dev lo" else out for asked in stdin.splitlines())
        return process.Result(0, out, "")

    monkeypatch.setattr(process, "run", ran)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(loop_probe, "send", lambda tunnels, links: None)
    monkeypatch.setattr(verify, "_nudge", lambda address, device="": None)
    monkeypatch.setattr(verify, "PATIENCE", -1)
    monkeypatch.setattr(networkmanager, "_marked", lambda name: True)
    monkeypatch.setattr(networkd.glob, "glob", lambda pattern: ["1"])
    return answers


def strange(data):
    """ANSWERS, but for one to three of them."""
    answers = dict(ANSWERS)
    for key in data.draw(st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=3, unique=True)):
        seed = [ANSWERS[key]] + ([CORPUS["bare-address.json"], CORPUS["names.json"]] if key in JSON[:1] else [])
        answers[key] = data.draw(hostile.mutated_json(seed) if key in JSON else hostile.mutated(seed))
    return answers


def test_an_event_and_a_check_where_tools_print_anything(mad):
    @given(st.data())
    def holds(data):
        mad.clear()
        mad.update(strange(data))
        here = refused(link_table.read)
        found = refused(snapshot.look, TUNNELS, here or {})
        if found is not None and here is not None:
            refused(planner.plan, TUNNELS, here, (), (), found)
            refused(planner.removal, ["gretap1"], here, found)
            for problem in refused(firewalls.problems, TUNNELS, here) or ():
                printable(problem)
            health = refused(verify.look, TUNNELS, here)
            if health is not None:
                refused(verify.compare, health, TUNNELS)
            interface = wg_interfaces.look("wg0")
            problem = underlay.uncovered(TUNNELS[0], *TUNNELS[0].ends(), interface) if interface else None
            if problem:
                printable(problem)
        nftables_state.counters()
        networkd.networkd(["gretap1"])
        networkmanager.managed(["gretap1"])

    cases.counted_inside(holds, "test_said.py::test_an_event_and_a_check_where_tools_print_anything")()


def test_the_tools_are_asked_at_all(mad):
    """What ANSWERS says is what the modules ask for: as it stands, it makes a router that has much to tell."""
    mad.update(ANSWERS)
    found = snapshot.look(TUNNELS, {})
    assert found.ways.rules and found.managed == {"gretap1"}
    here = link_table.read()
    assert "wg0" in here and wg_interfaces.parse(DUMP)
    assert wg_interfaces.look("wg0").peers[0].allowed == ("10.15.14.1/32", "192.168.92.0/24") and nftables_state.counters() == {("loop", "gretap1"): 7}
    mad["wg show wg0 dump"] = DUMP.replace("10.15.14.1/32", "nonsense/99,1.2.3.4/33,/")
    assert underlay.uncovered(TUNNELS[0], *TUNNELS[0].ends(), wg_interfaces.look("wg0")) is None, "what is no network covers nothing, and hurts nobody"
    health = verify.look(TUNNELS, here)
    assert health.gateways and [way.reason for way in health.ways if "login" in way.reason]
