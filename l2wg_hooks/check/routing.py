"""The way of IP packets to and from a tunnel's ends: the kernel's route, reverse path filtering, forwarding."""

from l2wg_hooks.check import modules
from l2wg_hooks.check.cause import NOTHING, REACH, Cause
from l2wg_hooks.check.scene import Check
from l2wg_hooks.config import wg_quick
from l2wg_hooks.system import ip_routes

CAUSES = (
    Cause(
        "local-absent",
        NOTHING,
        "No interface of this router has the address `local`, so nothing that the peer sends arrives.",
        "Give it to an interface, or correct `local`, and `remote` on the peer.",
    ),
    Cause(
        "route",
        REACH,
        "This router's own packets to `remote` do not leave by the underlay. The tunnel itself is bound to it and goes on.",
        "Give WireGuard the route: `ip route replace REMOTE/32 dev wg0`; wg-quick makes it of AllowedIPs, unless `Table = off`.",
    ),
    Cause(
        "rp-filter",
        NOTHING,
        "Strict reverse path filtering on the underlay drops what comes from `remote`, since the way back is by "
        "another interface.",
        "`sysctl -w net.ipv4.conf.wg0.rp_filter=2`; for good: a file in /etc/sysctl.d.",
    ),
    Cause(
        "forwarding",
        REACH,
        "This router does not forward IP packets. The wire needs none of that, but the hosts that have it for their gateway do.",
        "`sysctl -w net.ipv4.ip_forward=1`; for good: `dpkg-reconfigure l2wg`, or a file in /etc/sysctl.d.",
    ),
)
STRICT, LOOSE = "1", "2"


def absent(tunnel, index):
    """The Problem of `local` that no interface of this router has; `index` is the LinkIndex of these."""
    if index.is_local(tunnel):
        return None
    if tunnel.walled:
        message = f"{tunnel.underlay} does not have the address {tunnel.local}"
        path = wg_quick.path(tunnel.underlay)
        return tunnel.problem("local", message, f"add it to Address in {path}; then: l2wg apply", "local-absent")
    near = index.inhabited()
    message = f"no interface of this router has the address {tunnel.local}"
    hint = f"give it to one, or name one that it has (ip -brief address show): l2wg set {tunnel.name} local=...; l2wg apply"
    message += "; there are addresses on {}".format(", ".join(near)) if near else ""
    return tunnel.problem("local", message, hint, "local-absent")


def taken(tunnel, end, index):
    """The Problem of a peer's address that is this router's, too: then nothing that it sends there ever leaves it."""
    for link, word in index.holders(end.remote):
        message = f"{end.remote}, the other router's end, is also an address of this router's {link.name}"
        hint = f"ip address del {word} dev {link.name} # and out of the file that gives it"
        return tunnel.problem("remote", message, hint, "duplicate-address")
    return None


def elsewhere(tunnel, end, device, filters):
    """Problems of a peer whose packets leave by `device` ("": by none); `filters` are rp_filter of all and of the underlay."""
    if device == tunnel.underlay:
        return
    by = f"leave by {device}" if device else "have no way"
    # The larger of the two counts: ip-sysctl.rst.
    if tunnel.family == 4 and not device and max(filters) in (STRICT, LOOSE):
        message = f"packets to {end.remote} {by}, so rp_filter drops what comes from there"
        yield tunnel.problem("remote", message, f"ip route replace {end.remote}/32 dev {tunnel.underlay}", "rp-filter")
    elif tunnel.family == 4 and max(filters) == STRICT:
        yield tunnel.problem(
            "remote",
            f"packets to {end.remote} {by}, so strict rp_filter drops what comes from there by {tunnel.underlay}",
            "sysctl -w net.ipv4.conf.{}.rp_filter=2 # and for good, a file in /etc/sysctl.d".format(
                tunnel.underlay.replace(".", "/")
            ),
            "rp-filter",
        )
    if device == tunnel.bridge:
        return  # The address of the bridge is in the other site's subnet: this router itself goes by the wire, as all do.
    bits = 32 if tunnel.family == 4 else 128
    yield tunnel.problem(
        "remote",
        f"this router's packets to {end.remote} {by}, not by {tunnel.underlay}",
        "ip route replace %s/%d dev %s # and for good: no `Table = off` in wg0.conf, or that line as PostUp"
        % (end.remote, bits, tunnel.underlay),
        "route",
    )


def stopped(tunnel, index, forwarding):
    """The Problem of a router that is a gateway, as far as one can see, and forwards nothing.

    `forwarding` is its sysctl's value.
    """
    if forwarding != "0":
        return None
    plain = [link.name for link, _ in index.holders(tunnel.local) if link.name not in (tunnel.underlay, "lo")]
    bridge = index.links.get(tunnel.bridge)
    if bridge is not None and any((":" in word) == (tunnel.family == 6) for word in bridge.addresses):
        plain.append(bridge.name)
    if not plain:
        return None
    name = "net.ipv4.ip_forward" if tunnel.family == 4 else "net.ipv6.conf.all.forwarding"
    return tunnel.problem(
        "",
        f"this router does not forward packets ({name} = 0): hosts on {plain[0]} cannot have it for their gateway",
        f"sysctl -w {name}=1 # and for good: echo {name}=1 >/etc/sysctl.d/60-l2wg.conf",
        "forwarding",
    )


def _way(scene):
    # Where its underlay is down, nothing is routed by it, and that is told of.
    ends = [(tunnel, end) for tunnel in scene.shared(scene.laid()) if scene.links[tunnel.underlay].up for end in tunnel.ends()]
    own = {end: taken(tunnel, end, scene.index) for tunnel, end in ends}
    lines = {end: _asked(tunnel, end, scene.index) for tunnel, end in ends if not own[end]}
    routes = dict(zip(lines, ip_routes.many(lines.values())))
    for tunnel, end in ends:
        if own[end]:
            yield own[end]
            continue
        filters = [modules.sysctl("net", "ipv4", "conf", name, "rp_filter") for name in ("all", tunnel.underlay)]
        found = routes[end]
        yield from elsewhere(tunnel, end, found[0].get("dev", "") if found else "", filters)


def _asked(tunnel, end, index):
    """The line for ip(8) that asks for the route to a peer."""
    return f"route get {end.remote}" + (f" from {end.local}" if absent(tunnel, index) is None else "")


def _forwarding(scene):
    for tunnel in scene.shared(scene.tunnels):
        words = ("ipv4", "ip_forward") if tunnel.family == 4 else ("ipv6", "conf", "all", "forwarding")
        yield stopped(tunnel, scene.index, modules.sysctl("net", *words))


CHECKS = (Check("routes and rp_filter", _way, False), Check("forwarding", _forwarding, False))
