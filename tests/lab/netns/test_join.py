"""A star of three by two pastes a site: `invite` at the hub, `join` at the new router, `pair` at the hub. One story, in this order.

A is the hub, with a WireGuard of l2wg's own and nothing else; B is a router without WireGuard; C has one by wg-quick already.
"""

import sys
from pathlib import Path

import pytest
import topology
from hosts import eventually
from test_net import END_ALL, NAMES, WAN, Net, planned

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from l2wg_hooks.config import card, invitation

SITES = "/etc/l2wg/sites"
C_CONF = "[Interface]\nPrivateKey = {}\nListenPort = 4901\nAddress = 198.18.77.3/32\n"


class Joined(Net):
    """`token` and `line` are what was pasted, by the router that it is about."""

    def configure(self):
        self.token, self.line = {}, {}
        self.sites["A"].l2wg("init", "--name", "hq", "--endpoint", f"{WAN['A']}:51820")
        self.sites["C"].write("/etc/wireguard/wg0.conf", C_CONF.format(self.keys["C"].private), 0o600)
        self.sites["C"].run(["wg-quick", "up", "wg0"])

    def invite(self, name, *words):
        done = self.sites["A"].l2wg("invite", NAMES[name], "--yes", *words)
        self.token[name] = done.stdout.strip()
        return done

    def rows(self, name):
        """The lines of a router's file, to the byte, without comments."""
        return [row.partition("  #")[0] for row in self.sites[name].read(SITES).splitlines()]

    def state(self, name):
        """All that joining could change: files with their modes, links, peers, routes."""
        script = "cd /etc; for f in wireguard/* l2wg/* network/interfaces.d/*; do [ ! -e $f ] || { stat -c '%n %a' $f; cat $f; }; done;"
        script += " ip -br link | sed 's/@.*//' | cut -d' ' -f1 | sort; ip netns list; wg show all allowed-ips; ip -4 route"
        return self.sites[name].sh(script, check=False).stdout

    def refused(self, name, *words):
        before = self.state(name)
        done = self.sites[name].l2wg(*words, check=False)
        assert done.rc == 1 and self.state(name) == before and "hint: " in done.stderr, done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def net(vm):
    made = Joined(vm)
    yield made
    vm.sh(END_ALL)


def test_the_first_invitation_makes_the_file(net):
    assert "nobody is here to agree" in net.refused("A", "invite", "branch-b", "--bridge-ports", "enp3s0")
    assert "--bridge-ports PORT" in net.refused("A", "invite", "branch-b", "--yes")
    done = net.invite("B", "--bridge-ports", "enp3s0")
    assert "this router is the hub of a net" in done.stderr
    own = net.sites["A"].l2wg("card").stdout.strip()
    known = card.decode(own)
    assert net.rows("A")[0] == "net shape=star hub=hq" and net.rows("A")[1].endswith(" bridge-ports=enp3s0") and len(net.rows("A")) == 2
    assert card.decode(net.rows("A")[1].split()[0]).key == known.key
    before = net.state("A")
    net.invite("C", "vlans=all")
    assert net.state("A") == before, "the next one changes nothing"


def test_wrong_invitations_change_nothing(net):
    token = net.token["B"]
    assert "the invitation's checksum is wrong" in net.refused("B", "join", token[:60] + "2" + token[61:], "--yes") or token[60] == "2"
    assert "cut off" in net.refused("B", "join", token[:-2], "--yes")
    assert "that is a card: l2wg pair CARD" in net.refused("B", "join", net.rows("A")[1].split()[0], "--yes")
    assert "this router is hq, which has made this invitation" in net.refused("A", "join", token, "--yes")
    assert "--bridge-ports PORT" in net.refused("B", "join", token, "--yes")
    assert "nobody is here to agree" in net.refused("B", "join", token, "--bridge-ports", "enp3s0")


def test_two_pastes_each(net):
    assert not net.reach("B", "A")
    for name in "BC":
        done = net.sites[name].l2wg("join", net.token[name], "--yes", "--bridge-ports", "enp3s0")
        net.line[name] = done.stdout.strip()
        assert "at hq, if that has not been done: l2wg pair, with this line:" in done.stderr
        done = net.sites["A"].l2wg("pair", "--yes", *net.line[name].split())
        assert f"{NAMES[name]} is in, by line {dict(B=3, C=4)[name]}" in done.stderr, done.stderr
    net.all_reach_all()
    # By the byte.
    hub = net.rows("A")
    assert net.rows("B") == hub[:3] and net.rows("C") == [*hub[:2], hub[3]]
    invited = invitation.decode(net.token["B"])
    assert f"Address = {invited.address}/32\n" in net.sites["B"].read("/etc/wireguard/l2w0.conf")
    assert card.decode(hub[2].split()[0]).addresses == (invited.address,) and hub[2].split()[1:] == ["bridge-ports=enp3s0"]
    assert card.decode(hub[3].split()[0]).addresses == ("198.18.77.3",) and hub[3].split()[1:] == ["bridge-ports=enp3s0", "vlans=all"]
    assert "PostUp = l2wg up %i || :" in net.sites["C"].read("/etc/wireguard/wg0.conf")
    assert net.tunnels("B") == net.tunnels("C") == {"hq"} and net.tunnels("A") == {"branch-b", "branch-c"}
    assert [planned(site) for site in net.sites.values()] == ["", "", ""]


