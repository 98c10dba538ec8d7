"""The life of an installed package: kills, full and read-only disks, upgrades and downgrades, a port whose address moves."""

import gzip
import re
import shutil
import subprocess

import image
import pytest
from box import PACKAGES
from conftest import ANSWERS_A, ANSWERS_B, OWN, WISH
from test_install import GRETAP1, STANZA, WG0, install, settle

INTERFACES = "etc/network/interfaces"
LAN = """\
# The LAN: hands off
auto enp2s0
iface enp2s0 inet static
\taddress   192.168.92.1/24
    # of old
    up ip route add 10.99.0.0/16 via 192.168.92.10 \\
        dev enp2s0
"""


@pytest.fixture
def site_b(site_b_fresh):
    """Site B before it has a bridge, with more in its interfaces(5) than most have, and a DHCP server bound to the port."""
    site_b_fresh.put(INTERFACES, "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n" + LAN)
    site_b_fresh.put("etc/dnsmasq.d/lan", "# enp2s0\ninterface=enp2s0\n")
    site_b_fresh.put("etc/default/isc-dhcp-server", 'INTERFACESv4="enp2s0"\n')
    return site_b_fresh


def moving(box, **more):
    box.run("debconf-set-selections", input="l2wg l2wg/move-address boolean true\n")
    box.debconf(**ANSWERS_B, **{"bridge_ports": "enp2s0", **more})


def test_an_address_moves_and_the_purge_puts_its_lines_back(site_b):
    before, text = site_b.changes(), site_b.get(INTERFACES)
    moving(site_b)
    said = install(site_b)
    assert "etc/default/isc-dhcp-server:1: names enp2s0" in said, "whoever else names the port is told of"
    assert "etc/dnsmasq.d/lan" not in said and "interface=br0" in site_b.get("etc/dnsmasq.d/l2wg")
    assert "192.168.92.1/24" in site_b.sh("ip -4 address show dev br0") and "inet " not in site_b.sh("ip -4 address show dev enp2s0")
    aside = site_b.get(INTERFACES)
    assert aside.replace("#l2wg# ", "") == text and aside.count("#l2wg# ") == 4
    assert site_b.shown("move-address") == "false", "the consent was for this port, and this time"
    assert "br0=br0" in site_b.sh("ifquery --state")
    site_b.run("dpkg", "-P", "l2wg")
    assert site_b.changes() == before
    assert "192.168.92.1/24" in site_b.sh("ip -4 address show dev br0"), "nobody is cut off by a purge"


@pytest.mark.parametrize("source", ["source /etc/network/interfaces.d/*\n", "source interfaces.d/*.cfg\n", ""])
def test_what_is_written_for_the_bridge_works_at_boot(site_b, source):
    """Whether the admin's file reads ours or not: else the address would be nowhere, and the admin cut off by the next boot."""
    text = site_b.get(INTERFACES).replace("source /etc/network/interfaces.d/*\n", source)
    site_b.put(INTERFACES, text)
    before = site_b.changes()
    moving(site_b)
    assert "does not source" not in install(site_b)
    site_b.sh("ip link delete br0; rm -f /run/network/ifstate*; ip link set enp2s0 down; ifup -a")
    assert "192.168.92.1/24" in site_b.sh("ip -4 address show dev br0")
    assert "dev br0" in site_b.sh("ip route show 10.99.0.0/16")
    assert "master br0" in site_b.sh("ip link show enp2s0")
    site_b.run("dpkg", "-P", "l2wg")
    assert site_b.changes() == before


