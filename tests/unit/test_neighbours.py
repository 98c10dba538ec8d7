"""NetworkManager, systemd-networkd, dhcpcd and firewalls, as `l2wg check` and the plan see them."""

import json
import socket

import pytest
from l2wg_hooks.check import firewalls
from l2wg_hooks.config import store
from l2wg_hooks.managers import dhcpcd, networkmanager
from l2wg_hooks.model import Link, Observed, Rules, Tables, Tunnel
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan.planner import plan
from l2wg_hooks.reconcile import events
from l2wg_hooks.system import process
from l2wg_hooks.system.process import Result

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", ("enp3s0",), path="/etc/l2wg/gretap1.conf")
LINKS = {
    link.name: link
    for link in (
        Link("wg0", 3, "wireguard", up=True, mtu=1420),
        Link("enp2s0", 4, up=True, addresses=("192.168.178.1/24",)),
        Link("enp3s0", 5, up=True, master="br0"),
        Link("br0", 6, "bridge", up=True),
        Link("gretap1", 7, "gretap", up=True, mac="fe:ff:01:02:03:04", master="br0"),
    )
}


@pytest.fixture
def system(monkeypatch, root):
    """{command: what it prints} that a test fills; others are not installed. And files, by their path in a scratch folder."""
    said = {}

    def fake(argv, *_args, **_options):
        for command, out in said.items():
            if " ".join(argv).startswith(command):
                return Result(0, out, "")
        return Result(127, "", "")

    monkeypatch.setattr(process, "run", fake)
    for folder in ("etc", "proc/net", "proc/sys/net/bridge"):
        (root / folder).mkdir(parents=True)
    said["root"] = root
    return said


def told(tunnels=(ONE,), links=LINKS):
    return [(problem.message, problem.hint) for problem in firewalls.problems(tunnels, links)]


def causes(tunnels=(ONE,), links=LINKS):
    return [problem.id for problem in firewalls.problems(tunnels, links)]


def test_without_neighbours_nothing_is_told(system):
    assert told() == []


# Managers


def test_what_is_ours():
    assert ONE.own == ("gretap1", "br0", "enp3s0")
    assert ONE._replace(bridge_ports=()).own == ("gretap1",), "the bridge is somebody else's"


NETWORKCTL = """\
  1 lo      loopback carrier     unmanaged
  4 enp2s0  ether    routable    configured
\x1b[0;1;32m\u25cf\x1b[0m 5 enp3s0  ether    degraded    configuring
  6 br0     bridge   no-carrier  unmanaged
  7 gretap1 ether    enslaved    unmanaged
"""


def test_networkd_manages_a_port(system):
    system["networkctl"] = NETWORKCTL
    assert told() == [], "it has never run"
    (system["root"] / "run/systemd/netif/links").mkdir(parents=True)
    (system["root"] / "run/systemd/netif/links/5").write_text("")
    ((message, hint),) = told()
    assert message == "systemd-networkd also manages enp3s0, and takes it out of br0"
    assert "Name=enp3s0\\n" in hint and "Unmanaged=yes" in hint
    assert causes() == ["networkd"]


@pytest.mark.parametrize(
    "text, taken",
    [
        ("", True),
        ("duid\npersistent\n", True),
        ("denyinterfaces gretap1 enp3s0\n", False),
        ("denyinterfaces enp3s0,gretap*  # l2wg\n", False),
        ("denyinterfaces enp3s0\n", True),
        ("# denyinterfaces gretap1\n", True),
        ("allowinterfaces enp1s0\n", False),
        ("allowinterfaces gre*\n", True),
        ("interface enp1s0\ndenyinterfaces gretap1\n", True),
    ],
)
def test_what_dhcpcd_takes(text, taken):
    assert dhcpcd.takes(text, "gretap1") == taken


