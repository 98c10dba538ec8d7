"""Whatever is wrong with the tunnel: wg-quick and ifup succeed, WireGuard works, and the cure is told."""

import pytest
from hosts import eventually
from sites import Pair


def start(pair, site):
    """wg-quick up and ifup of the bridge on the faulty site: both have to succeed. What they said is given back."""
    said = site.run(["wg-quick", "up", "wg0"], timeout=120).stderr
    said += site.sh("ifdown br0 2>/dev/null; ifup br0", timeout=120).stderr
    assert site.links()["wg0"]["linkinfo"]["info_kind"] == "wireguard"
    assert "br0" in site.links()
    return said


@pytest.fixture(scope="module")
def configured(vm):
    """Both configured, WireGuard up on A only."""
    pair = Pair(vm).fresh()
    pair.configure()
    pair.a.run(["wg-quick", "up", "wg0"], timeout=120)
    pair.b.sh("cp -a /etc/l2wg /root/l2wg.good; cp -a /etc/wireguard/wg0.conf /root/")
    return pair


@pytest.fixture
def faulty(configured):
    """The faults are made on B, then B starts. What a test did is undone here, since making new sites takes long."""
    yield configured
    configured.both(lambda site: site.sh(UNDO, timeout=120))


UNDO = """
[ ! -e /root/away ] || cp -a /root/away/. /
rm -rf /root/away
if [ -e /root/l2wg.good ]; then
    wg-quick down wg0 2>/dev/null
    for name in gretap1 other; do ip link del $name 2>/dev/null; done
    rm -rf /etc/l2wg; cp -a /root/l2wg.good /etc/l2wg; cp -a /root/wg0.conf /etc/wireguard/
fi
ifup br0 2>/dev/null
l2wg up wg0 2>/dev/null
"""


def put_away(site, *paths):
    for path in paths:
        site.sh(f"mkdir -p /root/away && cp -a --parents {path} /root/away && rm -rf {path}")


def healthy_wireguard(pair):
    eventually(pair.wireguard_works, 30)


def test_without_a_fault(faulty):
    """The way the tests below go does wire up: what they see is the fault's doing."""
    said = start(faulty, faulty.b)
    healthy_wireguard(faulty)
    faulty.comes_back()
    assert "hint:" not in said


@pytest.mark.long
def test_bridge_missing(faulty):
    """FACTS 15."""
    site = faulty.b
    site.run(["ifdown", "br0"])
    site.run(["wg-quick", "up", "wg0"], timeout=120)
    assert "wg0" in site.links() and "br0" not in site.links()
    healthy_wireguard(faulty)
    site.run(["wg-quick", "down", "wg0"], timeout=120)
    site.run(["wg-quick", "up", "wg0"], timeout=120)
    site.run(["ifup", "br0"], timeout=120)
    faulty.comes_back()


# A file each, and what is said of it.
BROKEN = {
    "gretap1": ("underlay wg0\nbridge = br0\n", "/etc/l2wg/gretap1.conf:1:"),
    "gretap2": ("bogus = 1\n", "/etc/l2wg/gretap2.conf"),
    "gretap3": ("underlay = wg0\nlocal = 192.168.92.1\nremote = nonsense\nbridge = br0\n", "/etc/l2wg/gretap3.conf:3: remote:"),
    "gretap4": ("\x00\xff\n", "/etc/l2wg/gretap4.conf"),
}


@pytest.fixture
def broken(faulty):
    """As many files as there are kinds of being broken, the tunnel's own among them."""
    for name, (text, _) in BROKEN.items():
        faulty.b.write(f"/etc/l2wg/{name}.conf", text)
    return faulty


def test_broken_files(broken):
    """Each is told of, none becomes a tunnel; one that is right beside them does."""
    site = broken.b
    said = start(broken, site)
    for name, (_, complaint) in BROKEN.items():
        assert complaint in said and name not in site.links(), name
    assert "hint:" in said and "Traceback" not in said
    healthy_wireguard(broken)
    assert not broken.wired()
    site.sh("cp /root/l2wg.good/gretap1.conf /etc/l2wg/")
    said = site.l2wg("up", "wg0").stderr
    for name, (_, complaint) in BROKEN.items():
        assert (complaint in said) == (name != "gretap1"), name
    broken.comes_back()


