"""The hub that this router listens to has gone silent, and the other one answers: the sh script etc/l2wg/hubs has seen both.

WireGuard moves the address from one peer to the other at once (wg_allowedips_insert_v4 in drivers/net/wireguard/allowedips.c), so
there is no moment at which both are listened to. Nobody moves it back as long as that one answers: each move costs something.
"""

from l2wg_hooks.config import hub_choice, hub_record, last_applied, site_hubs, site_record, wg_quick, wg_quick_peers
from l2wg_hooks.model import Step
from l2wg_hooks.observe import link_table, snapshot
from l2wg_hooks.plan import key_changes
from l2wg_hooks.plan.commands import EXEC
from l2wg_hooks.reconcile import executor, healing, station_news
from l2wg_hooks.system import files, lock, log


def move(key):
    """Listen to the hub with this public key from now on, and tell it who is here; the Problems of that."""
    with lock.working():
        if last_applied.pending():
            return ()
        wished = healing.applied()
        tunnel = next((tunnel for tunnel in wished.tunnels if tunnel.has_hubs), None)
        if tunnel is None or key not in {peer.key for peer in tunnel.peers} - {site_hubs.listened(tunnel).key}:
            return ()
        seen = snapshot.peers((tunnel,))
        if not _is_ours(tunnel, seen, link_table.read()):
            return ()
        (moved,) = site_hubs.chosen((tunnel,), key)
        # Before: whoever is ended now leaves a wish that the next plan carries out.
        hub_choice.write(key)
        hub_record.keep((moved,))
        failed = executor.apply((step(moved, seen),))
    before, now = site_hubs.listened(tunnel), site_hubs.listened(moved)
    if not failed:
        station_news.send(moved)
        log.alarm(f"{before.site} answers no longer: {now.site} is the hub that is listened to now")
    hub_choice.remember(key)
    return failed


def step(tunnel, seen):
    """The Step by which the hub that a Tunnel listens to has the hubs' address, by the key with which that hub came last."""
    wished = site_hubs.listened(tunnel)
    peer = next(peer for peer in key_changes.resolved(tunnel.underlay, (wished,), seen) if peer.allowed)
    argv = ("wg", "set", tunnel.underlay, "peer", peer.key, "allowed-ips", ",".join(peer.allowed))
    return Step((EXEC if tunnel.walled else ()) + argv, f"{peer.site} is listened to", f"peers of {tunnel.underlay}")


def _is_ours(tunnel, seen, links):
    """Whether both hubs are peers of l2wg's making: of others' nothing is changed, and the plan tells of it."""
    name = tunnel.underlay
    keys = {peer.key for peer in key_changes.resolved(name, tunnel.peers, seen)}
    if not keys <= {peer.key for peer in seen.peers.get(name, ())}:
        return False
    by_file = {section.key for section in wg_quick_peers.sections(files.glance(wg_quick.path(name)))}
    if keys & by_file:
        return False
    return tunnel.walled or {(name, key) for key in keys} <= site_record.told(links, lambda _: by_file)
