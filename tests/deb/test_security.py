"""What docs/security.md promises of an installed package: modes, environment, ordinary users, and where secrets are."""

import os
import stat
import subprocess

import pytest
from box import BOOKS, TOP
from conftest import ANSWERS_A
from test_install import GRETAP1, STANZA, WG0, install, settle

# wg0.conf's key, and what an admin may have in interfaces(5).
KEY = "mM0cKzTnXoS3Cr3tPr1v4teKeyOfTheWireGuard0000="
PSK = "wpa-psk s3cr3t-of-the-radio"
SYSLOG = """
import os, socket
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.bind("/dev/log")
os.chmod("/dev/log", 0o666)
print("ready", flush=True)
with open("/tmp/syslog", "ab", 0) as file:
    while True:
        file.write(ear.recv(65536) + b"\\n")
"""


@pytest.fixture
def router(site_a):
    """Site A with secrets in its files."""
    text = site_a.get(WG0)
    lines = [line for line in text.splitlines(True) if not line.lower().startswith("privatekey")]
    lines.insert(lines.index("[Interface]\n") + 1, "PrivateKey = " + KEY + "\n")
    site_a.put(WG0, "".join(lines), 0o600)
    with open(site_a.files / "etc/network/interfaces", "a") as file:
        file.write(f"\niface wlan0 inet manual\n    {PSK}\n")
    (site_a.files / "etc/network/interfaces").chmod(0o600)
    return site_a


@pytest.fixture
def spied(router, tmp_path):
    """Its processes' words, their environments and its syslog go to /tmp."""
    subprocess.run([TOP / "tests/need", "gcc", "libc6-dev"], check=True)
    library = tmp_path / "exec_log.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O", "-o", library, TOP / "tests/deb/exec_log.c"], check=True)
    (router.files / "usr/lib/exec_log.so").write_bytes(library.read_bytes())
    # /dev is the build machine's, and so would be its syslog.
    router.nsenter("mount", "-t", "tmpfs", "-o", "mode=755", "none", f"{router.root}/dev")
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        router.sh(f"mknod -m 666 /dev/{name} c 1 {minor}")
    router.sh("mknod -m 666 /dev/tty c 5 0; mkdir /dev/shm /dev/pts; ln -s /proc/self/fd /dev/fd; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr")
    ear = subprocess.Popen(router.argv("python3", "-c", SYSLOG), stdout=subprocess.PIPE, text=True)
    assert ear.stdout.readline() == "ready\n"
    router.put("etc/ld.so.preload", "/usr/lib/exec_log.so\n")
    yield router
    ear.kill()
    ear.wait()


def where(box, secret):
    """{path: mode} of every file of the box that has it, in what was written since the box was made."""
    found = {}
    for directory, _, files in os.walk(box.upper):
        for name in files:
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    if secret.encode() in file.read():
                        found[os.path.relpath(path, box.upper)] = stat.S_IMODE(os.lstat(path).st_mode)
    return found


