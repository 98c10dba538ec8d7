"""Names from the command line: what is written where, and by whose link nothing is. tests/deb has it with another user's."""

import os
import stat

import pytest
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import outlet

TEXT = "text\n"


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """Make a link to `target` at `path` that is neither root's nor the caller's."""

    def link(path, target):
        os.symlink(str(target), str(path))
        if os.geteuid():
            # Nobody but root can give it away: then it is us who are another one.
            monkeypatch.setattr(os, "geteuid", lambda: 54321)
        else:
            os.chown(str(path), 65534, 65534, follow_symlinks=False)

    return link


def refused(path, *words):
    with pytest.raises(L2wgError) as caught:
        outlet.write(str(path), TEXT)
    (problem,) = caught.value.problems
    assert problem.path == str(path) and problem.hint and all(word in problem.message for word in words), problem
    return problem


def set_user_id(path, mode):
    """chmod(2) with set-user-ID, where a sandbox such as Nix' lets us."""
    try:
        path.chmod(0o4000 | mode)
    except PermissionError:
        path.chmod(mode)


def test_a_file_is_made_and_replaced(tmp_path, monkeypatch):
    path = tmp_path / "new"
    outlet.write(str(path), TEXT)
    assert path.read_text() == TEXT and stat.S_IMODE(path.stat().st_mode) == 0o644
    set_user_id(path, 0o600)
    outlet.write(str(path), "\udcff")
    assert path.read_bytes() == b"\xff" and stat.S_IMODE(path.stat().st_mode) == 0o600, "its mode, but for set-user-ID"
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    for name in ("here", "./folder/../there", "folder/./below", "//" + str(tmp_path) + "/slashes"):
        outlet.write(name, TEXT)
    assert sorted(os.listdir(".")) == ["folder", "here", "new", "slashes", "there"] and os.listdir("folder") == ["below"]


def test_by_the_callers_own_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to("folder")
    (tmp_path / "to-file").symlink_to(tmp_path / "to-folder" / "file")
    outlet.write(str(tmp_path / "to-file"), TEXT)
    assert (tmp_path / "folder" / "file").read_text() == TEXT and (tmp_path / "to-file").is_symlink()


def test_not_by_somebody_elses(theirs, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    theirs(tmp_path / "link", victim)
    theirs(tmp_path / "folder", tmp_path)
    theirs(tmp_path / "new", tmp_path / "made")
    before = sorted(os.listdir(str(tmp_path)))
    for name in ("link", "folder/victim", "new", "folder/none", "folder/../x"):
        assert "namei -l" in refused(tmp_path / name, "symbolic link", "is not followed", "nothing was written").hint
    assert victim.read_text() == "precious" and sorted(os.listdir(str(tmp_path))) == before


def test_not_by_the_callers_own_link_that_has_another_name_in_a_folder_for_others(tmp_path):
    """link(2) takes a link, too, where fs.protected_hardlinks is 0."""
    (tmp_path / "for-all").mkdir()
    (tmp_path / "for-all").chmod(0o1777)
    (tmp_path / "link").symlink_to("victim")
    os.link(str(tmp_path / "link"), str(tmp_path / "for-all/link"), follow_symlinks=False)
    refused(tmp_path / "for-all/link", "has another name")
    outlet.write(str(tmp_path / "link"), TEXT)


def test_a_loop_of_links(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    refused(tmp_path / "loop", "more than 40 symbolic links")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file somebody else's")
def test_somebody_elses_file_in_a_folder_for_everybody(tmp_path):
    tmp_path.chmod(0o1777)
    (tmp_path / "x").write_text("theirs")
    os.chown(str(tmp_path / "x"), 65534, 65534)
    refused(tmp_path / "x", "is a file of the user 65534 in a directory for everybody")
    assert (tmp_path / "x").read_text() == "theirs"
    # In a directory of theirs it is replaced, and ours from then on.
    (tmp_path / "home").mkdir()
    os.chown(str(tmp_path / "home"), 65534, 65534)
    os.rename(str(tmp_path / "x"), str(tmp_path / "home/x"))
    outlet.write(str(tmp_path / "home/x"), TEXT)
    assert os.stat(str(tmp_path / "home/x")).st_uid == 0


def test_another_name_of_a_file_keeps_what_it_has(tmp_path):
    (tmp_path / "x").write_text("precious")
    set_user_id(tmp_path / "x", 0o755)
    os.link(str(tmp_path / "x"), str(tmp_path / "y"))
    outlet.write(str(tmp_path / "y"), TEXT)
    assert (tmp_path / "x").read_text() == "precious" and (tmp_path / "y").read_text() == TEXT
    assert stat.S_IMODE((tmp_path / "y").stat().st_mode) == 0o644, "nothing of it comes along"


@pytest.mark.parametrize("make, what", [(os.mkfifo, "a named pipe"), (os.mkdir, "a directory")])
def test_what_cannot_be_replaced(make, what, tmp_path):
    make(str(tmp_path / "x"))
    refused(tmp_path / "x", "is %s, expected a regular file; nothing was written" % what)
    if make is os.mkdir:
        refused(str(tmp_path / "x") + "/", "a directory")
        refused(str(tmp_path / "x") + "/..", "a directory")


def test_a_device_is_written_to_and_stays(tmp_path):
    """By a node of its own: the machine's /dev/null is not to come to harm."""
    if os.geteuid():
        pytest.skip("only root can make one")
    os.mknod(str(tmp_path / "null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    before = os.stat(str(tmp_path / "null"))
    outlet.write(str(tmp_path / "null"), TEXT)
    now = os.stat(str(tmp_path / "null"))
    assert (now.st_ino, now.st_rdev) == (before.st_ino, before.st_rdev)
    # A disk would take it, too.
    os.mknod(str(tmp_path / "disk"), stat.S_IFBLK | 0o600, os.makedev(7, 250))
    refused(tmp_path / "disk", "is a device")
    assert sorted(os.listdir(str(tmp_path))) == ["disk", "null"]


@pytest.mark.parametrize("name", ["/dev/fd/%d", "/proc/self/fd/%d"])
def test_our_own_descriptors(name, tmp_path):
    """Where /dev/stdout leads, to a pipe mostly."""
    reads, writes = os.pipe()
    outlet.write(name % writes, TEXT)
    os.close(writes)
    assert os.read(reads, 100) == TEXT.encode()
    os.close(reads)
    with pytest.raises(L2wgError, match="Bad file descriptor"):
        outlet.write(name % writes, TEXT)


@pytest.mark.parametrize("name, what", [("none/x", "No such file"), ("file/x", "Not a directory"), ("file/", "Not a directory")])
def test_a_way_that_is_none(name, what, tmp_path):
    (tmp_path / "file").write_text("")
    refused(str(tmp_path) + "/" + name, what)


def test_nothing_is_left_when_the_disk_is_full(tmp_path, monkeypatch):
    import errno

    (tmp_path / "x").write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    refused(tmp_path / "x", "No space left on device")
    assert os.listdir(str(tmp_path)) == ["x"] and (tmp_path / "x").read_text() == "old"


def test_no_descriptor_stays_open(theirs, tmp_path):
    theirs(tmp_path / "link", tmp_path / "victim")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("link", "new", "none/x", "new"):
        try:
            outlet.write(str(tmp_path / name), TEXT)
        except L2wgError:
            pass
    assert len(os.listdir("/proc/self/fd")) == before
