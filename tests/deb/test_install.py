"""What an installation, a removal and a purge do to a router, without anybody at the terminal."""

import re

from box import TOP
from conftest import ANSWERS_A, ANSWERS_B, KEYS, L2W0, WISH

WG0 = "etc/wireguard/wg0.conf"
GRETAP1 = "etc/l2wg/gretap1.conf"
STANZA = "etc/network/interfaces.d/l2wg"
SYSCTL = "etc/sysctl.d/60-l2wg.conf"
UNIT = "etc/systemd/system/multi-user.target.wants/l2wg.service"
LINES = "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"


def install(box):
    done = box.run("dpkg", "-i", "/tmp/l2wg.deb")
    assert box.sh("dpkg-query -W -f '${Status}' l2wg") == "install ok installed"
    return done.stderr


def system(changes):
    """What is neither the package's own nor a lock."""
    wants = tuple(f"etc/systemd/system/{target}.target.wants/l2wg" for target in ("multi-user", "timers"))
    own = ("usr/", "run/", *wants, "etc/network/if-", "etc/l2wg/", "var/lib/l2wg")
    return {path: now for path, now in changes.items() if not path.startswith(own) and path != "etc/l2wg"}


def settle(box):
    """Every link with what an installation could do to it: name, MTU, bridge; and all addresses and routes."""
    links = re.findall(r"^\d+: (\S+?)[:@].* mtu (\d+)(?:.* (master \S+))?", box.sh("ip -o link"), re.M)
    return sorted(links), box.sh("ip -o -4 addr show scope global; ip route")


def test_no_answers_change_nothing_and_say_what_to_do_next(site_a):
    before, up = site_a.changes(), settle(site_a)
    said = install(site_a)
    assert "nothing is configured yet" in said and "dpkg-reconfigure l2wg" in said
    assert system(site_a.changes()) == system(before)
    assert settle(site_a) == up
    assert not site_a.has(GRETAP1)
    assert site_a.sh("cat /proc/sys/net/ipv4/ip_forward") == "0\n"


def test_guesses_are_no_answers_even_when_debconf_calls_them_seen(site_a):
    seen = {"DEBCONF_NONINTERACTIVE_SEEN": "true"}
    site_a.run("dpkg", "-i", "/tmp/l2wg.deb", env=seen)
    site_a.run("dpkg-reconfigure", "l2wg", env=seen)
    assert not site_a.has(GRETAP1)
    assert (site_a.shown("local"), site_a.shown("remote"), site_a.shown("bridge-ports")) == ("", "", "")


def test_nothing_on_stdout_but_dpkg_itself(site_a):
    site_a.debconf(**ANSWERS_A)
    out = site_a.run("dpkg", "-i", "/tmp/l2wg.deb").stdout
    words = ("Selecting", "(Reading", "Preparing", "Unpacking", "Setting up")
    assert [line for line in out.splitlines() if not line.startswith(words)] == []


def test_site_a_by_answers(site_a):
    site_a.debconf(**ANSWERS_A)
    said = install(site_a)
    wish = site_a.get(GRETAP1)
    for line in ("underlay       = wg0", "local          = 192.168.178.1", "remote         = 192.168.92.1", "bridge         = br0", "bridge-ports   = enp3s0"):
        assert line in wish
    assert LINES in site_a.get(WG0)
    assert "iface br0 inet manual\n    bridge_ports enp3s0\n" in site_a.get(STANZA)
    assert "net.ipv4.ip_forward = 1" in site_a.get(SYSCTL)
    assert site_a.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    assert "master br0" in site_a.sh("ip link show enp3s0")
    # The LAN beside it was left alone.
    assert "192.168.178.1/24" in site_a.sh("ip -4 addr show dev enp2s0")
    assert "gretap1 waits for wg0" in said


def test_site_b_by_answers_uses_the_bridge_that_is_there(site_b):
    up = settle(site_b)
    site_b.debconf(**ANSWERS_B)
    install(site_b)
    assert "bridge-ports   =\n" in site_b.get(GRETAP1)
    assert not site_b.has(STANZA)
    assert settle(site_b) == up
    assert LINES in site_b.get(WG0)


def test_gre_not_loadable_is_no_reason_not_to_install(site_a):
    # The box's kernel has no gretap. wg0 is there in name.
    site_a.sh("ip link add wg0 type veth peer name wg0-far; ip link set wg0 up")
    site_a.debconf(**ANSWERS_A)
    said = install(site_a)
    assert "gretap1" in said and "hint:" in said
    assert "wg0@" in site_a.sh("ip -o link show wg0")


