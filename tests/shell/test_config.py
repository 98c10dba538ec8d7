"""What the config script takes and refuses is what Python takes and refuses; what it guesses is what the sites have."""

import os
import pathlib
import stat
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))
from l2wg_hooks.config import card, invitation, own_wire, schema, store, tunnel_file
from l2wg_hooks.pairing import local_facts

GOLDEN = TOP / "tests/golden/settings"

# Reads one value a line, says of each whether it is right.
EACH = """
tunnel=gretap1 underlay=wg0 here=192.168.178.1 bridge=br0
while IFS= read -r value; do
    if check l2wg/%s "$value"; then echo good; else echo bad; fi
done <<'VALUES'
%s
VALUES
"""

NAMES = [
    "wg0",
    "gretap1",
    "a",
    "a" * 15,
    "a" * 16,
    "br-lan",
    "eth0.10",
    "enp1s0f0np0",
    "_x",
    "-x",
    ".",
    "..",
    "...",
    "a b",
    "a;b",
    "a$b",
    "a`b",
    "a'b",
    'a"b',
    "a/b",
    "ä",
    "a:1",
    "*",
    "?",
    "[a]",
    "a,b",
    "\\",
    "%i",
    "!",
    "0",
    "lo",
    "gre0",
    "gretap0",
    "erspan0",
    "ip6gre0",
    "ip6gretap0",
    "ip6tnl0",
    "tunl0",
    "sit0",
    "ip_vti0",
    "ip6_vti0",
    "gre00",
    "all",
    "default",
    "all0",
]
ADDRESSES = [
    "192.168.178.2",
    "10.0.0.1",
    "1.2.3.4",
    "223.255.255.254",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "127.0.0.1",
    "127.255.0.1",
    "126.0.0.1",
    "128.0.0.1",
    "169.254.1.1",
    "169.253.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.1000",
    "1..2.3",
    ".1.2.3",
    "1.2.3.",
    "1.2.3.04",
    "01.2.3.4",
    "1.2.3.4/24",
    "1.2.3.-4",
    "1.2.3.+4",
    "1.2.3.4 5",
    "1.2.3.x",
    "0x1.2.3.4",
    "fd00::1",
    "::1",
    "2001:db8::1%eth0",
    "somewhere",
    "*",
    "$(reboot)",
    "16909060",
    "0.0.0.1",
    "::",
    "0:0::0",
    "0::1",
    "::2",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "fe8::1",
    "ff2::1",
    "02::1",
    "0db8::01",
    "::01.2.3.4",
    "fd00::1:",
    "1:2:3:4:5:6:7:",
    "FD00:92::A",
    "fd00::1::2",
    "fd00:92",
    "fd00::1.2.3.4",
    "fd00::1/64",
]
PORTS = [
    "",
    "enp3s0",
    "enp3s0 enp4s0",
    "enp3s0,enp4s0",
    "enp3s0, enp4s0",
    " enp3s0\tenp4s0 ",
    ",",
    "enp3s0,,enp4s0",
    "enp3s0 enp3s0",
    "enp3s0,enp3s0",
    "br0",
    "wg0",
    "gretap1",
    "lo",
    "enp3s0 lo",
    "enp3s0;enp4s0",
    "enp*",
    "*",
    "?",
    "[e]",
    "a" * 16,
    "enp3s0 $(reboot)",
    "-x",
    "..",
]
PREFIXES = [
    "",
    "192.168.92.1/24",
    "192.168.92.1",
    "192.168.92.0/24",
    "192.168.92.255/24",
    "192.168.92.1/33",
    "192.168.92.1/32",
    "192.168.92.0/31",
    "192.168.92.1/31",
    "192.168.92.0/32",
    "192.168.92.1/",
    "/24",
    "192.168.92.1/24/24",
    "192.168.92.1/255.255.255.0",
    "192.168.92.1/-1",
    "192.168.92.1/0",
    "192.168.92.1/1",
    "192.168.92.1/x",
    "192.168.92.256/24",
    "10.0.0.1/8",
    "10.255.255.255/8",
    "10.0.0.0/8",
    "127.0.0.1/8",
    "0.0.0.0/0",
    "0.0.0.0/32",
    "224.0.0.1/4",
    "239.0.0.1/24",
    "169.254.0.1/16",
    "192.168.92.1 /24",
    "fd00:92::1/64",
    "fd00:92::1",
    "fd00::1/128",
    "fd00::1/129",
    "fd00::1/0",
    "::1/128",
    "::/0",
    "::/128",
    "ff02::1/16",
    "fe80::1/64",
    "1:2:3:4:5:6:7:8/64",
    "1:2:3:4:5:6:7/64",
    "1:2:3:4:5:6:7:8:9/64",
    "1:2:3:4:5:6:7::8/112",
    "1:2:3:4:5:6:7::1:8/112",
    "1::2::3/64",
    "1:::2/64",
    ":1/64",
    "1:/64",
    "fd00::12345/64",
    "fd00::g/64",
    "fd00::1%br0/64",
    "::ffff:1.2.3.4/96",
    "fd00::1.2.3.4/96",
    "fd00::1.2.3.400/96",
    "ff2::1/16",
    "fd00::1/064",
    "fd00::1/08",
    "192.168.92.1/024",
    "192.168.92.1/00",
    "1:2:3:4:5:6:1.2.3.4/64",
    "1:2:3:4:5:6:7:1.2.3.4/64",
    "FD00::A/64",
    "*",
    "$(reboot)/24",
    "1.2.3.4:5/24",
]