def test_dhcpcd_of_all_interfaces_is_told_and_only_while_it_runs(system):
    (system["root"] / "etc/dhcpcd.conf").write_text("duid\n")
    assert told() == []
    (system["root"] / "run/dhcpcd.pid").write_text("42\n")
    (system["root"] / "proc/42").mkdir()
    (system["root"] / "proc/42/comm").write_text("dhcpcd\n")
    dump = "reason=CARRIER\ninterface=%s\nprotocol=link\n\n"
    system["dhcpcd -U"] = dump % "enp1s0"
    assert told() == [], "it has let go of them"
    system["dhcpcd -U"] = dump % "gretap1" + dump % "enp1s0" + dump % "enp3s0"
    ((message, hint),) = told()
    assert message.startswith("dhcpcd asks for leases on gretap1, enp3s0:")
    assert hint.startswith("sed -i '1i denyinterfaces gretap1 enp3s0' ")
    assert causes() == ["dhcpcd"]


@pytest.mark.parametrize(
    "name, changes, goes",
    [
        ("gretap1", {}, True),
        ("gretap1", {"addresses": ("192.168.92.165/24",)}, True),  # a lease of the other site
        ("gretap1", {"kind": ""}, False),  # a network card of that name
        ("enp3s0", {}, True),
        ("enp3s0", {"master": ""}, False),
        ("enp3s0", {"addresses": ("192.168.178.7/24",)}, False),  # somebody may be logged in by it
        ("br0", {}, False),  # its address may be dhcpcd's, by the admin's wish
        ("enp2s0", {}, False),
    ],
)
def test_what_dhcpcd_has_to_let_go_of(monkeypatch, name, changes, goes):
    said = []
    monkeypatch.setattr(link_table, "read", lambda: dict(LINKS, **{name: LINKS[name]._replace(**changes)}))
    monkeypatch.setattr(store, "load", lambda: store.Wish((ONE,), (), ()))
    monkeypatch.setattr(store, "names", lambda: ["br0", "enp2s0", "gretap1"] if name == "enp2s0" else ["gretap1"])
    monkeypatch.setattr(dhcpcd, "release", said.append)
    muted = []
    monkeypatch.setattr(process, "run", lambda argv: muted.append(" ".join(argv)) or Result(0, "", ""))
    assert events.main(["event", "dhcpcd", name], strict=True) == 0
    assert said == [name] * goes
    # By its own address only: what the bridge forwards is somebody else's.
    assert [("dev " + name in words, "src_mac fe:ff:01:02:03:04 " in words) for words in muted[1:]] == [(True, True)] * 2 * (goes and name == "gretap1")


def test_dhcpcd_is_told(root):
    """By its socket, and asked so that it hangs up. (A socket's path has 107 bytes, and this test's name is in it.)"""
    path = str(root / "run/dhcpcd.sock")
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(path)
        ear.listen(1)
        dhcpcd.release("gretap1")
        with ear.accept()[0] as line:
            assert line.recv(100) == b"dhcpcd\0--release\0gretap1\n\0--version\n\0"
    dhcpcd.release("gretap1")  # nobody is there any more


def test_an_address_on_the_tunnel(system):
    links = dict(LINKS, gretap1=LINKS["gretap1"]._replace(addresses=("192.168.92.165/24",)))
    ((message, hint),) = told(links=links)
    assert "192.168.92.165/24" in message and "ip address flush dev gretap1" in hint
    assert causes(links=links) == ["tunnel-address"]


