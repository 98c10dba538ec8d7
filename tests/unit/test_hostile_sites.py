"""Some sixty wrong, hostile and older files of sites against nets that stand: no event takes a tunnel down for one of them.

Each is read at a hub, at a branch, in a mesh of tunnels and in one of VXLAN, over a shared wire and an own one; after what stood,
after each other, and after a start with an empty /run.
"""

import base64
import json
import os

import nets
import pytest
from l2wg_hooks.config import card, last_applied, own_wire, public_key, site_record, store
from l2wg_hooks.model import Observed

PRIVATE = base64.b64encode(bytes(range(32))).decode()
ME = public_key.of(PRIVATE)
HUB = card.Card("hq", ME, "hq.example.org:51820", ("198.18.1.1",))
SHAPES = {
    "hub": "net shape=star hub=hq",
    "branch": "net shape=star hub=site1",
    "isolated": "net hub=hq isolated=yes",
    "mesh": "net shape=mesh",
    "vxlan": "net shape=mesh encapsulation=vxlan",
}
OWN = card.encode(HUB) + " bridge=br0 bridge-ports=enp3s0\n"
B, C = nets.line(1, endpoint="203.0.113.7:51820"), nets.line(2)
SITES = (OWN, B, C)
STRANGE = card.Card("site7", nets.key(7), "", ("198.18.7.7",))


def with_net(words):
    return lambda net: net.partition(" ")[0] + f" {words}\n" + "".join(SITES)


def with_lines(*lines):
    return lambda net: net + "\n" + "".join(lines)


def raw(text):
    return lambda net: text


def other(line, old, new):
    assert old in line
    return line.replace(old, new)


def edited(line, words):
    return line.replace("\n", f" {words}\n")


def taking(**fields):
    """A line of another key that takes what is site1's."""
    return card.encode(STRANGE._replace(**fields)) + "\n"


WRONG = {
    "empty": raw(""),
    "a newline": raw("\n"),
    "a comment": raw("# nothing\n"),
    "zeros": raw("\0" * 4096),
    "no text": raw("\udcff\udcfe\n" * 7),
    "a BOM": lambda net: "\ufeff" + net + "\n" + "".join(SITES),
    "CRLF of a mailer, cut": lambda net: (net + "\n" + "".join(SITES)).replace("\n", "\r\n")[:-40],
    "carriage returns alone": lambda net: (net + "\n" + "".join(SITES)).replace("\n", "\r"),
    "one line": lambda net: (net + "\n" + "".join(SITES)).replace("\n", " ") + "\n",
    "HTML": raw("<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"),
    "a conflict of git's": lambda net: f"{net}\n{OWN}<<<<<<< HEAD\n{B}=======\n{C}>>>>>>> other\n",
    "a diff": lambda net: "".join(f"+{row}\n" for row in (net + "\n" + "".join(SITES)).splitlines()),
    "YAML": raw("sites:\n  - name: hq\n    key: abc\n"),
    "a tunnel's file": raw("underlay = wg0\nlocal = 198.18.0.1\nremote = 198.18.0.2\nbridge = br0\n"),
    "the net alone": lambda net: net + "\n",
    "cut behind the own line": with_lines(OWN),
    "cut in a line": with_lines(OWN, B[:60]),
    "cut in the last line": with_lines(OWN, B, C[:-1]),
    "cut in the net's line": lambda net: net[:9],
    "without the net": lambda net: "".join(SITES),
    "the net twice": lambda net: f"{net}\n{net}\n" + "".join(SITES),
    "two nets": lambda net: "net shape=mesh\nnet hub=hq\n" + "".join(SITES),
    "the net without a word": with_net(""),
    "an unknown shape": with_net("shape=ring"),
    "a mesh with a hub": with_net("shape=mesh hub=hq"),
    "a star without a hub": with_net("shape=star"),
    "a hub that no line has": with_net("hub=site9"),
    "a hub with an odd name": with_net("hub=../hq"),
    "a hub that is out": lambda net: with_net("hub=site8")(net) + edited(nets.line(8), "gone=2026-01-01"),
    "a mesh that forwards": with_net("shape=mesh isolated=no"),
    "a mesh with a key": with_net("shape=mesh key=5"),
    "a mesh of VXLAN with a key that is none": with_net("shape=mesh encapsulation=vxlan key=16777216"),
    "an unknown encapsulation": with_net("hub=hq encapsulation=l2tp"),
    "an unknown word of the net": lambda net: f"{net} color=red\n" + "".join(SITES),
    "an MTU of the net that is none": lambda net: f"{net} mtu=1\n" + "".join(SITES),
    "a word twice": lambda net: f"{net} mtu=1400 mtu=1500\n" + "".join(SITES),
    "an empty word": lambda net: f"{net} bridge=\n" + "".join(SITES),
    "without this router": with_lines(B, C),
    "this router twice": with_lines(OWN, OWN, B, C),
    "this router with another's key": with_lines(card.encode(HUB._replace(key=nets.key(1))) + "\n", B, C),
    "this router's line with a mistake": with_lines(edited(OWN, "mtu=x"), B, C),
    "this router's line with a port that is none": with_lines(other(OWN, "enp3s0", "../x"), B, C),
    "this router's bridge called like a tunnel": lambda net: net + "\n" + other(OWN, "bridge=br0", "bridge=mesh" if "vxlan" in net else "bridge=site1") + B + C,
    "this router's address of another family": with_lines(edited(OWN, "address=fd00::1"), B, C),
    "this router's card with its checksum wrong": with_lines(OWN[:40] + ("x" if OWN[40] != "x" else "y") + OWN[41:], B, C),
    "this router's address another's": with_lines(OWN, edited(B, "address=198.18.1.1"), C),
    "this router's name another's": with_lines(OWN, B, C, taking(name="hq")),
    "this router out": with_lines(edited(OWN, "gone=2026-01-01"), B, C),
    "without one line": with_lines(OWN, C),
    "without two lines": with_lines(OWN, nets.line(5)),
    "a checksum wrong": with_lines(OWN, B[:40] + ("x" if B[40] != "x" else "y") + B[41:], C),
    "a line twice": with_lines(OWN, B, B, C),
    "a key of another name and address": with_lines(OWN, B, C, card.encode(nets.site(1, "other", addresses=("198.18.9.9",))) + "\n"),
    "a name taken": with_lines(OWN, B, C, taking(name="site1")),
    "a name taken, above": with_lines(OWN, taking(name="site1"), B, C),
    "an address taken": with_lines(OWN, B, C, taking(addresses=("198.18.0.2",))),
    "an address taken, above": with_lines(OWN, taking(addresses=("198.18.0.2",)), B, C),
    "an address where somebody is called": with_lines(OWN, B, edited(C, "address=203.0.113.7")),
    "an address taken as where one is called": with_lines(OWN, B, C, taking(endpoint="198.18.0.2:51820")),
    "a site in, and out by another line": with_lines(OWN, B, C, edited(B, "gone=2026-01-01")),
    "out on no day": with_lines(OWN, edited(B, "gone=2026-02-30"), C),
    "out since yesterday": with_lines(OWN, edited(B, "gone=yesterday"), C),
    "an odd key": with_lines(OWN, edited(B, "../../etc/passwd=1"), C),
    "a shell's words": with_lines(OWN, edited(B, "bridge=$(reboot)"), C),
    "a word of the site's that is the hub's": with_lines(edited(OWN, "isolated=yes"), edited(B, "vlans=0"), C),
    "VLANs that are none": with_lines(OWN, edited(B, "vlans=5000"), C),
    "a very long word": with_lines(OWN, edited(B, "bridge=" + "x" * 100000), C),
    "a thousand broken lines": with_lines(OWN, B, C, *("nonsense\n" for _ in range(1000))),
    "a comment in a line": with_lines(OWN, B, other(C, "1:", "1#:") if "1:" in C else "#" + C),
}  # fmt: skip


