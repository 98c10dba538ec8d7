"""What a tunnel may close a ring with, and what is said of one. That frames are found to come round is the lab's to show."""

import contextlib

import pytest
from l2wg_hooks.apply import ring_probe
from l2wg_hooks.model import Link, Observed, Plan, Rules, Step, Tunnel, Walls, Wire
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import commands, planner
from l2wg_hooks.probes import loop_probe, packet_socket
from l2wg_hooks.reconcile import reconcile
from l2wg_hooks.system import network_namespace, process

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", path="/etc/l2wg/gretap1.conf", lines={"bridge": 4})
TWO = Tunnel("gretap2", "wg0", "192.168.178.1", "192.168.93.1", "br0")
WG0 = Link("wg0", 3, "wireguard", up=True, mtu=1420)
LAN = Link("enp3s0", 5, up=True, master="br0")
BRIDGE = Link("br0", 6, "bridge", up=True)
WIRED = Link("gretap1", 7, "gretap", up=True, master="br0", alias="l2wg")


def found(tunnels, *links, changed=("gretap1", "gretap2")):
    return {newcomer.tunnel.name: newcomer.others for newcomer in ring_probe.joining(tunnels, {link.name: link for link in links}, changed)}


@pytest.mark.parametrize(
    "tunnels, links, want",
    [
        ([ONE], [WG0, BRIDGE], {}),
        ([ONE], [WG0, BRIDGE, LAN], {"gretap1": ("enp3s0",)}),
        ([ONE], [WG0, BRIDGE, LAN, WIRED], {}),
        ([ONE], [WG0, BRIDGE, LAN, WIRED._replace(master="")], {"gretap1": ("enp3s0",)}),
        ([ONE], [WG0, BRIDGE, LAN._replace(up=False)], {}),
        ([ONE, TWO], [WG0, BRIDGE, WIRED], {"gretap2": ("gretap1",)}),
        # Both at once, and where their bridge is not there yet, either.
        ([ONE, TWO], [WG0], {"gretap1": ("gretap2",), "gretap2": ("gretap1",)}),
        ([ONE, TWO._replace(bridge="br1")], [WG0, BRIDGE, WIRED], {}),
        # It is not made before its underlay is there.
        ([ONE, TWO], [BRIDGE, WIRED], {}),
        ([ONE, TWO], [WG0._replace(up=False), BRIDGE, WIRED], {}),
        ([ONE, TWO], [WG0._replace(kind="dummy"), BRIDGE, WIRED], {}),
        # STP cuts a ring by itself.
        ([ONE, TWO], [WG0, BRIDGE._replace(stp=True), WIRED], {}),
        ([ONE._replace(stp=True), TWO._replace(stp=True)], [WG0], {}),
        # From an isolated port to another one nothing passes, to all others it does.
        ([ONE._replace(isolated=True), TWO._replace(isolated=True)], [WG0], {}),
        ([ONE._replace(isolated=True), TWO], [WG0], {"gretap1": ("gretap2",), "gretap2": ("gretap1",)}),
        ([TWO._replace(isolated=True)], [WG0, BRIDGE, LAN._replace(isolated=True)], {}),
        # Somebody's interface of that name: the plan refuses it.
        ([ONE, TWO], [WG0, BRIDGE, WIRED, Link("gretap2", 9, "dummy", up=True)], {}),
    ],
)
def test_what_joins_beside_something_else(tunnels, links, want):
    assert found(tunnels, *links) == want


def test_what_events_join_anyhow_is_not_asked_about():
    assert found([ONE, TWO], WG0, changed=["gretap2"]) == {"gretap2": ("gretap1",)}
    assert found([ONE], WG0, BRIDGE, LAN, changed=[]) == {}


def test_who_is_isolated_no_more_forwards_to_the_others():
    alone = [WIRED._replace(isolated=True), WIRED._replace(name="gretap2", isolated=True)]
    assert found([ONE, TWO._replace(isolated=True)], WG0, BRIDGE, *alone) == {"gretap1": ("gretap2",)}
    assert found([ONE, TWO], WG0, BRIDGE, *alone) == {"gretap1": ("gretap2",), "gretap2": ("gretap1",)}
    assert found([tunnel._replace(isolated=True) for tunnel in (ONE, TWO)], WG0, BRIDGE, *alone) == {}


