import pytest
from l2wg_hooks.config import own_wire
from l2wg_hooks.model import Link
from l2wg_hooks.observe import walls
from l2wg_hooks.system import process

PATH = "/etc/wireguard/l2w0.conf"
TEXT = """\
# a comment
[Interface]
PrivateKey = PRIVATE=
ListenPort = 4901 # and one more
Address = 198.18.0.1/32, fd00:198::1/128

[Peer]
PublicKey = PEER1=
AllowedIPs = 198.18.0.2/32
AllowedIPs = fd00:198::2
Endpoint = b.example.org:4901
PersistentKeepalive = 25

[peer]
PublicKey = PEER2=
PresharedKey = SHARED=
AllowedIPs = 198.18.0.3
PersistentKeepalive = 0
"""
# As wg(8) 1.0.20210914 prints it.
DUMP = (
    "PRIVATE=\tPUBLIC=\t4901\toff\n"
    "PEER2=\tSHARED=\t(none)\t198.18.0.3/32\t0\t0\t0\toff\n"
    "PEER1=\t(none)\t203.0.113.20:4901\tfd00:198::2/128,198.18.0.2/32\t1700000000\t100\t200\t25\n"
)


def parsed(text=TEXT):
    wire, problems = own_wire.parse(text, PATH)
    assert problems == ()
    return wire


def refused(text):
    wire, problems = own_wire.parse(text, PATH)
    assert wire is None
    return [(problem.line, problem.key, problem.message) for problem in problems]


def test_a_file_of_wg_quicks_format_is_read():
    wire = parsed()
    assert wire.addresses == ("198.18.0.1/32", "fd00:198::1/128") and wire.mtu == 1420 and wire.port == "4901"
    assert wire.peers["PEER1="] == own_wire.PeerWish("(none)", frozenset({"198.18.0.2/32", "fd00:198::2/128"}), "25", "b.example.org:4901")
    assert wire.peers["PEER2="] == own_wire.PeerWish("SHARED=", frozenset({"198.18.0.3/32"}), "off", "")
    assert parsed(TEXT.replace("ListenPort", "MTU = 1380\nListenPort")).mtu == 1380
    assert parsed(TEXT.replace("\n", "\r\n")) == wire


@pytest.mark.parametrize("key", ["PostUp", "preup", "PostDown", "PreDown", "Table", "DNS", "SaveConfig"])
def test_what_wg_quick_does_and_nobody_here_is_refused_with_the_reason(key):
    ((line, name, message),) = refused(TEXT.replace("ListenPort", f"{key} = off\nListenPort"))
    assert (line, name) == (4, key.lower()) and message.startswith("has no meaning with `wire = own`: ")


def test_all_that_is_wrong_is_told_at_once():
    text = "Table = off\n[Interface]\nColour = red\nAddress = here\nMTU = 70000\n"
    assert [(line, key) for line, key, _ in refused(text)] == [(1, "table"), (3, "colour"), (4, "Address"), (0, "MTU"), (0, ""), (0, "")]


def test_nothing_is_told_where_all_is_as_the_file_has_it():
    assert walls.differs(parsed(), DUMP) == ()
    # Without ListenPort WireGuard chooses one.
    assert walls.differs(parsed(TEXT.replace("ListenPort = 4901", "")), DUMP.replace("4901", "40000")) == ()
    # Where a peer was heard last is not what the file says.
    assert walls.differs(parsed(), DUMP.replace("203.0.113.20", "192.0.2.9")) == ()
    assert walls.differs(parsed(TEXT.replace("ListenPort", "FwMark = 0x20\nListenPort")), DUMP.replace("\toff\n", "\t0x20\n", 1)) == ()


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("PRIVATE=", "OTHER=", ("its key",)),
        ("\t4901\toff\n", "\t4902\toff\n", ("its UDP port",)),
        ("\toff\n", "\t0x1\n", ("its mark",)),
        ("SHARED=", "(none)", ("its peers",)),
        ("198.18.0.3/32", "(none)", ("its peers",)),
        ("\t25\n", "\toff\n", ("its peers",)),
        ("PEER2=\tSHARED=\t(none)\t198.18.0.3/32\t0\t0\t0\toff\n", "", ("its peers",)),
        (DUMP, "", ("all of it",)),
        ("\t1700000000", "", ("all of it",)),
    ],
)
def test_what_differs_is_told(old, new, told):
    assert walls.differs(parsed(), DUMP.replace(old, new, 1)) == told


def test_wg_gets_what_it_takes_and_no_name():
    text = own_wire.stripped(TEXT)
    assert "Address" not in text and "#" not in text and "Endpoint" not in text
    assert text.startswith("[Interface]\nPrivateKey = PRIVATE=\nListenPort = 4901\n[Peer]\n")
    for endpoint in ("203.0.113.20:4901", "[2001:db8::1]:4901"):
        assert f"\nEndpoint = {endpoint}\n" in own_wire.stripped(TEXT.replace("b.example.org:4901", endpoint))


def test_what_a_peer_has_no_longer_is_taken_from_it():
    """`wg syncconf` leaves a preshared key and a keepalive that its file does not name: seen of wireguard-tools 1.0.20210914."""
    for text in (TEXT, TEXT.replace("\n", "\r\n"), TEXT.replace("PersistentKeepalive = 25\n", "")):
        _, first, second = own_wire.stripped(text).replace("[peer]", "[Peer]").split("[Peer]\n")
        assert f"PresharedKey = {own_wire.NO_KEY}\n" in first and second.count("PresharedKey") == 1 and "SHARED=" in second
        assert first.count("PersistentKeepalive") == 1 == second.count("PersistentKeepalive")
    assert "PersistentKeepalive = off\n" in first
    none = parsed(TEXT.replace("PresharedKey = SHARED=", f"PresharedKey = {own_wire.NO_KEY}"))
    assert none.peers["PEER2="].preshared == "(none)", "as wg(8) calls it"


# As iproute2 6.1 lists what was added by hand to both families, and to another table.
ROUTES = """\
10.0.0.0/8 dev l2w0 table 77 scope link\x20
default dev l2w0 scope link\x20
unreachable 10.9.0.0/16\x20
198.18.0.2 dev l2w0 scope link mtu lock 1600\x20
fd00::2 dev l2w1 metric 1024 mtu lock 1600 pref medium
default dev l2w0 metric 1024 pref medium
"""


def test_the_namespace_is_looked_at_by_two_commands_however_many_wires(monkeypatch):
    ran = []

    def fake(argv, stdin=""):
        ran.append(" ".join(argv))
        return process.Result(0, ROUTES if argv[0] == "ip" else "".join(f"l2w{number}\t{line}\n" for number in (0, 1) for line in DUMP.splitlines()), "")

    monkeypatch.setattr(process, "run", fake)
    links = {name: Link(name, 2, "wireguard", namespace="l2wg") for name in ("l2w0", "l2w1", "l2w2")}
    routes, _, _, dumps = walls._inside(dict(links, wg0=Link("wg0", 5, "wireguard")))
    assert routes == {"default": ("l2w0", 0), "::/0": ("l2w0", 0), "10.9.0.0/16": ("", 0), "198.18.0.2": ("l2w0", 1600), "fd00::2": ("l2w1", 1600)}
    assert dumps == {"l2w0": DUMP, "l2w1": DUMP, "l2w2": ""}
    assert ran == ["ip route show table all proto boot", "wg show all dump"]
    ran.clear()
    walls._inside({})
    assert ran == ["ip route show table all proto boot"]
