"""What evaluation refuses, beyond types: the option, its value, what is wrong, the cure."""

import json

import pytest
from conftest import HERE, SITE_A, SITE_B, but, tunnel
from l2wg_hooks.config import conflicts, schema, tunnel_file

T = "services.l2wg.tunnels."
EXTERNAL = {"external": ["underlay", "bridge"]}
ONE = dict(underlay="wg0", local="10.0.0.1", remote="10.0.0.2", bridge="br0", **EXTERNAL)
PORTS = dict(ONE, bridgePorts=["enp3s0"])
OTHER = dict(ONE, key=1, bridge="br1", bridgePorts=["enp4s0"])
CROWD = ["p%d" % number for number in range(1022)]
LIST = dict(ONE, encapsulation="vxlan", remote=["10.0.0.2", "10.0.0.3"])
V6 = dict(ONE, local="fd00::1", remote="fd00::2")

# Tunnels of one router, each with the options (tunnel.option) that are to be refused, as the file's keys.
TUNNELS = [
    ("right", {"t1": ONE, "t2": dict(ONE, key=1), "t3": dict(PORTS, remote="10.0.0.3")}, []),
    ("local is remote", {"t1": dict(ONE, remote="10.0.0.1")}, ["t1.remote"]),
    ("local is remote, written otherwise", {"t1": dict(V6, remote="fd00:0::0001")}, ["t1.remote"]),
    ("two families", {"t1": dict(ONE, remote="fd00::2")}, ["t1.remote"]),
    ("VNI", {"t1": dict(ONE, encapsulation="vxlan", key=2 ** 24)}, ["t1.key"]),
    ("largest VNI", {"t1": dict(ONE, encapsulation="vxlan", key=2 ** 24 - 1), "t2": dict(ONE, key=2 ** 24)}, []),
    ("STP of a foreign bridge", {"t1": dict(ONE, stp=True)}, ["t1.stp"]),
    ("no STP of a foreign bridge", {"t1": dict(ONE, stp=False)}, []),
    ("underlay is the tunnel", {"t1": dict(ONE, underlay="t1")}, ["t1.underlay"]),
    ("bridge is the tunnel", {"t1": dict(ONE, bridge="t1")}, ["t1.bridge"]),
    ("bridge is the underlay", {"t1": dict(ONE, bridge="wg0")}, ["t1.bridge"]),
    ("the underlay as port", {"t1": dict(ONE, bridgePorts=["wg0"])}, ["t1.bridge-ports"]),
    ("the bridge as port", {"t1": dict(ONE, bridgePorts=["br0"])}, ["t1.bridge-ports"]),
    ("the tunnel as port", {"t1": dict(ONE, bridgePorts=["t1"])}, ["t1.bridge-ports"]),
    ("lo as port", {"t1": dict(ONE, bridgePorts=["enp3s0", "lo"])}, ["t1.bridge-ports"]),
    ("a port twice", {"t1": dict(ONE, bridgePorts=["enp3s0", "enp3s0"])}, ["t1.bridge-ports"]),
    ("address of a foreign bridge", {"t1": dict(ONE, bridgeAddress="10.9.0.1/24")}, ["t1.bridge-address"]),
    ("same ends", {"t1": ONE, "t2": ONE}, ["t2.remote"]),
    ("same ends and key", {"t1": dict(ONE, key=0), "t2": dict(ONE, key=0)}, ["t2.remote"]),
    ("key 0 is a key", {"t1": ONE, "t2": dict(ONE, key=0)}, []),
    ("same ends by another underlay", {"t1": ONE, "t2": dict(ONE, underlay="wg1")}, []),
    ("same ends, IPv6, by another underlay", {"t1": V6, "t2": dict(V6, underlay="wg1")}, ["t2.underlay"]),
    ("other ends, IPv6, by another underlay", {"t1": V6, "t2": dict(V6, underlay="wg1", remote="fd00::3")}, []),
    ("same ends, IPv6, by another underlay and VXLAN", {"t1": V6, "t2": dict(V6, underlay="wg1", encapsulation="vxlan")}, []),
    ("two wires of one underlay", {"t1": ONE, "t2": dict(ONE, key=1, wire="own")}, ["t2.wire"]),
    ("the same ends by two wires", {"t1": V6, "t2": dict(V6, underlay="l2w0", wire="own", external=["bridge"])}, []),
    ("a VNI twice", {"t1": dict(ONE, encapsulation="vxlan"), "t2": dict(ONE, encapsulation="vxlan", remote="10.0.0.3", key=1)}, ["t2.remote"]),
    ("a list", {"t1": LIST}, []),
    ("a list of one", {"t1": dict(LIST, remote=["10.0.0.2"])}, []),
    ("a list for gretap", {"t1": dict(LIST, encapsulation="gretap")}, ["t1.remote"]),
    ("a list with this end", {"t1": dict(LIST, remote=["10.0.0.2", "10.0.0.1"])}, ["t1.remote"]),
    ("a list of two families", {"t1": dict(LIST, remote=["10.0.0.2", "fd00::2"])}, ["t1.remote"]),
    ("one twice in a list", {"t1": dict(LIST, remote=["10.0.0.2", "10.0.0.2"])}, ["t1.remote"]),
    ("a second tunnel to one of a list", {"t1": LIST, "t2": dict(ONE, remote="10.0.0.3")}, ["t2.remote"]),
    ("a second one, isolated", {"t1": dict(LIST, isolated=True), "t2": dict(ONE, remote="10.0.0.3", isolated=True)}, []),
    ("a second one, in another bridge", {"t1": LIST, "t2": dict(ONE, remote="10.0.0.3", bridge="br1")}, []),
    ("one of a list by another underlay", {"t1": LIST, "t2": dict(LIST, key=2, bridge="br1", underlay="wg1", remote=["10.0.0.3", "10.0.0.4"])}, ["t2.underlay"]),
    ("a VNI in two families", {"t1": dict(ONE, encapsulation="vxlan"), "t2": dict(V6, encapsulation="vxlan")}, []),
    ("a port in two bridges", {"t1": PORTS, "t2": dict(PORTS, remote="10.0.0.3", bridge="br1")}, ["t2.bridge-ports"]),
    ("a port of one bridge twice", {"t1": PORTS, "t2": dict(PORTS, remote="10.0.0.3")}, []),
    ("a tunnel as port", {"t1": ONE, "t2": dict(ONE, remote="10.0.0.3", bridgePorts=["t1"])}, ["t2.bridge-ports"]),
    ("a tunnel as underlay", {"t1": ONE, "t2": dict(ONE, remote="10.0.0.3", underlay="t1")}, ["t2.underlay"]),
    ("a tunnel as bridge", {"t1": ONE, "t2": dict(ONE, remote="10.0.0.3", bridge="t1")}, ["t2.bridge"]),
    ("two addresses", {"t1": dict(PORTS, bridgeAddress="10.9.0.1/24"), "t2": dict(PORTS, key=1, bridgeAddress="10.9.0.2/24")}, ["t2.bridge-address"]),
    ("addresses of two bridges", {"t1": dict(PORTS, bridgeAddress="10.9.0.1/24"), "t2": dict(OTHER, bridgeAddress="10.9.0.2/24")}, []),
    ("an address in one of two", {"t1": dict(PORTS, bridgeAddress="10.9.0.1/24"), "t2": dict(PORTS, key=1)}, []),
    ("STP or not", {"t1": dict(PORTS, stp=True), "t2": dict(PORTS, key=1, stp=False)}, ["t2.stp"]),
    ("STP in one of two", {"t1": dict(PORTS, stp=True), "t2": dict(PORTS, key=1)}, []),
    ("LLDP or not", {"t1": dict(PORTS, linkLocal=True), "t2": dict(PORTS, key=1, linkLocal=False)}, ["t2.link-local"]),
    ("LLDP of another bridge", {"t1": dict(PORTS, linkLocal=True), "t2": dict(OTHER, linkLocal=False)}, []),
    ("a bridge of 1,023 ports", {"t1": dict(ONE, bridgePorts=CROWD[:1021]), "t2": dict(PORTS, key=1, bridgePorts=CROWD[:3]), "t3": dict(OTHER, key=2)}, []),
    ("a bridge of 1,024 ports", {"t1": dict(ONE, bridgePorts=CROWD), "t2": dict(ONE, key=1), "t3": dict(OTHER, key=2)}, ["t2.bridge"]),
    ("a bridge of one port too many by one tunnel", {"t1": dict(ONE, bridgePorts=CROWD + ["enp3s0"]), "t2": dict(ONE, key=1)}, ["t1.bridge"]),
    ("16 bytes", {"a" * 16: ONE}, ["a" * 16 + "."]),
    ("15 bytes", {"a" * 15: ONE}, []),
    ("no interface name", {"t 1": ONE}, ["t 1."]),
    ("a dot", {".": ONE}, [".."]),
    ("the kernel's own", {"gretap0": ONE}, ["gretap0."]),
]  # fmt: skip


