from l2wg_hooks.observe import wg_interfaces
from l2wg_hooks.system import process

DUMP = (
    "cHJpdmF0ZQ==\tcHVibGlj\t4900\toff\n"
    "cGVlcg==\tcHNr\t203.0.113.2:4900\t192.168.92.0/24,10.15.14.0/24\t1700000000\t92\t180\t15\n"
    "b3RoZXI=\t(none)\t(none)\t(none)\t0\t0\t0\toff\n"
)


def test_what_wg_show_dump_says():
    found = wg_interfaces.parse(DUMP)
    assert (found.key, found.port) == ("cHVibGlj", 4900)
    near, far = found.peers
    assert near == ("cGVlcg==", "203.0.113.2:4900", ("192.168.92.0/24", "10.15.14.0/24"), 1700000000, 92, 180, 15, True)
    assert far == ("b3RoZXI=", "", (), 0, 0, 0, None, False)


def test_no_secret_is_kept():
    text = repr(wg_interfaces.parse(DUMP))
    assert "cHJpdmF0ZQ" not in text and "cHNr" not in text


def test_what_is_no_dump_is_none():
    for text in ("", "Unable to access interface\n", "a\tb\n", DUMP.replace("1700000000", "soon"), DUMP + "rest\n"):
        assert wg_interfaces.parse(text) is None


def test_a_peer_is_put_back_as_it_was_or_goes(monkeypatch):
    done = []
    monkeypatch.setattr(wg_interfaces, "look", lambda name: wg_interfaces.Interface("", 0, ()))
    monkeypatch.setattr(process, "run", lambda argv: done.append(" ".join(argv)) or process.Result(0, "", ""))
    assert wg_interfaces.put_back("wg0", wg_interfaces.unknown("K=")) == ()
    assert wg_interfaces.put_back("wg0", wg_interfaces.Peer("K=", "", (), 0, 0, 0, None)) == ()
    assert wg_interfaces.put_back("wg0", wg_interfaces.Peer("K=", "[fd00::1]:7", ("10.0.0.0/8", "fd00::/8"), 5, 0, 0, 25)) == ()
    assert done == [
        "wg set wg0 peer K= remove",
        "wg set wg0 peer K= persistent-keepalive 0 allowed-ips ",
        "wg set wg0 peer K= endpoint [fd00::1]:7 persistent-keepalive 25 allowed-ips 10.0.0.0/8,fd00::/8",
    ]
    monkeypatch.setattr(wg_interfaces, "look", lambda name: None)
    assert wg_interfaces.put_back("wg1", wg_interfaces.unknown("K=")) == () and len(done) == 3