def refuses(text):
    tunnel, problems = tunnel_file.parse(text, "gretap1.conf", "gretap1")
    return "bad" if problems else "good"


def wish(**changes):
    values = {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0", **changes}
    return "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in values.items())


def tunnel_name(value):
    try:
        schema.tunnel_name(value)
    except schema.Refused:
        return "bad"
    return "good"


LISTS = ["10.9.0.2 10.9.0.3", "10.9.0.2,10.9.0.3", "10.9.0.2 10.9.0.2"]
# (question, values, Python's word on a value). An empty local is no mistake: it configures nothing.
TABLES = [
    ("tunnel", NAMES, tunnel_name),
    ("underlay", NAMES + ["gretap1"], lambda value: refuses(wish(underlay=value))),
    ("bridge", NAMES + ["gretap1", "wg0", "br0"], lambda value: refuses(wish(bridge=value))),
    ("local", ADDRESSES, lambda value: refuses(wish(local=value, remote="fd00::99" if ":" in value else "10.99.99.99"))),
    ("remote", ADDRESSES + ["192.168.178.1", ""], lambda value: refuses(wish(remote=value))),
    ("remote", LISTS, lambda value: refuses(wish(remote=value))),
    ("ports", PORTS, lambda value: refuses(wish(bridge_ports=value))),
    ("bridge-address", PREFIXES, lambda value: refuses(wish(bridge_ports="enp3s0", bridge_address=value))),
]


@pytest.mark.parametrize("value", LISTS + [" 10.9.0.2,\t10.9.0.3", "10.9.0.2 fd00::2", "10.9.0.2 192.168.178.1", "10.9.0.2 127.0.0.1", "fd00::1 fd00:0::1", ","])
@pytest.mark.parametrize("encapsulation", ["vxlan", "gretap"])
def test_a_vxlan_may_have_a_list(router, value, encapsulation):
    """By its file, and where debconf asks for the remote of a tunnel that has one."""
    text = wish(remote=value, encapsulation=encapsulation)
    etc = router.path / "etc/l2wg"
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "gretap1.conf").write_text(text)
    ask = f"tunnel=gretap1 root={router.path} here=192.168.178.1\nif %s; then echo good; else echo bad; fi"
    for words, word in (('read_file "$1"', str(etc / "gretap1.conf")), ('check l2wg/remote "$1"', value)):
        assert router.run(ask % words, word) == refuses(text) + "\n"


PREFIXES = ["198.18.0.0/15", "fd00::/8", "10.0.0.0/31", "198.18.0.1/15", "198.18.0.2/32", "0.0.0.0/0", "224.0.0.0/8", "127.0.0.0/9", "192.0.0.0/2", "a/15", "/15"]


@pytest.mark.parametrize("value", PREFIXES + ["198.18.0.0/33", "198.18.0.0/", "198.18.0.0/15 10.0.0.1", "198.18.0.2", "198.18.0.2 198.18.0.3"])
@pytest.mark.parametrize("control", ["evpn", "learning"])
def test_a_vxlan_that_frr_fills_has_a_prefix(router, value, control):
    text = wish(remote=value, encapsulation="vxlan", control=control)
    etc = router.path / "etc/l2wg"
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "gretap1.conf").write_text(text)
    ask = f"tunnel=gretap1 root={router.path} here=192.168.178.1\nif %s; then echo good; else echo bad; fi"
    for words, word in (('read_file "$1"', str(etc / "gretap1.conf")), ('check l2wg/remote "$1"', value)):
        assert router.run(ask % words, word) == refuses(text) + "\n"


