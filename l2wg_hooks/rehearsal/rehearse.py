"""`l2wg rehearse`, and what `l2wg apply` does before it changes anything: the next start, played on a copy and compared."""

import ipaddress
import os
from typing import Dict, NamedTuple, Optional, Tuple

from l2wg_hooks.config import (
    device_events,
    ifupdown,
    ifupdown_bridge,
    ifupdown_files,
    last_applied,
    own_wire,
    store,
    tunnel_file,
    wg_quick,
    wire_peers,
)
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.observe import sysctls
from l2wg_hooks.rehearsal import cast, judge, outcome, play, stage, tame
from l2wg_hooks.rehearsal.outcome import Fact
from l2wg_hooks.system import files, json_fields, log, process

# Seconds for one rehearsal, which takes a hundredth of that on a router: for one that is emulated, and busy.
SECONDS = 300
SYSCTLS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/default/disable_ipv6")
# Nobody else is on these wires, and looking for somebody would take a second an address.
NO_DAD = {"net/ipv6/conf/all/accept_dad": "0", "net/ipv6/conf/default/accept_dad": "0"}


class Files(NamedTuple):
    """The files of one start: `texts` are {path: text, None where it is to go} beside what there is, `wished` {tunnel: text}.

    `gone` are Facts that are there now, and whose end is what the change is for.
    """

    texts: Dict[str, Optional[str]]
    wished: Dict[str, str]
    gone: Tuple[Fact, ...] = ()


class Verdict(NamedTuple):
    """`problems` forbid the change, `notes` are what its admin has to know beside; `new` is what was rehearsed."""

    problems: Tuple[Problem, ...]
    notes: Tuple[str, ...]
    new: outcome.Outcome


def today():
    """The Files of the start without a change: the wish that was applied last, and WireGuard's files without our lines.

    These may have been put in by `l2wg attach` a moment ago, where they do not belong.
    """
    texts = {}
    for name in wg_quick.names():
        text = files.read(wg_quick.path(name))
        if wg_quick.detach(text, name) != text:
            texts[wg_quick.path(name)] = wg_quick.detach(text, name)
    return Files(texts, last_applied.read())


def compare(new, old, both=False):
    """The Verdict on a start with the Files `new` where it has been one with `old`.

    The old ones are rehearsed only where the new ones lose something, or with `both`. Raises stage.Unavailable.
    """
    look = _Look()
    scene = look.scene(new, old)
    found = look.rehearse(new, scene)
    differs = judge.differs(found, scene)
    problems = ()
    if differs or both:
        problems = judge.worse(found, look.rehearse(old, scene, moved=True), scene)
    told = {str(problem) for problem in problems}
    notes = [f"not worse than before: {text}" for text in (_place(problem) for problem in differs if str(problem) not in told)]
    return Verdict(problems, tuple(notes) + tuple(judge.waiting(found, scene)) + look.notes, found)


def _place(problem):
    where = ":".join(filter(None, (problem.path, str(problem.line or ""))))
    return f"{where}: {problem.message}" if where else problem.message