def test_networkmanager_is_asked_only_where_it_marks_one_of_ours(system, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(process, "run", lambda argv: asked.append(argv) or Result(0, "lo:connected (externally)\nbr0:unmanaged\nenp3s0:disconnected\n", ""))
    monkeypatch.setattr(networkmanager, "_marked", lambda name: False)
    assert networkmanager.managed(["br0", "enp3s0"]) == () and not asked
    monkeypatch.setattr(networkmanager, "_marked", lambda name: name == "br0")
    assert networkmanager.managed(["br0", "enp3s0", "gretap1"]) == ("enp3s0",)


def test_networkmanager_has_stopped_and_left_its_marks(monkeypatch):
    monkeypatch.setattr(networkmanager, "_marked", lambda name: True)
    monkeypatch.setattr(process, "run", lambda argv: Result(8, "", "Error: NetworkManager is not running."))
    assert networkmanager.managed(["br0"]) == ()


def test_the_plan_has_networkmanager_let_go_of_ours_only():
    found = Observed(managed=("enp2s0", "enp3s0"))
    steps = [step for step in plan([ONE], LINKS, seen=found).steps if step.argv[0] == "nmcli"]
    assert [" ".join(step.argv) for step in steps] == ["nmcli device set enp3s0 managed no"]
    assert steps[0].group not in ("gretap1", "br0"), "its failure leaves out nothing else"
    assert (steps[0].reason, steps[0].group) == ("NetworkManager manages it", "NetworkManager")


# Firewalls


def recorded(golden, name):
    return (golden / "firewalls" / name).read_text()


def test_ufw_drops_the_tunnels_packets(system, golden):
    system["iptables-save"] = recorded(golden, "ufw.save")
    ((message, hint),) = told()
    assert "(iptables: chain INPUT) drops the tunnel's packets from 192.168.92.1" in message
    assert hint == "ufw allow in on wg0 proto gre from 192.168.92.1 to 192.168.178.1"
    system["iptables-save"] = recorded(golden, "ufw-cured.save")
    assert told() == []


def test_vxlan_is_let_in_by_its_port(system, golden):
    system["iptables-save"] = recorded(golden, "ufw.save")
    ((_, hint),) = told([ONE._replace(encapsulation="vxlan")])
    assert hint == "ufw allow in on wg0 proto udp from 192.168.92.1 to 192.168.178.1 port 4789"


@pytest.mark.parametrize("zone", ["", "trusted"])
def test_firewalld_drops_the_tunnels_packets(system, golden, zone):
    system["nft -j"] = recorded(golden, "firewalld.json")
    system["firewall-cmd --get-zone-of-interface=wg0"] = zone + "\n" if zone else ""
    ((message, hint),) = told()
    assert "(nft: table inet firewalld chain filter_INPUT)" in message
    assert ("--zone=trusted" in hint) == bool(zone)
    assert "--add-rich-rule='rule family=ipv4 source address=192.168.92.1 protocol value=gre accept'; firewall-cmd --reload" in hint
    system["nft -j"] = recorded(golden, "firewalld-cured.json")
    assert told() == []


def test_others_get_a_rule_of_their_own(system):
    system["iptables-save"] = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"
    ((_, hint),) = told()
    assert hint.startswith("iptables -I INPUT -i wg0 -s 192.168.92.1 -d 192.168.178.1 -p gre -j ACCEPT ")


@pytest.mark.parametrize(
    "switches, link, told_of", [({}, {}, 0), ({"ip": "0"}, {}, 0), ({"ip": "1"}, {}, 1), ({"ip6": "1"}, {}, 0), ({"ip": "0"}, {"bridge_iptables": True}, 1)]
)
def test_docker_drops_what_crosses_a_bridge_if_br_netfilter_shows_it(system, golden, switches, link, told_of):
    system["iptables-save"] = recorded(golden, "docker.save")
    for word, value in switches.items():
        (system["root"] / "proc/sys/net/bridge" / ("bridge-nf-call-%stables" % word)).write_text(value + "\n")
    found = told(links=dict(LINKS, br0=LINKS["br0"]._replace(**link)))
    assert len(found) == told_of
    for message, hint in found:
        assert "(iptables: chain FORWARD) drops frames that pass br0" in message
        assert hint == "l2wg set gretap1 forward=accept; l2wg apply"


def test_the_cure_for_docker_cures(system, golden):
    system["iptables-save"] = recorded(golden, "docker-cured.save")
    (system["root"] / "proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1\n")
    assert told() == []


NOTHING, DROPS = "*filter\n:INPUT ACCEPT [1:2]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", "*filter\n:INPUT DROP [1:2]\n:FORWARD DROP [3:4]\nCOMMIT\n"


@pytest.mark.parametrize("usual, other, back", [("nft", "legacy", "-legacy"), ("legacy", "nft", "-nft")])
def test_rules_of_the_iptables_that_is_not_the_usual_one_count_too(system, usual, other, back):
    """Debian has both back ends, and `iptables-save` shows the rules of one of them only."""
    (system["root"] / "proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1\n")
    (system["root"] / "proc/net/ip_tables_names").write_text("mangle\nfilter\n")
    system["iptables-save"] = "# Now\n" + NOTHING
    system["iptables-%s-save" % usual] = "# Then\n" + NOTHING.replace("[1:2]", "[5:6]")
    system["iptables-%s-save" % other] = DROPS
    (_, entry), (message, hint) = told()
    assert "(iptables%s: chain FORWARD)" % back in message and entry.startswith("iptables%s -I INPUT -i wg0 " % back)
    assert hint.startswith("iptables%s -I FORWARD -i br0 -o br0 -j ACCEPT # " % back)
    # What nft(8) shows of it is the same rules once more, as far as it can.
    if other == "nft":
        policy = {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}}
        system["nft -j"] = json.dumps({"nftables": [policy]})
        assert len(told()) == 2
    else:
        (system["root"] / "proc/net/ip_tables_names").write_text("")
        assert told() == [], "the older one has no such table"


