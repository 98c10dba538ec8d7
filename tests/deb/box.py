"""A throw-away Debian: a cached root file system under an overlay, in its own mount, network and PID namespaces.

Real dpkg, debconf, ifupdown and ip run in it, and nothing of it reaches the machine around it. What changed in it is the
upper layer of the overlay, so that "nothing was changed" is a statement about every file.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(TOP / "tests/lab"))
import image

# What l2wg depends on, and what it takes to ask questions.
PACKAGES = (
    "apt-utils debconf debconf-utils dialog whiptail libterm-readline-gnu-perl locales ifupdown iproute2 wireguard-tools bridge-utils nftables python3 "
    "python3-jinja2 python3-pytest kmod procps"
).split()

# dpkg's and debconf's own books, caches and what the tests themselves put there.
BOOKS = (
    "var/lib/dpkg",
    "var/cache",
    "var/log",
    "var/lib/apt",
    "var/lib/systemd",
    "tmp",
    "root",
    "dev",
    "proc",
    "sys",
    "run/network",
    "run/lock",
    "run/mount",
    "etc/apt",
    "usr/lib/locale",
)


def layer(suite, packages=PACKAGES):
    """The root file system of `suite`, unpacked once: the lower layer of every box."""
    archive = image.rootfs(suite, packages)
    target = Path(f"{archive}.d")
    with image.building(target) as scratch:
        if scratch:
            (scratch / "root").mkdir()
            subprocess.run(["tar", "-C", scratch / "root", "-xf", archive], check=True)
            # German messages need the locale, and mmdebstrap has left none.
            subprocess.run(["chroot", scratch / "root", "localedef", "-i", "de_DE", "-f", "UTF-8", "de_DE.UTF-8"], check=True)
            (scratch / "root").rename(target)
    return target


class Box:
    def __init__(self, lower):
        self.lower = Path(lower)
        self.scratch = Path(tempfile.mkdtemp(prefix="l2wg-box-"))
        self.root = self.scratch / "root"
        script = """
            mount -t tmpfs -o mode=755 tmpfs "$1"
            mkdir "$1/upper" "$1/work" "$1/root"
            mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
            mount -t proc proc "$1/root/proc"
            mount -t sysfs sysfs "$1/root/sys"
            mount --rbind /dev "$1/root/dev"
            ip link set lo up
            echo ready
            exec sleep infinity
        """
        self.holder = subprocess.Popen(
            ["unshare", "-m", "-n", "-p", "--fork", "--kill-child", "sh", "-ec", script, "sh", str(self.scratch), str(lower)], stdout=subprocess.PIPE, text=True
        )
        if self.holder.stdout.readline() != "ready\n":
            raise RuntimeError("no namespace for a box")
        # unshare's child is the one inside.
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()
        self.pid = int(children[0])
        # Seen from outside through the holder, since the mounts are its own.
        self.files = Path(f"/proc/{self.pid}/root{self.root}")
        self.upper = Path(f"/proc/{self.pid}/root{self.scratch}/upper")
        self.put("etc/hosts", "127.0.0.1 localhost\n")
        self.put("etc/resolv.conf", "")
        self.put("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.start = self.changes(())

    def close(self):
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def argv(self, *command, env=None):
        """The command line that runs `command` inside."""
        settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})}
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "chroot", str(self.root), "env", "-i", *(f"{key}={value}" for key, value in settings.items()), *command]

    def run(self, *command, check=True, env=None, input=None):
        """Run it inside, without a terminal; what CompletedProcess says, stdout and stderr apart."""
        done = subprocess.run(
            ["setsid", "-w", *self.argv(*command, env={"DEBIAN_FRONTEND": "noninteractive", **(env or {})})],
            input=input or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def mount(self, *words, at):
        """This machine's mount(8), since a box has none; `at` is a path inside."""
        self.nsenter("mkdir", "-p", f"{self.root}{at}")
        self.nsenter("mount", *words, f"{self.root}{at}")

    def umount(self, at):
        self.nsenter("umount", f"{self.root}{at}")

    def nsenter(self, *command):
        subprocess.run(["nsenter", "-t", str(self.pid), "-m", *command], check=True)

    def sh(self, script, **options):
        return self.run("sh", "-ec", script, **options).stdout

    def put(self, path, text, mode=0o644):
        target = self.files / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def get(self, path):
        return (self.files / path).read_text()

    def has(self, path):
        return os.path.lexists(self.files / path)

    def changes(self, ignore=BOOKS):
        """{path: what} of everything that is not as in the lower layer: (mode, owner, content), or None where it is gone."""
        found = {}
        for directory, names, files in os.walk(self.upper):
            here = Path(directory).relative_to(self.upper)
            names[:] = [name for name in names if not str(here / name).startswith(tuple(ignore))]
            for name in names + files:
                path = here / name
                if str(path).startswith(tuple(ignore)):
                    continue
                now, before = picture(self.upper / path), picture(self.lower / path)
                if now != before:
                    found[str(path)] = now
        return found

    def debconf(self, **answers):
        """Preseed; `bridge_ports` stands for l2wg/bridge-ports."""
        lines = ""
        for name, value in answers.items():
            kind = "boolean" if name in ("init", "attach", "apply", "ip_forward") else "string"
            lines += f"l2wg l2wg/{name.replace('_', '-')} {kind} {value}\n"
        self.run("debconf-set-selections", input=lines)

    def shown(self, name):
        """The value in debconf's cache."""
        return self.sh(f"echo 'GET l2wg/{name}' | debconf-communicate l2wg").partition(" ")[2].strip()


def picture(path):
    """What there is to compare of one path. Directories count by being there; an overlay's whiteout is None, as is nothing."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        return None
    kind = (oct(info.st_mode), info.st_uid, info.st_gid)
    if stat.S_ISLNK(info.st_mode):
        return kind + (os.readlink(path),)
    if stat.S_ISREG(info.st_mode):
        return kind + (path.read_bytes(),)
    return kind
