"""The next start, played on a copy by the real ifup and wg-quick: each kind of file that would cut a router off is found by that
alone, with none of l2wg's own guards in between, and nothing outside the copy notices.
"""

import json
import re
import time

import pytest
from hosts import eventually
from sites import Pair

MAIN, OURS, WG0 = "/etc/network/interfaces", "/etc/network/interfaces.d/l2wg", "/etc/wireguard/wg0.conf"
pytestmark = pytest.mark.long
# A command that is emulated, beside five others, may take minutes.
LONG = 900

# Rehearses the files that it is given in the place of those that are there, against those that are there, and asks nobody else.
COMPARE = """
import json, sys
from l2wg_hooks.config import store
from l2wg_hooks.rehearsal import play, rehearse
given = json.load(sys.stdin)
play.LONGEST = given["longest"] or play.LONGEST
old = rehearse.today()
old.texts.update(given["old"])
verdict = rehearse.compare(rehearse.Files(given["new"], dict(store.texts(), **given["wish"])), old, both=True)
skipped = ["%s:%d: %s" % (line.path, line.line, line.command) for line in verdict.new.skipped]
print(json.dumps([[str(one) for one in verdict.problems], verdict.notes, skipped]))
"""


def compare(site, new, old=None, wish=None, longest=0):
    """(problems, notes, lines not rehearsed) of these texts of files, without l2wg's own judgement of them."""
    given = json.dumps({"new": new, "old": old or {}, "wish": wish or {}, "longest": longest})
    return json.loads(site.run(["python3", "-c", COMPARE], input=given, timeout=LONG).stdout)


def rehearse(site, *words):
    return site.run(["l2wg", "rehearse", *words], check=False, timeout=LONG)


# All that a rehearsal might touch: the network, its rules, WireGuard, sysctls, files with their times, mounts, modules, namespaces.
STATE = """
ip -details address; ip -4 route show table all; ip -6 route show table all; ip rule; bridge -details link; wg showconf wg0
nft -s list ruleset; iptables-save | grep -v '^#'
sysctl -a 2>/dev/null | grep -E '^(net.(ipv[46].conf|bridge|ipv4.ip_forward)|kernel.(hostname|sysrq|modprobe)|vm.swappiness)'
find /etc /run /tmp /root /usr/bin /usr/sbin /var/lib -xdev -printf '%p %m %s %T@ %l\\n' | sort
cat /proc/mounts; sed 's/ .*//' /proc/modules | sort
"""
MACHINE = """
cat /proc/mounts; ip netns list
for kind in net mnt pid uts ipc; do readlink /proc/[0-9]*/ns/$kind | sort -u; done
"""


def state(pair, site):
    """Volatile numbers of addresses (lifetimes) and bridges (timers) left out."""
    text = site.sh(STATE).stdout + pair.vm.sh(MACHINE).stdout
    return re.sub(r"valid_lft \S+ preferred_lft \S+|(?:hello|tcn|topology_change|gc)_timer +[0-9.]+", "", text).splitlines()


def differs(before, after):
    return [line for line in before if line not in after] + [line for line in after if line not in before]


@pytest.fixture(scope="module")
def sites(vm):
    """Both wired, site A by an apply that rehearses; of A's files the good ones are kept."""
    pair = Pair(vm).fresh()
    pair.wireguard()
    pair.b.configure()
    a = pair.a
    a.l2wg("set", "gretap1", "underlay=wg0", "local=192.168.178.1", "remote=192.168.92.1", "bridge=br0", "bridge-ports=enp3s0")
    a.l2wg("attach", "wg0")
    pair.applied = a.run(["l2wg", "apply"], timeout=LONG)
    pair.comes_back()
    a.sh("mkdir /root/good && cp -a --parents /etc/network /etc/wireguard /etc/l2wg /var/lib/l2wg /root/good")
    return pair


@pytest.fixture
def a(sites):
    """Site A; its files are put back afterwards. What its kernel has, no test here changes."""
    yield sites.a
    sites.a.sh("rm -rf /etc/network/interfaces.d /etc/l2wg; cp -a /root/good/. /")


def test_apply_has_rehearsed(sites):
    assert "the next start was rehearsed: nothing is lost by it" in sites.applied.stderr
    assert sites.wired()


