"""`l2wg rekey`: a key beside the old one, told, tried, kept or taken back; and `l2wg pair` of the line that it prints."""

import os
import re
import stat
import time

import nets
import pytest
from l2wg_hooks.config import changed_keys, next_key, public_key, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Peer
from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.pairing import rekey
from l2wg_hooks.reconcile import key_switch, watch
from l2wg_hooks.system import process
from test_join import CONF, ENDPOINT, World, private, world  # noqa: F401 # its fixture

HQ, BRANCH = public_key.of(private(1)), public_key.of(private(2))
NEXT = private(102)
NEW = public_key.of(NEXT)


class Kernel:
    """wg0 of the branch: its key, and whoever lets that in answers when it is called."""

    def __init__(self, world):
        self.world, self.key, self.letting, self.clock = world, BRANCH, {BRANCH}, 1000
        self.handshake, self.received = 990, 5
        self.told = []

    def run(self, argv, stdin="", environment=()):
        if argv[:2] == ("wg", "genkey"):
            return process.Result(0, NEXT + "\n", "")
        if argv[:2] == ("wg", "set"):
            self.told.append(argv)
            assert argv == ("wg", "set", "wg0", "private-key", key_switch.STDIN)
            self.key = public_key.of(stdin.strip())
            return process.Result(0, "", "")
        return World.run(self.world, argv, stdin, environment)

    def look(self, name):
        peer = Peer(HQ, "203.0.113.20:51820", ("198.18.0.1/32",), self.handshake, self.received, 0, None)
        return wg_interfaces.Interface(self.key, 51820, (peer,))

    def call(self):
        self.clock += 1
        if self.key in self.letting:
            self.handshake = self.clock
            self.received += 100

    def sleep(self, seconds):
        self.clock += seconds


@pytest.fixture
def branch(world, monkeypatch):
    found = world.router(2, "branch-b").init("198.18.0.2/32")
    hub = world.router(1, "hq").init("198.18.0.1/32", ENDPOINT)
    line = re.search("L2WG1.*", hub.at().l2wg("card")[0]).group()
    own = found.at().l2wg("card")[0]
    text = f"# mine\nnet shape=star hub=hq\n{line}  # hq\n{own} bridge-ports=behind-br0  # the branch\n"
    for router in (hub, found):
        router.file.write_text(text)
    found.hub, found.at().kernel = hub, Kernel(world)
    monkeypatch.setattr(process, "run", found.kernel.run)
    monkeypatch.setattr(wg_interfaces, "look", lambda name: found.kernel.look(name) if world.now is found else None)
    monkeypatch.setattr(key_switch, "call", found.kernel.call)
    monkeypatch.setattr(rekey.verify, "knock", lambda name, targets: found.kernel.call())
    for module in (key_switch, rekey):
        monkeypatch.setattr(module, "time", found.kernel)
    found.kernel.time = found.kernel.monotonic = lambda: found.kernel.clock
    return found


def conf(branch):
    return (branch.etc / "wireguard/wg0.conf").read_text()


def kept(branch):
    return branch.etc / "wireguard/wg0.next-key"


def test_a_line_for_the_others_and_a_key_for_root(branch):
    before = conf(branch), branch.text()
    line, said = branch.l2wg("rekey", "--yes")
    assert line.startswith("L2WG1:") and line.endswith(f" bridge-ports=behind-br0 was={BRANCH}")
    assert branch.text() == before[1].replace(before[1].splitlines()[3], line + "  # the branch") and conf(branch) == before[0]
    assert stat.S_IMODE(os.stat(kept(branch)).st_mode) == 0o600 and NEXT in kept(branch).read_text()
    assert NEXT not in line + said and "at hq: l2wg pair" in said
    # Again: the same, and nothing is written.
    branch.world.applied.clear()
    again, _ = branch.l2wg("rekey", "--yes")
    assert again == line and branch.world.applied == []
    # It is still found by the key that it has, and its tunnel is the same.
    assert [tunnel.name for tunnel in store.load().tunnels] == ["hq"] and store.load().problems == ()
    card, said = branch.l2wg("card")
    assert card in before[1] and "another key waits" in said


def test_the_hub_takes_the_line_and_shows_whose_key_it_is(branch):
    line, _ = branch.l2wg("rekey", "--yes")
    hub = branch.hub
    before = hub.text()
    _, said = hub.l2wg("pair", line, "--yes")
    assert f"branch-b changes its key: {BRANCH} -> {NEW}" in said
    assert hub.text() == before.replace(before.splitlines()[3], line + "  # the branch"), "comment and place stay"
    assert [(peer.key, peer.was) for tunnel in store.load().tunnels for peer in tunnel.peers] == [(NEW, BRANCH)]
    # A second paste, and the one before it: the change is off.
    _, said = hub.l2wg("pair", line, "--yes")
    assert "nothing to do" in said
    _, said = hub.l2wg("pair", before.splitlines()[3].split()[0], "--yes")
    assert "does not change its key" in said and hub.text() == before
    # Of one that has come with the new key, nobody takes the old one back.
    hub.l2wg("pair", line, "--yes")
    hub.at()
    changed_keys.add(BRANCH, NEW)
    hub.fails(["pair", before.splitlines()[3].split()[0], "--yes"], "branch-b", "another key")