def test_secrets_stay_where_they_are(spied):
    """In and out of all that changes files: an installation, an apply, one that fails, one that is undone, a removal."""
    said = []

    def run(*words, code=0):
        done = spied.run(*words, check=False)
        assert done.returncode == code, done
        said.append(done.stdout + done.stderr)
        return said[-1]

    spied.debconf(**ANSWERS_A)
    run("dpkg", "-i", "/tmp/l2wg.deb")
    assert "PostUp = l2wg up %i" in spied.get(WG0) and spied.has(STANZA)
    run("l2wg", "detach", "wg0")
    run("l2wg", "attach", "wg0")
    run("l2wg", "set", "gretap1", "mtu=1400")
    run("l2wg", "apply", code=0)
    run("l2wg", "check", code=1)
    # What cannot be written is undone.
    run("l2wg", "set", "gretap1", "bridge-ports=enp3s0-far")
    spied.mount("--bind", str(spied.root / "etc/network/interfaces.d"), at="/etc/network/interfaces.d")
    spied.nsenter("mount", "-o", "remount,bind,ro", f"{spied.root}/etc/network/interfaces.d")
    assert "undoing" in run("l2wg", "apply", code=3)
    spied.umount("/etc/network/interfaces.d")
    run("l2wg", "rollback")
    # Bad input in the file itself: it is told of by line and key, not by its text.
    good = spied.get(WG0)
    spied.put(WG0, good.replace("[Interface]", "Interface"), 0o600)
    run("l2wg", "attach", "wg0", code=1)
    spied.put(WG0, good, 0o600)
    run("dpkg-reconfigure", "l2wg")
    run("dpkg", "-r", "l2wg")
    run("dpkg", "-i", "/tmp/l2wg.deb")

    assert where(spied, KEY) == {WG0: 0o600}
    assert {mode for mode in where(spied, PSK).values()} == {0o600}
    assert KEY not in "".join(said) and PSK not in "".join(said)
    assert b"undoing" in (spied.files / "tmp/syslog").read_bytes(), "the ear is deaf"
    started = (spied.files / "tmp/started").read_bytes()
    for words in (b"ip\0-json\0-details\0address\0show\0", b"/usr/bin/l2wg\0attach\0wg0\0", b"dpkg\0-i\0"):
        assert words in started, "the probe is blind"


def test_the_search_would_find_them(spied):
    """Each of its eyes sees what it is to see."""
    spied.run("python3", "-c", f"import syslog; syslog.syslog('{KEY}')")
    spied.sh("sleep 0.2")
    assert set(where(spied, KEY)) == {WG0, "tmp/started", "tmp/syslog"}, "a word, and a message"
    before = set(where(spied, PSK))
    spied.sh("X=$(grep -o 'wpa-psk.*' /etc/network/interfaces) true; X=$(grep -o 'wpa-psk.*' /etc/network/interfaces) /bin/true")
    assert set(where(spied, PSK)) - before == {"tmp/started"}, "an environment"
    spied.run("debconf-set-selections", input=f"x x/y string {KEY}\n")
    assert "var/cache/debconf/config.dat" in where(spied, KEY)


def writable_by_others(box, ignore=BOOKS):
    """What of all that was written somebody else than root may write, or owns."""
    found = []
    for directory, names, files in os.walk(box.upper):
        for name in names + files:
            path = os.path.join(directory, name)
            inside, info = os.path.relpath(path, box.upper), os.lstat(path)
            if inside.startswith(tuple(ignore)) or not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
                continue
            if info.st_uid or (info.st_mode & 0o022 and not info.st_mode & stat.S_ISVTX):
                found.append((inside, oct(info.st_mode), info.st_uid))
    return found


def test_nobody_else_may_write_what_is_installed_or_written(site_a):
    """Even by a root whose umask forbids nothing. /run and /var/lib are in it."""
    site_a.debconf(**ANSWERS_A)
    site_a.sh("umask 000; dpkg -i /tmp/l2wg.deb")
    site_a.sh("rm -r /etc/network/interfaces.d; rm -rf /var/lib/l2wg; echo >/etc/sysctl.d/60-l2wg.conf")
    site_a.sh("umask 000; dpkg-reconfigure l2wg; l2wg set vx1 underlay=wg0 local=192.168.178.1 remote=192.168.92.1 encapsulation=vxlan bridge=br0; l2wg apply")
    for path in (STANZA, GRETAP1, "etc/l2wg/vx1.conf", "var/lib/l2wg/last", "etc/sysctl.d/60-l2wg.conf", "run/l2wg.lock"):
        assert site_a.has(path), path
    assert "ip_forward = 1" in site_a.get("etc/sysctl.d/60-l2wg.conf"), "it was not written anew"
    assert writable_by_others(site_a) == []
    site_a.sh("umask 000; dpkg -r l2wg")
    assert site_a.has("var/lib/l2wg/detached")
    assert writable_by_others(site_a) == []


