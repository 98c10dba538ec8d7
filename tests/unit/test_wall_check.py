"""What `l2wg check` says of a network namespace of l2wg's, and of the UDP port of the WireGuard in it."""

import json

import pytest
from l2wg_hooks.check import walls
from l2wg_hooks.config import own_wire
from l2wg_hooks.config.wg_quick_readers import Reader
from l2wg_hooks.model import Tunnel
from l2wg_hooks.netfilter import front_ends, host_rules
from l2wg_hooks.netfilter.trace import Base, Packet
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.reconcile import events
from l2wg_hooks.system import process, units
from l2wg_hooks.system.process import Result
from test_own_wire import DUMP, TEXT

TUNNEL = Tunnel("gretap1", "l2w0", "198.18.0.1", "198.18.0.2", "br0", wire="own", path="/etc/l2wg/gretap1.conf", lines={"wire": 5})
WIRE, _ = own_wire.parse(TEXT, "")
NOW = 1700000060


def test_a_stranger_is_told_with_the_way_out():
    (problem,) = walls.strangers(TUNNEL, ("eth7",))
    assert problem.id == "namespace-stranger" and problem.hint.startswith("ip -n l2wg link set dev eth7 netns 1")
    assert list(walls.strangers(TUNNEL, ())) == []


@pytest.mark.parametrize(
    "now, endpoint, callers",
    [
        (NOW, True, ["PEER2="]),  # which has none in the file, and has to call
        (NOW, False, ["PEER1=", "PEER2="]),
        (NOW + 180, True, ["PEER1=", "PEER2="]),  # which answers no longer
    ],
)
def test_who_has_to_call(now, endpoint, callers):
    wanted = WIRE if endpoint else WIRE._replace(peers={key: peer._replace(endpoint="") for key, peer in WIRE.peers.items()})
    assert walls.callers(wanted, wg_interfaces.parse(DUMP), now) == callers


def test_by_which_ways_they_call(monkeypatch):
    answers = {
        "ip -4 route show default": "default via 203.0.113.1 dev enp1s0\ndefault via 10.0.0.1 dev enp1s0 metric 5\n",
        "ip -4 route get 198.51.100.2": "198.51.100.2 dev to-b src 198.51.100.1 uid 0\n",
        "ip -6 route get 2001:db8::2": "2001:db8::2 from :: via fe80::1 dev enp4s0 src 2001:db8::1 metric 100 pref medium\n",
    }
    monkeypatch.setattr(process, "run", lambda argv, *_: Result(0, answers.get(" ".join(argv), ""), ""))
    heard = ["198.51.100.2:4901", "[2001:db8::2]:4901", "", "[fe80::1%enp9s0]:4901"]
    assert walls.ways("-4", heard) == ["enp1s0", "to-b"] and walls.ways("-6", heard) == ["enp4s0"]


def rules(policy, *expr):
    base = {"chain": {"family": "inet", "table": "mine", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": policy}}
    found = [{"metainfo": {}}, {"table": {"family": "inet", "name": "mine"}}, base]
    if expr:
        found.append({"rule": {"family": "inet", "table": "mine", "chain": "input", "expr": list(expr)}})
    return json.dumps({"nftables": found})


PORT = {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 4901}}


@pytest.mark.parametrize("listing, dropped", [(rules("drop"), True), (rules("drop", PORT, {"accept": None}), False), (rules("accept"), False)])
def test_a_firewall_that_drops_who_calls(monkeypatch, listing, dropped):
    monkeypatch.setattr(process, "run", lambda argv, *_: Result(0, listing if " ".join(argv) == "nft -j list ruleset" else "", ""))
    monkeypatch.setattr(host_rules, "LEGACY", "/nonexistent/%s")
    found = list(walls._drops(TUNNEL, 4, "enp1s0", 4901, host_rules.Firewall()))
    assert [problem.id for problem in found] == ["wire-port"] * dropped
    if dropped:
        assert "what comes by enp1s0 to UDP port 4901" in found[0].message
        assert "nft 'insert rule inet mine input iifname \"enp1s0\" udp dport 4901 accept'" in found[0].hint


@pytest.mark.parametrize(
    "front_end, command",
    [
        (front_ends.Iptables(), "ip6tables -I INPUT -i enp1s0 -p udp --dport 4901 -j ACCEPT"),
        (front_ends.Ufw(), "ufw allow in on enp1s0 proto udp from any to any port 4901"),
        (front_ends.Firewalld(), "--add-rich-rule='rule family=ipv6 port port=4901 protocol=udp accept'"),
    ],
)
def test_every_firewalls_word_for_a_port(monkeypatch, front_end, command):
    monkeypatch.setattr(process, "run", lambda argv, *_: Result(1, "", ""))
    base = Base("ip6tables INPUT", "ip6tables", "INPUT", "drop")
    assert command in front_end.let_in(base, Packet("input", 6, "enp1s0", protocol="udp", port=4901))


@pytest.mark.parametrize(
    "reader, hint",
    [
        (Reader("wg-quick", "/etc/systemd/system/multi-user.target.wants/wg-quick@l2w0.service", 0, ""), "systemctl disable wg-quick@l2w0"),
        (Reader("wg", "/etc/network/interfaces", 7, "wg setconf l2w0 /etc/wireguard/l2w0.conf"), "take that out; or, for a shared wire: "),
    ],
)
def test_who_else_brings_it_up(reader, hint):
    (problem,) = walls.others("l2w0", [reader])
    assert problem.id == "wire-twice" and problem.hint.startswith(hint) and (problem.path, problem.line) == (reader.path, reader.line)
    assert problem.message == f"{reader.program} also brings up l2w0, which l2wg makes itself (wire = own)"


class Scene:
    tunnels, links = (TUNNEL,), {}


def test_a_unit_that_is_disabled(monkeypatch, tmp_path):
    monkeypatch.setattr(walls.namespace, "look", lambda tunnels, links: None)
    monkeypatch.setattr(units, "SYSTEMD", str(tmp_path))
    monkeypatch.setattr(events, "ENABLED", str(tmp_path / "l2wg.service"))
    assert [(problem.id, problem.hint) for problem in walls._inside(Scene)] == [("boot-unit", "systemctl enable l2wg.service")]
    (tmp_path / "l2wg.service").symlink_to("/lib/systemd/system/l2wg.service")
    assert list(walls._inside(Scene)) == []
    monkeypatch.setattr(units, "SYSTEMD", str(tmp_path / "none"))
    (tmp_path / "l2wg.service").unlink()
    assert list(walls._inside(Scene)) == []


def test_what_waits_goes_on_waiting_after_a_boot(monkeypatch, tmp_path):
    monkeypatch.setattr(walls.namespace, "look", lambda tunnels, links: None)
    monkeypatch.setattr(walls.staged, "tunnels", lambda tunnels: (TUNNEL,))
    monkeypatch.setattr(units, "SYSTEMD", str(tmp_path))
    monkeypatch.setattr(events, "ENABLED", str(tmp_path / "l2wg.service"))
    (tmp_path / "l2wg.service").symlink_to("/lib/systemd/system/l2wg.service")
    (problem,) = walls._inside(Scene)
    unit = f"l2wg-wall@{TUNNEL.name}.service"
    assert (problem.id, problem.message.partition(" ")[0]) == ("boot-unit", unit)
    assert problem.hint == f"systemctl enable --now {unit}; or, to end it: l2wg wall --undo {TUNNEL.name}"
    (tmp_path / unit).symlink_to("/lib/systemd/system/l2wg-wall@.service")
    assert list(walls._inside(Scene)) == []
