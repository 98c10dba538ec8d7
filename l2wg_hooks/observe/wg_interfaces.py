"""WireGuard's peers: what `wg show WG dump` (or `all`) tells of an interface, without its secrets. The text part is pure."""

import re

from l2wg_hooks.config.allowed_ips import AllowedIPs
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.model import Peer
from l2wg_hooks.system import network_namespace, process
from l2wg_hooks.typed import Dict, NamedTuple, Tuple

NEVER = -1
# Seconds after which WireGuard takes no packet of a session any more (REJECT_AFTER_TIME in its white paper, 6.1).
SESSION = 180


class _Interface(NamedTuple):
    key: str
    port: int
    peers: Tuple[Peer, ...]


class Interface(_Interface):
    """A WireGuard interface: its public key ("" where it has none), its UDP port (0: none), and its peers."""

    @property
    def cover(self) -> AllowedIPs:
        """Who has an address, of the peers."""
        return self._once("cover", lambda: AllowedIPs(self.peers))

    @property
    def by_key(self) -> Dict[str, Peer]:
        """{public key: Peer}."""
        return self._once("by_key", lambda: {peer.key: peer for peer in reversed(self.peers)})

    def _once(self, name, make):
        # A hub has hundreds of peers, and each of its tunnels asks.
        if name not in self.__dict__:
            self.__dict__[name] = make()
        return self.__dict__[name]


def _count(text):
    if not re.match(r"[0-9]{1,20}\Z", text):
        raise ValueError(text)
    return int(text)


def fields(text):
    """The fields of each line of `wg show WG dump` (wg(8)), the interface's first; empty where it is no such thing."""
    rows = [line.split("\t") for line in text.splitlines()]
    return rows if rows and len(rows[0]) == 4 and all(len(row) == 8 for row in rows[1:]) else []


def parse(text):
    """The Interface that `wg show WG dump` printed, without its secret keys; None where it is no such thing."""
    rows = fields(text)
    if not rows:
        return None
    try:
        peers = tuple(
            Peer(
                key,
                "" if endpoint == "(none)" else endpoint,
                tuple(word for word in allowed.split(",") if "/" in word),
                _count(handshake),
                _count(received),
                _count(sent),
                None if keepalive == "off" else _count(keepalive),
                preshared != "(none)",
            )
            for key, preshared, endpoint, allowed, handshake, received, sent, keepalive in rows[1:]
        )
        return Interface("" if rows[0][1] == "(none)" else rows[0][1], _count(rows[0][2]), peers)
    except ValueError:
        return None


def dumps(text):
    """{name: what `wg show NAME dump` would print} of what `wg show all dump` printed: the same lines behind each one's name."""
    texts: Dict[str, str] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("\t")
        texts[name] = f"{texts.get(name, '')}{rest}\n"
    return texts


def parse_all(text):
    """{name: Interface} of what `wg show all dump` printed."""
    found = {name: parse(lines) for name, lines in dumps(text).items()}
    return {name: interface for name, interface in found.items() if interface is not None}


def peers(names):
    """{name: Peers} of those of these interfaces that have any, in the caller's network namespace: one process for all."""
    found = parse_all(process.output("wg", "show", "all", "dump"))
    return {name: found[name].peers for name in names if name in found and found[name].peers}


def command(name, *words):
    """The command line of wg(8) about the interface `name`, in whichever network namespace that is."""
    namespace = network_namespace.of(name)
    return (("ip", "netns", "exec", namespace) if namespace else ()) + ("wg",) + words


def look(name):
    """The Interface `name` as it is now; None where it is none, or nobody answers for it (WireGuard in user space)."""
    try:
        result = process.run(command(name, "show", name, "dump"))
    except L2wgError:
        return None
    return None if result.code else parse(result.out)


def read(name):
    """The same, for what has to be known. Raises L2wgError where it cannot be looked at."""
    found = parse("".join(line + "\n" for line in process.lines(*command(name, "show", name, "dump"))))
    return found or fail(f"`wg show {name} dump` printed what cannot be read", "is wg that of the package wireguard-tools?")


def alive(peer, now, seconds=SESSION):
    """Whether a Peer has a session at `now`, seconds since the epoch, that is younger than so many `seconds`."""
    return bool(peer.handshake) and now - peer.handshake < seconds


def unknown(key):
    """The Peer that an interface does not have: its handshake is NEVER."""
    return Peer(key, "", (), NEVER, 0, 0, None)


def put_back(name, peer):
    """Have the interface `name` know a peer as it did, or not at all where it did not; the Problems of that."""
    argv = command(name, "set", name, "peer", peer.key)
    if peer.handshake == NEVER:
        argv += ("remove",)
    else:
        argv += (("endpoint", peer.endpoint) if peer.endpoint else ()) + ("persistent-keepalive", str(peer.keepalive or 0))
        argv += ("allowed-ips", ",".join(peer.allowed))
    if look(name) is None:
        return ()  # it is gone, and its peers with it
    process.show(argv)
    result = process.run(argv)
    return (
        (Problem("`{}` failed: {}".format(" ".join(argv), result.err.strip()), "run it by hand as root"),) if result.code else ()
    )
