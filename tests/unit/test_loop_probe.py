import socket

import pytest
from l2wg_hooks import cli
from l2wg_hooks.model import Link, Tunnel
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.system import raw_socket

TUNNEL = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
THERE = Link("gretap1", 9, "gretap", up=True, master="br0")


def test_the_bytes_of_a_probe():
    head = b"\xff\xff\xff\xff\xff\xff\xfe\xff\xab\xcc\x78\x53\x88\xb5"
    assert loop_probe.frame(TUNNEL) == head + b"l2wg loop probe gretap1" + bytes(60 - 14 - 23)


def test_a_probe_is_a_whole_frame_whatever_the_name():
    for name in ("a", "a" * 15):
        tunnel = TUNNEL._replace(name=name)
        assert len(loop_probe.frame(tunnel)) == 60
        assert ("probe %s\0" % name).encode() in loop_probe.frame(tunnel)


@pytest.fixture
def sent(monkeypatch):
    """The (interface, frame)s that left, and the interfaces that refuse to be bound to."""
    state = {"sent": [], "down": ()}

    class Port:
        def __init__(self, family, kind):
            assert (family, kind) == (socket.AF_PACKET, socket.SOCK_RAW)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def bind(self, address):
            assert address[1] == 0  # nothing is to be received
            if address[0] in state["down"]:
                raise OSError(100, "Network is down")
            self.name = address[0]

        def send(self, frame):
            state["sent"].append((self.name, frame))

    monkeypatch.setattr(raw_socket, "Socket", Port)
    return state


def test_a_probe_leaves_by_the_bridge(sent):
    loop_probe.send([TUNNEL], {"gretap1": THERE})
    assert sent["sent"] == [("br0", loop_probe.frame(TUNNEL))]


@pytest.mark.parametrize("lacks", [{"up": False}, {"master": ""}, {"master": "br1"}])
def test_without_a_tunnel_that_is_wired_up_none_leaves(sent, lacks):
    for links in ({}, {"gretap1": THERE._replace(**lacks)}):
        loop_probe.send([TUNNEL], links)
    assert sent["sent"] == []


def test_a_bridge_that_is_down_keeps_no_other_probe_from_leaving(sent):
    second = TUNNEL._replace(name="gretap2", bridge="br1")
    sent["down"] = ("br0",)
    loop_probe.send([TUNNEL, second], {"gretap1": THERE, "gretap2": THERE._replace(name="gretap2", master="br1")})
    assert [name for name, _ in sent["sent"]] == ["br1"]


def test_one_for_all_tunnels_of_a_bridge(sent):
    """The bridge floods it to each of them."""
    names = ("gretap1", "gretap2", "gretap3")
    tunnels = [TUNNEL._replace(name=name) for name in names]
    links = {name: THERE._replace(name=name, up=name != "gretap1") for name in names}
    loop_probe.send(tunnels, links)
    assert sent["sent"] == [("br0", loop_probe.frame(tunnels[1]))], "of the first that is up"
    assert [word.split("/")[2] for word in loop_probe.words(tunnels, links)] == ["gretap2"]


def test_an_event_without_a_plan_sends_the_same(sent):
    """The script of the watch has its words, and calls for no more than that."""
    second = TUNNEL._replace(name="gretap2", bridge="br1")
    links = {"gretap1": THERE, "gretap2": THERE._replace(name="gretap2", master="br1"), "br0": THERE}
    loop_probe.send([TUNNEL, second], links)
    words = loop_probe.words([TUNNEL, second], links)
    before, sent["sent"] = sent["sent"], []
    assert cli.main(["event", "probe", *words]) == 0
    assert len(before) == 2 and sent["sent"] == before
    assert loop_probe.words([TUNNEL], {"gretap1": THERE._replace(up=False)}) == ()