@pytest.mark.parametrize("question, values, python", TABLES, ids=[table[0] for table in TABLES])
def test_sh_and_python_take_the_same_values(router, question, values, python):
    said = router.run(EACH % (question, "\n".join(values))).split()
    assert dict(zip(values, said)) == {value: python(value) for value in values}
    assert len(said) == len(values)


def test_an_ipv6_networks_own_address_is_found_by_python_alone(router):
    """The one difference. The postinst asks `l2wg set`, so it is found, only not while the question is on the screen."""
    assert router.run(EACH % ("bridge-address", "fd00:92::/64")) == "good\n"
    assert refuses(wish(bridge_ports="enp3s0", bridge_address="fd00:92::/64")) == "bad"


def test_a_value_of_two_lines_is_refused(router):
    assert router.run('if judge is_name "$1"; then echo good; else echo bad; fi', "a\nb") == "bad\n"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("good-*.conf")), ids=lambda path: path.stem)
def test_good_files_are_read_as_python_reads_them(router, path):
    out = router.run('tunnel=gretap1\nif read_file "$1"; then printf "%s" "$values"; else echo "refused: $line $wrong"; fi', str(path))
    said = {}
    for line in out.splitlines():
        key, value = line.split("=", 1)
        said[key] = ",".join(value.replace(",", " ").split()) if key == "bridge-ports" else value
    want = dict(line.split("=", 1) for line in path.with_suffix(".values").read_text().splitlines())
    assert said == want


def test_sh_knows_every_key_that_python_knows(router):
    values = {
        "stp": "no",
        "isolated": "no",
        "link-local": "no",
        "peer-down": "port",
        "vlans": "all",
        "dhcp": "pass",
        "forward": "accept",
        "encapsulation": "vxlan",
        "control": "learning",
        "wire": "own",
        "storm-limit": "off",
        "mss-clamp": "off",
        "mtu": "1500",
        "key": "7",
        "port": "8472",
        "bridge-ports": "enp3s0",
        "site": "hut",
    }
    values["bridge-address"] = ""
    text = wish(**{key.replace("-", "_"): values[key] for key in schema.KEYS if key in values})
    assert len(text.splitlines()) == len(schema.KEYS) and refuses(text) == "good"
    (router.path / "x.conf").write_text(text)
    out = router.run('tunnel=gretap1\nif read_file "$1"; then echo taken; else echo "$line $wrong"; fi', str(router.path / "x.conf"))
    assert out == "taken\n"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("bad-*.conf")), ids=lambda path: path.stem)
def test_bad_files_are_refused(router, path):
    out = router.run('tunnel=gretap1\nif read_file "$1"; then echo taken; else echo "$error"; fi', str(path))
    assert out == "l2wg/invalid-file\n" or out.startswith("l2wg/invalid-")


@pytest.mark.parametrize(
    "text, line",
    [
        ("underlay = wg0\nlocal\n", "2 local"),
        ("# one\n\nunderlay: wg0\n", "3 underlay: wg0"),
        ("underlay = wg0\nbrige = br0\n", "2 brige=br0"),
        ("underlay = wg0\nunderlay = wg1\n", "2 underlay=wg1"),
        ("underlay = wg0 # one\nremote =\n", "2 remote="),
        ("mtu = 1500\nmtu = 1500\n", "2 mtu=1500"),
        ("underlay = wg0\nlocal = 192.168.178.1\n", "0 remote = ?"),
        (wish(remote="192.168.92.1/24"), "3 192.168.92.1/24"),
        (wish(remote="192.168.92.1\0x"), "3 192.168.92.1 x"),
        (wish(bridge_address="10.0.0.1/24"), "5 bridge-address"),
        (wish(bridge_ports="p " * 3000), "5 (5999 characters)"),
        ("colour = \x1b[31m\x07red\n", "1 colour= [31m red"),
    ],
)
def test_the_line_that_is_wrong_is_named(router, text, line):
    (router.path / "x.conf").write_text(text)
    assert router.run('tunnel=gretap1\nread_file "$1" || echo "$line $wrong"', str(router.path / "x.conf")) == line + "\n"


