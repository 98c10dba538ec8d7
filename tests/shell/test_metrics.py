"""Debian's promtool on what `l2wg metrics` prints: tests/golden/status, which the unit tests compare to the letter."""

import subprocess

import pytest
from conftest import TOP

GOLDEN = sorted((TOP / "tests/golden/status").glob("*/out/metrics"))


@pytest.fixture(scope="module")
def promtool():
    return subprocess.run([TOP / "tests/promtool"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def check(promtool, text):
    done = subprocess.run([promtool, "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parts[-3])
def test_prometheus_has_nothing_to_say(promtool, path):
    assert check(promtool, path.read_text()) == (0, "")


@pytest.mark.parametrize(("old", "new", "word"), [
    ("_bytes_total", "_kilobytes_total", "base unit"),
    ("# HELP l2wg_tunnel_up", "# HULP l2wg_tunnel_up", "help text"),
    ("_frames_total", "_frames", "_total"),
    ('tunnel="gretap1"', 'tunnel="gret"ap1"', "error"),
])  # fmt: skip
def test_it_would_have(promtool, old, new, word):
    """Else the test above could not fail."""
    text = GOLDEN[0].read_text()
    assert old in text
    code, said = check(promtool, text.replace(old, new))
    assert code != 0 and word in said.lower()
