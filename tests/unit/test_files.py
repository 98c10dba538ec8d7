"""Files that are none: named pipes, sockets, devices, folders, links to nowhere, and what has no end. Nothing waits, and each is told of."""

import ast
import os
import pathlib
import signal
import socket
import stat
import sys

import pytest
import roots
from l2wg_hooks.apply import apply, rollback, saved_state
from l2wg_hooks.check import boot, underlay
from l2wg_hooks.config import edit, ifupdown, ifupdown_bridge, ifupdown_files, last_applied, references, store, tunnel_file
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.managers import dhcpcd, networkmanager
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.pairing import site
from l2wg_hooks.reconcile import reconcile
from l2wg_hooks.system import files, journal, lock, process

GOOD = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"


@pytest.fixture(autouse=True)
def no_waiting():
    """What waits is ended: a hang is a failure, not the end of all tests."""

    def late(*_):
        raise AssertionError("it waits")

    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def pipe(path):
    os.mkfifo(path)


def unix(path):
    # A path of a socket has 107 bytes at most.
    here = os.open(".", os.O_RDONLY)
    os.chdir(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.basename(path))
    os.fchdir(here)
    os.close(here)


def device(path):
    """A /dev/zero of its own, since the machine's is not to come to harm; only root can make one, and do harm."""
    if os.geteuid():
        os.symlink("/dev/zero", path)
    else:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(1 << 40)


def line(path):
    with open(path, "w") as file:
        file.write("a" * ((1 << 26) + 1))


def loop(path):
    os.symlink(path, path)


def nowhere(path):
    os.symlink(path + ".away", path)


ODD = {
    "pipe": (pipe, "is a named pipe, expected a regular file"),
    "socket": (unix, "is a socket, expected a regular file"),
    "device": (device, "is a device, expected a regular file"),
    "folder": (os.mkdir, "is a directory, expected a regular file"),
    "sparse": (sparse, "is larger than "),
    "line": (line, "is larger than "),
    "loop": (loop, "is a symbolic link that leads nowhere"),
    "nowhere": (nowhere, "is a symbolic link that leads nowhere"),
}


@pytest.fixture(params=ODD)
def odd(request):
    """Make one of them at a path; `said` is what it is told by, "" where it counts as not there."""
    make, said = ODD[request.param]

    def put(path):
        make(str(path))
        return said

    put.name = request.param
    return put


def test_reading(odd, tmp_path):
    path = tmp_path / "it's"
    said = odd(path)
    with pytest.raises(L2wgError) as caught:
        files.read(str(path))
    (problem,) = caught.value.problems
    assert problem.path == str(path) and problem.message.startswith(said)
    # The cure is a command for that file.
    assert "it'\"'\"'s" in problem.hint and "Traceback" not in str(caught.value)
    if odd.name == "nowhere":
        assert files.text(str(path), None) is None
    else:
        with pytest.raises(L2wgError):
            files.text(str(path), None)
    assert len(files.glance(str(path))) <= files.LARGEST


def test_what_is_right_is_read_to_the_byte(tmp_path):
    path = tmp_path / "x"
    data = b"a\r\n\xff\0b" + b"c" * (files.LARGEST - 6)
    path.write_bytes(data)
    assert files.read(str(path)).encode("utf-8", "surrogateescape") == data
    path.write_bytes(data + b"d")
    with pytest.raises(L2wgError, match="is larger than 1 MiB"):
        files.read(str(path))
    (tmp_path / "link").symlink_to(path)
    path.write_text("text")
    assert files.read(str(tmp_path / "link")) == files.text(str(path)) == files.glance(str(path)) == "text"
    assert files.text(str(tmp_path / "none")) == files.text(str(path / "below")) == files.glance(str(tmp_path / "none")) == ""


def test_a_file_of_proc_has_no_size_and_is_read():
    assert os.stat("/proc/self/status").st_size == 0
    assert "Uid:" in files.glance("/proc/self/status") and "Uid:" in files.read("/proc/self/status")


@pytest.mark.parametrize("make", [pipe, unix], ids=["pipe", "socket"])
def test_what_takes_a_files_place_in_between_is_no_trap(make, tmp_path, monkeypatch):
    """Between the look and the opening, somebody else who may write there has changed it."""
    path, calm = str(tmp_path / "x"), str(tmp_path / "calm")
    make(path)
    pathlib.Path(calm).write_text("")
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda asked, **more: real(calm if asked == path else asked, **more))
    with pytest.raises(L2wgError):
        files.read(path)
    assert files.glance(path) == ""


def test_a_device_is_not_even_opened(tmp_path, monkeypatch):
    """A watchdog begins to count, a tape to rewind."""
    device(str(tmp_path / "x"))
    opened = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *words, **more: opened.append(words))
        with pytest.raises(L2wgError):
            files.read(str(tmp_path / "x"))
    assert opened == []


