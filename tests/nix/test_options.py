"""Options against l2wg_hooks/config/schema.py, which decides on Debian and on the router: neither may drift from the other."""

import json
import re

import pytest
from conftest import HERE, SITE_A, TREE, but, tunnel
from l2wg_hooks.config import schema, tunnel_file
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.model import Tunnel

MORE = ["enable", "external", "settings"]  # not of the file
OFFERED = ["enable", "openFirewall", "package", "sites", "tunnels", "underlay"]

# key of the file: values that are right, values that are wrong
VALUES = {
    "underlay": (["wg0", "wg-b.1", "a" * 15, "0"], ["", "a" * 16, "wg0;reboot", "wg 0", ".", "..", "all", "default", "wg0/1", "wgé", "$(reboot)"]),
    "bridge": (["br0", "br-lan", "br_0"], ["", "a-bridge-with-a-long-name", "br0,br1"]),
    "local": (
        ["192.168.178.1", "10.0.0.0", "1.2.3.255", "fd00::1", "2001:db8::192.0.2.33", "::2", "1::", "1:2:3:4:5:6:7::", "A:b:C:d:E:f:1:2", "00ab::1"],
        [
            "", "192.168.178.1/24", "somewhere", "256.1.1.1", "1.2.3", "1.2.3.4.5", "192.168.01.1", "1.2.3.4 ", "0.0.0.0", "127.0.0.1",
            "127.255.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "169.254.1.1", "::", "::1", "fe80::1", "febf::1",
            "ff02::1", "fe80::1%eth0", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1::2::3", ":::", ":1:2:3:4:5:6:7", "12345::", "1:2:3:4:5:6:7:8::",
            "g::1", "::1.2.3", "::1.2.3.04", "1.2.3.4::", "::01.2.3.4",
        ],
    ),
    "remote": (
        ["192.168.92.1", "fec0::1", "169.253.255.255", "223.255.255.255", "fe7f::1", "192.168.92.1,192.168.93.1", "198.18.0.0/15", "fd00::/8", "10.0.0.0/31"],
        ["", "192.168.92.1,x", "230.0.0.1", "198.18.0.1/15", "198.18.0.1/32", "0.0.0.0/0", "::/0", "198.18.0.0/33", "198.018.0.0/15", "224.0.0.0/8", "127.0.0.0/9",
         "169.254.0.0/17", "fe80::/10", "ff00::/9", "192.0.0.0/2", "198.18.0.0/15,10.0.0.1", "/15", "a/15", "198.18.0.0/"],
    ),
    "bridge-ports": (["", "enp3s0", "enp3s0 enp4s0"], ["enp3s0;reboot", "a" * 16]),
    "bridge-address": (
        ["", "192.168.92.1/24", "192.168.92.1/1", "10.0.0.0/32", "10.0.0.0/31", "10.0.0.1/31", "169.254.1.1/16", "240.0.0.1/8",
         "fd00:92::1/64", "fe80::1/64", "fd00::ffff/112", "fd00::/127", "10.128.0.1/9", "10.0.255.255/8"],
        ["192.168.92.1", "192.168.92.0/24", "192.168.92.255/24", "10.255.255.255/8", "10.0.0.128/25", "192.168.92.1/33", "192.168.92.1/", "192.168.92.1/024",
         "fd00::1/064",
         "192.168.92.1/255.255.255.0", "192.168.092.1/24", "127.0.0.1/8", "0.0.0.0/32", "224.0.0.1/4", "fd00::/64", "fd00::1/129", "::/0", "::1/128",
         "ff02::1/16", "fd00:92::1%eth0/64", "/24", "a/24", "fd00:0:0:0:8000::/65"],
    ),
    "wire": (["shared", "own"], ["", "mine"]),
    "encapsulation": (["gretap", "vxlan"], ["", "gre", "GRETAP", "ip6gretap"]),
    "control": (["learning", "evpn"], ["", "bgp"]),
    "key": (["", "0", "4294967295"], ["-1", "4294967296", "$(reboot)", "0x1"]),
    "port": (["", "1", "4789", "65535"], ["0", "65536", "http"]),
    "mtu": (["576", "1500", "9216"], ["", "575", "9217", "70000", "1500.0", "jumbo"]),
    "mss-clamp": (["nftables", "iptables", "off"], ["", "on", "nft"]),
    "forward": (["as-is", "accept"], ["", "drop", "yes"]),
    "stp": (["yes", "no"], ["", "on", "true", "1"]),
    "dhcp": (["pass", "block"], ["", "blocked"]),
    "vlans": (
        ["all", "1", "4094", "10,20,30-39", "untagged", "untagged,10", "10-10", "0010"],
        ["", "none", "0", "4095", "10,4095", "39-30", "10,", ",10", "10;20", "10-20-30", "-5", "ALL", "all,10", "00010"],
    ),
    "isolated": (["yes", "no"], ["", "maybe"]),
    "storm-limit": (["off", "1", "1000000000"], ["", "0", "1000000001", "on", "10/s"]),
    "link-local": (["yes", "no"], ["", "y"]),
    "peer-down": (["nothing", "port"], ["", "ports", "yes"]),
    "site": (["", "b", "site-b", "a" * 32], ["-b", "b-", "a" * 33, "site b", "b.example.org", "$(reboot)"]),
}  # fmt: skip
NUMBERS = ("key", "port", "mtu", "storm-limit")
YES_NO = ("stp", "isolated", "link-local")


