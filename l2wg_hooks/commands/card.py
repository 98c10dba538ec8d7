"""`l2wg card`, and how a card is told to people."""

import sys

from l2wg_hooks.commands import options as common
from l2wg_hooks.commands import usage
from l2wg_hooks.config import card, next_key
from l2wg_hooks.encapsulation import registry
from l2wg_hooks.errors import fail
from l2wg_hooks.observe import link_table
from l2wg_hooks.pairing import local_facts, site
from l2wg_hooks.system import files, lock, log, process

GROUP = usage.NEW
HELP = "print this site's public facts as one line; rekey: with another key"
EXAMPLE = "l2wg card"
READ_ONLY = True


def add_arguments(parser):
    parser.add_argument("--underlay", metavar="WG", default="")
    parser.add_argument("--qr", action="store_true", help="also print a QR code")
    common.add_site(parser)
    for word, said in (("encapsulation", " or ".join(registry.ENCAPSULATIONS)), ("key", "GRE key or VNI"), ("mtu", "bytes")):
        parser.add_argument("--" + word, metavar=word.upper(), help="what this site asks of tunnels: " + said)


def run(options):
    changes = common.given(options, "name", "endpoint", "encapsulation", "key", "mtu")
    if changes:
        with lock.changing():
            site.save(changes)
    return tell(local_facts.underlay(options.underlay), options.qr)


def tell(underlay, picture):
    """Print the card alone on standard output, so that it can go through a pipe, and what is in it beside."""
    found = local_facts.look(underlay, link_table.read())
    for line in facts_of(found.card):
        log.line("  " + line)
    line = card.encode(found.card)
    if picture:
        # A terminal may be dark: then the code is drawn in its own colours.
        done = process.run(("qrencode", "-t", "ANSIUTF8" if sys.stdout.isatty() else "UTF8", "-m", "2", line))
        if done.code:
            fail(f"qrencode failed: {done.err.strip()}", f"the card itself is: {line}")
        sys.stdout.write(done.out)
    print(line, flush=True)
    if files.glance(next_key.path(underlay)):
        log.say("another key waits, which is not this one: l2wg rekey prints its line")
    return found.hints, 0


def facts_of(side):
    """A Card for people, one fact a line."""
    yield f"site           {side.name}"
    yield f"public key     {side.key}"
    yield "endpoint       %s" % (side.endpoint or "none: it calls, and cannot be called")
    yield "address        {}".format(", ".join(side.addresses))
    joined = {True: ", in the tunnel's bridge", False: ", not in the tunnel's bridge", None: ""}[side.joined]
    yield "LAN            %s" % (side.lan + joined if side.lan else "none")
    more = "" if side.number is None else ", key %d" % side.number
    yield "tunnel         %s%s, mtu %d" % (side.encapsulation, more, side.mtu)