def test_a_device_is_not_replaced(tmp_path):
    """Not by a link to it either."""
    device(str(tmp_path / "zero"))
    (tmp_path / "link").symlink_to("zero")
    before = os.stat(str(tmp_path / "zero"))
    for name in ("zero", "link"):
        with pytest.raises(L2wgError, match="is a device, expected a regular file"):
            files.write(str(tmp_path / name), "text")
    now = os.stat(str(tmp_path / "zero"))
    assert (now.st_ino, now.st_rdev) == (before.st_ino, before.st_rdev)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link", "zero"]


def test_a_file_that_grows_has_an_end(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("a")
    counts = []
    monkeypatch.setattr(os, "read", lambda descriptor, count: counts.append(count) or b"a" * count)
    with pytest.raises(L2wgError, match="is larger than"):
        files.read(str(path))
    assert sum(counts) == files.LARGEST + 1
    assert files.glance(str(path)) == "a" * files.LARGEST


# Whoever reads


def test_a_tunnel_beside_it_stands(odd, etc):
    (etc / "good.conf").write_text(GOOD)
    said = odd(etc / "bad.conf")
    found = store.load()
    assert [tunnel.name for tunnel in found.tunnels] == ["good"] and found.broken == ("bad",)
    (problem,) = found.problems
    assert problem.path == str(etc / "bad.conf") and problem.message.startswith(said) and problem.hint
    assert store.texts() == {"good": GOOD}


def test_a_tunnels_file_has_some_lines(etc):
    (etc / "a.conf").write_text(GOOD + "#" * (store.LARGEST - len(GOOD)))
    (etc / "b.conf").write_text(GOOD + "#" * (store.LARGEST - len(GOOD) + 1))
    found = store.load()
    assert [tunnel.name for tunnel in found.tunnels] == ["a"] and "larger than 64 KiB" in found.problems[0].message
    (etc / "b.conf").write_text("x\n" * 30000)
    found = store.load()
    assert len(found.problems) == store.MOST + 1 and " more are wrong" in found.problems[-1].message


def test_set_names_it_and_writes_nothing(odd, etc):
    if odd.name == "nowhere":
        pytest.skip("that is a file to be made")
    said, before = odd(etc / "bad.conf"), None
    before = os.lstat(str(etc / "bad.conf"))
    with pytest.raises(L2wgError) as caught:
        edit.change("bad", {"underlay": "wg0"})
    assert said in str(caught.value)
    now = os.lstat(str(etc / "bad.conf"))
    assert (now.st_ino, now.st_size, now.st_mode) == (before.st_ino, before.st_size, before.st_mode)


@pytest.mark.parametrize("way", ["source", "source-directory"])
def test_interfaces_and_all_that_it_sources(odd, way, root):
    folder = root / "etc/network/interfaces.d"
    folder.mkdir(parents=True)
    (root / "etc/network/interfaces").write_text("%s %s%s\niface br0 inet manual\n" % (way, folder, "/*" * (way == "source")))
    said = odd(folder / "odd")
    (folder / "right").write_text("iface br1 inet manual\n")
    found = ifupdown_files.read()
    assert {stanza.interface for stanza in found.stanzas} == {"br0", "br1"}
    if odd.name in ("folder", "nowhere", "loop"):
        assert found.unread == ()  # nothing to ifupdown either
    else:
        (problem,) = found.unread
        assert problem.path == str(folder / "odd") and problem.message.startswith(said)


def test_check_tells_of_them(root, wireguard, monkeypatch):
    (root / "etc/network").mkdir()
    monkeypatch.setattr(apply, "unreached", lambda intent: ())
    os.mkfifo(str(root / "etc/network/interfaces"))
    os.mkfifo(str(wireguard / "wg0.conf"))

    class Scene:
        tunnels = [tunnel_file.parse(GOOD, "x", "gretap1")[0]]
        intent = None

    found = [(problem.id, os.path.basename(problem.path)) for problem in boot._boot(Scene())]
    assert found == [("unreadable", "interfaces"), ("unreadable", "wg0.conf")]
    assert underlay._wg_quick("wg0") == ""


def test_what_else_is_read(odd, root):
    read_by_all = (
        saved_state.OPEN, last_applied.APPLIED, nftables_state.LOADED, nftables.STATIC, reconcile.WAITING, dhcpcd.CONFIG, *dhcpcd.PIDS,
        journal.CGROUP, ifupdown.MAIN, ifupdown_bridge.OURS, site.path(), networkmanager.DEVICES + "/1", str(root / "etc/odd"),
    )  # fmt: skip
    for path in read_by_all:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # The large file is written once.
        odd(path) if odd.name != "line" or path == read_by_all[0] else os.link(read_by_all[0], path)
    there = odd.name != "nowhere"
    # Not as we have left it, so it is loaded anew; or nothing was loaded.
    assert nftables_state._loaded() == (([], {}, None) if there else None)
    assert last_applied.read() == {}
    for read in (lambda: saved_state.load(saved_state.OPEN), site.load, lambda: files.text(str(root / "etc/odd"), None)):
        try:
            assert (not there and read() is not None) or read() is None
        except L2wgError as error:
            assert there and all(problem.path in read_by_all and problem.hint for problem in error.problems)
    assert dhcpcd.managed(["gretap1"]) == () and journal._unit() == "" and references.find({"eth0": "br0"}) == []
    assert networkmanager._marked("lo") is False
    reconcile.tell_what_waits(("gretap1 waits",))
    if odd.name in ("pipe", "socket", "sparse", "line", "nowhere"):
        assert files.read(reconcile.WAITING) == "gretap1 waits\n", "a file of state is made anew"


@pytest.mark.parametrize("make, says", [(pipe, ""), (unix, "No such device"), (os.mkdir, "Is a directory"), (nowhere, "symbolic"), (loop, "symbolic")])
def test_a_lock(make, says):
    for path in (lock.WORK, lock.NEXT, lock.FILES):
        make(path)
    for hold in (lock.working, lock.changing):
        try:
            with hold():
                assert not says
        except L2wgError as error:
            assert says and says in str(error) and error.problems[0].hint


def test_what_takes_the_place_of_a_file_of_ours_goes_when_it_is_put_back(tmp_path, monkeypatch):
    path = tmp_path / "x"
    os.mkfifo(str(path))
    assert rollback._found(str(path)) is None and not path.exists()
    sparse(str(path))
    with pytest.raises(L2wgError):
        rollback._found(str(path))
    rollback._reject(str(path))
    assert not path.exists() and (tmp_path / "x.rejected").stat().st_size == 1 << 40


def test_what_could_not_be_read_again_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_state, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(files, "OURS", 100)
    with pytest.raises(L2wgError, match="no more than"):
        saved_state.store(str(tmp_path / "x"), {"shown": "x" * 100})
    assert list(tmp_path.iterdir()) == []


def test_what_the_code_knows_of_this_machine_is_below_the_root(root):
    """Whatever a test does not put there is not there, so none depends on who runs it."""
    paths = [path for module, name, _ in roots.constants() for path in listed(getattr(module, name))]
    assert len(paths) > 45 and all(path.startswith(str(root)) for path in paths)
    known = {path for _, _, value in roots.constants() for path in listed(value)}
    assert {"/", "/etc", "/etc/l2wg", "/proc/sys", "/run/l2wg.lock", "/var/lib/l2wg/transaction"} <= known, "it sees them"
    assert store.load().tunnels == () and files.glance(process.IPV6) == ""


# These have words in the middle of their code that begin so, and open none of them; those have a root of their own.
WORDS = {"check/lan.py", "config/ifupdown_bridge.py", "config/ifupdown_commands.py"} | {"rehearsal/play.py", "rehearsal/stage.py"}


def test_every_path_of_this_machine_is_a_constant():
    """Else `root` would not move it."""
    package = pathlib.Path(files.__file__).parents[1]
    starts = tuple(top + "/" for top in roots.TOPS)
    found = set()
    for path in package.rglob("*.py"):
        for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.FunctionDef, ast.Lambda))):
            texts = [node for node in ast.walk(function) if isinstance(node, (ast.Str if sys.version_info < (3, 8) else ast.Constant))]
            if any(isinstance(ast.literal_eval(node), str) and ast.literal_eval(node).startswith(starts) for node in texts):
                found.add(path.relative_to(package).as_posix())
    assert found == WORDS