def camel(key):
    return re.sub("-(.)", lambda match: match.group(1).upper(), key)


def option_value(key, text):
    """What an admin writes in Nix for what stands in the file; where Nix has no such thing, the text itself."""
    if text == {"key": "", "port": "", "bridge-address": "", "storm-limit": "off"}.get(key):
        return None
    if key in NUMBERS and re.match(r"-?[0-9]+\Z", text):
        return int(text)
    if key in YES_NO and text in ("yes", "no"):
        return text == "yes"
    if key == "remote" and "," in text:
        return text.split(",")
    return text.split() if key == "bridge-ports" else text


def file_takes(key, text):
    try:
        schema.KEYS[key].parse(text)
    except schema.Refused:
        return False
    return not (key in schema.REQUIRED and not text)


@pytest.fixture(scope="module")
def options(nix, nixpkgs, tmp_path_factory):
    asked = [{"option": camel(key), "value": option_value(key, text)} for key, text, _ in CASES]
    path = tmp_path_factory.mktemp("values") / "values.json"
    path.write_text(json.dumps(asked))
    return nix.instantiate(HERE / "options.nix", nixpkgs=nixpkgs, values=path)


CASES = [(key, text, right) for key, sides in VALUES.items() for right, side in zip((True, False), sides) for text in side]


def test_every_key_of_the_file_is_an_option(options):
    assert options["keys"] == list(schema.KEYS), "and in the order of a new file"
    assert tuple(options["asked"]) == schema.ASKED
    assert options["names"] == [camel(key) for key in schema.KEYS]
    assert sorted(options["tunnel"]) == sorted(options["names"] + MORE)
    assert sorted(options["top"]) == OFFERED


def test_every_option_has_type_default_example_description(options):
    for name, facts in [*options["tunnel"].items(), *options["top"].items()]:
        assert facts["typed"] and facts["described"] and facts["exemplified"], name
    assert [name for name, facts in options["tunnel"].items() if not facts["defaulted"]] == sorted(schema.REQUIRED)
    assert all(facts["defaulted"] for facts in options["top"].values())


def test_defaults_are_those_of_the_file(options):
    for key, name in ((record.name, record.field) for record in schema.KEYS.values()):
        if key in schema.REQUIRED:
            continue
        default = Tunnel._field_defaults[name]
        got = options["tunnel"][camel(key)]["default"]
        unwritten = {"stp": False, "link-local": False, "bridge-address": ""}
        assert got == (None if key in unwritten and default == unwritten[key] else list(default) if key == "bridge-ports" else default), key


def test_encapsulations_are_those_of_debian(options):
    assert options["encapsulations"] == {
        name: {
            "kinds": {str(family): {"name": kind.name, "module": kind.module, "ownRoute": kind.own_route} for family, kind in encapsulation.kinds.items()},
            "udpPort": encapsulation.udp_port,
            "numberWord": encapsulation.number_word,
            "numberMax": encapsulation.number_max,
            "numberDefault": encapsulation.number_default,
            "exclusiveWords": encapsulation.exclusive_words,
        }
        for name, encapsulation in registry.ENCAPSULATIONS.items()
    }


def test_every_key_has_values_to_try():
    assert list(VALUES) == sorted(VALUES, key=list(VALUES).index) and set(VALUES) == set(schema.KEYS)


@pytest.mark.parametrize("index", range(len(CASES)), ids=["%s=%s" % case[:2] for case in CASES])
def test_both_take_the_same_values(options, index):
    key, text, right = CASES[index]
    assert file_takes(key, text) is right, "l2wg_hooks/config/schema.py"
    assert options["takes"][index] is right, "nix/options.nix"


def test_examples_are_right(evaluate, options):
    """All examples at once make a tunnel that both take, and what is in the file is what was said."""
    told = {name: facts["example"] for name, facts in options["tunnel"].items() if name in options["names"]}
    # It goes with no list of addresses, and no wire of its own: test_evpn_has_a_prefix.
    assert told.pop("control") == "evpn"
    got = evaluate(tunnel(but(SITE_A, {"networking.wg-quick": None}), told))  # since `wire = own` makes that interface
    assert got["failed"] == []
    wish, problems = tunnel_file.parse(got["files"]["l2wg/gretap1.conf"], "gretap1.conf", "gretap1")
    assert problems == ()
    for key, name in ((record.name, record.field) for record in schema.KEYS.values()):
        if key == "control":
            continue
        value = told[camel(key)]
        assert getattr(wish, name) == (tuple(value) if isinstance(value, list) else value), key
        assert key in wish.lines, "what is not the default is written"


