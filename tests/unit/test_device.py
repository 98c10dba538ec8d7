"""Device events: how long they follow a device, and what the kernel's messages say. The kernel is played."""

import socket
import struct
import time

import pytest
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Wait
from l2wg_hooks.reconcile import device, events, reconcile, taken_down
from l2wg_hooks.system import files, link_changes

UP, ADDRESS = Wait("gretap1", "underlay-up", "wg0"), Wait("gretap1", "address", "192.168.178.1")
GONE, PORT = Wait("gretap1", "underlay", "wg0"), Wait("br0", "port", "enp3s0")
GOOD = "underlay = wg0\nlocal = 192.168.178.1\nremote = 192.168.92.1\nbridge = br0\n"


@pytest.fixture
def kernel(monkeypatch, etc):
    """`plans` are what waits at each look, None for one that is skipped; a wait ends with the next of `news`."""
    state = {"plans": [], "news": [], "asked": [], "links": {("wg0", "ifindex"): "7"}}

    class Changes:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def wait(self, names, addresses, end):
            assert end - time.monotonic() < device.PATIENCE + 1
            state["asked"].append((tuple(names), addresses))
            news = state["news"].pop(0) if state["news"] else False
            if callable(news):
                news()  # and the kernel tells of it
            return bool(news)

    def look(may_skip=False, tell=None, spares=False):
        assert may_skip and spares
        waits = state["plans"].pop(0)
        if waits is not None:
            tell(waits)
        return (Problem("left"),) if waits is not None else ()

    monkeypatch.setattr(link_changes, "LinkChanges", Changes)
    monkeypatch.setattr(reconcile, "reconcile", look)
    monkeypatch.setattr(device, "PAUSE", 0)
    monkeypatch.setattr(files, "of_link", lambda name, key: state["links"].get((name, key), ""))
    return state


@pytest.mark.parametrize("waits", [(), (GONE._replace(name="wg1"),), (PORT,)])
def test_what_is_right_is_followed_no_further(kernel, waits):
    kernel["plans"] = [waits]
    assert device.follow("wg0:7:add") == (Problem("left"),)
    assert kernel["asked"] == []


def test_it_is_followed_until_nothing_waits_for_it(kernel):
    kernel["plans"], kernel["news"] = [(UP, ADDRESS), (UP,), (PORT,)], [True, True]
    device.follow("wg0")
    assert kernel["asked"] == [(("wg0",), True), (("wg0",), False)] and kernel["plans"] == []


def test_its_address_may_be_anybodys(kernel):
    kernel["plans"], kernel["news"] = [(ADDRESS,), ()], [True]
    device.follow("wg0")
    assert kernel["asked"] == [(("wg0",), True)]


def test_what_was_taken_down_on_purpose_stays_so(kernel):
    taken_down.add((taken_down.ALL,))
    assert device.follow("wg0") == ()
    assert kernel["asked"] == []


def test_not_for_ever(kernel):
    kernel["plans"] = [(UP,)]
    device.follow("wg0")
    assert kernel["asked"] == [(("wg0",), False)]


@pytest.mark.parametrize("index", ["", "8"])
def test_what_has_gone_or_come_anew_is_for_its_own_event(kernel, index):
    kernel["plans"], kernel["news"] = [(UP,), (GONE, ADDRESS)], [lambda: kernel["links"].update({("wg0", "ifindex"): index})]
    device.follow("wg0")
    assert len(kernel["asked"]) == 1


def test_a_device_that_has_gone_is_looked_at_once(kernel):
    kernel["links"], kernel["plans"] = {}, [(GONE, ADDRESS)]
    device.follow("wg0:7:remove")
    assert kernel["asked"] == []


def test_where_another_event_is_about_to_look_it_looks_again(kernel):
    kernel["plans"] = [None, None, ()]
    device.follow("wg0")
    assert kernel["plans"] == []


def test_a_bridge_that_is_being_made_is_waited_for(kernel, etc):
    """Whoever makes it has its ports to put in before it is up."""
    (etc / "gretap1.conf").write_text(GOOD)
    kernel["links"][("br0", "flags")] = "0x1002"

    kernel["plans"], kernel["news"] = [()], [True, lambda: kernel["links"].update({("br0", "flags"): "0x1003"})]
    device.follow("wg0")
    assert kernel["asked"] == [(("br0",), False)] * 2


def test_one_that_stays_down_is_not_waited_for_forever(kernel, etc):
    (etc / "gretap1.conf").write_text(GOOD)
    kernel["links"][("br0", "flags")] = "0x1002"
    kernel["plans"] = [()]
    device.follow("wg0")
    assert kernel["asked"] == [(("br0",), False)]


def test_the_event_has_the_device_in_its_words():
    assert events.label(["event", "device", "wg0:7:add"]) == events.label(["event", "device", "wg0"]) == "wg0 has come or gone (udev)"


def message(kind, body):
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + b"\0" * (-len(body) % 4)


def link(kind, name, other=b""):
    text = name.encode() + b"\0"
    return message(kind, b"\0" * 16 + other + struct.pack("=HH", 4 + len(text), 3) + text + b"\0" * (-len(text) % 4) + struct.pack("=HHI", 8, 4, 1500))


def test_what_the_kernel_says():
    group = struct.pack("=HHI", 8, 27, 0)
    data = link(16, "wg0") + message(20, b"\0" * 8) + link(17, "br-lan", group) + message(24, b"\0" * 12)
    assert list(link_changes.subjects(data)) == ["wg0", "", "br-lan"]


@pytest.mark.parametrize("data", [b"", b"\0" * 16, link(16, "wg0")[:-3], link(16, "wg0")[:18], message(16, b""), message(16, b"\0" * 16 + struct.pack("=HH", 2, 3))])
def test_what_it_does_not_say(data):
    assert list(link_changes.subjects(data)) == []


def test_news_are_waited_for(monkeypatch):
    """By a pair of sockets in the place of the kernel's."""
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    changes = link_changes.LinkChanges.__new__(link_changes.LinkChanges)
    changes.line = ours
    ours.setblocking(False)
    monkeypatch.setattr(link_changes, "SETTLED", 0.01)
    with kernels, changes:
        for name in ("eth0", "wg0", "wg0"):
            kernels.send(link(16, name))
        assert changes.wait(("wg0",), False, time.monotonic() + 5)
        assert not changes.wait(("wg0",), False, time.monotonic() + 0.01), "all of it was heard"
        kernels.send(message(21, b"\0" * 8))
        assert not changes.wait(("wg0",), False, time.monotonic() + 0.01)
        kernels.send(message(21, b"\0" * 8))
        assert changes.wait((), True, time.monotonic() + 5)
