"""`l2wg check`: what is wrong, as facts with cures. It changes nothing.

Every check is by itself: one that cannot look says why, and the others go on. What can be found is in catalog.py; who judges
are the pure functions of the modules named there. Here is who looks, and in which order.
"""

import dataclasses
import json
import os
import threading
import time
from functools import partial
from typing import NamedTuple, Tuple

from l2wg_hooks import model
from l2wg_hooks.apply import apply, preview, ring_probe, saved_state
from l2wg_hooks.check import endpoint_dns, firewalls, lan, modules, permissions, prober, routing, underlay, wg_quick_hooks
from l2wg_hooks.config import ifupdown_bridge, ifupdown_files, last_applied, store, wg_quick, wg_quick_readers, wg_quick_routes
from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.model import Wait
from l2wg_hooks.netfilter import nftables_state
from l2wg_hooks.observe import counter_growth, link_table, wg_interfaces
from l2wg_hooks.plan import planner
from l2wg_hooks.probes import path_mtu, tunnel_packets
from l2wg_hooks.system import files, ip_routes, json_fields, process

# Of the form of `--json`: another number only where a key goes or changes its meaning.
VERSION = 1
# Seconds for WireGuard to shake hands once there is something to send; and for a peer to say anything at all, at the latest.
SESSION_PATIENCE, ANSWER_PATIENCE = 3, underlay.ANSWER + 1.5
OK, WRONG, IDLE, UNLOOKED = "ok", "wrong", "not applicable", "could not be looked at"


class Idle(Exception):
    """There is nothing to check here."""


class Unlooked(Exception):
    """A check that could not look: why."""


class Outcome(NamedTuple):
    """How one check ended: its name, one of the four words above, and why where it did not look."""

    name: str
    outcome: str
    why: str = ""


class Report(NamedTuple):
    """All Problems, each with the id of its cause, and the Outcome of every check."""

    problems: Tuple[Problem, ...]
    outcomes: Tuple[Outcome, ...]

    def json(self):
        """The report for programs: l2wg(8), JSON."""
        keys = ("id", "tunnel", "path", "line", "key", "message", "hint")
        return json.dumps(
            {
                "version": VERSION,
                "problems": [{key: getattr(one, key) for key in keys} for one in self.problems],
                "checks": [one._asdict() for one in self.outcomes],
            },
            indent=2,
        )


def check(passive=False, tell=lambda text: None):
    """The Report of now. With `passive`, nothing is sent. `tell` gets what is being looked at.

    It takes a second and a half, or five where DHCP is let pass, or seventeen where a peer answers nothing.
    """
    scene = Scene(passive)
    scene.begin()
    problems, outcomes = [], []
    for number, (name, look, needs_root) in enumerate(CHECKS, 1):
        tell("%s (%d of %d)" % (name, number, len(CHECKS)))
        found, outcome = _one(name, look, needs_root, scene)
        problems += [one for one in found if one not in problems]
        outcomes.append(outcome)
    return Report(tuple(problems), tuple(outcomes))


def _one(name, look, needs_root, scene):
    """(problems, Outcome) of one check; what it found before it failed counts."""
    found = []
    try:
        if needs_root and os.geteuid():
            raise Unlooked("only root can: sudo l2wg check")
        for problem in look(scene):
            if problem is not None:
                found.append(problem)
    except Idle as error:
        return found, Outcome(name, WRONG if found else IDLE, str(error))
    except Unlooked as error:
        return found, Outcome(name, UNLOOKED, str(error))
    except L2wgError as error:
        return found, Outcome(name, UNLOOKED, "; ".join(one.message for one in error.problems))
    except Exception as error:  # one broken check must not hide what the others find
        return found, Outcome(name, UNLOOKED, f"{type(error).__name__}: {error}")
    return found, Outcome(name, WRONG if found else OK)


