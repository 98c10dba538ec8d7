"""What the rest of NixOS is told of the tunnels."""

import shutil
import subprocess

import pytest
from conftest import SITE_A, SITE_B, but, tunnel

V6 = {"local": "fd00:178::1", "remote": "fd00:92::1"}
V6_PEER = {"networking.wg-quick.interfaces.wg0.peers": [{"publicKey": "x", "allowedIPs": ["fd00::/16"]}]}
OPEN = {"services.l2wg.openFirewall": True}
NFT = {"networking.nftables.enable": True}
FIREWALL = [
    ({}, {}, "iptables -A nixos-fw -i wg0 -s 192.168.92.1 -d 192.168.178.1 -p gre -j nixos-fw-accept\n"),
    ({}, {"encapsulation": "vxlan"}, "iptables -A nixos-fw -i wg0 -s 192.168.92.1 -d 192.168.178.1 -p udp --dport 4789 -j nixos-fw-accept\n"),
    (V6_PEER, V6, "ip6tables -A nixos-fw -i wg0 -s fd00:92::1 -d fd00:178::1 -p gre -j nixos-fw-accept\n"),
    (NFT, {}, 'iifname "wg0" ip saddr 192.168.92.1 ip daddr 192.168.178.1 meta l4proto gre accept\n'),
    (NFT, {"encapsulation": "vxlan"}, 'iifname "wg0" ip saddr 192.168.92.1 ip daddr 192.168.178.1 udp dport 4789 accept\n'),
    (dict(V6_PEER, **NFT), V6, 'iifname "wg0" ip6 saddr fd00:92::1 ip6 daddr fd00:178::1 meta l4proto gre accept\n'),
]  # fmt: skip


@pytest.mark.parametrize("changes, of_tunnel, rule", FIREWALL)
def test_the_firewall_is_closed_until_it_is_opened(evaluate, changes, of_tunnel, rule):
    config = tunnel(but(SITE_A, changes), of_tunnel)
    key, other = ("extraInputRules", "extraCommands") if "networking.nftables.enable" in changes else ("extraCommands", "extraInputRules")
    closed, opened = evaluate(config)["firewall"], evaluate(but(config, OPEN))["firewall"]
    assert "wg0" not in closed[key] + closed[other] + opened[other]
    # NixOS has lines of its own there.
    assert rule in opened[key] and opened[key].count("wg0") == 1
    assert opened[key].replace(rule, "").strip() == closed[key].strip()


@pytest.mark.parametrize("changes", [{}, NFT])
def test_each_of_a_list_is_let_in(evaluate, changes):
    config = tunnel(but(SITE_A, dict(OPEN, **changes)), {"encapsulation": "vxlan", "remote": ["192.168.92.1", "192.168.92.2"]})
    got = evaluate(config)
    assert got["failed"] == []
    text = "".join(got["firewall"].values())
    assert [text.count(f"{word} 192.168.92.{number} ") for number in (1, 2) for word in (("saddr",) if changes else ("-s",))] == [1, 1]


