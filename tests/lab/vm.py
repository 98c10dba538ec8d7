#!/usr/bin/python3
"""One virtual machine: QEMU, a throw-away overlay over the cached disk, and a root agent on a virtio-serial port.

    python3 tests/lab/vm.py [--suite bookworm] [--put FILE]... -- COMMAND [ARGUMENT]...

boots one, runs the command in it as root, and throws it away. With --keep NAME instead of a command it runs until Ctrl-C or SIGTERM;
`tests/lab/sh NAME COMMAND...` then runs commands in it.
"""

import argparse
import atexit
import base64
import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import image

NEEDS = ["qemu-system-x86", "qemu-utils"]
BOOT_TIMEOUT = 240  # seconds; 15 to 20 under emulation on an idle machine


class CommandFailed(Exception):
    pass


class MachineDead(CommandFailed):
    """Nothing answers in there any more: its kernel stands still, or QEMU does."""


class BootFailed(Exception):
    pass


@dataclass(frozen=True)
class Result:
    argv: tuple
    rc: int
    stdout: str
    stderr: str

    def check(self, where="") -> "Result":
        if self.rc != 0:
            raise CommandFailed(f"{where}$ {' '.join(self.argv)}\nrc {self.rc}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}")
        return self


@dataclass(frozen=True)
class Nic:
    """A virtio-net card behind its own PCIe port, so that it comes up as enp1s0, enp2s0... in the order given."""

    mac: str
    tap: int  # file descriptor of the host's end


def die_with_parent() -> None:
    """In the child, before exec: not even a killed test run leaves a machine behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# Without ERMS, since QEMU copies and clears memory by `rep movsb` byte by byte, and counts each as an instruction; by `rep movsq`
# it is eight bytes at once.
CPU = "max,-erms,-fsrm"


def accelerator(disk: image.Disk) -> list:
    """KVM when it really runs a kernel: /dev/kvm can exist, answer, and still never run a guest."""
    emulation = ["-accel", "tcg,thread=multi", "-cpu", CPU]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return emulation
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = image.cache() / f"kvm-{boot}"
    if not verdict.exists():
        command = [
            "qemu-system-x86_64",
            "-machine",
            "q35",
            "-accel",
            "kvm",
            "-cpu",
            "host",
            "-m",
            "256",
            "-display",
            "none",
            "-nodefaults",
            "-no-reboot",
            "-serial",
            "stdio",
            "-kernel",
            str(disk.kernel),
            "-initrd",
            str(disk.initrd),
            "-append",
            "console=ttyS0 quiet l2wg.probe",
        ]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            out, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        verdict.write_text("works\n" if b"l2wg probe: alive" in out else "hangs\n")
    return ["-accel", "kvm", "-cpu", "host"] if verdict.read_text() == "works\n" else emulation


# One nanosecond of the machine's clock an instruction, and no wait where it has nothing to do: its times are counts of instructions.
INSTRUCTIONS = ["-accel", "tcg,thread=single", "-cpu", CPU, "-icount", "shift=0,sleep=off"]

# norandmaps: QEMU's translations are kept by virtual address, so with ASLR every process has its libraries translated anew.
# Without, a fork and exec costs a third.
KERNEL = "console=ttyS0 quiet loglevel=4 systemd.show_status=auto mitigations=off random.trust_cpu=on audit=0 norandmaps nokaslr"
# Some 8 % less for fork, exec and Python. init_on_alloc: Debian's kernel clears each page that it gives out. 112 is rep_good (cpufeatures.h):
# without, it copies and clears pages by plain instructions, where QEMU makes a loop of its own of each `rep`. Not where these are counted.
LESS_WORK = " init_on_alloc=0 clearcpuid=112"


# Processes that wait in the kernel (state D), each with where; then what the kernel has said.
BLOCKED = r"""
for process in /proc/[0-9]*; do
    if grep -qs '^State:.D' $process/status; then
        printf '%s: %s\n' "$(tr '\0' ' ' <$process/cmdline)" "$(sed 's/.* //' $process/stack | tr '\n' ' ')"
    fi
