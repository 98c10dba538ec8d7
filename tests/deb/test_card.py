"""The other site's card, or an invitation, as debconf's answer: typed or preseeded, for once, and never half."""

import re
import sys

import pytest
from box import TOP
from screen import Screen
from test_questions import ADDRESS, BRIDGE, GRETAP1, INSTALL, LOCAL, PORTS, RECONFIGURE, STANZA, UNDERLAY, WG0, error

sys.path.insert(0, str(TOP))
from l2wg_hooks.config import card, invitation, own_wire

CARD = "Card of the other site:"
KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
SITE_B = card.encode(card.Card("site-b", KEY, "203.0.113.20:51820", ("10.15.14.9",), "192.168.92.0/24"))


@pytest.fixture
def router(site_a):
    """Site A, whose wg0.conf has a real key: so that it has a public one."""
    key = site_a.sh("wg genkey").strip()
    site_a.put(WG0, re.sub(r"PrivateKey = .*", f"PrivateKey = {key}", site_a.get(WG0)).replace("PublicKeyRouterB", "A" * 42 + "0="), 0o600)
    return site_a


def paired(router, before):
    conf = router.get(WG0)
    assert conf.startswith(before.rstrip("\n").split("[Peer]")[0].rstrip("\n")) and f"PublicKey = {KEY}\nAllowedIPs = 10.15.14.9/32\n" in conf
    assert "l2wg up %i" in conf and router.sh("stat -c %a /etc/wireguard/wg0.conf") == "600\n"
    assert "remote         = 10.15.14.9\nbridge         = br0\nbridge-ports   = enp3s0\n" in router.get(GRETAP1)
    assert "bridge_ports enp3s0" in router.get(STANZA) and "master br0" in router.sh("ip link show enp3s0")
    assert router.shown("card") == ""


@pytest.mark.parametrize("frontend", ["dialog", "teletype"])
def test_a_card_is_asked_for_first_and_spares_the_rest(router, frontend):
    before = router.get(WG0)
    screen = Screen(router, *INSTALL, frontend=frontend, priority="medium")
    screen.answer(CARD, type=SITE_B[:-5])
    error(screen, "This card is incomplete")
    screen.answer(CARD, type=SITE_B)
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    log = screen.end()
    paired(router, before)
    assert "l2wg pair L2WG1:" in log, "this router's own card, for the other one"
    assert UNDERLAY not in log and LOCAL not in log


def test_without_a_card_the_questions_go_on(router):
    screen = Screen(router, *INSTALL, frontend="dialog", priority="medium")
    screen.answer(CARD)
    screen.back(UNDERLAY)
    screen.answer(CARD)
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, type="")
    assert "nothing is configured yet" in screen.end()


def test_a_preseeded_card_works_once(router):
    before = router.get(WG0)
    router.debconf(card=SITE_B, bridge_ports="enp3s0")
    router.run(*INSTALL)
    paired(router, before)
    # What the admin deletes afterwards no upgrade brings back.
    router.sh("l2wg down --all; rm /etc/l2wg/gretap1.conf /etc/network/interfaces.d/l2wg")
    conf = router.get(WG0)
    router.run(*INSTALL)
    router.run(*RECONFIGURE)
    assert not router.has(GRETAP1) and router.get(WG0) == conf


# An invitation

HUB = card.Card("hq", KEY, "203.0.113.20:51820", ("10.15.14.9",), "192.168.92.0/24")
INVITED = invitation.Invitation("branch-b", "10.15.14.77", "net shape=star hub=hq", HUB)
INVITATION = invitation.encode(INVITED)
SITES = "etc/l2wg/sites"


def joined(router, said):
    """It is in, by a file of three lines; the hub is given the last one."""
    net, hub, own = router.get(SITES).splitlines()
    assert (net, hub) == (INVITED.net, f"{card.encode(HUB)}  # hq")
    line, comment = own.split("  # ")
    known, words = line.split()
    assert comment == "branch-b" and words == "bridge-ports=enp3s0"
    assert card.decode(known).name == "branch-b" and card.decode(known).addresses == ("10.15.14.2",)
    assert f"bridge-ports=enp3s0 net={INVITED.mark()} {known}" in said.replace("\r\n", "\n")
    conf = router.get(WG0)
    assert "l2wg up %i" in conf and KEY not in conf and router.sh("stat -c %a /etc/wireguard/wg0.conf") == "600\n"
    assert "bridge_ports enp3s0" in router.get(STANZA) and "master br0" in router.sh("ip link show enp3s0")
    assert router.shown("invitation") == router.shown("card") == "" and not router.has(GRETAP1)


