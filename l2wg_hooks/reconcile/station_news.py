"""The hub that is listened to now hears at once who is here, and so does every bridge behind it; else they learn it late."""

import time

from l2wg_hooks.observe import fdb_table, link_table
from l2wg_hooks.probes import station_frames
from l2wg_hooks.system import process, raw_socket

# Stations, those heard last first, and seconds for all of them: who is not told of is learnt by what they send.
MOST, PATIENCE = 500, 10
# Frames at once, and frames a second: a wire carries thousands. With a `storm-limit` half of that: others' broadcasts pass, too.
BURST, RATE = 20, 1000


def send(tunnel):
    """Send a frame from each station that the tunnel's bridge knows behind its other ports, out by the tunnel."""
    frames = list(_frames(tunnel, stations(tunnel)))
    rate = RATE if tunnel.storm_limit is None else max(1, tunnel.storm_limit // 2)
    burst = max(1, min(BURST, rate))
    end = time.monotonic() + PATIENCE
    try:
        with raw_socket.Socket(raw_socket.AF_PACKET, raw_socket.SOCK_RAW) as port:
            port.bind((tunnel.name, 0))
            for at, data in enumerate(frames):
                if at and at % burst == 0:
                    time.sleep(burst / rate)
                if time.monotonic() > end:
                    break
                port.send(data)
    except OSError:
        pass  # it is down, or just gone: who is here is learnt when it is back


def stations(tunnel):
    """((Ethernet address, VLAN or 0)) of those, the bridge's own address first."""
    crowd = fdb_table.Crowd()
    process.feed(("bridge", "-json", "-statistics", "fdb", "show", "br", tunnel.bridge), crowd.take)
    found, _ = crowd.found()
    every = [station for port, some in found.items() if port not in (tunnel.name, tunnel.bridge) for station in some]
    every.sort(key=lambda station: station.idle or 0)
    own = link_table.read().get(tunnel.bridge)
    rows = [(own.mac, 0)] if own is not None and own.addresses and own.mac else []
    rows += [(station.mac, station.vlan) for station in every]
    return tuple(dict.fromkeys(rows))[:MOST]


def _frames(tunnel, found):
    pvid = _pvid(tunnel)
    for mac, vlan in found:
        # One that filters VLANs knows in which it is, and its untagged ones leave without a tag.
        where = (0 if vlan == pvid else vlan,) if vlan else station_frames.vlans(tunnel.vlans)
        for number in where:
            yield station_frames.frame(bytes.fromhex(mac.replace(":", "")), number)


def _pvid(tunnel):
    bridge = link_table.read().get(tunnel.bridge)
    return bridge.pvid if bridge is not None else 1
