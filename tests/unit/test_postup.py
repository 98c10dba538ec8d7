import pytest
from l2wg_hooks.check import wg_quick_hooks

HEAD = "[Interface]\nAddress = 10.15.14.2/24\nPrivateKey = x=\n"
UP, DOWN = "PostUp = l2wg up %i || :\n", "PostDown = l2wg down %i || :\n"
PEER = "[Peer]\nPublicKey = y=\n"


def judged(*lines):
    return [(problem.id, problem.line, problem.hint) for problem in wg_quick_hooks.judge(HEAD + "".join(lines) + PEER, "/etc/wireguard/wg0.conf", "wg0", ["gretap1"])]


def test_a_file_with_both_lines():
    assert judged(UP, DOWN) == []
    assert judged("PostUp = ip route add 10.0.0.0/8 dev %i\n", UP, "postdown=/usr/bin/l2wg down wg0 || true\n") == []


@pytest.mark.parametrize("lines", [(), (UP,), (DOWN,), ("# " + UP, DOWN)])
def test_postup_missing(lines):
    assert [row[0] for row in judged(*lines)] == ["postup-missing"] and judged(*lines)[0][2] == "l2wg attach wg0"


def test_a_line_in_the_wrong_section_does_not_count():
    assert [problem.id for problem in wg_quick_hooks.judge(HEAD + PEER + UP + DOWN, "x", "wg0", [])] == ["postup-missing"]


def test_postup_doubled():
    assert judged(UP, UP, DOWN) == [("postup-doubled", 0, "l2wg detach wg0; l2wg attach wg0")]


def test_a_second_call_among_other_words_is_not_detachs_to_take_out():
    """tests/shell/test_cures.py pastes what is told here."""
    more = "PostUp = l2wg up wg0; logger up\n"
    sed = "sed -i '4d;6d' /etc/wireguard/wg0.conf # line 5 also calls it, among other things"
    assert judged(UP, more, UP, DOWN) == [("postup-doubled", 0, sed)]
    assert judged(more, more, DOWN) == [("postup-doubled", 0, "take the call out of all but one of the lines 4, 5")]


def test_postup_elsewhere():
    assert judged(UP, DOWN, "PostUp = l2wg up wg1 || :\n") == [("postup-elsewhere", 6, "sed -i '6s/wg1/%i/' /etc/wireguard/wg0.conf")]
    assert [row[0] for row in judged("PostUp = l2wg up wg1 || :\n", DOWN)] == ["postup-elsewhere", "postup-missing"]


RECIPE = "PostUp = ip link add gretap1 type gretap local 192.168.178.1 remote 192.168.92.1\n"


def test_postup_by_hand():
    assert [row[:2] for row in judged(UP, DOWN, RECIPE)] == [("postup-by-hand", 6)]
    assert [row[:2] for row in judged(UP, DOWN, "PostUp = ip link set gretap1 master br0\n")] == [("postup-by-hand", 6)]
    assert [row[:2] for row in judged(UP, DOWN, RECIPE.replace("gretap1", "tap0"))] == [("postup-by-hand", 6)], "under another name"
    assert judged(UP, DOWN, "PostUp = ip link add dummy0 type dummy\n") == []


def test_postup_unsafe():
    assert [row[:2] for row in judged("PostUp = l2wg up %i\n", DOWN)] == [("postup-unsafe", 4)]


def test_a_file_that_wg_quick_rewrites():
    assert not wg_quick_hooks.is_rewritten(HEAD) and not wg_quick_hooks.is_rewritten(HEAD + "SaveConfig = false\n")
    assert wg_quick_hooks.is_rewritten(HEAD + "saveconfig=true\n")
