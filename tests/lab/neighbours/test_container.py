"""Site A is a container of systemd-nspawn: a systemd of its own, and no udev. Once with root's own rights, once with a user namespace.

The machine is its host, as Proxmox is: the cable of the port and the way to site B are bridges' there, with a veth each.

      hostB ... B -- wan  to-b -- vmbr1 -- vb-C  host0 -- C -- eth1  vport -- vmbr0 -- enp3s0 -- device
"""

import pytest
import topology
import vm as machines
from hosts import eventually
from neighbourhood import INNER, KINDS, OWN, OWN_B, WAN, Neighbourhood

pytestmark = pytest.mark.long

ROOT = "/var/lib/machines/C"
HOST = """
systemctl disable -q --now wg-quick@wg0
ip address flush dev to-b
for bridge in vmbr0:enp3s0 vmbr1:to-b; do
    ip link add ${bridge%:*} type bridge forward_delay 0 mcast_snooping 0
    ip link set ${bridge#*:} up master ${bridge%:*}; ip link set ${bridge%:*} up
done
"""
# The machine's own Debian, as an overlay: of a file whose owner changes, its metadata is copied only.
COPY = f"""
mkdir -p /mnt/over {ROOT}
mount -t tmpfs -o size=400m tmpfs /mnt/over
mkdir /mnt/over/upper /mnt/over/work
mount -t overlay -o lowerdir=/,upperdir=/mnt/over/upper,workdir=/mnt/over/work,metacopy=on overlay {ROOT}
cd {ROOT}
: >etc/machine-id
echo router-c >etc/hostname
mkdir -p etc/systemd/system/multi-user.target.wants
ln -sf /lib/systemd/system/wg-quick@.service etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service
for unit in docker.socket apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer; do ln -sf /dev/null etc/systemd/system/$unit; done
"""
UNCOPY = f"umount {ROOT} && umount /mnt/over"
# As LXC does it for a container without rights, once; setuid and the like go with the owner.
SHIFT = """
import os
for folder, folders, files in os.walk("%s"):
    links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
    for path in (folder, *(os.path.join(folder, name) for name in files + links)):
        status = os.lstat(path)
        os.lchown(path, status.st_uid + %d, status.st_gid + %d)
        if not os.path.islink(path):
            os.chmod(path, status.st_mode & 0o7777)
"""
INTERFACES = """\
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback
    up ip address add 192.168.178.1/32 dev lo

auto host0
iface host0 inet static
    address {A}/30
"""
NSPAWN = """\
[Exec]
Boot=yes
PrivateUsers={users}
Capability=CAP_NET_ADMIN
ResolvConf=off

[Network]
VirtualEthernet=yes
Bridge=vmbr1
VirtualEthernetExtra=vport:eth1
"""
USERS = {"root": "no", "user namespace": "524288:65536"}


@pytest.fixture(scope="module")
def lab(suite):
    with machines.scratch() as directory:
        lab = Neighbourhood(suite, directory)
        try:
            lab.wait()
            lab.vm.sh(HOST)
            lab.device.run(["ip", "address", "add", "192.168.92.50/24", "dev", "eth0"])
            yield lab
        finally:
            lab.close()


class Container:
    def __init__(self, lab, users):
        self.lab, self.vm, self.users = lab, lab.vm, users
        self.vm.sh(COPY)
        self.vm.put(f"{ROOT}/etc/network/interfaces", INTERFACES.format(**WAN))
        self.vm.put("/etc/systemd/nspawn/C.nspawn", NSPAWN.format(users=USERS[users]))

    def shift(self):
        if ":" in USERS[self.users]:
            first = int(USERS[self.users].split(":")[0])
            self.vm.run(["python3", "-c", SHIFT % (ROOT, first, first)], timeout=120)

    def start(self):
        self.vm.run(["systemctl", "start", "systemd-nspawn@C"], timeout=120)
        self.vm.run(["ip", "link", "set", "vport", "up", "master", "vmbr0"])
        eventually(lambda: self.vm.run(["systemctl", "-M", "C", "is-system-running"], check=False).stdout.strip() in ("running", "degraded"), 120)

    def stop(self):
        self.vm.run(["systemctl", "stop", "systemd-nspawn@C"], timeout=120)

    def boot(self):
        self.stop()
        self.start()

    def put(self, path, text, mode=0o644):
        self.run(f"cat >{path}; chmod {mode:o} {path}", input=text)

    def run(self, script, check=True, input=""):
        """By the container's systemd, with no more rights than what runs there."""
        words = ["systemd-run", "-q", "--collect", "-M", "C", "--pipe", "--wait", "-E", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script]
        return self.vm.run(words, check=check, timeout=300, input=input)

    def heals(self, fault):
        """The watch puts right what such a command has done: without it, nobody does."""
        self.run(f"systemctl stop l2wg-watch.timer; {fault}")
        assert not self.lab.wired()
        self.run("systemctl start l2wg-watch.timer")
        self.wired()

    def wired(self):
        eventually(self.lab.wired, 90)


