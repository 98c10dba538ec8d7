"""Joining by two pastes: what the hub invites with, what the new router writes and tells, and what the hub takes of that."""

import base64
import os
import socket

import nets
import pytest
import roots
from l2wg_hooks import cli
from l2wg_hooks.apply import apply, preview, transaction
from l2wg_hooks.commands import dialogue
from l2wg_hooks.config import card, inner_addresses, invitation, own_wire, public_key, site_lines, store
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.model import Link
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import admit, invite, join, pair, site
from l2wg_hooks.system import process, units

ENDPOINT = "203.0.113.20:51820"
CONF = "[Interface]\nPrivateKey = %s\nAddress = %s\nListenPort = 51820\n"


def private(number):
    return base64.b64encode(bytes((number,)) * 32).decode()


class Router:
    """One of several, of which one at a time is the machine that the code sees: `at` changes it."""

    def __init__(self, number, name, world):
        self.number, self.name, self.world = number, name, world
        self.root = world.folder / name
        self.etc, self.links = self.root / "etc", {}
        self.file = self.etc / "l2wg/sites"
        for folder in ("run", "etc/l2wg", "etc/wireguard", "etc/network"):
            (self.root / folder).mkdir(parents=True)

    def at(self):
        roots.move(self.world.patch, self.root)
        self.world.now = self
        return self

    @property
    def key(self):
        return public_key.of(private(self.number))

    def init(self, address, endpoint="none", bridge="br0", wire="wg0"):
        """WireGuard that is its own, and a bridge."""
        mark = own_wire.MARK + "\n" if wire != "wg0" else ""
        (self.etc / "wireguard" / f"{wire}.conf").write_text(mark + CONF % (private(self.number), address))
        (self.etc / "l2wg/site").write_text(f"name = {self.name}\nendpoint = {endpoint}\n")
        return self.bridge(bridge) if bridge else self

    def bridge(self, name):
        self.port("behind-" + name)
        below = self.root / "sys/class/net" / name
        (below / f"lower_behind-{name}").mkdir(parents=True)
        self.links[name] = Link(name, len(self.links) + 1, "bridge")
        return self

    def port(self, name):
        (self.root / "sys/class/net" / name / "device").mkdir(parents=True)
        (self.root / "sys/class/net" / name / "type").write_text("1\n")
        if not name.startswith("behind"):
            self.links[name] = Link(name, len(self.links) + 1)
        return self

    def text(self):
        return self.file.read_text() if self.file.exists() else ""

    def lines(self):
        """The lines of its file without comments and blank ones."""
        return [row.partition("#")[0].rstrip() for row in self.text().splitlines() if row.partition("#")[0].strip()]

    def l2wg(self, *words, code=0):
        """(what stands on standard output, what on the terminal)."""
        self.at()
        self.world.capsys.readouterr()
        assert cli.main(list(words)) == code, self.world.capsys.readouterr().err
        said = self.world.capsys.readouterr()
        return said.out.strip(), said.err

    def fails(self, words, *said):
        """Refused: what is wrong, and a cure; nothing is written."""
        self.at()
        before = {path: path.read_bytes() for path in sorted(self.etc.rglob("*")) if path.is_file()}
        self.world.capsys.readouterr()
        assert cli.main(list(words)) == 1
        err = self.world.capsys.readouterr().err.replace(str(self.root), "")
        assert all(word in err for word in (*said, "hint: ")), err
        assert before == {path: path.read_bytes() for path in sorted(self.etc.rglob("*")) if path.is_file()}


class World:
    def __init__(self, folder, patch, capsys):
        self.folder, self.patch, self.capsys, self.now, self.applied = folder, patch, capsys, None, []

    def router(self, number, name):
        return Router(number, name, self)

    def run(self, argv, stdin="", environment=()):
        said = {"genkey": private(self.now.number) + "\n", "pubkey": public_key.of(stdin.strip()) + "\n" if stdin.strip() else ""}
        return process.Result(0, said.get(argv[1], "") if argv[0] == "wg" else "", "")

    def apply(self, confirm=0, agree=None, more=preview.NOTHING, rehearsed=True):
        self.applied.append((confirm, rehearsed, sorted(more.texts)))
        apply._carry_more(more)
        wished = store.load()
        assert wished.problems == ()
        return ()