class Scene:
    """What several checks want to know, looked at once, and only if somebody asks."""

    def __init__(self, passive=False):
        self.passive = passive
        self.known = {}
        self.thread = None
        self.began = time.monotonic()
        self.before = {}

    def _once(self, key, look):
        """What `look` gives, or raises, the first time."""
        if key not in self.known:
            try:
                self.known[key] = (look(), None)
            except Exception as error:
                self.known[key] = (None, error)
        value, error = self.known[key]
        if error is not None:
            raise error
        return value

    @property
    def wished(self):
        return self._once("wished", last_applied.standing)

    @property
    def tunnels(self):
        if not self.wished.tunnels:
            raise Idle("no tunnel is wished for")
        return self.wished.tunnels

    @property
    def links(self):
        return self._once("links", link_table.read)

    @property
    def intent(self):
        return self._once("intent", preview.intend)

    @property
    def clashes(self):
        """What the next start of WireGuard cannot add."""
        return self._once("clashes", lambda: wg_quick_routes.look(self.tunnels, ifupdown_files.read().stanzas))

    def laid(self):
        """The tunnels whose underlay is there."""
        found = [tunnel for tunnel in self.tunnels if tunnel.underlay in self.links]
        if not found:
            raise Idle("no underlay is there")
        return found

    def over(self):
        """[(Tunnel, wg_interfaces.Interface of its underlay)] where that one is there."""
        found = self.laid()
        known = {name: self._once(("wg", name), partial(wg_interfaces.look, name)) for name in {one.underlay for one in found}}
        for tunnel in found:
            if known[tunnel.underlay] is None:
                raise Unlooked(f"`wg show {tunnel.underlay} dump` tells nothing")
        return [(tunnel, known[tunnel.underlay]) for tunnel in found]

    def bridged(self):
        """The tunnels whose bridge is there, one a bridge."""
        found = {tunnel.bridge: tunnel for tunnel in reversed(self.tunnels)}
        found = [one for one in found.values() if one.bridge in self.links and self.links[one.bridge].kind == "bridge"]
        if not found:
            raise Idle("no bridge is there")
        return found

    @property
    def gateways(self):
        """{interface: gateways of its default routes}."""
        found = {}
        for route in ip_routes.show("-4", "route", "show", "default"):
            if "gateway" in route and "dev" in route:
                found.setdefault(route["dev"], []).append(route["gateway"])
        return found

    def begin(self):
        """Start the sounding; the checks that send nothing are done meanwhile."""
        if self.thread is None and not self.passive and not os.geteuid():
            self.thread = threading.Thread(target=self._sound, daemon=True)
            self.thread.start()

    def _sound(self):
        try:
            # What has been sent and received until now: on a slow machine, all is sent before the first check asks.
            self.before = {
                name: wg_interfaces.look(name) for name in {one.underlay for one in self.tunnels} if name in self.links
            }
            self.known["heard"] = (prober.sound(self.tunnels, self.links, self.gateways), None)
        except Exception as error:
            self.known["heard"] = (None, error)

    @property
    def heard(self):
        """The Heard of all tunnels."""
        if self.passive:
            raise Unlooked("--passive: it would have to send something")
        self.begin()
        if self.thread is not None:
            self.thread.join()
        return self._once("heard", lambda: None)

    def wait_for_probes(self):
        """For whoever looks at what they have left behind, such as counters. Raises Unlooked where none may be sent."""
        return self.heard


def _listed(*words):
    """What `ip -json WORDS` lists, nothing where it fails. Raises json_fields.Unfit, which `check` tells of."""
    result = process.run(("ip", "-json") + words)
    return json_fields.table(result.out) if result.code == 0 else []


def _with(cause, problem, tunnel=""):
    """A Problem that has an id, and a tunnel where it is about one."""
    return dataclasses.replace(problem, id=problem.id or cause, tunnel=problem.tunnel or tunnel)


def _settings(scene):
    for problem in scene.wished.problems:
        name = os.path.basename(problem.path)
        yield _with("settings", problem, name[: -len(store.SUFFIX)] if name.endswith(store.SUFFIX) else "")


