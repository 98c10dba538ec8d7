"""`l2wg init`: WireGuard from nothing. A key that nobody else ever sees, wg-quick's file, an address that needs no agreement.

It is one of l2wg's own, in its network namespace, or one of wg-quick(8), which this router shares with its tunnels.
"""

import base64
import ipaddress
import os
import socket
from typing import Tuple

from l2wg_hooks.config import ifupdown_files, inner_addresses, own_wire, schema, wg_quick, wg_quick_peers, wg_quick_readers
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.observe import link_table
from l2wg_hooks.pairing import local_facts, site
from l2wg_hooks.reconcile import cures
from l2wg_hooks.system import files, ip_routes, log, network_namespace, process, units

# wg(8) has no default; this is what everybody writes.
PORT = 51820
# A network namespace for a moment.
TRIAL = "l2wg-init"
TEXT = """\
# Made by `l2wg init` for %s. It is yours from now on: l2wg adds to it what `l2wg pair` shows, and never replaces the key.
[Interface]
PrivateKey = %s
Address = %s/32
ListenPort = %d
"""


def inner(key):
    """The address inside WireGuard that follows from a public key, so that two sites need not agree. Pure.

    Two of n sites have the same one with a probability of about n * n / 262144; then `l2wg pair` says so.
    """
    return inner_addresses.of(base64.b64decode(key))


def init(name="wg0", port=PORT, address="", remembered=None, own=False):
    """Make the WireGuard interface `name` with a new key, and start it. `remembered` are changes for site.save.

    Where it is l2wg's `own`, its first tunnel starts it.

    Raises L2wgError, with nothing left behind, where it is there already or cannot be started. The caller holds lock.changing.
    """
    again = "l2wg init" if own else "l2wg init --shared"
    another = f"name another one: {again} {'l2w1' if own else 'wg1'}"
    if local_facts.is_nixos():
        quick = "wg0" if own else name
        fail("this is NixOS: its configuration makes WireGuard", f"networking.wg-quick.interfaces.{quick}; then: l2wg card")
    where = wg_quick.path(name)
    if os.path.lexists(where):
        fail("is there already, and a key is never replaced", f"use it: l2wg card --underlay {name}", path=where)
    links = link_table.read()
    if name in links:
        fail(f"there is an interface {name} already, which {where} does not describe", another)
    # Whoever waits for this file will not take what we are about to write into it.
    answer = wg_quick_readers.ask(name, None)
    if not answer.quick:
        kind = "one of l2wg's own" if own else "one of wg-quick(8)"
        fail(f"it would be {kind}, and {answer.why}", another, path=where)
    if own and wg_quick_readers.find(name, ifupdown_files.read()):
        fail(f"it would be one of l2wg's own, and wg-quick(8) is to bring up {name}", another, path=where)
    _free(port, again)
    if own:
        _possible(name)
    private, public = _keys()
    address = _address(address, public, {} if own else links, again)
    # First what can be refused.
    site.save(remembered or {})
    os.makedirs(wg_quick.DIRECTORY, mode=0o700, exist_ok=True)
    text = TEXT % (site.load().name, private, address, port)
    files.write(where, f"{own_wire.MARK}\n{text}{_mtu(links)}" if own else text, 0o600, old="")
    log.did(f"{where}: written; its key is new, and readable by root only")
    problem = None if own else _start(name)
    if problem:
        files.remove(where)  # nobody has its public key yet
        raise L2wgError(problem, Problem(f"nothing was changed: {where} is gone again", f"mend that, then: {again} {name}"))


def is_free(port):
    """Whether nobody has the UDP port, nor has it at the next start."""
    try:
        _free(port, "l2wg init")
    except L2wgError:
        return False
    return True


def _free(port, again):
    """Raise L2wgError where somebody has the UDP port, or has it at the next start."""
    other = "another one: %s --port %d" % (again, port + 1)
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((everywhere, port))
        except OSError as error:
            import errno

            if error.errno == errno.EADDRINUSE:
                fail("UDP port %d is in use" % port, f"by whom: ss -ulpn. Or {other}")
    for name in wg_quick.names():
        where = wg_quick.path(name)
        if str(port) in wg_quick_peers.interface_values(files.text(where), "listenport")[-1:]:
            fail("has UDP port %d, though it is down now" % port, other, path=where, key="ListenPort")


