"""`l2wg rekey`: this router changes its WireGuard key: made beside the old one, told to the others, and only then taken.

Nothing does that by itself, and nothing of it expires.
"""

import time
from typing import Dict, NamedTuple, Tuple

from l2wg_hooks import errors
from l2wg_hooks.apply import preview, verify
from l2wg_hooks.config import card, invitation, next_key, public_key, site_edit, site_file, site_lines, store, wg_quick
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.pairing import invite, local_facts, membership, revoke
from l2wg_hooks.reconcile import key_switch
from l2wg_hooks.system import files, log, process

WAS = "was"


class Rekeying(NamedTuple):
    """What would be done, as for pair.Pairing. `name` is the WireGuard interface, `line` what the others get.

    `told` are sentences on where that goes; `private` is a key that is to be kept, "" where there is one.
    """

    name: str
    line: str
    more: preview.ExtraChanges
    told: Tuple[str, ...] = ()
    private: str = ""
    notes: Tuple[str, ...] = ()

    @property
    def shown(self):
        """{path: (old, new)} of what is written, without secrets."""
        return self.more.shown()

    def changes(self):
        """Whether the file of sites changes."""
        return self.more != preview.NOTHING


def underlay(wanted):
    """The WireGuard interface that is meant: without a word that of this router's site. Raises L2wgError."""
    if not wanted and store.SITES in store.sources():
        net = store.load().net
        if net.wire is not None:
            return net.wire.underlay
    return local_facts.underlay(wanted)


def refuse_nixos(name):
    """Raise L2wgError where a configuration has the key."""
    if local_facts.is_nixos():
        hint = "wg genkey makes the next key; the others get this router's line with its card for that key, and `was=`; "
        hint += f"then privateKeyFile of {name} names it, and nixos-rebuild switch. See CHANGING A KEY in l2wg(8)"
        fail("this is NixOS: its configuration says where WireGuard's key is", hint)


def check(name):
    """The public key of a WireGuard interface. Raises L2wgError where it cannot be changed: it has to be in file and kernel."""
    refuse_nixos(name)
    path = wg_quick.path(name)
    public = public_key.of(key_switch.private_of(name))
    if not public:
        hint = "whoever makes it has to change the key; the others get this router's line with `was=`: l2wg(8), CHANGING A KEY"
        fail(f"there is no PrivateKey of {name} in it", hint, path=path)
    live = wg_interfaces.look(name)
    if live is not None and live.key != public:
        hint = "which one is right? Put it in the file"
        fail(f"{name} has the key {live.key}, and this file that of {public}", hint, path=path)
    return public


def _refuse_trial(name):
    hint = "l2wg-watch.timer does that: look again in a minute"
    fail("a switch to this key has not come to its end", hint, path=next_key.path(name))


def begin(name):
    """The Rekeying that tells of the next key, which is made where there is none; nothing is changed. Raises L2wgError."""
    public = check(name)
    found = next_key.read(name)
    if found is not None and found.former:
        _refuse_trial(name)
    private = ""
    if found is None:
        private = process.lines("wg", "genkey")[0].strip()
        found = next_key.NextKey(private)
        if not found.public:
            fail("`wg genkey` printed what is no key", "is wg that of the package wireguard-tools?")
    net = _net(name)
    if net is None:
        facts = local_facts.look(name, link_table.read())
        line = f"{card.encode(facts.card._replace(key=found.public))} {WAS}={public}"
        told = ("on the other router of each tunnel: see CHANGING A KEY in l2wg(8)",)
        return Rekeying(name, line, preview.NOTHING, told, private)
    line = _line(net, found.public, public)
    return Rekeying(name, line, _changed(net, line), tuple(_elsewhere(net)), private, tuple(_notes(name, net)))


def cancel(name):
    """The Rekeying that takes the next key back: its file goes after that. Raises L2wgError."""
    found = next_key.read(name)
    if found is None:
        fail(f"no other key waits for {name}", "l2wg rekey makes one", path=next_key.path(name))
    if found.former:
        _refuse_trial(name)
    net = _net(name)
    if net is None or net.part.own.key != found.public:
        return Rekeying(name, "", preview.NOTHING)
    line = _line(net, public_key.of(key_switch.private_of(name)), "")
    return Rekeying(name, line, _changed(net, line), tuple(_elsewhere(net)))


def _net(name):
    """The site_file.Net that a WireGuard interface is in; None where it is in none. Raises L2wgError for mistakes of the file."""
    if store.SITES not in store.sources():
        return None
    wished = store.load()
    if wished.problems:
        raise L2wgError(*wished.problems)
    return wished.net if wished.net.wire.underlay == name else None


def _line(net, public, former):
    """The own line with another key, and all else as it is; with the `former` key unless that is ""."""
    known, said = invite.split(net.part.own)
    words = membership.values_of(said.split())
    words.pop(WAS, None)
    words.update(_number(net, words))
    if former:
        words[WAS] = former
    return invitation.line(known._replace(key=public), membership.words_of(words))


def _number(net, words):
    """{"key": number} where the number of the own tunnel follows from both keys: it is to stay. Raises L2wgError at a hub."""
    if net.lines.net.is_one_tunnel or "key" in words:
        return {}
    numbered = [tunnel for tunnel in net.part.tunnels if tunnel.key is not None]
    follows = [tunnel for tunnel in numbered if not _says_number(net, tunnel)]
    if not follows:
        return {}
    if net.lines.net.shape == site_lines.STAR and net.part.own.name not in net.lines.net.hubs:
        return {"key": str(follows[0].key)}
    sites = errors.listed(["key=%d in the line of %s" % (tunnel.key, tunnel.site) for tunnel in follows], 3)
    message = "the VNI of its tunnels follows from the keys at both ends, and would be another one with this router's"
    return fail(message, f"first write down what it is, at all sites: {sites}", path=site_file.path(), line=net.part.own.line)