done
dmesg | tail -n 30
"""


class Agent:
    """The host's end of the agent: any number of threads may have a request under way."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.turn = threading.Lock()
        self.news = threading.Condition()
        self.last = 0
        self.answers = {}
        self.boot = None
        self.closed = False
        self.explain = CommandFailed  # makes an error of a message, with what is known of a machine that does not answer
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        rest = b""
        while True:
            try:
                data = self.socket.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:  # a reset machine stops in the middle of a line
                    continue
                with self.news:
                    if "hello" in message:
                        self.boot = message["hello"]
                    else:
                        self.answers[message["id"]] = message
                    self.news.notify_all()
        with self.news:
            self.closed = True
            self.news.notify_all()

    def send(self, what, **fields) -> int:
        with self.turn:
            self.last += 1
            self.socket.sendall(json.dumps({"id": self.last, "what": what, **fields}).encode() + b"\n")
            return self.last

    def has_answered(self, number: int, timeout: float) -> bool:
        """Or there will be no answer any more."""
        with self.news:
            return self.news.wait_for(lambda: number in self.answers or self.closed, timeout)

    def answer(self, number: int, timeout: float) -> dict:
        if not self.has_answered(number, timeout):
            raise self.explain(f"the agent does not answer within {timeout:.0f} s")
        with self.news:
            if number not in self.answers:
                raise CommandFailed("the machine is gone")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise CommandFailed(f"agent: {answer['error']}")
        return answer

    def wait_for_boot(self, timeout: float) -> bool:
        with self.news:
            self.news.wait_for(lambda: self.closed or self.boot, timeout)
            return bool(self.boot)

    def run(self, argv, timeout=60.0, input="", env=None) -> Result:
        return self.start(argv, timeout, input, env).wait()

    def start(self, argv, timeout=60.0, input="", env=None) -> "Running":
        argv = [str(word) for word in argv]
        data = base64.b64encode(input if isinstance(input, bytes) else input.encode()).decode()
        return Running(self, self.send("run", argv=argv, timeout=timeout, input=data, env=env or {}), tuple(argv), timeout)

    def put(self, path, data, mode=0o644) -> None:
        data = data if isinstance(data, bytes) else data.encode()
        self.answer(self.send("put", path=str(path), data=base64.b64encode(data).decode(), mode=mode), 60)

    def get(self, path) -> bytes:
        return base64.b64decode(self.answer(self.send("get", path=str(path)), 60)["data"])


@dataclass(frozen=True)
class Running:
    """A command under way in the machine."""

    agent: Agent
    number: int
    argv: tuple
    timeout: float

    def wait(self) -> Result:
        answer = self.agent.answer(self.number, self.timeout + 30)
        out, err = (base64.b64decode(answer[name]).decode(errors="replace") for name in ("stdout", "stderr"))
        if answer["rc"] == "timeout":
            raise CommandFailed(f"$ {' '.join(self.argv)}\nstill runs after {self.timeout:.0f} s\n--- stdout\n{out}--- stderr\n{err}")
        return Result(self.argv, answer["rc"], out, err)


