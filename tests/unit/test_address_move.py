"""Which addresses can move from a port to its bridge, and what is said of those that cannot."""

import pytest
from l2wg_hooks.config import ifupdown, tunnel_file
from l2wg_hooks.config.ifupdown import Defined
from l2wg_hooks.model import Addresses, Link
from l2wg_hooks.plan import address_move

TEXT = "underlay = wg0\nlocal = 192.168.92.1\nremote = 192.168.178.1\nbridge = br0\nbridge-ports = enp2s0\n"
STATIC = "iface enp2s0 inet static\n    address 192.168.92.1/24\n"
LIVE = {"enp2s0": Link("enp2s0", 2, mac="02:00:00:00:00:02", addresses=("192.168.92.1/24",), up=True)}
HELD = {"enp2s0": Addresses((("192.168.92.1/24",),), (("default", "via", "192.168.92.254"),))}


def find(text=STATIC, links=LIVE, held=HELD, more=""):
    tunnel, problems = tunnel_file.parse(TEXT + more, "/etc/l2wg/gretap1.conf", "gretap1")
    assert not problems
    stanzas = ifupdown.parse(text, "/etc/network/interfaces")[0]
    return address_move.find([tunnel], Defined(tuple(stanzas), ()), links, held)


def test_a_static_address_can_move():
    moves, problems = find()
    assert problems == () and [str(move) for move in moves] == ["192.168.92.1/24 moves from enp2s0 to br0"]
    assert moves[0].paths == ("/etc/network/interfaces",)
    assert [str(step) for step in address_move.steps(moves, LIVE, HELD)] == [
        "ip link add name br0 address 02:00:00:00:00:02 type bridge forward_delay 0",
        "ip link set dev br0 up",
        "ip address add 192.168.92.1/24 dev br0",
        "ip link set dev enp2s0 master br0",
        "ip route replace default via 192.168.92.254 dev br0",
        "ip address delete 192.168.92.1/24 dev enp2s0",
    ]
    after = address_move.after(LIVE, moves)
    assert (after["enp2s0"].addresses, after["enp2s0"].master) == ((), "br0")
    assert after["br0"].addresses == ("192.168.92.1/24",) and after["br0"].kind == "bridge"


def test_a_bridge_that_is_there_is_not_made_again():
    moves = find()[0]
    links = dict(LIVE, br0=Link("br0", 3, "bridge", up=True, addresses=("10.0.0.1/8",)))
    assert [str(step) for step in address_move.steps(moves, links, HELD)][0] == "ip address add 192.168.92.1/24 dev br0"
    assert address_move.after(links, moves)["br0"].addresses == ("10.0.0.1/8", "192.168.92.1/24")
    joined = dict(links, enp2s0=Link("enp2s0", 2, mac="02:00:00:00:00:02", master="br0", addresses=("192.168.92.1/24",)))
    assert [str(step) for step in address_move.steps(moves, joined, HELD)] == [
        "ip address add 192.168.92.1/24 dev br0",
        "ip route replace default via 192.168.92.254 dev br0",
        "ip address delete 192.168.92.1/24 dev enp2s0",
    ]
    bare = dict(links, enp2s0=Link("enp2s0", 2, master="br0"))
    assert address_move.steps(moves, bare, {}) == (), "only the text is left to move"


def test_a_port_that_leaves_takes_along_what_it_gave():
    held = {"br0": Addresses((("192.168.92.1/24",), ("10.0.0.1/8",)), (("default", "via", "192.168.92.254"),))}
    leave = "ip link set dev enp2s0 nomaster"
    assert [" ".join(argv) for argv in address_move.back("enp2s0", "br0", ["192.168.92.1"], held, routes=True)] == [
        "ip address add 192.168.92.1/24 dev enp2s0",
        leave,
        "ip route replace default via 192.168.92.254 dev enp2s0",
        "ip address delete 192.168.92.1/24 dev br0",
    ]
    assert len(address_move.back("enp2s0", "br0", ["192.168.92.1"], held, routes=False)) == 3
    assert [" ".join(argv) for argv in address_move.back("enp2s0", "br0", [], held, routes=True)] == [leave]


def test_what_is_defined_and_not_up_moves_in_the_file_only():
    moves, problems = find(links={})
    assert problems == () and len(moves) == 1
    assert address_move.steps(moves, {}, {}) == () and address_move.after({}, moves) == {}


@pytest.mark.parametrize(
    "text, held, more, said",
    [
        ("", HELD, "", "interfaces(5) gives enp2s0 no static address"),
        ("iface enp2s0 inet manual\n", HELD, "", "interfaces(5) gives enp2s0 no static address"),
        (STATIC + "iface enp2s0 inet6 auto\n", HELD, "", "/etc/network/interfaces:3 says `inet6 auto`"),
        (STATIC + "iface enp2s0 inherits lan\n", HELD, "", "/etc/network/interfaces:3 says `inherits lan`"),
        ("iface enp2s0 inet static inherits lan\n", HELD, "", "/etc/network/interfaces:1 inherits from lan"),
        (STATIC + "iface enp5s0 inet static inherits enp2s0\n", HELD, "", "/etc/network/interfaces:3 inherits from enp2s0"),
        (STATIC + "iface enp2s0:1 inet static\n address 10.0.0.1/8\n", HELD, "", "/etc/network/interfaces:3 defines enp2s0:1"),
        (STATIC, {"enp2s0": Addresses((("192.168.92.1/24", "valid_lft", "300"),))}, "", "a lease of DHCP"),
        (STATIC, HELD, "bridge-address = 10.0.0.1/8\n", "bridge-address says 10.0.0.1/8"),
        (
            STATIC + "    up ethtool -K $IFACE gro off; ip route add 10.0.0.0/8 dev $IFACE\n",
            HELD,
            "",
            "interfaces:1: `up ethtool -K $IFACE gro off; ip route add 10.0.0.0/8 dev $IFACE` is about the card (`ethtool -K $IFACE gro off`)",
        ),
    ],
)
def test_what_cannot_move_is_said_with_the_reason(text, held, more, said):
    moves, (problem,) = find(text, held=held, more=more)
    assert moves == ()
    assert problem.message.startswith("enp2s0 carries the address") and said in problem.hint


def test_the_bridges_address_may_be_written_as_it_is():
    assert len(find(more="bridge-address = 192.168.92.1/24\n")[0]) == 1


def test_a_bridge_of_the_admins_gets_nothing():
    assert find(STATIC + "iface br0 inet manual\n") == ((), ())
    assert find("", {"enp2s0": Link("enp2s0", 2, master="br9", addresses=("10.0.0.1/8",))}) == ((), ())


def test_what_cannot_be_told_is_told():
    stanzas = ifupdown.parse(STATIC + "    up /usr/local/sbin/tune $IFACE\n    up ip route add 10.0.0.0/8 dev $IFACE\n", "/etc/network/interfaces")[0]
    (problem,) = address_move.doubtful(find()[0], Defined(tuple(stanzas), ()))
    assert "`up /usr/local/sbin/tune $IFACE` goes to br0; whether" in problem.message and "if-up.d" in problem.hint