# What is no file, by the command that makes it.
ODD = {
    "pipe": "mkfifo %s",
    "socket": "python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' %s",
    "device": "mknod %s c 1 5",
    "folder": "mkdir %s",
    "large": "truncate -s 1G %s",
}


@pytest.mark.long
def test_what_is_no_file_beside_a_good_one(faulty):
    """wg-quick, ifup of the bridge and of a stranger come to their end, and the wire works."""
    site = faulty.b
    for kind, how in ODD.items():
        site.sh(how % ("/etc/l2wg/%s.conf" % kind), timeout=60)
    said = start(faulty, site)
    for kind in ODD:
        assert "/etc/l2wg/%s.conf: is " % kind in said and "mv /etc/l2wg/%s.conf " % kind in said, kind
    assert "Traceback" not in said
    site.sh("ip link add far9 type veth peer name enp9s0; echo 'iface enp9s0 inet manual' >/tmp/stranger", timeout=60)
    site.run(["ifup", "--interfaces", "/tmp/stranger", "enp9s0"], timeout=120)
    site.sh("ifdown --interfaces /tmp/stranger enp9s0; ip link del far9; rm /tmp/stranger", timeout=120)
    healthy_wireguard(faulty)
    faulty.comes_back()


@pytest.mark.long
def test_name_taken_by_something_else(faulty):
    site = faulty.b
    site.run(["ip", "link", "add", "gretap1", "type", "dummy"])
    index = site.links()["gretap1"]["ifindex"]
    said = start(faulty, site)
    assert "gretap1" in said and "hint:" in said
    healthy_wireguard(faulty)
    assert site.links()["gretap1"]["ifindex"] == index
    site.run(["ip", "link", "del", "gretap1"])
    site.l2wg("up", "wg0")
    faulty.comes_back()


@pytest.mark.long
def test_same_ends_under_another_name(faulty):
    """FACTS 19: the kernel says "File exists", whichever of the two it is."""
    site = faulty.b
    site.run(["wg-quick", "up", "wg0"], timeout=120)
    site.sh("ip link del gretap1; ip link add other type gretap local 192.168.92.1 remote 192.168.178.1 dev wg0 nopmtudisc ignore-df")
    said = site.l2wg("up", "wg0").stderr
    assert "other" in said and "hint:" in said and "Traceback" not in said
    assert site.l2wg("up", "wg0", "--strict", check=False).rc == 1
    healthy_wireguard(faulty)
    site.run(["ip", "link", "del", "other"])
    site.l2wg("up", "wg0")
    faulty.comes_back()


@pytest.fixture
def no_ip_gre(faulty):
    """The kernel asks the machine's modprobe, not the site's."""
    faulty.vm.put("/etc/modprobe.d/lab.conf", "install ip_gre /bin/false\ninstall gre /bin/false\n")
    for site in faulty.sites:
        site.sh("ip link del gretap1 2>/dev/null || :")
    faulty.vm.sh("rmmod ip_gre; ! modprobe ip_gre")
    yield faulty
    faulty.vm.sh("rm -f /etc/modprobe.d/lab.conf; modprobe ip_gre")


def test_ip_gre_not_loadable(no_ip_gre):
    site = no_ip_gre.b
    said = start(no_ip_gre, site)
    assert "hint:" in said and "Traceback" not in said
    healthy_wireguard(no_ip_gre)
    assert "gretap1" not in site.links()
    no_ip_gre.vm.run(["rm", "/etc/modprobe.d/lab.conf"])
    no_ip_gre.both(lambda side: side.l2wg("up", "wg0"))
    no_ip_gre.comes_back()


def test_jinja2_gone(faulty):
    """Events do not need it."""
    site = faulty.b
    put_away(site, "/usr/lib/python3/dist-packages/jinja2")
    site.sh("! python3 -c 'import jinja2' 2>/dev/null")
    said = start(faulty, site)
    assert "Traceback" not in said
    faulty.comes_back()
    # What does need it says so, and what is there stays.
    said = site.l2wg("apply", check=False).stderr
    assert "Traceback" not in said
    assert faulty.wired()


