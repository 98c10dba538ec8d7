"""The watch: one look puts right what nobody tells of, says so in one line, and the next looks start no Python. Where all is right,
or meant as it is, nothing is done.

What was called is seen by an `l2wg` that notes its words, what was told in the machine's journal, which the site gets by its socket.
"""

import re

import pytest
from test_own import own

# The script calls it by this name.
RECORDER = """\
mv /usr/bin/l2wg /usr/bin/l2wg.real
printf '#!/bin/sh\\necho "$*" >>/run/calls\\nexec /usr/bin/python3 -B /usr/bin/l2wg.real "$@"\\n' >/usr/bin/l2wg
chmod +x /usr/bin/l2wg
mkdir -p /run/systemd/journal
touch /run/systemd/journal/socket
"""
SOCKET = "mount --bind /run/systemd/journal/socket /lab/A/root/run/systemd/journal/socket"
LOOK = ": >/run/calls; /usr/lib/l2wg/look; cat /run/calls"
WATCH = "event watch timer"


class Watched:
    """Site A, and the looks there."""

    def __init__(self, pair) -> None:
        self.pair, self.site = pair, pair.a
        self.site.sh(RECORDER)
        pair.vm.sh(SOCKET)

    def look(self) -> list:
        """The calls of l2wg that came of it."""
        return self.site.sh(LOOK, timeout=60).stdout.splitlines()

    def settled(self) -> None:
        """Looks until one starts no Python."""
        for _ in range(3):
            if not self.look():
                return
        raise AssertionError("it starts a Python each time")

    def told(self) -> list:
        """The lines of the journal since this was asked last."""
        return self.pair.vm.sh("journalctl --sync; journalctl -q -t l2wg -o cat --cursor-file=/run/cursor; :").stdout.splitlines()

    def planned(self) -> str:
        result = self.site.l2wg("plan", check=False)
        assert result.rc in (0, 2), result.stderr
        return result.stdout if result.rc else ""

    def heals(self, fault: str) -> str:
        """A fault is put right by one look; the line that says so."""
        self.told()
        self.site.sh(fault)
        assert self.look() == [WATCH]
        assert self.planned() == ""
        lines = self.told()
        assert len(lines) == 1 and lines[0].startswith("the watch: "), lines
        self.pair.comes_back()
        self.settled()
        assert self.told() == []
        return lines[0]

    def leaves(self, state: str = "ip -d -o link | sed 's/ [a-z_]*_timer *[0-9.]*//g'; nft -s list ruleset") -> None:
        """A look changes nothing, and says nothing."""
        self.told()
        before = self.site.sh(state).stdout
        self.look()
        assert self.site.sh(state).stdout == before
        assert self.told() == []

    def forget(self) -> None:
        """What was put right until now does not count."""
        self.site.sh("rm -f /run/l2wg.healed")


@pytest.fixture(scope="module")
def lab(wired):
    found = Watched(wired)
    found.settled()
    return found


@pytest.fixture
def watched(lab):
    lab.forget()
    return lab


