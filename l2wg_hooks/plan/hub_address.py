"""The address that two hubs have, on a `shared` WireGuard interface: l2wg gives it beside those of its admin. Pure.

An `own` one gets it with those of its file (observe/walls.py, plan/wire_steps.py).
"""

from l2wg_hooks import model
from l2wg_hooks.config import wg_quick_peers
from l2wg_hooks.model import WIREGUARD_KINDS, Step
from l2wg_hooks.plan import site_peers
from l2wg_hooks.typed import Dict, NamedTuple, Tuple


class Giving(NamedTuple):
    """Steps and Problems; `given` are (WireGuard interface, address) that a step gives; `links` are as after the steps."""

    steps: Tuple[Step, ...]
    problems: Tuple
    given: Tuple[Tuple[str, str], ...]
    links: Dict[str, model.Link]


def changes(tunnels, links, seen, leaving=()):
    """The Giving for all shared interfaces. What somebody else has given stays, and is theirs."""
    wanted = {(tunnel.underlay, tunnel.hub_address): tunnel for tunnel in tunnels if tunnel.is_hubs and not tunnel.walled}
    ours = seen.given or frozenset()
    steps, problems, given, after = [], [], [], dict(links)
    for name, address in sorted({*wanted, *ours}):
        link, tunnel = links.get(name), wanted.get((name, address))
        if link is None or name in leaving or link.kind not in WIREGUARD_KINDS or link.namespace:
            continue
        holders = [holder.name for holder, _ in model.holders(links, address) if not holder.namespace]
        word, group = wg_quick_peers.host(address), f"address of {name}"
        if tunnel is None:
            if name in holders:
                argv = ("ip", "address", "delete", word, "dev", name)
                steps.append(Step(argv, "no tunnel of a hub is there that needs it", group))
                after[name] = link._replace(addresses=tuple(own for own in link.addresses if own != word))
        elif not holders:
            steps.append(Step(("ip", "address", "add", word, "dev", name), "the address of both hubs", group))
            given.append((name, address))
            after[name] = link._replace(addresses=link.addresses + (word,))
        elif name not in holders:
            message = f"{address}, the address of both hubs, is that of {holders[0]} here"
            problems.append(tunnel.problem("", message, site_peers.OTHER))
    return Giving(tuple(steps), tuple(problems), tuple(given), after)