def _change(scene):
    if saved_state.pending():
        message = "a change waits for its confirmation, or came to no end"
        yield Problem(message, "l2wg confirm, or l2wg rollback", id="unconfirmed")


def _plan(scene):
    intent = scene.intent
    for problem in intent.problems:
        if problem not in scene.wished.problems and problem not in ifupdown_files.read().unread:
            yield _with("settings", problem)
    yield from intent.told
    for name in intent.texts:
        if os.path.dirname(name) == ifupdown_files.COPIES:
            continue  # the next apply makes it
        message = f"is not what the files in {store.DIRECTORY} ask for"
        yield Problem(message, "l2wg apply", name, id="files-differ")
    names = [tunnel.name for tunnel in intent.tunnels]
    for step in intent.steps + intent.todo.steps:
        # What the rules say comes first: it is the one that lets strangers in.
        what = "guard, clamp and fences are not in force" if step.group == planner.GUARD else f"{step.group}: not as wished"
        cause = STEPS.get(step.group, "policy-route" if step.argv[1:2] in (("rule",), ("route",), ("-6",)) else "not-applied")
        name = step.group if step.group in names else ""
        yield Problem(f"{what}: {step.reason} (`{step}`)", "l2wg apply", id=cause, tunnel=name)
    for one in intent.named:
        yield _with("names-port", one.problem())


STEPS = {planner.GUARD: "guard", "iptables": "clamp", "ways": "policy-route", "NetworkManager": "networkmanager"}


def _waiting(scene):
    """What a tunnel waits for: the plan says what; here are the reasons that are known."""
    tunnels, links = scene.tunnels, scene.links
    said = set()
    for tunnel in tunnels:
        problem = underlay.absent(tunnel, links.get(tunnel.underlay), os.path.exists(wg_quick.path(tunnel.underlay)))
        if problem:
            problem = _startable(problem, tunnel.underlay, links, scene)
            said |= {Wait(tunnel.name, kind, tunnel.underlay) for kind in ("underlay", "underlay-up")}
            yield problem
        if tunnel.bridge not in links:
            said.add(Wait(tunnel.name, "bridge", tunnel.bridge))
            yield tunnel.problem("bridge", f"{tunnel.bridge} is not there", _comes(tunnel), "bridge-absent")
        problem = routing.absent(tunnel, links)
        if problem:
            said.add(Wait(tunnel.name, "address", tunnel.local))
            yield problem
        for name in tunnel.bridge_ports:
            if name not in links:
                said.add(Wait(tunnel.bridge, "port", name))
                hint = f"ip -brief link # which is it? then: l2wg set {tunnel.name} bridge-ports=...; l2wg apply"
                yield tunnel.problem("bridge-ports", f"the port {name} is not there", hint, "port-absent")
    for one in scene.intent.todo.waiting:
        if one not in said:
            yield Problem(str(one), "l2wg tries again with every event", id="waiting")


def _startable(problem, name, links, scene):
    """The Problem of an underlay that is not up, with a cure that would not fail, nor cost what is left of it."""
    clash = next((one.problem for one in scene.clashes if one.underlay == name), None)
    if clash:
        hint = "not yet, since it would fail: {}; then: {}".format(
            clash.hint.partition(" # ")[0], problem.hint.partition(" # ")[0]
        )
        return dataclasses.replace(problem, hint=hint)
    where = wg_quick.path(name)
    answer = wg_quick_readers.ask(name, files.read(where)) if os.path.exists(where) and name not in links else None
    if answer and not answer.quick:
        start = answer.start(name)
        return dataclasses.replace(problem, hint=start or f"bring it up by what does that: {answer.hint}")
    return problem


def _comes(tunnel):
    """What brings up a tunnel's bridge."""
    defined = ifupdown_files.read()
    if any(one.interface == tunnel.bridge for one in defined.stanzas):
        return f"ifup --force {tunnel.bridge}"
    if tunnel.bridge_ports:
        return "l2wg apply"
    return f"nobody defines it: l2wg set {tunnel.name} bridge-ports=...; l2wg apply; or bring it up by what does define it"


