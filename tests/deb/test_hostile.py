"""Hostile answers, files and interfaces: nothing is executed, nothing is configured, and the package is installed all the same."""

import re

import pytest
from conftest import ANSWERS_A

GRETAP1 = "etc/l2wg/gretap1.conf"
OWNED = "tmp/owned"
TOUCH = ("$(touch /tmp/owned)", "`touch /tmp/owned`", ";touch /tmp/owned", "|touch /tmp/owned", "&&touch /tmp/owned", "'$(touch /tmp/owned)'", '"; touch /tmp/owned; "')
# Each in an otherwise right set of answers: nothing that an unattended installation could take.
HOSTILE = {
    "shell": {"underlay": TOUCH[0], "remote": TOUCH[1], "bridge": "br0" + TOUCH[2]},
    "ports": {"bridge_ports": "enp3s0 " + TOUCH[0] + " * ../* [a-z]* (((( a{1,32767}{1,32767}"},
    "address": {"bridge_address": "192.168.92.1/24" + TOUCH[4]},
    "quotes": {"local": TOUCH[5], "remote": TOUCH[6]},
    "expansions": {"underlay": "wg%i", "bridge": "${IFACE}", "remote": "%s%n\\n\\0\\c"},
    "templates": {"bridge": "{{ 7*7 }}", "remote": "{% include '/etc/shadow' %}", "bridge_ports": "{#"},
    "unicode": {"remote": "192.168.92.1\u2028\u202e", "bridge": "br\u00e4\U0001f480", "underlay": "wg\u0660"},
    "path": {"tunnel": "../../tmp/owned", "underlay": "../../tmp/owned"},
    "option": {"tunnel": "--help", "bridge_ports": "-force", "remote": "-1"},
    "large": {"bridge": "b" * 65536, "remote": "1" * 65536, "bridge_ports": "e " * 32768},
    "larger than an argument": {"remote": "a" * 140000, "tunnel": "t" * 140000},
    "protocol": {"remote": "x\\nSET l2wg/remote 192.0.2.66", "bridge": "GO\\rSTOP"},
}


def installed(box):
    assert box.sh("dpkg-query -W -f '${Status}' l2wg") == "install ok installed"
    assert not box.has(OWNED)


def test_hostile_answers_configure_nothing_and_are_named(site_a):
    """All of them in one box, one installation each; after it the same by dpkg-reconfigure, which asks nobody either."""
    wg0, started = site_a.get("etc/wireguard/wg0.conf"), None
    for name, answers in HOSTILE.items():
        site_a.debconf(**{"tunnel": "gretap1", "underlay": "wg0", "bridge": "br0", "bridge_address": "", **ANSWERS_A, **answers})
        for command in (("dpkg", "-i", "/tmp/l2wg.deb"), ("dpkg-reconfigure", "l2wg")):
            done = site_a.run(*command)
            installed(site_a)
            # Either by the value's form, or since there is no such port: in both cases with the cure.
            assert re.search(r"hint: .*dpkg-reconfigure l2wg", done.stderr) and "Traceback" not in done.stderr, (name, done.stderr[-2000:])
            # What is wrong is said by its key, or the question's name, on lines that a terminal takes.
            assert "nothing is configured" in done.stderr, (name, done.stderr[-2000:])
            assert all(len(line) < 3000 for line in done.stderr.split("\n")), name
            assert "\x1b" not in done.stderr
        assert not [path for path in site_a.changes() if path.startswith(("etc/l2wg/", "etc/network/interfaces.d/"))], name
        assert site_a.get("etc/wireguard/wg0.conf") == wg0
        changes = site_a.changes()
        changes.pop("run/l2wg.files", None)  # the lock of who has looked further than whether there is such a port
        started = started or changes
        assert changes == started, name
        site_a.run("dpkg", "-P", "l2wg")