@pytest.fixture
def world(tmp_path, monkeypatch, capsys):
    found = World(tmp_path, monkeypatch, capsys)
    monkeypatch.setattr(process, "run", found.run)
    monkeypatch.setattr(process, "output", lambda *argv: "")
    monkeypatch.setattr(link_table, "read", lambda: dict(found.now.links))
    monkeypatch.setattr(wg_interfaces, "look", lambda name: None)
    monkeypatch.setattr(socket, "gethostname", lambda: found.now.name + ".lan")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr(units, "run_here", lambda: True)
    monkeypatch.setattr(pair, "PAUSE", 0)
    monkeypatch.setattr(apply, "settle", lambda: None)
    monkeypatch.setattr(apply, "apply", found.apply)
    empty = preview.Intent((), {}, {}, (), (), preview.Plan((), (), ()), (), True)
    monkeypatch.setattr(preview, "intend", lambda moving=False, wished_too=None: empty)
    monkeypatch.setattr(dialogue, "show", lambda intent, last=(): print("+++ a diff"))
    monkeypatch.setattr(transaction, "waits", lambda: False)
    return found


@pytest.fixture
def hub(world):
    return world.router(1, "hq").init("198.18.0.1/32", ENDPOINT)


@pytest.fixture
def branch(world):
    return world.router(2, "branch-b").port("enp3s0")


def card_of(line):
    return card.decode(admit.split(line)[0])


def test_two_pastes(hub, branch):
    """Fresh routers: hub and branch have the same lines, byte for byte, and nothing is left to be typed."""
    token, said = hub.l2wg("invite", "branch-b", "--yes")
    assert "this router is the hub of a net" in said and "on the router that is to be branch-b: l2wg join INVITATION" in said
    assert hub.lines()[0] == "net shape=star hub=hq" and hub.lines()[1] == card.encode(card_of(hub.lines()[1]))
    assert token.startswith("L2WGJ1:") and " " not in token, "what is shown stands beside"
    line, said = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    assert "+++ a diff" in said and "\n" not in line
    assert "l2w0 is made first" in said and "at hq, if that has not been done: l2wg pair" in said
    invited = invitation.decode(token)
    conf = (branch.etc / "wireguard/l2w0.conf").read_text()
    assert own_wire.is_marked(conf) and f"Address = {invited.address}/32\n" in conf
    assert "name = branch-b\n" in (branch.etc / "l2wg/site").read_text().replace("           ", " ").replace("  ", " ")
    own = card.encode(card_of(line))
    assert branch.lines() == [*hub.lines(), f"{own} bridge-ports=enp3s0"]
    assert card_of(line).name == "branch-b" and card_of(line).addresses == (invited.address,) and card_of(line).key == branch.key
    _, said = hub.l2wg("pair", *line.split(), "--yes")
    assert "branch-b is in, by line 3" in said and "has not answered yet" in said
    assert hub.lines() == branch.lines() and hub.text().endswith("  # branch-b\n")
    for router in (hub, branch):
        router.at()
        (tunnel,) = store.load().tunnels
        assert tunnel.site == ("branch-b" if router is hub else "hq")
        assert (tunnel.local, tunnel.remote) in [("198.18.0.1", invited.address), (invited.address, "198.18.0.1")]


def test_the_second_time_nothing_changes(hub, branch, world):
    token, _ = hub.l2wg("invite", "branch-b", "--yes")
    first, _ = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    hub.l2wg("pair", first, "--yes")
    texts, applied = (hub.text(), branch.text()), len(world.applied)
    again, said = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    assert again == first and "nothing to do: this router is in the net of hq, as branch-b" in said
    assert branch.l2wg("join", token)[0] == first, "nobody has to agree to nothing"
    assert "nothing to do: branch-b is in, by line 3" in hub.l2wg("pair", first)[1]
    assert "nothing to do: branch-b is in, by line 3" in hub.l2wg("pair", card.encode(card_of(first)))[1]
    assert (hub.text(), branch.text()) == texts and len(world.applied) == applied


def test_what_the_hub_promises_stands_at_both(hub, branch):
    token, _ = hub.l2wg("invite", "branch-b", "vlans=10", "--yes", "storm-limit=100", "bridge-ports=enp3s0")
    line, _ = branch.l2wg("join", token, "--yes")
    assert branch.lines()[-1].split()[1:] == ["bridge-ports=enp3s0", "vlans=10", "storm-limit=100"]
    hub.l2wg("pair", line, "--yes")
    assert hub.lines() == branch.lines()


def test_by_a_pipe(hub, branch, monkeypatch):
    """What is printed on one end is what the other one takes on standard input."""

    class Pipe:
        def __init__(self, text):
            self.rows = iter(text.splitlines(keepends=True))

        def readline(self, size):
            return next(self.rows, "")

        def isatty(self):
            return False

    token, _ = hub.l2wg("invite", "branch-b", "vlans=10", "--yes")
    monkeypatch.setattr("sys.stdin", Pipe(token[:80] + "\n" + token[80:] + "\nmore"))
    line, _ = branch.l2wg("join", "--yes", "--bridge-ports", "enp3s0")
    # However it is wrapped.
    monkeypatch.setattr("sys.stdin", Pipe(line.replace(" ", "\n")[:-20] + "\n" + line[-20:] + "\nmore"))
    hub.l2wg("pair", "--yes")
    assert hub.lines() == branch.lines()


