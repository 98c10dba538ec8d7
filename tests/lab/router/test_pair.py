"""Two fresh routers become one LAN: apt install, init, one paste each. Then one of them is replaced by a new one, unattended.

One story, in this order. Neither has ever had WireGuard; B has its bridge and can be called, A has a free port.
"""

import re

import pytest
from hosts import eventually
from steps import QUIET, all_crosses, links, loses_no_frame, wired

WIREGUARD = False
WG0 = "/etc/wireguard/wg0.conf"


@pytest.fixture(scope="module")
def fresh(reference, deb):
    for router in reference.routers.values():
        assert "wireguard" not in router.sh("ip -d link").stdout and router.run(["test", "-e", WG0], check=False).rc
        router.put(f"/root/{deb.name}", deb.read_bytes())
        router.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    return reference


def l2wg(router, *words, check=True):
    done = router.run(["l2wg", *words], check=check, timeout=600)
    print(f"{router.name}$ l2wg {' '.join(words)}\n{done.stderr}{done.stdout}")
    return done


def plain(router):
    return router.get(WG0).decode(), router.sh("wg show wg0 peers; ip route; ls /etc/l2wg /etc/network/interfaces.d").stdout


def test_two_pastes(fresh):
    a, b = fresh.a, fresh.b
    assert not wired(fresh)
    cards = {"B": l2wg(b, "init", "--name", "site-b", "--endpoint", "MyRemoteServer.com").stdout.strip(), "A": l2wg(a, "init", "--name", "site-a").stdout.strip()}
    for router in (a, b):
        assert router.sh(f"stat -c '%a %U' {WG0} /etc/wireguard; systemctl is-enabled wg-quick@wg0").stdout == "600 root\n700 root\nenabled\n"
        assert l2wg(router, "card").stdout.strip() == cards[router.name]
    assert "apt install qrencode" in l2wg(b, "card", "--qr", check=False).stderr
    # Not confirmed: what the timer would run undoes all of it.
    before = plain(a)
    l2wg(a, "pair", cards["B"], "--yes", "--bridge-ports", "enp3s0", "--confirm", "600")
    assert "[Peer]" in plain(a)[0] and "l2wg-rollback.timer" in a.sh("systemctl list-timers l2wg-rollback.timer").stdout
    l2wg(a, "rollback", "--unconfirmed")
    a.sh("rm /etc/l2wg/gretap1.conf.rejected")
    assert plain(a) == before and "gretap1" not in links(a)
    # Now for good. A cannot know whether B has heard of it.
    said = l2wg(a, "pair", cards["B"], "--yes", "--bridge-ports", "enp3s0", "--confirm", "600").stderr
    assert f"on the other router, if that has not been done: l2wg pair {cards['A']}" in said
    l2wg(a, "confirm")
    l2wg(b, "pair", cards["A"], "--yes")
    eventually(lambda: fresh.device.lease(patience=3), 60)
    all_crosses(fresh)
    assert "bridge-ports   =\n" in b.get("/etc/l2wg/gretap1.conf").decode(), "br0 is the admin's"
    for router in (a, b):
        assert router.run(["l2wg", "plan"], check=False).rc == 0


def test_it_survives_a_reboot_of_both(fresh):
    for router in fresh.routers.values():
        router.reboot(wait=False)
    eventually(lambda: not wired(fresh), 60)
    for router in fresh.routers.values():
        router.wait()
    for router in fresh.routers.values():
        assert router.settle() == "running"
    eventually(lambda: wired(fresh), 60)
    all_crosses(fresh)


def test_purge_leaves_wireguard(fresh):
    a = fresh.a
    conf = a.get(WG0).decode()
    a.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env=QUIET)
    assert a.get(WG0).decode() == re.sub(r"^Post.*\n", "", conf, flags=re.M), "the key is the admin's, and so is the peer"
    assert a.run(["test", "-e", "/etc/l2wg"], check=False).rc == 1
    assert "gretap1" not in links(a) and "wg0" in links(a)
    assert not wired(fresh)


def test_a_new_router_by_a_preseeded_card(fresh, deb):
    """Without a hand: no WireGuard, so the card's path makes it first."""
    a, b = fresh.a, fresh.b
    a.sh(f"systemctl disable --now wg-quick@wg0; rm {WG0}; ifdown br0; ip link del br0 2>/dev/null || :", timeout=120)
    card = l2wg(b, "card").stdout.strip()
    a.run(["debconf-set-selections"], input=f"l2wg l2wg/card string {card}\nl2wg l2wg/bridge-ports string enp3s0\n")
    done = a.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    own = re.search(r"l2wg pair (L2WG1:\S+)", done.stderr + done.stdout).group(1)
    assert "card" not in a.sh("debconf-show l2wg | grep L2WG1 || :").stdout
    l2wg(b, "pair", own, "--yes")
    eventually(lambda: fresh.device.lease(patience=3), 60)
    assert fresh.device.ping("192.168.92.10", size=1472, fragment=False) == 3