class VM:
    def __init__(self, name: str, disk: image.Disk, directory: Path, nics=(), memory=512, cpus=1, files=None, icount=False) -> None:
        self.name = name
        self.directory = Path(directory)
        self.console = self.directory / f"{name}.console"
        overlay = self.directory / f"{name}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk.image), str(overlay)], check=True)
        how = INSTRUCTIONS if icount else accelerator(disk)
        initrd = image.with_files(disk.initrd, files, self.directory / f"{name}.initrd") if files else disk.initrd
        self.shell = self.directory / f"{name}.shell"
        self.lab, self.qmp = self.directory / f"{name}.lab", self.directory / f"{name}.qmp"
        self.taps = [nic.tap for nic in nics]
        # -no-reboot: QEMU ends and is started again, since a warm reset under emulation takes a minute longer than a cold start.
        self.command = [
            "qemu-system-x86_64",
            "-name",
            f"l2wg-{name}",
            "-machine",
            "q35",
            *how,
            "-m",
            str(memory),
            "-smp",
            str(cpus),
            "-display",
            "none",
            "-nodefaults",
            "-no-reboot",
            "-serial",
            f"file:{self.console}",
            "-qmp",
            f"unix:{self.qmp},server=on,wait=off",
            "-kernel",
            str(disk.kernel),
            "-initrd",
            str(initrd),
            "-append",
            KERNEL + ("" if icount else LESS_WORK),
            "-drive",
            f"file={overlay},if=none,id=disk,format=qcow2,cache=unsafe",
            "-device",
            "virtio-blk-pci,drive=disk",
            "-device",
            "virtio-rng-pci",
            "-device",
            "virtio-serial-pci",
            "-chardev",
            f"socket,id=lab,path={self.lab},server=on,wait=off",
            "-device",
            "virtserialport,chardev=lab,name=lab",
            "-chardev",
            f"socket,id=shell,path={self.shell},server=on,wait=off",
            "-device",
            "virtserialport,chardev=shell,name=shell",
        ]
        for number, nic in enumerate(nics, 1):
            self.command += [
                "-device",
                f"pcie-root-port,id=port{number},chassis={number},slot={number}",
                "-netdev",
                f"tap,id=wire{number},fd={nic.tap}",
                "-device",
                f"virtio-net-pci,netdev=wire{number},mac={nic.mac},bus=port{number},romfile=",
            ]
        atexit.register(self.close)
        self._power_on()

    def _power_on(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stderr=open(self.directory / f"{self.name}.qemu", "w"), pass_fds=self.taps, preexec_fn=die_with_parent
        )
        self.agent = self._patiently(lambda: Agent(self.lab))
        self.agent.explain = self._explain
        self.off = False

    def _patiently(self, connect):
        while True:
            try:
                return connect()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > self.started + 20:
                    raise BootFailed(f"{self.name}: QEMU: {(self.directory / f'{self.name}.qemu').read_text()}") from None
                time.sleep(0.02)

    def wait(self) -> "VM":
        """Wait for the agent, which is there long before the network; after reboot(wait=False) that of the new boot."""
        if self.off:
            try:
                self.process.wait(BOOT_TIMEOUT)
            except subprocess.TimeoutExpired:
                raise BootFailed(f"{self.name} does not go down; its console ends with:\n{self._console()}") from None
            self._power_on()
        if not self.agent.wait_for_boot(BOOT_TIMEOUT):
            raise BootFailed(f"{self.name} does not boot; its console ends with:\n{self._console()}")
        return self

    def _explain(self, message: str) -> CommandFailed:
        """What waits in the kernel where commands do not end, not even when they are killed; where a dead machine stands."""
        number = self.agent.send("run", argv=["sh", "-c", BLOCKED], timeout=20)
        if self.agent.has_answered(number, 30):
            return CommandFailed(f"{message}: {base64.b64decode(self.agent.answer(number, 0)['stdout']).decode(errors='replace')}")
        # Twice: one that moves is busy, not stuck. /proc/kallsyms of another boot knows the names, since there is no KASLR.
        where = [self._monitor("human-monitor-command", **{"command-line": "info registers -a"}).get("return", "") for _ in range(2)]
        at = " then ".join(" ".join(re.findall(r"RIP=\w+", registers)) for registers in where)
        return MachineDead(f"{message}: the machine is dead, {at}; its console ends with:\n{self._console()}")

    def _console(self) -> str:
        return self.console.read_text(errors="replace")[-4000:]

    def settle(self, timeout=120.0) -> str:
        """Wait until systemd has started all it wants to start; gives "running" or "degraded"."""
        deadline = time.monotonic() + timeout
        while True:  # --wait needs D-Bus, which may not be there yet
            state = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=timeout).stdout.strip()
            if state in ("running", "degraded"):
                return state
            if time.monotonic() > deadline:
                raise BootFailed(f"{self.name} is still '{state}': {self.run(['systemctl', 'list-jobs'], check=False).stdout}")
            time.sleep(0.5)

    def run(self, argv, check=True, timeout=60.0, input="", env=None) -> Result:
        result = self.agent.run(argv, timeout, input, env)
        return result.check(f"{self.name}: ") if check else result

    def start(self, argv, timeout=60.0, input="", env=None) -> Running:
        return self.agent.start(argv, timeout, input, env)

    def sh(self, script: str, check=True, timeout=60.0) -> Result:
        return self.run(["sh", "-c", script], check=check, timeout=timeout)

    def put(self, path, data, mode=0o644) -> None:
        self.agent.put(path, data, mode)

    def get(self, path) -> bytes:
        return self.agent.get(path)

    def reboot(self, wait=True) -> None:
        """A clean reboot."""
        self.run(["systemctl", "reboot", "--no-block"])
        self.off = True
        if wait:
            self.wait()

    def _monitor(self, command: str, **arguments) -> dict:
        """What QEMU answers to a command of its Machine Protocol."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.qmp))
            lines = monitor.makefile("rw")
            lines.readline()
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                lines.write(json.dumps(request) + "\n")
                lines.flush()
                answer = json.loads(lines.readline() or "{}")
        return answer

    def pull_the_plug(self, wait=True) -> None:
        self._monitor("quit")
        self.off = True
        if wait:
            self.wait()

    def close(self) -> None:
        atexit.unregister(self.close)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def scratch(prefix="l2wg-lab-"):
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        yield Path(name)


@contextlib.contextmanager
def machine(suite: str, packages=image.ROUTER_PACKAGES, **options):
    """One machine without a network card."""
    image.need(NEEDS)
    with scratch() as directory:
        vm = VM("lab", image.disk(suite, packages), directory, **options)
        try:
            yield vm.wait()
        finally:
            vm.close()


def stop_on_sigterm() -> None:
    """So that `finally` and atexit do their work."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextlib.contextmanager