# What `ip -o -4 addr show scope global` prints on the two routers.
SITE_A = """2: enp1s0    inet 203.0.113.7/24 brd 203.0.113.255 scope global dynamic enp1s0\\       valid_lft 3000sec
3: enp2s0    inet 192.168.178.1/24 brd 192.168.178.255 scope global enp2s0\\       valid_lft forever
5: wg0    inet 10.15.14.2/24 scope global wg0\\       valid_lft forever"""
SITE_B = """2: enp1s0    inet 203.0.113.8/24 brd 203.0.113.255 scope global dynamic enp1s0\\       valid_lft 3000sec
4: wg0    inet 10.15.14.1/24 scope global wg0\\       valid_lft forever
5: br0    inet 192.168.92.1/24 brd 192.168.92.255 scope global br0\\       valid_lft forever"""
DEFAULT = "default via 203.0.113.1 dev enp1s0 proto dhcp src 203.0.113.7 metric 100"
GUESS = "judge guess_underlay; judge guess_local wg0; judge guess_remote wg0; judge guess_bridge_ports br0"


def ports(router):
    return router.port("lo", hardware=False).port("enp1s0").port("enp2s0").port("enp3s0").port("wg0", hardware=False)


def test_guesses_at_site_a(router):
    ports(router.site("a").ip(SITE_A, DEFAULT))
    assert router.run(GUESS) == "wg0\n192.168.178.1\n192.168.92.1\nenp3s0\n"


def test_guesses_at_site_b(router):
    ports(router.site("b").ip(SITE_B, DEFAULT)).port("br0", hardware=False)
    assert router.run(GUESS) == "wg0\n192.168.92.1\n192.168.178.1\n"


def test_guesses_without_iproute2(router):
    ports(router.site("a"))
    assert router.run(GUESS) == "wg0\n192.168.178.1\n192.168.92.1\nenp3s0\n"


def test_a_static_address_on_the_way_to_the_internet_is_no_end(router):
    lan = "auto enp2s0\niface enp2s0 inet static\n address 192.168.7.1/24\n"
    wan = "iface enp1s0 inet static\n address 203.0.113.7/24\n gateway 203.0.113.1\n"
    (router.path / "etc/network/interfaces").write_text(wan + lan)
    assert router.run("judge guess_local wg0") == "192.168.7.1\n"


def test_guesses_without_anything(router):
    assert router.run(GUESS) == "wg0\n\n"


def test_the_only_wireguard_interface_is_the_underlay(router):
    (router.path / "etc/wireguard/wg-b.conf").write_text("[Interface]\n")
    assert router.run("judge guess_underlay") == "wg-b\n"
    (router.path / "etc/wireguard/wg0.conf").write_text("[Interface]\n")
    assert router.run("judge guess_underlay") == "wg0\n"


@pytest.mark.parametrize(
    "conf, tunnels, own",
    [
        ("[Interface]\n", {}, False),
        (own_wire.MARK + "\n[Interface]\n", {}, True),
        ("\n" + own_wire.MARK + "\n", {}, True),
        (own_wire.MARK + " \n", {}, False),
        ("[Interface]\n", {"gretap1": "underlay=l2w0\n wire = own # mine\n"}, True),
        (own_wire.MARK + "\n", {"gretap1": "underlay = l2w0\n"}, False),
        (own_wire.MARK + "\n", {"gretap1": "underlay = l2w0\nwire = shared\n"}, False),
        (own_wire.MARK + "\n", {"gretap1": "underlay = wg0\nwire = shared\n"}, True),
        ("[Interface]\n", {"gretap1": "underlay = wg0\nwire = own\n"}, False),
        (None, {"gretap1": "underlay = l2w0\nwire = own\n"}, True),
        (None, {}, False),
    ],
)
def test_which_wire_is_l2wgs_own(router, monkeypatch, conf, tunnels, own):
    """The postinst's word for it, and that of `l2wg pair`."""
    (router.path / "etc/l2wg").mkdir(exist_ok=True)
    ends = "local = 198.18.0.1\nremote = 198.18.0.2\nbridge = br0\n"
    for name, text in tunnels.items():
        (router.path / f"etc/l2wg/{name}.conf").write_text(text + ends)
    if conf is not None:
        (router.path / "etc/wireguard/l2w0.conf").write_text(conf)
    assert router.run("if judge is_own l2w0; then echo own; else echo shared; fi") == ("own\n" if own else "shared\n")
    monkeypatch.setattr(store, "DIRECTORY", str(router.path / "etc/l2wg"))
    assert local_facts.is_walled("l2w0", {}, conf) is own