def _modules(scene):
    tunnels, links = scene.tunnels, scene.links
    wanted = modules.wanted(tunnels, links, bool(modules.sysctl("net", "bridge", "bridge-nf-call-iptables")))
    if any(os.path.exists(os.path.join(folder, "wireguard-go")) for folder in process.ENVIRONMENT["PATH"].split(":")):
        wanted.pop("wireguard", None)
    missing = {name: tunnel for name, tunnel in wanted.items() if not modules.loadable(name)}
    release = os.uname().release
    stored = not os.path.isdir(modules.STORE) or os.path.isdir(os.path.join(modules.STORE, release))
    return modules.judge(missing, release, stored)


def _managers(scene):
    return firewalls.managing(scene.tunnels, scene.links)


def _rights(scene):
    for problem in permissions.problems(scene.tunnels):
        yield _with("rights", problem)


def _firewalls(scene):
    return firewalls.filtering(scene.tunnels, scene.links)


def _forwarding(scene):
    for tunnel in scene.tunnels:
        words = ("ipv4", "ip_forward") if tunnel.family == 4 else ("ipv6", "conf", "all", "forwarding")
        yield routing.stopped(tunnel, scene.links, modules.sysctl("net", *words))


def _boot(scene):
    """Files that are read at the next boot."""
    tunnels = scene.tunnels
    defined = ifupdown_files.read()
    for problem in defined.unread:
        yield _with("unreadable", problem)
    if defined.ifupdown:
        yield from apply.unreached(scene.intent)
        if os.path.exists(ifupdown_bridge.OURS) and not any(
            os.path.exists(os.path.join(folder, "ifup")) for folder in process.ENVIRONMENT["PATH"].split(":")
        ):
            yield Problem("there is no ifup that reads it", "apt install ifupdown", ifupdown_bridge.OURS, id="ifupdown-absent")
    for name in sorted({tunnel.underlay for tunnel in tunnels}):
        where = wg_quick.path(name)
        try:
            text = files.text(where, None)
        except L2wgError as error:
            for problem in error.problems:
                yield _with("unreadable", problem)
            continue
        if text is None:
            continue
        own = [tunnel.name for tunnel in tunnels if tunnel.underlay == name]
        answer = wg_quick_readers.ask(name, text, defined)
        yield answer.problem(where, name, text)
        for clash in scene.clashes:
            yield clash.problem if clash.underlay == name else None
        # An interface that ifupdown brings up has its own hook, and a file for wg(8) takes no such lines.
        by_others = any(one.interface == name for one in defined.stanzas)
        for problem in wg_quick_hooks.judge(text, where, name, own) if answer.quick else ():
            if not (by_others and problem.id == "postup-missing"):
                yield problem


def _allowed(scene):
    for tunnel, interface in scene.over():
        problem = underlay.uncovered(tunnel, interface)
        if problem and wg_quick_hooks.is_rewritten(_wg_quick(tunnel.underlay)):
            hint = problem.hint + " # SaveConfig = true: the command alone, since wg-quick rewrites the file"
            problem = dataclasses.replace(problem, hint=hint)
        yield problem


def _wg_quick(name):
    """The text of a WireGuard interface's wg-quick file; "" where there is none, or it cannot be read, as _boot tells."""
    try:
        return files.text(wg_quick.path(name))
    except L2wgError:
        return ""


