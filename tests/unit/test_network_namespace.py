"""Links of two network namespaces as one table, and who is asked in which. What the kernel does is the lab's: test_own.py."""

import socket

import pytest
from l2wg_hooks.model import Link, Step
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import process
from l2wg_hooks.system.process import Result

TAP = Link("gretap1", 9, "gretap", alias="l2wg", underlay="enp1s0", link_netns="3")
OUTSIDE = {link.name: link for link in (Link("enp1s0", 2), Link("br0", 6, "bridge"), TAP)}
INSIDE = {link.name: link for link in (Link("lo", 1), Link("l2w0", 2, "wireguard"), Link("gre0", 3, "gre"), Link("eth7", 4))}


def test_links_of_both_are_one_table():
    found = link_table.joined(OUTSIDE, INSIDE, 3)
    assert set(found) == {"enp1s0", "br0", "gretap1", "l2w0"}
    assert (found["l2w0"].namespace, found["l2w0"].link_netns) == ("l2wg", "l2wg")
    # ip(8) takes the name of the underlay from the wrong namespace: number 2 is enp1s0 out here.
    assert (found["gretap1"].underlay, found["gretap1"].link_netns, found["gretap1"].namespace) == ("l2w0", "l2wg", "")


@pytest.mark.parametrize("underlay, name", [("if2", "l2w0"), ("if9", ""), ("wg0", ""), ("", "")])
def test_an_underlay_that_has_no_name_out_here(underlay, name):
    tap = TAP._replace(underlay=underlay)
    assert link_table.joined({"gretap1": tap}, INSIDE, 3)["gretap1"].underlay == name


def test_a_tunnel_of_another_namespace_is_not_taken_for_one_of_ours():
    """One of that name that has gone, and whose interfaces go some moments later."""
    for number in (4, None):
        found = link_table.joined(OUTSIDE, INSIDE, number)["gretap1"]
        assert (found.link_netns, found.underlay) == ("3", "enp1s0")


def test_a_name_that_both_have_is_the_routers_own():
    found = link_table.joined(dict(OUTSIDE, l2w0=Link("l2w0", 7, "dummy")), INSIDE, 3)
    assert (found["l2w0"].kind, found["l2w0"].namespace) == ("dummy", "")


def test_a_tunnel_that_has_not_moved_yet_is_seen():
    half = {"gretap2": Link("gretap2", 5, "gretap", alias="l2wg"), "gretap3": Link("gretap3", 6, "gretap")}
    found = link_table.joined(OUTSIDE, dict(INSIDE, **half), 3)
    assert found["gretap2"].namespace == "l2wg" and "gretap3" not in found


@pytest.mark.parametrize("there, here, prefix", [(True, False, ("ip", "netns", "exec", "l2wg")), (True, True, ()), (False, False, ())])
def test_wg_is_asked_where_the_interface_is(monkeypatch, root, there, here, prefix):
    if there:
        (root / "run/netns").mkdir(parents=True)
        (root / "run/netns/l2wg").write_text("")
    monkeypatch.setattr(socket, "if_nametoindex", lambda name: 5 if here else _absent())
    assert wg_interfaces.command("l2w0", "show", "l2w0", "dump") == prefix + ("wg", "show", "l2w0", "dump")


def _absent():
    raise OSError("no such device")


def test_where_there_is_no_namespace_nobody_looks_for_one(monkeypatch):
    ran = []
    monkeypatch.setattr(process, "run", lambda argv: ran.append(argv) or Result(0, "[]", ""))
    assert link_table.read() == {} and len(ran) == 1


def steps(*rows):
    return [Step(tuple(command.split()), "why", group, needs) for command, group, needs in rows]


def test_what_is_inside_goes_by_one_command_and_what_needs_it_waits_for_it(monkeypatch):
    ran = []

    def fake(argv, stdin=""):
        ran.append((" ".join(argv), stdin))
        return Result(1, "", "no\nCommand failed -:1\n") if fails in stdin else Result(0, "", "")

    monkeypatch.setattr(process, "run", fake)
    rows = (
        ("ip netns add l2wg", "namespace l2wg", ""),
        ("ip netns exec l2wg wg syncconf l2w0 /run/x", "namespace l2wg", ""),
        ("ip link add name l2w0 netns l2wg type wireguard", "l2w0", "namespace l2wg"),
        ("ip -n l2wg link set dev l2w0 up", "l2w0", "namespace l2wg"),
        ("ip -n l2wg link add name gretap1 type gretap", "gretap1", "l2w0"),
        ("ip link set dev gretap1 up", "gretap1", "l2w0"),
        ("ip link set dev gretap2 up", "gretap2", ""),
    )
    fails = "nothing"
    assert executor.apply(steps(*rows)) == ()
    alone = "ip netns exec l2wg wg syncconf l2w0 /run/x"
    assert [command for command, _ in ran] == ["ip -batch -", alone, "ip -batch -", "ip -n l2wg -batch -", "ip -batch -"]
    assert ran[3][1] == "link set dev l2w0 up\nlink add name gretap1 type gretap\n"
    # What makes WireGuard: no tunnel of it is tried, and others are.
    ran.clear()
    fails = "wireguard"
    (problem,) = executor.apply(steps(*rows))
    assert problem.message.startswith("l2w0: `ip link add name l2w0")
    assert [stdin for _, stdin in ran] == ["netns add l2wg\n", "", "link add name l2w0 netns l2wg type wireguard\n", "link set dev gretap2 up\n"]


def test_a_group_takes_along_all_that_needs_it_at_any_distance():
    rows = steps(("a", "1", ""), ("b", "2", "1"), ("c", "3", "2"), ("d", "4", ""))
    assert [step.group for step in executor._without(rows, "1")] == ["4"]
    assert [step.group for step in executor._without(rows, "2")] == ["1", "4"]
