"""What else an admin may have on the router: each is seen to do harm, or to be there, before it is seen to do none.

The cures that `l2wg check` tells are run as they stand.
"""

import os
import re

import pytest
from hosts import eventually

DHCP = "[Match]\nType=ether\nName=!{}\n\n[Network]\nDHCP=yes\n"


@pytest.fixture(scope="session")
def lab(bare, deb):
    """Installed while NetworkManager runs, which has taken the port that is to be the bridge's."""
    bare.start("NetworkManager")
    eventually(lambda: bare.nm("enp3s0").startswith("connecting"), 60)
    bare.install(deb)
    bare.device.run(["ip", "address", "add", "192.168.92.50/24", "dev", "eth0"])
    return bare


def fine(lab, *words):
    assert lab.check(*words) == ""
    lab.comes_back()


# NetworkManager


def test_networkmanager_lets_go_of_the_port_and_leaves_the_rest(lab):
    assert [lab.nm(name) for name in ("gretap1", "br0", "enp3s0")] == ["unmanaged"] * 3
    fine(lab)


def test_networkmanager_starts_when_all_is_there(lab):
    lab.vm.run(["systemctl", "restart", "NetworkManager"])
    eventually(lambda: lab.nm("lo").startswith("connected"), 30)
    assert [lab.nm(name) for name in ("gretap1", "br0", "enp3s0")] == ["unmanaged"] * 3
    lab.vm.sh("nmcli networking off; nmcli networking on")
    links = lab.vm.sh("ip -br link show master br0").stdout
    assert "gretap1" in links and "enp3s0" in links and "DOWN" not in links
    lab.stop("NetworkManager")
    lab.vm.run(["systemctl", "restart", "wg-quick@wg0"])  # which had its address taken away
    fine(lab)


# systemd-networkd


def test_networkd_leaves_the_tunnel_alone(lab):
    """A second tunnel, for the policy route that VXLAN has."""
    lab.vm.put("/etc/systemd/network/50-dhcp.network", DHCP.format("enp2s0 enp3s0 br0 to-b"))
    lab.vm.run(["l2wg", "set", "vx1", "underlay=wg0", "local=192.168.178.1", "remote=192.168.92.1", "bridge=br0", "encapsulation=vxlan"])
    lab.vm.run(["l2wg", "apply"], timeout=600)
    lab.vm.sh("ip rule add priority 4788 from 192.168.178.1 table 4788; ip route add unreachable 192.0.2.0/24 table 4788")
    lab.start("systemd-networkd")
    eventually(lambda: lab.networkd("enp1s0") == "configured", 60)
    assert "4788" not in lab.vm.sh("ip rule; ip route show table 4788 2>&1").stdout, "networkd is not the one that deletes rules"
    assert [lab.networkd(name) for name in ("gretap1", "vx1", "br0", "enp3s0")] == ["unmanaged"] * 4
    # Site B has no second tunnel, and would say so.
    fine(lab, "--passive")


def test_networkd_has_a_file_for_the_port(lab):
    lab.vm.put("/etc/systemd/network/40-port.network", "[Match]\nName=enp3s0\n\n[Network]\nDHCP=yes\n")
    lab.vm.run(["networkctl", "reload"])
    eventually(lambda: not lab.wired(), 30)
    lab.cure("systemd-networkd also manages enp3s0")
    lab.vm.run(["networkctl", "reload"])
    fine(lab, "--passive")
    lab.stop("systemd-networkd")
    lab.vm.sh("rm /etc/systemd/network/*; rm /etc/l2wg/vx1.conf; l2wg apply; ifup --force enp1s0", timeout=600)


# DHCP clients


def test_dhclient_is_for_the_wan_only(lab):
    clients = lab.vm.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -ao 'dhclient.*'").stdout
    assert "enp1s0" in clients
    assert not re.search("gretap1|br0|enp3s0", clients), clients


HOOK = "/usr/lib/dhcpcd/dhcpcd-hooks/50-l2wg"


def given_up(lab, since):
    """dhcpcd has asked on enp2s0 for as long as it ever does: by then it has long since had its answer elsewhere."""
    eventually(lambda: "using" in lab.vm.sh(f"journalctl -u dhcpcd --since @{since} | grep 'enp2s0: using' || :").stdout, 60)