def _session(scene):
    """Read after the sounding, which gives WireGuard something to send."""
    if scene.thread is not None:
        scene.thread.join()
    late = time.monotonic() + SESSION_PATIENCE
    tunnels = [tunnel for tunnel, _ in scene.over() if scene.links[tunnel.underlay].up]
    while True:
        known = {name: wg_interfaces.look(name) for name in {tunnel.underlay for tunnel in tunnels}}
        now = int(time.time())
        found = [(one, known[one.underlay]) for one in tunnels if known[one.underlay]]
        quiet = [row + (underlay.silent(*row, now=now),) for row in found]
        quiet = [row for row in quiet if row[2]]
        if not quiet or scene.passive or time.monotonic() > late:
            break
        time.sleep(0.2)
    yield from _silent(quiet, scene)
    told = [row[0] for row in quiet]
    if not scene.passive:
        yield from _silent(_unanswered([one for one in tunnels if one not in told], scene), scene)


def _silent(rows, scene):
    for tunnel, interface, problem in rows:
        peer = underlay.covering(interface.peers, tunnel.remote)[0][1]
        # By its name nobody has to guess why.
        yield _stale(tunnel, peer, scene) or problem


def _unanswered(tunnels, scene):
    """[(Tunnel, Interface, Problem)] of those whose peer looks alive, but answers nothing, not even what no firewall forbids."""
    heard, before = scene.heard, scene.before
    asked = [tunnel for tunnel in tunnels if before.get(tunnel.underlay)]
    mute = [one for one in asked if heard.small.get(one.name) is False and not heard.near.get(one.name)]
    rows = []
    while mute:
        known = {name: wg_interfaces.look(name) for name in {tunnel.underlay for tunnel in mute}}
        rows = [(one, known[one.underlay]) for one in mute if known[one.underlay]]
        rows = [row + (underlay.unanswered(row[0], before[row[0].underlay], row[1]),) for row in rows]
        rows = [row for row in rows if row[2]]
        if not rows or time.monotonic() > scene.began + ANSWER_PATIENCE:
            break
        mute = [row[0] for row in rows]
        time.sleep(0.2)
    return rows


def _stale(tunnel, peer, scene):
    if scene.passive:
        return None
    name, port = endpoint_dns.named(_wg_quick(tunnel.underlay)).get(peer.key, ("", ""))
    if not name:
        return None
    addresses = scene._once(("dns", name), lambda: endpoint_dns.resolve(name))
    return endpoint_dns.judge(tunnel, peer, name, port, addresses)


def _way(scene):
    for tunnel in scene.laid():
        if not scene.links[tunnel.underlay].up:
            continue  # then nothing is routed by it, and it is told of
        own = routing.taken(tunnel, scene.links)
        if own:
            yield own
            continue
        words = ("get", tunnel.remote) + (("from", tunnel.local) if routing.absent(tunnel, scene.links) is None else ())
        found = ip_routes.show("-%d" % tunnel.family, "route", *words)
        filters = [modules.sysctl("net", "ipv4", "conf", name, "rp_filter") for name in ("all", tunnel.underlay)]
        yield from routing.elsewhere(tunnel, found[0].get("dev", "") if found else "", filters)


def _outer(scene):
    """WireGuard's own packets."""
    for tunnel, interface in scene.over():
        rows = underlay.covering(interface.peers, tunnel.remote)
        address = rows[0][1].endpoint.rpartition(":")[0].strip("[]") if rows else ""
        if not address or "%" in address:
            continue
        family = 6 if ":" in address else 4
        found = ip_routes.show("-%d" % family, "route", "get", address)
        device = scene.links.get(found[0].get("dev", "")) if found else None
        if device is None or device.name == tunnel.underlay:
            continue
        own = [one["mtu"] for one in found[0].get("metrics", []) if one["mtu"]]
        yield underlay.fragmented(tunnel, scene.links[tunnel.underlay], family, device.name, min(own + [device.mtu]))


