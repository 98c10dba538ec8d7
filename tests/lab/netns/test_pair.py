"""Two cards, two pastes: sites whose WireGuard was made by hand, and a third one from nothing that joins while others use the wire.

One story, in this order. C is a site of its own behind B's other port; `stick` is plugged into it.
"""

import re
import sys
import time
from pathlib import Path

import pytest
import topology
from hosts import eventually
from sites import NEW_SITE, Namespace, Pair, Site

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from l2wg_hooks.config.card import Card, encode

C_ADDRESS, B_FOR_C = "198.51.100.2", "198.51.100.1"


class Pings:
    """Pings at 10 Hz, and how many of them nobody answered."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.running = source.start(["ping", "-n", "-i", "0.1", "-W", "5", target], timeout=300)
        time.sleep(1)

    def lost(self) -> int:
        """Ends them. The last few may have been under way."""
        time.sleep(1)
        self.source.vm.sh(f"for p in $(pgrep -x ping); do ! tr '\\0' ' ' </proc/$p/cmdline | grep -q ' {self.target} ' || kill -INT $p; done")
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", self.running.wait().stdout)]
        assert len(numbers) > 10
        return max(numbers) - min(numbers) + 1 - len(set(numbers))


@pytest.fixture(scope="module")
def sites(vm):
    pair = Pair(vm).fresh()
    pair.wireguard()
    vm.run(["sh", "-c", NEW_SITE, "sh", "C"])
    pair.c = Site(vm, "C")
    pair.stick = Namespace(vm, "stick")
    vm.sh(f"""
        ip link add enp4s0 netns B type veth peer name enp1s0 netns C
        ip -n B address add {B_FOR_C}/24 dev enp4s0; ip -n B link set enp4s0 up
        ip -n C address add {C_ADDRESS}/24 dev enp1s0; ip -n C link set enp1s0 up
        ip netns add stick; ip link add eth0 netns stick type veth peer name enp3s0 netns C
        ip -n stick link set lo up; ip -n stick link set eth0 up; ip -n stick address add 192.168.92.60/24 dev eth0
    """)
    pair.c.write("/etc/network/interfaces", "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n")
    yield pair
    vm.sh("for pid in $(ip netns pids C; ip netns pids stick); do kill -9 $pid; done; ip netns del C; ip netns del stick; umount -R -l /lab/C")


def card(site, *words):
    out = site.l2wg("card", *words).stdout
    assert re.fullmatch(r"L2WG1:[A-Z2-7]+:[0-9A-F]{8}\n", out), out
    return out.strip()


def conf(site):
    return site.read("/etc/wireguard/wg0.conf")


def at_terminal(site, answer, text):
    """`l2wg pair` as somebody runs it who answers its question."""
    return site.sh(f"printf '{answer}\\n' | script -qec 'l2wg pair {text}' /dev/null", check=False, timeout=600)


def refused(site, *words):
    before = state(site)
    done = site.l2wg(*words, check=False)
    assert done.rc == 1 and state(site) == before, done.stderr
    return done.stderr


def state(site):
    """All that pairing could change: files with their modes, peers, routes, links."""
    return site.sh(
        "cd /etc; for f in wireguard/* l2wg/* network/interfaces.d/*; do [ ! -e $f ] || { stat -c '%n %a' $f; cat $f; }; done;"
        " wg show wg0 allowed-ips; wg show wg0 endpoints; wg show wg0 persistent-keepalive; ip -4 route; ip -br link | sed 's/@.*//' | cut -d' ' -f1 | sort",
        check=False,
    ).stdout


def no_secret(site, *results):
    key = re.search(r"PrivateKey = (\S+)", conf(site)).group(1)
    for result in results:
        assert key not in result.stdout + result.stderr
    assert site.sh("stat -c '%a %U' /etc/wireguard/wg0.conf").stdout == "600 root\n"
    assert site.sh("grep -rlF -e '%s' /etc /var/lib/l2wg /run /tmp 2>/dev/null" % key, check=False).stdout == "/etc/wireguard/wg0.conf\n"


def test_sites_whose_wireguard_is_made_by_hand(sites):
    """The peers are there: pairing finds them, adds its two lines and the tunnel, and no ping through wg0 is lost."""
    a, b = sites.sites
    before = {site.name: conf(site) for site in sites.sites}
    cards = {"A": card(a), "B": card(b, "--name", "site-b", "--endpoint", B_FOR_C)}
    assert "198.51.100.1:4900" in b.l2wg("card").stderr
    assert "nobody is here to agree" in refused(b, "pair", cards["A"])
    assert "the card is cut off" in refused(a, "pair", cards["B"][:-3], "--yes")
    pings = Pings(a, "10.15.14.1")
    # At a terminal, whose admin first says no.
    before_b = state(b)
    done = at_terminal(b, "n", cards["A"])
    assert done.rc == 1 and "Write this? [y/N]" in done.stdout and "nothing was changed" in done.stdout and state(b) == before_b
    done = at_terminal(b, "y", cards["A"])
    assert done.rc == 0, done.stdout
    assert "+++ /etc/l2wg/gretap1.conf" in done.stdout and "+PostUp = l2wg up %i || :" in done.stdout
    no_secret(b, done)
    # The card as a mail program wraps it, by standard input, and twice.
    wrapped = re.sub(r"(.{40})", r"\1\n", cards["B"].lower())
    done = a.run(["l2wg", "pair", "--yes", "--bridge-ports", "enp3s0"], input=wrapped + "\n", timeout=600)
    no_secret(a, done)
    assert f"site-b is called at MyRemoteServer.com:4900, as its [Peer] has it, not at {B_FOR_C}:4900" in done.stderr
    sites.comes_back()
    assert pings.lost() == 0
    for site in sites.sites:
        assert "".join(line for line in conf(site).splitlines(True) if "l2wg" not in line) == before[site.name]
        assert "10.15.14." in site.read("/etc/l2wg/gretap1.conf")
        assert site.l2wg("plan", check=False).rc == 0
    assert "bridge-ports   =\n" in b.read("/etc/l2wg/gretap1.conf"), "br0 is the admin's"


def test_twice_is_nothing_to_do(sites):
    before = state(sites.a)
    done = sites.a.l2wg("pair", card(sites.b), "--yes")
    assert "nothing to do" in done.stderr and state(sites.a) == before
    assert "on the other router" not in done.stderr, "they have met"


def test_init_from_nothing(sites):
    c = sites.c
    assert "there is no WireGuard interface on this router\n  hint: make one: l2wg init" in refused(c, "card")
    assert "is in the network of enp1s0" in refused(c, "init", "--shared", "--address", "198.51.100.9")
    assert "everybody takes wg0 for an interface of wg-quick(8)" in refused(c, "init", "wg0")
    done = c.l2wg("init", "--shared", "--name", "hut")
    no_secret(c, done)
    assert re.fullmatch(r"L2WG1:\S+\n", done.stdout)
    assert re.search(r"Address = 198\.1[89]\.\d+\.\d+/32\nListenPort = 51820\n", conf(c))
    assert "198.1" in c.sh("ip -4 -br address show dev wg0").stdout
    assert c.sh("stat -c %a /etc/wireguard").stdout == "700\n"
    assert "is there already, and a key is never replaced" in refused(c, "init", "--shared")
    assert "UDP port 51820 is in use" in refused(c, "init", "--shared", "wg1")


def test_a_third_site_joins_and_nobody_loses_a_ping(sites):
    b, c = sites.b, sites.c
    assert sites.stick.ping("192.168.92.10") == 0
    before = conf(b)
    pings = Pings(sites.a, "10.15.14.1"), Pings(sites.device, "192.168.92.10")
    hut = card(c)
    done = b.l2wg("pair", hut, "--yes")
    assert f"on the other router, if that has not been done: l2wg pair {card(b)}" in done.stderr
    assert conf(b).startswith(before), "what was there stays to the byte"
    assert re.search(r"\[Peer\]\n# hut, by `l2wg pair`\nPublicKey = \S+\nAllowedIPs = 198\.\S+/32\n\Z", conf(b))
    end = re.search(r"AllowedIPs = (198\S+)/32", conf(b)).group(1)
    assert f"{end} dev wg0" in b.sh("ip route").stdout
    done = c.l2wg("pair", card(b), "--yes", "--bridge-ports", "enp3s0")
    assert "PersistentKeepalive = 25\n" in conf(c) and f"Endpoint = {B_FOR_C}:4900\n" in conf(c)
    eventually(lambda: sites.stick.ping("192.168.92.10", size=1472, fragment=False, timeout=1) == 1, 20)
    assert sites.stick.ping("192.168.92.50") == 1, "site A's device, by way of the hub"
    assert [ping.lost() for ping in pings] == [0, 0]
    for site in (b, c):
        no_secret(site, done)
        assert site.l2wg("plan", check=False).rc == 0
    # What the file says and what the kernel has are the same: to start from the file changes nothing.
    now = state(c)
    c.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
    assert state(c) == now
    now = state(b)
    b.sh("wg-quick strip wg0 | wg syncconf wg0 /dev/stdin")
    assert state(b) == now
    eventually(lambda: sites.stick.ping("192.168.92.10", timeout=1) == 1, 30)


def test_a_changed_card_changes_the_tunnel_at_both_ends(sites):
    b, c = sites.b, sites.c
    changed = card(c, "--mtu", "1400")
    b.l2wg("pair", changed, "--yes")
    c.l2wg("pair", card(b), "--yes")
    for site, name in ((b, "gretap2"), (c, "gretap1")):
        assert "mtu = 1400\n" in site.read(f"/etc/l2wg/{name}.conf")
        assert conf(site).count("[Peer]") == {"B": 2, "C": 1}[site.name]


def test_what_fails_is_undone_as_a_whole(sites):
    """Files to the byte, the peer in the kernel, its route. The harm is done by a hook of somebody else's, while br9 is made."""
    b = sites.b
    hut = encode(Card("hut2", topology.new_keys().public, "", ("198.18.9.9",)))
    b.sh("ip link add dummy9 type dummy; printf '#!/bin/sh\\n[ $IFACE != br9 ] || exit 1\\n' >/etc/network/if-up.d/aa-harm; chmod 755 /etc/network/if-up.d/aa-harm")
    before = state(b)
    done = b.l2wg("pair", hut, "--yes", "--bridge-ports", "dummy9", "--bridge", "br9", check=False)
    assert done.rc == 1 and "wg set wg0 peer" in done.stderr and "nothing was changed" in done.stderr
    assert state(b) == before
    no_secret(b, done)
    # And by hand, after it has worked.
    b.sh("rm /etc/network/if-up.d/aa-harm")
    b.l2wg("pair", hut, "--yes", "--bridge-ports", "dummy9", "--bridge", "br9")
    assert conf(b).count("[Peer]") == 3 and len(b.sh("wg show wg0 peers").stdout.split()) == 3
    b.l2wg("rollback")
    b.sh("rm /etc/l2wg/gretap3.conf.rejected")
    assert state(b) == before