def test_what_pair_refuses_of_a_former_key(branch):
    line, _ = branch.l2wg("rekey", "--yes")
    hub = branch.hub
    stranger = nets.line(7).strip()
    hub.fails(["pair", f"{stranger} was={BRANCH}", "--yes"], "that is the key of branch-b, and this card has another name: site7")
    moved = nets.line(7, name="branch-b", addresses=("198.18.0.77",)).strip()
    hub.fails(["pair", f"{moved} was={BRANCH}", "--yes"], "another address: 198.18.0.77, not 198.18.0.2")
    hub.fails(["pair", f"{line.split()[0]} was={nets.key(8)}", "--yes"], "no site of this file has the key")
    hub.fails(["pair", f"{line.split()[0]} was={HQ}", "--yes"], "this router's own key")
    hub.fails(["pair", f"{line.split()[0]} was=x", "--yes"], "no site of this file has the key x")
    hub.at()
    changed_keys.add(BRANCH, nets.key(9))
    hub.file.write_text(hub.text().replace(hub.text().splitlines()[3], nets.line(9, name="branch-b", addresses=("198.18.0.2",)).strip()))
    hub.fails(["pair", line, "--yes"], "that key was changed already, to " + nets.key(9))


def test_a_line_without_a_file_of_sites_is_no_card(branch):
    line, _ = branch.l2wg("rekey", "--yes")
    branch.hub.file.unlink()
    branch.hub.fails(["pair", line, "--yes"], "CHANGING A KEY in l2wg(8)")


def test_of_a_mesh_by_its_hub_the_hub_alone_has_to_know(branch):
    for router in (branch.hub, branch):
        router.file.write_text(router.text().replace("shape=star hub=hq", "shape=mesh encapsulation=vxlan hub=hq") + nets.line(7))
    _, said = branch.l2wg("rekey", "--yes")
    assert "at hq: l2wg pair, with this line" in said and "copy it to hq, site7" in said


def test_where_nobody_answers_the_old_key_is_back(branch):
    branch.l2wg("rekey", "--yes")
    before = conf(branch)
    _, said = branch.l2wg("rekey", "--commit", "--yes", code=1)
    assert "hq did not answer to the new key: wg0 has its old one again" in said and "hint: has it this router's new line?" in said
    assert conf(branch) == before and branch.kernel.key == BRANCH and changed_keys.read() == {}
    assert next_key.read("wg0") == next_key.NextKey(NEXT), "it waits again"
    assert private(2) not in said and NEXT not in said and private(2) not in kept(branch).read_text()


def test_where_all_answer_the_new_one_stays(branch):
    branch.l2wg("rekey", "--yes")
    branch.kernel.letting.add(NEW)
    before = conf(branch)
    _, said = branch.l2wg("rekey", "--commit", "--yes")
    assert "wg0 has the new key" in said and "packets cross again" in said
    assert conf(branch) == before.replace(private(2), NEXT) and branch.kernel.key == NEW and not kept(branch).exists()
    branch.at()
    assert changed_keys.read() == {BRANCH: NEW} and store.load().problems == ()
    assert NEXT not in said and private(2) not in said
    # An older copy of the file: told, and its own tunnel stays, over a start.
    branch.file.write_text(branch.hub.text())
    wished = store.load()
    assert [tunnel.name for tunnel in wished.tunnels] == ["hq"] and "branch-b has another key since" in wished.problems[0].message


def test_the_file_has_the_key_before_the_kernel_and_what_is_tried_is_known_before_both(branch, monkeypatch):
    branch.l2wg("rekey", "--yes")
    states = []
    run = branch.kernel.run

    def told(argv, stdin="", environment=()):
        if argv[:2] == ("wg", "set"):
            states.append((NEXT in conf(branch), next_key.read("wg0")))
        return run(argv, stdin, environment)

    monkeypatch.setattr(process, "run", told)
    branch.kernel.letting.add(NEW)
    branch.l2wg("rekey", "--commit", "--yes")
    assert states == [(True, next_key.NextKey(NEXT, private(2), (HQ,)))]


def test_a_failure_in_the_switch_has_the_old_key_put_back(branch, monkeypatch):
    branch.l2wg("rekey", "--yes")
    before = conf(branch)
    run = branch.kernel.run

    def failing(argv, stdin="", environment=()):
        if argv[:2] == ("wg", "set") and stdin.strip() == NEXT:
            return process.Result(1, "", "Operation not permitted")
        return run(argv, stdin, environment)

    monkeypatch.setattr(process, "run", failing)
    _, said = branch.l2wg("rekey", "--commit", "--yes", code=1)
    assert "Operation not permitted" in said and conf(branch) == before and branch.kernel.key == BRANCH
    assert next_key.read("wg0") == next_key.NextKey(NEXT)