FAULTS = {
    "nft flush ruleset": "nftables rules: loaded",
    "ip link set gretap1 nomaster": "gretap1: port of br0",
    "ip link set enp3s0 nomaster": "enp3s0: port of br0",
    "ip link set gretap1 mtu 1400": "gretap1: MTU 1500",
    "ip link set gretap1 type gretap ttl inherit": "gretap1",
    "ip link set gretap1 type gretap csum": "gretap1: deleted (it was made with",
    "ip link delete gretap1": "gretap1: made",
    "sysctl -qw net.ipv4.conf.br0.arp_ignore=0": "sysctl",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_look_puts_it_right(watched, fault):
    assert FAULTS[fault] in watched.heals(fault)


HOOK = ": >/run/calls; IFACE=br0 ADDRFAM=inet MODE=start PHASE=post-up /etc/network/if-up.d/l2wg; cat /run/calls"


def test_an_event_asks_for_a_plan_only_where_something_differs(watched):
    """By ifupdown's hook. Where nothing does, it sends the probe that each event sends."""
    site = watched.site
    site.sh("[ -e /run/l2wg.lock ] || l2wg up wg0")
    watched.settled()
    mac = site.sh("cat /sys/class/net/gretap1/address").stdout.strip()
    sent = "cat /sys/class/net/gretap1/statistics/tx_packets"
    before = int(site.sh(sent).stdout)
    assert site.sh(HOOK).stdout == f"event probe br0/{mac}/gretap1\n"
    assert int(site.sh(sent).stdout) > before
    for fault in ("ip link delete gretap1", "nft flush ruleset", "ip link set enp3s0 nomaster", "sysctl -qw net.ipv4.conf.br0.arp_ignore=0"):
        site.sh(fault)
        assert site.sh(HOOK).stdout.splitlines()[:1] == ["event up br0"] and watched.planned() == "", fault
        watched.settled()
    site.sh("l2wg down gretap1")
    watched.look()
    assert site.sh(HOOK).stdout.splitlines()[:1] == ["event up br0"] and "gretap1" in site.links()
    watched.pair.comes_back()
    watched.settled()
    assert site.sh(HOOK).stdout.startswith("event probe ")


def test_vlans_of_a_bridge_that_filters_them(watched):
    watched.heals("ip link set br0 type bridge vlan_filtering 1; bridge vlan del dev gretap1 vid 2-4094")
    vlans = watched.site.sh("bridge -compressvlans vlan show dev gretap1").stdout
    assert "2-4094" in vlans
    watched.heals("bridge vlan del dev gretap1 vid 40-50")
    watched.site.sh("ip link set br0 type bridge vlan_filtering 0")
    watched.settled()


@pytest.mark.parametrize("down", ["l2wg down wg0", "l2wg down gretap1", "l2wg down --all"])
def test_what_was_taken_down_on_purpose_stays_down(watched, down):
    watched.site.sh(down)
    watched.leaves()
    watched.leaves()
    assert "gretap1" not in watched.site.links()
    watched.site.sh("l2wg up wg0")
    watched.pair.comes_back()
    watched.heals("ip link delete gretap1")


def test_an_interface_that_is_made_anew_is_no_longer_down(watched):
    """As by a manager that tells nobody."""
    watched.site.sh("l2wg event down br0; ip link delete br0")
    # The rules name the bridge's address; the tunnel stays as it is.
    watched.look()
    watched.leaves()
    assert not watched.site.links()["gretap1"].get("master")
    watched.site.sh("ip link add br0 type bridge; ip link set br0 up")
    watched.look()
    assert watched.planned() == ""
    watched.pair.comes_back()
    watched.settled()


def test_what_is_edited_is_left_alone_until_it_is_applied(watched):
    site = watched.site
    site.sh("cp /etc/l2wg/gretap1.conf /root/")
    site.l2wg("set", "gretap1", "mtu=1400")
    watched.leaves()
    # What it had is guarded still.
    site.sh("nft flush ruleset")
    watched.look()
    assert "192.168.92.1" in site.sh("nft list table inet l2wg").stdout
    watched.settled()
    site.sh("mv /etc/l2wg/gretap1.conf /root/other")
    watched.leaves()
    site.sh("mv /root/gretap1.conf /etc/l2wg/gretap1.conf; echo '# a comment' >>/etc/l2wg/gretap1.conf")
    watched.forget()
    watched.heals("ip link set gretap1 mtu 1400")


def test_while_a_change_waits_nothing_is_done(watched):
    site = watched.site
    site.sh("touch /var/lib/l2wg/transaction; ip link set gretap1 mtu 1400")
    assert watched.look() == [WATCH]
    site.sh(f"l2wg {WATCH}")  # whoever calls it
    assert site.links()["gretap1"]["mtu"] == 1400
    site.sh("rm /var/lib/l2wg/transaction")
    # ... or while one is made.
    site.sh(f"flock /run/l2wg.files l2wg {WATCH}; flock /run/l2wg.lock l2wg {WATCH}")
    assert site.links()["gretap1"]["mtu"] == 1400
    assert watched.look() == [WATCH] and site.links()["gretap1"]["mtu"] == 1500
    watched.settled()


def test_what_something_keeps_undoing_is_put_right_less_often_but_for_the_guard(watched):
    site, undo = watched.site, "ip link set gretap1 mtu 1400; nft flush ruleset"
    watched.told()
    for _ in range(3):
        site.sh(undo)
        watched.look()
    lines = watched.told()
    often = [line for line in lines if "something keeps undoing this" in line]
    assert len(lines) == 3 and often == lines[2:] and re.search(r"\(gretap1, nftables rules\)", often[0]), lines
    for _ in range(2):
        site.sh(undo)
        watched.look()
        assert site.links()["gretap1"]["mtu"] == 1400
        assert "192.168.92.1" in site.sh("nft list table inet l2wg").stdout, "open is worse than busy"
    assert watched.told() == []
    # It waits without a Python; another fault is not held up by it.
    watched.settled()
    site.sh("ip link set gretap1 nomaster")
    watched.look()
    assert site.links()["gretap1"].get("master") == "br0" or watched.planned()
    # When its time has come.
    site.sh("""python3 -c "import json; path = '/run/l2wg.healed'; found = json.load(open(path))
json.dump({key: [times, last - 61] for key, (times, last) in found.items()}, open(path, 'w'))"; rm /run/l2wg.look""")
    watched.look()
    assert site.links()["gretap1"]["mtu"] == 1500
    watched.settled()


@pytest.mark.long
def test_a_fault_of_the_watch_harms_nothing(watched):
    """A full /run, files that are not ours, commands that are missing: an event works, and so does what stands."""
    site = watched.site
    for odd in ("mkdir -p {}", "mkfifo {}", "ln -s /etc/shadow {}", "head -c 99999 /dev/urandom >{}"):
        for path in ("/run/l2wg.look", "/run/l2wg.healed", "/run/l2wg.down"):
            site.sh(f"rm -rf {path}; {odd.format(path)}")
        assert watched.look() == [WATCH]
        site.sh("ip link set gretap1 mtu 1400")
        watched.look()
        assert site.links()["gretap1"]["mtu"] == 1500
        site.sh("rm -rf /run/l2wg.look /run/l2wg.healed /run/l2wg.down")
    assert site.sh("stat -c %a /etc/shadow").stdout == "640\n"
    watched.pair.vm.sh("mount -o remount,size=1M /lab/A/root/run")
    site.sh("ip link set gretap1 mtu 1400; cat /dev/zero >/run/full", check=False)
    assert watched.site.sh("l2wg event up br0; ls -l /run/full").rc == 0 and site.links()["gretap1"]["mtu"] == 1500
    site.sh("ip link set gretap1 mtu 1400; /usr/lib/l2wg/look; rm /run/full")
    assert site.links()["gretap1"]["mtu"] == 1500
    watched.settled()
    watched.pair.comes_back()


def test_ways_and_iptables(lab):
    """VXLAN has policy routes; iptables sees the bridge for the clamp and the pass."""
    pair, site = lab.pair, lab.site
    pair.both(lambda other: other.l2wg("set", "gretap1", "encapsulation=vxlan", "mss-clamp=iptables", "forward=accept"))
    pair.both(lambda other: other.l2wg("apply"))
    pair.comes_back()
    lab.forget()
    lab.settled()
    table = re.search(r"lookup (\d+)", site.sh("ip rule show priority 4789").stdout).group(1)
    for fault in (
        f"ip route delete 192.168.92.1 table {table}",
        "ip rule delete priority 4789",
        "iptables -D FORWARD -j l2wg",
        "ip6tables -t mangle -F l2wg",
        "ip link set br0 type bridge nf_call_iptables 0",
    ):
        lab.heals(fault)


@pytest.mark.long
def test_a_wire_of_its_own(lab):
    pair, site = lab.pair, lab.site
    pair.both(lambda other: other.l2wg("set", "gretap1", "encapsulation=gretap", "mss-clamp=nftables", "forward=as-is"))
    pair.both(lambda other: own(other, pair.keys))
    pair.comes_back()
    lab.forget()
    lab.settled()
    inside = "ip netns exec l2wg"
    for fault in (
        "ip netns delete l2wg",
        f"{inside} wg set l2w0 listen-port 5555",
        f"{inside} sysctl -qw net.ipv4.ip_forward=1",
        "ip -n l2wg route flush proto boot",
        "ip link delete gretap1",
    ):
        lab.heals(fault)
    assert site.sh("ip netns exec l2wg wg show l2w0 listen-port").stdout == "4901\n"
