"""`l2wg sites --for SITE --as FORM`: a site's part of the net as another tool takes it. Pure.

The part is what that router itself works out (site_tunnels.py), as if it had that site's key. There is no secret in it.
"""

import json

from l2wg_hooks.config import (
    card,
    frr_speaker,
    frr_text,
    own_wire,
    schema,
    site_tunnels,
    store,
    tunnel_file,
    wg_quick,
    wg_quick_peers,
    wire_peers,
)
from l2wg_hooks.errors import L2wgError, Problem, fail, listed
from l2wg_hooks.model import Tunnel
from l2wg_hooks.plan import transit
from l2wg_hooks.typed import Callable, Dict, List, NamedTuple, Tuple

# Where that router's WireGuard is, unless somebody says otherwise: one that others make, and one that l2wg makes (wire = own).
SHARED, OWN = "shared", "own"
UNDERLAYS = {SHARED: "wg0", OWN: "l2w0"}
# For the key of its WireGuard, which is to be in no store.
NIX_KEY = "/var/lib/{}.key"
# Names in a message.
NAMED = 5
# Of debconf's questions, those of a tunnel: debian/l2wg.templates.
_ASKED = ("underlay", "local", "remote", "bridge", "bridge-ports", "bridge-address")


class Export(NamedTuple):
    """`text` is for standard output, `notes` tell what is not in it, each with its cure."""

    text: str
    notes: Tuple[Problem, ...] = ()


class _Site(NamedTuple):
    """What a form is made of: the site's Card, its WireGuard interface and its Tunnels, each with its peer.

    `walled` is whether l2wg makes that interface.
    """

    card: card.Card
    underlay: str
    tunnels: Tuple[Tunnel, ...]
    walled: bool = False

    @property
    def name(self):
        return self.card.name

    def peers(self):
        """(Tunnel, one of its peers), of all."""
        found = []
        for tunnel in self.tunnels:
            for peer in wire_peers.of(tunnel):
                if peer.was:  # it comes with that one until it has switched
                    found.append((tunnel, peer._replace(key=peer.was)))
                    peer = peer._replace(allowed=())
                found.append((tunnel, peer))
        return found

    @property
    def addresses(self):
        """Those that its WireGuard interface has: its own, and that of both hubs, if it is one of two."""
        more = dict.fromkeys(tunnel.hub_address for tunnel in self.tunnels if tunnel.is_hubs)
        return [wg_quick_peers.host(address) for address in (*self.card.addresses, *more)]

    @property
    def unmoved(self):
        """Problems of a site with two hubs that has no file of sites."""
        message = "it listens to {}: to move to {}, without the file of sites, is up to you"
        hint = "have {0} among the AllowedIPs of that peer: WireGuard takes it from the other one. With the file, l2wg does it"
        for tunnel in self.tunnels if self.tunnels[0].has_hubs else ():
            first, *others = sorted(tunnel.peers, key=lambda peer: tunnel.hub_address not in peer.ends)
            names = ", ".join(peer.site for peer in others)
            yield Problem(message.format(first.site, names), hint.format(wg_quick_peers.host(tunnel.hub_address)))

    @property
    def private(self):
        """What stands in the place of the key that is in no file of sites."""
        return f"the private key of {self.card.key}, which never leaves that router"


def export(lines, name, form, underlay, path, wire=SHARED):
    """The Export of a site of these Lines in one of FORMS. Raises L2wgError: a file with mistakes is no net yet.

    `underlay` is its WireGuard interface, "" for that of UNDERLAYS; `wire` is whose that is, SHARED or OWN.
    """
    underlay, walled = underlay or UNDERLAYS[wire], wire == OWN
    if lines.problems:
        raise L2wgError(*lines.problems)
    site = next((site for site in lines.sites if site.name == name), None)
    if site is None:
        names = sorted(site.name for site in lines.living())
        raise L2wgError(Problem(f"no site is called {schema.shown(name)}", f"the names are: {listed(names, NAMED)}", path))
    if site.gone:
        fail(f"{name} is out since {site.gone}", "take gone= out of its line, if it is in again", path=path, line=site.line)
    part = site_tunnels.find(lines, {site.key: site_tunnels.Wire(underlay, walled)}, site_tunnels.ByHand(), path)
    if part.problems:
        raise L2wgError(*part.problems)
    if not part.tunnels:
        fail(f"{name} is alone: no line has a site that it has a tunnel to", "add that site's card", path=path)
    if form == FRR:
        return _frr(lines, name, part.tunnels, path)
    found = FORMS[form](_Site(site.card, underlay, part.tunnels, walled))
    return found._replace(notes=found.notes + tuple(_forwards(name, underlay, part.tunnels)))