def test_what_was_cut_off_is_settled_by_who_answers(branch):
    """A power cut behind the file's change: the next start has the new key."""
    branch.l2wg("rekey", "--yes")
    old = conf(branch)
    for letting, wanted in ((NEW, NEW), (BRANCH, BRANCH)):
        (branch.etc / "wireguard/wg0.conf").write_text(old.replace(private(2), NEXT))
        next_key.write("wg0", next_key.NextKey(NEXT, private(2), (HQ,)))
        branch.kernel.key, branch.kernel.letting, branch.kernel.handshake = NEW, {letting}, 0
        branch.kernel.clock = time.time()
        os.utime(kept(branch), (1, 1))
        branch.kernel.call()
        for _ in range(3):
            assert watch._keys() == ()
        assert branch.kernel.key == wanted and public_key.of(key_switch.private_of("wg0")) == wanted
        assert kept(branch).exists() == (wanted == BRANCH) and not ("Former" in kept(branch).read_text() if kept(branch).exists() else False)
        (branch.etc / "wireguard/wg0.conf").write_text(old)
        if os.path.exists(changed_keys.PATH):
            assert changed_keys.read() == {BRANCH: NEW}
            os.unlink(changed_keys.PATH)


def test_nobody_settles_what_somebody_is_at(branch):
    branch.l2wg("rekey", "--yes")
    next_key.write("wg0", next_key.NextKey(NEXT, private(2), (HQ,)))
    branch.kernel.handshake = 0
    from l2wg_hooks.system import lock

    with lock.changing():
        assert watch._keys() == () and branch.kernel.told == []
    watch._keys()
    assert len(branch.kernel.told) == 1


def test_cancel_throws_it_away(branch):
    before = branch.text()
    branch.l2wg("rekey", "--yes")
    line, said = branch.l2wg("rekey", "--cancel", "--yes")
    assert branch.text() == before and not kept(branch).exists() and line in before and "at hq: l2wg pair" in said
    branch.fails(["rekey", "--cancel", "--yes"], "no other key waits for wg0")
    branch.fails(["rekey", "--commit", "--yes"], "no other key waits for wg0", "l2wg rekey makes one")


def test_what_is_refused(branch):
    branch.l2wg("rekey", "--yes")
    branch.kernel.handshake = 0
    branch.fails(["rekey", "--commit", "--yes"], "no peer of wg0 has a session")
    branch.kernel.key = nets.key(5)
    branch.fails(["rekey", "--yes"], "/etc/wireguard/wg0.conf: wg0 has the key " + nets.key(5))
    branch.kernel.key = BRANCH
    kept(branch).write_text("nonsense\n")
    branch.fails(["rekey", "--yes"], "/etc/wireguard/wg0.next-key: there is no key in it", "rm ")
    (branch.etc / "wireguard/wg0.conf").write_text(CONF.replace("PrivateKey = %s\n", "") % "198.18.0.2/32")
    with pytest.raises(L2wgError) as error:
        rekey.check("wg0")
    assert "there is no PrivateKey of wg0" in error.value.problems[0].message
    (branch.etc / "NIXOS").write_text("")
    branch.fails(["rekey", "--yes"], "this is NixOS", "privateKeyFile")


def test_of_a_star_of_vxlan_the_number_stays(branch):
    for router in (branch.hub, branch):
        router.file.write_text(router.text().replace("hub=hq", "hub=hq encapsulation=vxlan"))
    branch.at()
    (tunnel,) = store.load().tunnels
    line, _ = branch.l2wg("rekey", "--yes")
    assert f" key={tunnel.key} was=" in line and store.load().tunnels == (tunnel,)
    branch.hub.l2wg("pair", line, "--yes")
    assert store.load().tunnels[0].key == tunnel.key
    branch.hub.file.write_text(branch.hub.text().replace(f" key={tunnel.key}", ""))
    branch.hub.fails(["rekey", "--yes"], "VNI of its tunnels follows from the keys", "key=", "in the line of branch-b")


@pytest.mark.parametrize(
    "row", ["PrivateKey = %s", "privatekey=%s", "PrivateKey\t=  %s  # mine", "PrivateKey = %s\r", "PrivateKey = abc\nPrivateKey = %s"]
)  # fmt: skip
def test_nothing_but_the_key_changes_in_the_file(row):
    text = f"# a\n[Interface]\n{row}\nAddress = 198.18.0.2/32\n[Peer]\nPublicKey = {HQ}\nPrivateKey = not this\n"
    assert next_key.with_private(text % private(2), NEXT) == text % NEXT
    assert next_key.with_private("[Interface]\nAddress = 198.18.0.2/32\n", NEXT) is None


def test_the_file_of_a_next_key():
    found = next_key.NextKey(NEXT, private(2), (HQ, nets.key(3)))
    for one in (found, next_key.NextKey(NEXT)):
        assert next_key.parse(next_key.render("wg0", one)) == one
    for text in ("", "Next = \n", "Next = abc\n", f"Former = {NEXT}\n", f"Next = {NEXT}\nFormer = x\n"):
        assert next_key.parse(text) is None
    assert isinstance(rekey.silence(None, 40, ("hq",))[0], Problem)
