"""A second way between the sites: found before the tunnel that closes the ring forwards its first frame."""

import pytest

# One broadcast of a host behind B, and a second in which it may go round.
ASK = "ip netns exec hostB arping -q -c 1 -w 1 -I eth0 192.168.92.77; sleep 1"
CABLE = """
ip link add cable netns A type veth peer name cable netns B
for site in A B; do ip -n $site link set cable master br0 up; done
"""


def frames(pair):
    """How many have come to B from A, by gretap1."""
    return int(pair.b.sh("cat /sys/class/net/gretap1/statistics/rx_packets 2>/dev/null || echo 0").stdout)


@pytest.fixture
def six(wired):
    """A's end of a second tunnel forwards, as its event has it."""
    for site, own, far in ((wired.a, "192.168.178.1", "192.168.92.1"), (wired.b, "192.168.92.1", "192.168.178.1")):
        site.sh(f"l2wg set six underlay=wg0 bridge=br0 key=6 local={own} remote={far}")
    wired.a.l2wg("up", "wg0")
    assert wired.a.links()["six"]["master"] == "br0"
    yield wired
    for site in wired.sites:
        site.sh("rm -f /etc/l2wg/six.conf*; l2wg set gretap1 isolated=no; l2wg up wg0")
        assert "six" not in site.links()
    wired.comes_back()


def refused(site, name, port):
    """`l2wg apply` at `site` says which port a frame came back by, and leaves nothing behind."""
    result = site.l2wg("apply", check=False)
    assert result.rc == 1
    assert f"a frame that left by it came back by {port}" in result.stderr and "hint: leave this tunnel out" in result.stderr
    links = site.links()
    assert "l2wg-aside" not in links and links.get(name, {}).get("master") != "br0"


def test_a_ring_of_two_tunnels_is_refused(six):
    before = frames(six)
    refused(six.b, "six", "gretap1")
    six.vm.sh(ASK)
    came = frames(six) - before
    assert came < 50
    assert "six" not in six.b.links() and six.b.exists("/etc/l2wg/six.conf.rejected") and not six.b.exists("/etc/l2wg/six.conf")
    # That is what would have been: somebody has an event wire it up, and one question is asked.
    before = frames(six)
    six.b.sh("mv /etc/l2wg/six.conf.rejected /etc/l2wg/six.conf; l2wg up wg0")
    six.vm.sh(f"{ASK}; ip -n B link del six")
    assert frames(six) - before > 10 * max(came, 10)
    # By which of the two tunnels a bridge has heard a host last, in the storm, is chance.
    six.vm.sh("for site in A B; do ip -n $site link set br0 type bridge fdb_flush; done")
    six.comes_back()


def test_isolated_tunnels_close_none(six):
    six.b.l2wg("set", "gretap1", "isolated=yes")
    six.b.l2wg("set", "six", "isolated=yes")
    six.b.l2wg("apply")
    links = six.b.links()
    assert links["six"]["master"] == links["gretap1"]["master"] == "br0"
    before = frames(six)
    six.vm.sh(ASK)
    assert frames(six) - before < 50
    # One that is isolated no more forwards to the other.
    six.b.l2wg("set", "six", "isolated=no")
    refused(six.b, "", "gretap1")
    assert six.b.links()["six"]["linkinfo"]["info_slave_data"]["isolated"] is True


def test_a_cable_between_the_lans(wired):
    """Of a kind with it: on a bench, both LANs in one switch."""
    wired.b.sh("mv /etc/l2wg/gretap1.conf /root; l2wg apply --no-rehearsal; mv /root/gretap1.conf /etc/l2wg")
    wired.vm.sh(CABLE)
    try:
        refused(wired.b, "gretap1", "cable")
    finally:
        wired.vm.sh("ip -n A link del cable")
    wired.b.sh("mv /etc/l2wg/gretap1.conf.rejected /etc/l2wg/gretap1.conf")
    wired.b.l2wg("apply")
    wired.comes_back()