def test_a_wire_of_its_own_is_the_underlay_and_its_address_the_end(router):
    router.site("a").ip(SITE_A, DEFAULT)
    (router.path / "etc/wireguard/wg0.conf").write_text("[Interface]\nAddress = 10.15.14.2/24\n")
    peer = "[Peer]\nAllowedIPs = 198.18.0.2/32, 192.168.92.0/24\n"
    (router.path / "etc/wireguard/l2w0.conf").write_text(f"{own_wire.MARK}\n[Interface]\nAddress = 198.18.0.1/32\n{peer}")
    said = "judge guess_underlay; here=$(judge guess_local l2w0); echo $here; judge guess_remote l2w0"
    assert router.run(said).split() == ["l2w0", "198.18.0.1", "198.18.0.2"]
    assert router.run("if judge is_for_wg_quick l2w0; then echo yes; else echo no; fi") == "no\n"


@pytest.mark.parametrize(
    "address, allowed, said",
    [
        ("198.18.0.1/32", "198.18.0.2/32", "198.18.0.1 198.18.0.2"),  # as `l2wg init` and `l2wg pair` write it
        ("10.15.14.2/24", "10.15.14.1/32", "10.15.14.2 10.15.14.1"),
        ("10.15.14.2/24, fd00::2/64", "fd00::1/128, 10.15.14.2/32, 10.15.14.1/32", "10.15.14.2 10.15.14.1"),
        ("10.15.14.2/24", "10.15.14.0/24", "10.15.14.2"),
        ("10.15.14.2/24", "0.0.0.0/0", "10.15.14.2"),
        ("10.15.14.2/24", "10.15.14.1/32, 192.168.92.0/24", "192.168.178.1 192.168.92.1"),
        ("198.18.0.1/32", "198.18.0.2/32, 192.168.92.0/24", "192.168.178.1 192.168.92.1"),
        ("10.15.14.2/24", "192.168.92.1/32", "192.168.178.1 192.168.92.1"),
        ("", "10.15.14.1/32", "10.15.14.2 10.15.14.1"),
    ],
)
def test_both_ends_are_in_lans_or_both_are_inside_wireguard(router, address, allowed, said):
    """A guess of one end follows from the other. Where the file names no address, the interface has one."""
    router.site("a").ip(SITE_A, DEFAULT)
    (router.path / "etc/wireguard/wg0.conf").write_text(f"[Interface]\nAddress = {address}\n[Peer]\nAllowedIPs = {allowed}\n")
    assert router.run("here=$(judge guess_local wg0); echo $here; judge guess_remote wg0").split() == said.split()


def test_the_other_end_follows_an_answer(router):
    router.site("a").ip(SITE_A, DEFAULT)
    (router.path / "etc/wireguard/wg0.conf").write_text("[Interface]\nAddress = 10.15.14.2/24\n[Peer]\nAllowedIPs = 10.15.14.1/32, 192.168.92.0/24\n")
    said = "".join(f"here={here} && judge guess_remote wg0\n" for here in ("10.15.14.2", "192.168.178.1", "192.168.178.2"))
    assert router.run(said).split() == ["10.15.14.1", "192.168.92.1", "192.168.92.1"]


def test_an_address_of_a_bridge_of_guests_is_no_end(router):
    guests = "3: docker_gwbridge    inet 172.18.0.1/16 scope global docker_gwbridge\n"
    ports(router.site("a").ip(guests + SITE_A, DEFAULT)).port("docker_gwbridge", hardware=False, bridge="")
    assert router.run("judge guess_local wg0") == "192.168.178.1\n"
    (router.path / "etc/network/interfaces.d/x").write_text("iface docker_gwbridge inet manual\n")
    assert router.run("judge guess_local wg0") == "172.18.0.1\n"


@pytest.mark.parametrize("kind, said", [("", "no"), ("file", "yes"), ("interface", "yes"), ("program", "yes")])
def test_whether_there_is_wireguard(router, kind, said):
    if kind == "file":
        (router.path / "etc/wireguard/vpn.conf").write_text("")
    elif kind == "interface":
        (router.port("vpn", hardware=False).path / "sys/class/net/vpn/uevent").write_text("DEVTYPE=wireguard\nINTERFACE=vpn\n")
    elif kind == "program":
        # wireguard-go's is a tun to the kernel.
        (router.path / "bin/wg").write_text("#!/bin/sh\necho vpn\n")
        (router.path / "bin/wg").chmod(0o755)
    assert router.run("if has_wireguard; then echo yes; else echo no; fi") == said + "\n"