def test_a_ring_is_told_once_with_all_ways_out():
    asked = [ring_probe.Joining(ONE, ("enp3s0", "gretap2")), ring_probe.Joining(TWO, ("gretap1",))]
    (problem,) = ring_probe.judge(asked, {("gretap1", "gretap2"), ("gretap1", "enp3s0")})
    assert (problem.path, problem.line, problem.key) == ("/etc/l2wg/gretap1.conf", 4, "bridge")
    assert "a frame that left by it came back by enp3s0" in problem.message
    for choice in ("leave this tunnel out", "by enp3s0, find and cut that way", "isolated = yes", "STP"):
        assert choice in problem.hint
    assert not list(ring_probe.judge(asked, set()))
    assert not list(ring_probe.judge(asked, {("gretap2", "enp4s0")})), "not a port of its bridge"


def test_only_what_makes_and_guards_these_tunnels():
    steps = [Step(("ip", "x"), "", group) for group in ("gretap1", planner.GUARD, "ways", "gretap2", "br0")]
    assert [step.group for step in ring_probe.only(Plan(tuple(steps)), ["gretap2"]).steps] == [planner.GUARD, "gretap2"]


def test_an_own_wire_leads_its_new_tunnel_before_that_is_asked_for_a_ring():
    """To a peer that WireGuard does not know nothing goes, so nothing would come back either."""
    tunnel = ONE._replace(underlay="l2w0", wire="own")
    there = {"br0": Link("br0", 6, "bridge", up=True)}
    todo = planner.plan((tunnel,), there, seen=Observed(walls=Walls(wires={"l2w0": Wire((tunnel.local + "/32",), 1420)})))
    found = ring_probe.only(todo, [tunnel.name], ring_probe._wires([tunnel, ONE]))
    groups = {step.group for step in found.steps}
    assert groups >= {tunnel.name, "l2w0", planner.GUARD, commands.OF_NAMESPACE} and found.synced == ("l2w0",)
    assert {step.group for step in todo.steps} - groups <= {"br0"}


def test_nobodys_address_and_only_probes():
    from test_packet_socket import ethernet, taken

    frame = loop_probe.frame(ONE, b"\x02\0\0\0\0\7")
    assert frame[:12] == loop_probe.BROADCAST + b"\x02\0\0\0\0\7" and len(frame) >= 60
    program = packet_socket.type_filter(loop_probe.ETHERTYPE)
    assert taken(program, frame) and not taken(program, ethernet(0x0800, bytes(50))) and not taken(program, b"")
    assert not taken(program, frame, packet_socket.PACKET_OUTGOING), "one a tunnel, and no room for what comes"


class Ears:
    """Packet sockets of two network namespaces, with their interfaces: `back` gives what is heard, (device, out), once a frame was sent."""

    def __init__(self, monkeypatch, here, inside=()):
        self.now, self.opened, self.closed, self.sent, self.heard = here, 0, 0, [], []
        self.back = lambda device, frame: ()
        ears = self

        class OpenEar:
            def __init__(self, program):
                ears.opened += 1
                self.names = ears.now

            def hear(self):
                mine = [packet for packet in ears.heard if packet.device in self.names]
                return ears.heard.pop(ears.heard.index(mine[0])) if mine else None

            def send(self, device, frame):
                ears.sent.append(device)
                ears.heard += [packet_socket.Packet(name, frame, out) for name, out in ears.back(device, frame)]

            def close(self):
                ears.closed += 1

        def within(name, work):
            ears.now = inside
            try:
                return work()
            finally:
                ears.now = here

        monkeypatch.setattr(packet_socket, "OpenEar", OpenEar)
        monkeypatch.setattr(network_namespace, "within", within)
        monkeypatch.setattr(ring_probe.socket, "if_nameindex", lambda: list(enumerate(ears.now, 1)))
        monkeypatch.setattr(ring_probe.select, "select", lambda *_: None)
        monkeypatch.setattr(ring_probe, "PAUSE", 0.01)


@pytest.mark.parametrize("count", [2, 1500])
def test_a_fixed_number_of_sockets_hears_all(monkeypatch, count):
    """A process has 1,024 descriptors, and each of those that were closed took the kernel some milliseconds."""
    tunnels = [TWO._replace(name=f"t{number}") for number in range(count)]
    names = tuple(tunnel.name for tunnel in tunnels)
    ears = Ears(monkeypatch, ("lo", "enp3s0", *names))
    asked = [ring_probe.Joining(tunnel, ("enp3s0", *names[:2])) for tunnel in tunnels]
    monkeypatch.setattr(ring_probe, "TIMES", 2)
    assert ring_probe._back(asked) == set()
    assert (ears.opened, ears.closed) == (1, 1)
    assert ears.sent == list(names) * 2


