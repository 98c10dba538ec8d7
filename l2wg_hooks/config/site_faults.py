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
    gone = {key: site for site in lines.sites if site.gone for key in site.keys}
    for site in lines.living():
        for key in site.keys:
            if key in gone:
                wrong.add(site.line)
                whose, word, hint = "its key", "", "take one of the two lines out"
                if key == site.was:
                    # Whoever has that one is not let in a moment longer.
                    whose, word, hint = "the key that it has had until now", "was", "take this word out"
                message = "%s is that of line %d, which says that the site is out" % (whose, gone[key].line)
                problems.append(Problem(message, hint, path, site.line, word))
    net = lines.net
    if net is not None:
        found = [*_of_values(net, lines.living(), path), *_of_network(net, lines.living(), path)]
        wrong.update(problem.line for problem in found)
        problems += found
        found = list(_of_net(net, lines, path))
        found += _of_faulty_hubs(net, lines, wrong, path)
        if net.hub_address:
            found += _of_two_hubs(net, lines, path)
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
        has = [("key", key) for key in site.keys] + [("name", site_names.tunnel(site.name))]
        for what, value in has + [("address", address) for address in site.card.addresses]:
            other = first.setdefault((what, value), site)
            if other is site:
                continue
            yield other, "", "", ""
            if what == "key" and value in (site.was, other.was):
                yield (site, *_changing(site, other, value))
                break  # they have more in common, which says nothing more
            word = site.name if what == "name" else value
            yield site, "line %d has the same %s, %s" % (other.line, what, word), hints[what], ""


def _changing(site, other, key):
    """(message, cure, key) of a site whose line has a key in common with another one's, the former key of one of them."""
    word = "was" if key == site.was else ""
    if site.was == other.was:
        return "line %d has changed from the same key, %s" % (other.line, key), "take the older one of the two lines out", word
    older, newer = (other, site) if word else (site, other)
    hint = "take line %d out, if it is that of the same site before the change of its key" % older.line
    if older.name != newer.name:
        hint = "whose key is it? Take `was` out of line %d, or line %d as a whole" % (newer.line, older.line)
    message = f"its former key, {key}, is the one that line {older.line} has"
    if not word:
        message = f"its key, {key}, is what line {newer.line} has as its former one"
    return message, hint, word


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
                elif key == "isolated" and len(net.hubs) > 1 and site.values.get("isolated"):
                    yield Problem(site_lines.ISOLATED, "take isolated out, or name one hub", path, site.line, key)
                elif site.name in net.hubs:
                    called = "the hub" if len(net.hubs) == 1 else "a hub"
                    message = f"{site.name} is {called}: each of its tunnels is told of by the line of the site that it leads to"
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
        hint = "name another site as the hub, here and at all sites"
        if len(net.hubs) > 1:
            others = ",".join(hub for hub in net.hubs if hub != name)
            less = f"without it: hub={others}" if net.by_bgp else f"have one hub: hub={others}, without hub-address"
            hint = f"name another site in its place, here and at all sites; or {less}"
        yield Problem(message, hint, path, net.line, "hub")


def _of_faulty_hubs(net, lines, wrong, path):
    """Problems of a hub's line that does not count, as those `wrong` do not, where others' ways depend on it."""
    for hub in net.hubs if len(net.hubs) > 1 or net.is_one_tunnel else ():
        named = [site for site in lines.sites + lines.faulty if site.name == hub and not site.gone]
        faulty = [site for site in named if site in lines.faulty or site.line in wrong]
        if faulty:
            # By one of two hubs alone, what stands by the other one would go; in a mesh without its hub, each site had a peer.
            message = f"the line of {hub}, which is a hub, has a fault"
            yield Problem(message, "mend line %d" % faulty[0].line, path, net.line, "hub")


def _of_two_hubs(net, lines, path):
    """Problems of the address that two hubs of a star have, and of a site that is called like the tunnel there."""
    address = net.hub_address
    if net.network and not site_lines.inside(address, net.network):
        message = f"{address} is not of {net.network}, the net's network"
        yield Problem(message, "one of that which is no site's; or take network out", path, net.line, "hub-address")
    for site in lines.sites + lines.faulty:
        if address in site.card.addresses and not site.gone:
            message = f"{address} is the address of {site.name} (line {site.line}): the hubs have this one beside their own"
            yield Problem(message, "an address of the same network that is no site's", path, net.line, "hub-address")
        if site.card.endpoint and card.endpoint(site.card.endpoint)[0] == address:
            message = f"{address} is where {site.name} is called (line {site.line})"
            hint = "another one: the packets of WireGuard itself would go into it"
            yield Problem(message, hint, path, net.line, "hub-address")
        family = [word for word in site.card.addresses if (":" in word) == (":" in address)]
        if not site.gone and not family:
            message = f"{site.name} (line {site.line}) has no IPv{6 if ':' in address else 4} address, as hub-address is"
            yield Problem(message, "one of the family that all sites have", path, net.line, "hub-address")
    if site_names.HUBS in {site_names.tunnel(site.name) for site in lines.living()}:
        site = next(site for site in lines.living() if site_names.tunnel(site.name) == site_names.HUBS)
        message = f"{site_names.HUBS} is what the tunnel to the two hubs is called"
        yield Problem(message, "give this site another name: l2wg card --name NAME there", path, site.line)
