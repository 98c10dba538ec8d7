"""Echo requests and their answers, the sizes that a path is measured by, and the judgement."""

import struct

import pytest
from l2wg_hooks.probes import icmp_echo, path_mtu
from l2wg_hooks.probes.path_mtu import Path
from test_tunnel_packets import IN, IN6, ONE, OUT, OUT6, ip


@pytest.mark.parametrize("size", [100, 101, 1420])
def test_a_request_has_the_size_that_is_asked_for(size):
    text = icmp_echo.request(4, 0x1234, 7, size)
    assert len(text) == size - 20 and text[:2] == bytes((8, 0)) and struct.unpack_from("!HH", text, 4) == (0x1234, 7)
    words = struct.unpack("!%dH" % ((len(text) + 1) // 2), text + b"\0" * (len(text) % 2))
    assert sum(words) % 0xFFFF == 0, "its checksum is right"
    assert len(icmp_echo.request(6, 1, 1, size)) == size - 40 and icmp_echo.request(6, 1, 1, size)[0] == 128


def test_only_the_answer_to_ones_own_request_counts():
    answer = bytes((0, 0, 0, 0)) + struct.pack("!HH", 5, 9) + bytes(20)
    assert icmp_echo.reply(ip(*IN, 1, answer), 4, 5) == 9
    assert icmp_echo.reply(ip(*IN, 1, answer), 4, 6) is None
    assert icmp_echo.reply(ip(*IN, 1, b"\x08" + answer[1:]), 4, 5) is None, "a request"
    assert icmp_echo.reply(b"\x81" + answer[1:], 6, 5) == 9
    for length in range(28):
        assert icmp_echo.reply(ip(*IN, 1, answer)[:length], 4, 5) is None


def unreachable(source=40000, target=9, kind=(3, 3)):
    return ip(*IN, 1, bytes(kind) + bytes(6) + ip(*OUT, 17, struct.pack("!HHHH", source, target, 8, 0)))


def test_ports_whose_datagrams_have_come_there():
    assert icmp_echo.told([unreachable(40000), unreachable(40001)], 4) == {40000, 40001}
    assert icmp_echo.told([unreachable(target=53), unreachable(kind=(3, 4)), b"", ip(*IN, 6, bytes(20))], 4) == set()
    assert icmp_echo.told([bytes((1, 4)) + bytes(6) + ip(*OUT6, 17, struct.pack("!HHHH", 40002, 9, 8, 0))], 6) == {40002}
    assert IN6 != OUT6


def test_three_rounds_find_the_size_to_the_byte():
    for largest in range(576, 1420):
        low, high, rounds = 576, 1420, 0
        while path_mtu.sizes(low, high):
            found = path_mtu.sizes(low, high)
            assert len(found) <= path_mtu.AT_ONCE and all(low < size < high for size in found)
            passed = [size for size in found if size <= largest]
            low = max(passed + [low])
            high = min([size for size in found if size > largest] + [high])
            rounds += 1
        assert (low, rounds <= path_mtu.ROUNDS) == (largest, True)


@pytest.mark.parametrize("there, said", [(None, "1380 bytes pass; "), (True, "come there, but not back;"), (False, "do not come there;")])
def test_path_mtu(there, said):
    found = path_mtu.judge(ONE, *ONE.ends(), 1420, Path(1380, there))
    assert found.id == "path-mtu" and said in found.message and found.message.startswith("packets of 1420 bytes get lost")
    assert found.hint.startswith("ip link set dev wg0 mtu 1380; l2wg apply #") and found.hint.endswith("MTU = 1380")