def test_what_comes_back(monkeypatch):
    ears = Ears(monkeypatch, ("enp3s0", "enp4s0", "gretap1", "gretap2"))
    asked = [ring_probe.Joining(ONE, ("enp3s0", "gretap2")), ring_probe.Joining(TWO, ("enp3s0", "gretap1"))]
    # By a port of no bridge of theirs; on its way out; and by one that counts.
    ears.back = lambda device, frame: [("enp4s0", False), ("gretap2", True), ("enp3s0", False)] * (device == "gretap1")
    assert ring_probe._back(asked) == {("gretap1", "enp3s0")}
    assert ears.sent == ["gretap1", "gretap2"], "and no more of them, for one that has come back"
    ears.back = lambda device, frame: [("enp3s0", False)] if ears.heard.append(packet_socket.Packet("enp3s0", bytes(60), False)) else ()
    assert ring_probe._back(asked) == set(), "a probe of somebody else's"


def test_what_is_in_the_other_namespace_has_a_socket_there(monkeypatch, root):
    (root / "run/netns").mkdir()
    (root / "run/netns/l2wg").write_text("")
    ears = Ears(monkeypatch, ("enp3s0", "gretap1"), ("lo", "gretap2", "gretap1"))
    ears.back = lambda device, frame: [("gretap2", False)] * (device == "gretap1")
    asked = [ring_probe.Joining(ONE, ("enp3s0", "gretap2")), ring_probe.Joining(TWO, ("enp3s0", "gretap1"))]
    assert ring_probe._back(asked) == {("gretap1", "gretap2")}
    assert (ears.opened, ears.closed) == (2, 2) and ears.sent == ["gretap1", "gretap2"]


def test_the_rules_are_loaded_as_they_stay():
    """Not once more for the bridge that they wait in."""
    links = {link.name: link for link in (WG0, BRIDGE, LAN, Link("lo", 1, addresses=("192.168.178.1/24",)))}
    aside = dict(links, **{ring_probe.ASIDE: Link(ring_probe.ASIDE, 8, "bridge")})
    final = planner.plan((ONE,), aside)
    todo = ring_probe.only(planner.plan((ONE._replace(bridge=ring_probe.ASIDE, isolated=True),), aside), [ONE.name])
    assert todo.rules != final.rules
    found = ring_probe.with_rules(todo, final)
    assert found.rules == final.rules == planner.plan((ONE,), links).rules
    assert found.steps == todo.steps and found.steps[0].group == planner.GUARD
    loaded = Observed(rules=Rules([nftables.entry(ONE)], {ONE.name: nftables.value(ONE, links)}))
    found = ring_probe.with_rules(todo, planner.plan((ONE,), aside, seen=loaded))
    assert found.rules is None and found.steps == todo.steps[1:]


def test_they_wait_up_until_somebody_has_joined_them(monkeypatch):
    """Down and up again costs a command each, and a VXLAN its socket."""
    links = {link.name: link for link in (WG0, BRIDGE, LAN, Link("lo", 1, addresses=("192.168.178.1/24",)))}
    made = dict(local=ONE.local, remote=ONE.remote, underlay="wg0", pmtudisc=False, ignore_df=True, ttl=64, mac=ONE.mac)
    ran = []

    def execute(todo, _):
        ran.extend(" ".join(step.argv) for step in todo.steps)
        links[ONE.name] = WIRED._replace(master=ring_probe.ASIDE, isolated=True, **made)

    monkeypatch.setattr(link_table, "read", lambda: dict(links))
    monkeypatch.setattr(snapshot, "look", lambda *_: Observed())
    monkeypatch.setattr(reconcile, "execute", execute)
    monkeypatch.setattr(ring_probe, "_back", lambda asked: set())
    monkeypatch.setattr(process, "output", lambda *argv: links.update({ring_probe.ASIDE: Link(ring_probe.ASIDE, 8, "bridge")}))
    monkeypatch.setattr(process, "run", lambda argv, stdin="": ran.append(" ".join(argv) + stdin) or process.Result(0, "", ""))
    with contextlib.ExitStack() as aside:
        assert ring_probe.problems((ONE,), [ONE.name], aside) == ()
        assert not [line for line in ran if line.endswith("gretap1 down")]
        steps = planner.plan((ONE,), links).steps
        assert [step.argv for step in steps if step.group == ONE.name] == [("ip", "link", "set", "dev", "gretap1", "master", "br0")]
        links[ONE.name] = WIRED
        ran.clear()
    assert ran == ["ip -force -batch -link delete dev l2wg-aside\n"]