EVPN = {"encapsulation": "vxlan", "control": "evpn", "remote": "192.168.92.0/24"}


def test_evpn_has_a_prefix(evaluate):
    got = evaluate(tunnel(SITE_A, EVPN))
    assert got["failed"] == []
    wish, problems = tunnel_file.parse(got["files"]["l2wg/gretap1.conf"], "gretap1.conf", "gretap1")
    assert problems == () and (wish.control, wish.senders) == ("evpn", "192.168.92.0/24")


@pytest.mark.parametrize(
    "more, said",
    [
        ({"control": "learning"}, "is a prefix, and only with control"),
        ({"remote": "192.168.92.1"}, "remote says where these may be: a prefix"),
        ({"remote": "fd00::/8"}, "is of another family than local"),
        ({"encapsulation": "gretap"}, "evpn is for a vxlan"),
        ({"wire": "own"}, "in one network namespace"),
        ({"peerDown": "port"}, "nobody can tell who has to answer"),
    ],
)
def test_what_evpn_cannot_have_is_refused(evaluate, more, said):
    got = evaluate(tunnel(SITE_A, dict(EVPN, **more)))
    assert any(said in text and "cure:" in text for text in got["failed"])


def test_the_file_is_the_one_that_debian_writes(evaluate, options):
    """`l2wg set` with the same values, but for the comment at the top."""
    values = {"underlay": "wg0", "local": "192.168.178.1", "remote": "192.168.92.1", "bridge": "br0", "bridge-ports": "enp3s0 enp4s0"}
    values.update({"mtu": "1400", "vlans": "untagged,10", "storm-limit": "100", "isolated": "yes", "stp": "no", "key": "7"})
    told = {camel(key): option_value(key, text) for key, text in values.items()}
    (text,) = evaluate(tunnel(SITE_A, told))["files"].values()
    assert text.split("\n")[1:] == tunnel_file.fresh("gretap1", values).split("\n")[1:]
    assert text.startswith("#")


def test_further_keys_come_from_settings(evaluate):
    (text,) = evaluate(tunnel(SITE_A, {"settings": {"some-new-key": True, "a-list": ["x", "y"]}}))["files"].values()
    assert text.endswith("\na-list         = x y\nsome-new-key   = yes\n")


def test_every_nix_file_parses(nix):
    files = sorted(path for folder in ("nix", "tests/nix") for path in (TREE / folder).rglob("*.nix")) + list(TREE.glob("*.nix"))
    assert len(files) > 10
    nix.run("nix-instantiate", "--parse", *files)


@pytest.mark.parametrize("broken, said", [
    ({"underlay": "wg0;reboot"}, ["services.l2wg.tunnels.gretap1.underlay", "wg0;reboot", "interface name (letters, digits"]),
    ({"mtu": 70000}, ["services.l2wg.tunnels.gretap1.mtu", "70000", "576", "9216"]),
    ({"remote": "192.168.92.1/24"}, ["services.l2wg.tunnels.gretap1.remote", "192.168.92.1/24", "without prefix length"]),
    ({"local": None}, ["services.l2wg.tunnels.gretap1.local", "defined"]),
])  # fmt: skip
def test_what_is_refused_is_named(evaluate, broken, said):
    text = evaluate(tunnel(SITE_A, broken), fails=True)
    assert [words for words in said if words not in text] == []


@pytest.mark.parametrize("key, meant", [
    ("bridge-ports", "bridgePorts"),
    ("bridge_ports", "bridgePorts"),
    ("bridgeports", "bridgePorts"),
    ("BridgePorts", "bridgePorts"),
    ("bridgePort", "bridgePorts"),
    ("ports", "bridgePorts or port"),
    ("address", "bridgeAddress"),
    ("storm-limit", "stormLimit"),
    ("remot", "remote"),
    ("encap", "encapsulation"),
    ("mss", "mssClamp"),
    ("vlan", "vlans"),
    ("bridge-adress", "bridgeAddress"),
    ("Local", "local"),
    ("enabled", "enable"),
])  # fmt: skip
def test_a_misspelt_key_says_which_is_meant(evaluate, key, meant):
    """Also where it is one that has to be there, or one that the rest of NixOS would ask for."""
    wrong = {key: "x"} if meant not in ("remote", "local") else {key: "192.168.92.1", meant: None}
    (message,) = evaluate(tunnel(SITE_A, wrong))["failed"]
    assert message == "services.l2wg.tunnels.gretap1.%s: there is no such option\n  cure: write %s" % (key, meant)


def test_a_key_that_means_nothing_gets_the_list(evaluate, options):
    (message,) = evaluate(tunnel(SITE_A, {"colour": "blue"}))["failed"]
    assert message.startswith("services.l2wg.tunnels.gretap1.colour: there is no such option\n  cure: the options are ")
    assert all(name in message for name in options["tunnel"]) and message.endswith("l2wg.conf(5) go into settings")
