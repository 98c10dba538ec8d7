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
    cards = {"B": l2wg(b, "init", "--shared", "--name", "site-b", "--endpoint", "MyRemoteServer.com").stdout.strip()}
    cards["A"] = l2wg(a, "init", "--shared", "--name", "site-a").stdout.strip()
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


@pytest.mark.long
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


def own(router):
    """The network namespaces of a router, and the interfaces in ours."""
    return router.sh("ip netns list | cut -d' ' -f1; ip -n l2wg -o link 2>/dev/null | grep -o ' l2w0:' || :").stdout.split()


def installed(router, deb, *answers):
    """What apt says that installs the package with these answers, each `QUESTION TYPE VALUE`."""
    router.run(["debconf-set-selections"], input="".join(f"l2wg l2wg/{line}\n" for line in answers))
    done = router.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    return done.stdout + done.stderr


def test_a_new_router_by_a_preseeded_card(fresh, deb):
    """Without a hand: no WireGuard, so the card's path makes it first. It is one of its own, and the other site's is not."""
    a, b = fresh.a, fresh.b
    a.sh(f"systemctl disable --now wg-quick@wg0; rm {WG0}; ifdown br0; ip link del br0 2>/dev/null || :", timeout=120)
    card = l2wg(b, "card").stdout.strip()
    said = installed(a, deb, f"card string {card}", "bridge-ports string enp3s0")
    mine = re.search(r"l2wg pair (L2WG1:\S+)", said).group(1)
    assert "card" not in a.sh("debconf-show l2wg | grep L2WG1 || :").stdout
    assert own(a) == ["l2wg", "l2w0:"] and a.run(["test", "-e", WG0], check=False).rc
    l2wg(b, "pair", mine, "--yes")
    eventually(lambda: fresh.device.lease(patience=3), 60)
    assert fresh.device.ping("192.168.92.10", size=1472, fragment=False) == 3


# The same two routers, by a wire of its own


def test_a_wire_of_its_own_by_two_pastes(fresh):
    """At B beside the wg0 that is there, and rehearsed; wg0 then goes, and nothing notices."""
    a, b = fresh.a, fresh.b
    l2wg(a, "unpair", "site-b", "--yes")
    for name in ("site-a", "router-a"):  # A with its key before the purge, and with the one after it
        l2wg(b, "unpair", name, "--yes")
    assert not wired(fresh)
    assert own(a) == [], "nothing is there without a tunnel"
    cards = {"A": l2wg(a, "card").stdout.strip(), "B": l2wg(b, "init", "--port", "51821").stdout.strip()}
    assert own(b) == []
    l2wg(a, "pair", cards["B"], "--yes", "--bridge", "br0", "--bridge-ports", "enp3s0")
    # Of B's two, the one for tunnels alone.
    assert "l2w0 is meant" in l2wg(b, "pair", cards["A"], "--yes").stderr
    assert own(a) == own(b) == ["l2wg", "l2w0:"]
    b.sh("systemctl disable --now wg-quick@wg0", timeout=120)
    assert "wg0" not in links(b)
    for router in (a, b):
        assert router.run(["l2wg", "plan"], check=False).rc == 0
    eventually(lambda: fresh.device.lease(patience=3), 60)
    all_crosses(fresh)


@pytest.mark.parametrize("how", ["reboot", pytest.param("power cut", marks=pytest.mark.long)])
def test_a_wire_of_its_own_comes_back(fresh, how):
    if how == "reboot":
        test_it_survives_a_reboot_of_both(fresh)
    else:
        fresh.a.pull_the_plug()
        assert fresh.a.settle() == "running"
        eventually(lambda: wired(fresh), 60)
    assert own(fresh.a) == ["l2wg", "l2w0:"] and fresh.a.sh("systemctl is-active l2wg.service").stdout == "active\n"
    assert fresh.a.run(["l2wg", "plan"], check=False).rc == 0


@pytest.mark.parametrize("restart", ["systemctl restart networking", "systemctl restart l2wg", "ifdown br0; ifup br0", "nft flush ruleset; systemctl restart l2wg"])
def test_restarts_do_not_matter(fresh, restart):
    fresh.a.sh(restart, timeout=180)
    eventually(lambda: wired(fresh), 60)
    assert fresh.a.run(["l2wg", "plan"], check=False).rc == 0


