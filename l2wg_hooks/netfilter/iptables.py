"""What iptables has of us. Pure.

The classic MSS clamp: TCPMSS in FORWARD, which sees bridged frames by br_netfilter. For admins whose tools want to see it
in iptables; nftables' bridge family (netfilter/nftables.py) needs none of this and sees more.

A pass for what crosses a bridge: where somebody else (Docker) has loaded br_netfilter, FORWARD sees all bridges' frames.
"""

from l2wg_hooks.encapsulation import headers

CHAIN = "l2wg"
COMMANDS = {4: "iptables", 6: "ip6tables"}
# How iptables-save(8) writes a rule of ours.
# Not by physdev, whose kernel module would load br_netfilter itself.
PASS = "-A l2wg -i %s -o %s -j ACCEPT"
RULE = "-A l2wg -p tcp -m physdev %s %s --physdev-is-bridged -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss %d"


def steps(tunnels, mtus, found):
    """The commands that bring the clamp of `tunnels` into force, and take all else away; `mtus` is {interface: MTU}."""
    argvs = []
    if tunnels and not found.br_netfilter:
        # The module begins with the global switches on, and every bridge of this host filtered.
        argvs.append(("modprobe", "br_netfilter"))
        names = ("iptables", "ip6tables", "arptables")
        argvs.append(("sysctl", "-qw") + tuple(f"net.bridge.bridge-nf-call-{name}=0" for name in names))
    for position, (family, command) in enumerate(COMMANDS.items()):
        wanted = []
        for tunnel in tunnels:
            limit = headers.mss(tunnel, mtus[tunnel.underlay])[position]
            wanted += [RULE % (side, tunnel.name, limit) for side in ("--physdev-in", "--physdev-out")]
        argvs += _chain((command, "-w", "-t", "mangle"), wanted, (found.ipv4, found.ipv6)[position])
    return argvs


def passes(bridges, found):
    """The commands that have iptables accept what crosses these bridges, and no others; `found` is of table filter."""
    wanted = [PASS % (bridge, bridge) for bridge in bridges]
    argvs = []
    for position, command in enumerate(COMMANDS.values()):
        # First, but Docker puts its DOCKER-USER before it when it starts: what the admin forbids there stays forbidden.
        argvs += _chain((command, "-w", "-t", "filter"), wanted, (found.ipv4, found.ipv6)[position], "-I")
    return argvs


def _chain(base, wanted, found, place="-A"):
    jump, chain = "-A FORWARD -j " + CHAIN, f":{CHAIN} "
    has_jump, has_chain = jump in found, any(line.startswith(chain) for line in found)
    rules = [line for line in found if line.startswith(f"-A {CHAIN} ")]
    argvs = []
    if not wanted:
        if has_jump:
            argvs.append(base + ("-D", "FORWARD", "-j", CHAIN))
        if has_chain:
            argvs += [base + ("-F", CHAIN), base + ("-X", CHAIN)]
        return argvs
    if not has_chain:
        argvs.append(base + ("-N", CHAIN))
    if rules != wanted:
        argvs.append(base + ("-F", CHAIN))
        argvs += [base + tuple(line.split()) for line in wanted]
    if not has_jump:
        argvs.append(base + (place, "FORWARD", "-j", CHAIN))
    return argvs
