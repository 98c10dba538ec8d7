"""Whose network it is where ifupdown has none, and what that manager is told to make a bridge."""

import os

import pytest
from l2wg_hooks.apply import preview
from l2wg_hooks.config import ifupdown_bridge, tunnel_file
from l2wg_hooks.managers import bridge_makers
from l2wg_hooks.managers.bridge_makers import Wanted
from l2wg_hooks.system import process, units

GOOD = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\nbridge-ports = enp3s0\n"


@pytest.fixture
def router(root, monkeypatch, tmp_path):
    """One with ifup, whose networking.service is enabled."""
    (tmp_path / "ifup").write_text("")
    monkeypatch.setattr(process, "ENVIRONMENT", {"PATH": str(tmp_path)})
    for name in ("etc/systemd/system/multi-user.target.wants", "etc/netplan", "etc/systemd/network", "run/systemd/netif/links"):
        (root / name).mkdir(parents=True)
    os.symlink("/lib/systemd/system/networking.service", root / "etc/systemd/system/multi-user.target.wants/networking.service")
    return root


def no_ifup(root, tmp_path):
    (tmp_path / "ifup").unlink()


def disabled(root, tmp_path):
    (root / "etc/systemd/system/multi-user.target.wants/networking.service").unlink()


def masked(root, tmp_path):
    os.symlink(units.NOTHING, root / "etc/systemd/system/networking.service")


@pytest.mark.parametrize("way", [no_ifup, disabled, masked])
def test_whose_it_is(router, tmp_path, way):
    assert bridge_makers.other() is None, "ifupdown's, whatever else is there"
    way(router, tmp_path)
    assert bridge_makers.other()[0] == "systemd-networkd"
    (router / "run/NetworkManager/devices").mkdir(parents=True)
    assert bridge_makers.other()[0] == "NetworkManager"
    (router / "etc/systemd/network/wan.network").write_text("")
    assert bridge_makers.other()[0] == "systemd-networkd"
    (router / "etc/netplan/wan.yaml").write_text("")
    assert bridge_makers.other()[0] == "netplan"


def test_nobodys(router, tmp_path):
    no_ifup(router, tmp_path)
    os.rmdir(router / "run/systemd/netif/links")
    assert bridge_makers.other() is None


def test_in_the_words_of_each():
    """tests/lab/neighbours/test_devices.py pastes them."""
    bare, full = Wanted("br0", ("enp3s0", "enp4s0")), Wanted("br0", ("enp3s0",), "192.168.92.1/24")
    said = bridge_makers.by_networkd(bare)
    assert "Name=enp3s0 enp4s0\\n" in said and "LinkLocalAddressing=no" in said and "\n" not in said
    assert "Address=192.168.92.1/24" in bridge_makers.by_networkd(full)
    said = bridge_makers.by_networkmanager(full)
    assert "ipv4.method manual ipv4.addresses 192.168.92.1/24" in said and "ipv4.method disabled" not in said
    assert bridge_makers.by_networkmanager(bare).count("master br0") == 2
    assert "interfaces: [enp3s0, enp4s0]" in bridge_makers.by_netplan(bare)
    assert "addresses: [192.168.92.1/24]" in bridge_makers.by_netplan(full)


def test_no_hint_is_cut():
    ports = tuple("enp%ds0" % number for number in range(3, 8))
    for words in (bridge_makers.by_networkd, bridge_makers.by_networkmanager, bridge_makers.by_netplan):
        assert len(words(Wanted("br0", ports, "192.168.92.1/24"))) < 900


def test_it_is_refused_with_these_words(monkeypatch):
    tunnel, _ = tunnel_file.parse(GOOD, "/etc/l2wg/gretap1.conf", "gretap1")
    bridges = {"br0": ifupdown_bridge.Bridge("br0", ("enp3s0",), (), "", False)}
    monkeypatch.setattr(bridge_makers, "other", lambda: ("netplan", lambda bridge: f"make {bridge.name}"))
    (problem,) = preview._made_by_others((tunnel,), bridges, "")
    assert "this router's network is netplan's" in problem.message and (problem.line, problem.key) == (5, "bridge-ports")
    assert problem.hint == "make br0 && { l2wg set gretap1 bridge-ports= bridge-address=; l2wg apply; }"
    # What stands already, and where there is none to be made.
    assert list(preview._made_by_others((tunnel,), bridges, "iface br0 inet manual\n    bridge_ports enp3s0\n")) == []
    assert list(preview._made_by_others((tunnel,), {}, "")) == []
    monkeypatch.setattr(bridge_makers, "other", lambda: None)
    assert list(preview._made_by_others((tunnel,), bridges, "")) == []
