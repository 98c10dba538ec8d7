#!/usr/bin/python3
"""Root file systems and disks for the lab: made by mmdebstrap from the system's own apt sources, cached outside the tree.

    python3 tests/lab/image.py rootfs bookworm [PACKAGE...]    prints the path of a tar file
    python3 tests/lab/image.py disk bookworm                   prints the paths of disk, kernel and initrd

The disk is what Debian gives. What makes a lab machine of it (the agent, what is masked so that it boots fast) rides in the
initrd, which is made anew in a second when it changes.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEEDS = ["mmdebstrap", "debian-archive-keyring", "e2fsprogs", "busybox-static", "cpio", "zstd", "qemu-utils"]
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("bullseye", "bookworm", "trixie")

# Everything that l2wg depends on is here: a lab machine reaches no mirror.
ROUTER_PACKAGES = (
    "systemd-sysv udev dbus kmod procps linux-image-amd64 ifupdown isc-dhcp-client iproute2 netbase wireguard-tools bridge-utils "
    "nftables iptables debconf debconf-utils python3 python3-jinja2 tcpdump iputils-ping iputils-arping dnsmasq-base"
).split()

# A router without screen and sound needs none of these, and a smaller disk is made, read and probed faster.
UNUSED_MODULES = (
    "drivers/gpu drivers/media drivers/infiniband drivers/net/wireless drivers/net/ethernet drivers/scsi drivers/ata drivers/staging drivers/iio "
    "drivers/hid drivers/input drivers/usb drivers/isdn drivers/video drivers/bluetooth drivers/mtd drivers/nvme sound fs/btrfs fs/xfs "
    "fs/ocfs2 fs/gfs2 fs/nfs fs/nfsd fs/cifs fs/smb fs/ceph fs/f2fs fs/bcachefs net/bluetooth net/wireless net/mac80211 net/sunrpc"
).split()
UNUSED_PATHS = ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*"]

# Needed by the initrd to mount the disk; what they depend on is looked up.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_rng", "ext4", "crc32c_generic")

MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer "
    "systemd-tmpfiles-clean.timer systemd-timesyncd.service systemd-resolved.service systemd-networkd.service getty@tty1.service "
    "serial-getty@ttyS0.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-pstore.service "
    "systemd-journal-flush.service systemd-journal-catalog-update.service systemd-hwdb-update.service keyboard-setup.service "
    "console-setup.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount "
    "modprobe@drm.service modprobe@efi_pstore.service systemd-firstboot.service ldconfig.service"
).split()

AGENT_UNIT = """\
[Unit]
Description=agent of the l2wg lab
DefaultDependencies=no
After=systemd-udevd.service

[Service]
ExecStart=/usr/bin/python3 -S -E /run/lab/agent.py
# Commands that a test left running shall outlive nothing and disturb nothing.
KillMode=process
Restart=on-failure
"""

INIT = """\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
while read -r module; do $b insmod "/modules/$module"; done </modules/order
if $b grep -q l2wg.probe /proc/cmdline; then echo 'l2wg probe: alive' >/dev/console; $b poweroff -f; fi
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 200 ]; do tries=$((tries + 1)); $b usleep 50000; done
$b mount -t ext4 -o noatime /dev/vda /root || exec $b sh
$b mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /root/run
$b cp -a /lab/. /root/run/
# Files of this one machine, laid over the disk at its first boot only.
if [ -d /files ] && [ ! -e /root/lost+found/laid ]; then $b cp -a /files/. /root/; $b touch /root/lost+found/laid; fi
$b mount --move /dev /root/dev
$b umount /proc
exec $b switch_root /root /sbin/init
"""


def cache() -> Path:
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "l2wg"
    path.mkdir(parents=True, exist_ok=True)
    return path


@dataclass(frozen=True)
class Disk:
    suite: str
    image: Path
    kernel: Path
    initrd: Path


def fingerprint(*things) -> str:
    return hashlib.sha256(json.dumps(things, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def building(target: Path):
    """Yield a scratch directory when `target` is still to be made (else None); two builders of one thing wait for each other."""
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
            return
        scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        scratch.chmod(0o755)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def need(packages) -> None:
    subprocess.run([str(HERE.parent / "need"), *packages], check=True, stdout=sys.stderr)


def sources(suite: str) -> str:
    """The system's own apt sources of Debian, with the name of the running release replaced by `suite`."""
    running = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)["VERSION_CODENAME"].strip('"')
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    lines = []
    for uri, release, component in (target.split() for target in targets):
        name, dash, rest = release.partition("-")
        if name == running and component == "main":  # other vendors' repositories have other releases
            signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
            lines.append(f"deb{signed} {uri} {suite}{dash}{rest} {component}\n")
    if not lines:
        raise SystemExit(f"image: no apt source of {running} found\n  hint: the lab takes Debian's mirror from the system's apt sources")
    return "".join(lines)


