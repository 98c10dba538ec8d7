"""Interfaces that something else in the configuration makes, takes for a port, or gives an address: refused, with the option that does."""

import pytest
from conftest import SITE_A, SITE_B, but, tunnel

T = "services.l2wg.tunnels.gretap1"
RUNS = {"networking.useNetworkd": True, "networking.useDHCP": False}
# networkd beside NixOS' own scripts.
BESIDE = {"systemd.network.enable": True}
NETDEVS = "systemd.network.netdevs."
NETWORKS = "systemd.network.networks."
ADDRESS = {"networkConfig": {"Address": "10.9.9.1/24"}}
DHCP = {"networkConfig": {"DHCP": "yes"}}


def netdev(name, kind):
    return {"netdevConfig": {"Name": name, "Kind": kind}}


def network(match, **more):
    return dict({"matchConfig": match if isinstance(match, dict) else {"Name": match}}, **more)


def vswitch(port, **more):
    return {"interfaces": {port: more}}


# What is refused: the changes to site A, the option, and words of the message, the first of which say who else it is.
WRONG = {
    # The tunnel's name
    "a gretap of NixOS'": ({"networking.greTunnels.gretap1": {"type": "tap", "remote": "10.0.0.2"}}, "", ["networking.greTunnels.gretap1", "another name"]),
    "a netdev": (dict(BESIDE, **{NETDEVS + "20-x": netdev("gretap1", "dummy")}), "", ["systemd.network.netdevs.20-x"]),
    "a bond of the name": ({"networking.bonds.gretap1": {"interfaces": ["enp8s0"]}}, "", ["networking.bonds.gretap1"]),
    "a VLAN of the name": ({"networking.vlans.gretap1": {"id": 7, "interface": "enp8s0"}}, "", ["networking.vlans.gretap1"]),
    "a macvlan of the name": ({"networking.macvlans.gretap1": {"interface": "enp8s0"}}, "", ["networking.macvlans.gretap1"]),
    "a bridge of the name": ({"networking.bridges.gretap1": {"interfaces": []}}, "", ["networking.bridges.gretap1"]),
    "a sit of the name": ({"networking.sits.gretap1": {"remote": "10.0.0.2"}}, "", ["networking.sits.gretap1"]),
    "a WireGuard interface of the name": (
        {"networking.wg-quick.interfaces.gretap1": {"privateKeyFile": "/k", "peers": []}},
        "", ["networking.wg-quick.interfaces.gretap1"],
    ),
    "a tap of the name": ({"networking.interfaces.gretap1": {"virtual": True}}, "", ["networking.interfaces.gretap1.virtual"]),
    "a switch's own port of the name": ({"networking.vswitches.vs0": vswitch("gretap1", type="internal")}, "", ["networking.vswitches.vs0.interfaces.gretap1"]),
    # The tunnel as somebody's port, or with an address
    "the tunnel as port of its bridge": (
        {"networking.bridges.br0": {"interfaces": ["gretap1"]}},
        "", ["networking.bridges.br0.interfaces", "the bridge would wait for it"],
    ),
    "the tunnel in a bond": ({"networking.bonds.bond0": {"interfaces": ["gretap1"]}}, "", ["networking.bonds.bond0"]),
    "the tunnel with an address": (
        {"networking.interfaces.gretap1.ipv4.addresses": [{"address": "10.9.9.1", "prefixLength": 24}]},
        "", ["networking.interfaces.gretap1", "give the address to br0"],
    ),
    "networkd's file for all": (
        dict(BESIDE, **{NETWORKS + "00-all": network("*", linkConfig={"RequiredForOnline": "no"})}),
        "", ["systemd.network.networks.00-all (*)", "behind 05-l2wg-gretap1"],
    ),
    "networkd's file for all Ethernet": (dict(BESIDE, **{NETWORKS + "00-all": network({"Type": "ether", "Kind": "gretap"})}), "", ["00-all (by its type)"]),
    # The bridge
    "a bridge of networkd's, too": (
        dict(BESIDE, **{NETDEVS + "20-lan": netdev("br0", "bridge")}),
        "bridge", ["systemd.network.netdevs.20-lan", "leave bridgePorts empty"],
    ),
    "a bridge of networkd's, twice": (dict(RUNS, **{NETDEVS + "20-lan": netdev("br0", "bridge")}), "bridge", ["systemd.network.netdevs.20-lan"]),
    "a bond called so": ({"networking.bonds.br0": {"interfaces": ["enp8s0"]}}, "bridge", ["networking.bonds.br0"]),
    "a switch called so": ({"networking.vswitches.br0": vswitch("enp8s0")}, "bridge", ["networking.vswitches.br0"]),
    # The underlay
    "two that make the underlay": (
        {"networking.wireguard.interfaces.wg0": {"privateKeyFile": "/k", "peers": []}},
        "underlay", ["networking.wg-quick.interfaces.wg0, networking.wireguard.interfaces.wg0"],
    ),
    # The port, and networkd
    "an address by networkd": (dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", **ADDRESS)}), "bridgePorts", ["10-x (enp3s0)", "carries an address"]),
    "an address in a list": (dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", address=["10.9.9.1/24"])}), "bridgePorts", ["carries an address"]),
    "an address in a section": (
        dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", addresses=[{"Address": "10.9.9.1/24"}])}),
        "bridgePorts", ["carries an address"],
    ),
    "an address by a glob": (dict(BESIDE, **{NETWORKS + "10-x": network("en*", **ADDRESS)}), "bridgePorts", ["10-x (en*)"]),
    "an address by one of several": (dict(BESIDE, **{NETWORKS + "10-x": network("eth0 enp?s0", **ADDRESS)}), "bridgePorts", ["10-x (eth0 enp?s0)"]),
    "an address by a set": (dict(BESIDE, **{NETWORKS + "10-x": network("enp[1-3]s0", **ADDRESS)}), "bridgePorts", ["10-x"]),
    "an address by what it is not": (dict(BESIDE, **{NETWORKS + "10-x": network("!enp2s0 wlan*", **ADDRESS)}), "bridgePorts", ["10-x"]),
    "DHCP for all Ethernet": (dict(BESIDE, **{NETWORKS + "10-x": network({"Type": "ether"}, **DHCP)}), "bridgePorts", ["10-x (by its type)"]),
    "DHCP before NixOS' own file": (dict(RUNS, **{NETWORKS + "10-x": network("en*", **DHCP)}), "bridgePorts", ["10-x (en*)"]),
    "IPv4 only by DHCP": (dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", networkConfig={"DHCP": "ipv4"})}), "bridgePorts", ["10-x"]),
    "a file before NixOS' own": (
        dict(RUNS, **{NETWORKS + "10-x": network("en*", linkConfig={"MTUBytes": "1500"})}),
        "bridgePorts", ['does not say Bridge = "br0"', "90-10-x"],
    ),
    "a file without a bridge": (
        dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", linkConfig={"MTUBytes": "1500"})}),
        "bridgePorts", ["takes it out of br0", "KeepMaster"],
    ),
    "another bridge by networkd": (
        dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", networkConfig={"Bridge": "br1"})}),
        "bridgePorts", ["makes enp3s0 a port of br1"],
    ),
    "a bond by networkd": (dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", networkConfig={"Bond": "bond0"})}), "bridgePorts", ["makes enp3s0 a port of bond0"]),
    # The port, and NixOS
    "another bridge": ({"networking.bridges.br1": {"interfaces": ["enp3s0"]}}, "bridgePorts", ["networking.bridges.br1"]),
    "named in the bridge, too": ({"networking.bridges.br0": {"interfaces": ["enp3s0"]}}, "bridgePorts", ["also in networking.bridges.br0.interfaces"]),
    "a bond": ({"networking.bonds.bond0": {"interfaces": ["enp3s0", "enp4s0"]}}, "bridgePorts", ["networking.bonds.bond0"]),
    "a switch": ({"networking.vswitches.vs0": vswitch("enp3s0")}, "bridgePorts", ["networking.vswitches.vs0"]),
    "a macvlan on it": ({"networking.macvlans.m0": {"interface": "enp3s0"}}, "bridgePorts", ["networking.macvlans.m0"]),
}  # fmt: skip
OTHER_PORTS = {
    "WireGuard as port": ({"networking.wg-quick.interfaces.wg1": {"privateKeyFile": "/k", "peers": []}}, "wg1", "carries no Ethernet"),
    "a bridge as port": ({"networking.bridges.br1": {"interfaces": []}}, "br1", "is a bridge"),
    "a bridge of networkd's as port": (dict(BESIDE, **{NETDEVS + "20-x": netdev("br1", "bridge")}), "br1", "is a bridge"),
}  # fmt: skip
RIGHT = {
    "NixOS' own files": RUNS,
    "NixOS' own DHCP for the rest": {"networking.useNetworkd": True, "networking.useDHCP": True},
    "networkd without files": BESIDE,
    "files that do not run": {NETWORKS + "10-x": network("enp3s0", **ADDRESS)},
    "a file behind NixOS' own": dict(RUNS, **{NETWORKS + "50-x": network("en*", **DHCP)}),
    "a file for others": dict(BESIDE, **{NETWORKS + "10-x": network("enp2s0 eth*", **ADDRESS)}),
    "a file for all but it": dict(BESIDE, **{NETWORKS + "10-x": network("!enp3s0 br* gretap*", **ADDRESS)}),
    "a dot is a dot": dict(BESIDE, **{NETWORKS + "10-x": network("enp.s0", **ADDRESS)}),
    "a file by a card's address": dict(BESIDE, **{NETWORKS + "10-x": network({"MACAddress": "02:00:00:00:00:01"}, **ADDRESS)}),
    "a file that is not there": dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", enable=False, **ADDRESS)}),
    "a file of its own with the bridge": dict(RUNS, **{NETWORKS + "10-x": network("enp3s0", networkConfig={"Bridge": "br0"})}),
    "a list of one bridge": dict(RUNS, **{NETWORKS + "10-x": network("enp3s0", bridge=["br0"])}),
    "a file that leaves it alone": dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", linkConfig={"Unmanaged": True})}),
    "a file that keeps its bridge": dict(BESIDE, **{NETWORKS + "10-x": network("enp3s0", networkConfig={"KeepMaster": True})}),
    "other ports": {"networking.bridges.br1": {"interfaces": ["enp4s0"]}, "networking.bonds.bond0": {"interfaces": ["enp5s0", "enp6s0"]}},
    "more ports of the bridge": {"networking.bridges.br0": {"interfaces": ["enp4s0"]}},
    "a VLAN on the bridge": {"networking.vlans.lan10": {"id": 10, "interface": "br0"}},
    "a GRE tunnel of another name": {"networking.greTunnels.gretap2": {"type": "tap", "remote": "10.0.0.2"}},
}  # fmt: skip


def refused(evaluate, config):
    return evaluate(config)["failed"]


@pytest.mark.parametrize("case", WRONG)
def test_what_somebody_else_has(evaluate, case):
    changes, option, words = WRONG[case]
    found = [text for text in refused(evaluate, but(SITE_A, changes)) if text.startswith((T + "." + option).rstrip(".") + ": ")]
    assert len(found) == 1, refused(evaluate, but(SITE_A, changes))
    fact, cure = found[0].split("\n  cure: ")
    assert words[0] in fact and all(word in found[0] for word in words), found[0]
    assert cure


@pytest.mark.parametrize("case", OTHER_PORTS)
def test_what_can_be_no_port(evaluate, case):
    changes, port, words = OTHER_PORTS[case]
    (message,) = refused(evaluate, tunnel(but(SITE_A, changes), {"bridgePorts": [port]}))
    assert message.startswith("%s.bridgePorts: %s " % (T, port)) and words in message


@pytest.mark.parametrize("case", RIGHT)
def test_what_nobody_else_has(evaluate, case):
    assert refused(evaluate, but(SITE_A, RIGHT[case])) == []


def test_a_port_with_an_address_in_nixos_own_file(evaluate):
    """The file that decides is right but for the address that somebody has added to it."""
    (message,) = refused(evaluate, but(SITE_A, dict(RUNS, **{NETWORKS + "40-enp3s0": {"address": ["10.9.9.1/24"]}})))
    assert message.startswith(T + ".bridgePorts: enp3s0 carries an address") and "40-enp3s0" in message


def test_an_underlay_elsewhere(evaluate):
    scripted = {"privateKeyFile": "/k", "interfaceNamespace": "vpn", "peers": [{"publicKey": "x", "allowedIPs": ["192.168.92.0/24"]}]}
    config = but(SITE_A, {"networking.wg-quick": None, "networking.wireguard.interfaces.wg0": scripted})
    (message,) = refused(evaluate, config)
    assert message.startswith(T + ".underlay: wg0 is in the network namespace vpn")


def test_two_tunnels_name_the_same_port_once(evaluate):
    second = dict(SITE_A["services"]["l2wg"]["tunnels"]["gretap1"], key=2)
    got = evaluate(but(SITE_A, {"services.l2wg.tunnels.gretap2": second}))
    assert (got["failed"], got["bridges"]["br0"]) == ([], ["enp3s0"])


def test_a_tunnel_of_somebody_elses_bridge(evaluate):
    """The same holds where the bridge is NixOS' or networkd's, and this module makes none."""
    config = but(SITE_B, {"networking.bridges.br0": {"interfaces": ["enp2s0", "gretap1"]}})
    (message,) = refused(evaluate, config)
    assert message.startswith(T + ": networking.bridges.br0.interfaces names it")