def test_all_is_well_and_nothing_outside_notices(sites, a):
    before = state(sites, a)
    # The probe sees what it is to see.
    a.sh("touch /etc/network/interfaces.d/probe; ip address add 192.0.2.77/32 dev lo; sysctl -qw net.ipv4.conf.lo.arp_ignore=1")
    seen = "\n".join(differs(before, state(sites, a)))
    assert "/etc/network/interfaces.d/probe" in seen and "192.0.2.77" in seen and "arp_ignore" in seen
    a.sh("rm /etc/network/interfaces.d/probe; ip address del 192.0.2.77/32 dev lo; sysctl -qw net.ipv4.conf.lo.arp_ignore=0")
    before = state(sites, a)
    done = rehearse(a, "--verbose")
    assert done.rc == 0 and "all that is there now" in done.stderr, done.stderr
    for step in ("ifup -a", "ifup --allow=hotplug", "wg-quick up wg0", "ifdown br0", "ifup br0", "wg-quick down wg0"):
        assert f"[rehearsal] {step}" in done.stderr
    assert "not rehearsed: /etc/network/if-up.d/resolved" in done.stderr
    assert not differs(before, state(sites, a))
    assert sites.wired()
    key = re.search(r"PrivateKey = (\S+)", a.read(WG0)).group(1)
    assert key not in done.stderr + done.stdout


def test_killed_in_the_middle_nothing_is_left(sites, a):
    before = state(sites, a)
    running = a.start(["sh", "-c", "echo $$ >/var/tmp/pid; exec l2wg rehearse"], timeout=LONG)
    eventually(lambda: sites.vm.sh("pgrep -x ifup", check=False).stdout, 300)
    assert any(line.startswith("net:") for line in differs(before, state(sites, a))), "the probe sees namespaces"
    a.sh("kill -9 $(cat /var/tmp/pid); rm /var/tmp/pid")
    with pytest.raises(Exception):
        running.wait().check()
    eventually(lambda: not sites.vm.sh("pgrep -x ifup; pgrep -f 'l2wg rehearse'", check=False).stdout.split()[1:], 30)
    eventually(lambda: not differs(before, state(sites, a)), 30)


IFUPDOWN_WG0 = """
auto wg0
iface wg0 inet static
    address 10.15.14.2/24
    pre-up ip link add $IFACE type wireguard
    pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf
    post-down ip link delete $IFACE
"""


def test_a_file_of_wg_that_has_got_a_postup_line(sites, a):
    """Point 1. By the command, as attach without its guard would leave it; and apply refuses, since ifup worked before."""
    good = a.read(WG0)
    bare = "".join(line for line in good.splitlines(True) if not line.startswith(("Address", "PostUp", "PostDown")))
    a.write(WG0, bare.replace("[Interface]\n", "[Interface]\nPostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"), 0o600)
    a.write(MAIN, a.read(MAIN) + IFUPDOWN_WG0)
    number = a.read(MAIN).splitlines().index("    pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf") + 1
    where = f"{MAIN}:{number}: pre-up: `wg setconf $IFACE /etc/wireguard/$IFACE.conf` fails at the next boot: "
    done = rehearse(a)
    assert done.rc == 1 and where in done.stderr and "missing then: 10.15.14.2/24" in done.stderr, done.stderr
    # With a change of files to apply:
    a.sh("echo 'storm-limit = 100' >>/etc/l2wg/gretap1.conf")
    before = state(sites, a)
    done = a.run(["l2wg", "apply"], check=False, timeout=LONG)
    assert done.rc == 1 and where in done.stderr and "nothing was changed" in done.stderr, done.stderr
    assert [line for line in differs(before, state(sites, a)) if not line.startswith("/run/l2wg")] == []
    # In a file without those lines there is nothing to refuse.
    problems, _, _ = compare(a, {WG0: bare}, {WG0: bare})
    assert problems == []


def test_an_address_inside_what_wg_quick_routes(a):
    """Point 2: works now, and at the next wg-quick up its route is there already."""
    ours = a.read(OURS).replace("iface br0 inet manual", "iface br0 inet static\n    address 192.168.92.200/24")
    problems, _, _ = compare(a, {OURS: ours})
    number = a.read(WG0).splitlines().index("AllowedIPs = 192.168.92.0/24,10.15.14.0/24") + 1
    assert f"{WG0}:{number}: `wg-quick up wg0` fails at the next boot: " in problems[0], problems
    assert "(192.168.92.0/24 is also the network of br0); missing then: wg0, 10.15.14.2/24" in problems[0]


