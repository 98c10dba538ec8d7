"""`l2wg status --json`: a Status as plain values, by a schema that l2wg(8) tells and that only grows. Pure."""

from l2wg_hooks import __version__

# Another number where a name goes, or means something else; new names are no reason.
VERSION = 1


def document(status):
    """What is printed: dicts, lists, strings, numbers, booleans and None."""
    return {
        "version": VERSION,
        "l2wg": __version__,
        "host": status.host,
        "time": int(status.time),
        "ok": not status.wrong,
        "guard_intact": status.intact,
        "guard_strays": dict(status.strays),
        "faults": [fault(each) for each in status.faults],
        "tunnels": [_tunnel(tunnel) for tunnel in status.tunnels],
        "bridges": [_bridge(bridge) for bridge in status.bridges],
    }


def fault(fault):
    """Of a Fault."""
    return {
        "level": fault.level,
        "about": fault.about or None,
        "message": fault.message,
        "hint": fault.hint or None,
        "path": fault.path or None,
        "line": fault.line or None,
        "key": fault.key or None,
        "remote": fault.far or None,
    }


def _tunnel(tunnel):
    wish, below = tunnel.wish, tunnel.underlay
    return {
        "name": tunnel.name,
        "site": wish.site or None,
        "kind": wish.kind,
        "local": wish.local,
        "remote": wish.remote or None,
        "key": wish.number,
        "present": tunnel.there,
        "up": tunnel.up,
        "age": None if tunnel.age is None else int(tunnel.age),
        "mtu": tunnel.mtu or None,
        "mtu_in_one_packet": tunnel.whole,
        "mss_clamp": wish.mss_clamp,
        "mss_ipv4": tunnel.mss and tunnel.mss[0],
        "mss_ipv6": tunnel.mss and tunnel.mss[1],
        "guarded": tunnel.guarded,
        "bridge": wish.bridge,
        "joined": tunnel.joined,
        "peer_down": tunnel.peer_down,
        "underlay": {
            "name": below.name,
            "present": below.there,
            "up": below.up,
            "mtu": below.mtu or None,
            "port": below.port or None,
            "addresses": list(below.addresses),
        },
        "peer": None if wish.remotes or wish.senders else peer(tunnel.peer),
        "remotes": [
            {
                "address": end.remote,
                "site": _site(wish, end.remote),
                "by": wish.by(end.remote) or None,
                "peer": peer(far),
                "stations_total": tunnel.behind.get(end.remote, 0) if wish.remotes else None,
            }
            for end, far in tunnel.peers.items()
        ],
        "received": tunnel.traffic.received._asdict(),
        "sent": tunnel.traffic.sent._asdict(),
        "dropped": dict(tunnel.dropped),
        **({"evpn": {"prefix": wish.senders, "far_ends": len(wish.remotes)}} if wish.senders else {}),
    }


def _site(wish, remote):
    return wish.site or next((known.site for known in wish.peers if remote in known.ends), "") or None


def peer(far):
    """Of a Far, or of None."""
    return far and {
        "public_key": far.key,
        "endpoint": far.endpoint or None,
        "handshake": far.handshake or None,
        "handshake_age": far.age,
        "received_bytes": far.received,
        "sent_bytes": far.sent,
    }


def _bridge(bridge):
    return {
        "name": bridge.name,
        "present": bridge.there,
        "up": bridge.up,
        "mtu": bridge.mtu or None,
        "mac": bridge.mac or None,
        "addresses": list(bridge.addresses),
        "stp": bridge.stp,
        "ports": [_port(port) for port in bridge.ports],
    }


def _port(port):
    return {
        "name": port.name,
        "tunnel": port.tunnel,
        "present": port.there,
        "joined": port.joined,
        "up": port.up,
        "carrier": port.carrier,
        "state": port.state or None,
        "received": port.traffic.received._asdict(),
        "sent": port.traffic.sent._asdict(),
        "stations_total": port.crowd,
        "stations_cut": port.crowd > len(port.stations),
        "stations": [
            {
                "mac": station.mac,
                "vlan": station.vlan or None,
                "age": station.idle,
                "fixed": station.fixed,
                "remote": station.far or None,
            }
            for station in port.stations
        ],
    }