@pytest.fixture(scope="module", params=USERS)
def container(lab, deb, request):
    container = Container(lab, request.param)
    try:
        lab.vm.put(f"{ROOT}/root/{deb.name}", deb.read_bytes())
        container.shift()
        container.start()
        container.run("debconf-set-selections", input=topology.preseed("A", bridge_ports="eth1"))
        container.run(f"apt-get install -y -q /root/{deb.name}")
        yield container
    finally:
        container.stop()
        lab.vm.sh(UNCOPY)
        # Site B has another tunnel by then; its end here comes anew.
        lab.site_b()
        lab.vm.sh("ip address flush dev to-b; ip link set to-b master vmbr1")


def test_hooks(container):
    """Those of wg-quick and ifupdown, alone."""
    container.wired()
    container.run("systemctl stop l2wg-watch.timer; [ ! -e /run/udev ] && grep -q l2wg /etc/wireguard/wg0.conf")
    for command in ("systemctl restart wg-quick@wg0", "ifdown br0; ifup br0", "systemctl restart networking"):
        container.run(command)
        container.wired()
    # Seen by what happens without them.
    container.run("cp /etc/wireguard/wg0.conf /root; sed -i '/l2wg/d' /etc/wireguard/wg0.conf; systemctl restart wg-quick@wg0; sleep 5")
    assert not container.lab.wired()
    container.run("cp /root/wg0.conf /etc/wireguard/; systemctl restart wg-quick@wg0")
    container.wired()


def test_a_boot(container):
    container.boot()
    container.wired()
    assert container.run("systemctl --failed --no-legend").stdout == ""
    assert "nothing to do" in container.run("l2wg plan 2>&1").stdout
    assert container.run("l2wg check 2>&1").stdout == "[l2wg] nothing is wrong\n"


def test_the_watch(container):
    """No hook is called by any of these, and no udev tells of the port."""
    for command in ("nft flush ruleset; ip link set eth1 nomaster", "ip link del gretap1"):
        container.heals(command)
    assert "l2wg" in container.run("nft list tables").stdout
    leader = container.vm.run(["machinectl", "show", "-p", "Leader", "--value", "C"]).stdout.strip()
    container.vm.sh(f"ip link del vport; ip link add vport type veth peer name eth1 netns {leader}; ip link set vport up master vmbr0")
    container.wired()
    assert "the watch: " in container.run("journalctl -b -t l2wg -o cat").stdout


def test_what_is_not_to_be_had(container):
    said = container.run("l2wg set gretap1 site=site-b; l2wg apply 2>&1").stdout
    assert "(udev is not running): ifupdown's hooks do, the lines of `l2wg attach`" in said, said
    assert "net.netfilter.nf_log_all_netns=1" in said
    # A user namespace forbids to lay anything over /, in which others are mounted.
    assert ("was rehearsed: nothing is lost" if container.users == "root" else "is not rehearsed: no copy of / is to be had") in said
    assert "not needed" not in container.run("l2wg attach wg0 2>&1").stdout
    container.vm.run(["rmmod", "br_netfilter"], check=False)  # not modprobe -r, which takes the bridges, too
    done = container.run("l2wg set gretap1 mss-clamp=iptables; l2wg apply 2>&1", check=False)
    assert done.rc == 1 and "in a container, whoever runs that has to load the module" in done.stdout and "undone: all is as it was" in done.stdout, done
    container.wired()


def test_a_wire_of_its_own(container):
    """With its network namespace, which a boot makes anew."""
    lab = container.lab
    container.put("/etc/wireguard/l2w0.conf", OWN.format(private=lab.keys[0].private, peer=lab.keys[1].public), 0o600)
    container.run(f"l2wg set gretap1 wire=own underlay=l2w0 local={INNER['A']} remote={INNER['B']} && l2wg apply --no-rehearsal")
    lab.vm.sh(OWN_B.format(peer=lab.keys[0].public, kind=KINDS["gretap"].format(INNER["B"], INNER["A"]), **WAN))
    container.wired()
    container.boot()
    container.wired()
    assert "l2wg" in container.run("ip netns").stdout
    container.heals("nft flush ruleset; ip -n l2wg link del l2w0")
