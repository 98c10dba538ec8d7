"""A change is taken back out of a text that somebody has edited since."""

import pytest
from l2wg_hooks.config import ifupdown_bridge, ifupdown_stanzas, revert

OLD = "auto lo\niface enp2s0 inet static\n    address 192.168.92.1/24\n# The end.\n"
NEW = ifupdown_stanzas.with_source(ifupdown_stanzas.set_aside(OLD, ["enp2s0"]), ifupdown_bridge.OURS)
WG = "[Interface]\nPrivateKey = (not shown)\n\n[Peer]\nPublicKey = A=\n"
PAIRED = WG + "\n[Peer]\nPublicKey = B=\nAllowedIPs = 10.0.0.2/32\n"
VLAN = "auto enp2s0.10\niface enp2s0.10 inet manual\n"


@pytest.mark.parametrize("text", [OLD, OLD.rstrip("\n"), "", OLD * 3])
def test_what_nobody_has_edited_is_as_it_was(text):
    aside = ifupdown_stanzas.set_aside(text, ["enp2s0"])
    assert revert.back(aside, aside, text) == text
    assert revert.back(text, text, aside) == aside


@pytest.mark.parametrize(
    "now, new, old, wanted",
    [
        (NEW + VLAN, NEW, OLD, OLD + VLAN),
        ("# mine\n" + NEW, NEW, OLD, "# mine\n" + OLD),
        (NEW.replace("# The end.\n", ""), NEW, OLD, OLD.replace("# The end.\n", "")),
        (OLD + VLAN, OLD, NEW, NEW + VLAN),
        (PAIRED + "\n[Peer]\nPublicKey = C=\n", PAIRED, WG, WG + "\n[Peer]\nPublicKey = C=\n"),
        (PAIRED + "[Peer]\nPublicKey = C=\n", PAIRED, WG, WG + "[Peer]\nPublicKey = C=\n"),
        (PAIRED.replace("A=\n", "A=\nEndpoint = a:1\n"), PAIRED, WG, WG.replace("A=\n", "A=\nEndpoint = a:1\n")),
        ("x\n", "", "", "x\n"),
    ],
)
def test_what_somebody_has_added_or_taken_out_elsewhere_stays(now, new, old, wanted):
    assert revert.back(now, new, old) == wanted


@pytest.mark.parametrize(
    "now, new, old",
    [
        (NEW.replace("#l2wg#     address", "#l2wg#     adress"), NEW, OLD),
        (NEW.replace("#l2wg#     address", "# why\n#l2wg#     address"), NEW, OLD),
        (PAIRED + "PersistentKeepalive = 25\n", PAIRED, WG),
        (PAIRED.replace("B=\n", "B=\nEndpoint = b:1\n"), PAIRED, WG),
        ("", NEW, OLD),
    ],
)
def test_where_the_same_lines_have_been_edited_nothing_is_guessed(now, new, old):
    assert revert.back(now, new, old) is None
