import pytest
from l2wg_hooks.encapsulation import headers
from l2wg_hooks.model import Tunnel

ENDS = {4: ("192.168.178.1", "192.168.92.1"), 6: ("fd00::1", "fd00::2")}


def tunnel(encapsulation="gretap", family=4, **more):
    return Tunnel("t", "wg0", *ENDS[family], "br0", encapsulation=encapsulation, **more)


# What crossed in the lab, on kernels 5.10 and 6.12, by a wg0 of 1420 bytes.
@pytest.mark.parametrize(
    "encapsulation, family, key, overhead, mss, tagged",
    [
        ("gretap", 4, None, 38, (1342, 1322), (1338, 1318)),
        ("gretap", 4, 7, 42, (1338, 1318), (1334, 1314)),
        ("gretap", 4, 0, 42, (1338, 1318), (1334, 1314)),
        ("gretap", 6, None, 58, (1322, 1302), (1318, 1298)),
        ("gretap", 6, 7, 62, (1318, 1298), (1314, 1294)),
        ("vxlan", 4, None, 50, (1330, 1310), (1326, 1306)),
        ("vxlan", 4, 7, 50, (1330, 1310), (1326, 1306)),
        ("vxlan", 6, None, 70, (1310, 1290), (1306, 1286)),
    ],
)
def test_what_an_encapsulation_takes_and_leaves(encapsulation, family, key, overhead, mss, tagged):
    made = tunnel(encapsulation, family, key=key)
    assert made.overhead == overhead
    assert headers.mss(made, 1420) == mss
    assert headers.mss(made, 1420, tags=1) == tagged


def test_no_segment_is_larger_than_the_tunnels_own_mtu():
    assert headers.mss(tunnel(mtu=1400), 9000) == (1360, 1340)
    assert headers.mss(tunnel(mtu=1400), 9000, tags=2) == (1360, 1340)
    assert headers.mss(tunnel(mtu=1400), 1420, tags=2) == (1334, 1314)