def begin(lab):
    """Start dhcpcd, which knows nothing of the tunnel from before, and record what it gets; seconds since the epoch."""
    lab.vm.sh("rm -f /var/lib/dhcpcd/gretap1.lease; ip address flush dev gretap1")
    lab.vm.sh("systemd-run -q --collect --unit=heard sh -c 'ip -4 monitor address >/run/heard'")
    since = lab.vm.sh("date +%s").stdout.strip()
    lab.start("dhcpcd")
    given_up(lab, since)
    return since


def heard(lab):
    """Addresses that the tunnel has had meanwhile, and routes to the other site by it that are there now."""
    said = lab.vm.sh("systemctl stop heard; grep gretap1 /run/heard || :").stdout
    return said + lab.vm.sh("ip route show dev gretap1; ip route show default | grep 192.168.92 || :").stdout


def at_rest(lab):
    lab.stop("dhcpcd")
    lab.vm.sh("ip -br -4 address | grep -o '^enp.*' | while read -r i _; do ip address flush dev $i to 169.254.0.0/16; done; ifup --force enp1s0")
    lab.site_b()


@pytest.mark.long
def test_dhcpcd_without_our_hook_takes_the_tunnel_and_is_told(lab):
    lab.vm.sh(f"mv {HOOK} /root/hook; cp /etc/dhcpcd.conf /root/")
    lab.start("dhcpcd")
    eventually(lambda: "192.168.92." in lab.vm.sh("ip address show dev gretap1").stdout, 60)
    assert "default via 192.168.92.1 dev gretap1" in lab.vm.sh("ip route").stdout
    lab.cure("dhcpcd asks for leases on gretap1, enp3s0")
    lab.cure("gretap1 carries the address")
    assert "inet " not in lab.vm.sh("ip address show dev gretap1; ip address show dev br0").stdout
    fine(lab)
    lab.vm.sh(f"mv /root/hook {HOOK}; cp /root/dhcpcd.conf /etc/")
    at_rest(lab)


def test_dhcpcd_lets_go_of_tunnel_and_port(lab):
    lab.comes_back()
    since = begin(lab)
    active = lab.vm.sh("dhcpcd -U | grep ^interface").stdout
    assert "enp1s0" in active and "gretap1" not in active and "enp3s0" not in active
    assert lab.device.lease(patience=20), "what comes through the tunnel is nobody's business but the device's"
    # Again, while dhcpcd runs.
    lab.vm.run(["systemctl", "restart", "wg-quick@wg0"])
    eventually(lambda: lab.vm.sh(f"journalctl -u dhcpcd --since @{since}").stdout.count("gretap1: removing interface") >= 2, 60)
    assert heard(lab) == ""
    fine(lab)
    at_rest(lab)


@pytest.mark.long
def test_dhcpcd_that_does_not_listen_gets_no_answer(lab):
    """As after any `dhcpcd -n enp1s0` of 9.4.1. What it gives itself (RFC 3927) leads nowhere."""
    version = re.search(r"dhcpcd (\d+)", lab.vm.run(["dhcpcd", "--version"]).stdout).group(1)
    if int(version) > 9:
        pytest.skip(f"dhcpcd {version} does not go deaf, nor does `dhcpcd -U` tell here what it is at work with")
    lab.comes_back()
    lab.vm.sh("sed -i 's/^SOCKETS = .*/SOCKETS = ()/' /usr/lib/python3/dist-packages/l2wg_hooks/managers/dhcpcd.py")
    begin(lab)
    assert "gretap1" in lab.vm.sh("dhcpcd -U | grep ^interface").stdout, "it has let go: nothing is shown here"
    assert "192.168.92." not in heard(lab)
    assert lab.device.lease(patience=20)
    lab.vm.sh("dpkg-deb --fsys-tarfile /root/l2wg_*_all.deb | tar -x -C / ./usr/lib/python3/dist-packages/l2wg_hooks/managers/dhcpcd.py")
    at_rest(lab)
    lab.vm.sh("ip address flush dev gretap1")
    fine(lab)


# Firewalls


def test_nftables_service_brings_the_guard_back(lab):
    lab.comes_back()
    for word in ("start", "reload", "restart", "stop"):
        lab.vm.run(["systemctl", word, "nftables"])
        tables = lab.vm.run(["nft", "list", "tables"]).stdout
        assert "table inet l2wg" in tables and "table bridge l2wg" in tables, word
    fine(lab)


