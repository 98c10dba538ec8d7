"""`l2wg invite`: what a new router needs to join the net of /etc/l2wg/sites, as one line. Nothing is remembered of it.

A router that has no such file yet becomes the hub of a net that has nobody else in it.
"""

import ipaddress
from typing import NamedTuple, Tuple

from l2wg_hooks.apply import preview
from l2wg_hooks.config import (
    card,
    inner_addresses,
    invitation,
    schema,
    site_file,
    site_lines,
    site_names,
    store,
    wg_quick_peers,
)
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import local_facts, membership, pair


class Inviting(NamedTuple):
    """The `line` for the new router, of an Invitation; `more` makes the file of sites where there was none."""

    invited: invitation.Invitation
    line: str
    more: preview.ExtraChanges = preview.NOTHING
    notes: Tuple[str, ...] = ()

    @property
    def shown(self):
        """{path: (old, new)} of what is written, without secrets."""
        return self.more.shown()

    def changes(self):
        """Whether anything is to be written."""
        return self.more != preview.NOTHING


def intend(name, words, address, wanted, ask_ports=False):
    """The Inviting of a site that is to be called `name`; nothing is changed. Raises L2wgError.

    `words` are KEY=VALUE for its line, `address` is the one that it is to have, "" for one that is free. `wanted` is for the line
    of this router, where there is no file yet.
    """
    links = link_table.read()
    more = preview.NOTHING if membership.text() is not None else _begun(wanted, links, ask_ports)
    wished = store.load(more.wish)
    if wished.problems:
        raise L2wgError(*wished.problems)
    path, net, own = site_file.path(), wished.net.lines.net, wished.net.part.own
    if more == preview.NOTHING and wanted != pair.Wanted():
        message = "there is such a file already, which says what this router's bridge is"
        fail(message, "edit its line there", path=path, line=own.line)
    if net.shape == site_lines.MESH and not net.hubs:
        hint = f"there: l2wg init --name {name}; then its card is a line more here, and all get the file: see l2wg-sites(5)"
        fail("a mesh has no hub: a new site needs the cards of all others, too", hint, path=path, line=net.line, key="shape")
    if net.by_bgp:
        hint = f"there: l2wg init --shared --name {name}; then at {net.hubs[0]}: l2wg pair, with its card; "
        hint += f"then copy {path} there; there: l2wg apply; l2wg frr"
        message = "`l2wg join` makes a wire of its own, where FRR does not see the other sites"
        fail(message, hint, path=path, line=net.line, key="control")
    if own.name not in net.hubs:
        hub = net.hubs[0]
        hint = f"on {hub}: l2wg invite {name}"
        fail(f"{hub} is the hub, and knows who is in", hint, path=path, line=net.line, key="hub")
    _refuse_name(name, wished.net.lines, path)
    if len(net.hubs) > 1:
        hint = f"there: l2wg init --name {name}; then here: l2wg pair, with its card; then copy {path} to all; there: l2wg apply"
        fail("an invitation has the card of one hub, and this net has two", hint, path=path, line=net.line, key="hub")
    here = local_facts.look(wished.net.wire.underlay, links)
    hub, hub_words = split(own)
    try:
        schema.site_name(name)
        address = address or _free(name, wished, here, links)
        found = invitation.Invitation(name, address, net.text, hub, hub_words, " ".join(words))
        _refuse_address(address, wished, here)
        return Inviting(found, invitation.encode(found), more, tuple(_notes(hub, here.card, name)))
    except Refused as error:
        return fail(*error.args)


def split(site):
    """(the Card, the words) of a Site's line, as they stand there."""
    head, _, words = site.text.partition(" ")
    return card.decode(head), words


def _begun(wanted, links, ask_ports):
    """The ExtraChanges that make the file: a star of which this router is the hub, and its line."""
    here = local_facts.look(local_facts.underlay(wanted.underlay), links)
    said = f"net shape=star hub={here.card.name}; {card.encode(here.card)}"
    membership.refuse_nixos(f"write such a file, of two lines: {said} # see l2wg-sites(5)")
    if not here.card.endpoint:
        fail("this router's card has no endpoint, and all others are to call it", "l2wg card --endpoint HOST")
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    words = membership.words_of(membership.place({}, wished.tunnels, wanted, links, ask_ports))
    rows = (f"net shape=star hub={here.card.name}", membership.row(here.card.name, invitation.line(here.card, words)))
    new = "".join(row + "\n" for row in rows)
    texts = {site_file.path(): ("", new), **membership.started(here)}
    return preview.ExtraChanges({store.SITES: new}, texts, (), "", ())


def _refuse_name(name, lines, path):
    """Raise L2wgError for a name that a site has which is in."""
    for site in lines.living():
        if site_names.tunnel(site.name) == site_names.tunnel(name):
            hint = f"another name; or, if it is to join anew with another key: l2wg revoke {site.name}; then invite it again"
            fail(f"{site.name} is in already", hint, path=path, line=site.line)


def _refuse_address(address, wished, here):
    """Raise L2wgError for an address that is somebody's."""
    hint = "another --address, or none: then a free one is taken"
    for site in wished.net.lines.sites:
        if address in site.card.addresses:
            fail(f"{address} is the address of {site.name}", hint, path=site_file.path(), line=site.line, key="--address")
    if address in _ends(wished, here):
        fail(f"{address} is the end of a tunnel here, or a peer's", hint, key="--address")


def _ends(wished, here):
    """The single addresses inside WireGuard that this router knows of, beside those of the file."""
    sections = wg_quick_peers.sections(here.text or "")
    live = wg_interfaces.look(here.underlay) if here.up else None
    allowed = [word for peer in wg_quick_peers.holders(sections, live.peers if live else ()) for word in peer.allowed]
    found = {word.partition("/")[0] for word in allowed if word.partition("/")[2] in ("", "32")}
    return found | {end for tunnel in wished.tunnels for ends in tunnel.ends() for end in (ends.local, ends.remote)}


def _free(name, wished, here, links):
    """An address that no line has, nor one of a site that is out, nor anybody else of whom this router knows."""
    taken = {address for site in wished.net.lines.sites for address in site.card.addresses} | _ends(wished, here)
    network = _network(wished.net.lines.net) or membership.network(here, links) or inner_addresses.INNER
    found = inner_addresses.free(name, network, taken)
    if found is None:
        fail(f"all addresses of {network} are taken", "name one of another network: --address ADDRESS")
    return found


def _network(net):
    """That which the net's line says that all are of, None where it says nothing. Raises L2wgError for one of IPv6."""
    if not net.network:
        return None
    found = ipaddress.ip_network(net.network)
    if found.version != 4:
        where = {"path": site_file.path(), "line": net.line, "key": "network"}
        hint = "there: l2wg init --address ADDRESS; then its card is a line more here, and all get the file: see l2wg-sites(5)"
        fail(f"an invitation has an IPv4 address, and {net.network} has none", hint, **where)
    return found


def _notes(hub, now, name):
    """Yield sentences on the hub's Card in the file, and on that which it would print `now`."""
    if now.endpoint and now.endpoint != hub.endpoint:
        yield f"its line says that {hub.name} is called at {hub.endpoint or 'no address'}; `l2wg card` says {now.endpoint}"
    if not hub.endpoint:
        there = f"so it calls {name}, which has to have one: l2wg join --endpoint HOST there"
        yield f"the card of {hub.name} has no endpoint, {there}"
