"""`l2wg pair` where there is a file of sites: the card's site gets its line in it, and its tunnel comes with that."""

import re
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks import errors
from l2wg_hooks.apply import preview
from l2wg_hooks.config import card, ifupdown_files, invitation, schema, site_file, site_lines, site_names, store, wg_quick
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.observe import link_table
from l2wg_hooks.pairing import invite, join, local_facts, membership, negotiate, new_key, ports, revoke

# A word of a line: nothing in a card looks like it, however that was wrapped.
_WORD = re.compile(r"[a-z][a-z-]*=\S*\Z")


class Admission(NamedTuple):
    """What would be done, as for pair.Pairing. `told` are sentences on where the file still has to go; `left` are Problems.

    `changed` is whether the site is in already, and the card is about its key.
    """

    other: card.Card
    facts: local_facts.Facts
    line: int
    shown: Dict[str, Tuple[str, str]]
    more: preview.ExtraChanges
    notes: Tuple[str, ...] = ()
    told: Tuple[str, ...] = ()
    left: Tuple[Problem, ...] = ()
    changed: bool = False

    def changes(self):
        """Whether there is anything to do, beside what `l2wg apply` would do."""
        return bool(self.shown)


def split(text):
    """(what may be a card, the KEY=VALUE words beside it) of what somebody has pasted."""
    found = text.split()
    words = [word for word in found if _WORD.match(word)]
    return (" ".join(word for word in found if not _WORD.match(word)) if words else text), words


def is_meant(text, wanted):
    """Whether a card is for the file of sites: where that makes the tunnels here, unless one with a file of its own is meant.

    That is so if `--tunnel` names one, or if one leads to that site already, and nothing for a line comes with the card.
    """
    if wanted.tunnel or store.SITES not in store.sources():
        return False
    wished = store.load()
    net = wished.net
    if not net.known or net.wire is None:
        return True  # and the mistakes are told
    text, words = split(text)
    if not words and {end.remote for tunnel in wished.tunnels if not tunnel.peers for end in tunnel.ends()} & _addresses(text):
        return False
    if wanted.underlay not in ("", net.wire.underlay):
        return False
    return not net.lines.net.hubs or net.part.own.name in net.lines.net.hubs


def _addresses(text):
    try:
        return set(card.decode(text).addresses)
    except Refused:
        return set()


def intend(text, wanted):
    """The Admission that a card with the words beside it asks for; nothing is changed. Raises L2wgError."""
    text, words = split(text)
    try:
        other = card.decode(text)
    except Refused as error:
        fail(*error.args)
    links, path = link_table.read(), site_file.path()
    for word in words:
        if not invitation.PLAIN.match(word):
            fail(f"expected KEY=VALUE, not {schema.shown(word)}", "plain letters, digits and signs, and no #")
    values = membership.values_of(words)
    if len(values) < len(words):
        keys = [word.partition("=")[0] for word in words]
        fail("a key is there twice", "keep one of the two", key=max(keys, key=keys.count))
    seen = values.pop(join.MARK, "")
    line = invitation.line(other, membership.words_of(values))
    membership.refuse_nixos(f"write this line into it: {line}; then nixos-rebuild switch")
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    net = wished.net
    if wanted.bridge or wanted.ports or wanted.address:
        hint = "write it there; or, for a tunnel with a file of its own: --tunnel NAME"
        fail("what this router's bridge is, its line says", hint, path=path, line=net.part.own.line)
    here = local_facts.look(net.wire.underlay, links)
    left = tuple(_older(seen, other, net, path))
    site = new_key.find(other, values, net, path)
    if site is not None:
        old, new = new_key.replaced(other, values, site)
        more = preview.ExtraChanges({store.SITES: new}, {path: (old, new)}, (), "", ())
        notes, told = new_key.told(other, values, site), tuple(_elsewhere(other, net, path))
        return Admission(other, here, site.line, more.shown(), more, notes, told, left, True)
    same = _known(other, values, net, path)
    if same is not None:
        return Admission(other, here, same.line, {}, preview.NOTHING, left=left)
    own = net.part.own
    here = here._replace(card=own.card)
    agreed = membership.refuse_clashes(here, other, links, wished)
    old = membership.text()
    new, after = membership.with_line(old, membership.row(other.name, line))
    more = preview.ExtraChanges({store.SITES: new}, {path: (old, new)}, (), "", ())
    tunnel = next((tunnel for tunnel in after.tunnels if tunnel.remote == agreed.remote), None)
    notes = tuple(negotiate.notes(agreed, other, None, links, tunnel, ports.guests(links, ifupdown_files.read())))
    return Admission(other, here, new.count("\n"), more.shown(), more, notes, tuple(_elsewhere(other, net, path)), left)


