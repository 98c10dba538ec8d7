"""`l2wg sites --json`: a Table as plain values, by a schema that l2wg(8) tells and that only grows. Pure."""

from l2wg_hooks import __version__
from l2wg_hooks.status import render_json

# Another number where a name goes, or means something else; new names are no reason.
VERSION = 1


def document(table, host, time):
    """What is printed: dicts, lists, strings, numbers, booleans and None. `time` is seconds since the epoch."""
    return {
        "version": VERSION,
        "l2wg": __version__,
        "host": host,
        "time": int(time),
        "ok": not table.wrong,
        "looked": table.looked,
        "path": table.path,
        "shape": table.shape or None,
        "hub": table.hubs[0] if table.hubs else None,
        "hubs": list(table.hubs),
        "here": table.here or None,
        "faults": [render_json.fault(fault) for fault in table.faults],
        "sites": [_site(row) for row in table.rows],
    }


def _site(row):
    return {
        "name": row.name,
        "line": row.line or None,
        "public_key": row.key,
        "was": row.was or None,
        "endpoint": row.endpoint or None,
        "addresses": list(row.addresses),
        "lan": row.lan or None,
        "gone": row.gone or None,
        "here": row.here,
        "hub": row.hub,
        "listened": row.listened,
        "state": row.word,
        "by": row.by or None,
        "tunnel": row.tunnel and _tunnel(row),
        "peer": row.tunnel and _peer(row.peer),
        "faults": [render_json.fault(fault) for fault in row.faults],
    }


def _tunnel(row):
    tunnel = row.tunnel
    return {
        "name": tunnel.name,
        "by_hand": row.by_hand,
        "present": tunnel.there,
        "up": tunnel.up,
        "joined": tunnel.joined,
        "received": tunnel.traffic.received._asdict(),
        "sent": tunnel.traffic.sent._asdict(),
        "stations_total": row.crowd,
    }


def _peer(far):
    """As that of `l2wg status --json`, with bytes a second."""
    received, sent = far.rate if far is not None and far.rate is not None else (None, None)
    return far and dict(render_json.peer(far), received_rate=_number(received), sent_rate=_number(sent))


def _number(rate):
    return None if rate is None else round(rate, 1)
