"""The rule set as text, and when the plan loads it."""

import json
import re

import jinja2
import pytest
from l2wg_hooks import templates
from l2wg_hooks.config import tunnel_file
from l2wg_hooks.model import Link, Observed, PolicyRoutes, Rules, Tables, Tunnel
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.plan import policy_routes
from l2wg_hooks.plan.planner import GUARD, plan, removal

pytestmark = pytest.mark.usefixtures("real_names")

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", path="/etc/l2wg/gretap1.conf")
TWO = Tunnel("gretap2", "wg0", "192.168.178.1", "10.0.0.1", "br0", path="/etc/l2wg/gretap2.conf")
ALL = Tunnel(
    "site-b.2", "wg0", "fd00::1", "fd00::2", "br0",
    key=7, mtu=1400, dhcp="block", vlans="untagged,10,20,15-30", isolated=True, storm_limit=100, link_local=True,
)  # fmt: skip
VX4 = Tunnel("vx4", "wg0", "192.168.178.1", "192.168.92.1", "br0", encapsulation="vxlan", mss_clamp="off")
VX6 = Tunnel("vx6", "wg0", "fd00::1", "fd00::2", "br0", encapsulation="vxlan", key=9, vlans="10", mss_clamp="iptables")
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420)
WG1 = Link("wg1", 7, "wireguard", up=True, mtu=1412)
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
LAN = Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24", "fd00::1/64"))


def but(wish, **changes):
    return wish._replace(**changes)


# Each a file in tests/golden/rules: what nft(8) reads, with the definitions in place of the `include`.
GOLDEN = {
    "reference": [ONE],
    "everything-on": [ALL],
    "vxlan": [VX4, VX6],
    "hub": [ONE, but(ONE, name="gretap2", key=2), but(TWO, name="gretap3"), VX4],
    "two-underlays": [ONE, but(ONE, name="gretap2", underlay="wg1", key=2, vlans="untagged")],
}


def of(*found):
    return {link.name: link for link in (LAN,) + found}


LINKS = of(WG0, WG1, BR0)


def there(tunnel, **more):
    """The link of a tunnel that is right."""
    gretap = tunnel.kind == "gretap"
    return Link(
        tunnel.name, 9, tunnel.kind, up=True, mtu=tunnel.mtu, mac=tunnel.mac, master=tunnel.bridge, alias="l2wg",
        local=tunnel.local, remote=tunnel.remote, underlay="" if tunnel.kind == "vxlan" else tunnel.underlay, key=tunnel.number,
        pmtudisc=not gretap, ignore_df=gretap, port=4789 if tunnel.kind == "vxlan" else None, ttl=64, **more
    )  # fmt: skip


def rules(*tunnels, links=LINKS, **more):
    """The Rules of these tunnels, as they come back from a file of JSON."""
    entries = [nftables.entry(tunnel) for tunnel in tunnels]
    values = {tunnel.name: nftables.value(tunnel, links) for tunnel in tunnels}
    return Rules(json.loads(json.dumps(entries)), json.loads(json.dumps(values)), **more)


def steps(tunnels, found, old=Rules(), **more):
    return [str(step) for step in plan(tunnels, found, seen=Observed(old), **more).steps]


LOAD = "nft -f /run/l2wg.nft"


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_rule_set_is_the_golden_one(golden, name):
    wanted = rules(*GOLDEN[name])
    text = nftables.load(wanted.entries, wanted.values)
    include = 'include "/var/lib/l2wg/rules.nft"\n'
    assert text.endswith(include)
    assert text.replace(include, nftables.render(wanted.entries)) == (golden / "rules" / (name + ".nft")).read_text()


def test_each_rule_set_is_the_whole_truth():
    """Another table of ours is never added to; and what is loaded for no tunnel leaves no table."""
    assert nftables.render([nftables.entry(ONE)]).splitlines()[1:5] == nftables.EMPTY.splitlines()
    assert nftables.EMPTY == "add table inet l2wg\ndelete table inet l2wg\nadd table bridge l2wg\ndelete table bridge l2wg\n"


