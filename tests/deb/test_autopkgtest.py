"""debian/tests as autopkgtest runs them: in the source tree, against the installed package."""

import shutil
import subprocess

import pytest
from box import TOP


@pytest.fixture
def testbed(box):
    box.run("dpkg", "-i", "/tmp/l2wg.deb")
    (box.files / "tmp/tree").mkdir()
    (box.files / "tmp/autopkgtest").mkdir()
    subprocess.run([TOP / "tests/deb/copy", TOP, box.files / "tmp/tree"], check=True)
    # What is tested is what is installed.
    shutil.rmtree(box.files / "tmp/tree/l2wg_hooks")
    return box


@pytest.mark.parametrize(
    "name, code, words",
    [
        # The build has run them a moment before.
        pytest.param("unit", 0, "/usr/lib/python3/dist-packages/l2wg_hooks/__init__.py", marks=pytest.mark.long),
        ("debconf", 0, "debconf: all as it should be"),
        # The kernel of the machine around the box has neither.
        ("hooks", 77, "this kernel has no wireguard"),
        ("router", 77, "this kernel has no wireguard"),
    ],
)
def test_autopkgtest(testbed, name, code, words):
    script = f"cd /tmp/tree && AUTOPKGTEST_TMP=/tmp/autopkgtest exec debian/tests/{name}"
    done = testbed.run("sh", "-c", script, check=False)
    assert (done.returncode, words in done.stdout) == (code, True), done.stdout + done.stderr


@pytest.mark.long
def test_autopkgtest_where_the_kernel_has_all(suite, deb):
    """Both in one machine, one after the other."""
    install = "DEBIAN_FRONTEND=noninteractive dpkg -i l2wg_*.deb"
    command = f"cd /root && {install} && sh ./router && wg-quick down wg9 && dpkg -P l2wg && {install} && sh ./hooks"
    done = subprocess.run(
        [
            "/usr/bin/python3",
            "-B",
            TOP / "tests/lab/vm.py",
            "--suite",
            suite,
            "--put",
            deb,
            "--put",
            TOP / "debian/tests/hooks",
            "--put",
            TOP / "debian/tests/router",
            "--",
            "sh",
            "-c",
            command,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0 and "router: all as it should be\n" in done.stdout, done.stdout
    assert "hooks: all as it should be" in done.stdout, done.stdout