def test_wireguard_that_is_there_is_used_as_it_is(hub, branch):
    """A shared one gets the lines by which the tunnel comes back with it."""
    branch.init("198.18.7.7/32")
    before = (branch.etc / "wireguard/wg0.conf").read_text()
    token, _ = hub.l2wg("invite", "branch-b", "--yes")
    line, said = branch.l2wg("join", token, "--yes")
    assert card_of(line).addresses == ("198.18.7.7",) and "stays 198.18.7.7, as wg0 has it, and is not " in said
    conf = (branch.etc / "wireguard/wg0.conf").read_text()
    assert conf.startswith(before) and "PostUp = l2wg up %i || :" in conf and os.listdir(str(branch.etc / "wireguard")) == ["wg0.conf"]
    assert " " not in branch.lines()[-1], "its bridge is that of the net"
    hub.l2wg("pair", line, "--yes")
    assert hub.lines() == branch.lines()


def test_a_hub_of_wg_quicks_gets_its_lines_too(hub):
    hub.l2wg("invite", "branch-b", "--yes")
    assert "PostUp = l2wg up %i || :" in (hub.etc / "wireguard/wg0.conf").read_text()


def test_nothing_is_made_without_a_yes(hub, branch):
    hub.fails(["invite", "branch-b"], "nobody is here to agree")
    token, _ = hub.l2wg("invite", "branch-b", "--yes")
    branch.fails(["join", token, "--bridge-ports", "enp3s0"], "nobody is here to agree")
    line, _ = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    hub.fails(["pair", line], "nobody is here to agree")


def test_options_go_through(hub, branch, world):
    token, _ = hub.l2wg("invite", "branch-b", "--yes", "--confirm", "60", "--no-rehearsal")
    place = ("--bridge-ports", "enp3s0", "--bridge", "lan", "--bridge-address", "10.0.0.1/24")
    line, _ = branch.l2wg("join", token, "--yes", "--confirm", "60", "--no-rehearsal", *place, "--endpoint", "203.0.113.7")
    hub.l2wg("pair", line, "--yes", "--confirm", "60", "--no-rehearsal")
    assert [row[:2] for row in world.applied] == [(60, False)] * 3
    assert branch.lines()[-1].split()[1:] == ["bridge=lan", "bridge-ports=enp3s0", "bridge-address=10.0.0.1/24"]
    assert card_of(line).endpoint == "203.0.113.7:51820"
    branch.at()
    assert site.load().endpoint == "203.0.113.7"


# The hub


def begun(hub):
    hub.l2wg("invite", "branch-b", "--yes")
    return hub


def test_an_invitation_changes_nothing_and_is_always_the_same(hub, world):
    begun(hub)
    before, applied = hub.text(), len(world.applied)
    tokens = [hub.l2wg("invite", name)[0] for name in ("branch-b", "branch-c", "branch-b")]
    assert tokens[0] == tokens[2] and hub.text() == before and len(world.applied) == applied
    assert len({invitation.decode(token).address for token in tokens}) == 2


def test_an_address_is_nobodys(hub, world):
    """Not of a line, nor of one that is out, nor of a tunnel or peer beside the file."""
    begun(hub)
    first = inner_addresses.free("branch-b", inner_addresses.INNER, ())
    assert invitation.decode(hub.l2wg("invite", "branch-b")[0]).address == first
    second = inner_addresses.free("branch-b", inner_addresses.INNER, {first})
    for words in ("", "gone=2026-11-25"):
        text = hub.text()
        hub.file.write_text(text + nets.line(5, words, addresses=(first,)))
        assert invitation.decode(hub.l2wg("invite", "branch-b")[0]).address == second
        hub.file.write_text(text)
    conf = hub.etc / "wireguard/wg0.conf"
    text = conf.read_text()
    conf.write_text(f"{text}[Peer]\nPublicKey = {nets.key(7)}\nAllowedIPs = 10.0.0.0/8, {first}/32\n")
    assert invitation.decode(hub.l2wg("invite", "branch-b")[0]).address == second
    conf.write_text(text)
    (hub.etc / "l2wg/gretap1.conf").write_text(f"underlay = wg0\nlocal = 198.18.0.1\nremote = {first}\nbridge = br0\n")
    assert invitation.decode(hub.l2wg("invite", "branch-b")[0]).address == second