EVIL = "import os\nos.close(os.open('/tmp/evil-ran', os.O_CREAT))\n"


def test_the_callers_environment_chooses_no_code(site_a):
    """What sudo may keep, or a root's own shell has: Python's variables, sh's, and a PATH that begins in the wrong place."""
    site_a.debconf(**ANSWERS_A, apply="false")
    install(site_a)
    site_a.put("tmp/evil/l2wg_hooks/__init__.py", EVIL)
    site_a.put("tmp/evil/sitecustomize.py", EVIL)
    site_a.put("tmp/evil/rc", "touch /tmp/evil-ran\n")
    for command in ("ip", "nft", "wg", "ifup", "ifquery", "bridge", "tc", "sed"):
        site_a.put(f"tmp/evil/{command}", "#!/bin/sh\ntouch /tmp/evil-ran\n", 0o755)
    bad = {
        "PYTHONPATH": "/tmp/evil",
        "PYTHONHOME": "/tmp/evil",
        "PYTHONSTARTUP": "/tmp/evil/rc",
        "PYTHONUSERBASE": "/tmp/evil",
        "ENV": "/tmp/evil/rc",
        "BASH_ENV": "/tmp/evil/rc",
        "IFS": "/",
        "LC_ALL": "de_DE.UTF-8",
    }
    site_a.run("sh", "-c", "cd /tmp/evil; l2wg apply", env=bad)
    hook = {"IFACE": "br0", "PHASE": "post-up", "MODE": "start", "ADDRFAM": "inet", "PATH": "/tmp/evil:/usr/bin:/bin"}
    site_a.run("/etc/network/if-up.d/l2wg", env={**bad, **hook})
    site_a.run("/usr/bin/l2wg", "apply", env={**bad, "PATH": "/tmp/evil:/usr/sbin:/usr/bin:/sbin:/bin"})
    site_a.run("/usr/bin/l2wg", "check", check=False, env={**bad, "PATH": "/tmp/evil:/usr/sbin:/usr/bin:/sbin:/bin"})
    assert not site_a.has("tmp/evil-ran")
    # What is forbidden would work.
    site_a.run("python3", "-c", "", env={"PYTHONPATH": "/tmp/evil"})
    assert site_a.has("tmp/evil-ran")


COMMANDS = (
    "plan",
    "apply",
    "apply --yes",
    "confirm",
    "rollback",
    "rollback --boot",
    "check",
    "set gretap1 mtu=1400",
    "set new1 underlay=wg0",
    "attach wg0",
    "detach wg0",
    "detach --all",
    "up wg0 --strict",
    "down wg0 --strict",
    "down --all --strict",
    "event up br0 --strict",
)


