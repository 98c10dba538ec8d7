"""Who reads a WireGuard file: interfaces(5), units, scripts and other managers, in real files of a scratch folder."""

import pytest
from l2wg_hooks import cli
from l2wg_hooks.config import postup, wg_quick_readers
from l2wg_hooks.errors import L2wgError

KEYS = "[Interface]\nPrivateKey = y\nListenPort = 4900\n\n[Peer]\nPublicKey = x\nAllowedIPs = 10.0.0.0/8\n"
QUICK = KEYS.replace("[Interface]\n", "[Interface]\nAddress = 10.0.0.1/24\n")
LINES = "PostUp = l2wg up %i || :\nPostDown = l2wg down %i || :\n"
WG = "auto wg0\niface wg0 inet static\n    address 10.0.0.1/24\n    pre-up ip link add $IFACE type wireguard\n    %s\n"


class Router:
    def __init__(self, root):
        self.root, self.conf = root, root / "etc/wireguard/wg0.conf"

    def put(self, path, text):
        # A path in a unit or a script is what it is on the router.
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("/etc/wireguard", str(self.conf.parent)))

    def ask(self, text):
        return wg_quick_readers.ask("wg0", text)


@pytest.fixture
def router(root):
    here = Router(root)
    here.put("etc/network/interfaces", "auto lo\niface lo inet loopback\n")
    here.put("etc/wireguard/wg0.conf", KEYS)
    return here


READ_BY_WG = [
    "pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf",
    "pre-up /usr/bin/wg addconf ${IFACE} /etc/wireguard/${IFACE}.conf",
    'up sleep 1 && wg syncconf "$IFACE" "/etc/wireguard/wg0.conf" || true',
    "pre-up wg setconf wg0 /dev/stdin </etc/wireguard/wg0.conf",
    "pre-up grep -v ^Address /etc/wireguard/wg0.conf | wg setconf wg0 /dev/stdin",
    "pre-up sh -c 'wg setconf wg0 /etc/wireguard/wg0.conf'",
    "use wireguard",
    "wireguard-config-path /etc/wireguard/wg0.conf",
]


@pytest.mark.parametrize("line", READ_BY_WG)
@pytest.mark.parametrize("text", [KEYS, QUICK], ids=["keys of wg(8) only", "read by both"])
def test_a_file_that_ifupdown_has_wg_read_gets_nothing(router, line, text, capsys):
    router.put("etc/network/interfaces", WG % line)
    router.put("etc/wireguard/wg0.conf", text)
    answer = router.ask(text)
    assert not answer.quick and answer.told and "wg(8) reads it" in answer.why and answer.start("wg0") == "ifup wg0"
    before = router.conf.read_text()
    assert cli.main(["attach", "wg0"]) == 0
    assert router.conf.read_text() == before
    assert "nothing is put in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "up wg setconf wg1 /etc/wireguard/wg1.conf",
        "up wg syncconf wg0 <(wg-quick strip wg0)",
        "up bash -c 'wg syncconf wg0 <(wg-quick strip /etc/wireguard/wg0.conf)'",
        "up wg addconf wg0 /etc/wireguard/more-peers",
        "up wg set wg0 listen-port 4900",
        "up echo wg setconf wg0",
        "# up wg setconf $IFACE /etc/wireguard/$IFACE.conf",
        "up wg-quick up wg0",
    ],
)
def test_what_only_looks_like_it(router, line):
    router.put("etc/network/interfaces", WG % line)
    assert router.ask(QUICK).quick


def test_whose_file_it_is_by_what_is_in_it(router):
    assert router.ask(QUICK).quick and not router.ask(KEYS).quick
    assert not router.ask(KEYS.replace("[Interface]\n", "[Interface]\n" + LINES)).quick, "our own lines do not count"
    assert not router.ask(KEYS + "Address = 10.0.0.1/24\n").quick, "in [Peer]"
    with pytest.raises(L2wgError, match="no key of wg-quick.*\n.*systemctl enable wg-quick@wg0; l2wg attach wg0"):
        postup.attach_file("wg0")
    assert router.conf.read_text() == KEYS


@pytest.mark.parametrize("line", ["up wg-quick up wg0", "pre-up wg-quick up $IFACE", "up wg-quick up /etc/wireguard/wg0.conf", "use wireguard-quick"])
def test_wg_quick_reads_it_whatever_is_in_it(router, line):
    router.put("etc/network/interfaces", "iface wg0 inet manual\n    %s\n" % line)
    assert router.ask(KEYS).quick


