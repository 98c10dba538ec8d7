"""Three routers that ansible-core sets up and changes over ssh, by the collection of contrib/ansible. One story, in this order.

`apply --confirm` needs a systemd, so each router is a container of systemd-nspawn: a network namespace and a root of its own, with sshd.
The machine is the control node, the internet between them, and what is behind their ports.

      host-a -- eth1  hq        host0 -+
      host-b -- eth1  branch-b  host0 -+- wan, 203.0.113.1: ansible
      host-c -- eth1  branch-c  host0 -+
"""

import io
import json
import re
import tarfile
import uuid
from pathlib import Path

import hosts
import image
import pytest
import vm as machines
from hosts import eventually
from sites import Namespace

TOP = Path(__file__).resolve().parents[3]

PACKAGES = [*image.ROUTER_PACKAGES, "openssh-server", "ansible-core", "systemd-container", "python3-apt"]
# {router: (its host, the last number of its addresses)}
ROUTERS = {"hq": ("host-a", 11), "branch-b": ("host-b", 12), "branch-c": ("host-c", 13)}
FOLDER = "/root/fleet"
COLLECTION = f"{FOLDER}/collections/ansible_collections/l2wg/l2wg"
PLAYBOOK = f"{COLLECTION}/playbooks/fleet.yml"
MACHINES = "/var/lib/machines"

WAN = """
ip link add wan type bridge forward_delay 0 mcast_snooping 0
ip address add 203.0.113.1/24 dev wan
ip link set wan up
ssh-keygen -q -t ed25519 -N '' -f /root/fleet/key
"""
# The machine's own Debian, as an overlay.
ROOT = """
set -e
mkdir -p /mnt/$1 /var/lib/machines/$1
mount -t tmpfs -o size=300m tmpfs /mnt/$1
mkdir /mnt/$1/upper /mnt/$1/work
mount -t overlay -o lowerdir=/,upperdir=/mnt/$1/upper,workdir=/mnt/$1/work overlay /var/lib/machines/$1
cd /var/lib/machines/$1
echo $1 >etc/hostname
echo $2 >etc/machine-id
install -D -m 600 /root/fleet/key.pub root/.ssh/authorized_keys
rm -rf root/fleet var/log/journal/*
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer man-db.timer; do
    ln -sf /dev/null etc/systemd/system/$unit
done
"""
INTERFACES = """\
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

auto host0
iface host0 inet static
    address 203.0.113.{}/24
    gateway 203.0.113.1
"""
BRIDGE = """
auto br0
iface br0 inet static
    address 192.168.92.1/24
    bridge_ports eth1
    bridge_fd 0
"""
NSPAWN = """\
[Exec]
Boot=yes
PrivateUsers=no
Capability=CAP_NET_ADMIN
ResolvConf=off

[Network]
VirtualEthernet=yes
Bridge=wan
VirtualEthernetExtra={}:eth1
"""
HOST = """
set -e
ip netns add $1
ip link set $1 netns $1
ip -n $1 link set $1 name eth0
ip -n $1 link set lo up; ip -n $1 link set eth0 up
ip -n $1 address add 192.168.92.$2/24 dev eth0
"""
CONFIG = f"""\
[defaults]
inventory = inventory.yml
collections_path = {FOLDER}/collections
callback_plugins = .
callbacks_enabled = recap
host_key_checking = False
private_key_file = {FOLDER}/key
timeout = 60
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=120 -o UserKnownHostsFile=/dev/null
"""
# As soon as the change is there and waits, nobody gets in by ssh any more; what the router had then is kept.
DROP = """
cd /var/lib/machines/branch-c
until grep -qs '"waiting": true' var/lib/l2wg/transaction; do sleep 0.2; done
nft 'table ip cut { chain out { type filter hook output priority 0; ip daddr 203.0.113.13 tcp dport 22 drop; }; }'
cp etc/l2wg/sites /root/waiting
"""