def test_a_card_that_would_lead_this_router_into_the_tunnel(sites):
    """Refused with nothing changed: WireGuard's own packets, to the new peer or another one, and what the router needs elsewhere."""
    b, key = sites.b, topology.new_keys().public
    b.sh("cp /etc/hosts /root/hosts; echo 192.0.2.77 loop.example.org >>/etc/hosts; mv /etc/resolv.conf /root/; echo nameserver 192.0.2.53 >/etc/resolv.conf")
    for address, endpoint, said in (
        ("192.0.2.77", "192.0.2.77:1", "192.0.2.77, where evil is to be called, is an address inside WireGuard"),
        ("192.0.2.77", "loop.example.org:1", "is where evil is to be called, which would go into wg0"),
        ("192.0.2.53", "", "is a DNS server of this router"),
        ("198.18.9.9", "192.168.178.10:1", "192.168.178.10, where evil is to be called, is reached through wg0"),
    ):
        error = refused(b, "pair", encode(Card("evil", key, endpoint, (address,))), "--yes")
        assert said in error and "hint: " in error, error
    # Of what is not certain to do harm, the admin hears before.
    told = b.sh(f"printf 'n\\n' | script -qec 'l2wg pair {encode(Card('evil', key, '', ('192.168.178.77',)))}' /dev/null", check=False, timeout=120)
    assert "192.168.178.77 is also in AllowedIPs 192.168.178.0/24 of the peer" in told.stdout.replace("\r", ""), told.stdout
    b.sh("cp /root/hosts /etc/hosts; rm /etc/resolv.conf; mv /root/resolv.conf /etc/")