def said(problem):
    """tunnel.key of a Problem."""
    return "%s.%s" % (problem.path[: -len(".conf")], problem.key)


def camel(key):
    head, *tail = key.split("-")
    return head + "".join(word.title() for word in tail)


@pytest.mark.parametrize("tunnels, wrong", [case[1:] for case in TUNNELS], ids=[case[0] for case in TUNNELS])
def test_both_refuse_the_same_tunnels(evaluate, tunnels, wrong):
    """The files that are made of them are read by l2wg_hooks/config/schema.py, too."""
    got = evaluate({"services": {"l2wg": {"enable": True, "tunnels": tunnels}}})
    read = {name: tunnel_file.parse(got["files"]["l2wg/%s.conf" % name], name + ".conf", name) for name in tunnels}
    problems = [problem for _, found in read.values() for problem in found]
    problems += conflicts.between([wish for wish, _ in read.values() if wish])
    assert sorted({said(problem) for problem in problems}) == wrong, "l2wg_hooks/config/schema.py"
    refused = sorted({message.split(": ")[0] for message in got["failed"]})
    assert refused == [(T + name.rpartition(".")[0] + "." + camel(name.rpartition(".")[2])).rstrip(".") if name != ".." else T + "." for name in wrong]
    assert all("\n  cure: " in message for message in got["failed"])


