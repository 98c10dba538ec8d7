"""debconf's questions, answered by a person at a terminal, in each frontend that a router without a display has."""

import pytest
from conftest import ANSWERS_A
from screen import Screen

WG0 = "etc/wireguard/wg0.conf"
GRETAP1 = "etc/l2wg/gretap1.conf"
STANZA = "etc/network/interfaces.d/l2wg"

UNDERLAY = "WireGuard interface that carries the tunnel:"
LOCAL = "Address of this router's end:"
REMOTE = "Address of the other router's end:"
BRIDGE = "Bridge that the tunnel joins:"
PORTS = "Ethernet ports of a new bridge:"
MOVE = "Move the address of enp2s0 to br0?"
ADDRESS = "Address of the new bridge:"
ATTACH = "Add two lines to /etc/wireguard/wg0.conf?"
APPLY = "Wire up now?"
FORWARD = "Forward IPv4 between this router's networks?"

INSTALL = ("dpkg", "-i", "/tmp/l2wg.deb")
RECONFIGURE = ("dpkg-reconfigure", "l2wg")
# Without libterm-readline-gnu-perl, as on most routers.
STUB = {"PERL_RL": "Stub"}

each_frontend = pytest.mark.parametrize(
    "terminal",
    [dict(frontend="dialog"), dict(frontend="readline"), dict(frontend="readline", env=STUB), dict(frontend="teletype")],
    ids=["dialog", "readline", "readline-stub", "teletype"],
)
each_way_back = pytest.mark.parametrize("terminal", [dict(frontend="dialog"), dict(frontend="readline")], ids=["dialog", "readline"])


def yes(screen, question):
    """Answer a yes-no question, whose default is yes, with yes: where the default is not filled in, it has to be typed."""
    screen.asked(question).key(*(() if screen.fills_in else ("yes",)), "enter")


def guess(screen, value):
    """What to type to take a guess: nothing where it is filled in."""
    return None if screen.fills_in else value


def start(box, command, terminal, **more):
    return Screen(box, *command, **{**terminal, **more})


@each_frontend
def test_site_a_is_four_times_enter_and_one_port(site_a, terminal):
    screen = start(site_a, INSTALL, terminal)
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, "192.168.178.1", type=guess(screen, "192.168.178.1"))
    screen.answer(REMOTE, "192.168.92.1")
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    yes(screen, ATTACH)
    assert "PostUp = l2wg up %i || :" in screen.seen and "PostDown = l2wg down %i || :" in screen.seen
    yes(screen, APPLY)
    screen.end()
    wish = site_a.get(GRETAP1)
    for line in ("underlay       = wg0", "local          = 192.168.178.1", "remote         = 192.168.92.1", "bridge         = br0", "bridge-ports   = enp3s0"):
        assert line in wish
    assert "l2wg up %i" in site_a.get(WG0) and "bridge_ports enp3s0" in site_a.get(STANZA)
    assert "master br0" in site_a.sh("ip link show enp3s0")


@each_frontend
def test_site_b_is_enter_throughout(site_b, terminal):
    screen = start(site_b, INSTALL, terminal)
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, "192.168.92.1", type=guess(screen, "192.168.92.1"))
    screen.answer(REMOTE, "192.168.178.1")
    screen.answer(BRIDGE)
    screen.answer(PORTS)
    yes(screen, ATTACH)
    yes(screen, APPLY)
    screen.end()
    wish = site_b.get(GRETAP1)
    for line in ("local          = 192.168.92.1", "remote         = 192.168.178.1", "bridge         = br0", "bridge-ports   =\n"):
        assert line in wish
    assert not site_b.has(STANZA)


def test_an_empty_end_configures_nothing(site_a):
    before = site_a.get(WG0)
    screen = start(site_a, INSTALL, dict(frontend="dialog"))
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, type="")
    assert "nothing is configured yet" in screen.end()
    assert not site_a.has(GRETAP1) and site_a.get(WG0) == before


def test_enter_alone_is_no_answer_where_the_guess_is_not_filled_in(site_a):
    screen = start(site_a, INSTALL, dict(frontend="teletype"))
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, 'It may be "192.168.178.1"')
    assert "nothing is configured yet" in screen.end()
    assert not site_a.has(GRETAP1)