def rewritten(text):
    """As Proxmox and others leave it."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("#"))


def address_at_boot(box, device):
    box.sh("ip link delete br0 2>/dev/null || :; rm -f /run/network/ifstate*; ip address flush dev enp2s0; ip link set enp2s0 down; ifup -a")
    return "192.168.92.1/24" in box.sh(f"ip -4 address show dev {device}") and f"dev {device}" in box.sh("ip route show 10.99.0.0/16")


# What has become of the comments, of their copy, and of what was written since.
FATES = {
    "all there": ("", True),
    "all gone": ("sed -i '/^#/d' /etc/network/interfaces", False),
    "an address is gone": ("sed -i '/^#l2wg#.*address/d' /etc/network/interfaces", False),
    "the first line is gone": ("sed -i '/^#l2wg# iface/d' /etc/network/interfaces", False),
    "in another file": ("cd /etc/network; grep '^#l2wg# ' interfaces >lan; sed -i '/^#l2wg# /d' interfaces; echo 'source lan' >>interfaces", False),
    "the copy is gone": ("rm -r /var/lib/l2wg/aside", True),
}


@pytest.mark.parametrize("fate", FATES)
def test_whatever_becomes_of_the_comments_the_address_is_somewhere(site_b, fate):
    """After another apply, which check itself advises, at the next boot; and after a purge, at the one after that."""
    before, text = site_b.changes(), site_b.get(INTERFACES)
    moving(site_b)
    install(site_b)
    ours = site_b.get(STANZA)
    command, exact = FATES[fate]
    site_b.sh(command or ":")
    site_b.run("l2wg", "apply")
    assert site_b.get(STANZA) == ours
    assert address_at_boot(site_b, "br0")
    site_b.run("dpkg", "-P", "l2wg")
    assert not site_b.has(STANZA) and not site_b.has("var/lib/l2wg")
    assert site_b.get(INTERFACES) == text if exact else "#l2wg" not in site_b.get(INTERFACES)
    if exact:
        assert site_b.changes() == before
    assert address_at_boot(site_b, "enp2s0"), site_b.get(INTERFACES)
    assert site_b.sh("cat /etc/network/interfaces /etc/network/lan 2>/dev/null || :").count("address   192.168.92.1/24") == 1


def test_without_comments_and_copy_the_file_with_the_address_outlives_a_purge(site_b):
    moving(site_b)
    install(site_b)
    site_b.sh("sed -i '/^#/d' /etc/network/interfaces; rm -r /var/lib/l2wg")
    done = site_b.run("dpkg", "-P", "l2wg")
    assert "it alone has the address" in done.stderr
    assert address_at_boot(site_b, "br0")


def test_the_cure_puts_the_comments_back(site_b):
    text = site_b.get(INTERFACES)
    moving(site_b)
    install(site_b)
    aside = site_b.get(INTERFACES)
    for fate in ("all gone", "an address is gone", "the first line is gone"):
        site_b.sh(FATES[fate][0])
        said = site_b.run("l2wg", "check", "--passive", check=False).stderr
        (cure,) = [line[8:] for line in said.splitlines() if line.startswith("  hint: ") and "puts the comments back" in line]
        site_b.sh(cure)
        assert site_b.get(INTERFACES).replace("\n\n", "\n").count("#l2wg# ") == 4
        assert "puts the comments back" not in site_b.run("l2wg", "check", "--passive", check=False).stderr, fate
        site_b.put(INTERFACES, aside)
    site_b.run("l2wg", "rollback")
    assert site_b.get(INTERFACES) == text


def test_written_again_by_hand_it_is_not_there_twice(site_b):
    moving(site_b)
    install(site_b)
    site_b.put(INTERFACES, site_b.get(INTERFACES) + LAN.replace("auto enp2s0\n", ""))
    site_b.run("dpkg", "-P", "l2wg")
    assert site_b.get(INTERFACES).count("192.168.92.1/24") == 1 and address_at_boot(site_b, "enp2s0")


def test_an_upgrade_from_a_version_without_copies_makes_them(site_b):
    moving(site_b)
    install(site_b)
    site_b.sh("rm -r /var/lib/l2wg/aside")
    site_b.run("dpkg", "-i", repacked(site_b, "99"))
    site_b.sh("sed -i '/^#/d' /etc/network/interfaces")
    site_b.run("l2wg", "apply")
    assert address_at_boot(site_b, "br0")


def test_rolled_back_without_the_comments(site_b):
    moving(site_b)
    install(site_b)
    site_b.put(INTERFACES, rewritten(site_b.get(INTERFACES)))
    site_b.run("l2wg", "rollback")
    assert address_at_boot(site_b, "enp2s0") and not site_b.has(STANZA)


def test_another_port_without_the_comments(site_b):
    moving(site_b)
    install(site_b)
    site_b.put(INTERFACES, rewritten(site_b.get(INTERFACES)))
    site_b.run("l2wg", "set", "gretap1", "bridge-ports=enp3s0")
    site_b.run("l2wg", "apply")
    assert "192.168.92.1/24" in site_b.sh("ip -4 address show dev enp2s0")
    assert address_at_boot(site_b, "enp2s0") and "192.168.92.1" not in site_b.get(STANZA)


COMMANDS = """\
    up sysctl -qw net.ipv4.conf.enp2s0.rp_filter=2
    up echo 1 >/proc/sys/net/ipv4/conf/enp2s0/arp_ignore
    up logger nothing 2>/dev/null || :; echo 777 >/sys/class/net/$IFACE/tx_queue_len
    up [ -e /sys/class/net/enp2s0 ] && for n in 888; do echo $n >/sys/class/net/enp2s0/gro_flush_timeout; done