def _possible(name):
    """Raise L2wgError where no wire of its own can be made here: by making one, apart, that goes again."""
    if os.path.exists(network_namespace.path(TRIAL)):
        process.run(("ip", "netns", "delete", TRIAL))  # of one that was killed
    argv: Tuple[str, ...] = ("ip", "netns", "add", TRIAL)
    hint = "l2wg init --shared # beside this router's other interfaces, by wg-quick(8)"
    result = process.run(argv)
    try:
        if result.code:
            fail(f"{cures.FORBIDDEN}: {_said(argv, result)}", hint)
        argv = ("ip", "link", "add", "name", name, "netns", TRIAL, "type", "wireguard")
        result = process.run(argv)
        if result.code:
            fail(_said(argv, result), cures.of(argv, result.err))
    finally:
        # What is half made, too.
        if os.path.exists(network_namespace.path(TRIAL)):
            process.run(("ip", "netns", "delete", TRIAL))


def _said(argv, result):
    return "`{}` failed: {}".format(" ".join(argv), " ".join(result.err.split())[-300:])


def _mtu(links):
    """The line of a file for a smaller MTU than own_wire.MTU, where the way out takes no more; "" where there is no need.

    Looked up once, as wg-quick(8) does at each start: WireGuard's packets would be fragmented, and many a router loses fragments.
    """
    found = []
    for address in local_facts.ELSEWHERE.values():
        for route in ip_routes.show("route", "get", address):
            link = links.get(route.get("dev", ""))
            metrics = [metric["mtu"] for metric in route.get("metrics", ())]
            found += metrics or ([link.mtu] if link else [])
    # Less what WireGuard needs over IPv6.
    size = min(found, default=0) - 80
    if not schema.MTU_MIN <= size < own_wire.MTU:
        return ""
    log.say("the way out takes packets of %d bytes: MTU = %d" % (min(found), size))
    return "MTU = %d\n" % size


def _keys():
    """(private, public) from wg(8), by standard input and output only."""
    private = process.run(("wg", "genkey"))
    public = process.run(("wg", "pubkey"), private.out)
    if private.code or public.code:
        fail(f"wg(8) makes no key: {(private.err or public.err).strip()}", "apt install wireguard-tools")
    return private.out.strip(), public.out.strip()


def _address(wanted, public, links, again):
    """The wanted address, or the one that follows from the key. Raises L2wgError where this router cannot have it."""
    try:
        address = schema.KEYS["local"].parse(wanted) if wanted else inner(public)
    except schema.Refused as error:
        fail(*error.args, key="--address")
    if ":" in address:
        # ip6gretap has 20 bytes more overhead, and no ignore-df.
        fail(f"{address} is IPv6", "an IPv4 address for the tunnel's end: its frames need fewer bytes then", key="--address")
    hint = f"{again} --address ADDRESS, with one that nobody has at either site"
    for link in links.values():
        for prefixed in link.addresses:
            if ipaddress.ip_address(address) in ipaddress.ip_interface(prefixed).network:
                fail(f"{address} is in the network of {link.name} ({prefixed})", hint)
    routes = process.output("ip", "route", "show", "match", address) if links else ""
    if routes.replace("default", "", 1).strip().startswith(tuple("0123456789")):
        fail(f"this router has a route for {address} already", hint)
    return address


def _start(name):
    """Start it now and at each boot; the Problem of that, or None."""
    booting = units.run_here()
    argv = ("systemctl", "enable", "--now", f"wg-quick@{name}") if booting else ("wg-quick", "up", name)
    process.show(argv)
    result = process.run(argv)
    if result.code:
        if booting:
            process.run(("systemctl", "disable", f"wg-quick@{name}"))
        said = " ".join(line for line in result.err.splitlines() if not line.startswith("[#]"))[-300:]
        return Problem("`{}` failed: {}".format(" ".join(argv), said), "does `modprobe wireguard` work?")
    if not booting:
        log.say(f"there is no systemd here: have `wg-quick up {name}` run at each boot")
    return None
