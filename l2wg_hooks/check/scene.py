"""What the checks look at, once for all; and what a check is."""

import os
import threading
import time
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple

from l2wg_hooks.apply import preview
from l2wg_hooks.check import prober
from l2wg_hooks.config import ifupdown_files, last_applied, wg_quick_routes
from l2wg_hooks.observe import link_table, vteps, wg_interfaces
from l2wg_hooks.plan.link_index import LinkIndex
from l2wg_hooks.system import ip_routes, json_fields, process


class Idle(Exception):
    """There is nothing to check here."""


class Unlooked(Exception):
    """A check that could not look: why."""


class Check(NamedTuple):
    """One check: `look` yields the Problems of a Scene, None among them, or raises Idle or Unlooked.

    Those that have `asked` somebody come last, while the answers to all that is sent are on their way.
    """

    name: str
    look: Callable[["Scene"], Any]
    needs_root: bool = True
    asked: bool = False


class Scene:
    """What several checks want to know, looked at once, and only if somebody asks."""

    def __init__(self, passive=False):
        self.passive = passive
        self.known = {}
        self.thread = None
        self.began = time.monotonic()
        self.before = {}

    def once(self, key, look):
        """What `look` gives, or raises, the first time."""
        if key not in self.known:
            try:
                self.known[key] = (look(), None)
            except Exception as error:
                self.known[key] = (None, error)
        value, failure = self.known[key]
        if failure is not None:
            raise failure
        return value

    @property
    def wished(self):
        return self.once("wished", lambda: last_applied.standing(departs=False))

    @property
    def tunnels(self):
        if not self.wished.tunnels:
            raise Idle("no tunnel is wished for")
        return self.once("tunnels", lambda: vteps.look(self.wished.tunnels))

    @property
    def links(self):
        return self.once("links", link_table.read)

    @property
    def index(self):
        """The LinkIndex of all links."""
        return self.once("index", lambda: LinkIndex(self.links))

    @property
    def intent(self):
        return self.once("intent", preview.intend)

    @property
    def clashes(self):
        """What the next start of WireGuard cannot add: {interface: its Clashes}."""
        return self.once("clashes", self._clashes)

    def _clashes(self):
        found: Dict[str, List[wg_quick_routes.Clash]] = {}
        for clash in wg_quick_routes.look(self.tunnels, ifupdown_files.read().stanzas):
            found.setdefault(clash.underlay, []).append(clash)
        return found

    def laid(self):
        """The tunnels whose underlay is there."""
        found = [tunnel for tunnel in self.tunnels if tunnel.underlay in self.links]
        if not found:
            raise Idle("no underlay is there")
        return found

    @staticmethod
    def shared(tunnels):
        """Those of the tunnels whose packets are among the router's own. Raises Idle where there are none."""
        found = [tunnel for tunnel in tunnels if not tunnel.walled]
        if not found:
            raise Idle("no packets of a tunnel are among the router's own")
        return found

    def over(self):
        """[(Tunnel, wg_interfaces.Interface of its underlay)] where that one is there."""
        found = self.laid()
        known = {
            name: self.once(("wg", name), partial(wg_interfaces.look, name)) for name in {tunnel.underlay for tunnel in found}
        }
        for tunnel in found:
            if known[tunnel.underlay] is None:
                raise Unlooked(f"`wg show {tunnel.underlay} dump` tells nothing")
        return [(tunnel, known[tunnel.underlay]) for tunnel in found]

    def peers(self):
        """[(Tunnel, End, wg_interfaces.Interface of its underlay)] where that one is there; nobody behind a hub."""
        return [(tunnel, end, interface) for tunnel, interface in self.over() for end in tunnel.near_ends]

    def bridged(self):
        """The tunnels whose bridge is there, one a bridge."""
        by_bridge = {tunnel.bridge: tunnel for tunnel in reversed(self.tunnels)}
        found = [
            tunnel for tunnel in by_bridge.values() if tunnel.bridge in self.links and self.links[tunnel.bridge].kind == "bridge"
        ]
        if not found:
            raise Idle("no bridge is there")
        return found

    @property
    def gateways(self):
        """{interface: gateways of its default routes}."""
        found: Dict[str, List[str]] = {}
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
                name: wg_interfaces.look(name) for name in {tunnel.underlay for tunnel in self.tunnels} if name in self.links
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
        return self.once("heard", lambda: None)

    def wait_for_probes(self):
        """For whoever looks at what they have left behind, such as counters. Raises Unlooked where none may be sent."""
        return self.heard


def listed(*words):
    """What `ip -json WORDS` lists, nothing where it fails. Raises json_fields.Unfit, which `check` tells of."""
    result = process.run(("ip", "-json") + words)
    return json_fields.table(result.out) if result.code == 0 else []


def with_id(cause, problem, tunnel=""):
    """A Problem that has an id, and a tunnel where it is about one."""
    return problem._replace(id=problem.id or cause, tunnel=problem.tunnel or tunnel)