@pytest.mark.parametrize("port, right", [("enp3s0", True), ("enp9s0", False), ("enp3s0 enp9s0", False), ("vlan7", True)])
def test_a_port_that_does_not_exist_is_refused(router, port, right):
    ports(router.site("a").ip())
    (router.path / "etc/network/interfaces.d/x").write_text("iface vlan7 inet manual\n vlan-raw-device enp1s0\n")
    said = router.run('tunnel=gretap1 underlay=wg0 bridge=br0\ncheck l2wg/bridge-ports "$1" || echo "$error $wrong"; printf %s "$(judge all_ports)"', port)
    assert said == ("" if right else "l2wg/invalid-port-missing enp9s0\n") + " enp1s0 enp2s0 enp3s0"


@pytest.mark.parametrize(
    "allowed, remote",
    [
        ("10.15.14.0/24", ""),
        ("0.0.0.0/0", ""),
        ("::/0, fd00::/64, 10.9.0.0/16", "10.9.0.1"),
        ("10.15.14.1/32,172.16.3.9/32", "172.16.3.9"),
        ("172.16.3.8/30", "172.16.3.9"),
        ("172.16.3.77/24", "172.16.3.1"),
        ("# 10.1.0.0/16", ""),
        ("nonsense/24, 300.1.1.1/24, 10.2.0.0/24", "10.2.0.1"),
    ],
)
def test_remote_is_the_first_host_behind_the_peer(router, allowed, remote):
    (router.path / "etc/wireguard/wg0.conf").write_text(f"[Interface]\nAddress = 10.15.14.2/24\n[Peer]\nallowedips = {allowed}\n")
    assert router.run("judge guess_remote wg0").strip() == remote


@pytest.mark.parametrize("why", ["device is gone", "has a master", "wireless", "carries a VLAN", "named in interfaces", "PPPoE", "has an address", "IPv6 address"])
def test_a_port_with_a_job_is_not_proposed(router, why):
    ports(router.site("a").ip(SITE_A, DEFAULT))
    device = router.path / "sys/class/net/enp3s0"
    if why == "device is gone":
        (device / "device").rmdir()
    elif why == "has a master":
        (device / "master").mkdir()
    elif why == "wireless":
        (device / "wireless").mkdir()
    elif why == "carries a VLAN":
        (device / "upper_enp3s0.7").mkdir()
    elif why == "named in interfaces":
        (router.path / "etc/network/interfaces.d/x").write_text("auto bond0\niface bond0 inet manual\n bond-slaves enp3s0 enp4s0\n")
    elif why == "PPPoE":
        (router.path / "etc/ppp/peers").mkdir(parents=True)
        (router.path / "etc/ppp/peers/dsl").write_text("plugin rp-pppoe.so enp3s0\n")
    elif why == "has an address":
        router.ip(SITE_A + "\n4: enp3s0    inet 10.7.0.1/24 scope global enp3s0", DEFAULT)
    elif why == "IPv6 address":
        router.ip(SITE_A + "\n4: enp3s0    inet6 2001:db8::1/64 scope global", DEFAULT)
    assert router.run("judge guess_bridge_ports br0") == "\n"


def test_a_link_local_address_does_not_make_a_port_busy(router):
    ports(router.site("a").ip(SITE_A + "\n4: enp3s0    inet6 fe80::1/64 scope link", DEFAULT))
    assert router.run("judge guess_bridge_ports br0") == "enp3s0\n"


@pytest.mark.parametrize("method, more, busy", [("static", "", 0), ("static", "iface br0 inet manual\n", 1), ("dhcp", "", 1), ("manual", "", 0), ("ppp", "", 1)])
def test_a_port_with_an_address_is_refused_unless_that_can_move(router, method, more, busy):
    router.ip()
    (router.path / "etc/network/interfaces").write_text(f"auto enp3s0\niface enp3s0 inet {method}\n{more}")
    said = router.run('tunnel=gretap1 underlay=wg0 bridge=br0\ncheck l2wg/bridge-ports enp3s0 || echo "$error $wrong"')
    assert said == ("l2wg/invalid-port-address enp3s0\n" if busy else "")


def test_the_bridge_of_our_own_stanza_takes_a_ports_address(router):
    router.ip()
    (router.path / "etc/network/interfaces").write_text("iface enp3s0 inet static\nsource-directory interfaces.d\n")
    (router.path / "etc/network/interfaces.d/l2wg").write_text("iface br0 inet manual\n")
    assert router.run('bridge=br0\ncheck l2wg/bridge-ports enp3s0 || echo "$error $wrong"') == ""


