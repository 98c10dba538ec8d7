"""What a bridge of ours is as an interface of the router: nothing, unless it has an address."""

import pytest
from l2wg_hooks.apply import rollback, saved_state
from l2wg_hooks.config import bridge_switches, ifupdown, ifupdown_bridge
from l2wg_hooks.model import Link, Observed, Rules, Switches, Tunnel
from l2wg_hooks.observe import snapshot
from l2wg_hooks.observe.link_table import parse
from l2wg_hooks.plan import planner
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import json_fields

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", bridge_ports=("enp3s0",))
BR0 = Link("br0", 6, "bridge", up=True)
# What Debian's kernels make of a new interface.
NEW = {switch: "1" if switch.endswith("/accept_ra") else "0" for switch in dict(bridge_switches.SILENT, **bridge_switches.OWN)}
QUIET = dict(NEW, **{switch: values[0] for switch, values in bridge_switches.SILENT.items()})
ALL = "sysctl -qw net/ipv4/conf/br0/arp_ignore=1 net/ipv4/conf/br0/rp_filter=1 net/ipv6/conf/br0/accept_ra=0 net/ipv6/conf/br0/disable_ipv6=1"


def ours(tunnel=TUNNEL, defined=ifupdown.Defined((), ()), moving=()):
    return ifupdown_bridge.render(ifupdown_bridge.ours([tunnel], defined, moving))


def found(now, wanted=bridge_switches.SILENT, link=BR0, leaving=()):
    return [" ".join(argv) for _, argv, _ in bridge_switches.changes({"br0": Switches(wanted, now)}, {"br0": link}, leaving)]


def test_what_our_file_says_at_boot_holds_ever_after():
    assert bridge_switches.wanted(ours()) == {"br0": bridge_switches.SILENT}
    assert bridge_switches.wanted(ours(TUNNEL._replace(bridge_address="10.0.0.1/8"))) == {"br0": bridge_switches.OWN}
    stanzas = tuple(ifupdown.parse("iface enp3s0 inet static\n    address 10.0.0.1/8\n", "/etc/network/interfaces")[0])
    assert bridge_switches.wanted(ours(defined=ifupdown.Defined(stanzas, ()), moving=["enp3s0"])) == {}, "what was a port's LAN stays as it was"
    assert bridge_switches.wanted("") == bridge_switches.wanted("iface\niface br0 inet manual\n    pre-up sysctl -qew net/ipv4/conf/$IFACE/rp_filter=1 || true\n") == {}


def test_each_switch_is_set_where_somebody_has_another_value():
    assert found(NEW) == [ALL]
    assert found(QUIET) == []
    for switch in bridge_switches.SILENT:
        assert found(dict(QUIET, **{switch: NEW[switch]})) == ["sysctl -qw net/%s=%s" % (switch % "br0", bridge_switches.SILENT[switch][0])]


def test_what_is_as_strict_is_left_alone_and_what_the_kernel_has_not_is_not_set():
    assert found(dict(QUIET, **{"ipv4/conf/%s/arp_ignore": "8", "ipv4/conf/%s/rp_filter": "2"})) == []
    without = {switch: value for switch, value in NEW.items() if "ipv6" not in switch}
    assert found(without) == [ALL.partition(" net/ipv6")[0]]


def test_a_bridge_that_is_not_there_or_about_to_go_or_none_is_left_alone():
    heard = {"br0": Switches(bridge_switches.SILENT, NEW)}
    assert list(bridge_switches.changes(heard, {})) == found(NEW, leaving=("br0",)) == found(NEW, link=Link("br0", 6)) == []


def test_who_has_given_it_an_address_by_hand_keeps_it():
    """But not what the kernel took from somebody's router advertisement."""
    by_hand = BR0._replace(addresses=("2001:db8::7/64",))
    assert found(NEW, link=by_hand) == ["sysctl -qw net/ipv4/conf/br0/arp_ignore=1 net/ipv6/conf/br0/accept_ra=0"]
    assert found(NEW, link=by_hand._replace(autoconfigured=by_hand.addresses)) == [ALL]


