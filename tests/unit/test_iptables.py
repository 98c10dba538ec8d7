import itertools

import pytest
from l2wg_hooks.model import Tables, Tunnel
from l2wg_hooks.netfilter import iptables

ONE = Tunnel("gretap1", "wg0", "192.168.178.1", "192.168.92.1", "br0", mss_clamp="iptables")
TWO = Tunnel("gretap2", "wg1", "192.168.178.1", "10.0.0.1", "br0", mss_clamp="iptables")
MTUS = {"wg0": 1420, "wg1": 1280}
# As `iptables-save -t mangle` (1.8.9, nf_tables) writes them.
EMPTY = ("*mangle", ":PREROUTING ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]", "COMMIT")
FOREIGN = "-A FORWARD -o ppp0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
JUMP = "-A FORWARD -j l2wg"
MATCH = "-p tcp -m physdev --physdev-%s %s --physdev-is-bridged -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss %d"


def rules(name, mss):
    return tuple("-A l2wg " + MATCH % (side, name, mss) for side in ("in", "out"))


RIGHT4, RIGHT6 = rules("gretap1", 1342), rules("gretap1", 1322)


def table(*lines, chain=True):
    return EMPTY[:2] + ((":l2wg - [0:0]",) if chain else ()) + EMPTY[2:-1] + lines + EMPTY[-1:]


DONE = Tables(table(JUMP, *RIGHT4), table(JUMP, *RIGHT6), True)


def steps(tunnels, found):
    return [" ".join(argv) for argv in iptables.steps(tunnels, MTUS, found)]


def test_all_is_made_from_nothing():
    assert steps([ONE], Tables(EMPTY, EMPTY, False)) == [
        "modprobe br_netfilter",
        "sysctl -qw" + "".join(" net.bridge.bridge-nf-call-%s=0" % name for name in ("iptables", "ip6tables", "arptables")),
        "iptables -w -t mangle -N l2wg",
        "iptables -w -t mangle -F l2wg",
        "iptables -w -t mangle -A l2wg " + MATCH % ("in", "gretap1", 1342),
        "iptables -w -t mangle -A l2wg " + MATCH % ("out", "gretap1", 1342),
        "iptables -w -t mangle -A FORWARD -j l2wg",
        "ip6tables -w -t mangle -N l2wg",
        "ip6tables -w -t mangle -F l2wg",
        "ip6tables -w -t mangle -A l2wg " + MATCH % ("in", "gretap1", 1322),
        "ip6tables -w -t mangle -A l2wg " + MATCH % ("out", "gretap1", 1322),
        "ip6tables -w -t mangle -A FORWARD -j l2wg",
    ]


def test_nothing_is_done_when_all_is_right():
    assert steps([ONE], DONE) == []
    assert steps([], Tables(EMPTY, EMPTY, False)) == []
    assert steps([], Tables((), (), False)) == []  # iptables is not installed


def test_the_module_is_loaded_once_and_for_nobody_but_us():
    assert steps([ONE], DONE._replace(br_netfilter=False))[0] == "modprobe br_netfilter"
    assert not any("modprobe" in step for step in steps([ONE], Tables(EMPTY, EMPTY, True)))
    assert not any("modprobe" in step for step in steps([], DONE._replace(br_netfilter=False)))


def test_all_of_ours_goes_and_nothing_else():
    assert steps([], DONE._replace(ipv6=EMPTY)) == ["iptables -w -t mangle -D FORWARD -j l2wg", "iptables -w -t mangle -F l2wg", "iptables -w -t mangle -X l2wg"]


def _do(argv, state):
    """What the kernel makes of one command; `state` is {command: lines of iptables-save}. What it would refuse, fails here."""
    if argv[0] == "modprobe":
        state["br_netfilter"] = True
        return
    if argv[0] == "sysctl":
        assert state["br_netfilter"]
        return
    assert argv[1:4] == ("-w", "-t", "mangle")
    lines, (verb, chain), rest = state[argv[0]], argv[4:6], argv[6:]
    known = any(line.startswith(":%s " % chain) for line in lines)
    assert known != (verb == "-N"), argv
    rule = " ".join(("-A", chain) + rest)
    end = lines.index("COMMIT")
    if verb == "-N":
        lines.insert(1, ":%s - [0:0]" % chain)
    elif verb == "-A":
        lines.insert(end, rule)
    elif verb == "-D":
        lines.remove(rule)
    elif verb == "-F":
        lines[:] = [line for line in lines if not line.startswith("-A %s " % chain)]
    elif verb == "-X":
        assert not any(line.startswith("-A %s " % chain) or line.endswith("-j %s" % chain) for line in lines), "in use"
        lines.remove(":%s - [0:0]" % chain)


