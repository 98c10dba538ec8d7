"""`l2wg check` as a whole: one check never stops another, and what it gives to programs."""

import json
import os
import socket
import types

import pytest
import tools
from l2wg_hooks import cli
from l2wg_hooks.apply import preview
from l2wg_hooks.check import catalog, endpoint_dns, firewalls, lan, modules, permissions, prober, runner, underlay
from l2wg_hooks.check.prober import Answer, Heard
from l2wg_hooks.check.runner import IDLE, OK, UNLOOKED, WRONG
from l2wg_hooks.check.scene import Idle, Scene, Unlooked
from l2wg_hooks.config import ifupdown, ifupdown_files, last_applied, store
from l2wg_hooks.config.references import Mention
from l2wg_hooks.config.store import Wish
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.model import Link, Plan, Step, Tunnel, Wait
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import counter_growth, link_table, wg_interfaces
from l2wg_hooks.observe.wg_interfaces import Interface, Peer
from l2wg_hooks.plan import bridge_steps
from l2wg_hooks.plan.planner import GUARD
from l2wg_hooks.probes.path_mtu import Path
from l2wg_hooks.probes.tunnel_packets import Carrier
from l2wg_hooks.system import process

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", ("enp3s0",), path="/etc/l2wg/gretap1.conf")
(END,) = ONE.ends()
LINKS = {
    link.name: link
    for link in (
        Link("lo", 1, up=True),
        Link("wg0", 3, "wireguard", up=True, mtu=1420, addresses=("10.15.14.2/24",)),
        Link("enp2s0", 4, up=True, addresses=("192.168.178.1/24",)),
        Link("enp3s0", 5, up=True, master="br0", mac="52:54:00:00:00:03"),
        Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:03"),
        Link("gretap1", 7, "gretap", up=True, master="br0", alias="l2wg", mac=ONE.mac, port_state="forwarding"),
    )
}
PEERS = Interface("own=", 4900, (Peer("far=", "203.0.113.20:4900", ("192.168.92.0/24",), 1 << 40, 0, 0, None),))


def heard(**changes):
    """What a sounding of a healthy wire brings."""
    known = {name: {} for name in Heard._fields}
    known.update(small={END: True}, full={END: True}, near={END: True}, refused={END: ""})
    known.update(carriers={"wg0": (Carrier("gretap", "192.168.92.1", "192.168.178.1", None),)}, answers={"br0": []}, offers={"br0": []})
    return Heard(**dict(known, **changes))


