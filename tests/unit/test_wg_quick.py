import os
import stat

import pytest
from l2wg_hooks.config import own_wire, postup, wg_quick
from l2wg_hooks.config.wg_quick import attach, detach
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.system import files

UP, DOWN = "PostUp = l2wg up %i || :", "PostDown = l2wg down %i || :"
REFERENCE_A = """[Interface]
PrivateKey = PrivateKeyRouterA
Address = 10.15.14.2/24

[Peer]
# SiteB (Static Route)
PublicKey = PublicKeyRouterB
AllowedIPs = 192.168.92.0/24,10.15.14.0/24
"""
TEXTS = {
    "reference": REFERENCE_A,
    "peer first": "[Peer]\nPublicKey = x\n[Interface]\nPrivateKey = y\n",
    "no newline at the end": "[Interface]\nPrivateKey = y",
    "one line": "[Interface]",
    "CRLF": REFERENCE_A.replace("\n", "\r\n"),
    "CRLF, no newline at the end": "[Interface]\r\nPrivateKey = y",
    "comments at the end": "[Interface]\nPrivateKey = y # mine\n\n# the end",
    "case": "[interface]\nprivatekey = y\npostup = iptables -A INPUT\n\n[PEER]\n",
    "spaces": "  [Interface]  \n\tPrivateKey=y\n   \n[Peer]\n",
    "by hand": "[Interface]\nPostUp = echo 1\nPostDown = echo 2\n[Peer]\n",
    "odd bytes": "[Interface]\n# caf\udce9\nPrivateKey = y\n\n\n",
    "two sections": "[Interface]\nPrivateKey = y\n[Peer]\nPublicKey = x\n[Interface]\nPostUp = echo 1\n",
}


@pytest.mark.parametrize("text", list(TEXTS.values()), ids=list(TEXTS))
def test_attach_adds_two_lines_and_detach_takes_exactly_these_out(text):
    attached = attach(text, "wg0")
    rows = [line.rstrip("\r") for line in attached.split("\n")]
    assert rows.count(UP) == rows.count(DOWN) == 1
    assert attach(attached, "wg0") == attached
    assert detach(attached, "wg0") == text
    ends = attached.count("\r\n"), attached.count("\n")
    assert ends[0] in (0, ends[1]), "line ends are mixed"


def test_where_the_lines_go():
    assert attach(REFERENCE_A, "wg0").split("\n")[:6] == [
        "[Interface]", "PrivateKey = PrivateKeyRouterA", "Address = 10.15.14.2/24", UP, DOWN, ""
    ]  # fmt: skip
    assert attach(TEXTS["by hand"], "wg0").index(UP) > attach(TEXTS["by hand"], "wg0").index("echo 2")


@pytest.mark.parametrize("line", ["PostUp = l2wg up %i", "PostUp = l2wg up wg0 || :", "postup=/usr/bin/l2wg  up %i||true", "PostUp = l2wg up wg0 # ours", UP + "\r"])
def test_lines_that_are_there_by_hand_are_ours_too(line):
    text = "[Interface]\n" + line + "\n"
    assert attach(text, "wg0").count("up") == text.count("up")
    assert "l2wg" not in detach(attach(text, "wg0"), "wg0")


@pytest.mark.parametrize(
    "line",
    ["PostUp = echo l2wg up %i || :", "PostUp = l2wg up wg1 || :", "PostDown = l2wg up %i || :", "PostUp = l2wg up %i; reboot", "# " + UP]
    + ["PostUp = xl2wg up %i", "PreUp = l2wg up %i"],
)
def test_lines_that_only_look_like_ours_stay(line):
    text = "[Interface]\n" + line + "\n"
    assert detach(text, "wg0") == text
    assert detach(attach(text, "wg0"), "wg0") == text


def test_lines_in_a_peer_section_are_not_settings_of_wg_quick():
    text = "[Interface]\n[Peer]\n" + UP + "\n"
    assert attach(text, "wg0") == "[Interface]\n" + UP + "\n" + DOWN + "\n[Peer]\n" + UP + "\n"


def test_after_save_config():
    saved = "[Interface]\nAddress = 10.15.14.2/24\nSaveConfig = true\n%s\n%s\nListenPort = 4900\nPrivateKey = y\n\n[Peer]\n" % (UP, DOWN)
    assert attach(saved, "wg0") == saved
    assert detach(saved, "wg0") == saved.replace(UP + "\n", "").replace(DOWN + "\n", "")


def test_a_file_without_interface_is_no_place_for_them():
    assert attach("[Peer]\nPublicKey = x\n", "wg0") is None
    assert attach("", "wg0") is None