def after(tunnels, found):
    state = {"iptables": list(found.ipv4), "ip6tables": list(found.ipv6), "br_netfilter": found.br_netfilter}
    for argv in iptables.steps(tunnels, MTUS, found):
        _do(argv, state)
    return Tables(tuple(state["iptables"]), tuple(state["ip6tables"]), state["br_netfilter"])


PARTIAL = [
    EMPTY,
    table(),
    table(JUMP),
    table(*RIGHT4),
    table(FOREIGN, JUMP, *RIGHT4),
    table(FOREIGN, *RIGHT4[:1]),
    table(JUMP, *rules("gretap1", 1300)),
    table(JUMP, *RIGHT4[::-1]),
    table(JUMP, *(RIGHT4 + rules("gretap9", 1000))),
    table(FOREIGN, chain=False),
]


def ours(lines):
    return [line for line in lines if line.startswith("-A l2wg ")]


@pytest.mark.parametrize("tunnels", [[], [ONE], [ONE, TWO]], ids=["none", "one", "two"])
def test_from_every_partial_state_the_steps_lead_to_where_there_are_none(tunnels):
    for ipv4, ipv6, module in itertools.product(PARTIAL, PARTIAL, (True, False)):
        found = Tables(ipv4, ipv6, module)
        done = after(tunnels, found)
        assert steps(tunnels, done) == [], found
        wanted = after(tunnels, Tables(EMPTY, EMPTY, True))
        assert (ours(done.ipv4), ours(done.ipv6)) == (ours(wanted.ipv4), ours(wanted.ipv6)), found
        for old, new in ((ipv4, done.ipv4), (ipv6, done.ipv6)):
            assert (FOREIGN in new) == (FOREIGN in old)
            assert any(line.startswith(":l2wg ") for line in new) == (JUMP in new) == bool(tunnels)


def test_each_tunnel_has_the_mss_of_its_own_underlay():
    done = after([ONE, TWO], Tables(EMPTY, EMPTY, True))
    assert ours(done.ipv4) == list(RIGHT4 + rules("gretap2", 1202))
    assert ours(done.ipv6) == list(RIGHT6 + rules("gretap2", 1182))


# What crosses a bridge

FILTER = ("*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", "COMMIT")
PASSED = FILTER[:3] + (":l2wg - [0:0]", "-A FORWARD -j DOCKER-USER", "-A FORWARD -j l2wg", "-A l2wg -i br0 -o br0 -j ACCEPT", "COMMIT")


def passes(bridges, found):
    return [" ".join(argv) for argv in iptables.passes(bridges, Tables(found, found, True))]


def test_a_bridge_is_let_pass_before_all_others():
    wanted = ["-N l2wg", "-F l2wg", "-A l2wg -i br0 -o br0 -j ACCEPT", "-I FORWARD -j l2wg"]
    assert passes(["br0"], FILTER) == ["%s -w -t filter %s" % (name, words) for name in ("iptables", "ip6tables") for words in wanted]
    assert passes(["br0"], PASSED) == []


def test_a_bridge_is_not_let_pass_any_more():
    wanted = ["-D FORWARD -j l2wg", "-F l2wg", "-X l2wg"]
    assert passes([], PASSED) == ["%s -w -t filter %s" % (name, words) for name in ("iptables", "ip6tables") for words in wanted]
    assert passes([], FILTER) == []


def test_docker_starts_and_our_chain_is_empty_or_another_bridge_comes():
    assert len(passes(["br0"], PASSED[:-2] + PASSED[-1:])) == 4
    assert passes(["br0", "br1"], PASSED)[0] == "iptables -w -t filter -F l2wg"
