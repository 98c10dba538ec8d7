"""What is built all the same, but said: a tunnel's end without a route, or with one that leads elsewhere; a bridge that others serve."""

import pytest
from conftest import SITE_A, SITE_B, but

T = "services.l2wg.tunnels.gretap1."
WG0 = "networking.wg-quick.interfaces.wg0."
PEER = {"PublicKey": "x", "AllowedIPs": ["192.168.92.0/24"]}
NETWORKD = {"networking.wg-quick": None, "systemd.network.enable": True}
LOOSE = {"networking.firewall.checkReversePath": "loose"}


def netdev(table=None, of_peer=None):
    """A WireGuard interface of networkd's, with the tables that its routes go into."""
    config = dict({"PrivateKeyFile": "/k"}, **({} if table is None else {"RouteTable": table}))
    peer = dict(PEER, **({} if of_peer is None else {"RouteTable": of_peer}))
    made = {"netdevConfig": {"Name": "wg0", "Kind": "wireguard"}, "wireguardConfig": config, "wireguardPeers": [peer]}
    return dict(NETWORKD, **{"systemd.network.netdevs.30-wg": made})


def scripted(**more):
    made = dict({"privateKeyFile": "/k", "peers": [{"publicKey": "x", "allowedIPs": ["192.168.92.0/24"]}]}, **more)
    return {"networking.wg-quick": None, "networking.wireguard.interfaces.wg0": made}


def network(**more):
    """... and its .network file."""
    return dict(netdev(), **{"systemd.network.networks.40-wg": dict({"matchConfig": {"Name": "wg*"}}, **more)})


NO_ROUTE = {
    "wg-quick, off": ({WG0 + "table": "off"}, ['wg0.table = "off"', "leave table out"]),
    "wg-quick, another table": ({WG0 + "table": "1234"}, ['wg0.table = "1234"']),
    "scripts, no routes": (scripted(allowedIPsAsRoutes=False), ["allowedIPsAsRoutes = false", "leave allowedIPsAsRoutes out"]),
    "scripts, another table": (scripted(table="1234"), ['wg0.table = "1234"']),
    "networkd, no table": (netdev(), ["30-wg.wireguardConfig has no RouteTable", '30-wg.wireguardConfig.RouteTable = "main"']),
    "networkd, off": (netdev("off"), ['RouteTable = "off"']),
    "networkd, false": (netdev(False), ["RouteTable = false"]),
    "networkd, another table": (netdev(1234), ["RouteTable = 1234"]),
    "networkd, off for the peer": (netdev("main", "off"), ['RouteTable = "off"']),
    "networkd, the file's address elsewhere": (network(address=["10.15.14.2/24"]), ["no RouteTable"]),
}  # fmt: skip
ROUTE = {
    "wg-quick": {},
    "wg-quick, auto": {WG0 + "table": "auto"},
    "wg-quick, everything": {WG0 + "peers": [{"publicKey": "x", "allowedIPs": ["0.0.0.0/0"]}]},
    "wg-quick, off, but a command": {WG0 + "table": "off", WG0 + "postUp": "ip route add 192.168.92.0/24 dev wg0"},
    "wg-quick, off, but a command for all": {WG0 + "table": "off", "networking.localCommands": "ip route add 192.168.92.0/24 dev wg0"},
    "wg-quick, off, but the interface's own network": {WG0 + "table": "off", WG0 + "address": ["192.168.92.77/24"]},
    "wg-quick, off, but NixOS' route": {
        WG0 + "table": "off",
        "networking.interfaces.wg0.ipv4.routes": [{"address": "192.168.92.0", "prefixLength": 24}],
    },
    "scripts": scripted(),
    "networkd": netdev("main"),
    "networkd, by number": netdev(254),
    "networkd, for the peer": netdev("off", "main"),
    "networkd, by the file's address": network(address=["192.168.92.77/24"]),
    "networkd, by the file's section": network(addresses=[{"Address": "192.168.92.77/24"}]),
    "networkd, by the file's route": network(routes=[{"Destination": "192.168.92.0/24"}]),
    "networkd, by a rule": dict(network(routingPolicyRules=[{"Table": 1234}]), **{"systemd.network.netdevs.30-wg": netdev(1234)["systemd.network.netdevs.30-wg"]}),
    "said to be another program's": {WG0 + "table": "off", T + "external": ["route"]},
    "not to be seen": {"networking.wg-quick.interfaces.wg0": {"configFile": "/etc/wg0.conf", "table": "off"}},
}  # fmt: skip


def warnings(evaluate, changes, config=SITE_A):
    got = evaluate(but(config, changes))
    assert got["failed"] == []
    return got["warnings"]


@pytest.mark.parametrize("case", NO_ROUTE)
def test_an_end_that_no_route_leads_to(evaluate, case):
    changes, words = NO_ROUTE[case]
    (text,) = warnings(evaluate, changes)
    fact, cure = text.split("\n  cure: ")
    assert fact.startswith(T + "remote: AllowedIPs cover 192.168.92.1, but no route leads there through wg0 (")
    assert fact.endswith("and networking.firewall.checkReversePath drops what comes from there: nothing crosses")
    assert words[0] in fact and all(word in text for word in words), text
    assert cure.endswith('or, if another program makes it, external = [ "route" ]')


@pytest.mark.parametrize("case", ROUTE)
def test_an_end_that_a_route_leads_to(evaluate, case):
    assert warnings(evaluate, ROUTE[case]) == []


