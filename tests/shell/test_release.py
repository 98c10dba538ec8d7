"""tools/release: what it refuses, before it runs or makes anything."""

import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}


@pytest.fixture
def tree(tmp_path):
    """What a release looks at, committed, and a Makefile that says when it was asked for something."""
    for name in ("tools/release", "l2wg_hooks/__init__.py", "debian/changelog", "NEWS.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((TOP / name).read_bytes())
    (tmp_path / "tools/release").chmod(0o755)
    (tmp_path / "Makefile").write_text("test deb dsc:\n\t@echo asked for $@; mkdir -p out; echo $@ >out/l2wg_$@\n")
    (tmp_path / ".gitignore").write_text("out/\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(tree, *words):
    return subprocess.run(["git", *words], cwd=tree, env=dict(os.environ, **WHO), check=True, capture_output=True, text=True).stdout


def commit(tree):
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "x")


def release(tree, version):
    done = subprocess.run(["tools/release", version], cwd=tree, env=dict(os.environ, **WHO), capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def replaced(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize("name, change, version, said", [
    ("NEWS.md", replaced("", ""), "0.2.0", "l2wg_hooks/__init__.py says 0.1.0\n  hint: write 0.2.0 there"),
    ("debian/changelog", replaced("0.1.0", "0.0.9"), "0.1.0", "debian/changelog begins with 0.0.9\n  hint: add an entry: dch -v 0.1.0-1"),
    ("debian/changelog", replaced("unstable", "UNRELEASED"), "0.1.0", "debian/changelog says UNRELEASED\n  hint: dch -r"),
    ("NEWS.md", replaced("## 0.1.0", "## 0.1.00"), "0.1.0", "NEWS.md says nothing of 0.1.0\n  hint: add: ## 0.1.0"),
])  # fmt: skip
def test_what_does_not_agree_is_no_release(tree, name, change, version, said):
    change(tree / name)
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "--allow-empty", "-m", "x")
    assert release(tree, version) == (1, "", "tools/release: %s\n" % said)
    assert git(tree, "tag") == ""


def test_what_is_not_committed_is_in_no_release(tree):
    (tree / "more").write_text("x")
    assert release(tree, "0.1.0") == (1, "", "tools/release: there are changes that are not committed\n  hint: git status\n")


def test_a_release_once(tree):
    code, out, err = release(tree, "0.1.0")
    assert code == 0, err
    assert [line for line in out.splitlines() if line.startswith("asked")] == ["asked for test", "asked for deb", "asked for dsc"]
    assert git(tree, "tag") == "v0.1.0\n" and subprocess.run(["sha256sum", "--status", "-c", "SHA256SUMS"], cwd=tree / "out").returncode == 0
    assert release(tree, "0.1.0")[2].startswith("tools/release: v0.1.0 is there already\n")