def listed(value):
    return value if isinstance(value, tuple) else (value,)


def test_nobody_else_opens_a_file():
    """One place knows how, so that there is no second way in. The rehearsal's own files are on a tmpfs that nobody else sees."""
    may = {"files.py": {"open", "fdopen"}, "outlet.py": {"open"}, "lock.py": {"open"}, "play.py": {"open"}, "stage.py": {"open"}, "network_namespace.py": {"open"}}
    package, seen = pathlib.Path(files.__file__).parents[1], set()
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("open", "fdopen", "read_text", "read_bytes"):
                assert name in may.get(path.name, ()), "%s:%d" % (path, node.lineno)
                seen.add(path.name)
    assert seen == set(may), "the probe sees nothing"
    assert stat.S_ISREG(os.stat(__file__).st_mode)


def test_to_write_loads_nothing_slow(root, monkeypatch):
    """An event that loads rules writes files: tempfile and all that it needs cost as much as a command."""
    for name in ("tempfile", "shutil", "random"):
        monkeypatch.setitem(sys.modules, name, None)
    path = str(root / "run/l2wg.nft")
    files.write(path, "one")
    files.write(path, "two", old="one")
    assert files.read(path) == "two"
    assert os.listdir(str(root / "run")) == ["l2wg.nft"]
