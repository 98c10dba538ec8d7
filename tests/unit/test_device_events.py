"""Whether udev tells l2wg of interfaces, and what need not be told any other way then."""

import os
from pathlib import Path

import pytest
from l2wg_hooks.apply import apply
from l2wg_hooks.check import boot
from l2wg_hooks.config import device_events, postup, tunnel_file
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import units

CONF = "[Interface]\nPrivateKey = x=\nAddress = 10.15.14.2/24\n"
GOOD = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"
RULE = "lib/udev/rules.d/85-l2wg.rules"


@pytest.fixture
def udev(root):
    """A router whose udev tells; what is taken away, a test takes."""
    for name in ("run/systemd/system", "run/udev", "lib/udev/rules.d", "etc/udev/rules.d", "proc/1/ns", "proc/self/ns"):
        (root / name).mkdir(parents=True)
    (root / "run/udev/control").write_text("")
    (root / RULE).write_text('SUBSYSTEM=="net", RUN+="/usr/lib/l2wg/device"\n')
    for name in ("1", "self"):
        os.symlink("net:[1]", root / "proc" / name / "ns/net")
    return root


def test_it_tells(udev):
    assert device_events.missing() == "" and device_events.instead("wg0") == "udev tells l2wg of wg0, whoever makes it"


def container(root):
    (root / "run/udev/control").unlink()


def masked(root):
    os.symlink("/dev/null", root / "etc/udev/rules.d/85-l2wg.rules")


def off(root):
    (root / "etc/systemd/system").mkdir(parents=True)
    os.symlink(units.NOTHING, root / "etc/systemd/system/l2wg-device@.service")


def without(root):
    (root / RULE).unlink()


def sysvinit(root):
    (root / "run/systemd/system").rmdir()


def namespace(root):
    (root / "proc/self/ns/net").unlink()
    os.symlink("net:[2]", root / "proc/self/ns/net")


WAYS = {
    container: "udev is not running",
    masked: "has no rule for it",
    off: "is masked",
    without: "is not there",
    sysvinit: "systemd is not running",
    namespace: "not the network",
}


@pytest.mark.parametrize("way", WAYS)
def test_it_does_not(udev, way):
    way(udev)
    assert WAYS[way] in device_events.missing() and device_events.instead("wg0") == ""


def test_an_admins_own_rule_counts(udev):
    without(udev)
    (udev / "etc/udev/rules.d/85-l2wg.rules").write_text('KERNEL=="wg0", RUN+="/usr/lib/l2wg/device"\n')
    assert device_events.missing() == ""


def test_attach_says_that_its_lines_are_not_needed(udev, etc, wireguard, capsys):
    (wireguard / "wg0.conf").write_text(CONF)
    assert postup.attach_file("wg0") == ()
    assert "PostUp = l2wg up" in (wireguard / "wg0.conf").read_text()
    assert "not needed here, and do no harm: udev tells l2wg of wg0" in capsys.readouterr().err
    container(udev)
    assert postup.attach_file("wg0") == () and "not needed" not in capsys.readouterr().err


def test_where_there_is_nothing_to_put_them_in(udev, etc, wireguard, capsys):
    assert postup.attach_file("wg0") == ()
    assert "no such file, and none is needed: udev" in capsys.readouterr().err
    networkd = udev / "etc/systemd/network"
    networkd.mkdir(parents=True)
    (networkd / "wg0.netdev").write_text("[NetDev]\nName=wg0\nKind=wireguard\n")
    (wireguard / "wg1.conf").write_text("[Interface]\nPrivateKey = x=\n")
    (networkd / "wg1.netdev").write_text("[NetDev]\nName=wg1\nKind=wireguard\n")
    assert postup.attach_file("wg1") == ()
    said = capsys.readouterr().err
    assert "nothing is put in, since " in said and "; udev tells l2wg of wg1" in said
    container(udev)
    with pytest.raises(L2wgError):
        postup.attach_file("wg0")
    with pytest.raises(L2wgError):
        postup.attach_file("wg1")


def test_check_asks_for_no_lines(udev, etc, wireguard):
    (wireguard / "wg0.conf").write_text(CONF)
    tunnel, _ = tunnel_file.parse(GOOD, "/etc/l2wg/gretap1.conf", "gretap1")

    class Scene:
        tunnels, intent, clashes = (tunnel,), None, {}

    def found():
        return {problem.id for problem in boot._boot(Scene) if problem}

    assert found() == set()
    container(udev)
    assert found() == {"postup-missing"}


@pytest.mark.parametrize("way, told", [(None, False), (container, True), (sysvinit, True), (namespace, False)])
def test_apply_says_what_is_not_to_be_had(udev, capsys, way, told):
    tunnel, _ = tunnel_file.parse(GOOD, "/etc/l2wg/gretap1.conf", "gretap1")
    if way:
        way(udev)
    apply._tell_of_devices((tunnel,))
    apply._tell_of_devices((tunnel._replace(wire="own"),))
    assert capsys.readouterr().err.count("has to call `l2wg up wg0`") == told


@pytest.mark.parametrize("first, own, told", [(True, True, False), (True, False, True), (False, False, False)])
def test_apply_says_where_rules_do_not_log(udev, capsys, first, own, told):
    tunnel, _ = tunnel_file.parse(GOOD, "/etc/l2wg/gretap1.conf", "gretap1")
    if own:
        path = Path(apply.LOGS_ALL)
        path.parent.mkdir(parents=True)
        path.write_text("0")
    if not first:
        namespace(udev)
    apply._tell_of_log((tunnel,))
    apply._tell_of_log(())
    assert capsys.readouterr().err.count("net.netfilter.nf_log_all_netns=1") == told