def test_every_name_of_the_kernel_is_refused(evaluate):
    tunnels = {name: dict(ONE, key=index) for index, name in enumerate(schema.KERNEL_NAMES)}
    failed = evaluate({"services": {"l2wg": {"enable": True, "tunnels": tunnels}}})["failed"]
    refused = {message.split(": ")[0][len(T) :] for message in failed if "device of the kernel's own" in message}
    assert refused == set(schema.KERNEL_NAMES)


def test_the_reference_case_is_right(evaluate):
    assert evaluate(SITE_A)["failed"] == []
    assert evaluate(SITE_B)["failed"] == []


def failed(got):
    (message,) = got["failed"]
    return message


def test_a_name_that_a_unit_of_all_tunnels_has(evaluate):
    one = SITE_B["services"]["l2wg"]["tunnels"]["gretap1"]
    message = failed(evaluate(but(SITE_B, {"services.l2wg.tunnels": {"watch": one}})))
    assert message.startswith(T + "watch: l2wg-watch.service, which looks after all tunnels, ") and "\n  cure: choose another name" in message


def test_a_bridge_that_nobody_defines(evaluate):
    message = failed(evaluate(but(SITE_B, {"networking.bridges": None, "networking.interfaces": None})))
    assert message.startswith(T + "gretap1.bridge: br0 is defined nowhere, and bridgePorts is empty\n  cure: ")
    assert all(words in message for words in ("bridgePorts", "networking.bridges.br0", 'external = [ "bridge" ]'))