@pytest.mark.parametrize("answers", [{}, {"local": "192.168.178.1", "remote": "192.168.92.1"}], ids=["none", "some"])
def test_the_end_of_the_input_is_no_answer(site_a, answers):
    site_a.debconf(**answers)
    site_a.run(*INSTALL, env={"DEBIAN_FRONTEND": "teletype"})
    assert site_a.has(GRETAP1) == bool(answers) == ("l2wg up" in site_a.get(WG0))
    assert site_a.shown("local") == answers.get("local", "")
    assert site_a.shown("bridge-ports") == ""
    assert site_a.shown("apply") == "true"


@each_way_back
def test_going_back_and_changing_ones_mind(site_a, terminal):
    screen = start(site_a, INSTALL, terminal)
    screen.answer(UNDERLAY)
    screen.answer(LOCAL)
    screen.back(REMOTE)
    screen.answer(LOCAL, type="192.168.178.2")
    screen.answer(REMOTE)
    screen.answer(BRIDGE, type="br7")
    screen.answer(PORTS, type="enp3s0")
    screen.back(ADDRESS)
    screen.back(PORTS)
    screen.answer(BRIDGE, type="br8")
    screen.answer(PORTS)
    screen.answer(ADDRESS, type="192.168.99.1/24")
    yes(screen, ATTACH)
    yes(screen, APPLY)
    screen.end()
    wish = site_a.get(GRETAP1)
    assert "local          = 192.168.178.2" in wish and "bridge         = br8" in wish
    assert "192.168.99.1/24" in site_a.sh("ip addr show dev br8")


@each_way_back
def test_going_back_over_the_first_question_is_no_answer(site_a, terminal):
    screen = start(site_a, INSTALL, terminal)
    screen.answer(UNDERLAY)
    screen.back(LOCAL)
    screen.back(UNDERLAY)
    assert "nothing is configured yet" in screen.end()
    assert not site_a.has(GRETAP1) and site_a.shown("local") == ""


def test_going_back_over_the_first_question_of_a_reconfiguration_changes_nothing(site_a):
    site_a.debconf(**ANSWERS_A)
    site_a.run(*INSTALL)
    before = site_a.changes()
    screen = start(site_a, RECONFIGURE, dict(frontend="dialog"))
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, type="192.168.178.77")
    screen.back(REMOTE)
    screen.back(LOCAL)
    screen.back(UNDERLAY)
    screen.end()
    assert site_a.changes() == before


@each_frontend
def test_wrong_answers_are_named_and_asked_again(site_a, terminal):
    screen = start(site_a, INSTALL, terminal)
    screen.answer(UNDERLAY, type="wg 0")
    error(screen, '"wg 0" is not the name of an interface')
    screen.answer(UNDERLAY, type="wg0")
    screen.answer(LOCAL, type="192.168.178.256")
    error(screen, '"192.168.178.256" cannot be an end of the tunnel')
    screen.answer(LOCAL, type="192.168.178.1")
    screen.answer(REMOTE, type="192.168.178.1")
    error(screen, '"192.168.178.1" is this router\'s end already')
    screen.answer(REMOTE, type="192.168.92.1")
    screen.answer(BRIDGE, type="wg0")
    error(screen, '"wg0" is named twice')
    screen.answer(BRIDGE, type="br0")
    screen.answer(PORTS, type="enp2s0")
    screen.asked(MOVE).key(*(() if screen.fills_in else ("no",)), "enter")
    screen.answer(PORTS, type="enp3s0, enp3s0")
    error(screen, '"enp3s0" is named twice')
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS, type="192.168.92.0/24")
    error(screen, '"192.168.92.0/24" cannot be the bridge\'s address')
    screen.answer(ADDRESS, type="192.168.93.7/24")
    yes(screen, ATTACH)
    yes(screen, APPLY)
    screen.end()
    assert "bridge-address = 192.168.93.7/24" in site_a.get(GRETAP1)


def error(screen, words):
    screen.asked(words) if screen.frontend == "dialog" else screen.wait(words)
    if screen.frontend == "dialog":
        screen.key("enter")


