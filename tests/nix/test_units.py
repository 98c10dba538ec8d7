"""The units: what systemd says of them, and when they run."""

import re
import shutil
import subprocess

import pytest
from conftest import DEVICE_BR0, DEVICE_WG0, SITE_A, SITE_B, TREE, but, tunnel

ONE = "services.l2wg.tunnels.gretap1"
NETWORKD = {
    "networking.wg-quick": None,
    "networking.useNetworkd": True,
    "networking.useDHCP": False,
    "systemd.network.netdevs.30-wg": {
        "netdevConfig": {"Name": "wg0", "Kind": "wireguard"},
        "wireguardConfig": {"PrivateKeyFile": "/k"},
        "wireguardPeers": [{"PublicKey": "x", "AllowedIPs": ["192.168.92.0/24"]}],
    },
}
SCRIPTED = {"networking.wg-quick": None, "networking.wireguard.interfaces.wg0": {"privateKeyFile": "/k", "peers": [{"publicKey": "x", "allowedIPs": ["0.0.0.0/0"]}]}}
EXTERNAL = {"networking.wg-quick": None, "networking.bridges": None, "networking.interfaces": None, ONE + ".external": ["underlay", "bridge"]}
FLUSH = {"networking.nftables": {"enable": True, "flushRuleset": True}}


def words(unit, key):
    """What a unit file says of a key that can be written more than once."""
    return [word for value in re.findall("(?m)^%s=(.*)$" % key, unit) for word in value.split()]


@pytest.fixture
def unit(evaluate):
    """The text of gretap1's unit, and what wants it."""

    def run(config):
        got = evaluate(config)
        return got["units"]["l2wg-gretap1"], got["wantedBy"]["l2wg-gretap1"]

    return run


@pytest.mark.parametrize("changes", [{}, FLUSH, NETWORKD, SCRIPTED], ids=["wg-quick", "nftables", "networkd", "networking.wireguard"])
@pytest.mark.parametrize("site", [SITE_A, SITE_B], ids=["a", "b"])
def test_systemd_takes_them(evaluate, tmp_path, package, site, changes):
    """`systemd-analyze verify` is silent; it looks for the commands, too: those of the package that was built."""
    if changes is NETWORKD and site is SITE_B:
        pytest.skip("AllowedIPs there are site A's")
    name = "l2wg-gretap1.service"
    (tmp_path / name).write_text(evaluate(but(site, changes), package=package)["units"]["l2wg-gretap1"])
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "./" + name], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    mine = [line for line in done.stdout.decode().splitlines() if "l2wg" in line]
    assert mine == [] and done.returncode == 0, done.stdout.decode()


def test_networkd_tells_wireguard_anew(evaluate):
    assert evaluate(but(SITE_A, NETWORKD))["restarted"] == ["l2wg-manager@systemd-networkd.service"]
    assert evaluate(SITE_A)["restarted"] == []