"""


def told(box, device):
    return [box.sh(f"cat /proc/sys/net/ipv4/conf/{device}/{name}").strip() for name in ("rp_filter", "arp_ignore", "proxy_arp")]


def test_commands_go_where_they_belong_at_boot(site_b):
    """The card gets what is the card's, and the bridge what is the network's, wherever in a line of sh it stands."""
    site_b.put(INTERFACES, site_b.get(INTERFACES) + COMMANDS)
    moving(site_b)
    install(site_b)
    site_b.sh("echo 1000 >/sys/class/net/enp2s0/tx_queue_len; echo 0 >/sys/class/net/enp2s0/gro_flush_timeout")
    site_b.sh("for name in rp_filter arp_ignore; do echo 0 >/proc/sys/net/ipv4/conf/enp2s0/$name; done")
    assert address_at_boot(site_b, "br0")
    site_b.sh("ifup --force enp2s0")  # plugged in
    assert told(site_b, "br0")[:2] == ["2", "1"] and told(site_b, "enp2s0")[:2] == ["0", "0"]
    look = "cat /sys/class/net/%s/tx_queue_len /sys/class/net/%s/gro_flush_timeout"
    assert site_b.sh(look % ("enp2s0", "enp2s0")) == "777\n888\n" and site_b.sh(look % ("br0", "br0")) != "777\n888\n"


def test_a_line_about_both_is_refused_and_one_that_nobody_can_tell_is_told(site_b):
    both = "    up echo 777 >/sys/class/net/$IFACE/tx_queue_len; ip route add 10.98.0.0/16 dev $IFACE\n"
    text = site_b.get(INTERFACES)
    site_b.put(INTERFACES, text + both)
    moving(site_b)
    said = install(site_b)
    assert "make two lines of it" in said and site_b.get(INTERFACES) == text + both
    site_b.put(INTERFACES, text + "    up /usr/local/sbin/tune $IFACE || :\n")
    done = site_b.run("l2wg", "apply", "--yes")
    assert "goes to br0; whether `/usr/local/sbin/tune $IFACE` is about the card" in done.stderr
    assert done.stderr.index("goes to br0; whether") < done.stderr.index("ip link add name br0")


def test_what_was_set_for_the_port_is_set_for_the_bridge(site_b):
    before = told(site_b, "enp2s0")
    site_b.sh("for one in rp_filter=2 arp_ignore=1 proxy_arp=1; do sysctl -qw net.ipv4.conf.enp2s0.$one; done")
    moving(site_b)
    install(site_b)
    assert told(site_b, "br0") == ["2", "1", "1"] != before
    site_b.run("l2wg", "rollback")
    assert not site_b.sh("ls -d /proc/sys/net/ipv4/conf/br0 2>/dev/null || :") and told(site_b, "enp2s0") == ["2", "1", "1"]


def test_a_file_that_ifupdown_has_wg_read_gets_no_lines(site_a):
    """debconf's default is to put them in. That the next ifup works is seen in tests/lab, where there is WireGuard."""
    keys = "".join(line for line in site_a.get(WG0).splitlines(True) if "Address" not in line)
    site_a.put(WG0, keys, 0o600)
    site_a.put(
        INTERFACES,
        site_a.get(INTERFACES) + "iface wg0 inet static\n    address 10.15.14.2/24\n"
        "    pre-up ip link add $IFACE type wireguard\n    pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf\n",
    )
    site_a.debconf(**ANSWERS_A, attach="true")
    said = install(site_a)
    assert "nothing is put in, since wg(8) reads it" in said and "the hook of ifupdown does the same" in said
    assert site_a.get(WG0) == keys and site_a.has(GRETAP1)