@pytest.mark.parametrize("changes", [
    {"systemd.network.netdevs": {"20-lan": {"netdevConfig": {"Name": "br0", "Kind": "bridge"}}}},
    {T + "gretap1.external": ["bridge"]},
    {T + "gretap1.enable": False},
    {"services.l2wg.enable": False},
])  # fmt: skip
def test_a_bridge_of_somebody_elses(evaluate, changes):
    bare = but(SITE_B, {"networking.bridges": None, "networking.interfaces": None})
    assert evaluate(but(bare, changes))["failed"] == []


def test_a_netdev_of_another_kind_is_no_bridge(evaluate):
    bond = {"systemd.network.netdevs": {"20-lan": {"netdevConfig": {"Name": "br0", "Kind": "bond"}}}}
    assert len(evaluate(but(SITE_B, dict(bond, **{"networking.bridges": None, "networking.interfaces": None})))["failed"]) == 1


def test_an_underlay_that_nobody_knows(evaluate):
    message = failed(evaluate(but(SITE_A, {"networking.wg-quick": None})))
    assert message.startswith(T + "gretap1.underlay: wg0 is in none of networking.wg-quick.interfaces, ")
    assert "networking.wireguard.interfaces" in message and 'external = [ "underlay" ]' in message.split("cure: ")[1]


def test_a_netdev_of_another_kind_is_no_underlay(evaluate):
    dummy = {"networking.wg-quick": None, "systemd.network.netdevs.30-wg": {"netdevConfig": {"Name": "wg0", "Kind": "dummy"}}}
    assert "gretap1.underlay: wg0 is in none of" in failed(evaluate(but(SITE_A, dummy)))


PEERS = [["10.15.14.0/24"], ["192.168.92.0/24"]]
QUICK = {"networking.wg-quick.interfaces.wg0.peers": [{"publicKey": "x", "allowedIPs": nets} for nets in PEERS]}
SCRIPTED = {
    "networking.wg-quick": None,
    "networking.wireguard.interfaces.wg0": {"privateKeyFile": "/k", "peers": [{"publicKey": str(n), "allowedIPs": p} for n, p in enumerate(PEERS)]},
}
NETDEV = {"netdevConfig": {"Name": "wg0", "Kind": "wireguard"}, "wireguardConfig": {"PrivateKeyFile": "/k"}}
NETWORKD = {
    "networking.wg-quick": None,
    "systemd.network.enable": True,
    "systemd.network.netdevs.30-wg": dict(NETDEV, wireguardPeers=[{"PublicKey": "x", "AllowedIPs": nets} for nets in PEERS]),
}
# Before NixOS 24.11.
OLDER = dict(NETWORKD, **{
    "systemd.network.netdevs.30-wg": dict(NETDEV, wireguardPeers=[{"wireguardPeerConfig": {"AllowedIPs": "10.15.14.0/24, 192.168.92.0/24,fd00::/64"}}]),
})  # fmt: skip
BACKENDS = {"wg-quick": QUICK, "networking.wireguard": SCRIPTED, "networkd": NETWORKD, "networkd of 24.05": OLDER}


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_is_known_with_the_networks_of_its_peers(evaluate, nixpkgs, backend):
    if "24.05" in backend and nixpkgs != "null":
        pytest.skip("the real module of today takes no such peers")
    assert evaluate(but(SITE_A, BACKENDS[backend]))["failed"] == []
    strange = json.loads(json.dumps(BACKENDS[backend]).replace("192.168.92.0/24", "192.168.93.0/24"))
    message = failed(evaluate(but(SITE_A, strange)))
    assert message.startswith(T + "gretap1.remote: AllowedIPs of no peer of wg0 cover 192.168.92.1 (they are: 10.15.14.0/24 192.168.93.0/24")
    assert 'cure: add "192.168.92.1/32" to the allowedIPs of the peer' in message