def _frr(lines, name, tunnels, path):
    """The file of FRR, where that fills the tables."""
    tunnels = [tunnel for tunnel in tunnels if tunnel.senders]
    if not tunnels:
        fail(
            "FRR has nothing to do in this net",
            "control=evpn in its line is for that: l2wg-sites(5)",
            path=path,
            line=lines.net.line,
        )
    names = frr_speaker.hubs(lines, tunnels[0].family)
    return Export(frr_text.text(frr_speaker.speaker(tunnels, tuple(names), names), name))


def _forwards(name, underlay, tunnels):
    """Yield the Problem of a hub: what it forwards, none of the forms can say."""
    for tunnel in tunnels:
        if tunnel.forwards:
            message = f"{name} is the hub, by which the others reach each other: it has to forward from {underlay} to {underlay}"
            hint = f"there: sysctl -w {transit.switch(underlay, tunnel.family)}=1, and let the firewall pass UDP"
            # BGP to another reflector goes by the hub, too, and FRR does not see a wire of its own.
            more = ", and TCP to port 179" if tunnel.senders else "; with the file of sites, and wire = own, l2wg does that"
            yield Problem(message, hint + more)


def _wg_quick(site):
    """The file of a WireGuard interface, but for its key."""
    rows = [f"# {wg_quick.path(site.underlay)} of {site.name}"] + [own_wire.MARK] * site.walled
    rows += ["[Interface]", f"# PrivateKey: {site.private}"]
    rows += [f"Address = {address}" for address in site.addresses]
    if site.card.endpoint:
        rows.append("ListenPort = %d" % card.endpoint(site.card.endpoint)[1])
    for tunnel, peer in site.peers():
        what = _kind(tunnel, peer) if peer.allowed else "its next key, which gets the AllowedIPs above with its first handshake"
        rows += ["", f"# {peer.site or tunnel.site}: {what}", "[Peer]", f"PublicKey = {peer.key}"]
        rows += ["AllowedIPs = " + ", ".join(peer.allowed)] if peer.allowed else []
        rows += [f"Endpoint = {peer.endpoint}"] if peer.endpoint else []
        rows += ["PersistentKeepalive = %d" % peer.keepalive] if peer.keepalive else []
    hint = "put it in there, on that router: PrivateKey = ..., in [Interface]"
    keyless = Problem("the private key is missing: it is in no file of sites", hint)
    ether = Problem(
        "the tunnels are not in it, but for a comment: this is WireGuard's part alone",
        "l2wg makes them of the file of sites, or of `--as conf`; whatever else runs there has a word for them of its own",
    )
    return Export(_text(rows), (keyless, ether, *site.unmoved))


def _conf(site):
    """A file of /etc/l2wg for each tunnel, one below the other."""
    rows: List[str] = []
    for tunnel in site.tunnels:
        rows += ([""] if rows else []) + [f"# {store.path(tunnel.name)}"]
        rows += tunnel_file.fresh(tunnel.name, _words(tunnel)).rstrip("\n").split("\n")
    return Export(_text(rows), (_peerless(site, "these files"),))


def _keyed(site):
    """What says how the file of an interface is printed that l2wg makes."""
    return "`--as wg-quick" + (" --wire own" if site.walled else "") + "`"


def _nix_wireguard(site, where):
    """Rows of NixOS' own WireGuard, whose key is the file `where`."""
    address = " ".join(map(_quoted, site.addresses))
    rows = [f"  networking.wg-quick.interfaces.{_quoted(site.underlay)} = {{", f"    address = [ {address} ];"]
    rows.append(f"    privateKeyFile = {_quoted(where)}; # {site.private}")
    if site.card.endpoint:
        rows.append("    listenPort = %d;" % card.endpoint(site.card.endpoint)[1])
    rows.append("    peers = [")
    for _, peer in site.peers():
        words = [f"publicKey = {_quoted(peer.key)};", "allowedIPs = [ {} ];".format(" ".join(map(_quoted, peer.allowed)))]
        words += [f"endpoint = {_quoted(peer.endpoint)};"] if peer.endpoint else []
        words += ["persistentKeepalive = %d;" % peer.keepalive] if peer.keepalive else []
        rows.append("      {{ {} }}".format(" ".join(words)))
    return rows + ["    ];", "  };"]