@pytest.mark.parametrize("source", NAMES)
def test_one_question_is_heard_once_everywhere(net, source):
    assert net.heard(source) == {name: int(name != source) for name in NAMES}


def test_the_second_time_nothing_changes(net):
    before = {name: net.state(name) for name in NAMES}
    for name in "BC":
        done = net.sites[name].l2wg("join", net.token[name])
        assert done.stdout.strip() == net.line[name] and "nothing to do: this router is in the net of hq" in done.stderr
        assert "nothing to do" in net.sites["A"].run(["l2wg", "pair"], input=net.line[name].replace(" ", "\n") + "\n", timeout=120).stderr
    assert {name: net.state(name) for name in NAMES} == before


def test_foreign_old_and_doubled_ones_are_told(net):
    hub = net.sites["A"]
    other = card.Card("dc", topology.new_keys().public, "203.0.113.9:51820", ("198.18.0.99",))
    foreign = invitation.encode(invitation.Invitation("branch-b", "198.18.0.98", "net hub=dc", other))
    said = net.refused("B", "join", foreign, "--yes")
    assert "sites:1: the invitation is to another net, of dc" in said and "l2wg revoke branch-b at hq" in said
    assert "sites:3: this router is in already, as branch-b, and the invitation is branch-c's" in net.refused("B", "join", net.token["C"], "--yes")
    # Its name was given to another router meanwhile, and its address.
    known = card.decode(net.rows("A")[2].split()[0])._replace(key=topology.new_keys().public)
    assert "sites:3: branch-b is in already, with another key" in net.refused("A", "pair", "--yes", card.encode(known))
    said = net.refused("A", "pair", "--yes", card.encode(known._replace(name="branch-d")))
    assert f"sites:3: {known.addresses[0]}, the address of branch-d, is that of branch-b" in said
    # The net is another one since.
    whole = hub.read(SITES)
    hub.write(SITES, whole.replace("hub=hq", "hub=hq bridge=br0"))
    done = hub.l2wg("pair", *net.line["B"].split(), check=False)
    assert done.rc == 1 and "branch-b has joined by an older invitation" in done.stderr and f"copy {SITES} to branch-b" in done.stderr
    newer = hub.l2wg("invite", "branch-x").stdout
    found = invitation.decode(newer)._replace(name="branch-b")
    assert "one of them is older" in net.refused("B", "join", invitation.encode(found), "--yes")
    hub.write(SITES, whole)
    net.all_reach_all()


def test_who_was_put_out_stays_out(net):
    hub = net.sites["A"]
    hub.l2wg("revoke", "branch-c", "--yes")
    assert net.tunnels("A") == {"branch-b"} and not net.reach("C", "A")
    said = net.refused("A", "pair", "--yes", *net.line["C"].split())
    assert "sites:4: gone: branch-c is out since " in said
    # The same name again, for a router with a new key.
    net.sites["C"].sh(f"rm {SITES}; l2wg apply --no-rehearsal; wg-quick down wg0; rm /etc/wireguard/wg0.conf")
    net.invite("C")
    assert invitation.decode(net.token["C"]).address != "198.18.77.3"
    line = net.sites["C"].l2wg("join", net.token["C"], "--yes", "--bridge-ports", "enp3s0").stdout.split()
    hub.l2wg("pair", "--yes", *line)
    net.all_reach_all()
    assert net.rows("C") == [*net.rows("A")[:2], net.rows("A")[4]] and planned(hub) == ""


def test_a_failed_change_leaves_nothing(net):
    """The file, its tunnel and the peer go back together."""
    hub = net.sites["A"]
    other = card.encode(card.Card("branch-e", topology.new_keys().public, "203.0.113.9:51820", ("198.18.0.55",)))
    before = net.state("A")
    hub.l2wg("pair", "--yes", other)
    assert "branch-e" in net.tunnels("A") and other in hub.read(SITES)
    hub.l2wg("rollback", "--yes")
    eventually(lambda: "branch-e" not in net.tunnels("A"), 10)
    assert net.state("A") == before and planned(hub) == ""
    net.all_reach_all()
