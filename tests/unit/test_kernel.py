"""The kernel's modules and switches, and the ways of IP packets."""

import pytest
from l2wg_hooks.check import modules, routing
from l2wg_hooks.model import Link, Tunnel
from l2wg_hooks.plan.link_index import LinkIndex
from l2wg_hooks.system import process
from l2wg_hooks.system.process import Result

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
SIX = ONE._replace(name="six", local="fd00:178::1", remote="fd00:92::1")
THERE = {
    link.name: link
    for link in (
        Link("lo", 1, up=True, addresses=("127.0.0.1/8",)),
        Link("wg0", 3, "wireguard", up=True, addresses=("10.15.14.2/24",)),
        Link("enp2s0", 4, up=True, addresses=("192.168.178.1/24",)),
        Link("br0", 6, "bridge", up=True),
        Link("gretap1", 7, "gretap", up=True, master="br0", alias="l2wg"),
    )
}


def test_what_is_there_has_its_module():
    assert modules.wanted([ONE], THERE, False) == {}
    assert set(modules.wanted([ONE], {}, False)) == {"ip_gre", "bridge", "wireguard", "nf_tables"}
    assert set(modules.wanted([SIX, ONE._replace(name="v", encapsulation="vxlan")], THERE, False)) == {"ip6_gre", "vxlan"}
    classic = ONE._replace(mss_clamp="iptables")
    assert set(modules.wanted([classic], THERE, False)) == {"br_netfilter"} and modules.wanted([classic], THERE, True) == {}


def test_what_can_be_loaded(monkeypatch, root):
    (root / "sys/module/ip_gre").mkdir(parents=True)
    asked = []
    monkeypatch.setattr(process, "run", lambda argv: asked.append(argv) or Result(int(argv[-1] != "vxlan"), "", ""))
    assert modules.loadable("ip_gre") and not asked
    assert modules.loadable("vxlan") and not modules.loadable("nonsense")
    assert asked[0] == ("modprobe", "-n", "-q", "vxlan")


def test_module_missing_and_reboot_needed():
    (found,) = modules.judge({"ip_gre": ONE}, "6.1.0-cloud", True)
    assert found.id == "module-missing" and "6.1.0-cloud has no module ip_gre" in found.message
    (found,) = modules.judge({"ip_gre": ONE}, "6.1.0-9", False)
    assert found.id == "reboot-needed" and found.hint.startswith("reboot")
    assert list(modules.judge({}, "6.1.0-9", False)) == [], "whoever has all that it needs need not reboot"


def test_a_switch_that_is_not_there_is_empty(root):
    (root / "proc/sys/net").mkdir(parents=True)
    (root / "proc/sys/net/one").write_text("1\n")
    assert (modules.sysctl("net", "one"), modules.sysctl("net", "other"), modules.sysctl("other", "one")) == ("1", "", "")


def test_local_absent():
    assert routing.absent(ONE, LinkIndex(THERE)) is None
    found = routing.absent(SIX, LinkIndex(THERE))
    assert found.id == "local-absent" and "enp2s0, wg0" in found.message


@pytest.mark.parametrize(
    "device, filters, causes",
    [
        ("wg0", ["1", "1"], []),
        ("br0", ["0", "0"], []),
        ("br0", ["2", "1"], []),
        ("br0", ["1", "0"], ["rp-filter"]),
        ("enp1s0", ["0", "1"], ["rp-filter", "route"]),
        ("enp1s0", ["0", "2"], ["route"]),
        ("enp1s0", ["", ""], ["route"]),
        ("", ["0", "0"], ["route"]),
        ("", ["0", "2"], ["rp-filter", "route"]),
    ],
)
def test_route_and_rp_filter(device, filters, causes):
    assert [problem.id for problem in routing.elsewhere(ONE, *ONE.ends(), device, filters)] == causes


def test_rp_filter_is_cured_by_a_loose_one_and_ipv6_has_none():
    (found,) = routing.elsewhere(ONE._replace(underlay="wg.0"), *ONE.ends(), "br0", ["1", "0"])
    assert found.hint.startswith("sysctl -w net.ipv4.conf.wg/0.rp_filter=2 #")
    assert next(routing.elsewhere(ONE, *ONE.ends(), "", ["2", "0"])).hint == "ip route replace 192.168.92.1/32 dev wg0", "a loose one wants any route"
    (found,) = routing.elsewhere(SIX, *SIX.ends(), "enp1s0", ["1", "1"])
    assert found.id == "route" and found.hint.startswith("ip route replace fd00:92::1/128 dev wg0 #")


def test_forwarding():
    assert routing.stopped(ONE, LinkIndex(THERE), "1") is None and routing.stopped(ONE, LinkIndex(THERE), "") is None
    found = routing.stopped(ONE, LinkIndex(THERE), "0")
    assert found.id == "forwarding" and "hosts on enp2s0" in found.message and found.hint.startswith("sysctl -w net.ipv4.ip_forward=1 #")
    inner = ONE._replace(local="10.15.14.2")
    assert routing.stopped(inner, LinkIndex(THERE), "0") is None, "nobody has this router for a gateway, as far as one can see"
    links = dict(THERE, br0=THERE["br0"]._replace(addresses=("10.0.0.1/8",)))
    assert routing.stopped(inner, LinkIndex(links), "0").id == "forwarding"
    assert routing.stopped(SIX, LinkIndex(links), "0") is None, "it has no IPv6 address to be a gateway with"