MOVED = """
auto br0
iface br0 inet static
    address 192.168.178.1/24
    bridge_ports enp2s0 enp3s0
    bridge_fd 0
    bridge_hw %(mac)s

allow-hotplug enp2s0
iface enp2s0 inet manual

allow-hotplug enp3s0
iface enp3s0 inet manual
    pre-up sysctl -qew net/ipv6/conf/$IFACE/accept_ra=0 || true
"""


def moved(a):
    """The files of site A whose enp2s0 has moved to br0: (interfaces without any of our comments, ours with the address, the wish)."""
    main = re.sub(r"allow-hotplug enp2s0\niface enp2s0 .*\n.*\n", "", a.read(MAIN))
    assert "enp2s0" not in main
    wish = re.sub("(bridge-ports *=).*", r"\1 enp2s0 enp3s0", a.read("/etc/l2wg/gretap1.conf"))
    return main, MOVED % {"mac": a.sh("cat /sys/class/net/enp2s0/address").stdout.strip()}, {"gretap1": wish}


def test_an_address_that_is_thrown_out_of_all_files(a):
    """Point 3: the admin's file has lost our comments, and ours is written anew without what they said."""
    main, ours, wish = moved(a)
    without = ours.replace("inet static\n    address 192.168.178.1/24", "inet manual")
    problems, _, _ = compare(a, {MAIN: main, OURS: without}, {MAIN: main, OURS: ours}, wish)
    assert len(problems) == 1 and problems[0].startswith(f"{OURS}:3: missing after the next boot: 192.168.178.1/24"), problems
    problems, _, _ = compare(a, {MAIN: main, OURS: ours}, wish=wish)
    assert problems == [], "the move itself loses nothing"


COMMANDS = """    up logger a router's own; ethtool -K $IFACE gro off
    up [ ! -x /usr/sbin/ethtool ] || ethtool -K $IFACE gro off
    up sysctl -qw net.ipv6.conf.enp2s0.accept_ra=2
    up ip route add 198.18.55.0/24 via 192.168.178.10 dev enp2s0
"""


def test_commands_that_move_and_no_more_reach_what_they_are_about(a):
    """Point 4: the card's go to the bridge, a sysctl keeps the port's name, one fails."""
    a.sh("printf '#!/bin/sh\\nexit 0\\n' >/usr/sbin/ethtool; chmod 755 /usr/sbin/ethtool")
    main, ours, wish = moved(a)
    old = a.read(MAIN).rstrip("\n") + "\n" + COMMANDS
    assert old.index("iface enp2s0") == old.rindex("iface ")
    there = COMMANDS.replace(" dev enp2s0", " dev br0")
    bad = ours.replace("    bridge_ports", there + "    up ip link set dev nowhere0 up\n    bridge_ports")
    problems, _, skipped = compare(a, {MAIN: main, OURS: bad}, {MAIN: old}, wish)
    text = "\n".join(problems)
    assert f"{OURS}:9: up: `ip link set dev nowhere0 up` fails at the next boot: Cannot find device" in text, text
    assert "enp2s0 gets `ethtool -K enp2s0 gro off` at a boot today, and would no longer get it" in text
    assert "ipv6.accept_ra = 2 of enp2s0" not in text, "it is the port's, which still has it"
    assert f"{OURS}:5: logger a router's own; ethtool -K $IFACE gro off" in skipped
    right = there.replace("$IFACE", "enp2s0").replace("conf.enp2s0", "conf.br0")
    problems, _, _ = compare(a, {MAIN: main, OURS: ours.replace("    bridge_ports", right + "    bridge_ports")}, {MAIN: old}, wish)
    assert problems == []
    a.sh("rm /usr/sbin/ethtool")


def test_what_was_so_before_is_told_and_forbids_nothing(a):
    """A card that is not there, an address that somebody has given by hand."""
    a.sh("ip address add 192.0.2.99/24 dev enp2s0")
    old = a.read(MAIN) + "\nauto enp9s9\niface enp9s9 inet static\n    address 192.0.2.1/24\n"
    problems, notes, _ = compare(a, {MAIN: old + "# edited\n"}, {MAIN: old})
    a.sh("ip address del 192.0.2.99/24 dev enp2s0")
    assert problems == []
    assert any("192.0.2.99/24" in note for note in notes), notes


