"""The nftables rules are loaded, and kept where the next boot finds them."""

import json
import os
import zlib

from l2wg_hooks.errors import L2wgError, Problem
from l2wg_hooks.netfilter import nftables, nftables_state
from l2wg_hooks.reconcile import executor
from l2wg_hooks.system import files, nf_tables, process

# How often rules are loaded again where somebody has changed them before they could be looked at.
TRIES = 3


def store(entries):
    """Write the rules of `entries` where events find them, unless they are there. Raises L2wgError."""
    stamp = nftables_state.stamp(entries)
    try:
        text = files.text(nftables.STATIC, most=files.OURS)
    except L2wgError:  # not as we have left it
        text = ""
    head, _, body = text[len(stamp) :].partition("\n")
    if text.startswith(stamp) and head == "# {:08x}".format(zlib.crc32(body.encode("utf-8", "surrogateescape"))):
        return
    body = nftables.render(entries)
    os.makedirs(os.path.dirname(nftables.STATIC), mode=0o755, exist_ok=True)
    files.write(nftables.STATIC, f"{stamp}# {zlib.crc32(body.encode()):08x}\n{body}")


def load(wanted, step):
    """Bring the Rules `wanted` into force by `step`, all at once or not at all; the Problems of that.

    They count as in force where the kernel says that they were the only change, or nft(8) lists all of them. What it lists is
    then compared with what was meant, never taken for it: a firewall that loads its rules at that moment may have flushed ours.
    """
    try:
        if not wanted.entries:
            return _unload(step)
        again = os.path.lexists(nftables_state.LOADED)
        store(wanted.entries)
        files.write(nftables.FILE, nftables.load(wanted.entries, wanted.values))
        # Where somebody has changed rules that were in force, or it seems so, it is not taken from a note how they are listed.
        known = None if again else nftables_state.kept(wanted.entries, wanted.values)
        meant = None
        for _ in range(TRIES):
            before = nf_tables.generation()
            if before is None and meant is None:
                meant = _meant(step.argv, wanted.entries)
            failed = executor.apply((step,))
            if failed:
                return failed
            after = nf_tables.generation()
            only = after is not None and after.is_next(before)
            listing = known if only and known else nftables_state.listing(wanted.entries)
            whole = nftables_state.is_whole(listing, wanted.entries)
            if not (only and whole and (known or nf_tables.generation() == after)):
                meant = meant or _meant(step.argv, wanted.entries)
                if not meant(listing):
                    continue
                after = None
            files.write(nftables_state.LOADED, json.dumps(nftables_state.note(wanted.entries, wanted.values, listing)))
            nftables_state.see(after)
            if after is not None and not known:
                nftables_state.keep(wanted.entries, wanted.values, listing)
            return ()
    except L2wgError as error:
        return error.problems
    return (
        Problem(
            "the tables l2wg were loaded %d times, and each time something else had changed them at once" % TRIES,
            "find out what it is: nft monitor",
        ),
    )


def _unload(step):
    """Take all rules away by `step`; the Problems of that. Raises L2wgError."""
    files.write(nftables.FILE, nftables.EMPTY)
    before = nf_tables.generation()
    failed = executor.apply((step,))
    if not failed:
        after = nf_tables.generation()
        files.remove(nftables_state.LOADED)
        files.remove(nftables.FILE)
        nftables_state.see(after if after is not None and after.is_next(before) else None)
    return failed


def _meant(argv, entries):
    """A function that says of a listing whether it is that of the rules which the command `argv` loads, of these entries."""
    from l2wg_hooks.system import network_namespace  # ctypes, for who loads rules only

    try:
        alone = network_namespace.alone(lambda: nftables_state.listing(entries) if process.run(argv).code == 0 else "")
    except OSError:
        alone = ""
    if alone:
        return lambda listing: listing == alone
    # Nowhere to look at them alone: then chain by chain, so many rules as were written.
    shape = nftables.shape(files.read(nftables.STATIC, files.OURS))
    return lambda listing: nftables.shape(listing or "") == shape