def test_an_ordinary_user_is_told_and_changes_nothing(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    before = site_a.changes(ignore=("tmp", "dev", "proc", "sys")), settle(site_a)
    for words in COMMANDS:
        done = site_a.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/l2wg", *words.split(), check=False)
        assert done.returncode in (1, 3), (words, done)
        assert "root" in done.stderr and "hint:" in done.stderr and "Traceback" not in done.stderr, (words, done)
    assert (site_a.changes(ignore=("tmp", "dev", "proc", "sys")), settle(site_a)) == before
    assert site_a.run("setpriv", "--reuid=65534", "/usr/bin/l2wg", "--version").returncode == 0


def test_check_tells_of_files_that_others_may_write(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    assert "may write it" not in site_a.run("l2wg", "check", check=False).stderr
    site_a.sh("chmod 666 /etc/l2wg/gretap1.conf; chown 65534 /etc/wireguard/wg0.conf; chmod 1777 /var/lib/l2wg")
    said = site_a.run("l2wg", "check", check=False).stderr
    assert "/etc/l2wg/gretap1.conf: everybody may write it" in said
    assert "/etc/wireguard/wg0.conf: the user 65534 may write it" in said
    assert "/var/lib/l2wg: everybody may write it" in said
    assert "hint: chown root: /etc/l2wg/gretap1.conf; chmod go-w /etc/l2wg/gretap1.conf" in said
    # It is told of, and nobody is cut off for it.
    site_a.run("l2wg", "apply")


def test_a_purge_takes_what_a_killed_l2wg_has_left_half_written(router):
    router.debconf(**ANSWERS_A)
    install(router)
    router.put("etc/wireguard/.l2wg-k1ll3d", KEY, 0o600)
    router.put("etc/l2wg/.l2wg-k1ll3d", "mtu =", 0o600)
    router.run("dpkg", "-P", "l2wg")
    assert set(where(router, KEY)) == {WG0} and not router.has("etc/l2wg")


# Files that root follows

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def test_no_link_of_somebody_elses_is_followed(site_a):
    """By a file's name on the command line: a link to a file, to a folder, to nothing; in /tmp, and in a folder of theirs."""
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.sh("chmod 1777 /tmp; mkdir -m 777 /tmp/open; mkdir /var/lib/hole; echo precious >/var/lib/hole/file; cp -p /etc/shadow /root/")
    site_a.run(
        *NOBODY,
        "sh",
        "-ec",
        """
        mkdir /tmp/home
        for folder in /tmp /tmp/open /tmp/home; do
            ln -s /etc/shadow $folder/file; ln -s /var/lib/hole $folder/folder; ln -s /var/lib/hole/new $folder/none; ln -s $folder/file $folder/twice
        done
        echo theirs >/tmp/taken; mkfifo /tmp/home/pipe
    """,
    )
    # The kernel's own guard is off, so it is ours that holds.
    site_a.sh("sysctl -qw fs.protected_symlinks=0 2>/dev/null || :")
    hole = sorted(path.name for path in (site_a.files / "var/lib/hole").iterdir())
    for folder in ("/tmp", "/tmp/open", "/tmp/home"):
        for name in ("file", "folder/file", "folder/new", "none", "twice", "folder/../hole/file"):
            for words in (("status", "--svg"), ("metrics", "--output")):
                done = site_a.run("l2wg", *words, f"{folder}/{name}", check=False)
                assert done.returncode == 1 and "is not followed" in done.stderr and "user 65534's" in done.stderr and "hint:" in done.stderr, done
    for name in ("/tmp/taken", "/tmp/home/pipe", "/tmp/home"):
        done = site_a.run("l2wg", "metrics", "--output", name, check=False)
        assert done.returncode == 1 and "nothing was written" in done.stderr and "hint:" in done.stderr, done
    assert site_a.sh("cmp /etc/shadow /root/shadow; cat /var/lib/hole/file /tmp/taken") == "precious\ntheirs\n"
    assert sorted(path.name for path in (site_a.files / "var/lib/hole").iterdir()) == hole == ["file"]
    # The links lead where they say: whoever follows them does the harm.
    site_a.sh("echo harm >/tmp/folder/new; test -e /var/lib/hole/new")


def test_what_is_rightly_named_is_written(site_a):
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    site_a.sh("chmod 1777 /tmp; mkdir /root/there; ln -s /root/there /tmp/own; ln -s /root/there/x.svg /root/x.svg")
    for name in ("/tmp/new.prom", "/tmp/own/a.prom", "/root/b.prom"):
        site_a.run("l2wg", "metrics", "--output", name)
        assert "l2wg_build_info" in site_a.sh(f"cat {name}") and site_a.sh(f"stat -c '%u %a' {name}") == "0 644\n"
    site_a.run("l2wg", "status", "--svg", "/root/x.svg", check=False)
    assert "<svg" in site_a.get("root/there/x.svg") and (site_a.files / "root/x.svg").is_symlink()
    for words in ("metrics --output /dev/stdout", "metrics --output /dev/fd/1", "metrics --output /proc/self/fd/1", "metrics"):
        assert "l2wg_build_info" in site_a.sh(f"l2wg {words} | cat"), words
    assert "<svg" in site_a.sh("l2wg status --svg - || :") and "<svg" in site_a.sh("l2wg status --svg /dev/stdout || :")
    # A /dev/null of its own: the box has the machine's.
    site_a.sh("mknod -m 666 /root/null c 1 3; l2wg metrics --output /root/null; test -c /root/null")


ODD = {
    "pipe": "mkfifo {0}",
    "socket": "python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' {0}",
    "device": "mknod {0} c 1 5",
    "folder": "mkdir {0}",
    "large": "truncate -s 1G {0}",
    "nowhere": "ln -s none {0}",
}


def test_what_is_no_file_keeps_nobody_waiting(site_a):
    """dpkg, debconf and ifupdown as they are, all kinds at once; a run that hangs is ended by the box, and fails."""
    site_a.debconf(**ANSWERS_A)
    install(site_a)
    for kind, how in ODD.items():
        site_a.sh("mkdir -p /etc/ppp/peers; " + "; ".join(how.format(f"{folder}/{kind}.conf") for folder in ("/etc/l2wg", "/etc/wireguard", "/etc/ppp/peers")))

    def told(done, *kinds):
        assert "Traceback" not in done.stdout + done.stderr
        for kind in kinds:
            assert (f"/etc/l2wg/{kind}.conf: is " in done.stderr and f"mv /etc/l2wg/{kind}.conf " in done.stderr) or kind == "nowhere", (kind, done.stderr)

    # A stranger, whose hooks are ours, too, and the bridge.
    site_a.sh("ip link add enp9s0 type veth peer name far9; printf 'iface enp9s0 inet manual\\n' >>/etc/network/interfaces")
    site_a.run("ifup", "enp9s0")
    told(site_a.run("/etc/network/if-up.d/l2wg", env={"IFACE": "br0", "PHASE": "post-up", "MODE": "start", "ADDRFAM": "inet"}), *ODD)
    told(site_a.run("l2wg", "up", "wg0"), *ODD)
    told(site_a.run("l2wg", "plan", check=False), *ODD)
    told(site_a.run("l2wg", "detach", "--all", check=False))
    assert "l2wg up" not in site_a.get(WG0), "one that is no file hides no other"
    site_a.run("l2wg", "attach", "wg0")
    told(site_a.run("dpkg-reconfigure", "l2wg"), *ODD)
    assert "l2wg up" in site_a.get(WG0)
    told(site_a.run("dpkg", "-i", "/tmp/l2wg.deb"))
    told(site_a.run("dpkg", "-r", "l2wg"))
    assert "l2wg up" not in site_a.get(WG0)
    told(site_a.run("dpkg", "-i", "/tmp/l2wg.deb"), *ODD)
    assert "l2wg up" in site_a.get(WG0)
    told(site_a.run("dpkg", "-P", "l2wg"))
    assert "l2wg up" not in site_a.get(WG0)
    assert site_a.sh("ls /etc/l2wg") == "folder.conf\n", "what is somebody's folder is not ours to delete"


@pytest.mark.parametrize("kind", ["pipe", "large"])
def test_the_tunnels_own_file_is_none(site_a, kind):
    """Told of by debconf, which asks nothing then, and by check; no installation hangs or fails."""
    site_a.debconf(**ANSWERS_A)
    site_a.sh("mkdir -p /etc/l2wg; " + ODD[kind].format(f"/{GRETAP1}"))
    install(site_a)
    site_a.run("dpkg-reconfigure", "l2wg")
    assert f"/{GRETAP1}: is " in site_a.run("l2wg", "check", check=False).stderr
    site_a.run("dpkg", "-P", "l2wg")
    assert not site_a.has("etc/l2wg")
