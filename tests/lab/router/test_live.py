"""Hands on a live router: the address of router B's LAN port moves to a bridge while people use it, and changes are undone in time.

Site B is the reference's before it has a bridge, with more in its interfaces(5) than most have. One story, in this order.
"""

import socket
import threading
import time

import pytest
import topology
from hosts import eventually
from steps import QUIET, WIREGUARD, Pings, admins_files, comes_back, links, wired

INTERFACES = {
    "B": """\
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

allow-hotplug enp1s0
iface enp1s0 inet dhcp

# The boss says: hands off the LAN.
allow-hotplug enp2s0
iface enp2s0 inet static
\taddress   192.168.92.1
        netmask 255.255.255.0
    # the router of the old days
    up ip route add 10.99.0.0/16 via 192.168.92.10 \\
        dev enp2s0
    up ip route add default via 192.168.92.10 dev $IFACE table 7
    up ethtool -K enp2s0 tso off 2>/dev/null || true

iface enp2s0 inet6 static
    address fd00:92::1/64
# The end.
"""
}
# A login as sshd has it: a TCP connection of a process of that name, which answers each line.
SSHD = r"""
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, b"sshd")
with socket.socket(socket.AF_INET6) as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", 2222))
    listener.listen()
    print("ready", flush=True)
    while True:
        session = listener.accept()[0]
        while True:
            data = session.recv(100)
            if not data: break
            session.sendall(data)
"""


class Login:
    """A line to router B's sshd every 0.1 s, and the longest that an answer took: what a person behind the port notices."""

    def __init__(self, host, router):
        self.server = router.start(["python3", "-c", SSHD], timeout=1200)
        eventually(lambda: router.sh("ss -Htln sport = :2222", check=False).stdout, 30)
        self.connection = host.inside(lambda: socket.create_connection(("192.168.92.1", 2222), 10))
        self.connection.settimeout(60)
        self.worst, self.lines, self.error, self.going = 0.0, 0, None, True
        self.thread = threading.Thread(target=self._talk)
        self.thread.start()

    def _talk(self):
        try:
            while self.going:
                start = time.monotonic()
                self.connection.sendall(b"x" * 50)
                got = 0
                while got < 50:
                    got += len(self.connection.recv(100)) or 1 / 0
                self.worst = max(self.worst, time.monotonic() - start)
                self.lines += 1
                time.sleep(max(0, 0.1 - (time.monotonic() - start)))
        except (OSError, ZeroDivisionError) as error:
            self.error = error

    def end(self):
        self.going = False
        self.thread.join()
        self.connection.close()


@pytest.fixture(scope="module")
def notes():
    return {}


@pytest.fixture(scope="module")
def site_a(reference, deb):
    """Router A with the package, wired up as far as one end can be."""
    reference.a.put(f"/root/{deb.name}", deb.read_bytes())
    reference.b.put(f"/root/{deb.name}", deb.read_bytes())
    reference.a.run(["debconf-set-selections"], input=topology.preseed("A"))
    reference.a.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    reference.device.run(["ip", "address", "add", "192.168.92.50/24", "dev", "eth0"])
    return reference


def state(router) -> str:
    """What the kernel has of links, addresses, routes and rules, without what changes by itself, as the stations do that a set has learnt."""
    return router.sh(
        "ip -o -d link | sed 's/ state UNKNOWN\\| state UP\\| state DOWN//; s/hello_timer.*//; s/qdisc [^ ]*//; s/promiscuity [0-9]*//; s/allmulti [0-9]*//'"
        " | sed 's/^\\([0-9]*\\): gretap1.*\\(mtu [0-9]*\\).*\\(master [^ ]*\\).*/gretap1 \\2 \\3/' | cut -d' ' -f 2-20;"
        " ip -o -4 address | grep -o '^.*scope.*' | sed 's/valid_lft.*//; s/^[0-9]*: //' | sort;"
        " ip -o -6 address show scope global | sed 's/valid_lft.*//; s/^[0-9]*: //' | sort;"
        " ip -4 route show table all | grep -v '^broadcast\\|table 7' | sort; ip -4 route show table 7;"
        " ip -6 route show scope global | grep -v '^fe80' | sort; nft -s list ruleset | sed -z 's/[^\\n]*elements = {[^}]*}\\n//g'"
    ).stdout


def test_without_consent_nothing_is_moved(site_a, deb, notes):
    b = site_a.b
    notes["files"], notes["links"], notes["state"] = admins_files(b), links(b), state(b)
    b.run(["debconf-set-selections"], input=topology.preseed("B", bridge_ports="enp2s0"))
    done = b.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
    said = done.stdout + done.stderr  # apt gives dpkg a terminal
    assert "enp2s0 carries an address" in said and "hint:" in said
    assert state(b) == notes["state"]
    files = admins_files(b)
    assert {name: files.get(name) for name in notes["files"]} == notes["files"]
    b.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env=QUIET)
    assert admins_files(b) == notes["files"]


