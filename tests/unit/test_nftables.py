"""The rule set as text, and when the plan loads it."""

import json

import pytest
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


def test_no_line_depends_on_another_tunnel_but_the_guards():
    """Each tunnel's chains have its number; a name never becomes an identifier, which may not have '-' or '.'."""
    text = nftables.render([nftables.entry(ONE), nftables.entry(ALL)])
    named = [line for line in text.splitlines() if "site-b.2" in line]
    assert named and all('"' in line.partition("site-b.2")[0] for line in named)
    for chain in ("loop", "both", "from", "to", "mss", "storm"):
        assert "chain %s_2 {" % chain in text
    assert "storm_1" not in text and "here_1" not in text


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
    assert len(defined) == 10
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