def test_apt_asks_debconf_before_it_unpacks(site_a):
    site_a.debconf(**ANSWERS_A)
    site_a.run("apt-get", "install", "-y", "--no-install-recommends", "/tmp/l2wg.deb", env={"APT_LISTCHANGES_FRONTEND": "none"})
    assert site_a.has(GRETAP1)


def test_only_one_end_is_said_and_nothing_is_done(site_a):
    before = system(site_a.changes())
    site_a.debconf(local="192.168.178.1")
    said = install(site_a)
    assert "needs both" in said or "remote" in said
    assert system(site_a.changes()) == before and not site_a.has(GRETAP1)


def test_bad_answers_are_said_whole_and_nothing_is_done(site_a):
    before = system(site_a.changes())
    site_a.debconf(local="192.168.178.1/24", remote="224.0.0.1", bridge="br 0", bridge_ports="enp3s0")
    said = install(site_a)
    for wrong in ("192.168.178.1/24", "224.0.0.1", "br 0"):
        assert wrong in said
    assert "dpkg-reconfigure l2wg" in said
    assert system(site_a.changes()) == before and not site_a.has(GRETAP1)


def test_a_port_with_an_address_is_refused(site_b_fresh):
    before, up = system(site_b_fresh.changes()), settle(site_b_fresh)
    site_b_fresh.debconf(**ANSWERS_B, bridge_ports="enp2s0", bridge_address="192.168.92.1/24")
    said = install(site_b_fresh)
    assert "enp2s0 carries an address" in said and "hint:" in said
    assert system(site_b_fresh.changes()) == before and not site_b_fresh.has(GRETAP1)
    assert settle(site_b_fresh) == up


def test_apply_refuses_a_port_with_an_address_too(site_b_fresh):
    install(site_b_fresh)
    before, up = system(site_b_fresh.changes()), settle(site_b_fresh)
    site_b_fresh.run("l2wg", "set", "gretap1", "underlay=wg0", "local=192.168.92.1", "remote=192.168.178.1", "bridge=br0", "bridge-ports=enp2s0")
    done = site_b_fresh.run("l2wg", "apply", check=False)
    assert done.returncode == 1 and "enp2s0 carries" in done.stderr
    assert system(site_b_fresh.changes()) == before
    assert settle(site_b_fresh) == up


def test_attach_apply_and_forwarding_only_on_request(site_a):
    wg0 = site_a.get(WG0)
    site_a.debconf(**ANSWERS_A, attach="false", apply="false", ip_forward="false")
    install(site_a)
    assert site_a.has(GRETAP1)
    assert site_a.get(WG0) == wg0
    assert not site_a.has(STANZA) and not site_a.has(SYSCTL)
    assert site_a.sh("cat /proc/sys/net/ipv4/ip_forward") == "0\n"
    assert "br0" not in site_a.sh("ip -o link")


def test_no_wireguard_file_to_attach_to(site_a):
    site_a.sh("rm /etc/wireguard/wg0.conf")
    site_a.debconf(**ANSWERS_A)
    said = install(site_a)
    assert "/etc/wireguard/wg0.conf" in said and "l2wg attach wg0" in said
    assert site_a.has(GRETAP1)


def test_a_file_with_an_error_is_named_and_left_alone(site_a):
    wish = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbrige = br0\n"
    site_a.put(GRETAP1, wish)
    before = system(site_a.changes())
    site_a.debconf(**ANSWERS_A)
    said = install(site_a)
    assert "gretap1.conf:4" in said
    assert site_a.get(GRETAP1) == wish
    assert system(site_a.changes()) == before


def test_a_file_that_is_there_already_is_wired_up(site_a):
    wish = "# mine\nunderlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0 # the only one\nbridge-ports = enp3s0\n"
    site_a.put("etc/l2wg/site-b.conf", wish)
    install(site_a)
    assert site_a.get("etc/l2wg/site-b.conf") == wish
    assert (site_a.shown("tunnel"), site_a.shown("local"), site_a.shown("bridge")) == ("site-b", "192.168.178.1", "br0")
    assert LINES in site_a.get(WG0) and site_a.has(STANZA)
    assert not site_a.has(GRETAP1)