def test_a_unit_of_wg_quick_that_is_enabled(router):
    router.put("etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service", "")
    assert router.ask(KEYS).quick and not wg_quick_readers.ask("wg1", KEYS).quick


@pytest.mark.parametrize(
    "path, text",
    [
        ("etc/systemd/system/vpn.service", "[Service]\nExecStart=/usr/bin/wg setconf wg0 /etc/wireguard/wg0.conf\n"),
        ("etc/systemd/system/vpn@wg0.service", "[Service]\nExecStartPre=-/usr/bin/wg setconf %i \\\n  /etc/wireguard/%i.conf\n"),
        ("etc/systemd/system/x.service.d/a.conf", "ExecStart=/bin/sh -c 'wg setconf wg0 /etc/wireguard/wg0.conf'\n"),
        ("etc/rc.local", '#!/bin/sh\nDEV=wg0\nCONF=/etc/wireguard/$DEV.conf\nip link add $DEV type wireguard\nwg setconf $DEV "$CONF"\n'),
        ("usr/local/sbin/vpn", "#!/bin/sh\nwg addconf wg0 /etc/wireguard/wg0.conf\n"),
        ("etc/systemd/network/wg.netdev", "[NetDev]\nName = wg0\nKind = wireguard\n[WireGuard]\nPrivateKeyFile=/etc/wg.key\n"),
        ("etc/NetworkManager/system-connections/wg", "[connection]\ntype=wireguard\ninterface-name=wg0\n"),
    ],
)
def test_units_scripts_and_managers(router, path, text):
    router.put(path, text)
    router.put("etc/wireguard/wg0.conf", QUICK)
    with pytest.raises(L2wgError) as error:
        postup.attach_file("wg0")
    assert str(router.root / path) in str(error.value) and "l2wg up wg0" in str(error.value)
    assert router.conf.read_text() == QUICK
    assert wg_quick_readers.ask("wg1", QUICK).quick


def test_a_script_is_read_with_what_it_is_called_with(router):
    router.put("opt/vpn", "#!/bin/sh\nwg setconf $1 /etc/wireguard/${1}.conf\n")
    router.put("opt/iface", "#!/bin/sh\nwg setconf $IFACE /etc/wireguard/$IFACE.conf\n")
    for line, quick in (("up /opt/vpn wg0", False), ("up sh /opt/vpn wg0", False), ("up /opt/vpn wg1", True), ("up /opt/iface", False)):
        router.put("etc/network/interfaces", WG % line)
        assert router.ask(QUICK).quick == quick, line
    router.put("etc/network/interfaces", "")
    router.put("etc/systemd/system/a.service", "[Service]\nExecStart=/opt/vpn wg0\n")
    assert not router.ask(QUICK).quick


def test_one_that_wg_quick_starts_although_networkd_knows_it_too(router):
    router.put("etc/systemd/network/wg.netdev", "[NetDev]\nName=wg0\nKind=wireguard\n")
    assert not router.ask(QUICK).quick
    router.put("etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service", "")
    assert router.ask(QUICK).quick


def test_lines_that_an_older_version_has_put_in(router):
    """The next ifup has no VPN: nothing goes on until they are out, and `detach` takes them out whoever reads the file."""
    router.put("etc/network/interfaces", WG % READ_BY_WG[0])
    text = KEYS.replace("[Interface]\n", "[Interface]\n" + LINES)
    router.put("etc/wireguard/wg0.conf", text)
    with pytest.raises(L2wgError, match="has our PostUp and PostDown lines.*does not come up the next time\n.*l2wg detach wg0"):
        postup.attach_file("wg0")
    postup.detach_file("wg0")
    assert router.conf.read_text() == KEYS
    assert router.ask(KEYS).problem("x", "wg0", KEYS) is None


def test_what_cannot_be_read_is_no_reader(router):
    router.put("usr/local/bin/wg-data", "\0wg setconf wg0 /etc/wireguard/wg0.conf\n")
    router.put("usr/local/bin/broken", "wg setconf 'wg0 /etc/wireguard/wg0.conf\n$(wg `\n")
    (router.root / "usr/local/bin/loop").symlink_to("loop")
    assert router.ask(QUICK).quick
