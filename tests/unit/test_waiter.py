"""Two sites that wait for each other, over loopback in the place of WireGuard; what each changes is counted, and not done."""

import socket
import threading
import time

import pytest
from l2wg_hooks.apply import apply
from l2wg_hooks.config import staged, store
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Tunnel
from l2wg_hooks.pairing import rendezvous, waiter, wall
from l2wg_hooks.system import log, network_namespace

SHARED = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
ENDS = {"A": ("127.0.1.1", "127.0.1.2"), "B": ("127.0.1.2", "127.0.1.1")}


class Site:
    """A router: `tunnel` is what its file has, `fails` are the points at which its apply fails, each once."""

    def __init__(self, name):
        self.name, self.tunnel, self.staged = name, SHARED, True
        self.fails, self.tries, self.points = [], 0, []
        self.waiter = waiter.Waiter(name)
        self.thread = threading.Thread(target=self.waiter.run, daemon=True)

    def apply(self, meet):
        self.tries += 1
        before, done = self.tunnel, []
        try:
            for point in (apply.READY, apply.GO, apply.DONE):
                if self.fails[:1] == [point]:
                    self.fails.pop(0)
                    raise L2wgError(Problem(f"no {point}"))
                meet(point)
                done.append(point)
        except L2wgError:
            self.tunnel = before
            raise
        finally:
            self.points.append(done)
        self.tunnel = before._replace(wire="own", underlay="l2w0", local=ENDS[self.name][0], remote=ENDS[self.name][1])
        return ()


@pytest.fixture
def sites(monkeypatch):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.1.2", waiter.PORT))
    except OSError as error:
        pytest.skip(f"no loopback, as in a build without a network: {error}")
    found = {}
    monkeypatch.setattr(waiter, "INTERVAL", 0.1)
    monkeypatch.setattr(waiter, "PAUSE", 0.02)
    monkeypatch.setattr(waiter, "REST", 0.2)
    monkeypatch.setattr(waiter, "PATIENCE", dict.fromkeys(waiter.PATIENCE, 1.0))
    monkeypatch.setattr(waiter, "_place", lambda: (1, 1))
    monkeypatch.setattr(network_namespace, "within", lambda name, work: work())
    monkeypatch.setattr(staged, "read", lambda name: dict(zip(("local", "remote"), ENDS[name])) if found[name].staged else None)
    # To each thread its own router, whose tunnel is called as the site here.
    monkeypatch.setattr(store, "load", lambda: store.Wish(tuple(site.tunnel._replace(name=name) for name, site in found.items()), (), ()))
    monkeypatch.setattr(apply, "settle", lambda: None)
    monkeypatch.setattr(staged, "text", lambda name: None)
    monkeypatch.setattr(apply, "apply", lambda more, rehearsed, meet: more.apply(meet))
    monkeypatch.setattr(wall, "find", lambda name: SHARED)
    monkeypatch.setattr(wall, "more", lambda tunnel: found[threading.current_thread().name])
    monkeypatch.setattr(wall, "forget", lambda name: setattr(found[name], "staged", False))
    monkeypatch.setattr(log, "complain", lambda problems: None)
    monkeypatch.setattr(Site, "wish", {}, raising=False)  # as of preview.ExtraChanges
    for name in ENDS:
        found[name] = Site(name)
        found[name].thread.name = name
    yield found["A"], found["B"]
    for site in found.values():
        site.staged = False
    for site in found.values():
        if site.thread.ident:
            site.thread.join(10)


def until(what, seconds=120.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def over(*sites):
    return all(site.tunnel.walled and not site.staged and not site.thread.is_alive() for site in sites)


def test_one_alone_changes_nothing(sites):
    a, b = sites
    a.thread.start()
    time.sleep(1)
    assert a.tries == 0 and a.staged


def test_both_change_and_then_nobody_waits(sites):
    a, b = sites
    a.thread.start()
    time.sleep(0.3)
    b.thread.start()
    until(lambda: over(a, b))
    assert (a.tries, b.tries) == (1, 1)


@pytest.mark.parametrize("point", [apply.READY, apply.GO, apply.DONE])
def test_what_fails_at_one_site_is_changed_at_neither_and_tried_again(sites, point):
    a, b = sites
    b.fails = [point]
    a.thread.start()
    b.thread.start()
    until(lambda: over(a, b))
    assert b.tries > 1 and apply.DONE not in b.points[0]
    for site in sites:
        assert [apply.DONE in points for points in site.points].count(True) == 1


def test_one_who_has_kept_it_waits_for_the_other_after_a_new_start(sites):
    """As after a power cut in the worst moment."""
    a, b = sites
    a.tunnel = a.tunnel._replace(wire="own", local=ENDS["A"][0], remote=ENDS["A"][1])
    a.thread.start()
    b.thread.start()
    until(lambda: over(a, b))
    assert (a.tries, b.tries) == (0, 1)


def test_what_is_taken_back_is_waited_for_no_longer(sites):
    a, _ = sites
    a.thread.start()
    a.staged = False
    until(lambda: not a.thread.is_alive())


def test_what_somebody_rolls_back_before_the_other_has_said_so_is_not_done_again(sites):
    a, _ = sites
    a.tunnel = a.tunnel._replace(wire="own", local=ENDS["A"][0], remote=ENDS["A"][1])
    a.thread.start()
    until(lambda: a.waiter.meeting.phase == rendezvous.KEPT)
    a.tunnel = SHARED
    until(lambda: not a.thread.is_alive())
    assert a.tries == 0 and not a.staged


def test_where_nobody_listens_any_longer_it_ends(sites, monkeypatch):
    """The other one has heard that both have it, and said so, and that got lost."""
    a, _ = sites
    monkeypatch.setattr(waiter, "LINGER", 0.5)
    a.tunnel = a.tunnel._replace(wire="own", local=ENDS["A"][0], remote=ENDS["A"][1])
    a.thread.start()
    until(lambda: over(a))


def test_a_stranger_is_not_heard(sites):
    import socket

    a, _ = sites
    a.thread.start()
    until(lambda: a.waiter.line is not None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.1.3", waiter.PORT))
        for phase in range(6):
            other.sendto(rendezvous.encode(rendezvous.Message(phase, "1" * 16, a.waiter.meeting.mine)), (ENDS["A"][0], waiter.PORT))
    time.sleep(0.5)
    assert a.waiter.meeting.last == rendezvous.SILENCE and a.tries == 0


def test_what_one_that_was_killed_has_left_is_no_work_of_somebodys(sites, etc, monkeypatch):
    a, _ = sites
    aside = etc / "A.conf.rejected"
    for text, stays in (("theirs\n", True), ("staged\n", False)):
        aside.write_text(text)
        monkeypatch.setattr(staged, "text", lambda name: "staged\n")
        a.staged = False
        waiter.Waiter("A").run()
        assert aside.exists() == stays