def test_warnings_name_the_lines_made_by_hand():
    text = "[Interface]\nPostUp = ip link add name gretap1 type gretap\nPostUp = echo gretap10\nPostUp = l2wg up wg0\n"
    said = [str(problem) for problem in wg_quick.warnings(text, "wg0.conf", "wg0", ["gretap1"])]
    assert len(said) == 2
    assert said[0].startswith("wg0.conf:2: PostUp: handles gretap1 by hand")
    assert said[1].startswith("wg0.conf:4: postup: without `|| :`")


def test_the_file_keeps_mode_and_link(wireguard, tmp_path):
    real = tmp_path / "elsewhere" / "real"
    real.parent.mkdir()
    real.write_text(REFERENCE_A)
    real.chmod(0o600)
    (wireguard / "wg0.conf").symlink_to(real)
    postup.attach_file("wg0")
    assert (wireguard / "wg0.conf").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert real.read_text() == attach(REFERENCE_A, "wg0")
    postup.detach_file("wg0")
    assert real.read_text() == REFERENCE_A


def test_a_file_that_cannot_be_written_is_as_it_was(wireguard, monkeypatch):
    path = wireguard / "wg0.conf"
    path.write_text(REFERENCE_A)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(L2wgError) as error:
        postup.attach_file("wg0")
    assert "No space left on device" in str(error.value) and "df -h" in str(error.value)
    assert path.read_text() == REFERENCE_A
    assert os.listdir(str(wireguard)) == ["wg0.conf"]


def test_a_file_with_nothing_to_change_is_not_written(wireguard):
    path = wireguard / "wg0.conf"
    path.write_text(attach(REFERENCE_A, "wg0"))
    before = path.stat().st_ino
    postup.attach_file("wg0")
    assert path.stat().st_ino == before


@pytest.mark.parametrize("name", ["../etc/passwd", "wg0/../wg1", "", "a b", "$(reboot)"])
def test_a_name_that_is_none(wireguard, name):
    with pytest.raises(L2wgError):
        postup.attach_file(name)


def test_a_wire_of_its_own_gets_no_lines(wireguard):
    """Its file would be refused from then on. What its tunnels say counts, and only then what `l2wg init` has written."""
    path = wireguard / "l2w0.conf"
    path.write_text(own_wire.MARK + "\n" + REFERENCE_A)
    with pytest.raises(L2wgError) as error:
        postup.attach_file("l2w0")
    assert "l2wg makes l2w0 itself" in str(error.value) and "l2wg apply" in str(error.value)
    tunnel = wireguard.parent / "l2wg/gretap1.conf"
    tunnel.parent.mkdir()
    ends = "underlay = l2w0\nlocal = 198.18.0.1\nremote = 198.18.0.2\nbridge = br0\n"
    tunnel.write_text(ends)
    postup.attach_file("l2w0")
    path.write_text(REFERENCE_A)
    tunnel.write_text(ends + "wire = own\n")
    with pytest.raises(L2wgError):
        postup.attach_file("l2w0")
    assert path.read_text() == REFERENCE_A


def test_a_missing_file_says_where(wireguard):
    with pytest.raises(L2wgError) as error:
        postup.attach_file("wg7")
    assert "wg7.conf" in str(error.value)
    postup.detach_file("wg7")


def test_odd_bytes_survive_the_way_through_a_file(wireguard):
    path = wireguard / "wg0.conf"
    path.write_bytes(b"[Interface]\r\n# caf\xe9 \xff\r\nAddress = 10.0.0.1/8")
    before = path.read_bytes()
    postup.attach_file("wg0")
    assert path.read_bytes() != before
    postup.detach_file("wg0")
    assert path.read_bytes() == before
    assert files.read(str(path)) == before.decode("utf-8", "surrogateescape")


def test_of_lines_made_by_hand_only_those_that_are_run_count():
    text = "[Interface]\n# gretap1\nAddress = gretap1\nPostUp = ip link add gretap1\nPostDown = ip link delete gretap1 || :\n"
    found = list(wg_quick.warnings(text, "wg0.conf", "wg0", ["gretap1", "gretap2"]))
    assert [(problem.line, problem.key, problem.id) for problem in found] == [(4, "PostUp", "postup-by-hand"), (5, "PostDown", "postup-by-hand")]
    ours = "[Interface]\nPostUp = l2wg up gretap1 || :\n"
    assert list(wg_quick.warnings(ours, "gretap1.conf", "gretap1", ["gretap1"])) == [], "a line of ours names no tunnel, but WireGuard"
