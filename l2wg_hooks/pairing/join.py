"""`l2wg join`: this router joins the net that an invitation is to: its file of sites, with the hub and itself.

What it has to tell the hub is its own line. Both have the same one, byte for byte.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.apply import preview
from l2wg_hooks.config import (
    card,
    ifupdown_files,
    invitation,
    own_sites,
    schema,
    site_faults,
    site_file,
    site_lines,
    site_names,
    store,
)
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import L2wgError, fail
from l2wg_hooks.observe import link_table
from l2wg_hooks.pairing import bootstrap, invite, local_facts, membership, negotiate, pair, ports, site

# What `l2wg init` makes without a name.
WIREGUARD = "l2w0"
# The word beside a card that tells the hub by which lines of its file this router has joined: invitation.mark.
MARK = "net"


class Sight(NamedTuple):
    """What is known before there is a WireGuard, perhaps: the Invitation, what this router's line says of its bridge.

    `old` is the file of sites, None where there is none; `lines` are those. `own` is the Site of this router, None where it has
    not joined.
    """

    invited: invitation.Invitation
    place: Dict[str, str]
    old: Optional[str] = None
    own: Optional[site_lines.Site] = None


class Joining(NamedTuple):
    """What joining would do, as for pair.Pairing: `other` is the hub's Card, `line` that of this router."""

    other: card.Card
    facts: local_facts.Facts
    line: str
    invited: invitation.Invitation
    shown: Dict[str, Tuple[str, str]]
    more: preview.ExtraChanges
    notes: Tuple[str, ...] = ()

    def changes(self):
        """Whether there is anything to do, beside what `l2wg apply` would do."""
        return bool(self.shown)

    def for_hub(self):
        """What `l2wg pair` takes at the hub: the card last, so that a paste which is wrapped is whole when that is."""
        head, *words = self.line.split()
        return " ".join([*words, f"{MARK}={self.invited.mark()}", head])


def read(text):
    """The Invitation of what somebody has pasted. Raises L2wgError."""
    try:
        return invitation.decode(text)
    except Refused as error:
        return fail(*error.args)


def look(invited, wanted, ask_ports=False):
    """The Sight of an Invitation; all is refused that can be known without WireGuard. Raises L2wgError."""
    rows = f"{invited.net}; {invited.hub_line()}; and, as l2wg card prints it with this name, {invited.name}'s"
    membership.refuse_nixos(f"write such a file, of three lines: {rows} # see l2wg-sites(5)")
    old, tunnels, links = membership.text(), store.load().tunnels, link_table.read()
    keys = set(own_sites.wires(tunnels, {invited.hub.key}))
    if invited.hub.key in keys:
        hint = f"paste it on the router that is to be {invited.name}"
        fail(f"this router is {invited.hub.name}, which has made this invitation", hint)
    own = _standing(invited, old, keys) if old is not None else None
    if own is not None:
        wrong = membership.differing(wanted, own)
        if wrong:
            hint = "write it there, and into the same line at the hub; then, on both: l2wg apply"
            where = {"path": site_file.path(), "line": own.line, "key": wrong[0]}
            fail("this router is in already, and its line says otherwise", hint, **where)
        return Sight(invited, {}, old, own)
    values = membership.values_of(invited.words.split())
    said = dict.fromkeys(("bridge", "bridge-ports", "bridge-address"), "")
    said.update((key, value) for key, value in values.items() if key in said)
    wished = pair.Wanted(
        bridge=wanted.bridge or said["bridge"],
        ports=wanted.ports or tuple(filter(None, said["bridge-ports"].split(","))),
        address=wanted.address or said["bridge-address"],
    )
    net = site_lines.parse(invited.net + "\n", "").net
    return Sight(invited, membership.place(net.values, tunnels, wished, links, ask_ports), old)


def needs_wireguard(wanted):
    """Whether there is none on this router that could be meant."""
    return not wanted.underlay and not local_facts.wireguards()


def make_wireguard(invited, endpoint):
    """Make it, as `l2wg init` does, with the address of the Invitation. Raises L2wgError. The caller holds lock.changing."""
    remembered = {"name": invited.name}
    if endpoint is not None:
        remembered["endpoint"] = endpoint
    bootstrap.init(WIREGUARD, address=invited.address, remembered=remembered, own=True)


