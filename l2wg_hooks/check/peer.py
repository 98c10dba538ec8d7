"""Whether the peer takes what this router sends, and sends what it takes; and what gets lost between the two."""

from l2wg_hooks import model
from l2wg_hooks.check.cause import LARGE, NOTHING, Cause
from l2wg_hooks.check.scene import Check, Unlooked
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.probes import path_mtu, tunnel_packets

CAUSES = (
    Cause(
        "peer-allowed-ips",
        NOTHING,
        "The peer answers the WireGuard address of this router, but not `local`: its AllowedIPs do not cover it, or it "
        "has no way back.",
        "Add `local` of this router to AllowedIPs there.",
    ),
    Cause(
        "peer-refuses",
        NOTHING,
        "The peer answers that nobody there takes the tunnel's packets: it has no tunnel that is up, or one with other "
        "ends, another key "
        "or encapsulation; or its firewall rejects them.",
        "Compare the files: `local` and `remote` must be swapped, `key` and `encapsulation` equal; then `l2wg check` there.",
    ),
    Cause(
        "encapsulation-differs",
        NOTHING,
        "The sides have different encapsulations.",
        "The same on both sides: `l2wg set gretap1 encapsulation=...; l2wg apply`.",
    ),
    Cause(
        "key-differs",
        NOTHING,
        "The sides have different keys (or VNIs).",
        "The same on both sides: `l2wg set gretap1 key=...; l2wg apply`.",
    ),
    Cause(
        "port-differs",
        NOTHING,
        "The sides have different UDP ports for VXLAN: 4789 is IANA's and the default, 8472 the kernel's own, which older VyOS, "
        "Freifunk and flannel have.",
        "The same on both sides: `l2wg set gretap1 port=...; l2wg apply`.",
    ),
    Cause(
        "ends-differ",
        NOTHING,
        "The sides are not each other's mirror: what is `local` there is not `remote` here, or the other way round.",
        "`remote` here is `local` there, and `local` here is `remote` there.",
    ),
    Cause(
        "path-mtu",
        LARGE,
        "Full-size packets get lost between the routers: the underlay's MTU is too large for the internet line (PPPoE, "
        "DS-Lite, mobile).",
        "`MTU = N` in [Interface] of its file, on both routers; N is measured, and printed with the command.",
    ),
)


def _peer(scene):
    """Whether the peer takes what we send, and sends what we take."""
    heard = scene.heard
    known = {tunnel_packets.wished(tunnel, end) for tunnel in scene.tunnels for end in tunnel.ends()}
    known |= {_foreign(link) for link in scene.links.values() if link.kind in model.TUNNEL_KINDS and not model.is_ours(link)}
    own = {address.partition("/")[0] for link in scene.links.values() for address in link.addresses}
    # What is only passing through is none of ours.
    carriers = {name: [carrier for carrier in came if carrier.target in own] for name, came in heard.carriers.items()}
    for tunnel in scene.tunnels:
        if tunnel.remotes and not tunnel.senders:
            yield from tunnel_packets.uninvited(tunnel, carriers.get(tunnel.underlay, ()), known)
    for tunnel, end, _ in scene.peers():
        came = carriers.get(tunnel.underlay, ())
        stranger = tunnel_packets.stranger(tunnel, end, came, known)
        if stranger:
            yield tunnel_packets.judge(tunnel, end, stranger)
        elif heard.refused.get(end):
            yield tunnel.problem(
                "remote",
                f"the peer answers `{heard.refused[end]}` to the tunnel's packets: nobody there takes them",
                f"l2wg check # on the peer. There: local = {end.remote}, remote = {end.local}, "
                f"{_as_here(tunnel)}; and its firewall lets them in",
                "peer-refuses",
            )
        if heard.near.get(end) and heard.small.get(end) is False:
            bits = 32 if tunnel.family == 4 else 128
            yield tunnel.problem(
                "local",
                f"the peer {end.remote} answers the address of {tunnel.underlay}, but not {end.local}: its "
                f"AllowedIPs do not cover that, or it has no way back",
                "on the peer, in the [Peer] section of this router, add to AllowedIPs: %s/%d" % (end.local, bits),
                "peer-allowed-ips",
            )


def _as_here(tunnel):
    key = "no key" if tunnel.key is None else "key = %d" % tunnel.key
    port = ", port = %d" % tunnel.udp_port if tunnel.udp_port else ""
    return f"encapsulation = {tunnel.encapsulation}, {key}{port}"


def _foreign(link):
    """What somebody else's tunnel takes."""
    packing, _ = registry.KINDS[link.kind]
    return tunnel_packets.Carrier(packing.name, link.remote, link.local, link.key, link.port)


def _path(scene):
    heard = scene.heard
    quiet = []
    for tunnel, end, _ in scene.peers():
        if end in heard.deaf:
            quiet.append(f"{tunnel.name}: {heard.deaf[end]}")
        elif heard.path.get(end):
            yield path_mtu.judge(tunnel, end, scene.links[tunnel.underlay].mtu, heard.path[end])
        elif not heard.small.get(end):
            quiet.append(f"{tunnel.name}: {end.remote} answers no echo request")
    if quiet:
        raise Unlooked("; ".join(quiet))


CHECKS = (Check("peer", _peer, asked=True), Check("path MTU", _path, asked=True))