def _peer(scene):
    """Whether the peer takes what we send, and sends what we take."""
    heard = scene.heard
    known = {tunnel_packets.wished(tunnel) for tunnel in scene.tunnels} | {_foreign(link) for link in scene.links.values()}
    own = {address.partition("/")[0] for link in scene.links.values() for address in link.addresses}
    for tunnel, _ in scene.over():
        # What is only passing through is none of ours.
        came = [one for one in heard.carriers.get(tunnel.underlay, ()) if one.target in own]
        stranger = tunnel_packets.stranger(tunnel, came, known)
        if stranger:
            yield tunnel_packets.judge(tunnel, stranger)
        elif heard.refused.get(tunnel.name):
            yield tunnel.problem(
                "remote",
                f"the peer answers `{heard.refused[tunnel.name]}` to the tunnel's packets: nobody there takes them",
                f"l2wg check # on the peer. There: local = {tunnel.remote}, remote = {tunnel.local}, "
                f"{_as_here(tunnel)}; and its firewall lets them in",
                "peer-refuses",
            )
        if heard.near.get(tunnel.name) and heard.small.get(tunnel.name) is False:
            bits = 32 if tunnel.family == 4 else 128
            yield tunnel.problem(
                "local",
                f"the peer {tunnel.remote} answers the address of {tunnel.underlay}, but not {tunnel.local}: its "
                f"AllowedIPs do not cover that, or it has no way back",
                "on the peer, in the [Peer] section of this router, add to AllowedIPs: %s/%d" % (tunnel.local, bits),
                "peer-allowed-ips",
            )


def _as_here(tunnel):
    key = "no key" if tunnel.key is None else "key = %d" % tunnel.key
    port = ", port = %d" % tunnel.port if tunnel.kind == "vxlan" else ""
    return f"encapsulation = {tunnel.encapsulation}, {key}{port}"


def _foreign(link):
    """What somebody else's tunnel takes."""
    kind = "vxlan" if link.kind == "vxlan" else "gretap" if link.kind in model.TUNNEL_KINDS and not model.is_ours(link) else ""
    return tunnel_packets.Carrier(kind, link.remote, link.local, link.key, link.port)


def _path(scene):
    heard = scene.heard
    quiet = []
    for tunnel, _ in scene.over():
        if tunnel.name in heard.deaf:
            quiet.append(f"{tunnel.name}: {heard.deaf[tunnel.name]}")
        elif heard.path.get(tunnel.name):
            yield path_mtu.judge(tunnel, scene.links[tunnel.underlay].mtu, heard.path[tunnel.name])
        elif not heard.small.get(tunnel.name):
            quiet.append(f"{tunnel.name}: {tunnel.remote} answers no echo request")
    if quiet:
        raise Unlooked("; ".join(quiet))


def _loops(scene):
    scene.wait_for_probes()
    if not any(tunnel.name in scene.links for tunnel in scene.tunnels):
        raise Idle("there is no tunnel")
    frames, now = nftables_state.counters(), time.monotonic()
    notes = counter_growth.look(counter_growth.dropped(frames), {}, now)
    for tunnel in scene.tunnels:
        keys = [f"{what} {tunnel.name}" for what in ("loop", "storm")]
        # The probes have shown whether it goes on: what is over is no fault any more.
        looped, stormed = (notes[key].count if key in notes and counter_growth.recent(notes[key], now) else 0 for key in keys)
        since = [counter_growth.pause(notes.get(key), now) for key in keys]
        if looped:
            message = "a loop: %d frames of %s came back to it%s: there is a second way between the sites"
            hint = "find and cut that way (journalctl -k -g 'l2wg: loop'), or have both bridges speak STP"
            others = [one.name for one in scene.tunnels if one.bridge == tunnel.bridge and one.name != tunnel.name]
            hint = ring_probe.choices(tunnel, others) if others else hint
            yield tunnel.problem("bridge", message % (looped, tunnel.bridge, since[0]), hint, "loop")
        if stormed:
            yield tunnel.problem(
                "storm-limit",
                "%d frames were dropped, over %d a second%s" % (stormed, tunnel.storm_limit or 0, since[1]),
                f"see what sends them (tcpdump -n -e -i {tunnel.name}); a loop, or too low a limit",
                "storm",
            )