def test_a_name_is_a_word_in_quotes_or_behind_a_dash():
    """Never an identifier of its own, which may not begin with a digit, nor be a word of nft(8)'s."""
    text = nftables.render([nftables.entry(ONE), nftables.entry(ALL)])
    named = [line.strip() for line in text.splitlines() if "site-b.2" in re.sub(r'"[^"]*"', "", line)]
    assert named == [f"counter {word}-site-b.2 {{ }}" for word in ("loop", "vlans", "dhcp")]


def test_a_template_is_compiled_once_a_process(monkeypatch):
    """`apply` asks nft(8) about the rules, and stores them: to compile took as long as ten commands."""
    compiled = []
    compile_ = jinja2.Environment.compile
    monkeypatch.setattr(jinja2.Environment, "compile", lambda *arguments: compiled.append(1) or compile_(*arguments))
    templates._environment.cache_clear()
    for tunnel in (ONE, TWO, ONE):
        nftables.render([nftables.entry(tunnel)])
    assert len(compiled) == 1


def many(count, **changes):
    """So many tunnels, one to each far end; of `changes` a function is called with the number of the tunnel."""
    found = []
    for number in range(count):
        own = {key: value(number) if callable(value) else value for key, value in changes.items()}
        found.append(but(ONE, **dict({"name": "gt%d" % number, "remote": "10.0.%d.%d" % (number // 250, number % 250 + 1)}, **own)))
    return found


def passed(text):
    """{hook: rules} that a packet or frame passes there at most, wherever verdict maps and jumps may lead it."""
    chains = {name: body.splitlines() for name, body in re.findall(r"\tchain (\S+) \{\n(.*?)\t\}\n", text, re.DOTALL)}

    def most(chain):
        found = 0
        for line in chains[chain]:
            if line.split()[0] not in ("type", "#"):
                found += 1 + max([most(target) for target in re.findall(r"jump ([^\s,]+)", line)], default=0)
        return found

    return {name: most(name) for name, lines in chains.items() if lines and lines[0].split()[0] == "type"}


KINDS = {
    "gretap": {},
    "with a key": {"key": lambda number: number},
    "vxlan": {"encapsulation": "vxlan", "key": lambda number: number + 1},
    "vxlan between the same ends": {"encapsulation": "vxlan", "key": lambda number: number + 1, "remote": "10.0.0.1"},
    "IPv6": {"local": "fd00::1", "remote": lambda number: "fd00::1:%x" % number},
    "a bridge each": {"bridge": "br{}".format},
    "an underlay each": {"underlay": "wg{}".format},
    "an address each": {"local": lambda number: "10.9.%d.%d" % (number // 250, number % 250 + 1)},
    "an own wire": {"wire": "own", "underlay": "l2w0"},
    "clamped by iptables": {"mss_clamp": "iptables"},
    "fenced": {"dhcp": "block", "vlans": "untagged,10"},
    "fenced in its own way": {"vlans": lambda number: "%d" % (number + 1)},
    "limited": {"storm_limit": 100},
    "all of it": {"dhcp": "block", "vlans": "10", "storm_limit": lambda number: number + 1, "isolated": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_passes_as_many_rules_whatever_the_number_of_tunnels(kind):
    two, hundred = (passed(nftables.render([nftables.entry(tunnel) for tunnel in many(count, **KINDS[kind])])) for count in (2, 100))
    assert two == hundred and two["arrives"]
    # Alone on its bridge it need not tell where the others' stations are.
    alone = passed(nftables.render([nftables.entry(tunnel) for tunnel in many(1, **KINDS[kind])]))
    assert alone == two or "limited" in kind or kind == "all of it"


def test_a_frame_of_a_bridge_without_a_tunnel_passes_no_more_than_the_hooks():
    text = nftables.render([nftables.entry(tunnel) for tunnel in many(20, dhcp="block")])
    chains = nftables.shape(text)
    assert (chains["bridge", "arrives"], chains["bridge", "leaves"]) == (3, 2)


@pytest.mark.parametrize("kind, most", [("gretap", 7), ("vxlan", 13), ("an underlay each", 20), ("clamped by iptables", 6), ("an own wire", 2)])
def test_what_a_tunnel_adds(kind, most):
    """nft(8), and the kernel, take their time with each element of a set: of 12, a thousand GRE tunnels took twice as long."""

    def elements(count):
        text = nftables.render([nftables.entry(tunnel) for tunnel in many(count, **KINDS[kind])])
        lists = re.findall(r"(?<!counter )\S+ \{ ([^}]+) \}", re.sub(r"\s+", " ", text))
        return sum(found.count(",") + 1 for found in lists if found.strip())

    assert elements(100) - elements(99) == most


def test_over_one_wireguard_interface_its_name_will_do():
    """A usual packet of a tunnel is looked up in one set as it comes, and in two as it goes."""
    one = nftables.render([nftables.entry(tunnel) for tunnel in many(2)])
    two = nftables.render([nftables.entry(tunnel) for tunnel in many(2, underlay="wg{}".format)])

    def looked_up(text, chain):
        return re.search(r"\tchain %s \{\n(.*?)\t\}" % chain, text, re.DOTALL).group(1)

    for chain, word in (("stateless_in", "iifname"), ("from_outside", "iifname"), ("to_outside", "oifname")):
        assert f". {word} " in looked_up(two, chain)
        assert f". {word} " not in looked_up(one, chain) and '"wg0"' in looked_up(one, chain)
    # The tunnel's own packets end there, and only others are looked for among all.
    first, second = looked_up(one, "forged_late").splitlines()[1:]
    assert first.endswith("} accept") and '. "gt0", ' in first and second.endswith("drop") and "@gretap_v4" in second


def test_a_chain_of_the_clamp_has_all_tunnels_of_one_mss():
    tunnels = [ONE, TWO, but(TWO, name="small", mtu=1300), but(TWO, name="keyed", key=1), but(TWO, name="wg1", underlay="wg1"), ALL, VX4]
    wanted = rules(*tunnels)
    text = nftables.load(wanted.entries, wanted.values) + nftables.render(wanted.entries)
    assert text.count("chain mss_") == 5
    of_tunnel = dict(re.findall(r'"(\S+)" : jump mss_(\d+)', text))
    assert of_tunnel["gretap1"] == of_tunnel["gretap2"] and set(of_tunnel) == {tunnel.name for tunnel in tunnels} - {"vx4"}
    for name, number in of_tunnel.items():
        for key in ("mss4", "mss6", "tagged4", "tagged6"):
            assert "define %s_%s = %d\n" % (key, number, wanted.values[name][key]) in text


def test_of_values_of_different_moments_the_smallest_mss_counts():
    """A tunnel whose file cannot be read has those of the moment when it could."""
    wanted = rules(ONE, TWO)
    wanted.values["gretap2"]["mss4"] = 1000
    assert "define mss4_1 = 1000\n" in nftables.load(wanted.entries, wanted.values)


def test_two_tunnels_with_one_ethernet_address_are_one_element():
    """Addresses are sums of 32 bits: two elements of a map with one key are refused, and then there would be no guard."""
    entries = [dict(nftables.entry(tunnel), mac="fe:ff:00:00:00:01") for tunnel in (ONE, TWO)]
    text = nftables.render(entries)
    assert text.count('fe:ff:00:00:00:01 : "loop-gretap1"') == 1 and "loop-gretap2" not in text
    other = nftables.render([entries[0], dict(entries[1], bridge="br1")])
    assert "loop-gretap2" in other


def test_a_number_that_two_files_have_is_looked_up_once():
    """One of them cannot be read any more; a map with one key twice would be refused."""
    entries = [nftables.entry(VX4), dict(nftables.entry(VX4), name="copy", ends=[["192.168.178.1", "10.0.0.9"]])]
    text = nftables.render(entries)
    assert "vmap { 1 : jump vxlan_4789_v4_1 }" in text
    assert '{ 192.168.178.1 . 192.168.92.1 . "wg0", 192.168.178.1 . 10.0.0.9 . "wg0" } accept' in text


def test_a_packet_passes_as_many_rules_whatever_the_number_of_far_ends():
    """Of one tunnel, which no file can have yet."""
    few, most = (passed(nftables.render([dict(nftables.entry(VX4), ends=[["10.9.0.1", "10.9.1.%d" % number] for number in range(count)])])) for count in (1, 200))
    assert few == most


def test_the_log_names_a_few_tunnels():
    for count, said in ((1, "(gt0)"), (3, "(gt0, gt1, gt2)"), (4, "(gt0 and 3 more)"), (40, "(gt0 and 39 more)")):
        text = nftables.render([nftables.entry(tunnel) for tunnel in many(count)])
        assert "own frame of br0 %s came back: " % said in text
    longest = many(3, name="a23456789012{:03d}".format, bridge="b23456789012345")
    prefix = re.search(r'prefix "(l2wg: loop[^"]*)"', nftables.render([nftables.entry(tunnel) for tunnel in longest])).group(1)
    assert len(prefix) < 128  # NF_LOG_PREFIXLEN


@pytest.mark.parametrize("clamp, there", [("nftables", True), ("iptables", False), ("off", False)])
def test_the_clamp_is_where_it_is_wished_for(clamp, there):
    assert ("maxseg size set" in nftables.render([nftables.entry(but(ONE, mss_clamp=clamp))])) == there


@pytest.mark.parametrize(
    "vlans, wanted, untagged",
    [
        ("all", None, True),
        ("untagged", ["0"], True),
        ("10", ["10"], False),
        ("20,10", ["10", "20"], False),
        ("10,untagged,20", ["0", "10", "20"], True),
        ("10-12,12-20", ["10-20"], False),
        ("10-12,13", ["10-13"], False),
        ("10-12,14", ["10-12", "14"], False),
        ("10-40,20-30,41", ["10-41"], False),
        ("5,5", ["5"], False),
        ("untagged,1-9,4094", ["0-9", "4094"], True),
    ],
)
def test_vlans_are_ranges_that_do_not_touch(vlans, wanted, untagged):
    entry = nftables.entry(but(ONE, vlans=vlans))
    assert (entry["vlans"], entry["untagged"]) == (wanted, untagged)


def test_a_list_of_vlans_may_have_spaces():
    text = "underlay = wg0\nlocal = 10.0.0.1\nremote = 10.0.0.2\nbridge = br0\nvlans = 30 , untagged,\t10-20\n"
    entry = nftables.entry(tunnel_file.parse(text, "/t", "t")[0])
    assert (entry["vlans"], entry["untagged"]) == (["0", "10-20", "30"], True)


def test_what_the_rules_depend_on_survives_json():
    old = rules(ONE, ALL, VX4, VX6)
    assert (old.entries[1], old.values["vx6"]) == (nftables.entry(ALL), nftables.value(VX6, LINKS))


@pytest.mark.parametrize(
    "links, wanted",
    [
        ({}, (1342, 1322, 1338, 1318, ONE.mac)),
        ({"wg0": but(WG0, mtu=1280)}, (1202, 1182, 1198, 1178, ONE.mac)),
        ({"wg0": WG0, "br0": BR0}, (1342, 1322, 1338, 1318, BR0.mac)),
        ({"wg0": but(WG0, mtu=9000), "br0": BR0}, (1460, 1440, 1460, 1440, BR0.mac)),
        ({"wg0": but(WG0, mtu=354), "br0": BR0}, (276, 256, 272, 256, BR0.mac)),
        ({"br0": Link("br0", 6, "wireguard")}, (1342, 1322, 1338, 1318, ONE.mac)),  # it has no Ethernet address
        ({"br0": Link("br0", 6, "sit", mac="0.0.0.0")}, (1342, 1322, 1338, 1318, ONE.mac)),
    ],
)
def test_what_depends_on_the_moment(links, wanted):
    assert nftables.value(ONE, links) == dict(zip(("mss4", "mss6", "tagged4", "tagged6", "bridge"), wanted))


def test_the_file_that_is_loaded_defines_what_the_rules_name():
    wanted = rules(ONE, ALL)
    head = nftables.load(wanted.entries, wanted.values).splitlines()
    assert head[:2] == ["define bridge_1 = 52:54:00:00:00:01", "define mss4_1 = 1342"]
    defined = {line.split()[1] for line in head[:-1]}
    assert len(defined) == 9
    used = [word.rstrip(",") for word in nftables.render(wanted.entries).split() if word.startswith("$")]
    assert used and {word[1:] for word in used} <= defined


# The plan: when it loads, and in which order.


def test_first_what_must_not_be_then_the_guard_and_then_what_it_guards():
    dead = there(but(TWO, name="old"))
    found = steps([ONE, TWO], of(WG0, BR0, there(but(TWO, remote="10.0.0.9")), dead))
    assert found[:3] == ["ip link delete dev old", "ip link delete dev gretap2", LOAD]
    assert [step.split()[2] for step in found[3:]] == ["add", "set", "set", "set"] * 2


def test_what_a_load_brings_into_force_is_in_the_plan():
    result = plan([ONE, TWO], LINKS)
    assert result.rules == rules(ONE, TWO)
    (step,) = [step for step in result.steps if step.group == GUARD]
    assert (str(step), step.reason) == (LOAD, "guard, clamp and fences of gretap1, gretap2")


def test_nothing_is_loaded_when_it_is_in_force():
    result = plan([ONE, VX4], of(WG0, BR0, there(ONE), there(VX4)), seen=Observed(rules(ONE, VX4)))
    assert (result.steps, result.rules) == ((), None)


def test_nothing_is_loaded_before_there_is_a_tunnel():
    assert steps([ONE], of(BR0)) == []
    assert LOAD in steps([ONE], of(WG0))
    assert LOAD in steps([ONE], of(BR0, WG0))


@pytest.mark.parametrize(
    "links, tunnel, reason",
    [
        (of(but(WG0, mtu=1412), BR0), ONE, "the underlay's MTU or the bridge's address has changed"),
        (of(WG0, but(BR0, mac="02:00:00:00:00:01")), ONE, "the underlay's MTU or the bridge's address has changed"),
        (of(WG0, BR0), but(ONE, storm_limit=5), "guard, clamp and fences of gretap1"),
        (of(WG0, BR0), but(ONE, mss_clamp="off"), "guard, clamp and fences of gretap1"),
    ],
)
def test_what_changes_is_loaded_and_the_tunnel_stays(links, tunnel, reason):
    (step,) = plan([tunnel], dict(links, gretap1=there(ONE)), seen=Observed(rules(ONE))).steps
    assert (str(step), step.reason, step.group) == (LOAD, reason, GUARD)


def test_what_somebody_has_flushed_comes_back():
    (step,) = plan([ONE], of(WG0, BR0, there(ONE)), seen=Observed(rules(ONE, intact=False))).steps
    assert (str(step), step.reason) == (LOAD, "the tables l2wg are not as this version of l2wg loads them")


def test_a_tunnel_that_nobody_has_guarded_is_guarded():
    """That of an older version; and one made by hand under a wished name."""
    assert steps([ONE], of(WG0, BR0, there(ONE))) == [LOAD]
    by_hand = but(there(ONE), alias="")
    assert steps([ONE], of(WG0, BR0, by_hand)) == [LOAD, "ip link set dev gretap1 alias l2wg"]
    assert steps([ONE], of(BR0, Link("gretap1", 9, "dummy"))) == []


@pytest.mark.parametrize("tunnels, links", [([], of(WG0, BR0, there(ONE))), ([ONE], of(BR0, there(ONE)))])
def test_the_rules_go_with_the_last_tunnel_and_after_it(tunnels, links):
    result = plan(tunnels, links, seen=Observed(rules(ONE)))
    assert [str(step) for step in result.steps] == ["ip link delete dev gretap1", LOAD]
    assert result.steps[1].reason == "the last tunnel goes"
    assert result.rules == Rules()


def test_the_rules_stay_while_one_tunnel_is_left():
    """Those of the other, too, while its file is there: it comes back with the next event."""
    other = but(TWO, underlay="wg1")
    found = of(WG0, BR0, there(ONE), there(other))
    both = rules(ONE, other, links=found)
    assert steps([ONE, other], found, both) == ["ip link delete dev gretap2"]
    assert steps([ONE], found, both) == ["ip link delete dev gretap2", LOAD]


def test_a_tunnel_whose_file_is_broken_keeps_its_rules():
    old = rules(ONE, TWO)
    found = of(but(WG0, mtu=1412), BR0, there(ONE), there(TWO))
    result = plan([ONE], found, broken=("gretap2",), seen=Observed(old))
    assert [str(step) for step in result.steps] == [LOAD]
    assert result.rules == Rules(old.entries, {"gretap1": nftables.value(ONE, found), "gretap2": old.values["gretap2"]})
    # Both are broken: nothing changes.
    assert steps([], found, old, broken=("gretap1", "gretap2")) == []
    # It has never had any.
    assert plan([ONE], found, broken=("gretap2",), seen=Observed()).rules.entries == [nftables.entry(ONE)]


def test_all_tunnels_of_a_bridge_have_its_address_of_this_moment():
    """Theirs too whose file is broken: it is one rule for all."""
    old = rules(ONE, TWO)
    found = of(WG0, but(BR0, mac="02:00:00:00:00:07"), there(ONE), there(TWO))
    wanted = plan([TWO], found, broken=("gretap1",), seen=Observed(old)).rules
    assert {value["bridge"] for value in wanted.values.values()} == {"02:00:00:00:00:07"}
    assert "define bridge_1 = 02:00:00:00:00:07\n" in nftables.load(wanted.entries, wanted.values)


def test_rules_of_a_broken_file_stay_in_their_place():
    """Else the same rules would be loaded in another order, and again when the file is mended."""
    found, old = of(WG0, BR0, there(ONE), there(TWO)), rules(ONE, TWO)
    assert steps([TWO], found, old, broken=("gretap1",)) == []


def test_removal_takes_the_rules_after_the_tunnels():
    result = removal(["gretap1"], of(WG0, BR0, there(ONE)), Observed(rules(ONE)))
    assert [str(step) for step in result.steps] == ["ip link delete dev gretap1", LOAD]
    assert result.rules == Rules()
    assert removal([], LINKS, Observed(rules(ONE, intact=False))).rules == Rules()


def test_removal_takes_ways_and_the_iptables_chain_last():
    (table,) = policy_routes.tables(VX4)
    rule = {"priority": 4789, "src": VX4.local, "ipproto": "udp", "dport": 4789, "table": table}
    lines = (":l2wg - [0:0]", "-A FORWARD -j l2wg")
    seen = Observed(rules(VX4), PolicyRoutes({table: [rule]}, {}), Tables(lines, lines, True))
    found = [str(step) for step in removal(["vx4"], of(WG0, BR0, there(VX4)), seen).steps]
    assert [step.partition(" ")[0] for step in found] == ["ip", "nft", "ip"] + ["iptables"] * 3 + ["ip6tables"] * 3
    assert found[2].startswith("ip rule del ")


def test_where_nothing_of_ours_is_nothing_is_removed():
    result = removal(["gretap1"], LINKS, Observed())
    assert (result.steps, result.rules) == ((), None)