def test_a_file_that_is_named_by_many_paths_is_read_once(router):
    names = ("interfaces", "./interfaces", "../network/interfaces", "x")
    (router.path / "etc/network/interfaces").write_text("iface br0 inet manual\n" + "".join(f"source {name}\n" for name in names))
    (router.path / "etc/network/x").symlink_to("interfaces")
    assert router.run("judge interfaces").count("iface br0") == 1


def test_where_perl_fails_nothing_is_taken_for_right(router):
    (router.path / "bin/perl").write_text("#!/bin/sh\nexit 3\n")
    (router.path / "bin/perl").chmod(0o755)
    assert router.run("check l2wg/remote 192.168.92.1 && echo taken") == ""
    assert router.run('read_file "$1" && echo taken', str(GOLDEN / "good-tight.conf")) == ""


def test_a_dot_in_a_name_is_a_dot(router):
    router.ip()
    (router.path / "etc/network/interfaces").write_text("iface enp3x10 inet dhcp\n")
    assert router.run("judge carries_address enp3.10 || echo free") == "free\n"


CARD_B = card.encode(card.Card("site-b", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "b.example.org:51820", ("198.18.7.9",), "192.168.92.0/24"))
CARDS = [
    CARD_B,
    CARD_B.lower(),
    f"  {CARD_B} ",
    CARD_B[:50] + " " + CARD_B[50:],
    "",
    CARD_B[:-1],
    CARD_B[:60],
    CARD_B[1:],
    CARD_B + "0",
    CARD_B.replace("A", "B", 1),
    CARD_B[:-1] + ("0" if CARD_B[-1] != "0" else "1"),
    CARD_B.replace("L2WG1", "L2WG2"),
    "L2WG1::FFFFFFFF",
    "L2WG1:$(reboot):00000000",
    "*",
    "hello",
    CARD_B[:20] + "1" + CARD_B[21:],
    CARD_B[:20] + ":" + CARD_B[21:],
    f"L2WG1:A1:{card.checksum('L2WG1:A1'):08X}",
    f"> {CARD_B[:70]} > {CARD_B[70:]}",
]


HUB = card.decode(CARD_B)
TOKEN = invitation.encode(invitation.Invitation("branch-b", "198.18.7.10", "net hub=site-b", HUB, "", "vlans=10"))
INVITATIONS = [
    TOKEN,
    TOKEN.lower(),
    f" {TOKEN[:40]} {TOKEN[40:]}",
    f"> {TOKEN[:70]} > {TOKEN[70:]}",
    "",
    TOKEN[:-1],
    TOKEN[:-9],
    TOKEN[1:],
    TOKEN + "0",
    TOKEN.replace("A", "B", 1),
    TOKEN.replace("L2WGJ1", "L2WGJ2"),
    TOKEN[:20] + "1" + TOKEN[21:],
    TOKEN[:20] + ":" + TOKEN[21:],
    "L2WGJ1:::FFFFFFFF",
    "L2WGJ1:$(reboot):A:00000000",
    "hello",
]


def reads(value, decode=card.decode):
    try:
        decode(value)
    except schema.Refused:
        return "good" if not value else "bad"
    return "good"


def test_a_card_is_taken_that_python_takes(router):
    """Whole or not is all that sh asks; an empty answer is no card, and the questions go on."""
    said = router.run(EACH % ("card", "\n".join(CARDS))).splitlines()
    assert dict(zip(CARDS, said)) == {value: reads(value) for value in CARDS}
    assert said.count("good") == 6


def test_an_invitation_is_taken_that_python_takes(router):
    """In its own question, where a card is none, and in the place of a card."""
    said = router.run(EACH % ("invitation", "\n".join([*INVITATIONS, CARD_B]))).splitlines()
    assert dict(zip(INVITATIONS, said)) == {value: reads(value, invitation.decode) for value in INVITATIONS}
    assert said.count("good") == 5 and said[-1] == "bad"
    assert router.run(EACH % ("card", "\n".join(INVITATIONS))).splitlines() == said[:-1]


@pytest.mark.parametrize(
    "question, value, error",
    [("card", CARD_B[:-1], "card"), ("card", TOKEN[:-1], "invitation"), ("invitation", TOKEN[:-1], "invitation"), ("invitation", CARD_B, "invitation")],
)
def test_who_has_pasted_one_of_both_is_told_of_that(router, question, value, error):
    assert router.run(f'check l2wg/{question} "$1" || echo "$error"', value) == f"l2wg/invalid-{error}\n"


# What is no file: debconf's questions come all the same, since dpkg waits for them.