def test_a_command_that_comes_to_no_end(a):
    main = a.read(MAIN).replace("iface lo inet loopback\n", "iface lo inet loopback\n    up while :; do sleep 1; done\n")
    number = main.splitlines().index("    up while :; do sleep 1; done") + 1
    start = time.monotonic()
    problems, _, _ = compare(a, {MAIN: main}, longest=100)
    assert f"{MAIN}:{number}: up: `while :; do sleep 1; done` fails at the next boot: it does not come to its end" in problems[0], problems
    print(f"{time.monotonic() - start:.0f} s")


def test_where_there_are_no_namespaces_it_says_so(sites, a):
    bare = ["setpriv", "--bounding-set=-sys_admin", "l2wg"]
    done = a.run([*bare, "rehearse"], check=False, timeout=LONG)
    assert done.rc == 2 and "nothing can be rehearsed: no namespaces are to be had here: Operation not permitted" in done.stderr
    a.sh("echo 'storm-limit = 100' >>/etc/l2wg/gretap1.conf")
    done = a.run([*bare, "apply"], check=False, timeout=LONG)
    assert done.rc == 0 and "the next start is not rehearsed: no namespaces are to be had here" in done.stderr, done.stderr
    a.sh("cp -a /root/good/etc/l2wg/gretap1.conf /etc/l2wg/")
    assert "the next start was rehearsed" in a.run(["l2wg", "apply"], timeout=LONG).stderr, "the wish is another one again"
    assert "rehearse" not in a.run(["l2wg", "apply"], timeout=LONG).stderr, "no file changes"


# One after the other, each applied: what `l2wg set` is given, or a script. `--yes` lets addresses move, and back.
CHANGES = [
    ("another size", "l2wg set gretap1 mtu=1400"),
    ("a fence", "l2wg set gretap1 mtu=1500 dhcp=block storm-limit=500 isolated=yes stp=yes"),
    ("an address of the bridge", "l2wg set gretap1 storm-limit=off isolated=no stp=no bridge-address=192.168.93.7/24"),
    ("another address", "l2wg set gretap1 bridge-address=192.168.94.7/24"),
    ("no address", "l2wg set gretap1 bridge-address="),
    ("another bridge", "l2wg set gretap1 bridge=br7"),
    ("the bridge that it had", "l2wg set gretap1 bridge=br0"),
    ("a second port", "ip link add enp9s0 type dummy; l2wg set gretap1 'bridge-ports=enp3s0 enp9s0'"),
    ("one port", "l2wg set gretap1 bridge-ports=enp3s0; ip link delete enp9s0"),
    ("the LAN's port with its address", "l2wg set gretap1 'bridge-ports=enp2s0 enp3s0'"),
    ("without it again", "l2wg set gretap1 bridge-ports=enp3s0"),
    ("another encapsulation", "l2wg set gretap1 encapsulation=vxlan key=7"),
    ("a second tunnel", "l2wg set two underlay=wg0 local=192.168.178.1 remote=192.168.92.9 bridge=br0"),
    ("no second tunnel", "rm /etc/l2wg/two.conf"),
    (
        "the admin's own bridge",
        "rm -f /etc/network/interfaces.d/l2wg; printf 'auto br0\\niface br0 inet manual\\n    bridge_ports enp3s0\\n' "
        ">/etc/network/interfaces.d/mine; l2wg set gretap1 bridge-ports=",
    ),
    ("none", "rm /etc/l2wg/gretap1.conf"),
]


def test_a_change_that_is_wished_for_is_not_refused(sites, a):
    """What a change takes away on purpose is no loss."""
    refused = {}
    for name, script in CHANGES:
        a.sh(script)
        done = a.run(["l2wg", "apply", "--yes"], check=False, timeout=LONG)
        if done.rc or "the next start was rehearsed: nothing is lost by it" not in done.stderr:
            refused[name] = done.stderr
            a.run(["l2wg", "apply", "--yes", "--no-rehearsal"], check=False, timeout=LONG)
    assert refused == {}
