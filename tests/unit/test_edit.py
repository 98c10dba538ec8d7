import os
import stat

import pytest
from l2wg_hooks import cli
from l2wg_hooks.config import edit, store
from l2wg_hooks.errors import L2wgError

RIGHT = {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0"}


def test_a_new_file(etc):
    edit.change("gretap1", RIGHT)
    (tunnel,) = store.load().tunnels
    assert (tunnel.name, tunnel.remote) == ("gretap1", "192.168.92.1")
    assert stat.S_IMODE((etc / "gretap1.conf").stat().st_mode) == 0o644


def test_an_edit_keeps_comments_order_mode_and_link(etc):
    (etc / "real").write_text("# mine\nbridge = br0 # here\nremote=192.168.92.1\nlocal=192.168.178.1\nunderlay=wg0\n")
    (etc / "real").chmod(0o640)
    (etc / "gretap1.conf").symlink_to(etc / "real")
    edit.change("gretap1", {"bridge": "br1", "local": "192.168.178.1", "mtu": "1500"})
    assert (etc / "real").read_text() == "# mine\nbridge = br1 # here\nremote=192.168.92.1\nlocal=192.168.178.1\nunderlay=wg0\n"
    assert stat.S_IMODE((etc / "real").stat().st_mode) == 0o640
    assert (etc / "gretap1.conf").is_symlink()


def test_the_same_values_touch_nothing(etc):
    (etc / "gretap1.conf").write_text("underlay=wg0\nlocal=192.168.178.1\nremote=192.168.92.1\nbridge=br0\nbridge-ports = enp3s0,  enp4s0\n")
    before = (etc / "gretap1.conf").stat()
    edit.change("gretap1", dict(RIGHT, **{"bridge-ports": "enp3s0 enp4s0", "bridge-address": "", "key": ""}))
    after = (etc / "gretap1.conf").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"remote": "nowhere"}, "gretap1.conf:4: remote: expected an IP address, not 'nowhere'"),
        ({"colour": "blue"}, "no such key: 'colour'"),
        ({"bridge": "br0\nmtu = 9"}, "one line"),
        ({"bridge": "br0 # hidden"}, "one line"),
        ({"local": ""}, "local: is empty"),
    ],
)
def test_what_would_be_wrong_is_not_written(etc, changes, complaint):
    edit.change("gretap1", RIGHT)
    before = (etc / "gretap1.conf").read_bytes()
    with pytest.raises(L2wgError) as error:
        edit.change("gretap1", changes)
    assert complaint in str(error.value)
    assert (etc / "gretap1.conf").read_bytes() == before
    assert os.listdir(str(etc)) == ["gretap1.conf"]


def test_what_would_contradict_another_file_is_not_written(etc):
    edit.change("gretap1", RIGHT)
    with pytest.raises(L2wgError) as error:
        edit.change("gretap2", RIGHT)
    assert "gretap1 has the same ends" in str(error.value)
    assert not (etc / "gretap2.conf").exists()
    edit.change("gretap2", dict(RIGHT, key="7"))


def test_a_broken_file_can_be_mended(etc):
    (etc / "gretap1.conf").write_text("underlay=wg0\nlocal=192.168.178.1\nremote=oops\nbridge=br0\n")
    edit.change("gretap1", {"remote": "192.168.92.1"})
    assert store.load().problems == ()


def test_from_the_command_line(etc, capsys):
    assert cli.main(["set", "gretap1"] + ["%s=%s" % item for item in RIGHT.items()]) == 0
    assert cli.main(["set", "gretap1", "mtu"]) == 1
    assert "is not KEY=VALUE" in capsys.readouterr().err
    assert cli.main(["set", "gretap0", "mtu=1400"]) == 1


def test_files_that_are_none_of_ours_are_not_read(etc):
    for name in ("README", ".hidden.conf", "gretap1.conf.bak", "gretap1.conf~"):
        (etc / name).write_text("nonsense")
    assert store.load() == ((), (), (), None)