def test_an_address_is_in_the_network_of_the_hubs_wireguard(world):
    hub = world.router(1, "hq").init("10.9.9.1/29", ENDPOINT)
    found = {invitation.decode(hub.l2wg("invite", f"branch-{number}", "--yes")[0]).address for number in range(20)}
    assert found == {"10.9.9.%d" % number for number in range(2, 7)}


def test_an_address_that_is_named(hub):
    begun(hub)
    assert invitation.decode(hub.l2wg("invite", "branch-b", "--address", "10.1.2.3")[0]).address == "10.1.2.3"
    hub.fails(["invite", "branch-b", "--address", "198.18.0.1"], "/etc/l2wg/sites:2: --address: 198.18.0.1 is the address of hq")
    hub.fails(["invite", "branch-b", "--address", "fd00::1"], "expected an IPv4 address, not 'fd00::1'")
    hub.fails(["invite", "branch-b", "--address", "x"], "expected an IP address, not 'x'")


def test_who_cannot_invite_is_told_what_to_do(world, hub):
    nobody = world.router(3, "new")
    nobody.fails(["invite", "x", "--yes"], "there is no WireGuard interface on this router", "l2wg init")
    behind = world.router(4, "behind").init("198.18.0.4/32")
    behind.fails(["invite", "x", "--yes"], "this router's card has no endpoint", "l2wg card --endpoint HOST")
    bare = world.router(5, "bare").init("198.18.0.5/32", ENDPOINT, bridge="")
    bare.fails(["invite", "x", "--yes"], "this router has no bridge", "--bridge-ports PORT")
    begun(hub)
    hub.fails(["invite", "a b"], "expected the name of a site, not 'a b'")
    hub.fails(["invite", "hq"], "/etc/l2wg/sites:2: hq is in already", "l2wg revoke hq")
    hub.fails(["invite", "x", "colour=red"], "colour: cannot stand here")
    hub.fails(["invite", "x", "vlans=0"], "vlans: expected a list of VLANs")
    hub.fails(["invite", "x", "--bridge", "br1"], "/etc/l2wg/sites:2: there is such a file already")
    hub.file.write_text(hub.text() + nets.line(7, "mtu=1"))
    hub.fails(["invite", "x"], "/etc/l2wg/sites:3: mtu: expected a number")


def test_a_branch_and_a_mesh_do_not_invite(world, hub):
    begun(hub)
    own = hub.lines()[1]
    hub.file.write_text("net hub=site4\n" + nets.line(4) + own + "\n")
    hub.fails(["invite", "x"], "/etc/l2wg/sites:1: hub: site4 is the hub", "on site4: l2wg invite x")
    hub.file.write_text("net shape=mesh\n" + nets.line(4) + own + "\n")
    hub.fails(["invite", "x"], "/etc/l2wg/sites:1: shape: a mesh has no hub", "l2wg init --name x")


def test_with_two_hubs_the_card_goes_by_hand(world, hub):
    begun(hub)
    own = hub.lines()[1]
    hub.file.write_text("net hub=site4,hq hub-address=198.18.9.1\n" + nets.line(4) + own + "\n")
    hub.fails(["invite", "x"], "/etc/l2wg/sites:1: hub: an invitation has the card of one hub, and this net has two", "l2wg init --name x")
    _, said = hub.l2wg("pair", nets.line(5).strip(), "--yes")
    assert "site4, the other hub, needs this file as soon: copy " in said and "/etc/l2wg/sites there, then, on site4: l2wg apply\n" in said
    assert hub.lines()[-1].startswith(nets.line(5).strip())


def test_a_card_that_has_changed_since_is_told(hub):
    begun(hub)
    (hub.etc / "l2wg/site").write_text("name = hq\nendpoint = 203.0.113.99:7\n")
    _, said = hub.l2wg("invite", "branch-b")
    assert f"its line says that hq is called at {ENDPOINT}; `l2wg card` says 203.0.113.99:7" in said


def test_a_full_net_invites_nobody(hub):
    begun(hub)
    hub.file.write_text(hub.text() + "".join(nets.line(number, addresses=("10.0.0.%d" % (number + 1),)) for number in range(99)))
    token, _ = hub.l2wg("invite", "x")
    card_line = card.encode(card.Card("x", nets.key(900), "", (invitation.decode(token).address,)))
    hub.fails(["pair", card_line, "--yes"], "101 sites are too many for a star where all see all", "isolated=yes")


