import pytest
from l2wg_hooks.config import wg_quick_peers

A, B = "A" * 42 + "0=", "B" * 42 + "0="
TEXT = """\
# mine
[Interface]
PrivateKey = secret
Address = 10.15.14.1/24, fd00::1/64

[peer]
# Site A
publickey=%s
AllowedIPs = 10.15.14.2/32,192.168.178.0/24   # both
PresharedKey = psk

[Peer]
PublicKey = %s
AllowedIPs = 10.0.0.0/8
AllowedIPs = 172.16.0.1
Endpoint = old.example.org:1 # since May
# the end""" % (A, B)


def test_sections():
    first, second = wg_quick_peers.sections(TEXT)
    assert (first.key, first.endpoint, first.allowed) == (A, "", ("10.15.14.2/32", "192.168.178.0/24"))
    assert (second.key, second.endpoint, second.allowed) == (B, "old.example.org:1", ("10.0.0.0/8", "172.16.0.1"))
    assert wg_quick_peers.interface_values(TEXT, "address") == ["10.15.14.1/24", "fd00::1/64"]


def test_the_most_specific_of_all_allowed_ips_counts():
    found = wg_quick_peers.sections(TEXT)
    assert wg_quick_peers.owner(found, "10.15.14.2") == A
    assert wg_quick_peers.owner(found, "10.15.14.3") == B
    assert wg_quick_peers.owner(found, "fd00::7") == ""
    assert wg_quick_peers.owns(found[0].allowed, "10.15.14.2") and not wg_quick_peers.owns(found[1].allowed, "10.15.14.2")
    assert wg_quick_peers.owns(found[1].allowed, "172.16.0.1")
    assert wg_quick_peers.covers(("nonsense", "::/0"), "fd00::1")


@pytest.mark.parametrize(
    "text, after",
    [
        ("", "[Peer]\n# c, by `l2wg pair`\nK = v\n"),
        ("[Interface]\n", "[Interface]\n\n[Peer]\n# c, by `l2wg pair`\nK = v\n"),
        ("[Interface]", "[Interface]\n\n[Peer]\n# c, by `l2wg pair`\nK = v\n"),
        ("[Interface]\r\n", "[Interface]\r\n\r\n[Peer]\r\n# c, by `l2wg pair`\r\nK = v\r\n"),
    ],
)
def test_add_changes_nothing_that_is_there(text, after):
    assert wg_quick_peers.add(text, "c", [("K", "v")]) == after


def test_change_changes_one_line():
    new = wg_quick_peers.change(TEXT, B, {"Endpoint": "[2001:db8::1]:7"})
    assert new == TEXT.replace("old.example.org:1 #", "[2001:db8::1]:7 #")
    assert wg_quick_peers.change(TEXT, A, {"Endpoint": "b:1"}) == TEXT.replace("psk\n", "psk\nEndpoint = b:1\n")
    assert wg_quick_peers.change("[Peer]\nPublicKey = %s" % A, A, {"Endpoint": "b:1"}) == "[Peer]\nPublicKey = %s\nEndpoint = b:1" % A


def test_allow():
    assert wg_quick_peers.allow(TEXT, A, "198.18.0.1/32") == TEXT.replace("178.0/24 ", "178.0/24, 198.18.0.1/32 ")
    assert wg_quick_peers.allow(TEXT, B, "198.18.0.1/32") == TEXT.replace("172.16.0.1", "172.16.0.1, 198.18.0.1/32")
    assert wg_quick_peers.allow("[Peer]\nPublicKey = %s\nAllowedIPs =\n" % A, A, "198.18.0.1/32").endswith("AllowedIPs =198.18.0.1/32\n")


def test_secrets_are_not_shown():
    shown = wg_quick_peers.masked(TEXT)
    assert "secret" not in shown and "psk" not in shown
    assert wg_quick_peers.unmasked(shown, TEXT) == TEXT
    assert wg_quick_peers.unmasked(shown, TEXT.replace("= psk", "=new")) == TEXT.replace("= psk", "=new")
    assert wg_quick_peers.unmasked(shown, "") is None and wg_quick_peers.unmasked(shown, "[Interface]\nPrivateKey = x\n") is None
    assert shown.count("(not shown)") == 2 and shown.count("\n") == TEXT.count("\n")