def test_a_preseeded_invitation_works_once(router):
    router.debconf(invitation=INVITATION, bridge_ports="enp3s0")
    done = router.run(*INSTALL)
    joined(router, done.stdout + done.stderr)
    # What the admin deletes afterwards no upgrade brings back; nor is anything asked while there is a net.
    sites = router.get(SITES)
    router.run(*INSTALL)
    assert router.get(SITES) == sites
    router.sh("l2wg down --all; rm /etc/l2wg/sites /etc/network/interfaces.d/l2wg")
    router.run(*INSTALL)
    router.run(*RECONFIGURE)
    assert not router.has(SITES) and not router.has(GRETAP1)


def test_the_hub_may_have_named_the_ports(router):
    router.debconf(invitation=invitation.encode(INVITED._replace(words="bridge-ports=enp3s0")))
    done = router.run(*INSTALL)
    joined(router, done.stdout + done.stderr)


@pytest.mark.parametrize("frontend", ["dialog", "teletype"])
def test_an_invitation_in_the_place_of_a_card(router, frontend):
    screen = Screen(router, *INSTALL, frontend=frontend, priority="medium")
    screen.answer(CARD, type=INVITATION[:-5])
    error(screen, "This invitation is incomplete")
    screen.answer(CARD, type=INVITATION)
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    log = screen.end()
    assert "l2wg join" not in log and "at hq, if that has not been done: l2wg pair, with this line:" in log
    assert UNDERLAY not in log and LOCAL not in log and router.has(SITES)
    assert router.shown("invitation") == router.shown("card") == ""


def test_a_question_of_its_own_for_whoever_wants_all(router):
    screen = Screen(router, *INSTALL, frontend="dialog", priority="low")
    screen.answer("Invitation to a net of several sites:", type=SITE_B)
    error(screen, "This invitation is incomplete")
    screen.answer("Invitation to a net of several sites:", type=INVITATION)
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    assert CARD not in screen.end() and router.has(SITES)


@pytest.mark.parametrize("damage", [INVITATION[:-1], INVITATION.replace("L2WGJ1", "L2WGJ2"), SITE_B], ids=["cut", "newer", "a card"])
def test_a_preseeded_invitation_that_is_none_is_told_of(router, damage):
    router.debconf(invitation=damage, bridge_ports="enp3s0")
    done = router.run(*INSTALL)
    assert "hint: mend that, then: l2wg join L2WG" in done.stderr and not router.has(SITES) and not router.has(GRETAP1)


INIT = "Set up WireGuard on this router?"
L2W0 = "etc/wireguard/l2w0.conf"
# The box's kernel has network namespaces, and no WireGuard: tests/lab/router/test_pair.py goes on.
NO_MODULE = "type wireguard` failed: "


def made(box):
    """What `l2wg init` may have left: files and network namespaces."""
    return box.sh("ls -A /etc/wireguard; ip netns list")


@pytest.fixture
def bare(router):
    """A router without WireGuard."""
    router.sh("rm /etc/wireguard/wg0.conf")
    return router


def test_without_wireguard_the_first_question_is_the_cards(bare):
    screen = Screen(bare, *INSTALL, frontend="dialog")
    screen.answer(CARD, type=SITE_B)
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp9s0")
    error(screen, 'This router has no port "enp9s0"')
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    log = screen.end()
    # The box's kernel has no WireGuard, so there is nothing to pair.
    assert UNDERLAY not in log and LOCAL not in log and NO_MODULE in log and "hint: mend that, then: l2wg pair L2WG1:" in log
    assert made(bare) == "" and not bare.has(GRETAP1)


@pytest.mark.parametrize("frontend", ["dialog", "teletype"])
def test_without_wireguard_the_second_question_offers_to_make_it(bare, frontend):
    screen = Screen(bare, *INSTALL, frontend=frontend)
    screen.answer(CARD)
    screen.asked(INIT)
    assert "/etc/wireguard/l2w0.conf" in screen.seen and "wg0" not in screen.seen
    if frontend == "dialog":
        screen.key("\t", "enter")
    else:
        screen.key("yes", "enter")
    log = screen.end()
    # As far as it comes on this kernel: it has been tried, and nothing was written.
    assert NO_MODULE in log and "hint: once that is mended: l2wg init" in log
    assert UNDERLAY not in log and made(bare) == "" and not bare.has(GRETAP1)
    assert bare.shown("init") == "false"


def test_without_wireguard_and_without_a_card_the_questions_go_on(bare):
    screen = Screen(bare, *INSTALL, frontend="dialog")
    screen.answer(CARD)
    screen.back(INIT)
    screen.answer(CARD)
    screen.answer(INIT)
    screen.answer(UNDERLAY)
    screen.answer(LOCAL, type="198.18.0.1")
    screen.answer("Address of the other router's end:", type="198.18.0.2")
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    screen.answer("Wire up now?")
    log = screen.end()
    assert "Add two lines" not in log, "there is no file to add them to"
    assert "there is no /etc/wireguard/wg0.conf yet" in log and "l2wg attach wg0" in log


