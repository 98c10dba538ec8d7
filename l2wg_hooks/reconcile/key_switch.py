"""A WireGuard interface of this router takes its next key: tried, kept where its peers answer, and else taken back.

First the file has the key, then the kernel: whatever ends this, the next start has one that the others let in. As long as nobody
has answered either, each look of the watch takes the other one of the two.
"""

import time

from l2wg_hooks.config import changed_keys, next_key, public_key, store, wg_quick, wg_quick_peers
from l2wg_hooks.errors import L2wgError, Problem, fail
from l2wg_hooks.observe import link_table, wg_interfaces
from l2wg_hooks.probes import loop_probe
from l2wg_hooks.reconcile import reconcile
from l2wg_hooks.system import files, lock, log, process
from l2wg_hooks.typed import Tuple

# Seconds in which all have to answer; between two looks; since the last handshake, before WireGuard begins another one
# (REKEY_TIMEOUT in drivers/net/wireguard/messages.h), so that it does at once.
PATIENCE, PAUSE, QUIET = 15, 0.25, 6
# What wg(8) reads the key from: arguments are everybody's to read.
STDIN = "/dev/stdin"


def private_of(name):
    """The private key in the file of a WireGuard interface; "" where none is."""
    found = wg_quick_peers.interface_values(files.text(wg_quick.path(name)), "privatekey")
    return found[-1] if found else ""


def put(name, private):
    """Have the interface `name` use a private key: its file, then the kernel. Raises L2wgError."""
    path = wg_quick.path(name)
    old = files.read(path)
    new = next_key.with_private(old, private)
    if new is None:
        fail("has no PrivateKey", "wg genkey makes one", path=path)
    if new != old:
        files.write(path, new, old=old)
        log.did(f"{path}: its PrivateKey is that of {public_key.of(private)}")
    live = wg_interfaces.look(name)
    if live is None or live.key == public_key.of(private):
        return
    argv = wg_interfaces.command(name, "set", name, "private-key", STDIN)
    process.show(argv)
    result = process.run(argv, private + "\n")
    if result.code:
        fail("`{}` failed: {}".format(" ".join(argv), result.err.strip()), f"l2wg status; {path} has the key that it is to have")


def call():
    """Have WireGuard call the far ends of all tunnels: it does for a frame."""
    loop_probe.send(reconcile.steady(store.load()).tunnels, link_table.read())


def quiet(name):
    """Wait until WireGuard may call each peer at once."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        live = wg_interfaces.look(name)
        ages = [time.time() - peer.handshake for peer in live.peers if peer.handshake] if live else []
        if not any(0 <= age < QUIET for age in ages):
            return
        time.sleep(PAUSE)


def attempt(name, found, before):
    """Try the next key of `name`, a NextKey, for PATIENCE seconds; the public keys of the peers that did not answer.

    `before` are the Peers that have to. Where all have answered it stays, else the former one is back. The caller holds
    lock.changing. Raises L2wgError, with the former key back, for what fails.
    """
    former = private_of(name)
    next_key.write(name, next_key.NextKey(found.private, former, tuple(peer.key for peer in before)))
    try:
        put(name, found.private)
        silent = _wait(name, {peer.key: peer.handshake for peer in before})
    except BaseException:
        back(name, former, found.private)
        raise
    if silent:
        back(name, former, found.private)
        return silent
    keep(name, former, found.private)
    return ()


def _wait(name, known):
    """The public keys of those {public key: handshake} that have no other one within PATIENCE seconds."""
    call()
    end = time.monotonic() + PATIENCE
    left = set(known)
    while True:
        live = wg_interfaces.look(name)
        left -= {peer.key for peer in live.peers if peer.handshake != known.get(peer.key, peer.handshake)} if live else set()
        if not left or time.monotonic() > end:
            return tuple(sorted(left))
        time.sleep(PAUSE)


def back(name, former, private):
    """The former key is back, and the next one waits again."""
    put(name, former)
    next_key.write(name, next_key.NextKey(private))
    call()


def keep(name, former, private):
    """The key that was next stays; the former one is nobody's."""
    changed_keys.add(public_key.of(former), public_key.of(private))
    files.remove(next_key.path(name))


def settle():
    """What was tried and not brought to its end, as by a power cut, is: the key by which anybody answers stays.

    As long as nobody does, each look takes the other one of the two. The Problems of that.
    """
    names = [name for name in next_key.names() if _is_tried(name)]
    if not names:
        return ()
    problems: Tuple[Problem, ...] = ()
    with lock.at_leisure() as ours:
        for name in names if ours else ():
            try:
                problems += _settle(name)
            except L2wgError as error:
                problems += error.problems
    return problems


def _is_tried(name):
    try:
        found = next_key.read(name)
    except L2wgError:  # told of by whoever asks for it
        return False
    return found is not None and bool(found.former)


def _settle(name):
    found = next_key.read(name)
    live = wg_interfaces.look(name)
    if found is None or not found.former or live is None:
        return ()
    formers = public_key.of(found.former)
    if live.key not in (found.public, formers):
        hint = f"which one is right? Put it into {wg_quick.path(name)}, then: rm {next_key.path(name)}"
        return (Problem(f"{name} has a key that is neither the former nor the next one", hint, next_key.path(name)),)
    current, other = (found.private, found.former) if live.key == found.public else (found.former, found.private)
    since = next_key.since(name)
    if any(peer.handshake >= since for peer in live.peers if peer.key in found.peers):
        put(name, current)
        if current == found.private:
            keep(name, found.former, found.private)
            log.did(f"{name}: the change of its key is done: it is answered by {found.public}")
        else:
            next_key.write(name, next_key.NextKey(found.private))
            log.did(f"{name}: the change of its key did not come to its end; it has the former one, {formers}")
        return ()
    put(name, other)
    next_key.write(name, found)
    call()
    return ()
