"""The lines of /etc/l2wg/sites: what each says, and all that is wrong in it. Pure.

`net KEY=VALUE...` once, and for each site its card and KEY=VALUE... behind it. `#` starts a comment.
"""

import datetime
import ipaddress
import re

from l2wg_hooks.config import card, schema, tunnel_file
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import Problem
from l2wg_hooks.typed import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

NET = "net"
STAR, MESH = "star", "mesh"
# What holds for tunnels: on a site's line for those of a star that lead there, on the net's for all.
OF_TUNNELS = ("mtu", "vlans", "dhcp", "storm-limit", "isolated", "mss-clamp")
# What is of one router alone.
OF_A_ROUTER = ("bridge", "bridge-ports", "bridge-address")
_SPACES = re.compile(f"[{schema.SPACE}]+")
_WITHOUT = "take this word out"
# Of these, schema.py takes no address for the end of a tunnel.
_NOBODYS = [ipaddress.ip_network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]
_NOBODYS += [ipaddress.ip_network(text) for text in ("::/96", "fe80::/10", "ff00::/8")]
ISOLATED = "sites at different hubs would see each other all the same, by way of both hubs"


class Site(NamedTuple):
    """One site: `values` are those of its line, by the fields of Tunnel, `gone` the day since which it is out, or "".

    `said` has the keys that stand in the line, `text` is the line without what means nothing. `was` is the public key that it has
    had until now, "" where it does not change: until it has come with the new one, both are its own.
    """

    line: int
    card: card.Card
    values: Dict[str, Any] = {}
    gone: str = ""
    said: Tuple[str, ...] = ()
    text: str = ""
    was: str = ""

    @property
    def name(self):
        return self.card.name

    @property
    def key(self):
        """Its public key."""
        return self.card.key

    @property
    def keys(self):
        """That, and the one that it has had until now."""
        return (self.key, self.was) if self.was else (self.key,)


class Net(NamedTuple):
    """What holds for all: `hubs` are names of sites; of a mesh it is the one by which WireGuard leads to all others, or none.

    `network` is the one that the sites' addresses inside WireGuard are of, "" where nothing is said of that.
    Two hubs of a star have the `hub_address` both, inside WireGuard; `hubs_joined` is whether they have a tunnel between them.
    """

    line: int
    shape: str
    hubs: Tuple[str, ...]
    values: Dict[str, Any] = {}
    said: Tuple[str, ...] = ()
    text: str = ""
    network: str = ""
    hub_address: str = ""
    hubs_joined: bool = True

    @property
    def by_bgp(self):
        """Whether FRR finds the sites in the net's network, so that these need no line of each other."""
        return self.values.get("control") == "evpn"

    @property
    def is_one_tunnel(self):
        """Whether each site has one tunnel, which leads to all others."""
        return self.shape == MESH and _leads_to_several(self.values.get("encapsulation", registry.DEFAULT))


def _leads_to_several(encapsulation):
    return registry.ENCAPSULATIONS[encapsulation].floods


class Lines(NamedTuple):
    """A file's: `net` is None where its line is missing or wrong; `faulty` are the sites that cannot be taken as they stand."""

    net: Optional[Net] = None
    sites: Tuple[Site, ...] = ()
    faulty: Tuple[Site, ...] = ()
    problems: Tuple[Problem, ...] = ()

    def living(self):
        """The sites that are not out."""
        return [site for site in self.sites if not site.gone]

    def gone(self):
        """The public keys of those that are out."""
        return {key for site in self.sites if site.gone for key in site.keys}


def parse(text, path):
    """The Lines of a file's text: all that is wrong in each, not just the first."""
    nets: List[Tuple[int, Optional[Net]]] = []
    sites: List[Site] = []
    faulty: List[Site] = []
    problems: List[Problem] = []
    rows = tunnel_file.lines_of(text)
    if rows[-1].strip(schema.SPACE):
        # Of a copy that was cut off, what is left of a line may well make sense.
        hint = f"copy the file again; or, if that is all of it: echo >>{path}"
        problems.append(Problem("the last line has no end: is this all of the file?", hint, path, len(rows)))
        rows.pop()
    for number, row in enumerate(rows, 1):
        words = [word for word in _SPACES.split(row.partition("#")[0]) if word]
        if not words:
            continue
        found: List[Problem] = []
        if words[0] == NET:
            net = _net(words, number, path, found)
            if nets:
                found = [Problem("stands on line %d already" % nets[0][0], "keep one of the two lines", path, number, NET)]
                nets.append((number, None))
            else:
                nets.append((number, None if found else net))
        else:
            site = _site(words, number, path, found)
            if site is not None:
                (faulty if found else sites).append(site)
        problems += found
    if not nets:
        hint = "add a line: net shape=star hub=NAME, with the name of the site that all others call"
        problems.append(Problem("there is no line of the net", hint, path, 0, NET))
    single = nets[0][1] if len(nets) == 1 else None
    if single is not None and single.network:
        sites, faulty = ([_within(site, single.network) for site in some] for some in (sites, faulty))
    return Lines(single, tuple(sites), tuple(faulty), tuple(problems))