def test_nobody_there_makes_no_wireguard(bare):
    said = bare.run(*INSTALL).stderr
    assert not bare.has(WG0) and "there is no WireGuard on this router yet" in said and "l2wg init" in said
    said = bare.sh("l2wg status 2>&1; l2wg plan 2>&1; l2wg status --diagram")
    assert said.count("there is no tunnel in /etc/l2wg; to begin: l2wg init, or l2wg.conf(5)") == 3


def test_wireguard_is_made_on_request_and_once(bare):
    bare.debconf(init="true")
    said = bare.run(*INSTALL).stderr
    assert NO_MODULE in said and bare.shown("init") == "false" and made(bare) == ""
    assert NO_MODULE not in bare.run(*RECONFIGURE).stderr


def test_a_preseeded_name_of_wg_quicks_means_wg_quick(bare):
    """As it always did; and with ends beside it, nothing is configured where WireGuard could not be made."""
    bare.debconf(init="true", underlay="wg0", local="192.168.178.1", remote="192.168.92.1")
    said = bare.run(*INSTALL).stderr
    assert "/etc/wireguard/wg0.conf: written" in said and "/etc/wireguard/wg0.conf is gone again" in said
    assert "l2wg init --shared wg0" in said and made(bare) == "" and not bare.has(GRETAP1)


def test_a_preseeded_end_is_the_address_of_a_wire_of_its_own(bare):
    bare.debconf(init="true", underlay="vpn", local="fd00::1", remote="fd00::2")
    said = bare.run(*INSTALL).stderr
    assert NO_MODULE in said and "name vpn" in said
    assert made(bare) == "" and not bare.has(GRETAP1)


def test_an_invitation_makes_wireguard_itself(bare):
    """As far as it comes on this kernel: it has been tried, with the address that is in it, and nothing was written."""
    bare.debconf(invitation=INVITATION, bridge_ports="enp3s0", init="true")
    said = bare.run(*INSTALL).stderr
    assert said.count(NO_MODULE) == 1 and "hint: mend that, then: l2wg join L2WGJ1:" in said
    assert made(bare) == "" and not bare.has(SITES) and not bare.has("etc/l2wg/site")


@pytest.mark.parametrize("answers", [{"init": "true"}, {"card": SITE_B, "bridge_ports": "enp3s0"}], ids=["init", "card"])
def test_where_namespaces_are_forbidden_it_is_told_before_anything_is_written(bare, answers):
    """As in a container that may not mount: with the cure."""
    bare.mount("-t", "tmpfs", "-o", "ro", "tmpfs", at="/run/netns")
    bare.debconf(**answers)
    said = bare.run(*INSTALL).stderr
    assert "network namespaces cannot be had here" in said and "hint: l2wg init --shared" in said and "Traceback" not in said
    assert made(bare) == "" and not bare.has(GRETAP1) and not bare.has("etc/l2wg/site")
    said = bare.run("l2wg", "init", "--shared", check=False).stderr
    assert "/etc/wireguard/wg0.conf: written" in said, "the cure gets as far as this kernel goes"


# A wire of its own that is there

OWN = "198.18.7.7"


@pytest.fixture
def walled(bare):
    """As `l2wg init` leaves it, and `l2wg pair` at the other site."""
    peer = f"\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 198.18.9.9/32\n"
    key = bare.sh("wg genkey").strip()
    bare.put(L2W0, f"{own_wire.MARK}\n[Interface]\nPrivateKey = {key}\nAddress = {OWN}/32\nListenPort = 51820\n{peer}", 0o600)
    return bare


def test_the_questions_of_a_wire_of_its_own(walled):
    """Its ends are guessed, and what has no meaning there is not asked: lines of wg-quick's, and routing."""
    before = walled.get(L2W0)
    screen = Screen(walled, *INSTALL, frontend="dialog", priority="medium")
    screen.answer(CARD)
    screen.answer(UNDERLAY, "l2w0")
    screen.answer(LOCAL, OWN)
    screen.answer("Address of the other router's end:", "198.18.9.9")
    screen.answer(BRIDGE)
    screen.answer(PORTS, type="enp3s0")
    screen.answer(ADDRESS)
    screen.asked("Wire up now?").key("enter")
    log = screen.end()
    assert "Add two lines" not in log and "Forward IPv4" not in log
    wish = walled.get(GRETAP1)
    assert "underlay       = l2w0\n" in wish and f"local          = {OWN}\n" in wish and "wire           = own\n" in wish
    assert walled.get(L2W0) == before and not walled.has("etc/sysctl.d/60-l2wg.conf")