def intend(sight, wanted, endpoint=None):
    """The Joining of a Sight, where there is WireGuard; nothing is changed. Raises L2wgError."""
    invited, links, path = sight.invited, link_table.read(), site_file.path()
    if sight.own is not None:
        wished = store.load()
        if wished.problems:
            raise L2wgError(*wished.problems)
        here = local_facts.look(wished.net.wire.underlay, links)
        return Joining(invited.hub, here, sight.own.text, invited, {}, preview.NOTHING)
    here = local_facts.look(local_facts.underlay(wanted.underlay), links)
    changes = {"name": invited.name}
    called = here.card.endpoint
    if endpoint is not None:
        changes["endpoint"] = endpoint
        called = local_facts.endpoint(endpoint, here.port)[0]
    remembered = {site.path(): site.changed(changes)}
    here = here._replace(card=here.card._replace(name=invited.name, endpoint=called))
    agreed = membership.refuse_clashes(here, invited.hub, links, store.load())
    values = {key: value for key, value in membership.values_of(invited.words.split()).items() if not key.startswith("bridge")}
    line = invitation.line(here.card, membership.words_of({**sight.place, **values}))
    old = sight.old or ""
    if not old:
        old = f"{invited.net}\n{membership.row(invited.hub.name, invited.hub_line())}\n"
    new, wished = membership.with_line(old, membership.row(invited.name, line))
    texts = {path: (sight.old or "", new), **membership.started(here), **remembered}
    texts = {name: sides for name, sides in texts.items() if sides[0] != sides[1]}
    more = preview.ExtraChanges({store.SITES: new}, texts, (), "", ())
    tunnel = next((tunnel for tunnel in wished.tunnels if agreed.remote in tunnel.far_ends), None)
    notes = tuple(negotiate.notes(agreed, invited.hub, None, links, tunnel, ports.guests(links, ifupdown_files.read())))
    if invited.address not in here.card.addresses:
        words = (here.card.addresses[0], here.underlay, invited.address)
        notes += ("its address inside WireGuard stays {}, as {} has it, and is not {}".format(*words),)
    return Joining(invited.hub, here, line, invited, more.shown(), more, notes)


def _standing(invited, old, keys):
    """The Site of this router in the file `old`; None where it has none yet. Raises L2wgError where that is another net's."""
    path = site_file.path()
    lines = site_faults.between(site_lines.parse(old, path), path)
    if lines.problems:
        raise L2wgError(*store.first(lines.problems, store.SITES))
    living = lines.living()
    own = next((found for found in living if found.key in keys), None)
    _same_net(invited, lines, own, path)
    gone = [found for found in lines.sites if found.gone and found.key in keys]
    if gone:
        message = f"this router is out of that net since {gone[0].gone}"
        fail(message, f"rm {path}; l2wg apply; then join with a new key", path=path, line=gone[0].line)
    if own is not None and site_names.tunnel(own.name) == site_names.tunnel(invited.name):
        return own
    if own is not None:
        hint = f"paste it on that router; {invited.name} may not be this one's name, too"
        fail(f"this router is in already, as {own.name}, and the invitation is {invited.name}'s", hint, path=path, line=own.line)
    for found in living:
        again, where = f"another invitation, at {invited.hub.name}: l2wg invite", {"path": path, "line": found.line}
        if site_names.tunnel(found.name) == site_names.tunnel(invited.name):
            fail(f"{found.name} is in already, with another key", f"{again} NAME, with another one", **where)
        if invited.address in found.card.addresses:
            fail(f"{invited.address} is the address of {found.name} by now", f"{again} {invited.name}", **where)
    return None


def _same_net(invited, lines, own, path):
    """Raise L2wgError where the file is that of another net, or of the same one at another time."""
    hub = next((found for found in lines.living() if found.name in lines.net.hubs), None)
    if hub is None or hub.key != invited.hub.key:
        whose = f"a star whose hub is {hub.name} ({hub.key})" if hub else "a mesh"
        message = f"the invitation is to another net, of {invited.hub.name} ({invited.hub.key}); here is the file of {whose}"
        hint = "a router is in one net. To leave that one: "
        hint += f"l2wg revoke {own.name} at {hub.name if hub else 'each other site'}; then here: " if own else ""
        fail(message, f"{hint}rm {path}; l2wg apply; then join", path=path, line=lines.net.line)
        return
    hint = f"what {hub.name} has counts: copy {path} from there, then: l2wg apply"
    hint += f"; or a new invitation, there: l2wg invite {invited.name}"
    if lines.net.text != invited.net:
        said = f"here it is {schema.shown(lines.net.text)}, and by the invitation {schema.shown(invited.net)}"
        fail(f"{said}: one of them is older", hint, path=path, line=lines.net.line)
    if invitation.line(*invite.split(hub)) != invited.hub_line():
        fail(f"by the invitation, {hub.name} has another line: one of them is older", hint, path=path, line=hub.line)