def offered(vm: VM, name: str):
    """While this lasts, `tests/lab/sh NAME` finds the machine."""
    link = image.cache() / "run" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(vm.shell)
    try:
        yield
    finally:
        link.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default=os.environ.get("SUITE", "bookworm"), choices=image.SUITES)
    parser.add_argument("--put", action="append", default=[], metavar="FILE", help="copy FILE to /root/ of the machine first")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--keep", metavar="NAME")
    parser.add_argument("argv", nargs="*")
    args = parser.parse_args()
    if not args.argv and not args.keep:
        parser.error("a command or --keep NAME")
    stop_on_sigterm()
    with machine(args.suite, cpus=2, memory=1024) as vm:
        print(f"[{time.monotonic() - vm.started:.1f} s: agent]", file=sys.stderr)
        for name in args.put:
            path = Path(name)
            vm.put(f"/root/{path.name}", path.read_bytes(), path.stat().st_mode & 0o777)
        vm.settle()
        print(f"[{time.monotonic() - vm.started:.1f} s: booted]", file=sys.stderr)
        if args.keep:
            with offered(vm, args.keep):
                print(f"tests/lab/sh {args.keep} COMMAND...", file=sys.stderr)
                vm.process.wait()
            return 0
        result = vm.run(args.argv, check=False, timeout=args.timeout)
        sys.stdout.write(result.stdout)
        sys.stderr.write(result.stderr)
        return result.rc


if __name__ == "__main__":
    import words  # it imports this one

    with words.of("vm"):
        sys.exit(main())