def reconfigured(box, underlay):
    """dpkg-reconfigure, which reads the file first, with another answer for the interface."""
    screen = Screen(box, *RECONFIGURE, frontend="dialog")
    screen.answer(UNDERLAY, type=underlay)
    for question in (LOCAL, "Address of the other router's end:", BRIDGE, PORTS, ADDRESS):
        screen.answer(question)
    if underlay == "wg0":
        screen.asked("Add two lines to /etc/wireguard/wg0.conf?").key("enter")
    screen.asked("Wire up now?").key("enter")
    return screen.end()


def test_the_life_of_a_wire_of_its_own(walled):
    """Preseeded install, upgrade, dpkg-reconfigure, another interface and back: its own file stays to the byte."""
    before = walled.get(L2W0)
    walled.debconf(underlay="l2w0", local=OWN, remote="198.18.9.9", bridge_ports="enp3s0")
    said = walled.run(*INSTALL).stderr
    # As far as it comes on this kernel.
    assert "not all is wired up" in said and "l2wg attach" not in said, said
    wish = walled.get(GRETAP1)
    assert "wire           = own\n" in wish
    for command in (INSTALL, RECONFIGURE):
        walled.run(*command)
        assert walled.get(GRETAP1) == wish and walled.get(L2W0) == before
    walled.put(WG0, "[Interface]\nPrivateKey = x\nAddress = 10.15.14.2/24\n", 0o600)
    reconfigured(walled, "wg0")
    assert "underlay       = wg0\n" in walled.get(GRETAP1) and "wire           = shared\n" in walled.get(GRETAP1)
    assert "PostUp = l2wg up %i" in walled.get(WG0) and walled.get(L2W0) == before
    reconfigured(walled, "l2w0")
    assert walled.get(GRETAP1) == wish and walled.get(L2W0) == before
    assert "PostUp" not in walled.get(WG0), "nothing goes by wg0 any longer"


def test_purge_leaves_the_key(walled):
    before = walled.get(L2W0)
    walled.debconf(underlay="l2w0", local=OWN, remote="198.18.9.9", bridge_ports="enp3s0")
    walled.run(*INSTALL)
    walled.put("run/l2wg.l2w0.wg", "a copy of the key, as a killed l2wg leaves it", 0o600)
    walled.run("dpkg", "--purge", "l2wg")
    assert walled.get(L2W0) == before and not walled.has("etc/l2wg") and not walled.has("run/l2wg.l2w0.wg")
    assert walled.sh("ip netns list") == ""


def test_a_port_that_does_not_exist_is_refused_unless_it_is_for_later(router):
    values = dict(local="192.168.178.1", remote="192.168.92.1", bridge_ports="enp9s0")
    router.debconf(**values)
    assert "this router has no port enp9s0" in router.run(*INSTALL).stderr
    assert not router.has(GRETAP1) and not router.has(STANZA)
    router.debconf(**values, apply="false")
    router.run(*RECONFIGURE)
    assert "bridge-ports   = enp9s0" in router.get(GRETAP1)


@pytest.mark.parametrize(
    "answers, said",
    [
        ({"card": SITE_B, "bridge_ports": "enp9s0"}, "this router has no port enp9s0"),
        ({"card": SITE_B[:-1], "bridge_ports": "enp3s0"}, "the card is cut off at its end"),
        ({"card": SITE_B}, "this router has no bridge"),
        ({"card": SITE_B, "bridge_ports": "enp2s0"}, "enp2s0 carries the address 192.168.178.1/24"),
        ({"card": "$(touch /root/x)", "bridge_ports": "enp3s0"}, "expected a card, not "),
    ],
)
def test_what_is_wrong_with_a_card_configures_nothing(router, answers, said):
    before = router.get(WG0)
    router.debconf(**answers)
    done = router.run(*INSTALL)
    assert said in done.stderr and "hint: " in done.stderr
    assert router.get(WG0) == before and not router.has(GRETAP1) and not router.has(STANZA) and not router.has("root/x")
    assert "ii " in router.sh("dpkg -l l2wg")
    assert router.shown("card") == ""


def test_purge_takes_our_lines_and_leaves_the_peer(router):
    router.debconf(card=SITE_B, bridge_ports="enp3s0")
    router.run(*INSTALL)
    conf = router.get(WG0)
    router.sh("l2wg card --endpoint a.example.org")
    router.run("dpkg", "--purge", "l2wg")
    assert router.get(WG0) == re.sub(r"^Post.*l2wg.*\n", "", conf, flags=re.M)
    assert not router.has("etc/l2wg")
