"""Who keeps the admin's firewall, and the commands for each; what they do is shown in the lab."""

import pytest
from l2wg_hooks.model import Tunnel
from l2wg_hooks.netfilter import front_ends, trace

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0")
UFW = {"ufw-user-input": []}


@pytest.mark.parametrize(
    "table, chains, command",
    [
        ("iptables", {}, "l2wg set gretap1 forward=accept; l2wg apply"),
        ("iptables", UFW, "l2wg set gretap1 forward=accept; l2wg apply"),
        ("iptables-legacy", UFW, "iptables-legacy -I FORWARD -i br0 -o br0 -j ACCEPT"),
        ("inet firewalld", {}, "firewall-cmd --permanent --add-interface=br0"),
        ("inet filter", {}, 'nft \'insert rule inet filter forward iifname "br0" oifname "br0" accept\''),
        ("ip filter", UFW, 'nft \'insert rule inet filter forward iifname "br0" oifname "br0" accept\''),
    ],
)
def test_what_crosses_a_bridge_is_let_pass_by_whose_table_it_is(table, chains, command):
    """ufw has no word for that: its chains are another one's."""
    base = trace.Base(table, table, "inet filter forward", "drop")
    assert front_ends.of(base, chains).let_pass(base, ONE).startswith(command)