def _says_number(net, tunnel):
    return any("key" in site.said for site in net.lines.living() if site.name == tunnel.site)


def _changed(net, line):
    """The ExtraChanges that put a line in the place of the own one; NOTHING where it is that."""
    own = net.part.own
    if own.text == line:
        return preview.NOTHING
    membership.refuse_nixos(f"put this line in the place of line {own.line}: {line}; then nixos-rebuild switch")
    old = store.read(store.SITES)
    new = site_edit.with_row(old, own.line, line)
    problems = store.load({store.SITES: new}).problems
    if problems:
        raise L2wgError(*problems)
    return preview.ExtraChanges({store.SITES: new}, {site_file.path(): (old, new)}, (), "", ())


def _elsewhere(net):
    """Yield sentences: who has to know of it first."""
    own = net.part.own
    others = [site.name for site in net.lines.living() if site.line != own.line]
    meets = [tunnel.site or peer.site for tunnel in net.part.tunnels for peer in tunnel.peers if not peer.by]
    path = site_file.path()
    if len(meets) == 1:
        yield f"at {meets[0]}: l2wg pair, with this line"
        if len(others) > 1:
            yield f"without hurry, so that all have the same file: copy it to {errors.listed(others, revoke.SOME)}"
    elif meets:
        yield f"each of these sites has to have this file, or at least that line, before: {errors.listed(meets, revoke.ALL)}"
        yield f"copy {path} there, then, on each: l2wg apply"


def _notes(name, net):
    """Yield sentences on the peers that no tunnel comes with: they know the old key only."""
    live = wg_interfaces.look(name)
    ours = {key for tunnel in net.part.tunnels for peer in tunnel.peers for key in (peer.key, peer.was)}
    rest = [peer.key for peer in live.peers if peer.key not in ours] if live else []
    if rest:
        yield f"{name} has peers that are no sites of this file, and have to know the new key, too: {errors.listed(rest, 3)}"


def store_key(found):
    """Keep the key that a Rekeying has made. Raises L2wgError."""
    if found.private:
        files.write(next_key.path(found.name), next_key.render(found.name, next_key.NextKey(found.private)), 0o600, old="")
        log.did(f"{next_key.path(found.name)}: written; the next key is in it, readable by root only")


class Switching(NamedTuple):
    """What `l2wg rekey --commit` would do: `found` is the NextKey of the WireGuard interface `name`, `peers` have to answer."""

    name: str
    found: next_key.NextKey
    former: str
    peers: Tuple[wg_interfaces.Peer, ...]
    called: Tuple[str, ...]


def switching(name):
    """The Switching of now; nothing is changed. Raises L2wgError."""
    former = check(name)
    found = next_key.read(name)
    if found is None:
        fail(f"no other key waits for {name}", "l2wg rekey makes one, and says who has to know of it", path=next_key.path(name))
    if found.former:
        _refuse_trial(name)
    live = wg_interfaces.look(name)
    now = time.time()
    peers = tuple(peer for peer in live.peers if wg_interfaces.alive(peer, now)) if live else ()
    if not peers:
        fail(f"no peer of {name} has a session, so nobody could answer to the new key", "l2wg status; once it is up, this again")
    return Switching(name, found, former, peers, tuple(map(caller(name), (peer.key for peer in peers))))


def caller(name):
    """A function of a public key: the name of its site here, or the key itself."""
    names = {}
    for tunnel in store.load().tunnels:
        if tunnel.underlay == name:
            names.update({key: peer.site or tunnel.site for peer in tunnel.peers for key in (peer.key, peer.was)})
    return lambda key: names.get(key, key)


# Bytes of a packet without payload.
KEEPALIVE = 32
# Seconds in which frames cross again: a far end looks each second, but for a few of each half minute.
CARRIED = 40


def carried(switch):
    """Wait until all that have answered carry packets again; (seconds, the names of those that do not after CARRIED)."""
    begin, calls = time.monotonic(), caller(switch.name)
    ends = {peer.key: word.partition("/")[0] for peer in switch.peers for word in peer.allowed if word.endswith(("/32", "/128"))}
    left, had = set(ends), _received(switch.name)
    came: Dict[str, float] = {}
    while left and time.monotonic() < begin + CARRIED:
        verify.knock(switch.name, [ends[key] for key in sorted(left)])
        time.sleep(key_switch.PAUSE)
        now, clock = _received(switch.name), time.monotonic()
        for key in sorted(left):
            # More than a keepalive; and once more within the time in which there are no two handshakes.
            if now.get(key, 0) - had.get(key, 0) > KEEPALIVE:
                if clock - came.get(key, begin - key_switch.QUIET) < key_switch.QUIET - 1:
                    left.discard(key)
                came[key] = clock
        had = now
    return time.monotonic() - begin, tuple(calls(key) for key in sorted(left))


def _received(name):
    live = wg_interfaces.look(name)
    return {peer.key: peer.received for peer in live.peers} if live else {}


def silence(switch, seconds, silent):
    """The Problem of those whose packets do not cross, though they have taken the new key; none where all do."""
    if not silent:
        return ()
    message = "no packets cross to %s after %d s, though it has taken the new key" % (", ".join(silent), seconds)
    return (Problem(message, "there: systemctl status l2wg-watch.timer; l2wg apply; l2wg check"),)
