"""Whatever tunnel_file.parse takes is harmless to sh, ip -batch, nft(8), jinja2, iptables and ifupdown; what is not, it refuses."""

import itertools
import json
import re

import hostile
import pytest
from hostile import FIRM, RIGHT, TOKENS
from hypothesis import assume, given
from hypothesis import strategies as st
from l2wg_hooks.config import bridge_switches, ifupdown, ifupdown_bridge, schema, store, tunnel_file
from l2wg_hooks.model import Link, Observed, PolicyRoutes, Rules, Step, Tables, Tunnel
from l2wg_hooks.netfilter import nftables
from l2wg_hooks.observe import link_table
from l2wg_hooks.plan import planner, policy_routes, restore
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import process

# Of an argument: names, addresses, numbers, words; `=` in net.bridge.x=0 only.
WORD = re.compile(r"[A-Za-z0-9_.:/,=-]+\Z")
PATH = "/etc/l2wg/gretap1.conf"


def parse(text, name="gretap1"):
    return tunnel_file.parse(text, store.path(name), name)[0]


def accepted(text, name="gretap1"):
    tunnel = parse(text, name)
    assume(tunnel is not None)
    return tunnel


# A text by the grammar with nothing wrong, with something wrong, or a recorded one that is not as it was.
taken = st.one_of(hostile.wish(wrong=False), hostile.wish(), hostile.mutated(hostile.texts("golden/settings/good-*.conf")))


def worlds(tunnel):
    """What the kernel may have: nothing, the underlay, all of it, and all of it wrong."""
    lo = Link("lo", 1, up=True, addresses=(tunnel.local + "/24",), ipv6=True)
    wg = Link(tunnel.underlay, 2, "wireguard", up=True, mtu=1420)
    bridge = Link(tunnel.bridge, 3, "bridge", up=True, mac="52:54:00:00:00:01", mtu=9000, vlan_filtering=True, pvid=7, addresses=("192.0.2.1/24",))
    ports = [Link(name, 10 + index) for index, name in enumerate(tunnel.bridge_ports)]
    old = Link(tunnel.name, 5, tunnel.kind, alias="l2wg", local="192.0.2.7", remote="192.0.2.8")
    found = [[], [lo, wg], [lo, wg, bridge] + ports, [lo, wg, bridge, old] + ports, [lo, bridge, old]]
    return [{link.name: link for link in world} for world in found]


def argvs(tunnel):
    """Every command that a tunnel can be the reason for."""
    rule = {"priority": policy_routes.PRIORITY, "src": tunnel.local, "dst": tunnel.remote, "table": "1815238001", "ipproto": "gre"}
    full = policy_routes.by_table([rule], {rule["table"]: [{"dst": tunnel.remote, "dev": tunnel.underlay}]})
    empty = Tables((), (), False)
    for world in worlds(tunnel):
        for way, rules in ((PolicyRoutes({}, {}), Rules()), (full, Rules([nftables.entry(tunnel)], {tunnel.name: nftables.value(tunnel, world)}))):
            seen = Observed(rules, way, empty, empty, tunnel.own)
            for found in (
                planner.plan([tunnel], world, seen=seen),
                planner.plan([tunnel], world, (tunnel.underlay,), seen=seen),
                planner.removal([tunnel.name], world, seen),
            ):
                for step in found.steps:
                    yield step.argv
        for step in restore.steps(restore.Snapshot(world, {}), restore.Snapshot(worlds(tunnel)[0], {}), list(world)):
            yield step.argv


def signs(text):
    """What is left of a text without names, addresses, numbers and blanks: the signs that sh and nft(8) go by."""
    return re.sub(r"[A-Za-z0-9_.:/,\s-]", "", text)


@given(taken, hostile.names)
def test_every_argument_is_a_plain_word(text, name):
    tunnel = accepted(text, name)
    for argv in argvs(tunnel):
        for word in argv:
            assert WORD.match(word), argv
        assert argv[0] in ("ip", "bridge", "nft", "iptables", "ip6tables", "modprobe", "sysctl", "nmcli")
    assert loop_probe.frame(tunnel)


# The same tunnel with the shortest of names: its rules have the same signs, in the same order.
@hostile.few
@given(taken, hostile.names)
def test_a_rule_set_has_the_signs_of_the_template_and_no_others(text, name):
    tunnel = accepted(text, name)
    local, remote = ("::1", "::2") if tunnel.family == 6 else ("1.1.1.1", "2.2.2.2")
    plain = Tunnel(**dict(tunnel._asdict(), name="a", underlay="b", bridge="c", local=local, remote=remote))
    made, wanted = nftables.render([nftables.entry(tunnel)]), nftables.render([nftables.entry(plain)])
    assert signs(made) == signs(wanted) and made.count("\n") == wanted.count("\n")
    for link in worlds(tunnel):
        lines = nftables.load([nftables.entry(tunnel)], {tunnel.name: nftables.value(tunnel, link)}).split("\n")
        assert all(re.match(r'(define \w+ = [0-9a-f:]+|include "%s"|)\Z' % nftables.STATIC, line) for line in lines)
    entry = json.loads(json.dumps(nftables.entry(tunnel)))
    assert nftables.fits(entry, nftables.value(tunnel, {}))


