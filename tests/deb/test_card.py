"""The other site's card as debconf's answer: typed or preseeded, for once, and never half."""

import re
import sys

import pytest
from box import TOP
from screen import Screen
from test_questions import ADDRESS, BRIDGE, GRETAP1, INSTALL, LOCAL, PORTS, RECONFIGURE, STANZA, UNDERLAY, WG0, error

sys.path.insert(0, str(TOP))
from l2wg_hooks.pairing import card

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


INIT = "Set up WireGuard on this router?"


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
    assert UNDERLAY not in log and LOCAL not in log and "l2wg init" in log and "hint: mend that, then: l2wg pair L2WG1:" in log
    assert not bare.has(WG0) and not bare.has(GRETAP1)


@pytest.mark.parametrize("frontend", ["dialog", "teletype"])
def test_without_wireguard_the_second_question_offers_to_make_it(bare, frontend):
    screen = Screen(bare, *INSTALL, frontend=frontend)
    screen.answer(CARD)
    screen.asked(INIT)
    if frontend == "dialog":
        screen.key("\t", "enter")
    else:
        screen.key("yes", "enter")
    log = screen.end()
    # As far as it comes on this kernel: it has been tried, and what was written is gone again.
    assert "/etc/wireguard/wg0.conf: written; its key is new" in log and "hint: mend that, then: l2wg init" in log
    assert UNDERLAY not in log and not bare.has(WG0) and not bare.has(GRETAP1)
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
    assert "/etc/wireguard/wg0.conf: written" in said and bare.shown("init") == "false"
    assert "/etc/wireguard/wg0.conf: written" not in bare.run(*RECONFIGURE).stderr


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