def test_removed_with_all_that_came_with_it_the_address_is_there_at_boot(site_b):
    moving(site_b)
    install(site_b)
    site_b.run("dpkg", "-r", "l2wg", "bridge-utils")  # as `apt autoremove` does
    site_b.sh("ip link delete br0; rm -f /run/network/ifstate*; ip link set enp2s0 down; ifup -a")
    assert "192.168.92.1/24" in site_b.sh("ip -4 address show dev br0") and "dev br0" in site_b.sh("ip route show 10.99.0.0/16")
    assert "master br0" in site_b.sh("ip link show enp2s0 up")


def test_refused_by_the_bridges_own_definition(site_b):
    site_b.put(INTERFACES, site_b.get(INTERFACES) + "iface br0 inet manual\n    bridge_ports none\n")
    before = site_b.get(INTERFACES)
    moving(site_b)
    assert "carries" in install(site_b)
    assert site_b.get(INTERFACES) == before and "192.168.92.1/24" in site_b.sh("ip -4 address show dev enp2s0")


def test_refused_while_a_firewall_knows_the_port_only(site_b):
    site_b.sh("nft 'table inet wall { chain input { type filter hook input priority 0; policy drop; iifname { lo, enp2s0 } accept; }; }'")
    before = site_b.get(INTERFACES)
    moving(site_b)
    said = install(site_b)
    assert "nft: table inet wall chain input" in said and "would drop it by br0" in said
    assert site_b.get(INTERFACES) == before and "192.168.92.1/24" in site_b.sh("ip -4 address show dev enp2s0")
    site_b.sh("nft add rule inet wall input iifname br0 accept")
    site_b.run("l2wg", "apply", "--yes")
    assert "192.168.92.1/24" in site_b.sh("ip -4 address show dev br0")


def test_another_port_and_the_first_has_its_address_again(site_b):
    before, look = site_b.get(INTERFACES), "ip -4 address show dev enp2s0 | grep inet; ip -4 route show dev enp2s0"
    up = site_b.sh(look)
    moving(site_b)
    install(site_b)
    site_b.run("l2wg", "set", "gretap1", "bridge-ports=enp3s0")
    site_b.run("l2wg", "apply")
    assert site_b.get(INTERFACES) == before and "enp2s0" not in site_b.get(STANZA)
    assert site_b.sh(look) == up and "inet " not in site_b.sh("ip -4 address show dev br0")
    assert "master br0" in site_b.sh("ip link show enp3s0") and "master" not in site_b.sh("ip link show enp2s0")


def test_rolled_back_the_port_has_its_address_again(site_b):
    before, up = site_b.get(INTERFACES), site_b.sh("ip -4 address show dev enp2s0; ip -4 route show dev enp2s0")
    moving(site_b)
    install(site_b)
    site_b.run("l2wg", "rollback")
    assert site_b.get(INTERFACES) == before and not site_b.has(STANZA) and not site_b.has("etc/dnsmasq.d/l2wg")
    assert site_b.sh("ip -4 address show dev enp2s0; ip -4 route show dev enp2s0").replace("master br0 ", "") == up
    assert "br0" not in site_b.sh("ip -o link; ifquery --state")


# Interruptions


def whole(box):
    """All that an installation brings about, but for what tells one run from another."""
    found = {path: now for path, now in box.changes().items() if not path.startswith(("var/lib/l2wg/last", "run/"))}
    links, addresses = settle(box)
    return found, links, re.sub(r"^\d+: ", "", addresses, flags=re.M), box.sh("ifquery --state")


HALF = "usr/lib/python3/dist-packages/l2wg_hooks/commands/__pycache__/card.cpython-311.pyc.140682564474976"


def test_what_python_has_left_of_a_file_is_cleared_away(site_a):
    """py3compile ended by kill -9: the next `dpkg --configure` leaves what it would have without that, and so does a purge."""
    clean = site_a.changes()
    install(site_a)
    wanted = site_a.changes()
    site_a.run("dpkg", "-P", "l2wg")
    site_a.run("dpkg", "--unpack", "/tmp/l2wg.deb")
    site_a.put(HALF, "half")
    site_a.run("dpkg", "--configure", "-a")
    assert site_a.changes() == wanted
    site_a.put(HALF, "half")
    site_a.run("dpkg", "-P", "l2wg")
    assert site_a.changes() == clean


