"""`l2wg wall`: a tunnel in somebody's WireGuard gets a wire of its own, while it works: all that is done before the two sites
change at the same moment (waiter.py), and how that is taken back.

The new wire is made beside the old one, and stands from then on, though no tunnel uses it.
What the tunnel's file will have is staged.
"""

from typing import Dict, NamedTuple, Tuple

from l2wg_hooks.apply import apply, preview
from l2wg_hooks.config import card, schema, staged, store, terms, tunnel_file, wg_quick, wg_quick_peers
from l2wg_hooks.config.schema import Refused
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.model import NAMESPACE, Tunnel
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import bootstrap, local_facts, negotiate, pair
from l2wg_hooks.reconcile import reconcile
from l2wg_hooks.system import files, lock, log, network_namespace, process, units


class Walling(NamedTuple):
    """What is to be staged for `tunnel`, which is shared: `changes` of its file, `texts` {path: (old, new)} of the new wire's.

    `facts` are those of the new wire, `notes` are for the admin to know.
    """

    tunnel: Tunnel
    other: card.Card
    facts: local_facts.Facts
    changes: Dict[str, str]
    texts: Dict[str, Tuple[str, str]]
    notes: Tuple[str, ...]


def find(name):
    """The shared Tunnel of that name. Raises L2wgError where it cannot get a wire of its own."""
    if local_facts.is_nixos():
        words = f'services.l2wg.tunnels.{name}.wire = "own"; and its underlay, local and remote'
        fail("this is NixOS: its configuration writes these files", f"{words}, at both sites: see l2wg.conf(5)")
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    named = [tunnel for tunnel in wished.tunnels if tunnel.name == name]
    if not named:
        there = ", ".join(tunnel.name for tunnel in wished.tunnels)
        fail(f"{schema.shown(name)} is not a tunnel", f"there is {there}" if there else store.EMPTY)
    found = named[0]
    if found.peers:
        hint = "l2wg init --own at that site makes one; its new card goes into that line, at all sites"
        fail(f"{name} comes of the file of sites", hint, path=found.path, line=found.lines.get("", 0))
    if found.senders:
        message = "FRR fills its table (control = evpn), and has to see the other sites: no wire of its own is theirs"
        hint = "leave it as it is; or control = learning, and a list in `remote`"
        fail(message, hint, path=found.path, line=found.lines.get("control", 0))
    if found.remotes:
        message = f"it leads to {len(found.remotes)} sites, and this changes with one other site at the same moment"
        hint = "wire = own in its file, with an underlay of `l2wg init --own`, at one site after the other; then l2wg apply"
        fail(message, hint, path=found.path, line=found.lines.get("remote", 0))
    if found.walled:
        fail(f"it has a wire of its own already: {found.underlay}", "l2wg status", path=found.path)
    try:
        network_namespace.alone(lambda: None)
    except OSError as error:
        message = f"a wire of its own needs a network namespace, which this kernel or container forbids: {error.strerror}"
        fail(message, "stay with wire = shared, which needs none", path=found.path)
    return found


def wire(tunnel):
    """The name of the WireGuard interface of l2wg's own that the tunnel is to have: made, as a file, where there is none.

    Raises L2wgError. The caller holds lock.changing.
    """
    links = link_table.read()
    names = wg_quick.names()
    for name in names:
        if local_facts.is_walled(name, links, files.text(wg_quick.path(name))):
            return name
    number = 0
    while "l2w%d" % number in names or "l2w%d" % number in links:
        number += 1
    live = wg_interfaces.look(tunnel.underlay) if tunnel.underlay in links else None
    port = live.port + 1 if live and 0 < live.port < schema.PORT_MAX else bootstrap.PORT
    while port < schema.PORT_MAX and not bootstrap.is_free(port):
        port += 1
    bootstrap.init("l2w%d" % number, port, own=True)
    return "l2w%d" % number


def facts(tunnel, name):
    """The local_facts.Facts of the wire `name`, with a card that says what the tunnel is. Raises L2wgError."""
    found = local_facts.look(name, link_table.read())
    mine = found.card._replace(encapsulation=tunnel.encapsulation, number=tunnel.key, mtu=tunnel.mtu)
    if mine.endpoint and found.port:
        # What /etc/l2wg/site remembers may have the other interface's port.
        mine = mine._replace(endpoint="%s:%d" % (mine.endpoint.rpartition(":")[0], found.port))
    return found._replace(card=mine)


def intend(tunnel, here, text):
    """The Walling that the other site's card asks for; nothing is changed. Raises L2wgError for all that is wrong."""
    try:
        other = card.decode(text)
        agreed = terms.find(here.card, other)
    except Refused as error:
        fail(*error.args)
    again = f"there: l2wg wall TUNNEL, with the tunnel that leads here; the card that it prints is for: l2wg wall {tunnel.name}"
    if (other.encapsulation, other.number) != (tunnel.encapsulation, tunnel.key):
        words = (other.name, _shape(other.encapsulation, other.number), tunnel.name, _shape(tunnel.encapsulation, tunnel.key))
        fail("the card of {} is for {}, and {} is {}".format(*words), again)
    sections = wg_quick_peers.sections(here.text)
    wished = store.load().tunnels
    clash = negotiate.collision(agreed, other, here.underlay, {}, sections)
    clash = clash or negotiate.misled(agreed, other, here.underlay, [], sections, wished)
    if clash:
        fail(*clash)
    for name in staged.names():
        waits = staged.read(name) or {}
        if name != tunnel.name and (waits.get("underlay"), waits.get("remote")) == (here.underlay, agreed.remote):
            fail(f"{name} waits for the same site", "one after the other: l2wg status", path=staged.path(name))
    pair.callable_at(here, other, sections, None)
    new = pair.with_peer(here.text, agreed, other, here)
    changes = {"wire": "own", "underlay": here.underlay, "local": agreed.local, "remote": agreed.remote}
    if agreed.mtu != tunnel.mtu:
        changes["mtu"] = str(agreed.mtu)
    texts = {wg_quick.path(here.underlay): (here.text, new)} if new != here.text else {}
    return Walling(tunnel, other, here, changes, texts, tuple(_notes(tunnel, other, here)))


