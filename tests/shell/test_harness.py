"""What the tests' own tools say where something is not there: a line and a cure, and no traceback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def run(*argv, **environment):
    done = subprocess.run(
        [str(word) for word in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict({name: value for name, value in os.environ.items() if name not in ("CI", "L2WG_TRACEBACK")}, **environment),
    )
    return done.returncode, done.stdout, done.stderr


def lab(code, **environment):
    """A program of the lab that comes across something."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import hosts, image, subprocess, vm, words\nwith words.of('demo'):\n    " + code
    return run("/usr/bin/python3", "-B", "-c", program, TESTS / "lab", **environment)


@pytest.mark.parametrize("code, fact, cure", [
    ("hosts.Host('x', '02:00:00:00:00:01')", "the command ip is not installed", "packages.debian.org/file:ip"),
    ("open('/dev/net/tun.')", "No such file or directory: '/dev/net/tun.'", "df -h"),
    ("raise FileNotFoundError(2, 'No such file', '/dev/net/tun')", "there is no /dev/net/tun", "modprobe tun"),
    ("raise vm.BootFailed('router-a does not boot')", "router-a does not boot", "df -h"),
    ("raise PermissionError(1, 'Operation not permitted')", "not allowed: ", "--privileged"),
    ("subprocess.run(['/bin/sh', '-c', 'exit 3'], check=True)", "/bin/sh -c exit 3 has failed (exit status 3)", "says above"),
    ("hosts.eventually(lambda: None, 0)", "not within 0 s", "L2WG_TRACEBACK=1"),
])  # fmt: skip
def test_the_machines_errors_are_told(code, fact, cure):
    rc, _, said = lab(code, PATH="/nonexistent")
    first, hint = said.splitlines()
    assert rc == 1 and first.startswith("demo: ") and fact in first, said
    assert hint.startswith("  hint: ") and cure in hint
    assert "Traceback" in lab(code, PATH="/nonexistent", L2WG_TRACEBACK="1")[2]


def test_a_mistake_of_ours_is_no_news_for_the_user():
    rc, _, said = lab("{}['key']", PATH="/usr/bin:/bin")
    assert rc == 1 and "Traceback" in said and "KeyError" in said


def test_a_command_that_no_package_brings_is_named(tmp_path):
    (tmp_path / "test_x.py").write_text("import subprocess\nsubprocess.run(['sh', '-c', 'true'])\nhost.run(['no-such-command', '-x'])\nvm.run(['in-the-guest'])\n")
    rc, out, said = run(TESTS / "commands", tmp_path)
    assert rc == 1 and out.endswith(": sh\n")
    assert said.startswith("commands: no-such-command is not found: %s/test_x.py:3\n  hint: " % tmp_path) and "in-the-guest" not in said
    (tmp_path / "test_x.py").write_text("import subprocess\nsubprocess.run(['sh', '-c', 'true'])\n")
    assert run(TESTS / "commands", tmp_path)[0] == 0


@pytest.mark.parametrize("ci, status", [({}, 3), ({"CI": "1"}, 1)])
def test_pypi_is_not_waited_for(tmp_path, ci, status):
    """In a network namespace where there is no way out."""
    rc, _, said = run("unshare", "-n", TESTS / "pypi", tmp_path / "venv", "/usr/bin/python3", "vermin==1.6.0", PIP_CONFIG_FILE="/dev/null", **ci)
    first, hint = said.strip().splitlines()
    assert rc == status and first.startswith("l2wg: no vermin==1.6.0 from PyPI, which Debian does not have: ")
    assert "https://pypi.org" in hint and not (tmp_path / "venv").exists()


def test_a_package_that_there_is_not():
    rc, out, said = run(TESTS / "need", "no-such-package-of-debian")
    assert rc == 1 and "  hint: " in said and "no-such-package-of-debian" in said.splitlines()[-1]


def test_what_failed_is_the_last_that_a_run_says(tmp_path):
    """A CI may keep no more than the end of what was printed, and the tier that ends last is seldom the one that failed."""
    (tmp_path / "tests").mkdir()
    lane = shutil.copy(TESTS / "lane", tmp_path / "tests")
    assert run(lane, "netns", "sh", "-c", "echo 3 passed; echo 'FAILED tests/a.py::test_b - assert 1 == 2'; echo 1 failed; exit 1") == (
        1, "netns: 3 passed\nnetns: FAILED tests/a.py::test_b - assert 1 == 2\nnetns: 1 failed\n", "",
    )  # fmt: skip
    assert run(lane, "dsc", "sh", "-c", "seq 20; exit 7")[0] == 7
    assert run(lane, "matrix", "echo", "5 passed") == (0, "matrix: 5 passed\n", "")
    assert run(lane, "--failed")[1].splitlines() == [*(f"dsc failed: {number}" for number in range(15, 21)), "netns failed: FAILED tests/a.py::test_b - assert 1 == 2"]