def test_a_flush_by_hand_is_told_and_mended_by_the_next_event(lab):
    lab.vm.run(["nft", "flush", "ruleset"])
    assert "guard, clamp and fences are not in force" in lab.check()
    lab.vm.run(["l2wg", "event", "up", "br0"])
    fine(lab)


def test_docker(lab):
    """On a router that does not forward yet, Docker sets the policy of FORWARD to DROP."""
    lab.vm.sh("sysctl -qw net.ipv4.ip_forward=0")
    lab.start("docker")
    assert lab.vm.sh("iptables -S FORWARD").stdout.startswith("-P FORWARD DROP")
    assert not lab.wired()
    lab.cure("drops frames that pass br0: br_netfilter, which Docker")
    fine(lab)
    lab.vm.run(["systemctl", "restart", "docker"], timeout=600)
    fine(lab)
    lab.vm.sh("l2wg set gretap1 forward=as-is; l2wg apply", timeout=600)
    assert "l2wg" not in lab.vm.sh("iptables-save -t filter; ip6tables-save -t filter").stdout
    assert not lab.wired(), "the rule is gone, so it was not the rule"
    lab.docker_rests()
    fine(lab)


def speaks_first(lab):
    """Whether the router's guest hears site B after a quiet time (a second here, minutes on a real router)."""
    token = os.urandom(16)
    ears = lab.device.ear()
    with ears:
        lab.vm.sh("sleep 2.5")
        lab.host_b.sh(f"ping -n -b -c 1 -W 1 -p {token.hex()} -s 64 192.168.92.255 || :")
        return ears.heard(token, 1) is not None


def test_ufw(lab):
    assert speaks_first(lab)
    lab.start("ufw")
    lab.vm.run(["ufw", "--force", "enable"], timeout=600)
    assert not speaks_first(lab)
    lab.cure("drops the tunnel's packets from 192.168.92.1")
    assert speaks_first(lab)
    lab.vm.run(["ufw", "reload"], timeout=600)
    fine(lab)
    lab.stop("ufw")
    assert "-P INPUT ACCEPT" in lab.vm.sh("iptables -S").stdout


@pytest.mark.long
def test_firewalld(lab):
    lab.start("firewalld")
    # Its rules come some time after it says that it has started.
    eventually(lambda: not speaks_first(lab), 60)
    lab.cure("drops the tunnel's packets from 192.168.92.1")
    assert speaks_first(lab)
    fine(lab)
    lab.vm.run(["modprobe", "br_netfilter"])
    assert not lab.wired()
    lab.cure("drops frames that pass br0")
    fine(lab)
    lab.stop("firewalld")
    lab.vm.run(["rmmod", "br_netfilter"])


# A wire of l2wg's own, beside the same firewalls

CONTROL = "ip address replace 198.18.0.1/32 dev enp2s0; ip route replace 198.18.0.0/16 via 203.0.113.1"
# A quiet time, as conntrack sees it.
QUIET = "sysctl -qw net.netfilter.nf_conntrack_udp_timeout={} net.netfilter.nf_conntrack_udp_timeout_stream={}"


def unguarded(lab):
    """There is no rule about the tunnel's packets."""
    return "table inet l2wg" not in lab.vm.run(["nft", "list", "tables"]).stdout


@pytest.mark.long
@pytest.mark.parametrize("encapsulation", ["gretap", "vxlan"])
def test_the_probes_of_an_own_wire_see(lab, encapsulation):
    """Made by hand out in the router, with the same ends, beside the own one: all comes in, and all leaks."""
    lab.own(encapsulation)
    # As an admin who knows nothing has it: the ends are known outside, too.
    lab.vm.sh(CONTROL)
    lab.comes_back()
    assert unguarded(lab) and lab.check() == ""
    assert lab.passes(encapsulation) == set()
    lab.vm.sh(lab.by_hand(encapsulation))
    assert lab.passes(encapsulation) == {"provider", "out"} | ({"user"} if encapsulation == "vxlan" else set())
    lab.vm.sh("ip link del hand9")
    assert lab.passes(encapsulation) == set()


