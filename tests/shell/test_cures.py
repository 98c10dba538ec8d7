"""Cures that `l2wg check` prints for sed(1), pasted into a shell as they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from l2wg_hooks.apply import apply, preview
from l2wg_hooks.check import wg_quick_hooks
from l2wg_hooks.config import ifupdown, ifupdown_files

HEAD, PEER = "[Interface]\nAddress = 10.15.14.2/24\nPrivateKey = x=\n", "[Peer]\nPublicKey = y=\n"
UP, DOWN = "PostUp = l2wg up %i || :\n", "PostDown = l2wg down %i || :\n"
BY_HAND = "PostUp = ip link add gretap1 type gretap local 192.168.178.1 remote 192.168.92.1\n"
FIREWALL = "PostUp = iptables -A INPUT -j ACCEPT; l2wg up %i || :\n"


@pytest.mark.parametrize(
    "lines, after",
    [
        ((UP, FIREWALL, DOWN), (FIREWALL, DOWN)),
        ((FIREWALL, UP, UP, DOWN), (FIREWALL, DOWN)),
        ((UP, BY_HAND, DOWN), (UP, "#" + BY_HAND, DOWN)),
        ((UP, "PostUp = l2wg up wg1 || :\n", DOWN), (UP, UP, DOWN)),
        (("PostUp = l2wg up %i\n", DOWN), ("PostUp = l2wg up %i || : \n", DOWN)),
        (("PostUp = l2wg up %i; # ours\n", DOWN), ("PostUp = l2wg up %i || : # ours\n", DOWN)),
        (("PostUp = l2wg up %i # a # b \n", DOWN), ("PostUp = l2wg up %i || : # a # b \n", DOWN)),
    ],
)
def test_what_is_wrong_with_a_line_is_mended_in_that_line(lines, after, tmp_path):
    path = tmp_path / "wg0.conf"
    path.write_text(HEAD + "".join(lines) + PEER)
    (problem,) = wg_quick_hooks.judge(path.read_text(), str(path), "wg0", ["gretap1"])
    subprocess.run(["sh", "-c", problem.hint], check=True)
    assert path.read_text() == HEAD + "".join(after) + PEER


@pytest.mark.parametrize("text", ["auto lo\niface lo inet loopback", "auto lo\niface lo inet loopback\n", ""])
def test_interfaces_d_is_sourced_whatever_the_last_line(text, tmp_path, monkeypatch):
    main, ours = tmp_path / "interfaces", "/etc/network/interfaces.d/l2wg"
    main.write_text(text)
    monkeypatch.setattr(ifupdown, "MAIN", str(main))
    assert not ifupdown_files.read().reaches(ours)
    (problem,) = apply.unreached(preview.Intent((), {}, {"br0": None}, (), (), None, (), False))
    subprocess.run(["sh", "-c", problem.hint], check=True)
    assert ifupdown_files.read().reaches(ours) and main.read_text().startswith(text)
    assert [stanza.interface for stanza in ifupdown_files.read().stanzas if stanza.path == str(main)] == ["lo"] * bool(text)
