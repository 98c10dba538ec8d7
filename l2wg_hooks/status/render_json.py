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
        "faults": [_fault(one) for one in status.faults],
        "tunnels": [_tunnel(one) for one in status.tunnels],
        "bridges": [_bridge(one) for one in status.bridges],
    }


def _fault(one):
    return {
        "level": one.level,
        "about": one.about or None,
        "message": one.message,
        "hint": one.hint or None,
        "path": one.path or None,
        "line": one.line or None,
        "key": one.key or None,
    }


def _tunnel(one):
    wish, below, far = one.wish, one.underlay, one.peer
    return {
        "name": one.name,
        "site": wish.site or None,
        "kind": wish.kind,
        "local": wish.local,
        "remote": wish.remote,
        "key": wish.number,
        "present": one.there,
        "up": one.up,
        "age": None if one.age is None else int(one.age),
        "mtu": one.mtu or None,
        "mtu_in_one_packet": one.whole,
        "mss_clamp": wish.mss_clamp,
        "mss_ipv4": one.mss and one.mss[0],
        "mss_ipv6": one.mss and one.mss[1],
        "guarded": one.guarded,
        "bridge": wish.bridge,
        "joined": one.joined,
        "underlay": {
            "name": below.name,
            "present": below.there,
            "up": below.up,
            "mtu": below.mtu or None,
            "port": below.port or None,
            "addresses": list(below.addresses),
        },
        "peer": far
        and {
            "public_key": far.key,
            "endpoint": far.endpoint or None,
            "handshake": far.handshake or None,
            "handshake_age": far.age,
            "received_bytes": far.received,
            "sent_bytes": far.sent,
        },
        "received": one.traffic.received._asdict(),
        "sent": one.traffic.sent._asdict(),
        "dropped": dict(one.dropped),
    }


def _bridge(one):
    return {
        "name": one.name,
        "present": one.there,
        "up": one.up,
        "mtu": one.mtu or None,
        "mac": one.mac or None,
        "addresses": list(one.addresses),
        "stp": one.stp,
        "ports": [_port(port) for port in one.ports],
    }


def _port(one):
    return {
        "name": one.name,
        "tunnel": one.tunnel,
        "present": one.there,
        "joined": one.joined,
        "up": one.up,
        "carrier": one.carrier,
        "state": one.state or None,
        "received": one.traffic.received._asdict(),
        "sent": one.traffic.sent._asdict(),
        "stations_total": one.crowd,
        "stations_cut": one.crowd > len(one.stations),
        "stations": [{"mac": it.mac, "vlan": it.vlan or None, "age": it.idle, "fixed": it.fixed} for it in one.stations],
    }