def test_no_command_writes_beside_the_code(site_a):
    """While the package goes, events come, of the tunnels that go with it: dpkg removes no folder that has something new in it."""
    install(site_a)
    code = "usr/lib/python3/dist-packages/l2wg_hooks"
    compiled = f"find /{code} -name '*.pyc'"
    assert site_a.sh(compiled)
    site_a.sh(f"{compiled} -delete")
    site_a.run("l2wg", "event", "up", "boot")
    site_a.sh("l2wg status; l2wg check --passive; :")
    assert site_a.sh(compiled) == ""


@pytest.mark.parametrize("site", [pytest.param("site_a", marks=pytest.mark.long), "site_b", pytest.param("site_own", marks=pytest.mark.long)])
def test_killed_at_any_moment_configure_completes_it(request, site):
    """kill -9 of the whole postinst, after longer and longer times, until it comes through; then `dpkg --configure -a`."""
    box = request.getfixturevalue(site)
    if site == "site_own":
        box.sh("rm -r /etc/l2wg")
    clean, up = box.changes(), settle(box)

    def prepare():
        if site == "site_a":
            box.debconf(**ANSWERS_A)
        elif site == "site_own":
            box.put(OWN, WISH)
        else:
            moving(box)
        box.run("dpkg", "--unpack", "/tmp/l2wg.deb")

    prepare()
    box.run("dpkg", "--configure", "-a")
    wanted = whole(box)
    kills, moment = 0, 0.1
    while True:
        box.run("l2wg", "rollback", check=site != "site_own")
        box.run("dpkg", "-P", "l2wg")
        assert box.changes() == clean and settle(box) == up
        prepare()
        done = box.run("timeout", "-s", "KILL", f"{moment:.2f}", "dpkg", "--configure", "-a", check=False)
        if done.returncode == 0:
            break
        kills += 1
        done = box.run("dpkg", "--configure", "-a")
        assert whole(box) == wanted, f"killed after {moment:.2f} s"
        moment *= 1.4
    assert kills >= 3, "it was over before it was killed"


@pytest.mark.parametrize("directory", ["/etc", "/etc/l2wg", "/etc/wireguard", "/var/lib/l2wg"])
def test_a_read_only_directory_and_then_configure(site_a, directory):
    site_a.debconf(**ANSWERS_A)
    site_a.run("dpkg", "--unpack", "/tmp/l2wg.deb")
    up = settle(site_a)
    site_a.mount("--bind", f"{site_a.root}{directory}", at=directory)
    site_a.mount("-o", "remount,ro,bind", at=directory)
    done = site_a.run("dpkg", "--configure", "-a", check=False)
    assert done.returncode and "Read-only file system" in done.stderr
    assert settle(site_a) == up, "half of it was left"
    site_a.umount(directory)
    site_a.run("dpkg", "--configure", "-a")
    assert site_a.has(GRETAP1) and "l2wg up" in site_a.get(WG0) and "master br0" in site_a.sh("ip link show enp3s0")


@pytest.mark.parametrize("directory", ["/etc/l2wg", "/etc/network/interfaces.d", "/var/lib/l2wg"])
def test_a_full_disk_and_then_configure(site_a, directory):
    site_a.debconf(**ANSWERS_A)
    site_a.run("dpkg", "--unpack", "/tmp/l2wg.deb")
    up, wg0 = settle(site_a), site_a.get(WG0)
    site_a.mount("-t", "tmpfs", "-o", "size=8k", "tmpfs", at=directory)
    site_a.sh(f"cat /dev/zero >{directory}/fill 2>/dev/null || :")
    done = site_a.run("dpkg", "--configure", "-a", check=False)
    assert done.returncode and "No space left on device" in done.stderr and "make room" in done.stderr
    assert settle(site_a) == up
    assert site_a.get(WG0).replace("PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n", "") == wg0
    site_a.umount(directory)
    site_a.run("dpkg", "--configure", "-a")
    assert site_a.has(GRETAP1) and "master br0" in site_a.sh("ip link show enp3s0")


# Others who edit