def test_a_wrong_preseeded_answer_is_asked_for(site_a):
    site_a.debconf(**{**ANSWERS_A, "remote": "192.168.92.1/24"})
    screen = start(site_a, INSTALL, dict(frontend="dialog"))
    screen.answer(UNDERLAY)
    screen.answer(REMOTE, "192.168.92.1/24", type="192.168.92.1")
    screen.answer(BRIDGE)
    screen.answer(ADDRESS)
    yes(screen, ATTACH)
    yes(screen, APPLY)
    screen.end()
    assert "remote         = 192.168.92.1\n" in site_a.get(GRETAP1)


def test_nothing_is_asked_twice(site_a):
    """apt asks before it unpacks; the postinst, an upgrade and a reinstallation have nothing left to ask."""
    site_a.debconf(**ANSWERS_A, underlay="wg0", bridge="br0", bridge_address="", attach="true", apply="true")
    for command in (INSTALL, INSTALL, ("dpkg", "-r", "l2wg"), INSTALL):
        screen = start(site_a, command, dict(frontend="teletype"))
        assert "Configuring l2wg" not in screen.end()


def test_apt_asks_before_it_unpacks_and_not_again(site_b):
    screen = start(site_b, ("apt-get", "install", "-y", "/tmp/l2wg.deb"), dict(frontend="dialog"))
    for question in (UNDERLAY, LOCAL, REMOTE, BRIDGE, PORTS, ATTACH, APPLY):
        assert "Unpacking l2wg" not in screen.log
        screen.asked(question).key("enter")
    log = screen.end()
    assert "Unpacking l2wg" in log and "Configuring l2wg" not in log[log.index("Unpacking l2wg") :]
    assert site_b.has(GRETAP1) and "l2wg up %i" in site_b.get(WG0)


def test_another_underlay_moves_the_two_lines(site_a):
    wg0 = site_a.get(WG0)
    site_a.put("etc/wireguard/wg1.conf", wg0, 0o600)
    site_a.debconf(**ANSWERS_A)
    site_a.run(*INSTALL)
    screen = start(site_a, RECONFIGURE, dict(frontend="dialog"))
    screen.answer(UNDERLAY, type="wg1")
    for question in (LOCAL, REMOTE, BRIDGE, PORTS, ADDRESS, "Add two lines to /etc/wireguard/wg1.conf?", APPLY):
        screen.asked(question).key("enter")
    screen.end()
    assert "underlay       = wg1" in site_a.get(GRETAP1)
    assert site_a.get(WG0) == wg0 and "l2wg up %i" in site_a.get("etc/wireguard/wg1.conf")


@each_frontend
def test_reconfigure_shows_today_and_edits_only_what_changes(site_a, terminal):
    site_a.debconf(**ANSWERS_A)
    site_a.run(*INSTALL)
    # The admin has been here since.
    edited = "# by Anna\nremote= 192.168.92.9   # their router\nlocal = 192.168.178.1\nunderlay = wg0\n\nbridge = br0\nbridge-ports = enp3s0\nmtu = 1500\n"
    site_a.put(GRETAP1, edited, 0o640)
    screen = start(site_a, RECONFIGURE, terminal, priority="low")
    screen.answer("Name of the tunnel:")
    screen.answer(UNDERLAY)
    screen.answer(LOCAL)
    screen.answer(REMOTE, "192.168.92.9", type="192.168.92.1")
    screen.answer(BRIDGE)
    screen.answer(PORTS, "enp3s0")
    screen.answer(ADDRESS)
    yes(screen, ATTACH)
    yes(screen, APPLY)
    yes(screen, FORWARD)
    screen.end()
    assert site_a.get(GRETAP1) == edited.replace("192.168.92.9", "192.168.92.1")
    assert site_a.sh("stat -c %a /etc/l2wg/gretap1.conf") == "640\n"


def test_reconfigure_can_detach_and_stop_forwarding(site_a):
    wg0 = site_a.get(WG0)
    site_a.debconf(**ANSWERS_A)
    site_a.run(*INSTALL)
    screen = start(site_a, RECONFIGURE, dict(frontend="dialog"), priority="medium")
    for question in (UNDERLAY, LOCAL, REMOTE, BRIDGE, PORTS, ADDRESS):
        screen.answer(question)
    screen.asked(ATTACH).key("tab", "enter")
    screen.asked(APPLY).key("tab", "enter")
    screen.asked(FORWARD).key("tab", "enter")
    screen.end()
    assert site_a.get(WG0) == wg0
    assert not site_a.has("etc/sysctl.d/60-l2wg.conf")
    # The value in force is left alone.
    assert site_a.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    screen = start(site_a, RECONFIGURE, dict(frontend="teletype"), priority="medium")
    for question in (UNDERLAY, LOCAL, REMOTE, BRIDGE, PORTS, ADDRESS):
        screen.answer(question)
    yes(screen, ATTACH)
    yes(screen, APPLY)
    yes(screen, FORWARD)
    screen.end()
    assert "l2wg up %i" in site_a.get(WG0) and site_a.has("etc/sysctl.d/60-l2wg.conf")