def test_it_is_locked_in(unit, tmp_path):
    """systemd's own judgement, in tenths: 100 is a service without any restriction, 22 is what is left here."""
    (tmp_path / "l2wg-gretap1.service").write_text(unit(SITE_A)[0])
    assert shutil.which("systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=22", "--no-pager", "./l2wg-gretap1.service"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()


def test_what_it_may_do(unit):
    text = unit(SITE_A)[0]
    assert words(text, "CapabilityBoundingSet") == ["CAP_NET_ADMIN", "CAP_NET_RAW"]
    assert words(text, "RestrictAddressFamilies") == ["AF_NETLINK", "AF_UNIX", "AF_PACKET"]
    assert words(text, "ProtectSystem") == ["strict"]
    # Of so little weight that systemd-analyze would not notice.
    assert all(words(text, key) == ["true"] for key in ("LockPersonality", "MemoryDenyWriteExecute", "ProtectHostname"))
    # nftables.STATIC, and all that system/lock.py and netfilter/nftables_state.py name.
    assert (words(text, "StateDirectory"), words(text, "ReadWritePaths")) == (["l2wg"], ["/run"])


OWN = {ONE + ".wire": "own", ONE + ".underlay": "l2w0"}


def test_a_wire_of_its_own_is_made_by_the_unit_and_seen_by_all(evaluate, tmp_path, package):
    """No mount, right or namespace is kept from it: what it makes is a mount that others have to see."""
    got = evaluate(but(SITE_A, OWN), package=package)
    assert got["failed"] == [] and "wire           = own\n" in got["files"]["l2wg/gretap1.conf"]
    text = got["units"]["l2wg-gretap1"]
    assert not set(re.findall("(?m)^(Protect\\w+|Private\\w+|Restrict\\w+|CapabilityBoundingSet|SystemCallFilter|ReadWritePaths)=", text))
    assert words(text, "ExecStart")[1:] == ["up", "l2w0", "--strict"]
    assert not [word for word in words(text, "BindsTo") if "l2w0" in word]
    assert "multi-user.target" in got["wantedBy"]["l2wg-gretap1"]
    assert "wireguard" in got["modules"]
    (tmp_path / "l2wg-gretap1.service").write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "./l2wg-gretap1.service"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert [line for line in done.stdout.decode().splitlines() if "l2wg" in line] == []


@pytest.mark.parametrize("changes", [{ONE + ".wire": "own"}, dict(OWN, **{ONE + ".external": ["underlay"]})], ids=["NixOS", "external"])
def test_nobody_else_makes_a_wire_of_its_own(evaluate, changes):
    (message,) = evaluate(but(SITE_A, changes))["failed"]
    assert message.startswith("services.l2wg.tunnels.gretap1.wire: ") and 'with wire = "own" l2wg makes it' in message


def test_what_it_writes_is_where_it_may():
    from l2wg_hooks.netfilter import nftables, nftables_state
    from l2wg_hooks.system import lock

    assert nftables.STATIC.startswith("/var/lib/l2wg/")
    assert {path.rpartition("/")[0] for path in (nftables.FILE, nftables_state.LOADED, lock.WORK, lock.NEXT)} == {"/run"}


def test_what_it_runs(unit):
    text = unit(SITE_A)[0]
    for key, command in (("ExecStart", "up wg0 --strict"), ("ExecReload", "up wg0 --strict"), ("ExecStop", "down gretap1")):
        assert re.findall("(?m)^%s=(.*)$" % key, text) == ["/opt/l2wg/bin/l2wg " + command]


def test_these_words_are_an_events():
    """What the units run is the hot path of cli.py, for which `--strict` is said to be known."""
    from l2wg_hooks import cli
    from l2wg_hooks.reconcile import events

    assert {"up", "down"} <= set(cli.EVENTS) and {words[0] for words in events.EVENTS} == set(cli.EVENTS)


@pytest.mark.parametrize("site, changes, bound, partners, wanted", [
    (SITE_A, {}, [DEVICE_WG0], ["wg-quick-wg0.service", "br0-netdev.service"], [DEVICE_WG0, "br0-netdev.service", "multi-user.target"]),
    (SITE_B, {}, [DEVICE_WG0], ["wg-quick-wg0.service", "br0-netdev.service"], [DEVICE_WG0, "br0-netdev.service", "multi-user.target"]),
    (SITE_A, SCRIPTED, [DEVICE_WG0], ["wireguard-wg0.service", "br0-netdev.service"], [DEVICE_WG0, "br0-netdev.service", "multi-user.target"]),
    (SITE_A, NETWORKD, [DEVICE_WG0, DEVICE_BR0], [], [DEVICE_WG0, DEVICE_BR0, "multi-user.target"]),
    (SITE_B, EXTERNAL, [DEVICE_WG0, DEVICE_BR0], [], [DEVICE_WG0, DEVICE_BR0, "multi-user.target"]),
    (SITE_A, {"networking.wg-quick.interfaces.wg0.autostart": False}, [DEVICE_WG0], ["wg-quick-wg0.service", "br0-netdev.service"],
     [DEVICE_WG0, "br0-netdev.service"]),
    (SITE_A, FLUSH, [DEVICE_WG0], ["wg-quick-wg0.service", "br0-netdev.service", "nftables.service"],
     [DEVICE_WG0, "br0-netdev.service", "nftables.service", "multi-user.target"]),
    (SITE_A, {"networking.nftables": {"enable": True}}, [DEVICE_WG0], ["wg-quick-wg0.service", "br0-netdev.service"],
     [DEVICE_WG0, "br0-netdev.service", "multi-user.target"]),
    (SITE_A, {"boot.isContainer": True}, [], ["wg-quick-wg0.service", "br0-netdev.service"], ["br0-netdev.service", "multi-user.target"]),
], ids=["a", "b", "networking.wireguard", "networkd", "external", "no autostart", "nftables that flush", "nftables that do not", "container"])  # fmt: skip
def test_when_it_runs(unit, site, changes, bound, partners, wanted):
    text, wants = unit(but(site, changes))
    assert words(text, "BindsTo") == bound
    assert words(text, "PartOf") == partners
    assert sorted(wants) == sorted(wanted)
    after = words(text, "After")
    assert [name for name in bound + partners if name not in after] == []
    assert words(text, "ReloadPropagatedFrom") == [name for name in partners if not name.startswith("w")]


def test_the_watch_runs_where_there_is_a_tunnel(evaluate, tmp_path, package):
    got = evaluate(SITE_A, package=package)["watch"]
    assert got["timer"]["wantedBy"] == ["timers.target"] and got["timer"]["timerConfig"]["OnUnitActiveSec"] == 30
    text = got["service"]
    assert words(text, "ExecStart") == [package + "/lib/l2wg/look"] and words(text, "StateDirectory") == ["l2wg"]
    (tmp_path / "l2wg-watch.service").write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "./l2wg-watch.service"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert [line for line in done.stdout.decode().splitlines() if "l2wg" in line] == []
    assert evaluate(but(SITE_A, {ONE + ".enable": False}))["watch"] == {}


def test_debians_unit_may_do_as_much(evaluate):
    """As sets of lines, but for the paths, where a tunnel has a wire of its own: Debian's does not know whether one has."""
    debian = {line for line in (TREE / "debian/l2wg.l2wg-watch.service").read_text().splitlines() if "=" in line and not line.startswith("#")}
    text = evaluate(but(SITE_A, OWN))["watch"]["service"].replace("=true\n", "=yes\n")
    assert not re.search("^(Protect|Private|ReadWrite)", text, re.M), "mounts of its own"
    for key in ("CapabilityBoundingSet", "RestrictAddressFamilies", "SystemCallFilter", "StateDirectory", "LogLevelMax", "RestrictNamespaces", "TimeoutStartSec"):
        (line,) = [line for line in debian if line.startswith(key + "=")]
        assert line.partition("=")[2].split() == words(text, key), key


def test_names_are_escaped_as_systemd_does(unit):
    text = unit(tunnel(but(SITE_B, {"networking.bridges": None, "networking.interfaces": None}), {"bridge": "br-lan", "external": ["bridge"]}))[0]
    done = subprocess.run(["systemd-escape", "--path", "--suffix=device", "/sys/subsystem/net/devices/br-lan"], stdout=subprocess.PIPE, check=True)
    assert words(text, "BindsTo") == [DEVICE_WG0, done.stdout.decode().strip()]


TWO = but(SITE_A, {"services.l2wg.tunnels.gretap2": dict(SITE_A["services"]["l2wg"]["tunnels"]["gretap1"], key=2)})
SECOND = "services.l2wg.tunnels.gretap2"


def lines(text):
    return set(text.splitlines())


def test_a_switch_touches_what_has_changed_and_no_more(evaluate):
    """switch-to-configuration compares unit files; X-ReloadIfChanged has it reload those that differ, not restart."""
    before = evaluate(TWO)["units"]
    third = {"underlay": "wg0", "local": "10.0.0.1", "remote": "192.168.92.1", "bridge": "br0"}
    for changes in ({SECOND + ".mtu": 1400}, {SECOND + ".enable": False}, {"services.l2wg.tunnels.gretap3": third}, {"services.l2wg.openFirewall": True}):
        assert evaluate(but(TWO, changes))["units"]["l2wg-gretap1"] == before["l2wg-gretap1"], changes
    after = evaluate(but(TWO, {SECOND + ".mtu": 1400}))["units"]["l2wg-gretap2"]
    assert {line.partition("=")[0] for line in lines(after) ^ lines(before["l2wg-gretap2"])} == {"X-Restart-Triggers"}
    assert "l2wg-gretap2" not in evaluate(but(TWO, {SECOND + ".enable": False}))["units"]
    assert all("X-ReloadIfChanged=true" in lines(text) for text in before.values())