def _nix(site):
    """A module of NixOS: WireGuard, and services.l2wg."""
    where = NIX_KEY.format(site.underlay)
    rows = ["{"] + ([] if site.walled else _nix_wireguard(site, where))
    rows += ["  services.l2wg = {", "    enable = true;"]
    for tunnel in site.tunnels:
        rows.append(f"    tunnels.{_quoted(tunnel.name)} = {{")
        rows += [f"      {_camel(key)} = {_nix_value(value)};" for key, value in _said(tunnel).items()]
        rows.append("    };")
    rows += ["  };", "}"]
    notes = [Problem(f"where its private key is, no file of sites tells; {where} stands for it", f"put it there: {site.private}")]
    if site.walled:
        message = f"{site.underlay} is not in it: l2wg makes that of {wg_quick.path(site.underlay)}, which is in no store"
        notes = [Problem(message, f"{_keyed(site)} prints that file, but for the key")]
    notes += site.unmoved
    bare = sorted({tunnel.bridge for tunnel in site.tunnels if not tunnel.bridge_ports})
    if bare:
        hint = f"networking.bridges.{bare[0]}.interfaces = [ ... ]; or bridge-ports= in the line of {site.name}"
        notes.append(Problem(f"{bare[0]} is not defined in it: that line names no ports", hint))
    return Export(_text(rows), tuple(notes))


def _preseed(site):
    """Answers for debconf, which asks for one tunnel."""
    if len(site.tunnels) > 1:
        message = f"{site.name} has %d tunnels, and debconf asks for one" % len(site.tunnels)
        fail(message, "copy the file of sites to it, and run there: l2wg apply")
    (tunnel,) = site.tunnels
    if tunnel.is_one_of_all:
        message = f"the tunnel of {site.name} leads to %d sites, and debconf asks for one" % len(tunnel.peers)
        fail(message, "copy the file of sites to it, and run there: l2wg apply")
    values = _words(tunnel)
    rows = [f"l2wg l2wg/tunnel string {tunnel.name}"]
    rows += [f"l2wg l2wg/{key} string {values.get(key, '')}".replace(", ", " ").rstrip() for key in _ASKED]
    # There is nothing to attach to, and nothing to apply before the rest is told.
    answer = "false" if site.walled else "true"
    rows += [f"l2wg l2wg/{key} boolean {answer}" for key in ("attach", "apply")]
    notes = [_peerless(site, "these answers")]
    more = " ".join(f"{key}={value}" for key, value in values.items() if key not in _ASKED)
    if more:
        hint = f"once it is installed: l2wg set {tunnel.name} {more}; l2wg apply"
        notes.append(Problem(f"there is no question for {more}", hint))
    return Export(_text(rows), tuple(notes))


def _peerless(site, these):
    return Problem(
        f"WireGuard's peers are in none of {these}",
        f"{_keyed(site)} prints them, for {wg_quick.path(site.underlay)}; of the file of sites, l2wg makes them itself",
    )


def _said(tunnel):
    """{key of l2wg.conf(5): value of the Tunnel}: what has no default, and what is not the default."""
    found = {key.name: getattr(tunnel, key.field) for key in schema.KEYS.values()}
    found["remote"] = tunnel.written
    defaults = Tunnel._field_defaults
    return {name: value for name, value in found.items() if name in schema.REQUIRED or value != defaults[schema.KEYS[name].field]}


def _words(tunnel):
    """The same, as a file has them."""
    known = dict(tunnel_file.split(row)[:2] for row in tunnel_file.of(tunnel).splitlines())
    return {name: known[name] for name in _said(tunnel)}


def _kind(tunnel, peer):
    """What leads to a peer, for whoever makes it with another tool."""
    number = "" if tunnel.key is None else ", %s %d" % ("VNI" if tunnel.encapsulation == "vxlan" else "key", tunnel.key)
    where = (known.ends[0] for known in tunnel.peers if peer.key in (known.key, known.was))
    remote = tunnel.remote if tunnel.has_hubs else next(where)
    beyond = [known.site for known in tunnel.peers if known.by == peer.key]
    found = f"{tunnel.kind} from {tunnel.local} to {remote}{number}, MTU {tunnel.mtu}"
    return found + (f"; by it, to {listed(beyond, NAMED)}, too" if beyond else "")


def _camel(key):
    head, *tail = key.split("-")
    return head + "".join(word.title() for word in tail)


def _quoted(value):
    # Of what a checked card and a checked line can have, nothing means more to Nix than to JSON.
    return json.dumps(value)


def _nix_value(value):
    if isinstance(value, tuple):
        return "[ {} ]".format(" ".join(map(_quoted, value)))
    return json.dumps(value)


def _text(rows):
    return "".join(row + "\n" for row in rows)


FORMS: Dict[str, Callable[[_Site], Export]] = {"wg-quick": _wg_quick, "conf": _conf, "nix": _nix, "preseed": _preseed}
# Of the whole net, and not of a site's tunnels alone.
FRR = "frr"
ALL = (*FORMS, FRR)
