"""`l2wg check`: what is wrong, as facts with cures. It changes nothing, but sends one loop probe for each tunnel."""

import ipaddress
import time

from l2wg_hooks import apply, neighbours, peers, plan, probe, rights, rules, run, transaction, wish
from l2wg_hooks.errors import Problem

# Seconds for a probe to come back by the other site.
PATIENCE = 1


def check():
    """The Problems of now; none where all is as it should be. Raises L2wgError where nothing can be looked at."""
    intent = apply.intend()
    links = run.observe()
    found = list(intent.problems)
    if transaction.pending():
        found.append(Problem("a change waits for its confirmation, or came to no end", "l2wg confirm, or l2wg rollback"))
    for path in intent.texts:
        found.append(Problem("is not what the files in %s ask for" % wish.DIRECTORY, "l2wg apply", path))
    for step in intent.steps + intent.todo.steps:
        # What the rules say comes first: it is the one that lets strangers in.
        what = "guard, clamp and fences are not in force" if step.group == plan.GUARD else "%s: not as wished" % step.group
        found.append(Problem("%s: %s (`%s`)" % (what, step.reason, step), "l2wg apply"))
    found += [one.problem() for one in intent.named]
    found += [Problem(line, "l2wg tries again with every event") for line in intent.todo.waiting]
    for underlay in sorted({tunnel.underlay for tunnel in intent.tunnels if tunnel.underlay in links}):
        found += _uncovered([tunnel for tunnel in intent.tunnels if tunnel.underlay == underlay], _allowed(underlay))
    found += neighbours.problems(intent.tunnels, links)
    found += rights.problems(intent.tunnels)
    return tuple(found) + tuple(_loops(intent.tunnels, links))


def _allowed(underlay):
    """The networks that the peers of a WireGuard interface may send from, and get."""
    found = peers.look(underlay)
    return None if found is None else [network for peer in found.peers for network in peer.allowed if _is_network(network)]


def _is_network(word):
    try:
        return bool(ipaddress.ip_network(word, strict=False))
    except ValueError:
        return False


def _uncovered(tunnels, allowed):
    """Problems of tunnels whose packets WireGuard drops: it takes and sends only what AllowedIPs of a peer cover."""
    if allowed is None:
        return
    networks = [ipaddress.ip_network(word, strict=False) for word in allowed]
    for tunnel in tunnels:
        end = ipaddress.ip_address(tunnel.remote)
        if not any(end in network for network in networks if network.version == end.version):
            line = "AllowedIPs = %s" % ", ".join(allowed + ["%s/%d" % (end, end.max_prefixlen)])
            yield tunnel.problem(
                "remote",
                "AllowedIPs of no peer of %s cover %s: WireGuard drops what comes from there" % (tunnel.underlay, end),
                "in the [Peer] section of /etc/wireguard/%s.conf: %s" % (tunnel.underlay, line),
            )


def _loops(tunnels, links):
    if not any(tunnel.name in links for tunnel in tunnels):
        return
    probe.send(tunnels, links)
    time.sleep(PATIENCE)
    frames = rules.counters()
    for tunnel in tunnels:
        looped, stormed = (frames.get((what, tunnel.name), 0) for what in ("loop", "storm"))
        if looped:
            yield tunnel.problem(
                "bridge",
                "a loop: %d frames of %s came back to it: there is a second way between the sites" % (looped, tunnel.bridge),
                "find and cut that way (journalctl -k -g 'l2wg: loop'), or have both bridges speak STP",
            )
        if stormed:
            yield tunnel.problem(
                "storm-limit",
                "%d frames were dropped, over %d a second" % (stormed, tunnel.storm_limit or 0),
                "see what sends them (tcpdump -n -e -i %s); a loop, or too low a limit" % tunnel.name,
            )