def test_the_address_moves_and_nobody_notices(site_a, deb, notes):
    b, host_b = site_a.b, site_a.host_b
    b.run(["debconf-set-selections"], input=topology.preseed("B", bridge_ports="enp2s0", move_address="true"))
    login, pings = Login(host_b, b), Pings(host_b, "192.168.92.1")
    far = Pings(site_a.host_a, "192.168.92.10")
    time.sleep(2)
    try:
        done = b.run(["apt-get", "install", "-y", f"/root/{deb.name}"], timeout=300, env=QUIET)
        print(done.stdout)
        time.sleep(2)
    finally:
        login.end()
    assert login.error is None and login.lines > 20
    print(f"login {login.worst:.2f} s, ping {pings.end():.1f} s, through WireGuard {far.end():.1f} s")
    now = links(b)
    assert now["br0"][2] == notes["links"]["enp2s0"][2], "the bridge has the port's Ethernet address"
    assert now["enp2s0"] == notes["links"]["enp2s0"]
    eventually(lambda: wired(site_a), 30)
    assert b.run(["l2wg", "plan"], check=False).rc == 0


@pytest.mark.parametrize("boots", [0, 1])
def test_it_is_all_on_the_bridge_and_stays_there(site_a, notes, boots):
    b = site_a.b
    if boots:
        b.reboot()
        assert b.settle() == "running"
        eventually(site_a.wireguard_works, WIREGUARD)
    comes_back(site_a)
    assert "192.168.92.1/24" in b.sh("ip address show br0").stdout and "fd00:92::1/64" in b.sh("ip address show br0").stdout
    assert "inet" not in b.sh("ip address show enp2s0 scope global").stdout
    assert "via 192.168.92.10 dev br0" in b.sh("ip route show 10.99.0.0/16").stdout
    assert "via 192.168.92.10 dev br0" in b.sh("ip route show table 7").stdout
    assert links(b)["br0"][2] == notes["links"]["enp2s0"][2]
    assert site_a.host_b.ping("192.168.92.1") == 3 and site_a.host_b.ping("fd00:92::1") == 3
    assert site_a.host_a.ping("192.168.92.10") == 3
    assert b.run(["ifquery", "--state"]).stdout.count("br0=br0") == 1
    assert b.run(["l2wg", "plan"], check=False).rc == 0


# Changes that undo themselves


def change(router, *words):
    router.run(["l2wg", "set", "gretap1", *words])


def conf(router) -> str:
    return router.get("/etc/l2wg/gretap1.conf").decode()


def all_of(router):
    """Without site B's prefix, which router A gets by a router advertisement, at any time, and then looks whether its address is free."""
    return [line for line in state(router).splitlines() if "fd00:92:" not in line], admins_files(router)


def test_nobody_confirms_and_it_is_undone(site_a):
    a = site_a.a
    before, text = all_of(a), conf(a)
    change(a, "mtu=1400", "bridge-address=192.168.93.7/24")
    done = a.run(["l2wg", "apply", "--confirm", "8"], timeout=600)
    assert "the next start was rehearsed" in done.stderr
    assert "l2wg confirm" in done.stderr
    assert links(a)["gretap1"][1] == "1400" and "192.168.93.7" in a.sh("ip address show br0").stdout
    assert a.run(["l2wg", "apply"], check=False).rc == 1, "one thing at a time"
    eventually(lambda: not a.sh("test ! -e /var/lib/l2wg/transaction", check=False).rc, 60)
    state_after, files_after = all_of(a)
    assert files_after.pop("l2wg/gretap1.conf.rejected")
    assert (state_after, files_after) == before
    assert conf(a) == text
    assert "mtu = 1400" in a.get("/etc/l2wg/gretap1.conf.rejected").decode()
    a.sh("rm /etc/l2wg/gretap1.conf.rejected")
    assert a.run(["l2wg", "plan"], check=False).rc == 0
    assert wired(site_a)


def test_confirmed_it_stays_and_can_be_undone_by_hand(site_a):
    a = site_a.a
    before, text = all_of(a), conf(a)
    change(a, "mtu=1400")
    a.run(["l2wg", "apply", "--no-rehearsal", "--confirm", "5"], timeout=120)
    a.run(["l2wg", "confirm"])
    time.sleep(8)
    assert links(a)["gretap1"][1] == "1400" and "mtu = 1400" in conf(a)
    assert a.run(["l2wg", "confirm"], check=False).rc == 1
    a.run(["l2wg", "rollback"], timeout=60)
    assert conf(a) == text
    assert all_of(a)[0] == before[0]
    a.sh("rm /etc/l2wg/gretap1.conf.rejected")
    assert a.run(["l2wg", "rollback"], check=False).rc == 1, "once is enough"


