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
    levels = [({"level": level}, sum(one.level == level for one in status.faults)) for level in (WRONG, NOTE)]
    yield "faults", GAUGE, "What is wrong, and what is worth a look, as `l2wg status` tells it.", levels
    said = "What /etc/l2wg wishes for, the public key of the peer, and its site's name."
    yield "tunnel_info", GAUGE, said, [(_info(one), 1) for one in tunnels]
    for name, said, value in (
        ("tunnel_up", "Whether the tunnel exists and is up.", lambda one: one.up),
        ("tunnel_joined", "Whether the tunnel is a port of its bridge.", lambda one: one.joined),
        ("tunnel_healthy", "Whether nothing is wrong with the tunnel, its guard and its bridge.", status.well),
        ("tunnel_mtu_bytes", "The largest payload of a frame that crosses.", lambda one: one.mtu),
        ("tunnel_unfragmented_mtu_bytes", "The largest payload of a frame that crosses in one packet.", lambda one: one.whole),
    ):
        yield name, GAUGE, said, [({"tunnel": one.name}, value(one)) for one in tunnels]
    known = [one for one in tunnels if one.guarded is not None]
    loaded = [({"tunnel": one.name}, one.guarded) for one in known]
    yield "guard_loaded", GAUGE, "Whether guard and fences of the tunnel are in force.", loaded
    clamped = [one for one in tunnels if one.mss is not None]
    mss = [({"tunnel": one.name, "family": "ipv%d" % family}, one.mss[family == 6]) for one in clamped for family in (4, 6)]
    yield "tunnel_mss_bytes", GAUGE, "The TCP maximum segment size that the clamp sets.", mss
    yield from _traffic("tunnel", [({"tunnel": one.name}, one.traffic) for one in tunnels if one.there])
    frames = [({"tunnel": one.name, "reason": what}, one.dropped[what]) for one in known for what in FRAMES]
    yield "dropped_frames_total", COUNTER, "Frames that fences, storm limit and loop detection have dropped.", frames
    packets = [({"tunnel": one.name, "reason": what}, one.dropped[what]) for one in known for what in PACKETS]
    packets += [({"reason": what}, status.strays[what]) for what in PACKETS if status.strays.get(what)]
    yield "guard_dropped_packets_total", COUNTER, "Packets that the guard has dropped.", packets
    yield from _peers(tunnels)
    yield from _bridges(status.bridges)


def _info(one):
    wish = one.wish
    return {
        "tunnel": one.name,
        "kind": wish.kind,
        "underlay": wish.underlay,
        "bridge": wish.bridge,
        "local": wish.local,
        "remote": wish.remote,
        "mss_clamp": wish.mss_clamp,
        "site": wish.site,
        "public_key": one.peer.key if one.peer else "",
    }


def _traffic(what, some):
    for index, (way, verb) in enumerate((("receive", "receiving"), ("transmit", "sending"))):
        for field, unit, said in (
            ("frames", "frames", "Frames that the %s counted while %s."),
            ("bytes", "bytes", "Bytes that the %s counted while %s."),
            ("errors", "errors", "Errors that the %s counted while %s."),
            ("dropped", "dropped_frames", "Frames that the %s dropped while %s."),
        ):
            counts = [(labels, getattr(one[index], field)) for labels, one in some]
            yield f"{what}_{way}_{unit}_total", COUNTER, said % (what, verb), counts


def _peers(tunnels):
    """By interface and key, once each: tunnels may share a peer."""
    some = [({"underlay": one.underlay.name, "public_key": one.peer.key}, one.peer) for one in tunnels if one.peer]
    for name, kind, said, value in (
        ("last_handshake_timestamp_seconds", GAUGE, "When the peer last shook hands; 0: never.", lambda one: one.handshake),
        ("receive_bytes_total", COUNTER, "Bytes that WireGuard has received from the peer.", lambda one: one.received),
        ("transmit_bytes_total", COUNTER, "Bytes that WireGuard has sent to the peer.", lambda one: one.sent),
    ):
        yield "peer_" + name, kind, said, [(labels, value(one)) for labels, one in some]


def _bridges(bridges):
    yield "bridge_up", GAUGE, "Whether the bridge exists and is up.", [({"bridge": one.name}, one.up) for one in bridges]
    mtus = [({"bridge": one.name}, one.mtu) for one in bridges if one.there]
    yield "bridge_mtu_bytes", GAUGE, "The MTU of the bridge.", mtus
    ports = [({"bridge": bridge.name, "port": port.name}, port) for bridge in bridges for port in bridge.ports]
    forwarding = [(labels, port.forwards and bool(port.state)) for labels, port in ports]
    yield "port_forwarding", GAUGE, "Whether frames pass the port of the bridge.", forwarding
    learnt = [(labels, port.crowd) for labels, port in ports]
    yield "port_stations", GAUGE, "Ethernet addresses that the bridge has learnt behind the port.", learnt
    yield from _traffic("port", [(labels, port.traffic) for labels, port in ports if port.there and not port.tunnel])
