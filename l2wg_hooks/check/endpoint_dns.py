"""Endpoints of wg-quick(8)'s files: DNS names that WireGuard resolved once, and what they mean now."""

from l2wg_hooks.check.cause import QUIET, Cause
from l2wg_hooks.system import resolver

CAUSES = (
    Cause(
        "endpoint-stale",
        QUIET,
        "The peer's Endpoint is a DNS name that means another address now. WireGuard resolves names only once, when it starts.",
        "`systemctl enable --now l2wg-watch.timer`: each look asks for such a name anew. At once: `l2wg event watch timer`.",
    ),
    Cause(
        "endpoint-unresolved",
        QUIET,
        "The peer's Endpoint is a DNS name that nobody can resolve now, so a restart by wg-quick would wait for it, and fail.",
        "Mend DNS on this router (`getent ahosts NAME`), or write the address. How long `wg-quick up` waits for a name: "
        "WG_ENDPOINT_RESOLUTION_RETRIES, see NAMES in l2wg(8).",
    ),
)
# Seconds for a name to be resolved; a resolver that is not there takes 10 and more for each of its servers.
PATIENCE = 3


def resolve(name, patience=PATIENCE):
    """The addresses of a name now; empty where there are none, or nobody has said so in time."""
    return sorted(resolver.addresses(name, patience))


def judge(tunnel, peer, name, port, addresses):
    """The Problem of a Peer that does not answer, and whose endpoint's name means `addresses` now. Pure.

    None where the name is not to blame.
    """
    command = f"wg set {tunnel.underlay} peer {peer.key} endpoint {name}:{port}"
    if tunnel.walled:
        # In there nobody answers for names.
        address = addresses[0] if addresses else "ADDRESS"
        whole = f"[{address}]" if ":" in address else address
        command = f"l2wg exec wg set {tunnel.underlay} peer {peer.key} endpoint {whole}:{port}"
    if not addresses:
        return tunnel.problem(
            "remote",
            f"the peer's Endpoint {name} cannot be resolved",
            f"getent ahosts {name} # mend DNS on this router, or the name in wg-quick's file; then: {command}",
            "endpoint-unresolved",
        )
    current = peer.endpoint.rpartition(":")[0].strip("[]")
    if current in addresses:
        return None
    return tunnel.problem(
        "remote",
        "the peer's Endpoint {} is {} now, and WireGuard still sends to {}".format(name, addresses[0], current or "nobody"),
        f"{command} # by itself: systemctl enable --now l2wg-watch.timer",
        "endpoint-stale",
    )
