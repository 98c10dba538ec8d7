import socket
import threading

import pytest
from l2wg_hooks.check import endpoint_dns
from l2wg_hooks.model import Tunnel
from l2wg_hooks.observe.wg_interfaces import Peer

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")


def judged(current, addresses):
    peer = Peer("far=", current, ("192.168.92.0/24",), 1, 0, 0, None)
    return endpoint_dns.judge(ONE, peer, "site-b.example.org", "4900", addresses)


def test_endpoint_stale():
    found = judged("203.0.113.20:4900", ["203.0.113.99"])
    assert found.id == "endpoint-stale" and "is 203.0.113.99 now, and WireGuard still sends to 203.0.113.20" in found.message
    assert found.hint.startswith("wg set wg0 peer far= endpoint site-b.example.org:4900 #")
    assert judged("[2001:db8::1]:4900", ["2001:db8::2"]).id == "endpoint-stale"
    assert judged("", ["203.0.113.99"]).id == "endpoint-stale"


def test_a_name_that_means_what_it_did_is_not_to_blame():
    assert judged("203.0.113.20:4900", ["203.0.113.20", "2001:db8::1"]) is None
    assert judged("[2001:db8::1]:4900", ["203.0.113.20", "2001:db8::1"]) is None


def test_endpoint_unresolved():
    found = judged("203.0.113.20:4900", [])
    assert found.id == "endpoint-unresolved" and found.hint.startswith("getent ahosts site-b.example.org #")


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    gone = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 2, 17, "", ("203.0.113.9", 0))] * (gone.wait(3) or True))
    assert endpoint_dns.resolve("site-b.example.org", patience=0.05) == []
    gone.set()


@pytest.mark.parametrize("fault", [OSError("no such name"), UnicodeError("label too long")])
def test_a_resolver_that_fails_says_nothing(monkeypatch, fault):
    def fail(*_, **__):
        raise fault

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert endpoint_dns.resolve("x") == []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 2, 17, "", ("203.0.113.9", 0)), (2, 2, 17, "", ("203.0.113.9", 0))])
    assert endpoint_dns.resolve("x") == ["203.0.113.9"]