def test_the_hub_may_have_a_bridge_of_its_own_name(world):
    hub = world.router(1, "hq").init("198.18.0.1/32", ENDPOINT, bridge="lan")
    hub.l2wg("invite", "x", "--yes")
    assert hub.lines()[1].endswith(" bridge=lan")
    other = world.router(2, "dc").init("198.18.0.1/32", ENDPOINT, bridge="").port("enp2s0")
    other.l2wg("invite", "x", "--yes", "--bridge-ports", "enp2s0")
    assert other.lines()[1].endswith(" bridge-ports=enp2s0")


@pytest.mark.parametrize("hubs", ["hq", "hq,dc", "dc,hq"])
def test_a_mesh_by_bgp_takes_no_wire_of_its_own(hub, hubs):
    rows = [card.encode(card.Card("hq", hub.key, ENDPOINT, ("198.18.0.1",))) + "\n", nets.line(7, name="dc", endpoint="d.example:7")]
    net = f"net shape=mesh encapsulation=vxlan control=evpn hub={hubs} network=198.18.0.0/15\n"
    hub.file.write_text(net + "".join(rows))
    cure = f"there: l2wg init --shared --name x; then at {hubs[:2]}: l2wg pair, with its card"
    hub.fails(["invite", "x"], "/etc/l2wg/sites:1: control: `l2wg join` makes a wire of its own", cure, "l2wg frr")
    _, said = hub.l2wg("pair", card.encode(card.Card("x", nets.key(9), "", ("198.18.0.9",))), "--yes")
    assert ("dc, the hub, needs this file first" in said) == (hubs == "dc,hq") and "on x: l2wg apply; l2wg frr" in said
    assert "each site needs this file" not in said and ("the others have no need of it, but for its name: dc" in said) == (hubs != "dc,hq")


def test_the_address_of_two_hubs_is_no_new_sites(hub):
    rows = [card.encode(card.Card("hq", hub.key, ENDPOINT, ("198.18.0.1",))) + "\n", nets.line(7, name="dc", endpoint="d.example:7")]
    hub.file.write_text("net hub=hq,dc hub-address=198.18.9.1\n" + "".join(rows))
    other = card.encode(card.Card("x", nets.key(9), "", ("198.18.9.1",)))
    hub.fails(["pair", other, "--yes"], "/etc/l2wg/sites:1: hub-address: 198.18.9.1, the address of x, is hub-address", "another Address in its file")
    hub.l2wg("pair", card.encode(card.Card("x", nets.key(9), "", ("198.18.9.2",))), "--yes")
    assert len(hub.lines()) == 4


# The new router


@pytest.fixture
def token(hub):
    return hub.l2wg("invite", "branch-b", "--yes")[0]


def test_a_wrong_invitation_is_told(token, branch, hub):
    branch.fails(["join", token[:50] + "A" + token[51:], "--yes"], "the invitation's checksum is wrong", "copy it again as a whole")
    branch.fails(["join", token[:-3], "--yes"], "cut off")
    branch.fails(["join", hub.lines()[1], "--yes"], "expected an invitation", "that is a card: l2wg pair CARD")
    hub.fails(["pair", token, "--yes"], "expected a card", "that is an invitation")
    hub.fails(["join", token, "--yes"], "this router is hq, which has made this invitation", "paste it on the router that is to be branch-b")
    branch.fails(["join", token, "--yes"], "this router has no bridge", "--bridge-ports PORT; free here: enp3s0")
    branch.fails(["join", token, "--yes", "--bridge-ports", "enp9s0"], "this router has no port enp9s0")
    assert os.listdir(str(branch.etc / "wireguard")) == [], "no WireGuard is made for what is refused"


def joined(token, branch):
    line, _ = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    return line


def test_an_invitation_for_another_router_is_told(token, branch, hub):
    joined(token, branch)
    other, _ = hub.l2wg("invite", "branch-c")
    branch.fails(["join", other, "--yes"], "/etc/l2wg/sites:3: this router is in already, as branch-b, and the invitation is branch-c's")
    branch.fails(["join", token, "--yes", "--bridge-ports", "enp4s0"], "/etc/l2wg/sites:3: bridge-ports: this router is in already, and its line says otherwise")


def test_a_foreign_invitation_is_told(token, branch, world):
    joined(token, branch)
    other = world.router(7, "dc").init("198.18.0.77/32", ENDPOINT)
    foreign, _ = other.l2wg("invite", "branch-b", "--yes")
    cure = "l2wg revoke branch-b at hq; then here: rm /etc/l2wg/sites; l2wg apply; then join"
    branch.fails(["join", foreign, "--yes"], "/etc/l2wg/sites:1: the invitation is to another net, of dc", cure)
    branch.file.write_text("net shape=mesh\n" + branch.lines()[-1] + "\n" + nets.line(3))
    branch.fails(["join", foreign, "--yes"], "here is the file of a mesh")


