"""docs/security.md names tests that exist, and what it says of the code that needs no process to look at."""

import os
import pathlib
import re
import stat

import pytest
from conftest import TREE
from l2wg_hooks import cli
from l2wg_hooks.system import files, process

PAGE = (TREE / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", PAGE)))


def test_there_are_named_tests():
    assert len(NAMED) > 20
    # One that is cut by the end of a line, or misspelt, is named no less.
    assert PAGE.count(".py::") == len(re.findall(r"tests/[\w/]+\.py::test_\w+", PAGE))


@pytest.mark.parametrize("path, name", NAMED)
def test_each_named_test_exists(path, name):
    assert re.search(r"^def %s\(" % name, (TREE / path).read_text(), re.M)


def test_python_is_isolated_from_its_caller():
    source = TREE / "l2wg_hooks/launcher/l2wg"
    # Beside an installed package (autopkgtest) there is what has become of it.
    command = source if source.exists() else pathlib.Path("/usr/bin/l2wg")
    assert command.read_text().startswith(("#!/usr/bin/python3 -IB\n", "#!/usr/bin/python3 -IBS\n"))


def test_commands_get_nothing_of_the_callers_environment(monkeypatch):
    given = []

    def fake(argv, data, environment, patience):
        given.append(environment)
        raise FileNotFoundError

    monkeypatch.setattr(process.child, "run", fake)
    monkeypatch.setenv("LD_PRELOAD", "/tmp/evil.so")
    assert process.output("ip") == ""
    (environment,) = given
    assert set(environment) == {"PATH", "LC_ALL"} and environment["LC_ALL"] == "C"
    # NixOS' package puts its own there.
    system = "/usr/sbin:/usr/bin:/sbin:/bin".split(":")
    assert all(folder in system or folder.startswith("/nix/store/") for folder in environment["PATH"].split(":")), environment


def test_the_callers_umask_counts_for_nothing(tmp_path, capsys):
    old = os.umask(0)
    try:
        cli.main([])
        os.makedirs(str(tmp_path / "made"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o755


def test_a_file_has_its_mode_before_it_has_its_text(tmp_path, monkeypatch):
    """Somebody who opened it in between would read on."""
    path = tmp_path / "wg0.conf"
    path.write_text("old")
    path.chmod(0o600)
    seen = []
    real = os.fchmod
    monkeypatch.setattr(os, "fchmod", lambda number, mode: (seen.append((mode, os.fstat(number).st_size, stat.S_IMODE(os.fstat(number).st_mode))), real(number, mode)))
    files.write(str(path), "PrivateKey", old="old")
    # Made for nobody else, empty when it gets the mode.
    assert seen == [(0o600, 0, 0o600)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["wg0.conf"]


@pytest.mark.parametrize("command", ["plan", "apply", "confirm", "rollback", "check", "set gretap1 mtu=1400", "attach wg0", "detach --all"])
def test_every_command_is_for_root(command, monkeypatch, capsys, no_command):
    monkeypatch.setattr(cli, "_is_root", lambda: False)
    assert cli.main(command.split()) == 3
    assert "is for root\n  hint: sudo l2wg " + command in capsys.readouterr().err
