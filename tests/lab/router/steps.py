"""What the stories of this tier ask of a router."""

import re
import subprocess
import time

from hosts import BROADCAST, MULTICAST, crosses, eventually

# From the moment that WireGuard works again: 5 s on a router. Emulated on two busy cores, everything takes several times as long;
# a wire that needs a hand never comes back.
BACK = 20
# WireGuard itself: site B knows no endpoint, so after a restart there it waits until A gives up the old session, 15 s.
WIREGUARD = 90
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


class Pings:
    """Pings at 10 Hz from a host, and the longest run of them that nobody answered, in seconds."""

    def __init__(self, host, target):
        self.host, self.out = host, host.start(["ping", "-n", "-i", "0.1", target], stdout=-1, text=True)

    def end(self):
        self.out.send_signal(2)
        text = self.out.communicate(timeout=30)[0]
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)]
        sent = int(re.search(r"(\d+) packets transmitted", text).group(1))
        assert len(numbers) > 20, text[-500:]
        gaps = [after - before - 1 for before, after in zip(numbers, numbers[1:])]
        # The last few may have been under way when it ended; whoever asks waits a second after the last thing that could cost one.
        gaps.append(max(0, sent - numbers[-1] - 5))
        return max(gaps) / 10


def waited(what, seconds) -> float:
    start = time.monotonic()
    eventually(what, seconds)
    return time.monotonic() - start


def links(router) -> dict:
    out = router.sh("for i in /sys/class/net/*; do echo ${i##*/} $(cat $i/ifindex $i/mtu $i/address); done").stdout
    return {line.split()[0]: tuple(line.split()[1:]) for line in out.splitlines()}


def admins_files(router) -> dict:
    """Digest, mode and owner of all that an admin has under /etc that could concern us."""
    out = router.sh(
        "cd /etc; find network wireguard sysctl.d modules-load.d modprobe.d l2wg hosts hostname udev systemd ! -type d 2>/dev/null"
        ' | sort | while read -r f; do echo "$f $(stat -c \'%a %u %g %F\' "$f") $(readlink "$f" || sha256sum <"$f")"; done'
    ).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


def wired(reference) -> bool:
    return reference.device.ping("192.168.92.10", count=1, timeout=1) == 1


def comes_back(reference) -> None:
    eventually(reference.wireguard_works, WIREGUARD)
    eventually(lambda: wired(reference), BACK)


def all_crosses(reference) -> None:
    """Everything that the issue names, over the wire as it stands now."""
    device, host_b = reference.device, reference.host_b
    assert (device.lease() or "").startswith("192.168.92.1"), "no lease of site B"
    assert device.server == "192.168.92.10"
    assert device.arping("192.168.92.10")

    def all_answered(target, **words):
        """A router that has just started, emulated and beside others, may take its time with one of them."""
        eventually(lambda: device.ping(target, **words) == 3, 20)

    all_answered("192.168.92.10")
    all_answered("192.168.92.1")  # router B itself
    # Packets of 1500 bytes with DF.
    all_answered("192.168.92.10", size=1472, fragment=False)
    assert device.ping("192.168.92.10", size=1473, fragment=False, count=1) == 0, "DF is not set, so the line above says nothing"
    eventually(device.address6, 60)
    all_answered("fd00:92::10")
    all_answered("fd00:92::10", size=1452, fragment=False)
    for source, listener in ((device, host_b), (host_b, device)):
        assert crosses(source, listener, BROADCAST)
        assert crosses(source, listener, MULTICAST)
        assert crosses(source, listener, listener.mac), "an unknown EtherType"
        assert crosses(source, listener, listener.mac, vlan=42), "802.1Q"
        assert crosses(source, listener, listener.mac, vlan=42, size=1500), "802.1Q, full size"


def loses_no_frame(reference, routers, deb, folder, version) -> None:
    """The same package with another version number, installed on these routers, costs no frame and touches no interface."""
    other = folder / f"l2wg_{version}.deb"
    subprocess.run(["dpkg-deb", "-R", deb, folder / "tree"], check=True)
    control = folder / "tree/DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(), flags=re.M))
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", folder / "tree", other], check=True, stdout=subprocess.PIPE)
    before = [links(router) for router in routers]
    pings = Pings(reference.device, "192.168.92.10")
    time.sleep(1)
    for router in routers:
        router.put(f"/root/{other.name}", other.read_bytes())
        router.run(["apt-get", "install", "-y", "--allow-downgrades", f"/root/{other.name}"], timeout=300, env=QUIET)
        assert router.sh("dpkg-query -W -f '${Version}' l2wg").stdout == version
    time.sleep(1)
    assert pings.end() == 0
    assert [links(router) for router in routers] == before
    # A frame that is lost is seen: the same pings while the wire is cut for half a second.
    pings = Pings(reference.device, "192.168.92.10")
    time.sleep(2)
    reference.a.sh("ip link set gretap1 down; sleep 0.5; ip link set gretap1 up")
    time.sleep(1)
    assert pings.end() > 0