def _shape(encapsulation, number):
    return encapsulation + ("" if number is None else " with the key %d" % number)


def _notes(tunnel, other, here):
    if tunnel.site and tunnel.site != other.name:
        yield f"{tunnel.name} leads to {tunnel.site}, and the card is that of {other.name}: is it the right one?"
    link = link_table.read().get(tunnel.bridge)
    if tunnel.stp or (link is not None and link.stp):
        yield f"{tunnel.bridge} speaks STP: its new port forwards after 30 s, so the wire is silent for so long"
    if here.card.endpoint:
        yield "others call UDP port %d of this router now: its firewall, and a NAT before it, have to let that in" % here.port


def more(tunnel, changes=None):
    """The preview.ExtraChanges by which the tunnel changes to its own wire: the staged `changes`, and what nobody needs then."""
    wished = store.load()
    text = staged.text(tunnel.name) if changes is None else tunnel_file.edit(store.read(tunnel.name), changes)
    path = wg_quick.path(tunnel.underlay)
    conf = files.text(path)
    others = [other.name for other in wished.tunnels if other.underlay == tunnel.underlay and other.name != tunnel.name]
    new = conf if others or wished.broken else wg_quick.detach(conf, tunnel.underlay)
    live = wg_interfaces.look(tunnel.underlay)
    holders = wg_quick_peers.holders(wg_quick_peers.sections(conf), live.peers if live else ())
    # Its session may have had nothing but this tunnel to carry.
    key = wg_quick_peers.owner(holders, tunnel.remote)
    texts = {path: (conf, new)} if new != conf else {}
    return preview.ExtraChanges({tunnel.name: text}, texts, (), tunnel.underlay, (), gone=(key,) if key else ())


def stage(walling):
    """Keep it, have the new wire stand, and start the waiter. Raises L2wgError, with nothing changed, where it does not stand."""
    name, wire_name = walling.tunnel.name, walling.facts.underlay
    stop(name)
    with lock.changing():
        before = staged.read(name) if name in staged.names() else None
        for path, (old, new) in walling.texts.items():
            files.write(path, new, 0o600, old=old)
            log.did(f"{path}: {walling.other.name} is a peer")
        staged.write(name, walling.changes)
        failed = reconcile.reconcile()
        link = link_table.read().get(wire_name)
        if link is None or link.namespace != NAMESPACE or not link.up:
            _unstage(name, before)
            for path, (old, _) in walling.texts.items():
                files.write(path, old, 0o600)
            reconcile.reconcile()
            raise L2wgError(*failed or (Problem(f"{wire_name} does not come up", "l2wg check"),))
        log.complain(failed)
    start(name)


def _unstage(name, before=None):
    if before is None:
        staged.remove(name)
    else:
        staged.write(name, before)


def start(name):
    """Have systemd wait for the other site, now and after each boot."""
    if not units.run_here():
        log.say(f"there is no systemd here: have `l2wg wall --wait {name}` run, now and after each boot")
        return
    for words in (("enable",), ("restart",)):
        argv = ("systemctl", "--quiet") + words + (staged.UNIT.format(name),)
        result = process.run(argv)
        if result.code:
            fail("`{}` failed: {}".format(" ".join(argv), result.err.strip()), f"then, by hand: l2wg wall --wait {name}")


def stop(name):
    """Have it wait no longer: what it is about to change is undone first."""
    if units.run_here():
        process.run(("systemctl", "--quiet", "disable", "--now", staged.UNIT.format(name)))


def forget(name):
    """Nothing is staged any more, and nobody waits after the next boot: for the waiter itself, which ends then."""
    staged.remove(name)
    if units.run_here():
        process.run(("systemctl", "--quiet", "disable", staged.UNIT.format(name)))


def undo(name):
    """Take back what is staged; the Problems of that. The key of the wire stays, as ever: others know it."""
    if name not in staged.names():
        fail(f"{schema.shown(name)} waits for no wire of its own", "what was changed already: l2wg rollback, at both sites")
    stop(name)
    apply.settle()
    with lock.changing():
        try:
            changes = staged.read(name) or {}
        except L2wgError as error:
            log.complain(error.problems)
            changes = {}
        staged.remove(name)
        _take_peer(changes)
        problems = reconcile.reconcile()
    log.did(f"{name}: nothing waits any longer")
    return problems


def _take_peer(changes):
    """Take the peer out that was written for it, unless a tunnel leads to it by now."""
    name, remote = changes.get("underlay", ""), changes.get("remote", "")
    if not name or any(tunnel.underlay == name and remote in tunnel.far_ends for tunnel in store.load().tunnels):
        return
    path = wg_quick.path(name)
    old = files.text(path)
    for section in wg_quick_peers.sections(old):
        if section.ours and section.allowed == (wg_quick_peers.host(remote),):
            files.write(path, wg_quick_peers.remove(old, section.key), 0o600, old=old)
            log.did(f"{path}: {section.ours} is no peer any longer")
            return


def rest_of(tunnel):
    """What is left of the wire that the tunnel had: a sentence. It may carry more than this tunnel, somebody's login among it."""
    words = (tunnel.underlay, tunnel.underlay)
    return "{} stays as it is, with its peers; if nobody needs it any longer: systemctl disable --now wg-quick@{}".format(*words)