def test_another_tunnel_is_another_file(site_a):
    site_a.debconf(**{**ANSWERS_A, "local": "192.168.178.9"})
    site_a.run(*INSTALL)
    first = site_a.get(GRETAP1)
    screen = start(site_a, RECONFIGURE, dict(frontend="dialog"), priority="low")
    screen.answer("Name of the tunnel:", type="gretap2")
    screen.answer(UNDERLAY)
    # A guess, and not the other tunnel's end.
    screen.answer(LOCAL, "192.168.178.1")
    screen.answer(REMOTE, type="192.168.93.1")
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="")
    yes(screen, ATTACH)
    yes(screen, APPLY)
    yes(screen, FORWARD)
    screen.end()
    assert site_a.get(GRETAP1) == first
    assert "192.168.93.1" in site_a.get("etc/l2wg/gretap2.conf")


def test_what_a_file_answers_is_not_asked(site_a):
    site_a.put(GRETAP1, "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\n")
    screen = start(site_a, INSTALL, dict(frontend="dialog"))
    yes(screen, ATTACH)
    yes(screen, APPLY)
    screen.end()
    assert "l2wg up %i" in site_a.get(WG0)


def test_a_file_with_an_error_is_said_and_nothing_is_asked(site_a):
    site_a.debconf(**ANSWERS_A)
    site_a.run(*INSTALL)
    broken = "underlay = wg0\nlocal = 192.168.178.1\nremote: 192.168.92.1\nbridge = br0\n"
    site_a.put(GRETAP1, broken)
    screen = start(site_a, RECONFIGURE, dict(frontend="dialog"))
    screen.asked("There is an error in /etc/l2wg/gretap1.conf", "Line 3 says: remote: 192.168.92.1").key("enter")
    assert "gretap1.conf:3" in screen.end()
    assert site_a.get(GRETAP1) == broken


def test_german(site_a):
    screen = start(site_a, INSTALL, dict(frontend="dialog", env={"LANG": "de_DE.UTF-8"}))
    screen.answer("Die Rahmen laufen durch eine vorhandene WireGuard-Verbindung", "WireGuard-Schnittstelle für den Tunnel:")
    screen.answer("Adresse des Endes auf diesem Router:", type="192.168.178.1/24")
    screen.asked("»192.168.178.1/24« kann kein Ende des Tunnels sein").key("enter")
    screen.answer("Adresse des Endes auf diesem Router:", type="192.168.178.1")
    screen.answer("Adresse des Endes auf dem anderen Router:")
    screen.answer("Bridge, der der Tunnel beitritt:")
    screen.answer("Ethernet-Ports einer neuen Bridge:", type="enp3s0")
    screen.answer("Adresse der neuen Bridge:")
    screen.asked("Zwei Zeilen in /etc/wireguard/wg0.conf aufnehmen?", "PostUp = l2wg up %i || :").key("enter")
    screen.asked("Jetzt verbinden?").key("enter")
    screen.end()
    assert site_a.has(GRETAP1)


@pytest.mark.parametrize("frontend", ["dialog", "teletype"])
def test_who_agrees_that_an_address_moves_is_not_asked_for_another_port(site_b_fresh, frontend):
    screen = Screen(site_b_fresh, *INSTALL, frontend=frontend)
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, type="192.168.92.1")
    screen.answer(REMOTE, type="192.168.178.1")
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp2s0")
    screen.asked(MOVE).key(*(("\x1b[D",) if screen.fills_in else ("yes",)), "enter")
    yes(screen, ATTACH)
    yes(screen, APPLY)
    screen.end()
    assert "192.168.92.1/24" in site_b_fresh.sh("ip addr show dev br0")