def inside(address, network):
    """Whether an address is of a network."""
    outer = ipaddress.ip_network(network)
    return ipaddress.ip_address(address) in outer


def _within(site, network):
    """The Site with those of its addresses that are of the net's network; with all of them where none is."""
    found = tuple(address for address in site.card.addresses if inside(address, network))
    return site._replace(card=site.card._replace(addresses=found)) if found else site


def _values(words, known: Dict[str, Callable[[str], Any]], number, path, problems):
    """{key: value} of KEY=VALUE words, of the keys that are `known`, with the parser of each."""
    found: Dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        label = key if schema.NAME.match(key) and len(key) <= 30 else schema.shown(key)
        try:
            if key not in known:
                raise Refused("cannot stand here", "one of: " + ", ".join(known))
            if not equals:
                raise Refused("is not KEY=VALUE", f"write {key}=..., without a blank in it")
            if key in found:
                raise Refused("stands in this line twice", "keep one of the two")
            if not value:
                raise Refused("is empty", _WITHOUT)
            found[key] = known[key](value)
        except Refused as error:
            problems.append(Problem(error.args[0], error.args[1], path, number, label))
    return found


def _parsers(keys):
    return {key: schema.KEYS[key].parse for key in keys}


def _fields(found, keys):
    """{field of Tunnel: value} of those of these keys that were `found`."""
    return {schema.KEYS[key].field: found[key] for key in keys if key in found}


def _shape(value):
    if value not in (STAR, MESH):
        raise Refused(f"unknown shape {schema.shown(value)}", f"one of: {STAR}, {MESH}")
    return value


def _hubs(value):
    names = tuple(schema.site_name(name) for name in value.split(","))
    if len(set(names)) < len(names):
        raise Refused("a site stands there twice", "name each hub once")
    return names


def _network(value):
    hint = "one that all sites' addresses inside WireGuard are of, such as 198.18.0.0/15"
    if "/" not in value:
        raise Refused(f"{schema.shown(value)} has no prefix length", hint)
    try:
        found = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise Refused(f"expected a network, not {schema.shown(value)}", hint)
    if found.num_addresses < 4:
        raise Refused(f"{found} has no room for two sites", hint)
    if any(found.version == wide.version and wide.overlaps(found) for wide in _NOBODYS):
        raise Refused(f"addresses of {found} cannot be ends of a tunnel", hint)
    if str(found) != value:
        raise Refused(f"{schema.shown(value)} is not how that network is written", f"network={found}")
    return value


def _former(value):
    try:
        return card.public_key(value)
    except Refused as error:
        raise Refused(error.args[0], "the public key that the site has had until now, as `l2wg rekey` prints it there")


def _day(value):
    try:
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", value):
            raise ValueError(value)
        datetime.date(*map(int, value.split("-")))
    except ValueError:
        raise Refused(f"expected a day, not {schema.shown(value)}", "the day since which the site is out: gone=2026-11-25")
    return value


_OF_NET = {
    "shape": _shape,
    "hub": _hubs,
    "network": _network,
    "hub-address": schema.KEYS["local"].parse,
    "hubs-joined": schema.KEYS["isolated"].parse,
    **_parsers(("bridge", "encapsulation", "control") + OF_TUNNELS + ("key",)),
}
_OF_SITE = {"address": schema.KEYS["local"].parse, "gone": _day, "was": _former, **_parsers(OF_A_ROUTER + OF_TUNNELS + ("key",))}


