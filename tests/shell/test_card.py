"""A card, or an invitation, as other programs see it: cksum(1), a shell, a QR code and what reads it."""

import subprocess
import sys

import pytest
from conftest import TOP

sys.path.insert(0, str(TOP))
from l2wg_hooks.config import card, invitation

subprocess.run([TOP / "tests/need", "qrencode", "zbar-tools"], check=True)

KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
USUAL = card.Card("router-site-b", KEY, "vpn.example.org:51820", ("198.18.7.9",), "192.168.92.0/24")
LARGE = card.Card("x" * 32, KEY, "a" * 60 + ".example.org:51820", ("198.18.7.9", "fd00::1"), "fd00:92::/64", "vxlan", 2**24 - 1, 9000)
INVITATION = invitation.Invitation("branch-b", "198.18.7.10", "net shape=star hub=router-site-b isolated=yes", USUAL, "bridge=lan", "vlans=10")
LINES = [card.encode(USUAL), card.encode(LARGE), invitation.encode(INVITATION)]


def said(*argv, **options):
    return subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, **options).stdout.decode()


@pytest.mark.parametrize("line", LINES)
def test_a_picture_of_it_is_read(line, tmp_path):
    said("qrencode", "-o", tmp_path / "card.png", line)
    assert said("zbarimg", "-q", "--raw", tmp_path / "card.png").strip() == line


def test_a_usual_card_fits_a_terminal():
    """80 columns and 40 rows, with the margin that l2wg asks for. Small letters would need more."""

    def size(text):
        rows = said("qrencode", "-t", "UTF8", "-m", "2", text).splitlines()
        return max(map(len, rows)), len(rows)

    columns, rows = size(card.encode(USUAL))
    assert columns <= 80 and rows <= 40
    print("%d columns, %d rows" % (columns, rows))
    assert size(card.encode(USUAL).lower()) > (columns, rows), "the alphanumeric mode is not used"


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_no_shell_changes_it(shell, line):
    assert said(shell, "-c", f"printf %s {line}") == line


@pytest.mark.parametrize("text", ["", "a", "L2WG1:", *LINES, "x" * 70000])
def test_the_checksum_is_cksums(text):
    assert int(said("cksum", input=text.encode()).split()[0]) == card.checksum(text)
