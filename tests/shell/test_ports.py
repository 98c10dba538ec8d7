"""Which port is free, and which bridge has a LAN behind it: debconf's word on the cases that Python is fed, too."""

import os
import subprocess
import sys

import pytest
from conftest import TOP

sys.path.insert(0, str(TOP / "tests"))
import ports as table


def play(router, case):
    table.build(case, router.path)
    words = "".join(
        "4: enp3s0    %s %s scope %s enp3s0\n" % ("inet6" if ":" in address else "inet", address, "link" if address.startswith("fe80") else "global")
        for address in case.addresses
    )
    says = {"ip -o addr show dev enp3s0": words, "ip -o -4 addr show scope global": words, **case.says}
    for tool in ("ip", "bridge"):
        rows = "".join('    "%s") cat <<"E"\n%sE\n    ;;\n' % (argv, text) for argv, text in says.items() if argv.split()[0] == tool)
        script = router.path / "bin" / tool
        script.write_text('#!/bin/sh\ncase "%s $*" in\n%sesac\nexit 0\n' % (tool, rows))
        script.chmod(0o755)
    return router


@pytest.mark.parametrize("name", sorted(table.PORTS))
def test_a_free_port(router, name):
    case = table.PORTS[name]
    assert play(router, case).run("judge guess_bridge_ports br0").split() == (["enp3s0"] if case.right else [])


@pytest.mark.parametrize("name", sorted(table.BRIDGES))
def test_a_bridge_of_guests(router, name):
    case = table.BRIDGES[name]
    out = play(router, case).run('if judge is_for_guests "$1"; then echo guests; else echo LAN; fi', case.about)
    assert out == ("LAN\n" if case.right else "guests\n")


REAL = """
set -e
mount -t sysfs sysfs /sys
ip link add p0 type veth peer name p1
ip link set p0 up
ip link set p1 up
ask() {
    sh "$1"
    cd "$2"
    python3 -B -c 'from l2wg_hooks.pairing import ports; print("busy" if ports._kernels_use("p1") else "idle")'
}
ask "$@"
unshare -n sleep 60 &
sleep 0.5
ip link add link p1 name mv type macvlan mode bridge
ip link set mv netns $!
nsenter -n -t $! ip link set mv up
[ ! -e /sys/class/net/p1/upper_mv ]
ask "$@"
nsenter -n -t $! ip link del mv
ask "$@"
kill $!
python3 -c 'import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("p1", 0x888e)); print(flush=True); import sys; sys.stdin.read()' <"$3" &
exec 9>"$3"
while ! grep -q 888e /proc/net/packet; do sleep 0.1; done
ask "$@"
exec 9>&-
wait
ask "$@"
"""


def test_what_this_machines_kernel_shows_of_a_port(router):
    """A macvlan that is in a container, and 802.1X: the table's answers are those of a kernel."""
    probe = subprocess.run(["unshare", "-n", "sh", "-ec", "ip link add p0 type veth peer name p1; ip link add link p1 name mv type macvlan"], stderr=subprocess.PIPE)
    if probe.returncode:
        pytest.skip("no network namespace, or no macvlan: %s" % probe.stderr.decode()[-80:])
    router.run("")
    script = router.path / "config"
    text = script.read_text().replace(f"\nroot={router.path}\n", "\nroot=\n")
    script.write_text(text + "if judge carries_packets p1; then echo busy; else echo idle; fi\n")
    os.mkfifo(router.path / "pipe")
    done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", REAL, "sh", script, TOP, router.path / "pipe"], stdout=subprocess.PIPE, timeout=120)
    assert done.stdout.decode().split() == ["idle"] * 2 + ["busy"] * 2 + ["idle"] * 2 + ["busy"] * 2 + ["idle"] * 2
