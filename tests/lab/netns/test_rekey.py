"""Sites change their keys, one after the other: a branch, the hub, and one with a wire of its own. One story, in this order.

The net is that of test_net.py. Nobody has systemd in here: the watch's timer is a loop that starts its script as often.
"""

import re
import time

import pytest
from hosts import eventually
from test_net import END_ALL, HOSTS, NAMES, STRANGER, Net, planned

WIRES = {"A": "wg0", "B": "wg0", "C": "l2w0"}
# As l2wg-watch.timer and its service: each 30 s, for 25 s at most.
TIMER = "while :; do timeout 25 /usr/lib/l2wg/look & sleep 30; wait $!; done"
# Seconds between two echoes of the meter.
EVERY = 0.2


class Rekeyed(Net):
    def conf(self, name):
        return f"/etc/wireguard/{WIRES[name]}.conf"

    def key(self, name):
        """The public key that the interface has now."""
        return self.wg(name, "public-key").strip()

    def wg(self, name, what):
        inside = ["l2wg", "exec"] if name == "C" else []
        return self.sites[name].run([*inside, "wg", "show", WIRES[name], what]).stdout

    def peers(self, name):
        return set(self.wg(name, "peers").split())

    def rekey(self, name, *words, check=True):
        return self.sites[name].run(["l2wg", "rekey", *words, "--yes"], check=check, timeout=200)

    def commit(self, name, here, there, by):
        """Switch while one host asks another one: (what was said, the seconds in which no answer came).

        The sites `by` wait for the new key: where systemd runs, apply has begun that.
        """
        for other in by:
            site = self.sites[other]
            eventually(lambda: site.sh("grep -q turn= /run/l2wg.look", check=False).rc == 0, 120)  # it is called here
        count = 300
        meter = self.hosts[here].start(["ping", "-n", "-i", EVERY, "-c", count, "-W", "1", HOSTS[there]], timeout=count)
        time.sleep(3)
        result = self.rekey(name, "--commit", check=False)
        said = meter.wait().stdout
        seen = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)}
        longest = max(after - before for before, after in zip([0, *sorted(seen)], [*sorted(seen), count + 1]))
        print(f"{name}: {result.stdout}{result.stderr}")
        print(f"{name}: silence of {(longest - 1) * EVERY:.1f} s between {here} and {there}")
        return result, (longest - 1) * EVERY


@pytest.fixture(scope="module")
def net(vm):
    made = Rekeyed(vm)
    made.apply(*NAMES)
    made.all_reach_all()
    clocks = [site.start(["sh", "-c", TIMER], timeout=3000) for site in made.sites.values()]
    yield made
    vm.sh(END_ALL)
    for clock in clocks:
        clock.wait()


def test_a_key_is_made_beside_the_old_one_and_told_to_nobody(net):
    site, old = net.sites["B"], net.key("B")
    conf = site.read(net.conf("B"))
    said = net.rekey("B")
    line = said.stdout.strip()
    assert line.endswith(f"bridge-ports=enp3s0 was={old}") and "at hq: l2wg pair" in said.stderr
    private = re.search("Next = (.*)", site.read("/etc/wireguard/wg0.next-key")).group(1)
    assert private not in said.stdout + said.stderr and site.run(["stat", "-c", "%a", "/etc/wireguard/wg0.next-key"]).stdout == "600\n"
    assert net.rekey("B").stdout.strip() == line, "the same once more"
    assert site.read(net.conf("B")) == conf and net.key("B") == old and planned(site) == ""
    assert line in site.read("/etc/l2wg/sites") and net.reach("B", "A")


@pytest.mark.long
def test_it_goes_back_where_nobody_knows_the_new_key(net):
    site, old = net.sites["B"], net.key("B")
    conf = site.read(net.conf("B"))
    begin = time.monotonic()
    result = net.rekey("B", "--commit", check=False)
    assert result.rc == 1 and "hq did not answer to the new key" in result.stderr and time.monotonic() - begin < 60
    assert site.read(net.conf("B")) == conf and net.key("B") == old
    eventually(lambda: net.reach("B", "A"), 20)


def test_both_keys_are_let_in_and_a_restart_in_the_middle_changes_nothing(net):
    hub, old = net.sites["A"], net.key("B")
    line = net.rekey("B").stdout.strip()
    said = hub.l2wg("pair", *line.split(), "--yes").stderr
    new = re.search(r"-> (\S+)", said).group(1)
    assert f"branch-b changes its key: {old} -> {new}" in said
    assert net.peers("A") == {STRANGER, old, new, net.key("C")} and planned(hub) == ""
    assert re.search(rf"^{re.escape(new)}\t\(none\)$", net.wg("A", "allowed-ips"), re.M), "nothing is taken from it but a handshake"
    said = hub.l2wg("sites", check=False).stdout
    assert "changes its key" in said, said
    for name in "BA":
        net.sites[name].sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
        assert net.key("B") == old
    net.all_reach_all()
    assert net.peers("A") == {STRANGER, old, new, net.key("C")} and planned(hub) == ""