@pytest.mark.skipif(not shutil.which("nft", path="/usr/sbin:/usr/bin"), reason="nft(8) is not installed")
@pytest.mark.parametrize("rule", [rule for changes, _, rule in FIREWALL if "networking.nftables.enable" in changes])
def test_nft_takes_the_rule(rule):
    text = "table inet t { chain input { type filter hook input priority 0; %s\n}\n}\n" % rule.strip()
    done = subprocess.run(["unshare", "-n", "nft", "--check", "-f", "-"], input=text.encode(), stderr=subprocess.PIPE, env={"PATH": "/usr/sbin:/usr/bin"})
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(not shutil.which("iptables", path="/usr/sbin:/usr/bin"), reason="iptables(8) is not installed")
@pytest.mark.parametrize("rule", [rule for changes, _, rule in FIREWALL if "networking.nftables.enable" not in changes])
def test_iptables_takes_the_rule(rule):
    command = rule.split()[0]
    script = "%s -N nixos-fw; %s -N nixos-fw-accept; %s" % (command, command, rule)
    done = subprocess.run(["unshare", "-n", "sh", "-ec", script], stderr=subprocess.PIPE, env={"PATH": "/usr/sbin:/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr.decode()


def test_udev_tells_of_devices_as_on_debian(evaluate):
    """By the rule and the unit of the package: tests/nix/test_package.py."""
    assert evaluate(SITE_A)["telling"] == [True, True]


def test_other_managers_keep_off(evaluate):
    got = evaluate(SITE_A)
    assert "gretap1" in got["denied"]
    assert got["unmanaged"] == ["interface-name:gretap1", "interface-name:br0", "interface-name:enp3s0"]
    assert got["networks"]["05-l2wg-gretap1"] == {"matchConfig": {"Name": "gretap1"}, "linkConfig": {"Unmanaged": True}, "networkConfig": {}}
    assert evaluate(SITE_B)["unmanaged"] == ["interface-name:gretap1"], "the bridge there is not ours"


def test_with_networkd_boot_does_not_wait_for_a_plug(evaluate):
    network = {"networking.useNetworkd": True, "networking.useDHCP": False}
    got = evaluate(but(SITE_A, network))["networks"]
    assert got["40-br0"]["linkConfig"] == got["40-enp3s0"]["linkConfig"] == {"RequiredForOnline": "no"}
    assert "40-br0" not in evaluate(SITE_A)["networks"] or "RequiredForOnline" not in evaluate(SITE_A)["networks"]["40-br0"]["linkConfig"]


NETWORKD = {"networking.useNetworkd": True, "networking.useDHCP": False}
DEAF = {"net.ipv6.conf.br0.accept_ra": 0, "net.ipv6.conf.enp3s0.accept_ra": 0}
ABSENT = dict(DEAF, **{"net.ipv6.conf.br0.disable_ipv6": 1, "net.ipv4.conf.br0.arp_ignore": 1})
ADDRESS = [{"address": "192.168.92.9", "prefixLength": 24}]
BR0 = "networking.interfaces.br0."


@pytest.mark.parametrize("changes, of_tunnel, conf", [
    ({}, {}, ABSENT),
    (NETWORKD, {}, ABSENT),
    ({}, {"bridgeAddress": "192.168.92.9/24"}, DEAF),
    ({}, {"bridgeAddress": "fd00:92::9/64"}, DEAF),
    ({BR0 + "ipv4.addresses": ADDRESS}, {}, DEAF),
    ({"systemd.network.enable": True, "systemd.network.networks.10-lan": {"matchConfig": {"Name": "br0"}, "address": ["192.168.92.9/24"]}}, {}, DEAF),
    # Who asks for an address of the other site gets it, and the way.
    ({BR0 + "useDHCP": True}, {}, {"net.ipv6.conf.enp3s0.accept_ra": 0}),
    ({"boot.kernel.sysctl": {"net.ipv6.conf.br0.accept_ra": 2}}, {}, dict(ABSENT, **{"net.ipv6.conf.br0.accept_ra": 2})),
    ({"services.l2wg.tunnels.gretap1.enable": False}, {}, {}),
], ids=["no address", "no address, networkd", "IPv4", "IPv6", "NixOS' address", "networkd's address", "DHCP", "the admin's word", "disabled"])  # fmt: skip
def test_a_bridge_of_ours_is_not_there_for_the_other_site(evaluate, changes, of_tunnel, conf):
    assert evaluate(tunnel(but(SITE_A, changes), of_tunnel))["conf"] == conf


def test_a_bridge_of_somebody_elses_is_left_alone(evaluate):
    for changes in ({}, NETWORKD):
        got = evaluate(but(SITE_B, changes))
        assert got["conf"] == {} and "systemd-sysctl" not in got["postStart"].get("br0-netdev", "")
        assert not {"IPv6AcceptRA", "LinkLocalAddressing"} & set(got["networks"].get("40-br0", {}).get("networkConfig", {}))


def test_a_dot_in_a_name_is_no_separator(evaluate):
    """NixOS writes it so, and systemd-sysctl reads it so."""
    got = evaluate(tunnel(SITE_A, {"bridge": "br.lan", "bridgePorts": ["enp3s0.7"]}))["conf"]
    assert sorted(got) == [
        "net.ipv4.conf.br/lan.arp_ignore", "net.ipv6.conf.br/lan.accept_ra", "net.ipv6.conf.br/lan.disable_ipv6", "net.ipv6.conf.enp3s0/7.accept_ra",
    ]  # fmt: skip


def test_it_is_so_before_a_tunnel_is_a_port(evaluate):
    """The service that makes the bridge has it done, in a container, too; the tunnel's unit comes after it."""
    for container in (False, True):
        got = evaluate(but(SITE_A, {"boot.isContainer": container}))
        (line,) = got["postStart"]["br0-netdev"].splitlines()
        assert line.split("/lib/systemd/")[1] == "systemd-sysctl --prefix=/net/ipv6/conf/br0 --prefix=/net/ipv4/conf/br0 || true"
        assert "br0-netdev.service" in got["units"]["l2wg-gretap1"].split("After=")[1].split("\n")[0]
    assert "br0-netdev" not in evaluate(but(SITE_A, NETWORKD))["postStart"]


@pytest.mark.parametrize("changes, of_tunnel, said", [
    ({}, {}, {"IPv6AcceptRA": False, "LinkLocalAddressing": "no"}),
    ({}, {"bridgeAddress": "192.168.92.9/24"}, {"IPv6AcceptRA": False}),
    ({BR0 + "useDHCP": True}, {}, {}),
    ({"systemd.network.networks.40-br0.networkConfig": {"IPv6AcceptRA": True}}, {}, {"IPv6AcceptRA": True, "LinkLocalAddressing": "no"}),
], ids=["no address", "an address", "DHCP", "the admin's word"])  # fmt: skip
def test_networkd_takes_no_router_advertisement(evaluate, changes, of_tunnel, said):
    """It has a client of its own, whatever the kernel is told."""
    got = evaluate(tunnel(but(SITE_A, dict(NETWORKD, **changes)), of_tunnel))["networks"]["40-br0"]["networkConfig"]
    assert {key: got[key] for key in got if key in ("IPv6AcceptRA", "LinkLocalAddressing")} == said


POLICY = {"ManageForeignRoutes": False, "ManageForeignRoutingPolicyRules": False}


@pytest.mark.parametrize("changes, of_tunnel, modules, routed", [
    ({}, {}, "ip_gre", False),
    ({}, {"encapsulation": "vxlan"}, "vxlan", True),
    (V6_PEER, V6, "ip6_gre", True),
    (V6_PEER, dict(V6, encapsulation="vxlan"), "vxlan", True),
])  # fmt: skip
def test_modules_and_policy_routes(evaluate, changes, of_tunnel, modules, routed):
    got = evaluate(tunnel(but(SITE_A, changes), of_tunnel))
    assert {"ip_gre", "ip6_gre", "vxlan", "br_netfilter"} & set(got["modules"]) == {modules}
    assert got["sysctl"] == {}
    # wg-quick's module sets one of the two itself.
    assert (got["networkConfig"] == POLICY) is routed and ("ManageForeignRoutes" in got["networkConfig"]) is routed


def test_which_tunnels_have_a_policy_route_is_what_ways_says():
    from l2wg_hooks.plan import policy_routes

    assert [kind for kind in ("gretap", "ip6gretap", "vxlan") if policy_routes.needed(kind)] == ["ip6gretap", "vxlan"]


def test_iptables_clamp(evaluate):
    got = evaluate(tunnel(SITE_A, {"mssClamp": "iptables"}))
    assert "br_netfilter" in got["modules"]
    assert got["sysctl"] == {"net.bridge.bridge-nf-call-%stables" % name: 0 for name in ("ip", "ip6", "arp")}
    mine = {"boot.kernel.sysctl": {"net.bridge.bridge-nf-call-iptables": 1}}
    got = evaluate(but(tunnel(SITE_A, {"mssClamp": "iptables"}), mine))
    assert got["sysctl"]["net.bridge.bridge-nf-call-iptables"] == 1, "who filters all bridges goes on"


@pytest.mark.parametrize("address, family, number, length", [
    ("192.168.178.254/24", "ipv4", "192.168.178.254", 24),
    ("fd00:178::fe/64", "ipv6", "fd00:178::fe", 64),
])  # fmt: skip
def test_the_bridges_address(evaluate, address, family, number, length):
    got = evaluate(tunnel(SITE_A, {"bridgeAddress": address}))["interfaces"]["br0"]
    assert got[family]["addresses"] == [{"address": number, "prefixLength": length}]
    assert got["ipv4" if family == "ipv6" else "ipv6"]["addresses"] == []


def test_the_command_is_there(evaluate):
    assert "l2wg" in evaluate(SITE_A)["packages"]


def test_what_is_not_enabled_leaves_nothing(evaluate):
    for changes in ({"services.l2wg.enable": False}, {"services.l2wg.tunnels.gretap1.enable": False}):
        got = evaluate(but(SITE_A, dict(OPEN, **changes)))
        assert (got["files"], got["units"]) == ({}, {})
        assert "br0" not in got["bridges"] and "gretap1" not in got["denied"] + got["unmanaged"]
        assert "wg0" not in got["firewall"]["extraCommands"] and "ip_gre" not in got["modules"]


def test_two_tunnels_share_a_bridge(evaluate):
    second = dict(SITE_A["services"]["l2wg"]["tunnels"]["gretap1"], key=2, bridgePorts=["enp4s0"])
    got = evaluate(but(SITE_A, {"services.l2wg.tunnels.gretap2": second}))
    assert got["failed"] == [] and sorted(got["bridges"]["br0"]) == ["enp3s0", "enp4s0"]
    assert sorted(got["files"]) == ["l2wg/gretap1.conf", "l2wg/gretap2.conf"]