@pytest.fixture
def router(etc, wireguard, monkeypatch):
    """What writes its file of sites; gives the wire's kind when it is called with one."""
    monkeypatch.setattr("l2wg_hooks.system.process.output", lambda *argv: "")

    def write(text):
        (etc / "sites").write_bytes(text.encode("utf-8", "surrogateescape"))

    def wire(walled):
        mark = own_wire.MARK + "\n" if walled else ""
        (wireguard / "wg0.conf").write_text(f"[Interface]\n{mark}PrivateKey = {PRIVATE}\nAddress = 198.18.1.1/24\n")

    wire(False)
    write.wire = wire
    return write


def event():
    """An event carries out what there is: the Wish of that."""
    wished = site_record.steady(store.load())
    site_record.keep(wished, {}, Observed(told=frozenset()), {})
    return wished


def start():
    """An empty /run, and what was applied last."""
    os.remove(site_record.PATH)


def applied(text):
    os.makedirs(last_applied.DIRECTORY, exist_ok=True)
    with open(last_applied.APPLIED, "w") as file:
        json.dump({store.SITES: text}, file)


def stands(wished):
    """What cannot change without a tunnel's being made anew, or a site's being out."""
    return {
        (tunnel.name, tunnel.underlay, tunnel.wire, tunnel.local, tunnel.bridge, tunnel.encapsulation, tunnel.key, peer.key, peer.ends, peer.allowed)
        for tunnel in wished.tunnels
        for peer in tunnel.peers
    }


# Each file over both wires, each net, too, and not each in each.
ROWS = [(shape, name, bool((at + of) % 2)) for at, shape in enumerate(SHAPES) for of, name in enumerate(WRONG)]


@pytest.mark.parametrize(("shape", "name", "walled"), ROWS)
def test_what_stands_stays(router, shape, name, walled):
    router.wire(walled)
    right = SHAPES[shape] + "\n" + "".join(SITES)
    router(right)
    applied(right)
    before = event()
    assert before.problems == () and stands(before)
    wrong = WRONG[name](SHAPES[shape])
    router(wrong)
    for again in ("event", "event", "start"):
        if again == "start":
            start()
        wished = event()
        assert stands(wished) >= stands(before), (again, stands(before) - stands(wished))
        for problem in wished.problems:
            assert problem.hint and problem.path and "\n" not in problem.message + problem.hint and len(str(problem)) < 2000, problem
    router(right)
    # What one of them made anew stays until somebody says that it is to go.
    assert stands(event()) >= stands(before)


def no_file(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def a_ring(path):
    path.symlink_to(path)


def a_device(path):
    path.symlink_to("/dev/zero")


def without_end(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize("make", [no_file, a_pipe, a_ring, a_device, without_end])
def test_what_is_no_file_of_sites_at_all(router, etc, make):
    right = SHAPES["hub"] + "\n" + "".join(SITES)
    router(right)
    applied(right)
    before = event()
    (etc / "sites").unlink()
    make(etc / "sites")
    for _ in range(2):
        wished = event()
        assert stands(wished) == stands(before)
        assert [problem.path for problem in wished.problems] == [store.path(store.SITES)] and wished.problems[0].hint
        start()