def mmdebstrap(suite: str, packages, target: Path, options=()) -> None:
    log = target.parent / "mmdebstrap.log"
    command = [
        "mmdebstrap",
        "--variant=apt",
        f"--include={','.join(packages)}",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Apt::Install-Recommends "false"',
        *options,
        suite,
        str(target),
        "-",
    ]
    # INITRD=No: the kernel's package makes no initrd, ours mounts the disk. TZ and LC_ALL: the same image everywhere.
    with open(log, "w") as out:
        done = subprocess.run(
            command,
            input=sources(suite),
            text=True,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "INITRD": "No", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
    if done.returncode:
        sys.stderr.write(log.read_text()[-6000:])
        raise SystemExit(f"image: mmdebstrap of {suite} failed (rc {done.returncode})")


def rootfs(suite: str, packages=()) -> Path:
    """A tar file with a minimal Debian that holds `packages`; its apt reaches the same mirror as the system's."""
    need(NEEDS)
    packages = sorted(set(packages) | {"debian-archive-keyring"})
    options = [f"--dpkgopt=path-exclude={path}" for path in UNUSED_PATHS]
    target = cache() / f"rootfs-{suite}-{fingerprint(suite, packages, options)}.tar"
    with building(target) as scratch:
        if scratch:
            print(f"image: making a {suite} root file system", file=sys.stderr)
            mmdebstrap(suite, packages, scratch / "root.tar", options)
            (scratch / "root.tar").rename(target)
    return target


@contextlib.contextmanager
def unpacked(suite: str, packages=()):
    """A fresh directory with that root file system, thrown away at the end (what is still mounted below it keeps it)."""
    archive = rootfs(suite, packages)
    with tempfile.TemporaryDirectory(prefix=f"l2wg-{suite}-") as name:
        subprocess.run(["tar", "-C", name, "-xf", str(archive)], check=True)
        yield Path(name)


def disk(suite: str, packages=ROUTER_PACKAGES, debs=()) -> Disk:
    """The routers' disk (raw ext4, no boot loader: QEMU starts the kernel), its kernel and the initrd.

    The packages `debs` are not installed, but lie in /var/cache/lab, for `apt-get install` without a mirror.
    """
    need(NEEDS)
    options = [f"--dpkgopt=path-exclude={path}" for path in UNUSED_PATHS]
    options += [f"--dpkgopt=path-exclude=*/lib/modules/*/kernel/{path}/*" for path in UNUSED_MODULES]
    if debs:
        fetch = 'mkdir -p "$1/var/cache/lab"; cd "$1/var/cache/lab"; APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q download'
        options.append(f"--customize-hook={fetch} {' '.join(debs)}")
    target = cache() / f"disk-{suite}-{fingerprint(suite, sorted(packages), options, 3)}"
    with building(target) as scratch:
        if scratch:
            print(f"image: making the {suite} disk (a minute or two, once)", file=sys.stderr)
            root = scratch / "root"
            mmdebstrap(suite, packages, root, options)
            _prepare(root)
            done = scratch / "done"
            done.mkdir()
            kernel = next((root / "boot").glob("vmlinuz-*"))
            shutil.copy(kernel, done / "vmlinuz")
            release = kernel.name.partition("-")[2]
            _boot_modules(root, release, done / "modules")
            kernel.unlink()
            with open(done / "disk.raw", "wb") as image:
                image.truncate(3 << 30)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file", "-m", "0", "-d", str(root), str(done / "disk.raw")], check=True)
            done.rename(target)
    return Disk(suite, target / "disk.raw", target / "vmlinuz", initrd(target))


def _prepare(root: Path) -> None:
    (root / "etc/apt/sources.list").write_text("# A lab machine reaches no mirror.\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("lab\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost lab\n::1 localhost\n")
    (root / "etc/machine-id").write_text(f"{hashlib.sha256(str(root).encode()).hexdigest()[:32]}\n")
    journal = root / "var/log/journal"
    journal.mkdir(parents=True, exist_ok=True)
    conf = root / "etc/network/interfaces"
    conf.write_text("source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n")
    subprocess.run(["chroot", str(root), "passwd", "-q", "-d", "root"], check=True)


def _boot_modules(root: Path, release: str, target: Path) -> None:
    """Copy the boot modules and what they depend on, unpacked, with the order of loading in the file `order`."""
    base = root / "lib/modules" / release
    subprocess.run(["chroot", str(root), "depmod", release], check=True)
    needs = {}
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    names = {Path(path).name.split(".ko")[0].replace("-", "_"): path for path in needs}
    order = []
    for name in BOOT_MODULES:
        path = names.get(name)
        if path:  # else built in
            order += [module for module in [*reversed(needs[path]), path] if module not in order]
    target.mkdir()
    for path in order:
        data = (base / path).read_bytes()
        (target / Path(path).name.replace(".ko.xz", ".ko")).write_bytes(lzma.decompress(data) if path.endswith(".xz") else data)
    (target / "order").write_text("".join(Path(path).name.replace(".ko.xz", ".ko") + "\n" for path in order))


def initrd(base: Path) -> Path:
    """busybox, the boot modules, and below /lab what is laid over the guest's /run: the agent and the masks."""
    agent = (HERE / "agent.py").read_text()
    target = base / f"initrd-{fingerprint(agent, AGENT_UNIT, INIT, MASKED)}"
    with building(target) as scratch:
        if scratch:
            tree = scratch / "tree"
            for name in ("bin", "dev", "proc", "root", "lab/lab", "lab/systemd/system/sysinit.target.wants"):
                (tree / name).mkdir(parents=True)
            shutil.copy("/bin/busybox", tree / "bin/busybox")
            shutil.copytree(base / "modules", tree / "modules")
            (tree / "init").write_text(INIT)
            (tree / "init").chmod(0o755)
            (tree / "lab/lab/agent.py").write_text(agent)
            units = tree / "lab/systemd/system"
            (units / "lab-agent.service").write_text(AGENT_UNIT)
            (units / "sysinit.target.wants/lab-agent.service").symlink_to("../lab-agent.service")
            for unit in MASKED:
                (units / unit).symlink_to("/dev/null")
            (scratch / "initrd").write_bytes(pack(tree))
            (scratch / "initrd").rename(target)
    return target


def pack(tree: Path) -> bytes:
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    return subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=names.encode(), cwd=tree, stdout=subprocess.PIPE, check=True).stdout


def with_files(base: Path, files: dict, target: Path) -> Path:
    """An initrd that lays `files` (path -> text, or a Path for a symlink) over the disk at the machine's first boot."""
    with tempfile.TemporaryDirectory() as name:
        for path, content in files.items():
            file = Path(name) / "files" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                file.symlink_to(content)
            else:
                file.write_text(content)
                # Nobody but root reads keys.
                file.chmod(0o600 if "wireguard" in file.parent.name else 0o644)
        (Path(name) / "files/etc").chmod(0o755)
        for directory in (Path(name) / "files").rglob("*/"):
            if directory.is_dir():
                directory.chmod(0o700 if directory.name == "wireguard" else 0o755)
        (Path(name) / "files").chmod(0o755)
        # The kernel unpacks one archive after the other; the first has to end on a 4-byte boundary.
        first = base.read_bytes()
        target.write_bytes(first + b"\0" * (-len(first) % 4) + pack(Path(name)))
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rootfs", "disk"))
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("packages", nargs="*")
    args = parser.parse_args()
    if args.what == "rootfs":
        print(rootfs(args.suite, args.packages))
    else:
        made = disk(args.suite)
        print(made.image, made.kernel, made.initrd)


if __name__ == "__main__":
    import words  # it imports this one

    with words.of("image"):
        main()