# "99" of a shared wire: test_router.py.
@pytest.mark.long
@pytest.mark.parametrize("version", ["99", "0.0.1"])
def test_upgrade_and_downgrade_lose_no_frame(fresh, deb, tmp_path, version):
    loses_no_frame(fresh, [fresh.a], deb, tmp_path, version)
    assert own(fresh.a) == ["l2wg", "l2w0:"] and fresh.a.sh("systemctl is-enabled l2wg.service").stdout == "enabled\n"


def test_removed_and_back_again(fresh, deb):
    a = fresh.a
    conf = a.get("/etc/wireguard/l2w0.conf")
    a.run(["apt-get", "remove", "-y", "l2wg"], timeout=300, env=QUIET)
    assert own(fresh.a) == [] and "gretap1" not in links(a) and a.get("/etc/wireguard/l2w0.conf") == conf
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
    assert own(fresh.a) == [] and not wired(fresh)
    l2wg(a, "rollback", "--unconfirmed")
    assert a.get("/etc/wireguard/l2w0.conf") == conf and own(fresh.a) == ["l2wg", "l2w0:"]
    eventually(lambda: wired(fresh), 60)


def test_purge_leaves_no_wall(fresh):
    a = fresh.a
    a.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env=QUIET)
    assert own(a) == [] and "gretap1" not in links(a)
    assert a.sh("ls /run/l2wg* /run/netns/* 2>/dev/null || :").stdout == ""
    assert a.sh("stat -c '%a %U' /etc/wireguard/l2w0.conf").stdout == "600 root\n", "the key is the admin's"
    assert a.run(["systemctl", "--failed", "--quiet"], check=False).stdout == ""


# debconf's "Set up WireGuard on this router?"


@pytest.mark.long
def test_set_up_by_an_answer(fresh, deb):
    a, b = fresh.a, fresh.b
    l2wg(b, "unpair", "router-a", "--yes")
    a.sh("rm /etc/wireguard/l2w0.conf; ifdown br0 2>/dev/null; ip link delete br0 2>/dev/null; rm -f /etc/network/interfaces.d/l2wg; :", timeout=120)
    said = installed(a, deb, "init boolean true")
    assert "/etc/wireguard/l2w0.conf: written; its key is new" in said and own(a) == []
    mine = l2wg(a, "card").stdout.strip()
    assert mine in said
    conf = a.get("/etc/wireguard/l2w0.conf").decode()
    assert "PostUp" not in conf and "[Peer]" not in conf
    l2wg(b, "pair", mine, "--yes")
    l2wg(a, "pair", l2wg(b, "card").stdout.strip(), "--yes", "--bridge-ports", "enp3s0")
    eventually(lambda: wired(fresh), 60)
    assert own(a) == ["l2wg", "l2w0:"]


def state(router):
    """All that an upgrade could touch."""
    files = router.sh("cd /etc; sha256sum wireguard/* l2wg/*.conf network/interfaces.d/l2wg").stdout
    return files, links(router)["gretap1"], router.sh("ip -n l2wg -o link show dev l2w0").stdout.partition(":")[0]


@pytest.mark.long
@pytest.mark.parametrize("command", ["dpkg -i /root/{deb}", "dpkg-reconfigure l2wg", "apt-get remove -y l2wg; apt-get install -y /root/{deb}"])
def test_the_answers_life(fresh, deb, command):
    """An upgrade and dpkg-reconfigure touch nothing of it; a removal takes the tunnel, and the package that comes back brings it back."""
    a = fresh.a
    before = state(a)
    a.sh("DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; " + command.format(deb=deb.name), timeout=600)
    eventually(lambda: wired(fresh), 60)
    assert state(a)[0] == before[0] and a.run(["l2wg", "plan"], check=False).rc == 0
    if "remove" not in command:
        assert state(a) == before, "the same interfaces"


@pytest.mark.long
def test_purge_leaves_the_key_of_the_answer(fresh):
    a = fresh.a
    conf = a.get("/etc/wireguard/l2w0.conf")
    test_purge_leaves_no_wall(fresh)
    assert a.get("/etc/wireguard/l2w0.conf") == conf
