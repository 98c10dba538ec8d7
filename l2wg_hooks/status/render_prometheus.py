"""`l2wg metrics`: a Status in Prometheus' text format. Pure.

Names after its conventions: prometheus.io/docs/practices/naming.
"""

from l2wg_hooks import __version__
from l2wg_hooks.status.status import FRAMES, NOTE, PACKETS, WRONG

GAUGE, COUNTER = "gauge", "counter"


def render(status):
    """The text: each metric with its HELP and TYPE, then its samples. One without samples is left out."""
    lines = []
    for name, kind, said, samples in _metrics(status):
        rows = dict.fromkeys(f"l2wg_{name}{_labels(labels)} {_number(value)}" for labels, value in samples)
        if rows:
            lines += [f"# HELP l2wg_{name} {said}", f"# TYPE l2wg_{name} {kind}"]
            lines += rows
    return "\n".join(lines) + "\n"


def _number(value):
    return "%d" % value


def _labels(labels):
    return "{{{}}}".format(",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())) if labels else ""


def _escape(value):
    """A label's value: backslash, quote and line feed, and what is no UTF-8 (a file's odd bytes)."""
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _metrics(status):
    """Yield (name without l2wg_, type, help, [(labels, value)])."""
    tunnels = status.tunnels
    yield "build_info", GAUGE, "The version of l2wg that says all this.", [({"version": __version__}, 1)]
    levels = [({"level": level}, sum(fault.level == level for fault in status.faults)) for level in (WRONG, NOTE)]
    yield "faults", GAUGE, "What is wrong, and what is worth a look, as `l2wg status` tells it.", levels
    said = "What /etc/l2wg wishes for, the public key of the peer, and its site's name."
    yield "tunnel_info", GAUGE, said, [(_info(tunnel), 1) for tunnel in tunnels]
    said = "A far end of a tunnel that has several, the public key of its peer, and its site's name."
    yield "tunnel_remote_info", GAUGE, said, list(_remotes(tunnels))
    said = "The far ends that FRR has put into the tunnel's table (control = evpn)."
    found = [(_of(tunnel), len(tunnel.wish.remotes)) for tunnel in tunnels if tunnel.wish.senders]
    yield "evpn_far_ends", GAUGE, said, found
    said = "Whether the hub is the one of two that this router listens to."
    yield "hub_listened", GAUGE, said, list(_hubs(tunnels))
    for name, said, value in (
        ("tunnel_up", "Whether the tunnel exists and is up.", lambda tunnel: tunnel.up),
        ("tunnel_joined", "Whether the tunnel is a port of its bridge.", lambda tunnel: tunnel.joined),
        ("tunnel_healthy", "Whether nothing is wrong with the tunnel, its guard and its bridge.", status.well),
        ("tunnel_mtu_bytes", "The largest payload of a frame that crosses.", lambda tunnel: tunnel.mtu),
        (
            "tunnel_unfragmented_mtu_bytes",
            "The largest payload of a frame that crosses in one packet.",
            lambda tunnel: tunnel.whole,
        ),
    ):
        yield name, GAUGE, said, [(_of(tunnel), value(tunnel)) for tunnel in tunnels]
    known = [tunnel for tunnel in tunnels if tunnel.guarded is not None]
    loaded = [(_of(tunnel), tunnel.guarded) for tunnel in known]
    yield "guard_loaded", GAUGE, "Whether guard and fences of the tunnel are in force.", loaded
    asked = [(_of(tunnel), tunnel.peer_down) for tunnel in tunnels if tunnel.peer_down is not None]
    yield "peer_down", GAUGE, "Whether the tunnel's peer is down, by `peer-down = port`, and so are its ports.", asked
    clamped = [tunnel for tunnel in tunnels if tunnel.mss is not None]
    mss = [(_of(tunnel, family="ipv%d" % family), tunnel.mss[family == 6]) for tunnel in clamped for family in (4, 6)]
    yield "tunnel_mss_bytes", GAUGE, "The TCP maximum segment size that the clamp sets.", mss
    yield from _traffic("tunnel", [(_of(tunnel), tunnel.traffic) for tunnel in tunnels if tunnel.there])
    frames = [(_of(tunnel, reason=reason), tunnel.dropped[reason]) for tunnel in known for reason in FRAMES]
    yield "dropped_frames_total", COUNTER, "Frames that fences, storm limit and loop detection have dropped.", frames
    packets = [(_of(tunnel, reason=reason), tunnel.dropped[reason]) for tunnel in known for reason in PACKETS]
    packets += [({"reason": reason}, status.strays[reason]) for reason in PACKETS if status.strays.get(reason)]
    yield "guard_dropped_packets_total", COUNTER, "Packets that the guard has dropped.", packets
    yield from _peers(tunnels)
    yield from _bridges(status.bridges, {tunnel.name: tunnel for tunnel in tunnels})


def _of(tunnel, **more):
    """The labels of a tunnel: those of /etc/l2wg/sites have their site's name, too, which is not always theirs."""
    return {"tunnel": tunnel.name, **_site(tunnel), **more}


def _site(tunnel, remote=""):
    """The label of the site that a tunnel of /etc/l2wg/sites leads to, or of several that of one far end."""
    if tunnel is None or not tunnel.wish.peers:
        return {}
    name = tunnel.wish.site or next((peer.site for peer in tunnel.wish.peers if remote in peer.ends), "")
    return {"site": name} if name else {}


def _info(tunnel):
    wish = tunnel.wish
    return {
        "tunnel": tunnel.name,
        "kind": wish.kind,
        "underlay": wish.underlay,
        "bridge": wish.bridge,
        "local": wish.local,
        "remote": wish.senders or ",".join(wish.far_ends),
        "mss_clamp": wish.mss_clamp,
        "site": wish.site,
        "public_key": tunnel.peer.key if tunnel.peer and not wish.remotes else "",
    }


def _remotes(tunnels):
    """(labels, 1) of each far end of the tunnels that have several."""
    for tunnel in tunnels:
        sites = {remote: peer.site for peer in tunnel.wish.peers for remote in peer.ends}
        for end, far in tunnel.peers.items() if tunnel.wish.remotes else ():
            labels = {"tunnel": tunnel.name, "remote": end.remote, "site": sites.get(end.remote, "")}
            yield dict(labels, public_key=far.key if far else ""), 1


def _hubs(tunnels):
    """(labels, 0 or 1) of each hub where there are two."""
    for tunnel in tunnels:
        for peer in tunnel.wish.peers if tunnel.wish.has_hubs else ():
            heard = tunnel.peer is not None and tunnel.peer.key in (peer.key, peer.was)
            yield {"tunnel": tunnel.name, "site": peer.site, "public_key": peer.key}, heard


def _traffic(subject, rows):
    for index, (way, verb) in enumerate((("receive", "receiving"), ("transmit", "sending"))):
        for field, unit, said in (
            ("frames", "frames", "Frames that the %s counted while %s."),
            ("bytes", "bytes", "Bytes that the %s counted while %s."),
            ("errors", "errors", "Errors that the %s counted while %s."),
            ("dropped", "dropped_frames", "Frames that the %s dropped while %s."),
        ):
            counts = [(labels, getattr(traffic[index], field)) for labels, traffic in rows]
            yield f"{subject}_{way}_{unit}_total", COUNTER, said % (subject, verb), counts


def _peers(tunnels):
    """By interface and key, once each: tunnels may share a peer."""
    known = [
        (tunnel.underlay.name, peer, _site(tunnel, end.remote)) for tunnel in tunnels for end, peer in tunnel.near.items() if peer
    ]
    # A second tunnel to a site, with a file of its own, has the same peer.
    sites = {(underlay, peer.key): site for underlay, peer, site in known if site}
    rows = [
        ({"underlay": underlay, "public_key": peer.key, **sites.get((underlay, peer.key), {})}, peer)
        for underlay, peer, _ in known
    ]  # fmt: skip
    for name, kind, said, value in (
        ("last_handshake_timestamp_seconds", GAUGE, "When the peer last shook hands; 0: never.", lambda peer: peer.handshake),
        ("receive_bytes_total", COUNTER, "Bytes that WireGuard has received from the peer.", lambda peer: peer.received),
        ("transmit_bytes_total", COUNTER, "Bytes that WireGuard has sent to the peer.", lambda peer: peer.sent),
    ):
        yield "peer_" + name, kind, said, [(labels, value(peer)) for labels, peer in rows]


def _bridges(bridges, tunnels):
    yield "bridge_up", GAUGE, "Whether the bridge exists and is up.", [({"bridge": bridge.name}, bridge.up) for bridge in bridges]
    mtus = [({"bridge": bridge.name}, bridge.mtu) for bridge in bridges if bridge.there]
    yield "bridge_mtu_bytes", GAUGE, "The MTU of the bridge.", mtus
    ports = [
        ({"bridge": bridge.name, "port": port.name, **_site(tunnels.get(port.name) if port.tunnel else None)}, port)
        for bridge in bridges
        for port in bridge.ports
    ]
    forwarding = [(labels, port.forwards and bool(port.state)) for labels, port in ports]
    yield "port_forwarding", GAUGE, "Whether frames pass the port of the bridge.", forwarding
    learnt = [(labels, port.crowd) for labels, port in ports]
    yield "port_stations", GAUGE, "Ethernet addresses that the bridge has learnt behind the port.", learnt
    yield from _traffic("port", [(labels, port.traffic) for labels, port in ports if port.there and not port.tunnel])
