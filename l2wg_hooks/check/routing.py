"""The way of IP packets to and from a tunnel's ends: the kernel's route, reverse path filtering, forwarding. Pure."""

from l2wg_hooks.model import holders

STRICT, LOOSE = "1", "2"


def absent(tunnel, links):
    """The Problem of `local` that no interface of this router has."""
    if holders(links, tunnel.local):
        return None
    near = sorted(link.name for link in links.values() if link.addresses and link.name != "lo")
    message = f"no interface of this router has the address {tunnel.local}"
    hint = f"give it to one, or name one that it has (ip -brief address show): l2wg set {tunnel.name} local=...; l2wg apply"
    message += "; there are addresses on {}".format(", ".join(near)) if near else ""
    return tunnel.problem("local", message, hint, "local-absent")


def taken(tunnel, links):
    """The Problem of `remote` that is an address of this router, too: then nothing that it sends there ever leaves it."""
    for link, word in holders(links, tunnel.remote):
        message = f"{tunnel.remote}, the other router's end, is an address of this router's {link.name}, too"
        hint = f"ip address del {word} dev {link.name} # and out of the file that gives it"
        return tunnel.problem("remote", message, hint, "duplicate-address")
    return None


def elsewhere(tunnel, device, filters):
    """Problems of `remote`, whose packets leave by `device` ("": by none); `filters` are rp_filter of all and of the underlay."""
    if device == tunnel.underlay:
        return
    by = f"leave by {device}" if device else "have no way"
    # The larger of the two counts: ip-sysctl.rst.
    if tunnel.family == 4 and not device and max(filters) in (STRICT, LOOSE):
        message = f"packets to {tunnel.remote} {by}, so rp_filter drops what comes from there"
        yield tunnel.problem("remote", message, f"ip route replace {tunnel.remote}/32 dev {tunnel.underlay}", "rp-filter")
    elif tunnel.family == 4 and max(filters) == STRICT:
        yield tunnel.problem(
            "remote",
            f"packets to {tunnel.remote} {by}, so strict rp_filter drops what comes from there by {tunnel.underlay}",
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
        f"this router's packets to {tunnel.remote} {by}, not by {tunnel.underlay}",
        "ip route replace %s/%d dev %s # and for good: no `Table = off` in wg0.conf, or that line as PostUp"
        % (tunnel.remote, bits, tunnel.underlay),
        "route",
    )


def stopped(tunnel, links, forwarding):
    """The Problem of a router that is a gateway, as far as one can see, and forwards nothing.

    `forwarding` is its sysctl's value.
    """
    if forwarding != "0":
        return None
    plain = [link.name for link, _ in holders(links, tunnel.local) if link.name not in (tunnel.underlay, "lo")]
    bridge = links.get(tunnel.bridge)
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
