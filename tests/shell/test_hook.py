"""ifupdown's hook with the environment that ifupdown and ifupdown2 give it: what it calls."""

import os
import socket
import stat
import subprocess
import time

import pytest
from conftest import TOP

HOOK = TOP / "etc/network/if-up.d/l2wg"
DEVICE = TOP / "etc/l2wg/device"
# As recorded of ifupdown 0.8.41 and ifupdown2 3.0.0.
IFUPDOWN = {"up": {"MODE": "start", "PHASE": "post-up", "ADDRFAM": "inet"}, "down": {"MODE": "stop", "PHASE": "pre-down", "ADDRFAM": "inet"}}
IFUPDOWN2 = {"up": {"MODE": "start", "PHASE": "up", "ADDRFAM": "inet"}, "down": {"MODE": "stop", "PHASE": "down", "ADDRFAM": "inet"}}
BY_HAND = {"up": {"MODE": "start"}, "down": {"MODE": "stop"}}


def read_in(script, folder, conf):
    """A script that reads in what it does of `folder`, and has the tunnels' files of `conf`."""
    ours = (TOP / "etc/l2wg/ours").read_text()
    (folder / "ours").write_text(ours.replace("/etc/l2wg", str(conf)).replace("/run/l2wg.ours", str(folder / "kept")))
    return script.read_text().replace("/usr/lib/l2wg/ours", str(folder / "ours"))


@pytest.fixture
def kept(tmp_path_factory):
    """A folder for what a hook reads in, and keeps; the folder of the tunnels' files stays as old as it is."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def call(tmp_path, kept):
    """Run the hook with these variables; the words of each call of l2wg."""
    (tmp_path / "gretap1.conf").write_text("underlay = wg0 # br7\nbridge=br0\nbridge-ports = enp3s0, enp4s0")
    command = tmp_path / "l2wg"
    command.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nexit 3\n')
    command.chmod(0o755)
    text = read_in(HOOK, kept, tmp_path).replace("/usr/bin/l2wg", str(command)).replace("/usr/lib/l2wg/look", f"{command} event")

    def run(**variables):
        done = subprocess.run(["dash", "-c", text], env=dict(variables, PATH="/usr/bin:/bin"), stdout=subprocess.PIPE)
        assert done.returncode == 0, "it may never fail"
        calls = tmp_path / "calls"
        said = calls.read_text() if calls.exists() else ""
        calls.write_text("")
        return said

    return run


@pytest.mark.parametrize("manager", [IFUPDOWN, IFUPDOWN2, BY_HAND], ids=["ifupdown", "ifupdown2", "by hand"])
@pytest.mark.parametrize("phase", ["up", "down"])
@pytest.mark.parametrize("name", ["wg0", "br0", "enp3s0", "enp4s0", "gretap1"])
def test_both_managers_make_events_of_ours(call, manager, phase, name):
    assert call(IFACE=name, **manager[phase]) == f"event {phase} {name}\n"


@pytest.mark.parametrize("name", ["lo", "br7", "enp3s0:1", "enp3", "enp33s0", "", "-x"])
def test_others_cost_nothing(call, name):
    assert call(IFACE=name, **IFUPDOWN["up"]) == call(IFACE=name, **IFUPDOWN2["up"]) == ""


@pytest.mark.parametrize("variables", [{"PHASE": "pre-up", "MODE": "start"}, {"PHASE": "post-down", "MODE": "stop"}, {}])
def test_other_phases_are_none_of_ours(call, variables):
    assert call(IFACE="br0", **variables) == ""


def test_the_meta_call_of_ifup_all_is_none_either(call):
    assert call(IFACE="br0", **dict(IFUPDOWN["up"], ADDRFAM="meta")) == ""


# What is no file beside a good one: ifup of any interface goes on, and so does dpkg's.


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def endless(path):
    """Of one line; by a node of its own, since a link to the machine's could become its end."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def long(path):
    """Of one line without an end, which sh reads byte by byte."""
    with open(path, "wb") as file:
        file.write(b"a" * (64 << 20))