def test_addresses_that_router_advertisements_gave():
    text = """[{"ifindex": 6, "ifname": "br0", "flags": ["UP"], "mtu": 1500, "address": "52:54:00:00:00:01", "addr_info": [
        {"family": "inet", "local": "192.168.92.2", "prefixlen": 24, "scope": "global", "dynamic": true},
        {"family": "inet6", "local": "2001:db8::1", "prefixlen": 64, "scope": "global", "dynamic": true, "mngtmpaddr": true},
        {"family": "inet6", "local": "2001:db8::2", "prefixlen": 64, "scope": "global", "temporary": true, "dynamic": true},
        {"family": "inet6", "local": "2001:db8::3", "prefixlen": 128, "scope": "global", "dynamic": true},
        {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}]}]"""
    link = parse(text)["br0"]
    assert link.autoconfigured == ("2001:db8::1/64", "2001:db8::2/64")
    assert len(link.addresses) == 4


def test_the_plan_has_it_before_a_tunnel_is_a_port():
    links = {link.name: link for link in (BR0, Link("wg0", 5, "wireguard", up=True), Link("enp2s0", 2, addresses=("192.168.178.1/24",)))}
    todo = planner.plan([TUNNEL], links, seen=Observed(Rules(), bridges={"br0": Switches(bridge_switches.SILENT, NEW)}))
    steps = [str(step) for step in todo.steps]
    assert steps.index(ALL) < steps.index("ip link set dev gretap1 master br0")
    assert todo.steps[steps.index(ALL)].group not in ("br0", "gretap1"), "where that fails, the wire stands all the same"


def test_a_dot_in_a_name_is_no_slash():
    assert bridge_switches.command("br0.7", {"ipv4/conf/%s/arp_ignore": "1"}) == ("sysctl", "-qw", "net/ipv4/conf/br0.7/arp_ignore=1")


@pytest.mark.parametrize(
    "before, after, now, wanted",
    [
        (bridge_switches.SILENT, bridge_switches.OWN, QUIET, {"rp_filter": "0", "disable_ipv6": "0"}),
        (bridge_switches.SILENT, bridge_switches.THEIRS, QUIET, {"arp_ignore": "0", "rp_filter": "0", "accept_ra": "1", "disable_ipv6": "0"}),
        (bridge_switches.SILENT, bridge_switches.SILENT, QUIET, {}),
        (bridge_switches.SILENT, bridge_switches.THEIRS, dict(QUIET, **{"ipv4/conf/%s/rp_filter": "2"}), {"arp_ignore": "0", "accept_ra": "1", "disable_ipv6": "0"}),
        (bridge_switches.OWN, bridge_switches.THEIRS, NEW, {}),
    ],
)
def test_what_was_ours_is_given_back(before, after, now, wanted):
    assert {switch[13:]: value for switch, value in bridge_switches.undone(before, after, now, NEW).items()} == wanted


@pytest.fixture
def proc(root):
    folder = root / "proc/sys/net"
    for name, values in (("br0", QUIET), ("default", NEW)):
        for switch, value in values.items():
            (folder / (switch % name)).parent.mkdir(parents=True, exist_ok=True)
            (folder / (switch % name)).write_text(value + "\n")


def test_it_is_looked_at_without_a_process(proc, root):
    (root / "etc/network/interfaces.d").mkdir(parents=True)
    (root / "etc/network/interfaces.d/l2wg").write_text(ours())
    assert snapshot.bridges([TUNNEL]) == {"br0": Switches(bridge_switches.SILENT, QUIET)}
    assert snapshot.bridges([TUNNEL._replace(bridge_ports=())]) == {}, "no wish of ours defines it"


def test_a_rollback_gives_each_switch_back(proc, monkeypatch):
    done = []
    monkeypatch.setattr(executor, "apply", lambda steps: done.extend(str(step) for step in steps) or ())
    rollback._switch_back({"br0": QUIET, "br9": NEW})
    assert done == []
    rollback._switch_back({"br0": dict(QUIET, **{"ipv6/conf/%s/disable_ipv6": "0"})})
    assert done == ["sysctl -qw net/ipv6/conf/br0/disable_ipv6=0"]


@pytest.mark.parametrize("value", [[], {"br0": []}, {"br0": {"kernel/core_pattern": "1"}}, {"br0": {"ipv4/conf/%s/rp_filter": "1 x=2"}}, {"a/b": {}}])
def test_a_file_of_state_sets_nothing_else(value):
    try:
        assert not saved_state._are_switches(value)
    except json_fields.Unfit:
        pass
