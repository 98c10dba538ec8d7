"""Files that root follows and others may write, in a scratch folder."""

import os

import pytest
from l2wg_hooks.check import permissions
from l2wg_hooks.config import last_applied, store, wg_quick
from l2wg_hooks.model import Tunnel

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")


@pytest.fixture
def box(tmp_path, monkeypatch):
    for module, name in ((store, "l2wg"), (wg_quick, "wireguard"), (last_applied, "state")):
        (tmp_path / name).mkdir(mode=0o755)
        monkeypatch.setattr(module, "DIRECTORY", str(tmp_path / name))
    for name in ("l2wg/gretap1.conf", "wireguard/wg0.conf"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644)
    return tmp_path


def told(box):
    return [(os.path.relpath(problem.path, str(box)), problem.message.partition(" may")[0]) for problem in permissions.problems([ONE])]


def test_as_it_is_installed_nothing_is_told(box):
    assert told(box) == []


@pytest.mark.parametrize("name", ["l2wg", "l2wg/gretap1.conf", "wireguard", "wireguard/wg0.conf", "state"])
@pytest.mark.parametrize("bit, who", [(0o002, "everybody"), (0o020, "the group %d" % os.getegid())])
def test_others_may_write(box, name, bit, who):
    (box / name).chmod((box / name).stat().st_mode | bit)
    assert told(box) == [(name, who)]


def test_owned_by_somebody_else(box, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if os.getuid() == 0:
        os.chown(str(box / "l2wg/gretap1.conf"), 4321, 0)
        assert told(box) == [("l2wg/gretap1.conf", "the user 4321")]
    else:
        assert ("l2wg/gretap1.conf", "the user %d" % os.getuid()) in told(box)


def test_a_link_is_followed_to_the_directory_that_has_the_file(box):
    """As on NixOS, whose store is the group's, but sticky; and as into somebody's home."""
    (box / "store").mkdir()
    os.rename(str(box / "l2wg/gretap1.conf"), str(box / "store/one"))
    (box / "l2wg/gretap1.conf").symlink_to(box / "store/one")
    (box / "store").chmod(0o1775)
    assert told(box) == []
    (box / "store").chmod(0o775)
    assert told(box) == [("store", "the group %d" % os.getegid())]


def test_a_sticky_directory_whose_names_count_is_told_of(box):
    (box / "l2wg").chmod(0o1777)
    assert told(box) == [("l2wg", "everybody")]


def test_what_is_not_there_is_nothing(box):
    (box / "wireguard/wg0.conf").unlink()
    os.rmdir(str(box / "state"))
    assert told(box) == []
