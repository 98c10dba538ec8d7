"""Hosts as network namespaces of this machine, each on the end of one wire (a tap) that leads into a lab machine."""

import atexit
import contextlib
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from vm import CommandFailed, Result, die_with_parent

NEEDS = ["iproute2", "procps", "iputils-ping", "dnsmasq-base", "busybox-static", "tcpdump", "wireguard-tools"]
HERE = Path(__file__).resolve().parent
LIBC = ctypes.CDLL(None, use_errno=True)
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA = 0x0003, 263, 8
LOCAL_EXPERIMENTAL = 0x88B5  # an EtherType that is nobody's
BROADCAST = "ff:ff:ff:ff:ff:ff"
MULTICAST = "01:00:5e:00:00:fb"  # mDNS


def eventually(what, timeout: float, every=0.2):
    """Ask `what` until it gives something true (given back), or fail with its last answer."""
    deadline = time.monotonic() + timeout
    while True:
        last = what()
        if last:
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {getattr(what, '__name__', what)} gives {last!r}")
        time.sleep(every)


class Host:
    """One namespace with the one interface eth0."""

    def __init__(self, name: str, mac: str, addresses=()) -> None:
        self.name, self.mac = name, mac
        self.namespace = f"l2wg-{os.getpid()}-{name}"
        self.address = None  # the leased one
        self.processes = []
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        atexit.register(self.close)
        self.run(["ip", "link", "set", "lo", "up"])
        # A duplicate address is impossible here, and looking for one costs two seconds a time.
        self.run(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.router_solicitation_interval=1"])
        self.tap = self.wire("eth0", mac)
        for address in addresses:
            self.run(["ip", "address", "add", address, "dev", "eth0"])

    def wire(self, device: str, mac=None) -> int:
        """A new tap: its file descriptor is what QEMU gets."""
        tap = self.inside(lambda: open_tap(device))
        if mac:
            self.run(["ip", "link", "set", device, "address", mac])
        self.run(["ip", "link", "set", device, "up"])
        return tap

    def inside(self, function):
        """Call `function` in a thread that has entered the namespace; what sockets it opens stay there."""
        answer = []

        def work():
            try:
                with open(f"/run/netns/{self.namespace}") as namespace:
                    if LIBC.setns(namespace.fileno(), 0x40000000):  # CLONE_NEWNET
                        raise OSError(ctypes.get_errno(), "setns")
                answer.append((function(), None))
            except BaseException as error:  # handed to the caller
                answer.append((None, error))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        value, error = answer[0]
        if error:
            raise error
        return value

    def run(self, argv, check=True, timeout=60.0) -> Result:
        argv = [str(word) for word in argv]
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        result = Result(tuple(argv), done.returncode, done.stdout, done.stderr)
        return result.check(f"{self.name}: ") if check else result

    def start(self, argv, **options) -> subprocess.Popen:
        process = subprocess.Popen(["ip", "netns", "exec", self.namespace, *argv], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **options)
        self.processes.append(process)
        return process

    # What a host does

    def ping(self, target: str, count=3, size=56, fragment=True, timeout=2.0, interval=0.2) -> int:
        """How many answers come back. `fragment=False` sets DF: a size of 1472 makes an IPv4 packet of 1500."""
        words = [] if fragment else ["-M", "do"]
        result = self.run(["ping", "-n", "-q", "-c", count, "-i", interval, "-W", timeout, "-s", size, *words, target], check=False, timeout=60 + count * 3)
        found = re.search(r"(\d+) received", result.stdout)
        return int(found.group(1)) if found else 0

    def arping(self, target: str) -> bool:
        return self.run(["busybox", "arping", "-q", "-f", "-c", "5", "-w", "5", "-I", "eth0", target], check=False).rc == 0

    def lease(self, patience=8):
        """A lease from whoever answers on the wire: its address, or None. The address of an older lease is given up first."""
        self.run(["ip", "-4", "address", "flush", "dev", "eth0"])
        self.address = None
        result = self.run(["busybox", "udhcpc", "-f", "-q", "-n", "-t", str(patience), "-T", "1", "-i", "eth0", "-s", str(HERE / "udhcpc")], check=False, timeout=90)
        found = re.search(r"^lease (\S+) from (\S+)", result.stdout, re.M)
        if found:
            self.address, self.server = found.groups()
        return self.address

    def address6(self):
        """The address that router advertisements gave, or None."""
        found = re.search(r"inet6 (fd\S+)/", self.run(["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]).stdout)
        return found.group(1) if found else None

    def ear(self) -> "Ear":
        return Ear(self)

    def send(self, frame: bytes) -> None:
        def work():
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as port:
                port.bind(("eth0", 0))
                port.send(frame)

        self.inside(work)

    def close(self) -> None:
        atexit.unregister(self.close)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        with contextlib.suppress(OSError, AttributeError):
            os.close(self.tap)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, stderr=subprocess.DEVNULL)


class Ear:
    """A raw socket on a host's eth0 that looks for a token among what comes in."""

    def __init__(self, host: Host) -> None:
        def work():
            port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            port.bind(("eth0", ETH_P_ALL))
            port.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            return port

        self.port = host.inside(work)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.port.close()

    def heard(self, token: bytes, timeout: float):
        """The (VLAN or None, frame) that holds the token, or None. The kernel takes the tag out of a frame and tells it aside."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.port.settimeout(left)
            try:
                frame, aside, _, sender = self.port.recvmsg(65536, 128)
            except socket.timeout:
                return None
            if sender[2] != socket.PACKET_OUTGOING and token in frame:
                vlan = None
                for level, kind, data in aside:
                    if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                        status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
                        vlan = tci & 0xFFF if status & 0x10 else None  # TP_STATUS_VLAN_VALID
                return vlan, frame


def open_tap(device: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def frame(source: str, target: str, payload: bytes, vlan=None, kind=LOCAL_EXPERIMENTAL) -> bytes:
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return (mac_bytes(target) + mac_bytes(source) + tag + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def crosses(source: Host, listener: Host, target: str, vlan=None, size=100, timeout=5.0) -> bool:
    """Whether a frame of an unknown kind arrives as it was sent: sent thrice, since a wire may lose one."""
    token = os.urandom(16)
    sent = frame(source.mac, target, token.ljust(size, b"\xa5"), vlan)
    with listener.ear() as ear:
        for _ in range(3):
            source.send(sent)
            got = ear.heard(token, timeout / 3)
            if got:
                seen, received = got
                return seen == vlan and received[-size:] == sent[-size:]
    return False


def provider(host: Host, leases: dict, names: dict, address="203.0.113.1") -> None:
    """What the routers' WAN ports are plugged into: a switch with a DHCP and DNS server. `leases`: MAC -> address."""
    options = [f"--dhcp-host={mac},{leased}" for mac, leased in leases.items()]
    options += [f"--address=/{name}/{given}" for name, given in names.items()]
    dnsmasq(host, "wan0", f"{address.rpartition('.')[0]}.200,static", options)


def dnsmasq(host: Host, device: str, dhcp_range: str, options=()) -> None:
    process = host.start(
        [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
            "--no-resolv",
            "--no-hosts",
            "--dhcp-authoritative",
            "--no-ping",
            "--bind-interfaces",
            f"--interface={device}",
            "--except-interface=lo",
            f"--dhcp-range={dhcp_range},1h",
            f"--dhcp-leasefile=/run/l2wg-{os.getpid()}-{host.name}.leases",
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.3)
    if process.poll() is not None:
        raise CommandFailed(f"{host.name}: dnsmasq: {process.stderr.read()}")


def main() -> None:
    """One host, for a moment: shows that this machine has and allows what all of them need."""
    host = Host("rehearsal", "02:00:00:00:00:01", ["192.0.2.1/24", "2001:db8::1/64"])
    try:
        if host.ping("192.0.2.1", count=1) != 1:
            raise AssertionError("a host of the lab does not reach itself")
        print(f"hosts: {host.namespace} was here")
    finally:
        host.close()


if __name__ == "__main__":
    import words  # it needs this one

    with words.of("hosts"):
        main()