def test_reconfigure_with_the_same_answers_touches_no_file(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    stamp = "find /etc /usr/lib/l2wg -newerct 1970-01-02 -printf '%p %i %T@ %C@\n' | sort"
    before = site_a.sh(stamp)
    up = settle(site_a)
    site_a.run("dpkg-reconfigure", "l2wg")
    assert site_a.sh(stamp) == before
    assert settle(site_a) == up


def test_the_file_wins_over_debconfs_cache(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    edited = site_a.get(GRETAP1).replace("192.168.92.1", "192.168.92.2").replace("bridge-address =\n", "")
    site_a.put(GRETAP1, edited)
    site_a.run("dpkg-reconfigure", "l2wg")
    assert site_a.get(GRETAP1) == edited
    assert site_a.shown("remote") == "192.168.92.2"


def test_upgrade_of_an_unconfigured_package_says_nothing(site_a):
    install(site_a)
    before = site_a.changes()
    assert install(site_a) == ""
    assert site_a.changes() == before


def test_answers_given_after_the_installation(site_a):
    install(site_a)
    site_a.debconf(**ANSWERS_A)
    site_a.run("dpkg-reconfigure", "l2wg")
    assert site_a.has(GRETAP1) and LINES in site_a.get(WG0) and "master br0" in site_a.sh("ip link show enp3s0")


def test_upgrade_brings_nothing_back_and_restarts_nothing(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.sh("rm /etc/l2wg/gretap1.conf /etc/sysctl.d/60-l2wg.conf; l2wg detach wg0; ip link del br0")
    before = site_a.changes()
    install(site_a)
    assert {path for path, now in site_a.changes().items() if before.get(path) != now} == set()
    assert "br0" not in site_a.sh("ip -o link")


def test_upgrade_leaves_what_the_admin_took_out(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.sh("rm /etc/sysctl.d/60-l2wg.conf; l2wg detach wg0; ip link del br0")
    wg0 = site_a.get(WG0)
    install(site_a)
    assert site_a.get(WG0) == wg0 and not site_a.has(SYSCTL)
    assert "br0" not in site_a.sh("ip -o link")
    # dpkg-reconfigure takes the same for today's answers.
    site_a.run("dpkg-reconfigure", "l2wg")
    assert site_a.get(WG0) == wg0 and not site_a.has(SYSCTL)


def test_configure_again_after_an_interruption(site_a):
    site_a.debconf(**ANSWERS_A)
    site_a.run("dpkg", "--unpack", "/tmp/l2wg.deb")
    site_a.run("dpkg", "--configure", "-a")
    before = site_a.changes()
    site_a.sh("sed -i '/^Package: l2wg$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status")
    site_a.run("dpkg", "--configure", "-a")
    assert site_a.changes() == before


def test_remove_takes_the_lines_out_and_keeps_the_configuration(site_a):
    wg0, interfaces = site_a.get(WG0), site_a.get("etc/network/interfaces")
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.run("dpkg", "-r", "l2wg")
    assert site_a.get(WG0) == wg0 and site_a.get("etc/network/interfaces") == interfaces
    assert site_a.has(GRETAP1) and site_a.has(STANZA)
    assert "192.168.178.1/24" in site_a.sh("ip -4 addr show dev enp2s0")
    assert site_a.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"


def test_the_file_of_a_wire_of_its_own_gets_no_lines(site_own):
    """What is attached, as is debconf's default, is WireGuard of others."""
    wg0 = site_own.get(WG0)
    assert "PostUp" not in install(site_own)
    assert "l2wg makes l2w0 itself" in site_own.run("l2wg", "attach", "l2w0", check=False).stderr
    assert site_own.get(L2W0) == KEYS and site_own.get(GRETAP1) == WISH and site_own.get(WG0) == wg0
    assert site_own.has(UNIT), "it is made at boot"
    assert site_own.sh("ip netns list") == "", "nothing half made stays"
    site_own.run("dpkg-reconfigure", "l2wg")
    assert site_own.get(L2W0) == KEYS and site_own.get(GRETAP1) == WISH and site_own.get(WG0) == wg0


def test_a_wire_of_its_own_outlives_a_removal(site_own):
    install(site_own)
    before = system(site_own.changes())
    site_own.run("dpkg", "-r", "l2wg")
    assert site_own.get(L2W0) == KEYS and site_own.get(GRETAP1) == WISH
    install(site_own)
    assert system(site_own.changes()) == before and site_own.has(UNIT)


def test_a_purge_leaves_the_key_of_a_wire_of_its_own(site_own):
    site_own.sh("rm -r /etc/l2wg")
    before = site_own.changes()
    site_own.put(GRETAP1, WISH)
    install(site_own)
    site_own.run("dpkg", "-P", "l2wg")
    assert site_own.changes() == before and site_own.get(L2W0) == KEYS and not site_own.has(UNIT)
    assert site_own.sh("ip netns list; ip -o link | grep br0 || :") == ""


def test_a_file_of_sites_outlives_all_but_a_purge(site_a):
    """It is the admin's: nothing writes it, and a broken one costs no package operation."""
    before = site_a.changes()
    net = (TOP / "tests/golden/sites/star-3.sites").read_text()
    site_a.put("etc/l2wg/sites", net + "no card\n")
    assert "nothing is configured yet" not in install(site_a) + install(site_a)
    site_a.run("dpkg", "-r", "l2wg")
    install(site_a)
    assert site_a.get("etc/l2wg/sites") == net + "no card\n"
    site_a.put("etc/l2wg/sites~", net)
    site_a.run("dpkg", "-P", "l2wg")
    assert site_a.changes() == before


def test_whoever_has_disabled_the_unit_has_it_disabled(site_own):
    install(site_own)
    site_own.sh(f"rm /{UNIT}")  # as `systemctl disable` does
    install(site_own)
    assert not site_own.has(UNIT)


def test_reinstall_after_remove_wires_up_again(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    before = site_a.changes()
    site_a.run("dpkg", "-r", "l2wg")
    install(site_a)
    assert site_a.changes() == before


def test_purge_leaves_no_trace(site_a):
    before = site_a.changes()
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.put("etc/l2wg/other.conf", "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.9\nbridge = br0\n")
    site_a.run("dpkg", "-P", "l2wg")
    assert site_a.changes() == before
    assert "br0" not in site_a.sh("ip -o link")
    assert site_a.sh("debconf-show l2wg") == ""
    assert "192.168.178.1/24" in site_a.sh("ip -4 addr show dev enp2s0")


def test_purge_takes_down_a_bridge_whose_stanza_nobody_sources(site_a):
    site_a.put("etc/network/interfaces", "auto lo\niface lo inet loopback\n")
    site_a.debconf(**ANSWERS_A)
    assert "does not source" in install(site_a)
    assert "master br0" in site_a.sh("ip link show enp3s0")
    site_a.run("dpkg", "-P", "l2wg")
    assert "br0" not in site_a.sh("ip -o link")


def test_purge_after_remove_without_python_and_ip(site_a):
    before = site_a.changes()
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.run("dpkg", "-r", "l2wg")
    site_a.sh("mkdir /tmp/away; mv /usr/bin/python3 /sbin/ifdown /tmp/away/")
    site_a.run("dpkg", "-P", "l2wg")
    site_a.sh("mv /tmp/away/python3 /usr/bin/; mv /tmp/away/ifdown /sbin/")
    assert site_a.changes() == before


def test_purge_leaves_a_bridge_that_people_reach_the_router_by(site_b_fresh):
    site_b_fresh.debconf(**ANSWERS_B, bridge_ports="enp3s0", bridge_address="192.168.93.1/24")
    install(site_b_fresh)
    assert "192.168.93.1/24" in site_b_fresh.sh("ip -4 addr show dev br0")
    done = site_b_fresh.run("dpkg", "-P", "l2wg")
    assert "carries an address and stays" in done.stderr
    assert "192.168.93.1/24" in site_b_fresh.sh("ip -4 addr show dev br0")
    assert not site_b_fresh.has(STANZA)


def test_purge_leaves_a_bridge_that_has_somebody_elses_port(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.sh("ip link add vm0 type veth peer name vm0-far; ip link set vm0 master br0")
    done = site_a.run("dpkg", "-P", "l2wg")
    assert "another port (vm0)" in done.stderr
    assert "master br0" in site_a.sh("ip link show vm0")


def test_purge_keeps_files_that_are_not_ours(site_a):
    install(site_a)
    site_a.put("etc/l2wg/notes.txt", "ask Anna")
    done = site_a.run("dpkg", "-P", "l2wg")
    assert "not ours" in done.stderr and site_a.get("etc/l2wg/notes.txt") == "ask Anna"


def test_a_broken_l2wg_does_not_stop_a_removal(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.sh("rm -r /usr/lib/python3/dist-packages/l2wg_hooks")
    done = site_a.run("dpkg", "-r", "l2wg")
    assert "l2wg detach --all" in done.stderr
    assert site_a.sh("dpkg-query -W -f '${Status}' l2wg") == "deinstall ok config-files"


def test_the_timer_for_metrics_is_off_and_its_file_goes_with_the_package(site_a):
    before = system(site_a.changes())
    install(site_a)
    assert site_a.has("lib/systemd/system/l2wg-metrics.timer")
    assert "l2wg-metrics" not in site_a.sh("find /etc/systemd -name '*metrics*'")
    # There is no systemd in here, so what it writes is put there.
    site_a.sh("mkdir -p /var/lib/prometheus/node-exporter; echo l2wg_tunnel_up 1 >/var/lib/prometheus/node-exporter/l2wg.prom")
    site_a.run("dpkg", "-r", "l2wg")
    assert not site_a.has("var/lib/prometheus/node-exporter/l2wg.prom"), "it would tell of a tunnel that is up, for ever"
    site_a.sh("rm -r /var/lib/prometheus")
    site_a.run("dpkg", "-P", "l2wg")
    assert system(site_a.changes()) == before