def test_many_at_once_lose_no_line(site_a):
    site_a.debconf(**ANSWERS_A, apply="false", attach="false")
    install(site_a)
    values = {"mtu": "1400", "storm-limit": "100", "stp": "yes", "dhcp": "block", "link-local": "yes", "isolated": "yes", "key": "7"}
    site_a.sh("".join(f"l2wg set gretap1 {key}={value} & " for key, value in values.items()) + "l2wg attach wg0 & wait")
    text = site_a.get(GRETAP1)
    for key, value in values.items():
        assert re.search(rf"^{key} *= {value}$", text, re.M), key
    assert "l2wg up" in site_a.get(WG0)


def test_a_file_that_cannot_be_replaced_is_said_and_all_else_goes_on(site_a):
    # What rename(2) cannot replace: a mount point, as in containers. chattr +i gives EPERM, this EBUSY.
    site_a.nsenter("mount", "--bind", f"{site_a.root}/etc/wireguard/wg0.conf", f"{site_a.root}/etc/wireguard/wg0.conf")
    wg0 = site_a.get(WG0)
    site_a.debconf(**ANSWERS_A)
    assert "wg0.conf: cannot be written" in install(site_a)
    assert site_a.get(WG0) == wg0 and "master br0" in site_a.sh("ip link show enp3s0")


# Versions


def repacked(box, version):
    """The same package with another version number, as a later or an earlier one would come."""
    box.sh(
        f"cd /tmp; rm -rf repack; dpkg-deb -R l2wg.deb repack; sed -i 's/^Version: .*/Version: {version}/' repack/DEBIAN/control;"
        f" dpkg-deb -b --root-owner-group -Znone repack l2wg_{version}.deb >/dev/null; rm -r repack"
    )
    return f"/tmp/l2wg_{version}.deb"


@pytest.mark.parametrize("site", ["site_a", "site_own"])
@pytest.mark.parametrize("version", ["99", pytest.param("0.0.1", marks=pytest.mark.long)])
def test_another_version_touches_nothing_that_runs(request, site, version):
    box = request.getfixturevalue(site)
    if site == "site_a":
        box.debconf(**ANSWERS_A)
    install(box)
    before = whole(box)
    indices = box.sh("ip -o link | cut -d: -f1,2")
    done = box.run("dpkg", "-i", repacked(box, version))
    assert "l2wg]" not in done.stderr, "it did something"
    assert ('l2wg 0.0.1 does not know "wire = own": gretap1 stays as it is' in done.stderr) == (site == "site_own" and version == "0.0.1")
    assert whole(box) == before and box.sh("ip -o link | cut -d: -f1,2") == indices
    install(box)
    assert whole(box) == before


def test_a_change_that_waits_is_undone_before_a_removal(site_a):
    """Without systemd nobody waits; what a killed apply has left is the same to the prerm."""
    site_a.debconf(**ANSWERS_A, apply="false")
    install(site_a)
    up = settle(site_a)
    site_a.sh("printf '#!/bin/sh\\n[ $IFACE != br0 ] || sleep 60\\n' >/etc/network/if-up.d/aa; chmod +x /etc/network/if-up.d/aa")
    done = site_a.run("timeout", "-s", "KILL", "4", "l2wg", "apply", check=False)
    assert done.returncode and "br0" in site_a.sh("ip -o link") and site_a.has("var/lib/l2wg/transaction")
    site_a.sh("rm /etc/network/if-up.d/aa")
    site_a.run("dpkg", "-r", "l2wg")
    assert settle(site_a) == up and not site_a.has(STANZA)
    assert not re.search("br0", site_a.sh("ifquery --state"))


# Debian's own judge


def test_piuparts(suite, deb, tmp_path):
    """Installed, removed, purged, and installed again, in a chroot without network: nothing is left, nothing of others' changes."""
    image.need(["piuparts"])
    base = tmp_path / "base.tar.gz"
    with gzip.open(base, "wb", compresslevel=1) as target, open(image.rootfs(suite, PACKAGES), "rb") as source:
        shutil.copyfileobj(source, target)
    done = subprocess.run(
        [
            "unshare",
            "-n",
            "piuparts",
            "-b",
            base,
            "-d",
            suite,
            "--skip-minimize",
            "--skip-logrotatefiles-test",
            "--no-eatmydata",
            # Where apt-utils takes the packages' questions from: not ours.
            "--ignore-regex=^/var/cache/debconf/tmp.ci",
            deb,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0 and "PASS: All tests" in done.stdout, done.stdout[-3000:]