@pytest.mark.parametrize("changes, words", [
    ({}, "networking.firewall.checkReversePath drops what comes"),
    ({"networking.firewall.checkReversePath": "strict"}, "networking.firewall.checkReversePath drops what comes"),
    (LOOSE, 'networking.firewall.checkReversePath = "loose" lets in what comes from there only while there is a default route'),
    ({"networking.firewall.checkReversePath": False}, "this router's own packets to it go elsewhere"),
    ({"networking.firewall.enable": False}, "this router's own packets to it go elsewhere"),
    (dict(LOOSE, **{"boot.kernel.sysctl": {"net.ipv4.conf.all.rp_filter": 1}}), "and rp_filter drops what comes"),
    (dict(LOOSE, **{"boot.kernel.sysctl": {"net.ipv4.conf.wg0.rp_filter": "1"}}), "and rp_filter drops what comes"),
    ({"networking.firewall.enable": False, "boot.kernel.sysctl": {"net.ipv4.conf.wg0.rp_filter": 1, "net.ipv4.conf.all.rp_filter": 2}}, "go elsewhere"),
], ids=["default", "strict", "loose", "off", "no firewall", "kernel", "kernel, the interface", "the kernel takes the larger one"])  # fmt: skip
def test_what_comes_of_it(evaluate, changes, words):
    (text,) = warnings(evaluate, dict({WG0 + "table": "off"}, **changes))
    assert words in text


ADDRESS = "networking.interfaces.enp2s0.ipv4.addresses"


@pytest.mark.parametrize("changes, path", [
    ({ADDRESS: [{"address": "192.168.92.7", "prefixLength": 24}]}, "networking.interfaces.enp2s0"),
    ({ADDRESS: [{"address": "192.168.92.7", "prefixLength": 29}]}, "networking.interfaces.enp2s0"),
    ({T + "bridgeAddress": "192.168.92.254/24"}, "networking.interfaces.br0"),
    ({"systemd.network.enable": True, "systemd.network.networks.50-x": {"matchConfig": {"Name": "enp4s0"}, "address": ["192.168.92.7/24"]}},
     "systemd.network.networks.50-x"),
    ({"networking.interfaces.enp4s0.ipv4.routes": [{"address": "192.168.92.0", "prefixLength": 25}]}, "networking.interfaces.enp4s0"),
], ids=["same LAN", "a part of it", "by the bridge itself", "networkd", "a route"])  # fmt: skip
def test_an_end_that_another_interface_has_the_way_to(evaluate, changes, path):
    (text,) = warnings(evaluate, changes)
    assert text.startswith(T + "remote: 192.168.92.1 also lies in a network of %s, so answers to it leave there, not through wg0, and " % path)
    assert "checkReversePath drops what comes" in text


@pytest.mark.parametrize("changes", [
    {ADDRESS: [{"address": "192.168.92.7", "prefixLength": 16}]},
    {ADDRESS: [{"address": "192.168.93.7", "prefixLength": 24}]},
    {ADDRESS: [{"address": "192.168.92.7", "prefixLength": 24}], WG0 + "peers": [{"publicKey": "x", "allowedIPs": ["192.168.92.1/32"]}]},
], ids=["larger", "another", "one address by WireGuard"])  # fmt: skip
def test_an_end_whose_way_is_the_underlays_all_the_same(evaluate, changes):
    assert warnings(evaluate, changes) == []


def bridge(match, **more):
    file = {"systemd.network.networks.10-x": dict({"matchConfig": match}, **more)}
    return dict({"networking.useNetworkd": True, "networking.useDHCP": False, T + "external": ["route"]}, **file)


@pytest.mark.parametrize("changes, words", [
    (bridge({"Name": "br*"}, networkConfig={"DHCP": "yes"}), "10-x (br*) is networkd's file for br0, and has this router take an address from the other site"),
    (bridge({"Kind": "bridge"}, networkConfig={"DHCP": "yes"}), "10-x (by its type)"),
    (bridge({"Name": "br0"}, networkConfig={"Address": "10.9.9.1/24"}), "has this router take a default route by IPv6"),
    (bridge({"Name": "br0"}, linkConfig={"MTUBytes": "1500"}), "has this router take a default route by IPv6 from the other site"),
])  # fmt: skip
def test_networkd_with_another_file_for_our_bridge(evaluate, changes, words):
    (text,) = warnings(evaluate, changes)
    assert text.startswith(T + "bridge: systemd.network.networks.") and words in text and "IPv6AcceptRA = false" in text


@pytest.mark.parametrize("changes", [
    bridge({"Name": "br0"}, networkConfig={"IPv6AcceptRA": False}),
    bridge({"Name": "br0"}, networkConfig={"Address": "10.9.9.1/24", "IPv6AcceptRA": True}),
    bridge({"Name": "br0"}, networkConfig={"LinkLocalAddressing": "no"}),
    bridge({"Name": "br0"}, networkConfig={"DHCP": "yes"}),
    bridge({"Name": "br0"}, linkConfig={"Unmanaged": True}),
    bridge({"Name": "br1"}, networkConfig={"DHCP": "yes"}),
], ids=["no advertisements", "the admin's word", "no IPv6", "DHCP for it by name", "unmanaged", "another"])  # fmt: skip
def test_networkd_with_a_right_file_for_our_bridge(evaluate, changes):
    assert warnings(evaluate, changes) == []


def test_a_vlan_on_a_port(evaluate):
    (text,) = warnings(evaluate, {"networking.vlans.lan10": {"id": 10, "interface": "enp3s0"}})
    assert text.startswith(T + "bridgePorts: enp3s0 has a VLAN of its own: tagged frames for lan10 do not cross")
    assert warnings(evaluate, {"networking.vlans.lan10": {"id": 10, "interface": "br0"}}) == []


def test_the_reference_case_has_none(evaluate):
    assert warnings(evaluate, {}) == warnings(evaluate, {}, SITE_B) == []