def test_hostile_files_cost_neither_the_installation_nor_an_event(site_a):
    """Files that lie there before: their names and texts, those of their neighbours, and devices that the kernel has."""
    box = site_a
    box.put("etc/l2wg/$(touch /tmp/owned).conf", "underlay = wg0\n")
    box.put("etc/l2wg/a\nSET l2wg/remote 192.0.2.66.conf", "x")
    box.put(GRETAP1, "underlay = wg0\nlocal = $(touch /tmp/owned)\nremote = `touch /tmp/owned`\nbridge = br0; touch /tmp/owned\n")
    box.put("etc/wireguard/$(touch /tmp/owned).conf", "[Interface]\nPostUp = x\n")
    box.put("etc/wireguard/wg0.conf", "[Interface]\nAddress = $(touch /tmp/owned), *\n[Peer]\nAllowedIPs = `touch /tmp/owned`, ../*, 192.168.92.0/24\n", 0o600)
    box.put("etc/network/interfaces.d/odd", "iface $(touch /tmp/owned) inet static\n address `touch /tmp/owned`\nsource $(touch /tmp/owned)\nsource-directory .\n")
    box.sh("""ip link add 'a"b$(x)' type veth peer name "a'b"; ip link add 'a#b' type veth peer name 'a\\b;'""")
    done = box.run("dpkg", "-i", "/tmp/l2wg.deb")
    installed(box)
    assert "Traceback" not in done.stderr
    assert box.shown("remote") != "192.0.2.66"
    for command in (("l2wg", "check"), ("l2wg", "plan"), ("l2wg", "apply"), ("l2wg", "up", "wg0", "--strict"), ("l2wg", "down", "$(touch /tmp/owned)")):
        done = box.run(*command, check=False)
        assert "Traceback" not in done.stderr and done.returncode in (0, 1), (command, done.stderr)
        assert not box.has(OWNED)
        if command[1] != "down":
            assert "/etc/l2wg/gretap1.conf:2: local: " in done.stderr and "hint: " in done.stderr
    assert "/etc/l2wg/gretap1.conf:3: remote: " in box.run("l2wg", "plan", check=False).stderr


@pytest.mark.parametrize("name", ["a#b", 'a"b$(x)', "a'b", "a\\b;", "-x", "a\x01b"])
def test_a_device_of_any_name_is_meant_as_a_whole(site_a, name):
    """With ip(8) and the kernel as they are: `ip -batch` would take `a#b` for `a`, which somebody else may be."""
    box = site_a
    box.run("ip", "link", "add", "name", "a", "type", "veth", "peer", "name", "a-far")
    box.run("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "far")
    box.run("dpkg", "-i", "/tmp/l2wg.deb")
    script = """
import sys
from l2wg_hooks.apply import saved_state
from l2wg_hooks.model import Step
from l2wg_hooks.observe import link_table
from l2wg_hooks.plan import restore
from l2wg_hooks.reconcile import executor
name = sys.argv[1]
before = saved_state.picture([name])[0]
assert {name, "a"} <= set(before.links), sorted(before.links)
steps = [Step(("ip", "link", "set", "dev", one) + words, "a test", one) for one in (name, "lo") for words in (("up",), ("mtu", "1400"))]
steps.append(Step(("ip", "address", "add", "192.0.2.7/24", "dev", name), "a test", name))
print(executor.apply(steps))
now = saved_state.picture([name])[0]
assert now.links[name].up and now.links[name].mtu == 1400 and now.links[name].addresses == ("192.0.2.7/24",), now.links[name]
assert now.links["a"] == before.links["a"], "another device was meant"
print(executor.apply(restore.steps(before, now, [name])))
after = saved_state.picture([name])[0]
assert after.links[name] == before.links[name] and not after.links[name].addresses
print(executor.apply([Step(("ip", "link", "delete", "dev", name), "a test", name)]))
assert name not in link_table.read() and "a" in link_table.read()
"""
    done = box.run("/usr/bin/python3", "-c", script, name, check=False)
    assert done.returncode == 0 and done.stdout == "()\n()\n()\n", done.stdout + done.stderr