def test_a_site_goes_again_and_nobody_loses_a_ping(sites):
    a, b, c = sites.a, sites.b, sites.c
    assert "gretap2 to hut up" in b.l2wg("status", check=False).stdout
    before, file_ = state(b), conf(b)
    end = re.search(r"# hut, by `l2wg pair`\nPublicKey = \S+\nAllowedIPs = (\S+)/32", file_).group(1)
    assert f"{end} dev wg0" in b.sh("ip -4 route").stdout and len(b.sh("wg show wg0 peers").stdout.split()) == 2, "there is something to take"
    assert "nobody is here to agree" in refused(b, "unpair", "hut")
    pings = Pings(a, "10.15.14.1"), Pings(sites.device, "192.168.92.10")
    # With its rehearsal: what is to go is not missed.
    assert "the next start was rehearsed" in b.run(["l2wg", "unpair", "hut", "--yes"], timeout=600).stderr
    assert conf(b) == file_[: file_.index("\n[Peer]\n# hut,")], "the rest stays to the byte"
    assert len(b.sh("wg show wg0 peers").stdout.split()) == 1 and end not in b.sh("ip -4 route; wg show wg0").stdout
    assert "gretap2" not in b.sh("ip -br link; ls /etc/l2wg").stdout and b.l2wg("plan", check=False).rc == 0
    assert [ping.lost() for ping in pings] == [0, 0]
    assert "no other site and no tunnel is called 'hut' here" in refused(b, "unpair", "hut")
    b.l2wg("rollback")
    assert state(b) == before and f"{end} dev wg0" in b.sh("ip -4 route").stdout
    b.l2wg("unpair", "hut", "--yes")
    # The next start of WireGuard brings nothing of it back.
    now = state(b)
    b.sh("wg-quick strip wg0 | wg syncconf wg0 /dev/stdin")
    assert state(b) == now
    # Another peer, made by hand, stays, though its tunnel goes.
    peers = b.sh("wg show wg0").stdout.count("peer:")
    done = b.l2wg("unpair", "gretap1", "--yes")
    assert "its [Peer] was not written by `l2wg pair`" in done.stderr and b.sh("wg show wg0").stdout.count("peer:") == peers
    assert "l2wg" not in conf(b) and "gretap1" not in b.sh("ip -br link").stdout
    b.l2wg("rollback")
    assert state(b) == now
    # From the other side all of it goes: what is left is what `init` has made.
    c.l2wg("unpair", "site-b", "--yes")
    assert "Peer" not in conf(c) and "PostUp" not in conf(c) and not c.sh("wg show wg0 peers; ls /etc/l2wg/*.conf", check=False).stdout.strip()