class Fleet:
    def __init__(self, suite, deb, directory):
        image.need([*machines.NEEDS, *hosts.NEEDS])
        self.vm = machines.VM("F", image.disk(suite, PACKAGES), directory, memory=2048, cpus=2)
        self.deb = deb
        self.hosts = {name: Namespace(self.vm, host) for name, (host, _) in ROUTERS.items()}
        self.words = {name: {"ansible_host": f"203.0.113.{number}"} for name, (_, number) in ROUTERS.items()}
        self.words["hq"].update(l2wg_endpoint="203.0.113.11", l2wg_bridge="br0")
        for name in ("branch-b", "branch-c"):
            self.words[name]["l2wg_bridge_ports"] = "eth1"

    def make(self):
        """The routers boot, as their admin has them: with sshd, and without l2wg."""
        vm = self.vm
        vm.wait()
        vm.settle()
        vm.sh(f"mkdir -p {COLLECTION}")
        vm.put("/root/collection.tar", packed(TOP / "contrib/ansible"))
        vm.sh(f"tar -C {COLLECTION} -xf /root/collection.tar")
        vm.put(f"{FOLDER}/recap.py", (Path(__file__).parent / "recap.py").read_bytes())
        vm.put(f"{FOLDER}/ansible.cfg", CONFIG)
        vm.put(f"{FOLDER}/{self.deb.name}", self.deb.read_bytes())
        vm.sh(WAN)
        for name, (host, number) in ROUTERS.items():
            vm.run(["sh", "-c", ROOT, "sh", name, uuid.uuid4().hex])
            vm.put(f"{MACHINES}/{name}/etc/network/interfaces", INTERFACES.format(number) + (BRIDGE if name == "hq" else ""))
            vm.put(f"/etc/systemd/nspawn/{name}.nspawn", NSPAWN.format(host))
        vm.run(["systemctl", "start", *(f"systemd-nspawn@{name}" for name in ROUTERS)], timeout=300)
        for name, (host, number) in ROUTERS.items():
            vm.run(["sh", "-c", HOST, "sh", host, str(number)])
            eventually(lambda: vm.run(["systemctl", "-M", name, "is-system-running"], check=False).stdout.strip() in ("running", "degraded"), 240)
        return self

    def inventory(self):
        """What the admin has in git, beside the file of sites."""
        common = {
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "l2wg_deb": f"{FOLDER}/{self.deb.name}",
            "l2wg_net": {"shape": "star", "hub": "hq"},
            "l2wg_rehearse": False,  # a minute each under emulation; the routers' tests have it
        }
        self.vm.put(f"{FOLDER}/inventory.yml", json.dumps({"routers": {"vars": common, "hosts": self.words}}))

    def start(self, *words):
        """The playbook of the collection, under way."""
        self.inventory()
        env = {"ANSIBLE_CONFIG": f"{FOLDER}/ansible.cfg", "RECAP": f"{FOLDER}/recap.json", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        return self.vm.start(["sh", "-c", f'cd {FOLDER} && exec ansible-playbook "$@"', "sh", *words, PLAYBOOK], timeout=1200, env=env)

    def recap(self, running):
        """(its Result, {router: sums}, [[router, task that was changed]])."""
        result = running.wait()
        print(result.stdout[-6000:], result.stderr[-2000:])
        found = json.loads(self.vm.get(f"{FOLDER}/recap.json"))
        return result, found["hosts"], found["changed"]

    def play(self, *words):
        return self.recap(self.start(*words))

    def sites(self, router=""):
        """The file of sites, on the control node or a router."""
        return self.vm.get(f"{MACHINES}/{router}/etc/l2wg/sites" if router else f"{FOLDER}/sites").decode()

    def run(self, router, script, check=True):
        words = ["systemd-run", "-q", "--collect", "-M", router, "--pipe", "--wait", "sh", "-c", script]
        return self.vm.run(words, check=check, timeout=120)

    def rules(self, router):
        """Without what sets learn of what passes."""
        return re.sub(r"[^\n]*elements = {[^}]*}\n", "", self.run(router, "nft -s list ruleset").stdout)

    def reach(self, one, other):
        return self.hosts[one].ping(f"192.168.92.{ROUTERS[other][1]}", timeout=2, size=1472, fragment=False) == 1

    def all_reach_all(self):
        """With packets of 1500 bytes and DF."""
        for one in ROUTERS:
            for other in ROUTERS:
                if one != other:
                    eventually(lambda: self.reach(one, other), 60)

    def applied(self, router):
        """When something was applied there last; nothing where it never was."""
        return self.run(router, "stat -c %y /var/lib/l2wg/applied; test ! -e /var/lib/l2wg/transaction").stdout


def packed(folder):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(folder, ".")
    return data.getvalue()


@pytest.fixture(scope="module")
def fleet(suite, deb):
    with machines.scratch() as directory:
        found = Fleet(suite, deb, directory)
        try:
            yield found.make()
        finally:
            found.vm.close()


def test_three_routers_become_one_lan(fleet):
    result, sums, changed = fleet.play()
    assert result.rc == 0 and not any(row["failures"] or row["unreachable"] for row in sums.values())
    assert {name for name, task in changed if task == "See how it has ended"} == set(ROUTERS)
    text = fleet.sites()
    assert text.startswith("net shape=star hub=hq\nL2WG1:") and [line.split("# ")[1] for line in text.splitlines()[1:]] == list(ROUTERS)
    for name in ROUTERS:
        assert fleet.sites(name) == text and fleet.run(name, "l2wg plan", check=False).rc == 0 and fleet.applied(name)
    fleet.all_reach_all()


def test_the_second_run_changes_nothing(fleet):
    text, applied = fleet.sites(), [fleet.applied(name) for name in ROUTERS]
    result, sums, changed = fleet.play()
    assert result.rc == 0 and changed == [] and {name: row["changed"] for name, row in sums.items()} == dict.fromkeys(ROUTERS, 0)
    assert fleet.sites() == text and [fleet.applied(name) for name in ROUTERS] == applied


def test_a_router_that_is_not_reached_undoes_it_and_the_others_keep_their_lines(fleet):
    text, rules = fleet.sites(), fleet.rules("branch-c")
    fleet.words["branch-c"]["l2wg_storm_limit"] = 100
    drop = fleet.vm.start(["sh", "-c", DROP], timeout=600)
    result, sums, _ = fleet.play("--limit", "branch-c", "-e", "l2wg_confirm=60")
    drop.wait().check()
    assert result.rc != 0 and list(sums) == ["branch-c"] and sums["branch-c"]["failures"] + sums["branch-c"]["unreachable"] == 1
    assert fleet.sites().replace(" storm-limit=100", "") == text and fleet.vm.get("/root/waiting").decode() == fleet.sites() != text
    eventually(lambda: fleet.run("branch-c", "test ! -e /var/lib/l2wg/transaction", check=False).rc == 0, 120)
    assert fleet.sites("branch-c") == text and fleet.rules("branch-c") == rules
    assert "it was not confirmed" in fleet.run("branch-c", "cat /var/lib/l2wg/undone").stdout
    fleet.vm.sh("nft delete table ip cut")
    fleet.all_reach_all()


def test_check_mode_is_the_plan_and_changes_nothing(fleet):
    text, applied = fleet.sites(), fleet.applied("branch-c")
    result, sums, changed = fleet.play("--check", "--limit", "branch-c")
    assert result.rc == 0 and changed == [["branch-c", "See what the file would change"]]
    assert "storm-limit=100" in result.stdout and "+++ /etc/l2wg/sites" in result.stdout
    assert fleet.sites() == text and "storm-limit" not in fleet.sites("branch-c") and fleet.applied("branch-c") == applied


def test_the_next_run_catches_up(fleet):
    result, _, changed = fleet.play("--limit", "branch-c")
    assert result.rc == 0 and changed == [["branch-c", "See how it has ended"]]
    assert fleet.sites("branch-c") == fleet.sites() and fleet.run("branch-c", "l2wg plan", check=False).rc == 0
    fleet.all_reach_all()