def _known(other, values, net, path):
    """The Site whose line says the same already, or None. Raises L2wgError where the key, name or address is another's there."""
    for site in net.lines.sites:
        if site.key == other.key and site.gone:
            hint = f"if it is to be back: take gone={site.gone} out of that line, at all sites; then: l2wg apply"
            fail(f"{site.name} is out since {site.gone}, with this key", hint, path=path, line=site.line, key="gone")
    for site in net.lines.living():
        if site.key == other.key == net.part.own.key:
            fail("this is this router's own card", "paste the other one's here", path=path, line=site.line)
        if site.key == other.key:
            known, said = invite.split(site)
            if known == other and set(membership.words_of(values).split()) <= set(said.split()):
                return site
            hint = "if this one is right: put it in the place of that line, here and at all sites; then: l2wg apply"
            fail(f"{site.name} is in already, and its line says otherwise", hint, path=path, line=site.line)
    for site in net.lines.living():
        if site_names.tunnel(site.name) == site_names.tunnel(other.name):
            hint = f"if that is its old key: l2wg revoke {site.name}; then this again. Else: l2wg card --name NAME there"
            fail(f"{site.name} is in already, with another key ({site.key})", hint, path=path, line=site.line)
    if net.lines.net.hub_address in other.addresses:
        message = f"{net.lines.net.hub_address}, the address of {other.name}, is hub-address, which both hubs have"
        hint = "another Address in its file of WireGuard, and its new card here"
        fail(message, hint, path=path, line=net.lines.net.line, key="hub-address")
    for site in net.lines.living():
        for address in set(other.addresses) & set(site.card.addresses):
            made = f"rm {path}; l2wg apply; rm {wg_quick.path(join.WIREGUARD)}; then join by a new invitation, here: l2wg invite"
            hint = f"if its WireGuard came by `l2wg join`, there: {made} {other.name}. "
            hint += "Else: another Address in its file, and its new card here"
            fail(f"{address}, the address of {other.name}, is that of {site.name}", hint, path=path, line=site.line)
    return None


def _older(seen, other, net, path):
    """Yield the Problem of a site that has joined by another line of the net, or of the hub, than there is now."""
    hub = next((site for site in net.lines.living() if site.name in net.lines.net.hubs), None)
    if seen and hub is not None and seen != invitation.mark(net.lines.net.text, invitation.line(*invite.split(hub))):
        changed = f"the line of the net, or that of {hub.name}, is another one by now"
        message = f"{other.name} has joined by an older invitation: {changed}"
        yield Problem(message, f"copy {path} to {other.name}; then there: l2wg apply", path, net.lines.net.line)


def _elsewhere(other, net, path):
    """Yield sentences: which sites need the file, too."""
    others = [site.name for site in net.lines.living() if site.key != net.part.own.key]
    if net.lines.net.by_bgp:
        hub = net.lines.net.hubs[0]
        if hub in others:
            yield f"{hub}, the hub, needs this file first: copy {path} there, then, on {hub}: l2wg apply"
            others.remove(hub)
        yield f"{other.name} needs it, too: copy it there, then, on {other.name}: l2wg apply; l2wg frr"
        if others:
            yield f"the others have no need of it, but for its name: {errors.listed(others, revoke.SOME)}"
        return
    if net.lines.net.shape == site_lines.MESH:
        names = errors.listed([*others, other.name], revoke.ALL)
        yield f"each site needs this file: {names}. Copy {path} there, then, on each: l2wg apply"
        return
    for hub in net.lines.net.hubs:
        if len(net.lines.net.hubs) > 1 and hub in others:
            yield f"{hub}, the other hub, needs this file as soon: copy {path} there, then, on {hub}: l2wg apply"
            others.remove(hub)
    if others:
        yield f"without hurry, so that all have the same file: copy it to {errors.listed(others, revoke.SOME)}"