def test_a_branch_switches(net):
    site, old = net.sites["B"], net.key("B")
    conf = site.read(net.conf("B"))
    result, silence = net.commit("B", "B", "A", "A")
    assert result.rc == 0 and silence < 20, silence
    assert net.key("B") != old and not site.exists("/etc/wireguard/wg0.next-key")
    lines = [(before, after) for before, after in zip(conf.split("\n"), site.read(net.conf("B")).split("\n")) if before != after]
    assert len(lines) == 1 and lines[0][1].startswith("PrivateKey = "), "nothing but the key"
    net.all_reach_all()
    eventually(lambda: net.peers("A") == {STRANGER, net.key("B"), net.key("C")}, 120)
    net.all_reach_all()
    assert planned(net.sites["A"]) == planned(site) == ""


@pytest.mark.long
def test_an_older_copy_lets_nobody_in_by_the_old_key(net):
    hub, whole = net.sites["A"], net.sites["A"].read("/etc/l2wg/sites")
    hub.write("/etc/l2wg/sites", net.net + "".join(net.lines.values()))
    assert "branch-b has another key since" in hub.l2wg("up", "wg0").stderr
    assert net.peers("A") == {STRANGER, net.key("B"), net.key("C")} and net.reach("A", "B")
    assert hub.l2wg("apply", check=False).rc == 1
    hub.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
    net.all_reach_all()
    hub.write("/etc/l2wg/sites", whole)
    assert hub.l2wg("up", "wg0").stderr == "" and planned(hub) == ""


@pytest.mark.long
def test_a_power_cut_in_the_switch_is_brought_to_its_end(net):
    """What was tried, and cut off: B has the new key in its file, and nobody else knows of it; then the watch finds that."""
    site, old = net.sites["B"], net.key("B")
    net.rekey("B")
    path = "/etc/wireguard/wg0.next-key"
    private = re.search("PrivateKey = (.*)", site.read(net.conf("B"))).group(1)
    new = re.search("Next = (.*)", site.read(path)).group(1)
    site.write(path, site.read(path) + f"Former = {private}\nPeers = {net.key('A')}\n", 0o600)
    site.write(net.conf("B"), site.read(net.conf("B")).replace(private, new), 0o600)
    site.sh("wg-quick down wg0; wg-quick up wg0", timeout=120)
    assert net.key("B") != old
    eventually(lambda: net.key("B") == old and "Former" not in site.read(path), 120)
    assert site.read(net.conf("B")).count(private) == 1
    net.all_reach_all()
    net.rekey("B", "--cancel")
    assert not site.exists(path) and net.key("B") == old and planned(site) == ""


@pytest.mark.long
def test_the_hub_switches_and_all_follow(net):
    hub, old = net.sites["A"], net.key("A")
    said = net.rekey("A")
    assert "branch-b, branch-c" in said.stderr and "has peers that are no sites" in said.stderr and STRANGER in said.stderr
    for name in "BC":
        net.sites[name].write("/etc/l2wg/sites", hub.read("/etc/l2wg/sites"))
        net.sites[name].l2wg("apply")
    assert all(old in net.peers(name) and len(net.peers(name)) == 2 for name in "BC")
    result, silence = net.commit("A", "C", "A", "BC")
    assert result.rc == 0 and silence < 20, silence
    net.all_reach_all()
    for name in "BC":
        eventually(lambda: net.peers(name) == {net.key("A")}, 120)  # it is called here
    net.all_reach_all()
    assert [planned(site) for site in net.sites.values()] == ["", "", ""]


@pytest.mark.long
def test_a_wire_of_its_own_switches(net):
    site, old = net.sites["C"], net.key("C")
    line = net.rekey("C").stdout.strip()
    net.sites["A"].l2wg("pair", *line.split(), "--yes")
    result, silence = net.commit("C", "B", "C", "A")
    assert result.rc == 0 and silence < 20, silence
    eventually(lambda: old not in net.peers("A"), 120)
    site.sh("l2wg down l2w0; l2wg up l2w0", timeout=120)
    net.all_reach_all()
    assert net.key("C") != old and [planned(site) for site in net.sites.values()] == ["", "", ""]