OURS = re.compile(
    r"(#.*|auto N|allow-hotplug N|iface N inet6? (static|manual)|    address [0-9a-f.:]+/[0-9]+|    bridge_ports N( N)*|    bridge_stp (on|off)|"
    r"    bridge_(fd|maxwait) [0-9]+|    up ip link set dev N up 2>/dev/null \|\| true|"
    r"    (pre-up|down) sysctl -qew net/ipv6/conf/\$IFACE/accept_ra=[01] \|\| true|)\Z".replace("N", r"[A-Za-z0-9_.-]{1,15}")
)
EARLY = ["    " + line for switches in (bridge_switches.SILENT, bridge_switches.OWN) for line in bridge_switches.lines(switches)]


@hostile.few
@given(st.lists(st.tuples(taken, hostile.names), min_size=1, max_size=3))
def test_every_line_of_our_stanzas_is_one_that_we_know(texts):
    tunnels = [tunnel for tunnel in (parse(*arguments) for arguments in texts) if tunnel]
    assume(tunnels)
    made = ifupdown_bridge.render(ifupdown_bridge.ours(tunnels, ifupdown.Defined((), ())))
    for line in made.split("\n"):
        assert OURS.match(line) or line in EARLY, line


# Not `#`, which starts a comment: then the value is what stands before it.
WRONG = [
    token for token in TOKENS if token.strip(schema.SPACE) and not token.lstrip(schema.SPACE).startswith("#") and not re.match(r"\s*[\w,. /-]+\s*\Z", token, re.ASCII)
]


@pytest.mark.parametrize("key", sorted(schema.KEYS))
def test_no_key_takes_what_sh_or_a_template_would_obey(key):
    """Each hostile value alone, before, within and behind a right one: refused, or gone as comment or blank."""
    right = {"bridge-ports": "enp3s0", "bridge-address": "192.168.92.1/24", "vlans": "1,2", "key": "7", "mtu": "1500", "storm-limit": "100"}.get(
        key, FIRM.get(key) or {"encapsulation": "vxlan", "mss-clamp": "off", "forward": "accept", "dhcp": "block"}.get(key, "yes")
    )
    refused = 0
    for token in WRONG:
        for value in (token, token + right, right + token, right[:2] + token + right[2:], right + " " + token):
            values = dict(FIRM, **{"bridge-ports": "enp3s0", key: value})
            text = "".join("%s = %s\n" % pair for pair in values.items())
            tunnel, problems = tunnel_file.parse(text, PATH, "gretap1")
            refused += bool(problems)
            if tunnel is None:
                continue
            # Space, `#`, a line's end: harmless. What is left is a value as any other.
            for argv in argvs(tunnel):
                assert all(WORD.match(word) for word in argv), (value, argv)
            assert (
                not set(json.dumps(nftables.entry(tunnel)))
                - set(json.dumps(nftables.entry(parse("".join("%s = %s\n" % pair for pair in dict(FIRM, **{"bridge-ports": "enp3s0", key: right}).items())))))
                - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:,/- ")
            )
    assert refused > 3 * len(WRONG)


def test_names_with_what_wg_quick_and_ifupdown_put_in():
    for name in ("wg%i", "%i", "%I", "$IFACE", "${IFACE}", "wg*", "/wg0", "wg0:1", "wg0@lo", "wg=0", "wg+0", "lo;id", "all", "default"):
        values = dict(FIRM, underlay=name)
        tunnel, problems = tunnel_file.parse("".join("%s = %s\n" % pair for pair in values.items()), PATH, "gretap1")
        assert tunnel is None and problems[0].line == 1 and problems[0].key == "underlay", name


@given(st.lists(st.one_of(hostile.names, hostile.junk), min_size=1, max_size=4))
def test_ip_batch_gets_no_word_that_it_would_take_apart(words):
    """One step with odd words goes alone, as words; the plain ones around it are lines of one batch."""
    odd = Step(("ip", "link", "set") + tuple(words), "why", "x")
    plain = Step(("ip", "link", "set", "dev", "lo", "up"), "why", "y")
    ran = []

    def ran_instead(argv, stdin="", environment=()):
        ran.append((tuple(argv), stdin))
        return process.Result(0, "", "")

    real, process.run = process.run, ran_instead
    try:
        assert executor.apply([plain, odd, plain]) == ()
    finally:
        process.run = real
    done = list(
        itertools.chain.from_iterable([("ip",) + tuple(line.split()) for line in stdin.splitlines()] if argv == ("ip", "-batch", "-") else [argv] for argv, stdin in ran)
    )
    assert done == [plain.argv, odd.argv, plain.argv]
    for argv, stdin in ran:
        assert not set(stdin) & set("#\"'\\;$`\t\r\0")


def test_every_key_has_been_thought_of():
    assert set(RIGHT) == set(schema.KEYS) and link_table.parse("[]") == {}