def test_an_old_invitation_is_told_where_there_is_a_file(token, branch, hub):
    joined(token, branch)
    text = hub.text()
    for new, line in ((text.replace("net shape=star hub=hq", "net shape=star hub=hq isolated=yes"), 1), (text.replace("  # hq", " bridge=br0 # hq"), 2)):
        hub.file.write_text(new)
        other, _ = hub.l2wg("invite", "branch-b")
        branch.fails(["join", other, "--yes"], "/etc/l2wg/sites:%d: " % line, "one of them is older", "what hq has counts: copy /etc/l2wg/sites from there")


def test_a_name_or_an_address_that_is_taken_by_the_file_here_is_told(token, branch, hub):
    """The hub's file was copied here before."""
    address = invitation.decode(token).address
    branch.init("198.18.7.7/32")
    for line, said in (
        (nets.line(5, name="branch-b"), "/etc/l2wg/sites:3: branch-b is in already, with another key"),
        (nets.line(5, addresses=(address,)), f"/etc/l2wg/sites:3: {address} is the address of site5 by now"),
    ):
        branch.file.write_text(hub.text() + line)
        branch.fails(["join", token, "--yes"], said, "another invitation, at hq: l2wg invite")
    branch.file.write_text(hub.text() + nets.line(5))
    line, _ = branch.l2wg("join", token, "--yes")
    assert branch.lines() == [*hub.lines(), nets.line(5).strip(), card.encode(card_of(line))]


def test_who_was_put_out_does_not_come_back_by_an_invitation(token, branch, hub):
    line = joined(token, branch)
    branch.file.write_text(branch.text().replace("  # branch-b", " gone=2026-11-25"))
    branch.fails(["join", token, "--yes"], "/etc/l2wg/sites:3: this router is out of that net since 2026-11-25")
    hub.file.write_text(hub.text() + card.encode(card_of(line)) + " gone=2026-11-25\n")
    hub.fails(["pair", line, "--yes"], "/etc/l2wg/sites:3: gone: branch-b is out since 2026-11-25, with this key", "take gone=2026-11-25 out")


def test_two_that_nobody_can_call_are_told(hub, branch):
    begun(hub)
    (hub.etc / "l2wg/site").write_text("name = hq\nendpoint = none\n")
    own = card.encode(card_of(hub.lines()[1])._replace(endpoint=""))
    hub.file.write_text(f"net shape=star hub=hq\n{own}\n")
    token, said = hub.l2wg("invite", "branch-b")
    assert "the card of hq has no endpoint, so it calls branch-b" in said
    branch.init("198.18.7.7/32")
    branch.fails(["join", token, "--yes"], "neither of the two sites says how it can be called")
    line, _ = branch.l2wg("join", token, "--yes", "--endpoint", "203.0.113.7")
    hub.l2wg("pair", line, "--yes")
    assert hub.lines() == branch.lines()


def test_nixos_is_told_what_to_write(token, branch, hub, world):
    world.patch.setattr("l2wg_hooks.pairing.local_facts.is_nixos", lambda: True)
    branch.fails(["join", token, "--yes"], "this is NixOS", hub.lines()[0])
    hub.fails(["pair", nets.line(3).strip(), "--yes"], "this is NixOS", nets.line(3).strip())
    hub.l2wg("invite", "branch-c")  # which only reads


# Back at the hub


def test_what_is_in_already_is_refused_with_its_line(token, branch, hub):
    line = joined(token, branch)
    hub.l2wg("pair", line, "--yes")
    known = card_of(line)
    changed = card.encode(known._replace(endpoint="203.0.113.9:7"))
    hub.fails(["pair", changed, "--yes"], "/etc/l2wg/sites:3: branch-b is in already, and its line says otherwise")
    hub.fails(["pair", card.encode(known), "vlans=10", "--yes"], "/etc/l2wg/sites:3: branch-b is in already, and its line says otherwise")
    same_name, same_address = known._replace(key=nets.key(8)), known._replace(key=nets.key(8), name="c")
    said = "/etc/l2wg/sites:3: branch-b is in already, with another key"
    hub.fails(["pair", card.encode(same_name), "--yes"], said, "l2wg revoke branch-b; then this again")
    said = f"/etc/l2wg/sites:3: {known.addresses[0]}, the address of c, is that of branch-b"
    hub.fails(["pair", card.encode(same_address), "--yes"], said, "join by a new invitation, here: l2wg invite c", "another Address in its file")
    hub.fails(["pair", hub.lines()[1], "--yes"], "/etc/l2wg/sites:2: this is this router's own card", "paste the other one's here")