class _Look:
    """What there is now, looked at once for both rehearsals."""

    def __init__(self):
        if not ifupdown_files.read().ifupdown:
            raise stage.Unavailable("there is no /etc/network: what this system's network starts from is not for l2wg to know")
        results = process.together(*play.LOOK)
        texts = ["" if isinstance(result, L2wgError) else result.out for result in results]
        self.live = outcome.look(texts[0], texts[1:3], texts[3])
        self.rows = json_fields.table(texts[0])
        self.known = {peer.key: peer.endpoint for interface in self.live.wireguard.values() for peer in interface.peers}
        self.defined = ifupdown_files.read()
        self.hand = ()
        self.notes = ()

    def scene(self, new, old):
        """The judge.Scene of a change."""
        tunnels, before = store.parsed(new.wished), store.parsed(old.wished)
        stanzas = list(self.defined.stanzas)
        for path, text in new.texts.items():
            if text and (path in self.defined.paths or path.startswith(os.path.dirname(ifupdown.MAIN) + "/")):
                stanzas += ifupdown.parse(text, path)[0]
        bridges = {tunnel.bridge: tunnel.bridge_ports for tunnel in before + tunnels}
        ports = {port: bridge for bridge, names in bridges.items() for port in names}
        self.stanzas, self.bridges = stanzas, bridges
        self.nics = cast.nics(self.rows, stanzas, list(ports))
        texts = {wg_quick.path(name): files.read(wg_quick.path(name)) for name in wg_quick.names()}
        texts.update({path: text for path, text in new.texts.items() if os.path.dirname(path) == wg_quick.DIRECTORY})
        self.confs = {path: text for path, text in texts.items() if text}
        self.hand = tuple(self._by_hand({stanza.interface for stanza in stanzas}))
        quick = [os.path.basename(path)[: -len(wg_quick.SUFFIX)] for path in self.confs]
        names = judged({stanza.interface for stanza in stanzas} | set(bridges) | set(ports) | set(quick), before + tunnels)
        moved = {port: tunnel.bridge for tunnel in tunnels for port in tunnel.bridge_ports}
        gone = frozenset(_gone(before, tunnels, self.live)) | frozenset(new.gone)
        applied = tuple(tunnel.name for tunnel in before)
        nics = tuple(nic.name for nic in self.nics)
        return judge.Scene(tuple(tunnels), applied, self.live, tuple(sorted(names)), nics, moved, gone, self.confs)

    def _by_hand(self, defined):
        """The WireGuard interfaces that are up, have a file of wg-quick(8), and nothing in interfaces(5)."""
        for path, text in sorted(self.confs.items()):
            name = os.path.basename(path)[: -len(wg_quick.SUFFIX)]
            link = self.live.links.get(name)
            if link is not None and name not in defined and wg_quick.is_wg_quick(text, name):
                if link.kind == "wireguard":
                    yield name
                else:
                    self.notes += (f"not rehearsed: {name}, whose WireGuard is not the kernel's",)

    def rehearse(self, start, scene, moved=False):
        """The Outcome of the start with these Files; with `moved`, ports whose stanzas move are taken down and up, too."""
        tunnels = store.parsed(start.wished)
        again = sorted({tunnel.bridge for tunnel in tunnels} | set(scene.moved.values()))
        again += sorted(scene.moved) if moved else []
        again += sorted({tunnel.underlay for tunnel in tunnels} | {tunnel.underlay for tunnel in scene.tunnels})
        values = {path: files.glance(os.path.join(sysctls.ROOT, path)).strip() for path in SYSCTLS}
        defined = {stanza.interface for stanza in self.stanzas} | set(scene.moved)
        held = self.live.picture.held
        # A namespace within the stage would take rights that nobody has there.
        walled = [tunnel for tunnel in tunnels if tunnel.walled]
        texts = {tunnel.name: start.wished.get(tunnel.name) or tunnel_file.of(tunnel) for tunnel in walled}
        shared = {name: tunnel_file.edit(text, {"wire": "shared"}) for name, text in texts.items()}
        if store.SITES in start.wished:
            shared[store.SITES] = tame.sites(start.wished[store.SITES])
        part = play.Part(
            dict(start.texts),
            dict(start.wished, **shared),
            self.nics,
            cast.leases(held, self.live.links, self.bridges),
            cast.given(held, self.nics, defined) + tuple(self._wires(walled)),
            tame.endpoints(self.confs.values(), self.known),
            dict({path: value for path, value in values.items() if value}, **NO_DAD),
            self.hand,
            tuple(again),
            not device_events.missing(),
        )
        return outcome.outcome(stage.play(play.perform(part), SECONDS), scene.nics)

    def _wires(self, walled):
        """Lines for ip(8) that make the WireGuard interfaces of l2wg's own, with their addresses.

        Each as one host's: where they really are, no network of theirs is in the way of this router's.
        """
        for name in sorted({tunnel.underlay for tunnel in walled}):
            path = wg_quick.path(name)
            wire, _ = own_wire.parse(self.confs.get(path, ""), path)
            if wire is not None:
                yield f"link add name {name} mtu {wire.mtu} type wireguard"
                hosts = [ipaddress.ip_interface(address).ip for address in wire.addresses]
                yield from (f"address add {host}/{host.max_prefixlen} dev {name}" for host in hosts)
                yield f"link set dev {name} up"


def judged(names, tunnels):
    """Those of the interfaces `names` whose loss counts: not the tunnels, which are asked for one by one, nor their own wires.

    On the stage such a wire is among the others, for want of a namespace; where it really is, this router loses nothing by it.
    """
    walled = {tunnel.underlay for tunnel in tunnels if tunnel.walled}
    return set(names) - {"lo"} - {tunnel.name for tunnel in tunnels} - walled