def _dhcp(scene):
    tunnels = scene.bridged()
    if not any(prober.offered(scene.tunnels, one.bridge) for one in tunnels):
        raise Idle("dhcp = block")
    heard = scene.heard
    for tunnel in tunnels:
        if prober.offered(scene.tunnels, tunnel.bridge):
            if tunnel.bridge in heard.mute:
                raise Unlooked(f"{tunnel.bridge}: {heard.mute[tunnel.bridge]}")
            names = [one.name for one in scene.tunnels]
            yield from lan.servers(tunnel, heard.offers.get(tunnel.bridge, ()), names)


def _bridge(scene):
    for tunnel in scene.bridged():
        yield lan.down(tunnel, scene.links)
        yield lan.shrunk(tunnel, scene.links)
        yield lan.unpinned(tunnel, scene.links, _assigned(tunnel.bridge))
    for tunnel in scene.tunnels:
        if tunnel.bridge in scene.links:
            yield lan.blocked(tunnel, scene.links)


def _heard(scene):
    """Bridges that l2wg does not define; of its own, the plan says what they are to be."""
    defined = ifupdown_files.read()
    asked = {one.interface for one in defined.stanzas if one.addresses()} | set(ifupdown_bridge.ours(scene.tunnels, defined))
    for tunnel in scene.bridged():
        if tunnel.bridge not in asked:
            yield lan.heard(tunnel, scene.links, partial(_switch, tunnel.bridge))


def _switch(name, family, switch):
    """The number of a switch of an interface, of IPv4 the larger one of it and `all`; None where the kernel has no such thing."""
    names = (name, "all") if family == "ipv4" and switch != "forwarding" else (name,)
    found = [modules.sysctl("net", family, "conf", one, switch) for one in names]
    return max((int(one) for one in found if one.isdigit()), default=None)


def _assigned(name):
    return files.glance(f"/sys/class/net/{name}/addr_assign_type").strip()


def _subnets(scene):
    for tunnel, interface in scene.over():
        rows = underlay.covering(interface.peers, tunnel.remote)
        yield lan.overlapping(tunnel, scene.links, rows[0][1].allowed if rows else ())


def _duplicates(scene):
    tunnels, heard = scene.bridged(), scene.heard
    own = {link.mac for link in scene.links.values()}
    for tunnel in tunnels:
        if tunnel.bridge in heard.mute:
            raise Unlooked(f"{tunnel.bridge}: {heard.mute[tunnel.bridge]}")
        asked = prober.asked(scene.links[tunnel.bridge], scene.gateways.get(tunnel.bridge, ()))
        yield from lan.duplicates(tunnel, asked, heard.answers.get(tunnel.bridge, ()), own)
        yield from lan.refused(tunnel, _failed(tunnel.bridge))


def _failed(name):
    """IPv6 addresses that the kernel gave up, since another machine has them (RFC 4862, 5.4)."""
    found = _listed("-6", "address", "show", "dev", name, "dadfailed")
    return [one["local"] for link in found for one in link.get("addr_info", []) if one.get("dadfailed")]


# (name, who looks, whether it needs root); those that send nothing come first, while the others' answers are on their way.
CHECKS = (
    ("settings", _settings, False),
    ("change under way", _change, False),
    ("files for the next boot", _boot, True),
    ("plan", _plan, True),
    ("what is waited for", _waiting, True),
    ("kernel modules", _modules, False),
    ("AllowedIPs", _allowed, True),
    ("routes and rp_filter", _way, False),
    ("WireGuard's packets", _outer, True),
    ("bridge", _bridge, False),
    ("bridge as an interface", _heard, False),
    ("subnets", _subnets, True),
    ("forwarding", _forwarding, False),
    ("who may write the files", _rights, True),
    ("other managers", _managers, True),
    ("firewalls", _firewalls, True),
    ("WireGuard's session", _session, True),
    ("peer", _peer, True),
    ("path MTU", _path, True),
    ("loops and storms", _loops, True),
    ("duplicate addresses", _duplicates, True),
    ("DHCP servers", _dhcp, True),
)