def test_python_gone(faulty):
    site = faulty.b
    put_away(site, "/usr/bin/python3*")
    start(faulty, site)
    healthy_wireguard(faulty)


def test_package_gone_and_lines_left(faulty):
    """A wg0.conf that was copied, or a removal that broke."""
    site = faulty.b
    put_away(site, "/usr/bin/l2wg", "/usr/lib/python3/dist-packages/l2wg_hooks")
    assert "l2wg up" in site.read("/etc/wireguard/wg0.conf")
    start(faulty, site)
    healthy_wireguard(faulty)


def test_full_disk_while_attaching(pair):
    """The file is as it was, to the byte, and nothing is left beside it."""
    site = pair.b
    site.sh(
        "cp -a /etc/wireguard /tmp/w; mount -t tmpfs -o size=8k,mode=700 tmpfs /etc/wireguard; cp -a /tmp/w/. /etc/wireguard/;"
        " dd if=/dev/zero of=/etc/wireguard/fill bs=4k count=9 2>/dev/null; ! dd if=/dev/zero of=/etc/wireguard/more bs=4k count=1 2>/dev/null;"
        " rm -f /etc/wireguard/more"
    )
    look = "ls -ln --full-time -A /etc/wireguard; sha256sum /etc/wireguard/*"
    before = site.sh(look).stdout
    site.l2wg("set", "gretap1", "underlay=wg0", "local=192.168.92.1", "remote=192.168.178.1", "bridge=br0")
    result = site.l2wg("attach", "wg0", check=False)
    assert result.rc == 3 and "hint:" in result.stderr and "Traceback" not in result.stderr
    assert site.sh(look).stdout == before
    # With room, the same goes through.
    site.run(["rm", "/etc/wireguard/fill"])
    site.l2wg("attach", "wg0")
    assert "l2wg up" in site.read("/etc/wireguard/wg0.conf")


def test_a_port_with_an_address_is_refused(wireguard):
    site = wireguard.a
    site.l2wg("set", "gretap1", "underlay=wg0", "local=192.168.178.1", "remote=192.168.92.1", "bridge=br0", "bridge-ports=enp2s0")
    before = site.sh("ip -br address; find /etc/network -type f | sort | xargs sha256sum").stdout
    result = site.l2wg("apply", check=False)
    assert result.rc == 1
    assert "bridge-ports" in result.stderr and "enp2s0" in result.stderr and "192.168.178.1" in result.stderr
    assert site.sh("ip -br address; find /etc/network -type f | sort | xargs sha256sum").stdout == before
    assert wireguard.host_a.ping("192.168.92.10", count=2) >= 1


def test_attach_and_detach_leave_the_file_as_it_was(pair):
    site = pair.b
    site.l2wg("set", "gretap1", "underlay=wg0", "local=192.168.92.1", "remote=192.168.178.1", "bridge=br0")
    before = site.read("/etc/wireguard/wg0.conf")
    site.l2wg("attach", "wg0")
    attached = site.read("/etc/wireguard/wg0.conf")
    assert attached != before
    site.l2wg("attach", "wg0")
    assert site.read("/etc/wireguard/wg0.conf") == attached
    assert site.sh("stat -c %a /etc/wireguard/wg0.conf").stdout.strip() == "600"
    site.l2wg("detach", "wg0")
    assert site.read("/etc/wireguard/wg0.conf") == before


@pytest.mark.long
def test_saveconfig(pair):
    """FACTS 13: wg-quick rewrites the file on `down`; our lines work on, and detach finds them."""
    site = pair.b
    site.sh("sed -i 's/^\\[Interface\\]/&\\nSaveConfig = true/' /etc/wireguard/wg0.conf")
    pair.configure()
    pair.a.run(["wg-quick", "up", "wg0"], timeout=120)
    for _ in range(2):
        site.run(["wg-quick", "up", "wg0"], timeout=120)
        pair.comes_back()
        site.run(["wg-quick", "down", "wg0"], timeout=120)
    assert site.read("/etc/wireguard/wg0.conf").count("l2wg up") == 1
    site.l2wg("detach", "wg0")
    assert "l2wg" not in site.read("/etc/wireguard/wg0.conf")
