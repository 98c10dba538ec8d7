"""`l2wg revoke`: a site is out of the net of /etc/l2wg/sites: its line says so, and its tunnel and its peer go with that."""

import difflib
import os
from typing import NamedTuple, Tuple

from l2wg_hooks import errors
from l2wg_hooks.apply import preview
from l2wg_hooks.config import (
    last_applied,
    schema,
    site_edit,
    site_faults,
    site_file,
    site_lines,
    site_names,
    site_record,
    store,
    wg_quick,
    wg_quick_peers,
)
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.system import files

# Names in a message of sites that have no hurry, and of those that are to have the file at once: all of a mesh.
SOME, ALL = 8, site_faults.MOST_IN_MESH


class Revocation(NamedTuple):
    """What would be done, as for pair.Pairing: `called` is the site's name.

    `told` are sentences on where the file still has to go; `left` are Problems of what leads there all the same.
    """

    called: str
    more: preview.ExtraChanges
    told: Tuple[str, ...] = ()
    left: Tuple[Problem, ...] = ()


def intend(name, day):
    """The Revocation of the site that is called `name`, out since `day` (YYYY-MM-DD); nothing is changed. Raises L2wgError."""
    path = site_file.path()
    if store.SITES not in store.sources():
        hint = "of a tunnel with a file of its own: l2wg unpair SITE; a net of many sites: l2wg-sites(5)"
        fail("there is no such file, so no site can be taken out of it", hint, path=path)
    if os.path.realpath(path).startswith(last_applied.NIX):
        hint = f"write gone={day} into that site's line where this file comes from, then: nixos-rebuild switch"
        fail("a configuration of NixOS has written it", hint, path=path)
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    net = wished.net
    site = _meant(name, net.lines, wished, path)
    if site.name in net.lines.net.hubs:
        hint = "name another site as the hub first: hub=NAME in that line, at all sites"
        if len(net.lines.net.hubs) > 1:
            other = ",".join(hub for hub in net.lines.net.hubs if hub != site.name)
            less = "" if net.lines.net.by_bgp else ", and no hub-address"
            hint = f"first, in that line: hub={other},NAME with another site; or hub={other}{less}; at all sites"
        what = "the hub, by which all sites reach each other"
        if net.lines.net.by_bgp and site.name != net.lines.net.hubs[0]:
            what = "a reflector of BGP, by which all sites know of each other"
        fail(f"{site.name} is {what}", hint, path=path, line=net.lines.net.line, key="hub")
    if site.key == net.part.own.key:
        names = [*net.lines.net.hubs, *(other.name for other in net.lines.living())]
        other = next((name for name in names if name != site.name), "another site")
        hint = f"there, such as at {other}: l2wg revoke {site.name}; then here: rm {path}; l2wg apply"
        fail(f"{site.name} is this router: the others put it out", hint, path=path, line=site.line)
    old = store.read(store.SITES)
    new = site_edit.with_word(old, site.line, f"gone={day}")
    more = preview.ExtraChanges({store.SITES: new}, {path: (old, new)}, (), "", (), gone=site.keys)
    return Revocation(site.name, more, tuple(_elsewhere(site, net, path)), tuple(_left(site, net, wished)))


def _meant(name, lines, wished, path):
    """The Site that is called `name`: by its own name, that of its tunnel, or its public key. Raises L2wgError."""

    def is_called(site):
        return name in (site.name, site_names.tunnel(site.name), *site.keys)

    living = lines.living()
    found = [site for site in living if is_called(site)]
    if found:
        return found[0]
    for site in lines.sites:
        if is_called(site):
            hint = "what is still to be done of it: l2wg apply, here and where the file is an older one; l2wg sites"
            fail(f"{site.name} is out since {site.gone} already", hint, path=path, line=site.line, key="gone")
    shown = schema.shown(name)
    for tunnel in wished.tunnels:
        if name in (tunnel.name, tunnel.site) and not tunnel.peers:
            hint = f"l2wg unpair {tunnel.name}"
            fail(f"{shown} is no site of it; {tunnel.name} has a file of its own", hint, path=path)
    names = [site.name for site in living]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"do you mean {near[0]}?" if near else f"l2wg sites shows them: {errors.listed(names, SOME)}"
    return fail(f"no site is called {shown}", hint, path=path)


def _elsewhere(site, net, path):
    """Yield sentences: where the site is in until the file is there, and where it should be, too, some day."""
    own, hubs = net.part.own, net.lines.net.hubs
    others = [other.name for other in net.lines.living() if other.key not in (site.key, own.key)]
    is_mesh = net.lines.net.shape == site_lines.MESH
    # Of BGP's reflectors, WireGuard's hub alone has a peer for each site.
    hubs = hubs[:1] if is_mesh else hubs
    if is_mesh and not hubs:
        if others:
            yield f"each of these sites has a tunnel to {site.name} until it has this file, too: {errors.listed(others, ALL)}"
            yield f"copy {path} there, then, on each: l2wg apply"
        return
    if own.name not in hubs:
        what = "WireGuard" if is_mesh else "tunnel"
        for hub in hubs:
            yield f"{site.name} is still in: its {what} leads to {hub}, the hub. Copy {path} there, then, on {hub}: l2wg apply"
            others.remove(hub)
    elif len(hubs) > 1:
        hub = next(hub for hub in hubs if hub != own.name)
        yield f"{site.name} is out here, and still in at {hub}, the other hub. Copy {path} there, then, on {hub}: l2wg apply"
        others.remove(hub)
    else:
        what = "its WireGuard for a peer" if is_mesh else "a tunnel to it"
        yield f"{site.name} is out at once: only this router, the hub, has had {what}"
    if others:
        yield f"without hurry, so that all have the same file: copy it to {errors.listed(others, SOME)}"


def _left(site, net, wished):
    """Yield Problems of what is not of the file's making: a tunnel with a file of its own, and a peer of somebody's."""
    for tunnel in wished.tunnels:
        if not tunnel.peers and {end.remote for end in tunnel.ends()} & set(site.card.addresses):
            message = f"{tunnel.name} leads to {site.name} by a file of its own, and stays"
            yield Problem(message, f"l2wg unpair {tunnel.name}", tunnel.path, tunnel=tunnel.name)
    for key in site.keys:
        yield from _stays(site, net.wire, key)


def _stays(site, wire, key):
    name = wire.underlay
    conf = wg_quick.path(name)
    sections = [row for row in wg_quick_peers.sections(files.text(conf)) if row.key == key]
    message = f"the peer {key} of {name}, the WireGuard of {site.name}, stays: it is not of the file's making"
    if sections:
        hint = f"if it is to go: delete its [Peer] in {conf}, then: wg set {name} peer {key} remove"
        yield Problem(message, hint, conf)
        return
    links = link_table.read()
    live = wg_interfaces.look(name) if name in links and not wire.walled else None
    if live is None or key not in {peer.key for peer in live.peers}:
        return
    if (name, key) not in site_record.told(links, lambda _: set()):
        yield Problem(message, f"if it is to go: wg set {name} peer {key} remove")
