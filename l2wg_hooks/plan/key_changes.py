"""A site changes its key (`was=` in its line): both keys are peers, and the one by which it came last has its AllowedIPs. Pure.

WireGuard lets a peer in that has no AllowedIPs, and takes nothing from it but handshakes: so that of the new key shows that the
site has switched, and that of the former one that it has gone back. Which of the two happens nobody has to say.
"""

from l2wg_hooks.config import wire_peers
from l2wg_hooks.model import PeerWish
from l2wg_hooks.typed import Dict, List, NamedTuple, Tuple

# Seconds after a handshake by the new key until the former one is out: the site waits 15 s for handshakes, and goes back without.
SETTLED = 60


class Turn(NamedTuple):
    """The PeerWishes of a site with two keys: `peers`, and the public key of the `idle` one, "" once the former one is out.

    `time` is that of the idle one's last handshake in the kernel; `moved` is whether the site has come with the new key.
    """

    peers: Tuple[PeerWish, ...]
    idle: str
    time: int = 0
    moved: bool = True


def turn(peer, there, heard, now):
    """The Turn of a PeerWish with a former key, at `now`, in seconds since the epoch.

    `there` is {public key: Peer} of the WireGuard interface, `heard` {public key: Heard} of what is kept of earlier starts.
    """
    former = peer._replace(key=peer.was, was="")
    new = peer._replace(was="")
    last, before = _handshake(new.key, there, heard), _handshake(former.key, there, heard)
    if last <= before:
        return Turn((former, new._replace(allowed=())), new.key, _of_kernel(new.key, there), False)
    if now - last < SETTLED:
        return Turn((new, former._replace(allowed=())), former.key, _of_kernel(former.key, there))
    return Turn((new,), "")


def _handshake(key, there, heard):
    return max(_of_kernel(key, there), heard[key].when if key in heard else 0)


def _of_kernel(key, there):
    return there[key].handshake if key in there else 0


def of_interface(name, seen) -> Tuple[Dict, Dict]:
    """({public key: Peer}, {public key: Heard}) of a WireGuard interface, by what is Observed."""
    there = {peer.key: peer for peer in seen.peers.get(name, ())}
    return there, {key: last for (underlay, key), last in seen.heard.items() if underlay == name}


def resolved(name, peers, seen):
    """The PeerWishes of a WireGuard interface, those of sites that change their keys as they are to be now."""
    if not any(peer.was for peer in peers):
        return tuple(peers)
    there, heard = of_interface(name, seen)
    return tuple(one for peer in peers for one in (turn(peer, there, heard, seen.now).peers if peer.was else (peer,)))


def turns(tunnels, seen):
    """[(Tunnel, PeerWish, Turn)] of the sites that change their keys."""
    found: List[Tuple] = []
    for tunnel in tunnels:
        for peer in wire_peers.of(tunnel):
            if peer.was:
                found.append((tunnel, peer, turn(peer, *of_interface(tunnel.underlay, seen), seen.now)))
    return found


def done(tunnels, seen):
    """[(former public key, new one)] of the sites that have changed for good."""
    return [(peer.was, peer.key) for _, peer, found in turns(tunnels, seen) if not found.idle]
