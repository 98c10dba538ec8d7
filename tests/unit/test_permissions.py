"""Files that root follows and others may write, in a scratch folder."""

import os

import pytest
from l2wg_hooks.check import permissions
from l2wg_hooks.model import Tunnel

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")


@pytest.fixture
def box(root):
    for name in ("etc/l2wg", "etc/wireguard", "var/lib/l2wg"):
        (root / name).mkdir(mode=0o755, parents=True)
    for name in ("etc/l2wg/gretap1.conf", "etc/wireguard/wg0.conf"):
        (root / name).write_text("")
        (root / name).chmod(0o644)
    return root


def told(box):
    return [(os.path.relpath(problem.path, str(box)), problem.message.partition(" may")[0]) for problem in permissions.problems([ONE])]


def test_as_it_is_installed_nothing_is_told(box):
    assert told(box) == []


@pytest.mark.parametrize("name", ["etc/l2wg", "etc/l2wg/gretap1.conf", "etc/wireguard", "etc/wireguard/wg0.conf", "var/lib/l2wg"])
@pytest.mark.parametrize("bit, who", [(0o002, "everybody"), (0o020, "the group %d" % os.getegid())])
def test_others_may_write(box, name, bit, who):
    (box / name).chmod((box / name).stat().st_mode | bit)
    assert told(box) == [(name, who)]


def test_owned_by_somebody_else(box, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.getuid() == 0:
        os.chown(str(box / "etc/l2wg/gretap1.conf"), 4321, 0)
        assert told(box) == [("etc/l2wg/gretap1.conf", "the user 4321")]
    else:
        assert ("etc/l2wg/gretap1.conf", "the user %d" % os.getuid()) in told(box)


def test_a_link_is_followed_to_the_directory_that_has_the_file(box):
    """As on NixOS, whose store is the group's, but sticky; and as into somebody's home."""
    (box / "store").mkdir()
    os.rename(str(box / "etc/l2wg/gretap1.conf"), str(box / "store/one"))
    (box / "etc/l2wg/gretap1.conf").symlink_to(box / "store/one")
    (box / "store").chmod(0o1775)
    assert told(box) == []
    (box / "store").chmod(0o775)
    assert told(box) == [("store", "the group %d" % os.getegid())]


def test_a_sticky_directory_whose_names_count_is_told_of(box):
    (box / "etc/l2wg").chmod(0o1777)
    assert told(box) == [("etc/l2wg", "everybody")]


def test_what_is_not_there_is_nothing(box):
    (box / "etc/wireguard/wg0.conf").unlink()
    os.rmdir(str(box / "var/lib/l2wg"))
    assert told(box) == []