def test_an_older_invitation_is_told_at_the_hub(token, branch, hub):
    """The site is in; what it has of the net is not what the hub has by now."""
    line = joined(token, branch)
    hub.file.write_text(hub.text().replace("hub=hq", "hub=hq isolated=yes"))
    _, said = hub.l2wg("pair", line, "--yes", code=1)
    said = said.replace(str(hub.root), "")
    assert "branch-b is in, by line 3" in said
    assert "/etc/l2wg/sites:1: branch-b has joined by an older invitation" in said and "copy /etc/l2wg/sites to branch-b; then there: l2wg apply" in said
    assert "older invitation" in hub.l2wg("pair", line, code=1)[1], "as long as it is so"


def test_words_that_make_no_sense_are_told_as_such(token, branch, hub):
    line = joined(token, branch)
    hub.fails(["pair", line, "colour=red", "--yes"], "colour: cannot stand here")
    for word in ("mtu=1400#x", "mtu=1400#\x1b[2J", "vlans=\u0661", "vlans=\udcff"):
        hub.fails(["pair", line, word, "--yes"], f"expected KEY=VALUE, not {word!a}")
    hub.fails(["pair", line, "vlans=10", "vlans=20", "--yes"], "vlans: a key is there twice")
    hub.fails(["pair", line, "--yes", "--bridge-ports", "enp1s0"], "/etc/l2wg/sites:2: what this router's bridge is, its line says")


def test_words_without_a_file_are_refused(hub):
    other = card.encode(card.Card("b", nets.key(3), "", ("198.18.0.9",)))
    hub.fails(["pair", other, "vlans=10", "--yes"], "vlans=10 is for a line of /etc/l2wg/sites", "l2wg invite NAME")


def test_a_tunnel_of_its_own_can_still_be_had(token, hub):
    other = card.encode(card.Card("b", nets.key(3), "", ("198.18.0.9",)))
    before = hub.text()
    hub.l2wg("pair", other, "--tunnel", "gretap7", "--yes")
    assert (hub.etc / "l2wg/gretap7.conf").exists() and hub.text() == before


def test_a_mesh_takes_a_card_and_says_who_needs_the_file(token, hub):
    own = hub.lines()[1]
    hub.file.write_text("net shape=mesh\n" + own + "\n" + nets.line(3))
    _, said = hub.l2wg("pair", nets.line(4).strip(), "--yes")
    assert hub.lines()[-1] == nets.line(4).strip() and "each site needs this file: site3, site4" in said


def test_a_star_is_told_that_the_others_may_have_it_some_day(token, branch, hub):
    hub.file.write_text(hub.text() + nets.line(3))
    assert "without hurry, so that all have the same file: copy it to site3" in hub.l2wg("pair", joined(token, branch), "--yes")[1]


def test_a_failure_leaves_the_file_as_it_was(token, branch, hub, world):
    line = joined(token, branch)
    hub.at()
    found = admit.intend(line, pair.Wanted())
    hub.file.write_text(hub.text() + nets.line(3))
    text = hub.text()
    with pytest.raises(L2wgError) as error:
        apply._carry_more(found.more)
    assert "somebody has changed it just now" in str(error.value) and hub.text() == text


def test_the_line_ends_as_the_others_do(token, branch, hub):
    hub.file.write_bytes(hub.text().replace("\n", "\r\n").encode())
    hub.l2wg("pair", joined(token, branch), "--yes")
    assert hub.file.read_bytes().count(b"\r\n") == 3 == hub.file.read_bytes().count(b"\n")
    assert site_lines.parse(hub.file.read_bytes().decode(), "").problems == ()


def test_parts_of_a_paste():
    assert admit.split("L2WG1:A\nBC:0 vlans=10 net=1A") == ("L2WG1:A BC:0", ["vlans=10", "net=1A"])
    assert admit.split("L2WG1:A\nBC:0") == ("L2WG1:A\nBC:0", [])
    assert invite.split(site_lines.parse(nets.line(3, "bridge=lan"), "").sites[0]) == (nets.site(3), "bridge=lan")
    assert join.MARK not in site_lines._OF_SITE, "a word of a line would be taken for it"


def test_an_address_that_is_somebody_elses_here_is_refused(token, branch, hub, world):
    branch.init("198.18.7.7/32")
    branch.links["lan0"] = Link("lan0", 9, addresses=("198.18.0.7/24",))
    branch.fails(["join", token, "--yes"], "198.18.0.1, the address of hq, is in the network of lan0")
    del branch.links["lan0"]
    conf = branch.etc / "wireguard/wg0.conf"
    conf.write_text(conf.read_text() + f"[Peer]\nPublicKey = {nets.key(7)}\nAllowedIPs = 198.18.0.1/32\n")
    branch.fails(["join", token, "--yes"], f"the peer {nets.key(7)} has 198.18.0.1 already")