# The same two routers, by a wire of its own


def own(fresh):
    """A's network namespaces, and the interfaces in ours."""
    return fresh.a.sh("ip netns list | cut -d' ' -f1; ip -n l2wg -o link 2>/dev/null | grep -o ' l2w0:' || :").stdout.split()


def test_a_wire_of_its_own_by_two_pastes(fresh):
    """Beside the wg0 that is there, and rehearsed; wg0 then goes, and nothing notices."""
    a, b = fresh.a, fresh.b
    l2wg(a, "unpair", "site-b", "--yes")
    l2wg(b, "unpair", "site-a", "--yes")
    assert not wired(fresh)
    cards = {router.name: l2wg(router, "init", "--own", "--port", "51821").stdout.strip() for router in (a, b)}
    assert own(fresh) == [], "nothing is there before its first tunnel"
    l2wg(a, "pair", cards["B"], "--yes", "--underlay", "l2w0", "--bridge", "br0", "--bridge-ports", "enp3s0")
    l2wg(b, "pair", cards["A"], "--yes", "--underlay", "l2w0")
    assert own(fresh) == ["l2wg", "l2w0:"]
    for router in (a, b):
        router.sh("systemctl disable --now wg-quick@wg0", timeout=120)
        assert "wg0" not in links(router) and router.run(["l2wg", "plan"], check=False).rc == 0
    eventually(lambda: fresh.device.lease(patience=3), 60)
    all_crosses(fresh)


@pytest.mark.parametrize("how", ["reboot", "power cut"])
def test_a_wire_of_its_own_comes_back(fresh, how):
    if how == "reboot":
        test_it_survives_a_reboot_of_both(fresh)
    else:
        fresh.a.pull_the_plug()
        assert fresh.a.settle() == "running"
        eventually(lambda: wired(fresh), 60)
    assert own(fresh) == ["l2wg", "l2w0:"] and fresh.a.sh("systemctl is-active l2wg.service").stdout == "active\n"
    assert fresh.a.run(["l2wg", "plan"], check=False).rc == 0


@pytest.mark.parametrize("restart", ["systemctl restart networking", "systemctl restart l2wg", "ifdown br0; ifup br0", "nft flush ruleset; systemctl restart l2wg"])
def test_restarts_do_not_matter(fresh, restart):
    fresh.a.sh(restart, timeout=180)
    eventually(lambda: wired(fresh), 60)
    assert fresh.a.run(["l2wg", "plan"], check=False).rc == 0


@pytest.mark.parametrize("version", ["99", "0.0.1"])
def test_upgrade_and_downgrade_lose_no_frame(fresh, deb, tmp_path, version):
    loses_no_frame(fresh, [fresh.a], deb, tmp_path, version)
    assert own(fresh) == ["l2wg", "l2w0:"] and fresh.a.sh("systemctl is-enabled l2wg.service").stdout == "enabled\n"


def test_removed_and_back_again(fresh, deb):
    a = fresh.a
    conf = a.get("/etc/wireguard/l2w0.conf")
    a.run(["apt-get", "remove", "-y", "l2wg"], timeout=300, env=QUIET)
    assert own(fresh) == [] and "gretap1" not in links(a) and a.get("/etc/wireguard/l2w0.conf") == conf
    assert not wired(fresh)
    a.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    assert a.get("/etc/wireguard/l2w0.conf") == conf
    eventually(lambda: wired(fresh), 60)
    assert a.run(["l2wg", "plan"], check=False).rc == 0


def test_what_is_not_confirmed_is_undone(fresh):
    """Its peer, in a file of ours, and the interface: as they were."""
    a = fresh.a
    conf = a.get("/etc/wireguard/l2w0.conf")
    l2wg(a, "unpair", "site-b", "--yes", "--confirm", "600")
    assert own(fresh) == [] and not wired(fresh)
    l2wg(a, "rollback", "--unconfirmed")
    assert a.get("/etc/wireguard/l2w0.conf") == conf and own(fresh) == ["l2wg", "l2w0:"]
    eventually(lambda: wired(fresh), 60)


def test_purge_leaves_no_wall(fresh):
    a = fresh.a
    a.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env=QUIET)
    assert own(fresh) == [] and "gretap1" not in links(a)
    assert a.sh("ls /run/l2wg* /run/netns/* 2>/dev/null || :").stdout == ""
    assert a.sh("stat -c '%a %U' /etc/wireguard/l2w0.conf").stdout == "600 root\n", "the key is the admin's"
    assert a.run(["systemctl", "--failed", "--quiet"], check=False).stdout == ""
