"""Level-triggered: whichever comes last, bridge or WireGuard, finishes the work."""

import itertools

import pytest

pytestmark = pytest.mark.two_cpus
STARTS = {"bridge": ["ifup", "br0"], "wireguard": ["wg-quick", "up", "wg0"]}


# On whole routers, either order by systemd: router/test_router.py. Here they are for `make long`, and for the kernels.
@pytest.mark.long
@pytest.mark.parametrize("order", list(itertools.permutations(STARTS)), ids="-then-".join)
def test_order(pair, order):
    pair.configure()
    pair.both(lambda site: site.sh("ifdown br0"))
    assert not any("br0" in site.links() or "wg0" in site.links() for site in pair.sites)
    for thing in order:
        assert not pair.wired()
        pair.both(lambda site: site.run(STARTS[thing], timeout=120))
    pair.comes_back()
    for site in pair.sites:
        assert site.l2wg("plan", check=False).rc == 0


def test_both_at_once(pair):
    pair.configure()
    pair.both(lambda site: site.sh("ifdown br0"))
    pair.both(lambda site: site.sh("ifup br0 & a=$!; wg-quick up wg0 & b=$!; wait $a && wait $b", timeout=120))
    pair.comes_back()


def test_a_port_that_comes_late(pair):
    """A USB network card, say: nothing is wrong without it, and its event plugs it in."""
    pair.vm.sh("ip -n device link set eth0 down; ip -n A link set enp3s0 down; ip -n A link set enp3s0 name later0")
    pair.wireguard()
    pair.configure()
    assert not pair.wired()
    pair.vm.sh("ip -n A link set later0 name enp3s0; ip -n device link set eth0 up")
    pair.a.run(["l2wg", "event", "up", "enp3s0"])
    pair.comes_back()