@pytest.fixture
def healthy(monkeypatch, wireguard):
    """A site on which nothing is wrong, as the modules that look would tell. A test changes what it likes."""
    state = types.SimpleNamespace(
        wished=Wish((ONE,), (), ()),
        links=dict(LINKS),
        heard=heard(),
        peers=PEERS,
        said={},
        counters={},
        pending=False,
        tmp=wireguard,
        intent=preview.Intent((ONE,), {}, {}, (), (), Plan(), (), True),
        ifupdown=True,
        stanzas=(),
        passed=[],
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(store, "load", lambda *_: state.wished)
    for word in ("names", "sources"):
        monkeypatch.setattr(store, word, lambda: ["gretap1"])
    monkeypatch.setattr(link_table, "read", lambda: state.links)
    monkeypatch.setattr(preview, "intend", lambda: state.intent)
    monkeypatch.setattr(prober, "sound", lambda *words: state.passed.append(words) or state.heard)
    monkeypatch.setattr(wg_interfaces, "look", lambda name: state.peers)
    monkeypatch.setattr(nftables_state, "counters", lambda: state.counters)
    monkeypatch.setattr(last_applied, "pending", lambda: state.pending)
    monkeypatch.setattr(permissions, "problems", lambda *_: [])
    monkeypatch.setattr(firewalls, "managing", lambda *_: [])
    monkeypatch.setattr(firewalls, "filtering", lambda *_: [])
    monkeypatch.setattr(ifupdown_files, "read", lambda: ifupdown.Defined(state.stanzas, (), ifupdown=state.ifupdown))
    monkeypatch.setattr(lan, "_assigned", lambda name: "0")
    monkeypatch.setattr(underlay, "SESSION_PATIENCE", 0)
    monkeypatch.setattr(underlay, "ANSWER_PATIENCE", 0)
    monkeypatch.setattr(modules, "sysctl", lambda *words: "1" if words[-1] == "ip_forward" else "0")
    monkeypatch.setattr(modules, "loadable", lambda name: True)
    (wireguard / "wg0.conf").write_text("[Interface]\nAddress = x\nPostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n")
    # What ip(8) says, by how the command ends.
    state.said["get 192.168.92.1 from 192.168.178.1"] = "192.168.92.1 from 192.168.178.1 dev wg0 uid 0 \n    cache \n"
    state.said["get 203.0.113.20"] = "203.0.113.20 via 203.0.113.1 dev enp2s0 src 203.0.113.7 uid 0 \n    cache \n"

    def answer(line):
        return next((out for end, out in state.said.items() if line.endswith(end)), "")

    def fake(argv, stdin="", **_options):
        return process.Result(0, tools.batched(stdin, answer) if "-batch" in argv else answer(" ".join(argv)), "")

    monkeypatch.setattr(process, "run", fake)
    return state


def ids(passive=False):
    return [problem.id for problem in runner.check(passive).problems]


def outcomes(passive=False):
    return {outcome.name: (outcome.outcome, outcome.why) for outcome in runner.check(passive).outcomes}


def test_nothing_is_wrong_on_a_healthy_site(healthy):
    report = runner.check()
    assert report.problems == ()
    assert {outcome.outcome for outcome in report.outcomes} == {OK} and len(report.outcomes) == len(runner.CHECKS)


def test_no_tunnel_nothing_to_check(healthy):
    healthy.wished = Wish((), (), ())
    report = runner.check()
    assert report.problems == () and {outcome.outcome for outcome in report.outcomes} == {OK, IDLE}
    assert not healthy.passed, "nothing is sent"


def test_one_check_that_fails_never_stops_the_others(healthy, monkeypatch):
    for name in [check.name for check in runner.CHECKS]:
        broken = tuple(check._replace(look=_raise) if check.name == name else check for check in catalog.CHECKS)
        with monkeypatch.context() as patch:
            patch.setattr(runner, "CHECKS", broken)
            found = runner.check()
        unlike = [(outcome.name, outcome.outcome, outcome.why) for outcome in found.outcomes if outcome.outcome != OK]
        assert unlike == [(name, UNLOOKED, "ZeroDivisionError: boo")]


def _raise(scene):
    raise ZeroDivisionError("boo")


def test_what_a_check_found_before_it_failed_counts(healthy):
    def half(scene):
        yield Problem("x", id="loop")
        fail("the command tc is not there")

    assert runner._one("half", half, False, None) == ([Problem("x")], (("half", UNLOOKED, "the command tc is not there")))


def test_words_of_a_check_that_does_not_look():
    def idle(scene):
        raise Idle("why")
        yield

    def unlooked(scene):
        raise Unlooked("why")
        yield

    assert runner._one("a", idle, False, None)[1] == ("a", IDLE, "why")
    assert runner._one("a", unlooked, False, None)[1] == ("a", UNLOOKED, "why")
    assert runner._one("a", lambda scene: [None, Problem("x")], False, None) == ([Problem("x")], ("a", WRONG, ""))


@pytest.mark.parametrize("broken", ["read", "intend", "look", "counters", "sound"])
def test_what_cannot_be_looked_at_is_said_and_no_traceback(healthy, monkeypatch, broken):
    for module, name in ((link_table, "read"), (preview, "intend"), (wg_interfaces, "look"), (nftables_state, "counters"), (prober, "sound")):
        if name == broken:
            monkeypatch.setattr(module, name, lambda *_: fail("the command %s is not there" % broken))
    report = runner.check()
    assert report.problems == ()
    assert any((outcome.outcome, outcome.why) == (UNLOOKED, "the command %s is not there" % broken) for outcome in report.outcomes)


def test_who_is_not_root_is_told_what_was_not_looked_at(healthy, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = outcomes()
    assert found["plan"] == found["peer"] == (UNLOOKED, "only root can: sudo l2wg check")
    assert found["settings"][0] == found["bridge"][0] == found["routes and rp_filter"][0] == OK
    assert not healthy.passed


def test_passive_sends_nothing(healthy, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    found = outcomes(passive=True)
    assert not healthy.passed
    assert {name for name, (outcome, _) in found.items() if outcome == UNLOOKED} == {"peer", "path MTU", "loops and storms", "duplicate addresses", "DHCP servers"}
    assert found["WireGuard's session"][0] == OK


def told(healthy, cause, count=1):
    """The one Problem that is found, of this cause; the rest is as it should be."""
    found = runner.check().problems
    assert [problem.id for problem in found] == [cause] * count and cause in catalog.BY_ID
    return found[0]


# What the plan says


def test_settings(healthy):
    healthy.wished = Wish((ONE,), ("gretap2",), (Problem("is no address", "", "/etc/l2wg/gretap2.conf", 3, "local"),))
    healthy.intent = healthy.intent._replace(problems=healthy.wished.problems)
    assert told(healthy, "settings").tunnel == "gretap2"


def test_port_address(healthy):
    healthy.intent = healthy.intent._replace(problems=(bridge_steps.carries(ONE, "enp3s0", "10.0.0.1/8"),))
    told(healthy, "port-address")


def test_unconfirmed(healthy):
    healthy.pending = True
    told(healthy, "unconfirmed")


def test_files_differ(healthy):
    healthy.intent = healthy.intent._replace(texts={"/etc/network/interfaces.d/l2wg": ("", "x")})
    assert told(healthy, "files-differ").path == "/etc/network/interfaces.d/l2wg"


@pytest.mark.parametrize(
    "argv, group, cause",
    [
        (("nft", "-f", "/run/l2wg.nft"), GUARD, "guard"),
        (("ip", "link", "set", "dev", "gretap1", "up"), "gretap1", "not-applied"),
        (("iptables", "-t", "mangle", "-A", "FORWARD"), "iptables", "clamp"),
        (("ip", "-6", "rule", "add"), "gretap1", "policy-route"),
        (("ip", "route", "replace", "unreachable"), "gretap1", "policy-route"),
        (("ip", "rule", "del"), "ways", "policy-route"),
        (("nmcli", "device", "set", "enp3s0", "managed", "no"), "NetworkManager", "networkmanager"),
    ],
)
def test_steps_that_are_to_be_done(healthy, argv, group, cause):
    healthy.intent = healthy.intent._replace(todo=Plan((Step(argv, "a reason", group),)))
    found = told(healthy, cause)
    assert found.hint == "l2wg apply" and "a reason" in found.message
    assert found.tunnel == ("gretap1" if group == "gretap1" else "")


def test_names_port(healthy):
    healthy.intent = healthy.intent._replace(named=(Mention("/etc/hosts.allow", 3, "x", "enp3s0", "br0"),))
    told(healthy, "names-port")


# What is waited for


def without(healthy, *names):
    healthy.links = {name: link for name, link in LINKS.items() if name not in names}


def test_underlay_absent(healthy):
    without(healthy, "wg0", "gretap1")
    healthy.intent = healthy.intent._replace(todo=Plan(waiting=(Wait("gretap1", "underlay", "wg0"),)))
    told(healthy, "underlay-absent")


def test_underlay_down(healthy):
    healthy.links["wg0"] = LINKS["wg0"]._replace(up=False)
    healthy.intent = healthy.intent._replace(todo=Plan(waiting=(Wait("gretap1", "underlay-up", "wg0"),)))
    told(healthy, "underlay-down")


def test_bridge_absent(healthy):
    without(healthy, "br0")
    healthy.intent = healthy.intent._replace(todo=Plan(waiting=(Wait("gretap1", "bridge", "br0"),)))
    assert told(healthy, "bridge-absent").hint == "l2wg apply"
    healthy.stanzas = (ifupdown.Stanza("br0", "inet", "manual", "/etc/network/interfaces", 3),)
    assert told(healthy, "bridge-absent").hint == "ifup --force br0"
    healthy.stanzas, healthy.wished = (), Wish((ONE._replace(bridge_ports=()),), (), ())
    assert told(healthy, "bridge-absent").hint.startswith("nobody defines it")


def test_local_absent(healthy):
    healthy.links["enp2s0"] = LINKS["enp2s0"]._replace(addresses=("192.168.178.7/24",))
    healthy.intent = healthy.intent._replace(todo=Plan(waiting=(Wait("gretap1", "address", "192.168.178.1"),)))
    healthy.said["get 192.168.92.1"] = "192.168.92.1 from 192.168.178.1 dev wg0 uid 0 \n    cache \n"
    told(healthy, "local-absent")


def test_port_absent(healthy):
    without(healthy, "enp3s0")
    healthy.intent = healthy.intent._replace(todo=Plan(waiting=(Wait("br0", "port", "enp3s0"),)))
    assert told(healthy, "port-absent").key == "bridge-ports"


def test_waiting_for_something_else(healthy):
    healthy.intent = healthy.intent._replace(todo=Plan(waiting=(Wait("gretap1", "bridge", "moon"),)))
    told(healthy, "waiting")


# Files for the next boot


def test_lines_of_wg_quick(healthy):
    (healthy.tmp / "wg0.conf").write_text("[Interface]\nAddress = x\n")
    assert told(healthy, "postup-missing").hint == "l2wg attach wg0"
    healthy.stanzas = (ifupdown.Stanza("wg0", "inet", "static", "/etc/network/interfaces", 3),)
    assert ids() == [], "ifupdown brings it up, and has a hook"
    healthy.stanzas = ()
    (healthy.tmp / "wg0.conf").write_text("[Interface]\nPrivateKey = x\n")
    assert ids() == [], "a file for wg setconf"
    (healthy.tmp / "wg0.conf").write_text("[Interface]\nPrivateKey = x\nPostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n")
    assert told(healthy, "postup-unread").hint == "l2wg detach wg0"
    (healthy.tmp / "wg0.conf").write_text("[Interface]\nAddress = x\nPostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n")
    options = (("pre-up", "wg setconf $IFACE %s/$IFACE.conf" % healthy.tmp),)
    healthy.stanzas = (ifupdown.Stanza("wg0", "inet", "static", "/etc/network/interfaces", 3, options),)
    assert "/etc/network/interfaces:3: `pre-up" not in told(healthy, "postup-unread").message
    assert "wg(8) reads it (/etc/network/interfaces:3: `wg setconf" in told(healthy, "postup-unread").message
    healthy.stanzas = ()
    (healthy.tmp / "wg0.conf").unlink()
    assert ids() == [], "NixOS, or another way to make it"


def test_routes_that_the_next_start_cannot_add(healthy):
    (healthy.tmp / "wg0.conf").write_text(
        "[Interface]\nAddress = 10.15.14.2/24\nPostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n[Peer]\nPublicKey = K=\nAllowedIPs = 192.168.92.0/24\n"
    )
    healthy.said["-4 route show table main"] = "192.168.92.0/24 dev br0 proto kernel scope link src 192.168.92.2\n"
    problem = told(healthy, "route-clash")
    assert problem.line == 7 and "sed -i '7s|=[^#]*|= 192.168.92.1/32|'" in problem.hint
    # And when it has happened, `wg-quick up` alone would fail once more.
    without(healthy, "wg0")
    (absent,) = [problem for problem in runner.check().problems if problem.id == "underlay-absent"]
    assert absent.hint == "not yet, since it would fail: %s; then: wg-quick up wg0" % problem.hint.partition(" # ")[0]
    healthy.said.pop("-4 route show table main")
    (absent,) = [problem for problem in runner.check().problems if problem.id == "underlay-absent"]
    assert absent.hint.startswith("wg-quick up wg0 #")


def test_what_brings_up_an_underlay_that_wg_quick_does_not(healthy):
    (healthy.tmp / "wg0.conf").write_text("[Interface]\nPrivateKey = x\n")
    without(healthy, "wg0")
    options = (("pre-up", "wg setconf $IFACE %s/$IFACE.conf" % healthy.tmp),)
    healthy.stanzas = (ifupdown.Stanza("wg0", "inet", "static", "/etc/network/interfaces", 3, options),)
    assert [problem.hint for problem in runner.check().problems if problem.id == "underlay-absent"] == ["ifup wg0"]
    healthy.stanzas = ()
    (hint,) = [problem.hint for problem in runner.check().problems if problem.id == "underlay-absent"]
    assert "wg-quick up" not in hint and "bring it up by what does that" in hint


def test_not_sourced(healthy):
    healthy.intent = healthy.intent._replace(reached=False)
    told(healthy, "not-sourced")
    healthy.ifupdown = False
    assert ids() == ["bridge-answers"], "NixOS, whose own configuration defines br0"


def test_ifupdown_absent(healthy, monkeypatch, root):
    monkeypatch.setattr(process, "ENVIRONMENT", {"PATH": str(healthy.tmp)})
    assert ids() == []
    (root / "etc/network/interfaces.d").mkdir(parents=True)
    (root / "etc/network/interfaces.d/l2wg").write_text("")
    told(healthy, "ifupdown-absent")
    (healthy.tmp / "ifup").write_text("")
    assert ids() == []


# WireGuard


def peer(**changes):
    return PEERS._replace(peers=(PEERS.peers[0]._replace(**changes),))


def test_allowed_ips(healthy):
    healthy.peers = peer(allowed=("10.0.0.0/8",))
    assert "SaveConfig" not in told(healthy, "allowed-ips").hint
    (healthy.tmp / "wg0.conf").write_text((healthy.tmp / "wg0.conf").read_text() + "SaveConfig = true\n")
    assert told(healthy, "allowed-ips").hint.endswith("SaveConfig = true: the command alone, since wg-quick rewrites the file")


def test_no_handshake(healthy):
    healthy.peers = peer(handshake=0)
    told(healthy, "no-handshake")


def test_handshake_old_and_the_name_that_means_another_address(healthy, monkeypatch):
    healthy.peers = peer(handshake=1)
    told(healthy, "handshake-old")
    (healthy.tmp / "wg0.conf").write_text((healthy.tmp / "wg0.conf").read_text() + "[Peer]\nPublicKey = far=\nEndpoint = b.example.org:4900\n")
    for addresses, cause in ((["203.0.113.20"], "handshake-old"), (["203.0.113.99"], "endpoint-stale"), ([], "endpoint-unresolved")):
        monkeypatch.setattr(endpoint_dns, "resolve", lambda name: addresses)
        told(healthy, cause)


def test_an_answer_to_the_sounding_is_waited_for(healthy, monkeypatch):
    """A side that was quiet for long has no session until the sounding has made one."""
    looks = []
    monkeypatch.setattr(underlay, "SESSION_PATIENCE", 30)
    monkeypatch.setattr(underlay.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(wg_interfaces, "look", lambda name: looks.append(name) or (peer(handshake=1) if len(looks) < 6 else PEERS))
    assert ids() == [] and len(looks) >= 6


def looks(monkeypatch, *changes):
    """wg_interfaces.look, as it tells one of these after the other, and then the last."""
    rows = list(changes)
    monkeypatch.setattr(wg_interfaces, "look", lambda name: peer(**(rows.pop(0) if len(rows) > 1 else rows[0])))


ASKED = {"sent": 500, "received": 900}


@pytest.mark.parametrize(
    "later, small, near, cause",
    [
        (ASKED, False, None, "handshake-old"),
        (ASKED, False, False, "handshake-old"),
        (ASKED, False, True, "peer-allowed-ips"),
        (ASKED, True, None, None),
        (dict(ASKED, received=932), False, None, None),  # no echoes come back, but WireGuard's own empty packet
        (dict(ASKED, sent=132), False, None, None),  # only empty packets have left: a firewall of this router's own, perhaps
    ],
)
def test_a_peer_that_has_just_gone(healthy, monkeypatch, later, small, near, cause):
    """Its session looks alive for three minutes."""
    healthy.heard = heard(small={END: small}, near={END: near})
    looks(monkeypatch, {"sent": 100, "received": 900}, later)
    assert ids() == ([cause] if cause else [])


def test_the_peers_own_answer_is_waited_for(healthy, monkeypatch):
    monkeypatch.setattr(underlay, "ANSWER_PATIENCE", 30)
    monkeypatch.setattr(underlay.time, "sleep", lambda seconds: None)
    healthy.heard = heard(small={END: False}, near={END: None})
    looks(monkeypatch, {"sent": 100, "received": 900}, *[ASKED] * 20, dict(ASKED, received=932))
    assert ids() == []


def test_a_name_is_to_blame_at_once(healthy, monkeypatch):
    healthy.heard = heard(small={END: False}, near={END: None})
    conf = healthy.tmp / "wg0.conf"
    conf.write_text(conf.read_text() + "[Peer]\nPublicKey = far=\nEndpoint = b.example.org:4900\n")
    monkeypatch.setattr(endpoint_dns, "resolve", lambda name: ["203.0.113.99"])
    looks(monkeypatch, {"sent": 100, "received": 900}, ASKED)
    told(healthy, "endpoint-stale")


def test_route_and_rp_filter(healthy, monkeypatch):
    healthy.said["get 192.168.92.1 from 192.168.178.1"] = "192.168.92.1 from 192.168.178.1 via 203.0.113.1 dev enp2s0 uid 0 \n    cache \n"
    told(healthy, "route")
    monkeypatch.setattr(modules, "sysctl", lambda *words: "1")
    assert ids() == ["rp-filter", "route"]


def test_the_other_end_is_an_address_of_this_router_too(healthy):
    """No route helps against that."""
    healthy.links["br0"] = LINKS["br0"]._replace(addresses=("192.168.92.1/24",))
    healthy.said["get 192.168.92.1 from 192.168.178.1"] = '[{"dst":"192.168.92.1","dev":"lo"}]'
    assert told(healthy, "duplicate-address").hint.startswith("ip address del 192.168.92.1/24 dev br0 # ")


def test_wg_fragments(healthy):
    healthy.links["enp2s0"] = LINKS["enp2s0"]._replace(mtu=1400)
    assert "MTU = 1340" in told(healthy, "wg-fragments").hint
    healthy.links["enp2s0"] = LINKS["enp2s0"]
    healthy.said["get 203.0.113.20"] = "203.0.113.20 dev enp2s0 src 203.0.113.7 uid 0 \n    cache expires 9sec mtu 1400 \n"
    assert "MTU = 1340" in told(healthy, "wg-fragments").hint


def test_rights(healthy, monkeypatch):
    """Who judges has tests of its own: test_rights.py."""
    monkeypatch.setattr(permissions, "problems", lambda tunnels: [Problem("everybody may write it", "chmod", "/etc/l2wg")] * len(tunnels))
    told(healthy, "rights")


# What was heard


def test_peer_refuses(healthy):
    healthy.heard = heard(refused={END: "port unreachable"}, carriers={})
    found = told(healthy, "peer-refuses")
    assert "local = 192.168.92.1, remote = 192.168.178.1, encapsulation = gretap, no key" in found.hint


def test_what_is_known_of_the_peers_tunnel_is_told_instead(healthy):
    for carrier, cause in (
        (Carrier("vxlan", "192.168.92.1", "192.168.178.1", 1), "encapsulation-differs"),
        (Carrier("gretap", "192.168.92.1", "192.168.178.1", 7), "key-differs"),
        (Carrier("gretap", "10.15.14.1", "192.168.178.1", None), "ends-differ"),
    ):
        healthy.heard = heard(refused={END: "port unreachable"}, carriers={"wg0": (carrier,)})
        told(healthy, cause)
    healthy.heard = heard(carriers={"wg0": (Carrier("gretap", "192.168.92.1", "172.16.0.9", 7),)})
    assert ids() == [], "it is only passing through"
    healthy.links["mine"] = Link("mine", 9, "gretap", local="192.168.178.1", remote="192.168.92.1", key=7)
    healthy.heard = heard(carriers={"wg0": (Carrier("gretap", "192.168.92.1", "192.168.178.1", 7),)})
    assert ids() == [], "somebody's own tunnel"


def test_peer_allowed_ips(healthy):
    healthy.heard = heard(small={END: False}, full={END: False})
    assert "192.168.178.1/32" in told(healthy, "peer-allowed-ips").hint
    healthy.heard = heard(small={END: False}, full={END: False}, near={END: False})
    assert ids() == [], "it answers nobody: a firewall"
    assert outcomes()["path MTU"] == (UNLOOKED, "gretap1: 192.168.92.1 answers no echo request")


def test_path_mtu(healthy):
    healthy.heard = heard(full={END: False}, path={END: Path(1380, True)})
    told(healthy, "path-mtu")
    healthy.heard = heard(deaf={END: "Cannot assign requested address"})
    assert outcomes()["path MTU"] == (UNLOOKED, "gretap1: Cannot assign requested address")


def test_loop_and_storm(healthy):
    healthy.counters = {("loop", "gretap1"): 0, ("storm", "gretap1"): 0}
    assert ids() == []
    healthy.counters = {("loop", "gretap1"): 3}
    told(healthy, "loop")
    healthy.counters = {("storm", "gretap1"): 3}
    told(healthy, "storm")


def test_a_loop_beside_another_tunnel_may_be_a_ring_of_both(healthy):
    healthy.counters = {("loop", "gretap1"): 3}
    healthy.wished = Wish((ONE, ONE._replace(name="gretap2", key=2)), (), ())
    (hint,) = [problem.hint for problem in runner.check().problems if problem.id == "loop"]
    assert "by gretap2, find and cut that way" in hint and "isolated = yes" in hint


@pytest.mark.parametrize("what", ["loop", "storm"])
def test_a_loop_that_is_over_is_no_fault(healthy, monkeypatch, what):
    now = [10000.0]
    monkeypatch.setattr(underlay.time, "monotonic", lambda: now[0])
    healthy.counters = {(what, "gretap1"): 3}
    told(healthy, what)
    now[0] += 300
    [problem] = [problem for problem in runner.check().problems if problem.id == what]
    assert ", none for 5 min" in problem.message
    now[0] += counter_growth.RECENT
    assert what not in ids()
    healthy.counters = {(what, "gretap1"): 4}
    told(healthy, what)


def test_dhcp(healthy):
    here, there = Answer("192.168.92.10", "02:00:00:00:00:0b", "enp3s0"), Answer("192.168.178.10", "02:00:00:00:00:0c", "gretap1")
    healthy.heard = heard(offers={"br0": [here, there]})
    told(healthy, "dhcp-two-servers")
    healthy.heard = heard(offers={"br0": [here, here._replace(port="gretap1")]})
    told(healthy, "dhcp-twice")
    healthy.wished = Wish((ONE._replace(dhcp="block"),), (), ())
    assert ids() == [] and outcomes()["DHCP servers"] == (IDLE, "dhcp = block")
    healthy.wished = Wish((ONE,), (), ())
    healthy.heard = heard(mute={"br0": "Network is down"})
    assert outcomes()["DHCP servers"] == outcomes()["duplicate addresses"] == (UNLOOKED, "br0: Network is down")


def test_duplicate_address(healthy):
    healthy.links["br0"] = LINKS["br0"]._replace(addresses=("192.168.92.2/24",))
    healthy.heard = heard(answers={"br0": [Answer("192.168.92.2", "02:00:00:00:00:09", "gretap1")]})
    told(healthy, "duplicate-address")
    healthy.heard = heard()
    healthy.said["dev br0 dadfailed"] = '[{},{"ifname":"br0","addr_info":[{"local":"fd00::1","dadfailed":true}]}]'
    told(healthy, "duplicate-address")


def test_the_gateway_behind_a_bridge_is_asked_for(healthy):
    healthy.said["route show default"] = "default via 192.168.92.254 dev br0 onlink \n"
    runner.check()
    assert healthy.passed[0][2] == {"br0": ["192.168.92.254"]}
    bridge = LINKS["br0"]._replace(addresses=("192.168.92.2/24", "fd00::1/64"))
    assert prober.asked(bridge, ["192.168.92.254", "192.168.92.2"]) == {"192.168.92.2": True, "192.168.92.254": False}


def test_other_checks_of_the_bridge_and_the_machine(healthy, monkeypatch):
    healthy.links["br0"] = LINKS["br0"]._replace(mtu=1382)
    told(healthy, "bridge-mtu")
    healthy.links["br0"] = LINKS["br0"]._replace(up=False)
    told(healthy, "bridge-down")
    healthy.links["br0"] = LINKS["br0"]._replace(mac=ONE.mac, addresses=("192.168.92.2/24",))
    told(healthy, "bridge-mac")
    healthy.links["br0"] = LINKS["br0"]
    healthy.links["gretap1"] = LINKS["gretap1"]._replace(port_state="blocking")
    told(healthy, "port-blocked")
    healthy.links["gretap1"] = LINKS["gretap1"]
    healthy.links["enp9s0"] = Link("enp9s0", 20, up=True, addresses=("192.168.92.200/24",))
    told(healthy, "subnet-twice")
    del healthy.links["enp9s0"]
    monkeypatch.setattr(modules, "sysctl", lambda *words: "0")
    told(healthy, "forwarding")


def test_a_bridge_of_the_admins_that_is_an_interface(healthy, monkeypatch):
    value = {"arp_ignore": "0", "rp_filter": "0", "forwarding": "1", "accept_ra": "2", "disable_ipv6": "0", "ip_forward": "1"}
    monkeypatch.setattr(modules, "sysctl", lambda *words: value[words[-1]] if words[-2] != "all" else "0")
    assert ids() == [], "l2wg defines it: the plan sees to it"
    healthy.stanzas = (ifupdown.Stanza("br0", "inet", "manual", "/etc/network/interfaces", 3),)
    problem = told(healthy, "bridge-answers")
    assert "answers ARP" in problem.message and "forwards" in problem.message and "any router advertisement" in problem.message
    path = "/etc/sysctl.d/70-br0.conf"
    assert problem.hint.startswith("printf 'net/ipv4/conf/br0/arp_ignore=1\\n") and ">%s; sysctl -e -p %s #" % (path, path) in problem.hint
    value.update(arp_ignore="1", rp_filter="1")
    assert told(healthy, "bridge-answers").message.endswith("it takes an IPv6 address and a default route from any router advertisement")
    value.update(accept_ra="1")
    assert ids() == [], "the kernel of a router takes none"
    healthy.links["br0"] = LINKS["br0"]._replace(addresses=("2001:db8::1/64",), autoconfigured=("2001:db8::1/64",))
    assert told(healthy, "bridge-answers").message.endswith("it has 2001:db8::1/64 from a router advertisement")
    healthy.stanzas = (ifupdown.Stanza("br0", "inet6", "auto", "/etc/network/interfaces", 3),)
    assert ids() == [], "asked for"
    value.update(arp_ignore="0", accept_ra="2")
    healthy.stanzas = (ifupdown.Stanza("br0", "inet", "manual", "/etc/network/interfaces", 3),)
    healthy.links["br0"] = LINKS["br0"]._replace(addresses=("192.168.92.2/24",))
    assert ids() == [], "it is an interface of the router, and is to be one"


def test_module_missing(healthy, monkeypatch, root):
    without(healthy, "gretap1")
    asked = []
    monkeypatch.setattr(modules, "loadable", lambda name: asked.append(name))
    assert ids() == ["module-missing", "module-missing"] and set(asked) == {"ip_gre", "nf_tables"}
    (root / "lib/modules").mkdir(parents=True)
    assert ids() == ["reboot-needed", "reboot-needed"]


# Sounding


def test_an_address_that_is_nobodys_it_is_hoped():
    assert prober.candidate(ONE) == "192.168.92.254"
    assert prober.candidate(ONE._replace(remote="192.168.92.254", local="192.168.92.253")) == "192.168.92.252"
    assert prober.candidate(ONE._replace(local="fd00:178::1", remote="fd00:92::1")) == ""


# The command


def test_json(healthy, capsys):
    assert cli.main(["check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == 1 and found["problems"] == [] and found["checks"][0] == {"name": "settings", "outcome": "ok", "why": ""}
    healthy.heard = heard(full={END: False}, path={END: Path(1380, True)})
    assert cli.main(["check", "--json"]) == 1
    said = capsys.readouterr()
    (problem,) = json.loads(said.out)["problems"]
    assert problem["id"] == "path-mtu" and problem["tunnel"] == "gretap1" and problem["path"] == "/etc/l2wg/gretap1.conf"
    assert set(problem) == {"id", "tunnel", "path", "line", "key", "message", "hint"} and said.err == ""


def test_text(healthy, capsys):
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().err == "[l2wg] nothing is wrong\n"
    healthy.heard = heard(deaf={END: "no root"})
    healthy.pending = True
    assert cli.main(["check"]) == 1
    said = capsys.readouterr().err
    assert "l2wg: path MTU: could not be looked at: gretap1: no root\n" in said and "hint: l2wg confirm" in said and ": ok" not in said
    cli.main(["check", "-v"])
    assert "l2wg: bridge: ok\n" in capsys.readouterr().err
    cli.main(["check", "--passive"])
    assert "could not" not in capsys.readouterr().err


def test_scene_looks_once(healthy, monkeypatch):
    looks = []
    monkeypatch.setattr(link_table, "read", lambda: looks.append(1) or LINKS)
    scene = Scene()
    assert scene.links is scene.links and len(looks) == 1
    monkeypatch.setattr(preview, "intend", lambda: looks.append(1) or fail("no"))
    for _ in range(2):
        with pytest.raises(L2wgError):
            scene.intent
    assert len(looks) == 2