@pytest.mark.parametrize("master, words", [("br0", "bridge-ports=enp3s0"), ("", "bridge=br1 bridge-ports=enp3s0")])
def test_ports_of_the_nets_bridge_stay_there(token, branch, master, words):
    """As of a router that has left, and joins anew; a bridge of other ports is somebody's."""
    branch.bridge("br0")
    branch.links["enp3s0"] = branch.links["enp3s0"]._replace(master=master)
    branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    assert branch.lines()[-1].partition(" ")[2] == words


def test_several_wireguards_want_a_name(token, branch):
    branch.init("198.18.7.7/32")
    (branch.etc / "wireguard/wg1.conf").write_text(CONF % (private(9), "198.18.7.9/32"))
    branch.fails(["join", token, "--yes"], "this router has several WireGuard interfaces: wg0, wg1", "--underlay wg0")
    line, _ = branch.l2wg("join", token, "--yes", "--underlay", "wg1")
    assert card_of(line).key == public_key.of(private(9))


def test_a_pair_that_was_made_before_stays_and_gets_a_third_site(world, branch):
    hub = world.router(1, "hq").init("198.18.0.1/32", ENDPOINT).port("enp2s0")
    own = "underlay = wg0\nlocal = 198.18.0.1\nremote = 198.18.0.9\nbridge = br0\nbridge-ports = enp2s0\nsite = site-a\n"
    (hub.etc / "l2wg/gretap1.conf").write_text(own)
    token, _ = hub.l2wg("invite", "branch-b", "--yes")
    assert hub.lines()[1].endswith(" bridge-ports=enp2s0")
    line, _ = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    hub.l2wg("pair", line, "--yes")
    hub.at()
    wished = store.load()
    assert wished.problems == () and {tunnel.name: tunnel.bridge_ports for tunnel in wished.tunnels} == {"gretap1": ("enp2s0",), "branch-b": ("enp2s0",)}
    assert (hub.etc / "l2wg/gretap1.conf").read_text() == own
    # Its card again is for its own tunnel, unless it joins.
    other, text = card.encode(card.Card("site-a", nets.key(5), "", ("198.18.0.9",))), hub.text()
    hub.l2wg("pair", other, "--yes")
    assert hub.text() == text and nets.key(5) in (hub.etc / "wireguard/wg0.conf").read_text()
    hub.l2wg("pair", "mtu=1400", other, "--yes")
    assert hub.lines()[-1] == f"{other} mtu=1400"


def test_the_hub_of_a_mesh_invites(hub, branch):
    """Two pastes, and the new site has the hub; the others have it once they have the file."""
    hub.l2wg("invite", "branch-b", "--yes")
    own = hub.lines()[1]
    net = "net shape=mesh encapsulation=vxlan hub=hq network=198.18.0.0/24"
    hub.file.write_text(f"{net}\n{own}\n{nets.line(3)}")
    token, _ = hub.l2wg("invite", "branch-b", "--yes")
    assert invitation.decode(token).address.startswith("198.18.0."), "of the net's network"
    line, _ = branch.l2wg("join", token, "--yes", "--bridge-ports", "enp3s0")
    assert branch.lines() == [net, own, branch.lines()[-1]]
    _, said = hub.l2wg("pair", *line.split(), "--yes")
    assert "each site needs this file: site3, branch-b" in " ".join(said.split())
    branch.at()
    (tunnel,) = store.load().tunnels
    assert (tunnel.name, tunnel.remotes, tunnel.forwards) == ("mesh", ("198.18.0.1",), False)
    hub.at()
    (tunnel,) = store.load().tunnels
    assert tunnel.forwards and {peer.site for peer in tunnel.peers} == {"site3", "branch-b"}


def test_an_invitation_has_no_address_of_ipv6(hub):
    hub.l2wg("invite", "branch-b", "--yes")
    own = hub.lines()[1]
    hub.file.write_text(f"net shape=mesh encapsulation=vxlan hub=hq network=198.18.0.0/15\n{own} address=198.18.0.1\n")
    hub.l2wg("invite", "x", "--yes")
    hub.file.write_text(f"net hub=hq network=fd00::/64\n{own} address=fd00::1\n")
    hub.fails(["invite", "x"], "/etc/l2wg/sites:1: network: an invitation has an IPv4 address")