def make_odd(path, kind):
    """Something of that kind at a path, or a link to it."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    else:
        os.mkfifo(path.with_suffix(".there"))
        path.symlink_to(path.with_suffix(".there"))


ODD = ["pipe", "folder", "device", "sparse", "link to a pipe"]


@pytest.mark.parametrize("kind", ODD)
def test_a_tunnels_file_that_is_none_is_told_of(router, kind):
    make_odd(router.path / "x.conf", kind)
    out = router.run('tunnel=gretap1\nif read_file "$1"; then echo taken; else echo "$error"; fi', str(router.path / "x.conf"))
    assert out == "l2wg/invalid-kind\n"


@pytest.mark.parametrize("size, said", [(65536, "taken"), (65537, "l2wg/invalid-kind")])
def test_a_tunnels_file_is_as_large_as_python_lets_it_be(router, size, said):
    text = wish()
    (router.path / "x.conf").write_text(text + "#" * (size - len(text)))
    assert store.LARGEST == 65536
    out = router.run('tunnel=gretap1\nif read_file "$1"; then echo taken; else echo "$error"; fi', str(router.path / "x.conf"))
    assert out == said + "\n"


@pytest.mark.parametrize("kind", ODD)
def test_nothing_else_has_the_questions_wait(router, kind):
    """Of interfaces(5), wg-quick and ppp: what can be read is read, the rest is as if it were not there."""
    router.site("a").port("enp3s0").port("enp4s0").ip()
    (router.path / "etc/ppp/peers").mkdir(parents=True)
    for place in ("network/interfaces.d/odd", "wireguard/wg7.conf", "ppp/peers/odd"):
        make_odd(router.path / "etc" / place, kind)
    (router.path / "etc/network/interfaces.d/right").write_text("iface br9 inet manual\n")
    out = router.run(
        "for name in br9 br8; do if judge is_defined $name; then echo $name; fi; done\n"
        "judge wireguard_values wg7 Address; judge wireguard_values wg0 Address; if is_attached wg7; then echo attached; fi\n"
        "judge guess_remote wg7; if judge is_idle enp4s0; then echo idle; fi\njudge guess_local wg7 >&2 2>/dev/null; echo end"
    )
    assert out.split() == ["br9", "10.15.14.2/24", "idle", "end"]


KEYS = "[Interface]\nPrivateKey = y\nListenPort = 4900\n\n[Peer]\nPublicKey = x\nAllowedIPs = 10.0.0.0/8\n"
QUICK = KEYS.replace("y\n", "y\n  address = 10.0.0.1/24\n")
OURS = KEYS.replace("y\n", "y\nPostUp = l2wg up %i || :\nPostDown = /usr/bin/l2wg down %i || :\n")
STANZA = "auto wg0\niface wg0 inet static\n address 10.0.0.1/24\n pre-up ip link add $IFACE type wireguard\n "


@pytest.mark.parametrize(
    "text, stanza, quick",
    [
        (QUICK, "", True),
        (KEYS, "", False),
        (OURS, "", False),
        (KEYS + "Address = 10.0.0.1/24\n", "", False),
        (None, "", True),
        (QUICK, STANZA + "pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf\n", False),
        (QUICK, STANZA + "pre-up /usr/bin/wg addconf ${IFACE} /etc/wireguard/${IFACE}.conf", False),
        (QUICK, "iface br0 inet manual\n up wg syncconf wg0 /etc/wireguard/wg0.conf\n", False),
        (QUICK, STANZA + "use wireguard\n", False),
        (QUICK, STANZA + "use wireguard-quick\n", True),
        (QUICK, STANZA + "# pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf\n", True),
        (QUICK, STANZA.replace("wg0", "wg1") + "pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf\n", True),
    ],
)
def test_whose_file_it_is(router, text, stanza, quick):
    """The same table as Python's, as far as sh looks: what it does not see, `l2wg attach` sees."""
    (router.path / "etc/network/interfaces").write_text(stanza)
    if text is not None:
        (router.path / "etc/wireguard/wg0.conf").write_text(text)
    assert router.run("if judge is_for_wg_quick wg0; then echo yes; else echo no; fi") == ("yes\n" if quick else "no\n")


def test_a_unit_of_wg_quick_that_is_enabled(router):
    (router.path / "etc/wireguard/wg0.conf").write_text(KEYS)
    (router.path / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (router.path / "etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service").symlink_to("/lib/systemd/system/wg-quick@.service")
    assert router.run("if judge is_for_wg_quick wg0; then echo yes; else echo no; fi") == "yes\n"