def _gone(before, tunnels, live):
    """Facts that the wish takes away: addresses and ports that it names no more, bridges of ours that go with them."""
    kept = {(port, tunnel.bridge) for tunnel in tunnels for port in tunnel.bridge_ports}
    bridges = {tunnel.bridge for tunnel in tunnels}
    addresses = {tunnel.bridge_address for tunnel in tunnels}
    for tunnel in before:
        if tunnel.bridge_address and tunnel.bridge_address not in addresses:
            yield Fact("address", tunnel.bridge, tunnel.bridge_address)
        for port in tunnel.bridge_ports:
            if (port, tunnel.bridge) not in kept:
                yield Fact("port", port, tunnel.bridge)
        if tunnel.bridge_ports and tunnel.bridge not in bridges:
            yield Fact("interface", tunnel.bridge)
    peers = {(tunnel.underlay, peer.key): peer for tunnel in tunnels for peer in wire_peers.of(tunnel)}
    for tunnel in before:
        for peer in wire_peers.of(tunnel):
            there = peers.get((tunnel.underlay, peer.key))
            if there is None:
                yield Fact("peer", tunnel.underlay, peer.key)
            lost = (network for network in peer.allowed if there is None or network not in there.allowed)
            yield from (Fact("allowed", tunnel.underlay, network) for network in lost)


def going(underlay, removed, ways):
    """The Facts that go with peers.Peers which are removed from a WireGuard interface, and with the words of routes."""
    found = [Fact("route", underlay, outcome.way(words)) for words in ways]
    for peer in removed:
        found.append(Fact("peer", underlay, peer.key))
        found += [Fact("allowed", underlay, network) for network in peer.allowed]
    return tuple(found)


def of_change(texts, wished, both, gone=()):
    """Rehearse a change before it is made; the Problems that forbid it. `texts` are {path: text}, `wished` {tunnel: text}.

    `gone` are those of Files. What else there is to know is printed. Where nothing can be rehearsed, that is all that is said.
    """
    new = Files({path: text or None for path, text in texts.items()}, wished, gone)
    try:
        verdict = compare(new, today(), both)
    except stage.Unavailable as error:
        log.say(f"the next start is not rehearsed: {error}")
        return ()
    for line in verdict.notes:
        log.say(f"rehearsal: {line}")
    _say_skipped(verdict.new, few=True)
    if verdict.problems:
        hint = "mend what is said above; with --no-rehearsal, `l2wg apply` goes on all the same"
        return verdict.problems + (Problem("nothing was changed: the next start would be worse than this one", hint),)
    log.say("the next start was rehearsed: nothing is lost by it")
    return ()


def _say_skipped(found, few=False):
    """Print what was not rehearsed; with `few`, hooks of other packages as a number."""
    for line in found.skipped:
        log.say("not rehearsed: %s:%d: %s %s" % (line.path, line.line, line.key, line.command))
    if found.others and few:
        log.say("not rehearsed: %d hooks and methods of others; `l2wg rehearse` lists them" % len(found.others))
        return
    for other in found.others:
        log.say(f"not rehearsed: {other}")


def report(intent, verbose=False):
    """(Problems, exit code) of the start as the Intent of `l2wg apply` would leave it or, where that refuses, as it is."""
    texts = {} if intent.problems else {path: new or None for path, (_, new) in intent.texts.items()}
    if texts:
        log.say("with the files as `l2wg apply` would write them: {}".format(", ".join(sorted(texts))))
    elif intent.problems:
        log.say("`l2wg apply` would refuse, so this is with the files as they are")
    new, old = Files(texts, store.texts()), today()
    try:
        look = _Look()
        scene = look.scene(new, old)
        found = look.rehearse(new, scene)
        problems = list(judge.differs(found, scene))
        if intent.moves or any(path not in (ifupdown_bridge.OURS,) for path in texts):
            told = {(problem.path, problem.line, problem.subject) for problem in problems}
            worse = judge.worse(found, look.rehearse(old, scene, moved=True), scene)
            problems += [problem for problem in worse if (problem.path, problem.line, problem.subject) not in told]
    except stage.Unavailable as error:
        fail(f"nothing can be rehearsed: {error}", "it takes ifupdown, namespaces and overlay file systems", code=2)
    if verbose:
        _say_steps(found)
    for line in judge.waiting(found, scene):
        log.say(line)
    for line in look.notes:
        log.say(line)
    _say_skipped(found)
    if not problems:
        log.say("the next start gives what is wished, and all that is there now")
    return tuple(problems), 1 if problems else 0


def _say_steps(found):
    for step in found.steps:
        log.line("[rehearsal] {}{}".format(step, "" if step.code == 0 else f" # exit code {step.code}"))
        for line in step.said.splitlines():
            log.line("  " + line)
