"""A port's addresses move to its bridge: what can move, and the steps to do it. Pure.

The bridge takes the port's Ethernet address, its IP addresses and its routes in one `ip -batch`, each address being on
both for a moment, so that no connection notices.
"""

from l2wg_hooks.config import ifupdown_bridge, ifupdown_commands, ifupdown_stanzas
from l2wg_hooks.errors import Problem
from l2wg_hooks.model import Addresses, Link, Step
from l2wg_hooks.plan import bridge_steps, commands
from l2wg_hooks.typed import List, NamedTuple, Set, Tuple


class Move(NamedTuple):
    """`addresses` as the kernel or interfaces(5) has them; `paths` are the files with the port's stanzas."""

    port: str
    bridge: str
    addresses: Tuple[str, ...]
    paths: Tuple[str, ...]

    def __str__(self):
        return "{} moves from {} to {}".format(" and ".join(self.addresses), self.port, self.bridge)


def find(tunnels, defined, links, held):
    """(Moves, Problems): which wished ports with an address could give it to their bridge, and why others could not."""
    elsewhere = {stanza.interface for stanza in defined.stanzas if stanza.path != ifupdown_bridge.OURS}
    moves: List[Move] = []
    problems: List[Problem] = []
    for tunnel in tunnels:
        for name in tunnel.bridge_ports if tunnel.bridge not in elsewhere else ():
            link = links.get(name, Link(name, 0))
            own = [stanza for stanza in defined.stanzas if stanza.interface == name and stanza.path != ifupdown_bridge.OURS]
            live = link.addresses if link.master in ("", tunnel.bridge) else ()
            addresses = live or tuple(value for stanza in own for value in stanza.addresses())
            if not addresses or name in [move.port for move in moves]:
                continue
            reason = _stays(tunnel, name, own, defined, addresses, held.get(name, Addresses()))
            if reason:
                where = " (%s:%d)" % (own[0].path, own[0].line) if own else ""
                hint = f"it cannot be moved to {tunnel.bridge} by itself: {reason}"
                problems.append(bridge_steps.carries(tunnel, name, addresses[0], where, hint))
            else:
                moves.append(Move(name, tunnel.bridge, addresses, tuple(sorted({stanza.path for stanza in own}))))
    return tuple(moves), tuple(problems)


def _stays(tunnel, name, own, defined, addresses, held):
    """Why the addresses of a port cannot move, with the cure; empty where they can."""
    if not [stanza for stanza in own if stanza.method == "static"]:
        return f"interfaces(5) gives {name} no static address; take it from {name}, or name another port"
    for stanza in own:
        if stanza.family not in ("inet", "inet6") or stanza.method not in ("static", "manual"):
            how = " ".join((stanza.family, stanza.method)).strip()
            return "%s:%d says `%s`; define %s with it there yourself" % (stanza.path, stanza.line, how, tunnel.bridge)
    for stanza in own:
        for key, value in stanza.options:
            judged = ifupdown_commands.judge(value, name) if key in ifupdown_stanzas.COMMANDS else None
            if judged and judged.whose == ifupdown_commands.BOTH:
                words = (stanza.path, stanza.line, key, value, judged.part)
                return "%s:%d: `%s %s` is about the card (`%s`) and about its network; make two lines of it" % words
    for stanza in defined.stanzas:
        if stanza.inherits and name in (stanza.interface, stanza.inherits):
            return "%s:%d inherits from %s; write out there what it has of it" % (stanza.path, stanza.line, stanza.inherits)
        if stanza.interface.partition(":")[0] == name != stanza.interface:
            return "%s:%d defines %s; make it a second `iface %s` stanza" % (stanza.path, stanza.line, stanza.interface, name)
    if any("valid_lft" in words for words in held.addresses if ":" not in words[0]):
        return "its address is a lease of DHCP; give it a static one, or name another port"
    ends = [address.partition("/")[0] for address in addresses]
    if tunnel.bridge_address and tunnel.bridge_address.partition("/")[0] not in ends:
        return f"bridge-address says {tunnel.bridge_address}; leave that empty"
    return ""


def doubtful(moves, defined):
    """Problems, which forbid nothing, of commands of which nobody can tell whether they belong to the port or to its bridge."""
    for move in moves:
        for stanza in defined.stanzas:
            for key, value in stanza.options if stanza.interface == move.port and stanza.path != ifupdown_bridge.OURS else ():
                judged = ifupdown_commands.judge(value, move.port) if key in ifupdown_stanzas.COMMANDS else None
                if judged and judged.whose == ifupdown_commands.UNKNOWN:
                    goes = f"stays with {move.port}" if judged.stays else f"goes to {move.bridge}"
                    message = "`%s %s` %s; whether `%s` is about the card or about its network cannot be told"
                    hint = "if that is wrong, call it from a script in /etc/network/if-up.d, which is run for %s and for %s"
                    words = (key, value, goes, judged.part)
                    yield Problem(message % words, hint % (move.port, move.bridge), stanza.path, stanza.line)


def after(links, moves):
    """`links` as they will be after the moves."""
    links = dict(links)
    for move in moves:
        port = links.get(move.port)
        if port is None:
            continue
        bridge = links.get(move.bridge, Link(move.bridge, 0, kind="bridge", up=True, mtu=port.mtu, mac=port.mac))
        links[move.bridge] = bridge._replace(addresses=bridge.addresses + port.addresses)
        links[move.port] = port._replace(addresses=(), master=move.bridge)
    return links


def steps(moves, links, held, settings=None):
    """The Steps of the moves, in an order in which every address is always on one interface at least.

    `settings` is {port: its sysctls, as sysctls.differing has them}, which the bridge gets before it has an address.
    """
    found: List[Step] = []
    new: Set[str] = set()
    for move in moves:
        port = links.get(move.port)
        if port is None or (port.master == move.bridge and not port.addresses):
            continue  # nothing is on it now: the text is all that moves
        words: List[Tuple[str, ...]] = []
        made = move.bridge not in links and move.bridge not in new
        if made:
            new.add(move.bridge)
            # With an address of its own, which no port or manager changes: those who know the port's need not learn another.
            words.append(("ip", "link", "add", "name", move.bridge, "address", port.mac, "type", "bridge", "forward_delay", "0"))
            words.append(("ip", "link", "set", "dev", move.bridge, "up"))
        if (settings or {}).get(move.port):
            # Before it is up: it would take a router's word by then.
            words.insert(1 if made else 0, commands.sysctls(move.bridge, settings[move.port]))
        mine = held.get(move.port, Addresses())
        words += commands.give(mine, move.bridge, move.port)
        if port.master != move.bridge:
            words.append(("ip", "link", "set", "dev", move.port, "master", move.bridge))
        words += commands.lead(mine, move.bridge)
        words += commands.take(mine, move.port)
        found += [Step(argv, str(move), move.bridge) for argv in words]
    return tuple(found)


def back(port, bridge, given, held, routes):
    """ip(8) commands with which `port` leaves `bridge` and takes along the addresses `given`, and all `routes`, if so."""
    ends = [address.partition("/")[0] for address in given]
    has = held.get(bridge, Addresses())
    mine = Addresses(
        tuple(words for words in has.addresses if words[0].partition("/")[0] in ends),
        has.routes if routes and given else (),
    )
    words = list(commands.give(mine, port, bridge))
    words.append(("ip", "link", "set", "dev", port, "nomaster"))
    return words + list(commands.lead(mine, port)) + list(commands.take(mine, bridge))
