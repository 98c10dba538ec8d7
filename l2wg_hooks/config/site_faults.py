"""What is wrong between the lines of /etc/l2wg/sites, each of which is right by itself. Pure.

Of two lines that contradict each other neither counts: nobody can tell which one is meant, and what stands by one of them stays.
"""

import ipaddress

from l2wg_hooks.config import card, site_lines, site_names
from l2wg_hooks.errors import Problem
from l2wg_hooks.typed import Dict, List, Set

# Sites. In an open star each hears every other one's broadcasts; a bridge has 1,023 ports (BR_PORT_BITS), some of them the hub's.
MOST_OPEN, MOST_ISOLATED = 100, 1000
# Each has as many tunnels, and sends a broadcast as often.
MOST_IN_MESH = 30
# With one that FRR keeps, each hears each other's broadcasts, too, and nobody has a list.
MOST_BY_BGP = 1000


def between(lines, path):
    """The Lines without those that contradict others, and with all Problems."""
    problems: List[Problem] = list(lines.problems)
    wrong: Set[int] = set()
    for site, message, hint, key in _doubles(lines.living()):
        wrong.add(site.line)
        if message:
            problems.append(Problem(message, hint, path, site.line, key))
    called = {card.endpoint(site.card.endpoint)[0]: site for site in lines.living() if site.card.endpoint}
    for site in lines.living():
        for address in site.card.addresses:
            if address in called:
                wrong.add(site.line)
                message = f"{address}, its address inside WireGuard, is where {called[address].name} is called (line %d)"
                hint = "give it another one: the packets of WireGuard itself would go into it"
                problems.append(Problem(message % called[address].line, hint, path, site.line))
    gone = {site.key: site for site in lines.sites if site.gone}
    for site in lines.living():
        if site.key in gone:
            wrong.add(site.line)
            message = "its key is that of line %d, which says that the site is out" % gone[site.key].line
            problems.append(Problem(message, "take one of the two lines out", path, site.line))
    net = lines.net
    if net is not None:
        found = [*_of_values(net, lines.living(), path), *_of_network(net, lines.living(), path)]
        wrong.update(problem.line for problem in found)
        problems += found
        found = list(_of_net(net, lines, path))
        problems += found
        net = None if found else net
    kept = tuple(site for site in lines.sites if site.line not in wrong)
    faulty = lines.faulty + tuple(site for site in lines.sites if site.line in wrong)
    return lines._replace(net=net, sites=kept, faulty=faulty, problems=tuple(problems))


def _doubles(sites):
    """Yield (Site, message, cure, key) of each site that has what another one has; of the first ones without a message."""
    first: Dict[tuple, site_lines.Site] = {}
    hints = {
        "key": "take one of the two out: `l2wg card` at that site prints the one that is right",
        "name": "give one of them another name: l2wg card --name NAME there, and its new card here",
        "address": "give one of them another one: `address=` in its line, and Address in its WireGuard's file",
    }
    for site in sites:
        has = [("key", site.key), ("name", site_names.tunnel(site.name))]
        for what, value in has + [("address", address) for address in site.card.addresses]:
            other = first.setdefault((what, value), site)
            if other is not site:
                word = site.name if what == "name" else value
                yield other, "", "", ""
                yield site, "line %d has the same %s, %s" % (other.line, what, word), hints[what], ""


def _of_values(net, sites, path):
    """Problems of what says something of tunnels, in a line by which no tunnel is told from others."""
    for site in sites:
        for key in site.said:
            if key in site_lines.OF_TUNNELS or key == "key":
                if net.shape == site_lines.MESH:
                    message = "in a mesh, what holds for the tunnels holds for all of them"
                    nets = key != "key" or net.is_one_tunnel
                    hint = "take it out, or write it in the line of the net" if nets else "take it out"
                    yield Problem(message, hint, path, site.line, key)
                elif site.name in net.hubs:
                    message = f"{site.name} is the hub: each of its tunnels is told of by the line of the site that it leads to"
                    hint = "write it there" if key == "key" else "write it there, or for all of them in the line of the net"
                    yield Problem(message, hint, path, site.line, key)


def _of_network(net, sites, path):
    """Problems of sites that are not of the net's network, and of those that are called at an address of it."""
    for site in sites if net.network else ():
        if not site_lines.inside(site.card.addresses[0], net.network):
            addresses = ", ".join(site.card.addresses)
            message = f"{addresses}, its address inside WireGuard, is not of {net.network}, the net's network"
            hint = "give it one of that: Address in its WireGuard's file, and its new card, or address=, here"
            yield Problem(message, hint, path, site.line, "address")
        host = card.endpoint(site.card.endpoint)[0] if site.card.endpoint else ""
        if _is_address(host) and site_lines.inside(host, net.network):
            message = f"{host}, where it is called, is of {net.network}, whose addresses are inside WireGuard"
            yield Problem(message, "l2wg card --endpoint HOST there, and its new card here; or take network out", path, site.line)


def _is_address(text):
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _of_net(net, lines, path):
    living = len(lines.living()) + len([site for site in lines.faulty if not site.gone])
    if net.shape == site_lines.MESH:
        most = MOST_BY_BGP if net.by_bgp else MOST_IN_MESH
        if living > most:
            message = "%d sites are too many for a mesh, which takes %d" % (living, most)
            yield Problem(message, "make it a star: shape=star hub=NAME", path, net.line, "shape")
    for hub in net.hubs:
        yield from _of_hub(hub, net, lines, path)
    if net.shape == site_lines.MESH:
        return
    isolated = bool(net.values.get("isolated"))
    most = MOST_ISOLATED if isolated else MOST_OPEN
    if living > most:
        message = "%d sites are too many for a star%s, which takes %d" % (living, "" if isolated else " where all see all", most)
        hint = "make two nets of it" if isolated else "write isolated=yes: then the sites see the hub's LAN, and not each other's"
        yield Problem(message, hint, path, net.line, "isolated")


def _of_hub(name, net, lines, path):
    named = [site for site in lines.sites + lines.faulty if site.name == name]
    if not named:
        names = sorted(site.name for site in lines.living())
        hint = "no line has a card of that name; the names are: " + ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        yield Problem(f"no site is called {name}", hint if names else "add its card", path, net.line, "hub")
    elif all(site.gone for site in named):
        message = "%s is out since %s, by line %d" % (name, named[0].gone, named[0].line)
        yield Problem(message, "name another site as the hub, here and at all sites", path, net.line, "hub")