@pytest.mark.long
def test_an_own_wire_beside_ufw(lab):
    """Its packets meet nothing; WireGuard's own have to be let in where the peer calls."""
    lab.vm.sh(QUIET.format(1, 1))
    assert speaks_first(lab)
    lab.start("ufw")
    with lab.alive():
        lab.vm.run(["ufw", "--force", "enable"], timeout=600)
    # The device asks whether hostB is still there (ARP), for some seconds after it has talked with it.
    eventually(lambda: not speaks_first(lab), 60)
    told = lab.check()
    assert "drops the tunnel's packets" not in told and told.count("\n  hint: ") == 2, told
    lab.cure("drops what comes by to-b to UDP port 4901")
    lab.cure("drops what comes by enp1s0 to UDP port 4901")
    assert speaks_first(lab)
    with lab.alive():
        lab.vm.run(["ufw", "reload"], timeout=600)
    assert lab.passes("vxlan") == set() and unguarded(lab)
    fine(lab)
    lab.stop("ufw")


@pytest.mark.long
def test_an_own_wire_beside_firewalld(lab):
    with lab.alive():
        lab.start("firewalld")
    eventually(lambda: not speaks_first(lab), 60)
    lab.cure("drops what comes by to-b to UDP port 4901")
    assert speaks_first(lab)
    with lab.alive():
        lab.vm.run(["firewall-cmd", "--reload"], timeout=180)
    assert lab.passes("vxlan") == set() and unguarded(lab)
    fine(lab)
    lab.stop("firewalld")
    lab.vm.sh(QUIET.format(30, 120))


@pytest.mark.long
def test_an_own_wire_beside_docker(lab):
    """br_netfilter shows Docker's rules what crosses the bridge, whatever the wire is: `forward = accept` is needed as with a shared one."""
    lab.own("gretap", "forward=accept")
    lab.vm.sh("sysctl -qw net.ipv4.ip_forward=0")
    with lab.alive():
        lab.start("docker")
        assert lab.vm.sh("iptables -S FORWARD").stdout.startswith("-P FORWARD DROP")
        lab.vm.run(["systemctl", "restart", "docker"], timeout=600)
    guest = lab.guest()
    assert lab.passes("gretap", guest) == set() and unguarded(lab)
    fine(lab)
    lab.vm.sh(lab.by_hand("gretap"))
    assert lab.passes("gretap", guest) == {"guest", "provider", "out"}, "the probes see"
    lab.vm.sh("ip link del hand9; iptables -D FORWARD -j l2wg; ip6tables -D FORWARD -j l2wg")
    assert not lab.wired()
    assert "iptables is to let pass what crosses br0" in lab.check()
    lab.vm.run(["l2wg", "event", "up", "br0"])
    fine(lab)
    lab.docker_rests()


@pytest.mark.long
def test_back_to_a_shared_wire(lab):
    """By the plan, as ever: the namespace goes, the guard comes."""
    lab.vm.sh("ip address del 198.18.0.1/32 dev enp2s0; ip route del 198.18.0.0/16; sysctl -qw net.ipv4.ip_forward=1")
    ends = ["wire=shared", "underlay=wg0", "local=192.168.178.1", "remote=192.168.92.1"]
    lab.vm.run(["l2wg", "set", "gretap1", *ends, "encapsulation=gretap", "forward=as-is"])
    lab.vm.run(["l2wg", "apply", "--no-rehearsal"], timeout=600)
    lab.vm.sh("rm /etc/wireguard/l2w0.conf")
    assert lab.vm.sh("ip netns list | grep l2wg || :").stdout == "" and not unguarded(lab)
    lab.site_b()
    fine(lab)


# ifupdown2


def test_ifupdown2(lab):
    before = lab.vm.sh("cat /sys/class/net/gretap1/ifindex").stdout
    lab.vm.sh("apt-get install -y -q /var/cache/lab/ifupdown2*.deb", timeout=180)
    fine(lab)
    # At the second one it takes the port down, which has a stanza, and leaves it so.
    twice = "ifdown br0; ifup br0; ifdown br0; ! ifquery -r br0 2>&1; ifup br0"
    for command in (twice, "ifreload -a", "systemctl daemon-reload; systemctl restart networking"):
        lab.vm.sh(command, timeout=180)
        fine(lab)
    assert lab.vm.sh("cat /sys/class/net/gretap1/ifindex").stdout == before, "the tunnel was re-made"