def unix(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


ODD = {
    "pipe": os.mkfifo,
    "socket": unix,
    "device": endless,
    "folder": os.mkdir,
    "nowhere": lambda path: os.symlink("none", path),
    "loop": lambda path: os.symlink(path, path),
    "sparse": sparse,
    "long": long,
}


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("kind", ODD)
def test_nothing_has_ifup_wait(kind, shell, tmp_path):
    """bash is the /bin/sh of some. A hang is ended, and is a failure."""
    folder = tmp_path / "l2wg"
    folder.mkdir()
    (folder / "b-good.conf").write_text("underlay = wg0\nbridge = br0\n")
    for name in ("a", "c"):
        ODD[kind](str(folder / f"{name}.conf"))
    text = read_in(HOOK, tmp_path, folder).replace("/usr/bin/l2wg", "/bin/echo").replace("/usr/lib/l2wg/look", "/bin/echo event")

    def run(name):
        done = subprocess.run(
            [shell, "-c", text], env={"IFACE": name, "PATH": "/usr/bin:/bin", **IFUPDOWN["up"]}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run("br0") == "event up br0\n" and run("wg0") == "event up wg0\n"
    # Of what is too large for it, the hook does not know, so l2wg looks; and tells of it.
    assert run("enp9s0") == "event up enp9s0\n" * (kind in ("sparse", "long"))


# What the hooks keep of the files, so that not each has to read them.


class Hook:
    """ifupdown's, in a router whose files are all of an hour ago."""

    def __init__(self, shell, path):
        self.shell, self.path, self.conf, self.kept = shell, path, path / "l2wg", path / "kept"
        self.conf.mkdir()
        self.write("gretap1", "underlay = wg0\nbridge = br0\nbridge-ports = enp3s0, enp4s0 # enp5s0\n")
        self.write("gretap2", "underlay = l2w0\nwire = own\nbridge = br2\n")
        self.text = read_in(HOOK, path, self.conf).replace("/usr/bin/l2wg", "/bin/echo").replace("/usr/lib/l2wg/look", "/bin/echo event")

    def write(self, name, text):
        (self.conf / f"{name}.conf").write_text(text)
        self.age()

    def age(self, seconds=3600):
        """The folder and its files are so old."""
        for path in [*self.conf.iterdir(), self.conf]:
            os.utime(str(path), (time.time() - seconds,) * 2)

    def call(self, name):
        """Whether it makes an event of this interface."""
        env = {"IFACE": name, "PATH": "/usr/bin:/bin", **IFUPDOWN["up"]}
        done = subprocess.run([self.shell, "-c", self.text], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0 and done.stdout in ("", f"event up {name}\n")
        return bool(done.stdout)


@pytest.fixture(params=["dash", "bash"])
def hook(request, tmp_path):
    return Hook(request.param, tmp_path)


@pytest.fixture
def net(hook):
    """With a file of sites, as old as the others, a WireGuard interface that nobody has a file for, and a card."""
    (hook.path / "wireguard").mkdir()
    (hook.path / "wireguard/wg1.conf").write_text("")
    for name, kind in (("wg8", "DEVTYPE=wireguard\n"), ("enp9s0", "")):
        (hook.path / "net" / name).mkdir(parents=True)
        (hook.path / "net" / name / "uevent").write_text(f"INTERFACE={name}\n{kind}IFINDEX=7\n")
    script = hook.path / "ours"
    text = script.read_text().replace("/etc/wireguard", str(hook.path / "wireguard")).replace("/sys/class/net", str(hook.path / "net"))
    script.write_text(text)
    hook.sites = hook.conf / "sites"
    hook.sites.write_text("net hub=hq # bridge=br5\nL2WG1:A:0 bridge=lan bridge-ports=enp2s0,enp3s0 vlans=10 # bridge=br6\nL2WG1:B:0\tbridge=br4 *\n")
    hook.age()
    return hook


NAMED, FOREIGN = ("wg0", "br0", "enp3s0", "enp4s0", "gretap1", "gretap2", "br2"), ("l2w0", "enp5s0", "enp3", "br", "wire", "own", "conf")


def test_what_is_kept_says_the_same_as_the_files(hook):
    assert not hook.call("enp9s0") and hook.kept.read_text().endswith(" /\n")
    before = hook.kept.stat().st_mtime_ns
    assert [name for name in NAMED + FOREIGN if hook.call(name)] == list(NAMED)
    assert hook.kept.stat().st_mtime_ns == before, "no file was read"
    hook.kept.unlink()
    assert [name for name in NAMED + FOREIGN if hook.call(name) and not hook.kept.unlink()] == list(NAMED)


def test_a_file_that_is_new_edited_or_gone_is_seen(hook):
    assert not hook.call("br7")
    hook.write("gretap3", "underlay = wg7\nbridge = br7\n")
    os.utime(str(hook.conf / "gretap3.conf"))
    hook.kept.touch()
    os.utime(str(hook.kept), (time.time() - 60,) * 2)
    assert hook.call("br7") and hook.call("br7")
    (hook.conf / "gretap3.conf").unlink()
    os.utime(str(hook.kept), (time.time() - 60,) * 2)
    assert not hook.call("br7"), "the folder is younger"


def test_a_link_is_read_each_time(hook):
    """As on NixOS, where whatever it leads to is of 1970."""
    target = hook.path / "target"
    target.write_text("underlay = wg7\nbridge = br7\n")
    os.utime(str(target), (1, 1))
    (hook.conf / "gretap3.conf").symlink_to(target)
    os.utime(str(hook.conf), (1, 1))
    assert hook.call("br7")
    target.write_text("underlay = wg7\nbridge = br8\n")
    os.utime(str(target), (1, 1))
    assert not hook.call("br7") and hook.call("br8")


@pytest.mark.parametrize("text", ["", "\n", " enp9s0 ", " enp9s0 /x\n", "enp9s0\n/\n"])
def test_what_is_not_whole_is_not_used(hook, text):
    hook.kept.write_text(text)
    assert not hook.call("enp9s0") and hook.call("br0")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink(path + ".target", path)], ids=["folder", "pipe", "link"])
def test_what_is_kept_by_somebody_else_is_not_used(hook, make):
    make(str(hook.kept))
    assert not hook.call("enp9s0") and hook.call("br0")
    assert not (hook.path / "kept.target").exists(), "nothing is written where a link leads"


def test_a_line_behind_a_link_is_not_believed(hook):
    (hook.path / "elsewhere").write_text(" enp9s0 /\n")
    hook.kept.symlink_to(hook.path / "elsewhere")
    assert not hook.call("enp9s0") and hook.call("br0")
    hook.kept.unlink()
    os.rename(str(hook.path / "elsewhere"), str(hook.kept))
    assert hook.call("enp9s0")
    if not os.geteuid():
        os.chown(str(hook.kept), 65534, 65534)
        assert not hook.call("enp9s0")


# dhcpcd's, which reads ours in: it must go on behind it.


@pytest.fixture
def begins(tmp_path):
    """Have dhcpcd-run-hooks read the hook in, for this interface and reason; the words of each call of l2wg."""
    (tmp_path / "gretap1.conf").write_text("")
    (tmp_path / "enp3s0/brport").mkdir(parents=True)
    command = tmp_path / "l2wg"
    command.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nexit 3\n')
    command.chmod(0o755)
    text = (TOP / "etc/dhcpcd/50-l2wg").read_text()
    for old, new in (("/usr/bin/l2wg", str(command)), ("/etc/l2wg/", f"{tmp_path}/"), ("/sys/class/net/", f"{tmp_path}/")):
        text = text.replace(old, new)

    def run(reason, interface):
        script = f"set -eu\n{text}\necho on"
        done = subprocess.run(["dash", "-c", script], env={"reason": reason, "interface": interface, "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE)
        assert (done.returncode, done.stdout) == (0, b"on\n")
        calls = tmp_path / "calls"
        said = calls.read_text() if calls.exists() else ""
        calls.write_text("")
        return said

    return run


@pytest.mark.parametrize("name, ours", [("gretap1", True), ("enp3s0", True), ("enp2s0", False), ("lo", False), ("../gretap1", False), ("", False)])
def test_dhcpcd_begins(begins, name, ours):
    assert begins("PREINIT", name) == begins("BOUND", name) == f"event dhcpcd {name}\n" * ours


@pytest.mark.parametrize("reason", ["STOPPED", "STOP", "DEPARTED", "RELEASE", "CARRIER", "NOCARRIER", "EXPIRE", ""])
def test_what_dhcpcd_says_beside_costs_nothing(begins, reason):
    assert begins(reason, "gretap1") == ""


# udev's


@pytest.fixture
def tell(tmp_path, kept):
    """Run udev's hook with these variables; the units that it starts."""
    (tmp_path / "gretap1.conf").write_text("underlay = wg0 # br7\nbridge=br0\nbridge-ports = enp3s0, enp4s0")
    (tmp_path / "gretap2.conf").write_text("wire = own # shared\nunderlay = l2w0\nbridge = br-lan.2")
    command = tmp_path / "systemctl"
    command.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nexit 3\n')
    command.chmod(0o755)
    text = read_in(DEVICE, kept, tmp_path).replace("/etc/l2wg/", f"{tmp_path}/").replace("/run/systemd/system", "/").replace("PATH=", f"PATH={tmp_path}:")

    def run(shell="dash", **variables):
        # udev gives nothing else, not even a PATH.
        done = subprocess.run([f"/bin/{shell}", "-u", "-c", text], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, b"")
        calls = tmp_path / "calls"
        said = calls.read_text() if calls.exists() else ""
        calls.write_text("")
        return said.replace("--no-block start l2wg-device@", "")

    return run


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("action", ["add", "remove"])
@pytest.mark.parametrize("name", ["wg0", "br0", "enp3s0", "enp4s0", "br-lan.2"])
def test_udev_makes_events_of_ours(tell, shell, action, name):
    assert tell(shell, INTERFACE=name, ACTION=action, IFINDEX="7") == f"{name}:7:{action}.service\n"


@pytest.mark.parametrize("name", ["lo", "br7", "enp3", "enp33s0", "", "veth1a2b", "a b", "a/b", "*", "$(x)", "gretap1", "gretap2", "l2w0"])
def test_udev_tells_of_others_and_of_what_we_make_for_nothing(tell, name):
    assert tell(INTERFACE=name, ACTION="add", IFINDEX="7") == tell(INTERFACE=name, ACTION="remove", IFINDEX="7") == ""


def test_a_name_that_is_given_and_taken(tell):
    old = {"ACTION": "move", "IFINDEX": "7", "INTERFACE": "wan0", "DEVPATH_OLD": "/devices/virtual/net/wg0"}
    assert tell(**old) == "wg0:7:move.service\n"
    assert tell(**dict(old, INTERFACE="br0")) == "br0:7:move.service\nwg0:7:move.service\n"
    assert tell(INTERFACE="br0") == "br0:0:add.service\n"


def test_an_underlay_that_l2wg_makes_is_no_event_but_its_bridge_is(call, tmp_path):
    (tmp_path / "gretap2.conf").write_text("underlay = l2w0\nbridge = br2\nwire=own")
    assert call(IFACE="l2w0", **IFUPDOWN["up"]) == "" and call(IFACE="br2", **IFUPDOWN["up"]) == "event up br2\n"
    # The last one of them is without a line's end; the one before is nothing to it.
    (tmp_path / "gretap3.conf").write_text("underlay = l2w0\nbridge = br2")
    assert call(IFACE="l2w0", **IFUPDOWN["up"]) == "event up l2w0\n"


SITES = ("br0", "lan", "enp2s0", "enp3s0", "br4", "wg1", "wg8")


def test_what_a_file_of_sites_names_makes_events(net):
    """Whichever line is this router's: to others it is an event that finds nothing to do."""
    names = (*SITES, "br5", "br6", "hub", "vlans", "hq", "enp9s0", "L2WG1")
    for path in net.conf.glob("*.conf"):
        path.unlink()
    net.age()
    assert [name for name in names if net.call(name)] == list(SITES)
    before = net.kept.stat().st_mtime_ns
    assert [name for name in names if net.call(name)] == list(SITES) and net.kept.stat().st_mtime_ns == before, "no file was read"


def test_a_file_of_sites_that_is_new_edited_or_gone_is_seen(net):
    assert net.call("br4") and not net.call("br7")
    os.utime(str(net.kept), (time.time() - 60,) * 2)
    net.sites.write_text("net hub=hq bridge=br7\n")
    os.utime(str(net.conf), (time.time() - 3600,) * 2)
    assert net.call("br7") and not net.call("br4")
    net.sites.unlink()
    os.utime(str(net.kept), (time.time() - 60,) * 2)
    assert not net.call("br7") and not net.call("wg8") and not net.call("wg1")


@pytest.mark.parametrize("kind", ["pipe", "directory", "sparse"])
def test_no_file_of_sites_has_ifup_wait(net, kind):
    net.sites.unlink()
    if kind == "pipe":
        os.mkfifo(str(net.sites))
    elif kind == "directory":
        net.sites.mkdir()
    else:
        with open(str(net.sites), "w") as file:
            file.truncate(1 << 33)
    net.age()
    assert net.call("br0") and net.call("wg8")