def test_peers_that_are_not_to_be_seen_are_not_judged(evaluate):
    hidden = {"networking.wg-quick.interfaces.wg0": {"configFile": "/etc/wg0.conf"}}
    assert evaluate(but(SITE_A, hidden))["failed"] == []


COVERS = [
    ("192.168.92.1", "192.168.92.1", True),
    ("192.168.92.1", "192.168.92.1/32", True),
    ("192.168.92.1", "0.0.0.0/0", True),
    ("192.168.92.1", "192.168.92.2/31", False),
    ("192.168.92.1", "192.168.92.255/24", True),
    ("192.168.92.1", "192.168.64.0/18", True),
    ("192.168.92.1", "192.168.96.0/19", False),
    ("192.168.92.1", "192.168.80.0/20", True),
    ("192.168.92.1", "64.0.0.0/2", False),
    ("192.168.92.1", "128.0.0.0/1", True),
    ("192.168.92.1", "::/0", False),
    ("fd00:92::1", "0.0.0.0/0", False),
    ("fd00:92::1", "::/0", True),
    ("fd00:92::1", "fd00:92::/64", True),
    ("fd00:92::1", "fd00:92::1", True),
    ("fd00:92::1", "fd00:92::2/128", False),
    ("fd00:92::1", "fd00:90::/31", False),
    ("fd00:92::1", "fd00:90::/30", True),
    ("fd00:92::1", "fd00:92::2/126", True),
    ("fd00:92::1", "fc00::/7", True),
    ("fd00:92::1", "8000::/1", True),
    ("fd00:92::1", "fd00:92:8000::/33", False),
]  # fmt: skip


def test_a_network_covers_what_python_says(nix):
    """Containment alone, without lib: what l2wg_hooks/check/runner.py asks ipaddress for."""
    import ipaddress

    rows = " ".join('(ip.covers (ip.network "%s") (ip.address "%s"))' % (net, address) for address, net, _ in COVERS)
    got = json.loads(nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", "let ip = import %s/nix/addresses.nix; in [ %s ]" % (HERE.parents[1], rows)))
    for (address, net, covers), nixes in zip(COVERS, got):
        assert (ipaddress.ip_address(address) in ipaddress.ip_network(net, strict=False)) is covers, (address, net)
        assert nixes is covers, (address, net)


@pytest.mark.parametrize("interface", [
    {"ipv4": {"addresses": [{"address": "192.168.7.1", "prefixLength": 24}]}},
    {"ipv6": {"addresses": [{"address": "fd00:7::1", "prefixLength": 64}]}},
    {"useDHCP": True},
])  # fmt: skip
def test_a_port_with_an_address(evaluate, interface):
    message = failed(evaluate(but(SITE_A, {"networking.interfaces.enp3s0": interface})))
    assert message.startswith(T + "gretap1.bridgePorts: enp3s0 carries an address (networking.interfaces.enp3s0), and whoever uses it")


@pytest.mark.parametrize("told, words", [
    ({"mtu": 1400}, ["mtu has an option of its own", "set services.l2wg.tunnels.gretap1.mtu instead"]),
    ({"storm-limit": 5}, ["services.l2wg.tunnels.gretap1.stormLimit"]),
    ({"stormLimit": 5}, ["stormLimit has an option of its own", "set services.l2wg.tunnels.gretap1.stormLimit instead"]),
    ({"newer": "a\nmtu = 9"}, ["newer: no `key = value` of one line"]),
    ({"newer": "a # b"}, ["without # and line breaks"]),
    ({"New Key": "a"}, ["New Key: no `key = value`"]),
])  # fmt: skip
def test_settings_are_for_further_keys(evaluate, told, words):
    message = failed(evaluate(tunnel(SITE_A, {"settings": told})))
    assert message.startswith(T + "gretap1.settings: ") and all(word in message for word in words)