def _net(words, number, path, problems):
    found = _values(words[1:], _OF_NET, number, path, problems)
    shape, hubs = found.get("shape", STAR), found.get("hub", ())

    def refuse(key, message, hint):
        problems.append(Problem(message, hint, path, number, key))

    if not problems and shape == STAR and not hubs:
        refuse("hub", "a star has a hub", "name the site that all others call: hub=NAME")
    if shape == STAR and hubs:
        for key, message, hint in _of_hubs(found, hubs):
            refuse(key, message, hint)
    for key in ("hub-address", "hubs-joined") if shape == MESH else ():
        if key in found:
            refuse(key, "is of the two hubs of a star", _WITHOUT)
    one = shape == MESH and _leads_to_several(found.get("encapsulation", registry.DEFAULT))
    if shape == MESH and hubs and not one:
        hint = "write encapsulation=vxlan, with which they go by a hub; or take hub out; or write shape=star"
        refuse("hub", "such a mesh has none: each site has a tunnel of its own to each other one", hint)
    by_bgp = found.get("control") == "evpn"
    if by_bgp and not one:
        refuse(
            "control",
            "evpn is for a mesh of VXLAN, whose tables FRR fills",
            "write shape=mesh encapsulation=vxlan; or take control out",
        )
    elif by_bgp and not problems:
        if not hubs:
            hint = "name one or two that all others call: hub=NAME,NAME; the first is WireGuard's hub"
            refuse("hub", "with control=evpn the hubs are BGP's reflectors, and there is none", hint)
        if "network" not in found:
            hint = "write network=198.18.0.0/15, or which prefix they have"
            refuse("network", "with control=evpn it is where all sites are, in a line here or not, and it is missing", hint)
    if one and len(hubs) > 1 and not by_bgp:
        message = "a mesh goes by one hub: WireGuard leads to each address by one peer, and nothing moves it to the other hub"
        refuse("hub", message, f"name one: hub={hubs[0]}")
    if shape == MESH and not one and found.get("isolated") is False:
        refuse("isolated", "a mesh of tunnels that forward to each other is a loop", "take isolated out: in a mesh it is yes")
    if "key" in found and not one:
        hint = "take it out, or write it in the lines of sites" if shape == STAR else _WITHOUT
        refuse("key", "each site has a tunnel to each it meets, and one key would be all of these tunnels'", hint)
    if one and found.get("key", 0) > registry.ENCAPSULATIONS[found["encapsulation"]].number_max:
        refuse("key", "%d is too large for a VNI" % found["key"], "a number up to 16777215, the same at all sites")
    values = _fields(found, ("bridge", "encapsulation", "control") + OF_TUNNELS + ("key",))
    joined = found.get("hubs-joined", True)
    address = found.get("hub-address", "")
    return Net(number, shape, hubs, values, tuple(found), " ".join(words), found.get("network", ""), address, joined)


def _of_hubs(found, hubs):
    """Yield (key, message, hint) of what says something of the hubs of a star that cannot be."""
    if len(hubs) > 2:
        yield "hub", "%d hubs are too many: a star has one or two" % len(hubs), "name two: hub=%s,%s" % hubs[:2]
    elif len(hubs) == 2:
        if "hub-address" not in found:
            hint = "one more of their network, that is no site's: hub-address=198.18.0.1; or name one hub"
            yield "hub-address", "two hubs have one address inside WireGuard, beside their own, by which sites reach either", hint
        if found.get("isolated"):
            yield "isolated", ISOLATED, "take isolated out, or name one hub: hub=" + hubs[0]
    else:
        for key in ("hub-address", "hubs-joined"):
            if key in found:
                hint = "name the other one, too: hub=%s,NAME; or take this word out" % hubs
                yield key, "is of two hubs, and there is one", hint


def _site(words, number, path, problems):
    """The Site of a line, or None where its card is none."""
    try:
        known = card.decode(words[0])
    except Refused as error:
        problems.append(Problem(error.args[0], error.args[1], path, number))
        return None
    found = _values(words[1:], _OF_SITE, number, path, problems)
    if "address" in found:
        known = known._replace(addresses=(found["address"],))
    values = _fields(found, OF_A_ROUTER + OF_TUNNELS + ("key",))
    was = found.get("was", "")
    if was == known.key:
        message = "the key that the site has had until now is the one that it has by its card"
        hint = "take this word out; or put the card in that `l2wg rekey` prints there"
        problems.append(Problem(message, hint, path, number, "was"))
    return Site(number, known, values, found.get("gone", ""), tuple(found), " ".join(words), was)
