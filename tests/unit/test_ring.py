"""What a tunnel may close a ring with, and what is said of one. That frames are found to come round is the lab's to show."""

import pytest
from l2wg_hooks.apply import ring_probe
from l2wg_hooks.model import Link, Observed, Plan, Step, Tunnel, Walls, Wire
from l2wg_hooks.plan import commands, planner
from l2wg_hooks.probes import loop_probe, packet_socket

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