def test_rules_of_the_usual_iptables_are_told_once_if_that_is_the_older_one(system):
    (system["root"] / "proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1\n")
    (system["root"] / "proc/net/ip_tables_names").write_text("filter\n")
    system["iptables-save"] = system["iptables-legacy-save"] = DROPS
    assert [hint.partition(" -i ")[0] for _, hint in told()] == ["iptables -I INPUT", "l2wg set gretap1 forward=accept; l2wg apply"]


def test_what_is_not_for_a_containers_root_is_no_error(system):
    (system["root"] / "proc/net/ip_tables_names").mkdir()  # as good as unreadable, for root too
    system["iptables-save"] = DROPS
    assert causes() == ["firewall-input"]


def test_firewalld_drops_what_crosses_a_bridge(system, golden):
    system["nft -j"] = recorded(golden, "firewalld.json")
    (system["root"] / "proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1\n")
    message, hint = told()[1]
    assert "filter_FORWARD" in message and "--add-interface=br0" in hint
    assert causes() == ["firewall-input", "firewall-forward"]


def test_what_nft_prints_one_day_is_no_error(system):
    for text in ("nonsense", "[]", '{"nftables": [{"rule": {}}]}', '{"nftables": 5}'):
        system["nft -j"] = text
        assert told() == []


# forward = accept


def test_iptables_is_looked_at_only_where_a_tunnel_wants_it_or_wanted_it(monkeypatch):
    looked = []
    monkeypatch.setattr(process, "run", lambda argv: looked.append(" ".join(argv)) or Result(0, "*filter\n", ""))
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules([{"kind": "gretap", "clamp": "off"}]))
    assert snapshot.look([ONE], {}).filter is None and not looked
    assert snapshot.look([ONE._replace(forward="accept")], {}).filter.ipv4 == ("*filter",)
    monkeypatch.setattr(nftables_state, "observe", lambda needed: Rules([{"kind": "gretap", "clamp": "off", "forward": "accept"}]))
    assert snapshot.look([ONE], {}).filter is not None
    assert set(looked) == {"iptables-save -t filter", "ip6tables-save -t filter"}


@pytest.mark.parametrize(
    "now, before, broken, commands",
    [
        ("accept", "as-is", (), 8),
        ("as-is", "as-is", (), 0),
        ("as-is", "accept", (), 0),  # nothing is there to take away
        ("accept", "accept", ("gretap1",), 0),
    ],
)
def test_the_plan_lets_pass_what_crosses_the_bridge(now, before, broken, commands):
    was, wish = (ONE._replace(forward=word) for word in (before, now))
    links = dict(LINKS, gretap1=LINKS["gretap1"]._replace(alias="l2wg"))
    found = Observed(Rules([nftables.entry(was)], {ONE.name: nftables.value(was, links)}), filter=Tables(("*filter",), ("*filter",), True))
    done = plan([] if broken else [wish], links, broken=broken, seen=found)
    assert len([step for step in done.steps if step.group == "iptables"]) == commands
