"""The reference case: the file that the module makes asks for what the file of Debian's package asks for."""

import re

import pytest
from conftest import SITE_A, SITE_B, TREE
from l2wg_hooks.config import tunnel_file
from l2wg_hooks.model import Link
from l2wg_hooks.observe import link_table
from l2wg_hooks.plan import bridge_steps, planner

GOLDEN = TREE / "tests/golden"
# What debconf asks and `l2wg set` writes, with the answers of README.md.
ANSWERS = {
    "a": {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0", "bridge-ports": "enp3s0"},
    "b": {"underlay": "wg0", "local": "192.168.92.1", "remote": "192.168.178.1", "bridge": "br0"},
}
SITES = {"a": SITE_A, "b": SITE_B}
WG0 = Link("wg0", 5, "wireguard", up=True, mtu=1420)
BR0 = Link("br0", 6, "bridge", up=True, mac="52:54:00:00:00:01")
PORT = Link("enp3s0", 3, mac="52:54:00:00:00:03")
LAN = Link("enp2s0", 2, up=True, addresses=("192.168.178.1/24",))
WORLDS = {
    "nothing": (),
    "no bridge": (LAN, WG0, PORT),
    "all but the tunnel": (LAN, WG0, PORT, BR0),
    "a bridge of somebody's": (LAN, WG0, PORT, BR0._replace(stp=True, group_forward=bridge_steps.LINK_LOCAL)),
}


def read(text):
    tunnel, problems = tunnel_file.parse(text, "/etc/l2wg/gretap1.conf", "gretap1")
    assert problems == ()
    return tunnel


@pytest.fixture(params="ab")
def wishes(evaluate, request):
    """The tunnel by the NixOS module, by debconf's answers, and as it is written by hand in tests/golden."""
    got = evaluate(SITES[request.param])
    assert list(got["files"]) == ["l2wg/gretap1.conf"]
    return (
        read(got["files"]["l2wg/gretap1.conf"]),
        read(tunnel_file.fresh("gretap1", ANSWERS[request.param])),
        read((GOLDEN / "settings" / ("good-reference-%s.conf" % request.param)).read_text()),
    )


def test_the_same_wish(wishes):
    by_nix, *by_debian = wishes
    assert all(by_nix == wish for wish in by_debian)


@pytest.mark.parametrize("world", sorted(WORLDS) + sorted(path.name for path in (GOLDEN / "links").iterdir()))
def test_the_same_plan(wishes, world):
    if world in WORLDS:
        there = {link.name: link for link in WORLDS[world]}
    else:
        there = link_table.parse((GOLDEN / "links" / world).read_text())
    by_nix, *by_debian = [planner.plan([wish], there) for wish in wishes]
    assert all((by_nix.steps, by_nix.waiting, by_nix.rules) == (plan.steps, plan.waiting, plan.rules) for plan in by_debian)
    assert [problem.message for problem in by_nix.problems] == [problem.message for problem in by_debian[0].problems]
    if world == "all but the tunnel":
        assert any(re.match("ip link add name gretap1 .* type gretap local ", str(step)) for step in by_nix.steps)


def test_the_bridge_of_site_a_is_made(evaluate):
    got = evaluate(SITE_A)
    assert got["bridges"] == {"br0": ["enp3s0"]}
    br0 = got["interfaces"]["br0"]
    assert (br0["useDHCP"], br0["ipv4"]["addresses"], br0["ipv6"]["addresses"]) == (False, [], [])


def test_the_bridge_of_site_b_stays_as_it_is(evaluate):
    got = evaluate(SITE_B)
    assert got["bridges"] == {"br0": ["enp2s0"]}
    br0 = got["interfaces"]["br0"]
    assert (br0["useDHCP"], br0["ipv4"]["addresses"]) == (None, [{"address": "192.168.92.1", "prefixLength": 24}])