def new_dummy(router):
    # With an address, or udev gives it another one a moment later.
    router.sh("ip link add dummy7 address 02:00:00:00:07:07 type dummy; udevadm settle")


# A port's hook that does not come to an end keeps apply in the middle of its work.
HANG = "#!/bin/sh\ncase $IFACE in br7) touch /run/hangs; sleep 600;; esac\n"
SECOND = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nkey = 7\nbridge = br7\nbridge-ports = dummy7\n"


@pytest.mark.parametrize("how", [
    "kill -9 by the process group",
    pytest.param("kill -9, without --confirm", marks=pytest.mark.long),
    pytest.param("reboot", marks=pytest.mark.long),
    pytest.param("power cut", marks=pytest.mark.long),
])  # fmt: skip
def test_killed_in_the_middle_it_is_undone(site_a, how):
    a = site_a.a
    new_dummy(a)
    before = all_of(a)
    a.put("/etc/network/if-up.d/aa-hang", HANG.encode(), 0o755)
    a.put("/etc/l2wg/gretap7.conf", SECOND.encode())
    # What is killed is the change, not what is before it.
    words = ["--no-rehearsal"]
    words += [] if "without" in how else ["--confirm", "600" if how in ("reboot", "power cut") else "5"]
    # A session leader of its own, as a login shell is.
    a.start(["setsid", "-w", "sh", "-c", f"l2wg apply {' '.join(words)}; true"], timeout=900)
    eventually(lambda: a.sh("test -e /run/hangs", check=False).rc == 0, 60)
    assert "br7" in links(a)
    if how.startswith("kill"):
        a.sh("pkill -9 -f '[l]2wg apply'; pkill -f '[s]leep 600'; rm -f /run/hangs /etc/network/if-up.d/aa-hang", check=False)
        if "without" in how:
            timer = a.sh("systemctl list-timers --no-legend l2wg-rollback.timer").stdout
            assert "l2wg-rollback" in timer, "nobody would undo it"
            a.run(["systemctl", "start", "l2wg-rollback.service"], timeout=120)
        eventually(lambda: not a.sh("test ! -e /var/lib/l2wg/transaction", check=False).rc, 90)
    else:
        a.sh("rm -f /etc/network/if-up.d/aa-hang; sync")
        getattr(a, {"reboot": "reboot", "power cut": "pull_the_plug"}[how])()
        assert a.settle() == "running"
        comes_back(site_a)
        new_dummy(a)
    state_after, files_after = all_of(a)
    assert files_after.pop("l2wg/gretap7.conf.rejected")
    assert files_after == before[1]
    if how.startswith("kill"):
        assert state_after == before[0]
    assert "br7" not in links(a) and "gretap7" not in links(a)
    a.sh("rm -f /etc/l2wg/gretap7.conf.rejected; ip link del dummy7")
    assert a.run(["l2wg", "plan"], check=False).rc == 0


@pytest.mark.parametrize("harm, said", [
    ("ip route del default", "default route"),
    pytest.param("ip address del 192.168.178.1/24 dev enp2s0", "lost its address 192.168.178.1", marks=pytest.mark.long),
    pytest.param("exit 1", "ifup", marks=pytest.mark.long),
])  # fmt: skip
def test_what_costs_a_way_is_undone(site_a, harm, said):
    """A hook of somebody else's does the harm, as a step of our own would."""
    a = site_a.a
    new_dummy(a)
    before = all_of(a)
    a.put("/etc/l2wg/gretap7.conf", SECOND.encode())
    a.put("/etc/network/if-up.d/aa-harm", f"#!/bin/sh\ncase $IFACE in br7) {harm};; esac\n".encode(), 0o755)
    done = a.run(["l2wg", "apply"], check=False, timeout=600)
    print(done.stderr)
    a.sh("rm /etc/network/if-up.d/aa-harm")
    assert done.rc == 1 and said in done.stderr
    now = all_of(a)
    # What a step could not do may be mended where it is; what did harm is set aside, so that no event tries it again.
    now[1].pop("l2wg/gretap7.conf" if said == "ifup" else "l2wg/gretap7.conf.rejected")
    assert now == before
    a.sh("rm -f /etc/l2wg/gretap7.conf*; ip link del dummy7")


# The end


def test_purge_gives_the_lines_back(site_a, notes):
    b = site_a.b
    print(b.run(["apt-get", "purge", "-y", "l2wg"], timeout=300, env=QUIET).stdout)
    assert admins_files(b) == notes["files"]
    assert site_a.host_b.ping("192.168.92.1") >= 2, "the bridge stays until the next boot"
    b.reboot()
    assert b.settle() == "running"
    assert "br0" not in links(b)
    assert site_a.host_b.ping("192.168.92.1") == 3
    assert "via 192.168.92.10 dev enp2s0" in b.sh("ip route show 10.99.0.0/16").stdout
